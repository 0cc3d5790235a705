#pragma once
/* New processes, and what a process gives up about itself. */

#include "base/op.h"
#include "proc/limits.h"

#include <sys/types.h>

#define PROC_SELF "/proc/self/exe"

struct proc_inherit {
    int fd; /* ours; stays ours */
    int as; /* its number there: 0..PROC_INHERIT_MAX + 2, each once */
};

struct proc_spawn {
    const char *path;        /* PROC_SELF, or an absolute path */
    const char *const *argv; /* ends with NULL */
    const char *const *env;  /* ends with NULL; NULL: ours */
    const char *folder;      /* working directory; NULL: ours */
    const struct proc_inherit *inherit;
    size_t inherit_count;     /* 0, 1, 2 are ours unless given here; all others are closed */
    bool dies_with_us;        /* SIGKILL when the thread that spawns ends */
    bool is_group_leader;     /* own process group */
    bool may_not_gain_rights; /* PR_SET_NO_NEW_PRIVS: set-uid programs have no effect */
};

/* Starts it: signals at their defaults and unblocked, descriptors as listed. Returns after exec
 * has succeeded; a failed one (path, folder, ...) is our failure with its errno. The caller
 * watches the process with ev_child_open(). */
enum err proc_spawn(struct op *op, const struct proc_spawn *what, pid_t *ret_pid) MUST_USE;

/* Our environment without those variables; in the op's arena. Ends with NULL. */
const char *const *proc_env_without(struct op *op, const char *const *names, size_t count);

/* No core file, no ptrace by others of our user, /proc/self owned by root: memory holds secrets. */
enum err proc_hide_memory(struct op *op) MUST_USE;
/* Neither we nor our children can gain rights by exec. */
enum err proc_forbid_new_rights(struct op *op) MUST_USE;
/* SIGKILL when the parent's thread ends; ERR_STATE when the parent is gone already. */
enum err proc_die_with_parent(struct op *op, pid_t parent) MUST_USE;

/* ---- when to start again ---- */

#define PROC_BACKOFF_MIN_MS 100
#define PROC_BACKOFF_MAX_MS 30000
#define PROC_STEADY_MS      60000

/* How long to wait before a process that ended is started again. The first restart is immediate;
 * each that follows a short life (below PROC_STEADY_MS) waits twice as long as the one before,
 * PROC_BACKOFF_MIN_MS..PROC_BACKOFF_MAX_MS; a long life starts over. Pure. */
struct proc_backoff {
    unsigned failures; /* in a row */
};
dur_t proc_backoff_next(struct proc_backoff *b, dur_t lived);

/* For one who forks himself, between fork and exec: every signal as at birth, none blocked. System
 * calls only. */
bool proc_reset_signals(void);
