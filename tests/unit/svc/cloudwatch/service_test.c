#include "bench.h"

#include "base/check.h"

#include <math.h>

static void expect_text(const char *got, const char *want)
{
    EXPECT_STR(str_of(got), want);
}

TEST(an_alarm_on_the_engines_counters_rises_at_the_close_of_the_window_and_falls_again)
{
    struct bench b;
    bench_open(&b, ":memory:");
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("green-5xx");
    struct str action = STR("arn:aws:sns:eu-west-1:123456789012:ops");
    in.alarm_actions = (struct cloudwatch_resource_list){.items = &action, .count = 1};
    bench_put(&b, &in);
    auto_op struct op op = {0};
    bench_op(&op);
    struct cloudwatch_metric_alarm seen = bench_see(&op, &b, "green-5xx");
    EXPECT_STR(seen.state_reason, "Unchecked: Initial alarm creation");
    EXPECT_STR(seen.alarm_arn, "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:green-5xx");

    bench_requests(&b, 10, 0, 5);
    bench_pass(&b, DUR_S(60));
    bench_expect_state(&b, "green-5xx", "OK");
    expect_text(b.changed, "green-5xx");
    bench_requests(&b, 10, 3, 5);
    bench_pass(&b, DUR_S(59));
    bench_expect_state(&b, "green-5xx", "OK");
    bench_pass(&b, DUR_S(1));
    bench_expect_state(&b, "green-5xx", "ALARM");
    expect_text(b.changed, "green-5xx green-5xx");
    expect_text(b.actions_run, "[ALARM: \"green-5xx\" in eu-west-1 "
                               "arn:aws:sns:eu-west-1:123456789012:ops]");
    seen = bench_see(&op, &b, "green-5xx");
    EXPECT_STR(seen.state_reason,
               "Threshold Crossed: 1 datapoint [3.0 (20/11/26 10:01:00)] was greater than the "
               "threshold (0.0).");
    EXPECT_STR(seen.state_reason_data,
               "{\"version\":\"1.0\",\"queryDate\":\"2026-11-20T10:02:00.000+0000\",\"startDate\":"
               "\"2026-11-20T10:01:00.000+0000\",\"statistic\":\"Sum\",\"period\":60,"
               "\"recentDatapoints\":[3.0],\"threshold\":0.0,\"evaluatedDatapoints\":"
               "[{\"timestamp\":\"2026-11-20T10:01:00.000+0000\",\"sampleCount\":3.0,\"value\":"
               "3.0}]}");
    /* the bad window leaves the evaluation range of 3, and missing points do not breach */
    bench_pass(&b, DUR_S(120));
    bench_expect_state(&b, "green-5xx", "ALARM");
    bench_pass(&b, DUR_S(60));
    bench_expect_state(&b, "green-5xx", "OK");
    bench_close(&b);
}

TEST(a_time_scale_of_60_makes_a_minute_of_every_second)
{
    struct bench b;
    clock_set_scale(60);
    bench_open(&b, ":memory:");
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("a");
    bench_put(&b, &in);
    /* to the next boundary of a configured minute */
    wall_t boundary = cw_tick_start(cw_tick_ceil(cw_tick_of(clock_wall()) + 1, 60));
    bench_pass(&b, wall_since(boundary, clock_wall()));
    bench_expect_state(&b, "a", "OK");
    bench_requests(&b, 5, 1, 5);
    bench_pass(&b, DUR_MS(990));
    bench_expect_state(&b, "a", "OK");
    bench_pass(&b, DUR_MS(10));
    bench_expect_state(&b, "a", "ALARM");
    auto_op struct op op = {0};
    bench_op(&op);
    struct port_alarms port = {0};
    cloudwatch_port_alarms(b.cw, &port);
    dur_t span = {0};
    REQUIRE_OK(port.see_alarm_span(port.self, &op, STR("a"), &span), &op);
    EXPECT_EQ(span.us, DUR_S(60).us);
    bench_close(&b);
}

TEST(periods_below_ten_seconds_are_judged_every_second)
{
    struct bench b;
    bench_open(&b, ":memory:");
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("fast");
    in.period = OPT_I32(1);
    bench_put(&b, &in);
    bench_pass(&b, DUR_S(5));
    bench_expect_state(&b, "fast", "OK");
    bench_requests(&b, 0, 1, 5);
    bench_pass(&b, DUR_S(1));
    bench_expect_state(&b, "fast", "ALARM");
    bench_pass(&b, DUR_S(4));
    bench_expect_state(&b, "fast", "OK");
    bench_close(&b);
}

