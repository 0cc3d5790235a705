#pragma once
/* An exact split by weight: of any N successive picks each group gets its share to within one (two
 * groups: strictly; more: each prefix stays within one). Where a random draw is off by about
 * sqrt(N p (1-p)), this is never off by a whole request.
 *
 * Source  R. Tijdeman, The chairman assignment problem, 1980: among those that are far enough
 * behind their share, the one that would fall too far behind first. */

#include "lb/conf.h"

struct lb_split {
    uint64_t serial; /* of the rule */
    uint32_t weights[LB_WEIGHTS_MAX];
    uint64_t groups[LB_WEIGHTS_MAX]; /* serials */
    /* weight * picks - sum * picks of this one: how far it is behind, in units of 1/sum */
    int64_t behind[LB_WEIGHTS_MAX];
};

/* Index into rule->action.weights. A split that is of another rule, of other groups or weights
 * begins anew. weight_sum > 0. phase: differs from worker to worker, so that they do not all begin
 * with the same group. */
size_t lb_split_pick(struct lb_split *s, const struct lb_rule *rule, uint32_t phase);
