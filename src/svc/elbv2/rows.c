#include "svc/elbv2/rows.h"

#include "base/check.h"
#include "svc/common/arn.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/sign_in.h"
#include "svc/elbv2/state.h"

const struct store_kind elbv2_kind_load_balancer = {"elbv2.load_balancer",
                                                    &shape_elbv2_load_balancer};
const struct store_kind elbv2_kind_group = {"elbv2.group", &shape_elbv2_target_group};
const struct store_kind elbv2_kind_listener = {"elbv2.listener", &shape_elbv2_listener};
const struct store_kind elbv2_kind_rule = {"elbv2.rule", &shape_elbv2_rule};
const struct store_kind elbv2_kind_more = {"elbv2.more", &shape_engine_elb_more};
const struct store_kind elbv2_kind_target = {"elbv2.target", &shape_engine_elb_target};
const struct store_kind elbv2_kind_reference = {"elbv2.reference", &shape_engine_elb_reference};

const struct err_public elbv2_validation_error = {.code = "ValidationError", .http_status = 400};

/* Reads a row; a missing one is forgotten in the note, because the caller says it in AWS's words.
 */
static enum err find(struct op *op, struct elbv2 *e, const struct store_kind *kind, struct str key,
                     void *ret, bool *ret_is_there)
{
    enum err result = store_get(op, e->store, kind, key, ret);
    *ret_is_there = result == ERR_OK;
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        return ERR_OK;
    }
    return result;
}

/* ---- load balancers ------------------------------------------------------------------------- */

enum err elbv2_get_load_balancer(struct op *op, struct elbv2 *e, struct str arn,
                                 struct elbv2_load_balancer *ret)
{
    struct elbv2_name name = elbv2_read_arn(op, arn);
    if (name.resource != ELBV2_LOAD_BALANCER) {
        return elbv2_invalid(op, "'%.*s' is not a valid load balancer ARN", STR_ARG(arn));
    }
    struct elbv2_load_balancer lb = {0};
    bool is_there = false;
    TRY(find(op, e, &elbv2_kind_load_balancer, name.name, &lb, &is_there));
    if (!is_there || !str_equal(lb.load_balancer_arn, arn)) {
        return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_load_balancer_not_found_exception,
                          "Load balancer '%.*s' not found", STR_ARG(arn));
    }
    *ret = lb;
    return ERR_OK;
}

static void note_names(struct elbv2 *e)
{
    e->are_names_stale = true;
    elbv2_note_change(e);
}

static enum err note_listeners_of(struct op *op, struct elbv2 *e, struct str lb_arn)
{
    struct store_items items = {0};
    TRY(store_list(op, e->store, &elbv2_kind_listener, &(struct store_range){.parent = lb_arn},
                   &items));
    for (size_t i = 0; i < items.count; i++) {
        elbv2_note_listener(e, items.items[i].key);
    }
    return ERR_OK;
}

enum err elbv2_put_load_balancer(struct op *op, struct elbv2 *e,
                                 const struct elbv2_load_balancer *lb)
{
    TRY(store_put(op, e->store, &elbv2_kind_load_balancer, lb->load_balancer_name, STR(""), lb));
    TRY(note_listeners_of(op, e, lb->load_balancer_arn));
    note_names(e);
    return ERR_OK;
}

enum err elbv2_remove_load_balancer(struct op *op, struct elbv2 *e,
                                    const struct elbv2_load_balancer *lb)
{
    struct store_items items = {0};
    struct store_range range = {.parent = lb->load_balancer_arn};
    TRY(store_list(op, e->store, &elbv2_kind_listener, &range, &items));
    for (size_t i = 0; i < items.count; i++) {
        TRY(elbv2_remove_listener(op, e, items.items[i].key));
    }
    TRY(elbv2_remove_client_secrets(op, e, lb->load_balancer_arn));
    TRY(store_remove(op, e->store, &elbv2_kind_more, lb->load_balancer_arn));
    TRY(store_remove(op, e->store, &elbv2_kind_load_balancer, lb->load_balancer_name));
    note_names(e);
    return ERR_OK;
}

