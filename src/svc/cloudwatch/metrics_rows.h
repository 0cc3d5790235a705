#pragma once
/* Datapoints as rows; between the files of the metric store, nothing outside includes this.
 *
 * cw_metric     one row a metric and unit
 * cw_datapoint  one row a window with data; at_us is its start by the real clock, so that rows keep
 *               their meaning when the time scale changes between two starts */

#include "svc/cloudwatch/metrics.h"

/* Ticks of a lane's windows. */
int64_t cw_lane_period(enum cw_lane_index lane);
/* The metric in that unit, made when there is none. */
enum err cw_metrics_want(struct op *op, struct cw_metrics *m, const struct cw_metric_name *name,
                         enum cloudwatch_standard_unit unit, struct cw_metric **ret);

/* Drops from memory what is old and written. */
void cw_metric_trim(struct cw_metric *metric, int64_t now_tick);

enum err cw_rows_load(struct op *op, struct cw_metrics *m);
enum err cw_rows_remove_all(struct op *op, struct cw_metrics *m);
enum err cw_rows_save_metric(struct op *op, struct cw_metrics *m, struct cw_metric *metric);
enum err cw_rows_save_slot(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                           int64_t period, const struct cw_lane_slot *slot);
/* Merges the stored window, if there is one, into the slot. */
enum err cw_rows_load_slot(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                           int64_t period, struct cw_lane_slot *slot);
/* Merges stored windows of the range that are older than what is in memory. */
enum err cw_rows_read(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                      const struct cw_window_range *range, struct cw_bucket *buckets);
/* The transaction that made new rows was rolled back. */
void cw_rows_forget_new(struct cw_metrics *m);
