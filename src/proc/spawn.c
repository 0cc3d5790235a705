#include "proc/spawn.h"

#include "base/check.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Where a child stopped, told to us through a pipe that a successful exec closes. */
enum step { STEP_SIGNALS, STEP_PARENT, STEP_GROUP, STEP_FOLDER, STEP_FDS, STEP_RIGHTS, STEP_EXEC };

struct failure {
    enum step step;
    int errno_value;
};

static const char *const step_texts[] = {
    [STEP_SIGNALS] = "could not reset the signals for",
    [STEP_PARENT] = "could not tie to our life",
    [STEP_GROUP] = "could not make a process group for",
    [STEP_FOLDER] = "could not enter the working directory of",
    [STEP_FDS] = "could not hand the descriptors to",
    [STEP_RIGHTS] = "could not restrict",
    [STEP_EXEC] = "could not execute",
};

/* Everything from here to exec runs in a child that may share a lock with a thread that no longer
 * exists: system calls only. */

bool proc_reset_signals(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    for (int n = 1; n < SIGRTMAX; n++) {
        (void)sigaction(n, &usual, NULL); /* fails for SIGKILL, SIGSTOP and libc's own */
    }
    sigset_t none;
    (void)sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

static bool die_with(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1) {
        return false;
    }
    if (getppid() != parent) {
        errno = ESRCH; /* it ended before we asked */
        return false;
    }
    return true;
}

#define FD_HIGH (PROC_INHERIT_MAX + 16) /* above every number that may be asked for */

/* First all up out of the way, then each to its place, so that no one steps on another. */
static bool place_fds(const struct proc_spawn *what, int *report_fd)
{
    int high[PROC_INHERIT_MAX];
    int report = fcntl(*report_fd, F_DUPFD_CLOEXEC, FD_HIGH);
    if (report == -1) {
        return false;
    }
    *report_fd = report;
    for (size_t i = 0; i < what->inherit_count; i++) {
        high[i] = fcntl(what->inherit[i].fd, F_DUPFD_CLOEXEC, FD_HIGH);
        if (high[i] == -1) {
            return false;
        }
    }
    for (size_t i = 0; i < what->inherit_count; i++) {
        if (dup2(high[i], what->inherit[i].as) == -1) {
            return false;
        }
    }
    return true;
}

static bool is_given(const struct proc_spawn *what, int number)
{
    for (size_t i = 0; i < what->inherit_count; i++) {
        if (what->inherit[i].as == number) {
            return true;
        }
    }
    return false;
}

/* Ours are close-on-exec by habit; this makes it so whatever a library opened. */
static bool hide_others(const struct proc_spawn *what)
{
    for (int fd = 3; fd < FD_HIGH; fd++) {
        if (!is_given(what, fd) && fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 && errno != EBADF) {
            return false;
        }
    }
    return close_range(FD_HIGH, ~0u, CLOSE_RANGE_CLOEXEC) == 0;
}

/* execve does not write to the texts; its prototype predates const. */
static char *const *plain(const char *const *texts)
{
    char *const *same = NULL;
    memcpy(&same, &texts, sizeof(same));
    return same;
}

static enum step run_child(const struct proc_spawn *what, pid_t parent, int *report_fd)
{
    if (!proc_reset_signals()) {
        return STEP_SIGNALS;
    }
    if (what->dies_with_us && !die_with(parent)) {
        return STEP_PARENT;
    }
    if (what->is_group_leader && setpgid(0, 0) == -1) {
        return STEP_GROUP;
    }
    if (what->folder != NULL && chdir(what->folder) == -1) {
        return STEP_FOLDER;
    }
    if (!place_fds(what, report_fd) || !hide_others(what)) {
        return STEP_FDS;
    }
    if (what->may_not_gain_rights && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) {
        return STEP_RIGHTS;
    }
    (void)execve(what->path, plain(what->argv), what->env == NULL ? environ : plain(what->env));
    return STEP_EXEC;
}

