#include "runtime_fixture.h"

#include "base/check.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

TEST(a_command_runs_with_its_environment_and_its_output_and_exit_are_told)
{
    fixture_begin();
    struct runtime_pair env[] = {{STR_INIT("GREETING"), STR_INIT("hi")},
                                 {STR_INIT("HOST"), STR_INIT("0.0.0.0")}};
    struct runtime_port port = {.container_port = 8080};
    struct runtime_container_spec *c = fixture_container(
        0, "app", "echo $GREETING $PORT $HOST; echo oops >&2; pwd; printf end; exit 3");
    c->environment = (struct runtime_pairs){env, 2};
    c->ports = &port;
    c->port_count = 1;
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait(":over", 5000));
    EXPECT(fixture_has("app:pull() app:pulled() app:started() app:exited=3() :over()"));
    struct runtime_task_sight sight;
    REQUIRE_OK(runtime_see_task(fx.rt, &fx.op, STR(TASK_A), &sight), &fx.op);
    EXPECT(str_starts_with(sight.address, STR("127.78.")));
    EXPECT(sight.is_over);
    EXPECT_EQ(sight.containers[0].exit_code, 3);
    struct str want = arena_printf(&fx.op.arena, "app/out hi 8080 %.*s\n", STR_ARG(sight.address));
    EXPECT(fixture_wait_line(want.ptr, 10));
    EXPECT(fixture_wait_line("app/err oops\n", 10));
    EXPECT(fixture_wait_line(arena_printf(&fx.op.arena, "app/out %s\n", test_folder()).ptr, 10));
    EXPECT(fixture_wait_line("app/out end\n", 10));
    REQUIRE_OK(runtime_forget_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
    fixture_turn(20);
    const char *folder = test_folder();
    EXPECT(access(arena_printf(&fx.op.arena, "%s/state/" TASK_A, folder).ptr, F_OK) == -1);
    EXPECT(access(arena_printf(&fx.op.arena, "%s/run/" TASK_A, folder).ptr, F_OK) == -1);
    fixture_end();
}

TEST(what_cannot_start_says_why_in_awss_words)
{
    static const struct {
        const char *command;
        const char *want;
    } cases[] = {
        {"no-such-program", "app:failed(CannotStartContainerError: exec: \"no-such-program\": "
                            "executable file not found in $PATH)"},
        {"./missing", "app:failed(CannotStartContainerError: exec: \"./missing\": stat ./missing: "
                      "no such file or directory)"},
        {"./plain", "app:failed(CannotStartContainerError: exec: \"./plain\": permission denied)"},
    };
    fixture_begin();
    REQUIRE_OK(file_write(&fx.op, arena_printf(&fx.op.arena, "%s/plain", test_folder()).ptr,
                          STR("x"), 0600),
               &fx.op);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct str word = str_of(cases[i].command);
        fixture_container(0, "app", "")->command = (struct runtime_words){&word, 1};
        struct runtime_task_spec spec = fixture_task(TASK_A, 1);
        fixture_start(&spec);
        EXPECT(fixture_wait_over(i + 1, 5000));
        EXPECT(fixture_wait(cases[i].want, 0));
        REQUIRE_OK(runtime_forget_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
        fixture_turn(20);
    }
    fixture_end();
}

TEST(an_image_that_is_not_there_cannot_be_pulled)
{
    fixture_begin();
    fixture_container(0, "app", "true")->image = STR("dir:///no/such/folder");
    fixture_container(1, "web", "true")->image = STR("nginx:latest");
    struct runtime_task_spec spec = fixture_task(TASK_A, 2);
    fixture_start(&spec);
    EXPECT(fixture_wait(":over", 5000));
    EXPECT(fixture_has("app:failed(CannotPullContainerError: \"dir:///no/such/folder\": No such "
                       "file or directory)"));
    EXPECT(fixture_has("web:failed(CannotPullContainerError: \"nginx:latest\" is no image of the "
                       "process runtime: it takes dir:///absolute/path)"));
    fixture_end();
}

