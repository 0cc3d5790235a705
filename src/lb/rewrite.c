/* New heads from what was understood of the old ones. Framing is always written anew; other lines
 * are copied when they belong to the message and not to the connection. */

#include "lb/affinity.h"
#include "lb/login.h"
#include "lb/rule.h"
#include "lb/tls_facts.h"
#include "lb/transform.h"
#include "lb/worker.h"

#include "base/check.h"

#include <stdio.h>

static const uint32_t handled_request = 1u << H1_HOST | 1u << H1_CONTENT_LENGTH | 1u << H1_EXPECT |
                                        1u << H1_X_FORWARDED_FOR | 1u << H1_X_FORWARDED_PROTO |
                                        1u << H1_X_FORWARDED_PORT | 1u << H1_X_AMZN_TRACE_ID;

/* ---- request line and host ------------------------------------------------------------------- */

/* Origin form. A space, which ALB lets pass, is written as what it means. */
static void write_target(struct h1_writer *w, const struct h1_head *h)
{
    struct str path = h1_str(h, h->path);
    if (path.len == 0) {
        path = h->target.len == 1 && h->bytes[h->target.at] == '*' ? STR("*") : STR("/");
    }
    struct str parts[] = {path, h->has_query ? STR("?") : STR(""),
                          h->has_query ? h1_str(h, h->query) : STR("")};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        struct str rest = parts[i];
        struct str run;
        bool is_first = true;
        while (h->has_space_in_target && str_next(&rest, ' ', &run)) {
            h1_write_raw(w, is_first ? STR("") : STR("%20"));
            h1_write_raw(w, run);
            is_first = false;
        }
        if (!h->has_space_in_target) {
            h1_write_raw(w, parts[i]);
        }
    }
}

static void write_raw_field(struct h1_writer *w, struct str name, struct str a, struct str b)
{
    h1_write_raw(w, name);
    h1_write_raw(w, a);
    h1_write_raw(w, b);
    h1_write_raw(w, STR("\r\n"));
}

/* Source: ALB, preserve_host_header off: on ports 80 and 443 the port goes, on others it is added
 * where it is missing. A request without a host (HTTP/1.0) gets the listener's address. */
static void write_host(struct h1_writer *w, struct str host, const struct lb_listener *l)
{
    char room[NET_ADDR_TEXT_BYTES_MAX];
    if (host.len == 0) {
        write_raw_field(w, STR("Host: "), str_make(room, net_addr_format(&l->addr, room)), STR(""));
        return;
    }
    struct str name = lb_host_name(host);
    if (l->keeps_host) {
        write_raw_field(w, STR("Host: "), host, STR(""));
    } else if (l->port == 80 || l->port == 443) {
        write_raw_field(w, STR("Host: "), name, STR(""));
    } else if (name.len < host.len) {
        write_raw_field(w, STR("Host: "), host, STR(""));
    } else {
        h1_write_raw(w, STR("Host: "));
        h1_write_raw(w, name);
        write_raw_field(w, STR(":"), str_of(l->port_text), STR(""));
    }
}

/* ---- X-Forwarded-* --------------------------------------------------------------------------- */

static size_t count_addresses(const struct h1_head *h)
{
    size_t count = 0;
    for (size_t i = 0; i < h->field_count; i++) {
        if (h->fields[i].name != H1_X_FORWARDED_FOR) {
            continue;
        }
        struct str rest = h1_field_value(h, &h->fields[i]);
        struct str member;
        while (h1_list_next(&rest, &member)) {
            count++;
        }
    }
    return count;
}

static void write_client(struct h1_writer *w, const struct lb_client *c,
                         const struct lb_listener *l)
{
    char room[NET_ADDR_TEXT_BYTES_MAX];
    struct str address = str_make(room, lb_client_address(c, room));
    if (!l->has_xff_port) {
        h1_write_raw(w, address);
        return;
    }
    char port[8];
    int port_len = snprintf(port, sizeof(port), ":%u", (unsigned)c->peer_port);
    bool is_v6 = memchr(address.ptr, ':', address.len) != NULL;
    h1_write_raw(w, is_v6 ? STR("[") : STR(""));
    h1_write_raw(w, address);
    h1_write_raw(w, is_v6 ? STR("]") : STR(""));
    h1_write_raw(w, str_make(port, (size_t)port_len));
}

