/* The supervisor with roles of our own. This executable is its own role: the constructor below
 * looks at the words before the harness does. */

#include "app/sup.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "net/socket.h"
#include "stats/lbstats.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* ---- the roles: words are the report file, the address to listen on, the mode ---- */

enum { WORD_REPORT, WORD_ADDR, WORD_MODE, WORD_COUNT };
enum { TALK = 77 };

struct dummy {
    struct op op;
    struct ev_loop loop;
    struct role_start *start;
    struct proc_channel sup;
    struct proc_channel peer;
    struct ev_fd listener;
    int report_fd;
};

static bool is_mode(const struct dummy *d, const char *mode)
{
    return strcmp(d->start->words[WORD_MODE], mode) == 0;
}

__attribute__((format(printf, 2, 3))) static void report(struct dummy *d, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(&d->op.arena, format, args);
    va_end(args);
    struct str line = arena_printf(&d->op.arena, "%.*s %u %.*s\n", STR_ARG(d->start->name),
                                   d->start->generation, STR_ARG(text));
    (void)!write(d->report_fd, line.ptr, line.len); /* O_APPEND: whole lines */
}

static void on_peer_message(struct proc_channel *ch, struct proc_message *m)
{
    struct dummy *d = CONTAINER_OF(ch, struct dummy, peer);
    report(d, "heard %.*s", STR_ARG(m->payload));
}

static void on_connection(struct ev_fd *w, unsigned ready)
{
    (void)ready;
    struct dummy *d = CONTAINER_OF(w, struct dummy, listener);
    int fd = -1;
    if (net_accept(w->fd, &fd, NULL) == ERR_OK) {
        struct str text = arena_printf(&d->op.arena, "generation %u", d->start->generation);
        (void)!write(fd, text.ptr, text.len);
        (void)close(fd);
    }
}

static void say_ready(struct dummy *d)
{
    err_ignore(proc_channel_send_payload(&d->sup, PROC_READY, STR(""))); /* sup may be gone */
}

static void ask_to_listen(struct dummy *d)
{
    struct proc_listen_request request = {.id = 5, .socket_count = 1};
    REQUIRE(net_addr_parse(str_of(d->start->words[WORD_ADDR]), &request.addr));
    struct str payload = proc_listen_request_encode(&d->op.arena, &request);
    err_ignore(proc_channel_send_payload(&d->sup, PROC_LISTEN, payload)); /* sup may be gone */
}

static void on_listening(struct dummy *d, struct proc_message *m)
{
    struct proc_listen_answer answer;
    REQUIRE(proc_listen_answer_decode(m->payload, &answer));
    char addr[NET_ADDR_TEXT_BYTES_MAX];
    (void)net_addr_format(&answer.addr, addr);
    report(d, "listens %s %zu %s %.*s", addr, m->fd_count, err_text(answer.result),
           STR_ARG(answer.text));
    if (m->fd_count > 0) {
        REQUIRE_EQ(ev_fd_open(&d->loop, &d->listener, steal_fd(&m->fds[0]), EV_READ, on_connection),
                   ERR_OK);
    }
    say_ready(d);
}

static void on_peer(struct dummy *d, struct proc_message *m)
{
    uint32_t generation = 0;
    REQUIRE(m->fd_count == 1 && proc_u32_decode(m->payload, &generation));
    report(d, "peer %u", generation);
    proc_channel_close(&d->peer);
    REQUIRE_EQ(proc_channel_open(&d->loop, &d->peer, steal_fd(&m->fds[0]), on_peer_message, NULL),
               ERR_OK);
    struct str hello =
        arena_printf(&d->op.arena, "%.*s %u", STR_ARG(d->start->name), d->start->generation);
    EXPECT_EQ(proc_channel_send_payload(&d->peer, TALK, hello), ERR_OK);
}

static void on_sup_message(struct proc_channel *ch, struct proc_message *m)
{
    struct dummy *d = CONTAINER_OF(ch, struct dummy, sup);
    uint32_t limit_ms = 0;
    if (m->type == PROC_PEER) {
        on_peer(d, m);
    } else if (m->type == PROC_LISTENING) {
        on_listening(d, m);
    } else if (m->type == PROC_STOP) {
        REQUIRE(proc_u32_decode(m->payload, &limit_ms));
        report(d, "stop %u", limit_ms);
        if (!is_mode(d, "deaf")) {
            ev_loop_stop(&d->loop);
        }
    }
}

