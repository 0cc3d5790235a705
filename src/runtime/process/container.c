#include "runtime/process/internal.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "base/log.h"
#include "proc/spawn.h"
#include "runtime/process/procfs.h"
#include "runtime/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#define LOOK_AGAIN      DUR_MS(20)
#define PROBE_GRACE     DUR_S(2) /* beyond the probe's own limit */
#define KILL_LIMIT      DUR_S(5)
#define BATCH_BYTES_MAX (1u << 20)
#define OUT_OF_MEMORY   "OutOfMemoryError: Container killed due to memory usage"
#define UNSEEN_END      "The process that watched over the container was killed with it"

static void look(struct process_container *pc);

/* Each container of a task has its own, and always the same: ten digits of its name's FNV-1a. */
static struct str runtime_id_of(const struct runtime_container *c, struct arena *a)
{
    struct str name = runtime_container_spec_of(c)->name;
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < name.len; i++) {
        hash = (hash ^ (uint8_t)name.ptr[i]) * 1099511628211u;
    }
    return arena_printf(a, "%.*s-%010llu", STR_ARG(c->task->spec->id),
                        (unsigned long long)(hash % 10000000000u));
}

static void tell_started(struct process_container *pc)
{
    struct arena a;
    arena_init(&a);
    runtime_container_started(&pc->c, runtime_id_of(&pc->c, &a));
    arena_fini(&a);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void report_end(struct process_container *pc)
{
    struct runtime_container *c = &pc->c;
    if (c->is_log_open) {
        runtime_container_log_ended(c);
        return;
    }
    if (!pc->end.has_started) {
        runtime_container_failed(c, arena_printf(&c->task->arena, "CannotStartContainerError: %.*s",
                                                 STR_ARG(pc->end.reason)));
        return;
    }
    if (c->phase == RUNTIME_PHASE_STARTING) {
        tell_started(pc); /* it was so short that only its end was seen */
    }
    struct str reason = pc->end.is_out_of_memory ? STR(OUT_OF_MEMORY)
                        : pc->end.reason.len > 0 ? pc->end.reason
                                                 : STR_NONE;
    wall_t at = pc->end.ended_at.us == 0 ? clock_wall() : pc->end.ended_at;
    runtime_container_exited(c, pc->end.code, reason, pc->end.is_out_of_memory, at);
}

/* ---- output ---------------------------------------------------------------------------------- */

struct batch {
    struct arena arena;
    struct runtime_line lines[RUNTIME_LINES_PER_EVENT_MAX];
    size_t count;
    size_t bytes;
};

static struct runtime_line *push_line(struct batch *b, wall_t at, struct str text,
                                      uint64_t position)
{
    struct runtime_line *line = &b->lines[b->count++];
    *line = (struct runtime_line){.at = at, .text = text, .position = position};
    b->bytes += text.len;
    return line;
}

static void take_record(struct batch *b, const struct journal_record *r)
{
    if (r->missed_bytes > 0) {
        push_line(b, r->at,
                  arena_printf(&b->arena, "[hitless] %llu bytes of output went unread and are lost",
                               (unsigned long long)r->missed_bytes),
                  r->end - 1)
            ->is_stderr = true;
    }
    push_line(b, r->at, arena_str(&b->arena, r->line), r->end)->is_stderr =
        r->stream == JOURNAL_STDERR;
}

/* Up to one event's worth. ERR_AGAIN: that was all there is. */
static enum err fill(struct process_container *pc, struct batch *b)
{
    while (b->count + 2 <= RUNTIME_LINES_PER_EVENT_MAX && b->bytes < BATCH_BYTES_MAX) {
        struct journal_record r;
        enum err e = runtime_journal_next(&pc->log, pc->folder_fd, &r);
        if (e == ERR_PROTOCOL) {
            log_warn("runtime", "a container's output was damaged; part of it is skipped");
            continue;
        }
        if (e != ERR_OK) {
            return e;
        }
        take_record(b, &r);
    }
    return ERR_OK;
}

static void on_read_log(struct ev_defer *d)
{
    struct process_container *pc = CONTAINER_OF(d, struct process_container, read_log);
    if (!pc->is_reading_log) {
        runtime_journal_reader_init(&pc->log, pc->c.note.log_position);
        pc->is_reading_log = true;
    }
    struct batch *b = MEM_NEW(struct batch);
    arena_init(&b->arena);
    enum err e = runtime_container_spec_of(&pc->c)->wants_log ? fill(pc, b) : ERR_AGAIN;
    runtime_container_lines(&pc->c, b->lines, b->count);
    arena_fini(&b->arena);
    mem_free(b);
    if (e == ERR_OK) {
        ev_defer(pc->c.task->rt->loop, &pc->read_log, on_read_log);
    } else if (pc->is_ending) {
        report_end(pc);
    } else if (ev_fd_is_open(&pc->link)) {
        (void)runtime_shim_send(pc->link.fd, SHIM_LOG_READ, (int64_t)pc->log.position, 0);
    }
}

static void read_log(struct process_container *pc)
{
    ev_defer(pc->c.task->rt->loop, &pc->read_log, on_read_log);
}

/* ---- a shim that is gone --------------------------------------------------------------------- */

static void stop_watching(struct process_container *pc)
{
    ev_fd_close(&pc->link);
    ev_timer_stop(&pc->look);
    ev_timer_stop(&pc->probe_limit);
    ev_timer_stop(&pc->kill_limit);
}

static void begin_ending(struct process_container *pc, const struct keep_end *end)
{
    stop_watching(pc);
    pc->end = *end;
    pc->end.reason = arena_str(&pc->c.task->arena, end->reason);
    pc->is_ending = true;
    read_log(pc);
}

/* It was killed and could not clean up below itself. True while there was something left. */
static bool sweep(struct process_container *pc, struct arena *a)
{
    const struct runtime_task *t = pc->c.task;
    size_t count = runtime_cgroup_kill_container(&process_of(t)->cgroups, t->spec->id, pc->c.index);
    struct str id = arena_printf(a, "HITLESS_TASK_ID=%.*s", STR_ARG(t->spec->id));
    struct str name =
        arena_printf(a, "HITLESS_CONTAINER=%.*s", STR_ARG(runtime_container_spec_of(&pc->c)->name));
    return count + runtime_procfs_kill_marked(id, name) > 0;
}

static void on_look(struct ev_timer *timer)
{
    look(CONTAINER_OF(timer, struct process_container, look));
}

static void look_again(struct process_container *pc)
{
    ev_timer_set(pc->c.task->rt->loop, &pc->look, LOOK_AGAIN, on_look);
}

static void shim_is_gone(struct process_container *pc)
{
    auto_op struct op op;
    op_init(&op);
    struct keep_end end = {0};
    struct keep_pid pid;
    if (runtime_keep_read_end(&op, pc->folder_fd, &end) == ERR_OK) {
        begin_ending(pc, &end);
        return;
    }
    if (sweep(pc, &op.arena)) {
        look_again(pc);
        return;
    }
    bool has_started = runtime_keep_read_pid(&op, pc->folder_fd, &pid) == ERR_OK;
    end = (struct keep_end){.has_started = has_started,
                            .code = RUNTIME_EXIT_CODE_NONE,
                            .ended_at = clock_wall(),
                            .reason = STR(UNSEEN_END)};
    begin_ending(pc, &end);
}

/* ---- the link -------------------------------------------------------------------------------- */

/* The shim says that the command runs; signal_count orders have reached it so far. */
static void on_running(struct process_container *pc, int64_t signal_count)
{
    struct runtime_container *c = &pc->c;
    if (c->phase == RUNTIME_PHASE_STARTING || c->phase == RUNTIME_PHASE_FAILED) {
        tell_started(pc);
    }
    if (c->is_killed) {
        process_container_send_kill(c);
    } else if (c->note.stop_sent_at.us != 0 && signal_count == 0) {
        process_container_send_stop(c); /* it was decided, then we crashed */
    }
    int64_t position =
        pc->is_reading_log ? (int64_t)pc->log.position : (int64_t)c->note.log_position;
    (void)runtime_shim_send(pc->link.fd, SHIM_LOG_READ, position, 0);
}

static void on_message(struct process_container *pc, const struct shim_message *m)
{
    switch (m->kind) {
    case SHIM_STARTED:
        on_running(pc, m->b);
        return;
    case SHIM_PROBED:
        if (m->a == pc->probe_id) {
            ev_timer_stop(&pc->probe_limit);
            runtime_container_probed(&pc->c, m->b != 0);
        }
        return;
    case SHIM_LOGGED:
        read_log(pc);
        return;
    case SHIM_ENDED:
        shim_is_gone(pc);
        return;
    default: /* of a later version */
        return;
    }
}

static void on_link(struct ev_fd *w, unsigned ready)
{
    (void)ready;
    struct process_container *pc = CONTAINER_OF(w, struct process_container, link);
    struct shim_message m;
    enum err e = runtime_shim_receive(w->fd, &m);
    if (e == ERR_OK) {
        on_message(pc, &m);
    } else if (e != ERR_AGAIN) {
        ev_fd_close(w);
        look(pc);
    }
}

static bool open_link(struct process_container *pc, int fd)
{
    return ev_fd_open(pc->c.task->rt->loop, &pc->link, fd, EV_READ, on_link) == ERR_OK;
}

/* False: nobody listens (yet). */
static bool dial(struct process_container *pc)
{
    struct arena a;
    arena_init(&a);
    struct str path =
        arena_printf(&a, "%s/%zu.ctl", process_run_folder(pc->c.task, &a), pc->c.index);
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    bool fits = str_to_c(path, addr.sun_path, sizeof(addr.sun_path));
    arena_fini(&a);
    auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (!fits || fd == -1 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == -1) {
        return false;
    }
    struct ucred peer = {0};
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0) {
        pc->shim_pid = peer.pid;
    }
    if (!open_link(pc, fd)) {
        return false;
    }
    (void)steal_fd(&fd);
    return true;
}

