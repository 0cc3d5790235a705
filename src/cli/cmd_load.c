/* hitless load: a constant rate of requests, and an account of every one of them. */
#include "base/check.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "load/load.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define VERSIONS_MAX        64
#define RATE_DEFAULT        1000
#define CONNECTIONS_DEFAULT 32

struct version_count {
    char version[LOAD_VERSION_BYTES];
    uint64_t good;
    uint64_t server_errors;
};

struct account {
    FILE *log; /* or NULL */
    uint64_t request_count;
    uint64_t by_outcome[LOAD_TIMED_OUT + 1];
    uint64_t by_class[6]; /* 1xx .. 5xx at [1..5] */
    struct version_count versions[VERSIONS_MAX];
    size_t version_count;
    uint32_t *took_us;
    size_t took_count;
    size_t took_capacity;
    int64_t first_failure_us;
};

static void note_time(struct account *a, dur_t took)
{
    if (a->took_count == a->took_capacity) {
        a->took_capacity = a->took_capacity == 0 ? 65536 : a->took_capacity * 2;
        a->took_us = mem_resize(a->took_us, a->took_capacity * sizeof(*a->took_us));
    }
    a->took_us[a->took_count++] = took.us > UINT32_MAX ? UINT32_MAX : (uint32_t)took.us;
}

static void note_version(struct account *a, const struct load_sample *sample)
{
    size_t i = 0;
    while (i < a->version_count && strcmp(a->versions[i].version, sample->version) != 0) {
        i++;
    }
    if (i == VERSIONS_MAX) {
        return;
    }
    if (i == a->version_count) {
        memcpy(a->versions[i].version, sample->version, LOAD_VERSION_BYTES);
        a->version_count++;
    }
    if (sample->status >= 500) {
        a->versions[i].server_errors++;
    } else {
        a->versions[i].good++;
    }
}

static void on_sample(void *self, const struct load_sample *sample)
{
    struct account *a = self;
    a->request_count++;
    a->by_outcome[sample->outcome]++;
    note_time(a, sample->took);
    if (sample->outcome == LOAD_ANSWERED) {
        a->by_class[sample->status / 100 % 6]++;
        note_version(a, sample);
    }
    if (a->log != NULL) {
        (void)fprintf(a->log, "%lld\t%d\t%s\t%lld\t%s\n", (long long)sample->due.us, sample->status,
                      sample->version, (long long)sample->took.us,
                      load_outcome_text(sample->outcome));
    }
}

static void on_signal(int number)
{
    (void)number;
    load_stop();
}

