#pragma once
/* One HTTP request at a time, blocking, over libcurl, which keeps the connection. */

#include "aws/request.h"
#include "base/op.h"

struct aws_http;

struct aws_http_request {
    struct str method;
    struct str url; /* http or https */
    const struct aws_header *headers;
    size_t header_count;
    struct str body;
    dur_t connect_timeout;
    dur_t answer_timeout;
    bool has_no_proxy; /* for addresses of this machine and of the metadata services */
};

#define AWS_HTTP_HEADERS_MAX 64

/* Lives in the op's arena. */
struct aws_http_answer {
    int status;
    struct aws_header headers[AWS_HTTP_HEADERS_MAX]; /* later ones are dropped */
    size_t header_count;
    struct str body;
};

/* ca_file: absent takes the system's. */
enum err aws_http_open(struct op *op, struct str ca_file, struct aws_http **ret_http);
void aws_http_close(struct aws_http *http);
/* ERR_OK for every answer, whatever its status. ERR_NET, ERR_TIMEOUT, ERR_LIMIT, ERR_PROTOCOL with
 * a sentence that names the URL without its query. *ret_may_have_arrived: on failure, whether the
 * other side may have got the request. */
enum err aws_http_do(struct op *op, struct aws_http *http, const struct aws_http_request *request,
                     struct aws_http_answer *ret_answer, bool *ret_may_have_arrived);
/* "Fri, 20 Nov 2026 15:42:10 GMT" */
bool aws_http_date(struct str text, wall_t *ret_time);
