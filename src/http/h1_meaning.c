/* What the header lines of a head mean together: framing, host, what happens to the connection.
 * Source: RFC 9112 6 and 9.3; verdicts as ALB's desync mitigation gives them. */

#include "http/h1_parse.h"

static const uint32_t never_hop = 1u << H1_HOST | 1u << H1_CONTENT_LENGTH |
                                  1u << H1_X_FORWARDED_FOR | 1u << H1_X_FORWARDED_PROTO |
                                  1u << H1_X_FORWARDED_PORT | 1u << H1_X_AMZN_TRACE_ID;

enum coding { CODING_NONE, CODING_CHUNKED, CODING_IDENTITY, CODING_OTHER };

static enum coding coding_of(struct str name)
{
    static const struct {
        struct str name;
        enum coding coding;
    } codings[] = {
        {STR_INIT("chunked"), CODING_CHUNKED}, {STR_INIT("identity"), CODING_IDENTITY},
        {STR_INIT("gzip"), CODING_OTHER},      {STR_INIT("deflate"), CODING_OTHER},
        {STR_INIT("compress"), CODING_OTHER},
    };
    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        if (str_equal_nocase(name, codings[i].name)) {
            return codings[i].coding;
        }
    }
    return CODING_NONE;
}

/* One member of Transfer-Encoding. A member that is not exactly a coding's name, but means one (it
 * has parameters), makes the list one that we do not serve. */
static enum h1_result take_coding(struct h1_head *h, struct str member)
{
    struct str name = str_trim(str_slice(member, 0, str_find_char(member, ';', 0)));
    enum coding coding = coding_of(name);
    if (coding == CODING_NONE) {
        return h1_refuse(h, H1_BAD_TRANSFER_ENCODING, 400);
    }
    if (coding == CODING_CHUNKED && h->is_chunked) {
        return h1_refuse(h, H1_MULTIPLE_TE_CHUNKED, 400);
    }
    h->is_chunked = h->is_chunked || coding == CODING_CHUNKED;
    h->has_other_coding =
        h->has_other_coding || coding == CODING_OTHER || !str_equal(name, str_trim(member));
    h->te_count = (uint8_t)(h->te_count < UINT8_MAX ? h->te_count + 1 : UINT8_MAX);
    return H1_DONE;
}

static enum h1_result take_transfer_encoding(struct h1_head *h, const struct h1_field *f)
{
    struct str rest = h1_field_value(h, f);
    struct str member;
    if ((f->flags & H1_FIELD_BAD) != 0 || rest.len == 0) {
        return h1_refuse(h, H1_BAD_TRANSFER_ENCODING, 400);
    }
    while (str_next(&rest, ',', &member)) {
        enum h1_result r = take_coding(h, member);
        if (r != H1_DONE) {
            return r;
        }
    }
    return H1_DONE;
}

static enum h1_result take_content_length(struct h1_head *h, const struct h1_field *f)
{
    uint64_t value = 0;
    if ((f->flags & H1_FIELD_BAD) != 0 ||
        !str_parse_u64(h1_field_value(h, f), H1_CONTENT_LENGTH_MAX, &value)) {
        return h1_refuse(h, H1_BAD_CONTENT_LENGTH, 400);
    }
    if (h->has_length && value != h->content_length) {
        return h1_refuse(h, H1_MULTIPLE_CONTENT_LENGTH, 400);
    }
    if (h->has_length) {
        h1_note(h, H1_AMBIGUOUS, H1_DUPLICATE_CONTENT_LENGTH);
    }
    h->has_length = true;
    h->content_length = value;
    return H1_DONE;
}

/* te_count, has_length and content_length from the fields. */
static enum h1_result take_framing(struct h1_head *h)
{
    if ((h->names_seen & (1u << H1_CONTENT_LENGTH | 1u << H1_TRANSFER_ENCODING)) == 0) {
        return H1_DONE;
    }
    /* the real one and one in disguise: somebody tries to have two */
    if ((h->lookalikes & h->names_seen & 1u << H1_TRANSFER_ENCODING) != 0) {
        return h1_refuse(h, H1_MULTIPLE_TE_CHUNKED, 400);
    }
    if ((h->lookalikes & h->names_seen & 1u << H1_CONTENT_LENGTH) != 0) {
        return h1_refuse(h, H1_MULTIPLE_CONTENT_LENGTH, 400);
    }
    for (size_t i = 0; i < h->field_count; i++) {
        const struct h1_field *f = &h->fields[i];
        enum h1_result r = H1_DONE;
        if (f->name == H1_CONTENT_LENGTH) {
            r = take_content_length(h, f);
        } else if (f->name == H1_TRANSFER_ENCODING) {
            r = take_transfer_encoding(h, f);
        }
        if (r != H1_DONE) {
            return r;
        }
    }
    if (h->te_count > 0 && h->has_length) {
        h1_note(h, H1_AMBIGUOUS, H1_BOTH_TE_CL_PRESENT);
    }
    if (h->is_chunked && h->has_length) {
        h->has_length = false;
        h->content_length = 0;
    }
    return H1_DONE;
}

