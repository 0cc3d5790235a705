#include "base/check.h"
#include "base/cleanup.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "shape/sink.h"
#include "shape/walk.h"

struct json_sink {
    struct shape_sink base;
    struct json_writer writer;
};

static struct json_writer *writer_of(struct shape_sink *sink)
{
    return &CONTAINER_OF(sink, struct json_sink, base)->writer;
}

static void begin_struct(struct shape_sink *sink, size_t member_count)
{
    (void)member_count; /* JSON announces nothing */
    json_begin_object(writer_of(sink));
}

static void begin_member(struct shape_sink *sink, const struct shape_member *member)
{
    json_key(writer_of(sink), str_of(member->name));
}

static void end_member(struct shape_sink *sink, const struct shape_member *member)
{
    (void)sink;
    (void)member; /* nothing closes a member */
}

static void end_struct(struct shape_sink *sink)
{
    json_end_object(writer_of(sink));
}

static void begin_list(struct shape_sink *sink, const struct shape *shape, size_t count)
{
    (void)shape;
    (void)count;
    json_begin_array(writer_of(sink));
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

static void end_list(struct shape_sink *sink)
{
    json_end_array(writer_of(sink));
}

static void begin_map(struct shape_sink *sink, const struct shape *shape, size_t count)
{
    (void)shape;
    begin_struct(sink, count);
}

static void begin_entry(struct shape_sink *sink, const struct shape *shape, size_t index,
                        struct str key)
{
    (void)shape;
    (void)index;
    json_key(writer_of(sink), key);
}

static void add_text(struct shape_sink *sink, struct str text)
{
    json_add_string(writer_of(sink), text);
}

static void add_blob(struct shape_sink *sink, struct str bytes)
{
    AUTO(arena_fini) struct arena scratch;
    arena_init(&scratch);
    json_add_string(writer_of(sink), base64_encode(&scratch, bytes));
}

static void add_bool(struct shape_sink *sink, bool value)
{
    json_add_bool(writer_of(sink), value);
}

static void add_i64(struct shape_sink *sink, int64_t value)
{
    json_add_i64(writer_of(sink), value);
}

static void add_f64(struct shape_sink *sink, double value)
{
    struct str special = shape_special_f64_text(value);
    if (str_is_set(special)) {
        json_add_string(writer_of(sink), special);
    } else {
        json_add_f64(writer_of(sink), value);
    }
}

static void add_time(struct shape_sink *sink, enum shape_time_format format, wall_t time)
{
    if (format == SHAPE_TIME_ISO8601) {
        AUTO(arena_fini) struct arena scratch;
        arena_init(&scratch);
        json_add_string(writer_of(sink), wall_iso8601(&scratch, time));
        return;
    }
    char text[SHAPE_EPOCH_TEXT_BYTES];
    json_add_raw(writer_of(sink), str_make(text, shape_epoch_text(time, text)));
}

static const struct shape_sink_ops json_ops = {
    .begin_struct = begin_struct,
    .begin_member = begin_member,
    .end_member = end_member,
    .end_struct = end_struct,
    .begin_list = begin_list,
    .begin_item = begin_item,
    .end_item = end_item,
    .end_list = end_list,
    .begin_map = begin_map,
    .begin_entry = begin_entry,
    .end_entry = end_item,
    .end_map = end_struct,
    .add_text = add_text,
    .add_blob = add_blob,
    .add_bool = add_bool,
    .add_i64 = add_i64,
    .add_f64 = add_f64,
    .add_time = add_time,
};

void shape_json_encode(struct buf *to, const struct shape *shape, const void *value)
{
    struct json_sink sink = {.base.ops = &json_ops};
    json_writer_init(&sink.writer, to);
    shape_encode(&sink.base, shape, value);
}
