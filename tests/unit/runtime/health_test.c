#include "test.h"

#include "base/check.h"
#include "runtime/health.h"

static const struct runtime_health_check check = {
    .interval = DUR_S(10), .start_period = DUR_S(60), .retries = 2};

TEST(failures_inside_the_start_period_do_not_count)
{
    struct runtime_health_track h = {0};
    for (int s = 10; s < 60; s += 10) {
        EXPECT(!runtime_health_note(&h, &check, DUR_S(s), false));
    }
    EXPECT_EQ(h.state, RUNTIME_HEALTH_UNKNOWN);
    EXPECT_EQ(h.failures_in_row, 0);
    EXPECT(!runtime_health_note(&h, &check, DUR_S(60), false));
    EXPECT(runtime_health_note(&h, &check, DUR_S(70), false));
    EXPECT_EQ(h.state, RUNTIME_UNHEALTHY);
}

TEST(the_first_success_ends_the_start_period)
{
    struct runtime_health_track h = {0};
    EXPECT(runtime_health_note(&h, &check, DUR_S(10), true));
    EXPECT_EQ(h.state, RUNTIME_HEALTHY);
    EXPECT(!runtime_health_note(&h, &check, DUR_S(20), false));
    EXPECT(runtime_health_note(&h, &check, DUR_S(30), false));
    EXPECT_EQ(h.state, RUNTIME_UNHEALTHY);
}

TEST(one_success_heals_and_starts_the_count_again)
{
    struct runtime_health_track h = {0};
    EXPECT(runtime_health_note(&h, &check, DUR_S(90), true));
    EXPECT(!runtime_health_note(&h, &check, DUR_S(100), false));
    EXPECT(!runtime_health_note(&h, &check, DUR_S(110), true));
    EXPECT(!runtime_health_note(&h, &check, DUR_S(120), false));
    EXPECT(runtime_health_note(&h, &check, DUR_S(130), false));
    EXPECT(!runtime_health_note(&h, &check, DUR_S(140), false));
    EXPECT(runtime_health_note(&h, &check, DUR_S(150), true));
    EXPECT_EQ(h.state, RUNTIME_HEALTHY);
}

TEST(defaults_are_those_of_the_ecs_api)
{
    struct str words[] = {STR_INIT("CMD-SHELL"), STR_INIT("true")};
    struct runtime_health_check bare = {.command = {.items = words, .count = 2}};
    EXPECT(runtime_health_is_checked(&bare));
    EXPECT_EQ(runtime_health_interval(&bare).us, DUR_S(30).us);
    EXPECT_EQ(runtime_health_timeout(&bare).us, DUR_S(5).us);
    struct runtime_health_track h = {0};
    EXPECT(!runtime_health_note(&h, &bare, DUR_S(1), false));
    EXPECT(!runtime_health_note(&h, &bare, DUR_S(2), false));
    EXPECT(runtime_health_note(&h, &bare, DUR_S(3), false));
    EXPECT_EQ(h.state, RUNTIME_UNHEALTHY);
}

TEST(interval_and_start_period_follow_the_time_scale_but_not_the_timeout)
{
    clock_set_scale(60);
    EXPECT_EQ(runtime_health_interval(&check).us, DUR_S(10).us / 60);
    struct runtime_health_check slow = check;
    slow.timeout = DUR_S(20);
    EXPECT_EQ(runtime_health_timeout(&slow).us, DUR_S(20).us);
    struct runtime_health_track h = {0};
    EXPECT(!runtime_health_note(&h, &check, DUR_MS(999), false));
    EXPECT_EQ(h.failures_in_row, 0);
    EXPECT(!runtime_health_note(&h, &check, DUR_S(1), false));
    EXPECT_EQ(h.failures_in_row, 1);
    clock_set_scale(100000);
    EXPECT_EQ(runtime_health_interval(&check).us, RUNTIME_HEALTH_INTERVAL_LEAST.us);
}

TEST(a_command_of_none_is_no_check)
{
    struct str words[] = {STR_INIT("NONE")};
    struct runtime_health_check none = {.command = {.items = words, .count = 1}};
    EXPECT(!runtime_health_is_checked(&none));
}
