#pragma once
/* The data plane's counters as metrics of AWS/ApplicationELB. At the close of a window the counters
 * are read once; what they grew by since the last reading is what happened in the window. Nothing
 * is sampled and nothing is counted twice.
 *
 * No traffic, no datapoint, as with a real load balancer; only the host counts are always told.
 * Source  ELB user guide, "CloudWatch metrics for your Application Load Balancer". */

#include "base/op.h"
#include "stats/lbstats.h"
#include "svc/cloudwatch/metrics.h"

struct cw_engine_slot;

typedef struct str (*cw_region_fn)(void *self, struct arena *a, struct str load_balancer);

struct cw_engine {
    const struct lbstats *stats;
    cw_region_fn region_of; /* NULL: not known */
    void *region_self;
    struct cw_engine_slot *slots; /* LBSTATS_SLOTS_MAX: the readings of the last close */
};

/* Counts from now on. stats may be NULL: there is nothing to read then. */
void cw_engine_open(struct cw_engine *e, const struct lbstats *stats, cw_region_fn region_of,
                    void *region_self);
void cw_engine_fini(struct cw_engine *e);
/* The window that starts at `tick` closes now. */
enum err cw_engine_close_window(struct op *op, struct cw_engine *e, struct cw_metrics *m,
                                int64_t tick);
