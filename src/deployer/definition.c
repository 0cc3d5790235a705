#include "deployer/definition.h"

#include "base/check.h"
#include "shape/walk.h"

#define VERSION_VARIABLE STR("VERSION")

static struct ecs_container_definition *find_container(struct ecs_register_task_definition_in *d,
                                                       struct str name)
{
    for (size_t i = 0; i < d->container_definitions.count; i++) {
        if (str_equal(d->container_definitions.items[i].name, name)) {
            return &d->container_definitions.items[i];
        }
    }
    return NULL;
}

static struct ecs_container_definition *main_container(struct op *op,
                                                       struct ecs_register_task_definition_in *d,
                                                       const struct place *place)
{
    struct ecs_container_definition *c = find_container(d, place->service->name);
    if (c != NULL) {
        return c;
    }
    if (d->container_definitions.count > 0) {
        return &d->container_definitions.items[0];
    }
    d->container_definitions.is_set = true;
    c = ARENA_PUSH(&op->arena, &d->container_definitions);
    c->name = place->service->name;
    return c;
}

const struct ecs_container_definition *definition_main_container(
    const struct ecs_register_task_definition_in *d, const struct place *place)
{
    for (size_t i = 0; i < d->container_definitions.count; i++) {
        if (str_equal(d->container_definitions.items[i].name, place->service->name)) {
            return &d->container_definitions.items[i];
        }
    }
    return d->container_definitions.count > 0 ? &d->container_definitions.items[0] : NULL;
}

static void set_variable(struct op *op, struct ecs_container_definition *c, struct str name,
                         struct str value)
{
    for (size_t i = 0; i < c->environment.count; i++) {
        if (str_equal(c->environment.items[i].name, name)) {
            c->environment.items[i].value = value;
            return;
        }
    }
    c->environment.is_set = true;
    *ARENA_PUSH(&op->arena, &c->environment) =
        (struct ecs_key_value_pair){.name = name, .value = value};
}

