/* TCP flows of a network load balancer: bytes both ways, each direction ends on its own, a reset
 * goes through. What one side does not take is kept in a block, and then the other is not read: its
 * window closes. Source: NLB: idle timeout 350 s, after which both sides are reset; flows to a
 * target go on when it is deregistered unless the group ends them. */

#include "lb/flow.h"

#include "base/check.h"
#include "base/mem.h"
#include "lb/control.h"
#include "lb/rule.h"
#include "lb/tls_site.h"
#include "net/proxy_protocol.h"
#include "net/socket.h"

#include <errno.h>
#include <unistd.h>

struct side {
    struct ev_fd fd;
    struct lb_flow *flow;
    struct lb_tls *tls;   /* NULL: plain */
    struct lb_block *out; /* waits to be sent to this side */
    int parked_fd;        /* hung up while the other side is slow; or -1 */
    bool has_ended;       /* it sends nothing more */
    bool is_told;         /* we have nothing more for it, and said so */
    bool is_shut;         /* and all of that is sent */
};

struct lb_flow {
    struct side client;
    struct side target;
    struct ev_timer timer;
    struct ev_defer again;
    struct list node; /* in the pool's flows, in the worker's list of those without a target, or of
                         the dead */
    struct lb_worker *worker;
    struct lb_pool *pool; /* NULL between two tries */
    struct lb_flow_key key;
    struct net_addr local; /* the listener's */
    struct net_addr peer;
    struct lb_peer *refused[LB_CONNECTS_MAX];
    uint64_t group_serial;
    uint64_t listener_serial;
    uint32_t listener_index;
    uint32_t slot;
    uint32_t group_slot;
    dur_t idle;
    uint8_t connect_count;
    bool is_tls;
    bool is_connecting;
    bool is_dead;
};

static void on_client(struct ev_fd *fd, unsigned ready);
static void on_target(struct ev_fd *fd, unsigned ready);
static void on_idle(struct ev_timer *t);
static void try_target(struct lb_flow *f);

/* ---- counting -------------------------------------------------------------------------------- */

static const struct {
    enum lbstats_counter begun;
    enum lbstats_counter open;
    enum lbstats_counter bytes;
} counters[2] = {{LBSTATS_NEW_FLOWS_TCP, LBSTATS_ACTIVE_FLOWS_TCP, LBSTATS_BYTES_TCP},
                 {LBSTATS_NEW_FLOWS_TLS, LBSTATS_ACTIVE_FLOWS_TLS, LBSTATS_BYTES_TLS}};

static void count_begin(const struct lb_flow *f)
{
    struct lbstats_block *b = lb_count_block(f->worker, f->slot);
    if (b != NULL) {
        lbstats_begin(b);
        lbstats_add(b, counters[f->is_tls].begun, 1);
        lbstats_add(b, counters[f->is_tls].open, 1);
        lbstats_end(b);
    }
}

static void count_end(const struct lb_flow *f)
{
    struct lbstats_block *b = lb_count_block(f->worker, f->slot);
    if (b != NULL) {
        lbstats_begin(b);
        lbstats_drop(b, counters[f->is_tls].open);
        lbstats_end(b);
    }
}

