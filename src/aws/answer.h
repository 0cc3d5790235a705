#pragma once
/* Results and errors as a service of AWS puts them on the wire. Pure. */

#include "aws/fault.h"
#include "aws/request.h"
#include "aws/route.h"
#include "base/buf.h"

#define AWS_ANSWER_HEADERS_MAX 4
#define AWS_ANSWER_BYTES_MAX   (32 << 20)

struct aws_answer {
    int status;
    struct str content_type;
    struct aws_header headers[AWS_ANSWER_HEADERS_MAX]; /* besides Content-Type and -Length */
    size_t header_count;
    struct buf body;
};

void aws_answer_init(struct aws_answer *answer);
void aws_answer_fini(struct aws_answer *answer);

/* out: the operation's filled output. A result past AWS_ANSWER_BYTES_MAX becomes an error. */
void aws_answer_result(struct op *op, const struct aws_route *route, const void *out,
                       struct aws_answer *ret_answer);
void aws_answer_fault(struct op *op, const struct aws_route *route, const struct aws_fault *fault,
                      struct aws_answer *ret_answer);
