/* The role control: the engine on one loop, its channels to sup and to the data plane. */
#include "app/engine.h"
#include "app/plane.h"
#include "app/serve.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "proc/roles.h"

#define API_LISTEN_ID 1

/* How long the machines wait for the data plane to say which targets are healthy. */
#define TOLD_ALL_MAX DUR_S(3)

struct control_role {
    struct ev_loop loop;
    struct proc_channel sup;
    struct proc_channel lb;
    struct lbstats *stats;
    struct engine engine;
    struct options options;
    int exit_code;
    struct ev_timer begin_timer;
    bool is_open;
    bool has_begun;
};

/* ---- beginning ---- */

/* The machines take their first turn when they can see: without the health of the targets a
 * deployment in the middle of its way would look as if it had lost them all. */
static void begin(struct control_role *role)
{
    auto_op struct op op;
    op_init(&op);
    if (role->has_begun || role->engine.is_stopping) {
        return;
    }
    role->has_begun = true;
    ev_timer_stop(&role->begin_timer);
    if (engine_start(&op, &role->engine) != ERR_OK) {
        log_error("control", "%s", op.note.text);
        role->exit_code = PROC_EXIT_HOPELESS;
        ev_loop_stop(&role->loop);
    }
}

static void on_begin_due(struct ev_timer *t)
{
    log_warn("control", "the data plane has not told its targets' health; going on without");
    begin(CONTAINER_OF(t, struct control_role, begin_timer));
}

/* ---- the data plane ---- */

static void publish(void *self, const struct lbconf_snapshot *snapshot)
{
    struct control_role *role = self;
    plane_send(&role->lb, PLANE_SNAPSHOT, &shape_lbconf_snapshot, snapshot);
}

static void answer_sign_in(void *self, const struct lbconf_sign_in_answer *message)
{
    struct control_role *role = self;
    plane_send(&role->lb, PLANE_SIGNED_IN, &shape_lbconf_sign_in_answer, message);
}

static void on_lb_message(struct proc_channel *ch, struct proc_message *m)
{
    struct control_role *role = CONTAINER_OF(ch, struct control_role, lb);
    struct elbv2 *elbv2 = role->engine.elbv2;
    auto_op struct op op;
    op_init(&op);
    union {
        struct lbconf_published published;
        struct lbconf_health health;
        struct lbconf_drained drained;
        struct lbconf_listen_failed failed;
        struct lbconf_sign_in_question sign_in;
    } u;
    switch ((enum plane_message)m->type) {
    case PLANE_PUBLISHED:
        if (plane_read(&op, m, &shape_lbconf_published, &u.published)) {
            elbv2_heard_published(elbv2, &u.published);
        }
        break;
    case PLANE_HEALTH:
        if (plane_read(&op, m, &shape_lbconf_health, &u.health)) {
            elbv2_heard_health(elbv2, &u.health);
        }
        break;
    case PLANE_DRAINED:
        if (plane_read(&op, m, &shape_lbconf_drained, &u.drained)) {
            elbv2_heard_drained(elbv2, &u.drained);
        }
        break;
    case PLANE_LISTEN_FAILED:
        if (plane_read(&op, m, &shape_lbconf_listen_failed, &u.failed)) {
            elbv2_heard_listen_failed(elbv2, &u.failed);
        }
        break;
    case PLANE_REFUSED:
        if (plane_read(&op, m, &shape_lbconf_listen_failed, &u.failed)) {
            log_error("control", "the data plane did not take a configuration: %.*s",
                      STR_ARG(u.failed.sentence));
        }
        break;
    case PLANE_TOLD_ALL:
        begin(role);
        break;
    case PLANE_SIGN_IN:
        if (plane_read(&op, m, &shape_lbconf_sign_in_question, &u.sign_in)) {
            elbv2_heard_sign_in(elbv2, &u.sign_in);
        }
        break;
    case PLANE_SNAPSHOT:
    case PLANE_SIGNED_IN:
        break;
    }
}

static void on_lb_closed(struct proc_channel *ch, enum err why)
{
    (void)ch;
    log_warn("control", "the data plane is away (%s)", err_text(why));
}

