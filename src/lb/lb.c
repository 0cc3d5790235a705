#include "lb/lb.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "lb/control.h"
#include "lb/logs.h"
#include "net/socket.h"

#include <fcntl.h>
#include <unistd.h>

#define TICK DUR_MS(100)

void lb_wake_workers(struct lb *lb)
{
    for (size_t i = 0; i < lb->worker_count; i++) {
        ev_wake_up(&lb->workers[i].wake);
    }
}

/* ---- configurations that are over ------------------------------------------------------------ */

static uint64_t seen_by_all(const struct lb *lb)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < lb->worker_count; i++) {
        uint64_t seen = atomic_load_explicit(&lb->workers[i].seen_version, memory_order_acquire);
        least = seen < least ? seen : least;
    }
    return least;
}

static bool is_in_use(const struct lb *lb, const struct lb_conf *conf)
{
    for (size_t i = 0; i < lb->worker_count; i++) {
        if (atomic_load_explicit(&conf->uses[i].count, memory_order_acquire) > 0) {
            return true;
        }
    }
    return false;
}

static void on_tick(struct ev_timer *t);

/* Frees what no worker and no request refers to. */
static void free_older(struct lb *lb)
{
    uint64_t seen = seen_by_all(lb);
    struct lb_conf **at = &lb->older;
    while (*at != NULL) {
        struct lb_conf *conf = *at;
        if (conf->version < seen && !is_in_use(lb, conf)) {
            *at = conf->next;
            lb_conf_free(&lb->registry, conf);
        } else {
            at = &conf->next;
        }
    }
    lb_peers_sweep(&lb->registry);
    bool has_more = lb->older != NULL || lb->registry.lingering_count > 0;
    if (has_more && !ev_timer_is_set(&lb->tick)) {
        ev_timer_set(lb->loop, &lb->tick, TICK, on_tick);
    }
}

static void on_tick(struct ev_timer *t)
{
    free_older(CONTAINER_OF(t, struct lb, tick));
}

static bool is_listened_on(struct lb *lb, const struct net_addr *addr)
{
    const struct lb_conf *conf = lb_newest(lb);
    for (size_t i = 0; i < conf->listener_count; i++) {
        const struct lb_listener *l = &conf->listeners[i];
        struct net_addr own = l->addr;
        own.is_datagram = addr->is_datagram;
        if ((addr->is_datagram ? l->has_udp : l->has_tcp) && net_addr_equal(&own, addr)) {
            return true;
        }
    }
    return false;
}

static void tell_unlistened(struct lb *lb, const struct net_addr *addr)
{
    if (!is_listened_on(lb, addr)) {
        lb->options.report->unlistened(lb->options.report->self, addr);
    }
}

static void close_socket(struct lb *lb, struct lb_socket *s)
{
    int fd = atomic_load(&s->fd);
    if (fd >= 0) {
        (void)close(fd);
        atomic_store(&s->fd, -1);
        s->is_asked_for = false;
        tell_unlistened(lb, &s->addr);
    }
    unsigned count = atomic_load(&s->udp_count);
    if (count > 0) {
        for (unsigned i = 0; i < count; i++) {
            (void)close(s->udp_fds[i]);
        }
        atomic_store(&s->udp_count, 0);
        s->is_udp_asked_for = false;
        tell_unlistened(lb, &s->udp_addr);
    }
}

/* Nobody waits for connections on the sockets of listeners that are gone. */
static void close_sockets(struct lb *lb)
{
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&lb->registry.listeners.by_key, &at, &key, &value)) {
        struct lb_name *name = value;
        if (name->last_version < lb->published_version) {
            close_socket(lb, &name->socket);
        }
    }
}

/* ---- what workers tell ----------------------------------------------------------------------- */

static void see_versions(struct lb *lb)
{
    const struct lb_conf *conf = lb_newest(lb);
    uint64_t seen = seen_by_all(lb);
    if (conf == NULL || seen <= lb->published_version) {
        return;
    }
    lb->published_version = seen;
    close_sockets(lb);
    lb->options.report->published(lb->options.report->self, seen);
}