static struct cloudwatch_metric green_metric(const char *name)
{
    return (struct cloudwatch_metric){
        .namespace = STR("AWS/ApplicationELB"),
        .metric_name = str_of(name),
        .dimensions = {.items = bench_dimensions, .count = 2, .is_set = true},
    };
}

TEST(an_alarm_on_metric_math_watches_an_error_rate)
{
    struct bench b;
    bench_open(&b, ":memory:");
    struct cloudwatch_metric bad = green_metric("HTTPCode_Target_5XX_Count");
    struct cloudwatch_metric all = green_metric("RequestCount");
    struct cloudwatch_metric_stat bad_stat = {
        .metric = &bad, .period = OPT_I32(60), .stat = STR("Sum")};
    struct cloudwatch_metric_stat all_stat = {
        .metric = &all, .period = OPT_I32(60), .stat = STR("Sum")};
    struct cloudwatch_metric_data_query queries[] = {
        {.id = STR("e1"), .expression = STR("100*bad/all"), .label = STR("rate")},
        {.id = STR("bad"), .metric_stat = &bad_stat, .return_data = OPT_BOOL(false)},
        {.id = STR("all"), .metric_stat = &all_stat, .return_data = OPT_BOOL(false)},
    };
    struct cloudwatch_put_metric_alarm_in in = {
        .alarm_name = STR("rate"),
        .metrics = {.items = queries, .count = 3, .is_set = true},
        .evaluation_periods = OPT_I32(2),
        .datapoints_to_alarm = OPT_I32(2),
        .threshold = OPT_F64(1),
        .comparison_operator = CLOUDWATCH_COMPARISON_OPERATOR_GREATERTHANTHRESHOLD,
    };
    bench_put(&b, &in);
    for (int minute = 0; minute < 2; minute++) {
        bench_requests(&b, 95, 5, 5);
        bench_pass(&b, DUR_S(60));
    }
    auto_op struct op op = {0};
    bench_op(&op);
    struct cloudwatch_metric_alarm seen = bench_see(&op, &b, "rate");
    EXPECT_EQ(seen.state_value, CLOUDWATCH_STATE_VALUE_ALARM);
    EXPECT_STR(seen.state_reason,
               "Threshold Crossed: 2 out of the last 2 datapoints [5.0 (20/11/26 10:01:00), 5.0 "
               "(20/11/26 10:00:00)] were greater than the threshold (1.0) (minimum 2 datapoints "
               "for OK -> ALARM transition).");
    EXPECT_EQ(seen.metrics.count, 3);
    EXPECT(seen.metrics.items[0].return_data.value);
    bench_close(&b);
}

static void put_composite(struct bench *b, const char *name, const char *rule,
                          const char *suppressor)
{
    auto_op struct op op = {0};
    bench_op(&op);
    static struct str action = STR_INIT("arn:aws:sns:eu-west-1:123456789012:ops");
    struct cloudwatch_put_composite_alarm_in in = {
        .alarm_name = str_of(name),
        .alarm_rule = str_of(rule),
        .actions_suppressor = str_of(suppressor),
        .alarm_actions = {.items = &action, .count = 1, .is_set = true},
    };
    if (suppressor != NULL) {
        in.actions_suppressor_wait_period = OPT_I32(120);
        in.actions_suppressor_extension_period = OPT_I32(180);
    }
    struct cloudwatch_put_composite_alarm_out out = {0};
    REQUIRE_OK(cloudwatch_handlers.put_composite_alarm(&op, b->cw, &in, &out), &op);
}

static struct cloudwatch_composite_alarm see_composite(struct op *op, struct bench *b,
                                                       const char *name)
{
    struct str names[1] = {str_of(name)};
    enum cloudwatch_alarm_type types[1] = {CLOUDWATCH_ALARM_TYPE_COMPOSITEALARM};
    struct cloudwatch_describe_alarms_in in = {
        .alarm_names = {.items = names, .count = 1, .is_set = true},
        .alarm_types = {.items = types, .count = 1, .is_set = true}};
    struct cloudwatch_describe_alarms_out out = {0};
    REQUIRE_OK(cloudwatch_handlers.describe_alarms(op, b->cw, &in, &out), op);
    REQUIRE_EQ(out.composite_alarms.count, 1);
    return out.composite_alarms.items[0];
}

