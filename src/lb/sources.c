#include "lb/sources.h"

#include "base/mem.h"
#include "base/rand.h"

struct lb_sources *lb_sources_new(void)
{
    struct lb_sources *s = MEM_NEW(struct lb_sources);
    rand_bytes(&s->key, sizeof(s->key));
    return s;
}

static bool is_ipv4(const uint8_t peer[16])
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(peer, prefix, sizeof(prefix)) == 0;
}

/* The two cells of a source. */
static void find(struct lb_sources *s, const uint8_t peer[16], uint32_t slot,
                 atomic_uint *ret_cells[2])
{
    char name[20] = {0};
    memcpy(name, peer, is_ipv4(peer) ? 16 : 8);
    memcpy(name + 16, &slot, 4);
    uint64_t hash = siphash_of(&s->key, str_make(name, sizeof(name)));
    ret_cells[0] = &s->cells[0][hash % LB_SOURCES_CELLS];
    ret_cells[1] = &s->cells[1][(hash >> 32) % LB_SOURCES_CELLS];
}

bool lb_sources_enter(struct lb_sources *s, const uint8_t peer[16], uint32_t slot, uint32_t most)
{
    atomic_uint *cells[2];
    find(s, peer, slot, cells);
    unsigned first = atomic_fetch_add_explicit(cells[0], 1, memory_order_relaxed);
    unsigned second = atomic_fetch_add_explicit(cells[1], 1, memory_order_relaxed);
    if (first < most || second < most) {
        return true;
    }
    lb_sources_leave(s, peer, slot);
    return false;
}

void lb_sources_leave(struct lb_sources *s, const uint8_t peer[16], uint32_t slot)
{
    atomic_uint *cells[2];
    find(s, peer, slot, cells);
    (void)atomic_fetch_sub_explicit(cells[0], 1, memory_order_relaxed);
    (void)atomic_fetch_sub_explicit(cells[1], 1, memory_order_relaxed);
}
