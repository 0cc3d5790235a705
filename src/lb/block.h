#pragma once
/* Byte blocks of four sizes, from free lists of one worker: what could not be sent yet, and
 * requests that may have to be sent again. In steady state none is allocated. */

#include "base/str.h"
#include "lb/limits.h"

#define LB_BLOCK_SIZES 4 /* 4, 16, 64, 256 KiB and a little */

struct lb_block {
    struct lb_block *next_free;
    uint32_t size_class;
    uint32_t capacity;
    uint32_t at; /* [at, end) waits */
    uint32_t end;
    char bytes[];
};

struct lb_blocks {
    struct lb_block *free[LB_BLOCK_SIZES];
    uint32_t free_counts[LB_BLOCK_SIZES];
    size_t held_bytes; /* of the blocks in use */
};

#define LB_BLOCK_BYTES_MAX LB_SCRATCH_BYTES

/* bytes <= LB_BLOCK_BYTES_MAX. */
struct lb_block *lb_block_take(struct lb_blocks *pool, size_t bytes);
/* NULL is fine. */
void lb_block_give(struct lb_blocks *pool, struct lb_block *b);
/* Appends to *b, which is NULL or has waiting bytes; moves to a larger block where needed. False
 * when it would pass LB_BLOCK_BYTES_MAX. */
bool lb_block_add(struct lb_blocks *pool, struct lb_block **b, struct str bytes);
void lb_blocks_fini(struct lb_blocks *pool);

static inline size_t lb_block_waiting(const struct lb_block *b)
{
    return b == NULL ? 0 : b->end - b->at;
}
