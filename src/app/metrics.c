#include "app/metrics.h"

#include "base/check.h"
#include "base/file.h"
#include "codec/json.h"
#include "crypt/hash.h"

#include <stdio.h>

#define ANSWER_BYTES_MAX ((size_t)64 << 20)
#define TOKEN_BYTES_MAX  256

struct slot_reading {
    struct lbstats_name name;
    struct lbstats_reading reading;
};

struct slot_readings {
    struct slot_reading *items;
    size_t count;
};

/* Every slot in use, each as it was between two events. */
static struct slot_readings read_all(struct arena *a, const struct lbstats *stats)
{
    struct slot_readings all = {0};
    struct lbstats_name name = {0};
    size_t count = 0;
    for (uint32_t i = 0; i < LBSTATS_SLOTS_MAX; i++) {
        count += lbstats_name(stats, i, &name);
    }
    all.items = ARENA_ARRAY(a, struct slot_reading, count + 1);
    for (uint32_t i = 0; i < LBSTATS_SLOTS_MAX && all.count < count; i++) {
        struct slot_reading *at = &all.items[all.count];
        all.count += lbstats_name(stats, i, &at->name) && lbstats_read(stats, i, &at->reading);
    }
    return all;
}

/* ---- Prometheus ------------------------------------------------------------------------------ */

static bool is_network(const struct slot_reading *s)
{
    return str_starts_with(str_of(s->name.load_balancer), STR("net/"));
}

static bool is_group(const struct slot_reading *s)
{
    return s->name.target_group[0] != '\0';
}

/* Names of load balancers and groups hold letters, digits, hyphens and slashes alone. */
static void add_labels(struct buf *out, const struct slot_reading *s, const char *le)
{
    buf_addf(out, "{load_balancer=\"%s\"", s->name.load_balancer);
    if (is_group(s)) {
        buf_addf(out, ",target_group=\"%s\"", s->name.target_group);
    }
    if (le != NULL) {
        buf_addf(out, ",le=\"%s\"", le);
    }
    buf_addf(out, "} ");
}

static void add_head(struct buf *out, const char *name, const char *help, const char *type)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static bool is_counted_here(const struct lbstats_meaning *m, const struct slot_reading *s,
                            bool is_of_network)
{
    return (m->scope != LBSTATS_FOR_BALANCER) == is_group(s) && is_network(s) == is_of_network;
}

static void add_counter(struct buf *out, const struct slot_readings *all, size_t counter,
                        bool is_of_network)
{
    const struct lbstats_meaning *m = &lbstats_meanings[counter];
    bool is_gauge = m->kind == LBSTATS_GAUGE;
    const char *family = m->family == LBSTATS_OF_OWN ? (is_of_network ? "hitless_nlb" : "hitless")
                         : is_of_network             ? "nlb"
                                                     : "alb";
    char name[128];
    bool has_head = false;
    (void)snprintf(name, sizeof(name), "%s_%s%s", family, m->name, is_gauge ? "" : "_total");
    for (size_t i = 0; i < all->count; i++) {
        const struct slot_reading *s = &all->items[i];
        if (!is_counted_here(m, s, is_of_network)) {
            continue;
        }
        if (!has_head) {
            has_head = true;
            add_head(out, name, m->unit == LBSTATS_UNIT_BYTES ? "In bytes." : "A count.",
                     is_gauge ? "gauge" : "counter");
        }
        buf_addf(out, "%s", name);
        add_labels(out, s, NULL);
        buf_addf(out, "%llu\n", (unsigned long long)s->reading.counters[counter]);
    }
}

static void add_counters(struct buf *out, const struct slot_readings *all)
{
    for (size_t c = 0; c < LBSTATS_COUNTER_COUNT; c++) {
        const struct lbstats_meaning *m = &lbstats_meanings[c];
        if (m->name[0] == '\0') {
            continue;
        }
        if (m->family != LBSTATS_OF_NLB) {
            add_counter(out, all, c, false);
        }
        if (m->family != LBSTATS_OF_ALB) {
            add_counter(out, all, c, true);
        }
    }
}

