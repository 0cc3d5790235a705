#include "svc/cloudwatch/query.h"

#include "base/check.h"
#include "base/mem.h"
#include "svc/cloudwatch/errors.h"
#include "svc/cloudwatch/limits.h"
#include "svc/cloudwatch/search.h"
#include "svc/cloudwatch/ticks.h"

#define MEMBER_NAME(op, member, index, part) \
    arena_printf(&(op)->arena, "%s.member.%zu.%s", (member), (index) + 1, (part))

bool cw_period_is_valid(int64_t period)
{
    return period == 1 || period == 5 || period == 10 || period == 20 || period == 30 ||
           (period > 0 && period % 60 == 0);
}

int64_t cw_query_start(wall_t start, wall_t now, int64_t period)
{
    int64_t tick = cw_tick_of(start);
    int64_t age = cw_tick_of(now) - tick;
    int64_t granule = period < 60 ? period : 60;
    if (period >= 60 && age > 63 * 86400) {
        granule = 3600;
    } else if (period >= 60 && age >= 15 * 86400) {
        granule = 300;
    }
    return cw_tick_floor(tick, granule);
}

struct cw_window_range cw_span_range(const struct cw_span *span, int64_t period)
{
    if (span->window_count > 0) {
        return (struct cw_window_range){
            .from_tick = span->to_tick - period * (int64_t)span->window_count,
            .period = period,
            .count = span->window_count,
        };
    }
    int64_t ticks = span->to_tick - span->from_tick;
    int64_t count = ticks <= 0 ? 0 : (ticks + period - 1) / period;
    return (struct cw_window_range){
        .from_tick = span->from_tick, .period = period, .count = (size_t)count};
}

/* ---- the plan -------------------------------------------------------------------------------- */

static bool is_id(struct str id)
{
    bool is_good = id.len > 0 && id.len <= CW_ID_BYTES_MAX && id.ptr[0] >= 'a' && id.ptr[0] <= 'z';
    for (size_t i = 0; i < id.len && is_good; i++) {
        char c = id.ptr[i];
        is_good =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }
    return is_good;
}

static enum err plan_metric(struct op *op, const char *member, size_t index, struct cw_query *q)
{
    const struct cloudwatch_metric_stat *ms = q->in->metric_stat;
    if (ms->metric == NULL || !ms->period.is_set || !str_is_set(ms->stat) ||
        !str_is_set(ms->metric->metric_name) || !str_is_set(ms->metric->namespace)) {
        return op_fail_as(op, ERR_INPUT, &cloudwatch_error_missing_required_parameter_exception,
                          "The parameter %.*s is required.",
                          STR_ARG(MEMBER_NAME(op, member, index, "MetricStat")));
    }
    if (!cw_stat_parse(ms->stat, &q->stat)) {
        return op_fail_as(op, ERR_INPUT, &cloudwatch_error_invalid_parameter_value_exception,
                          "The value %.*s for parameter %.*s is not supported.", STR_ARG(ms->stat),
                          STR_ARG(MEMBER_NAME(op, member, index, "MetricStat.Stat")));
    }
    if (!cw_period_is_valid(ms->period.value)) {
        return op_fail_as(op, ERR_INPUT, &cloudwatch_error_invalid_parameter_value_exception,
                          "The parameter %.*s must be 1, 5, 10, 20, 30 or a multiple of 60.",
                          STR_ARG(MEMBER_NAME(op, member, index, "MetricStat.Period")));
    }
    q->period = ms->period.value;
    return ERR_OK;
}

static enum err plan_expression(struct op *op, struct cw_query *q)
{
    struct str text = str_trim(q->in->expression);
    if (str_equal_nocase(str_slice(text, 0, 7), STR("SELECT "))) {
        return CW_INVALID(op,
                          "Error in expression '%.*s': Metrics Insights queries are not "
                          "available on this endpoint.",
                          STR_ARG(q->in->id));
    }
    q->is_expression = true;
    return cw_math_parse(op, q->in->id, q->in->expression, &q->math);
}

static enum err plan_query(struct op *op, const char *member, const struct cw_plan *plan,
                           size_t index, struct cw_query *q)
{
    struct str id = q->in->id;
    if (!is_id(id)) {
        return CW_INVALID(op,
                          "The value '%.*s' for parameter %.*s is not a valid Id: it must start "
                          "with a lowercase letter and contain letters, digits and underscores "
                          "only.",
                          STR_ARG(id), STR_ARG(MEMBER_NAME(op, member, index, "Id")));
    }
    for (size_t i = 0; i < index; i++) {
        if (str_equal(plan->items[i].in->id, id)) {
            return CW_INVALID(op, "The values for parameter Id in %s are not unique: %.*s", member,
                              STR_ARG(id));
        }
    }
    if ((q->in->metric_stat != NULL) == str_is_set(q->in->expression)) {
        return CW_INVALID(op,
                          "The parameters %.*s and Expression are mutually exclusive and exactly "
                          "one of them must be specified.",
                          STR_ARG(MEMBER_NAME(op, member, index, "MetricStat")));
    }
    return q->in->metric_stat != NULL ? plan_metric(op, member, index, q) : plan_expression(op, q);
}

