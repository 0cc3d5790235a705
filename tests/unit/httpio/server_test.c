#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"
#include "httpio/server.h"
#include "net/socket.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A server on a port of its own and what its handler was told. The clock is driven by hand. */
struct site {
    struct op op;
    struct ev_loop loop;
    struct httpio_server server;
    struct net_addr addr;
    struct buf heard;             /* what a client heard last */
    struct buf log;               /* "METHOD path?query host [body]\n" for each request */
    struct httpio_exchange *kept; /* the newest that waits for its answer */
    size_t gone_count;
    size_t room_count;
    size_t stopped_count;
    bool keeps;         /* the handler keeps exchanges */
    bool closes_server; /* the handler closes the server */
    struct httpio_answer answer;
};

static void on_gone(struct httpio_exchange *x)
{
    struct site *s = x->user;
    s->gone_count++;
    if (s->kept == x) {
        s->kept = NULL;
    }
}

static void on_room(struct httpio_exchange *x)
{
    ((struct site *)x->user)->room_count++;
}

static void on_request(struct httpio_server *server, struct httpio_exchange *x)
{
    struct site *s = server->user;
    buf_addf(&s->log, "%.*s %.*s?%.*s %.*s [%.*s]\n", STR_ARG(x->method), STR_ARG(x->path),
             STR_ARG(x->query), STR_ARG(x->host), (int)(x->body.len > 40 ? 40 : x->body.len),
             x->body.ptr);
    x->user = s;
    x->on_gone = on_gone;
    x->on_room = on_room;
    if (s->closes_server) {
        httpio_server_close(server);
    } else if (s->keeps) {
        s->kept = x;
    } else {
        httpio_answer(x, &s->answer);
    }
}

static void site_open_with(struct site *s, const struct httpio_server_options *options)
{
    *s = (struct site){.answer = {.status = 200, .body = STR("ok")}};
    clock_use_manual((mono_t){.us = 5000000}, (wall_t){.us = 784887151000000});
    op_init(&s->op);
    buf_init(&s->heard, (size_t)256 << 20);
    buf_init(&s->log, (size_t)1 << 20);
    REQUIRE_OK(ev_loop_open(&s->op, &s->loop), &s->op);
    int fd = -1;
    REQUIRE(net_addr_parse(STR("127.0.0.1:0"), &s->addr));
    REQUIRE_OK(net_listen(&s->op, &s->addr, NULL, &fd), &s->op);
    REQUIRE_OK(net_local_addr(&s->op, fd, &s->addr), &s->op);
    REQUIRE_EQ(httpio_server_open(&s->loop, &s->server, fd, options, on_request, s), ERR_OK);
}

static void site_open(struct site *s)
{
    site_open_with(s, NULL);
}

static void site_close(struct site *s)
{
    httpio_server_close(&s->server);
    ev_loop_close(&s->loop);
    buf_fini(&s->heard);
    buf_fini(&s->log);
    op_fini(&s->op);
}

static void pump(struct site *s)
{
    REQUIRE(ev_loop_settle(&s->loop, 10000));
}

static int dial(struct site *s)
{
    int fd = -1;
    REQUIRE_OK(net_dial(&s->op, &s->addr, &fd), &s->op);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    REQUIRE_EQ(poll(&p, 1, 5000), 1);
    REQUIRE_EQ(net_dial_result(fd), 0);
    pump(s);
    return fd;
}

static void say_bytes(struct site *s, int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent == -1 && errno != EAGAIN) {
            break; /* the server refused and closed; what it said is what the test looks at */
        }
        bytes = str_from(bytes, sent == -1 ? 0 : (size_t)sent);
        pump(s);
    }
}

static void say(struct site *s, int fd, const char *text)
{
    say_bytes(s, fd, str_of(text));
}

/* All that the server says until nothing more comes. *ret_ended: it ended. */
static struct str hear_end(struct site *s, int fd, bool *ret_ended)
{
    buf_reset(&s->heard);
    *ret_ended = false;
    for (;;) {
        pump(s);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 20) == 0) {
            return buf_str(&s->heard);
        }
        char *room = buf_reserve(&s->heard, 65536);
        ssize_t got = read(fd, room, 65536);
        if (got <= 0) {
            *ret_ended = true;
            return buf_str(&s->heard);
        }
        s->heard.len += (size_t)got;
    }
}

static struct str hear(struct site *s, int fd)
{
    bool has_ended = false;
    return hear_end(s, fd, &has_ended);
}

