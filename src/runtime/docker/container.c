#include "runtime/docker/internal.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "runtime/docker/json.h"

#define EXIT_LIMIT DUR_S(3) /* for the rest of the log, once the end is known */
#define BODY_BYTES (4u << 20)

struct str docker_name_of(const struct runtime_container *c, struct arena *a)
{
    return arena_printf(a, "hitless-%.*s-%.*s", STR_ARG(c->task->spec->id),
                        STR_ARG(runtime_container_spec_of(c)->name));
}

static struct docker_request request_of(struct docker_container *dc, struct arena *a,
                                        const char *method, const char *what)
{
    struct str name = docker_name_of(&dc->c, a);
    return (struct docker_request){
        .method = str_of(method),
        .target = arena_printf(a, "/containers/%.*s%s", STR_ARG(name), what),
        .answer_timeout = DOCKER_START_LIMIT,
    };
}

static void call_main(struct docker_container *dc, const char *method, const char *what,
                      docker_done_fn *on_done)
{
    struct arena a;
    arena_init(&a);
    struct docker_request request = request_of(dc, &a, method, what);
    docker_call_start(docker_of(dc->c.task), &dc->main, &request, on_done);
    arena_fini(&a);
}

/* ---- create and start -------------------------------------------------------------------------
 */

static void create(struct docker_container *dc);

/* The bare words of a kernel are no help when the image is for another processor. */
static struct str explain(struct docker_container *dc, struct str message)
{
    const struct docker *d = docker_of(dc->c.task);
    bool is_format = str_find(message, STR("exec format error"), 0) != STR_NOT_FOUND;
    bool is_other =
        str_is_set(dc->image_platform) && !str_equal(dc->image_platform, str_of(d->platform));
    if (!is_format || !is_other) {
        return message;
    }
    return arena_printf(&dc->c.task->arena,
                        "%.*s (the image is built for %.*s, this engine runs %s)", STR_ARG(message),
                        STR_ARG(dc->image_platform), d->platform);
}

static void fail_start(struct docker_container *dc, const char *kind, struct str message)
{
    struct str whole = explain(dc, message);
    runtime_container_failed(&dc->c,
                             arena_printf(&dc->c.task->arena, "%s: %.*s", kind, STR_ARG(whole)));
}

static void on_started(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker_container *dc = CONTAINER_OF(call, struct docker_container, main);
    if (answer->status >= 400) {
        fail_start(dc, "CannotStartContainerError", answer->message);
        return;
    }
    docker_look(dc); /* without an answer, too: it may have been started all the same */
}

static void on_leftover_removed(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker_container *dc = CONTAINER_OF(call, struct docker_container, main);
    if (answer->err == ERR_OK && (answer->status < 300 || answer->status == 404)) {
        create(dc);
    } else {
        fail_start(dc, "CannotCreateContainerError", answer->message);
    }
}

static void on_created(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker_container *dc = CONTAINER_OF(call, struct docker_container, main);
    if (docker_is_success(answer)) {
        call_main(dc, "POST", "/start", on_started);
    } else if (answer->status == 409 && !dc->is_recreated) {
        /* Created before a crash and never started: its environment may be an older one. */
        dc->is_recreated = true;
        call_main(dc, "DELETE", "?force=1&v=1", on_leftover_removed);
    } else {
        fail_start(dc, "CannotCreateContainerError", answer->message);
    }
}

static void create(struct docker_container *dc)
{
    struct arena a;
    arena_init(&a);
    struct buf body;
    buf_init(&body, BODY_BYTES);
    docker_create_body(&body, &a, &dc->c);
    struct str name = docker_name_of(&dc->c, &a);
    struct docker_request request = {
        .method = STR("POST"),
        .target = arena_printf(&a, "/containers/create?name=%.*s", STR_ARG(name)),
        .json = buf_str(&body),
        .answer_timeout = DOCKER_START_LIMIT,
    };
    if (body.is_overflown) {
        fail_start(dc, "CannotCreateContainerError", STR("the description is too long"));
    } else {
        docker_call_start(docker_of(dc->c.task), &dc->main, &request, on_created);
    }
    if (body.ptr != NULL) {
        explicit_bzero(body.ptr, body.capacity_bytes);
    }
    buf_fini(&body);
    arena_fini(&a);
}

