#pragma once
/* authenticate-oidc on control's side: what the API takes, the client secrets, and the exchange of
 * a code for a user. The secret stays here: it is sealed in the store, and neither a row that the
 * API echoes nor the data plane has it. Private to the module.
 *
 * Exchange  POST to the token endpoint (client_secret_post), then GET of the user info, over
 *           src/webcall: HTTPS with verified certificates, no redirects. The ID token comes
 *           straight from the IdP over TLS, so its issuer, audience, end and subject are checked
 *           and not its signature (OpenID Connect Core, 3.1.3.7).
 * Answers   0 with the user; 561: the IdP answered with an error; 401: there is no ID token, or the
 *           claims are too large; 500: no answer, or one that is not understood.
 * Source    ELBv2 guide, "Authenticate users", "Troubleshoot". */

#include "svc/elbv2/elbv2.h"

void elbv2_sign_ins_init(struct elbv2 *e);
void elbv2_sign_ins_fini(struct elbv2 *e);
/* Reads the key that signs what targets are told, or makes it. */
enum err elbv2_sign_in_key_load(struct op *op, struct elbv2 *e);

/* Checks the action and gives it as AWS echoes it: with defaults, without the secret, which is put
 * into the store. Within the caller's transaction. needs_secret: a client says the action, and not
 * the engine that shifts weights. */
enum err elbv2_check_oidc(struct op *op, struct elbv2 *e, struct str lb_arn, bool needs_secret,
                          const struct elbv2_action *sent, struct elbv2_action *ret);
enum err elbv2_remove_client_secrets(struct op *op, struct elbv2 *e, struct str lb_arn);

void elbv2_snapshot_oidc(struct arena *a, const struct elbv2_authenticate_oidc_action_config *from,
                         struct lbconf_action *to);
