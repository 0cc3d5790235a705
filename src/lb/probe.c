/* Health checks. Source: ALB: GET over a new connection each time, Host ip:port, one success makes
 * a new target healthy, thresholds count afterwards. Ours: a target that has never answered is
 * asked again soon, not after a whole interval, so that a deployment does not wait for the clock;
 * only one failure an interval counts. */

#include "base/check.h"
#include "base/mem.h"
#include "lb/control.h"
#include "lb/h2_probe.h"
#include "lb/tls_site.h"
#include "lb/tls_target.h"
#include "net/proxy_protocol.h"
#include "net/socket.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum reason { REASON_NONE, REASON_MISMATCH, REASON_TIMEOUT, REASON_FAILED, REASON_INTERNAL };

struct lb_probe {
    struct ev_fd fd;
    struct ev_timer timer; /* of the running probe, else for the next one */
    struct lb *lb;
    struct lb_peer *peer;
    struct lb_group *group; /* of the newest configuration */
    struct lb_h2_probe *h2; /* while a probe of an HTTP2 or GRPC group runs */
    struct lb_tls *tls;     /* NULL: plain */
    char *bytes;            /* LB_PROBE_BYTES_MAX while a probe runs */
    size_t sent_bytes;
    size_t got_bytes;
    mono_t began;
    mono_t counted_at; /* the last failure that counted */
    dur_t first_pause;
    uint32_t success_run;
    uint32_t failure_run;
    enum reason reason;
    unsigned code;
    bool is_connected;
    bool is_sent;
    bool is_tls;
};

static void start(struct ev_timer *t);

/* ---- what is reported ------------------------------------------------------------------------ */

struct lb_health_row lb_probe_row(const struct lb *lb, const struct lb_group *g,
                                  const struct lb_target *t, char *room, size_t room_bytes)
{
    static const char *const states[] = {[LB_HEALTH_INITIAL] = "initial",
                                         [LB_HEALTH_HEALTHY] = "healthy",
                                         [LB_HEALTH_UNHEALTHY] = "unhealthy",
                                         [LB_HEALTH_UNUSED] = "unused",
                                         [LB_HEALTH_UNCHECKED] = "unavailable"};
    const struct lb_peer *peer = t->peer;
    int health = atomic_load(&peer->health);
    struct lb_health_row row = {
        .group_arn = g->arn,
        .host = peer->host,
        .port = peer->port,
        .state = t->is_draining ? "draining" : states[health],
        .inflight_count = lb_peer_inflight(peer, lb->worker_count),
        .is_anomalous = lb_watch_is_anomalous(peer),
        .is_mitigated = atomic_load(&peer->share) < LB_SHARE_WHOLE,
    };
    enum reason reason = peer->probe == NULL ? REASON_NONE : peer->probe->reason;
    if (t->is_draining) {
        row.reason = STR("Target.DeregistrationInProgress");
        row.description = STR("Target deregistration is in progress");
    } else if (health == LB_HEALTH_INITIAL) {
        row.reason = STR("Elb.InitialHealthChecking");
        row.description = STR("Initial health checks in progress");
    } else if (health == LB_HEALTH_UNUSED) {
        row.reason = STR("Target.NotInUse");
        row.description = STR("Target group is not configured to receive traffic from the load "
                              "balancer");
    } else if (health == LB_HEALTH_UNCHECKED) {
        row.reason = STR("Target.HealthCheckDisabled");
        row.description = STR("Health checks are disabled");
    } else if (health == LB_HEALTH_UNHEALTHY && reason == REASON_MISMATCH) {
        row.reason = STR("Target.ResponseCodeMismatch");
        int len = snprintf(room, room_bytes, "Health checks failed with these codes: [%u]",
                           peer->probe->code);
        row.description = str_make(room, (size_t)len);
    } else if (health == LB_HEALTH_UNHEALTHY && reason == REASON_TIMEOUT) {
        row.reason = STR("Target.Timeout");
        row.description = STR("Request timed out");
    } else if (health == LB_HEALTH_UNHEALTHY && reason == REASON_INTERNAL) {
        row.reason = STR("Elb.InternalError");
        row.description = STR("Health checks failed due to an internal error");
    } else if (health == LB_HEALTH_UNHEALTHY) {
        row.reason = STR("Target.FailedHealthChecks");
        row.description = STR("Health checks failed");
    }
    return row;
}

