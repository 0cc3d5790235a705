#include "aws/answer.h"

#include "base/check.h"
#include "codec/cbor.h"
#include "codec/json.h"
#include "codec/xml.h"
#include "shape/walk.h"

void aws_answer_init(struct aws_answer *answer)
{
    *answer = (struct aws_answer){.status = 200};
    buf_init(&answer->body, AWS_ANSWER_BYTES_MAX);
}

void aws_answer_fini(struct aws_answer *answer)
{
    buf_fini(&answer->body);
}

static void add_header(struct aws_answer *answer, struct str name, struct str value)
{
    CHECK(answer->header_count < AWS_ANSWER_HEADERS_MAX);
    answer->headers[answer->header_count++] = (struct aws_header){.name = name, .value = value};
}

static void set_envelope(struct op *op, const struct aws_route *route, struct aws_answer *answer)
{
    answer->header_count = 0;
    buf_reset(&answer->body);
    add_header(answer, STR("x-amzn-RequestId"), op->request_id);
    switch (route->protocol) {
    case AWS_JSON:
        answer->content_type =
            arena_printf(&op->arena, "application/x-amz-json-%s", route->json_version);
        break;
    case AWS_CBOR:
        answer->content_type = STR("application/cbor");
        add_header(answer, STR("Smithy-Protocol"), STR("rpc-v2-cbor"));
        break;
    case AWS_QUERY:
        answer->content_type = STR("text/xml");
        break;
    case AWS_EC2:
        answer->content_type = STR("text/xml;charset=UTF-8");
        break;
    }
}

/* <DescribeVpcsResponse xmlns="..."> */
static void open_root(struct buf *out, const struct shape_service *service, const char *name,
                      const char *suffix)
{
    buf_addf(out, "<%s%s xmlns=\"", name, suffix);
    xml_text(out, str_of(service->xmlns));
    buf_add(out, STR("\">"));
}

static void add_query_result(struct op *op, const struct aws_route *route, const void *out,
                             struct buf *body)
{
    const struct shape_operation *operation = route->operation;
    open_root(body, route->service, operation->name, "Response");
    if (operation->result_wrapper != NULL) {
        xml_open(body, str_of(operation->result_wrapper));
        shape_xml_encode(body, operation->out, out);
        xml_close(body, str_of(operation->result_wrapper));
    }
    xml_open(body, STR("ResponseMetadata"));
    xml_element(body, STR("RequestId"), op->request_id);
    xml_close(body, STR("ResponseMetadata"));
    buf_addf(body, "</%sResponse>", operation->name);
}

static void add_ec2_result(struct op *op, const struct aws_route *route, const void *out,
                           struct buf *body)
{
    buf_add(body, STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
    open_root(body, route->service, route->operation->name, "Response");
    xml_element(body, STR("requestId"), op->request_id);
    shape_xml_encode(body, route->operation->out, out);
    buf_addf(body, "</%sResponse>", route->operation->name);
}

void aws_answer_result(struct op *op, const struct aws_route *route, const void *out,
                       struct aws_answer *ret_answer)
{
    struct buf *body = &ret_answer->body;
    set_envelope(op, route, ret_answer);
    ret_answer->status = 200;
    switch (route->protocol) {
    case AWS_JSON:
        shape_json_encode(body, route->operation->out, out);
        break;
    case AWS_CBOR:
        shape_cbor_encode(body, route->operation->out, out);
        break;
    case AWS_QUERY:
        add_query_result(op, route, out, body);
        break;
    case AWS_EC2:
        add_ec2_result(op, route, out, body);
        break;
    }
    if (body->is_overflown) {
        struct aws_fault fault = {
            .error = {.code = "InternalFailure", .http_status = 500, .is_server_fault = true},
            .message = STR("The answer is too large; ask for less at a time.")};
        aws_answer_fault(op, route, &fault, ret_answer);
    }
}

static void add_query_fault(struct op *op, const struct aws_route *route,
                            const struct aws_fault *fault, struct buf *body)
{
    if (route->service != NULL && route->service->xmlns != NULL) {
        open_root(body, route->service, "ErrorResponse", "");
    } else {
        xml_open(body, STR("ErrorResponse"));
    }
    xml_open(body, STR("Error"));
    xml_element(body, STR("Type"), fault->error.is_server_fault ? STR("Receiver") : STR("Sender"));
    xml_element(body, STR("Code"), str_of(fault->error.code));
    xml_element(body, STR("Message"), fault->message);
    xml_close(body, STR("Error"));
    xml_element(body, STR("RequestId"), op->request_id);
    xml_close(body, STR("ErrorResponse"));
}

static void add_ec2_fault(struct op *op, const struct aws_fault *fault, struct buf *body)
{
    buf_add(body, STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>"));
    xml_element(body, STR("Code"), str_of(fault->error.code));
    xml_element(body, STR("Message"), fault->message);
    buf_add(body, STR("</Error></Errors>"));
    xml_element(body, STR("RequestID"), op->request_id);
    buf_add(body, STR("</Response>"));
}

static void add_json_fault(struct str type, struct str message, struct buf *body)
{
    struct json_writer w;
    json_writer_init(&w, body);
    json_begin_object(&w);
    json_key(&w, STR("__type"));
    json_add_string(&w, type);
    json_key(&w, STR("message"));
    json_add_string(&w, message);
    json_end_object(&w);
}

static void add_cbor_fault(struct str type, struct str message, struct buf *body)
{
    cbor_add_map(body, 2);
    cbor_add_text(body, STR("__type"));
    cbor_add_text(body, type);
    cbor_add_text(body, STR("message"));
    cbor_add_text(body, message);
}

void aws_answer_fault(struct op *op, const struct aws_route *route, const struct aws_fault *fault,
                      struct aws_answer *ret_answer)
{
    struct buf *body = &ret_answer->body;
    const struct err_public *error = &fault->error;
    struct str type = str_of(error->shape_name != NULL ? error->shape_name : error->code);
    set_envelope(op, route, ret_answer);
    ret_answer->status = error->http_status;
    switch (route->protocol) {
    case AWS_JSON:
        add_json_fault(type, fault->message, body);
        break;
    case AWS_CBOR:
        add_cbor_fault(type, fault->message, body);
        break;
    case AWS_QUERY:
        add_query_fault(op, route, fault, body);
        return;
    case AWS_EC2:
        add_ec2_fault(op, fault, body);
        return;
    }
    if (route->is_query_mode && route->service != NULL && route->service->is_query_compatible) {
        add_header(ret_answer, STR("x-amzn-query-error"),
                   arena_printf(&op->arena, "%s;%s", error->code,
                                error->is_server_fault ? "Receiver" : "Sender"));
    }
}
