#include "svc/cloudwatch/engine_put.h"

#include "base/check.h"

/* ---- capacity units ---------------------------------------------------------------------------
 * Source  "Elastic Load Balancing pricing": one LCU is 25 new connections a second, 3,000 active
 * ones a minute, 1 GB an hour, 1,000 rule evaluations a second (the first ten of a request are
 * free); the dimension that is used most counts. One NLCU for TCP is 800 new flows a second,
 * 100,000 active ones, 1 GB an hour; TLS 50 and 3,000; UDP 400 and 50,000. */

static double highest(const double *values, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        most = values[i] > most ? values[i] : most;
    }
    return most;
}

struct usage {
    double seconds;
    double new_clients;
    double active;
    double bytes;
    double rules;
};

static double units_of(const struct usage *u)
{
    double dimensions[] = {
        u->new_clients / u->seconds / 25,
        u->active / 3000,
        u->bytes / u->seconds * 3600 / 1e9,
        u->rules / u->seconds / 1000,
    };
    return highest(dimensions, ARRAY_COUNT(dimensions));
}

struct flow_kind {
    enum lbstats_counter started;
    enum lbstats_counter active;
    enum lbstats_counter bytes;
    double started_max; /* of one unit, a second */
    double active_max;
    const char *metric_name;
};

static const struct flow_kind flow_kinds[] = {
    {LBSTATS_NEW_FLOWS_TCP, LBSTATS_ACTIVE_FLOWS_TCP, LBSTATS_BYTES_TCP, 800, 100000,
     "ConsumedLCUs_TCP"},
    {LBSTATS_NEW_FLOWS_TLS, LBSTATS_ACTIVE_FLOWS_TLS, LBSTATS_BYTES_TLS, 50, 3000,
     "ConsumedLCUs_TLS"},
    {LBSTATS_NEW_FLOWS_UDP, LBSTATS_ACTIVE_FLOWS_UDP, LBSTATS_BYTES_UDP, 400, 50000,
     "ConsumedLCUs_UDP"},
};

static double flow_units_of(const struct flow_kind *k, const uint64_t *counters, double seconds)
{
    double dimensions[] = {
        (double)counters[k->started] / seconds / k->started_max,
        (double)counters[k->active] / k->active_max,
        (double)counters[k->bytes] / seconds * 3600 / 1e9,
    };
    return highest(dimensions, ARRAY_COUNT(dimensions));
}

void cw_minute_add(struct cw_minute *m, const struct lbstats_reading *grown, double seconds)
{
    const uint64_t *now = grown->counters;
    for (size_t c = 0; c < LBSTATS_COUNTER_COUNT; c++) {
        bool is_gauge = lbstats_meanings[c].kind == LBSTATS_GAUGE;
        m->counters[c] = !is_gauge                 ? m->counters[c] + now[c]
                         : now[c] > m->counters[c] ? now[c]
                                                   : m->counters[c];
    }
    struct usage u = {
        .seconds = seconds,
        .new_clients = (double)now[LBSTATS_NEW_CLIENTS],
        .active = (double)now[LBSTATS_ACTIVE_CONNECTIONS],
        .bytes = (double)now[LBSTATS_PROCESSED_BYTES],
        .rules = (double)now[LBSTATS_RULES_CHARGED],
    };
    double units = units_of(&u);
    m->peak_units = units > m->peak_units ? units : m->peak_units;
}

/* ---- datapoints ------------------------------------------------------------------------------ */

/* Which dimensions a datapoint has. */
enum dimension_set { BY_BALANCER, BY_BALANCER_AND_GROUP, BY_GROUP };

struct told {
    struct str namespace;
    struct str name;
    enum cloudwatch_standard_unit unit;
    enum dimension_set set;
};

static bool is_network(const struct cw_growth *g)
{
    return str_starts_with(g->load_balancer, STR("net/"));
}

