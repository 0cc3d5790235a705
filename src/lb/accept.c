/* Listening sockets of one worker. All workers wait for the same sockets; the kernel wakes one. */

#include "base/check.h"
#include "base/mem.h"
#include "lb/cidr_set.h"
#include "lb/control.h"
#include "lb/flow.h"
#include "lb/rule.h"
#include "net/socket.h"

#include <unistd.h>

static void on_connections(struct ev_fd *fd, unsigned ready);

static void listen_again(struct ev_timer *t)
{
    struct lb_listening *l = CONTAINER_OF(t, struct lb_listening, pause);
    if (ev_fd_open_ranked(&l->worker->loop, &l->fd, l->listen_fd, EV_READ | EV_EXCLUSIVE,
                          EV_RANK_LAST, on_connections) != ERR_OK) {
        ev_timer_set(&l->worker->loop, &l->pause, LB_ACCEPT_PAUSE, listen_again);
    }
}

/* The descriptor is shared: it is never closed here. */
static void stop_waiting(struct lb_listening *l)
{
    if (ev_fd_is_open(&l->fd)) {
        (void)!ev_fd_release(&l->fd);
    }
    ev_timer_stop(&l->pause);
}

/* Who may connect by the security groups. Others are reset before a byte is read. */
static bool may_connect(const struct lb_listening *l, const struct net_addr *peer)
{
    const struct lb_conf *conf = l->worker->conf;
    const struct lb_listener *listener =
        l->index < conf->listeners_end ? conf->listeners_at[l->index] : NULL;
    if (listener == NULL || listener->sources == NULL) {
        return true;
    }
    uint8_t bytes[16];
    lb_addr_bytes(peer, bytes);
    return lb_cidr_set_has(listener->sources, bytes);
}

static void refuse(const struct lb_listening *l, int client_fd)
{
    struct linger at_once = {.l_onoff = 1};
    (void)setsockopt(client_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    (void)close(client_fd);
    lb_count_one(l->worker, l->slot, LBSTATS_BLOCKED_FLOWS_TCP);
}

static void on_connections(struct ev_fd *fd, unsigned ready)
{
    (void)ready;
    struct lb_listening *l = CONTAINER_OF(fd, struct lb_listening, fd);
    for (size_t i = 0; i < LB_ACCEPTS_MAX; i++) {
        int client_fd = -1;
        struct net_addr peer;
        enum err e = net_accept(l->listen_fd, &client_fd, &peer);
        if (e == ERR_OK && !may_connect(l, &peer)) {
            refuse(l, client_fd);
        } else if (e == ERR_OK && l->network != NULL) {
            lb_flow_accept(l, l->network, client_fd, &peer);
        } else if (e == ERR_OK) {
            lb_client_accept(l, client_fd, &peer);
        } else if (e == ERR_NO_SPACE) {
            /* the queue keeps them; without a pause the loop would spin */
            stop_waiting(l);
            ev_timer_set(&l->worker->loop, &l->pause, LB_ACCEPT_PAUSE, listen_again);
            return;
        } else if (e == ERR_AGAIN) {
            return;
        }
    }
}

static struct lb_listening *listening_at(struct lb_worker *w, uint32_t index)
{
    if (w->listenings[index] == NULL) {
        w->listenings[index] = MEM_NEW(struct lb_listening);
        w->listenings[index]->worker = w;
        w->listenings[index]->index = index;
    }
    return w->listenings[index];
}

/* The clients of a listener that went belong to the one that came at the same address, if any. */
static void hand_over(struct lb_worker *w, const struct lb_listening *gone)
{
    const struct lb_listener *heir = NULL;
    for (size_t i = 0; i < w->conf->listener_count && heir == NULL; i++) {
        const struct lb_listener *l = &w->conf->listeners[i];
        heir = net_addr_equal(&l->addr, &gone->addr) ? l : NULL;
    }
    if (heir == NULL) {
        return;
    }
    LIST_FOR (c, &w->clients, struct lb_client, node) {
        if (c->listener_serial == gone->serial) {
            c->listener_serial = heir->serial;
            c->listener_index = heir->index;
        }
    }
}

void lb_listenings_adopt(struct lb_worker *w)
{
    for (uint32_t i = 0; i < w->listening_count; i++) {
        const struct lb_listener *listener =
            i < w->conf->listeners_end ? w->conf->listeners_at[i] : NULL;
        struct lb_listening *l = w->listenings[i];
        if (l != NULL && l->serial != 0 && (listener == NULL || listener->serial != l->serial)) {
            stop_waiting(l);
            hand_over(w, l);
            l->serial = 0;
        }
        if (listener == NULL || w->is_stopping) {
            continue;
        }
        l = listening_at(w, i);
        l->slot = listener->slot;
        l->network = listener->is_network ? listener : NULL;
        int fd = atomic_load_explicit(&listener->socket->fd, memory_order_acquire);
        if (l->serial == 0 && fd >= 0) {
            l->serial = listener->serial;
            l->listen_fd = fd;
            l->addr = listener->addr;
            listen_again(&l->pause);
        }
    }
}

void lb_listenings_close(struct lb_worker *w)
{
    for (uint32_t i = 0; i < w->listening_count; i++) {
        if (w->listenings[i] != NULL && w->listenings[i]->serial != 0) {
            stop_waiting(w->listenings[i]);
            w->listenings[i]->serial = 0;
        }
    }
}
