#pragma once
/* Quotas of an account and other bounds, as DescribeAccountLimits tells them. */

#define ELBV2_LOAD_BALANCERS_MAX   50           /* of a type, in a region */
#define ELBV2_TARGET_GROUPS_MAX    3000         /* in a region */
#define ELBV2_LISTENERS_MAX        50           /* of a load balancer */
#define ELBV2_RULES_MAX            100          /* of a load balancer, default rules not counted */
#define ELBV2_CERTIFICATES_MAX     25           /* of a load balancer, default ones not counted */
#define ELBV2_TRUST_STORES_MAX     20           /* in a region */
#define ELBV2_AUTHORITIES_MAX      25           /* certificates of a trust store */
#define ELBV2_REVOCATION_LISTS_MAX 30           /* files of a trust store */
#define ELBV2_REVOKED_ENTRIES_MAX  500000       /* of a trust store */
#define ELBV2_BUNDLE_BYTES_MAX     (512 * 1024) /* of one file; ours: it is a row of the store */
#define ELBV2_REVOCATION_BYTES_MAX \
    (2048 * 1024) /* of a trust store; ours: the data plane is told all */
#define ELBV2_GROUPS_OF_LOAD_BALANCER_MAX  100
#define ELBV2_GROUPS_OF_ACTION_MAX         5
#define ELBV2_TARGETS_MAX                  1000 /* of a target group */
#define ELBV2_CONDITION_VALUES_OF_RULE_MAX 5
#define ELBV2_WILDCARDS_OF_RULE_MAX        5
#define ELBV2_TRANSFORM_CHARS_MAX          1024
#define ELBV2_RULES_SETTABLE_MAX           10000 /* by the attribute hitless.rules_max */
#define ELBV2_CLAIMS_MAX                   10    /* of a jwt-validation action */
#define ELBV2_CLAIM_VALUES_MAX             10
#define ELBV2_CLAIM_CHARS_MAX              256
#define ELBV2_ARNS_OF_CALL_MAX             20 /* in one Describe or tagging call */
#define ELBV2_NAME_CHARS_MAX               32
#define ELBV2_PRIORITY_MAX                 50000
#define ELBV2_WEIGHT_MAX                   999
#define ELBV2_STICKY_SECONDS_MAX           604800
#define ELBV2_ACTIONS_OF_RULE_MAX          5
#define ELBV2_ZONES_MIN                    2 /* of an application load balancer */
