#include "lb/websocket.h"

#include "base/check.h"
#include "test.h"

static struct str bytes_of(const char *text, size_t len)
{
    return str_make(text, len);
}
#define BYTES(text) bytes_of(text, sizeof(text) - 1)

/* RFC 6455 §5.7 has these examples. */
TEST(frames_of_every_length_end_where_they_say)
{
    static char big[65536 + 14] = "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00";
    static char middle[256 + 4] = "\x82\x7e\x01\x00";
    const struct str cases[] = {
        BYTES("\x81\x05Hello"),    BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        BYTES("\x81\x00"),         bytes_of(middle, sizeof(middle)),
        bytes_of(big, 65536 + 10),
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct lb_websocket s = {0};
        EXPECT_EQ(lb_websocket_follow(&s, cases[i], false), cases[i].len);
        EXPECT(lb_websocket_is_between(&s));
        s = (struct lb_websocket){0};
        EXPECT_EQ(lb_websocket_follow(&s, str_slice(cases[i], 0, cases[i].len - 1), false),
                  cases[i].len - 1);
        EXPECT(!lb_websocket_is_between(&s));
    }
}

/* §5.4: control frames may lie between the fragments of a message and do not end it. */
TEST(a_message_ends_with_its_last_fragment)
{
    struct lb_websocket s = {0};
    const struct str first = BYTES("\x01\x03Hel");
    const struct str ping = BYTES("\x89\x02xy");
    const struct str last = BYTES("\x80\x02lo\x81\x01z");
    EXPECT_EQ(lb_websocket_follow(&s, first, true), 0); /* between two already */
    EXPECT_EQ(lb_websocket_follow(&s, first, false), first.len);
    EXPECT_EQ(lb_websocket_follow(&s, ping, true), ping.len);
    EXPECT(!lb_websocket_is_between(&s));
    EXPECT_EQ(lb_websocket_follow(&s, last, true), 4);
    EXPECT(lb_websocket_is_between(&s));
    EXPECT(!s.has_closed);
}

TEST(bytes_may_come_one_by_one)
{
    const struct str all = BYTES("\x82\xfe\x00\x80"
                                 "mask");
    struct lb_websocket s = {0};
    for (size_t i = 0; i < all.len; i++) {
        EXPECT_EQ(lb_websocket_follow(&s, str_slice(all, i, i + 1), true), i == 0 ? 0 : 1);
        if (i == 0) {
            EXPECT_EQ(lb_websocket_follow(&s, str_slice(all, 0, 1), false), 1);
        }
    }
    EXPECT_EQ(s.payload_left, 128);
}

/* §5.5.1, §7.4.1; a client's frames are masked (§5.3). */
TEST(a_close_frame_is_seen_and_written)
{
    char room[LB_WEBSOCKET_CLOSE_BYTES_MAX];
    const uint8_t mask[4] = {1, 2, 3, 4};
    struct lb_websocket s = {0};
    struct str plain = lb_websocket_close(room, LB_WEBSOCKET_GOING_AWAY, NULL);
    EXPECT(str_equal(plain, BYTES("\x88\x02\x03\xe9")));
    EXPECT_EQ(lb_websocket_follow(&s, plain, false), plain.len);
    EXPECT(s.has_closed && lb_websocket_is_between(&s));
    struct str masked = lb_websocket_close(room, LB_WEBSOCKET_GOING_AWAY, mask);
    EXPECT(str_equal(masked, BYTES("\x88\x82\x01\x02\x03\x04\x02\xeb")));
}
