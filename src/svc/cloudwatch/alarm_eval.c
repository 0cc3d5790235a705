#include "svc/cloudwatch/alarm_eval.h"

#include "base/buf.h"
#include "base/check.h"
#include "svc/cloudwatch/stat.h"

static const struct {
    struct str text;
    enum cw_missing missing;
} treatments[] = {
    {STR_INIT("missing"), CW_MISSING_MISSING},
    {STR_INIT("ignore"), CW_MISSING_IGNORE},
    {STR_INIT("breaching"), CW_MISSING_BREACHING},
    {STR_INIT("notBreaching"), CW_MISSING_NOT_BREACHING},
};

bool cw_missing_parse(struct str text, enum cw_missing *ret_missing)
{
    if (!str_is_set(text)) {
        *ret_missing = CW_MISSING_MISSING;
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(treatments); i++) {
        if (str_equal(text, treatments[i].text)) {
            *ret_missing = treatments[i].missing;
            return true;
        }
    }
    return false;
}

static bool is_breaching(const struct cw_alarm_rule *rule, double value)
{
    switch (rule->comparison) {
    case CLOUDWATCH_COMPARISON_OPERATOR_GREATERTHANOREQUALTOTHRESHOLD:
        return value >= rule->threshold;
    case CLOUDWATCH_COMPARISON_OPERATOR_GREATERTHANTHRESHOLD:
        return value > rule->threshold;
    case CLOUDWATCH_COMPARISON_OPERATOR_LESSTHANTHRESHOLD:
        return value < rule->threshold;
    case CLOUDWATCH_COMPARISON_OPERATOR_LESSTHANOREQUALTOTHRESHOLD:
        return value <= rule->threshold;
    case CLOUDWATCH_COMPARISON_OPERATOR_UNSET:
    case CLOUDWATCH_COMPARISON_OPERATOR_LESSTHANLOWERORGREATERTHANUPPERTHRESHOLD:
    case CLOUDWATCH_COMPARISON_OPERATOR_LESSTHANLOWERTHRESHOLD:
    case CLOUDWATCH_COMPARISON_OPERATOR_GREATERTHANUPPERTHRESHOLD:
        break;
    }
    UNREACHABLE("alarms on bands are refused when they are put");
}

/* What the deciding points look like. */
struct tally {
    size_t real_count;
    size_t breaching_count;
    size_t oldest_breaching_age; /* in windows, the newest window is 1; 0: none */
    bool has_low_sample;
};

static struct tally tally_points(const struct cw_alarm_rule *rule,
                                 const struct cw_alarm_point *points, size_t count)
{
    struct tally t = {0};
    for (size_t i = count; i > 0 && t.real_count < (size_t)rule->evaluation_periods; i--) {
        const struct cw_alarm_point *p = &points[i - 1];
        if (!p->is_real) {
            continue;
        }
        t.real_count++;
        t.has_low_sample = t.has_low_sample || p->is_low_sample;
        if (is_breaching(rule, p->value)) {
            t.breaching_count++;
            t.oldest_breaching_age = count - i + 1;
        }
    }
    return t;
}

static struct cw_alarm_verdict keep(struct cw_alarm_verdict v)
{
    v.is_kept = true;
    v.state = CLOUDWATCH_STATE_VALUE_UNSET;
    return v;
}

static struct cw_alarm_verdict turn(struct cw_alarm_verdict v, bool is_alarm)
{
    v.state = is_alarm ? CLOUDWATCH_STATE_VALUE_ALARM : CLOUDWATCH_STATE_VALUE_OK;
    return v;
}

/* Fewer breaching points than M, and the missing ones decide neither way. */
static struct cw_alarm_verdict decide_unknown(const struct cw_alarm_rule *rule,
                                              const struct tally *t, struct cw_alarm_verdict v)
{
    if (t->real_count > t->breaching_count) {
        return turn(v, false);
    }
    if (rule->missing == CW_MISSING_IGNORE) {
        return keep(v);
    }
    if (t->oldest_breaching_age >= (size_t)rule->datapoints_to_alarm) {
        return turn(v, true);
    }
    v.state = CLOUDWATCH_STATE_VALUE_INSUFFICIENT_DATA;
    return v;
}

