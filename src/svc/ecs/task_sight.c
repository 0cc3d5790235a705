/* How a task's row follows what the runtime shows. */
#include "svc/ecs/ecs_priv.h"

#include "base/buf.h"

/* ---- containers -------------------------------------------------------------------------------*/

static bool set_str(struct op *op, struct str *slot, struct str value)
{
    if (value.len == 0 || str_equal(*slot, value)) {
        return false;
    }
    *slot = arena_str(&op->arena, value);
    return true;
}

static bool set_time(struct opt_time *slot, wall_t value)
{
    if (value.us == 0 || slot->is_set) {
        return false;
    }
    *slot = OPT_TIME(value);
    return true;
}

static struct str container_status(const struct runtime_container_sight *c)
{
    switch (c->state) {
    case RUNTIME_CONTAINER_WAITING:
        return STR("PENDING");
    case RUNTIME_CONTAINER_RUNNING:
    case RUNTIME_CONTAINER_STOPPING:
        return STR("RUNNING");
    case RUNTIME_CONTAINER_EXITED:
    case RUNTIME_CONTAINER_FAILED:
        break;
    }
    return STR("STOPPED");
}

static enum ecs_health_status container_health(enum runtime_health health)
{
    switch (health) {
    case RUNTIME_HEALTHY:
        return ECS_HEALTH_STATUS_HEALTHY;
    case RUNTIME_UNHEALTHY:
        return ECS_HEALTH_STATUS_UNHEALTHY;
    case RUNTIME_HEALTH_UNKNOWN:
        break;
    }
    return ECS_HEALTH_STATUS_UNKNOWN;
}

static bool absorb_bindings(struct op *op, struct ecs_container *c,
                            const struct runtime_container_sight *sight)
{
    if (c->network_bindings.count == sight->binding_count) {
        return false;
    }
    c->network_bindings = (struct ecs_network_bindings){.is_set = true};
    for (size_t i = 0; i < sight->binding_count; i++) {
        *ARENA_PUSH(&op->arena, &c->network_bindings) = (struct ecs_network_binding){
            .bind_ip = STR("0.0.0.0"),
            .container_port = OPT_I32(sight->bindings[i].container_port),
            .host_port = OPT_I32(sight->bindings[i].host_port),
            .protocol = sight->bindings[i].is_udp ? ECS_TRANSPORT_PROTOCOL_UDP
                                                  : ECS_TRANSPORT_PROTOCOL_TCP};
    }
    return true;
}

static bool absorb_container(struct op *op, struct ecs_container *c,
                             const struct runtime_container_sight *sight)
{
    bool is_changed = set_str(op, &c->last_status, container_status(sight));
    is_changed |= set_str(op, &c->runtime_id, sight->runtime_id);
    is_changed |= set_str(op, &c->image_digest, sight->image_digest);
    is_changed |= set_str(op, &c->reason, sight->reason);
    if (!c->exit_code.is_set && sight->exit_code != RUNTIME_EXIT_CODE_NONE &&
        sight->state == RUNTIME_CONTAINER_EXITED) {
        c->exit_code = OPT_I32(sight->exit_code);
        is_changed = true;
    }
    enum ecs_health_status health = container_health(sight->health);
    if (c->health_status != health) {
        c->health_status = health;
        is_changed = true;
    }
    return absorb_bindings(op, c, sight) || is_changed;
}

static struct ecs_container *find_container(struct ecs_task *t, struct str name)
{
    for (size_t i = 0; i < t->containers.count; i++) {
        if (str_equal(t->containers.items[i].name, name)) {
            return &t->containers.items[i];
        }
    }
    return NULL;
}

/* UNHEALTHY before UNKNOWN before HEALTHY, over the essential containers. */
static enum ecs_health_status task_health(const struct runtime_task_sight *sight)
{
    enum ecs_health_status worst = ECS_HEALTH_STATUS_HEALTHY;
    for (size_t i = 0; i < sight->container_count; i++) {
        enum ecs_health_status h = container_health(sight->containers[i].health);
        if (!sight->containers[i].is_essential || h == ECS_HEALTH_STATUS_HEALTHY) {
            continue;
        }
        if (h == ECS_HEALTH_STATUS_UNHEALTHY) {
            return h;
        }
        worst = ECS_HEALTH_STATUS_UNKNOWN;
    }
    return worst;
}

/* ---- address ----------------------------------------------------------------------------------*/

static void add_detail(struct op *op, struct ecs_attachment *a, const char *name, struct str value)
{
    *ARENA_PUSH(&op->arena, &a->details) =
        (struct ecs_key_value_pair){.name = str_of(name), .value = value};
}

