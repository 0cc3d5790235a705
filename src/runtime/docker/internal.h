#pragma once
/* Between docker.c (the driver and its connection), container.c (a container's life), logs.c,
 * probe.c and stats.c. */

#include "httpio/client.h"
#include "runtime/docker/docker.h"
#include "runtime/docker/stream.h"
#include "runtime/kept.h"
#include "runtime/machine.h"

#define DOCKER_PATH_BYTES    4096
#define DOCKER_RETRY         DUR_MS(500)
#define DOCKER_START_LIMIT   DUR_MIN(5) /* one call; the machine has its own limits */
#define DOCKER_PULL_SILENCE  DUR_MIN(5)
#define DOCKER_WORDS         "Error response from daemon: " /* as its own client says */
#define DOCKER_OUT_OF_MEMORY "OutOfMemoryError: Container killed due to memory usage"

/* ---- calls (api.c) ----------------------------------------------------------------------------
 */

struct docker;
struct docker_call;

struct docker_answer {
    enum err err;       /* ERR_OK: Docker answered, whatever the status */
    unsigned status;    /* 0 without an answer */
    struct str body;    /* empty for a streamed one */
    struct str message; /* for people: Docker's own words, or why there is no answer */
};

/* The answer lives until it returns. The call may be started again in it. */
typedef void docker_done_fn(struct docker_call *call, const struct docker_answer *answer);

struct docker_call {
    struct httpio_call http;
    docker_done_fn *on_done;
    struct buf body; /* of the request; may hold secrets: wiped */
};

struct docker_request {
    struct str method;
    struct str target;        /* "/containers/x/start"; the version is put before it */
    struct str json;          /* absent: no body */
    struct str registry_auth; /* X-Registry-Auth; absent: none */
    httpio_head_fn *on_head;  /* may be NULL */
    httpio_body_fn *on_body;  /* NULL: collected */
    dur_t answer_timeout;     /* zero: the client's default */
    dur_t silence_timeout;    /* zero: the client's default */
};

void docker_call_start(struct docker *d, struct docker_call *call,
                       const struct docker_request *request, docker_done_fn *on_done);
void docker_call_cancel(struct docker_call *call);
static inline bool docker_call_is_running(const struct docker_call *call)
{
    return httpio_call_is_running(&call->http);
}
static inline bool docker_is_success(const struct docker_answer *answer)
{
    return answer->err == ERR_OK && answer->status >= 200 && answer->status < 300;
}

/* ---- the driver -------------------------------------------------------------------------------
 */

struct docker {
    struct runtime rt;
    char state_folder[DOCKER_PATH_BYTES];
    char instance[DOCKER_PATH_BYTES];
    struct net_addr addr;
    char version[16];          /* "/v1.41"; "" before it is known */
    char platform[64];         /* of the engine: "linux/amd64" */
    struct docker_call boot;   /* version, then each container that was ours */
    struct docker_call events; /* the stream */
    struct buf event_line;
    struct ev_timer retry;
    size_t boot_at; /* index into boot_list */
    struct docker_container **boot_list;
    size_t boot_count;
    bool has_complained;
};

struct docker_task {
    struct runtime_task task;
    size_t network_owner;
    size_t at; /* container whose removal, or sample, is under way */
    struct docker_call removal;
    struct docker_call sample;
    struct ev_timer retry_removal;
    struct runtime_usage sum;
};

struct docker_container {
    struct runtime_container c;
    int folder_fd;            /* of its note; -1: none */
    struct docker_call main;  /* image, create, start */
    struct docker_call order; /* signals */
    struct docker_call look;  /* inspect */
    struct docker_call logs;
    struct docker_call probe;
    struct ev_timer retry_order;
    struct ev_timer retry_logs;
    struct ev_timer retry_look;
    struct ev_timer probe_limit;
    struct ev_timer exit_limit; /* for a log stream that does not end */
    struct buf pull_line;
    struct str pull_error;     /* in the task's arena */
    struct str stop_signal;    /* the image's; in the task's arena */
    struct str image_platform; /* in the task's arena */
    struct str exec_id;        /* in probe_arena */
    struct arena probe_arena;
    bool has_cached_image;
    bool is_recreated;   /* a leftover of the same name was removed once */
    bool is_stream_open; /* `stream` is initialised */
    bool has_exit;       /* how it ended is known; its log is still being read */
    bool saw_exec_format_error;
    struct docker_stream stream;
    struct runtime_line *batch; /* RUNTIME_LINES_PER_EVENT_MAX */
    size_t batch_count;
    struct arena batch_arena;
    int32_t exit_code;
    bool is_out_of_memory;
    struct str exit_reason; /* in the task's arena */
    wall_t exited_at;
    int64_t cpu_ns; /* newest sample */
};

static inline struct docker *docker_of(const struct runtime_task *t)
{
    return CONTAINER_OF(t->rt, struct docker, rt);
}
static inline struct docker_task *docker_task_of(struct runtime_task *t)
{
    return CONTAINER_OF(t, struct docker_task, task);
}
static inline struct docker_container *docker_container_of(struct runtime_container *c)
{
    return CONTAINER_OF(c, struct docker_container, c);
}

/* "hitless-<task id>-<container>" */
struct str docker_name_of(const struct runtime_container *c, struct arena *a);
/* <state>/<task id> */
const char *docker_task_folder(const struct runtime_task *t, struct arena *a);

/* ---- container.c ---- */
void docker_pull(struct runtime_container *c);
void docker_start(struct runtime_container *c);
void docker_send_stop(struct runtime_container *c);
void docker_send_kill(struct runtime_container *c);
void docker_remember(struct runtime_container *c);
/* Asks Docker how it is, and reports what is new. */
void docker_look(struct docker_container *dc);
/* From an inspection's JSON: phase and times of a container found at start; 404 is NEW. */
void docker_adopt(struct docker_container *dc, struct str json);
void docker_container_init(struct docker_container *dc);
void docker_container_release(struct docker_container *dc);
/* How it ended is known and its log has been told. */
void docker_report_exit(struct docker_container *dc);

/* ---- pull.c ---- */
void docker_pull_cancel(struct docker_container *dc);

/* ---- logs.c ---- */
/* Follows the output from the note's position. */
void docker_follow_logs(struct docker_container *dc);
void docker_logs_close(struct docker_container *dc);

/* ---- probe.c ---- */
void docker_probe(struct runtime_container *c);
void docker_probe_close(struct docker_container *dc);

/* ---- stats.c ---- */
void docker_sample(struct runtime_task *t);

/* ---- body.c ---- */
/* The body of /containers/create. */
void docker_create_body(struct buf *out, struct arena *a, const struct runtime_container *c);
/* "container:<name>", or "bridge". */
bool docker_joins_network(const struct runtime_container *c);
