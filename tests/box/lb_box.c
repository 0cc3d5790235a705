/* The data plane alone, for tests and measurements: snapshots come as lines of JSON on stdin, what
 * lb reports goes out as lines of JSON on stdout.
 *
 *   lb_box [--workers N] [--pinned] [--time-scale N] [--folder PATH]
 *          [--counters PATH --generation N] | --hold
 *
 * Lines: a snapshot of model/lbconf.api; "stats": the counters; "stop MS"; end of input stops at
 * once. */

#include "base/cleanup.h"
#include "base/log.h"
#include "gen/lbconf.h"
#include "lb/control.h"
#include "net/socket.h"
#include "shape/walk.h"
#include "stats/lbstats.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#define LINE_BYTES_MAX ((size_t)16 * 1024 * 1024)

struct box {
    struct ev_loop loop;
    struct ev_fd input;
    struct lbstats *stats;
    struct lb *lb;
    struct lb_report report;
    mono_t published_at; /* when the newest snapshot was ready to be given to the workers */
    struct buf line;
    mono_t began; /* the newest publishing */
    dur_t built;  /* how long the control thread was busy with it */
};

/* What the swap cost: the control thread, until the last worker said so, the slowest worker. */
static void print_swap(const struct box *box)
{
    uint64_t adopt_us = 0;
    for (size_t i = 0; i < box->lb->worker_count; i++) {
        uint64_t us = atomic_load(&box->lb->workers[i].adopt_us);
        adopt_us = us > adopt_us ? us : adopt_us;
    }
    printf("{\"swap\":{\"buildUs\":%lld,\"publishedUs\":%lld,\"adoptUs\":%llu}}\n",
           (long long)box->built.us, (long long)mono_since(clock_mono(), box->began).us,
           (unsigned long long)adopt_us);
}

static void published(void *self, uint64_t version)
{
    print_swap(self);
    struct box *box = self;
    long long took_us = (long long)mono_since(clock_mono(), box->published_at).us;
    printf("{\"published\":%llu,\"tookUs\":%lld}\n", (unsigned long long)version, took_us);
}

static void health(void *self, const struct lb_health_row *rows, size_t count)
{
    (void)self;
    for (size_t i = 0; i < count; i++) {
        const struct lb_health_row *r = &rows[i];
        printf(
            "{\"health\":{\"targetGroup\":\"%.*s\",\"host\":\"%.*s\",\"port\":%u,\"state\":\"%s\","
            "\"reason\":\"%.*s\",\"description\":\"%.*s\",\"isAnomalous\":%s,\"isMitigated\":%s}}"
            "\n",
            STR_ARG(r->group_arn), STR_ARG(r->host), r->port, r->state, STR_ARG(r->reason),
            STR_ARG(r->description), r->is_anomalous ? "true" : "false",
            r->is_mitigated ? "true" : "false");
    }
}

static void drained(void *self, struct str group_arn, struct str host, uint16_t port)
{
    (void)self;
    printf("{\"drained\":{\"targetGroup\":\"%.*s\",\"host\":\"%.*s\",\"port\":%u}}\n",
           STR_ARG(group_arn), STR_ARG(host), port);
}

static void listen_failed(void *self, struct str listener_arn, struct str sentence)
{
    (void)self;
    printf("{\"listenFailed\":{\"listener\":\"%.*s\",\"sentence\":\"%.*s\"}}\n",
           STR_ARG(listener_arn), STR_ARG(sentence));
}

static void unlistened(void *self, const struct net_addr *addr)
{
    (void)self;
    char text[NET_ADDR_TEXT_BYTES_MAX];
    (void)net_addr_format(addr, text);
    printf("{\"unlistened\":\"%s\"}\n", text);
}

static void stopped(void *self)
{
    struct box *box = self;
    printf("{\"stopped\":true}\n");
    ev_loop_stop(&box->loop);
}

static enum err listen_on(void *self, struct op *op, struct str listener_arn,
                          const struct net_addr *addr, size_t count, int *ret_fds)
{
    (void)self;
    (void)listener_arn;
    struct net_listen_options first = {.opens_shared_port = addr->is_datagram};
    struct net_listen_options more = {.is_shared_port = true};
    TRY(net_listen(op, addr, &first, &ret_fds[0]));
    for (size_t i = 1; i < count; i++) {
        TRY(net_listen(op, addr, &more, &ret_fds[i]));
    }
    return ERR_OK;
}

static void print_stats(struct box *box)
{
    static struct lbstats_reading r;
    printf("{\"stats\":[");
    bool is_first = true;
    for (uint32_t slot = 0; slot < LBSTATS_SLOTS_MAX; slot++) {
        struct lbstats_name name;
        if (!lbstats_name(box->stats, slot, &name) || !lbstats_read(box->stats, slot, &r)) {
            continue;
        }
        printf("%s{\"loadBalancer\":\"%s\",\"targetGroup\":\"%s\",\"healthy\":%u,\"unhealthy\":%u",
               is_first ? "" : ",", name.load_balancer, name.target_group, r.healthy_count,
               r.unhealthy_count);
        printf(",\"anomalous\":%u,\"mitigated\":%u", r.anomalous_count, r.mitigated_count);
        static const char *const keys[] = {
#define X(counter, name, family, kind, scope, unit) #counter,
#include "stats/lbstats_counters.def"
#undef X
        };
        for (size_t i = 0; i < LBSTATS_COUNTER_COUNT; i++) {
            printf(",\"%s\":%llu", keys[i] + strlen("LBSTATS_"), (unsigned long long)r.counters[i]);
        }
        printf(",\"timeCount\":%llu,\"p50\":%.0f,\"p99\":%.0f}",
               (unsigned long long)r.response_time.count,
               lbstats_hist_percentile_us(&r.response_time, 50),
               lbstats_hist_percentile_us(&r.response_time, 99));
        is_first = false;
    }
    printf("]}\n");
}