static void fill_interface(struct op *op, struct ecs_task *t, struct str address)
{
    struct ecs_attachment *a = &t->attachments.items[0];
    struct ecs_attachment filled = *a;
    filled.details = (struct ecs_attachment_details){.is_set = true};
    for (size_t i = 0; i < a->details.count; i++) {
        *ARENA_PUSH(&op->arena, &filled.details) = a->details.items[i];
    }
    struct str words = arena_printf(&op->arena, "%.*s interface", STR_ARG(t->task_arn));
    struct str hex = id_derived(&op->arena, words, 17);
    char *name = arena_alloc(&op->arena, address.len + 1);
    for (size_t i = 0; i < address.len; i++) {
        name[i] = address.ptr[i] == '.' ? '-' : address.ptr[i];
    }
    add_detail(op, &filled, "networkInterfaceId",
               arena_printf(&op->arena, "eni-%.*s", STR_ARG(hex)));
    add_detail(op, &filled, "macAddress",
               arena_printf(&op->arena, "02:%.2s:%.2s:%.2s:%.2s:%.2s", hex.ptr, hex.ptr + 2,
                            hex.ptr + 4, hex.ptr + 6, hex.ptr + 8));
    add_detail(op, &filled, "privateDnsName",
               arena_printf(&op->arena, "ip-%.*s.%.*s.compute.internal", (int)address.len, name,
                            STR_ARG(op->region)));
    add_detail(op, &filled, "privateIPv4Address", address);
    *a = filled;
    for (size_t i = 0; i < t->containers.count; i++) {
        struct ecs_container *c = &t->containers.items[i];
        c->network_interfaces = (struct ecs_network_interfaces){.is_set = true};
        *ARENA_PUSH(&op->arena, &c->network_interfaces) =
            (struct ecs_network_interface){.attachment_id = a->id, .private_ipv4_address = address};
    }
}

static bool absorb_address(struct op *op, struct engine_ecs_task *row, struct str address)
{
    if (!set_str(op, &row->address, address)) {
        return false;
    }
    if (row->task->attachments.count > 0 && row->task->attachments.items[0].details.count < 2) {
        fill_interface(op, row->task, row->address);
    }
    return true;
}

bool ecs_task_absorb(struct op *op, struct engine_ecs_task *row,
                     const struct runtime_task_sight *sight)
{
    struct ecs_task *t = row->task;
    bool is_changed = absorb_address(op, row, sight->address);
    is_changed |= set_time(&t->pull_started_at, sight->pull_started_at);
    is_changed |= set_time(&t->pull_stopped_at, sight->pull_stopped_at);
    for (size_t i = 0; i < sight->container_count; i++) {
        struct ecs_container *c = find_container(t, sight->containers[i].name);
        if (c != NULL && absorb_container(op, c, &sight->containers[i])) {
            is_changed = true;
        }
    }
    enum ecs_health_status health = task_health(sight);
    if (t->health_status != health) {
        t->health_status = health;
        is_changed = true;
    }
    return is_changed;
}

/* ---- what follows from the status -------------------------------------------------------------*/

void ecs_task_follow(struct op *op, struct engine_ecs_task *row)
{
    struct ecs_task *t = row->task;
    enum task_status status = ecs_task_status(t);
    struct str interface = STR("ATTACHED");
    if (status == TASK_PROVISIONING || (status == TASK_PENDING && row->address.len == 0)) {
        interface = STR("ATTACHING");
    } else if (status == TASK_STOPPED) {
        interface = STR("DELETED");
    }
    for (size_t i = 0; i < t->attachments.count; i++) {
        t->attachments.items[i].status = interface;
    }
    if (status >= TASK_PENDING && t->connectivity == ECS_CONNECTIVITY_UNSET &&
        !ecs_task_is_stop_decided(t)) {
        t->connectivity = ECS_CONNECTIVITY_CONNECTED;
        t->connectivity_at = OPT_TIME(op->now);
    }
    if (status == TASK_STOPPED) {
        for (size_t i = 0; i < t->containers.count; i++) {
            t->containers.items[i].last_status = STR("STOPPED");
        }
    }
}

/* ---- the story of a failure, for people -------------------------------------------------------*/

static bool is_failure(const struct ecs_task *t)
{
    return t->stop_code == ECS_TASK_STOP_CODE_TASKFAILEDTOSTART ||
           t->stop_code == ECS_TASK_STOP_CODE_ESSENTIALCONTAINEREXITED ||
           str_starts_with(t->stopped_reason, STR("Task failed "));
}

static struct str tell_failure(struct op *op, struct ecs *ecs, const struct ecs_task *t)
{
    auto_buf struct buf b;
    buf_init(&b, 256u << 10);
    buf_addf(&b, "task %.*s: %.*s", STR_ARG(ecs_task_id(t)), STR_ARG(t->stopped_reason));
    for (size_t i = 0; i < t->containers.count; i++) {
        const struct ecs_container *c = &t->containers.items[i];
        buf_addf(&b, "\ncontainer %.*s", STR_ARG(c->name));
        if (c->exit_code.is_set) {
            buf_addf(&b, " ended with exit code %d", c->exit_code.value);
        }
        if (c->reason.len > 0) {
            buf_addf(&b, ": %.*s", STR_ARG(c->reason));
        }
        struct str tail = ecs_task_tail(op, ecs, ecs_task_id(t), c->name);
        if (tail.len > 0) {
            buf_addf(&b, "; its last lines:\n%.*s", STR_ARG(tail));
        }
    }
    return arena_str(&op->arena, buf_str(&b));
}

enum err ecs_task_note_failure(struct op *op, struct ecs *ecs, const struct engine_ecs_task *row)
{
    if (row->service.len == 0 || !is_failure(row->task)) {
        return ERR_OK;
    }
    struct service_ref ref = ecs_make_ref(op, ecs_task_cluster(row->task), row->service);
    struct str key = ecs_key(op, ref.key, ecs_last_part(row->owner_id));
    struct engine_ecs_task_set set = {0};
    enum err e = store_get(op, ecs->config.store, &ecs_kind_task_set, key, &set);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return ERR_OK; /* its owner is a deployment */
    }
    TRY(e);
    set.last_failure = tell_failure(op, ecs, row->task);
    return store_put(op, ecs->config.store, &ecs_kind_task_set, key, ref.key, &set);
}
