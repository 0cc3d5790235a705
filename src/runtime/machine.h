#pragma once
/* The life of tasks, the same for every driver. The machine decides (order, health, deadlines,
 * stopping) and tells the sink; a driver performs effects and reports facts.
 *
 * Turn    A fact or a call changes state and wakes the task; its step runs as a deferred call of
 *         the loop, looks at each container and asks the driver for what is due. Effects never
 *         block; their outcome comes back as a fact, from the effect itself or later.
 * Writer  Only machine*.c changes a phase after runtime_set_ready(). A driver sets members while
 *         it adopts what it found at its start.
 * Owns    The runtime owns its tasks, a task its containers. A forgotten task stays until the
 *         driver has removed it. */

#include "base/arena.h"
#include "base/map.h"
#include "ev/loop.h"
#include "runtime/driver.h"
#include "runtime/health.h"

#define RUNTIME_STOP_TIMEOUT_DEFAULT  DUR_S(30)
#define RUNTIME_START_TIMEOUT_DEFAULT DUR_MIN(3)
#define RUNTIME_ADDRESS_BYTES         64
#define RUNTIME_ID_BYTES              128

enum runtime_phase {
    RUNTIME_PHASE_NEW,
    RUNTIME_PHASE_PULLING,
    RUNTIME_PHASE_PULLED,
    RUNTIME_PHASE_STARTING,
    RUNTIME_PHASE_RUNNING,
    RUNTIME_PHASE_EXITED,
    RUNTIME_PHASE_FAILED,
};

/* What must outlive this program and nobody else knows; the driver stores it as it is. */
struct runtime_note {
    uint64_t log_position; /* of the last line told */
    wall_t pull_started_at;
    wall_t pull_stopped_at;
    wall_t stop_sent_at; /* us 0: not yet */
    struct runtime_health_track health;
};

struct runtime_container {
    struct runtime_task *task;
    size_t index; /* in the spec */
    enum runtime_phase phase;
    bool wants_stop;
    bool stops_out_of_order; /* asked for alone: nobody is waited for */
    bool wants_kill;
    bool is_killed; /* the driver was asked to */
    bool is_probing;
    bool is_log_open; /* EXITED, found at the start, and lines are still to be told */
    bool is_out_of_memory;
    int32_t exit_code;
    struct str reason;       /* in the task's arena */
    struct str image_digest; /* in the task's arena */
    char runtime_id[RUNTIME_ID_BYTES];
    wall_t started_at;
    wall_t exited_at;
    mono_t phase_since;
    mono_t probe_since;
    struct runtime_note note;
    struct runtime_binding bindings[RUNTIME_PORTS_MAX];
    size_t binding_count;
    struct ev_timer deadline; /* of the start, or of the stop */
    struct ev_timer health_timer;
};

struct runtime_task {
    struct runtime *rt;
    struct arena arena;
    struct arena secrets; /* environment and login, until every container has started */
    struct runtime_task_spec *spec;
    bool has_secrets;
    bool is_over_told;
    bool is_removing;                    /* forgotten; the driver has not finished */
    struct str failure;                  /* why prepare() failed, not told yet; in the arena */
    char address[RUNTIME_ADDRESS_BYTES]; /* "": none yet */
    struct runtime_container *containers[RUNTIME_CONTAINERS_MAX];
    struct runtime_usage usage;
    bool has_usage;
    bool is_sampling;
    mono_t sampled_at;
    struct ev_defer step;
};

