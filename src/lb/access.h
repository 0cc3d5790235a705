#pragma once
/* Lines of the access log and the connection log, with ALB's fields in ALB's order.
 *
 * A request's fields are written down when it begins, while its head is there (13 to 23), and the
 * others when it ends. Everything that came from outside is quoted with \xNN for quotes,
 * backslashes and what is not printable ASCII, so that no request can forge a field or a line.
 *
 * Times   -1 for what did not happen: all three when no target had the request, the last two when
 *         it did not answer.
 * Fields  31 to 33 (transformed host and URI, and how it went) are those that ALB appended last.
 * Source  ELB user guide, "Access log entries" and "Connection log entries". */

#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct lb_block;
struct lb_client;
struct lb_exchange;
struct lb_listener;
struct lb_log_ring;
struct lb_rule;
struct lb_own_answer;

/* A worker's. */
struct lb_log_pen {
    struct lb_log_ring *ring;      /* NULL: there are no logs */
    char *line;                    /* LB_LOG_LINE_BYTES_MAX */
    int64_t second;                /* that `date` shows */
    char date[20];                 /* "2026-11-20T19:44:17" */
    struct str trace;              /* of the request rewritten last; in head_room */
    const struct lb_rule *rule;    /* that the request in hand matched; NULL: none */
    struct lb_own_answer *pending; /* to be logged as soon as its bytes are known */
};

/* An exchange's. */
struct lb_access {
    struct lb_block *part; /* fields 13 to 23; NULL: not logged */
    uint64_t received_bytes;
    uint64_t reply_bytes; /* of the answer of our own that is about to be sent */
    dur_t target_took;
    uint16_t status; /* what the client gets; 0: nothing */
    uint16_t target_status;
    uint8_t verdict; /* enum h1_verdict */
    uint8_t reason;
};

/* The head is worker->request_head, just rewritten. Only when the listener logs. */
void lb_access_begin(struct lb_exchange *ex, const struct lb_rule *rule);
/* Before the exchange leaves its target. */
void lb_access_end(struct lb_exchange *ex);

/* An answer that no target was asked for. Whoever makes one points log_pen.pending at it, and
 * reply.c fills in and calls lb_access_own when the answer is written. */
struct lb_own_answer {
    const struct lb_rule *rule; /* NULL: none was asked */
    struct str redirect_url;    /* absent: no redirect */
    unsigned status;
    uint64_t received_bytes;
    uint64_t sent_bytes;
    const struct lb_listener *listener;
    bool has_head; /* worker->request_head is whole */
};
void lb_access_own(struct lb_client *c, const struct lb_own_answer *answer);
/* A client's connection is there, with its handshake done or failed. */
void lb_access_connection(const struct lb_client *c, const struct lb_listener *l, bool has_failed);
