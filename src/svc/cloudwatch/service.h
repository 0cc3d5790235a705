#pragma once
/* The service's own state; between the files of this module only. */

#include "ev/loop.h"
#include "svc/cloudwatch/alarms.h"
#include "svc/cloudwatch/cloudwatch.h"
#include "svc/cloudwatch/engine.h"
#include "svc/cloudwatch/metrics.h"

struct cloudwatch {
    struct cloudwatch_config config;
    char account[16];
    struct cw_metrics metrics;
    struct cw_engine engine;
    struct cw_alarms alarms;
    int64_t base_ticks;  /* windows are closed every so many ticks */
    int64_t closed_tick; /* the last boundary that was handled */
    struct ev_timer window_timer;
    struct ev_timer flush_timer;
    struct ev_timer expire_timer;
};

/* Asks for a batch to be written within `after` at most. */
void cw_flush_within(struct cloudwatch *cw, dur_t after);
/* An operation of the engine's own in that region. */
void cw_op_init(struct op *op, const struct cloudwatch *cw, struct str region);