/* Every id that an expression names is done. Unknown ids are refused when the expression runs. */
static bool is_ready(const struct cw_plan *plan, const struct cw_query *q, const bool *is_done)
{
    for (size_t s = 0; s < q->math.count; s++) {
        for (size_t i = 0; q->math.items[s].kind == CW_STEP_ID && i < plan->count; i++) {
            if (!is_done[i] && str_equal(plan->items[i].in->id, q->math.items[s].text)) {
                return false;
            }
        }
    }
    return true;
}

static enum err plan_order(struct op *op, struct cw_plan *plan)
{
    plan->order = ARENA_ARRAY(&op->arena, size_t, plan->count + 1);
    bool *is_done = ARENA_ARRAY(&op->arena, bool, plan->count + 1);
    size_t done = 0;
    while (done < plan->count) {
        size_t before = done;
        for (size_t i = 0; i < plan->count; i++) {
            if (!is_done[i] && is_ready(plan, &plan->items[i], is_done)) {
                plan->order[done++] = i;
                is_done[i] = true;
            }
        }
        if (done == before) {
            size_t stuck = 0;
            while (is_done[stuck]) {
                stuck++;
            }
            return CW_INVALID(op,
                              "Error in expression '%.*s': The expression refers to itself, "
                              "directly or through other expressions.",
                              STR_ARG(plan->items[stuck].in->id));
        }
    }
    return ERR_OK;
}

enum err cw_plan_make(struct op *op, const struct cloudwatch_metric_data_queries *queries,
                      const char *member, struct cw_plan *ret_plan)
{
    if (queries->count > CW_QUERIES_MAX) {
        return CW_INVALID(op, "The collection %s must not have a size greater than %d.", member,
                          CW_QUERIES_MAX);
    }
    struct cw_plan plan = {
        .items = ARENA_ARRAY(&op->arena, struct cw_query, queries->count + 1),
        .count = queries->count,
    };
    for (size_t i = 0; i < queries->count; i++) {
        plan.items[i].in = &queries->items[i];
        TRY(plan_query(op, member, &plan, i, &plan.items[i]));
        int64_t period = plan.items[i].period;
        if (period > 0 && (plan.period == 0 || period < plan.period)) {
            plan.period = period;
        }
    }
    plan.period = plan.period == 0 ? 60 : plan.period;
    TRY(plan_order(op, &plan));
    *ret_plan = plan;
    return ERR_OK;
}

/* ---- running --------------------------------------------------------------------------------- */

static struct cw_series grid_of(const struct cw_window_range *range)
{
    return (struct cw_series){
        .from_us = cw_tick_start(range->from_tick).us,
        .to_us = cw_tick_start(range->from_tick + range->period * (int64_t)range->count).us,
        .step_us = cw_tick_start(range->period).us,
        .period_s = range->period,
    };
}

enum err cw_series_read(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                        enum cloudwatch_standard_unit unit, const struct cw_stat *stat,
                        const struct cw_window_range *range, struct cw_series *ret_series)
{
    if (range->count > CW_GRID_MAX) {
        return CW_INVALID(op,
                          "You have requested up to %zu datapoints, which exceeds the limit of "
                          "%d. You may reduce the datapoints requested by increasing Period, or "
                          "decreasing the time range.",
                          range->count, CW_GRID_MAX);
    }
    struct cw_series s = grid_of(range);
    s.is_metric = true;
    if (metric != NULL && range->count > 0) {
        struct cw_bucket *buckets = mem_alloc_array(range->count, sizeof(*buckets));
        enum err e = cw_metrics_read(op, m, metric, unit, range, buckets);
        for (size_t i = 0; i < range->count && e == ERR_OK; i++) {
            double value = 0;
            if (cw_stat_compute(stat, &buckets[i], &value)) {
                cw_series_push(&op->arena, &s, s.from_us + (int64_t)i * s.step_us, value);
            }
        }
        cw_buckets_fini(buckets, range->count);
        mem_free(buckets);
        TRY(e);
    }
    *ret_series = s;
    return ERR_OK;
}

struct run {
    struct cw_metrics *metrics;
    const struct cw_plan *plan;
    const struct cw_span *span;
};

