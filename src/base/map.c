#include "base/map.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"

#define CAPACITY_MIN 16

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate_left(v[1], 13) ^ v[0];
    v[0] = rotate_left(v[0], 32);
    v[2] += v[3];
    v[3] = rotate_left(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate_left(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate_left(v[1], 17) ^ v[2];
    v[2] = rotate_left(v[2], 32);
}

static void sip_absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

uint64_t hash_str(struct str s)
{
    static uint64_t key[2];
    static bool has_key;
    if (!has_key) {
        rand_bytes(key, sizeof(key));
        has_key = true;
    }
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                     key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u};
    size_t at = 0;
    for (; at + 8 <= s.len; at += 8) {
        uint64_t word = 0;
        memcpy(&word, s.ptr + at, 8);
        sip_absorb(v, word);
    }
    uint64_t last = (uint64_t)s.len << 56;
    if (at < s.len) {
        uint64_t rest = 0;
        memcpy(&rest, s.ptr + at, s.len - at);
        last |= rest;
    }
    sip_absorb(v, last);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *m)
{
    *m = (struct map){0};
}

static bool is_live(const struct map_slot *slot)
{
    return slot->value != NULL;
}

static bool is_unused(const struct map_slot *slot)
{
    return slot->value == NULL && !slot->is_tombstone;
}

static struct str key_of(const struct map_slot *slot)
{
    return str_make(slot->key, slot->key_len);
}

void map_fini(struct map *m)
{
    for (size_t i = 0; i < m->capacity; i++) {
        if (is_live(&m->slots[i])) {
            mem_free(m->slots[i].key);
        }
    }
    mem_free(m->slots);
    *m = (struct map){0};
}

static struct map_slot *slot_of(const struct map *m, struct str key, uint64_t hash)
{
    if (m->capacity == 0) {
        return NULL;
    }
    for (size_t i = hash & (m->capacity - 1);; i = (i + 1) & (m->capacity - 1)) {
        struct map_slot *slot = &m->slots[i];
        if (is_unused(slot)) {
            return NULL;
        }
        if (is_live(slot) && slot->hash == hash && str_equal(key_of(slot), key)) {
            return slot;
        }
    }
}

static void insert_new(struct map *m, struct map_slot entry)
{
    size_t i = entry.hash & (m->capacity - 1);
    while (!is_unused(&m->slots[i])) {
        i = (i + 1) & (m->capacity - 1);
    }
    m->slots[i] = entry;
    m->used++;
    m->count++;
}

static void resize(struct map *m)
{
    struct map old = *m;
    m->capacity = old.count * 2 < CAPACITY_MIN ? CAPACITY_MIN : old.capacity;
    while (m->capacity < old.count * 4) {
        m->capacity *= 2;
    }
    m->slots = mem_alloc_array(m->capacity, sizeof(*m->slots));
    m->used = 0;
    m->count = 0;
    for (size_t i = 0; i < old.capacity; i++) {
        if (is_live(&old.slots[i])) {
            insert_new(m, old.slots[i]);
        }
    }
    mem_free(old.slots);
}

void *map_find(const struct map *m, struct str key)
{
    const struct map_slot *slot = slot_of(m, key, hash_str(key));
    return slot == NULL ? NULL : slot->value;
}

void *map_put(struct map *m, struct str key, void *value)
{
    CHECK(value != NULL);
    uint64_t hash = hash_str(key);
    struct map_slot *slot = slot_of(m, key, hash);
    if (slot != NULL) {
        void *old = slot->value;
        slot->value = value;
        return old;
    }
    if ((m->used + 1) * 4 > m->capacity * 3) {
        resize(m);
    }
    char *copy = mem_alloc(key.len + 1);
    if (key.len > 0) {
        memcpy(copy, key.ptr, key.len);
    }
    insert_new(m, (struct map_slot){.key = copy, .key_len = key.len, .value = value, .hash = hash});
    return NULL;
}

void *map_remove(struct map *m, struct str key)
{
    struct map_slot *slot = slot_of(m, key, hash_str(key));
    if (slot == NULL) {
        return NULL;
    }
    void *old = slot->value;
    mem_free(slot->key);
    *slot = (struct map_slot){.is_tombstone = true};
    m->count--;
    return old;
}

bool map_next(const struct map *m, size_t *at, struct str *ret_key, void **ret_value)
{
    while (*at < m->capacity) {
        const struct map_slot *slot = &m->slots[(*at)++];
        if (is_live(slot)) {
            *ret_key = key_of(slot);
            *ret_value = slot->value;
            return true;
        }
    }
    return false;
}