static void see_ends(struct lb *lb)
{
    for (size_t i = 0; i < lb->worker_count; i++) {
        if (!atomic_load(&lb->workers[i].is_stopped)) {
            return;
        }
    }
    if (atomic_load(&lb->is_stopping) && !lb->is_stopped) {
        lb->is_stopped = true;
        ev_timer_stop(&lb->stop_timer);
        lb->options.report->stopped(lb->options.report->self);
    }
}

static void on_wake(struct ev_wake *wake)
{
    struct lb *lb = CONTAINER_OF(wake, struct lb, wake);
    see_versions(lb);
    lb_drains_check(lb);
    lb_sign_ins_tell(lb);
    lb_watch_eject(lb);
    free_older(lb);
    see_ends(lb);
}

/* ---- publishing ------------------------------------------------------------------------------ */

/* A listener that goes leaves its socket to the one that comes at the same address: connections
 * that wait there are not lost. */
static int inherited_socket(struct lb *lb, const struct lb_listener *l)
{
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&lb->registry.listeners.by_key, &at, &key, &value)) {
        const struct lb_name *name = value;
        int fd = atomic_load(&name->socket.fd);
        if (&name->socket != l->socket && fd >= 0 && net_addr_equal(&name->socket.addr, &l->addr)) {
            return fcntl(fd, F_DUPFD_CLOEXEC, 0);
        }
    }
    return -1;
}

static void ask_for_stream(struct lb *lb, struct op *op, const struct lb_listener *l)
{
    struct lb_socket *s = l->socket;
    if (!l->has_tcp || atomic_load(&s->fd) >= 0 || s->is_asked_for) {
        return;
    }
    s->addr = l->addr;
    int fd = inherited_socket(lb, l);
    enum err e = fd >= 0
                     ? ERR_OK
                     : lb->options.listen(lb->options.listen_self, op, l->arn, &l->addr, 1, &fd);
    if (e == ERR_OK) {
        lb_tune_socket(fd, &l->addr); /* connections inherit it */
        atomic_store_explicit(&s->fd, fd, memory_order_release);
    } else if (e == ERR_AGAIN) {
        s->is_asked_for = true;
    } else {
        lb->options.report->listen_failed(lb->options.report->self, l->arn, str_of(op->note.text));
    }
    op_note_clear(op);
}

static void take_datagrams(struct lb_socket *s, const int *fds, size_t count)
{
    CHECK(count <= LB_UDP_SOCKETS_MAX);
    memcpy(s->udp_fds, fds, count * sizeof(*fds));
    atomic_store_explicit(&s->udp_count, (unsigned)count, memory_order_release);
}

static void ask_for_datagrams(struct lb *lb, struct op *op, const struct lb_listener *l)
{
    struct lb_socket *s = l->socket;
    if (!l->has_udp || atomic_load(&s->udp_count) > 0 || s->is_udp_asked_for) {
        return;
    }
    int fds[LB_UDP_SOCKETS_MAX];
    s->udp_addr = l->addr;
    s->udp_addr.is_datagram = true;
    size_t count = lb->worker_count < LB_UDP_SOCKETS_MAX ? lb->worker_count : LB_UDP_SOCKETS_MAX;
    enum err e = lb->options.listen(lb->options.listen_self, op, l->arn, &s->udp_addr, count, fds);
    if (e == ERR_OK) {
        take_datagrams(s, fds, count);
    } else if (e == ERR_AGAIN) {
        s->is_udp_asked_for = true;
    } else {
        lb->options.report->listen_failed(lb->options.report->self, l->arn, str_of(op->note.text));
    }
    op_note_clear(op);
}

static void ask_for_sockets(struct lb *lb, struct op *op, struct lb_conf *conf)
{
    for (size_t i = 0; i < conf->listener_count; i++) {
        ask_for_stream(lb, op, &conf->listeners[i]);
        ask_for_datagrams(lb, op, &conf->listeners[i]);
    }
}

/* One bit a slot of the counters. */
struct slots {
    uint64_t words[(LBSTATS_SLOTS_MAX + 63) / 64];
};

