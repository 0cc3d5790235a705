#include "load/load.h"

#include "base/check.h"
#include "base/mem.h"
#include "ev/loop.h"
#include "http/h1.h"
#include "net/socket.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#define ANSWER_BYTES_MAX  65536
#define REQUEST_BYTES_MAX 4096
#define TICK_US           1000

enum slot_state { SLOT_CLOSED, SLOT_CONNECTING, SLOT_IDLE, SLOT_WAITING };

struct slot {
    struct load *load;
    struct ev_fd watch;
    enum slot_state state;
    mono_t due; /* of the request under way */
    struct h1_head head;
    struct h1_chunked chunked;
    bool has_head;
    uint64_t body_left;
    char version[LOAD_VERSION_BYTES];
    size_t len;
    char bytes[ANSWER_BYTES_MAX];
};

struct load {
    const struct load_options *options;
    struct ev_loop loop;
    struct ev_timer tick;
    struct slot *slots;
    char request[REQUEST_BYTES_MAX];
    size_t request_bytes;
    mono_t started;
    wall_t started_wall;
    uint64_t sent_count; /* requests that were given to a slot */
    size_t waiting_count;
    size_t next_slot;
};

static volatile sig_atomic_t is_stopping;

void load_stop(void)
{
    is_stopping = 1;
}

const char *load_outcome_text(enum load_outcome outcome)
{
    static const char *const texts[] = {
        [LOAD_ANSWERED] = "answered",       [LOAD_NO_CONNECT] = "no connection",
        [LOAD_BROKEN] = "connection broke", [LOAD_MALFORMED] = "malformed answer",
        [LOAD_TIMED_OUT] = "timed out",
    };
    return texts[outcome];
}

static void report(struct slot *s, enum load_outcome outcome)
{
    struct load *l = s->load;
    struct load_sample sample = {
        .due = wall_add(l->started_wall, mono_since(s->due, l->started)),
        .took = mono_since(clock_mono(), s->due),
        .outcome = outcome,
    };
    if (outcome == LOAD_ANSWERED) {
        memcpy(sample.version, s->version, sizeof(sample.version));
        sample.status = s->head.status;
    }
    l->waiting_count--;
    l->options->on_sample(l->options->self, &sample);
}

static void close_slot(struct slot *s)
{
    ev_fd_close(&s->watch);
    s->state = SLOT_CLOSED;
    s->len = 0;
    s->has_head = false;
}

static void fail_slot(struct slot *s, enum load_outcome outcome)
{
    bool had_request = s->state == SLOT_WAITING || s->state == SLOT_CONNECTING;
    if (had_request) {
        report(s, outcome);
    }
    close_slot(s);
}

static void send_request(struct slot *s)
{
    struct load *l = s->load;
    s->state = SLOT_WAITING;
    ev_fd_want(&s->watch, EV_READ | EV_PEER_CLOSED);
    ssize_t sent = send(s->watch.fd, l->request, l->request_bytes, MSG_NOSIGNAL);
    if (sent != (ssize_t)l->request_bytes) {
        fail_slot(s, LOAD_BROKEN);
    }
}

/* is_clean: nothing came behind the answer. */
static void finish_answer(struct slot *s, bool is_clean)
{
    report(s, LOAD_ANSWERED);
    if (!s->head.is_keep_alive || !is_clean) {
        close_slot(s);
        return;
    }
    s->len = 0;
    s->has_head = false;
    s->state = SLOT_IDLE;
}

/* The body is counted, not kept. */
static void take_body(struct slot *s, struct str bytes)
{
    if (s->head.framing == H1_LENGTH) {
        uint64_t taken = bytes.len < s->body_left ? bytes.len : s->body_left;
        s->body_left -= taken;
        if (s->body_left == 0) {
            finish_answer(s, bytes.len == taken);
        }
        return;
    }
    struct str data = STR_NONE;
    enum h1_result r = H1_MORE;
    do {
        r = h1_chunked_next(&s->chunked, &bytes, &data);
    } while (r == H1_MORE && (data.len > 0 || bytes.len > 0));
    if (r == H1_BAD) {
        fail_slot(s, LOAD_MALFORMED);
    } else if (r == H1_DONE) {
        finish_answer(s, bytes.len == 0);
    }
}

static void read_version(struct slot *s)
{
    size_t at = 0;
    struct str version = STR("");
    (void)h1_find_next(&s->head, STR("x-version"), &at, &version);
    (void)str_to_c(str_slice(version, 0, LOAD_VERSION_BYTES - 1), s->version, sizeof(s->version));
}

static void read_head(struct slot *s)
{
    enum h1_result r = h1_parse_response(&s->head, s->bytes, s->len, false);
    if (r == H1_MORE && s->len < sizeof(s->bytes)) {
        return;
    }
    if (r != H1_DONE || s->head.framing == H1_UNTIL_CLOSE) {
        fail_slot(s, LOAD_MALFORMED);
        return;
    }
    size_t head_bytes = s->head.head_bytes;
    s->body_left = s->head.framing == H1_LENGTH ? s->head.content_length : 0;
    h1_chunked_init(&s->chunked);
    s->has_head = true;
    if (s->head.framing == H1_NO_BODY) {
        read_version(s);
        finish_answer(s, s->len == head_bytes);
        return;
    }
    read_version(s);
    take_body(s, str_make(s->bytes + head_bytes, s->len - head_bytes));
}