static bool has_variable(const struct config_pairs *pairs, struct str name)
{
    for (size_t i = 0; i < pairs->count; i++) {
        if (str_equal(pairs->items[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void lay_environment(struct op *op, const struct place *place, const struct release *release,
                            struct ecs_container_definition *c)
{
    const struct config_pairs *own = &place->service->env;
    const struct config_pairs *over = &place->environment->env;
    for (size_t i = 0; i < own->count; i++) {
        set_variable(op, c, own->items[i].name, own->items[i].value);
    }
    for (size_t i = 0; i < over->count; i++) {
        set_variable(op, c, over->items[i].name, over->items[i].value);
    }
    for (size_t i = 0; i < release->env.count; i++) {
        set_variable(op, c, release->env.items[i].name, release->env.items[i].value);
    }
    if (!has_variable(own, VERSION_VARIABLE) && !has_variable(over, VERSION_VARIABLE)) {
        set_variable(op, c, VERSION_VARIABLE, release->version);
    }
}

static void lay_secrets(struct op *op, const struct place *place,
                        struct ecs_container_definition *c)
{
    for (size_t i = 0; i < place->service->secrets.count; i++) {
        const struct config_pair *p = &place->service->secrets.items[i];
        c->secrets.is_set = true;
        *ARENA_PUSH(&op->arena, &c->secrets) =
            (struct ecs_secret){.name = p->name, .value_from = p->value};
    }
}

static void lay_logs(struct op *op, const struct place *place, struct ecs_container_definition *c)
{
    if (c->log_configuration != NULL) {
        return;
    }
    const struct ecs_log_configuration_options_map_entry options[] = {
        {.key = STR("awslogs-group"), .value = place->log_group},
        {.key = STR("awslogs-region"), .value = op->region},
        {.key = STR("awslogs-stream-prefix"), .value = STR("ecs")},
        {.key = STR("awslogs-create-group"), .value = STR("true")},
    };
    c->log_configuration = ARENA_NEW(&op->arena, struct ecs_log_configuration);
    c->log_configuration->log_driver = ECS_LOG_DRIVER_AWSLOGS;
    c->log_configuration->options.is_set = true;
    for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
        *ARENA_PUSH(&op->arena, &c->log_configuration->options) = options[i];
    }
}

static void lay_container(struct op *op, const struct place *place, const struct release *release,
                          struct ecs_container_definition *c)
{
    const struct config_service *s = place->service;
    c->image = str_is_set(release->image) ? release->image : s->image;
    c->essential = c->essential.is_set ? c->essential : OPT_BOOL(true);
    if (s->command.count > 0) {
        c->command = (struct ecs_string_list){
            .items = s->command.items, .count = s->command.count, .is_set = true};
    }
    if (s->port > 0 && c->port_mappings.count == 0) {
        c->port_mappings.is_set = true;
        *ARENA_PUSH(&op->arena, &c->port_mappings) = (struct ecs_port_mapping){
            .container_port = OPT_I32((int32_t)s->port), .protocol = ECS_TRANSPORT_PROTOCOL_TCP};
    }
    if (!c->stop_timeout.is_set) {
        c->stop_timeout = OPT_I32((int32_t)s->stop_timeout_s);
    }
    lay_environment(op, place, release, c);
    lay_secrets(op, place, c);
    lay_logs(op, place, c);
}

static enum err read_json(struct op *op, const struct place *place, struct str json,
                          struct ecs_register_task_definition_in *ret)
{
    if (!str_is_set(json)) {
        return ERR_OK;
    }
    if (shape_json_decode(op, &shape_ecs_register_task_definition_in, json, SHAPE_LENIENT, ret) !=
        ERR_OK) {
        op_note_prefix(op, "%.*s: ", STR_ARG(place->service->task_definition));
        return ERR_INPUT;
    }
    return ERR_OK;
}

enum err definition_make(struct op *op, const struct place *place, const struct release *release,
                         struct str json, struct ecs_register_task_definition_in *ret)
{
    struct ecs_register_task_definition_in d = {0};
    TRY(read_json(op, place, json, &d));
    d.family = place->family;
    if (d.network_mode == ECS_NETWORK_MODE_UNSET) {
        d.network_mode = ECS_NETWORK_MODE_AWSVPC;
    }
    if (d.requires_compatibilities.count == 0) {
        d.requires_compatibilities.is_set = true;
        *ARENA_PUSH(&op->arena, &d.requires_compatibilities) = ECS_COMPATIBILITY_FARGATE;
    }
    d.cpu = arena_printf(&op->arena, "%lld", (long long)place->service->cpu);
    d.memory = arena_printf(&op->arena, "%lld", (long long)place->service->memory);
    if (str_is_set(place->environment->execution_role)) {
        d.execution_role_arn = place->environment->execution_role;
    }
    if (!str_is_set(d.execution_role_arn)) {
        /* Fargate wants one for awslogs; this is the name under which AWS's console makes it. */
        d.execution_role_arn = arena_printf(
            &op->arena, "arn:aws:iam::%.*s:role/ecsTaskExecutionRole", STR_ARG(op->account));
    }
    lay_container(op, place, release, main_container(op, &d, place));
    *ret = d;
    return ERR_OK;
}

struct str definition_conflict(struct arena *a, const struct ecs_register_task_definition_in *d,
                               const struct place *place)
{
    const struct ecs_container_definition *c = definition_main_container(d, place);
    CHECK(c != NULL);
    if (place->service->port == 0) {
        return STR_NONE;
    }
    for (size_t i = 0; i < c->port_mappings.count; i++) {
        if (OPT_OR(c->port_mappings.items[i].container_port, 0) == place->service->port) {
            return STR_NONE;
        }
    }
    return arena_printf(
        a,
        "the service \"%.*s\" says port %lld, but its container \"%.*s\" in %.*s maps no such port",
        STR_ARG(place->service->name), (long long)place->service->port, STR_ARG(c->name),
        STR_ARG(place->service->task_definition));
}
