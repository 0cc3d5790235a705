#include "net/proxy_header.h"

#include "test.h"

static struct net_addr addr_of(const char *text)
{
    struct net_addr addr = {0};
    EXPECT(net_addr_parse(str_of(text), &addr));
    return addr;
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* proxy-protocol.txt §2.2 */
TEST(a_header_tells_family_addresses_and_ports)
{
    char room[NET_PROXY_HEADER_BYTES_MAX];
    static const char v4[] =
        SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x01\x0a\x00\x00\x02\x30\x39\x01\xbb";
    static const char udp[] =
        SIGNATURE "\x21\x12\x00\x0c\xc0\x00\x02\x01\x0a\x00\x00\x02\x30\x39\x01\xbb";
    struct net_addr from = addr_of("192.0.2.1:12345");
    struct net_addr to = addr_of("10.0.0.2:443");
    EXPECT(str_equal(net_proxy_header(room, &from, &to), str_make(v4, sizeof(v4) - 1)));
    to.is_datagram = true;
    EXPECT(str_equal(net_proxy_header(room, &from, &to), str_make(udp, sizeof(udp) - 1)));
    /* of two families: IPv4 is mapped */
    to = addr_of("[2001:db8::1]:443");
    struct str mixed = net_proxy_header(room, &from, &to);
    EXPECT_EQ(mixed.len, 52);
    EXPECT_EQ(mixed.ptr[13], 0x21);
    EXPECT_EQ((unsigned char)mixed.ptr[16 + 10], 0xff);
    EXPECT_EQ((unsigned char)mixed.ptr[16 + 12], 192);
}

TEST(a_header_for_ourselves_tells_of_nobody)
{
    char room[NET_PROXY_HEADER_BYTES_MAX];
    static const char local[] = SIGNATURE "\x20\x00\x00\x00";
    struct net_addr to = addr_of("10.0.0.2:443");
    struct net_addr path = addr_of("unix:/a");
    EXPECT(str_equal(net_proxy_header(room, NULL, &to), str_make(local, sizeof(local) - 1)));
    EXPECT(str_equal(net_proxy_header(room, &path, &to), str_make(local, sizeof(local) - 1)));
}
