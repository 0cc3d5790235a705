#include "base/check.h"
#include "codec/cbor.h"
#include "shape/source.h"

#define TAG_EPOCH_SECONDS 1

struct cbor_source {
    struct shape_source base;
    struct cbor_reader reader;
};

static struct cbor_reader *reader_of(struct shape_source *src)
{
    return &CONTAINER_OF(src, struct cbor_source, base)->reader;
}

static bool comes(struct shape_source *src, enum cbor_kind wanted)
{
    struct cbor_reader *r = reader_of(src);
    enum cbor_kind kind = cbor_peek(r);
    if (kind == wanted) {
        return true;
    }
    if (kind == CBOR_NONE) {
        return cbor_refuse(r, "expected a value");
    }
    src->found = cbor_kind_text(kind);
    return false;
}

static bool take_null(struct shape_source *src)
{
    struct cbor_reader *r = reader_of(src);
    return cbor_peek(r) == CBOR_NULL && cbor_read_null(r);
}

static bool enter_struct(struct shape_source *src)
{
    return comes(src, CBOR_MAP) && cbor_enter_map(reader_of(src));
}

static bool next_member(struct shape_source *src, struct str *ret_name)
{
    return cbor_next_key(reader_of(src), ret_name);
}

static bool enter_list(struct shape_source *src, const struct shape *shape)
{
    (void)shape; /* CBOR lists need no names */
    return comes(src, CBOR_ARRAY) && cbor_enter_array(reader_of(src));
}

static bool next_item(struct shape_source *src)
{
    return cbor_next_item(reader_of(src));
}

static bool enter_map(struct shape_source *src, const struct shape *shape)
{
    (void)shape; /* nor do maps */
    return enter_struct(src);
}

static bool read_text(struct shape_source *src, struct str *ret_text)
{
    return comes(src, CBOR_TEXT) && cbor_read_text(reader_of(src), ret_text);
}

static bool read_blob(struct shape_source *src, struct str *ret_bytes)
{
    return comes(src, CBOR_BYTES) && cbor_read_bytes(reader_of(src), ret_bytes);
}

static bool read_bool(struct shape_source *src, bool *ret_value)
{
    return comes(src, CBOR_BOOL) && cbor_read_bool(reader_of(src), ret_value);
}

static bool read_i64(struct shape_source *src, int64_t *ret_value)
{
    struct cbor_reader *r = reader_of(src);
    if (cbor_peek(r) != CBOR_FLOAT) {
        return comes(src, CBOR_INT) && cbor_read_i64(r, ret_value);
    }
    /* a whole number may come as a float: JavaScript knows no other */
    double value;
    if (!cbor_read_f64(r, &value)) {
        return false;
    }
    bool is_whole = value >= -9007199254740992.0 && value <= 9007199254740992.0 &&
                    value == (double)(int64_t)value;
    if (!is_whole) {
        src->found = "a number with a fraction";
        return false;
    }
    *ret_value = (int64_t)value;
    return true;
}

static bool read_f64(struct shape_source *src, double *ret_value)
{
    struct cbor_reader *r = reader_of(src);
    enum cbor_kind kind = cbor_peek(r);
    if (kind == CBOR_INT || kind == CBOR_BIG) {
        return cbor_read_f64(r, ret_value);
    }
    return comes(src, CBOR_FLOAT) && cbor_read_f64(r, ret_value);
}

/* rpc-v2-cbor: tag 1 and the number, whatever format the shape has elsewhere. */
static bool read_time(struct shape_source *src, enum shape_time_format format, wall_t *ret_time)
{
    (void)format;
    struct cbor_reader *r = reader_of(src);
    uint64_t tag;
    double seconds;
    if (!comes(src, CBOR_TAG) || !cbor_read_tag(r, &tag)) {
        return false;
    }
    if (tag != TAG_EPOCH_SECONDS) {
        src->found = "a value with another tag";
        return false;
    }
    if (!read_f64(src, &seconds)) {
        return false;
    }
    if (!shape_time_of_seconds(seconds, ret_time)) {
        src->found = "a time out of range";
        return false;
    }
    return true;
}

static bool skip(struct shape_source *src)
{
    return cbor_skip(reader_of(src));
}

static bool is_broken(struct shape_source *src)
{
    return reader_of(src)->error != NULL;
}

static enum err finish(struct shape_source *src, struct op *op)
{
    return cbor_finish(reader_of(src), op);
}

static const struct shape_source_ops cbor_ops = {
    .take_null = take_null,
    .enter_struct = enter_struct,
    .next_member = next_member,
    .enter_list = enter_list,
    .next_item = next_item,
    .enter_map = enter_map,
    .next_entry = next_member,
    .read_text = read_text,
    .read_blob = read_blob,
    .read_bool = read_bool,
    .read_i64 = read_i64,
    .read_f64 = read_f64,
    .read_time = read_time,
    .skip = skip,
    .is_broken = is_broken,
    .finish = finish,
};

enum err shape_cbor_decode_find(struct op *op, const struct shape *shape, struct str bytes,
                                enum shape_strictness strictness, struct shape_findings *findings,
                                void *ret)
{
    struct cbor_source s;
    s.base = (struct shape_source){.ops = &cbor_ops, .names = SHAPE_NAMES_WIRE};
    struct str input = bytes.len == 0 ? STR("\xA0") : arena_str(&op->arena, bytes);
    cbor_reader_init(&s.reader, &op->arena, input);
    return shape_decode(op, shape, &s.base, strictness, findings, ret);
}

enum err shape_cbor_decode(struct op *op, const struct shape *shape, struct str bytes,
                           enum shape_strictness strictness, void *ret)
{
    return shape_cbor_decode_find(op, shape, bytes, strictness, NULL, ret);
}
