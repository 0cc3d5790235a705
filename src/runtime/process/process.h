#pragma once
/* Tasks as plain processes of this machine. `image` is "dir:///absolute/path": entryPoint and
 * command run with that folder as working folder. Each container has a small parent of its own
 * (`hitless task-shim`), which outlives this program, keeps its output and its exit status, and
 * carries out orders.
 *
 * Address  Each task has a loopback address of its own from 127.78.0.0/16. The environment says
 *          HOST (that address), PORT (first container port) and SOCKET (a path where the program
 *          may listen instead).
 * Limits   cpu and memory by cgroup (version 1 or 2) where we may make one; else not enforced.
 * Folder   <state_folder>/<task id>: what must outlive this program, no environment among it.
 *          <run_folder>/<task id>: sockets. */

#include "runtime/driver.h"

struct runtime_process_config {
    const char *state_folder; /* made when missing */
    /* Made when missing. Sockets' paths have 107 bytes at most: where this one is too long,
     * "/run/hitless-<hash of the path>" ("/tmp/..." when not root) stands for it. */
    const char *run_folder;
    const char *shim_path; /* the executable to start as shim; NULL: /proc/self/exe */
    bool has_cgroups;      /* false: never make cgroups */
};

/* on_ready comes from the loop's first turn. Owns: *ret, until runtime_close(). */
enum err runtime_process_open(struct op *op, struct ev_loop *loop,
                              const struct runtime_process_config *config,
                              const struct runtime_sink *sink, struct runtime **ret) MUST_USE;

/* The hidden role `hitless task-shim`: the whole life of one container's parent. Everything it
 * needs comes through descriptor 3. Returns the exit code of the process. */
int runtime_shim_main(void);
