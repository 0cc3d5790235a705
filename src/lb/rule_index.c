#include "lb/rule_index.h"

#include "base/check.h"

#define TEXT_BYTES_MAX 128 /* longer texts are not filed; conditions have no longer ones */
#define LENGTH_WORDS   3   /* bits for the lengths 0..TEXT_BYTES_MAX */

/* Texts of different kinds never meet: the kind begins their hash. */
enum kind {
    HOST_WHOLE,
    HOST_END,
    PATH_WHOLE,
    PATH_BEGIN,
    HEADER_VALUE,
    QUERY_PAIR,
    QUERY_VALUE,
    SOURCE_RANGE,
};

/* Rules filed under one hash: places[first, first + count), ascending. Different texts with one
 * hash share it, which costs a question and nothing else. */
struct slot {
    uint64_t hash; /* 0: free */
    uint32_t first;
    uint32_t count;
};

struct table {
    struct slot *slots;
    uint64_t mask;
};

struct lengths {
    uint64_t words[LENGTH_WORDS];
    bool is_any;
};

struct lb_rule_index {
    struct table table;
    uint32_t *places;
    uint32_t *others; /* rules that are filed nowhere, ascending */
    size_t other_count;
    struct lengths host_ends;
    struct lengths path_begins;
    struct lengths source_bits;
    struct str headers[LB_RULE_HEADERS_MAX];
    uint64_t header_starts[LB_RULE_HEADERS_MAX]; /* hashes of their names */
    size_t header_count;
    bool has_hosts;
    bool has_paths;
    bool has_queries;
};

/* ---- hashes ---------------------------------------------------------------------------------- */

static uint64_t hash_start(void)
{
    return 0xcbf29ce484222325u;
}

static uint64_t hash_add(uint64_t h, char c)
{
    return (h ^ (unsigned char)c) * 0x100000001b3u;
}

static uint64_t hash_end(uint64_t h, enum kind kind)
{
    h ^= (uint64_t)kind + 1;
    h *= 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
    return h == 0 ? 1 : h;
}

static uint64_t hash_lower(uint64_t h, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        h = hash_add(h, str_lower_char(s.ptr[i]));
    }
    return h;
}

/* From the last character to the first. */
static uint64_t hash_backward(struct str s)
{
    uint64_t h = hash_start();
    for (size_t i = s.len; i > 0; i--) {
        h = hash_add(h, str_lower_char(s.ptr[i - 1]));
    }
    return h;
}

static uint64_t hash_range(const uint8_t bytes[16], unsigned bits)
{
    uint64_t h = hash_add(hash_start(), (char)bits);
    for (unsigned i = 0; i < (bits + 7) / 8; i++) {
        unsigned kept = bits - i * 8 >= 8 ? 8 : bits - i * 8;
        h = hash_add(h, (char)(bytes[i] & (0xffu << (8 - kept) & 0xffu)));
    }
    return hash_end(h, SOURCE_RANGE);
}

static void add_length(struct lengths *l, size_t length)
{
    l->words[length / 64] |= (uint64_t)1 << (length % 64);
    l->is_any = true;
}

static bool has_length(const struct lengths *l, size_t length)
{
    return (l->words[length / 64] >> (length % 64) & 1) != 0;
}

/* ---- what a condition can be filed under ----------------------------------------------------- */

/* A pattern's characters in front of its first wildcard, and behind its last one. */
struct literal {
    char text[TEXT_BYTES_MAX];
    size_t len;
    bool is_whole; /* there is no wildcard */
};

static bool read_begin(struct str pattern, struct literal *ret)
{
    ret->len = 0;
    ret->is_whole = true;
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.ptr[i];
        if (c == '*' || c == '?') {
            ret->is_whole = false;
            return ret->len > 0;
        }
        if (c == '\\' && i + 1 < pattern.len) {
            c = pattern.ptr[++i];
        }
        if (ret->len == TEXT_BYTES_MAX) {
            return false;
        }
        ret->text[ret->len++] = c;
    }
    return ret->len > 0;
}

static bool read_end(struct str pattern, struct literal *ret)
{
    size_t from = 0;
    bool is_whole = true;
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.ptr[i] == '\\') {
            i++;
        } else if (pattern.ptr[i] == '*' || pattern.ptr[i] == '?') {
            from = i + 1;
            is_whole = false;
        }
    }
    bool is_read = read_begin(str_from(pattern, from), ret);
    ret->is_whole = is_whole;
    return is_read;
}

