/* Tags of alarms and dashboards. */

#include "base/check.h"
#include "gen/engine.h"
#include "store/store.h"
#include "svc/cloudwatch/errors.h"
#include "svc/cloudwatch/handlers.h"
#include "svc/common/arn.h"
#include "svc/common/tags.h"

static const struct store_kind tag_rows = {"cloudwatch.tags", &shape_engine_cloudwatch_tags};

static const struct tag_errors tag_errors = {
    .too_many = &cw_error_validation,
    .duplicate = &cloudwatch_error_invalid_parameter_value_exception,
    .invalid = &cloudwatch_error_invalid_parameter_value_exception,
};

static enum err read_tags(struct op *op, struct store *st, struct str arn, struct tags *ret)
{
    struct engine_cloudwatch_tags row = {0};
    enum err e = store_get(op, st, &tag_rows, arn, &row);
    *ret = (struct tags){0};
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return ERR_OK;
    }
    TRY(e);
    *ret = TAGS_FROM(&op->arena, row.tags);
    return ERR_OK;
}

static enum err write_tags(struct op *op, struct store *st, struct str arn, const struct tags *tags)
{
    struct engine_cloudwatch_tags row = {0};
    TAGS_INTO(&op->arena, *tags, &row.tags);
    return store_put(op, st, &tag_rows, arn, STR(""), &row);
}

enum err cw_tags_put_new(struct op *op, struct store *st, struct str arn,
                         const struct cloudwatch_tag_list *tags)
{
    if (tags == NULL || tags->count == 0) {
        return ERR_OK;
    }
    struct tags new_tags = TAGS_FROM(&op->arena, *tags);
    TRY(tags_check(op, &tag_errors, &new_tags));
    return write_tags(op, st, arn, &new_tags);
}

enum err cw_tags_forget(struct op *op, struct store *st, struct str arn)
{
    return store_remove(op, st, &tag_rows, arn);
}

enum err cw_tags_reset(struct op *op, struct store *st)
{
    return store_remove_all(op, st, &tag_rows, &(struct store_range){.is_every_region = true});
}

/* ERR_NOT_FOUND when no alarm and no dashboard has this ARN. */
static enum err check_resource(struct op *op, struct cloudwatch *cw, struct str text)
{
    struct arn arn = {0};
    struct str name = STR_NONE;
    if (!arn_parse(text, &arn) || !STR_IS(arn.service, "cloudwatch")) {
        return op_fail_as(op, ERR_INPUT, &cloudwatch_error_invalid_parameter_value_exception,
                          "Invalid arn syntax: %.*s", STR_ARG(text));
    }
    bool is_there = false;
    if (arn_tail(&arn, STR("alarm:"), &name)) {
        is_there = str_equal(arn.region, op->region) &&
                   cw_alarms_find(op, &cw->alarms, op->region, name) != NULL;
    } else if (arn_tail(&arn, STR("dashboard/"), &name)) {
        is_there = cw_dashboard_exists(op, cw->config.store, name);
    }
    if (!is_there) {
        return op_fail_as(op, ERR_NOT_FOUND, &cloudwatch_error_resource_not_found_exception,
                          "Unknown");
    }
    return ERR_OK;
}

enum err cw_op_tag_resource(struct op *op, struct cloudwatch *cw,
                            const struct cloudwatch_tag_resource_in *in,
                            struct cloudwatch_tag_resource_out *ret)
{
    (void)ret;
    struct tags have = {0};
    struct tags merged = {0};
    struct tags add = TAGS_FROM(&op->arena, in->tags);
    TRY(check_resource(op, cw, in->resource_arn));
    TRY(tags_check(op, &tag_errors, &add));
    TRY(read_tags(op, cw->config.store, in->resource_arn, &have));
    TRY(tags_merge(op, &tag_errors, &have, &add, &merged));
    return write_tags(op, cw->config.store, in->resource_arn, &merged);
}

enum err cw_op_untag_resource(struct op *op, struct cloudwatch *cw,
                              const struct cloudwatch_untag_resource_in *in,
                              struct cloudwatch_untag_resource_out *ret)
{
    (void)ret;
    struct tags have = {0};
    TRY(check_resource(op, cw, in->resource_arn));
    TRY(read_tags(op, cw->config.store, in->resource_arn, &have));
    struct tags left = tags_without(&op->arena, &have, in->tag_keys.items, in->tag_keys.count);
    return write_tags(op, cw->config.store, in->resource_arn, &left);
}

enum err cw_op_list_tags_for_resource(struct op *op, struct cloudwatch *cw,
                                      const struct cloudwatch_list_tags_for_resource_in *in,
                                      struct cloudwatch_list_tags_for_resource_out *ret)
{
    struct tags have = {0};
    TRY(check_resource(op, cw, in->resource_arn));
    TRY(read_tags(op, cw->config.store, in->resource_arn, &have));
    TAGS_INTO(&op->arena, have, &ret->tags);
    return ERR_OK;
}
