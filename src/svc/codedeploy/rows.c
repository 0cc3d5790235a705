/* The stored form of a deployment's machine, and of what it was made from. */
#include "svc/codedeploy/priv.h"

#include "rollout/service.h"

const struct store_kind codedeploy_kind_application = {"codedeploy.application",
                                                       &shape_engine_codedeploy_application};
const struct store_kind codedeploy_kind_group = {"codedeploy.group",
                                                 &shape_engine_codedeploy_group};
const struct store_kind codedeploy_kind_config = {"codedeploy.config",
                                                  &shape_codedeploy_deployment_config_info};
const struct store_kind codedeploy_kind_revision = {"codedeploy.revision",
                                                    &shape_engine_codedeploy_revision};
const struct store_kind codedeploy_kind_deployment = {"codedeploy.deployment",
                                                      &shape_engine_codedeploy_deployment};
const struct store_kind codedeploy_kind_open = {"codedeploy.open", &shape_engine_codedeploy_open};

struct str cd_key(struct op *op, struct str a, struct str b)
{
    return arena_printf(&op->arena, "%.*s\n%.*s", STR_ARG(a), STR_ARG(b));
}

/* ---- the machine's row ---------------------------------------------------------------------- */

static const char *const cause_names[] = {
    [SHIFT_CAUSE_NONE] = "none",
    [SHIFT_CAUSE_ALARM] = "alarm",
    [SHIFT_CAUSE_STOP] = "stop",
    [SHIFT_CAUSE_READY_TIMEOUT] = "ready_timeout",
    [SHIFT_CAUSE_HOOK_FAILED] = "hook_failed",
    [SHIFT_CAUSE_HOOK_TIMEOUT] = "hook_timeout",
    [SHIFT_CAUSE_TASKS_FAILED] = "tasks_failed",
    [SHIFT_CAUSE_TIMEOUT] = "timeout",
    [SHIFT_CAUSE_LOST] = "lost",
    [SHIFT_CAUSE_SERVICE_GONE] = "service_gone",
    [SHIFT_CAUSE_REFUSED] = "refused",
};

static enum shift_cause cause_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(cause_names); i++) {
        if (str_equal(name, str_of(cause_names[i]))) {
            return (enum shift_cause)i;
        }
    }
    return SHIFT_CAUSE_NONE;
}

/* A state of a newer engine that we do not know is one that we cannot go on from: back to blue. */
static enum shift_state state_of(struct str name)
{
    enum shift_state state = SHIFT_RESTORING;
    (void)shift_state_parse(name, &state);
    return state;
}

struct shift_row cd_row_of(const struct engine_codedeploy_deployment *d)
{
    const struct engine_codedeploy_machine *m = d->machine;
    CHECK(m != NULL);
    struct shift_row row = {
        .state = state_of(m->state),
        .created_at = OPT_OR(m->created_at, (wall_t){0}),
        .entered_at = OPT_OR(m->entered_at, (wall_t){0}),
        .step = OPT_OR(m->step, 0),
        .step_begun_at = OPT_OR(m->step_begun_at, (wall_t){0}),
        .step_at = OPT_OR(m->step_at, (wall_t){0}),
        .is_continued = OPT_OR(m->is_continued, false),
        .is_stop_asked = OPT_OR(m->is_stop_asked, false),
        .is_refused = OPT_OR(m->is_refused, false),
        .cause = cause_of(m->cause),
        .failed_in = state_of(m->failed_in),
    };
    for (size_t i = 0; i < m->history.count && i < SHIFT_HISTORY_MAX; i++) {
        row.history[row.history_count++] =
            (struct shift_moment){.state = state_of(m->history.items[i].state),
                                  .at = OPT_OR(m->history.items[i].at, (wall_t){0})};
    }
    return row;
}

static struct opt_time opt_moment(wall_t at)
{
    return at.us == 0 ? (struct opt_time){0} : OPT_TIME(at);
}

