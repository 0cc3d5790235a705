#include "svc/cloudwatch/lane.h"

#include "base/mem.h"

#include <string.h>

void cw_lane_fini(struct cw_lane *lane)
{
    for (size_t i = 0; i < lane->count; i++) {
        cw_bucket_fini(&lane->items[i].bucket);
    }
    mem_free(lane->items);
    *lane = (struct cw_lane){0};
}

size_t cw_lane_find(const struct cw_lane *lane, int64_t tick)
{
    /* nearly every call asks for the newest window */
    if (lane->count > 0 && lane->items[lane->count - 1].tick < tick) {
        return lane->count;
    }
    size_t low = 0;
    size_t high = lane->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (lane->items[middle].tick < tick) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct cw_lane_slot *cw_lane_slot(struct cw_lane *lane, int64_t tick, bool *ret_is_new)
{
    size_t at = cw_lane_find(lane, tick);
    *ret_is_new = at == lane->count || lane->items[at].tick != tick;
    if (!*ret_is_new) {
        return &lane->items[at];
    }
    if (lane->count == lane->capacity) {
        lane->capacity = lane->capacity == 0 ? 8 : lane->capacity * 2;
        lane->items = mem_resize(lane->items, lane->capacity * sizeof(*lane->items));
    }
    memmove(&lane->items[at + 1], &lane->items[at], (lane->count - at) * sizeof(*lane->items));
    lane->items[at] = (struct cw_lane_slot){.tick = tick};
    lane->count++;
    return &lane->items[at];
}

void cw_lane_trim(struct cw_lane *lane, int64_t floor_tick)
{
    size_t kept = 0;
    for (size_t i = 0; i < lane->count; i++) {
        struct cw_lane_slot *slot = &lane->items[i];
        if (slot->tick >= floor_tick && kept == i) {
            kept = lane->count; /* nothing was dropped so far, and nothing is from here on */
            break;
        }
        if (slot->tick < floor_tick && !slot->is_dirty) {
            cw_bucket_fini(&slot->bucket);
        } else {
            lane->items[kept++] = *slot;
        }
    }
    lane->count = kept;
    if (floor_tick > lane->floor_tick) {
        lane->floor_tick = floor_tick;
    }
}