TEST(a_command_that_ignores_the_stop_signal_is_killed)
{
    fixture_begin();
    struct runtime_container_spec *c = fixture_container(
        0, "app", "trap 'echo got term' TERM; echo up; while :; do sleep 0.1; done");
    c->stop_timeout = DUR_MS(400);
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait_line("up", 5000));
    mono_t before = clock_mono();
    REQUIRE_OK(runtime_stop_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
    fixture_turn(50);
    EXPECT_EQ(fixture_see(TASK_A, 0).state, RUNTIME_CONTAINER_STOPPING);
    EXPECT(fixture_wait("app:exited=137", 5000));
    EXPECT(mono_since(clock_mono(), before).us >= DUR_MS(400).us);
    EXPECT(fixture_wait_line("got term", 0));
    EXPECT_EQ(fixture_processes(TASK_A), 0);
    fixture_end();
}

TEST(a_command_may_choose_its_stop_signal_and_its_exit_code)
{
    fixture_begin();
    fixture_container(0, "app", "trap 'exit 7' USR1; echo up; while :; do sleep 0.05; done")
        ->stop_signal = STR("SIGUSR1");
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait_line("up", 5000));
    REQUIRE_OK(runtime_stop_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
    EXPECT(fixture_wait("app:exited=7", 5000));

    fixture_container(0, "app", "echo up2; exec sleep 60");
    spec = fixture_task(TASK_B, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait_line("up2", 5000));
    REQUIRE_OK(runtime_stop_task(fx.rt, &fx.op, STR(TASK_B)), &fx.op);
    EXPECT(fixture_wait("app:exited=143", 5000));
    fixture_end();
}

TEST(grandchildren_die_with_the_command_wherever_they_went)
{
    fixture_begin();
    fixture_container(0, "app",
                      "setsid sh -c 'sleep 60 & setsid sleep 61 & exec sleep 62' & "
                      "sleep 63 & sleep 0.3; exit 5");
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait("app:started", 5000));
    fixture_turn(150);
    EXPECT(fixture_processes(TASK_A) >= 4);
    EXPECT(fixture_wait("app:exited=5", 5000));
    EXPECT_EQ(fixture_processes(TASK_A), 0);
    fixture_end();
}

TEST(the_health_command_decides_with_the_environment_of_the_container)
{
    clock_set_scale(100); /* 10 s become 100 ms */
    fixture_begin();
    static struct str check[] = {STR_INIT("CMD-SHELL"),
                                 STR_INIT("test \"$SECRET\" = x && test -e healthy")};
    struct runtime_pair env = {STR_INIT("SECRET"), STR_INIT("x")};
    struct runtime_container_spec *c = fixture_container(
        0, "app", "sleep 0.3; touch healthy; sleep 0.6; rm healthy; exec sleep 60");
    c->environment = (struct runtime_pairs){&env, 1};
    c->health_check = (struct runtime_health_check){
        .command = {check, 2}, .interval = DUR_S(10), .retries = 2, .start_period = DUR_S(300)};
    c->stop_timeout = DUR_MS(100);
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait("app:health=1", 5000));
    EXPECT(fixture_wait("app:health=2", 5000));
    EXPECT_EQ(fixture_see(TASK_A, 0).state, RUNTIME_CONTAINER_RUNNING);
    REQUIRE_OK(runtime_kill_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
    EXPECT(fixture_wait("app:exited=137", 5000));
    fixture_end();
}

