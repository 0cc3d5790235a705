/* A client's TLS: the handshake, and what its descriptor's events mean. */

#include "base/log.h"
#include "lb/control.h"
#include "lb/openssl.h"
#include "lb/tls_site.h"

bool lb_client_start_tls(struct lb_client *c, const struct lb_listener *l)
{
    struct lb_worker *w = c->worker;
    SSL *ssl = lb_tls_site_ssl(l->tls);
    if (ssl == NULL) {
        return false;
    }
    c->tls = lb_tls_new(&w->tls_room, &c->fd, ssl, lb_tls_site_hold(l->tls));
    return true;
}

/* Handshakes cost 0.2 to 1 ms each: when a turn has done its share, the others are left to the
 * next, and epoll tells of them again. */
static bool may_shake_now(struct lb_worker *w)
{
    if (w->shaken_turn.us != ev_now(&w->loop).us) {
        w->shaken_turn = ev_now(&w->loop);
        w->shaken_for = DUR_US(0);
    }
    return w->shaken_for.us < LB_TLS_SHAKES_FOR.us;
}

static void log_connection(const struct lb_client *c, bool has_failed)
{
    const struct lb_listener *l = lb_client_listener(c);
    if (l != NULL && l->connection_sink != 0) {
        lb_access_connection(c, l, has_failed);
    }
}

void lb_client_shake_failed(struct lb_client *c)
{
    const struct lb_tls *t = c->tls;
    if (t->has_received) { /* a connection that never spoke, as checks of a port open, is no error
                            */
        lb_count_one(c->worker, c->slot, LBSTATS_CLIENT_TLS_ERRORS);
        log_debug("lb", "a client's TLS handshake failed: %s", lb_tls_reason(t));
        log_connection(c, true);
    }
    lb_client_close(c);
}

static void shake(struct lb_client *c)
{
    struct lb_worker *w = c->worker;
    mono_t began = clock_mono();
    enum lb_tls_step step = lb_tls_handshake(c->tls);
    w->shaken_for.us += mono_since(clock_mono(), began).us;
    if (step == LB_TLS_FAILED) {
        lb_client_shake_failed(c);
    } else if (step == LB_TLS_DONE) {
        lb_client_wait(c);
        log_connection(c, false);
        if (STR_IS(lb_tls_alpn(c->tls), "h2")) {
            lb_h2_accept_hook(c);
        }
    }
}

unsigned lb_client_tls_ready(struct lb_client *c, unsigned ready)
{
    if ((ready & EV_WRITE) != 0 && !lb_tls_flush(c->tls)) {
        return ready | EV_BROKEN;
    }
    if (c->back == NULL) {
        ready &= ~(unsigned)EV_WRITE; /* it was for us alone */
    }
    if (!lb_tls_is_shaking(c->tls)) {
        return ready;
    }
    if (!may_shake_now(c->worker)) {
        return 0;
    }
    shake(c);
    return 0; /* what came behind the handshake is read by a deferred call (lb_tls_wants) */
}
