#include "rollout/shift.h"

#include "test.h"

#include "base/check.h"

/* A world in which every effect takes place at once and is acknowledged. */
struct stage {
    struct shift_row row;
    struct shift_config config;
    struct shift_sight sight;
    wall_t now;
    wall_t wake_at;
    bool is_rollback_due;
    int created;
    int removed_blue;
    int removed_green;
};

static void stage_init(struct stage *g)
{
    *g = (struct stage){.now = {.us = 1700000000000000}};
    g->row = shift_row_new(g->now);
    g->config.termination_wait = DUR_MIN(5);
    g->config.failures_allowed = 3;
    g->config.has_test_route = true;
    shift_plan_canary(&g->config, 10, 5);
    g->sight = (struct shift_sight){
        .is_service_there = true,
        .is_published = true,
        .production = {100, 0},
        .test = {100, 0},
        .blue = {.is_there = true,
                 .is_primary = true,
                 .is_steady = true,
                 .desired_count = 2,
                 .healthy_count = 2},
    };
}

static void perform(struct stage *g, const struct shift_decision *d)
{
    struct shift_side *side = d->side == SHIFT_BLUE ? &g->sight.blue : &g->sight.green;
    struct shift_side *other = d->side == SHIFT_BLUE ? &g->sight.green : &g->sight.blue;
    switch (d->effect) {
    case SHIFT_CREATE:
        g->created++;
        *side = (struct shift_side){.is_there = true, .was_made = true, .desired_count = 2};
        break;
    case SHIFT_SET_PRODUCTION:
        g->sight.production = d->weights;
        break;
    case SHIFT_SET_TEST:
        g->sight.test = d->weights;
        break;
    case SHIFT_SET_PRIMARY:
        side->is_primary = true;
        other->is_primary = false;
        break;
    case SHIFT_REMOVE:
        g->removed_blue += d->side == SHIFT_BLUE;
        g->removed_green += d->side == SHIFT_GREEN;
        *side = (struct shift_side){0};
        break;
    case SHIFT_CALL_HOOK:
        g->sight.hook = SHIFT_HOOK_CALLED;
        break;
    }
}

static void run(struct stage *g)
{
    for (int i = 0;; i++) {
        REQUIRE(i < 100);
        struct shift_decision d = shift_decide(&g->row, &g->config, &g->sight, g->now);
        if (d.what == SHIFT_STAY) {
            g->wake_at = d.wake_at;
            return;
        }
        if (d.what == SHIFT_EFFECT) {
            perform(g, &d);
            continue;
        }
        g->is_rollback_due = g->is_rollback_due || d.is_rollback_due;
        if (d.next != g->row.state) {
            g->sight.hook = SHIFT_HOOK_NONE;
        }
        shift_apply(&g->row, &d, g->now);
    }
}

static void advance(struct stage *g, dur_t by)
{
    g->now = wall_add(g->now, by);
    run(g);
}

static void install(struct stage *g)
{
    run(g);
    REQUIRE_EQ(g->row.state, SHIFT_INSTALLING);
    g->sight.green.healthy_count = 2;
    g->sight.green.is_steady = true;
    run(g);
}

#define EXPECT_WEIGHTS(g, blue_, green_)                  \
    do {                                                  \
        EXPECT_EQ((g)->sight.production.blue, (blue_));   \
        EXPECT_EQ((g)->sight.production.green, (green_)); \
    } while (0)

TEST(a_canary_gives_a_tenth_then_all_then_takes_blue_away)
{
    struct stage g;
    stage_init(&g);
    EXPECT_EQ(shift_status(&g.row), SHIFT_STATUS_CREATED);
    install(&g);
    EXPECT_EQ(g.row.state, SHIFT_SHIFTING);
    EXPECT_WEIGHTS(&g, 90, 10);
    EXPECT_EQ(g.sight.test.green, 100);
    EXPECT(!g.sight.green.is_primary);
    EXPECT_EQ(wall_since(g.wake_at, g.now).us, DUR_MIN(5).us);
    advance(&g, DUR_MS(299999));
    EXPECT_WEIGHTS(&g, 90, 10);
    advance(&g, DUR_MS(1));
    EXPECT_WEIGHTS(&g, 0, 100);
    EXPECT_EQ(g.row.state, SHIFT_TERMINATION_WAIT);
    EXPECT(g.sight.green.is_primary);
    EXPECT_EQ(shift_status(&g.row), SHIFT_STATUS_IN_PROGRESS);
    for (int e = 0; e < SHIFT_EVENT_COUNT; e++) {
        EXPECT_EQ(shift_event_view(&g.row, (enum shift_event)e).status, SHIFT_SUCCEEDED);
    }
    EXPECT_EQ(g.removed_blue, 0);
    advance(&g, DUR_MIN(5));
    EXPECT_EQ(g.removed_blue, 1);
    EXPECT_EQ(g.row.state, SHIFT_DONE);
    EXPECT_EQ(shift_status(&g.row), SHIFT_STATUS_SUCCEEDED);
    EXPECT_EQ(g.created, 1);
}

