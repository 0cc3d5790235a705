#include "aws/wire.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/rand.h"
#include "codec/json.h"
#include "codec/xml.h"
#include "shape/walk.h"

#define REQUEST_BYTES_MAX (16 << 20)
#define MESSAGE_BYTES_MAX 600 /* of AWS's sentence in ours */

bool aws_wire_is_json(const struct shape_service *service)
{
    return (service->protocols & SHAPE_PROTOCOL_JSON) != 0;
}

static bool is_ec2(const struct shape_service *service)
{
    return (service->protocols & SHAPE_PROTOCOL_EC2) != 0;
}

struct str aws_answer_header(const struct aws_http_answer *answer, struct str name)
{
    struct aws_request r = {.headers = answer->headers, .header_count = answer->header_count};
    return aws_header_find(&r, name);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* A copy of the input in which absent idempotency tokens have a value. */
static const void *with_tokens(struct op *op, const struct shape *shape, const void *in)
{
    char *copy = NULL;
    for (size_t i = 0; i < shape->member_count; i++) {
        const struct shape_member *m = &shape->members[i];
        bool is_missing = (m->flags & SHAPE_TOKEN) != 0 && m->shape->type == SHAPE_STRING &&
                          !shape_member_is_set(m, in);
        if (!is_missing) {
            continue;
        }
        if (copy == NULL) {
            copy = arena_alloc(&op->arena, shape->bytes);
            memcpy(copy, in, shape->bytes);
        }
        struct str token = rand_uuid(&op->arena);
        memcpy(copy + m->offset, &token, sizeof(token));
    }
    return copy != NULL ? copy : in;
}

static void add_header(struct aws_wire_request *r, struct str name, struct str value)
{
    CHECK(r->header_count < AWS_WIRE_HEADERS_MAX);
    r->headers[r->header_count++] = (struct aws_header){.name = name, .value = value};
}

static void encode_json(struct op *op, const struct shape_service *service,
                        const struct shape_operation *operation, const void *in, struct buf *body,
                        struct aws_wire_request *r)
{
    shape_json_encode(body, operation->in, in);
    add_header(r, STR("Content-Type"),
               arena_printf(&op->arena, "application/x-amz-json-%s", service->json_version));
    add_header(r, STR("X-Amz-Target"),
               arena_printf(&op->arena, "%s.%s", service->target_prefix, operation->name));
    if (service->is_query_compatible) {
        add_header(r, STR("x-amzn-query-mode"), STR("true"));
    }
}

enum err aws_wire_encode(struct op *op, const struct shape_service *service,
                         const struct shape_operation *operation,
                         const struct aws_endpoint *endpoint, const void *in,
                         struct aws_wire_request *ret_request)
{
    auto_buf struct buf body;
    struct aws_wire_request r = {.path = endpoint->path};
    buf_init(&body, REQUEST_BYTES_MAX);
    in = with_tokens(op, operation->in, in);
    add_header(&r, STR("Host"), endpoint->host);
    if (aws_wire_is_json(service)) {
        encode_json(op, service, operation, in, &body, &r);
    } else {
        url_form_add(&body, STR("Action"), str_of(operation->name));
        url_form_add(&body, STR("Version"), str_of(service->api_version));
        shape_query_encode(&body, operation->in,
                           is_ec2(service) ? SHAPE_QUERY_EC2 : SHAPE_QUERY_AWS, in);
        add_header(&r, STR("Content-Type"),
                   STR("application/x-www-form-urlencoded; charset=utf-8"));
    }
    if (body.is_overflown) {
        return op_fail(op, ERR_LIMIT, "%s %s: the request has more than %d bytes", service->name,
                       operation->name, REQUEST_BYTES_MAX);
    }
    r.body = arena_str(&op->arena, buf_str(&body));
    *ret_request = r;
    return ERR_OK;
}

/* ---- results -------------------------------------------------------------------------------- */

/* Stands inside the root element. */
static enum err decode_root(struct op *op, const struct shape_operation *operation,
                            struct xml_reader *r, void *ret)
{
    struct str name;
    if (operation->result_wrapper == NULL) {
        return shape_xml_decode(op, operation->out, r, SHAPE_LENIENT, ret);
    }
    memset(ret, 0, operation->out->bytes);
    while (xml_next_child(r, &name)) {
        if (!str_equal(name, str_of(operation->result_wrapper))) {
            (void)xml_skip(r); /* xml_finish tells */
            continue;
        }
        TRY(shape_xml_decode(op, operation->out, r, SHAPE_LENIENT, ret));
    }
    return ERR_OK;
}

static enum err decode_xml(struct op *op, const struct shape_operation *operation, struct str body,
                           void *ret)
{
    struct xml_reader r;
    struct str name;
    xml_reader_init(&r, &op->arena, body);
    if (xml_enter_root(&r, &name)) {
        TRY(decode_root(op, operation, &r, ret));
    }
    return xml_finish(&r, op);
}

enum err aws_wire_decode(struct op *op, const struct shape_service *service,
                         const struct shape_operation *operation,
                         const struct aws_http_answer *answer, void *ret)
{
    enum err e;
    if (aws_wire_is_json(service)) {
        /* operations without output answer nothing */
        struct str body = answer->body.len == 0 ? STR("{}") : answer->body;
        e = shape_json_decode(op, operation->out, body, SHAPE_LENIENT, ret);
    } else {
        e = decode_xml(op, operation, answer->body, ret);
    }
    if (e != ERR_OK) {
        op_note_prefix(op, "%s %s answered something else than expected: ", service->name,
                       operation->name);
        op->note.kind = ERR_PROTOCOL; /* not our caller's input: the server's */
        return ERR_PROTOCOL;
    }
    return ERR_OK;
}

/* ---- errors --------------------------------------------------------------------------------- */

/* "com.amazonaws.ecs#ClusterNotFoundException:http://..." */
static struct str bare_code(struct str code)
{
    size_t colon = str_find_char(code, ':', 0);
    code = colon == STR_NOT_FOUND ? code : str_slice(code, 0, colon);
    size_t hash = str_find_last_char(code, '#');
    return str_trim(hash == STR_NOT_FOUND ? code : str_from(code, hash + 1));
}

static void read_json_error(struct op *op, struct str body, struct aws_wire_error *error)
{
    struct json_reader r;
    struct str key;
    struct str text;
    json_reader_init(&r, &op->arena, body);
    json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        if (json_peek(&r) != JSON_STRING) {
            json_skip(&r);
        } else if (json_read_string(&r, &text)) {
            if (STR_IS(key, "__type") || STR_IS(key, "code")) {
                error->code = bare_code(text);
            } else if (str_equal_nocase(key, STR("message"))) {
                error->message = text;
            }
        }
    }
}

