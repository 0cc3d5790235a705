/* Connections to targets that speak HTTP/2: shared by the requests of one worker to one target,
 * more than one when the target's limit of streams is reached. A stream is an lb_upstream whose
 * bytes are the text of a head and a raw body, as those of an HTTP/1 connection. */

#include "base/check.h"
#include "base/mem.h"
#include "lb/control.h"
#include "lb/h2_private.h"
#include "lb/tls_site.h"
#include "lb/tls_target.h"
#include "net/socket.h"

#include <errno.h>

static void turn(struct ev_defer *d);

static void turn_later(struct lb_link *l)
{
    ev_defer(&l->worker->loop, &l->turn, turn);
}

static void tell(struct lb_upstream *u)
{
    if (list_is_empty(&u->news)) {
        list_add_tail(&u->link->news, &u->news);
    }
}

static struct lb_upstream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* ---- callbacks: what the target says ----------------------------------------------------------
 */

static bool add_text(struct lb_upstream *u, struct str text)
{
    return lb_block_waiting(u->inbox) + text.len <= LB_H2_INBOX_BYTES_MAX &&
           lb_block_add(&u->worker->blocks, &u->inbox, text);
}

static int give_up(nghttp2_session *session, struct lb_upstream *u)
{
    (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, u->stream_id,
                                    NGHTTP2_PROTOCOL_ERROR);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static bool add_status(struct lb_upstream *u, struct str status)
{
    return status.len == 3 && add_text(u, STR("HTTP/1.1 ")) && add_text(u, status) &&
           add_text(u, STR(" \r\n"));
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *self)
{
    (void)flags;
    (void)self;
    struct lb_upstream *u = stream_of(session, frame->hd.stream_id);
    if (u == NULL) {
        return 0;
    }
    struct str n = lb_h2_str(name);
    struct str v = lb_h2_str(value);
    bool is_fine;
    if (u->has_head) {
        is_fine = lb_h2_add_line(&u->worker->blocks, &u->trailers, n, v);
    } else if (STR_IS(n, ":status")) {
        u->is_interim = v.len > 0 && v.ptr[0] == '1';
        is_fine = add_status(u, v);
    } else {
        is_fine = lb_block_waiting(u->inbox) < LB_H2_INBOX_HEAD_BYTES_MAX &&
                  lb_h2_add_line(&u->worker->blocks, &u->inbox, n, v);
    }
    return is_fine ? 0 : give_up(session, u);
}

static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *self)
{
    (void)name;
    (void)value;
    (void)flags;
    (void)self;
    struct lb_upstream *u = stream_of(session, frame->hd.stream_id);
    return u == NULL ? 0 : give_up(session, u);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *self)
{
    (void)self;
    uint8_t type = frame->hd.type;
    if (type != NGHTTP2_HEADERS && type != NGHTTP2_DATA) {
        return 0;
    }
    struct lb_upstream *u = stream_of(session, frame->hd.stream_id);
    if (u == NULL) {
        return 0;
    }
    if (type == NGHTTP2_HEADERS && !u->has_head) {
        u->has_head = !u->is_interim;
        if (!add_text(u, STR("\r\n"))) {
            return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, u->stream_id,
                                             NGHTTP2_PROTOCOL_ERROR);
        }
        u->inbox_head_bytes = (uint32_t)lb_block_waiting(u->inbox);
    }
    u->has_ended = u->has_ended || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    tell(u);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t count, void *self)
{
    (void)flags;
    (void)self;
    struct lb_upstream *u = stream_of(session, id);
    if (u == NULL || !add_text(u, str_make((const char *)data, count))) {
        (void)nghttp2_session_consume(session, id, count);
        return u == NULL ? 0
                         : nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id,
                                                     NGHTTP2_FLOW_CONTROL_ERROR);
    }
    tell(u);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *self)
{
    (void)self;
    struct lb_upstream *u = stream_of(session, id);
    if (u == NULL) {
        return 0;
    }
    u->is_closed = true;
    u->is_refused = code == NGHTTP2_REFUSED_STREAM; /* also those above a GOAWAY's last */
    u->is_lost = !u->has_ended;
    tell(u);
    return 0;
}

