#pragma once
/* What the scheduler of one service does next, as a pure function of what stands and of now.
 *
 *   observe   the caller fills a rollout_sight: the service, its deployments, its tasks
 *   decide    rollout_service_decide() or rollout_task_set_decide(): no clock, no socket, no store
 *   commit    the caller stores, in one transaction: every deployment with is_changed, the marks,
 *             the memory, the deployment of a ROLLOUT_ROLL_BACK, the stop decisions, the rows of
 *             the tasks to start, the events
 *   perform   the caller starts and stops; then it observes again
 *
 * Same sight, same plan. One call takes one step: after a commit call again at once (the plan says
 * so with wake_at == now) until a plan is empty, then at wake_at or when something changed.
 *
 * Promises, kept by tests/unit/rollout/service_property_test.c over random histories:
 *   - no stop takes the healthy tasks below ceil(desired * minimum_healthy_percent / 100);
 *   - no start takes the tasks above floor(desired * maximum_percent / 100);
 *   - capacity is added before it is taken away wherever the upper bound leaves room.
 *
 * Source  aws-semantics 1.5 to 1.10, 1.15. Where AWS says nothing we say what we do and why.
 * Owns    nothing. Texts of the sight must outlive the plan; the plan lives in the arena. */

#include "base/arena.h"
#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROLLOUT_GROUPS_MAX 5 /* load balancers of a service */

/* ---- spans ---------------------------------------------------------------------------------- */

/* All waiting spans of the scheduler. rollout_spans() passes the constants of AWS through
 * dur_scaled(); grace and bake come from the service and its alarms, scaled by the caller too. */
struct rollout_spans {
    dur_t settle; /* 40 s: a task without checks counts as healthy after this in RUNNING */
    dur_t retry;  /* 10 s: gap after a task ended early by itself; the scheduler's own pace */
    dur_t backoff_first; /* 10 s, doubled by every further round of tasks that never ran */
    dur_t backoff_most;  /* 15 min */
    dur_t repeat;        /* 6 h: an event whose condition still stands is said again */
    dur_t place;         /* 10 s: until a start is tried again while the runtime is away */
    dur_t grace;         /* healthCheckGracePeriodSeconds */
    dur_t bake;          /* alarms: how long a deployment in place is watched; 0 without alarms */
};

struct rollout_spans rollout_spans(dur_t grace, dur_t bake);

/* ---- what is seen --------------------------------------------------------------------------- */

enum rollout_life {
    ROLLOUT_STARTING, /* PROVISIONING, PENDING, ACTIVATING */
    ROLLOUT_RUNNING,
    ROLLOUT_STOPPING, /* DEACTIVATING, STOPPING, DEPROVISIONING */
    ROLLOUT_STOPPED
};

enum rollout_target_health {
    ROLLOUT_TARGET_UNKNOWN, /* not registered yet, initial, unused, draining */
    ROLLOUT_TARGET_HEALTHY,
    ROLLOUT_TARGET_UNHEALTHY
};

enum rollout_container_health {
    ROLLOUT_CONTAINER_NONE, /* no check, or no verdict yet */
    ROLLOUT_CONTAINER_HEALTHY,
    ROLLOUT_CONTAINER_UNHEALTHY
};

/* A target group of the service. */
struct rollout_group {
    struct str arn;
    int32_t port; /* the container's; for the event of an unhealthy target */
};

/* Marks on a task that decisions leave behind; kept in the task's row by the caller. */
enum {
    ROLLOUT_MARK_HEALTHY = 1 << 0, /* has counted as healthy once */
    ROLLOUT_MARK_COUNTED = 1 << 1, /* its failure is in the counters */
    ROLLOUT_MARK_SAID = 1 << 2     /* the event that it is unhealthy was said */
};

/* Tasks to show: every task that is not STOPPED, and those STOPPED without ROLLOUT_MARK_COUNTED.
 * (Tasks that STOPPED long ago may be shown too: they change nothing once they are marked.) */
struct rollout_task {
    struct str id;            /* as events print it */
    struct str deployment_id; /* or the task set's id */
    enum rollout_life life;
    wall_t created_at;
    wall_t started_at;    /* when it became RUNNING; us == 0: never yet */
    bool is_stop_decided; /* desiredStatus STOPPED by the scheduler or by StopTask: no failure */
    enum rollout_container_health container;
    /* in the order of rollout_config.groups */
    enum rollout_target_health targets[ROLLOUT_GROUPS_MAX];
    struct str target_reasons[ROLLOUT_GROUPS_MAX]; /* "Request timed out"; absent when healthy */
    uint32_t marks;
};

enum rollout_status { ROLLOUT_PRIMARY, ROLLOUT_ACTIVE, ROLLOUT_INACTIVE };
enum rollout_state { ROLLOUT_IN_PROGRESS, ROLLOUT_COMPLETED, ROLLOUT_FAILED };

