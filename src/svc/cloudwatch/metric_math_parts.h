#pragma once
/* Between the files of metric math; nothing outside includes this. */

#include "svc/cloudwatch/metric_math.h"

enum err cw_math_binary(struct op *op, struct str id, enum cw_math_operator operation,
                        const struct cw_math_value *left, const struct cw_math_value *right,
                        struct cw_math_value *ret);
enum err cw_math_negate(struct op *op, struct str id, const struct cw_math_value *value,
                        struct cw_math_value *ret);
enum err cw_math_call(struct op *op, const struct cw_math *math, const struct cw_math_scope *scope,
                      struct str function, const struct cw_math_value *args, size_t count,
                      struct cw_math_value *ret);
bool cw_math_is_function(struct str name);

/* "Scalar", "TimeSeries", ... */
const char *cw_math_kind_name(enum cw_math_kind kind);
const char *cw_math_operator_text(enum cw_math_operator operation);
struct cw_math_value cw_math_scalar(double value);
struct cw_math_value cw_math_of_series(struct arena *a, const struct cw_series *s);

#define CW_MATH_INVALID(op, id, format, ...) \
    CW_INVALID((op), "Error in expression '%.*s': " format, STR_ARG(id) __VA_OPT__(, ) __VA_ARGS__)
