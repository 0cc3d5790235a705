#include "deployer/shift.h"

#include "base/check.h"
#include "deployer/cdshift.h"

#define ONE(list_items)   .items = (list_items), .count = 1, .is_set = true
#define WORDS(list_words) .items = (list_words).items, .count = (list_words).count, .is_set = true
#define LOOKS_FOR_ARN_MAX 40
#define CLOCK_SLACK       DUR_S(5)

static enum ecs_deployment_strategy strategy_of(enum config_strategy strategy)
{
    switch (strategy) {
    case CONFIG_ROLLING:
        return ECS_DEPLOYMENT_STRATEGY_ROLLING;
    case CONFIG_CANARY:
        return ECS_DEPLOYMENT_STRATEGY_CANARY;
    case CONFIG_LINEAR:
        return ECS_DEPLOYMENT_STRATEGY_LINEAR;
    case CONFIG_BLUE_GREEN:
        break;
    }
    return ECS_DEPLOYMENT_STRATEGY_BLUE_GREEN;
}

static void configure_steps(struct arena *a, const struct config_environment *e,
                            struct ecs_deployment_configuration *c)
{
    struct opt_f64 percent = OPT_F64(e->steps[0].percent);
    struct opt_i32 minutes = OPT_I32((int32_t)(e->steps[0].wait_s / 60));
    if (c->strategy == ECS_DEPLOYMENT_STRATEGY_CANARY) {
        c->canary_configuration = ARENA_NEW(a, struct ecs_canary_configuration);
        *c->canary_configuration = (struct ecs_canary_configuration){
            .canary_percent = percent, .canary_bake_time_in_minutes = minutes};
    } else {
        c->linear_configuration = ARENA_NEW(a, struct ecs_linear_configuration);
        *c->linear_configuration = (struct ecs_linear_configuration){
            .step_percent = percent, .step_bake_time_in_minutes = minutes};
    }
}

void shift_configure(struct arena *a, const struct place *place, const struct shift_order *order,
                     struct ecs_deployment_configuration *ret)
{
    const struct config_environment *e = place->environment;
    struct ecs_deployment_configuration c = {.strategy = strategy_of(order->strategy)};
    c.deployment_circuit_breaker = ARENA_NEW(a, struct ecs_deployment_circuit_breaker);
    *c.deployment_circuit_breaker = (struct ecs_deployment_circuit_breaker){
        .enable = OPT_BOOL(true), .rollback = OPT_BOOL(true)};
    bool has_alarms = order->alarms.count > 0;
    c.alarms = ARENA_NEW(a, struct ecs_deployment_alarms);
    *c.alarms = (struct ecs_deployment_alarms){.alarm_names = {WORDS(order->alarms)},
                                               .enable = OPT_BOOL(has_alarms),
                                               .rollback = OPT_BOOL(has_alarms)};
    if (order->strategy == CONFIG_ROLLING) {
        c.minimum_healthy_percent = OPT_I32((int32_t)e->min_healthy_percent);
        c.maximum_percent = OPT_I32((int32_t)e->max_percent);
    } else {
        c.bake_time_in_minutes = OPT_I32(order->is_immediate ? 0 : (int32_t)(e->bake_s / 60));
    }
    if (order->strategy == CONFIG_CANARY || order->strategy == CONFIG_LINEAR) {
        CHECK(e->step_count > 0);
        configure_steps(a, e, &c);
    }
    *ret = c;
}

static struct ecs_load_balancers wire(struct arena *a, const struct resources *r,
                                      const struct shift_order *order, struct str role_arn)
{
    struct ecs_load_balancers list = {.is_set = true};
    struct ecs_load_balancer *l = ARENA_PUSH(a, &list);
    *l = (struct ecs_load_balancer){.target_group_arn = r->groups[r->live],
                                    .container_name = order->container,
                                    .container_port = OPT_I32((int32_t)order->container_port)};
    if (order->strategy != CONFIG_ROLLING) {
        l->advanced_configuration = ARENA_NEW(a, struct ecs_advanced_configuration);
        *l->advanced_configuration =
            (struct ecs_advanced_configuration){.alternate_target_group_arn = r->groups[!r->live],
                                                .production_listener_rule = r->rule_arn,
                                                .role_arn = role_arn};
    }
    return list;
}

