#pragma once
/* Targets of groups: register, drain, health as it is told. Private to the module. */

#include "gen/engine.h"
#include "svc/elbv2/elbv2.h"

enum err elbv2_register_targets(struct op *op, struct elbv2 *e,
                                const struct elbv2_register_targets_in *in,
                                struct elbv2_register_targets_out *ret);
enum err elbv2_deregister_targets(struct op *op, struct elbv2 *e,
                                  const struct elbv2_deregister_targets_in *in,
                                  struct elbv2_deregister_targets_out *ret);
enum err elbv2_describe_target_health(struct op *op, struct elbv2 *e,
                                      const struct elbv2_describe_target_health_in *in,
                                      struct elbv2_describe_target_health_out *ret);

/* The data plane can connect to it: an IP address, or "unix:/path". */
bool elbv2_is_address(struct str host);

/* What the data plane connects to for a target of this host: of a load balancer (target type alb)
 * its address, as long as it is there, else the host itself. */
struct str elbv2_served_host(struct op *op, struct elbv2 *e, struct str host);

/* One target, within the caller's transaction; the host has been checked. Registering a registered
 * one changes nothing, a draining one stays. */
enum err elbv2_add_target(struct op *op, struct elbv2 *e, struct str group_arn, struct str host,
                          int32_t port, struct str zone);
/* Begins to drain it, or removes it at once when it gets no traffic. Fine when there is none. */
enum err elbv2_drain_target(struct op *op, struct elbv2 *e, const struct elbv2_target_group *group,
                            struct str host, int32_t port);
/* Removes targets of the group whose drain is over. */
enum err elbv2_end_drains(struct op *op, struct elbv2 *e, struct str group_arn);
/* deregistration_delay.timeout_seconds, scaled. */
dur_t elbv2_drain_delay(const struct elbv2_target_group *group, const struct engine_elb_more *more);

/* State, reason and description as DescribeTargetHealth tells them. target: the row, or NULL when
 * it is not registered. */
enum err elbv2_see_health(struct op *op, struct elbv2 *e, const struct elbv2_target_group *group,
                          const struct engine_elb_target *target, struct elbv2_target_health *ret);
