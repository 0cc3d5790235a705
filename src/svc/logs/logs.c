#include "base/check.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "svc/logs/handlers.h"

#define FLUSH_AFTER     DUR_MS(200)
#define PURGE_EVERY     DUR_S(30)
#define PURGE_AGAIN     DUR_MS(100) /* while there is more */
#define PURGE_EVENT_MAX 2000        /* events removed in one turn */

const struct store_kind logs_groups = {"logs.group", &shape_engine_logs_group};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS log_stream ("
    " id INTEGER PRIMARY KEY, grp INTEGER NOT NULL, name TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
    " ingested_ms INTEGER NOT NULL, bytes INTEGER NOT NULL, UNIQUE (grp, name));"
    "CREATE INDEX IF NOT EXISTS log_stream_by_last ON log_stream (grp, last_ms, name);"
    "CREATE TABLE IF NOT EXISTS log_event ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, grp INTEGER NOT NULL, stream INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL, ingested_ms INTEGER NOT NULL, message TEXT NOT NULL);"
    "CREATE INDEX IF NOT EXISTS log_event_by_stream ON log_event (stream, at_ms, id);"
    "CREATE INDEX IF NOT EXISTS log_event_by_group ON log_event (grp, at_ms, id);"
    "CREATE TABLE IF NOT EXISTS log_dead ("
    " grp INTEGER NOT NULL, stream INTEGER NOT NULL, PRIMARY KEY (grp, stream)) WITHOUT ROWID;";

int64_t logs_oldest_ms(const struct op *op, const struct engine_logs_group *group)
{
    if (!group->retention_days.is_set) {
        return 0;
    }
    return logs_ms(op->now) - (int64_t)group->retention_days.value * 86400000;
}

/* ---- the batch ------------------------------------------------------------------------------- */

static void on_flush(struct ev_timer *t);
static void on_purge(struct ev_timer *t);

void logs_batch_add(struct logs *logs, struct logs_stream *stream, int64_t at_ms,
                    int64_t ingested_ms, struct str message)
{
    if (logs->batch_arena.total_bytes > LOGS_WAIT_BYTES_MAX) {
        logs->lost_count++; /* the flush that fails says so */
        return;
    }
    *ARENA_PUSH(&logs->batch_arena, &logs->batch) = (struct logs_waiting){
        .stream = stream,
        .at_ms = at_ms,
        .ingested_ms = ingested_ms,
        .message = arena_str(&logs->batch_arena, message),
    };
    stream->waiting_count++;
    stream->first_ms = stream->first_ms < 0 || at_ms < stream->first_ms ? at_ms : stream->first_ms;
    stream->last_ms = at_ms > stream->last_ms ? at_ms : stream->last_ms;
    stream->ingested_ms = ingested_ms;
    stream->bytes += (int64_t)message.len;
    stream->is_dirty = true;
    bool is_full = logs->batch_arena.total_bytes > LOGS_BATCH_BYTES_MAX;
    if (!ev_timer_is_set(&logs->flush_timer) || is_full) {
        ev_timer_set(logs->config.loop, &logs->flush_timer, is_full ? DUR_MS(0) : FLUSH_AFTER,
                     on_flush);
    }
}

static enum err write_event(struct op *op, struct logs *logs, const struct logs_waiting *w)
{
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, logs->config.store,
                          "INSERT INTO log_event (grp, stream, at_ms, ingested_ms, message)"
                          " VALUES (?1, ?2, ?3, ?4, ?5)",
                          &q));
    store_bind_i64(&q, w->stream->group_number);
    store_bind_i64(&q, w->stream->id);
    store_bind_i64(&q, w->at_ms);
    store_bind_i64(&q, w->ingested_ms);
    store_bind_str(&q, w->message);
    return store_run(op, &q);
}

