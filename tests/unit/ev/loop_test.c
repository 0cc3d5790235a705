#include "base/check.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/rand.h"
#include "ev/loop.h"
#include "test.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* One loop and an op, ready to use. */
struct bench {
    struct op op;
    struct ev_loop loop;
};

static void bench_open(struct bench *b)
{
    op_init(&b->op);
    REQUIRE_OK(ev_loop_open(&b->op, &b->loop), &b->op);
}

static void bench_close(struct bench *b)
{
    ev_loop_close(&b->loop);
    op_fini(&b->op);
}

/* A socket end that writes down what happened to it. */
struct probe {
    struct ev_fd w;
    int peer_fd;
    unsigned last_ready;
    size_t count;
    struct probe *closes; /* closes this one when it runs */
    char *order;          /* appends its name here */
    char name;
};

static void on_probe(struct ev_fd *w, unsigned ready)
{
    struct probe *p = CONTAINER_OF(w, struct probe, w);
    p->last_ready = ready;
    p->count++;
    if (p->order != NULL) {
        size_t len = strlen(p->order);
        p->order[len] = p->name;
        p->order[len + 1] = '\0';
    }
    if (p->closes != NULL) {
        ev_fd_close(&p->closes->w);
    }
}

static void probe_open(struct bench *b, struct probe *p, enum ev_rank rank)
{
    int ends[2];
    REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    p->peer_fd = ends[1];
    REQUIRE_EQ(ev_fd_open_ranked(&b->loop, &p->w, ends[0], EV_READ, rank, on_probe), ERR_OK);
}

static void probe_poke(const struct probe *p)
{
    REQUIRE_EQ(write(p->peer_fd, "x", 1), 1);
}

static void probe_close(struct probe *p)
{
    ev_fd_close(&p->w);
    (void)close(p->peer_fd);
}

TEST(a_descriptor_is_reported_again_until_it_is_read)
{
    struct bench b;
    bench_open(&b);
    struct probe p = {0};
    probe_open(&b, &p, EV_RANK_NORMAL);
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 0);
    probe_poke(&p);
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 1);
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 1);
    EXPECT_EQ(p.last_ready, EV_READ);
    ev_fd_want(&p.w, 0);
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 0);
    ev_fd_want(&p.w, EV_READ | EV_WRITE);
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 1);
    EXPECT_EQ(p.last_ready, EV_READ | EV_WRITE);
    char c;
    EXPECT_EQ(read(p.w.fd, &c, 1), 1);
    ev_fd_want(&p.w, EV_READ);
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 0);
    probe_close(&p);
    bench_close(&b);
}

TEST(half_close_and_break_are_told_apart)
{
    struct bench b;
    bench_open(&b);
    struct probe p = {0};
    probe_open(&b, &p, EV_RANK_NORMAL);
    ev_fd_want(&p.w, EV_READ | EV_PEER_CLOSED);
    EXPECT_EQ(shutdown(p.peer_fd, SHUT_WR), 0);
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 1);
    EXPECT_EQ(p.last_ready, EV_READ | EV_PEER_CLOSED);
    ev_fd_want(&p.w, 0);
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 0);
    (void)close(p.peer_fd);
    p.peer_fd = -1;
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 1);
    EXPECT(p.last_ready & EV_BROKEN);
    ev_fd_close(&p.w);
    ev_fd_close(&p.w);
    bench_close(&b);
}

TEST(an_event_for_a_descriptor_closed_in_the_same_batch_is_dropped)
{
    struct bench b;
    bench_open(&b);
    struct probe p[2] = {0};
    probe_open(&b, &p[0], EV_RANK_NORMAL);
    probe_open(&b, &p[1], EV_RANK_NORMAL);
    p[0].closes = &p[1];
    p[1].closes = &p[0];
    probe_poke(&p[0]);
    probe_poke(&p[1]);
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 1);
    EXPECT_EQ(p[0].count + p[1].count, 1);
    probe_close(&p[0]);
    probe_close(&p[1]);
    bench_close(&b);
}

/* Closes and frees two, then opens a third, which gets the slot and the number of the second. */
struct swap {
    struct ev_fd w;
    struct bench *bench;
    struct swap *victim;
    struct probe *heir;
};

static void on_swap(struct ev_fd *w, unsigned ready)
{
    (void)ready;
    struct swap *s = CONTAINER_OF(w, struct swap, w);
    struct swap *victim = s->victim;
    ev_fd_close(&victim->w);
    probe_open(s->bench, s->heir, EV_RANK_NORMAL);
    ev_fd_close(&s->w);
    mem_free(victim);
    mem_free(s);
}

