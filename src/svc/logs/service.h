#pragma once
/* The service's own state; between the files of this module only.
 *
 * Groups   rows of the store ("logs.group"); each has a number that its streams and events carry.
 * Streams  table log_stream; those written to are also in memory, with what the next batch changes.
 * Events   table log_event. New ones wait in a batch; whoever reads writes the batch first.
 * Deleted  groups and streams are gone at once; their events are purged bit by bit (log_dead). */

#include "base/list.h"
#include "base/map.h"
#include "ev/loop.h"
#include "gen/engine.h"
#include "store/store.h"
#include "svc/logs/logs.h"

#define LOGS_BATCH_BYTES_MAX (8u << 20)  /* written at once when this much waits */
#define LOGS_WAIT_BYTES_MAX  (64u << 20) /* what waits when the disk is full; more is lost */
#define LOGS_LINE_BYTES_MAX  (256u << 10)
#define LOGS_LIVE_STREAMS    10000 /* streams in memory; those without news are forgotten */

struct logs_stream {
    struct list node; /* in logs.streams, the last used one first */
    char *key;        /* region/group\nstream */
    int64_t id;
    int64_t group_number;
    int64_t created_ms;
    int64_t first_ms; /* -1: no event yet */
    int64_t last_ms;
    int64_t ingested_ms;
    int64_t bytes;
    bool is_dirty;
    size_t waiting_count; /* events in the batch */
};

struct logs_waiting {
    struct logs_stream *stream;
    int64_t at_ms;
    int64_t ingested_ms;
    struct str message; /* in the batch's arena */
};

struct logs {
    struct logs_config config;
    struct map by_key;
    struct list streams;
    struct arena batch_arena;
    struct {
        struct logs_waiting *items;
        size_t count;
    } batch;
    uint64_t lost_count; /* lines that no store took */
    struct ev_timer flush_timer;
    struct ev_timer purge_timer;
};

extern const struct store_kind logs_groups;

/* ---- what the operations share --------------------------------------------------------------- */

/* ERR_NOT_FOUND, ResourceNotFoundException, with AWS's sentence. */
enum err logs_group_get(struct op *op, struct logs *logs, struct str name,
                        struct engine_logs_group *ret);
/* The name out of the two members that may name a group; refused when both or none are there. */
enum err logs_group_name(struct op *op, struct str name, struct str identifier, struct str *ret);
enum err logs_name_check(struct op *op, struct str name, const char *member, bool is_stream);
struct str logs_group_arn(struct op *op, struct str name);

/* The stream in memory, read from the store when it is not there; ERR_NOT_FOUND as above. The
 * group's number only is compared. Valid until the next call that takes a stream. */
enum err logs_stream_get(struct op *op, struct logs *logs, struct str group, struct str name,
                         struct logs_stream **ret);
/* ERR_EXISTS, ResourceAlreadyExistsException. */
enum err logs_stream_make(struct op *op, struct logs *logs, int64_t group_number, struct str name);
/* 56 digits; clients hand it back and nobody reads it. */
struct str logs_sequence_token(struct arena *a, int64_t ingested_ms);
/* Forgets streams of a group that is deleted (name absent: all of them) and what waits for them. */
void logs_streams_forget(struct op *op, struct logs *logs, int64_t group_number, struct str group,
                         struct str name);

/* Joins the batch; it is written within a fifth of a second. */
void logs_batch_add(struct logs *logs, struct logs_stream *stream, int64_t at_ms,
                    int64_t ingested_ms, struct str message);
/* Writes the batch now. */
enum err logs_batch_flush(struct op *op, struct logs *logs);
/* The events of this group or stream go bit by bit. Within the caller's transaction. */
enum err logs_purge_later(struct op *op, struct logs *logs, int64_t group_number,
                          int64_t stream_id);
/* The oldest time of events that retention leaves. */
int64_t logs_oldest_ms(const struct op *op, const struct engine_logs_group *group);

static inline int64_t logs_ms(wall_t t)
{
    return t.us / 1000;
}
