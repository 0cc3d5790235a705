#include "deployer/verify.h"

#include "codec/json.h"

#define BODY_SHOWN_CHARS 120
#define SERVES_TIMEOUT   DUR_S(5)
#define PAUSE            DUR_MS(500)

/* ---- one value of a JSON answer: ".items[0].name" ---- */

static bool enter_member(struct json_reader *r, struct str name)
{
    struct str key = STR_NONE;
    if (!json_enter_object(r)) {
        return false;
    }
    while (json_next_key(r, &key)) {
        if (str_equal(key, name)) {
            return true;
        }
        (void)json_skip(r);
    }
    return false;
}

static bool enter_item(struct json_reader *r, struct str number)
{
    uint64_t index = 0;
    if (!str_parse_u64(number, 1000000, &index) || !json_enter_array(r)) {
        return false;
    }
    for (uint64_t i = 0; json_next_item(r); i++) {
        if (i == index) {
            return true;
        }
        (void)json_skip(r);
    }
    return false;
}

static bool go_to(struct json_reader *r, struct str path)
{
    while (path.len > 0) {
        bool is_item = path.ptr[0] == '[';
        struct str rest = str_from(path, 1);
        size_t end = 0;
        while (end < rest.len && rest.ptr[end] != '.' && rest.ptr[end] != '[' &&
               rest.ptr[end] != ']') {
            end++;
        }
        struct str part = str_slice(rest, 0, end);
        path = str_from(rest, is_item && end < rest.len ? end + 1 : end);
        if (part.len == 0 && !is_item) {
            continue; /* "." alone: the whole */
        }
        if (is_item ? !enter_item(r, part) : !enter_member(r, part)) {
            return false;
        }
    }
    return true;
}

bool verify_json_value(struct arena *a, struct str body, struct str path, struct str *ret_value)
{
    struct json_reader r;
    json_reader_init(&r, a, body);
    if (!go_to(&r, path)) {
        return false;
    }
    return json_peek(&r) == JSON_STRING ? json_read_string(&r, ret_value)
                                        : json_read_raw(&r, ret_value);
}

static bool compare_numbers(struct str sign, double value, double limit)
{
    if (STR_IS(sign, ">")) {
        return value > limit;
    }
    if (STR_IS(sign, ">=")) {
        return value >= limit;
    }
    if (STR_IS(sign, "<")) {
        return value < limit;
    }
    if (STR_IS(sign, "<=")) {
        return value <= limit;
    }
    return STR_IS(sign, "!=") ? value != limit : value == limit;
}

/* "> 0" compares numbers, "= open" and "open" compare texts. */
static bool is_met(struct str expected, struct str value)
{
    struct str sign = STR("=");
    struct str limit = expected;
    struct str head = STR_NONE;
    struct str tail = STR_NONE;
    if (str_cut(expected, ' ', &head, &tail) &&
        (STR_IS(head, ">") || STR_IS(head, ">=") || STR_IS(head, "<") || STR_IS(head, "<=") ||
         STR_IS(head, "=") || STR_IS(head, "!="))) {
        sign = head;
        limit = str_trim(tail);
    }
    double number = 0;
    double limit_number = 0;
    if (str_parse_f64(value, &number) && str_parse_f64(limit, &limit_number)) {
        return compare_numbers(sign, number, limit_number);
    }
    if (STR_IS(sign, "=") || STR_IS(sign, "!=")) {
        return str_equal(value, limit) == STR_IS(sign, "=");
    }
    return false;
}

struct str verify_judge(struct arena *a, const struct config_verify *v,
                        const struct web_answer *answer)
{
    if (answer->status != v->status) {
        return arena_printf(a, "%.*s: expected status %lld, got %d: %.*s", STR_ARG(v->get),
                            (long long)v->status, answer->status,
                            STR_ARG(str_trim(str_slice(answer->body, 0, BODY_SHOWN_CHARS))));
    }
    if (str_is_set(v->contains) && str_find(answer->body, v->contains, 0) == STR_NOT_FOUND) {
        return arena_printf(a, "%.*s: expected \"%.*s\" in the answer, got: %.*s", STR_ARG(v->get),
                            STR_ARG(v->contains),
                            STR_ARG(str_trim(str_slice(answer->body, 0, BODY_SHOWN_CHARS))));
    }
    for (size_t i = 0; i < v->json_count; i++) {
        struct str value = STR_NONE;
        if (!verify_json_value(a, answer->body, v->json[i].path, &value)) {
            return arena_printf(a, "%.*s: the answer has no %.*s", STR_ARG(v->get),
                                STR_ARG(v->json[i].path));
        }
        if (!is_met(v->json[i].expected, value)) {
            return arena_printf(a, "%.*s: expected %.*s to be %.*s, got %.*s", STR_ARG(v->get),
                                STR_ARG(v->json[i].path), STR_ARG(v->json[i].expected),
                                STR_ARG(str_slice(value, 0, BODY_SHOWN_CHARS)));
        }
    }
    return STR_NONE;
}

/* ---- effects ---- */

static struct str url_of(struct op *op, const struct config_verify *v, const struct resources *r)
{
    return str_starts_with(v->get, STR("/")) ? resources_url(&op->arena, r, v->get) : v->get;
}

static enum err run_one(struct op *op, const struct cloud *cloud, const struct config_verify *v,
                        const struct resources *r)
{
    mono_t end = mono_add(clock_mono(), DUR_S(v->timeout_s));
    struct web_request request = {.url = url_of(op, v, r), .timeout = DUR_S(v->timeout_s)};
    for (;;) {
        auto_op struct op look;
        cloud_op_init(&look, cloud);
        struct web_answer answer = {0};
        struct str wrong;
        if (web_send(&look, &request, &answer) != ERR_OK) {
            wrong = arena_printf(&look.arena, "%.*s: %s", STR_ARG(v->get), look.note.text);
        } else {
            wrong = verify_judge(&look.arena, v, &answer);
        }
        if (!str_is_set(wrong)) {
            return ERR_OK;
        }
        if (clock_mono().us >= end.us) {
            return op_fail(op, ERR_REMOTE, "%.*s", STR_ARG(wrong));
        }
        cloud_wait(PAUSE);
    }
}

enum err verify_run(struct op *op, const struct cloud *cloud, const struct place *place,
                    const struct resources *r, resources_tell_fn tell, void *self)
{
    for (size_t i = 0; i < place->config->verify_count; i++) {
        const struct config_verify *v = &place->config->verify[i];
        if (!r->has_balancer && str_starts_with(v->get, STR("/"))) {
            continue; /* nothing to ask without a load balancer */
        }
        TRY(run_one(op, cloud, v, r));
        tell(self, "answers as expected", v->get);
    }
    return ERR_OK;
}

enum err verify_serves(struct op *op, const struct place *place, const struct resources *r,
                       struct str *ret_told)
{
    if (!r->has_balancer) {
        return op_fail(op, ERR_UNSUPPORTED, "there is no load balancer to ask");
    }
    struct web_request request = {.url = resources_url(&op->arena, r, place->service->health.path),
                                  .timeout = SERVES_TIMEOUT};
    struct web_answer answer = {0};
    TRY(web_send(op, &request, &answer));
    *ret_told = arena_printf(&op->arena, "%.*s answers %d", STR_ARG(request.url), answer.status);
    return answer.status < 500 ? ERR_OK : op_fail(op, ERR_REMOTE, "%.*s", STR_ARG(*ret_told));
}
