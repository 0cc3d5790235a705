#pragma once
/* Framed messages between two processes over a connected Unix stream socket, with descriptors.
 *
 * Shape   12 bytes {u32 payload length, u16 type, u16 version, u16 descriptors, u16 zero}, the
 *         machine's byte order (both ends are one executable), then the payload.
 * Limits  proc/limits.h. The other end is not trusted: a frame past a limit, a descriptor too many
 *         or too few, or a non-zero last field closes the channel with ERR_PROTOCOL.
 * Order   messages arrive whole and in order, those sent before the other end died included. */

#include "ev/loop.h"
#include "net/socket.h"
#include "proc/limits.h"

struct proc_channel;

struct proc_message {
    uint16_t type;
    uint16_t version;
    struct str payload; /* lives until the callback returns */
    int *fds;           /* fds[fd_count] */
    size_t fd_count;
};

/* m->fds are the channel's: those that the callback does not take with steal_fd(&m->fds[i]) are
 * closed. The callback may close the channel and free it. */
typedef void proc_message_fn(struct proc_channel *ch, struct proc_message *m);
/* The other end is gone (ERR_CLOSED) or broke the protocol (ERR_PROTOCOL). The channel is closed
 * already and may be opened anew or freed. Not called after proc_channel_close(). */
typedef void proc_closed_fn(struct proc_channel *ch, enum err why);

struct proc_channel {
    struct ev_fd w;
    proc_message_fn *on_message;
    proc_closed_fn *on_closed;
    /* incoming: bytes[in_start, in_end) are not understood yet */
    char *in_bytes;
    size_t in_start;
    size_t in_end;
    size_t in_capacity;
    int in_fds[PROC_FDS_MAX + NET_FDS_MAX]; /* arrived, not yet claimed by a frame */
    size_t in_fd_count;
    /* outgoing: frames, oldest first */
    struct list queue;
    size_t queued_bytes;
    size_t queued_fds;
    bool *ret_is_gone; /* set while a callback runs: where to say that it closed the channel */
};

/* Takes fd over (on failure too). ERR_NO_SPACE. on_closed may be NULL. */
enum err proc_channel_open(struct ev_loop *loop, struct proc_channel *ch, int fd,
                           proc_message_fn *on_message, proc_closed_fn *on_closed) MUST_USE;
/* Drops what was not sent. Closing a closed or zeroed channel is fine. */
void proc_channel_close(struct proc_channel *ch);
/* Sends now what the socket takes and queues the rest. Payload is copied, descriptors are
 * duplicated: both stay the caller's. ERR_LIMIT when the payload or the queue would be past its
 * limit, ERR_NO_SPACE without descriptors for the copies, ERR_CLOSED: in all these cases nothing
 * was queued. Never calls a callback. */
enum err proc_channel_send(struct proc_channel *ch, const struct proc_message *m) MUST_USE;
/* Without descriptors; for the many small ones. */
enum err proc_channel_send_payload(struct proc_channel *ch, uint16_t type,
                                   struct str payload) MUST_USE;
/* Payload and head bytes that wait in our process. */
size_t proc_channel_queued(const struct proc_channel *ch);

static inline bool proc_channel_is_open(const struct proc_channel *ch)
{
    return ev_fd_is_open(&ch->w);
}
