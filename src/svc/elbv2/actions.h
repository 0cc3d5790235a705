#pragma once
/* Actions of listeners and rules: what is refused, and the form in which they are kept and told.
 * Private to the module. */

#include "svc/elbv2/elbv2.h"

/* Where the actions are to stand. */
struct elbv2_action_place {
    const struct elbv2_load_balancer *lb;
    enum elbv2_protocol_enum protocol; /* of the listener */
    bool is_shift; /* traffic is shifted between groups: their own stickiness is no obstacle */
};

/* Checks actions as a client sent them and gives them as AWS echoes them: a forward action to one
 * group has TargetGroupArn and ForwardConfig, one to several ForwardConfig only; weights and
 * stickiness are filled in; a redirect has all its parts. Sorted by Order. */
enum err elbv2_check_actions(struct op *op, struct elbv2 *e, struct elbv2_action_place place,
                             const struct elbv2_actions *sent, struct elbv2_actions *ret);

/* The echo form of a forward action alone; sent has been checked. */
struct elbv2_action elbv2_forward_action(struct arena *a,
                                         const struct elbv2_forward_action_config *config,
                                         struct opt_i32 order);

/* The forward action among them, or NULL. */
struct elbv2_action *elbv2_find_forward(const struct elbv2_actions *actions);

/* "HTTP": AWS's name of a protocol. */
/* Before a group is made sticky: no rule sends requests to it and to others without keeping clients
 * in their group. */
enum err elbv2_check_sticky_rules(struct op *op, struct elbv2 *e, struct str group_arn);

const char *elbv2_protocol_name(enum elbv2_protocol_enum protocol);
