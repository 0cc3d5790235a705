/* What CreateService and UpdateService refuse, and the defaults of deploymentConfiguration. */
#include "svc/ecs/ecs_priv.h"

#include "shape/walk.h"

/* ---- deploymentConfiguration ------------------------------------------------------------------*/

static const struct ecs_deployment_configuration nothing;

static struct ecs_deployment_circuit_breaker *fill_breaker(
    struct op *op, const struct ecs_deployment_circuit_breaker *in,
    const struct ecs_deployment_circuit_breaker *have)
{
    const struct ecs_deployment_circuit_breaker *from = in != NULL ? in : have;
    struct ecs_deployment_circuit_breaker *b =
        ARENA_NEW(&op->arena, struct ecs_deployment_circuit_breaker);
    b->enable = OPT_BOOL(from != NULL && OPT_OR(from->enable, false));
    b->rollback = OPT_BOOL(from != NULL && OPT_OR(from->rollback, false));
    return b;
}

static struct ecs_deployment_alarms *fill_alarms(struct op *op,
                                                 const struct ecs_deployment_alarms *in,
                                                 const struct ecs_deployment_alarms *have)
{
    const struct ecs_deployment_alarms *from = in != NULL ? in : have;
    struct ecs_deployment_alarms *a = ARENA_NEW(&op->arena, struct ecs_deployment_alarms);
    if (from != NULL) {
        *a = *from;
    }
    a->alarm_names.is_set = true;
    a->enable = OPT_BOOL(OPT_OR(a->enable, false));
    a->rollback = OPT_BOOL(OPT_OR(a->rollback, false));
    return a;
}

static enum err check_percents(struct op *op, const struct ecs_deployment_configuration *c,
                               bool is_daemon)
{
    int32_t least = c->minimum_healthy_percent.value;
    int32_t most = c->maximum_percent.value;
    if (least < 0 || least > 100) {
        return fail_parameter(op, "minimumHealthyPercent must be between 0 and 100.");
    }
    if (is_daemon && most != 100) {
        return fail_parameter(op, "maximumPercent must be 100 for the DAEMON scheduling strategy.");
    }
    if (most < 100 || most > 100000) {
        return fail_parameter(op, "maximumPercent must be at least 100.");
    }
    if (!is_daemon && least == 100 && most == 100) {
        return fail_parameter(op, "Both maximumPercent and minimumHealthyPercent cannot be 100 as "
                                  "this will block deployments.");
    }
    return ERR_OK;
}

/* aws-semantics 1.11: multiples of 0.1; bakes of at most a day. */
static enum err check_share(struct op *op, const char *name, struct opt_f64 percent, double least,
                            struct opt_i32 bake_min)
{
    double tenths = OPT_OR(percent, least) * 10;
    bool is_even = tenths - (double)(int64_t)(tenths + 0.5) < 1e-6 &&
                   tenths - (double)(int64_t)(tenths + 0.5) > -1e-6;
    if (OPT_OR(percent, least) < least || OPT_OR(percent, least) > 100 || !is_even) {
        return fail_parameter(op, "%s must be a multiple of 0.1 between %.1f and 100.0.", name,
                              least);
    }
    if (OPT_OR(bake_min, 0) < 0 || OPT_OR(bake_min, 0) > 1440) {
        return fail_parameter(op, "The bake time of %s must be between 0 and 1440 minutes.", name);
    }
    return ERR_OK;
}

static enum err check_steps(struct op *op, const struct ecs_deployment_configuration *c)
{
    const struct ecs_canary_configuration *canary = c->canary_configuration;
    const struct ecs_linear_configuration *linear = c->linear_configuration;
    if (canary != NULL && c->strategy != ECS_DEPLOYMENT_STRATEGY_CANARY) {
        return fail_parameter(
            op, "canaryConfiguration is only allowed with the CANARY deployment strategy.");
    }
    if (linear != NULL && c->strategy != ECS_DEPLOYMENT_STRATEGY_LINEAR) {
        return fail_parameter(
            op, "linearConfiguration is only allowed with the LINEAR deployment strategy.");
    }
    if (canary != NULL) {
        TRY(check_share(op, "canaryPercent", canary->canary_percent, 0.1,
                        canary->canary_bake_time_in_minutes));
    }
    if (linear != NULL) {
        TRY(check_share(op, "stepPercent", linear->step_percent, 3.0,
                        linear->step_bake_time_in_minutes));
    }
    return ERR_OK;
}

