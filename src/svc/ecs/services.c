/* CreateService, DescribeServices, ListServices, DeleteService. */
#include "svc/ecs/ecs_priv.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "shape/walk.h"

/* ---- rows -------------------------------------------------------------------------------------*/

enum ecs_deployment_controller_type ecs_service_controller(const struct ecs_service *s)
{
    return s->deployment_controller == NULL ||
                   s->deployment_controller->type == ECS_DEPLOYMENT_CONTROLLER_TYPE_UNSET
               ? ECS_DEPLOYMENT_CONTROLLER_TYPE_ECS
               : s->deployment_controller->type;
}

enum err ecs_service_put(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                         struct engine_ecs_service *row)
{
    row->updated_at = OPT_TIME(op->now);
    TRY(store_put(op, ecs->config.store, &ecs_kind_service, ref->key, ref->cluster, row));
    ecs_wake_service(op, ecs, ref->cluster, ref->name);
    return ERR_OK;
}

enum err ecs_service_find(struct op *op, struct ecs *ecs, struct str cluster, struct str service,
                          struct service_ref *ret_ref, struct engine_ecs_service *ret)
{
    struct ecs_cluster found = {0};
    TRY(ecs_cluster_find(op, ecs, cluster, &found));
    struct str name = STR_NONE;
    TRY(ecs_service_ref(op, found.cluster_name, service, &name));
    struct service_ref ref = ecs_make_ref(op, found.cluster_name, name);
    struct engine_ecs_service row = {0};
    enum err e = store_get(op, ecs->config.store, &ecs_kind_service, ref.key, &row);
    if (e == ERR_NOT_FOUND) {
        return op_fail_as(op, ERR_NOT_FOUND, &ecs_error_service_not_found_exception,
                          "Service not found.");
    }
    TRY(e);
    *ret_ref = ref;
    *ret = row;
    return ERR_OK;
}

enum err ecs_service_find_active(struct op *op, struct ecs *ecs, struct str cluster,
                                 struct str service, struct service_ref *ret_ref,
                                 struct engine_ecs_service *ret)
{
    TRY(ecs_service_find(op, ecs, cluster, service, ret_ref, ret));
    if (!STR_IS(ret->service->status, "ACTIVE")) {
        return op_fail_as(op, ERR_STATE, &ecs_error_service_not_active_exception,
                          "Service was not ACTIVE.");
    }
    return ERR_OK;
}

/* ---- create -----------------------------------------------------------------------------------*/

/* The request without its token: what makes two calls the same. */
static enum err write_request(struct op *op, const struct ecs_create_service_in *in,
                              struct str *ret_text)
{
    struct ecs_create_service_in plain = *in;
    plain.client_token = STR_NONE;
    auto_buf struct buf b;
    buf_init(&b, STORE_ROW_BYTES_MAX / 2);
    shape_json_encode(&b, &shape_ecs_create_service_in, &plain);
    if (b.is_overflown) {
        return fail_parameter(op, "The request is too large");
    }
    *ret_text = arena_str(&op->arena, buf_str(&b));
    return ERR_OK;
}

static enum err check_names(struct op *op, const struct ecs_create_service_in *in)
{
    if (!name_is(in->service_name, 1, ECS_NAME_BYTES_MAX, STR("-_"))) {
        return fail_parameter(op,
                              "The service name has up to %d letters, digits, hyphens and "
                              "underscores",
                              ECS_NAME_BYTES_MAX);
    }
    if (in->client_token.len > ECS_SERVICE_TOKEN_BYTES_MAX) {
        return fail_parameter(op, "clientToken can have at most %d characters.",
                              ECS_SERVICE_TOKEN_BYTES_MAX);
    }
    TRY(ecs_tags_check(op, &in->tags));
    return ecs_extras_check(op,
                            &(struct service_extras){.registries = &in->service_registries,
                                                     .connect = in->service_connect_configuration,
                                                     .volumes = &in->volume_configurations,
                                                     .lattice = &in->vpc_lattice_configurations});
}

