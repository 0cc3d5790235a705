#include "svc/elbv2/target_groups.h"

#include "base/cleanup.h"
#include "svc/common/arn.h"
#include "svc/common/ids.h"
#include "svc/common/page.h"
#include "svc/common/tags.h"
#include "svc/elbv2/actions.h"
#include "svc/elbv2/attributes.h"
#include "svc/elbv2/group_settings.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/load_balancers.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/state.h"

static const struct page_rules pages = {.list_name = "elbv2.groups",
                                        .default_count = 400,
                                        .max_count = 400,
                                        .bad_token = &elbv2_validation_error,
                                        .bad_token_text = "The marker is not valid"};

static enum err push_shown(struct op *op, struct elbv2 *e, const struct elbv2_target_group *group,
                           struct elbv2_target_groups *to)
{
    struct str lb_arn = STR_NONE;
    TRY(elbv2_group_load_balancer(op, e, group->target_group_arn, &lb_arn));
    struct elbv2_target_group *item = ARENA_PUSH(&op->arena, to);
    to->is_set = true;
    *item = *group;
    item->load_balancer_arns = (struct elbv2_load_balancer_arns){.is_set = true};
    if (str_is_set(lb_arn)) {
        *ARENA_PUSH(&op->arena, &item->load_balancer_arns) = lb_arn;
    }
    return ERR_OK;
}

/* ---- create --------------------------------------------------------------------------------- */

static enum err compare(struct op *op, struct elbv2 *e, const struct elbv2_target_group *old,
                        const struct elbv2_target_group *asked, const struct tags *tags)
{
    struct engine_elb_more more = {0};
    TRY(elbv2_get_more(op, e, old->target_group_arn, &more));
    struct tags old_tags = elbv2_kept_tags(op, &more);
    if (elbv2_groups_are_alike(old, asked) && tags_equal(&old_tags, tags)) {
        return ERR_OK;
    }
    return op_fail_as(
        op, ERR_EXISTS, &elbv2_error_duplicate_target_group_name_exception,
        "A target group with the same name '%.*s' exists, but with different settings",
        STR_ARG(asked->target_group_name));
}

static enum err check_quota(struct op *op, struct elbv2 *e)
{
    size_t count = 0;
    TRY(store_count(op, e->store, &elbv2_kind_group, &(struct store_range){0}, &count));
    if (count >= ELBV2_TARGET_GROUPS_MAX) {
        return op_fail_as(op, ERR_LIMIT, &elbv2_error_too_many_target_groups_exception,
                          "You have reached the maximum number of target groups: %d",
                          ELBV2_TARGET_GROUPS_MAX);
    }
    return ERR_OK;
}

enum err elbv2_create_target_group(struct op *op, struct elbv2 *e,
                                   const struct elbv2_create_target_group_in *in,
                                   struct elbv2_create_target_group_out *ret)
{
    struct elbv2_target_group group = {0};
    struct tags tags = TAGS_FROM(&op->arena, in->tags);
    TRY(elbv2_check_name(op, "Target group name", in->name));
    TRY(elbv2_settle_group(op, in, &group));
    TRY(tags_check(op, &elbv2_tag_errors, &tags));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    if (store_has(op, e->store, &elbv2_kind_group, in->name)) {
        struct elbv2_target_group old = {0};
        TRY(store_get(op, e->store, &elbv2_kind_group, in->name, &old));
        TRY(compare(op, e, &old, &group, &tags));
        TRY(store_tx_commit(op, &tx));
        return push_shown(op, e, &old, &ret->target_groups);
    }
    TRY(check_quota(op, e));
    struct str id = id_hex16(&op->arena);
    group.target_group_arn = arn_makef(op, STR("elasticloadbalancing"), "targetgroup/%.*s/%.*s",
                                       STR_ARG(in->name), STR_ARG(id));
    TRY(elbv2_put_group(op, e, &group));
    if (tags.count > 0) {
        struct engine_elb_more more = {0};
        elbv2_keep_tags(op, &tags, &more);
        TRY(elbv2_put_more(op, e, group.target_group_arn, &more));
    }
    TRY(store_tx_commit(op, &tx));
    return push_shown(op, e, &group, &ret->target_groups);
}

