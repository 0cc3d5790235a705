#include "httpio/conn.h"

#include "base/check.h"
#include "httpio/date.h"
#include "net/socket.h"

#include <errno.h>

#define HEAD_BYTES_MAX (HTTPIO_ANSWER_FIELDS_BYTES_MAX + 1024)

/* ---- sending ---- */

/* Keeps what the socket does not take. */
void httpio_conn_send(struct httpio_conn *c, struct iovec *pieces, size_t count)
{
    size_t sent = 0;
    if (c->is_broken) {
        return;
    }
    if (httpio_conn_unsent(c) == 0) {
        ssize_t now = net_send_with_fds(c->w.fd, pieces, count, NULL, 0);
        if (now == -1 && errno != EAGAIN) {
            c->is_broken = true;
            return;
        }
        sent = now == -1 ? 0 : (size_t)now;
        c->since = ev_now(c->loop);
    }
    for (size_t i = 0; i < count; i++) {
        struct str piece = str_make(pieces[i].iov_base, pieces[i].iov_len);
        size_t skipped = sent < piece.len ? sent : piece.len;
        sent -= skipped;
        buf_add(&c->out, str_from(piece, skipped));
    }
    CHECK(!c->out.is_overflown);
}

void httpio_conn_flush(struct httpio_conn *c)
{
    if (httpio_conn_unsent(c) == 0 || c->is_broken) {
        return;
    }
    struct iovec piece = net_piece(str_from(buf_str(&c->out), c->out_sent));
    ssize_t sent = net_send_with_fds(c->w.fd, &piece, 1, NULL, 0);
    if (sent == -1) {
        c->is_broken = errno != EAGAIN;
    } else {
        c->out_sent += (size_t)sent;
        c->since = ev_now(c->loop);
    }
    if (c->is_broken || c->out_sent == c->out.len) {
        buf_reset(&c->out);
        c->out_sent = 0;
    }
}

/* ---- heads ---- */

