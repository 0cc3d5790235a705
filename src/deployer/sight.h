#pragma once
/* What one look at a deployment shows: where it is, both sides, and how it ended. The judgements
 * are pure functions of AWS's answers. */

#include "deployer/shift.h"

enum sight_state {
    SIGHT_GOING,
    SIGHT_BAKING, /* all traffic on the new side, the old one ready to take over */
    SIGHT_ROLLING_BACK,
    SIGHT_DONE,        /* the very deployment succeeded */
    SIGHT_ROLLED_BACK, /* failed; the old version has the traffic */
    SIGHT_FAILED,      /* failed and not taken back */
    SIGHT_SUPERSEDED,  /* somebody started another */
};

struct sight_metrics {
    bool is_set;
    double requests_per_s;
    double error_percent; /* of the requests: 5xx */
    double p50_ms;
    double p95_ms;
    double p99_ms;
};

struct sight_side {
    bool is_there;
    struct str version;         /* VERSION of the task definition, or "family:3" */
    struct str task_definition; /* ARN */
    int64_t desired;
    int64_t running;
    int64_t pending;
    int64_t failed;
    int64_t healthy; /* targets; -1: not looked */
    double weight;   /* percent of the traffic; negative: not known */
    struct sight_metrics metrics;
};

struct sight {
    enum sight_state state;
    struct str stage;  /* "PRODUCTION_TRAFFIC_SHIFT", or absent */
    struct str reason; /* AWS's own words, or absent */
    bool is_stopped_by_person;
    bool is_ours; /* it was we who stopped it, after a failed verification */
    struct sight_side old_side;
    struct sight_side new_side;
    struct sight_metrics total; /* of the load balancer */
};

/* A rolling update, from DescribeServices. */
void sight_of_rolling(const struct ecs_service *service, const struct handle *handle,
                      struct sight *ret);
/* A deployment of ECS's own strategies, from DescribeServiceDeployments. */
void sight_of_native(const struct ecs_service_deployment *d, struct sight *ret);

bool sight_is_over(enum sight_state state);
/* "going on", "rolled back", ...: for people. */
const char *sight_state_text(enum sight_state state);
/* "done", "rolled_back", ...: for programs. */
const char *sight_state_word(enum sight_state state);
/* "shop-production-api:3" of a task definition's ARN. */
struct str sight_revision(struct str task_definition_arn);