static void set_state(struct bench *b, const char *name, enum cloudwatch_state_value state)
{
    auto_op struct op op = {0};
    bench_op(&op);
    struct cloudwatch_set_alarm_state_in in = {
        .alarm_name = str_of(name), .state_value = state, .state_reason = STR("by hand")};
    struct cloudwatch_set_alarm_state_out out = {0};
    REQUIRE_OK(cloudwatch_handlers.set_alarm_state(&op, b->cw, &in, &out), &op);
}

TEST(composite_alarms_follow_their_children_in_the_same_turn)
{
    struct bench b;
    bench_open(&b, ":memory:");
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("child");
    bench_put(&b, &in);
    put_composite(&b, "parent", "ALARM(child)", NULL);
    put_composite(&b, "grandparent", "ALARM(\"parent\") OR FALSE", NULL);
    auto_op struct op op = {0};
    bench_op(&op);
    struct cloudwatch_composite_alarm seen = see_composite(&op, &b, "parent");
    EXPECT_STR(seen.state_reason, "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:parent was "
                                  "created and its alarm rule evaluates to OK");
    b.changed[0] = '\0';
    bench_requests(&b, 0, 1, 5);
    bench_pass(&b, DUR_S(60));
    expect_text(b.changed, "child parent grandparent");
    seen = see_composite(&op, &b, "parent");
    EXPECT_EQ(seen.state_value, CLOUDWATCH_STATE_VALUE_ALARM);
    EXPECT_STR(seen.state_reason,
               "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:child transitioned to ALARM at "
               "Friday 20 November, 2026 10:01:00 UTC");
    EXPECT_STR(seen.state_reason_data,
               "{\"triggeringAlarms\":[{\"arn\":\"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:"
               "child\",\"state\":{\"value\":\"ALARM\",\"timestamp\":\"2026-11-20T10:01:00.000+0000"
               "\"}}]}");
    EXPECT_EQ(see_composite(&op, &b, "grandparent").state_value, CLOUDWATCH_STATE_VALUE_ALARM);
    bench_close(&b);
}

TEST(rings_of_composite_alarms_come_to_rest)
{
    struct bench b;
    bench_open(&b, ":memory:");
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("child");
    bench_put(&b, &in);
    put_composite(&b, "x", "ALARM(child)", NULL);
    put_composite(&b, "y", "NOT ALARM(x) AND ALARM(child)", NULL);
    put_composite(&b, "x", "NOT ALARM(y) AND ALARM(child)", NULL);
    set_state(&b, "child", CLOUDWATCH_STATE_VALUE_ALARM);
    set_state(&b, "child", CLOUDWATCH_STATE_VALUE_OK);
    auto_op struct op op = {0};
    bench_op(&op);
    EXPECT_EQ(see_composite(&op, &b, "x").state_value, CLOUDWATCH_STATE_VALUE_OK);
    bench_close(&b);
}

TEST(a_suppressor_holds_the_actions_of_a_composite_back)
{
    struct bench b;
    bench_open(&b, ":memory:");
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("child");
    in.treat_missing_data = STR("ignore");
    bench_put(&b, &in);
    in.alarm_name = STR("window");
    bench_put(&b, &in);
    put_composite(&b, "parent", "ALARM(child)", "window");
    auto_op struct op op = {0};
    bench_op(&op);
    bench_pass(&b, DUR_S(125));
    set_state(&b, "child", CLOUDWATCH_STATE_VALUE_ALARM);
    EXPECT_EQ(see_composite(&op, &b, "parent").actions_suppressed_by,
              CLOUDWATCH_ACTIONS_SUPPRESSED_BY_WAITPERIOD);
    bench_pass(&b, DUR_S(60));
    set_state(&b, "window", CLOUDWATCH_STATE_VALUE_ALARM);
    bench_pass(&b, DUR_S(100));
    expect_text(b.actions_run, "");
    EXPECT_EQ(see_composite(&op, &b, "parent").actions_suppressed_by,
              CLOUDWATCH_ACTIONS_SUPPRESSED_BY_ALARM);
    set_state(&b, "window", CLOUDWATCH_STATE_VALUE_OK);
    bench_pass(&b, DUR_S(179));
    expect_text(b.actions_run, "");
    EXPECT_EQ(see_composite(&op, &b, "parent").actions_suppressed_by,
              CLOUDWATCH_ACTIONS_SUPPRESSED_BY_EXTENSIONPERIOD);
    bench_pass(&b, DUR_S(2));
    expect_text(b.actions_run, "[ALARM: \"parent\" in eu-west-1 "
                               "arn:aws:sns:eu-west-1:123456789012:ops]");
    EXPECT_EQ(see_composite(&op, &b, "parent").actions_suppressed_by,
              CLOUDWATCH_ACTIONS_SUPPRESSED_BY_UNSET);
    bench_close(&b);
}

