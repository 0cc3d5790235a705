#pragma once
/* Series from text and back, for the tests: "30 - 0" has points at minute 0 and 2. */

#include "svc/cloudwatch/series.h"
#include "svc/cloudwatch/stat.h"
#include "test.h"

#define TEXT_STEP_US 60000000

static inline struct cw_series series_from_text(struct arena *a, const char *id, const char *text)
{
    struct cw_series s = {.id = str_of(id),
                          .label = str_of(id),
                          .step_us = TEXT_STEP_US,
                          .period_s = 60,
                          .is_metric = true};
    struct str rest = str_of(text);
    struct str part = STR_NONE;
    int64_t at_us = 0;
    while (rest.len > 0 && str_next(&rest, ' ', &part)) {
        double value = 0;
        if (str_parse_f64(part, &value)) {
            cw_series_push(a, &s, at_us, value);
        } else {
            EXPECT_STR(part, "-");
        }
        at_us += TEXT_STEP_US;
    }
    s.to_us = at_us;
    return s;
}

static inline struct str series_to_text(struct arena *a, const struct cw_series *s)
{
    struct str text = STR("");
    size_t next = 0;
    for (int64_t at = s->from_us; at < s->to_us; at += s->step_us) {
        bool has_point = next < s->count && s->items[next].at_us == at;
        struct str value = has_point ? arena_printf(a, "%g", s->items[next++].value) : STR("-");
        text = arena_printf(a, "%.*s%s%.*s", STR_ARG(text), at == s->from_us ? "" : " ",
                            STR_ARG(value));
    }
    EXPECT_EQ(next, s->count);
    return text;
}
