#include "lb/cidr_set.h"

#include "lb/rule.h"

#include <stdlib.h>
#include <string.h>

/* Both ends belong to it. As bytes in network order they compare as numbers do. */
struct range {
    uint8_t first[16];
    uint8_t last[16];
};

struct family {
    struct range *ranges; /* ascending, apart from one another */
    size_t count;
};

struct lb_cidr_set {
    struct family v4;
    struct family v6; /* ::/0 is not everybody */
};

static struct range range_of(const struct lb_cidr *cidr)
{
    struct range r;
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = cidr->bits >= (i + 1) * 8 ? 8
                        : cidr->bits <= i * 8     ? 0
                                                  : cidr->bits - i * 8;
        uint8_t mask = (uint8_t)(0xffu << (8 - kept));
        r.first[i] = cidr->bytes[i] & mask;
        r.last[i] = cidr->bytes[i] | (uint8_t)~mask;
    }
    return r;
}

static int compare(const void *a, const void *b)
{
    return memcmp(((const struct range *)a)->first, ((const struct range *)b)->first, 16);
}

static void add_ranges(struct arena *a, struct family *to, const struct lb_cidr *cidrs,
                       size_t count, bool is_v4)
{
    size_t found = 0;
    to->ranges = ARENA_ARRAY(a, struct range, count);
    for (size_t i = 0; i < count; i++) {
        if (cidrs[i].is_v4 == is_v4) {
            to->ranges[found++] = range_of(&cidrs[i]);
        }
    }
    if (found > 1) {
        qsort(to->ranges, found, sizeof(*to->ranges), compare);
    }
    /* CIDR blocks lie apart or one within the other: those within the one before are left out */
    for (size_t i = 0; i < found; i++) {
        bool is_within =
            to->count > 0 && memcmp(to->ranges[i].last, to->ranges[to->count - 1].last, 16) <= 0;
        if (!is_within) {
            to->ranges[to->count++] = to->ranges[i];
        }
    }
}

struct lb_cidr_set *lb_cidr_set_build(struct arena *a, const struct lb_cidr *cidrs, size_t count)
{
    struct lb_cidr_set *set = ARENA_NEW(a, struct lb_cidr_set);
    add_ranges(a, &set->v4, cidrs, count, true);
    add_ranges(a, &set->v6, cidrs, count, false);
    return set;
}

bool lb_cidr_set_has(const struct lb_cidr_set *set, const uint8_t bytes[16])
{
    const struct family *f = lb_addr_is_v4(bytes) ? &set->v4 : &set->v6;
    size_t low = 0;
    size_t high = f->count; /* the first range behind the address is in [low, high] */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memcmp(f->ranges[middle].first, bytes, 16) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && memcmp(bytes, f->ranges[low - 1].last, 16) <= 0;
}
