#include "base/check.h"
#include "httpio/date.h"
#include "test.h"

TEST(dates_are_written_as_http_writes_them)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } rows[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {784887151, "Tue, 15 Nov 1994 08:12:31 GMT"},
        {951782399, "Mon, 28 Feb 2000 23:59:59 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {951868800, "Wed, 01 Mar 2000 00:00:00 GMT"},
        {1795189330, "Fri, 20 Nov 2026 15:42:10 GMT"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char buffer[HTTPIO_DATE_BYTES];
        EXPECT_STR(httpio_date_write((wall_t){.us = rows[i].seconds * 1000000}, buffer),
                   rows[i].text);
    }
}
