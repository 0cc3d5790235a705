/* A connection of a client that speaks HTTP/2. Its socket is the carrier's; what comes is read in
 * one go, told to nghttp2, and then worked on stream by stream; what all streams have to say goes
 * out in one send at the end of the turn. */

#include "base/check.h"
#include "base/mem.h"
#include "lb/h2_private.h"

#include <errno.h>

static const struct str preface_start = STR_INIT("PRI * HTTP/2.0\r\n");

static void turn(struct ev_defer *d);

void lb_h2_turn_later(struct lb_h2 *h2)
{
    ev_defer(&h2->worker->loop, &h2->turn, turn);
}

/* ---- callbacks --------------------------------------------------------------------------------
 */

static struct lb_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* HEADERS for a stream that is not open and not new. 0: they may have been on their way when we
 * reset it. nghttp2 ignores them all. */
static uint32_t error_of_late_head(const struct lb_h2 *h2, int32_t id)
{
    int32_t oldest = INT32_MAX;
    size_t count = h2->ended_count < LB_H2_ENDED_KEPT ? h2->ended_count : LB_H2_ENDED_KEPT;
    for (size_t i = 0; i < count; i++) {
        int32_t ended = h2->ended[i];
        if (ended == -id) {
            return 0;
        }
        if (ended == id) {
            return NGHTTP2_STREAM_CLOSED;
        }
        ended = ended < 0 ? -ended : ended;
        oldest = ended < oldest ? ended : oldest;
    }
    return count == LB_H2_ENDED_KEPT && id < oldest ? 0 : NGHTTP2_PROTOCOL_ERROR;
}

/* What nghttp2 lets pass though RFC 9113, 5.1.1 and 6.3, does not. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *self)
{
    const struct lb_h2 *h2 = self;
    uint32_t code = 0;
    if (hd->type == NGHTTP2_PRIORITY && hd->stream_id == 0) {
        code = NGHTTP2_PROTOCOL_ERROR;
    } else if (hd->type == NGHTTP2_HEADERS &&
               hd->stream_id <= nghttp2_session_get_last_proc_stream_id(session) &&
               hd->stream_id > 0 && stream_of(session, hd->stream_id) == NULL) {
        code = error_of_late_head(h2, hd->stream_id);
    }
    return code == 0 ? 0 : nghttp2_session_terminate_session(session, code);
}

/* The stream gets a code of our choice; nghttp2 would say INTERNAL_ERROR. */
static int reset(nghttp2_session *session, int32_t id, uint32_t code)
{
    (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, code);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *self)
{
    struct lb_h2 *h2 = self;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    int32_t id = frame->hd.stream_id;
    struct lb_stream *s = lb_stream_take(h2, id);
    CHECK(nghttp2_session_set_stream_user_data(session, id, s) == 0);
    return 0;
}

/* What HTTP/1 would drop or mend is malformed here. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *self)
{
    (void)name;
    (void)value;
    (void)flags;
    (void)self;
    return reset(session, frame->hd.stream_id, NGHTTP2_PROTOCOL_ERROR);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *self)
{
    (void)flags;
    struct lb_h2 *h2 = self;
    struct lb_stream *s = stream_of(session, frame->hd.stream_id);
    if (s == NULL || s->is_over_limit) {
        return 0;
    }
    struct str n = lb_h2_str(name);
    struct str v = lb_h2_str(value);
    if (s->has_head) {
        bool is_fine = lb_h2_add_line(&h2->worker->blocks, &s->trailers, n, v);
        return is_fine ? 0 : reset(session, s->id, NGHTTP2_PROTOCOL_ERROR);
    }
    enum lb_h2_result r = lb_h2_head_add(&s->head, n, v);
    s->is_over_limit = r == LB_H2_TOO_LARGE; /* answered when all of it has come */
    return r == LB_H2_MALFORMED ? reset(session, s->id, NGHTTP2_PROTOCOL_ERROR) : 0;
}

