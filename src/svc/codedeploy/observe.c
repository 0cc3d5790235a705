/* What is looked at before a decision. Reads only. */
#include "svc/codedeploy/priv.h"

struct eyes {
    struct codedeploy *cd;
    const struct engine_codedeploy_deployment *d;
    struct cd_sight *sight;
};

static void service_is_gone(struct op *op, struct eyes *y, enum codedeploy_error_code code,
                            struct str text)
{
    (void)op;
    y->sight->shift.is_service_there = false;
    if (y->sight->gone_code == CODEDEPLOY_ERROR_CODE_UNSET) {
        y->sight->gone_code = code;
        y->sight->gone_text = text;
    }
}

static enum err see_service(struct op *op, struct eyes *y)
{
    const struct port_task_sets *port = &y->cd->config.task_sets;
    struct port_service service = {0};
    enum err e =
        port->find_service(port->self, op, y->d->cluster_name, y->d->service_name, &service);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        service_is_gone(op, y, CODEDEPLOY_ERROR_CODE_INVALID_ECS_SERVICE,
                        arena_printf(&op->arena,
                                     "The ECS service %.*s of cluster %.*s was not found.",
                                     STR_ARG(y->d->service_name), STR_ARG(y->d->cluster_name)));
        return ERR_OK;
    }
    return e;
}

static enum err see_side(struct op *op, struct eyes *y, struct str id, bool was_made,
                         struct shift_side *ret_side, struct port_task_set *ret_set)
{
    const struct port_task_sets *port = &y->cd->config.task_sets;
    *ret_side = (struct shift_side){.was_made = was_made};
    if (id.len == 0) {
        return ERR_OK;
    }
    struct port_task_set set = {0};
    enum err e = port->see(port->self, op, y->d->cluster_name, y->d->service_name, id, &set);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return ERR_OK;
    }
    TRY(e);
    ret_side->is_there = true;
    ret_side->is_leaving = STR_IS(set.status, "DRAINING");
    ret_side->is_primary = STR_IS(set.status, "PRIMARY");
    ret_side->is_steady = set.is_steady;
    ret_side->desired_count = set.desired_count;
    ret_side->healthy_count = set.healthy_count;
    ret_side->failed_count = set.failed_count;
    *ret_set = set;
    return ERR_OK;
}

static enum err see_route(struct op *op, struct eyes *y, struct str listener_arn,
                          struct shift_weights *ret)
{
    const struct port_elb *port = &y->cd->config.elb;
    struct port_weights w = {0};
    *ret = (struct shift_weights){0};
    enum err e = port->get_weights(port->self, op, listener_arn, &w);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        service_is_gone(
            op, y, CODEDEPLOY_ERROR_CODE_ELASTIC_LOAD_BALANCING_INVALID,
            arena_printf(&op->arena, "The listener %.*s was not found.", STR_ARG(listener_arn)));
        return ERR_OK;
    }
    TRY(e);
    for (size_t i = 0; i < w.count; i++) {
        const struct port_weight *p = &w.items[i];
        if (str_equal(p->target_group_arn, y->d->blue_group_arn)) {
            ret->blue += p->weight;
        } else if (str_equal(p->target_group_arn, y->d->green_group_arn)) {
            ret->green += p->weight;
        } else if (p->weight > 0) {
            ret->blue += CD_FOREIGN_WEIGHT;
        }
    }
    return ERR_OK;
}

static void see_alarm(struct op *op, struct eyes *y, struct str name)
{
    const struct port_alarms *port = &y->cd->config.alarms;
    enum port_alarm_state state = PORT_ALARM_MISSING;
    struct str reason = STR_NONE;
    if (port->see_alarm(port->self, op, name, &state, &reason) != ERR_OK) {
        op_note_clear(op);
        state = PORT_ALARM_MISSING;
    }
    if (state == PORT_ALARM_ALARM) {
        *ARENA_PUSH(&op->arena, &y->sight->alarms) = name;
    }
    if (state == PORT_ALARM_MISSING && !OPT_OR(y->d->alarms->ignore_poll_alarm_failure, false)) {
        y->sight->alarm_fault = arena_printf(
            &op->arena,
            "The state of the alarm %.*s could not be retrieved from Amazon CloudWatch.",
            STR_ARG(name));
    }
}

static void see_alarms(struct op *op, struct eyes *y)
{
    const struct codedeploy_alarm_configuration *c = y->d->alarms;
    if (c == NULL || !OPT_OR(c->enabled, false)) {
        return;
    }
    for (size_t i = 0; i < c->alarms.count; i++) {
        see_alarm(op, y, c->alarms.items[i].name);
    }
    y->sight->shift.is_alarm = y->sight->alarms.count > 0;
}

struct engine_codedeploy_hook *cd_hook_of(const struct engine_codedeploy_deployment *d,
                                          enum shift_event event)
{
    for (size_t i = 0; event != SHIFT_EVENT_NONE && i < d->hooks.count; i++) {
        if (str_equal(d->hooks.items[i].event, str_of(shift_event_name(event)))) {
            return &d->hooks.items[i];
        }
    }
    return NULL;
}

static enum shift_hook see_hook(const struct engine_codedeploy_deployment *d)
{
    struct shift_row row = cd_row_of(d);
    const struct engine_codedeploy_hook *h = cd_hook_of(d, shift_event_of(row.state));
    if (h == NULL) {
        return SHIFT_HOOK_NONE;
    }
    if (STR_IS(h->status, "succeeded")) {
        return SHIFT_HOOK_SUCCEEDED;
    }
    return STR_IS(h->status, "failed") ? SHIFT_HOOK_FAILED : SHIFT_HOOK_CALLED;
}

enum err cd_observe(struct op *op, struct codedeploy *cd,
                    const struct engine_codedeploy_deployment *d, struct cd_sight *ret)
{
    *ret = (struct cd_sight){.shift = {.is_service_there = true}};
    struct eyes y = {.cd = cd, .d = d, .sight = ret};
    bool is_back = OPT_OR(d->is_back, false);
    TRY(see_service(op, &y));
    if (ret->shift.is_service_there) {
        bool blue_made = is_back && OPT_OR(d->blue_made, false);
        TRY(see_side(op, &y, d->blue_id, blue_made, &ret->shift.blue, &ret->blue));
        bool green_made = !is_back && d->green_id.len > 0;
        TRY(see_side(op, &y, d->green_id, green_made, &ret->shift.green, &ret->green));
    }
    if (d->production_listener_arn.len > 0) {
        TRY(see_route(op, &y, d->production_listener_arn, &ret->shift.production));
    }
    if (d->test_listener_arn.len > 0) {
        TRY(see_route(op, &y, d->test_listener_arn, &ret->shift.test));
    }
    see_alarms(op, &y);
    ret->shift.hook = see_hook(d);
    ret->shift.is_published = cd->config.elb.is_published(cd->config.elb.self);
    return ERR_OK;
}
