#pragma once
/* AWS CodeDeploy for ECS: applications, deployment groups, configurations, revisions, and the
 * blue/green deployments that run over them. A deployment is a row; rollout/shift.h decides, this
 * module observes through the ports, commits and performs.
 *
 * Who calls what
 *   the API server   codedeploy_handlers
 *   the app          codedeploy_alarm_changed() and so on, from struct port_wakes: they ask for a
 *                    turn at the end of this turn of the loop and return at once
 *
 * Crash    Only moments of changes are stored. codedeploy_start() gives every open deployment a
 *          turn, which goes on where the row stands. */

#include "base/op.h"
#include "gen/codedeploy.h"
#include "svc/common/ports.h"

struct codedeploy;
struct ev_loop;
struct store;

/* Who runs the functions that an AppSpec's Hooks name. */
struct codedeploy_hooks {
    void *self;
    /* payload: {"DeploymentId":"d-...","LifecycleEventHookExecutionId":"..."}. Returns at once; the
     * function answers with PutLifecycleEventHookExecutionStatus. Called again after a crash, with
     * the same ids. ERR_NOT_FOUND and other errors that no retry mends end the deployment. */
    enum err (*invoke)(void *self, struct op *op, struct str function, struct str payload);
};

enum codedeploy_happening {
    CODEDEPLOY_STARTED, /* triggers: DeploymentStart, ... */
    CODEDEPLOY_READY,
    CODEDEPLOY_SUCCEEDED,
    CODEDEPLOY_FAILED,
    CODEDEPLOY_STOPPED,
    CODEDEPLOY_ROLLED_BACK /* a rollback deployment was made; told of the failed one */
};

/* For notifications; told after the commit. */
struct codedeploy_news {
    void *self;
    void (*tell)(void *self, struct str region, struct str deployment_id,
                 enum codedeploy_happening what);
};

struct codedeploy_config {
    struct store *store;
    struct ev_loop *loop;
    struct str account;
    struct port_elb elb;
    struct port_task_sets task_sets;
    struct port_alarms alarms;
    struct codedeploy_hooks hooks; /* invoke NULL: nobody runs functions; a hook then waits for
                                      PutLifecycleEventHookExecutionStatus, and the lifecycle event
                                      shows the execution id that it takes */
    struct codedeploy_news news;   /* tell may be NULL */
};

/* Keeps a copy of config, and what it points to. Owns: *ret, until codedeploy_close(). */
enum err codedeploy_open(struct op *op, const struct codedeploy_config *config,
                         struct codedeploy **ret) MUST_USE;
/* Every open deployment of every region gets a turn. */
enum err codedeploy_start(struct op *op, struct codedeploy *cd) MUST_USE;
/* Deployments stand still until the next start. NULL is fine. */
void codedeploy_close(struct codedeploy *cd);

extern const struct codedeploy_handlers codedeploy_handlers;

/* Something changed; which deployments it concerns is found out here. */
void codedeploy_alarm_changed(struct codedeploy *cd, struct str region, struct str alarm_name);
void codedeploy_target_changed(struct codedeploy *cd, struct str region,
                               struct str target_group_arn);
void codedeploy_task_set_changed(struct codedeploy *cd, struct str region, struct str service_arn);
void codedeploy_weights_published(struct codedeploy *cd);
