#pragma once
/* HTTP/2 (RFC 9113) of the data plane: what both sides share.
 *
 * Design  The text of an HTTP/1 head is the one language between the edges. A stream's field list
 *         becomes such a text and goes through the strict parser; what is written for an HTTP/1
 *         connection becomes a field list at the edge. So rules, rewriting, verdicts, replies and
 *         retries are one code for both protocols, and whatever else is added to a head arrives in
 *         HTTP/2 without a second writer. It costs about 0.4 us a request, both directions
 * together. Bodies pass as raw bytes; the frames of nghttp2 keep their lengths. Front   lb_h2 is a
 * connection of a client (its socket stays in an lb_client, the carrier); lb_stream is one who
 * asks, an lb_client of its own kind. Back    lb_link is a connection to a target (its socket stays
 * in an lb_upstream, the carrier); its streams are lb_upstreams of their own kind. Calls   No
 * exchange is called out of a callback of the session that it would write to: callbacks note what
 * came, the notes are worked on when nghttp2 has returned. Writing is put off to the end of the
 * loop's turn: one send for all streams. Windows Bytes are given back to the sender's window when
 * the other side has taken them. */

#include "lb/worker.h"

#include <nghttp2/nghttp2.h>

/* ---- memory: h2_memory.c --------------------------------------------------------------------- */

#define LB_H2_MEMORY_SIZES 11 /* 64 bytes to 64 KiB */

struct lb_h2_memory {
    void *free[LB_H2_MEMORY_SIZES];
    size_t kept_bytes;
    nghttp2_mem table; /* what nghttp2 calls */
};

/* Free lists of one worker, by powers of two. In steady state nothing is allocated. */
void lb_h2_memory_init(struct lb_h2_memory *m);
void lb_h2_memory_fini(struct lb_h2_memory *m);

/* ---- heads: h2_head.c ------------------------------------------------------------------------ */

struct lb_h2_span {
    uint32_t at;
    uint32_t len;
};

/* A field list on its way to the text of an HTTP/1 request head. */
struct lb_h2_head {
    struct lb_blocks *blocks;
    struct lb_block *pseudo; /* values of the pseudo-fields */
    struct lb_block *text;
    struct lb_block *cookie; /* crumbs, joined (RFC 9113, 8.2.3) */
    struct lb_h2_span method;
    struct lb_h2_span path;
    struct lb_h2_span authority;
    size_t list_bytes;
    bool has_start; /* the request line is written */
    bool has_host;
    bool has_length;
};

/* Fields that belong to a connection make a message malformed (RFC 9113, 8.2.2). Lower case. */
bool lb_h2_is_of_connection(struct str name);

enum lb_h2_result {
    LB_H2_OK,
    LB_H2_MALFORMED, /* stream error PROTOCOL_ERROR */
    LB_H2_TOO_LARGE, /* more than LB_H2_LIST_BYTES_MAX */
};

void lb_h2_head_init(struct lb_h2_head *h, struct lb_blocks *blocks);
/* One field, in the order in which they came; after another answer than LB_H2_OK none is taken. */
enum lb_h2_result lb_h2_head_add(struct lb_h2_head *h, struct str name, struct str value);
/* All fields are there; h->text is the head. has_body: the stream goes on. */
enum lb_h2_result lb_h2_head_end(struct lb_h2_head *h, bool has_body);
/* Gives back what is left; the text is gone when the caller has taken it. */
void lb_h2_head_fini(struct lb_h2_head *h);

/* Appends "name: value\r\n". False when it would break out of its line, or is too long. */
bool lb_h2_add_line(struct lb_blocks *blocks, struct lb_block **text, struct str name,
                    struct str value);

/* ---- field lists: h2_fields.c ---------------------------------------------------------------- */

#define LB_H2_FIELDS_MAX     (H1_FIELDS_MAX + 24) /* those that we add */
#define LB_H2_NAME_BYTES_MAX ((size_t)96 * 1024)

/* A field list for nghttp2, made of the text of a head. Names are copied in lower case, values
 * point into the text. */
struct lb_h2_fields {
    nghttp2_nv at[LB_H2_FIELDS_MAX];
    size_t count;
    char *names; /* LB_H2_NAME_BYTES_MAX */
    size_t name_bytes;
    bool is_broken; /* too many */
};

/* text begins with a head that this program wrote. Fields of the connection are left out. Returns
 * the bytes of the head; 0 when it is not complete. */
size_t lb_h2_fields_of_response(struct lb_h2_fields *f, struct str text, unsigned *ret_status);
/* Host becomes :authority. */
size_t lb_h2_fields_of_request(struct lb_h2_fields *f, struct str text, struct str scheme);
/* Lines alone. */
void lb_h2_fields_of_trailers(struct lb_h2_fields *f, struct str text);

/* ---- watching a client: h2_watch.c ----------------------------------------------------------- */

/* Looks at frame heads before nghttp2 does and counts what costs us more than it costs the sender.
 * Frames that are odd in number (resets, pings, settings, priorities, empty frames) take from a
 * budget that refills with time and with useful frames in both directions. */
struct lb_h2_watch {
    uint8_t head[9];
    uint8_t head_bytes;
    uint8_t preface_left;
    uint8_t continuation_count;
    uint8_t type;         /* of the frame under way */
    bool is_in_block;     /* between HEADERS and END_HEADERS */
    uint32_t skip_bytes;  /* of the payload under way */
    uint32_t block_bytes; /* compressed, of the field block under way */
    uint32_t spent;       /* of LB_H2_ODD_BUDGET */
    mono_t refilled;
};

