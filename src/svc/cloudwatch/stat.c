#include "svc/cloudwatch/stat.h"

#include "base/check.h"
#include "base/mem.h"
#include "svc/cloudwatch/limits.h"

#include <math.h>
#include <stdio.h>

#define COARSE_RATIO_START 1.01
#define BOUND_DIGITS_MAX   10 /* decimals of a bound */

void cw_bucket_fini(struct cw_bucket *b)
{
    mem_free(b->pairs);
    *b = (struct cw_bucket){0};
}

/* ---- gathering ------------------------------------------------------------------------------- */

static double class_of(double value, double log_ratio)
{
    if (value == 0) {
        return 0;
    }
    double magnitude = floor(log(fabs(value)) / log_ratio) + 1e6;
    return value > 0 ? magnitude : -magnitude;
}

/* Merges neighbours of about the same value until at most half the room is used: each class keeps
 * the mean of its members, so sums stay what they were. */
static void coarsen(struct cw_bucket *b)
{
    double log_ratio = log(COARSE_RATIO_START);
    while (b->pair_count > CW_PAIRS_MAX / 2) {
        size_t kept = 0;
        double kept_class = 0;
        for (size_t i = 0; i < b->pair_count; i++) {
            struct cw_pair pair = b->pairs[i];
            double pair_class = class_of(pair.value, log_ratio);
            if (i > 0 && pair_class == kept_class) {
                struct cw_pair *into = &b->pairs[kept - 1];
                double count = into->count + pair.count;
                into->value += (pair.value - into->value) * (pair.count / count);
                into->count = count;
            } else {
                b->pairs[kept++] = pair;
                kept_class = pair_class;
            }
        }
        b->pair_count = kept;
        log_ratio *= 2;
    }
}

static void reserve_pairs(struct cw_bucket *b, size_t count)
{
    if (count <= b->pair_capacity) {
        return;
    }
    size_t capacity = b->pair_capacity == 0 ? 4 : b->pair_capacity;
    while (capacity < count) {
        capacity *= 2;
    }
    b->pairs = mem_resize(b->pairs, capacity * sizeof(*b->pairs));
    b->pair_capacity = capacity;
}

