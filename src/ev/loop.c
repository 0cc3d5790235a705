#include "ev/loop_private.h"

#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <unistd.h>

_Static_assert((int)EV_READ == (int)EPOLLIN && (int)EV_WRITE == (int)EPOLLOUT,
               "ev_ready mirrors epoll");
_Static_assert((int)EV_PEER_CLOSED == (int)EPOLLRDHUP, "ev_ready mirrors epoll");
_Static_assert((int)EV_EXCLUSIVE == (int)EPOLLEXCLUSIVE, "ev_ready mirrors epoll");
_Static_assert((int)EV_BROKEN == ((int)EPOLLERR | (int)EPOLLHUP), "ev_ready mirrors epoll");

/* What the kernel keeps for us with a descriptor: generation, rank, slot. */
#define SLOT_NONE  UINT32_MAX
#define SLOT_MASK  (EV_FDS_MAX - 1) /* a power of two below 1 << RANK_SHIFT */
#define RANK_SHIFT 30

static uint64_t tag_of(uint32_t slot, uint32_t generation, enum ev_rank rank)
{
    return (uint64_t)generation << 32 | (uint64_t)rank << RANK_SHIFT | slot;
}

static unsigned rank_of(uint64_t tag)
{
    return (unsigned)(tag >> RANK_SHIFT) & (EV_RANK_COUNT - 1);
}

enum err ev_loop_open(struct op *op, struct ev_loop *loop)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd == -1) {
        return op_fail_errno(op, "could not create an epoll descriptor");
    }
    *loop = (struct ev_loop){.epoll_fd = fd, .now = clock_mono(), .free_slot = SLOT_NONE};
    list_init(&loop->deferred);
    loop->batch = mem_alloc_array((size_t)EV_BATCH_MAX * 2, sizeof(*loop->batch));
    return ERR_OK;
}

void ev_loop_close(struct ev_loop *loop)
{
    CHECK(!loop->is_turning);
    CHECK(loop->fd_count == 0);
    (void)close(loop->epoll_fd);
    mem_free(loop->slots);
    mem_free(loop->due);
    mem_free(loop->batch);
    *loop = (struct ev_loop){.epoll_fd = -1};
}

void ev_loop_run(struct ev_loop *loop)
{
    loop->is_stopped = false;
    while (!loop->is_stopped) {
        (void)ev_loop_turn(loop, EV_FOREVER);
    }
}

void ev_loop_stop(struct ev_loop *loop)
{
    loop->is_stopped = true;
}

bool ev_loop_settle(struct ev_loop *loop, size_t turns_max)
{
    for (size_t i = 0; i < turns_max; i++) {
        if (ev_loop_turn(loop, DUR_MS(0)) == 0) {
            return true;
        }
    }
    return false;
}

