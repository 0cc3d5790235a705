/* Header lines: name, value, line end; nothing is decided here but what a single line says. */

#include "http/h1_parse.h"
#include "http/h1_scan.h"

#include "base/check.h"

static const struct str names[] = {
    STR_INIT(""),
#define X(kind, text) STR_INIT(text),
#include "http/h1_names.def"
#undef X
};

_Static_assert(H1_NAME_COUNT <= 32, "names_seen has 32 bits");

static bool is_name(const char *got, const struct str want)
{
    for (size_t i = 0; i < want.len; i++) {
        if ((got[i] | 0x20) != want.ptr[i]) {
            return false;
        }
    }
    return true;
}

/* Folding with 0x20 maps tokens only onto themselves: no tchar lies at 0x0d or 0x10..0x1f. */
static enum h1_name either(struct str name, enum h1_name a, enum h1_name b, enum h1_name c)
{
    if (a != H1_OTHER && is_name(name.ptr, names[a])) {
        return a;
    }
    if (b != H1_OTHER && is_name(name.ptr, names[b])) {
        return b;
    }
    return c != H1_OTHER && is_name(name.ptr, names[c]) ? c : H1_OTHER;
}

enum h1_name h1_name_of(struct str name)
{
    switch (name.len) {
    case 2:
        return either(name, H1_TE, H1_OTHER, H1_OTHER);
    case 4:
        return either(name, H1_HOST, H1_DATE, H1_OTHER);
    case 6:
        return either(name, H1_COOKIE, H1_SERVER, H1_EXPECT);
    case 7:
        return either(name, H1_UPGRADE, H1_TRAILER, H1_OTHER);
    case 8:
        return either(name, H1_LOCATION, H1_OTHER, H1_OTHER);
    case 10:
        return either(name, H1_CONNECTION, H1_KEEP_ALIVE, H1_OTHER);
    case 12:
        return either(name, H1_CONTENT_TYPE, H1_OTHER, H1_OTHER);
    case 14:
        return either(name, H1_CONTENT_LENGTH, H1_HTTP2_SETTINGS, H1_OTHER);
    case 15:
        return either(name, H1_X_FORWARDED_FOR, H1_X_AMZN_TRACE_ID, H1_OTHER);
    case 16:
        return either(name, H1_X_FORWARDED_PORT, H1_PROXY_CONNECTION, H1_OTHER);
    case 17:
        return either(name, H1_TRANSFER_ENCODING, H1_X_FORWARDED_PROTO, H1_OTHER);
    default:
        return H1_OTHER;
    }
}

/* Letters of `name` in order are the letters of `want`, of which `missing_max` may be absent. */
static bool spells(struct str name, struct str want, size_t missing_max)
{
    size_t at = 0;
    size_t missing = 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = str_lower_char(name.ptr[i]);
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')) {
            continue;
        }
        while (at < want.len && want.ptr[at] != c && missing < missing_max) {
            at++;
            missing++;
        }
        if (at == want.len || want.ptr[at] != c) {
            return false;
        }
        at++;
    }
    return want.len - at + missing <= missing_max;
}

enum h1_name h1_lookalike(struct str name)
{
    size_t missing_max = 0;
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.ptr[i] >= 0x80) {
            missing_max = 2; /* a letter of another alphabet may stand for one of these */
        }
    }
    if (spells(name, STR("transferencoding"), missing_max)) {
        return H1_TRANSFER_ENCODING;
    }
    return spells(name, STR("contentlength"), missing_max) ? H1_CONTENT_LENGTH : H1_OTHER;
}

static const uint32_t hop_names =
    1u << H1_CONNECTION | 1u << H1_KEEP_ALIVE | 1u << H1_PROXY_CONNECTION | 1u << H1_TE |
    1u << H1_TRAILER | 1u << H1_TRANSFER_ENCODING | 1u << H1_UPGRADE | 1u << H1_HTTP2_SETTINGS;

