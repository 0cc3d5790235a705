#include "svc/cloudwatch/metrics_rows.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "store/store.h"
#include "svc/cloudwatch/limits.h"
#include "svc/cloudwatch/ticks.h"

#include <math.h>

#define EXPIRE_METRICS_MAX 50  /* metrics looked at in one call */
#define EXPIRE_ROWS_MAX    500 /* rows rolled up of one metric in one call */

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS cw_metric ("
    " id INTEGER PRIMARY KEY, region TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,"
    " dimensions BLOB NOT NULL, unit INTEGER NOT NULL, is_high_resolution INTEGER NOT NULL,"
    " last_us INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS cw_datapoint ("
    " metric INTEGER NOT NULL, period INTEGER NOT NULL, at_us INTEGER NOT NULL,"
    " samples REAL NOT NULL, sum REAL NOT NULL, minimum REAL NOT NULL, maximum REAL NOT NULL,"
    " pairs BLOB NOT NULL, PRIMARY KEY (metric, period, at_us)) WITHOUT ROWID;";

/* ---- buckets --------------------------------------------------------------------------------- */

static struct str pairs_text(const struct cw_bucket *b)
{
    return str_make((const char *)b->pairs, b->pair_count * sizeof(*b->pairs));
}

static void bind_bucket(struct store_query *q, const struct cw_bucket *b)
{
    store_bind_f64(q, b->sample_count);
    store_bind_f64(q, b->sum);
    store_bind_f64(q, b->minimum);
    store_bind_f64(q, b->maximum);
    store_bind_blob(q, b->has_values ? pairs_text(b) : STR(""));
}

/* Columns from `first` on. A row that makes no sense (a damaged file) is passed over. */
static void merge_row(const struct store_query *q, int first, struct cw_bucket *into)
{
    double samples = store_column_f64(q, first);
    double sum = store_column_f64(q, first + 1);
    double minimum = store_column_f64(q, first + 2);
    double maximum = store_column_f64(q, first + 3);
    struct str pairs = store_column_str(q, first + 4);
    bool is_sound = samples > 0 && isfinite(sum) && minimum <= maximum &&
                    pairs.len % sizeof(struct cw_pair) == 0 &&
                    pairs.len / sizeof(struct cw_pair) <= CW_PAIRS_MAX;
    if (!is_sound) {
        return;
    }
    struct cw_pair items[CW_PAIRS_MAX] = {0};
    struct cw_bucket b = {
        .sample_count = samples,
        .sum = sum,
        .minimum = minimum,
        .maximum = maximum,
        .has_values = pairs.len > 0,
        .pairs = items,
        .pair_count = pairs.len / sizeof(struct cw_pair),
    };
    memcpy(items, pairs.ptr, pairs.len);
    for (size_t i = 0; i < b.pair_count; i++) {
        if (!isfinite(items[i].value) || !(items[i].count > 0) ||
            (i > 0 && items[i - 1].value >= items[i].value)) {
            return;
        }
    }
    cw_bucket_merge(into, &b);
}

/* ---- writing --------------------------------------------------------------------------------- */

static struct str dimensions_text(struct arena *a, const struct cw_metric_name *name)
{
    auto_buf struct buf b = {0};
    buf_init(&b, 1 << 16);
    for (size_t i = 0; i < name->dimension_count; i++) {
        buf_add(&b, name->dimensions[i].name);
        buf_add_char(&b, '\0');
        buf_add(&b, name->dimensions[i].value);
        buf_add_char(&b, '\0');
    }
    CHECK(!b.is_overflown);
    return arena_str(a, buf_str(&b));
}

enum err cw_rows_save_metric(struct op *op, struct cw_metrics *m, struct cw_metric *metric)
{
    auto_query struct store_query q = {0};
    int64_t last_us = cw_tick_start(metric->last_tick).us;
    if (metric->row_id != 0) {
        TRY(store_query_begin(
            op, m->store,
            "UPDATE cw_metric SET is_high_resolution = ?1, last_us = ?2 WHERE id = ?3", &q));
        store_bind_i64(&q, metric->is_high_resolution);
        store_bind_i64(&q, last_us);
        store_bind_i64(&q, metric->row_id);
        return store_run(op, &q);
    }
    TRY(store_query_begin(op, m->store,
                          "INSERT INTO cw_metric (region, namespace, name, dimensions, unit,"
                          " is_high_resolution, last_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
                          " RETURNING id",
                          &q));
    store_bind_str(&q, metric->name.region);
    store_bind_str(&q, metric->name.namespace);
    store_bind_str(&q, metric->name.name);
    store_bind_blob(&q, dimensions_text(&op->arena, &metric->name));
    store_bind_i64(&q, metric->unit);
    store_bind_i64(&q, metric->is_high_resolution);
    store_bind_i64(&q, last_us);
    bool has_row = false;
    TRY(store_step(op, &q, &has_row));
    CHECK(has_row);
    metric->row_id = store_column_i64(&q, 0);
    metric->is_row_new = true;
    return store_step(op, &q, &has_row);
}

void cw_rows_forget_new(struct cw_metrics *m)
{
    LIST_FOR (metric, &m->dirty, struct cw_metric, dirty_node) {
        if (metric->is_row_new) {
            metric->row_id = 0;
            metric->is_row_new = false;
        }
    }
}

static enum err save_bucket(struct op *op, struct cw_metrics *m, int64_t metric_id, int64_t period,
                            int64_t at_us, const struct cw_bucket *b)
{
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, m->store,
                          "INSERT OR REPLACE INTO cw_datapoint (metric, period, at_us, samples,"
                          " sum, minimum, maximum, pairs) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                          &q));
    store_bind_i64(&q, metric_id);
    store_bind_i64(&q, period);
    store_bind_i64(&q, at_us);
    bind_bucket(&q, b);
    return store_run(op, &q);
}

enum err cw_rows_save_slot(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                           int64_t period, const struct cw_lane_slot *slot)
{
    return save_bucket(op, m, metric->row_id, period, cw_tick_start(slot->tick).us, &slot->bucket);
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum err begin_read(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                           int64_t period, int64_t from_us, int64_t to_us, struct store_query *q)
{
    TRY(store_query_begin(op, m->store,
                          "SELECT at_us, samples, sum, minimum, maximum, pairs FROM cw_datapoint"
                          " WHERE metric = ?1 AND period = ?2 AND at_us >= ?3 AND at_us < ?4"
                          " ORDER BY at_us",
                          q));
    store_bind_i64(q, metric->row_id);
    store_bind_i64(q, period);
    store_bind_i64(q, from_us);
    store_bind_i64(q, to_us);
    return ERR_OK;
}

enum err cw_rows_load_slot(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                           int64_t period, struct cw_lane_slot *slot)
{
    if (metric->row_id == 0) {
        return ERR_OK;
    }
    auto_query struct store_query q = {0};
    TRY(begin_read(op, m, metric, period, cw_tick_start(slot->tick).us,
                   cw_tick_start(slot->tick + period).us, &q));
    bool has_row = false;
    for (;;) {
        TRY(store_step(op, &q, &has_row));
        if (!has_row) {
            return ERR_OK;
        }
        merge_row(&q, 1, &slot->bucket);
    }
}

static enum err read_period(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                            int64_t period, const struct cw_window_range *range,
                            struct cw_bucket *buckets)
{
    const struct cw_lane *lane = &metric->lanes[CW_LANE_60];
    int64_t to_tick = range->from_tick + range->period * (int64_t)range->count;
    if (to_tick > lane->floor_tick) {
        to_tick = lane->floor_tick;
    }
    auto_query struct store_query q = {0};
    TRY(begin_read(op, m, metric, period, cw_tick_start(range->from_tick).us,
                   cw_tick_start(to_tick).us, &q));
    bool has_row = false;
    for (;;) {
        TRY(store_step(op, &q, &has_row));
        if (!has_row) {
            return ERR_OK;
        }
        int64_t tick = cw_tick_of((wall_t){.us = store_column_i64(&q, 0)});
        size_t at = cw_lane_find(lane, cw_tick_floor(tick, period));
        /* a late window that is still to be written holds what the row has, and more */
        bool is_in_memory = at < lane->count && lane->items[at].tick == tick;
        if (!is_in_memory) {
            merge_row(&q, 1, &buckets[(tick - range->from_tick) / range->period]);
        }
    }
}

enum err cw_rows_read(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                      const struct cw_window_range *range, struct cw_bucket *buckets)
{
    static const int64_t periods[] = {60, 300, 3600};
    for (size_t i = 0; i < ARRAY_COUNT(periods) && metric->row_id != 0; i++) {
        bool is_made_of = range->period % periods[i] == 0;
        TRY(is_made_of ? read_period(op, m, metric, periods[i], range, buckets) : ERR_OK);
    }
    return ERR_OK;
}

/* ---- at start -------------------------------------------------------------------------------- */

static enum err load_lane(struct op *op, struct cw_metrics *m, struct cw_metric *metric,
                          enum cw_lane_index index)
{
    struct cw_lane *lane = &metric->lanes[index];
    auto_query struct store_query q = {0};
    TRY(begin_read(op, m, metric, cw_lane_period(index), cw_tick_start(lane->floor_tick).us,
                   INT64_MAX, &q));
    bool has_row = false;
    for (;;) {
        TRY(store_step(op, &q, &has_row));
        if (!has_row) {
            return ERR_OK;
        }
        bool is_new = false;
        int64_t tick = cw_tick_of((wall_t){.us = store_column_i64(&q, 0)});
        struct cw_lane_slot *slot =
            cw_lane_slot(lane, cw_tick_floor(tick, cw_lane_period(index)), &is_new);
        merge_row(&q, 1, &slot->bucket);
    }
}

static bool take_text(struct str *rest, struct str *ret)
{
    size_t end = str_find_char(*rest, '\0', 0);
    if (end == STR_NOT_FOUND) {
        return false;
    }
    *ret = str_slice(*rest, 0, end);
    *rest = str_from(*rest, end + 1);
    return true;
}

static enum err load_metric(struct op *op, struct cw_metrics *m, const struct store_query *q)
{
    struct cloudwatch_dimension dimensions[CW_DIMENSIONS_MAX] = {0};
    struct cw_metric_name name = {
        .region = store_column_str(q, 1),
        .namespace = store_column_str(q, 2),
        .name = store_column_str(q, 3),
        .dimensions = dimensions,
    };
    struct str rest = store_column_str(q, 4);
    while (name.dimension_count < CW_DIMENSIONS_MAX &&
           take_text(&rest, &dimensions[name.dimension_count].name) &&
           take_text(&rest, &dimensions[name.dimension_count].value)) {
        name.dimension_count++;
    }
    int64_t unit = store_column_i64(q, 5);
    if (unit < 0 || unit > CLOUDWATCH_STANDARD_UNIT_NONE) {
        unit = CLOUDWATCH_STANDARD_UNIT_NONE;
    }
    struct cw_metric *metric = NULL;
    TRY(cw_metrics_want(op, m, &name, (enum cloudwatch_standard_unit)unit, &metric));
    metric->row_id = store_column_i64(q, 0);
    metric->is_high_resolution = store_column_i64(q, 6) != 0;
    metric->last_tick = cw_tick_of((wall_t){.us = store_column_i64(q, 7)});
    return ERR_OK;
}

static enum err load_metrics(struct op *op, struct cw_metrics *m)
{
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, m->store,
                          "SELECT id, region, namespace, name, dimensions, unit,"
                          " is_high_resolution, last_us FROM cw_metric ORDER BY id",
                          &q));
    bool has_row = false;
    for (;;) {
        TRY(store_step(op, &q, &has_row));
        if (!has_row) {
            return ERR_OK;
        }
        TRY(load_metric(op, m, &q));
    }
}

