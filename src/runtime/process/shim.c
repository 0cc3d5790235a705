/* The parent of one container. It outlives control, so it holds nothing that control would need to
 * give it again: it starts the command, keeps its output, runs the health command when told, and
 * writes down how all ended. Everything below it dies with the command, as in a container. */

#include "base/check.h"
#include "base/cleanup.h"
#include "ev/loop.h"
#include "proc/spawn.h"
#include "runtime/kept.h"
#include "runtime/process/cgroup.h"
#include "runtime/process/journal.h"
#include "runtime/process/keep.h"
#include "runtime/process/launch.h"
#include "runtime/process/process.h"
#include "runtime/process/procfs.h"
#include "runtime/process/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define SWEEP_INTERVAL  DUR_MS(10)
#define DRAIN_LIMIT     DUR_S(1)   /* for output whose pipe somebody outside still holds */
#define LOG_AHEAD_BYTES (8u << 20) /* unread; beyond, the command waits in write() */
#define OWNER_INTERVAL  DUR_S(2)
#define READ_BYTES      65536

struct shim;

struct output {
    struct shim *shim;
    struct ev_fd w;
    struct journal_lines lines;
};

struct shim {
    struct op op;
    struct ev_loop loop;
    struct shim_launch spec;
    struct launch launch;
    int folder_fd;
    struct journal_writer journal;
    struct output outputs[2];
    struct ev_fd link;
    struct ev_fd listener;
    struct ev_signal signals;
    pid_t command; /* 0: not started, or reaped */
    int status;
    wall_t started_at;
    wall_t ended_at;
    bool is_over; /* the command has ended */
    struct ev_timer sweep;
    struct ev_timer owner;
    mono_t drain_until;
    pid_t probe; /* 0: none runs */
    int64_t probe_id;
    bool is_probe_told;
    struct ev_timer probe_limit;
    int64_t signal_count; /* orders to signal the command, carried out */
    uint64_t log_read;    /* as control says */
    bool is_log_told;
};

/* ---- telling control ------------------------------------------------------------------------- */

static void tell(const struct shim *s, enum shim_kind kind, int64_t a, int64_t b)
{
    if (ev_fd_is_open(&s->link)) {
        (void)runtime_shim_send(s->link.fd, kind, a, b); /* gone or stuck: it will look again */
    }
}

static void tell_log(struct shim *s)
{
    if (ev_fd_is_open(&s->link) && !s->is_log_told && s->journal.end > s->log_read) {
        s->is_log_told = true;
        tell(s, SHIM_LOGGED, (int64_t)s->journal.end, 0);
    }
}

/* ---- output ---------------------------------------------------------------------------------- */

static bool is_control_behind(const struct shim *s)
{
    return s->spec.is_log_followed && ev_fd_is_open(&s->link) &&
           s->journal.end - s->log_read > LOG_AHEAD_BYTES;
}

/* With control gone the journal drops its oldest instead of stopping the command. */
static void pause_or_go_on(struct shim *s)
{
    unsigned wanted = is_control_behind(s) ? 0 : EV_READ;
    for (size_t i = 0; i < ARRAY_COUNT(s->outputs); i++) {
        if (ev_fd_is_open(&s->outputs[i].w)) {
            ev_fd_want(&s->outputs[i].w, wanted);
        }
    }
}

static void on_output(struct ev_fd *w, unsigned ready)
{
    (void)ready;
    struct output *o = CONTAINER_OF(w, struct output, w);
    struct shim *s = o->shim;
    static char bytes[READ_BYTES];
    ssize_t got = read(w->fd, bytes, sizeof(bytes));
    if (got == -1 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        runtime_journal_lines_flush(&o->lines, &s->journal, clock_wall());
        ev_fd_close(w);
    } else {
        runtime_journal_lines_feed(&o->lines, &s->journal, clock_wall(),
                                   str_make(bytes, (size_t)got));
    }
    tell_log(s);
    pause_or_go_on(s);
}

/* ---- the end --------------------------------------------------------------------------------- */

