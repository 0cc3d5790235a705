#include "svc/common/tags.h"

struct tags tags_from_items(struct arena *a, const void *items, size_t count, bool is_set,
                            struct tag_layout layout)
{
    struct tags tags = {
        .items = ARENA_ARRAY(a, struct tag, count), .count = count, .is_set = is_set};
    for (size_t i = 0; i < count; i++) {
        const char *item = (const char *)items + i * layout.item_bytes;
        tags.items[i].key = *(const struct str *)(const void *)(item + layout.key_offset);
        tags.items[i].value = *(const struct str *)(const void *)(item + layout.value_offset);
    }
    return tags;
}

void *tags_into_items(struct arena *a, const struct tags *tags, struct tag_layout layout)
{
    char *items = arena_alloc_array(a, tags->count, layout.item_bytes);
    for (size_t i = 0; i < tags->count; i++) {
        char *item = items + i * layout.item_bytes;
        *(struct str *)(void *)(item + layout.key_offset) = tags->items[i].key;
        *(struct str *)(void *)(item + layout.value_offset) = tags->items[i].value;
    }
    return items;
}

static void push(struct arena *a, struct tags *to, struct tag tag)
{
    *ARENA_PUSH(a, to) = tag;
}

/* Characters of UTF-8, not bytes: AWS's limits are in characters. */
static size_t char_count(struct str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++) {
        count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    }
    return count;
}

static bool is_allowed_byte(char c)
{
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return is_letter || (unsigned char)c >= 0x80 ||
           str_find_char(STR(" _.:/=+-@"), c, 0) != STR_NOT_FOUND;
}

static bool is_allowed_text(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_allowed_byte(s.ptr[i])) {
            return false;
        }
    }
    return true;
}

static enum err check_one(struct op *op, const struct tag_errors *errors, const struct tag *tag)
{
    size_t key_chars = char_count(tag->key);
    if (key_chars == 0 || key_chars > TAG_KEY_CHARS_MAX || !is_allowed_text(tag->key)) {
        return op_fail_as(op, ERR_INPUT, errors->invalid,
                          "The tag key '%.*s' is not valid: it must have 1 to %d characters, which "
                          "are letters, spaces, numbers and _.:/=+-@",
                          STR_ARG(tag->key), TAG_KEY_CHARS_MAX);
    }
    if (str_starts_with(tag->key, STR("aws:")) || str_starts_with(tag->key, STR("AWS:"))) {
        return op_fail_as(op, ERR_INPUT, errors->invalid,
                          "The tag key '%.*s' is not valid: keys that start with 'aws:' are "
                          "reserved for system use",
                          STR_ARG(tag->key));
    }
    if (char_count(tag->value) > TAG_TEXT_CHARS_MAX || !is_allowed_text(tag->value)) {
        return op_fail_as(op, ERR_INPUT, errors->invalid,
                          "The value of the tag '%.*s' is not valid: it must have at most %d "
                          "characters, which are letters, spaces, numbers and _.:/=+-@",
                          STR_ARG(tag->key), TAG_TEXT_CHARS_MAX);
    }
    return ERR_OK;
}

static enum err check_count(struct op *op, const struct tag_errors *errors, size_t count)
{
    if (count > TAGS_MAX) {
        return op_fail_as(op, ERR_LIMIT, errors->too_many,
                          "The number of tags exceeds the limit of %d for this resource", TAGS_MAX);
    }
    return ERR_OK;
}

const struct tag *tags_find(const struct tags *tags, struct str key)
{
    for (size_t i = 0; i < tags->count; i++) {
        if (str_equal(tags->items[i].key, key)) {
            return &tags->items[i];
        }
    }
    return NULL;
}

enum err tags_check(struct op *op, const struct tag_errors *errors, const struct tags *tags)
{
    TRY(check_count(op, errors, tags->count));
    for (size_t i = 0; i < tags->count; i++) {
        TRY(check_one(op, errors, &tags->items[i]));
        if (tags_find(tags, tags->items[i].key) != &tags->items[i]) {
            return op_fail_as(op, ERR_INPUT, errors->duplicate,
                              "Tag keys must be unique. Duplicate key: '%.*s'",
                              STR_ARG(tags->items[i].key));
        }
    }
    return ERR_OK;
}

enum err tags_merge(struct op *op, const struct tag_errors *errors, const struct tags *have,
                    const struct tags *add, struct tags *ret)
{
    struct tags merged = {.is_set = true};
    for (size_t i = 0; i < have->count; i++) {
        const struct tag *newer = tags_find(add, have->items[i].key);
        push(&op->arena, &merged, newer == NULL ? have->items[i] : *newer);
    }
    for (size_t i = 0; i < add->count; i++) {
        if (tags_find(have, add->items[i].key) == NULL) {
            push(&op->arena, &merged, add->items[i]);
        }
    }
    TRY(check_count(op, errors, merged.count));
    *ret = merged;
    return ERR_OK;
}

static bool has_key(const struct str *keys, size_t key_count, struct str key)
{
    for (size_t i = 0; i < key_count; i++) {
        if (str_equal(keys[i], key)) {
            return true;
        }
    }
    return false;
}

struct tags tags_without(struct arena *a, const struct tags *have, const struct str *keys,
                         size_t key_count)
{
    struct tags left = {.is_set = true};
    for (size_t i = 0; i < have->count; i++) {
        if (!has_key(keys, key_count, have->items[i].key)) {
            push(a, &left, have->items[i]);
        }
    }
    return left;
}

bool tags_equal(const struct tags *a, const struct tags *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        const struct tag *other = tags_find(b, a->items[i].key);
        if (other == NULL || !str_equal(other->value, a->items[i].value)) {
            return false;
        }
    }
    return true;
}