enum err cw_rows_load(struct op *op, struct cw_metrics *m)
{
    TRY(store_add_schema(op, m->store, schema));
    TRY(load_metrics(op, m));
    for (size_t i = 0; i < m->count; i++) {
        TRY(load_lane(op, m, m->items[i], CW_LANE_60));
        TRY(load_lane(op, m, m->items[i], CW_LANE_10));
    }
    return ERR_OK;
}

enum err cw_rows_remove_all(struct op *op, struct cw_metrics *m)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, m->store, &tx));
    auto_query struct store_query points = {0};
    TRY(store_query_begin(op, m->store, "DELETE FROM cw_datapoint", &points));
    TRY(store_run(op, &points));
    auto_query struct store_query metrics = {0};
    TRY(store_query_begin(op, m->store, "DELETE FROM cw_metric", &metrics));
    TRY(store_run(op, &metrics));
    return store_tx_commit(op, &tx);
}

/* ---- growing old ----------------------------------------------------------------------------- */

static const struct {
    int64_t period;
    int64_t kept_ticks;
    int64_t into_period; /* 0: dropped */
} ageing[] = {
    {10, 3 * 3600, 0},
    {60, 15 * 86400, 300},
    {300, 63 * 86400, 3600},
    {3600, 455 * 86400, 0},
};

