#include "base/check.h"
#include "base/cleanup.h"
#include "ev/loop.h"
#include "proc/spawn.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static pid_t start(struct op *op, const struct proc_spawn *what)
{
    pid_t pid = -1;
    REQUIRE_OK(proc_spawn(op, what, &pid), op);
    return pid;
}

static int exit_code_of(pid_t pid)
{
    int status = 0;
    REQUIRE_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Runs a shell text whose descriptor 1 is ours to read; gives what it wrote. */
static struct str shell(struct op *op, struct proc_spawn what, const char *text)
{
    int ends[2];
    REQUIRE_EQ(pipe2(ends, O_CLOEXEC), 0);
    const char *argv[] = {"sh", "-c", text, NULL};
    struct proc_inherit inherit[4] = {{.fd = ends[1], .as = 1}};
    for (size_t i = 0; i < what.inherit_count; i++) {
        inherit[1 + i] = what.inherit[i];
    }
    what.path = "/bin/sh";
    what.argv = argv;
    what.inherit = inherit;
    what.inherit_count++;
    pid_t pid = start(op, &what);
    (void)close(ends[1]);
    char *out = arena_alloc(&op->arena, 4096);
    size_t len = 0;
    ssize_t got = 0;
    while ((got = read(ends[0], out + len, 4095 - len)) > 0) {
        len += (size_t)got;
    }
    (void)close(ends[0]);
    EXPECT_EQ(exit_code_of(pid), 0);
    return str_trim(str_make(out, len));
}

TEST(a_process_gets_the_descriptors_listed_and_no_other)
{
    auto_op struct op op;
    op_init(&op);
    int leak = open("/dev/null", O_RDONLY); /* as a careless library would, without close-on-exec */
    auto_fd int high = fcntl(leak, F_DUPFD, 500);
    int first[2];
    int second[2];
    REQUIRE_EQ(pipe2(first, O_CLOEXEC), 0);
    REQUIRE_EQ(pipe2(second, O_CLOEXEC), 0);
    /* crosswise: each wants the other's number */
    struct proc_inherit inherit[] = {{.fd = first[1], .as = second[1]},
                                     {.fd = second[1], .as = first[1]}};
    struct proc_spawn what = {.inherit = inherit, .inherit_count = 2};
    struct str text = arena_printf(
        &op.arena,
        "echo one >&%d; echo two >&%d; "
        "for n in %d %d %d %d; do [ -e /proc/$$/fd/$n ] && echo $n leaked; done; echo end",
        second[1], first[1], leak, high, first[0], second[0]);
    EXPECT_STR(shell(&op, what, text.ptr), "end");
    char got[8] = "";
    EXPECT_EQ(read(first[0], got, 4), 4);
    EXPECT_STR(str_make(got, 3), "one");
    EXPECT_EQ(read(second[0], got, 4), 4);
    EXPECT_STR(str_make(got, 3), "two");
    int all[] = {leak, first[0], first[1], second[0], second[1]};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        (void)close(all[i]);
    }
}