static void look(struct process_container *pc)
{
    if (pc->is_ending || runtime_container_is_over(&pc->c) || ev_fd_is_open(&pc->link)) {
        return;
    }
    if (!runtime_keep_is_locked(pc->folder_fd)) {
        shim_is_gone(pc);
    } else if (!dial(pc)) {
        look_again(pc);
    }
}

static void on_shim_exit(struct ev_child *child, const struct ev_exit *how)
{
    (void)how; /* the end file tells more */
    struct process_container *pc = CONTAINER_OF(child, struct process_container, shim);
    if (!ev_fd_is_open(&pc->link)) {
        look(pc);
    }
}

/* ---- birth ----------------------------------------------------------------------------------- */

void process_container_pull(struct runtime_container *c)
{
    auto_op struct op op;
    op_init(&op);
    struct str folder = STR_NONE;
    if (process_image_folder(&op, runtime_container_spec_of(c)->image, &folder) != ERR_OK) {
        runtime_container_failed(
            c, arena_printf(&op.arena, "CannotPullContainerError: %s", op.note.text));
        return;
    }
    runtime_container_pulled(c, STR_NONE);
}

/* A file in memory that only the shim gets to see. */
static enum err make_launch_file(struct op *op, const struct shim_launch *launch, int *ret_fd)
{
    auto_fd int fd = memfd_create("hitless-launch", MFD_CLOEXEC);
    struct buf block;
    buf_init(&block, SHIM_LAUNCH_BYTES_MAX);
    runtime_launch_encode(&block, launch);
    bool is_whole =
        !block.is_overflown && fd != -1 && write(fd, block.ptr, block.len) == (ssize_t)block.len;
    if (block.ptr != NULL) {
        explicit_bzero(block.ptr, block.capacity_bytes);
    }
    buf_fini(&block);
    if (!is_whole) {
        return op_fail_errno(op, "could not write the launch block");
    }
    *ret_fd = steal_fd(&fd);
    return ERR_OK;
}