TEST(a_stale_event_reaches_neither_freed_memory_nor_the_next_user_of_the_slot)
{
    struct bench b;
    bench_open(&b);
    struct probe heir = {0};
    struct swap *s[2] = {MEM_NEW(struct swap), MEM_NEW(struct swap)};
    int peers[2];
    for (size_t i = 0; i < 2; i++) {
        int ends[2];
        REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        peers[i] = ends[1];
        *s[i] = (struct swap){.bench = &b, .victim = s[1 - i], .heir = &heir};
        REQUIRE_EQ(ev_fd_open(&b.loop, &s[i]->w, ends[0], EV_READ, on_swap), ERR_OK);
        REQUIRE_EQ(write(ends[1], "x", 1), 1);
    }
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 1);
    EXPECT_EQ(heir.count, 0);
    probe_close(&heir);
    (void)close(peers[0]);
    (void)close(peers[1]);
    bench_close(&b);
}

TEST(lower_ranks_run_first_whatever_became_ready_first)
{
    struct bench b;
    bench_open(&b);
    char order[8] = "";
    struct probe p[4] = {0};
    static const enum ev_rank ranks[4] = {EV_RANK_LAST, EV_RANK_FIRST, EV_RANK_LATE,
                                          EV_RANK_NORMAL};
    for (size_t i = 0; i < 4; i++) {
        p[i].order = order;
        p[i].name = (char)('0' + (int)ranks[i]);
        probe_open(&b, &p[i], ranks[i]);
        probe_poke(&p[i]);
    }
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 4);
    EXPECT_STR(str_of(order), "0123");
    for (size_t i = 0; i < 4; i++) {
        probe_close(&p[i]);
    }
    bench_close(&b);
}

TEST(a_released_descriptor_stays_open_and_silent)
{
    struct bench b;
    bench_open(&b);
    struct probe p = {0};
    probe_open(&b, &p, EV_RANK_NORMAL);
    probe_poke(&p);
    auto_fd int fd = ev_fd_release(&p.w);
    EXPECT(!ev_fd_is_open(&p.w));
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 0);
    char c;
    EXPECT_EQ(read(fd, &c, 1), 1);
    (void)close(p.peer_fd);
    bench_close(&b);
}

/* ---- timers ---- */

struct tick {
    struct ev_timer t;
    size_t count;
    mono_t fired_at;
    struct tick *stops;
    dur_t again; /* us > 0: sets itself once more */
};

static void on_tick(struct ev_timer *t)
{
    struct tick *tick = CONTAINER_OF(t, struct tick, t);
    tick->count++;
    if (tick->stops != NULL) {
        ev_timer_stop(&tick->stops->t);
    }
}

TEST(a_timer_fires_once_at_its_time_by_the_hand_driven_clock)
{
    clock_use_manual((mono_t){.us = 1000000}, (wall_t){0});
    struct bench b;
    bench_open(&b);
    struct tick tick = {0};
    ev_timer_set(&b.loop, &tick.t, DUR_S(5), on_tick);
    clock_manual_advance((dur_t){.us = 4999999});
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 0);
    EXPECT(ev_timer_is_set(&tick.t));
    clock_manual_advance(DUR_US(1));
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 1);
    EXPECT(!ev_timer_is_set(&tick.t));
    EXPECT_EQ(ev_now(&b.loop).us, 6000000);
    clock_manual_advance(DUR_S(100));
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 0);
    bench_close(&b);
}

TEST(a_timer_can_be_moved_either_way_and_stopped)
{
    clock_use_manual((mono_t){.us = 0}, (wall_t){0});
    struct bench b;
    bench_open(&b);
    struct tick later = {0};
    struct tick earlier = {0};
    struct tick stopped = {0};
    ev_timer_set(&b.loop, &later.t, DUR_S(1), on_tick);
    ev_timer_set(&b.loop, &earlier.t, DUR_S(10), on_tick);
    ev_timer_set(&b.loop, &stopped.t, DUR_S(2), on_tick);
    ev_timer_set(&b.loop, &later.t, DUR_S(9), on_tick);
    ev_timer_set(&b.loop, &earlier.t, DUR_S(3), on_tick);
    ev_timer_stop(&stopped.t);
    ev_timer_stop(&stopped.t);
    clock_manual_advance(DUR_S(3));
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 1);
    EXPECT_EQ(earlier.count, 1);
    clock_manual_advance(DUR_S(6));
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 1);
    EXPECT_EQ(later.count, 1);
    EXPECT_EQ(stopped.count, 0);
    bench_close(&b);
}

