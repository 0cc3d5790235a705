#pragma once
/* Inside of a worker: one thread, one loop, its clients, its connections to targets, the exchanges
 * between them. Nothing here is shared with another worker but what says so.
 *
 * client    a connection that a user opened; has at most one exchange at a time
 * upstream  a connection to a target; works for one exchange, or waits in the pool of its target
 * exchange  one request and its response, over one upstream after another if it is tried again
 *
 * Objects that end are marked and swept at the end of the loop's turn, so that a function on the
 * way out of a callback may still look at them. */

#include "ev/loop.h"
#include "http/h1.h"
#include "lb/access.h"
#include "lb/block.h"
#include "lb/body.h"
#include "lb/conf.h"
#include "lb/cookie.h"
#include "lb/lb.h"
#include "lb/sign_in.h"
#include "lb/split.h"
#include "lb/tls.h"
#include "lb/udp_table.h"
#include "stats/lbstats.h"

#include <pthread.h>
#include <sys/socket.h>

struct lb_worker;
struct lb_exchange;
struct lb_h2;        /* h2.h: a client's connection that speaks HTTP/2 */
struct lb_stream;    /* one of its streams */
struct lb_link;      /* a connection to a target that speaks HTTP/2 */
struct lb_h2_shared; /* of a worker */
struct lb_tunnel;
struct lb_udp_room;
struct regex_scratch;
struct lb_affinity;
struct lb_identities;
struct lb_identity;

/* ---- worker's side of a target --------------------------------------------------------------- */

struct lb_pool {
    uint64_t serial; /* of the peer */
    struct lb_peer *peer;
    uint64_t version;    /* of the newest configuration that names the peer */
    bool is_draining;    /* in that version */
    bool closes_tunnels; /* it drains, and its group lets no WebSocket run on */
    uint32_t idle_count;
    struct list idle;  /* of lb_upstream, most recently used first */
    struct list busy;  /* of lb_exchange */
    struct list links; /* of lb_link */
    struct list flows;
    struct list udp_flows;
    uint32_t flow_count;   /* of both */
    bool cuts_after_drain; /* of the group, for flows */
    bool cuts_unhealthy;
    mono_t avoid_until;
    int64_t turn;       /* weighted turns while a target warms up: pick.c */
    uint32_t fault_run; /* faults since its last good answer */
    /* Learned: the target closes idle connections after about this long. */
    dur_t learned_idle;        /* 0: not known */
    dur_t last_idle;           /* how old the last one was that it closed */
    mono_t closes_early_until; /* it has closed one right after an answer, unannounced */
    bool is_tls;
    struct ssl_session_st *session; /* the newest with this target; NULL: none */
};

struct lb_upstream {
    struct ev_fd fd;
    struct ev_timer timer;
    struct list node; /* in the pool's idle list, or in the worker's list of the dead */
    struct lb_worker *worker;
    struct lb_pool *pool;
    struct lb_exchange *exchange; /* NULL while idle */
    struct lb_tls *tls;           /* NULL: plain */
    uint32_t slot;                /* counters of the balancer that it was opened for */
    uint64_t sent_bytes;
    mono_t idle_since;
    dur_t idle_max; /* configured or announced by Keep-Alive */
    int parked_fd;  /* broken while its client is slow: not watched until that has caught up; or -1
                     */
    bool is_connecting;
    bool is_reused;
    bool is_dead;
    struct lb_link *carries; /* this is the socket of an HTTP/2 connection */
    /* a stream of one; no socket of its own */
    struct lb_link *link;
    struct list sibling;
    struct list news;
    struct list drained;
    struct lb_block *inbox;    /* head as text, then body */
    struct lb_block *outbox;   /* body not framed yet */
    struct lb_block *trailers; /* of the response */
    uint32_t inbox_head_bytes; /* of the inbox that are heads */
    int32_t stream_id;         /* 0: the request is not with nghttp2 yet */
    uint64_t head_sent_at;     /* bytes of the connection in front of the request */
    bool is_head_sent;
    bool is_interim; /* the head that is coming is a 1xx */
    bool has_head;
    bool has_ended;
    bool is_deferred; /* nghttp2 waits for bytes */
    bool is_closed;   /* nghttp2 knows it no more */
    bool is_refused;  /* the target has not worked on it */
    bool is_lost;     /* ended before the response did */
};

