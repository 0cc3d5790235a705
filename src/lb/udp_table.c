#include "lb/udp_table.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"

void lb_udp_table_init(struct lb_udp_table *t)
{
    *t = (struct lb_udp_table){.buckets = mem_alloc_array(LB_UDP_BUCKETS, sizeof(void *))};
    rand_bytes(t->key, sizeof(t->key));
    list_init(&t->unanswered);
}

void lb_udp_table_fini(struct lb_udp_table *t)
{
    CHECK(t->count == 0);
    mem_free(t->buckets);
    t->buckets = NULL;
}

static uint64_t rotated(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotated(v[1], 13) ^ v[0];
    v[0] = rotated(v[0], 32);
    v[2] += v[3];
    v[3] = rotated(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotated(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotated(v[1], 17) ^ v[2];
    v[2] = rotated(v[2], 32);
}

/* SipHash-1-3 over address, port and socket. */
static uint64_t hash_of(const struct lb_udp_table *t, const struct lb_udp_socket *socket,
                        const struct net_addr *client)
{
    uint64_t words[4] = {net_addr_port(client), (uint64_t)(uintptr_t)socket, 0, 0};
    if (client->any.sa_family == AF_INET) {
        words[2] = client->v4.sin_addr.s_addr;
    } else {
        memcpy(&words[2], &client->v6.sin6_addr, 16);
    }
    uint64_t v[4] = {t->key[0] ^ 0x736f6d6570736575u, t->key[1] ^ 0x646f72616e646f6du,
                     t->key[0] ^ 0x6c7967656e657261u, t->key[1] ^ 0x7465646279746573u};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        v[3] ^= words[i];
        sip_round(v);
        v[0] ^= words[i];
    }
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct lb_udp_flow **bucket_of(const struct lb_udp_table *t,
                                      const struct lb_udp_socket *socket,
                                      const struct net_addr *client)
{
    return &t->buckets[hash_of(t, socket, client) & (LB_UDP_BUCKETS - 1)];
}

struct lb_udp_flow *lb_udp_table_find(const struct lb_udp_table *t,
                                      const struct lb_udp_socket *socket,
                                      const struct net_addr *client)
{
    struct lb_udp_flow *f = *bucket_of(t, socket, client);
    while (f != NULL && !(f->socket == socket && net_addr_equal(&f->client, client))) {
        f = f->next;
    }
    return f;
}

void lb_udp_table_put(struct lb_udp_table *t, struct lb_udp_flow *flow)
{
    struct lb_udp_flow **bucket = bucket_of(t, flow->socket, &flow->client);
    flow->next = *bucket;
    *bucket = flow;
    t->count++;
    list_add_tail(&t->unanswered, &flow->order);
}

void lb_udp_table_remove(struct lb_udp_table *t, struct lb_udp_flow *flow)
{
    struct lb_udp_flow **at = bucket_of(t, flow->socket, &flow->client);
    while (*at != flow) {
        CHECK(*at != NULL);
        at = &(*at)->next;
    }
    *at = flow->next;
    t->count--;
    if (!flow->is_answered) {
        list_remove(&flow->order);
    }
}
