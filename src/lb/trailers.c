/* Fields behind a body. What frames, routes or authenticates a message, or says how to read it,
 * must not come there (RFC 9110, 6.5.1): whoever merges trailers into the head would be deceived.
 */

#include "lb/body.h"

#include "base/check.h"

static const struct str forbidden[] = {
    STR_INIT("age"),
    STR_INIT("authorization"),
    STR_INIT("cache-control"),
    STR_INIT("connection"),
    STR_INIT("content-encoding"),
    STR_INIT("content-length"),
    STR_INIT("content-range"),
    STR_INIT("content-type"),
    STR_INIT("cookie"),
    STR_INIT("date"),
    STR_INIT("expect"),
    STR_INIT("expires"),
    STR_INIT("forwarded"),
    STR_INIT("host"),
    STR_INIT("http2-settings"),
    STR_INIT("keep-alive"),
    STR_INIT("location"),
    STR_INIT("max-forwards"),
    STR_INIT("pragma"),
    STR_INIT("proxy-authenticate"),
    STR_INIT("proxy-authorization"),
    STR_INIT("proxy-connection"),
    STR_INIT("range"),
    STR_INIT("retry-after"),
    STR_INIT("set-cookie"),
    STR_INIT("te"),
    STR_INIT("trailer"),
    STR_INIT("transfer-encoding"),
    STR_INIT("upgrade"),
    STR_INIT("vary"),
    STR_INIT("via"),
    STR_INIT("warning"),
    STR_INIT("www-authenticate"),
};

static const struct str forbidden_starts[] = {
    STR_INIT("x-forwarded-"),
    STR_INIT("x-amzn-"),
    STR_INIT("if-"),
};

static bool starts_with_nocase(struct str s, struct str start)
{
    return s.len >= start.len && str_equal_nocase(str_slice(s, 0, start.len), start);
}

static bool may_pass(struct str line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (colon == NULL || colon == line.ptr) {
        return false;
    }
    struct str name = str_slice(line, 0, (size_t)(colon - line.ptr));
    for (size_t i = 0; i < ARRAY_COUNT(forbidden); i++) {
        if (str_equal_nocase(name, forbidden[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(forbidden_starts); i++) {
        if (starts_with_nocase(name, forbidden_starts[i])) {
            return false;
        }
    }
    return true;
}

void lb_trailers_filter(struct lb_blocks *blocks, struct lb_block **trailers)
{
    struct lb_block *b = *trailers;
    if (b == NULL) {
        return;
    }
    struct str rest = str_make(b->bytes + b->at, lb_block_waiting(b));
    uint32_t to = b->at;
    while (rest.len > 0) {
        size_t end = str_find(rest, STR("\r\n"), 0);
        size_t line = end == STR_NOT_FOUND ? rest.len : end + 2;
        if (end != STR_NOT_FOUND && may_pass(str_slice(rest, 0, end))) {
            memmove(b->bytes + to, rest.ptr, line);
            to += (uint32_t)line;
        }
        rest = str_from(rest, line);
    }
    b->end = to;
    if (lb_block_waiting(b) == 0) {
        lb_block_give(blocks, b);
        *trailers = NULL;
    }
}

struct str lb_trailers_tail(const struct lb_block *trailers, char *room)
{
    size_t count = lb_block_waiting(trailers);
    CHECK(count <= LB_H2_LIST_BYTES_MAX);
    static const struct str last_chunk = STR_INIT("0\r\n");
    static const struct str end = STR_INIT("\r\n");
    memcpy(room, last_chunk.ptr, last_chunk.len);
    memcpy(room + last_chunk.len, trailers->bytes + trailers->at, count);
    memcpy(room + last_chunk.len + count, end.ptr, end.len);
    return str_make(room, last_chunk.len + count + end.len);
}
