#pragma once
/* Hexadecimal, RFC 4648 section 8. */

#include "base/arena.h"
#include "base/str.h"

/* Lower case, as SigV4 and digests want it. */
struct str hex_encode(struct arena *a, const void *bytes, size_t count);
/* Writes 2 * count characters and no NUL. */
void hex_encode_to(const void *bytes, size_t count, char *ret_text);
/* Either case; false when the text is odd in length or has another character. Writes text.len / 2
 * bytes. */
bool hex_decode_to(struct str text, void *ret_bytes, size_t room_bytes);
/* 0 to 15, either case; -1 for another character. */
static inline int hex_digit_value(char c)
{
    switch (c) {
    case '0' ... '9':
        return c - '0';
    case 'a' ... 'f':
        return c - 'a' + 10;
    case 'A' ... 'F':
        return c - 'A' + 10;
    default:
        return -1;
    }
}