void docker_start(struct runtime_container *c)
{
    struct docker_container *dc = docker_container_of(c);
    const struct runtime_container *owner =
        c->task->containers[docker_task_of(c->task)->network_owner];
    if (docker_joins_network(c) && owner->phase != RUNTIME_PHASE_RUNNING) {
        struct str name = runtime_container_spec_of(owner)->name;
        runtime_container_failed(
            c, arena_printf(&c->task->arena,
                            "CannotStartContainerError: container \"%.*s\", whose network it "
                            "shares, does not run",
                            STR_ARG(name)));
        return;
    }
    docker_call_cancel(&dc->main);
    create(dc);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

void docker_report_exit(struct docker_container *dc)
{
    ev_timer_stop(&dc->exit_limit);
    docker_logs_close(dc);
    docker_probe_close(dc);
    struct str reason = dc->exit_reason;
    if (dc->saw_exec_format_error && dc->exit_code != 0) {
        struct str text = explain(dc, STR("exec format error"));
        reason = arena_printf(&dc->c.task->arena, "CannotStartContainerError: %.*s", STR_ARG(text));
    }
    runtime_container_exited(&dc->c, dc->exit_code, reason, dc->is_out_of_memory, dc->exited_at);
}

static void on_exit_limit(struct ev_timer *timer)
{
    docker_report_exit(CONTAINER_OF(timer, struct docker_container, exit_limit));
}

static void take_exit(struct docker_container *dc)
{
    dc->has_exit = true;
    if (docker_call_is_running(&dc->logs) || ev_timer_is_set(&dc->retry_logs)) {
        ev_timer_set(dc->c.task->rt->loop, &dc->exit_limit, EXIT_LIMIT, on_exit_limit);
    } else {
        docker_report_exit(dc);
    }
}

/* ---- looking ----------------------------------------------------------------------------------
 */

static wall_t time_in(struct arena *a, struct str json, const char *path)
{
    wall_t t = {0};
    struct str text = docker_json_text(a, json, path);
    /* "0001-01-01T00:00:00Z" stands for never. */
    if (!str_is_set(text) || str_starts_with(text, STR("0001-")) || !wall_parse(text, &t)) {
        return (wall_t){0};
    }
    return t;
}

static void read_bindings(struct docker_container *dc, struct arena *a, struct str json)
{
    const struct runtime_container_spec *spec = runtime_container_spec_of(&dc->c);
    dc->c.binding_count = 0;
    for (size_t i = 0; i < spec->port_count; i++) {
        struct str path =
            arena_printf(a, "NetworkSettings|Ports|%d/%s", spec->ports[i].container_port,
                         spec->ports[i].is_udp ? "udp" : "tcp");
        struct str first = docker_json_first(a, json, path.ptr);
        struct str port = docker_json_text(a, first, "HostPort");
        uint64_t number = 0;
        if (str_parse_u64(port, 65535, &number)) {
            dc->c.bindings[dc->c.binding_count++] = (struct runtime_binding){
                .container_port = spec->ports[i].container_port,
                .host_port = (int32_t)number,
                .is_udp = spec->ports[i].is_udp,
            };
        }
    }
}

/* The owner's address is the task's, and its bindings are those of all that share its network. */
static void read_network(struct docker_container *dc, struct arena *a, struct str json)
{
    struct runtime_task *t = dc->c.task;
    if (dc->c.index != docker_task_of(t)->network_owner) {
        return;
    }
    struct str address = docker_json_text(a, json, "NetworkSettings|IPAddress");
    if (!str_is_set(address) || address.len == 0) {
        address = docker_json_text(a, json, "NetworkSettings|Networks|bridge|IPAddress");
    }
    if (!str_is_set(address) || !str_to_c(address, t->address, sizeof(t->address))) {
        return;
    }
    for (size_t i = 0; i < t->spec->container_count; i++) {
        struct runtime_container *c = t->containers[i];
        if (t->spec->publishes_ports && (c == &dc->c || docker_joins_network(c))) {
            read_bindings(docker_container_of(c), a, json);
        }
    }
}

static void read_end(struct docker_container *dc, struct arena *a, struct str json)
{
    int64_t code = docker_json_i64(a, json, "State|ExitCode", RUNTIME_EXIT_CODE_NONE);
    struct str error = docker_json_text(a, json, "State|Error");
    dc->exit_code = code >= 0 && code <= 255 ? (int32_t)code : RUNTIME_EXIT_CODE_NONE;
    dc->is_out_of_memory = docker_json_bool(a, json, "State|OOMKilled");
    dc->exited_at = time_in(a, json, "State|FinishedAt");
    dc->exit_reason = dc->is_out_of_memory ? STR(DOCKER_OUT_OF_MEMORY)
                      : error.len > 0      ? arena_str(&dc->c.task->arena, error)
                                           : STR_NONE;
}

static bool is_alive(struct str status)
{
    return STR_IS(status, "running") || STR_IS(status, "paused") || STR_IS(status, "restarting");
}

static void take_sight(struct docker_container *dc, struct arena *a, struct str json)
{
    struct runtime_container *c = &dc->c;
    struct str status = docker_json_text(a, json, "State|Status");
    if (c->phase == RUNTIME_PHASE_STARTING && STR_IS(status, "created")) {
        if (!docker_call_is_running(&dc->main)) {
            struct str error = docker_json_text(a, json, "State|Error");
            fail_start(dc, "CannotStartContainerError",
                       arena_printf(a, DOCKER_WORDS "%.*s", STR_ARG(error)));
        }
        return;
    }
    if (c->phase == RUNTIME_PHASE_STARTING) {
        read_network(dc, a, json);
        runtime_container_started(c, docker_json_text(a, json, "Id"));
        docker_follow_logs(dc);
        if (c->is_killed && is_alive(status)) {
            docker_send_kill(c);
        }
    }
    if (c->phase == RUNTIME_PHASE_RUNNING && !dc->has_exit && !is_alive(status)) {
        read_end(dc, a, json);
        take_exit(dc);
    }
}

static void take_absence(struct docker_container *dc)
{
    struct runtime_container *c = &dc->c;
    if (c->phase == RUNTIME_PHASE_RUNNING && !dc->has_exit) {
        dc->exit_code = RUNTIME_EXIT_CODE_NONE;
        dc->exit_reason = STR("The container was removed from outside");
        dc->exited_at = clock_wall();
        take_exit(dc);
    } else if (c->phase == RUNTIME_PHASE_STARTING && !docker_call_is_running(&dc->main)) {
        fail_start(dc, "CannotStartContainerError", STR("the container is gone"));
    }
}

static void on_look_again(struct ev_timer *timer)
{
    docker_look(CONTAINER_OF(timer, struct docker_container, retry_look));
}

static void on_look(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker_container *dc = CONTAINER_OF(call, struct docker_container, look);
    if (answer->status == 404) {
        take_absence(dc);
        return;
    }
    if (!docker_is_success(answer)) {
        ev_timer_set(dc->c.task->rt->loop, &dc->retry_look, DOCKER_RETRY, on_look_again);
        return;
    }
    struct arena a;
    arena_init(&a);
    take_sight(dc, &a, answer->body);
    arena_fini(&a);
}

void docker_look(struct docker_container *dc)
{
    if (dc->has_exit || runtime_container_is_over(&dc->c)) {
        return;
    }
    /* What a look under way saw may be older than what made us look. */
    docker_call_cancel(&dc->look);
    ev_timer_stop(&dc->retry_look);
    struct arena a;
    arena_init(&a);
    struct docker_request request = request_of(dc, &a, "GET", "/json");
    docker_call_start(docker_of(dc->c.task), &dc->look, &request, on_look);
    arena_fini(&a);
}

/* ---- orders -----------------------------------------------------------------------------------
 */

static void send_order(struct docker_container *dc);

static void on_order_again(struct ev_timer *timer)
{
    struct docker_container *dc = CONTAINER_OF(timer, struct docker_container, retry_order);
    if (dc->c.phase != RUNTIME_PHASE_EXITED) {
        send_order(dc);
    }
}

static void on_ordered(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker_container *dc = CONTAINER_OF(call, struct docker_container, order);
    if (answer->err != ERR_OK || answer->status >= 500) {
        ev_timer_set(dc->c.task->rt->loop, &dc->retry_order, DOCKER_RETRY, on_order_again);
    } else if (answer->status >= 400) {
        docker_look(dc); /* it does not run: its end was missed */
    }
}

static struct str signal_of(const struct docker_container *dc)
{
    bool is_kill = dc->c.is_killed || dc->c.phase == RUNTIME_PHASE_FAILED;
    struct str asked = runtime_container_spec_of(&dc->c)->stop_signal;
    return is_kill                   ? STR("SIGKILL")
           : str_is_set(asked)       ? asked
           : dc->stop_signal.len > 0 ? dc->stop_signal
                                     : STR("SIGTERM");
}

static bool is_signal_text(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '+' || c == '-')) {
            return false;
        }
    }
    return s.len > 0 && s.len < 32;
}