static enum err drop_before(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                            int64_t period, int64_t before_us)
{
    auto_query struct store_query q = {0};
    TRY(store_query_begin(
        op, m->store, "DELETE FROM cw_datapoint WHERE metric = ?1 AND period = ?2 AND at_us < ?3",
        &q));
    store_bind_i64(&q, metric->row_id);
    store_bind_i64(&q, period);
    store_bind_i64(&q, before_us);
    return store_run(op, &q);
}

/* Merges the window of `into` ticks that starts at `tick` out of its parts, into what is there. */
static enum err roll_window(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                            int64_t period, int64_t into, int64_t tick)
{
    struct cw_lane_slot slot = {.tick = tick};
    auto_query struct store_query q = {0};
    TRY(cw_rows_load_slot(op, m, metric, into, &slot));
    enum err e = begin_read(op, m, metric, period, cw_tick_start(tick).us,
                            cw_tick_start(tick + into).us, &q);
    bool has_row = e == ERR_OK;
    while (e == ERR_OK && has_row) {
        e = store_step(op, &q, &has_row);
        if (e == ERR_OK && has_row) {
            merge_row(&q, 1, &slot.bucket);
        }
    }
    if (e == ERR_OK && slot.bucket.sample_count > 0) {
        e = save_bucket(op, m, metric->row_id, into, cw_tick_start(tick).us, &slot.bucket);
    }
    cw_bucket_fini(&slot.bucket);
    return e;
}

