#include "lb/h2.h"

#include "base/check.h"
#include "base/mem.h"

/* In front of every piece: its size class, or HUGE for what no list keeps. */
struct piece {
    size_t size_class;
    size_t bytes; /* as asked */
};

#define HUGE_CLASS LB_H2_MEMORY_SIZES
_Static_assert(sizeof(struct piece) == 16, "a piece is as aligned as malloc's");

static size_t bytes_of(size_t size_class)
{
    return (size_t)64 << size_class;
}

static void *take(size_t bytes, void *self)
{
    struct lb_h2_memory *m = self;
    size_t whole = bytes + sizeof(struct piece);
    size_t size_class = 0;
    while (size_class < HUGE_CLASS && bytes_of(size_class) < whole) {
        size_class++;
    }
    struct piece *p;
    if (size_class == HUGE_CLASS) {
        p = mem_alloc(whole);
    } else if (m->free[size_class] != NULL) {
        p = m->free[size_class];
        memcpy(&m->free[size_class], p, sizeof(void *));
        m->kept_bytes -= bytes_of(size_class);
    } else {
        p = mem_alloc(bytes_of(size_class));
    }
    p->size_class = size_class;
    p->bytes = bytes;
    return p + 1;
}

static void give(void *ptr, void *self)
{
    struct lb_h2_memory *m = self;
    if (ptr == NULL) {
        return;
    }
    struct piece *p = (struct piece *)ptr - 1;
    size_t size_class = p->size_class;
    if (size_class == HUGE_CLASS || m->kept_bytes + bytes_of(size_class) > LB_H2_KEPT_BYTES_MAX) {
        mem_free(p);
        return;
    }
    memcpy(p, &m->free[size_class], sizeof(void *));
    m->free[size_class] = p;
    m->kept_bytes += bytes_of(size_class);
}

static void *take_zeroed(size_t count, size_t size, void *self)
{
    size_t bytes;
    CHECK(!__builtin_mul_overflow(count, size, &bytes));
    void *ptr = take(bytes, self);
    memset(ptr, 0, bytes);
    return ptr;
}

static void *resize(void *ptr, size_t bytes, void *self)
{
    if (ptr == NULL) {
        return take(bytes, self);
    }
    struct piece *p = (struct piece *)ptr - 1;
    if (p->size_class < HUGE_CLASS && bytes + sizeof(struct piece) <= bytes_of(p->size_class)) {
        p->bytes = bytes;
        return ptr;
    }
    void *moved = take(bytes, self);
    memcpy(moved, ptr, p->bytes < bytes ? p->bytes : bytes);
    give(ptr, self);
    return moved;
}

void lb_h2_memory_init(struct lb_h2_memory *m)
{
    *m = (struct lb_h2_memory){.table = {.mem_user_data = m,
                                         .malloc = take,
                                         .free = give,
                                         .calloc = take_zeroed,
                                         .realloc = resize}};
}

void lb_h2_memory_fini(struct lb_h2_memory *m)
{
    for (size_t i = 0; i < LB_H2_MEMORY_SIZES; i++) {
        while (m->free[i] != NULL) {
            void *p = m->free[i];
            memcpy(&m->free[i], p, sizeof(void *));
            mem_free(p);
        }
    }
    m->kept_bytes = 0;
}