/* ---- describe ------------------------------------------------------------------------------- */

static enum err describe_arns(struct op *op, struct elbv2 *e,
                              const struct elbv2_target_group_arns *arns,
                              struct elbv2_target_groups *ret)
{
    for (size_t i = 0; i < arns->count; i++) {
        struct elbv2_target_group group = {0};
        enum err result = elbv2_get_group(op, e, arns->items[i], &group);
        if (result == ERR_NOT_FOUND) {
            return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_target_group_not_found_exception,
                              "One or more target groups not found");
        }
        TRY(result);
        TRY(push_shown(op, e, &group, ret));
    }
    return ERR_OK;
}

static enum err describe_names(struct op *op, struct elbv2 *e,
                               const struct elbv2_target_group_names *names,
                               struct elbv2_target_groups *ret)
{
    for (size_t i = 0; i < names->count; i++) {
        struct elbv2_target_group group = {0};
        if (!store_has(op, e->store, &elbv2_kind_group, names->items[i])) {
            return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_target_group_not_found_exception,
                              "One or more target groups not found");
        }
        TRY(store_get(op, e->store, &elbv2_kind_group, names->items[i], &group));
        TRY(push_shown(op, e, &group, ret));
    }
    return ERR_OK;
}

/* The groups that the load balancer sends traffic to; it has at most a hundred. */
static enum err describe_of_load_balancer(struct op *op, struct elbv2 *e, struct str lb_arn,
                                          struct elbv2_target_groups *ret)
{
    struct elbv2_load_balancer lb = {0};
    TRY(elbv2_get_load_balancer(op, e, lb_arn, &lb));
    struct store_items items = {0};
    TRY(store_list(op, e->store, &elbv2_kind_reference, &(struct store_range){0}, &items));
    struct str last =
        STR_NONE; /* rows of a group follow each other, because its ARN leads the key */
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_elb_reference *reference = items.items[i].value;
        struct str group_arn = items.items[i].parent;
        if (!str_equal(reference->load_balancer_arn, lb_arn) || str_equal(group_arn, last)) {
            continue;
        }
        last = group_arn;
        struct elbv2_target_group group = {0};
        TRY(elbv2_get_group(op, e, group_arn, &group));
        TRY(push_shown(op, e, &group, ret));
    }
    return ERR_OK;
}

enum err elbv2_describe_target_groups(struct op *op, struct elbv2 *e,
                                      const struct elbv2_describe_target_groups_in *in,
                                      struct elbv2_describe_target_groups_out *ret)
{
    ret->target_groups.is_set = true;
    int chosen =
        (in->target_group_arns.count > 0) + (in->names.count > 0) + (in->load_balancer_arn.len > 0);
    if (chosen > 1) {
        return elbv2_invalid(op, "Only one of target group ARNs, target group names and a load "
                                 "balancer ARN can be specified");
    }
    if (in->target_group_arns.count > 0) {
        return describe_arns(op, e, &in->target_group_arns, &ret->target_groups);
    }
    if (in->names.count > 0) {
        return describe_names(op, e, &in->names, &ret->target_groups);
    }
    if (in->load_balancer_arn.len > 0) {
        return describe_of_load_balancer(op, e, in->load_balancer_arn, &ret->target_groups);
    }
    struct store_items items = {0};
    TRY(page_list(op, e->store, &elbv2_kind_group, &(struct store_range){0}, &pages,
                  (struct page_ask){in->marker, in->page_size}, &items, &ret->next_marker));
    for (size_t i = 0; i < items.count; i++) {
        TRY(push_shown(op, e, items.items[i].value, &ret->target_groups));
    }
    return ERR_OK;
}

