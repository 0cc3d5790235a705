#include "lb/tls.h"

#include "base/check.h"
#include "base/mem.h"
#include "lb/limits.h"
#include "lb/openssl.h"
#include "lb/tls_facts.h"
#include "lb/tls_site.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

void lb_tls_room_init(struct lb_tls_room *room, struct lb_blocks *blocks)
{
    *room = (struct lb_tls_room){
        .blocks = blocks, .in = mem_alloc(LB_TLS_IN_BYTES), .out = mem_alloc(LB_TLS_OUT_BYTES)};
}

void lb_tls_room_fini(struct lb_tls_room *room)
{
    mem_free(room->in);
    mem_free(room->out);
    *room = (struct lb_tls_room){0};
}

/* ---- to the socket --------------------------------------------------------------------------- */

/* What the socket takes; SIZE_MAX when the connection is broken. */
static size_t send_now(struct lb_tls *t, struct str bytes)
{
    ssize_t n = send(t->fd->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    if (n >= 0) {
        t->sent_bytes += (uint64_t)n;
        return (size_t)n;
    }
    if (errno == EAGAIN || errno == EINTR) {
        return 0;
    }
    t->error = errno;
    t->is_mute = true;
    return SIZE_MAX;
}

bool lb_tls_flush(struct lb_tls *t)
{
    while (t->unsent != NULL) {
        struct lb_block *b = t->unsent;
        size_t sent = send_now(t, str_make(b->bytes + b->at, lb_block_waiting(b)));
        if (sent == SIZE_MAX) {
            return false;
        }
        if (sent == 0) {
            return true;
        }
        b->at += (uint32_t)sent;
        if (lb_block_waiting(b) == 0) {
            lb_block_give(t->room->blocks, b);
            t->unsent = NULL;
        }
    }
    return true;
}

/* Sends what the room has collected; what the socket does not take is kept behind what waits. */
static bool send_room(struct lb_tls *t)
{
    struct lb_tls_room *room = t->room;
    struct str bytes = str_make(room->out, room->out_end);
    room->out_end = 0;
    if (bytes.len == 0) {
        return true;
    }
    if (t->is_mute) {
        return false;
    }
    if (t->unsent == NULL) {
        size_t sent = send_now(t, bytes);
        if (sent == SIZE_MAX) {
            return false;
        }
        bytes = str_from(bytes, sent);
    }
    if (bytes.len > 0 && !lb_block_add(room->blocks, &t->unsent, bytes)) {
        t->error = ENOBUFS; /* a peer that makes us talk and does not listen */
        t->is_mute = true;
        t->state = LB_TLS_BROKEN;
        t->owes_end = true;
        return false;
    }
    return true;
}

/* ---- what OpenSSL reads and writes ----------------------------------------------------------- */

/* At most once a call, so that an event costs one system call. 1, 0 at the end, -1 for later. */
static int receive(struct lb_tls *t)
{
    if (t->receive_max == 0) {
        return -1;
    }
    ssize_t n = recv(t->fd->fd, t->room->in, t->receive_max, 0);
    t->receive_max = 0;
    if (n > 0) {
        t->room->in_at = 0;
        t->room->in_end = (size_t)n;
        t->has_received = true;
        return 1;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return -1;
    }
    t->error = n < 0 ? errno : ECONNRESET;
    return 0;
}

static int on_bio_read(BIO *bio, char *to, int want)
{
    struct lb_tls *t = BIO_get_data(bio);
    struct lb_tls_room *room = t->room;
    BIO_clear_retry_flags(bio);
    if (room->in_at == room->in_end) {
        int got = receive(t);
        if (got <= 0) {
            if (got < 0) {
                BIO_set_retry_read(bio);
            }
            return got;
        }
    }
    size_t left = room->in_end - room->in_at;
    size_t count = left < (size_t)want ? left : (size_t)want;
    memcpy(to, room->in + room->in_at, count);
    room->in_at += count;
    return (int)count;
}

static int on_bio_write(BIO *bio, const char *from, int count)
{
    struct lb_tls *t = BIO_get_data(bio);
    struct lb_tls_room *room = t->room;
    BIO_clear_retry_flags(bio);
    struct str rest = str_make(from, (size_t)count);
    while (rest.len > 0) {
        if (room->out_end == LB_TLS_OUT_BYTES && !send_room(t)) {
            return -1;
        }
        size_t left = LB_TLS_OUT_BYTES - room->out_end;
        size_t part = rest.len < left ? rest.len : left;
        memcpy(room->out + room->out_end, rest.ptr, part);
        room->out_end += part;
        rest = str_from(rest, part);
    }
    return count;
}

static long on_bio_control(BIO *bio, int command, long number, void *more)
{
    (void)bio;
    (void)number;
    (void)more;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "worker's room");
    CHECK(method != NULL);
    CHECK(BIO_meth_set_read(method, on_bio_read) == 1);
    CHECK(BIO_meth_set_write(method, on_bio_write) == 1);
    CHECK(BIO_meth_set_ctrl(method, on_bio_control) == 1);
}

