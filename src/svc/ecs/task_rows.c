/* Rows of tasks: how one is made, stored, stopped. */
#include "svc/ecs/ecs_priv.h"

#include "base/check.h"
#include "rollout/service.h"
#include "svc/common/network.h"

/* ---- status -----------------------------------------------------------------------------------*/

static const char *const status_names[] = {
#define X(name, is_live, is_pending) #name,
#include "svc/ecs/task_status.def"
#undef X
};

struct str ecs_task_status_name(enum task_status s)
{
    return str_of(status_names[s]);
}

enum task_status ecs_task_status(const struct ecs_task *t)
{
    for (size_t i = 0; i < ARRAY_COUNT(status_names); i++) {
        if (str_equal(t->last_status, str_of(status_names[i]))) {
            return (enum task_status)i;
        }
    }
    return TASK_STOPPED; /* a row of a newer engine that we cannot carry on */
}

/* ---- names ------------------------------------------------------------------------------------*/

struct str ecs_task_id(const struct ecs_task *t)
{
    return ecs_last_part(t->task_arn);
}

struct str ecs_task_cluster(const struct ecs_task *t)
{
    return ecs_last_part(t->cluster_arn);
}

/* Lists of live tasks must not grow with what stopped in the last hour. */
static struct str task_parent(struct op *op, const struct engine_ecs_task *row)
{
    if (row->service.len == 0) {
        return STR("");
    }
    bool is_over = ecs_task_status(row->task) == TASK_STOPPED &&
                   (OPT_OR(row->marks, 0) & ROLLOUT_MARK_COUNTED) != 0;
    return arena_printf(&op->arena, "%.*s/%.*s%s", STR_ARG(ecs_task_cluster(row->task)),
                        STR_ARG(row->service), is_over ? " stopped" : "");
}

enum err ecs_task_get(struct op *op, struct ecs *ecs, struct str cluster, struct str id,
                      struct engine_ecs_task *ret)
{
    return store_get(op, ecs->config.store, &ecs_kind_task, ecs_key(op, cluster, id), ret);
}

enum err ecs_task_put(struct op *op, struct ecs *ecs, struct engine_ecs_task *row)
{
    struct ecs_task *t = row->task;
    t->version = OPT_I64(OPT_OR(t->version, 0) + 1);
    struct str cluster = ecs_task_cluster(t);
    TRY(store_put(op, ecs->config.store, &ecs_kind_task, ecs_key(op, cluster, ecs_task_id(t)),
                  task_parent(op, row), row));
    ecs_wake_task(op, ecs, cluster, ecs_task_id(t), row->service);
    if (row->service.len > 0) {
        ecs_wake_service(op, ecs, cluster, row->service);
    }
    return ERR_OK;
}

enum err ecs_service_tasks(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                           struct store_items *ret)
{
    struct store_range range = {.parent = ref->key};
    return store_list(op, ecs->config.store, &ecs_kind_task, &range, ret);
}

/* ---- making one -------------------------------------------------------------------------------*/

static const struct ecs_container_override *find_override(const struct ecs_task_override *o,
                                                          struct str name)
{
    for (size_t i = 0; o != NULL && i < o->container_overrides.count; i++) {
        if (str_equal(o->container_overrides.items[i].name, name)) {
            return &o->container_overrides.items[i];
        }
    }
    return NULL;
}

static struct str number(struct op *op, struct opt_i32 value)
{
    return value.is_set ? arena_printf(&op->arena, "%d", value.value) : STR_NONE;
}

static void make_container(struct op *op, const struct task_plan *plan, const struct ecs_task *t,
                           const struct ecs_container_definition *d, struct ecs_container *ret)
{
    const struct ecs_container_override *o = find_override(plan->overrides, d->name);
    struct opt_i32 memory = o != NULL && o->memory.is_set ? o->memory : d->memory;
    struct opt_i32 reserved =
        o != NULL && o->memory_reservation.is_set ? o->memory_reservation : d->memory_reservation;
    struct str uuid = rand_uuid(&op->arena);
    *ret = (struct ecs_container){
        .container_arn = arn_makef(op, STR("ecs"), "container/%.*s/%.*s/%.*s",
                                   STR_ARG(plan->cluster), STR_ARG(ecs_task_id(t)), STR_ARG(uuid)),
        .task_arn = t->task_arn,
        .name = d->name,
        .image = d->image,
        .last_status = STR("PENDING"),
        .network_interfaces = {.is_set = true},
        .network_bindings = {.is_set = plan->network == NULL},
        .health_status = ECS_HEALTH_STATUS_UNKNOWN,
        .cpu = number(op, OPT_I32(o != NULL && o->cpu.is_set ? o->cpu.value : OPT_OR(d->cpu, 0))),
        .memory = number(op, memory),
        .memory_reservation = number(op, reserved),
    };
}

