/* Metric math and SEARCH: whatever parses runs to an answer or a refusal over short series, every
 * answer is finite, in order of time, and the same the second time. */

#include "base/check.h"
#include "fuzz.h"
#include "svc/cloudwatch/metric_math.h"
#include "svc/cloudwatch/search.h"

#include <math.h>

#define STEP_US 60000000

static struct cw_series series_of(struct arena *a, const char *id, int64_t missing)
{
    struct cw_series s = {
        .id = str_of(id), .to_us = 4 * (int64_t)STEP_US, .step_us = STEP_US, .period_s = 60};
    s.is_metric = true;
    for (int64_t i = 0; i < 4; i++) {
        if (i != missing) {
            cw_series_push(a, &s, i * STEP_US, (double)(i - 1) * 1.5);
        }
    }
    return s;
}

static enum err search_nothing(void *self, struct op *op, struct str query, struct str stat,
                               int64_t period_s, struct cw_math_value *ret)
{
    struct cw_search search = {0};
    (void)self;
    (void)stat;
    (void)period_s;
    TRY(cw_search_parse(op, query, &search));
    static const struct cloudwatch_dimension dimension = {STR_INIT("Dim"), STR_INIT("Value-1")};
    struct cw_metric_name name = {.namespace = STR("AWS/EC2"),
                                  .name = STR("CPUUtilization"),
                                  .dimensions = &dimension,
                                  .dimension_count = 1};
    (void)cw_search_matches(&op->arena, &search, &name);
    *ret = (struct cw_math_value){.kind = CW_MATH_ARRAY};
    return ERR_OK;
}

static enum err run(struct op *op, struct str text, struct cw_math_value *ret)
{
    struct cw_series first = series_of(&op->arena, "m1", 2);
    struct cw_series second = series_of(&op->arena, "m2", 0);
    struct cw_math_binding bindings[] = {
        {STR("m1"), {.kind = CW_MATH_SERIES, .items = &first, .count = 1}, true},
        {STR("m2"), {.kind = CW_MATH_SERIES, .items = &second, .count = 1}, true},
    };
    struct cw_math_scope scope = {
        .bindings = bindings,
        .binding_count = ARRAY_COUNT(bindings),
        .grid = first,
        .scale = 1,
        .search = search_nothing,
    };
    struct cw_math math = {0};
    TRY(cw_math_parse(op, STR("e1"), text, &math));
    struct cw_math_value got = {0};
    TRY(cw_math_eval(op, &math, &scope, &got));
    /* the inputs live on this stack: take the answer along */
    struct cw_math_value *copy = ret;
    *copy = got;
    copy->items = ARENA_ARRAY(&op->arena, struct cw_series, got.count + 1);
    for (size_t i = 0; i < got.count; i++) {
        copy->items[i] = got.items[i];
    }
    return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    auto_op struct op op;
    op_init(&op);
    struct str text = str_make((const char *)bytes, count);
    struct cw_math_value got = {0};
    struct cw_math_value again = {0};
    enum err e = run(&op, text, &got);
    CHECK(run(&op, text, &again) == e);
    CHECK(got.count == again.count);
    for (size_t i = 0; e == ERR_OK && i < got.count; i++) {
        const struct cw_series *s = &got.items[i];
        CHECK(s->count == again.items[i].count);
        for (size_t p = 0; p < s->count; p++) {
            CHECK(isfinite(s->items[p].value));
            CHECK(p == 0 || s->items[p - 1].at_us < s->items[p].at_us);
        }
    }
    return 0;
}
