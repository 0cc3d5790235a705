/* hitless top: what the load balancers of this machine's engine do, second by second. Exact: each
 * line is the difference of two readings of the engine's counters, nothing is sampled. */
#include "base/check.h"
#include "cli/cli.h"
#include "cli/local.h"
#include "cli/session.h"
#include "codec/json.h"
#include "deployer/web.h"

#include <stdio.h>
#include <unistd.h>

#define ROWS_MAX       1024
#define JSON_BYTES_MAX ((size_t)1 << 20)
#define ANSWER_TIMEOUT DUR_S(10)
#define INTERVAL_MAX   3600

enum { OPTION_API, OPTION_INTERVAL, OPTION_ONCE, OPTION_JSON, OPTION_COUNT };

/* Names of the engine's counters, and where they go. */
enum number {
    REQUESTS,
    T2XX,
    T3XX,
    T4XX,
    T5XX,
    ELB_4XX,
    ELB_5XX,
    CONN_ERRORS,
    RETRIES,
    FLOWS,
    BYTES,
    NUMBER_COUNT,
};

static const struct {
    const char *key;
    enum number number;
} numbers[] = {
    {"REQUESTS", REQUESTS},     {"TARGET_2XX", T2XX},     {"TARGET_3XX", T3XX},
    {"TARGET_4XX", T4XX},       {"TARGET_5XX", T5XX},     {"ELB_4XX", ELB_4XX},
    {"ELB_5XX", ELB_5XX},       {"RETRIES", RETRIES},     {"TARGET_CONN_ERRORS", CONN_ERRORS},
    {"NEW_FLOWS_TCP", FLOWS},   {"NEW_FLOWS_TLS", FLOWS}, {"NEW_FLOWS_UDP", FLOWS},
    {"PROCESSED_BYTES", BYTES},
};

struct times {
    int64_t *items; /* microseconds, count; ascending */
    size_t count;
};

struct row {
    struct str balancer;
    struct str group; /* "": the balancer itself */
    bool is_retired;
    int64_t incarnation;
    int64_t healthy;
    int64_t unhealthy;
    int64_t connections;
    int64_t inflight;
    int64_t numbers[NUMBER_COUNT];
    struct times times;
};

struct sample {
    struct op op; /* owns the texts */
    int64_t at_us;
    struct row *rows;
    size_t count;
};

/* ---- reading --------------------------------------------------------------------------------- */

static void read_times(struct json_reader *r, struct arena *a, struct times *ret)
{
    struct {
        int64_t *items;
        size_t count;
    } all = {0};
    bool is_whole = false;
    (void)json_enter_array(r);
    while (json_next_item(r)) {
        int64_t value = 0;
        if (!json_read_i64(r, &value, &is_whole)) {
            return;
        }
        *ARENA_PUSH(a, &all) = value;
    }
    *ret = (struct times){.items = all.items, .count = all.count};
}

static void read_number(struct row *row, struct str key, int64_t value)
{
    struct {
        const char *key;
        int64_t *at;
    } own[] = {
        {"incarnation", &row->incarnation}, {"healthy", &row->healthy},
        {"unhealthy", &row->unhealthy},     {"ACTIVE_CONNECTIONS", &row->connections},
        {"INFLIGHT", &row->inflight},
    };
    for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
        if (str_equal(key, str_of(own[i].key))) {
            *own[i].at = value;
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        if (str_equal(key, str_of(numbers[i].key))) {
            row->numbers[numbers[i].number] += value;
        }
    }
}

static void read_row(struct json_reader *r, struct arena *a, struct row *row)
{
    struct str key = STR_NONE;
    bool is_whole = false;
    (void)json_enter_object(r);
    while (json_next_key(r, &key)) {
        int64_t value = 0;
        if (STR_IS(key, "loadBalancer")) {
            (void)json_read_string(r, &row->balancer);
        } else if (STR_IS(key, "targetGroup")) {
            (void)json_read_string(r, &row->group);
        } else if (STR_IS(key, "retired")) {
            (void)json_read_bool(r, &row->is_retired);
        } else if (STR_IS(key, "times")) {
            read_times(r, a, &row->times);
        } else if (json_read_i64(r, &value, &is_whole)) {
            read_number(row, key, value);
        }
    }
}

