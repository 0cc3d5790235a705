#pragma once
/* The counters of the data plane, in memory shared by all roles: sup makes it and keeps it over
 * every restart, workers of lb write, control reads.
 *
 * Shape    A table of slots, one for each load balancer and one for each pair of load balancer and
 *          target group, named as in CloudWatch's dimensions. A slot has one block for each row; a
 *          row belongs to one worker, so that each block has a single writer and no counter needs
 *          an atomic read-modify-write. A slot's total is the sum over its rows.
 * Totals   never step back: not when a configuration changes, a worker dies or the data plane is
 *          replaced. Gauges are taken back when their row is given up.
 * Requests are counted when their outcome is known, in one step with the class of the status and
 * the response time: in every reading RequestCount is the sum of the target's classes and of the
 * errors that the balancer made after it had chosen a target. */

#include "base/op.h"
#include "base/time.h"
#include "stats/limits.h"

#include <stdbool.h>
#include <stdint.h>

enum lbstats_counter {
#define X(counter, name, is_gauge) counter,
#include "stats/lbstats_counters.def"
#undef X
    LBSTATS_COUNTER_COUNT,
};

/* CloudWatch's metric name; "" where it has none. */
const char *lbstats_counter_name(enum lbstats_counter counter);

/* ---- histogram: log-linear, 64 buckets an octave: exact to 64 us, within 0.8 % above ----------
 */

#define LBSTATS_BUCKETS 1728 /* 1 us to 71 minutes */

size_t lbstats_bucket_of(uint64_t us);
/* The value that stands for a bucket: its middle, in microseconds. */
double lbstats_bucket_us(size_t bucket);

struct lbstats_hist {
    uint64_t count;
    uint64_t sum_us;
    uint64_t buckets[LBSTATS_BUCKETS];
};

/* 0 for an empty histogram. percent in 0..100: the smallest value that so many percent do not
 * exceed (nearest rank). */
double lbstats_hist_percentile_us(const struct lbstats_hist *h, double percent);
double lbstats_hist_min_us(const struct lbstats_hist *h);
double lbstats_hist_max_us(const struct lbstats_hist *h);
void lbstats_hist_add(struct lbstats_hist *into, const struct lbstats_hist *h);

/* ---- the memory ------------------------------------------------------------------------------ */

struct lbstats;

/* A new memfd, sized and with its header written. */
enum err lbstats_create(struct op *op, int *ret_fd);
/* Maps it; the descriptor is not kept. ERR_INPUT when it is not ours. Until lbstats_unmap. */
enum err lbstats_map(struct op *op, int fd, struct lbstats **ret_stats);
void lbstats_unmap(struct lbstats *s);

/* ---- slots: written by the one who builds configurations ------------------------------------- */

#define LBSTATS_NONE UINT32_MAX

/* load_balancer "app/NAME/ID"; target_group "targetgroup/NAME/ID", or absent for the balancer's own
 * slot. Finds the slot of that name, also a retired one, or takes a free one. LBSTATS_NONE when all
 * are taken or a name is too long. May be called by any process. */
uint32_t lbstats_slot_open(struct lbstats *s, struct str load_balancer, struct str target_group,
                           mono_t now);
/* The name is no longer configured. Twice is fine. */
void lbstats_slot_retire(struct lbstats *s, uint32_t slot, mono_t now);
/* Counts of a target group slot. */
void lbstats_hosts_set(struct lbstats *s, uint32_t slot, uint32_t healthy_count,
                       uint32_t unhealthy_count);

/* Targets that fail more often than the others, and those that get fewer requests for it. */
void lbstats_anomalies_set(struct lbstats *s, uint32_t slot, uint32_t anomalous_count,
                           uint32_t mitigated_count);

/* ---- writing ----------------------------------------------------------------------------------
 */

struct lbstats_block {
    uint64_t sequence; /* odd while the writer is in it */
    uint64_t counters[LBSTATS_COUNTER_COUNT];
    uint64_t hist_count;
    uint64_t hist_sum_us;
    uint64_t buckets[LBSTATS_BUCKETS];
} __attribute__((aligned(64)));

