/* PutMetricData, GetMetricStatistics, ListMetrics. */

#include "base/check.h"
#include "base/mem.h"
#include "svc/cloudwatch/errors.h"
#include "svc/cloudwatch/handlers.h"
#include "svc/cloudwatch/limits.h"
#include "svc/cloudwatch/query.h"
#include "svc/cloudwatch/ticks.h"
#include "svc/common/page.h"

#include <math.h>
#include <stdlib.h>

#define DATUM_COUNT_MAX       1000
#define DATUM_VALUES_MAX      150
#define DATUM_AGE_MAX         DUR_S(14 * 86400)
#define DATUM_AHEAD_MAX       DUR_S(2 * 3600)
#define STATISTICS_POINT_MAX  1440
#define STATISTICS_WINDOW_MAX (STATISTICS_POINT_MAX * 100) /* at any time scale */

#define BAD_VALUE(op, ...) \
    op_fail_as((op), ERR_INPUT, &cloudwatch_error_invalid_parameter_value_exception, __VA_ARGS__)
#define BAD_COMBINATION(op, ...)                                                           \
    op_fail_as((op), ERR_INPUT, &cloudwatch_error_invalid_parameter_combination_exception, \
               __VA_ARGS__)
#define MISSING(op, ...) \
    op_fail_as((op), ERR_INPUT, &cloudwatch_error_missing_required_parameter_exception, __VA_ARGS__)

/* ---- PutMetricData: everything is checked before anything is kept ---------------------------- */

static bool is_in_range(double value)
{
    return isfinite(value) && fabs(value) <= ldexp(1, 360);
}

static enum err check_number(struct op *op, double value, struct str name)
{
    if (!is_in_range(value)) {
        return BAD_VALUE(op, "The value %g for parameter %.*s is invalid.", value, STR_ARG(name));
    }
    return ERR_OK;
}

enum err cw_dimensions_check(struct op *op, const struct cloudwatch_dimensions *dimensions)
{
    if (dimensions->count > CW_DIMENSIONS_MAX) {
        return BAD_VALUE(op, "The collection Dimensions must not have a size greater than %d.",
                         CW_DIMENSIONS_MAX);
    }
    for (size_t i = 0; i < dimensions->count; i++) {
        if (str_find_char(dimensions->items[i].name, '\0', 0) != STR_NOT_FOUND ||
            str_find_char(dimensions->items[i].value, '\0', 0) != STR_NOT_FOUND) {
            return BAD_VALUE(op, "Dimensions must not contain ASCII control characters.");
        }
        for (size_t j = 0; j < i; j++) {
            if (str_equal(dimensions->items[i].name, dimensions->items[j].name)) {
                return BAD_VALUE(op, "No Metric may specify the same dimension name twice.");
            }
        }
    }
    return ERR_OK;
}

static enum err check_set(struct op *op, const struct cloudwatch_statistic_set *set, size_t index)
{
    const struct {
        const char *name;
        struct opt_f64 value;
    } parts[] = {
        {"StatisticValues.Maximum", set->maximum},
        {"StatisticValues.Minimum", set->minimum},
        {"StatisticValues.SampleCount", set->sample_count},
        {"StatisticValues.Sum", set->sum},
    };
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        struct str name = CW_MEMBER(op, "MetricData", index, parts[i].name);
        if (!parts[i].value.is_set) {
            return MISSING(op, "The parameter %.*s is required.", STR_ARG(name));
        }
        TRY(check_number(op, parts[i].value.value, name));
    }
    if (set->maximum.value < set->minimum.value) {
        return BAD_VALUE(op,
                         "The parameter MetricData.member.%zu.StatisticValues.Maximum must be "
                         "greater than MetricData.member.%zu.StatisticValues.Minimum.",
                         index + 1, index + 1);
    }
    if (!(set->sample_count.value > 0)) {
        return BAD_VALUE(op,
                         "The parameter MetricData.member.%zu.StatisticValues.SampleCount must "
                         "be greater than 0.",
                         index + 1);
    }
    return ERR_OK;
}

