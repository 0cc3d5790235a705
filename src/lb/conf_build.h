#pragma once
/* What the readers of a snapshot's parts share. Control thread. */

#include "base/op.h"
#include "lb/conf.h"

/* A configuration that is being made. */
struct lb_build {
    struct op *op;
    struct lb_conf *conf;
    struct arena *arena;
    struct lb_registry *registry;
    const struct lbconf_target_groups *groups; /* of the snapshot */
};

/* Absent when it is not set. */
struct str lb_attribute(const struct lbconf_attributes *attributes, struct str key);
/* Leaves *in_out alone when it is not set or was emptied; ERR_INPUT when it is no number of
 * 0..most. */
enum err lb_attribute_number(struct op *op, const struct lbconf_attributes *attributes,
                             struct str key, uint64_t most, uint64_t *in_out) MUST_USE;

/* conf_network.c: "TCP", "TLS", "UDP", "TCP_UDP" */
bool lb_is_network(struct str protocol);
/* What a group of a network load balancer has of its own. */
void lb_network_group_read(const struct lbconf_attributes *set, struct lb_group *g);

/* conf_gate.c: leaves l->gate NULL when the listener is open to all. */
enum err lb_gate_read(struct op *op, struct arena *a, const struct lbconf_attributes *set,
                      struct lb_listener *l) MUST_USE;
/* conf_log.c: l's address and dimension are read. */
void lb_log_read(struct lb_logs *logs, const struct lbconf_listener *in, struct lb_listener *l);
/* conf_rules.c: in the order in which they are asked. The groups are read. */
enum err lb_rules_read(struct lb_build *b, const struct lbconf_listener *in,
                       struct lb_listener *l) MUST_USE;
