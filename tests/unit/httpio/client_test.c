#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "httpio/client.h"
#include "net/socket.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* A call, and the other side: a socket that the test speaks for by hand. */
struct talk {
    struct op op;
    struct ev_loop loop;
    struct net_addr addr;
    int listener;
    int peer; /* accepted; -1 before */
    struct httpio_call call;
    struct httpio_call_options o;
    struct buf pieces; /* streamed body */
    size_t head_count;
    size_t done_count;
    enum err err;
    unsigned status;
    char text[256];
    char body[256];
    size_t body_len;
    bool cancels_at_piece;
    bool pauses_at_piece;
    bool restarts;
};

static void on_done(struct httpio_call *call, const struct httpio_result *result)
{
    struct talk *t = CONTAINER_OF(call, struct talk, call);
    t->done_count++;
    t->err = result->err;
    t->status = result->status;
    t->body_len = result->body.len;
    (void)snprintf(t->text, sizeof(t->text), "%s", result->text);
    (void)snprintf(t->body, sizeof(t->body), "%.*s", STR_ARG(result->body));
    EXPECT_EQ(result->head != NULL, result->status != 0);
    if (t->restarts) {
        t->restarts = false;
        httpio_call_start(&t->loop, call, &t->o);
    }
}

static void on_head(struct httpio_call *call, const struct h1_head *head)
{
    (void)head;
    CONTAINER_OF(call, struct talk, call)->head_count++;
}

static void on_piece(struct httpio_call *call, struct str piece)
{
    struct talk *t = CONTAINER_OF(call, struct talk, call);
    if (t->cancels_at_piece) {
        httpio_call_cancel(call);
    }
    if (t->pauses_at_piece) {
        httpio_call_pause(call);
    }
    buf_add(&t->pieces, piece);
}

static void talk_open(struct talk *t, const char *addr)
{
    *t = (struct talk){.listener = -1, .peer = -1};
    clock_use_manual((mono_t){.us = 5000000}, (wall_t){0});
    op_init(&t->op);
    buf_init(&t->pieces, (size_t)64 << 20);
    REQUIRE_OK(ev_loop_open(&t->op, &t->loop), &t->op);
    REQUIRE(net_addr_parse(str_of(addr), &t->addr));
    REQUIRE_OK(net_listen(&t->op, &t->addr, NULL, &t->listener), &t->op);
    REQUIRE_OK(net_local_addr(&t->op, t->listener, &t->addr), &t->op);
    t->o = (struct httpio_call_options){.addr = t->addr,
                                        .method = STR("GET"),
                                        .target = STR("/x?y=z"),
                                        .on_head = on_head,
                                        .on_done = on_done};
}

static void talk_close(struct talk *t)
{
    httpio_call_cancel(&t->call);
    ev_loop_close(&t->loop);
    buf_fini(&t->pieces);
    (void)close(t->listener);
    if (t->peer != -1) {
        (void)close(t->peer);
    }
    op_fini(&t->op);
}

static void pump(struct talk *t)
{
    REQUIRE(ev_loop_settle(&t->loop, 10000));
}

static void start(struct talk *t)
{
    httpio_call_start(&t->loop, &t->call, &t->o);
    pump(t);
    struct pollfd p = {.fd = t->listener, .events = POLLIN};
    REQUIRE_EQ(poll(&p, 1, 5000), 1);
    if (t->peer != -1) {
        (void)close(t->peer);
    }
    REQUIRE_EQ(net_accept(t->listener, &t->peer, NULL), ERR_OK);
    pump(t);
}

/* What the client says until it says no more. */
static struct str hear(struct talk *t)
{
    char *text = arena_alloc(&t->op.arena, 65536);
    size_t len = 0;
    for (;;) {
        pump(t);
        struct pollfd p = {.fd = t->peer, .events = POLLIN};
        ssize_t got = poll(&p, 1, 20) == 0 ? 0 : read(t->peer, text + len, 65536 - len);
        if (got <= 0) {
            return str_make(text, len);
        }
        len += (size_t)got;
    }
}

static void say_bytes(struct talk *t, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(t->peer, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent == -1 && errno != EAGAIN) {
            return; /* the client gave up; the test looks at why */
        }
        bytes = str_from(bytes, sent == -1 ? 0 : (size_t)sent);
        pump(t);
    }
}

static void say(struct talk *t, const char *text)
{
    say_bytes(t, str_of(text));
}

static void hang_up(struct talk *t)
{
    (void)close(t->peer);
    t->peer = -1;
    pump(t);
}

/* ---- good answers ---- */

