#include "base/buf.h"
#include "base/check.h"
#include "svc/cloudwatch/composite.h"
#include "svc/cloudwatch/errors.h"
#include "svc/cloudwatch/limits.h"
#include "test.h"

/* a is in ALARM, o is OK, i has no data, everything else is gone. */
static enum cloudwatch_state_value state_of(void *self, struct str name)
{
    (void)self;
    return STR_IS(name, "a") || STR_IS(name, "a \"b\"") ? CLOUDWATCH_STATE_VALUE_ALARM
           : STR_IS(name, "o")                          ? CLOUDWATCH_STATE_VALUE_OK
           : STR_IS(name, "i")                          ? CLOUDWATCH_STATE_VALUE_INSUFFICIENT_DATA
                                                        : CLOUDWATCH_STATE_VALUE_UNSET;
}

TEST(rules_are_evaluated)
{
    static const struct {
        const char *rule;
        bool want;
    } rows[] = {
        {"TRUE", true},
        {"FALSE", false},
        {"ALARM(a)", true},
        {"ALARM(o)", false},
        {"ALARM(\"a\")", true},
        {"ALARM( a )", true},
        {"OK(o) AND INSUFFICIENT_DATA(i)", true},
        {"ALARM(\"a \\\"b\\\"\")", true},
        {"ALARM(arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a)", true},
        {"ALARM(\"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a\")", true},
        {"ALARM(gone) OR OK(gone) OR INSUFFICIENT_DATA(gone)", false},
        {"NOT ALARM(gone)", true},
        {"NOT NOT ALARM(a)", true},
        {"ALARM(a) AND NOT ALARM(o)", true},
        {"(ALARM(o) OR ALARM(a)) AND OK(o)", true},
        {"TRUE OR FALSE AND FALSE", true},
        {"(TRUE OR FALSE) AND FALSE", false},
        {"NOT FALSE AND FALSE", false},
        {"NOT (FALSE AND FALSE)", true},
        {"((((ALARM(a)))))", true},
        {"ALARM(a)AND(OK(o))", true},
        {"FALSE\nOR\tTRUE", true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        auto_op struct op op = {0};
        op_init(&op);
        struct cw_rule rule = {0};
        EXPECT_OK(cw_rule_parse(&op, str_of(rows[i].rule), &rule), &op);
        if (rule.count > 0 && cw_rule_eval(&rule, state_of, NULL) != rows[i].want) {
            test_failed(__FILE__, __LINE__, "%s: want %d", rows[i].rule, rows[i].want);
        }
    }
}

static void expect_refused(struct str rule_text)
{
    auto_op struct op op = {0};
    op_init(&op);
    struct cw_rule rule = {0};
    if (cw_rule_parse(&op, rule_text, &rule) == ERR_OK) {
        test_failed(__FILE__, __LINE__, "\"%.*s\" was taken", STR_ARG(rule_text));
        return;
    }
    EXPECT(op.note.public_error == &cw_error_validation);
}

TEST(wrong_rules_are_refused)
{
    static const char *const rules[] = {
        "",
        " ",
        "ALARM",
        "ALARM()",
        "ALARM(a",
        "ALARM a",
        "alarm(a)",
        "ALARM(a b)",
        "ALARM(\"a)",
        "ALARM(\"\")",
        "TRUE FALSE",
        "TRUE AND",
        "AND TRUE",
        "NOT",
        "(TRUE",
        "TRUE)",
        "()",
        "ALARM(a) XOR TRUE",
        "TRUE NOT FALSE",
        "TRUE()",
        "ALARM((a))",
        "OKAY(a)",
        "\"TRUE\"",
        "TRUE && TRUE",
    };
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        expect_refused(str_of(rules[i]));
    }
}

TEST(children_depth_and_elements_of_a_rule_are_limited)
{
    auto_op struct op op = {0};
    op_init(&op);
    auto_buf struct buf text = {0};
    buf_init(&text, 1 << 16);
    for (int i = 0; i < CW_RULE_CHILDREN_MAX; i++) {
        buf_addf(&text, "%sALARM(c%d)", i == 0 ? "" : " OR ", i);
    }
    struct cw_rule rule = {0};
    REQUIRE_OK(cw_rule_parse(&op, buf_str(&text), &rule), &op);
    EXPECT_EQ(cw_rule_children(&op.arena, &rule).count, CW_RULE_CHILDREN_MAX);
    buf_add(&text, STR(" OR ALARM(c0)"));
    EXPECT_OK(cw_rule_parse(&op, buf_str(&text), &rule), &op);
    buf_add(&text, STR(" OR ALARM(more)"));
    expect_refused(buf_str(&text));
    buf_reset(&text);
    buf_add(&text, STR("TRUE"));
    for (int i = 1; i < CW_RULE_STEPS_MAX; i++) {
        buf_add(&text, STR(" OR TRUE"));
    }
    REQUIRE_OK(cw_rule_parse(&op, buf_str(&text), &rule), &op);
    EXPECT(cw_rule_eval(&rule, state_of, NULL));
    buf_add(&text, STR(" OR TRUE"));
    expect_refused(buf_str(&text));
    buf_reset(&text);
    for (int i = 0; i < CW_RULE_DEPTH_MAX * 3 + 1; i++) {
        buf_add(&text, STR("NOT "));
    }
    buf_add(&text, STR("TRUE"));
    expect_refused(buf_str(&text));
    buf_reset(&text);
    for (int i = 0; i < CW_RULE_BYTES_MAX; i++) {
        buf_add_char(&text, ' ');
    }
    buf_add(&text, STR("TRUE"));
    expect_refused(buf_str(&text));
}
