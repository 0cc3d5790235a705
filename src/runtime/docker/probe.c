/* The health command, by the exec API: create, start and wait for its output to end, ask for the
 * exit code. Docker cannot kill an exec: one that hangs counts as failed and is left to itself. */

#include "runtime/docker/internal.h"

#include "base/check.h"
#include "codec/json.h"
#include "runtime/docker/json.h"

#define PROBE_GRACE DUR_S(1) /* for Docker's own work around it */

static struct docker_container *of(struct docker_call *call)
{
    return CONTAINER_OF(call, struct docker_container, probe);
}

static void finish(struct docker_container *dc, bool has_passed)
{
    ev_timer_stop(&dc->probe_limit);
    docker_call_cancel(&dc->probe);
    runtime_container_probed(&dc->c, has_passed);
}

static void on_limit(struct ev_timer *timer)
{
    finish(CONTAINER_OF(timer, struct docker_container, probe_limit), false);
}

static void on_result(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker_container *dc = of(call);
    struct arena a;
    arena_init(&a);
    bool has_passed =
        docker_is_success(answer) && docker_json_i64(&a, answer->body, "ExitCode", -1) == 0;
    arena_fini(&a);
    finish(dc, has_passed);
}

static void on_ended(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker_container *dc = of(call);
    if (!docker_is_success(answer)) {
        finish(dc, false);
        return;
    }
    struct docker_request request = {
        .method = STR("GET"),
        .target = arena_printf(&dc->probe_arena, "/exec/%.*s/json", STR_ARG(dc->exec_id)),
    };
    docker_call_start(docker_of(dc->c.task), &dc->probe, &request, on_result);
}

static void ignore_body(struct httpio_call *http, struct str piece)
{
    (void)http;
    (void)piece;
}

static bool is_exec_id(struct str id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return id.len > 0 && id.len <= 128;
}

static void on_created(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker_container *dc = of(call);
    struct str id = docker_json_text(&dc->probe_arena, answer->body, "Id");
    if (!docker_is_success(answer) || !is_exec_id(id)) {
        finish(dc, false);
        return;
    }
    dc->exec_id = arena_str(&dc->probe_arena, id);
    struct docker_request request = {
        .method = STR("POST"),
        .target = arena_printf(&dc->probe_arena, "/exec/%.*s/start", STR_ARG(id)),
        .json = STR("{\"Detach\":false,\"Tty\":false}"),
        .on_body = ignore_body,
        .answer_timeout = HTTPIO_NO_TIMEOUT, /* probe_limit holds for all of it */
        .silence_timeout = HTTPIO_NO_TIMEOUT,
    };
    docker_call_start(docker_of(dc->c.task), &dc->probe, &request, on_ended);
}

static void write_command(struct buf *out, const struct runtime_health_check *check)
{
    bool is_shell = STR_IS(check->command.items[0], "CMD-SHELL");
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, STR("AttachStdout"));
    json_add_bool(&w, true);
    json_key(&w, STR("AttachStderr"));
    json_add_bool(&w, true);
    json_key(&w, STR("Cmd"));
    json_begin_array(&w);
    if (is_shell) {
        json_add_string(&w, STR("/bin/sh"));
        json_add_string(&w, STR("-c"));
    }
    for (size_t i = 1; i < check->command.count; i++) {
        json_add_string(&w, check->command.items[i]);
    }
    json_end_array(&w);
    json_end_object(&w);
}

void docker_probe(struct runtime_container *c)
{
    struct docker_container *dc = docker_container_of(c);
    const struct runtime_health_check *check = &runtime_container_spec_of(c)->health_check;
    docker_probe_close(dc);
    arena_reset(&dc->probe_arena);
    struct buf body;
    buf_init(&body, 2u * RUNTIME_WORDS_BYTES_MAX + 65536);
    write_command(&body, check);
    struct str name = docker_name_of(c, &dc->probe_arena);
    struct docker_request request = {
        .method = STR("POST"),
        .target = arena_printf(&dc->probe_arena, "/containers/%.*s/exec", STR_ARG(name)),
        .json = buf_str(&body),
    };
    dur_t limit = DUR_US(runtime_health_timeout(check).us + PROBE_GRACE.us);
    ev_timer_set(c->task->rt->loop, &dc->probe_limit, limit, on_limit);
    docker_call_start(docker_of(c->task), &dc->probe, &request, on_created);
    buf_fini(&body);
}

void docker_probe_close(struct docker_container *dc)
{
    docker_call_cancel(&dc->probe);
    ev_timer_stop(&dc->probe_limit);
}
