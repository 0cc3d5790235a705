/* The functions of metric math, as a table: name, how many arguments, and one function each.
 *
 * Missing points: a function of one series works on the points that are there; one of an array
 * (SUM([m1, m2])) works on the times at which any of them has a point. SUM and AVG of an array
 * count a missing point as 0, MIN, MAX and STDDEV leave it out. IF: see if_value(). */

#include "base/check.h"
#include "svc/cloudwatch/errors.h"
#include "svc/cloudwatch/limits.h"
#include "svc/cloudwatch/metric_math_parts.h"

#include <math.h>
#include <stdlib.h>

#define US_PER_S 1000000

struct call {
    struct op *op;
    struct arena *arena;
    struct str id; /* of the query */
    struct str function;
    const struct cw_math_scope *scope;
    const struct cw_math_value *args;
    size_t count;
};

typedef enum err call_fn(const struct call *c, struct cw_math_value *ret);

static enum err wrong_argument(const struct call *c, size_t at)
{
    return CW_MATH_INVALID(c->op, c->id, "Unsupported operand type(s) for %.*s: '[%s]'",
                           STR_ARG(c->function), cw_math_kind_name(c->args[at].kind));
}

static enum err want_array(const struct call *c, size_t at)
{
    return c->args[at].kind == CW_MATH_ARRAY ? ERR_OK : wrong_argument(c, at);
}

static enum err want_series(const struct call *c, size_t at)
{
    return c->args[at].kind == CW_MATH_SERIES ? ERR_OK : wrong_argument(c, at);
}

static enum err want_scalar(const struct call *c, size_t at)
{
    return c->args[at].kind == CW_MATH_SCALAR ? ERR_OK : wrong_argument(c, at);
}

static enum err want_text(const struct call *c, size_t at)
{
    return c->args[at].kind == CW_MATH_TEXT ? ERR_OK : wrong_argument(c, at);
}

/* ---- each series for itself ------------------------------------------------------------------ */

typedef struct cw_series series_fn(const struct call *c, const struct cw_series *s);

static enum err each_series(const struct call *c, series_fn *map, struct cw_math_value *ret)
{
    const struct cw_math_value *in = &c->args[0];
    if (in->kind != CW_MATH_SERIES && in->kind != CW_MATH_ARRAY) {
        return wrong_argument(c, 0);
    }
    struct cw_math_value out = *in;
    out.items = ARENA_ARRAY(c->arena, struct cw_series, in->count == 0 ? 1 : in->count);
    for (size_t i = 0; i < in->count; i++) {
        out.items[i] = map(c, &in->items[i]);
    }
    *ret = out;
    return ERR_OK;
}

typedef double number_fn(double value);

static struct cw_series each_number(const struct call *c, const struct cw_series *s, number_fn *map)
{
    struct cw_series out = cw_series_like(s);
    for (size_t i = 0; i < s->count; i++) {
        cw_series_push(c->arena, &out, s->items[i].at_us, map(s->items[i].value));
    }
    return out;
}

static struct cw_series abs_series(const struct call *c, const struct cw_series *s)
{
    return each_number(c, s, fabs);
}
static struct cw_series ceil_series(const struct call *c, const struct cw_series *s)
{
    return each_number(c, s, ceil);
}
static struct cw_series floor_series(const struct call *c, const struct cw_series *s)
{
    return each_number(c, s, floor);
}
static struct cw_series log_series(const struct call *c, const struct cw_series *s)
{
    return each_number(c, s, log);
}
static struct cw_series log10_series(const struct call *c, const struct cw_series *s)
{
    return each_number(c, s, log10);
}

static double seconds_between(const struct call *c, const struct cw_series *s, size_t i)
{
    int64_t us = s->items[i].at_us - s->items[i - 1].at_us;
    return (double)us * (double)c->scope->scale / US_PER_S;
}

static struct cw_series diff_series(const struct call *c, const struct cw_series *s)
{
    struct cw_series out = cw_series_like(s);
    for (size_t i = 1; i < s->count; i++) {
        cw_series_push(c->arena, &out, s->items[i].at_us,
                       s->items[i].value - s->items[i - 1].value);
    }
    return out;
}

