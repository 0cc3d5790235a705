/* One request on its way to a target, and again if it must. */

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "lb/affinity.h"
#include "lb/challenge.h"
#include "lb/control.h"
#include "lb/guard.h"
#include "lb/login.h"
#include "lb/rule.h"
#include "lb/tunnel.h"

#include <errno.h>

static void try_again(struct ev_defer *d);

/* ---- life ------------------------------------------------------------------------------------ */

static struct lb_exchange *take_exchange(struct lb_worker *w)
{
    if (list_is_empty(&w->free_exchanges)) {
        return MEM_NEW(struct lb_exchange);
    }
    struct lb_exchange *ex = CONTAINER_OF(w->free_exchanges.next, struct lb_exchange, node);
    list_remove(&ex->node);
    memset(ex, 0, sizeof(*ex));
    return ex;
}

/* A count with one writer: no atomic read-modify-write. */
static void add_to(atomic_uint *count, int by)
{
    unsigned now = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, now + (unsigned)by, memory_order_release);
}

static void count_inflight(struct lb_exchange *ex, int by)
{
    struct lb_worker *w = ex->client->worker;
    add_to(&ex->pool->peer->inflight[w->id].count, by);
    struct lbstats_block *b = lb_count_block(w, ex->group->slot);
    if (b == NULL) {
        return;
    }
    lbstats_begin(b);
    if (by > 0) {
        lbstats_add(b, LBSTATS_INFLIGHT, 1);
    } else {
        lbstats_drop(b, LBSTATS_INFLIGHT);
    }
    lbstats_end(b);
}

/* A retry may go to a target that only a later configuration names: that one stays as well. */
static void hold_conf(const struct lb_exchange *ex, struct lb_conf *conf, int by)
{
    if (conf != ex->conf) {
        add_to(&conf->uses[ex->client->worker->id].count, by);
    }
}

static void leave_target(struct lb_exchange *ex)
{
    if (ex->pool == NULL) {
        return;
    }
    struct lb_worker *w = ex->client->worker;
    struct lb_peer *peer = ex->pool->peer;
    count_inflight(ex, -1);
    list_remove(&ex->node);
    bool is_last = atomic_load_explicit(&peer->inflight[w->id].count, memory_order_relaxed) == 0;
    if (is_last && atomic_load_explicit(&peer->is_draining, memory_order_acquire)) {
        ev_wake_up(&w->lb->wake); /* the drain may be over */
    }
    if (is_last && ex->pool->flow_count == 0 && ex->pool->version != w->conf->version) {
        ex->pool->peer = NULL; /* no configuration of ours names it */
    }
    ex->pool = NULL;
    hold_conf(ex, ex->target_conf, -1);
    ex->target_conf = NULL;
}

/* conf: the one that names the peer. */
static void enter_target(struct lb_exchange *ex, struct lb_conf *conf, struct lb_peer *peer)
{
    struct lb_pool *pool = lb_pool_of(ex->client->worker, peer);
    hold_conf(ex, conf, 1);
    ex->target_conf = conf;
    ex->pool = pool;
    list_add_tail(&pool->busy, &ex->node);
    count_inflight(ex, 1);
}

static void drop_upstream(struct lb_exchange *ex, bool may_stay)
{
    struct lb_upstream *u = ex->upstream;
    ex->upstream = NULL;
    if (u != NULL) {
        lb_upstream_release(u, may_stay);
    }
}

/* Unbinds everything; the client is free for its next request. */
static void end_exchange(struct lb_exchange *ex, bool upstream_may_stay)
{
    struct lb_client *c = ex->client;
    struct lb_worker *w = c->worker;
    CHECK(!ex->is_over);
    ex->is_over = true;
    if (ex->access.part != NULL) {
        lb_access_end(ex);
    }
    ev_defer_cancel(&ex->again);
    lb_count_client_bytes(c, ex->client_bytes);
    if (ex->tunnel != NULL) {
        lb_tunnel_end(ex);
    }
    drop_upstream(ex, upstream_may_stay);
    leave_target(ex);
    lb_block_give(&w->blocks, ex->out);
    lb_block_give(&w->blocks, ex->head);
    ex->out = NULL;
    ex->head = NULL;
    lb_body_fini(&ex->request, &w->blocks);
    lb_body_fini(&ex->response, &w->blocks);
    lb_affinity_give(w, ex->affinity);
    ex->affinity = NULL;
    add_to(&ex->conf->uses[w->id].count, -1);
    c->exchange = NULL;
    list_add_tail(&w->dead_exchanges, &ex->node);
    lb_worker_sweep_later(w);
}