struct cw_alarm_verdict cw_alarm_evaluate(const struct cw_alarm_rule *rule,
                                          const struct cw_alarm_point *points, size_t count)
{
    CHECK(count > 0);
    CHECK(rule->datapoints_to_alarm >= 1);
    CHECK(rule->datapoints_to_alarm <= rule->evaluation_periods);

    struct tally t = tally_points(rule, points, count);
    size_t periods = (size_t)rule->evaluation_periods;
    size_t to_alarm = (size_t)rule->datapoints_to_alarm;
    struct cw_alarm_verdict v = {
        .real_count = t.real_count,
        .missing_count = periods - t.real_count,
        .breaching_count = t.breaching_count,
    };
    if (t.has_low_sample) {
        return keep(v);
    }
    if (t.breaching_count >= to_alarm) {
        return turn(v, true);
    }
    if (v.missing_count == 0 || rule->missing == CW_MISSING_NOT_BREACHING) {
        return turn(v, false);
    }
    if (rule->missing == CW_MISSING_BREACHING) {
        return turn(v, t.breaching_count + v.missing_count >= to_alarm);
    }
    return decide_unknown(rule, &t, v);
}

/* ---- the sentence ---------------------------------------------------------------------------- */

#define LISTED_MAX     5  /* datapoints named in a sentence */
#define INLINE_MAX     4  /* more than these are told in a sentence of their own */
#define DATA_POINT_MAX 25 /* datapoints in the JSON, which has at most 4,000 characters */

static const char *comparison_words(enum cloudwatch_comparison_operator comparison)
{
    switch (comparison) {
    case CLOUDWATCH_COMPARISON_OPERATOR_GREATERTHANOREQUALTOTHRESHOLD:
        return "greater than or equal to";
    case CLOUDWATCH_COMPARISON_OPERATOR_GREATERTHANTHRESHOLD:
        return "greater than";
    case CLOUDWATCH_COMPARISON_OPERATOR_LESSTHANTHRESHOLD:
        return "less than";
    case CLOUDWATCH_COMPARISON_OPERATOR_LESSTHANOREQUALTOTHRESHOLD:
        return "less than or equal to";
    case CLOUDWATCH_COMPARISON_OPERATOR_UNSET:
    case CLOUDWATCH_COMPARISON_OPERATOR_LESSTHANLOWERORGREATERTHANUPPERTHRESHOLD:
    case CLOUDWATCH_COMPARISON_OPERATOR_LESSTHANLOWERTHRESHOLD:
    case CLOUDWATCH_COMPARISON_OPERATOR_GREATERTHANUPPERTHRESHOLD:
        break;
    }
    UNREACHABLE("alarms on bands are refused when they are put");
}

