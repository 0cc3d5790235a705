#include "base/cleanup.h"
#include "stats/lbstats.h"
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define LB STR("app/web/0123456789abcdef")
#define TG STR("targetgroup/blue/0123456789abcdef")

static struct lbstats *fresh(void)
{
    auto_op struct op op;
    op_init(&op);
    auto_fd int fd = -1;
    struct lbstats *s = NULL;
    REQUIRE_OK(lbstats_create(&op, &fd), &op);
    REQUIRE_OK(lbstats_map(&op, fd, &s), &op);
    return s;
}

static void count_one(struct lbstats_block *b, enum lbstats_counter counter, uint64_t amount)
{
    lbstats_begin(b);
    lbstats_add(b, counter, amount);
    lbstats_end(b);
}

TEST(a_bucket_stands_for_its_values_within_one_percent)
{
    for (uint64_t us = 0; us < UINT32_MAX; us = us < 5000 ? us + 1 : us + us / 997) {
        double stands_for = lbstats_bucket_us(lbstats_bucket_of(us));
        double off = stands_for > (double)us ? stands_for - (double)us : (double)us - stands_for;
        if (off > (double)us * 0.01) {
            test_failed(__FILE__, __LINE__, "%llu us is shown as %f", (unsigned long long)us,
                        stands_for);
            return;
        }
    }
    EXPECT_EQ(lbstats_bucket_of(UINT64_MAX), LBSTATS_BUCKETS - 1);
    EXPECT_EQ(lbstats_bucket_of(UINT32_MAX), LBSTATS_BUCKETS - 1);
}

TEST(buckets_are_in_the_order_of_their_values)
{
    for (size_t i = 1; i < LBSTATS_BUCKETS; i++) {
        EXPECT(lbstats_bucket_us(i) > lbstats_bucket_us(i - 1));
        EXPECT_EQ(lbstats_bucket_of((uint64_t)lbstats_bucket_us(i)), (long long)i);
    }
}

TEST(percentiles_are_nearest_ranks)
{
    static struct lbstats_hist h;
    EXPECT_EQ(lbstats_hist_percentile_us(&h, 99), 0);
    for (uint64_t us = 1; us <= 50; us++) {
        h.buckets[lbstats_bucket_of(us)]++;
        h.count++;
        h.sum_us += us;
    }
    EXPECT_EQ(lbstats_hist_percentile_us(&h, 50), 25);
    EXPECT_EQ(lbstats_hist_percentile_us(&h, 98), 49);
    EXPECT_EQ(lbstats_hist_percentile_us(&h, 98.1), 50);
    EXPECT_EQ(lbstats_hist_percentile_us(&h, 100), 50);
    EXPECT_EQ(lbstats_hist_min_us(&h), 1);
    EXPECT_EQ(lbstats_hist_max_us(&h), 50);
}

TEST(a_reading_sums_over_workers_and_subtracts)
{
    struct lbstats *s = fresh();
    uint32_t slot = lbstats_slot_open(s, LB, TG, clock_mono());
    uint32_t rows[2] = {lbstats_row_claim(s, 1), lbstats_row_claim(s, 1)};
    EXPECT(rows[0] != rows[1]);
    static struct lbstats_reading before;
    static struct lbstats_reading after;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 2; i++) {
            struct lbstats_block *b = lbstats_block(s, slot, rows[i]);
            lbstats_begin(b);
            lbstats_add(b, LBSTATS_REQUESTS, 1 + i);
            lbstats_add(b, LBSTATS_INFLIGHT, 1);
            lbstats_observe(b, 1000);
            lbstats_end(b);
        }
        REQUIRE(lbstats_read(s, slot, round == 0 ? &before : &after));
    }
    EXPECT_EQ(before.counters[LBSTATS_REQUESTS], 3);
    EXPECT_EQ(after.counters[LBSTATS_REQUESTS], 6);
    lbstats_hosts_set(s, slot, 3, 1);
    REQUIRE(lbstats_read(s, slot, &after));
    lbstats_subtract(&after, &before, &after);
    EXPECT_EQ(after.counters[LBSTATS_REQUESTS], 3);
    EXPECT_EQ(after.counters[LBSTATS_INFLIGHT], 4);
    EXPECT_EQ(after.response_time.count, 2);
    EXPECT_EQ(after.response_time.sum_us, 2000);
    EXPECT_EQ(after.healthy_count, 3);
    EXPECT_EQ(after.unhealthy_count, 1);
    lbstats_unmap(s);
}

