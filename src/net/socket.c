#include "net/socket.h"

#include "base/check.h"
#include "base/cleanup.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>

#define UNIX_MODE_DEFAULT 0600
#define STREAM            (SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)
#define DATAGRAM          (SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK)

static bool set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static bool is_ip(const struct net_addr *addr)
{
    return addr->any.sa_family == AF_INET || addr->any.sa_family == AF_INET6;
}

static bool set_listen_options(int fd, const struct net_addr *addr,
                               const struct net_listen_options *o)
{
    if (!is_ip(addr)) {
        return true;
    }
    /* accepted sockets inherit TCP_NODELAY: one system call less for each */
    bool is_set = addr->is_datagram || (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
                                        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1));
    if (o->is_shared_port) {
        is_set = is_set && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (o->may_be_foreign) {
        is_set = is_set && set_option(fd, IPPROTO_IP, IP_FREEBIND, 1);
    }
    if (o->accept_delay_s > 0 && !addr->is_datagram) {
        is_set = is_set && set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, o->accept_delay_s);
    }
    if (addr->any.sa_family == AF_INET6) {
        is_set = is_set && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, o->is_v6_only);
    }
    return is_set;
}

/* A socket file outlives its process. It may be replaced when nobody answers behind it. */
static bool remove_stale_unix(const struct net_addr *addr)
{
    struct stat st;
    if (lstat(addr->un.sun_path, &st) == -1 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    auto_fd int fd = socket(AF_UNIX, STREAM, 0);
    if (fd == -1 || connect(fd, &addr->any, addr->len) == 0 || errno != ECONNREFUSED) {
        return false;
    }
    return unlink(addr->un.sun_path) == 0;
}

static bool bind_to(int fd, const struct net_addr *addr)
{
    if (bind(fd, &addr->any, addr->len) == 0) {
        return true;
    }
    if (errno == EADDRINUSE && net_addr_is_unix(addr) && remove_stale_unix(addr)) {
        return bind(fd, &addr->any, addr->len) == 0;
    }
    return false;
}

enum err net_listen(struct op *op, const struct net_addr *addr,
                    const struct net_listen_options *options, int *ret_fd)
{
    static const struct net_listen_options none = {0};
    const struct net_listen_options *o = options == NULL ? &none : options;
    char text[NET_ADDR_TEXT_BYTES_MAX];
    (void)net_addr_format(addr, text);
    CHECK(addr->len != 0);

    auto_fd int fd = socket(addr->any.sa_family, addr->is_datagram ? DATAGRAM : STREAM, 0);
    if (fd == -1) {
        return op_fail_errno(op, "could not create a socket for %s", text);
    }
    if (!set_listen_options(fd, addr, o)) {
        return op_fail_errno(op, "could not prepare the socket for %s", text);
    }
    if (!bind_to(fd, addr)) {
        return op_fail_errno(op, "could not bind to %s", text);
    }
    /* set after bind, the option does not let us share what somebody else has opened */
    if (o->opens_shared_port && is_ip(addr) && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) {
        return op_fail_errno(op, "could not share the port of %s", text);
    }
    mode_t mode = o->unix_mode == 0 ? UNIX_MODE_DEFAULT : o->unix_mode;
    if (net_addr_is_unix(addr) && chmod(addr->un.sun_path, mode) == -1) {
        return op_fail_errno(op, "could not set the mode of %s", text);
    }
    if (!addr->is_datagram &&
        listen(fd, o->backlog == 0 ? NET_BACKLOG_DEFAULT : o->backlog) == -1) {
        return op_fail_errno(op, "could not listen on %s", text);
    }
    *ret_fd = steal_fd(&fd);
    return ERR_OK;
}

static enum err accept_error(int errno_value)
{
    switch (errno_value) {
    case EAGAIN:
        return ERR_AGAIN;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return ERR_NO_SPACE;
    default:
        return ERR_CLOSED; /* ECONNABORTED, EINTR, and network errors that were pending */
    }
}

enum err net_accept(int listen_fd, int *ret_fd, struct net_addr *ret_peer)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    struct sockaddr *any = (struct sockaddr *)&peer;
    int fd = ret_peer == NULL ? accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)
                              : accept4(listen_fd, any, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd == -1) {
        return accept_error(errno);
    }
    if (ret_peer != NULL && !net_addr_from_sockaddr(any, len, ret_peer)) {
        *ret_peer = (struct net_addr){0};
    }
    *ret_fd = fd;
    return ERR_OK;
}

