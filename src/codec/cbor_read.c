#include "base/check.h"
#include "codec/cbor.h"
#include "codec/utf8.h"

#include <math.h>

#define MAJOR_UINT   0u
#define MAJOR_NEGINT 1u
#define MAJOR_BYTES  2u
#define MAJOR_TEXT   3u
#define MAJOR_ARRAY  4u
#define MAJOR_MAP    5u
#define MAJOR_TAG    6u
#define MAJOR_SIMPLE 7u

#define INFO_INDEFINITE 31u
#define BREAK           0xFFu

#define SIMPLE_FALSE     20u
#define SIMPLE_TRUE      21u
#define SIMPLE_NULL      22u
#define SIMPLE_UNDEFINED 23u
#define FLOAT_HALF       25u
#define FLOAT_SINGLE     26u
#define FLOAT_DOUBLE     27u

#define TAIL_TEXT "the input ends too early"

void cbor_reader_init(struct cbor_reader *r, struct arena *arena, struct str input)
{
    r->input = input.ptr == NULL ? STR("") : input;
    r->at = 0;
    r->arena = arena;
    r->error = NULL;
    r->depth = 0;
}

const char *cbor_kind_text(enum cbor_kind kind)
{
    static const char *const texts[] = {"nothing",   "an integer", "a big integer", "bytes",
                                        "a text",    "a list",     "a map",         "a tag",
                                        "a boolean", "null",       "a float"};
    return texts[kind];
}

bool cbor_refuse(struct cbor_reader *r, const char *error)
{
    if (r->error == NULL) {
        r->error = error;
    }
    return false;
}

static int next_byte(const struct cbor_reader *r)
{
    return r->error == NULL && r->at < r->input.len ? (uint8_t)r->input.ptr[r->at] : -1;
}

/* Initial byte and its argument. Info 31 gives argument 0: the caller looks at info. */
struct head {
    unsigned major;
    unsigned info;
    uint64_t argument;
};

static bool look_at_head(const struct cbor_reader *r, struct head *ret_head, size_t *ret_bytes)
{
    int first = next_byte(r);
    if (first < 0) {
        return false;
    }
    struct head head = {.major = (unsigned)first >> 5, .info = (unsigned)first & 31};
    size_t extra = head.info < 24 ? 0 : head.info < 28 ? (size_t)1 << (head.info - 24) : 0;
    if (r->input.len - r->at - 1 < extra) {
        return false;
    }
    head.argument = head.info < 24 ? head.info : 0;
    for (size_t i = 0; i < extra; i++) {
        head.argument = head.argument << 8 | (uint8_t)r->input.ptr[r->at + 1 + i];
    }
    *ret_head = head;
    *ret_bytes = 1 + extra;
    return true;
}

static bool read_head(struct cbor_reader *r, struct head *ret_head)
{
    size_t bytes;
    if (!look_at_head(r, ret_head, &bytes)) {
        return cbor_refuse(r, TAIL_TEXT);
    }
    if (ret_head->info >= 28 && ret_head->info <= 30) {
        return cbor_refuse(r, "reserved additional information");
    }
    r->at += bytes;
    return true;
}

static enum cbor_kind kind_of_simple(unsigned info)
{
    switch (info) {
    case SIMPLE_FALSE:
    case SIMPLE_TRUE:
        return CBOR_BOOL;
    case SIMPLE_NULL:
    case SIMPLE_UNDEFINED:
        return CBOR_NULL;
    case FLOAT_HALF:
    case FLOAT_SINGLE:
    case FLOAT_DOUBLE:
        return CBOR_FLOAT;
    default:
        return CBOR_NONE;
    }
}

