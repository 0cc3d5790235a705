#pragma once
/* Hash map from text to pointer, keyed with a random SipHash key so that outsiders cannot aim at
 * one chain. Owns: copies of its keys; not the values. Order of iteration is unspecified. */

#include "base/str.h"

struct map_slot {
    char *key; /* NULL when not live */
    size_t key_len;
    bool is_tombstone;
    void *value; /* NULL when not live */
    uint64_t hash;
};

struct map {
    struct map_slot *slots;
    size_t capacity; /* 0 or a power of two */
    size_t count;
    size_t used; /* count + tombstones */
};

void map_init(struct map *m);
void map_fini(struct map *m);
/* NULL when absent. */
void *map_find(const struct map *m, struct str key);
/* value must not be NULL. Gives the value that it replaces, or NULL. */
void *map_put(struct map *m, struct str key, void *value);
/* Gives the removed value, or NULL. */
void *map_remove(struct map *m, struct str key);
/* Steps through: size_t at = 0; while (map_next(m, &at, &key, &value)). No puts meanwhile. */
bool map_next(const struct map *m, size_t *at, struct str *ret_key, void **ret_value);

/* SipHash-2-4 with the process's random key. */
uint64_t hash_str(struct str s);
