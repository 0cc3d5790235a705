#include "httpio/client.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "net/socket.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define TEXT_BYTES_MAX 256
#define INTERIM_MAX    16 /* 1xx heads before the real one */
/* a head, what a pause left behind it, and one more read */
#define IN_BYTES_MAX     (H1_RESPONSE_BYTES_MAX + 2 * HTTPIO_READ_BYTES)
#define HEAD_READ_BYTES  ((size_t)4 << 10)
#define ANSWER_AGENT     "hitless"
#define HEAD_FIXED_BYTES 512 /* request line and our own fields, without the texts in them */

enum phase { PHASE_CONNECT, PHASE_SEND, PHASE_HEAD, PHASE_BODY, PHASE_OVER };

struct httpio_call_state {
    struct httpio_call *call; /* not to be touched when over */
    struct ev_loop *loop;
    struct ev_fd w;
    struct ev_timer timer; /* of the phase */
    struct ev_timer whole_timer;
    struct ev_defer later;
    struct httpio_call_options o; /* the texts in it are dead after the start, but for the body */
    enum phase phase;
    int parked_fd; /* the socket while paused and broken; else -1 */
    bool is_entered;
    bool is_paused;
    bool is_to_head; /* the method was HEAD */
    bool has_head;
    bool has_ended; /* the other side will send nothing more */
    size_t interim_count;
    mono_t since; /* when the present wait began */
    struct buf out;
    size_t sent_bytes; /* of head and body together */
    struct h1_head head;
    struct h1_chunked chunked;
    uint64_t left_bytes; /* of a Content-Length */
    struct buf in;       /* [head][what was not understood yet] */
    struct buf body;     /* collected */
    enum err failure;
    char text[TEXT_BYTES_MAX];
};

/* ---- the end ---- */

static void free_state(struct httpio_call_state *st)
{
    buf_fini(&st->out);
    buf_fini(&st->in);
    buf_fini(&st->body);
    mem_free(st);
}

static void disconnect(struct httpio_call_state *st)
{
    st->phase = PHASE_OVER;
    ev_fd_close(&st->w);
    if (st->parked_fd != -1) {
        (void)close(st->parked_fd);
        st->parked_fd = -1;
    }
    ev_timer_stop(&st->timer);
    ev_timer_stop(&st->whole_timer);
    ev_defer_cancel(&st->later);
}

/* Tells the owner; the state lives on until the function of ours that is at work leaves. */
static void finish(struct httpio_call_state *st)
{
    struct httpio_call *call = st->call;
    disconnect(st);
    call->state = NULL;
    st->head.bytes = st->in.ptr;
    struct httpio_result result = {
        .err = st->failure,
        .text = st->text,
        .status = st->has_head ? st->head.status : 0,
        .head = st->has_head ? &st->head : NULL,
        .body = buf_str(&st->body),
    };
    st->o.on_done(call, &result);
}

__attribute__((format(printf, 3, 4))) static void fail(struct httpio_call_state *st, enum err why,
                                                       const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(st->text, sizeof(st->text), format, args);
    va_end(args);
    st->failure = why;
    finish(st);
}

static void fail_errno(struct httpio_call_state *st, int errno_value, const char *what)
{
    char addr[NET_ADDR_TEXT_BYTES_MAX];
    char reason[128];
    (void)net_addr_format(&st->o.addr, addr);
    fail(st, errno_value == EAGAIN ? ERR_AGAIN : ERR_NET, "%s %s: %s", what, addr,
         strerror_r(errno_value, reason, sizeof(reason)));
}

void httpio_call_cancel(struct httpio_call *call)
{
    struct httpio_call_state *st = call->state;
    if (st == NULL) {
        return;
    }
    disconnect(st);
    call->state = NULL;
    if (!st->is_entered) {
        free_state(st);
    }
}

/* ---- sending ---- */

