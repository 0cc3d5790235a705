#pragma once
/* Deployments with the strategies BLUE_GREEN, LINEAR and CANARY. */

#include "rollout/shift.h"
#include "svc/ecs/scheduler.h"

extern const struct store_kind ecs_kind_shift;

bool ecs_is_native(const struct ecs_deployment_configuration *c);
/* Where the tasks of a deployment register: its own choice of the pair, else what its revision
 * says. */
const struct ecs_load_balancers *ecs_deployment_balancers(
    const struct engine_ecs_deployment *d, const struct ecs_load_balancers *revision);

/* Called for a new PRIMARY deployment before it is stored: chooses its target group of the pair
 * and, for a native strategy with something to shift from, makes the machine's row. before: the
 * PRIMARY of before, or NULL. */
enum err ecs_native_begin(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                          const struct engine_ecs_service *service,
                          const struct ecs_service_revision *revision,
                          const struct engine_ecs_deployment *before,
                          struct engine_ecs_deployment *deployment);
bool ecs_native_runs(struct op *op, struct ecs *ecs, const struct service_ref *ref);

/* One decision and its commit; *ret_is_native false: no such deployment runs, nothing was done. */
enum err scheduler_step_native(struct scene *s, bool *ret_is_native, bool *ret_again);
