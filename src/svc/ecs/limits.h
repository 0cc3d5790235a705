#pragma once
/* What ECS takes at most. Source: the service quotas and the API reference, aws-semantics 1. */

#define ECS_NAME_BYTES_MAX          255 /* clusters, services, families, containers */
#define ECS_CONTAINERS_MAX          10
#define ECS_DEFINITION_BYTES_MAX    65536
#define ECS_DESCRIBE_CLUSTERS_MAX   100
#define ECS_DESCRIBE_SERVICES_MAX   10
#define ECS_DESCRIBE_TASKS_MAX      100
#define ECS_DESCRIBE_REVISIONS_MAX  20
#define ECS_DELETE_DEFINITIONS_MAX  10
#define ECS_PROTECT_TASKS_MAX       10
#define ECS_PAGE_MAX                100
#define ECS_RUN_COUNT_MAX           10
#define ECS_OVERRIDES_BYTES_MAX     8192
#define ECS_RUN_TOKEN_BYTES_MAX     64
#define ECS_SERVICE_TOKEN_BYTES_MAX 36
#define ECS_STARTED_BY_BYTES_MAX    128
#define ECS_DESIRED_COUNT_MAX       5000
#define ECS_LOAD_BALANCERS_MAX      5
#define ECS_SUBNETS_MAX             16
#define ECS_SECURITY_GROUPS_MAX     5
#define ECS_STRATEGY_ITEMS_MAX      20
#define ECS_PLACEMENT_RULES_MAX     10
#define ECS_PLACEMENT_STRATEGY_MAX  5
#define ECS_EVENTS_MAX              100
#define ECS_TAIL_LINES_MAX          20
#define ECS_TAIL_LINE_BYTES_MAX     1024
#define ECS_TASK_SETS_MAX           20
#define ECS_STEPS_PER_TURN_MAX      256 /* of one machine, before others get their turn */

#define ECS_STOPPED_KEPT      DUR_MIN(60)      /* describable after the stop */
#define ECS_RUN_TOKEN_KEPT    DUR_MIN(24 * 60) /* RunTask's clientToken */
#define ECS_INACTIVE_KEPT     DUR_MIN(24 * 60) /* INACTIVE services and clusters */
#define ECS_SWEEP_EVERY       DUR_MIN(10)      /* of what is no longer kept */
#define ECS_START_RETRY_FIRST DUR_S(1)         /* while the runtime fails; doubled each time */
#define ECS_START_RETRY_MOST  DUR_S(30)
#define ECS_DRAIN_LOOK_EVERY  DUR_S(15) /* a target group that vanished tells nobody */