/* What AWS fills in. */
static void fill_steps(struct op *op, struct ecs_deployment_configuration *c)
{
    if (c->strategy == ECS_DEPLOYMENT_STRATEGY_CANARY) {
        struct ecs_canary_configuration *canary =
            ARENA_NEW(&op->arena, struct ecs_canary_configuration);
        const struct ecs_canary_configuration *in = c->canary_configuration;
        canary->canary_percent = OPT_F64(in == NULL ? 5.0 : OPT_OR(in->canary_percent, 5.0));
        canary->canary_bake_time_in_minutes =
            OPT_I32(in == NULL ? 10 : OPT_OR(in->canary_bake_time_in_minutes, 10));
        c->canary_configuration = canary;
    }
    if (c->strategy == ECS_DEPLOYMENT_STRATEGY_LINEAR) {
        struct ecs_linear_configuration *linear =
            ARENA_NEW(&op->arena, struct ecs_linear_configuration);
        const struct ecs_linear_configuration *in = c->linear_configuration;
        linear->step_percent = OPT_F64(in == NULL ? 10.0 : OPT_OR(in->step_percent, 10.0));
        linear->step_bake_time_in_minutes =
            OPT_I32(in == NULL ? 6 : OPT_OR(in->step_bake_time_in_minutes, 6));
        c->linear_configuration = linear;
    }
}

static enum err check_strategy(struct op *op, const struct ecs_deployment_configuration *c)
{
    if (c->lifecycle_hooks.count > 0) {
        return fail_unsupported(op, "lifecycleHooks are not offered here");
    }
    TRY(check_steps(op, c));
    if (c->bake_time_in_minutes.value < 0 || c->bake_time_in_minutes.value > 1440) {
        return fail_parameter(op, "bakeTimeInMinutes must be between 0 and 1440.");
    }
    if (c->alarms->enable.value && c->alarms->alarm_names.count == 0) {
        return fail_parameter(op, "alarmNames can not be empty while alarms are enabled.");
    }
    return ERR_OK;
}

static struct opt_i32 choose(struct opt_i32 in, struct opt_i32 have, int32_t otherwise)
{
    return OPT_I32(OPT_OR(in, OPT_OR(have, otherwise)));
}

enum err ecs_deployment_configuration_fill(struct op *op,
                                           const struct ecs_deployment_configuration *in,
                                           const struct ecs_deployment_configuration *have,
                                           const struct ecs_service *service,
                                           struct ecs_deployment_configuration **ret)
{
    bool is_daemon = service->scheduling_strategy == ECS_SCHEDULING_STRATEGY_DAEMON;
    in = in == NULL ? &nothing : in;
    have = have == NULL ? &nothing : have;
    struct ecs_deployment_configuration *c =
        ARENA_NEW(&op->arena, struct ecs_deployment_configuration);
    *c = *in;
    c->maximum_percent = choose(in->maximum_percent, have->maximum_percent, is_daemon ? 100 : 200);
    c->minimum_healthy_percent =
        choose(in->minimum_healthy_percent, have->minimum_healthy_percent, is_daemon ? 0 : 100);
    TRY(check_percents(op, c, is_daemon));
    if (ecs_service_has_task_sets(service)) {
        /* AWS answers with the percents alone; nothing else applies to these controllers */
        if (in->deployment_circuit_breaker != NULL &&
            OPT_OR(in->deployment_circuit_breaker->enable, false)) {
            return fail_parameter(op, "Deployment circuit breaker feature is only supported with "
                                      "ECS deployment controller.");
        }
        *ret = c;
        return ERR_OK;
    }
    c->deployment_circuit_breaker =
        fill_breaker(op, in->deployment_circuit_breaker, have->deployment_circuit_breaker);
    c->alarms = fill_alarms(op, in->alarms, have->alarms);
    if (c->strategy == ECS_DEPLOYMENT_STRATEGY_UNSET) {
        c->strategy = ECS_DEPLOYMENT_STRATEGY_ROLLING;
    }
    c->bake_time_in_minutes = choose(in->bake_time_in_minutes, have->bake_time_in_minutes, 0);
    TRY(check_strategy(op, c));
    fill_steps(op, c);
    *ret = c;
    return ERR_OK;
}

/* ---- what is not there ------------------------------------------------------------------------*/

enum err ecs_extras_check(struct op *op, const struct service_extras *x)
{
    if (x->registries->count > 0) {
        return fail_unsupported(op, "serviceRegistries are not offered here");
    }
    if (x->connect != NULL && OPT_OR(x->connect->enabled, false)) {
        return fail_unsupported(op, "Service Connect is not offered here");
    }
    if (x->volumes->count > 0) {
        return fail_unsupported(op, "volumeConfigurations are not offered here");
    }
    if (x->lattice->count > 0) {
        return fail_unsupported(op, "vpcLatticeConfigurations are not offered here");
    }
    return ERR_OK;
}

