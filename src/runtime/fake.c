#include "runtime/fake.h"

#include "base/check.h"
#include "base/mem.h"
#include "runtime/machine.h"
#include "runtime/spec.h"

#define SCRIPTS_MAX 64

/* The world: what would go on if this program died. It knows the machine by task id only. */

struct world_container {
    struct fake *fake;
    struct world_task *task;
    size_t index;
    struct runtime_fake_script script;
    enum runtime_phase phase;
    wall_t started_at;
    wall_t exited_at;
    int32_t exit_code;
    struct str reason; /* in the task's arena */
    bool is_out_of_memory;
    bool has_health_check;
    struct runtime_note note;
    uint64_t line_count;
    struct str line;     /* in the task's arena; to be told */
    struct ev_timer act; /* pull, start */
    struct ev_timer end;
    struct ev_timer become_healthy;
    struct ev_timer become_unhealthy;
    struct ev_timer say;
    enum runtime_health next_health;
};

struct world_task {
    struct arena arena;
    struct runtime_task_spec *spec;
    char address[RUNTIME_ADDRESS_BYTES];
    struct runtime_usage usage;
    bool has_usage;
    struct world_container containers[RUNTIME_CONTAINERS_MAX];
};

struct fake {
    struct runtime rt;
    struct arena arena;
    struct runtime_fake_script scripts[SCRIPTS_MAX];
    size_t script_count;
    struct map world; /* by task id */
    size_t start_count;
    size_t failures_left;
    struct ev_defer get_ready;
};

static struct fake *fake_of(struct runtime *rt)
{
    return CONTAINER_OF(rt, struct fake, rt);
}

/* NULL when prepare() failed. */
static struct world_container *world_of(const struct runtime_container *c)
{
    struct world_task *t = map_find(&fake_of(c->task->rt)->world, c->task->spec->id);
    return t == NULL ? NULL : &t->containers[c->index];
}

/* NULL while the program is "down" or the task was forgotten. */
static struct runtime_container *machine_of(const struct world_container *w)
{
    struct runtime_task *t = runtime_task_find(&w->fake->rt, w->task->spec->id);
    return t == NULL || !w->fake->rt.is_ready ? NULL : t->containers[w->index];
}

static void set_timer(struct world_container *w, struct ev_timer *t, dur_t after, ev_timer_fn *fn)
{
    ev_timer_set(w->fake->rt.loop, t, after, fn);
}

/* ---- what containers do ---------------------------------------------------------------------- */

static void on_end(struct ev_timer *timer)
{
    struct world_container *w = CONTAINER_OF(timer, struct world_container, end);
    if (w->phase != RUNTIME_PHASE_RUNNING) {
        return;
    }
    w->phase = RUNTIME_PHASE_EXITED;
    w->exited_at = clock_wall();
    ev_timer_stop(&w->become_healthy);
    ev_timer_stop(&w->become_unhealthy);
    struct runtime_container *c = machine_of(w);
    if (c != NULL) {
        runtime_container_exited(c, w->exit_code, w->reason, w->is_out_of_memory, w->exited_at);
    }
}

static void end_after(struct world_container *w, dur_t after, int32_t code, struct str reason,
                      bool is_out_of_memory)
{
    w->exit_code = code;
    w->reason = arena_str(&w->task->arena, reason);
    w->is_out_of_memory = is_out_of_memory;
    set_timer(w, &w->end, after, on_end);
}

static void set_health(struct world_container *w, enum runtime_health health)
{
    w->note.health.state = health;
    struct runtime_container *c = machine_of(w);
    if (c != NULL) {
        runtime_container_health(c, health);
    }
}

static void on_healthy(struct ev_timer *timer)
{
    struct world_container *w = CONTAINER_OF(timer, struct world_container, become_healthy);
    set_health(w, w->next_health);
}

static void on_unhealthy(struct ev_timer *timer)
{
    set_health(CONTAINER_OF(timer, struct world_container, become_unhealthy), RUNTIME_UNHEALTHY);
}

static void on_say(struct ev_timer *timer)
{
    struct world_container *w = CONTAINER_OF(timer, struct world_container, say);
    struct runtime_container *c = machine_of(w);
    struct runtime_line line = {.at = clock_wall(), .text = w->line, .position = ++w->line_count};
    if (c != NULL && runtime_container_spec_of(c)->wants_log) {
        runtime_container_lines(c, &line, 1);
    }
}

