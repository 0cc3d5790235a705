#pragma once
/* Identifiers and names in AWS's forms. All texts live in the given arena. */

#include "base/arena.h"
#include "base/rand.h"
#include "base/str.h"

#include <stdbool.h>

/* "0123456789abcdef": load balancers, target groups, listeners, rules. */
static inline struct str id_hex16(struct arena *a)
{
    return rand_text(a, RAND_HEX, 16);
}
/* 32 hex digits: tasks, container instances. */
static inline struct str id_hex32(struct arena *a)
{
    return rand_text(a, RAND_HEX, 32);
}
/* 17 hex digits: vpc-, subnet-, eni- ... */
static inline struct str id_hex17(struct arena *a)
{
    return rand_text(a, RAND_HEX, 17);
}
/* 19 digits, the first one not 0: ECS deployments and task sets. */
struct str id_digits19(struct arena *a);
/* "d-" and 9 upper case letters and digits: CodeDeploy deployments. */
struct str id_codedeploy(struct arena *a);
/* 17 or so hex digits that are always the same for the same words; for things that exist without
 * having been created (the default network). count <= 32. */
struct str id_derived(struct arena *a, struct str words, size_t count);

/* Letters and digits of ASCII, and the characters of `extra`; min..max characters. */
bool name_is(struct str name, size_t min_chars, size_t max_chars, struct str extra);
