#pragma once
/* Randomness from the kernel; good enough for keys and identifiers. */

#include "base/arena.h"

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *ret_bytes, size_t count);
uint64_t rand_u64(void);
/* Version 4, lower case, 36 characters. */
struct str rand_uuid(struct arena *a);
/* `count` characters of `alphabet` (1..256 characters), each equally likely. */
struct str rand_text(struct arena *a, struct str alphabet, size_t count);
#define RAND_HEX    STR("0123456789abcdef")
#define RAND_DIGITS STR("0123456789")
#define RAND_UPPER  STR("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