/* ---- target groups -------------------------------------------------------------------------- */

enum err elbv2_get_group(struct op *op, struct elbv2 *e, struct str arn,
                         struct elbv2_target_group *ret)
{
    struct elbv2_name name = elbv2_read_arn(op, arn);
    if (name.resource != ELBV2_GROUP) {
        return elbv2_invalid(op, "'%.*s' is not a valid target group ARN", STR_ARG(arn));
    }
    struct elbv2_target_group group = {0};
    bool is_there = false;
    TRY(find(op, e, &elbv2_kind_group, name.name, &group, &is_there));
    if (!is_there || !str_equal(group.target_group_arn, arn)) {
        return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_target_group_not_found_exception,
                          "Target groups '%.*s' not found", STR_ARG(arn));
    }
    *ret = group;
    return ERR_OK;
}

enum err elbv2_put_group(struct op *op, struct elbv2 *e, const struct elbv2_target_group *group)
{
    TRY(store_put(op, e->store, &elbv2_kind_group, group->target_group_name, STR(""), group));
    elbv2_note_group(e, group->target_group_arn);
    return ERR_OK;
}

enum err elbv2_remove_group(struct op *op, struct elbv2 *e, struct str arn)
{
    struct elbv2_name name = elbv2_read_arn(op, arn);
    CHECK(name.resource == ELBV2_GROUP);
    TRY(store_remove_all(op, e->store, &elbv2_kind_target, &(struct store_range){.parent = arn}));
    TRY(store_remove(op, e->store, &elbv2_kind_more, arn));
    TRY(store_remove(op, e->store, &elbv2_kind_group, name.name));
    elbv2_note_group(e, arn);
    return ERR_OK;
}

enum err elbv2_group_load_balancer(struct op *op, struct elbv2 *e, struct str group_arn,
                                   struct str *ret_arn)
{
    struct store_items items = {0};
    TRY(store_list(op, e->store, &elbv2_kind_reference,
                   &(struct store_range){.parent = group_arn, .limit = 1}, &items));
    *ret_arn = STR_NONE;
    if (items.count > 0) {
        const struct engine_elb_reference *reference = items.items[0].value;
        *ret_arn = reference->load_balancer_arn;
    }
    return ERR_OK;
}

/* ---- references -------------------------------------------------------------------------------
 *
 * They answer "does anything send traffic to this group, and which load balancer" within the
 * transaction, without a walk over every rule. */

static struct str reference_key(struct op *op, struct str group_arn, struct str from_arn)
{
    return arena_printf(&op->arena, "%.*s\n%.*s", STR_ARG(group_arn), STR_ARG(from_arn));
}

static enum err refer(struct op *op, struct elbv2 *e, struct str group_arn, struct str from_arn)
{
    struct engine_elb_reference row = {.load_balancer_arn =
                                           elbv2_load_balancer_arn_of(op, from_arn)};
    TRY(store_put(op, e->store, &elbv2_kind_reference, reference_key(op, group_arn, from_arn),
                  group_arn, &row));
    elbv2_note_group(e, group_arn);
    return ERR_OK;
}

static enum err forget(struct op *op, struct elbv2 *e, struct str group_arn, struct str from_arn)
{
    TRY(store_remove(op, e->store, &elbv2_kind_reference, reference_key(op, group_arn, from_arn)));
    elbv2_note_group(e, group_arn);
    return ERR_OK;
}

typedef enum err (*reference_fn)(struct op *op, struct elbv2 *e, struct str group_arn,
                                 struct str from_arn);

static enum err each_tuple(struct op *op, struct elbv2 *e,
                           const struct elbv2_forward_action_config *forward, struct str from_arn,
                           reference_fn fn)
{
    for (size_t i = 0; forward != NULL && i < forward->target_groups.count; i++) {
        TRY(fn(op, e, forward->target_groups.items[i].target_group_arn, from_arn));
    }
    return ERR_OK;
}

