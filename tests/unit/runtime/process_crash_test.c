/* What happens while control is dead, or is killed at the worst moment. */

#include "runtime_fixture.h"

#include "base/check.h"
#include "base/fault.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void start_counting(void)
{
    fixture_container(0, "app",
                      "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; sleep 0.025; done; "
                      "exit 9");
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    REQUIRE(fixture_wait_line("line 5\n", 5000));
    /* the parent cannot see our lines: leave the number behind */
    FILE *f = fopen(arena_printf(&fx.op.arena, "%s/seen", test_folder()).ptr, "w");
    (void)fwrite(fx.lines.ptr, 1, fx.lines.len, f);
    (void)fclose(f);
}

static struct str read_seen(void)
{
    static char text[65536];
    FILE *f = fopen(arena_printf(&fx.op.arena, "%s/seen", test_folder()).ptr, "r");
    REQUIRE(f != NULL);
    size_t got = fread(text, 1, sizeof(text), f);
    (void)fclose(f);
    return str_make(text, got);
}

static void expect_forty_lines(void)
{
    struct str both =
        arena_printf(&fx.op.arena, "%.*s%.*s", STR_ARG(read_seen()), STR_ARG(buf_str(&fx.lines)));
    struct str line = STR_NONE;
    for (int i = 1; i <= 40; i++) {
        REQUIRE(str_next(&both, '\n', &line));
        EXPECT_STR_EQ(line, arena_printf(&fx.op.arena, "app/out line %d", i));
    }
    EXPECT_EQ(both.len, 0);
}

TEST(a_new_control_takes_running_tasks_over_and_no_line_is_lost_or_doubled)
{
    (void)test_folder();
    fixture_live_and_be_killed(start_counting);
    fixture_pause(100);
    fixture_begin();
    struct runtime_container_sight sight = fixture_see(TASK_A, 0);
    EXPECT_EQ(sight.state, RUNTIME_CONTAINER_RUNNING);
    EXPECT(sight.started_at.us > 0);
    EXPECT(str_starts_with(sight.runtime_id, STR(TASK_A "-")));
    EXPECT(fixture_wait("app:exited=9", 5000));
    expect_forty_lines();
    fixture_end();
}

