/* UDP of a network load balancer. Datagrams of one client address and port are a flow and go to one
 * target over a socket of their own, which is how answers find back; a flow ends when nothing moves
 * for 120 s (NLB), or with its target. Each worker serves sockets of its own that share the port,
 * and the kernel gives all datagrams of a flow to one of them.
 *
 * Floods  A flow costs a descriptor, so a worker has LB_UDP_FLOWS_MAX. When they are all taken, the
 *         oldest that no target has answered makes room: spoofed sources displace each other, not
 *         clients that are served. */

#include "lb/udp_table.h"

#include "base/check.h"
#include "base/mem.h"
#include "lb/cidr_set.h"
#include "lb/control.h"
#include "lb/flow.h"
#include "lb/rule.h"
#include "net/socket.h"

#include <errno.h>
#include <unistd.h>

#define CONTROL_BYTES 64

/* A listener's socket in this worker. */
struct lb_udp_socket {
    struct ev_fd fd;
    struct list node; /* in the worker's */
    struct lb_worker *worker;
    uint64_t serial; /* of the listener */
    uint32_t index;
    uint32_t slot;
    int listen_fd; /* belongs to the control thread */
    bool is_any;   /* bound to all addresses: answers must say from which */
    bool is_known; /* in the adoption under way */
};

/* Room for one batch of datagrams; shared by all sockets of the worker. */
struct lb_udp_room {
    struct mmsghdr messages[LB_UDP_BATCH];
    struct iovec pieces[LB_UDP_BATCH];
    struct sockaddr_in6 names[LB_UDP_BATCH];
    char control[LB_UDP_BATCH][CONTROL_BYTES] __attribute__((aligned(8)));
    char
        *bytes; /* LB_UDP_BATCH times LB_DATAGRAM_BYTES_MAX; pages that are not used cost nothing */
};

static void on_answers(struct ev_fd *fd, unsigned ready);
static void on_datagrams(struct ev_fd *fd, unsigned ready);

/* ---- counting -------------------------------------------------------------------------------- */

static void count_flow(const struct lb_udp_flow *f, bool begins)
{
    struct lbstats_block *b = lb_count_block(f->worker, f->socket->slot);
    if (b == NULL) {
        return;
    }
    lbstats_begin(b);
    if (begins) {
        lbstats_add(b, LBSTATS_NEW_FLOWS_UDP, 1);
        lbstats_add(b, LBSTATS_ACTIVE_FLOWS_UDP, 1);
    } else {
        lbstats_drop(b, LBSTATS_ACTIVE_FLOWS_UDP);
    }
    lbstats_end(b);
}

static void count_bytes(const struct lb_worker *w, uint32_t slot, unsigned packets, uint64_t bytes)
{
    struct lbstats_block *b = lb_count_block(w, slot);
    if (b != NULL) {
        lbstats_begin(b);
        lbstats_add(b, LBSTATS_PROCESSED_BYTES, bytes);
        lbstats_add(b, LBSTATS_BYTES_UDP, bytes);
        lbstats_add(b, LBSTATS_PACKETS, packets);
        lbstats_end(b);
    }
}

/* ---- flows ----------------------------------------------------------------------------------- */

static void end_flow(struct lb_udp_flow *f)
{
    if (f->is_dead) {
        return;
    }
    struct lb_worker *w = f->worker;
    struct lb_pool *pool = f->pool;
    f->is_dead = true;
    lb_udp_table_remove(&w->udp, f);
    ev_fd_close(&f->fd);
    ev_timer_stop(&f->timer);
    count_flow(f, false);
    list_remove(&f->node);
    list_add_tail(&w->dead_udp_flows, &f->node);
    lb_worker_sweep_later(w);
    f->pool = NULL;
    lb_flow_leave(w, pool, f->group_slot);
}

static void on_idle(struct ev_timer *t)
{
    end_flow(CONTAINER_OF(t, struct lb_udp_flow, timer));
}

static void wait_idle(struct lb_udp_flow *f)
{
    ev_timer_set(&f->worker->loop, &f->timer, LB_UDP_FLOW_TIMEOUT, on_idle);
}

static const struct lb_listener *listener_of(const struct lb_udp_socket *s)
{
    const struct lb_conf *conf = s->worker->conf;
    const struct lb_listener *l =
        s->index < conf->listeners_end ? conf->listeners_at[s->index] : NULL;
    return l != NULL && l->serial == s->serial ? l : NULL;
}

/* False when there is none for another flow. */
static bool make_room(struct lb_worker *w)
{
    if (list_is_empty(&w->udp.unanswered)) {
        return false;
    }
    end_flow(CONTAINER_OF(w->udp.unanswered.next, struct lb_udp_flow, order));
    return true;
}

