#include "svc/cloudwatch/metrics.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "store/store.h"
#include "svc/cloudwatch/limits.h"
#include "svc/cloudwatch/metrics_rows.h"
#include "svc/cloudwatch/ticks.h"

#include <stdlib.h>

static const struct {
    int64_t period;
    int64_t kept_ticks;
} lane_rules[CW_LANE_COUNT] = {
    [CW_LANE_1] = {1, 15 * 60},
    [CW_LANE_10] = {10, 3 * 3600},
    [CW_LANE_60] = {60, 24 * 3600},
};

int64_t cw_lane_period(enum cw_lane_index lane)
{
    return lane_rules[lane].period;
}

/* ---- names ----------------------------------------------------------------------------------- */

static int compare_dimensions(const void *left, const void *right)
{
    const struct cloudwatch_dimension *a = left;
    const struct cloudwatch_dimension *b = right;
    int order = str_compare(a->name, b->name);
    return order != 0 ? order : str_compare(a->value, b->value);
}

static struct cloudwatch_dimension *sorted_dimensions(struct arena *a,
                                                      const struct cw_metric_name *name)
{
    struct cloudwatch_dimension *sorted =
        ARENA_ARRAY(a, struct cloudwatch_dimension, name->dimension_count + 1);
    for (size_t i = 0; i < name->dimension_count; i++) {
        sorted[i] = name->dimensions[i];
    }
    qsort(sorted, name->dimension_count, sizeof(*sorted), compare_dimensions);
    return sorted;
}

/* Lengths before texts, so that no name can look like another one. */
static struct str key_of(struct arena *a, const struct cw_metric_name *name)
{
    struct cloudwatch_dimension *sorted = sorted_dimensions(a, name);
    auto_buf struct buf key = {0};
    buf_init(&key, 1 << 16);
    buf_addf(&key, "%.*s|%zu:%.*s|%zu:%.*s", STR_ARG(name->region), name->namespace.len,
             STR_ARG(name->namespace), name->name.len, STR_ARG(name->name));
    for (size_t i = 0; i < name->dimension_count; i++) {
        buf_addf(&key, "|%zu:%.*s=%zu:%.*s", sorted[i].name.len, STR_ARG(sorted[i].name),
                 sorted[i].value.len, STR_ARG(sorted[i].value));
    }
    CHECK(!key.is_overflown);
    return arena_str(a, buf_str(&key));
}

static bool is_balancers(struct str namespace)
{
    return STR_IS(namespace, "AWS/ApplicationELB") || STR_IS(namespace, "AWS/NetworkELB");
}

/* The name without AvailabilityZone; false when it has none or is not a load balancer's. */
static bool without_zone(struct arena *a, const struct cw_metric_name *name,
                         struct cw_metric_name *ret)
{
    struct cloudwatch_dimension *kept =
        ARENA_ARRAY(a, struct cloudwatch_dimension, name->dimension_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < name->dimension_count; i++) {
        if (!STR_IS(name->dimensions[i].name, "AvailabilityZone")) {
            kept[count++] = name->dimensions[i];
        }
    }
    if (count == name->dimension_count || !is_balancers(name->namespace)) {
        return false;
    }
    *ret = *name;
    ret->dimensions = kept;
    ret->dimension_count = count;
    return true;
}

static struct cw_metric *find_exact(struct op *op, const struct cw_metrics *m,
                                    const struct cw_metric_name *name)
{
    struct cw_metric *found = map_find(&m->by_name, key_of(&op->arena, name));
    if (found == NULL && name->region.len > 0) {
        struct cw_metric_name everywhere = *name;
        everywhere.region = STR("");
        found = map_find(&m->by_name, key_of(&op->arena, &everywhere));
    }
    return found;
}

struct cw_metric *cw_metrics_find(struct op *op, const struct cw_metrics *m,
                                  const struct cw_metric_name *name)
{
    struct cw_metric *found = find_exact(op, m, name);
    struct cw_metric_name zoneless = {0};
    if (found == NULL && without_zone(&op->arena, name, &zoneless)) {
        found = find_exact(op, m, &zoneless);
    }
    return found;
}

/* ---- the table ------------------------------------------------------------------------------- */

