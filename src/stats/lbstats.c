#include "stats/lbstats.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAGIC       0x7374617473626c32u
#define COPY_TRIES  4
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
    uint64_t states;    /* STATE_... */
    char load_balancer[LBSTATS_NAME_MAX];
    char target_group[LBSTATS_NAME_MAX];
};

#define STATE_DNS_UNHEALTHY     1u
#define STATE_ROUTING_UNHEALTHY 2u

struct region {
    uint64_t magic;
    uint64_t bytes;
    pthread_mutex_t table_lock; /* slots and row owners; robust, so a dead holder blocks nobody */
    pthread_mutex_t ask_lock;   /* the one reader that asks a writer; robust likewise */
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

const struct lbstats_meaning lbstats_meanings[LBSTATS_COUNTER_COUNT] = {
#define X(counter, name, family, kind, scope, unit)                              \
    [counter] = {name, LBSTATS_OF_##family, LBSTATS_##kind, LBSTATS_FOR_##scope, \
                 LBSTATS_UNIT_##unit},
#include "stats/lbstats_counters.def"
#undef X
};

const char *lbstats_counter_name(enum lbstats_counter counter)
{
    CHECK((size_t)counter < LBSTATS_COUNTER_COUNT);
    return lbstats_meanings[counter].name;
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
    init_lock(&r->ask_lock);
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

static void lock(pthread_mutex_t *mutex)
{
    int code = pthread_mutex_lock(mutex);
    if (code == EOWNERDEAD) {
        /* every step under a lock leaves what can be read, so there is nothing to mend */
        code = pthread_mutex_consistent(mutex);
    }
    CHECK(code == 0);
}

static void unlock(pthread_mutex_t *mutex)
{
    CHECK(pthread_mutex_unlock(mutex) == 0);
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
        struct lbstats_block *b = lbstats_block(s, at, row);
        memset(b, 0, offsetof(struct lbstats_block, answer)); /* the rest is dead without a wish */
    }
    slot->hosts = 0;
    slot->anomalies = 0;
    slot->states = 0;
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
    lock(&r->table_lock);
    uint32_t at = find_slot(r, load_balancer, target_group);
    if (at != LBSTATS_NONE) {
        set_state(&r->slots[at], SLOT_LIVE);
    } else {
        at = find_room(r, now);
        if (at != LBSTATS_NONE) {
            take_slot(s, at, load_balancer, target_group);
        }
    }
    unlock(&r->table_lock);
    return at;
}

void lbstats_slot_retire(struct lbstats *s, uint32_t slot, mono_t now)
{
    CHECK(slot < LBSTATS_SLOTS_MAX);
    struct region *r = s->region;
    lock(&r->table_lock);
    if (r->slots[slot].state == SLOT_LIVE) {
        r->slots[slot].retired_us = now.us;
        set_state(&r->slots[slot], SLOT_RETIRED);
        __atomic_store_n(&r->slots[slot].hosts, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&r->slots[slot].anomalies, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&r->slots[slot].states, 0, __ATOMIC_RELAXED);
    }
    unlock(&r->table_lock);
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

void lbstats_states_set(struct lbstats *s, uint32_t slot, bool is_dns_healthy,
                        bool is_routing_healthy)
{
    CHECK(slot < LBSTATS_SLOTS_MAX);
    uint64_t states = (is_dns_healthy ? 0 : STATE_DNS_UNHEALTHY) |
                      (is_routing_healthy ? 0 : STATE_ROUTING_UNHEALTHY);
    __atomic_store_n(&s->region->slots[slot].states, states, __ATOMIC_RELAXED);
}

/* ---- rows -------------------------------------------------------------------------------------
 */

uint32_t lbstats_row_claim(struct lbstats *s, uint32_t generation)
{
    CHECK(generation != 0);
    struct region *r = s->region;
    uint32_t claimed = LBSTATS_NONE;
    lock(&r->table_lock);
    for (uint32_t row = 0; row < LBSTATS_ROWS_MAX && claimed == LBSTATS_NONE; row++) {
        if (r->row_owners[row] == 0) {
            r->row_owners[row] = generation;
            claimed = row;
        }
    }
    if (claimed != LBSTATS_NONE && claimed >= r->rows_used) {
        __atomic_store_n(&r->rows_used, claimed + 1, __ATOMIC_RELEASE);
    }
    unlock(&r->table_lock);
    return claimed;
}

/* What a dead writer left half counted did not happen. A reader undoes the same meanwhile. */
static void mend(struct lbstats_block *b)
{
    if ((b->sequence & 1) == 0) {
        return;
    }
    for (uint64_t i = b->undo_count; i > 0; i--) {
        const struct lbstats_undo *undo = &b->undo[i - 1];
        LBSTATS_STORE(&b->words[undo->word], undo->before);
    }
    lbstats_end(b);
}

static void clear_gauges(struct lbstats_block *b)
{
    bool is_clear = true;
    for (size_t i = 0; i < LBSTATS_COUNTER_COUNT; i++) {
        is_clear &= lbstats_meanings[i].kind != LBSTATS_GAUGE || b->words[i] == 0;
    }
    if (is_clear) {
        return;
    }
    lbstats_begin(b);
    for (size_t i = 0; i < LBSTATS_COUNTER_COUNT; i++) {
        if (lbstats_meanings[i].kind == LBSTATS_GAUGE && b->words[i] != 0) {
            lbstats_put(b, i, 0);
        }
    }
    lbstats_end(b);
}

/* The row has no writer any more. */
static void clean_row(struct lbstats *s, uint32_t row)
{
    for (uint32_t slot = 0; slot < LBSTATS_SLOTS_MAX; slot++) {
        if (s->region->slots[slot].state != SLOT_FREE) {
            struct lbstats_block *b = lbstats_block(s, slot, row);
            mend(b);
            clear_gauges(b);
        }
    }
}

void lbstats_row_release(struct lbstats *s, uint32_t row)
{
    CHECK(row < LBSTATS_ROWS_MAX);
    lock(&s->region->table_lock);
    clean_row(s, row);
    s->region->row_owners[row] = 0;
    unlock(&s->region->table_lock);
}

void lbstats_generation_gone(struct lbstats *s, uint32_t generation)
{
    CHECK(generation != 0);
    lock(&s->region->table_lock);
    for (uint32_t row = 0; row < LBSTATS_ROWS_MAX; row++) {
        if (s->region->row_owners[row] == generation) {
            clean_row(s, row);
            s->region->row_owners[row] = 0;
        }
    }
    unlock(&s->region->table_lock);
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

void lbstats_answer(struct lbstats_block *b)
{
    uint64_t asked = LBSTATS_LOAD(&b->asked);
    for (size_t i = 0; i < LBSTATS_WORDS; i++) {
        LBSTATS_STORE(&b->answer[i], b->words[i]);
    }
    LBSTATS_STORE(&b->answered, asked);
}

static void copy_words(uint64_t *to, const uint64_t *from)
{
    for (size_t i = 0; i < LBSTATS_WORDS; i++) {
        to[i] = LBSTATS_LOAD(&from[i]);
    }
}

static void undo(uint64_t *words, const struct lbstats_block *b)
{
    uint64_t count = LBSTATS_LOAD(&b->undo_count);
    for (uint64_t i = count < LBSTATS_EVENT_WORDS_MAX ? count : LBSTATS_EVENT_WORDS_MAX; i > 0;
         i--) {
        uint64_t word = LBSTATS_LOAD(&b->undo[i - 1].word);
        uint64_t before = LBSTATS_LOAD(&b->undo[i - 1].before);
        if (word < LBSTATS_WORDS) {
            words[word] = before;
        }
    }
}

/* False when an event began or ended meanwhile: the copy is worth nothing then. */
static bool copy_now(const struct lbstats_block *from, uint64_t *ret_words)
{
    uint64_t before = LBSTATS_LOAD(&from->sequence);
    copy_words(ret_words, from->words);
    if ((before & 1) != 0) {
        undo(ret_words, from);
    }
    return LBSTATS_LOAD(&from->sequence) == before;
}

static void copy_asking(struct region *r, struct lbstats_block *from, uint64_t *ret_words)
{
    lock(&r->ask_lock);
    uint64_t wish = LBSTATS_LOAD(&from->asked) + 1;
    __atomic_store_n(&from->asked, wish, __ATOMIC_SEQ_CST);
    for (;;) {
        if (LBSTATS_LOAD(&from->answered) == wish) {
            copy_words(ret_words, from->answer);
            break;
        }
        if (copy_now(from, ret_words)) {
            break;
        }
        (void)sched_yield();
    }
    unlock(&r->ask_lock);
}

static void copy_block(struct region *r, struct lbstats_block *from, uint64_t *ret_words)
{
    for (unsigned i = 0; i < COPY_TRIES; i++) {
        if (copy_now(from, ret_words)) {
            return;
        }
    }
    copy_asking(r, from, ret_words);
}

static void add_block(struct lbstats_reading *sum, const uint64_t *words)
{
    for (size_t i = 0; i < LBSTATS_COUNTER_COUNT; i++) {
        sum->counters[i] += words[i];
    }
    sum->response_time.sum_us += words[LBSTATS_WORD_SUM_US];
    for (size_t i = 0; i < LBSTATS_BUCKETS; i++) {
        sum->response_time.buckets[i] += words[LBSTATS_WORD_BUCKETS + i];
        sum->response_time.count += words[LBSTATS_WORD_BUCKETS + i];
    }
}

static void read_hosts(const struct slot *at, struct lbstats_reading *ret)
{
    uint64_t hosts = __atomic_load_n(&at->hosts, __ATOMIC_RELAXED);
    ret->healthy_count = (uint32_t)(hosts >> 32);
    ret->unhealthy_count = (uint32_t)hosts;
    uint64_t anomalies = __atomic_load_n(&at->anomalies, __ATOMIC_RELAXED);
    ret->anomalous_count = (uint32_t)(anomalies >> 32);
    ret->mitigated_count = (uint32_t)anomalies;
    uint64_t states = __atomic_load_n(&at->states, __ATOMIC_RELAXED);
    ret->is_dns_unhealthy = (states & STATE_DNS_UNHEALTHY) != 0;
    ret->is_routing_unhealthy = (states & STATE_ROUTING_UNHEALTHY) != 0;
}

bool lbstats_read(const struct lbstats *s, uint32_t slot, struct lbstats_reading *ret_reading)
{
    CHECK(slot < LBSTATS_SLOTS_MAX);
    struct region *r = s->region;
    const struct slot *at = &r->slots[slot];
    uint64_t words[LBSTATS_WORDS];
    while (state_of(at) != SLOT_FREE) {
        memset(ret_reading, 0, sizeof(*ret_reading));
        ret_reading->incarnation = __atomic_load_n(&at->incarnation, __ATOMIC_SEQ_CST);
        read_hosts(at, ret_reading);
        uint32_t rows = __atomic_load_n(&r->rows_used, __ATOMIC_ACQUIRE);
        for (uint32_t row = 0; row < rows; row++) {
            copy_block(r, &r->blocks[(size_t)slot * LBSTATS_ROWS_MAX + row], words);
            add_block(ret_reading, words);
        }
        if (__atomic_load_n(&at->incarnation, __ATOMIC_SEQ_CST) == ret_reading->incarnation) {
            return true;
        } /* else it was given to another name meanwhile, which happens once an hour at most */
    }
    return false;
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
        if (lbstats_meanings[i].kind != LBSTATS_GAUGE) {
            ret->counters[i] -= earlier->counters[i];
        }
    }
    ret->response_time.count -= earlier->response_time.count;
    ret->response_time.sum_us -= earlier->response_time.sum_us;
    for (size_t i = 0; i < LBSTATS_BUCKETS; i++) {
        ret->response_time.buckets[i] -= earlier->response_time.buckets[i];
    }
}
