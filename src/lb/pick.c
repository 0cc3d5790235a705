/* Which target of a group gets the next request. Source: ALB: healthy ones in turn, or the one with
 * the fewest requests in work; when none is healthy, all that are registered (fail open). */

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

static bool may_take(const struct choice *c, const struct lb_peer *peer)
{
    int health = atomic_load_explicit(&peer->health, memory_order_relaxed);
    return (c->is_open || lb_health_takes_traffic(health)) && !is_refused(c, peer);
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
        .is_open = atomic_load_explicit(&g->healthy_count, memory_order_relaxed) == 0,
        .now = ev_now(&w->loop),
    };
    struct lb_peer *peer = g->is_least_outstanding ? pick_least_busy(&c) : pick_in_turn(&c);
    if (peer == NULL && !c.is_open) {
        /* all healthy ones refused: an unhealthy one is better than an error */
        c.is_open = true;
        peer = pick_in_turn(&c);
    }
    return peer;
}
