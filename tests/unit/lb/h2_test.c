#include "lb/body.h"
#include "lb/h2.h"
#include "test.h"

static struct str text_of(const struct lb_block *b)
{
    return b == NULL ? STR("") : str_make(b->bytes + b->at, lb_block_waiting(b));
}

/* ---- from fields to text ----------------------------------------------------------------------
 */

struct field {
    const char *name;
    const char *value;
};

struct head_row {
    struct field fields[8];
    bool has_body;
    const char *text; /* NULL: malformed */
};

#define GET                                                     \
    {":method", "GET"}, {":scheme", "http"}, {":path", "/a?b"}, \
    {                                                           \
        ":authority", "example.com"                             \
    }
#define START "GET /a?b HTTP/1.1\r\nHost: example.com\r\n"

static const struct head_row head_rows[] = {
    {{GET}, false, START "\r\n"},
    {{GET}, true, START "Transfer-Encoding: chunked\r\n\r\n"},
    {{GET, {"content-length", "3"}}, true, START "content-length: 3\r\n\r\n"},
    {{GET, {"x-a", "b"}, {"x-c", ""}}, false, START "x-a: b\r\nx-c: \r\n\r\n"},
    {{GET, {"cookie", "a=1"}, {"x-a", "b"}, {"cookie", "c=2"}},
     false,
     START "x-a: b\r\nCookie: a=1; c=2\r\n\r\n"},
    {{GET, {"host", "EXAMPLE.com"}}, false, START "\r\n"},
    {{GET, {"te", "trailers"}}, false, START "te: trailers\r\n\r\n"},
    {{{":method", "CONNECT"}, {":authority", "a:1"}},
     false,
     "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"},
    {{{":method", "GET"}, {":path", "/"}, {"host", "b"}},
     false,
     "GET / HTTP/1.1\r\nhost: b\r\n\r\n"},
    /* what would end a line, or be read as something else */
    {{GET, {"host", "other"}}, false, NULL},
    {{GET, {"x-a", "b\r\nx-c: d"}}, false, NULL},
    {{GET, {"x-a", "b\n"}}, false, NULL},
    {{GET, {"x-a\r\nx-b", "c"}}, false, NULL},
    {{GET, {"x:a", "c"}}, false, NULL},
    {{GET, {"x a", "c"}}, false, NULL},
    {{GET, {"X-A", "c"}}, false, NULL},
    {{GET, {"cookie", "a\r\nb"}}, false, NULL},
    {{GET, {"connection", "close"}}, false, NULL},
    {{GET, {"transfer-encoding", "chunked"}}, false, NULL},
    {{GET, {"upgrade", "h2c"}}, false, NULL},
    {{GET, {"te", "gzip"}}, false, NULL},
    {{{":method", "GET"}, {":path", "/ HTTP/1.1\r\nx: y"}}, false, NULL},
    {{{":method", "GET"}, {":path", "/a b"}}, false, NULL},
    {{{":method", "GET /"}, {":path", "/"}}, false, NULL},
    {{{":method", "GET"}, {":path", "/"}, {":authority", "a\r\nb"}}, false, NULL},
    {{{":method", "GET"}, {":path", "/"}, {":path", "/b"}}, false, NULL},
    {{{":method", "GET"}, {":path", "/"}, {"x", "y"}, {":authority", "a"}}, false, NULL},
    {{{":method", "GET"}, {":path", "/"}, {":status", "200"}}, false, NULL},
    {{{":path", "/"}, {"x", "y"}}, false, NULL},
    {{{":method", "GET"}, {"x", "y"}}, false, NULL},
    {{{":method", "GET"}}, false, NULL},
};

TEST(a_field_list_becomes_one_head_and_nothing_else)
{
    struct lb_blocks blocks = {0};
    for (size_t i = 0; i < ARRAY_COUNT(head_rows); i++) {
        const struct head_row *row = &head_rows[i];
        struct lb_h2_head h;
        lb_h2_head_init(&h, &blocks);
        enum lb_h2_result r = LB_H2_OK;
        for (size_t j = 0; r == LB_H2_OK && j < 8 && row->fields[j].name != NULL; j++) {
            r = lb_h2_head_add(&h, str_of(row->fields[j].name), str_of(row->fields[j].value));
        }
        r = r == LB_H2_OK ? lb_h2_head_end(&h, row->has_body) : r;
        EXPECT_EQ(r, row->text == NULL ? LB_H2_MALFORMED : LB_H2_OK);
        if (row->text != NULL) {
            EXPECT_STR(text_of(h.text), row->text);
        }
        lb_h2_head_fini(&h);
    }
    lb_blocks_fini(&blocks);
}

