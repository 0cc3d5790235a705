#include "stats/lbstats.h"

#include "base/check.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAGIC       0x7374617473626c31u
#define READ_TRIES  1000
#define SUB_BITS    6
#define BUCKET_SUBS (1u << SUB_BITS)
#define VALUE_MAX   UINT32_MAX

_Static_assert(LBSTATS_BUCKETS == BUCKET_SUBS * (32 - SUB_BITS + 1), "octaves of 32 bits");

enum slot_state { SLOT_FREE, SLOT_LIVE, SLOT_RETIRED };

struct slot {
    uint32_t state; /* written last, read first */
    uint32_t incarnation;
    int64_t retired_us; /* mono_t */
    uint64_t hosts;     /* healthy << 32 | unhealthy */
    uint64_t anomalies; /* anomalous << 32 | mitigated */
    char load_balancer[LBSTATS_NAME_MAX];
    char target_group[LBSTATS_NAME_MAX];
};

struct region {
    uint64_t magic;
    uint64_t bytes;
    pthread_mutex_t table_lock; /* slots and row owners; robust, so a dead holder blocks nobody */
    uint32_t row_owners[LBSTATS_ROWS_MAX]; /* generation, or 0 */
    uint32_t rows_used;                    /* rows at or above were never claimed */
    struct slot slots[LBSTATS_SLOTS_MAX];
    struct lbstats_block blocks[];
};

struct lbstats {
    struct region *region;
};

static const size_t region_bytes = sizeof(struct region) + (size_t)LBSTATS_SLOTS_MAX *
                                                               LBSTATS_ROWS_MAX *
                                                               sizeof(struct lbstats_block);

static const char *const counter_names[] = {
#define X(counter, name, is_gauge) name,
#include "stats/lbstats_counters.def"
#undef X
};

static const bool is_gauge_of[] = {
#define X(counter, name, is_gauge) is_gauge,
#include "stats/lbstats_counters.def"
#undef X
};

const char *lbstats_counter_name(enum lbstats_counter counter)
{
    CHECK((size_t)counter < LBSTATS_COUNTER_COUNT);
    return counter_names[counter];
}

/* ---- histogram --------------------------------------------------------------------------------
 */

size_t lbstats_bucket_of(uint64_t us)
{
    if (us < BUCKET_SUBS) {
        return (size_t)us;
    }
    if (us > VALUE_MAX) {
        us = VALUE_MAX;
    }
    unsigned octave = 63u - (unsigned)__builtin_clzll(us) - SUB_BITS;
    return (size_t)(octave + 1) * BUCKET_SUBS + (size_t)(us >> octave) - BUCKET_SUBS;
}

double lbstats_bucket_us(size_t bucket)
{
    CHECK(bucket < LBSTATS_BUCKETS);
    if (bucket < BUCKET_SUBS) {
        return (double)bucket;
    }
    unsigned octave = (unsigned)(bucket / BUCKET_SUBS) - 1;
    uint64_t low = (uint64_t)(BUCKET_SUBS + bucket % BUCKET_SUBS) << octave;
    uint64_t width = 1ull << octave;
    return (double)low + (double)(width - 1) / 2;
}

double lbstats_hist_percentile_us(const struct lbstats_hist *h, double percent)
{
    double exact_rank = percent / 100 * (double)h->count;
    uint64_t rank = (uint64_t)exact_rank;
    if ((double)rank < exact_rank) {
        rank++;
    }
    if (rank == 0) {
        rank = 1;
    }
    uint64_t seen = 0;
    for (size_t i = 0; i < LBSTATS_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank) {
            return lbstats_bucket_us(i);
        }
    }
    return 0;
}

double lbstats_hist_min_us(const struct lbstats_hist *h)
{
    return lbstats_hist_percentile_us(h, 0);
}

double lbstats_hist_max_us(const struct lbstats_hist *h)
{
    for (size_t i = LBSTATS_BUCKETS; i > 0; i--) {
        if (h->buckets[i - 1] > 0) {
            return lbstats_bucket_us(i - 1);
        }
    }
    return 0;
}

void lbstats_hist_add(struct lbstats_hist *into, const struct lbstats_hist *h)
{
    into->count += h->count;
    into->sum_us += h->sum_us;
    for (size_t i = 0; i < LBSTATS_BUCKETS; i++) {
        into->buckets[i] += h->buckets[i];
    }
}

/* ---- the memory -------------------------------------------------------------------------------
 */

static enum err map_fd(struct op *op, int fd, struct region **ret_region)
{
    void *at = mmap(NULL, region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (at == MAP_FAILED) {
        return op_fail_errno(op, "could not map the counters of the data plane");
    }
    *ret_region = at;
    return ERR_OK;
}

static void init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attributes;
    CHECK(pthread_mutexattr_init(&attributes) == 0);
    CHECK(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutex_init(lock, &attributes) == 0);
    CHECK(pthread_mutexattr_destroy(&attributes) == 0);
}

