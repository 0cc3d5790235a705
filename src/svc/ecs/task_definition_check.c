/* What RegisterTaskDefinition refuses. Pure: the request alone decides. Each list of rules is a
 * table of functions, run in order; the first failure is the answer, as with AWS. */
#include "svc/ecs/ecs_priv.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "shape/walk.h"

typedef struct ecs_register_task_definition_in request;
typedef struct ecs_container_definition container;

bool ecs_requires_fargate(const struct ecs_register_task_definition_in *in)
{
    for (size_t i = 0; i < in->requires_compatibilities.count; i++) {
        if (in->requires_compatibilities.items[i] == ECS_COMPATIBILITY_FARGATE) {
            return true;
        }
    }
    return false;
}

static bool is_awsvpc(const request *in)
{
    return in->network_mode == ECS_NETWORK_MODE_AWSVPC;
}

/* ---- of the whole -----------------------------------------------------------------------------*/

static enum err check_family(struct op *op, const request *in)
{
    if (in->family.len == 0) {
        return fail_client(op, "Family should not be null or empty.");
    }
    if (!name_is(in->family, 1, ECS_NAME_BYTES_MAX, STR("-_"))) {
        return fail_client(op, "Family contains invalid characters.");
    }
    return ERR_OK;
}

static enum err check_size(struct op *op, const request *in)
{
    auto_buf struct buf b;
    buf_init(&b, ECS_DEFINITION_BYTES_MAX);
    shape_json_encode(&b, &shape_ecs_register_task_definition_in, in);
    if (b.is_overflown) {
        return fail_client(op, "Actual length: over 65536. Max allowed length is '65536' bytes.");
    }
    return ERR_OK;
}

static enum err check_container_count(struct op *op, const request *in)
{
    if (in->container_definitions.count == 0) {
        return fail_client(op, "Container list cannot be empty.");
    }
    if (in->container_definitions.count > ECS_CONTAINERS_MAX) {
        return fail_client(op, "A task definition has at most %d containers.", ECS_CONTAINERS_MAX);
    }
    return ERR_OK;
}

static enum err check_essential(struct op *op, const request *in)
{
    for (size_t i = 0; i < in->container_definitions.count; i++) {
        if (ecs_is_essential(&in->container_definitions.items[i])) {
            return ERR_OK;
        }
    }
    return fail_client(op, "Task definition doesn't have any essential container.");
}

static enum err check_task_size(struct op *op, const request *in)
{
    int32_t cpu_units = 0;
    int32_t memory_mib = 0;
    if (in->cpu.len > 0 && !ecs_parse_cpu(in->cpu, &cpu_units)) {
        return fail_client(op, "Invalid 'cpu' setting for task.");
    }
    if (in->memory.len > 0 && !ecs_parse_memory(in->memory, &memory_mib)) {
        return fail_client(op, "Invalid 'memory' setting for task.");
    }
    if (!ecs_requires_fargate(in)) {
        return ERR_OK;
    }
    if (in->cpu.len == 0) {
        return fail_client(op, "Fargate requires that 'cpu' be defined at the task level.");
    }
    if (in->memory.len == 0) {
        return fail_client(op, "Fargate requires that 'memory' be defined at the task level.");
    }
    if (!ecs_is_fargate_size(cpu_units, memory_mib)) {
        return fail_client(op, "No Fargate configuration exists for given values.");
    }
    return ERR_OK;
}

static enum err check_fargate(struct op *op, const request *in)
{
    if (!ecs_requires_fargate(in)) {
        return ERR_OK;
    }
    if (!is_awsvpc(in)) {
        return fail_client(op, "Fargate only supports network mode ‘awsvpc’.");
    }
    if (in->ipc_mode != ECS_IPC_MODE_UNSET) {
        return fail_client(op, "Tasks using the Fargate launch type do not support ipcMode.");
    }
    if (in->pid_mode == ECS_PID_MODE_HOST) {
        return fail_client(op, "Tasks using the Fargate launch type do not support pidMode host.");
    }
    if (in->placement_constraints.count > 0) {
        return fail_client(op, "Placement constraints are not supported with FARGATE launch type.");
    }
    if (in->inference_accelerators.count > 0) {
        return fail_client(op, "Inference accelerators are not supported on Fargate.");
    }
    return ERR_OK;
}

static enum err check_task_limits(struct op *op, const request *in)
{
    if (in->ephemeral_storage != NULL) {
        int32_t gib = OPT_OR(in->ephemeral_storage->size_in_gi_b, 0);
        if (gib < 21 || gib > 200) {
            return fail_client(op, "Invalid 'ephemeralStorage' setting for task: sizeInGiB is "
                                   "between 21 and 200.");
        }
    }
    if (in->placement_constraints.count > ECS_PLACEMENT_RULES_MAX) {
        return fail_client(op, "A task definition has at most %d placement constraints.",
                           ECS_PLACEMENT_RULES_MAX);
    }
    return ERR_OK;
}

