#pragma once
/* How values lie in memory, for the walkers of this module. */

#include "base/check.h"
#include "shape/shape.h"

/* Every list and map starts with these members, whatever its items are. */
struct slot_list {
    char *items;
    size_t count;
    bool is_set;
};

#define SLOT(type, at)       ((type *)(void *)(at))
#define SLOT_CONST(type, at) ((const type *)(const void *)(at))

/* Of a member: a structure is there by pointer. */
static inline size_t slot_bytes(const struct shape *shape)
{
    return shape->type == SHAPE_STRUCT ? sizeof(void *) : shape->bytes;
}

static inline bool slot_is_set(const struct shape *shape, const char *at)
{
    const struct slot_list *list;
    switch (shape->type) {
    case SHAPE_STRING:
    case SHAPE_BLOB:
        return SLOT_CONST(struct str, at)->ptr != NULL;
    case SHAPE_BOOLEAN:
        return SLOT_CONST(struct opt_bool, at)->is_set;
    case SHAPE_INTEGER:
        return SLOT_CONST(struct opt_i32, at)->is_set;
    case SHAPE_LONG:
        return SLOT_CONST(struct opt_i64, at)->is_set;
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
        return SLOT_CONST(struct opt_f64, at)->is_set;
    case SHAPE_TIMESTAMP:
        return SLOT_CONST(struct opt_time, at)->is_set;
    case SHAPE_ENUM:
        return *SLOT_CONST(int, at) != 0;
    case SHAPE_LIST:
    case SHAPE_MAP:
        list = SLOT_CONST(struct slot_list, at);
        return list->is_set || list->count > 0;
    case SHAPE_STRUCT:
        return *SLOT_CONST(void *const, at) != NULL;
    }
    UNREACHABLE("every type has its slot");
}
