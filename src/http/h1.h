#pragma once
/* HTTP/1 heads and chunked bodies: bytes in, meaning out. No socket, no allocation.
 *
 * Strict by construction: what two parsers could read differently is refused (H1_BAD) or marked
 * (head->verdict), and a proxy never copies framing bytes: it writes a new head from what it
 * understood. Verdicts and reasons carry the names that ALB writes into its access log. */

#include "base/str.h"
#include "http/limits.h"

#include <stdbool.h>
#include <stdint.h>

enum h1_result {
    H1_MORE, /* not complete yet: call again with the same bytes and some more */
    H1_DONE,
    H1_BAD, /* refuse: head->status and head->reason say why */
};

/* ALB: compliant and acceptable requests pass; after an ambiguous one both connections are closed;
 * a severe one is answered with 400. A head that is H1_BAD is severe, unless its status says that
 * it is too large (400, 414) or asks for what we do not serve (501, 505). */
enum h1_verdict { H1_COMPLIANT, H1_ACCEPTABLE, H1_AMBIGUOUS, H1_SEVERE };

enum h1_reason {
    H1_REASON_NONE,
#define X(kind, text) kind,
#include "http/h1_reasons.def"
#undef X
};

/* Bytes [at, at + len) of the buffer that holds the head. */
struct h1_span {
    uint32_t at;
    uint32_t len;
};

enum h1_name {
    H1_OTHER,
#define X(kind, text) kind,
#include "http/h1_names.def"
#undef X
    H1_NAME_COUNT,
};

enum h1_field_flag {
    H1_FIELD_HOP = 1, /* belongs to this connection (listed in Connection, or by definition) */
    H1_FIELD_BAD = 2, /* odd bytes in the name or controls in the value: never forwarded */
};

struct h1_field {
    uint32_t name_at;
    uint32_t value_at;
    uint16_t name_len;
    uint16_t value_len; /* without the white space around it */
    uint8_t name;       /* enum h1_name */
    uint8_t flags;
};

enum h1_framing {
    H1_NO_BODY,
    H1_LENGTH, /* content_length bytes; more than 0 */
    H1_CHUNKED,
    H1_UNTIL_CLOSE, /* responses only */
};

/* One head. Everything down to field_count is meaningful after H1_DONE; verdict, reason and status
 * also after H1_BAD. Positions, not pointers: the buffer may move between calls. */
struct h1_head {
    const char *bytes; /* the buffer given last */
    size_t head_bytes; /* length of the whole head: the body begins here */
    enum h1_verdict verdict;
    enum h1_reason reason;
    uint16_t status;       /* responses: the code; requests that are H1_BAD: what to answer */
    uint8_t minor_version; /* 0 or 1 */

    struct h1_span method; /* requests */
    struct h1_span target; /* as received */
    struct h1_span path;   /* from "/" to before "?"; empty for "*" and for CONNECT */
    struct h1_span query;  /* behind "?", may be empty */
    struct h1_span host;   /* authority of an absolute target, else the Host field; may be empty */
    struct h1_span reason_phrase; /* responses */
    bool has_query;
    bool is_absolute_target;
    bool has_space_in_target;

    enum h1_framing framing;
    uint64_t content_length; /* with H1_LENGTH; also of a response to HEAD, with has_length */
    bool has_length;         /* a Content-Length was given and holds */
    bool is_keep_alive;      /* by version and Connection, and the framing allows it */
    bool wants_keep_alive;   /* the same, whatever the verdict */
    bool has_upgrade;        /* Connection: upgrade, and an Upgrade field */
    bool is_websocket;       /* has_upgrade, and it says websocket alone */
    bool expects_continue;
    bool has_other_expect; /* to be answered with 417 */
    uint32_t names_seen;   /* bit (1 << enum h1_name) for every field there is */

    size_t field_count;
    struct h1_field fields[H1_FIELDS_MAX];

    /* where the parser stands */
    uint8_t phase;
    bool has_bare_lf;
    uint8_t te_count;      /* transfer codings */
    bool is_chunked;       /* one of them is */
    bool has_other_coding; /* neither chunked nor identity, or with parameters */
    bool must_close;
    uint32_t lookalikes; /* bit of the name that a bad field looks like */
    size_t line_at;
    size_t fields_at;
};

/* Makes the head ready for a first call; costs no more than its scalars. */
void h1_head_init(struct h1_head *h);