void lb_exchange_done(struct lb_exchange *ex)
{
    struct lb_client *c = ex->client;
    bool may_stay = !ex->closes_client && ex->request.is_done;
    bool is_told_late = !may_stay && ex->may_send_more && !c->worker->is_stopping;
    bool must_linger = !ex->request.is_done || is_told_late;
    end_exchange(ex, ex->upstream_may_stay);
    if (must_linger) {
        lb_client_finish(c, true);
    } else {
        lb_client_next(c, may_stay);
    }
}

/* ---- failure --------------------------------------------------------------------------------- */

/* For the log: what the client is about to get. */
static void note_reply(struct lb_exchange *ex, unsigned status, bool closes)
{
    ex->access.status = (uint16_t)status;
    if (ex->access.part != NULL) {
        ex->access.reply_bytes = lb_reply_error_bytes(ex->client, status, ex->is_head, closes);
    }
}

static void reply_error(struct lb_exchange *ex, unsigned status)
{
    struct lb_client *c = ex->client;
    bool may_stay = ex->wants_keep_alive && ex->request.is_done && !c->worker->is_stopping;
    lb_count_own(c, ex, status);
    note_reply(ex, status, !may_stay);
    end_exchange(ex, false);
    lb_reply_error(c, status, ex->is_head, !may_stay);
    if (may_stay) {
        lb_client_next(c, true);
    }
}

static unsigned status_of(enum lb_failure why)
{
    return why == LB_FAIL_TIMEOUT || why == LB_FAIL_CONNECT_TIMEOUT ? 504 : 502;
}

static bool may_try_again(const struct lb_exchange *ex, enum lb_failure why)
{
    switch (why) {
    case LB_FAIL_REFUSED:
    case LB_FAIL_CONNECT_TIMEOUT:
    case LB_FAIL_TLS:
        return ex->connect_count < LB_CONNECTS_MAX;
    case LB_FAIL_UNSENT:
        return ex->may_replay && ex->send_count < LB_CONNECTS_MAX;
    case LB_FAIL_CLOSED:
        return ex->may_replay && ex->is_idempotent && ex->send_count < LB_SENDS_MAX;
    case LB_FAIL_MALFORMED:
    case LB_FAIL_TIMEOUT:
    case LB_FAIL_TLS_TIMEOUT:
    case LB_FAIL_EXPIRED:
        return false;
    }
    UNREACHABLE("every failure is handled");
}

static void note_refusal(struct lb_exchange *ex, enum lbstats_counter counter)
{
    struct lb_worker *w = ex->client->worker;
    lb_count_one(w, ex->client->slot, counter);
    lb_count_one(w, ex->group->slot, counter);
    ex->pool->avoid_until = mono_add(ev_now(&w->loop), LB_AVOID_FOR);
}