static enum err each_group(struct op *op, struct elbv2 *e, const struct elbv2_actions *actions,
                           struct str from_arn, reference_fn fn)
{
    for (size_t i = 0; i < actions->count; i++) {
        TRY(each_tuple(op, e, actions->items[i].forward_config, from_arn, fn));
    }
    return ERR_OK;
}

enum err elbv2_check_group_quota(struct op *op, struct elbv2 *e, struct str load_balancer_arn)
{
    size_t count = 0;
    struct store_items items = {0};
    TRY(store_count(op, e->store, &elbv2_kind_reference, &(struct store_range){0}, &count));
    if (count <= ELBV2_GROUPS_OF_LOAD_BALANCER_MAX) {
        return ERR_OK; /* not even all of the region are too many: no need to look closer */
    }
    TRY(store_list(op, e->store, &elbv2_kind_reference, &(struct store_range){0}, &items));
    size_t groups = 0;
    struct str last = STR_NONE;
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_elb_reference *reference = items.items[i].value;
        if (str_equal(reference->load_balancer_arn, load_balancer_arn) &&
            !str_equal(items.items[i].parent, last)) {
            last = items.items[i].parent;
            groups++;
        }
    }
    if (groups > ELBV2_GROUPS_OF_LOAD_BALANCER_MAX) {
        return op_fail_as(
            op, ERR_LIMIT, &elbv2_error_too_many_unique_target_groups_per_load_balancer_exception,
            "You have reached the maximum number of unique target groups per load balancer: %d",
            ELBV2_GROUPS_OF_LOAD_BALANCER_MAX);
    }
    return ERR_OK;
}

/* ---- listeners ------------------------------------------------------------------------------ */

enum err elbv2_get_listener(struct op *op, struct elbv2 *e, struct str arn,
                            struct elbv2_listener *ret)
{
    if (elbv2_read_arn(op, arn).resource != ELBV2_LISTENER) {
        return elbv2_invalid(op, "'%.*s' is not a valid listener ARN", STR_ARG(arn));
    }
    bool is_there = false;
    struct elbv2_listener listener = {0};
    TRY(find(op, e, &elbv2_kind_listener, arn, &listener, &is_there));
    if (!is_there) {
        return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_listener_not_found_exception,
                          "One or more listeners not found");
    }
    *ret = listener;
    return ERR_OK;
}

enum err elbv2_put_listener(struct op *op, struct elbv2 *e, const struct elbv2_listener *listener)
{
    bool is_there = false;
    struct elbv2_listener old = {0};
    TRY(find(op, e, &elbv2_kind_listener, listener->listener_arn, &old, &is_there));
    TRY(each_group(op, e, &old.default_actions, listener->listener_arn, forget));
    TRY(each_group(op, e, &listener->default_actions, listener->listener_arn, refer));
    TRY(store_put(op, e->store, &elbv2_kind_listener, listener->listener_arn,
                  listener->load_balancer_arn, listener));
    elbv2_note_listener(e, listener->listener_arn);
    return ERR_OK;
}

enum err elbv2_remove_listener(struct op *op, struct elbv2 *e, struct str arn)
{
    struct elbv2_rule_list rules = {0};
    TRY(elbv2_list_rules(op, e, arn, &rules));
    for (size_t i = 0; i < rules.count; i++) {
        TRY(elbv2_remove_rule(op, e, &rules.items[i]));
    }
    struct elbv2_listener listener = {0};
    TRY(elbv2_get_listener(op, e, arn, &listener));
    TRY(each_group(op, e, &listener.default_actions, arn, forget));
    TRY(store_remove(op, e->store, &elbv2_kind_more, arn));
    TRY(store_remove(op, e->store, &elbv2_kind_listener, arn));
    elbv2_note_listener(e, arn);
    return ERR_OK;
}

