/* Streams. */

#include "base/cleanup.h"
#include "svc/common/page.h"
#include "svc/logs/handlers.h"

#define STREAM_PAGE_MAX 50

LOGS_OPERATION(create_log_stream)
{
    (void)ret;
    struct engine_logs_group group = {0};
    TRY(logs_name_check(op, in->log_stream_name, "logStreamName", true));
    TRY(logs_group_get(op, logs, in->log_group_name, &group));
    return logs_stream_make(op, logs, OPT_OR(group.number, 0), in->log_stream_name);
}

LOGS_OPERATION(delete_log_stream)
{
    (void)ret;
    struct logs_stream *stream = NULL;
    struct engine_logs_group group = {0};
    TRY(logs_group_get(op, logs, in->log_group_name, &group));
    TRY(logs_stream_get(op, logs, in->log_group_name, in->log_stream_name, &stream));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, logs->config.store, &tx));
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, logs->config.store, "DELETE FROM log_stream WHERE id = ?1", &q));
    store_bind_i64(&q, stream->id);
    TRY(store_run(op, &q));
    TRY(logs_purge_later(op, logs, stream->group_number, stream->id));
    TRY(store_tx_commit(op, &tx));
    logs_streams_forget(op, logs, stream->group_number, in->log_group_name, in->log_stream_name);
    return ERR_OK;
}

/* ---- DescribeLogStreams ---------------------------------------------------------------------- */

#define STREAM_SELECT \
    "SELECT name, created_ms, first_ms, last_ms, ingested_ms FROM log_stream WHERE grp = ?1"
#define STREAM_PREFIX " AND (?2 = '' OR substr(name, 1, length(?2)) = ?2)"

/* by last event?, descending?; ?3 says whether ?4 (last_ms) and ?5 (name) are where to go on. */
static const char *const list_sql[2][2] = {
    {STREAM_SELECT STREAM_PREFIX " AND (?3 = 0 OR (?4 IS NOT NULL AND name > ?5))"
                                 " ORDER BY name LIMIT ?6",
     STREAM_SELECT STREAM_PREFIX " AND (?3 = 0 OR (?4 IS NOT NULL AND name < ?5))"
                                 " ORDER BY name DESC LIMIT ?6"},
    {STREAM_SELECT STREAM_PREFIX " AND (?3 = 0 OR (last_ms, name) > (?4, ?5))"
                                 " ORDER BY last_ms, name LIMIT ?6",
     STREAM_SELECT STREAM_PREFIX " AND (?3 = 0 OR (last_ms, name) < (?4, ?5))"
                                 " ORDER BY last_ms DESC, name DESC LIMIT ?6"},
};

struct place {
    bool is_set;
    int64_t last_ms;
    struct str name;
};

/* "<last_ms>:<name>" */
static enum err read_token(struct op *op, struct str token, struct place *ret)
{
    struct str text = STR_NONE;
    struct str last = STR_NONE;
    if (token.len == 0) {
        return ERR_OK;
    }
    ret->is_set = true;
    if (token.len > 2048 || !page_decode(&op->arena, token, &text) ||
        !str_cut(text, ':', &last, &ret->name) ||
        !str_parse_i64(last, -1, INT64_MAX, &ret->last_ms)) {
        return op_fail_as(op, ERR_INPUT, &logs_error_invalid_parameter_exception,
                          "The specified nextToken is invalid.");
    }
    return ERR_OK;
}

static void show(struct op *op, const struct store_query *q, struct str group_arn,
                 struct logs_log_stream *to)
{
    int64_t first_ms = store_column_i64(q, 2);
    int64_t ingested_ms = store_column_i64(q, 4);
    to->log_stream_name = arena_str(&op->arena, store_column_str(q, 0));
    to->creation_time = OPT_I64(store_column_i64(q, 1));
    if (first_ms >= 0) {
        to->first_event_timestamp = OPT_I64(first_ms);
        to->last_event_timestamp = OPT_I64(store_column_i64(q, 3));
        to->last_ingestion_time = OPT_I64(ingested_ms);
        to->upload_sequence_token = logs_sequence_token(&op->arena, ingested_ms);
    }
    to->arn = arena_printf(&op->arena, "%.*s:log-stream:%.*s", STR_ARG(group_arn),
                           STR_ARG(to->log_stream_name));
    to->stored_bytes = OPT_I64(0); /* AWS has reported no other number since 2019 */
}

static enum err list(struct op *op, struct store_query *q, size_t limit, struct str group_arn,
                     struct logs_describe_log_streams_out *ret)
{
    for (;;) {
        bool has_row = false;
        TRY(store_step(op, q, &has_row));
        if (!has_row) {
            return ERR_OK;
        }
        if (ret->log_streams.count == limit) {
            const struct logs_log_stream *last = &ret->log_streams.items[limit - 1];
            ret->next_token = page_encode(
                &op->arena, arena_printf(&op->arena, "%lld:%.*s",
                                         (long long)OPT_OR(last->last_event_timestamp, -1),
                                         STR_ARG(last->log_stream_name)));
            return ERR_OK;
        }
        show(op, q, group_arn, ARENA_PUSH(&op->arena, &ret->log_streams));
    }
}

LOGS_OPERATION(describe_log_streams)
{
    struct str name = STR_NONE;
    struct engine_logs_group group = {0};
    struct place after = {0};
    bool is_by_last = in->order_by == LOGS_ORDER_BY_LASTEVENTTIME;
    TRY(logs_group_name(op, in->log_group_name, in->log_group_identifier, &name));
    if (is_by_last && str_is_set(in->log_stream_name_prefix)) {
        return op_fail_as(op, ERR_INPUT, &logs_error_invalid_parameter_exception,
                          "Cannot order by LastEventTime with a logStreamNamePrefix.");
    }
    TRY(read_token(op, in->next_token, &after));
    TRY(logs_batch_flush(op, logs));
    TRY(logs_group_get(op, logs, name, &group));
    size_t limit = (size_t)OPT_OR(in->limit, STREAM_PAGE_MAX);
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, logs->config.store,
                          list_sql[is_by_last][OPT_OR(in->descending, false)], &q));
    store_bind_i64(&q, OPT_OR(group.number, 0));
    store_bind_str(&q,
                   str_is_set(in->log_stream_name_prefix) ? in->log_stream_name_prefix : STR(""));
    store_bind_i64(&q, after.is_set);
    store_bind_i64(&q, after.last_ms);
    store_bind_str(&q, after.is_set ? after.name : STR(""));
    store_bind_i64(&q, (int64_t)limit + 1);
    ret->log_streams.is_set = true;
    return list(op, &q, limit, logs_group_arn(op, name), ret);
}