static struct str literal_str(const struct literal *l)
{
    return str_make(l->text, l->len);
}

static bool host_hash(struct lb_rule_index *x, struct str pattern, uint64_t *ret)
{
    struct literal end;
    if (!read_end(pattern, &end)) {
        return false;
    }
    *ret = hash_end(hash_backward(literal_str(&end)), end.is_whole ? HOST_WHOLE : HOST_END);
    if (!end.is_whole) {
        add_length(&x->host_ends, end.len);
    }
    x->has_hosts = true;
    return true;
}

static bool path_hash(struct lb_rule_index *x, struct str pattern, uint64_t *ret)
{
    struct literal begin;
    if (!read_begin(pattern, &begin) || (!begin.is_whole && begin.len < 2)) {
        return false; /* "/" begins every path */
    }
    uint64_t h = hash_start();
    for (size_t i = 0; i < begin.len; i++) {
        h = hash_add(h, begin.text[i]);
    }
    *ret = hash_end(h, begin.is_whole ? PATH_WHOLE : PATH_BEGIN);
    if (!begin.is_whole) {
        add_length(&x->path_begins, begin.len);
    }
    x->has_paths = true;
    return true;
}

/* False when there is no room for one more header. */
static bool add_header(struct lb_rule_index *x, struct str name)
{
    size_t i = 0;
    while (i < x->header_count && !str_equal_nocase(x->headers[i], name)) {
        i++;
    }
    if (i == x->header_count && i < LB_RULE_HEADERS_MAX) {
        x->headers[i] = name;
        x->header_starts[i] = hash_add(hash_lower(hash_start(), name), ':');
        x->header_count++;
    }
    return i < LB_RULE_HEADERS_MAX;
}

static bool value_hash(struct lb_rule_index *x, struct str header, struct str pattern,
                       uint64_t *ret)
{
    struct literal value;
    if (!read_begin(pattern, &value) || !value.is_whole) {
        return false;
    }
    uint64_t start = hash_add(hash_lower(hash_start(), header), ':');
    *ret = hash_end(hash_lower(start, literal_str(&value)), HEADER_VALUE);
    return add_header(x, header);
}

static uint64_t query_hash(struct str key, struct str value)
{
    uint64_t h = hash_start();
    if (str_is_set(key)) {
        h = hash_add(hash_lower(h, key), '=');
    }
    return hash_end(hash_lower(h, value), str_is_set(key) ? QUERY_PAIR : QUERY_VALUE);
}

static bool pair_hash(struct lb_rule_index *x, const struct lb_pair *pair, uint64_t *ret)
{
    struct literal key = {.is_whole = true};
    struct literal value;
    bool has_key = str_is_set(pair->key);
    if (has_key && (!read_begin(pair->key, &key) || !key.is_whole)) {
        return false;
    }
    if (!read_begin(pair->value, &value) || !value.is_whole) {
        return false;
    }
    *ret = query_hash(has_key ? literal_str(&key) : STR_NONE, literal_str(&value));
    x->has_queries = true;
    return true;
}

static bool cidr_hash(struct lb_rule_index *x, const struct lb_cidr *cidr, uint64_t *ret)
{
    *ret = hash_range(cidr->bytes, cidr->bits);
    add_length(&x->source_bits, cidr->bits);
    return cidr->bits > 0;
}

/* The hash of the i-th alternative, which the index then knows how to look up; false when it cannot
 * be filed. */
static bool hash_of(struct lb_rule_index *x, const struct lb_condition *c, size_t i, uint64_t *ret)
{
    switch (c->field) {
    case LB_HOST:
        return host_hash(x, c->values[i], ret);
    case LB_PATH:
        return path_hash(x, c->values[i], ret);
    case LB_HEADER:
        return value_hash(x, c->header_name, c->values[i], ret);
    case LB_QUERY:
        return pair_hash(x, &c->pairs[i], ret);
    case LB_SOURCE_IP:
        return cidr_hash(x, &c->cidrs[i], ret);
    case LB_METHOD:
        return false; /* too few of them to tell rules apart */
    }
    UNREACHABLE("every field is handled");
}

