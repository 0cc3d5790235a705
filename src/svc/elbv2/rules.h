#pragma once
/* Operations on rules. Private to the module. */

#include "svc/elbv2/elbv2.h"

enum err elbv2_create_rule(struct op *op, struct elbv2 *e, const struct elbv2_create_rule_in *in,
                           struct elbv2_create_rule_out *ret);
enum err elbv2_describe_rules(struct op *op, struct elbv2 *e,
                              const struct elbv2_describe_rules_in *in,
                              struct elbv2_describe_rules_out *ret);
enum err elbv2_modify_rule(struct op *op, struct elbv2 *e, const struct elbv2_modify_rule_in *in,
                           struct elbv2_modify_rule_out *ret);
enum err elbv2_delete_rule(struct op *op, struct elbv2 *e, const struct elbv2_delete_rule_in *in,
                           struct elbv2_delete_rule_out *ret);
enum err elbv2_set_rule_priorities(struct op *op, struct elbv2 *e,
                                   const struct elbv2_set_rule_priorities_in *in,
                                   struct elbv2_set_rule_priorities_out *ret);
