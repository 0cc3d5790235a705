#pragma once
/* Base64 by RFC 4648: section 4 (padded) and section 5 (URL alphabet, unpadded). */

#include "base/arena.h"
#include "base/str.h"

struct str base64_encode(struct arena *a, struct str bytes);
struct str base64url_encode(struct arena *a, struct str bytes);
/* For a multiple of 3 bytes, which needs no padding: into memory of the caller. Writes count / 3 *
 * 4 characters and no NUL. */
void base64_encode_to(const uint8_t *bytes, size_t count, char *ret_text);
/* The reverse, for a multiple of 4 characters without padding: writes text.len / 4 * 3 bytes. */
bool base64_decode_to(struct str text, uint8_t *ret_bytes);
/* Strict: right alphabet, full padding, no blanks, unused bits zero. */
bool base64_decode(struct arena *a, struct str text, struct str *ret_bytes);
/* The URL alphabet; padding may be there or not. */
bool base64url_decode(struct arena *a, struct str text, struct str *ret_bytes);