/* False when the connection takes no more; the answer may have come all the same. */
static bool send_some(struct httpio_call_state *st)
{
    struct str head = str_from(buf_str(&st->out), st->sent_bytes);
    size_t body_sent = st->sent_bytes > st->out.len ? st->sent_bytes - st->out.len : 0;
    struct iovec pieces[2] = {net_piece(head), net_piece(str_from(st->o.body, body_sent))};
    ssize_t sent = net_send_with_fds(st->w.fd, pieces, 2, NULL, 0);
    if (sent == -1) {
        return errno == EAGAIN;
    }
    st->sent_bytes += (size_t)sent;
    st->since = ev_now(st->loop);
    return true;
}

static bool is_all_sent(const struct httpio_call_state *st)
{
    return st->sent_bytes == st->out.len + st->o.body.len;
}

static void on_writable(struct httpio_call_state *st)
{
    if (st->phase == PHASE_CONNECT) {
        int failure = net_dial_result(st->w.fd);
        if (failure != 0) {
            fail_errno(st, failure, "could not connect to");
            return;
        }
        st->phase = PHASE_SEND;
        st->since = ev_now(st->loop);
    }
    if (st->phase == PHASE_SEND && (!send_some(st) || is_all_sent(st))) {
        st->phase = PHASE_HEAD;
        st->since = ev_now(st->loop);
    }
}

/* ---- receiving ---- */

static void read_some(struct httpio_call_state *st)
{
    size_t count = st->phase == PHASE_BODY ? HTTPIO_READ_BYTES : HEAD_READ_BYTES;
    char *room = buf_reserve(&st->in, count);
    CHECK(room != NULL); /* a head that long was refused, a body's bytes were taken */
    ssize_t got = 0;
    do {
        got = recv(st->w.fd, room, count, MSG_DONTWAIT);
    } while (got == -1 && errno == EINTR);
    if (got > 0) {
        st->in.len += (size_t)got;
        st->since = st->phase == PHASE_BODY ? ev_now(st->loop) : st->since;
    } else if (got == 0) {
        st->has_ended = true;
    } else if (errno != EAGAIN) {
        fail_errno(st, errno, "lost the connection to");
    }
}

/* True when there may be more to do. */
static bool step_head(struct httpio_call_state *st)
{
    switch (h1_parse_response(&st->head, st->in.ptr, st->in.len, st->is_to_head)) {
    case H1_MORE:
        if (st->has_ended) {
            fail(st, ERR_CLOSED, "the connection ended before the answer");
        }
        return false;
    case H1_BAD:
        fail(st, ERR_PROTOCOL, "the answer is not HTTP: %s", h1_reason_text(st->head.reason));
        return false;
    case H1_DONE:
        break;
    }
    if (st->head.status >= 100 && st->head.status <= 199) {
        if (st->head.status == 101 || ++st->interim_count > INTERIM_MAX) {
            fail(st, ERR_PROTOCOL, "the answer is %d, which was not asked for",
                 (int)st->head.status);
            return false;
        }
        buf_consume(&st->in, st->head.head_bytes);
        h1_head_init(&st->head);
        return st->in.len > 0;
    }
    st->phase = PHASE_BODY;
    st->has_head = true;
    st->since = ev_now(st->loop);
    st->left_bytes = st->head.content_length;
    h1_chunked_init(&st->chunked);
    if (st->o.on_head != NULL) {
        st->o.on_head(st->call, &st->head);
    }
    return st->phase == PHASE_BODY;
}

/* One piece of the body off the front of *rest. */
static enum h1_result next_piece(struct httpio_call_state *st, struct str *rest,
                                 struct str *ret_piece)
{
    *ret_piece = str_slice(*rest, 0, 0);
    switch (st->head.framing) {
    case H1_NO_BODY:
        return H1_DONE;
    case H1_CHUNKED:
        return h1_chunked_next(&st->chunked, rest, ret_piece);
    case H1_UNTIL_CLOSE:
        *ret_piece = *rest;
        *rest = str_from(*rest, rest->len);
        return st->has_ended ? H1_DONE : H1_MORE;
    case H1_LENGTH:
        break;
    }
    size_t count = rest->len < st->left_bytes ? rest->len : (size_t)st->left_bytes;
    *ret_piece = str_slice(*rest, 0, count);
    *rest = str_from(*rest, count);
    st->left_bytes -= count;
    return st->left_bytes == 0 ? H1_DONE : H1_MORE;
}