TEST(set_alarm_state_holds_until_the_next_evaluation)
{
    struct bench b;
    bench_open(&b, ":memory:");
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("a");
    bench_put(&b, &in);
    bench_pass(&b, DUR_S(60));
    bench_expect_state(&b, "a", "OK");
    set_state(&b, "a", CLOUDWATCH_STATE_VALUE_ALARM);
    bench_expect_state(&b, "a", "ALARM");
    auto_op struct op op = {0};
    bench_op(&op);
    EXPECT_STR(bench_see(&op, &b, "a").state_reason, "by hand");
    bench_pass(&b, DUR_S(60));
    bench_expect_state(&b, "a", "OK");
    bench_close(&b);
}

static struct cloudwatch_describe_alarm_history_out history(struct op *op, struct bench *b,
                                                            const char *name,
                                                            enum cloudwatch_history_item_type type,
                                                            int32_t max, struct str token)
{
    struct cloudwatch_describe_alarm_history_in in = {.alarm_name = str_of(name),
                                                      .history_item_type = type,
                                                      .next_token = token,
                                                      .max_records = OPT_I32(max)};
    struct cloudwatch_describe_alarm_history_out out = {0};
    REQUIRE_OK(cloudwatch_handlers.describe_alarm_history(op, b->cw, &in, &out), op);
    return out;
}

TEST(history_tells_configuration_states_and_actions_in_pages)
{
    struct bench b;
    bench_open(&b, ":memory:");
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("a");
    struct str actions[2] = {STR("arn:aws:sns:eu-west-1:123456789012:ops"),
                             STR("arn:aws:sns:eu-west-1:123456789012:gone")};
    in.alarm_actions = (struct cloudwatch_resource_list){.items = actions, .count = 2};
    bench_put(&b, &in);
    bench_requests(&b, 0, 1, 5);
    bench_pass(&b, DUR_S(60));
    auto_op struct op op = {0};
    bench_op(&op);
    struct cloudwatch_describe_alarm_history_out page =
        history(&op, &b, "a", CLOUDWATCH_HISTORY_ITEM_TYPE_UNSET, 3, STR_NONE);
    REQUIRE_EQ(page.alarm_history_items.count, 3);
    EXPECT_STR(page.alarm_history_items.items[0].history_summary,
               "Failed to execute action arn:aws:sns:eu-west-1:123456789012:gone. Received error: "
               "\"there is no such topic\"");
    EXPECT_STR(page.alarm_history_items.items[1].history_summary,
               "Successfully executed action arn:aws:sns:eu-west-1:123456789012:ops");
    EXPECT_STR(page.alarm_history_items.items[2].history_summary,
               "Alarm updated from INSUFFICIENT_DATA to ALARM");
    EXPECT(str_starts_with(page.alarm_history_items.items[2].history_data,
                           STR("{\"version\":\"1.0\",\"oldState\":{\"stateValue\":"
                               "\"INSUFFICIENT_DATA\",\"stateReason\":\"Unchecked")));
    page = history(&op, &b, "a", CLOUDWATCH_HISTORY_ITEM_TYPE_UNSET, 3, page.next_token);
    REQUIRE_EQ(page.alarm_history_items.count, 1);
    EXPECT_STR(page.alarm_history_items.items[0].history_summary, "Alarm \"a\" created");
    EXPECT(!str_is_set(page.next_token));
    page = history(&op, &b, "a", CLOUDWATCH_HISTORY_ITEM_TYPE_STATEUPDATE, 3, STR_NONE);
    EXPECT_EQ(page.alarm_history_items.count, 1);
    bench_close(&b);
}

