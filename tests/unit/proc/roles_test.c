#include "base/check.h"
#include "proc/roles.h"
#include "test.h"

static struct net_addr addr_of(const char *text)
{
    struct net_addr addr;
    REQUIRE(net_addr_parse(str_of(text), &addr));
    return addr;
}

TEST(a_listen_request_survives_the_trip)
{
    auto_op struct op op;
    op_init(&op);
    struct proc_listen_request in = {
        .id = 7, .socket_count = PROC_FDS_MAX, .addr = addr_of("[::1]:80")};
    struct proc_listen_request out;
    REQUIRE(proc_listen_request_decode(proc_listen_request_encode(&op.arena, &in), &out));
    EXPECT_EQ(out.id, 7);
    EXPECT_EQ(out.socket_count, PROC_FDS_MAX);
    EXPECT(net_addr_equal(&out.addr, &in.addr));

    in.socket_count = PROC_FDS_MAX + 1;
    EXPECT(!proc_listen_request_decode(proc_listen_request_encode(&op.arena, &in), &out));
    in.socket_count = 0;
    EXPECT(!proc_listen_request_decode(proc_listen_request_encode(&op.arena, &in), &out));
}

TEST(a_listen_answer_survives_the_trip_and_its_text_is_cut)
{
    auto_op struct op op;
    op_init(&op);
    char text[PROC_ANSWER_TEXT_BYTES_MAX + 1];
    memset(text, 't', sizeof(text));
    struct proc_listen_answer in = {.id = 9,
                                    .result = ERR_EXISTS,
                                    .addr = addr_of("127.0.0.1:80"),
                                    .text = str_make(text, sizeof(text))};
    struct proc_listen_answer out;
    REQUIRE(proc_listen_answer_decode(proc_listen_answer_encode(&op.arena, &in), &out));
    EXPECT_EQ(out.id, 9);
    EXPECT_EQ(out.result, ERR_EXISTS);
    EXPECT(net_addr_equal(&out.addr, &in.addr));
    EXPECT_STR_EQ(out.text, str_make(text, PROC_ANSWER_TEXT_BYTES_MAX));
}

TEST(payloads_that_are_cut_or_longer_are_refused)
{
    auto_op struct op op;
    op_init(&op);
    struct proc_listen_request request = {.socket_count = 1, .addr = addr_of("127.0.0.1:80")};
    struct proc_listen_answer answer = {.addr = request.addr, .text = STR("text")};
    struct str bytes = proc_listen_request_encode(&op.arena, &request);
    struct str answer_bytes = proc_listen_answer_encode(&op.arena, &answer);
    /* down to "127.0.0.1:", which is no address any more */
    for (size_t len = 0; len < bytes.len - 1; len++) {
        EXPECT(!proc_listen_request_decode(str_slice(bytes, 0, len), &request));
    }
    for (size_t len = 0; len < answer_bytes.len; len++) {
        EXPECT(!proc_listen_answer_decode(str_slice(answer_bytes, 0, len), &answer));
    }
    char room[64];
    memcpy(room, answer_bytes.ptr, answer_bytes.len);
    EXPECT(!proc_listen_answer_decode(str_make(room, answer_bytes.len + 1), &answer));
    room[4] = 127; /* no such kind of error */
    EXPECT(!proc_listen_answer_decode(str_make(room, answer_bytes.len), &answer));

    uint32_t number = 0;
    EXPECT(proc_u32_decode(proc_u32_encode(&op.arena, 77), &number));
    EXPECT_EQ(number, 77);
    EXPECT(!proc_u32_decode(STR("abc"), &number));
    EXPECT(!proc_u32_decode(STR("abcde"), &number));
}