static const struct ecs_volume *find_volume(const request *in, struct str name)
{
    for (size_t i = 0; i < in->volumes.count; i++) {
        if (str_equal(in->volumes.items[i].name, name)) {
            return &in->volumes.items[i];
        }
    }
    return NULL;
}

static enum err check_volumes(struct op *op, const request *in)
{
    for (size_t i = 0; i < in->volumes.count; i++) {
        struct str name = in->volumes.items[i].name;
        if (!name_is(name, 1, ECS_NAME_BYTES_MAX, STR("-_"))) {
            return fail_client(op, "Volume.name is invalid: '%.*s'", STR_ARG(name));
        }
        if (find_volume(in, name) != &in->volumes.items[i]) {
            return fail_client(op, "Volume.name is duplicate: '%.*s'", STR_ARG(name));
        }
    }
    return ERR_OK;
}

/* Sums of what the containers ask for. */
static enum err check_sums(struct op *op, const request *in)
{
    int32_t cpu_units = 0;
    int32_t memory_mib = 0;
    bool has_cpu = in->cpu.len > 0 && ecs_parse_cpu(in->cpu, &cpu_units);
    bool has_memory = in->memory.len > 0 && ecs_parse_memory(in->memory, &memory_mib);
    int64_t cpu_sum = 0;
    int64_t reserved_sum = 0;
    for (size_t i = 0; i < in->container_definitions.count; i++) {
        const container *c = &in->container_definitions.items[i];
        if (has_memory && OPT_OR(c->memory, 0) > memory_mib) {
            return fail_client(op,
                               "The 'memory' setting for container '%.*s' is greater than for the "
                               "task.",
                               STR_ARG(c->name));
        }
        cpu_sum += OPT_OR(c->cpu, 0);
        reserved_sum += OPT_OR(c->memory_reservation, OPT_OR(c->memory, 0));
    }
    if (has_cpu && cpu_sum > cpu_units) {
        return fail_client(op, "The sum of all container 'cpu' values cannot be greater than the "
                               "value of the task 'cpu' setting.");
    }
    if (has_memory && reserved_sum > memory_mib) {
        return fail_client(op, "The sum of all container 'memory' values cannot be greater than "
                               "the value of the task 'memory' setting.");
    }
    return ERR_OK;
}

/* ---- of one container -------------------------------------------------------------------------*/

static enum err check_name(struct op *op, const request *in, const container *c)
{
    if (c->name.len == 0) {
        return fail_client(op, "Container.name should not be null or empty.");
    }
    if (!name_is(c->name, 1, ECS_NAME_BYTES_MAX, STR("-_"))) {
        return fail_client(op, "Container.name contains invalid characters.");
    }
    for (const container *before = in->container_definitions.items; before < c; before++) {
        if (str_equal(before->name, c->name)) {
            return fail_client(op, "Container.name contains duplicates: '%.*s'", STR_ARG(c->name));
        }
    }
    return ERR_OK;
}

static enum err check_image(struct op *op, const request *in, const container *c)
{
    (void)in;
    if (c->image.len == 0) {
        return fail_client(op, "Container.image should not be null or empty.");
    }
    for (size_t i = 0; i < c->image.len; i++) {
        if ((unsigned char)c->image.ptr[i] <= ' ' || c->image.ptr[i] == 0x7f) {
            return fail_client(op, "Container.image contains invalid characters.");
        }
    }
    if (c->image.len > ECS_NAME_BYTES_MAX) {
        return fail_client(op, "Container.image has more than %d characters.", ECS_NAME_BYTES_MAX);
    }
    return ERR_OK;
}

static enum err check_container_size(struct op *op, const request *in, const container *c)
{
    if (OPT_OR(c->cpu, 0) < 0) {
        return fail_client(op, "Invalid 'cpu' setting for container '%.*s'.", STR_ARG(c->name));
    }
    if ((c->memory.is_set && c->memory.value < 6) ||
        (c->memory_reservation.is_set && c->memory_reservation.value < 4)) {
        return fail_client(op, "Invalid 'memory' setting for container '%.*s'.", STR_ARG(c->name));
    }
    if (c->memory.is_set && c->memory_reservation.is_set &&
        c->memory_reservation.value > c->memory.value) {
        return fail_client(op,
                           "Invalid 'memoryReservation' setting for container '%.*s'. It must be "
                           "less than 'memory'.",
                           STR_ARG(c->name));
    }
    if (in->memory.len == 0 && !c->memory.is_set && !c->memory_reservation.is_set) {
        return fail_client(op,
                           "Invalid setting for container '%.*s'. At least one of 'memory' or "
                           "'memoryReservation' must be specified.",
                           STR_ARG(c->name));
    }
    return ERR_OK;
}

