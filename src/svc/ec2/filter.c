#include "svc/ec2/filter.h"

#include "svc/common/page.h"

#define FILTERS_MAX       50
#define FILTER_VALUES_MAX 200

const struct err_public ec2_error_invalid_parameter_value = {.code = "InvalidParameterValue",
                                                             .http_status = 400};
static const struct err_public invalid_combination = {.code = "InvalidParameterCombination",
                                                      .http_status = 400};
static const struct err_public dry_run_operation = {.code = "DryRunOperation", .http_status = 412};
static const struct err_public filter_limit = {.code = "FilterLimitExceeded", .http_status = 400};

/* ---- facts ---------------------------------------------------------------------------------- */

void ec2_fact(struct arena *a, struct ec2_facts *facts, const char *name, struct str value)
{
    *ARENA_PUSH(a, facts) = (struct ec2_fact){.name = str_of(name), .value = value};
}

void ec2_fact_bool(struct arena *a, struct ec2_facts *facts, const char *name, bool value)
{
    ec2_fact(a, facts, name, value ? STR("true") : STR("false"));
}

static void push_fact(struct arena *a, struct ec2_facts *facts, struct ec2_fact fact)
{
    *ARENA_PUSH(a, facts) = fact;
}

void ec2_facts_without(struct arena *a, struct ec2_facts *facts, const char *names)
{
    struct str rest = str_of(names);
    struct str name = STR_NONE;
    while (str_next(&rest, ' ', &name)) {
        push_fact(a, facts, (struct ec2_fact){.name = name});
    }
}

/* ---- filters -------------------------------------------------------------------------------- */

static bool has_match(const struct ec2_value_string_list *patterns, struct str value)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (str_match(patterns->items[i], value, false)) {
            return true;
        }
    }
    return false;
}

static enum err filter_one(struct op *op, const struct ec2_filter *filter,
                           const struct ec2_facts *facts, bool *ret_holds)
{
    /* what has no tags has none that match */
    bool is_known = str_starts_with(filter->name, STR("tag:")) || STR_IS(filter->name, "tag-key") ||
                    STR_IS(filter->name, "tag-value");
    bool holds = false;
    for (size_t i = 0; i < facts->count; i++) {
        const struct ec2_fact *fact = &facts->items[i];
        if (str_equal(fact->name, filter->name)) {
            is_known = true;
            holds = holds || (str_is_set(fact->value) && has_match(&filter->values, fact->value));
        }
    }
    if (!is_known) {
        return op_fail_as(op, ERR_INPUT, &ec2_error_invalid_parameter_value,
                          "The filter '%.*s' is invalid", STR_ARG(filter->name));
    }
    *ret_holds = holds;
    return ERR_OK;
}

enum err ec2_filter(struct op *op, const struct ec2_filter_list *filters,
                    const struct ec2_facts *facts, bool *ret_is_shown)
{
    bool is_shown = true;
    if (filters->count > FILTERS_MAX) {
        return op_fail_as(op, ERR_LIMIT, &filter_limit, "The maximum number of filters is %d",
                          FILTERS_MAX);
    }
    for (size_t i = 0; i < filters->count; i++) {
        const struct ec2_filter *filter = &filters->items[i];
        bool holds = false;
        if (filter->values.count > FILTER_VALUES_MAX) {
            return op_fail_as(
                op, ERR_LIMIT, &filter_limit,
                "The maximum number of filter values specified on a single call is %d",
                FILTER_VALUES_MAX);
        }
        TRY(filter_one(op, filter, facts, &holds));
        is_shown = is_shown && holds;
    }
    *ret_is_shown = is_shown;
    return ERR_OK;
}

enum err ec2_check_dry_run(struct op *op, struct opt_bool dry_run)
{
    if (!OPT_OR(dry_run, false)) {
        return ERR_OK;
    }
    return op_fail_as(op, ERR_STATE, &dry_run_operation,
                      "Request would have succeeded, but DryRun flag is set.");
}

/* ---- choice --------------------------------------------------------------------------------- */

static bool is_asked(const struct ec2_asked *asked, struct str id)
{
    for (size_t i = 0; i < asked->id_count; i++) {
        if (str_equal(asked->ids[i], id)) {
            return true;
        }
    }
    return asked->id_count == 0;
}

static enum err check_ids(struct op *op, const struct ec2_asked *asked,
                          const struct ec2_resources *all)
{
    for (size_t i = 0; i < asked->id_count; i++) {
        struct str id = asked->ids[i];
        bool exists = false;
        if (!str_starts_with(id, str_of(asked->prefix))) {
            return op_fail_as(op, ERR_INPUT, asked->malformed,
                              "Invalid id: \"%.*s\" (expecting \"%s...\")", STR_ARG(id),
                              asked->prefix);
        }
        for (size_t k = 0; k < all->count; k++) {
            exists = exists || str_equal(all->items[k].id, id);
        }
        if (!exists) {
            return op_fail_as(op, ERR_NOT_FOUND, asked->not_found, "The %s '%.*s' does not exist",
                              asked->noun, STR_ARG(id));
        }
    }
    return ERR_OK;
}

static void push_resource(struct arena *a, struct ec2_resources *to, const struct ec2_resource *r)
{
    *ARENA_PUSH(a, to) = *r;
}

enum err ec2_choose(struct op *op, const struct ec2_asked *asked, const struct ec2_resources *all,
                    struct ec2_resources *ret_shown, struct str *ret_next_token)
{
    static const struct err_public bad_token = {.code = "InvalidNextToken", .http_status = 400};
    const struct page_rules rules = {.list_name = asked->list_name,
                                     .default_count = 1000,
                                     .max_count = 1000,
                                     .bad_token = &bad_token,
                                     .bad_token_text = "The token is not valid"};
    if (asked->id_count > 0 && asked->max_results.is_set) {
        return op_fail_as(
            op, ERR_INPUT, &invalid_combination,
            "The parameter MaxResults cannot be used with identifiers in the request");
    }
    TRY(check_ids(op, asked, all));
    struct ec2_resources found = {0};
    for (size_t i = 0; i < all->count; i++) {
        bool is_shown = false;
        TRY(ec2_filter(op, asked->filters, &all->items[i].facts, &is_shown));
        if (is_shown && is_asked(asked, all->items[i].id)) {
            push_resource(&op->arena, &found, &all->items[i]);
        }
    }
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, found.count);
    for (size_t i = 0; i < found.count; i++) {
        keys[i] = arena_printf(&op->arena, "%04zu", found.items[i].index);
    }
    size_t from = 0;
    size_t to = 0;
    TRY(page_cut(op, &rules, (struct page_ask){asked->next_token, asked->max_results}, keys,
                 found.count, &from, &to, ret_next_token));
    *ret_shown = (struct ec2_resources){.items = found.items + from, .count = to - from};
    return ERR_OK;
}