static void send_order(struct docker_container *dc)
{
    struct arena a;
    arena_init(&a);
    struct str signal = signal_of(dc);
    struct str what = arena_printf(&a, "/kill?signal=%.*s", STR_ARG(signal));
    struct docker_request request =
        request_of(dc, &a, "POST", is_signal_text(signal) ? what.ptr : "/kill?signal=SIGTERM");
    docker_call_cancel(&dc->order);
    ev_timer_stop(&dc->retry_order);
    docker_call_start(docker_of(dc->c.task), &dc->order, &request, on_ordered);
    arena_fini(&a);
}

void docker_send_stop(struct runtime_container *c)
{
    send_order(docker_container_of(c));
}

void docker_send_kill(struct runtime_container *c)
{
    send_order(docker_container_of(c));
}

void docker_remember(struct runtime_container *c)
{
    const struct docker_container *dc = docker_container_of(c);
    if (dc->folder_fd != -1) {
        runtime_note_write(dc->folder_fd, &c->note);
    }
}

/* ---- birth and death --------------------------------------------------------------------------
 */

void docker_container_init(struct docker_container *dc)
{
    dc->folder_fd = -1;
    dc->exit_code = RUNTIME_EXIT_CODE_NONE;
    arena_init(&dc->probe_arena);
}

