#pragma once
/* The files of one container that outlive everybody:
 *   lock   held (flock) by whoever starts the shim, then by the shim as long as it lives
 *   pid    the command's process id: it was started
 *   end    how it ended, or why it did not start; written and synced by the shim
 *   note   struct runtime_note, by control (kept.h)
 *   log.*  its output (journal.h) */

#include "runtime/machine.h"

/* ERR_AGAIN while somebody else holds it. */
enum err runtime_keep_lock(struct op *op, int folder_fd, int *ret_lock_fd) MUST_USE;
/* True while a shim lives (or is about to). */
bool runtime_keep_is_locked(int folder_fd);

struct keep_end {
    bool has_started; /* false: `reason` says why not */
    bool is_out_of_memory;
    int32_t code;
    wall_t started_at;
    wall_t ended_at;
    struct str reason; /* in the op's arena */
};

enum err runtime_keep_write_end(struct op *op, int folder_fd, const struct keep_end *end) MUST_USE;
/* ERR_NOT_FOUND while there is none. */
enum err runtime_keep_read_end(struct op *op, int folder_fd, struct keep_end *ret) MUST_USE;

struct keep_pid {
    int32_t pid;
    wall_t started_at;
};

enum err runtime_keep_write_pid(struct op *op, int folder_fd, const struct keep_pid *pid) MUST_USE;
enum err runtime_keep_read_pid(struct op *op, int folder_fd, struct keep_pid *ret) MUST_USE;
