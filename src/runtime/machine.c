#include "runtime/machine.h"

#include "base/check.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/depends.h"
#include "runtime/machine_private.h"
#include "runtime/spec.h"

/* ---- sight ----------------------------------------------------------------------------------- */

const struct runtime_container_spec *runtime_container_spec_of(const struct runtime_container *c)
{
    return &c->task->spec->containers[c->index];
}

struct runtime_container *runtime_container_find(struct runtime_task *t, struct str name)
{
    size_t index = runtime_depends_find(t->spec, name);
    return index == RUNTIME_DEPENDS_NONE ? NULL : t->containers[index];
}

struct runtime_task *runtime_task_find(const struct runtime *rt, struct str id)
{
    struct runtime_task *t = map_find(&rt->tasks, id);
    return t == NULL || t->is_removing ? NULL : t;
}

bool runtime_container_is_over(const struct runtime_container *c)
{
    return c->phase == RUNTIME_PHASE_FAILED || c->phase == RUNTIME_PHASE_EXITED;
}

bool runtime_task_is_over(const struct runtime_task *t)
{
    for (size_t i = 0; i < t->spec->container_count; i++) {
        if (!runtime_container_is_over(t->containers[i]) || t->containers[i]->is_log_open) {
            return false;
        }
    }
    return true;
}

dur_t runtime_stop_timeout_of(const struct runtime_container *c)
{
    dur_t d = runtime_container_spec_of(c)->stop_timeout;
    return d.us == 0 ? RUNTIME_STOP_TIMEOUT_DEFAULT : d;
}

static dur_t start_timeout_of(const struct runtime_container *c)
{
    dur_t d = runtime_container_spec_of(c)->start_timeout;
    return d.us == 0 ? RUNTIME_START_TIMEOUT_DEFAULT : d;
}

static enum runtime_depends_phase depends_phase_of(const struct runtime_container *c)
{
    switch (c->phase) {
    case RUNTIME_PHASE_NEW:
    case RUNTIME_PHASE_PULLING:
    case RUNTIME_PHASE_PULLED:
    case RUNTIME_PHASE_STARTING:
        return RUNTIME_DEPENDS_WAITING;
    case RUNTIME_PHASE_RUNNING:
        return RUNTIME_DEPENDS_RUNNING;
    case RUNTIME_PHASE_EXITED:
        return RUNTIME_DEPENDS_EXITED;
    case RUNTIME_PHASE_FAILED:
        return RUNTIME_DEPENDS_FAILED;
    }
    UNREACHABLE("every phase is above");
}

static void see_all(const struct runtime_task *t, struct runtime_depends_sight *ret_sights)
{
    mono_t now = clock_mono();
    for (size_t i = 0; i < t->spec->container_count; i++) {
        const struct runtime_container *c = t->containers[i];
        ret_sights[i] = (struct runtime_depends_sight){
            .phase = depends_phase_of(c),
            .health = c->note.health.state,
            .exit_code = c->exit_code,
            .is_overdue = mono_since(now, c->phase_since).us >= start_timeout_of(c).us,
        };
    }
}

/* ---- moves ----------------------------------------------------------------------------------- */

void runtime_task_wake(struct runtime_task *t)
{
    if (t->rt->is_ready && !t->rt->is_closing) {
        ev_defer(t->rt->loop, &t->step, runtime_task_step);
    }
}

static void move_to(struct runtime_container *c, enum runtime_phase next)
{
    CHECK(next > c->phase);
    c->phase = next;
    c->phase_since = clock_mono();
    ev_timer_stop(&c->deadline);
    runtime_task_wake(c->task);
}

static struct str cut_text(struct arena *a, struct str s)
{
    return arena_str(a, str_slice(s, 0, RUNTIME_REASON_BYTES_MAX));
}

