#pragma once
/* Keys of session tickets (RFC 5077, RFC 8446 4.6.1), made in this process, shared by its workers,
 * and rotated: the newest seals, the two before it still open. Resumption thus works with whatever
 * worker takes the connection, and no session is kept here. */

#include "base/time.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct ssl_ctx_st SSL_CTX;

#define LB_TLS_TICKET_KEYS       3
#define LB_TLS_TICKET_NAME_BYTES 16

struct lb_tls_ticket_key {
    uint8_t name[LB_TLS_TICKET_NAME_BYTES];
    uint8_t cipher[32]; /* AES-256-CBC */
    uint8_t mac[32];    /* HMAC-SHA-256 */
};

struct lb_tls_tickets {
    pthread_mutex_t lock; /* held for a copy of a key, in handshakes only */
    struct lb_tls_ticket_key keys[LB_TLS_TICKET_KEYS]; /* the newest first */
    mono_t made_at;                                    /* of the newest */
    struct evp_cipher_st *cipher;
};

void lb_tls_tickets_init(struct lb_tls_tickets *t, mono_t now);
void lb_tls_tickets_fini(struct lb_tls_tickets *t);
/* The key that seals now; rotates when it is time. */
void lb_tls_tickets_newest(struct lb_tls_tickets *t, mono_t now, struct lb_tls_ticket_key *ret);
/* False: no key of that name, or it is too old. *ret_is_old: a new ticket should be given. */
bool lb_tls_tickets_find(struct lb_tls_tickets *t, mono_t now, const uint8_t *name,
                         struct lb_tls_ticket_key *ret, bool *ret_is_old);
/* Seals and opens tickets of connections that this context starts. */
void lb_tls_tickets_use(SSL_CTX *context);
