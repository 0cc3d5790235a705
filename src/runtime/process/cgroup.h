#pragma once
/* Limits by the kernel: one control group a task, one below it for each container. Version 2, or
 * version 1 with the controllers memory, cpu and cpuacct in their usual places.
 *
 *   <root>/hitless/<task id>/<container index>
 *
 * Where groups may not be made (not root, a container without delegation) version is 0: nothing is
 * limited and usage is read from /proc instead.
 * Source  the kernel's admin-guide/cgroup-v1 and cgroup-v2; docs/sources.md#cgroups */

#include "runtime/driver.h"
#include "runtime/process/wire.h"

struct cgroup_setup {
    int version;      /* 0, 1 or 2 */
    const char *root; /* "/sys/fs/cgroup" */
};

/* Finds out what may be done, by doing it. */
struct cgroup_setup runtime_cgroup_detect(void);

enum err runtime_cgroup_make_task(struct op *op, const struct cgroup_setup *setup,
                                  const struct runtime_task_spec *spec) MUST_USE;
/* Fills the launch block's cgroups and oom_file, in the op's arena. Makes the task's group again
 * where the shim of another container, as the last one in it, took it away. */
enum err runtime_cgroup_make_container(struct op *op, const struct cgroup_setup *setup,
                                       const struct runtime_task_spec *spec, size_t container,
                                       struct shim_launch *launch) MUST_USE;
/* For the shim, when nothing is left in its group: removes it, and the task's if no other container
 * is in it, so that groups do not stay behind when nobody forgets the task. */
void runtime_cgroup_leave(const struct shim_launch *launch);
/* SIGKILL to every process of the task, or of one container. Returns how many there were. */
size_t runtime_cgroup_kill(const struct cgroup_setup *setup, struct str task_id);
size_t runtime_cgroup_kill_container(const struct cgroup_setup *setup, struct str task_id,
                                     size_t container);
/* Empty groups only; what is not there is fine. */
void runtime_cgroup_remove(const struct cgroup_setup *setup, struct str task_id,
                           size_t container_count);
/* False when it cannot be read. */
bool runtime_cgroup_usage(const struct cgroup_setup *setup, struct str task_id,
                          struct runtime_usage *ret);

/* The kernel's number of kills for memory in a group; for the shim. 0 when it cannot be read. */
uint64_t runtime_cgroup_oom_kills(const char *oom_file);
