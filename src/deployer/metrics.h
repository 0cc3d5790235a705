#pragma once
/* Requests a second, errors and latencies of the load balancer and of each side, as CloudWatch has
 * them: by the second where the endpoint counts so, else by the minute. */

#include "deployer/resources.h"
#include "deployer/sight.h"

#define METRICS_PERIOD_FINE_S   1
#define METRICS_PERIOD_COARSE_S 60

/* Fills, of what was counted after `since`, total and, where the sides have groups of their own,
 * both sides. What cannot be read stays unset. */
enum err metrics_read(struct op *op, const struct cloud *cloud, const struct resources *r,
                      int period_s, bool has_sides, wall_t since, struct sight *into) MUST_USE;
/* Healthy targets of each side's group. */
enum err metrics_read_targets(struct op *op, const struct cloud *cloud, const struct resources *r,
                              struct sight *into) MUST_USE;
