#pragma once
/* Statistics of one datapoint: a statistic set (count, sum, minimum, maximum), and where raw values
 * were reported also their distribution, from which percentiles and trimmed statistics come.
 *
 * Names   "SampleCount" ... "Maximum", "p99.9", "tm90", "TM(10%:90%)", "IQM", "PR(:300)", ...
 * Source  CloudWatch user guide, "statistics definitions": percent bounds by rank, fixed bounds
 *         exclusive below and inclusive above. Percentiles by nearest rank; up to CW_PAIRS_MAX
 *         different values they are exact, beyond that within 1 % and growing slowly. */

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct cw_pair {
    double value;
    double count; /* > 0 */
};

/* One bucket of time of one metric. Owns: its pairs, until cw_bucket_fini. */
struct cw_bucket {
    double sample_count; /* 0: nothing was reported */
    double sum;
    double minimum;
    double maximum;
    bool has_values;       /* pairs tell of every sample; false once a true statistic set came in */
    struct cw_pair *pairs; /* by value, ascending */
    size_t pair_count;
    size_t pair_capacity;
};

void cw_bucket_fini(struct cw_bucket *b);
/* count > 0, value finite. */
void cw_bucket_add(struct cw_bucket *b, double value, double count);
/* sample_count > 0. A set whose samples all have one value counts as raw values. */
void cw_bucket_add_set(struct cw_bucket *b, double sample_count, double sum, double minimum,
                       double maximum);
void cw_bucket_merge(struct cw_bucket *into, const struct cw_bucket *from);

enum cw_stat_kind {
    CW_STAT_SAMPLE_COUNT,
    CW_STAT_SUM,
    CW_STAT_AVERAGE,
    CW_STAT_MINIMUM,
    CW_STAT_MAXIMUM,
    CW_STAT_PERCENTILE,      /* high: the percentile, 0..100 */
    CW_STAT_TRIMMED_MEAN,    /* TM, tm, IQM */
    CW_STAT_WINSORIZED_MEAN, /* WM, wm */
    CW_STAT_TRIMMED_COUNT,   /* TC, tc */
    CW_STAT_TRIMMED_SUM,     /* TS, ts */
    CW_STAT_RANK,            /* PR */
};

struct cw_stat {
    enum cw_stat_kind kind;
    bool is_percent; /* the bounds are percentages of the samples, not values */
    bool has_low;
    bool has_high;
    double low;
    double high;
};

/* False when it is no statistic that CloudWatch knows. */
bool cw_stat_parse(struct str text, struct cw_stat *ret_stat);
/* False when the bucket has no such statistic: empty, no raw values, or negative ones (for all but
 * the five basic statistics). */
bool cw_stat_compute(const struct cw_stat *stat, const struct cw_bucket *b, double *ret_value);
/* True for a percentile that stands on too few samples to be evaluated when the alarm says
 * EvaluateLowSampleCountPercentile=ignore: under 10/(1-p) samples for p >= 0.5, 10/p below. */
bool cw_stat_is_low_sample(const struct cw_stat *stat, double sample_count);

/* A number as CloudWatch prints it in reasons: Java's Double.toString ("1.0", "0.05", "1.0E7"). */
struct str cw_number_text(struct arena *a, double value);
