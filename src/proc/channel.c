#include "proc/channel.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>

struct head {
    uint32_t payload_bytes;
    uint16_t type;
    uint16_t version;
    uint16_t fd_count;
    uint16_t zero;
};
_Static_assert(sizeof(struct head) == 12, "the head has no holes");

#define IN_BYTES_FIRST (64u << 10)
#define IN_BYTES_KEPT  (256u << 10) /* a larger buffer is given back once it is empty */

/* A message, or what is left of one, that waits to be sent. */
struct frame {
    struct list node;
    size_t len;
    size_t sent;
    size_t fd_count; /* 0 once they were sent */
    int fds[PROC_FDS_MAX];
    char bytes[];
};

static void close_fds(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
            fds[i] = -1;
        }
    }
}

static void drop_frame(struct proc_channel *ch, struct frame *f)
{
    list_remove(&f->node);
    ch->queued_bytes -= f->len - f->sent;
    ch->queued_fds -= f->fd_count;
    close_fds(f->fds, f->fd_count);
    mem_free(f);
}

void proc_channel_close(struct proc_channel *ch)
{
    if (!proc_channel_is_open(ch)) {
        return;
    }
    ev_fd_close(&ch->w);
    while (!list_is_empty(&ch->queue)) {
        drop_frame(ch, CONTAINER_OF(ch->queue.next, struct frame, node));
    }
    close_fds(ch->in_fds, ch->in_fd_count);
    ch->in_fd_count = 0;
    if (ch->ret_is_gone != NULL) {
        *ch->ret_is_gone = true; /* a callback is looking at in_bytes; its caller frees them */
    } else {
        mem_free(ch->in_bytes);
    }
    ch->in_bytes = NULL;
}

static void fail(struct proc_channel *ch, enum err why)
{
    proc_channel_close(ch);
    if (ch->on_closed != NULL) {
        ch->on_closed(ch, why);
    }
}

/* ---- receiving ---- */

static bool head_is_sound(const struct head *h)
{
    return h->payload_bytes <= PROC_PAYLOAD_BYTES_MAX && h->fd_count <= PROC_FDS_MAX &&
           h->zero == 0;
}

/* False when the callback closed the channel, which may then be freed memory. */
static bool deliver(struct proc_channel *ch, const struct head *h)
{
    char *bytes = ch->in_bytes;
    int fds[PROC_FDS_MAX];
    struct proc_message m = {
        .type = h->type,
        .version = h->version,
        .payload = str_make(bytes + ch->in_start + sizeof(*h), h->payload_bytes),
        .fds = fds,
        .fd_count = h->fd_count,
    };
    memcpy(fds, ch->in_fds, h->fd_count * sizeof(int));
    ch->in_fd_count -= h->fd_count;
    memmove(ch->in_fds, ch->in_fds + h->fd_count, ch->in_fd_count * sizeof(int));
    ch->in_start += sizeof(*h) + h->payload_bytes;

    bool is_gone = false;
    ch->ret_is_gone = &is_gone;
    ch->on_message(ch, &m);
    close_fds(fds, h->fd_count);
    if (is_gone) {
        mem_free(bytes);
        return false;
    }
    ch->ret_is_gone = NULL;
    return true;
}

enum parse { PARSE_MORE, PARSE_BAD, PARSE_GONE };

static enum parse parse_frames(struct proc_channel *ch, size_t *ret_frame_bytes)
{
    for (;;) {
        struct head h;
        size_t have = ch->in_end - ch->in_start;
        *ret_frame_bytes = sizeof(h);
        if (have < sizeof(h)) {
            break;
        }
        memcpy(&h, ch->in_bytes + ch->in_start, sizeof(h));
        if (!head_is_sound(&h) || h.fd_count > ch->in_fd_count) {
            return PARSE_BAD; /* descriptors come with a frame's first byte, so they are here */
        }
        *ret_frame_bytes = sizeof(h) + h.payload_bytes;
        if (have < *ret_frame_bytes) {
            break;
        }
        if (!deliver(ch, &h)) {
            return PARSE_GONE;
        }
    }
    bool has_fds_of_nobody = ch->in_start == ch->in_end && ch->in_fd_count > 0;
    return has_fds_of_nobody || ch->in_fd_count > PROC_FDS_MAX ? PARSE_BAD : PARSE_MORE;
}

