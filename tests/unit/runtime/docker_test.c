/* Against a real Docker Engine; skipped with a word where none answers. */

#include "runtime_fixture.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Ids of their own a run: tests of two engines may share a Docker. */
static const char *new_id(void)
{
    static char ids[8][33];
    static size_t count;
    char *id = ids[count++ % ARRAY_COUNT(ids)];
    (void)snprintf(id, 33, "%08x%08x%016zx", (unsigned)getpid(), (unsigned)clock_wall().us, count);
    return id;
}

static void end(const char *id)
{
    EXPECT_OK(runtime_kill_task(fx.rt, &fx.op, str_of(id)), &fx.op);
    (void)fixture_wait(":over", 20000);
    REQUIRE_OK(runtime_forget_task(fx.rt, &fx.op, str_of(id)), &fx.op);
    struct runtime_sights sights;
    mono_t until = mono_add(clock_mono(), DUR_S(10));
    do {
        fixture_turn(20);
        REQUIRE_OK(runtime_observe(fx.rt, &fx.op, &sights), &fx.op);
    } while (sights.count > 0 && clock_mono().us < until.us);
    fixture_turn(300); /* the removal in Docker */
    struct str left = arena_printf(&fx.op.arena,
                                   "test -z \"$(docker -H unix://%s ps -aq --filter "
                                   "label=hitless.task=%s)\" && test -z \"$(ls -A %s/state)\"",
                                   fx.docker_socket, id, test_folder());
    EXPECT_EQ(system(left.ptr), 0); /* lint: system */
    fixture_end();
}

TEST(docker_runs_a_task_and_tells_its_output_and_exit)
{
    fixture_use_docker();
    fixture_begin();
    struct runtime_pair env = {STR_INIT("GREETING"), STR_INIT("hi there")};
    struct runtime_container_spec *c =
        fixture_container(0, "app", "echo $GREETING; echo oops >&2; sleep 0.2; exit 3");
    c->environment = (struct runtime_pairs){&env, 1};
    const char *id = new_id();
    struct runtime_task_spec spec = fixture_task(id, 1);
    fixture_start(&spec);
    fixture_start(&spec);
    EXPECT(fixture_wait(":over", 20000));
    EXPECT(fixture_has("app:pull() app:pulled() app:started() app:exited=3() :over()"));
    EXPECT(fixture_wait_line("app/out hi there\n", 0));
    EXPECT(fixture_wait_line("app/err oops\n", 0));
    struct runtime_container_sight sight = fixture_see(id, 0);
    EXPECT_EQ(sight.runtime_id.len, 64);
    EXPECT(wall_since(sight.exited_at, sight.started_at).us > DUR_MS(100).us);
    end(id);
}

TEST(docker_containers_share_an_address_and_stop_in_reverse)
{
    fixture_use_docker();
    fixture_begin();
    static const struct runtime_dependency on_app = {.container = STR_INIT("app"),
                                                     .condition = RUNTIME_WHEN_STARTED};
    static const struct runtime_dependency on_setup = {.container = STR_INIT("setup"),
                                                       .condition = RUNTIME_WHEN_SUCCESS};
    struct runtime_container_spec *side =
        fixture_container(0, "side",
                          "trap 'echo bye; exit 4' TERM; cat /proc/net/fib_trie; echo up; "
                          "while :; do sleep 0.05; done");
    side->depends_on = &on_app;
    side->depends_on_count = 1;
    struct runtime_container_spec *app =
        fixture_container(1, "app", "trap 'exit 5' TERM; while :; do sleep 0.05; done");
    app->depends_on = &on_setup;
    app->depends_on_count = 1;
    fixture_container(2, "setup", "sleep 0.1");
    const char *id = new_id();
    struct runtime_task_spec spec = fixture_task(id, 3);
    fixture_start(&spec);
    EXPECT(fixture_wait("side:started", 20000));
    struct runtime_task_sight sight;
    REQUIRE_OK(runtime_see_task(fx.rt, &fx.op, str_of(id), &sight), &fx.op);
    EXPECT(sight.address.len >= 7);
    EXPECT(fixture_wait_line("side/out up\n", 5000));
    EXPECT(fixture_wait_line(arena_c_str(&fx.op.arena, sight.address), 0));
    REQUIRE_OK(runtime_stop_task(fx.rt, &fx.op, str_of(id)), &fx.op);
    EXPECT(fixture_wait(":over", 20000));
    EXPECT(fixture_has("side:exited=4() app:exited=5() :over()"));
    EXPECT(fixture_wait_line("side/out bye\n", 0));
    end(id);
}

