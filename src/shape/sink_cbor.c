#include "base/check.h"
#include "codec/cbor.h"
#include "shape/sink.h"
#include "shape/walk.h"

struct cbor_sink {
    struct shape_sink base;
    struct buf *out;
};

static struct buf *out_of(struct shape_sink *sink)
{
    return CONTAINER_OF(sink, struct cbor_sink, base)->out;
}

static void begin_struct(struct shape_sink *sink, size_t member_count)
{
    cbor_add_map(out_of(sink), member_count);
}

static void begin_member(struct shape_sink *sink, const struct shape_member *member)
{
    cbor_add_text(out_of(sink), str_of(member->name));
}

static void end_member(struct shape_sink *sink, const struct shape_member *member)
{
    (void)sink;
    (void)member; /* sizes come first in CBOR: nothing is closed */
}

static void end_container(struct shape_sink *sink)
{
    (void)sink;
}

static void begin_list(struct shape_sink *sink, const struct shape *shape, size_t count)
{
    (void)shape;
    cbor_add_array(out_of(sink), count);
}

static void begin_item(struct shape_sink *sink, const struct shape *shape, size_t index)
{
    (void)sink;
    (void)shape;
    (void)index;
}

static void end_item(struct shape_sink *sink, const struct shape *shape)
{
    (void)sink;
    (void)shape;
}

static void begin_map(struct shape_sink *sink, const struct shape *shape, size_t count)
{
    (void)shape;
    cbor_add_map(out_of(sink), count);
}

static void begin_entry(struct shape_sink *sink, const struct shape *shape, size_t index,
                        struct str key)
{
    (void)shape;
    (void)index;
    cbor_add_text(out_of(sink), key);
}

static void add_text(struct shape_sink *sink, struct str text)
{
    cbor_add_text(out_of(sink), text);
}

static void add_blob(struct shape_sink *sink, struct str bytes)
{
    cbor_add_bytes(out_of(sink), bytes);
}

static void add_bool(struct shape_sink *sink, bool value)
{
    cbor_add_bool(out_of(sink), value);
}

static void add_i64(struct shape_sink *sink, int64_t value)
{
    cbor_add_i64(out_of(sink), value);
}

static void add_f64(struct shape_sink *sink, double value)
{
    cbor_add_f64(out_of(sink), value);
}

static void add_time(struct shape_sink *sink, enum shape_time_format format, wall_t time)
{
    (void)format; /* tag 1 whatever the shape says elsewhere */
    struct buf *out = out_of(sink);
    cbor_add_tag(out, 1);
    if (time.us % 1000000 == 0) {
        cbor_add_i64(out, time.us / 1000000);
    } else {
        cbor_add_f64(out, wall_seconds(time));
    }
}

static const struct shape_sink_ops cbor_ops = {
    .begin_struct = begin_struct,
    .begin_member = begin_member,
    .end_member = end_member,
    .end_struct = end_container,
    .begin_list = begin_list,
    .begin_item = begin_item,
    .end_item = end_item,
    .end_list = end_container,
    .begin_map = begin_map,
    .begin_entry = begin_entry,
    .end_entry = end_item,
    .end_map = end_container,
    .add_text = add_text,
    .add_blob = add_blob,
    .add_bool = add_bool,
    .add_i64 = add_i64,
    .add_f64 = add_f64,
    .add_time = add_time,
};

void shape_cbor_encode(struct buf *to, const struct shape *shape, const void *value)
{
    struct cbor_sink sink = {.base.ops = &cbor_ops, .out = to};
    shape_encode(&sink.base, shape, value);
}
