#pragma once
/* The roles that `hitless serve` starts itself in: one executable, its role in hidden words. */

#include "base/op.h"
#include "proc/roles.h"

#include <sys/types.h>

#define ROLE_CONTROL "control"
#define ROLE_LB      "lb"

/* What a role is born with. The descriptors are the role's. */
struct role_start {
    struct str name;
    uint32_t generation; /* 1 at first, one more with each restart */
    int channel_fd;      /* to sup: proc/roles.h says what is spoken */
    int counters_fd;     /* shared counter memory: lbstats_map() */
    pid_t sup_pid;       /* who must stay alive; a role that changes its user calls
                            proc_die_with_parent() again, the kernel forgets it then */
    int word_count;      /* the words behind `serve` */
    char *const *words;
};

/* Returns the exit code; PROC_EXIT_HOPELESS says that another start would not help. */
typedef int role_main_fn(struct role_start *start);

struct role {
    const char *name;
    role_main_fn *main;
};

/* Runs the role that the words of main() ask for and gives its exit code. False, and nothing
 * happened, when they ask for none. */
bool roles_run(const struct role *roles, size_t count, int argc, char **argv, int *ret_exit_code);
