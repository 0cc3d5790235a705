#include "lb/websocket.h"

#include "base/check.h"

#define OPCODE_CLOSE   8u
#define OPCODE_CONTROL 8u /* this and above */
#define FIN            0x80u
#define MASKED         0x80u

static size_t head_bytes_of(const struct lb_websocket *s)
{
    if (s->head_bytes < 2) {
        return 2;
    }
    unsigned length = s->head[1] & 0x7fu;
    size_t count = 2;
    count += length == 126 ? 2 : 0;
    count += length == 127 ? 8 : 0;
    count += (s->head[1] & MASKED) != 0 ? 4 : 0;
    return count;
}

static uint64_t payload_bytes_of(const struct lb_websocket *s)
{
    unsigned length = s->head[1] & 0x7fu;
    size_t count = length == 126 ? 2 : length == 127 ? 8 : 0;
    uint64_t bytes = count == 0 ? length : 0;
    for (size_t i = 0; i < count; i++) {
        bytes = bytes << 8 | s->head[2 + i];
    }
    return bytes;
}

static void end_head(struct lb_websocket *s)
{
    unsigned opcode = s->head[0] & 0x0fu;
    s->payload_left = payload_bytes_of(s);
    s->head_bytes = 0;
    if (opcode < OPCODE_CONTROL) {
        s->is_in_message = (s->head[0] & FIN) == 0;
    }
    s->has_closed = s->has_closed || opcode == OPCODE_CLOSE;
}

size_t lb_websocket_follow(struct lb_websocket *s, struct str bytes, bool stops_between)
{
    size_t at = 0;
    while (at < bytes.len && !(stops_between && lb_websocket_is_between(s))) {
        if (s->payload_left > 0) {
            size_t left = bytes.len - at;
            size_t step = s->payload_left < left ? (size_t)s->payload_left : left;
            s->payload_left -= step;
            at += step;
            continue;
        }
        CHECK(s->head_bytes < LB_WEBSOCKET_HEAD_BYTES_MAX);
        s->head[s->head_bytes++] = (uint8_t)bytes.ptr[at++];
        if (s->head_bytes >= 2 && s->head_bytes == head_bytes_of(s)) {
            end_head(s);
        }
    }
    return at;
}

struct str lb_websocket_close(char room[LB_WEBSOCKET_CLOSE_BYTES_MAX], unsigned code,
                              const uint8_t *mask)
{
    const uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    size_t len = 0;
    room[len++] = (char)(FIN | OPCODE_CLOSE);
    room[len++] = (char)(sizeof(payload) | (mask == NULL ? 0 : MASKED));
    for (size_t i = 0; mask != NULL && i < 4; i++) {
        room[len++] = (char)mask[i];
    }
    for (size_t i = 0; i < sizeof(payload); i++) {
        room[len++] = (char)(payload[i] ^ (mask == NULL ? 0 : mask[i]));
    }
    return str_make(room, len);
}
