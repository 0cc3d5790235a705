#pragma once
/* Metric data queries, as GetMetricData and alarms on metric math send them: metrics and
 * expressions that refer to each other by id. Making a plan checks everything that does not need
 * data; running it gives each query its series. */

#include "svc/cloudwatch/metric_math.h"
#include "svc/cloudwatch/metrics.h"

struct cw_query {
    const struct cloudwatch_metric_data_query *in;
    bool is_expression;
    struct cw_stat stat; /* of a metric */
    struct cw_math math; /* of an expression */
    int64_t period;      /* configured seconds = ticks; of an expression: see cw_plan.period */
};

/* Owns: nothing, lives in the op's arena; `in` is the caller's. */
struct cw_plan {
    struct cw_query *items;
    size_t count;
    size_t *order;  /* indexes, each after all that it refers to */
    int64_t period; /* the shortest of the metrics; 60 without any */
};

/* Which windows are asked for. */
struct cw_span {
    int64_t from_tick;   /* first window starts here; ignored for alarms */
    int64_t to_tick;     /* exclusive */
    size_t window_count; /* alarms: so many windows that end at to_tick; 0: all from from_tick */
};

/* The windows of that period in the span. */
struct cw_window_range cw_span_range(const struct cw_span *span, int64_t period);

/* member: "MetricDataQueries" or "Metrics", for messages. */
enum err cw_plan_make(struct op *op, const struct cloudwatch_metric_data_queries *queries,
                      const char *member, struct cw_plan *ret_plan);
/* results[plan->count], each a series or an array of series. SEARCH is refused when !may_search. */
enum err cw_plan_run(struct op *op, struct cw_metrics *m, const struct cw_plan *plan,
                     const struct cw_span *span, bool may_search, struct cw_math_value *results);

/* One statistic of one metric. */
enum err cw_series_read(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                        enum cloudwatch_standard_unit unit, const struct cw_stat *stat,
                        const struct cw_window_range *range, struct cw_series *ret_series);
/* The span starts at `start`, rounded down as CloudWatch does: to the minute, to 5 minutes when it
 * is older than 15 days, to the hour beyond 63 days; below a minute to the period. */
int64_t cw_query_start(wall_t start, wall_t now, int64_t period);
/* 1, 5, 10, 20, 30 or a multiple of 60. */
bool cw_period_is_valid(int64_t period);
