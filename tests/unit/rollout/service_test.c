#include "world.h"

#include "test.h"

#define ALL 100

static const struct rollout_group one_group[] = {
    {.arn = STR_INIT("arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/1"),
     .port = 8080}};

static uint64_t fixed_random = 88172645463325252u;

static void balance(struct world *w)
{
    w->config.groups = one_group;
    w->config.group_count = 1;
}

/* Steps of a minute, tasks all moving, until the PRIMARY is no longer in progress. */
static void run_out(struct world *w, int minutes_max)
{
    world_settle(w);
    for (int i = 0; i < minutes_max && world_primary(w)->row.state == ROLLOUT_IN_PROGRESS; i++) {
        world_progress(w, &fixed_random, ALL);
        world_advance(w, DUR_MIN(1));
    }
}

static void deploy_good(struct world *w)
{
    world_deploy(w, WORLD_GOOD);
    run_out(w, 200);
    REQUIRE_EQ(world_primary(w)->row.state, ROLLOUT_COMPLETED);
}

TEST(bounds_of_a_rolling_update_round_up_below_and_down_above)
{
    static const struct {
        int32_t desired;
        int32_t minimum;
        int32_t maximum;
        int32_t lower;
        int32_t upper;
    } rows[] = {{1, 100, 200, 1, 2}, {4, 50, 200, 2, 8},  {4, 50, 100, 2, 4},
                {2, 75, 100, 2, 2},  {3, 100, 125, 3, 3}, {10, 100, 150, 10, 15},
                {0, 100, 200, 0, 0}, {7, 50, 150, 4, 10}, {5000, 1, 101, 50, 5050}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rollout_config c = {.desired_count = rows[i].desired,
                                   .minimum_healthy_percent = rows[i].minimum,
                                   .maximum_percent = rows[i].maximum};
        EXPECT_EQ(rollout_lower_bound(&c), rows[i].lower);
        EXPECT_EQ(rollout_upper_bound(&c), rows[i].upper);
    }
}

TEST(breaker_threshold_is_half_of_desired_between_3_and_200)
{
    static const struct {
        enum rollout_threshold kind;
        int32_t value;
        int32_t desired;
        int32_t threshold;
    } rows[] = {{ROLLOUT_BOUNDED_PERCENT, 50, 1, 3},
                {ROLLOUT_BOUNDED_PERCENT, 50, 6, 3},
                {ROLLOUT_BOUNDED_PERCENT, 50, 7, 4},
                {ROLLOUT_BOUNDED_PERCENT, 50, 25, 13},
                {ROLLOUT_BOUNDED_PERCENT, 50, 400, 200},
                {ROLLOUT_BOUNDED_PERCENT, 50, 800, 200},
                {ROLLOUT_UNBOUNDED_PERCENT, 50, 1, 1},
                {ROLLOUT_UNBOUNDED_PERCENT, 50, 800, 400},
                {ROLLOUT_COUNT, 7, 800, 7}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rollout_breaker b = {.threshold = rows[i].kind, .threshold_value = rows[i].value};
        EXPECT_EQ(rollout_breaker_threshold(&b, rows[i].desired), rows[i].threshold);
    }
}

TEST(one_task_of_100_200_is_replaced_only_after_its_successor_serves)
{
    struct world w;
    world_init(&w, 1, 100, 200);
    balance(&w);
    deploy_good(&w);
    struct str old = world_primary(&w)->row.id;
    EXPECT_STR(world_primary(&w)->row.reason,
               "ECS deployment ecs-svc/0000000000000000001 completed.");

    world_deploy(&w, WORLD_GOOD);
    struct str new = world_primary(&w)->row.id;
    EXPECT_STR(world_primary(&w)->row.reason,
               "ECS deployment ecs-svc/0000000000000000002 in progress.");
    world_settle(&w);
    EXPECT_EQ(world_count_of(&w, new, ROLLOUT_STARTING), 1);
    EXPECT_EQ(world_count_of(&w, old, ROLLOUT_RUNNING), 1);
    world_progress(&w, &fixed_random, ALL); /* running, no verdict */
    world_settle(&w);
    EXPECT_EQ(world_count_of(&w, old, ROLLOUT_RUNNING), 1);
    world_progress(&w, &fixed_random, ALL); /* healthy */
    world_settle(&w);
    EXPECT_EQ(world_count_of(&w, old, ROLLOUT_STOPPING), 1);
    EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_IN_PROGRESS);
    world_progress(&w, &fixed_random, ALL); /* gone */
    world_settle(&w);
    EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_COMPLETED);
    EXPECT_EQ(world_find(&w, old)->row.status, ROLLOUT_INACTIVE);
    EXPECT_EQ(world_said(&w, "(service web) has started 1 tasks: (task t2)."), 0); /* no ids yet */
    EXPECT_EQ(world_said(&w, "(service web) has stopped 1 running tasks: (task t1)."), 1);
    EXPECT_EQ(world_said(&w, "(service web) (deployment ecs-svc/0000000000000000002) deployment "
                             "completed."),
              1);
    EXPECT_EQ(world_said(&w, "(service web) has reached a steady state."), 2);
    world_fini(&w);
}