enum err ecs_placement_check(struct op *op, enum ecs_launch_type launch_type,
                             const struct ecs_placement_constraints *constraints,
                             const struct ecs_placement_strategies *strategies)
{
    if (constraints->count > ECS_PLACEMENT_RULES_MAX) {
        return fail_parameter(op, "placementConstraints can have at most %d items.",
                              ECS_PLACEMENT_RULES_MAX);
    }
    if (strategies->count > ECS_PLACEMENT_STRATEGY_MAX) {
        return fail_parameter(op, "placementStrategy can have at most %d items.",
                              ECS_PLACEMENT_STRATEGY_MAX);
    }
    if (launch_type == ECS_LAUNCH_TYPE_FARGATE && constraints->count > 0) {
        return fail_parameter(op, "Placement constraints are not supported with FARGATE launch "
                                  "type.");
    }
    if (launch_type == ECS_LAUNCH_TYPE_FARGATE && strategies->count > 0) {
        return fail_parameter(op, "Placement strategies are not supported with FARGATE launch "
                                  "type.");
    }
    return ERR_OK;
}

enum err ecs_desired_count_check(struct op *op, int32_t desired_count)
{
    if (desired_count < 0 || desired_count > ECS_DESIRED_COUNT_MAX) {
        return fail_parameter(op, "desiredCount must be between 0 and %d.", ECS_DESIRED_COUNT_MAX);
    }
    return ERR_OK;
}

/* ---- what a revision may be -------------------------------------------------------------------*/

static enum err fill_images(struct op *op, const struct ecs_task_definition *td,
                            struct ecs_service_revision *r)
{
    r->container_images = (struct ecs_container_images){.is_set = true};
    for (size_t i = 0; i < td->container_definitions.count; i++) {
        const struct ecs_container_definition *c = &td->container_definitions.items[i];
        *ARENA_PUSH(&op->arena, &r->container_images) =
            (struct ecs_container_image){.container_name = c->name, .image = c->image};
    }
    return ERR_OK;
}

static void fill_resolved(struct op *op, struct ecs_service_revision *r)
{
    r->resolved_configuration = NULL;
    if (r->load_balancers.count == 0) {
        return;
    }
    r->resolved_configuration = ARENA_NEW(&op->arena, struct ecs_resolved_configuration);
    for (size_t i = 0; i < r->load_balancers.count; i++) {
        *ARENA_PUSH(&op->arena, &r->resolved_configuration->load_balancers) =
            (struct ecs_service_revision_load_balancer){
                .target_group_arn = r->load_balancers.items[i].target_group_arn};
    }
    r->resolved_configuration->load_balancers.is_set = true;
}

enum err ecs_wish_complete(struct op *op, struct ecs *ecs, const struct ecs_task_definition *td,
                           struct str asked_platform, bool needs_listener,
                           struct ecs_service_revision *wish)
{
    enum ecs_launch_type launch_type = wish->launch_type;
    struct str provider = STR_NONE;
    ecs_pick_capacity(&wish->capacity_provider_strategy, &launch_type, &provider);
    TRY(ecs_launch_check(op, td, launch_type));
    TRY(ecs_platform_check(op, launch_type, asked_platform));
    TRY(ecs_network_check(op, td, wish->network_configuration));
    TRY(ecs_load_balancers_check(op, ecs, td, &wish->load_balancers, needs_listener));
    wish->task_definition = td->task_definition_arn;
    wish->network_configuration = ecs_network_fill(op, wish->network_configuration);
    wish->platform_version = ecs_platform_version(launch_type, asked_platform);
    wish->platform_family = ecs_platform_family(launch_type);
    wish->load_balancers.is_set = true;
    wish->service_registries.is_set = true;
    wish->guard_duty_enabled = OPT_BOOL(false);
    fill_resolved(op, wish);
    return fill_images(op, td, wish);
}

enum err ecs_launch_resolve(struct op *op, const struct ecs_cluster *cluster,
                            enum ecs_launch_type launch_type,
                            const struct ecs_capacity_provider_strategy *strategy,
                            enum ecs_launch_type *ret_launch_type,
                            struct ecs_capacity_provider_strategy *ret_strategy)
{
    TRY(ecs_strategy_check(op, strategy));
    if (launch_type != ECS_LAUNCH_TYPE_UNSET && strategy->count > 0) {
        return fail_parameter(op, "Specifying both a launch type and capacity provider strategy is "
                                  "not supported. Remove one and try again.");
    }
    *ret_strategy = *strategy;
    *ret_launch_type = launch_type;
    if (launch_type != ECS_LAUNCH_TYPE_UNSET) {
        return ERR_OK;
    }
    if (strategy->count == 0 && cluster->default_capacity_provider_strategy.count > 0) {
        *ret_strategy = cluster->default_capacity_provider_strategy;
    }
    if (ret_strategy->count == 0) {
        *ret_launch_type = ECS_LAUNCH_TYPE_EC2;
    }
    struct ecs_capacity_provider_strategy filled = {.is_set = ret_strategy->is_set};
    for (size_t i = 0; i < ret_strategy->count; i++) {
        struct ecs_capacity_provider_strategy_item item = ret_strategy->items[i];
        item.weight = OPT_I32(OPT_OR(item.weight, 0));
        item.base = OPT_I32(OPT_OR(item.base, 0));
        *ARENA_PUSH(&op->arena, &filled) = item;
    }
    *ret_strategy = filled;
    return ERR_OK;
}
