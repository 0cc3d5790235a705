#include "svc/elbv2/actions.h"
#include "svc/elbv2/attributes.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/state.h"
#include "svc/elbv2/targets.h"

#include "base/cleanup.h"
#include "svc/common/arn.h"

_Static_assert(PORT_WEIGHTS_MAX == ELBV2_GROUPS_OF_ACTION_MAX, "a forward action fits the port");

/* ---- target groups -------------------------------------------------------------------------- */

static enum err find_group(struct op *op, struct elbv2 *e, struct str arn_or_name,
                           struct elbv2_target_group *ret)
{
    if (arn_looks_like_one(arn_or_name)) {
        return elbv2_get_group(op, e, arn_or_name, ret);
    }
    if (!store_has(op, e->store, &elbv2_kind_group, arn_or_name)) {
        return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_target_group_not_found_exception,
                          "Target groups '%.*s' not found", STR_ARG(arn_or_name));
    }
    return store_get(op, e->store, &elbv2_kind_group, arn_or_name, ret);
}

static enum err port_find_target_group(void *self, struct op *op, struct str arn_or_name,
                                       struct port_target_group *ret)
{
    struct elbv2 *e = self;
    struct elbv2_target_group group = {0};
    struct engine_elb_more more = {0};
    struct str lb_arn = STR_NONE;
    TRY(find_group(op, e, arn_or_name, &group));
    TRY(elbv2_get_more(op, e, group.target_group_arn, &more));
    TRY(elbv2_group_load_balancer(op, e, group.target_group_arn, &lb_arn));
    *ret = (struct port_target_group){
        .arn = group.target_group_arn,
        .name = group.target_group_name,
        .load_balancer_arn = lb_arn,
        .protocol = str_of(elbv2_protocol_name(group.protocol)),
        .vpc_id = group.vpc_id,
        .target_type =
            str_of(shape_enum_name(&shape_elbv2_target_type_enum, (int)group.target_type)),
        .wants_unix_socket = STR_IS(elbv2_attribute(elbv2_owner_of_group(&group), &more.attributes,
                                                    STR("hitless.target.unix_socket")),
                                    "true"),
    };
    return ERR_OK;
}

/* ---- targets -------------------------------------------------------------------------------- */

static enum err port_register_target(void *self, struct op *op, struct str target_group_arn,
                                     struct str host, int32_t port)
{
    struct elbv2 *e = self;
    struct elbv2_target_group group = {0};
    if (!elbv2_is_address(host)) {
        return op_fail_as(op, ERR_INPUT, &elbv2_error_invalid_target_exception,
                          "Target '%.*s' is neither an IP address nor \"unix:/path\"",
                          STR_ARG(host));
    }
    TRY(elbv2_get_group(op, e, target_group_arn, &group));
    return elbv2_add_target(op, e, target_group_arn, host, port, STR_NONE);
}

static enum err port_deregister_target(void *self, struct op *op, struct str target_group_arn,
                                       struct str host, int32_t port)
{
    struct elbv2 *e = self;
    struct elbv2_target_group group = {0};
    TRY(elbv2_get_group(op, e, target_group_arn, &group));
    return elbv2_drain_target(op, e, &group, host, port);
}

static enum port_target_state state_of(const struct elbv2_target_health *health)
{
    switch (health->state) {
    case ELBV2_TARGET_HEALTH_STATE_ENUM_INITIAL:
        return PORT_TARGET_INITIAL;
    case ELBV2_TARGET_HEALTH_STATE_ENUM_HEALTHY:
        return PORT_TARGET_HEALTHY;
    case ELBV2_TARGET_HEALTH_STATE_ENUM_UNAVAILABLE: /* not checked: well; not served: not */
        return health->reason == ELBV2_TARGET_HEALTH_REASON_ENUM_TARGET_HEALTHCHECKDISABLED
                   ? PORT_TARGET_HEALTHY
                   : PORT_TARGET_UNHEALTHY;
    case ELBV2_TARGET_HEALTH_STATE_ENUM_UNHEALTHY:
        return PORT_TARGET_UNHEALTHY;
    case ELBV2_TARGET_HEALTH_STATE_ENUM_DRAINING:
    case ELBV2_TARGET_HEALTH_STATE_ENUM_UNHEALTHY_DRAINING:
        return PORT_TARGET_DRAINING;
    case ELBV2_TARGET_HEALTH_STATE_ENUM_UNUSED:
    case ELBV2_TARGET_HEALTH_STATE_ENUM_UNSET:
        break;
    }
    return PORT_TARGET_UNUSED;
}

static enum err port_see_target(void *self, struct op *op, struct str target_group_arn,
                                struct str host, int32_t port, struct port_target_sight *ret)
{
    struct elbv2 *e = self;
    struct elbv2_target_group group = {0};
    struct engine_elb_target target = {0};
    struct elbv2_target_health health = {0};
    TRY(elbv2_get_group(op, e, target_group_arn, &group));
    enum err result = elbv2_get_target(op, e, target_group_arn, host, port, &target);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
    } else {
        TRY(result);
    }
    bool is_registered = result == ERR_OK && !OPT_OR(target.is_drained, false);
    TRY(elbv2_see_health(op, e, &group, is_registered ? &target : NULL, &health));
    const struct health *reported =
        elbv2_health_find(e, elbv2_target_key(op, target_group_arn, host, port));
    const char *reason =
        shape_enum_name(&shape_elbv2_target_health_reason_enum, (int)health.reason);
    *ret = (struct port_target_sight){.state = state_of(&health),
                                      .reason = arena_str(&op->arena, str_of(reason)),
                                      .description = arena_str(&op->arena, health.description),
                                      .inflight_count =
                                          reported == NULL ? 0 : reported->inflight_count};
    return ERR_OK;
}