static enum err write_stream(struct op *op, struct logs *logs, const struct logs_stream *s)
{
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, logs->config.store,
                          "UPDATE log_stream SET first_ms = ?1, last_ms = ?2, ingested_ms = ?3,"
                          " bytes = ?4 WHERE id = ?5",
                          &q));
    store_bind_i64(&q, s->first_ms);
    store_bind_i64(&q, s->last_ms);
    store_bind_i64(&q, s->ingested_ms);
    store_bind_i64(&q, s->bytes);
    store_bind_i64(&q, s->id);
    return store_run(op, &q);
}

static enum err write_batch(struct op *op, struct logs *logs)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, logs->config.store, &tx));
    for (size_t i = 0; i < logs->batch.count; i++) {
        TRY(write_event(op, logs, &logs->batch.items[i]));
    }
    LIST_FOR (stream, &logs->streams, struct logs_stream, node) {
        if (!stream->is_dirty) {
            continue;
        }
        TRY(write_stream(op, logs, stream));
    }
    FAULT_POINT("logs.batch.before-commit");
    return store_tx_commit(op, &tx);
}

static void forget_stream(struct logs *logs, struct logs_stream *stream)
{
    CHECK(stream->waiting_count == 0);
    (void)map_remove(&logs->by_key, str_of(stream->key));
    list_remove(&stream->node);
    mem_free(stream->key);
    mem_free(stream);
}

enum err logs_batch_flush(struct op *op, struct logs *logs)
{
    if (logs->batch.count == 0) {
        return ERR_OK;
    }
    TRY(write_batch(op, logs));
    if (logs->lost_count > 0) {
        log_error("logs", "%llu log events were lost while the store took none",
                  (unsigned long long)logs->lost_count);
        logs->lost_count = 0;
    }
    LIST_FOR (stream, &logs->streams, struct logs_stream, node) {
        stream->is_dirty = false;
        stream->waiting_count = 0;
    }
    while (logs->by_key.count > LOGS_LIVE_STREAMS) {
        forget_stream(logs, CONTAINER_OF(logs->streams.prev, struct logs_stream, node));
    }
    logs->batch.items = NULL;
    logs->batch.count = 0;
    arena_reset(&logs->batch_arena);
    return ERR_OK;
}

static void on_flush(struct ev_timer *t)
{
    struct logs *logs = CONTAINER_OF(t, struct logs, flush_timer);
    auto_op struct op op = {0};
    op_init(&op);
    if (logs_batch_flush(&op, logs) != ERR_OK) {
        log_warn("logs", "events were not written, they are tried again: %s", op.note.text);
        ev_timer_set(logs->config.loop, &logs->flush_timer, DUR_S(1), on_flush);
    }
}

/* ---- streams in memory ----------------------------------------------------------------------- */

static struct str key_of(struct op *op, struct str group, struct str name)
{
    return arena_printf(&op->arena, "%.*s/%.*s\n%.*s", STR_ARG(op->region), STR_ARG(group),
                        STR_ARG(name));
}

static enum err load_stream(struct op *op, struct logs *logs, int64_t group_number, struct str name,
                            struct logs_stream *ret, bool *ret_is_there)
{
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, logs->config.store,
                          "SELECT id, created_ms, first_ms, last_ms, ingested_ms, bytes"
                          " FROM log_stream WHERE grp = ?1 AND name = ?2",
                          &q));
    store_bind_i64(&q, group_number);
    store_bind_str(&q, name);
    TRY(store_step(op, &q, ret_is_there));
    if (*ret_is_there) {
        ret->id = store_column_i64(&q, 0);
        ret->group_number = group_number;
        ret->created_ms = store_column_i64(&q, 1);
        ret->first_ms = store_column_i64(&q, 2);
        ret->last_ms = store_column_i64(&q, 3);
        ret->ingested_ms = store_column_i64(&q, 4);
        ret->bytes = store_column_i64(&q, 5);
    }
    return ERR_OK;
}