/* ---- rules ------------------------------------------------------------------------------------
 *
 * The row of a default rule has no actions: they are the listener's default actions, so that there
 * is one truth, and are filled in when the row is read. */

static enum err fill_default_rule(struct op *op, struct elbv2 *e, struct elbv2_rule *rule)
{
    if (!OPT_OR(rule->is_default, false)) {
        return ERR_OK;
    }
    struct elbv2_listener listener = {0};
    TRY(elbv2_get_listener(op, e, elbv2_listener_arn_of(op, rule->rule_arn), &listener));
    rule->actions = listener.default_actions;
    rule->conditions = (struct elbv2_rule_condition_list){.is_set = true};
    return ERR_OK;
}

enum err elbv2_get_rule(struct op *op, struct elbv2 *e, struct str arn, struct elbv2_rule *ret)
{
    if (elbv2_read_arn(op, arn).resource != ELBV2_RULE) {
        return elbv2_invalid(op, "'%.*s' is not a valid listener rule ARN", STR_ARG(arn));
    }
    bool is_there = false;
    struct elbv2_rule rule = {0};
    TRY(find(op, e, &elbv2_kind_rule, arn, &rule, &is_there));
    if (!is_there) {
        return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_rule_not_found_exception,
                          "One or more rules not found");
    }
    TRY(fill_default_rule(op, e, &rule));
    *ret = rule;
    return ERR_OK;
}

enum err elbv2_put_rule(struct op *op, struct elbv2 *e, const struct elbv2_rule *rule)
{
    struct elbv2_rule row = *rule;
    struct str listener_arn = elbv2_listener_arn_of(op, rule->rule_arn);
    if (OPT_OR(row.is_default, false)) {
        row.actions = (struct elbv2_actions){0};
        row.conditions = (struct elbv2_rule_condition_list){0};
    }
    bool is_there = false;
    struct elbv2_rule old = {0};
    TRY(find(op, e, &elbv2_kind_rule, rule->rule_arn, &old, &is_there));
    TRY(each_group(op, e, &old.actions, rule->rule_arn, forget));
    TRY(each_group(op, e, &row.actions, rule->rule_arn, refer));
    TRY(store_put(op, e->store, &elbv2_kind_rule, rule->rule_arn, listener_arn, &row));
    elbv2_note_listener(e, listener_arn);
    return ERR_OK;
}

enum err elbv2_remove_rule(struct op *op, struct elbv2 *e, const struct elbv2_rule *rule)
{
    if (!OPT_OR(rule->is_default, false)) {
        TRY(each_group(op, e, &rule->actions, rule->rule_arn, forget));
    }
    TRY(store_remove(op, e->store, &elbv2_kind_more, rule->rule_arn));
    TRY(store_remove(op, e->store, &elbv2_kind_rule, rule->rule_arn));
    elbv2_note_listener(e, elbv2_listener_arn_of(op, rule->rule_arn));
    return ERR_OK;
}

int32_t elbv2_priority(const struct elbv2_rule *rule)
{
    uint64_t priority = 0;
    if (OPT_OR(rule->is_default, false) ||
        !str_parse_u64(rule->priority, ELBV2_PRIORITY_MAX, &priority)) {
        return 0;
    }
    return (int32_t)priority;
}

/* The default rule has 0 and comes last all the same. */
static bool is_before(const struct elbv2_rule *a, const struct elbv2_rule *b)
{
    int32_t first = elbv2_priority(a);
    int32_t second = elbv2_priority(b);
    return first != 0 && (second == 0 || first < second);
}