static void count_bytes(const struct lb_flow *f, size_t bytes)
{
    struct lbstats_block *b = lb_count_block(f->worker, f->slot);
    if (b != NULL) {
        lbstats_begin(b);
        lbstats_add(b, LBSTATS_PROCESSED_BYTES, bytes);
        lbstats_add(b, counters[f->is_tls].bytes, bytes);
        lbstats_add(b, LBSTATS_PACKETS, 1);
        lbstats_end(b);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static void leave_target(struct lb_flow *f)
{
    struct lb_pool *pool = f->pool;
    if (pool != NULL) {
        f->pool = NULL;
        list_remove(&f->node);
        list_add_tail(&f->worker->flows, &f->node);
        lb_flow_leave(f->worker, pool, f->group_slot);
    }
}

/* With a reset, so that the other end knows that bytes may be missing. */
static void close_side(struct side *s, bool resets)
{
    static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int fd = s->parked_fd >= 0 ? s->parked_fd : ev_fd_is_open(&s->fd) ? s->fd.fd : -1;
    if (resets && fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
    lb_tls_free(s->tls);
    s->tls = NULL;
    if (s->parked_fd >= 0) {
        (void)close(s->parked_fd);
        s->parked_fd = -1;
    }
    ev_fd_close(&s->fd);
    lb_block_give(&s->flow->worker->blocks, s->out);
    s->out = NULL;
}

static void end_flow(struct lb_flow *f, bool resets)
{
    if (f->is_dead) {
        return;
    }
    struct lb_worker *w = f->worker;
    f->is_dead = true;
    ev_timer_stop(&f->timer);
    ev_defer_cancel(&f->again);
    leave_target(f);
    close_side(&f->client, resets);
    close_side(&f->target, resets);
    count_end(f);
    w->flow_count--;
    list_remove(&f->node);
    list_add_tail(&w->dead_flows, &f->node);
    lb_worker_sweep_later(w);
}

static void reset_by(struct lb_flow *f, enum lbstats_counter whose)
{
    lb_count_one(f->worker, f->slot, whose);
    end_flow(f, true);
}

static void reset_by_side(struct side *s)
{
    struct lb_flow *f = s->flow;
    reset_by(f, s == &f->client ? LBSTATS_CLIENT_RESETS : LBSTATS_TARGET_RESETS);
}

static void on_idle(struct ev_timer *t)
{
    struct lb_flow *f = CONTAINER_OF(t, struct lb_flow, timer);
    if (f->is_connecting) {
        f->is_connecting = false;
        ev_fd_close(&f->target.fd);
        if (f->pool != NULL && f->connect_count < LB_CONNECTS_MAX) {
            f->refused[f->connect_count - 1] = f->pool->peer;
            leave_target(f);
            try_target(f);
            return;
        }
    }
    reset_by(f, LBSTATS_ELB_RESETS);
}

static void wait_idle(struct lb_flow *f)
{
    ev_timer_set(&f->worker->loop, &f->timer, f->idle, on_idle);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static ssize_t read_side(struct side *s, char *at, size_t room)
{
    return s->tls == NULL ? recv(s->fd.fd, at, room, 0) : lb_tls_read(s->tls, at, room);
}

static ssize_t write_side(struct side *s, const char *at, size_t count)
{
    return s->tls == NULL ? send(s->fd.fd, at, count, MSG_NOSIGNAL)
                          : lb_tls_write(s->tls, str_make(at, count));
}

static struct side *other_of(struct side *s)
{
    struct lb_flow *f = s->flow;
    return s == &f->client ? &f->target : &f->client;
}

/* Sends what waits; false when the flow is over. */
static bool flush(struct side *s)
{
    while (lb_block_waiting(s->out) > 0) {
        struct lb_block *b = s->out;
        ssize_t n = write_side(s, b->bytes + b->at, lb_block_waiting(b));
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return true;
        }
        if (n < 0) {
            reset_by_side(s);
            return false;
        }
        b->at += (uint32_t)n;
    }
    lb_block_give(&s->flow->worker->blocks, s->out);
    s->out = NULL;
    return true;
}

/* The other side has ended and has nothing left for this one. */
static void pass_end(struct side *from, struct side *to)
{
    if (from->has_ended && to->out == NULL && !to->is_told) {
        to->is_told = true;
        if (to->tls != NULL) {
            lb_tls_close(to->tls);
        }
    }
    if (to->is_told && !to->is_shut && (to->tls == NULL || to->tls->unsent == NULL)) {
        to->is_shut = true;
        (void)shutdown(to->fd.fd, SHUT_WR);
    }
    if (from->is_shut && to->is_shut) {
        end_flow(from->flow, false);
    }
}

static void relay(struct side *from)
{
    struct lb_flow *f = from->flow;
    struct side *to = other_of(from);
    char *at = f->worker->scratch;
    ssize_t n = read_side(from, at, LB_SCRATCH_BYTES);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            reset_by_side(from);
        }
        return;
    }
    wait_idle(f);
    if (n == 0) {
        from->has_ended = true;
        pass_end(from, to);
        return;
    }
    count_bytes(f, (size_t)n);
    ssize_t sent = write_side(to, at, (size_t)n);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        reset_by_side(to);
        return;
    }
    size_t took = sent < 0 ? 0 : (size_t)sent;
    if (took < (size_t)n) {
        CHECK(lb_block_add(&f->worker->blocks, &to->out, str_make(at + took, (size_t)n - took)));
    }
}

