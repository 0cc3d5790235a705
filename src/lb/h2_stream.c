/* A stream as one who asks: what exchange.c and response.c do with a client, done with frames. */

#include "base/check.h"
#include "base/mem.h"
#include "lb/h2_private.h"

#include <errno.h>

/* ---- life -------------------------------------------------------------------------------------
 */

struct lb_stream *lb_stream_take(struct lb_h2 *h2, int32_t id)
{
    struct lb_h2_shared *shared = h2->worker->h2;
    const struct lb_client *carrier = h2->carrier;
    struct lb_stream *s;
    if (list_is_empty(&shared->free_streams)) {
        s = MEM_NEW(struct lb_stream);
    } else {
        s = CONTAINER_OF(shared->free_streams.next, struct lb_stream, node);
        list_remove(&s->node);
        memset(s, 0, sizeof(*s));
    }
    s->h2 = h2;
    s->id = id;
    list_init(&s->news);
    list_init(&s->sending);
    lb_h2_head_init(&s->head, &h2->worker->blocks);
    struct lb_client *c = &s->client;
    c->stream = s;
    c->worker = h2->worker;
    c->tls = carrier->tls; /* to be asked, not to be written to */
    c->accepted_at = carrier->accepted_at;
    c->listener_serial = carrier->listener_serial;
    c->listener_index = carrier->listener_index;
    c->slot = carrier->slot;
    c->state = LB_CLIENT_OPEN;
    memcpy(c->peer, carrier->peer, sizeof(c->peer));
    c->peer_port = carrier->peer_port;
    c->is_ipv6 = carrier->is_ipv6;
    list_add_tail(&h2->streams, &s->node);
    h2->stream_count++;
    h2->request_count++;
    return s;
}

void lb_stream_bury(struct lb_stream *s)
{
    struct lb_h2 *h2 = s->h2;
    struct lb_client *c = &s->client;
    struct lb_blocks *blocks = &h2->worker->blocks;
    CHECK(c->exchange == NULL);
    c->state = LB_CLIENT_DEAD;
    ev_timer_stop(&c->timer);
    if (c->hold == LB_HOLD_WAITS) {
        lb_gate_leave(c);
    }
    if (c->sign_in != NULL) {
        lb_sign_in_leave(c);
    }
    size_t untaken = lb_block_waiting(s->inbox);
    if (untaken > s->inbox_head_bytes) {
        (void)nghttp2_session_consume_connection(h2->session, untaken - s->inbox_head_bytes);
    }
    lb_h2_head_fini(&s->head);
    lb_block_give(blocks, s->inbox);
    lb_block_give(blocks, s->trailers);
    lb_block_give(blocks, s->reply_trailers);
    lb_block_give(blocks, c->back);
    s->inbox = NULL;
    s->trailers = NULL;
    s->reply_trailers = NULL;
    c->back = NULL;
    if (!s->is_closed) {
        (void)nghttp2_session_set_stream_user_data(h2->session, s->id, NULL);
    }
    list_remove(&s->news);
    list_remove(&s->sending);
    list_remove(&s->node);
    list_add_tail(&h2->worker->h2->dead_streams, &s->node);
    h2->stream_count--;
    lb_worker_sweep_later(h2->worker);
}

void lb_stream_close(struct lb_stream *s)
{
    if (s->client.state == LB_CLIENT_DEAD) {
        return;
    }
    if (!s->is_closed) {
        uint32_t code = s->has_begun ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_REFUSED_STREAM;
        (void)nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, code);
        lb_h2_turn_later(s->h2);
    }
    lb_stream_bury(s);
}

void lb_stream_tell(struct lb_stream *s)
{
    if (list_is_empty(&s->news)) {
        list_add_tail(&s->h2->news, &s->news);
    }
}

/* ---- the request ------------------------------------------------------------------------------
 */

/* Connections do not live for ever: other workers, other configurations. */
static void age(struct lb_h2 *h2, const struct lb_listener *l)
{
    dur_t since = mono_since(ev_now(&h2->worker->loop), h2->carrier->accepted_at);
    if (h2->request_count >= LB_H2_REQUESTS_MAX || since.us >= l->client_keep_alive.us) {
        lb_h2_leave(h2);
    }
}

/* What was in it is with the exchange, or nobody wants it. */
static void drop_inbox(struct lb_stream *s)
{
    size_t body = lb_block_waiting(s->inbox) - s->inbox_head_bytes;
    if (body > 0 && !s->is_closed) {
        (void)nghttp2_session_consume(s->h2->session, s->id, body);
    }
    lb_block_give(&s->h2->worker->blocks, s->inbox);
    s->inbox = NULL;
    s->inbox_head_bytes = 0;
}

