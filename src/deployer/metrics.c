#include "deployer/metrics.h"

#include "base/check.h"
#include "deployer/alarms.h"

#define WINDOW_FINE_S   3
#define WINDOW_COARSE_S 180
#define LAG_FINE_S      1 /* the second under way is not whole */

enum measure { REQUESTS, ERRORS, P50, P95, P99, MEASURES };

static const struct {
    const char *metric;
    const char *stat;
} measures[MEASURES] = {
    [REQUESTS] = {"RequestCount", "Sum"},  [ERRORS] = {"HTTPCode_Target_5XX_Count", "Sum"},
    [P50] = {"TargetResponseTime", "p50"}, [P95] = {"TargetResponseTime", "p95"},
    [P99] = {"TargetResponseTime", "p99"},
};

enum scope { TOTAL, OLD, NEW, SCOPES };

static void add_query(struct arena *a, struct str balancer, struct str group, enum scope scope,
                      enum measure m, int period_s, struct cloudwatch_metric_data_queries *queries)
{
    struct cloudwatch_metric *metric = ARENA_NEW(a, struct cloudwatch_metric);
    metric->namespace = STR("AWS/ApplicationELB");
    metric->metric_name = str_of(measures[m].metric);
    metric->dimensions.is_set = true;
    *ARENA_PUSH(a, &metric->dimensions) =
        (struct cloudwatch_dimension){.name = STR("LoadBalancer"), .value = balancer};
    if (scope != TOTAL) {
        *ARENA_PUSH(a, &metric->dimensions) =
            (struct cloudwatch_dimension){.name = STR("TargetGroup"), .value = group};
    }
    struct cloudwatch_metric_stat *stat = ARENA_NEW(a, struct cloudwatch_metric_stat);
    *stat = (struct cloudwatch_metric_stat){
        .metric = metric, .period = OPT_I32(period_s), .stat = str_of(measures[m].stat)};
    *ARENA_PUSH(a, queries) = (struct cloudwatch_metric_data_query){
        .id = arena_printf(a, "m%d_%d", (int)scope, (int)m), .metric_stat = stat};
}

/* Counts are added up, percentiles taken from the newest point. */
static bool value_of(const struct cloudwatch_get_metric_data_out *out, struct arena *a,
                     enum scope scope, enum measure m, double *ret)
{
    struct str id = arena_printf(a, "m%d_%d", (int)scope, (int)m);
    double sum = 0;
    for (size_t i = 0; i < out->metric_data_results.count; i++) {
        const struct cloudwatch_metric_data_result *result = &out->metric_data_results.items[i];
        if (!str_equal(result->id, id) || result->values.count == 0) {
            continue;
        }
        for (size_t k = 0; k < result->values.count; k++) {
            sum += result->values.items[k].value;
        }
        *ret = m <= ERRORS ? sum : result->values.items[0].value;
        return true;
    }
    return false;
}

static void take(const struct cloudwatch_get_metric_data_out *out, struct arena *a,
                 enum scope scope, double window_s, struct sight_metrics *ret)
{
    double requests = 0;
    double errors = 0;
    double seconds[MEASURES] = {0};
    struct sight_metrics m = {0};
    m.is_set = value_of(out, a, scope, REQUESTS, &requests);
    (void)value_of(out, a, scope, ERRORS, &errors);
    for (int i = P50; i <= P99; i++) {
        (void)value_of(out, a, scope, (enum measure)i, &seconds[i]);
    }
    m.requests_per_s = requests / window_s;
    m.error_percent = requests > 0 ? errors / requests * 100 : 0;
    m.p50_ms = seconds[P50] * 1000;
    m.p95_ms = seconds[P95] * 1000;
    m.p99_ms = seconds[P99] * 1000;
    *ret = m;
}

enum err metrics_read(struct op *op, const struct cloud *cloud, const struct resources *r,
                      int period_s, bool has_sides, wall_t since, struct sight *into)
{
    if (!r->has_balancer || !str_is_set(r->balancer_arn)) {
        return ERR_OK;
    }
    bool is_fine = period_s == METRICS_PERIOD_FINE_S;
    int64_t window_s = is_fine ? WINDOW_FINE_S : WINDOW_COARSE_S;
    int64_t period_us = (int64_t)period_s * 1000000;
    wall_t end = {.us = clock_wall().us / period_us * period_us};
    wall_t start = wall_add(end, DUR_S(-window_s));
    if (is_fine && start.us < since.us) {
        /* the groups swap roles: what a side counted before it had this one is not its own */
        start.us = (since.us + period_us - 1) / period_us * period_us;
        window_s = (end.us - start.us) / 1000000;
    }
    if (window_s <= 0) {
        return ERR_OK;
    }
    struct cloudwatch_get_metric_data_in in = {.start_time = OPT_TIME(start),
                                               .end_time = OPT_TIME(end),
                                               .scan_by = CLOUDWATCH_SCAN_BY_TIMESTAMPDESCENDING,
                                               .metric_data_queries = {.is_set = true}};
    struct str balancer = alarm_balancer_suffix(r->balancer_arn);
    for (int scope = TOTAL; scope < (has_sides ? SCOPES : OLD); scope++) {
        struct str group = alarm_group_suffix(r->groups[scope == NEW ? !r->live : r->live]);
        for (int m = 0; m < MEASURES; m++) {
            add_query(&op->arena, balancer, group, (enum scope)scope, (enum measure)m, period_s,
                      &in.metric_data_queries);
        }
    }
    struct cloudwatch_get_metric_data_out out = {0};
    TRY(cloudwatch_call_get_metric_data(op, cloud->client, &in, &out));
    take(&out, &op->arena, TOTAL, (double)window_s, &into->total);
    if (has_sides) {
        take(&out, &op->arena, OLD, (double)window_s, &into->old_side.metrics);
        take(&out, &op->arena, NEW, (double)window_s, &into->new_side.metrics);
    }
    return ERR_OK;
}

static enum err count_healthy(struct op *op, const struct cloud *cloud, struct str group,
                              int64_t *ret)
{
    struct elbv2_describe_target_health_in in = {.target_group_arn = group};
    struct elbv2_describe_target_health_out out = {0};
    TRY(elbv2_call_describe_target_health(op, cloud->client, &in, &out));
    int64_t healthy = 0;
    for (size_t i = 0; i < out.target_health_descriptions.count; i++) {
        const struct elbv2_target_health *h = out.target_health_descriptions.items[i].target_health;
        healthy += h != NULL && h->state == ELBV2_TARGET_HEALTH_STATE_ENUM_HEALTHY ? 1 : 0;
    }
    *ret = healthy;
    return ERR_OK;
}

enum err metrics_read_targets(struct op *op, const struct cloud *cloud, const struct resources *r,
                              struct sight *into)
{
    if (!str_is_set(r->groups[0]) || !str_is_set(r->groups[1])) {
        return ERR_OK;
    }
    TRY(count_healthy(op, cloud, r->groups[r->live], &into->old_side.healthy));
    return count_healthy(op, cloud, r->groups[!r->live], &into->new_side.healthy);
}
