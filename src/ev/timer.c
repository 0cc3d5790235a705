#include "ev/loop_private.h"

#include "base/mem.h"

/* A 4-ary heap of (time, timer): comparisons touch neighbouring cells, not the timers. The time in
 * a cell may be earlier than its timer's, when the timer was moved back; such a cell is put right
 * when it comes to the front. */
#define ARITY 4

static void put(struct ev_loop *loop, uint32_t index, struct ev_due due)
{
    loop->due[index] = due;
    due.timer->index = index;
}

static void sift_up(struct ev_loop *loop, uint32_t index, struct ev_due due)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / ARITY;
        if (loop->due[parent].at.us <= due.at.us) {
            break;
        }
        put(loop, index, loop->due[parent]);
        index = parent;
    }
    put(loop, index, due);
}

static uint32_t earliest_child(const struct ev_loop *loop, uint32_t index)
{
    uint32_t first = index * ARITY + 1;
    uint32_t end = first + ARITY < loop->timer_count ? first + ARITY : loop->timer_count;
    uint32_t best = first;
    for (uint32_t i = first + 1; i < end; i++) {
        if (loop->due[i].at.us < loop->due[best].at.us) {
            best = i;
        }
    }
    return best; /* >= timer_count without children */
}

static void sift_down(struct ev_loop *loop, uint32_t index, struct ev_due due)
{
    for (;;) {
        uint32_t child = earliest_child(loop, index);
        if (child >= loop->timer_count || due.at.us <= loop->due[child].at.us) {
            break;
        }
        put(loop, index, loop->due[child]);
        index = child;
    }
    put(loop, index, due);
}

void ev_timer_stop(struct ev_timer *t)
{
    struct ev_loop *loop = t->loop;
    if (loop == NULL) {
        return;
    }
    CHECK(loop->due[t->index].timer == t);
    t->loop = NULL;
    loop->timer_count--;
    if (t->index == loop->timer_count) {
        return;
    }
    struct ev_due moved = loop->due[loop->timer_count];
    if (moved.at.us < loop->due[t->index].at.us) {
        sift_up(loop, t->index, moved);
    } else {
        sift_down(loop, t->index, moved);
    }
}

void ev_timer_set_at(struct ev_loop *loop, struct ev_timer *t, mono_t at, ev_timer_fn *on_due)
{
    CHECK(on_due != NULL);
    t->on_due = on_due;
    t->at = at;
    if (t->loop != NULL) {
        CHECK(t->loop == loop);
        if (at.us < loop->due[t->index].at.us) {
            sift_up(loop, t->index, (struct ev_due){.at = at, .timer = t});
        }
        return;
    }
    if (loop->timer_count == loop->timer_capacity) {
        loop->timer_capacity = loop->timer_capacity == 0 ? 64 : loop->timer_capacity * 2;
        loop->due = mem_resize(loop->due, loop->timer_capacity * sizeof(*loop->due));
    }
    t->loop = loop;
    sift_up(loop, loop->timer_count++, (struct ev_due){.at = at, .timer = t});
}

void ev_timer_set(struct ev_loop *loop, struct ev_timer *t, dur_t after, ev_timer_fn *on_due)
{
    /* outside a turn, the turn's time may be long past */
    mono_t from = loop->is_turning ? loop->now : clock_mono();
    ev_timer_set_at(loop, t, mono_add(from, after), on_due);
}

bool ev_timers_next(struct ev_loop *loop, mono_t *ret_at)
{
    if (loop->timer_count == 0) {
        return false;
    }
    while (loop->due[0].at.us != loop->due[0].timer->at.us) {
        struct ev_timer *first = loop->due[0].timer;
        sift_down(loop, 0, (struct ev_due){.at = first->at, .timer = first});
    }
    *ret_at = loop->due[0].at;
    return true;
}

size_t ev_timers_run(struct ev_loop *loop)
{
    size_t ran = 0;
    /* at most as many as there are now: a timer that sets itself to "at once" must not keep us */
    size_t ran_max = loop->timer_count;
    mono_t at;
    while (ran < ran_max && ev_timers_next(loop, &at) && at.us <= loop->now.us) {
        struct ev_timer *t = loop->due[0].timer;
        ev_timer_stop(t);
        ran++;
        t->on_due(t);
    }
    return ran;
}
