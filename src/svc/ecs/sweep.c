/* What is no longer kept goes: tasks that stopped more than an hour ago with their logs' tails, run
 * tokens, services and clusters that are INACTIVE for a day, task definitions that were deleted and
 * that nothing uses any more. */
#include "svc/ecs/ecs_priv.h"

#include "base/log.h"

static bool is_older(const struct op *op, struct opt_time at, dur_t kept)
{
    return at.is_set && wall_since(op->now, at.value).us > kept.us;
}

static enum err list_all(struct op *op, struct ecs *ecs, const struct store_kind *kind,
                         struct store_items *ret)
{
    struct store_range everywhere = {.is_every_region = true};
    return store_list(op, ecs->config.store, kind, &everywhere, ret);
}

static enum err sweep_tasks(struct op *op, struct ecs *ecs)
{
    struct store_items rows = {0};
    TRY(list_all(op, ecs, &ecs_kind_task, &rows));
    for (size_t i = 0; i < rows.count; i++) {
        const struct engine_ecs_task *row = rows.items[i].value;
        if (!is_older(op, row->task->stopped_at, ECS_STOPPED_KEPT)) {
            continue;
        }
        op->region = rows.items[i].region;
        struct store_range logs = {.parent = ecs_task_id(row->task)};
        TRY(store_remove_all(op, ecs->config.store, &ecs_kind_task_log, &logs));
        TRY(store_remove(op, ecs->config.store, &ecs_kind_task, rows.items[i].key));
    }
    return ERR_OK;
}

static enum err sweep_tokens(struct op *op, struct ecs *ecs)
{
    struct store_items rows = {0};
    TRY(list_all(op, ecs, &ecs_kind_run_token, &rows));
    for (size_t i = 0; i < rows.count; i++) {
        const struct engine_ecs_run_token *row = rows.items[i].value;
        if (!is_older(op, row->used_at, ECS_RUN_TOKEN_KEPT)) {
            continue;
        }
        op->region = rows.items[i].region;
        TRY(store_remove(op, ecs->config.store, &ecs_kind_run_token, rows.items[i].key));
    }
    return ERR_OK;
}

static enum err remove_service(struct op *op, struct ecs *ecs, struct str key)
{
    static const struct store_kind *const parts[] = {&ecs_kind_event, &ecs_kind_service_deployment,
                                                     &ecs_kind_revision};
    struct store_range range = {.parent = key};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        TRY(store_remove_all(op, ecs->config.store, parts[i], &range));
    }
    return store_remove(op, ecs->config.store, &ecs_kind_service, key);
}

static enum err sweep_services(struct op *op, struct ecs *ecs)
{
    struct store_items rows = {0};
    TRY(list_all(op, ecs, &ecs_kind_service, &rows));
    for (size_t i = 0; i < rows.count; i++) {
        const struct engine_ecs_service *row = rows.items[i].value;
        if (!STR_IS(row->service->status, "INACTIVE") ||
            !is_older(op, row->inactive_at, ECS_INACTIVE_KEPT)) {
            continue;
        }
        op->region = rows.items[i].region;
        TRY(remove_service(op, ecs, rows.items[i].key));
    }
    return ERR_OK;
}

static bool is_used(struct str arn, const struct store_items *tasks,
                    const struct store_items *deployments, const struct store_items *sets)
{
    for (size_t i = 0; i < tasks->count; i++) {
        const struct engine_ecs_task *row = tasks->items[i].value;
        if (str_equal(row->task->task_definition_arn, arn) &&
            ecs_task_status(row->task) != TASK_STOPPED) {
            return true;
        }
    }
    for (size_t i = 0; i < deployments->count; i++) {
        const struct engine_ecs_deployment *row = deployments->items[i].value;
        if (str_equal(row->deployment->task_definition, arn)) {
            return true;
        }
    }
    for (size_t i = 0; i < sets->count; i++) {
        const struct engine_ecs_task_set *row = sets->items[i].value;
        if (str_equal(row->task_set->task_definition, arn)) {
            return true;
        }
    }
    return false;
}

static enum err sweep_definitions(struct op *op, struct ecs *ecs)
{
    struct store_items rows = {0};
    struct store_items tasks = {0};
    struct store_items deployments = {0};
    struct store_items sets = {0};
    TRY(list_all(op, ecs, &ecs_kind_task_definition, &rows));
    TRY(list_all(op, ecs, &ecs_kind_task, &tasks));
    TRY(list_all(op, ecs, &ecs_kind_deployment, &deployments));
    TRY(list_all(op, ecs, &ecs_kind_task_set, &sets));
    for (size_t i = 0; i < rows.count; i++) {
        const struct ecs_task_definition *td =
            ((const struct engine_ecs_task_definition *)rows.items[i].value)->definition;
        if (td->status != ECS_TASK_DEFINITION_STATUS_DELETE_IN_PROGRESS ||
            is_used(td->task_definition_arn, &tasks, &deployments, &sets)) {
            continue;
        }
        op->region = rows.items[i].region;
        TRY(store_remove(op, ecs->config.store, &ecs_kind_task_definition, rows.items[i].key));
    }
    return ERR_OK;
}

typedef enum err sweep_fn(struct op *op, struct ecs *ecs);
static sweep_fn *const sweeps[] = {sweep_tasks, sweep_tokens, sweep_services, sweep_definitions};

void ecs_sweep(struct ev_timer *t)
{
    struct ecs *ecs = CONTAINER_OF(t, struct ecs, sweep);
    for (size_t i = 0; i < ARRAY_COUNT(sweeps); i++) {
        auto_op struct op op;
        ecs_op_init(&op, ecs, "");
        if (sweeps[i](&op, ecs) != ERR_OK) {
            log_warn("ecs", "text=\"could not clear away old rows: %s\"", op.note.text);
        }
    }
    ev_timer_set(ecs->config.loop, &ecs->sweep, ECS_SWEEP_EVERY, ecs_sweep);
}