TEST(alarms_states_and_datapoints_outlive_the_process)
{
    struct bench b;
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/store.db", test_folder());
    bench_open(&b, path);
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("a");
    in.evaluation_periods = OPT_I32(2);
    bench_put(&b, &in);
    bench_requests(&b, 1, 1, 5);
    bench_pass(&b, DUR_S(60));
    bench_close_service(&b);
    bench_open_service(&b);
    bench_requests(&b, 1, 1, 5);
    bench_pass(&b, DUR_S(60));
    bench_expect_state(&b, "a", "ALARM");
    bench_close_service(&b);
    bench_open_service(&b);
    bench_expect_state(&b, "a", "ALARM");
    bench_close(&b);
}

TEST(requests_while_control_is_down_are_counted_once_it_is_back)
{
    struct bench b;
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/store.db", test_folder());
    bench_open(&b, path);
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("a");
    in.statistic = CLOUDWATCH_STATISTIC_SUM;
    in.threshold = OPT_F64(6);
    in.comparison_operator = CLOUDWATCH_COMPARISON_OPERATOR_GREATERTHANOREQUALTOTHRESHOLD;
    bench_put(&b, &in);
    bench_requests(&b, 1, 2, 5);
    bench_pass(&b, DUR_S(20));
    bench_close_service(&b);
    bench_requests(&b, 1, 4, 5);
    clock_manual_advance(DUR_S(10));
    bench_open_service(&b);
    bench_pass(&b, DUR_S(30));
    auto_op struct op op = {0};
    bench_op(&op);
    struct cloudwatch_metric_alarm seen = bench_see(&op, &b, "a");
    EXPECT_STR(seen.state_reason,
               "Threshold Crossed: 1 datapoint [6.0 (20/11/26 10:00:00)] was greater than or equal "
               "to the threshold (6.0).");
    /* a new memory starts from 0: nothing is subtracted */
    bench_close_service(&b);
    lbstats_unmap(b.stats);
    int fd = -1;
    REQUIRE_OK(lbstats_create(&op, &fd), &op);
    REQUIRE_OK(lbstats_map(&op, fd, &b.stats), &op);
    (void)close(fd);
    b.row = lbstats_row_claim(b.stats, 1);
    bench_requests(&b, 0, 1, 5);
    bench_open_service(&b);
    bench_pass(&b, DUR_S(60));
    seen = bench_see(&op, &b, "a");
    EXPECT_STR(seen.state_reason,
               "Threshold Crossed: 1 datapoint [1.0 (20/11/26 10:01:00)] was not greater than or "
               "equal to the threshold (6.0).");
    bench_close(&b);
}

static void expect_refused(struct bench *b, const struct cloudwatch_put_metric_alarm_in *in,
                           const char *code, const char *want)
{
    auto_op struct op op = {0};
    bench_op(&op);
    struct cloudwatch_put_metric_alarm_out out = {0};
    if (cloudwatch_handlers.put_metric_alarm(&op, b->cw, in, &out) == ERR_OK) {
        test_failed(__FILE__, __LINE__, "taken, but want: %s", want);
        return;
    }
    REQUIRE(op.note.public_error != NULL);
    EXPECT_STR(str_of(op.note.public_error->code), code);
    EXPECT_STR(str_of(op.note.text), want);
}

