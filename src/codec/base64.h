#pragma once
/* Base64 by RFC 4648: section 4 (padded) and section 5 (URL alphabet, unpadded). */

#include "base/arena.h"
#include "base/str.h"

struct str base64_encode(struct arena *a, struct str bytes);
struct str base64url_encode(struct arena *a, struct str bytes);
/* Strict: right alphabet, full padding, no blanks, unused bits zero. */
bool base64_decode(struct arena *a, struct str text, struct str *ret_bytes);
/* The URL alphabet; padding may be there or not. */
bool base64url_decode(struct arena *a, struct str text, struct str *ret_bytes);
