#include "bench.h"

#include "base/check.h"
#include "svc/cloudwatch/search.h"

#include <math.h>

static enum err put(struct op *op, struct bench *b, struct cloudwatch_metric_datum datum)
{
    struct cloudwatch_put_metric_data_in in = {
        .namespace = STR("Shop"), .metric_data = {.items = &datum, .count = 1, .is_set = true}};
    struct cloudwatch_put_metric_data_out out = {0};
    return cloudwatch_handlers.put_metric_data(op, b->cw, &in, &out);
}

static struct cloudwatch_metric_datum datum_of(const char *name, double value)
{
    return (struct cloudwatch_metric_datum){.metric_name = str_of(name), .value = OPT_F64(value)};
}

static wall_t at(const char *text)
{
    wall_t t = {0};
    REQUIRE(wall_parse(str_of(text), &t));
    return t;
}

static struct cloudwatch_get_metric_statistics_out statistics(struct op *op, struct bench *b,
                                                              const char *name, const char *from,
                                                              const char *to, int32_t period)
{
    static enum cloudwatch_statistic basic[] = {
        CLOUDWATCH_STATISTIC_SAMPLECOUNT, CLOUDWATCH_STATISTIC_SUM, CLOUDWATCH_STATISTIC_MINIMUM,
        CLOUDWATCH_STATISTIC_MAXIMUM, CLOUDWATCH_STATISTIC_AVERAGE};
    static struct str extended[] = {STR_INIT("p50")};
    struct cloudwatch_get_metric_statistics_in in = {
        .namespace = STR("Shop"),
        .metric_name = str_of(name),
        .start_time = OPT_TIME(at(from)),
        .end_time = OPT_TIME(at(to)),
        .period = OPT_I32(period),
        .statistics = {.items = basic, .count = ARRAY_COUNT(basic), .is_set = true},
        .extended_statistics = {.items = extended, .count = 1, .is_set = true},
    };
    struct cloudwatch_get_metric_statistics_out out = {0};
    REQUIRE_OK(cloudwatch_handlers.get_metric_statistics(op, b->cw, &in, &out), op);
    return out;
}

TEST(put_metric_data_takes_values_counts_and_sets)
{
    struct bench b;
    bench_open(&b, ":memory:");
    auto_op struct op op = {0};
    bench_op(&op);
    struct cloudwatch_metric_datum d = datum_of("Latency", 10);
    d.unit = CLOUDWATCH_STANDARD_UNIT_MILLISECONDS;
    EXPECT_OK(put(&op, &b, d), &op);
    d.value = (struct opt_f64){0};
    struct opt_f64 values[2] = {OPT_F64(20), OPT_F64(30)};
    struct opt_f64 counts[2] = {OPT_F64(2), OPT_F64(1)};
    d.values = (struct cloudwatch_values){.items = values, .count = 2, .is_set = true};
    d.counts = (struct cloudwatch_counts){.items = counts, .count = 2, .is_set = true};
    EXPECT_OK(put(&op, &b, d), &op);
    struct cloudwatch_get_metric_statistics_out out =
        statistics(&op, &b, "Latency", "2026-11-20T10:00:00Z", "2026-11-20T10:05:00Z", 300);
    REQUIRE_EQ(out.datapoints.count, 1);
    const struct cloudwatch_datapoint *p = out.datapoints.items;
    EXPECT(p->sample_count.value == 4 && p->sum.value == 80 && p->average.value == 20);
    EXPECT(p->minimum.value == 10 && p->maximum.value == 30);
    EXPECT_EQ(p->unit, CLOUDWATCH_STANDARD_UNIT_MILLISECONDS);
    REQUIRE_EQ(p->extended_statistics.count, 1);
    EXPECT(p->extended_statistics.items[0].value.value == 20);
    struct cloudwatch_statistic_set set = {.sample_count = OPT_F64(2),
                                           .sum = OPT_F64(3),
                                           .minimum = OPT_F64(1),
                                           .maximum = OPT_F64(2)};
    struct cloudwatch_metric_datum with_set = {
        .metric_name = STR("Sets"), .statistic_values = &set, .timestamp = OPT_TIME(op.now)};
    EXPECT_OK(put(&op, &b, with_set), &op);
    out = statistics(&op, &b, "Sets", "2026-11-20T10:00:00Z", "2026-11-20T10:05:00Z", 60);
    REQUIRE_EQ(out.datapoints.count, 1);
    EXPECT_EQ(out.datapoints.items[0].extended_statistics.count, 0);
    bench_close(&b);
}