TEST(wrong_alarms_are_refused_in_awss_words)
{
    struct bench b;
    bench_open(&b, ":memory:");
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("a");
    in.period = OPT_I32(45);
    expect_refused(&b, &in, "ValidationError", "Period must be 10, 20, 30 or a multiple of 60");
    in = bench_alarm("a");
    in.evaluation_periods = OPT_I32(1441);
    expect_refused(&b, &in, "ValidationError",
                   "Metrics cannot be checked across more than a day (EvaluationPeriods * Period "
                   "must be <= 86400) for alarms using period < 3600");
    in = bench_alarm("a");
    in.datapoints_to_alarm = OPT_I32(2);
    expect_refused(&b, &in, "ValidationError",
                   "DatapointsToAlarm must be less than or equal to EvaluationPeriods");
    in = bench_alarm("a");
    in.treat_missing_data = STR("never");
    expect_refused(&b, &in, "ValidationError",
                   "The value never is not supported for TreatMissingData parameter. Supported "
                   "values are [breaching, notBreaching, ignore, missing].");
    in = bench_alarm("a");
    in.extended_statistic = STR("p99");
    expect_refused(&b, &in, "ValidationError",
                   "PutMetricAlarm request can not be made with both Statistic and "
                   "ExtendedStatistic parameters. Only one of them should be present");
    in.statistic = CLOUDWATCH_STATISTIC_UNSET;
    in.extended_statistic = STR("p101");
    expect_refused(&b, &in, "InvalidParameterValue",
                   "The value p101 for parameter ExtendedStatistic is not supported.");
    in = bench_alarm("a");
    in.statistic = CLOUDWATCH_STATISTIC_UNSET;
    expect_refused(&b, &in, "ValidationError",
                   "PutMetricAlarm request should have a Statistic parameter");
    in = bench_alarm("a");
    struct str bad_arn = STR("ops@example.com");
    in.ok_actions = (struct cloudwatch_resource_list){.items = &bad_arn, .count = 1};
    expect_refused(&b, &in, "ValidationError", "Invalid arn syntax: ops@example.com");
    in = bench_alarm("a");
    struct cloudwatch_metric_data_query queries[] = {
        {.id = STR("e1"), .expression = STR("e2+1")},
        {.id = STR("e2"), .expression = STR("e1+1"), .return_data = OPT_BOOL(false)},
    };
    in.metrics = (struct cloudwatch_metric_data_queries){.items = queries, .count = 2};
    expect_refused(&b, &in, "ValidationError",
                   "Metrics list must not be specified together with MetricName, Namespace, "
                   "Dimensions, Period, Unit, Statistic or ExtendedStatistic.");
    struct cloudwatch_put_metric_alarm_in math = {
        .alarm_name = STR("m"),
        .metrics = in.metrics,
        .evaluation_periods = OPT_I32(1),
        .threshold = OPT_F64(1),
        .comparison_operator = CLOUDWATCH_COMPARISON_OPERATOR_GREATERTHANTHRESHOLD,
    };
    expect_refused(&b, &math, "ValidationError",
                   "Error in expression 'e1': The expression refers to itself, directly or through "
                   "other expressions.");
    queries[1].expression = STR("TIME_SERIES(1)");
    queries[1].return_data = OPT_BOOL(true);
    expect_refused(&b, &math, "ValidationError",
                   "Exactly one element of the metrics list should return data.");
    bench_close(&b);
}

TEST(deleting_needs_that_nobody_depends_on_the_alarm)
{
    struct bench b;
    bench_open(&b, ":memory:");
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("child");
    bench_put(&b, &in);
    put_composite(&b, "parent", "ALARM(child)", NULL);
    auto_op struct op op = {0};
    bench_op(&op);
    struct str names[3] = {STR("child"), STR("parent"), STR("missing")};
    struct cloudwatch_delete_alarms_in del = {.alarm_names = {.items = names, .count = 1}};
    struct cloudwatch_delete_alarms_out out = {0};
    EXPECT_EQ(cloudwatch_handlers.delete_alarms(&op, b.cw, &del, &out), ERR_INPUT);
    EXPECT_STR(str_of(op.note.text),
               "Cannot delete child as there are composite alarm(s) depending on it.");
    op_note_clear(&op);
    del.alarm_names.count = 3;
    EXPECT_OK(cloudwatch_handlers.delete_alarms(&op, b.cw, &del, &out), &op);
    struct port_alarms port = {0};
    cloudwatch_port_alarms(b.cw, &port);
    enum port_alarm_state state = PORT_ALARM_OK;
    struct str reason = STR_NONE;
    REQUIRE_OK(port.see_alarm(port.self, &op, STR("child"), &state, &reason), &op);
    EXPECT_EQ(state, PORT_ALARM_MISSING);
    bench_close(&b);
}

