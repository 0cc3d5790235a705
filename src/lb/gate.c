/* The gate of a listener: pause and maintenance.
 *
 * Paused, a request whose head is complete stays with its client: its bytes in one block, nothing
 * read any more, no target chosen. When the listener is open again, all go on in the order in which
 * they came to this worker; requests that come meanwhile join the end. Past the limit of requests
 * or of time the answer is 503.
 * In maintenance everybody but the addresses that are allowed gets a page. */

#include "base/check.h"
#include "lb/control.h"
#include "lb/rule.h"

static bool is_allowed(const struct lb_gate *g, const uint8_t peer[16])
{
    for (size_t i = 0; i < g->allowed_count; i++) {
        if (lb_cidr_has(&g->allowed[i], peer)) {
            return true;
        }
    }
    return false;
}

static bool is_behind_others(const struct lb_worker *w, const struct lb_listener *l)
{
    LIST_FOR (other, &w->held, struct lb_client, held) {
        if (other->held_at == l->socket) {
            return true;
        }
    }
    return false;
}

/* held_max holds over all workers. */
static bool take_place(struct lb_socket *s, uint32_t held_max)
{
    unsigned before = atomic_fetch_add_explicit(&s->held_count, 1, memory_order_relaxed);
    if (before >= held_max) {
        atomic_fetch_sub_explicit(&s->held_count, 1, memory_order_relaxed);
        return false;
    }
    return true;
}

static enum lb_gate_says hold(struct lb_client *c, const struct lb_listener *l)
{
    struct lb_worker *w = c->worker;
    uint32_t held_max = l->gate == NULL ? LB_HELD_MAX : l->gate->held_max;
    if (!take_place(l->socket, held_max)) {
        return LB_GATE_IS_FULL;
    }
    c->hold = LB_HOLD_WAITS;
    c->held_at = l->socket;
    list_add_tail(&w->held, &c->held);
    lb_count_one(w, c->slot, LBSTATS_HELD);
    lb_client_wait_at_most(c, l->gate == NULL ? LB_PAUSE_DEFAULT : l->gate->pause);
    return LB_GATE_HOLDS;
}

enum lb_gate_says lb_gate_ask(struct lb_client *c, const struct lb_listener *l)
{
    uint8_t before = c->hold;
    CHECK(before != LB_HOLD_WAITS);
    c->hold = LB_HOLD_NONE;
    if (before == LB_HOLD_EXPIRED) {
        return LB_GATE_IS_FULL;
    }
    const struct lb_gate *g = l->gate;
    if (g != NULL && g->is_in_maintenance && !is_allowed(g, c->peer)) {
        return LB_GATE_ANSWERS;
    }
    if (before == LB_HOLD_PASSES) {
        return LB_GATE_OPEN;
    }
    bool is_paused = g != NULL && g->is_paused;
    return is_paused || is_behind_others(c->worker, l) ? hold(c, l) : LB_GATE_OPEN;
}

void lb_gate_leave(struct lb_client *c)
{
    CHECK(c->hold == LB_HOLD_WAITS);
    c->hold = LB_HOLD_NONE;
    list_remove(&c->held);
    atomic_fetch_sub_explicit(&c->held_at->held_count, 1, memory_order_relaxed);
    c->held_at = NULL;
    lb_count_drop(c->worker, c->slot, LBSTATS_HELD);
}

void lb_gate_expire(struct lb_client *c)
{
    lb_gate_leave(c);
    c->hold = LB_HOLD_EXPIRED;
    lb_client_resume(c);
}

/* ---- opening --------------------------------------------------------------------------------- */

static bool is_still_paused(const struct lb_client *c)
{
    const struct lb_listener *l = lb_client_listener(c);
    return l != NULL && l->gate != NULL && l->gate->is_paused;
}

static void note_gates(struct lb_worker *w)
{
    w->has_gates = !list_is_empty(&w->held);
    for (size_t i = 0; i < w->conf->listener_count && !w->has_gates; i++) {
        w->has_gates = w->conf->listeners[i].gate != NULL;
    }
}

/* Some at a time, so that a crowd does not keep the other listeners of this worker waiting. */
static void release(struct ev_defer *d)
{
    struct lb_worker *w = CONTAINER_OF(d, struct lb_worker, release);
    size_t released = 0;
    LIST_FOR (c, &w->held, struct lb_client, held) {
        if (is_still_paused(c)) {
            continue;
        }
        if (released == LB_RELEASES_MAX) {
            ev_defer(&w->loop, &w->release, release);
            return;
        }
        lb_gate_leave(c);
        c->hold = LB_HOLD_PASSES;
        lb_client_wait(c);
        lb_client_resume(c);
        released++;
    }
    note_gates(w);
}

/* Those of a listener that is gone ask its heir, if any. At once: when this worker has said that it
 * has the new configuration, the old one's sockets are freed. */
static void leave_gone(struct lb_worker *w)
{
    LIST_FOR (c, &w->held, struct lb_client, held) {
        const struct lb_listener *l = lb_client_listener(c);
        if (l == NULL || l->socket != c->held_at) {
            lb_gate_leave(c);
            lb_client_wait(c);
            lb_client_resume(c);
        }
    }
}

void lb_gates_adopt(struct lb_worker *w)
{
    leave_gone(w);
    note_gates(w);
    if (!list_is_empty(&w->held)) {
        ev_defer(&w->loop, &w->release, release);
    }
}
