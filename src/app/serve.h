#pragma once
/* `hitless serve`: the command, and what its roles read of it. */

#include "app/options.h"
#include "app/roles.h"
#include "cli/cli.h"

extern const struct cli_command app_serve;

/* The roles' bodies. */
int control_main(struct role_start *start);
int lb_main(struct role_start *start);

/* Reads the words that every role gets, sets the clock's scale and the level of the log, and lets
 * go of what a role does not need. The options' texts live in the op's arena or in the words. */
enum err serve_begin_role(struct op *op, const struct role_start *start,
                          struct options *ret_options);
