#include "base/check.h"
#include "svc/cloudwatch/errors.h"
#include "svc/cloudwatch/limits.h"
#include "svc/cloudwatch/metric_math_parts.h"

#include <math.h>

/* ---- values ---------------------------------------------------------------------------------- */

const char *cw_math_kind_name(enum cw_math_kind kind)
{
    switch (kind) {
    case CW_MATH_SCALAR:
        return "Scalar";
    case CW_MATH_SERIES:
        return "TimeSeries";
    case CW_MATH_ARRAY:
        return "Array[TimeSeries]";
    case CW_MATH_TEXT:
    case CW_MATH_WORD:
        return "String";
    }
    UNREACHABLE("every kind is listed");
}

struct cw_math_value cw_math_scalar(double value)
{
    return (struct cw_math_value){.kind = CW_MATH_SCALAR, .scalar = value};
}

struct cw_math_value cw_math_of_series(struct arena *a, const struct cw_series *s)
{
    struct cw_series *copy = ARENA_NEW(a, struct cw_series);
    *copy = *s;
    return (struct cw_math_value){.kind = CW_MATH_SERIES, .items = copy, .count = 1};
}

/* ---- operators ------------------------------------------------------------------------------- */

static double apply(enum cw_math_operator operation, double left, double right)
{
    switch (operation) {
    case CW_OP_OR:
        return left != 0 || right != 0;
    case CW_OP_AND:
        return left != 0 && right != 0;
    case CW_OP_EQUAL:
        return left == right;
    case CW_OP_NOT_EQUAL:
        return left != right;
    case CW_OP_LESS:
        return left < right;
    case CW_OP_LESS_EQUAL:
        return left <= right;
    case CW_OP_GREATER:
        return left > right;
    case CW_OP_GREATER_EQUAL:
        return left >= right;
    case CW_OP_ADD:
        return left + right;
    case CW_OP_SUBTRACT:
        return left - right;
    case CW_OP_MULTIPLY:
        return left * right;
    case CW_OP_DIVIDE:
        return right == 0 ? NAN : left / right;
    case CW_OP_POWER:
        return pow(left, right);
    case CW_OP_NONE:
        break;
    }
    UNREACHABLE("every operator is listed");
}

/* A scalar without a value (AVG of nothing, 1/0) makes every result have none. */
static double combine(enum cw_math_operator operation, double left, double right)
{
    return isnan(left) || isnan(right) ? NAN : apply(operation, left, right);
}

/* Over the times at which either series has a point; the missing one counts as 0. */
static struct cw_series combine_series(struct arena *a, enum cw_math_operator operation,
                                       const struct cw_series *left, const struct cw_series *right)
{
    struct cw_series out = cw_series_like(left->step_us <= right->step_us ? left : right);
    size_t i = 0;
    size_t j = 0;
    while (i < left->count || j < right->count) {
        int64_t left_at = i < left->count ? left->items[i].at_us : INT64_MAX;
        int64_t right_at = j < right->count ? right->items[j].at_us : INT64_MAX;
        int64_t at = left_at < right_at ? left_at : right_at;
        double x = left_at == at ? left->items[i++].value : 0;
        double y = right_at == at ? right->items[j++].value : 0;
        cw_series_push(a, &out, at, combine(operation, x, y));
    }
    return out;
}

static struct cw_series combine_scalar(struct arena *a, enum cw_math_operator operation,
                                       const struct cw_series *s, double scalar, bool is_left)
{
    struct cw_series out = cw_series_like(s);
    for (size_t i = 0; i < s->count; i++) {
        double value = s->items[i].value;
        cw_series_push(a, &out, s->items[i].at_us,
                       is_left ? combine(operation, scalar, value)
                               : combine(operation, value, scalar));
    }
    return out;
}

/* The shapes that go together: S S, TS S, TS TS, TS[] S, TS[] TS, and the other way round. */
enum err cw_math_binary(struct op *op, struct str id, enum cw_math_operator operation,
                        const struct cw_math_value *left, const struct cw_math_value *right,
                        struct cw_math_value *ret)
{
    bool is_fit = left->kind <= CW_MATH_ARRAY && right->kind <= CW_MATH_ARRAY &&
                  !(left->kind == CW_MATH_ARRAY && right->kind == CW_MATH_ARRAY);
    if (!is_fit) {
        return CW_MATH_INVALID(op, id, "Unsupported operand type(s) for %s: '[%s, %s]'",
                               cw_math_operator_text(operation), cw_math_kind_name(left->kind),
                               cw_math_kind_name(right->kind));
    }
    if (left->kind == CW_MATH_SCALAR && right->kind == CW_MATH_SCALAR) {
        *ret = cw_math_scalar(combine(operation, left->scalar, right->scalar));
        return ERR_OK;
    }
    size_t count = left->kind == CW_MATH_SCALAR ? right->count : left->count;
    if (right->kind == CW_MATH_ARRAY) {
        count = right->count;
    }
    struct cw_math_value out = {
        .kind = left->kind > right->kind ? left->kind : right->kind,
        .items = ARENA_ARRAY(&op->arena, struct cw_series, count == 0 ? 1 : count),
        .count = count,
    };
    for (size_t i = 0; i < count; i++) {
        const struct cw_series *x = left->kind == CW_MATH_ARRAY ? &left->items[i] : left->items;
        const struct cw_series *y = right->kind == CW_MATH_ARRAY ? &right->items[i] : right->items;
        if (left->kind == CW_MATH_SCALAR) {
            out.items[i] = combine_scalar(&op->arena, operation, y, left->scalar, true);
        } else if (right->kind == CW_MATH_SCALAR) {
            out.items[i] = combine_scalar(&op->arena, operation, x, right->scalar, false);
        } else {
            out.items[i] = combine_series(&op->arena, operation, x, y);
        }
        if (right->kind == CW_MATH_ARRAY) {
            out.items[i].label = y->label;
            out.items[i].id = y->id;
        }
    }
    *ret = out;
    return ERR_OK;
}

