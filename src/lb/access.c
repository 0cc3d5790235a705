#include "lb/access.h"

#include "base/check.h"
#include "lb/control.h"
#include "lb/logs.h"
#include "lb/rule.h"
#include "lb/tls_facts.h"

/* ---- a line ---------------------------------------------------------------------------------- */

struct pen {
    char *at;
    char *end; /* what does not fit is left out */
};

static void put(struct pen *p, struct str s)
{
    size_t room = (size_t)(p->end - p->at);
    size_t n = s.len < room ? s.len : room;
    if (n > 0) {
        memcpy(p->at, s.ptr, n);
        p->at += n;
    }
}

static void put_u64(struct pen *p, uint64_t value)
{
    char digits[20];
    size_t i = sizeof(digits);
    do {
        digits[--i] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put(p, str_make(digits + i, sizeof(digits) - i));
}

/* Between two quotes: at most `most` bytes of it. */
static void put_escaped(struct pen *p, struct str s, size_t most)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = s.len < most ? s.len : most;
    for (size_t i = 0; i < n && p->end - p->at >= 4; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
            *p->at++ = (char)c;
        } else {
            *p->at++ = '\\';
            *p->at++ = 'x';
            *p->at++ = digits[c >> 4];
            *p->at++ = digits[c & 15];
        }
    }
}

static void put_quoted(struct pen *p, struct str s, size_t most)
{
    put(p, STR("\""));
    put_escaped(p, s.len > 0 ? s : STR("-"), most);
    put(p, STR("\""));
}

static void put_or_dash(struct pen *p, struct str s)
{
    put(p, s.len > 0 ? s : STR("-"));
}

/* "0.042", or "-1" */
static void put_seconds(struct pen *p, dur_t d)
{
    if (d.us < 0) {
        put(p, STR("-1"));
        return;
    }
    uint64_t ms = (uint64_t)(d.us + 500) / 1000;
    char rest[4] = {'.', (char)('0' + ms / 100 % 10), (char)('0' + ms / 10 % 10),
                    (char)('0' + ms % 10)};
    put_u64(p, ms / 1000);
    put(p, str_make(rest, sizeof(rest)));
}

/* "2026-11-20T19:44:17.123456Z" */
static void put_time(struct pen *p, struct lb_log_pen *with, wall_t t)
{
    int64_t second = t.us / 1000000;
    if (second != with->second) {
        struct arena scratch;
        arena_init(&scratch);
        memcpy(with->date, wall_iso8601(&scratch, t).ptr, 19);
        arena_fini(&scratch);
        with->second = second;
    }
    char rest[8] = {'.', 0, 0, 0, 0, 0, 0, 'Z'};
    uint64_t us = (uint64_t)(t.us % 1000000);
    for (size_t i = 6; i > 0; i--) {
        rest[i] = (char)('0' + us % 10);
        us /= 10;
    }
    put(p, str_make(with->date, 19));
    put(p, str_make(rest, sizeof(rest)));
}

