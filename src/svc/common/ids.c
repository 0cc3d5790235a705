#include "svc/common/ids.h"

#include "base/check.h"

#include <inttypes.h>

struct str id_digits19(struct arena *a)
{
    struct str first = rand_text(a, STR("123456789"), 1);
    struct str rest = rand_text(a, RAND_DIGITS, 18);
    return arena_printf(a, "%.*s%.*s", STR_ARG(first), STR_ARG(rest));
}

struct str id_codedeploy(struct arena *a)
{
    struct str tail = rand_text(a, RAND_UPPER, 9);
    return arena_printf(a, "d-%.*s", STR_ARG(tail));
}

/* FNV-1a; two bases give two independent halves. Not for secrets. */
static uint64_t fnv(struct str s, uint64_t basis)
{
    uint64_t hash = basis;
    for (size_t i = 0; i < s.len; i++) {
        hash = (hash ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
    }
    hash ^= hash >> 32; /* the low bits of FNV alone are weak */
    return hash * 0x9e3779b97f4a7c15u;
}

struct str id_derived(struct arena *a, struct str words, size_t count)
{
    CHECK(count <= 32);
    struct str text = arena_printf(a, "%016" PRIx64 "%016" PRIx64, fnv(words, 0xcbf29ce484222325u),
                                   fnv(words, 0x84222325cbf29ce4u));
    return str_slice(text, 0, count);
}

bool name_is(struct str name, size_t min_chars, size_t max_chars, struct str extra)
{
    if (name.len < min_chars || name.len > max_chars) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_plain && str_find_char(extra, c, 0) == STR_NOT_FOUND) {
            return false;
        }
    }
    return true;
}