/* ---- callbacks: what we say -------------------------------------------------------------------
 */

static bool is_request_here(const struct lb_upstream *u)
{
    const struct lb_exchange *ex = u->exchange;
    return ex != NULL && ex->request.is_done && lb_block_waiting(ex->out) == 0;
}

static ssize_t give_data(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *self)
{
    (void)to;
    (void)source;
    struct lb_link *l = self;
    struct lb_upstream *u = stream_of(session, id);
    if (u == NULL) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    size_t waiting = lb_block_waiting(u->outbox);
    bool is_complete = is_request_here(u);
    if (waiting == 0 && !is_complete) {
        u->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t count = waiting < room ? waiting : room;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (count < waiting || !is_complete) {
        return (ssize_t)count;
    }
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    const struct lb_block *trailers = u->exchange->request.trailers;
    if (lb_block_waiting(trailers) > 0) {
        struct lb_h2_fields *f = &l->worker->h2->fields;
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        lb_h2_fields_of_trailers(
            f, str_make(trailers->bytes + trailers->at, lb_block_waiting(trailers)));
        (void)nghttp2_submit_trailer(session, id, f->at, f->count);
    }
    return (ssize_t)count;
}

static int put_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *frame_head,
                    size_t count, nghttp2_data_source *source, void *self)
{
    (void)source;
    struct lb_link *l = self;
    struct lb_upstream *u = stream_of(session, frame->hd.stream_id);
    if (u == NULL) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    int result = lb_h2_put_data(l->worker, frame_head, count, frame->data.padlen, &u->outbox);
    if (result == 0 && u->outbox == NULL && list_is_empty(&u->drained)) {
        list_add_tail(&l->drained, &u->drained);
    }
    return result;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *self)
{
    const struct lb_link *l = self;
    if (frame->hd.type != NGHTTP2_HEADERS) {
        return 0;
    }
    struct lb_upstream *u = stream_of(session, frame->hd.stream_id);
    if (u != NULL && !u->is_head_sent) {
        u->is_head_sent = true;
        u->head_sent_at = lb_upstream_sent(l->carrier); /* at least: more may be in front of it */
    }
    return 0;
}

