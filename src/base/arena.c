#include "base/arena.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdalign.h>
#include <stdio.h>

#define BLOCK_BYTES_MIN 4000

struct arena_block {
    struct arena_block *next;
    size_t capacity_bytes;
    alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

void arena_fini(struct arena *a)
{
    struct arena_block *block = a->blocks;
    while (block != NULL) {
        struct arena_block *next = block->next;
        if (a->holds_secrets) {
            mem_wipe(block->bytes, block->capacity_bytes);
        }
        mem_free(block);
        block = next;
    }
    *a = (struct arena){0};
}

void arena_reset(struct arena *a)
{
    arena_fini(a);
}

static void add_block(struct arena *a, size_t bytes)
{
    size_t capacity = bytes < BLOCK_BYTES_MIN ? BLOCK_BYTES_MIN : bytes;
    if (a->blocks != NULL && capacity < a->blocks->capacity_bytes * 2 && bytes <= BLOCK_BYTES_MIN) {
        capacity = a->blocks->capacity_bytes * 2;
        capacity = capacity > (1u << 20) ? (1u << 20) : capacity;
    }
    struct arena_block *block = mem_alloc(sizeof(*block) + capacity);
    block->capacity_bytes = capacity;
    block->next = a->blocks;
    a->blocks = block;
    a->used_bytes = 0;
    a->total_bytes += capacity;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    size_t rounded = 0;
    CHECK(!__builtin_add_overflow(bytes, alignof(max_align_t) - 1, &rounded));
    rounded &= ~(alignof(max_align_t) - 1);
    if (a->blocks == NULL || a->blocks->capacity_bytes - a->used_bytes < rounded) {
        add_block(a, rounded);
    }
    void *piece = a->blocks->bytes + a->used_bytes;
    a->used_bytes += rounded;
    return piece;
}

void *arena_alloc_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes = 0;
    CHECK(!__builtin_mul_overflow(count, size, &bytes));
    return arena_alloc(a, bytes);
}

struct str arena_str(struct arena *a, struct str s)
{
    if (!str_is_set(s)) {
        return s;
    }
    char *copy = arena_alloc(a, s.len + 1);
    if (s.len > 0) {
        memcpy(copy, s.ptr, s.len);
    }
    return str_make(copy, s.len);
}

const char *arena_c_str(struct arena *a, struct str s)
{
    return arena_str(a, str_is_set(s) ? s : STR("")).ptr;
}

struct str arena_vprintf(struct arena *a, const char *format, va_list args)
{
    CHECK(format != NULL);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    CHECK(len >= 0);
    char *text = arena_alloc(a, (size_t)len + 1);
    (void)vsnprintf(text, (size_t)len + 1, format, args);
    return str_make(text, (size_t)len);
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(a, format, args);
    va_end(args);
    return text;
}

void *arena_grow(struct arena *a, const void *items, size_t count, size_t capacity, size_t size)
{
    CHECK(capacity >= count);
    void *moved = arena_alloc_array(a, capacity, size);
    if (count > 0) {
        memcpy(moved, items, count * size);
    }
    return moved;
}
