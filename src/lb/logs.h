#pragma once
/* Access and connection logs on their way out: a ring of bytes for each worker (one producer, one
 * consumer), and one thread that drains them into files and datagrams. A worker never waits: a line
 * that finds no room is dropped and counted by its worker.
 *
 * Bucket  STATE/s3/BUCKET/[PREFIX/]AWSLogs/ACCOUNT/elasticloadbalancing/REGION/yyyy/mm/dd/
 *         [conn_log.]ACCOUNT_elasticloadbalancing_REGION_app.NAME.ID_yyyymmddThhmmZ_IP_RANDOM.log.gz
 *         The time is the end of a span of 5 minutes; nothing is added to the file after it. What
 *         is added comes as whole gzip members, so that the file is whole whenever it is read.
 * File    STATE/logs/NAME, plain lines; a file that is full becomes NAME.1 and so on.
 * Socket  "unix:PATH" or "udp:HOST:PORT", a datagram of RFC 5424 (local0.info) for each line.
 * Loss    Lines are on disk within LB_LOG_FLUSH_EVERY; a process killed before loses those.
 * Threads lb_logs_* belong to the thread of the owner's loop; lb_log_push to the ring's worker.
 * Source  ELB user guide, "Access logs for your Application Load Balancer". */

#include "base/op.h"

#include <stdatomic.h>

struct lb_logs;

/* Where lines go. Absent: not there. */
struct lb_log_plan {
    struct str kind;     /* "" or "conn_log." */
    struct str balancer; /* "app/NAME/ID" */
    struct str account;
    struct str region;
    struct str address; /* the listener's host */
    struct str bucket;
    struct str prefix;
    struct str file;
    struct str socket;
};

struct lb_log_ring {
    struct lb_logs *logs;
    char *bytes;        /* LB_LOG_RING_BYTES */
    atomic_size_t head; /* the worker's: bytes ever put in */
    size_t tail_seen;   /* the worker's: what it knew of tail */
    bool has_called;    /* the worker's: for a drain, since half of it was free */
    char apart[64];
    atomic_size_t tail; /* the drain's: bytes ever taken out */
    char apart_too[64];
};

/* folder: STATE, of which a copy is kept. */
enum err lb_logs_open(struct op *op, struct str folder, size_t worker_count,
                      struct lb_logs **ret_logs) MUST_USE;
/* Drains what is left. No worker may run. NULL is fine. */
void lb_logs_close(struct lb_logs *logs);
/* A number for the plan, the same for the same plan; 0 when it is nowhere or there are too many.
 * Lives as long as the logs. */
uint32_t lb_logs_sink(struct lb_logs *logs, const struct lb_log_plan *plan);
struct lb_log_ring *lb_logs_ring(struct lb_logs *logs, size_t worker);
/* Names that lead nowhere else: no "..", no "/" in front, only [-A-Za-z0-9._/]. */
bool lb_log_is_safe(struct str name, bool may_have_folders);

/* Puts a line, without its end. False: no room. */
bool lb_log_push(struct lb_log_ring *ring, uint32_t sink, struct str line);

/* log_file.c: where a sink's lines end up; the drain's thread */
struct lb_log_out;
struct lb_log_out *lb_log_out_new(struct str folder, const struct lb_log_plan *plan);
/* Ends the file. */
void lb_log_out_free(struct lb_log_out *out);
void lb_log_out_add(struct lb_log_out *out, struct str line);
/* Writes what waits, and ends files whose time is over. */
void lb_log_out_flush(struct lb_log_out *out, wall_t now);
