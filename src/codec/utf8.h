#pragma once
/* UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
 * Owns nothing, no allocation. */

#include "base/str.h"

#define UTF8_BYTES_MAX 4

/* Bytes of the well-formed character that starts text (1..4), or 0 when there is none. */
size_t utf8_char_bytes(const char *text, size_t available);
/* The index of the first byte that is not part of well-formed UTF-8; s.len when all is. */
size_t utf8_valid_bytes(struct str s);
static inline bool utf8_is_valid(struct str s)
{
    return utf8_valid_bytes(s) == s.len;
}
/* Characters, not bytes; a malformed byte counts as one. AWS bounds lengths in characters. */
size_t utf8_count(struct str s);
/* Writes code_point (a Unicode scalar value) and returns its bytes. */
size_t utf8_put(uint32_t code_point, char ret_bytes[UTF8_BYTES_MAX]);
