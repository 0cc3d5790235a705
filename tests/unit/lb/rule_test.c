#include "lb/rule.h"
#include "test.h"

TEST(patterns_match_as_albs_do)
{
    static const struct {
        const char *pattern;
        const char *text;
        bool ignore_case;
        bool matches;
    } rows[] = {
        {"", "", false, true},
        {"", "a", false, false},
        {"*", "", false, true},
        {"*", "a/b", false, true},
        {"?", "", false, false},
        {"?", "a", false, true},
        {"/a/*", "/a/", false, true},
        {"/a/*", "/a", false, false},
        {"/A", "/a", false, false},
        {"/A", "/a", true, true},
        {"*.b", "a.b.b", false, true},
        {"*a*b*", "xxayyb", false, true},
        {"*a*b", "xxayybz", false, false},
        {"a\\*b", "a*b", false, true},
        {"a\\*b", "axb", false, false},
        {"a\\?", "a?", false, true},
        {"a\\?", "ab", false, false},
        {"a\\", "a\\", false, true},
        {"**a", "bba", false, true},
        {"a*?c", "abc", false, true},
        {"a*?c", "ac", false, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (lb_rule_match(str_of(rows[i].pattern), str_of(rows[i].text), rows[i].ignore_case) !=
            rows[i].matches) {
            test_failed(__FILE__, __LINE__, "\"%s\" and \"%s\"", rows[i].pattern, rows[i].text);
        }
    }
}

TEST(a_pattern_of_stars_costs_no_exponential_time)
{
    static char text[16384];
    memset(text, 'a', sizeof(text));
    EXPECT(!lb_rule_match(STR("*a*a*a*a*a*a*a*a*a*b"), str_make(text, sizeof(text)), false));
}

TEST(a_host_loses_its_port)
{
    EXPECT_STR(lb_host_name(STR("a.b:80")), "a.b");
    EXPECT_STR(lb_host_name(STR("a.b")), "a.b");
    EXPECT_STR(lb_host_name(STR("[::1]:80")), "[::1]");
    EXPECT_STR(lb_host_name(STR("[::1]")), "[::1]");
    EXPECT_STR(lb_host_name(STR("")), "");
}
