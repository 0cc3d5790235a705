#pragma once
/* HTTPS calls of the control loop to servers outside, over libcurl's multi interface: nothing
 * blocks, names are looked up by libcurl's own threads. Only https, certificates are always
 * verified, redirects are not followed.
 *
 * Owns: a call is the client's until its answer was told or it was cancelled. */

#include "base/arena.h"
#include "base/op.h"

#define WEBCALL_BODY_BYTES_MAX   ((size_t)1024 * 1024)
#define WEBCALL_HEADER_BYTES_MAX ((size_t)64 * 1024)

struct ev_loop;
struct webcall_client;
struct webcall;

/* ca_file: PEM of the authorities that are trusted instead of the system's; NULL for those. */
enum err webcall_open(struct op *op, struct ev_loop *loop, const char *ca_file,
                      struct webcall_client **ret);
/* Cancels what is under way. */
void webcall_close(struct webcall_client *client);

struct webcall_request {
    const char *method;
    struct str url;
    struct str content_type; /* absent without a body */
    struct str body;
    struct str bearer; /* token of an Authorization field; absent: no such field */
    dur_t timeout;     /* of the whole call */
};

/* Valid while it is told. */
struct webcall_answer {
    bool has_come; /* else problem says why not */
    const char *problem;
    int status;
    struct str headers; /* lines "Name: value\r\n" */
    struct str body;
};
/* Absent without such a header; the first of several. */
struct str webcall_header(const struct webcall_answer *answer, struct str name);

typedef void webcall_fn(void *self, const struct webcall_answer *answer);

/* Copies the request. on_answer is called exactly once, in a later turn of the loop, unless the
 * call is cancelled before. */
struct webcall *webcall_start(struct webcall_client *client, const struct webcall_request *request,
                              webcall_fn *on_answer, void *self);
/* NULL is fine. */
void webcall_cancel(struct webcall *call);
