#include "httpio/conn.h"

#include "base/check.h"
#include "base/mem.h"
#include "net/socket.h"

#include <errno.h>
#include <unistd.h>

#define HEAD_READ_BYTES  ((size_t)8 << 10)
#define IDLE_BYTES_KEPT  ((size_t)16 << 10) /* larger buffers are given back between requests */
#define IN_BYTES_MAX     (H1_REQUEST_BUFFER_BYTES_MAX + HTTPIO_READ_BYTES)
#define OUT_BYTES_MAX    (HTTPIO_ANSWER_BYTES_MAX + HTTPIO_ANSWER_FIELDS_BYTES_MAX + 4096)
#define CONTINUE_MESSAGE "HTTP/1.1 100 Continue\r\n\r\n"

static void enter(struct httpio_conn *c)
{
    CHECK(!c->is_entered);
    c->is_entered = true;
}

/* ---- life ---- */

static void free_conn(struct httpio_conn *c)
{
    httpio_unpack_fini(&c->body);
    buf_fini(&c->in);
    buf_fini(&c->out);
    mem_free(c);
}

void httpio_conn_close(struct httpio_conn *c)
{
    if (c->state == CONN_DEAD) {
        return;
    }
    bool is_owed = c->state == CONN_HANDLER || c->state == CONN_STREAM;
    c->state = CONN_DEAD;
    ev_timer_stop(&c->timer);
    ev_defer_cancel(&c->resume);
    ev_fd_close(&c->w);
    list_remove(&c->node);
    httpio_server_conn_closed(c->server);
    bool was_entered = c->is_entered;
    c->is_entered = true; /* on_gone may close the whole server */
    if (is_owed && c->x.on_gone != NULL) {
        c->x.on_gone(&c->x);
    }
    if (!was_entered) {
        free_conn(c);
    }
}

static dur_t body_limit(const struct httpio_conn *c)
{
    int64_t paced_s = (int64_t)(c->body_bytes / HTTPIO_BODY_BYTES_PER_S);
    return (dur_t){.us = c->server->options.body_timeout.us + DUR_S(paced_s).us};
}

static bool is_idle(const struct httpio_conn *c)
{
    return c->state == CONN_HEAD && c->in.len == 0;
}

static void set_timer(struct httpio_conn *c, ev_timer_fn *on_due)
{
    const struct httpio_server_options *o = &c->server->options;
    dur_t limit = DUR_MS(HTTPIO_LINGER_MS);
    switch (c->state) {
    case CONN_HEAD:
        limit = is_idle(c) ? o->idle_timeout : o->head_timeout;
        break;
    case CONN_BODY:
        limit = body_limit(c);
        break;
    case CONN_STREAM:
    case CONN_FLUSH:
        if (httpio_conn_unsent(c) == 0) {
            ev_timer_stop(&c->timer);
            return;
        }
        limit = o->write_timeout;
        break;
    case CONN_LINGER:
        break;
    case CONN_HANDLER:
    case CONN_DEAD:
        ev_timer_stop(&c->timer);
        return;
    }
    ev_timer_set_at(c->loop, &c->timer, mono_add(c->since, limit), on_due);
}

static void set_wanted(struct httpio_conn *c)
{
    bool reads = c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_LINGER;
    unsigned wanted = reads && !c->peer_has_closed ? EV_READ : 0;
    ev_fd_want(&c->w, httpio_conn_unsent(c) > 0 ? wanted | EV_WRITE : wanted);
}

static void set_list(struct httpio_conn *c)
{
    if (c->is_listed_idle != is_idle(c)) {
        c->is_listed_idle = !c->is_listed_idle;
        list_remove(&c->node);
        list_add_tail(c->is_listed_idle ? &c->server->idle : &c->server->busy, &c->node);
    }
}

/* ---- the request ---- */

void httpio_conn_refuse(struct httpio_conn *c, unsigned status)
{
    c->state = CONN_HANDLER;
    c->x = (struct httpio_exchange){.server = c->server, .head = &c->head};
    c->drops_body = c->has_head && c->drops_body;
    char text[64];
    struct str phrase = str_of(h1_status_phrase(status));
    size_t len = phrase.len < sizeof(text) - 1 ? phrase.len : sizeof(text) - 1;
    memcpy(text, phrase.ptr, len);
    text[len] = '\n';
    httpio_answer(&c->x, &(struct httpio_answer){.status = status,
                                                 .content_type = STR("text/plain"),
                                                 .body = str_make(text, len + 1),
                                                 .closes = true});
}

static void hand_over(struct httpio_conn *c)
{
    const struct h1_head *h = &c->head;
    c->head.bytes = c->in.ptr; /* the body may have moved it */
    c->state = CONN_HANDLER;
    c->x = (struct httpio_exchange){
        .server = c->server,
        .head = h,
        .method = h1_str(h, h->method),
        .path = h1_str(h, h->path),
        .query = h1_str(h, h->query),
        .host = h1_str(h, h->host),
        .body = buf_str(&c->body.out),
        .packed_body = c->body.is_gzip ? buf_str(&c->body.packed) : STR_NONE,
        .peer = &c->peer,
    };
    c->server->handler(c->server, &c->x);
}