static struct cw_series diff_time_series(const struct call *c, const struct cw_series *s)
{
    struct cw_series out = cw_series_like(s);
    for (size_t i = 1; i < s->count; i++) {
        cw_series_push(c->arena, &out, s->items[i].at_us, seconds_between(c, s, i));
    }
    return out;
}

static struct cw_series rate_series(const struct call *c, const struct cw_series *s)
{
    struct cw_series out = cw_series_like(s);
    for (size_t i = 1; i < s->count; i++) {
        cw_series_push(c->arena, &out, s->items[i].at_us,
                       (s->items[i].value - s->items[i - 1].value) / seconds_between(c, s, i));
    }
    return out;
}

static struct cw_series running_sum_series(const struct call *c, const struct cw_series *s)
{
    struct cw_series out = cw_series_like(s);
    double sum = 0;
    for (size_t i = 0; i < s->count; i++) {
        sum += s->items[i].value;
        cw_series_push(c->arena, &out, s->items[i].at_us, sum);
    }
    return out;
}

#define EACH_SERIES(name_)                                                        \
    static enum err call_##name_(const struct call *c, struct cw_math_value *ret) \
    {                                                                             \
        return each_series(c, name_##_series, ret);                               \
    }
EACH_SERIES(abs)
EACH_SERIES(ceil)
EACH_SERIES(floor)
EACH_SERIES(log)
EACH_SERIES(log10)
EACH_SERIES(diff)
EACH_SERIES(diff_time)
EACH_SERIES(rate)
EACH_SERIES(running_sum)

/* ---- many numbers to one: over the points of a series, or over an array at each time --------- */

enum reduction { REDUCE_SUM, REDUCE_AVG, REDUCE_MIN, REDUCE_MAX, REDUCE_STDDEV, REDUCE_COUNT };

struct tally {
    double count;
    double sum;
    double minimum;
    double maximum;
    double mean;
    double squares; /* sum of squared distances from the mean, kept as Welford does */
};

static void tally_add(struct tally *t, double value)
{
    t->minimum = t->count == 0 ? value : fmin(t->minimum, value);
    t->maximum = t->count == 0 ? value : fmax(t->maximum, value);
    t->count++;
    t->sum += value;
    double distance = value - t->mean;
    t->mean += distance / t->count;
    t->squares += distance * (value - t->mean);
}

static double tally_result(const struct tally *t, enum reduction how)
{
    if (how == REDUCE_SUM || how == REDUCE_COUNT) {
        return how == REDUCE_SUM ? t->sum : t->count;
    }
    if (t->count == 0) {
        return NAN;
    }
    switch (how) {
    case REDUCE_AVG:
        return t->sum / t->count;
    case REDUCE_MIN:
        return t->minimum;
    case REDUCE_MAX:
        return t->maximum;
    case REDUCE_STDDEV:
        return sqrt(t->squares / t->count);
    case REDUCE_SUM:
    case REDUCE_COUNT:
        break;
    }
    UNREACHABLE("sum and count were answered above");
}

static double reduce_series(const struct cw_series *s, enum reduction how)
{
    struct tally t = {0};
    for (size_t i = 0; i < s->count; i++) {
        tally_add(&t, s->items[i].value);
    }
    return tally_result(&t, how);
}

/* Walks all series together in the order of time. */
static struct cw_series reduce_array(const struct call *c, const struct cw_math_value *in,
                                     enum reduction how)
{
    struct cw_series out = in->count == 0 ? c->scope->grid : cw_series_like(&in->items[0]);
    out.label = c->id;
    size_t *at = ARENA_ARRAY(c->arena, size_t, in->count == 0 ? 1 : in->count);
    for (;;) {
        int64_t now_us = INT64_MAX;
        for (size_t i = 0; i < in->count; i++) {
            const struct cw_series *s = &in->items[i];
            if (at[i] < s->count && s->items[at[i]].at_us < now_us) {
                now_us = s->items[at[i]].at_us;
            }
        }
        if (now_us == INT64_MAX) {
            return out;
        }
        struct tally t = {0};
        for (size_t i = 0; i < in->count; i++) {
            const struct cw_series *s = &in->items[i];
            if (at[i] < s->count && s->items[at[i]].at_us == now_us) {
                tally_add(&t, s->items[at[i]++].value);
            }
        }
        if (how == REDUCE_AVG) {
            t.count = (double)in->count;
        }
        cw_series_push(c->arena, &out, now_us, tally_result(&t, how));
    }
}

static enum err reduce(const struct call *c, enum reduction how, struct cw_math_value *ret)
{
    const struct cw_math_value *in = &c->args[0];
    if (in->kind == CW_MATH_SERIES) {
        *ret = cw_math_scalar(reduce_series(in->items, how));
        return ERR_OK;
    }
    TRY(want_array(c, 0));
    struct cw_series out = reduce_array(c, in, how);
    *ret = cw_math_of_series(c->arena, &out);
    return ERR_OK;
}

#define REDUCTION(name_, how_)                                                    \
    static enum err call_##name_(const struct call *c, struct cw_math_value *ret) \
    {                                                                             \
        return reduce(c, how_, ret);                                              \
    }
REDUCTION(sum, REDUCE_SUM)
REDUCTION(avg, REDUCE_AVG)
REDUCTION(min, REDUCE_MIN)
REDUCTION(max, REDUCE_MAX)
REDUCTION(stddev, REDUCE_STDDEV)
REDUCTION(datapoint_count, REDUCE_COUNT)

/* ---- FILL ------------------------------------------------------------------------------------ */

enum filler_kind { FILL_NUMBER, FILL_REPEAT, FILL_LINEAR, FILL_SERIES };

struct filler {
    enum filler_kind kind;
    double number;
    const struct cw_series *series;
};

/* The value for a gap at `at_us` after point `next - 1` and before point `next`; NaN: none. */
static double fill_value(const struct filler *f, const struct cw_series *s, size_t next,
                         int64_t at_us, size_t *series_at)
{
    switch (f->kind) {
    case FILL_NUMBER:
        return f->number;
    case FILL_REPEAT:
        return next == 0 ? NAN : s->items[next - 1].value;
    case FILL_LINEAR: {
        if (next == 0 || next == s->count) {
            return NAN;
        }
        const struct cw_series_point *from = &s->items[next - 1];
        const struct cw_series_point *to = &s->items[next];
        double part = (double)(at_us - from->at_us) / (double)(to->at_us - from->at_us);
        return from->value + (to->value - from->value) * part;
    }
    case FILL_SERIES:
        while (*series_at < f->series->count && f->series->items[*series_at].at_us < at_us) {
            (*series_at)++;
        }
        return *series_at < f->series->count && f->series->items[*series_at].at_us == at_us
                   ? f->series->items[*series_at].value
                   : NAN;
    }
    UNREACHABLE("every filler is listed");
}

static struct cw_series fill(const struct call *c, const struct cw_series *s,
                             const struct filler *f)
{
    struct cw_series out = cw_series_like(s);
    size_t next = 0;
    size_t series_at = 0;
    for (int64_t at = s->from_us; at < s->to_us; at += s->step_us) {
        if (next < s->count && s->items[next].at_us == at) {
            cw_series_push(c->arena, &out, at, s->items[next++].value);
        } else {
            cw_series_push(c->arena, &out, at, fill_value(f, s, next, at, &series_at));
        }
    }
    return out;
}

static enum err call_fill(const struct call *c, struct cw_math_value *ret)
{
    const struct cw_math_value *with = &c->args[1];
    struct filler f = {0};
    if (with->kind == CW_MATH_SCALAR) {
        f = (struct filler){.kind = FILL_NUMBER, .number = with->scalar};
    } else if (with->kind == CW_MATH_SERIES) {
        f = (struct filler){.kind = FILL_SERIES, .series = with->items};
    } else if (with->kind == CW_MATH_WORD && STR_IS(with->text, "REPEAT")) {
        f.kind = FILL_REPEAT;
    } else if (with->kind == CW_MATH_WORD && STR_IS(with->text, "LINEAR")) {
        f.kind = FILL_LINEAR;
    } else {
        return wrong_argument(c, 1);
    }
    const struct cw_math_value *in = &c->args[0];
    if (in->kind != CW_MATH_SERIES && in->kind != CW_MATH_ARRAY) {
        return wrong_argument(c, 0);
    }
    struct cw_math_value out = *in;
    out.items = ARENA_ARRAY(c->arena, struct cw_series, in->count == 0 ? 1 : in->count);
    for (size_t i = 0; i < in->count; i++) {
        out.items[i] = fill(c, &in->items[i], &f);
    }
    *ret = out;
    return ERR_OK;
}

/* ---- IF -------------------------------------------------------------------------------------- */

/* Walks a series in step with another one. */
struct cursor {
    const struct cw_math_value *value; /* a scalar, a series, or NULL: left out */
    size_t at;
};

/* NaN when there is no value at that time. */
static double cursor_value(struct cursor *cur, int64_t at_us)
{
    if (cur->value == NULL) {
        return NAN;
    }
    if (cur->value->kind == CW_MATH_SCALAR) {
        return cur->value->scalar;
    }
    const struct cw_series *s = cur->value->items;
    while (cur->at < s->count && s->items[cur->at].at_us < at_us) {
        cur->at++;
    }
    return cur->at < s->count && s->items[cur->at].at_us == at_us ? s->items[cur->at].value : NAN;
}

/* True and missing gives 0, false and missing gives nothing: so says the user guide. */
static double if_value(double condition, double yes, double no)
{
    if (condition == 0) {
        return no;
    }
    return isnan(yes) ? 0 : yes;
}

static struct cw_series if_series(const struct call *c, const struct cw_series *condition)
{
    struct cursor yes = {.value = &c->args[1]};
    struct cursor no = {.value = c->count > 2 ? &c->args[2] : NULL};
    struct cw_series out = cw_series_like(condition);
    for (size_t i = 0; i < condition->count; i++) {
        int64_t at = condition->items[i].at_us;
        cw_series_push(
            c->arena, &out, at,
            if_value(condition->items[i].value, cursor_value(&yes, at), cursor_value(&no, at)));
    }
    return out;
}

static enum err call_if(const struct call *c, struct cw_math_value *ret)
{
    for (size_t i = 1; i < c->count; i++) {
        if (c->args[i].kind != CW_MATH_SCALAR && c->args[i].kind != CW_MATH_SERIES) {
            return wrong_argument(c, i);
        }
    }
    if (c->args[0].kind == CW_MATH_SERIES) {
        struct cw_series out = if_series(c, c->args[0].items);
        *ret = cw_math_of_series(c->arena, &out);
        return ERR_OK;
    }
    TRY(want_scalar(c, 0));
    bool is_true = c->args[0].scalar != 0 && !isnan(c->args[0].scalar);
    if (is_true || c->count > 2) {
        *ret = c->args[is_true ? 1 : 2];
        return ERR_OK;
    }
    struct cw_series empty =
        c->args[1].kind == CW_MATH_SERIES ? cw_series_like(c->args[1].items) : c->scope->grid;
    *ret = cw_math_of_series(c->arena, &empty);
    return ERR_OK;
}

/* ---- arrays ---------------------------------------------------------------------------------- */

static enum err call_first(const struct call *c, struct cw_math_value *ret)
{
    TRY(want_array(c, 0));
    const struct cw_math_value *in = &c->args[0];
    *ret = cw_math_of_series(c->arena, in->count == 0 ? &c->scope->grid : &in->items[0]);
    return ERR_OK;
}

static enum err call_last(const struct call *c, struct cw_math_value *ret)
{
    TRY(want_array(c, 0));
    const struct cw_math_value *in = &c->args[0];
    *ret =
        cw_math_of_series(c->arena, in->count == 0 ? &c->scope->grid : &in->items[in->count - 1]);
    return ERR_OK;
}

static enum err call_metric_count(const struct call *c, struct cw_math_value *ret)
{
    TRY(want_array(c, 0));
    *ret = cw_math_scalar((double)c->args[0].count);
    return ERR_OK;
}

static enum err call_remove_empty(const struct call *c, struct cw_math_value *ret)
{
    TRY(want_array(c, 0));
    struct cw_math_value out = {.kind = CW_MATH_ARRAY};
    for (size_t i = 0; i < c->args[0].count; i++) {
        if (c->args[0].items[i].count == 0) {
            continue;
        }
        *ARENA_PUSH(c->arena, &out) = c->args[0].items[i];
    }
    *ret = out;
    return ERR_OK;
}

/* A count or an index; out of range is brought into it. */
static size_t index_of(double value, size_t most)
{
    if (isnan(value) || value <= 0) {
        return 0;
    }
    return value >= (double)most ? most : (size_t)value;
}

static enum err call_slice(const struct call *c, struct cw_math_value *ret)
{
    TRY(want_array(c, 0));
    TRY(want_scalar(c, 1));
    size_t count = c->args[0].count;
    size_t from = index_of(c->args[1].scalar, count);
    size_t to = count;
    if (c->count > 2) {
        TRY(want_scalar(c, 2));
        to = index_of(c->args[2].scalar, count);
    }
    *ret = (struct cw_math_value){.kind = CW_MATH_ARRAY,
                                  .items = c->args[0].items + from,
                                  .count = to > from ? to - from : 0};
    return ERR_OK;
}

struct ranked {
    double key; /* NaN: no points, comes last */
    size_t index;
};

static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left;
    const struct ranked *b = right;
    if (isnan(a->key) != isnan(b->key)) {
        return isnan(a->key) ? 1 : -1;
    }
    if (!isnan(a->key) && a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    return a->index < b->index ? -1 : 1;
}

static const struct {
    struct str word;
    enum reduction how;
} sort_keys[] = {
    {STR_INIT("AVG"), REDUCE_AVG},
    {STR_INIT("MIN"), REDUCE_MIN},
    {STR_INIT("MAX"), REDUCE_MAX},
    {STR_INIT("SUM"), REDUCE_SUM},
};

static bool find_sort_key(struct str word, enum reduction *ret)
{
    for (size_t i = 0; i < ARRAY_COUNT(sort_keys); i++) {
        if (str_equal(word, sort_keys[i].word)) {
            *ret = sort_keys[i].how;
            return true;
        }
    }
    return false;
}

static enum err call_sort(const struct call *c, struct cw_math_value *ret)
{
    TRY(want_array(c, 0));
    const struct cw_math_value *in = &c->args[0];
    enum reduction how = REDUCE_SUM;
    if (c->args[1].kind != CW_MATH_WORD || !find_sort_key(c->args[1].text, &how)) {
        return wrong_argument(c, 1);
    }
    bool is_descending = STR_IS(c->args[2].text, "DESC");
    if (c->args[2].kind != CW_MATH_WORD || (!is_descending && !STR_IS(c->args[2].text, "ASC"))) {
        return wrong_argument(c, 2);
    }
    size_t limit = in->count;
    if (c->count > 3) {
        TRY(want_scalar(c, 3));
        limit = index_of(c->args[3].scalar, in->count);
    }
    struct ranked *order = ARENA_ARRAY(c->arena, struct ranked, in->count + 1);
    for (size_t i = 0; i < in->count; i++) {
        double key = in->items[i].count == 0 ? NAN : reduce_series(&in->items[i], how);
        order[i] = (struct ranked){.key = is_descending ? -key : key, .index = i};
    }
    qsort(order, in->count, sizeof(*order), compare_ranked);
    struct cw_math_value out = {.kind = CW_MATH_ARRAY};
    for (size_t i = 0; i < limit; i++) {
        *ARENA_PUSH(c->arena, &out) = in->items[order[i].index];
    }
    *ret = out;
    return ERR_OK;
}

static enum err call_metrics(const struct call *c, struct cw_math_value *ret)
{
    struct str filter = STR("");
    if (c->count > 0) {
        TRY(want_text(c, 0));
        filter = c->args[0].text;
    }
    struct cw_math_value out = {.kind = CW_MATH_ARRAY};
    for (size_t i = 0; i < c->scope->binding_count; i++) {
        const struct cw_math_binding *b = &c->scope->bindings[i];
        if (!b->is_metric || str_find(b->id, filter, 0) == STR_NOT_FOUND) {
            continue;
        }
        *ARENA_PUSH(c->arena, &out) = b->value.items[0];
    }
    *ret = out;
    return ERR_OK;
}

static enum err call_search(const struct call *c, struct cw_math_value *ret)
{
    if (c->scope->search == NULL) {
        return CW_MATH_INVALID(c->op, c->id, "SEARCH is not supported on Metric Alarms.");
    }
    TRY(want_text(c, 0));
    TRY(want_text(c, 1));
    int64_t period_s = c->scope->grid.period_s;
    if (c->count > 2) {
        TRY(want_scalar(c, 2));
        if (!(c->args[2].scalar >= 1 && c->args[2].scalar <= 86400)) {
            return wrong_argument(c, 2);
        }
        period_s = (int64_t)c->args[2].scalar;
    }
    return c->scope->search(c->scope->search_self, c->op, c->args[0].text, c->args[1].text,
                            period_s, ret);
}

/* ---- time ------------------------------------------------------------------------------------ */

enum calendar { MINUTE, HOUR, DAY, DATE, MONTH, YEAR, EPOCH };

/* Days since 1970 to year, month (1..12), day (1..31): years start in March, eras have 400 years.
 */
static void civil_of(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    *ret_day = day_of_year - (153 * month + 2) / 5 + 1;
    *ret_month = month < 10 ? month + 3 : month - 9;
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2 ? 1 : 0);
}