/* <ErrorResponse><Error><Code/><Message/></Error><RequestId/></ErrorResponse>, or EC2's
 * <Response><Errors><Error>...</Error></Errors><RequestID/></Response>: looks for the names at any
 * depth. */
static void read_xml_error(struct op *op, struct str body, struct aws_wire_error *error)
{
    struct xml_reader r;
    struct str name;
    xml_reader_init(&r, &op->arena, body);
    if (!xml_enter_root(&r, &name)) {
        return;
    }
    while (r.error == NULL && r.depth > 0) {
        if (!xml_next_child(&r, &name)) {
            continue;
        }
        struct str *to = STR_IS(name, "Code")                       ? &error->code
                         : STR_IS(name, "Message")                  ? &error->message
                         : str_equal_nocase(name, STR("RequestId")) ? &error->request_id
                                                                    : NULL;
        bool is_holder = STR_IS(name, "Error") || STR_IS(name, "Errors");
        if (to != NULL) {
            (void)xml_read_text(&r, to); /* a broken answer leaves what was read */
        } else if (!is_holder) {
            (void)xml_skip(&r);
        }
    }
}

void aws_wire_decode_error(struct op *op, const struct shape_service *service,
                           const struct aws_http_answer *answer, struct aws_wire_error *ret_error)
{
    struct aws_wire_error error = {.code = STR(""), .message = STR(""), .request_id = STR("")};
    struct str id = aws_answer_header(answer, STR("x-amzn-requestid"));
    struct str type = aws_answer_header(answer, STR("x-amzn-errortype"));
    struct str query = aws_answer_header(answer, STR("x-amzn-query-error"));
    struct str code;
    struct str fault;
    if (aws_wire_is_json(service)) {
        read_json_error(op, answer->body, &error);
        if (error.code.len == 0 && str_is_set(type)) {
            error.code = bare_code(type);
        }
        if (service->is_query_compatible && str_is_set(query) &&
            str_cut(query, ';', &code, &fault)) {
            error.code = str_trim(code);
        }
    } else {
        read_xml_error(op, answer->body, &error);
    }
    error.request_id = str_is_set(id) ? id : error.request_id;
    *ret_error = error;
}