static void expect_refused(struct bench *b, struct cloudwatch_metric_datum d, const char *code,
                           const char *want)
{
    auto_op struct op op = {0};
    bench_op(&op);
    if (put(&op, b, d) == ERR_OK) {
        test_failed(__FILE__, __LINE__, "taken, but want: %s", want);
        return;
    }
    REQUIRE(op.note.public_error != NULL);
    EXPECT_STR(str_of(op.note.public_error->code), code);
    EXPECT_STR(str_of(op.note.text), want);
}

TEST(wrong_data_are_refused_in_awss_words)
{
    struct bench b;
    bench_open(&b, ":memory:");
    struct opt_f64 values[2] = {OPT_F64(20), OPT_F64(30)};
    struct cloudwatch_metric_datum d = datum_of("x", 1);
    d.values = (struct cloudwatch_values){.items = values, .count = 2, .is_set = true};
    expect_refused(&b, d, "InvalidParameterCombination",
                   "The parameters MetricData.member.1.Value and MetricData.member.1.Values are "
                   "mutually exclusive and you have specified both.");
    d.value = (struct opt_f64){0};
    d.counts = (struct cloudwatch_counts){.items = values, .count = 1, .is_set = true};
    expect_refused(&b, d, "InvalidParameterValue",
                   "The parameters MetricData.member.1.Values and MetricData.member.1.Counts must "
                   "be of the same size.");
    d = datum_of("x", 1);
    d.timestamp = OPT_TIME(at("2026-11-05T10:00:00Z"));
    expect_refused(
        &b, d, "InvalidParameterValue",
        "The parameter MetricData.member.1.Timestamp must specify a time within the past "
        "two weeks.");
    d = datum_of("x", ldexp(1, 361));
    expect_refused(&b, d, "InvalidParameterValue",
                   "The value 4.69709e+108 for parameter MetricData.member.1.Value is invalid.");
    d = datum_of("x", NAN);
    expect_refused(&b, d, "InvalidParameterValue",
                   "The value nan for parameter MetricData.member.1.Value is invalid.");
    d = (struct cloudwatch_metric_datum){.metric_name = STR("x")};
    expect_refused(&b, d, "MissingParameter",
                   "At least one of the parameters MetricData.member.1.Value or "
                   "MetricData.member.1.StatisticValues must be specified.");
    struct cloudwatch_dimension twice[2] = {{STR("a"), STR("1")}, {STR("a"), STR("2")}};
    d = datum_of("x", 1);
    d.dimensions = (struct cloudwatch_dimensions){.items = twice, .count = 2, .is_set = true};
    expect_refused(&b, d, "InvalidParameterValue",
                   "No Metric may specify the same dimension name twice.");
    bench_close(&b);
}

TEST(an_alarm_judges_custom_data_of_ten_seconds)
{
    struct bench b;
    bench_open(&b, ":memory:");
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("queue");
    in.namespace = STR("Shop");
    in.metric_name = STR("Queue");
    in.dimensions.count = 0;
    in.period = OPT_I32(10);
    in.threshold = OPT_F64(5);
    in.statistic = CLOUDWATCH_STATISTIC_MAXIMUM;
    bench_put(&b, &in);
    auto_op struct op op = {0};
    bench_op(&op);
    bench_pass(&b, DUR_S(3));
    struct cloudwatch_metric_datum d = datum_of("Queue", 6);
    d.storage_resolution = OPT_I32(1);
    d.timestamp = OPT_TIME(clock_wall());
    REQUIRE_OK(put(&op, &b, d), &op);
    bench_pass(&b, DUR_S(7));
    bench_expect_state(&b, "queue", "ALARM");
    bench_close(&b);
}

