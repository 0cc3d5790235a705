#include "base/check.h"
#include "codec/hex.h"
#include "codec/json.h"
#include "codec/utf8.h"

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* 2^53: above it a double no longer tells neighbouring whole numbers apart. */
#define F64_WHOLE_MAX 9007199254740992.0

void json_reader_init(struct json_reader *r, struct arena *arena, struct str text)
{
    /* levels are written as they are entered: two kilobytes need no zeroing per text */
    r->text = text.ptr == NULL ? STR("") : text;
    r->at = 0;
    r->arena = arena;
    r->error = NULL;
    r->depth = 0;
}

const char *json_kind_text(enum json_kind kind)
{
    static const char *const texts[] = {"nothing", "null",   "a boolean", "a number",
                                        "a text",  "a list", "an object"};
    return texts[kind];
}

bool json_refuse(struct json_reader *r, const char *error)
{
    if (r->error == NULL) {
        r->error = error;
    }
    return false;
}

static void skip_blanks(struct json_reader *r)
{
    const char *text = r->text.ptr;
    size_t at = r->at;
    while (at < r->text.len &&
           (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t')) {
        at++;
    }
    r->at = at;
}

/* The character that comes next, or -1 at the end and after an error. */
static int next_char(struct json_reader *r)
{
    if (r->error != NULL) {
        return -1;
    }
    skip_blanks(r);
    return r->at < r->text.len ? (unsigned char)r->text.ptr[r->at] : -1;
}

enum json_kind json_peek(struct json_reader *r)
{
    switch (next_char(r)) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'n':
        return JSON_NULL;
    case '-':
    case '0' ... '9':
        return JSON_NUMBER;
    default:
        return JSON_NONE;
    }
}

static bool enter(struct json_reader *r, char opening, bool is_object, const char *error)
{
    if (next_char(r) != opening) {
        return json_refuse(r, error);
    }
    if (r->depth == JSON_DEPTH_MAX) {
        return json_refuse(r, "nested too deeply");
    }
    r->levels[r->depth++] = (struct json_level){.is_object = is_object};
    r->at++;
    return true;
}

bool json_enter_object(struct json_reader *r)
{
    return enter(r, '{', true, "expected an object");
}

bool json_enter_array(struct json_reader *r)
{
    return enter(r, '[', false, "expected a list");
}

/* Stands at the next item afterwards; false at the end of the container, which it leaves. */
static bool step(struct json_reader *r, char closing)
{
    int c = next_char(r);
    struct json_level *level = &r->levels[r->depth - 1];
    if (c == closing) {
        r->at++;
        r->depth--;
        return false;
    }
    if (!level->has_items) {
        level->has_items = true;
        return c != -1 || json_refuse(r, "the text ends too early");
    }
    if (c != ',') {
        return json_refuse(r, c == -1          ? "the text ends too early"
                              : closing == '}' ? "expected ',' or '}'"
                                               : "expected ',' or ']'");
    }
    r->at++;
    level->index++;
    return true;
}

bool json_next_key(struct json_reader *r, struct str *ret_key)
{
    if (r->error != NULL) {
        return false;
    }
    CHECK(r->depth > 0 && r->levels[r->depth - 1].is_object);
    if (!step(r, '}')) {
        return false;
    }
    struct str key;
    if (next_char(r) != '"') {
        return json_refuse(r, "expected a member name in quotes");
    }
    if (!json_read_string(r, &key)) {
        return false;
    }
    if (next_char(r) != ':') {
        return json_refuse(r, "expected ':'");
    }
    r->at++;
    r->levels[r->depth - 1].key = key;
    *ret_key = key;
    return true;
}

bool json_next_item(struct json_reader *r)
{
    if (r->error != NULL) {
        return false;
    }
    CHECK(r->depth > 0 && !r->levels[r->depth - 1].is_object);
    return step(r, ']');
}

/* Nonzero when one of eight bytes is a quote, a backslash, a control character or not ASCII. */
static uint64_t special_bytes(uint64_t eight)
{
    uint64_t quote = eight ^ (ONES * '"');
    uint64_t slash = eight ^ (ONES * '\\');
    uint64_t is_quote = (quote - ONES) & ~quote;
    uint64_t is_slash = (slash - ONES) & ~slash;
    uint64_t is_control = (eight - ONES * 0x20) & ~eight;
    return (is_quote | is_slash | is_control | eight) & HIGHS;
}

/* Moves over text that stands for itself: up to a quote, a backslash or an error. */
static bool pass_plain(struct json_reader *r)
{
    const char *text = r->text.ptr;
    size_t end = r->text.len;
    for (;;) {
        uint64_t eight;
        while (end - r->at >= sizeof(eight)) {
            memcpy(&eight, text + r->at, sizeof(eight));
            if (special_bytes(eight) != 0) {
                break;
            }
            r->at += sizeof(eight);
        }
        if (r->at == end) {
            return json_refuse(r, "the text ends inside a string");
        }
        uint8_t c = (uint8_t)text[r->at];
        if (c == '"' || c == '\\') {
            return true;
        }
        if (c < 0x20) {
            return json_refuse(r, "control character in a string; write it as \\u00XX");
        }
        size_t bytes = c < 0x80 ? 1 : utf8_char_bytes(text + r->at, end - r->at);
        if (bytes == 0) {
            return json_refuse(r, "the string is not valid UTF-8");
        }
        r->at += bytes;
    }
}

