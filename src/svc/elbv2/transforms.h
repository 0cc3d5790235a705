#pragma once
/* Transforms of rules, and the regular expressions of rules. Private to the module. */

#include "svc/elbv2/elbv2.h"

/* A regular expression that the data plane can run: ValidationError with the place or the feature
 * that is wrong; `what` begins the sentence. ret_group_count may be NULL. */
enum err elbv2_check_regex(struct op *op, const char *what, struct str pattern, size_t chars_max,
                           size_t *ret_group_count);

/* Checks transforms as a client sent them, and gives them as they are kept and told: at most one of
 * each type, each with its configuration. */
enum err elbv2_check_transforms(struct op *op, const struct elbv2_rule_transform_list *sent,
                                struct elbv2_rule_transform_list *ret);