static enum err run_metric(struct op *op, const struct run *r, const struct cw_query *q,
                           struct cw_math_value *ret)
{
    const struct cloudwatch_metric_stat *ms = q->in->metric_stat;
    struct cw_metric_name name = {
        .region = op->region,
        .namespace = ms->metric->namespace,
        .name = ms->metric->metric_name,
        .dimensions = ms->metric->dimensions.items,
        .dimension_count = ms->metric->dimensions.count,
    };
    struct cw_window_range range = cw_span_range(r->span, q->period);
    struct cw_series *s = ARENA_NEW(&op->arena, struct cw_series);
    TRY(cw_series_read(op, r->metrics, cw_metrics_find(op, r->metrics, &name), ms->unit, &q->stat,
                       &range, s));
    s->id = q->in->id;
    s->label = str_is_set(q->in->label) ? q->in->label : ms->metric->metric_name;
    *ret = (struct cw_math_value){.kind = CW_MATH_SERIES, .items = s, .count = 1};
    return ERR_OK;
}

/* For SEARCH(): each metric that matches, with the statistic and period of the call. */
static enum err run_search(void *self, struct op *op, struct str query, struct str stat_name,
                           int64_t period, struct cw_math_value *ret)
{
    const struct run *r = self;
    struct cw_stat stat = {0};
    if (!cw_stat_parse(stat_name, &stat) || !cw_period_is_valid(period)) {
        return CW_INVALID(op, "SEARCH takes a statistic and a period of 1, 5, 10, 20, 30 or a "
                              "multiple of 60 seconds.");
    }
    struct cw_search search = {0};
    TRY(cw_search_parse(op, query, &search));
    struct cw_window_range range = cw_span_range(r->span, period);
    struct cw_math_value out = {.kind = CW_MATH_ARRAY};
    for (size_t i = 0; i < r->metrics->count && out.count < CW_MATH_SERIES_MAX; i++) {
        const struct cw_metric *metric = r->metrics->items[i];
        bool is_here = metric->name.region.len == 0 || str_equal(metric->name.region, op->region);
        if (!is_here || metric->next_unit != NULL ||
            !cw_search_matches(&op->arena, &search, &metric->name)) {
            continue;
        }
        struct cw_series s = {0};
        TRY(cw_series_read(op, r->metrics, cw_metrics_find(op, r->metrics, &metric->name),
                           CLOUDWATCH_STANDARD_UNIT_UNSET, &stat, &range, &s));
        s.label = cw_search_label(&op->arena, &metric->name);
        *ARENA_PUSH(&op->arena, &out) = s;
    }
    *ret = out;
    return ERR_OK;
}

static enum err run_expression(struct op *op, const struct cw_query *q,
                               const struct cw_math_scope *scope, struct cw_math_value *ret)
{
    TRY(cw_math_eval(op, &q->math, scope, ret));
    bool is_labelled = str_is_set(q->in->label);
    struct cw_series *copy = ARENA_ARRAY(&op->arena, struct cw_series, ret->count + 1);
    for (size_t i = 0; i < ret->count; i++) {
        struct str own = ret->items[i].label;
        copy[i] = ret->items[i];
        copy[i].id = q->in->id;
        if (ret->kind == CW_MATH_SERIES) {
            copy[i].label = is_labelled ? q->in->label : q->in->id;
        } else if (is_labelled && q->in->label.len > 0) {
            copy[i].label =
                arena_printf(&op->arena, "%.*s %.*s", STR_ARG(q->in->label), STR_ARG(own));
        }
        copy[i].is_metric = false;
    }
    ret->items = copy;
    return ERR_OK;
}

enum err cw_plan_run(struct op *op, struct cw_metrics *m, const struct cw_plan *plan,
                     const struct cw_span *span, bool may_search, struct cw_math_value *results)
{
    struct run r = {.metrics = m, .plan = plan, .span = span};
    struct cw_window_range grid = cw_span_range(span, plan->period);
    struct cw_math_binding *bindings =
        ARENA_ARRAY(&op->arena, struct cw_math_binding, plan->count + 1);
    struct cw_math_scope scope = {
        .bindings = bindings,
        .grid = grid_of(&grid),
        .scale = clock_scale(),
        .search_self = &r,
        .search = may_search ? run_search : NULL,
    };
    for (size_t i = 0; i < plan->count; i++) {
        size_t index = plan->order[i];
        const struct cw_query *q = &plan->items[index];
        if (q->is_expression && grid.count > CW_GRID_MAX) {
            return CW_INVALID(op, "The time range has more than %d periods of the expression.",
                              CW_GRID_MAX);
        }
        TRY(q->is_expression ? run_expression(op, q, &scope, &results[index])
                             : run_metric(op, &r, q, &results[index]));
        bindings[scope.binding_count++] = (struct cw_math_binding){
            .id = q->in->id, .value = results[index], .is_metric = !q->is_expression};
    }
    return ERR_OK;
}
