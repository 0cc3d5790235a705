#pragma once
/* Sealed texts: nobody without the key can read or change them. AES-256-GCM (NIST SP 800-38D) with
 * a random nonce in front of each. */

#include "base/arena.h"
#include "base/str.h"

#define SEAL_KEY_BYTES  32
#define SEAL_MORE_BYTES 28 /* what a sealed text is longer by: nonce and tag */
#define SEAL_BYTES_MAX  (64 << 20)

struct seal_key {
    uint8_t bytes[SEAL_KEY_BYTES];
};

/* purpose: bound to the text, not kept in it: a text sealed for one purpose does not open for
 * another. text.len <= SEAL_BYTES_MAX. With one key at most 2^32 texts. */
struct str seal_close(struct arena *a, const struct seal_key *key, struct str purpose,
                      struct str text);
/* False when the text was changed, cut, sealed by another key, or for another purpose. */
bool seal_open(struct arena *a, const struct seal_key *key, struct str purpose, struct str sealed,
               struct str *ret_text);
