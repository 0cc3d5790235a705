#include "base/check.h"
#include "base/cleanup.h"
#include "codec/json.h"
#include "test.h"

#include <math.h>

/* Reads a whole value without knowing it. */
static enum err check_text(struct op *op, struct str text)
{
    struct json_reader r;
    json_reader_init(&r, &op->arena, text);
    (void)json_skip(&r); /* json_finish tells */
    return json_finish(&r, op);
}

TEST(json_takes_what_rfc_8259_allows)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        " [ ] ",
        "\"\"",
        "0",
        "-0",
        "-0.0e-0",
        "1E+2",
        "1e2",
        "123456789012345678901234567890",
        "true",
        "false",
        "null",
        "[1,[2,[3,{\"a\":[]}]]]",
        "{\"\":0}",
        "{\"a\":1,\"a\":2}",
        "\"\\u0041\\uD83D\\uDE00\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\x7f\"",
        "\"\xC3\xA4\xF0\x9F\x98\x80\"",
        "\t\r\n {\"a\" : [ 1 , 2 ] } \n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        auto_op struct op op;
        op_init(&op);
        if (check_text(&op, str_of(texts[i])) != ERR_OK) {
            test_failed(__FILE__, __LINE__, "refused %s: %s", texts[i], op.note.text);
        }
    }
}

TEST(json_refuses_what_rfc_8259_forbids)
{
    static const struct str texts[] = {
        STR_INIT(""),
        STR_INIT(" "),
        STR_INIT("{"),
        STR_INIT("}"),
        STR_INIT("["),
        STR_INIT("[1"),
        STR_INIT("[1,"),
        STR_INIT("[1,]"),
        STR_INIT("[,1]"),
        STR_INIT("[1 2]"),
        STR_INIT("[1}"),
        STR_INIT("{\"a\"}"),
        STR_INIT("{\"a\":}"),
        STR_INIT("{\"a\":1,}"),
        STR_INIT("{a:1}"),
        STR_INIT("{'a':1}"),
        STR_INIT("{1:1}"),
        STR_INIT("{\"a\":1 \"b\":2}"),
        STR_INIT("{\"a\" 1}"),
        STR_INIT("01"),
        STR_INIT("-"),
        STR_INIT("+1"),
        STR_INIT(".5"),
        STR_INIT("1."),
        STR_INIT("1e"),
        STR_INIT("1e+"),
        STR_INIT("0x10"),
        STR_INIT("1.e1"),
        STR_INIT("--1"),
        STR_INIT("NaN"),
        STR_INIT("Infinity"),
        STR_INIT("tru"),
        STR_INIT("True"),
        STR_INIT("nulll"),
        STR_INIT("1 1"),
        STR_INIT("\""),
        STR_INIT("\"\\\""),
        STR_INIT("\"\\x\""),
        STR_INIT("\"\\u12\""),
        STR_INIT("\"\\u12g4\""),
        STR_INIT("\"\\uD800\""),
        STR_INIT("\"\\uDC00\""),
        STR_INIT("\"\\uD800\\u0041\""),
        STR_INIT("\"\n\""),
        STR_INIT("\"\t\""),
        STR_INIT("\"\0\""),
        STR_INIT("\"\x80\""),
        STR_INIT("\"\xC0\xAF\""),
        STR_INIT("\"\xED\xA0\x80\""),
        STR_INIT("\"\xF4\x90\x80\x80\""),
        STR_INIT("\"\xE2\x82\""),
        STR_INIT("[1]//x"),
        STR_INIT("/**/1"),
        STR_INIT("\xEF\xBB\xBF{}"),
        STR_INIT("[1]\0"),
        STR_INIT("\"\\u0000"),
        STR_INIT("1234567890123456789012345678901234567890123456789012345678901234"),
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        auto_op struct op op;
        op_init(&op);
        if (check_text(&op, texts[i]) == ERR_OK) {
            test_failed(__FILE__, __LINE__, "took number %zu: %.*s", i, STR_ARG(texts[i]));
        }
    }
}

TEST(json_refuses_every_truncation)
{
    struct str text = STR("{\"a\":[1,-2.5e3,true,false,null,\"x\\u00e4\\n\"],\"b\":{\"c\":{}}}");
    for (size_t cut = 0; cut < text.len; cut++) {
        auto_op struct op op;
        op_init(&op);
        /* an exact copy, so that the address sanitizer sees a read past the end */
        struct str part = arena_str(&op.arena, str_slice(text, 0, cut));
        if (check_text(&op, part) == ERR_OK) {
            test_failed(__FILE__, __LINE__, "took the first %zu bytes", cut);
        }
    }
}

