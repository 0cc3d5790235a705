#pragma once
/* The bodies of the roles that sup starts. Each runs until it is told to stop and gives its exit
 * code; PROC_EXIT_HOPELESS says that starting again will not help. */

#include "app/options.h"

struct role_start {
    const struct options *options;
};

int control_main(const struct role_start *how);
int lb_main(const struct role_start *how);