void cd_row_into(struct op *op, const struct shift_row *row, struct engine_codedeploy_deployment *d)
{
    struct engine_codedeploy_machine *m = ARENA_NEW(&op->arena, struct engine_codedeploy_machine);
    *m = (struct engine_codedeploy_machine){
        .state = str_of(shift_state_name(row->state)),
        .created_at = opt_moment(row->created_at),
        .entered_at = opt_moment(row->entered_at),
        .step = OPT_I32(row->step),
        .step_begun_at = opt_moment(row->step_begun_at),
        .step_at = opt_moment(row->step_at),
        .is_continued = OPT_BOOL(row->is_continued),
        .is_stop_asked = OPT_BOOL(row->is_stop_asked),
        .is_refused = OPT_BOOL(row->is_refused),
        .cause = str_of(cause_names[row->cause]),
        .failed_in = str_of(shift_state_name(row->failed_in)),
    };
    m->history.is_set = true;
    for (size_t i = 0; i < row->history_count; i++) {
        *ARENA_PUSH(&op->arena, &m->history) = (struct engine_codedeploy_moment){
            .state = str_of(shift_state_name(row->history[i].state)),
            .at = opt_moment(row->history[i].at)};
    }
    d->machine = m;
}

/* ---- its configuration ---------------------------------------------------------------------- */

static void plan_steps(const struct codedeploy_traffic_routing_config *r, struct shift_config *c)
{
    if (r != NULL && r->time_based_canary != NULL) {
        shift_plan_canary(c, OPT_OR(r->time_based_canary->canary_percentage, 0),
                          OPT_OR(r->time_based_canary->canary_interval, 0));
    } else if (r != NULL && r->time_based_linear != NULL) {
        shift_plan_linear(c, OPT_OR(r->time_based_linear->linear_percentage, 0),
                          OPT_OR(r->time_based_linear->linear_interval, 0));
    } else {
        shift_plan_at_once(c);
    }
}

static bool rolls_back_on(const struct codedeploy_auto_rollback_configuration *r,
                          enum codedeploy_auto_rollback_event event)
{
    for (size_t i = 0; r != NULL && OPT_OR(r->enabled, false) && i < r->events.count; i++) {
        if (r->events.items[i] == event) {
            return true;
        }
    }
    return false;
}

static void plan_waits(const struct codedeploy_blue_green_deployment_configuration *b,
                       struct shift_config *c)
{
    if (b == NULL) {
        return;
    }
    const struct codedeploy_deployment_ready_option *ready = b->deployment_ready_option;
    if (ready != NULL) {
        c->must_be_continued =
            ready->action_on_timeout == CODEDEPLOY_DEPLOYMENT_READY_ACTION_STOP_DEPLOYMENT;
        c->ready_wait = dur_scaled(DUR_MIN(OPT_OR(ready->wait_time_in_minutes, 0)));
    }
    const struct codedeploy_blue_instance_termination_option *end =
        b->terminate_blue_instances_on_deployment_success;
    if (end != NULL) {
        c->keeps_blue = end->action == CODEDEPLOY_INSTANCE_ACTION_KEEP_ALIVE;
        c->termination_wait = dur_scaled(DUR_MIN(OPT_OR(end->termination_wait_time_in_minutes, 0)));
    }
}

struct shift_config cd_config_of(const struct engine_codedeploy_deployment *d)
{
    struct shift_config c = {.kind = SHIFT_FORWARD};
    c.has_test_route = d->test_listener_arn.len > 0;
    if (OPT_OR(d->is_back, false)) {
        /* nothing is tried and nothing waited for on the way back */
        c.kind = SHIFT_BACK;
        shift_plan_at_once(&c);
        return c;
    }
    plan_steps(d->routing, &c);
    plan_waits(d->deployment->blue_green_deployment_configuration, &c);
    for (size_t i = 0; d->spec != NULL && i < d->spec->hooks.count; i++) {
        enum shift_event event = SHIFT_EVENT_NONE;
        if (shift_event_parse(d->spec->hooks.items[i].key, &event)) {
            c.has_hook[event] = true;
        }
    }
    c.failures_allowed = OPT_OR(d->failures_allowed, 0);
    if (d->blue_id.len == 0 && d->blue_spec == NULL) {
        return c; /* there is nothing to go back to */
    }
    c.rolls_back_on_failure =
        rolls_back_on(d->rollback, CODEDEPLOY_AUTO_ROLLBACK_EVENT_DEPLOYMENT_FAILURE);
    c.rolls_back_on_alarm =
        rolls_back_on(d->rollback, CODEDEPLOY_AUTO_ROLLBACK_EVENT_DEPLOYMENT_STOP_ON_ALARM);
    c.rolls_back_on_stop = OPT_OR(
        d->rolls_back_on_stop,
        rolls_back_on(d->rollback, CODEDEPLOY_AUTO_ROLLBACK_EVENT_DEPLOYMENT_STOP_ON_REQUEST));
    return c;
}
