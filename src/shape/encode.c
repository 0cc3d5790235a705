#include "base/check.h"
#include "shape/sink.h"
#include "shape/slot.h"
#include "shape/walk.h"

#include <math.h>

static void encode_value(struct shape_sink *sink, const struct shape *shape, const char *slot,
                         size_t depth);

struct str shape_special_f64_text(double value)
{
    if (isnan(value)) {
        return STR("NaN");
    }
    return !isinf(value) ? STR_NONE : value > 0 ? STR("Infinity") : STR("-Infinity");
}

size_t shape_epoch_text(wall_t time, char ret_text[SHAPE_EPOCH_TEXT_BYTES])
{
    /* floor, so that a time before 1970 keeps a positive fraction of a lower second */
    int64_t ms = time.us / 1000 - (time.us % 1000 < 0);
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    unsigned fraction = (unsigned)(left % 1000);
    char digits[SHAPE_EPOCH_TEXT_BYTES];
    size_t at = sizeof(digits);
    /* by hand: an answer holds hundreds of them, and printf would take a third of its time */
    for (int i = 0; i < 3; i++, fraction /= 10) {
        if (fraction % 10 != 0 || at < sizeof(digits)) {
            digits[--at] = (char)('0' + fraction % 10);
        }
    }
    if (at < sizeof(digits)) {
        digits[--at] = '.';
    }
    left /= 1000;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (ms < 0) {
        digits[--at] = '-';
    }
    memcpy(ret_text, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

/* NOLINTNEXTLINE(misc-no-recursion): depth is checked in encode_value */
static void encode_struct(struct shape_sink *sink, const struct shape *shape, const char *structure,
                          size_t depth)
{
    size_t set_count = 0;
    for (size_t i = 0; i < shape->member_count; i++) {
        const struct shape_member *m = &shape->members[i];
        set_count += slot_is_set(m->shape, structure + m->offset);
    }
    sink->ops->begin_struct(sink, set_count);
    for (size_t i = 0; i < shape->member_count && set_count > 0; i++) {
        const struct shape_member *m = &shape->members[i];
        const char *slot = structure + m->offset;
        if (!slot_is_set(m->shape, slot)) {
            continue;
        }
        set_count--;
        sink->ops->begin_member(sink, m);
        if (m->shape->type == SHAPE_STRUCT) {
            slot = *SLOT_CONST(char *const, slot);
        }
        encode_value(sink, m->shape, slot, depth + 1);
        sink->ops->end_member(sink, m);
    }
    sink->ops->end_struct(sink);
}

/* NOLINTNEXTLINE(misc-no-recursion): depth is checked in encode_value */
static void encode_list(struct shape_sink *sink, const struct shape *shape,
                        const struct slot_list *list, size_t depth)
{
    sink->ops->begin_list(sink, shape, list->count);
    for (size_t i = 0; i < list->count; i++) {
        sink->ops->begin_item(sink, shape, i);
        encode_value(sink, shape->item, list->items + i * shape->item->bytes, depth + 1);
        sink->ops->end_item(sink, shape);
    }
    sink->ops->end_list(sink);
}

/* NOLINTNEXTLINE(misc-no-recursion): depth is checked in encode_value */
static void encode_map(struct shape_sink *sink, const struct shape *shape,
                       const struct slot_list *map, size_t depth)
{
    sink->ops->begin_map(sink, shape, map->count);
    for (size_t i = 0; i < map->count; i++) {
        const char *entry = map->items + i * shape->entry_bytes;
        struct str key = shape->key->type == SHAPE_ENUM
                             ? str_of(shape_enum_name(shape->key, *SLOT_CONST(int, entry)))
                             : *SLOT_CONST(struct str, entry);
        sink->ops->begin_entry(sink, shape, i, key);
        encode_value(sink, shape->item, entry + shape->value_offset, depth + 1);
        sink->ops->end_entry(sink, shape);
    }
    sink->ops->end_map(sink);
}

/* NOLINTNEXTLINE(misc-no-recursion): depth is checked */
static void encode_value(struct shape_sink *sink, const struct shape *shape, const char *slot,
                         size_t depth)
{
    CHECK(depth < SHAPE_DEPTH_MAX);
    switch (shape->type) {
    case SHAPE_STRING:
        sink->ops->add_text(sink, *SLOT_CONST(struct str, slot));
        break;
    case SHAPE_BLOB:
        sink->ops->add_blob(sink, *SLOT_CONST(struct str, slot));
        break;
    case SHAPE_BOOLEAN:
        sink->ops->add_bool(sink, SLOT_CONST(struct opt_bool, slot)->value);
        break;
    case SHAPE_INTEGER:
        sink->ops->add_i64(sink, SLOT_CONST(struct opt_i32, slot)->value);
        break;
    case SHAPE_LONG:
        sink->ops->add_i64(sink, SLOT_CONST(struct opt_i64, slot)->value);
        break;
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
        sink->ops->add_f64(sink, SLOT_CONST(struct opt_f64, slot)->value);
        break;
    case SHAPE_TIMESTAMP:
        sink->ops->add_time(sink, shape->time_format, SLOT_CONST(struct opt_time, slot)->value);
        break;
    case SHAPE_ENUM:
        sink->ops->add_text(sink, str_of(shape_enum_name(shape, *SLOT_CONST(int, slot))));
        break;
    case SHAPE_LIST:
        encode_list(sink, shape, SLOT_CONST(struct slot_list, slot), depth);
        break;
    case SHAPE_MAP:
        encode_map(sink, shape, SLOT_CONST(struct slot_list, slot), depth);
        break;
    case SHAPE_STRUCT:
        encode_struct(sink, shape, slot, depth);
        break;
    }
}

void shape_encode(struct shape_sink *sink, const struct shape *shape, const void *value)
{
    CHECK(shape->type == SHAPE_STRUCT);
    encode_struct(sink, shape, value, 0);
}
