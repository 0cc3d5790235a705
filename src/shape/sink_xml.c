#include "base/check.h"
#include "base/cleanup.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/xml.h"
#include "shape/sink.h"
#include "shape/walk.h"

struct xml_sink {
    struct shape_sink base;
    struct buf *out;
    size_t depth;
    const char *names[SHAPE_DEPTH_MAX]; /* of the members that we are in, innermost last */
};

static struct xml_sink *sink_of(struct shape_sink *sink)
{
    return CONTAINER_OF(sink, struct xml_sink, base);
}

static struct buf *out_of(struct shape_sink *sink)
{
    return sink_of(sink)->out;
}

static void begin_struct(struct shape_sink *sink, size_t member_count)
{
    (void)sink;
    (void)member_count; /* the member's element holds the structure */
}

static void end_struct(struct shape_sink *sink)
{
    (void)sink;
}

/* A flattened list has no element of its own: its items bear the member's name. */
static void begin_member(struct shape_sink *sink, const struct shape_member *member)
{
    struct xml_sink *s = sink_of(sink);
    CHECK(s->depth < SHAPE_DEPTH_MAX);
    s->names[s->depth++] = member->xml_name;
    if (!member->shape->is_flattened) {
        xml_open(s->out, str_of(member->xml_name));
    }
}

static void end_member(struct shape_sink *sink, const struct shape_member *member)
{
    struct xml_sink *s = sink_of(sink);
    s->depth--;
    if (!member->shape->is_flattened) {
        xml_close(s->out, str_of(member->xml_name));
    }
}

static struct str item_name(struct shape_sink *sink, const struct shape *shape)
{
    struct xml_sink *s = sink_of(sink);
    CHECK(s->depth > 0);
    return str_of(shape->is_flattened ? s->names[s->depth - 1] : shape->item_name);
}

static void begin_container(struct shape_sink *sink, const struct shape *shape, size_t count)
{
    (void)sink;
    (void)shape;
    (void)count;
}

static void begin_item(struct shape_sink *sink, const struct shape *shape, size_t index)
{
    (void)index;
    xml_open(out_of(sink), item_name(sink, shape));
}

static void end_item(struct shape_sink *sink, const struct shape *shape)
{
    xml_close(out_of(sink), item_name(sink, shape));
}

static void begin_entry(struct shape_sink *sink, const struct shape *shape, size_t index,
                        struct str key)
{
    begin_item(sink, shape, index);
    xml_element(out_of(sink), STR("key"), key);
    xml_open(out_of(sink), STR("value"));
}

static void end_entry(struct shape_sink *sink, const struct shape *shape)
{
    xml_close(out_of(sink), STR("value"));
    end_item(sink, shape);
}

static void add_text(struct shape_sink *sink, struct str text)
{
    xml_text(out_of(sink), text);
}

static void add_blob(struct shape_sink *sink, struct str bytes)
{
    AUTO(arena_fini) struct arena scratch;
    arena_init(&scratch);
    buf_add(out_of(sink), base64_encode(&scratch, bytes));
}

static void add_bool(struct shape_sink *sink, bool value)
{
    buf_add(out_of(sink), value ? STR("true") : STR("false"));
}

static void add_i64(struct shape_sink *sink, int64_t value)
{
    buf_addf(out_of(sink), "%lld", (long long)value);
}

static void add_f64(struct shape_sink *sink, double value)
{
    struct str special = shape_special_f64_text(value);
    char text[F64_TEXT_BYTES];
    buf_add(out_of(sink), str_is_set(special) ? special : str_make(text, f64_text(value, text)));
}

static void add_time(struct shape_sink *sink, enum shape_time_format format, wall_t time)
{
    if (format == SHAPE_TIME_EPOCH) {
        char text[SHAPE_EPOCH_TEXT_BYTES];
        buf_add(out_of(sink), str_make(text, shape_epoch_text(time, text)));
        return;
    }
    AUTO(arena_fini) struct arena scratch;
    arena_init(&scratch);
    buf_add(out_of(sink), wall_iso8601(&scratch, time));
}

static const struct shape_sink_ops xml_ops = {
    .begin_struct = begin_struct,
    .begin_member = begin_member,
    .end_member = end_member,
    .end_struct = end_struct,
    .begin_list = begin_container,
    .begin_item = begin_item,
    .end_item = end_item,
    .end_list = end_struct,
    .begin_map = begin_container,
    .begin_entry = begin_entry,
    .end_entry = end_entry,
    .end_map = end_struct,
    .add_text = add_text,
    .add_blob = add_blob,
    .add_bool = add_bool,
    .add_i64 = add_i64,
    .add_f64 = add_f64,
    .add_time = add_time,
};

void shape_xml_encode(struct buf *to, const struct shape *shape, const void *value)
{
    struct xml_sink sink = {.base.ops = &xml_ops, .out = to};
    shape_encode(&sink.base, shape, value);
}
