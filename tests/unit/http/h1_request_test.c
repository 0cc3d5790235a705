/* Every row is parsed whole, byte by byte, and cut in two at every place; all must agree. */

#include "http/h1.h"
#include "test.h"

struct row {
    const char *text;
    enum h1_result result;
    enum h1_verdict verdict;
    enum h1_reason reason;
    unsigned status; /* with H1_BAD */
};

#define HOST "Host: a\r\n"

static const struct row rows[] = {
    {"GET / HTTP/1.1\r\n" HOST "\r\n", H1_DONE, H1_COMPLIANT, H1_REASON_NONE, 0},
    {"\r\nGET / HTTP/1.1\r\n" HOST "\r\n", H1_DONE, H1_COMPLIANT, H1_REASON_NONE, 0},
    {"GET / HTTP/1.0\r\n\r\n", H1_DONE, H1_COMPLIANT, H1_REASON_NONE, 0},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", H1_DONE, H1_COMPLIANT, H1_REASON_NONE, 0},
    {"GET /\xc3\xa9 HTTP/1.1\r\n" HOST "X: \xff\r\n\r\n", H1_DONE, H1_COMPLIANT, H1_REASON_NONE, 0},
    {"GET / HTTP/1.1\r\n" HOST "X:\r\nY: \t a\tb \t\r\n\r\n", H1_DONE, H1_COMPLIANT, H1_REASON_NONE,
     0},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", H1_DONE, H1_COMPLIANT, H1_REASON_NONE,
     0},
    {"POST / HTTP/1.1\r\n" HOST "transfer-ENCODING: CHUNKED\r\n\r\n", H1_DONE, H1_COMPLIANT,
     H1_REASON_NONE, 0},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Identity\r\n\r\n", H1_DONE, H1_COMPLIANT,
     H1_REASON_NONE, 0},
    /* acceptable */
    {"GET / HTTP/1.2\r\n" HOST "\r\n", H1_DONE, H1_ACCEPTABLE, H1_NON_COMPLIANT_VERSION, 0},
    {"GET / HTTP/1.1 \r\n" HOST "\r\n", H1_DONE, H1_ACCEPTABLE, H1_NON_COMPLIANT_VERSION, 0},
    {"GET /a b HTTP/1.1\r\n" HOST "\r\n", H1_DONE, H1_ACCEPTABLE, H1_SPACE_IN_URI, 0},
    {"GET / HTTP/1.1\n" HOST "\r\n", H1_DONE, H1_ACCEPTABLE, H1_NON_COMPLIANT_HEADER, 0},
    {"GET / HTTP/1.1\r\nHost: a\n\r\n", H1_DONE, H1_ACCEPTABLE, H1_NON_COMPLIANT_HEADER, 0},
    {"GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n", H1_DONE, H1_ACCEPTABLE, H1_NON_COMPLIANT_HEADER,
     0},
    {"GET / HTTP/1.1\r\n" HOST "x-my \x01: a\r\n\r\n", H1_DONE, H1_ACCEPTABLE,
     H1_NON_COMPLIANT_HEADER, 0},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", H1_DONE, H1_ACCEPTABLE,
     H1_GET_HEAD_ZERO_LENGTH, 0},
    /* ambiguous */
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\n", H1_DONE,
     H1_AMBIGUOUS, H1_BOTH_TE_CL_PRESENT, 0},
    {"POST / HTTP/1.1\r\n" HOST "X: y\nTransfer-Encoding: chunked\r\n\r\n", H1_DONE, H1_AMBIGUOUS,
     H1_SUSPICIOUS_HEADER, 0},
    {"GET / HTTP/1.1\nHost: a\n\n", H1_DONE, H1_AMBIGUOUS, H1_NON_COMPLIANT_HEADER, 0},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n", H1_DONE, H1_AMBIGUOUS,
     H1_UNDEFINED_CL_SEMANTICS, 0},
    {"HEAD / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", H1_DONE, H1_AMBIGUOUS,
     H1_UNDEFINED_TE_SEMANTICS, 0},
    {"POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", H1_DONE, H1_AMBIGUOUS,
     H1_UNDEFINED_TE_SEMANTICS, 0},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", H1_DONE,
     H1_AMBIGUOUS, H1_BOTH_TE_CL_PRESENT, 0},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", H1_DONE,
     H1_AMBIGUOUS, H1_DUPLICATE_CONTENT_LENGTH, 0},
    {"GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n", H1_DONE, H1_AMBIGUOUS, H1_EMPTY_HEADER, 0},
    {"POST / HTTP/1.1\r\n" HOST "Transfer_Encoding: chunked\r\n\r\n", H1_DONE, H1_AMBIGUOUS,
     H1_SUSPICIOUS_HEADER, 0},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n", H1_DONE, H1_AMBIGUOUS,
     H1_SUSPICIOUS_HEADER, 0},
    {"POST / HTTP/1.1\r\n" HOST "\x01"
     "Content-Length: 3\r\n\r\n",
     H1_DONE, H1_AMBIGUOUS, H1_SUSPICIOUS_HEADER, 0},
    {"POST / HTTP/1.1\r\n" HOST "Content--Length: 3\r\n\r\n", H1_DONE, H1_AMBIGUOUS,
     H1_SUSPICIOUS_HEADER, 0},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encod\xc4\xb1ng: chunked\r\n\r\n", H1_DONE, H1_AMBIGUOUS,
     H1_SUSPICIOUS_HEADER, 0},
    {"POST / HTTP/1.1\r\n" HOST "\xa0"
     "Content-Length: 3\r\n\r\n",
     H1_DONE, H1_AMBIGUOUS, H1_SUSPICIOUS_HEADER, 0},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\n", H1_DONE,
     H1_AMBIGUOUS, H1_SUSPICIOUS_HEADER, 0},
    /* severe: the request line */
    {"GET / HTTP/1.1 HTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_VERSION, 400},
    {" GET / HTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_METHOD, 400},
    {"G@T / HTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_METHOD, 400},
    {"GET\t/ HTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_METHOD, 400},
    {"\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_METHOD, 400},
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_URI, 400},
    {"GET /  HTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_URI, 400},
    {"GET /\t HTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_AMBIGUOUS_URI, 400},
    {"GET /\rHTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_URI, 400},
    {"GET a HTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_URI, 400},
    {"GET * HTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_URI, 400},
    {"GET /#f HTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_URI, 400},
    {"GET http:///x HTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_URI, 400},
    {"GET http://u@h/ HTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_URI, 400},
    {"GET /\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_VERSION, 400},
    {"GET / http/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_VERSION, 400},
    {"GET / HTTP/1.1  HTTP/1.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_URI, 400},
    {"GET / HTTP/11.1\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_VERSION, 400},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", H1_BAD, H1_COMPLIANT, H1_REASON_NONE, 505},
    {"GET / HTTP/0.9\r\n" HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_VERSION, 400},
    /* severe: lines */
    {"GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_HEADER, 400},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_HEADER, 400},
    {"GET / HTTP/1.1\r\n" HOST "X\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_HEADER, 400},
    {"GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_HEADER, 400},
    {"GET / HTTP/1.1\r\n" HOST "\rX: a\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_HEADER, 400},
    /* severe: host */
    {"GET / HTTP/1.1\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_HEADER, 400},
    {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", H1_BAD, H1_SEVERE, H1_BAD_HEADER, 400},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_HEADER, 400},
    {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_HEADER, 400},
    {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_HEADER, 400},
    {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_HEADER, 400},
    {"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_HEADER, 400},
    {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_HEADER, 400},
    {"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_HEADER, 400},
    {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", H1_DONE, H1_COMPLIANT, H1_REASON_NONE, 0},
    /* severe: framing */
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", H1_BAD, H1_SEVERE,
     H1_MULTIPLE_CONTENT_LENGTH, 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length : 3\r\n\r\n", H1_BAD,
     H1_SEVERE, H1_MULTIPLE_CONTENT_LENGTH, 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer_Encoding: a\r\nTransfer-Encoding: chunked\r\n\r\n",
     H1_BAD, H1_SEVERE, H1_MULTIPLE_TE_CHUNKED, 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\n", H1_BAD, H1_SEVERE,
     H1_BAD_CONTENT_LENGTH, 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\n", H1_BAD, H1_SEVERE,
     H1_BAD_CONTENT_LENGTH, 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: -3\r\n\r\n", H1_BAD, H1_SEVERE,
     H1_BAD_CONTENT_LENGTH, 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0x3\r\n\r\n", H1_BAD, H1_SEVERE,
     H1_BAD_CONTENT_LENGTH, 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", H1_BAD, H1_SEVERE, H1_BAD_CONTENT_LENGTH,
     400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 3\x01\r\n\r\n", H1_BAD, H1_SEVERE,
     H1_BAD_CONTENT_LENGTH, 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n", H1_BAD, H1_SEVERE,
     H1_BAD_CONTENT_LENGTH, 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", H1_BAD, H1_SEVERE,
     H1_BAD_TRANSFER_ENCODING, 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked,\r\n\r\n", H1_BAD, H1_SEVERE,
     H1_BAD_TRANSFER_ENCODING, 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: x-gzip, chunked\r\n\r\n", H1_BAD, H1_SEVERE,
     H1_BAD_TRANSFER_ENCODING, 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n", H1_BAD, H1_SEVERE,
     H1_BAD_TRANSFER_ENCODING, 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b"
     "chunked\r\n\r\n",
     H1_BAD, H1_SEVERE, H1_BAD_TRANSFER_ENCODING, 400},
    /* not served: the verdict is what it would be otherwise */
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", H1_BAD, H1_COMPLIANT,
     H1_REASON_NONE, 501},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity, chunked\r\n\r\n", H1_BAD,
     H1_COMPLIANT, H1_REASON_NONE, 501},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked;a=b\r\n\r\n", H1_BAD, H1_COMPLIANT,
     H1_REASON_NONE, 501},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n", H1_BAD, H1_SEVERE,
     H1_MULTIPLE_TE_CHUNKED, 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     H1_BAD, H1_SEVERE, H1_MULTIPLE_TE_CHUNKED, 400},
    /* not finished */
    {"GET / HTTP/1.1\r\n" HOST "\r", H1_MORE, H1_COMPLIANT, H1_REASON_NONE, 0},
    {"GE", H1_MORE, H1_COMPLIANT, H1_REASON_NONE, 0},
    {"\r", H1_MORE, H1_COMPLIANT, H1_REASON_NONE, 0},
    {"GET / HTTP/1.1", H1_MORE, H1_COMPLIANT, H1_REASON_NONE, 0},
    {"GET / HTTP/1.1\r\nHost", H1_MORE, H1_COMPLIANT, H1_REASON_NONE, 0},
};

static void expect_row(const struct row *row, const struct h1_head *h, enum h1_result r, size_t cut)
{
    if (r != row->result ||
        (r != H1_MORE && (h->verdict != row->verdict || h->reason != row->reason)) ||
        (r == H1_BAD && h->status != row->status)) {
        test_failed(__FILE__, __LINE__, "\"%s\" cut at %zu: result %d %s %s %u", row->text, cut,
                    (int)r, h1_verdict_text(h->verdict), h1_reason_text(h->reason), h->status);
    }
    if (r == H1_DONE && h->head_bytes != strlen(row->text)) {
        test_failed(__FILE__, __LINE__, "\"%s\": %zu bytes", row->text, h->head_bytes);
    }
}

/* The bytes lie at the end of a block of their size, so that a sanitizer sees each read past them.
 */
static enum h1_result parse(struct h1_head *h, const char *text, size_t count)
{
    static char room[1024];
    char *at = room + sizeof(room) - count;
    memcpy(at, text, count);
    return h1_parse_request(h, at, count);
}

TEST(a_request_head_means_the_same_however_it_is_split)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i].text);
        for (size_t cut = 0; cut <= len; cut++) {
            struct h1_head h;
            h1_head_init(&h);
            enum h1_result r = H1_MORE;
            if (cut > 0) {
                r = parse(&h, rows[i].text, cut);
            }
            if (r == H1_MORE) {
                r = parse(&h, rows[i].text, len);
            }
            expect_row(&rows[i], &h, r, cut);
        }
        struct h1_head h;
        h1_head_init(&h);
        enum h1_result r = H1_MORE;
        for (size_t count = 1; count <= len && r == H1_MORE; count++) {
            r = parse(&h, rows[i].text, count);
        }
        expect_row(&rows[i], &h, r, len);
    }
}

TEST(a_nul_anywhere_is_refused)
{
    static const char text[] = "GET /abc HTTP/1.1\r\nHost: a\r\nX-Long-Name: some value\r\n\r\n";
    char copy[sizeof(text)];
    for (size_t i = 0; i + 2 < sizeof(text) - 1; i++) {
        memcpy(copy, text, sizeof(text));
        copy[i] = '\0';
        struct h1_head h;
        h1_head_init(&h);
        if (h1_parse_request(&h, copy, sizeof(text) - 1) != H1_BAD) {
            test_failed(__FILE__, __LINE__, "NUL at %zu was let through", i);
        }
    }
}

static struct h1_head parsed(const char *text)
{
    struct h1_head h;
    h1_head_init(&h);
    REQUIRE_EQ(h1_parse_request(&h, text, strlen(text)), H1_DONE);
    return h;
}

TEST(a_request_is_taken_apart)
{
    struct h1_head h = parsed("POST /a/b?x=1&y HTTP/1.1\r\nHost: shop:81\r\nContent-Length: 12\r\n"
                              "Expect: 100-Continue\r\nX-A:  one \r\nx-a: two\r\n\r\nbody");
    EXPECT_STR(h1_str(&h, h.method), "POST");
    EXPECT_STR(h1_str(&h, h.target), "/a/b?x=1&y");
    EXPECT_STR(h1_str(&h, h.path), "/a/b");
    EXPECT_STR(h1_str(&h, h.query), "x=1&y");
    EXPECT_STR(h1_str(&h, h.host), "shop:81");
    EXPECT_EQ(h.framing, H1_LENGTH);
    EXPECT_EQ(h.content_length, 12);
    EXPECT(h.is_keep_alive);
    EXPECT(h.expects_continue);
    size_t at = 0;
    struct str value;
    REQUIRE(h1_find_next(&h, STR("X-a"), &at, &value));
    EXPECT_STR(value, "one");
    REQUIRE(h1_find_next(&h, STR("X-a"), &at, &value));
    EXPECT_STR(value, "two");
    EXPECT(!h1_find_next(&h, STR("X-a"), &at, &value));
}

TEST(the_authority_of_an_absolute_target_wins_over_host)
{
    struct h1_head h = parsed("GET http://b.example:8/p?q HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_STR(h1_str(&h, h.host), "b.example:8");
    EXPECT_STR(h1_str(&h, h.path), "/p");
    EXPECT_STR(h1_str(&h, h.query), "q");
    h = parsed("GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_STR(h1_str(&h, h.path), "");
    EXPECT_STR(h1_str(&h, h.query), "q");
}

TEST(persistence_follows_version_and_connection)
{
    static const struct {
        const char *text;
        bool is_keep_alive;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n", false}, /* ambiguous */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct h1_head h = parsed(cases[i].text);
        EXPECT_EQ(h.is_keep_alive, cases[i].is_keep_alive);
    }
}

TEST(connection_lists_hop_fields_but_never_framing_or_host)
{
    struct h1_head h =
        parsed("POST / HTTP/1.1\r\nHost: a\r\nConnection: X-Mine, host, content-length, "
               "x-forwarded-for\r\nX-Mine: 1\r\nContent-Length: 3\r\nX-Forwarded-For: b\r\n"
               "Keep-Alive: timeout=5\r\nX-Other: 2\r\n\r\n");
    static const bool is_hop[] = {false, true, true, false, false, true, false};
    REQUIRE_EQ(h.field_count, 7);
    for (size_t i = 0; i < h.field_count; i++) {
        EXPECT_EQ((h.fields[i].flags & H1_FIELD_HOP) != 0, is_hop[i]);
    }
}

TEST(only_a_whole_websocket_request_is_one)
{
    EXPECT(parsed("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
                  "Upgrade: WebSocket\r\n\r\n")
               .is_websocket);
    EXPECT(!parsed("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
                .is_websocket);
    EXPECT(!parsed("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n").is_websocket);
    EXPECT(
        !parsed("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
             .is_websocket);
}

/* head of `count` fields of `value_len` bytes each */
static enum h1_result parse_many(size_t count, size_t value_len, struct h1_head *h)
{
    static char text[256 * 1024];
    size_t len = 0;
    memcpy(text, "GET / HTTP/1.1\r\nHost: a\r\n", 25);
    len = 25;
    for (size_t i = 0; i < count; i++) {
        memcpy(text + len, "a: ", 3);
        memset(text + len + 3, 'x', value_len);
        memcpy(text + len + 3 + value_len, "\r\n", 2);
        len += value_len + 5;
    }
    memcpy(text + len, "\r\n", 2);
    h1_head_init(h);
    return h1_parse_request(h, text, len + 2);
}

TEST(limits_hold_at_them_and_not_past_them)
{
    struct h1_head h;
    EXPECT_EQ(parse_many(H1_FIELDS_MAX - 1, 1, &h), H1_DONE);
    EXPECT_EQ(parse_many(H1_FIELDS_MAX, 1, &h), H1_BAD);
    EXPECT_EQ(h.status, 400);
    EXPECT_EQ(parse_many(1, H1_FIELD_BYTES_MAX - 5, &h), H1_DONE);
    EXPECT_EQ(parse_many(1, H1_FIELD_BYTES_MAX - 4, &h), H1_BAD);
    EXPECT_EQ(h.status, 400);
    EXPECT_EQ(parse_many(4, H1_FIELD_BYTES_MAX - 5, &h), H1_BAD);
    EXPECT_EQ(parse_many(3, H1_FIELD_BYTES_MAX - 5, &h), H1_DONE);
}

TEST(a_request_line_past_its_limit_is_414)
{
    static char text[H1_REQUEST_LINE_BYTES_MAX + 64];
    for (size_t over = 0; over < 2; over++) {
        size_t path = H1_REQUEST_LINE_BYTES_MAX - 15 + over;
        memcpy(text, "GET /", 5);
        memset(text + 5, 'a', path - 1);
        memcpy(text + 4 + path, " HTTP/1.1\r\nHost: a\r\n\r\n", 22);
        struct h1_head h;
        h1_head_init(&h);
        EXPECT_EQ(h1_parse_request(&h, text, 4 + path + 22), over == 0 ? H1_DONE : H1_BAD);
        EXPECT_EQ(h.status, over == 0 ? 0 : 414);
    }
}