enum err lbstats_create(struct op *op, int *ret_fd)
{
    auto_fd int fd = memfd_create("hitless-lbstats", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd == -1) {
        return op_fail_errno(op, "could not make memory for the counters of the data plane");
    }
    if (ftruncate(fd, (off_t)region_bytes) == -1) {
        return op_fail_errno(op, "could not size the counters of the data plane");
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == -1) {
        return op_fail_errno(op, "could not seal the counters of the data plane");
    }
    struct region *r = NULL;
    TRY(map_fd(op, fd, &r));
    init_lock(&r->table_lock);
    r->bytes = region_bytes;
    r->magic = MAGIC;
    (void)munmap(r, region_bytes);
    *ret_fd = steal_fd(&fd);
    return ERR_OK;
}

enum err lbstats_map(struct op *op, int fd, struct lbstats **ret_stats)
{
    struct stat st;
    if (fstat(fd, &st) == -1) {
        return op_fail_errno(op, "could not look at the counters of the data plane");
    }
    if ((size_t)st.st_size != region_bytes) {
        return op_fail(op, ERR_INPUT, "the counters of the data plane have %lld bytes, not %zu",
                       (long long)st.st_size, region_bytes);
    }
    struct region *r = NULL;
    TRY(map_fd(op, fd, &r));
    if (r->magic != MAGIC || r->bytes != region_bytes) {
        (void)munmap(r, region_bytes);
        return op_fail(op, ERR_INPUT, "the counters of the data plane have another format");
    }
    struct lbstats *s = MEM_NEW(struct lbstats);
    s->region = r;
    *ret_stats = s;
    return ERR_OK;
}

void lbstats_unmap(struct lbstats *s)
{
    if (s != NULL) {
        (void)munmap(s->region, region_bytes);
        mem_free(s);
    }
}

static void lock_table(struct region *r)
{
    int code = pthread_mutex_lock(&r->table_lock);
    if (code == EOWNERDEAD) {
        /* every step under the lock leaves a table that can be read, so there is nothing to mend */
        code = pthread_mutex_consistent(&r->table_lock);
    }
    CHECK(code == 0);
}

static void unlock_table(struct region *r)
{
    CHECK(pthread_mutex_unlock(&r->table_lock) == 0);
}

struct lbstats_block *lbstats_block(struct lbstats *s, uint32_t slot, uint32_t row)
{
    CHECK(slot < LBSTATS_SLOTS_MAX);
    CHECK(row < LBSTATS_ROWS_MAX);
    return &s->region->blocks[(size_t)slot * LBSTATS_ROWS_MAX + row];
}

/* ---- slots ------------------------------------------------------------------------------------
 */

static enum slot_state state_of(const struct slot *slot)
{
    return (enum slot_state)__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct slot *slot, enum slot_state state)
{
    __atomic_store_n(&slot->state, (uint32_t)state, __ATOMIC_RELEASE);
}

static bool is_named(const struct slot *slot, struct str load_balancer, struct str target_group)
{
    return state_of(slot) != SLOT_FREE && str_equal(str_of(slot->load_balancer), load_balancer) &&
           str_equal(str_of(slot->target_group), target_group);
}

static uint32_t find_slot(const struct region *r, struct str load_balancer, struct str target_group)
{
    for (uint32_t i = 0; i < LBSTATS_SLOTS_MAX; i++) {
        if (is_named(&r->slots[i], load_balancer, target_group)) {
            return i;
        }
    }
    return LBSTATS_NONE;
}

static uint32_t find_room(const struct region *r, mono_t now)
{
    uint32_t oldest = LBSTATS_NONE;
    for (uint32_t i = 0; i < LBSTATS_SLOTS_MAX; i++) {
        const struct slot *slot = &r->slots[i];
        if (slot->state == SLOT_FREE) {
            return i;
        }
        bool is_old =
            slot->state == SLOT_RETIRED && now.us - slot->retired_us >= LBSTATS_RETIRED_FOR.us;
        if (is_old && (oldest == LBSTATS_NONE || slot->retired_us < r->slots[oldest].retired_us)) {
            oldest = i;
        }
    }
    return oldest;
}

static void take_slot(struct lbstats *s, uint32_t at, struct str load_balancer,
                      struct str target_group)
{
    struct slot *slot = &s->region->slots[at];
    set_state(slot, SLOT_FREE);
    __atomic_store_n(&slot->incarnation, slot->incarnation + 1, __ATOMIC_SEQ_CST);
    for (uint32_t row = 0; row < s->region->rows_used; row++) {
        memset(lbstats_block(s, at, row), 0, sizeof(struct lbstats_block));
    }
    slot->hosts = 0;
    slot->anomalies = 0;
    slot->retired_us = 0;
    (void)str_to_c(load_balancer, slot->load_balancer, LBSTATS_NAME_MAX);
    (void)str_to_c(target_group, slot->target_group, LBSTATS_NAME_MAX);
    set_state(slot, SLOT_LIVE);
}

