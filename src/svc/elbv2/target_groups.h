#pragma once
/* Operations on target groups. Private to the module. */

#include "svc/elbv2/elbv2.h"

enum err elbv2_create_target_group(struct op *op, struct elbv2 *e,
                                   const struct elbv2_create_target_group_in *in,
                                   struct elbv2_create_target_group_out *ret);
enum err elbv2_describe_target_groups(struct op *op, struct elbv2 *e,
                                      const struct elbv2_describe_target_groups_in *in,
                                      struct elbv2_describe_target_groups_out *ret);
enum err elbv2_modify_target_group(struct op *op, struct elbv2 *e,
                                   const struct elbv2_modify_target_group_in *in,
                                   struct elbv2_modify_target_group_out *ret);
enum err elbv2_delete_target_group(struct op *op, struct elbv2 *e,
                                   const struct elbv2_delete_target_group_in *in,
                                   struct elbv2_delete_target_group_out *ret);
enum err elbv2_describe_target_group_attributes(
    struct op *op, struct elbv2 *e, const struct elbv2_describe_target_group_attributes_in *in,
    struct elbv2_describe_target_group_attributes_out *ret);
enum err elbv2_modify_target_group_attributes(
    struct op *op, struct elbv2 *e, const struct elbv2_modify_target_group_attributes_in *in,
    struct elbv2_modify_target_group_attributes_out *ret);