void lb_exchange_failed(struct lb_exchange *ex, enum lb_failure why)
{
    struct lb_worker *w = ex->client->worker;
    struct lb_client *c = ex->client;
    CHECK(ex->upstream == NULL);
    if (why == LB_FAIL_REFUSED || why == LB_FAIL_CONNECT_TIMEOUT) {
        note_refusal(ex, LBSTATS_TARGET_CONN_ERRORS);
    } else if (why == LB_FAIL_TLS || why == LB_FAIL_TLS_TIMEOUT) {
        note_refusal(ex, LBSTATS_TARGET_TLS_ERRORS);
    }
    if (ex->group->is_watched && why != LB_FAIL_UNSENT && why != LB_FAIL_EXPIRED) {
        lb_watch_answer(ex, true);
    }
    if (ex->has_response) {
        /* too late for another answer: the client must see that this one is cut off */
        end_exchange(ex, false);
        lb_client_close(c);
        return;
    }
    log_debug(
        "lb",
        "target %.*s:%d gave no answer: reason %d, try %u, draining %d in version %llu of %llu",
        STR_ARG(ex->pool->peer->host), (int)ex->pool->peer->port, (int)why,
        (unsigned)ex->connect_count, (int)atomic_load(&ex->pool->peer->is_draining),
        (unsigned long long)ex->conf->version, (unsigned long long)w->conf->version);
    if (!may_try_again(ex, why)) {
        reply_error(ex, status_of(why));
        return;
    }
    if (ex->refused_count < LB_CONNECTS_MAX) {
        ex->refused[ex->refused_count++] = ex->pool->peer;
    }
    lb_count_one(w, ex->client->slot, LBSTATS_RETRIES);
    lb_count_one(w, ex->group->slot, LBSTATS_RETRIES);
    leave_target(ex);
    if (ex->out != NULL) {
        ex->out->at = 0;
    }
    lb_block_give(&w->blocks, ex->head);
    ex->head = NULL;
    ex->has_begun = false;
    ex->interim_count = 0;
    ex->is_cut = false;
    /* not from here: the caller may itself be on the way out of a try */
    ev_defer(&w->loop, &ex->again, try_again);
}

void lb_exchange_abort(struct lb_exchange *ex, unsigned status)
{
    if (status == 460 && !ex->request.is_done) {
        status = 400; /* ALB: the client left in the middle of its body */
    }
    if (!ex->has_response) {
        lb_count_own(ex->client, ex, status);
        ex->access.status = (uint16_t)status;
    }
    end_exchange(ex, false);
}

/* The client sends its body too slowly, or not as it said. */
static void refuse_body(struct lb_exchange *ex, unsigned status)
{
    struct lb_client *c = ex->client;
    bool may_answer = !ex->has_response;
    if (may_answer) {
        note_reply(ex, status, true);
    }
    lb_exchange_abort(ex, status);
    if (may_answer) {
        lb_reply_error(c, status, false, true);
    } else {
        lb_client_close(c);
    }
}

void lb_exchange_too_slow(struct lb_exchange *ex)
{
    refuse_body(ex, 408);
}

void lb_exchange_expire(struct lb_exchange *ex)
{
    struct lb_worker *w = ex->client->worker;
    lb_count_one(w, ex->client->slot, LBSTATS_DRAIN_CUTS);
    lb_count_one(w, ex->group->slot, LBSTATS_DRAIN_CUTS);
    drop_upstream(ex, false);
    lb_exchange_failed(ex, LB_FAIL_EXPIRED);
}

/* ---- to the target --------------------------------------------------------------------------- */

/* The newest configuration's idea of the group: targets may have gone since. */
static struct lb_group *group_now(const struct lb_exchange *ex)
{
    struct lb_conf *conf = ex->client->worker->conf;
    for (size_t i = 0; i < conf->group_count; i++) {
        if (conf->groups[i].serial == ex->group->serial) {
            return &conf->groups[i];
        }
    }
    return NULL;
}

static void try_target(struct lb_exchange *ex)
{
    struct lb_worker *w = ex->client->worker;
    bool is_retry = ex->connect_count > 0;
    struct lb_group *g = is_retry ? group_now(ex) : ex->group;
    struct lb_peer *peer = is_retry || ex->affinity == NULL ? NULL : ex->affinity->wanted;
    if (peer == NULL && g != NULL) {
        peer = lb_pick(w, g, ex->refused, ex->refused_count);
    }
    if (!is_retry && peer != NULL && lb_group_is_open(g)) {
        lb_count_one(w, g->slot, LBSTATS_UNHEALTHY_ROUTED);
    }
    bool is_same = false;
    if (peer == NULL && g != NULL && is_retry) {
        peer = lb_pick(w, g, NULL, 0); /* nobody else: the same target, over a new connection */
        is_same = true;
    }
    if (peer == NULL) {
        reply_error(ex, is_retry ? 502 : 503);
        return;
    }
    enter_target(ex, is_retry ? w->conf : ex->conf, peer);
    ex->connect_count++;
    if (!lb_upstream_open(ex, is_same)) {
        lb_exchange_failed(ex, LB_FAIL_REFUSED);
        return;
    }
    if (!ex->upstream->is_connecting) {
        lb_exchange_send(ex);
    }
}

