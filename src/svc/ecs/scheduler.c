/* The scheduler: a turn of one service. What it decides is rollout/service.h; here are the eyes
 * (scene_*), and the turn itself. scheduler_steps.c commits what was decided. */
#include "svc/ecs/scheduler.h"
#include "svc/ecs/native.h"

#include "base/check.h"
#include "base/log.h"

/* ---- looking ----------------------------------------------------------------------------------*/

void scene_wake_at(struct scene *s, wall_t at)
{
    if (at.us != 0 && (s->wake_at.us == 0 || at.us < s->wake_at.us)) {
        s->wake_at = at;
    }
}

static void watch(struct scene *s, struct str name)
{
    *ARENA_PUSH(&s->op->arena, &s->watched) = name;
}

struct str scene_runtime_fault(const struct scene *s)
{
    return !s->ecs->is_ready ? STR("the container runtime cannot be reached.") : STR_NONE;
}

enum err scene_config(struct scene *s, const struct crew_config *crew, struct rollout_config *ret)
{
    const struct ecs_service *service = s->row.service;
    const struct ecs_deployment_configuration *c = service->deployment_configuration;
    CHECK(crew->load_balancers->count <= ROLLOUT_GROUPS_MAX);
    struct rollout_group *groups =
        ARENA_ARRAY(&s->op->arena, struct rollout_group, crew->load_balancers->count + 1);
    for (size_t i = 0; i < crew->load_balancers->count; i++) {
        const struct ecs_load_balancer *lb = &crew->load_balancers->items[i];
        groups[i] = (struct rollout_group){.arn = lb->target_group_arn,
                                           .port = OPT_OR(lb->container_port, 0)};
        watch(s, lb->target_group_arn);
    }
    dur_t grace = dur_scaled(DUR_S(OPT_OR(service->health_check_grace_period_seconds, 0)));
    *ret = (struct rollout_config){
        .desired_count = crew->desired_count,
        .minimum_healthy_percent = c == NULL ? 100 : OPT_OR(c->minimum_healthy_percent, 100),
        .maximum_percent = c == NULL ? 200 : OPT_OR(c->maximum_percent, 200),
        .groups = groups,
        .group_count = crew->load_balancers->count,
        .has_container_check = ecs_has_container_check(crew->definition),
        .spans = rollout_spans(grace, DUR_S(0)),
    };
    return ERR_OK;
}

static enum rollout_life read_life(const struct ecs_task *t)
{
    enum task_status status = ecs_task_status(t);
    if (status < TASK_RUNNING) {
        return ROLLOUT_STARTING;
    }
    if (status == TASK_RUNNING) {
        return ROLLOUT_RUNNING;
    }
    return status == TASK_STOPPED ? ROLLOUT_STOPPED : ROLLOUT_STOPPING;
}

/* A task that ended by itself is on its way out as well, but nobody decided that. */
static bool is_stop_decided(const struct ecs_task *t)
{
    return t->stop_code == ECS_TASK_STOP_CODE_USERINITIATED ||
           t->stop_code == ECS_TASK_STOP_CODE_SERVICESCHEDULERINITIATED;
}

/* Over the essential containers that have a check. A task whose own definition has none, beside
 * tasks that are checked, has nothing to fail at. */
static enum err read_container_health(struct scene *s, const struct ecs_task *t,
                                      enum rollout_container_health *ret)
{
    struct ecs_task_definition td = {0};
    TRY(ecs_task_definition_of(s->op, s->ecs, t->task_definition_arn, &td));
    enum rollout_container_health health = ROLLOUT_CONTAINER_HEALTHY;
    for (size_t i = 0; i < t->containers.count; i++) {
        const struct ecs_container *c = &t->containers.items[i];
        const struct ecs_container_definition *d = ecs_container_find(&td, c->name);
        if (d == NULL || !ecs_is_essential(d) || !ecs_is_checked(d)) {
            continue;
        }
        if (c->health_status == ECS_HEALTH_STATUS_UNHEALTHY) {
            *ret = ROLLOUT_CONTAINER_UNHEALTHY;
            return ERR_OK;
        }
        if (c->health_status != ECS_HEALTH_STATUS_HEALTHY) {
            health = ROLLOUT_CONTAINER_NONE;
        }
    }
    *ret = health;
    return ERR_OK;
}

static const struct engine_ecs_target *find_target(const struct engine_ecs_task *row,
                                                   struct str group)
{
    for (size_t i = 0; i < row->targets.count; i++) {
        if (str_equal(row->targets.items[i].target_group_arn, group)) {
            return &row->targets.items[i];
        }
    }
    return NULL;
}

