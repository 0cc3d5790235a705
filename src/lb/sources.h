#pragma once
/* How many connections come from where, over all workers: for the cap of connections from one
 * source. A fixed table of counts that is shared and never grows, whoever connects: a source counts
 * in one cell of each of two rows, which a secret key chooses, and has as many connections as the
 * smaller of its two says. With other sources in both cells that may be a few too many, never too
 * few. The source of an IPv6 connection is its network of 64 bits, which one person has.
 *
 * Only load balancers with a cap pay for it: two atomic additions a connection. */

#include "crypt/siphash.h"

#include <stdatomic.h>
#include <stdbool.h>

#define LB_SOURCES_CELLS 65536

struct lb_sources {
    struct siphash_key key;
    atomic_uint cells[2][LB_SOURCES_CELLS];
};

/* With a key of its own and nothing counted. */
struct lb_sources *lb_sources_new(void);
/* Counts a connection of `peer` (lb_addr_bytes) to the load balancer that owns `slot`; false when
 * it would be more than `most`, and then it is not counted. */
bool lb_sources_enter(struct lb_sources *s, const uint8_t peer[16], uint32_t slot, uint32_t most);
/* It ended. Only for what was counted. */
void lb_sources_leave(struct lb_sources *s, const uint8_t peer[16], uint32_t slot);
