#pragma once
/* The data plane's counters as metrics of AWS/ApplicationELB and AWS/NetworkELB. At the close of a
 * window the counters are read once; what they grew by since the last reading is what happened in
 * the window. Nothing is sampled and nothing is counted twice.
 *
 * The counters of the last close are kept in the store with the datapoints that were made of them,
 * in the same transaction: after a crash of control, which the shared memory survives, nothing is
 * lost and nothing counts twice; what happened meanwhile is entered in the first window that
 * closes. (Of response times only the number and the sum survive so, not the distribution.)
 *
 * No traffic, no datapoint, as with a real load balancer; only the host counts are always told.
 * What is a level and not a number of events (connections, capacity units, states of zones) is told
 * once a minute, as AWS does, so that its Sum means what it means there.
 * Source  ELB user guide, "CloudWatch metrics for your Application Load Balancer". */

#include "base/op.h"
#include "stats/lbstats.h"
#include "svc/cloudwatch/metrics.h"

struct cw_engine_slot;
struct store;

typedef struct str (*cw_region_fn)(void *self, struct arena *a, struct str load_balancer);

struct cw_engine {
    const struct lbstats *stats;
    cw_region_fn region_of; /* NULL: not known */
    void *region_self;
    int64_t minute;               /* start of the one that is under way; 0: not known */
    struct cw_engine_slot *slots; /* LBSTATS_SLOTS_MAX: the readings of the last close */
};

/* Counts from where the store says that it stopped. stats may be NULL: there is nothing to read
 * then. */
enum err cw_engine_open(struct op *op, struct cw_engine *e, struct store *st,
                        const struct lbstats *stats, cw_region_fn region_of, void *region_self);
/* Writes where counting stands; within the transaction that writes the datapoints. */
enum err cw_engine_save(struct op *op, const struct cw_engine *e, struct store *st);
void cw_engine_fini(struct cw_engine *e);
/* The window closes now; range->count is not looked at. */
enum err cw_engine_close_window(struct op *op, struct cw_engine *e, struct cw_metrics *m,
                                const struct cw_window_range *range);