static struct lb_udp_flow *take_flow(struct lb_worker *w)
{
    if (list_is_empty(&w->free_udp_flows)) {
        return MEM_NEW(struct lb_udp_flow);
    }
    struct lb_udp_flow *f = CONTAINER_OF(w->free_udp_flows.next, struct lb_udp_flow, node);
    list_remove(&f->node);
    memset(f, 0, sizeof(*f));
    return f;
}

/* A socket that is connected to the target; -1 when there is none to get. */
static int dial(struct lb_worker *w, const struct lb_peer *peer)
{
    struct net_addr addr = peer->addr;
    int fd = -1;
    addr.is_datagram = true;
    if (net_addr_is_unix(&addr)) {
        return -1;
    }
    int failure = net_dial_errno(&addr, &fd);
    if ((failure == EMFILE || failure == ENFILE) && make_room(w)) {
        failure = net_dial_errno(&addr, &fd);
    }
    return failure == 0 ? fd : -1;
}

static struct lb_udp_flow *begin_flow(struct lb_udp_socket *s, const struct net_addr *client,
                                      const struct net_addr *local)
{
    struct lb_worker *w = s->worker;
    const struct lb_listener *l = listener_of(s);
    struct lb_group *g = l == NULL ? NULL : lb_flow_group(w, l);
    struct lb_flow_key key = {.source_port = net_addr_port(client), .is_udp = true};
    lb_addr_bytes(client, key.source);
    if (l != NULL && l->sources != NULL && !lb_cidr_set_has(l->sources, key.source)) {
        lb_count_one(w, s->slot, LBSTATS_BLOCKED_FLOWS_UDP);
        return NULL;
    }
    struct lb_peer *peer = g == NULL ? NULL : lb_flow_pick(g, l, &key, NULL, 0);
    bool has_room = w->udp.count < LB_UDP_FLOWS_MAX || make_room(w);
    int fd = peer == NULL || !has_room ? -1 : dial(w, peer);
    struct lb_udp_flow *f = fd < 0 ? NULL : take_flow(w);
    if (f == NULL || ev_fd_open(&w->loop, &f->fd, fd, EV_READ, on_answers) != ERR_OK) {
        if (f != NULL) {
            (void)close(fd);
            list_add_head(&w->free_udp_flows, &f->node);
        }
        lb_count_one(w, s->slot, LBSTATS_REJECTED_FLOWS);
        return NULL;
    }
    f->worker = w;
    f->socket = s;
    f->client = *client;
    f->local = *local;
    f->group_slot = g->slot;
    f->pool = lb_pool_of(w, peer);
    list_add_tail(&f->pool->udp_flows, &f->node);
    lb_udp_table_put(&w->udp, f);
    lb_flow_enter(w, f->pool, f->group_slot);
    count_flow(f, true);
    wait_idle(f);
    return f;
}

/* ---- from clients ---------------------------------------------------------------------------- */

static void clear_room(struct lb_udp_room *room, bool has_names, bool has_control)
{
    for (size_t i = 0; i < LB_UDP_BATCH; i++) {
        struct msghdr *m = &room->messages[i].msg_hdr;
        room->pieces[i] = (struct iovec){.iov_base = room->bytes + i * LB_DATAGRAM_BYTES_MAX,
                                         .iov_len = LB_DATAGRAM_BYTES_MAX};
        *m = (struct msghdr){.msg_iov = &room->pieces[i], .msg_iovlen = 1};
        if (has_names) {
            m->msg_name = &room->names[i];
            m->msg_namelen = sizeof(room->names[i]);
        }
        if (has_control) {
            m->msg_control = room->control[i];
            m->msg_controllen = CONTROL_BYTES;
        }
    }
}

/* To which of our addresses it was sent. */
static struct net_addr local_of(struct msghdr *m)
{
    struct net_addr local = {0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            local.len = sizeof(local.v4);
            local.v4.sin_family = AF_INET;
            local.v4.sin_addr = info.ipi_addr;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            local.len = sizeof(local.v6);
            local.v6.sin6_family = AF_INET6;
            local.v6.sin6_addr = info.ipi6_addr;
        }
    }
    return local;
}

static struct lb_udp_flow *flow_of(struct lb_udp_socket *s, struct msghdr *m)
{
    struct net_addr client;
    if (!net_addr_from_sockaddr(m->msg_name, m->msg_namelen, &client)) {
        return NULL;
    }
    client.is_datagram = true;
    struct lb_udp_flow *f = lb_udp_table_find(&s->worker->udp, s, &client);
    if (f != NULL) {
        return f;
    }
    struct net_addr local = local_of(m);
    return begin_flow(s, &client, &local);
}