TEST(four_tasks_of_50_100_go_two_by_two)
{
    struct world w;
    world_init(&w, 4, 50, 100);
    balance(&w);
    deploy_good(&w);
    struct str old = world_primary(&w)->row.id;
    world_deploy(&w, WORLD_GOOD);
    world_settle(&w);
    EXPECT_EQ(world_count_of(&w, old, ROLLOUT_STOPPING), 2);
    EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 0);
    world_progress(&w, &fixed_random, ALL);
    world_settle(&w);
    EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 2);
    EXPECT_EQ(world_count_of(&w, old, ROLLOUT_RUNNING), 2);
    run_out(&w, 20);
    EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_COMPLETED);
    world_fini(&w);
}

TEST(ten_tasks_of_100_150_start_five_at_a_time)
{
    struct world w;
    world_init(&w, 10, 100, 150);
    deploy_good(&w);
    world_deploy(&w, WORLD_GOOD);
    world_settle(&w);
    EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 5);
    EXPECT_EQ(world_count(&w, ROLLOUT_STOPPING), 0);
    run_out(&w, 60);
    EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_COMPLETED);
    world_fini(&w);
}

TEST(room_is_used_before_anything_is_taken_away)
{
    struct world w;
    world_init(&w, 4, 50, 200);
    balance(&w);
    deploy_good(&w);
    world_deploy(&w, WORLD_GOOD);
    world_settle(&w);
    EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 4);
    EXPECT_EQ(world_count(&w, ROLLOUT_STOPPING), 0);
    world_fini(&w);
}

TEST(percentages_without_a_move_are_told_once)
{
    static const int32_t rows[][3] = {{2, 75, 100}, {3, 100, 125}};
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        world_init(&w, rows[i][0], rows[i][1], rows[i][2]);
        deploy_good(&w);
        world_deploy(&w, WORLD_GOOD);
        run_out(&w, 30);
        EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_IN_PROGRESS);
        EXPECT_EQ(world_said(&w, "(service web) was unable to stop or start tasks during a "
                                 "deployment because of the service deployment configuration. "
                                 "Update the minimumHealthyPercent or maximumPercent value and try "
                                 "again."),
                  1);
        world_advance(&w, DUR_MIN(361));
        EXPECT_EQ(world_said(&w, "was unable to stop or start tasks"), 2);
        world_fini(&w);
    }
}

TEST(a_task_without_checks_counts_after_40_seconds)
{
    struct world w;
    world_init(&w, 1, 100, 200);
    world_deploy(&w, WORLD_GOOD);
    world_settle(&w);
    world_progress(&w, &fixed_random, ALL);
    world_settle(&w);
    EXPECT_EQ(wall_since(w.wake_at, w.now).us, DUR_S(40).us);
    world_advance(&w, DUR_MS(39999));
    EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_IN_PROGRESS);
    world_advance(&w, DUR_MS(1));
    EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_COMPLETED);
    world_fini(&w);
}