static void try_again(struct ev_defer *d)
{
    try_target(CONTAINER_OF(d, struct lb_exchange, again));
}

/* The head is on its way, and all that we have of the body. */
static void sent_all(struct lb_exchange *ex)
{
    if (!ex->may_replay) {
        lb_block_give(&ex->client->worker->blocks, ex->out);
        ex->out = NULL;
    }
    lb_upstream_wait(ex->upstream, ex->listener->idle_timeout);
    if (ex->owes_continue) {
        ex->owes_continue = false;
        (void)lb_client_send(ex->client, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    }
}

/* It takes no more. What it may have answered before is still to be read, and the end behind that
 * tells the rest. */
static void send_failed(struct lb_exchange *ex)
{
    bool is_unsent =
        !ex->has_response && lb_upstream_got_nothing(ex->upstream, ex->upstream_sent_before);
    if (is_unsent) {
        drop_upstream(ex, false);
        lb_exchange_failed(ex, LB_FAIL_UNSENT);
        return;
    }
    ex->is_cut = true;
    if (!ex->may_replay) {
        lb_block_give(&ex->client->worker->blocks, ex->out);
        ex->out = NULL;
    } else {
        ex->out->at = ex->out->end;
    }
    lb_upstream_arm(ex->upstream);
}

void lb_exchange_send(struct lb_exchange *ex)
{
    struct lb_upstream *u = ex->upstream;
    if (!ex->has_begun) {
        ex->has_begun = true;
        ex->send_count++;
        ex->sent_at = clock_mono();
    }
    while (lb_block_waiting(ex->out) > 0) {
        struct lb_block *b = ex->out;
        ssize_t n = lb_upstream_write_now(u, str_make(b->bytes + b->at, lb_block_waiting(b)));
        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                send_failed(ex);
                return;
            }
            lb_upstream_arm(u);
            return;
        }
        u->sent_bytes += (uint64_t)n;
        b->at += (uint32_t)n;
    }
    struct lb_client *c = ex->client;
    sent_all(ex);
    if (!ex->is_over) {
        if (u->link != NULL) {
            lb_link_resume(u);
        }
        lb_upstream_arm(u);
        if (!ex->request.is_done || ex->is_tunnel) {
            lb_client_arm(c);
        }
    }
}

/* ---- the body -------------------------------------------------------------------------------- */

bool lb_exchange_wants_body(const struct lb_exchange *ex)
{
    return ex->upstream != NULL && !ex->upstream->is_connecting && lb_block_waiting(ex->out) == 0;
}

static void forward_body(struct lb_exchange *ex, struct str bytes)
{
    struct lb_worker *w = ex->client->worker;
    struct lb_upstream *u = ex->upstream;
    if (lb_replay_keep(ex, bytes)) {
        lb_exchange_send(ex);
        return;
    }
    ex->may_replay = false;
    lb_block_give(&w->blocks, ex->out);
    ex->out = NULL;
    while (bytes.len > 0) {
        ssize_t n = lb_upstream_write_now(u, bytes);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            send_failed(ex);
            return;
        }
        size_t sent = n < 0 ? 0 : (size_t)n;
        bool is_short = sent < bytes.len;
        u->sent_bytes += sent;
        bytes = str_from(bytes, sent);
        if (is_short) {
            break;
        }
    }
    if (bytes.len > 0) {
        CHECK(lb_block_add(&w->blocks, &ex->out, bytes));
    }
    if (u->link != NULL) {
        lb_link_resume(u);
    }
    lb_upstream_arm(u);
    lb_upstream_wait(u, ex->listener->idle_timeout);
}

