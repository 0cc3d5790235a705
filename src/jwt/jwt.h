#pragma once
/* JSON Web Tokens (RFC 7519) with signatures (RFC 7515) that keys of a JSON Web Key Set (RFC 7517)
 * made: RS256 and ES256. A key is used for its own algorithm only, so that nobody can take a public
 * key for a shared one; "none", "crit" and what else is not known is not valid.
 * Source of the claims that are checked: ELBv2 guide, "Verify JWTs". */

#include "base/op.h"
#include "jwt/limits.h"

struct jwt_keys;

/* ERR_INPUT or ERR_LIMIT with a sentence; keys for other uses or algorithms are left out. Owns: the
 * caller, jwt_keys_free. May be used by several threads at once. */
enum err jwt_keys_read(struct op *op, struct str jwks, struct jwt_keys **ret_keys) MUST_USE;
void jwt_keys_free(struct jwt_keys *keys);
size_t jwt_keys_count(const struct jwt_keys *keys);

enum jwt_format {
    JWT_SINGLE_STRING,   /* one of the values */
    JWT_STRING_ARRAY,    /* an array that has all of the values */
    JWT_SPACE_SEPARATED, /* words that have all of the values among them: "scope" */
};

struct jwt_claim {
    struct str name;
    enum jwt_format format;
    const struct str *values;
    size_t value_count;
};

struct jwt_policy {
    struct str issuer;
    const struct jwt_claim *claims;
    size_t claim_count;
};

enum jwt_verdict {
    JWT_VALID,
    JWT_MALFORMED,
    JWT_NO_KEY, /* no key of the set has its algorithm and id */
    JWT_BAD_SIGNATURE,
    JWT_EXPIRED, /* or not valid yet */
    JWT_WRONG_CLAIM,
};

/* "exp" and "iss" must be there, "nbf" and "iat" hold where they are. */
enum jwt_verdict jwt_check(const struct jwt_keys *keys, const struct jwt_policy *policy,
                           struct str token, wall_t now);
/* For logs: "expired". */
const char *jwt_verdict_text(enum jwt_verdict verdict);
