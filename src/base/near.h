#pragma once
/* "Did you mean": the known word that a mistyped one stands for. Pure. */

#include "base/str.h"

/* The word of known[count] that differs by at most two edits (insert, drop, replace, swap of
 * neighbours); the first of equals; absent when none is near. */
struct str near_word(struct str word, const struct str *known, size_t count);