TEST(docker_says_why_something_cannot_start)
{
    fixture_use_docker();
    fixture_begin();
    struct str missing = STR("/no/such/program");
    fixture_container(0, "app", "")->command = (struct runtime_words){&missing, 1};
    fixture_container(1, "pull", "true")->image = STR("127.0.0.1:1/no/image:1");
    fixture_container(2, "name", "true")->image = STR("Not An Image");
    const char *id = new_id();
    struct runtime_task_spec spec = fixture_task(id, 3);
    fixture_start(&spec);
    EXPECT(fixture_wait(":over", 30000));
    EXPECT(fixture_has("app:failed(CannotStartContainerError: Error response from daemon: "));
    EXPECT(fixture_has("no such file or directory"));
    EXPECT(fixture_has("pull:failed(CannotPullContainerError: Error response from daemon: "));
    EXPECT(fixture_has("connection refused"));
    EXPECT(fixture_has("name:failed(CannotPullContainerError: invalid reference format)"));
    end(id);
}

TEST(docker_kills_what_ignores_its_stop_signal)
{
    fixture_use_docker();
    fixture_begin();
    struct runtime_container_spec *c = fixture_container(
        0, "app", "trap 'echo got int' INT; echo up; while :; do sleep 0.05; done");
    c->stop_timeout = DUR_MS(500);
    c->stop_signal = STR("SIGINT");
    const char *id = new_id();
    struct runtime_task_spec spec = fixture_task(id, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait_line("up\n", 20000));
    REQUIRE_OK(runtime_stop_task(fx.rt, &fx.op, str_of(id)), &fx.op);
    EXPECT(fixture_wait("app:exited=137()", 20000));
    EXPECT(fixture_wait_line("got int\n", 0));
    end(id);
}

TEST(docker_health_commands_run_by_exec)
{
    fixture_use_docker();
    clock_set_scale(100);
    fixture_begin();
    static struct str check[] = {STR_INIT("CMD-SHELL"), STR_INIT("cat /healthy")};
    struct runtime_container_spec *c =
        fixture_container(0, "app", "sleep 0.5; echo > /healthy; exec sleep 60");
    c->health_check = (struct runtime_health_check){
        .command = {check, 2}, .interval = DUR_S(10), .retries = 1, .start_period = DUR_S(300)};
    const char *id = new_id();
    struct runtime_task_spec spec = fixture_task(id, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait("app:health=1", 20000));
    end(id);
}

TEST(docker_reports_the_out_of_memory_error_and_use)
{
    fixture_use_docker();
    fixture_begin();
    fixture_container(0, "app", "sleep 1; exec tail /dev/zero")->memory_mib = 24;
    const char *id = new_id();
    struct runtime_task_spec spec = fixture_task(id, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait("app:started", 20000));
    struct runtime_usage usage = {0};
    EXPECT_EQ(runtime_get_usage(fx.rt, &fx.op, spec.id, &usage), ERR_AGAIN);
    fixture_turn(500);
    REQUIRE_OK(runtime_get_usage(fx.rt, &fx.op, spec.id, &usage), &fx.op);
    EXPECT(usage.memory_bytes > 10000);
    EXPECT(usage.memory_bytes < 24u << 20);
    EXPECT(usage.cpu.us > 0);
    EXPECT(fixture_wait("app:exited=137(OutOfMemoryError: Container killed due to memory usage)",
                        20000));
    end(id);
}

static const char *crash_id;

static void start_counting(void)
{
    fixture_container(0, "app",
                      "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; sleep 0.04; done; "
                      "exit 9");
    struct runtime_task_spec spec = fixture_task(crash_id, 1);
    fixture_start(&spec);
    REQUIRE(fixture_wait_line("line 5\n", 20000));
    FILE *f = fopen(arena_printf(&fx.op.arena, "%s/seen", test_folder()).ptr, "w");
    (void)fwrite(fx.lines.ptr, 1, fx.lines.len, f);
    (void)fclose(f);
}

static void expect_forty_lines(void)
{
    static char seen[65536];
    FILE *f = fopen(arena_printf(&fx.op.arena, "%s/seen", test_folder()).ptr, "r");
    REQUIRE(f != NULL);
    size_t got = fread(seen, 1, sizeof(seen), f);
    (void)fclose(f);
    struct str both =
        arena_printf(&fx.op.arena, "%.*s%.*s", (int)got, seen, STR_ARG(buf_str(&fx.lines)));
    struct str line = STR_NONE;
    for (int i = 1; i <= 40; i++) {
        REQUIRE(str_next(&both, '\n', &line));
        EXPECT_STR_EQ(line, arena_printf(&fx.op.arena, "app/out line %d", i));
    }
    EXPECT_EQ(both.len, 0);
}

