#include "app/sockets.h"
#include "base/cleanup.h"
#include "net/socket.h"
#include "test.h"

#include <stdio.h>

static struct net_addr addr_of(const char *text)
{
    struct net_addr addr;
    REQUIRE(net_addr_parse(str_of(text), &addr));
    return addr;
}

TEST(the_same_address_gives_the_same_sockets_and_grows_on_demand)
{
    auto_op struct op op;
    op_init(&op);
    AUTO(sockets_fini) struct sockets s;
    sockets_init(&s);
    struct net_addr any = addr_of("127.0.0.1:0");
    struct sockets_given first;
    REQUIRE_OK(sockets_get(&op, &s, &any, 1, 0, 1, &first), &op);
    EXPECT_EQ(first.count, 1);
    EXPECT(net_addr_port(&first.addr) != 0);
    struct sockets_given again;
    REQUIRE_OK(sockets_get(&op, &s, &first.addr, 3, 0, 1, &again), &op);
    EXPECT_EQ(again.count, 3);
    EXPECT_EQ(again.fds[0], first.fds[0]);
    REQUIRE_OK(sockets_get(&op, &s, &any, 2, 0, 1, &again), &op);
    EXPECT_EQ(again.count, 3); /* connections may wait in the third */
    EXPECT_EQ(s.count, 1);
    sockets_give_up(&s, &first.addr);
    sockets_give_up(&s, &first.addr);
    EXPECT_EQ(s.count, 0);
}

TEST(an_address_of_somebody_else_is_refused_and_nothing_is_kept)
{
    auto_op struct op op;
    op_init(&op);
    AUTO(sockets_fini) struct sockets mine;
    AUTO(sockets_fini) struct sockets other;
    sockets_init(&mine);
    sockets_init(&other);
    struct net_addr any = addr_of("127.0.0.1:0");
    struct sockets_given given;
    REQUIRE_OK(sockets_get(&op, &other, &any, 2, 0, 1, &given), &op);
    struct net_addr taken = given.addr;
    EXPECT_EQ(sockets_get(&op, &mine, &taken, 2, 0, 1, &given), ERR_EXISTS);
    EXPECT_EQ(mine.count, 0);
}

TEST(what_a_new_generation_did_not_ask_for_is_given_up)
{
    auto_op struct op op;
    op_init(&op);
    AUTO(sockets_fini) struct sockets s;
    sockets_init(&s);
    struct net_addr a = addr_of("127.0.0.2:0");
    struct net_addr b = addr_of("127.0.0.3:0");
    struct net_addr c = addr_of("127.0.0.4:0");
    struct sockets_given given;
    REQUIRE_OK(sockets_get(&op, &s, &a, 1, 0, 1, &given), &op);
    REQUIRE_OK(sockets_get(&op, &s, &b, 1, 0, 1, &given), &op);
    REQUIRE_OK(sockets_get(&op, &s, &c, 1, 1, 1, &given), &op); /* the other role's */
    REQUIRE_OK(sockets_get(&op, &s, &b, 1, 0, 2, &given), &op);
    sockets_give_up_older(&s, 0, 2);
    EXPECT_EQ(s.count, 2);
    sockets_give_up_older(&s, 1, 2);
    EXPECT_EQ(s.count, 1);
}

TEST(a_unix_path_has_one_socket_and_goes_with_it)
{
    auto_op struct op op;
    op_init(&op);
    AUTO(sockets_fini) struct sockets s;
    sockets_init(&s);
    char text[128];
    (void)snprintf(text, sizeof(text), "unix:%s/api", test_folder());
    struct net_addr path = addr_of(text);
    struct sockets_given given;
    REQUIRE_OK(sockets_get(&op, &s, &path, 4, 0, 1, &given), &op);
    EXPECT_EQ(given.count, 1);
    EXPECT_EQ(access(path.un.sun_path, F_OK), 0);
    sockets_give_up(&s, &path);
    EXPECT_EQ(access(path.un.sun_path, F_OK), -1);
}
