#include "base/check.h"
#include "base/cleanup.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/urlenc.h"
#include "shape/sink.h"
#include "shape/walk.h"

#define NAME_BYTES_MAX 4096 /* of one parameter's name; the models' longest is below 300 */

struct query_sink {
    struct shape_sink base;
    struct buf *out;
    bool is_ec2;
    struct buf name; /* of the parameter that we are in: "Tags.member.1.Key" */
    size_t depth;
    size_t marks[2 * SHAPE_DEPTH_MAX]; /* the name's length before each step */
};

static struct query_sink *sink_of(struct shape_sink *sink)
{
    return CONTAINER_OF(sink, struct query_sink, base);
}

static void push(struct query_sink *s, struct str part)
{
    CHECK(s->depth < ARRAY_COUNT(s->marks));
    s->marks[s->depth++] = s->name.len;
    if (s->name.len > 0) {
        buf_add_char(&s->name, '.');
    }
    buf_add(&s->name, part);
    CHECK(!s->name.is_overflown);
}

static void pop(struct query_sink *s)
{
    CHECK(s->depth > 0);
    s->name.len = s->marks[--s->depth];
}

static void add(struct query_sink *s, struct str value)
{
    url_form_add(s->out, buf_str(&s->name), value);
}

static void begin_struct(struct shape_sink *sink, size_t member_count)
{
    (void)sink;
    (void)member_count; /* an empty structure leaves no trace, as in AWS's own clients */
}

static void end_struct(struct shape_sink *sink)
{
    (void)sink;
}

static void begin_member(struct shape_sink *sink, const struct shape_member *member)
{
    push(sink_of(sink), str_of(member->query_name));
}

static void end_member(struct shape_sink *sink, const struct shape_member *member)
{
    (void)member;
    pop(sink_of(sink));
}

/* An empty list is "Name="; ec2 sends nothing. */
static void begin_list(struct shape_sink *sink, const struct shape *shape, size_t count)
{
    (void)shape;
    struct query_sink *s = sink_of(sink);
    if (count == 0 && !s->is_ec2) {
        add(s, STR(""));
    }
}

static void begin_map(struct shape_sink *sink, const struct shape *shape, size_t count)
{
    (void)sink;
    (void)shape;
    (void)count;
}

static void begin_item(struct shape_sink *sink, const struct shape *shape, size_t index)
{
    struct query_sink *s = sink_of(sink);
    AUTO(arena_fini) struct arena scratch;
    arena_init(&scratch);
    bool is_flat = s->is_ec2 || shape->is_flattened;
    push(s, is_flat ? arena_printf(&scratch, "%zu", index + 1)
                    : arena_printf(&scratch, "%s.%zu", shape->item_name, index + 1));
}

static void end_item(struct shape_sink *sink, const struct shape *shape)
{
    (void)shape;
    pop(sink_of(sink));
}

static void begin_entry(struct shape_sink *sink, const struct shape *shape, size_t index,
                        struct str key)
{
    struct query_sink *s = sink_of(sink);
    begin_item(sink, shape, index);
    push(s, STR("key"));
    add(s, key);
    pop(s);
    push(s, STR("value"));
}

static void end_entry(struct shape_sink *sink, const struct shape *shape)
{
    pop(sink_of(sink));
    end_item(sink, shape);
}

static void add_text(struct shape_sink *sink, struct str text)
{
    add(sink_of(sink), text);
}

static void add_blob(struct shape_sink *sink, struct str bytes)
{
    AUTO(arena_fini) struct arena scratch;
    arena_init(&scratch);
    add(sink_of(sink), base64_encode(&scratch, bytes));
}

static void add_bool(struct shape_sink *sink, bool value)
{
    add(sink_of(sink), value ? STR("true") : STR("false"));
}

static void add_i64(struct shape_sink *sink, int64_t value)
{
    AUTO(arena_fini) struct arena scratch;
    arena_init(&scratch);
    add(sink_of(sink), arena_printf(&scratch, "%lld", (long long)value));
}

static void add_f64(struct shape_sink *sink, double value)
{
    struct str special = shape_special_f64_text(value);
    char text[F64_TEXT_BYTES];
    add(sink_of(sink), str_is_set(special) ? special : str_make(text, f64_text(value, text)));
}

static void add_time(struct shape_sink *sink, enum shape_time_format format, wall_t time)
{
    AUTO(arena_fini) struct arena scratch;
    arena_init(&scratch);
    char text[SHAPE_EPOCH_TEXT_BYTES];
    add(sink_of(sink), format == SHAPE_TIME_EPOCH ? str_make(text, shape_epoch_text(time, text))
                                                  : wall_iso8601(&scratch, time));
}

static const struct shape_sink_ops query_ops = {
    .begin_struct = begin_struct,
    .begin_member = begin_member,
    .end_member = end_member,
    .end_struct = end_struct,
    .begin_list = begin_list,
    .begin_item = begin_item,
    .end_item = end_item,
    .end_list = end_struct,
    .begin_map = begin_map,
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

void shape_query_encode(struct buf *to, const struct shape *shape, enum shape_query_dialect dialect,
                        const void *value)
{
    struct query_sink sink = {
        .base.ops = &query_ops, .out = to, .is_ec2 = dialect == SHAPE_QUERY_EC2};
    buf_init(&sink.name, NAME_BYTES_MAX);
    shape_encode(&sink.base, shape, value);
    buf_fini(&sink.name);
}
