/* Rows: structures of a shape under (region, kind, key). */
#include "base/check.h"
#include "base/cleanup.h"
#include "shape/walk.h"
#include "store/store.h"

static void bind_address(struct store_query *q, const struct op *op, const struct store_kind *kind,
                         struct str key)
{
    store_bind_str(q, str_of(kind->name));
    store_bind_str(q, op->region);
    store_bind_str(q, key);
}

static enum err write_row(struct op *op, struct store *st, const struct store_kind *kind,
                          struct str key, struct str parent, struct str body)
{
    AUTO(store_query_fini) struct store_query q = {0};
    TRY(store_query_begin(
        op, st,
        "INSERT INTO resource (kind, region, key, parent, changed_us, body, rev)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1) ON CONFLICT (kind, region, key) DO UPDATE SET"
        " parent = excluded.parent, changed_us = excluded.changed_us, body = excluded.body,"
        " rev = rev + 1",
        &q));
    bind_address(&q, op, kind, key);
    store_bind_str(&q, parent);
    store_bind_i64(&q, op->now.us);
    store_bind_str(&q, body);
    return store_run(op, &q);
}

enum err store_put(struct op *op, struct store *st, const struct store_kind *kind, struct str key,
                   struct str parent, const void *value)
{
    CHECK(key.len > 0);
    if (key.len > STORE_KEY_BYTES_MAX) {
        return op_fail(op, ERR_LIMIT, "the name \"%.64s...\" has more than %d bytes", key.ptr,
                       STORE_KEY_BYTES_MAX);
    }
    auto_buf struct buf body;
    buf_init(&body, STORE_ROW_BYTES_MAX);
    shape_json_encode(&body, kind->shape, value);
    if (body.is_overflown) {
        return op_fail(op, ERR_LIMIT, "\"%.*s\" would have more than %u bytes", STR_ARG(key),
                       STORE_ROW_BYTES_MAX);
    }
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, st, &tx));
    TRY(write_row(op, st, kind, key, parent, buf_str(&body)));
    return store_tx_commit(op, &tx);
}

static enum err decode_row(struct op *op, const struct store_kind *kind, struct str key,
                           struct str body, void *ret_value)
{
    memset(ret_value, 0, kind->shape->bytes);
    enum err e = shape_json_decode(op, kind->shape, body, SHAPE_LENIENT, ret_value);
    if (e != ERR_OK) {
        op_note_prefix(op, "the row %s \"%.*s\" of the state cannot be read: ", kind->name,
                       STR_ARG(key));
        return ERR_INTERNAL;
    }
    return ERR_OK;
}

enum err store_get(struct op *op, struct store *st, const struct store_kind *kind, struct str key,
                   void *ret_value)
{
    AUTO(store_query_fini) struct store_query q = {0};
    TRY(store_query_begin(
        op, st, "SELECT body FROM resource WHERE kind = ?1 AND region = ?2 AND key = ?3", &q));
    bind_address(&q, op, kind, key);
    bool has_row = false;
    TRY(store_step(op, &q, &has_row));
    if (!has_row) {
        return op_fail(op, ERR_NOT_FOUND, "there is no %s \"%.*s\"", kind->name, STR_ARG(key));
    }
    return decode_row(op, kind, key, arena_str(&op->arena, store_column_str(&q, 0)), ret_value);
}

bool store_has(struct op *op, struct store *st, const struct store_kind *kind, struct str key)
{
    AUTO(store_query_fini) struct store_query q = {0};
    bool has_row = false;
    enum err e = store_query_begin(
        op, st, "SELECT 1 FROM resource WHERE kind = ?1 AND region = ?2 AND key = ?3", &q);
    if (e != ERR_OK) {
        return false;
    }
    bind_address(&q, op, kind, key);
    return store_step(op, &q, &has_row) == ERR_OK && has_row;
}

enum err store_remove(struct op *op, struct store *st, const struct store_kind *kind,
                      struct str key)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, st, &tx));
    {
        AUTO(store_query_fini) struct store_query q = {0};
        TRY(store_query_begin(
            op, st, "DELETE FROM resource WHERE kind = ?1 AND region = ?2 AND key = ?3", &q));
        bind_address(&q, op, kind, key);
        TRY(store_run(op, &q));
    }
    return store_tx_commit(op, &tx);
}

/* The first text behind every text that starts so; absent when there is none. */
static struct str behind_prefix(struct arena *a, struct str prefix)
{
    size_t len = prefix.len;
    while (len > 0 && (unsigned char)prefix.ptr[len - 1] == 0xff) {
        len--;
    }
    if (len == 0) {
        return STR_NONE;
    }
    char *text = arena_alloc(a, len + 1);
    memcpy(text, prefix.ptr, len);
    text[len - 1]++;
    return str_make(text, len);
}

/* Texts compare bytewise in SQLite, as in str_compare. One statement a form, so that each uses the
 * index that fits it. */
#define RANGE_KEYS " AND key > ?4 AND (?5 = '' OR key >= ?5) AND (?6 = '' OR key < ?6)"
#define IN_REGION  " FROM resource WHERE kind = ?1 AND region = ?2 AND ?3 = ?3" RANGE_KEYS
/* Named, because the planner would rather walk all keys of the kind, which the order fits as well.
 */