/* First index whose value is not below. */
static size_t lower_bound(const struct cw_bucket *b, double value)
{
    size_t low = 0;
    size_t high = b->pair_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (b->pairs[middle].value < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void add_pair(struct cw_bucket *b, double value, double count)
{
    size_t at = lower_bound(b, value);
    if (at < b->pair_count && b->pairs[at].value == value) {
        b->pairs[at].count += count;
        return;
    }
    reserve_pairs(b, b->pair_count + 1);
    memmove(&b->pairs[at + 1], &b->pairs[at], (b->pair_count - at) * sizeof(*b->pairs));
    b->pairs[at] = (struct cw_pair){.value = value, .count = count};
    b->pair_count++;
    if (b->pair_count > CW_PAIRS_MAX) {
        coarsen(b);
    }
}

static void widen(struct cw_bucket *b, double sample_count, double sum, double minimum,
                  double maximum)
{
    if (b->sample_count == 0) {
        b->minimum = minimum;
        b->maximum = maximum;
        b->has_values = true;
    }
    b->sample_count += sample_count;
    b->sum += sum;
    b->minimum = fmin(b->minimum, minimum);
    b->maximum = fmax(b->maximum, maximum);
}

static void forget_values(struct cw_bucket *b)
{
    b->has_values = false;
    b->pair_count = 0;
}

void cw_bucket_add(struct cw_bucket *b, double value, double count)
{
    CHECK(count > 0);
    widen(b, count, value * count, value, value);
    if (b->has_values) {
        add_pair(b, value, count);
    }
}

void cw_bucket_add_set(struct cw_bucket *b, double sample_count, double sum, double minimum,
                       double maximum)
{
    CHECK(sample_count > 0);
    bool is_one_value = minimum == maximum && sum == minimum * sample_count;
    widen(b, sample_count, sum, minimum, maximum);
    if (!is_one_value) {
        forget_values(b);
    } else if (b->has_values) {
        add_pair(b, minimum, sample_count);
    }
}

static void merge_pairs(struct cw_bucket *into, const struct cw_bucket *from)
{
    size_t room = into->pair_count + from->pair_count;
    struct cw_pair *merged = mem_alloc_array(room == 0 ? 1 : room, sizeof(*merged));
    size_t count = 0;
    size_t i = 0;
    size_t j = 0;
    while (i < into->pair_count || j < from->pair_count) {
        bool is_left = j == from->pair_count ||
                       (i < into->pair_count && into->pairs[i].value <= from->pairs[j].value);
        struct cw_pair pair = is_left ? into->pairs[i++] : from->pairs[j++];
        if (count > 0 && merged[count - 1].value == pair.value) {
            merged[count - 1].count += pair.count;
        } else {
            merged[count++] = pair;
        }
    }
    mem_free(into->pairs);
    into->pairs = merged;
    into->pair_count = count;
    into->pair_capacity = room == 0 ? 1 : room;
    if (count > CW_PAIRS_MAX) {
        coarsen(into);
    }
}

void cw_bucket_merge(struct cw_bucket *into, const struct cw_bucket *from)
{
    if (from->sample_count == 0) {
        return;
    }
    widen(into, from->sample_count, from->sum, from->minimum, from->maximum);
    if (!from->has_values) {
        forget_values(into);
    } else if (into->has_values) {
        merge_pairs(into, from);
    }
}

/* ---- names ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum cw_stat_kind kind;
} basic_names[] = {
    {"SampleCount", CW_STAT_SAMPLE_COUNT}, {"Sum", CW_STAT_SUM},
    {"Average", CW_STAT_AVERAGE},          {"Minimum", CW_STAT_MINIMUM},
    {"Maximum", CW_STAT_MAXIMUM},
};

static const struct {
    const char *lower; /* one percentage: tm90 */
    const char *upper; /* a range: TM(10%:90%) */
    enum cw_stat_kind kind;
} range_names[] = {
    {"p", NULL, CW_STAT_PERCENTILE},       {"tm", "TM", CW_STAT_TRIMMED_MEAN},
    {"wm", "WM", CW_STAT_WINSORIZED_MEAN}, {"tc", "TC", CW_STAT_TRIMMED_COUNT},
    {"ts", "TS", CW_STAT_TRIMMED_SUM},     {NULL, "PR", CW_STAT_RANK},
};

/* Digits with at most ten decimals; no sign and no exponent. */
static bool parse_bound(struct str text, double *ret_value)
{
    size_t point = str_find_char(text, '.', 0);
    bool is_plain = text.len > 0 && text.ptr[0] >= '0' && text.ptr[0] <= '9' &&
                    str_find_char(text, 'e', 0) == STR_NOT_FOUND &&
                    str_find_char(text, 'E', 0) == STR_NOT_FOUND &&
                    str_find_char(text, '-', 0) == STR_NOT_FOUND &&
                    (point == STR_NOT_FOUND || text.len - point - 1 <= BOUND_DIGITS_MAX);
    return is_plain && str_parse_f64(text, ret_value);
}

/* "" is absent; "12%" sets *ret_is_percent. */
static bool parse_range_bound(struct str text, bool *ret_has, double *ret_value,
                              bool *ret_is_percent)
{
    *ret_is_percent = false;
    *ret_has = text.len > 0;
    if (text.len == 0) {
        return true;
    }
    bool is_percent = str_ends_with(text, STR("%"));
    *ret_is_percent = is_percent;
    struct str number = is_percent ? str_slice(text, 0, text.len - 1) : text;
    return parse_bound(number, ret_value) && (!is_percent || *ret_value <= 100);
}

static bool parse_range(struct str text, enum cw_stat_kind kind, struct cw_stat *ret_stat)
{
    struct cw_stat stat = {.kind = kind};
    struct str low = STR_NONE;
    struct str high = STR_NONE;
    bool low_is_percent = false;
    bool high_is_percent = false;
    if (!str_cut(text, ':', &low, &high) ||
        !parse_range_bound(low, &stat.has_low, &stat.low, &low_is_percent) ||
        !parse_range_bound(high, &stat.has_high, &stat.high, &high_is_percent)) {
        return false;
    }
    bool is_mixed = stat.has_low && stat.has_high && low_is_percent != high_is_percent;
    bool is_backwards = stat.has_low && stat.has_high && stat.low > stat.high;
    stat.is_percent = low_is_percent || high_is_percent;
    if ((!stat.has_low && !stat.has_high) || is_mixed || is_backwards ||
        (kind == CW_STAT_RANK && stat.is_percent)) {
        return false;
    }
    *ret_stat = stat;
    return true;
}

static bool parse_ranged_name(struct str text, struct cw_stat *ret_stat)
{
    for (size_t i = 0; i < ARRAY_COUNT(range_names); i++) {
        struct str lower = str_of(range_names[i].lower);
        struct str upper = str_of(range_names[i].upper);
        double percent = 0;
        if (str_is_set(lower) && str_starts_with(text, lower) &&
            parse_bound(str_from(text, lower.len), &percent) && percent <= 100) {
            *ret_stat = (struct cw_stat){
                .kind = range_names[i].kind, .is_percent = true, .has_high = true, .high = percent};
            return true;
        }
        if (str_is_set(upper) && str_starts_with(text, upper) && text.len > upper.len + 2 &&
            text.ptr[upper.len] == '(' && text.ptr[text.len - 1] == ')') {
            return parse_range(str_slice(text, upper.len + 1, text.len - 1), range_names[i].kind,
                               ret_stat);
        }
    }
    return false;
}

bool cw_stat_parse(struct str text, struct cw_stat *ret_stat)
{
    for (size_t i = 0; i < ARRAY_COUNT(basic_names); i++) {
        if (str_equal(text, str_of(basic_names[i].name))) {
            *ret_stat = (struct cw_stat){.kind = basic_names[i].kind};
            return true;
        }
    }
    if (STR_IS(text, "IQM")) {
        *ret_stat = (struct cw_stat){.kind = CW_STAT_TRIMMED_MEAN,
                                     .is_percent = true,
                                     .has_low = true,
                                     .has_high = true,
                                     .low = 25,
                                     .high = 75};
        return true;
    }
    return parse_ranged_name(text, ret_stat);
}

/* ---- computing ------------------------------------------------------------------------------- */

/* Samples and sum of the range, and the values next to its bounds. */
struct range_sum {
    double count;
    double sum;
    double lowest;
    double highest;
    double count_below;
    double count_above;
};

static void range_add(struct range_sum *r, double value, double count)
{
    if (count <= 0) {
        return;
    }
    if (r->count == 0) {
        r->lowest = value;
    }
    r->highest = value;
    r->count += count;
    r->sum += value * count;
}

static double clamp(double value, double low, double high)
{
    return fmin(fmax(value, low), high);
}

/* By rank: samples (low, high] of 0..sample_count. The lower bound drops whole samples only and the
 * upper one keeps the sample it falls into, so that tm90 of a single sample is that sample. */
static struct range_sum sum_by_rank(const struct cw_stat *stat, const struct cw_bucket *b)
{
    double low = stat->has_low ? floor(stat->low * b->sample_count / 100 + 1e-9) : 0;
    double high =
        stat->has_high ? ceil(stat->high * b->sample_count / 100 - 1e-9) : b->sample_count;
    struct range_sum r = {0};
    double rank = 0;
    for (size_t i = 0; i < b->pair_count; i++) {
        double from = clamp(rank, low, high);
        double to = clamp(rank + b->pairs[i].count, low, high);
        range_add(&r, b->pairs[i].value, to - from);
        rank += b->pairs[i].count;
    }
    r.count_below = low;
    r.count_above = fmax(0, b->sample_count - high);
    return r;
}

static struct range_sum sum_by_value(const struct cw_stat *stat, const struct cw_bucket *b)
{
    struct range_sum r = {0};
    for (size_t i = 0; i < b->pair_count; i++) {
        struct cw_pair pair = b->pairs[i];
        if (stat->has_low && pair.value <= stat->low) {
            r.count_below += pair.count;
        } else if (stat->has_high && pair.value > stat->high) {
            r.count_above += pair.count;
        } else {
            range_add(&r, pair.value, pair.count);
        }
    }
    if (stat->has_low) {
        r.lowest = stat->low;
    }
    if (stat->has_high) {
        r.highest = stat->high;
    }
    return r;
}

static double percentile(const struct cw_bucket *b, double percent)
{
    double want = fmax(ceil(percent * b->sample_count / 100 - 1e-9), 1);
    double rank = 0;
    for (size_t i = 0; i < b->pair_count; i++) {
        rank += b->pairs[i].count;
        if (rank >= want) {
            return b->pairs[i].value;
        }
    }
    return b->maximum;
}

static bool compute_distribution(const struct cw_stat *stat, const struct cw_bucket *b,
                                 double *ret_value)
{
    if (!b->has_values || b->minimum < 0) {
        return false;
    }
    if (stat->kind == CW_STAT_PERCENTILE) {
        *ret_value = percentile(b, stat->high);
        return true;
    }
    struct range_sum r = stat->is_percent ? sum_by_rank(stat, b) : sum_by_value(stat, b);
    if (stat->kind == CW_STAT_TRIMMED_COUNT || stat->kind == CW_STAT_TRIMMED_SUM) {
        *ret_value = stat->kind == CW_STAT_TRIMMED_COUNT ? r.count : r.sum;
        return true;
    }
    if (stat->kind == CW_STAT_RANK) {
        *ret_value = 100 * r.count / b->sample_count;
        return true;
    }
    if (stat->kind == CW_STAT_WINSORIZED_MEAN && (r.count > 0 || !stat->is_percent)) {
        *ret_value = (r.sum + r.count_below * r.lowest + r.count_above * r.highest) /
                     (r.count + r.count_below + r.count_above);
        return true;
    }
    if (r.count <= 0) {
        return false;
    }
    *ret_value = r.sum / r.count;
    return true;
}

bool cw_stat_compute(const struct cw_stat *stat, const struct cw_bucket *b, double *ret_value)
{
    if (b->sample_count <= 0) {
        return false;
    }
    switch (stat->kind) {
    case CW_STAT_SAMPLE_COUNT:
        *ret_value = b->sample_count;
        return true;
    case CW_STAT_SUM:
        *ret_value = b->sum;
        return true;
    case CW_STAT_AVERAGE:
        *ret_value = b->sum / b->sample_count;
        return true;
    case CW_STAT_MINIMUM:
        *ret_value = b->minimum;
        return true;
    case CW_STAT_MAXIMUM:
        *ret_value = b->maximum;
        return true;
    case CW_STAT_PERCENTILE:
    case CW_STAT_TRIMMED_MEAN:
    case CW_STAT_WINSORIZED_MEAN:
    case CW_STAT_TRIMMED_COUNT:
    case CW_STAT_TRIMMED_SUM:
    case CW_STAT_RANK:
        return compute_distribution(stat, b, ret_value);
    }
    UNREACHABLE("every statistic is listed");
}

bool cw_stat_is_low_sample(const struct cw_stat *stat, double sample_count)
{
    if (stat->kind != CW_STAT_PERCENTILE) {
        return false;
    }
    double p = stat->high / 100;
    double tail = p >= 0.5 ? 1 - p : p;
    return tail <= 0 || sample_count < 10 / tail - 1e-9;
}

/* ---- numbers for people ---------------------------------------------------------------------- */

/* The fewest digits that read back as the same number: "-1.25e-04" -> sign, "125", exponent. */
static void shortest_digits(double value, char *ret_text, size_t text_bytes)
{
    for (int precision = 0; precision <= 16; precision++) {
        (void)snprintf(ret_text, text_bytes, "%.*e", precision, value);
        double again = 0;
        if (str_parse_f64(str_of(ret_text), &again) && again == value) {
            return;
        }
    }
}

struct str cw_number_text(struct arena *a, double value)
{
    if (!isfinite(value)) {
        return isnan(value) ? STR("NaN") : value > 0 ? STR("Infinity") : STR("-Infinity");
    }
    if (value == 0) {
        return STR("0.0");
    }
    char text[32] = {0};
    shortest_digits(fabs(value), text, sizeof(text));
    struct str mantissa = STR_NONE;
    struct str exponent_text = STR_NONE;
    int64_t exponent = 0;
    CHECK(str_cut(str_of(text), 'e', &mantissa, &exponent_text));
    CHECK(str_parse_i64(exponent_text.ptr[0] == '+' ? str_from(exponent_text, 1) : exponent_text,
                        -400, 400, &exponent));
    char digits[24] = {mantissa.ptr[0]};
    struct str rest = str_from(mantissa, 2);
    memcpy(digits + 1, rest.ptr, rest.len);
    int digit_count = (int)rest.len + 1;
    const char *sign = value < 0 ? "-" : "";
    if (exponent < -3 || exponent >= 7) {
        return arena_printf(a, "%s%c.%sE%d", sign, digits[0], digit_count > 1 ? digits + 1 : "0",
                            (int)exponent);
    }
    if (exponent < 0) {
        return arena_printf(a, "%s0.%.*s%s", sign, (int)(-exponent - 1), "000", digits);
    }
    int whole = (int)exponent + 1;
    if (digit_count <= whole) {
        return arena_printf(a, "%s%s%.*s.0", sign, digits, whole - digit_count, "0000000");
    }
    return arena_printf(a, "%s%.*s.%s", sign, whole, digits, digits + whole);
}
