/* Which target of a group gets the next request. Source: ALB: healthy ones in turn, or the one with
 * the fewest requests in work, or one at random; when fewer are healthy than the group's threshold
 * says, all that are registered (fail open). */

#include "base/check.h"
#include "lb/control.h"

struct choice {
    struct lb_worker *w;
    struct lb_group *g;
    struct lb_peer *const *refused;
    size_t refused_count;
    bool is_open; /* unhealthy ones too */
    mono_t now;
};

static bool is_refused(const struct choice *c, const struct lb_peer *peer)
{
    for (size_t i = 0; i < c->refused_count; i++) {
        if (c->refused[i] == peer) {
            return true;
        }
    }
    return false;
}

static bool is_avoided(const struct choice *c, const struct lb_peer *peer)
{
    const struct lb_pool *pool = c->w->pools[peer->index];
    return pool != NULL && pool->serial == peer->serial && pool->avoid_until.us > c->now.us;
}

static bool is_ejected(const struct lb_group *g, const struct lb_peer *peer, mono_t now)
{
    return g->outliers.fault_run > 0 &&
           atomic_load_explicit(&peer->ejected_until_us, memory_order_relaxed) > now.us;
}

static bool may_take(const struct choice *c, const struct lb_peer *peer)
{
    int health = atomic_load_explicit(&peer->health, memory_order_relaxed);
    bool is_well = lb_health_takes_traffic(health) && !is_ejected(c->g, peer, c->now);
    return (c->is_open || is_well) && !is_refused(c, peer);
}

bool lb_may_take(const struct lb_worker *w, const struct lb_group *g, const struct lb_peer *peer)
{
    int health = atomic_load_explicit(&peer->health, memory_order_relaxed);
    bool is_well = lb_health_takes_traffic(health) && !is_ejected(g, peer, ev_now(&w->loop));
    return is_well || lb_group_is_open(g);
}

/* In turn; targets that just refused a connection only when there is no other. */
static struct lb_peer *pick_in_turn(const struct choice *c)
{
    struct lb_rotation *r = &c->w->rotations[c->g->index];
    size_t count = c->g->usable_count;
    if (r->serial != c->g->serial) {
        *r = (struct lb_rotation){.serial = c->g->serial, .next = c->w->id};
    }
    struct lb_peer *last_resort = NULL;
    for (size_t i = 0; i < count; i++) {
        struct lb_peer *peer = c->g->targets[(r->next + i) % count].peer;
        if (!may_take(c, peer)) {
            continue;
        }
        if (!is_avoided(c, peer)) {
            if (c->refused_count == 0) { /* a retry takes nobody's turn */
                r->next = (uint32_t)((r->next + i + 1) % count);
            }
            return peer;
        }
        last_resort = last_resort == NULL ? peer : last_resort;
    }
    return last_resort;
}

static struct lb_peer *pick_least_busy(const struct choice *c)
{
    struct lb_rotation *r = &c->w->rotations[c->g->index];
    size_t count = c->g->usable_count;
    r->next = (uint32_t)((r->next + 1) % count); /* equals in turn */
    struct lb_peer *best = NULL;
    uint64_t best_load = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        struct lb_peer *peer = c->g->targets[(r->next + i) % count].peer;
        if (!may_take(c, peer)) {
            continue;
        }
        uint64_t load = lb_peer_inflight(peer, c->w->lb->worker_count);
        load += is_avoided(c, peer) ? (uint64_t)1 << 40 : 0;
        if (load < best_load) {
            best_load = load;
            best = peer;
        }
    }
    return best;
}

/* ---- slow start ------------------------------------------------------------------------------ */

#define WARM ((int64_t)1 << 16)

/* How warm a target is: rises from 0 to WARM over the group's slow start. */
static int64_t warmth(const struct choice *c, const struct lb_peer *peer)
{
    int64_t since_us = atomic_load_explicit(&peer->slow_since_us, memory_order_relaxed);
    int64_t age_us = c->now.us - since_us;
    int64_t whole_us = dur_scaled(c->g->slow_start).us;
    if (since_us == 0 || age_us >= whole_us) {
        return WARM;
    }
    return age_us < 0 ? 0 : age_us * WARM / whole_us;
}

/* Weighted turns: each target gains what it weighs, the richest is served and pays for all. Exact
 * for weights that stand still, and even while they grow. */
static struct lb_peer *pick_by_warmth(const struct choice *c)
{
    struct lb_pool *best = NULL;
    int64_t sum = 0;
    for (size_t i = 0; i < c->g->usable_count; i++) {
        struct lb_peer *peer = c->g->targets[i].peer;
        int64_t weight = may_take(c, peer) && !is_avoided(c, peer) ? warmth(c, peer) : 0;
        if (weight > 0) {
            struct lb_pool *pool = lb_pool_of(c->w, peer);
            pool->turn += weight;
            sum += weight;
            best = best == NULL || pool->turn > best->turn ? pool : best;
        }
    }
    if (best == NULL) {
        return pick_in_turn(c); /* all are cold, or were refused */
    }
    best->turn -= sum;
    return best->peer;
}

static bool is_warming_up(const struct choice *c)
{
    return c->g->slow_start.us > 0 &&
           atomic_load_explicit(&c->g->slow_until_us, memory_order_relaxed) > c->now.us;
}

/* ---- at random ------------------------------------------------------------------------------- */

static uint64_t share_of(const struct choice *c, const struct lb_peer *peer)
{
    if (!may_take(c, peer) || is_avoided(c, peer)) {
        return 0;
    }
    return c->g->mitigates ? atomic_load_explicit(&peer->share, memory_order_relaxed)
                           : LB_SHARE_WHOLE;
}

static struct lb_peer *pick_at_random(const struct choice *c)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < c->g->usable_count; i++) {
        sum += share_of(c, c->g->targets[i].peer);
    }
    if (sum == 0) {
        return pick_in_turn(c);
    }
    uint64_t place = (lb_worker_random(c->w) >> 32) * sum >> 32;
    struct lb_peer *last = NULL;
    for (size_t i = 0; i < c->g->usable_count; i++) {
        struct lb_peer *peer = c->g->targets[i].peer;
        uint64_t share = share_of(c, peer);
        if (share > 0 && place < share) {
            return peer;
        }
        place -= share;
        last = share > 0 ? peer : last;
    }
    /* the control thread lowered a share between the two passes */
    return last != NULL ? last : pick_in_turn(c);
}

/* ---- all ------------------------------------------------------------------------------------- */

static struct lb_peer *pick(const struct choice *c)
{
    switch (c->g->algorithm) {
    case LB_ROUND_ROBIN:
        return is_warming_up(c) ? pick_by_warmth(c) : pick_in_turn(c);
    case LB_LEAST_OUTSTANDING:
        return pick_least_busy(c);
    case LB_WEIGHTED_RANDOM:
        return pick_at_random(c);
    }
    UNREACHABLE("every algorithm is above");
}

struct lb_peer *lb_pick(struct lb_worker *w, struct lb_group *g, struct lb_peer *const *refused,
                        size_t refused_count)
{
    if (g->usable_count == 0) {
        return NULL;
    }
    struct choice c = {
        .w = w,
        .g = g,
        .refused = refused,
        .refused_count = refused_count,
        .is_open = lb_group_is_open(g),
        .now = ev_now(&w->loop),
    };
    struct lb_peer *peer = pick(&c);
    if (peer == NULL && !c.is_open) {
        /* all healthy ones refused: an unhealthy one is better than an error */
        c.is_open = true;
        peer = pick_in_turn(&c);
    }
    return peer;
}
