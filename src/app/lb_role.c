/* The role lb: gives the data plane its snapshots and sockets, and control its reports. */
#include "app/plane.h"
#include "app/serve.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "gen/lbconf.h"
#include "lb/lb.h"
#include "proc/roles.h"
#include "stats/lbstats.h"

#define LISTENERS_PENDING_MAX PROC_LISTENERS_MAX

struct pending {
    char *listener_arn;
    size_t listener_arn_len;
    bool is_used;
};

struct lb_role {
    struct ev_loop loop;
    struct proc_channel sup;
    struct proc_channel control;
    struct lbstats *stats;
    struct lb *lb;
    struct lb_report report;
    struct pending pending[LISTENERS_PENDING_MAX]; /* asked of sup; the index is the request's id */
    bool is_ready;
};

/* ---- sockets, from sup ---- */

static enum err listen_on(void *self, struct op *op, struct str listener_arn,
                          const struct net_addr *addr, size_t count, int *ret_fds)
{
    struct lb_role *role = self;
    (void)ret_fds; /* it always comes later */
    uint32_t id = 0;
    while (id < LISTENERS_PENDING_MAX && role->pending[id].is_used) {
        id++;
    }
    if (id == LISTENERS_PENDING_MAX) {
        return op_fail(op, ERR_LIMIT, "more than %d listeners wait for their sockets",
                       LISTENERS_PENDING_MAX);
    }
    struct proc_listen_request request = {.id = id, .socket_count = (uint32_t)count, .addr = *addr};
    struct str payload = proc_listen_request_encode(&op->arena, &request);
    if (proc_channel_send_payload(&role->sup, PROC_LISTEN, payload) != ERR_OK) {
        return op_fail(op, ERR_CLOSED, "the supervisor does not answer");
    }
    role->pending[id] =
        (struct pending){.listener_arn = mem_dup(listener_arn.ptr, listener_arn.len),
                         .listener_arn_len = listener_arn.len,
                         .is_used = true};
    return ERR_AGAIN;
}

static void tell_listen_failed(void *self, struct str listener_arn, struct str sentence)
{
    struct lb_role *role = self;
    struct lbconf_listen_failed message = {.listener = listener_arn, .sentence = sentence};
    log_warn("lb", "listener %.*s: %.*s", STR_ARG(listener_arn), STR_ARG(sentence));
    plane_send(&role->control, PLANE_LISTEN_FAILED, &shape_lbconf_listen_failed, &message);
}

static void hear_listening(struct lb_role *role, struct proc_message *m)
{
    struct proc_listen_answer answer = {0};
    if (!proc_listen_answer_decode(m->payload, &answer) || answer.id >= LISTENERS_PENDING_MAX ||
        !role->pending[answer.id].is_used) {
        log_error("lb", "an answer about a listener that nobody asked for");
        return;
    }
    struct pending *p = &role->pending[answer.id];
    struct str arn = str_make(p->listener_arn, p->listener_arn_len);
    if (answer.result != ERR_OK || m->fd_count == 0) {
        tell_listen_failed(role, arn, answer.text);
    } else {
        int fds[PROC_FDS_MAX];
        for (size_t i = 0; i < m->fd_count; i++) {
            fds[i] = steal_fd(&m->fds[i]);
        }
        lb_listener_give(role->lb, arn, fds, m->fd_count);
    }
    mem_free(p->listener_arn);
    *p = (struct pending){0};
}

/* ---- what is told to control ---- */

static void tell_published(void *self, uint64_t version)
{
    struct lb_role *role = self;
    struct lbconf_published message = {.version = OPT_I64((int64_t)version)};
    plane_send(&role->control, PLANE_PUBLISHED, &shape_lbconf_published, &message);
}

