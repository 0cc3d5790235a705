/* The engine's counters as metrics: capacity units, levels, Network Load Balancers
 * (aws-semantics.md 2.11). */

#include "bench.h"

#define NET STR("net/wire/0123456789abcdef")

struct count {
    enum lbstats_counter counter;
    uint64_t amount;
};

static void count_all(struct bench *b, struct str balancer, const struct count *counts,
                      size_t count)
{
    uint32_t slot = lbstats_slot_open(b->stats, balancer, STR_NONE, clock_mono());
    struct lbstats_block *block = lbstats_block(b->stats, slot, b->row);
    for (size_t i = 0; i < count; i++) {
        lbstats_begin(block);
        lbstats_add(block, counts[i].counter, counts[i].amount);
        lbstats_end(block);
    }
}

/* The sum over the first minute; -1: no datapoint. */
static double sum_of(struct bench *b, const char *namespace, const char *name, struct str balancer)
{
    auto_op struct op op = {0};
    bench_op(&op);
    struct cloudwatch_dimension dimension = {.name = STR("LoadBalancer"), .value = balancer};
    struct cw_metric_name metric = {.region = REGION,
                                    .namespace = str_of(namespace),
                                    .name = str_of(name),
                                    .dimensions = &dimension,
                                    .dimension_count = 1};
    struct cw_bucket bucket = {0};
    wall_t start = {0};
    REQUIRE(wall_parse(STR("2026-11-20T10:00:00Z"), &start));
    struct cw_window_range range = {.from_tick = cw_tick_of(start), .period = 60, .count = 1};
    const struct cw_metric *found = cw_metrics_find(&op, &b->cw->metrics, &metric);
    REQUIRE_OK(cw_metrics_read(&op, &b->cw->metrics, found, CLOUDWATCH_STANDARD_UNIT_UNSET, &range,
                               &bucket),
               &op);
    double sum = bucket.sample_count > 0 ? bucket.sum : -1;
    cw_bucket_fini(&bucket);
    return sum;
}

static void expect_sum(struct bench *b, const char *namespace, const char *name,
                       struct str balancer, double want)
{
    double got = sum_of(b, namespace, name, balancer);
    if (got < want - 1e-9 || got > want + 1e-9) {
        test_failed(__FILE__, __LINE__, "%s %s: %g, want %g", namespace, name, got, want);
    }
}

/* The dimension that is used most counts: 25 new connections a second, 3,000 active ones, 1 GB an
 * hour, 1,000 rule evaluations a second. */
TEST(capacity_units_follow_the_published_dimensions)
{
    static const struct {
        struct count count;
        double units;
        double peak; /* all of it came in the first second */
    } rows[] = {
        {{LBSTATS_NEW_CLIENTS, 3000}, 2, 120},
        {{LBSTATS_ACTIVE_CONNECTIONS, 4500}, 1.5, 1.5},
        {{LBSTATS_PROCESSED_BYTES, 50000000}, 3, 180},
        {{LBSTATS_RULES_CHARGED, 30000}, 0.5, 30},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct bench b;
        bench_open(&b, ":memory:");
        count_all(&b, LB, &rows[i].count, 1);
        bench_pass(&b, DUR_S(61));
        expect_sum(&b, "AWS/ApplicationELB", "ConsumedLCUs", LB, rows[i].units);
        expect_sum(&b, "AWS/ApplicationELB", "PeakLCUs", LB, rows[i].peak);
        bench_close(&b);
    }
}

TEST(levels_are_told_once_a_minute_and_events_when_they_happen)
{
    struct bench b;
    static const struct count counts[] = {
        {LBSTATS_ACTIVE_CONNECTIONS, 7},  {LBSTATS_REJECTED, 3}, {LBSTATS_AUTH_LATENCIES, 4},
        {LBSTATS_AUTH_LATENCY_US, 10000}, {LBSTATS_RETRIES, 2},
    };
    bench_open(&b, ":memory:");
    count_all(&b, LB, counts, ARRAY_COUNT(counts));
    bench_pass(&b, DUR_S(30));
    expect_sum(&b, "AWS/ApplicationELB", "ActiveConnectionCount", LB, -1);
    expect_sum(&b, "AWS/ApplicationELB", "RejectedConnectionCount", LB, 3);
    expect_sum(&b, "AWS/ApplicationELB", "ELBAuthLatency", LB, 10);
    expect_sum(&b, "Hitless", "RetryCount", LB, -1); /* of targets: the groups have none */
    bench_pass(&b, DUR_S(31));
    expect_sum(&b, "AWS/ApplicationELB", "ActiveConnectionCount", LB, 7);
    expect_sum(&b, "AWS/ApplicationELB", "RejectedConnectionCount", LB, 3);
    expect_sum(&b, "AWS/ApplicationELB", "ELBAuthSuccess", LB, -1);
    bench_close(&b);
}

TEST(network_load_balancers_have_their_own_namespace_and_sums)
{
    struct bench b;
    static const struct count counts[] = {
        {LBSTATS_NEW_FLOWS_TCP, 48000},  {LBSTATS_NEW_FLOWS_UDP, 2},
        {LBSTATS_ACTIVE_FLOWS_TCP, 5},   {LBSTATS_ACTIVE_FLOWS_TLS, 4},
        {LBSTATS_PROCESSED_BYTES, 1000}, {LBSTATS_BYTES_TCP, 1000},
        {LBSTATS_CLIENT_RESETS, 6},      {LBSTATS_NEW_CONNECTIONS, 9},
    };
    bench_open(&b, ":memory:");
    count_all(&b, NET, counts, ARRAY_COUNT(counts));
    bench_pass(&b, DUR_S(61));
    expect_sum(&b, "AWS/NetworkELB", "NewFlowCount", NET, 48002);
    expect_sum(&b, "AWS/NetworkELB", "NewFlowCount_TCP", NET, 48000);
    expect_sum(&b, "AWS/NetworkELB", "NewFlowCount_TLS", NET, -1);
    expect_sum(&b, "AWS/NetworkELB", "ActiveFlowCount", NET, 9);
    expect_sum(&b, "AWS/NetworkELB", "ActiveFlowCount_TLS", NET, 4);
    expect_sum(&b, "AWS/NetworkELB", "ProcessedBytes", NET, 1000);
    expect_sum(&b, "AWS/NetworkELB", "TCP_Client_Reset_Count", NET, 6);
    expect_sum(&b, "AWS/NetworkELB", "ConsumedLCUs", NET, 1);
    expect_sum(&b, "AWS/NetworkELB", "ConsumedLCUs_TCP", NET, 1);
    expect_sum(&b, "AWS/NetworkELB", "NewConnectionCount", NET, -1); /* an ALB's */
    expect_sum(&b, "AWS/ApplicationELB", "ProcessedBytes", NET, -1);
    bench_close(&b);
}