static enum err parse_sample(struct sample *s, struct str text)
{
    struct arena *a = &s->op.arena;
    struct json_reader r;
    struct str key = STR_NONE;
    bool is_whole = false;
    json_reader_init(&r, a, text);
    (void)json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        if (STR_IS(key, "atUs")) {
            (void)json_read_i64(&r, &s->at_us, &is_whole);
        } else if (STR_IS(key, "slots")) {
            (void)json_enter_array(&r);
            while (json_next_item(&r)) {
                struct row ignored = {0};
                read_row(&r, a, s->count < ROWS_MAX ? &s->rows[s->count++] : &ignored);
            }
        } else {
            (void)json_skip(&r);
        }
    }
    return json_finish(&r, &s->op);
}

static enum err take_sample(struct sample *s, struct str url)
{
    op_init(&s->op);
    s->count = 0;
    s->rows = ARENA_ARRAY(&s->op.arena, struct row, ROWS_MAX);
    struct web_request request = {.url = url, .timeout = ANSWER_TIMEOUT};
    struct web_answer answer = {0};
    TRY(web_send(&s->op, &request, &answer));
    if (answer.status != 200) {
        return op_fail(&s->op, ERR_PROTOCOL, "the engine answered with status %d: %.*s",
                       answer.status, STR_ARG(str_trim(answer.body)));
    }
    return parse_sample(s, answer.body);
}

/* ---- differences ----------------------------------------------------------------------------- */

static const struct row *find(const struct sample *s, const struct row *like)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct row *r = &s->rows[i];
        if (r->incarnation == like->incarnation && str_equal(r->balancer, like->balancer) &&
            str_equal(r->group, like->group)) {
            return r;
        }
    }
    return NULL;
}

static int64_t before_at(const struct times *t, int64_t us)
{
    for (size_t i = 0; t != NULL && i + 1 < t->count; i += 2) {
        if (t->items[i] == us) {
            return t->items[i + 1];
        }
    }
    return 0;
}

struct shown {
    const struct row *row;
    double seconds;
    int64_t grown[NUMBER_COUNT];
    double p50_ms; /* negative: nothing was answered */
    double p99_ms;
    double share; /* of its balancer's requests, in percent; negative: none had any */
};

/* Nearest rank among what came since. */
static double percentile(const struct times *now, const struct times *before, double percent)
{
    int64_t total = 0;
    for (size_t i = 0; i + 1 < now->count; i += 2) {
        total += now->items[i + 1] - before_at(before, now->items[i]);
    }
    double rank = percent / 100 * (double)total;
    int64_t seen = 0;
    for (size_t i = 0; i + 1 < now->count && total > 0; i += 2) {
        seen += now->items[i + 1] - before_at(before, now->items[i]);
        if (seen > 0 && (double)seen >= rank) {
            return (double)now->items[i] / 1000;
        }
    }
    return -1;
}

static struct shown compare(const struct sample *now, const struct sample *before,
                            const struct row *row)
{
    const struct row *old = find(before, row);
    struct shown s = {.row = row, .seconds = (double)(now->at_us - before->at_us) / 1e6};
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        s.grown[i] = row->numbers[i] - (old == NULL ? 0 : old->numbers[i]);
    }
    const struct times *times = old == NULL ? NULL : &old->times;
    s.p50_ms = percentile(&row->times, times, 50);
    s.p99_ms = percentile(&row->times, times, 99);
    int64_t all = 0;
    for (size_t i = 0; i < now->count; i++) {
        const struct row *other = &now->rows[i];
        if (other->group.len > 0 && str_equal(other->balancer, row->balancer)) {
            const struct row *was = find(before, other);
            all += other->numbers[REQUESTS] - (was == NULL ? 0 : was->numbers[REQUESTS]);
        }
    }
    s.share = all > 0 ? 100.0 * (double)s.grown[REQUESTS] / (double)all : -1;
    return s;
}

/* ---- showing --------------------------------------------------------------------------------- */

static double rate(const struct shown *s, enum number number)
{
    return s->seconds > 0 ? (double)s->grown[number] / s->seconds : 0;
}

