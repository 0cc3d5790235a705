/* WebSocket: after the target's 101 bytes go both ways until one side ends or nothing moves for the
 * idle timeout. */

#include "base/check.h"
#include "lb/worker.h"

#include <errno.h>

/* Bytes that a read gave, 0 for nothing now; *ret_ended when the side has ended. */
static size_t received(ssize_t n, bool *ret_ended)
{
    *ret_ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    return n > 0 ? (size_t)n : 0;
}

void lb_tunnel_from_client(struct lb_exchange *ex)
{
    struct lb_client *c = ex->client;
    struct lb_worker *w = c->worker;
    if (!lb_exchange_wants_body(ex)) {
        return;
    }
    bool has_ended = false;
    size_t got = received(lb_client_read_now(c, lb_read_at(w), LB_READ_BYTES_MAX), &has_ended);
    if (has_ended) {
        lb_exchange_end_tunnel(ex);
        return;
    }
    if (got > 0) {
        ex->client_bytes += got;
        ex->access.received_bytes += got;
        CHECK(lb_block_add(&w->blocks, &ex->out, str_make(lb_read_at(w), got)));
        lb_client_wait(c);
        lb_exchange_send(ex);
    }
}

void lb_tunnel_from_target(struct lb_exchange *ex)
{
    struct lb_client *c = ex->client;
    bool has_ended = false;
    size_t got = received(
        lb_upstream_read_now(ex->upstream, lb_read_at(c->worker), LB_READ_BYTES_MAX), &has_ended);
    if (has_ended) {
        lb_exchange_end_tunnel(ex);
        return;
    }
    if (got > 0) {
        ex->client_bytes += got;
        lb_client_wait(c);
        (void)lb_client_send(c, str_make(lb_read_at(c->worker), got));
    }
}
