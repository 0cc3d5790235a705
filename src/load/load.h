#pragma once
/* A client that sends requests at a constant rate and keeps account of every single one: what a
 * person would have seen while something was deployed. Open loop: a request is due at its time
 * whether or not earlier ones were answered, and its latency counts from that time. Keep-alive; a
 * connection that the server announced as closed, or closed while idle, is replaced silently; one
 * that dies under a request makes that request a failed one. Nothing is retried. */

#include "base/op.h"
#include "net/addr.h"

#define LOAD_CONNECTIONS_MAX    4096
#define LOAD_VERSION_BYTES      16
#define LOAD_RATE_MAX           200000
#define LOAD_REQUEST_TIMEOUT_MS 10000

enum load_outcome {
    LOAD_ANSWERED,   /* a whole answer, whatever its status */
    LOAD_NO_CONNECT, /* the connection was refused or timed out */
    LOAD_BROKEN,     /* it died before the answer was whole */
    LOAD_MALFORMED,  /* not an HTTP answer */
    LOAD_TIMED_OUT,  /* no whole answer within LOAD_REQUEST_TIMEOUT_MS */
};

struct load_sample {
    wall_t due;
    dur_t took; /* from due to the last byte */
    enum load_outcome outcome;
    int status;                       /* 100..599, 0 unless answered */
    char version[LOAD_VERSION_BYTES]; /* the answer's X-Version, "" where it has none */
};

struct load_options {
    struct net_addr addr;
    struct str host;         /* Host field */
    struct str path;         /* starts with "/" */
    double rate_per_s;       /* above 0, at most LOAD_RATE_MAX */
    size_t connection_count; /* 1..LOAD_CONNECTIONS_MAX */
    dur_t duration;          /* 0: until load_stop() */
    void *self;
    void (*on_sample)(void *self, const struct load_sample *sample);
};

struct load;

/* Runs until the duration is over, or load_stop() was called and the requests under way are done.
 */
enum err load_run(struct op *op, const struct load_options *options) MUST_USE;
/* From a signal handler or another thread. */
void load_stop(void);

const char *load_outcome_text(enum load_outcome outcome);
