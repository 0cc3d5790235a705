/* Connections to targets: opened, pooled, closed. A pool belongs to one worker; the connection used
 * last is used next, so that a small load keeps few of them warm. */

#include "base/check.h"
#include "base/mem.h"
#include "lb/control.h"
#include "lb/flow.h"
#include "lb/tls_site.h"
#include "lb/tls_target.h"
#include "lb/tunnel.h"
#include "net/socket.h"

#include <errno.h>
#include <linux/tcp.h>
#include <unistd.h>

/* Idle closes younger than this say that the target ends, not how long it waits. */
#define LEARN_AFTER DUR_MS(500)

static void on_upstream(struct ev_fd *fd, unsigned ready);
static void on_timer(struct ev_timer *t);

/* ---- pools ----------------------------------------------------------------------------------- */

struct lb_pool *lb_pool_of(struct lb_worker *w, struct lb_peer *peer)
{
    struct lb_pool *pool = w->pools[peer->index];
    CHECK(pool != NULL);
    CHECK(pool->serial == peer->serial);
    return pool;
}

static void close_idle(struct lb_pool *pool)
{
    LIST_FOR (u, &pool->idle, struct lb_upstream, node) {
        lb_upstream_close(u);
    }
}

static bool is_busy(const struct lb_pool *pool)
{
    return !list_is_empty(&pool->busy) || pool->flow_count > 0;
}

static void adopt_peer(struct lb_worker *w, const struct lb_group *g, const struct lb_target *t)
{
    struct lb_pool *pool = w->pools[t->peer->index];
    if (pool == NULL) {
        pool = MEM_NEW(struct lb_pool);
        list_init(&pool->idle);
        list_init(&pool->busy);
        list_init(&pool->flows);
        list_init(&pool->udp_flows);
        list_init(&pool->links);
        w->pools[t->peer->index] = pool;
    }
    if (pool->serial != t->peer->serial) {
        /* the index had another owner, which no configuration names any more */
        CHECK(list_is_empty(&pool->idle) && !is_busy(pool));
        lb_links_close(pool);
        CHECK(list_is_empty(&pool->links));
        pool->serial = t->peer->serial;
        pool->avoid_until = (mono_t){0};
        pool->learned_idle = DUR_US(0);
        pool->closes_early_until = (mono_t){0};
        pool->last_idle = DUR_US(0);
        lb_tls_session_drop(&pool->session);
    }
    pool->peer = t->peer; /* also when it was gone for a version or two */
    pool->version = w->conf->version;
    pool->is_draining = t->is_draining;
    pool->cuts_after_drain = g->cuts_after_drain;
    pool->cuts_unhealthy = g->cuts_unhealthy;
    pool->is_tls = g->is_tls;
    pool->closes_tunnels = t->is_draining && g->closes_websockets;
}

static void close_tunnels(struct lb_pool *pool)
{
    LIST_FOR (ex, &pool->busy, struct lb_exchange, node) {
        if (ex->is_tunnel) {
            lb_tunnel_drain(ex);
        }
    }
}

/* The target is gone though it had not finished: control, which has a clock of its own, found that
 * its delay is over. One that goes before that finishes what it has. */
static void end_drain(const struct lb_worker *w, struct lb_pool *pool)
{
    mono_t soon = mono_add(ev_now(&w->loop), LB_DRAIN_CLOCKS_APART);
    if (pool->peer == NULL || atomic_load(&pool->peer->drain_until_us) > soon.us) {
        return;
    }
    LIST_FOR (ex, &pool->busy, struct lb_exchange, node) {
        lb_exchange_expire(ex);
    }
}

void lb_pools_adopt(struct lb_worker *w)
{
    for (size_t i = 0; i < w->conf->group_count; i++) {
        const struct lb_group *g = &w->conf->groups[i];
        for (size_t j = 0; j < g->target_count; j++) {
            adopt_peer(w, g, &g->targets[j]);
        }
    }
    for (uint32_t i = 0; i < w->pool_count; i++) {
        struct lb_pool *pool = w->pools[i];
        if (pool == NULL) {
            continue;
        }
        bool is_gone = pool->version != w->conf->version;
        if (is_gone || pool->is_draining) {
            close_idle(pool);
            lb_links_close(pool);
        }
        if (is_gone && pool->is_draining) {
            end_drain(w, pool);
        } else if (pool->closes_tunnels) {
            close_tunnels(pool);
        }
        lb_flow_check(w, pool);
        if (is_gone && !is_busy(pool)) {
            pool->peer = NULL; /* it may be freed from now on */
        }
    }
}