/* ---- clients --------------------------------------------------------------------------------- */

enum lb_client_state {
    LB_CLIENT_OPEN,
    LB_CLIENT_FLUSH,  /* close when everything is sent */
    LB_CLIENT_LINGER, /* all is sent; waits for the client to close */
    LB_CLIENT_DEAD,
};

enum lb_hold {
    LB_HOLD_NONE,
    LB_HOLD_WAITS,    /* its next request is complete and waits at the listener's gate */
    LB_HOLD_PASSES,   /* released: that request is not asked again */
    LB_HOLD_EXPIRED,  /* it waited too long */
    LB_HOLD_SIGNS_IN, /* waits for the identity provider */
};

/* Its size is what an idle connection costs: docs/load-balancer.md. */
struct lb_client {
    struct ev_fd fd;
    struct ev_timer timer;
    struct list node; /* in the worker's list of clients, or of the dead */
    struct ev_defer resume;
    struct list held; /* in the worker's list of those that a gate holds */
    struct lb_socket *held_at;
    struct lb_sign_in *sign_in; /* NULL: none under way or answered */
    struct lb_worker *worker;
    struct lb_exchange *exchange;
    struct lb_block *ahead; /* part of a head, or requests behind the one in work */
    struct lb_block *back;  /* not sent yet */
    struct lb_tls *tls;     /* NULL: plain */
    mono_t accepted_at;
    uint64_t listener_serial;
    uint32_t listener_index;
    uint32_t slot;
    struct lb_h2 *h2;         /* this is the socket of an HTTP/2 connection */
    struct lb_stream *stream; /* this is a stream: no socket of its own */
    uint8_t peer[16];         /* lb_addr_bytes */
    uint16_t peer_port;
    uint8_t state : 4; /* enum lb_client_state */
    uint8_t hold : 4;  /* enum lb_hold */
    bool must_linger : 1;
    bool is_source_counted : 1; /* in lb->sources */
    bool awaits_proxy : 1;      /* its first bytes are a PROXY header */
    bool is_ipv6 : 1;
    uint32_t queued_bytes; /* sent and not acknowledged, when it was last looked while it is slow */
};

/* ---- exchanges ------------------------------------------------------------------------------- */

struct lb_exchange {
    struct ev_defer again; /* the next try */
    struct list node;      /* in the pool's busy list; in the worker's list of the dead */
    struct lb_client *client;
    struct lb_upstream *upstream; /* NULL between two tries */
    struct lb_conf *conf;         /* under which it began: of listener and group */
    struct lb_conf *target_conf;  /* that names the target; another one after a retry */
    const struct lb_listener *listener;
    struct lb_group *group;
    struct lb_tunnel *tunnel; /* NULL unless is_tunnel */
    const struct lb_action *action;
    struct lb_affinity *affinity; /* NULL unless action->has_affinity */
    struct lb_pool *pool;         /* of the target that it counts for */
    struct lb_body request;
    struct lb_body response;
    struct lb_block *out;  /* to the target: [at, end) not sent; all of [0, end) while may_replay */
    struct lb_block *head; /* part of the response's head */
    struct lb_access access;
    struct lb_peer *refused[LB_CONNECTS_MAX]; /* not to be tried again */
    mono_t began;
    mono_t sent_at; /* when the target had the request's head */
    uint64_t request_bytes;
    uint64_t client_bytes;         /* both ways, not yet in the counters */
    uint64_t upstream_sent_before; /* upstream->sent_bytes when this try began */
    uint8_t connect_count;
    uint8_t send_count;
    uint8_t refused_count;
    uint8_t interim_count; /* 1xx responses of this try */
    bool is_idempotent;
    bool is_head;
    bool is_http10;
    bool is_websocket;
    bool is_tunnel;
    bool is_grpc;
    bool takes_trailers;   /* the client, in the response */
    bool wants_keep_alive; /* the client, and its request allows it */
    bool closes_target;    /* the request was ambiguous: its connection is used no more */
    bool may_send_more;    /* the client does not expect the connection to end with this */
    bool may_replay;
    bool has_begun; /* this try has begun to send */
    bool is_cut;    /* the target takes no more of the request; it may still answer */
    bool owes_continue;
    bool has_response; /* its head went to the client */
    bool closes_client;
    bool upstream_may_stay;
    bool is_over;
};