static void begin(struct lb_stream *s)
{
    struct lb_worker *w = s->h2->worker;
    struct lb_client *c = &s->client;
    const struct lb_listener *l = lb_client_listener(c);
    if (l == NULL) {
        lb_h2_leave(s->h2);
        lb_stream_close(s);
        return;
    }
    s->has_begun = true;
    age(s->h2, l);
    if (s->is_over_limit) {
        h1_head_init(&w->request_head);
        lb_client_refuse(c, 400, s->head.list_bytes);
        return;
    }
    size_t count = lb_block_waiting(s->inbox);
    char *bytes = lb_read_at(w);
    memcpy(bytes, s->inbox->bytes, count);
    h1_head_init(&w->request_head);
    enum h1_result r = h1_parse_request(&w->request_head, bytes, count);
    s->is_beginning = true;
    if (r == H1_DONE) {
        (void)lb_exchange_begin(c, bytes, count);
    } else if (r == H1_BAD) {
        lb_client_refuse_head(c, count);
    } else {
        lb_client_refuse(c, 400, count); /* a head that is complete for us and not for the parser */
    }
    s->is_beginning = false;
    if (lb_client_is_held(c)) {
        s->has_begun = false; /* the listener pauses, or it signs in: all of it stays here */
    } else if (c->state != LB_CLIENT_DEAD) {
        drop_inbox(s);
    }
}

static bool has_body(const struct lb_stream *s)
{
    const struct lb_exchange *ex = s->client.exchange;
    return ex != NULL && !ex->request.is_done && (s->inbox != NULL || s->has_ended) &&
           lb_exchange_wants_body(ex);
}

void lb_stream_work(struct lb_stream *s)
{
    if (!s->has_head || lb_client_is_held(&s->client)) {
        return;
    }
    if (!s->has_begun) {
        begin(s);
    }
    while (has_body(s)) {
        lb_exchange_read_body(s->client.exchange);
    }
}

ssize_t lb_stream_read(struct lb_stream *s, char *at, size_t room)
{
    size_t waiting = lb_block_waiting(s->inbox);
    if (waiting == 0) {
        errno = EAGAIN;
        return s->has_ended ? 0 : -1;
    }
    size_t count = waiting < room ? waiting : room;
    memcpy(at, s->inbox->bytes + s->inbox->at, count);
    s->inbox->at += (uint32_t)count;
    if (count == waiting) {
        lb_block_give(&s->h2->worker->blocks, s->inbox);
        s->inbox = NULL;
    }
    if (!s->is_closed) {
        (void)nghttp2_session_consume(s->h2->session, s->id, count);
        lb_h2_turn_later(s->h2);
    }
    return (ssize_t)count;
}

/* All of the request was read. */
static bool has_ended(const struct lb_stream *s)
{
    return s->has_ended && (s->inbox == NULL || s->is_beginning);
}

struct str lb_stream_end_body(struct lb_exchange *ex, char *room)
{
    struct str tail;
    CHECK(lb_body_close(&ex->request, &tail));
    ex->request.trailers = ex->client->stream->trailers;
    ex->client->stream->trailers = NULL;
    lb_trailers_filter(&ex->client->worker->blocks, &ex->request.trailers);
    bool is_chunked = ex->request.trailers != NULL && ex->request.is_chunked_out;
    return is_chunked ? lb_trailers_tail(ex->request.trailers, room) : tail;
}

bool lb_stream_ends_body(const struct lb_exchange *ex)
{
    const struct lb_stream *s = ex->client->stream;
    return s != NULL && has_ended(s) && ex->request.in == H1_UNTIL_CLOSE;
}

void lb_stream_resume(struct lb_stream *s)
{
    lb_stream_tell(s);
    lb_h2_turn_later(s->h2);
}

void lb_stream_arm(struct lb_stream *s)
{
    if (s->client.state != LB_CLIENT_DEAD && has_body(s)) {
        lb_stream_tell(s);
        lb_h2_turn_later(s->h2);
    }
}

/* ---- the response -----------------------------------------------------------------------------
 */

bool lb_stream_is_complete(const struct lb_stream *s)
{
    const struct lb_exchange *ex = s->client.exchange;
    return s->has_answered && (ex == NULL || (ex->has_response && ex->response.is_done));
}

