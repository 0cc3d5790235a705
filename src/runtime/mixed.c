#include "runtime/mixed.h"

#include "base/check.h"
#include "base/mem.h"
#include "runtime/machine_private.h"

enum { MEMBER_PROCESS, MEMBER_DOCKER, MEMBER_COUNT };

struct mixed {
    struct runtime rt; /* has no task of its own */
    struct runtime *members[MEMBER_COUNT];
    bool is_ready[MEMBER_COUNT];
};

static struct mixed *mixed_of(struct runtime *rt)
{
    return CONTAINER_OF(rt, struct mixed, rt);
}

/* ---- readiness ------------------------------------------------------------------------------- */

bool runtime_mixed_may_begin(struct runtime *member)
{
    struct mixed *m = mixed_of(member->mixed);
    bool is_all = true;
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        m->is_ready[i] = m->is_ready[i] || m->members[i] == member;
        is_all = is_all && m->is_ready[i];
    }
    if (!is_all) {
        return false;
    }
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        m->members[i]->mixed = NULL; /* the gate is open */
    }
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        runtime_set_ready(m->members[i]);
    }
    m->rt.is_ready = true;
    m->rt.sink.on_ready(m->rt.sink.self);
    return false; /* it has begun already */
}

static void on_member_event(void *self, const struct runtime_event *event)
{
    const struct mixed *m = self;
    m->rt.sink.on_event(m->rt.sink.self, event);
}

static void on_member_ready(void *self)
{
    (void)self; /* told by runtime_mixed_may_begin(), once for both */
}

/* ---- routes ---------------------------------------------------------------------------------- */

static bool is_for_processes(const struct runtime_task_spec *spec)
{
    for (size_t i = 0; i < spec->container_count; i++) {
        if (!str_starts_with(spec->containers[i].image, STR("dir://"))) {
            return false;
        }
    }
    return true;
}

static struct runtime *member_with(struct mixed *m, struct str task_id)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        if (map_find(&m->members[i]->tasks, task_id) != NULL) {
            return m->members[i];
        }
    }
    return NULL;
}

struct runtime *runtime_route(struct runtime *rt, struct str task_id)
{
    if (!rt->is_mixed || !rt->is_ready) {
        return rt;
    }
    struct mixed *m = mixed_of(rt);
    struct runtime *member = member_with(m, task_id);
    return member == NULL ? m->members[MEMBER_PROCESS] : member;
}

struct runtime *runtime_route_spec(struct runtime *rt, const struct runtime_task_spec *spec)
{
    if (!rt->is_mixed || !rt->is_ready) {
        return rt;
    }
    struct mixed *m = mixed_of(rt);
    struct runtime *member = member_with(m, spec->id);
    if (member != NULL) {
        return member;
    }
    return m->members[is_for_processes(spec) ? MEMBER_PROCESS : MEMBER_DOCKER];
}

enum err runtime_mixed_observe(struct runtime *rt, struct op *op, struct runtime_sights *ret)
{
    struct mixed *m = mixed_of(rt);
    struct runtime_sights seen[MEMBER_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        TRY(runtime_observe(m->members[i], op, &seen[i])); // NOLINT(misc-no-recursion): one level
        count += seen[i].count;
    }
    struct runtime_task_sight *items = ARENA_ARRAY(&op->arena, struct runtime_task_sight, count);
    size_t at = 0;
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        for (size_t k = 0; k < seen[i].count; k++) {
            items[at++] = seen[i].items[k];
        }
    }
    *ret = (struct runtime_sights){.items = items, .count = count};
    return ERR_OK;
}

/* ---- birth and death ------------------------------------------------------------------------- */

static void close_mixed(struct runtime *rt)
{
    struct mixed *m = mixed_of(rt);
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        runtime_close(m->members[i]); // NOLINT(misc-no-recursion): one level
    }
    mem_free(m);
}

static const struct runtime_effects effects = {.name = "mixed", .close = close_mixed};

enum err runtime_mixed_open(struct op *op, struct ev_loop *loop,
                            const struct runtime_process_config *process,
                            const struct runtime_docker_config *docker,
                            const struct runtime_sink *sink, struct runtime **ret)
{
    struct mixed *m = MEM_NEW(struct mixed);
    runtime_init(&m->rt, &effects, loop, sink);
    m->rt.is_mixed = true;
    struct runtime_sink own = {.self = m, .on_event = on_member_event, .on_ready = on_member_ready};
    enum err e = runtime_process_open(op, loop, process, &own, &m->members[MEMBER_PROCESS]);
    if (e == ERR_OK) {
        e = runtime_docker_open(op, loop, docker, &own, &m->members[MEMBER_DOCKER]);
    }
    if (e != ERR_OK) {
        runtime_close(&m->rt);
        return e;
    }
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        m->members[i]->mixed = &m->rt;
    }
    *ret = &m->rt;
    return ERR_OK;
}
