#pragma once
/* The engine on this machine, for `target: local`: found, or started in the background. */

#include "deployer/cloud.h"

#include <sys/types.h>

#define LOCAL_API_DEFAULT "127.0.0.1:4566"
#define LOCAL_READY_MS    20000

struct local_engine {
    struct str state;    /* folder */
    struct str api;      /* "127.0.0.1:4566" */
    struct str endpoint; /* "http://127.0.0.1:4566" */
    int64_t time_scale;
    const char *runtime; /* "auto" */
};

/* $HITLESS_STATE, else what `hitless serve` uses without --state. */
struct str local_state(struct arena *a);
bool local_answers(struct op *op, struct str endpoint);
/* Starts one and waits until it answers; its log goes to STATE/engine.log. With is_child it ends
 * with us; otherwise it goes on by itself. */
enum err local_start(struct op *op, const struct local_engine *e, bool is_child,
                     pid_t *ret_pid) MUST_USE;
