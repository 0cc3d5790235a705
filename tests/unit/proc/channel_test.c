#include "base/cleanup.h"
#include "base/mem.h"
#include "base/rand.h"
#include "proc/channel.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

/* Two ends on one loop; `b` writes down what it hears. */
struct ends {
    struct op op;
    struct ev_loop loop;
    struct proc_channel a;
    struct proc_channel b;
    size_t heard;
    uint16_t last_type;
    uint16_t last_version;
    size_t last_bytes;
    uint64_t last_sum;
    size_t last_fds;
    int taken_fd; /* the first descriptor of the last message */
    bool takes_fd;
    bool closes_in_callback;
    enum err closed_why;
    size_t closed_count;
};

static uint64_t sum_of(struct str s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s.len; i++) {
        sum = sum * 31 + (unsigned char)s.ptr[i];
    }
    return sum;
}

static void on_heard(struct proc_channel *ch, struct proc_message *m)
{
    struct ends *e = CONTAINER_OF(ch, struct ends, b);
    e->heard++;
    e->last_type = m->type;
    e->last_version = m->version;
    e->last_bytes = m->payload.len;
    e->last_fds = m->fd_count;
    if (e->closes_in_callback) {
        proc_channel_close(ch);
    }
    e->last_sum = sum_of(m->payload); /* readable even when just closed */
    if (e->takes_fd && m->fd_count > 0) {
        e->taken_fd = steal_fd(&m->fds[0]);
    }
}

static void on_closed(struct proc_channel *ch, enum err why)
{
    struct ends *e = CONTAINER_OF(ch, struct ends, b);
    e->closed_why = why;
    e->closed_count++;
}

static void on_nothing(struct proc_channel *ch, struct proc_message *m)
{
    (void)ch;
    (void)m;
}

static void ends_open(struct ends *e)
{
    *e = (struct ends){.taken_fd = -1};
    op_init(&e->op);
    REQUIRE_OK(ev_loop_open(&e->op, &e->loop), &e->op);
    int pair[2];
    REQUIRE_OK(net_pair(&e->op, SOCK_STREAM, pair), &e->op);
    REQUIRE_EQ(proc_channel_open(&e->loop, &e->a, pair[0], on_nothing, NULL), ERR_OK);
    REQUIRE_EQ(proc_channel_open(&e->loop, &e->b, pair[1], on_heard, on_closed), ERR_OK);
}

static void ends_close(struct ends *e)
{
    proc_channel_close(&e->a);
    proc_channel_close(&e->b);
    ev_loop_close(&e->loop);
    op_fini(&e->op);
}

static void settle(struct ends *e)
{
    REQUIRE(ev_loop_settle(&e->loop, 100000));
}

TEST(messages_arrive_whole_and_in_order_at_any_size_up_to_the_limit)
{
    struct ends e;
    ends_open(&e);
    static const size_t sizes[] = {0, 1, 65523, 65524, 65525, 300000, PROC_PAYLOAD_BYTES_MAX};
    char *bytes = mem_alloc(PROC_PAYLOAD_BYTES_MAX + 1);
    for (size_t i = 0; i < PROC_PAYLOAD_BYTES_MAX; i++) {
        bytes[i] = (char)(i * 7 + i / 1000);
    }
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct proc_message m = {
            .type = (uint16_t)(i + 1), .version = 3, .payload = str_make(bytes, sizes[i])};
        REQUIRE_EQ(proc_channel_send(&e.a, &m), ERR_OK);
        settle(&e);
        EXPECT_EQ(e.heard, i + 1);
        EXPECT_EQ(e.last_type, i + 1);
        EXPECT_EQ(e.last_version, 3);
        EXPECT_EQ(e.last_bytes, sizes[i]);
        EXPECT_EQ(e.last_sum, sum_of(m.payload));
        EXPECT_EQ(proc_channel_queued(&e.a), 0);
    }
    struct str past = str_make(bytes, PROC_PAYLOAD_BYTES_MAX + 1);
    EXPECT_EQ(proc_channel_send_payload(&e.a, 1, past), ERR_LIMIT);
    mem_free(bytes);
    ends_close(&e);
}

TEST(the_queue_has_a_limit_and_what_was_queued_still_arrives)
{
    struct ends e;
    ends_open(&e);
    char *bytes = mem_alloc(1u << 20);
    struct str mib = str_make(bytes, 1u << 20);
    size_t taken = 0;
    while (proc_channel_send_payload(&e.a, 5, mib) == ERR_OK) {
        taken++;
        REQUIRE(taken < 100);
    }
    EXPECT(taken >= 63);
    EXPECT(proc_channel_queued(&e.a) <= PROC_QUEUE_BYTES_MAX);
    settle(&e);
    EXPECT_EQ(e.heard, taken);
    EXPECT_EQ(proc_channel_send_payload(&e.a, 5, mib), ERR_OK);
    mem_free(bytes);
    ends_close(&e);
}

