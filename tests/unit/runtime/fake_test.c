#include "test.h"

#include "base/buf.h"
#include "base/check.h"
#include "ev/loop.h"
#include "runtime/fake.h"

#define ID "0123456789abcdef0123456789abcdef"

static struct {
    struct op op;
    struct ev_loop loop;
    struct runtime *rt;
    struct buf story; /* what was told, a word an event */
    bool is_ready;
    bool forgets_at_end;
} fx;

static void on_event(void *self, const struct runtime_event *e)
{
    (void)self;
    static const char *const names[] = {"pull",   "pulled", "started", "failed",
                                        "exited", "health", "log",     "over"};
    buf_addf(&fx.story, "%s%.*s:%s", fx.story.len == 0 ? "" : " ", STR_ARG(e->container),
             names[e->kind]);
    if (e->kind == RUNTIME_EXITED) {
        buf_addf(&fx.story, "=%d", e->exit_code);
    }
    if (e->kind == RUNTIME_HEALTH) {
        buf_addf(&fx.story, "=%d", (int)e->health);
    }
    if (e->kind == RUNTIME_TASK_OVER && fx.forgets_at_end) {
        EXPECT_OK(runtime_forget_task(fx.rt, &fx.op, e->task_id), &fx.op);
    }
}

static void on_ready(void *self)
{
    (void)self;
    fx.is_ready = true;
}

static const struct runtime_sink sink = {.on_event = on_event, .on_ready = on_ready};

static void begin(void)
{
    clock_use_manual((mono_t){.us = 1000000}, (wall_t){.us = 1700000000000000});
    op_init(&fx.op);
    buf_init(&fx.story, 65536);
    REQUIRE_OK(ev_loop_open(&fx.op, &fx.loop), &fx.op);
    REQUIRE_OK(runtime_fake_open(&fx.op, &fx.loop, &sink, &fx.rt), &fx.op);
    EXPECT(!fx.is_ready);
    REQUIRE(ev_loop_settle(&fx.loop, 100));
    EXPECT(fx.is_ready);
}

static void end(void)
{
    runtime_close(fx.rt);
    ev_loop_close(&fx.loop);
    buf_fini(&fx.story);
    op_fini(&fx.op);
}

static void pass(dur_t by)
{
    clock_manual_advance(by);
    REQUIRE(ev_loop_settle(&fx.loop, 1000));
}

/* What was told since the last call. */
static void expect_story(const char *want)
{
    REQUIRE(ev_loop_settle(&fx.loop, 1000));
    EXPECT_STR(buf_str(&fx.story), want);
    buf_reset(&fx.story);
}

static const struct runtime_dependency after_setup = {.container = STR_INIT("setup"),
                                                      .condition = RUNTIME_WHEN_SUCCESS};
static const struct runtime_dependency when_healthy = {.container = STR_INIT("app"),
                                                       .condition = RUNTIME_WHEN_HEALTHY};

static struct runtime_task_spec one(void)
{
    static struct runtime_container_spec c;
    c = (struct runtime_container_spec){.name = STR("app"), .image = STR("img"), .wants_log = true};
    return (struct runtime_task_spec){.id = STR(ID), .containers = &c, .container_count = 1};
}

TEST(a_task_starts_runs_stops_and_is_forgotten)
{
    begin();
    runtime_fake_script(fx.rt, &(struct runtime_fake_script){.image = STR("img"),
                                                             .pull = DUR_S(2),
                                                             .start = DUR_S(1),
                                                             .stop = DUR_S(3),
                                                             .log_line = STR("hello")});
    struct runtime_task_spec spec = one();
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
    EXPECT_EQ(runtime_fake_start_count(fx.rt), 1);
    EXPECT_EQ(fx.story.len, 0);
    expect_story("app:pull");
    pass(DUR_S(2));
    expect_story("app:pulled");
    pass(DUR_S(1));
    expect_story("app:started app:log");
    struct runtime_task_sight sight;
    REQUIRE_OK(runtime_see_task(fx.rt, &fx.op, STR(ID), &sight), &fx.op);
    EXPECT_EQ(sight.containers[0].state, RUNTIME_CONTAINER_RUNNING);
    EXPECT(str_is_set(sight.address));
    EXPECT_EQ(wall_since(sight.pull_stopped_at, sight.pull_started_at).us, DUR_S(2).us);
    EXPECT_EQ(runtime_forget_task(fx.rt, &fx.op, STR(ID)), ERR_STATE);

    REQUIRE_OK(runtime_stop_task(fx.rt, &fx.op, STR(ID)), &fx.op);
    REQUIRE_OK(runtime_stop_task(fx.rt, &fx.op, STR(ID)), &fx.op);
    expect_story("");
    pass(DUR_S(3));
    expect_story("app:exited=0 :over");
    REQUIRE_OK(runtime_forget_task(fx.rt, &fx.op, STR(ID)), &fx.op);
    REQUIRE_OK(runtime_forget_task(fx.rt, &fx.op, STR(ID)), &fx.op);
    EXPECT_EQ(runtime_see_task(fx.rt, &fx.op, STR(ID), &sight), ERR_NOT_FOUND);
    expect_story("");
    end();
}

