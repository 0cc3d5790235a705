#include "base/buf.h"
#include "base/check.h"
#include "gen/logs.h"
#include "svc/logs/filter.h"
#include "test.h"

static bool matches(const char *pattern, const char *message)
{
    auto_op struct op op = {0};
    op_init(&op);
    struct logs_filter filter = {0};
    REQUIRE_OK(logs_filter_parse(&op, str_of(pattern), &filter), &op);
    return logs_filter_matches(&filter, str_of(message), &op.arena);
}

struct filter_case {
    const char *pattern;
    const char *message;
    bool want;
};

static void run_cases(const struct filter_case *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (matches(rows[i].pattern, rows[i].message) != rows[i].want) {
            test_failed(__FILE__, __LINE__, "%s on %s: want %d", rows[i].pattern, rows[i].message,
                        rows[i].want);
        }
    }
}

TEST(terms_phrases_options_and_exclusions)
{
    static const struct filter_case rows[] = {
        {"", "anything", true},
        {"  ", "anything", true},
        {"ERROR", "[ERROR] out of memory", true},
        {"ERROR", "error", false},
        {"ERROR memory", "[ERROR] out of memory", true},
        {"ERROR disk", "[ERROR] out of memory", false},
        {"\"out of memory\"", "[ERROR] out of memory", true},
        {"\"of out\"", "[ERROR] out of memory", false},
        {"\"say \\\"hi\\\"\"", "they say \"hi\"", true},
        {"?ERROR ?WARN", "WARN: slow", true},
        {"?ERROR ?WARN", "INFO: slow", false},
        {"slow ?ERROR", "INFO: slow", true},
        {"ERROR -timeout", "ERROR disk", true},
        {"ERROR -timeout", "ERROR timeout", false},
        {"-DEBUG", "INFO", true},
        {"-\"a b\"", "x a b y", false},
        {"a?b", "a?b", true},
    };
    run_cases(rows, ARRAY_COUNT(rows));
}

#define EVENT                                                                              \
    "{\"level\":\"error\",\"ms\":150,\"ok\":true,\"no\":null,\"path\":\"/api/questions\"," \
    "\"user\":{\"id\":7,\"tags\":[\"a\",{\"b\":\"c\"}]},\"odd key\":\"x\",\"s\":\"7\"}"

TEST(conditions_on_json)
{
    static const struct filter_case rows[] = {
        {"{ $.level = \"error\" }", EVENT, true},
        {"{$.level=error}", EVENT, true},
        {"{ $.level != \"error\" }", EVENT, false},
        {"{ $.level = \"warn\" }", EVENT, false},
        {"{ $.path = \"/api/*\" }", EVENT, true},
        {"{ $.path = \"*questions\" }", EVENT, true},
        {"{ $.path != \"/api/*\" }", EVENT, false},
        {"{ $.ms > 100 }", EVENT, true},
        {"{ $.ms > 150 }", EVENT, false},
        {"{ $.ms >= 150 && $.ms <= 1.5e2 }", EVENT, true},
        {"{ $.ms = 150 }", EVENT, true},
        {"{ $.ms != 150 }", EVENT, false},
        {"{ $.ms < 150 || $.level = \"error\" }", EVENT, true},
        {"{ ($.ms < 150 || $.level = \"error\") && $.ok IS FALSE }", EVENT, false},
        {"{ $.ms < 150 || $.level = \"error\" && $.ok IS TRUE }", EVENT, true},
        {"{ (($.ms = 150)) }", EVENT, true},
        {"{ $.ok = true }", EVENT, true},
        {"{ $.no IS NULL }", EVENT, true},
        {"{ $.ok IS NULL }", EVENT, false},
        {"{ $.nothing NOT EXISTS }", EVENT, true},
        {"{ $.ok NOT EXISTS }", EVENT, false},
        {"{ $.nothing = \"x\" }", EVENT, false},
        {"{ $.nothing != \"x\" }", EVENT, false},
        {"{ $.user.id = 7 }", EVENT, true},
        {"{ $.user.tags[0] = \"a\" }", EVENT, true},
        {"{ $.user.tags[1].b = \"c\" }", EVENT, true},
        {"{ $.user.tags[2] = \"c\" }", EVENT, false},
        {"{ $[\"odd key\"] = \"x\" }", EVENT, true},
        {"{ $.s = 7 }", EVENT, true},
        {"{ $.level = \"error\" }", "no json", false},
        {"{ $.level = \"error\" }", "{\"level\":", false},
        {"{ $.x NOT EXISTS }", "{\"level\":", false},
        {"{ $.level = \"error\" }", "[1]", false},
        {"{ $.level = \"error\" }", "", false},
    };
    run_cases(rows, ARRAY_COUNT(rows));
}

