#pragma once
/* Memory of one operation: allocated piece by piece, freed at once. Pieces are zeroed and aligned
 * for any type. Owns: everything; nothing taken from an arena is freed on its own. */

#include "base/str.h"

#include <stdarg.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used_bytes;          /* in the newest block */
    size_t total_bytes;
    bool holds_secrets; /* whoever puts some in sets it: blocks are overwritten before freeing */
};

void arena_init(struct arena *a);
void arena_fini(struct arena *a);
/* Frees everything, ready for the next use. */
void arena_reset(struct arena *a);

void *arena_alloc(struct arena *a, size_t bytes);
void *arena_alloc_array(struct arena *a, size_t count, size_t size);
/* Copies; an absent text stays absent. The copy is followed by a NUL that is not counted. */
struct str arena_str(struct arena *a, struct str s);
const char *arena_c_str(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct str arena_vprintf(struct arena *a, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
/* Moves an array of `count` items into room for `capacity`; for lists that grow by doubling. */
void *arena_grow(struct arena *a, const void *items, size_t count, size_t capacity, size_t size);

#define ARENA_NEW(a, type)          ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, count) ((type *)arena_alloc_array((a), (count), sizeof(type)))

/* Appends a zeroed item to a list with the members items and count (every generated list, and any
 * struct of that form) and gives its address. The list grows in powers of two. */
#define ARENA_PUSH(a, list)                                                                   \
    ({                                                                                        \
        if (((list)->count & ((list)->count - 1)) == 0) {                                     \
            size_t room_ = (list)->count == 0 ? 1 : (list)->count * 2;                        \
            (list)->items =                                                                   \
                arena_grow((a), (list)->items, (list)->count, room_, sizeof(*(list)->items)); \
        }                                                                                     \
        &(list)->items[(list)->count++];                                                      \
    })