static void hear_peer(struct control_role *role, struct proc_message *m)
{
    if (m->fd_count != 1) {
        return;
    }
    proc_channel_close(&role->lb);
    if (proc_channel_open(&role->loop, &role->lb, steal_fd(&m->fds[0]), on_lb_message,
                          on_lb_closed) != ERR_OK) {
        log_error("control", "the channel to the data plane could not be opened");
        return;
    }
    if (role->is_open) {
        elbv2_publish_again(role->engine.elbv2);
    }
}

/* ---- the API's socket, from sup ---- */

static void fail_hopelessly(struct control_role *role, const char *sentence)
{
    log_error("control", "%s", sentence);
    role->exit_code = PROC_EXIT_HOPELESS;
    ev_loop_stop(&role->loop);
}

static void hear_listening(struct control_role *role, struct proc_message *m)
{
    struct proc_listen_answer answer = {0};
    auto_op struct op op;
    op_init(&op);
    if (!proc_listen_answer_decode(m->payload, &answer) || answer.id != API_LISTEN_ID) {
        return;
    }
    if (answer.result != ERR_OK || m->fd_count == 0) {
        fail_hopelessly(role, arena_printf(&op.arena, "%.*s", STR_ARG(answer.text)).ptr);
        return;
    }
    if (api_open(&op, &role->engine.api, &role->loop, steal_fd(&m->fds[0])) != ERR_OK) {
        fail_hopelessly(role, op.note.text);
        return;
    }
    err_ignore(proc_channel_send_payload(&role->sup, PROC_READY,
                                         STR(""))); /* sup's end is seen by on_closed */
}

static enum err ask_for_socket(struct op *op, struct control_role *role)
{
    struct proc_listen_request request = {
        .id = API_LISTEN_ID, .socket_count = 1, .addr = role->options.api};
    return proc_channel_send_payload(&role->sup, PROC_LISTEN,
                                     proc_listen_request_encode(&op->arena, &request));
}

/* ---- stopping ---- */

static void on_tasks_over(struct engine *e)
{
    struct control_role *role = CONTAINER_OF(e, struct control_role, engine);
    ev_loop_stop(&role->loop);
}

static void on_sup_message(struct proc_channel *ch, struct proc_message *m)
{
    struct control_role *role = CONTAINER_OF(ch, struct control_role, sup);
    switch ((enum proc_sup_message)m->type) {
    case PROC_PEER:
        hear_peer(role, m);
        break;
    case PROC_LISTENING:
        hear_listening(role, m);
        break;
    case PROC_STOP:
        if (!role->engine.is_stopping) {
            engine_stop(&role->engine, on_tasks_over);
        }
        break;
    case PROC_LISTEN:
    case PROC_UNLISTEN:
    case PROC_READY:
        break;
    }
}

static void on_sup_closed(struct proc_channel *ch, enum err why)
{
    struct control_role *role = CONTAINER_OF(ch, struct control_role, sup);
    log_error("control", "the supervisor is gone (%s)", err_text(why));
    ev_loop_stop(&role->loop);
}

static enum err set_up(struct op *op, struct control_role *role, const struct role_start *how)
{
    TRY(serve_begin_role(op, how, &role->options));
    TRY(ev_loop_open(op, &role->loop));
    TRY(lbstats_map(op, how->counters_fd, &role->stats));
    role->engine.publish = publish;
    role->engine.publish_self = role;
    role->engine.signed_in = answer_sign_in;
    TRY(engine_open(op, &role->engine, &role->loop, &role->options, role->stats));
    role->is_open = true;
    TRY(proc_channel_open(&role->loop, &role->sup, how->channel_fd, on_sup_message, on_sup_closed));
    ev_timer_set(&role->loop, &role->begin_timer, TOLD_ALL_MAX, on_begin_due);
    return ask_for_socket(op, role);
}

int control_main(struct role_start *start)
{
    struct control_role *role = MEM_NEW(struct control_role);
    auto_op struct op op;
    op_init(&op);
    if (set_up(&op, role, start) != ERR_OK) {
        log_error("control", "%s", op.note.text);
        return PROC_EXIT_HOPELESS;
    }
    ev_loop_run(&role->loop);
    proc_channel_close(&role->lb);
    proc_channel_close(&role->sup);
    engine_close(&role->engine);
    lbstats_unmap(role->stats);
    ev_loop_close(&role->loop);
    int code = role->exit_code;
    mem_free(role);
    return code;
}
