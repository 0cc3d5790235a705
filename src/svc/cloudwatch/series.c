#include "svc/cloudwatch/series.h"

#include "base/check.h"

#include <math.h>

void cw_series_push(struct arena *a, struct cw_series *s, int64_t at_us, double value)
{
    if (!isfinite(value)) {
        return;
    }
    struct cw_series_point *point = ARENA_PUSH(a, s);
    *point = (struct cw_series_point){.at_us = at_us, .value = value};
}

struct cw_series cw_series_like(const struct cw_series *of)
{
    struct cw_series s = *of;
    s.items = NULL;
    s.count = 0;
    s.is_metric = false;
    return s;
}

size_t cw_series_grid_count(const struct cw_series *s)
{
    CHECK(s->step_us > 0);
    if (s->to_us <= s->from_us) {
        return 0;
    }
    return (size_t)((s->to_us - s->from_us + s->step_us - 1) / s->step_us);
}
