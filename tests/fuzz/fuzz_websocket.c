/* In pieces as whole: the same place. Where following stops between two messages, it goes on to the
 * same end. The first byte is the size of the pieces. */

#include "base/check.h"
#include "lb/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void expect_same(const struct lb_websocket *a, const struct lb_websocket *b)
{
    CHECK(a->payload_left == b->payload_left);
    CHECK(a->head_bytes == b->head_bytes);
    CHECK(a->is_in_message == b->is_in_message);
    CHECK(a->has_closed == b->has_closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count == 0) {
        return 0;
    }
    size_t step = (size_t)bytes[0] % 16 + 1;
    struct str all = str_make((const char *)bytes + 1, count - 1);
    struct lb_websocket whole = {0};
    struct lb_websocket pieces = {0};
    struct lb_websocket stopping = {0};
    CHECK(lb_websocket_follow(&whole, all, false) == all.len);
    for (size_t at = 0; at < all.len; at += step) {
        struct str piece = str_slice(all, at, at + step < all.len ? at + step : all.len);
        CHECK(lb_websocket_follow(&pieces, piece, false) == piece.len);
    }
    expect_same(&whole, &pieces);
    struct str rest = all;
    while (rest.len > 0) {
        size_t used = lb_websocket_follow(&stopping, rest, true);
        CHECK(used <= rest.len);
        CHECK(used == rest.len || lb_websocket_is_between(&stopping));
        rest = str_from(rest, used);
        if (rest.len > 0) { /* over the first byte of the next message */
            CHECK(lb_websocket_follow(&stopping, str_slice(rest, 0, 1), false) == 1);
            rest = str_from(rest, 1);
        }
    }
    expect_same(&whole, &stopping);
    return 0;
}
