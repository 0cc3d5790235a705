#pragma once
/* Why a deployment failed: the task that shows it best, its exit code and last words, the alarms.
 */

#include "deployer/alarms.h"
#include "deployer/sight.h"

#define WHY_LINES_MAX 8

struct why {
    struct str task;           /* ARN; absent when no task of the new version ended */
    struct str stopped_reason; /* ECS's words */
    struct str container;
    bool has_exit_code;
    int64_t exit_code;
    struct str lines[WHY_LINES_MAX]; /* the task's last log lines, oldest first */
    size_t line_count;
    struct alarm_states alarms; /* that fired since it began */
};

/* Never fails: what cannot be found out is left out. Lives in the op's arena. */
void why_find(struct op *op, const struct cloud *cloud, const struct place *place,
              const struct handle *handle, const struct config_words *alarms, struct why *ret);
/* The same for one task: migrations. */
void why_of_task(struct op *op, const struct cloud *cloud, struct str log_group,
                 const struct ecs_task *task, struct why *ret);
/* Pure: of the tasks that ended, the one to show: a bad exit code before an unhealthy one, the
 * newest of equals; NULL when none belongs to the task definition. */
const struct ecs_task *why_pick(const struct ecs_tasks *tasks, struct str task_definition);