TEST(balancer_and_container_must_both_be_content)
{
    struct rollout_config c = {.has_container_check = true,
                               .groups = one_group,
                               .group_count = 1,
                               .spans = rollout_spans(DUR_S(0), DUR_S(0))};
    struct rollout_task t = {.life = ROLLOUT_RUNNING, .started_at = {.us = 1}};
    wall_t now = {.us = 1000000000};
    EXPECT(!rollout_task_is_healthy(&c, &t, now));
    t.targets[0] = ROLLOUT_TARGET_HEALTHY;
    EXPECT(!rollout_task_is_healthy(&c, &t, now));
    t.container = ROLLOUT_CONTAINER_HEALTHY;
    EXPECT(rollout_task_is_healthy(&c, &t, now));
    t.targets[0] = ROLLOUT_TARGET_UNKNOWN;
    EXPECT(!rollout_task_is_healthy(&c, &t, now));
    t.targets[0] = ROLLOUT_TARGET_HEALTHY;
    t.is_stop_decided = true;
    EXPECT(!rollout_task_is_healthy(&c, &t, now));
}

TEST(breaker_rolls_back_to_the_last_completed_deployment_and_keeps_its_tasks)
{
    struct world w;
    world_init(&w, 2, 100, 200);
    w.config.breaker.is_enabled = true;
    w.config.breaker.may_roll_back = true;
    deploy_good(&w);
    world_deploy(&w, WORLD_NEVER_RUNS);
    struct str bad = world_primary(&w)->row.id;
    size_t starts_before = w.starts_seen;
    run_out(&w, 120);
    EXPECT_STR(world_find(&w, bad)->row.reason,
               "ECS deployment circuit breaker: tasks failed to start.");
    EXPECT_EQ(world_find(&w, bad)->row.state, ROLLOUT_FAILED);
    EXPECT_EQ(world_find(&w, bad)->row.failed_count, 4); /* two rounds of two, threshold 3 */
    struct world_deployment *p = world_primary(&w);
    EXPECT_EQ(p->row.state, ROLLOUT_COMPLETED);
    EXPECT(p->row.is_rollback);
    EXPECT_STR(p->row.id, "ecs-svc/0000000000000000003");
    EXPECT_EQ(w.starts_seen - starts_before, 4); /* none for the rollback: the old tasks serve */
    EXPECT_EQ(world_count_of(&w, p->row.id, ROLLOUT_RUNNING), 2);
    EXPECT_EQ(w.stops_seen, 0);
    EXPECT_EQ(world_said(&w, "(service web) (deployment ecs-svc/0000000000000000002) deployment "
                             "failed: tasks failed to start."),
              1);
    EXPECT_EQ(
        world_said(&w, "(service web) rolling back to deployment ecs-svc/0000000000000000001."), 1);
    EXPECT_EQ(rollout_breaker_watch(&w.config.breaker, &world_find(&w, bad)->row),
              ROLLOUT_WATCH_TRIGGERED);
    world_fini(&w);
}

TEST(rollback_names_the_deployment_it_goes_back_to)
{
    struct world w;
    world_init(&w, 1, 100, 200);
    w.config.breaker = (struct rollout_breaker){.is_enabled = true,
                                                .may_roll_back = true,
                                                .threshold = ROLLOUT_COUNT,
                                                .threshold_value = 1};
    deploy_good(&w);
    world_deploy(&w, WORLD_NEVER_RUNS);
    world_settle(&w);
    w.tasks[0].life = ROLLOUT_STOPPED; /* the old task dies as well: the rollback is not instant */
    world_progress(&w, &fixed_random, ALL);
    world_settle(&w);
    EXPECT_STR(world_primary(&w)->row.reason,
               "ECS deployment circuit breaker: rolling back to deploymentId "
               "ecs-svc/0000000000000000001.");
    EXPECT_EQ(world_count_of(&w, world_primary(&w)->row.id, ROLLOUT_STARTING), 1);
    world_fini(&w);
}

TEST(breaker_counts_tasks_that_exit_at_once_and_tasks_that_fail_their_checks)
{
    static const enum world_image images[] = {WORLD_EXITS_AT_ONCE, WORLD_FAILS_CHECKS};
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        world_init(&w, 1, 100, 200);
        balance(&w);
        w.config.breaker.is_enabled = true;
        w.config.breaker.may_roll_back = true;
        deploy_good(&w);
        world_deploy(&w, images[i]);
        struct str bad = world_primary(&w)->row.id;
        run_out(&w, 120);
        EXPECT_EQ(world_find(&w, bad)->row.failed_count, 3);
        EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_COMPLETED);
        EXPECT(world_primary(&w)->row.is_rollback);
        EXPECT_EQ(world_healthy(&w), 1);
        world_fini(&w);
    }
}

