#pragma once
/* Asynchronous HTTP/1.1 requests over TCP or a Unix socket, without TLS: the Docker Engine API,
 * probes, webhooks inside. One connection a call, closed afterwards; nothing is retried.
 *
 * Shape   struct httpio_call is embedded in its owner; zero it before its first use. After on_done,
 *         or httpio_call_cancel(), it may be used again or freed, in the callback too.
 * Limits  the response is not trusted: its head is at most H1_RESPONSE_BYTES_MAX, a collected body
 *         at most bytes_max, every wait has a limit. */

#include "ev/loop.h"
#include "http/h1.h"
#include "httpio/limits.h"
#include "httpio/server.h"
#include "net/addr.h"

struct httpio_call;

struct httpio_result {
    enum err err;     /* ERR_OK: a whole response came, whatever its status */
    const char *text; /* for people, when err is not ERR_OK: "could not connect to ...: ..." */
    unsigned status;  /* 0 while no head came */
    const struct h1_head *head; /* NULL while no head came */
    struct str body;            /* collected; empty for a streamed one */
};

/* Views live until the callback returns. */
typedef void httpio_head_fn(struct httpio_call *call, const struct h1_head *head);
typedef void httpio_body_fn(struct httpio_call *call, struct str piece);
typedef void httpio_done_fn(struct httpio_call *call, const struct httpio_result *result);

struct httpio_call_options {
    struct net_addr addr;
    struct str method;
    struct str target; /* "/containers/json?all=1" */
    struct str host;   /* Host field; absent: the address */
    const struct httpio_field *fields;
    size_t field_count;
    struct str content_type; /* absent: none */
    struct str body;         /* lives until on_done; is_set and empty sends Content-Length: 0 */
    httpio_head_fn *on_head; /* may be NULL */
    httpio_body_fn *on_body; /* NULL: the body is collected into the result */
    httpio_done_fn *on_done;
    size_t bytes_max;      /* of a collected body; 0: HTTPIO_RESPONSE_BYTES_DEFAULT */
    dur_t connect_timeout; /* 0: the defaults of limits.h; HTTPIO_NO_TIMEOUT: none */
    dur_t answer_timeout;
    dur_t silence_timeout;
    dur_t whole_timeout; /* 0: none */
};

#define HTTPIO_NO_TIMEOUT ((dur_t){.us = INT64_MAX})

struct httpio_call_state; /* buffers and parser, freed before on_done returns */

struct httpio_call {
    struct ev_loop *loop;
    struct httpio_call_state *state; /* NULL: not running */
    void *user;
};

/* Starts the call. All ends are told by on_done, never inside this function: a refused connection
 * too. The texts in options are copied but for the body. */
void httpio_call_start(struct ev_loop *loop, struct httpio_call *call,
                       const struct httpio_call_options *options);
/* Ends it without on_done. Fine when it does not run. */
void httpio_call_cancel(struct httpio_call *call);
/* Back-pressure for streamed bodies: no more on_body (nor a silence timeout) until resumed. */
void httpio_call_pause(struct httpio_call *call);
void httpio_call_resume(struct httpio_call *call);

static inline bool httpio_call_is_running(const struct httpio_call *call)
{
    return call->state != NULL;
}