static void expect_refused(struct str pattern)
{
    auto_op struct op op = {0};
    op_init(&op);
    struct logs_filter filter = {0};
    if (logs_filter_parse(&op, pattern, &filter) == ERR_OK) {
        test_failed(__FILE__, __LINE__, "\"%.*s\" was taken", STR_ARG(pattern));
        return;
    }
    EXPECT(op.note.public_error == &logs_error_invalid_parameter_exception);
}

TEST(wrong_patterns_are_refused)
{
    static const char *const rows[] = {
        "\"open",
        "?",
        "-",
        "\"\"",
        "{",
        "{}",
        "{ $ = 1 }",
        "{ $.a }",
        "{ $.a = }",
        "{ $.a = 1",
        "{ $.a = 1 } x",
        "{ $.a = 1 && }",
        "{ && $.a = 1 }",
        "{ ($.a = 1 }",
        "{ $.a = 1) }",
        "{ $.a > \"x\" }",
        "{ $.a > x }",
        "{ .a = 1 }",
        "{ $.a[x] = 1 }",
        "{ $.a[1 = 1 }",
        "{ $..a = 1 }",
        "{ $.a = \"x }",
        "{ $.a IS }",
        "{ $.[\"k\"] = 1 }",
        "%err%",
        "{ $.a = %x% }",
        "[ip, user]",
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        expect_refused(str_of(rows[i]));
    }
}

TEST(length_depth_and_conditions_of_a_pattern_are_limited)
{
    auto_buf struct buf text = {0};
    buf_init(&text, 1 << 16);
    for (int i = 0; i < LOGS_FILTER_BYTES_MAX + 1; i++) {
        buf_add_char(&text, 'x');
    }
    expect_refused(buf_str(&text));
    buf_reset(&text);
    buf_add(&text, STR("{ "));
    for (int i = 0; i < LOGS_FILTER_DEPTH_MAX * 2 + 1; i++) {
        buf_add_char(&text, '(');
    }
    buf_add(&text, STR("$.a=1"));
    for (int i = 0; i < LOGS_FILTER_DEPTH_MAX * 2 + 1; i++) {
        buf_add_char(&text, ')');
    }
    buf_add(&text, STR(" }"));
    expect_refused(buf_str(&text));
    buf_reset(&text);
    buf_add(&text, STR("{ $"));
    for (int i = 0; i < LOGS_FILTER_PATH_MAX + 1; i++) {
        buf_add(&text, STR(".a"));
    }
    buf_add(&text, STR(" = 1 }"));
    expect_refused(buf_str(&text));
    buf_reset(&text);
    for (int i = 0; i < LOGS_FILTER_TERMS_MAX + 1; i++) {
        buf_add(&text, STR("a "));
    }
    expect_refused(buf_str(&text));
    buf_reset(&text);
    buf_add(&text, STR("{$.a=1"));
    for (int i = 0; i < 120; i++) {
        buf_add(&text, STR("||$.a=1"));
    }
    buf_add_char(&text, '}');
    auto_op struct op op = {0};
    op_init(&op);
    struct logs_filter filter = {0};
    REQUIRE_OK(logs_filter_parse(&op, buf_str(&text), &filter), &op);
    EXPECT(logs_filter_matches(&filter, STR("{\"a\":1}"), &op.arena));
}
