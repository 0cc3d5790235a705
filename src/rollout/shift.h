#pragma once
/* The machine of a blue/green deployment, as CodeDeploy runs it: green is installed beside blue,
 * tried, given production traffic in steps, watched, and blue is taken away; or traffic goes back.
 *
 *   observe   the caller fills a shift_sight
 *   decide    shift_decide(): a pure function of row, configuration, sight and now
 *   commit    a MOVE is applied with shift_apply() and stored; an EFFECT needs no commit of its
 * own: it follows from the state that is stored perform   the effect, keyed by the deployment;
 * doing it twice is harmless
 *
 * and again, until it says STAY: then at wake_at or when something changed. Only what was seen
 * counts (weights, task sets): nothing is assumed to have worked. Entering the loop in the middle,
 * after whatever crash, is the same as going on.
 *
 * Promises, kept by tests/unit/rollout/shift_property_test.c:
 *   - weights are the whole, always, and no side without a healthy target is given traffic while
 *     the other has one;
 *   - a side is removed only when the data plane has acknowledged that it carries no traffic;
 *   - every deployment ends, and ends with all traffic on one side, a healthy one if there is any;
 *   - a failure takes traffic back first and cleans up afterwards.
 *
 * Blue is the side that served well before, green the candidate. A rollback deployment
 * (SHIFT_BACK) takes the same way with the sides changed: it makes sure of blue, gives it all
 * traffic, removes green.
 *
 * Source  aws-semantics 3.1, 3.5, 3.6. Owns nothing. */

#include "base/arena.h"
#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHIFT_STEPS_MAX   128
#define SHIFT_HISTORY_MAX 32 /* a deployment enters each state once; SHIFTING counts once */

enum shift_state {
#define X(state, limit_min, next, event, status) SHIFT_##state,
#include "rollout/states.def"
#undef X
    SHIFT_STATE_COUNT
};

enum shift_event {
    SHIFT_EVENT_BEFORE_INSTALL,
    SHIFT_EVENT_INSTALL,
    SHIFT_EVENT_AFTER_INSTALL,
    SHIFT_EVENT_ALLOW_TEST,
    SHIFT_EVENT_AFTER_TEST,
    SHIFT_EVENT_BEFORE_ALLOW,
    SHIFT_EVENT_ALLOW,
    SHIFT_EVENT_AFTER_ALLOW,
    SHIFT_EVENT_NONE,
    SHIFT_EVENT_COUNT = SHIFT_EVENT_NONE
};

enum shift_status {
    SHIFT_STATUS_CREATED,
    SHIFT_STATUS_IN_PROGRESS,
    SHIFT_STATUS_READY,
    SHIFT_STATUS_SUCCEEDED,
    SHIFT_STATUS_FAILED,
    SHIFT_STATUS_STOPPED
};

enum shift_event_status {
    SHIFT_PENDING,
    SHIFT_IN_PROGRESS,
    SHIFT_SUCCEEDED,
    SHIFT_FAILED_EVENT,
    SHIFT_SKIPPED
};

/* Why a deployment did not go through. */
enum shift_cause {
    SHIFT_CAUSE_NONE,
    SHIFT_CAUSE_ALARM,
    SHIFT_CAUSE_STOP,
    SHIFT_CAUSE_READY_TIMEOUT, /* nobody said ContinueDeployment */
    SHIFT_CAUSE_HOOK_FAILED,
    SHIFT_CAUSE_HOOK_TIMEOUT,
    SHIFT_CAUSE_TASKS_FAILED, /* too many tasks of the new task set stopped */
    SHIFT_CAUSE_TIMEOUT,      /* a state, or the whole, took longer than its limit */
    SHIFT_CAUSE_LOST,         /* the new side has no healthy target any more, or is gone */
    SHIFT_CAUSE_SERVICE_GONE, /* the service or its listener was deleted */
    SHIFT_CAUSE_REFUSED       /* an effect was refused for good */
};

enum shift_kind { SHIFT_FORWARD, SHIFT_BACK };

/* Weights of a route between the two sides. {0, 0}: the route has neither. */
struct shift_weights {
    int32_t blue;
    int32_t green;
};

/* Green's share in thousandths as weights of a load balancer, 0..999, in the form that AWS uses for
 * whole percentages: 100 -> {90, 10}; 1 -> {999, 1}. */
struct shift_weights shift_weights_of(int32_t permille);

/* ---- the plan ------------------------------------------------------------------------------- */

struct shift_step {
    int32_t permille; /* green's share, 1..1000; the last one is 1000 */
    dur_t wait;       /* after its weights are acknowledged, before the next */
};

struct shift_config {
    enum shift_kind kind;
    struct shift_step steps[SHIFT_STEPS_MAX];
    size_t step_count;
    bool has_hook[SHIFT_EVENT_COUNT];
    bool has_test_route;
    bool must_be_continued; /* deploymentReadyOption STOP_DEPLOYMENT */
    dur_t ready_wait;
    bool keeps_blue; /* KEEP_ALIVE */
    dur_t termination_wait;
    int32_t failures_allowed;   /* as many failed tasks as this end the deployment */
    bool rolls_back_on_failure; /* the rollback is a deployment of its own, which cleans up */
    bool rolls_back_on_alarm;
    bool rolls_back_on_stop;
};

