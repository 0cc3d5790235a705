#include "svc/cloudwatch/history.h"

#include "store/store.h"

#define KEPT_DAYS 30

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS cw_history ("
    " id INTEGER PRIMARY KEY, region TEXT NOT NULL, alarm TEXT NOT NULL,"
    " is_composite INTEGER NOT NULL, at_us INTEGER NOT NULL, type INTEGER NOT NULL,"
    " summary TEXT NOT NULL, data TEXT NOT NULL);"
    "CREATE INDEX IF NOT EXISTS cw_history_by_time ON cw_history (region, at_us, id);"
    "CREATE INDEX IF NOT EXISTS cw_history_by_alarm ON cw_history (region, alarm, at_us, id);";

enum err cw_history_open(struct op *op, struct store *st)
{
    return store_add_schema(op, st, schema);
}

enum err cw_history_add(struct op *op, struct store *st, struct str alarm_name, bool is_composite,
                        enum cloudwatch_history_item_type type, struct str summary, struct str data)
{
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, st,
                          "INSERT INTO cw_history (region, alarm, is_composite, at_us, type,"
                          " summary, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                          &q));
    store_bind_str(&q, op->region);
    store_bind_str(&q, alarm_name);
    store_bind_i64(&q, is_composite);
    store_bind_i64(&q, op->now.us);
    store_bind_i64(&q, type);
    store_bind_str(&q, summary);
    store_bind_str(&q, data);
    return store_run(op, &q);
}

/* One text for each direction, with or without an alarm, so that each finds its index. */
#define HISTORY_SELECT "SELECT id, alarm, is_composite, at_us, type, summary, data FROM cw_history"
#define HISTORY_FILTER                                          \
    " AND at_us >= ?3 AND at_us < ?4 AND (?5 = 0 OR type = ?5)" \
    " AND (is_composite = ?6 OR is_composite = ?7)"

static const char *const list_sql[2][2] = {
    {HISTORY_SELECT
     " WHERE region = ?1 AND ?2 = ''" HISTORY_FILTER
     " AND (?8 = 0 OR (at_us, id) < (?9, ?8)) ORDER BY at_us DESC, id DESC LIMIT ?10",
     HISTORY_SELECT " WHERE region = ?1 AND ?2 = ''" HISTORY_FILTER
                    " AND (?8 = 0 OR (at_us, id) > (?9, ?8)) ORDER BY at_us, id LIMIT ?10"},
    {HISTORY_SELECT
     " WHERE region = ?1 AND alarm = ?2" HISTORY_FILTER
     " AND (?8 = 0 OR (at_us, id) < (?9, ?8)) ORDER BY at_us DESC, id DESC LIMIT ?10",
     HISTORY_SELECT " WHERE region = ?1 AND alarm = ?2" HISTORY_FILTER
                    " AND (?8 = 0 OR (at_us, id) > (?9, ?8)) ORDER BY at_us, id LIMIT ?10"},
};

static void bind_query(struct op *op, struct store_query *q, const struct cw_history_query *query)
{
    store_bind_str(q, op->region);
    store_bind_str(q, str_is_set(query->alarm_name) ? query->alarm_name : STR(""));
    store_bind_i64(q, query->from_us);
    store_bind_i64(q, query->to_us);
    store_bind_i64(q, query->type);
    store_bind_i64(q, query->wants_metric ? 0 : 1);
    store_bind_i64(q, query->wants_composite ? 1 : 0);
    store_bind_i64(q, query->after_id);
    store_bind_i64(q, query->after_us);
    store_bind_i64(q, (int64_t)query->limit + 1);
}

static void read_item(struct op *op, const struct store_query *q,
                      struct cloudwatch_alarm_history_item *item)
{
    int64_t type = store_column_i64(q, 4);
    item->alarm_name = arena_str(&op->arena, store_column_str(q, 1));
    item->alarm_type = store_column_i64(q, 2) != 0 ? CLOUDWATCH_ALARM_TYPE_COMPOSITEALARM
                                                   : CLOUDWATCH_ALARM_TYPE_METRICALARM;
    item->timestamp = OPT_TIME(((wall_t){.us = store_column_i64(q, 3)}));
    item->history_item_type = type >= CLOUDWATCH_HISTORY_ITEM_TYPE_CONFIGURATIONUPDATE &&
                                      type <= CLOUDWATCH_HISTORY_ITEM_TYPE_ACTION
                                  ? (enum cloudwatch_history_item_type)type
                                  : CLOUDWATCH_HISTORY_ITEM_TYPE_UNSET;
    item->history_summary = arena_str(&op->arena, store_column_str(q, 5));
    item->history_data = arena_str(&op->arena, store_column_str(q, 6));
}

enum err cw_history_list(struct op *op, struct store *st, const struct cw_history_query *query,
                         struct cw_history_page *ret_page)
{
    struct cw_history_page page = {0};
    auto_query struct store_query q = {0};
    bool is_of_one = str_is_set(query->alarm_name);
    TRY(store_query_begin(op, st, list_sql[is_of_one][query->is_ascending], &q));
    bind_query(op, &q, query);
    for (;;) {
        bool has_row = false;
        TRY(store_step(op, &q, &has_row));
        page.has_more = has_row && page.count == query->limit;
        if (!has_row || page.has_more) {
            break;
        }
        page.last_id = store_column_i64(&q, 0);
        page.last_us = store_column_i64(&q, 3);
        read_item(op, &q, ARENA_PUSH(&op->arena, &page));
    }
    *ret_page = page;
    return ERR_OK;
}

enum err cw_history_expire(struct op *op, struct store *st)
{
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, st, "DELETE FROM cw_history WHERE at_us < ?1", &q));
    store_bind_i64(&q, op->now.us - DUR_S((int64_t)KEPT_DAYS * 86400).us);
    return store_run(op, &q);
}

enum err cw_history_reset(struct op *op, struct store *st)
{
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, st, "DELETE FROM cw_history", &q));
    return store_run(op, &q);
}