/* Datagrams that follow each other in one flow go out with one call. A target that refuses them
 * ends the flow: the next datagram finds another. */
static void pass_on(struct lb_udp_flow *f, struct mmsghdr *messages, unsigned count)
{
    if (f == NULL || f->is_dead) {
        return;
    }
    unsigned sent = 0;
    while (sent < count) {
        int n = sendmmsg(f->fd.fd, messages + sent, count - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            if (errno != EAGAIN && errno != ENOBUFS) {
                lb_count_one(f->worker, f->group_slot, LBSTATS_TARGET_CONN_ERRORS);
                end_flow(f);
            }
            return; /* what the network does not take is lost: it is UDP */
        }
        sent += (unsigned)n;
    }
    wait_idle(f);
}

static void pass_batch(struct lb_udp_socket *s, struct lb_udp_room *room, unsigned count)
{
    struct lb_udp_flow *flow = NULL;
    unsigned from = 0;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        struct mmsghdr *m = &room->messages[i];
        struct lb_udp_flow *f = flow_of(s, &m->msg_hdr);
        bytes += m->msg_len;
        room->pieces[i].iov_len = m->msg_len;
        if (f != flow) {
            pass_on(flow, &room->messages[from], i - from);
            flow = f;
            from = i;
        }
        m->msg_hdr.msg_name = NULL;
        m->msg_hdr.msg_namelen = 0;
        m->msg_hdr.msg_control = NULL;
        m->msg_hdr.msg_controllen = 0;
    }
    pass_on(flow, &room->messages[from], count - from);
    count_bytes(s->worker, s->slot, count, bytes);
}

static void on_datagrams(struct ev_fd *fd, unsigned ready)
{
    (void)ready;
    struct lb_udp_socket *s = CONTAINER_OF(fd, struct lb_udp_socket, fd);
    struct lb_udp_room *room = s->worker->udp_room;
    for (size_t i = 0; i < LB_UDP_BATCHES_MAX; i++) {
        clear_room(room, true, s->is_any);
        int n = recvmmsg(s->listen_fd, room->messages, LB_UDP_BATCH, MSG_DONTWAIT, NULL);
        if (n <= 0) {
            return;
        }
        pass_batch(s, room, (unsigned)n);
        if (n < LB_UDP_BATCH) {
            return;
        }
    }
}

/* ---- from targets ---------------------------------------------------------------------------- */

/* Says from which of our addresses the answer comes. */
static void add_source(struct msghdr *m, char *control, const struct net_addr *local)
{
    struct in_pktinfo v4 = {.ipi_spec_dst = local->v4.sin_addr};
    struct in6_pktinfo v6 = {.ipi6_addr = local->v6.sin6_addr};
    bool is_v4 = local->any.sa_family == AF_INET;
    size_t bytes = is_v4 ? sizeof(v4) : sizeof(v6);
    memset(control, 0, CONTROL_BYTES);
    m->msg_control = control;
    m->msg_controllen = CMSG_SPACE(bytes);
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = is_v4 ? IPPROTO_IP : IPPROTO_IPV6;
    c->cmsg_type = is_v4 ? IP_PKTINFO : IPV6_PKTINFO;
    c->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(c), is_v4 ? (const void *)&v4 : (const void *)&v6, bytes);
}

static void answer_batch(struct lb_udp_flow *f, struct lb_udp_room *room, unsigned count)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        struct msghdr *m = &room->messages[i].msg_hdr;
        room->pieces[i].iov_len = room->messages[i].msg_len;
        bytes += room->messages[i].msg_len;
        m->msg_name = &f->client.any;
        m->msg_namelen = f->client.len;
        if (f->local.len > 0) {
            add_source(m, room->control[i], &f->local);
        }
    }
    unsigned sent = 0;
    while (sent < count) {
        int n = sendmmsg(f->socket->listen_fd, room->messages + sent, count - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        sent += n <= 0 ? 1 : (unsigned)n; /* one that cannot be sent is lost */
    }
    count_bytes(f->worker, f->socket->slot, count, bytes);
}

static void on_answers(struct ev_fd *fd, unsigned ready)
{
    (void)ready;
    struct lb_udp_flow *f = CONTAINER_OF(fd, struct lb_udp_flow, fd);
    struct lb_udp_room *room = f->worker->udp_room;
    clear_room(room, false, false);
    int n = recvmmsg(f->fd.fd, room->messages, LB_UDP_BATCH, MSG_DONTWAIT, NULL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        lb_count_one(f->worker, f->group_slot, LBSTATS_TARGET_CONN_ERRORS);
        end_flow(f); /* nobody listens there */
        return;
    }
    if (n <= 0) {
        return;
    }
    if (!f->is_answered) {
        f->is_answered = true;
        list_remove(&f->order);
    }
    answer_batch(f, room, (unsigned)n);
    wait_idle(f);
}

