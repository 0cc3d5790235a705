/* Random histories of a service. world.c checks every plan against the promises; here the world is
 * made, and each history must come to an end. ROLLOUT_SEED=n runs that one history alone. */

#include "world.h"

#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#define HISTORIES 2500
#define STEPS     60
#define CALM_MAX  600

static const struct rollout_group groups[] = {{.arn = STR_INIT("arn:tg/1"), .port = 80},
                                              {.arn = STR_INIT("arn:tg/2"), .port = 81}};

struct history {
    struct world world;
    uint64_t random;
    struct rollout_alarm alarm;
};

static int below(struct history *h, int limit)
{
    return (int)(world_random(&h->random) % (uint64_t)limit);
}

static void make_world(struct history *h)
{
    static const int32_t minimums[] = {0, 33, 50, 75, 100, 100};
    static const int32_t maximums[] = {100, 125, 150, 200, 200, 300};
    struct world *w = &h->world;
    world_init(w, below(h, 13), minimums[below(h, 6)], maximums[below(h, 6)]);
    w->config.has_container_check = below(h, 2) == 0;
    w->config.groups = groups;
    w->config.group_count = (size_t)below(h, 3);
    w->config.spans.grace = DUR_S(below(h, 3) * 30);
    w->config.breaker.is_enabled = below(h, 3) > 0;
    w->config.breaker.may_roll_back = below(h, 3) > 0;
    w->config.breaker.is_cumulative = below(h, 4) == 0;
    h->alarm = (struct rollout_alarm){.name = STR("alarm")};
    w->config.alarms = &h->alarm;
    w->config.alarm_count = 1;
    w->config.are_alarms_enabled = below(h, 3) == 0;
    w->config.may_alarms_roll_back = below(h, 2) == 0;
    w->config.spans.bake = DUR_MIN(below(h, 5));
}

static void deploy(struct history *h, enum world_image image)
{
    h->alarm.was_at_start = h->alarm.is_in_alarm;
    world_deploy(&h->world, image);
}

/* Something from outside happens to a task. */
static void disturb_task(struct history *h)
{
    struct world *w = &h->world;
    if (w->task_count == 0) {
        return;
    }
    struct rollout_task *t = &w->tasks[(size_t)below(h, (int)w->task_count)];
    switch (below(h, 3)) {
    case 0:
        t->life = ROLLOUT_STOPPED; /* dies */
        break;
    case 1:
        if (t->life == ROLLOUT_RUNNING && w->config.group_count > 0) {
            t->targets[0] = ROLLOUT_TARGET_UNHEALTHY;
        }
        break;
    default:
        if (t->life < ROLLOUT_STOPPING) { /* StopTask */
            t->is_stop_decided = true;
            t->life = ROLLOUT_STOPPING;
        }
        break;
    }
}

static void disturb(struct history *h)
{
    struct world *w = &h->world;
    switch (below(h, 12)) {
    case 0:
        deploy(h, (enum world_image)below(h, 4));
        break;
    case 1:
        w->config.desired_count = below(h, 13);
        break;
    case 2:
        h->alarm.is_in_alarm = !h->alarm.is_in_alarm;
        break;
    case 3:
        w->runtime_fault = str_is_set(w->runtime_fault) ? STR_NONE : STR("no room");
        break;
    case 4:
        w->is_stop_requested = world_primary(w)->row.state == ROLLOUT_IN_PROGRESS;
        break;
    case 5:
        world_advance(w, DUR_MIN(-below(h, 30))); /* the wall clock is set back */
        break;
    default:
        disturb_task(h);
        break;
    }
}

static bool is_stuck(const struct world *w)
{
    return rollout_lower_bound(&w->config) >= rollout_upper_bound(&w->config);
}