TEST(a_process_starts_with_default_signals_none_blocked)
{
    auto_op struct op op;
    op_init(&op);
    sigset_t set;
    (void)sigfillset(&set);
    REQUIRE_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    (void)signal(SIGPIPE, SIG_IGN);
    struct str lines = shell(
        &op, (struct proc_spawn){0}, /* 32 and 33 are libc's own; nobody can reset them */
        "grep -E '^Sig(Blk|Ign)' /proc/self/status | sed s/0000000180000000/0000000000000000/");
    EXPECT_STR(lines, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000");
    sigset_t now;
    REQUIRE_EQ(sigprocmask(SIG_BLOCK, NULL, &now), 0);
    EXPECT_EQ(sigismember(&now, SIGTERM), 1); /* ours are as they were */
}

TEST(folder_environment_group_and_rights_are_as_asked)
{
    auto_op struct op op;
    op_init(&op);
    const char *const env[] = {"ONE=1", NULL};
    struct proc_spawn what = {
        .env = env, .folder = test_folder(), .is_group_leader = true, .may_not_gain_rights = true};
    struct str out =
        shell(&op, what,
              "pwd; echo $ONE$HOME; read -r pid name state parent group rest </proc/$$/stat; "
              "[ $group -eq $$ ] && echo leader; "
              "while read -r k v; do [ $k = NoNewPrivs: ] && echo $v; done "
              "</proc/self/status; true");
    struct str want = arena_printf(&op.arena, "%s\n1\nleader\n1", test_folder());
    EXPECT_STR_EQ(out, want);
}

TEST(what_cannot_be_executed_is_our_failure_with_the_reason)
{
    auto_op struct op op;
    op_init(&op);
    const char *argv[] = {"x", NULL};
    pid_t pid = -1;
    struct proc_spawn absent = {.path = "/nonexistent/program", .argv = argv};
    EXPECT_EQ(proc_spawn(&op, &absent, &pid), ERR_NOT_FOUND);
    EXPECT(strstr(op.note.text, "could not execute \"/nonexistent/program\": No such file") !=
           NULL);
    struct proc_spawn folder = {.path = "/bin/true", .argv = argv, .folder = "/nonexistent"};
    EXPECT_EQ(proc_spawn(&op, &folder, &pid), ERR_NOT_FOUND);
    EXPECT(strstr(op.note.text, "could not enter the working directory") != NULL);
    EXPECT_EQ(pid, -1);
    EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

TEST(a_process_tied_to_us_dies_when_we_are_killed)
{
    auto_op struct op op;
    op_init(&op);
    int ends[2];
    REQUIRE_EQ(pipe2(ends, O_CLOEXEC), 0);
    pid_t middle = fork();
    if (middle == 0) {
        const char *argv[] = {"sleep", "50", NULL};
        struct proc_inherit inherit = {.fd = ends[1], .as = 9};
        struct proc_spawn what = {.path = "/bin/sleep",
                                  .argv = argv,
                                  .inherit = &inherit,
                                  .inherit_count = 1,
                                  .dies_with_us = true};
        pid_t pid = -1;
        if (proc_spawn(&op, &what, &pid) != ERR_OK) {
            _exit(1);
        }
        (void)raise(SIGKILL);
    }
    (void)close(ends[1]);
    EXPECT_EQ(exit_code_of(middle), -SIGKILL);
    char c;
    EXPECT_EQ(read(ends[0], &c, 1), 0); /* the last holder of the other end is gone */
    (void)close(ends[0]);
}

TEST(variables_can_be_left_out_of_the_environment)
{
    auto_op struct op op;
    op_init(&op);
    REQUIRE_EQ(setenv("HITLESS_X", "1", 1), 0);
    REQUIRE_EQ(setenv("HITLESS_XY", "2", 1), 0);
    static const char *const names[] = {"HITLESS_X", "HOME"};
    const char *const *env = proc_env_without(&op, names, ARRAY_COUNT(names));
    bool has_xy = false;
    for (size_t i = 0; env[i] != NULL; i++) {
        has_xy = has_xy || strcmp(env[i], "HITLESS_XY=2") == 0;
        EXPECT(strncmp(env[i], "HITLESS_X=", 10) != 0);
        EXPECT(strncmp(env[i], "HOME=", 5) != 0);
    }
    EXPECT(has_xy);
}

TEST(hidden_memory_is_not_dumpable)
{
    auto_op struct op op;
    op_init(&op);
    EXPECT_OK(proc_hide_memory(&op), &op);
    EXPECT_EQ(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    EXPECT_OK(proc_forbid_new_rights(&op), &op);
    EXPECT_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    EXPECT_OK(proc_die_with_parent(&op, getppid()), &op);
    EXPECT_EQ(proc_die_with_parent(&op, 1), ERR_STATE);
}

TEST(the_first_restart_is_immediate_later_ones_wait_and_a_long_life_starts_over)
{
    struct proc_backoff b = {0};
    static const int64_t waits_ms[] = {0,    100,  200,   400,   800,   1600,
                                       3200, 6400, 12800, 25600, 30000, 30000};
    for (size_t i = 0; i < ARRAY_COUNT(waits_ms); i++) {
        EXPECT_EQ(dur_ms(proc_backoff_next(&b, DUR_MS(PROC_STEADY_MS - 1))), waits_ms[i]);
    }
    EXPECT_EQ(dur_ms(proc_backoff_next(&b, DUR_MS(PROC_STEADY_MS))), 0);
    EXPECT_EQ(dur_ms(proc_backoff_next(&b, DUR_S(1))), 100);
}
