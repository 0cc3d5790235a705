#include "http/h1.h"
#include "test.h"

struct row {
    const char *text;
    bool is_head;
    enum h1_result result;
    enum h1_verdict verdict;
    enum h1_framing framing;
    uint64_t content_length;
    bool is_keep_alive;
};

static const struct row rows[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, H1_DONE, H1_COMPLIANT, H1_LENGTH, 5,
     true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, H1_DONE, H1_COMPLIANT, H1_NO_BODY, 5,
     true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, H1_DONE, H1_COMPLIANT, H1_NO_BODY, 0,
     true},
    {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, H1_DONE, H1_COMPLIANT, H1_NO_BODY, 0,
     true},
    {"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", false, H1_DONE, H1_COMPLIANT, H1_NO_BODY, 0,
     true},
    {"HTTP/1.1 200 O\tK\xe9\r\nTransfer-Encoding: chunked\r\n\r\n", false, H1_DONE, H1_COMPLIANT,
     H1_CHUNKED, 0, true},
    {"HTTP/1.1 200 OK\r\n\r\n", false, H1_DONE, H1_COMPLIANT, H1_UNTIL_CLOSE, 0, false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false, H1_DONE, H1_COMPLIANT, H1_LENGTH, 5,
     false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", false, H1_DONE,
     H1_COMPLIANT, H1_LENGTH, 5, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", false, H1_DONE,
     H1_COMPLIANT, H1_LENGTH, 5, false},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, H1_DONE, H1_COMPLIANT,
     H1_NO_BODY, 5, true},
    {"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", false, H1_DONE,
     H1_COMPLIANT, H1_NO_BODY, 0, true},
    {"HTTP/1.1 100 Continue\r\n\r\n", false, H1_DONE, H1_COMPLIANT, H1_NO_BODY, 0, true},
    {"HTTP/1.1 200 OK\nContent-Length: 5\n\r\n", false, H1_DONE, H1_ACCEPTABLE, H1_LENGTH, 5, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", false, H1_DONE,
     H1_AMBIGUOUS, H1_CHUNKED, 0, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", false, H1_DONE,
     H1_AMBIGUOUS, H1_LENGTH, 5, false},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n", false,
     H1_DONE, H1_COMPLIANT, H1_CHUNKED, 0, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", false, H1_BAD, H1_SEVERE,
     H1_NO_BODY, 0, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false, H1_BAD, H1_SEVERE, H1_NO_BODY, 0,
     false},
    {"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", false, H1_BAD, H1_SEVERE, H1_NO_BODY, 0, false},
    {"HTTP/1.1 200 O\rK\r\n\r\n", false, H1_BAD, H1_SEVERE, H1_NO_BODY, 0, false},
    {"HTTP/1.1 20 OK\r\n\r\n", false, H1_BAD, H1_SEVERE, H1_NO_BODY, 0, false},
    {"HTTP/1.1 2000 OK\r\n\r\n", false, H1_BAD, H1_SEVERE, H1_NO_BODY, 0, false},
    {"HTTP/1.1 099 OK\r\n\r\n", false, H1_BAD, H1_SEVERE, H1_NO_BODY, 0, false},
    {"HTTP/2 200 OK\r\n\r\n", false, H1_BAD, H1_SEVERE, H1_NO_BODY, 0, false},
    {"ICY 200 OK\r\n\r\n", false, H1_BAD, H1_SEVERE, H1_NO_BODY, 0, false},
    {"HTTP/1.1 200 OK\r\nContent-Length", false, H1_MORE, H1_COMPLIANT, H1_NO_BODY, 0, false},
    {"HTT", false, H1_MORE, H1_COMPLIANT, H1_NO_BODY, 0, false},
};

static void expect_row(const struct row *row, const struct h1_head *h, enum h1_result r, size_t cut)
{
    bool is_right = r == row->result;
    if (is_right && r == H1_DONE) {
        is_right = h->verdict == row->verdict && h->framing == row->framing &&
                   h->content_length == row->content_length &&
                   h->is_keep_alive == row->is_keep_alive && h->head_bytes == strlen(row->text);
    }
    if (is_right && r == H1_BAD) {
        is_right = h->status == 502;
    }
    if (!is_right) {
        test_failed(__FILE__, __LINE__, "\"%s\" cut at %zu: result %d framing %d", row->text, cut,
                    (int)r, (int)h->framing);
    }
}

TEST(a_response_head_means_the_same_however_it_is_split)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i].text);
        for (size_t cut = 0; cut <= len; cut++) {
            struct h1_head h;
            h1_head_init(&h);
            enum h1_result r = h1_parse_response(&h, rows[i].text, cut, rows[i].is_head);
            if (r == H1_MORE) {
                r = h1_parse_response(&h, rows[i].text, len, rows[i].is_head);
            }
            expect_row(&rows[i], &h, r, cut);
        }
    }
}

TEST(a_response_head_past_32_k_is_refused)
{
    static char text[H1_RESPONSE_BYTES_MAX + 1024];
    size_t len = 17;
    memcpy(text, "HTTP/1.1 200 OK\r\n", len);
    while (len < H1_RESPONSE_BYTES_MAX) {
        memcpy(text + len, "abc: ", 5);
        memset(text + len + 5, 'x', 993);
        memcpy(text + len + 998, "\r\n", 2);
        len += 1000;
    }
    memcpy(text + len, "\r\n", 2);
    struct h1_head h;
    h1_head_init(&h);
    EXPECT_EQ(h1_parse_response(&h, text, len + 2, false), H1_BAD);
    EXPECT_EQ(h.status, 502);
}