static void publish(struct box *box, struct str line)
{
    auto_op struct op op;
    op_init(&op);
    struct lbconf_snapshot snapshot = {0};
    enum err e = shape_json_decode(&op, &shape_lbconf_snapshot, line, SHAPE_LENIENT, &snapshot);
    if (e == ERR_OK) {
        box->began = clock_mono();
        box->published_at = clock_mono();
        e = lb_publish(&op, box->lb, &snapshot);
        box->built = mono_since(clock_mono(), box->began);
    }
    if (e != ERR_OK) {
        printf("{\"refused\":\"");
        for (const char *c = op.note.text; *c != '\0'; c++) {
            printf(*c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
        }
        printf("\"}\n");
    }
}

static void take_line(struct box *box, struct str line)
{
    uint64_t ms;
    if (STR_IS(line, "stats")) {
        print_stats(box);
    } else if (str_starts_with(line, STR("stop ")) &&
               str_parse_u64(str_from(line, 5), 3600000, &ms)) {
        lb_stop(box->lb, DUR_MS(ms));
    } else if (line.len > 0) {
        publish(box, line);
    }
}

static void on_input(struct ev_fd *fd, unsigned ready)
{
    (void)ready;
    struct box *box = CONTAINER_OF(fd, struct box, input);
    char *at = buf_reserve(&box->line, 65536);
    ssize_t n = at == NULL ? 0 : read(fd->fd, at, 65536);
    if (n <= 0) {
        ev_fd_close(fd);
        lb_stop(box->lb, DUR_MS(0));
        return;
    }
    box->line.len += (size_t)n;
    size_t end;
    while ((end = str_find_char(buf_str(&box->line), '\n', 0)) != STR_NOT_FOUND) {
        take_line(box, str_slice(buf_str(&box->line), 0, end));
        buf_consume(&box->line, end + 1);
    }
}

/* Only keeps counters, as sup does: "stats", and "gone N" when the process of generation N is dead.
 */
static enum err hold(struct op *op)
{
    static struct box box;
    char line[64];
    int fd = -1;
    TRY(lbstats_create(op, &fd));
    TRY(lbstats_map(op, fd, &box.stats));
    printf("{\"ready\":true}\n{\"hold\":\"/proc/%d/fd/%d\"}\n", (int)getpid(), fd);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        uint64_t generation = 0;
        struct str said = str_trim(str_of(line));
        if (str_starts_with(said, STR("gone ")) &&
            str_parse_u64(str_from(said, 5), UINT32_MAX, &generation)) {
            lbstats_generation_gone(box.stats, (uint32_t)generation);
            printf("{\"gone\":true}\n");
        } else {
            print_stats(&box);
        }
    }
    lbstats_unmap(box.stats);
    (void)close(fd);
    return ERR_OK;
}

static enum err run(struct op *op, struct box *box, struct lb_options *options,
                    const char *counters)
{
    auto_fd int fd = -1;
    if (counters == NULL) {
        TRY(lbstats_create(op, &fd));
    } else {
        fd = open(counters, O_RDWR | O_CLOEXEC);
    }
    TRY(lbstats_map(op, fd, &box->stats));
    TRY(ev_loop_open(op, &box->loop));
    box->report = (struct lb_report){.self = box,
                                     .published = published,
                                     .health = health,
                                     .drained = drained,
                                     .listen_failed = listen_failed,
                                     .unlistened = unlistened,
                                     .stopped = stopped};
    options->stats = box->stats;
    options->report = &box->report;
    options->listen = listen_on;
    TRY(lb_create(op, &box->loop, options, &box->lb));
    buf_init(&box->line, LINE_BYTES_MAX);
    TRY(ev_fd_open(&box->loop, &box->input, dup(0), EV_READ, on_input));
    printf("{\"ready\":true}\n");
    ev_loop_run(&box->loop);
    lb_free(box->lb);
    ev_fd_close(&box->input);
    ev_loop_close(&box->loop);
    buf_fini(&box->line);
    lbstats_unmap(box->stats);
    return ERR_OK;
}

int main(int argc, char **argv)
{
    static struct box box;
    struct lb_options options = {.worker_count = 1, .generation = 1};
    const char *counters = NULL;
    bool must_hold = false;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        uint64_t number = 0;
        if (i + 1 < argc) {
            (void)str_parse_u64(str_of(argv[i + 1]), 1000000, &number);
        }
        if (strcmp(argv[i], "--workers") == 0) {
            options.worker_count = (size_t)number;
        } else if (strcmp(argv[i], "--time-scale") == 0) {
            clock_set_scale((int64_t)number);
        } else if (strcmp(argv[i], "--pinned") == 0) {
            options.is_pinned = true;
        } else if (strcmp(argv[i], "--folder") == 0 && i + 1 < argc) {
            options.folder = str_of(argv[i + 1]);
        } else if (strcmp(argv[i], "--counters") == 0 && i + 1 < argc) {
            counters = argv[i + 1];
        } else if (strcmp(argv[i], "--generation") == 0) {
            options.generation = (uint32_t)number;
        } else if (strcmp(argv[i], "--hold") == 0) {
            must_hold = true;
        }
    }
    auto_op struct op op;
    op_init(&op);
    if ((must_hold ? hold(&op) : run(&op, &box, &options, counters)) != ERR_OK) {
        (void)fprintf(stderr, "lb_box: %s\n", op.note.text);
        return 1;
    }
    return 0;
}
