#pragma once
/* One interface to whatever runs containers: process/ (folders and processes of this machine),
 * docker/ (the Docker Engine API) and fake.h (tests).
 *
 * A task is a group of containers that share one network address, named by the engine's task id.
 * The runtime carries a task through its life: it pulls images, starts containers in the order of
 * dependsOn, runs health commands, tells what happens, and on stop_task() ends the containers in
 * the reverse order. It does not judge: that an essential container ended, or that one is
 * unhealthy, is told; stopping the task is the caller's decision.
 *
 * Shape   Asynchronous: a call records the intent and returns; what comes of it arrives through
 *         sink->on_event, always from a turn of the loop, never inside a call. Events of one
 *         container come in their order; its EXITED comes after its last log line.
 * Keys    Everything is keyed by the task id, so that doing a thing twice is harmless.
 * Crash   Tasks outlive the program. When it starts again the runtime finds its tasks, and after
 *         on_ready observe() knows all of them and their present state: the caller compares this
 *         with its rows and needs no recovery code. What happened meanwhile is told by observe(),
 *         not repeated as events; events after on_ready are those after that sight. Log lines are
 *         the exception: those of the time between are told as events, none is lost.
 *         A task whose containers were not all started before the crash goes on when start_task()
 *         is called again with its spec, because the environment is never stored.
 * Secrets Environment values never reach a log line, an error, an argument list or a file.
 * Threads The loop's thread only.
 * Source  ECS task lifecycle, container definitions, dependsOn, healthCheck: docs/sources.md#ecs */

#include "base/op.h"
#include "base/str.h"
#include "base/time.h"
#include "runtime/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct runtime;

/* ---- what to run ----------------------------------------------------------------------------- */

struct runtime_words {
    const struct str *items;
    size_t count;
};

struct runtime_pair {
    struct str name;
    struct str value;
};

struct runtime_pairs {
    const struct runtime_pair *items;
    size_t count;
};

struct runtime_port {
    int32_t container_port; /* 1..65535 */
    int32_t host_port;      /* 0: as the runtime likes; used with publishes_ports only */
    bool is_udp;
};

struct runtime_ulimit {
    struct str name; /* "nofile" and the other names of the ECS API */
    int64_t soft;    /* -1: unlimited */
    int64_t hard;
};

enum runtime_condition {
    RUNTIME_WHEN_STARTED,
    RUNTIME_WHEN_COMPLETE, /* ended, whatever the exit code */
    RUNTIME_WHEN_SUCCESS,  /* ended with exit code 0 */
    RUNTIME_WHEN_HEALTHY,
};

struct runtime_dependency {
    struct str container;
    enum runtime_condition condition;
};

struct runtime_health_check {
    struct runtime_words command; /* "CMD", word... | "CMD-SHELL", script; count 0: no check */
    dur_t interval;               /* unscaled; zero: 30 s */
    dur_t timeout;                /* real time; zero: 5 s */
    dur_t start_period;           /* unscaled; zero: none */
    int32_t retries;              /* 0: 3 */
};

struct runtime_container_spec {
    struct str name;  /* unique in the task */
    struct str image; /* "dir:///absolute/path" for process, an image reference for docker */
    struct runtime_words entry_point; /* count 0: the image's */
    struct runtime_words command;     /* count 0: the image's */
    struct str working_folder;        /* absent: the image's */
    struct str user;                  /* "uid", "uid:gid", "name", "name:group"; absent: image's */
    struct runtime_pairs environment; /* secrets resolved by the caller among them */
    int32_t cpu_units;                /* shares, 1024 = one processor; 0: none reserved */
    int32_t memory_mib;               /* hard limit; 0: none */
    int32_t memory_reservation_mib;   /* soft limit; 0: none */
    const struct runtime_port *ports;
    size_t port_count;
    const struct runtime_ulimit *ulimits;
    size_t ulimit_count;
    const struct runtime_dependency *depends_on;
    size_t depends_on_count;
    struct runtime_health_check health_check;
    dur_t stop_timeout;     /* real time between the stop signal and SIGKILL; zero: 30 s */
    dur_t start_timeout;    /* real time that dependencies and start may take; zero: 3 min */
    struct str stop_signal; /* "SIGTERM", "TERM" or a number; absent: the image's, or SIGTERM */
    struct runtime_pairs docker_labels;
    bool is_root_read_only;
    bool is_essential; /* kept and told again by observe(); decides nothing here */
    bool wants_log;    /* false: its output is kept within bounds but not told */
};

/* For a registry that asks who we are. Absent members: none. */
struct runtime_registry_login {
    struct str user;
    struct str password;
};

struct runtime_task_spec {
    struct str id;               /* 32 lower-case hex digits */
    struct runtime_pairs labels; /* given back by observe(); "account", "region", "cluster", ... */
    const struct runtime_container_spec *containers;
    size_t container_count;
    int32_t cpu_units;   /* hard limit of the whole task, 1024 = one processor; 0: none */
    int32_t memory_mib;  /* hard limit of the whole task; 0: none */
    struct str platform; /* "linux/amd64"; absent: this machine's */
    struct runtime_registry_login login;
    bool publishes_ports; /* docker, network mode bridge: host_port of this machine leads there */
};

/* ---- what is seen ---------------------------------------------------------------------------- */

enum runtime_container_state {
    RUNTIME_CONTAINER_WAITING, /* image, dependencies, or start_task() to be called again */
    RUNTIME_CONTAINER_RUNNING,
    RUNTIME_CONTAINER_STOPPING, /* has the stop signal */
    RUNTIME_CONTAINER_EXITED,
    RUNTIME_CONTAINER_FAILED, /* never started: reason says why */
};

