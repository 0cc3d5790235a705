#pragma once
/* Tasks as containers of a Docker Engine (or Podman's service), by its API over a Unix socket. The
 * first container that starts owns the task's network; the others join it. */

#include "runtime/driver.h"

struct runtime_docker_config {
    const char *socket_path;  /* "/var/run/docker.sock" */
    const char *state_folder; /* log positions; made when missing */
    /* Label hitless.instance: engines that share a Docker see their own. Any text that stays the
     * same, the state folder for instance. */
    const char *instance;
};

/* on_ready comes when Docker has answered; until then it is tried again. Owns: *ret, until
 * runtime_close(). */
enum err runtime_docker_open(struct op *op, struct ev_loop *loop,
                             const struct runtime_docker_config *config,
                             const struct runtime_sink *sink, struct runtime **ret) MUST_USE;