#define IN_PARENT                                                                             \
    " FROM resource INDEXED BY resource_parent WHERE kind = ?1 AND region = ?2 AND parent = " \
    "?3" RANGE_KEYS
#define ANYWHERE \
    " FROM resource WHERE kind = ?1 AND ?2 = ?2 AND (?3 = '' OR parent = ?3)" RANGE_KEYS
#define ORDERED " ORDER BY region, key LIMIT ?7"

enum range_form { FORM_REGION, FORM_PARENT, FORM_ANYWHERE };

static enum range_form form_of(const struct store_range *range)
{
    if (range->is_every_region) {
        return FORM_ANYWHERE;
    }
    return str_is_set(range->parent) ? FORM_PARENT : FORM_REGION;
}

static void bind_range(struct store_query *q, struct op *op, const struct store_kind *kind,
                       const struct store_range *range)
{
    store_bind_str(q, str_of(kind->name));
    store_bind_str(q, op->region);
    store_bind_str(q, range->parent);
    store_bind_str(q, range->after);
    store_bind_str(q, range->prefix);
    store_bind_str(q, behind_prefix(&op->arena, range->prefix));
}

static enum err append_item(struct op *op, const struct store_kind *kind,
                            const struct store_query *q, struct store_items *items)
{
    struct store_item *item = ARENA_PUSH(&op->arena, items);
    item->region = arena_str(&op->arena, store_column_str(q, 0));
    item->key = arena_str(&op->arena, store_column_str(q, 1));
    item->parent = arena_str(&op->arena, store_column_str(q, 2));
    item->value = arena_alloc(&op->arena, kind->shape->bytes);
    return decode_row(op, kind, item->key, arena_str(&op->arena, store_column_str(q, 3)),
                      item->value);
}

enum err store_list(struct op *op, struct store *st, const struct store_kind *kind,
                    const struct store_range *range, struct store_items *ret_items)
{
#define COLUMNS "SELECT region, key, parent, body"
    static const char *const sql[] = {
        [FORM_REGION] = COLUMNS IN_REGION ORDERED,
        [FORM_PARENT] = COLUMNS IN_PARENT ORDERED,
        [FORM_ANYWHERE] = COLUMNS ANYWHERE ORDERED,
    };
    struct store_items items = {0};
    AUTO(store_query_fini) struct store_query q = {0};
    TRY(store_query_begin(op, st, sql[form_of(range)], &q));
    bind_range(&q, op, kind, range);
    store_bind_i64(&q, range->limit == 0 ? -1 : (int64_t)range->limit);
    for (;;) {
        bool has_row = false;
        TRY(store_step(op, &q, &has_row));
        if (!has_row) {
            break;
        }
        TRY(append_item(op, kind, &q, &items));
    }
    *ret_items = items;
    return ERR_OK;
}

enum err store_count(struct op *op, struct store *st, const struct store_kind *kind,
                     const struct store_range *range, size_t *ret_count)
{
    static const char *const sql[] = {
        [FORM_REGION] = "SELECT count(*)" IN_REGION,
        [FORM_PARENT] = "SELECT count(*)" IN_PARENT,
        [FORM_ANYWHERE] = "SELECT count(*)" ANYWHERE,
    };
    AUTO(store_query_fini) struct store_query q = {0};
    TRY(store_query_begin(op, st, sql[form_of(range)], &q));
    bind_range(&q, op, kind, range);
    bool has_row = false;
    TRY(store_step(op, &q, &has_row));
    *ret_count = (size_t)store_column_i64(&q, 0);
    return ERR_OK;
}

static enum err delete_range(struct op *op, struct store *st, const struct store_kind *kind,
                             const struct store_range *range)
{
    static const char *const sql[] = {
        [FORM_REGION] = "DELETE" IN_REGION,
        [FORM_PARENT] = "DELETE" IN_PARENT,
        [FORM_ANYWHERE] = "DELETE" ANYWHERE,
    };
    AUTO(store_query_fini) struct store_query q = {0};
    TRY(store_query_begin(op, st, sql[form_of(range)], &q));
    bind_range(&q, op, kind, range);
    return store_run(op, &q);
}

enum err store_remove_all(struct op *op, struct store *st, const struct store_kind *kind,
                          const struct store_range *range)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, st, &tx));
    TRY(delete_range(op, st, kind, range));
    return store_tx_commit(op, &tx);
}

static enum err bump_number(struct op *op, struct store *st, struct str series, int64_t *ret_number)
{
    AUTO(store_query_fini) struct store_query q = {0};
    TRY(store_query_begin(
        op, st,
        "INSERT INTO number (region, series, value) VALUES (?1, ?2, 1)"
        " ON CONFLICT (region, series) DO UPDATE SET value = value + 1 RETURNING value",
        &q));
    store_bind_str(&q, op->region);
    store_bind_str(&q, series);
    bool has_row = false;
    TRY(store_step(op, &q, &has_row));
    CHECK(has_row);
    *ret_number = store_column_i64(&q, 0);
    return ERR_OK;
}

enum err store_next_number(struct op *op, struct store *st, struct str series, int64_t *ret_number)
{
    int64_t number = 0;
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, st, &tx));
    TRY(bump_number(op, st, series, &number));
    TRY(store_tx_commit(op, &tx));
    *ret_number = number;
    return ERR_OK;
}
