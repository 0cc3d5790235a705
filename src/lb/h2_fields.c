/* From the text of a head that this program wrote to a field list. */

#include "lb/h2.h"

#include "base/check.h"

static struct str lowered(struct lb_h2_fields *f, struct str name)
{
    if (name.len > LB_H2_NAME_BYTES_MAX - f->name_bytes) {
        f->is_broken = true;
        return STR("");
    }
    char *to = f->names + f->name_bytes;
    for (size_t i = 0; i < name.len; i++) {
        to[i] = str_lower_char(name.ptr[i]);
    }
    f->name_bytes += name.len;
    return str_make(to, name.len);
}

static void add(struct lb_h2_fields *f, struct str name, struct str value)
{
    if (f->count == LB_H2_FIELDS_MAX) {
        f->is_broken = true;
        return;
    }
    union {
        const char *in;
        uint8_t *out; /* nghttp2 only reads them */
    } n = {.in = name.ptr}, v = {.in = value.ptr};
    f->at[f->count++] =
        (nghttp2_nv){.name = n.out, .namelen = name.len, .value = v.out, .valuelen = value.len};
}

bool lb_h2_is_of_connection(struct str name)
{
    switch (name.len) {
    case 7:
        return STR_IS(name, "upgrade");
    case 10:
        return STR_IS(name, "connection") || STR_IS(name, "keep-alive");
    case 16:
        return STR_IS(name, "proxy-connection");
    case 17:
        return STR_IS(name, "transfer-encoding");
    default:
        return false;
    }
}

/* TE is only ever written by us, and says trailers. */
static bool is_left_out(struct str name)
{
    return lb_h2_is_of_connection(name) || STR_IS(name, "http2-settings");
}

/* Takes one line off; false at the empty line or where the text ends. */
static bool next_line(struct str *rest, struct str *ret_line)
{
    const char *end = memchr(rest->ptr, '\r', rest->len);
    if (end == NULL || (size_t)(end - rest->ptr) + 2 > rest->len) {
        return false;
    }
    size_t len = (size_t)(end - rest->ptr);
    *ret_line = str_make(rest->ptr, len);
    *rest = str_from(*rest, len + 2);
    return len > 0;
}

static bool is_set_apart(struct str line, struct str *ret_name, struct str *ret_value)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (colon == NULL) {
        return false;
    }
    *ret_name = str_make(line.ptr, (size_t)(colon - line.ptr));
    *ret_value = str_trim(str_from(line, ret_name->len + 1));
    return true;
}

/* The lines behind the first. authority: takes what Host says; NULL for responses. */
static void add_lines(struct lb_h2_fields *f, struct str *rest, nghttp2_nv *authority)
{
    struct str line;
    struct str name;
    struct str value;
    while (next_line(rest, &line)) {
        if (!is_set_apart(line, &name, &value)) {
            continue;
        }
        size_t before = f->name_bytes;
        name = lowered(f, name);
        if (authority != NULL && STR_IS(name, "host")) {
            union {
                const char *in;
                uint8_t *out;
            } v = {.in = value.ptr};
            authority->value = v.out;
            authority->valuelen = value.len;
        } else if (is_left_out(name)) {
            f->name_bytes = before;
        } else {
            add(f, name, value);
        }
    }
}

static void begin(struct lb_h2_fields *f)
{
    f->count = 0;
    f->name_bytes = 0;
    f->is_broken = false;
}

size_t lb_h2_fields_of_response(struct lb_h2_fields *f, struct str text, unsigned *ret_status)
{
    static const size_t status_at = sizeof("HTTP/1.1 ") - 1;
    struct str rest = text;
    struct str line;
    begin(f);
    if (!next_line(&rest, &line) || line.len < status_at + 3) {
        return 0;
    }
    struct str digits = str_slice(line, status_at, status_at + 3);
    uint64_t status = 0;
    CHECK(str_parse_u64(digits, 999, &status));
    *ret_status = (unsigned)status;
    add(f, STR(":status"), digits);
    add_lines(f, &rest, NULL);
    return text.len - rest.len;
}

size_t lb_h2_fields_of_request(struct lb_h2_fields *f, struct str text, struct str scheme)
{
    struct str rest = text;
    struct str line;
    struct str method;
    struct str target;
    struct str version;
    begin(f);
    if (!next_line(&rest, &line) || !str_cut(line, ' ', &method, &target) ||
        !str_cut(target, ' ', &target, &version)) {
        return 0;
    }
    add(f, STR(":method"), method);
    add(f, STR(":scheme"), scheme);
    add(f, STR(":authority"), STR(""));
    add(f, STR(":path"), target);
    add_lines(f, &rest, &f->at[2]);
    return text.len - rest.len;
}

void lb_h2_fields_of_trailers(struct lb_h2_fields *f, struct str text)
{
    begin(f);
    add_lines(f, &text, NULL);
}