/* All X-Forwarded-For lines in one, ours behind them. */
static void write_forwarded_for(struct h1_writer *w, const struct lb_client *c,
                                const struct lb_listener *l, const struct h1_head *h)
{
    if (l->xff == LB_XFF_REMOVE || (l->xff == LB_XFF_PRESERVE && !h1_has(h, H1_X_FORWARDED_FOR))) {
        return;
    }
    h1_write_raw(w, STR("X-Forwarded-For: "));
    bool is_first = true;
    for (size_t i = 0; h1_has(h, H1_X_FORWARDED_FOR) && i < h->field_count; i++) {
        const struct h1_field *f = &h->fields[i];
        if (f->name != H1_X_FORWARDED_FOR || (f->flags & H1_FIELD_BAD) != 0 || f->value_len == 0) {
            continue;
        }
        h1_write_raw(w, is_first ? STR("") : STR(", "));
        h1_write_raw(w, h1_field_value(h, f));
        is_first = false;
    }
    if (l->xff == LB_XFF_APPEND) {
        h1_write_raw(w, is_first ? STR("") : STR(", "));
        write_client(w, c, l);
    }
    h1_write_raw(w, STR("\r\n"));
}

/* ---- X-Amzn-Trace-Id ------------------------------------------------------------------------- */

static void put_hex(char *at, uint64_t value, size_t digits)
{
    for (size_t i = digits; i > 0; i--) {
        at[i - 1] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
}

#define TRACE_ID_BYTES 35 /* "1-" 8 hexadecimal digits "-" 24 */

static void make_trace_id(struct lb_worker *w, char id[TRACE_ID_BYTES])
{
    id[0] = '1';
    id[1] = '-';
    put_hex(id + 2, (uint64_t)(clock_wall().us / 1000000), 8);
    id[10] = '-';
    put_hex(id + 11, lb_worker_random(w), 12);
    put_hex(id + 23, lb_worker_random(w), 12);
}

/* "Self=...;" in front of what came, without the Self that it had; without a Root a new Root. */
static void write_trace(struct h1_writer *w, struct lb_worker *worker, const struct h1_head *h)
{
    char id[TRACE_ID_BYTES];
    make_trace_id(worker, id);
    struct str ours = str_make(id, sizeof(id));
    struct str came = h1_find(h, H1_X_AMZN_TRACE_ID);
    bool is_usable = str_is_set(came) && came.len > 0 && came.len <= LB_TRACE_BYTES_MAX &&
                     str_find(came, STR("Root="), 0) != STR_NOT_FOUND;
    h1_write_raw(w, STR("X-Amzn-Trace-Id: "));
    size_t start = w->len;
    if (!is_usable) {
        h1_write_raw(w, STR("Root="));
        h1_write_raw(w, ours);
        worker->log_pen.trace = str_make(w->ptr + start, w->len - start);
        h1_write_raw(w, STR("\r\n"));
        return;
    }
    h1_write_raw(w, STR("Self="));
    h1_write_raw(w, ours);
    struct str part;
    while (str_next(&came, ';', &part)) {
        part = str_trim(part);
        if (part.len > 0 && !str_starts_with(part, STR("Self="))) {
            h1_write_raw(w, STR(";"));
            h1_write_raw(w, part);
        }
    }
    worker->log_pen.trace = str_make(w->ptr + start, w->len - start);
    h1_write_raw(w, STR("\r\n"));
}

/* ---- the lines that are copied ----------------------------------------------------------------
 */

/* [-A-Za-z0-9]+, what drop_invalid_header_fields lets pass. */
static bool is_plain_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = str_lower_char(name.ptr[i]);
        if (c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9')) {
            return false;
        }
    }
    return true;
}

static void copy_fields(struct h1_writer *w, const struct h1_head *h, uint32_t handled)
{
    for (size_t i = 0; i < h->field_count; i++) {
        const struct h1_field *f = &h->fields[i];
        if (f->flags == 0 && (handled >> f->name & 1u) == 0) {
            h1_write_parsed_field(w, h, f);
        }
    }
}

