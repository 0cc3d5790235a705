#include "codec/base64.h"
#include "codec/json.h"
#include "shape/source.h"

#include "base/check.h"

struct json_source {
    struct shape_source base;
    struct op *op;
    struct json_reader reader;
};

static struct json_reader *reader_of(struct shape_source *src)
{
    return &CONTAINER_OF(src, struct json_source, base)->reader;
}

/* Whether a value of that kind comes; else says what does. */
static bool comes(struct shape_source *src, enum json_kind wanted)
{
    struct json_reader *r = reader_of(src);
    enum json_kind kind = json_peek(r);
    if (kind == wanted) {
        return true;
    }
    if (kind == JSON_NONE) {
        return json_refuse(r, "expected a value");
    }
    src->found = json_kind_text(kind);
    return false;
}

static bool take_null(struct shape_source *src)
{
    struct json_reader *r = reader_of(src);
    return json_peek(r) == JSON_NULL && json_read_null(r);
}

static bool enter_struct(struct shape_source *src)
{
    return comes(src, JSON_OBJECT) && json_enter_object(reader_of(src));
}

static bool next_member(struct shape_source *src, struct str *ret_name)
{
    return json_next_key(reader_of(src), ret_name);
}

static bool enter_list(struct shape_source *src, const struct shape *shape)
{
    (void)shape; /* JSON lists need no names */
    return comes(src, JSON_ARRAY) && json_enter_array(reader_of(src));
}

static bool next_item(struct shape_source *src)
{
    return json_next_item(reader_of(src));
}

static bool enter_map(struct shape_source *src, const struct shape *shape)
{
    (void)shape; /* nor do maps */
    return enter_struct(src);
}

static bool read_text(struct shape_source *src, struct str *ret_text)
{
    return comes(src, JSON_STRING) && json_read_string(reader_of(src), ret_text);
}

static bool read_blob(struct shape_source *src, struct str *ret_bytes)
{
    struct json_source *s = CONTAINER_OF(src, struct json_source, base);
    struct str text;
    if (!read_text(src, &text)) {
        return false;
    }
    if (!base64_decode(&s->op->arena, text, ret_bytes)) {
        src->found = "a text that is not base64";
        return false;
    }
    return true;
}

static bool read_bool(struct shape_source *src, bool *ret_value)
{
    return comes(src, JSON_BOOL) && json_read_bool(reader_of(src), ret_value);
}

static bool read_i64(struct shape_source *src, int64_t *ret_value)
{
    bool is_whole = true;
    if (!comes(src, JSON_NUMBER)) {
        return false;
    }
    if (!json_read_i64(reader_of(src), ret_value, &is_whole)) {
        src->found = is_whole ? NULL : "a number with a fraction or past 64 bits";
        return false;
    }
    return true;
}

static bool read_f64(struct shape_source *src, double *ret_value)
{
    struct json_reader *r = reader_of(src);
    if (json_peek(r) == JSON_STRING) {
        struct str text;
        bool is_special = json_read_string(r, &text) && shape_special_f64(text, ret_value);
        src->found = is_special || r->error != NULL ? NULL : "a text";
        return is_special;
    }
    return comes(src, JSON_NUMBER) && json_read_f64(r, ret_value);
}

static bool read_time(struct shape_source *src, enum shape_time_format format, wall_t *ret_time)
{
    struct str text;
    double seconds;
    bool is_right;
    if (format == SHAPE_TIME_ISO8601) {
        if (!read_text(src, &text)) {
            return false;
        }
        is_right = wall_parse(text, ret_time);
    } else {
        if (!comes(src, JSON_NUMBER) || !json_read_f64(reader_of(src), &seconds)) {
            return false;
        }
        is_right = shape_time_of_seconds(seconds, ret_time);
    }
    src->found = is_right ? NULL : "another value";
    return is_right;
}

static bool skip(struct shape_source *src)
{
    return json_skip(reader_of(src));
}

static bool is_broken(struct shape_source *src)
{
    return reader_of(src)->error != NULL;
}

static enum err finish(struct shape_source *src, struct op *op)
{
    return json_finish(reader_of(src), op);
}

static const struct shape_source_ops json_ops = {
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

enum err shape_json_decode_find(struct op *op, const struct shape *shape, struct str text,
                                enum shape_strictness strictness, struct shape_findings *findings,
                                void *ret)
{
    struct json_source s;
    s.base = (struct shape_source){.ops = &json_ops, .names = SHAPE_NAMES_WIRE};
    s.op = op;
    /* one copy of the whole input, so that texts may point into it as long as the op lives */
    json_reader_init(&s.reader, &op->arena, arena_str(&op->arena, text));
    return shape_decode(op, shape, &s.base, strictness, findings, ret);
}

enum err shape_json_decode(struct op *op, const struct shape *shape, struct str text,
                           enum shape_strictness strictness, void *ret)
{
    return shape_json_decode_find(op, shape, text, strictness, NULL, ret);
}