static void begin_life(struct world_container *w)
{
    const struct runtime_fake_script *s = &w->script;
    w->phase = RUNTIME_PHASE_RUNNING;
    w->started_at = clock_wall();
    if (s->exit_after.us > 0) {
        struct str reason = s->is_out_of_memory
                                ? STR("OutOfMemoryError: Container killed due to memory usage")
                                : STR_NONE;
        end_after(w, s->exit_after, s->exit_code, reason, s->is_out_of_memory);
    }
    if (w->has_health_check) {
        w->next_health = RUNTIME_HEALTHY;
        set_timer(w, &w->become_healthy, s->healthy_after, on_healthy);
        if (s->unhealthy_after.us > 0) {
            set_timer(w, &w->become_unhealthy, s->unhealthy_after, on_unhealthy);
        }
    }
    if (str_is_set(s->log_line)) {
        w->line = s->log_line;
        set_timer(w, &w->say, DUR_US(0), on_say);
    }
}

static void on_started(struct ev_timer *timer)
{
    struct world_container *w = CONTAINER_OF(timer, struct world_container, act);
    struct runtime_container *c = machine_of(w);
    if (str_is_set(w->script.start_error)) {
        w->phase = RUNTIME_PHASE_FAILED;
        w->reason = w->script.start_error;
        if (c != NULL) {
            runtime_container_failed(c, w->reason);
        }
        return;
    }
    begin_life(w);
    if (c != NULL) {
        struct str id =
            arena_printf(&w->task->arena, "%.*s-%010zu", STR_ARG(w->task->spec->id), w->index + 1);
        runtime_container_started(c, id);
    }
}

static void on_pulled(struct ev_timer *timer)
{
    struct world_container *w = CONTAINER_OF(timer, struct world_container, act);
    struct runtime_container *c = machine_of(w);
    if (str_is_set(w->script.pull_error)) {
        w->phase = RUNTIME_PHASE_FAILED;
        w->reason = w->script.pull_error;
        if (c != NULL) {
            runtime_container_failed(c, w->reason);
        }
        return;
    }
    w->phase = RUNTIME_PHASE_PULLED;
    if (c != NULL) {
        struct str image = runtime_container_spec_of(c)->image;
        runtime_container_pulled(
            c, arena_printf(&w->task->arena, "sha256:%064llx", (unsigned long long)image.len));
    }
}

/* ---- effects --------------------------------------------------------------------------------- */

static struct runtime_fake_script script_for(const struct fake *f, struct str image)
{
    struct runtime_fake_script found = {0};
    for (size_t i = 0; i < f->script_count; i++) {
        if (str_equal(f->scripts[i].image, image)) {
            return f->scripts[i];
        }
        if (STR_IS(f->scripts[i].image, "*")) {
            found = f->scripts[i];
        }
    }
    return found;
}

static enum err prepare(struct runtime_task *t, struct op *op)
{
    struct fake *f = fake_of(t->rt);
    if (f->failures_left > 0) {
        f->failures_left--;
        return op_fail(op, ERR_IO, "the fake runtime was told to fail");
    }
    struct world_task *w = MEM_NEW(struct world_task);
    arena_init(&w->arena);
    struct arena nowhere;
    arena_init(&nowhere);
    w->spec = runtime_spec_copy(&w->arena, &nowhere, t->spec);
    runtime_spec_wipe(w->spec);
    arena_fini(&nowhere);
    f->start_count++;
    struct str address = arena_printf(&w->arena, "10.0.%zu.%zu", f->start_count / 250 % 250,
                                      f->start_count % 250 + 1);
    CHECK(str_to_c(address, w->address, sizeof(w->address)));
    memcpy(t->address, w->address, sizeof(t->address));
    for (size_t i = 0; i < w->spec->container_count; i++) {
        const struct runtime_container_spec *spec = &w->spec->containers[i];
        w->containers[i] = (struct world_container){
            .fake = f,
            .task = w,
            .index = i,
            .script = script_for(f, spec->image),
            .exit_code = RUNTIME_EXIT_CODE_NONE,
            .has_health_check = runtime_health_is_checked(&spec->health_check),
        };
    }
    CHECK(map_put(&f->world, w->spec->id, w) == NULL);
    return ERR_OK;
}