enum runtime_health { RUNTIME_HEALTH_UNKNOWN, RUNTIME_HEALTHY, RUNTIME_UNHEALTHY };

#define RUNTIME_EXIT_CODE_NONE (-1)

struct runtime_binding {
    int32_t container_port;
    int32_t host_port;
    bool is_udp;
};

struct runtime_container_sight {
    struct str name;
    enum runtime_container_state state;
    enum runtime_health health; /* UNKNOWN without a health check */
    bool is_essential;
    struct str runtime_id;   /* absent before the start */
    struct str socket_path;  /* its Unix socket, as in its variable SOCKET; absent: it has none */
    struct str image_digest; /* "sha256:..." or absent */
    int32_t exit_code;       /* 0..255; NONE before the end, and when nobody saw it */
    struct str reason;       /* absent, or as in struct runtime_event */
    wall_t started_at;       /* us 0: not yet */
    wall_t exited_at;        /* us 0: not yet */
    const struct runtime_binding *bindings; /* with publishes_ports only */
    size_t binding_count;
};

struct runtime_task_sight {
    struct str id;
    struct runtime_pairs labels;
    struct str address;     /* where its containers listen: "127.78.3.9"; absent before the start */
    bool needs_spec;        /* some container waits for start_task() to be called again */
    bool is_over;           /* every container ended or failed, and every log line was told */
    wall_t pull_started_at; /* us 0: not yet */
    wall_t pull_stopped_at;
    const struct runtime_container_sight *containers; /* in the order of the spec */
    size_t container_count;
};

struct runtime_sights {
    const struct runtime_task_sight *items;
    size_t count;
};

/* cpu and memory of all containers of a task together. */
struct runtime_usage {
    wall_t at;
    dur_t cpu; /* processor time since the task began; grows */
    uint64_t memory_bytes;
};

/* ---- what happens ---------------------------------------------------------------------------- */

enum runtime_event_kind {
    RUNTIME_PULL_STARTED,    /* container */
    RUNTIME_PULL_STOPPED,    /* container, image_digest */
    RUNTIME_STARTED,         /* container, runtime_id, address, image_digest */
    RUNTIME_FAILED_TO_START, /* container (absent: the whole task), reason */
    RUNTIME_EXITED,          /* container, exit_code, reason, is_out_of_memory */
    RUNTIME_HEALTH,          /* container, health */
    RUNTIME_LOG,             /* container, lines */
    RUNTIME_TASK_OVER,       /* all containers are EXITED or FAILED: nothing more will come */
};

struct runtime_line {
    wall_t at;
    struct str text; /* without its line end; bytes as the program wrote them */
    /* Grows by at least one a line of the same container. After a crash of this program the last
     * lines may be told again: a receiver that stores the position in the transaction that stores
     * the line, and skips what is not above it, has each line exactly once. */
    uint64_t position;
    bool is_stderr;
};

/* All texts live until on_event returns. */
struct runtime_event {
    enum runtime_event_kind kind;
    wall_t at;
    struct str task_id;
    struct str container;
    struct str runtime_id;
    struct str address;
    struct str image_digest;
    /* As AWS writes it: "CannotPullContainerError: ...", "CannotStartContainerError: ...",
     * "ResourceInitializationError: ...", "OutOfMemoryError: Container killed due to memory
     * usage". Absent for an ordinary end. */
    struct str reason;
    int32_t exit_code; /* 128 + signal when a signal ended it; NONE when nobody saw the end */
    bool is_out_of_memory;
    enum runtime_health health;
    const struct runtime_line *lines;
    size_t line_count;
};

/* Both may call the runtime, but must not close it. */
struct runtime_sink {
    void *self;
    void (*on_event)(void *self, const struct runtime_event *event);
    /* Once, when observe() is complete; before it no event is told. */
    void (*on_ready)(void *self);
};

/* ---- the interface --------------------------------------------------------------------------- */

/* Checks the spec (ERR_INPUT and ERR_LIMIT with a sentence), copies what it needs, and starts the
 * task. A task with this id is there already: success; if it needs_spec, it goes on with this one;
 * otherwise the spec is not looked at. ERR_AGAIN before on_ready. */
enum err runtime_start_task(struct runtime *rt, struct op *op,
                            const struct runtime_task_spec *spec) MUST_USE;
/* Ends every container: those that others depend on last. Containers that never started become
 * FAILED. Twice is fine; over is fine. ERR_NOT_FOUND when there is no such task. */
enum err runtime_stop_task(struct runtime *rt, struct op *op, struct str task_id) MUST_USE;
enum err runtime_stop_container(struct runtime *rt, struct op *op, struct str task_id,
                                struct str container) MUST_USE;
/* SIGKILL to everything, at once. */
enum err runtime_kill_task(struct runtime *rt, struct op *op, struct str task_id) MUST_USE;
/* Removes what is left of a task that is over: folder, cgroup, container. Not there: success.
 * ERR_STATE while it is not over. */
enum err runtime_forget_task(struct runtime *rt, struct op *op, struct str task_id) MUST_USE;
/* The present state, in the op's arena. ERR_NOT_FOUND; ERR_AGAIN before on_ready. */
enum err runtime_see_task(struct runtime *rt, struct op *op, struct str task_id,
                          struct runtime_task_sight *ret) MUST_USE;
enum err runtime_observe(struct runtime *rt, struct op *op, struct runtime_sights *ret) MUST_USE;
/* The newest sample, not older than a few seconds for callers that ask often. ERR_AGAIN when there
 * is none yet, ERR_NOT_FOUND when no such task. */
enum err runtime_get_usage(struct runtime *rt, struct op *op, struct str task_id,
                           struct runtime_usage *ret) MUST_USE;
/* Lets go: tasks run on. NULL is fine. */
void runtime_close(struct runtime *rt);
