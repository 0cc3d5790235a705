#include "series_text.h"
#include "svc/cloudwatch/errors.h"
#include "svc/cloudwatch/limits.h"
#include "svc/cloudwatch/metric_math.h"

#include "base/buf.h"
#include "base/check.h"

struct input {
    const char *id;
    const char *points;
};

static enum err eval(struct op *op, const char *expression, const struct input *inputs,
                     size_t count, struct cw_math_value *ret)
{
    struct cw_math math = {0};
    struct cw_math_binding bindings[8] = {0};
    for (size_t i = 0; i < count; i++) {
        struct cw_series *s = ARENA_NEW(&op->arena, struct cw_series);
        *s = series_from_text(&op->arena, inputs[i].id, inputs[i].points);
        bindings[i] = (struct cw_math_binding){
            .id = str_of(inputs[i].id),
            .value = {.kind = CW_MATH_SERIES, .items = s, .count = 1},
            .is_metric = !str_equal(str_of(inputs[i].id), STR("e0")),
        };
        s->is_metric = bindings[i].is_metric;
    }
    struct cw_math_scope scope = {
        .bindings = bindings,
        .binding_count = count,
        .scale = 1,
        .grid = series_from_text(&op->arena, "grid", "- - -"),
    };
    TRY(cw_math_parse(op, STR("e1"), str_of(expression), &math));
    return cw_math_eval(op, &math, &scope, ret);
}

struct math_case {
    const char *expression;
    struct input in[3];
    const char *want; /* series separated by "|" */
};

static void run_cases(const struct math_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        auto_op struct op op = {0};
        op_init(&op);
        struct cw_math_value got = {0};
        size_t inputs = 0;
        while (inputs < 3 && cases[i].in[inputs].id != NULL) {
            inputs++;
        }
        enum err e = eval(&op, cases[i].expression, cases[i].in, inputs, &got);
        struct str text = STR("");
        for (size_t s = 0; e == ERR_OK && s < got.count; s++) {
            struct str one = series_to_text(&op.arena, &got.items[s]);
            text = arena_printf(&op.arena, "%.*s%s%.*s", STR_ARG(text), s == 0 ? "" : " | ",
                                STR_ARG(one));
        }
        if (e != ERR_OK || !str_equal(text, str_of(cases[i].want))) {
            test_failed(__FILE__, __LINE__, "%s: got \"%.*s\" (%s), want \"%s\"",
                        cases[i].expression, STR_ARG(text), op.note.text, cases[i].want);
        }
    }
}

TEST(operators_bind_as_in_arithmetic)
{
    static const struct math_case cases[] = {
        {"m1+2*3", {{"m1", "1"}}, "7"},
        {"(m1+2)*3", {{"m1", "1"}}, "9"},
        {"-m1^2", {{"m1", "3"}}, "-9"},
        {"2^-m1", {{"m1", "1"}}, "0.5"},
        {"m1^3^2", {{"m1", "2"}}, "512"},
        {"m1-2-3", {{"m1", "10"}}, "5"},
        {"m1/2/5", {{"m1", "10"}}, "1"},
        {"m1 - -1", {{"m1", "1"}}, "2"},
        {"m1*100/m2", {{"m1", "1 2"}, {"m2", "4 4"}}, "25 50"},
        {"1 < m1 AND m1 < 3 OR m1 == 9", {{"m1", "1 2 3 9"}}, "0 1 0 1"},
        {"m1 >= 2 && m1 != 3 || m1 <= 0", {{"m1", "0 2 3 4"}}, "1 1 0 1"},
        {"1e2+.5*m1", {{"m1", "1"}}, "100.5"},
        {"5 * m1", {{"m1", "1 - 2"}}, "5 - 10"},
    };
    run_cases(cases, ARRAY_COUNT(cases));
}

TEST(missing_points_count_as_zero_and_division_by_zero_drops_the_point)
{
    static const struct math_case cases[] = {
        {"m1+m2", {{"m1", "1 - 3 -"}, {"m2", "10 20 - -"}}, "11 20 3 -"},
        {"m1-m2", {{"m1", "- 1"}, {"m2", "5 1"}}, "-5 0"},
        {"m1/m2", {{"m1", "4 4 4 -"}, {"m2", "2 0 - 2"}}, "2 - - 0"},
        {"m1/m2*100", {{"m1", "- 5"}, {"m2", "100 100"}}, "0 5"},
        {"1/m1", {{"m1", "0 2"}}, "- 0.5"},
        {"m1/0", {{"m1", "1 2"}}, "- -"},
        {"m1^0.5", {{"m1", "-4 4"}}, "- 2"},
        /* the user guide's own examples */
        {"metric1 < metric2", {{"metric1", "30 20 0 0"}, {"metric2", "20 - 20 -"}}, "0 0 1 0"},
        {"metric1 >= 30", {{"metric1", "30 20 0 0"}}, "1 0 0 0"},
        {"metric1 > 15 AND metric2 > 15",
         {{"metric1", "30 20 0 0"}, {"metric2", "20 - 20 -"}},
         "1 0 0 0"},
    };
    run_cases(cases, ARRAY_COUNT(cases));
}