TEST(a_health_command_that_hangs_fails_and_is_killed)
{
    clock_set_scale(100);
    fixture_begin();
    static struct str check[] = {STR_INIT("CMD"), STR_INIT("sleep"), STR_INIT("50")};
    struct runtime_container_spec *c = fixture_container(0, "app", "exec sleep 60");
    c->health_check = (struct runtime_health_check){
        .command = {check, 3}, .interval = DUR_S(10), .retries = 2, .timeout = DUR_MS(100)};
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait("app:health=2", 5000));
    EXPECT(fixture_processes(TASK_A) <= 2);
    REQUIRE_OK(runtime_kill_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
    EXPECT(fixture_wait(":over", 5000));
    EXPECT_EQ(fixture_processes(TASK_A), 0);
    fixture_end();
}

TEST(secrets_are_in_no_argument_list_and_in_no_file)
{
    fixture_begin();
    struct runtime_pair env = {STR_INIT("DB_PASSWORD"), STR_INIT("correct-horse-battery")};
    fixture_container(0, "app", "sleep 20")->environment = (struct runtime_pairs){&env, 1};
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait("app:started", 5000));
    struct str grep = arena_printf(&fx.op.arena,
                                   "! grep -rqsI correct-horse-batter[y] %s && "
                                   "! grep -qsa correct-horse-batter[y] /proc/[0-9]*/cmdline",
                                   test_folder());
    EXPECT_EQ(system(grep.ptr), 0); /* lint: system */
    REQUIRE_OK(runtime_kill_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
    EXPECT(fixture_wait(":over", 5000));
    fixture_end();
}

TEST(a_user_is_taken_and_gets_the_run_folder)
{
    if (geteuid() != 0) {
        test_skip("only root may become another user");
    }
    fixture_begin();
    fixture_container(0, "app", "id -u; id -g; touch \"$(dirname $SOCKET)/x\" && echo wrote")
        ->user = STR("65534:65533");
    fixture_container(1, "web", "true")->user = STR("no-such-user");
    REQUIRE(chmod(test_folder(), 0755) == 0);
    struct runtime_task_spec spec = fixture_task(TASK_A, 2);
    fixture_start(&spec);
    EXPECT(fixture_wait(":over", 5000));
    EXPECT(fixture_wait_line("app/out 65534\napp/out 65533\napp/out wrote\n", 0));
    EXPECT(fixture_has("web:failed(CannotStartContainerError: unable to find user no-such-user: "
                       "no matching entries in passwd file)"));
    fixture_end();
}

TEST(containers_of_a_task_start_in_order)
{
    fixture_begin();
    static const struct runtime_dependency after = {.container = STR_INIT("setup"),
                                                    .condition = RUNTIME_WHEN_SUCCESS};
    struct runtime_container_spec *app = fixture_container(0, "app", "cat made; exit 0");
    app->depends_on = &after;
    app->depends_on_count = 1;
    fixture_container(1, "setup", "sleep 0.2; echo by setup > made");
    struct runtime_task_spec spec = fixture_task(TASK_A, 2);
    fixture_start(&spec);
    EXPECT(fixture_wait(":over", 5000));
    EXPECT(fixture_wait_line("app/out by setup\n", 0));
    fixture_end();
}

