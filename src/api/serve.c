#include "api/api.h"

#include "aws/route.h"
#include "base/check.h"
#include "base/log.h"
#include "base/rand.h"
#include "gen/sts.h"

#define LOGGED_NAME_BYTES_MAX 64 /* of an operation, which may be one that we do not know */

void api_init(struct api *api, const struct api_options *options)
{
    *api = (struct api){.options = *options};
    CHECK(options->hooks.find_key != NULL);
}

void api_add(struct api *api, const struct shape_service *service, const void *handlers, void *self)
{
    CHECK(api->service_count < API_SERVICES_MAX);
    api->services[api->service_count++] =
        (struct api_service){.service = service, .handlers = handlers, .self = self};
}

/* Clients get this token by an identity token in the body, before they have a key. */
static bool is_open_to_all(const struct aws_route *route)
{
    return route->operation == &sts_op_assume_role_with_web_identity;
}

/* Regions become parts of names: nothing but letters, digits and dashes. */
static bool is_region(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        if (!is_allowed) {
            return false;
        }
    }
    return s.len > 0 && s.len <= API_REGION_CHARS_MAX;
}

static void set_root(struct api *api, struct op *op)
{
    op->account = api->options.account;
    op->region = api->options.default_region;
    op->caller_id = api->options.account;
    op->caller_arn =
        arena_printf(&op->arena, "arn:aws:iam::%.*s:root", STR_ARG(api->options.account));
}

/* The claim holds: whose is it? Fills the op's caller. */
static enum sigv4_fault check_claim(struct api *api, struct op *op, const struct aws_request *r,
                                    const struct aws_route *route, const struct sigv4_claim *claim,
                                    struct str *ret_text)
{
    const struct api_hooks *hooks = &api->options.hooks;
    struct api_identity who = {0};
    enum err e = hooks->find_key(hooks->self, op, claim->access_key_id, claim->session_token, &who);
    if (e != ERR_OK) {
        op_note_clear(op); /* whatever went wrong: we do not know the key */
        *ret_text = STR(SIGV4_TEXT_UNKNOWN_KEY);
        return SIGV4_UNKNOWN_KEY;
    }
    struct str service =
        route->service != NULL ? str_of(route->service->signing_name) : claim->scope.service;
    enum sigv4_fault fault = sigv4_claim_check(&op->arena, &api->keys, r, claim, service,
                                               who.secret_access_key, op->now, ret_text);
    if (fault != SIGV4_OK) {
        return fault;
    }
    if (who.is_expired) {
        *ret_text = STR(SIGV4_TEXT_EXPIRED_TOKEN);
        return SIGV4_EXPIRED_TOKEN;
    }
    op->account = who.account;
    op->caller_arn = who.caller_arn;
    op->caller_id = who.caller_id;
    return SIGV4_OK;
}

static enum sigv4_fault authenticate(struct api *api, struct op *op, const struct aws_request *r,
                                     const struct aws_route *route, enum sigv4_fault claim_fault,
                                     const struct sigv4_claim *claim, struct str *text)
{
    set_root(api, op);
    if (claim_fault == SIGV4_OK && is_region(claim->scope.region)) {
        op->region = claim->scope.region;
        op->access_key_id = claim->access_key_id;
    }
    bool is_unsigned = claim_fault == SIGV4_MISSING;
    if (api->options.is_test_mode || (is_unsigned && is_open_to_all(route))) {
        return SIGV4_OK;
    }
    if (claim_fault != SIGV4_OK) {
        return claim_fault;
    }
    if (!is_region(claim->scope.region)) {
        *text = STR("Credential should be scoped to a valid region. ");
        return SIGV4_MISMATCH;
    }
    return check_claim(api, op, r, route, claim, text);
}

static const struct api_service *find_service(const struct api *api,
                                              const struct shape_service *service)
{
    for (size_t i = 0; i < api->service_count; i++) {
        if (api->services[i].service == service) {
            return &api->services[i];
        }
    }
    return NULL;
}

static void call(struct api *api, struct op *op, const struct aws_route *route,
                 const struct aws_request *r, struct aws_answer *ret_answer)
{
    const struct shape_operation *operation = route->operation;
    const struct api_service *offered = find_service(api, route->service);
    struct aws_fault fault;
    if (offered == NULL) {
        bool is_form = route->protocol == AWS_QUERY || route->protocol == AWS_EC2;
        fault = aws_fault_unknown_operation(op, NULL, is_form, route->protocol == AWS_CBOR,
                                            route->operation_name);
        aws_answer_fault(op, route, &fault, ret_answer);
        return;
    }
    void *in = arena_alloc(&op->arena, operation->in->bytes);
    void *out = arena_alloc(&op->arena, operation->out->bytes);
    if (!aws_input_read(op, route, r, in, &fault)) {
        aws_answer_fault(op, route, &fault, ret_answer);
        return;
    }
    if (operation->call(offered->handlers, offered->self, op, in, out) != ERR_OK) {
        fault = aws_fault_of_note(op, route->service);
        aws_answer_fault(op, route, &fault, ret_answer);
        return;
    }
    aws_answer_result(op, route, out, ret_answer);
}

static void log_access(const struct op *op, const struct aws_route *route,
                       const struct aws_answer *answer, mono_t began)
{
    static const char *const protocols[] = {
        [AWS_JSON] = "json", [AWS_QUERY] = "query", [AWS_EC2] = "ec2", [AWS_CBOR] = "cbor"};
    struct str name = str_slice(route->operation_name, 0, LOGGED_NAME_BYTES_MAX);
    log_debug("api", "%s %.*s over %s for %.*s: %d, %zu bytes, %lld us, request %.*s",
              route->service == NULL ? "?" : route->service->name, STR_ARG(name),
              protocols[route->protocol], STR_ARG(op->access_key_id), answer->status,
              answer->body.len, (long long)mono_since(clock_mono(), began).us,
              STR_ARG(op->request_id));
}

void api_serve(struct api *api, struct op *op, const struct aws_request *request,
               struct aws_answer *ret_answer)
{
    mono_t began = clock_mono();
    struct sigv4_claim claim = {0};
    struct str text = STR("");
    struct aws_route route;
    op->request_id = rand_uuid(&op->arena);
    enum sigv4_fault fault = sigv4_claim_read(&op->arena, request, &claim, &text);
    aws_route_find(op, request, fault == SIGV4_OK ? claim.scope.service : STR_NONE, &route);

    fault = authenticate(api, op, request, &route, fault, &claim, &text);
    if (fault != SIGV4_OK) {
        bool is_form = route.protocol == AWS_QUERY || route.protocol == AWS_EC2;
        struct aws_fault told = aws_fault_of_signature((int)fault, route.service, is_form, text);
        aws_answer_fault(op, &route, &told, ret_answer);
    } else if (route.operation == NULL) {
        aws_answer_fault(op, &route, &route.fault, ret_answer);
    } else {
        call(api, op, &route, request, ret_answer);
    }
    log_access(op, &route, ret_answer, began);
}