/* ---- modify, delete ------------------------------------------------------------------------- */

enum err elbv2_modify_target_group(struct op *op, struct elbv2 *e,
                                   const struct elbv2_modify_target_group_in *in,
                                   struct elbv2_modify_target_group_out *ret)
{
    struct elbv2_target_group group = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_group(op, e, in->target_group_arn, &group));
    TRY(elbv2_change_group(op, in, &group));
    TRY(elbv2_put_group(op, e, &group));
    TRY(store_tx_commit(op, &tx));
    return push_shown(op, e, &group, &ret->target_groups);
}

enum err elbv2_delete_target_group(struct op *op, struct elbv2 *e,
                                   const struct elbv2_delete_target_group_in *in,
                                   struct elbv2_delete_target_group_out *ret)
{
    (void)ret;
    struct elbv2_target_group group = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    enum err result = elbv2_get_group(op, e, in->target_group_arn, &group);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        return store_tx_commit(op, &tx); /* deleting twice succeeds */
    }
    TRY(result);
    struct str lb_arn = STR_NONE;
    TRY(elbv2_group_load_balancer(op, e, group.target_group_arn, &lb_arn));
    if (str_is_set(lb_arn)) {
        return op_fail_as(op, ERR_STATE, &elbv2_error_resource_in_use_exception,
                          "Target group '%.*s' is currently in use by a listener or a rule",
                          STR_ARG(group.target_group_arn));
    }
    TRY(elbv2_remove_group(op, e, group.target_group_arn));
    return store_tx_commit(op, &tx);
}

/* ---- attributes ----------------------------------------------------------------------------- */

enum err elbv2_describe_target_group_attributes(
    struct op *op, struct elbv2 *e, const struct elbv2_describe_target_group_attributes_in *in,
    struct elbv2_describe_target_group_attributes_out *ret)
{
    struct elbv2_target_group group = {0};
    struct engine_elb_more more = {0};
    TRY(elbv2_get_group(op, e, in->target_group_arn, &group));
    TRY(elbv2_get_more(op, e, group.target_group_arn, &more));
    struct tags all =
        elbv2_attributes_all(&op->arena, elbv2_owner_of_group(&group), &more.attributes);
    TAGS_INTO(&op->arena, all, &ret->attributes);
    return ERR_OK;
}

static bool begins_stickiness(const struct tags *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        if (STR_IS(changes->items[i].key, "stickiness.enabled")) {
            return true;
        }
    }
    return false;
}

enum err elbv2_modify_target_group_attributes(
    struct op *op, struct elbv2 *e, const struct elbv2_modify_target_group_attributes_in *in,
    struct elbv2_modify_target_group_attributes_out *ret)
{
    struct elbv2_target_group group = {0};
    struct engine_elb_more more = {0};
    struct tags changes = TAGS_FROM(&op->arena, in->attributes);
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_group(op, e, in->target_group_arn, &group));
    TRY(elbv2_get_more(op, e, group.target_group_arn, &more));
    struct elbv2_attribute_owner owner = elbv2_owner_of_group(&group);
    TRY(elbv2_attributes_change(op, owner, &more.attributes, &changes, &more.attributes));
    bool is_sticky =
        STR_IS(elbv2_attribute(owner, &more.attributes, STR("stickiness.enabled")), "true");
    if (is_sticky && begins_stickiness(&changes)) {
        TRY(elbv2_check_sticky_rules(op, e, group.target_group_arn));
    }
    TRY(elbv2_put_more(op, e, group.target_group_arn, &more));
    TRY(store_tx_commit(op, &tx));
    struct tags all = elbv2_attributes_all(&op->arena, owner, &more.attributes);
    TAGS_INTO(&op->arena, all, &ret->attributes);
    return ERR_OK;
}
