#include "svc/ec2/describe.h"

#include "svc/common/network.h"
#include "svc/ec2/filter.h"

static bool has(const struct str *items, size_t count, struct str text)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(items[i], text)) {
            return true;
        }
    }
    return count == 0;
}

/* ---- zones ---------------------------------------------------------------------------------- */

static struct ec2_facts zone_facts(struct op *op, const struct network_subnet *s)
{
    struct arena *a = &op->arena;
    struct ec2_facts f = {0};
    ec2_fact(a, &f, "zone-name", s->zone);
    ec2_fact(a, &f, "zone-id", s->zone_id);
    ec2_fact(a, &f, "region-name", op->region);
    ec2_fact(a, &f, "group-name", op->region);
    ec2_fact(a, &f, "network-border-group", op->region);
    ec2_fact(a, &f, "opt-in-status", STR("opt-in-not-required"));
    ec2_fact(a, &f, "state", STR("available"));
    ec2_fact(a, &f, "zone-type", STR("availability-zone"));
    ec2_facts_without(a, &f, "message parent-zone-id parent-zone-name");
    return f;
}

static enum err check_zone_names(struct op *op, const struct network *n, const struct str *names,
                                 size_t count, bool is_id)
{
    for (size_t i = 0; i < count; i++) {
        bool exists = false;
        for (size_t k = 0; k < NETWORK_SUBNETS; k++) {
            struct str zone = is_id ? n->subnets[k].zone_id : n->subnets[k].zone;
            exists = exists || str_equal(zone, names[i]);
        }
        if (!exists) {
            return op_fail_as(op, ERR_NOT_FOUND, &ec2_error_invalid_parameter_value,
                              "Invalid availability zone%s: [%.*s]", is_id ? "-id" : "",
                              STR_ARG(names[i]));
        }
    }
    return ERR_OK;
}

enum err ec2_describe_availability_zones(struct op *op, struct ec2 *ec2,
                                         const struct ec2_describe_availability_zones_in *in,
                                         struct ec2_describe_availability_zones_out *ret)
{
    (void)ec2;
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct network n = network_default(&op->arena, op->region);
    TRY(check_zone_names(op, &n, in->zone_names.items, in->zone_names.count, false));
    TRY(check_zone_names(op, &n, in->zone_ids.items, in->zone_ids.count, true));
    ret->availability_zones.is_set = true;
    for (size_t i = 0; i < NETWORK_SUBNETS; i++) {
        const struct network_subnet *s = &n.subnets[i];
        struct ec2_facts facts = zone_facts(op, s);
        bool is_shown = false;
        TRY(ec2_filter(op, &in->filters, &facts, &is_shown));
        if (!is_shown || !has(in->zone_names.items, in->zone_names.count, s->zone) ||
            !has(in->zone_ids.items, in->zone_ids.count, s->zone_id)) {
            continue;
        }
        struct ec2_availability_zone *zone = ARENA_PUSH(&op->arena, &ret->availability_zones);
        *zone = (struct ec2_availability_zone){
            .zone_name = s->zone,
            .zone_id = s->zone_id,
            .region_name = op->region,
            .group_name = op->region,
            .network_border_group = op->region,
            .zone_type = STR("availability-zone"),
            .opt_in_status = EC2_AVAILABILITY_ZONE_OPT_IN_STATUS_OPT_IN_NOT_REQUIRED,
            .state = EC2_AVAILABILITY_ZONE_STATE_AVAILABLE,
            .messages = {.is_set = true}};
    }
    return ERR_OK;
}

/* ---- regions -------------------------------------------------------------------------------- */

static enum err show_region(struct op *op, const struct ec2_describe_regions_in *in,
                            struct str region, struct ec2_region_list *to)
{
    struct str endpoint = arena_printf(&op->arena, "ec2.%.*s.amazonaws.com", STR_ARG(region));
    struct ec2_facts facts = {0};
    ec2_fact(&op->arena, &facts, "region-name", region);
    ec2_fact(&op->arena, &facts, "endpoint", endpoint);
    ec2_fact(&op->arena, &facts, "opt-in-status", STR("opt-in-not-required"));
    bool is_shown = false;
    TRY(ec2_filter(op, &in->filters, &facts, &is_shown));
    if (is_shown && has(in->region_names.items, in->region_names.count, region)) {
        *ARENA_PUSH(&op->arena, to) =
            (struct ec2_region){.region_name = region,
                                .endpoint = endpoint,
                                .opt_in_status = STR("opt-in-not-required")};
    }
    return ERR_OK;
}

enum err ec2_describe_regions(struct op *op, struct ec2 *ec2,
                              const struct ec2_describe_regions_in *in,
                              struct ec2_describe_regions_out *ret)
{
    (void)ec2;
    TRY(ec2_check_dry_run(op, in->dry_run));
    ret->regions.is_set = true;
    bool is_listed = has(network_regions, network_region_count, op->region);
    for (size_t i = 0; i < in->region_names.count; i++) {
        struct str name = in->region_names.items[i];
        if (!has(network_regions, network_region_count, name) && !str_equal(name, op->region)) {
            return op_fail_as(op, ERR_NOT_FOUND, &ec2_error_invalid_parameter_value,
                              "Invalid region names: '[%.*s]'", STR_ARG(name));
        }
    }
    for (size_t i = 0; i < network_region_count; i++) {
        TRY(show_region(op, in, network_regions[i], &ret->regions));
    }
    return is_listed ? ERR_OK : show_region(op, in, op->region, &ret->regions);
}
