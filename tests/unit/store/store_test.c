#include "base/check.h"
#include "base/cleanup.h"
#include "gen/ecs.h"
#include "gen/engine.h"
#include "store/store.h"
#include "test.h"

static const struct store_kind tags = {"test.tag", &shape_ecs_tag};

static void open_op(struct op *op)
{
    op_init(op);
    op->region = STR("eu-west-1");
    op->account = STR("123456789012");
}

static void put_tag(struct op *op, struct store *st, const char *key, const char *parent,
                    const char *value)
{
    struct ecs_tag tag = {.key = str_of(key), .value = str_of(value)};
    REQUIRE_OK(store_put(op, st, &tags, str_of(key), str_of(parent), &tag), op);
}

TEST(rows_come_back_as_they_were_put_also_after_a_restart)
{
    auto_op struct op op;
    open_op(&op);
    struct store *st = NULL;
    struct str path = arena_printf(&op.arena, "%s/state.db", test_folder());
    REQUIRE_OK(store_open(&op, path.ptr, &st), &op);
    put_tag(&op, st, "a", "p", "one");
    put_tag(&op, st, "a", "p", "two \"quoted\" \xc3\xa9");
    store_close(st);
    REQUIRE_OK(store_open(&op, path.ptr, &st), &op);
    struct ecs_tag tag = {0};
    REQUIRE_OK(store_get(&op, st, &tags, STR("a"), &tag), &op);
    EXPECT_STR(tag.value, "two \"quoted\" \xc3\xa9");
    EXPECT_EQ(store_get(&op, st, &tags, STR("b"), &tag), ERR_NOT_FOUND);
    op.region = STR("us-east-1");
    EXPECT_EQ(store_get(&op, st, &tags, STR("a"), &tag), ERR_NOT_FOUND);
    store_close(st);
}

TEST(lists_follow_parent_prefix_and_page)
{
    auto_op struct op op;
    open_op(&op);
    struct store *st = NULL;
    REQUIRE_OK(store_open(&op, ":memory:", &st), &op);
    put_tag(&op, st, "web:1", "web", "x");
    put_tag(&op, st, "web:2", "web", "x");
    put_tag(&op, st, "api:1", "api", "x");
    op.region = STR("us-east-1");
    put_tag(&op, st, "web:1", "web", "elsewhere");
    op.region = STR("eu-west-1");
    static const struct {
        const char *name;
        struct store_range range;
        size_t count;
        const char *first;
    } rows[] = {
        {"all", {.limit = 0}, 3, "api:1"},
        {"parent", {.parent = STR_INIT("web")}, 2, "web:1"},
        {"prefix", {.prefix = STR_INIT("web:")}, 2, "web:1"},
        {"after", {.after = STR_INIT("web:1")}, 1, "web:2"},
        {"page", {.limit = 1}, 1, "api:1"},
        {"everywhere", {.is_every_region = true}, 4, "api:1"},
        {"parent everywhere", {.is_every_region = true, .parent = STR_INIT("web")}, 3, "web:1"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct store_items items = {0};
        REQUIRE_OK(store_list(&op, st, &tags, &rows[i].range, &items), &op);
        if (items.count != rows[i].count || !str_equal(items.items[0].key, str_of(rows[i].first))) {
            test_failed(__FILE__, __LINE__, "%s: %zu rows, first %.*s", rows[i].name, items.count,
                        STR_ARG(items.items[0].key));
        }
    }
    size_t count = 0;
    REQUIRE_OK(store_remove_all(&op, st, &tags, &(struct store_range){.parent = STR("web")}), &op);
    REQUIRE_OK(store_count(&op, st, &tags, &(struct store_range){.is_every_region = true}, &count),
               &op);
    EXPECT_EQ(count, 2);
    store_close(st);
}

static int told_count;

static void tell(void *self, struct str key)
{
    (void)self;
    told_count += STR_IS(key, "k") ? 1 : 100;
}

TEST(a_transaction_is_written_whole_or_not_at_all_and_tells_once)
{
    auto_op struct op op;
    open_op(&op);
    struct store *st = NULL;
    REQUIRE_OK(store_open(&op, ":memory:", &st), &op);
    {
        AUTO(store_tx_fini) struct store_tx tx = {0};
        REQUIRE_OK(store_tx_begin(&op, st, &tx), &op);
        put_tag(&op, st, "a", "", "x");
        store_after_commit(st, tell, NULL, STR("k"));
    }
    EXPECT(!store_has(&op, st, &tags, STR("a")));
    EXPECT_EQ(told_count, 0);
    {
        AUTO(store_tx_fini) struct store_tx tx = {0};
        REQUIRE_OK(store_tx_begin(&op, st, &tx), &op);
        put_tag(&op, st, "a", "", "x");
        store_after_commit(st, tell, NULL, STR("k"));
        store_after_commit(st, tell, NULL, STR("k"));
        EXPECT_EQ(told_count, 0);
        REQUIRE_OK(store_tx_commit(&op, &tx), &op);
    }
    EXPECT(store_has(&op, st, &tags, STR("a")));
    EXPECT_EQ(told_count, 1);
    {
        AUTO(store_tx_fini) struct store_tx outer = {0};
        REQUIRE_OK(store_tx_begin(&op, st, &outer), &op);
        put_tag(&op, st, "b", "", "x");
        {
            AUTO(store_tx_fini) struct store_tx inner = {0};
            REQUIRE_OK(store_tx_begin(&op, st, &inner), &op);
        }
        EXPECT_EQ(store_tx_commit(&op, &outer), ERR_STATE);
    }
    EXPECT(!store_has(&op, st, &tags, STR("b")));
    store_close(st);
}

TEST(numbers_never_come_twice)
{
    auto_op struct op op;
    open_op(&op);
    struct store *st = NULL;
    REQUIRE_OK(store_open(&op, ":memory:", &st), &op);
    for (int64_t want = 1; want <= 3; want++) {
        int64_t number = 0;
        REQUIRE_OK(store_next_number(&op, st, STR("web"), &number), &op);
        EXPECT_EQ(number, want);
    }
    int64_t number = 0;
    REQUIRE_OK(store_next_number(&op, st, STR("api"), &number), &op);
    EXPECT_EQ(number, 1);
    store_close(st);
}

TEST(keys_past_the_limit_are_refused)
{
    auto_op struct op op;
    open_op(&op);
    struct store *st = NULL;
    REQUIRE_OK(store_open(&op, ":memory:", &st), &op);
    struct ecs_tag tag = {0};
    char *key = arena_alloc(&op.arena, STORE_KEY_BYTES_MAX + 1);
    memset(key, 'k', STORE_KEY_BYTES_MAX + 1);
    EXPECT_OK(store_put(&op, st, &tags, str_make(key, STORE_KEY_BYTES_MAX), STR(""), &tag), &op);
    EXPECT_EQ(store_put(&op, st, &tags, str_make(key, STORE_KEY_BYTES_MAX + 1), STR(""), &tag),
              ERR_LIMIT);
    store_close(st);
}