enum err logs_stream_get(struct op *op, struct logs *logs, struct str group, struct str name,
                         struct logs_stream **ret)
{
    struct str key = key_of(op, group, name);
    struct logs_stream *stream = map_find(&logs->by_key, key);
    if (stream != NULL) {
        list_remove(&stream->node);
        list_add_head(&logs->streams, &stream->node);
        *ret = stream;
        return ERR_OK;
    }
    struct engine_logs_group row = {0};
    struct logs_stream found = {0};
    bool is_there = false;
    TRY(logs_group_get(op, logs, group, &row));
    TRY(load_stream(op, logs, OPT_OR(row.number, 0), name, &found, &is_there));
    if (!is_there) {
        return op_fail_as(op, ERR_NOT_FOUND, &logs_error_resource_not_found_exception,
                          "The specified log stream does not exist.");
    }
    stream = MEM_NEW(struct logs_stream);
    *stream = found;
    stream->key = mem_dup(arena_c_str(&op->arena, key), key.len + 1);
    list_init(&stream->node);
    list_add_head(&logs->streams, &stream->node);
    (void)map_put(&logs->by_key, key, stream);
    *ret = stream;
    return ERR_OK;
}

enum err logs_stream_make(struct op *op, struct logs *logs, int64_t group_number, struct str name)
{
    struct logs_stream found = {0};
    bool is_there = false;
    TRY(load_stream(op, logs, group_number, name, &found, &is_there));
    if (is_there) {
        return op_fail_as(op, ERR_EXISTS, &logs_error_resource_already_exists_exception,
                          "The specified log stream already exists");
    }
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, logs->config.store,
                          "INSERT INTO log_stream (grp, name, created_ms, first_ms, last_ms,"
                          " ingested_ms, bytes) VALUES (?1, ?2, ?3, -1, -1, -1, 0)",
                          &q));
    store_bind_i64(&q, group_number);
    store_bind_str(&q, name);
    store_bind_i64(&q, logs_ms(op->now));
    return store_run(op, &q);
}

/* Takes what waits for a stream out of the batch. */
static void drop_waiting(struct logs *logs, struct logs_stream *stream)
{
    size_t kept = 0;
    for (size_t i = 0; i < logs->batch.count; i++) {
        if (logs->batch.items[i].stream != stream) {
            logs->batch.items[kept++] = logs->batch.items[i];
        }
    }
    logs->batch.count = kept;
    stream->waiting_count = 0;
}

void logs_streams_forget(struct op *op, struct logs *logs, int64_t group_number, struct str group,
                         struct str name)
{
    if (str_is_set(name)) {
        struct logs_stream *stream = map_find(&logs->by_key, key_of(op, group, name));
        if (stream != NULL) {
            drop_waiting(logs, stream);
            forget_stream(logs, stream);
        }
        return;
    }
    LIST_FOR (stream, &logs->streams, struct logs_stream, node) {
        if (stream->group_number == group_number) {
            drop_waiting(logs, stream);
            forget_stream(logs, stream);
        }
    }
}

/* ---- purging --------------------------------------------------------------------------------- */

enum err logs_purge_later(struct op *op, struct logs *logs, int64_t group_number, int64_t stream_id)
{
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, logs->config.store,
                          "INSERT OR IGNORE INTO log_dead (grp, stream) VALUES (?1, ?2)", &q));
    store_bind_i64(&q, group_number);
    store_bind_i64(&q, stream_id);
    return store_run(op, &q);
}

static enum err changed_rows(struct op *op, struct logs *logs, int64_t *ret_count)
{
    auto_query struct store_query q = {0};
    bool has_row = false;
    TRY(store_query_begin(op, logs->config.store, "SELECT changes()", &q));
    TRY(store_step(op, &q, &has_row));
    *ret_count = store_column_i64(&q, 0);
    return ERR_OK;
}

static enum err purge_rows(struct op *op, struct logs *logs, const char *sql_literal, int64_t id,
                           int64_t before_ms, bool *ret_has_more)
{
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, logs->config.store, sql_literal, &q));
    store_bind_i64(&q, id);
    store_bind_i64(&q, before_ms);
    store_bind_i64(&q, PURGE_EVENT_MAX);
    TRY(store_run(op, &q));
    int64_t count = 0;
    TRY(changed_rows(op, logs, &count));
    *ret_has_more = count >= PURGE_EVENT_MAX;
    return ERR_OK;
}

