#include "base/time.h"

#include "base/check.h"

#include <math.h>
#include <time.h>

static struct {
    bool is_manual;
    mono_t mono;
    wall_t wall;
    int64_t scale;
} clock_state = {.scale = 1};

static int64_t read_clock_us(clockid_t id)
{
    struct timespec now;
    CHECK(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

mono_t clock_mono(void)
{
    return clock_state.is_manual ? clock_state.mono
                                 : (mono_t){.us = read_clock_us(CLOCK_MONOTONIC)};
}

wall_t clock_wall(void)
{
    return clock_state.is_manual ? clock_state.wall : (wall_t){.us = read_clock_us(CLOCK_REALTIME)};
}

void clock_use_manual(mono_t mono, wall_t wall)
{
    clock_state.is_manual = true;
    clock_state.mono = mono;
    clock_state.wall = wall;
}

void clock_use_real(void)
{
    clock_state.is_manual = false;
}

void clock_manual_advance(dur_t by)
{
    CHECK(clock_state.is_manual);
    CHECK(by.us >= 0);
    clock_state.mono.us += by.us;
    clock_state.wall.us += by.us;
}

void clock_set_scale(int64_t divisor)
{
    CHECK(divisor >= 1);
    CHECK(divisor <= CLOCK_SCALE_MAX);
    clock_state.scale = divisor;
}

int64_t clock_scale(void)
{
    return clock_state.scale;
}

dur_t dur_scaled(dur_t configured)
{
    return (dur_t){.us = configured.us / clock_state.scale};
}

wall_t wall_from_seconds(double seconds)
{
    return (wall_t){.us = (int64_t)llround(seconds * 1e6)};
}

static struct tm utc_of(wall_t t, int *ret_ms)
{
    int64_t us = t.us % 1000000;
    time_t seconds = (time_t)(t.us / 1000000);
    if (us < 0) {
        us += 1000000;
        seconds -= 1;
    }
    struct tm utc = {0};
    CHECK(gmtime_r(&seconds, &utc) != NULL);
    *ret_ms = (int)(us / 1000);
    return utc;
}

struct str wall_iso8601(struct arena *a, wall_t t)
{
    int ms = 0;
    struct tm utc = utc_of(t, &ms);
    return arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                        utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms);
}

struct str wall_basic(struct arena *a, wall_t t)
{
    int ms = 0;
    struct tm utc = utc_of(t, &ms);
    return arena_printf(a, "%04d%02d%02dT%02d%02d%02dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                        utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

struct str wall_basic_date(struct arena *a, wall_t t)
{
    int ms = 0;
    struct tm utc = utc_of(t, &ms);
    return arena_printf(a, "%04d%02d%02d", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday);
}

/* Takes `digits` digits off the front. */
static bool take_number(struct str *s, size_t digits, int *ret_value)
{
    uint64_t value = 0;
    if (s->len < digits || !str_parse_u64(str_slice(*s, 0, digits), 9999, &value)) {
        return false;
    }
    *ret_value = (int)value;
    *s = str_from(*s, digits);
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c) {
        return false;
    }
    *s = str_from(*s, 1);
    return true;
}

static bool take_fraction_us(struct str *s, int64_t *ret_us)
{
    int64_t us = 0;
    int64_t unit = 100000;
    size_t digits = 0;
    while (digits < s->len && s->ptr[digits] >= '0' && s->ptr[digits] <= '9') {
        us += (s->ptr[digits] - '0') * unit;
        unit /= 10;
        digits++;
    }
    *s = str_from(*s, digits);
    *ret_us = us;
    return digits > 0;
}

static bool take_zone_s(struct str *s, int *ret_offset_s)
{
    *ret_offset_s = 0;
    if (s->len == 0 || take_char(s, 'Z')) {
        return s->len == 0;
    }
    int sign = s->ptr[0] == '-' ? -1 : 1;
    if (!take_char(s, '+') && !take_char(s, '-')) {
        return false;
    }
    int hours = 0;
    int minutes = 0;
    if (!take_number(s, 2, &hours)) {
        return false;
    }
    (void)take_char(s, ':');
    if (!take_number(s, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *ret_offset_s = sign * (hours * 3600 + minutes * 60);
    return s->len == 0;
}

static bool take_date(struct str *s, struct tm *utc)
{
    if (!take_number(s, 4, &utc->tm_year)) {
        return false;
    }
    bool has_dashes = take_char(s, '-');
    if (!take_number(s, 2, &utc->tm_mon) || (has_dashes && !take_char(s, '-')) ||
        !take_number(s, 2, &utc->tm_mday)) {
        return false;
    }
    utc->tm_year -= 1900;
    utc->tm_mon -= 1;
    return utc->tm_mon >= 0 && utc->tm_mon <= 11 && utc->tm_mday >= 1 && utc->tm_mday <= 31;
}

static bool take_time_of_day(struct str *s, struct tm *utc)
{
    if (!take_number(s, 2, &utc->tm_hour)) {
        return false;
    }
    bool has_colons = take_char(s, ':');
    if (!take_number(s, 2, &utc->tm_min) || (has_colons && !take_char(s, ':')) ||
        !take_number(s, 2, &utc->tm_sec)) {
        return false;
    }
    return utc->tm_hour <= 23 && utc->tm_min <= 59 && utc->tm_sec <= 60;
}

bool wall_parse(struct str s, wall_t *ret_time)
{
    struct tm utc = {0};
    int64_t us = 0;
    int offset_s = 0;
    if (!take_date(&s, &utc)) {
        return false;
    }
    if (s.len > 0) {
        if ((!take_char(&s, 'T') && !take_char(&s, ' ')) || !take_time_of_day(&s, &utc)) {
            return false;
        }
        if (take_char(&s, '.') && !take_fraction_us(&s, &us)) {
            return false;
        }
        if (!take_zone_s(&s, &offset_s)) {
            return false;
        }
    }
    *ret_time = (wall_t){.us = ((int64_t)timegm(&utc) - offset_s) * 1000000 + us};
    return true;
}