TEST(a_dead_generation_keeps_its_totals_and_loses_its_gauges)
{
    struct lbstats *s = fresh();
    uint32_t slot = lbstats_slot_open(s, LB, STR_NONE, clock_mono());
    uint32_t row = lbstats_row_claim(s, 7);
    struct lbstats_block *b = lbstats_block(s, slot, row);
    lbstats_begin(b);
    lbstats_add(b, LBSTATS_REQUESTS, 5);
    lbstats_add(b, LBSTATS_ACTIVE_CONNECTIONS, 2);
    lbstats_end(b);
    lbstats_generation_gone(s, 7);
    static struct lbstats_reading reading;
    REQUIRE(lbstats_read(s, slot, &reading));
    EXPECT_EQ(reading.counters[LBSTATS_REQUESTS], 5);
    EXPECT_EQ(reading.counters[LBSTATS_ACTIVE_CONNECTIONS], 0);
    EXPECT_EQ(lbstats_row_claim(s, 8), row);
    EXPECT_EQ(b->sequence & 1, 0);
    lbstats_unmap(s);
}

/* The event that a writer died in did not happen: neither for who reads before its row is given up,
 * nor afterwards. A word may be changed twice in one event. */
TEST(what_a_dead_writer_left_half_counted_did_not_happen)
{
    struct lbstats *s = fresh();
    uint32_t slot = lbstats_slot_open(s, LB, STR_NONE, clock_mono());
    struct lbstats_block *b = lbstats_block(s, slot, lbstats_row_claim(s, 7));
    static struct lbstats_reading r;
    count_one(b, LBSTATS_REQUESTS, 5);
    lbstats_begin(b);
    REQUIRE(lbstats_read(s, slot, &r));
    EXPECT_EQ(r.counters[LBSTATS_REQUESTS], 5);
    lbstats_add(b, LBSTATS_REQUESTS, 1);
    lbstats_add(b, LBSTATS_TARGET_2XX, 1);
    lbstats_add(b, LBSTATS_REQUESTS, 1);
    lbstats_observe(b, 70);
    for (int i = 0; i < 2; i++) {
        REQUIRE(lbstats_read(s, slot, &r));
        EXPECT_EQ(r.counters[LBSTATS_REQUESTS], 5);
        EXPECT_EQ(r.counters[LBSTATS_TARGET_2XX], 0);
        EXPECT_EQ(r.response_time.count, 0);
        EXPECT_EQ(r.response_time.sum_us, 0);
        lbstats_generation_gone(s, 7);
        EXPECT_EQ(b->words[LBSTATS_REQUESTS], 5);
    }
    count_one(b, LBSTATS_REQUESTS, 1);
    REQUIRE(lbstats_read(s, slot, &r));
    EXPECT_EQ(r.counters[LBSTATS_REQUESTS], 6);
    lbstats_unmap(s);
}

TEST(a_retired_slot_is_kept_for_an_hour)
{
    struct lbstats *s = fresh();
    mono_t now = clock_mono();
    uint32_t row = lbstats_row_claim(s, 1);
    uint32_t slot = lbstats_slot_open(s, LB, TG, now);
    count_one(lbstats_block(s, slot, row), LBSTATS_REQUESTS, 9);
    lbstats_slot_retire(s, slot, now);
    struct lbstats_name name;
    REQUIRE(lbstats_name(s, slot, &name));
    EXPECT(name.is_retired);
    EXPECT_STR(str_of(name.load_balancer), "app/web/0123456789abcdef");
    EXPECT_EQ(lbstats_slot_open(s, LB, TG, now), slot); /* back again: the totals go on */
    EXPECT_EQ(lbstats_block(s, slot, row)->words[LBSTATS_REQUESTS], 9);
    lbstats_slot_retire(s, slot, now);
    auto_op struct op op;
    op_init(&op);
    for (uint32_t i = 1; i < LBSTATS_SLOTS_MAX; i++) {
        REQUIRE(lbstats_slot_open(s, LB, arena_printf(&op.arena, "targetgroup/%u/1", i), now) !=
                LBSTATS_NONE);
    }
    EXPECT_EQ(lbstats_slot_open(s, LB, STR("targetgroup/x/1"), now), LBSTATS_NONE);
    mono_t later = mono_add(now, LBSTATS_RETIRED_FOR);
    EXPECT_EQ(lbstats_slot_open(s, LB, STR("targetgroup/x/1"), later), slot);
    static struct lbstats_reading reading;
    REQUIRE(lbstats_read(s, slot, &reading));
    EXPECT_EQ(reading.counters[LBSTATS_REQUESTS], 0);
    EXPECT(reading.incarnation != name.incarnation);
    EXPECT_EQ(lbstats_find(s, LB, TG), LBSTATS_NONE);
    lbstats_unmap(s);
}

