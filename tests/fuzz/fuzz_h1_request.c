/* Whole and in pieces mean the same; what is understood and written again means the same once more;
 * a request that is let through has the same end for the next parser. */

#include "base/check.h"
#include "http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void check_same(const struct h1_head *a, enum h1_result ra, const struct h1_head *b,
                       enum h1_result rb)
{
    CHECK(ra == rb);
    if (ra == H1_MORE) {
        return;
    }
    CHECK(a->verdict == b->verdict);
    CHECK(a->reason == b->reason);
    if (ra == H1_BAD) {
        CHECK(a->status == b->status);
        bool is_declined = a->status == 501 || a->status == 505 || a->status == 414;
        CHECK(a->verdict == H1_SEVERE || is_declined || a->status == 400);
        return;
    }
    CHECK(a->head_bytes == b->head_bytes);
    CHECK(a->framing == b->framing);
    CHECK(a->content_length == b->content_length);
    CHECK(a->field_count == b->field_count);
    CHECK(a->is_keep_alive == b->is_keep_alive);
    CHECK(str_equal(h1_str(a, a->host), h1_str(b, b->host)));
}

static void check_spans(const struct h1_head *h, size_t count)
{
    CHECK(h->head_bytes <= count);
    CHECK(h->target.at + h->target.len <= count);
    CHECK(h->path.at + h->path.len <= count);
    CHECK(h->query.at + h->query.len <= count);
    for (size_t i = 0; i < h->field_count; i++) {
        const struct h1_field *f = &h->fields[i];
        CHECK((size_t)f->name_at + f->name_len <= h->head_bytes);
        CHECK((size_t)f->value_at + f->value_len <= h->head_bytes);
    }
}

/* What a proxy writes of it is compliant, and has the same framing. */
static void check_written(const struct h1_head *h)
{
    static char room[256 * 1024];
    struct h1_writer w;
    if (h->has_space_in_target || h->path.len == 0) {
        return;
    }
    h1_writer_init(&w, room, sizeof(room));
    h1_write_raw(&w, h1_str(h, h->method));
    h1_write_raw(&w, STR(" "));
    h1_write_raw(&w, h1_str(h, h->path));
    h1_write_raw(&w, h->has_query ? STR("?") : STR(""));
    h1_write_raw(&w, h->has_query ? h1_str(h, h->query) : STR(""));
    h1_write_raw(&w, STR(" HTTP/1.1\r\n"));
    h1_write_field(&w, STR("Host"), h1_str(h, h->host));
    for (size_t i = 0; i < h->field_count; i++) {
        const struct h1_field *f = &h->fields[i];
        if (f->flags == 0 && f->name != H1_HOST && f->name != H1_CONTENT_LENGTH) {
            h1_write_parsed_field(&w, h, f);
        }
    }
    if (h->framing == H1_CHUNKED) {
        h1_write_field(&w, STR("Transfer-Encoding"), STR("chunked"));
    } else if (h->has_length) {
        h1_write_field_u64(&w, STR("Content-Length"), h->content_length);
    }
    h1_write_end(&w);
    if (w.is_broken || h->field_count >= H1_FIELDS_MAX) {
        return;
    }
    static struct h1_head again;
    h1_head_init(&again);
    enum h1_result r = h1_parse_request(&again, room, w.len);
    if (r == H1_BAD && again.verdict < H1_SEVERE && w.len > H1_HEAD_BYTES_MAX) {
        return; /* Host may make it a little too long */
    }
    CHECK(r == H1_DONE);
    CHECK(again.head_bytes == w.len);
    CHECK(again.framing == h->framing);
    CHECK(again.content_length == h->content_length);
    CHECK(again.verdict <= H1_AMBIGUOUS);
    CHECK(again.reason == H1_REASON_NONE || again.reason == H1_GET_HEAD_ZERO_LENGTH ||
          again.reason == H1_UNDEFINED_CL_SEMANTICS || again.reason == H1_UNDEFINED_TE_SEMANTICS);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct h1_head whole;
    static struct h1_head pieces;
    const char *text = (const char *)bytes;
    h1_head_init(&whole);
    enum h1_result r = h1_parse_request(&whole, text, count);
    h1_head_init(&pieces);
    enum h1_result p = H1_MORE;
    size_t step = count > 4096 ? 997 : 1;
    for (size_t at = step; p == H1_MORE; at += step) {
        p = h1_parse_request(&pieces, text, at < count ? at : count);
        if (at >= count) {
            break;
        }
    }
    check_same(&whole, r, &pieces, p);
    if (r == H1_DONE) {
        check_spans(&whole, count);
        check_written(&whole);
    }
    return 0;
}
