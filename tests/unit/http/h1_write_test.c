#include "http/h1.h"
#include "test.h"

TEST(a_head_is_written_line_by_line)
{
    char room[256];
    struct h1_writer w;
    h1_writer_init(&w, room, sizeof(room));
    h1_write_request_line(&w, STR("GET"), STR("/a?b"));
    h1_write_field(&w, STR("Host"), STR("a:80"));
    h1_write_field_u64(&w, STR("Content-Length"), 1234567890123456789u);
    h1_write_end(&w);
    EXPECT(!w.is_broken);
    EXPECT_STR(str_make(w.ptr, w.len),
               "GET /a?b HTTP/1.1\r\nHost: a:80\r\nContent-Length: 1234567890123456789\r\n\r\n");
    h1_writer_init(&w, room, sizeof(room));
    h1_write_status_line(&w, 503, STR_NONE);
    h1_write_status_line(&w, 200, STR(""));
    EXPECT_STR(str_make(w.ptr, w.len),
               "HTTP/1.1 503 Service Temporarily Unavailable\r\nHTTP/1.1 200 \r\n");
}

TEST(nothing_breaks_out_of_its_place)
{
    static const struct {
        const char *name;
        const char *value;
    } bad[] = {{"X", "a\r\nY: b"}, {"X", "a\n"}, {"X", "\x7f"},
               {"X Y", "a"},       {"", "a"},    {"X:", "a"}};
    char room[64];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct h1_writer w;
        h1_writer_init(&w, room, sizeof(room));
        h1_write_field(&w, str_of(bad[i].name), str_of(bad[i].value));
        EXPECT(w.is_broken);
        EXPECT_EQ(w.len, 0);
    }
    static const char *const targets[] = {"", "/a b", "/\r\n", "/\t"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct h1_writer w;
        h1_writer_init(&w, room, sizeof(room));
        h1_write_request_line(&w, STR("GET"), str_of(targets[i]));
        EXPECT(w.is_broken);
    }
}

TEST(a_piece_that_does_not_fit_is_dropped_whole)
{
    char room[16];
    struct h1_writer w;
    h1_writer_init(&w, room, sizeof(room));
    h1_write_field(&w, STR("A"), STR("123456789")); /* 14 bytes */
    EXPECT(!w.is_broken);
    h1_write_end(&w);
    EXPECT(!w.is_broken);
    EXPECT_EQ(w.len, 16);
    h1_write_raw(&w, STR("x"));
    EXPECT(w.is_broken);
    EXPECT_EQ(w.len, 16);
}
