#include "svc/cloudwatch/engine.h"

#include "base/check.h"
#include "base/mem.h"
#include "store/store.h"
#include "svc/cloudwatch/engine_put.h"
#include "svc/cloudwatch/ticks.h"

/* Zeroed: a slot that was free. */
struct cw_engine_slot {
    bool is_used;
    struct lbstats_reading *before;
    struct cw_minute minute;
};

/* ---- opening --------------------------------------------------------------------------------- */

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS cw_counter ("
    " load_balancer TEXT NOT NULL, target_group TEXT NOT NULL, counters BLOB NOT NULL,"
    " PRIMARY KEY (load_balancer, target_group)) WITHOUT ROWID;";

/* What is kept of a reading. */
struct kept {
    uint64_t counters[LBSTATS_COUNTER_COUNT];
    uint64_t response_count;
    uint64_t response_sum_us;
};

static bool is_behind(const struct lbstats_reading *now, const struct kept *kept)
{
    for (size_t c = 0; c < LBSTATS_COUNTER_COUNT; c++) {
        if (lbstats_meanings[c].kind != LBSTATS_GAUGE && now->counters[c] < kept->counters[c]) {
            return true;
        }
    }
    return now->response_time.count < kept->response_count;
}

/* Totals only grow while the memory lives: one that is lower than what was kept is of a new memory,
 * and then everything in it is news. */
static void start_from(const struct lbstats_reading *now, const struct kept *kept,
                       struct lbstats_reading *before)
{
    *before = (struct lbstats_reading){.incarnation = now->incarnation};
    if (is_behind(now, kept)) {
        return;
    }
    memcpy(before->counters, kept->counters, sizeof(before->counters));
    before->response_time = now->response_time;
}

static enum err load_slot(struct op *op, struct store *st, const struct lbstats_name *name,
                          struct kept *ret)
{
    auto_query struct store_query q = {0};
    bool has_row = false;
    TRY(store_query_begin(op, st,
                          "SELECT counters FROM cw_counter WHERE load_balancer = ?1"
                          " AND target_group = ?2",
                          &q));
    store_bind_str(&q, str_of(name->load_balancer));
    store_bind_str(&q, str_of(name->target_group));
    TRY(store_step(op, &q, &has_row));
    struct str bytes = has_row ? store_column_str(&q, 0) : STR("");
    if (bytes.len == sizeof(*ret)) { /* another engine's counters may be others */
        memcpy(ret, bytes.ptr, sizeof(*ret));
    }
    return ERR_OK;
}

static enum err open_slots(struct op *op, struct cw_engine *e, struct store *st)
{
    struct lbstats_name name = {0};
    struct lbstats_reading *now = ARENA_NEW(&op->arena, struct lbstats_reading);
    for (uint32_t i = 0; i < LBSTATS_SLOTS_MAX; i++) {
        struct kept kept = {.response_count = 0};
        if (!lbstats_name(e->stats, i, &name) || !lbstats_read(e->stats, i, now)) {
            continue;
        }
        TRY(load_slot(op, st, &name, &kept));
        e->slots[i].before = MEM_NEW(struct lbstats_reading);
        e->slots[i].is_used = true;
        start_from(now, &kept, e->slots[i].before);
    }
    return ERR_OK;
}

enum err cw_engine_open(struct op *op, struct cw_engine *e, struct store *st,
                        const struct lbstats *stats, cw_region_fn region_of, void *region_self)
{
    *e = (struct cw_engine){.stats = stats, .region_of = region_of, .region_self = region_self};
    if (stats == NULL) {
        return ERR_OK;
    }
    e->slots = mem_alloc_array(LBSTATS_SLOTS_MAX, sizeof(*e->slots));
    TRY(store_add_schema(op, st, schema));
    return open_slots(op, e, st);
}

static enum err save_slot(struct op *op, struct store *st, const struct lbstats_name *name,
                          const struct lbstats_reading *r)
{
    struct kept kept = {
        .response_count = r->response_time.count,
        .response_sum_us = r->response_time.sum_us,
    };
    memcpy(kept.counters, r->counters, sizeof(kept.counters));
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, st,
                          "INSERT OR REPLACE INTO cw_counter (load_balancer, target_group,"
                          " counters) VALUES (?1, ?2, ?3)",
                          &q));
    store_bind_str(&q, str_of(name->load_balancer));
    store_bind_str(&q, str_of(name->target_group));
    store_bind_blob(&q, str_make((const char *)&kept, sizeof(kept)));
    return store_run(op, &q);
}