TEST(a_timer_that_another_one_stops_in_the_same_turn_stays_silent)
{
    clock_use_manual((mono_t){.us = 0}, (wall_t){0});
    struct bench b;
    bench_open(&b);
    struct tick first = {0};
    struct tick second = {0};
    first.stops = &second;
    ev_timer_set(&b.loop, &first.t, DUR_S(1), on_tick);
    ev_timer_set(&b.loop, &second.t, DUR_S(2), on_tick);
    clock_manual_advance(DUR_S(5));
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 1);
    EXPECT_EQ(second.count, 0);
    bench_close(&b);
}

static struct ev_loop *again_loop;

static void on_again(struct ev_timer *t)
{
    CONTAINER_OF(t, struct tick, t)->count++;
    ev_timer_set(again_loop, t, DUR_MS(0), on_again);
}

TEST(a_timer_that_sets_itself_to_now_fires_once_a_turn)
{
    clock_use_manual((mono_t){.us = 0}, (wall_t){0});
    struct bench b;
    bench_open(&b);
    again_loop = &b.loop;
    struct tick tick = {0};
    ev_timer_set(&b.loop, &tick.t, DUR_MS(0), on_again);
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 1);
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 1);
    EXPECT_EQ(tick.count, 2);
    EXPECT(!ev_loop_settle(&b.loop, 10));
    ev_timer_stop(&tick.t);
    EXPECT(ev_loop_settle(&b.loop, 10));
    bench_close(&b);
}

#define MANY 300

static mono_t last_fired;

static void on_ordered(struct ev_timer *t)
{
    struct tick *tick = CONTAINER_OF(t, struct tick, t);
    tick->count++;
    EXPECT(tick->t.at.us >= last_fired.us);
    last_fired = tick->t.at;
}

TEST(many_timers_set_moved_and_stopped_at_random_fire_in_order_and_exactly_when_set)
{
    clock_use_manual((mono_t){.us = 0}, (wall_t){0});
    struct bench b;
    bench_open(&b);
    static struct tick ticks[MANY];
    for (size_t step = 0; step < (size_t)MANY * 20; step++) {
        struct tick *tick = &ticks[rand_u64() % MANY];
        if (rand_u64() % 4 == 0) {
            ev_timer_stop(&tick->t);
        } else {
            ev_timer_set(&b.loop, &tick->t, DUR_US(rand_u64() % 1000), on_ordered);
        }
    }
    size_t set_count = 0;
    for (size_t i = 0; i < MANY; i++) {
        set_count += ev_timer_is_set(&ticks[i].t);
    }
    size_t ran = 0;
    for (size_t step = 0; step < 100; step++) {
        clock_manual_advance(DUR_US(10));
        ran += ev_loop_turn(&b.loop, DUR_MS(0));
        for (size_t i = 0; i < MANY; i++) {
            bool is_due = ticks[i].t.at.us <= ev_now(&b.loop).us;
            EXPECT(!(is_due && ev_timer_is_set(&ticks[i].t)));
        }
    }
    EXPECT_EQ(ran, set_count);
    bench_close(&b);
}

TEST(the_loop_wakes_for_a_timer_of_the_real_clock)
{
    struct bench b;
    bench_open(&b);
    struct tick tick = {0};
    mono_t start = clock_mono();
    ev_timer_set(&b.loop, &tick.t, DUR_MS(20), on_tick);
    EXPECT_EQ(ev_loop_turn(&b.loop, EV_FOREVER), 1);
    EXPECT(mono_since(clock_mono(), start).us >= 20000);
    bench_close(&b);
}

/* ---- deferred calls ---- */

struct later {
    struct ev_defer d;
    struct ev_loop *loop;
    size_t count;
    size_t again;
    struct later *cancels;
};

static void on_later(struct ev_defer *d)
{
    struct later *l = CONTAINER_OF(d, struct later, d);
    l->count++;
    if (l->cancels != NULL) {
        ev_defer_cancel(&l->cancels->d);
    }
    if (l->again > 0) {
        l->again--;
        ev_defer(l->loop, d, on_later);
    }
}

TEST(deferred_calls_run_once_and_those_they_defer_run_in_the_next_turn)
{
    struct bench b;
    bench_open(&b);
    struct later victim = {0};
    struct later l = {.loop = &b.loop, .again = 1, .cancels = &victim};
    ev_defer(&b.loop, &l.d, on_later);
    ev_defer(&b.loop, &l.d, on_later);
    ev_defer(&b.loop, &victim.d, on_later);
    EXPECT(ev_defer_is_pending(&l.d));
    EXPECT_EQ(ev_loop_turn(&b.loop, EV_FOREVER), 1);
    EXPECT_EQ(l.count, 1);
    EXPECT_EQ(ev_loop_turn(&b.loop, EV_FOREVER), 1);
    EXPECT_EQ(l.count, 2);
    EXPECT_EQ(victim.count, 0);
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 0);
    bench_close(&b);
}

/* ---- signals, processes, threads ---- */