/* *ret_is_there: the same service was created before; *ret is its row. */
static enum err check_unique(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                             struct str request, struct engine_ecs_service *ret, bool *ret_is_there)
{
    struct engine_ecs_service row = {0};
    enum err e = store_get(op, ecs->config.store, &ecs_kind_service, ref->key, &row);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && STR_IS(row.service->status, "INACTIVE"))) {
        op_note_clear(op);
        *ret_is_there = false;
        return ERR_OK;
    }
    TRY(e);
    if (STR_IS(row.service->status, "DRAINING")) {
        return fail_parameter(op, "Unable to Start a service that is still Draining.");
    }
    if (!str_equal(row.request, request)) {
        return fail_parameter(op, "Creation of service was not idempotent.");
    }
    *ret = row;
    *ret_is_there = true;
    return ERR_OK;
}

static enum err check_scheduling(struct op *op, const struct ecs_create_service_in *in,
                                 struct ecs_service *s)
{
    bool is_daemon = in->scheduling_strategy == ECS_SCHEDULING_STRATEGY_DAEMON;
    enum ecs_deployment_controller_type controller = ecs_service_controller(s);
    if (is_daemon && in->launch_type == ECS_LAUNCH_TYPE_FARGATE) {
        return fail_parameter(op, "The daemon scheduling strategy is not supported with the "
                                  "FARGATE launch type.");
    }
    if (is_daemon && controller != ECS_DEPLOYMENT_CONTROLLER_TYPE_ECS) {
        return fail_parameter(op, "The daemon scheduling strategy is only supported with the ECS "
                                  "deployment controller.");
    }
    if (is_daemon && in->desired_count.is_set) {
        return fail_parameter(op, "The daemon scheduling strategy does not support a desired count "
                                  "for services. Remove the desired count value and try again.");
    }
    if (!is_daemon && !in->desired_count.is_set &&
        controller == ECS_DEPLOYMENT_CONTROLLER_TYPE_ECS) {
        return fail_parameter(op, "desiredCount is required for the REPLICA scheduling strategy.");
    }
    TRY(ecs_desired_count_check(op, OPT_OR(in->desired_count, 0)));
    s->scheduling_strategy =
        is_daemon ? ECS_SCHEDULING_STRATEGY_DAEMON : ECS_SCHEDULING_STRATEGY_REPLICA;
    /* a daemon runs once on every machine: there is one */
    s->desired_count = OPT_I32(is_daemon ? 1 : OPT_OR(in->desired_count, 0));
    return ERR_OK;
}

static struct str make_role(struct op *op, struct str role)
{
    struct str resource = STR("role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS");
    if (arn_looks_like_one(role)) {
        return role;
    }
    if (role.len > 0) {
        resource = arena_printf(&op->arena, "role/%.*s", STR_ARG(role));
    }
    return arn_make_global(op, STR("iam"), resource);
}