/* Hung up in both directions, but what it brought must wait: the loop would report it for ever. */
static void park(struct side *s)
{
    s->parked_fd = ev_fd_release(&s->fd);
}

static void unpark(struct side *s)
{
    struct lb_flow *f = s->flow;
    int fd = s->parked_fd;
    s->parked_fd = -1;
    if (ev_fd_open(&f->worker->loop, &s->fd, fd, EV_READ,
                   s == &f->client ? on_client : on_target) != ERR_OK) {
        (void)close(fd);
        reset_by(f, LBSTATS_ELB_RESETS);
    }
}

static void arm(struct side *s)
{
    struct lb_flow *f = s->flow;
    if (f->is_dead) {
        return;
    }
    bool may_read =
        !s->has_ended && !f->is_connecting && f->pool != NULL && other_of(s)->out == NULL;
    if (s->parked_fd >= 0) {
        if (may_read) {
            unpark(s);
        }
        return;
    }
    if (ev_fd_is_open(&s->fd)) {
        bool must_write = s->out != NULL || (s == &f->target && f->is_connecting);
        unsigned wanted = (may_read ? EV_READ : 0u) | (must_write ? EV_WRITE : 0u);
        ev_fd_want(&s->fd, s->tls == NULL ? wanted : lb_tls_wants(s->tls, wanted));
    }
}

static void on_side(struct side *s, unsigned ready)
{
    struct lb_flow *f = s->flow;
    struct side *other = other_of(s);
    if ((ready & EV_BROKEN) != 0 && net_dial_result(s->fd.fd) != 0) {
        reset_by_side(s);
        return;
    }
    if ((ready & EV_WRITE) != 0) {
        if (s->tls != NULL && !lb_tls_flush(s->tls)) {
            reset_by_side(s);
            return;
        }
        if (!flush(s)) {
            return;
        }
        wait_idle(f);
        pass_end(other, s);
    }
    bool may_read =
        !f->is_dead && !s->has_ended && other->out == NULL && f->pool != NULL && !f->is_connecting;
    if (may_read && (ready & (EV_READ | EV_BROKEN)) != 0) {
        relay(s);
    } else if (!f->is_dead && (ready & EV_BROKEN) != 0) {
        park(s);
    }
    arm(s);
    arm(other);
}

/* The target is looked for when the handshake is over. */
static void shake(struct side *s, unsigned ready)
{
    struct lb_flow *f = s->flow;
    bool is_broken = (ready & EV_WRITE) != 0 && !lb_tls_flush(s->tls);
    enum lb_tls_step step = is_broken ? LB_TLS_FAILED : lb_tls_handshake(s->tls);
    if (step == LB_TLS_FAILED) {
        lb_count_one(f->worker, f->slot, LBSTATS_CLIENT_TLS_ERRORS);
        end_flow(f, false);
    } else if (step == LB_TLS_DONE) {
        try_target(f);
    } else {
        ev_fd_want(&s->fd, lb_tls_wants(s->tls, EV_READ));
    }
}

static void on_client(struct ev_fd *fd, unsigned ready)
{
    struct side *s = CONTAINER_OF(fd, struct side, fd);
    if (s->tls != NULL && lb_tls_is_shaking(s->tls)) {
        shake(s, ready);
    } else {
        on_side(s, ready);
    }
}

/* ---- the target ------------------------------------------------------------------------------ */

static void try_again(struct ev_defer *d)
{
    try_target(CONTAINER_OF(d, struct lb_flow, again));
}

