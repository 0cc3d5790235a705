/* In pieces as whole: the same body and the same end. What is let through and framed anew decodes
 * to the same body. The first byte is the size of the pieces. */

#include "base/buf.h"
#include "base/check.h"
#include "http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* One piece, to its end or to the end of the body; *rest is what is left of it. */
static enum h1_result decode_piece(struct h1_chunked *c, struct str *rest, struct buf *body)
{
    enum h1_result r = H1_MORE;
    while (r == H1_MORE && rest->len > 0) {
        struct str data;
        size_t before = rest->len;
        r = h1_chunked_next(c, rest, &data);
        CHECK(rest->len <= before);
        buf_add(body, data);
    }
    return r;
}

static enum h1_result decode(const char *text, size_t count, size_t step, struct buf *body,
                             size_t *ret_used)
{
    struct h1_chunked c;
    h1_chunked_init(&c);
    enum h1_result r = H1_MORE;
    size_t used = 0;
    while (r == H1_MORE && used < count) {
        size_t left = count - used < step ? count - used : step;
        struct str rest = str_make(text + used, left);
        r = decode_piece(&c, &rest, body);
        used += left - rest.len;
    }
    *ret_used = used;
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count == 0) {
        return 0;
    }
    size_t step = (size_t)bytes[0] % 16 + 1;
    const char *text = (const char *)bytes + 1;
    count--;
    struct buf whole;
    struct buf pieces;
    struct buf framed;
    struct buf again;
    buf_init(&whole, 1 << 24);
    buf_init(&pieces, 1 << 24);
    buf_init(&framed, 1 << 24);
    buf_init(&again, 1 << 24);
    size_t used = 0;
    size_t used_pieces = 0;
    enum h1_result r = decode(text, count, count + 1, &whole, &used);
    CHECK(decode(text, count, step, &pieces, &used_pieces) == r);
    CHECK(str_equal(buf_str(&whole), buf_str(&pieces)));
    if (r == H1_DONE) {
        CHECK(used == used_pieces);
        if (whole.len > 0) {
            char room[H1_CHUNK_HEAD_BYTES];
            buf_add(&framed, h1_chunk_head(room, whole.len));
            buf_add(&framed, buf_str(&whole));
            buf_add(&framed, STR(H1_CHUNK_END));
        }
        buf_add(&framed, STR(H1_CHUNK_LAST));
        CHECK(decode(framed.ptr, framed.len, step, &again, &used) == H1_DONE);
        CHECK(used == framed.len);
        CHECK(str_equal(buf_str(&whole), buf_str(&again)));
    }
    buf_fini(&whole);
    buf_fini(&pieces);
    buf_fini(&framed);
    buf_fini(&again);
    return 0;
}
