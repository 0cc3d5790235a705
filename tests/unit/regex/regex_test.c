#include "regex/regex.h"

#include "test.h"

#include <stdio.h>
#include <time.h>

static struct regex *compiled(const char *pattern, bool ignore_case)
{
    struct regex *regex = NULL;
    auto_op struct op op;
    op_init(&op);
    EXPECT_OK(regex_compile(&op, str_of(pattern), ignore_case, &regex), &op);
    return regex;
}

TEST(what_rules_do_not_support_is_named)
{
    static const struct {
        const char *pattern;
        const char *refused; /* NULL: it may be used */
    } rows[] = {
        {"^/a(.*)$", NULL},
        {"a(?=b)", "a lookahead"},
        {"a(?!b)", "a lookahead"},
        {"(?<=a)b", "a lookbehind"},
        {"(?<!a)b", "a lookbehind"},
        {"(a)\\1", "a backreference"},
        {"(?<x>a)\\k<x>", "a backreference"},
        {"(a)\\g1", "a backreference"},
        {"(?P<x>a)(?P=x)", "a backreference"},
        {"(?>a)", "an atomic group"},
        {"a++", "a possessive quantifier"},
        {"a*+", "a possessive quantifier"},
        {"a?+", "a possessive quantifier"},
        {"a{2}+", "a possessive quantifier"},
        {"a{2,}+", "a possessive quantifier"},
        {"a{2,3}+", "a possessive quantifier"},
        {"a}+", NULL},
        {"a{x}+", NULL},
        {"[+]+", NULL},
        {"[a+]+?", NULL},
        {"\\++", NULL},
        {"(?R)", "recursion"},
        {"(?1)", "a subroutine"},
        {"(?-1)", "a subroutine"},
        {"(?&x)", "a subroutine"},
        {"(?P>x)", "a subroutine"},
        {"\\p{L}", "a Unicode character class"},
        {"[\\P{L}]", "a Unicode character class"},
        {"(*ACCEPT)", "a verb"},
        {"(?(1)a|b)", "a conditional"},
        {"(?C1)", "a callout"},
        {"(?i)a", NULL},
        {"(?i:a)", NULL},
        {"(?:a|b)", NULL},
        {"(?P<x>a)", NULL},
        {"(?<x>a)", NULL},
        {"[]*+(?=]", NULL},
        {"[^]*+(?=]", NULL},
        {"[[:alpha:]*+]", NULL},
        {"\\d\\w\\s\\b\\.\\/", NULL},
        {"\\Qa\\E", "an escape other than a character, a class or an anchor"},
        {"\\", NULL},
        {"[", NULL},
        {"(", NULL},
        {"(?", NULL},
        {"a{", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *refused = regex_refused(str_of(rows[i].pattern));
        bool is_same = refused == NULL || rows[i].refused == NULL
                           ? refused == rows[i].refused
                           : strcmp(refused, rows[i].refused) == 0;
        if (!is_same) {
            test_failed(__FILE__, __LINE__, "\"%s\": %s", rows[i].pattern,
                        refused == NULL ? "not refused" : refused);
        }
    }
}

TEST(a_malformed_pattern_is_refused_with_its_place)
{
    struct regex *regex = NULL;
    auto_op struct op op;
    op_init(&op);
    EXPECT_EQ(regex_compile(&op, STR("a(b"), false, &regex), ERR_INPUT);
    EXPECT_STR(str_of(op.note.text), "the regular expression 'a(b' is not valid at character 4: "
                                     "missing closing parenthesis");
    op_note_clear(&op);
    EXPECT_EQ(regex_compile(&op, STR("a(?=b)"), false, &regex), ERR_INPUT);
    op_note_clear(&op);
    char many[REGEX_PATTERN_BYTES_MAX + 1];
    memset(many, 'a', sizeof(many));
    EXPECT_EQ(regex_compile(&op, str_make(many, sizeof(many)), false, &regex), ERR_LIMIT);
    op_note_clear(&op);
    EXPECT_OK(regex_compile(&op, str_make(many, sizeof(many) - 1), false, &regex), &op);
    regex_free(regex);
}

TEST(groups_are_told_by_place)
{
    struct regex *regex = compiled("^/dp/([A-Z0-9]+)(/x)?", false);
    struct regex_scratch *scratch = regex_scratch_new();
    struct regex_match m;
    EXPECT_EQ(regex_find(regex, scratch, STR("/dp/B09G/y"), &m), REGEX_YES);
    EXPECT_EQ(m.group_count, 3);
    EXPECT_EQ(m.groups[0].to, 8);
    EXPECT_EQ(m.groups[1].from, 4);
    EXPECT_EQ(m.groups[1].to, 8);
    EXPECT(m.groups[2].from == STR_NOT_FOUND);
    EXPECT_EQ(regex_find(regex, scratch, STR("/DP/B09G"), &m), REGEX_NO);
    EXPECT_EQ(regex_find(regex, scratch, STR(""), NULL), REGEX_NO);
    regex_free(regex);
    regex = compiled("b+$", true);
    EXPECT_EQ(
        regex_find(regex, scratch, STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaBB"), &m),
        REGEX_YES);
    EXPECT_EQ(m.groups[0].from, 48);
    EXPECT_EQ(m.groups[0].to, 50);
    regex_free(regex);
    regex_scratch_free(scratch);
}

TEST(no_pattern_on_no_text_takes_longer_than_its_limit)
{
    static const char *const patterns[] = {
        "(a+)+$",
        "(a|aa)+$",
        "(a*)*b",
        ".*.*.*.*=x",
        "(.*)(.*)(.*)(.*)b",
        "a?a?a?a?a?b",
        "(x+x+)+y",
        "([a-z]+)*1",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "((a{1,9}){1,9}){1,9}b",
    };
    static char text[16384];
    struct regex_scratch *scratch = regex_scratch_new();
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        struct regex *regex = compiled(patterns[i], false);
        for (size_t len = 16; regex != NULL && len <= sizeof(text); len *= 4) {
            struct timespec before;
            struct timespec after;
            (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
            (void)regex_find(regex, scratch, str_make(text, len), NULL);
            (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
            long us =
                (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
            if (us > 5000) {
                printf("# %s over %zu bytes: %ld us\n", patterns[i], len, us);
            }
            EXPECT(us < 200000); /* measured: below 5 ms; sanitizers are slow */
        }
        regex_free(regex);
    }
    regex_scratch_free(scratch);
}