static void publish_counts(struct lb *lb, struct lb_group *g)
{
    lb_group_recount(g);
    if (g->slot == LBSTATS_NONE) {
        return;
    }
    uint32_t healthy = 0;
    uint32_t unhealthy = 0;
    for (size_t i = 0; i < g->usable_count; i++) {
        int health = atomic_load(&g->targets[i].peer->health);
        healthy += lb_health_takes_traffic(health);
        unhealthy += health == LB_HEALTH_UNHEALTHY;
    }
    lbstats_hosts_set(lb->options.stats, g->slot, healthy, unhealthy);
    lbstats_states_set(lb->options.stats, g->slot, healthy >= g->dns_below,
                       healthy >= g->open_below);
}

void lb_probe_report(struct lb *lb, const struct lb_group *g, const struct lb_target *t)
{
    char room[LB_DESCRIPTION_BYTES];
    struct lb_health_row row = lb_probe_row(lb, g, t, room, sizeof(room));
    lb->options.report->health(lb->options.report->self, &row, 1);
}

static void changed(struct lb_probe *p)
{
    publish_counts(p->lb, p->group);
    for (size_t i = 0; i < p->group->target_count; i++) {
        if (p->group->targets[i].peer == p->peer) {
            lb_probe_report(p->lb, p->group, &p->group->targets[i]);
        }
    }
}

/* ---- thresholds ------------------------------------------------------------------------------ */

static int next_health(const struct lb_probe *p, int health)
{
    const struct lb_check *check = &p->group->check;
    if (health == LB_HEALTH_INITIAL && p->success_run > 0) {
        return LB_HEALTH_HEALTHY;
    }
    if (health == LB_HEALTH_UNHEALTHY && p->success_run >= check->healthy_threshold) {
        return LB_HEALTH_HEALTHY;
    }
    if (health != LB_HEALTH_UNHEALTHY && p->failure_run >= check->unhealthy_threshold) {
        return LB_HEALTH_UNHEALTHY;
    }
    return health;
}

/* ---- slow start ------------------------------------------------------------------------------ */

/* Some healthy target has its whole share. */
static bool has_warm_one(const struct lb_group *g)
{
    mono_t now = clock_mono();
    for (size_t i = 0; i < g->usable_count; i++) {
        const struct lb_peer *peer = g->targets[i].peer;
        int64_t since_us = atomic_load(&peer->slow_since_us);
        bool is_warm = since_us == 0 || now.us - since_us >= dur_scaled(g->slow_start).us;
        if (is_warm && lb_health_takes_traffic(atomic_load(&peer->health))) {
            return true;
        }
    }
    return false;
}

/* Source: ALB: a target warms up when it becomes healthy after it was registered beside a warm one,
 * or after it was unhealthy, as long as there is a warm one; being unhealthy ends it. */
static void set_health(const struct lb_group *g, struct lb_peer *peer, int health)
{
    bool takes_traffic = lb_health_takes_traffic(health);
    bool begins = takes_traffic && g->slow_start.us > 0 && peer->may_warm_up && has_warm_one(g);
    if (!takes_traffic || begins) {
        atomic_store(&peer->slow_since_us, begins ? clock_mono().us : 0);
    }
    peer->may_warm_up = health == LB_HEALTH_UNHEALTHY || (!takes_traffic && peer->may_warm_up);
    atomic_store(&peer->health, health);
}

/* When the next probe begins. */
static dur_t pause_of(struct lb_probe *p, int health)
{
    dur_t interval = dur_scaled(p->group->check.interval);
    dur_t took = mono_since(ev_now(p->lb->loop), p->began);
    if (health == LB_HEALTH_INITIAL && p->first_pause.us < interval.us) {
        dur_t pause = p->first_pause;
        p->first_pause = DUR_US(pause.us * 3 / 2);
        return pause;
    }
    return DUR_US(took.us < interval.us ? interval.us - took.us : 0);
}

static void end_probe(struct lb_probe *p)
{
    lb_tls_free(p->tls);
    p->tls = NULL;
    ev_fd_close(&p->fd);
    ev_timer_stop(&p->timer);
    if (p->bytes != NULL) {
        p->lb->probes_open--;
    }
    mem_free(p->bytes);
    p->bytes = NULL;
    lb_h2_probe_free(p->h2);
    p->h2 = NULL;
}

static void note_failure(struct lb_probe *p, int health)
{
    mono_t now = ev_now(p->lb->loop);
    dur_t since = mono_since(now, p->counted_at);
    p->success_run = 0;
    bool is_early = health == LB_HEALTH_INITIAL && p->failure_run > 0 &&
                    since.us < dur_scaled(p->group->check.interval).us;
    if (!is_early) {
        p->failure_run++;
        p->counted_at = now;
    }
}

