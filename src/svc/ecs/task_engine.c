/* The machine of one task: observe the row and the runtime, decide one step, commit it, perform
 * what it asks for, and look again. Every effect is keyed by the task's id and repeated until the
 * runtime shows that it is done, so a crash between any two lines costs nothing. */
#include "svc/ecs/ecs_priv.h"

#include "base/log.h"

struct turn {
    struct op *op;
    struct task_seat *seat;
    struct ecs *ecs;
    struct engine_ecs_task row;
    struct runtime_task_sight sight;
    bool is_known;       /* the runtime has the task */
    struct str given_up; /* why it cannot be started; absent otherwise */
    bool is_forgotten;   /* the runtime has let go of it */
};

/* What a step decided. */
enum step {
    STEP_WAIT,   /* nothing more until something happens */
    STEP_CHANGE, /* the row changes: commit, then step again */
};

static struct ecs_task *task_of(struct turn *t)
{
    return t->row.task;
}

static void move(struct turn *t, enum task_status next)
{
    log_debug("ecs", "task=%s from=%.*s to=%.*s", t->seat->id, STR_ARG(task_of(t)->last_status),
              STR_ARG(ecs_task_status_name(next)));
    task_of(t)->last_status = ecs_task_status_name(next);
}

/* ---- observe ----------------------------------------------------------------------------------*/

static enum err observe(struct turn *t)
{
    enum err e = runtime_see_task(t->ecs->rt, t->op, str_of(t->seat->id), &t->sight);
    t->is_known = e == ERR_OK;
    if (e == ERR_NOT_FOUND) {
        op_note_clear(t->op);
        return ERR_OK;
    }
    return e;
}

static bool has_started(const struct runtime_container_sight *c)
{
    return c->started_at.us != 0 || c->state == RUNTIME_CONTAINER_RUNNING;
}

static bool has_ended(const struct runtime_container_sight *c)
{
    return c->state == RUNTIME_CONTAINER_EXITED || c->state == RUNTIME_CONTAINER_FAILED;
}

static bool have_all_started(const struct turn *t)
{
    for (size_t i = 0; t->is_known && i < t->sight.container_count; i++) {
        const struct runtime_container_sight *c = &t->sight.containers[i];
        if (!has_started(c) && !(has_ended(c) && !c->is_essential)) {
            return false;
        }
    }
    return t->is_known;
}

/* The first essential container that ended; NULL while all of them go on. */
static const struct runtime_container_sight *find_ended(const struct turn *t)
{
    for (size_t i = 0; t->is_known && i < t->sight.container_count; i++) {
        const struct runtime_container_sight *c = &t->sight.containers[i];
        if (c->is_essential && has_ended(c)) {
            return c;
        }
    }
    return NULL;
}

static void retry_later(struct turn *t)
{
    dur_t after = ECS_START_RETRY_FIRST;
    for (int32_t i = 0; i < t->seat->start_failures && after.us < ECS_START_RETRY_MOST.us; i++) {
        after.us *= 2;
    }
    t->seat->start_failures++;
    log_warn("ecs", "task=%s text=\"could not be started yet: %s\"", t->seat->id, t->op->note.text);
    op_note_clear(t->op);
    ecs_task_seat_wake_after(t->seat,
                             after.us < ECS_START_RETRY_MOST.us ? after : ECS_START_RETRY_MOST);
}

/* ---- perform: effects, outside of any transaction ---------------------------------------------*/

static bool is_start_due(const struct turn *t)
{
    return !ecs_task_is_stop_decided(t->row.task) && find_ended(t) == NULL &&
           (!t->is_known || t->sight.needs_spec);
}

static enum err prepare(struct turn *t, struct runtime_task_spec *ret)
{
    struct ecs_task_definition *td = ARENA_NEW(&t->op->arena, struct ecs_task_definition);
    TRY(ecs_task_definition_of(t->op, t->ecs, task_of(t)->task_definition_arn, td));
    TRY(ecs_task_ensure_streams(t->op, t->ecs, str_of(t->seat->id), td));
    return ecs_task_spec(t->op, t->ecs, &t->row, td, ret);
}

