/* From the target to the client. */

#include "base/check.h"
#include "lb/control.h"
#include "lb/tunnel.h"

#include <errno.h>

static void fail(struct lb_exchange *ex, enum lb_failure why)
{
    lb_exchange_let_go(ex, false);
    lb_exchange_failed(ex, why);
}

/* Sends head and body in one piece where the head fits in front of the body in the scratch buffer,
 * which is nearly always. */
static bool send_head(struct lb_exchange *ex, struct h1_writer *head, struct str body)
{
    struct lb_worker *w = ex->client->worker;
    if (ex->client->stream != NULL) {
        ex->client_bytes += head->len + body.len;
        return lb_stream_answer(ex->client->stream, str_make(head->ptr, head->len), body);
    }
    bool is_in_scratch =
        body.len > 0 && body.ptr > w->scratch && body.ptr < w->scratch + LB_SCRATCH_BYTES;
    if (is_in_scratch && (size_t)(body.ptr - w->scratch) >= head->len) {
        char *at = w->scratch + (body.ptr - w->scratch) - head->len;
        memcpy(at, head->ptr, head->len);
        ex->client_bytes += head->len + body.len;
        return lb_client_send(ex->client, str_make(at, head->len + body.len));
    }
    ex->client_bytes += head->len + body.len;
    if (!lb_client_send(ex->client, str_make(head->ptr, head->len))) {
        return false;
    }
    return body.len == 0 || lb_client_send(ex->client, body);
}

/* False when the client is gone. */
static bool send_trailers(struct lb_exchange *ex)
{
    struct lb_client *c = ex->client;
    struct lb_block *b = ex->response.trailers;
    if (b == NULL) {
        return true;
    }
    if (c->stream != NULL) {
        lb_stream_add_trailers(c->stream, str_make(b->bytes + b->at, lb_block_waiting(b)));
    } else if (ex->response.is_chunked_out &&
               !lb_client_send(c, lb_trailers_tail(b, c->worker->head_room))) {
        return false;
    }
    lb_body_fini(&ex->response, &c->worker->blocks);
    return true;
}

/* After bytes went to the client: is that all? */
static void after_send(struct lb_exchange *ex)
{
    struct lb_client *c = ex->client;
    if (!ex->response.is_done) {
        lb_upstream_wait(ex->upstream, ex->listener->idle_timeout);
        return;
    }
    if (!send_trailers(ex)) {
        return;
    }
    lb_exchange_let_go(ex, ex->upstream_may_stay && ex->request.is_done);
    if (c->back == NULL) {
        lb_exchange_done(ex);
    }
}

/* ---- heads ----------------------------------------------------------------------------------- */

/* Keep-Alive: timeout=5, max=100 */
static void read_keep_alive(struct lb_upstream *u, const struct h1_head *h)
{
    struct str rest = h1_find(h, H1_KEEP_ALIVE);
    struct str member;
    uint64_t seconds;
    while (h1_list_next(&rest, &member)) {
        struct str key;
        struct str value;
        if (str_cut(member, '=', &key, &value) && str_equal_nocase(str_trim(key), STR("timeout")) &&
            str_parse_u64(str_trim(value), 86400, &seconds) && DUR_S(seconds).us < u->idle_max.us) {
            u->idle_max = DUR_S(seconds);
        }
    }
}

/* The response has begun: the request cannot be tried again any more. */
static void forget_request(struct lb_exchange *ex)
{
    struct lb_worker *w = ex->client->worker;
    ex->has_response = true;
    ex->may_replay = false;
    ex->owes_continue = false;
    if (lb_block_waiting(ex->out) == 0) {
        lb_block_give(&w->blocks, ex->out);
        ex->out = NULL;
    }
    lb_block_give(&w->blocks, ex->head);
    ex->head = NULL;
}

static void start_tunnel(struct lb_exchange *ex, struct str behind)
{
    struct lb_client *c = ex->client;
    struct lb_worker *w = c->worker;
    lb_count_response(ex, 101, mono_since(clock_mono(), ex->sent_at));
    forget_request(ex);
    lb_tunnel_begin(ex);
    struct h1_writer head;
    lb_rewrite_response(w, ex, false, &head);
    if (!send_head(ex, &head, STR(""))) {
        return;
    }
    lb_tunnel_to_client(ex, behind);
    if (c->ahead != NULL && !ex->is_over) {
        /* the client did not wait for our answer */
        struct lb_block *ahead = c->ahead;
        c->ahead = NULL;
        lb_tunnel_to_target(ex, str_make(ahead->bytes + ahead->at, lb_block_waiting(ahead)));
        lb_block_give(&w->blocks, ahead);
    }
    if (!ex->is_over) {
        lb_client_arm(c);
    }
}

/* How the body comes. A stream's is raw, whatever its head says of the length, and trailers may
 * come behind it; one that has ended already has none. */
static enum h1_framing framing_of(const struct lb_exchange *ex, struct h1_head *h, size_t behind)
{
    const struct lb_upstream *u = ex->upstream;
    if (u->link == NULL || h->framing == H1_NO_BODY) {
        return h->framing;
    }
    if (behind == 0 && u->trailers == NULL && lb_link_has_ended(u)) {
        h->framing = H1_NO_BODY;
        return H1_NO_BODY;
    }
    return H1_UNTIL_CLOSE;
}

