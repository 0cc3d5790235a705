#include "lb/affinity.h"
#include "test.h"

#include <stdio.h>

#define NOW_MS  ((int64_t)1795201645000)
#define WEEK_MS ((int64_t)7 * 24 * 3600 * 1000)

static struct lb_cookies with_key(uint8_t first)
{
    struct lb_cookies c = {0};
    struct seal_key key = {.bytes = {first, 7, 9}};
    lb_cookies_set_key(&c, &key);
    return c;
}

static struct lb_marks marks_of(size_t count, int64_t until_ms)
{
    struct lb_marks marks = {.count = count};
    for (size_t i = 0; i < count; i++) {
        marks.items[i] = (struct lb_mark){.group = i + 1, .peer = 100 + i, .until_ms = until_ms};
    }
    return marks;
}

TEST(a_cookie_gives_back_its_marks_in_any_process_with_the_key)
{
    struct lb_cookies one = with_key(1);
    struct lb_cookies two = with_key(1);
    struct lb_cookies other = with_key(2);
    struct lb_cookies keyless = {0};
    for (size_t count = 1; count <= LB_MARKS_MAX; count++) {
        char room[LB_COOKIE_CHARS_MAX];
        struct lb_marks marks = marks_of(count, NOW_MS + 1000);
        struct lb_marks got;
        struct str text = lb_cookie_write(&one, LB_COOKIE_TARGET, &marks, NOW_MS, room);
        EXPECT(text.len <= LB_COOKIE_CHARS_MAX);
        EXPECT(lb_cookie_read(&two, LB_COOKIE_TARGET, text, NOW_MS, &got));
        EXPECT_EQ(got.count, count);
        EXPECT(memcmp(got.items, marks.items, count * sizeof(marks.items[0])) == 0);
        EXPECT(!lb_cookie_read(&two, LB_COOKIE_GROUP, text, NOW_MS, &got));
        EXPECT(!lb_cookie_read(&other, LB_COOKIE_TARGET, text, NOW_MS, &got));
        EXPECT(!lb_cookie_read(&keyless, LB_COOKIE_TARGET, text, NOW_MS, &got));
        EXPECT_EQ(got.count, 0);
        EXPECT(lb_cookie_read(&two, LB_COOKIE_TARGET, text, NOW_MS + 1001, &got));
        EXPECT_EQ(got.count, 0); /* over */
    }
    lb_cookies_fini(&one);
    lb_cookies_fini(&two);
    lb_cookies_fini(&other);
}

TEST(a_cookie_with_any_character_changed_or_cut_is_none)
{
    struct lb_cookies c = with_key(1);
    char room[LB_COOKIE_CHARS_MAX];
    char text[LB_COOKIE_CHARS_MAX];
    struct lb_marks marks = marks_of(2, NOW_MS + 1000);
    struct lb_marks got;
    struct str made = lb_cookie_write(&c, LB_COOKIE_TARGET, &marks, NOW_MS, room);
    memcpy(text, made.ptr, made.len);
    for (size_t i = 0; i < made.len; i++) {
        char before = text[i];
        text[i] = before == 'A' ? 'B' : 'A';
        EXPECT(!lb_cookie_read(&c, LB_COOKIE_TARGET, str_make(text, made.len), NOW_MS, &got));
        text[i] = before;
        EXPECT(!lb_cookie_read(&c, LB_COOKIE_TARGET, str_make(text, i), NOW_MS, &got));
    }
    EXPECT(lb_cookie_read(&c, LB_COOKIE_TARGET, str_make(text, made.len), NOW_MS, &got));
    lb_cookies_fini(&c);
}

/* No cookie is valid for longer than a week, so a key serves for two. */
TEST(keys_rotate_by_the_week)
{
    struct lb_cookies c = with_key(1);
    char room[LB_COOKIE_CHARS_MAX];
    struct lb_marks marks = marks_of(2, NOW_MS + 100 * WEEK_MS);
    struct lb_marks got;
    struct str text = lb_cookie_write(&c, LB_COOKIE_TARGET, &marks, NOW_MS, room);
    EXPECT(lb_cookie_read(&c, LB_COOKIE_TARGET, text, NOW_MS + WEEK_MS, &got));
    EXPECT(lb_cookie_read(&c, LB_COOKIE_TARGET, text, NOW_MS - WEEK_MS, &got));
    EXPECT(!lb_cookie_read(&c, LB_COOKIE_TARGET, text, NOW_MS + 2 * WEEK_MS, &got));
    EXPECT(!lb_cookie_read(&c, LB_COOKIE_TARGET, text, NOW_MS - 2 * WEEK_MS, &got));
    EXPECT(lb_cookie_read(&c, LB_COOKIE_TARGET, text, NOW_MS, &got));
    lb_cookies_fini(&c);
}

TEST(the_same_mark_is_sealed_once)
{
    struct lb_cookies c = with_key(1);
    char room[LB_COOKIE_CHARS_MAX];
    struct lb_marks marks = marks_of(1, lb_cookie_until_ms(NOW_MS, DUR_S(60)));
    char first[LB_COOKIE_CHARS_MAX];
    struct str text = lb_cookie_write(&c, LB_COOKIE_TARGET, &marks, NOW_MS, room);
    memcpy(first, text.ptr, text.len);
    struct str again = lb_cookie_write(&c, LB_COOKIE_TARGET, &marks, NOW_MS + 1, room);
    EXPECT(str_equal(again, str_make(first, text.len)));
    struct str other = lb_cookie_write(&c, LB_COOKIE_GROUP, &marks, NOW_MS, room);
    EXPECT(!str_equal(other, str_make(first, text.len)));
    EXPECT(lb_cookie_until_ms(NOW_MS, DUR_S(60)) >= NOW_MS + 60000);
    EXPECT(lb_cookie_until_ms(NOW_MS, DUR_S(60)) < NOW_MS + 60256);
    lb_cookies_fini(&c);
}

/* ---- cohorts ----------------------------------------------------------------------------------
 */

#define IDS 100000

TEST(raising_the_percentage_never_moves_anybody_back)
{
    static uint8_t was_new[IDS];
    struct siphash_key key = {.k0 = 11, .k1 = 22};
    double worst = 0;
    size_t moved_back = 0;
    memset(was_new, 0, sizeof(was_new));
    for (uint32_t percent = 0; percent <= 100; percent++) {
        struct lb_action a = {.weight_count = 2, .weight_sum = 100};
        a.weights[0].weight = 100 - percent;
        a.weights[1].weight = percent;
        size_t count = 0;
        for (size_t i = 0; i < IDS; i++) {
            char id[32];
            int len = snprintf(id, sizeof(id), "customer-%zu", i);
            bool is_new = lb_cohort_pick(&a, &key, str_make(id, (size_t)len)) == 1;
            moved_back += was_new[i] && !is_new;
            was_new[i] = is_new;
            count += is_new;
        }
        double off = (double)count / IDS - percent / 100.0;
        worst = off > worst ? off : -off > worst ? -off : worst;
        EXPECT(percent != 0 || count == 0);
        EXPECT(percent != 100 || count == IDS);
    }
    printf("# 100000 ids: share of the new group off by %.5f at most over all percentages\n",
           worst);
    EXPECT_EQ(moved_back, 0);
    /* five times the standard deviation at one half, sqrt(p q / n) = 0.00158 */
    EXPECT(worst < 0.008);
}