/* bytes[0, count) is everything received so far, from the first byte of the head on. After H1_MORE
 * call again with the same start and more; complete lines are not looked at twice. An answer of
 * H1_BAD does not depend on how the bytes were split. */
enum h1_result h1_parse_request(struct h1_head *h, const char *bytes, size_t count);
/* is_head: the request was HEAD, so the response has no body whatever it says. 1xx responses are
 * heads like others, without a body. */
enum h1_result h1_parse_response(struct h1_head *h, const char *bytes, size_t count, bool is_head);

const char *h1_reason_text(enum h1_reason reason);    /* "BothTeClPresent"; "" for none */
const char *h1_verdict_text(enum h1_verdict verdict); /* "Ambiguous" */

static inline struct str h1_str(const struct h1_head *h, struct h1_span span)
{
    return str_make(h->bytes + span.at, span.len);
}
static inline struct str h1_field_name(const struct h1_head *h, const struct h1_field *f)
{
    return str_make(h->bytes + f->name_at, f->name_len);
}
static inline struct str h1_field_value(const struct h1_head *h, const struct h1_field *f)
{
    return str_make(h->bytes + f->value_at, f->value_len);
}
static inline bool h1_has(const struct h1_head *h, enum h1_name name)
{
    return (h->names_seen & (1u << name)) != 0;
}
/* First field of that name; absent when there is none. Names of h1_names.def by number. */
struct str h1_find(const struct h1_head *h, enum h1_name name);
/* The same by text, not case-sensitive; *at steps through repeated fields and starts at 0. */
bool h1_find_next(const struct h1_head *h, struct str name, size_t *at, struct str *ret_value);
/* Steps through the members of a comma-separated field; empty members are skipped. */
bool h1_list_next(struct str *rest, struct str *ret_member);

/* ---- chunked bodies ------------------------------------------------------------------------- */

struct h1_chunked {
    uint64_t left_bytes;   /* of the chunk that is open */
    uint32_t line_bytes;   /* of the size line or of the trailers so far */
    uint32_t excess_bytes; /* size lines so far, beyond what their data is worth */
    uint8_t state;
    uint8_t digit_count;
    struct str trailers; /* of the bytes taken last: those of trailer lines */
};

void h1_chunked_init(struct h1_chunked *c);
/* Takes bytes off the front of *rest and gives one run of body bytes, which lies in *rest's memory.
 * H1_MORE: *ret_data holds a run, or is empty and *rest is used up. H1_DONE: the body has ended and
 * *rest begins behind it. H1_BAD: malformed. Extensions are checked and dropped, trailers
 * are checked and shown in c->trailers, with the empty line behind them; line ends are CR LF and
 * nothing else. */
enum h1_result h1_chunked_next(struct h1_chunked *c, struct str *rest, struct str *ret_data);
/* "1f40\r\n" to the end of `room`, at most H1_CHUNK_HEAD_BYTES; gives its start, so that it can be
 * put right in front of the data. size > 0. */
struct str h1_chunk_head(char room[H1_CHUNK_HEAD_BYTES], uint64_t size);
#define H1_CHUNK_END  "\r\n"
#define H1_CHUNK_LAST "0\r\n\r\n"

/* ---- writing heads -------------------------------------------------------------------------- */

/* Into memory of the caller. A piece that does not fit, or that holds bytes which would break out
 * of its place (CR, LF, NUL; spaces in a method or target), is dropped and sets is_broken: write
 * all, ask once. */
struct h1_writer {
    char *ptr;
    size_t len;
    size_t capacity_bytes;
    bool is_broken;
};

void h1_writer_init(struct h1_writer *w, void *memory, size_t capacity_bytes);
void h1_write_request_line(struct h1_writer *w, struct str method, struct str target);
/* reason: absent takes the usual phrase of the status. */
void h1_write_status_line(struct h1_writer *w, unsigned status, struct str reason);
void h1_write_field(struct h1_writer *w, struct str name, struct str value);
void h1_write_field_u64(struct h1_writer *w, struct str name, uint64_t value);
/* Copies a field of a parsed head: no check again. */
void h1_write_parsed_field(struct h1_writer *w, const struct h1_head *h, const struct h1_field *f);
/* Bytes that the caller vouches for. */
void h1_write_raw(struct h1_writer *w, struct str bytes);
/* The empty line. */
void h1_write_end(struct h1_writer *w);
/* "Not Found"; "Unknown" where there is no usual phrase. */
const char *h1_status_phrase(unsigned status);