static void pull(struct runtime_container *c)
{
    struct world_container *w = world_of(c);
    set_timer(w, &w->act, w->script.pull, on_pulled);
}

static void start(struct runtime_container *c)
{
    struct world_container *w = world_of(c);
    w->phase = RUNTIME_PHASE_STARTING;
    set_timer(w, &w->act, w->script.start, on_started);
}

static void send_stop(struct runtime_container *c)
{
    struct world_container *w = world_of(c);
    if (w->phase == RUNTIME_PHASE_RUNNING) {
        end_after(w, w->script.stop, w->script.stop_code, STR_NONE, false);
    }
}

static void send_kill(struct runtime_container *c)
{
    struct world_container *w = world_of(c);
    if (w == NULL) {
        return;
    }
    ev_timer_stop(&w->act);
    if (w->phase == RUNTIME_PHASE_RUNNING) {
        end_after(w, DUR_US(0), 137, STR_NONE, false);
    }
}

static void probe(struct runtime_container *c)
{
    (void)c; /* health comes from the script and by hand */
}

static void remember(struct runtime_container *c)
{
    struct world_container *w = world_of(c);
    if (w != NULL) {
        w->note = c->note;
    }
}

static void sample(struct runtime_task *t)
{
    const struct world_task *w = map_find(&fake_of(t->rt)->world, t->spec->id);
    runtime_task_sampled(t, w != NULL && w->has_usage ? &w->usage : NULL);
}

static void resume(struct runtime_task *t)
{
    (void)t;
}

static void free_world(struct world_task *w)
{
    for (size_t i = 0; i < w->spec->container_count; i++) {
        struct world_container *c = &w->containers[i];
        ev_timer_stop(&c->act);
        ev_timer_stop(&c->end);
        ev_timer_stop(&c->become_healthy);
        ev_timer_stop(&c->become_unhealthy);
        ev_timer_stop(&c->say);
    }
    arena_fini(&w->arena);
    mem_free(w);
}

static void remove_task(struct runtime_task *t)
{
    struct world_task *w = map_remove(&fake_of(t->rt)->world, t->spec->id);
    if (w != NULL) {
        free_world(w);
    }
    runtime_task_removed(t);
}

static void release(struct runtime_task *t)
{
    (void)t;
}

static void close_fake(struct runtime *rt)
{
    struct fake *f = fake_of(rt);
    ev_defer_cancel(&f->get_ready);
    size_t at = 0;
    struct str id = STR_NONE;
    void *w = NULL;
    while (map_next(&f->world, &at, &id, &w)) {
        free_world(w);
    }
    map_fini(&f->world);
    arena_fini(&f->arena);
    mem_free(f);
}

static const struct runtime_effects effects = {
    .name = "fake",
    .task_bytes = sizeof(struct runtime_task),
    .container_bytes = sizeof(struct runtime_container),
    .prepare = prepare,
    .pull = pull,
    .may_start = runtime_may_always_start,
    .start = start,
    .send_stop = send_stop,
    .send_kill = send_kill,
    .probe = probe,
    .remember = remember,
    .sample = sample,
    .resume = resume,
    .remove = remove_task,
    .release = release,
    .close = close_fake,
};

/* ---- birth and crash ------------------------------------------------------------------------- */

static void on_get_ready(struct ev_defer *d)
{
    runtime_set_ready(&CONTAINER_OF(d, struct fake, get_ready)->rt);
}

enum err runtime_fake_open(struct op *op, struct ev_loop *loop, const struct runtime_sink *sink,
                           struct runtime **ret)
{
    (void)op;
    struct fake *f = MEM_NEW(struct fake);
    arena_init(&f->arena);
    map_init(&f->world);
    runtime_init(&f->rt, &effects, loop, sink);
    ev_defer(loop, &f->get_ready, on_get_ready);
    *ret = &f->rt;
    return ERR_OK;
}