TEST(a_request_is_written_whole_and_its_answer_collected)
{
    struct talk t;
    talk_open(&t, "127.0.0.1:0");
    struct httpio_field field = {STR("X-A"), STR("b")};
    t.o.method = STR("POST");
    t.o.host = STR("docker");
    t.o.fields = &field;
    t.o.field_count = 1;
    t.o.content_type = STR("application/json");
    t.o.body = STR("{}");
    start(&t);
    EXPECT_STR(hear(&t), "POST /x?y=z HTTP/1.1\r\nHost: docker\r\nUser-Agent: hitless\r\nX-A: b\r\n"
                         "Content-Type: application/json\r\nContent-Length: 2\r\n"
                         "Connection: close\r\n\r\n{}");
    say(&t, "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhel");
    EXPECT_EQ(t.done_count, 0);
    say(&t, "lo");
    EXPECT_EQ(t.done_count, 1);
    EXPECT_EQ(t.err, ERR_OK);
    EXPECT_EQ(t.status, 201);
    EXPECT_STR(str_of(t.body), "hello");
    EXPECT(!httpio_call_is_running(&t.call));
    talk_close(&t);
}

TEST(every_framing_ends_where_it_should_over_a_unix_socket_too)
{
    static const struct {
        const char *answer;
        const char *body;
        bool by_end;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", "ab", false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n", "ab",
         false},
        {"HTTP/1.1 200 OK\r\n\r\nab", "ab", true},
        {"HTTP/1.0 200 OK\r\n\r\n", "", true},
        {"HTTP/1.1 204 No Content\r\n\r\n", "", false},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "", false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", false},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\n"
         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
         "ab", false},
    };
    char path[128];
    (void)snprintf(path, sizeof(path), "unix:%s/docker.sock", test_folder());
    struct talk t;
    talk_open(&t, path);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        start(&t);
        EXPECT(str_find(hear(&t), STR("\r\nHost: localhost\r\n"), 0) != STR_NOT_FOUND);
        for (const char *c = rows[i].answer; *c != '\0'; c++) {
            EXPECT_EQ(t.done_count, i);
            say_bytes(&t, str_make(c, 1));
        }
        EXPECT_EQ(t.done_count, rows[i].by_end ? i : i + 1);
        hang_up(&t);
        EXPECT_EQ(t.done_count, i + 1);
        EXPECT_EQ(t.err, ERR_OK);
        EXPECT_STR(str_of(t.body), rows[i].body);
    }
    talk_close(&t);
}

