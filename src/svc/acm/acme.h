#pragma once
/* Between acme.c (what is asked) and acme_wire.c (how it is signed and read). */

#include "svc/acm/machine.h"
#include "webcall/webcall.h"

/* A call that is under way, and for what. */
enum acme_want {
    ACME_DIRECTORY,
    ACME_NONCE,
    ACME_ACCOUNT,
    ACME_STEP, /* of an order */
};

struct acme {
    struct acm *acm;
    struct webcall_client *web;
    struct arena arena; /* of the directory's URLs */
    struct engine_acme_directory directory;
    char *nonce; /* NULL: none at hand */
    struct webcall *call;
    enum acme_want want;
    struct order_step step;
    struct arena call_arena; /* of the two */
    struct str arn;
    struct str region;
    int bad_nonces; /* in a row */
};

extern const struct store_kind acme_kind_account;

/* The account's row, made with a new key when there is none. */
enum err acme_get_account(struct op *op, struct acme *acme, struct engine_acm_account *ret);
enum err acme_put_account(struct op *op, struct acme *acme, const struct engine_acm_account *row);
/* The caller clears it. */
enum err acme_account_key(struct op *op, struct acme *acme, const struct engine_acm_account *row,
                          struct str *ret_key_pem);

/* The body of a POST: a flattened JSON Web Signature (RFC 8555, section 6.2). payload: JSON, or ""
 * for POST-as-GET. Signed with the account's URL, or with the key itself while there is none. */
enum err acme_sign(struct op *op, struct acme *acme, const struct engine_acm_account *account,
                   struct str url, struct str payload, struct str *ret_body);

/* Takes the nonce. ERR_OK for 2xx; else a failure: ERR_AGAIN when the nonce was bad and the call is
 * to be made once more. *ret_failure: set when it is not ERR_OK. */
enum err acme_take_answer(struct op *op, struct acme *acme, const struct webcall_answer *answer,
                          struct order_failure *ret_failure);
/* The moment that Retry-After names (seconds only), or 0. */
wall_t acme_retry_after(const struct op *op, const struct webcall_answer *answer);
enum err acme_read(struct op *op, const struct shape *shape, struct str text, void *ret);
