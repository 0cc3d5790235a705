#include "test.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/rand.h"
#include "runtime/docker/image.h"
#include "runtime/docker/json.h"
#include "runtime/docker/stream.h"

#define T0 "2026-11-20T15:42:10.123456789Z"
#define T1 "2026-11-20T15:42:10.123456790Z"
#define T2 "2026-11-20T15:42:11Z"

static void frame(struct buf *b, int stream, struct str text)
{
    uint8_t head[8] = {(uint8_t)stream, 0, 0, 0, 0, 0, (uint8_t)(text.len >> 8), (uint8_t)text.len};
    buf_add_bytes(b, head, sizeof(head));
    buf_add(b, text);
}

struct seen {
    struct buf text;
    uint64_t positions[64];
    size_t count;
};

static void on_line(void *self, const struct runtime_line *line)
{
    struct seen *s = self;
    REQUIRE(s->count < ARRAY_COUNT(s->positions));
    s->positions[s->count++] = line->position;
    buf_addf(&s->text, "%s%.*s|", line->is_stderr ? "!" : "", STR_ARG(line->text));
}

/* The whole text in pieces of `step` bytes. */
static enum err feed(struct seen *s, struct str bytes, size_t step, uint64_t told)
{
    struct docker_stream stream;
    docker_stream_init(&stream, told, on_line, s);
    buf_init(&s->text, 1u << 20);
    s->count = 0;
    enum err e = ERR_OK;
    while (bytes.len > 0 && e == ERR_OK) {
        e = docker_stream_feed(&stream, str_slice(bytes, 0, step));
        bytes = str_from(bytes, step);
    }
    if (e == ERR_OK) {
        docker_stream_end(&stream);
    }
    docker_stream_fini(&stream);
    return e;
}

static void example(struct buf *b)
{
    buf_init(b, 65536);
    frame(b, 1, STR(T0 " one\n"));
    frame(b, 2, STR(T0 " two\r\n"));
    frame(b, 1, STR(T1 " long "));
    frame(b, 2, STR(T1 " between\n"));
    frame(b, 1, STR(T2 "  line\n"));
    frame(b, 1, STR(""));
    frame(b, 1, STR(T2 " \n" T2 " a\n" T2 " no end"));
}

TEST(frames_become_lines_however_they_are_cut)
{
    struct buf b;
    example(&b);
    for (size_t step = 1; step <= b.len; step++) {
        struct seen s;
        EXPECT_EQ(feed(&s, buf_str(&b), step, 0), ERR_OK);
        EXPECT_STR(buf_str(&s.text), "one|!two|!between|long  line||a|no end|");
        buf_fini(&s.text);
    }
    buf_fini(&b);
}

TEST(positions_grow_and_reading_again_skips_what_was_told)
{
    struct buf b;
    example(&b);
    struct seen whole;
    REQUIRE_EQ(feed(&whole, buf_str(&b), b.len, 0), ERR_OK);
    for (size_t i = 1; i < whole.count; i++) {
        EXPECT(whole.positions[i] > whole.positions[i - 1]);
    }
    for (size_t i = 0; i < whole.count; i++) {
        struct seen again;
        REQUIRE_EQ(feed(&again, buf_str(&b), b.len, whole.positions[i]), ERR_OK);
        REQUIRE_EQ(again.count, whole.count - 1 - i);
        for (size_t k = 0; k < again.count; k++) {
            EXPECT_EQ(again.positions[k], whole.positions[i + 1 + k]);
        }
        buf_fini(&again.text);
    }
    buf_fini(&whole.text);
    buf_fini(&b);
}

TEST(what_is_no_stream_is_refused)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"\3\0\0\0\0\0\0\0", 8},         /* unknown stream */
        {"\1\0\1\0\0\0\0\0", 8},         /* not zero */
        {"\1\0\0\0\177\0\0\0", 8},       /* too long */
        {"\1\0\0\0\0\0\0\5abc\n\n", 13}, /* no time */
        {"\1\0\0\0\0\0\0\4 ab\n", 12},   /* empty time */
        {"HTTP/1.1 200 OK\r\n", 17},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct seen s;
        EXPECT_EQ(feed(&s, str_make(cases[i].bytes, cases[i].len), 64, 0), ERR_PROTOCOL);
        buf_fini(&s.text);
    }
}

