#pragma once
/* What a listener with TLS has more than one without: certificates, and whom it trusts. Private to
 * the module. */

#include "gen/engine.h"
#include "svc/elbv2/elbv2.h"

/* Puts the policy and the certificates of an HTTPS or TLS listener into its part of the snapshot;
 * a listener without TLS is left as it is. In the op's arena: clear it with elbv2_secure_clear.
 * ERR_UNSUPPORTED with a sentence when the default certificate is not there, so that the listener
 * cannot be served. */
enum err elbv2_secure_fill(struct op *op, struct elbv2 *e, const struct elbv2_listener *listener,
                           const struct engine_elb_more *more, struct lbconf_listener *to);
/* A sentence about a listener that cannot be served for want of its certificate, or absent. */
struct str elbv2_why_not_secure(struct op *op, struct elbv2 *e,
                                const struct elbv2_listener *listener);
/* Overwrites the private keys. */
void elbv2_secure_clear(const struct lbconf_listener *listener);

bool elbv2_is_secure(const struct elbv2_listener *listener);

/* Checks MutualAuthentication and fills in what it leaves out. */
enum err elbv2_check_mutual(struct op *op, struct elbv2 *e, struct elbv2_listener *listener);

/* text: the ARN of a certificate, as a client gave it. */
enum err elbv2_check_certificate(struct op *op, struct elbv2 *e, struct str text);
