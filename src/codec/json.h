#pragma once
/* JSON by RFC 8259: a strict pull reader and a writer. No system call, no recursion.
 *
 * Reading: ask json_peek() what comes, then read exactly that value:
 *
 *     struct json_reader r;
 *     json_reader_init(&r, &op->arena, text);
 *     json_enter_object(&r);
 *     while (json_next_key(&r, &key)) {
 *         if (STR_IS(key, "name")) { json_read_string(&r, &name); } else { json_skip(&r); }
 *     }
 *     TRY(json_finish(&r, op));
 *
 * The first mistake in the text sticks: every later call does nothing and returns false
 * (JSON_NONE), so the question whether all went well is asked once, at the end. Of equal keys the
 * last one wins when the caller simply assigns, as AWS does. Text without escapes points into the
 * input, other text lies in the arena: the input must live as long as what was read from it. */

#include "base/arena.h"
#include "base/buf.h"
#include "base/op.h"
#include "base/str.h"

#define JSON_DEPTH_MAX        64 /* AWS's deepest shape has 12 levels */
#define JSON_NUMBER_CHARS_MAX 63 /* the longest double that %.17g writes has 24 */

enum json_kind {
    JSON_NONE, /* the text is wrong, or the container or text ends here */
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_level {
    struct str key; /* of the member being read; absent in arrays */
    size_t index;   /* of the item being read */
    bool is_object;
    bool has_items;
};

struct json_reader {
    struct str text;
    size_t at;
    struct arena *arena;
    const char *error; /* static sentence, NULL while all is well */
    size_t depth;
    struct json_level levels[JSON_DEPTH_MAX];
};

void json_reader_init(struct json_reader *r, struct arena *arena, struct str text);

/* "string", "object", ...: for sentences. */
const char *json_kind_text(enum json_kind kind);
enum json_kind json_peek(struct json_reader *r);

bool json_enter_object(struct json_reader *r);
/* False at the end of the object (which is then left) and on errors. */
bool json_next_key(struct json_reader *r, struct str *ret_key);
bool json_enter_array(struct json_reader *r);
bool json_next_item(struct json_reader *r);

bool json_read_string(struct json_reader *r, struct str *ret_text);
/* The number as it stands in the text. */
bool json_read_number(struct json_reader *r, struct str *ret_number);
/* A number with a whole value, however it is written (10, 10.0, 1e1). False without an error of
 * the reader when it has a fraction or is out of range: *ret_is_whole says which. */
bool json_read_i64(struct json_reader *r, int64_t *ret_value, bool *ret_is_whole);
bool json_read_f64(struct json_reader *r, double *ret_value);
bool json_read_bool(struct json_reader *r, bool *ret_value);
bool json_read_null(struct json_reader *r);
/* Passes over one value, checking it. */
bool json_skip(struct json_reader *r);
/* Passes over one value and gives its text. */
bool json_read_raw(struct json_reader *r, struct str *ret_text);

/* Makes the reader fail at this place: the caller found the value wrong. error is static. */
bool json_refuse(struct json_reader *r, const char *error);
/* ERR_OK when the text was right to its end, else ERR_INPUT with a sentence that has line, column
 * and path. */
enum err json_finish(struct json_reader *r, struct op *op);
/* Where the reader stands: "services[0].name", "" at the top. */
struct str json_path(const struct json_reader *r, struct arena *arena);

/* The two conversions of a number's text. */
bool json_number_i64(struct str number, int64_t *ret_value);
bool json_number_f64(struct str number, double *ret_value);

/* Writing. Commas and colons are set by the writer. What is no UTF-8 is written as U+FFFD, so the
 * output is always valid. Overflow sticks in the buf. Unbalanced calls are our mistake: CHECK. */
struct json_writer {
    struct buf *out;
    size_t depth;
    uint64_t has_items; /* one bit a level */
    uint64_t is_object;
    bool is_after_key;
};

void json_writer_init(struct json_writer *w, struct buf *out);
void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_key(struct json_writer *w, struct str key);
void json_add_string(struct json_writer *w, struct str text);
void json_add_i64(struct json_writer *w, int64_t value);
/* Shortest form that reads back the same. NaN and infinities become null, as JSON has none. */
void json_add_f64(struct json_writer *w, double value);
void json_add_bool(struct json_writer *w, bool value);
void json_add_null(struct json_writer *w);
/* Text that is JSON already. */
void json_add_raw(struct json_writer *w, struct str json);
/* The shortest decimal that reads back as value; finite values only. Returns the characters. */
#define F64_TEXT_BYTES 32
size_t f64_text(double value, char ret_text[F64_TEXT_BYTES]);
