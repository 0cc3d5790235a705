#pragma once
/* ECDSA over P-256 with SHA-256 as JSON Web Signatures have it (RFC 7518, section 3.4). */

#include "base/arena.h"
#include "base/str.h"

#define ES256_BYTES 64 /* r and s, 32 bytes each */

/* key_pem: of CERT_KEY_EC_P256 (crypt/cert.h). */
struct str es256_sign(struct arena *a, struct str key_pem, struct str text);
/* The public key as a JSON Web Key in the form that a thumbprint is made of (RFC 7638): members in
 * order, no blanks. */
struct str es256_jwk(struct arena *a, struct str key_pem);
/* The public key as PEM ("BEGIN PUBLIC KEY"). */
struct str es256_public_pem(struct arena *a, struct str key_pem);
/* base64url of the JWK's SHA-256. */
struct str es256_thumbprint(struct arena *a, struct str key_pem);
