#include "ev/loop.h"

#include "base/cleanup.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

static enum err no_room(struct op *op)
{
    return op_fail(op, ERR_NO_SPACE, "the event loop has no room for another descriptor");
}

/* ---- signals ---- */

static void on_signal_ready(struct ev_fd *w, unsigned ready)
{
    (void)ready;
    struct ev_signal *s = CONTAINER_OF(w, struct ev_signal, fd);
    struct signalfd_siginfo info;
    /* one a turn: the callback may close us, and level-triggered means the rest comes again */
    if (read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        s->on_signal(s, (int)info.ssi_signo);
    }
}

enum err ev_signal_open(struct op *op, struct ev_loop *loop, struct ev_signal *s,
                        const int *signal_numbers, size_t count, ev_signal_fn *on_signal)
{
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < count; i++) {
        CHECK(sigaddset(&set, signal_numbers[i]) == 0);
    }
    auto_fd int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd == -1) {
        return op_fail_errno(op, "could not create a signal descriptor");
    }
    if (ev_fd_open(loop, &s->fd, fd, EV_READ, on_signal_ready) != ERR_OK) {
        return no_room(op);
    }
    (void)steal_fd(&fd);
    sigset_t before;
    CHECK(pthread_sigmask(SIG_BLOCK, &set, &before) == 0);
    s->on_signal = on_signal;
    (void)sigemptyset(&s->blocked_here);
    for (size_t i = 0; i < count; i++) {
        if (sigismember(&before, signal_numbers[i]) == 0) {
            (void)sigaddset(&s->blocked_here, signal_numbers[i]);
        }
    }
    return ERR_OK;
}

void ev_signal_close(struct ev_signal *s)
{
    if (ev_fd_is_open(&s->fd)) {
        ev_fd_close(&s->fd);
        CHECK(pthread_sigmask(SIG_UNBLOCK, &s->blocked_here, NULL) == 0);
    }
}

/* ---- ends of processes ---- */

static struct ev_exit exit_of(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED) {
        return (struct ev_exit){.is_known = true, .code = info->si_status};
    }
    return (struct ev_exit){.is_known = true,
                            .code = -1,
                            .signal_number = info->si_status,
                            .has_dumped_core = info->si_code == CLD_DUMPED};
}

static void on_child_ready(struct ev_fd *w, unsigned ready)
{
    (void)ready;
    struct ev_child *c = CONTAINER_OF(w, struct ev_child, fd);
    siginfo_t info = {0};
    struct ev_exit how = {.code = -1};
    int waited = waitid(P_PIDFD, (id_t)w->fd, &info, WEXITED | WNOHANG);
    if (waited == 0 && info.si_pid == 0) {
        return; /* woken without an end */
    }
    if (waited == 0) {
        how = exit_of(&info);
    }
    ev_fd_close(w);
    c->on_exit(c, &how);
}

enum err ev_child_open(struct op *op, struct ev_loop *loop, struct ev_child *c, pid_t pid,
                       ev_child_fn *on_exit)
{
    auto_fd int fd = pidfd_open(pid, 0);
    if (fd == -1 && errno == ESRCH) {
        return op_fail(op, ERR_NOT_FOUND, "there is no process %d", (int)pid);
    }
    if (fd == -1) {
        return op_fail_errno(op, "could not watch the process %d", (int)pid);
    }
    if (ev_fd_open(loop, &c->fd, fd, EV_READ, on_child_ready) != ERR_OK) {
        return no_room(op);
    }
    (void)steal_fd(&fd);
    c->pid = pid;
    c->on_exit = on_exit;
    return ERR_OK;
}

void ev_child_close(struct ev_child *c)
{
    ev_fd_close(&c->fd);
}

bool ev_child_kill(const struct ev_child *c, int signal_number)
{
    return ev_fd_is_open(&c->fd) && pidfd_send_signal(c->fd.fd, signal_number, NULL, 0) == 0;
}

/* ---- wake-ups from other threads ---- */

static void on_wake_ready(struct ev_fd *w, unsigned ready)
{
    (void)ready;
    struct ev_wake *wake = CONTAINER_OF(w, struct ev_wake, fd);
    uint64_t count = 0;
    (void)!read(w->fd, &count, sizeof(count));
    /* Cleared before the callback looks: a wake-up that comes while it looks writes again. */
    (void)atomic_exchange(&wake->is_pending, false);
    wake->on_wake(wake);
}

enum err ev_wake_open(struct op *op, struct ev_loop *loop, struct ev_wake *w, ev_wake_fn *on_wake)
{
    auto_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd == -1) {
        return op_fail_errno(op, "could not create an event descriptor");
    }
    if (ev_fd_open(loop, &w->fd, fd, EV_READ, on_wake_ready) != ERR_OK) {
        return no_room(op);
    }
    (void)steal_fd(&fd);
    w->on_wake = on_wake;
    atomic_store(&w->is_pending, false);
    return ERR_OK;
}

void ev_wake_close(struct ev_wake *w)
{
    ev_fd_close(&w->fd);
}

void ev_wake_up(struct ev_wake *w)
{
    if (!atomic_exchange(&w->is_pending, true)) {
        uint64_t one = 1;
        (void)!write(w->fd.fd, &one, sizeof(one));
    }
}
