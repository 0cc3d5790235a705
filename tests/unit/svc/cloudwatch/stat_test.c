#include "base/check.h"
#include "svc/cloudwatch/limits.h"
#include "svc/cloudwatch/stat.h"
#include "test.h"

#include <math.h>

static struct cw_bucket one_to(int last)
{
    struct cw_bucket b = {0};
    for (int i = last; i >= 1; i--) {
        cw_bucket_add(&b, i, 1);
    }
    return b;
}

static double stat_of(const char *name, const struct cw_bucket *b)
{
    struct cw_stat stat = {0};
    double value = NAN;
    REQUIRE(cw_stat_parse(str_of(name), &stat));
    return cw_stat_compute(&stat, b, &value) ? value : NAN;
}

static void expect_near(const char *name, double got, double want)
{
    bool is_same = isnan(got) ? isnan(want) : fabs(got - want) < 1e-9;
    if (!is_same) {
        test_failed(__FILE__, __LINE__, "%s: got %g, want %g", name, got, want);
    }
}

TEST(statistics_of_one_to_ten)
{
    static const struct {
        const char *name;
        double want;
    } rows[] = {
        {"SampleCount", 10}, {"Sum", 55},        {"Average", 5.5}, {"Minimum", 1},
        {"Maximum", 10},     {"p0", 1},          {"p50", 5},       {"p90", 9},
        {"p99.9", 10},       {"p100", 10},       {"tm90", 5},      {"TM(10%:90%)", 5.5},
        {"TM(:90%)", 5},     {"TM(90%:)", 10},   {"IQM", 5.5},     {"TM(2:4)", 3.5},
        {"TM(:4)", 2.5},     {"TM(8:)", 9.5},    {"TC(2:4)", 2},   {"TS(2:4)", 7},
        {"tc90", 9},         {"ts90", 45},       {"TS(80%:)", 19}, {"PR(:3)", 30},
        {"PR(3:7)", 40},     {"PR(7:)", 30},     {"wm90", 5.4},    {"WM(10%:90%)", 5.5},
        {"WM(2:4)", 3.5},    {"TM(20:30)", NAN}, {"PR(20:30)", 0}, {"TC(20:30)", 0},
    };
    struct cw_bucket b = one_to(10);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        expect_near(rows[i].name, stat_of(rows[i].name, &b), rows[i].want);
    }
    cw_bucket_fini(&b);
}

TEST(a_single_sample_has_every_statistic)
{
    struct cw_bucket b = {0};
    cw_bucket_add(&b, 7, 1);
    static const char *const names[] = {"p50", "p99", "tm90", "wm90", "ts90", "IQM", "Average"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        expect_near(names[i], stat_of(names[i], &b), 7);
    }
    cw_bucket_fini(&b);
}

TEST(names_that_are_no_statistics_are_refused)
{
    static const char *const names[] = {
        "",          "sum",       "p",       "p101",  "p-1",        "p1e1",
        "P50",       "tm",        "TM()",    "TM(:)", "TM(10%:90)", "TM(90%:10%)",
        "TM(1:2",    "PR(1%:2%)", "PR(:300", "pr90",  "iqm",        "p99.12345678901",
        "TM(101%:)", "p 50",      "TM90",
    };
    struct cw_stat stat = {0};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (cw_stat_parse(str_of(names[i]), &stat)) {
            test_failed(__FILE__, __LINE__, "\"%s\" was taken", names[i]);
        }
    }
}

TEST(a_statistic_set_has_no_percentiles_unless_all_samples_are_equal)
{
    struct cw_bucket b = {0};
    cw_bucket_add_set(&b, 4, 10, 1, 4);
    expect_near("Average", stat_of("Average", &b), 2.5);
    expect_near("p50", stat_of("p50", &b), NAN);
    cw_bucket_fini(&b);
    cw_bucket_add_set(&b, 4, 12, 3, 3);
    expect_near("p50", stat_of("p50", &b), 3);
    struct cw_bucket spread = {0};
    cw_bucket_add_set(&spread, 2, 3, 1, 2);
    cw_bucket_merge(&b, &spread);
    expect_near("p50 after merging a set", stat_of("p50", &b), NAN);
    expect_near("Sum", stat_of("Sum", &b), 15);
    cw_bucket_fini(&b);
    cw_bucket_fini(&spread);
}