#define DATE "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n"

static bool has(struct str text, const char *part)
{
    return str_find(text, str_of(part), 0) != STR_NOT_FOUND;
}

static unsigned status_of(struct str response)
{
    uint64_t status = 0;
    return str_parse_u64(str_slice(response, 9, 12), 999, &status) ? (unsigned)status : 0;
}

static void expect_refused(const char *request, unsigned status)
{
    struct site s;
    site_open(&s);
    int fd = dial(&s);
    say(&s, fd, request);
    bool has_ended = false;
    struct str heard = hear_end(&s, fd, &has_ended);
    if (status_of(heard) != status || !has_ended || s.log.len != 0) {
        test_failed(__FILE__, __LINE__, "\"%.60s\": %u expected, heard \"%.*s\"%s", request, status,
                    STR_ARG(heard), has_ended ? "" : ", not ended");
    }
    EXPECT(has(heard, "Connection: close\r\n"));
    (void)close(fd);
    site_close(&s);
}

/* ---- requests ---- */

TEST(a_request_is_parsed_answered_and_the_connection_kept)
{
    struct site s;
    site_open(&s);
    int fd = dial(&s);
    for (size_t i = 0; i < 3; i++) {
        buf_reset(&s.log);
        say(&s, fd, "GET /a/b?c=d HTTP/1.1\r\nHost: h:1\r\n\r\n");
        EXPECT_STR(hear(&s, fd), "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 2\r\n\r\nok");
        EXPECT_STR(buf_str(&s.log), "GET /a/b?c=d h:1 []\n");
    }
    EXPECT_EQ(s.server.connection_count, 1);
    (void)close(fd);
    pump(&s);
    EXPECT_EQ(s.server.connection_count, 0);
    site_close(&s);
}

TEST(bodies_come_by_length_and_by_chunks_and_byte_by_byte)
{
    static const char *const requests[] = {
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nTrailer: t\r\n\r\n",
    };
    struct site s;
    site_open(&s);
    int fd = dial(&s);
    for (size_t i = 0; i < ARRAY_COUNT(requests); i++) {
        buf_reset(&s.log);
        struct str bytes = str_of(requests[i]);
        for (size_t at = 0; at < bytes.len; at++) {
            EXPECT_EQ(s.log.len, 0);
            say_bytes(&s, fd, str_slice(bytes, at, at + 1));
        }
        EXPECT_STR(buf_str(&s.log), "POST /? h [hello]\n");
        EXPECT_EQ(status_of(hear(&s, fd)), 200);
    }
    (void)close(fd);
    site_close(&s);
}

