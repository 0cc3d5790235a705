#pragma once
/* The security policies of Elastic Load Balancing: which versions of TLS and which ciphers, in the
 * server's order. One table for what DescribeSSLPolicies tells and what the data plane does.
 *
 * Source  ELB user guide, "Security policies for your Application Load Balancer". */

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>

enum tlspol_version {
    TLSPOL_V10 = 1 << 0,
    TLSPOL_V11 = 1 << 1,
    TLSPOL_V12 = 1 << 2,
    TLSPOL_V13 = 1 << 3,
};

enum tlspol_set {
    TLSPOL_13 = 1 << 0,        /* AES-GCM of TLS 1.3 */
    TLSPOL_13_CHACHA = 1 << 1, /* ChaCha20 of TLS 1.3 */
    TLSPOL_GCM128 = 1 << 2,    /* ECDHE, AES128-GCM */
    TLSPOL_SHA128 = 1 << 3,    /* ECDHE, AES128-SHA256 */
    TLSPOL_OLD128 = 1 << 4,    /* ECDHE, AES128-SHA */
    TLSPOL_GCM256 = 1 << 5,    /* ECDHE, AES256-GCM */
    TLSPOL_SHA256 = 1 << 6,    /* ECDHE, AES256-SHA384 */
    TLSPOL_OLD256 = 1 << 7,    /* ECDHE, AES256-SHA */
    TLSPOL_RSA_NEW = 1 << 8,   /* without forward secrecy, SHA2 */
    TLSPOL_RSA_OLD = 1 << 9,   /* without forward secrecy, SHA1 */
    TLSPOL_DES = 1 << 10,
};

struct tlspol {
    struct str name; /* "ELBSecurityPolicy-..." */
    unsigned versions;
    unsigned sets;
};

struct tlspol_cipher {
    struct str name;
    unsigned set;
};

#define TLSPOL_POLICIES_MAX 64
/* What a listener has that names none, when it was made by the API; and what targets are offered
 * (ELB: "for backend connections"). */
#define TLSPOL_DEFAULT STR("ELBSecurityPolicy-2016-08")
#define TLSPOL_BACKEND STR("ELBSecurityPolicy-TLS13-1-0-2021-06")

size_t tlspol_count(void);
/* index < tlspol_count(). */
const struct tlspol *tlspol_at(size_t index);
/* NULL when there is no such policy. */
const struct tlspol *tlspol_find(struct str name);
size_t tlspol_cipher_count(void);
const struct tlspol_cipher *tlspol_cipher_at(size_t index);
/* "TLSv1.2"; index 0 to 3, oldest first. */
struct str tlspol_version_name(size_t index);
/* Names joined by ":", of TLS 1.3 or of the versions before; "" when there is none. */
struct str tlspol_cipher_list(struct arena *a, const struct tlspol *policy, bool is_tls13);
