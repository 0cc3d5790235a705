#include "base/near.h"

#define NEAR_DISTANCE_MAX 2
#define NEAR_CHARS_MAX    40

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits that turn one text into the other (insert, drop, replace, swap of neighbours). */
static size_t distance(struct str a, struct str b)
{
    size_t rows[3][NEAR_CHARS_MAX + 1];
    for (size_t j = 0; j <= b.len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t *now = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t replaced = above[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            now[j] = least(replaced, least(above[j], now[j - 1]) + 1);
            bool is_swap =
                i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1];
            if (is_swap) {
                now[j] = least(now[j], rows[(i - 2) % 3][j - 2] + 1);
            }
        }
    }
    return rows[a.len % 3][b.len];
}

struct str near_word(struct str word, const struct str *known, size_t count)
{
    size_t best = NEAR_DISTANCE_MAX + 1;
    struct str found = STR_NONE;
    for (size_t i = 0; i < count; i++) {
        if (word.len > NEAR_CHARS_MAX || known[i].len > NEAR_CHARS_MAX) {
            continue;
        }
        size_t d = distance(word, known[i]);
        if (d < best && d < known[i].len) {
            best = d;
            found = known[i];
        }
    }
    return found;
}