static void target_failed(struct lb_flow *f)
{
    struct lb_worker *w = f->worker;
    struct lb_pool *pool = f->pool;
    f->is_connecting = false;
    ev_fd_close(&f->target.fd);
    lb_count_one(w, f->slot, LBSTATS_TARGET_CONN_ERRORS);
    lb_count_one(w, f->group_slot, LBSTATS_TARGET_CONN_ERRORS);
    pool->avoid_until = mono_add(ev_now(&w->loop), LB_AVOID_FOR);
    f->refused[f->connect_count - 1] = pool->peer;
    leave_target(f);
    if (f->connect_count >= LB_CONNECTS_MAX) {
        reset_by(f, LBSTATS_TARGET_RESETS);
        return;
    }
    ev_defer(&w->loop, &f->again, try_again);
}

static void on_target(struct ev_fd *fd, unsigned ready)
{
    struct side *s = CONTAINER_OF(fd, struct side, fd);
    struct lb_flow *f = s->flow;
    if (!f->is_connecting) {
        on_side(s, ready);
        return;
    }
    if (net_dial_result(fd->fd) != 0) {
        target_failed(f);
        return;
    }
    f->is_connecting = false;
    wait_idle(f);
    if (flush(s)) { /* the header */
        arm(s);
        arm(&f->client);
    }
}

static const struct lb_listener *listener_of(const struct lb_flow *f)
{
    const struct lb_conf *conf = f->worker->conf;
    const struct lb_listener *l =
        f->listener_index < conf->listeners_end ? conf->listeners_at[f->listener_index] : NULL;
    return l != NULL && l->serial == f->listener_serial ? l : NULL;
}

/* The group is chosen once, the target again as long as none was reached. */
static struct lb_group *group_of(struct lb_flow *f, const struct lb_listener *l)
{
    struct lb_conf *conf = f->worker->conf;
    if (f->group_serial == 0) {
        return lb_flow_group(f->worker, l);
    }
    for (size_t i = 0; i < conf->group_count; i++) {
        if (conf->groups[i].serial == f->group_serial) {
            return &conf->groups[i];
        }
    }
    return NULL;
}

static void add_header(struct lb_flow *f)
{
    char room[PROXY_V2_WRITE_BYTES_MAX];
    size_t len = proxy_write_v2(room, &f->peer, &f->local, true);
    CHECK(lb_block_add(&f->worker->blocks, &f->target.out, str_make(room, len)));
}

static bool dial(struct lb_flow *f, struct lb_peer *peer)
{
    int fd = -1;
    if (net_dial_errno(&peer->addr, &fd) != 0) {
        return false;
    }
    lb_tune_socket(fd, &peer->addr);
    if (ev_fd_open(&f->worker->loop, &f->target.fd, fd, EV_WRITE, on_target) != ERR_OK) {
        (void)close(fd);
        return false;
    }
    return true;
}

static void try_target(struct lb_flow *f)
{
    struct lb_worker *w = f->worker;
    const struct lb_listener *l = listener_of(f);
    struct lb_group *g = l == NULL ? NULL : group_of(f, l);
    struct lb_peer *peer =
        g == NULL ? NULL : lb_flow_pick(g, l, &f->key, f->refused, f->connect_count);
    if (peer == NULL) {
        reset_by(f, LBSTATS_ELB_RESETS); /* nobody to pass it on to */
        return;
    }
    f->group_serial = g->serial;
    f->group_slot = g->slot;
    f->connect_count++;
    f->pool = lb_pool_of(w, peer);
    list_remove(&f->node);
    list_add_tail(&f->pool->flows, &f->node);
    lb_flow_enter(w, f->pool, f->group_slot);
    if (!lb_health_takes_traffic(atomic_load_explicit(&peer->health, memory_order_relaxed))) {
        lb_count_one(w, f->group_slot, LBSTATS_UNHEALTHY_FLOWS); /* fail open */
    }
    lb_block_give(&w->blocks, f->target.out);
    f->target.out = NULL;
    if (!dial(f, peer)) {
        target_failed(f);
        return;
    }
    f->is_connecting = true;
    if (g->sends_header) {
        add_header(f);
    }
    ev_timer_set(&w->loop, &f->timer, LB_CONNECT_TIMEOUT, on_idle);
}

