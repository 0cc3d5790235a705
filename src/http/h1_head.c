#include "http/h1_parse.h"
#include "http/h1_scan.h"

#include "base/check.h"

const uint8_t h1_is_token[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1,
    ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1,  ['~'] = 1, ['0'] = 1,
    ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1,  ['7'] = 1, ['8'] = 1,
    ['9'] = 1, ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1,  ['F'] = 1, ['G'] = 1,
    ['H'] = 1, ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1, ['M'] = 1,  ['N'] = 1, ['O'] = 1,
    ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1,  ['V'] = 1, ['W'] = 1,
    ['X'] = 1, ['Y'] = 1, ['Z'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1,  ['d'] = 1, ['e'] = 1,
    ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1,  ['l'] = 1, ['m'] = 1,
    ['n'] = 1, ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1,  ['t'] = 1, ['u'] = 1,
    ['v'] = 1, ['w'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1,
};

static const char *const reason_texts[] = {
    "",
#define X(kind, text) text,
#include "http/h1_reasons.def"
#undef X
};

const char *h1_reason_text(enum h1_reason reason)
{
    CHECK((size_t)reason < ARRAY_COUNT(reason_texts));
    return reason_texts[reason];
}

const char *h1_verdict_text(enum h1_verdict verdict)
{
    static const char *const texts[] = {"Compliant", "Acceptable", "Ambiguous", "Severe"};
    CHECK((size_t)verdict < ARRAY_COUNT(texts));
    return texts[verdict];
}

void h1_head_init(struct h1_head *h)
{
    memset(h, 0, offsetof(struct h1_head, fields));
    h->phase = H1_PHASE_START;
    h->has_bare_lf = false;
    h->te_count = 0;
    h->is_chunked = false;
    h->has_other_coding = false;
    h->must_close = false;
    h->lookalikes = 0;
    h->line_at = 0;
    h->fields_at = 0;
}

enum h1_result h1_refuse(struct h1_head *h, enum h1_reason reason, uint16_t status)
{
    h->phase = H1_PHASE_BAD;
    h->verdict = H1_SEVERE;
    h->reason = reason;
    h->status = status;
    return H1_BAD;
}

enum h1_result h1_decline(struct h1_head *h, uint16_t status)
{
    h->phase = H1_PHASE_BAD;
    h->status = status;
    return H1_BAD;
}

enum h1_line_end h1_line_end_at(const char *bytes, size_t at, size_t count)
{
    if (at >= count) {
        return H1_LINE_OPEN;
    }
    if (bytes[at] == '\n') {
        return H1_LINE_LF;
    }
    if (bytes[at] != '\r') {
        return H1_LINE_CONTROL;
    }
    if (at + 1 >= count) {
        return H1_LINE_OPEN;
    }
    return bytes[at + 1] == '\n' ? H1_LINE_CRLF : H1_LINE_CONTROL;
}

static size_t line_end_bytes(enum h1_line_end end)
{
    return end == H1_LINE_CRLF ? 2 : 1;
}

/* One empty line before a request is forgiven (RFC 9112 2.2): old clients send it after a body. */
static enum h1_result skip_empty_line(struct h1_head *h, size_t count)
{
    if (h->line_at != 0 || h->bytes[0] != '\r') {
        return H1_DONE;
    }
    if (count < 2) {
        return H1_MORE;
    }
    if (h->bytes[1] != '\n') {
        return h1_refuse(h, H1_BAD_METHOD, 400);
    }
    h->line_at = 2;
    return h->line_at < count ? H1_DONE : H1_MORE;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1". ERR: 505 for other major versions, 400 for anything else. */
static enum h1_result read_version(struct h1_head *h, const char *v)
{
    if (memcmp(v, "HTTP/", 5) != 0 || !is_digit(v[5]) || v[6] != '.' || !is_digit(v[7])) {
        return h1_refuse(h, H1_BAD_VERSION, 400);
    }
    if (v[5] == '0') {
        return h1_refuse(h, H1_BAD_VERSION, 400);
    }
    if (v[5] != '1') {
        return h1_decline(h, 505);
    }
    h->minor_version = v[7] == '0' ? 0 : 1;
    if (v[7] > '1') {
        h1_note(h, H1_ACCEPTABLE, H1_NON_COMPLIANT_VERSION);
    }
    return H1_DONE;
}

static bool is_method(const struct h1_head *h, const char *text, size_t len)
{
    return h->method.len == len && memcmp(h->bytes + h->method.at, text, len) == 0;
}

/* scheme "://" authority path: gives where the path begins, or 0. */
static size_t find_absolute_path(struct h1_head *h)
{
    struct str target = h1_str(h, h->target);
    size_t scheme_len = 0;
    if (target.len > 7 && str_equal_nocase(str_make(target.ptr, 7), STR("http://"))) {
        scheme_len = 7;
    } else if (target.len > 8 && str_equal_nocase(str_make(target.ptr, 8), STR("https://"))) {
        scheme_len = 8;
    } else {
        return 0;
    }
    size_t at = scheme_len;
    while (at < target.len && target.ptr[at] != '/' && target.ptr[at] != '?') {
        at++;
    }
    if (at == scheme_len) {
        return 0;
    }
    h->is_absolute_target = true;
    h->host.at = h->target.at + (uint32_t)scheme_len;
    h->host.len = (uint32_t)(at - scheme_len);
    return at;
}

static enum h1_result read_target(struct h1_head *h)
{
    struct str target = h1_str(h, h->target);
    if (target.len == 0 || target.ptr[0] == ' ' || target.ptr[target.len - 1] == ' ') {
        return h1_refuse(h, H1_BAD_URI, 400);
    }
    size_t space = str_find_last_char(target, ' ');
    if (space != STR_NOT_FOUND) {
        if (str_starts_with(str_from(target, space + 1), STR("HTTP/"))) {
            return h1_refuse(h, H1_BAD_VERSION, 400); /* two versions */
        }
        h->has_space_in_target = true;
        h1_note(h, H1_ACCEPTABLE, H1_SPACE_IN_URI);
    }
    if (memchr(target.ptr, '#', target.len) != NULL) {
        return h1_refuse(h, H1_BAD_URI, 400);
    }
    if (is_method(h, "CONNECT", 7)) {
        return H1_DONE;
    }
    size_t path_at = 0;
    if (target.ptr[0] != '/') {
        if (STR_IS(target, "*")) {
            return is_method(h, "OPTIONS", 7) ? H1_DONE : h1_refuse(h, H1_BAD_URI, 400);
        }
        path_at = find_absolute_path(h);
        if (path_at == 0) {
            return h1_refuse(h, H1_BAD_URI, 400);
        }
    }
    const char *question = memchr(target.ptr + path_at, '?', target.len - path_at);
    size_t path_end = question == NULL ? target.len : (size_t)(question - target.ptr);
    h->path = (struct h1_span){h->target.at + (uint32_t)path_at, (uint32_t)(path_end - path_at)};
    if (question != NULL) {
        h->has_query = true;
        h->query = (struct h1_span){h->target.at + (uint32_t)path_end + 1,
                                    (uint32_t)(target.len - path_end - 1)};
    }
    return H1_DONE;
}

/* METHOD SP target SP HTTP/1.x, all within line [line_at, end). */
static enum h1_result read_request_line(struct h1_head *h, size_t method_end, size_t end)
{
    size_t line_at = h->line_at;
    h->method = (struct h1_span){(uint32_t)line_at, (uint32_t)(method_end - line_at)};
    while (h->bytes[end - 1] == ' ' && end - 1 > method_end) {
        end--; /* spaces behind the version: ALB lets them pass */
        h1_note(h, H1_ACCEPTABLE, H1_NON_COMPLIANT_VERSION);
    }
    if (end - method_end < 1 + 1 + 1 + 8) {
        return h1_refuse(h, H1_BAD_VERSION, 400);
    }
    if (h->bytes[end - 9] != ' ') {
        return h1_refuse(h, H1_BAD_VERSION, 400);
    }
    h->target = (struct h1_span){(uint32_t)method_end + 1, (uint32_t)(end - 9 - (method_end + 1))};
    enum h1_result r = read_version(h, h->bytes + end - 8);
    return r == H1_DONE ? read_target(h) : r;
}

static enum h1_result too_long_or_more(struct h1_head *h, size_t count)
{
    return count - h->line_at >= H1_REQUEST_LINE_BYTES_MAX ? h1_decline(h, 414) : H1_MORE;
}

static enum h1_result parse_request_line(struct h1_head *h, size_t count)
{
    size_t limit = h->line_at + H1_REQUEST_LINE_BYTES_MAX;
    size_t seen = count < limit ? count : limit;
    size_t method_end = h1_scan_token(h->bytes, h->line_at, seen);
    if (method_end - h->line_at > H1_METHOD_BYTES_MAX) {
        return h1_refuse(h, H1_BAD_METHOD, 400);
    }
    if (method_end == seen) {
        return H1_MORE;
    }
    if (method_end == h->line_at || h->bytes[method_end] != ' ') {
        return h1_refuse(h, H1_BAD_METHOD, 400);
    }
    size_t end = h1_scan_control(h->bytes, method_end, seen);
    enum h1_line_end kind = h1_line_end_at(h->bytes, end, seen);
    if (kind == H1_LINE_OPEN) {
        return too_long_or_more(h, count);
    }
    if (kind == H1_LINE_CONTROL) {
        bool is_split = h->bytes[end] == '\r' || h->bytes[end] == '\0';
        return h1_refuse(h, is_split ? H1_BAD_URI : H1_AMBIGUOUS_URI, 400);
    }
    if (kind == H1_LINE_LF) {
        h->has_bare_lf = true;
        h1_note(h, H1_ACCEPTABLE, H1_NON_COMPLIANT_HEADER);
    }
    enum h1_result r = read_request_line(h, method_end, end);
    if (r == H1_DONE) {
        h->line_at = end + line_end_bytes(kind);
        h->fields_at = h->line_at;
        h->phase = H1_PHASE_FIELDS;
    }
    return r;
}

enum h1_result h1_parse_request(struct h1_head *h, const char *bytes, size_t count)
{
    h->bytes = bytes;
    if (count == 0) {
        return H1_MORE;
    }
    if (h->phase == H1_PHASE_START) {
        enum h1_result r = skip_empty_line(h, count);
        if (r != H1_DONE) {
            return r;
        }
        r = parse_request_line(h, count);
        if (r != H1_DONE) {
            return r;
        }
    }
    if (h->phase == H1_PHASE_FIELDS) {
        enum h1_result r = h1_parse_fields(h, count, H1_HEAD_BYTES_MAX);
        return r == H1_DONE ? h1_understand_request(h) : r;
    }
    return h->phase == H1_PHASE_DONE ? H1_DONE : H1_BAD;
}

/* HTTP/1.x SP 3DIGIT [SP phrase]. */
static enum h1_result read_status_line(struct h1_head *h, size_t end)
{
    const char *line = h->bytes + h->line_at;
    size_t len = end - h->line_at;
    if (len < 12 || line[8] != ' ') {
        return h1_refuse(h, H1_BAD_VERSION, 502);
    }
    if (read_version(h, line) != H1_DONE) {
        return h1_refuse(h, H1_BAD_VERSION, 502);
    }
    if (!is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) || line[9] == '0' ||
        (len > 12 && line[12] != ' ')) {
        return h1_refuse(h, H1_BAD_VERSION, 502);
    }
    h->status = (uint16_t)((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
    size_t phrase_at = len > 12 ? 13 : 12;
    h->reason_phrase =
        (struct h1_span){(uint32_t)(h->line_at + phrase_at), (uint32_t)(len - phrase_at)};
    return H1_DONE;
}

/* Tabs are allowed in a phrase. */
static size_t scan_phrase(const char *bytes, size_t from, size_t count)
{
    size_t at = h1_scan_control(bytes, from, count);
    while (at < count && bytes[at] == '\t') {
        at = h1_scan_control(bytes, at + 1, count);
    }
    return at;
}

static enum h1_result parse_status_line(struct h1_head *h, size_t count)
{
    static const char start[5] = {'H', 'T', 'T', 'P', '/'};
    size_t early = count < sizeof(start) ? count : sizeof(start);
    if (memcmp(h->bytes, start, early) != 0) {
        return h1_refuse(h, H1_BAD_VERSION, 502);
    }
    size_t end = scan_phrase(h->bytes, h->line_at, count);
    enum h1_line_end kind = h1_line_end_at(h->bytes, end, count);
    if (kind == H1_LINE_OPEN) {
        return count >= H1_FIELD_BYTES_MAX ? h1_refuse(h, H1_BAD_HEADER, 502) : H1_MORE;
    }
    if (kind == H1_LINE_CONTROL || end - h->line_at >= H1_FIELD_BYTES_MAX) {
        return h1_refuse(h, H1_BAD_HEADER, 502);
    }
    if (kind == H1_LINE_LF) {
        h->has_bare_lf = true;
        h1_note(h, H1_ACCEPTABLE, H1_NON_COMPLIANT_HEADER);
    }
    enum h1_result r = read_status_line(h, end);
    if (r == H1_DONE) {
        h->line_at = end + line_end_bytes(kind);
        h->fields_at = 0; /* the limit counts the status line too */
        h->phase = H1_PHASE_FIELDS;
    }
    return r;
}

enum h1_result h1_parse_response(struct h1_head *h, const char *bytes, size_t count, bool is_head)
{
    h->bytes = bytes;
    if (count == 0) {
        return H1_MORE;
    }
    if (h->phase == H1_PHASE_START) {
        enum h1_result r = parse_status_line(h, count);
        if (r != H1_DONE) {
            return r;
        }
    }
    if (h->phase == H1_PHASE_FIELDS) {
        enum h1_result r = h1_parse_fields(h, count, H1_RESPONSE_BYTES_MAX);
        if (r == H1_DONE) {
            r = h1_understand_response(h, is_head);
        }
        if (r == H1_BAD) {
            h->status = 502;
        }
        return r;
    }
    return h->phase == H1_PHASE_DONE ? H1_DONE : H1_BAD;
}
