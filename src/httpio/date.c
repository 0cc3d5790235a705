#include "httpio/date.h"

#include "base/check.h"

#include <stdio.h>

struct day {
    int64_t year;
    unsigned month;  /* 1..12 */
    unsigned number; /* 1..31 */
};

/* Days since 1970-01-01 to a date: years are counted from March, so that the leap day is the last
 * of its year, in eras of 400 years, which are all of equal length. */
static struct day day_of(int64_t days)
{
    const int64_t era_days = 146097;
    int64_t since_year_0 = days + 719468;
    int64_t era = since_year_0 / era_days;
    int64_t in_era = since_year_0 % era_days;
    int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    int64_t from_march = (5 * in_year + 2) / 153;
    unsigned month = (unsigned)(from_march < 10 ? from_march + 3 : from_march - 9);
    return (struct day){.year = era * 400 + year + (month <= 2),
                        .month = month,
                        .number = (unsigned)(in_year - (153 * from_march + 2) / 5 + 1)};
}

struct str httpio_date_write(wall_t t, char *buffer)
{
    static const char week[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t seconds = t.us / 1000000;
    CHECK(seconds >= 0 && seconds < 253402300800);
    struct day d = day_of(seconds / 86400);
    unsigned of_day = (unsigned)(seconds % 86400);
    int len = snprintf(buffer, HTTPIO_DATE_BYTES, "%s, %02u %s %04d %02u:%02u:%02u GMT",
                       week[seconds / 86400 % 7], d.number, months[d.month - 1], (int)d.year,
                       of_day / 3600, of_day / 60 % 60, of_day % 60);
    CHECK(len == HTTPIO_DATE_BYTES - 1);
    return str_make(buffer, HTTPIO_DATE_BYTES - 1);
}
