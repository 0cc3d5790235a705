#pragma once
/* What /proc tells of processes that are ours. */

#include "base/op.h"
#include "runtime/driver.h"

#include <sys/types.h>

/* SIGKILL to all direct children of the calling process. Returns how many there were. With
 * PR_SET_CHILD_SUBREAPER every orphan below us becomes one, so repeating this reaches all. */
size_t runtime_procfs_kill_children(void);

/* SIGKILL to every process whose environment has these two variables ("NAME=value"). For what is
 * left when a shim was killed: process numbers may have been used again by then, the task's id is
 * certain. Returns how many there were. */
size_t runtime_procfs_kill_marked(struct str first, struct str second);

/* Processor time and memory of all processes below `roots`, the roots not counted. */
bool runtime_procfs_usage(struct op *op, const pid_t *roots, size_t root_count,
                          struct runtime_usage *ret);
