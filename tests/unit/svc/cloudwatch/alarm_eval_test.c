#include "base/check.h"
#include "svc/cloudwatch/alarm_eval.h"
#include "test.h"

#define MINUTE_US 60000000

/* 'X' breaching (2), '0' fine (0), '-' missing, by minutes from 2026-11-20T10:00:00Z. */
static size_t points_from(const char *text, struct cw_alarm_point *points)
{
    size_t count = 0;
    wall_t at = {0};
    REQUIRE(wall_parse(STR("2026-11-20T10:00:00Z"), &at));
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == ' ') {
            continue;
        }
        points[count++] = (struct cw_alarm_point){
            .at = at,
            .is_real = *c != '-',
            .value = *c == 'X' ? 2 : 0,
            .sample_count = 3,
            .has_sample_count = true,
        };
        at.us += MINUTE_US;
    }
    return count;
}

static struct cw_alarm_rule rule_of(int32_t m, int32_t n, enum cw_missing missing)
{
    return (struct cw_alarm_rule){
        .evaluation_periods = n,
        .datapoints_to_alarm = m,
        .comparison = CLOUDWATCH_COMPARISON_OPERATOR_GREATERTHANOREQUALTOTHRESHOLD,
        .threshold = 1,
        .missing = missing,
    };
}

static char letter_of(const struct cw_alarm_verdict *v)
{
    return v->is_kept                                             ? 'k'
           : v->state == CLOUDWATCH_STATE_VALUE_ALARM             ? 'A'
           : v->state == CLOUDWATCH_STATE_VALUE_OK                ? 'O'
           : v->state == CLOUDWATCH_STATE_VALUE_INSUFFICIENT_DATA ? 'I'
                                                                  : '?';
}

TEST(every_cell_of_the_missing_data_table)
{
    /* want: missing, ignore, breaching, notBreaching; A alarm, O ok, I insufficient, k kept */
    static const struct {
        int32_t m;
        int32_t n;
        const char *points;
        const char *want;
    } rows[] = {
        {3, 3, "0 - X - X", "OOOO"},
        {3, 3, "0 - - - -", "OOOO"},
        {3, 3, "- - - - -", "IkAO"},
        {3, 3, "0 X X - X", "AAAA"},
        {3, 3, "- - X - -", "AkAO"},
        {2, 3, "0 - X - X", "AAAA"},
        {2, 3, "0 0 X 0 X", "AAAA"},
        {2, 3, "0 - X - -", "OOAO"},
        {2, 3, "- - - - 0", "OOAO"},
        {2, 3, "- - - X -", "AkAO"},
        /* the guard against rising too early */
        {3, 3, "- - - - X", "IkAO"},
        {3, 3, "- - - X -", "IkAO"},
        {3, 3, "X - - - -", "AkAO"},
        {2, 3, "- - - - X", "IkAO"},
        {3, 3, "- - X - X", "AkAO"},
        {2, 3, "- - - X X", "AAAA"},
        /* no gaps, and gaps that more points make good */
        {1, 1, "0 0 X", "AAAA"},
        {1, 1, "X X 0", "OOOO"},
        {1, 1, "X - -", "AAAA"},
        {1, 1, "- - -", "IkAO"},
        {3, 3, "X X X X 0", "OOOO"},
        {3, 3, "0 0 X X X", "AAAA"},
        {1, 3, "0 - - - X", "AAAA"},
        {1, 3, "0 - - - -", "OOAO"},
        {5, 5, "X X X X X X -", "AAAA"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        for (int column = 0; column < 4; column++) {
            struct cw_alarm_point points[16] = {0};
            size_t count = points_from(rows[i].points, points);
            struct cw_alarm_rule rule = rule_of(rows[i].m, rows[i].n, (enum cw_missing)column);
            struct cw_alarm_verdict v = cw_alarm_evaluate(&rule, points, count);
            if (letter_of(&v) != rows[i].want[column]) {
                test_failed(__FILE__, __LINE__, "%d/%d \"%s\" column %d: got %c, want %c",
                            rows[i].m, rows[i].n, rows[i].points, column, letter_of(&v),
                            rows[i].want[column]);
            }
        }
    }
}

TEST(comparisons_hold_at_the_threshold)
{
    static const struct {
        enum cloudwatch_comparison_operator comparison;
        const char *want; /* for 0.9, 1.0, 1.1 against 1.0 */
    } rows[] = {
        {CLOUDWATCH_COMPARISON_OPERATOR_GREATERTHANOREQUALTOTHRESHOLD, "OAA"},
        {CLOUDWATCH_COMPARISON_OPERATOR_GREATERTHANTHRESHOLD, "OOA"},
        {CLOUDWATCH_COMPARISON_OPERATOR_LESSTHANTHRESHOLD, "AOO"},
        {CLOUDWATCH_COMPARISON_OPERATOR_LESSTHANOREQUALTOTHRESHOLD, "AAO"},
    };
    static const double values[] = {0.9, 1.0, 1.1};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        for (size_t j = 0; j < ARRAY_COUNT(values); j++) {
            struct cw_alarm_rule rule = rule_of(1, 1, CW_MISSING_MISSING);
            rule.comparison = rows[i].comparison;
            struct cw_alarm_point point = {.is_real = true, .value = values[j]};
            struct cw_alarm_verdict v = cw_alarm_evaluate(&rule, &point, 1);
            EXPECT_EQ(letter_of(&v), rows[i].want[j]);
        }
    }
}