/* False when the call is over. */
static bool take_piece(struct httpio_call_state *st, struct str piece)
{
    if (piece.len > 0 && st->o.on_body != NULL) {
        st->o.on_body(st->call, piece);
    } else {
        buf_add(&st->body, piece);
    }
    if (st->phase == PHASE_BODY && st->body.is_overflown) {
        fail(st, ERR_LIMIT, "the answer has more than %zu bytes", st->body.max_bytes);
    }
    return st->phase == PHASE_BODY;
}

static void step_body(struct httpio_call_state *st)
{
    size_t head_bytes = st->head.head_bytes;
    struct str rest = str_from(buf_str(&st->in), head_bytes);
    enum h1_result result = H1_MORE;
    do {
        struct str piece;
        result = next_piece(st, &rest, &piece);
        if (!take_piece(st, piece)) {
            return;
        }
    } while (result == H1_MORE && rest.len > 0 && !st->is_paused);
    if (result == H1_DONE) {
        finish(st);
    } else if (result == H1_BAD) {
        fail(st, ERR_PROTOCOL, "a chunk of the answer is malformed");
    } else if (st->has_ended && rest.len == 0 && !st->is_paused) {
        fail(st, ERR_CLOSED, "the connection ended in the middle of the answer");
    } else {
        memmove(st->in.ptr + head_bytes, rest.ptr, rest.len); /* kept while paused */
        st->in.len = head_bytes + rest.len;
    }
}

static void step(struct httpio_call_state *st)
{
    while ((st->phase == PHASE_HEAD || st->phase == PHASE_SEND) &&
           (st->in.len > 0 || st->has_ended) && step_head(st)) {
    }
    if (st->phase == PHASE_BODY && !st->is_paused) {
        step_body(st);
    }
}

/* ---- events ---- */

static dur_t phase_limit(const struct httpio_call_state *st)
{
    switch (st->phase) {
    case PHASE_CONNECT:
        return st->o.connect_timeout;
    case PHASE_SEND:
    case PHASE_HEAD:
        return st->o.answer_timeout;
    case PHASE_BODY:
        return st->is_paused ? HTTPIO_NO_TIMEOUT : st->o.silence_timeout;
    case PHASE_OVER:
        break;
    }
    return HTTPIO_NO_TIMEOUT;
}

static void leave(struct httpio_call_state *st);

static void on_due(struct ev_timer *t)
{
    static const char *const waits[] = {
        [PHASE_CONNECT] = "for the connection",
        [PHASE_SEND] = "while sending the request",
        [PHASE_HEAD] = "for the answer",
        [PHASE_BODY] = "for the rest of the answer",
        [PHASE_OVER] = "",
    };
    struct httpio_call_state *st = CONTAINER_OF(t, struct httpio_call_state, timer);
    st->is_entered = true;
    fail(st, ERR_TIMEOUT, "waited %lld ms %s", (long long)dur_ms(phase_limit(st)),
         waits[st->phase]);
    leave(st);
}

static void on_whole_due(struct ev_timer *t)
{
    struct httpio_call_state *st = CONTAINER_OF(t, struct httpio_call_state, whole_timer);
    st->is_entered = true;
    fail(st, ERR_TIMEOUT, "not done within %lld ms", (long long)dur_ms(st->o.whole_timeout));
    leave(st);
}

static void on_ready(struct ev_fd *w, unsigned ready);

/* A paused call must not look at its socket, but epoll tells of a broken one for ever. */
static void park(struct httpio_call_state *st)
{
    st->parked_fd = ev_fd_release(&st->w);
}