static void on_ready(struct ev_fd *w, unsigned ready)
{
    struct slot *s = CONTAINER_OF(w, struct slot, watch);
    if (s->state == SLOT_CONNECTING) {
        int errno_value = net_dial_result(w->fd);
        if (errno_value != 0 || (ready & EV_BROKEN) != 0) {
            fail_slot(s, LOAD_NO_CONNECT);
        } else if ((ready & EV_WRITE) != 0) {
            send_request(s);
        }
        return;
    }
    /* behind the head the buffer is scratch: what the head said was noted */
    size_t at = s->has_head ? 0 : s->len;
    ssize_t got = recv(w->fd, s->bytes + at, sizeof(s->bytes) - at, 0);
    if (got == -1 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0 || s->state == SLOT_IDLE) {
        fail_slot(s, LOAD_BROKEN);
        return;
    }
    if (s->has_head) {
        take_body(s, str_make(s->bytes, (size_t)got));
        return;
    }
    s->len += (size_t)got;
    read_head(s);
}

static bool dial(struct slot *s)
{
    int fd = -1;
    if (net_dial_errno(&s->load->options->addr, &fd) != 0) {
        return false;
    }
    if (ev_fd_open(&s->load->loop, &s->watch, fd, EV_WRITE, on_ready) != ERR_OK) {
        (void)close(fd);
        return false;
    }
    s->state = SLOT_CONNECTING;
    return true;
}

/* An idle connection if there is one, else a closed slot, else NULL: the request waits its turn. */
static struct slot *pick_slot(struct load *l)
{
    struct slot *closed = NULL;
    for (size_t i = 0; i < l->options->connection_count; i++) {
        struct slot *s = &l->slots[(l->next_slot + i) % l->options->connection_count];
        if (s->state == SLOT_IDLE) {
            l->next_slot = (l->next_slot + i + 1) % l->options->connection_count;
            return s;
        }
        if (closed == NULL && s->state == SLOT_CLOSED) {
            closed = s;
        }
    }
    return closed;
}

static void start_request(struct slot *s, mono_t due)
{
    s->due = due;
    s->load->waiting_count++;
    s->load->sent_count++;
    s->len = 0;
    s->has_head = false;
    h1_head_init(&s->head);
    if (s->state == SLOT_IDLE) {
        send_request(s);
    } else if (!dial(s)) {
        report(s, LOAD_NO_CONNECT);
    }
}

static void drop_late(struct load *l)
{
    for (size_t i = 0; i < l->options->connection_count; i++) {
        struct slot *s = &l->slots[i];
        bool is_under_way = s->state == SLOT_WAITING || s->state == SLOT_CONNECTING;
        if (is_under_way && dur_ms(mono_since(clock_mono(), s->due)) > LOAD_REQUEST_TIMEOUT_MS) {
            fail_slot(s, LOAD_TIMED_OUT);
        }
    }
}

static mono_t due_of(const struct load *l, uint64_t number)
{
    return mono_add(l->started, DUR_US((double)number * 1e6 / l->options->rate_per_s));
}

static void on_tick(struct ev_timer *t)
{
    struct load *l = CONTAINER_OF(t, struct load, tick);
    mono_t now = clock_mono();
    bool is_over = is_stopping || (l->options->duration.us > 0 &&
                                   mono_since(now, l->started).us >= l->options->duration.us);
    while (!is_over && due_of(l, l->sent_count).us <= now.us) {
        struct slot *s = pick_slot(l);
        if (s == NULL) {
            break;
        }
        start_request(s, due_of(l, l->sent_count));
    }
    drop_late(l);
    if (is_over && l->waiting_count == 0) {
        ev_loop_stop(&l->loop);
        return;
    }
    ev_timer_set(&l->loop, t, DUR_US(TICK_US), on_tick);
}

static enum err write_request(struct op *op, struct load *l)
{
    int len = snprintf(
        l->request, sizeof(l->request),
        "GET %.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: hitless-load\r\nAccept: */*\r\n\r\n",
        STR_ARG(l->options->path), STR_ARG(l->options->host));
    if (len < 0 || (size_t)len >= sizeof(l->request)) {
        return op_fail(op, ERR_LIMIT, "the URL is longer than %d bytes", REQUEST_BYTES_MAX);
    }
    l->request_bytes = (size_t)len;
    return ERR_OK;
}

enum err load_run(struct op *op, const struct load_options *options)
{
    CHECK(options->rate_per_s > 0 && options->rate_per_s <= LOAD_RATE_MAX);
    CHECK(options->connection_count >= 1 && options->connection_count <= LOAD_CONNECTIONS_MAX);
    struct load *l = MEM_NEW(struct load);
    l->options = options;
    enum err e = write_request(op, l);
    if (e == ERR_OK) {
        e = ev_loop_open(op, &l->loop);
    }
    if (e != ERR_OK) {
        mem_free(l);
        return e;
    }
    l->slots = mem_alloc_array(options->connection_count, sizeof(struct slot));
    for (size_t i = 0; i < options->connection_count; i++) {
        l->slots[i].load = l;
    }
    l->started = clock_mono();
    l->started_wall = clock_wall();
    ev_timer_set(&l->loop, &l->tick, DUR_US(0), on_tick);
    ev_loop_run(&l->loop);
    ev_timer_stop(&l->tick);
    for (size_t i = 0; i < options->connection_count; i++) {
        close_slot(&l->slots[i]);
    }
    ev_loop_close(&l->loop);
    mem_free(l->slots);
    mem_free(l);
    return ERR_OK;
}
