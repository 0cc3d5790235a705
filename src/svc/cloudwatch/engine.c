#include "svc/cloudwatch/engine.h"

#include "base/check.h"
#include "base/mem.h"

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
    [LBSTATS_ACTIVE_CONNECTIONS] = {LEVEL, false, CLOUDWATCH_STANDARD_UNIT_COUNT},
};

/* ---- opening --------------------------------------------------------------------------------- */

void cw_engine_open(struct cw_engine *e, const struct lbstats *stats, cw_region_fn region_of,
                    void *region_self)
{
    *e = (struct cw_engine){.stats = stats, .region_of = region_of, .region_self = region_self};
    if (stats == NULL) {
        return;
    }
    e->slots = mem_alloc_array(LBSTATS_SLOTS_MAX, sizeof(*e->slots));
    struct lbstats_name name = {0};
    for (uint32_t i = 0; i < LBSTATS_SLOTS_MAX; i++) {
        if (lbstats_name(stats, i, &name)) {
            e->slots[i].before = MEM_NEW(struct lbstats_reading);
            e->slots[i].is_used = lbstats_read(stats, i, e->slots[i].before);
        }
    }
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