/* The four digits behind \u. */
static bool read_hex4(struct json_reader *r, uint32_t *ret_unit)
{
    uint32_t unit = 0;
    if (r->text.len - r->at < 4) {
        return json_refuse(r, "expected four hex digits after \\u");
    }
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit_value(r->text.ptr[r->at + i]);
        if (digit < 0) {
            return json_refuse(r, "expected four hex digits after \\u");
        }
        unit = unit * 16 + (uint32_t)digit;
    }
    r->at += 4;
    *ret_unit = unit;
    return true;
}

static bool read_unicode_escape(struct json_reader *r, uint32_t *ret_code_point)
{
    uint32_t high;
    if (!read_hex4(r, &high)) {
        return false;
    }
    if (high < 0xD800 || high > 0xDFFF) {
        *ret_code_point = high;
        return true;
    }
    uint32_t low = 0;
    bool has_second = high <= 0xDBFF && r->text.len - r->at >= 6 && r->text.ptr[r->at] == '\\' &&
                      r->text.ptr[r->at + 1] == 'u';
    if (!has_second) {
        return json_refuse(r, "half of a surrogate pair");
    }
    r->at += 2;
    if (!read_hex4(r, &low)) {
        return false;
    }
    if (low < 0xDC00 || low > 0xDFFF) {
        return json_refuse(r, "half of a surrogate pair");
    }
    *ret_code_point = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

/* One escape, its backslash at r->at; adds what it stands for. */
static bool read_escape(struct json_reader *r, char *to, size_t *len)
{
    static const char from_letter[128] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
    };
    r->at++;
    if (r->at == r->text.len) {
        return json_refuse(r, "the text ends inside a string");
    }
    uint8_t letter = (uint8_t)r->text.ptr[r->at];
    if (letter == 'u') {
        uint32_t code_point = 0;
        r->at++;
        if (!read_unicode_escape(r, &code_point)) {
            return false;
        }
        *len += utf8_put(code_point, to + *len);
        return true;
    }
    if (letter >= sizeof(from_letter) || from_letter[letter] == '\0') {
        return json_refuse(r, "unknown escape in a string");
    }
    r->at++;
    to[(*len)++] = from_letter[letter];
    return true;
}

/* The string's end, when its first escape is at r->at: bounds the room for the unescaped text. */
static size_t closing_quote(const struct json_reader *r)
{
    size_t at = r->at;
    while (at < r->text.len && r->text.ptr[at] != '"') {
        at += r->text.ptr[at] == '\\' ? 2 : 1;
    }
    return at < r->text.len ? at : r->text.len;
}

bool json_read_string(struct json_reader *r, struct str *ret_text)
{
    if (next_char(r) != '"') {
        return json_refuse(r, "expected a text");
    }
    size_t start = ++r->at;
    if (!pass_plain(r)) {
        return false;
    }
    if (r->text.ptr[r->at] == '"') {
        *ret_text = str_slice(r->text, start, r->at++);
        return true;
    }
    /* An escape never takes more bytes than it is written with. */
    char *to = arena_alloc(r->arena, closing_quote(r) - start + UTF8_BYTES_MAX);
    size_t len = 0;
    for (;;) {
        memcpy(to + len, r->text.ptr + start, r->at - start);
        len += r->at - start;
        if (r->text.ptr[r->at] == '"') {
            r->at++;
            *ret_text = str_make(to, len);
            return true;
        }
        if (!read_escape(r, to, &len)) {
            return false;
        }
        start = r->at;
        if (!pass_plain(r)) {
            return false;
        }
    }
}

static size_t pass_digits(struct json_reader *r)
{
    size_t start = r->at;
    while (r->at < r->text.len && r->text.ptr[r->at] >= '0' && r->text.ptr[r->at] <= '9') {
        r->at++;
    }
    return r->at - start;
}

static bool take(struct json_reader *r, char c)
{
    if (r->at < r->text.len && r->text.ptr[r->at] == c) {
        r->at++;
        return true;
    }
    return false;
}

bool json_read_number(struct json_reader *r, struct str *ret_number)
{
    int c = next_char(r);
    if (c != '-' && (c < '0' || c > '9')) {
        return json_refuse(r, "expected a number");
    }
    size_t start = r->at;
    (void)take(r, '-'); /* optional */
    if (!take(r, '0') && pass_digits(r) == 0) {
        return json_refuse(r, "expected a digit");
    }
    if (take(r, '.') && pass_digits(r) == 0) {
        return json_refuse(r, "expected a digit after the decimal point");
    }
    if (take(r, 'e') || take(r, 'E')) {
        (void)(take(r, '+') || take(r, '-')); /* optional */
        if (pass_digits(r) == 0) {
            return json_refuse(r, "expected a digit in the exponent");
        }
    }
    if (r->at - start > JSON_NUMBER_CHARS_MAX) {
        return json_refuse(r, "number with too many digits");
    }
    *ret_number = str_slice(r->text, start, r->at);
    return true;
}

