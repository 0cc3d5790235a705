#pragma once
/* The UDP flows of one worker by socket and client address. The hash has a key that nobody outside
 * knows, so that nobody can pick addresses that fall into one bucket. */

#include "ev/loop.h"
#include "lb/limits.h"
#include "net/addr.h"

struct lb_pool;
struct lb_udp_socket;
struct lb_worker;

struct lb_udp_flow {
    struct lb_udp_flow *next; /* in its bucket */
    struct ev_fd fd;          /* connected to the target */
    struct ev_timer timer;
    struct list node;  /* in the pool's UDP flows, or among the dead or free */
    struct list order; /* of those that no target has answered yet, oldest first */
    struct lb_worker *worker;
    struct lb_udp_socket *socket;
    struct lb_pool *pool;
    struct net_addr client;
    struct net_addr local; /* that the client sent to; len 0 where the socket says it */
    uint32_t group_slot;
    bool is_answered;
    bool is_dead;
};

struct lb_udp_table {
    struct lb_udp_flow **buckets; /* LB_UDP_BUCKETS; NULL until a worker serves UDP */
    uint64_t key[2];
    uint32_t count;
    struct list unanswered;
};

void lb_udp_table_init(struct lb_udp_table *t);
void lb_udp_table_fini(struct lb_udp_table *t);
/* NULL when there is none. */
struct lb_udp_flow *lb_udp_table_find(const struct lb_udp_table *t,
                                      const struct lb_udp_socket *socket,
                                      const struct net_addr *client);
/* flow->socket and flow->client are set, and it is not in the table. */
void lb_udp_table_put(struct lb_udp_table *t, struct lb_udp_flow *flow);
void lb_udp_table_remove(struct lb_udp_table *t, struct lb_udp_flow *flow);