enum cbor_kind cbor_peek(struct cbor_reader *r)
{
    static const enum cbor_kind by_major[] = {CBOR_INT,   CBOR_INT, CBOR_BYTES, CBOR_TEXT,
                                              CBOR_ARRAY, CBOR_MAP, CBOR_TAG};
    struct head head;
    size_t bytes;
    if (!look_at_head(r, &head, &bytes)) {
        return CBOR_NONE;
    }
    if (head.major == MAJOR_SIMPLE) {
        return kind_of_simple(head.info);
    }
    if (head.major <= MAJOR_NEGINT && head.argument > INT64_MAX) {
        return CBOR_BIG;
    }
    return by_major[head.major];
}

static bool enter(struct cbor_reader *r, unsigned major, const char *error)
{
    struct head head;
    int first = next_byte(r);
    if (first < 0 || (unsigned)first >> 5 != major) {
        return cbor_refuse(r, first < 0 ? TAIL_TEXT : error);
    }
    if (!read_head(r, &head)) {
        return false;
    }
    if (r->depth == CBOR_DEPTH_MAX) {
        return cbor_refuse(r, "nested too deeply");
    }
    /* every item takes a byte at least: a count past that is a lie and costs nothing */
    if (head.argument > r->input.len - r->at) {
        return cbor_refuse(r, TAIL_TEXT);
    }
    r->levels[r->depth++] = (struct cbor_level){.left_count = head.argument,
                                                .is_indefinite = head.info == INFO_INDEFINITE,
                                                .is_map = major == MAJOR_MAP};
    return true;
}

bool cbor_enter_map(struct cbor_reader *r)
{
    return enter(r, MAJOR_MAP, "expected a map");
}

bool cbor_enter_array(struct cbor_reader *r)
{
    return enter(r, MAJOR_ARRAY, "expected a list");
}

static bool step(struct cbor_reader *r)
{
    struct cbor_level *level = &r->levels[r->depth - 1];
    if (level->is_indefinite) {
        int first = next_byte(r);
        if (first == BREAK) {
            r->at++;
            r->depth--;
            return false;
        }
        level->index++;
        return first >= 0 || cbor_refuse(r, TAIL_TEXT);
    }
    if (level->left_count == 0) {
        r->depth--;
        return false;
    }
    level->left_count--;
    level->index++;
    return true;
}

bool cbor_next_pair(struct cbor_reader *r)
{
    if (r->error != NULL) {
        return false;
    }
    CHECK(r->depth > 0 && r->levels[r->depth - 1].is_map);
    return step(r);
}

bool cbor_next_key(struct cbor_reader *r, struct str *ret_key)
{
    if (!cbor_next_pair(r)) {
        return false;
    }
    struct str key;
    if (!cbor_read_text(r, &key)) {
        return false;
    }
    r->levels[r->depth - 1].key = key;
    *ret_key = key;
    return true;
}

bool cbor_next_item(struct cbor_reader *r)
{
    if (r->error != NULL) {
        return false;
    }
    CHECK(r->depth > 0 && !r->levels[r->depth - 1].is_map);
    return step(r);
}

bool cbor_read_i64(struct cbor_reader *r, int64_t *ret_value)
{
    struct head head;
    if (cbor_peek(r) != CBOR_INT) {
        return cbor_refuse(r, next_byte(r) < 0 ? TAIL_TEXT : "expected an integer of 64 bits");
    }
    if (!read_head(r, &head) || head.info == INFO_INDEFINITE) {
        return cbor_refuse(r, "expected an integer of 64 bits");
    }
    *ret_value = head.major == MAJOR_UINT ? (int64_t)head.argument : -1 - (int64_t)head.argument;
    return true;
}

/* RFC 8949 appendix D, in our own words: 5 bits of exponent, 10 of fraction. */
static double half_to_f64(unsigned half)
{
    int exponent = (int)(half >> 10 & 31);
    double fraction = (double)(half & 1023);
    double value = exponent == 0    ? ldexp(fraction, -24)
                   : exponent != 31 ? ldexp(fraction + 1024, exponent - 25)
                   : fraction == 0  ? (double)INFINITY
                                    : (double)NAN;
    return (half & 0x8000u) != 0 ? -value : value;
}

