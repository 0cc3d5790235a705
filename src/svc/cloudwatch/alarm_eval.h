#pragma once
/* What an alarm decides from the points it sees: a pure function, and the sentences that tell why.
 *
 * Points   The evaluation range: more than EvaluationPeriods of the newest windows, oldest first,
 *          some of them missing.
 * Missing  With at least N real points, the newest N of them decide and the treatment is not asked.
 *          With fewer, all of them and the treatment for the rest. Under "missing" an alarm rises
 *          early only when every real point is breaching and the oldest lies at least M windows
 *          back; under "ignore" it keeps its state in that case.
 * Source   CloudWatch user guide, "evaluating an alarm"; texts as AWS was seen to answer. */

#include "base/op.h"
#include "gen/cloudwatch.h"

enum cw_missing {
    CW_MISSING_MISSING,
    CW_MISSING_IGNORE,
    CW_MISSING_BREACHING,
    CW_MISSING_NOT_BREACHING,
};

/* False when it is no treatment; an absent text is "missing". */
bool cw_missing_parse(struct str text, enum cw_missing *ret_missing);

struct cw_alarm_rule {
    int32_t evaluation_periods;  /* N, >= 1 */
    int32_t datapoints_to_alarm; /* M, 1..N */
    bool is_m_of_n;              /* M was given: the reasons then say "1 out of the last 3" */
    enum cloudwatch_comparison_operator comparison; /* one of the four with a threshold */
    double threshold;
    enum cw_missing missing;
};

struct cw_alarm_point {
    wall_t at; /* start of the window */
    bool is_real;
    bool is_low_sample; /* too few samples for the percentile, and the alarm ignores those */
    double value;
    double sample_count;
    bool has_sample_count; /* false for the result of an expression */
};

struct cw_alarm_verdict {
    bool is_kept; /* the alarm stays in the state that it has; nothing else is set */
    enum cloudwatch_state_value state;
    size_t real_count;      /* points that decided */
    size_t missing_count;   /* treated as `missing` says */
    size_t breaching_count; /* of the real ones */
};

/* points[count], oldest first, count >= 1. */
struct cw_alarm_verdict cw_alarm_evaluate(const struct cw_alarm_rule *rule,
                                          const struct cw_alarm_point *points, size_t count);

/* What else the reason's data say about the alarm. */
struct cw_alarm_words {
    struct str unit;      /* absent for expressions and where none was given */
    struct str statistic; /* absent for expressions */
    int64_t period_s;
    wall_t now;
};

/* "Threshold Crossed: ..." and the JSON that goes with it; only for verdicts that are not kept. */
struct str cw_alarm_reason(struct arena *a, const struct cw_alarm_rule *rule,
                           const struct cw_alarm_point *points, size_t count,
                           const struct cw_alarm_verdict *verdict);
struct str cw_alarm_reason_data(struct arena *a, const struct cw_alarm_rule *rule,
                                const struct cw_alarm_point *points, size_t count,
                                const struct cw_alarm_verdict *verdict,
                                const struct cw_alarm_words *words);

/* "2026-11-20T15:42:10.123+0000", as the JSON texts of alarms write times. */
struct str cw_alarm_time(struct arena *a, wall_t t);
