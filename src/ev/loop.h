#pragma once
/* Event loop of one thread over epoll, level-triggered: descriptors, timers, calls at the end of
 * the turn, signals, ends of processes, wake-ups from other threads.
 *
 * Shape   Every object is a struct embedded in its owner; a callback gets the object's address and
 *         finds the owner with CONTAINER_OF. A zeroed object is closed; closing it again is fine.
 * Turn    wait; read the clock once (ev_now); descriptors that are ready, by rank; timers that are
 *         due; deferred calls.
 * Owns    nothing of the objects. An object is closed, then its memory may go at once: a callback
 *         may close and free anything, itself included. Events that were already fetched for a
 *         closed descriptor are dropped (slot and generation), so they reach neither freed memory
 *         nor the next user of the same number.
 * Memory  Tables grow with the most objects that were ever open; no allocation for an event.
 * Threads Everything belongs to the loop's thread, except ev_wake_up(). */

#include "base/list.h"
#include "base/op.h"
#include "base/time.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define EV_BATCH_MAX 256        /* events fetched by one turn */
#define EV_FDS_MAX   (1u << 22) /* descriptors of one loop */

struct ev_loop;
struct ev_fd;
struct ev_timer;
struct ev_defer;

/* ---- the loop -------------------------------------------------------------------------------- */

struct ev_slot;
struct ev_due;
struct epoll_event;

struct ev_loop {
    int epoll_fd;
    mono_t now;
    bool is_stopped;
    bool is_turning;
    struct ev_slot *slots;
    uint32_t slot_count; /* used at least once */
    uint32_t slot_capacity;
    uint32_t free_slot; /* first of a chain through the table */
    uint32_t fd_count;  /* open */
    struct ev_due *due; /* 4-ary heap, earliest first */
    uint32_t timer_count;
    uint32_t timer_capacity;
    struct list deferred;
    struct epoll_event *batch; /* EV_BATCH_MAX fetched, then as many sorted by rank */
};

#define EV_FOREVER ((dur_t){.us = -1})

enum err ev_loop_open(struct op *op, struct ev_loop *loop) MUST_USE;
/* All descriptors must be closed before. */
void ev_loop_close(struct ev_loop *loop);
/* Turns until ev_loop_stop(). */
void ev_loop_run(struct ev_loop *loop);
/* One turn, which waits at most wait_max (EV_FOREVER: until something happens; DUR_MS(0): not at
 * all). Returns how many callbacks ran. With the hand-driven clock of base/time.h, timers follow
 * that clock: advance it, then turn. Never called from a callback. */
size_t ev_loop_turn(struct ev_loop *loop, dur_t wait_max);
/* Turns without waiting until a turn has nothing to do; for tests. Gives up (false) after
 * turns_max. */
bool ev_loop_settle(struct ev_loop *loop, size_t turns_max);
/* ev_loop_run() returns after this turn. */
void ev_loop_stop(struct ev_loop *loop);

