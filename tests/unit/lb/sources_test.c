#include "base/mem.h"
#include "lb/sources.h"
#include "test.h"

static void address(uint8_t peer[16], uint8_t last, bool is_ipv6)
{
    memset(peer, 0, 16);
    peer[10] = is_ipv6 ? 0 : 0xff;
    peer[11] = is_ipv6 ? 0 : 0xff;
    peer[0] = is_ipv6 ? 0x20 : 0;
    peer[7] = is_ipv6 ? last : 0;
    peer[15] = is_ipv6 ? 0 : last;
}

TEST(a_source_has_its_cap_and_gets_back_what_it_leaves)
{
    struct lb_sources *s = lb_sources_new();
    uint8_t a[16];
    uint8_t b[16];
    address(a, 1, false);
    address(b, 2, false);
    for (int i = 0; i < 5; i++) {
        EXPECT(lb_sources_enter(s, a, 1, 5));
    }
    EXPECT(!lb_sources_enter(s, a, 1, 5));
    EXPECT(lb_sources_enter(s, b, 1, 5)); /* another source */
    EXPECT(lb_sources_enter(s, a, 2, 5)); /* another load balancer */
    lb_sources_leave(s, a, 1);
    EXPECT(lb_sources_enter(s, a, 1, 5));
    EXPECT(!lb_sources_enter(s, a, 1, 5)); /* a refusal is not counted */
    mem_free(s);
}

TEST(an_ipv6_source_is_its_network_of_64_bits)
{
    struct lb_sources *s = lb_sources_new();
    uint8_t a[16];
    address(a, 1, true);
    for (uint8_t i = 0; i < 3; i++) {
        a[15] = i;
        EXPECT(lb_sources_enter(s, a, 1, 3));
    }
    a[12] = 7;
    EXPECT(!lb_sources_enter(s, a, 1, 3));
    address(a, 2, true);
    EXPECT(lb_sources_enter(s, a, 1, 3));
    mem_free(s);
}

/* 100,000 sources with one connection each: few cells hold more than a cap of ten. */
TEST(many_sources_are_not_taken_for_one)
{
    struct lb_sources *s = lb_sources_new();
    size_t refused = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        uint8_t a[16];
        address(a, 1, false);
        memcpy(a + 12, &i, sizeof(i));
        refused += !lb_sources_enter(s, a, 1, 10);
    }
    EXPECT_EQ(refused, 0);
    mem_free(s);
}