/* The status to refuse with, or 0. */
static unsigned begin_body(struct httpio_conn *c)
{
    const struct h1_head *h = &c->head;
    struct str encoding = STR_NONE;
    struct str second = STR_NONE;
    size_t at = 0;
    if (h1_find_next(h, STR("content-encoding"), &at, &encoding) &&
        h1_find_next(h, STR("content-encoding"), &at, &second)) {
        return 415;
    }
    size_t bytes_max = c->server->options.request_bytes_max;
    bool has_body = h->framing != H1_NO_BODY;
    if (h->framing == H1_LENGTH && h->content_length > bytes_max) {
        return 413;
    }
    c->body_left = h->content_length;
    c->body_bytes = 0;
    h1_chunked_init(&c->chunked);
    return httpio_unpack_begin(&c->body, has_body ? encoding : STR_NONE, bytes_max);
}

static void begin_request(struct httpio_conn *c)
{
    const struct h1_head *h = &c->head;
    c->has_head = true;
    c->keeps_alive = h->is_keep_alive && h->verdict <= H1_ACCEPTABLE;
    c->drops_body = STR_IS(h1_str(h, h->method), "HEAD");
    unsigned refused = h->verdict == H1_SEVERE ? 400 : h->has_other_expect ? 417 : begin_body(c);
    if (refused != 0) {
        httpio_conn_refuse(c, refused);
        return;
    }
    if (h->framing == H1_NO_BODY) {
        hand_over(c);
        return;
    }
    c->state = CONN_BODY;
    c->since = ev_now(c->loop);
    if (h->expects_continue && h->minor_version >= 1 && c->in.len == h->head_bytes) {
        struct iovec piece = net_piece(STR(CONTINUE_MESSAGE));
        httpio_conn_send(c, &piece, 1);
    }
}

static bool step_head(struct httpio_conn *c)
{
    if (c->in.len == 0) {
        if (c->peer_has_closed || c->server->is_stopping) {
            httpio_conn_close(c);
        }
        return false;
    }
    switch (h1_parse_request(&c->head, c->in.ptr, c->in.len)) {
    case H1_MORE:
        if (c->peer_has_closed) {
            httpio_conn_close(c);
        }
        return false;
    case H1_BAD:
        c->keeps_alive = false;
        httpio_conn_refuse(c, c->head.status);
        return true;
    case H1_DONE:
        begin_request(c);
        return true;
    }
    return false;
}

/* Takes body bytes off the front of *rest. H1_BAD: *ret_status says what to answer. */
static enum h1_result take_body(struct httpio_conn *c, struct str *rest, unsigned *ret_status)
{
    while (rest->len > 0) {
        struct str piece = str_slice(*rest, 0, 0);
        enum h1_result result = H1_MORE;
        if (c->head.framing == H1_LENGTH) {
            size_t count = rest->len < c->body_left ? rest->len : (size_t)c->body_left;
            piece = str_slice(*rest, 0, count);
            *rest = str_from(*rest, count);
            c->body_left -= count;
            result = c->body_left == 0 ? H1_DONE : H1_MORE;
        } else {
            result = h1_chunked_next(&c->chunked, rest, &piece);
        }
        *ret_status = result == H1_BAD ? 400 : httpio_unpack_add(&c->body, piece);
        if (*ret_status == 0 && result == H1_DONE) {
            *ret_status = httpio_unpack_end(&c->body);
        }
        if (*ret_status != 0) {
            return H1_BAD;
        }
        if (result == H1_DONE) {
            return H1_DONE;
        }
    }
    return H1_MORE;
}

static bool step_body(struct httpio_conn *c)
{
    size_t head_bytes = c->head.head_bytes;
    struct str rest = str_from(buf_str(&c->in), head_bytes);
    if (rest.len == 0) {
        if (c->peer_has_closed) {
            httpio_conn_close(c);
        }
        return false;
    }
    c->body_bytes += rest.len;
    unsigned status = 0;
    enum h1_result result = take_body(c, &rest, &status);
    memmove(c->in.ptr + head_bytes, rest.ptr, rest.len); /* the next request's bytes */
    c->in.len = head_bytes + rest.len;
    if (result == H1_BAD) {
        httpio_conn_refuse(c, status);
    } else if (result == H1_DONE) {
        hand_over(c);
    }
    return result != H1_MORE;
}

/* ---- between requests, and the end ---- */

static void shrink(struct buf *b)
{
    if (b->len == 0 && b->capacity_bytes > IDLE_BYTES_KEPT) {
        size_t bytes_max = b->max_bytes;
        buf_fini(b);
        buf_init(b, bytes_max);
    }
}

static void next_request(struct httpio_conn *c)
{
    c->state = CONN_HEAD;
    c->since = ev_now(c->loop);
    c->has_head = false;
    buf_consume(&c->in, c->head.head_bytes);
    h1_head_init(&c->head);
    buf_reset(&c->body.out);
    shrink(&c->in);
    shrink(&c->out);
    shrink(&c->body.out);
}