TEST(names_that_do_not_fit_get_no_slot)
{
    struct lbstats *s = fresh();
    static char big[LBSTATS_NAME_MAX];
    memset(big, 'a', sizeof(big));
    mono_t now = clock_mono();
    EXPECT_EQ(lbstats_slot_open(s, str_make(big, sizeof(big)), TG, now), LBSTATS_NONE);
    EXPECT_EQ(lbstats_slot_open(s, LB, str_make(big, sizeof(big)), now), LBSTATS_NONE);
    EXPECT_EQ(lbstats_slot_open(s, str_make("a\0b", 3), TG, now), LBSTATS_NONE);
    EXPECT_EQ(lbstats_slot_open(s, STR_NONE, TG, now), LBSTATS_NONE);
    EXPECT(lbstats_slot_open(s, str_make(big, sizeof(big) - 1), TG, now) != LBSTATS_NONE);
    lbstats_unmap(s);
}

TEST(other_memory_is_not_taken_for_counters)
{
    auto_op struct op op;
    op_init(&op);
    struct lbstats *s = NULL;
    FILE *other = tmpfile();
    REQUIRE(other != NULL);
    EXPECT_EQ(lbstats_map(&op, fileno(other), &s), ERR_INPUT);
    REQUIRE_EQ(fclose(other), 0);
}

/* A writer that never rests: at each moment it is inside of an event, or between two for less than
 * a nanosecond. */
struct writer {
    struct lbstats_block *block;
    atomic_bool is_over;
    uint64_t event_count;
};

static void *write_events(void *arg)
{
    struct writer *w = arg;
    uint64_t i = 0;
    for (; !atomic_load_explicit(&w->is_over, memory_order_relaxed); i++) {
        lbstats_begin(w->block);
        lbstats_add(w->block, LBSTATS_REQUESTS, 1);
        lbstats_add(w->block, LBSTATS_PROCESSED_BYTES, 1000);
        lbstats_add(w->block, i % 2 == 0 ? LBSTATS_TARGET_2XX : LBSTATS_TARGET_5XX, 1);
        lbstats_observe(w->block, i % 10000);
        lbstats_end(w->block);
    }
    w->event_count = i;
    return NULL;
}

static bool is_whole(const struct lbstats_reading *r)
{
    uint64_t in_buckets = 0;
    for (size_t b = 0; b < LBSTATS_BUCKETS; b++) {
        in_buckets += r->response_time.buckets[b];
    }
    uint64_t n = r->counters[LBSTATS_REQUESTS];
    uint64_t rounds = n / 10000;
    uint64_t rest = n % 10000;
    uint64_t sum_us = rounds * 49995000 + rest * (rest - (rest > 0)) / 2;
    return r->counters[LBSTATS_TARGET_2XX] == (n + 1) / 2 &&
           r->counters[LBSTATS_TARGET_5XX] == n / 2 && in_buckets == n &&
           r->counters[LBSTATS_PROCESSED_BYTES] == n * 1000 && r->response_time.count == n &&
           r->response_time.sum_us == sum_us;
}

#ifdef __SANITIZE_THREAD__
#define LOOKS 200
#else
#define LOOKS 5000
#endif
#define LOOKS_MAX 100000 /* until the writer was asked once */