static void perform_start(struct turn *t)
{
    struct runtime_task_spec spec = {0};
    enum err e = prepare(t, &spec);
    if (e == ERR_OK) {
        FAULT_POINT("ecs.task.start");
        e = runtime_start_task(t->ecs->rt, t->op, &spec);
        FAULT_POINT("ecs.task.started");
    }
    if (e == ERR_OK) {
        t->seat->start_failures = 0; /* the runtime tells what comes of it */
    } else if (err_may_retry(e)) {
        retry_later(t);
    } else {
        t->given_up = arena_str(&t->op->arena, str_of(t->op->note.text));
        op_note_clear(t->op);
    }
}

static void perform(struct turn *t, enum task_status status)
{
    struct str id = str_of(t->seat->id);
    if (status == TASK_PENDING && is_start_due(t)) {
        perform_start(t);
    }
    if (status == TASK_STOPPING && t->is_known && !t->sight.is_over) {
        FAULT_POINT("ecs.task.stop");
        if (runtime_stop_task(t->ecs->rt, t->op, id) != ERR_OK) {
            retry_later(t);
        }
        FAULT_POINT("ecs.task.stopped");
    }
    if (status == TASK_DEPROVISIONING) {
        FAULT_POINT("ecs.task.forget");
        t->is_forgotten = !t->is_known || runtime_forget_task(t->ecs->rt, t->op, id) == ERR_OK;
        FAULT_POINT("ecs.task.forgotten");
        if (!t->is_forgotten) {
            retry_later(t);
        }
    }
}

/* ---- decide, status by status; each in the transaction that keeps what it decides -------------*/

static enum err stop_for(struct turn *t, enum ecs_task_stop_code code, struct str reason)
{
    return ecs_task_begin_stop(t->op, t->ecs, &t->row, code, arena_str(&t->op->arena, reason));
}

/* The sentence of a failure before the start is the stopped reason. */
static enum err give_up_start(struct turn *t)
{
    struct str reason = t->given_up;
    if (!str_starts_with(reason, STR("ResourceInitializationError: "))) {
        reason = arena_printf(&t->op->arena, "ResourceInitializationError: %.*s", STR_ARG(reason));
    }
    return stop_for(t, ECS_TASK_STOP_CODE_TASKFAILEDTOSTART, reason);
}

static enum err step_provisioning(struct turn *t, enum step *ret_step)
{
    move(t, ecs_task_is_stop_decided(task_of(t)) ? TASK_DEPROVISIONING : TASK_PENDING);
    *ret_step = STEP_CHANGE;
    return ERR_OK;
}

static enum err fail_pending(struct turn *t, const struct runtime_container_sight *ended)
{
    if (ended->state == RUNTIME_CONTAINER_EXITED) {
        return stop_for(t, ECS_TASK_STOP_CODE_ESSENTIALCONTAINEREXITED,
                        STR("Essential container in task exited"));
    }
    return stop_for(t, ECS_TASK_STOP_CODE_TASKFAILEDTOSTART,
                    ecs_default(ended->reason, STR("Task failed to start")));
}

static enum err step_pending(struct turn *t, enum step *ret_step)
{
    *ret_step = STEP_CHANGE;
    if (ecs_task_is_stop_decided(task_of(t))) {
        move(t, t->is_known ? TASK_STOPPING : TASK_DEPROVISIONING);
        return ERR_OK;
    }
    if (have_all_started(t)) {
        move(t, TASK_ACTIVATING);
        return ERR_OK;
    }
    const struct runtime_container_sight *ended = find_ended(t);
    if (ended != NULL) {
        return fail_pending(t, ended);
    }
    if (t->given_up.len > 0) {
        return give_up_start(t);
    }
    *ret_step = STEP_WAIT;
    return ERR_OK;
}

static enum err say_no_group(struct turn *t, struct str group_arn)
{
    struct service_ref ref = ecs_make_ref(t->op, str_of(t->seat->cluster), t->row.service);
    return ecs_event_add(
        t->op, t->ecs, &ref,
        arena_printf(&t->op->arena,
                     "(service %.*s) failed to register targets in (target-group %.*s) with (error "
                     "The specified target group does not exist)",
                     STR_ARG(ref.name), STR_ARG(group_arn)));
}