static void put_hex(struct pen *p, uint64_t value)
{
    char digits[16];
    for (size_t i = sizeof(digits); i > 0; i--) {
        digits[i - 1] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
    put(p, str_make(digits, sizeof(digits)));
}

static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The same for all lines of a connection; it costs an idle one no byte. */
static void put_trace_of_connection(struct pen *p, const struct lb_client *c)
{
    uint64_t seed = c->worker->log_seed;
    put(p, STR("TID_"));
    put_hex(p, mixed(seed ^ (uint64_t)c->accepted_at.us));
    put_hex(p, mixed(seed + (uint64_t)(uintptr_t)c + ((uint64_t)c->peer_port << 48)));
}

static void put_address(struct pen *p, struct str host, unsigned port)
{
    bool is_v6 = host.len > 0 && memchr(host.ptr, ':', host.len) != NULL;
    bool is_unix = str_starts_with(host, STR("unix:"));
    put(p, is_v6 && !is_unix ? STR("[") : STR(""));
    put(p, host);
    put(p, is_v6 && !is_unix ? STR("]") : STR(""));
    if (!is_unix) {
        put(p, STR(":"));
        put_u64(p, port);
    }
}

static struct pen start(struct lb_worker *w)
{
    return (struct pen){.at = w->log_pen.line, .end = w->log_pen.line + LB_LOG_LINE_BYTES_MAX};
}

static void push(struct lb_worker *w, uint32_t slot, uint32_t sink, const struct pen *p)
{
    struct str line = str_make(w->log_pen.line, (size_t)(p->at - w->log_pen.line));
    if (!lb_log_push(w->log_pen.ring, sink, line)) {
        lb_count_one(w, slot, LBSTATS_LOG_LINES_DROPPED);
    }
}

/* ---- fields 13 to 23 ------------------------------------------------------------------------- */

static void put_request(struct pen *p, const struct lb_client *c, const struct lb_listener *l,
                        const struct h1_head *h)
{
    struct str version =
        h != NULL && h->minor_version == 0 ? STR(" HTTP/1.0\"") : STR(" HTTP/1.1\"");
    struct str host = h == NULL ? STR("") : h1_str(h, h->host);
    char address[NET_ADDR_TEXT_BYTES_MAX];
    if (host.len == 0) {
        host = str_make(address, net_addr_format_host(&l->addr, address));
    }
    put(p, STR("\""));
    put_escaped(p, h == NULL ? STR("-") : h1_str(h, h->method), LB_LOG_TARGET_BYTES);
    put(p, l->tls == NULL ? STR(" http://") : STR(" https://"));
    put_escaped(p, lb_host_name(host), LB_LOG_TARGET_BYTES);
    put(p, STR(":"));
    put(p, str_of(l->port_text));
    if (h == NULL) {
        put(p, STR("- -\""));
        return;
    }
    put_escaped(p, h1_str(h, h->path), LB_LOG_TARGET_BYTES);
    if (h->has_query) {
        put(p, STR("?"));
        put_escaped(p, h1_str(h, h->query), LB_LOG_TARGET_BYTES);
    }
    put(p, c->stream != NULL ? STR(" HTTP/2.0\"") : version);
}

static struct str user_agent(const struct h1_head *h)
{
    for (size_t i = 0; h != NULL && i < h->field_count; i++) {
        const struct h1_field *f = &h->fields[i];
        if (f->name_len == 10 && str_equal_nocase(h1_field_name(h, f), STR("user-agent"))) {
            return h1_field_value(h, f);
        }
    }
    return STR("");
}

struct request_facts {
    const struct lb_client *client;
    const struct lb_listener *listener;
    const struct lb_group *group; /* NULL: none */
    const struct lb_rule *rule;   /* NULL: none was asked, or none matched */
    const struct h1_head *head;   /* NULL: it was not understood */
    wall_t created;
    struct str trace;
    struct str actions;
};

static void put_part(struct pen *p, const struct request_facts *f)
{
    const struct lb_tls *tls = f->client->tls;
    put_request(p, f->client, f->listener, f->head);
    put(p, STR(" "));
    put_quoted(p, user_agent(f->head), LB_LOG_AGENT_BYTES);
    put(p, STR(" "));
    put_or_dash(p, tls == NULL ? STR("") : lb_tls_cipher(tls));
    put(p, STR(" "));
    put_or_dash(p, tls == NULL ? STR("") : lb_tls_version(tls));
    put(p, STR(" "));
    put_or_dash(p, f->group == NULL ? STR("") : f->group->arn);
    put(p, STR(" "));
    put_quoted(p, f->trace, LB_LOG_AGENT_BYTES);
    put(p, STR(" "));
    put_quoted(p, tls == NULL ? STR("") : lb_tls_server_name(tls), 256);
    put(p, STR(" "));
    put_quoted(p, tls == NULL ? STR("") : lb_tls_certificate_arn(tls), 2048);
    put(p, STR(" "));
    if (f->rule == NULL) {
        put(p, STR("-"));
    } else {
        put_u64(p, (uint64_t)f->rule->priority);
    }
    put(p, STR(" "));
    put_time(p, &f->client->worker->log_pen, f->created);
    put(p, STR(" "));
    put_quoted(p, f->actions, 256);
}

static struct str actions_of(const struct lb_rule *rule)
{
    static const char *const texts[][2] = {
        [LB_FORWARD] = {"forward", "authenticate,forward"},
        [LB_REDIRECT] = {"redirect", "authenticate,redirect"},
        [LB_FIXED] = {"fixed-response", "authenticate,fixed-response"},
    };
    return rule == NULL ? STR("") : str_of(texts[rule->action.type][rule->login != NULL]);
}

void lb_access_begin(struct lb_exchange *ex, const struct lb_rule *rule)
{
    struct lb_worker *w = ex->client->worker;
    const struct h1_head *h = &w->request_head;
    struct request_facts facts = {
        .client = ex->client,
        .listener = ex->listener,
        .group = ex->group,
        .rule = rule,
        .head = h,
        .created = clock_wall(),
        .trace = w->log_pen.trace,
        .actions = actions_of(rule),
    };
    struct pen p = start(w);
    put_part(&p, &facts);
    struct str part = str_make(w->log_pen.line, (size_t)(p.at - w->log_pen.line));
    ex->access.part = lb_block_take(&w->blocks, part.len);
    memcpy(ex->access.part->bytes, part.ptr, part.len);
    ex->access.part->end = (uint32_t)part.len;
    ex->access.verdict = (uint8_t)h->verdict;
    ex->access.reason = (uint8_t)h->reason;
}

/* ---- whole lines ----------------------------------------------------------------------------- */

/* Fields 1 to 4. */
static void put_head(struct pen *p, const struct lb_client *c, const struct lb_listener *l,
                     bool is_tunnel)
{
    static const struct str types[2][2] = {{STR_INIT("http"), STR_INIT("ws")},
                                           {STR_INIT("https"), STR_INIT("wss")}};
    char room[NET_ADDR_TEXT_BYTES_MAX];
    bool is_grpc = c->exchange != NULL && c->exchange->is_grpc;
    if (c->stream != NULL) {
        put(p, is_grpc ? STR("grpcs") : STR("h2"));
    } else {
        put(p, types[l->tls != NULL][is_tunnel]);
    }
    put(p, STR(" "));
    put_time(p, &c->worker->log_pen, clock_wall());
    put(p, STR(" "));
    put(p, l->dimension);
    put(p, STR(" "));
    struct str host = str_make(room, lb_client_address(c, room));
    put_address(p, host, c->peer_port);
    put(p, STR(" "));
}

static void put_status(struct pen *p, unsigned status)
{
    if (status == 0) {
        put(p, STR("-"));
    } else {
        put_u64(p, status);
    }
}

struct tail {
    struct str redirect_url;
    struct str target; /* absent: none */
    unsigned target_status;
    enum h1_verdict verdict;
    enum h1_reason reason;
};

/* Fields 24 to 33. */
static void put_tail(struct pen *p, const struct lb_client *c, const struct tail *t)
{
    put(p, STR(" "));
    put_quoted(p, t->redirect_url, LB_LOCATION_BYTES_MAX);
    put(p, STR(" \"-\" "));
    put_quoted(p, t->target, NET_ADDR_TEXT_BYTES_MAX);
    put(p, STR(" \""));
    put_status(p, t->target_status);
    put(p, STR("\" "));
    bool is_compliant = t->verdict == H1_COMPLIANT;
    put_quoted(p, is_compliant ? STR("") : str_of(h1_verdict_text(t->verdict)), 64);
    put(p, STR(" "));
    put_quoted(p, is_compliant ? STR("") : str_of(h1_reason_text(t->reason)), 64);
    put(p, STR(" "));
    put_trace_of_connection(p, c);
    put(p, STR(" \"-\" \"-\" \"-\""));
}

static struct str target_text(const struct lb_exchange *ex, char *room, size_t room_bytes)
{
    if (ex->pool == NULL || ex->pool->peer == NULL) {
        return STR_NONE;
    }
    const struct lb_peer *peer = ex->pool->peer;
    struct pen p = {.at = room, .end = room + room_bytes};
    put_address(&p, peer->host, peer->port);
    return str_make(room, (size_t)(p.at - room));
}

void lb_access_end(struct lb_exchange *ex)
{
    struct lb_client *c = ex->client;
    struct lb_worker *w = c->worker;
    const struct lb_access *a = &ex->access;
    static const dur_t never = {.us = -1};
    char room[NET_ADDR_TEXT_BYTES_MAX + 8];
    bool is_answered = a->target_status != 0;
    bool was_sent = ex->send_count > 0;
    struct tail tail = {
        .target = target_text(ex, room, sizeof(room)),
        .target_status = a->target_status,
        .verdict = (enum h1_verdict)a->verdict,
        .reason = (enum h1_reason)a->reason,
    };
    struct pen p = start(w);
    put_head(&p, c, ex->listener, ex->is_tunnel);
    put_or_dash(&p, tail.target);
    put(&p, STR(" "));
    put_seconds(&p, was_sent ? mono_since(ex->sent_at, ex->began) : never);
    put(&p, STR(" "));
    put_seconds(&p, is_answered ? a->target_took : never);
    put(&p, STR(" "));
    put_seconds(&p, is_answered ? DUR_US(0) : never); /* we send in the turn in which we receive */
    put(&p, STR(" "));
    put_status(&p, a->status);
    put(&p, STR(" "));
    put_status(&p, a->target_status);
    put(&p, STR(" "));
    put_u64(&p, a->received_bytes);
    put(&p, STR(" "));
    put_u64(&p, ex->client_bytes - a->received_bytes + a->reply_bytes);
    put(&p, STR(" "));
    put(&p, str_make(a->part->bytes, a->part->end));
    put_tail(&p, c, &tail);
    push(w, c->slot, ex->listener->access_sink, &p);
    lb_block_give(&w->blocks, a->part);
    ex->access.part = NULL;
}

void lb_access_own(struct lb_client *c, const struct lb_own_answer *answer)
{
    const struct lb_listener *l = answer->listener;
    struct lb_worker *w = c->worker;
    const struct h1_head *h = &w->request_head;
    struct request_facts facts = {
        .client = c,
        .listener = l,
        .rule = answer->rule,
        .head = answer->has_head ? h : NULL,
        .created = clock_wall(),
        .trace = STR(""),
        .actions = actions_of(answer->rule),
    };
    struct tail tail = {
        .redirect_url = answer->redirect_url, .verdict = h->verdict, .reason = h->reason};
    struct pen p = start(w);
    put_head(&p, c, l, false);
    put(&p, STR("- -1 -1 -1 "));
    put_status(&p, answer->status);
    put(&p, STR(" - "));
    put_u64(&p, answer->received_bytes);
    put(&p, STR(" "));
    put_u64(&p, answer->sent_bytes);
    put(&p, STR(" "));
    put_part(&p, &facts);
    put_tail(&p, c, &tail);
    push(w, c->slot, l->access_sink, &p);
}

/* ---- connections ----------------------------------------------------------------------------- */

/* The subject is quoted where there is one; validity and serial number have no odd characters. */
static void put_fact(struct pen *p, const struct lb_tls_facts *facts, enum lb_tls_fact fact)
{
    struct str value = facts == NULL ? STR("") : facts->values[fact];
    bool is_quoted = fact == LB_TLS_FACT_SUBJECT && value.len > 0;
    put(p, is_quoted ? STR(" \"") : STR(" "));
    put_escaped(p, value.len > 0 ? value : STR("-"), LB_LOG_AGENT_BYTES);
    put(p, is_quoted ? STR("\"") : STR(""));
}

/* "Success", or "Failed:" and OpenSSL's reason in one word */
static void put_verdict(struct pen *p, const struct lb_tls *tls, bool has_failed)
{
    put(p, has_failed ? STR(" Failed:") : STR(" Success"));
    for (const char *c = has_failed ? lb_tls_reason(tls) : ""; *c != '\0'; c++) {
        bool is_odd = *c <= ' ' || *c > '~' || *c == '"' || *c == '\\';
        put(p, is_odd ? STR("_") : str_make(c, 1));
    }
}

/* Source  "Connection log entries": timestamp client_ip client_port listener_port tls_protocol
 * tls_cipher tls_handshake_latency leaf_client_cert_subject leaf_client_cert_validity
 * leaf_client_cert_serial_number tls_verify_status conn_trace_id. */
void lb_access_connection(const struct lb_client *c, const struct lb_listener *l, bool has_failed)
{
    struct lb_worker *w = c->worker;
    char room[NET_ADDR_TEXT_BYTES_MAX];
    struct pen p = start(w);
    struct str host = str_make(room, lb_client_address(c, room));
    put_time(&p, &w->log_pen, clock_wall());
    put(&p, STR(" "));
    put(&p, host);
    put(&p, STR(" "));
    put_u64(&p, c->peer_port);
    put(&p, STR(" "));
    put(&p, str_of(l->port_text));
    if (c->tls == NULL) {
        put(&p, STR(" - - - - - - - "));
    } else {
        const struct lb_tls_facts *facts = has_failed ? NULL : lb_tls_facts(c->tls);
        put(&p, STR(" "));
        put_or_dash(&p, lb_tls_version(c->tls));
        put(&p, STR(" "));
        put_or_dash(&p, has_failed ? STR("") : lb_tls_cipher(c->tls));
        put(&p, STR(" "));
        put_seconds(&p, has_failed ? (dur_t){.us = -1} : mono_since(clock_mono(), c->accepted_at));
        put_fact(&p, facts, LB_TLS_FACT_SUBJECT);
        put_fact(&p, facts, LB_TLS_FACT_VALIDITY);
        put_fact(&p, facts, LB_TLS_FACT_SERIAL);
        put_verdict(&p, c->tls, has_failed);
        put(&p, STR(" "));
    }
    put_trace_of_connection(&p, c);
    push(w, c->slot, l->connection_sink, &p);
}