struct lb_tls *lb_tls_new(struct lb_tls_room *room, struct ev_fd *fd, SSL *ssl,
                          struct lb_tls_site *site)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, make_method) == 0);
    BIO *bio = BIO_new(method);
    CHECK(bio != NULL);
    struct lb_tls *t = MEM_NEW(struct lb_tls);
    *t = (struct lb_tls){
        .ssl = ssl, .fd = fd, .room = room, .site = site, .warm_at = LB_TLS_WARM_MAX};
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    CHECK(SSL_set_app_data(ssl, t) == 1);
    return t;
}

void lb_tls_free(struct lb_tls *t)
{
    if (t == NULL) {
        return;
    }
    ev_defer_cancel(&t->again);
    if (t->warm_at != LB_TLS_WARM_MAX) {
        t->room->warm[t->warm_at] = NULL;
    }
    /* quiet: a session that was not closed by an alert stays good for the next connection */
    SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    lb_block_give(t->room->blocks, t->kept);
    lb_block_give(t->room->blocks, t->unsent);
    lb_tls_facts_free(t->facts);
    lb_tls_site_drop(t->site);
    mem_free(t);
}

/* ---- record buffers ---------------------------------------------------------------------------
 */

/* The connection that has waited longest gives its buffers up, unless part of a record is there. */
static void warm_up(struct lb_tls *t)
{
    struct lb_tls_room *room = t->room;
    if (t->warm_at != LB_TLS_WARM_MAX) {
        return;
    }
    struct lb_tls *oldest = room->warm[room->warm_next];
    if (oldest != NULL) {
        (void)SSL_free_buffers(oldest->ssl);
        oldest->warm_at = LB_TLS_WARM_MAX;
    }
    room->warm[room->warm_next] = t;
    t->warm_at = (uint32_t)room->warm_next;
    room->warm_next = (room->warm_next + 1) % LB_TLS_WARM_MAX;
}

/* ---- one call -------------------------------------------------------------------------------- */

/* The room is ours until leave(). want_bytes: the most plaintext that the caller takes. */
static void enter(struct lb_tls *t, size_t want_bytes)
{
    struct lb_tls_room *room = t->room;
    CHECK(room->out_end == 0);
    warm_up(t);
    room->in_at = 0;
    room->in_end = 0;
    t->receive_max = LB_TLS_IN_BYTES;
    if (t->kept != NULL) {
        size_t waiting = lb_block_waiting(t->kept);
        memcpy(room->in, t->kept->bytes + t->kept->at, waiting);
        room->in_end = waiting;
        lb_block_give(room->blocks, t->kept);
        t->kept = NULL;
    } else if (want_bytes < LB_TLS_IN_BYTES + 2 * LB_TLS_RECORD_BYTES) {
        /* with what OpenSSL holds of a record, all of it fits into the caller's buffer */
        t->receive_max =
            (uint32_t)(want_bytes > 3 * LB_TLS_RECORD_BYTES ? want_bytes - 2 * LB_TLS_RECORD_BYTES
                                                            : LB_TLS_RECORD_BYTES);
    }
    ERR_clear_error();
}

static void leave(struct lb_tls *t)
{
    struct lb_tls_room *room = t->room;
    t->receive_max = 0;
    if (room->in_at < room->in_end) {
        /* no more than the room holds */
        CHECK(lb_block_add(room->blocks, &t->kept,
                           str_make(room->in + room->in_at, room->in_end - room->in_at)));
    }
    (void)send_room(t); /* who cannot write may still read */
}

static void note_result(struct lb_tls *t, int result)
{
    int code = SSL_get_error(t->ssl, result);
    if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE) {
        return;
    }
    t->owes_end = true;
    if (code == SSL_ERROR_ZERO_RETURN) {
        t->state = LB_TLS_ENDED;
        return;
    }
    t->state = LB_TLS_BROKEN;
    if (t->error == 0) {
        unsigned long first = ERR_peek_error();
        t->error = EPROTO;
        t->reason = first == 0 ? NULL : ERR_reason_error_string(first);
    }
}

static ssize_t end_of(struct lb_tls *t)
{
    if (t->state == LB_TLS_OPEN || t->state == LB_TLS_SHAKING) {
        errno = EAGAIN;
        return -1;
    }
    t->owes_end = false;
    if (t->state == LB_TLS_ENDED) {
        return 0;
    }
    errno = t->error;
    return -1;
}

enum lb_tls_step lb_tls_handshake(struct lb_tls *t)
{
    enter(t, LB_TLS_IN_BYTES * 2);
    int result = SSL_do_handshake(t->ssl);
    if (result == 1) {
        t->state = LB_TLS_OPEN;
    } else {
        note_result(t, result);
    }
    leave(t);
    if (t->state == LB_TLS_OPEN) {
        return LB_TLS_DONE;
    }
    return t->state == LB_TLS_SHAKING ? LB_TLS_MORE : LB_TLS_FAILED;
}