static int end_head(nghttp2_session *session, struct lb_stream *s, bool has_body)
{
    if (!s->is_over_limit && lb_h2_head_end(&s->head, has_body) != LB_H2_OK) {
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_PROTOCOL_ERROR);
        return 0;
    }
    s->inbox = s->head.text;
    s->inbox_head_bytes = (uint32_t)lb_block_waiting(s->inbox);
    s->head.text = NULL;
    lb_h2_head_fini(&s->head);
    s->has_head = true;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *self)
{
    struct lb_h2 *h2 = self;
    uint8_t type = frame->hd.type;
    if (type == NGHTTP2_WINDOW_UPDATE) {
        bool is_tiny = (uint32_t)frame->window_update.window_size_increment < LB_H2_TINY_WINDOW;
        return !is_tiny || lb_h2_watch_spend(&h2->watch, 1)
                   ? 0
                   : nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    struct lb_stream *s = stream_of(session, frame->hd.stream_id);
    if (s == NULL) {
        return 0;
    }
    s->was_reset = type == NGHTTP2_RST_STREAM;
    if (type != NGHTTP2_HEADERS && type != NGHTTP2_DATA) {
        return 0;
    }
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    s->has_ended = s->has_ended || is_end;
    lb_stream_tell(s);
    return type == NGHTTP2_HEADERS && !s->has_head ? end_head(session, s, !is_end) : 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t count, void *self)
{
    (void)flags;
    struct lb_h2 *h2 = self;
    struct lb_stream *s = stream_of(session, id);
    bool is_wanted =
        s != NULL && (!s->has_begun || s->client.exchange != NULL) &&
        lb_block_add(&h2->worker->blocks, &s->inbox, str_make((const char *)data, count));
    if (!is_wanted) {
        (void)nghttp2_session_consume(session, id, count);
        return 0;
    }
    lb_stream_tell(s);
    return 0;
}

static void note_ended(struct lb_h2 *h2, int32_t id)
{
    h2->ended[h2->ended_count++ % LB_H2_ENDED_KEPT] = id;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *self)
{
    struct lb_stream *s = stream_of(session, id);
    if (s == NULL) {
        note_ended(self, -id);
        return 0;
    }
    s->is_closed = true;
    note_ended(s->h2, s->has_ended || s->was_reset ? id : -id);
    struct lb_exchange *ex = s->client.exchange;
    if (ex != NULL && code == NGHTTP2_NO_ERROR && lb_stream_is_complete(s)) {
        lb_exchange_done(ex);
    } else if (ex != NULL) {
        lb_exchange_abort(ex, 460);
    }
    lb_stream_bury(s);
    return 0;
}

/* RFC 9113, 8.1: after the whole answer the client need not send the rest of its request. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *self)
{
    struct lb_h2 *h2 = self;
    uint8_t type = frame->hd.type;
    struct lb_stream *s = NULL;
    if (type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code == NGHTTP2_FLOW_CONTROL_ERROR) {
        /* RFC 9113, 6.9.2: after SETTINGS that overflow a window the connection ends */
        return nghttp2_session_terminate_session(session, NGHTTP2_FLOW_CONTROL_ERROR);
    }
    if (type == NGHTTP2_RST_STREAM) {
        s = stream_of(session, frame->hd.stream_id);
        bool is_their_fault =
            s != NULL ? !s->is_finished : frame->rst_stream.error_code == NGHTTP2_REFUSED_STREAM;
        if (is_their_fault && !lb_h2_watch_spend(&h2->watch, LB_H2_RESET_COST)) {
            return nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
        }
        return 0;
    }
    if (type != NGHTTP2_DATA && type != NGHTTP2_HEADERS) {
        return 0;
    }
    lb_h2_watch_earn(&h2->watch);
    s = stream_of(session, frame->hd.stream_id);
    if (s != NULL && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 && !s->has_ended) {
        s->is_finished = true;
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    }
    return 0;
}