TEST(late_data_reach_their_window_in_memory_and_in_the_store)
{
    struct bench b;
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/store.db", test_folder());
    bench_open(&b, path);
    auto_op struct op op = {0};
    bench_op(&op);
    for (int i = 0; i < 3; i++) {
        struct cloudwatch_metric_datum d = datum_of("Old", i);
        d.timestamp = OPT_TIME(at("2026-11-15T10:00:30Z"));
        REQUIRE_OK(put(&op, &b, d), &op);
        if (i == 1) {
            bench_pass(&b, DUR_S(2)); /* the batch is written and leaves the memory */
        }
    }
    struct cloudwatch_get_metric_statistics_out out =
        statistics(&op, &b, "Old", "2026-11-15T10:00:00Z", "2026-11-15T10:10:00Z", 60);
    REQUIRE_EQ(out.datapoints.count, 1);
    EXPECT(out.datapoints.items[0].sample_count.value == 3);
    bench_close_service(&b);
    bench_open_service(&b);
    out = statistics(&op, &b, "Old", "2026-11-15T10:00:00Z", "2026-11-15T10:10:00Z", 300);
    REQUIRE_EQ(out.datapoints.count, 1);
    EXPECT(out.datapoints.items[0].sample_count.value == 3);
    EXPECT(out.datapoints.items[0].sum.value == 3);
    bench_close(&b);
}

TEST(minutes_become_five_minutes_after_fifteen_days_and_hours_later)
{
    struct bench b;
    bench_open(&b, ":memory:");
    auto_op struct op op = {0};
    bench_op(&op);
    for (int i = 0; i < 10; i++) {
        REQUIRE_OK(put(&op, &b, datum_of("Aged", i)), &op);
        clock_manual_advance(DUR_S(60));
        op.now = clock_wall();
        (void)ev_loop_settle(&b.loop, 100);
    }
    clock_manual_advance(DUR_S(16 * 86400));
    bench_pass(&b, DUR_S(120));
    op.now = clock_wall();
    EXPECT_EQ(statistics(&op, &b, "Aged", "2026-11-20T10:00:00Z", "2026-11-20T10:10:00Z", 60)
                  .datapoints.count,
              0);
    struct cloudwatch_get_metric_statistics_out out =
        statistics(&op, &b, "Aged", "2026-11-20T10:00:00Z", "2026-11-20T10:10:00Z", 300);
    REQUIRE_EQ(out.datapoints.count, 2);
    EXPECT(out.datapoints.items[0].sum.value == 0 + 1 + 2 + 3 + 4);
    EXPECT(out.datapoints.items[1].extended_statistics.items[0].value.value == 7);
    clock_manual_advance(DUR_S(50LL * 86400));
    bench_pass(&b, DUR_S(120));
    op.now = clock_wall();
    out = statistics(&op, &b, "Aged", "2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z", 3600);
    REQUIRE_EQ(out.datapoints.count, 1);
    EXPECT(out.datapoints.items[0].sum.value == 45);
    clock_manual_advance(DUR_S(455LL * 86400));
    bench_pass(&b, DUR_S(120));
    op.now = clock_wall();
    EXPECT_EQ(statistics(&op, &b, "Aged", "2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z", 3600)
                  .datapoints.count,
              0);
    bench_close(&b);
}

/* ---- GetMetricData --------------------------------------------------------------------------- */

