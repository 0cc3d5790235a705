#pragma once
/* Inside of engine.c: what one slot grew by in one window, as datapoints. */

#include "svc/cloudwatch/engine.h"

/* Of a minute that is not over; zeroed at its start. */
struct cw_minute {
    uint64_t counters[LBSTATS_COUNTER_COUNT]; /* what they grew by; of a gauge the highest */
    double peak_units;                        /* capacity units of the window that took the most */
};

struct cw_window {
    struct op *op;
    struct cw_engine *engine;
    struct cw_metrics *metrics;
    int64_t tick;
    double seconds; /* as configured */
    bool is_minute; /* a minute ends with it */
};

struct cw_growth {
    struct str load_balancer; /* "app/NAME/ID" */
    struct str target_group;  /* "" for the balancer's own */
    struct str region;
    bool is_retired;
    bool counts_requests; /* this slot has ever counted a request */
    struct lbstats_reading grown;
    struct cw_minute *minute;
};

/* The window was of so many seconds. */
void cw_minute_add(struct cw_minute *m, const struct lbstats_reading *grown, double seconds);
/* all[count]: every slot, since a balancer's own may be the sum of its groups. */
enum err cw_engine_put(const struct cw_window *w, const struct cw_growth *g,
                       const struct cw_growth *all, size_t count);
