#pragma once
/* What a deployment would change, as lines for people: "+" made, "~" changed. */

#include "base/buf.h"
#include "deployer/deploy.h"

/* Pure: the differences of a container and its task between the live definition (NULL: none) and
 * the new one; values of secrets are never shown, only their names. Gives how many. */
size_t plan_compare(struct buf *to, const struct ecs_task_definition *live,
                    const struct ecs_register_task_definition_in *next);

/* All services of a prepared deployment. */
enum err plan_write(struct op *op, const struct deployment *d, struct buf *to,
                    size_t *ret_changes) MUST_USE;
