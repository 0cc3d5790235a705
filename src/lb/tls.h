#pragma once
/* One TLS connection, with a client or with a target, as the worker sees it: bytes in, bytes out,
 * with the meaning of recv(2) and send(2). OpenSSL never touches the socket: what arrives is
 * received once an event into a buffer that the whole thread shares, and what leaves is collected
 * there and sent at once, so that a response of four records costs one system call. The buffers of
 * OpenSSL stay with the connections that worked last; idle ones hold none.
 *
 * Waiting Bytes that epoll cannot see (kept behind a full buffer, or a close_notify behind the
 *         last bytes) are read on by a deferred call of the descriptor's own callback; lb_tls_wants
 *         arranges it, and adds EV_WRITE while ciphertext waits.
 * Writing What was encrypted but not taken by the socket is kept, and counted as not written: the
 *         caller comes again with the same bytes, as after any short send().
 * Ends    A close_notify is the proper end (0); a connection that ends without one is an error
 *         (-1, ECONNRESET), so that a body that ends with the connection cannot be cut unnoticed.
 * Threads One. What a site shares between workers is immutable or says so.
 *
 * For HTTP/2: the listener's attribute routing.http2.enabled and lb_h2_accept_hook decide whether
 * "h2" is offered. When a client chose it, client_tls.c calls the hook right after the handshake;
 * the hook reads at once with lb_client_read_now, since bytes may wait that epoll does not see, and
 * arms the client with lb_client_arm or lb_tls_wants. */

#include "base/str.h"
#include "ev/loop.h"
#include "lb/block.h"
#include "lb/limits.h"

#include <sys/types.h>

typedef struct ssl_st SSL;
struct ssl_session_st;
struct lb_client;
struct lb_tls_site;
struct lb_tls_certificate;
struct lb_tls_facts;

/* Takes over a client whose handshake chose "h2". NULL: this build speaks HTTP/1.1 only, and only
 * "http/1.1" is offered. */
typedef void lb_h2_accept_fn(struct lb_client *c);
extern lb_h2_accept_fn *const lb_h2_accept_hook;

/* Ciphertext on its way through one thread. */
struct lb_tls_room {
    struct lb_blocks *blocks; /* for what must be kept */
    char *in;                 /* LB_TLS_IN_BYTES: received; [in_at, in_end) not yet taken */
    char *out;                /* LB_TLS_OUT_BYTES: [0, out_end) not yet sent */
    size_t in_at;
    size_t in_end;
    size_t out_end;
    struct lb_tls *warm[LB_TLS_WARM_MAX]; /* in the order in which they came */
    size_t warm_next;
};

enum lb_tls_state { LB_TLS_SHAKING, LB_TLS_OPEN, LB_TLS_ENDED, LB_TLS_BROKEN };
enum lb_tls_step { LB_TLS_DONE, LB_TLS_MORE, LB_TLS_FAILED };

struct lb_tls {
    SSL *ssl;
    struct ev_fd *fd;
    struct lb_tls_room *room;
    struct ev_defer again;
    struct lb_tls_site *site;                /* the listener's; NULL with a target */
    const struct lb_tls_certificate *chosen; /* the site's; NULL before the ClientHello */
    struct ssl_session_st **keep; /* where the session with a target goes; NULL: nowhere */
    struct lb_tls_facts *facts;   /* NULL until asked for */
    struct lb_block *kept;        /* ciphertext that was received and not read */
    struct lb_block *unsent;      /* ciphertext that the socket has not taken */
    uint32_t owed_bytes;          /* of the caller's bytes: those in `unsent` */
    uint32_t warm_at;             /* in the room; LB_TLS_WARM_MAX: not there */
    uint32_t receive_max;         /* what this call may still receive */
    int error;                    /* errno of LB_TLS_BROKEN */
    uint64_t sent_bytes;          /* ciphertext that the socket took */
    const char *reason;           /* of OpenSSL; static */
    uint8_t state;
    bool owes_end; /* the end was found behind bytes, and is not reported yet */
    bool has_received;
    bool is_mute; /* the socket takes nothing any more; what it holds may still be read */
};

void lb_tls_room_init(struct lb_tls_room *room, struct lb_blocks *blocks);
void lb_tls_room_fini(struct lb_tls_room *room);

/* A connection over fd's descriptor; takes ssl, and a reference to the site that the caller gives
 * up. */
struct lb_tls *lb_tls_new(struct lb_tls_room *room, struct ev_fd *fd, SSL *ssl,
                          struct lb_tls_site *site);
/* Says nothing to the other side: what it sees is a cut connection. NULL is fine. */
void lb_tls_free(struct lb_tls *t);

/* One step; after LB_TLS_FAILED the alert is sent as far as the socket took it. */
enum lb_tls_step lb_tls_handshake(struct lb_tls *t);
ssize_t lb_tls_read(struct lb_tls *t, char *at, size_t room);
ssize_t lb_tls_write(struct lb_tls *t, struct str bytes);
/* Sends ciphertext that waits. False: the connection is broken. */
bool lb_tls_flush(struct lb_tls *t);
/* A close_notify: everything was said. */
void lb_tls_close(struct lb_tls *t);
/* What to wait for, given what the owner wants. */
unsigned lb_tls_wants(struct lb_tls *t, unsigned wanted);

static inline bool lb_tls_is_shaking(const struct lb_tls *t)
{
    return t->state == LB_TLS_SHAKING;
}
/* Open, and nothing waits on either side: fit to be kept for later. */
bool lb_tls_is_quiet(const struct lb_tls *t);
/* "h2", "http/1.1", or absent when the client named none. */
struct str lb_tls_alpn(const struct lb_tls *t);
/* "TLSv1.3", "TLS_AES_128_GCM_SHA256", the name of SNI or absent, the certificate's ARN. */
struct str lb_tls_version(const struct lb_tls *t);
struct str lb_tls_cipher(const struct lb_tls *t);
struct str lb_tls_server_name(const struct lb_tls *t);
struct str lb_tls_certificate_arn(const struct lb_tls *t);
/* Why the handshake failed, for a log: one of OpenSSL's words, or "closed". Static text. */
const char *lb_tls_reason(const struct lb_tls *t);