static enum err make_service(struct op *op, const struct ecs_create_service_in *in,
                             const struct service_ref *ref, struct ecs_service *s)
{
    struct ecs_deployment_controller *controller =
        ARENA_NEW(&op->arena, struct ecs_deployment_controller);
    controller->type = in->deployment_controller == NULL ? ECS_DEPLOYMENT_CONTROLLER_TYPE_ECS
                                                         : in->deployment_controller->type;
    *s = (struct ecs_service){
        .service_arn = arn_makef(op, STR("ecs"), "service/%.*s", STR_ARG(ref->key)),
        .service_name = ref->name,
        .cluster_arn = ecs_cluster_arn(op, ref->cluster),
        .status = STR("ACTIVE"),
        .deployment_controller = controller,
        .role_arn = make_role(op, in->role),
        .created_at = OPT_TIME(op->now),
        .created_by = op->caller_arn,
        .placement_constraints = in->placement_constraints,
        .placement_strategy = in->placement_strategy,
        .health_check_grace_period_seconds =
            OPT_I32(OPT_OR(in->health_check_grace_period_seconds, 0)),
        .tags = in->tags,
        .enable_ecs_managed_tags = OPT_BOOL(OPT_OR(in->enable_ecs_managed_tags, false)),
        .propagate_tags = in->propagate_tags == ECS_PROPAGATE_TAGS_UNSET ? ECS_PROPAGATE_TAGS_NONE
                                                                         : in->propagate_tags,
        .enable_execute_command = OPT_BOOL(OPT_OR(in->enable_execute_command, false)),
        .availability_zone_rebalancing = in->availability_zone_rebalancing,
    };
    s->placement_constraints.is_set = true;
    s->placement_strategy.is_set = true;
    s->tags.is_set = true;
    TRY(check_scheduling(op, in, s));
    if (s->availability_zone_rebalancing == ECS_AVAILABILITY_ZONE_REBALANCING_UNSET) {
        bool may = s->scheduling_strategy == ECS_SCHEDULING_STRATEGY_REPLICA &&
                   controller->type == ECS_DEPLOYMENT_CONTROLLER_TYPE_ECS;
        s->availability_zone_rebalancing = may ? ECS_AVAILABILITY_ZONE_REBALANCING_ENABLED
                                               : ECS_AVAILABILITY_ZONE_REBALANCING_DISABLED;
    }
    if (s->health_check_grace_period_seconds.value < 0) {
        return fail_parameter(op, "healthCheckGracePeriodSeconds must not be negative.");
    }
    return ecs_deployment_configuration_fill(op, in->deployment_configuration, NULL, s,
                                             &s->deployment_configuration);
}

static enum err make_wish(struct op *op, struct ecs *ecs, const struct ecs_cluster *cluster,
                          const struct ecs_create_service_in *in, struct ecs_service *s,
                          struct ecs_service_revision *wish)
{
    *wish = (struct ecs_service_revision){.load_balancers = in->load_balancers,
                                          .network_configuration = in->network_configuration};
    TRY(ecs_launch_resolve(op, cluster, in->launch_type, &in->capacity_provider_strategy,
                           &wish->launch_type, &wish->capacity_provider_strategy));
    TRY(ecs_placement_check(op, wish->launch_type, &in->placement_constraints,
                            &in->placement_strategy));
    struct engine_ecs_task_definition td = {0};
    TRY(ecs_task_definition_for_use(op, ecs, in->task_definition, &td));
    TRY(ecs_wish_complete(op, ecs, td.definition, in->platform_version, true, wish));
    s->platform_version = wish->platform_version.len == 0
                              ? STR_NONE
                              : ecs_default(in->platform_version, STR("LATEST"));
    s->platform_family = wish->platform_family;
    return ERR_OK;
}

/* EXTERNAL: everything that runs comes with task sets. */
static enum err make_external(struct op *op, const struct ecs_create_service_in *in,
                              struct ecs_service *s)
{
    if (in->task_definition.len > 0 || in->load_balancers.count > 0 ||
        in->network_configuration != NULL) {
        return fail_parameter(op, "Task definition, load balancers and network configuration are "
                                  "given with task sets when the EXTERNAL deployment controller is "
                                  "used.");
    }
    s->load_balancers.is_set = true;
    s->service_registries.is_set = true;
    return ERR_OK;
}

static enum err begin_service(struct op *op, struct ecs *ecs, const struct ecs_cluster *cluster,
                              const struct ecs_create_service_in *in, const struct service_ref *ref,
                              struct engine_ecs_service *row)
{
    struct ecs_service *s = row->service;
    TRY(make_service(op, in, ref, s));
    enum ecs_deployment_controller_type controller = ecs_service_controller(s);
    if (controller == ECS_DEPLOYMENT_CONTROLLER_TYPE_EXTERNAL) {
        TRY(make_external(op, in, s));
        return ecs_service_put(op, ecs, ref, row);
    }
    struct ecs_service_revision wish = {0};
    TRY(make_wish(op, ecs, cluster, in, s, &wish));
    if (controller == ECS_DEPLOYMENT_CONTROLLER_TYPE_ECS) {
        return ecs_deployment_begin(op, ecs, ref, row, &wish);
    }
    if (in->load_balancers.count != 1) {
        return fail_parameter(op, "Exactly one load balancer must be specified when the "
                                  "CODE_DEPLOY deployment controller is used.");
    }
    ecs_service_take_revision(s, &wish);
    TRY(ecs_service_put(op, ecs, ref, row));
    return ecs_task_set_begin(op, ecs, ref, row);
}