TEST(a_task_that_fails_its_checks_is_stopped_with_the_reason_of_the_balancer)
{
    struct world w;
    world_init(&w, 1, 100, 200);
    balance(&w);
    world_deploy(&w, WORLD_FAILS_CHECKS);
    run_out(&w, 10);
    EXPECT(world_said(&w, "(service web) (task t1) (port 8080) is unhealthy in (target-group "
                          "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/1) "
                          "due to (reason Health checks failed with these codes: [404])") == 1);
    EXPECT(w.stops_seen > 0);
    world_fini(&w);
}

TEST(without_rollback_the_failed_deployment_stays_and_old_tasks_go_on)
{
    struct world w;
    world_init(&w, 2, 50, 200);
    balance(&w);
    w.config.breaker.is_enabled = true;
    deploy_good(&w);
    struct str old = world_primary(&w)->row.id;
    world_deploy(&w, WORLD_FAILS_CHECKS);
    run_out(&w, 120);
    EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_FAILED);
    EXPECT_EQ(world_primary(&w)->row.failure, ROLLOUT_FAILURE_BREAKER);
    size_t starts = w.starts_seen;
    for (int i = 0; i < 60; i++) {
        world_progress(&w, &fixed_random, ALL);
        world_advance(&w, DUR_MIN(10));
    }
    EXPECT_EQ(w.starts_seen, starts);
    EXPECT_EQ(world_count_of(&w, old, ROLLOUT_RUNNING), 2);
    EXPECT_EQ(world_healthy(&w), 2);
    /* the next deployment mends it */
    deploy_good(&w);
    EXPECT_EQ(world_healthy(&w), 2);
    world_fini(&w);
}

TEST(a_first_deployment_has_nothing_to_roll_back_to)
{
    struct world w;
    world_init(&w, 1, 100, 200);
    w.config.breaker.is_enabled = true;
    w.config.breaker.may_roll_back = true;
    world_deploy(&w, WORLD_NEVER_RUNS);
    run_out(&w, 240);
    EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_FAILED);
    EXPECT(!world_primary(&w)->row.has_candidate);
    EXPECT_EQ(w.deployment_count, 1);
    world_fini(&w);
}

TEST(starts_are_throttled_up_to_15_minutes_and_an_update_clears_it)
{
    struct world w;
    world_init(&w, 1, 100, 200);
    world_deploy(&w, WORLD_NEVER_RUNS);
    world_settle(&w);
    int64_t gap_s = 10;
    for (int i = 0; i < 10; i++) {
        world_progress(&w, &fixed_random, ALL);
        world_settle(&w);
        EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 0);
        EXPECT_EQ(wall_since(w.wake_at, w.now).us, DUR_S(gap_s).us);
        world_advance(&w, DUR_S(gap_s));
        EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 1);
        gap_s = gap_s * 2 > 900 ? 900 : gap_s * 2;
    }
    EXPECT_EQ(world_said(&w, "(service web) is unable to consistently start tasks successfully."),
              1);
    world_progress(&w, &fixed_random, ALL);
    world_settle(&w);
    world_deploy(&w, WORLD_GOOD);
    world_settle(&w);
    EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 1);
    world_fini(&w);
}

TEST(the_counter_falls_to_zero_when_a_task_becomes_healthy_unless_cumulative)
{
    for (int is_cumulative = 0; is_cumulative < 2; is_cumulative++) {
        struct world w;
        world_init(&w, 4, 100, 200);
        balance(&w);
        w.config.breaker.is_enabled = true;
        w.config.breaker.is_cumulative = is_cumulative == 1;
        world_deploy(&w, WORLD_GOOD);
        world_settle(&w);
        w.tasks[0].life = ROLLOUT_STOPPED;
        w.tasks[1].life = ROLLOUT_STOPPED;
        world_settle(&w);
        EXPECT_EQ(world_primary(&w)->row.failed_count, 2);
        world_progress(&w, &fixed_random, ALL);
        world_settle(&w);
        world_progress(&w, &fixed_random, ALL);
        world_settle(&w);
        EXPECT_EQ(world_primary(&w)->row.failed_count, is_cumulative == 1 ? 2 : 0);
        world_fini(&w);
    }
}

