/* This file alone knows SQLite: the tables, how a transaction nests, what runs after a commit. */
#include "store/store.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "shape/walk.h"

#include <sqlite3.h>
#include <stdio.h>

#define SCHEMA_VERSION 1
#define BUSY_MS        5000

struct after {
    store_after_fn fn;
    void *self;
    char *key_ptr; /* owned */
    size_t key_len;
    struct list link;
};

struct statement {
    const char *sql; /* literal */
    sqlite3_stmt *prepared;
    bool is_busy;
    struct list link;
};

struct store {
    sqlite3 *db;
    int depth;         /* of open transactions */
    bool is_spoiled;   /* a joined transaction was given up */
    struct list after; /* struct after, in order of asking */
    struct map statements;
    struct list statement_list;
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS resource ("
    "  region TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, parent TEXT NOT NULL,"
    "  rev INTEGER NOT NULL, changed_us INTEGER NOT NULL, body TEXT NOT NULL,"
    "  PRIMARY KEY (kind, region, key)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS resource_parent ON resource (kind, region, parent, key);"
    "CREATE TABLE IF NOT EXISTS number ("
    "  region TEXT NOT NULL, series TEXT NOT NULL, value INTEGER NOT NULL,"
    "  PRIMARY KEY (region, series)) WITHOUT ROWID;";

static enum err fail_sqlite(struct op *op, struct store *st, const char *what)
{
    int code = sqlite3_errcode(st->db);
    enum err kind = code == SQLITE_FULL ? ERR_NO_SPACE : ERR_IO;
    return op_fail(op, kind, "could not %s: the state store says \"%s\"", what,
                   sqlite3_errmsg(st->db));
}

static enum err run_text(struct op *op, struct store *st, const char *sql, const char *what)
{
    if (sqlite3_exec(st->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return fail_sqlite(op, st, what);
    }
    return ERR_OK;
}

static enum err read_schema_version(struct op *op, struct store *st, int64_t *ret_version)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(st->db, "PRAGMA user_version", -1, &s, NULL) != SQLITE_OK ||
        sqlite3_step(s) != SQLITE_ROW) {
        (void)sqlite3_finalize(s);
        return fail_sqlite(op, st, "read the version of the state");
    }
    *ret_version = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return ERR_OK;
}

static enum err prepare_file(struct op *op, struct store *st)
{
    (void)sqlite3_busy_timeout(st->db, BUSY_MS);
    TRY(run_text(op, st,
                 "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
                 "set up the state store"));
    int64_t version = 0;
    TRY(read_schema_version(op, st, &version));
    if (version > SCHEMA_VERSION) {
        return op_fail(
            op, ERR_UNSUPPORTED,
            "the state was written by a newer version (schema %lld, this program knows %d)",
            (long long)version, SCHEMA_VERSION);
    }
    TRY(run_text(op, st, schema, "make the tables of the state"));
    char text[64];
    (void)snprintf(text, sizeof(text), "PRAGMA user_version=%d", SCHEMA_VERSION);
    return run_text(op, st, text, "write the version of the state");
}

enum err store_open(struct op *op, const char *path, struct store **ret_store)
{
    struct store *st = MEM_NEW(struct store);
    list_init(&st->after);
    list_init(&st->statement_list);
    map_init(&st->statements);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &st->db, flags, NULL) != SQLITE_OK) {
        err_ignore(fail_sqlite(op, st, "open the state store")); /* prefixed and returned below */
        op_note_prefix(op, "\"%s\": ", path);
        store_close(st);
        return ERR_IO;
    }
    enum err e = prepare_file(op, st);
    if (e != ERR_OK) {
        store_close(st);
        return e;
    }
    *ret_store = st;
    return ERR_OK;
}

static void drop_after(struct store *st)
{
    LIST_FOR (a, &st->after, struct after, link) {
        list_remove(&a->link);
        mem_free(a->key_ptr);
        mem_free(a);
    }
}

void store_close(struct store *st)
{
    if (st == NULL) {
        return;
    }
    CHECK(st->depth == 0);
    drop_after(st);
    LIST_FOR (s, &st->statement_list, struct statement, link) {
        (void)sqlite3_finalize(s->prepared);
        list_remove(&s->link);
        mem_free(s);
    }
    map_fini(&st->statements);
    (void)sqlite3_close(st->db);
    mem_free(st);
}

/* ---- statements ---- */

static struct str literal_key(const char *const *literal)
{
    return str_make((const char *)literal, sizeof(*literal));
}

static enum err find_statement(struct op *op, struct store *st, const char *sql,
                               struct statement **ret)
{
    struct statement *s = map_find(&st->statements, literal_key(&sql));
    if (s == NULL) {
        sqlite3_stmt *prepared = NULL;
        if (sqlite3_prepare_v3(st->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &prepared, NULL) !=
            SQLITE_OK) {
            return fail_sqlite(op, st, "prepare a statement");
        }
        s = MEM_NEW(struct statement);
        s->sql = sql;
        s->prepared = prepared;
        list_add_tail(&st->statement_list, &s->link);
        (void)map_put(&st->statements, literal_key(&sql), s);
    }
    CHECK(!s->is_busy); /* a statement is not used inside its own loop */
    *ret = s;
    return ERR_OK;
}

enum err store_query_begin(struct op *op, struct store *st, const char *sql_literal,
                           struct store_query *ret_query)
{
    struct statement *s = NULL;
    TRY(find_statement(op, st, sql_literal, &s));
    s->is_busy = true;
    *ret_query = (struct store_query){.st = st, .statement = s, .next_bind = 1};
    return ERR_OK;
}