/* generation: of the data plane process, not 0. LBSTATS_NONE when there is no row left. */
uint32_t lbstats_row_claim(struct lbstats *s, uint32_t generation);
/* Takes the gauges back. The totals stay. */
void lbstats_row_release(struct lbstats *s, uint32_t row);
/* A generation has died: gives up all its rows. Only when none of its workers runs. */
void lbstats_generation_gone(struct lbstats *s, uint32_t generation);
/* Valid until lbstats_unmap. */
struct lbstats_block *lbstats_block(struct lbstats *s, uint32_t slot, uint32_t row);

/* All of one event lies between begin and end. Stores are relaxed and ordered by the two fences: on
 * x86 they cost nothing. */
#ifdef __SANITIZE_THREAD__ /* which knows no fences, and needs none: every access is atomic */
#define LBSTATS_FENCE(order) __atomic_signal_fence(order)
#else
#define LBSTATS_FENCE(order) __atomic_thread_fence(order)
#endif
static inline void lbstats_begin(struct lbstats_block *b)
{
    __atomic_store_n(&b->sequence, b->sequence + 1, __ATOMIC_RELAXED);
    LBSTATS_FENCE(__ATOMIC_RELEASE);
}
static inline void lbstats_end(struct lbstats_block *b)
{
    __atomic_store_n(&b->sequence, b->sequence + 1, __ATOMIC_RELEASE);
}
static inline void lbstats_add(struct lbstats_block *b, enum lbstats_counter counter,
                               uint64_t amount)
{
    __atomic_store_n(&b->counters[counter], b->counters[counter] + amount, __ATOMIC_RELAXED);
}
/* Gauges. */
static inline void lbstats_drop(struct lbstats_block *b, enum lbstats_counter counter)
{
    __atomic_store_n(&b->counters[counter], b->counters[counter] - 1, __ATOMIC_RELAXED);
}
static inline void lbstats_observe(struct lbstats_block *b, uint64_t us)
{
    uint64_t *bucket = &b->buckets[lbstats_bucket_of(us)];
    __atomic_store_n(bucket, *bucket + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&b->hist_count, b->hist_count + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&b->hist_sum_us, b->hist_sum_us + us, __ATOMIC_RELAXED);
}

/* ---- reading ----------------------------------------------------------------------------------
 */

struct lbstats_name {
    char load_balancer[LBSTATS_NAME_MAX]; /* "app/NAME/ID" */
    char target_group[LBSTATS_NAME_MAX];  /* "targetgroup/NAME/ID"; "" for a balancer's own slot */
    uint32_t incarnation;                 /* another one: another name, totals from 0 again */
    bool is_retired;
};

struct lbstats_reading {
    uint32_t incarnation;
    uint32_t healthy_count; /* hosts, now; 0 for a balancer's own slot */
    uint32_t unhealthy_count;
    uint32_t anomalous_count;
    uint32_t mitigated_count;
    uint64_t counters[LBSTATS_COUNTER_COUNT]; /* sums over all rows */
    struct lbstats_hist response_time;        /* TargetResponseTime */
};

/* False for a free slot. slot < LBSTATS_SLOTS_MAX. */
bool lbstats_name(const struct lbstats *s, uint32_t slot, struct lbstats_name *ret_name);
/* LBSTATS_NONE when there is no such slot, live or retired. */
uint32_t lbstats_find(const struct lbstats *s, struct str load_balancer, struct str target_group);
/* Every block is read between two of its writer's events. False for a free slot. About 15 KiB, so
 * keep it off the stack of deep calls. */
bool lbstats_read(const struct lbstats *s, uint32_t slot, struct lbstats_reading *ret_reading);
/* later - earlier. Gauges and host counts are the later ones. A different incarnation counts from
 * 0. ret may be `later` itself. */
void lbstats_subtract(const struct lbstats_reading *later, const struct lbstats_reading *earlier,
                      struct lbstats_reading *ret);