/* ---- clients --------------------------------------------------------------------------------- */

static struct lb_flow *take_flow(struct lb_worker *w)
{
    if (list_is_empty(&w->free_flows)) {
        return MEM_NEW(struct lb_flow);
    }
    struct lb_flow *f = CONTAINER_OF(w->free_flows.next, struct lb_flow, node);
    list_remove(&f->node);
    memset(f, 0, sizeof(*f));
    return f;
}

static void start_tls(struct lb_flow *f, const struct lb_listener *l)
{
    struct lb_worker *w = f->worker;
    SSL *ssl = lb_tls_site_ssl(l->tls);
    if (ssl == NULL) {
        reset_by(f, LBSTATS_ELB_RESETS);
        return;
    }
    f->client.tls = lb_tls_new(&w->tls_room, &f->client.fd, ssl, lb_tls_site_hold(l->tls));
    ev_fd_want(&f->client.fd, EV_READ);
    ev_timer_set(&w->loop, &f->timer, LB_TLS_HANDSHAKE_TIMEOUT, on_idle);
}

void lb_flow_accept(struct lb_listening *l, const struct lb_listener *listener, int fd,
                    const struct net_addr *peer)
{
    struct lb_worker *w = l->worker;
    struct lb_flow *f = w->flow_count >= LB_FLOWS_MAX ? NULL : take_flow(w);
    if (f == NULL || ev_fd_open(&w->loop, &f->client.fd, fd, 0, on_client) != ERR_OK) {
        (void)close(fd);
        if (f != NULL) {
            list_add_head(&w->free_flows, &f->node);
        }
        lb_count_one(w, l->slot, LBSTATS_REJECTED_FLOWS);
        lb_count_one(w, l->slot, LBSTATS_REJECTED_FLOWS_TCP);
        return;
    }
    f->worker = w;
    f->client.flow = f;
    f->client.parked_fd = -1;
    f->target.flow = f;
    f->target.parked_fd = -1;
    f->listener_index = l->index;
    f->listener_serial = l->serial;
    f->slot = l->slot;
    f->group_slot = LBSTATS_NONE;
    f->idle = listener->idle_timeout;
    f->is_tls = listener->tls != NULL;
    f->local = listener->addr;
    f->peer = *peer;
    lb_addr_bytes(peer, f->key.source);
    f->key.source_port = net_addr_port(peer);
    list_add_tail(&w->flows, &f->node);
    w->flow_count++;
    count_begin(f);
    if (f->is_tls) {
        start_tls(f, listener);
    } else {
        try_target(f);
    }
}

/* ---- from outside ---------------------------------------------------------------------------- */

void lb_flows_cut(struct lb_worker *w, struct lb_pool *pool)
{
    LIST_FOR (f, &pool->flows, struct lb_flow, node) {
        lb_count_one(w, f->slot, LBSTATS_DRAIN_CUTS);
        lb_count_one(w, f->group_slot, LBSTATS_DRAIN_CUTS);
        reset_by(f, LBSTATS_ELB_RESETS);
    }
}

void lb_flows_close(struct lb_worker *w)
{
    LIST_FOR (f, &w->flows, struct lb_flow, node) {
        end_flow(f, true);
    }
    for (uint32_t i = 0; i < w->pool_count; i++) {
        if (w->pools[i] != NULL) {
            lb_flows_cut(w, w->pools[i]);
        }
    }
}

void lb_flows_sweep(struct lb_worker *w)
{
    LIST_FOR (f, &w->dead_flows, struct lb_flow, node) {
        list_remove(&f->node);
        list_add_head(&w->free_flows, &f->node);
    }
}

void lb_flows_free(struct lb_worker *w)
{
    LIST_FOR (f, &w->free_flows, struct lb_flow, node) {
        list_remove(&f->node);
        mem_free(f);
    }
}