static struct cloudwatch_get_metric_data_out query(struct op *op, struct bench *b,
                                                   struct cloudwatch_metric_data_query *queries,
                                                   size_t count, int32_t max, struct str token)
{
    struct cloudwatch_get_metric_data_in in = {
        .metric_data_queries = {.items = queries, .count = count, .is_set = true},
        .start_time = OPT_TIME(at("2026-11-20T10:00:00Z")),
        .end_time = OPT_TIME(clock_wall()),
        .scan_by = CLOUDWATCH_SCAN_BY_TIMESTAMPASCENDING,
        .next_token = token,
    };
    if (max > 0) {
        in.max_datapoints = OPT_I32(max);
    }
    struct cloudwatch_get_metric_data_out out = {0};
    REQUIRE_OK(cloudwatch_handlers.get_metric_data(op, b->cw, &in, &out), op);
    return out;
}

TEST(get_metric_data_answers_metrics_math_and_search)
{
    struct bench b;
    bench_open(&b, ":memory:");
    for (uint64_t i = 0; i < 3; i++) {
        bench_requests(&b, 9 - i, 1 + i, 20);
        bench_pass(&b, DUR_S(60));
    }
    auto_op struct op op = {0};
    bench_op(&op);
    struct cloudwatch_metric bad = {
        .namespace = STR("AWS/ApplicationELB"),
        .metric_name = STR("HTTPCode_Target_5XX_Count"),
        .dimensions = {.items = bench_dimensions, .count = 2, .is_set = true}};
    struct cloudwatch_metric all = bad;
    all.metric_name = STR("RequestCount");
    struct cloudwatch_metric slow = bad;
    slow.metric_name = STR("TargetResponseTime");
    struct cloudwatch_metric_stat stats[] = {
        {.metric = &bad, .period = OPT_I32(60), .stat = STR("Sum")},
        {.metric = &all, .period = OPT_I32(60), .stat = STR("Sum")},
        {.metric = &slow, .period = OPT_I32(60), .stat = STR("p99")},
    };
    struct cloudwatch_metric_data_query queries[] = {
        {.id = STR("rate"), .expression = STR("100*m1/m2"), .label = STR("rate ${LAST} %")},
        {.id = STR("m1"), .metric_stat = &stats[0]},
        {.id = STR("m2"), .metric_stat = &stats[1], .return_data = OPT_BOOL(false)},
        {.id = STR("slow"), .metric_stat = &stats[2], .label = STR("${PROP('Dim.LoadBalancer')}")},
        {.id = STR("found"),
         .expression = STR("SEARCH('{AWS/ApplicationELB,LoadBalancer,TargetGroup} Target_5XX', "
                           "'Sum', 60)")},
    };
    struct cloudwatch_get_metric_data_out out = query(&op, &b, queries, 5, 0, STR_NONE);
    REQUIRE_EQ(out.metric_data_results.count, 4);
    const struct cloudwatch_metric_data_result *r = out.metric_data_results.items;
    EXPECT_STR(r[0].id, "rate");
    EXPECT_STR(r[0].label, "rate 30 %");
    REQUIRE_EQ(r[0].values.count, 3);
    EXPECT(r[0].values.items[0].value == 10 && r[0].values.items[2].value == 30);
    EXPECT_EQ(r[0].timestamps.items[1].value.us, at("2026-11-20T10:01:00Z").us);
    EXPECT_STR(r[1].label, "HTTPCode_Target_5XX_Count");
    EXPECT_STR(r[2].label, "app/web/0123456789abcdef");
    REQUIRE_EQ(r[2].values.count, 3);
    EXPECT(fabs(r[2].values.items[0].value - 0.02) < 0.0005);
    EXPECT_STR(r[3].id, "found");
    EXPECT_EQ(r[3].values.count, 3);
    EXPECT_EQ(r[3].status_code, CLOUDWATCH_STATUS_CODE_COMPLETE);

    /* the same in pages of four datapoints */
    size_t points = 0;
    size_t pages = 0;
    struct str token = STR_NONE;
    do {
        out = query(&op, &b, queries, 5, 4, token);
        for (size_t i = 0; i < out.metric_data_results.count; i++) {
            points += out.metric_data_results.items[i].values.count;
        }
        token = out.next_token;
        pages++;
    } while (str_is_set(token) && pages < 10);
    EXPECT_EQ(points, 12);
    EXPECT_EQ(pages, 3);
    bench_close(&b);
}

