#include "base/check.h"
#include "base/mem.h"
#include "lb/control.h"
#include "lb/rule.h"
#include "net/proxy_protocol.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void on_client(struct ev_fd *fd, unsigned ready);
static void resume(struct ev_defer *d);

const struct lb_listener *lb_client_listener(const struct lb_client *c)
{
    const struct lb_conf *conf = c->worker->conf;
    const struct lb_listener *l =
        c->listener_index < conf->listeners_end ? conf->listeners_at[c->listener_index] : NULL;
    return l != NULL && l->serial == c->listener_serial ? l : NULL;
}

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

size_t lb_client_address(const struct lb_client *c, char room[NET_ADDR_TEXT_BYTES_MAX])
{
    struct net_addr addr = {0};
    if (!c->is_ipv6) {
        addr.len = sizeof(addr.v4);
        addr.v4.sin_family = AF_INET;
        memcpy(&addr.v4.sin_addr, c->peer + 12, 4);
    } else {
        addr.len = sizeof(addr.v6);
        addr.v6.sin6_family = AF_INET6;
        memcpy(&addr.v6.sin6_addr, c->peer, 16);
    }
    return net_addr_format_host(&addr, room);
}

/* ---- life ------------------------------------------------------------------------------------ */

static struct lb_client *take_client(struct lb_worker *w)
{
    struct lb_client *c;
    if (list_is_empty(&w->free_clients)) {
        return MEM_NEW(struct lb_client);
    }
    c = CONTAINER_OF(w->free_clients.next, struct lb_client, node);
    list_remove(&c->node);
    memset(c, 0, sizeof(*c));
    return c;
}

static dur_t idle_timeout(const struct lb_client *c)
{
    const struct lb_listener *l = lb_client_listener(c);
    return l == NULL ? DUR_S(LB_IDLE_TIMEOUT_DEFAULT_S) : l->idle_timeout;
}

static void on_timer(struct ev_timer *t);

/* Within the cap of connections from one source, if there is one. */
static bool may_enter(struct lb_client *c, const struct lb_listener *l)
{
    if (l == NULL || l->source_connections_max == 0) {
        return true;
    }
    c->is_source_counted =
        lb_sources_enter(c->worker->lb->sources, c->peer, c->slot, l->source_connections_max);
    return c->is_source_counted;
}

void lb_client_wait_at_most(struct lb_client *c, dur_t at_most)
{
    ev_timer_set(&c->worker->loop, &c->timer, at_most, on_timer);
}

void lb_client_wait(struct lb_client *c)
{
    lb_client_wait_at_most(c, idle_timeout(c));
}

void lb_client_wait_for_head(struct lb_client *c)
{
    lb_client_wait_at_most(c, LB_HEAD_TIMEOUT);
}

/* Its own bytes are next: a handshake, or a request. */
static void begin_client(struct lb_client *c, const struct lb_listener *listener)
{
    if (!may_enter(c, listener)) {
        lb_count_one(c->worker, c->slot, LBSTATS_REJECTED);
        lb_client_close(c);
        return;
    }
    if (listener == NULL || listener->tls == NULL) {
        if (listener != NULL && listener->connection_sink != 0) {
            lb_access_connection(c, listener, false);
        }
        lb_client_wait_at_most(c, idle_timeout(c));
        return;
    }
    if (!lb_client_start_tls(c, listener)) {
        lb_client_close(c);
        return;
    }
    lb_client_wait_at_most(c, LB_TLS_HANDSHAKE_TIMEOUT);
}