void lb_exchange_read_body(struct lb_exchange *ex)
{
    struct lb_client *c = ex->client;
    struct lb_worker *w = c->worker;
    char *at = lb_read_at(w);
    ssize_t n = lb_client_read_now(c, at, lb_read_room(w));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n == 0 && lb_stream_ends_body(ex)) {
        forward_body(ex, lb_stream_end_body(ex, at));
        return;
    }
    if (n <= 0) {
        lb_exchange_abort(ex, 460);
        lb_client_close(c);
        return;
    }
    size_t used = 0;
    struct str bytes;
    if (!lb_body_pass(&ex->request, at, (size_t)n, &used, &bytes)) {
        refuse_body(ex, 400);
        return;
    }
    ex->request_bytes += (uint64_t)n;
    ex->client_bytes += used;
    ex->access.received_bytes += used;
    if (used < (size_t)n && !lb_client_keep_ahead(c, str_make(at + used, (size_t)n - used))) {
        lb_exchange_abort(ex, 460);
        lb_client_close(c);
        return;
    }
    if (lb_body_is_too_slow(ex)) {
        refuse_body(ex, 408);
        return;
    }
    lb_client_wait(c);
    forward_body(ex, bytes);
    if (!ex->is_over) {
        lb_client_arm(c);
    }
}

void lb_exchange_flushed(struct lb_exchange *ex)
{
    if (ex->has_response && ex->response.is_done && !ex->is_tunnel) {
        lb_exchange_done(ex);
    } else if (ex->upstream != NULL) {
        lb_upstream_wait(ex->upstream, ex->listener->idle_timeout);
        lb_upstream_arm(ex->upstream);
    }
}

void lb_exchange_let_go(struct lb_exchange *ex, bool may_stay)
{
    drop_upstream(ex, may_stay);
}