struct line {
    size_t name_end;
    size_t value_at;
    size_t end; /* of the value, white space included */
    enum h1_line_end kind;
    bool has_odd_name;
    bool has_control; /* in the value */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A name that is no token: up to the colon, provided that there is one on this line. */
static enum h1_result scan_odd_name(struct h1_head *h, size_t at, size_t count, size_t *ret_end)
{
    for (; at < count; at++) {
        char c = h->bytes[at];
        if (c == ':') {
            *ret_end = at;
            return H1_DONE;
        }
        if (c == '\r' || c == '\n' || c == '\0') {
            return h1_refuse(h, H1_BAD_HEADER, 400);
        }
    }
    return H1_MORE;
}

static enum h1_result scan_value(struct h1_head *h, struct line *l, size_t count)
{
    size_t at = l->value_at;
    for (;;) {
        at = h1_scan_control(h->bytes, at, count);
        l->kind = h1_line_end_at(h->bytes, at, count);
        if (l->kind == H1_LINE_OPEN) {
            return H1_MORE;
        }
        if (l->kind != H1_LINE_CONTROL) {
            l->end = at;
            return H1_DONE;
        }
        if (h->bytes[at] == '\r' || h->bytes[at] == '\0') {
            return h1_refuse(h, H1_BAD_HEADER, 400);
        }
        if (h->bytes[at] != '\t') {
            l->has_control = true;
        }
        at++;
    }
}

static enum h1_result scan_line(struct h1_head *h, size_t count, struct line *l)
{
    size_t at = h->line_at;
    if (is_blank(h->bytes[at])) {
        return h1_refuse(h, H1_BAD_HEADER, 400); /* a folded line */
    }
    l->has_odd_name = false;
    l->has_control = false;
    l->name_end = h1_scan_token(h->bytes, at, count);
    if (l->name_end == count) {
        return H1_MORE;
    }
    if (h->bytes[l->name_end] != ':' || l->name_end == at) {
        l->has_odd_name = true;
        enum h1_result r = scan_odd_name(h, l->name_end, count, &l->name_end);
        if (r != H1_DONE) {
            return r;
        }
    }
    l->value_at = l->name_end + 1;
    while (l->value_at < count && is_blank(h->bytes[l->value_at])) {
        l->value_at++;
    }
    return scan_value(h, l, count);
}

static void judge_line(struct h1_head *h, const struct line *l, struct h1_field *f)
{
    if (l->has_odd_name) {
        f->flags |= H1_FIELD_BAD;
        bool is_empty = f->name_len == 0;
        h1_note(h, is_empty ? H1_AMBIGUOUS : H1_ACCEPTABLE,
                is_empty ? H1_EMPTY_HEADER : H1_NON_COMPLIANT_HEADER);
    }
    if (l->has_control) {
        f->flags |= H1_FIELD_BAD;
        h1_note(h, H1_ACCEPTABLE, H1_NON_COMPLIANT_HEADER);
    }
    enum h1_name like =
        f->name == H1_OTHER && f->name_len >= 12 ? h1_lookalike(h1_field_name(h, f)) : H1_OTHER;
    if (like != H1_OTHER) {
        f->flags |= H1_FIELD_BAD;
        h->lookalikes |= 1u << like;
        h1_note(h, H1_AMBIGUOUS, H1_SUSPICIOUS_HEADER);
    }
    if (l->kind == H1_LINE_LF) {
        h->has_bare_lf = true;
        h1_note(h, H1_ACCEPTABLE, H1_NON_COMPLIANT_HEADER);
    }
}

static enum h1_result keep_line(struct h1_head *h, const struct line *l)
{
    if (h->field_count == H1_FIELDS_MAX) {
        return h1_decline(h, 400);
    }
    struct h1_field *f = &h->fields[h->field_count++];
    size_t end = l->end;
    while (end > l->value_at && is_blank(h->bytes[end - 1])) {
        end--;
    }
    f->name_at = (uint32_t)h->line_at;
    f->name_len = (uint16_t)(l->name_end - h->line_at);
    f->value_at = (uint32_t)l->value_at;
    f->value_len = (uint16_t)(end - l->value_at);
    f->name = (uint8_t)(l->has_odd_name ? H1_OTHER : h1_name_of(h1_field_name(h, f)));
    f->flags = (hop_names >> f->name & 1u) != 0 ? H1_FIELD_HOP : 0;
    if (f->name != H1_OTHER) {
        h->names_seen |= 1u << f->name;
    }
    judge_line(h, l, f);
    h->line_at = l->end + (l->kind == H1_LINE_CRLF ? 2 : 1);
    return H1_DONE;
}

/* The empty line. A head that ends with LF LF is where parsers differ most. */
static enum h1_result end_fields(struct h1_head *h, enum h1_line_end kind)
{
    if (kind == H1_LINE_LF) {
        h1_note(h, H1_AMBIGUOUS, H1_NON_COMPLIANT_HEADER);
    }
    h->head_bytes = h->line_at + (kind == H1_LINE_CRLF ? 2 : 1);
    h->phase = H1_PHASE_DONE;
    return H1_DONE;
}

enum h1_result h1_parse_fields(struct h1_head *h, size_t count, size_t bytes_max)
{
    size_t limit = h->fields_at + bytes_max;
    bool is_cut = count > limit;
    size_t seen = is_cut ? limit : count;
    while (h->line_at < seen) {
        char first = h->bytes[h->line_at];
        if (first == '\r' || first == '\n') {
            enum h1_line_end kind = h1_line_end_at(h->bytes, h->line_at, seen);
            if (kind == H1_LINE_OPEN) {
                break;
            }
            return kind == H1_LINE_CONTROL ? h1_refuse(h, H1_BAD_HEADER, 400) : end_fields(h, kind);
        }
        size_t line_limit = h->line_at + H1_FIELD_BYTES_MAX;
        struct line l = {0};
        enum h1_result r = scan_line(h, seen < line_limit ? seen : line_limit, &l);
        if (r == H1_MORE && seen >= line_limit) {
            return h1_decline(h, 400);
        }
        if (r == H1_MORE) {
            break;
        }
        if (r == H1_BAD || keep_line(h, &l) == H1_BAD) {
            return H1_BAD;
        }
    }
    return count >= limit ? h1_decline(h, 400) : H1_MORE;
}

struct str h1_find(const struct h1_head *h, enum h1_name name)
{
    if (!h1_has(h, name)) {
        return STR_NONE;
    }
    for (size_t i = 0; i < h->field_count; i++) {
        if (h->fields[i].name == name) {
            return h1_field_value(h, &h->fields[i]);
        }
    }
    return STR_NONE;
}

bool h1_find_next(const struct h1_head *h, struct str name, size_t *at, struct str *ret_value)
{
    while (*at < h->field_count) {
        const struct h1_field *f = &h->fields[(*at)++];
        if (str_equal_nocase(h1_field_name(h, f), name)) {
            *ret_value = h1_field_value(h, f);
            return true;
        }
    }
    return false;
}

bool h1_list_next(struct str *rest, struct str *ret_member)
{
    struct str part;
    while (str_is_set(*rest) && str_next(rest, ',', &part)) {
        part = str_trim(part);
        if (part.len > 0) {
            *ret_member = part;
            return true;
        }
    }
    return false;
}