/* ---- weights -------------------------------------------------------------------------------- */

/* The actions behind an ARN: those of a rule, or the default actions of a listener, which are also
 * those of its default rule. */
struct place {
    bool is_rule;
    struct elbv2_rule rule;
    struct elbv2_listener listener;
    struct elbv2_actions *actions; /* of one of the two */
};

static enum err find_place(struct op *op, struct elbv2 *e, struct str arn, struct place *ret)
{
    struct str listener_arn = arn;
    if (elbv2_read_arn(op, arn).resource == ELBV2_RULE) {
        TRY(elbv2_get_rule(op, e, arn, &ret->rule));
        ret->is_rule = !OPT_OR(ret->rule.is_default, false);
        listener_arn = elbv2_listener_arn_of(op, arn);
    }
    TRY(elbv2_get_listener(op, e, listener_arn, &ret->listener));
    ret->actions = ret->is_rule ? &ret->rule.actions : &ret->listener.default_actions;
    if (elbv2_find_forward(ret->actions) == NULL) {
        return op_fail_as(op, ERR_STATE, &elbv2_error_invalid_load_balancer_action_exception,
                          "'%.*s' does not forward to target groups", STR_ARG(arn));
    }
    return ERR_OK;
}

static enum err port_get_weights(void *self, struct op *op, struct str listener_or_rule_arn,
                                 struct port_weights *ret)
{
    struct elbv2 *e = self;
    struct place place = {0};
    TRY(find_place(op, e, listener_or_rule_arn, &place));
    const struct elbv2_target_group_list *groups =
        &elbv2_find_forward(place.actions)->forward_config->target_groups;
    struct port_weights weights = {0};
    for (size_t i = 0; i < groups->count && i < PORT_WEIGHTS_MAX; i++) {
        weights.items[weights.count++] =
            (struct port_weight){.target_group_arn = groups->items[i].target_group_arn,
                                 .weight = OPT_OR(groups->items[i].weight, 1)};
    }
    *ret = weights;
    return ERR_OK;
}

static bool are_same(const struct elbv2_target_group_list *have, const struct port_weights *want)
{
    bool is_same = have->count == want->count;
    for (size_t i = 0; is_same && i < have->count; i++) {
        is_same = OPT_OR(have->items[i].weight, 1) == want->items[i].weight &&
                  str_equal(have->items[i].target_group_arn, want->items[i].target_group_arn);
    }
    return is_same;
}

static void put_weights(struct op *op, struct elbv2_action *forward,
                        const struct port_weights *weights)
{
    struct elbv2_forward_action_config config = {
        .target_groups = {.items = ARENA_ARRAY(&op->arena, struct elbv2_target_group_tuple,
                                               weights->count),
                          .count = weights->count,
                          .is_set = true},
        .target_group_stickiness_config = forward->forward_config->target_group_stickiness_config};
    for (size_t i = 0; i < weights->count; i++) {
        config.target_groups.items[i] = (struct elbv2_target_group_tuple){
            .target_group_arn = weights->items[i].target_group_arn,
            .weight = OPT_I32(weights->items[i].weight)};
    }
    *forward = elbv2_forward_action(&op->arena, &config, forward->order);
}

static enum err port_set_weights(void *self, struct op *op, struct str listener_or_rule_arn,
                                 const struct port_weights *weights)
{
    struct elbv2 *e = self;
    struct place place = {0};
    struct elbv2_load_balancer lb = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(find_place(op, e, listener_or_rule_arn, &place));
    struct elbv2_action *forward = elbv2_find_forward(place.actions);
    if (are_same(&forward->forward_config->target_groups, weights)) {
        return store_tx_commit(op, &tx);
    }
    TRY(elbv2_get_load_balancer(op, e, place.listener.load_balancer_arn, &lb));
    put_weights(op, forward, weights);
    struct elbv2_action_place where = {
        .lb = &lb, .protocol = place.listener.protocol, .is_shift = true};
    struct elbv2_actions checked = {0};
    TRY(elbv2_check_actions(op, e, where, place.actions, &checked));
    *place.actions = checked;
    TRY(place.is_rule ? elbv2_put_rule(op, e, &place.rule)
                      : elbv2_put_listener(op, e, &place.listener));
    return store_tx_commit(op, &tx);
}

static bool port_is_published(void *self)
{
    const struct elbv2 *e = self;
    return !e->is_dirty && e->version != 0 && e->heard_version >= e->version;
}

struct port_elb elbv2_port(struct elbv2 *e)
{
    return (struct port_elb){
        .self = e,
        .find_target_group = port_find_target_group,
        .register_target = port_register_target,
        .deregister_target = port_deregister_target,
        .see_target = port_see_target,
        .get_weights = port_get_weights,
        .set_weights = port_set_weights,
        .is_published = port_is_published,
    };
}