/* Rounded up, so that a timer is due when we wake. */
static int wait_ms(struct ev_loop *loop, dur_t wait_max)
{
    int64_t wait_us = wait_max.us < 0 ? INT64_MAX : wait_max.us;
    mono_t first;
    if (!list_is_empty(&loop->deferred)) {
        return 0;
    }
    if (wait_us > 0 && ev_timers_next(loop, &first)) {
        int64_t until_us = mono_since(first, clock_mono()).us;
        until_us = until_us < 0 ? 0 : until_us;
        wait_us = until_us < wait_us ? until_us : wait_us;
    }
    if (wait_us == INT64_MAX) {
        return -1;
    }
    int64_t ms = wait_us / 1000 + (wait_us % 1000 != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* A counting sort: few events, four ranks, and most batches hold one rank only. */
static const struct epoll_event *by_rank(struct ev_loop *loop, size_t count)
{
    size_t counts[EV_RANK_COUNT] = {0};
    for (size_t i = 0; i < count; i++) {
        counts[rank_of(loop->batch[i].data.u64)]++;
    }
    if (counts[rank_of(loop->batch[0].data.u64)] == count) {
        return loop->batch;
    }
    size_t starts[EV_RANK_COUNT];
    size_t sum = 0;
    for (size_t rank = 0; rank < EV_RANK_COUNT; rank++) {
        starts[rank] = sum;
        sum += counts[rank];
    }
    struct epoll_event *sorted = loop->batch + EV_BATCH_MAX;
    for (size_t i = 0; i < count; i++) {
        sorted[starts[rank_of(loop->batch[i].data.u64)]++] = loop->batch[i];
    }
    return sorted;
}

static size_t run_fds(struct ev_loop *loop, size_t count)
{
    if (count == 0) {
        return 0;
    }
    size_t ran = 0;
    const struct epoll_event *events = by_rank(loop, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t tag = events[i].data.u64;
        const struct ev_slot *slot = &loop->slots[tag & SLOT_MASK];
        if (slot->w != NULL && slot->generation == tag >> 32) {
            ran++;
            slot->w->on_ready(slot->w, events[i].events);
        }
    }
    return ran;
}

/* Those that the calls themselves defer wait for the next turn, so nobody starves. */
static size_t run_deferred(struct ev_loop *loop)
{
    if (list_is_empty(&loop->deferred)) {
        return 0;
    }
    size_t ran = 0;
    struct list now;
    list_add_tail(&loop->deferred, &now); /* takes the head's place in the ring */
    list_remove(&loop->deferred);
    while (!list_is_empty(&now)) {
        struct ev_defer *d = CONTAINER_OF(now.next, struct ev_defer, node);
        list_remove(&d->node);
        ran++;
        d->run(d);
    }
    return ran;
}

size_t ev_loop_turn(struct ev_loop *loop, dur_t wait_max)
{
    CHECK(!loop->is_turning);
    loop->is_turning = true;
    int count = epoll_wait(loop->epoll_fd, loop->batch, EV_BATCH_MAX, wait_ms(loop, wait_max));
    CHECK(count >= 0 || errno == EINTR);
    loop->now = clock_mono();
    size_t ran = run_fds(loop, count < 0 ? 0 : (size_t)count);
    ran += ev_timers_run(loop);
    ran += run_deferred(loop);
    loop->is_turning = false;
    return ran;
}

/* ---- descriptors ---- */

static bool take_slot(struct ev_loop *loop, uint32_t *ret_slot)
{
    if (loop->free_slot != SLOT_NONE) {
        *ret_slot = loop->free_slot;
        loop->free_slot = loop->slots[*ret_slot].next_free;
        return true;
    }
    if (loop->slot_count == EV_FDS_MAX) {
        return false;
    }
    if (loop->slot_count == loop->slot_capacity) {
        loop->slot_capacity = loop->slot_capacity == 0 ? 64 : loop->slot_capacity * 2;
        loop->slots = mem_resize(loop->slots, loop->slot_capacity * sizeof(*loop->slots));
    }
    loop->slots[loop->slot_count] = (struct ev_slot){.generation = 1};
    *ret_slot = loop->slot_count++;
    return true;
}

static void give_slot(struct ev_loop *loop, uint32_t number)
{
    struct ev_slot *slot = &loop->slots[number];
    slot->w = NULL;
    slot->generation++;
    slot->next_free = loop->free_slot;
    loop->free_slot = number;
}

enum err ev_fd_open_ranked(struct ev_loop *loop, struct ev_fd *w, int fd, unsigned wanted,
                           enum ev_rank rank, ev_fd_fn *on_ready)
{
    CHECK(w->loop == NULL);
    CHECK(on_ready != NULL);
    uint32_t slot = SLOT_NONE;
    if (!take_slot(loop, &slot)) {
        return ERR_NO_SPACE;
    }
    struct epoll_event event = {.events = wanted,
                                .data.u64 = tag_of(slot, loop->slots[slot].generation, rank)};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == -1) {
        CHECK(errno == ENOSPC || errno == ENOMEM); /* others: not a descriptor for epoll */
        give_slot(loop, slot);
        return ERR_NO_SPACE;
    }
    *w = (struct ev_fd){
        .loop = loop, .on_ready = on_ready, .fd = fd, .wanted = wanted, .rank = rank, .slot = slot};
    loop->slots[slot].w = w;
    loop->fd_count++;
    return ERR_OK;
}

enum err ev_fd_open(struct ev_loop *loop, struct ev_fd *w, int fd, unsigned wanted,
                    ev_fd_fn *on_ready)
{
    return ev_fd_open_ranked(loop, w, fd, wanted, EV_RANK_NORMAL, on_ready);
}

void ev_fd_want(struct ev_fd *w, unsigned wanted)
{
    CHECK(w->loop != NULL);
    if (w->wanted == wanted) {
        return;
    }
    const struct ev_slot *slot = &w->loop->slots[w->slot];
    struct epoll_event event = {.events = wanted,
                                .data.u64 = tag_of(w->slot, slot->generation, w->rank)};
    CHECK(epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_MOD, w->fd, &event) == 0);
    w->wanted = wanted;
}

int ev_fd_release(struct ev_fd *w)
{
    CHECK(w->loop != NULL);
    /* Not left to close(): where another process holds the same open file, epoll would go on
     * reporting it for ever. */
    CHECK(epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL) == 0);
    give_slot(w->loop, w->slot);
    w->loop->fd_count--;
    w->loop = NULL;
    int fd = w->fd;
    w->fd = -1;
    return fd;
}

void ev_fd_close(struct ev_fd *w)
{
    if (w->loop != NULL) {
        (void)close(ev_fd_release(w));
    }
}

/* ---- deferred calls ---- */

void ev_defer(struct ev_loop *loop, struct ev_defer *d, ev_defer_fn *run)
{
    d->run = run;
    if (!ev_defer_is_pending(d)) {
        list_add_tail(&loop->deferred, &d->node);
    }
}

void ev_defer_cancel(struct ev_defer *d)
{
    list_remove(&d->node);
}