static enum err check_values(struct op *op, const struct cloudwatch_metric_datum *d, size_t index)
{
    if (d->values.count > DATUM_VALUES_MAX) {
        return BAD_VALUE(op, "The collection %.*s must not have a size greater than %d.",
                         STR_ARG(CW_MEMBER(op, "MetricData", index, "Values")), DATUM_VALUES_MAX);
    }
    if (d->counts.count > 0 && d->counts.count != d->values.count) {
        return BAD_VALUE(op,
                         "The parameters MetricData.member.%zu.Values and "
                         "MetricData.member.%zu.Counts must be of the same size.",
                         index + 1, index + 1);
    }
    for (size_t i = 0; i < d->values.count; i++) {
        TRY(check_number(op, d->values.items[i].value,
                         CW_MEMBER(op, "MetricData", index, "Values")));
    }
    for (size_t i = 0; i < d->counts.count; i++) {
        double count = d->counts.items[i].value;
        if (!is_in_range(count) || count < 0) {
            return BAD_VALUE(op, "The value %g for parameter %.*s is invalid.", count,
                             STR_ARG(CW_MEMBER(op, "MetricData", index, "Counts")));
        }
    }
    return ERR_OK;
}

static enum err exclusive(struct op *op, size_t index, const char *one, const char *other)
{
    return BAD_COMBINATION(op,
                           "The parameters MetricData.member.%zu.%s and "
                           "MetricData.member.%zu.%s are mutually exclusive and you have "
                           "specified both.",
                           index + 1, one, index + 1, other);
}

static enum err check_amounts(struct op *op, const struct cloudwatch_metric_datum *d, size_t index)
{
    bool has_values = d->values.count > 0;
    bool has_set = d->statistic_values != NULL;
    if (d->value.is_set && has_values) {
        return exclusive(op, index, "Value", "Values");
    }
    if (d->value.is_set && has_set) {
        return exclusive(op, index, "Value", "StatisticValues");
    }
    if (has_values && has_set) {
        return exclusive(op, index, "Values", "StatisticValues");
    }
    if (!d->value.is_set && !has_values && !has_set) {
        return MISSING(op,
                       "At least one of the parameters MetricData.member.%zu.Value or "
                       "MetricData.member.%zu.StatisticValues must be specified.",
                       index + 1, index + 1);
    }
    if (d->value.is_set) {
        return check_number(op, d->value.value, CW_MEMBER(op, "MetricData", index, "Value"));
    }
    return has_set ? check_set(op, d->statistic_values, index) : check_values(op, d, index);
}

static enum err check_datum(struct op *op, const struct cloudwatch_metric_datum *d, size_t index)
{
    TRY(cw_dimensions_check(op, &d->dimensions));
    TRY(check_amounts(op, d, index));
    int32_t resolution = OPT_OR(d->storage_resolution, 60);
    if (resolution != 1 && resolution != 60) {
        return BAD_VALUE(op, "The value %d for parameter %.*s is invalid. It must be 1 or 60.",
                         resolution,
                         STR_ARG(CW_MEMBER(op, "MetricData", index, "StorageResolution")));
    }
    wall_t at = OPT_OR(d->timestamp, op->now);
    if (at.us < op->now.us - DATUM_AGE_MAX.us || at.us > op->now.us + DATUM_AHEAD_MAX.us) {
        return BAD_VALUE(op, "The parameter %.*s must specify a time within the past two weeks.",
                         STR_ARG(CW_MEMBER(op, "MetricData", index, "Timestamp")));
    }
    return ERR_OK;
}

static void gather(const struct cloudwatch_metric_datum *d, struct cw_bucket *b)
{
    if (d->value.is_set) {
        cw_bucket_add(b, d->value.value, 1);
    }
    const struct cloudwatch_statistic_set *set = d->statistic_values;
    if (set != NULL) {
        cw_bucket_add_set(b, set->sample_count.value, set->sum.value, set->minimum.value,
                          set->maximum.value);
    }
    for (size_t i = 0; i < d->values.count; i++) {
        double count = d->counts.count > 0 ? d->counts.items[i].value : 1;
        if (count > 0) {
            cw_bucket_add(b, d->values.items[i].value, count);
        }
    }
}

static enum err keep_datum(struct op *op, struct cloudwatch *cw, struct str namespace,
                           const struct cloudwatch_metric_datum *d)
{
    bool is_high_resolution = OPT_OR(d->storage_resolution, 60) == 1;
    int64_t tick = cw_tick_of(OPT_OR(d->timestamp, op->now));
    struct cw_metric_name name = {
        .region = op->region,
        .namespace = namespace,
        .name = d->metric_name,
        .dimensions = d->dimensions.items,
        .dimension_count = d->dimensions.count,
    };
    enum cloudwatch_standard_unit unit =
        d->unit == CLOUDWATCH_STANDARD_UNIT_UNSET ? CLOUDWATCH_STANDARD_UNIT_NONE : d->unit;
    struct cw_bucket b = {0};
    gather(d, &b);
    enum err e = ERR_OK;
    if (b.sample_count > 0) {
        e = cw_metrics_add(op, &cw->metrics, &name, unit, is_high_resolution,
                           is_high_resolution ? tick : cw_tick_floor(tick, 60), &b);
    }
    cw_bucket_fini(&b);
    return e;
}