static void add_detail(struct op *op, struct ecs_attachment *a, const char *name, struct str value)
{
    *ARENA_PUSH(&op->arena, &a->details) =
        (struct ecs_key_value_pair){.name = str_of(name), .value = value};
}

static void make_interface(struct op *op, const struct task_plan *plan, struct ecs_task *t)
{
    t->attachments.is_set = true;
    if (plan->network == NULL || plan->network->awsvpc_configuration == NULL) {
        return;
    }
    const struct ecs_string_list *subnets = &plan->network->awsvpc_configuration->subnets;
    CHECK(subnets->count > 0);
    struct ecs_attachment *a = ARENA_PUSH(&op->arena, &t->attachments);
    *a = (struct ecs_attachment){.id = rand_uuid(&op->arena),
                                 .type = STR("ElasticNetworkInterface"),
                                 .status = STR("PRECREATED"),
                                 .details = {.is_set = true}};
    struct str subnet = subnets->items[rand_u64() % subnets->count];
    add_detail(op, a, "subnetId", subnet);
    struct network network = network_default(&op->arena, op->region);
    const struct network_subnet *known = network_find_subnet(&network, subnet);
    if (known != NULL) {
        t->availability_zone = known->zone;
    }
}

static void make_attributes(struct op *op, const struct ecs_task_definition *td, struct ecs_task *t)
{
    bool is_arm = td->runtime_platform != NULL &&
                  td->runtime_platform->cpu_architecture == ECS_CPU_ARCHITECTURE_ARM64;
    t->attributes.is_set = true;
    *ARENA_PUSH(&op->arena, &t->attributes) = (struct ecs_attribute){
        .name = STR("ecs.cpu-architecture"), .value = is_arm ? STR("arm64") : STR("x86_64")};
}

/* As AWS shows them: an entry a container, the accelerators' list present. */
static struct ecs_task_override *make_overrides(struct op *op, const struct task_plan *plan)
{
    struct ecs_task_override *o = ARENA_NEW(&op->arena, struct ecs_task_override);
    if (plan->overrides != NULL) {
        *o = *plan->overrides;
    }
    o->inference_accelerator_overrides.is_set = true;
    o->container_overrides = (struct ecs_container_overrides){.is_set = true};
    for (size_t i = 0; i < plan->definition->container_definitions.count; i++) {
        struct str name = plan->definition->container_definitions.items[i].name;
        const struct ecs_container_override *given = find_override(plan->overrides, name);
        *ARENA_PUSH(&op->arena, &o->container_overrides) =
            given != NULL ? *given : (struct ecs_container_override){.name = name};
    }
    return o;
}

static void make_sizes(struct op *op, const struct task_plan *plan, struct ecs_task *t)
{
    const struct ecs_task_override *o = plan->overrides;
    t->cpu = ecs_default(o == NULL ? STR_NONE : o->cpu, plan->definition->cpu);
    t->memory = ecs_default(o == NULL ? STR_NONE : o->memory, plan->definition->memory);
    if (plan->launch_type != ECS_LAUNCH_TYPE_FARGATE) {
        return;
    }
    const struct ecs_ephemeral_storage *given = o != NULL && o->ephemeral_storage != NULL
                                                    ? o->ephemeral_storage
                                                    : plan->definition->ephemeral_storage;
    struct ecs_ephemeral_storage *storage = ARENA_NEW(&op->arena, struct ecs_ephemeral_storage);
    storage->size_in_gi_b = OPT_I32(given == NULL ? 20 : OPT_OR(given->size_in_gi_b, 20));
    t->ephemeral_storage = storage;
    t->fargate_ephemeral_storage = ARENA_NEW(&op->arena, struct ecs_task_ephemeral_storage);
    t->fargate_ephemeral_storage->size_in_gi_b = storage->size_in_gi_b;
}

static void make_targets(struct op *op, const struct task_plan *plan, struct engine_ecs_task *row)
{
    row->targets.is_set = true;
    for (size_t i = 0; plan->load_balancers != NULL && i < plan->load_balancers->count; i++) {
        const struct ecs_load_balancer *lb = &plan->load_balancers->items[i];
        *ARENA_PUSH(&op->arena, &row->targets) =
            (struct engine_ecs_target){.target_group_arn = lb->target_group_arn,
                                       .container_name = lb->container_name,
                                       .container_port = lb->container_port,
                                       .is_registered = OPT_BOOL(false)};
    }
}

