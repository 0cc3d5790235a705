#pragma once
/* What control and a shim say to each other, and what a shim is born with.
 *
 * A shim outlives upgrades of this program, so the messages have a version and only ever grow: an
 * unknown kind is passed over. They go over a SOCK_SEQPACKET socket, one a packet. The launch block
 * lies in a memfd, because it holds the environment: no argument list, no file on disk. */

#include "base/buf.h"
#include "base/op.h"
#include "runtime/driver.h"

/* Descriptors of a shim at birth. */
#define SHIM_LINK_FD   3 /* connected to control */
#define SHIM_LAUNCH_FD 4 /* the launch block */
#define SHIM_LOCK_FD   5 /* holds the container's lock as long as the shim lives */

#define SHIM_VERSION 1

enum shim_kind {
    /* control -> shim */
    SHIM_SIGNAL = 1, /* a: number; to the command */
    SHIM_KILL,       /* SIGKILL to the command and all below it */
    SHIM_PROBE,      /* a: id, b: timeout in us; runs the health command */
    SHIM_LOG_READ,   /* a: position up to which the output was read */
    /* shim -> control */
    SHIM_STARTED, /* a: pid of the command, b: signals sent to it so far; to each new control */
    SHIM_PROBED,  /* a: id, b: 1 passed, 0 failed */
    SHIM_LOGGED,  /* a: position of the end; the next one comes after a SHIM_LOG_READ */
    SHIM_ENDED,   /* the end file is written; the shim leaves */
};

struct shim_message {
    uint32_t version;
    uint32_t kind;
    int64_t a;
    int64_t b;
};

/* False when the socket is gone or full. */
bool runtime_shim_send(int fd, enum shim_kind kind, int64_t a, int64_t b);
/* ERR_AGAIN: none there. ERR_CLOSED. ERR_PROTOCOL. */
enum err runtime_shim_receive(int fd, struct shim_message *ret) MUST_USE;

#define SHIM_CGROUPS_MAX      4
#define SHIM_LAUNCH_BYTES_MAX (2u << 20)

struct shim_launch {
    struct str container_folder; /* of its state */
    struct str control_path;     /* where it listens for the next control */
    struct str run_folder;       /* given to the user */
    struct str work_folder;
    struct str user;                      /* absent: ours */
    struct runtime_words words;           /* the command, at least one */
    struct runtime_words environment;     /* "NAME=value" */
    struct runtime_words probe;           /* argument list of the health command; count 0: none */
    struct str cgroups[SHIM_CGROUPS_MAX]; /* folders to join */
    size_t cgroup_count;
    struct str oom_file; /* where the kernel counts kills for memory; absent: unknown */
    struct runtime_ulimit ulimits[RUNTIME_ULIMITS_MAX];
    size_t ulimit_count;
    bool is_log_followed; /* control reads the output: wait for it when it lags */
};

/* Overflow sticks in the buf. */
void runtime_launch_encode(struct buf *out, const struct shim_launch *launch);
/* Views into `bytes`; lists in the op's arena. */
enum err runtime_launch_decode(struct op *op, struct str bytes, struct shim_launch *ret) MUST_USE;