static int put_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *frame_head,
                    size_t count, nghttp2_data_source *source, void *self)
{
    (void)source;
    struct lb_h2 *h2 = self;
    struct lb_stream *s = stream_of(session, frame->hd.stream_id);
    if (s == NULL) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    struct lb_client *c = &s->client;
    int result = lb_h2_put_data(h2->worker, frame_head, count, frame->data.padlen, &c->back);
    if (result == 0 && c->back == NULL && !list_is_empty(&s->sending)) {
        list_remove(&s->sending);
        list_add_tail(&h2->drained, &s->sending);
    } else if (result == 0 && ev_timer_is_set(&c->timer)) {
        lb_client_wait(c);
    }
    return result;
}

void lb_h2_front_callbacks(nghttp2_session_callbacks *to)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(to, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(to, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(to, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(to, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(to, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(to, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(to, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(to, on_sent);
    nghttp2_session_callbacks_set_send_data_callback(to, put_data);
}

/* ---- life -------------------------------------------------------------------------------------
 */

static void drop_streams(struct lb_h2 *h2, unsigned status)
{
    while (!list_is_empty(&h2->streams)) {
        struct lb_stream *s = CONTAINER_OF(h2->streams.next, struct lb_stream, node);
        s->is_closed = true;
        if (s->client.exchange != NULL) {
            lb_exchange_abort(s->client.exchange, status);
        }
        lb_stream_bury(s);
    }
}

void lb_h2_close(struct lb_client *c, unsigned status)
{
    struct lb_h2 *h2 = c->h2;
    c->h2 = NULL;
    ev_defer_cancel(&h2->turn);
    drop_streams(h2, status);
    nghttp2_session_del(h2->session);
    mem_free(h2);
}

void lb_h2_begin(struct lb_client *c)
{
    struct lb_worker *w = c->worker;
    struct lb_h2 *h2 = MEM_NEW(struct lb_h2);
    h2->worker = w;
    h2->carrier = c;
    list_init(&h2->streams);
    list_init(&h2->news);
    list_init(&h2->sending);
    list_init(&h2->drained);
    lb_h2_watch_init(&h2->watch, ev_now(&w->loop));
    c->h2 = h2;
    CHECK(nghttp2_session_server_new3(&h2->session, w->h2->front, h2, w->h2->front_option,
                                      &w->h2->memory.table) == 0);
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, LB_H2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, LB_H2_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, LB_H2_LIST_BYTES_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    CHECK(nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings,
                                  ARRAY_COUNT(settings)) == 0);
    CHECK(nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                LB_H2_CONNECTION_WINDOW_BYTES) == 0);
    lb_h2_turn_later(h2);
}

/* Bytes that came with the handshake are read by the event that brought them. */
lb_h2_accept_fn *const lb_h2_accept_hook = lb_h2_begin;

/* Nothing more is read or answered: what is framed goes out, then the connection ends. */
static void end(struct lb_h2 *h2)
{
    struct lb_client *c = h2->carrier;
    lb_h2_close(c, 460);
    lb_client_finish(c, true);
}

/* ---- out --------------------------------------------------------------------------------------
 */

static void tell_drained(struct lb_h2 *h2)
{
    while (!list_is_empty(&h2->drained)) {
        struct lb_stream *s = CONTAINER_OF(h2->drained.next, struct lb_stream, sending);
        list_remove(&s->sending);
        if (s->client.exchange != NULL) {
            lb_exchange_flushed(s->client.exchange);
        }
    }
    /* those that the client does not take have the idle timeout */
    LIST_FOR (slow, &h2->sending, struct lb_stream, sending) {
        if (!ev_timer_is_set(&slow->client.timer)) {
            lb_client_wait(&slow->client);
        }
    }
}

/* False when the connection is gone. */
static bool flush(struct lb_h2 *h2)
{
    struct lb_client *c = h2->carrier;
    struct lb_h2_shared *shared = h2->worker->h2;
    bool has_more = true;
    while (has_more && c->back == NULL) {
        has_more = lb_h2_gather(shared, h2->session);
        if (shared->out_bytes > 0 && !lb_client_send(c, str_make(shared->out, shared->out_bytes))) {
            return false;
        }
    }
    tell_drained(h2);
    if (c->back == NULL && nghttp2_session_want_read(h2->session) == 0 &&
        nghttp2_session_want_write(h2->session) == 0) {
        end(h2);
        return false;
    }
    return true;
}

static void work(struct lb_h2 *h2)
{
    while (!list_is_empty(&h2->news)) {
        struct lb_stream *s = CONTAINER_OF(h2->news.next, struct lb_stream, news);
        list_remove(&s->news);
        lb_stream_work(s);
    }
}

static void turn(struct ev_defer *d)
{
    struct lb_h2 *h2 = CONTAINER_OF(d, struct lb_h2, turn);
    struct lb_client *c = h2->carrier;
    work(h2);
    if (flush(h2)) {
        lb_client_arm(c);
    }
}

void lb_h2_resume(struct lb_client *c)
{
    lb_h2_turn_later(c->h2);
}

/* ---- in ---------------------------------------------------------------------------------------
 */

/* As long as a stream is open its own time counts. */
static void wait_for_more(struct lb_h2 *h2)
{
    bool is_in_head = lb_h2_watch_is_in_head(&h2->watch);
    if (!is_in_head) {
        lb_client_wait(h2->carrier);
    } else if (!h2->is_in_head) {
        lb_client_wait_for_head(h2->carrier); /* once: what drips in gains no time */
    }
    h2->is_in_head = is_in_head;
}

static void take(struct lb_client *c, struct str bytes)
{
    struct lb_h2 *h2 = c->h2;
    bool is_calm = lb_h2_watch_pass(&h2->watch, bytes, ev_now(&h2->worker->loop));
    if (!is_calm) {
        (void)nghttp2_session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
    } else {
        ssize_t n = nghttp2_session_mem_recv(h2->session, (const uint8_t *)bytes.ptr, bytes.len);
        is_calm = n >= 0;
    }
    if (!is_calm) {
        if (flush(h2)) {
            end(h2);
        }
        return;
    }
    wait_for_more(h2);
    work(h2);
    lb_h2_turn_later(h2);
}

void lb_h2_read(struct lb_client *c)
{
    char *at = lb_read_at(c->worker);
    ssize_t n = lb_client_read_now(c, at, LB_READ_BYTES_MAX);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        lb_client_close(c);
        return;
    }
    take(c, str_make(at, (size_t)n));
}

bool lb_h2_takes_over(struct lb_client *c, struct str bytes)
{
    const struct lb_listener *l = lb_client_listener(c);
    if (l == NULL || !l->takes_prior_knowledge || !str_starts_with(bytes, preface_start)) {
        return false;
    }
    lb_block_give(&c->worker->blocks, c->ahead);
    c->ahead = NULL;
    lb_h2_begin(c);
    take(c, bytes);
    return true;
}

/* ---- the end ----------------------------------------------------------------------------------
 */

void lb_h2_leave(struct lb_h2 *h2)
{
    if (!h2->is_leaving) {
        h2->is_leaving = true;
        int32_t last = nghttp2_session_get_last_proc_stream_id(h2->session);
        (void)nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL,
                                    0);
        lb_h2_turn_later(h2);
    }
}

void lb_h2_timeout(struct lb_client *c)
{
    struct lb_h2 *h2 = c->h2;
    if (h2->stream_count > 0 && !h2->is_in_head) {
        lb_client_wait(c);
    } else if (h2->is_leaving || h2->is_in_head) {
        lb_client_close(c);
    } else {
        lb_h2_leave(h2);
        lb_client_wait(c);
    }
}

void lb_h2_drain(struct lb_client *c, bool is_grace_over)
{
    struct lb_h2 *h2 = c->h2;
    if (is_grace_over) {
        lb_h2_leave(h2);
    } else if (!h2->is_noticed) {
        h2->is_noticed = true;
        (void)nghttp2_submit_shutdown_notice(h2->session);
        lb_h2_turn_later(h2);
    }
}