/* Makes room for the whole of the frame that has begun. */
static void make_room(struct proc_channel *ch, size_t frame_bytes)
{
    size_t have = ch->in_end - ch->in_start;
    if (have == 0 && ch->in_capacity > IN_BYTES_KEPT) {
        mem_free(ch->in_bytes);
        ch->in_bytes = NULL;
        ch->in_capacity = 0;
    }
    if (ch->in_start > 0) {
        if (have > 0) {
            memmove(ch->in_bytes, ch->in_bytes + ch->in_start, have);
        }
        ch->in_start = 0;
        ch->in_end = have;
    }
    size_t wanted = frame_bytes > IN_BYTES_FIRST ? frame_bytes : IN_BYTES_FIRST;
    if (wanted > ch->in_capacity) {
        ch->in_bytes = mem_resize(ch->in_bytes, wanted);
        ch->in_capacity = wanted;
    }
}

static bool receive(struct proc_channel *ch, enum err *ret_why)
{
    if (ch->in_capacity == 0) {
        make_room(ch, 0);
    }
    int fds[NET_FDS_MAX];
    size_t fd_count = 0;
    ssize_t got = net_receive_with_fds(ch->w.fd, ch->in_bytes + ch->in_end,
                                       ch->in_capacity - ch->in_end, fds, &fd_count);
    if (got > 0) {
        CHECK(ch->in_fd_count + fd_count <= ARRAY_COUNT(ch->in_fds));
        memcpy(ch->in_fds + ch->in_fd_count, fds, fd_count * sizeof(int));
        ch->in_fd_count += fd_count;
        ch->in_end += (size_t)got;
        return true;
    }
    if (got == -1 && errno == EAGAIN) {
        return true;
    }
    *ret_why = got == -1 && errno == EMSGSIZE ? ERR_PROTOCOL : ERR_CLOSED;
    return false;
}

static bool send_queue(struct proc_channel *ch);

static void on_ready(struct ev_fd *w, unsigned ready)
{
    struct proc_channel *ch = CONTAINER_OF(w, struct proc_channel, w);
    bool may_read = (ready & (EV_READ | EV_BROKEN)) != 0;
    if ((ready & EV_WRITE) != 0 && !send_queue(ch)) {
        ev_fd_want(w, EV_READ);
        if (!may_read) {
            fail(ch, ERR_CLOSED);
            return;
        }
    }
    if (!may_read) {
        return;
    }
    enum err why = ERR_CLOSED;
    if (!receive(ch, &why)) {
        fail(ch, why);
        return;
    }
    size_t frame_bytes = 0;
    switch (parse_frames(ch, &frame_bytes)) {
    case PARSE_MORE:
        make_room(ch, frame_bytes);
        break;
    case PARSE_BAD:
        fail(ch, ERR_PROTOCOL);
        break;
    case PARSE_GONE:
        break;
    }
}

enum err proc_channel_open(struct ev_loop *loop, struct proc_channel *ch, int fd,
                           proc_message_fn *on_message, proc_closed_fn *on_closed)
{
    CHECK(!proc_channel_is_open(ch));
    *ch = (struct proc_channel){.on_message = on_message, .on_closed = on_closed};
    list_init(&ch->queue);
    enum err e = ev_fd_open(loop, &ch->w, fd, EV_READ, on_ready);
    if (e != ERR_OK) {
        (void)close(fd);
    }
    return e;
}

/* ---- sending ---- */

