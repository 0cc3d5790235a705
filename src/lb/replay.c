/* The body of a request: how fast it must come; and a request that is kept until its response
 * begins, so that the whole can be sent again. */

#include "lb/control.h"

size_t lb_replay_room(const struct h1_head *h, size_t head_len, size_t here)
{
    size_t want = head_len + here;
    if (h->framing == H1_LENGTH && h->content_length < LB_REPLAY_BYTES_MAX) {
        want = head_len + (size_t)h->content_length;
    } else if (h->framing == H1_CHUNKED) {
        want += 16 * 1024;
    }
    return want < LB_REPLAY_BYTES_MAX || want < head_len + here ? want : head_len + here;
}

bool lb_replay_keep(struct lb_exchange *ex, struct str bytes)
{
    struct lb_block *b = ex->out;
    if (!ex->may_replay || b == NULL || b->capacity - b->end < bytes.len) {
        return false;
    }
    memcpy(b->bytes + b->end, bytes.ptr, bytes.len);
    b->end += (uint32_t)bytes.len;
    return true;
}

bool lb_body_is_too_slow(const struct lb_exchange *ex)
{
    if (ex->has_response || ex->is_grpc) {
        return false; /* a conversation: its pauses are its own */
    }
    int64_t took_us = mono_since(ev_now(&ex->client->worker->loop), ex->began).us;
    return took_us > LB_BODY_GRACE.us &&
           (int64_t)ex->request_bytes < took_us / 1000000 * LB_BODY_RATE_MIN;
}
