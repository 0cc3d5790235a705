#pragma once
/* Amazon ECS: clusters, task definitions, services, tasks, task sets, and what keeps them running.
 *
 * Two halves. The API (ecs_handlers) reads and writes rows. The engine below it has two kinds of
 * machines over those rows: a task is carried through its life by task_engine.c, a service or task
 * set towards what is wanted by scheduler.c, whose decision is rollout/service.h. A machine takes a
 * turn as soon as something changed (a row, an event of the runtime, a target's health, an alarm)
 * and at the time that its last decision named; nothing polls.
 *
 * Crash    Rows are the truth, effects are keyed by the task id. ecs_start() gives every live task
 *          and service a turn; there is no other recovery.
 * Threads  The control loop's only. */

#include "base/op.h"
#include "gen/ecs.h"
#include "runtime/driver.h"
#include "svc/common/ports.h"

struct ecs;
struct ev_loop;
struct store;

/* Everything is kept by reference and outlives the ecs. */
struct ecs_config {
    struct store *store;
    struct ev_loop *loop;
    struct str account; /* "123456789012" */
    const struct port_elb *elb;
    const struct port_alarms *alarms;
    const struct port_logs *logs;
    const struct port_secrets *secrets;
    const struct port_wakes *wakes; /* task_set_changed */
};

/* Owns: *ret, until ecs_close(). The order at start:
 *     ecs_create(); runtime_..._open(ecs_runtime_sink(ecs)); ecs_set_runtime(); ecs_start(). */
enum err ecs_create(struct op *op, const struct ecs_config *config, struct ecs **ret) MUST_USE;
/* Valid until ecs_close(). */
const struct runtime_sink *ecs_runtime_sink(struct ecs *ecs);
/* Kept by reference; closed by the caller after ecs_close(). */
void ecs_set_runtime(struct ecs *ecs, struct runtime *rt);
/* Every live task and service of every region gets a turn. */
enum err ecs_start(struct op *op, struct ecs *ecs) MUST_USE;
/* Tasks run on. NULL is fine. */
void ecs_close(struct ecs *ecs);

extern const struct ecs_handlers ecs_handlers;

/* For codedeploy. */
struct port_task_sets ecs_port_task_sets(struct ecs *ecs);

/* A target of this group changed its state; an alarm changed its state. Return at once. */
void ecs_target_changed(struct ecs *ecs, struct str region, struct str target_group_arn);
void ecs_alarm_changed(struct ecs *ecs, struct str region, struct str alarm_name);
/* The data plane routes by the newest weights. Returns at once. */
void ecs_weights_published(struct ecs *ecs);

/* Use of resources since the last call, one entry a running task of a service; for AWS/ECS
 * CPUUtilization and MemoryUtilization. Percent of what the task reserved: of the task's cpu and
 * memory, else of the sum of its containers'; an entry without either reservation is left out, and
 * so is a task in its first interval. */
struct ecs_usage {
    struct str region;
    struct str cluster;
    struct str service;
    double cpu_percent;
    double memory_percent;
};
struct ecs_usages {
    struct ecs_usage *items;
    size_t count;
};
enum err ecs_usage(struct op *op, struct ecs *ecs, struct ecs_usages *ret) MUST_USE;

/* The last lines that a task's container wrote, oldest first, joined by \n; "" when there are
 * none. For people. Kept as long as the task can be described. */
struct str ecs_task_tail(struct op *op, struct ecs *ecs, struct str task_id, struct str container);