TEST(pipelined_requests_are_answered_in_order_though_the_first_answer_is_late)
{
    struct site s;
    site_open(&s);
    int fd = dial(&s);
    s.keeps = true;
    say(&s, fd,
        "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"
        "GET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_STR(buf_str(&s.log), "POST /1? h [ab]\n");
    EXPECT_STR(hear(&s, fd), "");
    s.keeps = false;
    httpio_answer(s.kept, &(struct httpio_answer){.status = 404, .body = STR("one")});
    struct str heard = hear(&s, fd);
    EXPECT_STR(buf_str(&s.log), "POST /1? h [ab]\nGET /2? h []\nGET /3? h []\n");
    EXPECT_STR(heard, "HTTP/1.1 404 Not Found\r\n" DATE "Content-Length: 3\r\n\r\none"
                      "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 2\r\n\r\nok"
                      "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 2\r\n\r\nok");
    (void)close(fd);
    site_close(&s);
}

TEST(a_client_that_closed_its_side_still_gets_its_answer)
{
    struct site s;
    site_open(&s);
    int fd = dial(&s);
    s.keeps = true;
    say(&s, fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    (void)shutdown(fd, SHUT_WR);
    EXPECT_STR(hear(&s, fd), "");
    EXPECT_EQ(s.gone_count, 0);
    REQUIRE(s.kept != NULL);
    httpio_answer(s.kept, &s.answer);
    bool has_ended = false;
    EXPECT_EQ(status_of(hear_end(&s, fd, &has_ended)), 200);
    EXPECT(has_ended);
    (void)close(fd);
    site_close(&s);
}

TEST(http_1_0_is_closed_unless_it_asks_otherwise)
{
    struct site s;
    site_open(&s);
    int fd = dial(&s);
    say(&s, fd, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    struct str heard = hear(&s, fd);
    EXPECT(has(heard, "Connection: keep-alive\r\n"));
    say(&s, fd, "GET / HTTP/1.0\r\n\r\n");
    bool has_ended = false;
    heard = hear_end(&s, fd, &has_ended);
    EXPECT(has_ended);
    EXPECT(has(heard, "Connection: close\r\n"));
    (void)close(fd);
    site_close(&s);
}

TEST(head_and_bodiless_statuses_have_no_body)
{
    struct site s;
    site_open(&s);
    int fd = dial(&s);
    say(&s, fd, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_STR(hear(&s, fd), "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 2\r\n\r\n");
    s.answer.status = 204;
    say(&s, fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_STR(hear(&s, fd), "HTTP/1.1 204 No Content\r\n" DATE "\r\n");
    s.answer.status = 304;
    say(&s, fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_STR(hear(&s, fd), "HTTP/1.1 304 Not Modified\r\n" DATE "\r\n");
    say(&s, fd, "HEAD / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n"); /* refusals as well */
    struct str heard = hear(&s, fd);
    EXPECT_EQ(status_of(heard), 417);
    EXPECT(str_ends_with(heard, STR("\r\n\r\n")));
    (void)close(fd);
    site_close(&s);
}

TEST(fields_and_type_are_written_and_a_field_with_a_line_end_makes_it_a_500)
{
    struct site s;
    site_open(&s);
    int fd = dial(&s);
    struct httpio_field field = {STR("x-amzn-RequestId"), STR("1")};
    s.answer.fields = &field;
    s.answer.field_count = 1;
    s.answer.content_type = STR("text/plain");
    say(&s, fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_STR(hear(&s, fd), "HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/plain\r\n"
                             "x-amzn-RequestId: 1\r\nContent-Length: 2\r\n\r\nok");
    field.value = STR("1\r\nSet-Cookie: a=b");
    say(&s, fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_STR(hear(&s, fd),
               "HTTP/1.1 500 Internal Server Error\r\n" DATE "Content-Length: 0\r\n\r\n");
    (void)close(fd);
    site_close(&s);
}

TEST(expect_100_is_answered_only_while_the_body_waits_for_it)
{
    struct site s;
    site_open(&s);
    int fd = dial(&s);
    say(&s, fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_STR(hear(&s, fd), "HTTP/1.1 100 Continue\r\n\r\n");
    say(&s, fd, "ab");
    EXPECT_EQ(status_of(hear(&s, fd)), 200);
    say(&s, fd,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab");
    EXPECT_EQ(status_of(hear(&s, fd)), 200);
    (void)close(fd);
    site_close(&s);
    expect_refused("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n"
                   "Expect: 100-continue\r\n\r\n",
                   413);
    expect_refused("GET / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n", 417);
}

TEST(a_packed_body_is_unpacked_before_the_handler)
{
    /* printf hello | gzip -n9 */
    static const char packed[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcbH\xcd\xc9\xc9\x07\x00"
                                 "\x86\xa6\x10\x36\x05\x00\x00\x00";
    struct site s;
    site_open(&s);
    int fd = dial(&s);
    say(&s, fd,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: 25\r\n\r\n");
    say_bytes(&s, fd, str_make(packed, sizeof(packed) - 1));
    EXPECT_STR(buf_str(&s.log), "POST /? h [hello]\n");
    EXPECT_EQ(status_of(hear(&s, fd)), 200);
    (void)close(fd);
    site_close(&s);
    expect_refused(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nab", 415);
    expect_refused(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab", 400);
    expect_refused("POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\n"
                   "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
                   415);
}

/* ---- a hostile world ---- */

TEST(malformed_requests_are_refused_and_the_connection_ended)
{
    static const char *const requests[] = {
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(requests); i++) {
        struct site s;
        site_open(&s);
        int fd = dial(&s);
        say(&s, fd, requests[i]);
        bool has_ended = false;
        unsigned status = status_of(hear_end(&s, fd, &has_ended));
        if (status < 400 || status > 505 || !has_ended || s.log.len > 0) {
            test_failed(__FILE__, __LINE__, "request %zu: status %u", i, status);
        }
        (void)close(fd);
        site_close(&s);
    }
}

TEST(requests_with_spoilt_bytes_are_answered_or_refused_and_the_server_serves_on)
{
    static const char good[] = "POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\n"
                               "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
                               "3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n";
    struct site s;
    site_open(&s);
    for (size_t round = 0; round < 1500; round++) {
        char bytes[sizeof(good)];
        memcpy(bytes, good, sizeof(good));
        size_t len = 1 + rand_u64() % (sizeof(good) - 1);
        for (size_t i = 0; i < 1 + round % 3; i++) {
            bytes[rand_u64() % len] = (char)rand_u64();
        }
        int fd = dial(&s);
        say_bytes(&s, fd, str_make(bytes, len));
        (void)shutdown(fd, SHUT_WR);
        pump(&s);
        (void)close(fd);
        pump(&s);
    }
    EXPECT_EQ(s.server.connection_count, 0);
    int fd = dial(&s);
    say(&s, fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(status_of(hear(&s, fd)), 200);
    (void)close(fd);
    site_close(&s);
}

TEST(heads_past_their_limits_are_refused)
{
    auto_op struct op op;
    op_init(&op);
    char *many = mem_alloc((size_t)200 << 10);
    memset(many, 'a', ((size_t)200 << 10) - 1);
    memcpy(many, STR("GET /").ptr, STR("GET /").len);
    struct site s;
    site_open(&s);
    int fd = dial(&s);
    say_bytes(&s, fd, str_make(many, (size_t)200 << 10));
    struct str heard = hear(&s, fd);
    EXPECT(status_of(heard) >= 400 && status_of(heard) < 500);
    (void)close(fd);
    fd = dial(&s);
    say(&s, fd, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (size_t i = 0; i <= H1_FIELDS_MAX; i++) {
        say(&s, fd, "A: b\r\n");
    }
    heard = hear(&s, fd);
    EXPECT(status_of(heard) >= 400 && status_of(heard) < 500);
    (void)close(fd);
    mem_free(many);
    site_close(&s);
}

TEST(a_body_is_taken_up_to_the_limit_and_refused_past_it)
{
    struct httpio_server_options options = {.request_bytes_max = 100000};
    char *body = mem_alloc(100001);
    memset(body, 'x', 100001);
    for (int chunked = 0; chunked < 2; chunked++) {
        for (size_t extra = 0; extra < 2; extra++) {
            struct site s;
            site_open_with(&s, &options);
            int fd = dial(&s);
            size_t count = 100000 + extra;
            struct str head =
                chunked != 0
                    ? arena_printf(&s.op.arena,
                                   "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                                   "chunked\r\n\r\n%zx\r\n",
                                   count)
                    : arena_printf(&s.op.arena,
                                   "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n",
                                   count);
            say_bytes(&s, fd, head);
            say_bytes(&s, fd, str_make(body, count));
            say(&s, fd, chunked != 0 ? "\r\n0\r\n\r\n" : "");
            EXPECT_EQ(status_of(hear(&s, fd)), extra == 0 ? 200 : 413);
            EXPECT_EQ(s.log.len > 0, extra == 0);
            (void)close(fd);
            site_close(&s);
        }
    }
    mem_free(body);
}

TEST(a_slow_head_and_a_slow_body_get_408_and_an_idle_connection_is_closed)
{
    struct site s;
    site_open(&s);
    int fd = dial(&s);
    say(&s, fd, "GET / HTTP/1.1\r\n");
    for (size_t i = 0; i < 9; i++) { /* a byte a second keeps nobody alive */
        clock_manual_advance(DUR_S(1));
        say(&s, fd, "A");
        EXPECT_STR(hear(&s, fd), "");
    }
    clock_manual_advance(DUR_S(1));
    bool has_ended = false;
    EXPECT_EQ(status_of(hear_end(&s, fd, &has_ended)), 408);
    EXPECT(has_ended);
    (void)close(fd);

    fd = dial(&s);
    say(&s, fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    char some[40960];
    memset(some, 'x', sizeof(some));
    say_bytes(&s, fd, str_make(some, sizeof(some))); /* worth ten seconds */
    clock_manual_advance(DUR_MS(39999));
    EXPECT_STR(hear_end(&s, fd, &has_ended), "");
    EXPECT(!has_ended);
    clock_manual_advance(DUR_MS(1));
    EXPECT_EQ(status_of(hear_end(&s, fd, &has_ended)), 408);
    (void)close(fd);

    fd = dial(&s);
    clock_manual_advance(DUR_MS(74999));
    EXPECT_STR(hear_end(&s, fd, &has_ended), "");
    EXPECT(!has_ended);
    clock_manual_advance(DUR_MS(1));
    EXPECT_STR(hear_end(&s, fd, &has_ended), "");
    EXPECT(has_ended);
    (void)close(fd);
    EXPECT_EQ(s.server.connection_count, 0);
    site_close(&s);
}

TEST(a_client_that_does_not_read_its_answer_is_closed_in_the_end)
{
    struct site s;
    site_open(&s);
    size_t bytes = (size_t)32 << 20;
    char *big = mem_alloc(bytes);
    s.answer.body = str_make(big, bytes);
    int fd = dial(&s);
    say(&s, fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    clock_manual_advance(DUR_MS(29999));
    pump(&s);
    EXPECT_EQ(s.server.connection_count, 1);
    clock_manual_advance(DUR_MS(1));
    pump(&s);
    EXPECT_EQ(s.server.connection_count, 0);
    (void)close(fd);

    fd = dial(&s); /* one that reads gets all of it */
    say(&s, fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT(hear(&s, fd).len > bytes);
    EXPECT_EQ(s.server.connection_count, 1);
    (void)close(fd);
    mem_free(big);
    site_close(&s);
}

TEST(an_answer_before_the_body_is_not_lost_by_a_reset)
{
    struct site s;
    struct httpio_server_options options = {.request_bytes_max = 10};
    site_open_with(&s, &options);
    int fd = dial(&s);
    say(&s, fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world and more");
    say(&s, fd, "and still more");
    bool has_ended = false;
    EXPECT_EQ(status_of(hear_end(&s, fd, &has_ended)), 413);
    EXPECT(has_ended);
    EXPECT_EQ(s.server.connection_count, 1); /* waits for our end */
    clock_manual_advance(DUR_MS(HTTPIO_LINGER_MS));
    pump(&s);
    EXPECT_EQ(s.server.connection_count, 0);
    (void)close(fd);
    site_close(&s);
}

TEST(at_the_connection_limit_the_longest_idle_one_goes_and_busy_ones_stay)
{
    struct site s;
    struct httpio_server_options options = {.connections_max = 2};
    site_open_with(&s, &options);
    int busy = dial(&s);
    s.keeps = true;
    say(&s, busy, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    int idle = dial(&s);
    bool has_ended = false;
    int third = dial(&s);
    EXPECT_STR(hear_end(&s, idle, &has_ended), "");
    EXPECT(has_ended);
    struct httpio_exchange *first = s.kept;
    say(&s, third, "GET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
    int fourth = dial(&s); /* waits in the kernel */
    say(&s, fourth, "GET /4 HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT(!has(buf_str(&s.log), "/4"));
    EXPECT_EQ(s.server.connection_count, 2);
    httpio_answer(first, &(struct httpio_answer){.status = 200, .closes = true});
    (void)hear(&s, busy);
    (void)close(busy);
    pump(&s);
    EXPECT(has(buf_str(&s.log), "/4"));
    (void)close(idle);
    (void)close(third);
    (void)close(fourth);
    site_close(&s);
    EXPECT_EQ(s.gone_count, 2);
}

/* ---- answers later, streams ---- */

TEST(a_handler_that_waits_hears_when_its_client_is_gone)
{
    struct site s;
    site_open(&s);
    s.keeps = true;
    int fd = dial(&s);
    say(&s, fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    struct linger reset = {.l_onoff = 1};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    (void)close(fd);
    pump(&s);
    EXPECT_EQ(s.gone_count, 1);
    EXPECT_EQ(s.server.connection_count, 0);
    site_close(&s);
}

TEST(a_stream_is_chunked_and_the_connection_serves_on)
{
    struct site s;
    site_open(&s);
    s.keeps = true;
    int fd = dial(&s);
    say(&s, fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    httpio_stream_start(
        s.kept, &(struct httpio_answer){.status = 200, .content_type = STR("text/event-stream")});
    EXPECT_STR(hear(&s, fd), "HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/event-stream\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n");
    EXPECT_EQ(httpio_stream_write(s.kept, STR("data: 1\n\n")), ERR_OK);
    EXPECT_EQ(httpio_stream_write(s.kept, STR("")), ERR_OK); /* no end by accident */
    EXPECT_STR(hear(&s, fd), "9\r\ndata: 1\n\n\r\n");
    httpio_stream_end(s.kept);
    EXPECT_STR(hear(&s, fd), "0\r\n\r\n");
    s.keeps = false;
    say(&s, fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(status_of(hear(&s, fd)), 200);
    (void)close(fd);
    site_close(&s);
}

TEST(a_stream_to_http_1_0_ends_with_the_connection_and_one_to_head_is_empty)
{
    struct site s;
    site_open(&s);
    s.keeps = true;
    int fd = dial(&s);
    say(&s, fd, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    struct httpio_answer start = {.status = 200, .body = STR("a")};
    httpio_stream_start(s.kept, &start);
    EXPECT_EQ(httpio_stream_write(s.kept, STR("b")), ERR_OK);
    httpio_stream_end(s.kept);
    EXPECT_STR(hear(&s, fd), "HTTP/1.1 200 OK\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n");
    say(&s, fd, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    httpio_stream_start(s.kept, &start);
    EXPECT_EQ(httpio_stream_write(s.kept, STR("b")), ERR_OK);
    httpio_stream_end(s.kept);
    bool has_ended = false;
    EXPECT_STR(hear_end(&s, fd, &has_ended),
               "HTTP/1.1 200 OK\r\n" DATE "Connection: close\r\n\r\nab");
    EXPECT(has_ended);
    (void)close(fd);
    site_close(&s);
}

TEST(a_stream_holds_back_its_writer_while_the_client_does_not_read)
{
    struct site s;
    site_open(&s);
    s.keeps = true;
    int fd = dial(&s);
    say(&s, fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    httpio_stream_start(s.kept, &(struct httpio_answer){.status = 200});
    char piece[10000];
    memset(piece, 'p', sizeof(piece));
    size_t taken = 0;
    while (httpio_stream_write(s.kept, str_make(piece, sizeof(piece))) == ERR_OK) {
        taken++;
        REQUIRE(taken < 10000);
        pump(&s);
    }
    EXPECT(httpio_stream_queued(s.kept) <= HTTPIO_STREAM_BYTES_MAX + 100 * 20);
    EXPECT_EQ(s.room_count, 0);
    struct str heard = hear(&s, fd);
    EXPECT(heard.len > taken * sizeof(piece));
    EXPECT_EQ(s.room_count, 1);
    EXPECT_EQ(httpio_stream_write(s.kept, str_make(piece, sizeof(piece))), ERR_OK);
    httpio_stream_end(s.kept);
    EXPECT(str_ends_with(hear(&s, fd), STR("\r\n0\r\n\r\n")));
    (void)close(fd);
    site_close(&s);
}

TEST(an_aborted_stream_is_seen_to_be_cut)
{
    struct site s;
    site_open(&s);
    s.keeps = true;
    int fd = dial(&s);
    say(&s, fd, "GET / HTTP/1.0\r\n\r\n");
    httpio_stream_start(s.kept, &(struct httpio_answer){.status = 200, .body = STR("part")});
    pump(&s);
    httpio_stream_abort(s.kept);
    pump(&s);
    char got[1000];
    ssize_t count = 0;
    while ((count = read(fd, got, sizeof(got))) > 0) {
    }
    EXPECT_EQ(count, -1);
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_EQ(s.gone_count, 0);
    (void)close(fd);
    site_close(&s);
}

/* ---- stopping ---- */

static void on_stopped(struct httpio_server *server)
{
    ((struct site *)server->user)->stopped_count++;
}

TEST(a_server_that_stops_closes_idle_connections_and_lets_exchanges_end)
{
    struct site s;
    site_open(&s);
    int idle = dial(&s);
    int busy = dial(&s);
    s.keeps = true;
    say(&s, busy, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    httpio_server_stop(&s.server, on_stopped);
    bool has_ended = false;
    EXPECT_STR(hear_end(&s, idle, &has_ended), "");
    EXPECT(has_ended);
    EXPECT_EQ(s.stopped_count, 0);
    httpio_answer(s.kept, &s.answer);
    struct str heard = hear_end(&s, busy, &has_ended);
    EXPECT(has(heard, "Connection: close\r\n"));
    (void)close(busy);
    (void)close(idle);
    pump(&s);
    EXPECT_EQ(s.stopped_count, 1);
    int fd = -1;
    EXPECT(net_dial_errno(&s.addr, &fd) != 0 || net_dial_result(fd) != 0);
    (void)close(fd);
    site_close(&s);
}

TEST(a_handler_may_close_the_whole_server)
{
    struct site s;
    site_open(&s);
    int one = dial(&s);
    int two = dial(&s);
    s.keeps = true;
    say(&s, one, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    s.closes_server = true;
    say(&s, two, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(s.gone_count, 2);
    EXPECT_EQ(s.server.connection_count, 0);
    (void)close(one);
    (void)close(two);
    site_close(&s);
}
