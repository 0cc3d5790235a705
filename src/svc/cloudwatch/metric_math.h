#pragma once
/* Metric math: expressions over time series. Parsing gives steps in postfix order; evaluating runs
 * them over a stack. Nothing recurses; brackets, steps and results have limits (limits.h).
 *
 * Types    a scalar (S), a time series (TS), an array of them (TS[]); also words (REPEAT, AVG) and
 *          texts where a function takes them. A wrong type is refused whatever the data, so that
 *          evaluating over empty series checks an expression.
 * Missing  Arithmetic and comparisons of two series run over the times at which either has a point;
 *          the missing one counts as 0. A division by zero, and any result that is not finite,
 *          drops the point. Functions: see metric_math_functions.c.
 * Errors   ERR_INPUT, code ValidationError, "Error in expression 'e1': ...".
 * Source   CloudWatch user guide, "using metric math". */

#include "base/op.h"
#include "svc/cloudwatch/series.h"

enum cw_math_kind {
    CW_MATH_SCALAR,
    CW_MATH_SERIES,
    CW_MATH_ARRAY,
    CW_MATH_TEXT, /* "..." or '...' */
    CW_MATH_WORD, /* REPEAT, LINEAR, ASC, DESC, AVG ... without parentheses */
};

struct cw_math_value {
    enum cw_math_kind kind;
    double scalar;           /* NaN: no value */
    struct str text;         /* CW_MATH_TEXT, CW_MATH_WORD */
    struct cw_series *items; /* CW_MATH_SERIES: one; CW_MATH_ARRAY: count */
    size_t count;
};

enum cw_math_step_kind {
    CW_STEP_NUMBER,
    CW_STEP_ID,
    CW_STEP_TEXT,
    CW_STEP_WORD,
    CW_STEP_NEGATE,
    CW_STEP_BINARY,
    CW_STEP_ARRAY, /* of the topmost `count` values */
    CW_STEP_CALL,  /* with the topmost `count` values */
};

enum cw_math_operator {
    CW_OP_NONE,
    CW_OP_OR,
    CW_OP_AND,
    CW_OP_EQUAL,
    CW_OP_NOT_EQUAL,
    CW_OP_LESS,
    CW_OP_LESS_EQUAL,
    CW_OP_GREATER,
    CW_OP_GREATER_EQUAL,
    CW_OP_ADD,
    CW_OP_SUBTRACT,
    CW_OP_MULTIPLY,
    CW_OP_DIVIDE,
    CW_OP_POWER,
};

struct cw_math_step {
    enum cw_math_step_kind kind;
    double number;
    struct str text; /* id, text, word, name of the function */
    enum cw_math_operator operation;
    size_t count;
};

/* Owns: nothing; texts point into the expression. */
struct cw_math {
    struct str id; /* of the query, for messages */
    struct cw_math_step *items;
    size_t count;
};

enum err cw_math_parse(struct op *op, struct str id, struct str expression, struct cw_math *ret);

/* What an expression can refer to. */
struct cw_math_binding {
    struct str id;
    struct cw_math_value value;
    bool is_metric;
};

struct cw_math_scope {
    const struct cw_math_binding *bindings;
    size_t binding_count;
    /* Grid of TIME_SERIES() and of results that no series lends one. */
    struct cw_series grid;
    int64_t scale; /* configured seconds of one real second, for RATE and DIFF_TIME */
    /* Finds metrics for SEARCH(); NULL where searching is not allowed, as in alarms. */
    void *search_self;
    enum err (*search)(void *self, struct op *op, struct str query, struct str stat,
                       int64_t period_s, struct cw_math_value *ret);
};

/* ret is a series or an array of series; a scalar result is refused. */
enum err cw_math_eval(struct op *op, const struct cw_math *math, const struct cw_math_scope *scope,
                      struct cw_math_value *ret);
