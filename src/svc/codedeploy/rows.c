/* The stored form of a deployment's machine, and of what it was made from. */
#include "svc/codedeploy/priv.h"
#include "svc/common/shift_row.h"

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

struct shift_row cd_row_of(const struct engine_codedeploy_deployment *d)
{
    CHECK(d->machine != NULL);
    return shift_row_read(d->machine);
}

void cd_row_into(struct op *op, const struct shift_row *row, struct engine_codedeploy_deployment *d)
{
    d->machine = shift_row_write(op, row);
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