/* The groups swap at every switch, so the wiring is sent again only where its kind changes. */
static bool needs_wiring(const struct resources *r, const struct shift_order *order)
{
    const struct ecs_load_balancer *now = &r->service->load_balancers.items[0];
    bool has_both = now->advanced_configuration != NULL;
    if (order->strategy != CONFIG_ROLLING) {
        return !has_both;
    }
    return has_both || !str_equal(now->target_group_arn, r->groups[r->live]);
}

void shift_update_in(struct arena *a, const struct place *place, const struct resources *r,
                     const struct shift_order *order, struct str role_arn,
                     struct ecs_update_service_in *ret)
{
    struct ecs_update_service_in in = {
        .cluster = place->cluster,
        .service = place->service_name,
        .task_definition = order->task_definition,
        .desired_count = OPT_I32((int32_t)place->count),
        .force_new_deployment = OPT_BOOL(true),
        .deployment_configuration = ARENA_NEW(a, struct ecs_deployment_configuration),
    };
    shift_configure(a, place, order, in.deployment_configuration);
    if (r->has_balancer && needs_wiring(r, order)) {
        in.load_balancers = wire(a, r, order, role_arn);
    }
    if (r->has_balancer && place->service->grace_s > 0) {
        in.health_check_grace_period_seconds = OPT_I32((int32_t)place->service->grace_s);
    }
    *ret = in;
}

void shift_create_in(struct arena *a, const struct place *place, const struct resources *r,
                     const struct shift_order *order, struct ecs_create_service_in *ret)
{
    struct shift_order first = *order;
    first.strategy = CONFIG_ROLLING;
    struct ecs_aws_vpc_configuration *vpc = ARENA_NEW(a, struct ecs_aws_vpc_configuration);
    vpc->subnets = (struct ecs_string_list){WORDS(r->subnets)};
    vpc->assign_public_ip = ECS_ASSIGN_PUBLIC_IP_ENABLED;
    if (r->security_groups.count > 0) {
        vpc->security_groups = (struct ecs_string_list){WORDS(r->security_groups)};
    }
    struct ecs_create_service_in in = {
        .cluster = place->cluster,
        .service_name = place->service_name,
        .task_definition = order->task_definition,
        .desired_count = OPT_I32((int32_t)place->count),
        .launch_type = ECS_LAUNCH_TYPE_FARGATE,
        .network_configuration = ARENA_NEW(a, struct ecs_network_configuration),
        .deployment_configuration = ARENA_NEW(a, struct ecs_deployment_configuration),
    };
    in.network_configuration->awsvpc_configuration = vpc;
    shift_configure(a, place, &first, in.deployment_configuration);
    if (r->has_balancer) {
        in.load_balancers = wire(a, r, &first, STR_NONE);
        if (place->service->grace_s > 0) {
            in.health_check_grace_period_seconds = OPT_I32((int32_t)place->service->grace_s);
        }
    }
    *ret = in;
}

bool shift_is_codedeploy(const struct ecs_service *service)
{
    return service != NULL && service->deployment_controller != NULL &&
           service->deployment_controller->type == ECS_DEPLOYMENT_CONTROLLER_TYPE_CODE_DEPLOY;
}

static const struct ecs_deployment *primary_of(const struct ecs_service *service)
{
    for (size_t i = 0; i < service->deployments.count; i++) {
        if (STR_IS(service->deployments.items[i].status, "PRIMARY")) {
            return &service->deployments.items[i];
        }
    }
    return NULL;
}

bool shift_current(const struct ecs_service *service, struct handle *ret_handle)
{
    bool is_native = service->deployment_configuration != NULL &&
                     service->deployment_configuration->strategy > ECS_DEPLOYMENT_STRATEGY_ROLLING;
    const struct ecs_deployment *primary = primary_of(service);
    bool is_rolling =
        primary != NULL && primary->rollout_state == ECS_DEPLOYMENT_ROLLOUT_STATE_IN_PROGRESS;
    if (is_native && str_is_set(service->current_service_deployment)) {
        *ret_handle = (struct handle){.kind = HANDLE_NATIVE,
                                      .id = service->current_service_deployment,
                                      .service_deployment = service->current_service_deployment,
                                      .task_definition = service->task_definition};
        return true;
    }
    if (!is_native && is_rolling) {
        *ret_handle = (struct handle){.kind = HANDLE_ROLLING,
                                      .id = primary->id,
                                      .service_deployment = service->current_service_deployment,
                                      .task_definition = primary->task_definition};
        return true;
    }
    return false;
}

