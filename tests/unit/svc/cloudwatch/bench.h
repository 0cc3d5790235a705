#pragma once
/* A whole service over a store in memory, a hand-driven clock at 2026-11-20T10:00:00Z, and counters
 * that a test moves. */

#include "base/cleanup.h"
#include "ev/loop.h"
#include "stats/lbstats.h"
#include "store/store.h"
#include "svc/cloudwatch/cloudwatch.h"
#include "svc/cloudwatch/service.h"
#include "svc/cloudwatch/ticks.h"
#include "test.h"

#include <stdio.h>

#define LB     STR("app/web/0123456789abcdef")
#define TG     STR("targetgroup/green/fedcba9876543210")
#define REGION STR("eu-west-1")

struct bench {
    struct ev_loop loop;
    struct store *store;
    struct lbstats *stats;
    struct cloudwatch *cw;
    struct port_wakes wakes;
    struct cloudwatch_actions actions;
    uint32_t row;
    char path[256];
    char changed[1024]; /* names of alarms told, separated by spaces */
    char actions_run[2048];
};

static inline void bench_alarm_changed(void *self, struct str region, struct str name)
{
    struct bench *b = self;
    size_t len = strlen(b->changed);
    EXPECT(str_equal(region, REGION));
    (void)snprintf(b->changed + len, sizeof(b->changed) - len, "%s%.*s", len == 0 ? "" : " ",
                   STR_ARG(name));
}

static inline enum err bench_run_action(void *self, struct op *op, struct str action,
                                        struct str subject, struct str message)
{
    struct bench *b = self;
    size_t len = strlen(b->actions_run);
    EXPECT(message.len > 0);
    (void)snprintf(b->actions_run + len, sizeof(b->actions_run) - len, "[%.*s %.*s]",
                   STR_ARG(subject), STR_ARG(action));
    return str_ends_with(action, STR("gone")) ? op_fail(op, ERR_NOT_FOUND, "there is no such topic")
                                              : ERR_OK;
}

static inline void bench_op(struct op *op)
{
    op_init(op);
    op->region = REGION;
    op->account = STR("123456789012");
}

static inline void bench_open_service(struct bench *b)
{
    auto_op struct op op = {0};
    bench_op(&op);
    REQUIRE_OK(store_open(&op, b->path, &b->store), &op);
    struct cloudwatch_config config = {
        .store = b->store,
        .loop = &b->loop,
        .stats = b->stats,
        .wakes = &b->wakes,
        .actions = &b->actions,
        .account = STR("123456789012"),
    };
    REQUIRE_OK(cloudwatch_open(&op, &config, &b->cw), &op);
}

static inline void bench_close_service(struct bench *b)
{
    cloudwatch_close(b->cw);
    store_close(b->store);
}

static inline void bench_open(struct bench *b, const char *path)
{
    *b = (struct bench){.row = 0};
    wall_t start = {0};
    REQUIRE(wall_parse(STR("2026-11-20T10:00:00Z"), &start));
    clock_use_manual((mono_t){.us = 1000000}, start);
    auto_op struct op op = {0};
    bench_op(&op);
    int fd = -1;
    REQUIRE_OK(ev_loop_open(&op, &b->loop), &op);
    REQUIRE_OK(lbstats_create(&op, &fd), &op);
    REQUIRE_OK(lbstats_map(&op, fd, &b->stats), &op);
    (void)close(fd);
    b->row = lbstats_row_claim(b->stats, 1);
    b->wakes = (struct port_wakes){.self = b, .alarm_changed = bench_alarm_changed};
    b->actions = (struct cloudwatch_actions){.self = b, .run = bench_run_action};
    (void)snprintf(b->path, sizeof(b->path), "%s", path);
    bench_open_service(b);
}

static inline void bench_close(struct bench *b)
{
    bench_close_service(b);
    lbstats_unmap(b->stats);
    ev_loop_close(&b->loop);
    clock_set_scale(1);
    clock_use_real();
}

/* Time passes; windows close one by one, as the timers would have it. */
static inline void bench_pass(struct bench *b, dur_t span)
{
    dur_t step = {.us = cw_tick_us() * b->cw->base_ticks};
    while (span.us > 0) {
        dur_t now = span.us < step.us ? span : step;
        clock_manual_advance(now);
        (void)ev_loop_settle(&b->loop, 100);
        span.us -= now.us;
    }
}

/* Requests of the green group: so many good ones, so many bad ones, each of so many ms. */
static inline void bench_requests(struct bench *b, uint64_t good, uint64_t bad, uint64_t ms)
{
    uint32_t slot = lbstats_slot_open(b->stats, LB, TG, clock_mono());
    struct lbstats_block *block = lbstats_block(b->stats, slot, b->row);
    (void)lbstats_slot_open(b->stats, LB, STR_NONE, clock_mono());
    lbstats_begin(block);
    lbstats_add(block, LBSTATS_REQUESTS, good + bad);
    lbstats_add(block, LBSTATS_TARGET_2XX, good);
    lbstats_add(block, LBSTATS_TARGET_5XX, bad);
    lbstats_end(block);
    for (uint64_t i = 0; i < good + bad; i++) {
        lbstats_begin(block);
        lbstats_observe(block, ms * 1000);
        lbstats_end(block);
    }
}

static struct cloudwatch_dimension bench_dimensions[2] = {
    {.name = STR_INIT("TargetGroup"), .value = STR_INIT("targetgroup/green/fedcba9876543210")},
    {.name = STR_INIT("LoadBalancer"), .value = STR_INIT("app/web/0123456789abcdef")},
};

/* An alarm on the green group's 5xx: more than 0 in one minute. */
static inline struct cloudwatch_put_metric_alarm_in bench_alarm(const char *name)
{
    return (struct cloudwatch_put_metric_alarm_in){
        .alarm_name = str_of(name),
        .namespace = STR("AWS/ApplicationELB"),
        .metric_name = STR("HTTPCode_Target_5XX_Count"),
        .dimensions = {.items = bench_dimensions, .count = 2, .is_set = true},
        .statistic = CLOUDWATCH_STATISTIC_SUM,
        .period = OPT_I32(60),
        .evaluation_periods = OPT_I32(1),
        .threshold = OPT_F64(0),
        .comparison_operator = CLOUDWATCH_COMPARISON_OPERATOR_GREATERTHANTHRESHOLD,
        .treat_missing_data = STR("notBreaching"),
    };
}

static inline void bench_put(struct bench *b, const struct cloudwatch_put_metric_alarm_in *in)
{
    auto_op struct op op = {0};
    bench_op(&op);
    struct cloudwatch_put_metric_alarm_out out = {0};
    REQUIRE_OK(cloudwatch_handlers.put_metric_alarm(&op, b->cw, in, &out), &op);
}

static inline struct cloudwatch_metric_alarm bench_see(struct op *op, struct bench *b,
                                                       const char *name)
{
    struct str names[1] = {str_of(name)};
    struct cloudwatch_describe_alarms_in in = {
        .alarm_names = {.items = names, .count = 1, .is_set = true}};
    struct cloudwatch_describe_alarms_out out = {0};
    REQUIRE_OK(cloudwatch_handlers.describe_alarms(op, b->cw, &in, &out), op);
    REQUIRE_EQ(out.metric_alarms.count, 1);
    return out.metric_alarms.items[0];
}

static inline void bench_expect_state(struct bench *b, const char *name, const char *want)
{
    auto_op struct op op = {0};
    bench_op(&op);
    EXPECT_STR(cw_state_name(bench_see(&op, b, name).state_value), want);
}