static void on_deadline(struct ev_timer *timer)
{
    struct runtime_container *c = CONTAINER_OF(timer, struct runtime_container, deadline);
    if (c->phase == RUNTIME_PHASE_STARTING) {
        struct str reason =
            arena_printf(&c->task->arena,
                         "ContainerRuntimeTimeoutError: Could not transition to running; timed out "
                         "after waiting %lld s",
                         (long long)(start_timeout_of(c).us / 1000000));
        runtime_container_failed(c, reason);
        c->task->rt->effects->send_kill(c);
        return;
    }
    if (c->phase == RUNTIME_PHASE_RUNNING && c->note.stop_sent_at.us != 0) {
        c->wants_kill = true;
    }
    runtime_task_wake(c->task);
}

static void set_deadline(struct runtime_container *c, dur_t after)
{
    ev_timer_set(c->task->rt->loop, &c->deadline, after.us < 0 ? DUR_US(0) : after, on_deadline);
}

void runtime_resume_container(struct runtime_container *c)
{
    if (c->phase == RUNTIME_PHASE_STARTING) {
        set_deadline(c, start_timeout_of(c));
    }
    if (c->phase != RUNTIME_PHASE_RUNNING) {
        return;
    }
    dur_t ran = wall_since(clock_wall(), c->started_at);
    c->phase_since = mono_add(clock_mono(), DUR_US(-ran.us));
    if (c->note.stop_sent_at.us == 0) {
        set_deadline(c, DUR_US(start_timeout_of(c).us - ran.us));
        runtime_schedule_health(c);
        return;
    }
    /* It has the signal already: go on with waiting for its end. */
    dur_t gone = wall_since(clock_wall(), c->note.stop_sent_at);
    c->wants_stop = true;
    set_deadline(c, DUR_US(runtime_stop_timeout_of(c).us - gone.us));
}

static void begin_pull(struct runtime_container *c)
{
    c->note.pull_started_at = clock_wall();
    move_to(c, RUNTIME_PHASE_PULLING);
    c->task->rt->effects->remember(c);
    runtime_tell(c, RUNTIME_PULL_STARTED);
    if (c->phase == RUNTIME_PHASE_PULLING) {
        c->task->rt->effects->pull(c);
    }
}

bool runtime_may_always_start(const struct runtime_container *c)
{
    (void)c;
    return true;
}

static void begin_start(struct runtime_container *c)
{
    move_to(c, RUNTIME_PHASE_STARTING);
    set_deadline(c, start_timeout_of(c));
    FAULT_POINT("runtime.before_start");
    c->task->rt->effects->start(c);
    FAULT_POINT("runtime.after_start");
}

static void start_when_it_may(struct runtime_container *c)
{
    struct runtime_depends_sight sights[RUNTIME_CONTAINERS_MAX];
    see_all(c->task, sights);
    struct runtime_depends_answer a = runtime_depends_may_start(c->task->spec, sights, c->index);
    switch (a.verdict) {
    case RUNTIME_DEPENDS_START:
        if (c->task->rt->effects->may_start(c)) {
            begin_start(c);
        }
        return;
    case RUNTIME_DEPENDS_WAIT:
        return;
    case RUNTIME_DEPENDS_NEVER: {
        struct str other = c->task->spec->containers[a.blocker].name;
        runtime_container_failed(
            c, arena_printf(&c->task->arena,
                            "CannotStartContainerError: container \"%.*s\", which it depends on, "
                            "did not meet its condition",
                            STR_ARG(other)));
        return;
    }
    }
}

static void kill_once(struct runtime_container *c)
{
    if (!c->is_killed) {
        c->is_killed = true;
        c->task->rt->effects->send_kill(c);
    }
}