/* All alternatives' hashes; 0 when the condition cannot be filed. */
static size_t hashes_of(struct lb_rule_index *x, const struct lb_condition *c,
                        uint64_t ret[LB_VALUES_MAX])
{
    if (c->regex_count > 0) {
        return 0;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (!hash_of(x, c, i, &ret[i])) {
            return 0;
        }
    }
    return c->count;
}

/* ---- building -------------------------------------------------------------------------------- */

static struct table new_table(struct arena *a, size_t at_most)
{
    size_t capacity = 16;
    while (capacity < at_most * 2) {
        capacity *= 2;
    }
    return (struct table){.slots = ARENA_ARRAY(a, struct slot, capacity), .mask = capacity - 1};
}

/* The slot of the hash, or the free one where it belongs. */
static struct slot *slot_of(const struct table *t, uint64_t hash)
{
    size_t at = hash & t->mask;
    while (t->slots[at].hash != 0 && t->slots[at].hash != hash) {
        at = (at + 1) & t->mask;
    }
    return &t->slots[at];
}

static void count_hash(const struct table *t, uint64_t hash)
{
    struct slot *slot = slot_of(t, hash);
    slot->hash = hash;
    slot->count++;
}

static size_t count_values(const struct lb_rule *rules, size_t count)
{
    size_t values = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < rules[i].condition_count; j++) {
            values += rules[i].conditions[j].count;
        }
    }
    return values;
}

/* How often each text occurs in all rules. */
static void count_all(struct lb_rule_index *x, const struct table *t, const struct lb_rule *rules,
                      size_t count)
{
    uint64_t hashes[LB_VALUES_MAX];
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < rules[i].condition_count; j++) {
            size_t n = hashes_of(x, &rules[i].conditions[j], hashes);
            for (size_t k = 0; k < n; k++) {
                count_hash(t, hashes[k]);
            }
        }
    }
}

/* The condition to file the rule under: the one whose most frequent text is the rarest. NULL: none
 * can be. */
static const struct lb_condition *choose(struct lb_rule_index *x, const struct table *counts,
                                         const struct lb_rule *rule)
{
    uint64_t hashes[LB_VALUES_MAX];
    uint32_t best = UINT32_MAX;
    const struct lb_condition *chosen = NULL;
    for (size_t j = 0; j < rule->condition_count; j++) {
        size_t n = hashes_of(x, &rule->conditions[j], hashes);
        uint32_t most = 0;
        for (size_t k = 0; k < n; k++) {
            uint32_t shared = slot_of(counts, hashes[k])->count;
            most = shared > most ? shared : most;
        }
        if (n > 0 && most < best) {
            best = most;
            chosen = &rule->conditions[j];
        }
    }
    return chosen;
}

struct filed {
    uint64_t hash;
    uint32_t place;
};

/* Each slot gets its part of the places, in the order of the rules. */
static void fill(struct lb_rule_index *x, struct arena *a, const struct filed *filed, size_t count)
{
    x->table = new_table(a, count);
    x->places = ARENA_ARRAY(a, uint32_t, count);
    for (size_t i = 0; i < count; i++) {
        count_hash(&x->table, filed[i].hash);
    }
    uint32_t first = 0;
    for (size_t i = 0; i <= x->table.mask; i++) {
        x->table.slots[i].first = first;
        first += x->table.slots[i].count;
        x->table.slots[i].count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = slot_of(&x->table, filed[i].hash);
        x->places[slot->first + slot->count++] = filed[i].place;
    }
}

struct lb_rule_index *lb_rule_index_build(struct arena *a, const struct lb_rule *rules,
                                          size_t count)
{
    struct arena scratch;
    arena_init(&scratch);
    struct lb_rule_index *x = ARENA_NEW(a, struct lb_rule_index);
    struct lb_rule_index trial = {0}; /* of everything; x looks up what was chosen */
    size_t values = count_values(rules, count);
    struct table counts = new_table(&scratch, values);
    struct filed *filed = ARENA_ARRAY(&scratch, struct filed, values);
    size_t filed_count = 0;
    count_all(&trial, &counts, rules, count);
    x->others = ARENA_ARRAY(a, uint32_t, count);
    for (size_t i = 0; i < count; i++) {
        const struct lb_condition *chosen = choose(&trial, &counts, &rules[i]);
        uint64_t hashes[LB_VALUES_MAX];
        size_t n = chosen == NULL ? 0 : hashes_of(x, chosen, hashes);
        for (size_t k = 0; k < n; k++) {
            filed[filed_count++] = (struct filed){.hash = hashes[k], .place = (uint32_t)i};
        }
        if (n == 0) {
            x->others[x->other_count++] = (uint32_t)i;
        }
    }
    fill(x, a, filed, filed_count);
    arena_fini(&scratch);
    return x;
}

