#include "aws/route.h"

#include "aws/services.h"
#include "base/check.h"
#include "shape/walk.h"

#define FAULT_TEXT_BYTES_MAX 128 /* of a client's word in a sentence */

static struct str shortened(struct str s)
{
    return str_slice(s, 0, FAULT_TEXT_BYTES_MAX);
}

static void set_operation(struct op *op, struct aws_route *route)
{
    bool is_form = route->protocol == AWS_QUERY || route->protocol == AWS_EC2;
    route->operation =
        route->service == NULL ? NULL : aws_operation_find(route->service, route->operation_name);
    if (route->operation == NULL) {
        route->fault =
            aws_fault_unknown_operation(op, route->service, is_form, route->protocol == AWS_CBOR,
                                        shortened(route->operation_name));
    }
}

/* POST /service/GraniteServiceVersion20100801/operation/DescribeAlarms: the last four parts count.
 */
static void route_cbor(struct op *op, const struct aws_request *r, struct aws_route *route)
{
    struct str last[4] = {STR_NONE};
    struct str rest = r->path;
    struct str part;
    while (str_next(&rest, '/', &part)) {
        memmove(last, last + 1, 3 * sizeof(last[0]));
        last[3] = part;
    }
    bool is_path = STR_IS(last[0], "service") && STR_IS(last[2], "operation");
    bool has_target = str_is_set(aws_header_find(r, STR("X-Amz-Target"))) ||
                      str_is_set(aws_header_find(r, STR("X-Amzn-Target")));
    route->protocol = AWS_CBOR;
    if (!is_path || has_target) {
        route->fault = (struct aws_fault){
            .error = {.code = "UnknownOperationException", .http_status = 404},
            .message = has_target ? STR("an rpc-v2-cbor request must not carry X-Amz-Target")
                                  : STR("the path must end in /service/NAME/operation/NAME")};
        return;
    }
    route->service = aws_service_by_target(last[1]);
    if (route->service != NULL && (route->service->protocols & SHAPE_PROTOCOL_CBOR) == 0) {
        route->service = NULL;
    }
    route->operation_name = last[3];
    set_operation(op, route);
}

static void route_json(struct op *op, const struct aws_request *r, struct str target,
                       struct aws_route *route)
{
    struct str type = aws_header_find(r, STR("Content-Type"));
    struct str prefix = STR("");
    struct str name = target;
    size_t dot = str_find_last_char(target, '.');
    if (dot != STR_NOT_FOUND) {
        prefix = str_slice(target, 0, dot);
        name = str_from(target, dot + 1);
    }
    route->protocol = AWS_JSON;
    route->json_version = str_starts_with(type, STR("application/x-amz-json-1.0")) ? "1.0" : "1.1";
    route->service = aws_service_by_target(prefix);
    if (route->service != NULL && (route->service->protocols & SHAPE_PROTOCOL_JSON) == 0) {
        route->service = NULL;
    }
    route->operation_name = name;
    set_operation(op, route);
}

/* Parameters come in the body, in the query string, or in both. */
static enum err read_form(struct op *op, const struct aws_request *r, struct url_form *ret_form)
{
    struct str text = r->body;
    if (r->query.len > 0) {
        text = r->body.len == 0
                   ? r->query
                   : arena_printf(&op->arena, "%.*s&%.*s", STR_ARG(r->query), STR_ARG(r->body));
    }
    return url_form_parse(op, text, ret_form);
}