static void stop_when_it_may(struct runtime_container *c)
{
    const struct runtime_effects *effects = c->task->rt->effects;
    if (c->wants_kill) {
        kill_once(c);
        return;
    }
    if (c->note.stop_sent_at.us != 0) {
        return;
    }
    struct runtime_depends_sight sights[RUNTIME_CONTAINERS_MAX];
    see_all(c->task, sights);
    if (!c->stops_out_of_order && !runtime_depends_may_stop(c->task->spec, sights, c->index)) {
        return;
    }
    c->note.stop_sent_at = clock_wall();
    effects->remember(c);
    set_deadline(c, runtime_stop_timeout_of(c));
    FAULT_POINT("runtime.before_stop");
    effects->send_stop(c);
    FAULT_POINT("runtime.after_stop");
}

static void step_stopping(struct runtime_container *c)
{
    switch (c->phase) {
    case RUNTIME_PHASE_NEW:
    case RUNTIME_PHASE_PULLING:
    case RUNTIME_PHASE_PULLED:
        runtime_container_failed(c, STR_NONE);
        return;
    case RUNTIME_PHASE_STARTING: /* its end is near: started or failed */
        if (c->wants_kill) {
            kill_once(c);
        }
        return;
    case RUNTIME_PHASE_RUNNING:
        stop_when_it_may(c);
        return;
    case RUNTIME_PHASE_EXITED:
    case RUNTIME_PHASE_FAILED:
        return;
    }
}

static void step_container(struct runtime_container *c)
{
    if (c->wants_stop) {
        step_stopping(c);
    } else if (c->phase == RUNTIME_PHASE_NEW && c->task->has_secrets) {
        begin_pull(c);
    } else if (c->phase == RUNTIME_PHASE_PULLED && c->task->has_secrets) {
        start_when_it_may(c);
    }
}

static void forget_secrets_when_started(struct runtime_task *t)
{
    for (size_t i = 0; i < t->spec->container_count; i++) {
        if (t->containers[i]->phase < RUNTIME_PHASE_RUNNING) {
            return;
        }
    }
    if (t->has_secrets) {
        t->has_secrets = false;
        runtime_spec_wipe(t->spec);
        arena_reset(&t->secrets);
    }
}

void runtime_task_step(struct ev_defer *d)
{
    struct runtime_task *t = CONTAINER_OF(d, struct runtime_task, step);
    if (t->is_removing) {
        FAULT_POINT("runtime.before_remove");
        t->rt->effects->remove(t);
        FAULT_POINT("runtime.after_remove");
        return;
    }
    if (str_is_set(t->failure)) {
        struct str failure = t->failure;
        t->failure = STR_NONE;
        runtime_tell_task(t, RUNTIME_FAILED_TO_START, failure);
    }
    for (size_t i = 0; i < t->spec->container_count && !t->is_removing; i++) {
        step_container(t->containers[i]);
    }
    forget_secrets_when_started(t);
    if (!t->is_over_told && !t->is_removing && runtime_task_is_over(t)) {
        t->is_over_told = true;
        runtime_tell_task(t, RUNTIME_TASK_OVER, STR_NONE);
    }
}

/* ---- health ---------------------------------------------------------------------------------- */

static void on_health_due(struct ev_timer *timer)
{
    struct runtime_container *c = CONTAINER_OF(timer, struct runtime_container, health_timer);
    if (c->phase != RUNTIME_PHASE_RUNNING || c->wants_stop) {
        return;
    }
    c->is_probing = true;
    c->probe_since = clock_mono();
    c->task->rt->effects->probe(c);
}

void runtime_schedule_health(struct runtime_container *c)
{
    const struct runtime_health_check *check = &runtime_container_spec_of(c)->health_check;
    if (c->phase == RUNTIME_PHASE_RUNNING && runtime_health_is_checked(check)) {
        ev_timer_set(c->task->rt->loop, &c->health_timer, runtime_health_interval(check),
                     on_health_due);
    }
}