static struct cw_metric *add_metric(struct op *op, struct cw_metrics *m,
                                    const struct cw_metric_name *name,
                                    enum cloudwatch_standard_unit unit)
{
    struct cw_metric *metric = MEM_NEW(struct cw_metric);
    arena_init(&metric->arena);
    struct arena *a = &metric->arena;
    struct cloudwatch_dimension *dimensions = sorted_dimensions(a, name);
    for (size_t i = 0; i < name->dimension_count; i++) {
        dimensions[i].name = arena_str(a, dimensions[i].name);
        dimensions[i].value = arena_str(a, dimensions[i].value);
    }
    metric->name = (struct cw_metric_name){
        .region = arena_str(a, name->region),
        .namespace = arena_str(a, name->namespace),
        .name = arena_str(a, name->name),
        .dimensions = dimensions,
        .dimension_count = name->dimension_count,
    };
    metric->unit = unit;
    metric->last_tick = INT64_MIN;
    int64_t now_tick = cw_tick_of(op->now);
    for (size_t i = 0; i < CW_LANE_COUNT; i++) {
        metric->lanes[i].floor_tick =
            cw_tick_floor(now_tick - lane_rules[i].kept_ticks, lane_rules[i].period);
    }
    list_init(&metric->dirty_node);

    struct str key = key_of(&op->arena, &metric->name);
    metric->next_unit = map_find(&m->by_name, key);
    (void)map_put(&m->by_name, key, metric);
    if (m->count == m->capacity) {
        m->capacity = m->capacity == 0 ? 64 : m->capacity * 2;
        m->items = mem_resize(m->items, m->capacity * sizeof(struct cw_metric *));
    }
    m->items[m->count++] = metric;
    return metric;
}

enum err cw_metrics_want(struct op *op, struct cw_metrics *m, const struct cw_metric_name *name,
                         enum cloudwatch_standard_unit unit, struct cw_metric **ret)
{
    struct cw_metric *metric = map_find(&m->by_name, key_of(&op->arena, name));
    while (metric != NULL && metric->unit != unit) {
        metric = metric->next_unit;
    }
    if (metric == NULL) {
        if (m->count >= CW_METRICS_MAX) {
            return op_fail_as(op, ERR_LIMIT, &cloudwatch_error_limit_exceeded_fault,
                              "The maximum number of metrics (%d) has been reached.",
                              CW_METRICS_MAX);
        }
        metric = add_metric(op, m, name, unit);
    }
    *ret = metric;
    return ERR_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void mark_dirty(struct cw_metrics *m, struct cw_metric *metric)
{
    if (!metric->is_dirty) {
        metric->is_dirty = true;
        list_add_tail(&m->dirty, &metric->dirty_node);
    }
}

static bool is_stored(const struct cw_metric *metric, enum cw_lane_index lane)
{
    return lane == CW_LANE_60 || (lane == CW_LANE_10 && metric->is_high_resolution);
}

enum err cw_metrics_add(struct op *op, struct cw_metrics *m, const struct cw_metric_name *name,
                        enum cloudwatch_standard_unit unit, bool is_high_resolution, int64_t tick,
                        const struct cw_bucket *bucket)
{
    struct cw_metric *metric = NULL;
    TRY(cw_metrics_want(op, m, name, unit, &metric));
    metric->is_high_resolution = metric->is_high_resolution || is_high_resolution;
    for (enum cw_lane_index i = CW_LANE_1; i < CW_LANE_COUNT; i++) {
        struct cw_lane *lane = &metric->lanes[i];
        int64_t start = cw_tick_floor(tick, lane_rules[i].period);
        bool is_late = start < lane->floor_tick;
        if (is_late && !is_stored(metric, i)) {
            continue;
        }
        bool is_new = false;
        enum err e = ERR_OK;
        struct cw_lane_slot *slot = cw_lane_slot(lane, start, &is_new);
        if (is_new && is_late) {
            e = cw_rows_load_slot(op, m, metric, lane_rules[i].period, slot);
        }
        TRY(e);
        cw_bucket_merge(&slot->bucket, bucket);
        slot->is_dirty = is_stored(metric, i);
    }
    if (tick > metric->last_tick) {
        metric->last_tick = tick;
    }
    mark_dirty(m, metric);
    return ERR_OK;
}

void cw_metric_trim(struct cw_metric *metric, int64_t now_tick)
{
    for (size_t i = 0; i < CW_LANE_COUNT; i++) {
        cw_lane_trim(&metric->lanes[i],
                     cw_tick_floor(now_tick - lane_rules[i].kept_ticks, lane_rules[i].period));
    }
}

static enum err write_lane(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                           enum cw_lane_index index)
{
    const struct cw_lane *lane = &metric->lanes[index];
    for (size_t i = 0; i < lane->count; i++) {
        if (!lane->items[i].is_dirty) {
            continue;
        }
        TRY(cw_rows_save_slot(op, m, metric, lane_rules[index].period, &lane->items[i]));
    }
    return ERR_OK;
}

static enum err write_metric(struct op *op, struct cw_metrics *m, struct cw_metric *metric)
{
    TRY(cw_rows_save_metric(op, m, metric));
    TRY(write_lane(op, m, metric, CW_LANE_10));
    return write_lane(op, m, metric, CW_LANE_60);
}

static void mark_clean(struct cw_metric *metric)
{
    for (size_t i = 0; i < CW_LANE_COUNT; i++) {
        for (size_t s = 0; s < metric->lanes[i].count; s++) {
            metric->lanes[i].items[s].is_dirty = false;
        }
    }
    metric->is_dirty = false;
    list_remove(&metric->dirty_node);
}

enum err cw_metrics_flush(struct op *op, struct cw_metrics *m, int64_t now_tick, cw_also_fn also,
                          void *also_self)
{
    if (list_is_empty(&m->dirty)) {
        return ERR_OK;
    }
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, m->store, &tx));
    LIST_FOR (metric, &m->dirty, struct cw_metric, dirty_node) {
        enum err e = write_metric(op, m, metric);
        if (e != ERR_OK) {
            cw_rows_forget_new(m);
            return e;
        }
    }
    enum err e = also == NULL ? ERR_OK : also(op, also_self);
    if (e == ERR_OK) {
        e = store_tx_commit(op, &tx);
    }
    if (e != ERR_OK) {
        cw_rows_forget_new(m);
        return e;
    }
    LIST_FOR (metric, &m->dirty, struct cw_metric, dirty_node) {
        metric->is_row_new = false;
        mark_clean(metric);
        cw_metric_trim(metric, now_tick);
    }
    return ERR_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The coarsest windows of which those of the range are made. */
