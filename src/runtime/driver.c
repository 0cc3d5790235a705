#include "runtime/driver.h"

#include "base/check.h"
#include "base/fault.h"
#include "base/mem.h"
#include "runtime/machine_private.h"
#include "runtime/spec.h"

/* ---- birth and death ------------------------------------------------------------------------- */

void runtime_init(struct runtime *rt, const struct runtime_effects *effects, struct ev_loop *loop,
                  const struct runtime_sink *sink)
{
    rt->effects = effects;
    rt->loop = loop;
    rt->sink = *sink;
    map_init(&rt->tasks);
}

static struct runtime_task *add_task(struct runtime *rt, const struct runtime_task_spec *spec)
{
    CHECK(rt->effects->task_bytes >= sizeof(struct runtime_task));
    CHECK(rt->effects->container_bytes >= sizeof(struct runtime_container));

    struct runtime_task *t = mem_alloc(rt->effects->task_bytes);
    t->rt = rt;
    arena_init(&t->arena);
    arena_init(&t->secrets);
    t->spec = runtime_spec_copy(&t->arena, &t->secrets, spec);
    mono_t now = clock_mono();
    for (size_t i = 0; i < spec->container_count; i++) {
        struct runtime_container *c = mem_alloc(rt->effects->container_bytes);
        c->task = t;
        c->index = i;
        c->exit_code = RUNTIME_EXIT_CODE_NONE;
        c->phase_since = now;
        t->containers[i] = c;
    }
    CHECK(map_put(&rt->tasks, t->spec->id, t) == NULL);
    return t;
}

static void stop_timers(struct runtime_task *t)
{
    ev_defer_cancel(&t->step);
    for (size_t i = 0; i < t->spec->container_count; i++) {
        ev_timer_stop(&t->containers[i]->deadline);
        ev_timer_stop(&t->containers[i]->health_timer);
    }
}

static void free_task(struct runtime_task *t)
{
    stop_timers(t);
    t->rt->effects->release(t);
    runtime_spec_wipe(t->spec);
    for (size_t i = 0; i < t->spec->container_count; i++) {
        mem_free(t->containers[i]);
    }
    arena_fini(&t->secrets);
    arena_fini(&t->arena);
    mem_free(t);
}

void runtime_task_removed(struct runtime_task *t)
{
    CHECK(t->is_removing);
    map_remove(&t->rt->tasks, t->spec->id);
    free_task(t);
}

void runtime_drop_tasks(struct runtime *rt)
{
    size_t at = 0;
    struct str id = STR_NONE;
    void *task = NULL;
    while (map_next(&rt->tasks, &at, &id, &task)) {
        free_task(task);
    }
    map_fini(&rt->tasks);
    map_init(&rt->tasks);
}

void runtime_close(struct runtime *rt) // NOLINT(misc-no-recursion): a mixed one, one level
{
    if (rt == NULL) {
        return;
    }
    rt->is_closing = true;
    runtime_drop_tasks(rt);
    map_fini(&rt->tasks);
    rt->effects->close(rt);
}

struct runtime_task *runtime_adopt_task(struct runtime *rt, const struct runtime_task_spec *spec)
{
    CHECK(!rt->is_ready);
    return map_find(&rt->tasks, spec->id) == NULL ? add_task(rt, spec) : NULL;
}