static void submit_trailers(struct lb_stream *s)
{
    struct lb_h2_fields *f = &s->h2->worker->h2->fields;
    const struct lb_block *b = s->reply_trailers;
    lb_h2_fields_of_trailers(f, str_make(b->bytes + b->at, lb_block_waiting(b)));
    (void)nghttp2_submit_trailer(s->h2->session, s->id, f->at, f->count);
}

static ssize_t give_data(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *self)
{
    (void)to;
    (void)source;
    (void)self;
    struct lb_stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (s == NULL) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    size_t waiting = lb_block_waiting(s->client.back);
    bool is_complete = lb_stream_is_complete(s);
    if (waiting == 0 && !is_complete) {
        s->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t count = waiting < room ? waiting : room;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (count == waiting && is_complete) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->reply_trailers != NULL) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(s);
        }
    }
    return (ssize_t)count;
}

static void resume(struct lb_stream *s)
{
    if (s->is_deferred && !s->is_closed) {
        s->is_deferred = false;
        (void)nghttp2_session_resume_data(s->h2->session, s->id);
    }
    lb_h2_turn_later(s->h2);
}

static bool add_body(struct lb_stream *s, struct str body)
{
    struct lb_client *c = &s->client;
    if (body.len == 0) {
        return true;
    }
    if (!lb_block_add(&c->worker->blocks, &c->back, body)) {
        if (c->exchange != NULL) {
            lb_exchange_abort(c->exchange, 0); /* past all limits, see lb_client_send */
        }
        lb_stream_close(s);
        return false;
    }
    if (list_is_empty(&s->sending)) {
        list_add_tail(&s->h2->sending, &s->sending);
    }
    return true;
}

/* One head, which may be followed by others when it is an interim one. */
static size_t submit_head(struct lb_stream *s, struct str text, bool is_end)
{
    struct lb_h2_fields *f = &s->h2->worker->h2->fields;
    unsigned status = 0;
    size_t head_bytes = lb_h2_fields_of_response(f, text, &status);
    CHECK(head_bytes > 0);
    int code = 0;
    if (status < 200) {
        code = nghttp2_submit_headers(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NULL, f->at,
                                      f->count, NULL);
    } else {
        nghttp2_data_provider body = {.read_callback = give_data};
        s->has_answered = true;
        code =
            nghttp2_submit_response(s->h2->session, s->id, f->at, f->count, is_end ? NULL : &body);
    }
    return code == 0 && !f->is_broken ? head_bytes : 0;
}

bool lb_stream_answer(struct lb_stream *s, struct str head, struct str body)
{
    struct lb_client *c = &s->client;
    if (c->state == LB_CLIENT_DEAD) {
        return false;
    }
    bool is_done = c->exchange == NULL || c->exchange->response.is_done;
    bool has_trailers = c->exchange != NULL && c->exchange->response.trailers != NULL;
    if (submit_head(s, head, is_done && body.len == 0 && !has_trailers) == 0) {
        if (c->exchange != NULL) {
            lb_exchange_abort(c->exchange, 0);
        }
        lb_stream_close(s);
        return false;
    }
    lb_h2_turn_later(s->h2);
    return add_body(s, body);
}

/* Bytes as for a connection: a head of ours first, then the body. */
bool lb_stream_send(struct lb_stream *s, struct str bytes)
{
    if (s->client.state == LB_CLIENT_DEAD) {
        return false;
    }
    if (!s->has_answered) {
        size_t end = str_find(bytes, STR("\r\n\r\n"), 0);
        CHECK(end != STR_NOT_FOUND);
        return lb_stream_answer(s, str_slice(bytes, 0, end + 4), str_from(bytes, end + 4));
    }
    resume(s);
    if (!add_body(s, bytes)) {
        return false;
    }
    if (s->client.exchange != NULL && !s->client.exchange->request.is_done) {
        lb_client_wait(&s->client); /* both directions count */
    }
    return true;
}

void lb_stream_add_trailers(struct lb_stream *s, struct str text)
{
    if (s->client.state != LB_CLIENT_DEAD && text.len > 0) {
        CHECK(lb_block_add(&s->h2->worker->blocks, &s->reply_trailers, text));
    }
}

void lb_stream_finish(struct lb_stream *s)
{
    if (s->client.state == LB_CLIENT_DEAD || s->is_closed) {
        return;
    }
    if (!s->has_answered) {
        lb_stream_close(s);
        return;
    }
    resume(s);
}