bool json_number_f64(struct str number, double *ret_value)
{
    return str_parse_f64(number, ret_value);
}

bool json_number_i64(struct str number, int64_t *ret_value)
{
    if (str_parse_i64(number, INT64_MIN, INT64_MAX, ret_value)) {
        return true;
    }
    double value;
    if (!str_parse_f64(number, &value) || value > F64_WHOLE_MAX || value < -F64_WHOLE_MAX ||
        value != (double)(int64_t)value) {
        return false;
    }
    *ret_value = (int64_t)value;
    return true;
}

bool json_read_i64(struct json_reader *r, int64_t *ret_value, bool *ret_is_whole)
{
    struct str number;
    if (!json_read_number(r, &number)) {
        return false;
    }
    *ret_is_whole = json_number_i64(number, ret_value);
    return *ret_is_whole;
}

bool json_read_f64(struct json_reader *r, double *ret_value)
{
    struct str number;
    if (!json_read_number(r, &number)) {
        return false;
    }
    return json_number_f64(number, ret_value) || json_refuse(r, "number out of range");
}

static bool take_word(struct json_reader *r, struct str word)
{
    if (!str_equal(str_slice(r->text, r->at, r->at + word.len), word)) {
        return json_refuse(r, "expected true, false or null");
    }
    r->at += word.len;
    return true;
}

bool json_read_bool(struct json_reader *r, bool *ret_value)
{
    int c = next_char(r);
    if (c != 't' && c != 'f') {
        return json_refuse(r, "expected true or false");
    }
    if (!take_word(r, c == 't' ? STR("true") : STR("false"))) {
        return false;
    }
    *ret_value = c == 't';
    return true;
}

bool json_read_null(struct json_reader *r)
{
    if (next_char(r) != 'n') {
        return json_refuse(r, "expected null");
    }
    return take_word(r, STR("null"));
}

/* A value that is no container, or the opening of one. */
static bool skip_one(struct json_reader *r)
{
    struct str text;
    bool value;
    switch (json_peek(r)) {
    case JSON_NULL:
        return json_read_null(r);
    case JSON_BOOL:
        return json_read_bool(r, &value);
    case JSON_NUMBER:
        return json_read_number(r, &text);
    case JSON_STRING:
        return json_read_string(r, &text);
    case JSON_ARRAY:
        return json_enter_array(r);
    case JSON_OBJECT:
        return json_enter_object(r);
    case JSON_NONE:
        break;
    }
    return json_refuse(r, "expected a value");
}

bool json_skip(struct json_reader *r)
{
    size_t outside = r->depth;
    if (!skip_one(r)) {
        return false;
    }
    while (r->depth > outside) {
        struct str key;
        bool has_more =
            r->levels[r->depth - 1].is_object ? json_next_key(r, &key) : json_next_item(r);
        if (has_more && !skip_one(r)) {
            return false;
        }
        if (r->error != NULL) {
            return false;
        }
    }
    return true;
}

bool json_read_raw(struct json_reader *r, struct str *ret_text)
{
    (void)next_char(r); /* to the value's first character */
    size_t start = r->at;
    if (!json_skip(r)) {
        return false;
    }
    *ret_text = str_slice(r->text, start, r->at);
    return true;
}

struct str json_path(const struct json_reader *r, struct arena *arena)
{
    struct str path = STR("");
    for (size_t i = 0; i < r->depth; i++) {
        const struct json_level *level = &r->levels[i];
        if (!level->is_object) {
            path = arena_printf(arena, "%.*s[%zu]", STR_ARG(path), level->index);
        } else if (str_is_set(level->key)) {
            path = arena_printf(arena, "%.*s%s%.*s", STR_ARG(path), path.len == 0 ? "" : ".",
                                STR_ARG(level->key));
        }
    }
    return path;
}

enum err json_finish(struct json_reader *r, struct op *op)
{
    if (r->error == NULL && r->depth == 0 && next_char(r) != -1) {
        (void)json_refuse(r, "something follows the end of the value");
    }
    if (r->error == NULL && r->depth != 0) {
        (void)json_refuse(r, "the value was not read to its end");
    }
    if (r->error == NULL) {
        return ERR_OK;
    }
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < r->at && i < r->text.len; i++) {
        column = r->text.ptr[i] == '\n' ? 1 : column + 1;
        line += r->text.ptr[i] == '\n';
    }
    struct str path = json_path(r, r->arena);
    if (path.len == 0) {
        return op_fail(op, ERR_INPUT, "JSON line %zu column %zu: %s", line, column, r->error);
    }
    return op_fail(op, ERR_INPUT, "JSON line %zu column %zu, at \"%.*s\": %s", line, column,
                   STR_ARG(path), r->error);
}