TEST(if_follows_the_tables_of_the_user_guide)
{
    static const struct math_case cases[] = {
        {"IF(metric1, metric2, metric3)",
         {{"metric1", "1 1 0 0 -"}, {"metric2", "30 - 0 0 30"}, {"metric3", "0 0 20 - 20"}},
         "30 0 20 - -"},
        {"IF(metric1, 5, metric3)",
         {{"metric1", "1 1 0 0 -"}, {"metric3", "0 0 20 - 20"}},
         "5 5 20 - -"},
        {"IF(metric1, metric2, 5)",
         {{"metric1", "1 1 0 0 -"}, {"metric2", "30 - 0 0 30"}},
         "30 0 5 5 -"},
        {"IF(metric1<400, metric1)", {{"metric1", "100 500 - 399"}}, "100 - - 399"},
        {"IF(metric1<400, 10, 2)", {{"metric1", "100 500 - 399"}}, "10 2 - 10"},
        {"IF(0, metric1)", {{"metric1", "1 2"}}, "- -"},
        {"IF(1, metric1, metric2)", {{"metric1", "1 2"}, {"metric2", "3 4"}}, "1 2"},
        {"IF(0, metric1, metric2)", {{"metric1", "1 2"}, {"metric2", "3 4"}}, "3 4"},
    };
    run_cases(cases, ARRAY_COUNT(cases));
}

TEST(functions_of_one_series)
{
    static const struct math_case cases[] = {
        {"ABS(m1)", {{"m1", "-1 - 2"}}, "1 - 2"},
        {"CEIL(m1)", {{"m1", "1.2 -1.2"}}, "2 -1"},
        {"FLOOR(m1)", {{"m1", "1.2 -1.2"}}, "1 -2"},
        {"LOG10(m1)", {{"m1", "100 0 -1"}}, "2 - -"},
        {"LOG(m1)", {{"m1", "1"}}, "0"},
        {"DIFF(m1)", {{"m1", "1 4 - 9"}}, "- 3 - 5"},
        {"DIFF_TIME(m1)", {{"m1", "1 4 - 9"}}, "- 60 - 120"},
        {"RATE(m1)", {{"m1", "0 60 - 180"}}, "- 1 - 1"},
        {"RUNNING_SUM(m1)", {{"m1", "1 - 2 3"}}, "1 - 3 6"},
        {"m1-AVG(m1)", {{"m1", "1 - 3"}}, "-1 - 1"},
        {"m1/PERIOD(m1)", {{"m1", "60"}}, "1"},
        {"m1*0+STDDEV(m1)", {{"m1", "2 4 4 4 5 5 7 9"}}, "2 2 2 2 2 2 2 2"},
        {"m1*0+DATAPOINT_COUNT(m1)", {{"m1", "5 - 5"}}, "2 - 2"},
        {"m1*0+MAX(m1)-MIN(m1)", {{"m1", "5 - 7"}}, "2 - 2"},
        {"MINUTE(m1)", {{"m1", "5 - 7"}}, "0 1 2"},
        {"HOUR(m1)+DATE(m1)+MONTH(m1)", {{"m1", "5"}}, "2"},
        {"YEAR(m1)", {{"m1", "5"}}, "1970"},
        {"DAY(m1)", {{"m1", "-"}}, "4"},
        {"EPOCH(m1)", {{"m1", "- 1"}}, "0 60"},
        {"TIME_SERIES(7)", {{"m1", "1"}}, "7 7 7"},
        {"TIME_SERIES(MAX(m1))", {{"m1", "1 9"}}, "9 9 9"},
    };
    run_cases(cases, ARRAY_COUNT(cases));
}

TEST(fill_fills_with_numbers_neighbours_lines_and_other_series)
{
    static const struct math_case cases[] = {
        {"FILL(m1, 0)", {{"m1", "- 1 - 2 -"}}, "0 1 0 2 0"},
        {"FILL(m1, REPEAT)", {{"m1", "- 1 - 2 -"}}, "- 1 1 2 2"},
        {"FILL(m1, LINEAR)", {{"m1", "- 1 - - 4 -"}}, "- 1 2 3 4 -"},
        {"FILL(m1, m2)", {{"m1", "- 1 - 2"}, {"m2", "9 9 - 9"}}, "9 1 - 2"},
        {"FILL(m1, MIN(m1))", {{"m1", "5 - 3"}}, "5 3 3"},
        {"FILL(METRICS(), 0)", {{"m1", "5 -"}, {"m2", "- 6"}}, "5 0 | 0 6"},
        {"FILL(m1, 0)/m2", {{"m1", "- -"}, {"m2", "2 4"}}, "0 0"},
    };
    run_cases(cases, ARRAY_COUNT(cases));
}