static double f64_of_head(struct head head)
{
    double wide;
    float narrow;
    uint32_t bits = (uint32_t)head.argument;
    switch (head.info) {
    case FLOAT_HALF:
        return half_to_f64((unsigned)head.argument);
    case FLOAT_SINGLE:
        memcpy(&narrow, &bits, sizeof(narrow));
        return (double)narrow;
    default:
        memcpy(&wide, &head.argument, sizeof(wide));
        return wide;
    }
}

bool cbor_read_f64(struct cbor_reader *r, double *ret_value)
{
    struct head head;
    enum cbor_kind kind = cbor_peek(r);
    if (kind != CBOR_FLOAT && kind != CBOR_INT && kind != CBOR_BIG) {
        return cbor_refuse(r, next_byte(r) < 0 ? TAIL_TEXT : "expected a number");
    }
    if (!read_head(r, &head) || head.info == INFO_INDEFINITE) {
        return cbor_refuse(r, "expected a number");
    }
    *ret_value = kind == CBOR_FLOAT         ? f64_of_head(head)
                 : head.major == MAJOR_UINT ? (double)head.argument
                                            : -1.0 - (double)head.argument;
    return true;
}

/* One piece of definite length. */
static bool read_piece(struct cbor_reader *r, unsigned major, struct str *ret_piece)
{
    struct head head;
    if (!read_head(r, &head)) {
        return false;
    }
    if (head.major != major || head.info == INFO_INDEFINITE) {
        return cbor_refuse(r, "wrong piece in a string of indefinite length");
    }
    if (head.argument > r->input.len - r->at) {
        return cbor_refuse(r, TAIL_TEXT);
    }
    *ret_piece = str_slice(r->input, r->at, r->at + (size_t)head.argument);
    r->at += (size_t)head.argument;
    return true;
}

static bool read_pieces(struct cbor_reader *r, unsigned major, struct str *ret_text)
{
    size_t start = ++r->at;
    char *to = NULL;
    size_t len = 0;
    /* the pieces together have fewer bytes than the input from here on to the break */
    for (int pass = 0; pass < 2; pass++) {
        r->at = start;
        to = pass == 1 ? arena_alloc(r->arena, len + 1) : NULL;
        len = 0;
        while (next_byte(r) != BREAK) {
            struct str piece;
            if (!read_piece(r, major, &piece)) {
                return false;
            }
            if (to != NULL && piece.len > 0) {
                memcpy(to + len, piece.ptr, piece.len);
            }
            len += piece.len;
        }
        r->at++;
    }
    *ret_text = str_make(to, len);
    return true;
}

static bool read_string(struct cbor_reader *r, unsigned major, const char *error,
                        struct str *ret_text)
{
    *ret_text = STR("");
    int first = next_byte(r);
    if (first < 0 || (unsigned)first >> 5 != major) {
        return cbor_refuse(r, first < 0 ? TAIL_TEXT : error);
    }
    return ((unsigned)first & 31) == INFO_INDEFINITE ? read_pieces(r, major, ret_text)
                                                     : read_piece(r, major, ret_text);
}

bool cbor_read_text(struct cbor_reader *r, struct str *ret_text)
{
    struct str text;
    if (!read_string(r, MAJOR_TEXT, "expected a text", &text)) {
        return false;
    }
    if (!utf8_is_valid(text)) {
        return cbor_refuse(r, "the text is not valid UTF-8");
    }
    *ret_text = text;
    return true;
}

bool cbor_read_bytes(struct cbor_reader *r, struct str *ret_bytes)
{
    return read_string(r, MAJOR_BYTES, "expected bytes", ret_bytes);
}

bool cbor_read_bool(struct cbor_reader *r, bool *ret_value)
{
    if (cbor_peek(r) != CBOR_BOOL) {
        return cbor_refuse(r, next_byte(r) < 0 ? TAIL_TEXT : "expected true or false");
    }
    *ret_value = ((uint8_t)r->input.ptr[r->at++] & 31) == SIMPLE_TRUE;
    return true;
}