static void adopt(struct fake *f, struct world_task *w)
{
    struct runtime_task *t = runtime_adopt_task(&f->rt, w->spec);
    CHECK(t != NULL);
    memcpy(t->address, w->address, sizeof(t->address));
    for (size_t i = 0; i < w->spec->container_count; i++) {
        struct world_container *from = &w->containers[i];
        struct runtime_container *to = t->containers[i];
        bool has_begun = from->phase >= RUNTIME_PHASE_STARTING;
        if (!has_begun) {
            ev_timer_stop(&from->act); /* a pull that nobody waits for */
        }
        to->phase = has_begun ? from->phase : RUNTIME_PHASE_NEW;
        to->note = from->note;
        to->started_at = from->started_at;
        to->exited_at = from->exited_at;
        to->exit_code =
            from->phase == RUNTIME_PHASE_EXITED ? from->exit_code : RUNTIME_EXIT_CODE_NONE;
        to->reason = has_begun ? from->reason : STR_NONE;
        to->is_out_of_memory = from->is_out_of_memory;
    }
}

void runtime_fake_crash(struct runtime *rt, const struct runtime_sink *sink)
{
    struct fake *f = fake_of(rt);
    runtime_drop_tasks(rt);
    rt->is_ready = false;
    rt->sink = *sink;
    size_t at = 0;
    struct str id = STR_NONE;
    void *w = NULL;
    while (map_next(&f->world, &at, &id, &w)) {
        adopt(f, w);
    }
    ev_defer(rt->loop, &f->get_ready, on_get_ready);
}

/* ---- by hand --------------------------------------------------------------------------------- */

void runtime_fake_script(struct runtime *rt, const struct runtime_fake_script *script)
{
    struct fake *f = fake_of(rt);
    size_t at = 0;
    while (at < f->script_count && !str_equal(f->scripts[at].image, script->image)) {
        at++;
    }
    CHECK(at < SCRIPTS_MAX);
    f->script_count = at == f->script_count ? at + 1 : f->script_count;
    f->scripts[at] = *script;
    f->scripts[at].image = arena_str(&f->arena, script->image);
    f->scripts[at].pull_error = arena_str(&f->arena, script->pull_error);
    f->scripts[at].start_error = arena_str(&f->arena, script->start_error);
    f->scripts[at].log_line = arena_str(&f->arena, script->log_line);
}

static struct world_container *find_running(struct runtime *rt, struct str task_id,
                                            struct str container)
{
    struct world_task *w = map_find(&fake_of(rt)->world, task_id);
    for (size_t i = 0; w != NULL && i < w->spec->container_count; i++) {
        if (str_equal(w->spec->containers[i].name, container)) {
            return w->containers[i].phase == RUNTIME_PHASE_RUNNING ? &w->containers[i] : NULL;
        }
    }
    return NULL;
}

bool runtime_fake_exit(struct runtime *rt, struct str task_id, struct str container, int32_t code,
                       struct str reason)
{
    struct world_container *w = find_running(rt, task_id, container);
    if (w == NULL) {
        return false;
    }
    end_after(w, DUR_US(0), code, reason, str_starts_with(reason, STR("OutOfMemoryError")));
    return true;
}

bool runtime_fake_set_health(struct runtime *rt, struct str task_id, struct str container,
                             enum runtime_health health)
{
    struct world_container *w = find_running(rt, task_id, container);
    if (w == NULL) {
        return false;
    }
    w->next_health = health;
    set_timer(w, &w->become_healthy, DUR_US(0), on_healthy);
    return true;
}

bool runtime_fake_log(struct runtime *rt, struct str task_id, struct str container, struct str text)
{
    struct world_container *w = find_running(rt, task_id, container);
    if (w == NULL || ev_timer_is_set(&w->say)) {
        return false;
    }
    w->line = arena_str(&w->task->arena, text);
    set_timer(w, &w->say, DUR_US(0), on_say);
    return true;
}

void runtime_fake_set_usage(struct runtime *rt, struct str task_id,
                            const struct runtime_usage *usage)
{
    struct world_task *w = map_find(&fake_of(rt)->world, task_id);
    if (w != NULL) {
        w->usage = *usage;
        w->has_usage = true;
    }
}

void runtime_fake_fail_next(struct runtime *rt, size_t count)
{
    fake_of(rt)->failures_left = count;
}

size_t runtime_fake_start_count(struct runtime *rt)
{
    return fake_of(rt)->start_count;
}
