/* Targets that answer, but badly. Workers count answers and faults; the control thread judges.
 *
 * Outliers   (hitless.outlier_detection.*) so many faults in a row, seen by one worker, eject a
 *            target for a time; never more than a part of the group at once.
 * Anomalies  (ALB) every window the share of faults of each healthy target is compared with that of
 *            the others. Under mitigation an anomalous one gets a fourth of its turns, again and
 *            again; when it is normal again, twice as many, until it has its whole share. */

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "lb/control.h"

struct lb_watch {
    unsigned answers_before; /* sums over the workers at the end of the last window */
    unsigned faults_before;
    unsigned answers; /* in the windows since it was judged */
    unsigned faults;
    unsigned quiet_windows; /* since then; 0: there were enough answers in the last one */
    bool is_anomalous;
};

/* ---- workers --------------------------------------------------------------------------------- */

/* A count with one writer: no atomic read-modify-write. */
static void add_one(atomic_uint *count)
{
    unsigned now = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, now + 1, memory_order_relaxed);
}

void lb_watch_answer(struct lb_exchange *ex, bool is_fault)
{
    struct lb_worker *w = ex->client->worker;
    struct lb_pool *pool = ex->pool;
    struct lb_count *count = &pool->peer->inflight[w->id];
    add_one(&count->answers);
    if (!is_fault) {
        pool->fault_run = 0;
        return;
    }
    add_one(&count->faults);
    pool->fault_run++;
    uint32_t run_max = ex->group->outliers.fault_run;
    if (run_max > 0 && pool->fault_run >= run_max) {
        pool->fault_run = 0;
        atomic_store(&pool->peer->wants_ejection, true);
        ev_wake_up(&w->lb->wake);
    }
}

/* ---- outliers -------------------------------------------------------------------------------- */

static size_t count_ejected(const struct lb_group *g, mono_t now)
{
    size_t count = 0;
    for (size_t i = 0; i < g->usable_count; i++) {
        count += atomic_load(&g->targets[i].peer->ejected_until_us) > now.us;
    }
    return count;
}

static void eject(struct lb *lb, const struct lb_group *g, struct lb_peer *peer)
{
    mono_t now = ev_now(lb->loop);
    size_t most = g->usable_count * g->outliers.percent_max / 100;
    if (atomic_load(&peer->ejected_until_us) > now.us || count_ejected(g, now) >= most) {
        return;
    }
    mono_t until = mono_add(now, dur_scaled(g->outliers.eject_for));
    atomic_store(&peer->ejected_until_us, until.us);
    log_warn("lb", "target %.*s:%d of %.*s failed %u times in a row: no requests for %lld s",
             STR_ARG(peer->host), (int)peer->port, STR_ARG(g->arn), g->outliers.fault_run,
             (long long)(g->outliers.eject_for.us / 1000000));
}

void lb_watch_eject(struct lb *lb)
{
    struct lb_conf *conf = lb_newest(lb);
    for (size_t i = 0; conf != NULL && i < conf->group_count; i++) {
        const struct lb_group *g = &conf->groups[i];
        for (size_t j = 0; g->outliers.fault_run > 0 && j < g->usable_count; j++) {
            struct lb_peer *peer = g->targets[j].peer;
            if (atomic_exchange(&peer->wants_ejection, false)) {
                eject(lb, g, peer);
            }
        }
    }
}

/* ---- anomalies ------------------------------------------------------------------------------- */

/* A target that gets few requests, under mitigation for one, is judged over several windows. */
static void close_window(const struct lb *lb, struct lb_peer *peer)
{
    struct lb_watch *watch = peer->watch;
    unsigned answers = 0;
    unsigned faults = 0;
    for (size_t i = 0; i < lb->worker_count; i++) {
        answers += atomic_load_explicit(&peer->inflight[i].answers, memory_order_relaxed);
        faults += atomic_load_explicit(&peer->inflight[i].faults, memory_order_relaxed);
    }
    bool was_judged = watch->quiet_windows == 0;
    watch->answers = answers - watch->answers_before + (was_judged ? 0 : watch->answers);
    watch->faults = faults - watch->faults_before + (was_judged ? 0 : watch->faults);
    watch->answers_before = answers;
    watch->faults_before = faults;
    watch->quiet_windows = watch->answers < LB_ANOMALY_ANSWERS_MIN ? watch->quiet_windows + 1 : 0;
}

