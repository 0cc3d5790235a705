#pragma once
/* From the end of a deployment to the exit code and the next step. */

#include "cli/cli.h"
#include "deployer/deploy.h"

enum cli_exit outcome_exit(enum deploy_outcome outcome);
/* What a person can do now, on stderr; nothing where there is nothing to do. */
void outcome_hint(const struct deploy_result *r, struct str environment);
