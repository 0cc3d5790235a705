/* What the runtime is told to run, made of a task's row and definition right before the start.
 * Secrets are resolved here and live in the op's arena only. */
#include "svc/ecs/ecs_priv.h"

struct environment {
    struct runtime_pair *items;
    size_t count;
};

/* A later word on the same name wins. */
static void set_variable(struct op *op, struct environment *env, struct str name, struct str value)
{
    for (size_t i = 0; i < env->count; i++) {
        if (str_equal(env->items[i].name, name)) {
            env->items[i].value = value;
            return;
        }
    }
    *ARENA_PUSH(&op->arena, env) = (struct runtime_pair){.name = name, .value = value};
}

static struct str present(struct str s)
{
    return s.ptr == NULL ? STR("") : s;
}

static enum err add_secrets(struct op *op, struct ecs *ecs,
                            const struct ecs_container_definition *c, struct environment *env)
{
    const struct port_secrets *port = ecs->config.secrets;
    for (size_t i = 0; i < c->secrets.count; i++) {
        struct str value = STR_NONE;
        enum err e = port->resolve(port->self, op, c->secrets.items[i].value_from, &value);
        if (e != ERR_OK) {
            op_note_prefix(op, "ResourceInitializationError: unable to pull secrets or registry "
                               "auth: execution resource retrieval failed: ");
            return e;
        }
        set_variable(op, env, c->secrets.items[i].name, present(value));
    }
    return ERR_OK;
}

static const struct ecs_container_override *override_of(const struct ecs_task *t, struct str name)
{
    for (size_t i = 0; t->overrides != NULL && i < t->overrides->container_overrides.count; i++) {
        if (str_equal(t->overrides->container_overrides.items[i].name, name)) {
            return &t->overrides->container_overrides.items[i];
        }
    }
    return NULL;
}

static enum err make_environment(struct op *op, struct ecs *ecs, const struct ecs_task *t,
                                 const struct ecs_container_definition *c,
                                 struct runtime_pairs *ret)
{
    struct environment env = {0};
    set_variable(op, &env, STR("AWS_REGION"), op->region);
    set_variable(op, &env, STR("AWS_DEFAULT_REGION"), op->region);
    if (t->launch_type == ECS_LAUNCH_TYPE_FARGATE) {
        set_variable(op, &env, STR("AWS_EXECUTION_ENV"), STR("AWS_ECS_FARGATE"));
    }
    for (size_t i = 0; i < c->environment.count; i++) {
        set_variable(op, &env, c->environment.items[i].name,
                     present(c->environment.items[i].value));
    }
    TRY(add_secrets(op, ecs, c, &env));
    const struct ecs_container_override *o = override_of(t, c->name);
    for (size_t i = 0; o != NULL && i < o->environment.count; i++) {
        set_variable(op, &env, o->environment.items[i].name,
                     present(o->environment.items[i].value));
    }
    *ret = (struct runtime_pairs){.items = env.items, .count = env.count};
    return ERR_OK;
}

static struct runtime_words words(const struct ecs_string_list *list)
{
    return (struct runtime_words){.items = list->items, .count = list->count};
}

static void make_ports(struct op *op, const struct ecs_container_definition *c,
                       struct runtime_container_spec *ret)
{
    struct runtime_port *ports =
        ARENA_ARRAY(&op->arena, struct runtime_port, c->port_mappings.count + 1);
    for (size_t i = 0; i < c->port_mappings.count; i++) {
        const struct ecs_port_mapping *p = &c->port_mappings.items[i];
        ports[i] = (struct runtime_port){.container_port = OPT_OR(p->container_port, 0),
                                         .host_port = OPT_OR(p->host_port, 0),
                                         .is_udp = p->protocol == ECS_TRANSPORT_PROTOCOL_UDP};
    }
    ret->ports = ports;
    ret->port_count = c->port_mappings.count;
}

static void make_ulimits(struct op *op, const struct ecs_container_definition *c,
                         struct runtime_container_spec *ret)
{
    struct runtime_ulimit *limits =
        ARENA_ARRAY(&op->arena, struct runtime_ulimit, c->ulimits.count + 1);
    for (size_t i = 0; i < c->ulimits.count; i++) {
        const struct ecs_ulimit *u = &c->ulimits.items[i];
        limits[i] = (struct runtime_ulimit){
            .name = str_of(shape_enum_name(&shape_ecs_ulimit_name, (int)u->name)),
            .soft = OPT_OR(u->soft_limit, 0),
            .hard = OPT_OR(u->hard_limit, 0)};
    }
    ret->ulimits = limits;
    ret->ulimit_count = c->ulimits.count;
}

static enum runtime_condition condition(enum ecs_container_condition c)
{
    switch (c) {
    case ECS_CONTAINER_CONDITION_COMPLETE:
        return RUNTIME_WHEN_COMPLETE;
    case ECS_CONTAINER_CONDITION_SUCCESS:
        return RUNTIME_WHEN_SUCCESS;
    case ECS_CONTAINER_CONDITION_HEALTHY:
        return RUNTIME_WHEN_HEALTHY;
    case ECS_CONTAINER_CONDITION_UNSET:
    case ECS_CONTAINER_CONDITION_START:
        break;
    }
    return RUNTIME_WHEN_STARTED;
}

static void make_dependencies(struct op *op, const struct ecs_container_definition *c,
                              struct runtime_container_spec *ret)
{
    struct runtime_dependency *deps =
        ARENA_ARRAY(&op->arena, struct runtime_dependency, c->depends_on.count + 1);
    for (size_t i = 0; i < c->depends_on.count; i++) {
        deps[i] =
            (struct runtime_dependency){.container = c->depends_on.items[i].container_name,
                                        .condition = condition(c->depends_on.items[i].condition)};
    }
    ret->depends_on = deps;
    ret->depends_on_count = c->depends_on.count;
}