void lb_exchange_end_tunnel(struct lb_exchange *ex)
{
    struct lb_client *c = ex->client;
    end_exchange(ex, false);
    lb_client_finish(c, false);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static bool is_method(const struct h1_head *h, const char *text)
{
    return str_equal(h1_str(h, h->method), str_of(text));
}

static bool is_idempotent(const struct h1_head *h)
{
    return is_method(h, "GET") || is_method(h, "HEAD") || is_method(h, "PUT") ||
           is_method(h, "DELETE") || is_method(h, "OPTIONS");
}

/* What we refuse of a well-formed request: 0, or the status. */
static unsigned refusal(const struct h1_head *h, const struct lb_listener *l)
{
    if (l->desync == LB_DESYNC_STRICTEST && h->verdict > H1_COMPLIANT) {
        return 400;
    }
    if (is_method(h, "TRACE") || is_method(h, "CONNECT")) {
        return 405;
    }
    return h->has_other_expect ? 417 : 0;
}

/* Source: ALB, desync mitigation: after an ambiguous request the connections to client and target
 * end, but in monitor mode. */
static bool ends_connections(const struct h1_head *h, const struct lb_listener *l)
{
    return h->verdict >= H1_AMBIGUOUS && (l->desync != LB_DESYNC_MONITOR || h->must_close);
}

static bool may_stay_open(const struct lb_client *c, const struct lb_listener *l)
{
    const struct lb_worker *w = c->worker;
    dur_t age = mono_since(ev_now(&w->loop), c->accepted_at);
    return w->request_head.wants_keep_alive && !ends_connections(&w->request_head, l) &&
           !w->is_stopping && age.us < l->client_keep_alive.us;
}

/* An answer of our own; reads past the body when it is here, else the connection ends. */
static size_t answer(struct lb_client *c, const struct lb_listener *l, const struct lb_action *a,
                     unsigned status, char *bytes, size_t count)
{
    const struct h1_head *h = &c->worker->request_head;
    size_t used = 0;
    struct lb_body body;
    lb_body_init(&body, h->framing, h->content_length, false);
    struct str ignored;
    if (!body.is_done && count > h->head_bytes) {
        (void)lb_body_pass(&body, bytes + h->head_bytes, count - h->head_bytes, &used, &ignored);
    }
    bool is_blocked = l->desync == LB_DESYNC_STRICTEST && h->verdict > H1_COMPLIANT;
    bool closes = !body.is_done || is_blocked || !may_stay_open(c, l);
    bool is_head = is_method(h, "HEAD");
    lb_count_client_bytes(c, h->head_bytes + used);
    struct lb_own_answer own = {.listener = l,
                                .rule = c->worker->log_pen.rule,
                                .received_bytes = h->head_bytes + used,
                                .has_head = true};
    c->worker->log_pen.pending = l->access_sink == 0 ? NULL : &own;
    if (a == NULL) {
        lb_count_own(c, NULL, status);
        lb_reply_error(c, status, is_head, closes);
    } else if (a->type == LB_SIGN_IN) {
        lb_reply_sign_in(c, a, is_head, closes);
    } else if (a->type == LB_FIXED) {
        lb_reply_fixed(c, a, is_head, closes);
    } else {
        lb_reply_redirect(c, l, a, is_head, closes);
    }
    if (!closes) {
        lb_client_wait(c);
    }
    return h->head_bytes + used;
}

/* A forward to a group, and what ties the client to it. */
struct route {
    struct lb_group *group;
    const struct lb_action *action;
    struct lb_affinity *affinity;
};

static struct lb_exchange *start(struct lb_client *c, const struct lb_listener *l,
                                 const struct route *route)
{
    struct lb_worker *w = c->worker;
    const struct h1_head *h = &w->request_head;
    struct lb_exchange *ex = take_exchange(w);
    ex->client = c;
    ex->conf = w->conf;
    add_to(&ex->conf->uses[w->id].count, 1);
    ex->listener = l;
    ex->group = route->group;
    ex->action = route->action;
    ex->affinity = route->affinity;
    ex->began = ev_now(&w->loop);
    ex->is_idempotent = is_idempotent(h);
    ex->is_head = is_method(h, "HEAD");
    ex->is_http10 = h->minor_version == 0;
    ex->is_websocket = h->is_websocket;
    ex->wants_keep_alive = may_stay_open(c, l);
    ex->closes_target = ends_connections(h, l);
    ex->may_send_more = h->wants_keep_alive || ex->closes_target;
    ex->takes_trailers = c->stream != NULL || (lb_asks_for_trailers(h) && !ex->is_http10);
    ex->is_grpc = c->stream != NULL && lb_is_grpc(h);
    lb_body_init(&ex->request, lb_request_framing(c, h, route->group), h->content_length,
                 route->group->version == LB_HTTP1);
    c->exchange = ex;
    return ex;
}

/* Head and first part of the body into one block. False when the body is malformed. */
static bool fill_out(struct lb_exchange *ex, const struct h1_writer *head, char *bytes,
                     size_t count, size_t *ret_used)
{
    struct lb_worker *w = ex->client->worker;
    const struct h1_head *h = &w->request_head;
    size_t used = 0;
    struct str body = STR("");
    if (!ex->request.is_done && count > h->head_bytes) {
        if (!lb_body_pass(&ex->request, bytes + h->head_bytes, count - h->head_bytes, &used,
                          &body)) {
            return false;
        }
    }
    size_t total = head->len + body.len;
    ex->out = lb_block_take(&w->blocks, lb_replay_room(h, head->len, body.len));
    memcpy(ex->out->bytes, head->ptr, head->len);
    if (body.len > 0) {
        memcpy(ex->out->bytes + head->len, body.ptr, body.len);
    }
    ex->out->end = (uint32_t)total;
    if (lb_stream_ends_body(ex) && !ex->request.is_done) {
        struct str tail = lb_stream_end_body(ex, lb_read_at(w));
        CHECK(lb_block_add(&w->blocks, &ex->out, tail));
        total += tail.len;
    }
    ex->may_replay = total <= LB_REPLAY_BYTES_MAX;
    ex->request_bytes = used;
    ex->client_bytes = h->head_bytes + used;
    ex->access.received_bytes = ex->client_bytes;
    ex->owes_continue = h->expects_continue && !ex->request.is_done && used == 0;
    *ret_used = h->head_bytes + used;
    return true;
}

static unsigned status_of_rewrite(enum lb_rewrite r)
{
    if (r == LB_REWRITE_TRANSFORM_FAILED) {
        return 500;
    }
    return r == LB_REWRITE_TOO_MANY_ADDRESSES ? 463 : 400;
}

static size_t forward(struct lb_client *c, const struct lb_listener *l, const struct lb_rule *rule,
                      const struct route *route, char *bytes, size_t count)
{
    struct h1_writer head;
    enum lb_rewrite r = lb_rewrite_request(c, l, rule, &head);
    if (r != LB_REWRITE_OK) {
        lb_affinity_give(c->worker, route->affinity);
        return answer(c, l, NULL, status_of_rewrite(r), bytes, count);
    }
    struct lb_exchange *ex = start(c, l, route);
    if (ex->is_grpc) {
        lb_count_one(c->worker, c->slot, LBSTATS_GRPC_REQUESTS);
    }
    if (route->affinity != NULL && route->affinity->is_new) {
        lb_count_one(c->worker, c->slot, LBSTATS_NON_STICKY);
    }
    size_t used = 0;
    if (!fill_out(ex, &head, bytes, count, &used)) {
        lb_count_own(c, NULL, 400);
        end_exchange(ex, false);
        struct lb_own_answer own = {
            .listener = l, .rule = rule, .received_bytes = count, .has_head = true};
        c->worker->log_pen.pending = l->access_sink == 0 ? NULL : &own;
        lb_reply_error(c, 400, false, true);
        return count;
    }
    if (l->access_sink != 0) {
        lb_access_begin(ex, rule);
    }
    if (!ex->request.is_done) {
        lb_client_wait(c);
        used = count;
    }
    try_target(ex);
    return used;
}

size_t lb_exchange_begin(struct lb_client *c, char *bytes, size_t count)
{
    struct lb_worker *w = c->worker;
    const struct h1_head *h = &w->request_head;
    const struct lb_listener *l = lb_client_listener(c);
    if (l == NULL) {
        lb_client_finish(c, true);
        return count;
    }
    if (h->verdict > H1_COMPLIANT) {
        lb_count_one(w, c->slot, LBSTATS_NON_COMPLIANT);
    }
    w->log_pen.rule = NULL;
    struct lb_login_says says = {0};
    if (c->sign_in != NULL && lb_sign_in_answer(c, &says)) {
        return answer(c, l, says.reply, says.status, bytes, count);
    }
    unsigned status = refusal(h, l);
    if (status != 0) {
        return answer(c, l, NULL, status, bytes, count);
    }
    if (w->conf->challenge_count > 0) {
        const struct lb_action *reply = lb_challenge_find(w->conf, l, h1_str(h, h->path));
        if (reply != NULL) {
            return answer(c, l, reply, 0, bytes, count);
        }
    }
    if (w->has_gates) {
        switch (lb_gate_ask(c, l)) {
        case LB_GATE_OPEN:
            break;
        case LB_GATE_HOLDS:
            return 0;
        case LB_GATE_IS_FULL:
            return answer(c, l, NULL, 503, bytes, count);
        case LB_GATE_ANSWERS:
            return answer(c, l, &l->gate->page, 0, bytes, count);
        }
    }
    struct lb_request_facts facts = {.head = h, .scratch = w->regex_scratch};
    memcpy(facts.peer, c->peer, sizeof(facts.peer));
    const struct lb_rule *rule = lb_rule_find(l, &facts);
    lb_count_rules(c, l, rule);
    w->log_pen.rule = rule;
    if (l->has_logins && lb_login_ask(c, l, rule, &says)) {
        return says.holds ? 0 : answer(c, l, says.reply, says.status, bytes, count);
    }
    if (rule != NULL && rule->guard != NULL) {
        status = lb_guard_ask(rule->guard, h);
        if (status != 0) {
            return answer(c, l, NULL, status, bytes, count);
        }
    }
    if (rule != NULL && rule->action.type != LB_FORWARD) {
        return answer(c, l, &rule->action, 0, bytes, count);
    }
    struct route route = {.action = rule == NULL ? NULL : &rule->action};
    if (rule != NULL) {
        route.group = lb_group_choose(w, rule, &route.affinity);
    }
    if (route.group == NULL || route.group->usable_count == 0) {
        lb_affinity_give(w, route.affinity);
        return answer(c, l, NULL, 503, bytes, count);
    }
    if (!lb_version_fits(c, h, route.group)) {
        lb_affinity_give(w, route.affinity);
        return answer(c, l, NULL, 464, bytes, count);
    }
    return forward(c, l, rule, &route, bytes, count);
}