TEST(an_alarm_fails_the_deployment_unless_it_stood_at_the_start)
{
    for (int was_at_start = 0; was_at_start < 2; was_at_start++) {
        struct world w;
        world_init(&w, 1, 100, 200);
        balance(&w);
        deploy_good(&w);
        struct rollout_alarm alarms[] = {{.name = STR("5xx"), .was_at_start = was_at_start == 1}};
        w.config.alarms = alarms;
        w.config.alarm_count = 1;
        w.config.are_alarms_enabled = true;
        w.config.may_alarms_roll_back = true;
        w.config.spans.bake = DUR_MIN(3);
        world_deploy(&w, WORLD_GOOD);
        struct str new = world_primary(&w)->row.id;
        for (int i = 0; i < 4; i++) {
            world_progress(&w, &fixed_random, ALL);
            world_settle(&w);
        }
        EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_IN_PROGRESS); /* it bakes */
        EXPECT_EQ(wall_since(w.wake_at, w.now).us, DUR_MIN(3).us);
        alarms[0].is_in_alarm = true;
        world_settle(&w);
        if (was_at_start == 1) {
            world_advance(&w, DUR_MIN(3));
            EXPECT_EQ(world_find(&w, new)->row.state, ROLLOUT_COMPLETED);
        } else {
            EXPECT_EQ(world_find(&w, new)->row.state, ROLLOUT_FAILED);
            EXPECT_EQ(world_said(&w, "deployment failed: alarm detected."), 1);
            run_out(&w, 20);
            EXPECT(world_primary(&w)->row.is_rollback);
            EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_COMPLETED);
        }
        world_fini(&w);
    }
}

TEST(a_person_may_send_a_deployment_back_whatever_the_configuration_says)
{
    struct world w;
    world_init(&w, 2, 100, 200);
    deploy_good(&w);
    world_deploy(&w, WORLD_GOOD);
    world_settle(&w);
    w.is_stop_requested = true;
    world_settle(&w);
    EXPECT(world_primary(&w)->row.is_rollback);
    run_out(&w, 10);
    EXPECT_EQ(world_count_of(&w, world_primary(&w)->row.id, ROLLOUT_RUNNING), 2);
    EXPECT_EQ(world_count(&w, ROLLOUT_RUNNING), 2);
    world_fini(&w);
}

TEST(an_unhealthy_task_is_replaced_first_where_there_is_room)
{
    struct world w;
    world_init(&w, 2, 100, 150);
    balance(&w);
    deploy_good(&w);
    w.tasks[0].targets[0] = ROLLOUT_TARGET_UNHEALTHY;
    world_settle(&w);
    EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 1);
    EXPECT_EQ(world_count(&w, ROLLOUT_STOPPING), 0);
    w.tasks[2].life = ROLLOUT_RUNNING;
    w.tasks[2].started_at = w.now;
    w.tasks[2].targets[0] = ROLLOUT_TARGET_HEALTHY;
    world_settle(&w);
    EXPECT_EQ(w.tasks[0].life, ROLLOUT_STOPPING);
    EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_COMPLETED);
    world_fini(&w);
}

TEST(without_room_unhealthy_tasks_are_stopped_one_at_a_time)
{
    struct world w;
    world_init(&w, 4, 50, 100);
    balance(&w);
    deploy_good(&w);
    w.tasks[0].targets[0] = ROLLOUT_TARGET_UNHEALTHY;
    w.tasks[1].targets[0] = ROLLOUT_TARGET_UNHEALTHY;
    world_settle(&w);
    EXPECT_EQ(world_count(&w, ROLLOUT_STOPPING), 1);
    EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 0);
    world_fini(&w);
}

TEST(inside_the_grace_period_a_bad_verdict_does_not_count)
{
    struct world w;
    world_init(&w, 1, 100, 200);
    balance(&w);
    w.config.spans.grace = DUR_S(60);
    world_deploy(&w, WORLD_FAILS_CHECKS);
    world_settle(&w);
    world_progress(&w, &fixed_random, ALL);
    world_settle(&w);
    world_progress(&w, &fixed_random, ALL);
    world_settle(&w);
    EXPECT_EQ(wall_since(w.wake_at, w.now).us, DUR_S(60).us);
    world_advance(&w, DUR_MS(59999));
    EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 0);
    world_advance(&w, DUR_MS(1));
    EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 1);
    world_fini(&w);
}

