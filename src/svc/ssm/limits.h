#pragma once
/* Quotas of Parameter Store (docs/aws-semantics.md, section 6.1). */

#define SSM_NAME_CHARS_MAX     1011
#define SSM_NAME_LEVELS_MAX    15
#define SSM_STANDARD_BYTES_MAX 4096
#define SSM_ADVANCED_BYTES_MAX 8192
#define SSM_STANDARD_MAX       10000 /* of a region */
#define SSM_VERSIONS_MAX       100   /* kept of a parameter */
#define SSM_LABELS_MAX         10    /* of a version */
#define SSM_BY_PATH_DEFAULT    10
#define SSM_LIST_DEFAULT       50
#define SSM_VERSION_KEY_DIGITS 10
