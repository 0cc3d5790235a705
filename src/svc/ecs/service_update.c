/* UpdateService: what changes in place, and what begins a deployment (aws-semantics 1.5). */
#include "svc/ecs/ecs_priv.h"
#include "svc/ecs/native.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "shape/walk.h"

typedef struct ecs_update_service_in request;

/* ---- what a controller lets pass --------------------------------------------------------------*/

static enum err refuse(struct op *op, enum ecs_deployment_controller_type controller,
                       const char *what)
{
    bool is_code_deploy = controller == ECS_DEPLOYMENT_CONTROLLER_TYPE_CODE_DEPLOY;
    return fail_parameter(op, "Unable to update %s on services with %s deployment controller. %s",
                          what, is_code_deploy ? "a CODE_DEPLOY" : "an EXTERNAL",
                          is_code_deploy ? "Use AWS CodeDeploy to trigger a new deployment."
                                         : "Use task sets to make the change.");
}

static enum err check_controller(struct op *op, const request *in, const struct ecs_service *s)
{
    enum ecs_deployment_controller_type controller = ecs_service_controller(s);
    if (in->deployment_controller != NULL && in->deployment_controller->type != controller) {
        return fail_unsupported(op, "the deployment controller of a service cannot be changed "
                                    "here; create another service");
    }
    if (controller == ECS_DEPLOYMENT_CONTROLLER_TYPE_ECS) {
        return ERR_OK;
    }
    const struct {
        const char *what;
        bool is_asked;
    } refused[] = {
        {"task definition",
         in->task_definition.len > 0 && !str_equal(in->task_definition, s->task_definition)},
        {"network parameters", in->network_configuration != NULL},
        {"platform version",
         in->platform_version.len > 0 && !str_equal(in->platform_version, s->platform_version)},
        {"load balancers", in->load_balancers.is_set},
        {"the capacity provider strategy", in->capacity_provider_strategy.count > 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        if (refused[i].is_asked) {
            return refuse(op, controller, refused[i].what);
        }
    }
    if (OPT_OR(in->force_new_deployment, false)) {
        return fail_parameter(
            op, "Cannot force a new deployment on services with %s deployment controller.%s",
            controller == ECS_DEPLOYMENT_CONTROLLER_TYPE_CODE_DEPLOY ? "a CODE_DEPLOY"
                                                                     : "an EXTERNAL",
            controller == ECS_DEPLOYMENT_CONTROLLER_TYPE_CODE_DEPLOY
                ? " Use AWS CodeDeploy to trigger a new deployment."
                : "");
    }
    return ERR_OK;
}

/* ---- in place ---------------------------------------------------------------------------------*/

static enum err update_count(struct op *op, const request *in, struct ecs_service *s)
{
    if (!in->desired_count.is_set) {
        return ERR_OK;
    }
    if (s->scheduling_strategy == ECS_SCHEDULING_STRATEGY_DAEMON) {
        return fail_parameter(op, "The daemon scheduling strategy does not support a desired count "
                                  "for services. Remove the desired count value and try again.");
    }
    TRY(ecs_desired_count_check(op, in->desired_count.value));
    s->desired_count = in->desired_count;
    return ERR_OK;
}

static enum err update_in_place(struct op *op, const request *in, struct ecs_service *s)
{
    TRY(update_count(op, in, s));
    if (in->deployment_configuration != NULL) {
        TRY(ecs_deployment_configuration_fill(op, in->deployment_configuration,
                                              s->deployment_configuration, s,
                                              &s->deployment_configuration));
    }
    if (in->availability_zone_rebalancing != ECS_AVAILABILITY_ZONE_REBALANCING_UNSET) {
        s->availability_zone_rebalancing = in->availability_zone_rebalancing;
    }
    TRY(ecs_placement_check(op, s->launch_type, &in->placement_constraints,
                            &in->placement_strategy));
    if (in->placement_constraints.is_set) {
        s->placement_constraints = in->placement_constraints;
    }
    if (in->placement_strategy.is_set) {
        s->placement_strategy = in->placement_strategy;
    }
    if (in->health_check_grace_period_seconds.is_set) {
        if (in->health_check_grace_period_seconds.value < 0) {
            return fail_parameter(op, "healthCheckGracePeriodSeconds must not be negative.");
        }
        s->health_check_grace_period_seconds = in->health_check_grace_period_seconds;
    }
    if (in->enable_ecs_managed_tags.is_set) {
        s->enable_ecs_managed_tags = in->enable_ecs_managed_tags;
    }
    if (in->enable_execute_command.is_set) {
        s->enable_execute_command = in->enable_execute_command;
    }
    if (in->propagate_tags != ECS_PROPAGATE_TAGS_UNSET) {
        s->propagate_tags = in->propagate_tags;
    }
    return ERR_OK;
}

/* ---- a new revision ---------------------------------------------------------------------------*/

static bool is_same_revision(struct op *op, const struct ecs_service_revision *a,
                             const struct ecs_service_revision *b)
{
    const struct ecs_service_revision *both[] = {a, b};
    struct str texts[2] = {STR_NONE, STR_NONE};
    for (size_t i = 0; i < 2; i++) {
        struct ecs_service_revision plain = *both[i];
        plain.service_revision_arn = STR_NONE;
        plain.service_arn = STR_NONE;
        plain.cluster_arn = STR_NONE;
        plain.created_at = (struct opt_time){0};
        plain.container_images = (struct ecs_container_images){0}; /* the definition says them */
        auto_buf struct buf b_text;
        buf_init(&b_text, STORE_ROW_BYTES_MAX);
        shape_json_encode(&b_text, &shape_ecs_service_revision, &plain);
        texts[i] = arena_str(&op->arena, buf_str(&b_text));
    }
    return str_equal(texts[0], texts[1]);
}

static enum err update_capacity(struct op *op, struct ecs *ecs, const request *in,
                                const struct service_ref *ref, struct ecs_service_revision *wish)
{
    if (!in->capacity_provider_strategy.is_set) {
        return ERR_OK;
    }
    struct ecs_cluster cluster = {0};
    TRY(ecs_cluster_find(op, ecs, ref->cluster, &cluster));
    if (in->capacity_provider_strategy.count == 0 && wish->capacity_provider_strategy.count == 0) {
        return ERR_OK; /* an empty list for a service with a launch type changes nothing */
    }
    wish->launch_type = ECS_LAUNCH_TYPE_UNSET;
    return ecs_launch_resolve(op, &cluster, ECS_LAUNCH_TYPE_UNSET, &in->capacity_provider_strategy,
                              &wish->launch_type, &wish->capacity_provider_strategy);
}

static enum err make_wish(struct op *op, struct ecs *ecs, const request *in,
                          const struct service_ref *ref, struct ecs_service *s,
                          const struct ecs_service_revision *now_runs,
                          struct ecs_service_revision *ret)
{
    struct ecs_service_revision wish = *now_runs;
    struct ecs_task_definition td = {0};
    if (in->task_definition.len > 0) {
        struct engine_ecs_task_definition row = {0};
        TRY(ecs_task_definition_for_use(op, ecs, in->task_definition, &row));
        td = *row.definition;
    } else {
        TRY(ecs_task_definition_of(op, ecs, wish.task_definition, &td));
    }
    if (in->network_configuration != NULL) {
        wish.network_configuration = in->network_configuration;
    }
    if (in->load_balancers.is_set) {
        wish.load_balancers = in->load_balancers;
    }
    TRY(update_capacity(op, ecs, in, ref, &wish));
    struct str platform = ecs_default(in->platform_version, s->platform_version);
    if (wish.launch_type == ECS_LAUNCH_TYPE_EC2) {
        platform = in->platform_version;
    }
    TRY(ecs_wish_complete(op, ecs, &td, platform, true, &wish));
    s->platform_version =
        wish.platform_version.len == 0 ? STR_NONE : ecs_default(platform, STR("LATEST"));
    s->platform_family = wish.platform_family;
    *ret = wish;
    return ERR_OK;
}

static enum err find_primary_revision(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                                      struct ecs_service_revision *ret)
{
    struct store_items rows = {0};
    TRY(ecs_deployments_list(op, ecs, ref, &rows));
    for (size_t i = 0; i < rows.count; i++) {
        const struct engine_ecs_deployment *d = rows.items[i].value;
        if (STR_IS(d->deployment->status, "PRIMARY")) {
            return ecs_revision_find(op, ecs, ref, d->revision_arn, ret);
        }
    }
    return op_fail(op, ERR_INTERNAL, "the service has no primary deployment");
}

static enum err update_deployment(struct op *op, struct ecs *ecs, const request *in,
                                  const struct service_ref *ref, struct engine_ecs_service *row)
{
    struct ecs_service_revision now_runs = {0};
    TRY(find_primary_revision(op, ecs, ref, &now_runs));
    struct ecs_service_revision wish = {0};
    TRY(make_wish(op, ecs, in, ref, row->service, &now_runs, &wish));
    if (OPT_OR(in->force_new_deployment, false) || !is_same_revision(op, &now_runs, &wish)) {
        if (ecs_native_runs(op, ecs, ref)) {
            return fail_parameter(
                op, "A service deployment with the deployment strategy BLUE_GREEN, LINEAR or "
                    "CANARY is in progress. Stop it, or wait until it has ended.");
        }
        return ecs_deployment_begin(op, ecs, ref, row, &wish);
    }
    return ERR_OK;
}

enum err ecs_update_service(struct op *op, struct ecs *ecs, const struct ecs_update_service_in *in,
                            struct ecs_update_service_out *ret)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    struct service_ref ref = {0};
    struct engine_ecs_service row = {0};
    TRY(ecs_service_find_active(op, ecs, in->cluster, in->service, &ref, &row));
    TRY(check_controller(op, in, row.service));
    TRY(ecs_extras_check(op, &(struct service_extras){.registries = &in->service_registries,
                                                      .connect = in->service_connect_configuration,
                                                      .volumes = &in->volume_configurations,
                                                      .lattice = &in->vpc_lattice_configurations}));
    TRY(update_in_place(op, in, row.service));
    if (!ecs_service_has_task_sets(row.service)) {
        TRY(update_deployment(op, ecs, in, &ref, &row));
    }
    ecs_memory_update(op, &row.memory);
    TRY(ecs_service_put(op, ecs, &ref, &row));
    if (ecs_service_has_task_sets(row.service)) {
        TRY(ecs_task_sets_count_again(op, ecs, &ref, &row));
    }
    ret->service = ARENA_NEW(&op->arena, struct ecs_service);
    TRY(ecs_service_view(op, ecs, &ref, &row, true, ret->service));
    FAULT_POINT("ecs.update_service.commit");
    return store_tx_commit(op, &tx);
}
