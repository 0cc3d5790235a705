#pragma once
/* Conditions of rules: what is refused, and the form in which they are kept and told. Private to
 * the module. */

#include "svc/elbv2/elbv2.h"

/* "192.0.2.0/24" or "2001:db8::/32". */
bool elbv2_is_cidr(struct str s);

/* Checks conditions as a client sent them and gives them as AWS echoes them: each with the typed
 * configuration of its field; host-header and path-pattern with Values as well. */
enum err elbv2_check_conditions(struct op *op, const struct elbv2_rule_condition_list *sent,
                                struct elbv2_rule_condition_list *ret);