TEST(linear_takes_equal_steps_and_the_last_is_the_rest)
{
    struct shift_config c = {0};
    shift_plan_linear(&c, 10, 1);
    EXPECT_EQ(c.step_count, 10);
    EXPECT_EQ(c.steps[0].permille, 100);
    EXPECT_EQ(c.steps[8].permille, 900);
    EXPECT_EQ(c.steps[9].permille, 1000);
    shift_plan_linear(&c, 30, 1);
    EXPECT_EQ(c.step_count, 4);
    EXPECT_EQ(c.steps[3].permille, 1000);
    shift_plan_linear(&c, 1, 0);
    EXPECT_EQ(c.step_count, 100);
    shift_plan_linear(&c, 99, 1);
    EXPECT_EQ(c.step_count, 2);
}

TEST(weights_are_whole_percentages_where_they_can_be)
{
    static const int32_t rows[][3] = {{0, 100, 0}, {100, 90, 10}, {1000, 0, 100},
                                      {1, 999, 1}, {999, 1, 999}, {125, 875, 125}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct shift_weights w = shift_weights_of(rows[i][0]);
        EXPECT_EQ(w.blue, rows[i][1]);
        EXPECT_EQ(w.green, rows[i][2]);
    }
}

TEST(an_alarm_takes_traffic_back_in_the_same_turn_and_stops_the_deployment)
{
    for (int rolls_back = 0; rolls_back < 2; rolls_back++) {
        struct stage g;
        stage_init(&g);
        g.config.rolls_back_on_alarm = rolls_back == 1;
        install(&g);
        g.sight.is_alarm = true;
        run(&g);
        EXPECT_WEIGHTS(&g, 100, 0);
        EXPECT_EQ(g.sight.test.blue, 100);
        EXPECT_EQ(g.row.state, SHIFT_STOPPED);
        EXPECT_EQ(g.row.cause, SHIFT_CAUSE_ALARM);
        EXPECT_EQ(shift_event_view(&g.row, SHIFT_EVENT_ALLOW).status, SHIFT_FAILED_EVENT);
        EXPECT_EQ(shift_event_view(&g.row, SHIFT_EVENT_AFTER_ALLOW).status, SHIFT_SKIPPED);
        EXPECT_EQ(shift_event_view(&g.row, SHIFT_EVENT_INSTALL).status, SHIFT_SUCCEEDED);
        EXPECT_EQ(g.is_rollback_due, rolls_back);
        EXPECT_EQ(g.removed_green, 1 - rolls_back); /* the rollback deployment does it */
    }
}

TEST(green_is_not_removed_before_the_data_plane_has_acknowledged)
{
    struct stage g;
    stage_init(&g);
    install(&g);
    g.row.is_stop_asked = true;
    g.sight.is_published = false;
    run(&g);
    EXPECT_WEIGHTS(&g, 100, 0);
    EXPECT_EQ(g.row.state, SHIFT_RESTORING);
    EXPECT_EQ(g.removed_green, 0);
    g.sight.is_published = true;
    run(&g);
    EXPECT_EQ(g.removed_green, 1);
    EXPECT_EQ(g.row.state, SHIFT_STOPPED);
}

TEST(too_many_failed_tasks_end_the_installation_long_before_the_hour)
{
    struct stage g;
    stage_init(&g);
    g.config.rolls_back_on_failure = true;
    run(&g);
    g.sight.green.failed_count = 2;
    run(&g);
    EXPECT_EQ(g.row.state, SHIFT_INSTALLING);
    g.sight.green.failed_count = 3;
    run(&g);
    EXPECT_EQ(g.row.state, SHIFT_FAILED);
    EXPECT_EQ(g.row.cause, SHIFT_CAUSE_TASKS_FAILED);
    EXPECT(g.is_rollback_due);
    EXPECT_WEIGHTS(&g, 100, 0);
    EXPECT_EQ(shift_event_view(&g.row, SHIFT_EVENT_INSTALL).status, SHIFT_FAILED_EVENT);
}

