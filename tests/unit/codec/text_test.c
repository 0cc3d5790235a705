#include "base/check.h"
#include "base/cleanup.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/urlenc.h"
#include "codec/utf8.h"
#include "codec/xml.h"
#include "test.h"

/* Source: RFC 4648 section 10. */
TEST(base64_agrees_with_the_rfc)
{
    static const struct {
        const char *bytes;
        const char *text;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"}};
    static const char *const wrong[] = {"Z",    "Zg",     "Zg=",  "Zg===", "Zh==", "Zm9=",
                                        "Zm 9", "Zm9v\n", "Zm-_", "=",     "====", "Zg==Zg=="};
    auto_op struct op op;
    op_init(&op);
    struct str back;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        EXPECT_STR(base64_encode(&op.arena, str_of(cases[i].bytes)), cases[i].text);
        REQUIRE(base64_decode(&op.arena, str_of(cases[i].text), &back));
        EXPECT_STR(back, cases[i].bytes);
    }
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        EXPECT(!base64_decode(&op.arena, str_of(wrong[i]), &back));
    }
    EXPECT_STR(base64url_encode(&op.arena, STR("\xFB\xFF\xFE\x01")), "-__-AQ");
    EXPECT(base64url_decode(&op.arena, STR("-__-AQ"), &back));
    EXPECT_STR(back, "\xFB\xFF\xFE\x01");
    EXPECT(base64url_decode(&op.arena, STR("-__-AQ=="), &back));
    EXPECT(!base64url_decode(&op.arena, STR("-__-AQ="), &back));
}

TEST(hex_goes_both_ways)
{
    auto_op struct op op;
    op_init(&op);
    char bytes[4];
    EXPECT_STR(hex_encode(&op.arena, "\x00\xAB\xFF", 3), "00abff");
    EXPECT(hex_decode_to(STR("00aBfF"), bytes, sizeof(bytes)));
    EXPECT(memcmp(bytes, "\x00\xAB\xFF", 3) == 0);
    EXPECT(!hex_decode_to(STR("0"), bytes, sizeof(bytes)));
    EXPECT(!hex_decode_to(STR("0g"), bytes, sizeof(bytes)));
    EXPECT(!hex_decode_to(STR("0011223344"), bytes, sizeof(bytes)));
}

TEST(utf8_counts_characters_and_finds_the_first_bad_byte)
{
    EXPECT_EQ(utf8_count(STR("a\xC3\xA4\xF0\x9F\x98\x80")), 3);
    EXPECT_EQ(utf8_valid_bytes(STR("12345678abc\xC3")), 11);
    EXPECT(utf8_is_valid(STR("12345678\xE2\x82\xAC"
                             "9")));
    EXPECT(!utf8_is_valid(STR("\xC0\x80")));
    EXPECT(!utf8_is_valid(STR("\xE0\x80\x80")));
    EXPECT(!utf8_is_valid(STR("\xED\xBF\xBF")));
    EXPECT(!utf8_is_valid(STR("\xF5\x80\x80\x80")));
}

TEST(forms_are_decoded_in_order)
{
    auto_op struct op op;
    op_init(&op);
    struct url_form form;
    REQUIRE_OK(url_form_parse(&op, STR("a=1&b=x%20y+z&&c&d=&a=%C3%A4%3D"), &form), &op);
    REQUIRE_EQ(form.count, 5);
    EXPECT_STR(url_form_find(&form, STR("a")), "1");
    EXPECT_STR(form.items[1].value, "x y z");
    EXPECT_STR(form.items[2].name, "c");
    EXPECT_STR(form.items[2].value, "");
    EXPECT_STR(form.items[4].value, "\xC3\xA4=");
    EXPECT(!str_is_set(url_form_find(&form, STR("z"))));
    REQUIRE_OK(url_form_parse(&op, STR(""), &form), &op);
    EXPECT_EQ(form.count, 0);
    static const char *const wrong[] = {"a=%", "a=%2", "a=%2g", "%zz=1", "a=%FF"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        EXPECT_EQ(url_form_parse(&op, str_of(wrong[i]), &form), ERR_INPUT);
    }
}

TEST(percent_coding_follows_sigv4)
{
    auto_buf struct buf out;
    buf_init(&out, 1000);
    url_encode(&out, STR("a/b c~-_.\xC3\xA4+="), false);
    EXPECT_STR(buf_str(&out), "a%2Fb%20c~-_.%C3%A4%2B%3D");
    buf_reset(&out);
    url_encode(&out, STR("/a b/"), true);
    EXPECT_STR(buf_str(&out), "/a%20b/");
}

