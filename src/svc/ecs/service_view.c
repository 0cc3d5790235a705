/* A service as DescribeServices shows it: the row, what is counted, what other rows say. */
#include "svc/ecs/ecs_priv.h"

#include <stdlib.h>

struct task_counts ecs_count_tasks(const struct store_items *tasks, struct str owner_id)
{
    struct task_counts n = {0};
    for (size_t i = 0; i < tasks->count; i++) {
        const struct engine_ecs_task *row = tasks->items[i].value;
        if (str_is_set(owner_id) && !str_equal(row->owner_id, owner_id)) {
            continue;
        }
        enum task_status status = ecs_task_status(row->task);
        n.running += status == TASK_RUNNING ? 1 : 0;
        n.pending += status < TASK_RUNNING ? 1 : 0;
        n.wanted += status < TASK_STOPPED && !ecs_task_is_stop_decided(row->task) ? 1 : 0;
    }
    return n;
}

/* ---- deployments ------------------------------------------------------------------------------*/

static void fill_deployment(const struct ecs_service *s, const struct store_items *tasks,
                            struct ecs_deployment *d)
{
    struct task_counts n = ecs_count_tasks(tasks, d->id);
    d->running_count = OPT_I32(n.running);
    d->pending_count = OPT_I32(n.pending);
    bool is_wanted =
        STR_IS(d->status, "PRIMARY") && d->rollout_state != ECS_DEPLOYMENT_ROLLOUT_STATE_FAILED;
    d->desired_count = OPT_I32(is_wanted ? OPT_OR(s->desired_count, 0) : n.wanted);
}

static int compare_deployments(const void *left, const void *right)
{
    const struct ecs_deployment *a = left;
    const struct ecs_deployment *b = right;
    int by_status = (STR_IS(b->status, "PRIMARY") ? 1 : 0) - (STR_IS(a->status, "PRIMARY") ? 1 : 0);
    if (by_status != 0) {
        return by_status;
    }
    return (a->created_at.value.us < b->created_at.value.us) -
           (a->created_at.value.us > b->created_at.value.us);
}

/* The deployments, newest first; *ret_current: the service deployment that goes on, if any. */
static enum err view_deployments(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                                 const struct store_items *tasks, struct ecs_service *s)
{
    struct store_items rows = {0};
    TRY(ecs_deployments_list(op, ecs, ref, &rows));
    s->deployments.is_set = true;
    for (size_t i = 0; i < rows.count; i++) {
        const struct engine_ecs_deployment *row = rows.items[i].value;
        if (STR_IS(row->deployment->status, "INACTIVE")) {
            continue;
        }
        struct ecs_deployment *d = ARENA_PUSH(&op->arena, &s->deployments);
        *d = *row->deployment;
        fill_deployment(s, tasks, d);
        *ARENA_PUSH(&op->arena, &s->current_service_revisions) =
            (struct ecs_service_current_revision_summary){.arn = row->revision_arn,
                                                          .requested_task_count = d->desired_count,
                                                          .running_task_count = d->running_count,
                                                          .pending_task_count = d->pending_count};
        bool is_going_on = STR_IS(d->status, "PRIMARY") &&
                           d->rollout_state == ECS_DEPLOYMENT_ROLLOUT_STATE_IN_PROGRESS;
        if (is_going_on) {
            s->current_service_deployment = row->service_deployment_arn;
        }
    }
    s->current_service_revisions.is_set = true;
    if (s->deployments.count > 1) {
        qsort(s->deployments.items, s->deployments.count, sizeof(*s->deployments.items),
              compare_deployments);
    }
    return ERR_OK;
}

/* ---- task sets --------------------------------------------------------------------------------*/

void ecs_task_set_view(const struct engine_ecs_task_set *row, const struct store_items *tasks,
                       struct ecs_task_set *ret)
{
    struct task_counts n = ecs_count_tasks(tasks, row->task_set->id);
    *ret = *row->task_set;
    ret->running_count = OPT_I32(n.running);
    ret->pending_count = OPT_I32(n.pending);
}

static enum err view_task_sets(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                               const struct store_items *tasks, struct ecs_service *s)
{
    struct store_items rows = {0};
    TRY(ecs_task_sets_list(op, ecs, ref, &rows));
    s->task_sets.is_set = true;
    for (size_t i = 0; i < rows.count; i++) {
        struct ecs_task_set *set = ARENA_PUSH(&op->arena, &s->task_sets);
        ecs_task_set_view(rows.items[i].value, tasks, set);
        set->tags = (struct ecs_tags){0};
    }
    return ERR_OK;
}

/* ---- the whole --------------------------------------------------------------------------------*/

enum err ecs_service_view(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                          const struct engine_ecs_service *row, bool with_tags,
                          struct ecs_service *ret)
{
    struct store_items tasks = {0};
    TRY(ecs_service_tasks(op, ecs, ref, &tasks));
    struct ecs_service s = *row->service;
    struct task_counts n = ecs_count_tasks(&tasks, STR_NONE);
    s.running_count = OPT_I32(n.running);
    s.pending_count = OPT_I32(n.pending);
    s.deployments = (struct ecs_deployments){.is_set = true};
    if (ecs_service_has_task_sets(&s)) {
        TRY(view_task_sets(op, ecs, ref, &tasks, &s));
    } else {
        TRY(view_deployments(op, ecs, ref, &tasks, &s));
    }
    TRY(ecs_events_list(op, ecs, ref, &s.events));
    if (!with_tags) {
        s.tags = (struct ecs_tags){0};
    }
    *ret = s;
    return ERR_OK;
}
