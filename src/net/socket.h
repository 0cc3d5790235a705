#pragma once
/* Sockets, non-blocking and close-on-exec from birth; TCP without Nagle's delay. Streams, but for
 * addresses of datagrams. */

#include "base/op.h"
#include "net/addr.h"

#include <sys/uio.h>

#define NET_BACKLOG_DEFAULT 4096
#define NET_FDS_MAX         64 /* descriptors with one message; the kernel's own limit is 253 */

struct net_listen_options {
    int backlog;            /* 0: NET_BACKLOG_DEFAULT; the kernel caps it at net.core.somaxconn */
    bool opens_shared_port; /* the port must be free, then others may join it */
    bool is_shared_port;    /* SO_REUSEPORT: joins whoever of our user shares the port */
    bool may_be_foreign;    /* IP_FREEBIND: bind before the address exists */
    bool is_v6_only;        /* else [::] takes IPv4 as well */
    int accept_delay_s;     /* TCP_DEFER_ACCEPT; 0: none */
    mode_t unix_mode;       /* of a Unix socket's file; 0: 0600 */
};

/* Bound and listening; one of datagrams is bound. A Unix path where nobody listens any more is
 * taken over. options may be NULL. ERR_EXISTS when the address is in use, ERR_DENIED, ERR_NO_SPACE.
 */
enum err net_listen(struct op *op, const struct net_addr *addr,
                    const struct net_listen_options *options, int *ret_fd) MUST_USE;

/* ERR_AGAIN: nobody waits. ERR_CLOSED: that one went away, try the next. ERR_NO_SPACE: out of
 * descriptors or memory, the connection still waits: pause, or a level-triggered loop spins.
 * ret_peer may be NULL. */
enum err net_accept(int listen_fd, int *ret_fd, struct net_addr *ret_peer) MUST_USE;

/* Starts to connect. The socket becomes writable (or broken) when it is decided; then ask
 * net_dial_result. A Unix socket is connected at once; ERR_AGAIN means its backlog is full. */
enum err net_dial(struct op *op, const struct net_addr *addr, int *ret_fd) MUST_USE;
/* Without an op, for hot paths: 0 or the errno of the failed step. */
int net_dial_errno(const struct net_addr *addr, int *ret_fd) MUST_USE;
/* 0 when connected, else the errno of the attempt. */
int net_dial_result(int fd);

enum err net_local_addr(struct op *op, int fd, struct net_addr *ret_addr) MUST_USE;

/* A connected pair of Unix sockets. type: SOCK_STREAM or SOCK_SEQPACKET. */
enum err net_pair(struct op *op, int type, int ret_fds[2]) MUST_USE;

/* writev and sendmsg do not write to what they send, but their struct is the one of readv. */
static inline struct iovec net_piece(struct str s)
{
    struct iovec piece = {.iov_len = s.len};
    memcpy(&piece.iov_base, &s.ptr, sizeof(s.ptr));
    return piece;
}

/* Sends bytes with descriptors attached to the first of them; copies of them arrive, ours stay
 * ours. At least one byte when fd_count > 0; fd_count <= NET_FDS_MAX. The result is sendmsg's:
 * bytes taken, or -1 and errno (EAGAIN: nothing was sent, the descriptors neither). */
ssize_t net_send_with_fds(int fd, struct iovec *pieces, size_t piece_count, const int *fds,
                          size_t fd_count);
/* Receives bytes and the descriptors that came along, close-on-exec, into
 * ret_fds[NET_FDS_MAX]; the caller owns them. -1 and EMSGSIZE when more came than fit (those that
 * came are closed). */
ssize_t net_receive_with_fds(int fd, void *bytes, size_t count, int *ret_fds, size_t *ret_fd_count);
