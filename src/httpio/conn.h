#pragma once
/* A server's connection: what server.c, conn.c and answer.c share. */

#include "httpio/server.h"
#include "httpio/unpack.h"

#include <sys/uio.h>

enum conn_state {
    CONN_HEAD,    /* waits for a request, or reads its head */
    CONN_BODY,    /* reads its body */
    CONN_HANDLER, /* the handler has the exchange; no answer yet */
    CONN_STREAM,  /* the handler is sending pieces */
    CONN_FLUSH,   /* the answer is complete; what the socket did not take is in out */
    CONN_LINGER,  /* closed for writing; drops what comes until the client ends too */
    CONN_DEAD,
};

struct httpio_conn {
    struct list node;             /* in the server's idle or busy list */
    struct httpio_server *server; /* not to be touched when dead */
    struct ev_loop *loop;
    struct ev_fd w;
    struct ev_timer timer;
    struct ev_defer resume;
    enum conn_state state;
    struct net_addr peer;
    struct httpio_exchange x;
    struct h1_head head;
    struct h1_chunked chunked;
    struct httpio_unpack body;
    uint64_t body_left;  /* of a Content-Length */
    uint64_t body_bytes; /* received so far, for the pace */
    struct buf in;       /* [head][what was not understood yet] */
    struct buf out;      /* unsent from out_sent on */
    size_t out_sent;
    mono_t since; /* when the present wait began */
    bool is_listed_idle;
    bool is_entered;      /* one of our functions works on it: do not free */
    bool has_head;        /* the request's head is whole; bytes [0, head.head_bytes) of in */
    bool keeps_alive;     /* after this answer */
    bool peer_has_closed; /* nothing more will come */
    bool is_broken;       /* writing failed */
    bool answers_chunked;
    bool drops_body; /* HEAD */
    bool wants_room; /* on_room is owed */
};

void httpio_conn_open(struct httpio_server *s, int fd, const struct net_addr *peer);
/* Tells the handler, if it has the exchange, and frees, unless one of our functions is at work on
 * it, which then does. */
void httpio_conn_close(struct httpio_conn *c);
/* Goes on from the loop, after an answer from outside. */
void httpio_conn_resume_later(struct httpio_conn *c);
/* An answer of our own; the connection ends. */
void httpio_conn_refuse(struct httpio_conn *c, unsigned status);
/* Sends, behind what is queued, and queues what the socket does not take. */
void httpio_conn_send(struct httpio_conn *c, struct iovec *pieces, size_t count);
/* Sends what is queued. */
void httpio_conn_flush(struct httpio_conn *c);

/* server.c: a connection has closed, or changed between idle and busy. */
void httpio_server_conn_closed(struct httpio_server *s);

static inline size_t httpio_conn_unsent(const struct httpio_conn *c)
{
    return c->out.len - c->out_sent;
}