void lb_h2_watch_init(struct lb_h2_watch *w, mono_t now);
/* Takes the next bytes of the connection. False: the client has gone too far, the connection is to
 * end with ENHANCE_YOUR_CALM. */
bool lb_h2_watch_pass(struct lb_h2_watch *w, struct str bytes, mono_t now);
/* False when the budget is used up. */
bool lb_h2_watch_spend(struct lb_h2_watch *w, uint32_t cost);
void lb_h2_watch_earn(struct lb_h2_watch *w);
/* A field list has begun and is not complete. */
bool lb_h2_watch_is_in_head(const struct lb_h2_watch *w);

/* ---- of one worker: h2_shared.c -------------------------------------------------------------- */

struct lb_h2_shared {
    struct lb_h2_memory memory;
    nghttp2_session_callbacks *front;
    nghttp2_session_callbacks *back;
    nghttp2_option *front_option;
    nghttp2_option *back_option;
    struct list free_streams;
    struct list dead_streams;
    struct lb_h2_fields fields;
    char *out; /* LB_H2_OUT_BYTES: frames of one send */
    size_t out_bytes;
    bool is_full; /* a frame found no room */
};

struct lb_h2_shared *lb_h2_shared_make(void);
void lb_h2_shared_free(struct lb_h2_shared *s);
/* Streams that ended in this turn may be used again. */
void lb_h2_sweep(struct lb_h2_shared *s);
/* Serialises what a session has to say into s->out; true when there is more than fits. */
bool lb_h2_gather(struct lb_h2_shared *s, nghttp2_session *session);
/* A DATA frame into s->out: its head, then `count` bytes off the front of *body, which is given
 * back when it is empty. An answer for nghttp2_send_data_callback. */
int lb_h2_put_data(struct lb_worker *w, const uint8_t *frame_head, size_t count, size_t pad_count,
                   struct lb_block **body);

/* ---- front: h2_front.c ----------------------------------------------------------------------- */

struct lb_h2 {
    struct lb_worker *worker;
    struct lb_client *carrier;
    nghttp2_session *session;
    struct ev_defer turn;
    struct list streams;
    struct list news;    /* streams whose exchange has something to do */
    struct list sending; /* streams with bytes that are not framed yet */
    struct list drained; /* streams whose bytes are all framed */
    struct lb_h2_watch watch;
    uint32_t stream_count;
    uint32_t request_count;
    /* The last streams that ended; those that we ended first are negative, for what was on its way
     * to us then is no error. */
    int32_t ended[LB_H2_ENDED_KEPT];
    uint32_t ended_count;
    bool is_in_head; /* the time for a head runs */
    bool is_noticed; /* GOAWAY with the highest stream id was sent */
    bool is_leaving; /* GOAWAY with the last one */
};

struct lb_stream {
    struct lb_client client; /* what the exchange asks */
    struct list node;
    struct list news;
    struct list sending;
    struct lb_h2 *h2;
    int32_t id;
    struct lb_h2_head head;
    struct lb_block *inbox;    /* head, then body that nobody has taken yet */
    uint32_t inbox_head_bytes; /* of the inbox that are the head */
    struct lb_block *trailers; /* of the request */
    struct lb_block *reply_trailers;
    bool has_head;      /* all of the request's head is there */
    bool is_beginning;  /* the exchange takes all of the inbox right now */
    bool has_begun;     /* the exchange has seen it */
    bool has_ended;     /* END_STREAM came */
    bool was_reset;     /* by the client */
    bool has_answered;  /* the final head is with nghttp2 */
    bool is_finished;   /* nothing more comes for the client */
    bool is_deferred;   /* nghttp2 waits for bytes */
    bool is_closed;     /* nghttp2 knows it no more */
    bool is_over_limit; /* of the field list */
};

/* h2_stream.c */
struct lb_stream *lb_stream_take(struct lb_h2 *h2, int32_t id);
/* Ends it for us; nghttp2 forgets it. */
void lb_stream_bury(struct lb_stream *s);
/* The exchange's turn: the request begins, or its body goes on. */
void lb_stream_work(struct lb_stream *s);
/* The response is complete as soon as the bytes that are here are sent. */
bool lb_stream_is_complete(const struct lb_stream *s);
void lb_stream_tell(struct lb_stream *s); /* puts it on the list of those with news */
void lb_h2_turn_later(struct lb_h2 *h2);
/* h2_front.c: no new streams; the connection ends with the last one. */
void lb_h2_leave(struct lb_h2 *h2);

/* ---- back: h2_back.c ------------------------------------------------------------------------- */

struct lb_link {
    struct lb_worker *worker;
    struct lb_pool *pool;
    struct lb_upstream *carrier; /* NULL when the target has closed */
    nghttp2_session *session;
    struct ev_defer turn;
    struct list node; /* in the pool's links */
    struct list streams;
    struct list news;
    struct list drained;
    struct lb_block *back; /* could not be sent yet */
    uint32_t stream_count;
    dur_t idle_max;
    bool is_connected;
    bool is_leaving; /* takes no new streams; closed when the last one has ended */
    bool is_cut;     /* nothing can be sent any more; what comes still counts */
};