TEST(descriptors_come_with_their_message_and_those_not_taken_are_closed)
{
    struct ends e;
    ends_open(&e);
    int pipe_ends[2];
    REQUIRE_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
    int fds[PROC_FDS_MAX + 1];
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        fds[i] = pipe_ends[1];
    }
    e.takes_fd = true;
    struct proc_message m = {.type = 1, .fds = fds, .fd_count = PROC_FDS_MAX};
    REQUIRE_EQ(proc_channel_send(&e.a, &m), ERR_OK);
    settle(&e);
    EXPECT_EQ(e.last_fds, PROC_FDS_MAX);
    REQUIRE(e.taken_fd >= 0);
    EXPECT_EQ(write(e.taken_fd, "x", 1), 1);
    (void)close(e.taken_fd);

    m.fd_count = PROC_FDS_MAX + 1;
    EXPECT_EQ(proc_channel_send(&e.a, &m), ERR_LIMIT);
    (void)close(pipe_ends[0]);
    (void)close(pipe_ends[1]);
    ends_close(&e); /* the harness counts what is left open */
}

static void write_to_taken(struct ends *e)
{
    if (e->taken_fd >= 0) {
        EXPECT_EQ(write(e->taken_fd, "x", 1), 1);
        (void)close(e->taken_fd);
        e->taken_fd = -1;
    }
}

TEST(descriptors_stay_with_their_message_behind_a_full_socket)
{
    struct ends e;
    ends_open(&e);
    int pipe_ends[2];
    REQUIRE_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
    char *bytes = mem_alloc(1u << 20);
    struct str big = str_make(bytes, 1u << 20);
    e.takes_fd = true;
    for (size_t i = 0; i < 6; i++) {
        struct proc_message m = {.type = (uint16_t)(10 + i),
                                 .payload = i % 2 == 0 ? big : STR("small"),
                                 .fds = &pipe_ends[1],
                                 .fd_count = i % 3 == 2 ? 0 : 1};
        REQUIRE_EQ(proc_channel_send(&e.a, &m), ERR_OK);
    }
    (void)close(pipe_ends[1]); /* copies wait in the queue */
    for (size_t i = 0; i < 6; i++) {
        while (e.heard == i && ev_loop_turn(&e.loop, DUR_S(5)) > 0) {
        }
        write_to_taken(&e);
    }
    settle(&e);
    EXPECT_EQ(e.last_type, 15);
    char got[16];
    EXPECT_EQ(read(pipe_ends[0], got, sizeof(got)), 4);
    mem_free(bytes);
    (void)close(pipe_ends[0]);
    ends_close(&e);
}

TEST(what_was_sent_before_the_end_arrives_before_the_end)
{
    struct ends e;
    ends_open(&e);
    REQUIRE_EQ(proc_channel_send_payload(&e.a, 1, STR("last words")), ERR_OK);
    proc_channel_close(&e.a);
    settle(&e);
    EXPECT_EQ(e.heard, 1);
    EXPECT_EQ(e.closed_count, 1);
    EXPECT_EQ(e.closed_why, ERR_CLOSED);
    EXPECT(!proc_channel_is_open(&e.b));
    EXPECT_EQ(proc_channel_send_payload(&e.b, 1, STR("")), ERR_CLOSED);
    ends_close(&e);
}

TEST(sending_to_an_end_that_is_gone_fails_and_calls_nobody_back)
{
    struct ends e;
    ends_open(&e);
    proc_channel_close(&e.a);
    EXPECT_EQ(proc_channel_send_payload(&e.b, 1, STR("hello")), ERR_CLOSED);
    EXPECT_EQ(e.closed_count, 0);
    settle(&e);
    EXPECT_EQ(e.closed_count, 1);
    ends_close(&e);
}

TEST(a_callback_may_close_its_channel_and_goes_on_reading_the_message)
{
    struct ends e;
    ends_open(&e);
    e.closes_in_callback = true;
    REQUIRE_EQ(proc_channel_send_payload(&e.a, 1, STR("one")), ERR_OK);
    REQUIRE_EQ(proc_channel_send_payload(&e.a, 2, STR("two")), ERR_OK);
    settle(&e);
    EXPECT_EQ(e.heard, 1);
    EXPECT_EQ(e.last_sum, sum_of(STR("one")));
    EXPECT_EQ(e.closed_count, 0);
    ends_close(&e);
}