/* Fill steps from a configuration; all spans in unscaled time go through dur_scaled().
 * percent in 1..99, interval_min >= 0. */
void shift_plan_at_once(struct shift_config *c);
void shift_plan_canary(struct shift_config *c, int32_t percent, int32_t interval_min);
/* percent every interval_min until 100. */
void shift_plan_linear(struct shift_config *c, int32_t percent, int32_t interval_min);

/* ---- the row -------------------------------------------------------------------------------- */

struct shift_moment {
    enum shift_state state;
    wall_t at; /* when it was entered */
};

struct shift_row {
    enum shift_state state;
    wall_t created_at;
    wall_t entered_at;
    int32_t step; /* SHIFTING: index into steps */
    wall_t step_begun_at;
    wall_t step_at;     /* when its weights were acknowledged; us == 0: not yet */
    bool is_continued;  /* ContinueDeployment for the wait that stands */
    bool is_stop_asked; /* StopDeployment */
    bool is_refused;    /* an effect was refused for good */
    enum shift_cause cause;
    enum shift_state failed_in; /* with a cause: where it happened */
    struct shift_moment history[SHIFT_HISTORY_MAX];
    size_t history_count;
};

struct shift_row shift_row_new(wall_t now);

/* ---- what is seen --------------------------------------------------------------------------- */

struct shift_side {
    bool is_there;   /* the task set exists */
    bool is_leaving; /* DRAINING */
    bool was_made;   /* by this deployment: when it is gone, it was taken away */
    bool is_primary;
    bool is_steady;
    int32_t desired_count;
    int32_t healthy_count;
    int32_t failed_count;
};

enum shift_hook { SHIFT_HOOK_NONE, SHIFT_HOOK_CALLED, SHIFT_HOOK_SUCCEEDED, SHIFT_HOOK_FAILED };

struct shift_sight {
    bool is_service_there; /* the service and the production route */
    struct shift_side blue;
    struct shift_side green;
    struct shift_weights production;
    struct shift_weights test; /* without has_test_route: not looked at */
    bool is_published;         /* the data plane routes by the newest weights */
    bool is_alarm;             /* a watched alarm is in ALARM */
    enum shift_hook hook;      /* of the state's event */
};

/* ---- the decision --------------------------------------------------------------------------- */

enum shift_effect {
    SHIFT_CREATE,         /* the task set of `side` */
    SHIFT_SET_PRODUCTION, /* weights */
    SHIFT_SET_TEST,       /* weights */
    SHIFT_SET_PRIMARY,    /* side */
    SHIFT_REMOVE,         /* side */
    SHIFT_CALL_HOOK       /* of the state's event */
};

enum shift_which { SHIFT_BLUE, SHIFT_GREEN };

struct shift_decision {
    enum { SHIFT_STAY, SHIFT_MOVE, SHIFT_EFFECT } what;
    enum shift_state next;  /* MOVE; the same state: the next step of SHIFTING, its acknowledgement,
                               or (is_rebase) a wall clock that was set back */
    enum shift_cause cause; /* MOVE to RESTORING */
    bool is_acknowledged;   /* MOVE: the step's wait begins */
    bool is_rebase;         /* MOVE: the span of the state begins anew */
    bool is_rollback_due;   /* MOVE to FAILED or STOPPED: make the rollback deployment in the same
                               transaction */
    enum shift_effect effect;
    enum shift_which side;
    struct shift_weights weights;
    wall_t wake_at; /* STAY: us == 0: only when something changes */
};

struct shift_decision shift_decide(const struct shift_row *row, const struct shift_config *c,
                                   const struct shift_sight *sight, wall_t now);
/* Applies a MOVE. CHECKs it against the table. */
void shift_apply(struct shift_row *row, const struct shift_decision *d, wall_t now);

bool shift_may_move(enum shift_state from, enum shift_state to);
bool shift_is_final(enum shift_state state);
const char *shift_state_name(enum shift_state state);
/* False: the name is of a newer engine or broken. */
bool shift_state_parse(struct str name, enum shift_state *ret_state);

/* ---- what outsiders see --------------------------------------------------------------------- */

enum shift_status shift_status(const struct shift_row *row);

struct shift_event_view {
    enum shift_event_status status;
    wall_t started_at; /* us == 0: not yet */
    wall_t ended_at;   /* the same */
};

struct shift_event_view shift_event_view(const struct shift_row *row, enum shift_event event);
const char *shift_event_name(enum shift_event event); /* "BeforeInstall" */
bool shift_event_parse(struct str name, enum shift_event *ret_event);
/* Hooks may be attached to five of the eight. */
bool shift_event_takes_hook(enum shift_event event);
/* The event of a state, or SHIFT_EVENT_NONE. */
enum shift_event shift_event_of(enum shift_state state);
/* When the state was entered; us == 0: never. */
wall_t shift_entered_at(const struct shift_row *row, enum shift_state state);
