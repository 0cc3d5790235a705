#include "base/check.h"
#include "codec/json.h"
#include "codec/utf8.h"

#include <math.h>
#include <stdio.h>

#define ONES          UINT64_C(0x0101010101010101)
#define HIGHS         UINT64_C(0x8080808080808080)
#define F64_WHOLE_MAX 9007199254740992.0

void json_writer_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

/* What stands between this value and the one before it. */
static void separate(struct json_writer *w)
{
    if (w->is_after_key) {
        w->is_after_key = false;
        return;
    }
    if (w->depth == 0) {
        return;
    }
    uint64_t bit = UINT64_C(1) << (w->depth - 1);
    CHECK((w->is_object & bit) == 0);
    if ((w->has_items & bit) != 0) {
        buf_add_char(w->out, ',');
    }
    w->has_items |= bit;
}

static void begin(struct json_writer *w, char opening, bool is_object)
{
    separate(w);
    CHECK(w->depth < JSON_DEPTH_MAX);
    uint64_t bit = UINT64_C(1) << w->depth++;
    w->has_items &= ~bit;
    w->is_object = is_object ? w->is_object | bit : w->is_object & ~bit;
    buf_add_char(w->out, opening);
}

static void end(struct json_writer *w, char closing, bool is_object)
{
    CHECK(w->depth > 0 && !w->is_after_key);
    uint64_t bit = UINT64_C(1) << --w->depth;
    CHECK(((w->is_object & bit) != 0) == is_object);
    buf_add_char(w->out, closing);
}

void json_begin_object(struct json_writer *w)
{
    begin(w, '{', true);
}

void json_end_object(struct json_writer *w)
{
    end(w, '}', true);
}

void json_begin_array(struct json_writer *w)
{
    begin(w, '[', false);
}

void json_end_array(struct json_writer *w)
{
    end(w, ']', false);
}

/* Nonzero when one of eight bytes may need a closer look: a quote, a backslash, a control
 * character, DEL, or not ASCII. */
static uint64_t special_bytes(uint64_t eight)
{
    uint64_t quote = eight ^ (ONES * '"');
    uint64_t slash = eight ^ (ONES * '\\');
    uint64_t is_quote = (quote - ONES) & ~quote;
    uint64_t is_slash = (slash - ONES) & ~slash;
    uint64_t is_control = (eight - ONES * 0x20) & ~eight;
    uint64_t is_delete = eight + ONES; /* 7F + 1 sets the high bit; no carry below 80 */
    return (is_quote | is_slash | is_control | is_delete | eight) & HIGHS;
}

/* Bytes from the front that need no escape and are valid UTF-8. */
static size_t plain_bytes(struct str s)
{
    size_t at = 0;
    while (at < s.len) {
        uint64_t eight;
        if (s.len - at >= sizeof(eight)) {
            memcpy(&eight, s.ptr + at, sizeof(eight));
            if (special_bytes(eight) == 0) {
                at += sizeof(eight);
                continue;
            }
        }
        uint8_t c = (uint8_t)s.ptr[at];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F) {
            return at;
        }
        size_t bytes = c < 0x80 ? 1 : utf8_char_bytes(s.ptr + at, s.len - at);
        if (bytes == 0) {
            return at;
        }
        at += bytes;
    }
    return at;
}

static void add_escaped(struct buf *out, uint8_t c)
{
    static const char letters[0x80] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n',  ['\f'] = 'f',
        ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\',
    };
    if (c >= 0x80) {
        buf_add(out, STR("\xEF\xBF\xBD"));
    } else if (letters[c] != '\0') {
        buf_add_bytes(out, (char[]){'\\', letters[c]}, 2);
    } else {
        buf_addf(out, "\\u%04x", c);
    }
}

static void add_quoted(struct buf *out, struct str s)
{
    buf_add_char(out, '"');
    while (s.len > 0) {
        size_t plain = plain_bytes(s);
        buf_add_bytes(out, s.ptr, plain);
        s = str_from(s, plain);
        if (s.len > 0) {
            add_escaped(out, (uint8_t)s.ptr[0]);
            s = str_from(s, 1);
        }
    }
    buf_add_char(out, '"');
}

void json_key(struct json_writer *w, struct str key)
{
    CHECK(w->depth > 0 && !w->is_after_key);
    uint64_t bit = UINT64_C(1) << (w->depth - 1);
    CHECK((w->is_object & bit) != 0);
    if ((w->has_items & bit) != 0) {
        buf_add_char(w->out, ',');
    }
    w->has_items |= bit;
    add_quoted(w->out, key);
    buf_add_char(w->out, ':');
    w->is_after_key = true;
}

void json_add_string(struct json_writer *w, struct str text)
{
    separate(w);
    add_quoted(w->out, text);
}

void json_add_i64(struct json_writer *w, int64_t value)
{
    separate(w);
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    buf_add_bytes(w->out, digits + at, sizeof(digits) - at);
}

size_t f64_text(double value, char ret_text[F64_TEXT_BYTES])
{
    CHECK(isfinite(value));
    bool is_whole = fabs(value) < F64_WHOLE_MAX && value == (double)(int64_t)value;
    if (is_whole && !(value == 0 && signbit(value))) {
        return (size_t)snprintf(ret_text, F64_TEXT_BYTES, "%lld", (long long)value);
    }
    for (int digits = 15; digits < 17; digits++) {
        int len = snprintf(ret_text, F64_TEXT_BYTES, "%.*g", digits, value);
        double back;
        if (str_parse_f64(str_make(ret_text, (size_t)len), &back) && back == value) {
            return (size_t)len;
        }
    }
    return (size_t)snprintf(ret_text, F64_TEXT_BYTES, "%.17g", value);
}

void json_add_f64(struct json_writer *w, double value)
{
    if (!isfinite(value)) {
        json_add_null(w);
        return;
    }
    char text[F64_TEXT_BYTES];
    size_t len = f64_text(value, text);
    separate(w);
    buf_add_bytes(w->out, text, len);
}

void json_add_bool(struct json_writer *w, bool value)
{
    separate(w);
    buf_add(w->out, value ? STR("true") : STR("false"));
}

void json_add_null(struct json_writer *w)
{
    separate(w);
    buf_add(w->out, STR("null"));
}

void json_add_raw(struct json_writer *w, struct str json)
{
    separate(w);
    buf_add(w->out, json);
}
