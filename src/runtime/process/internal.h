#pragma once
/* Between process.c (the driver), task.c (folders and addresses) and container.c (shims). */

#include "runtime/kept.h"
#include "runtime/machine.h"
#include "runtime/process/cgroup.h"
#include "runtime/process/journal.h"
#include "runtime/process/keep.h"
#include "runtime/process/process.h"

#define PROCESS_PATH_BYTES 4096

struct process {
    struct runtime rt;
    char state_folder[PROCESS_PATH_BYTES];
    char run_folder[PROCESS_PATH_BYTES];
    char shim_path[PROCESS_PATH_BYTES];
    struct cgroup_setup cgroups;
    uint32_t next_address; /* 0..65535: the last two numbers of 127.78.x.y */
    struct ev_defer get_ready;
};

struct process_task {
    struct runtime_task task;
    dur_t cpu_before; /* of the newest sample: usage never shrinks */
};

struct process_container {
    struct runtime_container c;
    int folder_fd;        /* -1: none */
    struct ev_fd link;    /* to the shim */
    struct ev_child shim; /* when it is our child */
    pid_t shim_pid;       /* 0: unknown */
    struct ev_timer look; /* again at the shim, when it could not be reached */
    struct ev_defer read_log;
    struct journal_reader log;
    bool is_reading_log; /* the reader is open */
    bool is_ending;      /* the shim has left: what remains is to read the log */
    struct keep_end end; /* of is_ending; reason in the task's arena */
    int64_t probe_id;
    struct ev_timer probe_limit; /* for a shim that does not answer */
    struct ev_timer kill_limit;  /* for a shim that does not obey */
};

static inline struct process *process_of(const struct runtime_task *t)
{
    return CONTAINER_OF(t->rt, struct process, rt);
}

static inline struct process_container *process_container_of(struct runtime_container *c)
{
    return CONTAINER_OF(c, struct process_container, c);
}

/* ---- task.c ---- */

/* <state>/<id>, <run>/<id>; the text lives in the arena. */
const char *process_task_folder(const struct runtime_task *t, struct arena *a);
const char *process_run_folder(const struct runtime_task *t, struct arena *a);
enum err process_task_prepare(struct runtime_task *t, struct op *op);
void process_task_remove(struct runtime_task *t);
/* Tasks of the state folder into the machine. */
enum err process_tasks_adopt(struct process *p, struct op *op) MUST_USE;
void process_task_sample(struct runtime_task *t);

/* ---- container.c: the shim's side of a container ---- */

void process_container_pull(struct runtime_container *c);
void process_container_start(struct runtime_container *c);
void process_container_send_stop(struct runtime_container *c);
void process_container_send_kill(struct runtime_container *c);
void process_container_probe(struct runtime_container *c);
void process_container_remember(struct runtime_container *c);
/* Opens the folder and sets phase, times and note by what lies there. */
void process_container_adopt(struct runtime_container *c, struct op *op);
void process_container_resume(struct runtime_container *c);
void process_container_release(struct runtime_container *c);

/* ---- block.c: what a shim is born with ---- */

/* What the container gets as SOCKET. */
struct str process_socket_path(const struct runtime_container *c, struct arena *a);
/* The launch block of a container; views into spec and arena. The reason of a failure is the op's
 * note. */
enum err process_make_launch(struct op *op, const struct runtime_container *c,
                             struct shim_launch *ret) MUST_USE;
/* "/srv/app" of "dir:///srv/app"; ERR_INPUT with a sentence otherwise. */
enum err process_image_folder(struct op *op, struct str image, struct str *ret) MUST_USE;
