#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "test.h"

TEST(str_next_gives_every_part_and_the_empty_last_one)
{
    struct str rest = STR("a,b,");
    struct str part = STR_NONE;
    REQUIRE(str_next(&rest, ',', &part));
    EXPECT_STR(part, "a");
    REQUIRE(str_next(&rest, ',', &part));
    EXPECT_STR(part, "b");
    REQUIRE(str_next(&rest, ',', &part));
    EXPECT_STR(part, "");
    EXPECT(!str_next(&rest, ',', &part));
}

TEST(numbers_are_parsed_whole_or_not_at_all)
{
    static const struct {
        const char *text;
        bool is_number;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775808", true, INT64_MIN},
        {"-9223372036854775809", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"0x1", false, 0},
        {"18446744073709551616", false, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int64_t value = 0;
        bool got = str_parse_i64(str_of(rows[i].text), INT64_MIN, INT64_MAX, &value);
        EXPECT_EQ(got, rows[i].is_number);
        EXPECT_EQ(value, rows[i].value);
    }
    double f = 0;
    EXPECT(str_parse_f64(STR("1.5e3"), &f));
    EXPECT(f == 1500.0);
    EXPECT(!str_parse_f64(STR("nan"), &f));
    EXPECT(!str_parse_f64(STR("0x10"), &f));
    EXPECT(!str_parse_f64(STR("1e999"), &f));
}

TEST(wildcards_match_runs_and_single_bytes)
{
    EXPECT(str_match(STR("*.example.com"), STR("a.b.example.com"), false));
    EXPECT(!str_match(STR("*.example.com"), STR("example.com"), false));
    EXPECT(str_match(STR("/a/?/c*"), STR("/a/b/cde"), false));
    EXPECT(!str_match(STR("/A"), STR("/a"), false));
    EXPECT(str_match(STR("/A"), STR("/a"), true));
    EXPECT(str_match(STR("a*b*c"), STR("aXXbYYbZc"), false));
    EXPECT(str_match(STR("*"), STR(""), false));
    EXPECT(!str_match(STR("?"), STR(""), false));
}

TEST(buffers_keep_their_maximum_and_remember_what_did_not_fit)
{
    auto_buf struct buf b;
    buf_init(&b, 300);
    for (int i = 0; i < 300; i++) {
        buf_add_char(&b, 'x');
    }
    EXPECT(!b.is_overflown);
    EXPECT_EQ(b.len, 300);
    buf_add_char(&b, 'y');
    EXPECT(b.is_overflown);
    EXPECT_EQ(b.len, 300);
    buf_reset(&b);
    buf_addf(&b, "%d-%s", 7, "z");
    EXPECT_STR(buf_str(&b), "7-z");
}

TEST(arena_lists_grow_and_keep_their_items)
{
    struct arena a;
    arena_init(&a);
    struct {
        int *items;
        size_t count;
    } list = {0};
    for (int i = 0; i < 1000; i++) {
        *ARENA_PUSH(&a, &list) = i;
    }
    EXPECT_EQ(list.count, 1000);
    for (int i = 0; i < 1000; i++) {
        EXPECT_EQ(list.items[i], i);
    }
    arena_fini(&a);
}

TEST(maps_find_replace_and_remove)
{
    struct map m;
    map_init(&m);
    int values[500];
    struct arena a;
    arena_init(&a);
    for (int i = 0; i < 500; i++) {
        EXPECT(map_put(&m, arena_printf(&a, "key-%d", i), &values[i]) == NULL);
    }
    for (int i = 0; i < 500; i += 2) {
        EXPECT(map_remove(&m, arena_printf(&a, "key-%d", i)) == &values[i]);
    }
    for (int i = 0; i < 500; i++) {
        EXPECT(map_find(&m, arena_printf(&a, "key-%d", i)) == (i % 2 == 0 ? NULL : &values[i]));
    }
    size_t seen = 0;
    size_t at = 0;
    struct str key = STR_NONE;
    void *value = NULL;
    while (map_next(&m, &at, &key, &value)) {
        seen++;
    }
    EXPECT_EQ(seen, 250);
    arena_fini(&a);
    map_fini(&m);
}

TEST(times_are_written_and_read_back)
{
    struct arena a;
    arena_init(&a);
    wall_t t = {0};
    REQUIRE(wall_parse(STR("2026-11-20T15:42:10.123Z"), &t));
    EXPECT_STR(wall_iso8601(&a, t), "2026-11-20T15:42:10.123Z");
    EXPECT_STR(wall_basic(&a, t), "20261120T154210Z");
    EXPECT_STR(wall_basic_date(&a, t), "20261120");
    wall_t same = {0};
    REQUIRE(wall_parse(STR("2026-11-20T16:42:10.123+01:00"), &same));
    EXPECT_EQ(same.us, t.us);
    REQUIRE(wall_parse(STR("20261120T154210Z"), &same));
    EXPECT_EQ(same.us, t.us - 123000);
    EXPECT(!wall_parse(STR("2026-13-20T15:42:10Z"), &same));
    EXPECT(!wall_parse(STR("yesterday"), &same));
    arena_fini(&a);
}

TEST(the_hand_driven_clock_stands_still_until_it_is_moved)
{
    clock_use_manual((mono_t){.us = 5}, (wall_t){.us = 7});
    clock_manual_advance(DUR_S(2));
    EXPECT_EQ(clock_mono().us, 2000005);
    EXPECT_EQ(clock_wall().us, 2000007);
    clock_set_scale(60);
    EXPECT_EQ(dur_scaled(DUR_MIN(1)).us, 1000000);
}

TEST(failures_carry_a_sentence_and_keep_the_first_words_in_front)
{
    auto_op struct op op;
    op_init(&op);
    EXPECT_EQ(op_fail(&op, ERR_LIMIT, "%d is too many", 7), ERR_LIMIT);
    op_note_prefix(&op, "service \"%s\": ", "web");
    EXPECT_STR(str_of(op.note.text), "service \"web\": 7 is too many");
}

TEST(files_are_replaced_whole)
{
    auto_op struct op op;
    op_init(&op);
    struct str path = arena_printf(&op.arena, "%s/a/b", test_folder());
    REQUIRE_OK(file_make_folder(&op, path.ptr, 0700), &op);
    path = arena_printf(&op.arena, "%.*s/file", STR_ARG(path));
    REQUIRE_OK(file_write(&op, path.ptr, STR("one"), 0600), &op);
    REQUIRE_OK(file_write(&op, path.ptr, STR("two"), 0600), &op);
    struct str text = STR_NONE;
    REQUIRE_OK(file_read(&op, path.ptr, 100, &text), &op);
    EXPECT_STR(text, "two");
    EXPECT_EQ(file_read(&op, path.ptr, 2, &text), ERR_LIMIT);
    EXPECT_EQ(file_read(&op, "/nowhere/at/all", 2, &text), ERR_NOT_FOUND);
}

TEST(random_texts_have_their_form)
{
    struct arena a;
    arena_init(&a);
    struct str id = rand_uuid(&a);
    EXPECT_EQ(id.len, 36);
    EXPECT_EQ(id.ptr[14], '4');
    EXPECT_EQ(rand_text(&a, RAND_DIGITS, 19).len, 19);
    EXPECT(!str_equal(rand_uuid(&a), id));
    arena_fini(&a);
}

TEST(lists_survive_removal_while_they_are_walked)
{
    struct item {
        int n;
        struct list link;
    } items[4];
    struct list head;
    list_init(&head);
    for (int i = 0; i < 4; i++) {
        items[i].n = i;
        list_add_tail(&head, &items[i].link);
    }
    int sum = 0;
    LIST_FOR (it, &head, struct item, link) {
        sum += it->n;
        list_remove(&it->link);
    }
    EXPECT_EQ(sum, 6);
    EXPECT(list_is_empty(&head));
}