_Noreturn static void child(const struct proc_spawn *what, pid_t parent, int report_fd)
{
    struct failure f = {.step = run_child(what, parent, &report_fd), .errno_value = errno};
    (void)!write(report_fd, &f, sizeof(f));
    _exit(127);
}

static enum err start_failed(struct op *op, const struct proc_spawn *what, const struct failure *f)
{
    errno = f->errno_value;
    return op_fail_errno(op, "%s \"%s\"", step_texts[f->step], what->path);
}

enum err proc_spawn(struct op *op, const struct proc_spawn *what, pid_t *ret_pid)
{
    CHECK(what->inherit_count <= PROC_INHERIT_MAX);
    for (size_t i = 0; i < what->inherit_count; i++) {
        CHECK(what->inherit[i].as >= 0 && what->inherit[i].as < FD_HIGH);
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) == -1) {
        return op_fail_errno(op, "could not create a pipe");
    }
    auto_fd int report_in = ends[0];
    auto_fd int report_out = ends[1];
    pid_t parent = getpid();
    /* no signal handler of ours may run in the child before it has reset them */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        child(what, parent, report_out);
    }
    int fork_errno = errno;
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (pid == -1) {
        errno = fork_errno;
        return op_fail_errno(op, "could not create a process for \"%s\"", what->path);
    }
    (void)close(steal_fd(&report_out));
    struct failure f;
    ssize_t got = 0;
    do {
        got = read(report_in, &f, sizeof(f));
    } while (got == -1 && errno == EINTR);
    if (got == (ssize_t)sizeof(f)) {
        (void)waitpid(pid, NULL, 0);
        return start_failed(op, what, &f);
    }
    *ret_pid = pid;
    return ERR_OK;
}

/* ---- environment and restrictions ---- */

static bool is_named(struct str entry, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct str name = str_of(names[i]);
        if (str_starts_with(entry, name) && entry.len > name.len && entry.ptr[name.len] == '=') {
            return true;
        }
    }
    return false;
}

const char *const *proc_env_without(struct op *op, const char *const *names, size_t count)
{
    size_t all = 0;
    while (environ != NULL && environ[all] != NULL) {
        all++;
    }
    const char **kept = ARENA_ARRAY(&op->arena, const char *, all + 1);
    size_t kept_count = 0;
    for (size_t i = 0; i < all; i++) {
        if (!is_named(str_of(environ[i]), names, count)) {
            kept[kept_count++] = environ[i];
        }
    }
    return kept;
}

enum err proc_hide_memory(struct op *op)
{
    /* not RLIMIT_CORE, which tasks would inherit */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1) {
        return op_fail_errno(op, "could not forbid core files");
    }
    return ERR_OK;
}

enum err proc_forbid_new_rights(struct op *op)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) {
        return op_fail_errno(op, "could not give up new rights");
    }
    return ERR_OK;
}

enum err proc_die_with_parent(struct op *op, pid_t parent)
{
    if (die_with(parent)) {
        return ERR_OK;
    }
    if (errno == ESRCH) {
        return op_fail(op, ERR_STATE, "the parent process is gone");
    }
    return op_fail_errno(op, "could not tie our life to the parent's");
}

dur_t proc_backoff_next(struct proc_backoff *b, dur_t lived)
{
    if (dur_ms(lived) >= PROC_STEADY_MS) {
        b->failures = 0;
    }
    b->failures++;
    int64_t wait_ms = 0;
    for (unsigned i = 1; i < b->failures && wait_ms < PROC_BACKOFF_MAX_MS; i++) {
        wait_ms = wait_ms == 0 ? PROC_BACKOFF_MIN_MS : wait_ms * 2;
    }
    return DUR_MS(wait_ms > PROC_BACKOFF_MAX_MS ? PROC_BACKOFF_MAX_MS : wait_ms);
}
