/* The target of an ECS deployment is its service: there is always exactly one. */
#include "svc/codedeploy/handlers.h"
#include "svc/codedeploy/priv.h"

static bool is_target(struct op *op, const struct engine_codedeploy_deployment *d, struct str id)
{
    return str_equal(cd_target_id(op, d), id);
}

enum err cd_get_deployment_target(struct op *op, struct codedeploy *cd,
                                  const struct codedeploy_get_deployment_target_in *in,
                                  struct codedeploy_get_deployment_target_out *ret)
{
    struct engine_codedeploy_deployment d = {0};
    TRY(cd_find_deployment(op, cd, in->deployment_id, &d));
    if (!is_target(op, &d, in->target_id)) {
        return cd_fail(op, deployment_target_does_not_exist_exception,
                       "The deployment %.*s has no target %.*s", STR_ARG(in->deployment_id),
                       STR_ARG(in->target_id));
    }
    ret->deployment_target = ARENA_NEW(&op->arena, struct codedeploy_deployment_target);
    return cd_show_target(op, cd, &d, ret->deployment_target);
}

static bool passes_filters(const struct codedeploy_target_filters *filters,
                           enum codedeploy_target_status status)
{
    const char *name = shape_enum_name(&shape_codedeploy_target_status, (int)status);
    for (size_t i = 0; i < filters->count; i++) {
        if (filters->items[i].key != CODEDEPLOY_TARGET_FILTER_NAME_TARGETSTATUS) {
            continue; /* instance labels: there are no instances */
        }
        bool is_in = false;
        for (size_t v = 0; v < filters->items[i].value.count; v++) {
            is_in = is_in || str_equal(filters->items[i].value.items[v], str_of(name));
        }
        if (!is_in) {
            return false;
        }
    }
    return true;
}

enum err cd_list_deployment_targets(struct op *op, struct codedeploy *cd,
                                    const struct codedeploy_list_deployment_targets_in *in,
                                    struct codedeploy_list_deployment_targets_out *ret)
{
    struct engine_codedeploy_deployment d = {0};
    TRY(cd_find_deployment(op, cd, in->deployment_id, &d));
    ret->target_ids.is_set = true;
    if (passes_filters(&in->target_filters, cd_target_status(&d))) {
        *ARENA_PUSH(&op->arena, &ret->target_ids) = cd_target_id(op, &d);
    }
    return ERR_OK;
}

enum err cd_batch_get_deployment_targets(
    struct op *op, struct codedeploy *cd,
    const struct codedeploy_batch_get_deployment_targets_in *in,
    struct codedeploy_batch_get_deployment_targets_out *ret)
{
    struct engine_codedeploy_deployment d = {0};
    TRY(cd_find_deployment(op, cd, in->deployment_id, &d));
    if (in->target_ids.count == 0) {
        return cd_fail(op, deployment_target_id_required_exception,
                       "Deployment target ids must be specified");
    }
    if (in->target_ids.count > CODEDEPLOY_BATCH_SMALL_MAX) {
        return cd_fail(op, deployment_target_list_size_exceeded_exception,
                       "The list has %zu targets, the limit is %d", in->target_ids.count,
                       CODEDEPLOY_BATCH_SMALL_MAX);
    }
    ret->deployment_targets.is_set = true;
    for (size_t i = 0; i < in->target_ids.count; i++) {
        if (!is_target(op, &d, in->target_ids.items[i])) {
            return cd_fail(op, deployment_target_does_not_exist_exception,
                           "The deployment %.*s has no target %.*s", STR_ARG(in->deployment_id),
                           STR_ARG(in->target_ids.items[i]));
        }
        struct codedeploy_deployment_target target = {0};
        TRY(cd_show_target(op, cd, &d, &target));
        *ARENA_PUSH(&op->arena, &ret->deployment_targets) = target;
    }
    return ERR_OK;
}