static void finish(struct lb_probe *p, enum reason reason, unsigned code)
{
    end_probe(p);
    int health = atomic_load(&p->peer->health);
    if (reason == REASON_NONE) {
        p->failure_run = 0;
        p->success_run++;
    } else {
        note_failure(p, health);
    }
    int next = next_health(p, health);
    bool is_new_reason = next == LB_HEALTH_UNHEALTHY && reason != REASON_NONE &&
                         (reason != p->reason || code != p->code);
    if (reason != REASON_NONE || next == LB_HEALTH_HEALTHY) {
        p->reason = reason;
        p->code = code;
    }
    if (next != health) {
        p->success_run = 0;
        p->failure_run = 0;
        set_health(p->group, p->peer, next);
        if (next == LB_HEALTH_UNHEALTHY && p->group->cuts_unhealthy) {
            lb_wake_workers(p->lb);
        }
    }
    ev_timer_set(p->lb->loop, &p->timer, pause_of(p, next), start);
    if (next != health || is_new_reason) {
        changed(p);
    }
}

/* ---- one probe ------------------------------------------------------------------------------- */

static bool is_wanted_code(const struct lb_check *check, unsigned code)
{
    for (size_t i = 0; i < check->range_count; i++) {
        if (code >= check->ranges[i].from && code <= check->ranges[i].to) {
            return true;
        }
    }
    return false;
}

static ssize_t read_now(struct lb_probe *p, char *at, size_t room)
{
    return p->tls == NULL ? recv(p->fd.fd, at, room, 0) : lb_tls_read(p->tls, at, room);
}

static ssize_t write_now(struct lb_probe *p, struct str bytes)
{
    return p->tls == NULL ? send(p->fd.fd, bytes.ptr, bytes.len, MSG_NOSIGNAL)
                          : lb_tls_write(p->tls, bytes);
}

static void want(struct lb_probe *p, unsigned wanted)
{
    ev_fd_want(&p->fd, p->tls == NULL ? wanted : lb_tls_wants(p->tls, wanted));
}

static void judge(struct lb_probe *p, unsigned code)
{
    bool is_good = is_wanted_code(&p->group->check, code);
    finish(p, is_good ? REASON_NONE : REASON_MISMATCH, is_good ? 0 : code);
}

/* All that the session has to say; it is little, and fits into the socket's buffer. False when the
 * probe is over. */
static bool write_h2(struct lb_probe *p)
{
    if (p->h2 == NULL) {
        char host[NET_ADDR_TEXT_BYTES_MAX];
        (void)net_addr_format(&p->peer->addr, host);
        bool is_unix = net_addr_is_unix(&p->peer->addr);
        p->h2 = lb_h2_probe_make(p->group->version, p->group->check.path,
                                 is_unix ? STR("localhost") : str_of(host),
                                 p->is_tls ? STR("https") : STR("http"));
    }
    struct str out;
    while (str_is_set(out = lb_h2_probe_out(p->h2))) {
        if (write_now(p, out) != (ssize_t)out.len) {
            finish(p, REASON_FAILED, 0);
            return false;
        }
    }
    p->is_sent = true;
    want(p, EV_READ);
    return true;
}

static void read_h2(struct lb_probe *p)
{
    ssize_t n = read_now(p, p->bytes, LB_PROBE_BYTES_MAX);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    unsigned code = 0;
    p->got_bytes += n < 0 ? 0 : (size_t)n;
    enum lb_h2_probe_state state =
        n <= 0 || p->got_bytes > LB_PROBE_H2_BYTES_MAX
            ? LB_H2_PROBE_FAILED
            : lb_h2_probe_take(p->h2, str_make(p->bytes, (size_t)n), &code);
    if (state == LB_H2_PROBE_FAILED) {
        finish(p, REASON_FAILED, 0);
    } else if (state == LB_H2_PROBE_ANSWERED) {
        judge(p, code);
    } else {
        (void)write_h2(p);
    }
}

static void read_answer(struct lb_probe *p)
{
    if (p->h2 != NULL) {
        read_h2(p);
        return;
    }
    ssize_t n = read_now(p, p->bytes + p->got_bytes, LB_PROBE_BYTES_MAX - p->got_bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        finish(p, REASON_FAILED, 0);
        return;
    }
    p->got_bytes += (size_t)n;
    struct h1_head head;
    h1_head_init(&head);
    enum h1_result r = h1_parse_response(&head, p->bytes, p->got_bytes, false);
    if (r == H1_BAD || (r == H1_MORE && p->got_bytes == LB_PROBE_BYTES_MAX)) {
        finish(p, REASON_FAILED, 0);
    } else if (r == H1_DONE) {
        judge(p, head.status);
    }
}