/* Why a deployment failed, for the texts of service deployments and for records. */
enum rollout_failure {
    ROLLOUT_FAILURE_NONE,
    ROLLOUT_FAILURE_BREAKER,
    ROLLOUT_FAILURE_ALARM,
    ROLLOUT_FAILURE_STOPPED /* by a person: StopServiceDeployment */
};

/* serviceDeployment.deploymentCircuitBreaker.status */
enum rollout_watch {
    ROLLOUT_WATCH_DISABLED,
    ROLLOUT_WATCH_MONITORING,
    ROLLOUT_WATCH_MONITORING_COMPLETE,
    ROLLOUT_WATCH_TRIGGERED
};

/* The changing part of a deployment's row. A new deployment is: rollout_deployment_begin(). */
struct rollout_deployment {
    struct str id; /* "ecs-svc/1234567890123456789" */
    enum rollout_status status;
    enum rollout_state state;
    struct str reason; /* rolloutStateReason */
    wall_t created_at;
    wall_t updated_at;
    wall_t settled_at; /* all in place and nothing else left: the bake begins; us == 0: not yet */
    int32_t failed_count; /* failedTasks: what the breaker compares with its threshold */
    bool has_run;         /* a task of it was RUNNING: the breaker's stage 2 */
    bool is_rollback;     /* begun by the scheduler: neither breaker nor alarms act on it */
    enum rollout_failure failure;
    bool has_candidate; /* on FAILED: false says "No rollback candidate was found..." */
};

/* A PRIMARY deployment IN_PROGRESS with its rolloutStateReason. The caller, in the same
 * transaction, makes the PRIMARY of before ACTIVE and empties rollout_memory's starts
 * (rollout_memory_update). */
struct rollout_deployment rollout_deployment_begin(struct arena *a, struct str id, wall_t now);

enum rollout_threshold { ROLLOUT_BOUNDED_PERCENT, ROLLOUT_UNBOUNDED_PERCENT, ROLLOUT_COUNT };

struct rollout_breaker {
    bool is_enabled;
    bool may_roll_back;
    bool is_cumulative; /* resetOnHealthyTask false */
    enum rollout_threshold threshold;
    int32_t threshold_value; /* 50 */
};

/* Failed tasks that trip the breaker: BOUNDED_PERCENT clamp(ceil(desired * value / 100), 3, 200),
 * UNBOUNDED_PERCENT max(1, ceil(...)), COUNT the value. */
int32_t rollout_breaker_threshold(const struct rollout_breaker *b, int32_t desired_count);

struct rollout_alarm {
    struct str name;
    bool is_in_alarm;
    bool was_at_start; /* in ALARM when the PRIMARY deployment began: ignored for all of it */
};

struct rollout_config {
    int32_t desired_count;           /* >= 0 */
    int32_t minimum_healthy_percent; /* 0.. */
    int32_t maximum_percent;         /* 100.. */
    struct rollout_breaker breaker;
    bool are_alarms_enabled;
    bool may_alarms_roll_back;
    const struct rollout_alarm *alarms;
    size_t alarm_count;
    const struct rollout_group *groups; /* [group_count], at most ROLLOUT_GROUPS_MAX */
    size_t group_count;
    bool has_container_check; /* on an essential container */
    struct rollout_spans spans;
};

/* ---- events --------------------------------------------------------------------------------- */

enum rollout_event_kind {
#define X(kind, code, level, text) ROLLOUT_EVENT_##kind,
#include "rollout/events.def"
#undef X
    ROLLOUT_EVENT_COUNT
};

enum rollout_event_level { ROLLOUT_INFO, ROLLOUT_WARN, ROLLOUT_ERROR };

/* What the text of the kind asks for; the rest is zero. */
struct rollout_event {
    enum rollout_event_kind kind;
    struct str deployment_id;
    const struct str *task_ids; /* [task_count]; NULL in STARTED: the caller fills them in */
    size_t count;               /* N of "has started N tasks" */
    struct str target_group_arn;
    int32_t port;
    struct str reason;
};

/* The message of a service event. */
struct str rollout_event_text(struct arena *a, struct str service_name,
                              const struct rollout_event *e);
/* EventBridge's eventName, "" where AWS sends none. */
const char *rollout_event_code(enum rollout_event_kind kind);
enum rollout_event_level rollout_event_level(enum rollout_event_kind kind);

/* ---- memory of the service ------------------------------------------------------------------ */