static bool is_port(struct opt_i32 port, int32_t least)
{
    return port.value >= least && port.value <= 65535;
}

static enum err check_ports(struct op *op, const request *in, const container *c)
{
    if (c->port_mappings.count > 100) {
        return fail_client(op, "Container '%.*s' has more than 100 port mappings.",
                           STR_ARG(c->name));
    }
    for (size_t i = 0; i < c->port_mappings.count; i++) {
        const struct ecs_port_mapping *p = &c->port_mappings.items[i];
        if (p->container_port_range.ptr != NULL) {
            return fail_unsupported(op, "containerPortRange is not offered here");
        }
        if (!p->container_port.is_set || !is_port(p->container_port, 1)) {
            return fail_client(op, "Invalid 'containerPort' setting for container '%.*s'.",
                               STR_ARG(c->name));
        }
        if (p->host_port.is_set && !is_port(p->host_port, 0)) {
            return fail_client(op, "Invalid 'hostPort' setting for container '%.*s'.",
                               STR_ARG(c->name));
        }
        bool must_match = is_awsvpc(in) || in->network_mode == ECS_NETWORK_MODE_HOST;
        if (must_match && OPT_OR(p->host_port, 0) != 0 &&
            p->host_port.value != p->container_port.value) {
            return fail_client(op,
                               "When networkMode=%s, the host ports and container ports in port "
                               "mappings must match.",
                               is_awsvpc(in) ? "awsvpc" : "host");
        }
    }
    return ERR_OK;
}

static const container *find_container(const request *in, struct str name)
{
    for (size_t i = 0; i < in->container_definitions.count; i++) {
        if (str_equal(in->container_definitions.items[i].name, name)) {
            return &in->container_definitions.items[i];
        }
    }
    return NULL;
}

static enum err check_dependency(struct op *op, const request *in, const container *c,
                                 const struct ecs_container_dependency *d)
{
    const container *other = find_container(in, d->container_name);
    if (other == NULL) {
        return fail_client(op,
                           "Container '%.*s' depends on container '%.*s', which does not "
                           "exist.",
                           STR_ARG(c->name), STR_ARG(d->container_name));
    }
    if (other == c) {
        return fail_client(op, "Container '%.*s' cannot depend on itself.", STR_ARG(c->name));
    }
    bool waits_for_end = d->condition == ECS_CONTAINER_CONDITION_COMPLETE ||
                         d->condition == ECS_CONTAINER_CONDITION_SUCCESS;
    if (waits_for_end && ecs_is_essential(other)) {
        return fail_client(op, "A dependency container with SUCCESS or COMPLETE condition cannot "
                               "be an essential container");
    }
    if (d->condition == ECS_CONTAINER_CONDITION_HEALTHY && other->health_check == NULL) {
        return fail_client(op,
                           "Container '%.*s' depends on container '%.*s' with condition HEALTHY, "
                           "but it has no health check.",
                           STR_ARG(c->name), STR_ARG(other->name));
    }
    return ERR_OK;
}

static enum err check_dependencies(struct op *op, const request *in, const container *c)
{
    for (size_t i = 0; i < c->depends_on.count; i++) {
        TRY(check_dependency(op, in, c, &c->depends_on.items[i]));
    }
    return ERR_OK;
}

struct span {
    const char *name;
    struct opt_i32 value;
    int32_t least;
    int32_t most;
};

static enum err check_spans(struct op *op, struct str container_name, const struct span *spans,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct opt_i32 v = spans[i].value;
        if (v.is_set && (v.value < spans[i].least || v.value > spans[i].most)) {
            return fail_client(op,
                               "Invalid '%s' setting for container '%.*s': it is between %d and "
                               "%d.",
                               spans[i].name, STR_ARG(container_name), spans[i].least,
                               spans[i].most);
        }
    }
    return ERR_OK;
}

static enum err check_times(struct op *op, const request *in, const container *c)
{
    int32_t most = ecs_requires_fargate(in) ? 120 : INT32_MAX;
    const struct span spans[] = {
        {"stopTimeout", c->stop_timeout, ecs_requires_fargate(in) ? 2 : 0, most},
        {"startTimeout", c->start_timeout, ecs_requires_fargate(in) ? 2 : 0, most},
    };
    return check_spans(op, c->name, spans, ARRAY_COUNT(spans));
}