static struct str namespace_of(const struct cw_growth *g, enum lbstats_family family)
{
    if (family == LBSTATS_OF_OWN) {
        return STR("Hitless");
    }
    return is_network(g) ? STR("AWS/NetworkELB") : STR("AWS/ApplicationELB");
}

static enum err put(const struct cw_window *w, const struct cw_growth *g, const struct told *told,
                    const struct cw_bucket *b)
{
    struct cloudwatch_dimension dimensions[2] = {0};
    size_t count = 0;
    if (told->set != BY_GROUP) {
        dimensions[count++] =
            (struct cloudwatch_dimension){.name = STR("LoadBalancer"), .value = g->load_balancer};
    }
    if (told->set != BY_BALANCER) {
        dimensions[count++] =
            (struct cloudwatch_dimension){.name = STR("TargetGroup"), .value = g->target_group};
    }
    struct cw_metric_name metric = {
        .region = g->region,
        .namespace = told->namespace,
        .name = told->name,
        .dimensions = dimensions,
        .dimension_count = count,
    };
    return cw_metrics_add(w->op, w->metrics, &metric, told->unit, false, w->tick, b);
}

/* `count` samples of `value`. */
static enum err put_samples(const struct cw_window *w, const struct cw_growth *g,
                            const struct told *told, double value, double count)
{
    struct cw_pair pair = {.value = value, .count = count};
    struct cw_bucket b = {
        .sample_count = count,
        .sum = value * count,
        .minimum = value,
        .maximum = value,
        .has_values = true,
        .pairs = &pair,
        .pair_count = 1,
    };
    return put(w, g, told, &b);
}

static enum err put_value(const struct cw_window *w, const struct cw_growth *g,
                          enum dimension_set set, struct str name, double value)
{
    struct told told = {
        .namespace = namespace_of(g, LBSTATS_OF_BOTH),
        .name = name,
        .unit = CLOUDWATCH_STANDARD_UNIT_COUNT,
        .set = set,
    };
    return put_samples(w, g, &told, value, 1);
}

static bool is_of_family(const struct cw_growth *g, enum lbstats_family family)
{
    switch (family) {
    case LBSTATS_OF_ALB:
        return !is_network(g);
    case LBSTATS_OF_NLB:
        return is_network(g);
    case LBSTATS_OF_BOTH:
    case LBSTATS_OF_OWN:
        return true;
    }
    UNREACHABLE("every family is handled");
}

static enum err put_counter(const struct cw_window *w, const struct cw_growth *g,
                            enum dimension_set set, enum lbstats_counter counter, uint64_t amount)
{
    const struct lbstats_meaning *meaning = &lbstats_meanings[counter];
    if (amount == 0 || meaning->name[0] == '\0' || !is_of_family(g, meaning->family)) {
        return ERR_OK;
    }
    struct told told = {
        .namespace = namespace_of(g, meaning->family),
        .name = str_of(meaning->name),
        .unit = meaning->unit == LBSTATS_UNIT_BYTES ? CLOUDWATCH_STANDARD_UNIT_BYTES
                                                    : CLOUDWATCH_STANDARD_UNIT_COUNT,
        .set = set,
    };
    bool is_each = meaning->kind == LBSTATS_ONE;
    return put_samples(w, g, &told, is_each ? 1 : (double)amount, is_each ? (double)amount : 1);
}

static enum err put_response_time(const struct cw_window *w, const struct cw_growth *g,
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
    struct told told = {
        .namespace = namespace_of(g, LBSTATS_OF_ALB),
        .name = STR("TargetResponseTime"),
        .unit = CLOUDWATCH_STANDARD_UNIT_SECONDS,
        .set = set,
    };
    return put(w, g, &told, &b);
}

/* ---- target groups --------------------------------------------------------------------------- */

