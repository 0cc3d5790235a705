#pragma once
/* What the scheduler's files share: one turn of one service. */

#include "svc/ecs/ecs_priv.h"

struct scene {
    struct op *op;
    struct ecs *ecs;
    struct service_ref ref;
    struct engine_ecs_service row;
    struct store_items tasks; /* of the service, live or not counted yet */
    wall_t wake_at;           /* us 0: only when something changes */
    struct {
        struct str *items; /* target groups and alarms that were looked at */
        size_t count;
    } watched;
};

/* What a group of tasks (of the service, or of one task set) is to be judged by. */
struct crew_config {
    const struct ecs_load_balancers *load_balancers;
    const struct ecs_task_definition *definition;
    int32_t desired_count;
};

void scene_wake_at(struct scene *s, wall_t at);
/* Alarms are left empty; spans, groups and health checks are filled. */
enum err scene_config(struct scene *s, const struct crew_config *crew, struct rollout_config *ret);
/* The tasks with this owner (absent: all), as the decision sees them; ret_rows: the same order. */
enum err scene_tasks(struct scene *s, const struct rollout_config *config, struct str owner_id,
                     struct rollout_task **ret_tasks, struct engine_ecs_task ***ret_rows,
                     size_t *ret_count);
/* Absent while tasks can be started. */
struct str scene_runtime_fault(const struct scene *s);

/* Takes the protected tasks that a plan would stop, other than for their health, out of the sight:
 * they go on until their protection ends. *count shrinks; true when some went, then decide again.
 */
bool scene_hide_protected(struct scene *s, const struct rollout_effects *effects,
                          struct rollout_task *tasks, struct engine_ecs_task **rows, size_t *count);

/* Starts `count` tasks by this plan and gives their ids. */
enum err scene_start_tasks(struct scene *s, const struct task_plan *plan, size_t count,
                           struct str **ret_ids);
/* The same for a deployment; balancers: NULL takes the revision's. */
enum err scene_start_for(struct scene *s, const struct engine_ecs_deployment *row,
                         const struct ecs_load_balancers *balancers, size_t count,
                         struct str **ret_ids);
/* Tags for a task of this service. */
struct ecs_tags scene_task_tags(struct scene *s, const struct engine_ecs_task_definition *td);

/* Performs STOP and SAY of a plan in order; `ids` stand in for those of the last START. */
enum err scene_stop(struct scene *s, struct engine_ecs_task *row, struct str reason);
enum err scene_say(struct scene *s, const struct rollout_event *event, const struct str *ids);
enum err scene_marks(struct scene *s, struct engine_ecs_task **rows, const uint32_t *marks,
                     size_t count);

/* One decision and its commit for services of the two kinds, and for one that is going away.
 * *ret_again: look again at once. */
enum err scheduler_step_deployments(struct scene *s, bool *ret_again);
enum err scheduler_step_task_sets(struct scene *s, bool *ret_again);
enum err scheduler_step_draining(struct scene *s, bool *ret_again);

/* The sight of one task set; also what port_task_sets.see() counts by. */
enum err scene_task_set_sight(struct scene *s, const struct engine_ecs_task_set *row,
                              struct rollout_task_set_sight *ret, struct rollout_task **ret_tasks,
                              struct engine_ecs_task ***ret_rows);