static enum err forget_predecessor(struct op *op, struct ecs *ecs, const struct service_ref *ref)
{
    struct store_range range = {.parent = ref->key};
    const struct store_kind *kinds[] = {&ecs_kind_deployment, &ecs_kind_task_set, &ecs_kind_event};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        TRY(store_remove_all(op, ecs->config.store, kinds[i], &range));
    }
    return ERR_OK;
}

enum err ecs_create_service(struct op *op, struct ecs *ecs, const struct ecs_create_service_in *in,
                            struct ecs_create_service_out *ret)
{
    TRY(check_names(op, in));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    struct ecs_cluster cluster = {0};
    TRY(ecs_cluster_need(op, ecs, in->cluster, &cluster));
    struct service_ref ref = ecs_make_ref(op, cluster.cluster_name, in->service_name);
    struct engine_ecs_service row = {.client_token = in->client_token};
    TRY(write_request(op, in, &row.request));
    bool is_there = false;
    TRY(check_unique(op, ecs, &ref, row.request, &row, &is_there));
    if (!is_there) {
        row.service = ARENA_NEW(&op->arena, struct ecs_service);
        row.memory = ARENA_NEW(&op->arena, struct engine_ecs_memory);
        TRY(forget_predecessor(op, ecs, &ref));
        TRY(begin_service(op, ecs, &cluster, in, &ref, &row));
    }
    ret->service = ARENA_NEW(&op->arena, struct ecs_service);
    TRY(ecs_service_view(op, ecs, &ref, &row, true, ret->service));
    FAULT_POINT("ecs.create_service.commit");
    return store_tx_commit(op, &tx);
}

/* ---- describe, list ---------------------------------------------------------------------------*/

static bool has_field(const struct ecs_service_field_list *include, enum ecs_service_field field)
{
    for (size_t i = 0; i < include->count; i++) {
        if (include->items[i] == field) {
            return true;
        }
    }
    return false;
}

static enum err describe_one(struct op *op, struct ecs *ecs, struct str cluster, struct str asked,
                             bool with_tags, struct ecs_describe_services_out *out)
{
    struct service_ref ref = {0};
    struct engine_ecs_service row = {0};
    enum err e = ecs_service_find(op, ecs, cluster, asked, &ref, &row);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        struct str arn = arn_looks_like_one(asked) ? asked
                                                   : arn_makef(op, STR("ecs"), "service/%.*s/%.*s",
                                                               STR_ARG(cluster), STR_ARG(asked));
        ecs_add_failure(op, &out->failures, arn, STR("MISSING"));
        return ERR_OK;
    }
    TRY(e);
    struct ecs_service *view = ARENA_PUSH(&op->arena, &out->services);
    return ecs_service_view(op, ecs, &ref, &row, with_tags, view);
}

enum err ecs_describe_services(struct op *op, struct ecs *ecs,
                               const struct ecs_describe_services_in *in,
                               struct ecs_describe_services_out *ret)
{
    if (in->services.count == 0) {
        return fail_parameter(op, "Services cannot be empty.");
    }
    if (in->services.count > ECS_DESCRIBE_SERVICES_MAX) {
        return fail_parameter(op, "service names can have at most %d items.",
                              ECS_DESCRIBE_SERVICES_MAX);
    }
    struct ecs_cluster cluster = {0};
    TRY(ecs_cluster_find(op, ecs, in->cluster, &cluster));
    bool with_tags = has_field(&in->include, ECS_SERVICE_FIELD_TAGS);
    struct ecs_describe_services_out out = {.services = {.is_set = true},
                                            .failures = {.is_set = true}};
    for (size_t i = 0; i < in->services.count; i++) {
        TRY(describe_one(op, ecs, cluster.cluster_name, in->services.items[i], with_tags, &out));
    }
    *ret = out;
    return ERR_OK;
}

