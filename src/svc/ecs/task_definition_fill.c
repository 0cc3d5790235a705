/* A registered task definition as AWS answers with it: the request and its defaults. Pure. */
#include "svc/ecs/ecs_priv.h"

/* ---- containers -------------------------------------------------------------------------------*/

static void fill_ports(struct op *op, struct ecs_port_mapping_list *list, bool shares_host_ports)
{
    struct ecs_port_mapping_list filled = {.is_set = true};
    for (size_t i = 0; i < list->count; i++) {
        struct ecs_port_mapping p = list->items[i];
        if (shares_host_ports) {
            p.host_port = p.container_port;
        } else {
            p.host_port = OPT_I32(OPT_OR(p.host_port, 0));
        }
        if (p.protocol == ECS_TRANSPORT_PROTOCOL_UNSET) {
            p.protocol = ECS_TRANSPORT_PROTOCOL_TCP;
        }
        *ARENA_PUSH(&op->arena, &filled) = p;
    }
    *list = filled;
}

static void fill_health(struct op *op, struct ecs_container_definition *c)
{
    if (c->health_check == NULL) {
        return;
    }
    struct ecs_health_check *h = ARENA_NEW(&op->arena, struct ecs_health_check);
    *h = *c->health_check;
    h->interval = OPT_I32(OPT_OR(h->interval, 30));
    h->timeout = OPT_I32(OPT_OR(h->timeout, 5));
    h->retries = OPT_I32(OPT_OR(h->retries, 3));
    c->health_check = h;
}

static void fill_container(struct op *op, struct ecs_container_definition *c,
                           bool shares_host_ports)
{
    c->cpu = OPT_I32(OPT_OR(c->cpu, 0));
    c->essential = OPT_BOOL(ecs_is_essential(c));
    fill_ports(op, &c->port_mappings, shares_host_ports);
    c->environment.is_set = true;
    c->mount_points.is_set = true;
    c->volumes_from.is_set = true;
    c->system_controls.is_set = true;
    fill_health(op, c);
    /* The log configuration comes back as it was sent: an empty list of secretOptions that nobody
     * sent makes Terraform replace the task definition at every plan. */
}

/* ---- what the containers need of their host ---------------------------------------------------*/

typedef bool attribute_rule(const struct ecs_task_definition *td);

static bool any_container(const struct ecs_task_definition *td,
                          bool (*is_true)(const struct ecs_container_definition *c))
{
    for (size_t i = 0; i < td->container_definitions.count; i++) {
        if (is_true(&td->container_definitions.items[i])) {
            return true;
        }
    }
    return false;
}

static bool logs_to_awslogs(const struct ecs_container_definition *c)
{
    return c->log_configuration != NULL &&
           c->log_configuration->log_driver == ECS_LOG_DRIVER_AWSLOGS;
}

static bool has_ecr_image(const struct ecs_container_definition *c)
{
    return str_find(c->image, STR(".dkr.ecr."), 0) != STR_NOT_FOUND;
}

static bool has_health_check(const struct ecs_container_definition *c)
{
    return c->health_check != NULL;
}

static bool has_order(const struct ecs_container_definition *c)
{
    return c->depends_on.count > 0;
}

static bool is_privileged(const struct ecs_container_definition *c)
{
    return OPT_OR(c->privileged, false);
}

static bool has_env_files(const struct ecs_container_definition *c)
{
    return c->environment_files.count > 0;
}

static bool has_secret_of(const struct ecs_container_definition *c, bool of_secrets_manager)
{
    for (size_t i = 0; i < c->secrets.count; i++) {
        struct str from = c->secrets.items[i].value_from;
        if ((str_find(from, STR(":secretsmanager:"), 0) != STR_NOT_FOUND) == of_secrets_manager) {
            return true;
        }
    }
    return false;
}

static bool has_asm_secret(const struct ecs_container_definition *c)
{
    return has_secret_of(c, true);
}

static bool has_ssm_secret(const struct ecs_container_definition *c)
{
    return has_secret_of(c, false);
}

static bool needs_awslogs(const struct ecs_task_definition *td)
{
    return any_container(td, logs_to_awslogs);
}

static bool needs_awslogs_role(const struct ecs_task_definition *td)
{
    return td->execution_role_arn.len > 0 && needs_awslogs(td);
}

static bool needs_ecr(const struct ecs_task_definition *td)
{
    return any_container(td, has_ecr_image);
}

static bool needs_ecr_role(const struct ecs_task_definition *td)
{
    return td->execution_role_arn.len > 0 && needs_ecr(td);
}

