#pragma once
/* Rules of composite alarms: ALARM("x") AND (OK(y) OR NOT INSUFFICIENT_DATA(z)). Parsing gives
 * postfix steps; nothing recurses. Functions and operators are upper case; names may be quoted with
 * " (then \" and \\ are escapes) and may be ARNs.
 *
 * Errors   ERR_INPUT, code ValidationError.
 * Limits   limits.h: CW_RULE_*. */

#include "base/op.h"
#include "gen/cloudwatch.h"

enum cw_rule_step_kind {
    CW_RULE_STATE, /* is the alarm `name` in `state`? */
    CW_RULE_CONSTANT,
    CW_RULE_NOT,
    CW_RULE_AND,
    CW_RULE_OR,
};

struct cw_rule_step {
    enum cw_rule_step_kind kind;
    enum cloudwatch_state_value state;
    struct str name; /* without "arn:...:alarm:" */
    bool constant;
};

/* Owns: nothing, lives in the op's arena. */
struct cw_rule {
    struct cw_rule_step *items;
    size_t count;
};

struct cw_rule_names {
    struct str *items;
    size_t count;
};

enum err cw_rule_parse(struct op *op, struct str text, struct cw_rule *ret_rule);
/* Each alarm once, in the order of the rule. */
struct cw_rule_names cw_rule_children(struct arena *a, const struct cw_rule *rule);
/* state_of gives CLOUDWATCH_STATE_VALUE_UNSET for an alarm that is gone, which is in no state. */
typedef enum cloudwatch_state_value (*cw_rule_state_fn)(void *self, struct str name);
bool cw_rule_eval(const struct cw_rule *rule, cw_rule_state_fn state_of, void *self);

/* The alarm's name out of a name or an alarm ARN. */
struct str cw_alarm_name_of(struct str name_or_arn);
