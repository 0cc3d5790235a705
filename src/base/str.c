#include "base/str.h"

#include "base/check.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define NUMBER_CHARS_MAX 63

bool str_equal_nocase(struct str a, struct str b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (str_lower_char(a.ptr[i]) != str_lower_char(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

int str_compare(struct str a, struct str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

bool str_starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_equal(str_make(s.ptr, prefix.len), prefix);
}

bool str_ends_with(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_equal(str_from(s, s.len - suffix.len), suffix);
}

size_t str_find(struct str s, struct str needle, size_t from)
{
    if (from > s.len) {
        return STR_NOT_FOUND;
    }
    if (needle.len == 0) {
        return from;
    }
    if (s.len == 0) {
        return STR_NOT_FOUND; /* s.ptr may be NULL */
    }
    const char *at = memmem(s.ptr + from, s.len - from, needle.ptr, needle.len);
    return at == NULL ? STR_NOT_FOUND : (size_t)(at - s.ptr);
}

size_t str_find_char(struct str s, char c, size_t from)
{
    if (from >= s.len) {
        return STR_NOT_FOUND;
    }
    const char *at = memchr(s.ptr + from, c, s.len - from);
    return at == NULL ? STR_NOT_FOUND : (size_t)(at - s.ptr);
}

size_t str_find_last_char(struct str s, char c)
{
    const char *at = s.len == 0 ? NULL : memrchr(s.ptr, c, s.len);
    return at == NULL ? STR_NOT_FOUND : (size_t)(at - s.ptr);
}

struct str str_slice(struct str s, size_t from, size_t to)
{
    if (to > s.len) {
        to = s.len;
    }
    if (from > to) {
        from = to;
    }
    return str_make(s.ptr == NULL ? NULL : s.ptr + from, to - from);
}

struct str str_from(struct str s, size_t from)
{
    return str_slice(s, from, s.len);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    size_t from = 0;
    size_t to = s.len;
    while (from < to && is_blank(s.ptr[from])) {
        from++;
    }
    while (to > from && is_blank(s.ptr[to - 1])) {
        to--;
    }
    return str_slice(s, from, to);
}

bool str_next(struct str *rest, char separator, struct str *ret_part)
{
    if (rest->ptr == NULL) {
        return false;
    }
    size_t at = str_find_char(*rest, separator, 0);
    if (at == STR_NOT_FOUND) {
        *ret_part = *rest;
        *rest = STR_NONE;
        return true;
    }
    *ret_part = str_slice(*rest, 0, at);
    *rest = str_from(*rest, at + 1);
    return true;
}

bool str_cut(struct str s, char separator, struct str *ret_head, struct str *ret_tail)
{
    size_t at = str_find_char(s, separator, 0);
    if (at == STR_NOT_FOUND) {
        return false;
    }
    *ret_head = str_slice(s, 0, at);
    *ret_tail = str_from(s, at + 1);
    return true;
}

bool str_parse_u64(struct str s, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (s.len == 0) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') {
            return false;
        }
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value)) {
            return false;
        }
    }
    if (value > max) {
        return false;
    }
    *ret_value = value;
    return true;
}

bool str_parse_i64(struct str s, int64_t min, int64_t max, int64_t *ret_value)
{
    bool is_negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t magnitude = 0;
    if (!str_parse_u64(is_negative ? str_from(s, 1) : s, (uint64_t)INT64_MAX + is_negative,
                       &magnitude)) {
        return false;
    }
    int64_t value = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    if (value < min || value > max) {
        return false;
    }
    *ret_value = value;
    return true;
}

/* strtod takes hex, "inf" and "nan"; decimal numbers are all that any of our inputs means. */
static bool looks_like_decimal(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_allowed =
            (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E';
        if (!is_allowed) {
            return false;
        }
    }
    return s.len > 0 && s.len <= NUMBER_CHARS_MAX;
}

bool str_parse_f64(struct str s, double *ret_value)
{
    if (!looks_like_decimal(s)) {
        return false;
    }
    char text[NUMBER_CHARS_MAX + 1] = {0};
    memcpy(text, s.ptr, s.len);
    char *end = NULL;
    errno = 0;
    double value = strtod(text, &end);
    if (end != text + s.len || !isfinite(value)) {
        return false;
    }
    *ret_value = value;
    return true;
}

static bool is_same_char(char a, char b, bool ignore_case)
{
    return ignore_case ? str_lower_char(a) == str_lower_char(b) : a == b;
}

bool str_match(struct str pattern, struct str s, bool ignore_case)
{
    size_t p = 0;
    size_t i = 0;
    size_t star = STR_NOT_FOUND;
    size_t star_text = 0;
    while (i < s.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            star_text = i;
        } else if (p < pattern.len &&
                   (pattern.ptr[p] == '?' || is_same_char(pattern.ptr[p], s.ptr[i], ignore_case))) {
            p++;
            i++;
        } else if (star != STR_NOT_FOUND) {
            p = star + 1;
            i = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

bool str_to_c(struct str s, char *buffer, size_t buffer_bytes)
{
    CHECK(buffer_bytes > 0);
    buffer[0] = '\0';
    if (s.len >= buffer_bytes || str_find_char(s, '\0', 0) != STR_NOT_FOUND) {
        return false;
    }
    if (s.len > 0) {
        memcpy(buffer, s.ptr, s.len);
    }
    buffer[s.len] = '\0';
    return true;
}
