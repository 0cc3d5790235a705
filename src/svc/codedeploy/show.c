/* Deployments and their targets as reads show them: tables over what is stored. */
#include "svc/codedeploy/handlers.h"
#include "svc/codedeploy/priv.h"

enum codedeploy_deployment_status cd_status(const struct engine_codedeploy_deployment *d)
{
    static const enum codedeploy_deployment_status rows[] = {
        [SHIFT_STATUS_CREATED] = CODEDEPLOY_DEPLOYMENT_STATUS_CREATED,
        [SHIFT_STATUS_IN_PROGRESS] = CODEDEPLOY_DEPLOYMENT_STATUS_INPROGRESS,
        [SHIFT_STATUS_READY] = CODEDEPLOY_DEPLOYMENT_STATUS_READY,
        [SHIFT_STATUS_SUCCEEDED] = CODEDEPLOY_DEPLOYMENT_STATUS_SUCCEEDED,
        [SHIFT_STATUS_FAILED] = CODEDEPLOY_DEPLOYMENT_STATUS_FAILED,
        [SHIFT_STATUS_STOPPED] = CODEDEPLOY_DEPLOYMENT_STATUS_STOPPED,
    };
    struct shift_row row = cd_row_of(d);
    return rows[shift_status(&row)];
}

bool cd_is_over(const struct engine_codedeploy_deployment *d)
{
    struct shift_row row = cd_row_of(d);
    return shift_is_final(row.state);
}

static struct opt_time entered(const struct shift_row *row, enum shift_state state)
{
    wall_t at = shift_entered_at(row, state);
    return at.us == 0 ? (struct opt_time){0} : OPT_TIME(at);
}

static struct opt_time ended_at(const struct shift_row *row)
{
    return shift_is_final(row->state) ? entered(row, row->state) : (struct opt_time){0};
}

/* Present once it is over, over the deployment's one target. */
static struct codedeploy_deployment_overview *overview_of(struct op *op,
                                                          enum codedeploy_deployment_status status)
{
    struct codedeploy_deployment_overview *o =
        ARENA_NEW(&op->arena, struct codedeploy_deployment_overview);
    *o = (struct codedeploy_deployment_overview){
        .pending = OPT_I64(0),
        .in_progress = OPT_I64(0),
        .succeeded = OPT_I64(status == CODEDEPLOY_DEPLOYMENT_STATUS_SUCCEEDED ? 1 : 0),
        .failed = OPT_I64(status == CODEDEPLOY_DEPLOYMENT_STATUS_SUCCEEDED ? 0 : 1),
        .skipped = OPT_I64(0),
        .ready = OPT_I64(0),
    };
    return o;
}

struct codedeploy_deployment_info *cd_show_deployment(struct op *op,
                                                      const struct engine_codedeploy_deployment *d)
{
    struct shift_row row = cd_row_of(d);
    struct codedeploy_deployment_info *info =
        ARENA_NEW(&op->arena, struct codedeploy_deployment_info);
    *info = *d->deployment;
    info->status = cd_status(d);
    info->start_time = entered(&row, SHIFT_BEFORE_INSTALL);
    info->complete_time = ended_at(&row);
    info->ignore_application_stop_failures = OPT_BOOL(false);
    info->update_outdated_instances_only = OPT_BOOL(false);
    info->instance_termination_wait_time_started =
        OPT_BOOL(shift_entered_at(&row, SHIFT_TERMINATION_WAIT).us != 0);
    if (info->file_exists_behavior == CODEDEPLOY_FILE_EXISTS_BEHAVIOR_UNSET) {
        info->file_exists_behavior = CODEDEPLOY_FILE_EXISTS_BEHAVIOR_DISALLOW;
    }
    info->deployment_status_messages.is_set = true;
    if (info->rollback_info == NULL) {
        info->rollback_info = ARENA_NEW(&op->arena, struct codedeploy_rollback_info);
    }
    if (shift_is_final(row.state)) {
        info->deployment_overview = overview_of(op, info->status);
    }
    if (row.cause != SHIFT_CAUSE_NONE) {
        info->error_information = ARENA_NEW(&op->arena, struct codedeploy_error_information);
        info->error_information->code = d->fault_code;
        info->error_information->message = d->fault;
    }
    return info;
}

/* ---- targets -------------------------------------------------------------------------------- */

static enum codedeploy_target_status target_status(const struct shift_row *row)
{
    static const enum codedeploy_target_status rows[] = {
        [SHIFT_STATUS_CREATED] = CODEDEPLOY_TARGET_STATUS_PENDING,
        [SHIFT_STATUS_IN_PROGRESS] = CODEDEPLOY_TARGET_STATUS_INPROGRESS,
        [SHIFT_STATUS_READY] = CODEDEPLOY_TARGET_STATUS_READY,
        [SHIFT_STATUS_SUCCEEDED] = CODEDEPLOY_TARGET_STATUS_SUCCEEDED,
        [SHIFT_STATUS_FAILED] = CODEDEPLOY_TARGET_STATUS_FAILED,
        [SHIFT_STATUS_STOPPED] = CODEDEPLOY_TARGET_STATUS_FAILED,
    };
    return rows[shift_status(row)];
}

