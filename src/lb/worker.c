#include "lb/worker.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "lb/affinity.h"
#include "lb/control.h"
#include "lb/flow.h"
#include "lb/h2.h"
#include "lb/logs.h"
#include "lb/tls_target.h"
#include "regex/regex.h"

#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>

/* ---- sweeping -------------------------------------------------------------------------------- */

static void sweep(struct ev_defer *d)
{
    struct lb_worker *w = CONTAINER_OF(d, struct lb_worker, sweep);
    LIST_FOR (ex, &w->dead_exchanges, struct lb_exchange, node) {
        list_remove(&ex->node);
        list_add_head(&w->free_exchanges, &ex->node);
    }
    LIST_FOR (u, &w->dead_upstreams, struct lb_upstream, node) {
        list_remove(&u->node);
        list_add_head(&w->free_upstreams, &u->node);
    }
    lb_h2_sweep(w->h2);
    LIST_FOR (c, &w->dead_clients, struct lb_client, node) {
        list_remove(&c->node);
        list_add_head(&w->free_clients, &c->node);
    }
    lb_flows_sweep(w);
    lb_udp_sweep(w);
}

void lb_worker_sweep_later(struct lb_worker *w)
{
    ev_defer(&w->loop, &w->sweep, sweep);
}

/* ---- small services -------------------------------------------------------------------------- */

/* xorshift64*: unique, not secret; seeded from the kernel. */
uint64_t lb_worker_random(struct lb_worker *w)
{
    uint64_t x = w->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    w->random = x;
    return x * 2685821657736338717u;
}

static void write_date(int64_t at_s, char text[32])
{
    static const char days[] = "ThuFriSatSunMonTueWed";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct arena scratch;
    arena_init(&scratch);
    struct str iso = wall_iso8601(&scratch, (wall_t){.us = at_s * 1000000});
    const char *d = days + at_s / 86400 % 7 * 3;
    const char *m = months + ((iso.ptr[5] - '0') * 10 + (iso.ptr[6] - '0') - 1) * 3;
    (void)snprintf(text, 32, "%.3s, %.2s %.3s %.4s %.8s GMT", d, iso.ptr + 8, m, iso.ptr,
                   iso.ptr + 11);
    arena_fini(&scratch);
}

struct str lb_worker_date(struct lb_worker *w)
{
    int64_t now_s = clock_wall().us / 1000000;
    if (now_s != w->date_s) {
        w->date_s = now_s;
        write_date(now_s, w->date_text);
    }
    return str_of(w->date_text);
}

struct str lb_worker_expires(struct lb_worker *w, int64_t now_ms)
{
    int64_t now_s = now_ms / 1000;
    if (now_s != w->expires_s) {
        w->expires_s = now_s;
        write_date(now_s + LB_STICKY_SECONDS_MAX, w->expires_text);
    }
    return str_of(w->expires_text);
}

/* ---- configurations -------------------------------------------------------------------------- */

static void *grown(void *array, uint32_t *count, uint32_t want, size_t size)
{
    if (want <= *count) {
        return array;
    }
    array = mem_resize(array, (size_t)want * size);
    memset((char *)array + (size_t)*count * size, 0, (size_t)(want - *count) * size);
    *count = want;
    return array;
}