static int32_t exit_code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void finish(struct shim *s)
{
    for (size_t i = 0; i < ARRAY_COUNT(s->outputs); i++) {
        runtime_journal_lines_flush(&s->outputs[i].lines, &s->journal, clock_wall());
    }
    struct keep_end end = {
        .has_started = true,
        .code = exit_code_of(s->status),
        .started_at = s->started_at,
        .ended_at = s->ended_at,
    };
    if (end.code == 128 + SIGKILL && s->spec.oom_file.len > 0) {
        const char *file = arena_c_str(&s->op.arena, s->spec.oom_file);
        end.is_out_of_memory = runtime_cgroup_oom_kills(file) > 0;
    }
    /* A full disk must not hide the end: without the file control says that nobody saw it. */
    err_ignore(runtime_keep_write_end(&s->op, s->folder_fd, &end));
    tell(s, SHIM_ENDED, 0, 0);
    ev_loop_stop(&s->loop);
}

static bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

static bool has_output(const struct shim *s)
{
    return ev_fd_is_open(&s->outputs[0].w) || ev_fd_is_open(&s->outputs[1].w);
}

static void on_sweep(struct ev_timer *timer)
{
    struct shim *s = CONTAINER_OF(timer, struct shim, sweep);
    bool is_anybody_left = has_children();
    if (is_anybody_left) {
        (void)runtime_procfs_kill_children();
        s->drain_until = mono_add(clock_mono(), DRAIN_LIMIT);
    }
    bool may_wait = clock_mono().us < s->drain_until.us;
    if (is_anybody_left || (has_output(s) && may_wait)) {
        ev_timer_set(&s->loop, &s->sweep, SWEEP_INTERVAL, on_sweep);
        return;
    }
    finish(s);
}

static void command_ended(struct shim *s, int status)
{
    s->command = 0;
    s->status = status;
    s->ended_at = clock_wall();
    s->is_over = true;
    s->drain_until = mono_add(clock_mono(), DRAIN_LIMIT);
    ev_timer_set(&s->loop, &s->sweep, DUR_US(0), on_sweep);
}

/* ---- probes ---------------------------------------------------------------------------------- */

static void tell_probe(struct shim *s, bool has_passed)
{
    if (!s->is_probe_told) {
        s->is_probe_told = true;
        ev_timer_stop(&s->probe_limit);
        tell(s, SHIM_PROBED, s->probe_id, has_passed);
    }
}

static void on_probe_limit(struct ev_timer *timer)
{
    struct shim *s = CONTAINER_OF(timer, struct shim, probe_limit);
    if (s->probe != 0) {
        (void)kill(-s->probe, SIGKILL);
    }
    tell_probe(s, false);
}

static void begin_probe(struct shim *s, int64_t id, dur_t limit)
{
    if (s->probe != 0 || s->is_over || s->spec.probe.count == 0) {
        tell(s, SHIM_PROBED, id, 0); /* the one before has not ended: that is no good sign */
        return;
    }
    s->probe_id = id;
    s->is_probe_told = false;
    int nowhere = s->launch.null_fd;
    enum err e =
        runtime_launch_start(&s->op, &s->launch, s->spec.probe, nowhere, nowhere, &s->probe);
    if (e != ERR_OK) {
        op_note_clear(&s->op);
        tell_probe(s, false);
        return;
    }
    ev_timer_set(&s->loop, &s->probe_limit, limit, on_probe_limit);
}