static sqlite3_stmt *prepared_of(const struct store_query *q)
{
    const struct statement *s = q->statement;
    CHECK(s != NULL);
    return s->prepared;
}

void store_query_fini(struct store_query *q)
{
    struct statement *s = q->statement;
    if (s != NULL) {
        (void)sqlite3_reset(s->prepared);
        (void)sqlite3_clear_bindings(s->prepared);
        s->is_busy = false;
        q->statement = NULL;
    }
}

void store_bind_i64(struct store_query *q, int64_t value)
{
    CHECK(sqlite3_bind_int64(prepared_of(q), q->next_bind++, value) == SQLITE_OK);
}

void store_bind_f64(struct store_query *q, double value)
{
    CHECK(sqlite3_bind_double(prepared_of(q), q->next_bind++, value) == SQLITE_OK);
}

void store_bind_str(struct store_query *q, struct str value)
{
    CHECK(value.len <= STORE_ROW_BYTES_MAX * 16);
    CHECK(sqlite3_bind_text(prepared_of(q), q->next_bind++, value.ptr == NULL ? "" : value.ptr,
                            (int)value.len,
                            SQLITE_TRANSIENT) ==
          SQLITE_OK); // NOLINT(performance-no-int-to-ptr): SQLite's constant
}

void store_bind_blob(struct store_query *q, struct str value)
{
    CHECK(value.len <= STORE_ROW_BYTES_MAX * 16);
    CHECK(sqlite3_bind_blob(prepared_of(q), q->next_bind++, value.ptr == NULL ? "" : value.ptr,
                            (int)value.len,
                            SQLITE_TRANSIENT) ==
          SQLITE_OK); // NOLINT(performance-no-int-to-ptr): SQLite's constant
}

enum err store_step(struct op *op, struct store_query *q, bool *ret_has_row)
{
    int code = sqlite3_step(prepared_of(q));
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        return fail_sqlite(op, q->st, "read or write the state");
    }
    *ret_has_row = code == SQLITE_ROW;
    return ERR_OK;
}

enum err store_run(struct op *op, struct store_query *q)
{
    bool has_row = false;
    TRY(store_step(op, q, &has_row));
    CHECK(!has_row);
    return ERR_OK;
}

int64_t store_column_i64(const struct store_query *q, int column)
{
    return sqlite3_column_int64(prepared_of(q), column);
}

double store_column_f64(const struct store_query *q, int column)
{
    return sqlite3_column_double(prepared_of(q), column);
}

struct str store_column_str(const struct store_query *q, int column)
{
    const void *bytes = sqlite3_column_blob(prepared_of(q), column);
    int len = sqlite3_column_bytes(prepared_of(q), column);
    return str_make(bytes == NULL ? "" : bytes, (size_t)len);
}

enum err store_add_schema(struct op *op, struct store *st, const char *own_schema)
{
    CHECK(st->depth == 0);
    return run_text(op, st, own_schema, "make the tables of a service");
}

/* ---- transactions ---- */

enum err store_tx_begin(struct op *op, struct store *st, struct store_tx *ret_tx)
{
    if (st->depth == 0) {
        TRY(run_text(op, st, "BEGIN IMMEDIATE", "begin a transaction"));
        st->is_spoiled = false;
    }
    *ret_tx = (struct store_tx){.st = st, .is_outermost = st->depth == 0};
    st->depth++;
    return ERR_OK;
}

/* What runs after a commit may ask for more, and may begin transactions of its own. */
static void run_after(struct store *st)
{
    while (st->depth == 0 && !list_is_empty(&st->after)) {
        struct after *a = CONTAINER_OF(st->after.next, struct after, link);
        list_remove(&a->link);
        a->fn(a->self, str_make(a->key_ptr, a->key_len));
        mem_free(a->key_ptr);
        mem_free(a);
    }
}

static void roll_back(struct store *st)
{
    if (sqlite3_get_autocommit(st->db) == 0) {
        (void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
    }
    drop_after(st);
}

enum err store_tx_commit(struct op *op, struct store_tx *tx)
{
    struct store *st = tx->st;
    CHECK(st != NULL);
    CHECK(tx->is_outermost == (st->depth == 1));
    tx->st = NULL;
    st->depth--;
    if (!tx->is_outermost) {
        return ERR_OK;
    }
    if (st->is_spoiled) {
        roll_back(st);
        return op_fail(op, ERR_STATE,
                       "a part of the transaction failed, so nothing of it was written");
    }
    FAULT_POINT("store.before_commit");
    enum err e = run_text(op, st, "COMMIT", "write the state");
    if (e != ERR_OK) {
        roll_back(st);
        return e;
    }
    FAULT_POINT("store.after_commit");
    run_after(st);
    return ERR_OK;
}

void store_tx_fini(struct store_tx *tx)
{
    struct store *st = tx->st;
    if (st == NULL) {
        return;
    }
    tx->st = NULL;
    st->depth--;
    st->is_spoiled = true;
    if (tx->is_outermost) {
        CHECK(st->depth == 0);
        roll_back(st);
    }
}

void store_after_commit(struct store *st, store_after_fn fn, void *self, struct str key)
{
    if (st->depth == 0) {
        fn(self, key);
        return;
    }
    LIST_FOR (known, &st->after, struct after, link) {
        if (known->fn == fn && known->self == self &&
            str_equal(str_make(known->key_ptr, known->key_len), key)) {
            return;
        }
    }
    struct after *a = MEM_NEW(struct after);
    a->fn = fn;
    a->self = self;
    a->key_ptr = mem_dup(key.ptr, key.len);
    a->key_len = key.len;
    list_add_tail(&st->after, &a->link);
}
