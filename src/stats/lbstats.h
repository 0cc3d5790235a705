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

#include "base/check.h"
#include "base/op.h"
#include "base/time.h"
#include "stats/limits.h"

#include <stdbool.h>
#include <stdint.h>

enum lbstats_family { LBSTATS_OF_ALB, LBSTATS_OF_NLB, LBSTATS_OF_BOTH, LBSTATS_OF_OWN };
enum lbstats_kind { LBSTATS_ONE, LBSTATS_AMOUNT, LBSTATS_GAUGE };
enum lbstats_scope { LBSTATS_FOR_BALANCER, LBSTATS_FOR_TARGETS, LBSTATS_FOR_GROUP };
enum lbstats_unit { LBSTATS_UNIT_COUNT, LBSTATS_UNIT_BYTES };

enum lbstats_counter {
#define X(counter, name, family, kind, scope, unit) counter,
#include "stats/lbstats_counters.def"
#undef X
    LBSTATS_COUNTER_COUNT,
};

/* A row of lbstats_counters.def. */
struct lbstats_meaning {
    const char *name; /* "" where it is told nowhere under a name of its own */
    enum lbstats_family family;
    enum lbstats_kind kind;
    enum lbstats_scope scope;
    enum lbstats_unit unit;
};

extern const struct lbstats_meaning lbstats_meanings[LBSTATS_COUNTER_COUNT];

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
/* Of a target group with anomaly mitigation: targets found odd, and those that get less for it. */
void lbstats_anomalies_set(struct lbstats *s, uint32_t slot, uint32_t anomalous_count,
                           uint32_t mitigated_count);
/* Whether a target group meets its thresholds of target_group_health (healthy until told). */
void lbstats_states_set(struct lbstats *s, uint32_t slot, bool is_dns_healthy,
                        bool is_routing_healthy);

/* ---- writing ----------------------------------------------------------------------------------
 *
 * A reading is exact: it shows a block as it was between two events, whatever the writer does
 * meanwhile, and it ends whether the writer rests, never rests, is stopped or is dead.
 *
 * While an event is under way the sequence is odd, and `undo` tells for each word that the event
 * changed what it held before. A reader copies the words, undoes what is under way, and looks
 * whether the sequence is what it was before the copy. Why that is right: every store is a release
 * and every load of a reader an acquire, so who has seen a word of an event has seen that event's
 * sequence and its undo entry. The same sequence before and after, even: no word of a later event
 * was seen. The same, odd: words of no later event, and each new word of this one is undone. So a
 * writer that died inside of an event leaves nothing half counted: its last event did not happen.
 *
 * A writer that is always faster than the copy is asked: the reader raises `asked`, and the writer,
 * when it begins its next event, copies the words to `answer` itself. Why that ends: once the
 * writer sees the wish it either begins an event, and then there is an answer, or begins none, and
 * then the sequence stands still and the reader's own copy is good. Only one reader at a time asks
 * (a lock that the writer does not know), so an answer is not overwritten while it is read.
 *
 * On x86 all these are plain loads and stores; the writer waits for nobody. */

#define LBSTATS_WORD_SUM_US  ((size_t)LBSTATS_COUNTER_COUNT)
#define LBSTATS_WORD_BUCKETS ((size_t)LBSTATS_COUNTER_COUNT + 1)
#define LBSTATS_WORDS        (LBSTATS_WORD_BUCKETS + LBSTATS_BUCKETS)

struct lbstats_undo {
    uint64_t word;
    uint64_t before;
};

struct lbstats_block {
    uint64_t sequence; /* odd while the writer is in an event */
    uint64_t undo_count;
    uint64_t asked;    /* by a reader: another number, another wish */
    uint64_t answered; /* the wish that `answer` is for */
    struct lbstats_undo undo[LBSTATS_EVENT_WORDS_MAX];
    uint64_t words[LBSTATS_WORDS]; /* counters, the sum of response times, buckets */
    uint64_t answer[LBSTATS_WORDS];
} __attribute__((aligned(64)));

