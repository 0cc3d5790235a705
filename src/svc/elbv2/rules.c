#include "svc/elbv2/rules.h"

#include "base/cleanup.h"
#include "svc/common/arn.h"
#include "svc/common/ids.h"
#include "svc/common/page.h"
#include "svc/elbv2/actions.h"
#include "svc/elbv2/conditions.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/load_balancers.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/state.h"
#include "svc/elbv2/transforms.h"

static const struct page_rules pages = {.list_name = "elbv2.rules",
                                        .default_count = 400,
                                        .max_count = 400,
                                        .bad_token = &elbv2_validation_error,
                                        .bad_token_text = "The marker is not valid"};

static bool is_default(const struct elbv2_rule *rule)
{
    return OPT_OR(rule->is_default, false);
}

static void push_rule(struct arena *a, struct elbv2_rules *to, const struct elbv2_rule *rule)
{
    to->is_set = true;
    struct elbv2_rule *item = ARENA_PUSH(a, to);
    *item = *rule;
    item->conditions.is_set = true;
    item->is_default = OPT_BOOL(is_default(rule));
}

static enum err refuse_priority(struct op *op, int32_t priority)
{
    return op_fail_as(op, ERR_EXISTS, &elbv2_error_priority_in_use_exception,
                      "Priority '%d' is currently in use", priority);
}

/* What the rules of a listener are checked against. */
static enum err get_place(struct op *op, struct elbv2 *e, struct str listener_arn,
                          struct elbv2_load_balancer *lb, struct elbv2_action_place *ret)
{
    struct elbv2_listener listener = {0};
    TRY(elbv2_get_listener(op, e, listener_arn, &listener));
    TRY(elbv2_get_load_balancer(op, e, listener.load_balancer_arn, lb));
    *ret = (struct elbv2_action_place){.lb = lb, .protocol = listener.protocol};
    return ERR_OK;
}

/* ---- create --------------------------------------------------------------------------------- */

/* AWS's quota, unless the load balancer's attribute says otherwise: the engine has no console where
 * one could ask for more. */
static enum err get_quota(struct op *op, struct elbv2 *e, struct str lb_arn, uint64_t *ret)
{
    struct engine_elb_more more = {0};
    TRY(elbv2_get_more(op, e, lb_arn, &more));
    *ret = ELBV2_RULES_MAX;
    for (size_t i = 0; i < more.attributes.count; i++) {
        if (STR_IS(more.attributes.items[i].key, "hitless.rules_max")) {
            (void)str_parse_u64(more.attributes.items[i].value, ELBV2_RULES_SETTABLE_MAX, ret);
        }
    }
    return ERR_OK;
}

/* Default rules do not count. */
static enum err check_quota(struct op *op, struct elbv2 *e, struct str lb_arn)
{
    uint64_t quota = 0;
    TRY(get_quota(op, e, lb_arn, &quota));
    struct store_items listeners = {0};
    TRY(store_list(op, e->store, &elbv2_kind_listener, &(struct store_range){.parent = lb_arn},
                   &listeners));
    size_t count = 0;
    for (size_t i = 0; i < listeners.count; i++) {
        size_t rules = 0;
        TRY(store_count(op, e->store, &elbv2_kind_rule,
                        &(struct store_range){.parent = listeners.items[i].key}, &rules));
        count += rules - (rules > 0);
    }
    if (count >= quota) {
        return op_fail_as(op, ERR_LIMIT, &elbv2_error_too_many_rules_exception,
                          "You have reached the maximum number of rules: %llu",
                          (unsigned long long)quota);
    }
    return ERR_OK;
}

static enum err check_priority(struct op *op, struct elbv2 *e, struct str listener_arn,
                               int32_t priority)
{
    struct elbv2_rule_list rules = {0};
    TRY(elbv2_list_rules(op, e, listener_arn, &rules));
    for (size_t i = 0; i < rules.count; i++) {
        if (elbv2_priority(&rules.items[i]) == priority) {
            return refuse_priority(op, priority);
        }
    }
    return ERR_OK;
}

static struct str new_arn(struct op *op, struct str listener_arn)
{
    struct elbv2_name name = elbv2_read_arn(op, listener_arn);
    struct str id = id_hex16(&op->arena);
    return arn_makef(op, STR("elasticloadbalancing"), "listener-rule/%.*s/%.*s/%.*s",
                     STR_ARG(name.load_balancer), STR_ARG(name.listener_id), STR_ARG(id));
}

