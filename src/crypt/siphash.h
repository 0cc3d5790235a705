#pragma once
/* SipHash-2-4: a keyed hash for tables and shares, quick on short texts. Without the key nobody can
 * choose texts that fall together.
 *
 * Source  J.-P. Aumasson, D. J. Bernstein: SipHash, a fast short-input PRF, 2012. */

#include "base/str.h"

struct siphash_key {
    uint64_t k0;
    uint64_t k1;
};

uint64_t siphash_of(const struct siphash_key *key, struct str text);