static void adopt(struct lb_worker *w, struct lb_conf *conf)
{
    w->pools = grown(w->pools, &w->pool_count, conf->peers_end, sizeof(struct lb_pool *));
    w->rotations =
        grown(w->rotations, &w->rotation_count, conf->groups_end, sizeof(struct lb_rotation));
    w->splits = grown(w->splits, &w->split_count, conf->rules_end, sizeof(struct lb_split));
    w->listenings = grown(w->listenings, &w->listening_count, conf->listeners_end,
                          sizeof(struct lb_listening *));
    w->conf = conf;
    lb_cookies_set_key(&w->cookies, &conf->cookie_key);
    lb_pools_adopt(w);
    lb_listenings_adopt(w);
    lb_gates_adopt(w);
    lb_udp_adopt(w);
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void close_clients(struct lb_worker *w, bool is_grace_over, bool all)
{
    LIST_FOR (c, &w->clients, struct lb_client, node) {
        if (c->h2 != NULL && !all) {
            lb_h2_drain(c, is_grace_over);
            continue;
        }
        bool is_idle = c->exchange == NULL && c->ahead == NULL && c->state == LB_CLIENT_OPEN;
        if (!all && !(is_idle && is_grace_over)) {
            continue;
        }
        if (c->exchange != NULL) {
            lb_exchange_abort(c->exchange, 0);
        }
        if (is_idle) {
            lb_client_say_goodbye(c);
        }
        lb_client_close(c);
    }
}

static void on_stop_tick(struct ev_timer *t)
{
    struct lb_worker *w = CONTAINER_OF(t, struct lb_worker, stop_timer);
    bool is_late = atomic_load(&w->lb->must_cut);
    bool is_grace_over = mono_since(ev_now(&w->loop), w->stop_began).us >= LB_STOP_IDLE_GRACE.us;
    close_clients(w, is_grace_over, is_late);
    if (is_late) {
        lb_flows_close(w);
    }
    if (w->client_count > 0 || w->flow_count > 0) {
        ev_timer_set(&w->loop, &w->stop_timer, DUR_MS(20), on_stop_tick);
        return;
    }
    lb_pools_close(w);
    ev_loop_stop(&w->loop);
}

static void on_wake(struct ev_wake *wake)
{
    struct lb_worker *w = CONTAINER_OF(wake, struct lb_worker, wake);
    struct lb_conf *newest = atomic_load_explicit(&w->lb->conf, memory_order_acquire);
    if (newest != w->conf && newest != NULL) {
        mono_t began = clock_mono();
        adopt(w, newest);
        atomic_store_explicit(&w->adopt_us, (uint64_t)mono_since(clock_mono(), began).us,
                              memory_order_relaxed);
        atomic_store_explicit(&w->seen_version, newest->version, memory_order_release);
        ev_wake_up(&w->lb->wake);
    } else if (newest != NULL) {
        lb_listenings_adopt(w); /* a socket may have come */
        lb_udp_adopt(w);
    }
    lb_sign_ins_hear(w);
    for (uint32_t i = 0; i < w->pool_count; i++) {
        struct lb_pool *pool = w->pools[i];
        if (pool == NULL || pool->peer == NULL) {
            continue;
        }
        lb_flow_check(w, pool);
        if (pool->peer == NULL || !atomic_load(&pool->peer->is_expired)) {
            continue;
        }
        LIST_FOR (ex, &pool->busy, struct lb_exchange, node) {
            lb_exchange_expire(ex);
        }
    }
    if (atomic_load(&w->lb->is_stopping) && !w->is_stopping) {
        w->is_stopping = true;
        w->stop_began = ev_now(&w->loop);
        lb_listenings_close(w);
        lb_udp_close(w);
        ev_timer_set(&w->loop, &w->stop_timer, DUR_MS(0), on_stop_tick);
    }
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void *run(void *arg)
{
    struct lb_worker *w = arg;
    char name[16];
    (void)snprintf(name, sizeof(name), "lb-worker-%u", (unsigned)(w->id % 1000));
    (void)prctl(PR_SET_NAME, name);
    ev_loop_run(&w->loop);
    atomic_store(&w->is_stopped, true);
    ev_wake_up(&w->lb->wake);
    return NULL;
}

static enum err start_thread(struct op *op, struct lb_worker *w)
{
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0);
    if (w->lb->options.is_pinned) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET(w->id, &cpus);
        CHECK(pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus) == 0);
    }
    /* signals are the owner's business */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int code = pthread_create(&w->thread, &attributes, run, w);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    CHECK(pthread_attr_destroy(&attributes) == 0);
    return code == 0 ? ERR_OK
                     : op_fail(op, ERR_NO_SPACE, "could not start a worker of the data plane");
}

