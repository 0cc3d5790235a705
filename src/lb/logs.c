#include "lb/logs.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "ev/loop.h"
#include "lb/limits.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

struct sink {
    struct str key;
    struct lb_log_out *out;
};

struct lb_logs {
    struct ev_loop loop; /* of the drain's thread */
    struct ev_wake wake;
    struct ev_timer timer;
    pthread_t thread;
    struct str folder;
    size_t worker_count;
    struct lb_log_ring *rings;
    atomic_uint sink_count; /* those below are made and do not change */
    struct sink sinks[LB_LOG_SINKS_MAX];
    mono_t flushed_at;
    atomic_bool is_stopping;
    char *line; /* LB_LOG_LINE_BYTES_MAX, of the drain */
};

/* In front of each line; the whole takes a multiple of its size. */
struct mark {
    uint32_t sink;
    uint32_t bytes;
};

/* ---- a ring ---------------------------------------------------------------------------------- */

static size_t room_of(size_t line_bytes)
{
    return (sizeof(struct mark) + line_bytes + sizeof(struct mark) - 1) &
           ~(sizeof(struct mark) - 1);
}

static void copy_in(struct lb_log_ring *r, size_t at, const void *from, size_t count)
{
    size_t offset = at % LB_LOG_RING_BYTES;
    size_t first = LB_LOG_RING_BYTES - offset < count ? LB_LOG_RING_BYTES - offset : count;
    memcpy(r->bytes + offset, from, first);
    memcpy(r->bytes, (const char *)from + first, count - first);
}

static void copy_out(const struct lb_log_ring *r, size_t at, void *to, size_t count)
{
    size_t offset = at % LB_LOG_RING_BYTES;
    size_t first = LB_LOG_RING_BYTES - offset < count ? LB_LOG_RING_BYTES - offset : count;
    memcpy(to, r->bytes + offset, first);
    memcpy((char *)to + first, r->bytes, count - first);
}

bool lb_log_push(struct lb_log_ring *r, uint32_t sink, struct str line)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    size_t need = room_of(line.len);
    if (head + need - r->tail_seen > LB_LOG_RING_BYTES / 2) {
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
        if (head + need - r->tail_seen <= LB_LOG_RING_BYTES / 2) {
            r->has_called = false;
        } else if (!r->has_called) {
            r->has_called = true;
            ev_wake_up(&r->logs->wake);
        }
    }
    if (line.len > LB_LOG_LINE_BYTES_MAX || head + need - r->tail_seen > LB_LOG_RING_BYTES) {
        return false;
    }
    struct mark mark = {.sink = sink, .bytes = (uint32_t)line.len};
    copy_in(r, head, &mark, sizeof(mark));
    copy_in(r, head + sizeof(mark), line.ptr, line.len);
    atomic_store_explicit(&r->head, head + need, memory_order_release);
    return true;
}

/* ---- the drain's thread ---------------------------------------------------------------------- */

static void drain_ring(struct lb_logs *logs, struct lb_log_ring *r)
{
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    while (tail != atomic_load_explicit(&r->head, memory_order_acquire)) {
        struct mark mark;
        copy_out(r, tail, &mark, sizeof(mark));
        CHECK(mark.bytes <= LB_LOG_LINE_BYTES_MAX);
        CHECK(mark.sink > 0 && mark.sink <= atomic_load(&logs->sink_count));
        copy_out(r, tail + sizeof(mark), logs->line, mark.bytes);
        tail += room_of(mark.bytes);
        atomic_store_explicit(&r->tail, tail, memory_order_release);
        lb_log_out_add(logs->sinks[mark.sink - 1].out, str_make(logs->line, mark.bytes));
    }
}

static void drain(struct lb_logs *logs, bool must_flush)
{
    for (size_t i = 0; i < logs->worker_count; i++) {
        drain_ring(logs, &logs->rings[i]);
    }
    mono_t now = clock_mono();
    if (!must_flush && mono_since(now, logs->flushed_at).us < LB_LOG_FLUSH_EVERY.us) {
        return;
    }
    logs->flushed_at = now;
    unsigned count = atomic_load(&logs->sink_count);
    for (unsigned i = 0; i < count; i++) {
        lb_log_out_flush(logs->sinks[i].out, clock_wall());
    }
}

static void on_timer(struct ev_timer *t)
{
    struct lb_logs *logs = CONTAINER_OF(t, struct lb_logs, timer);
    drain(logs, false);
    ev_timer_set(&logs->loop, &logs->timer, LB_LOG_DRAIN_EVERY, on_timer);
}

static void on_wake(struct ev_wake *w)
{
    struct lb_logs *logs = CONTAINER_OF(w, struct lb_logs, wake);
    bool is_over = atomic_load(&logs->is_stopping);
    drain(logs, is_over);
    if (is_over) {
        ev_timer_stop(&logs->timer);
        ev_loop_stop(&logs->loop);
    } else if (!ev_timer_is_set(&logs->timer) && atomic_load(&logs->sink_count) > 0) {
        ev_timer_set(&logs->loop, &logs->timer, LB_LOG_DRAIN_EVERY, on_timer);
    }
}