static enum err spawn_shim(struct op *op, struct process_container *pc, int link_fd, int launch_fd,
                           int lock_fd)
{
    struct arena *a = &op->arena;
    auto_fd int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd == -1) {
        return op_fail_errno(op, "could not open /dev/null");
    }
    /* The names are for people who look at `ps`. */
    const char *argv[] = {"hitless", "task-shim", arena_c_str(a, pc->c.task->spec->id),
                          arena_c_str(a, runtime_container_spec_of(&pc->c)->name), NULL};
    const char *env[] = {NULL};
    struct proc_inherit inherit[] = {
        {null_fd, 0},
        {null_fd, 1},
        {null_fd, 2},
        {link_fd, SHIM_LINK_FD},
        {launch_fd, SHIM_LAUNCH_FD},
        {lock_fd, SHIM_LOCK_FD},
    };
    struct proc_spawn what = {
        .path = process_of(pc->c.task)->shim_path,
        .argv = argv,
        .env = env,
        .folder = "/",
        .inherit = inherit,
        .inherit_count = ARRAY_COUNT(inherit),
    };
    TRY(proc_spawn(op, &what, &pc->shim_pid));
    return ev_child_open(op, pc->c.task->rt->loop, &pc->shim, pc->shim_pid, on_shim_exit);
}

