#pragma once
/* What the listeners of TLS have: certificates by name, versions and ciphers of the policy, who may
 * come (mutual TLS). A site is made on the control thread from a listener of the snapshot, is
 * immutable, and is shared by all configurations whose listener is the same, so that a new snapshot
 * parses no certificate again. Connections hold it as long as they live: a new certificate changes
 * nothing for them.
 *
 * Secrets  The private key is in OpenSSL's memory alone; nothing here keeps or prints its text. */

#include "base/map.h"
#include "base/op.h"
#include "gen/lbconf.h"
#include "lb/tls_choose.h"
#include "lb/tls_ticket.h"

#include <stdatomic.h>

typedef struct ssl_st SSL;
struct asn1_string_st;
typedef struct ssl_ctx_st SSL_CTX;

struct lb_tls_certificate {
    struct str arn;
    SSL_CTX *context;
    struct lb_tls_rank rank;
    struct str ocsp;      /* DER of a response to staple; absent: none */
    int64_t ocsp_until_s; /* since 1970; 0: as long as we like */
};

/* The certificates that have a name, in the listener's order. */
struct lb_tls_named {
    const struct lb_tls_certificate **items;
    size_t count;
    size_t capacity;
    bool is_set;
};

enum lb_tls_mutual { LB_TLS_MUTUAL_OFF, LB_TLS_MUTUAL_PASSTHROUGH, LB_TLS_MUTUAL_VERIFY };

struct lb_tls_site {
    struct arena arena;
    char key[65];          /* hash of all that it was made of */
    uint32_t conf_count;   /* configurations that have it; control thread */
    atomic_uint ref_count; /* connections, and one for conf_count > 0 */
    struct lb_tls_share *share;
    struct lb_tls_certificate *certificates; /* the default first */
    size_t count;
    struct map exact;    /* "www.example.com" -> struct lb_tls_named */
    struct map wildcard; /* "example.com" of "*.example.com" -> the same */
    enum lb_tls_mutual mutual;
    bool ignores_expiry;
    bool may_be_13;
};

/* What all sites of a data plane share. */
struct lb_tls_share {
    struct map sites; /* key -> struct lb_tls_site */
    struct lb_tls_tickets tickets;
    SSL_CTX *targets; /* what connections to targets begin with */
};

void lb_tls_share_init(struct lb_tls_share *share);
/* Every site must have been given back. */
void lb_tls_share_fini(struct lb_tls_share *share);

/* Finds or makes the site of a listener with the protocol HTTPS or TLS; each take is answered by a
 * give. offers_h2: "h2" before "http/1.1". ERR_INPUT or ERR_LIMIT with a sentence that names the
 * listener. Control thread. */
enum err lb_tls_site_take(struct op *op, struct lb_tls_share *share,
                          const struct lbconf_listener *listener, bool offers_h2,
                          struct lb_tls_site **ret_site) MUST_USE;
void lb_tls_site_give(struct lb_tls_site *site);
/* Since 1970; 0 for what is no time. */
int64_t lb_tls_seconds_of(const struct asn1_string_st *time);
/* For a connection. Any thread. */
struct lb_tls_site *lb_tls_site_hold(struct lb_tls_site *site);
void lb_tls_site_drop(struct lb_tls_site *site);

/* A server's side of a connection, with the default certificate; the ClientHello chooses. NULL
 * without memory. */
SSL *lb_tls_site_ssl(const struct lb_tls_site *site) MUST_USE;
/* The best certificate for the name, which is absent when the client named none. */
const struct lb_tls_certificate *lb_tls_site_choose(const struct lb_tls_site *site,
                                                    struct str server_name, unsigned kinds,
                                                    int64_t now_s);