/* The time of this turn. */
static inline mono_t ev_now(const struct ev_loop *loop)
{
    return loop->now;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

enum ev_ready {
    EV_READ = 0x001,  /* EPOLLIN */
    EV_WRITE = 0x004, /* EPOLLOUT */
    EV_PEER_CLOSED = 0x2000 /* EPOLLRDHUP: the other side will send nothing more */,
    EV_EXCLUSIVE = 1 << 28, /* EPOLLEXCLUSIVE: of several loops that wait for one listener, not all
                               are woken; such a wish cannot be changed, only released */
    EV_BROKEN = 0x018,      /* EPOLLERR or EPOLLHUP; reported always. Close, or it comes back */
};

/* Within one turn lower ranks run first: the lb answers before it accepts. */
enum ev_rank { EV_RANK_FIRST, EV_RANK_NORMAL, EV_RANK_LATE, EV_RANK_LAST };
#define EV_RANK_COUNT 4

typedef void ev_fd_fn(struct ev_fd *w, unsigned ready);

struct ev_fd {
    struct ev_loop *loop; /* NULL: closed */
    ev_fd_fn *on_ready;
    int fd;
    unsigned wanted; /* EV_READ, EV_WRITE, EV_PEER_CLOSED */
    enum ev_rank rank;
    uint32_t slot;
};

/* Registers fd, which from now on belongs to w. ERR_NO_SPACE when the kernel or the loop has no
 * room; fd then still belongs to the caller. fd must be one that epoll takes (no plain file). */
enum err ev_fd_open(struct ev_loop *loop, struct ev_fd *w, int fd, unsigned wanted,
                    ev_fd_fn *on_ready) MUST_USE;
enum err ev_fd_open_ranked(struct ev_loop *loop, struct ev_fd *w, int fd, unsigned wanted,
                           enum ev_rank rank, ev_fd_fn *on_ready) MUST_USE;
/* Changes what is waited for; a system call only if it differs. 0: only EV_BROKEN. */
void ev_fd_want(struct ev_fd *w, unsigned wanted);
/* Unregisters and closes the descriptor. */
void ev_fd_close(struct ev_fd *w);
/* Unregisters and hands the descriptor back. */
int ev_fd_release(struct ev_fd *w) MUST_USE;

static inline bool ev_fd_is_open(const struct ev_fd *w)
{
    return w->loop != NULL;
}

/* ---- timers ---------------------------------------------------------------------------------- */

typedef void ev_timer_fn(struct ev_timer *t);

struct ev_timer {
    struct ev_loop *loop; /* NULL: not set */
    ev_timer_fn *on_due;
    mono_t at;
    uint32_t index; /* in the heap */
};

/* Sets or moves the timer; it fires once, in the first turn at or after that time, never inside
 * this call. Moving a timer to a later time, as idle timeouts do all the time, costs two stores. */
void ev_timer_set(struct ev_loop *loop, struct ev_timer *t, dur_t after, ev_timer_fn *on_due);
void ev_timer_set_at(struct ev_loop *loop, struct ev_timer *t, mono_t at, ev_timer_fn *on_due);
void ev_timer_stop(struct ev_timer *t);

static inline bool ev_timer_is_set(const struct ev_timer *t)
{
    return t->loop != NULL;
}

/* ---- calls at the end of the turn ------------------------------------------------------------ */

typedef void ev_defer_fn(struct ev_defer *d);

struct ev_defer {
    struct list node;
    ev_defer_fn *run;
};

/* Runs once at the end of this turn (of the next one, which does not wait, when called by a
 * deferred call). Deferring what is deferred already changes nothing but the function. */
void ev_defer(struct ev_loop *loop, struct ev_defer *d, ev_defer_fn *run);
void ev_defer_cancel(struct ev_defer *d);

static inline bool ev_defer_is_pending(const struct ev_defer *d)
{
    return !list_is_empty(&d->node);
}

/* ---- signals --------------------------------------------------------------------------------- */

struct ev_signal;
typedef void ev_signal_fn(struct ev_signal *s, int signal_number);

struct ev_signal {
    struct ev_fd fd;
    ev_signal_fn *on_signal;
    sigset_t blocked_here; /* what we blocked and unblock at the end */
};

/* Blocks these signals in the calling thread (start other threads afterwards, they inherit it) and
 * reports them here. A process started later must unblock them: proc_spawn does. */
enum err ev_signal_open(struct op *op, struct ev_loop *loop, struct ev_signal *s,
                        const int *signal_numbers, size_t count, ev_signal_fn *on_signal) MUST_USE;
void ev_signal_close(struct ev_signal *s);

/* ---- ends of processes ----------------------------------------------------------------------- */

struct ev_child;

struct ev_exit {
    bool is_known;     /* false: it was not our child, somebody else took the status */
    int code;          /* exit code, 0..255; -1 when a signal ended it or when not known */
    int signal_number; /* 0: none */
    bool has_dumped_core;
};

typedef void ev_child_fn(struct ev_child *c, const struct ev_exit *how);

struct ev_child {
    struct ev_fd fd; /* pidfd */
    pid_t pid;
    ev_child_fn *on_exit;
};

/* Watches a process by pidfd; a child is reaped before on_exit runs, and the object is closed by
 * then. Works for processes that are not our children as well (how->is_known is false).
 * ERR_NOT_FOUND when there is no such process. */
enum err ev_child_open(struct op *op, struct ev_loop *loop, struct ev_child *c, pid_t pid,
                       ev_child_fn *on_exit) MUST_USE;
/* Stops watching; the process goes on. */
void ev_child_close(struct ev_child *c);
/* Sends a signal to exactly this process, whatever became of its number. False when it is gone. */
bool ev_child_kill(const struct ev_child *c, int signal_number);

/* ---- wake-ups from other threads ------------------------------------------------------------- */

struct ev_wake;
typedef void ev_wake_fn(struct ev_wake *w);

struct ev_wake {
    struct ev_fd fd; /* eventfd */
    ev_wake_fn *on_wake;
    atomic_bool is_pending;
};

enum err ev_wake_open(struct op *op, struct ev_loop *loop, struct ev_wake *w,
                      ev_wake_fn *on_wake) MUST_USE;
/* The loop's thread only, when no other thread can still call ev_wake_up(). */
void ev_wake_close(struct ev_wake *w);
/* Any thread. on_wake runs at least once after this call and sees everything the caller wrote
 * before it; several calls may be answered by one run. */
void ev_wake_up(struct ev_wake *w);