/* Names that the listener's attributes set or hide: what the target says there does not count. */
static bool is_replaced(const struct lb_listener *l, struct str name)
{
    if (l->hides_server && str_equal_nocase(name, STR("server"))) {
        return true;
    }
    for (uint32_t i = 0; i < LB_ADDED_NAMES; i++) {
        if ((l->added_mask >> i & 1) != 0 && str_equal_nocase(name, lb_added_names[i].name)) {
            return true;
        }
    }
    return false;
}

static void copy_response_fields(struct h1_writer *w, const struct h1_head *h,
                                 const struct lb_listener *l)
{
    if (!l->edits_responses) {
        copy_fields(w, h, 1u << H1_CONTENT_LENGTH);
        return;
    }
    for (size_t i = 0; i < h->field_count; i++) {
        const struct h1_field *f = &h->fields[i];
        if (f->flags == 0 && f->name != H1_CONTENT_LENGTH && !is_replaced(l, h1_field_name(h, f))) {
            h1_write_parsed_field(w, h, f);
        }
    }
    h1_write_raw(w, l->added_fields);
}

static void write_framing(struct h1_writer *w, const struct h1_head *h)
{
    if (h->framing == H1_CHUNKED) {
        h1_write_raw(w, STR("Transfer-Encoding: chunked\r\n"));
    } else if (h->has_length) {
        h1_write_field_u64(w, STR("Content-Length"), h->content_length);
    }
}

/* The end of the room for heads is where transforms work. */
static bool transform(struct lb_client *c, const struct lb_rule *rule, struct lb_transformed *ret)
{
    struct lb_worker *w = c->worker;
    return lb_transform_request(rule, &w->request_head, w->regex_scratch,
                                w->head_room + LB_SCRATCH_BYTES - LB_TRANSFORM_ROOM_BYTES, ret);
}

/* ---- TLS of the client ----------------------------------------------------------------------- */

/* "x-amzn-mtls-..." and "x-amzn-tls-...", with "_" for "-" as well: many targets see no difference.
 */
static bool is_tls_fact(struct str name)
{
    static const struct str prefixes[] = {STR_INIT("x-amzn-mtls-"), STR_INIT("x-amzn-tls-")};
    if (name.len < 12 || (name.ptr[0] | 0x20) != 'x' || (name.ptr[2] | 0x20) != 'a') {
        return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++) {
        size_t at = 0;
        while (at < prefixes[i].len &&
               (name.ptr[at] == '_' ? '-' : str_lower_char(name.ptr[at])) == prefixes[i].ptr[at]) {
            at++;
        }
        if (at == prefixes[i].len) {
            return true;
        }
    }
    return false;
}

static bool is_own_name(const struct lb_listener *l, struct str name)
{
    for (size_t i = 0; i < LB_TLS_FACT_COUNT; i++) {
        if (str_equal_nocase(name, l->fact_names[i])) {
            return true;
        }
    }
    return false;
}

/* What a client itself says of its TLS is never passed on. Returns whether a name was not plain. */
static bool copy_request_fields(struct h1_writer *w, const struct h1_head *h,
                                const struct lb_listener *l)
{
    bool has_odd = false;
    for (size_t i = 0; i < h->field_count; i++) {
        const struct h1_field *f = &h->fields[i];
        if (f->flags != 0 || (handled_request >> f->name & 1u) != 0) {
            continue;
        }
        struct str name = h1_field_name(h, f);
        bool is_odd = f->name == H1_OTHER && !is_plain_name(name);
        bool is_dropped = (f->name == H1_OTHER && is_tls_fact(name)) ||
                          (l->has_logins && lb_is_identity_field(name)) ||
                          (l->has_own_names && is_own_name(l, name)) ||
                          (l->drops_invalid && is_odd);
        has_odd |= is_odd;
        if (!is_dropped) {
            h1_write_parsed_field(w, h, f);
        }
    }
    return has_odd;
}

static void write_tls_facts(struct h1_writer *w, struct lb_tls *tls, const struct lb_listener *l)
{
    const struct lb_tls_facts *facts = lb_tls_facts(tls);
    for (unsigned i = 0; i < LB_TLS_FACT_COUNT; i++) {
        if ((l->told_facts >> i & 1) != 0 && facts->values[i].len > 0) {
            h1_write_field(w, l->fact_names[i], facts->values[i]);
        }
    }
}