static bool is_listed(const struct ecs_service *s, const struct ecs_list_services_in *in)
{
    return !STR_IS(s->status, "INACTIVE") &&
           (in->launch_type == ECS_LAUNCH_TYPE_UNSET || in->launch_type == s->launch_type) &&
           (in->scheduling_strategy == ECS_SCHEDULING_STRATEGY_UNSET ||
            in->scheduling_strategy == s->scheduling_strategy) &&
           in->resource_management_type != ECS_RESOURCE_MANAGEMENT_TYPE_ECS;
}

enum err ecs_list_services(struct op *op, struct ecs *ecs, const struct ecs_list_services_in *in,
                           struct ecs_list_services_out *ret)
{
    static const struct page_rules rules = {.list_name = "ecs.services",
                                            .default_count = 10,
                                            .max_count = ECS_PAGE_MAX,
                                            .bad_token = &ecs_error_invalid_parameter_exception,
                                            .bad_token_text = "Invalid token"};
    struct ecs_cluster cluster = {0};
    TRY(ecs_cluster_find(op, ecs, in->cluster, &cluster));
    struct store_items rows = {0};
    struct store_range range = {.parent = cluster.cluster_name};
    TRY(store_list(op, ecs->config.store, &ecs_kind_service, &range, &rows));
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, rows.count + 1);
    struct str *arns = ARENA_ARRAY(&op->arena, struct str, rows.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < rows.count; i++) {
        const struct engine_ecs_service *row = rows.items[i].value;
        if (is_listed(row->service, in)) {
            keys[count] = rows.items[i].key;
            arns[count++] = row->service->service_arn;
        }
    }
    struct page_ask ask = {.token = in->next_token, .max_results = in->max_results};
    size_t from = 0;
    size_t to = 0;
    struct ecs_list_services_out out = {.service_arns = {.is_set = true}};
    TRY(page_cut(op, &rules, ask, keys, count, &from, &to, &out.next_token));
    for (size_t i = from; i < to; i++) {
        *ARENA_PUSH(&op->arena, &out.service_arns) = arns[i];
    }
    *ret = out;
    return ERR_OK;
}

/* ---- delete -----------------------------------------------------------------------------------*/

static enum err check_no_task_sets(struct op *op, struct ecs *ecs, const struct service_ref *ref)
{
    size_t count = 0;
    struct store_range range = {.parent = ref->key};
    TRY(store_count(op, ecs->config.store, &ecs_kind_task_set, &range, &count));
    if (count > 0) {
        return fail_parameter(op, "The service cannot be deleted while it has task sets. Delete "
                                  "them first, or use the force option.");
    }
    return ERR_OK;
}

enum err ecs_delete_service(struct op *op, struct ecs *ecs, const struct ecs_delete_service_in *in,
                            struct ecs_delete_service_out *ret)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    struct service_ref ref = {0};
    struct engine_ecs_service row = {0};
    TRY(ecs_service_find_active(op, ecs, in->cluster, in->service, &ref, &row));
    struct ecs_service *s = row.service;
    bool is_forced = OPT_OR(in->force, false);
    if (!is_forced && OPT_OR(s->desired_count, 0) > 0) {
        return fail_parameter(op, "The service cannot be stopped while it is scaled above 0.");
    }
    if (!is_forced && ecs_service_controller(s) == ECS_DEPLOYMENT_CONTROLLER_TYPE_EXTERNAL) {
        TRY(check_no_task_sets(op, ecs, &ref));
    }
    s->status = STR("DRAINING");
    s->desired_count = OPT_I32(0);
    TRY(ecs_service_put(op, ecs, &ref, &row));
    ret->service = ARENA_NEW(&op->arena, struct ecs_service);
    TRY(ecs_service_view(op, ecs, &ref, &row, true, ret->service));
    FAULT_POINT("ecs.delete_service.commit");
    return store_tx_commit(op, &tx);
}