TEST(damaged_streams_never_break_the_reader)
{
    struct buf b;
    example(&b);
    for (int round = 0; round < 20000; round++) {
        uint64_t r = rand_u64();
        b.ptr[r % b.len] = (char)(r >> 32);
        struct seen s;
        (void)feed(&s, buf_str(&b), 1 + (r >> 40) % 50, 0);
        EXPECT(s.count < 60);
        buf_fini(&s.text);
        if (round % 50 == 0) {
            buf_fini(&b);
            example(&b);
        }
    }
    buf_fini(&b);
}

TEST(times_are_read_to_the_nanosecond)
{
    uint64_t ns = 0;
    REQUIRE(docker_stamp_parse(STR("1970-01-01T00:00:01.000000007Z"), &ns));
    EXPECT_EQ(ns, 1000000007);
    REQUIRE(docker_stamp_parse(STR("1970-01-01T00:00:02Z"), &ns));
    EXPECT_EQ(ns, 2000000000);
    REQUIRE(docker_stamp_parse(STR("1970-01-01T01:00:02.5+01:00"), &ns));
    EXPECT_EQ(ns, 2500000000);
    EXPECT(!docker_stamp_parse(STR(""), &ns));
    EXPECT(!docker_stamp_parse(STR("yesterday"), &ns));
}

TEST(image_references_are_taken_apart)
{
    static const struct {
        const char *text;
        const char *name;
        const char *tag;
        const char *digest;
        const char *registry;
    } good[] = {
        {"nginx", "nginx", "latest", NULL, NULL},
        {"team/app:1.2", "team/app", "1.2", NULL, NULL},
        {"localhost/app", "localhost/app", "latest", NULL, "localhost"},
        {"r.example.com/a/b:c", "r.example.com/a/b", "c", NULL, "r.example.com"},
        {"r:5000/a", "r:5000/a", "latest", NULL, "r:5000"},
        {"r:5000/a@sha256:00", "r:5000/a", NULL, "sha256:00", "r:5000"},
        {"a:1@sha256:00", "a", NULL, "sha256:00", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        struct docker_image image;
        REQUIRE(docker_image_parse(str_of(good[i].text), &image));
        EXPECT_STR(image.name, good[i].name);
        EXPECT_STR(image.tag, good[i].tag);
        EXPECT_STR(image.digest, good[i].digest);
        EXPECT_STR(image.registry, good[i].registry);
    }
    static const char *const bad[] = {"",     "a b", "../x", "a/../b", "/a",  "a/",
                                      "a//b", "a:",  "a?b",  "a@b",    "a#b", "a%2e"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct docker_image image;
        EXPECT(!docker_image_parse(str_of(bad[i]), &image));
    }
}

TEST(members_are_found_by_path)
{
    struct arena a;
    arena_init(&a);
    struct str json = STR("{\"State\":{\"ExitCode\":3,\"OOMKilled\":true,\"Error\":\"\"},"
                          "\"L\":[{\"x\":\"1\"}],\"a.b\":\"c\"}");
    EXPECT_EQ(docker_json_i64(&a, json, "State|ExitCode", -1), 3);
    EXPECT(docker_json_bool(&a, json, "State|OOMKilled"));
    EXPECT_STR(docker_json_text(&a, json, "State|Error"), "");
    EXPECT_STR(docker_json_text(&a, json, "a.b"), "c");
    EXPECT_STR(docker_json_first(&a, json, "L"), "{\"x\":\"1\"}");
    EXPECT(!str_is_set(docker_json_text(&a, json, "State|Missing")));
    EXPECT(!str_is_set(docker_json_text(&a, json, "L|x")));
    EXPECT(!str_is_set(docker_json_text(&a, STR("{\"a\":"), "a")));
    EXPECT_EQ(docker_json_i64(&a, STR(""), "a", 7), 7);
    arena_fini(&a);
}