TEST(docker_tasks_are_taken_over_by_the_next_control)
{
    fixture_use_docker();
    crash_id = new_id();
    (void)test_folder();
    fixture_live_and_be_killed(start_counting);
    fixture_pause(100);
    fixture_begin();
    EXPECT_EQ(fixture_see(crash_id, 0).state, RUNTIME_CONTAINER_RUNNING);
    EXPECT(fixture_wait("app:exited=9()", 20000));
    expect_forty_lines();
    end(crash_id);
}

TEST(docker_exits_that_happened_meanwhile_are_seen)
{
    fixture_use_docker();
    crash_id = new_id();
    (void)test_folder();
    fixture_live_and_be_killed(start_counting);
    fixture_pause(2500);
    fixture_begin();
    struct runtime_container_sight sight = fixture_see(crash_id, 0);
    EXPECT_EQ(sight.state, RUNTIME_CONTAINER_EXITED);
    EXPECT_EQ(sight.exit_code, 9);
    EXPECT(fixture_wait(":over", 5000));
    expect_forty_lines();
    end(crash_id);
}

TEST(docker_publishes_ports_when_asked)
{
    fixture_use_docker();
    fixture_begin();
    struct runtime_port ports[] = {{.container_port = 8080}};
    struct runtime_container_spec *c = fixture_container(0, "app", "exec sleep 30");
    c->ports = ports;
    c->port_count = 1;
    const char *id = new_id();
    struct runtime_task_spec spec = fixture_task(id, 1);
    spec.publishes_ports = true;
    fixture_start(&spec);
    EXPECT(fixture_wait("app:started", 20000));
    struct runtime_container_sight sight = fixture_see(id, 0);
    REQUIRE_EQ(sight.binding_count, 1);
    EXPECT_EQ(sight.bindings[0].container_port, 8080);
    EXPECT(sight.bindings[0].host_port > 0);
    end(id);
}

TEST(docker_and_processes_run_side_by_side)
{
    fixture_use_docker();
    fx.is_mixed = true;
    fixture_begin();
    const char *id = new_id();
    fixture_container(0, "boxed", "echo in a box; exec sleep 30");
    struct runtime_task_spec spec = fixture_task(id, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait_line("boxed/out in a box\n", 20000));
    fixture_container(0, "plain", "echo as a process; exec sleep 30")->image =
        arena_printf(&fx.op.arena, "dir://%s", test_folder());
    spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait_line("plain/out as a process\n", 20000));
    struct runtime_sights sights;
    REQUIRE_OK(runtime_observe(fx.rt, &fx.op, &sights), &fx.op);
    EXPECT_EQ(sights.count, 2);
    EXPECT_EQ(fixture_see(TASK_A, 0).state, RUNTIME_CONTAINER_RUNNING);
    EXPECT_EQ(fixture_see(id, 0).runtime_id.len, 64);
    REQUIRE_OK(runtime_kill_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
    EXPECT(fixture_wait("plain:exited=137", 20000));
    REQUIRE_OK(runtime_forget_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
    end(id);
}

TEST(a_docker_that_is_not_there_is_asked_again)
{
    static bool is_ready;
    op_init(&fx.op);
    struct runtime_docker_config config = {
        .socket_path = arena_printf(&fx.op.arena, "%s/none.sock", test_folder()).ptr,
        .state_folder = test_folder(),
        .instance = "x",
    };
    static const struct runtime_sink sink = {.self = &is_ready};
    REQUIRE_OK(ev_loop_open(&fx.op, &fx.loop), &fx.op);
    REQUIRE_OK(runtime_docker_open(&fx.op, &fx.loop, &config, &sink, &fx.rt), &fx.op);
    mono_t until = mono_add(clock_mono(), DUR_MS(700));
    while (clock_mono().us < until.us) {
        (void)ev_loop_turn(&fx.loop, DUR_MS(10));
    }
    struct runtime_sights sights;
    EXPECT_EQ(runtime_observe(fx.rt, &fx.op, &sights), ERR_AGAIN);
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    EXPECT_EQ(runtime_start_task(fx.rt, &fx.op, &spec), ERR_AGAIN);
    runtime_close(fx.rt);
    ev_loop_close(&fx.loop);
    op_fini(&fx.op);
}