TEST(a_container_past_its_memory_limit_ends_with_the_out_of_memory_error)
{
    fx.has_cgroups = true;
    fixture_begin();
    fixture_container(0, "app", "exec tail /dev/zero")->memory_mib = 24;
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    if (access("/sys/fs/cgroup/memory/hitless/" TASK_A, F_OK) == -1 &&
        access("/sys/fs/cgroup/hitless/" TASK_A, F_OK) == -1) {
        REQUIRE_OK(runtime_kill_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
        EXPECT(fixture_wait(":over", 20000));
        test_skip("control groups may not be made here");
    }
    EXPECT(fixture_wait(":over", 20000));
    EXPECT(fixture_has(
        "app:exited=137(OutOfMemoryError: Container killed due to memory usage) :over()"));
    REQUIRE_OK(runtime_forget_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
    fixture_turn(20);
    EXPECT(access("/sys/fs/cgroup/memory/hitless/" TASK_A, F_OK) == -1);
    EXPECT(access("/sys/fs/cgroup/cpu/hitless/" TASK_A, F_OK) == -1);
    EXPECT(access("/sys/fs/cgroup/hitless/" TASK_A, F_OK) == -1);
    fixture_end();
}

static void use_is_measured(bool has_cgroups)
{
    fx.has_cgroups = has_cgroups;
    fixture_begin();
    fixture_container(0, "app",
                      "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; sleep 20");
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait_line("done", 20000));
    struct runtime_usage usage = {0};
    REQUIRE_OK(runtime_get_usage(fx.rt, &fx.op, STR(TASK_A), &usage), &fx.op);
    EXPECT(usage.cpu.us > 20000);
    EXPECT(usage.cpu.us < 20000000);
    EXPECT(usage.memory_bytes > 50000);
    EXPECT(usage.memory_bytes < 100u << 20);
    REQUIRE_OK(runtime_kill_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
    EXPECT(fixture_wait(":over", 5000));
    REQUIRE_OK(runtime_forget_task(fx.rt, &fx.op, STR(TASK_A)), &fx.op);
    fixture_turn(20);
    fixture_end();
}

TEST(use_of_processor_and_memory_is_measured_by_control_groups)
{
    use_is_measured(true);
}

TEST(use_of_processor_and_memory_is_measured_by_proc)
{
    use_is_measured(false);
}

TEST(much_output_arrives_whole_and_in_order)
{
    fixture_begin();
    fixture_container(0, "app",
                      "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); echo line $i; done; echo last");
    struct runtime_task_spec spec = fixture_task(TASK_A, 1);
    fixture_start(&spec);
    EXPECT(fixture_wait(":over", 30000));
    struct str rest = buf_str(&fx.lines);
    struct str line = STR_NONE;
    for (int i = 1; i <= 60000; i++) {
        REQUIRE(str_next(&rest, '\n', &line));
        REQUIRE(str_equal(line, arena_printf(&fx.op.arena, "app/out line %d", i)));
    }
    REQUIRE(str_next(&rest, '\n', &line));
    EXPECT_STR(line, "app/out last");
    EXPECT_EQ(rest.len, 0);
    fixture_end();
}

TEST(a_hundred_tasks_come_and_go_without_a_trace)
{
    fx.has_cgroups = true;
    fixture_begin();
    fixture_container(0, "app", "trap 'exit 0' TERM; sleep 55 & wait");
    char id[40];
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof(id), "%032x", 0xabc000 + i);
        struct runtime_task_spec spec = fixture_task(id, 1);
        fixture_start(&spec);
        fixture_turn(1);
    }
    struct runtime_sights sights;
    REQUIRE_OK(runtime_observe(fx.rt, &fx.op, &sights), &fx.op);
    EXPECT_EQ(sights.count, 100);
    for (size_t i = 0; i < sights.count; i++) {
        for (size_t k = i + 1; k < sights.count; k++) {
            EXPECT(!str_equal(sights.items[i].address, sights.items[k].address));
        }
    }
    fixture_turn(300);
    for (size_t i = 0; i < sights.count; i++) {
        REQUIRE_OK(runtime_stop_task(fx.rt, &fx.op, sights.items[i].id), &fx.op);
    }
    EXPECT(fixture_wait_over(100, 40000));
    for (size_t i = 0; i < sights.count; i++) {
        REQUIRE_OK(runtime_forget_task(fx.rt, &fx.op, sights.items[i].id), &fx.op);
        EXPECT_EQ(fixture_processes(arena_c_str(&fx.op.arena, sights.items[i].id)), 0);
    }
    fixture_turn(50);
    struct str left = arena_printf(&fx.op.arena,
                                   "test -z \"$(ls -A %s/state %s/run | grep -v :)\" && "
                                   "test -z \"$(find /sys/fs/cgroup -name '*0abc0*' 2>/dev/null)\"",
                                   test_folder(), test_folder());
    EXPECT_EQ(system(left.ptr), 0); /* lint: system */
    fixture_end();
}
