#pragma once
/* A whole deployment: preflight, resources, register, migrate, shift, verify, report. What happens
 * is told as it happens; the result says how the very deployment that was started ended. */

#include "deployer/definition.h"
#include "deployer/sight.h"
#include "deployer/why.h"

enum tell_kind {
    TELL_STEP,    /* a step begins: number of count, text */
    TELL_LINE,    /* something was done */
    TELL_WARNING, /* we go on, but a person should know */
    TELL_EVENT,   /* ECS's own words about the service */
    TELL_LOG,     /* a line of a task's log */
    TELL_SIGHT,   /* where the shift stands */
};

struct tell {
    enum tell_kind kind;
    int number;
    int count;
    struct str text;           /* lives as long as the call */
    const struct sight *sight; /* TELL_SIGHT; likewise */
};

typedef void (*tell_fn)(void *self, const struct tell *tell);

enum deploy_outcome {
    DEPLOY_RELEASED,
    DEPLOY_NOTHING, /* the same is live already */
    DEPLOY_REFUSED, /* preflight; nothing changed */
    DEPLOY_ROLLED_BACK,
    DEPLOY_NOT_ROLLED_BACK,
    DEPLOY_STOPPED, /* a person stopped the deployment, or following it */
    DEPLOY_WAITING, /* still going on when the time was over */
    DEPLOY_SUPERSEDED,
    DEPLOY_LOCKED,      /* another deployment is under way */
    DEPLOY_CANNOT_TELL, /* the endpoint stopped answering */
    DEPLOY_MIGRATION,   /* failed before any traffic moved */
};

struct deploy_request {
    const struct config *config;
    const struct config_environment *environment;
    struct str service; /* only this one; absent: all, in the order of the file */
    struct release release;
    bool is_forced; /* even when nothing changed */
    bool (*is_interrupted)(void *self);
    tell_fn tell;
    void *self;
};

struct deploy_result {
    enum deploy_outcome outcome;
    struct str text; /* what happened, one sentence */
    struct str service;
    struct str version;
    struct str old_version; /* absent for a first release */
    struct str revision;    /* "shop-production-api:3" */
    struct str deployment;  /* id of the very deployment */
    struct str url;
    struct str serving; /* what a request to the service gave after a failure */
    double seconds;
    struct why why;
};

/* A service on its way through the steps. */
struct leg {
    struct place place;
    struct resources resources;
    struct ecs_register_task_definition_in definition;
    struct str container;
    int64_t container_port;
    struct str hash; /* of the definition; a tag of the registered one */
    bool is_changed;
    struct str old_version;
    struct str task_definition; /* ARN, once registered */
    struct config_words alarms;
    struct handle handle;
};

struct deployment {
    const struct deploy_request *request;
    const struct cloud *cloud;
    struct leg *legs;
    size_t leg_count;
    int step;
    int step_count;
    mono_t started;
};

/* Fails only when nothing could be begun; every other end is an outcome. In the op's arena. */
enum err deploy_run(struct op *op, const struct cloud *cloud, const struct deploy_request *request,
                    struct deploy_result *ret) MUST_USE;

/* Brings a service back to a task definition that is registered. */
enum err deploy_back(struct op *op, const struct cloud *cloud, const struct deploy_request *request,
                     struct leg *leg, struct deploy_result *ret) MUST_USE;

/* ---- between the files of a deployment ---- */

/* Names, definition and live state of every service of the request. Changes nothing. */
enum err deploy_prepare(struct op *op, struct deployment *d) MUST_USE;
/* Whether anything stands against it: the outcome (DEPLOY_RELEASED: nothing does) and the op's
 * note. Changes nothing. */
enum deploy_outcome deploy_preflight(struct op *op, struct deployment *d);
/* Follows a leg's deployment to its end. on_baking is asked once when all traffic has moved and
 * the old side still stands; false takes it back. */
typedef bool (*follow_baking_fn)(struct op *op, void *self);
enum deploy_outcome follow_run(struct op *op, const struct deployment *d, struct leg *leg,
                               follow_baking_fn on_baking, void *self, struct sight *ret_last);

void deploy_tell(const struct deployment *d, enum tell_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* VERSION of a task definition, else "family:3". */
struct str deploy_version_of(struct op *op, const struct cloud *cloud, struct str task_definition);
/* The tag under which a definition's hash is kept. */
#define DEPLOY_HASH_TAG "hitless:definition"