TEST(xml_writes_what_it_reads)
{
    auto_op struct op op;
    op_init(&op);
    auto_buf struct buf out;
    buf_init(&out, 1000);
    xml_open(&out, STR("r"));
    xml_element(&out, STR("t"), STR("a<b>&\"'\n\r\xC3\xA4"));
    xml_element(&out, STR("e"), STR(""));
    xml_element(&out, STR("bad"), STR("\x01\xFF"));
    xml_close(&out, STR("r"));
    EXPECT_STR(buf_str(&out), "<r><t>a&lt;b&gt;&amp;&quot;'\n&#xD;\xC3\xA4</t><e></e>"
                              "<bad>\xEF\xBF\xBD\xEF\xBF\xBD</bad></r>");
    struct xml_reader r;
    struct str name;
    struct str text;
    xml_reader_init(&r, &op.arena, buf_str(&out));
    REQUIRE(xml_enter_root(&r, &name));
    EXPECT_STR(name, "r");
    REQUIRE(xml_next_child(&r, &name));
    REQUIRE(xml_read_text(&r, &text));
    EXPECT_STR(text, "a<b>&\"'\n\r\xC3\xA4");
    REQUIRE(xml_next_child(&r, &name));
    EXPECT_STR(name, "e");
    REQUIRE(xml_read_text(&r, &text));
    EXPECT_STR(text, "");
    REQUIRE(xml_next_child(&r, &name));
    REQUIRE(xml_skip(&r));
    EXPECT(!xml_next_child(&r, &name));
    EXPECT_OK(xml_finish(&r, &op), &op);
}

#define XML_SAMPLE                                                            \
    "<?xml version=\"1.0\"?>\n<!-- c --><n:a xmlns:n='u' k = \"v\"> <b/> <c " \
    "x='1'>t<![CDATA[<&]]>&#65;&#x42;"                                        \
    "<!-- c -->&amp;</c ><d><e>1</e></d></n:a>\n<!-- end -->"

TEST(xml_reads_prologs_prefixes_cdata_and_references)
{
    auto_op struct op op;
    op_init(&op);
    struct xml_reader r;
    struct str name;
    struct str text;
    xml_reader_init(&r, &op.arena, STR(XML_SAMPLE));
    REQUIRE(xml_enter_root(&r, &name));
    EXPECT_STR(name, "a");
    REQUIRE(xml_next_child(&r, &name));
    EXPECT_STR(name, "b");
    EXPECT(!xml_next_child(&r, &name));
    REQUIRE(xml_next_child(&r, &name));
    EXPECT_STR(name, "c");
    REQUIRE(xml_read_text(&r, &text));
    EXPECT_STR(text, "t<&AB&");
    REQUIRE(xml_next_child(&r, &name));
    REQUIRE(xml_skip(&r));
    EXPECT(!xml_next_child(&r, &name));
    EXPECT_OK(xml_finish(&r, &op), &op);
}

static enum err check_xml(struct op *op, struct str text)
{
    struct xml_reader r;
    struct str name;
    xml_reader_init(&r, &op->arena, text);
    if (xml_enter_root(&r, &name)) {
        (void)xml_skip(&r); /* xml_finish tells */
    }
    return xml_finish(&r, op);
}

TEST(xml_refuses_truncated_and_broken_text)
{
    auto_op struct op op;
    op_init(&op);
    size_t whole = str_find(STR(XML_SAMPLE), STR("</n:a>"), 0) + 6;
    for (size_t cut = 0; cut < whole; cut++) {
        EXPECT(check_xml(&op, arena_str(&op.arena, str_slice(STR(XML_SAMPLE), 0, cut))) != ERR_OK);
    }
    static const char *const wrong[] = {
        "<a></b>",
        "<a>&x;</a>",
        "<a>&#0;</a>",
        "<a>&#xD800;</a>",
        "<a>&amp</a>",
        "<a b></a>",
        "<a b=c></a>",
        "<a b=\"<\"></a>",
        "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
        "<a><!DOCTYPE a></a>",
        "<a/><b/>",
        "<a/>x",
        "x<a/>",
        "< a/>",
        "<a",
        "<a>\xFF</a>",
        "</a>",
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        if (check_xml(&op, str_of(wrong[i])) == ERR_OK) {
            test_failed(__FILE__, __LINE__, "took %s", wrong[i]);
        }
    }
    char deep[3 * (XML_DEPTH_MAX + 1)];
    for (size_t i = 0; i <= XML_DEPTH_MAX; i++) {
        memcpy(deep + 3 * i, "<a>", 3);
    }
    EXPECT_EQ(check_xml(&op, str_make(deep, sizeof(deep))), ERR_INPUT);
    EXPECT(strstr(op.note.text, "too deeply") != NULL);
}