TEST(a_program_that_ignores_the_stop_signal_is_killed_after_its_timeout)
{
    begin();
    runtime_fake_script(fx.rt,
                        &(struct runtime_fake_script){.image = STR("*"), .stop = DUR_S(999)});
    struct runtime_task_spec spec = one();
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
    expect_story("app:pull app:pulled app:started");
    REQUIRE_OK(runtime_stop_task(fx.rt, &fx.op, STR(ID)), &fx.op);
    expect_story("");
    pass(DUR_S(29));
    expect_story("");
    fx.forgets_at_end = true;
    pass(DUR_S(1));
    expect_story("app:exited=137 :over");
    struct runtime_sights sights;
    REQUIRE_OK(runtime_observe(fx.rt, &fx.op, &sights), &fx.op);
    EXPECT_EQ(sights.count, 0);
    end();
}

static struct runtime_task_spec three(void)
{
    static struct str probe[] = {STR_INIT("CMD"), STR_INIT("/probe")};
    static struct runtime_container_spec c[3];
    c[0] = (struct runtime_container_spec){.name = STR("side"),
                                           .image = STR("img"),
                                           .depends_on = &when_healthy,
                                           .depends_on_count = 1};
    c[1] = (struct runtime_container_spec){.name = STR("app"),
                                           .image = STR("app"),
                                           .depends_on = &after_setup,
                                           .depends_on_count = 1,
                                           .health_check.command = {probe, 2}};
    c[2] = (struct runtime_container_spec){.name = STR("setup"), .image = STR("setup")};
    return (struct runtime_task_spec){.id = STR(ID), .containers = c, .container_count = 3};
}

TEST(containers_start_in_the_order_of_depends_on_and_stop_in_reverse)
{
    begin();
    runtime_fake_script(
        fx.rt, &(struct runtime_fake_script){.image = STR("app"), .healthy_after = DUR_S(5)});
    runtime_fake_script(fx.rt,
                        &(struct runtime_fake_script){.image = STR("img"), .stop = DUR_S(1)});
    runtime_fake_script(
        fx.rt, &(struct runtime_fake_script){.image = STR("setup"), .exit_after = DUR_S(1)});
    struct runtime_task_spec spec = three();
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
    REQUIRE(ev_loop_settle(&fx.loop, 100));
    EXPECT(str_ends_with(buf_str(&fx.story), STR("setup:started")));
    buf_reset(&fx.story);
    pass(DUR_S(1));
    expect_story("setup:exited=0 app:started");
    pass(DUR_S(5));
    expect_story("app:health=1 side:started");
    REQUIRE_OK(runtime_stop_task(fx.rt, &fx.op, STR(ID)), &fx.op);
    expect_story("");
    pass(DUR_S(1));
    expect_story("side:exited=0 app:exited=0 :over");
    end();
}

TEST(a_dependency_that_fails_keeps_the_others_from_starting)
{
    begin();
    runtime_fake_script(fx.rt, &(struct runtime_fake_script){
                                   .image = STR("setup"), .exit_after = DUR_S(1), .exit_code = 2});
    struct runtime_task_spec spec = three();
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
    REQUIRE(ev_loop_settle(&fx.loop, 100));
    buf_reset(&fx.story);
    pass(DUR_S(1));
    expect_story("setup:exited=2 app:failed side:failed :over");
    struct runtime_task_sight sight;
    REQUIRE_OK(runtime_see_task(fx.rt, &fx.op, STR(ID), &sight), &fx.op);
    EXPECT_STR(sight.containers[1].reason,
               "CannotStartContainerError: container \"setup\", which it depends on, did not meet "
               "its condition");
    end();
}

TEST(a_dependency_that_is_never_healthy_gives_up_after_its_start_timeout)
{
    begin();
    runtime_fake_script(
        fx.rt, &(struct runtime_fake_script){.image = STR("app"), .healthy_after = DUR_S(500)});
    runtime_fake_script(
        fx.rt, &(struct runtime_fake_script){.image = STR("setup"), .exit_after = DUR_S(1)});
    struct runtime_task_spec spec = three();
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
    REQUIRE(ev_loop_settle(&fx.loop, 100));
    pass(DUR_S(1));
    buf_reset(&fx.story);
    pass(DUR_S(179));
    expect_story("");
    pass(DUR_S(1));
    expect_story("side:failed");
    end();
}

