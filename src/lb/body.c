#include "lb/body.h"

#include "base/check.h"

void lb_body_init(struct lb_body *b, enum h1_framing in, uint64_t length, bool is_chunked_out)
{
    *b = (struct lb_body){.in = in, .is_chunked_out = is_chunked_out, .is_done = in == H1_NO_BODY};
    if (in == H1_LENGTH) {
        b->left_bytes = length;
    }
    h1_chunked_init(&b->chunks);
}

/* [from, to) within the read bytes becomes one chunk. */
static struct str frame(char *from, char *to, bool is_last)
{
    struct str head = h1_chunk_head(from - H1_CHUNK_HEAD_BYTES, (uint64_t)(to - from));
    struct str end = is_last ? STR(H1_CHUNK_END H1_CHUNK_LAST) : STR(H1_CHUNK_END);
    memcpy(to, end.ptr, end.len);
    return str_make(head.ptr, head.len + (size_t)(to - from) + end.len);
}

static bool pass_chunks(struct lb_body *b, char *bytes, size_t count, size_t *ret_used,
                        struct str *ret_out)
{
    struct str rest = str_make(bytes, count);
    char *from = NULL;
    char *to = NULL;
    enum h1_result r = H1_MORE;
    while (r == H1_MORE && rest.len > 0) {
        struct str run;
        r = h1_chunked_next(&b->chunks, &rest, &run);
        if (b->chunks.trailers.len > 0 && b->blocks != NULL) {
            CHECK(lb_block_add(b->blocks, &b->trailers, b->chunks.trailers));
        }
        if (run.len == 0) {
            continue;
        }
        char *at = bytes + (run.ptr - bytes);
        if (from == NULL) {
            from = at;
            to = at;
        }
        if (to != at) {
            memmove(to, at, run.len);
        }
        to += run.len;
    }
    if (r == H1_BAD) {
        return false;
    }
    b->is_done = r == H1_DONE;
    *ret_used = count - rest.len;
    if (b->is_done && b->trailers != NULL) {
        lb_trailers_filter(b->blocks, &b->trailers);
    }
    bool is_last = b->is_done && b->trailers == NULL;
    if (from == NULL) {
        *ret_out = is_last && b->is_chunked_out ? STR(H1_CHUNK_LAST) : STR("");
    } else if (b->is_chunked_out) {
        /* The room behind: when more follows, all was used and the buffer's end is free; when the
         * body has ended, what ended it took as many bytes as are written here. */
        *ret_out = frame(from, to, is_last);
    } else {
        *ret_out = str_make(from, (size_t)(to - from));
    }
    return true;
}

bool lb_body_pass(struct lb_body *b, char *bytes, size_t count, size_t *ret_used,
                  struct str *ret_out)
{
    CHECK(!b->is_done);
    *ret_used = count;
    *ret_out = str_make(bytes, count);
    switch (b->in) {
    case H1_LENGTH:
        if (count > b->left_bytes) {
            *ret_used = (size_t)b->left_bytes;
            ret_out->len = (size_t)b->left_bytes;
        }
        b->left_bytes -= *ret_used;
        b->is_done = b->left_bytes == 0;
        return true;
    case H1_CHUNKED:
        return pass_chunks(b, bytes, count, ret_used, ret_out);
    case H1_UNTIL_CLOSE:
        if (b->is_chunked_out && count > 0) {
            *ret_out = frame(bytes, bytes + count, false);
        }
        return true;
    case H1_NO_BODY:
        break;
    }
    UNREACHABLE("a message without a body has no bytes of it");
}

bool lb_body_close(struct lb_body *b, struct str *ret_out)
{
    *ret_out = STR("");
    if (b->in != H1_UNTIL_CLOSE) {
        return b->is_done;
    }
    b->is_done = true;
    if (b->is_chunked_out) {
        *ret_out = STR(H1_CHUNK_LAST);
    }
    return true;
}

void lb_body_fini(struct lb_body *b, struct lb_blocks *blocks)
{
    lb_block_give(blocks, b->trailers);
    b->trailers = NULL;
}