static double calendar_value(enum calendar what, int64_t at_us)
{
    int64_t seconds = at_us / US_PER_S;
    int64_t days = seconds / 86400;
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    civil_of(days, &year, &month, &day);
    switch (what) {
    case MINUTE:
        return (double)(seconds / 60 % 60);
    case HOUR:
        return (double)(seconds / 3600 % 24);
    case DAY:
        return (double)((days + 3) % 7 + 1); /* 1970-01-01 was a Thursday; Monday is 1 */
    case DATE:
        return (double)day;
    case MONTH:
        return (double)month;
    case YEAR:
        return (double)year;
    case EPOCH:
        return (double)seconds;
    }
    UNREACHABLE("every part of a date is listed");
}

static enum err calendar_series(const struct call *c, enum calendar what, struct cw_math_value *ret)
{
    TRY(want_series(c, 0));
    struct cw_series out = cw_series_like(c->args[0].items);
    for (int64_t at = out.from_us; at < out.to_us; at += out.step_us) {
        cw_series_push(c->arena, &out, at, calendar_value(what, at));
    }
    *ret = cw_math_of_series(c->arena, &out);
    return ERR_OK;
}

#define CALENDAR(name_, what_)                                                    \
    static enum err call_##name_(const struct call *c, struct cw_math_value *ret) \
    {                                                                             \
        return calendar_series(c, what_, ret);                                    \
    }
