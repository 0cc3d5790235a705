#pragma once
/* Time series, as queries return them and metric math computes with them.
 *
 * Shape   points in ascending order of time, no two at the same time; a time without a point is
 *         missing. The grid [from, to) by step says which times could have had one.
 * Units   times in microseconds of the real clock; step_us is the real distance of two points (the
 *         period divided by the time scale), period_s the period as it was configured.
 * Owns    nothing: everything lives in an operation's arena. */

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cw_series_point {
    int64_t at_us;
    double value; /* finite */
};

struct cw_series {
    struct str id;
    struct str label;
    struct cw_series_point *items;
    size_t count;
    int64_t from_us; /* first time of the grid */
    int64_t to_us;   /* exclusive */
    int64_t step_us; /* > 0 */
    int64_t period_s;
    bool is_metric; /* comes from a metric, not from an expression */
};

/* Appends; drops what is not finite. */
void cw_series_push(struct arena *a, struct cw_series *s, int64_t at_us, double value);
/* The series without its points, on the same grid. */
struct cw_series cw_series_like(const struct cw_series *of);
/* Times of the grid. */
size_t cw_series_grid_count(const struct cw_series *s);
