/* Whole and in pieces mean the same. The first byte says whether the request was HEAD. */

#include "base/check.h"
#include "http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct h1_head whole;
    static struct h1_head pieces;
    if (count == 0) {
        return 0;
    }
    bool is_head = bytes[0] == '+';
    const char *text = (const char *)bytes + 1;
    count--;
    h1_head_init(&whole);
    enum h1_result r = h1_parse_response(&whole, text, count, is_head);
    h1_head_init(&pieces);
    enum h1_result p = H1_MORE;
    size_t step = count > 4096 ? 997 : 1;
    for (size_t at = step; p == H1_MORE; at += step) {
        p = h1_parse_response(&pieces, text, at < count ? at : count, is_head);
        if (at >= count) {
            break;
        }
    }
    CHECK(r == p);
    if (r == H1_DONE) {
        CHECK(whole.head_bytes == pieces.head_bytes);
        CHECK(whole.head_bytes <= count);
        CHECK(whole.framing == pieces.framing);
        CHECK(whole.verdict == pieces.verdict);
        CHECK(whole.status == pieces.status);
        CHECK(whole.is_keep_alive == pieces.is_keep_alive);
        CHECK(whole.status >= 100 && whole.status <= 999);
        CHECK(!is_head || whole.framing == H1_NO_BODY);
    } else if (r == H1_BAD) {
        CHECK(whole.status == 502);
    }
    return 0;
}
