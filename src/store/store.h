#pragma once
/* The engine's only truth: SQLite in WAL mode, synced at every commit. A resource is a row:
 * (region, kind, key) -> a structure of the kind's shape, as JSON. Several changes that belong
 * together are one transaction; what others must be told is told after its commit. One process and
 * one thread (the control loop) own a store. All calls take the region from op->region. */

#include "base/op.h"
#include "shape/shape.h"

struct store;

#define STORE_KEY_BYTES_MAX 2048
#define STORE_ROW_BYTES_MAX (1u << 20)

/* A table of rows; define one static const per kind: {"ecs.service", &shape_engine_ecs_service}. */
struct store_kind {
    const char *name;
    const struct shape *shape;
};

/* Makes or migrates the file. path ":memory:" for tests. ERR_IO and friends with the sentence. */
enum err store_open(struct op *op, const char *path, struct store **ret_store);
void store_close(struct store *st);

/* ---- transactions ------------------------------------------------------------------------------
 *
 *     AUTO(store_tx_fini) struct store_tx tx = {0};
 *     TRY(store_tx_begin(op, st, &tx));
 *     TRY(store_put(op, st, &ecs_services, key, parent, &row));
 *     return store_tx_commit(op, &tx);
 *
 * A begin inside an open transaction joins it: only the outermost commit writes, and a joined
 * transaction that is not committed spoils the whole one (its commit fails with ERR_STATE). A
 * single put or remove outside of any transaction is one of its own. */
struct store_tx {
    struct store *st;
    bool is_outermost;
};

enum err store_tx_begin(struct op *op, struct store *st, struct store_tx *ret_tx);
enum err store_tx_commit(struct op *op, struct store_tx *tx);
/* Rolls back what was not committed. */
void store_tx_fini(struct store_tx *tx);

/* Runs fn once after the outermost commit (at once when none is open), not after a rollback. The
 * same (fn, self, key) asked for twice in a transaction runs once. The key is copied. */
typedef void (*store_after_fn)(void *self, struct str key);
void store_after_commit(struct store *st, store_after_fn fn, void *self, struct str key);

/* ---- rows ---------------------------------------------------------------------------------------
 */

/* value: a structure of the kind's shape. parent groups rows for lists ("" for none). */
enum err store_put(struct op *op, struct store *st, const struct store_kind *kind, struct str key,
                   struct str parent, const void *value);
/* ERR_NOT_FOUND (with a plain note) when there is none; the caller usually says more. The structure
 * is decoded into the op's arena. */
enum err store_get(struct op *op, struct store *st, const struct store_kind *kind, struct str key,
                   void *ret_value);
bool store_has(struct op *op, struct store *st, const struct store_kind *kind, struct str key);
/* Fine when there is none. */
enum err store_remove(struct op *op, struct store *st, const struct store_kind *kind,
                      struct str key);

struct store_range {
    struct str parent;    /* only rows of this parent; absent: all */
    struct str prefix;    /* only keys that start so; absent: all */
    struct str after;     /* only keys behind this one in bytewise order; absent: from the first */
    size_t limit;         /* 0: no limit */
    bool is_every_region; /* instead of op->region only */
};

struct store_item {
    struct str key;
    struct str parent;
    struct str region;
    void *value; /* a structure of the kind's shape */
};

struct store_items {
    struct store_item *items; /* by region, then key, bytewise ascending */
    size_t count;
};

enum err store_list(struct op *op, struct store *st, const struct store_kind *kind,
                    const struct store_range *range, struct store_items *ret_items);
enum err store_count(struct op *op, struct store *st, const struct store_kind *kind,
                     const struct store_range *range, size_t *ret_count);
enum err store_remove_all(struct op *op, struct store *st, const struct store_kind *kind,
                          const struct store_range *range);

/* The next number of a named series in this region: 1, 2, 3 ... never given twice, not even after
 * its rows are gone. */
enum err store_next_number(struct op *op, struct store *st, struct str series, int64_t *ret_number);

/* ---- tables of a module's own (datapoints, log events)
 * -------------------------------------------
 *
 * schema: "CREATE TABLE IF NOT EXISTS ..." statements, run at start. Statements are prepared once
 * and kept by the address of their text, which must be a literal. */
enum err store_add_schema(struct op *op, struct store *st, const char *schema);

struct store_query {
    struct store *st;
    void *statement;
    int next_bind;
};

enum err store_query_begin(struct op *op, struct store *st, const char *sql_literal,
                           struct store_query *ret_query);
void store_query_fini(struct store_query *q);
#define auto_query __attribute__((cleanup(store_query_fini)))
/* Binds ?1, ?2, ... in order. */
void store_bind_i64(struct store_query *q, int64_t value);
void store_bind_f64(struct store_query *q, double value);
void store_bind_str(struct store_query *q, struct str value);
void store_bind_blob(struct store_query *q, struct str value);
/* *ret_has_row: false at the end. Columns are valid until the next step; texts are copied by the
 * caller. */
enum err store_step(struct op *op, struct store_query *q, bool *ret_has_row);
/* For statements without rows. */
enum err store_run(struct op *op, struct store_query *q);
int64_t store_column_i64(const struct store_query *q, int column);
double store_column_f64(const struct store_query *q, int column);
struct str store_column_str(const struct store_query *q, int column);
