#include "base/cleanup.h"
#include "stats/lbstats.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

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
    lbstats_add(b, LBSTATS_ACTIVE_CONNECTIONS, 2); /* and dies within the event */
    lbstats_generation_gone(s, 7);
    static struct lbstats_reading reading;
    REQUIRE(lbstats_read(s, slot, &reading));
    EXPECT_EQ(reading.counters[LBSTATS_REQUESTS], 5);
    EXPECT_EQ(reading.counters[LBSTATS_ACTIVE_CONNECTIONS], 0);
    EXPECT_EQ(lbstats_row_claim(s, 8), row);
    EXPECT_EQ(b->sequence & 1, 0);
    lbstats_unmap(s);
}

TEST(a_retired_slot_is_kept_for_an_hour)
{
    struct lbstats *s = fresh();
    mono_t now = clock_mono();
    uint32_t row = lbstats_row_claim(s, 1);
    uint32_t slot = lbstats_slot_open(s, LB, TG, now);
    lbstats_add(lbstats_block(s, slot, row), LBSTATS_REQUESTS, 9);
    lbstats_slot_retire(s, slot, now);
    struct lbstats_name name;
    REQUIRE(lbstats_name(s, slot, &name));
    EXPECT(name.is_retired);
    EXPECT_STR(str_of(name.load_balancer), "app/web/0123456789abcdef");
    EXPECT_EQ(lbstats_slot_open(s, LB, TG, now), slot); /* back again: the totals go on */
    EXPECT_EQ(lbstats_block(s, slot, row)->counters[LBSTATS_REQUESTS], 9);
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

/* Turns between two events: longer than a reading takes, as between the requests of a worker. TSan
 * makes a reading some ten times slower, and a reading gives up after so many tries. */
#ifdef __SANITIZE_THREAD__
#define PAUSE_TURNS 40000
#else
#define PAUSE_TURNS 2000
#endif

struct writer {
    struct lbstats_block *block;
    atomic_bool is_over;
};

static void *write_events(void *arg)
{
    struct writer *w = arg;
    for (uint64_t i = 0; !atomic_load(&w->is_over); i++) {
        lbstats_begin(w->block);
        lbstats_add(w->block, LBSTATS_REQUESTS, 1);
        lbstats_add(w->block, i % 2 == 0 ? LBSTATS_TARGET_2XX : LBSTATS_TARGET_5XX, 1);
        lbstats_observe(w->block, i % 10000);
        lbstats_end(w->block);
        for (volatile int pause = 0; pause < PAUSE_TURNS; pause++) {
        }
    }
    return NULL;
}

TEST(every_reading_lies_between_two_events)
{
    struct lbstats *s = fresh();
    uint32_t slot = lbstats_slot_open(s, LB, TG, clock_mono());
    static struct writer w;
    w.block = lbstats_block(s, slot, lbstats_row_claim(s, 1));
    pthread_t thread;
    REQUIRE_EQ(pthread_create(&thread, NULL, write_events, &w), 0);
    static struct lbstats_reading r;
    uint64_t last = 0;
    for (int i = 0; i < 500; i++) {
        REQUIRE(lbstats_read(s, slot, &r));
        uint64_t in_buckets = 0;
        for (size_t b = 0; b < LBSTATS_BUCKETS; b++) {
            in_buckets += r.response_time.buckets[b];
        }
        uint64_t requests = r.counters[LBSTATS_REQUESTS];
        EXPECT_EQ(r.counters[LBSTATS_TARGET_2XX] + r.counters[LBSTATS_TARGET_5XX], requests);
        EXPECT_EQ(r.response_time.count, requests);
        EXPECT_EQ(in_buckets, requests);
        EXPECT(requests >= last);
        last = requests;
    }
    atomic_store(&w.is_over, true);
    REQUIRE_EQ(pthread_join(thread, NULL), 0);
    lbstats_unmap(s);
}