/* "unix:/path" when the group asks for sockets and the runtime has one for the container; absent:
 * the task's address. */
static struct str where_it_listens(const struct turn *t, const struct engine_ecs_target *target,
                                   const struct port_target_group *group)
{
    for (size_t i = 0; group->wants_unix_socket && i < t->sight.container_count; i++) {
        const struct runtime_container_sight *c = &t->sight.containers[i];
        if (str_equal(c->name, target->container_name) && str_is_set(c->socket_path)) {
            return arena_printf(&t->op->arena, "unix:%.*s", STR_ARG(c->socket_path));
        }
    }
    return STR_NONE;
}

static enum err register_one(struct turn *t, struct engine_ecs_target *target)
{
    const struct port_elb *elb = t->ecs->config.elb;
    struct port_target_group group = {0};
    enum err e = elb->find_target_group(elb->self, t->op, target->target_group_arn, &group);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(t->op);
        return say_no_group(t, target->target_group_arn);
    }
    TRY(e);
    target->host = where_it_listens(t, target, &group);
    TRY(elb->register_target(elb->self, t->op, target->target_group_arn,
                             ecs_target_host(&t->row, target), target->container_port.value));
    target->is_registered = OPT_BOOL(true);
    return ecs_task_say(t->op, t->ecs, &t->row, ROLLOUT_EVENT_REGISTERED, target->target_group_arn);
}

/* In the transaction that makes the task RUNNING. */
static enum err register_targets(struct turn *t)
{
    for (size_t i = 0; i < t->row.targets.count; i++) {
        TRY(register_one(t, &t->row.targets.items[i]));
    }
    return ERR_OK;
}

static wall_t last_start(const struct turn *t)
{
    wall_t at = {0};
    for (size_t i = 0; i < t->sight.container_count; i++) {
        if (t->sight.containers[i].started_at.us > at.us) {
            at = t->sight.containers[i].started_at;
        }
    }
    return at.us == 0 ? t->op->now : at;
}

static enum err step_activating(struct turn *t, enum step *ret_step)
{
    *ret_step = STEP_CHANGE;
    move(t, TASK_RUNNING);
    task_of(t)->started_at = OPT_TIME(last_start(t));
    return find_ended(t) == NULL && t->is_known ? register_targets(t) : ERR_OK;
}

static enum err step_running(struct turn *t, enum step *ret_step)
{
    *ret_step = STEP_CHANGE;
    if (ecs_task_is_stop_decided(task_of(t))) {
        move(t, TASK_DEACTIVATING);
        return ERR_OK;
    }
    if (!t->is_known || find_ended(t) != NULL) {
        return stop_for(t, ECS_TASK_STOP_CODE_ESSENTIALCONTAINEREXITED,
                        STR("Essential container in task exited"));
    }
    *ret_step = STEP_WAIT;
    return ERR_OK;
}

static enum err are_targets_unused(struct turn *t, bool *ret_are_unused)
{
    const struct port_elb *elb = t->ecs->config.elb;
    bool are_unused = true;
    for (size_t i = 0; i < t->row.targets.count; i++) {
        struct engine_ecs_target *target = &t->row.targets.items[i];
        if (!OPT_OR(target->is_registered, false)) {
            continue;
        }
        struct port_target_sight sight = {.state = PORT_TARGET_UNUSED};
        enum err e =
            elb->see_target(elb->self, t->op, target->target_group_arn,
                            ecs_target_host(&t->row, target), target->container_port.value, &sight);
        if (e == ERR_NOT_FOUND) {
            op_note_clear(t->op);
            continue;
        }
        TRY(e);
        are_unused = are_unused && sight.state == PORT_TARGET_UNUSED;
    }
    *ret_are_unused = are_unused;
    return ERR_OK;
}

/* Requests in flight end before the stop signal. A task whose essential container ended answers
 * nothing any more: there is nothing to wait for. */
