#include "svc/cloudwatch/engine.h"

#include "base/check.h"
#include "base/mem.h"
#include "store/store.h"

#define NAMESPACE STR("AWS/ApplicationELB")

/* Zeroed: a slot that was free. */
struct cw_engine_slot {
    bool is_used;
    struct lbstats_reading *before;
};

/* How a counter is told. `is_target`: belongs to target groups, and the balancer's own is the sum
 * over its groups unless it counts them itself. */
enum counter_kind { EACH_IS_ONE, AMOUNT, LEVEL };

static const struct {
    enum counter_kind kind;
    bool is_target;
    enum cloudwatch_standard_unit unit;
} counters[LBSTATS_COUNTER_COUNT] = {
    [LBSTATS_REQUESTS] = {EACH_IS_ONE, true, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_TARGET_2XX] = {EACH_IS_ONE, true, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_TARGET_3XX] = {EACH_IS_ONE, true, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_TARGET_4XX] = {EACH_IS_ONE, true, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_TARGET_5XX] = {EACH_IS_ONE, true, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_TARGET_CONN_ERRORS] = {EACH_IS_ONE, true, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_ELB_3XX] = {EACH_IS_ONE, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_ELB_4XX] = {EACH_IS_ONE, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_ELB_5XX] = {EACH_IS_ONE, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_ELB_500] = {EACH_IS_ONE, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_ELB_502] = {EACH_IS_ONE, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_ELB_503] = {EACH_IS_ONE, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_ELB_504] = {EACH_IS_ONE, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_FIXED_RESPONSES] = {EACH_IS_ONE, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_REDIRECTS] = {EACH_IS_ONE, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_NEW_CONNECTIONS] = {EACH_IS_ONE, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_REJECTED] = {EACH_IS_ONE, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_PROCESSED_BYTES] = {AMOUNT, false, CLOUDWATCH_STANDARD_UNIT_BYTES},
    [LBSTATS_NON_COMPLIANT] = {EACH_IS_ONE, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_NON_STICKY] = {EACH_IS_ONE, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
    [LBSTATS_ACTIVE_CONNECTIONS] = {LEVEL, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
};

/* ---- opening --------------------------------------------------------------------------------- */

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS cw_counter ("
    " load_balancer TEXT NOT NULL, target_group TEXT NOT NULL, counters BLOB NOT NULL,"
    " PRIMARY KEY (load_balancer, target_group)) WITHOUT ROWID;";

static const bool is_gauge[LBSTATS_COUNTER_COUNT] = {
#define X(counter, name, is_gauge_) [counter] = (is_gauge_),
#include "stats/lbstats_counters.def"
#undef X
};

/* What is kept of a reading. */
struct kept {
    uint64_t counters[LBSTATS_COUNTER_COUNT];
    uint64_t response_count;
    uint64_t response_sum_us;
};

static bool is_behind(const struct lbstats_reading *now, const struct kept *kept)
{
    for (size_t c = 0; c < LBSTATS_COUNTER_COUNT; c++) {
        if (!is_gauge[c] && now->counters[c] < kept->counters[c]) {
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

/* ---- one window of one slot ------------------------------------------------------------------ */

struct window {
    struct op *op;
    struct cw_engine *engine;
    struct cw_metrics *metrics;
    int64_t tick;
};

struct growth {
    struct str load_balancer; /* "app/NAME/ID" */
    struct str target_group;  /* "" for the balancer's own */
    struct str region;
    bool is_retired;
    bool counts_requests; /* this slot has ever counted a request */
    struct lbstats_reading grown;
};

/* Which dimensions a datapoint has. */
enum dimension_set { BY_BALANCER, BY_BALANCER_AND_GROUP, BY_GROUP };

static enum err put(const struct window *w, const struct growth *g, enum dimension_set set,
                    struct str name, enum cloudwatch_standard_unit unit, const struct cw_bucket *b)
{
    struct cloudwatch_dimension dimensions[2] = {0};
    size_t count = 0;
    if (set != BY_GROUP) {
        dimensions[count++] =
            (struct cloudwatch_dimension){.name = STR("LoadBalancer"), .value = g->load_balancer};
    }
    if (set != BY_BALANCER) {
        dimensions[count++] =
            (struct cloudwatch_dimension){.name = STR("TargetGroup"), .value = g->target_group};
    }
    struct cw_metric_name metric = {
        .region = g->region,
        .namespace = NAMESPACE,
        .name = name,
        .dimensions = dimensions,
        .dimension_count = count,
    };
    return cw_metrics_add(w->op, w->metrics, &metric, unit, false, w->tick, b);
}

static struct cw_bucket bucket_of(enum counter_kind kind, uint64_t amount)
{
    double value = (double)amount;
    if (kind == EACH_IS_ONE) {
        return (struct cw_bucket){.sample_count = value, .sum = value, .minimum = 1, .maximum = 1};
    }
    return (struct cw_bucket){.sample_count = 1, .sum = value, .minimum = value, .maximum = value};
}

static enum err put_counter(const struct window *w, const struct growth *g, enum dimension_set set,
                            enum lbstats_counter counter, uint64_t amount)
{
    struct str name = str_of(lbstats_counter_name(counter));
    if (amount == 0 || name.len == 0) {
        return ERR_OK;
    }
    struct cw_bucket b = bucket_of(counters[counter].kind, amount);
    struct cw_pair pair = {.value = b.minimum, .count = b.sample_count};
    b.has_values = true;
    b.pairs = &pair;
    b.pair_count = 1;
    return put(w, g, set, name, counters[counter].unit, &b);
}

static enum err put_response_time(const struct window *w, const struct growth *g,
                                  enum dimension_set set, const struct lbstats_hist *h)
{
    if (h->count == 0) {
        return ERR_OK;
    }
    struct cw_pair *pairs = ARENA_ARRAY(&w->op->arena, struct cw_pair, LBSTATS_BUCKETS);
    struct cw_bucket b = {
        .sample_count = (double)h->count,
        .sum = (double)h->sum_us / 1e6,
        .minimum = lbstats_hist_min_us(h) / 1e6,
        .maximum = lbstats_hist_max_us(h) / 1e6,
        .has_values = true,
        .pairs = pairs,
    };
    for (size_t i = 0; i < LBSTATS_BUCKETS; i++) {
        if (h->buckets[i] > 0) {
            pairs[b.pair_count++] = (struct cw_pair){.value = lbstats_bucket_us(i) / 1e6,
                                                     .count = (double)h->buckets[i]};
        }
    }
    return put(w, g, set, STR("TargetResponseTime"), CLOUDWATCH_STANDARD_UNIT_SECONDS, &b);
}

static enum err put_level(const struct window *w, const struct growth *g, enum dimension_set set,
                          struct str name, double value)
{
    struct cw_pair pair = {.value = value, .count = 1};
    struct cw_bucket b = {
        .sample_count = 1,
        .sum = value,
        .minimum = value,
        .maximum = value,
        .has_values = true,
        .pairs = &pair,
        .pair_count = 1,
    };
    return put(w, g, set, name, CLOUDWATCH_STANDARD_UNIT_COUNT, &b);
}

static enum err put_group(const struct window *w, const struct growth *g)
{
    const struct lbstats_reading *r = &g->grown;
    for (enum lbstats_counter c = 0; c < LBSTATS_COUNTER_COUNT; c++) {
        uint64_t amount = counters[c].is_target ? r->counters[c] : 0;
        TRY(put_counter(w, g, BY_BALANCER_AND_GROUP, c, amount));
    }
    TRY(put_response_time(w, g, BY_BALANCER_AND_GROUP, &r->response_time));
    uint32_t hosts = r->healthy_count > 0 ? r->healthy_count : r->unhealthy_count;
    if (r->counters[LBSTATS_REQUESTS] > 0 && hosts > 0) {
        double each = (double)r->counters[LBSTATS_REQUESTS] / hosts;
        TRY(put_level(w, g, BY_BALANCER_AND_GROUP, STR("RequestCountPerTarget"), each));
        TRY(put_level(w, g, BY_GROUP, STR("RequestCountPerTarget"), each));
    }
    if (g->is_retired) {
        return ERR_OK;
    }
    TRY(put_level(w, g, BY_BALANCER_AND_GROUP, STR("HealthyHostCount"), r->healthy_count));
    if (r->anomalous_count > 0) {
        TRY(put_level(w, g, BY_BALANCER_AND_GROUP, STR("AnomalousHostCount"), r->anomalous_count));
    }
    if (r->mitigated_count > 0) {
        TRY(put_level(w, g, BY_BALANCER_AND_GROUP, STR("MitigatedHostCount"), r->mitigated_count));
    }
    return put_level(w, g, BY_BALANCER_AND_GROUP, STR("UnHealthyHostCount"), r->unhealthy_count);
}

/* What the balancer's groups grew by together. */
static struct lbstats_reading *sum_of_groups(struct arena *a, const struct growth *all,
                                             size_t count, struct str load_balancer)
{
    struct lbstats_reading *sum = ARENA_NEW(a, struct lbstats_reading);
    for (size_t i = 0; i < count; i++) {
        if (all[i].target_group.len == 0 || !str_equal(all[i].load_balancer, load_balancer)) {
            continue;
        }
        for (size_t c = 0; c < LBSTATS_COUNTER_COUNT; c++) {
            sum->counters[c] += all[i].grown.counters[c];
        }
        lbstats_hist_add(&sum->response_time, &all[i].grown.response_time);
    }
    return sum;
}

static enum err put_balancer(const struct window *w, const struct growth *g,
                             const struct growth *all, size_t count)
{
    const struct lbstats_reading *own = &g->grown;
    const struct lbstats_reading *targets =
        g->counts_requests ? own : sum_of_groups(&w->op->arena, all, count, g->load_balancer);
    for (enum lbstats_counter c = 0; c < LBSTATS_COUNTER_COUNT; c++) {
        const struct lbstats_reading *from = counters[c].is_target ? targets : own;
        TRY(put_counter(w, g, BY_BALANCER, c, from->counters[c]));
    }
    return put_response_time(w, g, BY_BALANCER, &targets->response_time);
}

/* ---- one window of all ----------------------------------------------------------------------- */

/* False for a slot that is free. */
static bool read_growth(const struct window *w, uint32_t slot, struct lbstats_reading *now,
                        struct growth *ret)
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
        mine->is_used = true;
    }
    struct arena *a = &w->op->arena;
    ret->load_balancer = arena_str(a, str_of(name.load_balancer));
    ret->target_group = arena_str(a, str_of(name.target_group));
    ret->is_retired = name.is_retired;
    ret->counts_requests = now->counters[LBSTATS_REQUESTS] > 0;
    lbstats_subtract(now, mine->before, &ret->grown);
    *mine->before = *now;
    ret->region = STR("");
    if (e->region_of != NULL) {
        struct str region = e->region_of(e->region_self, a, ret->load_balancer);
        ret->region = str_is_set(region) ? region : STR("");
    }
    return true;
}

enum err cw_engine_close_window(struct op *op, struct cw_engine *e, struct cw_metrics *m,
                                int64_t tick)
{
    if (e->stats == NULL) {
        return ERR_OK;
    }
    struct window w = {.op = op, .engine = e, .metrics = m, .tick = tick};
    struct lbstats_reading *now = ARENA_NEW(&op->arena, struct lbstats_reading);
    struct {
        struct growth *items;
        size_t count;
    } all = {0};
    for (uint32_t i = 0; i < LBSTATS_SLOTS_MAX; i++) {
        struct lbstats_name name = {0};
        if (!lbstats_name(e->stats, i, &name)) {
            e->slots[i].is_used = false;
            continue;
        }
        struct growth *g = ARENA_PUSH(&op->arena, &all);
        all.count -= !read_growth(&w, i, now, g);
    }
    for (size_t i = 0; i < all.count; i++) {
        const struct growth *g = &all.items[i];
        TRY(g->target_group.len == 0 ? put_balancer(&w, g, all.items, all.count)
                                     : put_group(&w, g));
    }
    return ERR_OK;
}