enum lb_rewrite lb_rewrite_request(struct lb_client *c, const struct lb_listener *l,
                                   const struct lb_rule *rule, struct h1_writer *ret_writer)
{
    const struct h1_head *h = &c->worker->request_head;
    struct h1_writer *w = ret_writer;
    struct lb_transformed to = {STR_NONE, STR_NONE};
    if (l->xff == LB_XFF_APPEND && h1_has(h, H1_X_FORWARDED_FOR) &&
        count_addresses(h) > LB_XFF_ADDRESSES_MAX) {
        return LB_REWRITE_TOO_MANY_ADDRESSES;
    }
    if (rule->has_transforms && !transform(c, rule, &to)) {
        return LB_REWRITE_TRANSFORM_FAILED;
    }
    h1_writer_init(w, c->worker->head_room, LB_SCRATCH_BYTES - LB_TRANSFORM_ROOM_BYTES);
    h1_write_raw(w, h1_str(h, h->method));
    h1_write_raw(w, STR(" "));
    if (str_is_set(to.url)) {
        h1_write_raw(w, to.url);
    } else {
        write_target(w, h);
    }
    h1_write_raw(w, STR(" HTTP/1.1\r\n"));
    write_host(w, str_is_set(to.host) ? to.host : h1_str(h, h->host), l);
    if (copy_request_fields(w, h, l)) {
        lb_count_one(c->worker, c->slot,
                     l->drops_invalid ? LBSTATS_HEADERS_DROPPED : LBSTATS_HEADERS_FORWARDED);
    }
    write_framing(w, h);
    write_forwarded_for(w, c, l, h);
    h1_write_raw(w, l->tls == NULL ? STR("X-Forwarded-Proto: http\r\n")
                                   : STR("X-Forwarded-Proto: https\r\n"));
    write_raw_field(w, STR("X-Forwarded-Port: "), str_of(l->port_text), STR(""));
    write_trace(w, c->worker, h);
    if (c->stream != NULL && lb_asks_for_trailers(h)) { /* gRPC targets insist on it */
        h1_write_raw(w, STR("TE: trailers\r\nConnection: TE\r\n"));
    }
    if (l->told_facts != 0 && c->tls != NULL) {
        write_tls_facts(w, c->tls, l);
    }
    if (l->has_logins && c->worker->identity != NULL) {
        lb_identity_write(c->worker->identity, w);
    }
    if (h->is_websocket) {
        h1_write_raw(w, STR("Connection: upgrade\r\nUpgrade: websocket\r\n"));
    }
    h1_write_end(w);
    return w->is_broken ? LB_REWRITE_TOO_LARGE : LB_REWRITE_OK;
}

void lb_rewrite_response(struct lb_worker *w, const struct lb_exchange *ex, bool closes,
                         struct h1_writer *ret_writer)
{
    const struct h1_head *h = &w->response_head;
    struct h1_writer *out = ret_writer;
    h1_writer_init(out, w->head_room, LB_SCRATCH_BYTES);
    h1_write_status_line(out, h->status, h1_str(h, h->reason_phrase));
    copy_response_fields(out, h, ex->listener);
    if (h->framing == H1_NO_BODY || h->framing == H1_LENGTH) {
        /* a 1xx or 204 has none by definition; a HEAD or 304 tells what a GET would have */
        if (h->has_length && h->status >= 200 && h->status != 204) {
            h1_write_field_u64(out, STR("Content-Length"), h->content_length);
        }
    } else if (!ex->is_http10) {
        h1_write_raw(out, STR("Transfer-Encoding: chunked\r\n"));
    }
    if (ex->affinity != NULL && (h->status >= 200 || ex->is_tunnel)) {
        lb_affinity_write(w, ex, out);
    }
    if (ex->is_tunnel) {
        h1_write_raw(out, STR("Connection: upgrade\r\nUpgrade: websocket\r\n"));
    } else if (h->status >= 200 && closes) {
        h1_write_raw(out, STR("Connection: close\r\n"));
    } else if (h->status >= 200 && ex->is_http10) {
        h1_write_raw(out, STR("Connection: keep-alive\r\n"));
    }
    h1_write_end(out);
    CHECK(!out->is_broken); /* 32 KiB of head and a few lines into 256 KiB */
}
