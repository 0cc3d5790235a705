#pragma once
/* Limits of the service. AWS's quotas where it has one. */

#define CODEDEPLOY_NAME_CHARS_MAX        100
#define CODEDEPLOY_DESCRIPTION_CHARS_MAX 256
#define CODEDEPLOY_APPLICATIONS_MAX      1000
#define CODEDEPLOY_GROUPS_MAX            1000 /* of an application */
#define CODEDEPLOY_CONFIGS_MAX           50   /* of one's own */
#define CODEDEPLOY_ALARMS_MAX            10   /* of a group or deployment */
#define CODEDEPLOY_TRIGGERS_MAX          10
#define CODEDEPLOY_PAGE_COUNT            100
#define CODEDEPLOY_BATCH_MAX             100
#define CODEDEPLOY_BATCH_SMALL_MAX       25 /* deployments, targets, revisions */
#define CODEDEPLOY_WAIT_MIN_MAX          2880
#define CODEDEPLOY_INTERVAL_MIN_MAX      2880

#define APPSPEC_BYTES_MAX (256 * 1024)
#define APPSPEC_DEPTH_MAX 16
#define APPSPEC_NODES_MAX 4096

/* Moves and effects in one turn of a machine, before others get theirs. */
#define CODEDEPLOY_STEPS_MAX 256