static void print_ms(double ms)
{
    if (ms < 0) {
        (void)printf(" %8s", "-");
    } else {
        (void)printf(" %8.*f", ms < 10 ? 2 : 0, ms);
    }
}

/* "web" of "app/web/0123456789abcdef" */
static struct str short_name(struct str dimension)
{
    struct str rest = dimension;
    struct str name = dimension;
    (void)str_next(&rest, '/', &name);
    (void)str_next(&rest, '/', &name);
    return name;
}

static void print_row(const struct shown *s)
{
    const struct row *r = s->row;
    bool is_group = r->group.len > 0;
    (void)printf("%s%-*.*s %9.1f %8.1f %8.1f %8.1f %8.1f", is_group ? "  " : "", is_group ? 26 : 28,
                 STR_ARG(short_name(is_group ? r->group : r->balancer)),
                 rate(s, REQUESTS) + rate(s, FLOWS), rate(s, T2XX), rate(s, T4XX), rate(s, T5XX),
                 rate(s, ELB_5XX));
    print_ms(s->p50_ms);
    print_ms(s->p99_ms);
    if (!is_group) {
        (void)printf(" %6lld %8s %7s %7s\n", (long long)r->connections, "", "", "");
        return;
    }
    (void)printf(" %6s %8lld %3lld/%-3lld", "", (long long)r->inflight, (long long)r->healthy,
                 (long long)(r->healthy + r->unhealthy));
    if (s->share >= 0) {
        (void)printf(" %6.1f%%", s->share);
    }
    (void)printf("\n");
}

static void print_table(const struct sample *now, const struct sample *before, bool is_screen)
{
    (void)printf("%s%-28s %9s %8s %8s %8s %8s %8s %8s %6s %8s %7s %7s\n",
                 is_screen ? "\033[H\033[2J" : "", "", "req/s", "2xx/s", "4xx/s", "5xx/s",
                 "elb5xx/s", "p50 ms", "p99 ms", "conns", "inflight", "healthy", "share");
    for (size_t i = 0; i < now->count; i++) {
        if (now->rows[i].group.len > 0 || now->rows[i].is_retired) {
            continue;
        }
        struct shown balancer = compare(now, before, &now->rows[i]);
        print_row(&balancer);
        for (size_t j = 0; j < now->count; j++) {
            const struct row *group = &now->rows[j];
            if (group->group.len > 0 && !group->is_retired &&
                str_equal(group->balancer, now->rows[i].balancer)) {
                struct shown shown = compare(now, before, group);
                print_row(&shown);
            }
        }
    }
    (void)fflush(stdout);
}

static void add_f64(struct json_writer *w, const char *key, double value)
{
    json_key(w, str_of(key));
    if (value < 0) {
        json_add_null(w);
    } else {
        json_add_f64(w, value);
    }
}

static void add_json(struct json_writer *w, const struct shown *s)
{
    static const char *const keys[NUMBER_COUNT] = {
        [REQUESTS] = "requests", [T2XX] = "target2xx",  [T3XX] = "target3xx",
        [T4XX] = "target4xx",    [T5XX] = "target5xx",  [ELB_4XX] = "elb4xx",
        [ELB_5XX] = "elb5xx",    [RETRIES] = "retries", [CONN_ERRORS] = "connectionErrors",
        [FLOWS] = "flows",       [BYTES] = "bytes",
    };
    json_begin_object(w);
    json_key(w, STR("loadBalancer"));
    json_add_string(w, s->row->balancer);
    if (s->row->group.len > 0) {
        json_key(w, STR("targetGroup"));
        json_add_string(w, s->row->group);
        add_f64(w, "sharePercent", s->share);
        add_f64(w, "inFlight", (double)s->row->inflight);
        add_f64(w, "healthy", (double)s->row->healthy);
        add_f64(w, "unhealthy", (double)s->row->unhealthy);
    } else {
        add_f64(w, "connections", (double)s->row->connections);
    }
    add_f64(w, "seconds", s->seconds);
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        json_key(w, str_of(keys[i]));
        json_add_i64(w, s->grown[i]);
    }
    add_f64(w, "p50Ms", s->p50_ms);
    add_f64(w, "p99Ms", s->p99_ms);
    json_end_object(w);
}