int net_dial_errno(const struct net_addr *addr, int *ret_fd)
{
    CHECK(addr->len != 0);
    auto_fd int fd = socket(addr->any.sa_family, addr->is_datagram ? DATAGRAM : STREAM, 0);
    if (fd == -1) {
        return errno;
    }
    if (is_ip(addr) && !addr->is_datagram && !set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1)) {
        return errno;
    }
    if (connect(fd, &addr->any, addr->len) == -1 && errno != EINPROGRESS) {
        return errno;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

enum err net_dial(struct op *op, const struct net_addr *addr, int *ret_fd)
{
    int failure = net_dial_errno(addr, ret_fd);
    if (failure == 0) {
        return ERR_OK;
    }
    char text[NET_ADDR_TEXT_BYTES_MAX];
    (void)net_addr_format(addr, text);
    if (failure == EAGAIN) {
        return op_fail(op, ERR_AGAIN, "%s takes no more connections now", text);
    }
    errno = failure;
    return op_fail_errno(op, "could not connect to %s", text);
}

int net_dial_result(int fd)
{
    int failure = 0;
    socklen_t len = sizeof(failure);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) == -1) {
        return errno;
    }
    return failure;
}

enum err net_local_addr(struct op *op, int fd, struct net_addr *ret_addr)
{
    struct sockaddr_storage local;
    socklen_t len = sizeof(local);
    if (getsockname(fd, (struct sockaddr *)&local, &len) == -1) {
        return op_fail_errno(op, "could not read a socket's address");
    }
    if (!net_addr_from_sockaddr((const struct sockaddr *)&local, len, ret_addr)) {
        return op_fail(op, ERR_UNSUPPORTED, "the socket is of an unknown family");
    }
    int type = SOCK_STREAM;
    socklen_t type_len = sizeof(type);
    (void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len);
    ret_addr->is_datagram = type == SOCK_DGRAM;
    return ERR_OK;
}

enum err net_pair(struct op *op, int type, int ret_fds[2])
{
    int fds[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == -1) {
        return op_fail_errno(op, "could not create a socket pair");
    }
    ret_fds[0] = fds[0];
    ret_fds[1] = fds[1];
    return ERR_OK;
}

/* ---- descriptors with a message ---- */

union fds_room {
    struct cmsghdr aligned;
    char bytes[CMSG_SPACE(sizeof(int) * NET_FDS_MAX)];
};

ssize_t net_send_with_fds(int fd, struct iovec *pieces, size_t piece_count, const int *fds,
                          size_t fd_count)
{
    CHECK(fd_count <= NET_FDS_MAX);
    union fds_room room = {0};
    struct msghdr m = {.msg_iov = pieces, .msg_iovlen = piece_count};
    if (fd_count > 0) {
        m.msg_control = &room;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
    }
    ssize_t sent = 0;
    do {
        sent = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent == -1 && errno == EINTR);
    return sent;
}

/* All control messages, because a hostile peer may send several. */
static size_t collect_fds(struct msghdr *m, int *ret_fds)
{
    size_t count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        CHECK(count + here <= NET_FDS_MAX); /* the room holds no more */
        memcpy(ret_fds + count, CMSG_DATA(c), here * sizeof(int));
        count += here;
    }
    return count;
}

ssize_t net_receive_with_fds(int fd, void *bytes, size_t count, int *ret_fds, size_t *ret_fd_count)
{
    union fds_room room;
    struct iovec piece = {.iov_base = bytes, .iov_len = count};
    struct msghdr m = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof(room)};
    ssize_t got = 0;
    do {
        got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (got == -1 && errno == EINTR);
    if (got == -1) {
        return -1;
    }
    size_t fd_count = collect_fds(&m, ret_fds);
    if ((m.msg_flags & MSG_CTRUNC) != 0) {
        for (size_t i = 0; i < fd_count; i++) {
            (void)close(ret_fds[i]);
        }
        errno = EMSGSIZE;
        return -1;
    }
    *ret_fd_count = fd_count;
    return got;
}