TEST(an_exit_that_happened_meanwhile_is_seen)
{
    (void)test_folder();
    fixture_live_and_be_killed(start_counting);
    fixture_pause(1500);
    fixture_begin();
    struct runtime_container_sight sight = fixture_see(TASK_A, 0);
    EXPECT_EQ(sight.state, RUNTIME_CONTAINER_EXITED);
    EXPECT_EQ(sight.exit_code, 9);
    EXPECT(wall_since(sight.exited_at, sight.started_at).us > DUR_MS(500).us);
    EXPECT(fixture_wait(":over", 5000));
    EXPECT(!fixture_has("exited"));
    expect_forty_lines();
    REQUIRE_OK(runtime_forget_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
    fixture_turn(20);
    struct runtime_sights sights;
    REQUIRE_OK(runtime_observe(fx.rt, &fx.op, &sights), &fx.op);
    EXPECT_EQ(sights.count, 0);
    fixture_end();
}

static void start_and_begin_to_stop(void)
{
    struct runtime_container_spec *c =
        fixture_container(0, "app", "trap 'echo term' TERM; echo up; while :; do sleep 0.05; done");
    c->stop_timeout = DUR_MS(900);
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    REQUIRE(fixture_wait_line("up\n", 5000));
    REQUIRE_OK(runtime_stop_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
    REQUIRE(fixture_wait_line("term\n", 5000));
}

TEST(a_stop_goes_on_where_it_was)
{
    (void)test_folder();
    fixture_live_and_be_killed(start_and_begin_to_stop);
    fixture_pause(300);
    mono_t before = clock_mono();
    fixture_begin();
    EXPECT_EQ(fixture_see(TASK_A, 0).state, RUNTIME_CONTAINER_STOPPING);
    EXPECT(fixture_wait("app:exited=137", 5000));
    EXPECT(mono_since(clock_mono(), before).us < DUR_MS(800).us);
    EXPECT(str_find(buf_str(&fx.lines), STR("term"), 0) == STR_NOT_FOUND); /* not sent again */
    fixture_end();
}

static struct runtime_task_spec a_pair_that_waits(void)
{
    static const struct runtime_dependency after = {.container = STR_INIT("setup"),
                                                    .condition = RUNTIME_WHEN_SUCCESS};
    struct runtime_container_spec *app = fixture_container(0, "app", "echo app runs");
    app->depends_on = &after;
    app->depends_on_count = 1;
    fixture_container(1, "setup", "sleep 0.4");
    return fixture_task(TASK_A, 2);
}

static void start_a_pair_that_waits(void)
{
    struct runtime_task_spec spec = a_pair_that_waits();
    fixture_start(&spec);
    REQUIRE(fixture_wait("setup:started", 5000));
}

TEST(what_was_not_started_before_the_crash_waits_for_its_spec)
{
    (void)test_folder();
    fixture_live_and_be_killed(start_a_pair_that_waits);
    fixture_begin();
    struct runtime_task_sight sight;
    REQUIRE_OK(runtime_see_task(fx.rt, &fx.op, STR(TASK_A), &sight), &fx.op);
    EXPECT(sight.needs_spec);
    EXPECT_EQ(sight.containers[0].state, RUNTIME_CONTAINER_WAITING);
    EXPECT_EQ(sight.containers[1].state, RUNTIME_CONTAINER_RUNNING);
    EXPECT(fixture_wait("setup:exited=0", 5000));
    EXPECT(!fixture_has("app:"));
    struct runtime_task_spec spec = a_pair_that_waits();
    fixture_start(&spec);
    EXPECT(fixture_wait(":over", 5000));
    EXPECT(fixture_wait_line("app/out app runs\n", 0));
    EXPECT(!fixture_has("setup:started"));
    fixture_end();
}

TEST(a_shim_that_is_killed_takes_its_container_with_it)
{
    fixture_begin();
    fixture_container(0, "app", "setsid sleep 58 & echo $PPID; echo up; exec sleep 59");
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    REQUIRE(fixture_wait_line("up\n", 5000));
    uint64_t shim = 0;
    struct str rest = str_from(buf_str(&fx.lines), strlen("app/out "));
    REQUIRE(str_parse_u64(str_slice(rest, 0, str_find_char(rest, '\n', 0)), INT32_MAX, &shim));
    REQUIRE(kill((pid_t)shim, SIGKILL) == 0);
    EXPECT(fixture_wait("app:exited=-1(The process that watched over the container was killed "
                        "with it)",
                        5000));
    EXPECT_EQ(fixture_processes(TASK_A), 0);
    fixture_end();
}

TEST(a_shim_that_does_not_obey_is_killed)
{
    fixture_begin();
    fixture_container(0, "app", "kill -STOP $PPID; echo up; exec sleep 59");
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    fixture_turn(300);
    EXPECT(fixture_processes(TASK_A) > 0);
    REQUIRE_OK(runtime_kill_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
    EXPECT(fixture_wait(":over", 15000));
    EXPECT_EQ(fixture_processes(TASK_A), 0);
    fixture_end();
}

static void start_something(void)
{
    fixture_container(0, "app", "setsid sleep 57 & exec sleep 58");
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    REQUIRE(fixture_wait("app:started", 5000));
}

TEST(a_container_whose_state_was_removed_ends)
{
    (void)test_folder();
    fixture_live_and_be_killed(start_something);
    op_init(&fx.op);
    EXPECT(fixture_processes(TASK_A) > 0);
    char command[256];
    (void)snprintf(command, sizeof(command), "rm -r %s/state", test_folder());
    REQUIRE_EQ(system(command), 0); /* lint: system */
    for (int i = 0; i < 50 && fixture_processes(TASK_A) > 0; i++) {
        fixture_pause(100);
    }
    EXPECT_EQ(fixture_processes(TASK_A), 0);
    op_fini(&fx.op);
}

/* ---- a crash at every point -------------------------------------------------------------------
 */

static bool has_file(const char *name)
{
    return access(arena_printf(&fx.op.arena, "%s/%s", test_folder(), name).ptr, F_OK) == 0;
}

static void write_empty_file(const char *name)
{
    FILE *f = fopen(arena_printf(&fx.op.arena, "%s/%s", test_folder(), name).ptr, "w");
    REQUIRE(f != NULL);
    (void)fclose(f);
}

/* What a caller with one row does: start, until it has run; then stop; then forget. Every step may
 * have been done before. */
static void drive_one_task(void)
{
    fixture_begin();
    fixture_container(0, "app",
                      "echo ran > ran.$$; trap 'exit 0' TERM; while :; do sleep 0.02; done");
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    struct runtime_task_sight sight = {0};
    mono_t until = mono_add(clock_mono(), DUR_S(20));
    while (!has_file("stop") && clock_mono().us < until.us) {
        EXPECT_OK(runtime_start_task(fx.rt, &fx.op, &spec), &fx.op);
        fixture_turn(2);
        REQUIRE_OK(runtime_see_task(fx.rt, &fx.op, STR(TASK_A), &sight), &fx.op);
        if (sight.containers[0].state == RUNTIME_CONTAINER_RUNNING) {
            fixture_turn(30);
            write_empty_file("stop");
        }
    }
    while (runtime_see_task(fx.rt, &fx.op, STR(TASK_A), &sight) == ERR_OK &&
           clock_mono().us < until.us) {
        EXPECT_OK(sight.is_over ? runtime_forget_task(fx.rt, &fx.op, STR(TASK_A))
                                : runtime_stop_task(fx.rt, &fx.op, STR(TASK_A)),
                  &fx.op);
        fixture_turn(5);
    }
    EXPECT(clock_mono().us < until.us);
    fixture_turn(5);
    fixture_end();
}

/* True when the n-th point was reached, and killed it. */
static bool drive_and_crash_at(unsigned n)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%u", n);
    pid_t pid = fork();
    if (pid == 0) {
        (void)setenv("HITLESS_FAULT_AT", text, 1);
        fault_init();
        drive_one_task();
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

TEST(a_crash_at_any_point_ends_in_the_same_state)
{
    (void)test_folder();
    unsigned n = 1;
    for (; drive_and_crash_at(n); n++) {
        REQUIRE(n < 100);
        drive_one_task();
        op_init(&fx.op);
        EXPECT_EQ(fixture_processes(TASK_A), 0);
        op_fini(&fx.op);
        /* started once: one file a process that ran; nothing else is left */
        char check[512];
        (void)snprintf(check, sizeof(check),
                       "cd %s && test -z \"$(ls -A state run | grep -v : )\" && "
                       "test $(ls | grep -c ran) = 1",
                       test_folder());
        int result = system(check); /* lint: system */
        if (result != 0) {
            test_failed(__FILE__, __LINE__, "something is wrong after a crash at point %u", n);
        }
        (void)snprintf(check, sizeof(check), "cd %s && rm -f ran.* stop", test_folder());
        (void)!system(check); /* lint: system */
    }
    EXPECT(n > 10);
    printf("# %u points\n", n - 1);
}