static enum err start(struct op *op, struct process_container *pc)
{
    struct shim_launch launch;
    auto_fd int lock_fd = -1;
    auto_fd int launch_fd = -1;
    TRY(process_make_launch(op, &pc->c, &launch));
    TRY(make_launch_file(op, &launch, &launch_fd));
    TRY(runtime_keep_lock(op, pc->folder_fd, &lock_fd));
    FAULT_POINT("process.locked");
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == -1) {
        return op_fail_errno(op, "could not make a pair of sockets");
    }
    auto_fd int ours = ends[0];
    auto_fd int theirs = ends[1];
    TRY(spawn_shim(op, pc, theirs, launch_fd, lock_fd));
    FAULT_POINT("process.spawned");
    if (open_link(pc, ours)) {
        (void)steal_fd(&ours);
    } else {
        look_again(pc); /* out of descriptors for the moment */
    }
    return ERR_OK;
}

void process_container_start(struct runtime_container *c)
{
    struct process_container *pc = process_container_of(c);
    auto_op struct op op;
    op_init(&op);
    enum err e = start(&op, pc);
    if (e == ERR_AGAIN) {
        look_again(pc); /* a shim from before a crash is about to say that it runs */
    } else if (e != ERR_OK) {
        runtime_container_failed(
            c, arena_printf(&op.arena, "CannotStartContainerError: %s", op.note.text));
    }
}

/* ---- orders ---------------------------------------------------------------------------------- */

void process_container_send_stop(struct runtime_container *c)
{
    struct process_container *pc = process_container_of(c);
    struct str text = runtime_container_spec_of(c)->stop_signal;
    int number = str_is_set(text) ? runtime_signal_number(text) : SIGTERM;
    if (ev_fd_is_open(&pc->link)) {
        (void)runtime_shim_send(pc->link.fd, SHIM_SIGNAL, number, 0);
    } /* else SHIM_STARTED of the next link tells that the signal is still owed */
}

static void on_kill_limit(struct ev_timer *timer)
{
    struct process_container *pc = CONTAINER_OF(timer, struct process_container, kill_limit);
    if (!ev_fd_is_open(&pc->link) || pc->shim_pid == 0) {
        return;
    }
    /* It does not obey (stopped by somebody?). As long as its link is open the number is its own.
     * The kernel then kills the command, and what is below that is swept. */
    log_warn("runtime", "the shim of a container does not obey and is killed");
    (void)kill(pc->shim_pid, SIGKILL);
}

void process_container_send_kill(struct runtime_container *c)
{
    struct process_container *pc = process_container_of(c);
    if (ev_fd_is_open(&pc->link)) {
        (void)runtime_shim_send(pc->link.fd, SHIM_KILL, 0, 0);
    }
    ev_timer_set(c->task->rt->loop, &pc->kill_limit, KILL_LIMIT, on_kill_limit);
}