static void free_worker(struct lb_worker *w)
{
    LIST_FOR (ex, &w->free_exchanges, struct lb_exchange, node) {
        mem_free(ex);
    }
    LIST_FOR (u, &w->free_upstreams, struct lb_upstream, node) {
        mem_free(u);
    }
    LIST_FOR (c, &w->free_clients, struct lb_client, node) {
        mem_free(c);
    }
    lb_affinities_free(w);
    for (uint32_t i = 0; i < w->pool_count; i++) {
        if (w->pools[i] != NULL) {
            lb_tls_session_drop(&w->pools[i]->session);
        }
        mem_free(w->pools[i]);
    }
    lb_cookies_fini(&w->cookies);
    lb_mailbox_fini(&w->signed_in);
    arena_fini(&w->login_arena);
    lb_identities_free(w);
    for (uint32_t i = 0; i < w->listening_count; i++) {
        mem_free(w->listenings[i]);
    }
    lb_flows_free(w);
    lb_udp_free(w);
    mem_free(w->pools);
    mem_free(w->rotations);
    mem_free(w->splits);
    mem_free(w->listenings);
    mem_free(w->scratch);
    mem_free(w->head_room);
    if (w->h2 != NULL) {
        lb_h2_shared_free(w->h2);
    }
    mem_free(w->log_pen.line);
    lb_tls_room_fini(&w->tls_room);
    regex_scratch_free(w->regex_scratch);
    lb_blocks_fini(&w->blocks);
    ev_wake_close(&w->wake);
    ev_loop_close(&w->loop);
    lbstats_row_release(w->lb->options.stats, w->row);
}

static void init_lists(struct lb_worker *w)
{
    list_init(&w->clients);
    list_init(&w->held);
    list_init(&w->flows);
    list_init(&w->dead_flows);
    list_init(&w->free_flows);
    list_init(&w->udp_sockets);
    list_init(&w->dead_udp_flows);
    list_init(&w->free_udp_flows);
    list_init(&w->dead_clients);
    list_init(&w->dead_upstreams);
    list_init(&w->dead_exchanges);
    list_init(&w->free_clients);
    list_init(&w->free_upstreams);
    list_init(&w->free_exchanges);
    list_init(&w->free_affinities);
    list_init(&w->affinities);
    list_init(&w->sign_ins);
    lb_mailbox_init(&w->signed_in);
    arena_init(&w->login_arena);
}

enum err lb_worker_start(struct op *op, struct lb *lb, struct lb_worker *w, uint32_t id)
{
    w->lb = lb;
    w->id = id;
    w->date_s = -1;
    w->expires_s = -1;
    w->random = rand_u64() | 1;
    w->log_seed = rand_u64();
    w->log_pen.second = -1;
    if (lb->logs != NULL) {
        w->log_pen.ring = lb_logs_ring(lb->logs, id);
        w->log_pen.line = mem_alloc(LB_LOG_LINE_BYTES_MAX);
    }
    init_lists(w);
    w->row = lbstats_row_claim(lb->options.stats, lb->options.generation);
    if (w->row == LBSTATS_NONE) {
        return op_fail(op, ERR_LIMIT, "there are no counters left for another worker");
    }
    enum err e = ev_loop_open(op, &w->loop);
    if (e != ERR_OK) {
        lbstats_row_release(lb->options.stats, w->row);
        return e;
    }
    e = ev_wake_open(op, &w->loop, &w->wake, on_wake);
    if (e == ERR_OK) {
        w->scratch = mem_alloc(LB_SCRATCH_BYTES);
        w->head_room = mem_alloc(LB_SCRATCH_BYTES);
        w->h2 = lb_h2_shared_make();
        lb_tls_room_init(&w->tls_room, &w->blocks);
        w->regex_scratch = regex_scratch_new();
        e = start_thread(op, w);
    }
    if (e != ERR_OK) {
        free_worker(w);
    }
    return e;
}

void lb_worker_join(struct lb_worker *w)
{
    CHECK(pthread_join(w->thread, NULL) == 0);
    CHECK(w->client_count == 0);
    sweep(&w->sweep);
    free_worker(w);
}
