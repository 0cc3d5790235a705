/* Effects of a deployment on the world. Each may be done twice: a task set is keyed by the
 * deployment's id, weights and primary are set to what they shall be, a hook is called again with
 * the same execution id. */
#include "svc/codedeploy/priv.h"

#define EXECUTION_ID_BYTES 64

static enum err create_task_set(struct op *op, struct codedeploy *cd, enum shift_which side,
                                struct engine_codedeploy_deployment *d)
{
    const struct port_task_sets *port = &cd->config.task_sets;
    bool is_blue = side == SHIFT_BLUE;
    const struct engine_codedeploy_spec *spec = is_blue ? d->blue_spec : d->spec;
    if (spec == NULL) {
        return op_fail(op, ERR_STATE, "there is no revision to go back to");
    }
    struct port_task_set_in in = {
        .cluster = d->cluster_name,
        .service = d->service_name,
        .external_id = d->deployment->deployment_id,
        .task_definition = spec->task_definition,
        .target_group_arn = is_blue ? d->blue_group_arn : d->green_group_arn,
        .container_name = spec->container_name,
        .container_port = OPT_OR(spec->container_port, 0),
        .platform_version = spec->platform_version,
        .subnets = spec->subnets.items,
        .subnet_count = spec->subnets.count,
        .security_groups = spec->security_groups.items,
        .security_group_count = spec->security_groups.count,
        .assign_public_ip = spec->assign_public_ip,
    };
    struct port_task_set made = {0};
    TRY(port->create(port->self, op, &in, &made));
    struct str id = arena_str(&op->arena, made.id);
    if (is_blue) {
        d->blue_id = id;
        d->blue_made = OPT_BOOL(true);
    } else {
        d->green_id = id;
    }
    return ERR_OK;
}

static enum err set_route(struct op *op, struct codedeploy *cd, struct str listener_arn,
                          struct shift_weights weights,
                          const struct engine_codedeploy_deployment *d)
{
    const struct port_elb *port = &cd->config.elb;
    struct port_weights w = {.count = 2};
    w.items[0] =
        (struct port_weight){.target_group_arn = d->blue_group_arn, .weight = weights.blue};
    w.items[1] =
        (struct port_weight){.target_group_arn = d->green_group_arn, .weight = weights.green};
    return port->set_weights(port->self, op, listener_arn, &w);
}

static bool has_group(const struct port_weights *w, struct str arn)
{
    for (size_t i = 0; i < w->count; i++) {
        if (str_equal(w->items[i].target_group_arn, arn)) {
            return true;
        }
    }
    return false;
}

/* A group that no listener refers to is not checked, so nobody could say whether green is healthy:
 * it joins the production route with no share of the traffic before its tasks start. */
static enum err attach_green(struct op *op, struct codedeploy *cd,
                             const struct engine_codedeploy_deployment *d)
{
    const struct port_elb *port = &cd->config.elb;
    struct port_weights now = {0};
    TRY(port->get_weights(port->self, op, d->production_listener_arn, &now));
    if (has_group(&now, d->green_group_arn)) {
        return ERR_OK;
    }
    return set_route(op, cd, d->production_listener_arn, shift_weights_of(0), d);
}

static enum err create_side(struct op *op, struct codedeploy *cd, enum shift_which side,
                            struct engine_codedeploy_deployment *d)
{
    if (side == SHIFT_GREEN) {
        TRY(attach_green(op, cd, d));
    }
    return create_task_set(op, cd, side, d);
}

static enum err call_hook(struct op *op, struct codedeploy *cd,
                          struct engine_codedeploy_deployment *d)
{
    struct shift_row row = cd_row_of(d);
    enum shift_event event = shift_event_of(row.state);
    struct str name = str_of(shift_event_name(event));
    struct str function = STR_NONE;
    for (size_t i = 0; i < d->spec->hooks.count; i++) {
        if (str_equal(d->spec->hooks.items[i].key, name)) {
            function = d->spec->hooks.items[i].value;
        }
    }
    struct engine_codedeploy_hook *h = ARENA_PUSH(&op->arena, &d->hooks);
    d->hooks.is_set = true;
    *h = (struct engine_codedeploy_hook){
        .event = name,
        .function = function,
        .execution_id =
            page_encode(&op->arena, rand_text(&op->arena, RAND_UPPER, EXECUTION_ID_BYTES)),
        .status = STR("called"),
    };
    const struct codedeploy_hooks *port = &cd->config.hooks;
    if (port->invoke == NULL) {
        return ERR_OK;
    }
    struct str payload = arena_printf(
        &op->arena, "{\"DeploymentId\":\"%.*s\",\"LifecycleEventHookExecutionId\":\"%.*s\"}",
        STR_ARG(d->deployment->deployment_id), STR_ARG(h->execution_id));
    return port->invoke(port->self, op, function, payload);
}

enum err cd_perform(struct op *op, struct codedeploy *cd, const struct shift_decision *decision,
                    struct engine_codedeploy_deployment *d)
{
    const struct port_task_sets *sets = &cd->config.task_sets;
    struct str side = decision->side == SHIFT_BLUE ? d->blue_id : d->green_id;
    switch (decision->effect) {
    case SHIFT_CREATE:
        return create_side(op, cd, decision->side, d);
    case SHIFT_SET_PRODUCTION:
        return set_route(op, cd, d->production_listener_arn, decision->weights, d);
    case SHIFT_SET_TEST:
        return set_route(op, cd, d->test_listener_arn, decision->weights, d);
    case SHIFT_SET_PRIMARY:
        return sets->set_primary(sets->self, op, d->cluster_name, d->service_name, side);
    case SHIFT_REMOVE:
        return sets->remove(sets->self, op, d->cluster_name, d->service_name, side);
    case SHIFT_CALL_HOOK:
        return call_hook(op, cd, d);
    default:
        UNREACHABLE("an effect without a hand");
    }
}
