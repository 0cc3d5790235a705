#include "base/check.h"
#include "net/addr.h"
#include "test.h"

#include <arpa/inet.h>

TEST(addresses_that_are_whole_are_parsed_and_written_the_same)
{
    static const struct {
        const char *text;
        const char *written;
        const char *host;
        uint16_t port;
        bool is_loopback;
    } rows[] = {
        {"127.0.0.1:80", "127.0.0.1:80", "127.0.0.1", 80, true},
        {"127.77.0.3:65535", "127.77.0.3:65535", "127.77.0.3", 65535, true},
        {"0.0.0.0:0", "0.0.0.0:0", "0.0.0.0", 0, false},
        {"[::1]:4566", "[::1]:4566", "::1", 4566, true},
        {"[::]:1", "[::]:1", "::", 1, false},
        {"[2001:DB8:0::1]:443", "[2001:db8::1]:443", "2001:db8::1", 443, false},
        {"[::ffff:127.0.0.1]:9", "127.0.0.1:9", "127.0.0.1", 9, true},
        {"unix:/run/a.sock", "unix:/run/a.sock", "unix:/run/a.sock", 0, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct net_addr addr = {0};
        REQUIRE(net_addr_parse(str_of(rows[i].text), &addr));
        char buffer[NET_ADDR_TEXT_BYTES_MAX];
        EXPECT_EQ(net_addr_format(&addr, buffer), strlen(rows[i].written));
        EXPECT_STR(str_of(buffer), rows[i].written);
        EXPECT_EQ(net_addr_format_host(&addr, buffer), strlen(rows[i].host));
        EXPECT_STR(str_of(buffer), rows[i].host);
        EXPECT_EQ(net_addr_port(&addr), rows[i].port);
        EXPECT_EQ(net_addr_is_loopback(&addr), rows[i].is_loopback);
    }
}

TEST(an_address_of_datagrams_is_another_one)
{
    struct net_addr stream;
    struct net_addr datagram;
    char text[NET_ADDR_TEXT_BYTES_MAX];
    EXPECT(net_addr_parse(STR("[::1]:53"), &stream));
    EXPECT(net_addr_parse(STR("udp:[::1]:53"), &datagram));
    EXPECT(!stream.is_datagram && datagram.is_datagram);
    EXPECT(!net_addr_equal(&stream, &datagram));
    (void)net_addr_format(&datagram, text);
    EXPECT_STR(str_of(text), "udp:[::1]:53");
    EXPECT(!net_addr_parse(STR("udp:unix:/a"), &datagram));
    EXPECT(!net_addr_parse(STR("udp:127.0.0.1"), &datagram));
}

TEST(texts_that_are_no_address_are_refused)
{
    static const char *const texts[] = {
        "",
        ":80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 1",
        "127.0.0.1:0x1",
        "127.1:80",
        "256.0.0.1:80",
        "1.2.3.4.5:80",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[]:80",
        "[127.0.0.1]:80",
        "[fe80::1%lo]:80",
        "[::1:80",
        "localhost:80",
        "unix:",
        "unix:relative",
        "UNIX:/x",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:80",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct net_addr addr = {.len = 7};
        bool is_parsed = net_addr_parse(str_of(texts[i]), &addr);
        if (is_parsed) {
            test_failed(__FILE__, __LINE__, "\"%s\" is taken for an address", texts[i]);
        }
        EXPECT_EQ(addr.len, 7);
    }
    struct net_addr addr;
    EXPECT(!net_addr_parse(STR("unix:/a\0b"), &addr));
    EXPECT(!net_addr_parse(STR("127.0.0.1\0:80"), &addr));
}

TEST(a_unix_path_may_fill_the_whole_field_and_no_more)
{
    char text[5 + NET_UNIX_PATH_BYTES_MAX + 1];
    memset(text, 'a', sizeof(text));
    memcpy(text, STR("unix:/").ptr, STR("unix:/").len);
    struct net_addr addr;
    EXPECT(net_addr_parse(str_make(text, sizeof(text) - 1), &addr));
    char buffer[NET_ADDR_TEXT_BYTES_MAX];
    EXPECT_EQ(net_addr_format(&addr, buffer), sizeof(text) - 1);
    EXPECT(net_addr_is_unix(&addr));
    EXPECT(!net_addr_parse(str_make(text, sizeof(text)), &addr));
}

TEST(hosts_of_targets_are_parsed_with_their_port)
{
    struct net_addr addr;
    struct net_addr same;
    EXPECT(net_addr_parse_host(STR("::1"), 80, &addr));
    EXPECT(net_addr_parse(STR("[::1]:80"), &same));
    EXPECT(net_addr_equal(&addr, &same));
    EXPECT(net_addr_parse_host(STR("::1"), 81, &addr));
    EXPECT(!net_addr_equal(&addr, &same));
    EXPECT(net_addr_parse_host(STR("10.0.0.1"), 80, &addr));
    EXPECT(!net_addr_equal(&addr, &same));
    EXPECT(net_addr_parse_host(STR("unix:/x"), 0, &addr));
    EXPECT(net_addr_parse(STR("unix:/x"), &same));
    EXPECT(net_addr_equal(&addr, &same));
    EXPECT(!net_addr_parse_host(STR("[::1]"), 80, &addr));
    EXPECT(!net_addr_parse_host(STR("10.0.0.1:1"), 80, &addr));
}

TEST(an_unnamed_unix_peer_is_written_without_a_path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct net_addr addr;
    REQUIRE(net_addr_from_sockaddr((const struct sockaddr *)&un, sizeof(sa_family_t), &addr));
    char buffer[NET_ADDR_TEXT_BYTES_MAX];
    EXPECT_EQ(net_addr_format(&addr, buffer), 5);
    EXPECT_STR(str_of(buffer), "unix:");
    un.sun_family = AF_APPLETALK;
    EXPECT(!net_addr_from_sockaddr((const struct sockaddr *)&un, sizeof(un), &addr));
    EXPECT(!net_addr_from_sockaddr((const struct sockaddr *)&un, 1, &addr));
}

TEST(ipv4_is_written_as_inet_ntop_writes_it)
{
    char ours[NET_ADDR_TEXT_BYTES_MAX];
    char theirs[NET_ADDR_TEXT_BYTES_MAX];
    for (uint32_t i = 0; i < 100000; i++) {
        uint32_t bits = i * 2654435761u; /* spread over all addresses */
        struct net_addr addr = {.len = sizeof(addr.v4)};
        addr.v4.sin_family = AF_INET;
        memcpy(&addr.v4.sin_addr, &bits, sizeof(bits));
        size_t len = net_addr_format_host(&addr, ours);
        REQUIRE(inet_ntop(AF_INET, &bits, theirs, sizeof(theirs)) != NULL);
        REQUIRE_EQ(len, strlen(theirs));
        REQUIRE(strcmp(ours, theirs) == 0);
    }
}