static enum err check_health(struct op *op, const request *in, const container *c)
{
    (void)in;
    const struct ecs_health_check *h = c->health_check;
    if (h == NULL) {
        return ERR_OK;
    }
    if (h->command.count == 0) {
        return fail_client(op, "Health check command cannot be empty for container '%.*s'.",
                           STR_ARG(c->name));
    }
    struct str kind = h->command.items[0];
    bool is_known = (STR_IS(kind, "CMD") && h->command.count > 1) ||
                    (STR_IS(kind, "CMD-SHELL") && h->command.count == 2) || STR_IS(kind, "NONE");
    if (!is_known) {
        return fail_client(op,
                           "Health check command for container '%.*s' must start with CMD or "
                           "CMD-SHELL.",
                           STR_ARG(c->name));
    }
    const struct span spans[] = {
        {"healthCheck.interval", h->interval, 5, 300},
        {"healthCheck.timeout", h->timeout, 2, 60},
        {"healthCheck.retries", h->retries, 1, 10},
        {"healthCheck.startPeriod", h->start_period, 0, 300},
    };
    return check_spans(op, c->name, spans, ARRAY_COUNT(spans));
}

/* What the runtimes cannot do is refused here, not left out in silence when the task starts. */
static enum err check_offered(struct op *op, const request *in, const container *c)
{
    (void)in;
    const struct {
        const char *name;
        bool is_used;
    } missing[] = {
        {"restartPolicy", c->restart_policy != NULL && OPT_OR(c->restart_policy->enabled, false)},
        {"mountPoints", c->mount_points.count > 0},
        {"volumesFrom", c->volumes_from.count > 0},
        {"environmentFiles", c->environment_files.count > 0},
        {"repositoryCredentials", c->repository_credentials != NULL},
        {"firelensConfiguration", c->firelens_configuration != NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(missing); i++) {
        if (missing[i].is_used) {
            return fail_unsupported(op, "%s is not offered here (container '%.*s')",
                                    missing[i].name, STR_ARG(c->name));
        }
    }
    return ERR_OK;
}

static enum err check_mounts(struct op *op, const request *in, const container *c)
{
    for (size_t i = 0; i < c->mount_points.count; i++) {
        struct str volume = c->mount_points.items[i].source_volume;
        if (find_volume(in, volume) == NULL) {
            return fail_client(op, "Unknown volume '%.*s'.", STR_ARG(volume));
        }
    }
    for (size_t i = 0; i < c->volumes_from.count; i++) {
        struct str source = c->volumes_from.items[i].source_container;
        if (find_container(in, source) == NULL) {
            return fail_client(op, "Unknown source container '%.*s'.", STR_ARG(source));
        }
    }
    return ERR_OK;
}

static enum err check_environment(struct op *op, const request *in, const container *c)
{
    (void)in;
    for (size_t i = 0; i < c->environment.count; i++) {
        struct str name = c->environment.items[i].name;
        if (name.len == 0 || str_find_char(name, '=', 0) != STR_NOT_FOUND) {
            return fail_client(op, "Environment variable name is invalid for container '%.*s'.",
                               STR_ARG(c->name));
        }
    }
    for (size_t i = 0; i < c->secrets.count; i++) {
        struct str name = c->secrets.items[i].name;
        if (name.len == 0 || c->secrets.items[i].value_from.len == 0) {
            return fail_client(op,
                               "The secret name and valueFrom must not be empty for container "
                               "'%.*s'.",
                               STR_ARG(c->name));
        }
        for (size_t e = 0; e < c->environment.count; e++) {
            if (str_equal(c->environment.items[e].name, name)) {
                return fail_client(op,
                                   "The secret name must be unique and not shared with any "
                                   "new or existing environment variables set on the "
                                   "container, such as '%.*s'.",
                                   STR_ARG(name));
            }
        }
    }
    return ERR_OK;
}

static enum err check_secrets_role(struct op *op, const request *in, const container *c)
{
    if (c->secrets.count > 0 && in->execution_role_arn.len == 0 && ecs_requires_fargate(in)) {
        return fail_client(op, "When you are specifying container secrets, you must also specify a "
                               "value for 'executionRoleArn'.");
    }
    return ERR_OK;
}

static struct str log_option(const struct ecs_log_configuration *l, struct str name)
{
    for (size_t i = 0; i < l->options.count; i++) {
        if (str_equal(l->options.items[i].key, name)) {
            return l->options.items[i].value;
        }
    }
    return STR_NONE;
}

static enum err check_log(struct op *op, const request *in, const container *c)
{
    const struct ecs_log_configuration *l = c->log_configuration;
    if (l == NULL || l->log_driver != ECS_LOG_DRIVER_AWSLOGS) {
        return ERR_OK;
    }
    static const char *const needed[] = {"awslogs-group", "awslogs-region"};
    for (size_t i = 0; i < ARRAY_COUNT(needed); i++) {
        if (log_option(l, str_of(needed[i])).len == 0) {
            return fail_client(op, "Log driver awslogs requires options: %s", needed[i]);
        }
    }
    if (!ecs_requires_fargate(in)) {
        return ERR_OK;
    }
    if (in->execution_role_arn.len == 0) {
        return fail_client(op, "Fargate requires task definition to have execution role ARN to "
                               "support log driver awslogs.");
    }
    if (log_option(l, STR("awslogs-stream-prefix")).len == 0) {
        return fail_client(op, "Log driver awslogs requires options: awslogs-stream-prefix");
    }
    return ERR_OK;
}

static enum err check_network_of_container(struct op *op, const request *in, const container *c)
{
    if (c->links.count > 0 && is_awsvpc(in)) {
        return fail_client(op, "Links are not supported when networkMode=awsvpc.");
    }
    if (c->links.count > 0) {
        return fail_unsupported(op, "links are not offered here: the containers of a task share "
                                    "one address");
    }
    if (ecs_requires_fargate(in) && OPT_OR(c->privileged, false)) {
        return fail_client(op, "Fargate does not support privileged containers.");
    }
    return ERR_OK;
}

static enum err check_ulimits(struct op *op, const request *in, const container *c)
{
    (void)in;
    for (size_t i = 0; i < c->ulimits.count; i++) {
        const struct ecs_ulimit *u = &c->ulimits.items[i];
        if (u->soft_limit.value > u->hard_limit.value && u->hard_limit.value != -1) {
            return fail_client(op,
                               "Invalid ulimit for container '%.*s': the soft limit is above "
                               "the hard limit.",
                               STR_ARG(c->name));
        }
    }
    return ERR_OK;
}

/* ---- circles of dependsOn: containers without open dependencies are taken away, round by round */

static bool is_ready(const request *in, const container *c, const bool *is_gone)
{
    for (size_t i = 0; i < c->depends_on.count; i++) {
        const container *other = find_container(in, c->depends_on.items[i].container_name);
        if (!is_gone[other - in->container_definitions.items]) {
            return false;
        }
    }
    return true;
}

static enum err check_circles(struct op *op, const request *in)
{
    bool is_gone[ECS_CONTAINERS_MAX] = {false};
    size_t left = in->container_definitions.count;
    for (size_t round = 0; round < ECS_CONTAINERS_MAX && left > 0; round++) {
        for (size_t i = 0; i < in->container_definitions.count; i++) {
            if (!is_gone[i] && is_ready(in, &in->container_definitions.items[i], is_gone)) {
                is_gone[i] = true;
                left--;
            }
        }
    }
    return left == 0 ? ERR_OK : fail_client(op, "The container dependencies contain a cycle.");
}

/* ---- the tables -------------------------------------------------------------------------------*/

typedef enum err task_rule(struct op *op, const request *in);
typedef enum err container_rule(struct op *op, const request *in, const container *c);

static task_rule *const rules_before[] = {check_family, check_size, check_container_count,
                                          check_task_limits, check_volumes};
static container_rule *const rules_of_containers[] = {
    check_name,
    check_image,
    check_container_size,
    check_ports,
    check_times,
    check_health,
    check_dependencies,
    check_mounts,
    check_environment,
    check_secrets_role,
    check_log,
    check_ulimits,
    check_network_of_container,
    check_offered,
};
static task_rule *const rules_after[] = {check_essential, check_circles, check_fargate,
                                         check_task_size, check_sums};

static enum err check_container(struct op *op, const request *in, const container *c)
{
    for (size_t i = 0; i < ARRAY_COUNT(rules_of_containers); i++) {
        TRY(rules_of_containers[i](op, in, c));
    }
    return ERR_OK;
}

enum err ecs_task_definition_check(struct op *op, const struct ecs_register_task_definition_in *in)
{
    for (size_t i = 0; i < ARRAY_COUNT(rules_before); i++) {
        TRY(rules_before[i](op, in));
    }
    for (size_t c = 0; c < in->container_definitions.count; c++) {
        TRY(check_container(op, in, &in->container_definitions.items[c]));
    }
    for (size_t i = 0; i < ARRAY_COUNT(rules_after); i++) {
        TRY(rules_after[i](op, in));
    }
    return ERR_OK;
}
