#include "http/h1.h"
#include "test.h"

struct row {
    const char *text;
    enum h1_result result;
    const char *body;
    const char *behind;
};

static const struct row rows[] = {
    {"5\r\nhello\r\n0\r\n\r\n", H1_DONE, "hello", ""},
    {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET", H1_DONE, "hello world", "GET"},
    {"0A\r\n0123456789\r\n00\r\n\r\n", H1_DONE, "0123456789", ""},
    {"a;x=1;y=\"2\"\r\n0123456789\r\n0 ;z\r\n\r\n", H1_DONE, "0123456789", ""},
    {"5;a=\"b;\\\"\r\";c\r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"5;a=\"b; \\\"c\" \r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"5; a=\"b; \\\"c\";d=e\r\nhello\r\n0\r\n\r\n", H1_DONE, "hello", ""},
    {"5;\r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"5;a=\r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"5;a=\"b\r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"5;=b\r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"0\r\nX-Trailer: a\r\nContent-Length: 5\r\n\r\nb", H1_DONE, "", "b"},
    {"5\r\nhel", H1_MORE, "hel", ""},
    {"5", H1_MORE, "", ""},
    {"5\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"5\r\nhello\n0\r\n\r\n", H1_BAD, "hello", ""},
    {"5\r\nhello0\r\n\r\n", H1_BAD, "hello", ""},
    {"5\r\nhelloo\r\n0\r\n\r\n", H1_BAD, "hello", ""},
    {"5 \r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {" 5\r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"+5\r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"-5\r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"0x5\r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"\r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {";a\r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"5;a\nb\r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"5;a\rb\r\nhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"5\r\rhello\r\n0\r\n\r\n", H1_BAD, "", ""},
    {"fffffffffffffffff\r\n", H1_BAD, "", ""},
    {"ffffffffffffffff\r\n", H1_BAD, "", ""},
    {"1000000000000001\r\n", H1_BAD, "", ""},
    {"00000000000000005\r\nhello", H1_BAD, "", ""},
    {"0\r\n\n", H1_BAD, "", ""},
    {"0\r\n\rX", H1_BAD, "", ""},
    {"0\r\nX\r\n\r\n", H1_BAD, "", ""},
    {"0\r\nX: a\n\r\n", H1_BAD, "", ""},
    {"0\r\n X: a\r\n\r\n", H1_BAD, "", ""},
};

/* Decodes in pieces of `step` bytes. */
static enum h1_result decode(const char *text, size_t step, char *body, size_t *ret_body_len,
                             struct str *ret_behind)
{
    struct h1_chunked c;
    h1_chunked_init(&c);
    size_t len = strlen(text);
    *ret_body_len = 0;
    *ret_behind = STR("");
    for (size_t at = 0; at < len; at += step) {
        struct str rest = str_slice(str_make(text, len), at, at + step);
        while (rest.len > 0) {
            struct str data;
            enum h1_result r = h1_chunked_next(&c, &rest, &data);
            memcpy(body + *ret_body_len, data.ptr, data.len);
            *ret_body_len += data.len;
            if (r == H1_DONE) {
                *ret_behind = str_make(rest.ptr, strlen(rest.ptr));
            }
            if (r != H1_MORE) {
                return r;
            }
        }
    }
    return H1_MORE;
}

TEST(chunks_decode_the_same_however_they_are_split)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t step = 1; step <= strlen(rows[i].text); step++) {
            char body[256];
            size_t body_len;
            struct str behind;
            enum h1_result r = decode(rows[i].text, step, body, &body_len, &behind);
            bool is_right = r == rows[i].result &&
                            str_equal(str_make(body, body_len), str_of(rows[i].body)) &&
                            str_equal(behind, str_of(rows[i].behind));
            if (!is_right) {
                test_failed(__FILE__, __LINE__, "\"%s\" in pieces of %zu: %d \"%.*s\" \"%.*s\"",
                            rows[i].text, step, (int)r, (int)body_len, body, STR_ARG(behind));
            }
        }
    }
}

/* Feeds `fill` until the decoder has enough of it; gives how many bytes that took. */
static size_t feed_until_bad(struct h1_chunked *c, const char *start, char fill, size_t max)
{
    struct str rest = str_of(start);
    struct str data;
    while (rest.len > 0) {
        REQUIRE_EQ(h1_chunked_next(c, &rest, &data), H1_MORE);
    }
    for (size_t i = 0; i < max; i++) {
        struct str one = str_make(&fill, 1);
        if (h1_chunked_next(c, &one, &data) == H1_BAD) {
            return i;
        }
    }
    return max;
}

TEST(extensions_and_trailers_are_limited)
{
    struct h1_chunked c;
    h1_chunked_init(&c);
    EXPECT_EQ(feed_until_bad(&c, "5;", 'a', 100000), H1_CHUNK_LINE_BYTES_MAX - 2);
    h1_chunked_init(&c);
    EXPECT_EQ(feed_until_bad(&c, "0\r\nX:", 'a', 100000), H1_TRAILER_BYTES_MAX - 2);
}

TEST(a_chunk_head_is_lower_case_hexadecimal)
{
    char room[H1_CHUNK_HEAD_BYTES];
    EXPECT_STR(h1_chunk_head(room, 1), "1\r\n");
    EXPECT_STR(h1_chunk_head(room, 0x1f40), "1f40\r\n");
    EXPECT_STR(h1_chunk_head(room, UINT64_MAX), "ffffffffffffffff\r\n");
}

/* Chunks of one byte with an extension of `extension` bytes until one is refused, or 1,000 of them.
 */
static size_t taken_with_extension(size_t extension)
{
    struct h1_chunked c;
    char chunk[4096];
    h1_chunked_init(&c);
    memset(chunk, 'e', sizeof(chunk));
    memcpy(chunk, "1;", 2);
    memcpy(chunk + 2 + extension, "\r\nx\r\n", 5);
    for (size_t i = 0; i < 1000; i++) {
        struct str rest = str_make(chunk, 2 + extension + 5);
        while (rest.len > 0) {
            struct str run;
            if (h1_chunked_next(&c, &rest, &run) == H1_BAD) {
                return i;
            }
        }
    }
    return 1000;
}

TEST(extensions_may_be_as_long_as_their_chunks_deserve_and_16_k_more)
{
    EXPECT_EQ(taken_with_extension(1), 1000);
    EXPECT_EQ(taken_with_extension(14), 1000);
    /* the line and the end of the chunk before it, beyond 18 */
    EXPECT_EQ(taken_with_extension(115), H1_CHUNK_EXCESS_BYTES_MAX / 103);
    EXPECT_EQ(taken_with_extension(4000), H1_CHUNK_EXCESS_BYTES_MAX / 3988);
}