static void probe_ended(struct shim *s, int status)
{
    s->probe = 0;
    tell_probe(s, WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- children -------------------------------------------------------------------------------- */

static void reap(struct shim *s, pid_t pid)
{
    bool is_ours = pid == s->command || pid == s->probe;
    if (is_ours) {
        /* While it is a zombie its number is certainly its own: take the group with it. */
        (void)kill(-pid, SIGKILL);
    }
    int status = 0;
    if (waitpid(pid, &status, WNOHANG) != pid || !is_ours) {
        return;
    }
    if (pid == s->command) {
        command_ended(s, status);
    } else {
        probe_ended(s, status);
    }
}

static void on_signal(struct ev_signal *signals, int number)
{
    struct shim *s = CONTAINER_OF(signals, struct shim, signals);
    siginfo_t info = {0};
    while (number == SIGCHLD && waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0) {
        reap(s, info.si_pid);
        info.si_pid = 0;
    }
}

/* ---- orders ---------------------------------------------------------------------------------- */

static void kill_all(const struct shim *s)
{
    if (s->command != 0) {
        (void)kill(-s->command, SIGKILL);
        (void)kill(s->command, SIGKILL); /* had it left its group */
    }
}

/* Whose folder was removed is nobody's: no control will ever find it again, so it ends. */
static void on_owner(struct ev_timer *timer)
{
    struct shim *s = CONTAINER_OF(timer, struct shim, owner);
    struct stat st;
    if (fstat(s->folder_fd, &st) == 0 && st.st_nlink == 0) {
        kill_all(s);
    }
    ev_timer_set(&s->loop, &s->owner, OWNER_INTERVAL, on_owner);
}

static void obey(struct shim *s, const struct shim_message *m)
{
    switch (m->kind) {
    case SHIM_SIGNAL:
        if (s->command != 0 && m->a > 0 && m->a <= SIGRTMAX) {
            (void)kill(s->command, (int)m->a);
            s->signal_count++;
        }
        return;
    case SHIM_KILL:
        kill_all(s);
        return;
    case SHIM_PROBE:
        begin_probe(s, m->a, DUR_US(m->b < 0 ? 0 : m->b));
        return;
    case SHIM_LOG_READ:
        s->log_read = m->a < 0 ? 0 : (uint64_t)m->a;
        s->is_log_told = false;
        tell_log(s);
        pause_or_go_on(s);
        return;
    default: /* of a later version */
        return;
    }
}

static void on_link(struct ev_fd *w, unsigned ready)
{
    (void)ready;
    struct shim *s = CONTAINER_OF(w, struct shim, link);
    struct shim_message m;
    enum err e = runtime_shim_receive(w->fd, &m);
    if (e == ERR_OK) {
        obey(s, &m);
    } else if (e != ERR_AGAIN) {
        ev_fd_close(w);
        s->is_log_told = false;
        pause_or_go_on(s);
    }
}

static void take_link(struct shim *s, int fd)
{
    ev_fd_close(&s->link);
    s->is_log_told = false;
    s->log_read = s->journal.end; /* until control says how far it is */
    if (ev_fd_open(&s->loop, &s->link, fd, EV_READ, on_link) != ERR_OK) {
        (void)close(fd);
        return;
    }
    if (s->command != 0 || s->is_over) {
        tell(s, SHIM_STARTED, s->command, s->signal_count);
    }
}

static bool is_ours(int fd)
{
    struct ucred peer = {0};
    socklen_t len = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static void on_listener(struct ev_fd *w, unsigned ready)
{
    (void)ready;
    struct shim *s = CONTAINER_OF(w, struct shim, listener);
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd == -1) {
        return;
    }
    if (!is_ours(fd)) {
        (void)close(fd);
        return;
    }
    take_link(s, fd);
}

static enum err listen_for_control(struct shim *s)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (!str_to_c(s->spec.control_path, addr.sun_path, sizeof(addr.sun_path))) {
        return op_fail(&s->op, ERR_LIMIT, "the run folder's path is too long");
    }
    auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t before = umask(0177);
    (void)unlink(addr.sun_path);
    int bound = fd == -1 ? -1 : bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
    (void)umask(before);
    if (bound == -1 || listen(fd, 4) == -1) {
        return op_fail_errno(&s->op, "could not listen on \"%s\"", addr.sun_path);
    }
    TRY(ev_fd_open(&s->loop, &s->listener, fd, EV_READ, on_listener));
    (void)steal_fd(&fd);
    return ERR_OK;
}

/* ---- birth ----------------------------------------------------------------------------------- */

static enum err read_launch(struct shim *s)
{
    struct stat st;
    if (fstat(SHIM_LAUNCH_FD, &st) == -1 || st.st_size <= 0 || st.st_size > SHIM_LAUNCH_BYTES_MAX) {
        return op_fail(&s->op, ERR_PROTOCOL, "there is no launch block");
    }
    size_t bytes = (size_t)st.st_size;
    char *block = arena_alloc(&s->op.arena, bytes);
    if (pread(SHIM_LAUNCH_FD, block, bytes, 0) != (ssize_t)bytes) {
        return op_fail(&s->op, ERR_PROTOCOL, "the launch block is cut");
    }
    (void)close(SHIM_LAUNCH_FD);
    return runtime_launch_decode(&s->op, str_make(block, bytes), &s->spec);
}

static enum err open_output(struct shim *s, size_t index, int *ret_write_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) == -1) {
        return op_fail_errno(&s->op, "could not create a pipe");
    }
    /* Ours alone must not block: the flag belongs to this end's description. */
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    struct output *o = &s->outputs[index];
    o->shim = s;
    runtime_journal_lines_init(&o->lines, index == 0 ? JOURNAL_STDOUT : JOURNAL_STDERR);
    *ret_write_fd = ends[1];
    enum err e = ev_fd_open(&s->loop, &o->w, ends[0], EV_READ, on_output);
    if (e != ERR_OK) {
        (void)close(ends[0]);
    }
    return e;
}

