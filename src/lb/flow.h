#pragma once
/* Network load balancer, in a worker: TCP flows (flow.c) and UDP flows (udp.c), and how both get
 * their target (flow_pick.c). A flow keeps no configuration alive: it holds what it needs, and its
 * target stays as long as a flow counts on it (lb_registry.lingering_count). */

#include "lb/worker.h"

/* Who asks, and where. */
struct lb_flow_key {
    uint8_t source[16]; /* lb_addr_bytes */
    uint16_t source_port;
    bool is_udp;
};

/* A group of the listener's action: exact shares of the weights, flow by flow. NULL for none. */
struct lb_group *lb_flow_group(struct lb_worker *w, const struct lb_listener *l);
/* The target for a flow of this key: by a hash over source and listener, so that the same flow, or
 * with stickiness the same source, gets the same target while that is there; rendezvous hashing
 * moves only the flows of a target that goes. Healthy ones, or all when none is (fail open). NULL
 * when there is none. */
struct lb_peer *lb_flow_pick(const struct lb_group *g, const struct lb_listener *l,
                             const struct lb_flow_key *key, struct lb_peer *const *refused,
                             size_t refused_count);
/* The pool's counts of work in flight, for drains. */
void lb_flow_enter(struct lb_worker *w, struct lb_pool *pool, uint32_t group_slot);
void lb_flow_leave(struct lb_worker *w, struct lb_pool *pool, uint32_t group_slot);
/* A drain is over, a target is unhealthy or gone: ends the flows that the group does not let run
 * on. */
void lb_flow_check(struct lb_worker *w, struct lb_pool *pool);

/* ---- flow.c: TCP ----------------------------------------------------------------------------- */

/* A client of a TCP listener. The descriptor is taken over. */
void lb_flow_accept(struct lb_listening *l, const struct lb_listener *listener, int fd,
                    const struct net_addr *peer);
/* Ends all flows to this target: both sides are reset. */
void lb_flows_cut(struct lb_worker *w, struct lb_pool *pool);
void lb_flows_close(struct lb_worker *w);
/* At the end of a turn; with the worker. */
void lb_flows_sweep(struct lb_worker *w);
void lb_flows_free(struct lb_worker *w);

/* ---- udp.c ----------------------------------------------------------------------------------- */

/* Starts and stops serving the sockets of the worker's configuration. */
void lb_udp_adopt(struct lb_worker *w);
/* Ends all flows to this target: the next datagram of each begins a new one. */
void lb_udp_cut(struct lb_pool *pool);
/* Serves no socket any more and ends all flows. */
void lb_udp_close(struct lb_worker *w);
/* At the end of a turn; with the worker. */
void lb_udp_sweep(struct lb_worker *w);
void lb_udp_free(struct lb_worker *w);
