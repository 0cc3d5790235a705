#pragma once
/* One HTTP request over libcurl: for verification and webhooks. The URL may be a secret: it never
 * stands in an error. */

#include "base/op.h"

#define WEB_ANSWER_BYTES_MAX (1u << 20)

struct web_request {
    struct str url;
    struct str json_body; /* absent: GET */
    dur_t timeout;        /* of the whole exchange */
};

struct web_answer {
    int status;
    struct str body; /* in the op's arena, cut at WEB_ANSWER_BYTES_MAX */
};

enum err web_send(struct op *op, const struct web_request *request,
                  struct web_answer *ret) MUST_USE;