void lb_client_accept(struct lb_listening *l, int fd, const struct net_addr *peer)
{
    struct lb_worker *w = l->worker;
    if (w->client_count >= LB_CLIENTS_MAX) {
        (void)close(fd);
        lb_count_one(w, l->slot, LBSTATS_REJECTED);
        return;
    }
    struct lb_client *c = take_client(w);
    if (ev_fd_open(&w->loop, &c->fd, fd, EV_READ | EV_PEER_CLOSED, on_client) != ERR_OK) {
        (void)close(fd);
        list_add_head(&w->free_clients, &c->node);
        lb_count_one(w, l->slot, LBSTATS_REJECTED);
        return;
    }
    c->worker = w;
    c->accepted_at = ev_now(&w->loop);
    c->listener_index = l->index;
    c->listener_serial = l->serial;
    c->slot = l->slot;
    c->state = LB_CLIENT_OPEN;
    lb_addr_bytes(peer, c->peer);
    c->peer_port = net_addr_port(peer);
    c->is_ipv6 = memcmp(c->peer, v4_prefix, sizeof(v4_prefix)) != 0;
    list_add_tail(&w->clients, &c->node);
    w->client_count++;
    lb_count_accepted(c);
    const struct lb_listener *listener = lb_client_listener(c);
    c->awaits_proxy = listener != NULL && listener->takes_proxy;
    if (c->awaits_proxy) {
        lb_client_wait_at_most(c, LB_HEAD_TIMEOUT);
        return;
    }
    begin_client(c, listener);
}