TEST(negative_values_have_no_percentiles)
{
    struct cw_bucket b = {0};
    cw_bucket_add(&b, -1, 1);
    cw_bucket_add(&b, 1, 1);
    expect_near("p50", stat_of("p50", &b), NAN);
    expect_near("Minimum", stat_of("Minimum", &b), -1);
    cw_bucket_fini(&b);
}

TEST(merging_equals_adding)
{
    struct cw_bucket whole = one_to(100);
    struct cw_bucket merged = {0};
    struct cw_bucket part = one_to(60);
    cw_bucket_merge(&merged, &part);
    cw_bucket_fini(&part);
    for (int i = 61; i <= 100; i++) {
        cw_bucket_add(&part, i, 1);
    }
    cw_bucket_merge(&merged, &part);
    cw_bucket_merge(&merged, &(struct cw_bucket){0});
    EXPECT_EQ(merged.pair_count, whole.pair_count);
    expect_near("p37", stat_of("p37", &merged), stat_of("p37", &whole));
    expect_near("Sum", merged.sum, whole.sum);
    cw_bucket_fini(&whole);
    cw_bucket_fini(&merged);
    cw_bucket_fini(&part);
}

TEST(many_different_values_stay_within_a_limit_and_a_percent_or_two)
{
    struct cw_bucket b = {0};
    for (int i = 1; i <= 100000; i++) {
        cw_bucket_add(&b, i * 0.0001, 1);
    }
    EXPECT(b.pair_count <= CW_PAIRS_MAX);
    expect_near("SampleCount", b.sample_count, 100000);
    static const double percents[] = {1, 50, 90, 99, 99.9};
    for (size_t i = 0; i < ARRAY_COUNT(percents); i++) {
        struct cw_stat stat = {.kind = CW_STAT_PERCENTILE, .is_percent = true, .high = percents[i]};
        double value = 0;
        REQUIRE(cw_stat_compute(&stat, &b, &value));
        double want = percents[i] * 0.1;
        EXPECT(fabs(value - want) / want < 0.05);
    }
    double mean = 0;
    struct cw_stat whole = {
        .kind = CW_STAT_TRIMMED_MEAN, .is_percent = true, .has_high = true, .high = 100};
    REQUIRE(cw_stat_compute(&whole, &b, &mean));
    EXPECT(fabs(mean - b.sum / b.sample_count) < 1e-6);
    cw_bucket_fini(&b);
}

TEST(hostile_magnitudes_do_not_break_the_distribution)
{
    struct cw_bucket b = {0};
    for (int i = -360; i <= 360; i++) {
        cw_bucket_add(&b, ldexp(1, i), 1);
        cw_bucket_add(&b, -ldexp(1, i), 1);
    }
    cw_bucket_add(&b, 0, 3);
    EXPECT(b.pair_count <= CW_PAIRS_MAX);
    for (size_t i = 1; i < b.pair_count; i++) {
        EXPECT(b.pairs[i - 1].value < b.pairs[i].value);
    }
    cw_bucket_fini(&b);
}

TEST(percentiles_on_few_samples_are_known)
{
    static const struct {
        const char *name;
        double samples;
        bool is_low;
    } rows[] = {
        {"p99", 999, true}, {"p99", 1000, false},  {"p50", 19, true},
        {"p50", 20, false}, {"p10", 99, true},     {"p10", 100, false},
        {"tm90", 1, false}, {"Average", 1, false}, {"p100", 1e9, true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct cw_stat stat = {0};
        REQUIRE(cw_stat_parse(str_of(rows[i].name), &stat));
        EXPECT_EQ(cw_stat_is_low_sample(&stat, rows[i].samples), rows[i].is_low);
    }
}

TEST(numbers_are_printed_as_java_does)
{
    static const struct {
        double value;
        const char *want;
    } rows[] = {
        {0, "0.0"},
        {1, "1.0"},
        {-2.5, "-2.5"},
        {0.05, "0.05"},
        {0.001, "0.001"},
        {0.0001, "1.0E-4"},
        {1e7, "1.0E7"},
        {9999999, "9999999.0"},
        {12345678, "1.2345678E7"},
        {400000, "400000.0"},
        {66.66201000304783, "66.66201000304783"},
        {0.337675, "0.337675"},
        {1.5e300, "1.5E300"},
        {123.456, "123.456"},
        {100, "100.0"},
    };
    auto_op struct op op = {0};
    op_init(&op);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        EXPECT_STR(cw_number_text(&op.arena, rows[i].value), rows[i].want);
    }
}
