#pragma once
/* Sealed texts (seal.h) many thousand times a second: the key's schedule is kept, and nothing is
 * allocated. One thread. AES-256-GCM with a nonce of 8 random bytes and a count. */

#include "crypt/seal.h"

struct sealer {
    void *opens;
    void *closes;
    uint8_t nonce[12];
    uint32_t nonce_count; /* closed with these random bytes */
};

/* Until sealer_fini. */
void sealer_init(struct sealer *s, const struct seal_key *key);
/* Fine for one that was never made (all zero). */
void sealer_fini(struct sealer *s);

/* Writes len + SEAL_MORE_BYTES bytes. len <= SEAL_BYTES_MAX. */
void sealer_close(struct sealer *s, const void *text, size_t len, uint8_t *ret_sealed);
/* len is that of the sealed text; writes len - SEAL_MORE_BYTES bytes, also when it is false: then
 * the text was changed, cut, or sealed by another key. */
bool sealer_open(struct sealer *s, const uint8_t *sealed, size_t len, uint8_t *ret_text);