static void start_response(struct lb_exchange *ex, char *bytes, size_t count)
{
    struct lb_worker *w = ex->client->worker;
    struct h1_head *h = &w->response_head;
    size_t behind = count - h->head_bytes;
    if (h1_has(h, H1_KEEP_ALIVE)) {
        read_keep_alive(ex->upstream, h);
    }
    bool is_raw = ex->is_http10 && (h->framing == H1_CHUNKED || h->framing == H1_UNTIL_CLOSE);
    ex->closes_client = !ex->wants_keep_alive || w->is_stopping || !ex->request.is_done || is_raw ||
                        h->verdict >= H1_AMBIGUOUS;
    ex->upstream_may_stay = h->is_keep_alive && !ex->closes_target;
    lb_body_init(&ex->response, framing_of(ex, h, behind), h->content_length,
                 !ex->is_http10 && ex->client->stream == NULL);
    ex->response.blocks = ex->takes_trailers ? &w->blocks : NULL;
    struct h1_writer head;
    lb_rewrite_response(w, ex, ex->closes_client, &head);
    size_t used = 0;
    struct str body = STR("");
    if (behind > 0 && !ex->response.is_done &&
        !lb_body_pass(&ex->response, bytes + h->head_bytes, behind, &used, &body)) {
        fail(ex, LB_FAIL_MALFORMED); /* nothing has gone to the client: 502 */
        return;
    }
    lb_count_response(ex, h->status, mono_since(clock_mono(), ex->sent_at));
    if (ex->group->is_watched) {
        lb_watch_answer(ex, h->status >= 500);
    }
    forget_request(ex);
    if (used < behind) {
        ex->upstream_may_stay = false; /* bytes that nobody asked for */
    }
    if (send_head(ex, &head, body)) {
        after_send(ex);
    }
}

/* 100 is for us, 102 and 103 are for the client. False when the client is gone. */
static bool relay_interim(struct lb_exchange *ex)
{
    struct lb_worker *w = ex->client->worker;
    if (w->response_head.status == 100 || ex->is_http10) {
        return true;
    }
    struct h1_writer head;
    lb_rewrite_response(w, ex, false, &head);
    return send_head(ex, &head, STR(""));
}

/* Bytes of one or more heads, the last of which may be followed by a body. */
static void take_heads(struct lb_exchange *ex, char *bytes, size_t count)
{
    struct lb_worker *w = ex->client->worker;
    struct h1_head *h = &w->response_head;
    while (count > 0) {
        h1_head_init(h);
        enum h1_result r = h1_parse_response(h, bytes, count, ex->is_head);
        if (r == H1_MORE) {
            break;
        }
        if (r == H1_BAD || (h->status == 101 && !(ex->is_websocket && h->is_websocket))) {
            fail(ex, LB_FAIL_MALFORMED);
            return;
        }
        if (h->status == 101) {
            start_tunnel(ex, str_make(bytes + h->head_bytes, count - h->head_bytes));
            return;
        }
        if (h->status >= 200) {
            start_response(ex, bytes, count);
            return;
        }
        if (++ex->interim_count > LB_INTERIM_MAX) {
            fail(ex, LB_FAIL_MALFORMED);
            return;
        }
        if (!relay_interim(ex)) {
            return;
        }
        bytes += h->head_bytes;
        count -= h->head_bytes;
    }
    lb_block_give(&w->blocks, ex->head);
    ex->head = NULL;
    if (count > 0) {
        CHECK(lb_block_add(&w->blocks, &ex->head, str_make(bytes, count)));
    }
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void relay_body(struct lb_exchange *ex, char *bytes, size_t count)
{
    size_t used = 0;
    struct str body;
    if (ex->response.is_done) {
        ex->upstream_may_stay = false;
        return;
    }
    if (!lb_body_pass(&ex->response, bytes, count, &used, &body)) {
        fail(ex, LB_FAIL_MALFORMED);
        return;
    }
    if (used < count) {
        ex->upstream_may_stay = false;
    }
    ex->client_bytes += body.len;
    if (body.len == 0 || lb_client_send(ex->client, body)) {
        after_send(ex);
    }
}

/* The target closed, or the connection broke. */
static void take_end(struct lb_exchange *ex, bool is_proper)
{
    if (!ex->has_response) {
        bool is_unsent =
            ex->head == NULL && lb_upstream_got_nothing(ex->upstream, ex->upstream_sent_before);
        fail(ex, is_unsent ? LB_FAIL_UNSENT : LB_FAIL_CLOSED);
        return;
    }
    struct str tail;
    ex->upstream_may_stay = false;
    if (!is_proper || !lb_body_close(&ex->response, &tail)) {
        fail(ex, LB_FAIL_CLOSED);
        return;
    }
    if (ex->upstream->link != NULL) {
        ex->response.trailers = lb_link_take_trailers(ex->upstream);
        lb_trailers_filter(&ex->client->worker->blocks, &ex->response.trailers);
    }
    if (ex->response.trailers != NULL) {
        tail = STR("");
    }
    if (tail.len == 0 || lb_client_send(ex->client, tail)) {
        after_send(ex);
    }
}

void lb_response_read(struct lb_exchange *ex)
{
    struct lb_worker *w = ex->client->worker;
    char *at = lb_read_at(w);
    size_t before = lb_block_waiting(ex->head);
    if (before > 0) {
        memcpy(at, ex->head->bytes + ex->head->at, before);
    }
    size_t room = ex->has_response ? lb_read_room(w) : LB_READ_BYTES_MAX - before;
    if (ex->client->stream != NULL && room > LB_H2_READ_BYTES_MAX - before) {
        room = LB_H2_READ_BYTES_MAX - before;
    }
    ssize_t n = lb_upstream_read_now(ex->upstream, at + before, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        take_end(ex, n == 0);
    } else if (ex->has_response) {
        relay_body(ex, at, (size_t)n);
    } else {
        take_heads(ex, at, before + (size_t)n);
    }
}
