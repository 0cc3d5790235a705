#pragma once
/* Deployments of services whose controller is CODE_DEPLOY. The application and group are found by
 * the service that the group names. */

#include "deployer/shift.h"
#include "deployer/sight.h"

/* Starts one: the group's own configuration where the file gives no steps, else one of ours made
 * from the steps ("hitless-canary-10-5"). */
enum err cdshift_start(struct op *op, const struct cloud *cloud, const struct place *place,
                       const struct resources *r, const struct shift_order *order,
                       struct handle *ret_handle) MUST_USE;
enum err cdshift_stop(struct op *op, const struct cloud *cloud, struct str deployment_id) MUST_USE;
/* The deployment of the service's group that is under way; ERR_NOT_FOUND when there is none. */
enum err cdshift_current(struct op *op, const struct cloud *cloud, const struct place *place,
                         struct handle *ret_handle) MUST_USE;
/* One look at it, and at the rollback that it started. */
enum err cdshift_look(struct op *op, const struct cloud *cloud, const struct handle *handle,
                      struct sight *ret) MUST_USE;

/* Pure: the AppSpec of a task definition, as JSON. */
struct str cdshift_appspec(struct arena *a, const struct shift_order *order);
/* Pure: the name of the configuration for the order's strategy, and its routing. */
struct codedeploy_traffic_routing_config;
struct str cdshift_config_of(struct arena *a, const struct config_environment *e,
                             enum config_strategy strategy,
                             struct codedeploy_traffic_routing_config *ret_routing);