/* ---- starting ---- */

static enum err list_newest(struct op *op, const struct cloud *cloud, const struct place *place,
                            wall_t since, struct str *ret_arn)
{
    struct ecs_created_at after = {.after = OPT_TIME(wall_add(since, DUR_US(-CLOCK_SLACK.us)))};
    struct ecs_list_service_deployments_in in = {
        .cluster = place->cluster, .service = place->service_name, .created_at = &after};
    struct ecs_list_service_deployments_out out = {0};
    TRY(ecs_call_list_service_deployments(op, cloud->client, &in, &out));
    for (size_t i = 0; i < out.service_deployments.count; i++) {
        const struct ecs_service_deployment_brief *b = &out.service_deployments.items[i];
        if (b->status == ECS_SERVICE_DEPLOYMENT_STATUS_PENDING ||
            b->status == ECS_SERVICE_DEPLOYMENT_STATUS_IN_PROGRESS) {
            *ret_arn = arena_str(&op->arena, b->service_deployment_arn);
            return ERR_OK;
        }
    }
    return ERR_AGAIN;
}

/* A moment passes between UpdateService and the deployment's appearance in the list. */
static enum err find_service_deployment(struct op *op, const struct cloud *cloud,
                                        const struct place *place, struct str before,
                                        const struct ecs_service *answer, wall_t since,
                                        struct str *ret_arn)
{
    struct str now = answer->current_service_deployment;
    if (str_is_set(now) && !str_equal(now, before)) {
        *ret_arn = now;
        return ERR_OK;
    }
    for (int look = 0; look < LOOKS_FOR_ARN_MAX; look++) {
        enum err e = list_newest(op, cloud, place, since, ret_arn);
        if (e != ERR_AGAIN) {
            return e;
        }
        cloud_wait(cloud->poll);
    }
    return op_fail(op, ERR_TIMEOUT, "the deployment was started, but ECS does not list it");
}

static enum err take_handle(struct op *op, const struct cloud *cloud, const struct place *place,
                            struct str before, const struct ecs_service *answer,
                            const struct shift_order *order, struct handle *h)
{
    h->kind = order->strategy == CONFIG_ROLLING ? HANDLE_ROLLING : HANDLE_NATIVE;
    if (h->kind == HANDLE_NATIVE) {
        TRY(find_service_deployment(op, cloud, place, before, answer, h->started,
                                    &h->service_deployment));
        h->id = h->service_deployment;
        return ERR_OK;
    }
    const struct ecs_deployment *primary = primary_of(answer);
    if (primary == NULL) {
        return op_fail(op, ERR_PROTOCOL, "ECS answered without a PRIMARY deployment");
    }
    h->id = primary->id;
    return ERR_OK;
}

static enum err create(struct op *op, const struct cloud *cloud, const struct place *place,
                       const struct resources *r, const struct shift_order *order, struct handle *h)
{
    struct shift_order first = *order;
    first.strategy = CONFIG_ROLLING;
    struct ecs_create_service_in in = {0};
    struct ecs_create_service_out out = {0};
    shift_create_in(&op->arena, place, r, order, &in);
    TRY(ecs_call_create_service(op, cloud->client, &in, &out));
    return out.service == NULL
               ? op_fail(op, ERR_PROTOCOL, "CreateService answered without a service")
               : take_handle(op, cloud, place, STR_NONE, out.service, &first, h);
}