TEST(balancer_metrics_have_every_dimension_set)
{
    struct bench b;
    bench_open(&b, ":memory:");
    lbstats_hosts_set(b.stats, lbstats_slot_open(b.stats, LB, TG, clock_mono()), 2, 1);
    bench_requests(&b, 10, 0, 20);
    bench_pass(&b, DUR_S(60));
    auto_op struct op op = {0};
    bench_op(&op);
    struct cloudwatch_dimension zone[3] = {
        bench_dimensions[0],
        bench_dimensions[1],
        {STR("AvailabilityZone"), STR("eu-west-1a")},
    };
    struct {
        const char *name;
        const struct cloudwatch_dimension *dimensions;
        size_t count;
        double sum;
    } rows[] = {
        {"RequestCount", bench_dimensions, 2, 10},
        {"RequestCount", bench_dimensions + 1, 1, 10},
        {"RequestCount", zone, 3, 10},
        {"RequestCount", zone + 1, 2, 10},
        {"RequestCountPerTarget", bench_dimensions, 1, 5},
        {"HTTPCode_Target_2XX_Count", bench_dimensions, 2, 10},
        {"HTTPCode_Target_5XX_Count", bench_dimensions, 2, -1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct cw_metric_name name = {.region = REGION,
                                      .namespace = STR("AWS/ApplicationELB"),
                                      .name = str_of(rows[i].name),
                                      .dimensions = rows[i].dimensions,
                                      .dimension_count = rows[i].count};
        const struct cw_metric *metric = cw_metrics_find(&op, &b.cw->metrics, &name);
        struct cw_bucket bucket = {0};
        struct cw_window_range range = {
            .from_tick = cw_tick_of(at("2026-11-20T10:00:00Z")), .period = 60, .count = 1};
        REQUIRE_OK(cw_metrics_read(&op, &b.cw->metrics, metric, CLOUDWATCH_STANDARD_UNIT_UNSET,
                                   &range, &bucket),
                   &op);
        if (bucket.sum != (rows[i].sum < 0 ? 0 : rows[i].sum)) {
            test_failed(__FILE__, __LINE__, "%zu %s: %g, want %g", i, rows[i].name, bucket.sum,
                        rows[i].sum);
        }
        cw_bucket_fini(&bucket);
    }
    struct cloudwatch_list_metrics_in in = {.metric_name = STR("HealthyHostCount")};
    struct cloudwatch_list_metrics_out out = {0};
    REQUIRE_OK(cloudwatch_handlers.list_metrics(&op, b.cw, &in, &out), &op);
    REQUIRE_EQ(out.metrics.count, 1);
    EXPECT_EQ(out.metrics.items[0].dimensions.count, 2);
    struct cloudwatch_dimension_filter filter = {.name = STR("TargetGroup")};
    in = (struct cloudwatch_list_metrics_in){
        .namespace = STR("AWS/ApplicationELB"),
        .dimensions = {.items = &filter, .count = 1, .is_set = true}};
    out = (struct cloudwatch_list_metrics_out){0};
    REQUIRE_OK(cloudwatch_handlers.list_metrics(&op, b.cw, &in, &out), &op);
    for (size_t i = 0; i < out.metrics.count; i++) {
        EXPECT(out.metrics.items[i].dimensions.count >= 1);
    }
    EXPECT_EQ(out.metrics.count, 13); /* six of them are states of the group */
    bench_close(&b);
}

TEST(search_matches_tokens_names_and_schemas)
{
    static const struct cloudwatch_dimension dimensions[] = {
        {STR_INIT("FunctionName"), STR_INIT("ProjectA-worker")}};
    struct cw_metric_name metric = {.namespace = STR("AWS/Lambda"),
                                    .name = STR("CustomCount1"),
                                    .dimensions = dimensions,
                                    .dimension_count = 1};
    static const struct {
        const char *query;
        bool want;
    } rows[] = {
        {"count", true},
        {"Count", true},
        {"CustomCount", true},
        {"Count1", true},
        {"couNT", false},
        {"\"CustomCount1\"", true},
        {"\"Custom\"", false},
        {"\"customcount1\"", false},
        {"{AWS/Lambda, FunctionName} count", true},
        {"{AWS/Lambda,FunctionName}", true},
        {"{AWS/Lambda} MetricName=\"CustomCount1\"", true},
        {"{AWS/EC2} count", false},
        {"{AWS/Lambda,Other} count", false},
        {"MetricName=Errors OR (MetricName=count AND (ProjectA OR ProjectB))", true},
        {"count NOT \"ProjectA-worker\"", false},
        {"NOT Namespace=AWS", false},
        {"NOT Namespace=Shop", true},
        {"worker count", true},
        {"worker nothing", false},
        {"worker OR nothing", true},
        {"FunctionName=worker", true},
        {"FunctionName=count", false},
    };
    auto_op struct op op = {0};
    op_init(&op);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct cw_search search = {0};
        EXPECT_OK(cw_search_parse(&op, str_of(rows[i].query), &search), &op);
        if (cw_search_matches(&op.arena, &search, &metric) != rows[i].want) {
            test_failed(__FILE__, __LINE__, "%s: want %d", rows[i].query, rows[i].want);
        }
    }
    static const char *const wrong[] = {"",   "  ", "(a",  "a)", "AND", "a OR",
                                        "{}", "{a", "\"a", "()", "NOT"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct cw_search search = {0};
        if (cw_search_parse(&op, str_of(wrong[i]), &search) == ERR_OK) {
            test_failed(__FILE__, __LINE__, "\"%s\" was taken", wrong[i]);
        }
    }
}