static enum err start_command(struct shim *s)
{
    auto_fd int out = -1;
    auto_fd int err = -1;
    TRY(runtime_launch_prepare(&s->op, &s->spec, &s->launch));
    TRY(open_output(s, 0, &out));
    TRY(open_output(s, 1, &err));
    TRY(listen_for_control(s));
    TRY(runtime_launch_start(&s->op, &s->launch, s->spec.words, out, err, &s->command));
    s->started_at = clock_wall();
    struct keep_pid pid = {.pid = s->command, .started_at = s->started_at};
    err_ignore(runtime_keep_write_pid(&s->op, s->folder_fd, &pid)); /* a full disk is no reason */
    return ERR_OK;
}

static void become_a_parent(void)
{
    (void)setsid();
    (void)!chdir("/");
    (void)prctl(PR_SET_NAME, "hitless-shim");
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < ARRAY_COUNT(ignored); i++) {
        (void)sigaction(ignored[i], &ignore, NULL);
    }
    for (int fd = SHIM_LINK_FD; fd <= SHIM_LOCK_FD; fd++) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}

static enum err begin(struct shim *s)
{
    TRY(read_launch(s));
    const char *folder = arena_c_str(&s->op.arena, s->spec.container_folder);
    TRY(runtime_kept_open(&s->op, folder, false, &s->folder_fd));
    runtime_journal_writer_init(&s->journal, s->folder_fd);
    err_ignore(proc_hide_memory(&s->op)); /* else it is as readable as any process of this user */
    TRY(ev_loop_open(&s->op, &s->loop));
    const int signals[] = {SIGCHLD};
    TRY(ev_signal_open(&s->op, &s->loop, &s->signals, signals, 1, on_signal));
    TRY(start_command(s));
    (void)fcntl(SHIM_LINK_FD, F_SETFL, O_NONBLOCK);
    take_link(s, SHIM_LINK_FD);
    ev_timer_set(&s->loop, &s->owner, OWNER_INTERVAL, on_owner);
    return ERR_OK;
}

static int give_up(struct shim *s)
{
    if (s->folder_fd != -1) {
        struct keep_end end = {.code = RUNTIME_EXIT_CODE_NONE,
                               .ended_at = clock_wall(),
                               .reason = str_of(s->op.note.text)};
        err_ignore(runtime_keep_write_end(&s->op, s->folder_fd, &end)); /* nobody left to tell */
    }
    return 1; /* the link closes, and control reads the file */
}

int runtime_shim_main(void)
{
    static struct shim s = {.folder_fd = -1, .launch.null_fd = -1};
    op_init(&s.op);
    become_a_parent();
    if (begin(&s) != ERR_OK) {
        return give_up(&s);
    }
    ev_loop_run(&s.loop);
    return 0;
}