static enum err put_states(const struct cw_window *w, const struct cw_growth *g)
{
    const struct lbstats_reading *r = &g->grown;
    const struct {
        struct str name;
        double value;
    } states[] = {
        {STR("HealthyStateDNS"), !r->is_dns_unhealthy},
        {STR("UnhealthyStateDNS"), r->is_dns_unhealthy},
        {STR("HealthyStateRouting"), !r->is_routing_unhealthy},
        {STR("UnhealthyStateRouting"), r->is_routing_unhealthy},
        {STR("AnomalousHostCount"), r->anomalous_count},
        {STR("MitigatedHostCount"), r->mitigated_count},
    };
    size_t count = is_network(g) ? 4 : ARRAY_COUNT(states);
    for (size_t i = 0; i < count; i++) {
        TRY(put_value(w, g, BY_BALANCER_AND_GROUP, states[i].name, states[i].value));
    }
    return ERR_OK;
}

static enum err put_group(const struct cw_window *w, const struct cw_growth *g)
{
    const struct lbstats_reading *r = &g->grown;
    for (enum lbstats_counter c = 0; c < LBSTATS_COUNTER_COUNT; c++) {
        const struct lbstats_meaning *meaning = &lbstats_meanings[c];
        bool is_gauge = meaning->kind == LBSTATS_GAUGE;
        bool is_told = meaning->scope != LBSTATS_FOR_BALANCER && (!is_gauge || w->is_minute);
        uint64_t amount = is_gauge ? g->minute->counters[c] : r->counters[c];
        TRY(put_counter(w, g, BY_BALANCER_AND_GROUP, c, is_told ? amount : 0));
    }
    TRY(put_response_time(w, g, BY_BALANCER_AND_GROUP, &r->response_time));
    uint32_t hosts = r->healthy_count > 0 ? r->healthy_count : r->unhealthy_count;
    if (r->counters[LBSTATS_REQUESTS] > 0 && hosts > 0) {
        double each = (double)r->counters[LBSTATS_REQUESTS] / hosts;
        TRY(put_value(w, g, BY_BALANCER_AND_GROUP, STR("RequestCountPerTarget"), each));
        TRY(put_value(w, g, BY_GROUP, STR("RequestCountPerTarget"), each));
    }
    if (g->is_retired) {
        return ERR_OK;
    }
    TRY(put_value(w, g, BY_BALANCER_AND_GROUP, STR("HealthyHostCount"), r->healthy_count));
    TRY(put_value(w, g, BY_BALANCER_AND_GROUP, STR("UnHealthyHostCount"), r->unhealthy_count));
    return w->is_minute ? put_states(w, g) : ERR_OK;
}

/* ---- load balancers -------------------------------------------------------------------------- */

