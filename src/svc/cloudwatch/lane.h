#pragma once
/* The newest buckets of one metric at one resolution, in memory: a sorted array that grows at its
 * end and is trimmed at its front. Empty windows take no room. Owns: its buckets. */

#include "svc/cloudwatch/stat.h"

#include <stdint.h>

struct cw_lane_slot {
    int64_t tick; /* start of the window, a multiple of the lane's period */
    struct cw_bucket bucket;
    bool is_dirty; /* not yet in the store as it stands */
};

struct cw_lane {
    struct cw_lane_slot *items; /* by tick, ascending */
    size_t count;
    size_t capacity;
    int64_t floor_tick; /* older windows are not here (but may be in the store) */
};

void cw_lane_fini(struct cw_lane *lane);
/* The slot of that window, made when there is none; *ret_is_new says so. Valid until the next
 * call. */
struct cw_lane_slot *cw_lane_slot(struct cw_lane *lane, int64_t tick, bool *ret_is_new);
/* Index of the first slot at or after tick. */
size_t cw_lane_find(const struct cw_lane *lane, int64_t tick);
/* Drops what is older than floor_tick and not dirty. */
void cw_lane_trim(struct cw_lane *lane, int64_t floor_tick);