/* generation: of the data plane process, not 0. LBSTATS_NONE when there is no row left. */
uint32_t lbstats_row_claim(struct lbstats *s, uint32_t generation);
/* Takes the gauges back. The totals stay. */
void lbstats_row_release(struct lbstats *s, uint32_t row);
/* A generation has died: gives up all its rows. Only when none of its workers runs. */
void lbstats_generation_gone(struct lbstats *s, uint32_t generation);
/* Valid until lbstats_unmap. */
struct lbstats_block *lbstats_block(struct lbstats *s, uint32_t slot, uint32_t row);

/* Out of line, as it is rare. */
void lbstats_answer(struct lbstats_block *b);

#define LBSTATS_LOAD(at)         __atomic_load_n(at, __ATOMIC_ACQUIRE)
#define LBSTATS_STORE(at, value) __atomic_store_n(at, value, __ATOMIC_RELEASE)

/* All of one event lies between begin and end; it changes LBSTATS_EVENT_WORDS_MAX words at most. */
static inline void lbstats_begin(struct lbstats_block *b)
{
    if (__builtin_expect(LBSTATS_LOAD(&b->asked) != b->answered, 0)) {
        lbstats_answer(b);
    }
    LBSTATS_STORE(&b->undo_count, 0);
    LBSTATS_STORE(&b->sequence, b->sequence + 1);
}
static inline void lbstats_end(struct lbstats_block *b)
{
    LBSTATS_STORE(&b->sequence, b->sequence + 1);
}
static inline void lbstats_put(struct lbstats_block *b, size_t word, uint64_t value)
{
    uint64_t n = b->undo_count;
    CHECK(n < LBSTATS_EVENT_WORDS_MAX);
    LBSTATS_STORE(&b->undo[n].word, word);
    LBSTATS_STORE(&b->undo[n].before, b->words[word]);
    LBSTATS_STORE(&b->undo_count, n + 1);
    LBSTATS_STORE(&b->words[word], value);
}
static inline void lbstats_add(struct lbstats_block *b, enum lbstats_counter counter,
                               uint64_t amount)
{
    lbstats_put(b, counter, b->words[counter] + amount);
}
/* Gauges. */
static inline void lbstats_drop(struct lbstats_block *b, enum lbstats_counter counter)
{
    lbstats_put(b, counter, b->words[counter] - 1);
}
static inline void lbstats_observe(struct lbstats_block *b, uint64_t us)
{
    size_t bucket = LBSTATS_WORD_BUCKETS + lbstats_bucket_of(us);
    lbstats_put(b, bucket, b->words[bucket] + 1);
    lbstats_put(b, LBSTATS_WORD_SUM_US, b->words[LBSTATS_WORD_SUM_US] + us);
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
    bool is_dns_unhealthy; /* the group is below a threshold of target_group_health */
    bool is_routing_unhealthy;
    uint64_t counters[LBSTATS_COUNTER_COUNT]; /* sums over all rows */
    struct lbstats_hist response_time;        /* TargetResponseTime */
};

/* False for a free slot. slot < LBSTATS_SLOTS_MAX. */
bool lbstats_name(const struct lbstats *s, uint32_t slot, struct lbstats_name *ret_name);
/* LBSTATS_NONE when there is no such slot, live or retired. */
uint32_t lbstats_find(const struct lbstats *s, struct str load_balancer, struct str target_group);
/* Every block is read between two of its writer's events. False for a free slot. About 15 KiB, so
 * keep it off the stack of deep calls. Readers in several threads or processes may read at once. */
bool lbstats_read(const struct lbstats *s, uint32_t slot, struct lbstats_reading *ret_reading);
/* later - earlier. Gauges and host counts are the later ones. A different incarnation counts from
 * 0. ret may be `later` itself. */
void lbstats_subtract(const struct lbstats_reading *later, const struct lbstats_reading *earlier,
                      struct lbstats_reading *ret);