enum err ecs_task_make(struct op *op, struct ecs *ecs, const struct task_plan *plan,
                       struct engine_ecs_task *ret)
{
    struct ecs_task *t = ARENA_NEW(&op->arena, struct ecs_task);
    struct str id = id_hex32(&op->arena);
    *t = (struct ecs_task){
        .task_arn =
            arn_makef(op, STR("ecs"), "task/%.*s/%.*s", STR_ARG(plan->cluster), STR_ARG(id)),
        .cluster_arn = ecs_cluster_arn(op, plan->cluster),
        .task_definition_arn = plan->definition->task_definition_arn,
        .availability_zone = arena_printf(&op->arena, "%.*sa", STR_ARG(op->region)),
        .capacity_provider_name = plan->capacity_provider,
        .created_at = OPT_TIME(op->now),
        .desired_status = STR("RUNNING"),
        .last_status = STR("PROVISIONING"),
        .enable_execute_command = OPT_BOOL(plan->is_execute_command_enabled),
        .group = plan->group,
        .started_by = plan->started_by,
        .health_status = ECS_HEALTH_STATUS_UNKNOWN,
        .inference_accelerators = {.is_set = true},
        .launch_type = plan->launch_type,
        .platform_version = ecs_platform_version(plan->launch_type, plan->platform_version),
        .platform_family = ecs_platform_family(plan->launch_type),
        .tags = plan->tags,
        .containers = {.is_set = true},
    };
    t->tags.is_set = true;
    for (size_t i = 0; i < plan->definition->container_definitions.count; i++) {
        struct ecs_container *c = ARENA_PUSH(&op->arena, &t->containers);
        make_container(op, plan, t, &plan->definition->container_definitions.items[i], c);
    }
    make_interface(op, plan, t);
    make_attributes(op, plan->definition, t);
    make_sizes(op, plan, t);
    t->overrides = make_overrides(op, plan);
    struct engine_ecs_task row = {
        .task = t, .service = plan->service, .owner_id = plan->owner_id, .marks = OPT_I32(0)};
    make_targets(op, plan, &row);
    TRY(ecs_task_put(op, ecs, &row));
    *ret = row;
    return ERR_OK;
}

/* ---- stopping one -----------------------------------------------------------------------------*/

struct str ecs_target_host(const struct engine_ecs_task *row,
                           const struct engine_ecs_target *target)
{
    return target->host.len > 0 ? target->host : row->address;
}

/* In the caller's transaction. A group that is gone needs no deregistration. */
static enum err deregister_targets(struct op *op, struct ecs *ecs, struct engine_ecs_task *row)
{
    const struct port_elb *elb = ecs->config.elb;
    for (size_t i = 0; i < row->targets.count; i++) {
        struct engine_ecs_target *target = &row->targets.items[i];
        if (!OPT_OR(target->is_registered, false)) {
            continue;
        }
        struct port_target_group group = {0};
        enum err e = elb->find_target_group(elb->self, op, target->target_group_arn, &group);
        if (e == ERR_NOT_FOUND) {
            op_note_clear(op);
            target->is_registered = OPT_BOOL(false);
            continue;
        }
        TRY(e);
        TRY(elb->deregister_target(elb->self, op, target->target_group_arn,
                                   ecs_target_host(row, target), target->container_port.value));
        TRY(ecs_task_say(op, ecs, row, ROLLOUT_EVENT_DRAINING, target->target_group_arn));
        TRY(ecs_task_say(op, ecs, row, ROLLOUT_EVENT_DEREGISTERED, target->target_group_arn));
    }
    return ERR_OK;
}

enum err ecs_task_begin_stop(struct op *op, struct ecs *ecs, struct engine_ecs_task *row,
                             enum ecs_task_stop_code code, struct str reason)
{
    struct ecs_task *t = row->task;
    if (ecs_task_is_stop_decided(t)) {
        return ERR_OK;
    }
    t->desired_status = STR("STOPPED");
    t->stop_code = code;
    t->stopped_reason = reason;
    t->stopping_at = OPT_TIME(op->now);
    enum task_status s = ecs_task_status(t);
    if (s == TASK_RUNNING || s == TASK_ACTIVATING) {
        TRY(deregister_targets(op, ecs, row));
        t->last_status = ecs_task_status_name(TASK_DEACTIVATING);
    }
    return ERR_OK;
}

enum err ecs_task_say(struct op *op, struct ecs *ecs, const struct engine_ecs_task *row,
                      enum rollout_event_kind kind, struct str target_group_arn)
{
    if (row->service.len == 0) {
        return ERR_OK;
    }
    struct service_ref ref = ecs_make_ref(op, ecs_task_cluster(row->task), row->service);
    return ecs_event_say(op, ecs, &ref,
                         &(struct rollout_event){.kind = kind,
                                                 .deployment_id = row->owner_id,
                                                 .count = 1,
                                                 .target_group_arn = target_group_arn});
}