static void note_slot(struct slots *to, uint32_t slot)
{
    if (slot != LBSTATS_NONE) {
        to->words[slot / 64] |= (uint64_t)1 << (slot % 64);
    }
}

static void note_slots(struct slots *to, const struct lb_conf *conf)
{
    for (size_t i = 0; conf != NULL && i < conf->group_count; i++) {
        note_slot(to, conf->groups[i].slot);
    }
    for (size_t i = 0; conf != NULL && i < conf->listener_count; i++) {
        note_slot(to, conf->listeners[i].slot);
    }
}

static void retire_slots(struct lb *lb, const struct lb_conf *before, const struct lb_conf *now)
{
    struct slots had = {0};
    struct slots has = {0};
    note_slots(&had, before);
    note_slots(&has, now);
    for (uint32_t slot = 0; slot < LBSTATS_SLOTS_MAX; slot++) {
        if ((had.words[slot / 64] & ~has.words[slot / 64]) >> (slot % 64) & 1) {
            lbstats_slot_retire(lb->options.stats, slot, ev_now(lb->loop));
        }
    }
}

enum err lb_publish(struct op *op, struct lb *lb, const struct lbconf_snapshot *snapshot)
{
    struct lb_conf *before = lb_newest(lb);
    uint64_t version = (uint64_t)OPT_OR(snapshot->version, 0);
    if (version <= (before == NULL ? 0 : before->version)) {
        return op_fail(op, ERR_STATE, "snapshot %llu is not newer than the one in use",
                       (unsigned long long)version);
    }
    if (atomic_load(&lb->is_stopping)) {
        return op_fail(op, ERR_STATE, "the data plane is stopping");
    }
    struct lb_conf *conf = NULL;
    TRY(lb_conf_build(op, &lb->registry, lb->options.stats, snapshot, &conf));
    ask_for_sockets(lb, op, conf);
    lb_drains_adopt(lb, conf, snapshot);
    lb_probes_adopt(lb, conf);
    lb_watch_adopt(lb, conf);
    retire_slots(lb, before, conf);
    if (before != NULL) {
        before->next = lb->older;
        lb->older = before;
    }
    atomic_store_explicit(&lb->conf, conf, memory_order_release);
    lb_wake_workers(lb);
    return ERR_OK;
}

/* The listener may have got another address since the socket was asked for. */
static bool is_bound_to(const struct net_addr *local, const struct net_addr *addr)
{
    struct net_addr wanted = *addr;
    wanted.is_datagram = local->is_datagram;
    return net_addr_port(addr) == 0 || net_addr_equal(local, &wanted);
}

/* True when the listener takes them. */
static bool give(struct lb_listener *l, const int *fds, size_t count, bool are_datagrams)
{
    struct lb_socket *s = l->socket;
    if (are_datagrams) {
        if (!l->has_udp || atomic_load(&s->udp_count) > 0 || count > LB_UDP_SOCKETS_MAX) {
            return false;
        }
        s->is_udp_asked_for = false;
        take_datagrams(s, fds, count);
        return true;
    }
    if (!l->has_tcp || count != 1 || atomic_load(&s->fd) >= 0) {
        return false;
    }
    s->is_asked_for = false;
    lb_tune_socket(fds[0], &l->addr);
    atomic_store_explicit(&s->fd, fds[0], memory_order_release);
    return true;
}