static void set_wanted(struct httpio_call_state *st)
{
    if (st->parked_fd != -1 && !st->is_paused) {
        int fd = st->parked_fd;
        st->parked_fd = -1;
        if (ev_fd_open(st->loop, &st->w, fd, EV_READ, on_ready) != ERR_OK) {
            (void)close(fd);
            fail(st, ERR_NO_SPACE, "the event loop has no room for the connection");
            return;
        }
    }
    if (!ev_fd_is_open(&st->w)) {
        return;
    }
    bool sends = st->phase == PHASE_CONNECT || st->phase == PHASE_SEND;
    bool reads = st->phase != PHASE_CONNECT && !st->is_paused && !st->has_ended;
    ev_fd_want(&st->w, (sends ? EV_WRITE : 0u) | (reads ? EV_READ : 0u));
}

static void leave(struct httpio_call_state *st)
{
    if (st->phase != PHASE_OVER) {
        set_wanted(st);
    }
    st->is_entered = false;
    if (st->phase == PHASE_OVER) {
        free_state(st);
        return;
    }
    dur_t limit = phase_limit(st);
    if (limit.us == HTTPIO_NO_TIMEOUT.us) {
        ev_timer_stop(&st->timer);
    } else {
        ev_timer_set_at(st->loop, &st->timer, mono_add(st->since, limit), on_due);
    }
}

static void on_ready(struct ev_fd *w, unsigned ready)
{
    struct httpio_call_state *st = CONTAINER_OF(w, struct httpio_call_state, w);
    st->is_entered = true;
    if (st->phase == PHASE_CONNECT || (ready & EV_WRITE) != 0) {
        on_writable(st);
    }
    bool is_waiting = st->phase == PHASE_SEND || st->phase == PHASE_HEAD || st->phase == PHASE_BODY;
    if (is_waiting && st->is_paused && (ready & EV_BROKEN) != 0) {
        park(st);
    } else if (is_waiting && !st->is_paused && (ready & (EV_READ | EV_BROKEN)) != 0) {
        read_some(st);
    }
    step(st);
    leave(st);
}

/* ---- starting ---- */

static void write_head(struct httpio_call_state *st)
{
    const struct httpio_call_options *o = &st->o;
    char addr[NET_ADDR_TEXT_BYTES_MAX];
    size_t room = HEAD_FIXED_BYTES + sizeof(addr) + o->method.len + o->target.len + o->host.len +
                  o->content_type.len;
    for (size_t i = 0; i < o->field_count; i++) {
        room += o->fields[i].name.len + o->fields[i].value.len + strlen(": \r\n");
    }
    buf_init(&st->out, room);
    struct h1_writer w;
    h1_writer_init(&w, buf_reserve(&st->out, room), room);
    struct str host = o->host;
    if (!str_is_set(host)) {
        (void)net_addr_format(&o->addr, addr);
        host = net_addr_is_unix(&o->addr) ? STR("localhost") : str_of(addr);
    }
    h1_write_request_line(&w, o->method, o->target);
    h1_write_field(&w, STR("Host"), host);
    h1_write_field(&w, STR("User-Agent"), STR(ANSWER_AGENT));
    for (size_t i = 0; i < o->field_count; i++) {
        h1_write_field(&w, o->fields[i].name, o->fields[i].value);
    }
    if (str_is_set(o->content_type)) {
        h1_write_field(&w, STR("Content-Type"), o->content_type);
    }
    if (str_is_set(o->body)) {
        h1_write_field_u64(&w, STR("Content-Length"), o->body.len);
    }
    h1_write_field(&w, STR("Connection"), STR("close"));
    h1_write_end(&w);
    st->out.len = w.len;
    st->out.is_overflown = w.is_broken;
}

