#pragma once
/* Text as pointer and length, by value. A str does not own its bytes and need not end in NUL; the
 * struct that stores one says what keeps it alive. ptr == NULL means absent; STR("") is present and
 * empty. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){.ptr = (literal), .len = sizeof(literal "") - 1})
/* For static tables, where a compound literal is no constant. */
#define STR_INIT(literal)                               \
    {                                                   \
        .ptr = (literal), .len = sizeof(literal "") - 1 \
    }
#define STR_NONE ((struct str){.ptr = NULL, .len = 0})
/* printf("%.*s", STR_ARG(s)) */
#define STR_ARG(s) (int)(s).len, (s).ptr == NULL ? "" : (s).ptr

#define STR_NOT_FOUND ((size_t)-1)

static inline struct str str_of(const char *text)
{
    return (struct str){.ptr = text, .len = text == NULL ? 0 : strlen(text)};
}

static inline struct str str_make(const char *ptr, size_t len)
{
    return (struct str){.ptr = ptr, .len = len};
}

static inline bool str_is_set(struct str s)
{
    return s.ptr != NULL;
}

static inline bool str_is_empty(struct str s)
{
    return s.len == 0;
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

#define STR_IS(s, literal) str_equal((s), STR(literal))

/* ASCII only. */
bool str_equal_nocase(struct str a, struct str b);
/* Bytewise order, as strcmp. */
int str_compare(struct str a, struct str b);
bool str_starts_with(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);
/* Index of the first occurrence at or after `from`, or STR_NOT_FOUND. */
size_t str_find(struct str s, struct str needle, size_t from);
size_t str_find_char(struct str s, char c, size_t from);
size_t str_find_last_char(struct str s, char c);
/* Bytes [from, to), clamped to the text. */
struct str str_slice(struct str s, size_t from, size_t to);
struct str str_from(struct str s, size_t from);
/* Without leading and trailing spaces, tabs, CR and LF. */
struct str str_trim(struct str s);
/* Takes the text up to `separator` off the front of *rest. Returns false when *rest is used up.
 * "a,b" gives "a", "b"; "" gives "" once; "a," gives "a", "". */
bool str_next(struct str *rest, char separator, struct str *ret_part);
/* Splits at the first separator; false (and nothing written) when there is none. */
bool str_cut(struct str s, char separator, struct str *ret_head, struct str *ret_tail);

/* Whole text as a decimal number, no sign, space or leading plus. False when it is none or above
 * max. */
bool str_parse_u64(struct str s, uint64_t max, uint64_t *ret_value);
/* The same with an optional leading minus. */
bool str_parse_i64(struct str s, int64_t min, int64_t max, int64_t *ret_value);
/* Decimal number with optional fraction and exponent; finite only. */
bool str_parse_f64(struct str s, double *ret_value);

/* Wildcard match over the whole text: * any run, ? one byte. O(text * pattern) at worst, no
 * recursion. */
bool str_match(struct str pattern, struct str s, bool ignore_case);

/* Copies into a NUL-terminated buffer; false (buffer holds "") when it does not fit or holds a NUL.
 */
bool str_to_c(struct str s, char *buffer, size_t buffer_bytes);

static inline char str_lower_char(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}