TEST(too_few_samples_for_a_percentile_keep_the_state)
{
    struct cw_alarm_point points[2] = {{.is_real = true, .value = 5},
                                       {.is_real = true, .value = 5, .is_low_sample = true}};
    struct cw_alarm_rule rule = rule_of(1, 1, CW_MISSING_MISSING);
    struct cw_alarm_verdict v = cw_alarm_evaluate(&rule, points, 2);
    EXPECT(v.is_kept);
    v = cw_alarm_evaluate(&rule, points, 1);
    EXPECT_EQ(letter_of(&v), 'A');
}

static void expect_reason(int32_t m, int32_t n, bool is_m_of_n, enum cw_missing missing,
                          const char *text, const char *want)
{
    auto_op struct op op = {0};
    op_init(&op);
    struct cw_alarm_point points[16] = {0};
    size_t count = points_from(text, points);
    struct cw_alarm_rule rule = rule_of(m, n, missing);
    rule.is_m_of_n = is_m_of_n;
    struct cw_alarm_verdict v = cw_alarm_evaluate(&rule, points, count);
    EXPECT_STR(cw_alarm_reason(&op.arena, &rule, points, count, &v), want);
}

TEST(reasons_are_aws_sentences)
{
    expect_reason(1, 1, false, CW_MISSING_MISSING, "0 X",
                  "Threshold Crossed: 1 datapoint [2.0 (20/11/26 10:01:00)] was greater than or "
                  "equal to the threshold (1.0).");
    expect_reason(1, 1, true, CW_MISSING_MISSING, "X 0",
                  "Threshold Crossed: 1 out of the last 1 datapoints [0.0 (20/11/26 10:01:00)] was "
                  "not greater than or equal to the threshold (1.0) (minimum 1 datapoint for ALARM "
                  "-> OK transition).");
    expect_reason(3, 3, false, CW_MISSING_MISSING, "X X X",
                  "Threshold Crossed: 3 datapoints [2.0 (20/11/26 10:02:00), 2.0 (20/11/26 "
                  "10:01:00), 2.0 (20/11/26 10:00:00)] were greater than or equal to the threshold "
                  "(1.0).");
    expect_reason(2, 3, true, CW_MISSING_MISSING, "X 0 X",
                  "Threshold Crossed: 2 out of the last 3 datapoints [2.0 (20/11/26 10:02:00), 2.0 "
                  "(20/11/26 10:00:00)] were greater than or equal to the threshold (1.0) (minimum "
                  "2 datapoints for OK -> ALARM transition).");
    expect_reason(1, 8, true, CW_MISSING_NOT_BREACHING, "- - - - - - - X",
                  "Threshold Crossed: 1 out of the last 8 datapoints [2.0 (20/11/26 10:07:00)] was "
                  "greater than or equal to the threshold (1.0) and 7 missing datapoints were "
                  "treated as [NonBreaching] (minimum 1 datapoint for OK -> ALARM transition).");
    expect_reason(8, 8, false, CW_MISSING_BREACHING, "- - - - - - - 0",
                  "Threshold Crossed: 1 datapoint [0.0 (20/11/26 10:07:00)] was not greater than "
                  "or equal to the threshold (1.0) and 7 missing datapoints were treated as "
                  "[Breaching].");
    expect_reason(5, 5, true, CW_MISSING_MISSING, "X X X X X",
                  "Threshold Crossed: 5 out of the last 5 datapoints were greater than or equal to "
                  "the threshold (1.0). The most recent datapoints which crossed the threshold: "
                  "[2.0 (20/11/26 10:04:00), 2.0 (20/11/26 10:03:00), 2.0 (20/11/26 10:02:00), 2.0 "
                  "(20/11/26 10:01:00), 2.0 (20/11/26 10:00:00)] (minimum 5 datapoints for OK -> "
                  "ALARM transition).");
    expect_reason(2, 3, false, CW_MISSING_BREACHING, "- - - - 0",
                  "Threshold Crossed: 1 datapoint was received for 3 periods and 2 missing "
                  "datapoints were treated as [Breaching].");
    expect_reason(2, 2, false, CW_MISSING_NOT_BREACHING, "- - - -",
                  "Threshold Crossed: no datapoints were received for 2 periods and 2 missing "
                  "datapoints were treated as [NonBreaching].");
    expect_reason(1, 1, false, CW_MISSING_BREACHING, "- - -",
                  "Threshold Crossed: no datapoints were received for 1 period and 1 missing "
                  "datapoint was treated as [Breaching].");
    expect_reason(3, 3, false, CW_MISSING_MISSING, "- - - - X",
                  "Insufficient Data: 2 datapoints were unknown.");
    expect_reason(1, 1, false, CW_MISSING_MISSING, "- - -",
                  "Insufficient Data: 1 datapoint was unknown.");
}

