/* Getting an image: one that is here and settled is taken as it is; else the registry is asked, and
 * what is here serves when it does not answer, as ECS_IMAGE_PULL_BEHAVIOR=default does. */

#include "runtime/docker/internal.h"

#include "base/check.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/urlenc.h"
#include "runtime/docker/image.h"
#include "runtime/docker/json.h"

#define PULL_LINE_BYTES_MAX 65536

static void look_at_image(struct docker_container *dc, docker_done_fn *on_done);

static void fail_pull(struct docker_container *dc, struct str message)
{
    struct runtime_container *c = &dc->c;
    runtime_container_failed(
        c, arena_printf(&c->task->arena, "CannotPullContainerError: %.*s", STR_ARG(message)));
}

static bool parse_image(const struct docker_container *dc, struct docker_image *ret)
{
    return docker_image_parse(runtime_container_spec_of(&dc->c)->image, ret);
}

/* ---- what the image says ----------------------------------------------------------------------
 */

/* "sha256:..." of "name@sha256:...". */
static struct str digest_in(struct arena *a, struct str body)
{
    struct str item = docker_json_first(a, body, "RepoDigests");
    struct str quoted = str_trim(item);
    size_t at = str_find_char(quoted, '@', 0);
    if (at == STR_NOT_FOUND || quoted.len < at + 2) {
        return STR_NONE;
    }
    return str_slice(quoted, at + 1, quoted.len - 1); /* without the closing quote */
}

static void take_image(struct docker_container *dc, struct str body)
{
    struct arena *a = &dc->c.task->arena;
    dc->stop_signal = arena_str(a, docker_json_text(a, body, "Config|StopSignal"));
    struct str os = docker_json_text(a, body, "Os");
    struct str arch = docker_json_text(a, body, "Architecture");
    dc->image_platform = arena_printf(a, "%.*s/%.*s", STR_ARG(os), STR_ARG(arch));
    runtime_container_pulled(&dc->c, digest_in(a, body));
}

static void on_pulled_image(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker_container *dc = CONTAINER_OF(call, struct docker_container, main);
    if (docker_is_success(answer)) {
        take_image(dc, answer->body);
    } else {
        fail_pull(dc, answer->message);
    }
}

/* ---- pulling ----------------------------------------------------------------------------------
 */

static void take_pull_line(struct docker_container *dc)
{
    struct arena a;
    arena_init(&a);
    struct str error = docker_json_text(&a, buf_str(&dc->pull_line), "error");
    if (!str_is_set(error)) { /* the body of a refusal */
        error = docker_json_text(&a, buf_str(&dc->pull_line), "message");
    }
    if (str_is_set(error)) {
        dc->pull_error = arena_printf(&dc->c.task->arena, DOCKER_WORDS "%.*s", STR_ARG(error));
    }
    arena_fini(&a);
    buf_reset(&dc->pull_line);
}

/* Progress, a JSON object a line; only an error among them matters. */
static void on_pull_body(struct httpio_call *http, struct str piece)
{
    struct docker_call *call = CONTAINER_OF(http, struct docker_call, http);
    struct docker_container *dc = CONTAINER_OF(call, struct docker_container, main);
    for (size_t i = 0; i < piece.len; i++) {
        if (piece.ptr[i] == '\n') {
            take_pull_line(dc);
        } else {
            buf_add_char(&dc->pull_line, piece.ptr[i]);
        }
    }
}

static void on_pull_done(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker_container *dc = CONTAINER_OF(call, struct docker_container, main);
    take_pull_line(dc);
    bool is_fine = docker_is_success(answer) && !str_is_set(dc->pull_error);
    if (is_fine || dc->has_cached_image) {
        look_at_image(dc, on_pulled_image);
        return;
    }
    fail_pull(dc, str_is_set(dc->pull_error) ? dc->pull_error : answer->message);
}

/* Base64url of {"username":...,"password":...}, as the API wants it; in the arena. */
static struct str registry_auth(struct arena *a, const struct runtime_registry_login *login,
                                struct str registry)
{
    if (!str_is_set(login->user)) {
        return STR_NONE;
    }
    struct buf json;
    buf_init(&json, 65536);
    struct json_writer w;
    json_writer_init(&w, &json);
    json_begin_object(&w);
    json_key(&w, STR("username"));
    json_add_string(&w, login->user);
    json_key(&w, STR("password"));
    json_add_string(&w, login->password);
    if (str_is_set(registry)) {
        json_key(&w, STR("serveraddress"));
        json_add_string(&w, registry);
    }
    json_end_object(&w);
    struct str text = base64url_encode(a, buf_str(&json));
    if (json.ptr != NULL) {
        explicit_bzero(json.ptr, json.capacity_bytes);
    }
    buf_fini(&json);
    return text;
}

static void begin_pull(struct docker_container *dc)
{
    struct docker_image image;
    CHECK(parse_image(dc, &image));
    const struct runtime_task_spec *task = dc->c.task->spec;
    struct arena a;
    arena_init(&a);
    struct buf target;
    buf_init(&target, 8192);
    buf_add(&target, STR("/images/create?"));
    buf_add(&target, STR("fromImage="));
    url_encode(&target, image.name, false);
    buf_add(&target, STR("&tag="));
    url_encode(&target, str_is_set(image.digest) ? image.digest : image.tag, false);
    if (str_is_set(task->platform)) {
        buf_add(&target, STR("&platform="));
        url_encode(&target, task->platform, false);
    }
    dc->pull_error = STR_NONE;
    buf_reset(&dc->pull_line);
    struct docker_request request = {
        .method = STR("POST"),
        .target = buf_str(&target),
        .registry_auth = registry_auth(&a, &task->login, image.registry),
        .on_body = on_pull_body,
        .answer_timeout = DOCKER_PULL_SILENCE,
        .silence_timeout = DOCKER_PULL_SILENCE,
    };
    docker_call_start(docker_of(dc->c.task), &dc->main, &request, on_pull_done);
    buf_fini(&target);
    arena_fini(&a);
}

/* ---- the beginning ----------------------------------------------------------------------------
 */

static void on_present_image(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker_container *dc = CONTAINER_OF(call, struct docker_container, main);
    struct docker_image image;
    CHECK(parse_image(dc, &image));
    if (answer->err != ERR_OK) {
        fail_pull(dc, answer->message);
        return;
    }
    dc->has_cached_image = docker_is_success(answer);
    if (dc->has_cached_image && docker_image_is_settled(&image)) {
        take_image(dc, answer->body);
        return;
    }
    begin_pull(dc);
}

static void look_at_image(struct docker_container *dc, docker_done_fn *on_done)
{
    struct arena a;
    arena_init(&a);
    struct str image = runtime_container_spec_of(&dc->c)->image;
    struct docker_request request = {
        .method = STR("GET"),
        .target = arena_printf(&a, "/images/%.*s/json", STR_ARG(image)),
    };
    docker_call_start(docker_of(dc->c.task), &dc->main, &request, on_done);
    arena_fini(&a);
}

void docker_pull(struct runtime_container *c)
{
    struct docker_container *dc = docker_container_of(c);
    struct docker_image image;
    if (!parse_image(dc, &image)) {
        runtime_container_failed(c, STR("CannotPullContainerError: invalid reference format"));
        return;
    }
    docker_call_cancel(&dc->main);
    buf_init(&dc->pull_line, PULL_LINE_BYTES_MAX);
    look_at_image(dc, on_present_image);
}

void docker_pull_cancel(struct docker_container *dc)
{
    docker_call_cancel(&dc->main);
    buf_fini(&dc->pull_line);
}
