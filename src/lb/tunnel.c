#include "lb/tunnel.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>

static void count(const struct lb_exchange *ex, bool is_more)
{
    const struct lb_worker *w = ex->client->worker;
    const uint32_t slots[] = {ex->client->slot, ex->group->slot};
    for (size_t i = 0; i < ARRAY_COUNT(slots); i++) {
        if (is_more) {
            lb_count_one(w, slots[i], LBSTATS_WEBSOCKETS);
        } else {
            lb_count_drop(w, slots[i], LBSTATS_WEBSOCKETS);
        }
    }
}

void lb_tunnel_begin(struct lb_exchange *ex)
{
    ex->is_tunnel = true;
    ex->tunnel = MEM_NEW(struct lb_tunnel);
    ex->tunnel->is_ending = ex->pool->closes_tunnels;
    count(ex, true);
}

void lb_tunnel_end(struct lb_exchange *ex)
{
    count(ex, false);
    mem_free(ex->tunnel);
    ex->tunnel = NULL;
}

/* ---- telling both sides to leave ------------------------------------------------------------- */

static void tell_client(struct lb_exchange *ex)
{
    struct lb_tunnel *t = ex->tunnel;
    if (t->told_client || !lb_websocket_is_between(&t->from_target)) {
        return;
    }
    char room[LB_WEBSOCKET_CLOSE_BYTES_MAX];
    bool knows = t->from_target.has_closed; /* the target's own Close went there */
    t->told_client = true;
    if (!knows) {
        (void)lb_client_send(ex->client, lb_websocket_close(room, LB_WEBSOCKET_GOING_AWAY, NULL));
    }
}

static void tell_target(struct lb_exchange *ex)
{
    struct lb_tunnel *t = ex->tunnel;
    if (t->told_target || !lb_websocket_is_between(&t->from_client)) {
        return;
    }
    struct lb_worker *w = ex->client->worker;
    char room[LB_WEBSOCKET_CLOSE_BYTES_MAX];
    uint8_t mask[4];
    uint64_t random = lb_worker_random(w);
    bool knows = t->from_client.has_closed;
    memcpy(mask, &random, sizeof(mask));
    t->told_target = true;
    if (!knows) {
        CHECK(lb_block_add(&w->blocks, &ex->out,
                           lb_websocket_close(room, LB_WEBSOCKET_GOING_AWAY, mask)));
        lb_exchange_send(ex);
    }
}

/* Tells whom it may, and ends the tunnel when both have answered. */
static void go_on_ending(struct lb_exchange *ex)
{
    struct lb_tunnel *t = ex->tunnel;
    tell_client(ex);
    if (!ex->is_over) {
        tell_target(ex);
    }
    if (ex->is_over || !t->told_client || !t->told_target) {
        return;
    }
    if (t->from_client.has_closed && t->from_target.has_closed) {
        lb_exchange_end_tunnel(ex);
    } else if (!t->is_timed) {
        t->is_timed = true;
        lb_client_wait_at_most(ex->client, LB_WEBSOCKET_CLOSE_TIMEOUT);
    }
}

void lb_tunnel_drain(struct lb_exchange *ex)
{
    if (!ex->tunnel->is_ending) {
        ex->tunnel->is_ending = true;
        go_on_ending(ex);
    }
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Bytes that a read gave, 0 for nothing now; *ret_ended when the side has ended. */
static size_t received(ssize_t n, bool *ret_ended)
{
    *ret_ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    return n > 0 ? (size_t)n : 0;
}

static void note_bytes(struct lb_exchange *ex, size_t got)
{
    ex->client_bytes += got;
    if (!ex->tunnel->is_timed) {
        lb_client_wait(ex->client);
    }
}

/* What may go on goes on; our Close frame follows where it may; the rest is looked at and dropped.
 */
void lb_tunnel_to_target(struct lb_exchange *ex, struct str bytes)
{
    struct lb_tunnel *t = ex->tunnel;
    note_bytes(ex, bytes.len);
    ex->access.received_bytes += bytes.len;
    size_t passes = t->told_target ? 0 : lb_websocket_follow(&t->from_client, bytes, t->is_ending);
    if (passes > 0) {
        CHECK(lb_block_add(&ex->client->worker->blocks, &ex->out, str_slice(bytes, 0, passes)));
        lb_exchange_send(ex);
    }
    if (ex->is_over || !t->is_ending) {
        return;
    }
    tell_target(ex);
    if (!ex->is_over) {
        (void)lb_websocket_follow(&t->from_client, str_from(bytes, passes), false);
        go_on_ending(ex);
    }
}

void lb_tunnel_to_client(struct lb_exchange *ex, struct str bytes)
{
    struct lb_tunnel *t = ex->tunnel;
    note_bytes(ex, bytes.len);
    size_t passes = t->told_client ? 0 : lb_websocket_follow(&t->from_target, bytes, t->is_ending);
    if (passes > 0) {
        (void)lb_client_send(ex->client, str_slice(bytes, 0, passes));
    }
    if (ex->is_over || !t->is_ending) {
        return;
    }
    tell_client(ex);
    if (!ex->is_over) {
        (void)lb_websocket_follow(&t->from_target, str_from(bytes, passes), false);
        go_on_ending(ex);
    }
}

void lb_tunnel_from_client(struct lb_exchange *ex)
{
    struct lb_client *c = ex->client;
    if (!lb_exchange_wants_body(ex)) {
        return;
    }
    char *at = lb_read_at(c->worker);
    bool has_ended = false;
    size_t got = received(lb_client_read_now(c, at, LB_READ_BYTES_MAX), &has_ended);
    if (has_ended) {
        lb_exchange_end_tunnel(ex);
    } else if (got > 0) {
        lb_tunnel_to_target(ex, str_make(at, got));
    }
}

void lb_tunnel_from_target(struct lb_exchange *ex)
{
    char *at = lb_read_at(ex->client->worker);
    bool has_ended = false;
    size_t got = received(lb_upstream_read_now(ex->upstream, at, LB_READ_BYTES_MAX), &has_ended);
    if (has_ended) {
        lb_exchange_end_tunnel(ex);
    } else if (got > 0) {
        lb_tunnel_to_client(ex, str_make(at, got));
    }
}
