#include "lb/block.h"
#include "lb/body.h"
#include "test.h"

struct row {
    const char *in;
    enum h1_framing framing;
    uint64_t length;
    bool is_chunked_out;
    const char *body;   /* what the receiver understands; NULL: refused */
    const char *behind; /* what is left for the next message */
};

static const struct row rows[] = {
    {"hello world", H1_LENGTH, 5, false, "hello", " world"},
    {"hello", H1_LENGTH, 5, false, "hello", ""},
    {"5\r\nhello\r\n1\r\n \r\n5;x\r\nworld\r\n0\r\nA: b\r\n\r\nGET", H1_CHUNKED, 0, true,
     "hello world", "GET"},
    {"5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\nGET", H1_CHUNKED, 0, false, "hello world",
     "GET"},
    {"0\r\n\r\nGET", H1_CHUNKED, 0, true, "", "GET"},
    {"5\r\nhello\r\nx\r\n", H1_CHUNKED, 0, true, NULL, ""},
};

/* Sends the row in pieces of `step`, collects what comes out. */
static bool pass(const struct row *row, size_t step, char *out, size_t *ret_out_len,
                 size_t *ret_behind_len)
{
    static char room[1024];
    struct lb_body b;
    lb_body_init(&b, row->framing, row->length, row->is_chunked_out);
    size_t len = strlen(row->in);
    *ret_out_len = 0;
    *ret_behind_len = 0;
    for (size_t at = 0; at < len; at += step) {
        size_t count = len - at < step ? len - at : step;
        if (b.is_done) {
            *ret_behind_len += count;
            continue;
        }
        char *place = room + 64;
        memcpy(place, row->in + at, count);
        size_t used = 0;
        struct str bytes;
        if (!lb_body_pass(&b, place, count, &used, &bytes)) {
            return false;
        }
        /* what lies behind must not be touched */
        EXPECT(memcmp(place + used, row->in + at + used, count - used) == 0);
        memcpy(out + *ret_out_len, bytes.ptr, bytes.len);
        *ret_out_len += bytes.len;
        *ret_behind_len += count - used;
    }
    return b.is_done;
}

static struct str unchunked(struct str in, char *room)
{
    struct h1_chunked c;
    h1_chunked_init(&c);
    size_t len = 0;
    enum h1_result r = H1_MORE;
    while (r == H1_MORE && in.len > 0) {
        struct str run;
        r = h1_chunked_next(&c, &in, &run);
        memcpy(room + len, run.ptr, run.len);
        len += run.len;
    }
    EXPECT_EQ(r, H1_DONE);
    EXPECT_EQ(in.len, 0);
    return str_make(room, len);
}

TEST(a_body_means_the_same_behind_us_however_it_was_cut)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        for (size_t step = 1; step <= strlen(row->in); step++) {
            char out[1024];
            char plain[1024];
            size_t out_len;
            size_t behind_len;
            bool is_done = pass(row, step, out, &out_len, &behind_len);
            EXPECT_EQ(is_done, row->body != NULL);
            if (!is_done) {
                continue;
            }
            struct str got = str_make(out, out_len);
            if (row->is_chunked_out) {
                got = unchunked(got, plain);
            }
            EXPECT_STR(got, row->body);
            EXPECT_EQ(behind_len, strlen(row->behind));
        }
    }
}

TEST(a_body_that_ends_with_the_connection_becomes_chunks)
{
    char room[128];
    char plain[128];
    struct lb_body b;
    struct str out;
    size_t used = 0;
    lb_body_init(&b, H1_UNTIL_CLOSE, 0, true);
    memcpy(room + 32, "hello", 5);
    REQUIRE(lb_body_pass(&b, room + 32, 5, &used, &out));
    EXPECT(!b.is_done);
    char sent[128];
    memcpy(sent, out.ptr, out.len);
    size_t len = out.len;
    REQUIRE(lb_body_close(&b, &out));
    memcpy(sent + len, out.ptr, out.len);
    EXPECT_STR(unchunked(str_make(sent, len + out.len), plain), "hello");
}

TEST(a_length_that_is_not_reached_is_no_end)
{
    struct lb_body b;
    struct str out;
    lb_body_init(&b, H1_LENGTH, 5, false);
    EXPECT(!lb_body_close(&b, &out));
    lb_body_init(&b, H1_CHUNKED, 0, true);
    EXPECT(!lb_body_close(&b, &out));
}

TEST(blocks_grow_up_to_their_limit_and_are_used_again)
{
    struct lb_blocks pool = {0};
    struct lb_block *b = NULL;
    static char bytes[LB_BLOCK_BYTES_MAX];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(i % 251);
    }
    REQUIRE(lb_block_add(&pool, &b, str_make(bytes, 100)));
    b->at = 50;
    REQUIRE(lb_block_add(&pool, &b, str_make(bytes + 100, 100000)));
    EXPECT_EQ(lb_block_waiting(b), 100050);
    EXPECT(memcmp(b->bytes + b->at, bytes + 50, 100050) == 0);
    EXPECT(!lb_block_add(&pool, &b, str_make(bytes, LB_BLOCK_BYTES_MAX - 100049)));
    EXPECT_EQ(lb_block_waiting(b), 100050);
    REQUIRE(lb_block_add(&pool, &b, str_make(bytes, LB_BLOCK_BYTES_MAX - 100050)));
    struct lb_block *before = b;
    lb_block_give(&pool, b);
    EXPECT(lb_block_take(&pool, LB_BLOCK_BYTES_MAX) == before);
    lb_block_give(&pool, before);
    lb_blocks_fini(&pool);
}
