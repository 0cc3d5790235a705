/* Between the rows of the store and the structures of rollout/service.h. */
#include "svc/ecs/ecs_priv.h"

#include "base/check.h"

static wall_t read_time(struct opt_time t)
{
    return t.is_set ? t.value : (wall_t){0};
}

static struct opt_time write_time(wall_t t)
{
    return t.us == 0 ? (struct opt_time){0} : OPT_TIME(t);
}

struct rollout_memory ecs_memory_read(const struct engine_ecs_memory *row)
{
    if (row == NULL) {
        return (struct rollout_memory){0};
    }
    return (struct rollout_memory){
        .start_failures = OPT_OR(row->start_failures, 0),
        .start_failed_at = read_time(row->start_failed_at),
        .ended_early_at = read_time(row->ended_early_at),
        .steady_said_at = read_time(row->steady_said_at),
        .stuck_said_at = read_time(row->stuck_said_at),
        .impaired_said_at = read_time(row->impaired_said_at),
        .unplaceable_said_at = read_time(row->unplaceable_said_at),
    };
}

struct engine_ecs_memory *ecs_memory_write(struct op *op, const struct rollout_memory *m)
{
    struct engine_ecs_memory *row = ARENA_NEW(&op->arena, struct engine_ecs_memory);
    *row = (struct engine_ecs_memory){
        .start_failures = OPT_I32(m->start_failures),
        .start_failed_at = write_time(m->start_failed_at),
        .ended_early_at = write_time(m->ended_early_at),
        .steady_said_at = write_time(m->steady_said_at),
        .stuck_said_at = write_time(m->stuck_said_at),
        .impaired_said_at = write_time(m->impaired_said_at),
        .unplaceable_said_at = write_time(m->unplaceable_said_at),
    };
    return row;
}

void ecs_memory_update(struct op *op, struct engine_ecs_memory **memory)
{
    struct rollout_memory m = ecs_memory_read(*memory);
    rollout_memory_update(&m);
    *memory = ecs_memory_write(op, &m);
}

/* ---- deployments ------------------------------------------------------------------------------*/

static const char *const status_names[] = {
    [ROLLOUT_PRIMARY] = "PRIMARY", [ROLLOUT_ACTIVE] = "ACTIVE", [ROLLOUT_INACTIVE] = "INACTIVE"};
static const enum ecs_deployment_rollout_state states[] = {
    [ROLLOUT_IN_PROGRESS] = ECS_DEPLOYMENT_ROLLOUT_STATE_IN_PROGRESS,
    [ROLLOUT_COMPLETED] = ECS_DEPLOYMENT_ROLLOUT_STATE_COMPLETED,
    [ROLLOUT_FAILED] = ECS_DEPLOYMENT_ROLLOUT_STATE_FAILED};
static const enum engine_ecs_failure failures[] = {
    [ROLLOUT_FAILURE_NONE] = ENGINE_ECS_FAILURE_UNSET,
    [ROLLOUT_FAILURE_BREAKER] = ENGINE_ECS_FAILURE_BREAKER,
    [ROLLOUT_FAILURE_ALARM] = ENGINE_ECS_FAILURE_ALARM,
    [ROLLOUT_FAILURE_STOPPED] = ENGINE_ECS_FAILURE_STOPPED};

static enum rollout_status read_status(struct str s)
{
    for (size_t i = 0; i < ARRAY_COUNT(status_names); i++) {
        if (str_equal(s, str_of(status_names[i]))) {
            return (enum rollout_status)i;
        }
    }
    return ROLLOUT_INACTIVE;
}

static enum rollout_state read_state(enum ecs_deployment_rollout_state s)
{
    for (size_t i = 0; i < ARRAY_COUNT(states); i++) {
        if (states[i] == s) {
            return (enum rollout_state)i;
        }
    }
    return ROLLOUT_IN_PROGRESS;
}

static enum rollout_failure read_failure(enum engine_ecs_failure f)
{
    for (size_t i = 0; i < ARRAY_COUNT(failures); i++) {
        if (failures[i] == f) {
            return (enum rollout_failure)i;
        }
    }
    return ROLLOUT_FAILURE_NONE;
}

struct rollout_deployment ecs_deployment_read(const struct engine_ecs_deployment *row)
{
    const struct ecs_deployment *d = row->deployment;
    return (struct rollout_deployment){
        .id = d->id,
        .status = read_status(d->status),
        .state = read_state(d->rollout_state),
        .reason = d->rollout_state_reason,
        .created_at = read_time(d->created_at),
        .updated_at = read_time(d->updated_at),
        .settled_at = read_time(row->settled_at),
        .failed_count = OPT_OR(d->failed_tasks, 0),
        .has_run = OPT_OR(row->has_run, false),
        .is_rollback = OPT_OR(row->is_rollback, false),
        .failure = read_failure(row->failure),
        .has_candidate = OPT_OR(row->has_candidate, false),
    };
}

void ecs_deployment_write(const struct rollout_deployment *d, struct engine_ecs_deployment *row)
{
    CHECK(row->deployment != NULL);
    row->deployment->id = d->id;
    row->deployment->status = str_of(status_names[d->status]);
    row->deployment->rollout_state = states[d->state];
    row->deployment->rollout_state_reason = d->reason;
    row->deployment->created_at = OPT_TIME(d->created_at);
    row->deployment->updated_at = OPT_TIME(d->updated_at);
    row->deployment->failed_tasks = OPT_I32(d->failed_count);
    row->settled_at = write_time(d->settled_at);
    row->has_run = OPT_BOOL(d->has_run);
    row->is_rollback = OPT_BOOL(d->is_rollback);
    row->failure = failures[d->failure];
    row->has_candidate = OPT_BOOL(d->has_candidate);
}