static bool needs_always(const struct ecs_task_definition *td)
{
    return td->family.len > 0;
}

static bool needs_task_role(const struct ecs_task_definition *td)
{
    return td->task_role_arn.len > 0 && td->network_mode != ECS_NETWORK_MODE_HOST;
}

static bool needs_task_role_on_host(const struct ecs_task_definition *td)
{
    return td->task_role_arn.len > 0 && td->network_mode == ECS_NETWORK_MODE_HOST;
}

static bool needs_eni(const struct ecs_task_definition *td)
{
    return td->network_mode == ECS_NETWORK_MODE_AWSVPC;
}

static bool needs_health(const struct ecs_task_definition *td)
{
    return any_container(td, has_health_check);
}

static bool needs_order(const struct ecs_task_definition *td)
{
    return any_container(td, has_order);
}

static bool needs_privileged(const struct ecs_task_definition *td)
{
    return any_container(td, is_privileged);
}

static bool needs_env_files(const struct ecs_task_definition *td)
{
    return any_container(td, has_env_files);
}

static bool needs_asm(const struct ecs_task_definition *td)
{
    return any_container(td, has_asm_secret);
}

static bool needs_ssm(const struct ecs_task_definition *td)
{
    return any_container(td, has_ssm_secret);
}

static const struct {
    const char *name;
    attribute_rule *is_needed;
} attributes[] = {
    {"com.amazonaws.ecs.capability.logging-driver.awslogs", needs_awslogs},
    {"ecs.capability.execution-role-awslogs", needs_awslogs_role},
    {"com.amazonaws.ecs.capability.ecr-auth", needs_ecr},
    {"ecs.capability.execution-role-ecr-pull", needs_ecr_role},
    {"com.amazonaws.ecs.capability.docker-remote-api.1.18", needs_always},
    {"com.amazonaws.ecs.capability.docker-remote-api.1.19", needs_awslogs},
    {"com.amazonaws.ecs.capability.docker-remote-api.1.29", needs_health},
    {"ecs.capability.container-health-check", needs_health},
    {"ecs.capability.container-ordering", needs_order},
    {"com.amazonaws.ecs.capability.task-iam-role", needs_task_role},
    {"com.amazonaws.ecs.capability.task-iam-role-network-host", needs_task_role_on_host},
    {"com.amazonaws.ecs.capability.privileged-container", needs_privileged},
    {"ecs.capability.env-files.s3", needs_env_files},
    {"ecs.capability.secrets.asm.environment-variables", needs_asm},
    {"ecs.capability.secrets.ssm.environment-variables", needs_ssm},
    {"ecs.capability.task-eni", needs_eni},
};

static void fill_attributes(struct op *op, struct ecs_task_definition *td)
{
    td->requires_attributes.is_set = true;
    for (size_t i = 0; i < ARRAY_COUNT(attributes); i++) {
        if (!attributes[i].is_needed(td)) {
            continue;
        }
        *ARENA_PUSH(&op->arena, &td->requires_attributes) =
            (struct ecs_attribute){.name = str_of(attributes[i].name)};
    }
}

/* ---- the whole --------------------------------------------------------------------------------*/

static bool could_run_on_fargate(const struct ecs_task_definition *td)
{
    int32_t cpu_units = 0;
    int32_t memory_mib = 0;
    return td->network_mode == ECS_NETWORK_MODE_AWSVPC && td->cpu.len > 0 && td->memory.len > 0 &&
           ecs_parse_cpu(td->cpu, &cpu_units) && ecs_parse_memory(td->memory, &memory_mib) &&
           ecs_is_fargate_size(cpu_units, memory_mib) && td->placement_constraints.count == 0 &&
           !needs_privileged(td) && (td->execution_role_arn.len > 0 || !needs_awslogs(td));
}

static void fill_compatibilities(struct op *op, struct ecs_task_definition *td)
{
    td->compatibilities.is_set = true;
    if (td->network_mode != ECS_NETWORK_MODE_AWSVPC) {
        *ARENA_PUSH(&op->arena, &td->compatibilities) = ECS_COMPATIBILITY_EXTERNAL;
    }
    *ARENA_PUSH(&op->arena, &td->compatibilities) = ECS_COMPATIBILITY_EC2;
    if (could_run_on_fargate(td)) {
        *ARENA_PUSH(&op->arena, &td->compatibilities) = ECS_COMPATIBILITY_FARGATE;
    }
}

