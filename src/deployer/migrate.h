#pragma once
/* A one-off task of the new version that changes the database, before any traffic moves. */

#include "deployer/resources.h"
#include "deployer/why.h"

/* Runs the command in a task of that definition and waits for it. ERR_REMOTE when it did not end
 * with 0; ret_why tells why, and on success holds its last log lines. */
enum err migrate_run(struct op *op, const struct cloud *cloud, const struct place *place,
                     const struct resources *r, struct str task_definition, struct str container,
                     struct why *ret_why) MUST_USE;