static void tell_health(void *self, const struct lb_health_row *rows, size_t count)
{
    struct lb_role *role = self;
    auto_op struct op op;
    op_init(&op);
    struct lbconf_health message = {.targets = {.is_set = true}};
    for (size_t i = 0; i < count; i++) {
        *ARENA_PUSH(&op.arena, &message.targets) = (struct lbconf_health_row){
            .target_group = rows[i].group_arn,
            .host = rows[i].host,
            .port = OPT_I32(rows[i].port),
            .state = str_of(rows[i].state),
            .reason = rows[i].reason,
            .description = rows[i].description,
            .inflight = OPT_I64((int64_t)rows[i].inflight_count),
            .is_anomalous = OPT_BOOL(rows[i].is_anomalous),
            .is_mitigated = OPT_BOOL(rows[i].is_mitigated),
        };
    }
    plane_send(&role->control, PLANE_HEALTH, &shape_lbconf_health, &message);
}

static void tell_drained(void *self, struct str group_arn, struct str host, uint16_t port)
{
    struct lb_role *role = self;
    struct lbconf_drained message = {
        .target_group = group_arn, .host = host, .port = OPT_I32(port)};
    plane_send(&role->control, PLANE_DRAINED, &shape_lbconf_drained, &message);
}

/* Without control the user gets an answer at once. */
static void tell_sign_in(void *self, const struct lbconf_sign_in_question *message)
{
    struct lb_role *role = self;
    struct lbconf_sign_in_answer failed = {.id = message->id, .status = OPT_I32(500)};
    if (proc_channel_is_open(&role->control)) {
        plane_send(&role->control, PLANE_SIGN_IN, &shape_lbconf_sign_in_question, message);
    } else {
        lb_signed_in(role->lb, &failed);
    }
}

static void tell_unlistened(void *self, const struct net_addr *addr)
{
    struct lb_role *role = self;
    char text[NET_ADDR_TEXT_BYTES_MAX];
    size_t len = net_addr_format(addr, text);
    err_ignore(proc_channel_send_payload(&role->sup, PROC_UNLISTEN,
                                         str_make(text, len))); /* sup's end is seen by on_closed */
}

static void on_stopped(void *self)
{
    struct lb_role *role = self;
    ev_loop_stop(&role->loop);
}

/* ---- messages ---- */

/* OpenSSL has the private keys by now: neither the message nor what was read of it needs them. */
static void wipe_keys(const struct lbconf_snapshot *snapshot, const struct proc_message *m)
{
    for (size_t i = 0; i < snapshot->listeners.count; i++) {
        const struct lbconf_certificates *all = &snapshot->listeners.items[i].certificates;
        for (size_t j = 0; j < all->count; j++) {
            struct str key = all->items[j].key_pem;
            explicit_bzero(mem_owned(key.ptr), key.len);
        }
    }
    explicit_bzero(mem_owned(snapshot->sign_in_key_pem.ptr), snapshot->sign_in_key_pem.len);
    explicit_bzero(mem_owned(m->payload.ptr), m->payload.len);
}

static void hear_snapshot(struct lb_role *role, const struct proc_message *m)
{
    auto_op struct op op;
    op_init(&op);
    struct lbconf_snapshot snapshot;
    if (!plane_read(&op, m, &shape_lbconf_snapshot, &snapshot)) {
        return;
    }
    if (lb_publish(&op, role->lb, &snapshot) != ERR_OK) {
        struct lbconf_listen_failed message = {.listener = STR(""),
                                               .sentence = str_of(op.note.text)};
        log_error("lb", "configuration %lld was not taken: %s",
                  (long long)OPT_OR(snapshot.version, 0), op.note.text);
        plane_send(&role->control, PLANE_REFUSED, &shape_lbconf_listen_failed, &message);
    }
    wipe_keys(&snapshot, m);
    if (!role->is_ready) {
        role->is_ready = true;
        err_ignore(proc_channel_send_payload(&role->sup, PROC_READY,
                                             STR(""))); /* sup's end is seen by on_closed */
    }
}

static void hear_signed_in(struct lb_role *role, const struct proc_message *m)
{
    auto_op struct op op;
    op_init(&op);
    struct lbconf_sign_in_answer message;
    if (plane_read(&op, m, &shape_lbconf_sign_in_answer, &message)) {
        lb_signed_in(role->lb, &message);
    }
    explicit_bzero(mem_owned(m->payload.ptr), m->payload.len); /* tokens */
}