void lb_pools_close(struct lb_worker *w)
{
    for (uint32_t i = 0; i < w->pool_count; i++) {
        if (w->pools[i] != NULL) {
            close_idle(w->pools[i]);
            lb_links_close(w->pools[i]);
        }
    }
}

/* ---- idle connections ------------------------------------------------------------------------ */

/* How long a connection may have been idle and still be used: 0.8 of what the target is known to
 * wait, since its close may be on the way. */
static dur_t usable_for(const struct lb_upstream *u)
{
    dur_t most = u->idle_max;
    if (u->pool->learned_idle.us > 0 && u->pool->learned_idle.us < most.us) {
        most = u->pool->learned_idle;
    }
    return DUR_US(most.us / 5 * 4);
}

/* Two closes after about the same time are a rule of the target. One that closes right after its
 * answer, without a word, may close under the next request: for a while it gets those that must not
 * be sent twice over new connections. */
static void learn(struct lb_pool *pool, dur_t idle, mono_t now)
{
    if (idle.us < LEARN_AFTER.us) {
        pool->closes_early_until = mono_add(now, LB_EARLY_CLOSE_MEMORY);
        return;
    }
    int64_t off = idle.us - pool->last_idle.us;
    if (off < 0) {
        off = -off;
    }
    if (off < idle.us / 8) {
        pool->learned_idle = idle.us < pool->last_idle.us ? idle : pool->last_idle;
    }
    pool->last_idle = idle;
}

static struct lb_upstream *take_idle(struct lb_worker *w, struct lb_pool *pool)
{
    if (list_is_empty(&pool->idle)) {
        return NULL;
    }
    struct lb_upstream *u = CONTAINER_OF(pool->idle.next, struct lb_upstream, node);
    if (mono_since(ev_now(&w->loop), u->idle_since).us > usable_for(u).us) {
        close_idle(pool); /* the others are older still */
        return NULL;
    }
    list_remove(&u->node);
    pool->idle_count--;
    u->is_reused = true;
    return u;
}

void lb_upstream_release(struct lb_upstream *u, bool may_stay)
{
    struct lb_pool *pool = u->pool;
    u->exchange = NULL;
    if (u->link != NULL) {
        lb_upstream_close(u);
        return;
    }
    bool is_wanted = pool->version == u->worker->conf->version && !pool->is_draining &&
                     pool->idle_count < LB_IDLE_UPSTREAMS_MAX && !u->worker->is_stopping;
    bool is_usable = u->tls == NULL || lb_tls_is_quiet(u->tls);
    if (!may_stay || !is_wanted || !is_usable || u->is_dead) {
        lb_upstream_close(u);
        return;
    }
    u->idle_since = ev_now(&u->worker->loop);
    list_add_head(&pool->idle, &u->node);
    pool->idle_count++;
    ev_timer_set(&u->worker->loop, &u->timer, usable_for(u), on_timer);
    lb_upstream_arm(u);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct lb_upstream *lb_upstream_take(struct lb_worker *w)
{
    if (list_is_empty(&w->free_upstreams)) {
        return MEM_NEW(struct lb_upstream);
    }
    struct lb_upstream *u = CONTAINER_OF(w->free_upstreams.next, struct lb_upstream, node);
    list_remove(&u->node);
    memset(u, 0, sizeof(*u));
    return u;
}

static void close_tls(struct lb_upstream *u)
{
    if (u->tls != NULL && ev_fd_is_open(&u->fd)) {
        lb_tls_close(u->tls);
    }
    lb_tls_free(u->tls);
    u->tls = NULL;
}

void lb_upstream_close(struct lb_upstream *u)
{
    if (u->is_dead) {
        return;
    }
    struct lb_worker *w = u->worker;
    if (u->link != NULL) {
        lb_link_close_stream(u);
    }
    if (u->exchange == NULL && u->node.next != NULL && !list_is_empty(&u->node)) {
        list_remove(&u->node);
        u->pool->idle_count--;
    }
    u->is_dead = true;
    close_tls(u);
    ev_fd_close(&u->fd);
    if (u->parked_fd >= 0) {
        (void)close(u->parked_fd);
        u->parked_fd = -1;
    }
    ev_timer_stop(&u->timer);
    lb_count_drop(w, u->slot, LBSTATS_ACTIVE_CONNECTIONS);
    list_add_tail(&w->dead_upstreams, &u->node);
    lb_worker_sweep_later(w);
}

/* Within one machine there is no path to probe: the plainest congestion control costs least. BBR,
 * which many hosts have as their default, keeps a model and a pacing timer for each connection. */
void lb_tune_socket(int fd, const struct net_addr *addr)
{
    static const char plain[] = "reno";
    if (net_addr_is_loopback(addr) && !net_addr_is_unix(addr)) {
        /* not vital; a kernel without it keeps its default */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, plain, sizeof(plain) - 1);
    }
}

