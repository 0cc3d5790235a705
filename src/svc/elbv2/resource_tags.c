#include "svc/elbv2/resource_tags.h"

#include "base/cleanup.h"
#include "svc/common/tags.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/load_balancers.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/state.h"
#include "svc/elbv2/trust_stores.h"

/* Fails as every operation on such a resource does. */
static enum err check_exists(struct op *op, struct elbv2 *e, struct str arn)
{
    struct elbv2_load_balancer lb = {0};
    struct elbv2_target_group group = {0};
    struct elbv2_listener listener = {0};
    struct elbv2_rule rule = {0};
    struct engine_elb_trust_store store = {0};
    switch (elbv2_read_arn(op, arn).resource) {
    case ELBV2_LOAD_BALANCER:
        return elbv2_get_load_balancer(op, e, arn, &lb);
    case ELBV2_GROUP:
        return elbv2_get_group(op, e, arn, &group);
    case ELBV2_LISTENER:
        return elbv2_get_listener(op, e, arn, &listener);
    case ELBV2_RULE:
        return elbv2_get_rule(op, e, arn, &rule);
    case ELBV2_TRUST_STORE:
        return elbv2_get_trust_store(op, e, arn, &store);
    case ELBV2_NO_RESOURCE:
        break;
    }
    return elbv2_invalid(op, "'%.*s' is not a valid ARN", STR_ARG(arn));
}

static enum err check_count(struct op *op, const struct elbv2_resource_arns *arns)
{
    if (arns->count == 0) {
        return elbv2_invalid(op, "At least one resource ARN must be specified");
    }
    if (arns->count > ELBV2_ARNS_OF_CALL_MAX) {
        return elbv2_invalid(op, "Up to '%d' resources can be specified in a single call",
                             ELBV2_ARNS_OF_CALL_MAX);
    }
    return ERR_OK;
}

enum err elbv2_add_tags(struct op *op, struct elbv2 *e, const struct elbv2_add_tags_in *in,
                        struct elbv2_add_tags_out *ret)
{
    (void)ret;
    struct tags add = TAGS_FROM(&op->arena, in->tags);
    TRY(check_count(op, &in->resource_arns));
    TRY(tags_check(op, &elbv2_tag_errors, &add));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    for (size_t i = 0; i < in->resource_arns.count; i++) {
        struct str arn = in->resource_arns.items[i];
        struct engine_elb_more more = {0};
        TRY(check_exists(op, e, arn));
        TRY(elbv2_get_more(op, e, arn, &more));
        struct tags kept = elbv2_kept_tags(op, &more);
        TRY(tags_merge(op, &elbv2_tag_errors, &kept, &add, &kept));
        elbv2_keep_tags(op, &kept, &more);
        TRY(elbv2_put_more(op, e, arn, &more));
    }
    return store_tx_commit(op, &tx);
}

enum err elbv2_remove_tags(struct op *op, struct elbv2 *e, const struct elbv2_remove_tags_in *in,
                           struct elbv2_remove_tags_out *ret)
{
    (void)ret;
    TRY(check_count(op, &in->resource_arns));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    for (size_t i = 0; i < in->resource_arns.count; i++) {
        struct str arn = in->resource_arns.items[i];
        struct engine_elb_more more = {0};
        TRY(check_exists(op, e, arn));
        TRY(elbv2_get_more(op, e, arn, &more));
        struct tags kept = elbv2_kept_tags(op, &more);
        kept = tags_without(&op->arena, &kept, in->tag_keys.items, in->tag_keys.count);
        elbv2_keep_tags(op, &kept, &more);
        TRY(elbv2_put_more(op, e, arn, &more));
    }
    return store_tx_commit(op, &tx);
}

enum err elbv2_describe_tags(struct op *op, struct elbv2 *e,
                             const struct elbv2_describe_tags_in *in,
                             struct elbv2_describe_tags_out *ret)
{
    ret->tag_descriptions.is_set = true;
    TRY(check_count(op, &in->resource_arns));
    for (size_t i = 0; i < in->resource_arns.count; i++) {
        struct str arn = in->resource_arns.items[i];
        struct engine_elb_more more = {0};
        TRY(check_exists(op, e, arn));
        TRY(elbv2_get_more(op, e, arn, &more));
        struct tags kept = elbv2_kept_tags(op, &more);
        struct elbv2_tag_description *item = ARENA_PUSH(&op->arena, &ret->tag_descriptions);
        item->resource_arn = arn;
        TAGS_INTO(&op->arena, kept, &item->tags);
    }
    return ERR_OK;
}