void lb_listener_give(struct lb *lb, struct str listener_arn, const int *fds, size_t count)
{
    struct lb_conf *conf = lb_newest(lb);
    auto_op struct op op;
    struct net_addr local;
    op_init(&op);
    bool is_known = net_local_addr(&op, fds[0], &local) == ERR_OK;
    for (size_t i = 0; is_known && conf != NULL && i < conf->listener_count; i++) {
        struct lb_listener *l = &conf->listeners[i];
        if (str_equal(l->arn, listener_arn) && is_bound_to(&local, &l->addr) &&
            give(l, fds, count, local.is_datagram)) {
            lb_wake_workers(lb);
            return;
        }
    }
    if (is_known && (conf == NULL || !is_listened_on(lb, &local))) {
        lb->options.report->unlistened(lb->options.report->self, &local);
    }
    for (size_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
}

void lb_report_all(struct lb *lb)
{
    struct lb_conf *conf = lb_newest(lb);
    for (size_t i = 0; conf != NULL && i < conf->group_count; i++) {
        const struct lb_group *g = &conf->groups[i];
        for (size_t j = 0; j < g->target_count; j++) {
            char room[LB_DESCRIPTION_BYTES];
            struct lb_health_row row = lb_probe_row(lb, g, &g->targets[j], room, sizeof(room));
            lb->options.report->health(lb->options.report->self, &row, 1);
        }
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static size_t core_count(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (size_t)count;
}

static void end_workers(struct lb *lb)
{
    atomic_store(&lb->must_cut, true);
    atomic_store(&lb->is_stopping, true);
    lb_wake_workers(lb);
    for (size_t i = 0; i < lb->worker_count; i++) {
        lb_worker_join(&lb->workers[i]);
    }
    lb->worker_count = 0;
}

enum err lb_create(struct op *op, struct ev_loop *loop, const struct lb_options *options,
                   struct lb **ret_lb)
{
    size_t count = options->worker_count == 0 ? core_count() : options->worker_count;
    count = count > LB_WORKERS_MAX ? LB_WORKERS_MAX : count;
    struct lb *lb = mem_alloc(sizeof(*lb) + count * sizeof(struct lb_worker));
    lb->loop = loop;
    lb->options = *options;
    lb_registry_init(&lb->registry, count);
    lb->sources = lb_sources_new();
    lb_mailbox_init(&lb->sign_ins);
    lb_tls_room_init(&lb->tls_room, &lb->blocks);
    enum err e = ev_wake_open(op, loop, &lb->wake, on_wake);
    if (e != ERR_OK) {
        lb_tls_room_fini(&lb->tls_room);
        lb_registry_fini(&lb->registry);
        mem_free(lb->sources);
        mem_free(lb);
        return e;
    }
    if (str_is_set(options->folder)) {
        e = lb_logs_open(op, options->folder, count, &lb->logs);
        lb->registry.logs = lb->logs;
    }
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        e = lb_worker_start(op, lb, &lb->workers[i], (uint32_t)i);
        lb->worker_count += e == ERR_OK;
    }
    if (e != ERR_OK) {
        lb_free(lb);
        return e;
    }
    *ret_lb = lb;
    return ERR_OK;
}

static void on_stop_time(struct ev_timer *t)
{
    struct lb *lb = CONTAINER_OF(t, struct lb, stop_timer);
    atomic_store(&lb->must_cut, true);
    lb_wake_workers(lb);
}

void lb_stop(struct lb *lb, dur_t at_most)
{
    if (atomic_exchange(&lb->is_stopping, true)) {
        return;
    }
    if (lb_newest(lb) != NULL) {
        lb_probes_close(lb, lb_newest(lb));
    }
    ev_timer_set(lb->loop, &lb->stop_timer, at_most, on_stop_time);
    lb_wake_workers(lb);
}

void lb_free(struct lb *lb)
{
    struct lb_conf *conf = lb_newest(lb);
    if (conf != NULL) {
        lb_probes_close(lb, conf);
    }
    end_workers(lb);
    ev_timer_stop(&lb->tick);
    ev_timer_stop(&lb->drain_timer);
    ev_timer_stop(&lb->stop_timer);
    ev_timer_stop(&lb->watch_timer);
    ev_wake_close(&lb->wake);
    while (lb->older != NULL) {
        struct lb_conf *old = lb->older;
        lb->older = old->next;
        lb_conf_free(&lb->registry, old);
    }
    if (conf != NULL) {
        lb_conf_free(&lb->registry, conf);
    }
    lb_peers_sweep(&lb->registry);
    lb_registry_fini(&lb->registry);
    lb_logs_close(lb->logs);
    mem_free(lb->sources);
    lb_mailbox_fini(&lb->sign_ins);
    lb_tls_room_fini(&lb->tls_room);
    lb_blocks_fini(&lb->blocks);
    mem_free(lb);
}