/* No member may be NULL but socket_path. */
struct runtime_effects {
    const char *name;       /* "process" */
    size_t task_bytes;      /* the driver's struct that begins with struct runtime_task */
    size_t container_bytes; /* ... with struct runtime_container */
    dur_t sample_interval;
    /* Makes what the task needs before anything starts, and keeps its spec where it outlives this
     * program. */
    enum err (*prepare)(struct runtime_task *t, struct op *op);
    /* -> runtime_container_pulled() or _failed() */
    void (*pull)(struct runtime_container *c);
    /* Where the container may listen on a Unix socket; NULL: nowhere. */
    struct str (*socket_path)(const struct runtime_container *c, struct arena *a);
    /* What the driver waits for besides dependsOn; asked again whenever the task changes. */
    bool (*may_start)(const struct runtime_container *c);
    /* -> runtime_container_started() or _failed() */
    void (*start)(struct runtime_container *c);
    /* The stop signal, and SIGKILL to all of the container. -> runtime_container_exited() */
    void (*send_stop)(struct runtime_container *c);
    void (*send_kill)(struct runtime_container *c);
    /* Runs the health command. -> runtime_container_probed() */
    void (*probe)(struct runtime_container *c);
    /* Stores c->note. */
    void (*remember)(struct runtime_container *c);
    /* -> runtime_task_sampled() */
    void (*sample)(struct runtime_task *t);
    /* An adopted task: follow it again. Its first fact comes from a later turn. */
    void (*resume)(struct runtime_task *t);
    /* Removes all that is left of the task. -> runtime_task_removed() */
    void (*remove)(struct runtime_task *t);
    /* Frees what the driver holds for the task in this program; the task lives on. */
    void (*release)(struct runtime_task *t);
    /* Frees the driver's own struct, which begins with struct runtime. */
    void (*close)(struct runtime *rt);
};

/* First member of each driver's own struct. */
struct runtime {
    const struct runtime_effects *effects;
    struct ev_loop *loop;
    struct runtime_sink sink;
    struct map tasks; /* by id */
    bool is_ready;
    bool is_closing;
    bool is_mixed;         /* mixed.c: its members have the tasks */
    struct runtime *mixed; /* of a member: whose readiness waits for the others; else NULL */
};

/* For drivers that wait for nothing more. */
bool runtime_may_always_start(const struct runtime_container *c);

/* ---- for drivers: birth ---------------------------------------------------------------------- */

void runtime_init(struct runtime *rt, const struct runtime_effects *effects, struct ev_loop *loop,
                  const struct runtime_sink *sink);
/* Before runtime_set_ready(): a task that the driver found. The spec is copied; it has no
 * environment. The driver then sets phases, notes and times. NULL when there is one already. */
struct runtime_task *runtime_adopt_task(struct runtime *rt, const struct runtime_task_spec *spec);
/* Resumes every adopted task, calls on_ready, and lets the tasks step. From a turn of the loop. */
void runtime_set_ready(struct runtime *rt);

/* Frees all tasks of this program's memory; they live on. */
void runtime_drop_tasks(struct runtime *rt);

/* ---- for drivers: facts ---------------------------------------------------------------------- */
/* Each may come late: one that no longer fits the container's phase changes nothing, except that a
 * container that starts after it was given up is killed. */

void runtime_container_pulled(struct runtime_container *c, struct str image_digest);
/* It will not start. The reason in AWS's words; cut at RUNTIME_REASON_BYTES_MAX. */
void runtime_container_failed(struct runtime_container *c, struct str reason);
/* c->bindings and the task's address are set by the driver before. */
void runtime_container_started(struct runtime_container *c, struct str runtime_id);
/* After its last line. code: 0..255 or RUNTIME_EXIT_CODE_NONE. */
void runtime_container_exited(struct runtime_container *c, int32_t code, struct str reason,
                              bool is_out_of_memory, wall_t at);
/* At most RUNTIME_LINES_PER_EVENT_MAX; remembers the last position. */
void runtime_container_lines(struct runtime_container *c, const struct runtime_line *lines,
                             size_t count);
/* For an adopted container with is_log_open. */
void runtime_container_log_ended(struct runtime_container *c);
void runtime_container_probed(struct runtime_container *c, bool has_passed);
/* Health that somebody else judged. */
void runtime_container_health(struct runtime_container *c, enum runtime_health health);
/* usage NULL: there is none to be had. */
void runtime_task_sampled(struct runtime_task *t, const struct runtime_usage *usage);
/* Frees the task. */
void runtime_task_removed(struct runtime_task *t);

/* ---- for drivers: sight ---------------------------------------------------------------------- */

const struct runtime_container_spec *runtime_container_spec_of(const struct runtime_container *c);
struct runtime_container *runtime_container_find(struct runtime_task *t, struct str name);
bool runtime_container_is_over(const struct runtime_container *c);
/* NULL when there is none (a task being removed counts as none). */
struct runtime_task *runtime_task_find(const struct runtime *rt, struct str id);
bool runtime_task_is_over(const struct runtime_task *t);
dur_t runtime_stop_timeout_of(const struct runtime_container *c);
/* The next step of the task, as a deferred call. */
void runtime_task_wake(struct runtime_task *t);
