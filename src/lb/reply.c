/* Answers that the balancer gives itself, with the words of ALB. */

#include "base/check.h"
#include "lb/control.h"
#include "lb/rule.h"

#include <stdio.h>

static void write_start(const struct lb_client *c, struct h1_writer *out, unsigned status)
{
    struct lb_worker *w = c->worker;
    const struct lb_listener *l = lb_client_listener(c);
    h1_writer_init(out, w->head_room, LB_SCRATCH_BYTES);
    h1_write_status_line(out, status, STR_NONE);
    if (w->log_pen.pending != NULL) {
        w->log_pen.pending->status = status;
    }
    if (l == NULL || !l->hides_server) {
        h1_write_field(out, STR("Server"), STR("awselb/2.0"));
    }
    h1_write_field(out, STR("Date"), lb_worker_date(w));
    if (l != NULL) {
        h1_write_raw(out, l->added_fields);
    }
}

static void write_end(struct h1_writer *out, struct str type, struct str body, bool closes,
                      bool has_body)
{
    h1_write_field(out, STR("Content-Type"), type);
    h1_write_field_u64(out, STR("Content-Length"), body.len);
    h1_write_field(out, STR("Connection"), closes ? STR("close") : STR("keep-alive"));
    h1_write_end(out);
    if (has_body) {
        h1_write_raw(out, body);
    }
}

static void send_reply(struct lb_client *c, struct h1_writer *out, bool closes)
{
    struct str bytes = str_make(out->ptr, out->len);
    CHECK(!out->is_broken);
    struct lb_own_answer *pending = c->worker->log_pen.pending;
    if (pending != NULL) {
        pending->sent_bytes = bytes.len;
        c->worker->log_pen.pending = NULL;
        lb_access_own(c, pending);
    }
    if (!lb_client_send(c, bytes)) {
        return;
    }
    lb_count_client_bytes(c, bytes.len);
    if (closes) {
        lb_client_finish(c, true);
    }
}

/* The page that ALB shows: title and heading hold code and phrase. */
static struct str page(unsigned status, char *room, size_t room_bytes)
{
    const char *phrase = h1_status_phrase(status);
    int len = snprintf(room, room_bytes,
                       "<html>\r\n<head><title>%u %s</title></head>\r\n<body>\r\n"
                       "<center><h1>%u %s</h1></center>\r\n</body>\r\n</html>\r\n",
                       status, phrase, status, phrase);
    CHECK(len > 0 && (size_t)len < room_bytes);
    return str_make(room, (size_t)len);
}

void lb_reply_error(struct lb_client *c, unsigned status, bool is_head, bool closes)
{
    char room[512];
    struct h1_writer out;
    write_start(c, &out, status);
    write_end(&out, STR("text/html"), page(status, room, sizeof(room)), closes, !is_head);
    send_reply(c, &out, closes);
}

size_t lb_reply_error_bytes(struct lb_client *c, unsigned status, bool is_head, bool closes)
{
    char room[512];
    struct h1_writer out;
    write_start(c, &out, status);
    write_end(&out, STR("text/html"), page(status, room, sizeof(room)), closes, !is_head);
    return out.len;
}

void lb_reply_fixed(struct lb_client *c, const struct lb_action *a, bool is_head, bool closes)
{
    struct h1_writer out;
    lb_count_one(c->worker, c->slot, LBSTATS_FIXED_RESPONSES);
    lb_count_own(c, NULL, a->status);
    write_start(c, &out, a->status);
    if (str_is_set(a->retry_after)) {
        h1_write_field(&out, STR("Retry-After"), a->retry_after);
    }
    bool has_body = !is_head && a->status != 204 && a->status != 304;
    write_end(&out, a->content_type, a->body, closes, has_body);
    send_reply(c, &out, closes);
}

/* ---- redirects ------------------------------------------------------------------------------- */

struct location {
    char *ptr;
    size_t room_bytes;
    size_t len;
    bool is_full;
    struct str protocol;
    struct str host;
    struct str port;
    struct str path; /* without the slash in front */
    struct str query;
};

static void add(struct location *to, struct str s)
{
    if (to->is_full || s.len > to->room_bytes - to->len) {
        to->is_full = true;
        return;
    }
    if (s.len > 0) {
        memcpy(to->ptr + to->len, s.ptr, s.len);
        to->len += s.len;
    }
}

