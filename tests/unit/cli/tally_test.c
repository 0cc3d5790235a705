#include "base/check.h"
#include "cli/tally.h"
#include "test.h"

/* microseconds, status, version, latency, outcome */
static const char log_text[] = "1000\t200\tv1\t10\tanswered\n"
                               "2000\t200\tv2\t10\tanswered\n"
                               "2100\t500\tv2\t10\tanswered\n"
                               "2200\t0\t\t10\tbroken\n"
                               "2300\t502\t\t10\tanswered\n"
                               "2400\t500\tv2\t10\tanswered\n"
                               "2500\t200\tv1\t10\tanswered\n"
                               "9000\t500\tv1\t10\tanswered\n";

TEST(every_request_is_counted_for_the_version_that_owed_it)
{
    struct tally t = {.from = {2000},
                      .to = {2600},
                      .version = STR("v2"),
                      .canary_from = {2000},
                      .canary_to = {2300}};
    struct tally_total total = {0};
    tally_count(str_of(log_text), &t, 1, &total);
    EXPECT_EQ(total.request_count, 8);
    EXPECT_EQ(total.failed_count, 5);
    EXPECT_EQ(t.request_count, 6);
    EXPECT_EQ(t.failed_new, 2);
    EXPECT_EQ(t.failed_old, 2); /* without an answer of the new version it was owed by the old */
    EXPECT_EQ(t.canary_all, 4);
    EXPECT_EQ(t.canary_new, 2);
    EXPECT_EQ(t.first_bad.us, 2100);
    EXPECT_EQ(t.last_new.us, 2400);
}

TEST(a_line_that_is_none_of_the_log_is_told)
{
    struct tally_total total = {0};
    tally_count(STR("1000\t200\tv1\t10\tanswered\nrubbish\n12\n\n"), NULL, 0, &total);
    EXPECT_EQ(total.request_count, 1);
    EXPECT_EQ(total.line_count_bad, 2);
}
