#pragma once
/* Quotas of Secrets Manager (docs/aws-semantics.md, section 6.1). */

#include "base/time.h"

#define SECRETS_VERSIONS_MAX     100 /* kept of a secret; those without a stage go first */
#define SECRETS_STAGES_MAX       20  /* of a version */
#define SECRETS_WINDOW_DAYS_MIN  7
#define SECRETS_WINDOW_DAYS_MAX  30
#define SECRETS_DAY              DUR_MIN(24 * 60)
#define SECRETS_LIST_DEFAULT     100
#define SECRETS_SUFFIX_CHARS     6 /* of an ARN, behind the name and a hyphen */
#define SECRETS_PASSWORD_DEFAULT 32
