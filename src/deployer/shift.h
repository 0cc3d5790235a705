#pragma once
/* Moving a service to another task definition: what is sent to ECS or CodeDeploy, and the one
 * deployment that came of it. */

#include "deployer/resources.h"

enum handle_kind { HANDLE_ROLLING, HANDLE_NATIVE, HANDLE_CODEDEPLOY };

/* The very deployment that was started; success is claimed for no other. */
struct handle {
    enum handle_kind kind;
    struct str id;                  /* "ecs-svc/...", service deployment ARN, "d-..." */
    struct str service_deployment;  /* ARN; of HANDLE_ROLLING absent until seen */
    struct str task_definition;     /* ARN that it brings */
    struct str old_task_definition; /* absent: the first of the service */
    wall_t started;
};

struct shift_order {
    struct str task_definition; /* ARN */
    enum config_strategy strategy;
    struct config_words alarms;
    struct str container; /* that the load balancer talks to */
    int64_t container_port;
    bool is_immediate; /* no bake: taking back */
};

/* Pure: the deployment configuration of a strategy. */
void shift_configure(struct arena *a, const struct place *place, const struct shift_order *order,
                     struct ecs_deployment_configuration *ret);
/* Pure: the call that moves a service that stands. */
void shift_update_in(struct arena *a, const struct place *place, const struct resources *r,
                     const struct shift_order *order, struct str role_arn,
                     struct ecs_update_service_in *ret);
/* Pure: the call that makes the service. Its first deployment is always rolling. */
void shift_create_in(struct arena *a, const struct place *place, const struct resources *r,
                     const struct shift_order *order, struct ecs_create_service_in *ret);

/* Starts it. The handle lives in the op's arena. */
enum err shift_start(struct op *op, const struct cloud *cloud, const struct place *place,
                     struct resources *r, const struct shift_order *order,
                     struct handle *ret_handle) MUST_USE;

/* Ends a deployment under way and takes the new version back. */
enum err shift_stop(struct op *op, const struct cloud *cloud, const struct handle *handle) MUST_USE;

/* The deployment of the service that is under way now; false when there is none. */
bool shift_current(const struct ecs_service *service, struct handle *ret_handle);

/* The same for any controller, with the ARN that shift_stop wants; ERR_NOT_FOUND when nothing is
 * under way. */
enum err shift_find_current(struct op *op, const struct cloud *cloud, const struct place *place,
                            const struct ecs_service *service, struct handle *ret_handle) MUST_USE;

/* How ECS itself tells the end of the deployment that was started with the handle; absent when it
 * says nothing. */
struct str shift_end_reason(struct op *op, const struct cloud *cloud, const struct place *place,
                            const struct handle *handle);

/* Whether a CODE_DEPLOY service: deployments go another way. */
bool shift_is_codedeploy(const struct ecs_service *service);
