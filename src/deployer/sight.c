#include "deployer/sight.h"

#include "base/check.h"

static bool says_rollback(const struct ecs_deployment *d, const struct handle *handle)
{
    bool is_told = str_find(d->rollout_state_reason, STR("rolling back"), 0) != STR_NOT_FOUND;
    bool is_old = str_is_set(handle->old_task_definition) &&
                  str_equal(d->task_definition, handle->old_task_definition);
    return is_told || is_old;
}

static enum sight_state judge_other(const struct ecs_deployment *primary,
                                    const struct handle *handle)
{
    if (primary == NULL || !says_rollback(primary, handle)) {
        return SIGHT_SUPERSEDED;
    }
    switch (primary->rollout_state) {
    case ECS_DEPLOYMENT_ROLLOUT_STATE_COMPLETED:
        return SIGHT_ROLLED_BACK;
    case ECS_DEPLOYMENT_ROLLOUT_STATE_FAILED:
        return SIGHT_FAILED;
    case ECS_DEPLOYMENT_ROLLOUT_STATE_IN_PROGRESS:
    case ECS_DEPLOYMENT_ROLLOUT_STATE_UNSET:
        break;
    }
    return SIGHT_ROLLING_BACK;
}

static enum sight_state judge_own(const struct ecs_deployment *own,
                                  const struct ecs_deployment *primary, const struct handle *handle)
{
    if (own != primary) {
        return judge_other(primary, handle);
    }
    switch (own->rollout_state) {
    case ECS_DEPLOYMENT_ROLLOUT_STATE_COMPLETED:
        return SIGHT_DONE;
    case ECS_DEPLOYMENT_ROLLOUT_STATE_FAILED:
        return SIGHT_FAILED;
    case ECS_DEPLOYMENT_ROLLOUT_STATE_IN_PROGRESS:
    case ECS_DEPLOYMENT_ROLLOUT_STATE_UNSET:
        break;
    }
    return SIGHT_GOING;
}

static void add_counts(struct sight_side *side, const struct ecs_deployment *d)
{
    side->is_there = true;
    side->task_definition = d->task_definition;
    side->desired += OPT_OR(d->desired_count, 0);
    side->running += OPT_OR(d->running_count, 0);
    side->pending += OPT_OR(d->pending_count, 0);
    side->failed += OPT_OR(d->failed_tasks, 0);
}

void sight_of_rolling(const struct ecs_service *service, const struct handle *handle,
                      struct sight *ret)
{
    struct sight s = {.old_side = {.healthy = -1, .weight = -1},
                      .new_side = {.healthy = -1, .weight = -1}};
    const struct ecs_deployment *own = NULL;
    const struct ecs_deployment *primary = NULL;
    for (size_t i = 0; i < service->deployments.count; i++) {
        const struct ecs_deployment *d = &service->deployments.items[i];
        bool is_own = str_equal(d->id, handle->id);
        own = is_own ? d : own;
        primary = STR_IS(d->status, "PRIMARY") ? d : primary;
        add_counts(is_own ? &s.new_side : &s.old_side, d);
    }
    s.state = own != NULL ? judge_own(own, primary, handle) : judge_other(primary, handle);
    s.reason = own != NULL ? own->rollout_state_reason
                           : (primary == NULL ? STR_NONE : primary->rollout_state_reason);
    *ret = s;
}

static void take_revision(struct sight_side *side, const struct ecs_service_revision_summary *r)
{
    side->is_there = true;
    side->desired = OPT_OR(r->requested_task_count, 0);
    side->running = OPT_OR(r->running_task_count, 0);
    side->pending = OPT_OR(r->pending_task_count, 0);
    side->weight = OPT_OR(r->requested_production_traffic_weight, -1);
}

static enum sight_state native_state(const struct ecs_service_deployment *d)
{
    switch (d->status) {
    case ECS_SERVICE_DEPLOYMENT_STATUS_SUCCESSFUL:
        return SIGHT_DONE;
    case ECS_SERVICE_DEPLOYMENT_STATUS_ROLLBACK_SUCCESSFUL:
        return SIGHT_ROLLED_BACK;
    case ECS_SERVICE_DEPLOYMENT_STATUS_ROLLBACK_FAILED:
    case ECS_SERVICE_DEPLOYMENT_STATUS_STOPPED:
        return SIGHT_FAILED;
    case ECS_SERVICE_DEPLOYMENT_STATUS_STOP_REQUESTED:
    case ECS_SERVICE_DEPLOYMENT_STATUS_ROLLBACK_REQUESTED:
    case ECS_SERVICE_DEPLOYMENT_STATUS_ROLLBACK_IN_PROGRESS:
        return SIGHT_ROLLING_BACK;
    case ECS_SERVICE_DEPLOYMENT_STATUS_PENDING:
    case ECS_SERVICE_DEPLOYMENT_STATUS_IN_PROGRESS:
    case ECS_SERVICE_DEPLOYMENT_STATUS_UNSET:
        break;
    }
    return d->lifecycle_stage == ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_BAKE_TIME ? SIGHT_BAKING
                                                                                  : SIGHT_GOING;
}

void sight_of_native(const struct ecs_service_deployment *d, struct sight *ret)
{
    struct sight s = {.state = native_state(d),
                      .old_side = {.healthy = -1, .weight = -1},
                      .new_side = {.healthy = -1, .weight = -1}};
    const char *stage =
        shape_enum_name(&shape_ecs_service_deployment_lifecycle_stage, (int)d->lifecycle_stage);
    s.stage = str_of(stage);
    bool has_rollback = d->rollback != NULL && str_is_set(d->rollback->reason);
    s.reason = has_rollback ? d->rollback->reason : d->status_reason;
    bool is_called = str_find(s.reason, STR("StopServiceDeployment"), 0) != STR_NOT_FOUND;
    s.is_stopped_by_person = is_called ||
                             d->status == ECS_SERVICE_DEPLOYMENT_STATUS_ROLLBACK_REQUESTED ||
                             d->status == ECS_SERVICE_DEPLOYMENT_STATUS_STOP_REQUESTED;
    if (d->target_service_revision != NULL) {
        take_revision(&s.new_side, d->target_service_revision);
    }
    if (d->source_service_revisions.count > 0) {
        take_revision(&s.old_side, &d->source_service_revisions.items[0]);
    }
    *ret = s;
}

bool sight_is_over(enum sight_state state)
{
    return state >= SIGHT_DONE;
}

struct state_words {
    const char *text;
    const char *word;
};

static const struct state_words state_words[] = {
    [SIGHT_GOING] = {"going on", "in_progress"},
    [SIGHT_BAKING] = {"all traffic moved, watching", "baking"},
    [SIGHT_ROLLING_BACK] = {"rolling back", "rolling_back"},
    [SIGHT_DONE] = {"released", "released"},
    [SIGHT_ROLLED_BACK] = {"rolled back", "rolled_back"},
    [SIGHT_FAILED] = {"failed", "failed"},
    [SIGHT_SUPERSEDED] = {"superseded by another deployment", "superseded"},
};

const char *sight_state_text(enum sight_state state)
{
    CHECK(state < ARRAY_COUNT(state_words));
    return state_words[state].text;
}

const char *sight_state_word(enum sight_state state)
{
    CHECK(state < ARRAY_COUNT(state_words));
    return state_words[state].word;
}

struct str sight_revision(struct str task_definition_arn)
{
    size_t slash = str_find_last_char(task_definition_arn, '/');
    return slash == STR_NOT_FOUND ? task_definition_arn : str_from(task_definition_arn, slash + 1);
}