TEST(a_field_list_ends_at_its_limit)
{
    struct lb_blocks blocks = {0};
    static char value[60001];
    memset(value, 'v', sizeof(value) - 1);
    struct lb_h2_head h;
    lb_h2_head_init(&h, &blocks);
    EXPECT_EQ(lb_h2_head_add(&h, STR(":method"), STR("GET")), LB_H2_OK);
    EXPECT_EQ(lb_h2_head_add(&h, STR(":path"), STR("/")), LB_H2_OK);
    EXPECT_EQ(lb_h2_head_add(&h, STR("x"), str_of(value)), LB_H2_OK);
    size_t left = LB_H2_LIST_BYTES_MAX - h.list_bytes - 33;
    EXPECT_EQ(lb_h2_head_add(&h, STR("y"), str_make(value, left)), LB_H2_OK);
    EXPECT_EQ(lb_h2_head_add(&h, STR("z"), STR("")), LB_H2_TOO_LARGE);
    lb_h2_head_fini(&h);
    lb_blocks_fini(&blocks);
}

/* ---- from text to fields ----------------------------------------------------------------------
 */

static struct lb_h2_fields fields;

static bool has(size_t i, const char *name, const char *value)
{
    const nghttp2_nv *nv = &fields.at[i];
    return i < fields.count &&
           str_equal(str_make((const char *)nv->name, nv->namelen), str_of(name)) &&
           str_equal(str_make((const char *)nv->value, nv->valuelen), str_of(value));
}

TEST(a_response_becomes_fields_without_those_of_the_connection)
{
    static char names[LB_H2_NAME_BYTES_MAX];
    fields.names = names;
    struct str text =
        STR("HTTP/1.1 404 Not Found\r\nX-Mixed-CASE: Va:lue \r\nConnection: close\r\n"
            "Keep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\nUpgrade: x\r\n"
            "Proxy-Connection: x\r\nset-cookie: a\r\nSet-Cookie: b\r\n\r\nbody: x\r\n");
    unsigned status = 0;
    EXPECT_EQ(lb_h2_fields_of_response(&fields, text, &status), text.len - strlen("body: x\r\n"));
    EXPECT_EQ(status, 404u);
    EXPECT_EQ(fields.count, 4u);
    EXPECT(has(0, ":status", "404") && has(1, "x-mixed-case", "Va:lue"));
    EXPECT(has(2, "set-cookie", "a") && has(3, "set-cookie", "b"));
    EXPECT(!fields.is_broken);
}

TEST(a_request_becomes_fields_with_its_host_as_authority)
{
    static char names[LB_H2_NAME_BYTES_MAX];
    fields.names = names;
    struct str text = STR("POST /a?b=c HTTP/1.1\r\nA: b\r\nHost: example.com:81\r\nTE: trailers\r\n"
                          "Connection: TE\r\n\r\n");
    EXPECT_EQ(lb_h2_fields_of_request(&fields, text, STR("https")), text.len);
    EXPECT(has(0, ":method", "POST") && has(1, ":scheme", "https"));
    EXPECT(has(2, ":authority", "example.com:81") && has(3, ":path", "/a?b=c"));
    EXPECT(has(4, "a", "b") && has(5, "te", "trailers"));
    EXPECT_EQ(fields.count, 6u);
}

/* ---- what a client may cost -------------------------------------------------------------------
 */

static void put_frame(char *to, uint32_t length, uint8_t type, uint8_t flags)
{
    char head[9] = {(char)(length >> 16), (char)(length >> 8), (char)length, (char)type,
                    (char)flags};
    memcpy(to, head, sizeof(head));
}

/* How many frames pass before one does not; at most 100000. */
static size_t passes(uint32_t length, uint8_t type, uint8_t flags, size_t step)
{
    static char frame[9 + 32];
    put_frame(frame, length, type, flags);
    struct lb_h2_watch w;
    mono_t now = {.us = 1000000};
    lb_h2_watch_init(&w, now);
    EXPECT(lb_h2_watch_pass(&w, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), now));
    for (size_t i = 0; i < 100000; i++) {
        for (size_t at = 0; at < 9 + length; at += step) {
            size_t count = 9 + length - at < step ? 9 + length - at : step;
            if (!lb_h2_watch_pass(&w, str_make(frame + at, count), now)) {
                return i;
            }
        }
    }
    return 100000;
}

TEST(odd_frames_have_a_budget_however_they_are_cut)
{
    for (size_t step = 1; step <= 41; step += 4) {
        EXPECT_EQ(passes(8, 6, 0, step), (size_t)LB_H2_ODD_BUDGET);    /* PING */
        EXPECT_EQ(passes(6, 4, 0, step), (size_t)LB_H2_ODD_BUDGET);    /* SETTINGS */
        EXPECT_EQ(passes(5, 2, 0, step), (size_t)LB_H2_ODD_BUDGET);    /* PRIORITY */
        EXPECT_EQ(passes(0, 0, 0, step), (size_t)LB_H2_ODD_BUDGET);    /* empty DATA */
        EXPECT_EQ(passes(3, 0x77, 0, step), (size_t)LB_H2_ODD_BUDGET); /* unknown */
        EXPECT_EQ(passes(4, 3, 0, step), (size_t)LB_H2_ODD_BUDGET / LB_H2_RESET_COST);
        EXPECT_EQ(passes(8, 6, 1, step), 100000u);  /* acknowledgement */
        EXPECT_EQ(passes(16, 0, 0, step), 100000u); /* DATA */
        EXPECT_EQ(passes(16, 1, 4, step), 100000u); /* HEADERS */
        EXPECT_EQ(passes(4, 8, 0, step), 100000u);  /* WINDOW_UPDATE: by its increment, elsewhere */
        EXPECT_EQ(passes(1, 9, 0, step), (size_t)LB_H2_CONTINUATIONS_MAX);
    }
}

