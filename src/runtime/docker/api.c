#include "runtime/docker/internal.h"

#include "base/check.h"
#include "runtime/docker/json.h"

#define BODY_BYTES_MAX    (4u << 20)
#define REQUEST_FIELD_MAX 1

static void wipe_body(struct docker_call *call)
{
    if (call->body.ptr != NULL) {
        explicit_bzero(call->body.ptr, call->body.capacity_bytes);
    }
    buf_fini(&call->body);
}

static void on_http_done(struct httpio_call *http, const struct httpio_result *result)
{
    struct docker_call *call = CONTAINER_OF(http, struct docker_call, http);
    struct arena a;
    arena_init(&a);
    struct docker_answer answer = {
        .err = result->err,
        .status = result->err == ERR_OK ? result->status : 0,
        .body = result->body,
        .message = str_of(result->text),
    };
    if (result->err == ERR_OK && result->status >= 400) {
        struct str words = docker_json_text(&a, result->body, "message");
        answer.message =
            str_is_set(words) ? arena_printf(&a, DOCKER_WORDS "%.*s", STR_ARG(words)) : STR_NONE;
    }
    if (!str_is_set(answer.message)) {
        answer.message = arena_printf(&a, "docker answered with status %u", result->status);
    }
    wipe_body(call);
    docker_done_fn *on_done = call->on_done;
    on_done(call, &answer);
    arena_fini(&a);
}

void docker_call_start(struct docker *d, struct docker_call *call,
                       const struct docker_request *request, docker_done_fn *on_done)
{
    CHECK(!docker_call_is_running(call));

    struct arena a;
    arena_init(&a);
    struct httpio_field auth = {.name = STR("X-Registry-Auth"), .value = request->registry_auth};
    buf_init(&call->body, BODY_BYTES_MAX);
    buf_add(&call->body, request->json);
    call->on_done = on_done;
    struct httpio_call_options options = {
        .addr = d->addr,
        .method = request->method,
        .target = arena_printf(&a, "%s%.*s", d->version, STR_ARG(request->target)),
        .host = STR("docker"),
        .fields = &auth,
        .field_count = str_is_set(request->registry_auth) ? REQUEST_FIELD_MAX : 0,
        .content_type = str_is_set(request->json) ? STR("application/json") : STR_NONE,
        .body = str_is_set(request->json)         ? buf_str(&call->body)
                : STR_IS(request->method, "POST") ? STR("")
                                                  : STR_NONE,
        .on_head = request->on_head,
        .on_body = request->on_body,
        .on_done = on_http_done,
        .answer_timeout = request->answer_timeout,
        .silence_timeout = request->silence_timeout,
    };
    httpio_call_start(d->rt.loop, &call->http, &options);
    arena_fini(&a);
}

void docker_call_cancel(struct docker_call *call)
{
    httpio_call_cancel(&call->http);
    wipe_body(call);
}
