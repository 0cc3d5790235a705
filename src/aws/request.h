#pragma once
/* One HTTP request as it stands on the wire, and one answer, for the parts of this module that know
 * no socket. */

#include "base/arena.h"
#include "base/str.h"

#define AWS_HEADERS_MAX 128

struct aws_header {
    struct str name; /* any letter case */
    struct str value;
};

/* Everything lives at least as long as the op that serves the request. */
struct aws_request {
    struct str method;
    struct str path;  /* from "/" to before "?", percent-coded as received */
    struct str query; /* behind "?", may be empty */
    const struct aws_header *headers;
    size_t header_count;
    struct str body;      /* unpacked */
    struct str sent_body; /* as sent, when it was packed (Content-Encoding); else absent */
};

/* The first header of that name (any letter case); absent when there is none. */
struct str aws_header_find(const struct aws_request *r, struct str name);