/* The request fits into the socket's buffer; when it does not, the rest goes with the next event.
 */
static void write_request(struct lb_probe *p)
{
    if (p->group->version != LB_HTTP1) {
        (void)write_h2(p);
        return;
    }
    char host[NET_ADDR_TEXT_BYTES_MAX];
    (void)net_addr_format(&p->peer->addr, host);
    bool is_unix = net_addr_is_unix(&p->peer->addr);
    struct h1_writer w;
    h1_writer_init(&w, p->bytes, LB_PROBE_BYTES_MAX);
    h1_write_request_line(&w, STR("GET"), p->group->check.path);
    h1_write_field(&w, STR("Host"), is_unix ? STR("localhost") : str_of(host));
    h1_write_field(&w, STR("Connection"), STR("close"));
    h1_write_field(&w, STR("User-Agent"), STR("ELB-HealthChecker/2.0"));
    h1_write_field(&w, STR("Accept-Encoding"), STR("gzip, compressed"));
    h1_write_end(&w);
    CHECK(!w.is_broken);
    ssize_t n = write_now(p, str_make(w.ptr + p->sent_bytes, w.len - p->sent_bytes));
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        finish(p, REASON_FAILED, 0);
        return;
    }
    p->sent_bytes += n < 0 ? 0 : (size_t)n;
    p->is_sent = p->sent_bytes == w.len;
    want(p, p->is_sent ? EV_READ : EV_WRITE);
}

/* False: not yet, or the probe is over. */
static bool has_shaken(struct lb_probe *p)
{
    if (p->tls == NULL) {
        struct str alpn = p->group->version == LB_HTTP1 ? STR_NONE : STR("h2");
        p->tls = lb_tls_dial(p->lb->registry.tls->targets, &p->lb->tls_room, &p->fd, alpn, NULL);
    }
    if (!lb_tls_is_shaking(p->tls)) {
        return true;
    }
    enum lb_tls_step step = lb_tls_handshake(p->tls);
    if (step == LB_TLS_FAILED) {
        finish(p, REASON_FAILED, 0);
    } else if (step == LB_TLS_MORE) {
        want(p, EV_READ);
    }
    return step == LB_TLS_DONE;
}

/* A target that expects headers of the PROXY protocol gets one that tells of no client. Source:
 * NLB, "The proxy protocol header is also included in health check connections". */