static bool status_has_body(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

enum framing { FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };

static void write_head(struct h1_writer *w, const struct httpio_conn *c,
                       const struct httpio_answer *a, enum framing framing)
{
    char date[HTTPIO_DATE_BYTES];
    h1_write_status_line(w, a->status, STR_NONE);
    h1_write_field(w, STR("Date"), httpio_date_write(clock_wall(), date));
    if (str_is_set(a->content_type)) {
        h1_write_field(w, STR("Content-Type"), a->content_type);
    }
    for (size_t i = 0; i < a->field_count; i++) {
        h1_write_field(w, a->fields[i].name, a->fields[i].value);
    }
    if (framing == FRAMING_CHUNKED) {
        h1_write_field(w, STR("Transfer-Encoding"), STR("chunked"));
    } else if (framing == FRAMING_LENGTH && status_has_body(a->status)) {
        h1_write_field_u64(w, STR("Content-Length"), a->body.len);
    }
    if (!c->keeps_alive) {
        h1_write_field(w, STR("Connection"), STR("close"));
    } else if (c->head.minor_version == 0) {
        h1_write_field(w, STR("Connection"), STR("keep-alive"));
    }
    h1_write_end(w);
}

static struct httpio_conn *begin_answer(struct httpio_exchange *x, const struct httpio_answer *a)
{
    struct httpio_conn *c = CONTAINER_OF(x, struct httpio_conn, x);
    CHECK(c->state == CONN_HANDLER);
    CHECK(a->status >= 200 && a->status <= 599);
    CHECK(a->body.len <= HTTPIO_ANSWER_BYTES_MAX);
    c->keeps_alive = c->keeps_alive && !a->closes && !c->server->is_stopping;
    return c;
}

void httpio_answer(struct httpio_exchange *x, const struct httpio_answer *answer)
{
    static const struct httpio_answer broken = {.status = 500};
    struct httpio_conn *c = begin_answer(x, answer);
    const struct httpio_answer *a = answer;
    char memory[HEAD_BYTES_MAX];
    struct h1_writer w;
    h1_writer_init(&w, memory, sizeof(memory));
    write_head(&w, c, a, FRAMING_LENGTH);
    if (w.is_broken) {
        a = &broken;
        h1_writer_init(&w, memory, sizeof(memory));
        write_head(&w, c, a, FRAMING_LENGTH);
    }
    bool has_body = status_has_body(a->status) && !c->drops_body;
    struct iovec pieces[2] = {{.iov_base = memory, .iov_len = w.len}, net_piece(a->body)};
    httpio_conn_send(c, pieces, has_body ? 2 : 1);
    c->state = CONN_FLUSH;
    httpio_conn_resume_later(c);
}

/* ---- streams ---- */

static void send_piece(struct httpio_conn *c, struct str piece)
{
    if (c->drops_body || piece.len == 0) {
        return;
    }
    if (!c->answers_chunked) {
        struct iovec plain = net_piece(piece);
        httpio_conn_send(c, &plain, 1);
        return;
    }
    char room[H1_CHUNK_HEAD_BYTES];
    struct iovec pieces[3] = {net_piece(h1_chunk_head(room, piece.len)), net_piece(piece),
                              net_piece(STR(H1_CHUNK_END))};
    httpio_conn_send(c, pieces, 3);
}

void httpio_stream_start(struct httpio_exchange *x, const struct httpio_answer *answer)
{
    struct httpio_conn *c = begin_answer(x, answer);
    c->drops_body = c->drops_body || !status_has_body(answer->status);
    c->answers_chunked = c->head.minor_version >= 1 && status_has_body(answer->status);
    c->keeps_alive = c->keeps_alive && (c->answers_chunked || c->drops_body);
    c->wants_room = false;
    char memory[HEAD_BYTES_MAX];
    struct h1_writer w;
    h1_writer_init(&w, memory, sizeof(memory));
    write_head(&w, c, answer, c->answers_chunked ? FRAMING_CHUNKED : FRAMING_CLOSE);
    CHECK(!w.is_broken); /* the fields of a stream are our own */
    struct iovec head = {.iov_base = memory, .iov_len = w.len};
    httpio_conn_send(c, &head, 1);
    c->state = CONN_STREAM;
    send_piece(c, answer->body);
    httpio_conn_resume_later(c);
}

static struct httpio_conn *streaming(struct httpio_exchange *x)
{
    struct httpio_conn *c = CONTAINER_OF(x, struct httpio_conn, x);
    CHECK(c->state == CONN_STREAM);
    return c;
}

enum err httpio_stream_write(struct httpio_exchange *x, struct str piece)
{
    struct httpio_conn *c = streaming(x);
    size_t unsent = httpio_conn_unsent(c);
    if (c->is_broken) {
        return ERR_CLOSED;
    }
    if (unsent > 0 && unsent + piece.len > HTTPIO_STREAM_BYTES_MAX) {
        c->wants_room = true;
        return ERR_AGAIN;
    }
    send_piece(c, piece);
    httpio_conn_resume_later(c); /* to wait for room, or to tell that the client is gone */
    return c->is_broken ? ERR_CLOSED : ERR_OK;
}

size_t httpio_stream_queued(struct httpio_exchange *x)
{
    return httpio_conn_unsent(CONTAINER_OF(x, struct httpio_conn, x));
}

void httpio_stream_end(struct httpio_exchange *x)
{
    struct httpio_conn *c = streaming(x);
    if (c->answers_chunked && !c->drops_body) {
        struct iovec last = net_piece(STR(H1_CHUNK_LAST));
        httpio_conn_send(c, &last, 1);
    }
    c->state = CONN_FLUSH;
    httpio_conn_resume_later(c);
}

void httpio_stream_abort(struct httpio_exchange *x)
{
    struct httpio_conn *c = streaming(x);
    x->on_gone = NULL;
    /* a reset, for those who take the connection's end for the answer's */
    struct linger now = {.l_onoff = 1};
    (void)setsockopt(c->w.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    httpio_conn_close(c);
}