/* Copies a template with #{protocol}, #{host}, #{port}, #{path} and #{query} filled in. */
static void add_filled(struct location *to, struct str template)
{
    const struct {
        struct str mark;
        struct str value;
    } marks[] = {
        {STR("#{protocol}"), to->protocol}, {STR("#{host}"), to->host},
        {STR("#{port}"), to->port},         {STR("#{path}"), to->path},
        {STR("#{query}"), to->query},
    };
    while (template.len > 0) {
        size_t at = str_find(template, STR("#{"), 0);
        add(to, str_slice(template, 0, at));
        if (at == STR_NOT_FOUND) {
            return;
        }
        template = str_from(template, at);
        size_t i = 0;
        while (i < ARRAY_COUNT(marks) && !str_starts_with(template, marks[i].mark)) {
            i++;
        }
        bool is_known = i < ARRAY_COUNT(marks);
        add(to, is_known ? marks[i].value : STR("#{"));
        template = str_from(template, is_known ? marks[i].mark.len : 2);
    }
}

/* protocol://host:port/path?query; a port that the protocol implies is not written. */
static void add_location(struct location *to, const struct lb_action *a)
{
    char scheme_room[16];
    struct location scheme = {
        .ptr = scheme_room, .room_bytes = sizeof(scheme_room), .protocol = to->protocol};
    add_filled(&scheme, a->protocol);
    bool is_https = str_equal_nocase(str_make(scheme.ptr, scheme.len), STR("https"));
    add(to, is_https ? STR("https://") : STR("http://"));
    add_filled(to, a->host);
    char port_room[16];
    struct location port = {.ptr = port_room, .room_bytes = sizeof(port_room), .port = to->port};
    add_filled(&port, a->port);
    struct str port_text = str_make(port.ptr, port.len);
    if (!str_equal(port_text, is_https ? STR("443") : STR("80"))) {
        add(to, STR(":"));
        add(to, port_text);
    }
    add_filled(to, a->path);
    size_t before = to->len;
    add(to, STR("?"));
    add_filled(to, a->query);
    if (to->len == before + 1) {
        to->len = before; /* no query */
    }
}

void lb_reply_redirect(struct lb_client *c, const struct lb_listener *l, const struct lb_action *a,
                       bool is_head, bool closes)
{
    const struct h1_head *h = &c->worker->request_head;
    char room[LB_LOCATION_BYTES_MAX];
    struct str path = h1_str(h, h->path);
    struct location to = {
        .ptr = room,
        .room_bytes = sizeof(room),
        .protocol = l->tls == NULL ? STR("HTTP") : STR("HTTPS"),
        .host = lb_host_name(h1_str(h, h->host)),
        .port = str_of(l->port_text),
        .path = str_from(path, path.len > 0 ? 1 : 0),
        .query = h->has_query ? h1_str(h, h->query) : STR(""),
    };
    add_location(&to, a);
    struct str location = str_make(to.ptr, to.len);
    /* a target that came with odd bytes cannot be put into a header line */
    if (to.is_full || memchr(location.ptr, ' ', location.len) != NULL) {
        if (to.is_full) {
            lb_count_one(c->worker, c->slot, LBSTATS_REDIRECTS_TOO_LONG);
        }
        lb_count_own(c, NULL, to.is_full ? 414 : 400);
        lb_reply_error(c, to.is_full ? 414 : 400, is_head, closes);
        return;
    }
    char page_room[512];
    struct h1_writer out;
    lb_count_one(c->worker, c->slot, LBSTATS_REDIRECTS);
    lb_count_own(c, NULL, a->status);
    write_start(c, &out, a->status);
    h1_write_field(&out, STR("Location"), location);
    if (c->worker->log_pen.pending != NULL) {
        c->worker->log_pen.pending->redirect_url = location;
    }
    write_end(&out, STR("text/html"), page(a->status, page_room, sizeof(page_room)), closes,
              !is_head);
    send_reply(c, &out, closes);
}

/* ---- sign-in --------------------------------------------------------------------------------- */

void lb_reply_sign_in(struct lb_client *c, const struct lb_action *a, bool is_head, bool closes)
{
    char page_room[512];
    struct h1_writer out;
    lb_count_own(c, NULL, 302);
    write_start(c, &out, 302);
    h1_write_field(&out, STR("Location"), a->path);
    h1_write_raw(&out, a->body);
    if (c->worker->log_pen.pending != NULL) {
        c->worker->log_pen.pending->redirect_url = a->path;
    }
    write_end(&out, STR("text/html"), page(302, page_room, sizeof(page_room)), closes, !is_head);
    send_reply(c, &out, closes);
}
