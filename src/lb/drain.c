/* Deregistration: a target gets nothing new, finishes what it has, and is reported as drained when
 * that is zero over all workers (with hitless.deregistration_delay.full_wait not before the delay
 * is over, as AWS shows it); at the latest when its delay is over, which cuts the rest.
 *
 * Why zero is exact: each worker has said that it routes by a version in which the target drains,
 * so no count can rise any more. */

#include "base/check.h"
#include "lb/control.h"

static void on_due(struct ev_timer *t)
{
    lb_drains_check(CONTAINER_OF(t, struct lb, drain_timer));
}

static const struct lbconf_target *snapshot_target(const struct lbconf_snapshot *snapshot,
                                                   size_t group, const struct lb_peer *peer)
{
    const struct lbconf_targets *targets = &snapshot->target_groups.items[group].targets;
    for (size_t i = 0; i < targets->count; i++) {
        if (targets->items[i].port.value == peer->port &&
            str_equal(targets->items[i].host, peer->host)) {
            return &targets->items[i];
        }
    }
    UNREACHABLE("the configuration was made of this snapshot");
}

/* What has passed since the snapshot says that it began counts. */
static void begin(struct lb *lb, struct lb_conf *conf, const struct lb_group *g,
                  struct lb_peer *peer, const struct lbconf_target *t)
{
    dur_t passed = DUR_US(0);
    if (t->draining_since_ms.is_set) {
        passed = wall_since(clock_wall(), (wall_t){.us = t->draining_since_ms.value * 1000});
    }
    if (passed.us < 0) {
        passed = DUR_US(0);
    }
    peer->draining_since = conf->version;
    mono_t until = mono_add(ev_now(lb->loop), DUR_US(dur_scaled(g->drain).us - passed.us));
    atomic_store(&peer->drain_until_us, until.us);
    atomic_store_explicit(&peer->is_draining, true, memory_order_release);
}

void lb_drains_adopt(struct lb *lb, struct lb_conf *conf, const struct lbconf_snapshot *snapshot)
{
    for (size_t i = 0; i < conf->group_count; i++) {
        const struct lb_group *g = &conf->groups[i];
        for (size_t j = 0; j < g->target_count; j++) {
            struct lb_peer *peer = g->targets[j].peer;
            bool was_draining = atomic_load(&peer->is_draining);
            if (g->targets[j].is_draining && !was_draining) {
                begin(lb, conf, g, peer, snapshot_target(snapshot, i, peer));
            } else if (!g->targets[j].is_draining && was_draining) {
                atomic_store(&peer->is_draining, false); /* registered again */
                atomic_store(&peer->is_expired, false);
                peer->is_drain_reported = false;
            }
        }
    }
}

/* True when the target still waits; *next is the earliest end of a delay. */
static void check(struct lb *lb, const struct lb_group *g, struct lb_peer *peer,
                  bool *wakes_workers, mono_t *next)
{
    if (peer->is_drain_reported || lb->published_version < peer->draining_since) {
        return;
    }
    mono_t until = {.us = atomic_load(&peer->drain_until_us)};
    bool is_over = until.us <= ev_now(lb->loop).us;
    bool may_end = !g->waits_fully || is_over;
    if (may_end && lb_peer_inflight(peer, lb->worker_count) == 0) {
        peer->is_drain_reported = true;
        lb->options.report->drained(lb->options.report->self, peer->group_arn, peer->host,
                                    peer->port);
        return;
    }
    if (!is_over) {
        if (next->us == 0 || until.us < next->us) {
            *next = until;
        }
    } else if (!atomic_exchange(&peer->is_expired, true)) {
        *wakes_workers = true;
    }
}

void lb_drains_check(struct lb *lb)
{
    struct lb_conf *conf = lb_newest(lb);
    bool wakes_workers = false;
    mono_t next = {0};
    for (size_t i = 0; conf != NULL && i < conf->group_count; i++) {
        const struct lb_group *g = &conf->groups[i];
        for (size_t j = g->usable_count; j < g->target_count; j++) {
            check(lb, g, g->targets[j].peer, &wakes_workers, &next);
        }
    }
    if (wakes_workers) {
        lb_wake_workers(lb);
    }
    if (next.us != 0) {
        ev_timer_set_at(lb->loop, &lb->drain_timer, next, on_due);
    }
}