/* False when the other end is gone; the reading side finds that out, and what was left to read. */
static bool send_queue(struct proc_channel *ch)
{
    while (!list_is_empty(&ch->queue)) {
        struct frame *f = CONTAINER_OF(ch->queue.next, struct frame, node);
        struct iovec piece = {.iov_base = f->bytes + f->sent, .iov_len = f->len - f->sent};
        ssize_t sent = net_send_with_fds(ch->w.fd, &piece, 1, f->fds, f->fd_count);
        if (sent == -1) {
            return errno == EAGAIN;
        }
        close_fds(f->fds, f->fd_count);
        ch->queued_fds -= f->fd_count;
        f->fd_count = 0;
        f->sent += (size_t)sent;
        ch->queued_bytes -= (size_t)sent;
        if (f->sent == f->len) {
            drop_frame(ch, f);
        }
    }
    ev_fd_want(&ch->w, EV_READ);
    return true;
}

static bool duplicate_fds(const int *fds, size_t count, int *ret_fds)
{
    for (size_t i = 0; i < count; i++) {
        ret_fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
        if (ret_fds[i] == -1) {
            close_fds(ret_fds, i);
            return false;
        }
    }
    return true;
}

/* Queues the message without its first `sent` bytes. */
static enum err enqueue(struct proc_channel *ch, const struct head *h, const struct proc_message *m,
                        size_t sent)
{
    size_t whole = sizeof(*h) + m->payload.len;
    struct frame *f = mem_alloc(sizeof(*f) + whole - sent);
    f->len = whole - sent;
    f->fd_count = sent == 0 ? m->fd_count : 0; /* they went with the first byte */
    if (!duplicate_fds(m->fds, f->fd_count, f->fds)) {
        mem_free(f);
        return ERR_NO_SPACE;
    }
    size_t head_left = sent < sizeof(*h) ? sizeof(*h) - sent : 0;
    size_t payload_sent = sent < sizeof(*h) ? 0 : sent - sizeof(*h);
    memcpy(f->bytes, (const char *)h + sizeof(*h) - head_left, head_left);
    if (m->payload.len > payload_sent) {
        memcpy(f->bytes + head_left, m->payload.ptr + payload_sent, m->payload.len - payload_sent);
    }
    list_add_tail(&ch->queue, &f->node);
    ch->queued_bytes += f->len;
    ch->queued_fds += f->fd_count;
    ev_fd_want(&ch->w, EV_READ | EV_WRITE);
    return ERR_OK;
}

enum err proc_channel_send(struct proc_channel *ch, const struct proc_message *m)
{
    if (!proc_channel_is_open(ch)) {
        return ERR_CLOSED;
    }
    if (m->payload.len > PROC_PAYLOAD_BYTES_MAX || m->fd_count > PROC_FDS_MAX) {
        return ERR_LIMIT;
    }
    struct head h = {.payload_bytes = (uint32_t)m->payload.len,
                     .type = m->type,
                     .version = m->version,
                     .fd_count = (uint16_t)m->fd_count};
    size_t whole = sizeof(h) + m->payload.len;
    if (ch->queued_bytes + whole > PROC_QUEUE_BYTES_MAX ||
        ch->queued_fds + m->fd_count > PROC_QUEUE_FDS_MAX) {
        return ERR_LIMIT;
    }
    if (!list_is_empty(&ch->queue)) {
        return enqueue(ch, &h, m, 0);
    }
    struct iovec pieces[2] = {
        {.iov_base = &h, .iov_len = sizeof(h)},
        net_piece(m->payload),
    };
    ssize_t sent = net_send_with_fds(ch->w.fd, pieces, 2, m->fds, m->fd_count);
    if (sent == -1 && errno != EAGAIN) {
        return ERR_CLOSED;
    }
    if (sent == (ssize_t)whole) {
        return ERR_OK;
    }
    return enqueue(ch, &h, m, sent == -1 ? 0 : (size_t)sent);
}

enum err proc_channel_send_payload(struct proc_channel *ch, uint16_t type, struct str payload)
{
    struct proc_message m = {.type = type, .version = 1, .payload = payload};
    return proc_channel_send(ch, &m);
}

size_t proc_channel_queued(const struct proc_channel *ch)
{
    return ch->queued_bytes;
}
