#include "base/check.h"
#include "codec/base64.h"
#include "codec/xml.h"
#include "shape/source.h"

struct xml_source {
    struct shape_source base;
    struct op *op;
    struct xml_reader *reader;
    bool is_in_entry; /* a map's entry is open: its value was read or not */
};

static struct xml_source *source_of(struct shape_source *src)
{
    return CONTAINER_OF(src, struct xml_source, base);
}

static struct xml_reader *reader_of(struct shape_source *src)
{
    return source_of(src)->reader;
}

static bool take_null(struct shape_source *src)
{
    (void)src; /* absent members have no element */
    return false;
}

static bool enter_struct(struct shape_source *src)
{
    return reader_of(src)->error == NULL; /* we stand inside the element already */
}

static bool next_member(struct shape_source *src, struct str *ret_name)
{
    return xml_next_child(reader_of(src), ret_name);
}

static bool enter_list(struct shape_source *src, const struct shape *shape)
{
    (void)shape; /* whatever its items are called */
    return enter_struct(src);
}

static bool next_item(struct shape_source *src)
{
    struct str name;
    return xml_next_child(reader_of(src), &name);
}

static bool enter_map(struct shape_source *src, const struct shape *shape)
{
    source_of(src)->is_in_entry = false;
    return enter_list(src, shape);
}

/* <entry><key>k</key><value>v</value></entry>, the key first as AWS writes it. */
static bool next_entry(struct shape_source *src, struct str *ret_key)
{
    struct xml_source *s = source_of(src);
    struct xml_reader *r = s->reader;
    struct str name;
    if (s->is_in_entry) {
        if (xml_next_child(r, &name)) {
            return xml_refuse(r, "expected the end of a map's entry");
        }
        s->is_in_entry = false;
    }
    if (!xml_next_child(r, &name)) {
        return false;
    }
    struct str key;
    if (!xml_next_child(r, &name) || !xml_read_text(r, &key)) {
        return xml_refuse(r, "a map's entry without a key");
    }
    if (!xml_next_child(r, &name)) {
        return xml_refuse(r, "a map's entry without a value");
    }
    s->is_in_entry = true;
    *ret_key = key;
    return true;
}

static bool read_text(struct shape_source *src, struct str *ret_text)
{
    return xml_read_text(reader_of(src), ret_text);
}

static bool refuse(struct shape_source *src)
{
    src->found = "another text";
    return false;
}

static bool read_trimmed(struct shape_source *src, struct str *ret_text)
{
    struct str text;
    if (!read_text(src, &text)) {
        return false;
    }
    *ret_text = str_trim(text);
    return true;
}

static bool read_blob(struct shape_source *src, struct str *ret_bytes)
{
    struct str text;
    return read_trimmed(src, &text) &&
           (base64_decode(&source_of(src)->op->arena, text, ret_bytes) || refuse(src));
}

static bool read_bool(struct shape_source *src, bool *ret_value)
{
    struct str text;
    if (!read_trimmed(src, &text)) {
        return false;
    }
    *ret_value = STR_IS(text, "true");
    return *ret_value || STR_IS(text, "false") || refuse(src);
}

static bool read_i64(struct shape_source *src, int64_t *ret_value)
{
    struct str text;
    return read_trimmed(src, &text) &&
           (str_parse_i64(text, INT64_MIN, INT64_MAX, ret_value) || refuse(src));
}

static bool read_f64(struct shape_source *src, double *ret_value)
{
    struct str text;
    return read_trimmed(src, &text) &&
           (str_parse_f64(text, ret_value) || shape_special_f64(text, ret_value) || refuse(src));
}

static bool read_time(struct shape_source *src, enum shape_time_format format, wall_t *ret_time)
{
    struct str text;
    double seconds;
    if (!read_trimmed(src, &text)) {
        return false;
    }
    bool is_right = format == SHAPE_TIME_EPOCH
                        ? str_parse_f64(text, &seconds) && shape_time_of_seconds(seconds, ret_time)
                        : wall_parse(text, ret_time);
    return is_right || refuse(src);
}

static bool skip(struct shape_source *src)
{
    return xml_skip(reader_of(src));
}

static bool is_broken(struct shape_source *src)
{
    return reader_of(src)->error != NULL;
}

/* The caller goes on behind our element and finishes the reader. */
static enum err finish(struct shape_source *src, struct op *op)
{
    return is_broken(src) ? xml_finish(reader_of(src), op) : ERR_OK;
}

static const struct shape_source_ops xml_ops = {
    .take_null = take_null,
    .enter_struct = enter_struct,
    .next_member = next_member,
    .enter_list = enter_list,
    .next_item = next_item,
    .enter_map = enter_map,
    .next_entry = next_entry,
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

enum err shape_xml_decode(struct op *op, const struct shape *shape, struct xml_reader *reader,
                          enum shape_strictness strictness, void *ret)
{
    struct xml_source s = {
        .base = {.ops = &xml_ops, .names = SHAPE_NAMES_XML}, .op = op, .reader = reader};
    return shape_decode(op, shape, &s.base, strictness, NULL, ret);
}
