#pragma once
/* The data plane: workers that accept, route, relay and count; health checks and drains on the
 * owner's loop. It knows snapshots, not services.
 *
 * Threads  Every function here, and every call of lb_report, belongs to the thread of the owner's
 *          loop. Workers are threads of their own.
 * Owns     listening sockets that it was given, the snapshots that it made, its threads.
 * Time     Health intervals and deregistration delays follow dur_scaled(); timeouts of sockets and
 *          probes are real. */

#include "ev/loop.h"
#include "gen/lbconf.h"
#include "lb/report.h"

struct lb;
struct lbstats;

struct lb_options {
    size_t worker_count;            /* 0: one for each core, at most LB_WORKERS_MAX */
    uint32_t generation;            /* of this process, for the counters; not 0 */
    struct lbstats *stats;          /* lives longer than the lb */
    const struct lb_report *report; /* likewise */
    lb_listen_fn *listen;
    void *listen_self;
    struct str folder; /* where logs go; absent: none are written */
    bool is_pinned;    /* worker n to core n; for measurements */
};

enum err lb_create(struct op *op, struct ev_loop *loop, const struct lb_options *options,
                   struct lb **ret_lb) MUST_USE;
/* Takes over a whole configuration. ERR_INPUT, ERR_LIMIT, ERR_UNSUPPORTED with a sentence: nothing
 * has changed. report->published tells when every worker routes by it; versions must grow. */
enum err lb_publish(struct op *op, struct lb *lb, const struct lbconf_snapshot *snapshot) MUST_USE;
/* Answers an ERR_AGAIN of the listen function: one socket, or several of datagrams that share the
 * port. The descriptors belong to lb now; when the listener is gone meanwhile they are closed. */
void lb_listener_give(struct lb *lb, struct str listener_arn, const int *fds, size_t count);
/* Control exchanged the code of a user who came back: answers report->sign_in. */
void lb_signed_in(struct lb *lb, const struct lbconf_sign_in_answer *message);
/* The state of all targets, as if each had changed; for an owner that has just come. */
void lb_report_all(struct lb *lb);
/* Accepts nothing more, lets requests finish with `Connection: close`, and calls report->stopped
 * when the last connection is gone, at the latest after `at_most` (which is not scaled). */
void lb_stop(struct lb *lb, dur_t at_most);
/* After report->stopped. */
void lb_free(struct lb *lb);