TEST(functions_of_arrays)
{
    static const struct math_case cases[] = {
        {"SUM([m1,m2])", {{"m1", "1 - 3"}, {"m2", "1 2 -"}}, "2 2 3"},
        {"AVG([m1,m2])", {{"m1", "1 - 3"}, {"m2", "1 2 -"}}, "1 1 1.5"},
        {"MIN([m1,m2])", {{"m1", "1 - 3"}, {"m2", "2 2 -"}}, "1 2 3"},
        {"MAX([m1,m2])", {{"m1", "1 - -"}, {"m2", "2 2 -"}}, "2 2 -"},
        {"STDDEV([m1,m2])", {{"m1", "1"}, {"m2", "3"}}, "1"},
        {"DATAPOINT_COUNT([m1,m2])", {{"m1", "1 - -"}, {"m2", "2 2 -"}}, "2 1 -"},
        {"METRICS()*100", {{"m1", "1"}, {"m2", "2"}, {"e0", "3"}}, "100 | 200"},
        {"SUM(METRICS(\"errors\"))/SUM(METRICS('requests'))*100",
         {{"errors1", "1"}, {"errors2", "1"}, {"requests", "10"}},
         "20"},
        {"m1/METRIC_COUNT(METRICS())", {{"m1", "4"}, {"m2", "-"}}, "2"},
        {"SUM(100/[m1, m2])", {{"m1", "10"}, {"m2", "50"}}, "12"},
        {"AVG([m1,m2]/m3)", {{"m1", "2"}, {"m2", "4"}, {"m3", "2"}}, "1.5"},
        {"SUM(-[m1, m2])", {{"m1", "2"}, {"m2", "4"}}, "-6"},
        {"MIN(ABS([m1, m2]))", {{"m1", "-2"}, {"m2", "4"}}, "2"},
        {"FIRST(METRICS())", {{"m1", "1"}, {"m2", "2"}}, "1"},
        {"LAST([m1,m2])", {{"m1", "1"}, {"m2", "2"}}, "2"},
        {"REMOVE_EMPTY(METRICS())", {{"m1", "-"}, {"m2", "2"}}, "2"},
        {"SORT(METRICS(), AVG, DESC)", {{"m1", "1"}, {"m2", "3"}, {"m3", "2"}}, "3 | 2 | 1"},
        {"SORT(METRICS(), SUM, ASC, 2)", {{"m1", "1"}, {"m2", "3"}, {"m3", "-"}}, "1 | 3"},
        {"SLICE(SORT(METRICS(), SUM, DESC), 1)", {{"m1", "1"}, {"m2", "3"}, {"m3", "2"}}, "2 | 1"},
        {"SLICE(METRICS(), 0, 1)", {{"m1", "1"}, {"m2", "3"}}, "1"},
        {"IF(FIRST(SORT(METRICS(), AVG, DESC))>100, 1, 0)", {{"m1", "1"}, {"m2", "300"}}, "1"},
        {"[m1, [m2]]", {{"m1", "1"}, {"m2", "3"}}, "1 | 3"},
    };
    run_cases(cases, ARRAY_COUNT(cases));
}

static void expect_refused(const char *expression, const char *want)
{
    auto_op struct op op = {0};
    op_init(&op);
    static const struct input inputs[] = {{"m1", "1 2"}, {"m2", "3 4"}};
    struct cw_math_value got = {0};
    if (eval(&op, expression, inputs, ARRAY_COUNT(inputs), &got) == ERR_OK) {
        test_failed(__FILE__, __LINE__, "%s was taken", expression);
        return;
    }
    EXPECT(op.note.public_error == &cw_error_validation);
    EXPECT(str_find(str_of(op.note.text), STR("Error in expression 'e1': "), 0) != STR_NOT_FOUND);
    if (str_find(str_of(op.note.text), str_of(want), 0) == STR_NOT_FOUND) {
        test_failed(__FILE__, __LINE__, "%s: \"%s\" lacks \"%s\"", expression, op.note.text, want);
    }
}