/* ---- the worker ------------------------------------------------------------------------------ */

struct lb_listening {
    struct ev_fd fd;
    struct ev_timer pause;
    struct lb_worker *worker;
    uint64_t serial; /* of the listener; 0: not in use */
    uint32_t index;
    uint32_t slot;
    int listen_fd; /* belongs to the control thread */
    struct net_addr addr;
    const struct lb_listener *network; /* of the configuration; NULL: speaks HTTP */
};

struct lb_rotation {
    uint64_t serial; /* of the group */
    uint32_t next;
};

struct lb_worker {
    struct lb *lb;
    uint32_t id;
    uint32_t row; /* of the counters */
    pthread_t thread;
    struct ev_loop loop;
    struct ev_wake wake;
    struct lb_conf *conf;
    struct lb_pool **pools;           /* by peer index */
    struct lb_rotation *rotations;    /* by group index */
    struct lb_split *splits;          /* by rule index */
    struct lb_listening **listenings; /* by listener index */
    uint32_t pool_count;
    uint32_t rotation_count;
    uint32_t split_count;
    uint32_t listening_count;
    struct list clients;
    uint32_t client_count;
    struct list held; /* of lb_client, in the order in which their requests came */
    struct ev_defer release;
    bool has_gates; /* some listener has one, or someone is held */
    struct list dead_clients;
    struct list dead_upstreams;
    struct list dead_exchanges;
    struct list free_clients;
    struct list flows;   /* TCP, that have no target yet */
    uint32_t flow_count; /* TCP */
    struct list dead_flows;
    struct list free_flows;
    struct list udp_sockets;
    struct list dead_udp_flows;
    struct list free_udp_flows;
    struct lb_udp_table udp;
    struct lb_udp_room *udp_room; /* NULL until it serves UDP */
    struct list free_upstreams;
    struct list free_exchanges;
    struct list free_affinities;
    struct list affinities; /* of lb_affinities, which hold them */
    struct lb_cookies cookies;
    struct list sign_ins; /* of lb_sign_in */
    size_t sign_in_count;
    uint64_t last_sign_in;
    struct lb_mailbox signed_in;        /* from the control thread */
    struct lb_identities *identities;   /* known lately; NULL: none yet */
    struct arena login_arena;           /* of the request in hand */
    const struct lb_identity *identity; /* of the request in hand; NULL: nobody's */
    struct lb_action login_reply;       /* likewise, LB_SIGN_IN */
    struct ev_defer sweep;
    struct ev_timer stop_timer;
    struct lb_blocks blocks;
    struct lb_h2_shared *h2;
    struct lb_tls_room tls_room;
    mono_t shaken_turn; /* the turn that shaken_for is about */
    dur_t shaken_for;   /* spent on clients' handshakes */
    struct lb_log_pen log_pen;
    uint64_t log_seed;
    uint64_t random; /* state of a generator for trace ids */
    int64_t date_s;  /* second that date_text shows */
    char date_text[32];
    int64_t expires_s; /* second that expires_text was made in */
    char expires_text[32];
    bool is_stopping;
    bool is_stop_reported;
    mono_t stop_began;
    /* shared with the control thread */
    atomic_uint_least64_t seen_version;
    atomic_uint_least64_t adopt_us; /* how long it took to go over to that version */
    atomic_bool is_stopped;
    struct h1_head request_head; /* the one that is being read */
    struct h1_head response_head;
    char *scratch;   /* LB_SCRATCH_BYTES */
    char *head_room; /* LB_SCRATCH_BYTES: heads being written */
    struct regex_scratch *regex_scratch;
};

static inline bool lb_client_is_held(const struct lb_client *c)
{
    return c->hold == LB_HOLD_WAITS || c->hold == LB_HOLD_SIGNS_IN;
}

static inline char *lb_read_at(const struct lb_worker *w)
{
    return w->scratch + LB_FRONT_BYTES;
}

/* ---- HTTP/2 ---------------------------------------------------------------------------------- */