static enum err check_required(struct op *op, const struct ecs_task_definition *td)
{
    for (size_t i = 0; i < td->requires_compatibilities.count; i++) {
        enum ecs_compatibility wanted = td->requires_compatibilities.items[i];
        bool is_ours = wanted == ECS_COMPATIBILITY_EC2 || wanted == ECS_COMPATIBILITY_FARGATE ||
                       wanted == ECS_COMPATIBILITY_EXTERNAL;
        if (!is_ours || !ecs_task_definition_has(td, wanted)) {
            return fail_client(op, "The task definition is not compatible with %s.",
                               shape_enum_name(&shape_ecs_compatibility, (int)wanted));
        }
    }
    return ERR_OK;
}

bool ecs_task_definition_has(const struct ecs_task_definition *td, enum ecs_compatibility what)
{
    for (size_t i = 0; i < td->compatibilities.count; i++) {
        if (td->compatibilities.items[i] == what) {
            return true;
        }
    }
    return false;
}

static void fill_sizes(struct op *op, struct ecs_task_definition *td)
{
    int32_t cpu_units = 0;
    int32_t memory_mib = 0;
    if (td->cpu.len > 0 && ecs_parse_cpu(td->cpu, &cpu_units)) {
        td->cpu = arena_printf(&op->arena, "%d", cpu_units);
    }
    if (td->memory.len > 0 && ecs_parse_memory(td->memory, &memory_mib)) {
        td->memory = arena_printf(&op->arena, "%d", memory_mib);
    }
}

/* A role may be given by its name. */
static struct str role_arn(struct op *op, struct str role)
{
    if (role.len == 0 || arn_looks_like_one(role)) {
        return role;
    }
    struct str resource = arena_printf(&op->arena, "role/%.*s", STR_ARG(role));
    return arn_make_global(op, STR("iam"), resource);
}

enum err ecs_task_definition_fill(struct op *op, const struct ecs_register_task_definition_in *in,
                                  struct ecs_task_definition *ret)
{
    struct ecs_task_definition td = {
        .family = in->family,
        .task_role_arn = role_arn(op, in->task_role_arn),
        .execution_role_arn = role_arn(op, in->execution_role_arn),
        .network_mode = in->network_mode,
        .volumes = in->volumes,
        .status = ECS_TASK_DEFINITION_STATUS_ACTIVE,
        .placement_constraints = in->placement_constraints,
        .runtime_platform = in->runtime_platform,
        .requires_compatibilities = in->requires_compatibilities,
        .cpu = in->cpu,
        .memory = in->memory,
        .inference_accelerators = in->inference_accelerators,
        .pid_mode = in->pid_mode,
        .ipc_mode = in->ipc_mode,
        .proxy_configuration = in->proxy_configuration,
        .ephemeral_storage = in->ephemeral_storage,
        .enable_fault_injection = in->enable_fault_injection,
    };
    if (td.network_mode == ECS_NETWORK_MODE_UNSET) {
        td.network_mode = ECS_NETWORK_MODE_BRIDGE;
    }
    td.volumes.is_set = true;
    td.placement_constraints.is_set = true;
    td.container_definitions.is_set = true;
    bool shares_host_ports =
        td.network_mode == ECS_NETWORK_MODE_AWSVPC || td.network_mode == ECS_NETWORK_MODE_HOST;
    for (size_t i = 0; i < in->container_definitions.count; i++) {
        struct ecs_container_definition *c = ARENA_PUSH(&op->arena, &td.container_definitions);
        *c = in->container_definitions.items[i];
        fill_container(op, c, shares_host_ports);
    }
    fill_sizes(op, &td);
    fill_attributes(op, &td);
    fill_compatibilities(op, &td);
    TRY(check_required(op, &td));
    *ret = td;
    return ERR_OK;
}

const struct ecs_container_definition *ecs_container_find(const struct ecs_task_definition *td,
                                                          struct str name)
{
    for (size_t i = 0; i < td->container_definitions.count; i++) {
        if (str_equal(td->container_definitions.items[i].name, name)) {
            return &td->container_definitions.items[i];
        }
    }
    return NULL;
}

bool ecs_has_container_check(const struct ecs_task_definition *td)
{
    for (size_t i = 0; i < td->container_definitions.count; i++) {
        const struct ecs_container_definition *c = &td->container_definitions.items[i];
        if (ecs_is_essential(c) && ecs_is_checked(c)) {
            return true;
        }
    }
    return false;
}

bool ecs_is_checked(const struct ecs_container_definition *c)
{
    return c->health_check != NULL && c->health_check->command.count > 0 &&
           !STR_IS(c->health_check->command.items[0], "NONE");
}