enum err elbv2_create_rule(struct op *op, struct elbv2 *e, const struct elbv2_create_rule_in *in,
                           struct elbv2_create_rule_out *ret)
{
    struct elbv2_load_balancer lb = {0};
    struct elbv2_action_place place = {0};
    struct elbv2_rule rule = {
        .priority = arena_printf(&op->arena, "%d", OPT_OR(in->priority, 0)),
        .is_default = OPT_BOOL(false),
    };
    struct tags tags = TAGS_FROM(&op->arena, in->tags);
    TRY(elbv2_check_transforms(op, &in->transforms, &rule.transforms));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(get_place(op, e, in->listener_arn, &lb, &place));
    if (lb.type != ELBV2_LOAD_BALANCER_TYPE_ENUM_APPLICATION) {
        return op_fail_as(op, ERR_INPUT, &elbv2_error_invalid_configuration_request_exception,
                          "Rules are supported only for listeners of application load balancers");
    }
    TRY(elbv2_check_conditions(op, &in->conditions, &rule.conditions));
    TRY(elbv2_check_actions(op, e, place, &in->actions, &rule.actions));
    TRY(tags_check(op, &elbv2_tag_errors, &tags));
    TRY(check_priority(op, e, in->listener_arn, OPT_OR(in->priority, 0)));
    TRY(check_quota(op, e, lb.load_balancer_arn));
    rule.rule_arn = new_arn(op, in->listener_arn);
    TRY(elbv2_put_rule(op, e, &rule));
    TRY(elbv2_check_group_quota(op, e, lb.load_balancer_arn));
    if (tags.count > 0) {
        struct engine_elb_more more = {0};
        elbv2_keep_tags(op, &tags, &more);
        TRY(elbv2_put_more(op, e, rule.rule_arn, &more));
    }
    TRY(store_tx_commit(op, &tx));
    push_rule(&op->arena, &ret->rules, &rule);
    return ERR_OK;
}

/* ---- describe ------------------------------------------------------------------------------- */

/* Cut by priority, the default rule behind all others. */
static enum err cut(struct op *op, const struct elbv2_describe_rules_in *in,
                    const struct elbv2_rule_list *rules, struct elbv2_describe_rules_out *ret)
{
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, rules->count);
    for (size_t i = 0; i < rules->count; i++) {
        int32_t priority = elbv2_priority(&rules->items[i]);
        keys[i] = arena_printf(&op->arena, "%05d", priority == 0 ? 99999 : priority);
    }
    size_t from = 0;
    size_t to = 0;
    TRY(page_cut(op, &pages, (struct page_ask){in->marker, in->page_size}, keys, rules->count,
                 &from, &to, &ret->next_marker));
    for (size_t i = from; i < to; i++) {
        push_rule(&op->arena, &ret->rules, &rules->items[i]);
    }
    return ERR_OK;
}

enum err elbv2_describe_rules(struct op *op, struct elbv2 *e,
                              const struct elbv2_describe_rules_in *in,
                              struct elbv2_describe_rules_out *ret)
{
    ret->rules.is_set = true;
    if ((in->rule_arns.count > 0) == (in->listener_arn.len > 0)) {
        return elbv2_invalid(op, "You must specify either listener rule ARNs or a listener ARN");
    }
    for (size_t i = 0; i < in->rule_arns.count; i++) {
        struct elbv2_rule rule = {0};
        TRY(elbv2_get_rule(op, e, in->rule_arns.items[i], &rule));
        push_rule(&op->arena, &ret->rules, &rule);
    }
    if (in->rule_arns.count > 0) {
        return ERR_OK;
    }
    struct elbv2_listener listener = {0};
    struct elbv2_rule_list rules = {0};
    TRY(elbv2_get_listener(op, e, in->listener_arn, &listener));
    TRY(elbv2_list_rules(op, e, in->listener_arn, &rules));
    return cut(op, in, &rules, ret);
}

/* ---- modify, delete ------------------------------------------------------------------------- */