/* The two lists of a request as one. */
struct data {
    const struct cloudwatch_metric_datum **items;
    size_t count;
};

static void add_datum(struct arena *a, struct data *all, const struct cloudwatch_metric_datum *d)
{
    *ARENA_PUSH(a, all) = d; // NOLINT(bugprone-sizeof-expression): items are pointers
}

static struct data all_data(struct arena *a, const struct cloudwatch_put_metric_data_in *in)
{
    struct data all = {0};
    for (size_t i = 0; i < in->metric_data.count; i++) {
        add_datum(a, &all, &in->metric_data.items[i]);
    }
    for (size_t i = 0; i < in->entity_metric_data.count; i++) {
        const struct cloudwatch_metric_data *list = &in->entity_metric_data.items[i].metric_data;
        for (size_t j = 0; j < list->count; j++) {
            add_datum(a, &all, &list->items[j]);
        }
    }
    return all;
}

enum err cw_op_put_metric_data(struct op *op, struct cloudwatch *cw,
                               const struct cloudwatch_put_metric_data_in *in,
                               struct cloudwatch_put_metric_data_out *ret)
{
    (void)ret;
    if (str_starts_with(in->namespace, STR("AWS/")) || str_starts_with(in->namespace, STR(":"))) {
        return BAD_VALUE(op, "The value %.*s for parameter Namespace is invalid.",
                         STR_ARG(in->namespace));
    }
    struct data all = all_data(&op->arena, in);
    if (all.count == 0) {
        return MISSING(op, "The parameter MetricData is required.");
    }
    if (all.count > DATUM_COUNT_MAX) {
        return BAD_VALUE(op, "The collection MetricData must not have a size greater than %d.",
                         DATUM_COUNT_MAX);
    }
    for (size_t i = 0; i < all.count; i++) {
        TRY(check_datum(op, all.items[i], i));
    }
    for (size_t i = 0; i < all.count; i++) {
        TRY(keep_datum(op, cw, in->namespace, all.items[i]));
    }
    cw_flush_within(cw, DUR_MS(200));
    return ERR_OK;
}

/* ---- GetMetricStatistics --------------------------------------------------------------------- */

/* "2,880" */
static struct str with_commas(struct arena *a, size_t number)
{
    return number < 1000      ? arena_printf(a, "%zu", number)
           : number < 1000000 ? arena_printf(a, "%zu,%03zu", number / 1000, number % 1000)
                              : arena_printf(a, "%zu,%03zu,%03zu", number / 1000000,
                                             number / 1000 % 1000, number % 1000);
}

static enum err check_statistics(struct op *op,
                                 const struct cloudwatch_get_metric_statistics_in *in)
{
    if (in->start_time.value.us >= in->end_time.value.us) {
        return BAD_COMBINATION(op, "The parameter StartTime must be less than the parameter "
                                   "EndTime.");
    }
    if (!cw_period_is_valid(in->period.value)) {
        return BAD_VALUE(op,
                         "The parameter Period must be a multiple of 60 or one of 1, 5, 10, 20, "
                         "30.");
    }
    if (in->statistics.count == 0 && in->extended_statistics.count == 0) {
        return BAD_COMBINATION(op, "Must specify either Statistics or ExtendedStatistics");
    }
    return ERR_OK;
}

static enum err parse_extended(struct op *op, const struct cloudwatch_get_metric_statistics_in *in,
                               struct cw_stat **ret_stats)
{
    struct cw_stat *stats =
        ARENA_ARRAY(&op->arena, struct cw_stat, in->extended_statistics.count + 1);
    for (size_t i = 0; i < in->extended_statistics.count; i++) {
        struct str name = in->extended_statistics.items[i];
        if (!cw_stat_parse(name, &stats[i]) || stats[i].kind < CW_STAT_PERCENTILE) {
            return BAD_VALUE(op,
                             "The value %.*s for parameter ExtendedStatistics.member.%zu is not "
                             "supported.",
                             STR_ARG(name), i + 1);
        }
    }
    *ret_stats = stats;
    return ERR_OK;
}

