#include "lb/block.h"

#include "base/check.h"
#include "base/mem.h"

static size_t bytes_of(uint32_t size_class)
{
    return (size_t)4096 << (2 * size_class);
}

/* Free blocks that are kept. Of the small ones each stream of HTTP/2 has some. */
static const uint32_t free_max[LB_BLOCK_SIZES] = {
    LB_FREE_SMALL_BLOCKS_MAX,
    LB_FREE_BLOCKS_MAX,
    LB_FREE_BLOCKS_MAX,
    LB_FREE_BLOCKS_MAX,
};

struct lb_block *lb_block_take(struct lb_blocks *pool, size_t bytes)
{
    CHECK(bytes <= LB_BLOCK_BYTES_MAX);
    uint32_t size_class = 0;
    while (bytes_of(size_class) < bytes) {
        size_class++;
    }
    struct lb_block *b = pool->free[size_class];
    if (b == NULL) {
        b = mem_alloc(sizeof(*b) + bytes_of(size_class));
        b->size_class = size_class;
        b->capacity = (uint32_t)bytes_of(size_class);
    } else {
        pool->free[size_class] = b->next_free;
        pool->free_counts[size_class]--;
    }
    b->at = 0;
    b->end = 0;
    pool->held_bytes += b->capacity;
    return b;
}

void lb_block_give(struct lb_blocks *pool, struct lb_block *b)
{
    if (b == NULL) {
        return;
    }
    pool->held_bytes -= b->capacity;
    if (pool->free_counts[b->size_class] == free_max[b->size_class]) {
        mem_free(b);
        return;
    }
    b->next_free = pool->free[b->size_class];
    pool->free[b->size_class] = b;
    pool->free_counts[b->size_class]++;
}

bool lb_block_add(struct lb_blocks *pool, struct lb_block **b, struct str bytes)
{
    size_t waiting = lb_block_waiting(*b);
    if (waiting + bytes.len > LB_BLOCK_BYTES_MAX) {
        return false;
    }
    struct lb_block *old = *b;
    if (old == NULL || old->capacity - old->end < bytes.len) {
        struct lb_block *room = lb_block_take(pool, waiting + bytes.len);
        if (old != NULL) {
            memcpy(room->bytes, old->bytes + old->at, waiting);
            room->end = (uint32_t)waiting;
            lb_block_give(pool, old);
        }
        *b = room;
    }
    if (bytes.len > 0) {
        memcpy((*b)->bytes + (*b)->end, bytes.ptr, bytes.len);
        (*b)->end += (uint32_t)bytes.len;
    }
    return true;
}

void lb_blocks_fini(struct lb_blocks *pool)
{
    for (size_t i = 0; i < LB_BLOCK_SIZES; i++) {
        while (pool->free[i] != NULL) {
            struct lb_block *b = pool->free[i];
            pool->free[i] = b->next_free;
            mem_free(b);
        }
        pool->free_counts[i] = 0;
    }
}
