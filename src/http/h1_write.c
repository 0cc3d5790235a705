#include "http/h1.h"
#include "http/h1_scan.h"

#include "base/check.h"

void h1_writer_init(struct h1_writer *w, void *memory, size_t capacity_bytes)
{
    *w = (struct h1_writer){.ptr = memory, .capacity_bytes = capacity_bytes};
}

/* Room for `bytes`, or NULL and is_broken. */
static char *reserve(struct h1_writer *w, size_t bytes)
{
    if (w->is_broken || bytes > w->capacity_bytes - w->len) {
        w->is_broken = true;
        return NULL;
    }
    char *at = w->ptr + w->len;
    w->len += bytes;
    return at;
}

static char *put(char *at, struct str s)
{
    if (s.len > 0) {
        memcpy(at, s.ptr, s.len);
    }
    return at + s.len;
}

void h1_write_raw(struct h1_writer *w, struct str bytes)
{
    char *at = reserve(w, bytes.len);
    if (at != NULL) {
        (void)put(at, bytes);
    }
}

static bool is_token(struct str s)
{
    return s.len > 0 && h1_scan_token(s.ptr, 0, s.len) == s.len;
}

/* No control byte but a tab. */
static bool is_value(struct str s)
{
    size_t at = 0;
    while (at < s.len) {
        at = h1_scan_control(s.ptr, at, s.len);
        if (at < s.len && s.ptr[at] != '\t') {
            return false;
        }
        at++;
    }
    return true;
}

void h1_write_request_line(struct h1_writer *w, struct str method, struct str target)
{
    if (!is_token(method) || target.len == 0 ||
        h1_scan_control(target.ptr, 0, target.len) != target.len ||
        memchr(target.ptr, ' ', target.len) != NULL) {
        w->is_broken = true;
        return;
    }
    static const struct str version = STR_INIT(" HTTP/1.1\r\n");
    char *at = reserve(w, method.len + 1 + target.len + version.len);
    if (at == NULL) {
        return;
    }
    at = put(at, method);
    *at++ = ' ';
    at = put(at, target);
    (void)put(at, version);
}

void h1_write_status_line(struct h1_writer *w, unsigned status, struct str reason)
{
    if (status < 100 || status > 999 || !is_value(reason)) {
        w->is_broken = true;
        return;
    }
    if (!str_is_set(reason)) {
        reason = str_of(h1_status_phrase(status));
    }
    static const struct str version = STR_INIT("HTTP/1.1 ");
    char *at = reserve(w, version.len + 4 + reason.len + 2);
    if (at == NULL) {
        return;
    }
    at = put(at, version);
    *at++ = (char)('0' + status / 100);
    *at++ = (char)('0' + status / 10 % 10);
    *at++ = (char)('0' + status % 10);
    *at++ = ' ';
    at = put(at, reason);
    (void)put(at, STR("\r\n"));
}

static void put_field(struct h1_writer *w, struct str name, struct str value)
{
    char *at = reserve(w, name.len + 2 + value.len + 2);
    if (at == NULL) {
        return;
    }
    at = put(at, name);
    *at++ = ':';
    *at++ = ' ';
    at = put(at, value);
    *at++ = '\r';
    *at = '\n';
}

void h1_write_field(struct h1_writer *w, struct str name, struct str value)
{
    if (!is_token(name) || !is_value(value)) {
        w->is_broken = true;
        return;
    }
    put_field(w, name, value);
}

void h1_write_field_u64(struct h1_writer *w, struct str name, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    h1_write_field(w, name, str_make(digits + at, sizeof(digits) - at));
}

void h1_write_parsed_field(struct h1_writer *w, const struct h1_head *h, const struct h1_field *f)
{
    CHECK((f->flags & H1_FIELD_BAD) == 0);
    put_field(w, h1_field_name(h, f), h1_field_value(h, f));
}

void h1_write_end(struct h1_writer *w)
{
    h1_write_raw(w, STR("\r\n"));
}

struct phrase {
    unsigned status;
    const char *text;
};

static const struct phrase phrases[] = {
#define X(status, text) {status, text},
#include "http/h1_phrases.def"
#undef X
};

const char *h1_status_phrase(unsigned status)
{
    for (size_t i = 0; i < ARRAY_COUNT(phrases); i++) {
        if (phrases[i].status == status) {
            return phrases[i].text;
        }
    }
    return "Unknown";
}
