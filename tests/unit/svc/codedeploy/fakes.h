#pragma once
/* A service, a load balancer and an alarm that live in memory shared between a test and the
 * processes that it forks: they outlive a kill, and what a killed process did to them stays done,
 * as with the real world. */

#include "ev/loop.h"
#include "store/store.h"
#include "svc/codedeploy/codedeploy.h"

#define FAKE_SETS_MAX 8
#define FAKE_BLUE     "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/one/1"
#define FAKE_GREEN    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/two/2"
#define FAKE_PROD     "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/web/1/80"
#define FAKE_TEST     "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/web/1/8080"

struct fake_set {
    bool exists;
    bool is_leaving;
    char external_id[16];
    char task_definition[128];
    int group; /* 0: FAKE_BLUE, 1: FAKE_GREEN */
    int32_t desired;
    int32_t healthy;
    int32_t failed;
};

/* In shared memory. */
struct fake_state {
    bool has_service;
    bool is_code_deploy;
    int32_t desired;
    int primary; /* index into sets, -1: none */
    struct fake_set sets[FAKE_SETS_MAX];
    int32_t production[2]; /* weights of the two groups */
    int32_t test[2];
    bool has_listener;
    bool is_published;
    bool publishes; /* at once; else only when the test says so */
    bool is_alarm;
    bool has_alarm;
    bool refuses_create;
    bool has_no_hooks; /* nobody runs functions; set before fake_open */
    int64_t now_us;
    int create_calls;
    int weight_calls;
    int hook_calls;
    char hook_payload[512];
    char hook_function[64];
    char deployment_id[16];
    int phase;  /* of a script */
    int broken; /* promises that effects broke, also in processes that were killed later */
};

struct fake {
    struct fake_state *state;
    struct op op;
    struct ev_loop loop;
    struct store *store;
    struct codedeploy *cd;
    int told[8]; /* enum codedeploy_happening */
};

/* NULL store_path: ":memory:". The clock is driven by hand and starts at state->now_us. */
struct fake_state *fake_state_new(void);
void fake_open(struct fake *f, struct fake_state *state, const char *store_path);
void fake_close(struct fake *f);
/* What is due now, to its end. */
void fake_settle(struct fake *f);
void fake_advance(struct fake *f, dur_t by);
/* Every task set that stays becomes whole, every one that leaves is gone. */
void fake_tasks_live(struct fake *f);
/* An application "shop" with the group "web", changed by `change` before it is made. */
void fake_make_group(struct fake *f,
                     void (*change)(struct codedeploy_create_deployment_group_in *in));
/* The alarms that stand in for the group's; NULL: the group's. */
extern const struct codedeploy_alarm_configuration *fake_override_alarms;
struct str fake_deploy(struct fake *f, const char *config, struct str appspec);
enum err fake_try_deploy(struct fake *f, const char *config, struct str appspec,
                         struct str *ret_id);
struct codedeploy_deployment_info *fake_get(struct fake *f, struct str id);
struct codedeploy_ecs_target *fake_target(struct fake *f, struct str id);
#define FAKE_APPSPEC                                                                    \
    STR("version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n" \
        "      Properties:\n        TaskDefinition: "                                   \
        "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:2\n"                    \
        "        LoadBalancerInfo:\n          ContainerName: app\n          ContainerPort: 80\n")