static void route_query(struct op *op, const struct aws_request *r, struct str signing_name,
                        struct aws_route *route)
{
    route->service = aws_service_by_signing_name(signing_name);
    bool is_ec2 = route->service != NULL && (route->service->protocols & SHAPE_PROTOCOL_EC2) != 0;
    route->protocol = is_ec2 ? AWS_EC2 : AWS_QUERY;
    if (read_form(op, r, &route->form) != ERR_OK) {
        route->fault = aws_fault_of_input(op, route->service, true);
        return;
    }
    route->is_form_read = true;
    route->operation_name = url_form_find(&route->form, STR("Action"));
    struct str version = url_form_find(&route->form, STR("Version"));
    if (!str_is_set(signing_name)) {
        route->service = aws_service_by_version(version);
        is_ec2 = route->service != NULL && (route->service->protocols & SHAPE_PROTOCOL_EC2) != 0;
        route->protocol = is_ec2 ? AWS_EC2 : AWS_QUERY;
    }
    if (!str_is_set(route->operation_name)) {
        route->fault =
            (struct aws_fault){.error = {.code = "MissingAction", .http_status = 400},
                               .message = STR("The request must contain the parameter Action")};
        return;
    }
    bool speaks_query = route->service != NULL &&
                        (route->service->protocols & (SHAPE_PROTOCOL_QUERY | SHAPE_PROTOCOL_EC2));
    if (speaks_query && !str_equal(version, str_of(route->service->api_version))) {
        struct str asked = shortened(version);
        route->fault = (struct aws_fault){
            .error = {.code = "NoSuchVersion", .http_status = 400},
            .message = arena_printf(&op->arena,
                                    "The requested version (%.*s) of service %s does not exist",
                                    STR_ARG(asked), route->service->full_name)};
        return;
    }
    if (!speaks_query) {
        route->service = NULL;
    }
    set_operation(op, route);
}

void aws_route_find(struct op *op, const struct aws_request *r, struct str signing_name,
                    struct aws_route *ret_route)
{
    struct str target = aws_header_find(r, STR("X-Amz-Target"));
    *ret_route = (struct aws_route){.json_version = "1.1"};
    ret_route->is_query_mode =
        str_equal_nocase(aws_header_find(r, STR("x-amzn-query-mode")), STR("true"));
    if (str_is_set(aws_header_find(r, STR("Smithy-Protocol"))) ||
        str_find(r->path, STR("/operation/"), 0) != STR_NOT_FOUND) {
        route_cbor(op, r, ret_route);
    } else if (str_is_set(target) || str_starts_with(aws_header_find(r, STR("Content-Type")),
                                                     STR("application/x-amz-json"))) {
        route_json(op, r, target, ret_route);
    } else {
        route_query(op, r, signing_name, ret_route);
    }
}

static enum err decode(struct op *op, const struct aws_route *route, const struct aws_request *r,
                       struct shape_findings *findings, void *in)
{
    const struct shape *shape = route->operation->in;
    /* A member that we do not know is refused by name: a mistyped setting must not be lost
     * silently. */
    switch (route->protocol) {
    case AWS_JSON:
        return shape_json_decode_find(op, shape, r->body.len == 0 ? STR("{}") : r->body,
                                      SHAPE_STRICT, findings, in);
    case AWS_CBOR:
        return shape_cbor_decode_find(op, shape, r->body, SHAPE_STRICT, findings, in);
    case AWS_QUERY:
        return shape_query_decode(op, shape, &route->form, SHAPE_QUERY_AWS, SHAPE_STRICT, findings,
                                  in);
    case AWS_EC2:
        return shape_query_decode(op, shape, &route->form, SHAPE_QUERY_EC2, SHAPE_STRICT, findings,
                                  in);
    }
    UNREACHABLE("every protocol decodes");
}

bool aws_input_read(struct op *op, const struct aws_route *route, const struct aws_request *r,
                    void *in, struct aws_fault *ret_fault)
{
    struct shape_findings findings;
    bool is_form = route->protocol == AWS_QUERY || route->protocol == AWS_EC2;
    if (decode(op, route, r, &findings, in) == ERR_OK) {
        return true;
    }
    *ret_fault = findings.count > 0 ? aws_fault_of_findings(op, route->service, is_form, &findings)
                                    : aws_fault_of_input(op, route->service, is_form);
    op_note_clear(op);
    return false;
}