struct lb_upstream *lb_upstream_dial(struct lb_worker *w, struct lb_pool *pool, uint32_t slot)
{
    int fd = -1;
    if (net_dial_errno(&pool->peer->addr, &fd) != 0) {
        return NULL;
    }
    lb_tune_socket(fd, &pool->peer->addr);
    struct lb_upstream *u = lb_upstream_take(w);
    if (ev_fd_open_ranked(&w->loop, &u->fd, fd, EV_READ | EV_WRITE | EV_PEER_CLOSED, EV_RANK_FIRST,
                          on_upstream) != ERR_OK) {
        (void)close(fd);
        list_add_head(&w->free_upstreams, &u->node);
        return NULL;
    }
    u->worker = w;
    u->parked_fd = -1;
    u->pool = pool;
    u->slot = slot;
    u->is_connecting = true;
    struct lbstats_block *b = lb_count_block(w, slot);
    if (b != NULL) {
        lbstats_begin(b);
        lbstats_add(b, LBSTATS_NEW_CONNECTIONS, 1);
        lbstats_add(b, LBSTATS_ACTIVE_CONNECTIONS, 1);
        lbstats_end(b);
    }
    return u;
}

static bool may_reuse(const struct lb_exchange *ex, mono_t now)
{
    return ex->is_idempotent || now.us >= ex->pool->closes_early_until.us;
}

bool lb_upstream_open(struct lb_exchange *ex, bool is_fresh)
{
    if (ex->group->version != LB_HTTP1) {
        return lb_link_open(ex, is_fresh);
    }
    struct lb_worker *w = ex->client->worker;
    bool is_new = is_fresh || !may_reuse(ex, ev_now(&w->loop));
    struct lb_upstream *u = is_new ? NULL : take_idle(w, ex->pool);
    if (u == NULL) {
        u = lb_upstream_dial(w, ex->pool, ex->client->slot);
        if (u == NULL) {
            return false;
        }
        lb_upstream_wait(u, LB_CONNECT_TIMEOUT);
    }
    u->idle_max = ex->listener->idle_timeout;
    u->exchange = ex;
    ex->upstream = u;
    ex->upstream_sent_before = lb_upstream_sent(u);
    return true;
}

uint64_t lb_upstream_sent(const struct lb_upstream *u)
{
    return u->tls == NULL ? u->sent_bytes : u->tls->sent_bytes;
}

uint64_t lb_upstream_acked_bytes(const struct lb_upstream *u)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    memset(&info, 0, sizeof(info));
    bool is_known = getsockopt(u->fd.fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
                    len >= offsetof(struct tcp_info, tcpi_bytes_received);
    if (!is_known) {
        return UINT64_MAX;
    }
    return info.tcpi_bytes_acked > 0 ? info.tcpi_bytes_acked - 1 : 0; /* the SYN counts as one */
}

bool lb_upstream_got_nothing(const struct lb_upstream *u, uint64_t sent_before)
{
    if (u->link != NULL) {
        return u->is_refused || u->stream_id == 0;
    }
    /* What the other kernel has not acknowledged, its process has not read. */
    return lb_upstream_sent(u) == sent_before || lb_upstream_acked_bytes(u) <= sent_before;
}

static void fail(struct lb_upstream *u, enum lb_failure why)
{
    struct lb_exchange *ex = u->exchange;
    ex->upstream = NULL;
    u->exchange = NULL;
    u->node = (struct list){0};
    lb_upstream_close(u);
    lb_exchange_failed(ex, why);
}

static bool is_client_behind(const struct lb_upstream *u)
{
    return u->exchange != NULL && lb_client_is_behind(u->exchange->client);
}

/* A broken connection is reported for ever, but what it brought before must wait. */
static void park(struct lb_upstream *u)
{
    u->parked_fd = ev_fd_release(&u->fd);
}

static void unpark(struct lb_upstream *u)
{
    int fd = u->parked_fd;
    u->parked_fd = -1;
    if (ev_fd_open_ranked(&u->worker->loop, &u->fd, fd, EV_READ | EV_PEER_CLOSED, EV_RANK_FIRST,
                          on_upstream) != ERR_OK) {
        (void)close(fd);
        fail(u, LB_FAIL_CLOSED);
    }
}

