#pragma once
/* Mutual TLS: who may come. "verify": the client's chain must end at an authority of the trust
 * store and must not be revoked; "passthrough": every certificate is taken and shown to the target.
 *
 * Source  ELB user guide, "Mutual authentication with TLS in Application Load Balancer". */

#include "lb/tls_site.h"

/* Reads mode and flags into the site. */
enum err lb_tls_mutual_read(struct op *op, const struct lbconf_listener *listener,
                            struct lb_tls_site *site) MUST_USE;
/* Makes the context ask for and verify certificates as the site says. */
enum err lb_tls_mutual_apply(struct op *op, const struct lbconf_listener *listener,
                             const struct lb_tls_site *site, SSL_CTX *context) MUST_USE;
