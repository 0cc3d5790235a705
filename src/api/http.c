#include "api/api.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"

#define HEALTH_BYTES_MAX 65536

static struct api *api_of(struct httpio_server *server)
{
    return CONTAINER_OF(server, struct api, server);
}

static void answer_text(struct httpio_exchange *x, unsigned status, const char *type,
                        struct str text)
{
    httpio_answer(
        x, &(struct httpio_answer){.status = status, .content_type = str_of(type), .body = text});
}

/* ---- what is no AWS call -------------------------------------------------------------------- */

static void answer_welcome(struct api *api, struct httpio_exchange *x)
{
    AUTO(arena_fini) struct arena scratch;
    arena_init(&scratch);
    struct str names = STR("");
    for (size_t i = 0; i < api->service_count; i++) {
        names = arena_printf(&scratch, "%.*s%s%s", STR_ARG(names), i == 0 ? "" : ", ",
                             api->services[i].service->name);
    }
    struct str text = arena_printf(&scratch,
                                   "hitless %.*s: an AWS endpoint on this machine.\n\n"
                                   "Services: %.*s.\n"
                                   "Use it with any AWS client:\n\n"
                                   "    AWS_ENDPOINT_URL=http://%.*s aws ecs list-clusters\n\n"
                                   "Health: GET /_hitless/health\n",
                                   STR_ARG(api->options.version), STR_ARG(names), STR_ARG(x->host));
    answer_text(x, 200, "text/plain; charset=utf-8", text);
}

static void answer_health(struct api *api, struct httpio_exchange *x)
{
    auto_op struct op op;
    auto_buf struct buf out;
    const struct api_hooks *hooks = &api->options.hooks;
    struct json_writer w;
    op_init(&op);
    buf_init(&out, HEALTH_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w);
    json_key(&w, STR("version"));
    json_add_string(&w, api->options.version);
    json_key(&w, STR("services"));
    json_begin_array(&w);
    for (size_t i = 0; i < api->service_count; i++) {
        json_add_string(&w, str_of(api->services[i].service->name));
    }
    json_end_array(&w);
    bool is_well = hooks->add_health == NULL || hooks->add_health(hooks->self, &op, &w);
    json_key(&w, STR("status"));
    json_add_string(&w, is_well ? STR("ok") : STR("failing"));
    json_end_object(&w);
    buf_add_char(&out, '\n');
    answer_text(x, is_well ? 200 : 503, "application/json", buf_str(&out));
}

static void answer_reset(struct api *api, struct httpio_exchange *x)
{
    const struct api_hooks *hooks = &api->options.hooks;
    if (!api->options.is_test_mode || hooks->reset == NULL) {
        answer_text(x, 404, "text/plain; charset=utf-8",
                    STR("There is nothing here outside of --test-mode.\n"));
        return;
    }
    auto_op struct op op;
    op_init(&op);
    if (hooks->reset(hooks->self, &op) != ERR_OK) {
        log_error("api", "the reset failed: %s", op.note.text);
        answer_text(x, 500, "application/json", STR("{\"status\":\"failed\"}\n"));
        return;
    }
    answer_text(x, 200, "application/json", STR("{\"status\":\"ok\"}\n"));
}

static void answer_stray(struct httpio_exchange *x)
{
    AUTO(arena_fini) struct arena scratch;
    arena_init(&scratch);
    struct str text = arena_printf(
        &scratch,
        "%.*s %.*s is no AWS call that this engine knows, and nothing else lives at this path.\n"
        "AWS clients send POST / (or /service/NAME/operation/NAME). GET / says what this is.\n",
        STR_ARG(x->method), (int)(x->path.len < 200 ? x->path.len : 200), x->path.ptr);
    answer_text(x, 404, "text/plain; charset=utf-8", text);
}

/* Services of the query kind take a GET with the call in the query string, presigned ones too. */
static bool is_aws_call(const struct httpio_exchange *x)
{
    bool is_get = STR_IS(x->method, "GET");
    if (!is_get && !STR_IS(x->method, "POST")) {
        return false;
    }
    if (!is_get && str_find(x->path, STR("/operation/"), 0) != STR_NOT_FOUND) {
        return true;
    }
    bool is_root = STR_IS(x->path, "/") || x->path.len == 0;
    bool has_action = str_starts_with(x->query, STR("Action=")) ||
                      str_find(x->query, STR("&Action="), 0) != STR_NOT_FOUND;
    return is_root && (!is_get || has_action);
}

