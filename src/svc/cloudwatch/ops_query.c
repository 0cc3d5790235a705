/* GetMetricData. */

#include "base/check.h"
#include "svc/cloudwatch/errors.h"
#include "svc/cloudwatch/handlers.h"
#include "svc/cloudwatch/label.h"
#include "svc/cloudwatch/limits.h"
#include "svc/cloudwatch/query.h"
#include "svc/cloudwatch/ticks.h"
#include "svc/common/page.h"

#define POINTS_MAX 100800

/* One series that is answered, and the query it belongs to. */
struct shown {
    const struct cloudwatch_metric_data_query *in;
    const struct cw_series *series;
};

struct shown_list {
    struct shown *items;
    size_t count;
};

static enum err check_request(struct op *op, const struct cloudwatch_get_metric_data_in *in)
{
    int64_t start_us = in->start_time.value.us;
    int64_t end_us = in->end_time.value.us;
    if (start_us / 1000000 == end_us / 1000000 && start_us >= end_us) {
        return CW_INVALID(op, "The parameter StartTime must not equal parameter EndTime.");
    }
    if (start_us >= end_us) {
        return CW_INVALID(op, "The parameter EndTime must be greater than StartTime.");
    }
    if (in->metric_data_queries.count == 0) {
        return op_fail_as(op, ERR_INPUT, &cloudwatch_error_missing_required_parameter_exception,
                          "The parameter MetricDataQueries is required.");
    }
    int32_t most = OPT_OR(in->max_datapoints, POINTS_MAX);
    if (most < 1 || most > POINTS_MAX) {
        return CW_INVALID(op, "The value %d for parameter MaxDatapoints must be between 1 and %d.",
                          most, POINTS_MAX);
    }
    for (size_t i = 0; i < in->metric_data_queries.count; i++) {
        const struct cloudwatch_metric_data_query *q = &in->metric_data_queries.items[i];
        if (q->period.is_set && q->metric_stat != NULL) {
            return CW_INVALID(op,
                              "The parameters MetricDataQueries.member.%zu.Period and "
                              "MetricDataQueries.member.%zu.MetricStat are mutually exclusive "
                              "and you have specified both.",
                              i + 1, i + 1);
        }
    }
    return ERR_OK;
}

/* The token is the number of datapoints that were shown before. */
static enum err read_token(struct op *op, struct str token, uint64_t *ret_skip)
{
    struct str text = STR_NONE;
    *ret_skip = 0;
    if (token.len == 0) {
        return ERR_OK;
    }
    if (token.len > 64 || !page_decode(&op->arena, token, &text) ||
        !str_starts_with(text, STR("points:")) ||
        !str_parse_u64(str_from(text, 7), UINT32_MAX, ret_skip)) {
        return op_fail_as(op, ERR_INPUT, &cloudwatch_error_invalid_next_token, "Invalid NextToken");
    }
    return ERR_OK;
}

static void show(struct op *op, const struct shown *s, size_t from, size_t count, bool is_rest,
                 bool is_ascending, struct cloudwatch_metric_data_result *r)
{
    struct arena *a = &op->arena;
    r->id = s->in->id;
    r->label = cw_label(a, s->in, s->series);
    r->timestamps.is_set = true;
    r->values.is_set = true;
    r->timestamps.items = ARENA_ARRAY(a, struct opt_time, count + 1);
    r->values.items = ARENA_ARRAY(a, struct opt_f64, count + 1);
    for (size_t i = from; i < from + count; i++) {
        const struct cw_series_point *p =
            &s->series->items[is_ascending ? i : s->series->count - 1 - i];
        r->timestamps.items[r->timestamps.count++] = OPT_TIME(((wall_t){.us = p->at_us}));
        r->values.items[r->values.count++] = OPT_F64(p->value);
    }
    r->status_code = is_rest ? CLOUDWATCH_STATUS_CODE_COMPLETE : CLOUDWATCH_STATUS_CODE_PARTIALDATA;
}

/* The page of at most `most` datapoints after the first `skip`. */
static void cut(struct op *op, const struct cloudwatch_get_metric_data_in *in,
                const struct shown_list *all, uint64_t skip,
                struct cloudwatch_get_metric_data_out *ret)
{
    uint64_t most = (uint64_t)OPT_OR(in->max_datapoints, POINTS_MAX);
    bool is_ascending = in->scan_by == CLOUDWATCH_SCAN_BY_TIMESTAMPASCENDING;
    uint64_t passed = 0;
    uint64_t shown = 0;
    for (size_t i = 0; i < all->count; i++) {
        size_t count = all->items[i].series->count;
        size_t from = skip <= passed ? 0 : skip - passed >= count ? count : (size_t)(skip - passed);
        passed += count;
        size_t left = count - from;
        size_t take = left < most - shown ? left : (size_t)(most - shown);
        bool was_shown_before = skip > 0 && left == 0;
        if (was_shown_before || (take == 0 && left > 0)) {
            continue;
        }
        show(op, &all->items[i], from, take, take == left, is_ascending,
             ARENA_PUSH(&op->arena, &ret->metric_data_results));
        shown += take;
    }
    uint64_t end = skip + shown;
    if (end < passed) {
        ret->next_token = page_encode(
            &op->arena, arena_printf(&op->arena, "points:%llu", (unsigned long long)end));
    }
}

static void add_shown(struct arena *a, struct shown_list *all,
                      const struct cloudwatch_metric_data_query *in,
                      const struct cw_math_value *result)
{
    for (size_t i = 0; i < result->count; i++) {
        *ARENA_PUSH(a, all) = (struct shown){.in = in, .series = &result->items[i]};
    }
}

enum err cw_op_get_metric_data(struct op *op, struct cloudwatch *cw,
                               const struct cloudwatch_get_metric_data_in *in,
                               struct cloudwatch_get_metric_data_out *ret)
{
    TRY(check_request(op, in));
    uint64_t skip = 0;
    TRY(read_token(op, in->next_token, &skip));
    struct cw_plan plan = {0};
    TRY(cw_plan_make(op, &in->metric_data_queries, "MetricDataQueries", &plan));
    struct cw_span span = {
        .from_tick = cw_query_start(in->start_time.value, op->now, plan.period),
        .to_tick = cw_tick_of(in->end_time.value),
    };
    /* a window that has begun by EndTime belongs to the answer */
    span.to_tick += cw_tick_start(span.to_tick).us < in->end_time.value.us;
    struct cw_math_value *results = ARENA_ARRAY(&op->arena, struct cw_math_value, plan.count + 1);
    TRY(cw_plan_run(op, &cw->metrics, &plan, &span, true, results));
    struct shown_list all = {0};
    for (size_t i = 0; i < plan.count; i++) {
        if (OPT_OR(plan.items[i].in->return_data, true)) {
            add_shown(&op->arena, &all, plan.items[i].in, &results[i]);
        }
    }
    cut(op, in, &all, skip, ret);
    ret->metric_data_results.is_set = true;
    ret->messages.is_set = true;
    return ERR_OK;
}
