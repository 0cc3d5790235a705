#pragma once
/* CBOR by RFC 8949: a pull reader and a writer of the smallest forms. No system call, no recursion.
 * Used the way codec/json.h is used; the first mistake sticks. Texts and byte strings point into
 * the input; only those in pieces (indefinite length) are put together in the arena. */

#include "base/arena.h"
#include "base/buf.h"
#include "base/op.h"
#include "base/str.h"

#define CBOR_DEPTH_MAX 64

enum cbor_kind {
    CBOR_NONE, /* wrong, or the container or input ends here */
    CBOR_INT,  /* major types 0 and 1 that fit an int64 */
    CBOR_BIG,  /* major types 0 and 1 beyond it */
    CBOR_BYTES,
    CBOR_TEXT,
    CBOR_ARRAY,
    CBOR_MAP,
    CBOR_TAG,
    CBOR_BOOL,
    CBOR_NULL, /* null and undefined */
    CBOR_FLOAT,
};

struct cbor_level {
    uint64_t left_count; /* items (maps: pairs) still to come; unused when indefinite */
    bool is_indefinite;
    bool is_map;
    struct str key; /* maps with text keys: the member being read */
    size_t index;
};

struct cbor_reader {
    struct str input;
    size_t at;
    struct arena *arena;
    const char *error; /* static sentence, NULL while all is well */
    size_t depth;
    struct cbor_level levels[CBOR_DEPTH_MAX];
};

void cbor_reader_init(struct cbor_reader *r, struct arena *arena, struct str input);
const char *cbor_kind_text(enum cbor_kind kind);
enum cbor_kind cbor_peek(struct cbor_reader *r);

bool cbor_enter_map(struct cbor_reader *r);
/* Stands at the next key afterwards; false at the end of the map, which is left, and on errors. */
bool cbor_next_pair(struct cbor_reader *r);
/* The same, and reads the key, which must be a text. */
bool cbor_next_key(struct cbor_reader *r, struct str *ret_key);
bool cbor_enter_array(struct cbor_reader *r);
bool cbor_next_item(struct cbor_reader *r);

bool cbor_read_i64(struct cbor_reader *r, int64_t *ret_value);
/* Floats of every width, and integers. */
bool cbor_read_f64(struct cbor_reader *r, double *ret_value);
bool cbor_read_text(struct cbor_reader *r, struct str *ret_text); /* checked UTF-8 */
bool cbor_read_bytes(struct cbor_reader *r, struct str *ret_bytes);
bool cbor_read_bool(struct cbor_reader *r, bool *ret_value);
bool cbor_read_null(struct cbor_reader *r);
/* Reads the tag; its content follows as a value of its own. */
bool cbor_read_tag(struct cbor_reader *r, uint64_t *ret_tag);
bool cbor_skip(struct cbor_reader *r);

bool cbor_refuse(struct cbor_reader *r, const char *error);
struct str cbor_path(const struct cbor_reader *r, struct arena *arena);
/* ERR_OK when the input was right and is used up. */
enum err cbor_finish(struct cbor_reader *r, struct op *op);

/* Writing: straight into the buf, sizes first. The caller writes as many items as announced. */
void cbor_add_map(struct buf *out, size_t pair_count);
void cbor_add_array(struct buf *out, size_t item_count);
void cbor_begin_map(struct buf *out); /* indefinite length, up to cbor_end */
void cbor_begin_array(struct buf *out);
void cbor_end(struct buf *out);
void cbor_add_text(struct buf *out, struct str text);
void cbor_add_bytes(struct buf *out, struct str bytes);
void cbor_add_i64(struct buf *out, int64_t value);
/* As a half, single or double float, the smallest that keeps the value. */
void cbor_add_f64(struct buf *out, double value);
void cbor_add_bool(struct buf *out, bool value);
void cbor_add_null(struct buf *out);
void cbor_add_tag(struct buf *out, uint64_t tag);