/* The start of the oldest row before a moment; false when there is none. */
static enum err oldest_row(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                           int64_t period, int64_t before_us, bool *ret_has, int64_t *ret_tick)
{
    auto_query struct store_query q = {0};
    TRY(begin_read(op, m, metric, period, INT64_MIN, before_us, &q));
    TRY(store_step(op, &q, ret_has));
    if (*ret_has) {
        *ret_tick = cw_tick_of((wall_t){.us = store_column_i64(&q, 0)});
    }
    return ERR_OK;
}

static enum err age_period(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                           size_t rule, int64_t now_tick)
{
    int64_t period = ageing[rule].period;
    int64_t into = ageing[rule].into_period;
    int64_t before = cw_tick_floor(now_tick - ageing[rule].kept_ticks, into == 0 ? period : into);
    if (into == 0) {
        return drop_before(op, m, metric, period, cw_tick_start(before).us);
    }
    for (size_t i = 0; i < EXPIRE_ROWS_MAX; i++) {
        bool has_row = false;
        int64_t tick = 0;
        TRY(oldest_row(op, m, metric, period, cw_tick_start(before).us, &has_row, &tick));
        if (!has_row) {
            return ERR_OK;
        }
        int64_t start = cw_tick_floor(tick, into);
        TRY(roll_window(op, m, metric, period, into, start));
        TRY(drop_before(op, m, metric, period, cw_tick_start(start + into).us));
    }
    return ERR_OK;
}

static enum err age_metric(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                           int64_t now_tick)
{
    for (size_t rule = 0; rule < ARRAY_COUNT(ageing) && metric->row_id != 0; rule++) {
        TRY(age_period(op, m, metric, rule, now_tick));
    }
    return ERR_OK;
}

enum err cw_metrics_expire(struct op *op, struct cw_metrics *m, int64_t now_tick)
{
    if (m->count == 0) {
        return ERR_OK;
    }
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, m->store, &tx));
    for (size_t i = 0; i < EXPIRE_METRICS_MAX && i < m->count; i++) {
        struct cw_metric *metric = m->items[m->expire_next++ % m->count];
        cw_metric_trim(metric, now_tick);
        TRY(age_metric(op, m, metric, now_tick));
    }
    FAULT_POINT("cloudwatch.expire.before-commit");
    return store_tx_commit(op, &tx);
}