enum err elbv2_modify_rule(struct op *op, struct elbv2 *e, const struct elbv2_modify_rule_in *in,
                           struct elbv2_modify_rule_out *ret)
{
    struct elbv2_load_balancer lb = {0};
    struct elbv2_action_place place = {0};
    struct elbv2_rule rule = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_rule(op, e, in->rule_arn, &rule));
    if (is_default(&rule)) {
        return op_fail_as(op, ERR_STATE, &elbv2_error_operation_not_permitted_exception,
                          "Default rule '%.*s' cannot be modified", STR_ARG(rule.rule_arn));
    }
    TRY(get_place(op, e, elbv2_listener_arn_of(op, rule.rule_arn), &lb, &place));
    bool resets = OPT_OR(in->reset_transforms, false);
    if (in->conditions.count == 0 && in->actions.count == 0 && in->transforms.count == 0 &&
        !resets) {
        return elbv2_invalid(op, "Either conditions or actions must be specified");
    }
    if (resets && in->transforms.count > 0) {
        return elbv2_invalid(op, "You cannot specify both Transforms and ResetTransforms");
    }
    if (resets || in->transforms.count > 0) {
        TRY(elbv2_check_transforms(op, &in->transforms, &rule.transforms));
    }
    if (in->conditions.count > 0) {
        TRY(elbv2_check_conditions(op, &in->conditions, &rule.conditions));
    }
    if (in->actions.count > 0) {
        TRY(elbv2_check_actions(op, e, place, &in->actions, &rule.actions));
    }
    TRY(elbv2_put_rule(op, e, &rule));
    TRY(elbv2_check_group_quota(op, e, lb.load_balancer_arn));
    TRY(store_tx_commit(op, &tx));
    push_rule(&op->arena, &ret->rules, &rule);
    return ERR_OK;
}

enum err elbv2_delete_rule(struct op *op, struct elbv2 *e, const struct elbv2_delete_rule_in *in,
                           struct elbv2_delete_rule_out *ret)
{
    (void)ret;
    struct elbv2_rule rule = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_rule(op, e, in->rule_arn, &rule));
    if (is_default(&rule)) {
        return op_fail_as(op, ERR_STATE, &elbv2_error_operation_not_permitted_exception,
                          "Default rule '%.*s' cannot be deleted", STR_ARG(rule.rule_arn));
    }
    TRY(elbv2_remove_rule(op, e, &rule));
    return store_tx_commit(op, &tx);
}

/* ---- priorities ----------------------------------------------------------------------------- */

static enum err read_pair(struct op *op, struct elbv2 *e,
                          const struct elbv2_rule_priority_pair *pair, struct elbv2_rule *ret)
{
    struct elbv2_rule rule = {0};
    TRY(elbv2_get_rule(op, e, pair->rule_arn, &rule));
    if (is_default(&rule)) {
        return op_fail_as(op, ERR_STATE, &elbv2_error_operation_not_permitted_exception,
                          "The priority of the default rule '%.*s' cannot be modified",
                          STR_ARG(rule.rule_arn));
    }
    if (!pair->priority.is_set) {
        return elbv2_invalid(op, "A priority must be specified for the rule '%.*s'",
                             STR_ARG(rule.rule_arn));
    }
    rule.priority = arena_printf(&op->arena, "%d", pair->priority.value);
    *ret = rule;
    return ERR_OK;
}

/* After all are written, no two rules of the listener may have one priority. */
static enum err check_unique(struct op *op, struct elbv2 *e, struct str listener_arn)
{
    struct elbv2_rule_list rules = {0};
    TRY(elbv2_list_rules(op, e, listener_arn, &rules));
    for (size_t i = 1; i < rules.count; i++) {
        int32_t priority = elbv2_priority(&rules.items[i]);
        if (priority != 0 && elbv2_priority(&rules.items[i - 1]) == priority) {
            return refuse_priority(op, priority);
        }
    }
    return ERR_OK;
}

enum err elbv2_set_rule_priorities(struct op *op, struct elbv2 *e,
                                   const struct elbv2_set_rule_priorities_in *in,
                                   struct elbv2_set_rule_priorities_out *ret)
{
    ret->rules.is_set = true;
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    for (size_t i = 0; i < in->rule_priorities.count; i++) {
        struct elbv2_rule rule = {0};
        TRY(read_pair(op, e, &in->rule_priorities.items[i], &rule));
        TRY(elbv2_put_rule(op, e, &rule));
        push_rule(&op->arena, &ret->rules, &rule);
    }
    for (size_t i = 0; i < ret->rules.count; i++) {
        TRY(check_unique(op, e, elbv2_listener_arn_of(op, ret->rules.items[i].rule_arn)));
    }
    return store_tx_commit(op, &tx);
}