/* What went wrong at the start is told from the loop. */
static void on_late_failure(struct ev_defer *d)
{
    struct httpio_call_state *st = CONTAINER_OF(d, struct httpio_call_state, later);
    st->is_entered = true;
    finish(st);
    leave(st);
}

static void fail_later(struct httpio_call_state *st, enum err why, const char *what,
                       const char *reason)
{
    (void)snprintf(st->text, sizeof(st->text), "%s: %s", what, reason);
    st->failure = why;
    ev_defer(st->loop, &st->later, on_late_failure);
}

static void set_default(dur_t *d, int64_t ms)
{
    if (d->us == 0) {
        *d = DUR_MS(ms);
    }
}

static void connect_call(struct httpio_call_state *st)
{
    int fd = -1;
    int failure = net_dial_errno(&st->o.addr, &fd);
    if (failure != 0) {
        char addr[NET_ADDR_TEXT_BYTES_MAX];
        char what[NET_ADDR_TEXT_BYTES_MAX + 32];
        char reason[128];
        (void)net_addr_format(&st->o.addr, addr);
        (void)snprintf(what, sizeof(what), "could not connect to %s", addr);
        fail_later(st, failure == EAGAIN ? ERR_AGAIN : ERR_NET, what,
                   strerror_r(failure, reason, sizeof(reason)));
        return;
    }
    if (ev_fd_open(st->loop, &st->w, fd, EV_WRITE, on_ready) != ERR_OK) {
        (void)close(fd);
        fail_later(st, ERR_NO_SPACE, "could not connect", "the event loop is full");
        return;
    }
    st->is_entered = true;
    leave(st);
    if (st->o.whole_timeout.us != 0 && st->o.whole_timeout.us != HTTPIO_NO_TIMEOUT.us) {
        ev_timer_set(st->loop, &st->whole_timer, st->o.whole_timeout, on_whole_due);
    }
}

void httpio_call_start(struct ev_loop *loop, struct httpio_call *call,
                       const struct httpio_call_options *options)
{
    CHECK(call->state == NULL);
    CHECK(options->on_done != NULL);
    struct httpio_call_state *st = MEM_NEW(struct httpio_call_state);
    *st = (struct httpio_call_state){
        .call = call, .loop = loop, .o = *options, .parked_fd = -1, .since = clock_mono()};
    call->loop = loop;
    call->state = st;
    set_default(&st->o.connect_timeout, HTTPIO_CONNECT_MS_DEFAULT);
    set_default(&st->o.answer_timeout, HTTPIO_ANSWER_MS_DEFAULT);
    set_default(&st->o.silence_timeout, HTTPIO_SILENCE_MS_DEFAULT);
    buf_init(&st->in, IN_BYTES_MAX);
    buf_init(&st->body,
             options->bytes_max == 0 ? HTTPIO_RESPONSE_BYTES_DEFAULT : options->bytes_max);
    h1_head_init(&st->head);
    st->is_to_head = STR_IS(options->method, "HEAD");
    write_head(st);
    if (st->out.is_overflown) {
        fail_later(st, ERR_INPUT, "the request cannot be written",
                   "a method, target or field holds bytes that are not allowed there");
        return;
    }
    connect_call(st);
}

void httpio_call_pause(struct httpio_call *call)
{
    struct httpio_call_state *st = call->state;
    if (st == NULL || st->phase == PHASE_OVER) {
        return;
    }
    st->is_paused = true;
    if (!st->is_entered) {
        st->is_entered = true;
        leave(st);
    }
}

static void on_resume(struct ev_defer *d)
{
    struct httpio_call_state *st = CONTAINER_OF(d, struct httpio_call_state, later);
    st->is_entered = true;
    st->since = ev_now(st->loop);
    step(st);
    leave(st);
}

void httpio_call_resume(struct httpio_call *call)
{
    struct httpio_call_state *st = call->state;
    if (st == NULL || !st->is_paused) {
        return;
    }
    st->is_paused = false;
    ev_defer(st->loop, &st->later, on_resume);
}
