#include "httpio/conn.h"

#include "base/check.h"
#include "net/socket.h"

#include <unistd.h>

static void set_default(dur_t *d, int64_t ms)
{
    if (d->us == 0) {
        *d = DUR_MS(ms);
    }
}

static struct httpio_server_options with_defaults(const struct httpio_server_options *options)
{
    struct httpio_server_options o = {0};
    if (options != NULL) {
        o = *options;
    }
    if (o.request_bytes_max == 0) {
        o.request_bytes_max = HTTPIO_REQUEST_BYTES_DEFAULT;
    }
    if (o.connections_max == 0) {
        o.connections_max = HTTPIO_CONNECTIONS_DEFAULT;
    }
    set_default(&o.head_timeout, HTTPIO_HEAD_MS_DEFAULT);
    set_default(&o.idle_timeout, HTTPIO_IDLE_MS_DEFAULT);
    set_default(&o.body_timeout, HTTPIO_BODY_MS_DEFAULT);
    set_default(&o.write_timeout, HTTPIO_WRITE_MS_DEFAULT);
    CHECK(o.request_bytes_max <= HTTPIO_REQUEST_BYTES_MAX);
    return o;
}

/* ---- accepting ---- */

static bool has_room(const struct httpio_server *s)
{
    return s->connection_count < s->options.connections_max;
}

static void accept_again(struct httpio_server *s)
{
    if (ev_fd_is_open(&s->listener) && !ev_timer_is_set(&s->accept_pause)) {
        ev_fd_want(&s->listener, EV_READ);
    }
}

static void on_pause_over(struct ev_timer *t)
{
    accept_again(CONTAINER_OF(t, struct httpio_server, accept_pause));
}

static void on_listener(struct ev_fd *w, unsigned ready)
{
    (void)ready;
    struct httpio_server *s = CONTAINER_OF(w, struct httpio_server, listener);
    for (size_t i = 0; i < HTTPIO_ACCEPTS_PER_TURN; i++) {
        int fd = -1;
        struct net_addr peer;
        if (!has_room(s) && list_is_empty(&s->idle)) {
            ev_fd_want(w, 0); /* until one closes */
            return;
        }
        enum err e = net_accept(w->fd, &fd, &peer);
        if (e == ERR_OK) {
            if (!has_room(s)) {
                httpio_conn_close(CONTAINER_OF(s->idle.next, struct httpio_conn, node));
            }
            httpio_conn_open(s, fd, &peer);
        } else if (e == ERR_NO_SPACE) {
            ev_fd_want(w, 0);
            ev_timer_set(s->loop, &s->accept_pause, DUR_MS(HTTPIO_ACCEPT_PAUSE_MS), on_pause_over);
            return;
        } else if (e == ERR_AGAIN) {
            return;
        }
    }
}

/* ---- life ---- */

enum err httpio_server_open(struct ev_loop *loop, struct httpio_server *s, int listen_fd,
                            const struct httpio_server_options *options, httpio_handler_fn *handler,
                            void *user)
{
    *s = (struct httpio_server){
        .loop = loop, .handler = handler, .user = user, .options = with_defaults(options)};
    list_init(&s->idle);
    list_init(&s->busy);
    enum err e =
        ev_fd_open_ranked(loop, &s->listener, listen_fd, EV_READ, EV_RANK_LAST, on_listener);
    if (e != ERR_OK) {
        (void)close(listen_fd);
    }
    return e;
}

static void on_all_closed(struct ev_defer *d)
{
    struct httpio_server *s = CONTAINER_OF(d, struct httpio_server, stopped);
    s->on_stopped(s);
}

void httpio_server_conn_closed(struct httpio_server *s)
{
    s->connection_count--;
    if (s->is_stopping && s->connection_count == 0 && s->on_stopped != NULL) {
        ev_defer(s->loop, &s->stopped, on_all_closed);
    }
    accept_again(s);
}

static void close_all(struct list *conns)
{
    while (!list_is_empty(conns)) {
        httpio_conn_close(CONTAINER_OF(conns->next, struct httpio_conn, node));
    }
}

void httpio_server_stop(struct httpio_server *s, void (*on_stopped)(struct httpio_server *s))
{
    s->is_stopping = true;
    s->on_stopped = on_stopped;
    ev_timer_stop(&s->accept_pause);
    ev_fd_close(&s->listener);
    close_all(&s->idle);
    if (s->connection_count == 0) {
        ev_defer(s->loop, &s->stopped, on_all_closed);
    }
}

void httpio_server_close(struct httpio_server *s)
{
    s->is_stopping = true;
    s->on_stopped = NULL;
    ev_timer_stop(&s->accept_pause);
    ev_fd_close(&s->listener);
    close_all(&s->idle);
    close_all(&s->busy);
    ev_defer_cancel(&s->stopped);
    CHECK(s->connection_count == 0);
}