static const char *treatment_name(enum cw_missing missing)
{
    return missing == CW_MISSING_BREACHING ? "Breaching" : "NonBreaching";
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static const char *was(size_t count)
{
    return count == 1 ? "was" : "were";
}

/* "20/11/26 15:42:10" */
static struct str short_time(struct arena *a, wall_t t)
{
    const char *iso = wall_iso8601(a, t).ptr;
    return arena_printf(a, "%.2s/%.2s/%.2s %.8s", iso + 8, iso + 5, iso + 2, iso + 11);
}

struct str cw_alarm_time(struct arena *a, wall_t t)
{
    return arena_printf(a, "%.23s+0000", wall_iso8601(a, t).ptr);
}

/* The points that made the state: as many as it takes, the newest first. */
struct crossing {
    const struct cw_alarm_point **items;
    size_t count;
    size_t needed;
};

static struct crossing crossing_points(struct arena *a, const struct cw_alarm_rule *rule,
                                       const struct cw_alarm_point *points, size_t count,
                                       const struct cw_alarm_verdict *v)
{
    bool is_alarm = v->state == CLOUDWATCH_STATE_VALUE_ALARM;
    int32_t needed = is_alarm ? rule->datapoints_to_alarm
                              : rule->evaluation_periods - rule->datapoints_to_alarm + 1;
    struct crossing c = {.needed = (size_t)needed};
    size_t seen = 0;
    for (size_t i = count; i > 0 && seen < v->real_count && c.count < c.needed; i--) {
        const struct cw_alarm_point *p = &points[i - 1];
        if (!p->is_real) {
            continue;
        }
        seen++;
        if (is_breaching(rule, p->value) != is_alarm) {
            continue;
        }
        *ARENA_PUSH(a, &c) = p; // NOLINT(bugprone-sizeof-expression): items are pointers
    }
    return c;
}

static struct str list_points(struct arena *a, const struct crossing *c)
{
    struct str text = STR("");
    for (size_t i = 0; i < c->count && i < LISTED_MAX; i++) {
        text = arena_printf(a, "%.*s%s%.*s (%.*s)", STR_ARG(text), i == 0 ? "" : ", ",
                            STR_ARG(cw_number_text(a, c->items[i]->value)),
                            STR_ARG(short_time(a, c->items[i]->at)));
    }
    return text;
}

/* " and 2 missing datapoints were treated as [Breaching]", or nothing. */
static struct str missing_words(struct arena *a, const struct cw_alarm_rule *rule,
                                const struct cw_alarm_verdict *v)
{
    bool is_treated =
        rule->missing == CW_MISSING_BREACHING || rule->missing == CW_MISSING_NOT_BREACHING;
    if (v->missing_count == 0 || !is_treated) {
        return STR("");
    }
    return arena_printf(a, " and %zu missing datapoint%s %s treated as [%s]", v->missing_count,
                        plural(v->missing_count), was(v->missing_count),
                        treatment_name(rule->missing));
}

/* No real point speaks for the state: the missing ones made it. */
static struct str reason_of_missing(struct arena *a, const struct cw_alarm_rule *rule,
                                    const struct cw_alarm_verdict *v)
{
    struct str received = v->real_count == 0
                              ? STR("no datapoints were")
                              : arena_printf(a, "%zu datapoint%s %s", v->real_count,
                                             plural(v->real_count), was(v->real_count));
    return arena_printf(a, "Threshold Crossed: %.*s received for %d period%s%.*s.",
                        STR_ARG(received), rule->evaluation_periods,
                        plural((size_t)rule->evaluation_periods),
                        STR_ARG(missing_words(a, rule, v)));
}

struct str cw_alarm_reason(struct arena *a, const struct cw_alarm_rule *rule,
                           const struct cw_alarm_point *points, size_t count,
                           const struct cw_alarm_verdict *verdict)
{
    CHECK(!verdict->is_kept);
    if (verdict->state == CLOUDWATCH_STATE_VALUE_INSUFFICIENT_DATA) {
        return arena_printf(a, "Insufficient Data: %zu datapoint%s %s unknown.",
                            verdict->missing_count, plural(verdict->missing_count),
                            was(verdict->missing_count));
    }
    struct crossing c = crossing_points(a, rule, points, count, verdict);
    if (c.count == 0) {
        return reason_of_missing(a, rule, verdict);
    }
    bool is_alarm = verdict->state == CLOUDWATCH_STATE_VALUE_ALARM;
    bool is_long = c.count > INLINE_MAX;
    struct str list = list_points(a, &c);
    struct str who = rule->is_m_of_n ? arena_printf(a, "%zu out of the last %d datapoints", c.count,
                                                    rule->evaluation_periods)
                                     : arena_printf(a, "%zu datapoint%s", c.count, plural(c.count));
    struct str inline_list = is_long ? STR("") : arena_printf(a, " [%.*s]", STR_ARG(list));
    struct str long_list =
        is_long
            ? arena_printf(a, ". The most recent datapoints which crossed the threshold: [%.*s]",
                           STR_ARG(list))
            : STR("");
    struct str minimum = STR("");
    if (rule->is_m_of_n) {
        minimum = arena_printf(a, " (minimum %zu datapoint%s for %s transition)", c.needed,
                               plural(c.needed), is_alarm ? "OK -> ALARM" : "ALARM -> OK");
    }
    return arena_printf(a, "Threshold Crossed: %.*s%.*s %s %s%s the threshold (%.*s)%.*s%.*s%.*s.",
                        STR_ARG(who), STR_ARG(inline_list), was(c.count), is_alarm ? "" : "not ",
                        comparison_words(rule->comparison),
                        STR_ARG(cw_number_text(a, rule->threshold)), STR_ARG(long_list),
                        STR_ARG(missing_words(a, rule, verdict)), STR_ARG(minimum));
}

/* ---- the same for programs ------------------------------------------------------------------- */

static void add_evaluated(struct buf *b, struct arena *a, const struct cw_alarm_point *p,
                          bool is_first)
{
    buf_addf(b, "%s{\"timestamp\":\"%s\"", is_first ? "" : ",", cw_alarm_time(a, p->at).ptr);
    if (p->is_real && p->has_sample_count) {
        buf_addf(b, ",\"sampleCount\":%s", cw_number_text(a, p->sample_count).ptr);
    }
    if (p->is_real) {
        buf_addf(b, ",\"value\":%s", cw_number_text(a, p->value).ptr);
    }
    buf_add_char(b, '}');
}

/* Real points that decided, oldest first, as plain numbers. */
static void add_recent(struct buf *b, struct arena *a, const struct cw_alarm_point *points,
                       size_t count, size_t real_count)
{
    size_t first = count;
    size_t wanted = real_count < DATA_POINT_MAX ? real_count : DATA_POINT_MAX;
    while (first > 0 && wanted > 0) {
        wanted -= points[--first].is_real;
    }
    bool is_first = true;
    for (size_t i = first; i < count; i++) {
        if (points[i].is_real) {
            buf_addf(b, "%s%s", is_first ? "" : ",", cw_number_text(a, points[i].value).ptr);
            is_first = false;
        }
    }
}

static wall_t oldest_real(const struct cw_alarm_point *points, size_t count, size_t real_count)
{
    wall_t at = points[count - 1].at;
    for (size_t i = count; i > 0 && real_count > 0; i--) {
        if (points[i - 1].is_real) {
            at = points[i - 1].at;
            real_count--;
        }
    }
    return at;
}

struct str cw_alarm_reason_data(struct arena *a, const struct cw_alarm_rule *rule,
                                const struct cw_alarm_point *points, size_t count,
                                const struct cw_alarm_verdict *verdict,
                                const struct cw_alarm_words *words)
{
    auto_buf struct buf b = {0};
    buf_init(&b, 16384);
    buf_addf(&b, "{\"version\":\"1.0\",\"queryDate\":\"%s\"", cw_alarm_time(a, words->now).ptr);
    if (verdict->real_count > 0) {
        wall_t start = oldest_real(points, count, verdict->real_count);
        buf_addf(&b, ",\"startDate\":\"%s\"", cw_alarm_time(a, start).ptr);
    }
    if (str_is_set(words->unit)) {
        buf_addf(&b, ",\"unit\":\"%.*s\"", STR_ARG(words->unit));
    }
    if (str_is_set(words->statistic)) {
        buf_addf(&b, ",\"statistic\":\"%.*s\"", STR_ARG(words->statistic));
    }
    buf_addf(&b, ",\"period\":%lld,\"recentDatapoints\":[", (long long)words->period_s);
    add_recent(&b, a, points, count, verdict->real_count);
    buf_addf(&b, "],\"threshold\":%s,\"evaluatedDatapoints\":[",
             cw_number_text(a, rule->threshold).ptr);
    struct crossing c = {0};
    if (verdict->state != CLOUDWATCH_STATE_VALUE_INSUFFICIENT_DATA) {
        c = crossing_points(a, rule, points, count, verdict);
    }
    for (size_t i = 0; i < c.count && i < DATA_POINT_MAX; i++) {
        add_evaluated(&b, a, c.items[i], i == 0);
    }
    size_t periods =
        (size_t)rule->evaluation_periods < count ? (size_t)rule->evaluation_periods : count;
    for (size_t i = 0; c.count == 0 && i < periods && i < DATA_POINT_MAX; i++) {
        add_evaluated(&b, a, &points[count - 1 - i], i == 0);
    }
    buf_add(&b, STR("]}"));
    CHECK(!b.is_overflown);
    return arena_str(a, buf_str(&b));
}
