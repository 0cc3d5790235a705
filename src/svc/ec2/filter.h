#pragma once
/* What all Describe operations of EC2 share: filters, ids, pages, DryRun. Private to the module. */

#include "base/op.h"
#include "gen/ec2.h"

#include <stdbool.h>

/* What can be asked of a resource: names of filters with their values. A name may stand several
 * times; a name that exists but has no value here stands once with an absent one. */
struct ec2_fact {
    struct str name;
    struct str value;
};
struct ec2_facts {
    struct ec2_fact *items;
    size_t count;
};

void ec2_fact(struct arena *a, struct ec2_facts *facts, const char *name, struct str value);
void ec2_fact_bool(struct arena *a, struct ec2_facts *facts, const char *name, bool value);
/* Names that exist and have no value: "a b c". */
void ec2_facts_without(struct arena *a, struct ec2_facts *facts, const char *names);

/* All filters hold: each has a value that one of the facts of its name matches (* and ? count).
 * Unknown filters fail with InvalidParameterValue. */
enum err ec2_filter(struct op *op, const struct ec2_filter_list *filters,
                    const struct ec2_facts *facts, bool *ret_is_shown);

/* DryRun: DryRunOperation instead of an answer. */
enum err ec2_check_dry_run(struct op *op, struct opt_bool dry_run);

/* Which resources to show of `count`, whose ids are given: those asked for (all when none are),
 * which pass the filters, a page of them. Ids that do not exist fail with the noun's error. */
struct ec2_asked {
    const struct str *ids;
    size_t id_count;
    const struct ec2_filter_list *filters;
    struct opt_i32 max_results;
    struct str next_token;
    const char *list_name; /* "ec2.vpcs": marks tokens */
    const char *noun;      /* "vpc": The vpc ID '...' does not exist */
    const char *prefix;    /* "vpc-": ids without it are malformed */
    const struct err_public *not_found;
    const struct err_public *malformed;
};
struct ec2_resource {
    struct str id;
    struct ec2_facts facts;
    size_t index; /* the caller's */
};
struct ec2_resources {
    struct ec2_resource *items;
    size_t count;
};
enum err ec2_choose(struct op *op, const struct ec2_asked *asked, const struct ec2_resources *all,
                    struct ec2_resources *ret_shown, struct str *ret_next_token);

extern const struct err_public ec2_error_invalid_parameter_value;