/* http://HOST[:PORT][/PATH]; a name is looked up once. */
static enum err read_url(struct op *op, struct str url, struct load_options *o)
{
    if (!str_starts_with(url, STR("http://"))) {
        return op_fail(op, ERR_INPUT, "\"%.*s\": expected http://HOST[:PORT][/PATH]", STR_ARG(url));
    }
    struct str rest = str_from(url, 7);
    size_t slash = str_find_char(rest, '/', 0);
    o->host = str_slice(rest, 0, slash == STR_NOT_FOUND ? rest.len : slash);
    o->path = slash == STR_NOT_FOUND ? STR("/") : str_from(rest, slash);
    struct str name = o->host;
    struct str port = STR("80");
    (void)str_cut(o->host, ':', &name, &port);
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int code =
        getaddrinfo(arena_c_str(&op->arena, name), arena_c_str(&op->arena, port), &hints, &found);
    if (code != 0) {
        return op_fail(op, ERR_NET, "could not find the host \"%.*s\": %s", STR_ARG(name),
                       gai_strerror(code));
    }
    bool is_known = net_addr_from_sockaddr(found->ai_addr, found->ai_addrlen, &o->addr);
    freeaddrinfo(found);
    return is_known ? ERR_OK
                    : op_fail(op, ERR_NET, "\"%.*s\" has no address of a kind that we know",
                              STR_ARG(name));
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double percentile_ms(const struct account *a, double percent)
{
    if (a->took_count == 0) {
        return 0;
    }
    size_t at = (size_t)(percent / 100 * (double)a->took_count);
    return (double)a->took_us[at < a->took_count ? at : a->took_count - 1] / 1000;
}

static uint64_t failed_count(const struct account *a)
{
    return a->request_count - a->by_outcome[LOAD_ANSWERED] + a->by_class[5];
}

static void print_json(const struct account *a)
{
    (void)printf("{\"requests\":%llu,\"failed\":%llu", (unsigned long long)a->request_count,
                 (unsigned long long)failed_count(a));
    for (int i = LOAD_NO_CONNECT; i <= LOAD_TIMED_OUT; i++) {
        static const char *const keys[] = {"", "no_connection", "broken", "malformed", "timed_out"};
        (void)printf(",\"%s\":%llu", keys[i], (unsigned long long)a->by_outcome[i]);
    }
    (void)printf(",\"by_status\":{");
    for (int i = 1; i <= 5; i++) {
        (void)printf("%s\"%dxx\":%llu", i == 1 ? "" : ",", i, (unsigned long long)a->by_class[i]);
    }
    (void)printf("},\"by_version\":{");
    for (size_t i = 0; i < a->version_count; i++) {
        const struct version_count *v = &a->versions[i];
        (void)printf("%s\"", i == 0 ? "" : ",");
        for (const char *c = v->version; *c != '\0'; c++) {
            (void)putchar(*c == '"' || *c == '\\' || (unsigned char)*c < ' ' ? '?' : *c);
        }
        (void)printf("\":{\"good\":%llu,\"server_errors\":%llu}", (unsigned long long)v->good,
                     (unsigned long long)v->server_errors);
    }
    (void)printf("},\"p50_ms\":%.3f,\"p95_ms\":%.3f,\"p99_ms\":%.3f}\n", percentile_ms(a, 50),
                 percentile_ms(a, 95), percentile_ms(a, 99));
}

static void print_text(const struct account *a)
{
    (void)printf("%llu requests, %llu failed\n", (unsigned long long)a->request_count,
                 (unsigned long long)failed_count(a));
    for (int i = LOAD_NO_CONNECT; i <= LOAD_TIMED_OUT; i++) {
        if (a->by_outcome[i] > 0) {
            (void)printf("  %-18s %llu\n", load_outcome_text((enum load_outcome)i),
                         (unsigned long long)a->by_outcome[i]);
        }
    }
    for (size_t i = 0; i < a->version_count; i++) {
        const struct version_count *v = &a->versions[i];
        (void)printf("  version %-10s %llu good, %llu with 5xx\n",
                     v->version[0] == '\0' ? "(none)" : v->version, (unsigned long long)v->good,
                     (unsigned long long)v->server_errors);
    }
    (void)printf("  p50 %.1f ms, p95 %.1f ms, p99 %.1f ms\n", percentile_ms(a, 50),
                 percentile_ms(a, 95), percentile_ms(a, 99));
}

enum { OPTION_RATE, OPTION_CONNECTIONS, OPTION_SECONDS, OPTION_LOG, OPTION_JSON, OPTION_COUNT };

static enum err read_options(struct op *op, const struct cli_option *o, struct load_options *l)
{
    double rate = RATE_DEFAULT;
    uint64_t connections = CONNECTIONS_DEFAULT;
    double seconds = 0;
    struct str text = o[OPTION_RATE].value;
    if (str_is_set(text) && (!str_parse_f64(text, &rate) || rate <= 0 || rate > LOAD_RATE_MAX)) {
        return op_fail(op, ERR_INPUT, "--rate \"%.*s\": expected requests a second, at most %d",
                       STR_ARG(text), LOAD_RATE_MAX);
    }
    text = o[OPTION_CONNECTIONS].value;
    if (str_is_set(text) &&
        (!str_parse_u64(text, LOAD_CONNECTIONS_MAX, &connections) || connections == 0)) {
        return op_fail(op, ERR_INPUT, "--connections \"%.*s\": expected 1 to %d", STR_ARG(text),
                       LOAD_CONNECTIONS_MAX);
    }
    text = o[OPTION_SECONDS].value;
    if (str_is_set(text) && (!str_parse_f64(text, &seconds) || seconds <= 0 || seconds > 86400)) {
        return op_fail(op, ERR_INPUT, "--seconds \"%.*s\": expected a number up to 86400",
                       STR_ARG(text));
    }
    l->rate_per_s = rate;
    l->connection_count = (size_t)connections;
    l->duration = DUR_US(seconds * 1e6);
    return ERR_OK;
}

static enum err run_load(struct op *op, const struct cli_option *o, const struct cli_parsed *parsed,
                         struct account *a)
{
    struct load_options l = {.self = a, .on_sample = on_sample};
    if (parsed->word_count != 1) {
        return op_fail(op, ERR_INPUT, "expected one URL");
    }
    TRY(read_url(op, parsed->words[0], &l));
    TRY(read_options(op, o, &l));
    struct str file = o[OPTION_LOG].value;
    if (str_is_set(file)) {
        a->log = fopen(arena_c_str(&op->arena, file), "we");
        if (a->log == NULL) {
            return op_fail_errno(op, "could not write \"%.*s\"", STR_ARG(file));
        }
    }
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    enum err e = load_run(op, &l);
    if (a->log != NULL && fclose(a->log) != 0 && e == ERR_OK) {
        e = op_fail_errno(op, "could not write \"%.*s\"", STR_ARG(file));
    }
    return e;
}

static int run(struct op *op, const struct cli_args *args)
{
    struct cli_option options[OPTION_COUNT] = {
        [OPTION_RATE] = {.name = "--rate", .has_value = true},
        [OPTION_CONNECTIONS] = {.name = "--connections", .has_value = true},
        [OPTION_SECONDS] = {.name = "--seconds", .has_value = true},
        [OPTION_LOG] = {.name = "--log", .has_value = true},
        [OPTION_JSON] = {.name = "--json"},
    };
    struct cli_parsed parsed = {0};
    struct account a = {0};
    enum err e = cli_parse(op, args, options, OPTION_COUNT, &parsed);
    if (e == ERR_OK) {
        e = run_load(op, options, &parsed, &a);
    }
    if (e != ERR_OK) {
        mem_free(a.took_us);
        return cli_fail_op(CLI_USAGE, op,
                           "example: hitless load http://127.0.0.1:8080/ --rate 1000 --seconds 10");
    }
    if (a.took_count > 0) {
        qsort(a.took_us, a.took_count, sizeof(*a.took_us), compare_u32);
    }
    if (str_is_set(options[OPTION_JSON].value)) {
        print_json(&a);
    } else {
        print_text(&a);
    }
    mem_free(a.took_us);
    return failed_count(&a) == 0 ? CLI_OK : CLI_ROLLED_BACK;
}

const struct cli_command cli_load = {
    .name = "load",
    .arguments = "URL",
    .summary = "sends requests at a constant rate and accounts for every one",
    .help = "  --rate N         requests a second (default: 1000)\n"
            "  --connections N  keep-alive connections at most (default: 32)\n"
            "  --seconds N      for how long (default: until Ctrl-C)\n"
            "  --log FILE       a line a request: microseconds, status, version, latency, outcome\n"
            "  --json           the account as one object\n"
            "\n"
            "Exit code 0 when every request was answered without a 5xx, else 4.\n"
            "\n"
            "Example:\n"
            "  hitless load http://127.0.0.1:8080/ --rate 1000 --seconds 10\n",
    .run = run,
};
