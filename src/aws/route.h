#pragma once
/* Which operation a request asks for, and in which protocol. Pure. */

#include "aws/fault.h"
#include "aws/request.h"
#include "base/op.h"
#include "codec/urlenc.h"
#include "shape/shape.h"

enum aws_protocol { AWS_JSON, AWS_QUERY, AWS_EC2, AWS_CBOR };

/* Meaningful also when no operation was found: the protocol says how to answer. */
struct aws_route {
    enum aws_protocol protocol;
    const struct shape_service *service;     /* NULL when unknown */
    const struct shape_operation *operation; /* NULL when unknown: fault says why */
    struct str operation_name;               /* as asked; may be absent */
    const char *json_version;                /* of JSON answers: "1.0" or "1.1" */
    bool is_query_mode;                      /* wants x-amzn-query-error on errors */
    bool is_form_read;
    struct url_form form;   /* query and ec2: parameters of query string and body */
    struct aws_fault fault; /* when operation is NULL */
};

/* signing_name: of the credential scope; absent when the request is not signed. */
void aws_route_find(struct op *op, const struct aws_request *r, struct str signing_name,
                    struct aws_route *ret_route);

/* Decodes and validates the input of the route's operation; `in` has room for it. On failure
 * *ret_fault says it in the service's words. */
bool aws_input_read(struct op *op, const struct aws_route *route, const struct aws_request *r,
                    void *in, struct aws_fault *ret_fault);