static void show_bucket(struct op *op, const struct cloudwatch_get_metric_statistics_in *in,
                        const struct cw_stat *extended, const struct cw_bucket *b,
                        struct cloudwatch_datapoint *d)
{
    for (size_t i = 0; i < in->statistics.count; i++) {
        switch (in->statistics.items[i]) {
        case CLOUDWATCH_STATISTIC_SAMPLECOUNT:
            d->sample_count = OPT_F64(b->sample_count);
            break;
        case CLOUDWATCH_STATISTIC_AVERAGE:
            d->average = OPT_F64(b->sum / b->sample_count);
            break;
        case CLOUDWATCH_STATISTIC_SUM:
            d->sum = OPT_F64(b->sum);
            break;
        case CLOUDWATCH_STATISTIC_MINIMUM:
            d->minimum = OPT_F64(b->minimum);
            break;
        case CLOUDWATCH_STATISTIC_MAXIMUM:
            d->maximum = OPT_F64(b->maximum);
            break;
        case CLOUDWATCH_STATISTIC_UNSET:
            break;
        }
    }
    for (size_t i = 0; i < in->extended_statistics.count; i++) {
        double value = 0;
        if (!cw_stat_compute(&extended[i], b, &value)) {
            continue;
        }
        struct cloudwatch_datapoint_value_map_entry *entry =
            ARENA_PUSH(&op->arena, &d->extended_statistics);
        entry->key = in->extended_statistics.items[i];
        entry->value = OPT_F64(value);
        d->extended_statistics.is_set = true;
    }
}

/* The unit that a datapoint is shown with: the one asked for, or the metric's own. */
static enum cloudwatch_standard_unit shown_unit(const struct cw_metric *metric,
                                                enum cloudwatch_standard_unit asked)
{
    if (asked != CLOUDWATCH_STANDARD_UNIT_UNSET || metric == NULL) {
        return asked;
    }
    return metric->unit;
}

enum err cw_op_get_metric_statistics(struct op *op, struct cloudwatch *cw,
                                     const struct cloudwatch_get_metric_statistics_in *in,
                                     struct cloudwatch_get_metric_statistics_out *ret)
{
    struct cw_stat *extended = NULL;
    TRY(check_statistics(op, in));
    TRY(parse_extended(op, in, &extended));
    int64_t period = in->period.value;
    struct cw_span span = {.from_tick = cw_query_start(in->start_time.value, op->now, period),
                           .to_tick = cw_tick_of(in->end_time.value)};
    struct cw_window_range range = cw_span_range(&span, period);
    /* The limit is on what a client asked for, in real time: above scale 1 more windows come. */
    size_t asked_count = range.count / (size_t)clock_scale();
    if (asked_count > STATISTICS_POINT_MAX || range.count > STATISTICS_WINDOW_MAX) {
        return BAD_COMBINATION(
            op,
            "You have requested up to %.*s datapoints, which exceeds the limit of 1,440. You "
            "may reduce the datapoints requested by increasing Period, or decreasing the time "
            "range.",
            STR_ARG(with_commas(&op->arena, asked_count)));
    }
    struct cw_metric_name name = {
        .region = op->region,
        .namespace = in->namespace,
        .name = in->metric_name,
        .dimensions = in->dimensions.items,
        .dimension_count = in->dimensions.count,
    };
    const struct cw_metric *metric = cw_metrics_find(op, &cw->metrics, &name);
    struct cw_bucket *buckets = mem_alloc_array(range.count + 1, sizeof(*buckets));
    enum err e = cw_metrics_read(op, &cw->metrics, metric, in->unit, &range, buckets);
    for (size_t i = 0; i < range.count && e == ERR_OK; i++) {
        if (buckets[i].sample_count <= 0) {
            continue;
        }
        struct cloudwatch_datapoint *d = ARENA_PUSH(&op->arena, &ret->datapoints);
        d->timestamp = OPT_TIME(cw_tick_start(range.from_tick + (int64_t)i * period));
        d->unit = shown_unit(metric, in->unit);
        show_bucket(op, in, extended, &buckets[i], d);
    }
    cw_buckets_fini(buckets, range.count);
    mem_free(buckets);
    ret->datapoints.is_set = true;
    ret->label = in->metric_name;
    return e;
}

/* ---- ListMetrics ----------------------------------------------------------------------------- */