static void on_probe_limit(struct ev_timer *timer)
{
    struct process_container *pc = CONTAINER_OF(timer, struct process_container, probe_limit);
    runtime_container_probed(&pc->c, false);
}

void process_container_probe(struct runtime_container *c)
{
    struct process_container *pc = process_container_of(c);
    dur_t limit = runtime_health_timeout(&runtime_container_spec_of(c)->health_check);
    pc->probe_id++;
    if (ev_fd_is_open(&pc->link)) {
        (void)runtime_shim_send(pc->link.fd, SHIM_PROBE, pc->probe_id, limit.us);
    }
    ev_timer_set(c->task->rt->loop, &pc->probe_limit, DUR_US(limit.us + PROBE_GRACE.us),
                 on_probe_limit);
}

void process_container_remember(struct runtime_container *c)
{
    const struct process_container *pc = process_container_of(c);
    if (pc->folder_fd != -1) {
        runtime_note_write(pc->folder_fd, &c->note);
    }
}

/* ---- after a restart ------------------------------------------------------------------------- */

static void adopt_end(struct process_container *pc, const struct keep_end *end)
{
    struct runtime_container *c = &pc->c;
    struct arena *a = &c->task->arena;
    c->exit_code = end->code;
    c->started_at = end->started_at;
    c->exited_at = end->ended_at;
    c->is_out_of_memory = end->is_out_of_memory;
    if (!end->has_started) {
        c->phase = RUNTIME_PHASE_FAILED;
        c->reason = arena_printf(a, "CannotStartContainerError: %.*s", STR_ARG(end->reason));
        return;
    }
    c->phase = RUNTIME_PHASE_EXITED;
    c->reason = end->is_out_of_memory ? STR(OUT_OF_MEMORY) : STR_NONE;
    c->is_log_open = runtime_container_spec_of(c)->wants_log;
}

void process_container_adopt(struct runtime_container *c, struct op *op)
{
    struct process_container *pc = process_container_of(c);
    pc->folder_fd = -1;
    const char *task_folder = process_task_folder(c->task, &op->arena);
    const char *folder = arena_printf(&op->arena, "%s/%zu", task_folder, c->index).ptr;
    if (runtime_kept_open(op, folder, true, &pc->folder_fd) != ERR_OK) {
        log_warn("runtime", "%s", op->note.text);
        op_note_clear(op);
        return;
    }
    runtime_note_read(pc->folder_fd, &c->note);
    struct keep_end end;
    struct keep_pid pid;
    bool has_pid = runtime_keep_read_pid(op, pc->folder_fd, &pid) == ERR_OK;
    bool is_locked = runtime_keep_is_locked(pc->folder_fd);
    if (runtime_keep_read_end(op, pc->folder_fd, &end) == ERR_OK) {
        adopt_end(pc, &end);
    } else if (has_pid) {
        /* If its shim is gone, the first look after on_ready finds that out. */
        c->phase = RUNTIME_PHASE_RUNNING;
        c->started_at = pid.started_at;
    } else if (is_locked) {
        c->phase = RUNTIME_PHASE_STARTING;
    }
    op_note_clear(op);
    if (c->phase >= RUNTIME_PHASE_RUNNING) {
        (void)str_to_c(runtime_id_of(c, &op->arena), c->runtime_id, sizeof(c->runtime_id));
    }
}

void process_container_resume(struct runtime_container *c)
{
    struct process_container *pc = process_container_of(c);
    if (c->is_log_open) {
        pc->is_ending = true;
        read_log(pc);
    } else if (c->phase == RUNTIME_PHASE_RUNNING || c->phase == RUNTIME_PHASE_STARTING) {
        ev_timer_set(c->task->rt->loop, &pc->look, DUR_US(0), on_look);
    }
}

void process_container_release(struct runtime_container *c)
{
    struct process_container *pc = process_container_of(c);
    stop_watching(pc);
    ev_child_close(&pc->shim);
    ev_defer_cancel(&pc->read_log);
    if (pc->is_reading_log) {
        runtime_journal_reader_fini(&pc->log);
    }
    cleanup_fd(&pc->folder_fd);
    pc->folder_fd = -1;
}