static enum err purge_group(struct op *op, struct logs *logs, int64_t group_number,
                            int64_t before_ms, bool *ret_has_more)
{
    return purge_rows(op, logs,
                      "DELETE FROM log_event WHERE id IN (SELECT id FROM log_event"
                      " WHERE grp = ?1 AND at_ms < ?2 ORDER BY at_ms LIMIT ?3)",
                      group_number, before_ms, ret_has_more);
}

static enum err next_dead(struct op *op, struct logs *logs, bool *ret_has, int64_t *ret_group,
                          int64_t *ret_stream)
{
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, logs->config.store, "SELECT grp, stream FROM log_dead LIMIT 1", &q));
    TRY(store_step(op, &q, ret_has));
    if (*ret_has) {
        *ret_group = store_column_i64(&q, 0);
        *ret_stream = store_column_i64(&q, 1);
    }
    return ERR_OK;
}

static enum err bury(struct op *op, struct logs *logs, int64_t group_number, int64_t stream_id)
{
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, logs->config.store,
                          "DELETE FROM log_dead WHERE grp = ?1 AND stream = ?2", &q));
    store_bind_i64(&q, group_number);
    store_bind_i64(&q, stream_id);
    return store_run(op, &q);
}

/* Some events of one deleted group or stream. */
static enum err purge_dead(struct op *op, struct logs *logs, bool *ret_has_more)
{
    int64_t group_number = 0;
    int64_t stream_id = 0;
    bool has_rest = false;
    TRY(next_dead(op, logs, ret_has_more, &group_number, &stream_id));
    if (!*ret_has_more) {
        return ERR_OK;
    }
    if (stream_id == 0) {
        TRY(purge_group(op, logs, group_number, INT64_MAX, &has_rest));
    } else {
        TRY(purge_rows(op, logs,
                       "DELETE FROM log_event WHERE id IN (SELECT id FROM log_event"
                       " WHERE stream = ?1 AND at_ms < ?2 LIMIT ?3)",
                       stream_id, INT64_MAX, &has_rest));
    }
    return has_rest ? ERR_OK : bury(op, logs, group_number, stream_id);
}

static enum err purge_expired(struct op *op, struct logs *logs, bool *ret_has_more)
{
    struct store_items groups = {0};
    struct store_range everywhere = {.is_every_region = true};
    TRY(store_list(op, logs->config.store, &logs_groups, &everywhere, &groups));
    for (size_t i = 0; i < groups.count; i++) {
        const struct engine_logs_group *group = groups.items[i].value;
        bool has_rest = false;
        if (!group->retention_days.is_set) {
            continue;
        }
        TRY(purge_group(op, logs, OPT_OR(group->number, 0), logs_oldest_ms(op, group), &has_rest));
        *ret_has_more = *ret_has_more || has_rest;
    }
    return ERR_OK;
}

static enum err purge(struct op *op, struct logs *logs, bool *ret_has_more)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, logs->config.store, &tx));
    TRY(purge_dead(op, logs, ret_has_more));
    TRY(purge_expired(op, logs, ret_has_more));
    return store_tx_commit(op, &tx);
}

static void on_purge(struct ev_timer *t)
{
    struct logs *logs = CONTAINER_OF(t, struct logs, purge_timer);
    auto_op struct op op = {0};
    op_init(&op);
    bool has_more = false;
    if (purge(&op, logs, &has_more) != ERR_OK) {
        log_warn("logs", "old events were not removed: %s", op.note.text);
        has_more = false;
    }
    ev_timer_set(logs->config.loop, &logs->purge_timer, has_more ? PURGE_AGAIN : PURGE_EVERY,
                 on_purge);
}

/* ---- opening --------------------------------------------------------------------------------- */