static void make_health(const struct ecs_container_definition *c,
                        struct runtime_container_spec *ret)
{
    if (!ecs_is_checked(c)) {
        return;
    }
    const struct ecs_health_check *h = c->health_check;
    ret->health_check =
        (struct runtime_health_check){.command = words(&h->command),
                                      .interval = DUR_S(OPT_OR(h->interval, 30)),
                                      .timeout = DUR_S(OPT_OR(h->timeout, 5)),
                                      .start_period = DUR_S(OPT_OR(h->start_period, 0)),
                                      .retries = OPT_OR(h->retries, 3)};
}

static void add_label(struct op *op, struct environment *labels, const char *name, struct str value)
{
    set_variable(op, labels, str_of(name), present(value));
}

static struct runtime_pairs make_docker_labels(struct op *op, const struct ecs_task *t,
                                               const struct ecs_task_definition *td,
                                               const struct ecs_container_definition *c)
{
    struct environment labels = {0};
    for (size_t i = 0; i < c->docker_labels.count; i++) {
        set_variable(op, &labels, c->docker_labels.items[i].key,
                     present(c->docker_labels.items[i].value));
    }
    add_label(op, &labels, "com.amazonaws.ecs.cluster", t->cluster_arn);
    add_label(op, &labels, "com.amazonaws.ecs.container-name", c->name);
    add_label(op, &labels, "com.amazonaws.ecs.task-arn", t->task_arn);
    add_label(op, &labels, "com.amazonaws.ecs.task-definition-family", td->family);
    add_label(op, &labels, "com.amazonaws.ecs.task-definition-version",
              arena_printf(&op->arena, "%d", OPT_OR(td->revision, 0)));
    return (struct runtime_pairs){.items = labels.items, .count = labels.count};
}

static int32_t pick(const struct ecs_container_override *o, struct opt_i32 over,
                    struct opt_i32 otherwise)
{
    return o != NULL && over.is_set ? over.value : OPT_OR(otherwise, 0);
}

static enum err make_container(struct op *op, struct ecs *ecs, const struct ecs_task *t,
                               const struct ecs_task_definition *td,
                               const struct ecs_container_definition *c,
                               struct runtime_container_spec *ret)
{
    const struct ecs_container_override *o = override_of(t, c->name);
    struct opt_i32 none = {0};
    struct runtime_container_spec spec = {
        .name = c->name,
        .image = c->image,
        .entry_point = words(&c->entry_point),
        .command = words(o != NULL && o->command.count > 0 ? &o->command : &c->command),
        .working_folder = c->working_directory,
        .user = c->user,
        .cpu_units = pick(o, o == NULL ? none : o->cpu, c->cpu),
        .memory_mib = pick(o, o == NULL ? none : o->memory, c->memory),
        .memory_reservation_mib =
            pick(o, o == NULL ? none : o->memory_reservation, c->memory_reservation),
        .stop_timeout = DUR_S(OPT_OR(c->stop_timeout, 0)),
        .start_timeout = DUR_S(OPT_OR(c->start_timeout, 0)),
        .docker_labels = make_docker_labels(op, t, td, c),
        .is_root_read_only = OPT_OR(c->readonly_root_filesystem, false),
        .is_essential = ecs_is_essential(c),
        .wants_log = true,
    };
    make_ports(op, c, &spec);
    make_ulimits(op, c, &spec);
    make_dependencies(op, c, &spec);
    make_health(c, &spec);
    TRY(make_environment(op, ecs, t, c, &spec.environment));
    *ret = spec;
    return ERR_OK;
}

static struct str platform(const struct ecs_task_definition *td)
{
    if (td->runtime_platform == NULL) {
        return STR_NONE;
    }
    switch (td->runtime_platform->cpu_architecture) {
    case ECS_CPU_ARCHITECTURE_X86_64:
        return STR("linux/amd64");
    case ECS_CPU_ARCHITECTURE_ARM64:
        return STR("linux/arm64");
    case ECS_CPU_ARCHITECTURE_UNSET:
        break;
    }
    return STR_NONE;
}

enum err ecs_task_spec(struct op *op, struct ecs *ecs, const struct engine_ecs_task *row,
                       const struct ecs_task_definition *td, struct runtime_task_spec *ret)
{
    const struct ecs_task *t = row->task;
    size_t count = td->container_definitions.count;
    struct runtime_container_spec *containers =
        ARENA_ARRAY(&op->arena, struct runtime_container_spec, count + 1);
    for (size_t i = 0; i < count; i++) {
        TRY(make_container(op, ecs, t, td, &td->container_definitions.items[i], &containers[i]));
    }
    TRY(ecs_images_pin(op, ecs, row, td, containers, count));
    struct environment labels = {0};
    add_label(op, &labels, "region", op->region);
    add_label(op, &labels, "cluster", ecs_task_cluster(t));
    add_label(op, &labels, "service", row->service);
    struct runtime_task_spec spec = {
        .id = ecs_task_id(t),
        .labels = {.items = labels.items, .count = labels.count},
        .containers = containers,
        .container_count = count,
        .platform = platform(td),
        .publishes_ports = td->network_mode == ECS_NETWORK_MODE_BRIDGE,
    };
    (void)(t->cpu.len > 0 && ecs_parse_cpu(t->cpu, &spec.cpu_units));
    (void)(t->memory.len > 0 && ecs_parse_memory(t->memory, &spec.memory_mib));
    *ret = spec;
    return ERR_OK;
}