/* True when the request was one of ours and is answered. */
static bool answer_own_path(struct api *api, struct httpio_exchange *x)
{
    bool is_read = STR_IS(x->method, "GET") || STR_IS(x->method, "HEAD");
    if (is_read && STR_IS(x->path, "/_hitless/health")) {
        answer_health(api, x);
        return true;
    }
    if (STR_IS(x->method, "POST") && STR_IS(x->path, "/moto-api/reset")) {
        answer_reset(api, x);
        return true;
    }
    return false;
}

static void answer_other(struct api *api, struct httpio_exchange *x)
{
    const struct api_hooks *hooks = &api->options.hooks;
    if (answer_own_path(api, x)) {
        return;
    }
    if (hooks->take_other != NULL && hooks->take_other(hooks->self, x)) {
        return;
    }
    bool is_read = STR_IS(x->method, "GET") || STR_IS(x->method, "HEAD");
    if (is_read && (STR_IS(x->path, "/") || x->path.len == 0)) {
        answer_welcome(api, x);
        return;
    }
    answer_stray(x);
}

/* ---- AWS calls ------------------------------------------------------------------------------ */

static void fill_request(struct op *op, const struct httpio_exchange *x,
                         struct aws_request *ret_request)
{
    const struct h1_head *head = x->head;
    struct aws_header *headers = ARENA_ARRAY(&op->arena, struct aws_header, head->field_count);
    for (size_t i = 0; i < head->field_count; i++) {
        headers[i] = (struct aws_header){.name = h1_field_name(head, &head->fields[i]),
                                         .value = h1_field_value(head, &head->fields[i])};
    }
    *ret_request = (struct aws_request){.method = x->method,
                                        .path = x->path.len == 0 ? STR("/") : x->path,
                                        .query = x->query,
                                        .headers = headers,
                                        .header_count = head->field_count,
                                        .body = x->body,
                                        .sent_body = x->packed_body};
}

static void wipe(struct str text)
{
    if (text.len > 0) {
        mem_wipe(mem_owned(text.ptr), text.len);
    }
}

static void send_answer(struct op *op, struct httpio_exchange *x, const struct aws_answer *answer)
{
    if (op->arena.holds_secrets) {
        wipe(x->body);
        wipe(x->packed_body);
    }
    struct httpio_field *fields =
        ARENA_ARRAY(&op->arena, struct httpio_field, AWS_ANSWER_HEADERS_MAX);
    for (size_t i = 0; i < answer->header_count; i++) {
        fields[i] = (struct httpio_field){.name = answer->headers[i].name,
                                          .value = answer->headers[i].value};
    }
    httpio_answer(x, &(struct httpio_answer){.status = (unsigned)answer->status,
                                             .content_type = answer->content_type,
                                             .fields = fields,
                                             .field_count = answer->header_count,
                                             .body = buf_str(&answer->body)});
    if (op->arena.holds_secrets) {
        wipe(buf_str(&answer->body));
    }
}

static void serve_exchange(struct httpio_server *server, struct httpio_exchange *x)
{
    struct api *api = api_of(server);
    if (!is_aws_call(x)) {
        answer_other(api, x);
        return;
    }
    auto_op struct op op;
    AUTO(aws_answer_fini) struct aws_answer answer;
    struct aws_request request;
    op_init(&op);
    aws_answer_init(&answer);
    fill_request(&op, x, &request);
    api_serve(api, &op, &request, &answer);
    send_answer(&op, x, &answer);
}

enum err api_open(struct op *op, struct api *api, struct ev_loop *loop, int listen_fd)
{
    const struct httpio_server_options options = {.request_bytes_max = API_BODY_BYTES_MAX};
    CHECK(!api->is_open);
    if (httpio_server_open(loop, &api->server, listen_fd, &options, serve_exchange, api) !=
        ERR_OK) {
        return op_fail(op, ERR_NO_SPACE, "the API's socket could not join the event loop");
    }
    api->is_open = true;
    return ERR_OK;
}

void api_close(struct api *api)
{
    if (api->is_open) {
        httpio_server_close(&api->server);
        api->is_open = false;
    }
    sigv4_cache_wipe(&api->keys);
}
