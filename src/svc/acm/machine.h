#pragma once
/* Gets and renews certificates: a row a certificate that is under way (engine.AcmOrder), a turn
 * over all of them, one call to the authority at a time. Private to the module.
 *
 * Crash: every answer of the authority is committed before the next call. A call that was under way
 * is made again; a second newOrder makes a second order at the authority, of which nothing comes.
 */

#include "svc/acm/order.h"
#include "svc/acm/service.h"

extern const struct store_kind acm_kind_order;

/* Writes the order of a certificate, within the caller's transaction. */
enum err acm_order_begin(struct op *op, struct acm *acm, struct engine_acm_certificate *row,
                         bool is_renewal);
enum err acm_order_get(struct op *op, struct acm *acm, struct str arn,
                       struct engine_acm_order *ret);
enum err acm_order_put(struct op *op, struct acm *acm, struct str arn,
                       const struct engine_acm_order *order);
/* Goes to another state. */
void acm_order_enter(const struct op *op, struct engine_acm_order *order, struct str state);
struct order_failure {
    struct str reason; /* for people */
    bool is_final;     /* no retry will mend it: a certificate that was never issued has FAILED */
    wall_t not_before; /* the authority asks for patience until then; 0: it does not */
};
/* Back to the first state, with a pause. */
enum err acm_order_failed(struct op *op, struct acm *acm, struct str arn,
                          const struct order_failure *why);
/* The certificate is there: chain_pem begins with the leaf; sealed_key is its key. ERR_PROTOCOL
 * with a sentence when it is not what was asked for. Within the caller's transaction. */
enum err acm_order_finish(struct op *op, struct acm *acm, struct str arn, struct str chain_pem,
                          struct str sealed_key);
/* A turn at the end of this turn of the loop. */
void acm_turn_soon(struct acm *acm);

/* Challenges that are to be answered now. */
enum err acm_list_challenges(struct op *op, struct acm *acm, struct port_challenges *ret);

/* ---- local.c --------------------------------------------------------------------------------- */

/* Signs with the engine's own authority, which is made at first use (STATE/local-ca.pem). */
enum err acm_sign_locally(struct op *op, struct acm *acm, struct str arn);

/* ---- acme.c ---------------------------------------------------------------------------------- */

enum err acme_open(struct op *op, struct acm *acm, struct acme **ret);
void acme_close(struct acme *acme);
bool acme_is_busy(const struct acme *acme);
/* Makes the call that the step wants, or the one that must come before (directory, nonce, account).
 * Not while it is busy. The op is in the certificate's region. */
void acme_perform(struct op *op, struct acme *acme, struct str arn,
                  const struct engine_acm_order *order, struct order_step step);