TEST(an_installation_that_does_not_end_fails_after_an_hour)
{
    struct stage g;
    stage_init(&g);
    run(&g);
    advance(&g, DUR_MS(3599999));
    EXPECT_EQ(g.row.state, SHIFT_INSTALLING);
    advance(&g, DUR_MS(1));
    EXPECT_EQ(g.row.state, SHIFT_FAILED);
    EXPECT_EQ(g.row.cause, SHIFT_CAUSE_TIMEOUT);
    EXPECT_EQ(g.removed_green, 1);
}

TEST(what_was_ready_in_time_is_not_failed_because_we_looked_late)
{
    struct stage g;
    stage_init(&g);
    run(&g);
    g.sight.green.healthy_count = 2;
    g.sight.green.is_steady = true;
    advance(&g, DUR_MIN(120)); /* the engine was down meanwhile */
    EXPECT_EQ(g.row.state, SHIFT_SHIFTING);
}

TEST(ready_wait_goes_on_when_told_and_stops_when_not)
{
    for (int is_told = 0; is_told < 2; is_told++) {
        struct stage g;
        stage_init(&g);
        g.config.must_be_continued = true;
        g.config.ready_wait = DUR_MIN(10);
        install(&g);
        EXPECT_EQ(shift_status(&g.row), SHIFT_STATUS_READY);
        EXPECT_WEIGHTS(&g, 100, 0);
        EXPECT_EQ(g.sight.test.green, 100);
        g.row.is_continued = is_told == 1;
        advance(&g, is_told == 1 ? DUR_S(1) : DUR_MIN(10));
        EXPECT_EQ(g.row.state, is_told == 1 ? SHIFT_SHIFTING : SHIFT_STOPPED);
        EXPECT_EQ(g.row.cause, is_told == 1 ? SHIFT_CAUSE_NONE : SHIFT_CAUSE_READY_TIMEOUT);
    }
}

TEST(a_hook_decides_about_going_on)
{
    static const struct {
        enum shift_hook answer;
        dur_t after;
        enum shift_state state;
        enum shift_cause cause;
    } rows[] = {
        {SHIFT_HOOK_SUCCEEDED, {0}, SHIFT_SHIFTING, SHIFT_CAUSE_NONE},
        {SHIFT_HOOK_FAILED, {0}, SHIFT_FAILED, SHIFT_CAUSE_HOOK_FAILED},
        {SHIFT_HOOK_CALLED, {.us = 3600000000}, SHIFT_FAILED, SHIFT_CAUSE_HOOK_TIMEOUT},
        {SHIFT_HOOK_CALLED, {.us = 3599000000}, SHIFT_AFTER_TEST_TRAFFIC, SHIFT_CAUSE_NONE},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct stage g;
        stage_init(&g);
        g.config.has_hook[SHIFT_EVENT_AFTER_TEST] = true;
        install(&g);
        EXPECT_EQ(g.row.state, SHIFT_AFTER_TEST_TRAFFIC);
        EXPECT_EQ(g.sight.hook, SHIFT_HOOK_CALLED);
        g.sight.hook = rows[i].answer;
        advance(&g, rows[i].after);
        EXPECT_EQ(g.row.state, rows[i].state);
        EXPECT_EQ(g.row.cause, rows[i].cause);
    }
}

TEST(a_stop_in_the_termination_wait_still_brings_blue_back)
{
    struct stage g;
    stage_init(&g);
    shift_plan_at_once(&g.config);
    install(&g);
    EXPECT_EQ(g.row.state, SHIFT_TERMINATION_WAIT);
    g.row.is_stop_asked = true;
    run(&g);
    EXPECT_WEIGHTS(&g, 100, 0);
    EXPECT(g.sight.blue.is_primary);
    EXPECT_EQ(g.removed_green, 1);
    EXPECT_EQ(g.row.state, SHIFT_STOPPED);
}

TEST(green_that_dies_under_traffic_gives_it_back_at_once)
{
    struct stage g;
    stage_init(&g);
    install(&g);
    g.sight.green.healthy_count = 0;
    run(&g);
    EXPECT_WEIGHTS(&g, 100, 0);
    EXPECT_EQ(g.row.cause, SHIFT_CAUSE_LOST);
    EXPECT_EQ(g.row.state, SHIFT_FAILED);
}