void runtime_container_probed(struct runtime_container *c, bool has_passed)
{
    if (!c->is_probing) {
        return;
    }
    c->is_probing = false;
    if (c->phase != RUNTIME_PHASE_RUNNING || c->wants_stop) {
        return;
    }
    dur_t since_start = mono_since(c->probe_since, c->phase_since);
    bool has_changed = runtime_health_note(
        &c->note.health, &runtime_container_spec_of(c)->health_check, since_start, has_passed);
    runtime_schedule_health(c);
    if (has_changed) {
        c->task->rt->effects->remember(c);
        runtime_task_wake(c->task);
        runtime_tell(c, RUNTIME_HEALTH);
    }
}

void runtime_container_health(struct runtime_container *c, enum runtime_health health)
{
    if (c->phase != RUNTIME_PHASE_RUNNING || c->note.health.state == health) {
        return;
    }
    c->note.health.state = health;
    c->task->rt->effects->remember(c);
    runtime_task_wake(c->task);
    runtime_tell(c, RUNTIME_HEALTH);
}

/* ---- facts ----------------------------------------------------------------------------------- */

void runtime_container_pulled(struct runtime_container *c, struct str image_digest)
{
    if (c->phase != RUNTIME_PHASE_PULLING) {
        return;
    }
    c->image_digest = cut_text(&c->task->arena, image_digest);
    c->note.pull_stopped_at = clock_wall();
    move_to(c, RUNTIME_PHASE_PULLED);
    c->task->rt->effects->remember(c);
    runtime_tell(c, RUNTIME_PULL_STOPPED);
}

void runtime_container_failed(struct runtime_container *c, struct str reason)
{
    if (c->phase >= RUNTIME_PHASE_RUNNING) {
        return;
    }
    c->reason = cut_text(&c->task->arena, reason);
    move_to(c, RUNTIME_PHASE_FAILED);
    runtime_tell(c, RUNTIME_FAILED_TO_START);
}

void runtime_container_started(struct runtime_container *c, struct str runtime_id)
{
    if (c->phase == RUNTIME_PHASE_FAILED) {
        c->task->rt->effects->send_kill(c); /* given up meanwhile */
        return;
    }
    if (c->phase != RUNTIME_PHASE_STARTING) {
        return;
    }
    if (!str_to_c(runtime_id, c->runtime_id, sizeof(c->runtime_id))) {
        log_debug("runtime", "a runtime id of %zu bytes was dropped", runtime_id.len);
    }
    FAULT_POINT("runtime.started");
    c->started_at = clock_wall();
    move_to(c, RUNTIME_PHASE_RUNNING);
    set_deadline(c, start_timeout_of(c)); /* for those that wait for its health or end */
    runtime_schedule_health(c);
    runtime_tell(c, RUNTIME_STARTED);
}

void runtime_container_exited(struct runtime_container *c, int32_t code, struct str reason,
                              bool is_out_of_memory, wall_t at)
{
    if (c->phase != RUNTIME_PHASE_RUNNING) {
        return;
    }
    FAULT_POINT("runtime.exited");
    c->exit_code = code;
    c->reason = cut_text(&c->task->arena, reason);
    c->is_out_of_memory = is_out_of_memory;
    c->exited_at = at;
    ev_timer_stop(&c->health_timer);
    move_to(c, RUNTIME_PHASE_EXITED);
    runtime_tell(c, RUNTIME_EXITED);
}

void runtime_container_log_ended(struct runtime_container *c)
{
    c->is_log_open = false;
    runtime_task_wake(c->task);
}

void runtime_container_lines(struct runtime_container *c, const struct runtime_line *lines,
                             size_t count)
{
    CHECK(count <= RUNTIME_LINES_PER_EVENT_MAX);
    if (count == 0 || c->task->is_removing) {
        return;
    }
    runtime_tell_lines(c, lines, count);
    FAULT_POINT("runtime.lines_told");
    c->note.log_position = lines[count - 1].position;
    c->task->rt->effects->remember(c);
}

void runtime_task_sampled(struct runtime_task *t, const struct runtime_usage *usage)
{
    t->is_sampling = false;
    if (usage != NULL) {
        t->usage = *usage;
        t->has_usage = true;
    }
}