static const struct page_rules metric_pages = {
    .list_name = "cloudwatch.metrics",
    .default_count = 500,
    .max_count = 500,
    .bad_token = &cloudwatch_error_invalid_parameter_value_exception,
    .bad_token_text = "Request parameter NextToken is invalid",
};

static bool has_dimensions(const struct cw_metric_name *name,
                           const struct cloudwatch_dimension_filters *filters)
{
    for (size_t i = 0; i < filters->count; i++) {
        const struct cloudwatch_dimension_filter *f = &filters->items[i];
        bool is_found = false;
        for (size_t j = 0; j < name->dimension_count; j++) {
            const struct cloudwatch_dimension *d = &name->dimensions[j];
            is_found = is_found || (str_equal(f->name, d->name) &&
                                    (!str_is_set(f->value) || str_equal(f->value, d->value)));
        }
        if (!is_found) {
            return false;
        }
    }
    return true;
}

static bool is_listed(const struct op *op, const struct cloudwatch_list_metrics_in *in,
                      const struct cw_metric *metric)
{
    const struct cw_metric_name *name = &metric->name;
    bool is_recent_only = in->recently_active == CLOUDWATCH_RECENTLY_ACTIVE_PT3H;
    int64_t oldest = cw_tick_of(op->now) - (is_recent_only ? 3 * 3600 : 14 * 86400);
    return metric->next_unit == NULL && metric->last_tick >= oldest &&
           (name->region.len == 0 || str_equal(name->region, op->region)) &&
           (!str_is_set(in->namespace) || str_equal(name->namespace, in->namespace)) &&
           (!str_is_set(in->metric_name) || str_equal(name->name, in->metric_name)) &&
           has_dimensions(name, &in->dimensions);
}

struct listed {
    struct str key;
    const struct cw_metric *metric;
};

static int compare_listed(const void *left, const void *right)
{
    return str_compare(((const struct listed *)left)->key, ((const struct listed *)right)->key);
}

static struct str list_key(struct arena *a, const struct cw_metric_name *name)
{
    struct str key = arena_printf(a, "%.*s\n%.*s", STR_ARG(name->namespace), STR_ARG(name->name));
    for (size_t i = 0; i < name->dimension_count; i++) {
        key = arena_printf(a, "%.*s\n%.*s\n%.*s", STR_ARG(key), STR_ARG(name->dimensions[i].name),
                           STR_ARG(name->dimensions[i].value));
    }
    /* a token holds the key: long ones are told apart by their hash */
    return key.len <= 1024 ? key
                           : arena_printf(a, "%.*s\n%016llx", STR_ARG(str_slice(key, 0, 1000)),
                                          (unsigned long long)hash_str(key));
}

static void show_metric(struct arena *a, const struct cw_metric_name *name,
                        struct cloudwatch_metric *to)
{
    to->namespace = arena_str(a, name->namespace);
    to->metric_name = arena_str(a, name->name);
    to->dimensions.is_set = true;
    for (size_t i = 0; i < name->dimension_count; i++) {
        struct cloudwatch_dimension *d = ARENA_PUSH(a, &to->dimensions);
        d->name = arena_str(a, name->dimensions[i].name);
        d->value = arena_str(a, name->dimensions[i].value);
    }
}

enum err cw_op_list_metrics(struct op *op, struct cloudwatch *cw,
                            const struct cloudwatch_list_metrics_in *in,
                            struct cloudwatch_list_metrics_out *ret)
{
    struct {
        struct listed *items;
        size_t count;
    } all = {0};
    for (size_t i = 0; i < cw->metrics.count; i++) {
        if (!is_listed(op, in, cw->metrics.items[i])) {
            continue;
        }
        *ARENA_PUSH(&op->arena, &all) =
            (struct listed){.key = list_key(&op->arena, &cw->metrics.items[i]->name),
                            .metric = cw->metrics.items[i]};
    }
    if (all.count > 0) {
        qsort(all.items, all.count, sizeof(*all.items), compare_listed);
    }
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, all.count + 1);
    for (size_t i = 0; i < all.count; i++) {
        keys[i] = all.items[i].key;
    }
    size_t from = 0;
    size_t to = 0;
    struct page_ask ask = {.token = in->next_token};
    TRY(page_cut(op, &metric_pages, ask, keys, all.count, &from, &to, &ret->next_token));
    ret->metrics.is_set = true;
    for (size_t i = from; i < to; i++) {
        show_metric(&op->arena, &all.items[i].metric->name, ARENA_PUSH(&op->arena, &ret->metrics));
    }
    return ERR_OK;
}