TEST(desired_count_changes_start_and_stop_tasks_without_a_deployment)
{
    struct world w;
    world_init(&w, 2, 100, 200);
    balance(&w);
    deploy_good(&w);
    w.config.desired_count = 5;
    world_settle(&w);
    EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 3);
    for (int i = 0; i < 2; i++) {
        world_progress(&w, &fixed_random, ALL);
        world_settle(&w);
    }
    EXPECT_EQ(world_healthy(&w), 5);
    w.config.desired_count = 1;
    world_settle(&w);
    EXPECT_EQ(world_count(&w, ROLLOUT_STOPPING), 4);
    EXPECT_EQ(w.tasks[0].life, ROLLOUT_RUNNING); /* the oldest stays */
    w.config.desired_count = 0;
    world_settle(&w);
    EXPECT_EQ(world_count(&w, ROLLOUT_STOPPING), 5);
    EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_COMPLETED);
    world_fini(&w);
}

TEST(desired_count_zero_completes_at_once)
{
    struct world w;
    world_init(&w, 0, 100, 200);
    world_deploy(&w, WORLD_NEVER_RUNS);
    world_settle(&w);
    EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_COMPLETED);
    world_fini(&w);
}

TEST(a_new_deployment_supersedes_one_in_progress)
{
    struct world w;
    world_init(&w, 2, 100, 200);
    balance(&w);
    deploy_good(&w);
    struct str first = world_primary(&w)->row.id;
    world_deploy(&w, WORLD_FAILS_CHECKS);
    struct str second = world_primary(&w)->row.id;
    world_settle(&w);
    EXPECT_EQ(world_count_of(&w, second, ROLLOUT_STARTING), 2);
    world_deploy(&w, WORLD_GOOD);
    world_settle(&w);
    EXPECT_EQ(world_count_of(&w, second, ROLLOUT_STOPPING), 2);
    EXPECT_EQ(world_count_of(&w, first, ROLLOUT_RUNNING), 2);
    run_out(&w, 20);
    EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_COMPLETED);
    EXPECT_EQ(world_find(&w, second)->row.status, ROLLOUT_INACTIVE);
    EXPECT_EQ(world_find(&w, second)->row.state, ROLLOUT_IN_PROGRESS);
    world_fini(&w);
}

TEST(the_steady_state_is_told_again_after_six_hours)
{
    struct world w;
    world_init(&w, 1, 100, 200);
    deploy_good(&w);
    EXPECT_EQ(world_said(&w, "has reached a steady state"), 1);
    EXPECT_EQ(wall_since(w.wake_at, w.now).us, DUR_MIN(360).us);
    world_advance(&w, DUR_MIN(360));
    EXPECT_EQ(world_said(&w, "has reached a steady state"), 2);
    world_fini(&w);
}

TEST(while_the_runtime_is_away_nothing_starts_and_nothing_is_taken_away)
{
    struct world w;
    world_init(&w, 2, 0, 100);
    balance(&w);
    deploy_good(&w);
    w.runtime_fault = STR("docker does not answer");
    world_deploy(&w, WORLD_GOOD);
    world_settle(&w);
    EXPECT_EQ(world_healthy(&w), 2);
    w.tasks[0].life = ROLLOUT_STOPPED;
    world_settle(&w);
    EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 0);
    EXPECT_EQ(
        world_said(&w, "(service web) was unable to place a task. Reason: docker does not answer"),
        1);
    EXPECT(w.wake_at.us > w.now.us);
    w.runtime_fault = STR_NONE;
    run_out(&w, 20);
    EXPECT_EQ(world_primary(&w)->row.state, ROLLOUT_COMPLETED);
    world_fini(&w);
}

