#pragma once
/* Which certificate a client gets: pure decisions over what its ClientHello says. */

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* What a client can verify, as bits. */
enum lb_tls_kind {
    LB_TLS_RSA = 1 << 0,
    LB_TLS_P256 = 1 << 1,
    LB_TLS_P384 = 1 << 2,
    LB_TLS_P521 = 1 << 3,
    LB_TLS_ECDSA = LB_TLS_P256 | LB_TLS_P384 | LB_TLS_P521,
};

/* Extensions and ciphers as they stand in the ClientHello, without their own length in front
 * (RFC 8446 4.2.3, 4.2.1, 4.1.2); absent when it has none. */
struct lb_tls_offer {
    struct str signature_algorithms; /* pairs of bytes */
    struct str versions;             /* pairs */
    struct str ciphers;              /* pairs */
    bool may_be_13;                  /* the policy has TLS 1.3 */
};

/* Kinds of keys that the client can verify; 0 when it says nothing that we know. */
unsigned lb_tls_kinds(const struct lb_tls_offer *offer);

/* The facts of a certificate that count. */
struct lb_tls_rank {
    unsigned kind; /* one of enum lb_tls_kind */
    uint32_t strength_bits;
    bool is_weak_hash; /* signed with MD5 or SHA-1 */
    int64_t from_s;    /* validity, since 1970 */
    int64_t until_s;
};

/* True when a serves the client better than b does. Source: ALB, "Certificate selection": the
 * client's abilities, then key algorithm (ECDSA before RSA), hash, key length, validity. Ours: one
 * that is valid now comes before one that is not; of two equals the first stays. */
bool lb_tls_is_better(const struct lb_tls_rank *a, const struct lb_tls_rank *b, unsigned kinds,
                      int64_t now_s);

/* "www.Example.com" -> "www.example.com" into room[256], without a dot at the end. False for what
 * is no host name. */
bool lb_tls_fold_name(struct str name, char room[256], struct str *ret);
