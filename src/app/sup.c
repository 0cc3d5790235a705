#include "app/sup.h"

#include "app/sockets.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "net/socket.h"
#include "proc/spawn.h"
#include "stats/lbstats.h"

#include <stdio.h>
#include <sys/wait.h>

enum which { CONTROL, LB };
#define ROLE_COUNT ((size_t)2)

static const char *const role_names[ROLE_COUNT] = {[CONTROL] = ROLE_CONTROL, [LB] = ROLE_LB};

struct sup_role {
    struct sup *sup;
    enum which which;
    uint32_t generation; /* 0: not started yet */
    bool is_running;
    bool is_ready;
    mono_t started_at;
    struct ev_child child;
    struct proc_channel channel;
    struct ev_timer timer; /* to start it again, or to kill what has no channel any more */
    struct proc_backoff backoff;
};

enum stage { STAGE_RUN, STAGE_STOP_LB, STAGE_STOP_CONTROL, STAGE_OVER };

struct sup {
    struct op op;
    struct ev_loop loop;
    const struct sup_options *o;
    struct ev_signal signals;
    struct ev_timer stop_timer;
    struct sup_role roles[ROLE_COUNT];
    struct sockets sockets;
    int counters_fd;
    struct lbstats *counters;
    enum stage stage;
    bool has_said_ready;
    int exit_code;
};

static const char *name_of(const struct sup_role *r)
{
    return role_names[r->which];
}

static void kill_role(struct sup_role *r, const char *why)
{
    if (r->is_running) {
        log_warn("sup", "%s generation %u is killed: %s", name_of(r), r->generation, why);
        (void)ev_child_kill(&r->child, SIGKILL);
    }
}

/* Everything the op holds is of one event. */
static struct op *fresh_op(struct sup *s)
{
    arena_reset(&s->op.arena);
    op_note_clear(&s->op);
    return &s->op;
}

/* ---- the channel between the roles ---- */

static void send_peer(struct sup *s, struct sup_role *to, const struct sup_role *other, int fd)
{
    struct proc_message m = {.type = PROC_PEER,
                             .version = 1,
                             .payload = proc_u32_encode(&s->op.arena, other->generation),
                             .fds = &fd,
                             .fd_count = 1};
    if (proc_channel_send(&to->channel, &m) != ERR_OK) {
        kill_role(to, "it does not take its messages");
    }
}