enum err elbv2_list_rules(struct op *op, struct elbv2 *e, struct str listener_arn,
                          struct elbv2_rule_list *ret)
{
    struct store_items items = {0};
    TRY(store_list(op, e->store, &elbv2_kind_rule, &(struct store_range){.parent = listener_arn},
                   &items));
    struct elbv2_rule_list rules = {.items =
                                        ARENA_ARRAY(&op->arena, struct elbv2_rule, items.count)};
    for (size_t i = 0; i < items.count; i++) {
        struct elbv2_rule rule = *(const struct elbv2_rule *)items.items[i].value;
        TRY(fill_default_rule(op, e, &rule));
        size_t at = rules.count++;
        for (; at > 0 && is_before(&rule, &rules.items[at - 1]); at--) {
            rules.items[at] = rules.items[at - 1];
        }
        rules.items[at] = rule;
    }
    *ret = rules;
    return ERR_OK;
}

/* ---- beside them ---------------------------------------------------------------------------- */

enum err elbv2_get_more(struct op *op, struct elbv2 *e, struct str arn, struct engine_elb_more *ret)
{
    struct engine_elb_more more = {0};
    bool is_there = false;
    TRY(find(op, e, &elbv2_kind_more, arn, &more, &is_there));
    *ret = more;
    return ERR_OK;
}

enum err elbv2_put_more(struct op *op, struct elbv2 *e, struct str arn,
                        const struct engine_elb_more *more)
{
    struct elbv2_name name = elbv2_read_arn(op, arn);
    struct str parent = STR("");
    if (name.resource != ELBV2_GROUP && name.resource != ELBV2_TRUST_STORE) {
        parent = elbv2_load_balancer_arn_of(op, arn);
    }
    TRY(store_put(op, e->store, &elbv2_kind_more, arn, parent, more));
    switch (name.resource) {
    case ELBV2_GROUP:
        elbv2_note_group(e, arn);
        break;
    case ELBV2_LISTENER:
        elbv2_note_listener(e, arn);
        break;
    case ELBV2_LOAD_BALANCER:
        TRY(note_listeners_of(op, e, arn));
        break;
    case ELBV2_RULE: /* tags only */
    case ELBV2_TRUST_STORE:
    case ELBV2_NO_RESOURCE:
        break;
    }
    return ERR_OK;
}

/* ---- targets -------------------------------------------------------------------------------- */

struct str elbv2_target_key(struct op *op, struct str group_arn, struct str host, int32_t port)
{
    return arena_printf(&op->arena, "%.*s\n%.*s\n%d", STR_ARG(group_arn), STR_ARG(host), port);
}

enum err elbv2_list_targets(struct op *op, struct elbv2 *e, struct str group_arn,
                            struct elbv2_target_list *ret)
{
    struct store_items items = {0};
    TRY(store_list(op, e->store, &elbv2_kind_target, &(struct store_range){.parent = group_arn},
                   &items));
    struct elbv2_target_list targets = {
        .items = ARENA_ARRAY(&op->arena, struct engine_elb_target, items.count),
        .count = items.count};
    for (size_t i = 0; i < items.count; i++) {
        targets.items[i] = *(const struct engine_elb_target *)items.items[i].value;
    }
    *ret = targets;
    return ERR_OK;
}

enum err elbv2_get_target(struct op *op, struct elbv2 *e, struct str group_arn, struct str host,
                          int32_t port, struct engine_elb_target *ret)
{
    return store_get(op, e->store, &elbv2_kind_target, elbv2_target_key(op, group_arn, host, port),
                     ret);
}

enum err elbv2_put_target(struct op *op, struct elbv2 *e, struct str group_arn,
                          const struct engine_elb_target *target)
{
    struct str key = elbv2_target_key(op, group_arn, target->host, OPT_OR(target->port, 0));
    TRY(store_put(op, e->store, &elbv2_kind_target, key, group_arn, target));
    elbv2_note_group(e, group_arn);
    return ERR_OK;
}

enum err elbv2_remove_target(struct op *op, struct elbv2 *e, struct str group_arn, struct str host,
                             int32_t port)
{
    struct str key = elbv2_target_key(op, group_arn, host, port);
    TRY(store_remove(op, e->store, &elbv2_kind_target, key));
    elbv2_note_group(e, group_arn);
    return ERR_OK;
}
