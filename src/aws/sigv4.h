#pragma once
/* Signature Version 4: signing requests and checking the signatures of others.
 *
 * Source  "AWS Signature Version 4 for API requests" (IAM user guide); the error texts are those
 *         that the services answer with. */

#include "aws/request.h"
#include "base/op.h"
#include "base/time.h"
#include "crypt/hash.h"

#define SIGV4_SKEW_S            300    /* how far a request's date may lie from ours */
#define SIGV4_EXPIRES_S_MAX     604800 /* of presigned requests: seven days */
#define SIGV4_SIGNED_NAMES_MAX  64
#define SIGV4_QUERY_PARTS_MAX   1024
#define SIGV4_CACHE_ENTRIES     8
#define SIGV4_UNSIGNED_PAYLOAD  "UNSIGNED-PAYLOAD"
#define SIGV4_STREAMING_PAYLOAD "STREAMING-" /* the beginning of all of them */

/* What a signature is for. */
struct sigv4_scope {
    struct str date; /* "20261120" */
    struct str region;
    struct str service; /* signing name */
};

/* Signing keys change once a day: the last few are kept. Secrets are kept only as the keys made of
 * them. Zeroed is empty; wipe when done. */
struct sigv4_cache_entry {
    struct sha256 id; /* hash of secret and scope */
    struct sha256 key;
    bool is_used;
};
struct sigv4_cache {
    struct sigv4_cache_entry entries[SIGV4_CACHE_ENTRIES];
    size_t next;
};
void sigv4_cache_wipe(struct sigv4_cache *cache);

/* The key for a scope; cache may be NULL. */
struct sha256 sigv4_signing_key(struct sigv4_cache *cache, struct str secret,
                                const struct sigv4_scope *scope);

/* The two texts of the algorithm. signed_names: lower case, sorted, joined by ';'. without: a query
 * parameter to leave out, or absent. */
struct str sigv4_canonical_request(struct arena *a, const struct aws_request *r,
                                   struct str signed_names, struct str payload_hash,
                                   struct str without);
struct str sigv4_string_to_sign(struct arena *a, struct str amz_date,
                                const struct sigv4_scope *scope, struct str canonical_request);
/* 64 hex digits. */
struct str sigv4_signature(struct arena *a, const struct sha256 *key, struct str string_to_sign);

/* The value of the Authorization header for a request that carries its X-Amz-Date already: signs
 * Host, Content-Type and every x-amz-* header among r's headers. */
struct str sigv4_authorization(struct arena *a, struct sigv4_cache *cache,
                               const struct aws_request *r, struct str access_key_id,
                               struct str secret, const struct sigv4_scope *scope,
                               struct str amz_date);

/* ---- checking ------------------------------------------------------------------------------- */

enum sigv4_fault {
    SIGV4_OK,
    SIGV4_MISSING,     /* no signature at all */
    SIGV4_INCOMPLETE,  /* one that cannot be read */
    SIGV4_UNKNOWN_KEY, /* nobody has that access key, or its session token is another one */
    SIGV4_EXPIRED_TOKEN,
    SIGV4_MISMATCH, /* wrong signature, date, scope or body */
};

/* What a request says about its signature. */
struct sigv4_claim {
    struct str access_key_id;
    struct sigv4_scope scope;
    struct str signed_names; /* as sent */
    struct str signature;
    struct str amz_date; /* "20261120T154210Z" */
    wall_t date;
    struct str session_token; /* absent for long-lived keys */
    bool is_presigned;
    int64_t expires_s; /* presigned only */
};

/* Reads the Authorization header or the query string. On a fault *ret_text is AWS's sentence. */
enum sigv4_fault sigv4_claim_read(struct arena *a, const struct aws_request *r,
                                  struct sigv4_claim *ret_claim, struct str *ret_text);

/* Checks date, body and signature. `service`: the signing name of the service that was asked. */
enum sigv4_fault sigv4_claim_check(struct arena *a, struct sigv4_cache *cache,
                                   const struct aws_request *r, const struct sigv4_claim *claim,
                                   struct str service, struct str secret, wall_t now,
                                   struct str *ret_text);

/* Sentences for faults that the caller finds itself. */
#define SIGV4_TEXT_UNKNOWN_KEY   "The security token included in the request is invalid."
#define SIGV4_TEXT_EXPIRED_TOKEN "The security token included in the request is expired"
#define SIGV4_TEXT_MISSING       "Missing Authentication Token"
#define SIGV4_TEXT_MISMATCH                                                                      \
    "The request signature we calculated does not match the signature you provided. Check your " \
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