struct heard {
    struct ev_signal s;
    struct ev_loop *loop;
    int last;
    size_t count;
};

static void on_heard(struct ev_signal *s, int signal_number)
{
    struct heard *h = CONTAINER_OF(s, struct heard, s);
    h->last = signal_number;
    h->count++;
    ev_loop_stop(h->loop);
}

TEST(a_signal_arrives_as_an_event_and_is_unblocked_at_the_end)
{
    struct bench b;
    bench_open(&b);
    struct heard h = {.loop = &b.loop};
    static const int numbers[] = {SIGTERM, SIGINT};
    REQUIRE_OK(ev_signal_open(&b.op, &b.loop, &h.s, numbers, ARRAY_COUNT(numbers), on_heard),
               &b.op);
    EXPECT_EQ(kill(getpid(), SIGTERM), 0);
    ev_loop_run(&b.loop);
    EXPECT_EQ(h.last, SIGTERM);
    EXPECT_EQ(h.count, 1);
    ev_signal_close(&h.s);
    ev_signal_close(&h.s);
    sigset_t now;
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
    EXPECT_EQ(sigismember(&now, SIGTERM), 0);
    bench_close(&b);
}

struct ward {
    struct ev_child c;
    struct ev_exit how;
    size_t count;
};

static void on_ward(struct ev_child *c, const struct ev_exit *how)
{
    struct ward *w = CONTAINER_OF(c, struct ward, c);
    w->how = *how;
    w->count++;
}

static pid_t start_child(int exit_code)
{
    pid_t pid = fork();
    REQUIRE(pid != -1);
    if (pid == 0) {
        if (exit_code < 0) {
            (void)pause();
        }
        _exit(exit_code);
    }
    return pid;
}

TEST(the_end_of_a_child_tells_its_code_or_its_signal)
{
    struct bench b;
    bench_open(&b);
    struct ward w = {0};
    REQUIRE_OK(ev_child_open(&b.op, &b.loop, &w.c, start_child(7), on_ward), &b.op);
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_S(10)), 1);
    EXPECT(w.how.is_known);
    EXPECT_EQ(w.how.code, 7);
    EXPECT_EQ(w.how.signal_number, 0);
    EXPECT(!ev_child_kill(&w.c, SIGKILL));

    REQUIRE_OK(ev_child_open(&b.op, &b.loop, &w.c, start_child(-1), on_ward), &b.op);
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_MS(0)), 0);
    EXPECT(ev_child_kill(&w.c, SIGKILL));
    EXPECT_EQ(ev_loop_turn(&b.loop, DUR_S(10)), 1);
    EXPECT_EQ(w.how.code, -1);
    EXPECT_EQ(w.how.signal_number, SIGKILL);
    EXPECT_EQ(w.count, 2);
    EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1); /* reaped */
    bench_close(&b);
}

TEST(a_process_that_is_not_there_is_not_watched)
{
    struct bench b;
    bench_open(&b);
    pid_t pid = start_child(0);
    EXPECT_EQ(waitpid(pid, NULL, 0), pid);
    struct ward w = {0};
    EXPECT_EQ(ev_child_open(&b.op, &b.loop, &w.c, pid, on_ward), ERR_NOT_FOUND);
    ev_child_close(&w.c);
    bench_close(&b);
}

#define WAKES 2000

struct waker {
    struct ev_wake wake;
    struct ev_loop *loop;
    atomic_size_t posted;
    size_t seen;
};

static void *post_all(void *argument)
{
    struct waker *w = argument;
    for (size_t i = 0; i < WAKES; i++) {
        atomic_fetch_add_explicit(&w->posted, 1, memory_order_relaxed);
        ev_wake_up(&w->wake);
    }
    return NULL;
}

static void on_waker(struct ev_wake *wake)
{
    struct waker *w = CONTAINER_OF(wake, struct waker, wake);
    w->seen = atomic_load_explicit(&w->posted, memory_order_relaxed);
    if (w->seen == (size_t)2 * WAKES) {
        ev_loop_stop(w->loop);
    }
}

TEST(no_wake_up_of_another_thread_is_lost)
{
    struct bench b;
    bench_open(&b);
    struct waker w = {.loop = &b.loop};
    REQUIRE_OK(ev_wake_open(&b.op, &b.loop, &w.wake, on_waker), &b.op);
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        REQUIRE_EQ(pthread_create(&threads[i], NULL, post_all, &w), 0);
    }
    ev_loop_run(&b.loop);
    for (size_t i = 0; i < 2; i++) {
        REQUIRE_EQ(pthread_join(threads[i], NULL), 0);
    }
    EXPECT_EQ(w.seen, (size_t)2 * WAKES);
    ev_wake_close(&w.wake);
    bench_close(&b);
}