/* Source: ALB answers transfer codings other than chunked and identity with 501. Each alone: what
 * a list of several means is read in more than one way. */
static bool has_unserved_coding(const struct h1_head *h)
{
    return h->has_other_coding || h->te_count > 1;
}

static void mark_listed(struct h1_head *h, struct str member)
{
    for (size_t i = 0; i < h->field_count; i++) {
        struct h1_field *f = &h->fields[i];
        if ((never_hop >> f->name & 1u) == 0 && str_equal_nocase(h1_field_name(h, f), member)) {
            f->flags |= H1_FIELD_HOP;
        }
    }
}

/* Connection: persistence, upgrade, and the fields that it lists. */
static void take_connection(struct h1_head *h)
{
    bool has_close = false;
    bool has_keep_alive = false;
    bool has_upgrade = false;
    for (size_t i = 0; h1_has(h, H1_CONNECTION) && i < h->field_count; i++) {
        if (h->fields[i].name != H1_CONNECTION) {
            continue;
        }
        struct str rest = h1_field_value(h, &h->fields[i]);
        struct str member;
        while (h1_list_next(&rest, &member)) {
            if (str_equal_nocase(member, STR("close"))) {
                has_close = true;
            } else if (str_equal_nocase(member, STR("keep-alive"))) {
                has_keep_alive = true;
            } else if (str_equal_nocase(member, STR("upgrade"))) {
                has_upgrade = true;
            } else {
                mark_listed(h, member);
            }
        }
    }
    h->is_keep_alive = !has_close && (h->minor_version == 1 || has_keep_alive);
    h->has_upgrade = has_upgrade && h1_has(h, H1_UPGRADE) && h->minor_version == 1;
}

static bool is_port(struct str port)
{
    uint64_t value;
    return port.len == 0 || (port.len <= 5 && str_parse_u64(port, 65535, &value));
}

/* reg-name, IPv4 or [IPv6], with an optional port. Nothing that a target may take for something
 * else. */
static bool is_host(struct str host)
{
    static const struct str never = STR_INIT("@/\\?#,\"<>[]{}^`|");
    size_t name_end = host.len;
    if (host.len > 0 && host.ptr[0] == '[') {
        size_t close = str_find_char(host, ']', 0);
        if (close == STR_NOT_FOUND) {
            return false;
        }
        for (size_t i = 1; i < close; i++) {
            char c = str_lower_char(host.ptr[i]);
            if ((c < '0' || c > '9') && (c < 'a' || c > 'f') && c != ':' && c != '.') {
                return false;
            }
        }
        if (close + 1 < host.len && host.ptr[close + 1] != ':') {
            return false;
        }
        return close + 1 == host.len || is_port(str_from(host, close + 2));
    }
    size_t colon = str_find_char(host, ':', 0);
    if (colon != STR_NOT_FOUND) {
        if (!is_port(str_from(host, colon + 1))) {
            return false;
        }
        name_end = colon;
    }
    for (size_t i = 0; i < name_end; i++) {
        unsigned char c = (unsigned char)host.ptr[i];
        if (c <= ' ' || c >= 0x7f || str_find_char(never, (char)c, 0) != STR_NOT_FOUND) {
            return false;
        }
    }
    return true;
}

/* A line that ends in LF alone, beside framing: to a reader that wants CR LF the framing may be a
 * part of another line. Lines that all end so are common, and end in LF LF, which is noted too. */
static void judge_line_ends(struct h1_head *h)
{
    if (h->has_bare_lf && (h->te_count > 0 || h->has_length)) {
        h1_note(h, H1_AMBIGUOUS, H1_SUSPICIOUS_HEADER);
    }
}

