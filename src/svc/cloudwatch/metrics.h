#pragma once
/* All metrics and their datapoints: in memory for the last hours, in the store for as long as
 * CloudWatch keeps them.
 *
 * In memory   windows of 1 tick for 15 minutes, of 10 ticks for 3 hours, of 60 ticks for a day.
 * Stored      60-tick windows of every metric, 10-tick windows of high-resolution ones (3 hours);
 *             windows of 60 become 300 after 15 days and 3600 after 63, which go after 455 days.
 * Batches     what changed is written by cw_metrics_flush() in one transaction.
 * Names       a metric is region, namespace, name and dimensions; each unit it is reported in is a
 *             series of its own. A metric of region "" is seen in every region.
 * Alias       AWS/ApplicationELB and AWS/NetworkELB, dimension AvailabilityZone: one machine is one
 *             zone, so the answer is that of the metric without it. */

#include "base/list.h"
#include "base/map.h"
#include "base/op.h"
#include "gen/cloudwatch.h"
#include "svc/cloudwatch/lane.h"

struct store;

enum cw_lane_index { CW_LANE_1, CW_LANE_10, CW_LANE_60 };
#define CW_LANE_COUNT 3

/* What a metric is called. Nothing is owned. */
struct cw_metric_name {
    struct str region;
    struct str namespace;
    struct str name;
    const struct cloudwatch_dimension *dimensions; /* any order */
    size_t dimension_count;                        /* <= CW_DIMENSIONS_MAX */
};

struct cw_metric {
    struct arena arena;         /* the name and the dimensions */
    struct cw_metric_name name; /* dimensions by name, ascending */
    enum cloudwatch_standard_unit unit;
    struct cw_metric *next_unit; /* the same metric in another unit */
    struct cw_lane lanes[CW_LANE_COUNT];
    int64_t row_id;    /* 0: not in the store yet */
    bool is_row_new;   /* made by the transaction that is open */
    int64_t last_tick; /* start of the newest window with data */
    bool is_high_resolution;
    bool is_dirty;
    struct list dirty_node;
};

struct cw_metrics {
    struct store *store;
    struct map by_name;       /* first unit of each */
    struct cw_metric **items; /* every one, in the order in which they came */
    size_t count;
    size_t capacity;
    struct list dirty;
    size_t expire_next; /* index of the metric whose old rows are looked at next */
};

enum err cw_metrics_open(struct op *op, struct store *st, struct cw_metrics *m);
void cw_metrics_fini(struct cw_metrics *m);

/* Adds to the windows around `tick`. ERR_LIMIT when there are too many metrics. */
enum err cw_metrics_add(struct op *op, struct cw_metrics *m, const struct cw_metric_name *name,
                        enum cloudwatch_standard_unit unit, bool is_high_resolution, int64_t tick,
                        const struct cw_bucket *bucket);

/* NULL when there is none. */
struct cw_metric *cw_metrics_find(struct op *op, const struct cw_metrics *m,
                                  const struct cw_metric_name *name);

struct cw_window_range {
    int64_t from_tick;
    int64_t period; /* ticks, >= 1 */
    size_t count;   /* windows, <= CW_GRID_MAX */
};

/* Fills buckets[range->count] (in the arena and zeroed by the caller; their pairs are owned by the
 * caller: cw_buckets_fini). metric may be NULL: all stay empty. unit UNSET: of every unit. */
enum err cw_metrics_read(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                         enum cloudwatch_standard_unit unit, const struct cw_window_range *range,
                         struct cw_bucket *buckets);
void cw_buckets_fini(struct cw_bucket *buckets, size_t count);

/* Writes what is dirty, in one transaction, and trims the memory. `also` (may be NULL) writes what
 * must be kept together with it. */
typedef enum err (*cw_also_fn)(struct op *op, void *self);
enum err cw_metrics_flush(struct op *op, struct cw_metrics *m, int64_t now_tick, cw_also_fn also,
                          void *also_self);
/* Rolls up and drops old rows of some metrics; call it now and then. */
enum err cw_metrics_expire(struct op *op, struct cw_metrics *m, int64_t now_tick);
/* Forgets everything. */
enum err cw_metrics_reset(struct op *op, struct cw_metrics *m);