static void *run(void *arg)
{
    struct lb_logs *logs = arg;
    (void)prctl(PR_SET_NAME, "lb-logs");
    ev_loop_run(&logs->loop);
    return NULL;
}

static enum err start_thread(struct op *op, struct lb_logs *logs)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int code = pthread_create(&logs->thread, NULL, run, logs);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return code == 0 ? ERR_OK : op_fail(op, ERR_NO_SPACE, "could not start the thread of the logs");
}

/* ---- life ------------------------------------------------------------------------------------ */

static void free_logs(struct lb_logs *logs)
{
    for (unsigned i = 0; i < atomic_load(&logs->sink_count); i++) {
        lb_log_out_free(logs->sinks[i].out);
        mem_free(mem_owned(logs->sinks[i].key.ptr));
    }
    for (size_t i = 0; i < logs->worker_count; i++) {
        mem_free(logs->rings[i].bytes);
    }
    mem_free(logs->rings);
    mem_free(logs->line);
    mem_free(mem_owned(logs->folder.ptr));
    mem_free(logs);
}

enum err lb_logs_open(struct op *op, struct str folder, size_t worker_count,
                      struct lb_logs **ret_logs)
{
    struct lb_logs *logs = MEM_NEW(struct lb_logs);
    logs->folder = str_make(mem_dup(folder.ptr, folder.len), folder.len);
    logs->worker_count = worker_count;
    logs->rings = mem_alloc_array(worker_count, sizeof(*logs->rings));
    logs->line = mem_alloc(LB_LOG_LINE_BYTES_MAX);
    for (size_t i = 0; i < worker_count; i++) {
        logs->rings[i].logs = logs;
        logs->rings[i].bytes = mem_alloc(LB_LOG_RING_BYTES); /* pages come when they are used */
    }
    enum err e = ev_loop_open(op, &logs->loop);
    if (e != ERR_OK) {
        free_logs(logs);
        return e;
    }
    e = ev_wake_open(op, &logs->loop, &logs->wake, on_wake);
    if (e == ERR_OK) {
        e = start_thread(op, logs);
    }
    if (e != ERR_OK) {
        ev_loop_close(&logs->loop);
        free_logs(logs);
        return e;
    }
    *ret_logs = logs;
    return ERR_OK;
}

void lb_logs_close(struct lb_logs *logs)
{
    if (logs == NULL) {
        return;
    }
    atomic_store(&logs->is_stopping, true);
    ev_wake_up(&logs->wake);
    CHECK(pthread_join(logs->thread, NULL) == 0);
    ev_wake_close(&logs->wake);
    ev_loop_close(&logs->loop);
    free_logs(logs);
}

struct lb_log_ring *lb_logs_ring(struct lb_logs *logs, size_t worker)
{
    CHECK(worker < logs->worker_count);
    return &logs->rings[worker];
}

/* ---- sinks ----------------------------------------------------------------------------------- */

bool lb_log_is_safe(struct str name, bool may_have_folders)
{
    struct str rest = name;
    struct str part = STR_NONE;
    while (str_next(&rest, '/', &part)) {
        bool is_whole = part.len == name.len;
        if (part.len == 0 || part.ptr[0] == '.' || (!is_whole && !may_have_folders)) {
            return false;
        }
        for (size_t i = 0; i < part.len; i++) {
            char c = str_lower_char(part.ptr[i]);
            bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
            if (!is_plain && c != '-' && c != '_' && c != '.') {
                return false;
            }
        }
    }
    return name.len > 0;
}

static struct str key_of(struct arena *a, const struct lb_log_plan *p)
{
    return arena_printf(a, "%.*s|%.*s|%.*s|%.*s|%.*s|%.*s|%.*s|%.*s|%.*s", STR_ARG(p->kind),
                        STR_ARG(p->balancer), STR_ARG(p->account), STR_ARG(p->region),
                        STR_ARG(p->address), STR_ARG(p->bucket), STR_ARG(p->prefix),
                        STR_ARG(p->file), STR_ARG(p->socket));
}

uint32_t lb_logs_sink(struct lb_logs *logs, const struct lb_log_plan *plan)
{
    if (logs == NULL || (plan->bucket.len == 0 && plan->file.len == 0 && plan->socket.len == 0)) {
        return 0;
    }
    struct arena scratch;
    arena_init(&scratch);
    struct str key = key_of(&scratch, plan);
    unsigned count = atomic_load(&logs->sink_count);
    unsigned at = 0;
    while (at < count && !str_equal(logs->sinks[at].key, key)) {
        at++;
    }
    if (at == LB_LOG_SINKS_MAX) {
        log_warn("lb", "the logs of %.*s have no place: there are %d others already",
                 STR_ARG(plan->balancer), LB_LOG_SINKS_MAX);
        arena_fini(&scratch);
        return 0;
    }
    if (at == count) {
        logs->sinks[at].key = str_make(mem_dup(key.ptr, key.len), key.len);
        logs->sinks[at].out = lb_log_out_new(logs->folder, plan);
        atomic_store(&logs->sink_count, count + 1);
        ev_wake_up(&logs->wake);
    }
    arena_fini(&scratch);
    return at + 1;
}
