#include "aws/request.h"

struct str aws_header_find(const struct aws_request *r, struct str name)
{
    for (size_t i = 0; i < r->header_count; i++) {
        if (str_equal_nocase(r->headers[i].name, name)) {
            return r->headers[i].value;
        }
    }
    return STR_NONE;
}
