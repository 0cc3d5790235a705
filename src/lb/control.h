#pragma once
/* Inside of lb on the control thread. */

#include "lb/conf.h"
#include "lb/lb.h"
#include "lb/registry.h"
#include "lb/sources.h"
#include "lb/worker.h"

struct lb {
    struct ev_loop *loop;
    struct lb_logs *logs; /* NULL: none */
    struct lb_options options;
    struct lb_registry registry;
    struct ev_wake wake; /* workers have something to tell */
    struct ev_timer tick;
    struct ev_timer drain_timer;
    struct ev_timer stop_timer;
    struct lb_blocks blocks; /* of probes that speak TLS */
    struct lb_tls_room tls_room;
    struct ev_timer watch_timer;    /* the end of the window for anomalies */
    _Atomic(struct lb_conf *) conf; /* the newest; each worker takes it when woken */
    struct lb_conf *older;          /* that some request or worker may still use */
    uint64_t published_version;     /* by which all workers route, as reported */
    size_t probes_open;
    struct lb_sources *sources;
    struct lb_mailbox sign_ins; /* from workers */
    atomic_bool is_stopping;
    atomic_bool must_cut; /* the time for stopping is over */
    bool is_stopped;
    size_t worker_count;
    struct lb_worker workers[];
};

static inline struct lb_conf *lb_newest(struct lb *lb)
{
    return atomic_load_explicit(&lb->conf, memory_order_relaxed);
}
void lb_wake_workers(struct lb *lb);

/* probe.c: health checks */
/* Starts, stops and re-aims probes for a configuration that is about to become the newest, and sets
 * the health of targets that are not checked. */
void lb_probes_adopt(struct lb *lb, struct lb_conf *conf);
void lb_probes_close(struct lb *lb, struct lb_conf *conf);
void lb_probe_report(struct lb *lb, const struct lb_group *g, const struct lb_target *t);
struct lb_health_row lb_probe_row(const struct lb *lb, const struct lb_group *g,
                                  const struct lb_target *t, char *room, size_t room_bytes);

/* drain.c */
void lb_drains_adopt(struct lb *lb, struct lb_conf *conf, const struct lbconf_snapshot *snapshot);
/* Reports targets that have nothing in flight any more, and ends delays. */
void lb_drains_check(struct lb *lb);

/* watch.c */
void lb_watch_adopt(struct lb *lb, const struct lb_conf *conf);
/* Ejects the targets that workers want to be ejected. */
void lb_watch_eject(struct lb *lb);
bool lb_watch_is_anomalous(const struct lb_peer *peer);

#define LB_DESCRIPTION_BYTES 128