TEST(reason_data_tell_programs_the_same)
{
    auto_op struct op op = {0};
    op_init(&op);
    struct cw_alarm_point points[8] = {0};
    size_t count = points_from("- 0 X", points);
    struct cw_alarm_rule rule = rule_of(1, 2, CW_MISSING_MISSING);
    struct cw_alarm_verdict v = cw_alarm_evaluate(&rule, points, count);
    struct cw_alarm_words words = {.statistic = STR("Sum"), .unit = STR("Count"), .period_s = 60};
    REQUIRE(wall_parse(STR("2026-11-20T10:03:00.005Z"), &words.now));
    EXPECT_STR(cw_alarm_reason_data(&op.arena, &rule, points, count, &v, &words),
               "{\"version\":\"1.0\",\"queryDate\":\"2026-11-20T10:03:00.005+0000\",\"startDate\":"
               "\"2026-11-20T10:01:00.000+0000\",\"unit\":\"Count\",\"statistic\":\"Sum\","
               "\"period\":60,\"recentDatapoints\":[0.0,2.0],\"threshold\":1.0,"
               "\"evaluatedDatapoints\":[{\"timestamp\":\"2026-11-20T10:02:00.000+0000\","
               "\"sampleCount\":3.0,\"value\":2.0}]}");
    count = points_from("- - -", points);
    v = cw_alarm_evaluate(&rule, points, count);
    EXPECT_STR(cw_alarm_reason_data(&op.arena, &rule, points, count, &v, &words),
               "{\"version\":\"1.0\",\"queryDate\":\"2026-11-20T10:03:00.005+0000\",\"unit\":"
               "\"Count\",\"statistic\":\"Sum\",\"period\":60,\"recentDatapoints\":[],"
               "\"threshold\":1.0,\"evaluatedDatapoints\":[{\"timestamp\":"
               "\"2026-11-20T10:02:00.000+0000\"},{\"timestamp\":"
               "\"2026-11-20T10:01:00.000+0000\"}]}");
}

TEST(reason_data_of_a_long_alarm_stay_within_awss_limit)
{
    auto_op struct op op = {0};
    op_init(&op);
    static struct cw_alarm_point points[1500];
    for (size_t i = 0; i < ARRAY_COUNT(points); i++) {
        points[i] = (struct cw_alarm_point){.is_real = true,
                                            .value = 66.66201000304783,
                                            .sample_count = 123456789,
                                            .has_sample_count = true};
    }
    struct cw_alarm_rule rule = rule_of(1440, 1440, CW_MISSING_MISSING);
    struct cw_alarm_verdict v = cw_alarm_evaluate(&rule, points, ARRAY_COUNT(points));
    struct cw_alarm_words words = {.statistic = STR("Average"), .period_s = 60};
    EXPECT(cw_alarm_reason(&op.arena, &rule, points, ARRAY_COUNT(points), &v).len <= 1023);
    EXPECT(cw_alarm_reason_data(&op.arena, &rule, points, ARRAY_COUNT(points), &v, &words).len <=
           4000);
}
