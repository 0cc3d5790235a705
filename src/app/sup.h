#pragma once
/* The supervisor: starts control and lb, gives each its end of a channel between them, keeps their
 * listening sockets and the counter memory, restarts what dies. It parses no traffic and holds no
 * configuration.
 *
 * Start    both roles at once; when both have said PROC_READY for the first time, ready_line goes
 *          to stdout.
 * Restart  the first at once, then with growing pauses (proc_backoff_next). A new pair of channel
 *          ends goes to both roles (PROC_PEER). Only the first control inherits HITLESS_FAULT_AT.
 * Stop     SIGTERM, SIGINT or SIGHUP: PROC_STOP to control, wait; PROC_STOP to lb, wait; a role
 *          past its limit is killed. A second such signal kills both.
 * Death    of sup, however it comes, kills the roles (parent-death signal). Tasks are not roles. */

#include "app/roles.h"

#define SUP_CONTROL_STOP_MS_DEFAULT 30000
#define SUP_LB_STOP_MS_DEFAULT      30000
#define SUP_STOP_GRACE_MS           1000 /* past the limit that the role was told */
#define SUP_MUTE_MS                 5000 /* a role may live without its channel */

struct sup_options {
    const char *program; /* NULL: PROC_SELF */
    int word_count;      /* behind `serve`; every role gets them */
    char *const *words;
    const char *ready_line;   /* without line end; NULL: none */
    dur_t control_stop_limit; /* 0: the defaults */
    dur_t lb_stop_limit;
};

/* Runs until it is told to stop. Returns the exit code: 0, or 1 when it could not begin or a role
 * said that it is hopeless. */
int sup_run(const struct sup_options *options);