TEST(describe_alarms_filters_and_pages)
{
    struct bench b;
    bench_open(&b, ":memory:");
    static const char *const names[] = {"b2", "a1", "b1"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct cloudwatch_put_metric_alarm_in in = bench_alarm(names[i]);
        bench_put(&b, &in);
    }
    put_composite(&b, "c1", "ALARM(a1)", NULL);
    auto_op struct op op = {0};
    bench_op(&op);
    struct cloudwatch_describe_alarms_in in = {.alarm_name_prefix = STR("b")};
    struct cloudwatch_describe_alarms_out out = {0};
    REQUIRE_OK(cloudwatch_handlers.describe_alarms(&op, b.cw, &in, &out), &op);
    REQUIRE_EQ(out.metric_alarms.count, 2);
    EXPECT_STR(out.metric_alarms.items[0].alarm_name, "b1");
    EXPECT_EQ(out.composite_alarms.count, 0);

    enum cloudwatch_alarm_type types[2] = {CLOUDWATCH_ALARM_TYPE_COMPOSITEALARM,
                                           CLOUDWATCH_ALARM_TYPE_METRICALARM};
    in = (struct cloudwatch_describe_alarms_in){.alarm_types = {.items = types, .count = 2},
                                                .max_records = OPT_I32(3)};
    out = (struct cloudwatch_describe_alarms_out){0};
    REQUIRE_OK(cloudwatch_handlers.describe_alarms(&op, b.cw, &in, &out), &op);
    EXPECT_EQ(out.metric_alarms.count, 3);
    in.next_token = out.next_token;
    out = (struct cloudwatch_describe_alarms_out){0};
    REQUIRE_OK(cloudwatch_handlers.describe_alarms(&op, b.cw, &in, &out), &op);
    EXPECT_EQ(out.metric_alarms.count, 0);
    REQUIRE_EQ(out.composite_alarms.count, 1);
    EXPECT(!str_is_set(out.next_token));

    in = (struct cloudwatch_describe_alarms_in){.children_of_alarm_name = STR("c1")};
    out = (struct cloudwatch_describe_alarms_out){0};
    REQUIRE_OK(cloudwatch_handlers.describe_alarms(&op, b.cw, &in, &out), &op);
    REQUIRE_EQ(out.metric_alarms.count, 1);
    EXPECT_STR(out.metric_alarms.items[0].alarm_name, "a1");
    EXPECT(!str_is_set(out.metric_alarms.items[0].metric_name));

    in = (struct cloudwatch_describe_alarms_in){.action_prefix = STR("arn:aws:sns"),
                                                .alarm_types = {.items = types, .count = 2}};
    out = (struct cloudwatch_describe_alarms_out){0};
    REQUIRE_OK(cloudwatch_handlers.describe_alarms(&op, b.cw, &in, &out), &op);
    EXPECT_EQ(out.metric_alarms.count, 0);
    EXPECT_EQ(out.composite_alarms.count, 1);
    in = (struct cloudwatch_describe_alarms_in){.next_token = STR("bogus")};
    EXPECT_EQ(cloudwatch_handlers.describe_alarms(&op, b.cw, &in, &out), ERR_INPUT);
    EXPECT(op.note.public_error == &cloudwatch_error_invalid_next_token);
    bench_close(&b);
}

TEST(alarm_actions_can_be_switched_off_and_on)
{
    struct bench b;
    bench_open(&b, ":memory:");
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("a");
    struct str action = STR("arn:aws:sns:eu-west-1:123456789012:ops");
    in.alarm_actions = (struct cloudwatch_resource_list){.items = &action, .count = 1};
    bench_put(&b, &in);
    auto_op struct op op = {0};
    bench_op(&op);
    struct str names[1] = {STR("a")};
    struct cloudwatch_disable_alarm_actions_in off = {.alarm_names = {.items = names, .count = 1}};
    struct cloudwatch_disable_alarm_actions_out off_out = {0};
    REQUIRE_OK(cloudwatch_handlers.disable_alarm_actions(&op, b.cw, &off, &off_out), &op);
    EXPECT(!bench_see(&op, &b, "a").actions_enabled.value);
    set_state(&b, "a", CLOUDWATCH_STATE_VALUE_ALARM);
    expect_text(b.actions_run, "");
    struct cloudwatch_enable_alarm_actions_in on = {.alarm_names = {.items = names, .count = 1}};
    struct cloudwatch_enable_alarm_actions_out on_out = {0};
    REQUIRE_OK(cloudwatch_handlers.enable_alarm_actions(&op, b.cw, &on, &on_out), &op);
    EXPECT(bench_see(&op, &b, "a").actions_enabled.value);
    bench_close(&b);
}