/* ---- finding --------------------------------------------------------------------------------- */

struct search {
    const struct lb_rule_index *index;
    const struct lb_rule *rules;
    const struct lb_request_facts *facts;
    size_t best; /* place of the first rule that is known to hold */
};

static void ask(struct search *s, const uint32_t *places, size_t count)
{
    for (size_t i = 0; i < count && places[i] < s->best; i++) {
        if (lb_rule_holds(&s->rules[places[i]], s->facts)) {
            s->best = places[i];
            return;
        }
    }
}

static void look_up(struct search *s, uint64_t hash)
{
    const struct slot *slot = slot_of(&s->index->table, hash);
    if (slot->hash != 0) {
        ask(s, s->index->places + slot->first, slot->count);
    }
}

static void look_up_host(struct search *s, struct str host)
{
    const struct lengths *ends = &s->index->host_ends;
    uint64_t h = hash_start();
    size_t len = 0;
    for (; len < host.len && len < TEXT_BYTES_MAX; len++) {
        if (has_length(ends, len)) {
            look_up(s, hash_end(h, HOST_END));
        }
        h = hash_add(h, str_lower_char(host.ptr[host.len - 1 - len]));
    }
    if (has_length(ends, len)) {
        look_up(s, hash_end(h, HOST_END));
    }
    if (len == host.len) {
        look_up(s, hash_end(h, HOST_WHOLE));
    }
}

static void look_up_path(struct search *s, struct str path)
{
    const struct lengths *begins = &s->index->path_begins;
    uint64_t h = hash_start();
    size_t len = 0;
    for (; len < path.len && len < TEXT_BYTES_MAX; len++) {
        if (has_length(begins, len)) {
            look_up(s, hash_end(h, PATH_BEGIN));
        }
        h = hash_add(h, path.ptr[len]);
    }
    if (has_length(begins, len)) {
        look_up(s, hash_end(h, PATH_BEGIN));
    }
    if (len == path.len) {
        look_up(s, hash_end(h, PATH_WHOLE));
    }
}

static void look_up_headers(struct search *s)
{
    for (size_t i = 0; i < s->index->header_count; i++) {
        size_t at = 0;
        struct str value;
        while (h1_find_next(s->facts->head, s->index->headers[i], &at, &value)) {
            if (value.len <= TEXT_BYTES_MAX) {
                look_up(s, hash_end(hash_lower(s->index->header_starts[i], value), HEADER_VALUE));
            }
        }
    }
}

/* As the conditions read it: a part without "=" is a key with an empty value. */
static void look_up_query(struct search *s)
{
    const struct h1_head *h = s->facts->head;
    struct str query = h->has_query ? h1_str(h, h->query) : STR_NONE;
    struct str part;
    while (str_is_set(query) && str_next(&query, '&', &part)) {
        struct str key = part;
        struct str value = STR("");
        (void)str_cut(part, '=', &key, &value);
        if (key.len <= TEXT_BYTES_MAX && value.len <= TEXT_BYTES_MAX) {
            look_up(s, query_hash(key, value));
        }
        if (value.len <= TEXT_BYTES_MAX) {
            look_up(s, query_hash(STR_NONE, value));
        }
    }
}

static void look_up_source(struct search *s)
{
    for (unsigned bits = 1; bits <= 128; bits++) {
        if (has_length(&s->index->source_bits, bits)) {
            look_up(s, hash_range(s->facts->peer, bits));
        }
    }
}

size_t lb_rule_index_find(const struct lb_rule_index *x, const struct lb_rule *rules, size_t count,
                          const struct lb_request_facts *facts)
{
    struct search s = {.index = x, .rules = rules, .facts = facts, .best = count};
    if (x->has_hosts) {
        look_up_host(&s, lb_host_name(h1_str(facts->head, facts->head->host)));
    }
    if (x->has_paths) {
        look_up_path(&s, lb_rule_path(facts->head));
    }
    look_up_headers(&s);
    if (x->has_queries) {
        look_up_query(&s);
    }
    if (x->source_bits.is_any) {
        look_up_source(&s);
    }
    ask(&s, x->others, x->other_count);
    return s.best;
}
