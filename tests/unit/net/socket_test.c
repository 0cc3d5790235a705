#include "base/check.h"
#include "base/cleanup.h"
#include "net/socket.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

static int listen_on(struct op *op, const char *text, struct net_addr *ret_addr)
{
    struct net_addr addr;
    int fd = -1;
    REQUIRE(net_addr_parse(str_of(text), &addr));
    REQUIRE_OK(net_listen(op, &addr, NULL, &fd), op);
    REQUIRE_OK(net_local_addr(op, fd, ret_addr), op);
    return fd;
}

static void wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    REQUIRE_EQ(poll(&p, 1, 5000), 1);
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);
    REQUIRE_EQ(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

TEST(a_connection_is_dialled_and_accepted_without_delay_and_closed_on_exec)
{
    auto_op struct op op;
    op_init(&op);
    struct net_addr addr;
    auto_fd int listener = listen_on(&op, "127.0.0.1:0", &addr);
    auto_fd int accepted = -1;
    struct net_addr peer;
    EXPECT_EQ(net_accept(listener, &accepted, &peer), ERR_AGAIN);

    auto_fd int dialled = -1;
    REQUIRE_OK(net_dial(&op, &addr, &dialled), &op);
    wait_for(dialled, POLLOUT);
    EXPECT_EQ(net_dial_result(dialled), 0);
    wait_for(listener, POLLIN);
    REQUIRE_EQ(net_accept(listener, &accepted, &peer), ERR_OK);
    struct net_addr local;
    REQUIRE_OK(net_local_addr(&op, dialled, &local), &op);
    EXPECT(net_addr_equal(&peer, &local));

    int fds[] = {dialled, accepted};
    for (size_t i = 0; i < 2; i++) {
        EXPECT(option_of(fds[i], IPPROTO_TCP, TCP_NODELAY) != 0);
        EXPECT(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        EXPECT(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
    }
}

TEST(a_port_in_use_and_a_refused_connection_have_their_kinds)
{
    auto_op struct op op;
    op_init(&op);
    struct net_addr addr;
    int listener = listen_on(&op, "127.0.0.1:0", &addr);
    int fd = -1;
    EXPECT_EQ(net_listen(&op, &addr, NULL, &fd), ERR_EXISTS);
    EXPECT(strstr(op.note.text, "could not bind to 127.0.0.1:") != NULL);
    (void)close(listener);
    EXPECT_EQ(fd, -1);

    int failure = net_dial_errno(&addr, &fd);
    if (failure == 0) {
        wait_for(fd, POLLOUT);
        failure = net_dial_result(fd);
        (void)close(fd);
    }
    EXPECT_EQ(failure, ECONNREFUSED);
}

TEST(a_shared_port_is_opened_by_one_who_finds_it_free_and_joined_by_others)
{
    auto_op struct op op;
    op_init(&op);
    struct net_addr addr;
    struct net_listen_options opens = {.opens_shared_port = true};
    struct net_listen_options joins = {.is_shared_port = true};
    auto_fd int first = -1;
    auto_fd int second = -1;
    auto_fd int third = -1;
    int none = -1;
    REQUIRE(net_addr_parse(STR("127.0.0.1:0"), &addr));
    REQUIRE_OK(net_listen(&op, &addr, &opens, &first), &op);
    REQUIRE_OK(net_local_addr(&op, first, &addr), &op);
    EXPECT_OK(net_listen(&op, &addr, &joins, &second), &op);
    EXPECT_OK(net_listen(&op, &addr, &joins, &third), &op);
    EXPECT_EQ(net_listen(&op, &addr, &opens, &none), ERR_EXISTS); /* another engine, say */
    EXPECT_EQ(net_listen(&op, &addr, NULL, &none), ERR_EXISTS);

    /* all of them are served */
    bool has_got[3] = {false};
    int listeners[3] = {first, second, third};
    for (size_t i = 0; i < 100; i++) {
        auto_fd int dialled = -1;
        REQUIRE_OK(net_dial(&op, &addr, &dialled), &op);
        wait_for(dialled, POLLOUT);
        for (size_t k = 0; k < 3; k++) {
            int fd = -1;
            if (net_accept(listeners[k], &fd, NULL) == ERR_OK) {
                has_got[k] = true;
                (void)close(fd);
            }
        }
    }
    EXPECT(has_got[0] && has_got[1] && has_got[2]);
}

TEST(a_unix_socket_has_mode_0600_and_a_stale_one_is_taken_over)
{
    auto_op struct op op;
    op_init(&op);
    char text[128];
    (void)snprintf(text, sizeof(text), "unix:%s/s", test_folder());
    struct net_addr addr;
    int first = listen_on(&op, text, &addr);
    struct stat st;
    REQUIRE_EQ(stat(addr.un.sun_path, &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600);

    int second = -1;
    EXPECT_EQ(net_listen(&op, &addr, NULL, &second), ERR_EXISTS); /* somebody listens */
    (void)close(first);
    REQUIRE_OK(net_listen(&op, &addr, NULL, &second), &op);
    auto_fd int dialled = -1;
    EXPECT_OK(net_dial(&op, &addr, &dialled), &op);
    (void)close(second);
}

TEST(a_plain_file_is_never_removed_for_a_unix_socket)
{
    auto_op struct op op;
    op_init(&op);
    struct net_addr addr;
    struct str text = arena_printf(&op.arena, "unix:%s/file", test_folder());
    REQUIRE(net_addr_parse(text, &addr));
    auto_fd int file = open(addr.un.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    REQUIRE(file != -1);
    int fd = -1;
    EXPECT_EQ(net_listen(&op, &addr, NULL, &fd), ERR_EXISTS);
    EXPECT_EQ(access(addr.un.sun_path, F_OK), 0);
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
}

TEST(descriptors_travel_with_bytes_up_to_the_limit)
{
    auto_op struct op op;
    op_init(&op);
    int pair[2];
    REQUIRE_OK(net_pair(&op, SOCK_STREAM, pair), &op);
    int sent[NET_FDS_MAX];
    for (size_t i = 0; i < NET_FDS_MAX; i++) {
        sent[i] = dup(pair[0]);
    }
    struct iovec piece = {.iov_base = (char[]){"hello"}, .iov_len = 5};
    EXPECT_EQ(net_send_with_fds(pair[0], &piece, 1, sent, NET_FDS_MAX), 5);
    close_all(sent, NET_FDS_MAX);

    char bytes[16];
    int got[NET_FDS_MAX];
    size_t got_count = 0;
    EXPECT_EQ(net_receive_with_fds(pair[1], bytes, sizeof(bytes), got, &got_count), 5);
    EXPECT_EQ(got_count, NET_FDS_MAX);
    EXPECT(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    close_all(got, got_count);
    EXPECT_EQ(net_receive_with_fds(pair[1], bytes, sizeof(bytes), got, &got_count), -1);
    EXPECT_EQ(errno, EAGAIN);
    close_all(pair, 2);
}

TEST(more_descriptors_than_the_limit_are_refused_and_none_is_kept)
{
    auto_op struct op op;
    op_init(&op);
    int pair[2];
    REQUIRE_OK(net_pair(&op, SOCK_STREAM, pair), &op);
    enum { COUNT = NET_FDS_MAX + 1 };
    union {
        struct cmsghdr aligned;
        char bytes[CMSG_SPACE(sizeof(int) * COUNT)];
    } room = {0};
    struct iovec piece = {.iov_base = (char[]){"x"}, .iov_len = 1};
    struct msghdr m = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof(room)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS,
                          .cmsg_len = CMSG_LEN(sizeof(int) * COUNT)};
    for (size_t i = 0; i < COUNT; i++) {
        memcpy(CMSG_DATA(c) + i * sizeof(int), &pair[0], sizeof(int));
    }
    REQUIRE_EQ(sendmsg(pair[0], &m, 0), 1);
    char byte;
    int got[NET_FDS_MAX];
    size_t got_count = 0;
    EXPECT_EQ(net_receive_with_fds(pair[1], &byte, 1, got, &got_count), -1);
    EXPECT_EQ(errno, EMSGSIZE);
    EXPECT_EQ(got_count, 0);
    close_all(pair, 2); /* the harness counts descriptors */
}