/* h2_front.c: a connection of a client */
/* The client spoke the preface where that is allowed: takes the connection over. */
bool lb_h2_takes_over(struct lb_client *c, struct str bytes);
/* From now on the connection speaks HTTP/2; its first bytes are the preface. */
void lb_h2_begin(struct lb_client *c);
void lb_h2_read(struct lb_client *c);
/* What was kept for the client is sent. */
void lb_h2_resume(struct lb_client *c);
void lb_h2_timeout(struct lb_client *c);
/* Ends all streams; the connection is left to be closed. status: for the counters, as
 * lb_exchange_abort. */
void lb_h2_close(struct lb_client *c, unsigned status);
/* We stop: GOAWAY, first without and then with the last stream. */
void lb_h2_drain(struct lb_client *c, bool is_grace_over);

/* h2_stream.c: one of its streams, as client.c does it for a connection. Bytes that are sent are
 * the text of a head and then a raw body; those that are read are a raw body. */
ssize_t lb_stream_read(struct lb_stream *s, char *at, size_t room);
bool lb_stream_send(struct lb_stream *s, struct str bytes);
/* The head of a response that may have ended with it. */
bool lb_stream_answer(struct lb_stream *s, struct str head, struct str body);
/* Lines that come behind the body. */
void lb_stream_add_trailers(struct lb_stream *s, struct str text);
void lb_stream_arm(struct lb_stream *s);
/* A request that was held may go on. */
void lb_stream_resume(struct lb_stream *s);
void lb_stream_finish(struct lb_stream *s);
void lb_stream_close(struct lb_stream *s);
/* The end of the client's stream is the end of the request's body, and it is here. */
bool lb_stream_ends_body(const struct lb_exchange *ex);
/* Then: what remains to be sent of the body, static or in `room` (as for lb_trailers_tail). */
struct str lb_stream_end_body(struct lb_exchange *ex, char *room);

/* h2_back.c: a connection to a target, and its streams as upstream.c does it for connections */
bool lb_link_open(struct lb_exchange *ex, bool is_fresh);
void lb_link_close_stream(struct lb_upstream *u);
ssize_t lb_link_read(struct lb_upstream *u, char *at, size_t room);
ssize_t lb_link_write(struct lb_upstream *u, struct str bytes);
/* The request has got longer, or has ended. */
void lb_link_resume(struct lb_upstream *u);
void lb_link_arm(struct lb_upstream *u);
bool lb_link_has_ended(const struct lb_upstream *u);
struct lb_block *lb_link_take_trailers(struct lb_upstream *u);
void lb_link_event(struct lb_link *l, unsigned ready);
void lb_link_timeout(struct lb_link *l);
/* Idle ones at once, the others with their last stream. */
void lb_links_close(struct lb_pool *pool);
/* How much of a body to read at once. */
static inline size_t lb_read_room(const struct lb_worker *w)
{
    return w->blocks.held_bytes < LB_HELD_BYTES_MAX ? LB_READ_BYTES_MAX : LB_SMALL_READ_BYTES;
}

/* ---- the only places where bytes of a connection are read and written ------------------------ */

/* As recv(2) and send(2) of a socket that does not block: bytes, 0 at the end, or -1 with errno. */
static inline ssize_t lb_client_read_now(struct lb_client *c, char *at, size_t room)
{
    if (c->stream != NULL) {
        return lb_stream_read(c->stream, at, room);
    }
    return c->tls == NULL ? recv(c->fd.fd, at, room, 0) : lb_tls_read(c->tls, at, room);
}
static inline ssize_t lb_client_write_now(struct lb_client *c, struct str bytes)
{
    return c->tls == NULL ? send(c->fd.fd, bytes.ptr, bytes.len, MSG_NOSIGNAL)
                          : lb_tls_write(c->tls, bytes);
}
static inline ssize_t lb_upstream_read_now(struct lb_upstream *u, char *at, size_t room)
{
    if (u->link != NULL) {
        return lb_link_read(u, at, room);
    }
    return u->tls == NULL ? recv(u->fd.fd, at, room, 0) : lb_tls_read(u->tls, at, room);
}
static inline ssize_t lb_upstream_write_now(struct lb_upstream *u, struct str bytes)
{
    if (u->link != NULL) {
        return lb_link_write(u, bytes);
    }
    return u->tls == NULL ? send(u->fd.fd, bytes.ptr, bytes.len, MSG_NOSIGNAL)
                          : lb_tls_write(u->tls, bytes);
}