/* Kept in the service's (or task set's) row; all zero at birth. */
struct rollout_memory {
    int32_t start_failures;     /* rounds in a row in which tasks never reached RUNNING */
    wall_t start_failed_at;     /* the last such end */
    wall_t ended_early_at;      /* last end of a task that ran but never counted as healthy */
    wall_t steady_said_at;      /* us == 0: the condition does not stand */
    wall_t stuck_said_at;       /* the same */
    wall_t impaired_said_at;    /* "is unable to consistently start tasks successfully." */
    wall_t unplaceable_said_at; /* the runtime is away */
};

/* Any service update clears the restart throttle. */
void rollout_memory_update(struct rollout_memory *m);

/* ---- the decision --------------------------------------------------------------------------- */

struct rollout_sight {
    struct rollout_config config;
    const struct rollout_deployment *deployments; /* exactly one PRIMARY; INACTIVE ones left out */
    size_t deployment_count;
    const struct rollout_task *tasks;
    size_t task_count;
    struct rollout_memory memory;
    struct str last_completed_id; /* most recent COMPLETED deployment before the PRIMARY, or absent;
                                     may be INACTIVE by now */
    struct str next_deployment_id; /* fresh: used if a rollback begins */
    struct str runtime_fault; /* absent while tasks can be started; else the reason, one sentence */
    bool is_stop_requested;   /* StopServiceDeployment: back to the last COMPLETED one, whatever the
                                 configuration says */
};

enum rollout_effect_kind {
    ROLLOUT_START,    /* deployment_id, count */
    ROLLOUT_STOP,     /* task, text: stoppedReason; stopCode is ServiceSchedulerInitiated */
    ROLLOUT_SAY,      /* event; after a START it has no task ids yet */
    ROLLOUT_ROLL_BACK /* deployment (new PRIMARY), from_id: take its task definition and the whole
                         revision. Tasks of from_id that are not STOPPED become tasks of the new
                         deployment; from_id becomes INACTIVE. */
};

struct rollout_effect {
    enum rollout_effect_kind kind;
    struct str deployment_id;             /* START */
    size_t count;                         /* START */
    size_t task;                          /* STOP: index into sight.tasks */
    struct str text;                      /* STOP */
    struct rollout_event event;           /* SAY */
    struct rollout_deployment deployment; /* ROLL_BACK */
    struct str from_id;                   /* ROLL_BACK */
};

struct rollout_effects {
    struct rollout_effect *items; /* in the order in which to do and say them */
    size_t count;
};

struct rollout_deployment_next {
    struct rollout_deployment row;
    bool is_changed;
};

struct rollout_plan {
    struct rollout_deployment_next *deployments; /* as sight.deployments */
    uint32_t *marks;                             /* as sight.tasks: the marks to keep */
    struct rollout_memory memory;
    struct rollout_effects effects;
    bool is_changed; /* anything at all is to be committed */
    wall_t wake_at;  /* us == 0: only when something changes */
};

struct rollout_plan rollout_service_decide(struct arena *a, const struct rollout_sight *s,
                                           wall_t now);

/* Healthy tasks as the promises count them: RUNNING, no stop decided, and
 *   no group, no container check   settle (40 s) after RUNNING
 *   container check                the container HEALTHY
 *   groups                         healthy in each of them (and the container, when checked) */
bool rollout_task_is_healthy(const struct rollout_config *c, const struct rollout_task *t,
                             wall_t now);
int32_t rollout_lower_bound(const struct rollout_config *c);
int32_t rollout_upper_bound(const struct rollout_config *c);
enum rollout_watch rollout_breaker_watch(const struct rollout_breaker *b,
                                         const struct rollout_deployment *d);

/* ---- task sets (controllers CODE_DEPLOY and EXTERNAL) ---------------------------------------- */

/* One task set: config.desired_count is the computedDesiredCount (rollout_task_set_count), 0 for a
 * DRAINING one; percents, breaker and alarms are not looked at (a replacement starts before its
 * predecessor stops, up to twice the count). tasks[].deployment_id is the task set's id. */
struct rollout_task_set_sight {
    struct str id;
    struct rollout_config config;
    bool is_draining;
    const struct rollout_task *tasks;
    size_t task_count;
    int32_t failed_count;
    struct rollout_memory memory;
    struct str runtime_fault;
};

struct rollout_task_set_plan {
    uint32_t *marks;
    struct rollout_memory memory;
    int32_t failed_count; /* tasks that stopped, or were stopped for their checks, before they were
                             healthy; 0 again when one becomes healthy */
    bool is_steady;       /* stabilityStatus STEADY_STATE */
    bool is_empty;        /* no task is left: a DRAINING set may be removed */
    struct rollout_effects effects;
    bool is_changed;
    wall_t wake_at;
};

struct rollout_task_set_plan rollout_task_set_decide(struct arena *a,
                                                     const struct rollout_task_set_sight *s,
                                                     wall_t now);

/* ceil(desired * percent / 100) */
int32_t rollout_task_set_count(int32_t desired_count, double scale_percent);