ssize_t lb_tls_read(struct lb_tls *t, char *at, size_t room)
{
    if (t->state != LB_TLS_OPEN) {
        return end_of(t);
    }
    enter(t, room);
    size_t got = 0;
    int result;
    do {
        size_t left = room - got;
        result = SSL_read(t->ssl, at + got, left > INT32_MAX ? INT32_MAX : (int)left);
        got += result > 0 ? (size_t)result : 0;
    } while (result > 0 && got < room &&
             (t->room->in_at < t->room->in_end || SSL_pending(t->ssl) > 0));
    if (result <= 0) {
        note_result(t, result);
    }
    leave(t);
    return got > 0 ? (ssize_t)got : end_of(t);
}

/* Encrypts up to LB_TLS_BATCH records and sends them. Returns how many of the bytes the socket took
 * whole records of; *ret_is_short when it did not take all. SIZE_MAX: broken. */
static size_t write_batch(struct lb_tls *t, struct str bytes, bool *ret_is_short)
{
    size_t ends[LB_TLS_BATCH];
    size_t taken = 0;
    size_t count = 0;
    size_t total = 0;
    while (taken < bytes.len && count < LB_TLS_BATCH) {
        size_t left = bytes.len - taken;
        int part = left < LB_TLS_PLAIN_BYTES ? (int)left : (int)LB_TLS_PLAIN_BYTES;
        int result = SSL_write(t->ssl, bytes.ptr + taken, part);
        if (result != part) {
            note_result(t, result);
            t->room->out_end = 0;
            return SIZE_MAX;
        }
        taken += (size_t)part;
        ends[count++] = t->room->out_end;
    }
    total = t->room->out_end;
    uint64_t before = t->sent_bytes;
    if (!send_room(t)) {
        return SIZE_MAX;
    }
    size_t sent = (size_t)(t->sent_bytes - before);
    *ret_is_short = sent < total;
    size_t whole = 0;
    while (whole < count && ends[whole] <= sent) {
        whole++;
    }
    size_t done = whole == count ? taken : whole * LB_TLS_PLAIN_BYTES;
    t->owed_bytes = (uint32_t)(taken - done);
    return done;
}

ssize_t lb_tls_write(struct lb_tls *t, struct str bytes)
{
    if (t->is_mute || t->state == LB_TLS_BROKEN || t->state == LB_TLS_SHAKING || !lb_tls_flush(t)) {
        errno = t->state == LB_TLS_SHAKING ? EAGAIN : t->error == 0 ? EPIPE : t->error;
        return -1;
    }
    if (t->unsent != NULL) {
        errno = EAGAIN;
        return -1;
    }
    size_t done = t->owed_bytes;
    t->owed_bytes = 0;
    CHECK(done <= bytes.len);
    warm_up(t);
    ERR_clear_error();
    bool is_short = false;
    while (done < bytes.len && !is_short) {
        size_t more = write_batch(t, str_from(bytes, done), &is_short);
        if (more == SIZE_MAX) {
            errno = t->error;
            return -1;
        }
        done += more;
    }
    if (done == 0 && bytes.len > 0) {
        errno = EAGAIN;
        return -1;
    }
    return (ssize_t)done;
}

void lb_tls_close(struct lb_tls *t)
{
    if (t->state != LB_TLS_OPEN && t->state != LB_TLS_ENDED) {
        return;
    }
    enter(t, LB_TLS_IN_BYTES * 2);
    t->receive_max = 0;
    (void)SSL_shutdown(t->ssl);
    leave(t);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void read_on(struct ev_defer *d)
{
    struct lb_tls *t = CONTAINER_OF(d, struct lb_tls, again);
    if (ev_fd_is_open(t->fd)) {
        t->fd->on_ready(t->fd, EV_READ);
    }
}

static bool has_more(const struct lb_tls *t)
{
    return t->kept != NULL || t->owes_end || (t->state == LB_TLS_OPEN && SSL_pending(t->ssl) > 0);
}

bool lb_tls_is_quiet(const struct lb_tls *t)
{
    return t->state == LB_TLS_OPEN && !t->is_mute && t->unsent == NULL && !has_more(t);
}

unsigned lb_tls_wants(struct lb_tls *t, unsigned wanted)
{
    if (has_more(t) && (wanted & EV_READ) != 0) {
        ev_defer(t->fd->loop, &t->again, read_on);
    }
    return t->unsent == NULL ? wanted : wanted | EV_WRITE;
}

/* ---- what was agreed ------------------------------------------------------------------------- */

struct str lb_tls_alpn(const struct lb_tls *t)
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(t->ssl, &name, &len);
    return name == NULL ? STR_NONE : str_make((const char *)name, len);
}

struct str lb_tls_version(const struct lb_tls *t)
{
    return str_of(SSL_get_version(t->ssl));
}

struct str lb_tls_cipher(const struct lb_tls *t)
{
    return str_of(SSL_get_cipher_name(t->ssl));
}

struct str lb_tls_server_name(const struct lb_tls *t)
{
    const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    return name == NULL ? STR_NONE : str_of(name);
}

struct str lb_tls_certificate_arn(const struct lb_tls *t)
{
    return t->chosen == NULL ? STR_NONE : t->chosen->arn;
}

const char *lb_tls_reason(const struct lb_tls *t)
{
    return t->reason == NULL ? "closed" : t->reason;
}
