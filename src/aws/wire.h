#pragma once
/* The client's half of the protocols: a typed input as a request, an answer as a typed output or as
 * an error. Pure. */

#include "aws/client.h"
#include "aws/endpoint.h"
#include "aws/http.h"

#define AWS_WIRE_HEADERS_MAX 6

struct aws_wire_request {
    struct str path;
    struct aws_header headers[AWS_WIRE_HEADERS_MAX];
    size_t header_count;
    struct str body;
};

/* Fills in idempotency tokens that are absent. Lives in the op's arena. ERR_LIMIT when the input is
 * past what any service takes. */
enum err aws_wire_encode(struct op *op, const struct shape_service *service,
                         const struct shape_operation *operation,
                         const struct aws_endpoint *endpoint, const void *in,
                         struct aws_wire_request *ret_request);

struct aws_wire_error {
    struct str code;    /* as AWS writes it: "ClusterNotFoundException"; may be empty */
    struct str message; /* may be empty */
    struct str request_id;
};

/* Decodes a 2xx answer into ret. ERR_PROTOCOL when it cannot. */
enum err aws_wire_decode(struct op *op, const struct shape_service *service,
                         const struct shape_operation *operation,
                         const struct aws_http_answer *answer, void *ret);
/* Reads the error in any other answer; what cannot be read has an empty code. */
void aws_wire_decode_error(struct op *op, const struct shape_service *service,
                           const struct aws_http_answer *answer, struct aws_wire_error *ret_error);
/* Puts the error into the op's note and returns its kind. */
enum err aws_wire_fail(struct op *op, const struct shape_service *service,
                       const struct shape_operation *operation, int status,
                       const struct aws_wire_error *error);

struct str aws_answer_header(const struct aws_http_answer *answer, struct str name);
/* JSON where the service has it, else query. */
bool aws_wire_is_json(const struct shape_service *service);