/* ---- sockets --------------------------------------------------------------------------------- */

static bool is_any_addr(const struct net_addr *addr)
{
    return addr->any.sa_family == AF_INET ? addr->v4.sin_addr.s_addr == htonl(INADDR_ANY)
                                          : IN6_IS_ADDR_UNSPECIFIED(&addr->v6.sin6_addr);
}

static void set_up(struct lb_worker *w)
{
    if (w->udp.buckets == NULL) {
        lb_udp_table_init(&w->udp);
        w->udp_room = MEM_NEW(struct lb_udp_room);
        w->udp_room->bytes = mem_alloc(LB_UDP_BATCH * LB_DATAGRAM_BYTES_MAX);
    }
}

static struct lb_udp_socket *find_socket(struct lb_worker *w, const struct lb_listener *l, int fd)
{
    LIST_FOR (s, &w->udp_sockets, struct lb_udp_socket, node) {
        if (s->serial == l->serial && s->listen_fd == fd) {
            return s;
        }
    }
    return NULL;
}

static void serve(struct lb_worker *w, const struct lb_listener *l, int fd)
{
    static const int on = 1;
    struct lb_udp_socket *s = find_socket(w, l, fd);
    if (s != NULL) {
        s->is_known = true;
        s->slot = l->slot;
        return;
    }
    set_up(w);
    s = MEM_NEW(struct lb_udp_socket);
    s->worker = w;
    s->serial = l->serial;
    s->index = l->index;
    s->slot = l->slot;
    s->listen_fd = fd;
    s->is_known = true;
    s->is_any = is_any_addr(&l->addr);
    if (s->is_any) {
        bool is_v4 = l->addr.any.sa_family == AF_INET;
        (void)setsockopt(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6,
                         is_v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &on, sizeof(on));
    }
    if (ev_fd_open_ranked(&w->loop, &s->fd, fd, EV_READ, EV_RANK_LATE, on_datagrams) != ERR_OK) {
        mem_free(s); /* out of room: the next configuration tries again */
        return;
    }
    list_add_tail(&w->udp_sockets, &s->node);
}

/* The descriptor is the control thread's. */
static void leave_socket(struct lb_udp_socket *s)
{
    struct lb_worker *w = s->worker;
    for (size_t i = 0; i < LB_UDP_BUCKETS; i++) {
        struct lb_udp_flow *next = NULL;
        for (struct lb_udp_flow *f = w->udp.buckets[i]; f != NULL; f = next) {
            next = f->next;
            if (f->socket == s) {
                end_flow(f);
            }
        }
    }
    (void)!ev_fd_release(&s->fd);
    list_remove(&s->node);
    mem_free(s);
}

void lb_udp_adopt(struct lb_worker *w)
{
    LIST_FOR (s, &w->udp_sockets, struct lb_udp_socket, node) {
        s->is_known = false;
    }
    for (size_t i = 0; i < w->conf->listener_count && !w->is_stopping; i++) {
        const struct lb_listener *l = &w->conf->listeners[i];
        unsigned count = atomic_load_explicit(&l->socket->udp_count, memory_order_acquire);
        for (unsigned k = w->id; l->has_udp && k < count; k += (unsigned)w->lb->worker_count) {
            serve(w, l, l->socket->udp_fds[k]);
        }
    }
    LIST_FOR (gone, &w->udp_sockets, struct lb_udp_socket, node) {
        if (!gone->is_known) {
            leave_socket(gone);
        }
    }
}

void lb_udp_cut(struct lb_pool *pool)
{
    LIST_FOR (f, &pool->udp_flows, struct lb_udp_flow, node) {
        end_flow(f);
    }
}

void lb_udp_close(struct lb_worker *w)
{
    LIST_FOR (s, &w->udp_sockets, struct lb_udp_socket, node) {
        leave_socket(s);
    }
}

void lb_udp_sweep(struct lb_worker *w)
{
    LIST_FOR (f, &w->dead_udp_flows, struct lb_udp_flow, node) {
        list_remove(&f->node);
        list_add_head(&w->free_udp_flows, &f->node);
    }
}

void lb_udp_free(struct lb_worker *w)
{
    LIST_FOR (f, &w->free_udp_flows, struct lb_udp_flow, node) {
        list_remove(&f->node);
        mem_free(f);
    }
    if (w->udp.buckets != NULL) {
        lb_udp_table_fini(&w->udp);
        mem_free(w->udp_room->bytes);
        mem_free(w->udp_room);
    }
}