void lb_client_close(struct lb_client *c)
{
    if (c->stream != NULL) {
        lb_stream_close(c->stream);
        return;
    }
    if (c->state == LB_CLIENT_DEAD) {
        return;
    }
    CHECK(c->exchange == NULL);
    struct lb_worker *w = c->worker;
    if (c->h2 != NULL) {
        lb_h2_close(c, w->is_stopping ? 0 : 460);
    }
    c->state = LB_CLIENT_DEAD;
    lb_tls_free(c->tls);
    c->tls = NULL;
    if (c->hold == LB_HOLD_WAITS) {
        lb_gate_leave(c);
    }
    if (c->sign_in != NULL) {
        lb_sign_in_leave(c);
    }
    ev_fd_close(&c->fd);
    ev_timer_stop(&c->timer);
    ev_defer_cancel(&c->resume);
    lb_block_give(&w->blocks, c->ahead);
    lb_block_give(&w->blocks, c->back);
    c->ahead = NULL;
    c->back = NULL;
    lb_count_drop(w, c->slot, LBSTATS_ACTIVE_CONNECTIONS);
    if (c->is_source_counted) {
        lb_sources_leave(w->lb->sources, c->peer, c->slot);
    }
    w->client_count--;
    list_remove(&c->node);
    list_add_tail(&w->dead_clients, &c->node);
    lb_worker_sweep_later(w);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Writes what it can; false when the connection is broken. */
static bool write_some(struct lb_client *c, struct str *bytes)
{
    while (bytes->len > 0) {
        ssize_t n = lb_client_write_now(c, *bytes);
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        size_t sent = (size_t)n;
        bool is_short = sent < bytes->len;
        *bytes = str_from(*bytes, sent);
        if (is_short) {
            return true;
        }
    }
    return true;
}

static void lose_client(struct lb_client *c)
{
    if (c->exchange != NULL) {
        lb_exchange_abort(c->exchange, 460);
    }
    lb_client_close(c);
}

static void note_queued(struct lb_client *c)
{
    int queued = 0;
    c->queued_bytes = ioctl(c->fd.fd, SIOCOUTQ, &queued) == 0 ? (uint32_t)queued : 0;
}

bool lb_client_send(struct lb_client *c, struct str bytes)
{
    if (c->stream != NULL) {
        return lb_stream_send(c->stream, bytes);
    }
    if (c->state == LB_CLIENT_DEAD) {
        return false;
    }
    if (lb_block_waiting(c->back) == 0 && !write_some(c, &bytes)) {
        lose_client(c);
        return false;
    }
    if (bytes.len > 0) {
        if (!lb_block_add(&c->worker->blocks, &c->back, bytes)) {
            lose_client(c); /* the reader stops when something waits, so this is past all limits */
            return false;
        }
        note_queued(c);
        lb_client_wait_at_most(c, idle_timeout(c));
        lb_client_arm(c);
    }
    return true;
}

void lb_client_say_goodbye(struct lb_client *c)
{
    if (c->tls != NULL && c->stream == NULL) {
        lb_tls_close(c->tls);
    }
}

/* The last bytes are out. */
static void close_gently(struct lb_client *c)
{
    lb_client_say_goodbye(c);
    if (!c->must_linger) {
        lb_client_close(c);
        return;
    }
    c->state = LB_CLIENT_LINGER;
    (void)shutdown(c->fd.fd, SHUT_WR);
    lb_client_wait_at_most(c, LB_LINGER_TIMEOUT);
    lb_client_arm(c);
}

static void flush(struct lb_client *c)
{
    if (c->back != NULL) {
        struct str waiting = str_make(c->back->bytes + c->back->at, lb_block_waiting(c->back));
        size_t before = waiting.len;
        if (!write_some(c, &waiting)) {
            lose_client(c);
            return;
        }
        c->back->at += (uint32_t)(before - waiting.len);
        if (waiting.len > 0) {
            if (waiting.len < before) {
                note_queued(c);
                lb_client_wait_at_most(c, idle_timeout(c));
            }
            return;
        }
        lb_block_give(&c->worker->blocks, c->back);
        c->back = NULL;
    }
    if (c->state == LB_CLIENT_FLUSH) {
        close_gently(c);
    } else if (c->exchange != NULL) {
        lb_exchange_flushed(c->exchange);
    } else if (c->h2 != NULL) {
        lb_h2_resume(c);
    } else if (c->ahead != NULL) {
        ev_defer(&c->worker->loop, &c->resume, resume);
    }
    if (c->state != LB_CLIENT_DEAD) {
        lb_client_arm(c);
    }
}

void lb_client_finish(struct lb_client *c, bool must_linger)
{
    if (c->stream != NULL) {
        lb_stream_finish(c->stream);
        return;
    }
    if (c->state != LB_CLIENT_OPEN) {
        return;
    }
    c->state = LB_CLIENT_FLUSH;
    c->must_linger = must_linger;
    lb_block_give(&c->worker->blocks, c->ahead);
    c->ahead = NULL;
    if (c->back == NULL) {
        close_gently(c);
        return;
    }
    lb_client_arm(c);
}

/* ---- what to wait for ------------------------------------------------------------------------ */

static bool wants_read(const struct lb_client *c)
{
    if (c->state == LB_CLIENT_FLUSH) {
        return false;
    }
    const struct lb_exchange *ex = c->exchange;
    if (ex == NULL) {
        return c->h2 != NULL || (c->back == NULL && !lb_client_is_held(c)) ||
               c->state == LB_CLIENT_LINGER;
    }
    if (ex->is_tunnel || !ex->request.is_done) {
        return lb_exchange_wants_body(ex);
    }
    return lb_block_waiting(c->ahead) < LB_PIPELINE_BYTES_MAX;
}

void lb_client_arm(struct lb_client *c)
{
    if (c->stream != NULL) {
        lb_stream_arm(c->stream);
        return;
    }
    if (c->state == LB_CLIENT_DEAD) {
        return;
    }
    unsigned wanted = 0;
    if (wants_read(c)) {
        wanted |= EV_READ;
    }
    if (c->back != NULL) {
        wanted |= EV_WRITE;
    }
    /* While bytes wait to be read, the end of the stream behind them says nothing yet. */
    if ((wanted & EV_READ) != 0 || lb_client_is_held(c) ||
        (c->exchange != NULL && c->exchange->request.is_done)) {
        wanted |= EV_PEER_CLOSED;
    }
    if (c->tls != NULL) {
        wanted = lb_tls_wants(c->tls, wanted);
    }
    ev_fd_want(&c->fd, wanted);
}

/* ---- reading --------------------------------------------------------------------------------- */

bool lb_client_keep_ahead(struct lb_client *c, struct str bytes)
{
    if (bytes.len == 0) {
        return true;
    }
    return lb_block_add(&c->worker->blocks, &c->ahead, bytes);
}

/* A part of a head stays for the next read. */
static void keep_partial(struct lb_client *c, struct str bytes)
{
    if (c->ahead == NULL) {
        lb_client_wait_at_most(c, LB_HEAD_TIMEOUT);
    } else {
        lb_block_give(&c->worker->blocks, c->ahead);
        c->ahead = NULL;
    }
    CHECK(lb_block_add(&c->worker->blocks, &c->ahead, bytes));
}

/* What came is no request, or not a whole one. */
void lb_client_refuse(struct lb_client *c, unsigned status, size_t received_bytes)
{
    const struct lb_listener *l = lb_client_listener(c);
    struct lb_own_answer own = {.listener = l, .received_bytes = received_bytes};
    c->worker->log_pen.pending = l == NULL || l->access_sink == 0 ? NULL : &own;
    lb_count_own(c, NULL, status);
    lb_reply_error(c, status, false, true);
}

void lb_client_refuse_head(struct lb_client *c, size_t received_bytes)
{
    const struct h1_head *h = &c->worker->request_head;
    if (h->verdict > H1_COMPLIANT) {
        lb_count_one(c->worker, c->slot, LBSTATS_NON_COMPLIANT);
    }
    lb_client_refuse(c, h->status, received_bytes);
}

/* Works through bytes[0, count), which lie in the scratch buffer and begin with a request. */
static void take_requests(struct lb_client *c, char *bytes, size_t count)
{
    struct lb_worker *w = c->worker;
    size_t left = LB_PIPELINE_TURN_MAX;
    while (count > 0 && c->exchange == NULL && c->state == LB_CLIENT_OPEN && c->back == NULL &&
           !lb_client_is_held(c)) {
        if (left-- == 0) {
            ev_defer(&w->loop, &c->resume, resume); /* others come first */
            break;
        }
        h1_head_init(&w->request_head);
        enum h1_result r = h1_parse_request(&w->request_head, bytes, count);
        if (r == H1_BAD && lb_h2_takes_over(c, str_make(bytes, count))) {
            return;
        }
        if (r == H1_BAD) {
            lb_client_refuse_head(c, count);
            return;
        }
        if (r == H1_MORE) {
            keep_partial(c, str_make(bytes, count));
            return;
        }
        lb_block_give(&w->blocks, c->ahead);
        c->ahead = NULL;
        size_t used = lb_exchange_begin(c, bytes, count);
        bytes += used;
        count -= used;
    }
    if (count > 0 && c->state == LB_CLIENT_OPEN) {
        lb_block_give(&w->blocks, c->ahead);
        c->ahead = NULL;
        if (!lb_client_keep_ahead(c, str_make(bytes, count))) {
            lose_client(c);
        }
    }
}

/* Bytes that were read ahead are put back into the scratch buffer and taken first. */
static size_t load_ahead(struct lb_client *c)
{
    size_t waiting = lb_block_waiting(c->ahead);
    if (waiting > 0) {
        memcpy(lb_read_at(c->worker), c->ahead->bytes + c->ahead->at, waiting);
    }
    return waiting;
}

void lb_client_resume(struct lb_client *c)
{
    if (c->stream != NULL) {
        lb_stream_resume(c->stream);
        return;
    }
    ev_defer(&c->worker->loop, &c->resume, resume);
}

static void resume(struct ev_defer *d)
{
    struct lb_client *c = CONTAINER_OF(d, struct lb_client, resume);
    size_t count = load_ahead(c);
    take_requests(c, lb_read_at(c->worker), count);
    lb_client_arm(c);
}

void lb_client_next(struct lb_client *c, bool may_stay)
{
    if (c->stream != NULL) {
        lb_stream_finish(c->stream);
        return;
    }
    if (c->state != LB_CLIENT_OPEN) {
        return;
    }
    if (!may_stay || lb_client_listener(c) == NULL) {
        lb_client_finish(c, false);
        return;
    }
    lb_client_wait_at_most(c, idle_timeout(c));
    if (c->ahead != NULL) {
        ev_defer(&c->worker->loop, &c->resume, resume);
    }
    lb_client_arm(c);
}

/* Reads into `at`; 0 when there is nothing for now, and when the client is gone (see its state). */
static size_t receive(struct lb_client *c, char *at, size_t room)
{
    ssize_t n = lb_client_read_now(c, at, room);
    if (n > 0) {
        return (size_t)n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    lose_client(c);
    return 0;
}

/* The PROXY header in front of everything else: looked at first, so that not a byte behind it is
 * taken; what follows (a handshake, a request) is for others to read. False: not complete, or the
 * connection is over. */
static bool read_proxy_header(struct lb_client *c)
{
    struct lb_worker *w = c->worker;
    char *at = lb_read_at(w);
    size_t before = load_ahead(c);
    ssize_t n = recv(c->fd.fd, at + before, PROXY_HEADER_BYTES_MAX + 1 - before, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    struct proxy_header h;
    size_t count = n > 0 ? before + (size_t)n : 0;
    enum proxy_result r = count == 0 ? PROXY_BAD : proxy_parse(at, count, &h);
    size_t used = r == PROXY_DONE ? h.bytes - before : (size_t)(n > 0 ? n : 0);
    if (r == PROXY_BAD || recv(c->fd.fd, at + before, used, 0) != (ssize_t)used) {
        lb_client_close(c); /* nobody who could read an answer */
        return false;
    }
    if (r == PROXY_MORE) {
        keep_partial(c, str_make(at, count));
        return false;
    }
    lb_block_give(&w->blocks, c->ahead);
    c->ahead = NULL;
    c->awaits_proxy = false;
    if (!h.is_local && h.is_stream) {
        lb_addr_bytes(&h.source, c->peer);
        c->peer_port = net_addr_port(&h.source);
        c->is_ipv6 = memcmp(c->peer, v4_prefix, sizeof(v4_prefix)) != 0;
    }
    begin_client(c, lb_client_listener(c));
    return c->state != LB_CLIENT_DEAD && c->tls == NULL; /* a handshake has events of its own */
}

static void read_requests(struct lb_client *c)
{
    struct lb_worker *w = c->worker;
    size_t before = load_ahead(c);
    char *at = lb_read_at(w);
    size_t got = receive(c, at + before, LB_READ_BYTES_MAX - before);
    if (got == 0) {
        return;
    }
    /* A line that has not ended says nothing new, so a slow sender costs no parsing. */
    bool is_worth_it = before == 0 || memchr(at + before, '\n', got) != NULL ||
                       before + got >= H1_REQUEST_LINE_BYTES_MAX;
    if (is_worth_it) {
        take_requests(c, at, before + got);
    } else {
        keep_partial(c, str_make(at, before + got));
    }
}

/* More requests while one is in work, or the end of the connection. */
static void read_ahead(struct lb_client *c)
{
    char *at = lb_read_at(c->worker);
    size_t got = receive(c, at, LB_PIPELINE_BYTES_MAX);
    if (got > 0 && !lb_client_keep_ahead(c, str_make(at, got))) {
        lose_client(c);
    }
}

static void discard(struct lb_client *c)
{
    (void)receive(c, lb_read_at(c->worker), LB_READ_BYTES_MAX);
}

static void on_readable(struct lb_client *c)
{
    struct lb_exchange *ex = c->exchange;
    if (c->awaits_proxy && !read_proxy_header(c)) {
        return;
    }
    if (c->state == LB_CLIENT_LINGER) {
        discard(c);
    } else if (c->h2 != NULL) {
        lb_h2_read(c);
    } else if (ex == NULL) {
        if (wants_read(c) && !ev_defer_is_pending(&c->resume)) {
            read_requests(c);
        }
    } else if (ex->is_tunnel) {
        lb_tunnel_from_client(ex);
    } else if (!ex->request.is_done) {
        if (lb_exchange_wants_body(ex)) {
            lb_exchange_read_body(ex);
        }
    } else if (lb_block_waiting(c->ahead) < LB_PIPELINE_BYTES_MAX) {
        read_ahead(c);
    }
}

/* Its request is with us or the target: a client that closes now wants no answer. */
static bool waits_for_us(const struct lb_client *c)
{
    const struct lb_exchange *ex = c->exchange;
    return ex == NULL ? lb_client_is_held(c) : ex->request.is_done && !ex->is_tunnel;
}

static void on_client(struct ev_fd *fd, unsigned ready)
{
    struct lb_client *c = CONTAINER_OF(fd, struct lb_client, fd);
    if (c->tls != NULL) {
        ready = lb_client_tls_ready(c, ready);
    }
    if ((ready & EV_WRITE) != 0) {
        flush(c);
    }
    if (c->state != LB_CLIENT_DEAD && (ready & EV_READ) != 0) {
        on_readable(c);
    }
    if (c->state == LB_CLIENT_DEAD) {
        return;
    }
    bool is_lost = (ready & EV_BROKEN) != 0 || ((ready & EV_PEER_CLOSED) != 0 && waits_for_us(c));
    if (is_lost) {
        lose_client(c);
        return;
    }
    lb_client_arm(c);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* A slow client may have a lot in the kernel's buffer: it takes its answer although we can send
 * nothing. Less than LB_TAKE_RATE_MIN is taken for an attack. */
static bool takes_answer(struct lb_client *c)
{
    int queued = 0;
    if (ioctl(c->fd.fd, SIOCOUTQ, &queued) != 0) {
        return false;
    }
    int64_t least = idle_timeout(c).us / 1000000 * LB_TAKE_RATE_MIN;
    int64_t taken = (int64_t)c->queued_bytes - queued;
    c->queued_bytes = (uint32_t)queued;
    return taken >= least;
}

static void on_timer(struct ev_timer *t)
{
    struct lb_client *c = CONTAINER_OF(t, struct lb_client, timer);
    struct lb_exchange *ex = c->exchange;
    if (c->tls != NULL && lb_tls_is_shaking(c->tls)) {
        lb_client_shake_failed(c);
    } else if (c->back != NULL && c->stream == NULL && takes_answer(c)) {
        lb_client_wait_at_most(c, idle_timeout(c));
    } else if (c->back != NULL || c->state != LB_CLIENT_OPEN) {
        if (ex != NULL) {
            lb_exchange_abort(ex, 0); /* it does not take its answer */
        }
        lb_client_close(c);
    } else if (ex != NULL && ex->is_tunnel) {
        lb_exchange_abort(ex, 0);
        lb_client_close(c);
    } else if (ex != NULL && !ex->request.is_done && lb_exchange_wants_body(ex)) {
        lb_exchange_too_slow(ex);
    } else if (c->hold == LB_HOLD_WAITS) {
        lb_gate_expire(c);
    } else if (c->hold == LB_HOLD_SIGNS_IN) {
        lb_sign_in_expire(c);
    } else if (ex == NULL && c->ahead != NULL && !c->awaits_proxy) {
        h1_head_init(&c->worker->request_head);
        lb_client_refuse(c, 408, lb_block_waiting(c->ahead));
    } else if (c->h2 != NULL) {
        lb_h2_timeout(c);
    } else if (ex == NULL) {
        lb_client_say_goodbye(c);
        lb_client_close(c);
    }
    /* else the target is at work: its own timer counts, ours is set again afterwards */
}