void runtime_set_ready(struct runtime *rt)
{
    CHECK(!rt->is_ready);
    if (rt->mixed != NULL && !runtime_mixed_may_begin(rt)) {
        return;
    }
    rt->is_ready = true;
    size_t at = 0;
    struct str id = STR_NONE;
    void *value = NULL;
    while (map_next(&rt->tasks, &at, &id, &value)) {
        struct runtime_task *t = value;
        t->is_over_told = runtime_task_is_over(t);
        for (size_t i = 0; i < t->spec->container_count; i++) {
            runtime_resume_container(t->containers[i]);
        }
        rt->effects->resume(t);
        runtime_task_wake(t);
    }
    rt->sink.on_ready(rt->sink.self);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static enum err find_task(struct runtime *rt, struct op *op, struct str id,
                          struct runtime_task **ret)
{
    if (!rt->is_ready) {
        return op_fail(op, ERR_AGAIN, "the %s runtime is not ready yet", rt->effects->name);
    }
    struct runtime_task *t = runtime_task_find(rt, id);
    if (t == NULL) {
        return op_fail(op, ERR_NOT_FOUND, "the %s runtime knows no task \"%.*s\"",
                       rt->effects->name, STR_ARG(id));
    }
    *ret = t;
    return ERR_OK;
}

static bool has_same_containers(const struct runtime_task_spec *a,
                                const struct runtime_task_spec *b)
{
    if (a->container_count != b->container_count) {
        return false;
    }
    for (size_t i = 0; i < a->container_count; i++) {
        if (!str_equal(a->containers[i].name, b->containers[i].name)) {
            return false;
        }
    }
    return true;
}

/* A task from before a crash goes on: only the environment was missing. */
static enum err go_on(struct runtime_task *t, struct op *op, const struct runtime_task_spec *spec)
{
    struct runtime_task_sight sight;
    runtime_see(t, &op->arena, &sight);
    if (!sight.needs_spec) {
        return ERR_OK;
    }
    if (!has_same_containers(t->spec, spec)) {
        return op_fail(op, ERR_INPUT, "task \"%.*s\" was started with other containers",
                       STR_ARG(spec->id));
    }
    t->spec = runtime_spec_copy(&t->arena, &t->secrets, spec);
    t->has_secrets = true;
    runtime_task_wake(t);
    return ERR_OK;
}

static void fail_whole_task(struct runtime_task *t, const char *why)
{
    struct str reason = arena_printf(&t->arena, "ResourceInitializationError: %s", why);
    for (size_t i = 0; i < t->spec->container_count; i++) {
        t->containers[i]->wants_stop = true;
    }
    t->failure = reason;
    runtime_task_wake(t);
}

enum err runtime_start_task(struct runtime *rt, struct op *op, const struct runtime_task_spec *spec)
{
    rt = runtime_route_spec(rt, spec);
    if (!rt->is_ready) {
        return op_fail(op, ERR_AGAIN, "the %s runtime is not ready yet", rt->effects->name);
    }
    TRY(runtime_spec_check(op, spec));
    struct runtime_task *t = map_find(&rt->tasks, spec->id);
    if (t != NULL && t->is_removing) {
        return op_fail(op, ERR_AGAIN, "task \"%.*s\" is being removed", STR_ARG(spec->id));
    }
    if (t != NULL) {
        return go_on(t, op, spec);
    }
    if (rt->tasks.count >= RUNTIME_TASKS_MAX) {
        return op_fail(op, ERR_LIMIT, "%zu tasks, the limit is %d", rt->tasks.count,
                       RUNTIME_TASKS_MAX);
    }
    t = add_task(rt, spec);
    t->has_secrets = true;
    FAULT_POINT("runtime.before_prepare");
    if (rt->effects->prepare(t, op) != ERR_OK) {
        fail_whole_task(t, op->note.text);
        op_note_clear(op);
    }
    FAULT_POINT("runtime.after_prepare");
    runtime_task_wake(t);
    return ERR_OK;
}

static void ask_to_stop(struct runtime_container *c, bool is_kill, bool is_alone)
{
    c->wants_stop = true;
    c->wants_kill = c->wants_kill || is_kill;
    c->stops_out_of_order = c->stops_out_of_order || is_alone;
    runtime_task_wake(c->task);
}

static enum err stop_all(struct runtime *rt, struct op *op, struct str task_id, bool is_kill)
{
    struct runtime_task *t = NULL;
    rt = runtime_route(rt, task_id);
    TRY(find_task(rt, op, task_id, &t));
    for (size_t i = 0; i < t->spec->container_count; i++) {
        ask_to_stop(t->containers[i], is_kill, false);
    }
    return ERR_OK;
}

enum err runtime_stop_task(struct runtime *rt, struct op *op, struct str task_id)
{
    return stop_all(rt, op, task_id, false);
}

enum err runtime_kill_task(struct runtime *rt, struct op *op, struct str task_id)
{
    return stop_all(rt, op, task_id, true);
}

enum err runtime_stop_container(struct runtime *rt, struct op *op, struct str task_id,
                                struct str container)
{
    struct runtime_task *t = NULL;
    rt = runtime_route(rt, task_id);
    TRY(find_task(rt, op, task_id, &t));
    struct runtime_container *c = runtime_container_find(t, container);
    if (c == NULL) {
        return op_fail(op, ERR_NOT_FOUND, "task \"%.*s\" has no container \"%.*s\"",
                       STR_ARG(task_id), STR_ARG(container));
    }
    ask_to_stop(c, false, true);
    return ERR_OK;
}

enum err runtime_forget_task(struct runtime *rt, struct op *op, struct str task_id)
{
    rt = runtime_route(rt, task_id);
    if (!rt->is_ready) {
        return op_fail(op, ERR_AGAIN, "the %s runtime is not ready yet", rt->effects->name);
    }
    struct runtime_task *t = runtime_task_find(rt, task_id);
    if (t == NULL) {
        return ERR_OK;
    }
    if (!runtime_task_is_over(t)) {
        return op_fail(op, ERR_STATE, "task \"%.*s\" is not over", STR_ARG(task_id));
    }
    t->is_removing = true;
    runtime_task_wake(t);
    return ERR_OK;
}

enum err runtime_see_task(struct runtime *rt, struct op *op, struct str task_id,
                          struct runtime_task_sight *ret)
{
    struct runtime_task *t = NULL;
    rt = runtime_route(rt, task_id);
    TRY(find_task(rt, op, task_id, &t));
    runtime_see(t, &op->arena, ret);
    return ERR_OK;
}

enum err runtime_observe(struct runtime *rt, struct op *op, struct runtime_sights *ret)
{
    if (!rt->is_ready) {
        return op_fail(op, ERR_AGAIN, "the %s runtime is not ready yet", rt->effects->name);
    }
    if (rt->is_mixed) {
        return runtime_mixed_observe(rt, op, ret); // NOLINT(misc-no-recursion): one level
    }
    struct runtime_task_sight *items =
        ARENA_ARRAY(&op->arena, struct runtime_task_sight, rt->tasks.count);
    size_t count = 0;
    size_t at = 0;
    struct str id = STR_NONE;
    void *value = NULL;
    while (map_next(&rt->tasks, &at, &id, &value)) {
        const struct runtime_task *t = value;
        if (!t->is_removing) {
            runtime_see(t, &op->arena, &items[count++]);
        }
    }
    *ret = (struct runtime_sights){.items = items, .count = count};
    return ERR_OK;
}

enum err runtime_get_usage(struct runtime *rt, struct op *op, struct str task_id,
                           struct runtime_usage *ret)
{
    struct runtime_task *t = NULL;
    rt = runtime_route(rt, task_id);
    TRY(find_task(rt, op, task_id, &t));
    mono_t now = clock_mono();
    bool is_old =
        !t->has_usage || mono_since(now, t->sampled_at).us >= rt->effects->sample_interval.us;
    if (is_old && !t->is_sampling) {
        t->is_sampling = true;
        t->sampled_at = now;
        rt->effects->sample(t);
    }
    if (!t->has_usage) {
        return op_fail(op, ERR_AGAIN, "no sample of task \"%.*s\" yet", STR_ARG(task_id));
    }
    *ret = t->usage;
    return ERR_OK;
}