void lb_upstream_arm(struct lb_upstream *u)
{
    if (u->is_dead) {
        return;
    }
    if (u->link != NULL) {
        lb_link_arm(u);
        return;
    }
    if (u->parked_fd >= 0) {
        if (!is_client_behind(u)) {
            unpark(u);
        }
        return;
    }
    const struct lb_exchange *ex = u->exchange;
    unsigned wanted = EV_READ | EV_PEER_CLOSED;
    if (is_client_behind(u)) {
        wanted = 0; /* the client is slow: its window becomes the target's */
    }
    if ((u->is_connecting && u->tls == NULL) || (ex != NULL && lb_block_waiting(ex->out) > 0)) {
        wanted |= EV_WRITE;
    }
    if (u->tls != NULL) {
        wanted = lb_tls_wants(u->tls, wanted);
    }
    ev_fd_want(&u->fd, wanted);
}

void lb_upstream_wait(struct lb_upstream *u, dur_t at_most)
{
    ev_timer_set(&u->worker->loop, &u->timer, at_most, on_timer);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void start_tls(struct lb_upstream *u)
{
    struct lb_worker *w = u->worker;
    u->tls = lb_tls_dial(w->lb->registry.tls->targets, &w->tls_room, &u->fd, STR_NONE,
                         &u->pool->session);
    lb_upstream_wait(u, LB_TLS_HANDSHAKE_TIMEOUT);
}

static void shake(struct lb_upstream *u)
{
    struct lb_exchange *ex = u->exchange;
    enum lb_tls_step step = lb_tls_handshake(u->tls);
    if (step == LB_TLS_FAILED) {
        fail(u, LB_FAIL_TLS);
    } else if (step == LB_TLS_MORE) {
        lb_upstream_arm(u);
    } else {
        u->is_connecting = false;
        ex->upstream_sent_before = lb_upstream_sent(u);
        lb_exchange_send(ex);
    }
}

static void on_connected(struct lb_upstream *u)
{
    if (u->tls == NULL && net_dial_result(u->fd.fd) != 0) {
        fail(u, LB_FAIL_REFUSED);
        return;
    }
    if (u->pool->is_tls) {
        if (u->tls == NULL) {
            start_tls(u);
        }
        shake(u);
        return;
    }
    u->is_connecting = false;
    lb_exchange_send(u->exchange);
}

/* Tickets and new keys of TLS come when they come; anything else is an end. */
static bool is_only_talk(struct lb_upstream *u)
{
    return u->tls != NULL && lb_tls_read(u->tls, lb_read_at(u->worker), LB_READ_BYTES_MAX) < 0 &&
           errno == EAGAIN;
}

static void on_idle_event(struct lb_upstream *u)
{
    if (is_only_talk(u)) {
        lb_upstream_arm(u);
        return;
    }
    /* It closes, or it says something that nobody asked for. */
    mono_t now = ev_now(&u->worker->loop);
    learn(u->pool, mono_since(now, u->idle_since), now);
    lb_upstream_close(u);
}

static void on_upstream(struct ev_fd *fd, unsigned ready)
{
    struct lb_upstream *u = CONTAINER_OF(fd, struct lb_upstream, fd);
    struct lb_exchange *ex = u->exchange;
    if (ex == NULL) {
        u->carries != NULL ? lb_link_event(u->carries, ready) : on_idle_event(u);
        return;
    }
    if (u->is_connecting) {
        on_connected(u);
        return;
    }
    if (u->tls != NULL && (ready & EV_WRITE) != 0) {
        /* a failure shows when the exchange writes or reads */
        (void)lb_tls_flush(u->tls);
        ready &= lb_block_waiting(ex->out) > 0 ? ~0u : ~(unsigned)EV_WRITE;
    }
    if ((ready & EV_BROKEN) != 0 && is_client_behind(u)) {
        park(u);
        return;
    }
    if ((ready & (EV_READ | EV_BROKEN)) != 0) {
        if (ex->is_tunnel) {
            lb_tunnel_from_target(ex);
        } else {
            lb_response_read(ex);
        }
    }
    if ((ready & EV_WRITE) != 0 && !u->is_dead && u->exchange == ex) {
        lb_exchange_send(ex);
    }
    if (!u->is_dead && u->exchange == ex) {
        lb_upstream_arm(u);
    }
}

static void on_timer(struct ev_timer *t)
{
    struct lb_upstream *u = CONTAINER_OF(t, struct lb_upstream, timer);
    struct lb_exchange *ex = u->exchange;
    if (ex == NULL) {
        u->carries != NULL ? lb_link_timeout(u->carries) : lb_upstream_close(u);
    } else if (u->is_connecting) {
        fail(u, u->tls == NULL ? LB_FAIL_CONNECT_TIMEOUT : LB_FAIL_TLS_TIMEOUT);
    } else if (ex->is_tunnel || lb_block_waiting(ex->client->back) > 0 || !ex->request.is_done) {
        lb_upstream_wait(u, ex->listener->idle_timeout); /* the client's time counts */
    } else {
        fail(u, LB_FAIL_TIMEOUT);
    }
}