void lb_h2_back_callbacks(nghttp2_session_callbacks *to)
{
    nghttp2_session_callbacks_set_on_frame_send_callback(to, on_sent);
    nghttp2_session_callbacks_set_on_header_callback2(to, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(to, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(to, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(to, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(to, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(to, put_data);
}

/* ---- links ------------------------------------------------------------------------------------
 */

static struct lb_link *open_link(struct lb_exchange *ex)
{
    struct lb_worker *w = ex->client->worker;
    struct lb_upstream *carrier = lb_upstream_dial(w, ex->pool, ex->client->slot);
    if (carrier == NULL) {
        return NULL;
    }
    struct lb_link *l = MEM_NEW(struct lb_link);
    l->worker = w;
    l->pool = ex->pool;
    l->carrier = carrier;
    l->idle_max = ex->listener->idle_timeout;
    carrier->carries = l;
    list_init(&l->streams);
    list_init(&l->news);
    list_init(&l->drained);
    list_add_head(&ex->pool->links, &l->node);
    CHECK(nghttp2_session_client_new3(&l->session, w->h2->back, l, w->h2->back_option,
                                      &w->h2->memory.table) == 0);
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, LB_H2_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H1_RESPONSE_BYTES_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    CHECK(nghttp2_submit_settings(l->session, NGHTTP2_FLAG_NONE, settings, ARRAY_COUNT(settings)) ==
          0);
    CHECK(nghttp2_session_set_local_window_size(l->session, NGHTTP2_FLAG_NONE, 0,
                                                LB_H2_CONNECTION_WINDOW_BYTES) == 0);
    lb_upstream_wait(carrier, LB_CONNECT_TIMEOUT);
    return l;
}

static void close_carrier(struct lb_link *l)
{
    if (l->carrier != NULL) {
        l->carrier->carries = NULL;
        lb_upstream_close(l->carrier);
        l->carrier = NULL;
    }
}

static void close_link(struct lb_link *l)
{
    CHECK(list_is_empty(&l->streams));
    ev_defer_cancel(&l->turn);
    list_remove(&l->node);
    close_carrier(l);
    lb_block_give(&l->worker->blocks, l->back);
    nghttp2_session_del(l->session);
    mem_free(l);
}

static bool is_kept(const struct lb_link *l)
{
    const struct lb_pool *pool = l->pool;
    return !l->is_leaving && pool->version == l->worker->conf->version && !pool->is_draining &&
           !l->worker->is_stopping;
}

/* No connection came about. */
static void fail(struct lb_link *l, enum lb_failure why)
{
    l->is_leaving = true;
    while (!list_is_empty(&l->streams)) {
        struct lb_upstream *u = CONTAINER_OF(l->streams.next, struct lb_upstream, sibling);
        struct lb_exchange *ex = u->exchange;
        ex->upstream = NULL;
        u->exchange = NULL;
        u->is_closed = true;
        lb_upstream_close(u);
        lb_exchange_failed(ex, why);
    }
    close_link(l);
}

void lb_links_close(struct lb_pool *pool)
{
    LIST_FOR (l, &pool->links, struct lb_link, node) {
        if (list_is_empty(&l->streams)) {
            close_link(l);
        } else {
            l->is_leaving = true;
        }
    }
}

/* ---- out --------------------------------------------------------------------------------------
 */

/* What could not be sent goes first. False when the connection is broken. */
static bool send_kept(struct lb_link *l)
{
    struct lb_block *b = l->back;
    if (b == NULL) {
        return true;
    }
    ssize_t n = lb_upstream_write_now(l->carrier, str_make(b->bytes + b->at, lb_block_waiting(b)));
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    b->at += (uint32_t)n;
    l->carrier->sent_bytes += (uint64_t)n;
    if (lb_block_waiting(b) == 0) {
        lb_block_give(&l->worker->blocks, b);
        l->back = NULL;
    }
    return true;
}

static bool send_out(struct lb_link *l, struct str bytes)
{
    ssize_t n = lb_upstream_write_now(l->carrier, bytes);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        return false;
    }
    size_t sent = n < 0 ? 0 : (size_t)n;
    l->carrier->sent_bytes += sent;
    bytes = str_from(bytes, sent);
    return bytes.len == 0 || lb_block_add(&l->worker->blocks, &l->back, bytes);
}

static bool flush(struct lb_link *l)
{
    struct lb_h2_shared *shared = l->worker->h2;
    bool is_fine = send_kept(l);
    bool has_more = true;
    while (is_fine && has_more && l->back == NULL) {
        has_more = lb_h2_gather(shared, l->session);
        if (shared->out_bytes > 0) {
            is_fine = send_out(l, str_make(shared->out, shared->out_bytes));
        }
    }
    return is_fine;
}

static void tell_drained(struct lb_link *l)
{
    while (!list_is_empty(&l->drained)) {
        struct lb_upstream *u = CONTAINER_OF(l->drained.next, struct lb_upstream, drained);
        list_remove(&u->drained);
        struct lb_exchange *ex = u->exchange;
        if (ex->request.is_done && lb_block_waiting(ex->out) == 0) {
            continue;
        }
        lb_exchange_send(ex); /* what waits, or the client for more */
    }
}

static void arm(struct lb_link *l)
{
    struct lb_tls *tls = l->carrier->tls;
    unsigned wanted = EV_READ | EV_PEER_CLOSED | (l->back != NULL ? EV_WRITE : 0);
    ev_fd_want(&l->carrier->fd, tls == NULL ? wanted : lb_tls_wants(tls, wanted));
}

/* Lets the response of one stream go on, as far as its client takes it. */
static void work_on(struct lb_upstream *u)
{
    struct lb_exchange *ex = u->exchange;
    while (ex != NULL && u->exchange == ex && !u->is_dead &&
           (u->inbox != NULL || u->has_ended || u->is_lost) && !lb_client_is_behind(ex->client)) {
        lb_response_read(ex);
    }
}

static void work(struct lb_link *l)
{
    while (!list_is_empty(&l->news)) {
        struct lb_upstream *u = CONTAINER_OF(l->news.next, struct lb_upstream, news);
        list_remove(&u->news);
        work_on(u);
    }
}

/* The connection takes no more; what the target said before is still to be read, and the end behind
 * that tells the rest. */
static void cut(struct lb_link *l)
{
    l->is_cut = true;
    l->is_leaving = true;
    lb_block_give(&l->worker->blocks, l->back);
    l->back = NULL;
}

static void turn(struct ev_defer *d)
{
    struct lb_link *l = CONTAINER_OF(d, struct lb_link, turn);
    work(l);
    bool is_open = l->is_connected && l->carrier != NULL;
    if (is_open && !l->is_cut && !flush(l)) {
        cut(l);
    }
    tell_drained(l);
    l->is_leaving =
        l->is_leaving || (is_open && nghttp2_session_check_request_allowed(l->session) == 0);
    bool is_idle = list_is_empty(&l->streams);
    if (is_idle && (!is_open || !is_kept(l))) {
        close_link(l);
        return;
    }
    if (!is_open) {
        return;
    }
    arm(l);
    if (is_idle) {
        lb_upstream_wait(l->carrier, DUR_US(l->idle_max.us / 5 * 4));
    }
}

/* ---- events -----------------------------------------------------------------------------------
 */

/* False: not yet, or the connection is gone. */
static bool has_shaken(struct lb_link *l)
{
    struct lb_upstream *c = l->carrier;
    struct lb_worker *w = l->worker;
    if (c->tls == NULL) {
        c->tls = lb_tls_dial(w->lb->registry.tls->targets, &w->tls_room, &c->fd, STR("h2"),
                             &l->pool->session);
        lb_upstream_wait(c, LB_TLS_HANDSHAKE_TIMEOUT);
    }
    enum lb_tls_step step = lb_tls_handshake(c->tls);
    if (step == LB_TLS_MORE) {
        arm(l);
        return false;
    }
    if (step == LB_TLS_FAILED || !STR_IS(lb_tls_alpn(c->tls), "h2")) {
        fail(l, LB_FAIL_TLS);
        return false;
    }
    return true;
}

static void on_connected(struct lb_link *l)
{
    if (l->carrier->tls == NULL && net_dial_result(l->carrier->fd.fd) != 0) {
        fail(l, LB_FAIL_REFUSED);
        return;
    }
    if (l->pool->is_tls && !has_shaken(l)) {
        return;
    }
    l->carrier->is_connecting = false;
    l->is_connected = true;
    ev_timer_stop(&l->carrier->timer);
    LIST_FOR (u, &l->streams, struct lb_upstream, sibling) {
        u->is_connecting = false;
        tell(u);
    }
    while (!list_is_empty(&l->news)) {
        struct lb_upstream *u = CONTAINER_OF(l->news.next, struct lb_upstream, news);
        list_remove(&u->news);
        lb_exchange_send(u->exchange);
    }
    turn_later(l);
}

/* The target closed: what it said before still counts, and what has not reached it may be sent
 * again. */
static void take_end(struct lb_link *l)
{
    uint64_t acked = lb_upstream_acked_bytes(l->carrier);
    LIST_FOR (u, &l->streams, struct lb_upstream, sibling) {
        u->is_closed = true;
        u->is_lost = !u->has_ended;
        u->is_refused = !u->is_head_sent || acked <= u->head_sent_at;
        tell(u);
    }
    l->is_leaving = true;
    close_carrier(l);
    turn_later(l);
}

static void read_link(struct lb_link *l)
{
    char *at = lb_read_at(l->worker);
    ssize_t n = lb_upstream_read_now(l->carrier, at, LB_READ_BYTES_MAX);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        arm(l);
        return;
    }
    if (n <= 0 || nghttp2_session_mem_recv(l->session, (const uint8_t *)at, (size_t)n) < 0) {
        take_end(l);
        return;
    }
    work(l);
    turn_later(l);
}

void lb_link_event(struct lb_link *l, unsigned ready)
{
    if (!l->is_connected) {
        on_connected(l);
        return;
    }
    if (l->carrier->tls != NULL && (ready & EV_WRITE) != 0) {
        (void)lb_tls_flush(l->carrier->tls); /* a failure shows when it is read */
    }
    if ((ready & (EV_READ | EV_BROKEN | EV_PEER_CLOSED)) != 0) {
        read_link(l);
    } else {
        turn_later(l);
    }
}

void lb_link_timeout(struct lb_link *l)
{
    if (!l->is_connected) {
        fail(l, l->carrier->tls == NULL ? LB_FAIL_CONNECT_TIMEOUT : LB_FAIL_TLS_TIMEOUT);
    } else if (list_is_empty(&l->streams)) {
        close_link(l);
    }
}

/* ---- streams as upstreams ----------------------------------------------------------------------
 */

static uint32_t streams_max(const struct lb_link *l)
{
    uint32_t most =
        nghttp2_session_get_remote_settings(l->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return most < LB_H2_LINK_STREAMS_MAX ? most : LB_H2_LINK_STREAMS_MAX;
}

/* The fullest link that has room, so that a small load keeps few of them; else a new one. */
static struct lb_link *choose_link(struct lb_exchange *ex, bool is_fresh)
{
    uint32_t count = 0;
    struct lb_link *least = NULL;
    LIST_FOR (l, &ex->pool->links, struct lb_link, node) {
        if (l->is_leaving) {
            continue;
        }
        count++;
        if (l->stream_count < streams_max(l) && !is_fresh) {
            return l;
        }
        least = least == NULL || l->stream_count < least->stream_count ? l : least;
    }
    if (count >= LB_H2_LINKS_MAX) {
        return least; /* nghttp2 keeps the request until a stream is free */
    }
    return open_link(ex);
}

bool lb_link_open(struct lb_exchange *ex, bool is_fresh)
{
    struct lb_link *l = choose_link(ex, is_fresh);
    if (l == NULL) {
        return false;
    }
    struct lb_upstream *u = lb_upstream_take(l->worker);
    u->worker = l->worker;
    u->parked_fd = -1;
    u->pool = l->pool;
    u->slot = LBSTATS_NONE;
    u->link = l;
    u->is_connecting = !l->is_connected;
    u->is_reused = l->is_connected;
    u->idle_max = l->idle_max;
    u->exchange = ex;
    list_init(&u->news);
    list_init(&u->drained);
    list_add_tail(&l->streams, &u->sibling);
    l->stream_count++;
    ex->upstream = u;
    if (l->is_connected) {
        ev_timer_stop(&l->carrier->timer);
    }
    return true;
}

void lb_link_close_stream(struct lb_upstream *u)
{
    struct lb_link *l = u->link;
    struct lb_blocks *blocks = &u->worker->blocks;
    if (!u->is_closed && u->stream_id > 0) {
        (void)nghttp2_session_set_stream_user_data(l->session, u->stream_id, NULL);
        (void)nghttp2_submit_rst_stream(l->session, NGHTTP2_FLAG_NONE, u->stream_id,
                                        u->has_ended ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
    }
    size_t untaken = lb_block_waiting(u->inbox);
    if (untaken > u->inbox_head_bytes) {
        (void)nghttp2_session_consume_connection(l->session, untaken - u->inbox_head_bytes);
    }
    lb_block_give(blocks, u->inbox);
    lb_block_give(blocks, u->outbox);
    lb_block_give(blocks, u->trailers);
    u->inbox = NULL;
    u->outbox = NULL;
    u->trailers = NULL;
    list_remove(&u->sibling);
    list_remove(&u->news);
    list_remove(&u->drained);
    l->stream_count--;
    turn_later(l);
}

/* The head of the request, as text of ours. */
static size_t submit(struct lb_upstream *u, struct str text)
{
    struct lb_link *l = u->link;
    struct lb_h2_fields *f = &l->worker->h2->fields;
    size_t used = lb_h2_fields_of_request(f, text, l->pool->is_tls ? STR("https") : STR("http"));
    CHECK(used > 0);
    bool has_body =
        used < text.len || !u->exchange->request.is_done || u->exchange->request.trailers != NULL;
    nghttp2_data_provider body = {.read_callback = give_data};
    int32_t id =
        nghttp2_submit_request(l->session, NULL, f->at, f->count, has_body ? &body : NULL, u);
    if (id < 0 || f->is_broken) {
        return 0;
    }
    u->stream_id = id;
    return used;
}

ssize_t lb_link_write(struct lb_upstream *u, struct str bytes)
{
    size_t used = 0;
    if (u->is_closed) {
        errno = EPIPE;
        return -1;
    }
    if (u->stream_id == 0) {
        used = submit(u, bytes);
        if (used == 0) {
            u->link->is_leaving = true; /* out of stream numbers, or it said GOAWAY */
            u->is_refused = true;
            errno = EPIPE;
            return -1;
        }
    }
    size_t waiting = lb_block_waiting(u->outbox);
    size_t room = waiting < LB_H2_AHEAD_BYTES_MAX ? LB_H2_AHEAD_BYTES_MAX - waiting : 0;
    size_t left = bytes.len - used;
    size_t taken = left < room ? left : room;
    if (taken > 0) {
        CHECK(lb_block_add(&u->worker->blocks, &u->outbox, str_slice(bytes, used, used + taken)));
    }
    lb_link_resume(u);
    if (used + taken == 0 && bytes.len > 0) {
        errno = EAGAIN;
        return -1;
    }
    return (ssize_t)(used + taken);
}

void lb_link_resume(struct lb_upstream *u)
{
    if (u->is_deferred && !u->is_closed) {
        u->is_deferred = false;
        (void)nghttp2_session_resume_data(u->link->session, u->stream_id);
    }
    turn_later(u->link);
}

/* Those bytes of the body go on to the client. */
static void consume(struct lb_upstream *u, size_t count)
{
    if (u->is_closed) {
        (void)nghttp2_session_consume_connection(u->link->session, count);
    } else {
        (void)nghttp2_session_consume(u->link->session, u->stream_id, count);
    }
    turn_later(u->link);
}

ssize_t lb_link_read(struct lb_upstream *u, char *at, size_t room)
{
    size_t waiting = lb_block_waiting(u->inbox);
    if (waiting == 0) {
        errno = u->is_lost ? ECONNRESET : EAGAIN;
        return u->has_ended && !u->is_lost ? 0 : -1;
    }
    size_t count = waiting < room ? waiting : room;
    memcpy(at, u->inbox->bytes + u->inbox->at, count);
    u->inbox->at += (uint32_t)count;
    if (count == waiting) {
        lb_block_give(&u->worker->blocks, u->inbox);
        u->inbox = NULL;
    }
    if (!u->has_head) {
        return (ssize_t)count; /* interim heads */
    }
    uint32_t of_head = u->inbox_head_bytes < count ? u->inbox_head_bytes : (uint32_t)count;
    u->inbox_head_bytes -= of_head;
    if (count > of_head) {
        consume(u, count - of_head);
    }
    return (ssize_t)count;
}

void lb_link_arm(struct lb_upstream *u)
{
    bool has_news = u->inbox != NULL || u->has_ended || u->is_lost;
    if (has_news && !lb_client_is_behind(u->exchange->client)) {
        tell(u);
        turn_later(u->link);
    }
}

bool lb_link_has_ended(const struct lb_upstream *u)
{
    return u->has_ended && u->inbox == NULL;
}

struct lb_block *lb_link_take_trailers(struct lb_upstream *u)
{
    struct lb_block *b = u->trailers;
    u->trailers = NULL;
    return b;
}