/* worker.c */
enum err lb_worker_start(struct op *op, struct lb *lb, struct lb_worker *w, uint32_t id) MUST_USE;
/* After is_stopped: waits for the thread and frees everything. */
void lb_worker_join(struct lb_worker *w);
void lb_worker_sweep_later(struct lb_worker *w);
uint64_t lb_worker_random(struct lb_worker *w);
/* "Fri, 20 Nov 2026 16:24:07 GMT" */
struct str lb_worker_date(struct lb_worker *w);
/* The same seven days from now: what ALB's cookies carry. */
struct str lb_worker_expires(struct lb_worker *w, int64_t now_ms);

/* accept.c */
void lb_listenings_adopt(struct lb_worker *w);
void lb_listenings_close(struct lb_worker *w);

/* client.c */
void lb_client_accept(struct lb_listening *l, int fd, const struct net_addr *peer);
/* Sends, or keeps what cannot be sent now. False when the client is gone (it is closed then). */
bool lb_client_send(struct lb_client *c, struct str bytes);
/* Waits for what the client's state can use. */
void lb_client_arm(struct lb_client *c);
/* The client has the idle timeout from now on to send or take something. */
void lb_client_wait(struct lb_client *c);
/* The same with another time. */
void lb_client_wait_at_most(struct lb_client *c, dur_t at_most);
/* Works through what was read ahead at the end of this turn. */
void lb_client_resume(struct lb_client *c);
/* The exchange or answer is complete: next request, or close. */
void lb_client_next(struct lb_client *c, bool may_stay);
/* Everything that waits is sent, then it is closed; with linger when it may still be sending. */
void lb_client_finish(struct lb_client *c, bool must_linger);
void lb_client_close(struct lb_client *c);
/* worker->request_head is H1_BAD, or is empty: counts, logs and answers. */
void lb_client_refuse_head(struct lb_client *c, size_t received_bytes);
void lb_client_refuse(struct lb_client *c, unsigned status, size_t received_bytes);
/* As lb_client_wait, for the rest of a head. */
void lb_client_wait_for_head(struct lb_client *c);
/* So much waits for the client that its target is made to wait too. */
static inline bool lb_client_is_behind(const struct lb_client *c)
{
    return lb_block_waiting(c->back) > (c->stream == NULL ? 0 : LB_H2_AHEAD_BYTES_MAX);
}
/* Before the close of a client that lacks nothing: TLS tells it so. */
void lb_client_say_goodbye(struct lb_client *c);
/* Bytes behind the request in work. False when there are too many. */
bool lb_client_keep_ahead(struct lb_client *c, struct str bytes);
/* NULL when the listener is gone. */
const struct lb_listener *lb_client_listener(const struct lb_client *c);
size_t lb_client_address(const struct lb_client *c, char room[NET_ADDR_TEXT_BYTES_MAX]);

/* client_tls.c */
/* The listener has certificates: the client begins with a handshake. False without memory. */
bool lb_client_start_tls(struct lb_client *c, const struct lb_listener *l);
/* What the events of a client's descriptor mean once TLS has had its share of them; 0: nothing is
 * left to do. The client may be dead afterwards. */
unsigned lb_client_tls_ready(struct lb_client *c, unsigned ready);
/* Counts and closes. */
void lb_client_shake_failed(struct lb_client *c);

/* exchange.c: from a request's head to the end of its response */
/* worker->request_head is complete and lies in bytes[0, count); the body may have begun behind it.
 * Returns the bytes used; the rest belongs to later requests (not used while an exchange runs:
 * keep them). */
size_t lb_exchange_begin(struct lb_client *c, char *bytes, size_t count);
/* The client has bytes of the body. */
void lb_exchange_read_body(struct lb_exchange *ex);
bool lb_exchange_wants_body(const struct lb_exchange *ex);
/* What was kept for the client is sent: go on reading from the target. */
void lb_exchange_flushed(struct lb_exchange *ex);
/* The client did not send its body in time: 408. */
void lb_exchange_too_slow(struct lb_exchange *ex);
/* The client went away: the counters say `status` (460), 0 for none. The client is left to be
 * closed. */