static int run_dummy(struct role_start *start)
{
    static struct dummy d;
    d.start = start;
    op_init(&d.op);
    struct lbstats *counters = NULL;
    if (start->word_count != WORD_COUNT ||
        lbstats_map(&d.op, start->counters_fd, &counters) != ERR_OK ||
        ev_loop_open(&d.op, &d.loop) != ERR_OK ||
        /* that sup is gone is for the kernel to tell, by its signal */
        proc_channel_open(&d.loop, &d.sup, start->channel_fd, on_sup_message, NULL) != ERR_OK) {
        return PROC_EXIT_HOPELESS;
    }
    d.report_fd = open(start->words[WORD_REPORT], O_WRONLY | O_APPEND | O_CLOEXEC);
    const char *fault = getenv("HITLESS_FAULT_AT");
    report(&d, "pid %d fault %s", (int)getpid(), fault == NULL ? "none" : fault);
    bool is_control = STR_IS(start->name, ROLE_CONTROL);
    if (is_control && is_mode(&d, "hopeless")) {
        return PROC_EXIT_HOPELESS;
    }
    if (is_control && is_mode(&d, "junk") && start->generation == 1) {
        err_ignore(proc_channel_send_payload(&d.sup, 999, STR(""))); /* what follows is the test */
    }
    if (is_control) {
        say_ready(&d);
    } else {
        ask_to_listen(&d);
    }
    ev_loop_run(&d.loop);
    report(&d, "ends");
    return 0;
}

__attribute__((constructor)) static void be_a_role(int argc, char **argv)
{
    static const struct role roles[] = {{ROLE_CONTROL, run_dummy}, {ROLE_LB, run_dummy}};
    int exit_code = 0;
    if (roles_run(roles, ARRAY_COUNT(roles), argc, argv, &exit_code)) {
        _exit(exit_code);
    }
}

/* ---- the engine of a test ---- */

struct engine {
    struct op op;
    pid_t pid;
    struct str report_path;
    struct str out_path;
    struct net_addr addr; /* where lb listens, once it does */
};

static const char *make_file(struct op *op, const char *name)
{
    struct str path = arena_printf(&op->arena, "%s/%s", test_folder(), name);
    int fd = open(path.ptr, O_CREAT | O_WRONLY | O_CLOEXEC | O_APPEND, 0600);
    REQUIRE(fd != -1);
    (void)close(fd);
    return path.ptr;
}

static void engine_start(struct engine *e, const char *addr, const char *mode)
{
    *e = (struct engine){0};
    op_init(&e->op);
    e->report_path = str_of(make_file(&e->op, "report"));
    e->out_path = str_of(make_file(&e->op, "out"));
    e->pid = fork();
    REQUIRE(e->pid != -1);
    if (e->pid != 0) {
        return;
    }
    int out = open(e->out_path.ptr, O_WRONLY | O_APPEND | O_CLOEXEC);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(out, STDERR_FILENO);
    char *words[WORD_COUNT];
    memcpy(&words[WORD_REPORT], &e->report_path.ptr, sizeof(char *));
    memcpy(&words[WORD_ADDR], &addr, sizeof(char *));
    memcpy(&words[WORD_MODE], &mode, sizeof(char *));
    struct sup_options options = {.word_count = WORD_COUNT,
                                  .words = words,
                                  .ready_line = "ready: test",
                                  .lb_stop_limit = DUR_MS(300)};
    _exit(sup_run(&options));
}

static struct str text_of(struct engine *e, struct str path)
{
    struct str text = STR_NONE;
    REQUIRE_OK(file_read(&e->op, path.ptr, 1u << 20, &text), &e->op);
    return text;
}

static bool contains(struct engine *e, struct str path, const char *part)
{
    return str_find(text_of(e, path), str_of(part), 0) != STR_NOT_FOUND;
}

#define STEPS_MAX 2000 /* of 10 ms: ample on a loaded machine */

static void wait_until(struct engine *e, struct str path, const char *part)
{
    for (size_t i = 0; i < STEPS_MAX; i++) {
        if (contains(e, path, part)) {
            return;
        }
        (void)poll(NULL, 0, 10);
    }
    struct str report = text_of(e, e->report_path);
    struct str out = text_of(e, e->out_path);
    test_failed(__FILE__, __LINE__, "\"%s\" never came; report:\n%.*s\nout:\n%.*s", part,
                STR_ARG(report), STR_ARG(out));
    (void)kill(e->pid, SIGKILL);
    test_leave();
}