TEST(wrong_expressions_are_refused_with_a_reason)
{
    static const struct {
        const char *expression;
        const char *want;
    } rows[] = {
        {"", "Syntax error"},
        {"m1+", "Syntax error"},
        {"+m1", "Syntax error"},
        {"(m1", "Syntax error"},
        {"m1)", "Syntax error"},
        {"[m1)", "Syntax error"},
        {"[m1", "Syntax error"},
        {"()", "Syntax error"},
        {"IF(m1>)", "Syntax error"},
        {"(-)", "Syntax error"},
        {"[m1+]", "Syntax error"},
        {"SUM([m1*])", "Syntax error"},
        {"m1 m2", "Syntax error"},
        {"m1 = 2", "Syntax error"},
        {"SUM(m1,)", "Syntax error"},
        {"SUM(,m1)", "Syntax error"},
        {"m1,m2", "Syntax error"},
        {"(m1,m2)", "Syntax error"},
        {"5m", "Syntax error"},
        {"1.2.3", "Syntax error"},
        {"m1 # 2", "Syntax error"},
        {"METRICS(\"x)", "Syntax error"},
        {"m9", "m9"},
        {"NOPE(m1)", "Unsupported function 'NOPE'"},
        {"sum(m1)", "Unsupported function 'sum'"},
        {"AVG(m1)", "must be a time series"},
        {"5", "must be a time series"},
        {"SUM()", "does not take 0"},
        {"METRICS()+METRICS()",
         "Unsupported operand type(s) for +: '[Array[TimeSeries], Array[TimeSeries]]'"},
        {"m1+'x'", "'[TimeSeries, String]'"},
        {"-REPEAT", "'[String]'"},
        {"ABS(5)", "Unsupported operand type(s) for ABS: '[Scalar]'"},
        {"SUM(5)", "'[Scalar]'"},
        {"FIRST(m1)", "'[TimeSeries]'"},
        {"FILL(m1, NEVER)", "'[String]'"},
        {"SORT(METRICS(), P99, ASC)", "'[String]'"},
        {"SORT(METRICS(), AVG, UP)", "'[String]'"},
        {"IF(METRICS(), 1, 0)", "'[Array[TimeSeries]]'"},
        {"PERIOD(m1+m2)*m1", "PERIOD"},
        {"[1, 2]", "array element"},
        {"SEARCH('{AWS/EC2}', 'Sum')", "SEARCH"},
        {"ANOMALY_DETECTION_BAND(m1)", "not available"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        expect_refused(rows[i].expression, rows[i].want);
    }
}

TEST(depth_steps_and_length_of_an_expression_are_limited)
{
    auto_buf struct buf text = {0};
    buf_init(&text, 1 << 16);
    for (int i = 0; i < CW_MATH_DEPTH_MAX + 1; i++) {
        buf_add_char(&text, '(');
    }
    buf_add(&text, STR("m1"));
    for (int i = 0; i < CW_MATH_DEPTH_MAX + 1; i++) {
        buf_add_char(&text, ')');
    }
    buf_add_char(&text, '\0');
    expect_refused(text.ptr, "nested too deeply");
    buf_reset(&text);
    for (int i = 0; i < 400; i++) {
        buf_add_char(&text, '-');
    }
    buf_add_bytes(&text, "m1", 3);
    expect_refused(text.ptr, "nested too deeply");
    buf_reset(&text);
    for (int i = 0; i < CW_EXPRESSION_BYTES_MAX / 2; i++) {
        buf_add(&text, STR("1+"));
    }
    buf_add_bytes(&text, "m1", 3);
    expect_refused(text.ptr, "longer than");
    buf_reset(&text);
    for (int i = 0; i < CW_EXPRESSION_BYTES_MAX / 2 - 1; i++) {
        buf_add(&text, STR("1+"));
    }
    buf_add_bytes(&text, "m1", 3);
    expect_refused(text.ptr, "too complex");
}

TEST(rates_count_configured_seconds_under_a_time_scale)
{
    auto_op struct op op = {0};
    op_init(&op);
    struct cw_series s = series_from_text(&op.arena, "m1", "0 60");
    s.step_us /= 60;
    s.items[1].at_us /= 60;
    struct cw_math_binding binding = {.id = STR("m1"),
                                      .is_metric = true,
                                      .value = {.kind = CW_MATH_SERIES, .items = &s, .count = 1}};
    struct cw_math_scope scope = {.bindings = &binding, .binding_count = 1, .scale = 60, .grid = s};
    struct cw_math math = {0};
    struct cw_math_value got = {0};
    REQUIRE_OK(cw_math_parse(&op, STR("e1"), STR("RATE(m1)"), &math), &op);
    REQUIRE_OK(cw_math_eval(&op, &math, &scope, &got), &op);
    REQUIRE_EQ(got.items[0].count, 1);
    EXPECT(got.items[0].items[0].value == 1.0);
}