/* A group that no listener refers to is not checked and receives nothing: AWS shows its targets as
 * unused, and its scheduler does not wait for them. */
static enum rollout_target_health read_target(const struct port_target_sight *sight)
{
    switch (sight->state) {
    case PORT_TARGET_HEALTHY:
        return ROLLOUT_TARGET_HEALTHY;
    case PORT_TARGET_UNHEALTHY:
        return ROLLOUT_TARGET_UNHEALTHY;
    case PORT_TARGET_UNUSED:
        return STR_IS(sight->reason, "Target.NotInUse") ? ROLLOUT_TARGET_HEALTHY
                                                        : ROLLOUT_TARGET_UNKNOWN;
    case PORT_TARGET_INITIAL:
    case PORT_TARGET_DRAINING:
        break;
    }
    return ROLLOUT_TARGET_UNKNOWN;
}

static enum err see_group(struct scene *s, const struct engine_ecs_task *row, struct str group,
                          enum rollout_target_health *ret_health, struct str *ret_reason)
{
    const struct engine_ecs_target *target = find_target(row, group);
    *ret_reason = STR_NONE;
    if (target == NULL) {
        *ret_health = ROLLOUT_TARGET_HEALTHY; /* of an older deployment, which had not this group */
        return ERR_OK;
    }
    *ret_health = ROLLOUT_TARGET_UNKNOWN;
    if (!OPT_OR(target->is_registered, false)) {
        return ERR_OK;
    }
    const struct port_elb *elb = s->ecs->config.elb;
    struct port_target_sight sight = {.state = PORT_TARGET_UNUSED};
    enum err e = elb->see_target(elb->self, s->op, group, ecs_target_host(row, target),
                                 OPT_OR(target->container_port, 0), &sight);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(s->op);
        return ERR_OK;
    }
    TRY(e);
    *ret_health = read_target(&sight);
    *ret_reason = ecs_default(sight.description, sight.reason);
    return ERR_OK;
}

static enum err read_task(struct scene *s, const struct rollout_config *config,
                          const struct engine_ecs_task *row, struct rollout_task *ret)
{
    const struct ecs_task *t = row->task;
    *ret = (struct rollout_task){
        .id = ecs_task_id(t),
        .deployment_id = row->owner_id,
        .life = read_life(t),
        .created_at = t->created_at.value,
        .started_at = t->started_at.is_set ? t->started_at.value : (wall_t){0},
        .is_stop_decided = is_stop_decided(t),
        .marks = (uint32_t)OPT_OR(row->marks, 0),
    };
    if (ret->life != ROLLOUT_RUNNING) {
        return ERR_OK;
    }
    if (config->has_container_check) {
        TRY(read_container_health(s, t, &ret->container));
    }
    for (size_t i = 0; i < config->group_count; i++) {
        TRY(see_group(s, row, config->groups[i].arn, &ret->targets[i], &ret->target_reasons[i]));
    }
    return ERR_OK;
}

enum err scene_tasks(struct scene *s, const struct rollout_config *config, struct str owner_id,
                     struct rollout_task **ret_tasks, struct engine_ecs_task ***ret_rows,
                     size_t *ret_count)
{
    struct rollout_task *tasks =
        ARENA_ARRAY(&s->op->arena, struct rollout_task, s->tasks.count + 1);
    struct engine_ecs_task **rows =
        ARENA_ARRAY(&s->op->arena, struct engine_ecs_task *, s->tasks.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < s->tasks.count; i++) {
        struct engine_ecs_task *row = s->tasks.items[i].value;
        if (str_is_set(owner_id) && !str_equal(row->owner_id, owner_id)) {
            continue;
        }
        TRY(read_task(s, config, row, &tasks[count]));
        rows[count++] = row;
    }
    *ret_tasks = tasks;
    *ret_rows = rows;
    *ret_count = count;
    return ERR_OK;
}

bool scene_hide_protected(struct scene *s, const struct rollout_effects *effects,
                          struct rollout_task *tasks, struct engine_ecs_task **rows, size_t *count)
{
    bool *is_hidden = ARENA_ARRAY(&s->op->arena, bool, *count + 1);
    bool is_any = false;
    for (size_t i = 0; i < effects->count; i++) {
        const struct rollout_effect *e = &effects->items[i];
        if (e->kind != ROLLOUT_STOP || str_starts_with(e->text, STR("Task failed ")) ||
            !ecs_task_is_protected(rows[e->task], s->op->now)) {
            continue;
        }
        is_hidden[e->task] = true;
        is_any = true;
        scene_wake_at(s, rows[e->task]->protected_until.value);
    }
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        if (!is_hidden[i]) {
            tasks[kept] = tasks[i];
            rows[kept++] = rows[i];
        }
    }
    *count = kept;
    return is_any;
}