static enum cw_lane_index lane_for(const struct cw_window_range *range)
{
    for (enum cw_lane_index i = CW_LANE_60; i > CW_LANE_1; i--) {
        if (range->period % lane_rules[i].period == 0 &&
            range->from_tick % lane_rules[i].period == 0) {
            return i;
        }
    }
    return CW_LANE_1;
}

static void read_lane(const struct cw_lane *lane, const struct cw_window_range *range,
                      struct cw_bucket *buckets)
{
    int64_t to_tick = range->from_tick + range->period * (int64_t)range->count;
    size_t i = cw_lane_find(lane, range->from_tick);
    for (; i < lane->count && lane->items[i].tick < to_tick; i++) {
        size_t window = (size_t)((lane->items[i].tick - range->from_tick) / range->period);
        cw_bucket_merge(&buckets[window], &lane->items[i].bucket);
    }
}

enum err cw_metrics_read(struct op *op, struct cw_metrics *m, const struct cw_metric *metric,
                         enum cloudwatch_standard_unit unit, const struct cw_window_range *range,
                         struct cw_bucket *buckets)
{
    CHECK(range->period >= 1);
    CHECK(range->count <= CW_GRID_MAX);
    enum cw_lane_index lane = lane_for(range);
    for (const struct cw_metric *one = metric; one != NULL; one = one->next_unit) {
        if (unit != CLOUDWATCH_STANDARD_UNIT_UNSET && one->unit != unit) {
            continue;
        }
        read_lane(&one->lanes[lane], range, buckets);
        bool is_whole = lane != CW_LANE_60 || range->from_tick >= one->lanes[lane].floor_tick;
        TRY(is_whole ? ERR_OK : cw_rows_read(op, m, one, range, buckets));
    }
    return ERR_OK;
}

void cw_buckets_fini(struct cw_bucket *buckets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cw_bucket_fini(&buckets[i]);
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

enum err cw_metrics_open(struct op *op, struct store *st, struct cw_metrics *m)
{
    *m = (struct cw_metrics){.store = st};
    map_init(&m->by_name);
    list_init(&m->dirty);
    return cw_rows_load(op, m);
}

static void free_metrics(struct cw_metrics *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct cw_metric *metric = m->items[i];
        for (size_t l = 0; l < CW_LANE_COUNT; l++) {
            cw_lane_fini(&metric->lanes[l]);
        }
        arena_fini(&metric->arena);
        mem_free(metric);
    }
    m->count = 0;
    m->expire_next = 0;
    list_init(&m->dirty);
}

void cw_metrics_fini(struct cw_metrics *m)
{
    free_metrics(m);
    mem_free(m->items);
    map_fini(&m->by_name);
    *m = (struct cw_metrics){0};
}

enum err cw_metrics_reset(struct op *op, struct cw_metrics *m)
{
    TRY(cw_rows_remove_all(op, m));
    free_metrics(m);
    map_fini(&m->by_name);
    map_init(&m->by_name);
    return ERR_OK;
}