struct looker {
    struct lbstats *stats;
    uint32_t slot;
    const struct lbstats_block *block;
    unsigned torn_count;
    unsigned back_count;
};

static void *look(void *arg)
{
    struct looker *l = arg;
    static _Thread_local struct lbstats_reading r;
    uint64_t last = 0;
    const struct lbstats_block *b = l->block;
    for (unsigned i = 0; i < LOOKS || (i < LOOKS_MAX && LBSTATS_LOAD(&b->answered) == 0); i++) {
        bool is_there = lbstats_read(l->stats, l->slot, &r);
        l->torn_count += !is_there || !is_whole(&r);
        l->back_count += r.counters[LBSTATS_REQUESTS] < last;
        last = r.counters[LBSTATS_REQUESTS];
    }
    return NULL;
}

TEST(every_reading_lies_between_two_events)
{
    struct lbstats *s = fresh();
    static struct writer w;
    struct looker lookers[3];
    uint32_t slot = lbstats_slot_open(s, LB, TG, clock_mono());
    w.block = lbstats_block(s, slot, lbstats_row_claim(s, 1));
    pthread_t writer;
    pthread_t readers[ARRAY_COUNT(lookers)];
    REQUIRE_EQ(pthread_create(&writer, NULL, write_events, &w), 0);
    for (size_t i = 0; i < ARRAY_COUNT(lookers); i++) {
        lookers[i] = (struct looker){.stats = s, .slot = slot, .block = w.block};
        REQUIRE_EQ(pthread_create(&readers[i], NULL, look, &lookers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(lookers); i++) {
        REQUIRE_EQ(pthread_join(readers[i], NULL), 0);
        EXPECT_EQ(lookers[i].torn_count, 0);
        EXPECT_EQ(lookers[i].back_count, 0);
    }
    atomic_store(&w.is_over, true);
    REQUIRE_EQ(pthread_join(writer, NULL), 0);
    static struct lbstats_reading r;
    REQUIRE(lbstats_read(s, slot, &r));
    EXPECT_EQ(r.counters[LBSTATS_REQUESTS], w.event_count);
    EXPECT(w.block->answered > 0); /* it was asked, else this test shows little */
    lbstats_unmap(s);
}

/* A process that counts is killed where it stands, some hundred times. */
TEST(a_killed_writer_leaves_whole_events)
{
    struct lbstats *s = fresh();
    uint32_t slot = lbstats_slot_open(s, LB, TG, clock_mono());
    static struct lbstats_reading r;
    unsigned odd_count = 0;
    for (unsigned i = 1; i <= 100; i++) {
        struct lbstats_block *b = lbstats_block(s, slot, lbstats_row_claim(s, i));
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            for (;;) { /* goes on where the one before it stopped */
                lbstats_begin(b);
                uint64_t n = b->words[LBSTATS_REQUESTS];
                lbstats_add(b, LBSTATS_REQUESTS, 1);
                lbstats_add(b, LBSTATS_PROCESSED_BYTES, 1000);
                lbstats_add(b, n % 2 == 0 ? LBSTATS_TARGET_2XX : LBSTATS_TARGET_5XX, 1);
                lbstats_observe(b, n % 10000);
                lbstats_end(b);
            }
        }
        mono_t start = clock_mono();
        while (mono_since(clock_mono(), start).us < 500 + i * 10) {
        }
        REQUIRE(lbstats_read(s, slot, &r));
        EXPECT(is_whole(&r));
        REQUIRE_EQ(kill(pid, SIGKILL), 0);
        REQUIRE_EQ(waitpid(pid, NULL, 0), pid);
        odd_count += b->sequence & 1;
        REQUIRE(lbstats_read(s, slot, &r));
        EXPECT(is_whole(&r));
        uint64_t before = r.counters[LBSTATS_REQUESTS];
        lbstats_generation_gone(s, i);
        REQUIRE(lbstats_read(s, slot, &r));
        EXPECT(is_whole(&r));
        EXPECT_EQ(r.counters[LBSTATS_REQUESTS], before);
    }
    EXPECT(odd_count > 0);
    lbstats_unmap(s);
}