/* What the balancer's groups grew by together. */
static struct lbstats_reading *sum_of_groups(struct arena *a, const struct cw_growth *all,
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

static enum err put_auth_latency(const struct cw_window *w, const struct cw_growth *g)
{
    uint64_t count = g->grown.counters[LBSTATS_AUTH_LATENCIES];
    if (count == 0) {
        return ERR_OK;
    }
    struct told told = {
        .namespace = namespace_of(g, LBSTATS_OF_ALB),
        .name = STR("ELBAuthLatency"),
        .unit = CLOUDWATCH_STANDARD_UNIT_MILLISECONDS,
        .set = BY_BALANCER,
    };
    double sum_ms = (double)g->grown.counters[LBSTATS_AUTH_LATENCY_US] / 1000;
    return put_samples(w, g, &told, sum_ms / (double)count, (double)count);
}

/* Sums over the protocols of a Network Load Balancer. */
static enum err put_flows(const struct cw_window *w, const struct cw_growth *g)
{
    uint64_t started = 0;
    uint64_t active = 0;
    double most_units = 0;
    for (size_t i = 0; i < ARRAY_COUNT(flow_kinds); i++) {
        const struct flow_kind *k = &flow_kinds[i];
        started += g->grown.counters[k->started];
        active += g->minute->counters[k->active];
        double units = flow_units_of(k, g->minute->counters, 60);
        if (w->is_minute && units > 0) {
            TRY(put_value(w, g, BY_BALANCER, str_of(k->metric_name), units));
        }
        most_units = units > most_units ? units : most_units;
    }
    if (started > 0) {
        struct told told = {
            .namespace = namespace_of(g, LBSTATS_OF_NLB),
            .name = STR("NewFlowCount"),
            .unit = CLOUDWATCH_STANDARD_UNIT_COUNT,
            .set = BY_BALANCER,
        };
        TRY(put_samples(w, g, &told, 1, (double)started));
    }
    if (w->is_minute && active > 0) {
        TRY(put_value(w, g, BY_BALANCER, STR("ActiveFlowCount"), (double)active));
    }
    if (w->is_minute && most_units > 0) {
        TRY(put_value(w, g, BY_BALANCER, STR("ConsumedLCUs"), most_units));
    }
    return ERR_OK;
}

static enum err put_units(const struct cw_window *w, const struct cw_growth *g)
{
    const uint64_t *minute = g->minute->counters;
    struct usage u = {
        .seconds = 60,
        .new_clients = (double)minute[LBSTATS_NEW_CLIENTS],
        .active = (double)minute[LBSTATS_ACTIVE_CONNECTIONS],
        .bytes = (double)minute[LBSTATS_PROCESSED_BYTES],
        .rules = (double)minute[LBSTATS_RULES_CHARGED],
    };
    double units = units_of(&u);
    if (units == 0) {
        return ERR_OK;
    }
    TRY(put_value(w, g, BY_BALANCER, STR("ConsumedLCUs"), units));
    return put_value(w, g, BY_BALANCER, STR("PeakLCUs"), g->minute->peak_units);
}

static enum err put_gauges(const struct cw_window *w, const struct cw_growth *g)
{
    for (enum lbstats_counter c = 0; c < LBSTATS_COUNTER_COUNT; c++) {
        bool is_told = lbstats_meanings[c].kind == LBSTATS_GAUGE &&
                       lbstats_meanings[c].scope == LBSTATS_FOR_BALANCER;
        TRY(put_counter(w, g, BY_BALANCER, c, is_told ? g->minute->counters[c] : 0));
    }
    return is_network(g) ? ERR_OK : put_units(w, g);
}

static enum err put_balancer(const struct cw_window *w, const struct cw_growth *g,
                             const struct cw_growth *all, size_t count)
{
    const struct lbstats_reading *own = &g->grown;
    const struct lbstats_reading *targets =
        g->counts_requests ? own : sum_of_groups(&w->op->arena, all, count, g->load_balancer);
    for (enum lbstats_counter c = 0; c < LBSTATS_COUNTER_COUNT; c++) {
        const struct lbstats_meaning *meaning = &lbstats_meanings[c];
        const struct lbstats_reading *from = meaning->scope == LBSTATS_FOR_TARGETS ? targets : own;
        bool is_told = meaning->scope != LBSTATS_FOR_GROUP && meaning->kind != LBSTATS_GAUGE;
        TRY(put_counter(w, g, BY_BALANCER, c, is_told ? from->counters[c] : 0));
    }
    bool has_traffic = targets->counters[LBSTATS_REQUESTS] > 0;
    if (has_traffic && own->counters[LBSTATS_HEADERS_FORWARDED] == 0 && !is_network(g)) {
        /* the one that is told as 0, too */
        TRY(put_value(w, g, BY_BALANCER, STR("ForwardedInvalidHeaderRequestCount"), 0));
    }
    TRY(put_auth_latency(w, g));
    if (is_network(g)) {
        TRY(put_flows(w, g));
    }
    if (w->is_minute) {
        TRY(put_gauges(w, g));
    }
    return put_response_time(w, g, BY_BALANCER, &targets->response_time);
}

enum err cw_engine_put(const struct cw_window *w, const struct cw_growth *g,
                       const struct cw_growth *all, size_t count)
{
    return g->target_group.len == 0 ? put_balancer(w, g, all, count) : put_group(w, g);
}