static enum codedeploy_lifecycle_event_status event_status(enum shift_event_status status)
{
    static const enum codedeploy_lifecycle_event_status rows[] = {
        [SHIFT_PENDING] = CODEDEPLOY_LIFECYCLE_EVENT_STATUS_PENDING,
        [SHIFT_IN_PROGRESS] = CODEDEPLOY_LIFECYCLE_EVENT_STATUS_INPROGRESS,
        [SHIFT_SUCCEEDED] = CODEDEPLOY_LIFECYCLE_EVENT_STATUS_SUCCEEDED,
        [SHIFT_FAILED_EVENT] = CODEDEPLOY_LIFECYCLE_EVENT_STATUS_FAILED,
        [SHIFT_SKIPPED] = CODEDEPLOY_LIFECYCLE_EVENT_STATUS_SKIPPED,
    };
    return rows[status];
}

/* What an event has to say: the function of a hook, why it failed, the failed task's last words. */
static struct codedeploy_diagnostics *diagnostics_of(struct op *op, struct codedeploy *cd,
                                                     const struct engine_codedeploy_deployment *d,
                                                     enum shift_event event,
                                                     enum shift_event_status status)
{
    const struct engine_codedeploy_hook *h = cd_hook_of(d, event);
    bool has_failed = status == SHIFT_FAILED_EVENT;
    if (h == NULL && !has_failed) {
        return NULL;
    }
    struct codedeploy_diagnostics *g = ARENA_NEW(&op->arena, struct codedeploy_diagnostics);
    g->error_code = has_failed ? CODEDEPLOY_LIFECYCLE_ERROR_CODE_SCRIPTFAILED
                               : CODEDEPLOY_LIFECYCLE_ERROR_CODE_SUCCESS;
    g->script_name = h != NULL ? h->function : STR("");
    g->message = has_failed ? d->fault : STR("");
    g->log_tail = has_failed && event == SHIFT_EVENT_INSTALL ? d->last_failure : STR("");
    if (has_failed && h == NULL) {
        g->error_code = CODEDEPLOY_LIFECYCLE_ERROR_CODE_UNKNOWNERROR;
    }
    if (h != NULL && status == SHIFT_IN_PROGRESS && cd->config.hooks.invoke == NULL) {
        g->message = arena_printf(&op->arena,
                                  "waiting for PutLifecycleEventHookExecutionStatus with "
                                  "lifecycleEventHookExecutionId %.*s",
                                  STR_ARG(h->execution_id));
    }
    return g;
}

static void show_events(struct op *op, struct codedeploy *cd,
                        const struct engine_codedeploy_deployment *d,
                        struct codedeploy_lifecycle_event_list *ret)
{
    struct shift_row row = cd_row_of(d);
    ret->is_set = true;
    for (int i = 0; i < SHIFT_EVENT_COUNT; i++) {
        struct shift_event_view v = shift_event_view(&row, (enum shift_event)i);
        struct codedeploy_lifecycle_event *e = ARENA_PUSH(&op->arena, ret);
        e->lifecycle_event_name = str_of(shift_event_name((enum shift_event)i));
        e->status = event_status(v.status);
        e->start_time = v.started_at.us == 0 ? (struct opt_time){0} : OPT_TIME(v.started_at);
        e->end_time = v.ended_at.us == 0 ? (struct opt_time){0} : OPT_TIME(v.ended_at);
        e->diagnostics = diagnostics_of(op, cd, d, (enum shift_event)i, v.status);
    }
}

struct str cd_target_id(struct op *op, const struct engine_codedeploy_deployment *d)
{
    return arena_printf(&op->arena, "%.*s:%.*s", STR_ARG(d->cluster_name),
                        STR_ARG(d->service_name));
}

enum codedeploy_target_status cd_target_status(const struct engine_codedeploy_deployment *d)
{
    struct shift_row row = cd_row_of(d);
    return target_status(&row);
}

enum err cd_show_target(struct op *op, struct codedeploy *cd,
                        const struct engine_codedeploy_deployment *d,
                        struct codedeploy_deployment_target *ret)
{
    struct engine_codedeploy_deployment live = *d;
    struct shift_row row = cd_row_of(d);
    if (!shift_is_final(row.state)) {
        struct cd_sight sight = {0};
        TRY(cd_observe(op, cd, d, &sight));
        cd_note_task_sets(op, &sight, &live);
    }
    wall_t touched = row.entered_at;
    touched = row.step_begun_at.us > touched.us ? row.step_begun_at : touched;
    touched = row.step_at.us > touched.us ? row.step_at : touched;
    struct codedeploy_ecs_target *t = ARENA_NEW(&op->arena, struct codedeploy_ecs_target);
    t->deployment_id = d->deployment->deployment_id;
    t->target_id = cd_target_id(op, d);
    t->target_arn = arn_makef(op, STR("ecs"), "service/%.*s/%.*s", STR_ARG(d->cluster_name),
                              STR_ARG(d->service_name));
    t->last_updated_at = OPT_TIME(touched);
    t->status = target_status(&row);
    t->task_sets_info = live.task_sets;
    t->task_sets_info.is_set = true;
    show_events(op, cd, d, &t->lifecycle_events);
    *ret = (struct codedeploy_deployment_target){
        .deployment_target_type = CODEDEPLOY_DEPLOYMENT_TARGET_TYPE_ECSTARGET, .ecs_target = t};
    return ERR_OK;
}
