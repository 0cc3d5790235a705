#include "lb/h2.h"

#define PREFACE_BYTES 24

/* Types of RFC 9113, 6. */
enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION
};
#define FLAG_END_STREAM  0x1 /* also ACK */
#define FLAG_END_HEADERS 0x4

void lb_h2_watch_init(struct lb_h2_watch *w, mono_t now)
{
    *w = (struct lb_h2_watch){.preface_left = PREFACE_BYTES, .refilled = now};
}

bool lb_h2_watch_spend(struct lb_h2_watch *w, uint32_t cost)
{
    w->spent += cost;
    return w->spent <= LB_H2_ODD_BUDGET;
}

void lb_h2_watch_earn(struct lb_h2_watch *w)
{
    w->spent -= w->spent > 0;
}

static void refill(struct lb_h2_watch *w, mono_t now)
{
    int64_t gained = mono_since(now, w->refilled).us * LB_H2_ODD_PER_SECOND / 1000000;
    if (gained > 0) {
        w->refilled = now;
        w->spent = (uint64_t)gained > w->spent ? 0 : w->spent - (uint32_t)gained;
    }
}

/* What a frame costs; 0 for one that does its work. */
static uint32_t cost_of(uint8_t type, uint8_t flags, uint32_t length)
{
    switch (type) {
    case DATA:
        return length == 0 && (flags & FLAG_END_STREAM) == 0 ? 1 : 0;
    case HEADERS:
        return length == 0 ? 1 : 0;
    case CONTINUATION:
        return length == 0 ? 8 : 1;
    case RST_STREAM:
        return LB_H2_RESET_COST;
    case SETTINGS:
    case PING:
        return (flags & FLAG_END_STREAM) == 0 ? 1 : 0; /* the same bit: ACK */
    case WINDOW_UPDATE:
        return 0; /* by its increment, where it is known */
    default:
        return 1;
    }
}

static bool is_block_too_large(struct lb_h2_watch *w, uint8_t type, uint8_t flags, uint32_t length)
{
    if (type == HEADERS) {
        w->block_bytes = 0;
        w->continuation_count = 0;
    } else if (type != CONTINUATION) {
        return false;
    } else if (++w->continuation_count > LB_H2_CONTINUATIONS_MAX) {
        return true;
    }
    w->is_in_block = (flags & FLAG_END_HEADERS) == 0;
    w->block_bytes += length;
    return w->block_bytes > LB_H2_BLOCK_BYTES_MAX;
}

static bool take_head(struct lb_h2_watch *w)
{
    const uint8_t *b = w->head;
    uint32_t length = (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
    uint8_t type = b[3];
    uint8_t flags = b[4];
    w->type = type;
    w->skip_bytes = length;
    uint32_t cost = cost_of(type, flags, length);
    if (cost == 0 && (type == DATA || type == HEADERS)) {
        lb_h2_watch_earn(w);
    }
    return !is_block_too_large(w, type, flags, length) && lb_h2_watch_spend(w, cost);
}

bool lb_h2_watch_is_in_head(const struct lb_h2_watch *w)
{
    return w->is_in_block || (w->skip_bytes > 0 && (w->type == HEADERS || w->type == CONTINUATION));
}

bool lb_h2_watch_pass(struct lb_h2_watch *w, struct str bytes, mono_t now)
{
    refill(w, now);
    size_t preface = bytes.len < w->preface_left ? bytes.len : w->preface_left;
    w->preface_left -= (uint8_t)preface;
    bytes = str_from(bytes, preface);
    while (bytes.len > 0) {
        if (w->skip_bytes > 0) {
            size_t skipped = bytes.len < w->skip_bytes ? bytes.len : w->skip_bytes;
            w->skip_bytes -= (uint32_t)skipped;
            bytes = str_from(bytes, skipped);
            continue;
        }
        size_t missing = sizeof(w->head) - w->head_bytes;
        size_t taken = bytes.len < missing ? bytes.len : missing;
        memcpy(w->head + w->head_bytes, bytes.ptr, taken);
        w->head_bytes += (uint8_t)taken;
        bytes = str_from(bytes, taken);
        if (w->head_bytes == sizeof(w->head)) {
            w->head_bytes = 0;
            if (!take_head(w)) {
                return false;
            }
        }
    }
    return true;
}
