#pragma once
/* HTTP/1.1 server on a loop: whole requests in, answers now or later, streamed answers.
 *
 * Requests    keep-alive, pipelined (answered one after the other), Content-Length or chunked, gzip
 *             unpacked, Expect: 100-continue. The handler is called once the body is there.
 * Exchange    one request and its answer. It belongs to the server. The handler, or whoever it
 *             gives the exchange to, ends it by httpio_answer() or httpio_stream_end(); after that,
 *             and after on_gone, the pointer is dead.
 * Refusals    malformed or over-long heads, bodies past the limit, unknown encodings, slow clients:
 *             answered by the server itself (400, 408, 413, 415, 417, 431, ...), then closed.
 * Owns        its connections and the listening socket. */

#include "ev/loop.h"
#include "http/h1.h"
#include "httpio/limits.h"
#include "net/addr.h"

struct httpio_server;
struct httpio_exchange;

/* Called once for each request; may answer at once or later. */
typedef void httpio_handler_fn(struct httpio_server *s, struct httpio_exchange *x);
/* The client is gone, or the server was closed, before the answer was complete. */
typedef void httpio_gone_fn(struct httpio_exchange *x);
/* A streamed answer has room again, after httpio_stream_write() was refused. */
typedef void httpio_room_fn(struct httpio_exchange *x);

struct httpio_exchange {
    struct httpio_server *server;
    /* The request; lives as long as the exchange. */
    const struct h1_head *head;
    struct str method;
    struct str path;  /* from "/" on, as received */
    struct str query; /* behind "?", may be empty */
    struct str host;
    struct str body;        /* whole and unpacked */
    struct str packed_body; /* as sent, when it was packed; else absent */
    const struct net_addr *peer;
    /* For whoever answers later. */
    void *user;
    httpio_gone_fn *on_gone; /* may be NULL */
    httpio_room_fn *on_room; /* may be NULL */
};

struct httpio_field {
    struct str name;
    struct str value;
};

struct httpio_answer {
    unsigned status;                   /* 200..599 */
    struct str content_type;           /* absent: none */
    const struct httpio_field *fields; /* besides Date, Content-Type, framing and Connection */
    size_t field_count;
    struct str body; /* at most HTTPIO_ANSWER_BYTES_MAX; copied where it cannot be sent at once.
                        Not sent for HEAD, 204 and 304 */
    bool closes;     /* the connection, afterwards */
};

struct httpio_server_options {
    size_t request_bytes_max; /* 0: HTTPIO_REQUEST_BYTES_DEFAULT */
    size_t connections_max;   /* 0: HTTPIO_CONNECTIONS_DEFAULT. At the limit the connection that is
                                 idle longest goes; without one, new ones wait in the kernel */
    dur_t head_timeout;       /* 0: the defaults of limits.h */
    dur_t idle_timeout;
    dur_t body_timeout;
    dur_t write_timeout;
};

struct httpio_server {
    struct ev_loop *loop;
    struct ev_fd listener;
    struct ev_timer accept_pause;
    httpio_handler_fn *handler;
    void *user;
    struct httpio_server_options options; /* no zeros */
    struct list idle;                     /* connections between requests, longest first */
    struct list busy;
    size_t connection_count;
    bool is_stopping;
    struct ev_defer stopped;
    void (*on_stopped)(struct httpio_server *s);
};

/* Serves on listen_fd (see net_listen), which it takes over; on failure too. options may be NULL.
 * The memory of *s stays where it is until httpio_server_close(). */
enum err httpio_server_open(struct ev_loop *loop, struct httpio_server *s, int listen_fd,
                            const struct httpio_server_options *options, httpio_handler_fn *handler,
                            void *user) MUST_USE;
/* Accepts nothing more, closes what is idle, lets running exchanges end; then calls on_stopped,
 * once, never inside this call. Close the server afterwards, or before if it takes too long. */
void httpio_server_stop(struct httpio_server *s, void (*on_stopped)(struct httpio_server *s));
/* Closes everything at once; running exchanges are told by on_gone. May be called by a handler. */
void httpio_server_close(struct httpio_server *s);

/* ---- answers ---- */

/* A whole answer, sent with one system call where the socket takes it. A field that cannot be
 * written (line ends in a value, too long) makes the answer a 500 without them. */
void httpio_answer(struct httpio_exchange *x, const struct httpio_answer *answer);

/* Begins an answer of unknown length (answer->body is its first piece). HTTP/1.1 clients get it
 * chunked, HTTP/1.0 ones up to the end of the connection. For HEAD the pieces are dropped. */
void httpio_stream_start(struct httpio_exchange *x, const struct httpio_answer *answer);
/* Sends or queues a piece whole. ERR_AGAIN: HTTPIO_STREAM_BYTES_MAX would be passed; nothing was
 * queued, on_room comes when at most half of it is left. A piece larger than the limit is taken
 * when nothing is queued. ERR_CLOSED: the client is gone, on_gone comes soon. */
enum err httpio_stream_write(struct httpio_exchange *x, struct str piece) MUST_USE;
/* Bytes that wait in our process. */
size_t httpio_stream_queued(struct httpio_exchange *x);
void httpio_stream_end(struct httpio_exchange *x);
/* Ends the connection without completing the answer, so that the client knows that it is cut. */
void httpio_stream_abort(struct httpio_exchange *x);