static void on_control_message(struct proc_channel *ch, struct proc_message *m)
{
    struct lb_role *role = CONTAINER_OF(ch, struct lb_role, control);
    if (m->type == PLANE_SNAPSHOT) {
        hear_snapshot(role, m);
    } else if (m->type == PLANE_SIGNED_IN) {
        hear_signed_in(role, m);
    }
}

static void on_control_closed(struct proc_channel *ch, enum err why)
{
    (void)ch;
    log_info("lb", "control is away (%s); traffic goes on", err_text(why));
}

static void hear_peer(struct lb_role *role, struct proc_message *m)
{
    if (m->fd_count != 1) {
        return;
    }
    proc_channel_close(&role->control);
    if (proc_channel_open(&role->loop, &role->control, steal_fd(&m->fds[0]), on_control_message,
                          on_control_closed) != ERR_OK) {
        log_error("lb", "the channel to control could not be opened");
        return;
    }
    lb_report_all(role->lb);
    err_ignore(proc_channel_send_payload(&role->control, PLANE_TOLD_ALL,
                                         STR(""))); /* on_closed sees its end */
}

static void on_sup_message(struct proc_channel *ch, struct proc_message *m)
{
    struct lb_role *role = CONTAINER_OF(ch, struct lb_role, sup);
    uint32_t limit_ms = 0;
    switch ((enum proc_sup_message)m->type) {
    case PROC_PEER:
        hear_peer(role, m);
        break;
    case PROC_LISTENING:
        hear_listening(role, m);
        break;
    case PROC_STOP:
        (void)proc_u32_decode(m->payload, &limit_ms);
        lb_stop(role->lb, DUR_MS(limit_ms * 4 / 5));
        break;
    case PROC_LISTEN:
    case PROC_UNLISTEN:
    case PROC_READY:
        break;
    }
}

static void on_sup_closed(struct proc_channel *ch, enum err why)
{
    struct lb_role *role = CONTAINER_OF(ch, struct lb_role, sup);
    log_error("lb", "the supervisor is gone (%s)", err_text(why));
    ev_loop_stop(&role->loop);
}

static enum err set_up(struct op *op, struct lb_role *role, const struct role_start *how)
{
    struct options options = {0};
    TRY(serve_begin_role(op, how, &options));
    TRY(ev_loop_open(op, &role->loop));
    TRY(lbstats_map(op, how->counters_fd, &role->stats));
    role->report = (struct lb_report){.self = role,
                                      .published = tell_published,
                                      .health = tell_health,
                                      .drained = tell_drained,
                                      .sign_in = tell_sign_in,
                                      .listen_failed = tell_listen_failed,
                                      .unlistened = tell_unlistened,
                                      .stopped = on_stopped};
    struct lb_options lb = {
        .worker_count = options.worker_count,
        .generation = how->generation,
        .stats = role->stats,
        .folder = options.state,
        .report = &role->report,
        .listen = listen_on,
        .listen_self = role,
    };
    TRY(lb_create(op, &role->loop, &lb, &role->lb));
    return proc_channel_open(&role->loop, &role->sup, how->channel_fd, on_sup_message,
                             on_sup_closed);
}

int lb_main(struct role_start *start)
{
    struct lb_role *role = MEM_NEW(struct lb_role);
    auto_op struct op op;
    op_init(&op);
    if (set_up(&op, role, start) != ERR_OK) {
        log_error("lb", "%s", op.note.text);
        return 1;
    }
    ev_loop_run(&role->loop);
    proc_channel_close(&role->control);
    proc_channel_close(&role->sup);
    lb_free(role->lb);
    lbstats_unmap(role->stats);
    ev_loop_close(&role->loop);
    for (size_t i = 0; i < LISTENERS_PENDING_MAX; i++) {
        mem_free(role->pending[i].listener_arn);
    }
    mem_free(role);
    return 0;
}