TEST(dashboards_are_kept_and_checked)
{
    struct bench b;
    bench_open(&b, ":memory:");
    auto_op struct op op = {0};
    bench_op(&op);
    struct cloudwatch_put_dashboard_in in = {
        .dashboard_name = STR("main"),
        .dashboard_body =
            STR("{\"widgets\":[{\"type\":\"metric\",\"properties\":{\"region\":\"x\"}},"
                "{\"type\":\"nope\",\"properties\":{}},{\"type\":\"text\"}]}")};
    struct cloudwatch_put_dashboard_out out = {0};
    REQUIRE_OK(cloudwatch_handlers.put_dashboard(&op, b.cw, &in, &out), &op);
    REQUIRE_EQ(out.dashboard_validation_messages.count, 2);
    EXPECT_STR(out.dashboard_validation_messages.items[0].data_path, "/widgets/1/type");
    struct cloudwatch_get_dashboard_in get = {.dashboard_name = STR("main")};
    struct cloudwatch_get_dashboard_out got = {0};
    REQUIRE_OK(cloudwatch_handlers.get_dashboard(&op, b.cw, &get, &got), &op);
    EXPECT(str_equal(got.dashboard_body, in.dashboard_body));
    EXPECT_STR(got.dashboard_arn, "arn:aws:cloudwatch::123456789012:dashboard/main");
    struct cloudwatch_list_dashboards_in list = {.dashboard_name_prefix = STR("m")};
    struct cloudwatch_list_dashboards_out listed = {0};
    REQUIRE_OK(cloudwatch_handlers.list_dashboards(&op, b.cw, &list, &listed), &op);
    REQUIRE_EQ(listed.dashboard_entries.count, 1);
    struct str names[2] = {STR("main"), STR("gone")};
    struct cloudwatch_delete_dashboards_in del = {.dashboard_names = {.items = names, .count = 2}};
    struct cloudwatch_delete_dashboards_out deleted = {0};
    EXPECT_EQ(cloudwatch_handlers.delete_dashboards(&op, b.cw, &del, &deleted), ERR_NOT_FOUND);
    EXPECT_STR(str_of(op.note.public_error->code), "ResourceNotFound");
    op_note_clear(&op);
    REQUIRE_OK(cloudwatch_handlers.get_dashboard(&op, b.cw, &get, &got), &op);
    del.dashboard_names.count = 1;
    REQUIRE_OK(cloudwatch_handlers.delete_dashboards(&op, b.cw, &del, &deleted), &op);
    EXPECT_EQ(cloudwatch_handlers.get_dashboard(&op, b.cw, &get, &got), ERR_NOT_FOUND);
    EXPECT_STR(str_of(op.note.text), "Dashboard main does not exist");
    op_note_clear(&op);
    static const char *const wrong[] = {"", "[]", "{", "not json", "{\"widgets\":[}"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        in.dashboard_body = str_of(wrong[i]);
        EXPECT_EQ(cloudwatch_handlers.put_dashboard(&op, b.cw, &in, &out), ERR_INPUT);
        EXPECT(op.note.public_error == &cloudwatch_error_dashboard_invalid_input_error);
        op_note_clear(&op);
    }
    bench_close(&b);
}