static enum h1_result take_host(struct h1_head *h)
{
    size_t host_count = 0;
    for (size_t i = 0; h1_has(h, H1_HOST) && i < h->field_count; i++) {
        const struct h1_field *f = &h->fields[i];
        if (f->name != H1_HOST) {
            continue;
        }
        if (++host_count > 1 || (f->flags & H1_FIELD_BAD) != 0 || !is_host(h1_field_value(h, f))) {
            return h1_refuse(h, H1_BAD_HEADER, 400);
        }
        if (!h->is_absolute_target) {
            h->host = (struct h1_span){f->value_at, f->value_len};
        }
    }
    if (host_count == 0 && h->minor_version == 1) {
        return h1_refuse(h, H1_BAD_HEADER, 400);
    }
    if (h->is_absolute_target && (h->host.len == 0 || !is_host(h1_str(h, h->host)))) {
        return h1_refuse(h, H1_BAD_URI, 400);
    }
    return H1_DONE;
}

static void take_expect(struct h1_head *h)
{
    if (!h1_has(h, H1_EXPECT) || h->minor_version == 0) {
        return;
    }
    for (size_t i = 0; i < h->field_count; i++) {
        if (h->fields[i].name != H1_EXPECT) {
            continue;
        }
        if (str_equal_nocase(h1_field_value(h, &h->fields[i]), STR("100-continue"))) {
            h->expects_continue = true;
        } else {
            h->has_other_expect = true;
        }
    }
}

/* A body where the method defines none, or chunks in a version that has none. */
static void judge_body(struct h1_head *h)
{
    struct str method = h1_str(h, h->method);
    bool is_get = STR_IS(method, "GET") || STR_IS(method, "HEAD");
    if (h->te_count > 0 && (is_get || h->minor_version == 0)) {
        h1_note(h, H1_AMBIGUOUS, H1_UNDEFINED_TE_SEMANTICS);
    }
    if (h->has_length && is_get && h->content_length > 0) {
        h1_note(h, H1_AMBIGUOUS, H1_UNDEFINED_CL_SEMANTICS);
    } else if (h->has_length && is_get) {
        h1_note(h, H1_ACCEPTABLE, H1_GET_HEAD_ZERO_LENGTH);
    }
}

enum h1_result h1_understand_request(struct h1_head *h)
{
    enum h1_result r = take_framing(h);
    if (r == H1_DONE) {
        r = take_host(h);
    }
    if (r != H1_DONE) {
        return r;
    }
    judge_line_ends(h);
    take_connection(h);
    take_expect(h);
    if (h->is_chunked) {
        h->framing = H1_CHUNKED;
    } else {
        h->framing = h->content_length > 0 ? H1_LENGTH : H1_NO_BODY;
    }
    if (h->te_count > 0 || h->has_length) {
        judge_body(h);
    }
    if (has_unserved_coding(h)) {
        return h1_decline(h, 501);
    }
    /* RFC 9112 6.1: after both framings, or chunks in HTTP/1.0, the connection ends in any case;
     * we do the same after identity, which RFC 9112 has no more */
    h->must_close = h->te_count > 0 &&
                    (!h->is_chunked || h->minor_version == 0 || h1_has(h, H1_CONTENT_LENGTH));
    h->is_websocket = h->has_upgrade && h->framing == H1_NO_BODY &&
                      STR_IS(h1_str(h, h->method), "GET") &&
                      str_equal_nocase(h1_find(h, H1_UPGRADE), STR("websocket"));
    h->wants_keep_alive = h->is_keep_alive && !h->must_close;
    h->is_keep_alive = h->wants_keep_alive && h->verdict < H1_AMBIGUOUS;
    return H1_DONE;
}

static bool has_no_body(unsigned status, bool is_head)
{
    return is_head || status < 200 || status == 204 || status == 304;
}

enum h1_result h1_understand_response(struct h1_head *h, bool is_head)
{
    enum h1_result r = take_framing(h);
    if (r != H1_DONE) {
        return r;
    }
    take_connection(h);
    if (has_unserved_coding(h)) {
        return h1_refuse(h, H1_BAD_TRANSFER_ENCODING, 502);
    }
    if (has_no_body(h->status, is_head)) {
        h->framing = H1_NO_BODY;
    } else if (h->is_chunked) {
        h->framing = H1_CHUNKED;
    } else if (h->has_length) {
        h->framing = h->content_length > 0 ? H1_LENGTH : H1_NO_BODY;
    } else {
        h->framing = H1_UNTIL_CLOSE;
    }
    bool is_odd = h->verdict >= H1_AMBIGUOUS || (h->te_count > 0 && h->minor_version == 0);
    if (h->framing == H1_UNTIL_CLOSE || is_odd) {
        h->is_keep_alive = false;
    }
    h->is_websocket = h->status == 101 && h->has_upgrade &&
                      str_equal_nocase(h1_find(h, H1_UPGRADE), STR("websocket"));
    return H1_DONE;
}