/* faults/answers of this one against the others together. */
static bool is_anomaly(const struct lb_watch *watch, uint64_t others_answers,
                       uint64_t others_faults)
{
    bool is_much =
        (uint64_t)watch->faults * 100 >= (uint64_t)watch->answers * LB_ANOMALY_PERCENT_MIN;
    bool is_more = (uint64_t)watch->faults * others_answers >
                   LB_ANOMALY_TIMES * others_faults * watch->answers;
    return is_much && is_more && watch->faults > 0;
}

static bool judge(const struct lb_peer *peer, bool may_be, uint64_t answers, uint64_t faults)
{
    const struct lb_watch *watch = peer->watch;
    if (!may_be || watch->quiet_windows >= LB_ANOMALY_QUIET_MAX) {
        return false;
    }
    if (watch->quiet_windows > 0) {
        return watch->is_anomalous;
    }
    return is_anomaly(watch, answers - watch->answers, faults - watch->faults);
}

static unsigned next_share(const struct lb_group *g, const struct lb_watch *watch, unsigned share)
{
    if (!g->mitigates) {
        return LB_SHARE_WHOLE;
    }
    unsigned next = watch->is_anomalous ? share / 4 : share * 2;
    next = next < LB_SHARE_LEAST ? LB_SHARE_LEAST : next;
    return next > LB_SHARE_WHOLE ? LB_SHARE_WHOLE : next;
}

static void weigh(struct lb *lb, struct lb_group *g, const struct lb_target *t, bool is_anomalous)
{
    struct lb_peer *peer = t->peer;
    unsigned before = atomic_load(&peer->share);
    bool was_anomalous = peer->watch->is_anomalous;
    peer->watch->is_anomalous = is_anomalous;
    unsigned share = next_share(g, peer->watch, before);
    atomic_store(&peer->share, share);
    if (was_anomalous != is_anomalous || (before < LB_SHARE_WHOLE) != (share < LB_SHARE_WHOLE)) {
        lb_probe_report(lb, g, t);
    }
}

static void watch_group(struct lb *lb, struct lb_group *g)
{
    uint64_t answers = 0;
    uint64_t faults = 0;
    size_t healthy = 0;
    for (size_t i = 0; i < g->usable_count; i++) {
        struct lb_peer *peer = g->targets[i].peer;
        if (peer->watch == NULL) {
            peer->watch = MEM_NEW(struct lb_watch);
        }
        close_window(lb, peer);
        if (lb_health_takes_traffic(atomic_load(&peer->health))) {
            answers += peer->watch->answers;
            faults += peer->watch->faults;
            healthy++;
        }
    }
    uint32_t anomalous = 0;
    uint32_t mitigated = 0;
    for (size_t i = 0; i < g->usable_count; i++) {
        struct lb_peer *peer = g->targets[i].peer;
        bool may_be = healthy >= LB_ANOMALY_TARGETS_MIN &&
                      lb_health_takes_traffic(atomic_load(&peer->health));
        weigh(lb, g, &g->targets[i], judge(peer, may_be, answers, faults));
        anomalous += peer->watch->is_anomalous;
        mitigated += atomic_load(&peer->share) < LB_SHARE_WHOLE;
    }
    if (g->slot != LBSTATS_NONE) {
        lbstats_anomalies_set(lb->options.stats, g->slot, anomalous, mitigated);
    }
}

static void on_window(struct ev_timer *t)
{
    struct lb *lb = CONTAINER_OF(t, struct lb, watch_timer);
    struct lb_conf *conf = lb_newest(lb);
    bool is_watched = false;
    for (size_t i = 0; conf != NULL && i < conf->group_count; i++) {
        struct lb_group *g = &conf->groups[i];
        if (g->is_watched) {
            is_watched = true;
            watch_group(lb, g);
        }
    }
    if (is_watched) {
        ev_timer_set(lb->loop, &lb->watch_timer, dur_scaled(LB_ANOMALY_WINDOW), on_window);
    }
}

bool lb_watch_is_anomalous(const struct lb_peer *peer)
{
    return peer->watch != NULL && peer->watch->is_anomalous;
}

void lb_watch_adopt(struct lb *lb, const struct lb_conf *conf)
{
    for (size_t i = 0; i < conf->group_count; i++) {
        const struct lb_group *g = &conf->groups[i];
        if (g->is_watched && !ev_timer_is_set(&lb->watch_timer)) {
            ev_timer_set(lb->loop, &lb->watch_timer, dur_scaled(LB_ANOMALY_WINDOW), on_window);
        } else if (!g->is_watched && g->slot != LBSTATS_NONE) {
            lbstats_anomalies_set(lb->options.stats, g->slot, 0, 0); /* it may have been */
        }
    }
}