static enum err step_deactivating(struct turn *t, enum step *ret_step)
{
    bool may_stop = !t->is_known || find_ended(t) != NULL;
    if (!may_stop) {
        TRY(are_targets_unused(t, &may_stop));
    }
    if (!may_stop) {
        ecs_task_seat_wake_after(t->seat, ECS_DRAIN_LOOK_EVERY);
        *ret_step = STEP_WAIT;
        return ERR_OK;
    }
    for (size_t i = 0; i < t->row.targets.count; i++) {
        t->row.targets.items[i].is_registered = OPT_BOOL(false);
    }
    move(t, TASK_STOPPING);
    *ret_step = STEP_CHANGE;
    return ERR_OK;
}

static enum err step_stopping(struct turn *t, enum step *ret_step)
{
    *ret_step = STEP_WAIT;
    if (!t->is_known || t->sight.is_over) {
        task_of(t)->execution_stopped_at = OPT_TIME(t->op->now);
        move(t, TASK_DEPROVISIONING);
        *ret_step = STEP_CHANGE;
    }
    return ERR_OK;
}

static enum err step_deprovisioning(struct turn *t, enum step *ret_step)
{
    *ret_step = STEP_WAIT;
    if (!t->is_forgotten) {
        return ERR_OK;
    }
    move(t, TASK_STOPPED);
    task_of(t)->stopped_at = OPT_TIME(t->op->now);
    *ret_step = STEP_CHANGE;
    return ecs_task_note_failure(t->op, t->ecs, &t->row);
}

typedef enum err step_fn(struct turn *t, enum step *ret_step);

static step_fn *const steps[] = {
    [TASK_PROVISIONING] = step_provisioning,     [TASK_PENDING] = step_pending,
    [TASK_ACTIVATING] = step_activating,         [TASK_RUNNING] = step_running,
    [TASK_DEACTIVATING] = step_deactivating,     [TASK_STOPPING] = step_stopping,
    [TASK_DEPROVISIONING] = step_deprovisioning,
};

/* ---- the turn ---------------------------------------------------------------------------------*/

static enum err decide_and_commit(struct turn *t, enum task_status status, enum step *ret_step)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(t->op, t->ecs->config.store, &tx));
    bool is_changed = t->is_known && ecs_task_absorb(t->op, &t->row, &t->sight);
    if (is_changed && status <= TASK_RUNNING) {
        TRY(ecs_images_learn(t->op, t->ecs, &t->row));
    }
    enum step step = STEP_WAIT;
    TRY(steps[status](t, &step));
    if (step == STEP_CHANGE || is_changed) {
        ecs_task_follow(t->op, &t->row);
        TRY(ecs_task_put(t->op, t->ecs, &t->row));
        FAULT_POINT("ecs.task.commit");
    }
    TRY(store_tx_commit(t->op, &tx));
    FAULT_POINT("ecs.task.committed");
    *ret_step = step;
    return ERR_OK;
}

/* One observation, one step, one commit. */
static enum err take_step(struct turn *t, enum step *ret_step)
{
    *ret_step = STEP_WAIT;
    TRY(ecs_task_get(t->op, t->ecs, str_of(t->seat->cluster), str_of(t->seat->id), &t->row));
    enum task_status status = ecs_task_status(task_of(t));
    if (status == TASK_STOPPED) {
        return ERR_OK;
    }
    TRY(observe(t));
    perform(t, status);
    return decide_and_commit(t, status, ret_step);
}

void ecs_task_turn(struct task_seat *seat)
{
    struct ecs *ecs = seat->ecs;
    if (!ecs->is_ready) {
        return; /* on_ready gives everyone a turn */
    }
    enum step step = STEP_CHANGE;
    for (int i = 0; i < ECS_STEPS_PER_TURN_MAX && step != STEP_WAIT; i++) {
        auto_op struct op op;
        ecs_op_init(&op, ecs, seat->region);
        struct turn t = {.op = &op, .seat = seat, .ecs = ecs};
        enum err e = take_step(&t, &step);
        if (e == ERR_NOT_FOUND && t.row.task == NULL) {
            ecs_task_seat_drop(seat); /* the row is gone */
            return;
        }
        if (e != ERR_OK) {
            retry_later(&t);
            return;
        }
        if (ecs_task_status(t.row.task) == TASK_STOPPED) {
            ecs_task_seat_drop(seat);
            return;
        }
    }
}