/* Closing with unread bytes would reset the connection and take the answer back from the client:
 * first end our side, then wait for its end. */
static void linger(struct httpio_conn *c)
{
    (void)shutdown(c->w.fd, SHUT_WR);
    c->state = CONN_LINGER;
    c->since = ev_now(c->loop);
}

static bool step_flush(struct httpio_conn *c)
{
    if (c->is_broken) {
        httpio_conn_close(c);
        return false;
    }
    if (httpio_conn_unsent(c) > 0) {
        return false;
    }
    if (c->keeps_alive && !c->server->is_stopping) {
        next_request(c);
    } else {
        linger(c);
    }
    return true;
}

static bool step_stream(struct httpio_conn *c)
{
    if (c->is_broken) {
        httpio_conn_close(c);
        return false;
    }
    if (!c->wants_room || httpio_conn_unsent(c) > HTTPIO_STREAM_BYTES_MAX / 2) {
        return false;
    }
    c->wants_room = false;
    if (c->x.on_room != NULL) {
        c->x.on_room(&c->x);
    }
    return true;
}

/* True when the state changed and there may be more to do. */
static bool step(struct httpio_conn *c)
{
    switch (c->state) {
    case CONN_HEAD:
        return step_head(c);
    case CONN_BODY:
        return step_body(c);
    case CONN_STREAM:
        return step_stream(c);
    case CONN_FLUSH:
        return step_flush(c);
    case CONN_LINGER:
        buf_reset(&c->in);
        if (c->peer_has_closed) {
            httpio_conn_close(c);
        }
        return false;
    case CONN_HANDLER:
    case CONN_DEAD:
        return false;
    }
    return false;
}

static void on_due(struct ev_timer *t);

static void run_and_leave(struct httpio_conn *c)
{
    while (step(c)) {
    }
    c->is_entered = false;
    if (c->state == CONN_DEAD) {
        free_conn(c);
        return;
    }
    set_list(c);
    set_wanted(c);
    set_timer(c, on_due);
}

/* ---- events ---- */

static void on_due(struct ev_timer *t)
{
    struct httpio_conn *c = CONTAINER_OF(t, struct httpio_conn, timer);
    enter(c);
    bool may_answer = c->state == CONN_BODY || (c->state == CONN_HEAD && !is_idle(c));
    if (may_answer) {
        c->keeps_alive = false;
        httpio_conn_refuse(c, 408);
    } else {
        httpio_conn_close(c);
    }
    run_and_leave(c);
}

static void read_some(struct httpio_conn *c)
{
    size_t count = c->state == CONN_HEAD ? HEAD_READ_BYTES : HTTPIO_READ_BYTES;
    if (c->state == CONN_HEAD && c->in.len == 0) {
        c->since = ev_now(c->loop);
    }
    char *room = buf_reserve(&c->in, count);
    CHECK(room != NULL); /* a head that long was refused, a body's bytes were taken */
    ssize_t got = 0;
    do {
        got = recv(c->w.fd, room, count, MSG_DONTWAIT);
    } while (got == -1 && errno == EINTR);
    if (got > 0) {
        c->in.len += (size_t)got;
    } else if (got == 0) {
        c->peer_has_closed = true;
    } else if (errno != EAGAIN) {
        httpio_conn_close(c);
    }
}

static void on_ready(struct ev_fd *w, unsigned ready)
{
    struct httpio_conn *c = CONTAINER_OF(w, struct httpio_conn, w);
    enter(c);
    if ((ready & EV_READ) != 0 && !c->peer_has_closed) {
        read_some(c);
    } else if ((ready & EV_BROKEN) != 0) {
        httpio_conn_close(c);
    }
    if ((ready & EV_WRITE) != 0 && c->state != CONN_DEAD) {
        httpio_conn_flush(c);
    }
    run_and_leave(c);
}

static void on_resume(struct ev_defer *d)
{
    struct httpio_conn *c = CONTAINER_OF(d, struct httpio_conn, resume);
    enter(c);
    run_and_leave(c);
}

void httpio_conn_resume_later(struct httpio_conn *c)
{
    if (!c->is_entered) {
        ev_defer(c->loop, &c->resume, on_resume);
    }
}

void httpio_conn_open(struct httpio_server *s, int fd, const struct net_addr *peer)
{
    struct httpio_conn *c = MEM_NEW(struct httpio_conn);
    c->server = s;
    c->loop = s->loop;
    c->peer = *peer;
    c->since = ev_now(s->loop);
    c->is_listed_idle = true;
    buf_init(&c->in, IN_BYTES_MAX);
    buf_init(&c->out, OUT_BYTES_MAX);
    httpio_unpack_init(&c->body);
    h1_head_init(&c->head);
    if (ev_fd_open(s->loop, &c->w, fd, EV_READ, on_ready) != ERR_OK) {
        (void)close(fd);
        free_conn(c);
        return;
    }
    s->connection_count++;
    list_add_tail(&s->idle, &c->node);
    set_timer(c, on_due);
}