bool cbor_read_null(struct cbor_reader *r)
{
    if (cbor_peek(r) != CBOR_NULL) {
        return cbor_refuse(r, next_byte(r) < 0 ? TAIL_TEXT : "expected null");
    }
    r->at++;
    return true;
}

bool cbor_read_tag(struct cbor_reader *r, uint64_t *ret_tag)
{
    struct head head;
    if (cbor_peek(r) != CBOR_TAG) {
        return cbor_refuse(r, next_byte(r) < 0 ? TAIL_TEXT : "expected a tag");
    }
    if (!read_head(r, &head) || head.info == INFO_INDEFINITE) {
        return cbor_refuse(r, "expected a tag");
    }
    *ret_tag = head.argument;
    return true;
}

/* A value that is no container, the opening of one, or a tag (whose content follows). */
static bool skip_one(struct cbor_reader *r, bool *ret_is_tag)
{
    struct str text;
    double number;
    bool boolean;
    uint64_t tag;
    *ret_is_tag = false;
    switch (cbor_peek(r)) {
    case CBOR_INT:
    case CBOR_BIG:
    case CBOR_FLOAT:
        return cbor_read_f64(r, &number);
    case CBOR_BYTES:
        return cbor_read_bytes(r, &text);
    case CBOR_TEXT:
        return cbor_read_text(r, &text);
    case CBOR_ARRAY:
        return cbor_enter_array(r);
    case CBOR_MAP:
        return cbor_enter_map(r);
    case CBOR_TAG:
        *ret_is_tag = true;
        return cbor_read_tag(r, &tag);
    case CBOR_BOOL:
        return cbor_read_bool(r, &boolean);
    case CBOR_NULL:
        return cbor_read_null(r);
    case CBOR_NONE:
        break;
    }
    return cbor_refuse(r, next_byte(r) < 0 ? TAIL_TEXT : "expected a value");
}

/* A value with its tags; containers are only entered. */
static bool skip_head(struct cbor_reader *r)
{
    bool is_tag = true;
    while (is_tag) {
        if (!skip_one(r, &is_tag)) {
            return false;
        }
    }
    return true;
}

bool cbor_skip(struct cbor_reader *r)
{
    size_t outside = r->depth;
    if (!skip_head(r)) {
        return false;
    }
    while (r->depth > outside) {
        bool is_map = r->levels[r->depth - 1].is_map;
        struct str key;
        bool has_more = is_map ? cbor_next_key(r, &key) : cbor_next_item(r);
        if (has_more && !skip_head(r)) {
            return false;
        }
        if (r->error != NULL) {
            return false;
        }
    }
    return true;
}

struct str cbor_path(const struct cbor_reader *r, struct arena *arena)
{
    struct str path = STR("");
    for (size_t i = 0; i < r->depth; i++) {
        const struct cbor_level *level = &r->levels[i];
        if (!level->is_map) {
            path = arena_printf(arena, "%.*s[%zu]", STR_ARG(path),
                                level->index == 0 ? 0 : level->index - 1);
        } else if (str_is_set(level->key)) {
            path = arena_printf(arena, "%.*s%s%.*s", STR_ARG(path), path.len == 0 ? "" : ".",
                                STR_ARG(level->key));
        }
    }
    return path;
}

enum err cbor_finish(struct cbor_reader *r, struct op *op)
{
    if (r->error == NULL && r->depth != 0) {
        (void)cbor_refuse(r, "the value was not read to its end");
    }
    if (r->error == NULL && r->at != r->input.len) {
        (void)cbor_refuse(r, "something follows the end of the value");
    }
    if (r->error == NULL) {
        return ERR_OK;
    }
    struct str path = cbor_path(r, r->arena);
    return op_fail(op, ERR_INPUT, "CBOR byte %zu%s%.*s: %s", r->at, path.len == 0 ? "" : ", at ",
                   STR_ARG(path), r->error);
}
