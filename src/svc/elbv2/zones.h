#pragma once
/* Where load balancers stand: subnets, zones, security groups, addresses. Private to the module. */

#include "svc/elbv2/elbv2.h"

/* The zones of the subnets that a client names, in its order. One of the two lists may be filled.
 */
enum err elbv2_check_zones(struct op *op, enum elbv2_load_balancer_type_enum type,
                           const struct elbv2_subnets *subnets,
                           const struct elbv2_subnet_mappings *mappings,
                           struct elbv2_availability_zones *ret);
/* Existing groups of the default network; the default group when a client names none and the type
 * has groups. */
enum err elbv2_check_security_groups(struct op *op, struct elbv2 *e,
                                     enum elbv2_load_balancer_type_enum type,
                                     const struct elbv2_security_groups *sent,
                                     struct elbv2_security_groups *ret);
/* Both families only where the engine was given an IPv6 address to listen on. */
enum err elbv2_check_ip_address_type(struct op *op, struct elbv2 *e,
                                     enum elbv2_ip_address_type type);
/* The hosted zone that AWS answers in this region. */
struct str elbv2_hosted_zone(struct op *op, enum elbv2_load_balancer_type_enum type);
/* An address of 127.77.0.0/16 that no load balancer of any region has. */
enum err elbv2_new_address(struct op *op, struct elbv2 *e, struct str *ret);