static void add_hosts(struct buf *out, const struct slot_readings *all, const char *name,
                      size_t offset)
{
    add_head(out, name, "Targets, now.", "gauge");
    for (size_t i = 0; i < all->count; i++) {
        const struct slot_reading *s = &all->items[i];
        if (is_group(s) && !s->name.is_retired) {
            uint32_t value;
            memcpy(&value, (const char *)&s->reading + offset, sizeof(value));
            buf_addf(out, "%s", name);
            add_labels(out, s, NULL);
            buf_addf(out, "%u\n", (unsigned)value);
        }
    }
}

static const struct {
    const char *le;
    double us;
} bounds[] = {
    {"0.0005", 500}, {"0.001", 1e3},  {"0.0025", 2500}, {"0.005", 5e3},
    {"0.01", 1e4},   {"0.025", 25e3}, {"0.05", 5e4},    {"0.1", 1e5},
    {"0.25", 25e4},  {"0.5", 5e5},    {"1", 1e6},       {"2.5", 25e5},
    {"5", 5e6},      {"10", 1e7},     {"30", 3e7},      {"60", 6e7},
};

static void add_times_of(struct buf *out, const struct slot_reading *s, const char *name)
{
    const struct lbstats_hist *h = &s->reading.response_time;
    uint64_t seen = 0;
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_COUNT(bounds); i++) {
        while (at < LBSTATS_BUCKETS && lbstats_bucket_us(at) <= bounds[i].us) {
            seen += h->buckets[at++];
        }
        buf_addf(out, "%s_bucket", name);
        add_labels(out, s, bounds[i].le);
        buf_addf(out, "%llu\n", (unsigned long long)seen);
    }
    buf_addf(out, "%s_bucket", name);
    add_labels(out, s, "+Inf");
    buf_addf(out, "%llu\n%s_sum", (unsigned long long)h->count, name);
    add_labels(out, s, NULL);
    buf_addf(out, "%.6f\n%s_count", (double)h->sum_us / 1e6, name);
    add_labels(out, s, NULL);
    buf_addf(out, "%llu\n", (unsigned long long)h->count);
}

