/* The origin behind the proxies that are compared: one thread, answers every request with a fixed
 * body, as cheaply as it can, so that it is not what is measured.
 *
 *   lb_origin (PORT | unix:/PATH) BYTES */

#include "base/buf.h"
#include "base/cleanup.h"
#include "ev/loop.h"
#include "http/h1.h"
#include "net/socket.h"

#include <signal.h>
#include <stdio.h>

#define READ_BYTES ((size_t)256 * 1024)

struct origin {
    struct ev_loop loop;
    struct ev_fd listener;
    struct buf answer;
    char scratch[READ_BYTES];
};

struct conn {
    struct ev_fd fd;
    uint64_t body_left;
    size_t unsent; /* of the answer */
};

static struct origin origin;

static void drop(struct conn *c)
{
    ev_fd_close(&c->fd);
    mem_free(c);
}

static bool write_answer(struct conn *c)
{
    while (c->unsent > 0) {
        ssize_t n = send(c->fd.fd, origin.answer.ptr + origin.answer.len - c->unsent, c->unsent,
                         MSG_NOSIGNAL);
        if (n < 0) {
            ev_fd_want(&c->fd, EV_READ | EV_WRITE);
            return true;
        }
        c->unsent -= (size_t)n;
    }
    ev_fd_want(&c->fd, EV_READ);
    return true;
}

/* Only what the load generators send: whole heads, Content-Length, no pipelining. */
static bool take(struct conn *c, const char *bytes, size_t count)
{
    if (c->body_left == 0) {
        struct h1_head h;
        h1_head_init(&h);
        enum h1_result r = h1_parse_request(&h, bytes, count);
        if (r != H1_DONE) {
            return false;
        }
        count -= h.head_bytes;
        c->body_left = h.content_length;
    }
    size_t body = count < c->body_left ? count : (size_t)c->body_left;
    c->body_left -= body;
    if (c->body_left == 0) {
        c->unsent = origin.answer.len;
        return write_answer(c);
    }
    return true;
}

static void on_conn(struct ev_fd *fd, unsigned ready)
{
    struct conn *c = CONTAINER_OF(fd, struct conn, fd);
    if ((ready & EV_WRITE) != 0) {
        (void)write_answer(c);
    }
    if ((ready & (EV_READ | EV_BROKEN)) != 0) {
        ssize_t n = recv(fd->fd, origin.scratch, READ_BYTES, 0);
        if (n <= 0 || !take(c, origin.scratch, (size_t)n)) {
            drop(c);
        }
    }
}

static void on_listener(struct ev_fd *fd, unsigned ready)
{
    (void)ready;
    int conn_fd = -1;
    while (net_accept(fd->fd, &conn_fd, NULL) == ERR_OK) {
        struct conn *c = MEM_NEW(struct conn);
        CHECK(ev_fd_open(&origin.loop, &c->fd, conn_fd, EV_READ, on_conn) == ERR_OK);
    }
}

int main(int argc, char **argv)
{
    auto_op struct op op;
    op_init(&op);
    uint64_t bytes = 0;
    struct net_addr addr;
    char text[128];
    (void)signal(SIGPIPE, SIG_IGN);
    CHECK(argc == 3 && str_parse_u64(str_of(argv[2]), 1 << 28, &bytes));
    bool is_unix = str_starts_with(str_of(argv[1]), STR("unix:"));
    (void)snprintf(text, sizeof(text), "%s%s", is_unix ? "" : "127.0.0.1:", argv[1]);
    CHECK(net_addr_parse(str_of(text), &addr));
    buf_init(&origin.answer, (size_t)1 << 29);
    buf_addf(&origin.answer,
             "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Fri, 20 Nov 2026 15:42:10 GMT\r\n"
             "Content-Type: text/plain\r\nContent-Length: %llu\r\n\r\n",
             (unsigned long long)bytes);
    char *body = buf_reserve(&origin.answer, bytes);
    memset(body, 'x', bytes);
    origin.answer.len += bytes;
    int fd = -1;
    CHECK(ev_loop_open(&op, &origin.loop) == ERR_OK);
    if (net_listen(&op, &addr, NULL, &fd) != ERR_OK) {
        (void)fprintf(stderr, "lb_origin: %s\n", op.note.text);
        return 1;
    }
    CHECK(ev_fd_open(&origin.loop, &origin.listener, fd, EV_READ, on_listener) == ERR_OK);
    ev_loop_run(&origin.loop);
    return 0;
}
