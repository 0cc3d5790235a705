#pragma once
/* Docker and processes side by side: a task whose images are all "dir://..." runs as processes, any
 * other as containers. One runtime to its caller: on_ready comes when both are ready. */

#include "runtime/docker/docker.h"
#include "runtime/process/process.h"

/* Owns: *ret, until runtime_close(), which closes both. */
enum err runtime_mixed_open(struct op *op, struct ev_loop *loop,
                            const struct runtime_process_config *process,
                            const struct runtime_docker_config *docker,
                            const struct runtime_sink *sink, struct runtime **ret) MUST_USE;