TEST(blue_that_dies_during_the_shift_leaves_all_traffic_to_green)
{
    struct stage g;
    stage_init(&g);
    install(&g);
    g.sight.blue.healthy_count = 0;
    run(&g);
    EXPECT_WEIGHTS(&g, 0, 100);
    EXPECT_EQ(g.row.state, SHIFT_SHIFTING);
    g.sight.blue.healthy_count = 1;
    run(&g);
    EXPECT_WEIGHTS(&g, 90, 10);
    g.sight.blue.healthy_count = 0;
    g.sight.is_alarm = true; /* back to whom? */
    run(&g);
    EXPECT_WEIGHTS(&g, 0, 100);
    EXPECT_EQ(g.row.state, SHIFT_CLEARING);
    EXPECT_EQ(g.removed_green, 0);
    g.sight.blue.healthy_count = 1;
    run(&g);
    EXPECT_WEIGHTS(&g, 100, 0);
    EXPECT_EQ(g.removed_green, 1);
    EXPECT_EQ(g.row.state, SHIFT_STOPPED);
}

TEST(blue_is_kept_where_the_group_says_so)
{
    struct stage g;
    stage_init(&g);
    g.config.keeps_blue = true;
    shift_plan_at_once(&g.config);
    install(&g);
    EXPECT_EQ(g.row.state, SHIFT_DONE);
    EXPECT_EQ(g.removed_blue, 0);
}

TEST(a_rollback_deployment_removes_green_and_makes_no_task_set_where_blue_stands)
{
    struct stage g;
    stage_init(&g);
    g.config.kind = SHIFT_BACK;
    g.config.has_test_route = false;
    shift_plan_at_once(&g.config);
    g.sight.green = (struct shift_side){.is_there = true, .desired_count = 2, .healthy_count = 2};
    g.sight.is_alarm = true; /* still */
    run(&g);
    EXPECT_EQ(g.row.state, SHIFT_DONE);
    EXPECT_EQ(g.created, 0);
    EXPECT_EQ(g.removed_green, 1);
    EXPECT_WEIGHTS(&g, 100, 0);
    EXPECT(g.sight.blue.is_primary);
}

TEST(a_rollback_deployment_makes_blue_anew_where_it_is_gone)
{
    struct stage g;
    stage_init(&g);
    g.config.kind = SHIFT_BACK;
    g.config.has_test_route = false;
    shift_plan_at_once(&g.config);
    g.sight.blue = (struct shift_side){0};
    g.sight.production = (struct shift_weights){0, 100};
    g.sight.green = (struct shift_side){
        .is_there = true, .is_primary = true, .desired_count = 2, .healthy_count = 2};
    run(&g);
    EXPECT_EQ(g.created, 1);
    EXPECT_EQ(g.row.state, SHIFT_INSTALLING);
    EXPECT_WEIGHTS(&g, 0, 100);
    g.sight.blue.healthy_count = 1;
    run(&g);
    EXPECT_EQ(g.row.state, SHIFT_DONE);
    EXPECT_WEIGHTS(&g, 100, 0);
}

TEST(a_wall_clock_set_back_makes_a_wait_begin_anew_but_never_longer)
{
    struct stage g;
    stage_init(&g);
    install(&g);
    advance(&g, DUR_MIN(-600));
    EXPECT_EQ(g.row.state, SHIFT_SHIFTING);
    EXPECT_EQ(wall_since(g.wake_at, g.now).us, DUR_MIN(5).us);
    advance(&g, DUR_MIN(5));
    EXPECT_EQ(g.row.state, SHIFT_TERMINATION_WAIT);
}

TEST(states_are_known_by_name_and_lead_somewhere)
{
    for (int i = 0; i < SHIFT_STATE_COUNT; i++) {
        enum shift_state state;
        REQUIRE(shift_state_parse(str_of(shift_state_name((enum shift_state)i)), &state));
        EXPECT_EQ(state, i);
        bool leads_back = shift_may_move(state, SHIFT_RESTORING);
        bool is_end = shift_is_final(state) || state == SHIFT_RESTORING || state == SHIFT_CLEARING;
        EXPECT_EQ(leads_back, !is_end);
    }
    enum shift_state state;
    EXPECT(!shift_state_parse(STR("NOWHERE"), &state));
    enum shift_event event;
    EXPECT(shift_event_parse(STR("afterallowtraffic"), &event));
    EXPECT_EQ(event, SHIFT_EVENT_AFTER_ALLOW);
    EXPECT(!shift_event_parse(STR("ApplicationStop"), &event));
}