/* What a code means to us. The first match wins. */
static const struct {
    struct str pattern;
    enum err kind;
} kinds[] = {
    {STR_INIT("*Throttl*"), ERR_THROTTLED},
    {STR_INIT("*TooManyRequests*"), ERR_THROTTLED},
    {STR_INIT("RequestLimitExceeded"), ERR_THROTTLED},
    {STR_INIT("PriorRequestNotComplete"), ERR_THROTTLED},
    {STR_INIT("SlowDown"), ERR_THROTTLED},
    {STR_INIT("AccessDenied*"), ERR_DENIED},
    {STR_INIT("UnauthorizedOperation"), ERR_DENIED},
    {STR_INIT("AuthFailure"), ERR_DENIED},
    {STR_INIT("OptInRequired"), ERR_DENIED},
    {STR_INIT("*Signature*"), ERR_DENIED},
    {STR_INIT("ExpiredToken*"), ERR_DENIED},
    {STR_INIT("InvalidClientTokenId"), ERR_DENIED},
    {STR_INIT("UnrecognizedClient*"), ERR_DENIED},
    {STR_INIT("MissingAuthenticationToken*"), ERR_DENIED},
    {STR_INIT("*NotFound*"), ERR_NOT_FOUND},
    {STR_INIT("*DoesNotExist*"), ERR_NOT_FOUND},
    {STR_INIT("*AlreadyExists*"), ERR_EXISTS},
    {STR_INIT("Duplicate*"), ERR_EXISTS},
    {STR_INIT("*Conflict*"), ERR_CONFLICT},
    {STR_INIT("*InUse*"), ERR_CONFLICT},
    {STR_INIT("UpdateInProgress*"), ERR_CONFLICT},
    {STR_INIT("OperationAborted*"), ERR_CONFLICT},
    {STR_INIT("*LimitExceeded*"), ERR_LIMIT},
    {STR_INIT("TooMany*"), ERR_LIMIT},
    {STR_INIT("*Unsupported*"), ERR_UNSUPPORTED},
    {STR_INIT("UnknownOperation*"), ERR_UNSUPPORTED},
    {STR_INIT("InvalidAction"), ERR_UNSUPPORTED},
    {STR_INIT("*Invalid*"), ERR_INPUT},
    {STR_INIT("*Validation*"), ERR_INPUT},
    {STR_INIT("*Required*"), ERR_INPUT},
    {STR_INIT("Missing*"), ERR_INPUT},
    {STR_INIT("Malformed*"), ERR_INPUT},
    {STR_INIT("Serialization*"), ERR_INPUT},
    {STR_INIT("ClientException"), ERR_INPUT},
    {STR_INIT("NotActive"), ERR_STATE},
};

static enum err kind_of(struct str code, int status)
{
    if (status >= 500) {
        return ERR_REMOTE;
    }
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (str_match(kinds[i].pattern, code, false)) {
            return kinds[i].kind;
        }
    }
    return status == 429 ? ERR_THROTTLED : status == 403 ? ERR_DENIED : ERR_REMOTE;
}

static const struct err_public *modelled(const struct shape_service *service, struct str code)
{
    for (size_t i = 0; i < service->error_count; i++) {
        const struct err_public *e = service->errors[i];
        bool is_shape = e->shape_name != NULL && str_equal(code, str_of(e->shape_name));
        if (is_shape || str_equal(code, str_of(e->code))) {
            return e;
        }
    }
    return NULL;
}

enum err aws_wire_fail(struct op *op, const struct shape_service *service,
                       const struct shape_operation *operation, int status,
                       const struct aws_wire_error *error)
{
    struct str message = str_slice(error->message, 0, MESSAGE_BYTES_MAX);
    if (error->code.len == 0) {
        return op_fail(op, kind_of(error->code, status),
                       "%s %s: the endpoint answered %d and "
                       "named no error of AWS",
                       service->name, operation->name, status);
    }
    return op_fail_as(op, kind_of(error->code, status), modelled(service, error->code),
                      "%s %s: %.*s%s%.*s", service->name, operation->name, STR_ARG(error->code),
                      message.len == 0 ? "" : ": ", STR_ARG(message));
}