static void answer_prometheus(struct httpio_exchange *x, const struct slot_readings *all)
{
    auto_buf struct buf out;
    buf_init(&out, ANSWER_BYTES_MAX);
    add_counters(&out, all);
    add_hosts(&out, all, "alb_HealthyHostCount", offsetof(struct lbstats_reading, healthy_count));
    add_hosts(&out, all, "alb_UnHealthyHostCount",
              offsetof(struct lbstats_reading, unhealthy_count));
    add_head(&out, "alb_TargetResponseTime_seconds",
             "From the request's last byte sent to the first of the answer.", "histogram");
    for (size_t i = 0; i < all->count; i++) {
        if (is_group(&all->items[i])) {
            add_times_of(&out, &all->items[i], "alb_TargetResponseTime_seconds");
        }
    }
    httpio_answer(
        x, &(struct httpio_answer){.status = 200,
                                   .content_type = STR("text/plain; version=0.0.4; charset=utf-8"),
                                   .body = buf_str(&out)});
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void add_times(struct json_writer *w, const struct lbstats_hist *h)
{
    json_key(w, STR("times"));
    json_begin_array(w);
    for (size_t i = 0; i < LBSTATS_BUCKETS; i++) {
        if (h->buckets[i] > 0) {
            json_add_i64(w, (int64_t)lbstats_bucket_us(i));
            json_add_i64(w, (int64_t)h->buckets[i]);
        }
    }
    json_end_array(w);
}

static void add_slot(struct json_writer *w, const struct slot_reading *s)
{
    static const char *const keys[] = {
#define X(counter, name, family, kind, scope, unit) #counter,
#include "stats/lbstats_counters.def"
#undef X
    };
    json_begin_object(w);
    json_key(w, STR("loadBalancer"));
    json_add_string(w, str_of(s->name.load_balancer));
    json_key(w, STR("targetGroup"));
    json_add_string(w, str_of(s->name.target_group));
    json_key(w, STR("retired"));
    json_add_bool(w, s->name.is_retired);
    json_key(w, STR("incarnation"));
    json_add_i64(w, s->reading.incarnation);
    json_key(w, STR("healthy"));
    json_add_i64(w, s->reading.healthy_count);
    json_key(w, STR("unhealthy"));
    json_add_i64(w, s->reading.unhealthy_count);
    for (size_t i = 0; i < LBSTATS_COUNTER_COUNT; i++) {
        if (s->reading.counters[i] > 0) {
            json_key(w, str_of(keys[i] + sizeof("LBSTATS_") - 1));
            json_add_i64(w, (int64_t)s->reading.counters[i]);
        }
    }
    add_times(w, &s->reading.response_time);
    json_end_object(w);
}

static void answer_json(struct httpio_exchange *x, const struct slot_readings *all)
{
    auto_buf struct buf out;
    struct json_writer w;
    buf_init(&out, ANSWER_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w);
    json_key(&w, STR("atUs"));
    json_add_i64(&w, clock_mono().us);
    json_key(&w, STR("slots"));
    json_begin_array(&w);
    for (size_t i = 0; i < all->count; i++) {
        add_slot(&w, &all->items[i]);
    }
    json_end_array(&w);
    json_end_object(&w);
    buf_add_char(&out, '\n');
    httpio_answer(x, &(struct httpio_answer){.status = 200,
                                             .content_type = STR("application/json"),
                                             .body = buf_str(&out)});
}

/* ---- who may ask ----------------------------------------------------------------------------- */

static struct str bearer_of(const struct httpio_exchange *x)
{
    for (size_t i = 0; i < x->head->field_count; i++) {
        const struct h1_field *f = &x->head->fields[i];
        struct str value = h1_field_value(x->head, f);
        if (str_equal_nocase(h1_field_name(x->head, f), STR("authorization")) &&
            str_starts_with(value, STR("Bearer "))) {
            return str_trim(str_from(value, 7));
        }
    }
    return STR_NONE;
}

static bool may_ask(struct op *op, const struct httpio_exchange *x, struct str state)
{
    if (net_addr_is_loopback(x->peer)) {
        return true;
    }
    struct str given = bearer_of(x);
    struct str path = arena_printf(&op->arena, "%.*s/metrics-token", STR_ARG(state));
    struct str token = STR_NONE;
    if (!str_is_set(given) || file_read(op, path.ptr, TOKEN_BYTES_MAX, &token) != ERR_OK) {
        return false;
    }
    token = str_trim(token);
    return token.len > 0 && secret_equal(given, token);
}

bool metrics_take(struct httpio_exchange *x, const struct lbstats *stats, struct str state)
{
    bool is_prometheus = STR_IS(x->path, "/metrics");
    bool is_read = STR_IS(x->method, "GET") || STR_IS(x->method, "HEAD");
    if (!is_read || (!is_prometheus && !STR_IS(x->path, "/_hitless/counters"))) {
        return false;
    }
    auto_op struct op op;
    op_init(&op);
    if (!may_ask(&op, x, state)) {
        httpio_answer(x, &(struct httpio_answer){
                             .status = 403,
                             .content_type = STR("text/plain; charset=utf-8"),
                             .body = STR("From another machine this wants \"Authorization: Bearer "
                                         "TOKEN\" with what STATE/metrics-token holds.\n")});
        return true;
    }
    struct slot_readings all = read_all(&op.arena, stats);
    if (is_prometheus) {
        answer_prometheus(x, &all);
    } else {
        answer_json(x, &all);
    }
    return true;
}