static enum err update(struct op *op, const struct cloud *cloud, const struct place *place,
                       struct resources *r, const struct shift_order *order, struct handle *h)
{
    struct str role = place->environment->infrastructure_role;
    if (!str_is_set(role)) {
        role = arena_printf(&op->arena, "arn:aws:iam::%.*s:role/ecsInfrastructureRole",
                            STR_ARG(cloud->account));
    }
    if (order->strategy != CONFIG_ROLLING && r->has_balancer) {
        TRY(resources_make_switchable(op, cloud, r));
    }
    struct ecs_update_service_in in = {0};
    struct ecs_update_service_out out = {0};
    shift_update_in(&op->arena, place, r, order, role, &in);
    TRY(ecs_call_update_service(op, cloud->client, &in, &out));
    return out.service == NULL
               ? op_fail(op, ERR_PROTOCOL, "UpdateService answered without a service")
               : take_handle(op, cloud, place, r->service->current_service_deployment, out.service,
                             order, h);
}

enum err shift_start(struct op *op, const struct cloud *cloud, const struct place *place,
                     struct resources *r, const struct shift_order *order,
                     struct handle *ret_handle)
{
    struct handle h = {.task_definition = order->task_definition, .started = clock_wall()};
    if (r->service == NULL) {
        TRY(create(op, cloud, place, r, order, &h));
    } else if (shift_is_codedeploy(r->service)) {
        h.old_task_definition = r->service->task_definition;
        TRY(cdshift_start(op, cloud, place, r, order, &h));
    } else {
        h.old_task_definition = r->service->task_definition;
        TRY(update(op, cloud, place, r, order, &h));
    }
    *ret_handle = h;
    return ERR_OK;
}

enum err shift_stop(struct op *op, const struct cloud *cloud, const struct handle *handle)
{
    if (handle->kind == HANDLE_CODEDEPLOY) {
        return cdshift_stop(op, cloud, handle->id);
    }
    if (!str_is_set(handle->service_deployment)) {
        return op_fail(op, ERR_STATE, "the deployment %.*s cannot be stopped: ECS lists it not",
                       STR_ARG(handle->id));
    }
    struct ecs_stop_service_deployment_in in = {
        .service_deployment_arn = handle->service_deployment,
        .stop_type = ECS_STOP_SERVICE_DEPLOYMENT_STOP_TYPE_ROLLBACK};
    struct ecs_stop_service_deployment_out out = {0};
    return ecs_call_stop_service_deployment(op, cloud->client, &in, &out);
}

/* A rolled-back rolling update is told apart from its rollback only in the list of deployments. */
struct str shift_end_reason(struct op *op, const struct cloud *cloud, const struct place *place,
                            const struct handle *handle)
{
    struct ecs_created_at after = {
        .after = OPT_TIME(wall_add(handle->started, DUR_US(-CLOCK_SLACK.us)))};
    struct ecs_list_service_deployments_in in = {
        .cluster = place->cluster, .service = place->service_name, .created_at = &after};
    struct ecs_list_service_deployments_out out = {0};
    if (handle->kind == HANDLE_CODEDEPLOY ||
        ecs_call_list_service_deployments(op, cloud->client, &in, &out) != ERR_OK) {
        op_note_clear(op);
        return STR_NONE;
    }
    for (size_t i = 0; i < out.service_deployments.count; i++) {
        const struct ecs_service_deployment_brief *b = &out.service_deployments.items[i];
        if (b->status != ECS_SERVICE_DEPLOYMENT_STATUS_SUCCESSFUL && str_is_set(b->status_reason)) {
            return b->status_reason;
        }
    }
    return STR_NONE;
}

enum err shift_find_current(struct op *op, const struct cloud *cloud, const struct place *place,
                            const struct ecs_service *service, struct handle *ret_handle)
{
    if (shift_is_codedeploy(service)) {
        return cdshift_current(op, cloud, place, ret_handle);
    }
    if (!shift_current(service, ret_handle)) {
        return op_fail(op, ERR_NOT_FOUND, "no deployment of \"%.*s\" is under way",
                       STR_ARG(place->service_name));
    }
    ret_handle->started = clock_wall();
    if (!str_is_set(ret_handle->service_deployment)) {
        enum err e = list_newest(op, cloud, place, (wall_t){.us = CLOCK_SLACK.us},
                                 &ret_handle->service_deployment);
        return e == ERR_AGAIN ? op_fail(op, ERR_NOT_FOUND, "ECS lists no deployment under way") : e;
    }
    return ERR_OK;
}
