/* Group and target of a flow. */

#include "base/check.h"
#include "lb/control.h"
#include "lb/flow.h"
#include "lb/split.h"

struct lb_group *lb_flow_group(struct lb_worker *w, const struct lb_listener *l)
{
    const struct lb_rule *rule = l->rule_count == 0 ? NULL : &l->rules[l->rule_count - 1];
    if (rule == NULL || rule->action.type != LB_FORWARD || rule->action.weight_sum == 0) {
        return NULL;
    }
    const struct lb_action *a = &rule->action;
    size_t chosen = a->weight_count == 1 ? 0
                                         : lb_split_pick(&w->splits[rule->index], rule, w->id,
                                                         (uint32_t)w->lb->worker_count);
    return a->weights[chosen].group;
}

/* Stafford's mixer 13: each bit of the input reaches each of the result. */
static uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t hash_of(const struct lb_group *g, const struct lb_listener *l,
                        const struct lb_flow_key *key)
{
    uint64_t words[2];
    memcpy(words, key->source, sizeof(words));
    uint64_t hash = mixed(words[0] ^ mixed(words[1]));
    if (g->sticks_by_source) {
        return hash;
    }
    uint64_t rest = (uint64_t)key->source_port << 32 | (uint64_t)l->port << 1 | key->is_udp;
    return mixed(hash ^ mixed(rest));
}

static bool is_refused(struct lb_peer *const *refused, size_t count, const struct lb_peer *peer)
{
    for (size_t i = 0; i < count; i++) {
        if (refused[i] == peer) {
            return true;
        }
    }
    return false;
}

/* The one with the highest score of hash and place. */
static struct lb_peer *highest(const struct lb_group *g, uint64_t hash, bool is_open,
                               struct lb_peer *const *refused, size_t refused_count)
{
    struct lb_peer *best = NULL;
    uint64_t best_score = 0;
    for (size_t i = 0; i < g->usable_count; i++) {
        struct lb_peer *peer = g->targets[i].peer;
        int health = atomic_load_explicit(&peer->health, memory_order_relaxed);
        if ((!is_open && !lb_health_takes_traffic(health)) ||
            is_refused(refused, refused_count, peer)) {
            continue;
        }
        uint64_t score = mixed(hash ^ peer->place);
        if (best == NULL || score > best_score) {
            best = peer;
            best_score = score;
        }
    }
    return best;
}

struct lb_peer *lb_flow_pick(const struct lb_group *g, const struct lb_listener *l,
                             const struct lb_flow_key *key, struct lb_peer *const *refused,
                             size_t refused_count)
{
    uint64_t hash = hash_of(g, l, key);
    bool is_open = atomic_load_explicit(&g->healthy_count, memory_order_relaxed) < g->open_below;
    struct lb_peer *peer = highest(g, hash, is_open, refused, refused_count);
    if (peer == NULL && !is_open) {
        peer = highest(g, hash, true, refused, refused_count); /* better than none */
    }
    return peer;
}

/* A count with one writer: no atomic read-modify-write. */
static void add_to(atomic_uint *count, int by)
{
    unsigned now = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, now + (unsigned)by, memory_order_release);
}

void lb_flow_enter(struct lb_worker *w, struct lb_pool *pool, uint32_t group_slot)
{
    pool->flow_count++;
    add_to(&pool->peer->inflight[w->id].count, 1);
    lb_count_one(w, group_slot, LBSTATS_INFLIGHT);
}

void lb_flow_leave(struct lb_worker *w, struct lb_pool *pool, uint32_t group_slot)
{
    struct lb_peer *peer = pool->peer;
    pool->flow_count--;
    lb_count_drop(w, group_slot, LBSTATS_INFLIGHT);
    bool is_gone = pool->version != w->conf->version;
    bool is_last = pool->flow_count == 0 && list_is_empty(&pool->busy);
    bool must_tell = is_last && (is_gone || atomic_load(&peer->is_draining));
    if (is_last && is_gone) {
        pool->peer = NULL; /* it may be freed from the next line on */
    }
    add_to(&peer->inflight[w->id].count, -1);
    if (must_tell) {
        ev_wake_up(&w->lb->wake);
    }
}

void lb_flow_check(struct lb_worker *w, struct lb_pool *pool)
{
    if (pool->flow_count == 0) {
        return;
    }
    const struct lb_peer *peer = pool->peer;
    bool is_gone = pool->version != w->conf->version;
    bool is_over = is_gone || atomic_load(&peer->is_expired);
    bool is_ill = pool->cuts_unhealthy && atomic_load(&peer->health) == LB_HEALTH_UNHEALTHY;
    if (is_over || is_ill) {
        lb_udp_cut(pool);
    }
    if (pool->flow_count > 0 && (is_ill || (is_over && pool->cuts_after_drain))) {
        lb_flows_cut(w, pool);
    }
}