/* The number behind `part`. */
static pid_t pid_after(struct engine *e, const char *part)
{
    struct str text = text_of(e, e->report_path);
    size_t at = str_find(text, str_of(part), 0);
    REQUIRE(at != STR_NOT_FOUND);
    struct str rest = str_from(text, at + strlen(part));
    struct str number = STR_NONE;
    uint64_t pid = 0;
    REQUIRE(str_next(&rest, ' ', &number) && str_parse_u64(number, INT32_MAX, &pid));
    return (pid_t)pid;
}

static void wait_ready(struct engine *e)
{
    wait_until(e, e->out_path, "ready: test\n");
    wait_until(e, e->report_path, "lb 1 heard control 1\n");
    wait_until(e, e->report_path, "control 1 heard lb 1\n");
    struct str text = text_of(e, e->report_path);
    size_t at = str_find(text, STR("lb 1 listens "), 0);
    REQUIRE(at != STR_NOT_FOUND);
    struct str rest = str_from(text, at + STR("lb 1 listens ").len);
    struct str addr = STR_NONE;
    REQUIRE(str_next(&rest, ' ', &addr) && net_addr_parse(addr, &e->addr));
}

static int engine_wait(struct engine *e)
{
    int status = 0;
    REQUIRE_EQ(waitpid(e->pid, &status, 0), e->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int engine_stop(struct engine *e)
{
    REQUIRE_EQ(kill(e->pid, SIGTERM), 0);
    int exit_code = engine_wait(e);
    op_fini(&e->op);
    return exit_code;
}

/* Connects and reads what lb says. */
static struct str ask(struct engine *e)
{
    auto_fd int fd = -1;
    REQUIRE_OK(net_dial(&e->op, &e->addr, &fd), &e->op);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    REQUIRE_EQ(poll(&p, 1, 20000), 1);
    char *text = arena_alloc(&e->op.arena, 64);
    ssize_t got = read(fd, text, 64);
    return str_make(text, got < 0 ? 0 : (size_t)got);
}

static bool is_alive(pid_t pid)
{
    return kill(pid, 0) == 0;
}

/* ---- tests ---- */

TEST(roles_get_channels_to_sup_and_to_each_other_and_stop_in_order)
{
    struct engine e;
    engine_start(&e, "127.0.0.1:0", "normal");
    wait_ready(&e);
    EXPECT_STR(ask(&e), "generation 1");
    REQUIRE_EQ(kill(e.pid, SIGTERM), 0);
    EXPECT_EQ(engine_wait(&e), 0);
    struct str report = text_of(&e, e.report_path);
    size_t control = str_find(report, STR("control 1 stop 30000\ncontrol 1 ends\n"), 0);
    size_t lb = str_find(report, STR("lb 1 stop 300\nlb 1 ends\n"), 0);
    EXPECT(control != STR_NOT_FOUND && lb != STR_NOT_FOUND && lb < control);
    op_fini(&e.op);
}

TEST(a_killed_lb_comes_back_with_the_same_socket_and_a_new_channel)
{
    struct engine e;
    engine_start(&e, "127.0.0.1:0", "normal");
    wait_ready(&e);
    /* stopped, it accepts nothing: the connection waits in the socket that outlives it */
    pid_t lb = pid_after(&e, "lb 1 pid ");
    REQUIRE_EQ(kill(lb, SIGSTOP), 0);
    auto_fd int fd = -1;
    REQUIRE_OK(net_dial(&e.op, &e.addr, &fd), &e.op);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    REQUIRE_EQ(poll(&p, 1, 5000), 1);
    REQUIRE_EQ(kill(lb, SIGKILL), 0);
    p.events = POLLIN;
    REQUIRE_EQ(poll(&p, 1, 20000), 1);
    char got[64];
    ssize_t count = read(fd, got, sizeof(got));
    EXPECT_STR(str_make(got, count < 0 ? 0 : (size_t)count), "generation 2");
    EXPECT_STR(ask(&e), "generation 2");

    wait_until(&e, e.report_path, "control 1 peer 2\n");
    wait_until(&e, e.report_path, "lb 2 peer 1\n");
    wait_until(&e, e.report_path, "lb 2 heard control 1\n");
    wait_until(&e, e.report_path, "control 1 heard lb 2\n");
    EXPECT_EQ(engine_stop(&e), 0);
}

TEST(a_killed_control_comes_back_without_its_fault_and_lb_serves_on)
{
    REQUIRE_EQ(setenv("HITLESS_FAULT_AT", "1000000", 1), 0);
    struct engine e;
    engine_start(&e, "127.0.0.1:0", "normal");
    wait_ready(&e);
    REQUIRE_EQ(kill(pid_after(&e, "control 1 pid "), SIGKILL), 0);
    EXPECT_STR(ask(&e), "generation 1");
    wait_until(&e, e.report_path, "control 2 peer 1\n");
    wait_until(&e, e.report_path, "lb 1 peer 2\n");
    wait_until(&e, e.report_path, "control 2 heard lb 1\n");
    wait_until(&e, e.report_path, "lb 1 heard control 2\n");
    struct str report = text_of(&e, e.report_path);
    EXPECT(str_find(report, STR("fault 1000000\n"), 0) != STR_NOT_FOUND);
    struct str second = str_from(report, str_find(report, STR("control 2 pid"), 0));
    EXPECT(str_find(str_slice(second, 0, 40), STR("fault none\n"), 0) != STR_NOT_FOUND);
    struct str lb = str_from(report, str_find(report, STR("lb 1 pid"), 0));
    EXPECT(str_find(str_slice(lb, 0, 40), STR("fault none\n"), 0) != STR_NOT_FOUND);
    EXPECT_EQ(engine_stop(&e), 0);
}

TEST(roles_die_with_sup)
{
    REQUIRE_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0); /* orphans come to us */
    struct engine e;
    engine_start(&e, "127.0.0.1:0", "normal");
    wait_ready(&e);
    pid_t roles[] = {pid_after(&e, "control 1 pid "), pid_after(&e, "lb 1 pid ")};
    EXPECT(is_alive(roles[0]) && is_alive(roles[1]));
    REQUIRE_EQ(kill(e.pid, SIGKILL), 0);
    EXPECT_EQ(engine_wait(&e), -SIGKILL);
    for (size_t i = 0; i < ARRAY_COUNT(roles); i++) {
        int status = 0;
        REQUIRE_EQ(waitpid(roles[i], &status, 0), roles[i]);
        EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    op_fini(&e.op);
}

TEST(a_role_that_calls_itself_hopeless_ends_everything_with_1)
{
    struct engine e;
    engine_start(&e, "127.0.0.1:0", "hopeless");
    EXPECT_EQ(engine_wait(&e), 1);
    EXPECT(!contains(&e, e.report_path, "control 2"));
    op_fini(&e.op);
}

TEST(a_role_that_does_not_stop_is_killed_past_its_limit)
{
    struct engine e;
    engine_start(&e, "127.0.0.1:0", "deaf");
    wait_ready(&e);
    REQUIRE_EQ(kill(e.pid, SIGINT), 0);
    wait_until(&e, e.out_path, "lb generation 1 is killed: it has not stopped");
    wait_until(&e, e.report_path, "control 1 stop 30000\n");
    REQUIRE_EQ(kill(e.pid, SIGINT), 0); /* the second one does not wait */
    EXPECT_EQ(engine_wait(&e), 0);
    EXPECT(!contains(&e, e.report_path, "ends"));
    op_fini(&e.op);
}

TEST(a_role_that_talks_nonsense_is_killed_and_started_again)
{
    struct engine e;
    engine_start(&e, "127.0.0.1:0", "junk");
    wait_until(&e, e.report_path, "control 2 pid ");
    wait_until(&e, e.out_path, "ready: test\n");
    EXPECT(contains(&e, e.out_path, "makes no sense"));
    EXPECT_EQ(engine_stop(&e), 0);
}

TEST(lb_may_not_ask_for_a_file)
{
    struct engine e;
    char path[128];
    (void)snprintf(path, sizeof(path), "unix:%s/lb", test_folder());
    engine_start(&e, path, "normal");
    wait_until(&e, e.out_path, "lb generation 1 is killed: it sent a message that makes no sense");
    EXPECT_EQ(engine_stop(&e), 0);
}

TEST(an_address_in_use_is_told_with_its_reason)
{
    auto_op struct op op;
    op_init(&op);
    struct net_addr addr;
    auto_fd int mine = -1;
    REQUIRE(net_addr_parse(STR("127.0.0.1:0"), &addr));
    REQUIRE_OK(net_listen(&op, &addr, NULL, &mine), &op);
    REQUIRE_OK(net_local_addr(&op, mine, &addr), &op);
    char text[NET_ADDR_TEXT_BYTES_MAX];
    (void)net_addr_format(&addr, text);
    struct engine e;
    engine_start(&e, text, "normal");
    wait_until(&e, e.report_path, "Address already in use\n");
    EXPECT(contains(&e, e.report_path, "0 exists already could not bind to 127.0.0.1:"));
    EXPECT_EQ(engine_stop(&e), 0);
}