/* ---- a hostile other end ---- */

struct raw_head {
    uint32_t payload_bytes;
    uint16_t type;
    uint16_t version;
    uint16_t fd_count;
    uint16_t zero;
};

static void expect_refused(const char *what, const void *bytes, size_t count, size_t fd_count)
{
    struct ends e;
    ends_open(&e);
    int fds[NET_FDS_MAX];
    for (size_t i = 0; i < NET_FDS_MAX; i++) {
        fds[i] = e.a.w.fd;
    }
    struct iovec piece = {.iov_base = mem_dup(bytes, count), .iov_len = count};
    EXPECT_EQ(net_send_with_fds(e.a.w.fd, &piece, 1, fds, fd_count), count);
    mem_free(piece.iov_base);
    settle(&e);
    if (e.closed_count != 1 || e.closed_why != ERR_PROTOCOL || e.heard != 0) {
        test_failed(__FILE__, __LINE__, "%s: closed %zu times (%s), heard %zu", what,
                    e.closed_count, err_text(e.closed_why), e.heard);
    }
    ends_close(&e);
}

TEST(frames_past_a_limit_or_without_their_descriptors_close_the_channel)
{
    struct raw_head too_long = {.payload_bytes = PROC_PAYLOAD_BYTES_MAX + 1};
    expect_refused("too long", &too_long, sizeof(too_long), 0);
    struct raw_head longest = {.payload_bytes = UINT32_MAX};
    expect_refused("longest", &longest, sizeof(longest), 0);
    struct raw_head not_zero = {.zero = 1};
    expect_refused("last field", &not_zero, sizeof(not_zero), 0);
    struct raw_head missing = {.fd_count = 1};
    expect_refused("no descriptor", &missing, sizeof(missing), 0);
    struct raw_head many = {.fd_count = PROC_FDS_MAX + 1};
    expect_refused("many descriptors", &many, sizeof(many), PROC_FDS_MAX + 1);
    struct raw_head more = {.payload_bytes = 10, .fd_count = 1};
    expect_refused("more descriptors than a frame may have", &more, sizeof(more), NET_FDS_MAX);
}

TEST(descriptors_that_belong_to_no_frame_close_the_channel)
{
    struct ends e;
    ends_open(&e);
    struct raw_head head = {.type = 4};
    struct iovec piece = {.iov_base = &head, .iov_len = sizeof(head)};
    EXPECT_EQ(net_send_with_fds(e.a.w.fd, &piece, 1, &e.a.w.fd, 1), sizeof(head));
    settle(&e);
    EXPECT_EQ(e.closed_why, ERR_PROTOCOL);
    ends_close(&e);
}

TEST(a_frame_that_comes_byte_by_byte_is_one_message)
{
    struct ends e;
    ends_open(&e);
    static const struct {
        struct raw_head head;
        char payload[5];
    } frame = {{.payload_bytes = 5, .type = 4, .version = 2}, {'h', 'e', 'l', 'l', 'o'}};
    for (size_t i = 0; i < sizeof(frame.head) + 5; i++) {
        EXPECT_EQ(e.heard, 0);
        REQUIRE_EQ(write(e.a.w.fd, (const char *)&frame + i, 1), 1);
        settle(&e);
    }
    EXPECT_EQ(e.heard, 1);
    EXPECT_EQ(e.last_sum, sum_of(STR("hello")));
    ends_close(&e);
}

TEST(random_bytes_close_the_channel_or_are_messages_and_leave_no_descriptor)
{
    auto_fd int any = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (size_t round = 0; round < 2000; round++) {
        struct ends e;
        ends_open(&e);
        union {
            struct raw_head head;
            char bytes[256];
        } noise;
        rand_bytes(&noise, sizeof(noise));
        if (round % 2 == 0) { /* nearly right, so that it gets further */
            noise.head.payload_bytes %= 300;
            noise.head.fd_count %= PROC_FDS_MAX + 2;
            noise.head.zero = round % 8 == 0;
        }
        size_t fd_count = rand_u64() % (PROC_FDS_MAX + 2);
        int fds[PROC_FDS_MAX + 2];
        for (size_t i = 0; i < fd_count; i++) {
            fds[i] = any;
        }
        struct iovec piece = {.iov_base = &noise, .iov_len = 1 + rand_u64() % sizeof(noise)};
        EXPECT(net_send_with_fds(e.a.w.fd, &piece, 1, fds, fd_count) > 0);
        proc_channel_close(&e.a);
        settle(&e);
        EXPECT_EQ(e.closed_count, 1);
        ends_close(&e);
    }
}