/* One line a look. */
static void print_json(const struct sample *now, const struct sample *before)
{
    auto_buf struct buf out;
    struct json_writer w;
    buf_init(&out, JSON_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_array(&w);
    for (size_t i = 0; i < now->count; i++) {
        if (!now->rows[i].is_retired) {
            struct shown shown = compare(now, before, &now->rows[i]);
            add_json(&w, &shown);
        }
    }
    json_end_array(&w);
    (void)printf("%.*s\n", STR_ARG(buf_str(&out)));
    (void)fflush(stdout);
}

/* ---- the command ----------------------------------------------------------------------------- */

struct top {
    struct str url;
    dur_t interval;
    bool is_once;
    bool is_json;
};

static int follow(struct op *op, const struct top *top)
{
    struct sample samples[2] = {0};
    session_catch_interrupt();
    enum err e = take_sample(&samples[0], top->url);
    size_t now = 0;
    while (e == ERR_OK && !session_is_interrupted(NULL)) {
        cloud_wait(top->interval);
        const struct sample *before = &samples[now];
        now = 1 - now;
        op_fini(&samples[now].op);
        e = take_sample(&samples[now], top->url);
        if (e != ERR_OK) {
            break;
        }
        if (top->is_json) {
            print_json(&samples[now], before);
        } else {
            print_table(&samples[now], before, isatty(STDOUT_FILENO) != 0 && !top->is_once);
        }
        if (top->is_once) {
            break;
        }
    }
    struct str why = arena_str(&op->arena, str_of(samples[now].op.note.text));
    op_fini(&samples[0].op);
    op_fini(&samples[1].op);
    return e == ERR_OK
               ? CLI_OK
               : cli_fail(CLI_CANNOT_TELL, "is the engine there? start it with: hitless serve",
                          "could not read the engine's counters: %.*s", STR_ARG(why));
}

static int run(struct op *op, const struct cli_args *args)
{
    struct cli_option o[OPTION_COUNT] = {
        [OPTION_API] = {.name = "--api", .has_value = true},
        [OPTION_INTERVAL] = {.name = "--interval", .has_value = true},
        [OPTION_ONCE] = {.name = "--once"},
        [OPTION_JSON] = {.name = "--json"},
    };
    struct cli_parsed parsed = {0};
    if (cli_parse(op, args, o, OPTION_COUNT, &parsed) != ERR_OK) {
        return cli_fail_op(CLI_USAGE, op, NULL);
    }
    double seconds = 1;
    if (str_is_set(o[OPTION_INTERVAL].value) &&
        (!str_parse_f64(o[OPTION_INTERVAL].value, &seconds) || seconds < 0.1 ||
         seconds > INTERVAL_MAX)) {
        return cli_fail(CLI_USAGE, NULL, "--interval wants 0.1 to %d seconds, not \"%.*s\"",
                        INTERVAL_MAX, STR_ARG(o[OPTION_INTERVAL].value));
    }
    struct str api = str_is_set(o[OPTION_API].value) ? o[OPTION_API].value : STR(LOCAL_API_DEFAULT);
    struct top top = {
        .url = arena_printf(&op->arena, "http://%.*s/_hitless/counters", STR_ARG(api)),
        .interval = DUR_US((int64_t)(seconds * 1e6)),
        .is_once = str_is_set(o[OPTION_ONCE].value),
        .is_json = str_is_set(o[OPTION_JSON].value),
    };
    return follow(op, &top);
}

const struct cli_command cli_top = {
    .name = "top",
    .arguments = "[OPTIONS]",
    .summary = "what the load balancers do, second by second",
    .help =
        "Shows each load balancer of the engine and its target groups: requests a second, classes\n"
        "of answers, response times, connections, requests in flight, healthy targets, and the\n"
        "share that each group has of the requests. Exact: the difference of two readings.\n"
        "\n"
        "  --api HOST:PORT     the engine (127.0.0.1:4566)\n"
        "  --interval SECONDS  between two looks, 0.1 to 3600 (1)\n"
        "  --once              one look, then the end\n"
        "  --json              one JSON array a look, numbers of the interval instead of rates\n"
        "\n"
        "Example: hitless top --once --json | jq '.[] | {targetGroup, requests, p99Ms}'\n",
    .run = run,
};