enum err logs_open(struct op *op, const struct logs_config *config, struct logs **ret_logs)
{
    TRY(store_add_schema(op, config->store, schema));
    struct logs *logs = MEM_NEW(struct logs);
    logs->config = *config;
    map_init(&logs->by_key);
    list_init(&logs->streams);
    arena_init(&logs->batch_arena);
    ev_timer_set(config->loop, &logs->purge_timer, PURGE_AGAIN, on_purge);
    *ret_logs = logs;
    return ERR_OK;
}

static void forget_all(struct logs *logs)
{
    logs->batch.items = NULL;
    logs->batch.count = 0;
    arena_reset(&logs->batch_arena);
    LIST_FOR (stream, &logs->streams, struct logs_stream, node) {
        stream->waiting_count = 0;
        forget_stream(logs, stream);
    }
}

void logs_close(struct logs *logs)
{
    if (logs == NULL) {
        return;
    }
    auto_op struct op op = {0};
    op_init(&op);
    if (logs_batch_flush(&op, logs) != ERR_OK) {
        log_error("logs", "%zu log events were lost: %s", logs->batch.count, op.note.text);
    }
    ev_timer_stop(&logs->flush_timer);
    ev_timer_stop(&logs->purge_timer);
    forget_all(logs);
    arena_fini(&logs->batch_arena);
    map_fini(&logs->by_key);
    mem_free(logs);
}

enum err logs_reset(struct op *op, struct logs *logs)
{
    static const char *const texts[] = {"DELETE FROM log_event", "DELETE FROM log_stream",
                                        "DELETE FROM log_dead"};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, logs->config.store, &tx));
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        auto_query struct store_query q = {0};
        TRY(store_query_begin(op, logs->config.store, texts[i], &q));
        TRY(store_run(op, &q));
    }
    TRY(store_remove_all(op, logs->config.store, &logs_groups,
                         &(struct store_range){.is_every_region = true}));
    TRY(store_tx_commit(op, &tx));
    forget_all(logs);
    return ERR_OK;
}

/* ---- for the runtimes ------------------------------------------------------------------------ */

static enum err make_group(struct op *op, struct logs *logs, struct str group)
{
    struct logs_create_log_group_in in = {.log_group_name = group};
    struct logs_create_log_group_out out = {0};
    return logs_do_create_log_group(op, logs, &in, &out);
}

static enum err port_ensure_stream(void *self, struct op *op, struct str group, struct str stream,
                                   bool may_create_group)
{
    struct logs *logs = self;
    struct logs_stream *found = NULL;
    if (map_find(&logs->by_key, key_of(op, group, stream)) != NULL) {
        return ERR_OK;
    }
    TRY(logs_name_check(op, group, "logGroupName", false));
    TRY(logs_name_check(op, stream, "logStreamName", true));
    if (may_create_group && !store_has(op, logs->config.store, &logs_groups, group)) {
        TRY(make_group(op, logs, group));
    }
    struct engine_logs_group row = {0};
    TRY(logs_group_get(op, logs, group, &row));
    enum err e = logs_stream_make(op, logs, OPT_OR(row.number, 0), stream);
    if (e != ERR_OK && e != ERR_EXISTS) {
        return e;
    }
    op_note_clear(op);
    return logs_stream_get(op, logs, group, stream, &found);
}

static enum err port_put_line(void *self, struct op *op, struct str group, struct str stream,
                              wall_t at, struct str line)
{
    struct logs *logs = self;
    struct logs_stream *found = NULL;
    TRY(logs_stream_get(op, logs, group, stream, &found));
    struct str message = str_slice(line, 0, LOGS_LINE_BYTES_MAX);
    logs_batch_add(logs, found, logs_ms(at), logs_ms(op->now), message);
    return ERR_OK;
}

void logs_port(struct logs *logs, struct port_logs *ret)
{
    *ret = (struct port_logs){
        .self = logs, .ensure_stream = port_ensure_stream, .put_line = port_put_line};
}
