/* A shop of one page, to deploy in rehearsals: a small HTTP/1.1 server without dependencies.
 *
 * PORT (and HOST) say where to listen; VERSION is what it answers. The faults that a release can
 * have: FAIL_EVERY=3      every third request is answered with 500 CRASH_AT_START=1  prints a stack
 * trace and exits with 1, as a program with a missing setting does SLOW_MS=200       every answer
 * takes so long UNHEALTHY=1       /health answers 503 CRASH_AFTER=100   exits with 1 at that
 * request On SIGTERM it finishes what it has begun and ends. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_BYTES_MAX 16384
#define CONNECTIONS_MAX   4096

struct connection {
    int fd;
    size_t len;
    char request[REQUEST_BYTES_MAX];
};

static struct {
    const char *version;
    long fail_every;
    long slow_ms;
    long crash_after;
    bool is_unhealthy;
    long request_count;
    size_t open_count;
} shop;

static volatile sig_atomic_t is_stopping;

static void on_term(int signal_number)
{
    (void)signal_number;
    is_stopping = 1;
}

static long setting(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? 0 : strtol(text, NULL, 10); /* lint: strtol */
}

static void close_connection(struct connection *c)
{
    (void)close(c->fd);
    free(c); /* lint: free */
    shop.open_count--;
}

static bool send_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
        if (sent <= 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
        if (sent > 0) {
            text += sent;
            len -= (size_t)sent;
        }
    }
    return true;
}

static bool answer(struct connection *c, int status, const char *reason, const char *type,
                   const char *body)
{
    char text[4096];
    int len = snprintf(
        text, sizeof(text),
        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nX-Version: %s\r\n%s\r\n%s",
        status, reason, type, strlen(body), shop.version,
        is_stopping ? "Connection: close\r\n" : "", body);
    return send_all(c->fd, text, (size_t)len) && !is_stopping;
}

static bool serve_shop(struct connection *c)
{
    char body[512];
    shop.request_count++;
    if (shop.crash_after > 0 && shop.request_count >= shop.crash_after) {
        (void)fprintf(stderr, "fatal: cannot take an order: the price list is gone\n");
        exit(1);
    }
    if (shop.slow_ms > 0) {
        struct timespec wait = {.tv_sec = shop.slow_ms / 1000,
                                .tv_nsec = (shop.slow_ms % 1000) * 1000000};
        (void)nanosleep(&wait, NULL);
    }
    if (shop.fail_every > 0 && shop.request_count % shop.fail_every == 0) {
        (void)fprintf(stderr, "error: order %ld: column \"delivery_notes\" does not exist\n",
                      shop.request_count);
        return answer(c, 500, "Internal Server Error", "application/json",
                      "{\"error\":\"internal\"}\n");
    }
    (void)snprintf(body, sizeof(body), "{\"shop\":\"open\",\"version\":\"%s\"}\n", shop.version);
    return answer(c, 200, "OK", "application/json", body);
}

static bool serve_health(struct connection *c)
{
    char body[128];
    (void)snprintf(body, sizeof(body), "{\"status\":\"%s\",\"version\":\"%s\"}\n",
                   shop.is_unhealthy ? "degraded" : "healthy", shop.version);
    return shop.is_unhealthy ? answer(c, 503, "Service Unavailable", "application/json", body)
                             : answer(c, 200, "OK", "application/json", body);
}

/* Length of the request at the front, 0 while it is not whole. */
static size_t whole_request(const struct connection *c)
{
    const char *end = memmem(c->request, c->len, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    size_t len = (size_t)(end - c->request) + 4;
    for (const char *line = c->request; line < end;) {
        if (strncasecmp(line, "content-length:", 15) == 0) {
            len += (size_t)strtoul(line + 15, NULL, 10); /* lint: strtoul */
        }
        const char *next = memchr(line, '\n', (size_t)(end - line));
        line = next == NULL ? end : next + 1;
    }
    return len <= c->len ? len : 0;
}

/* Answers every whole request in the buffer; false when the connection is to be closed. */
static bool serve_requests(struct connection *c)
{
    for (size_t len = whole_request(c); len > 0; len = whole_request(c)) {
        bool is_health = memmem(c->request, len, " /health ", 9) != NULL;
        bool is_kept = is_health ? serve_health(c) : serve_shop(c);
        memmove(c->request, c->request + len, c->len - len);
        c->len -= len;
        if (!is_kept) {
            return false;
        }
    }
    return c->len < sizeof(c->request);
}

static void on_readable(struct connection *c)
{
    ssize_t got = recv(c->fd, c->request + c->len, sizeof(c->request) - c->len, 0);
    if (got == -1 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        close_connection(c);
        return;
    }
    c->len += (size_t)got;
    if (!serve_requests(c)) {
        close_connection(c);
    }
}

static void on_connection(int epoll_fd, int listen_fd)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd == -1) {
        return;
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct connection *c = calloc(1, sizeof(*c)); /* lint: calloc */
    if (c == NULL || shop.open_count >= CONNECTIONS_MAX) {
        (void)close(fd);
        free(c); /* lint: free */
        return;
    }
    c->fd = fd;
    shop.open_count++;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    (void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int open_listener(void)
{
    const char *host = getenv("HOST") == NULL ? "0.0.0.0" : getenv("HOST");
    long port = setting("PORT") == 0 ? 8080 : setting("PORT");
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (inet_pton(AF_INET, host, &at.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&at, sizeof(at)) == -1 || listen(fd, 1024) == -1) {
        (void)fprintf(stderr, "fatal: could not listen on %s:%ld: %s\n", host, port,
                      strerror(errno));
        exit(1);
    }
    (void)printf("shop %s listens on %s:%ld\n", shop.version, host, port);
    (void)fflush(stdout);
    return fd;
}

static void serve_until_term(int epoll_fd, int listen_fd)
{
    struct epoll_event listening = {.events = EPOLLIN, .data.ptr = NULL};
    (void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &listening);
    while (!is_stopping) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll_fd, events, 64, 1000);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) {
                on_connection(epoll_fd, listen_fd);
            } else {
                on_readable(events[i].data.ptr);
            }
        }
    }
}

int main(void)
{
    struct sigaction on_signal = {.sa_handler = on_term};
    (void)sigaction(SIGTERM, &on_signal, NULL);
    (void)sigaction(SIGINT, &on_signal, NULL);
    shop.version = getenv("VERSION") == NULL ? "v0" : getenv("VERSION");
    shop.fail_every = setting("FAIL_EVERY");
    shop.slow_ms = setting("SLOW_MS");
    shop.crash_after = setting("CRASH_AFTER");
    shop.is_unhealthy = setting("UNHEALTHY") != 0;
    if (setting("CRASH_AT_START") != 0) {
        (void)fprintf(
            stderr,
            "fatal: BACKEND_URL is not set\n    at connect (shop.c:12)\n    at main (shop.c:3)\n");
        return 1;
    }
    int listen_fd = open_listener();
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    serve_until_term(epoll_fd, listen_fd);
    (void)close(listen_fd);
    (void)printf("shop %s stops after %ld requests\n", shop.version, shop.request_count);
    return 0;
}