/* ---- the turn ---------------------------------------------------------------------------------*/

static enum err look(struct scene *s, const struct service_seat *seat)
{
    s->ref = ecs_make_ref(s->op, str_of(seat->cluster), str_of(seat->name));
    TRY(store_get(s->op, s->ecs->config.store, &ecs_kind_service, s->ref.key, &s->row));
    return ecs_service_tasks(s->op, s->ecs, &s->ref, &s->tasks);
}

static enum err step_by_kind(struct scene *s, bool *ret_again)
{
    if (!STR_IS(s->row.service->status, "ACTIVE")) {
        return scheduler_step_draining(s, ret_again);
    }
    if (ecs_service_has_task_sets(s->row.service)) {
        return scheduler_step_task_sets(s, ret_again);
    }
    bool is_native = false;
    TRY(scheduler_step_native(s, &is_native, ret_again));
    return is_native ? ERR_OK : scheduler_step_deployments(s, ret_again);
}

static enum err step(struct scene *s, bool *ret_again)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(s->op, s->ecs->config.store, &tx));
    bool again = false;
    TRY(step_by_kind(s, &again));
    FAULT_POINT("ecs.service.commit");
    TRY(store_tx_commit(s->op, &tx));
    FAULT_POINT("ecs.service.committed");
    *ret_again = again;
    return ERR_OK;
}

/* Targets that drain belong to tasks that wait for it. */
static void wake_draining(struct scene *s)
{
    for (size_t i = 0; i < s->tasks.count; i++) {
        const struct engine_ecs_task *row = s->tasks.items[i].value;
        struct task_seat *seat = map_find(&s->ecs->task_seats, ecs_task_id(row->task));
        if (seat != NULL && ecs_task_status(row->task) == TASK_DEACTIVATING) {
            ecs_task_seat_wake(seat);
        }
    }
}

static void watch_tasks(struct scene *s)
{
    for (size_t i = 0; i < s->tasks.count; i++) {
        const struct engine_ecs_task *row = s->tasks.items[i].value;
        for (size_t k = 0; k < row->targets.count; k++) {
            watch(s, row->targets.items[k].target_group_arn);
        }
    }
    const struct ecs_deployment_configuration *c = s->row.service->deployment_configuration;
    if (c != NULL && c->alarms != NULL && OPT_OR(c->alarms->enable, false)) {
        for (size_t i = 0; i < c->alarms->alarm_names.count; i++) {
            watch(s, c->alarms->alarm_names.items[i]);
        }
    }
}

/* True: the seat goes on. */
static bool take_step(struct service_seat *seat, bool *ret_again)
{
    auto_op struct op op;
    ecs_op_init(&op, seat->ecs, seat->region);
    struct scene s = {.op = &op, .ecs = seat->ecs};
    *ret_again = false;
    enum err e = look(&s, seat);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && STR_IS(s.row.service->status, "INACTIVE"))) {
        ecs_service_seat_drop(seat);
        return false;
    }
    if (e == ERR_OK) {
        e = step(&s, ret_again);
    }
    if (e != ERR_OK) {
        log_warn("ecs", "service=%s/%s text=\"the scheduler failed, and tries again: %s\"",
                 seat->cluster, seat->name, op.note.text);
        ecs_service_seat_wake_after(seat, ECS_START_RETRY_MOST);
        *ret_again = false;
        return true;
    }
    if (*ret_again) {
        return true;
    }
    watch_tasks(&s);
    ecs_service_seat_watch(seat, s.watched.items, s.watched.count);
    wake_draining(&s);
    if (s.wake_at.us != 0) {
        dur_t after = wall_since(s.wake_at, op.now);
        ecs_service_seat_wake_after(seat, after.us > 0 ? after : DUR_MS(0));
    } else {
        ev_timer_stop(&seat->wake);
    }
    const struct port_wakes *wakes = seat->ecs->config.wakes;
    if (ecs_service_has_task_sets(s.row.service)) {
        wakes->task_set_changed(wakes->self, str_of(seat->region), s.row.service->service_arn);
    }
    return true;
}

void ecs_service_turn(struct service_seat *seat)
{
    bool again = true;
    for (int i = 0; i < ECS_STEPS_PER_TURN_MAX && again; i++) {
        if (!take_step(seat, &again)) {
            return;
        }
    }
    if (again) {
        ecs_service_seat_wake(seat);
    }
}