TEST(json_nests_to_the_limit_and_no_further)
{
    char text[2 * (JSON_DEPTH_MAX + 1)];
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        auto_op struct op op;
        op_init(&op);
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        EXPECT_EQ(check_text(&op, str_make(text, 2 * depth)) == ERR_OK, depth == JSON_DEPTH_MAX);
    }
}

TEST(json_strings_lose_their_escapes_wherever_these_stand)
{
    static const struct {
        struct str json;
        struct str text;
    } cases[] = {
        {STR_INIT("\"plain text longer than eight\""), STR_INIT("plain text longer than eight")},
        {STR_INIT("\"1234567\\n\""), STR_INIT("1234567\n")},
        {STR_INIT("\"12345678\\\"\""), STR_INIT("12345678\"")},
        {STR_INIT("\"\\u0000\""), STR_INIT("\0")},
        {STR_INIT("\"\\uD83D\\uDE00\\u20AC\\u00e4\\u0041\""),
         STR_INIT("\xF0\x9F\x98\x80\xE2\x82\xAC\xC3\xA4\x41")},
        {STR_INIT("\"a\\\\b\\/c\""), STR_INIT("a\\b/c")},
        {STR_INIT("\"\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\\t\xC3\xA4\""),
         STR_INIT("\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\t\xC3\xA4")},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        auto_op struct op op;
        op_init(&op);
        struct json_reader r;
        struct str got = STR_NONE;
        json_reader_init(&r, &op.arena, cases[i].json);
        EXPECT(json_read_string(&r, &got));
        EXPECT_STR_EQ(got, cases[i].text);
        EXPECT_OK(json_finish(&r, &op), &op);
    }
}

TEST(json_errors_name_line_column_and_path)
{
    auto_op struct op op;
    op_init(&op);
    EXPECT_EQ(check_text(&op, STR("{\n  \"services\": [{}, {\"name\": tru}]\n}")), ERR_INPUT);
    EXPECT_STR(str_of(op.note.text),
               "JSON line 2 column 29, at \"services[1].name\": expected true, false or null");
}

TEST(json_numbers_keep_their_value)
{
    static const struct {
        const char *text;
        bool is_whole;
        int64_t whole;
    } cases[] = {
        {"0", true, 0},
        {"-1", true, -1},
        {"10.0", true, 10},
        {"1e3", true, 1000},
        {"1.5", false, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"1e400", false, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        auto_op struct op op;
        op_init(&op);
        struct json_reader r;
        int64_t value = 0;
        bool is_whole = false;
        json_reader_init(&r, &op.arena, str_of(cases[i].text));
        EXPECT_EQ(json_read_i64(&r, &value, &is_whole), cases[i].is_whole);
        EXPECT_EQ(value, cases[i].whole);
        EXPECT_EQ(is_whole, cases[i].is_whole);
    }
}

TEST(json_writer_sets_commas_and_escapes)
{
    auto_buf struct buf out;
    buf_init(&out, 10000);
    struct json_writer w;
    json_writer_init(&w, &out);
    json_begin_object(&w);
    json_key(&w, STR("a"));
    json_begin_array(&w);
    json_add_i64(&w, INT64_MIN);
    json_add_f64(&w, 0.1);
    json_add_f64(&w, 1e21);
    json_add_f64(&w, (double)NAN);
    json_begin_array(&w);
    json_end_array(&w);
    json_begin_object(&w);
    json_end_object(&w);
    json_add_bool(&w, true);
    json_add_null(&w);
    json_end_array(&w);
    json_key(&w, STR("q\"\\\n\x01\x7f\xC3\xA4\xFF"));
    json_add_string(&w, STR(""));
    json_end_object(&w);
    EXPECT_STR(buf_str(&out), "{\"a\":[-9223372036854775808,0.1,1e+21,null,[],{},true,null],"
                              "\"q\\\"\\\\\\n\\u0001\\u007f\xC3\xA4\xEF\xBF\xBD\":\"\"}");
    auto_op struct op op;
    op_init(&op);
    EXPECT_OK(check_text(&op, buf_str(&out)), &op);
}

TEST(json_doubles_survive_a_round_trip)
{
    static const double values[] = {0.0,
                                    1.0,
                                    -1.5,
                                    0.1,
                                    1.0 / 3,
                                    1e-300,
                                    1.7976931348623157e308,
                                    123456789.123456789,
                                    9007199254740993.0,
                                    5e-324};
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        char text[F64_TEXT_BYTES];
        double back = 0;
        size_t len = f64_text(values[i], text);
        EXPECT(len < F64_TEXT_BYTES);
        EXPECT(json_number_f64(str_make(text, len), &back));
        EXPECT(back == values[i]);
    }
}
