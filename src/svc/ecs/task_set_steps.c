/* One decision for a service with task sets (controllers CODE_DEPLOY and EXTERNAL). */
#include "svc/ecs/scheduler.h"

/* What the set says, else what the service says. */
static const struct ecs_load_balancers *balancers_of(const struct scene *s,
                                                     const struct ecs_task_set *set)
{
    return set->load_balancers.is_set ? &set->load_balancers : &s->row.service->load_balancers;
}

enum err scene_task_set_sight(struct scene *s, const struct engine_ecs_task_set *row,
                              struct rollout_task_set_sight *ret, struct rollout_task **ret_tasks,
                              struct engine_ecs_task ***ret_rows)
{
    const struct ecs_task_set *set = row->task_set;
    struct ecs_task_definition *td = ARENA_NEW(&s->op->arena, struct ecs_task_definition);
    TRY(ecs_task_definition_of(s->op, s->ecs, set->task_definition, td));
    bool is_draining = STR_IS(set->status, "DRAINING");
    struct crew_config crew = {.load_balancers = balancers_of(s, set),
                               .definition = td,
                               .desired_count =
                                   is_draining ? 0 : OPT_OR(set->computed_desired_count, 0)};
    struct rollout_task_set_sight sight = {
        .id = set->id,
        .is_draining = is_draining,
        .failed_count = OPT_OR(row->failed_count, 0),
        .memory = ecs_memory_read(row->memory),
        .runtime_fault = scene_runtime_fault(s),
    };
    TRY(scene_config(s, &crew, &sight.config));
    TRY(scene_tasks(s, &sight.config, set->id, ret_tasks, ret_rows, &sight.task_count));
    sight.tasks = *ret_tasks;
    *ret = sight;
    return ERR_OK;
}

static enum err start_tasks(struct scene *s, const struct engine_ecs_task_set *row, size_t count,
                            struct str **ret_ids)
{
    const struct ecs_task_set *set = row->task_set;
    struct engine_ecs_task_definition td = {0};
    TRY(ecs_task_definition_find(s->op, s->ecs, set->task_definition, &td));
    enum ecs_launch_type launch_type = set->launch_type;
    struct str provider = STR_NONE;
    ecs_pick_capacity(&set->capacity_provider_strategy, &launch_type, &provider);
    struct task_plan plan = {
        .definition = td.definition,
        .cluster = s->ref.cluster,
        .service = s->ref.name,
        .owner_id = set->id,
        .group = arena_printf(&s->op->arena, "service:%.*s", STR_ARG(s->ref.name)),
        .started_by = set->id,
        .launch_type = launch_type,
        .capacity_provider = provider,
        .platform_version = set->platform_version,
        .network = set->network_configuration,
        .load_balancers = balancers_of(s, set),
        .tags = scene_task_tags(s, &td),
        .is_execute_command_enabled = OPT_OR(s->row.service->enable_execute_command, false),
    };
    return scene_start_tasks(s, &plan, count, ret_ids);
}

/* ids: of the tasks that the last START started. */
static enum err perform_one(struct scene *s, const struct engine_ecs_task_set *row,
                            const struct rollout_effect *e, struct engine_ecs_task **rows,
                            struct str **ids)
{
    switch (e->kind) {
    case ROLLOUT_START:
        return start_tasks(s, row, e->count, ids);
    case ROLLOUT_STOP:
        return scene_stop(s, rows[e->task], e->text);
    case ROLLOUT_SAY:
        return scene_say(s, &e->event, *ids);
    case ROLLOUT_ROLL_BACK:
        break; /* task sets have none */
    }
    return ERR_OK;
}

static enum err perform(struct scene *s, const struct engine_ecs_task_set *row,
                        const struct rollout_effects *effects, struct engine_ecs_task **rows)
{
    struct str *ids = NULL;
    for (size_t i = 0; i < effects->count; i++) {
        TRY(perform_one(s, row, &effects->items[i], rows, &ids));
    }
    return ERR_OK;
}

static enum err keep(struct scene *s, struct engine_ecs_task_set *row,
                     const struct rollout_task_set_plan *plan)
{
    enum ecs_stability_status status =
        plan->is_steady ? ECS_STABILITY_STATUS_STEADY_STATE : ECS_STABILITY_STATUS_STABILIZING;
    bool is_moved = row->task_set->stability_status != status;
    if (!plan->is_changed && !is_moved) {
        return ERR_OK;
    }
    row->task_set->stability_status = status;
    row->task_set->stability_status_at = OPT_TIME(s->op->now);
    row->failed_count = OPT_I32(plan->failed_count);
    row->memory = ecs_memory_write(s->op, &plan->memory);
    return ecs_task_set_put(s->op, s->ecs, &s->ref, row);
}

static enum err step_set(struct scene *s, struct engine_ecs_task_set *row, bool *ret_again)
{
    struct rollout_task_set_sight sight = {0};
    struct rollout_task *tasks = NULL;
    struct engine_ecs_task **rows = NULL;
    TRY(scene_task_set_sight(s, row, &sight, &tasks, &rows));
    struct rollout_task_set_plan plan = rollout_task_set_decide(&s->op->arena, &sight, s->op->now);
    while (!sight.is_draining &&
           scene_hide_protected(s, &plan.effects, tasks, rows, &sight.task_count)) {
        plan = rollout_task_set_decide(&s->op->arena, &sight, s->op->now);
    }
    if (sight.is_draining && plan.is_empty && !plan.is_changed) {
        struct str key = ecs_key(s->op, s->ref.key, ecs_last_part(row->task_set->id));
        return store_remove(s->op, s->ecs->config.store, &ecs_kind_task_set, key);
    }
    TRY(scene_marks(s, rows, plan.marks, sight.task_count));
    TRY(keep(s, row, &plan));
    TRY(perform(s, row, &plan.effects, rows));
    if (plan.is_changed) {
        *ret_again = true;
    } else {
        scene_wake_at(s, plan.wake_at);
    }
    return ERR_OK;
}

enum err scheduler_step_task_sets(struct scene *s, bool *ret_again)
{
    struct store_items sets = {0};
    TRY(ecs_task_sets_list(s->op, s->ecs, &s->ref, &sets));
    *ret_again = false;
    for (size_t i = 0; i < sets.count; i++) {
        TRY(step_set(s, sets.items[i].value, ret_again));
    }
    return ERR_OK;
}