static void introduce(struct sup *s)
{
    struct sup_role *control = &s->roles[CONTROL];
    struct sup_role *lb = &s->roles[LB];
    if (!control->is_running || !lb->is_running) {
        return;
    }
    int pair[2];
    if (net_pair(&s->op, SOCK_STREAM, pair) != ERR_OK) {
        log_error("sup", "%s", s->op.note.text);
        kill_role(lb, "it cannot be connected"); /* its restart tries again */
        return;
    }
    send_peer(s, control, lb, pair[0]);
    send_peer(s, lb, control, pair[1]);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

/* ---- what roles ask for ---- */

static enum err answer_listen(struct sup *s, struct sup_role *r,
                              const struct proc_listen_request *request)
{
    struct op *op = &s->op;
    struct sockets_given given = {.addr = request->addr};
    enum err result = sockets_get(op, &s->sockets, &request->addr, request->socket_count, r->which,
                                  r->generation, &given);
    struct proc_listen_answer answer = {.id = request->id,
                                        .result = result,
                                        .addr = given.addr,
                                        .text = str_of(result == ERR_OK ? "" : op->note.text)};
    struct proc_message m = {.type = PROC_LISTENING,
                             .version = 1,
                             .payload = proc_listen_answer_encode(&op->arena, &answer),
                             .fds = given.fds,
                             .fd_count = given.count};
    return proc_channel_send(&r->channel, &m);
}

static void say_ready(struct sup *s)
{
    if (s->has_said_ready || !s->roles[CONTROL].is_ready || !s->roles[LB].is_ready) {
        return;
    }
    s->has_said_ready = true;
    if (s->o->ready_line != NULL) {
        (void)printf("%s\n", s->o->ready_line);
        (void)fflush(stdout);
    }
}

static void on_role_ready(struct sup *s, struct sup_role *r)
{
    log_info("sup", "%s generation %u is ready", name_of(r), r->generation);
    r->is_ready = true;
    sockets_give_up_older(&s->sockets, r->which, r->generation);
    say_ready(s);
}

/* lb faces the world: what it could be made to ask touches no file. */
static bool may_listen(const struct sup_role *r, const struct net_addr *addr)
{
    return r->which == CONTROL || !net_addr_is_unix(addr);
}

static void on_message(struct proc_channel *ch, struct proc_message *m)
{
    struct sup_role *r = CONTAINER_OF(ch, struct sup_role, channel);
    struct sup *s = r->sup;
    (void)fresh_op(s);
    struct proc_listen_request request;
    struct net_addr addr;
    if (m->type == PROC_LISTEN && proc_listen_request_decode(m->payload, &request) &&
        may_listen(r, &request.addr)) {
        if (answer_listen(s, r, &request) != ERR_OK) {
            kill_role(r, "it does not take its answers");
        }
    } else if (m->type == PROC_UNLISTEN && net_addr_parse(m->payload, &addr) &&
               may_listen(r, &addr)) {
        sockets_give_up(&s->sockets, &addr);
    } else if (m->type == PROC_READY) {
        on_role_ready(s, r);
    } else {
        kill_role(r, "it sent a message that makes no sense");
    }
}

static void on_mute(struct ev_timer *t)
{
    kill_role(CONTAINER_OF(t, struct sup_role, timer), "it closed its channel and lives on");
}

static void on_channel_closed(struct proc_channel *ch, enum err why)
{
    struct sup_role *r = CONTAINER_OF(ch, struct sup_role, channel);
    if (why == ERR_PROTOCOL) {
        kill_role(r, "it broke the protocol");
    } else if (r->is_running && r->sup->stage == STAGE_RUN) {
        /* usually it is just ending */
        ev_timer_set(&r->sup->loop, &r->timer, DUR_MS(SUP_MUTE_MS), on_mute);
    }
}

/* ---- starting ---- */

static const char *const *env_of(struct op *op, const struct sup_role *r)
{
    static const char *const faults[] = {"HITLESS_FAULT_AT"};
    bool may_fail = r->which == CONTROL && r->generation == 1;
    return may_fail ? NULL : proc_env_without(op, faults, ARRAY_COUNT(faults));
}

static const char *const *argv_of(struct op *op, const struct sup *s, const struct sup_role *r)
{
    size_t word_count = (size_t)s->o->word_count;
    const char **argv = ARENA_ARRAY(&op->arena, const char *, word_count + 5);
    argv[0] = "hitless";
    argv[1] = PROC_ROLE_MARK;
    argv[2] = name_of(r);
    argv[3] = arena_printf(&op->arena, "%u", r->generation).ptr;
    for (size_t i = 0; i < word_count; i++) {
        argv[4 + i] = s->o->words[i];
    }
    return argv;
}

static void on_exit_of(struct ev_child *c, const struct ev_exit *how);

static enum err spawn(struct op *op, struct sup_role *r)
{
    struct sup *s = r->sup;
    int pair[2];
    TRY(net_pair(op, SOCK_STREAM, pair));
    auto_fd int ours = pair[0];
    auto_fd int theirs = pair[1];
    struct proc_inherit inherit[] = {{.fd = theirs, .as = PROC_ROLE_CHANNEL_FD},
                                     {.fd = s->counters_fd, .as = PROC_ROLE_COUNTERS_FD}};
    struct proc_spawn what = {
        .path = s->o->program == NULL ? PROC_SELF : s->o->program,
        .argv = argv_of(op, s, r),
        .env = env_of(op, r),
        .inherit = inherit,
        .inherit_count = ARRAY_COUNT(inherit),
        .dies_with_us = true,
        .is_group_leader = true, /* an interrupt from the terminal is for us alone */
    };
    pid_t pid = -1;
    TRY(proc_spawn(op, &what, &pid));
    if (ev_child_open(op, &s->loop, &r->child, pid, on_exit_of) != ERR_OK ||
        proc_channel_open(&s->loop, &r->channel, steal_fd(&ours), on_message, on_channel_closed) !=
            ERR_OK) {
        ev_child_close(&r->child);
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return op_fail(op, ERR_NO_SPACE, "there is no room to watch %s", name_of(r));
    }
    return ERR_OK;
}

static void start_later(struct sup_role *r, dur_t lived);

static bool start_role(struct sup_role *r)
{
    struct sup *s = r->sup;
    struct op *op = fresh_op(s);
    r->generation++;
    r->is_ready = false;
    r->started_at = clock_mono();
    if (spawn(op, r) != ERR_OK) {
        log_error("sup", "could not start %s: %s", name_of(r), op->note.text);
        return false;
    }
    r->is_running = true;
    log_info("sup", "%s generation %u runs as process %d", name_of(r), r->generation,
             (int)r->child.pid);
    introduce(s);
    return true;
}

static void on_start_due(struct ev_timer *t)
{
    struct sup_role *r = CONTAINER_OF(t, struct sup_role, timer);
    if (!start_role(r)) {
        start_later(r, DUR_MS(0));
    }
}

static void start_later(struct sup_role *r, dur_t lived)
{
    dur_t wait = proc_backoff_next(&r->backoff, lived);
    ev_timer_set(&r->sup->loop, &r->timer, wait, on_start_due);
}

/* ---- stopping ---- */

static void stop_role(struct sup *s, struct sup_role *r, dur_t limit);

/* A role has ended, or there was none to wait for. */
static void next_stage(struct sup *s)
{
    if (s->stage == STAGE_STOP_LB && !s->roles[LB].is_running) {
        s->stage = STAGE_STOP_CONTROL;
        ev_timer_stop(&s->stop_timer);
        stop_role(s, &s->roles[CONTROL], s->o->control_stop_limit);
    }
    if (s->stage == STAGE_STOP_CONTROL && !s->roles[CONTROL].is_running) {
        s->stage = STAGE_OVER;
        ev_timer_stop(&s->stop_timer);
        ev_loop_stop(&s->loop);
    }
}

static void on_stop_limit(struct ev_timer *t)
{
    struct sup *s = CONTAINER_OF(t, struct sup, stop_timer);
    kill_role(&s->roles[s->stage == STAGE_STOP_CONTROL ? CONTROL : LB],
              "it has not stopped within its limit");
}

static void stop_role(struct sup *s, struct sup_role *r, dur_t limit)
{
    if (!r->is_running) {
        return;
    }
    struct op *op = fresh_op(s);
    struct str payload = proc_u32_encode(&op->arena, (uint32_t)dur_ms(limit));
    if (proc_channel_send_payload(&r->channel, PROC_STOP, payload) != ERR_OK) {
        kill_role(r, "it cannot be told to stop");
    }
    ev_timer_set(&s->loop, &s->stop_timer, (dur_t){.us = limit.us + DUR_MS(SUP_STOP_GRACE_MS).us},
                 on_stop_limit);
}

/* The data plane first: what is under way ends while its tasks still run. */
static void stop(struct sup *s)
{
    s->stage = STAGE_STOP_LB;
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        ev_timer_stop(&s->roles[i].timer);
    }
    stop_role(s, &s->roles[LB], s->o->lb_stop_limit);
    next_stage(s);
}