void docker_adopt(struct docker_container *dc, struct str json)
{
    struct runtime_container *c = &dc->c;
    struct arena a;
    arena_init(&a);
    struct str status = docker_json_text(&a, json, "State|Status");
    struct str id = docker_json_text(&a, json, "Id");
    if (is_alive(status)) {
        c->phase = RUNTIME_PHASE_RUNNING;
    } else if (STR_IS(status, "exited") || STR_IS(status, "dead")) {
        c->phase = RUNTIME_PHASE_EXITED;
        read_end(dc, &a, json);
        c->exit_code = dc->exit_code;
        c->reason = dc->exit_reason;
        c->is_out_of_memory = dc->is_out_of_memory;
        c->exited_at = dc->exited_at;
        c->is_log_open = runtime_container_spec_of(c)->wants_log;
    }
    if (c->phase >= RUNTIME_PHASE_RUNNING) {
        (void)str_to_c(id, c->runtime_id, sizeof(c->runtime_id));
        c->started_at = time_in(&a, json, "State|StartedAt");
        dc->stop_signal =
            arena_str(&c->task->arena, docker_json_text(&a, json, "Config|StopSignal"));
        read_network(dc, &a, json);
    }
    arena_fini(&a);
}

void docker_container_release(struct docker_container *dc)
{
    docker_pull_cancel(dc);
    docker_call_cancel(&dc->order);
    docker_call_cancel(&dc->look);
    docker_logs_close(dc);
    docker_probe_close(dc);
    ev_timer_stop(&dc->retry_order);
    ev_timer_stop(&dc->retry_look);
    ev_timer_stop(&dc->exit_limit);
    arena_fini(&dc->probe_arena);
    cleanup_fd(&dc->folder_fd);
    dc->folder_fd = -1;
}