void lb_exchange_abort(struct lb_exchange *ex, unsigned status);
/* The drain is over. */
void lb_exchange_expire(struct lb_exchange *ex);
/* Sends what waits for the target. */
void lb_exchange_send(struct lb_exchange *ex);
/* The response is complete and out of our hands. */
void lb_exchange_done(struct lb_exchange *ex);
/* The connection to the target is not needed any more, the exchange goes on. */
void lb_exchange_let_go(struct lb_exchange *ex, bool may_stay);
/* One side of a tunnel has ended: the rest is sent, then both are closed. */
void lb_exchange_end_tunnel(struct lb_exchange *ex);

enum lb_failure {
    LB_FAIL_REFUSED,         /* no connection came about */
    LB_FAIL_CONNECT_TIMEOUT, /* after LB_CONNECT_TIMEOUT */
    LB_FAIL_TLS,             /* the handshake failed */
    LB_FAIL_TLS_TIMEOUT,     /* after LB_TLS_HANDSHAKE_TIMEOUT */
    LB_FAIL_UNSENT,          /* closed, and nothing of the request had arrived */
    LB_FAIL_CLOSED,          /* closed before the response's head was complete */
    LB_FAIL_MALFORMED,
    LB_FAIL_TIMEOUT, /* no answer within the idle timeout */
    LB_FAIL_EXPIRED,
};
/* The try failed; the upstream is closed already. */
void lb_exchange_failed(struct lb_exchange *ex, enum lb_failure why);

/* response.c */
void lb_response_read(struct lb_exchange *ex);

/* upstream.c */
/* A connection for the exchange: from the pool unless is_fresh, else new. False when there was none
 * to get at once (refused). */
bool lb_upstream_open(struct lb_exchange *ex, bool is_fresh);
void lb_tune_socket(int fd, const struct net_addr *addr);
/* For h2_back.c: a connection that is being made, and an object without one. */
struct lb_upstream *lb_upstream_dial(struct lb_worker *w, struct lb_pool *pool, uint32_t slot);
struct lb_upstream *lb_upstream_take(struct lb_worker *w);
/* Bytes that the target's kernel has acknowledged; UINT64_MAX where that cannot be known. */
uint64_t lb_upstream_acked_bytes(const struct lb_upstream *u);
/* The exchange does not need it any more. */
void lb_upstream_release(struct lb_upstream *u, bool may_stay);
void lb_upstream_close(struct lb_upstream *u);
void lb_upstream_arm(struct lb_upstream *u);
void lb_upstream_wait(struct lb_upstream *u, dur_t at_most);
/* Bytes that left for the target; of TLS those on the wire. */
uint64_t lb_upstream_sent(const struct lb_upstream *u);
/* Nothing of what the present try sent has reached the target. */
bool lb_upstream_got_nothing(const struct lb_upstream *u, uint64_t sent_before);
/* The pool of a peer of the current configuration. */
struct lb_pool *lb_pool_of(struct lb_worker *w, struct lb_peer *peer);
void lb_pools_adopt(struct lb_worker *w);
void lb_pools_close(struct lb_worker *w);
/* pick.c */
/* A stay at this target may go on: it takes requests as far as its health goes. */
bool lb_may_take(const struct lb_worker *w, const struct lb_group *g, const struct lb_peer *peer);
/* NULL when the group has no target that may be used. */
struct lb_peer *lb_pick(struct lb_worker *w, struct lb_group *g, struct lb_peer *const *refused,
                        size_t refused_count);

/* gate.c: pause and maintenance of a listener */
enum lb_gate_says {
    LB_GATE_OPEN,
    LB_GATE_HOLDS,   /* the request stays with its client and comes again */
    LB_GATE_IS_FULL, /* 503: too many are held, or this one for too long */
    LB_GATE_ANSWERS, /* with the page of the gate */
};
/* For a client whose next request's head is complete. */
enum lb_gate_says lb_gate_ask(struct lb_client *c, const struct lb_listener *l);
/* The client is not held any more, for whatever reason. */
void lb_gate_leave(struct lb_client *c);
/* It was held for too long. */
void lb_gate_expire(struct lb_client *c);
/* A new configuration: releases, in their order, those whose listener is not paused any more. */
void lb_gates_adopt(struct lb_worker *w);
/* watch.c */
/* A target of a watched group answered, or failed to. */
void lb_watch_answer(struct lb_exchange *ex, bool is_fault);

