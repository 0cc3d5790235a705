#include "svc/cloudwatch/label.h"

#include "base/buf.h"

#include <math.h>
#include <stdio.h>

#define LABEL_BYTES_MAX 16384

static struct str number(struct arena *a, double value)
{
    char text[32] = {0};
    (void)snprintf(text, sizeof(text), "%.15g", value);
    return arena_str(a, str_of(text));
}

static struct str summary_of(struct arena *a, const struct cw_series *s, struct str what)
{
    if (s->count == 0) {
        return STR("--");
    }
    double sum = 0;
    double lowest = s->items[0].value;
    double highest = lowest;
    for (size_t i = 0; i < s->count; i++) {
        sum += s->items[i].value;
        lowest = fmin(lowest, s->items[i].value);
        highest = fmax(highest, s->items[i].value);
    }
    if (STR_IS(what, "SUM")) {
        return number(a, sum);
    }
    if (STR_IS(what, "AVG")) {
        return number(a, sum / (double)s->count);
    }
    if (STR_IS(what, "MIN")) {
        return number(a, lowest);
    }
    if (STR_IS(what, "MAX")) {
        return number(a, highest);
    }
    if (STR_IS(what, "FIRST")) {
        return number(a, s->items[0].value);
    }
    return STR_IS(what, "LAST") ? number(a, s->items[s->count - 1].value) : STR_NONE;
}

static struct str property_of(struct arena *a, const struct cloudwatch_metric_data_query *in,
                              struct str name)
{
    const struct cloudwatch_metric_stat *ms = in->metric_stat;
    if (ms == NULL) {
        return STR_NONE;
    }
    if (STR_IS(name, "MetricName")) {
        return ms->metric->metric_name;
    }
    if (STR_IS(name, "Namespace")) {
        return ms->metric->namespace;
    }
    if (STR_IS(name, "Stat")) {
        return ms->stat;
    }
    if (STR_IS(name, "Period")) {
        return arena_printf(a, "%d", OPT_OR(ms->period, 0));
    }
    for (size_t i = 0; i < ms->metric->dimensions.count; i++) {
        const struct cloudwatch_dimension *d = &ms->metric->dimensions.items[i];
        if (str_starts_with(name, STR("Dim.")) && str_equal(str_from(name, 4), d->name)) {
            return d->value;
        }
    }
    return STR_NONE;
}

static struct str value_of(struct arena *a, const struct cloudwatch_metric_data_query *in,
                           const struct cw_series *s, struct str what)
{
    if (STR_IS(what, "LABEL")) {
        return in->metric_stat != NULL ? in->metric_stat->metric->metric_name : in->id;
    }
    bool is_property = str_starts_with(what, STR("PROP('")) && str_ends_with(what, STR("')"));
    return is_property ? property_of(a, in, str_slice(what, 6, what.len - 2))
                       : summary_of(a, s, what);
}

struct str cw_label(struct arena *a, const struct cloudwatch_metric_data_query *in,
                    const struct cw_series *s)
{
    if (str_find(s->label, STR("${"), 0) == STR_NOT_FOUND) {
        return s->label;
    }
    auto_buf struct buf out = {0};
    buf_init(&out, LABEL_BYTES_MAX);
    size_t at = 0;
    for (;;) {
        size_t open = str_find(s->label, STR("${"), at);
        size_t close = open == STR_NOT_FOUND ? open : str_find_char(s->label, '}', open);
        if (close == STR_NOT_FOUND) {
            break;
        }
        struct str value = value_of(a, in, s, str_slice(s->label, open + 2, close));
        buf_add(&out, str_slice(s->label, at, open));
        buf_add(&out, str_is_set(value) ? value : str_slice(s->label, open, close + 1));
        at = close + 1;
    }
    buf_add(&out, str_from(s->label, at));
    return out.is_overflown ? s->label : arena_str(a, buf_str(&out));
}
