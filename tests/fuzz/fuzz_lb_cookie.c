/* Cookies that clients send, and ids of cohorts: the text of one cookie with marks. What opens is
 * ours and can be written again; nothing else opens. */

#include "base/check.h"
#include "fuzz.h"
#include "lb/affinity.h"

#define NOW_MS ((int64_t)1795201645000)

/* Clients cannot guess the key, so a text that opens was made here: of the bytes. */
static void try_made(struct lb_cookies *c, struct str bytes)
{
    char room[LB_COOKIE_CHARS_MAX];
    struct lb_marks marks = {.count = 1 + bytes.len % LB_MARKS_MAX};
    struct lb_marks got;
    for (size_t i = 0; i < marks.count; i++) {
        marks.items[i] = (struct lb_mark){
            .group = bytes.len + i, .peer = 3 * bytes.len, .until_ms = NOW_MS + 1 + (int64_t)i};
    }
    struct str text = lb_cookie_write(c, LB_COOKIE_TARGET, &marks, NOW_MS, room);
    CHECK(lb_cookie_read(c, LB_COOKIE_TARGET, text, NOW_MS, &got));
    CHECK(got.count == marks.count);
    CHECK(memcmp(got.items, marks.items, marks.count * sizeof(marks.items[0])) == 0);
}

/* The bytes over a good cookie: it stays shut unless nothing changed. */
static void try_altered(struct lb_cookies *c, struct str bytes)
{
    char room[LB_COOKIE_CHARS_MAX];
    char text[LB_COOKIE_CHARS_MAX];
    struct lb_marks marks = {.count = 2};
    struct lb_marks got;
    struct str good = lb_cookie_write(c, LB_COOKIE_GROUP, &marks, NOW_MS, room);
    memcpy(text, good.ptr, good.len);
    for (size_t i = 0; i < bytes.len; i++) {
        text[(size_t)i * 7 % good.len] = bytes.ptr[i];
    }
    bool is_same = memcmp(text, good.ptr, good.len) == 0;
    CHECK(lb_cookie_read(c, LB_COOKIE_GROUP, str_make(text, good.len), NOW_MS, &got) == is_same);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct lb_cookies cookies;
    struct seal_key key = {.bytes = {1, 2, 3}};
    struct str text = str_make((const char *)bytes, count);
    struct siphash_key cohort = {.k0 = 1, .k1 = 2};
    struct lb_action a = {.weight_count = 2, .weight_sum = 1000};
    struct lb_marks got;
    lb_cookies_set_key(&cookies, &key);
    (void)lb_cookie_read(&cookies, LB_COOKIE_TARGET, text, NOW_MS, &got);
    CHECK(got.count <= LB_MARKS_MAX);
    try_made(&cookies, text);
    try_altered(&cookies, text);
    a.weights[0].weight = 999;
    a.weights[1].weight = 1;
    CHECK(lb_cohort_pick(&a, &cohort, text) < 2);
    return 0;
}
