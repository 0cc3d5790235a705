#pragma once
/* An exact split by weight: of any N successive picks each group gets its share to within one (two
 * groups: strictly; more: each prefix stays within one). Where a random draw is off by about
 * sqrt(N p (1-p)), this is never off by a whole request.
 *
 * Weights that change in a split between the same two groups do not begin anew: what a group is
 * behind by is kept, so that however often the weights change a worker is never off by more than
 * one request from the sum of all shares.
 *
 * Phases  Workers begin at different places, spread evenly over one period of the split. With equal
 * ones 32 workers at 999:1 would all serve the small group with their 500th request.
 *
 * Source  R. Tijdeman, The chairman assignment problem, 1980: among those that are far enough
 * behind their share, the one that would fall too far behind first. */

#include "lb/conf.h"

#define LB_SPLIT_GRAIN ((int64_t)1024)

struct lb_split {
    uint64_t serial; /* of the rule */
    uint32_t weights[LB_WEIGHTS_MAX];
    uint64_t groups[LB_WEIGHTS_MAX]; /* serials */
    int64_t sum;                     /* of the weights */
    /* weight * picks - sum * picks of this one: how far it is behind, in units of
     * 1 / (sum * LB_SPLIT_GRAIN) of a request */
    int64_t behind[LB_WEIGHTS_MAX];
};

/* Index into rule->action.weights. A split that is of another rule, of other groups or weights
 * begins anew, or goes on as said above. weight_sum > 0, worker < worker_count. */
size_t lb_split_pick(struct lb_split *s, const struct lb_rule *rule, uint32_t worker,
                     uint32_t worker_count);
