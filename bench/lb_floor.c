/* The floor under every proxy: a relay that only moves bytes. One thread, one connection to the
 * origin for each client, recv and send and nothing else; with a certificate it ends TLS 1.3 as
 * OpenSSL does it straight on the socket. What a balancer costs above this is its own work.
 *
 *   lb_floor PORT (PORT | unix:/PATH) [CERTIFICATE_AND_KEY.pem] */

#include "base/check.h"
#include "base/mem.h"
#include "base/op.h"
#include "net/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#define ERR_STATE openssl_err_state /* a type of theirs, a constant of ours */
#include <openssl/ssl.h>
#undef ERR_STATE
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#define SCRATCH_BYTES ((size_t)256 * 1024)
#define BATCH_MAX     256

struct side {
    int fd;
    SSL *tls; /* the client's, or NULL */
    struct side *other;
    char *kept; /* what could not be sent yet */
    size_t kept_len;
};

static int epoll_fd;
static struct net_addr origin;
static SSL_CTX *tls_context;
static char scratch[SCRATCH_BYTES];

static void watch(struct side *s, int how, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};
    CHECK(epoll_ctl(epoll_fd, how, s->fd, &e) == 0);
}

static ssize_t read_side(struct side *s)
{
    if (s->tls == NULL) {
        return recv(s->fd, scratch, sizeof(scratch), 0);
    }
    int n = SSL_read(s->tls, scratch, (int)sizeof(scratch));
    if (n <= 0) {
        bool is_later = SSL_get_error(s->tls, n) == SSL_ERROR_WANT_READ;
        errno = is_later ? EAGAIN : EIO;
        return is_later ? -1 : 0;
    }
    return n;
}

static ssize_t write_side(struct side *s, const char *bytes, size_t count)
{
    if (s->tls == NULL) {
        return send(s->fd, bytes, count, MSG_NOSIGNAL);
    }
    int n = SSL_write(s->tls, bytes, (int)count);
    if (n <= 0) {
        errno = EAGAIN;
        return -1;
    }
    return n;
}

/* False when the other side is gone. What does not go out now stops the reading until it has. */
static bool pass_on(struct side *from, const char *bytes, size_t count)
{
    struct side *to = from->other;
    while (count > 0) {
        ssize_t n = write_side(to, bytes, count);
        if (n < 0 && errno != EAGAIN) {
            return false;
        }
        if (n < 0) {
            to->kept = mem_resize(to->kept, count);
            memmove(to->kept, bytes, count);
            to->kept_len = count;
            watch(from, EPOLL_CTL_MOD, 0);
            watch(to, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return true;
        }
        bytes += n;
        count -= (size_t)n;
    }
    return true;
}

static void end_pair(struct side *s)
{
    struct side *both[] = {s, s->other};
    for (size_t i = 0; i < 2; i++) {
        SSL_free(both[i]->tls);
        (void)close(both[i]->fd);
        mem_free(both[i]->kept);
        /* events of this batch may still name it: marked, and freed with the process */
        both[i]->fd = -1;
        both[i]->tls = NULL;
    }
}

static void flush(struct side *s)
{
    size_t len = s->kept_len;
    s->kept_len = 0;
    char *kept = s->kept;
    s->kept = NULL;
    bool is_there = pass_on(s->other, kept, len);
    mem_free(kept);
    if (!is_there) {
        end_pair(s);
    } else if (s->kept_len == 0) {
        watch(s, EPOLL_CTL_MOD, EPOLLIN);
        watch(s->other, EPOLL_CTL_MOD, EPOLLIN);
    }
}

static void on_side(struct side *s, uint32_t ready)
{
    if (s->fd < 0) {
        return;
    }
    if ((ready & EPOLLOUT) != 0 && s->kept_len > 0) {
        flush(s);
        return;
    }
    ssize_t n;
    do {
        n = read_side(s);
        if (n == 0 || (n < 0 && errno != EAGAIN) || (n > 0 && !pass_on(s, scratch, (size_t)n))) {
            end_pair(s);
            return;
        }
    } while (n > 0 && s->tls != NULL && SSL_has_pending(s->tls) != 0);
}

static void accept_all(int listen_fd)
{
    int fd = -1;
    while (net_accept(listen_fd, &fd, NULL) == ERR_OK) {
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        struct side *client = MEM_NEW(struct side);
        struct side *target = MEM_NEW(struct side);
        client->fd = fd;
        CHECK(net_dial_errno(&origin, &target->fd) == 0);
        client->other = target;
        target->other = client;
        if (tls_context != NULL) {
            client->tls = SSL_new(tls_context);
            CHECK(client->tls != NULL && SSL_set_fd(client->tls, fd) == 1);
            SSL_set_accept_state(client->tls);
        }
        watch(client, EPOLL_CTL_ADD, EPOLLIN);
        watch(target, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void load_certificate(const char *path)
{
    tls_context = SSL_CTX_new(TLS_server_method());
    CHECK(tls_context != NULL);
    CHECK(SSL_CTX_use_certificate_chain_file(tls_context, path) == 1);
    CHECK(SSL_CTX_use_PrivateKey_file(tls_context, path, SSL_FILETYPE_PEM) == 1);
    (void)SSL_CTX_set_mode(tls_context,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(tls_context, 1);
    (void)SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_OFF);
}

int main(int argc, char **argv)
{
    auto_op struct op op;
    op_init(&op);
    (void)signal(SIGPIPE, SIG_IGN);
    CHECK(argc >= 3);
    char text[128];
    struct net_addr here;
    (void)snprintf(text, sizeof(text), "127.0.0.1:%s", argv[1]);
    CHECK(net_addr_parse(str_of(text), &here));
    bool is_unix = str_starts_with(str_of(argv[2]), STR("unix:"));
    (void)snprintf(text, sizeof(text), "%s%s", is_unix ? "" : "127.0.0.1:", argv[2]);
    CHECK(net_addr_parse(str_of(text), &origin));
    if (argc > 3) {
        load_certificate(argv[3]);
    }
    int listen_fd = -1;
    if (net_listen(&op, &here, NULL, &listen_fd) != ERR_OK) {
        (void)fprintf(stderr, "lb_floor: %s\n", op.note.text);
        return 1;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN};
    CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &e) == 0);
    for (;;) {
        static struct epoll_event batch[BATCH_MAX];
        int count = epoll_wait(epoll_fd, batch, BATCH_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (batch[i].data.ptr == NULL) {
                accept_all(listen_fd);
            } else {
                on_side(batch[i].data.ptr, batch[i].events);
            }
        }
    }
}
