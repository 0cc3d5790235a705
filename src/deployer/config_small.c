/* The small languages inside hitless.yaml: spans, steps, rules. Pure. */
#include "deployer/config.h"

#include "base/check.h"

#define SPAN_S_MAX (366LL * 86400)

static int64_t unit_s(char c)
{
    switch (c) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    default:
        return 0;
    }
}

bool config_read_span_s(struct str text, int64_t *ret_seconds)
{
    int64_t sum = 0;
    bool has_unit = false;
    text = str_trim(text);
    if (text.len == 0) {
        return false;
    }
    while (text.len > 0) {
        size_t digits = 0;
        while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
            digits++;
        }
        int64_t number = 0;
        if (!str_parse_i64(str_slice(text, 0, digits), 0, SPAN_S_MAX, &number)) {
            return false;
        }
        int64_t unit = digits == text.len ? (has_unit ? 0 : 1) : unit_s(text.ptr[digits]);
        if (unit == 0) {
            return false;
        }
        has_unit = true;
        sum += number * unit;
        text = str_from(text, digits + 1);
        if (sum > SPAN_S_MAX) {
            return false;
        }
    }
    *ret_seconds = sum;
    return true;
}

static bool read_percent(struct str text, double *ret)
{
    return str_ends_with(text, STR("%")) && str_parse_f64(str_slice(text, 0, text.len - 1), ret);
}

bool config_read_step(struct str text, struct config_step *ret_step)
{
    struct config_step step = {0};
    struct str share = str_trim(text);
    struct str wait = STR_NONE;
    if (str_cut(share, ' ', &share, &wait) && !config_read_span_s(wait, &step.wait_s)) {
        return false;
    }
    if (!read_percent(share, &step.percent) || step.percent <= 0 || step.percent > 100) {
        return false;
    }
    *ret_step = step;
    return true;
}

static struct str take_word(struct str *rest)
{
    struct str word = STR_NONE;
    while (str_next(rest, ' ', &word)) {
        if (word.len > 0) {
            return word;
        }
    }
    return STR_NONE;
}

static bool read_measure(struct str word, struct config_rule *rule)
{
    if (STR_IS(word, "error_rate")) {
        rule->measure = CONFIG_ERROR_RATE;
        return true;
    }
    if (STR_IS(word, "5xx")) {
        rule->measure = CONFIG_5XX_COUNT;
        return true;
    }
    rule->measure = CONFIG_LATENCY;
    return str_starts_with(word, STR("p")) && str_parse_f64(str_from(word, 1), &rule->percentile) &&
           rule->percentile > 0 && rule->percentile <= 100;
}

static bool read_seconds(struct str word, double *ret)
{
    bool is_ms = str_ends_with(word, STR("ms"));
    bool is_s = !is_ms && str_ends_with(word, STR("s"));
    if (!is_ms && !is_s) {
        return false;
    }
    if (!str_parse_f64(str_slice(word, 0, word.len - (is_ms ? 2 : 1)), ret)) {
        return false;
    }
    *ret = is_ms ? *ret / 1000 : *ret;
    return true;
}

static bool read_threshold(struct str word, struct config_rule *rule)
{
    bool is_read = false;
    switch (rule->measure) {
    case CONFIG_ERROR_RATE:
        is_read = read_percent(word, &rule->threshold) && rule->threshold <= 100;
        break;
    case CONFIG_5XX_COUNT:
        is_read = str_parse_f64(word, &rule->threshold);
        break;
    case CONFIG_LATENCY:
        is_read = read_seconds(word, &rule->threshold);
        break;
    case CONFIG_ALARM:
        UNREACHABLE("alarms have no threshold here");
    }
    return is_read && rule->threshold >= 0;
}

bool config_read_rule(struct arena *a, struct str text, struct config_rule *ret_rule)
{
    struct config_rule rule = {.for_s = 60, .text = arena_str(a, str_trim(text))};
    struct str rest = rule.text;
    struct str first = take_word(&rest);
    if (STR_IS(first, "alarm")) {
        rule.measure = CONFIG_ALARM;
        rule.alarm = str_trim(rest);
        *ret_rule = rule;
        return str_is_set(rest) && rule.alarm.len > 0 && rule.alarm.len <= 255;
    }
    if (!read_measure(first, &rule) || !STR_IS(take_word(&rest), ">") ||
        !read_threshold(take_word(&rest), &rule)) {
        return false;
    }
    struct str word = take_word(&rest);
    if (str_is_set(word)) {
        bool is_span = STR_IS(word, "for") && config_read_span_s(take_word(&rest), &rule.for_s);
        if (!is_span || rule.for_s < 60 || rule.for_s % 60 != 0 || str_is_set(take_word(&rest))) {
            return false;
        }
    }
    *ret_rule = rule;
    return true;
}