static void on_signal(struct ev_signal *signals, int signal_number)
{
    struct sup *s = CONTAINER_OF(signals, struct sup, signals);
    log_info("sup", "signal %d: %s", signal_number,
             s->stage == STAGE_RUN ? "stopping" : "stopping at once");
    if (s->stage == STAGE_RUN) {
        stop(s);
        return;
    }
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        kill_role(&s->roles[i], "told to stop twice");
    }
}

/* ---- ends of roles ---- */

static void log_exit(const struct sup_role *r, const struct ev_exit *how, dur_t lived)
{
    bool is_wanted = r->sup->stage != STAGE_RUN && how->code == 0;
    log_line(is_wanted ? LOG_INFO : LOG_WARN, "sup",
             "%s generation %u ended after %lld ms: code %d, signal %d%s", name_of(r),
             r->generation, (long long)dur_ms(lived), how->code, how->signal_number,
             how->has_dumped_core ? ", core dumped" : "");
}

static void on_exit_of(struct ev_child *c, const struct ev_exit *how)
{
    struct sup_role *r = CONTAINER_OF(c, struct sup_role, child);
    struct sup *s = r->sup;
    dur_t lived = mono_since(clock_mono(), r->started_at);
    log_exit(r, how, lived);
    r->is_running = false;
    ev_timer_stop(&r->timer);
    proc_channel_close(&r->channel);
    if (r->which == LB) {
        lbstats_generation_gone(s->counters, r->generation);
    }
    if (s->stage != STAGE_RUN) {
        next_stage(s);
    } else if (how->code == PROC_EXIT_HOPELESS) {
        log_error("sup", "%s says that it cannot work; the reason stands above", name_of(r));
        s->exit_code = 1;
        stop(s);
    } else {
        start_later(r, lived);
    }
}

/* ---- the whole ---- */

static enum err begin(struct sup *s)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct op *op = &s->op;
    TRY(ev_loop_open(op, &s->loop));
    TRY(ev_signal_open(op, &s->loop, &s->signals, signals, ARRAY_COUNT(signals), on_signal));
    TRY(lbstats_create(op, &s->counters_fd));
    TRY(lbstats_map(op, s->counters_fd, &s->counters));
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        s->roles[i].sup = s;
        s->roles[i].which = (enum which)i;
    }
    return ERR_OK;
}

static void end(struct sup *s)
{
    sockets_fini(&s->sockets);
    if (s->counters != NULL) {
        lbstats_unmap(s->counters);
    }
    if (s->counters_fd != -1) {
        (void)close(s->counters_fd);
    }
    ev_signal_close(&s->signals);
    if (s->loop.epoll_fd != -1) {
        ev_loop_close(&s->loop);
    }
    op_fini(&s->op);
}

static dur_t or_default(dur_t d, int64_t ms)
{
    return d.us == 0 ? DUR_MS(ms) : d;
}

int sup_run(const struct sup_options *options)
{
    struct sup_options o = *options;
    o.control_stop_limit = or_default(o.control_stop_limit, SUP_CONTROL_STOP_MS_DEFAULT);
    o.lb_stop_limit = or_default(o.lb_stop_limit, SUP_LB_STOP_MS_DEFAULT);
    struct sup s = {.o = &o, .counters_fd = -1, .loop = {.epoll_fd = -1}};
    op_init(&s.op);
    sockets_init(&s.sockets);
    if (begin(&s) != ERR_OK) {
        log_error("sup", "could not begin: %s", s.op.note.text);
        end(&s);
        return 1;
    }
    if (start_role(&s.roles[LB]) && start_role(&s.roles[CONTROL])) {
        ev_loop_run(&s.loop);
    } else {
        s.exit_code = 1;
        stop(&s);
        while (s.stage != STAGE_OVER) {
            (void)ev_loop_turn(&s.loop, EV_FOREVER);
        }
    }
    end(&s);
    return s.exit_code;
}
