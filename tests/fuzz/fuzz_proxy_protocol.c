/* In pieces as whole: the same answer, and what was read is written and read again. */

#include "base/check.h"
#include "net/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const char *text = (const char *)bytes;
    struct proxy_header whole;
    enum proxy_result r = proxy_parse(text, count, &whole);
    CHECK(r != PROXY_MORE || count < PROXY_HEADER_BYTES_MAX);
    for (size_t i = 0; i < count && i < 300; i++) {
        struct proxy_header piece;
        enum proxy_result early = proxy_parse(text, i, &piece);
        CHECK(early == PROXY_MORE || early == r);
        CHECK(early != PROXY_DONE || piece.bytes == whole.bytes);
    }
    if (r != PROXY_DONE) {
        return 0;
    }
    CHECK(whole.bytes <= count);
    CHECK(whole.is_local == (whole.source.len == 0));
    char room[PROXY_V2_WRITE_BYTES_MAX];
    struct proxy_header again;
    size_t len = proxy_write_v2(room, &whole.source, &whole.destination, whole.is_stream);
    CHECK(proxy_parse(room, len, &again) == PROXY_DONE);
    CHECK(again.is_local == whole.is_local && again.bytes == len);
    CHECK(whole.is_local || net_addr_equal(&again.source, &whole.source));
    return 0;
}
