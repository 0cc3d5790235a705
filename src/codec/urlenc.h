#pragma once
/* Percent coding by RFC 3986 and application/x-www-form-urlencoded. */

#include "base/arena.h"
#include "base/buf.h"
#include "base/op.h"
#include "base/str.h"

#define URL_FORM_PAIRS_MAX 10000 /* AWS Query requests; the largest real one has some hundreds */

/* A-Z a-z 0-9 - . _ ~ stay, all else becomes %XX in upper case: SigV4's rule. keep_slash leaves '/'
 * as well, for paths. */
void url_encode(struct buf *out, struct str text, bool keep_slash);
/* %XX; in forms '+' is a space. False on a '%' without two hex digits. Gives the text itself when
 * there is nothing to decode. */
bool url_decode(struct arena *a, struct str text, bool is_form, struct str *ret_text);

struct url_pair {
    struct str name;
    struct str value; /* present and empty for "a" and "a=" */
};

struct url_form {
    struct url_pair *items;
    size_t count;
};

/* "a=1&b=%20" in the order of the text; empty pieces ("a&&b") are left out. ERR_INPUT on bad
 * percent coding or text that is no UTF-8, ERR_LIMIT past URL_FORM_PAIRS_MAX. */
enum err url_form_parse(struct op *op, struct str text, struct url_form *ret_form);
/* The first value of that name; absent when there is none. */
struct str url_form_find(const struct url_form *form, struct str name);
/* Adds "&" where needed, then name=value. */
void url_form_add(struct buf *out, struct str name, struct str value);
