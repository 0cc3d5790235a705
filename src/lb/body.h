#pragma once
/* A body on its way through, re-framed in place: what was read becomes what is written, without a
 * second buffer. Chunked bodies are decoded strictly and written as chunks of our own. */

#include "http/h1.h"
#include "lb/block.h"
#include "lb/limits.h"

struct lb_body {
    enum h1_framing in;
    bool is_chunked_out;
    bool is_done; /* nothing more will be read for it */
    uint64_t left_bytes;
    struct h1_chunked chunks;
    struct lb_blocks *blocks;  /* set after lb_body_init: trailers are kept; else dropped */
    struct lb_block *trailers; /* lines that may be sent on, when is_done; NULL: none */
};

void lb_body_init(struct lb_body *b, enum h1_framing in, uint64_t length, bool is_chunked_out);

/* bytes[0, count) was read behind the head or behind earlier bytes of the body. There must be
 * H1_CHUNK_HEAD_BYTES free bytes in front and LB_BACK_BYTES behind bytes + count. *ret_used: how
 * many belong to this body; *ret_out: what to send, within that memory or static. False when the
 * framing is broken. */
bool lb_body_pass(struct lb_body *b, char *bytes, size_t count, size_t *ret_used,
                  struct str *ret_out);
/* The sender closed. True when the body ends properly with that; *ret_out is what remains to be
 * sent. */
bool lb_body_close(struct lb_body *b, struct str *ret_out);
/* A body that has trailers ends without H1_CHUNK_LAST: lb_trailers_tail is sent instead. */
void lb_body_fini(struct lb_body *b, struct lb_blocks *blocks);

/* trailers.c */
/* Drops the lines of *trailers that must not come behind a body; NULL when none is left. */
void lb_trailers_filter(struct lb_blocks *blocks, struct lb_block **trailers);
/* The end of a chunked body with these trailers, in `room` (LB_H2_LIST_BYTES_MAX and a little). */
struct str lb_trailers_tail(const struct lb_block *trailers, char *room);