enum err cw_engine_save(struct op *op, const struct cw_engine *e, struct store *st)
{
    struct lbstats_name name = {0};
    for (uint32_t i = 0; e->slots != NULL && i < LBSTATS_SLOTS_MAX; i++) {
        const struct cw_engine_slot *slot = &e->slots[i];
        /* a slot may have got another name since it was read */
        bool is_same = slot->is_used && lbstats_name(e->stats, i, &name) &&
                       name.incarnation == slot->before->incarnation;
        TRY(is_same ? save_slot(op, st, &name, slot->before) : ERR_OK);
    }
    return ERR_OK;
}

void cw_engine_fini(struct cw_engine *e)
{
    for (uint32_t i = 0; e->slots != NULL && i < LBSTATS_SLOTS_MAX; i++) {
        mem_free(e->slots[i].before);
    }
    mem_free(e->slots);
    *e = (struct cw_engine){0};
}

/* ---- one window of all ----------------------------------------------------------------------- */

/* False for a slot that is free. */
static bool read_growth(const struct cw_window *w, uint32_t slot, struct lbstats_reading *now,
                        struct cw_growth *ret)
{
    struct cw_engine *e = w->engine;
    struct cw_engine_slot *mine = &e->slots[slot];
    struct lbstats_name name = {0};
    if (!lbstats_name(e->stats, slot, &name) || !lbstats_read(e->stats, slot, now)) {
        mine->is_used = false;
        return false;
    }
    if (mine->before == NULL) {
        mine->before = MEM_NEW(struct lbstats_reading);
    }
    if (!mine->is_used) {
        *mine->before = (struct lbstats_reading){.incarnation = now->incarnation};
        mine->minute = (struct cw_minute){0};
        mine->is_used = true;
    }
    struct arena *a = &w->op->arena;
    ret->load_balancer = arena_str(a, str_of(name.load_balancer));
    ret->target_group = arena_str(a, str_of(name.target_group));
    ret->is_retired = name.is_retired;
    ret->counts_requests = now->counters[LBSTATS_REQUESTS] > 0;
    lbstats_subtract(now, mine->before, &ret->grown);
    *mine->before = *now;
    ret->minute = &mine->minute;
    cw_minute_add(&mine->minute, &ret->grown, w->seconds);
    ret->region = STR("");
    if (e->region_of != NULL) {
        struct str region = e->region_of(e->region_self, a, ret->load_balancer);
        ret->region = str_is_set(region) ? region : STR("");
    }
    return true;
}

enum err cw_engine_close_window(struct op *op, struct cw_engine *e, struct cw_metrics *m,
                                const struct cw_window_range *range)
{
    if (e->stats == NULL) {
        return ERR_OK;
    }
    int64_t minute = cw_tick_floor(range->from_tick + range->period, 60);
    struct cw_window w = {
        .op = op,
        .engine = e,
        .metrics = m,
        .tick = range->from_tick,
        .seconds = (double)range->period,
        .is_minute = minute > e->minute && e->minute != 0,
    };
    e->minute = minute;
    struct lbstats_reading *now = ARENA_NEW(&op->arena, struct lbstats_reading);
    struct {
        struct cw_growth *items;
        size_t count;
    } all = {0};
    for (uint32_t i = 0; i < LBSTATS_SLOTS_MAX; i++) {
        struct lbstats_name name = {0};
        if (!lbstats_name(e->stats, i, &name)) {
            e->slots[i].is_used = false;
            continue;
        }
        struct cw_growth *g = ARENA_PUSH(&op->arena, &all);
        all.count -= !read_growth(&w, i, now, g);
    }
    for (size_t i = 0; i < all.count; i++) {
        TRY(cw_engine_put(&w, &all.items[i], all.items, all.count));
        if (w.is_minute) {
            *all.items[i].minute = (struct cw_minute){0};
        }
    }
    return ERR_OK;
}
