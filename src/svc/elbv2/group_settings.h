#pragma once
/* What a target group holds besides its name: protocol, port and health check, their defaults and
 * bounds. Pure. Private to the module. */

#include "svc/elbv2/elbv2.h"

/* What a client asks for with the defaults of AWS, checked. Identity (ARN) is not set. */
enum err elbv2_settle_group(struct op *op, const struct elbv2_create_target_group_in *in,
                            struct elbv2_target_group *ret);
/* The health check of group changed as asked, checked. */
enum err elbv2_change_group(struct op *op, const struct elbv2_modify_target_group_in *in,
                            struct elbv2_target_group *group);
/* Why no requests are sent to the group's targets, or absent when they are. */
struct str elbv2_why_group_not_served(const struct elbv2_target_group *group);
/* Same settings; identity and load balancers aside. */
bool elbv2_groups_are_alike(const struct elbv2_target_group *a, const struct elbv2_target_group *b);
