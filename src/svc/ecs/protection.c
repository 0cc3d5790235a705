/* Task protection: a protected task of a service is not chosen for a stop by the scheduler. */
#include "svc/ecs/ecs_priv.h"

#define PROTECT_MINUTES_DEFAULT 120
#define PROTECT_MINUTES_MAX     2880

bool ecs_task_is_protected(const struct engine_ecs_task *row, wall_t now)
{
    return OPT_OR(row->is_protected, false) && row->protected_until.is_set &&
           row->protected_until.value.us > now.us;
}

static struct ecs_protected_task show(const struct engine_ecs_task *row, wall_t now)
{
    bool is_protected = ecs_task_is_protected(row, now);
    return (struct ecs_protected_task){.task_arn = row->task->task_arn,
                                       .protection_enabled = OPT_BOOL(is_protected),
                                       .expiration_date = is_protected ? row->protected_until
                                                                       : (struct opt_time){0}};
}

/* *ret_reason: why this task cannot be protected; absent when *ret is filled. */
static enum err find_task(struct op *op, struct ecs *ecs, struct str cluster, struct str asked,
                          struct engine_ecs_task *ret, struct str *ret_reason)
{
    struct str id = STR_NONE;
    enum err e = ERR_NOT_FOUND;
    *ret_reason = STR_NONE;
    if (ecs_task_ref(op, cluster, asked, &id)) {
        e = ecs_task_get(op, ecs, cluster, id, ret);
    }
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        *ret_reason = STR("MISSING");
        return ERR_OK;
    }
    TRY(e);
    if (ret->service.len == 0 || ecs_task_is_stop_decided(ret->task)) {
        *ret_reason = STR("TASK_NOT_VALID");
    }
    return ERR_OK;
}

static enum err check_count(struct op *op, size_t count, size_t least)
{
    if (count < least || count > ECS_PROTECT_TASKS_MAX) {
        return fail_parameter(op, "tasks must have between %zu and %d items.", least,
                              ECS_PROTECT_TASKS_MAX);
    }
    return ERR_OK;
}

enum err ecs_update_task_protection(struct op *op, struct ecs *ecs,
                                    const struct ecs_update_task_protection_in *in,
                                    struct ecs_update_task_protection_out *ret)
{
    TRY(check_count(op, in->tasks.count, 1));
    int32_t minutes = OPT_OR(in->expires_in_minutes, PROTECT_MINUTES_DEFAULT);
    if (minutes < 1 || minutes > PROTECT_MINUTES_MAX) {
        return fail_parameter(op, "expiresInMinutes must be between 1 and %d.",
                              PROTECT_MINUTES_MAX);
    }
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    struct ecs_cluster cluster = {0};
    TRY(ecs_cluster_find(op, ecs, in->cluster, &cluster));
    struct ecs_update_task_protection_out out = {.protected_tasks = {.is_set = true},
                                                 .failures = {.is_set = true}};
    for (size_t i = 0; i < in->tasks.count; i++) {
        struct engine_ecs_task row = {0};
        struct str reason = STR_NONE;
        TRY(find_task(op, ecs, cluster.cluster_name, in->tasks.items[i], &row, &reason));
        if (str_is_set(reason)) {
            ecs_add_failure(op, &out.failures,
                            ecs_task_arn_of(op, cluster.cluster_name, in->tasks.items[i]), reason);
            continue;
        }
        row.is_protected = OPT_BOOL(OPT_OR(in->protection_enabled, false));
        row.protected_until = OPT_TIME(wall_add(op->now, DUR_MIN(minutes)));
        TRY(ecs_task_put(op, ecs, &row));
        *ARENA_PUSH(&op->arena, &out.protected_tasks) = show(&row, op->now);
    }
    TRY(store_tx_commit(op, &tx));
    *ret = out;
    return ERR_OK;
}

enum err ecs_get_task_protection(struct op *op, struct ecs *ecs,
                                 const struct ecs_get_task_protection_in *in,
                                 struct ecs_get_task_protection_out *ret)
{
    TRY(check_count(op, in->tasks.count, 0));
    struct ecs_cluster cluster = {0};
    TRY(ecs_cluster_find(op, ecs, in->cluster, &cluster));
    struct ecs_get_task_protection_out out = {.protected_tasks = {.is_set = true},
                                              .failures = {.is_set = true}};
    for (size_t i = 0; i < in->tasks.count; i++) {
        struct engine_ecs_task row = {0};
        struct str reason = STR_NONE;
        TRY(find_task(op, ecs, cluster.cluster_name, in->tasks.items[i], &row, &reason));
        if (str_is_set(reason)) {
            ecs_add_failure(op, &out.failures,
                            ecs_task_arn_of(op, cluster.cluster_name, in->tasks.items[i]), reason);
            continue;
        }
        *ARENA_PUSH(&op->arena, &out.protected_tasks) = show(&row, op->now);
    }
    *ret = out;
    return ERR_OK;
}
