#pragma once
/* Limits of JSON Web Tokens and key sets, all of them from outside. */

#include <stddef.h>

#define JWT_TOKEN_BYTES_MAX  ((size_t)8 * 1024)
#define JWT_JWKS_BYTES_MAX   ((size_t)150 * 1024) /* ALB */
#define JWT_KEYS_MAX         10                   /* ALB */
#define JWT_CLAIMS_MAX       10                   /* ALB: additional ones of an action */
#define JWT_CLAIM_VALUES_MAX 10                   /* ALB: of one claim */
#define JWT_RSA_BITS_MIN     2048
#define JWT_RSA_BITS_MAX     8192 /* a signature of more would cost milliseconds */
