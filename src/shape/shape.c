#include "shape/shape.h"

#include "base/check.h"

const char *shape_enum_name(const struct shape *shape, int value)
{
    CHECK(shape->type == SHAPE_ENUM);
    if (value < 1 || (size_t)value > shape->enum_count) {
        return NULL;
    }
    return shape->enum_names[value];
}

int shape_enum_value(const struct shape *shape, struct str name)
{
    CHECK(shape->type == SHAPE_ENUM);
    for (size_t i = 1; i <= shape->enum_count; i++) {
        if (str_equal(name, str_of(shape->enum_names[i]))) {
            return (int)i;
        }
    }
    return 0;
}

/* Every list and map starts with these members, whatever its items are. */
struct any_list {
    char *items;
    size_t count;
    bool is_set;
};

static void copy_slot(struct arena *to, const struct shape *shape, const char *from, char *ret);

/* NOLINTNEXTLINE(misc-no-recursion): depth is the model's */
static void copy_items(struct arena *to, const struct shape *shape, const struct any_list *from,
                       struct any_list *ret)
{
    size_t step = shape->type == SHAPE_MAP ? shape->entry_bytes : shape->item->bytes;
    *ret = (struct any_list){.items = arena_alloc_array(to, from->count, step),
                             .count = from->count,
                             .is_set = from->is_set};
    for (size_t i = 0; i < from->count; i++) {
        const char *source = from->items + i * step;
        char *target = ret->items + i * step;
        if (shape->type == SHAPE_MAP) {
            copy_slot(to, shape->key, source, target);
            copy_slot(to, shape->item, source + shape->value_offset, target + shape->value_offset);
        } else {
            copy_slot(to, shape->item, source, target);
        }
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): depth is the model's */
static void copy_members(struct arena *to, const struct shape *shape, const char *from, char *ret)
{
    for (size_t i = 0; i < shape->member_count; i++) {
        const struct shape_member *m = &shape->members[i];
        if (m->shape->type != SHAPE_STRUCT) {
            copy_slot(to, m->shape, from + m->offset, ret + m->offset);
            continue;
        }
        char *const *source = (char *const *)(const void *)(from + m->offset);
        char **target = (char **)(void *)(ret + m->offset);
        *target = NULL;
        if (*source != NULL) {
            *target = arena_alloc(to, m->shape->bytes);
            copy_slot(to, m->shape, *source, *target);
        }
    }
}

/* The depth of shapes is bounded by the models, which are ours. */
/* NOLINTNEXTLINE(misc-no-recursion): depth is the model's */
static void copy_slot(struct arena *to, const struct shape *shape, const char *from, char *ret)
{
    switch (shape->type) {
    case SHAPE_STRING:
    case SHAPE_BLOB:
        *(struct str *)(void *)ret = arena_str(to, *(const struct str *)(const void *)from);
        break;
    case SHAPE_LIST:
    case SHAPE_MAP:
        copy_items(to, shape, (const struct any_list *)(const void *)from,
                   (struct any_list *)(void *)ret);
        break;
    case SHAPE_STRUCT:
        copy_members(to, shape, from, ret);
        break;
    case SHAPE_BOOLEAN:
    case SHAPE_INTEGER:
    case SHAPE_LONG:
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
    case SHAPE_TIMESTAMP:
    case SHAPE_ENUM:
        memcpy(ret, from, shape->bytes);
        break;
    }
}

void shape_copy(struct arena *to, const struct shape *shape, const void *from, void *ret)
{
    copy_slot(to, shape, from, ret);
}
