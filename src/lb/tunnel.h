#pragma once
/* A WebSocket: after the target's 101 bytes go both ways until one side ends or nothing moves for
 * the idle timeout. When its target drains and the group says so (hitless.websocket.drain=close),
 * both sides are told with a Close frame, code 1001, between two messages of each direction; it is
 * over when both have answered, at the latest LB_WEBSOCKET_CLOSE_TIMEOUT after both were told. */

#include "lb/websocket.h"
#include "lb/worker.h"

struct lb_tunnel {
    struct lb_websocket from_client;
    struct lb_websocket from_target;
    bool is_ending;   /* Close frames go out as soon as they may */
    bool told_client; /* nothing more goes there */
    bool told_target;
    bool is_timed; /* both are told, the time to answer runs */
};

/* The 101 is on its way to the client. */
void lb_tunnel_begin(struct lb_exchange *ex);
/* With the exchange. */
void lb_tunnel_end(struct lb_exchange *ex);
/* Bytes of one side on their way to the other; the exchange may be over afterwards. */
void lb_tunnel_to_target(struct lb_exchange *ex, struct str bytes);
void lb_tunnel_to_client(struct lb_exchange *ex, struct str bytes);
/* The target drains: both sides are told to leave. The exchange may be over afterwards. */
void lb_tunnel_drain(struct lb_exchange *ex);
