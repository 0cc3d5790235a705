#pragma once
/* Tags as every service has them. A service's own list type (ecs_tags, elbv2_tag_list, ...) is
 * turned into ours and back with the two macros below; everything else is said once, here. */

#include "base/op.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

#define TAGS_MAX           50
#define TAG_KEY_CHARS_MAX  128
#define TAG_TEXT_CHARS_MAX 256

struct tag {
    struct str key;
    struct str value; /* absent counts as "" */
};

struct tags {
    struct tag *items;
    size_t count;
    bool is_set;
};

/* struct tags t = TAGS_FROM(&op->arena, in->tags); for any list or map whose items have the members
 * key and value. Texts are not copied. */
#define TAGS_FROM(arena, list)                                                    \
    tags_from_items((arena), (list).items, (list).count, (list).is_set,           \
                    (struct tag_layout){sizeof(*(list).items),                    \
                                        offsetof(__typeof__(*(list).items), key), \
                                        offsetof(__typeof__(*(list).items), value)})

/* TAGS_INTO(&op->arena, tags, &ret->tags); fills a list or map of the service, present even when
 * there are none. */
#define TAGS_INTO(arena, tags, to)                                                             \
    do {                                                                                       \
        (to)->items = tags_into_items(                                                         \
            (arena), &(tags),                                                                  \
            (struct tag_layout){sizeof(*(to)->items), offsetof(__typeof__(*(to)->items), key), \
                                offsetof(__typeof__(*(to)->items), value)});                   \
        (to)->count = (tags).count;                                                            \
        (to)->is_set = true;                                                                   \
    } while (0)

/* Where the two texts lie in a service's own item; for the macros above. */
struct tag_layout {
    size_t item_bytes;
    size_t key_offset;
    size_t value_offset;
};
struct tags tags_from_items(struct arena *a, const void *items, size_t count, bool is_set,
                            struct tag_layout layout);
void *tags_into_items(struct arena *a, const struct tags *tags, struct tag_layout layout);

/* Under which public names a service refuses tags. A NULL error gives the service's general one. */
struct tag_errors {
    const struct err_public *too_many;
    const struct err_public *duplicate;
    const struct err_public *invalid;
};

/* What a client sent: keys present, unique and not of "aws:", lengths and characters (letters,
 * digits, space and _.:/=+-@, any non-ASCII letter). Not more than TAGS_MAX. */
enum err tags_check(struct op *op, const struct tag_errors *errors, const struct tags *tags);
/* have with add over it, in the op's arena; keys keep their first place, new ones follow in order.
 * Refuses more than TAGS_MAX. Texts are not copied. */
enum err tags_merge(struct op *op, const struct tag_errors *errors, const struct tags *have,
                    const struct tags *add, struct tags *ret);
/* have without these keys; unknown keys are fine. */
struct tags tags_without(struct arena *a, const struct tags *have, const struct str *keys,
                         size_t key_count);
/* NULL when there is none. */
const struct tag *tags_find(const struct tags *tags, struct str key);
/* Same keys with the same values, in any order. */
bool tags_equal(const struct tags *a, const struct tags *b);
