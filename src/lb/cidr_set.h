#pragma once
/* A set of addresses, made of CIDR blocks of both families; asked at every accept. IPv4 addresses
 * are those of ::ffff:0:0/96. Immutable after it was built; lives in the given arena. */

#include "lb/conf.h"

struct lb_cidr_set;

/* count 0: the empty set. */
struct lb_cidr_set *lb_cidr_set_build(struct arena *a, const struct lb_cidr *cidrs, size_t count);
/* O(log n), no allocation. bytes as of lb_addr_bytes. */
bool lb_cidr_set_has(const struct lb_cidr_set *set, const uint8_t bytes[16]);