/* tunnel.c */
void lb_tunnel_from_client(struct lb_exchange *ex);
void lb_tunnel_from_target(struct lb_exchange *ex);

/* replay.c */
/* Bytes to reserve for a request whose head has head_len bytes and whose body has `here` so far. */
size_t lb_replay_room(const struct h1_head *h, size_t head_len, size_t here);
/* Puts more of a body behind its head. False: there is no room, or no need any more. */
bool lb_replay_keep(struct lb_exchange *ex, struct str bytes);

/* The client sends its body at less than LB_BODY_RATE_MIN. */
bool lb_body_is_too_slow(const struct lb_exchange *ex);

/* version.c */
/* Content-Type: application/grpc, with or without a codec's name; not grpc-web. */
bool lb_is_grpc(const struct h1_head *h);
/* TE: trailers */
bool lb_asks_for_trailers(const struct h1_head *h);
/* False: 464. Source: ALB, protocol versions: an HTTP/1.1 client reaches HTTP/1.1 targets; an
 * HTTP/2 client those and HTTP/2 ones, and gRPC ones by POST; gRPC asks for targets that speak
 * HTTP/2. */
bool lb_version_fits(const struct lb_client *c, const struct h1_head *h, const struct lb_group *g);
/* How the body of a request comes from the client: a stream's is raw, and ends with it. */
enum h1_framing lb_request_framing(const struct lb_client *c, const struct h1_head *h,
                                   const struct lb_group *g);

/* rewrite.c */
enum lb_rewrite {
    LB_REWRITE_OK,
    LB_REWRITE_TOO_LARGE,
    LB_REWRITE_TOO_MANY_ADDRESSES,
    LB_REWRITE_TRANSFORM_FAILED,
};
enum lb_rewrite lb_rewrite_request(struct lb_client *c, const struct lb_listener *l,
                                   const struct lb_rule *rule, struct h1_writer *ret_writer);
/* closes: the client is told that the connection ends. */
void lb_rewrite_response(struct lb_worker *w, const struct lb_exchange *ex, bool closes,
                         struct h1_writer *ret_writer);

/* reply.c: answers of our own */
/* An error page; the caller has counted it. */
void lb_reply_error(struct lb_client *c, unsigned status, bool is_head, bool closes);
/* Bytes that it would have. */
size_t lb_reply_error_bytes(struct lb_client *c, unsigned status, bool is_head, bool closes);
void lb_reply_fixed(struct lb_client *c, const struct lb_action *a, bool is_head, bool closes);
/* 302 of login.h. */
void lb_reply_sign_in(struct lb_client *c, const struct lb_action *a, bool is_head, bool closes);
void lb_reply_redirect(struct lb_client *c, const struct lb_listener *l, const struct lb_action *a,
                       bool is_head, bool closes);

/* count.c */
struct lbstats_block *lb_count_block(const struct lb_worker *w, uint32_t slot);
void lb_count_one(const struct lb_worker *w, uint32_t slot, enum lbstats_counter counter);
void lb_count_drop(const struct lb_worker *w, uint32_t slot, enum lbstats_counter counter);
/* A response's head came from the target. */
void lb_count_response(struct lb_exchange *ex, unsigned status, dur_t took);
/* An answer of our own; ex is NULL when no target was chosen. status 0: nobody waits for an answer,
 * only the request counts. */
void lb_count_own(const struct lb_client *c, const struct lb_exchange *ex, unsigned status);
/* Bytes that went through since the last call; of a client with its address family. */
void lb_count_bytes(const struct lb_worker *w, uint32_t slot, uint64_t bytes);
void lb_count_client_bytes(const struct lb_client *c, uint64_t bytes);
/* A client's connection is there: new and active. */
void lb_count_accepted(const struct lb_client *c);
/* Rules that were asked until `taken` matched; NULL: none did. */
void lb_count_rules(const struct lb_client *c, const struct lb_listener *l,
                    const struct lb_rule *taken);
