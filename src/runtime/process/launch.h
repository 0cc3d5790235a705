#pragma once
/* Starting a command the way a container is started: own session, groups, limits, user, folder,
 * environment. For the shim. */

#include "runtime/process/wire.h"

#include <sys/types.h>

struct launch_user {
    bool is_set; /* false: stay who we are */
    uid_t uid;
    gid_t gid;
    const char *name; /* for its further groups; NULL: none */
    const char *home; /* NULL: unknown */
};

struct launch {
    const struct shim_launch *spec;
    struct launch_user user;
    const char *const *environment; /* ends with NULL */
    int null_fd;                    /* /dev/null */
};

/* Looks the user up and adds HOME to the environment. The reason of a failure, in AWS's words, is
 * the op's note. */
enum err runtime_launch_prepare(struct op *op, const struct shim_launch *spec,
                                struct launch *ret) MUST_USE;
void runtime_launch_fini(struct launch *l);

/* Starts words[0] with its output going to those descriptors (borrowed). Returns after exec
 * succeeded. The note of a failure reads as Docker's: exec: "x": executable file not found in
 * $PATH. */
enum err runtime_launch_start(struct op *op, const struct launch *l, struct runtime_words words,
                              int stdout_fd, int stderr_fd, pid_t *ret_pid) MUST_USE;
