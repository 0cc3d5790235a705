#pragma once
/* The one place where configured seconds become real time (docs/time-scale.md).
 *
 * A tick is one configured second: 1 s of the real clock at time scale 1, 1/60 s at scale 60. Ticks
 * count from 1970. All windows are whole numbers of ticks, so windows of different periods nest,
 * and everything in this module but the edges (requests, answers, rows) counts in ticks. At scale 1
 * a tick is the epoch second that CloudWatch itself aligns to. */

#include "base/time.h"

/* Microseconds of a tick; at least 10, as the scale is at most 100,000. */
static inline int64_t cw_tick_us(void)
{
    return 1000000 / clock_scale();
}

/* The tick that `t` lies in. */
static inline int64_t cw_tick_of(wall_t t)
{
    int64_t us = cw_tick_us();
    int64_t tick = t.us / us;
    return t.us % us < 0 ? tick - 1 : tick;
}

static inline wall_t cw_tick_start(int64_t tick)
{
    return (wall_t){.us = tick * cw_tick_us()};
}

/* Down and up to a multiple of `period` ticks. */
static inline int64_t cw_tick_floor(int64_t tick, int64_t period)
{
    int64_t rest = tick % period;
    return rest < 0 ? tick - rest - period : tick - rest;
}

static inline int64_t cw_tick_ceil(int64_t tick, int64_t period)
{
    int64_t down = cw_tick_floor(tick, period);
    return down == tick ? tick : down + period;
}
