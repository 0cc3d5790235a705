#pragma once
/* Where WebSocket messages begin and end in a stream of bytes, so that a frame of our own can be
 * put between two of them. Pure: looks at bytes, changes none, keeps no pointer.
 *
 * Source  RFC 6455 §5.2 (frames), §5.4 (fragments of a message), §5.5.1 (Close). What is no
 *         WebSocket is followed all the same; then no end of a message may ever come. */

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define LB_WEBSOCKET_HEAD_BYTES_MAX 14
#define LB_WEBSOCKET_GOING_AWAY     1001 /* RFC 6455 §7.4.1 */

/* One direction. Zeroed: nothing has passed. */
struct lb_websocket {
    uint64_t payload_left; /* of the frame that passes */
    uint8_t head[LB_WEBSOCKET_HEAD_BYTES_MAX];
    uint8_t head_bytes; /* of a head that is not complete */
    bool is_in_message; /* a fragment has passed and the last one has not */
    bool has_closed;    /* a Close frame has begun */
};

/* Between two messages: a frame may go here. */
static inline bool lb_websocket_is_between(const struct lb_websocket *s)
{
    return s->payload_left == 0 && s->head_bytes == 0 && !s->is_in_message;
}

/* Follows bytes and returns how many: all of them, or with stops_between those up to the first
 * place between two messages (0 when this is one). */
size_t lb_websocket_follow(struct lb_websocket *s, struct str bytes, bool stops_between);

#define LB_WEBSOCKET_CLOSE_BYTES_MAX 8
/* A Close frame with this code; masked as a client must when mask is not NULL (4 bytes). Lies in
 * room. */
struct str lb_websocket_close(char room[LB_WEBSOCKET_CLOSE_BYTES_MAX], unsigned code,
                              const uint8_t *mask);
