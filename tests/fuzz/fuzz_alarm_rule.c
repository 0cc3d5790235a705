/* Rules of composite alarms: whatever parses evaluates, and NOT (rule) evaluates to the opposite.
 */

#include "base/check.h"
#include "fuzz.h"
#include "svc/cloudwatch/composite.h"
#include "svc/cloudwatch/limits.h"

static enum cloudwatch_state_value state_of(void *self, struct str name)
{
    (void)self;
    return (enum cloudwatch_state_value)(name.len % 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    auto_op struct op op;
    op_init(&op);
    struct str text = str_make((const char *)bytes, count);
    struct cw_rule rule = {0};
    struct cw_rule opposite = {0};
    if (cw_rule_parse(&op, text, &rule) != ERR_OK) {
        return 0;
    }
    CHECK(cw_rule_children(&op.arena, &rule).count <= CW_RULE_CHILDREN_MAX);
    bool is_true = cw_rule_eval(&rule, state_of, NULL);
    struct str inverted = arena_printf(&op.arena, "NOT (%.*s)", STR_ARG(text));
    if (cw_rule_parse(&op, inverted, &opposite) == ERR_OK) {
        CHECK(cw_rule_eval(&opposite, state_of, NULL) != is_true);
    }
    return 0;
}