static bool is_name(struct str name)
{
    return name.len < LBSTATS_NAME_MAX && (name.len == 0 || memchr(name.ptr, 0, name.len) == NULL);
}

uint32_t lbstats_slot_open(struct lbstats *s, struct str load_balancer, struct str target_group,
                           mono_t now)
{
    if (!is_name(load_balancer) || load_balancer.len == 0 || !is_name(target_group)) {
        return LBSTATS_NONE;
    }
    struct region *r = s->region;
    lock_table(r);
    uint32_t at = find_slot(r, load_balancer, target_group);
    if (at != LBSTATS_NONE) {
        set_state(&r->slots[at], SLOT_LIVE);
    } else {
        at = find_room(r, now);
        if (at != LBSTATS_NONE) {
            take_slot(s, at, load_balancer, target_group);
        }
    }
    unlock_table(r);
    return at;
}

void lbstats_slot_retire(struct lbstats *s, uint32_t slot, mono_t now)
{
    CHECK(slot < LBSTATS_SLOTS_MAX);
    struct region *r = s->region;
    lock_table(r);
    if (r->slots[slot].state == SLOT_LIVE) {
        r->slots[slot].retired_us = now.us;
        set_state(&r->slots[slot], SLOT_RETIRED);
        __atomic_store_n(&r->slots[slot].hosts, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&r->slots[slot].anomalies, 0, __ATOMIC_RELAXED);
    }
    unlock_table(r);
}

void lbstats_hosts_set(struct lbstats *s, uint32_t slot, uint32_t healthy_count,
                       uint32_t unhealthy_count)
{
    CHECK(slot < LBSTATS_SLOTS_MAX);
    __atomic_store_n(&s->region->slots[slot].hosts, (uint64_t)healthy_count << 32 | unhealthy_count,
                     __ATOMIC_RELAXED);
}

void lbstats_anomalies_set(struct lbstats *s, uint32_t slot, uint32_t anomalous_count,
                           uint32_t mitigated_count)
{
    CHECK(slot < LBSTATS_SLOTS_MAX);
    __atomic_store_n(&s->region->slots[slot].anomalies,
                     (uint64_t)anomalous_count << 32 | mitigated_count, __ATOMIC_RELAXED);
}

/* ---- rows -------------------------------------------------------------------------------------
 */

uint32_t lbstats_row_claim(struct lbstats *s, uint32_t generation)
{
    CHECK(generation != 0);
    struct region *r = s->region;
    uint32_t claimed = LBSTATS_NONE;
    lock_table(r);
    for (uint32_t row = 0; row < LBSTATS_ROWS_MAX && claimed == LBSTATS_NONE; row++) {
        if (r->row_owners[row] == 0) {
            r->row_owners[row] = generation;
            claimed = row;
        }
    }
    if (claimed != LBSTATS_NONE && claimed >= r->rows_used) {
        __atomic_store_n(&r->rows_used, claimed + 1, __ATOMIC_RELEASE);
    }
    unlock_table(r);
    return claimed;
}

/* The row has no writer any more: what a dead one left half done is closed here. */
static void clear_gauges(struct lbstats *s, uint32_t row)
{
    for (uint32_t slot = 0; slot < LBSTATS_SLOTS_MAX; slot++) {
        if (s->region->slots[slot].state == SLOT_FREE) {
            continue;
        }
        struct lbstats_block *b = lbstats_block(s, slot, row);
        if ((b->sequence & 1) == 0) {
            lbstats_begin(b);
        }
        for (size_t i = 0; i < LBSTATS_COUNTER_COUNT; i++) {
            if (is_gauge_of[i]) {
                __atomic_store_n(&b->counters[i], 0, __ATOMIC_RELAXED);
            }
        }
        lbstats_end(b);
    }
}

void lbstats_row_release(struct lbstats *s, uint32_t row)
{
    CHECK(row < LBSTATS_ROWS_MAX);
    lock_table(s->region);
    clear_gauges(s, row);
    s->region->row_owners[row] = 0;
    unlock_table(s->region);
}

void lbstats_generation_gone(struct lbstats *s, uint32_t generation)
{
    CHECK(generation != 0);
    lock_table(s->region);
    for (uint32_t row = 0; row < LBSTATS_ROWS_MAX; row++) {
        if (s->region->row_owners[row] == generation) {
            clear_gauges(s, row);
            s->region->row_owners[row] = 0;
        }
    }
    unlock_table(s->region);
}

/* ---- reading ----------------------------------------------------------------------------------
 */

