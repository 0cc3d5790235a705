#include "lb/cidr_set.h"

#include "lb/rule.h"
#include "test.h"

static struct lb_cidr parsed(const char *text)
{
    struct lb_cidr c = {0};
    EXPECT(lb_cidr_read(str_of(text), &c));
    return c;
}

static bool has(const struct lb_cidr_set *set, const char *address)
{
    struct net_addr addr;
    uint8_t bytes[16];
    EXPECT(net_addr_parse_host(str_of(address), 0, &addr));
    lb_addr_bytes(&addr, bytes);
    return lb_cidr_set_has(set, bytes);
}

TEST(addresses_are_in_the_blocks_that_hold_them)
{
    struct arena a;
    arena_init(&a);
    struct lb_cidr cidrs[] = {parsed("10.1.0.0/16"),   parsed("10.0.0.0/8"),
                              parsed("127.0.0.2/31"),  parsed("192.168.7.9/32"),
                              parsed("2001:db8::/33"), parsed("10.255.0.0/16")};
    struct lb_cidr_set *set = lb_cidr_set_build(&a, cidrs, sizeof(cidrs) / sizeof(*cidrs));
    static const struct {
        const char *address;
        bool is_in;
    } rows[] = {
        {"10.0.0.0", true},         {"10.255.255.255", true}, {"9.255.255.255", false},
        {"11.0.0.0", false},        {"127.0.0.1", false},     {"127.0.0.2", true},
        {"127.0.0.3", true},        {"127.0.0.4", false},     {"192.168.7.9", true},
        {"192.168.7.8", false},     {"2001:db8::1", true},    {"2001:db8:7fff::", true},
        {"2001:db8:8000::", false}, {"::1", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (has(set, rows[i].address) != rows[i].is_in) {
            test_failed(__FILE__, __LINE__, "%s", rows[i].address);
        }
    }
    EXPECT(!has(lb_cidr_set_build(&a, NULL, 0), "10.0.0.1"));
    struct lb_cidr all_v6 = parsed("::/0");
    EXPECT(has(lb_cidr_set_build(&a, &all_v6, 1), "::1"));
    EXPECT(!has(lb_cidr_set_build(&a, &all_v6, 1), "10.0.0.1"));
    struct lb_cidr all_v4 = parsed("0.0.0.0/0");
    EXPECT(has(lb_cidr_set_build(&a, &all_v4, 1), "10.0.0.1"));
    EXPECT(!has(lb_cidr_set_build(&a, &all_v4, 1), "::1"));
    arena_fini(&a);
}

TEST(a_set_agrees_with_asking_every_block)
{
    uint64_t state = 88172645463325252u;
    for (int round = 0; round < 300; round++) {
        struct arena a;
        arena_init(&a);
        struct lb_cidr cidrs[40];
        size_t count = (size_t)(round % 40);
        for (size_t i = 0; i < count; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            cidrs[i] = parsed(arena_printf(&a, "10.%u.%u.0/%u", (unsigned)(state >> 60),
                                           (unsigned)(state >> 56 & 15) * 16,
                                           8 + (unsigned)(state >> 40) % 20)
                                  .ptr);
        }
        struct lb_cidr_set *set = lb_cidr_set_build(&a, cidrs, count);
        for (int ask = 0; ask < 100; ask++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff, [12] = 10};
            bytes[13] = (uint8_t)(state >> 60);
            bytes[14] = (uint8_t)(state >> 50);
            struct lb_condition c = {.field = LB_SOURCE_IP, .cidrs = cidrs, .count = count};
            struct lb_rule rule = {.conditions = &c, .condition_count = 1};
            struct lb_request_facts facts = {0};
            memcpy(facts.peer, bytes, 16);
            EXPECT_EQ(lb_cidr_set_has(set, bytes), lb_rule_holds(&rule, &facts));
        }
        arena_fini(&a);
    }
}