enum err cw_math_negate(struct op *op, struct str id, const struct cw_math_value *value,
                        struct cw_math_value *ret)
{
    if (value->kind > CW_MATH_ARRAY) {
        return CW_MATH_INVALID(op, id, "Unsupported operand type(s) for -: '[%s]'",
                               cw_math_kind_name(value->kind));
    }
    struct cw_math_value minus_one = cw_math_scalar(-1);
    return cw_math_binary(op, id, CW_OP_MULTIPLY, value, &minus_one, ret);
}

/* ---- the machine ----------------------------------------------------------------------------- */

struct machine {
    struct op *op;
    const struct cw_math *math;
    const struct cw_math_scope *scope;
    struct cw_math_value *items; /* the stack */
    size_t count;
};

static enum err find_binding(const struct machine *m, struct str id, struct cw_math_value *ret)
{
    for (size_t i = 0; i < m->scope->binding_count; i++) {
        if (str_equal(m->scope->bindings[i].id, id)) {
            *ret = m->scope->bindings[i].value;
            return ERR_OK;
        }
    }
    return CW_MATH_INVALID(m->op, m->math->id,
                           "The expression refers to '%.*s', which is not the "
                           "Id of a metric or an expression of the request.",
                           STR_ARG(id));
}

static void add_series(struct arena *a, struct cw_math_value *to, const struct cw_math_value *from)
{
    for (size_t i = 0; i < from->count; i++) {
        *ARENA_PUSH(a, to) = from->items[i];
    }
}

static enum err make_array(const struct machine *m, const struct cw_math_value *args, size_t count,
                           struct cw_math_value *ret)
{
    struct cw_math_value out = {.kind = CW_MATH_ARRAY};
    for (size_t i = 0; i < count; i++) {
        if (args[i].kind != CW_MATH_SERIES && args[i].kind != CW_MATH_ARRAY) {
            return CW_MATH_INVALID(m->op, m->math->id, "Unsupported array element type: '%s'",
                                   cw_math_kind_name(args[i].kind));
        }
        if (out.count + args[i].count > CW_MATH_SERIES_MAX) {
            return CW_MATH_INVALID(m->op, m->math->id, "The result has more than %d time series.",
                                   CW_MATH_SERIES_MAX);
        }
        add_series(&m->op->arena, &out, &args[i]);
    }
    *ret = out;
    return ERR_OK;
}

/* Arguments lie on top of the stack; the result takes their place. */
static enum err run_step(struct machine *m, const struct cw_math_step *step)
{
    struct cw_math_value result = {0};
    size_t taken = 0;
    const struct cw_math_value *args = m->items + m->count;
    switch (step->kind) {
    case CW_STEP_NUMBER:
        result = cw_math_scalar(step->number);
        break;
    case CW_STEP_ID:
        TRY(find_binding(m, step->text, &result));
        break;
    case CW_STEP_TEXT:
    case CW_STEP_WORD:
        result.kind = step->kind == CW_STEP_TEXT ? CW_MATH_TEXT : CW_MATH_WORD;
        result.text = step->text;
        break;
    case CW_STEP_NEGATE:
        taken = 1;
        TRY(cw_math_negate(m->op, m->math->id, args - 1, &result));
        break;
    case CW_STEP_BINARY:
        taken = 2;
        TRY(cw_math_binary(m->op, m->math->id, step->operation, args - 2, args - 1, &result));
        break;
    case CW_STEP_ARRAY:
        taken = step->count;
        TRY(make_array(m, args - taken, taken, &result));
        break;
    case CW_STEP_CALL:
        taken = step->count;
        TRY(cw_math_call(m->op, m->math, m->scope, step->text, args - taken, taken, &result));
        break;
    }
    if (m->op->arena.total_bytes > CW_MATH_BYTES_MAX) {
        return CW_MATH_INVALID(m->op, m->math->id, "The result has too many datapoints.");
    }
    CHECK(m->count >= taken);
    m->count -= taken;
    m->items[m->count++] = result;
    return ERR_OK;
}

enum err cw_math_eval(struct op *op, const struct cw_math *math, const struct cw_math_scope *scope,
                      struct cw_math_value *ret)
{
    CHECK(math->count > 0);
    struct machine m = {
        .op = op,
        .math = math,
        .scope = scope,
        .items = ARENA_ARRAY(&op->arena, struct cw_math_value, math->count),
    };
    for (size_t i = 0; i < math->count; i++) {
        TRY(run_step(&m, &math->items[i]));
    }
    CHECK(m.count == 1);
    if (m.items[0].kind != CW_MATH_SERIES && m.items[0].kind != CW_MATH_ARRAY) {
        return CW_MATH_INVALID(op, math->id,
                               "The result of an expression must be a time series or "
                               "an array of time series, not '%s'.",
                               cw_math_kind_name(m.items[0].kind));
    }
    *ret = m.items[0];
    return ERR_OK;
}