static bool send_header(const struct lb_probe *p)
{
    static const struct net_addr nobody = {0};
    char room[PROXY_V2_WRITE_BYTES_MAX];
    size_t len = proxy_write_v2(room, &nobody, &nobody, true);
    return send(p->fd.fd, room, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static void on_event(struct ev_fd *fd, unsigned ready)
{
    struct lb_probe *p = CONTAINER_OF(fd, struct lb_probe, fd);
    if (!p->is_connected) {
        if (net_dial_result(p->fd.fd) != 0) {
            finish(p, REASON_FAILED, 0);
            return;
        }
        p->is_connected = true;
        if (p->group->check.is_connect) {
            finish(p, REASON_NONE, 0);
            return;
        }
        if (p->group->sends_header && !send_header(p)) {
            finish(p, REASON_FAILED, 0);
            return;
        }
    }
    if (p->tls != NULL && !lb_tls_flush(p->tls)) {
        finish(p, REASON_FAILED, 0);
        return;
    }
    if (p->is_tls && !has_shaken(p)) {
        return;
    }
    if (!p->is_sent) {
        write_request(p);
    } else if ((ready & (EV_READ | EV_BROKEN)) != 0) {
        read_answer(p);
        if (ev_fd_is_open(&p->fd)) {
            want(p, EV_READ);
        }
    }
}

static void on_timeout(struct ev_timer *t)
{
    finish(CONTAINER_OF(t, struct lb_probe, timer), REASON_TIMEOUT, 0);
}

/* This machine is short of something; the target has no part in it. */
static bool is_ours(int failure)
{
    return failure == EMFILE || failure == ENFILE || failure == ENOBUFS || failure == ENOMEM ||
           failure == EADDRNOTAVAIL;
}

static void start(struct ev_timer *t)
{
    struct lb_probe *p = CONTAINER_OF(t, struct lb_probe, timer);
    struct lb *lb = p->lb;
    if (lb->probes_open >= LB_PROBES_MAX) {
        ev_timer_set(lb->loop, &p->timer, DUR_MS(20), start);
        return;
    }
    p->began = ev_now(lb->loop);
    p->is_connected = false;
    p->is_sent = false;
    p->is_tls = p->group->check.is_tls;
    p->sent_bytes = 0;
    p->got_bytes = 0;
    struct net_addr addr = p->peer->addr;
    if (p->group->check.port != 0 && !net_addr_is_unix(&addr)) {
        CHECK(net_addr_parse_host(p->peer->host, p->group->check.port, &addr));
    }
    int fd = -1;
    int failure = net_dial_errno(&addr, &fd);
    if (failure != 0) {
        finish(p, is_ours(failure) ? REASON_INTERNAL : REASON_FAILED, 0);
        return;
    }
    if (ev_fd_open(lb->loop, &p->fd, fd, EV_WRITE, on_event) != ERR_OK) {
        (void)close(fd);
        finish(p, REASON_INTERNAL, 0);
        return;
    }
    p->bytes = mem_alloc(LB_PROBE_BYTES_MAX);
    lb->probes_open++;
    ev_timer_set(lb->loop, &p->timer, p->group->check.timeout, on_timeout);
}

/* ---- which targets are probed -----------------------------------------------------------------
 */

static void stop(struct lb_peer *peer)
{
    if (peer->probe != NULL) {
        end_probe(peer->probe);
        mem_free(peer->probe);
        peer->probe = NULL;
    }
}

static int unprobed_health(const struct lb_group *g)
{
    return g->is_in_use ? LB_HEALTH_UNCHECKED : LB_HEALTH_UNUSED;
}

static void aim(struct lb *lb, struct lb_group *g, const struct lb_target *t)
{
    struct lb_peer *peer = t->peer;
    int before = atomic_load(&peer->health);
    bool is_probed = g->check.is_on && g->is_in_use && !t->is_draining;
    if (!is_probed) {
        stop(peer);
        if (!t->is_draining && before != unprobed_health(g)) {
            set_health(g, peer, unprobed_health(g));
        }
    } else if (peer->probe == NULL) {
        if (before == LB_HEALTH_UNUSED || before == LB_HEALTH_UNCHECKED) {
            atomic_store(&peer->health, LB_HEALTH_INITIAL);
        }
        struct lb_probe *p = MEM_NEW(struct lb_probe);
        p->lb = lb;
        p->peer = peer;
        p->first_pause = LB_PROBE_FIRST_PAUSE;
        peer->probe = p;
        ev_timer_set(lb->loop, &p->timer, DUR_MS(0), start);
    }
    if (peer->probe != NULL) {
        peer->probe->group = g;
    }
}

/* Peers that the new configuration does not name have nobody to report to. */
static void stop_gone(struct lb *lb, const struct lb_conf *conf)
{
    const struct lb_conf *before = lb_newest(lb);
    for (size_t i = 0; before != NULL && i < before->group_count; i++) {
        for (size_t j = 0; j < before->groups[i].target_count; j++) {
            struct lb_peer *peer = before->groups[i].targets[j].peer;
            if (peer->seen_version != conf->version) {
                stop(peer);
            }
        }
    }
}

void lb_probes_adopt(struct lb *lb, struct lb_conf *conf)
{
    for (size_t i = 0; i < conf->group_count; i++) {
        struct lb_group *g = &conf->groups[i];
        bool has_warm = g->slow_start.us > 0 && has_warm_one(g);
        for (size_t j = 0; j < g->target_count; j++) {
            struct lb_peer *peer = g->targets[j].peer;
            bool is_new = peer->seen_version == 0;
            peer->may_warm_up = is_new ? has_warm : peer->may_warm_up;
            bool was_draining = peer->was_draining;
            int before = atomic_load(&peer->health);
            peer->seen_version = conf->version;
            peer->was_draining = g->targets[j].is_draining;
            aim(lb, g, &g->targets[j]);
            if (is_new || was_draining != peer->was_draining ||
                before != atomic_load(&peer->health)) {
                lb_probe_report(lb, g, &g->targets[j]);
            }
        }
        publish_counts(lb, g);
    }
    stop_gone(lb, conf);
}

void lb_probes_close(struct lb *lb, struct lb_conf *conf)
{
    (void)lb;
    for (size_t i = 0; i < conf->group_count; i++) {
        for (size_t j = 0; j < conf->groups[i].target_count; j++) {
            stop(conf->groups[i].targets[j].peer);
        }
    }
}