TEST(a_wall_clock_set_back_does_not_stop_the_service)
{
    struct world w;
    world_init(&w, 1, 100, 200);
    world_deploy(&w, WORLD_NEVER_RUNS);
    world_settle(&w);
    world_progress(&w, &fixed_random, ALL);
    world_settle(&w);
    EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 0);
    world_advance(&w, DUR_MIN(-600));
    EXPECT_EQ(world_count(&w, ROLLOUT_STARTING), 1);
    world_fini(&w);
}

/* ---- task sets ------------------------------------------------------------------------------ */

static struct rollout_task_set_sight task_set_sight(const struct rollout_task *tasks, size_t count,
                                                    int32_t desired)
{
    return (struct rollout_task_set_sight){
        .id = STR("ecs-svc/9"),
        .config = {.desired_count = desired,
                   .groups = one_group,
                   .group_count = 1,
                   .spans = rollout_spans(DUR_S(0), DUR_S(0))},
        .tasks = tasks,
        .task_count = count,
    };
}

static size_t count_effects(const struct rollout_task_set_plan *p, enum rollout_effect_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < p->effects.count; i++) {
        const struct rollout_effect *e = &p->effects.items[i];
        count += e->kind != kind ? 0 : kind == ROLLOUT_START ? e->count : 1;
    }
    return count;
}

TEST(a_task_set_keeps_its_count_and_says_when_it_is_steady)
{
    struct arena a;
    arena_init(&a);
    wall_t now = {.us = 1700000000000000};
    struct rollout_task_set_sight s = task_set_sight(NULL, 0, 2);
    struct rollout_task_set_plan p = rollout_task_set_decide(&a, &s, now);
    EXPECT_EQ(count_effects(&p, ROLLOUT_START), 2);
    EXPECT(!p.is_steady);

    struct rollout_task tasks[3] = {
        {.id = STR("a"), .life = ROLLOUT_RUNNING, .created_at = now, .started_at = now},
        {.id = STR("b"), .life = ROLLOUT_RUNNING, .created_at = now, .started_at = now}};
    tasks[0].targets[0] = ROLLOUT_TARGET_HEALTHY;
    s = task_set_sight(tasks, 2, 2);
    p = rollout_task_set_decide(&a, &s, now);
    EXPECT(!p.is_steady);
    tasks[1].targets[0] = ROLLOUT_TARGET_HEALTHY;
    p = rollout_task_set_decide(&a, &s, now);
    EXPECT(p.is_steady);

    s = task_set_sight(tasks, 2, 0);
    s.is_draining = true;
    p = rollout_task_set_decide(&a, &s, now);
    EXPECT_EQ(count_effects(&p, ROLLOUT_STOP), 2);
    EXPECT(!p.is_empty);
    tasks[0].life = ROLLOUT_STOPPED;
    tasks[1].life = ROLLOUT_STOPPED;
    tasks[0].is_stop_decided = true;
    tasks[1].is_stop_decided = true;
    p = rollout_task_set_decide(&a, &s, now);
    EXPECT(p.is_empty);
    EXPECT_EQ(p.failed_count, 0);
    arena_fini(&a);
}

TEST(a_task_set_counts_tasks_that_ended_before_they_served)
{
    struct arena a;
    arena_init(&a);
    wall_t now = {.us = 1700000000000000};
    struct rollout_task tasks[2] = {
        {.id = STR("a"), .life = ROLLOUT_STOPPED, .created_at = now},
        {.id = STR("b"), .life = ROLLOUT_STOPPED, .created_at = now, .started_at = now}};
    struct rollout_task_set_sight s = task_set_sight(tasks, 2, 2);
    struct rollout_task_set_plan p = rollout_task_set_decide(&a, &s, now);
    EXPECT_EQ(p.failed_count, 2);
    EXPECT_EQ(count_effects(&p, ROLLOUT_START), 0); /* throttled */
    EXPECT_EQ(p.marks[0], ROLLOUT_MARK_COUNTED);
    arena_fini(&a);
}

TEST(task_set_counts_round_up)
{
    EXPECT_EQ(rollout_task_set_count(3, 50.0), 2);
    EXPECT_EQ(rollout_task_set_count(100, 7.0), 7);
    EXPECT_EQ(rollout_task_set_count(3, 100.0), 3);
    EXPECT_EQ(rollout_task_set_count(3, 0.0), 0);
    EXPECT_EQ(rollout_task_set_count(1, 0.1), 1);
}