bool lbstats_name(const struct lbstats *s, uint32_t slot, struct lbstats_name *ret_name)
{
    CHECK(slot < LBSTATS_SLOTS_MAX);
    const struct slot *at = &s->region->slots[slot];
    enum slot_state state = state_of(at);
    if (state == SLOT_FREE) {
        return false;
    }
    struct lbstats_name name = {
        .incarnation = __atomic_load_n(&at->incarnation, __ATOMIC_SEQ_CST),
        .is_retired = state == SLOT_RETIRED,
    };
    memcpy(name.load_balancer, at->load_balancer, LBSTATS_NAME_MAX);
    memcpy(name.target_group, at->target_group, LBSTATS_NAME_MAX);
    name.load_balancer[LBSTATS_NAME_MAX - 1] = '\0';
    name.target_group[LBSTATS_NAME_MAX - 1] = '\0';
    if (state_of(at) == SLOT_FREE ||
        __atomic_load_n(&at->incarnation, __ATOMIC_SEQ_CST) != name.incarnation) {
        return false; /* taken by another name meanwhile */
    }
    *ret_name = name;
    return true;
}

uint32_t lbstats_find(const struct lbstats *s, struct str load_balancer, struct str target_group)
{
    return find_slot(s->region, load_balancer, target_group);
}

static void copy_words(uint64_t *to, const uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    }
}

/* One consistent copy; a writer is in its block for some nanoseconds an event. A block whose writer
 * died inside is odd for ever: it is taken as it is, until its row is given up. */
static void copy_block(const struct lbstats_block *from, struct lbstats_block *ret)
{
    for (unsigned i = 0; i < READ_TRIES; i++) {
        uint64_t before = __atomic_load_n(&from->sequence, __ATOMIC_ACQUIRE);
        copy_words(ret->counters, from->counters, LBSTATS_COUNTER_COUNT);
        copy_words(&ret->hist_count, &from->hist_count, 2);
        copy_words(ret->buckets, from->buckets, LBSTATS_BUCKETS);
        LBSTATS_FENCE(__ATOMIC_ACQUIRE);
        if ((before & 1) == 0 && __atomic_load_n(&from->sequence, __ATOMIC_RELAXED) == before) {
            return;
        }
        if (i % 16 == 15) {
            (void)sched_yield();
        }
    }
}

bool lbstats_read(const struct lbstats *s, uint32_t slot, struct lbstats_reading *ret_reading)
{
    CHECK(slot < LBSTATS_SLOTS_MAX);
    const struct region *r = s->region;
    const struct slot *at = &r->slots[slot];
    if (state_of(at) == SLOT_FREE) {
        return false;
    }
    struct lbstats_reading *sum = ret_reading;
    memset(sum, 0, sizeof(*sum));
    sum->incarnation = __atomic_load_n(&at->incarnation, __ATOMIC_SEQ_CST);
    uint64_t hosts = __atomic_load_n(&at->hosts, __ATOMIC_RELAXED);
    sum->healthy_count = (uint32_t)(hosts >> 32);
    sum->unhealthy_count = (uint32_t)hosts;
    uint64_t anomalies = __atomic_load_n(&at->anomalies, __ATOMIC_RELAXED);
    sum->anomalous_count = (uint32_t)(anomalies >> 32);
    sum->mitigated_count = (uint32_t)anomalies;
    uint32_t rows = __atomic_load_n(&r->rows_used, __ATOMIC_ACQUIRE);
    for (uint32_t row = 0; row < rows; row++) {
        struct lbstats_block copy;
        copy_block(&r->blocks[(size_t)slot * LBSTATS_ROWS_MAX + row], &copy);
        for (size_t i = 0; i < LBSTATS_COUNTER_COUNT; i++) {
            sum->counters[i] += copy.counters[i];
        }
        sum->response_time.count += copy.hist_count;
        sum->response_time.sum_us += copy.hist_sum_us;
        for (size_t i = 0; i < LBSTATS_BUCKETS; i++) {
            sum->response_time.buckets[i] += copy.buckets[i];
        }
    }
    return true;
}

void lbstats_subtract(const struct lbstats_reading *later, const struct lbstats_reading *earlier,
                      struct lbstats_reading *ret)
{
    if (ret != later) {
        *ret = *later;
    }
    if (later->incarnation != earlier->incarnation) {
        return;
    }
    for (size_t i = 0; i < LBSTATS_COUNTER_COUNT; i++) {
        if (!is_gauge_of[i]) {
            ret->counters[i] -= earlier->counters[i];
        }
    }
    ret->response_time.count -= earlier->response_time.count;
    ret->response_time.sum_us -= earlier->response_time.sum_us;
    for (size_t i = 0; i < LBSTATS_BUCKETS; i++) {
        ret->response_time.buckets[i] -= earlier->response_time.buckets[i];
    }
}