TEST(the_budget_comes_back_with_time_and_with_work)
{
    struct lb_h2_watch w;
    lb_h2_watch_init(&w, (mono_t){.us = 0});
    EXPECT(lb_h2_watch_spend(&w, LB_H2_ODD_BUDGET));
    EXPECT(!lb_h2_watch_spend(&w, 1));
    lb_h2_watch_earn(&w);
    lb_h2_watch_earn(&w);
    EXPECT(lb_h2_watch_spend(&w, 1));
    EXPECT(lb_h2_watch_pass(&w, STR(""), (mono_t){.us = 1000000}));
    EXPECT_EQ(w.spent, (uint32_t)(LB_H2_ODD_BUDGET - LB_H2_ODD_PER_SECOND));
}

TEST(a_block_has_a_limit_over_all_its_frames)
{
    static char bytes[9 + 8193];
    struct lb_h2_watch w;
    mono_t now = {.us = 1};
    lb_h2_watch_init(&w, now);
    w.preface_left = 0;
    put_frame(bytes, 8192, 1, 0);
    EXPECT(lb_h2_watch_pass(&w, str_make(bytes, 9 + 8192), now));
    EXPECT(lb_h2_watch_is_in_head(&w));
    put_frame(bytes, 1, 9, 4);
    EXPECT(!lb_h2_watch_pass(&w, str_make(bytes, 10), now));
}

/* ---- memory -----------------------------------------------------------------------------------
 */

TEST(memory_is_used_again)
{
    static struct lb_h2_memory m;
    lb_h2_memory_init(&m);
    void *self = m.table.mem_user_data;
    char *a = m.table.malloc(100, self);
    memset(a, 1, 100);
    m.table.free(a, self);
    char *b = m.table.calloc(10, 10, self);
    EXPECT(a == b);
    EXPECT_EQ(b[0] + b[99], 0);
    memset(b, 7, 100);
    char *c = m.table.realloc(b, 100000, self);
    EXPECT(c != b && c[0] == 7 && c[99] == 7);
    char *d = m.table.realloc(NULL, 10, self);
    m.table.free(c, self);
    m.table.free(d, self);
    m.table.free(NULL, self);
    lb_h2_memory_fini(&m);
    EXPECT_EQ(m.kept_bytes, 0u);
}

/* ---- trailers ---------------------------------------------------------------------------------
 */

TEST(trailers_that_would_deceive_are_dropped)
{
    struct lb_blocks blocks = {0};
    struct lb_block *b = NULL;
    EXPECT(lb_block_add(&blocks, &b,
                        STR("X-Sum: 1\r\nContent-Length: 5\r\nGRPC-Status: 0\r\nhost: a\r\n"
                            "X-Forwarded-For: b\r\nX-Amzn-Oidc-Data: c\r\nIf-Match: d\r\n\r\n")));
    lb_trailers_filter(&blocks, &b);
    EXPECT_STR(text_of(b), "X-Sum: 1\r\nGRPC-Status: 0\r\n");
    char room[256];
    EXPECT_STR(lb_trailers_tail(b, room), "0\r\nX-Sum: 1\r\nGRPC-Status: 0\r\n\r\n");
    b->end = b->at;
    EXPECT(lb_block_add(&blocks, &b, STR("Authorization: x\r\n\r\n")));
    lb_trailers_filter(&blocks, &b);
    EXPECT(b == NULL);
    lb_blocks_fini(&blocks);
}

TEST(chunk_trailers_are_kept_however_they_are_cut)
{
    static const char in[] = "3\r\nabc\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n";
    for (size_t step = 1; step < sizeof(in); step++) {
        struct lb_blocks blocks = {0};
        struct lb_body b;
        char out[256];
        size_t out_len = 0;
        lb_body_init(&b, H1_CHUNKED, 0, true);
        b.blocks = &blocks;
        for (size_t at = 0; at < sizeof(in) - 1; at += step) {
            char room[256];
            size_t count = sizeof(in) - 1 - at < step ? sizeof(in) - 1 - at : step;
            size_t used;
            struct str bytes;
            memcpy(room + 64, in + at, count);
            EXPECT(lb_body_pass(&b, room + 64, count, &used, &bytes));
            memcpy(out + out_len, bytes.ptr, bytes.len);
            out_len += bytes.len;
        }
        EXPECT(b.is_done);
        EXPECT_STR(text_of(b.trailers), "X-A: 1\r\nX-B: 2\r\n");
        EXPECT(out_len < 5 || memcmp(out + out_len - 5, "0\r\n\r\n", 5) != 0);
        lb_body_fini(&b, &blocks);
        lb_blocks_fini(&blocks);
    }
}