static void play(struct history *h)
{
    static const dur_t steps[] = {DUR_S(1),  DUR_S(5),   DUR_S(10),
                                  DUR_S(41), DUR_MIN(3), DUR_MIN(20)};
    struct world *w = &h->world;
    deploy(h, below(h, 4) > 0 ? WORLD_GOOD : WORLD_FAILS_CHECKS);
    world_settle(w);
    for (int i = 0; i < STEPS; i++) {
        if (below(h, 3) == 0) {
            disturb(h);
        }
        world_progress(w, &h->random, 1 + below(h, 100));
        world_advance(w, steps[below(h, 6)]);
        w->is_stop_requested = false;
    }
}

/* Nothing disturbs any more: a good deployment is completed and serves with desired_count. */
static void come_to_rest(struct history *h)
{
    struct world *w = &h->world;
    w->runtime_fault = STR_NONE;
    h->alarm.is_in_alarm = false;
    deploy(h, WORLD_GOOD);
    struct str id = world_primary(w)->row.id;
    for (int i = 0; i < CALM_MAX && world_primary(w)->row.state == ROLLOUT_IN_PROGRESS; i++) {
        world_progress(w, &h->random, 50);
        world_advance(w, DUR_S(30));
    }
    if (is_stuck(w) && world_primary(w)->row.state == ROLLOUT_IN_PROGRESS) {
        return; /* the configuration says so, and an event has told it */
    }
    EXPECT_EQ(world_primary(w)->row.state, ROLLOUT_COMPLETED);
    EXPECT_STR_EQ(world_primary(w)->row.id, id);
    EXPECT_EQ(world_healthy(w), w->config.desired_count);
}

/* A bad deployment with the breaker on ends, and what served before serves. */
static void fall_back(struct history *h)
{
    struct world *w = &h->world;
    if (world_primary(w)->row.state != ROLLOUT_COMPLETED || w->config.desired_count == 0 ||
        is_stuck(w)) {
        return;
    }
    w->config.breaker.is_enabled = true;
    enum world_image image = (enum world_image)(1 + below(h, 3));
    bool is_checked = w->config.group_count > 0 || w->config.has_container_check;
    if (image != WORLD_NEVER_RUNS && !is_checked) {
        return; /* 40 seconds may pass before it shows */
    }
    deploy(h, image);
    struct str bad = world_primary(w)->row.id;
    world_settle(w);
    for (int i = 0; i < CALM_MAX && world_find(w, bad)->row.state == ROLLOUT_IN_PROGRESS; i++) {
        world_progress(w, &h->random, 50);
        world_advance(w, DUR_S(60));
    }
    EXPECT_EQ(world_find(w, bad)->row.state, ROLLOUT_FAILED);
    for (int i = 0; i < 60; i++) {
        world_progress(w, &h->random, 50);
        world_advance(w, DUR_S(60));
    }
    EXPECT_EQ(world_primary(w)->row.is_rollback, w->config.breaker.may_roll_back);
    if (w->config.breaker.may_roll_back) {
        EXPECT_EQ(world_primary(w)->row.state, ROLLOUT_COMPLETED);
        EXPECT_EQ(world_healthy(w), w->config.desired_count);
    }
    EXPECT(world_healthy(w) >= (size_t)rollout_lower_bound(&w->config));
}

static void run_history(uint64_t seed)
{
    struct history *h = &(struct history){.random = seed * 0x9E3779B97F4A7C15u + 1};
    test_context("seed", seed);
    make_world(h);
    play(h);
    come_to_rest(h);
    fall_back(h);
    world_fini(&h->world);
}

TEST(random_histories_of_a_service_keep_every_promise)
{
    const char *only = getenv("ROLLOUT_SEED");
    uint64_t seed = 0;
    if (only != NULL && str_parse_u64(str_of(only), UINT64_MAX, &seed)) {
        run_history(seed);
        return;
    }
    printf("# seeds 1 to %d\n", HISTORIES);
    for (seed = 1; seed <= HISTORIES && test_failure_count() == 0; seed++) {
        run_history(seed);
    }
}