TEST(failures_to_pull_and_to_start_are_told_with_their_reasons)
{
    begin();
    runtime_fake_script(fx.rt, &(struct runtime_fake_script){
                                   .image = STR("img"),
                                   .pull_error = STR("CannotPullContainerError: no such image")});
    struct runtime_task_spec spec = one();
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
    expect_story("app:pull app:failed :over");
    struct runtime_task_sight sight;
    REQUIRE_OK(runtime_see_task(fx.rt, &fx.op, STR(ID), &sight), &fx.op);
    EXPECT_EQ(sight.containers[0].state, RUNTIME_CONTAINER_FAILED);
    EXPECT_STR(sight.containers[0].reason, "CannotPullContainerError: no such image");
    EXPECT(sight.is_over);

    runtime_fake_fail_next(fx.rt, 1);
    spec.id = STR("ffffffffffffffffffffffffffffffff");
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
    expect_story(":failed app:failed :over");
    REQUIRE_OK(runtime_forget_task(fx.rt, &fx.op, spec.id), &fx.op);
    expect_story("");
    end();
}

TEST(a_start_that_takes_too_long_is_given_up)
{
    begin();
    runtime_fake_script(fx.rt,
                        &(struct runtime_fake_script){.image = STR("img"), .start = DUR_S(999)});
    struct runtime_task_spec spec = one();
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
    expect_story("app:pull app:pulled");
    pass(DUR_S(180));
    expect_story("app:failed :over");
    struct runtime_task_sight sight;
    REQUIRE_OK(runtime_see_task(fx.rt, &fx.op, STR(ID), &sight), &fx.op);
    EXPECT_STR(sight.containers[0].reason, "ContainerRuntimeTimeoutError: Could not transition to "
                                           "running; timed out after waiting 180 s");
    end();
}

TEST(exits_health_and_logs_come_by_hand)
{
    begin();
    struct runtime_task_spec spec = one();
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
    EXPECT(!runtime_fake_exit(fx.rt, STR(ID), STR("app"), 1, STR_NONE));
    expect_story("app:pull app:pulled app:started");
    EXPECT(runtime_fake_set_health(fx.rt, STR(ID), STR("app"), RUNTIME_UNHEALTHY));
    expect_story("app:health=2");
    EXPECT(runtime_fake_log(fx.rt, STR(ID), STR("app"), STR("x")));
    expect_story("app:log");
    EXPECT(runtime_fake_exit(fx.rt, STR(ID), STR("app"), 137,
                             STR("OutOfMemoryError: Container killed due to memory usage")));
    expect_story("app:exited=137 :over");
    struct runtime_usage usage;
    EXPECT_EQ(runtime_get_usage(fx.rt, &fx.op, STR(ID), &usage), ERR_AGAIN);
    runtime_fake_set_usage(fx.rt, STR(ID), &(struct runtime_usage){.memory_bytes = 5});
    REQUIRE_OK(runtime_get_usage(fx.rt, &fx.op, STR(ID), &usage), &fx.op);
    EXPECT_EQ(usage.memory_bytes, 5);
    end();
}

TEST(after_a_crash_everything_is_seen_again)
{
    begin();
    runtime_fake_script(fx.rt, &(struct runtime_fake_script){
                                   .image = STR("img"), .stop = DUR_S(999), .exit_code = 4});
    struct runtime_task_spec spec = one();
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
    expect_story("app:pull app:pulled app:started");
    REQUIRE_OK(runtime_stop_task(fx.rt, &fx.op, STR(ID)), &fx.op);
    expect_story("");
    pass(DUR_S(20));
    fx.is_ready = false;
    runtime_fake_crash(fx.rt, &sink);
    struct runtime_sights sights;
    EXPECT_EQ(runtime_observe(fx.rt, &fx.op, &sights), ERR_AGAIN);
    expect_story("");
    EXPECT(fx.is_ready);
    REQUIRE_OK(runtime_observe(fx.rt, &fx.op, &sights), &fx.op);
    REQUIRE_EQ(sights.count, 1);
    EXPECT_EQ(sights.items[0].containers[0].state, RUNTIME_CONTAINER_STOPPING);
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
    EXPECT_EQ(runtime_fake_start_count(fx.rt), 1);
    pass(DUR_S(10)); /* the rest of the 30 s */
    expect_story("app:exited=137 :over");
    end();
}

TEST(a_crash_before_the_start_waits_for_the_spec)
{
    begin();
    runtime_fake_script(fx.rt,
                        &(struct runtime_fake_script){.image = STR("img"), .pull = DUR_S(9)});
    struct runtime_task_spec spec = one();
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
    expect_story("app:pull");
    runtime_fake_crash(fx.rt, &sink);
    pass(DUR_S(20));
    expect_story("");
    struct runtime_task_sight sight;
    REQUIRE_OK(runtime_see_task(fx.rt, &fx.op, STR(ID), &sight), &fx.op);
    EXPECT(sight.needs_spec);
    REQUIRE_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
    expect_story("app:pull");
    pass(DUR_S(9));
    expect_story("app:pulled app:started");
    end();
}
