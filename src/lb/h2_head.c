/* From a field list to the text of an HTTP/1 request head. nghttp2 has checked most of it already
 * (RFC 9113, 8.2 and 8.3); what decides where a line ends is checked here once more, and the strict
 * parser reads the text afterwards. */

#include "lb/h2.h"

#include "base/check.h"

void lb_h2_head_init(struct lb_h2_head *h, struct lb_blocks *blocks)
{
    *h = (struct lb_h2_head){.blocks = blocks};
}

void lb_h2_head_fini(struct lb_h2_head *h)
{
    lb_block_give(h->blocks, h->pseudo);
    lb_block_give(h->blocks, h->text);
    lb_block_give(h->blocks, h->cookie);
    h->pseudo = NULL;
    h->text = NULL;
    h->cookie = NULL;
}

/* ---- bytes that cannot be in a line -----------------------------------------------------------
 */

static bool is_one_line(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\r' || s.ptr[i] == '\n' || s.ptr[i] == 0) {
            return false;
        }
    }
    return true;
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if ((unsigned char)c <= ' ' || c == ':' || c == 0x7f || (c >= 'A' && c <= 'Z')) {
            return false;
        }
    }
    return s.len > 0;
}

static bool is_word(struct str s)
{
    return s.len > 0 && is_one_line(s) && memchr(s.ptr, ' ', s.len) == NULL &&
           memchr(s.ptr, '\t', s.len) == NULL;
}

static void put(struct lb_h2_head *h, struct lb_block **to, struct str s)
{
    CHECK(lb_block_add(h->blocks, to, s)); /* LB_H2_LIST_BYTES_MAX is far below a block's */
}

bool lb_h2_add_line(struct lb_blocks *blocks, struct lb_block **text, struct str name,
                    struct str value)
{
    if (!is_name(name) || !is_one_line(value)) {
        return false;
    }
    size_t line = name.len + 2 + value.len + 2;
    if (lb_block_waiting(*text) + line > LB_H2_LIST_BYTES_MAX) {
        return false;
    }
    struct str parts[] = {name, STR(": "), value, STR("\r\n")};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        CHECK(lb_block_add(blocks, text, parts[i]));
    }
    return true;
}

/* ---- pseudo-fields ----------------------------------------------------------------------------
 */

static struct str text_of(const struct lb_h2_head *h, struct lb_h2_span span)
{
    return span.len == 0 ? STR("") : str_make(h->pseudo->bytes + span.at, span.len);
}

static enum lb_h2_result keep(struct lb_h2_head *h, struct lb_h2_span *to, struct str value)
{
    if (to->len != 0 || !is_word(value)) {
        return LB_H2_MALFORMED;
    }
    to->at = (uint32_t)lb_block_waiting(h->pseudo);
    to->len = (uint32_t)value.len;
    put(h, &h->pseudo, value);
    return LB_H2_OK;
}

static enum lb_h2_result add_pseudo(struct lb_h2_head *h, struct str name, struct str value)
{
    if (h->has_start) {
        return LB_H2_MALFORMED; /* behind a field */
    }
    if (STR_IS(name, ":method")) {
        return keep(h, &h->method, value);
    }
    if (STR_IS(name, ":path")) {
        return keep(h, &h->path, value);
    }
    if (STR_IS(name, ":authority")) {
        return value.len == 0 ? LB_H2_OK : keep(h, &h->authority, value);
    }
    return STR_IS(name, ":scheme") ? LB_H2_OK : LB_H2_MALFORMED;
}

/* The request line and Host. CONNECT has an authority for its target (RFC 9113, 8.5). */
static enum lb_h2_result write_start(struct lb_h2_head *h)
{
    h->has_start = true;
    bool is_connect = str_equal(text_of(h, h->method), STR("CONNECT"));
    struct str target = text_of(h, is_connect ? h->authority : h->path);
    if (h->method.len == 0 || target.len == 0) {
        return LB_H2_MALFORMED;
    }
    put(h, &h->text, text_of(h, h->method));
    put(h, &h->text, STR(" "));
    put(h, &h->text, target);
    put(h, &h->text, STR(" HTTP/1.1\r\n"));
    if (h->authority.len > 0) {
        put(h, &h->text, STR("Host: "));
        put(h, &h->text, text_of(h, h->authority));
        put(h, &h->text, STR("\r\n"));
        h->has_host = true;
    }
    return LB_H2_OK;
}

/* ---- fields -----------------------------------------------------------------------------------
 */

static enum lb_h2_result add_cookie(struct lb_h2_head *h, struct str value)
{
    if (!is_one_line(value)) {
        return LB_H2_MALFORMED;
    }
    put(h, &h->cookie, h->cookie == NULL ? STR("Cookie: ") : STR("; "));
    put(h, &h->cookie, value);
    return LB_H2_OK;
}

/* RFC 9113, 8.3.1: a Host that says something else than :authority is malformed. */
static enum lb_h2_result add_host(struct lb_h2_head *h, struct str value)
{
    if (!h->has_host) {
        h->has_host = true;
        return lb_h2_add_line(h->blocks, &h->text, STR("host"), value) ? LB_H2_OK : LB_H2_MALFORMED;
    }
    return str_equal_nocase(value, text_of(h, h->authority)) ? LB_H2_OK : LB_H2_MALFORMED;
}

static bool is_malformed(struct str name, struct str value)
{
    return lb_h2_is_of_connection(name) ||
           (STR_IS(name, "te") && !str_equal_nocase(value, STR("trailers")));
}

static enum lb_h2_result add_field(struct lb_h2_head *h, struct str name, struct str value)
{
    if (is_malformed(name, value)) {
        return LB_H2_MALFORMED;
    }
    if (STR_IS(name, "cookie")) {
        return add_cookie(h, value);
    }
    if (STR_IS(name, "host")) {
        return add_host(h, value);
    }
    h->has_length = h->has_length || STR_IS(name, "content-length");
    return lb_h2_add_line(h->blocks, &h->text, name, value) ? LB_H2_OK : LB_H2_MALFORMED;
}

enum lb_h2_result lb_h2_head_add(struct lb_h2_head *h, struct str name, struct str value)
{
    h->list_bytes += name.len + value.len + 32; /* RFC 9113, 6.5.2 */
    if (h->list_bytes > LB_H2_LIST_BYTES_MAX) {
        return LB_H2_TOO_LARGE;
    }
    if (name.len > 0 && name.ptr[0] == ':') {
        return add_pseudo(h, name, value);
    }
    if (!h->has_start) {
        enum lb_h2_result r = write_start(h);
        if (r != LB_H2_OK) {
            return r;
        }
    }
    return add_field(h, name, value);
}

enum lb_h2_result lb_h2_head_end(struct lb_h2_head *h, bool has_body)
{
    enum lb_h2_result r = h->has_start ? LB_H2_OK : write_start(h);
    if (r != LB_H2_OK) {
        return r;
    }
    if (h->cookie != NULL) {
        put(h, &h->text, str_make(h->cookie->bytes, lb_block_waiting(h->cookie)));
        put(h, &h->text, STR("\r\n"));
    }
    /* The body's end is told by its stream; in words of HTTP/1 its length is not known. */
    put(h, &h->text,
        has_body && !h->has_length ? STR("Transfer-Encoding: chunked\r\n\r\n") : STR("\r\n"));
    return LB_H2_OK;
}
