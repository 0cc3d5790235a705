#pragma once
/* SHA-256, HMAC-SHA-256, comparison in constant time. Owns nothing. */

#include "base/arena.h"
#include "base/str.h"

#define SHA256_BYTES     32
#define SHA256_HEX_CHARS 64
/* Of the empty text: SigV4 needs it for every request without a body. */
#define SHA256_EMPTY_HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct sha256 {
    uint8_t bytes[SHA256_BYTES];
};

struct sha256 sha256_of(struct str text);
struct sha256 hmac_sha256_of(struct str key, struct str text);
/* Lower case. */
struct str sha256_hex(struct arena *a, struct str text);

/* Takes the same time wherever the texts differ; tells their lengths. */
bool secret_equal(struct str a, struct str b);

/* Hashing piece by piece. */
struct sha256_stream;
struct sha256_stream *sha256_stream_new(void);
void sha256_stream_add(struct sha256_stream *s, struct str text);
/* Gives the hash and frees the stream. */
struct sha256 sha256_stream_end(struct sha256_stream *s);
void sha256_stream_free(struct sha256_stream *s);