TEST(tags_of_alarms)
{
    struct bench b;
    bench_open(&b, ":memory:");
    struct cloudwatch_put_metric_alarm_in in = bench_alarm("a");
    struct cloudwatch_tag tags[2] = {{STR("team"), STR("shop")}, {STR("env"), STR("prod")}};
    in.tags = (struct cloudwatch_tag_list){.items = tags, .count = 1, .is_set = true};
    bench_put(&b, &in);
    auto_op struct op op = {0};
    bench_op(&op);
    struct str arn = STR("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a");
    struct cloudwatch_tag_resource_in tag = {
        .resource_arn = arn, .tags = {.items = tags + 1, .count = 1, .is_set = true}};
    struct cloudwatch_tag_resource_out tagged = {0};
    REQUIRE_OK(cloudwatch_handlers.tag_resource(&op, b.cw, &tag, &tagged), &op);
    struct cloudwatch_list_tags_for_resource_in list = {.resource_arn = arn};
    struct cloudwatch_list_tags_for_resource_out out = {0};
    REQUIRE_OK(cloudwatch_handlers.list_tags_for_resource(&op, b.cw, &list, &out), &op);
    EXPECT_EQ(out.tags.count, 2);
    struct str keys[1] = {STR("team")};
    struct cloudwatch_untag_resource_in untag = {
        .resource_arn = arn, .tag_keys = {.items = keys, .count = 1, .is_set = true}};
    struct cloudwatch_untag_resource_out untagged = {0};
    REQUIRE_OK(cloudwatch_handlers.untag_resource(&op, b.cw, &untag, &untagged), &op);
    REQUIRE_OK(cloudwatch_handlers.list_tags_for_resource(&op, b.cw, &list, &out), &op);
    REQUIRE_EQ(out.tags.count, 1);
    EXPECT_STR(out.tags.items[0].key, "env");
    list.resource_arn = STR("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:b");
    EXPECT_EQ(cloudwatch_handlers.list_tags_for_resource(&op, b.cw, &list, &out), ERR_NOT_FOUND);
    REQUIRE_OK(cloudwatch_reset(&op, b.cw), &op);
    list.resource_arn = arn;
    op_note_clear(&op);
    EXPECT_EQ(cloudwatch_handlers.list_tags_for_resource(&op, b.cw, &list, &out), ERR_NOT_FOUND);
    bench_close(&b);
}