CALENDAR(minute, MINUTE)
CALENDAR(hour, HOUR)
CALENDAR(day, DAY)
CALENDAR(date, DATE)
CALENDAR(month, MONTH)
CALENDAR(year, YEAR)
CALENDAR(epoch, EPOCH)

static enum err call_period(const struct call *c, struct cw_math_value *ret)
{
    TRY(want_series(c, 0));
    if (!c->args[0].items->is_metric) {
        return CW_MATH_INVALID(c->op, c->id, "PERIOD takes a metric, not an expression.");
    }
    *ret = cw_math_scalar((double)c->args[0].items->period_s);
    return ERR_OK;
}

static enum err call_time_series(const struct call *c, struct cw_math_value *ret)
{
    TRY(want_scalar(c, 0));
    struct cw_series out = cw_series_like(&c->scope->grid);
    for (int64_t at = out.from_us; at < out.to_us; at += out.step_us) {
        cw_series_push(c->arena, &out, at, c->args[0].scalar);
    }
    *ret = cw_math_of_series(c->arena, &out);
    return ERR_OK;
}

static enum err call_unavailable(const struct call *c, struct cw_math_value *ret)
{
    (void)ret;
    return CW_MATH_INVALID(c->op, c->id, "%.*s is not available on this endpoint.",
                           STR_ARG(c->function));
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct function {
    struct str name;
    size_t args_min;
    size_t args_max;
    call_fn *call;
} functions[] = {
    {STR_INIT("ABS"), 1, 1, call_abs},
    {STR_INIT("ANOMALY_DETECTION_BAND"), 1, 2, call_unavailable},
    {STR_INIT("AVG"), 1, 1, call_avg},
    {STR_INIT("CEIL"), 1, 1, call_ceil},
    {STR_INIT("DATAPOINT_COUNT"), 1, 1, call_datapoint_count},
    {STR_INIT("DATE"), 1, 1, call_date},
    {STR_INIT("DAY"), 1, 1, call_day},
    {STR_INIT("DIFF"), 1, 1, call_diff},
    {STR_INIT("DIFF_TIME"), 1, 1, call_diff_time},
    {STR_INIT("EPOCH"), 1, 1, call_epoch},
    {STR_INIT("FILL"), 2, 2, call_fill},
    {STR_INIT("FIRST"), 1, 1, call_first},
    {STR_INIT("FLOOR"), 1, 1, call_floor},
    {STR_INIT("HOUR"), 1, 1, call_hour},
    {STR_INIT("IF"), 2, 3, call_if},
    {STR_INIT("INSIGHT_RULE_METRIC"), 2, 2, call_unavailable},
    {STR_INIT("LAST"), 1, 1, call_last},
    {STR_INIT("LOG"), 1, 1, call_log},
    {STR_INIT("LOG10"), 1, 1, call_log10},
    {STR_INIT("MAX"), 1, 1, call_max},
    {STR_INIT("METRICS"), 0, 1, call_metrics},
    {STR_INIT("METRIC_COUNT"), 1, 1, call_metric_count},
    {STR_INIT("MIN"), 1, 1, call_min},
    {STR_INIT("MINUTE"), 1, 1, call_minute},
    {STR_INIT("MONTH"), 1, 1, call_month},
    {STR_INIT("PERIOD"), 1, 1, call_period},
    {STR_INIT("RATE"), 1, 1, call_rate},
    {STR_INIT("REMOVE_EMPTY"), 1, 1, call_remove_empty},
    {STR_INIT("RUNNING_SUM"), 1, 1, call_running_sum},
    {STR_INIT("SEARCH"), 2, 3, call_search},
    {STR_INIT("SERVICE_QUOTA"), 1, 1, call_unavailable},
    {STR_INIT("SLICE"), 2, 3, call_slice},
    {STR_INIT("SORT"), 3, 4, call_sort},
    {STR_INIT("STDDEV"), 1, 1, call_stddev},
    {STR_INIT("SUM"), 1, 1, call_sum},
    {STR_INIT("TIME_SERIES"), 1, 1, call_time_series},
    {STR_INIT("YEAR"), 1, 1, call_year},
};

static const struct function *find_function(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(functions); i++) {
        if (str_equal(functions[i].name, name)) {
            return &functions[i];
        }
    }
    return NULL;
}

bool cw_math_is_function(struct str name)
{
    return find_function(name) != NULL;
}

enum err cw_math_call(struct op *op, const struct cw_math *math, const struct cw_math_scope *scope,
                      struct str function, const struct cw_math_value *args, size_t count,
                      struct cw_math_value *ret)
{
    const struct function *f = find_function(function);
    CHECK(f != NULL);
    if (count < f->args_min || count > f->args_max) {
        return CW_MATH_INVALID(op, math->id, "%.*s does not take %zu argument(s).",
                               STR_ARG(function), count);
    }
    struct call c = {
        .op = op,
        .arena = &op->arena,
        .id = math->id,
        .function = function,
        .scope = scope,
        .args = args,
        .count = count,
    };
    return f->call(&c, ret);
}