TEST(an_answer_to_head_has_no_body)
{
    struct talk t;
    talk_open(&t, "127.0.0.1:0");
    t.o.method = STR("HEAD");
    start(&t);
    say(&t, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    EXPECT_EQ(t.done_count, 1);
    EXPECT_EQ(t.err, ERR_OK);
    talk_close(&t);
}

TEST(a_large_request_is_sent_as_the_other_side_takes_it)
{
    struct talk t;
    talk_open(&t, "127.0.0.1:0");
    size_t bytes = (size_t)20 << 20;
    char *body = mem_alloc(bytes);
    memset(body, 'b', bytes);
    t.o.method = STR("PUT");
    t.o.body = str_make(body, bytes);
    start(&t);
    size_t heard = 0;
    char *got = mem_alloc(1u << 20);
    for (;;) {
        pump(&t);
        struct pollfd p = {.fd = t.peer, .events = POLLIN};
        if (poll(&p, 1, 20) == 0) {
            break;
        }
        ssize_t count = read(t.peer, got, 1u << 20);
        REQUIRE(count > 0);
        heard += (size_t)count;
    }
    EXPECT(heard > bytes && heard < bytes + 500);
    say(&t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(t.done_count, 1);
    EXPECT_EQ(t.err, ERR_OK);
    mem_free(body);
    mem_free(got);
    talk_close(&t);
}

TEST(an_answer_that_comes_before_the_request_is_sent_is_taken)
{
    struct talk t;
    talk_open(&t, "127.0.0.1:0");
    size_t bytes = (size_t)20 << 20;
    char *body = mem_alloc(bytes);
    t.o.method = STR("PUT");
    t.o.body = str_make(body, bytes);
    start(&t);
    say(&t, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    EXPECT_EQ(t.done_count, 1);
    EXPECT_EQ(t.status, 413);
    EXPECT_STR(str_of(t.body), "no");
    mem_free(body);
    talk_close(&t);
}

/* ---- streams ---- */

TEST(a_streamed_body_arrives_in_pieces_can_be_paused_and_misses_nothing)
{
    struct talk t;
    talk_open(&t, "127.0.0.1:0");
    t.o.on_body = on_piece;
    start(&t);
    say(&t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    EXPECT_STR(buf_str(&t.pieces), "one");
    EXPECT_EQ(t.head_count, 1);
    t.pauses_at_piece = true;
    say(&t, "3\r\ntwo\r\n5\r\nthree\r\n");
    EXPECT_STR(buf_str(&t.pieces), "onetwo");
    clock_manual_advance(DUR_S(1000)); /* a pause may be long */
    say(&t, "4\r\nfour\r\n0\r\n\r\n");
    hang_up(&t);
    EXPECT_STR(buf_str(&t.pieces), "onetwo");
    EXPECT_EQ(ev_loop_turn(&t.loop, DUR_MS(0)), 0); /* it does not spin */
    httpio_call_resume(&t.call);
    pump(&t);
    EXPECT_STR(buf_str(&t.pieces), "onetwothree");
    t.pauses_at_piece = false;
    EXPECT_EQ(t.done_count, 0);
    httpio_call_resume(&t.call);
    pump(&t);
    EXPECT_STR(buf_str(&t.pieces), "onetwothreefour");
    EXPECT_EQ(t.done_count, 1);
    EXPECT_EQ(t.err, ERR_OK);
    EXPECT_EQ(t.body_len, 0);
    talk_close(&t);
}

TEST(a_paused_call_takes_no_more_than_its_buffer)
{
    struct talk t;
    talk_open(&t, "127.0.0.1:0");
    t.o.on_body = on_piece;
    t.pauses_at_piece = true;
    start(&t);
    size_t bytes = (size_t)8 << 20;
    struct str head =
        arena_printf(&t.op.arena, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", bytes);
    say_bytes(&t, head);
    char *body = mem_alloc(bytes);
    size_t sent = 0;
    size_t resumed = 0;
    while (sent < bytes || t.done_count == 0) {
        ssize_t now = sent == bytes ? 0 : send(t.peer, body + sent, bytes - sent, MSG_NOSIGNAL);
        sent += now == -1 ? 0 : (size_t)now;
        httpio_call_resume(&t.call);
        pump(&t);
        REQUIRE(++resumed < 100000);
    }
    EXPECT_EQ(t.pieces.len, bytes);
    EXPECT_EQ(t.err, ERR_OK);
    EXPECT(resumed > 10);
    mem_free(body);
    talk_close(&t);
}

TEST(a_callback_may_cancel_and_on_done_may_start_again)
{
    struct talk t;
    talk_open(&t, "127.0.0.1:0");
    t.o.on_body = on_piece;
    t.cancels_at_piece = true;
    start(&t);
    say(&t, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none");
    EXPECT(!httpio_call_is_running(&t.call));
    say(&t, "two");
    EXPECT_EQ(t.done_count, 0);
    EXPECT_STR(buf_str(&t.pieces), "one");

    t.cancels_at_piece = false;
    t.restarts = true;
    start(&t);
    say(&t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(t.done_count, 1);
    EXPECT(httpio_call_is_running(&t.call));
    (void)close(t.peer);
    struct pollfd p = {.fd = t.listener, .events = POLLIN};
    REQUIRE_EQ(poll(&p, 1, 5000), 1);
    REQUIRE_EQ(net_accept(t.listener, &t.peer, NULL), ERR_OK);
    say(&t, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(t.done_count, 2);
    EXPECT_EQ(t.status, 404);
    talk_close(&t);
}

/* ---- a hostile other side ---- */

static void expect_failure(const char *answer, bool hangs_up, enum err err, const char *text)
{
    struct talk t;
    talk_open(&t, "127.0.0.1:0");
    t.o.bytes_max = 10;
    start(&t);
    (void)hear(&t);
    say(&t, answer);
    if (hangs_up) {
        hang_up(&t);
    }
    if (t.done_count != 1 || t.err != err || strstr(t.text, text) == NULL) {
        test_failed(__FILE__, __LINE__, "\"%.40s\": done %zu, %s: \"%s\", expected \"%s\"", answer,
                    t.done_count, err_text(t.err), t.text, text);
    }
    talk_close(&t);
}

TEST(answers_that_are_cut_malformed_or_too_large_have_their_reasons)
{
    expect_failure("", true, ERR_CLOSED, "ended before the answer");
    expect_failure("HTTP/1.1 200 OK\r\nContent-", true, ERR_CLOSED, "ended before the answer");
    expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", true, ERR_CLOSED,
                   "in the middle of the answer");
    expect_failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n", true,
                   ERR_CLOSED, "in the middle of the answer");
    expect_failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false,
                   ERR_PROTOCOL, "chunk");
    expect_failure("SSH-2.0-OpenSSH_9.2\r\n\r\n", false, ERR_PROTOCOL, "not HTTP");
    expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", false,
                   ERR_PROTOCOL, "not HTTP");
    expect_failure("HTTP/1.1 101 Switching\r\n\r\n", false, ERR_PROTOCOL, "101");
    expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world", false, ERR_LIMIT,
                   "more than 10 bytes");
    expect_failure("HTTP/1.1 200 OK\r\n\r\nhello world", false, ERR_LIMIT, "more than 10 bytes");
}

TEST(interim_answers_and_heads_without_end_are_given_up)
{
    struct talk t;
    talk_open(&t, "127.0.0.1:0");
    start(&t);
    for (size_t i = 0; i < 17; i++) {
        EXPECT_EQ(t.done_count, 0);
        say(&t, "HTTP/1.1 102 Processing\r\n\r\n");
    }
    EXPECT_EQ(t.err, ERR_PROTOCOL);
    start(&t);
    say(&t, "HTTP/1.1 200 OK\r\n");
    for (size_t i = 0; i < 5000 && t.done_count == 1; i++) {
        say(&t, "A: bbbbbbbbbb\r\n");
    }
    EXPECT_EQ(t.done_count, 2);
    EXPECT_EQ(t.err, ERR_PROTOCOL);
    talk_close(&t);
}

TEST(every_wait_has_its_limit)
{
    struct talk t;
    talk_open(&t, "127.0.0.1:0");
    start(&t);
    clock_manual_advance(DUR_MS(HTTPIO_ANSWER_MS_DEFAULT - 1));
    say(&t, "HTTP/1.1 200 OK\r\n"); /* a part of a head does not help */
    EXPECT_EQ(t.done_count, 0);
    clock_manual_advance(DUR_MS(1));
    pump(&t);
    EXPECT_EQ(t.err, ERR_TIMEOUT);
    EXPECT_STR(str_of(t.text), "waited 30000 ms for the answer");

    start(&t);
    say(&t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nh");
    clock_manual_advance(DUR_MS(HTTPIO_SILENCE_MS_DEFAULT - 1));
    say(&t, "e"); /* a byte does */
    clock_manual_advance(DUR_MS(HTTPIO_SILENCE_MS_DEFAULT - 1));
    pump(&t);
    EXPECT_EQ(t.done_count, 1);
    clock_manual_advance(DUR_MS(1));
    pump(&t);
    EXPECT_EQ(t.done_count, 2);
    EXPECT_STR(str_of(t.text), "waited 30000 ms for the rest of the answer");
    EXPECT_EQ(t.status, 200);

    t.o.whole_timeout = DUR_S(40);
    t.o.answer_timeout = HTTPIO_NO_TIMEOUT;
    start(&t);
    clock_manual_advance(DUR_S(39));
    pump(&t);
    EXPECT_EQ(t.done_count, 2);
    clock_manual_advance(DUR_S(1));
    pump(&t);
    EXPECT_EQ(t.done_count, 3);
    EXPECT_STR(str_of(t.text), "not done within 40000 ms");
    talk_close(&t);
}

TEST(what_cannot_be_reached_is_told_from_the_loop_not_from_the_start)
{
    struct talk t;
    talk_open(&t, "127.0.0.1:0");
    REQUIRE(net_addr_parse(STR("unix:/nonexistent/docker.sock"), &t.o.addr));
    httpio_call_start(&t.loop, &t.call, &t.o);
    EXPECT_EQ(t.done_count, 0);
    pump(&t);
    EXPECT_EQ(t.done_count, 1);
    EXPECT_EQ(t.err, ERR_NET);
    EXPECT_STR(str_of(t.text),
               "could not connect to unix:/nonexistent/docker.sock: No such file or directory");

    t.o.addr = t.addr;
    (void)close(t.listener);
    t.listener = -1;
    httpio_call_start(&t.loop, &t.call, &t.o);
    EXPECT_EQ(t.done_count, 1);
    pump(&t);
    EXPECT_EQ(t.done_count, 2);
    EXPECT_EQ(t.err, ERR_NET);
    EXPECT(strstr(t.text, "Connection refused") != NULL);

    t.o.target = STR("/a b");
    httpio_call_start(&t.loop, &t.call, &t.o);
    pump(&t);
    EXPECT_EQ(t.done_count, 3);
    EXPECT_EQ(t.err, ERR_INPUT);
    httpio_call_start(&t.loop, &t.call, &t.o);
    httpio_call_cancel(&t.call);
    pump(&t);
    EXPECT_EQ(t.done_count, 3);
    talk_close(&t);
}
