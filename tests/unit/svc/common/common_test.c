#include "gen/ecs.h"
#include "svc/common/arn.h"
#include "svc/common/ids.h"
#include "svc/common/network.h"
#include "svc/common/page.h"
#include "svc/common/tags.h"
#include "test.h"

static void begin(struct op *op)
{
    op_init(op);
    op->account = STR("123456789012");
    op->region = STR("eu-west-1");
}

TEST(arns_are_taken_apart_and_put_together)
{
    auto_op struct op op;
    begin(&op);
    struct arn arn = {0};
    struct str text = STR("arn:aws:ecs:eu-west-1:123456789012:service/web/api:1");
    REQUIRE(arn_parse(text, &arn));
    EXPECT_STR(arn.service, "ecs");
    EXPECT_STR(arn.account, "123456789012");
    EXPECT_STR(arn.resource, "service/web/api:1");
    EXPECT(arn_is_here(&op, &arn, STR("ecs")));
    EXPECT(!arn_is_here(&op, &arn, STR("ec2")));
    struct str tail = STR_NONE;
    REQUIRE(arn_tail(&arn, STR("service/"), &tail));
    EXPECT_STR(tail, "web/api:1");
    EXPECT(!arn_tail(&arn, STR("service/web/api:1"), &tail));
    EXPECT_STR_EQ(arn_make(&op, STR("ecs"), arn.resource), text);
    EXPECT_STR(arn_makef(&op, STR("logs"), "log-group:%s", "x"),
               "arn:aws:logs:eu-west-1:123456789012:log-group:x");
    EXPECT_STR(arn_make_global(&op, STR("iam"), STR("root")), "arn:aws:iam::123456789012:root");
    op.region = STR("cn-north-1");
    EXPECT_STR(arn_make(&op, STR("ecs"), STR("x")), "arn:aws-cn:ecs:cn-north-1:123456789012:x");
}

TEST(what_is_no_arn_is_refused)
{
    struct arn arn = {0};
    const char *bad[] = {"",
                         "arn",
                         "arn:aws:ecs:r:a",
                         "arn:aws:ecs:r:a:",
                         "arn::s:r:a:x",
                         "arn:aws::r:a:x",
                         "urn:aws:ecs:r:a:x/y",
                         "arn:aws:ecs:x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        EXPECT(!arn_parse(str_of(bad[i]), &arn));
    }
    EXPECT(arn_parse(STR("arn:aws:s3:::bucket"), &arn));
    EXPECT_STR(arn.region, "");
}

static const struct err_public too_many = {.code = "TooManyTags", .http_status = 400};
static const struct err_public duplicate = {.code = "DuplicateTagKeys", .http_status = 400};
static const struct err_public invalid = {.code = "ValidationError", .http_status = 400};
static const struct tag_errors errors = {&too_many, &duplicate, &invalid};

TEST(tags_of_any_service_are_merged_and_taken_away)
{
    auto_op struct op op;
    begin(&op);
    struct ecs_tags sent = {.is_set = true};
    *ARENA_PUSH(&op.arena, &sent) = (struct ecs_tag){.key = STR("b"), .value = STR("2")};
    *ARENA_PUSH(&op.arena, &sent) = (struct ecs_tag){.key = STR("c"), .value = STR("3")};
    struct tags add = TAGS_FROM(&op.arena, sent);
    struct tag have_items[] = {{STR("a"), STR("1")}, {STR("b"), STR("1")}};
    struct tags have = {.items = have_items, .count = 2};
    struct tags merged = {0};
    REQUIRE_OK(tags_check(&op, &errors, &add), &op);
    REQUIRE_OK(tags_merge(&op, &errors, &have, &add, &merged), &op);
    struct ecs_tags out = {0};
    TAGS_INTO(&op.arena, merged, &out);
    REQUIRE_EQ(out.count, 3);
    EXPECT_STR(out.items[0].key, "a");
    EXPECT_STR(out.items[1].value, "2");
    EXPECT_STR(out.items[2].key, "c");
    struct str keys[] = {STR("a"), STR("zz")};
    struct tags left = tags_without(&op.arena, &merged, keys, 2);
    EXPECT_EQ(left.count, 2);
    EXPECT(tags_equal(&left, &add));
    EXPECT(!tags_equal(&left, &have));
}

static const char *refused(struct op *op, struct str key, struct str value)
{
    struct tag one = {key, value};
    struct tags tags = {.items = &one, .count = 1};
    return tags_check(op, &errors, &tags) == ERR_OK ? "" : op->note.public_error->code;
}

TEST(tags_past_their_limits_are_refused)
{
    auto_op struct op op;
    begin(&op);
    char long_key[TAG_KEY_CHARS_MAX + 1];
    memset(long_key, 'k', sizeof(long_key));
    EXPECT_STR(str_of(refused(&op, str_make(long_key, TAG_KEY_CHARS_MAX), STR("v"))), "");
    EXPECT_STR(str_of(refused(&op, str_make(long_key, sizeof(long_key)), STR("v"))),
               "ValidationError");
    EXPECT_STR(str_of(refused(&op, STR(""), STR("v"))), "ValidationError");
    EXPECT_STR(str_of(refused(&op, STR("aws:x"), STR("v"))), "ValidationError");
    EXPECT_STR(str_of(refused(&op, STR("a<b"), STR("v"))), "ValidationError");
    EXPECT_STR(str_of(refused(&op, STR("a"), STR("\x01"))), "ValidationError");
    EXPECT_STR(str_of(refused(&op, STR("gr\xc3\xbc\xc3\x9f"), STR(""))), "");

    struct tag two[] = {{STR("a"), STR("1")}, {STR("a"), STR("2")}};
    struct tags twice = {.items = two, .count = 2};
    EXPECT_EQ(tags_check(&op, &errors, &twice), ERR_INPUT);
    EXPECT_STR(str_of(op.note.public_error->code), "DuplicateTagKeys");

    struct tags many = {0};
    for (int i = 0; i <= TAGS_MAX; i++) {
        ARENA_PUSH(&op.arena, &many)->key = arena_printf(&op.arena, "k%d", i);
    }
    EXPECT_EQ(tags_check(&op, &errors, &many), ERR_LIMIT);
    struct tags none = {0};
    struct tags merged = {0};
    EXPECT_EQ(tags_merge(&op, &errors, &none, &many, &merged), ERR_LIMIT);
    EXPECT_STR(str_of(op.note.public_error->code), "TooManyTags");
}

TEST(ids_have_their_forms)
{
    auto_op struct op op;
    begin(&op);
    EXPECT_EQ(id_hex16(&op.arena).len, 16);
    struct str digits = id_digits19(&op.arena);
    EXPECT_EQ(digits.len, 19);
    EXPECT(digits.ptr[0] != '0');
    EXPECT(str_match(STR("d-?????????"), id_codedeploy(&op.arena), false));
    struct str id = id_derived(&op.arena, STR("vpc eu-west-1"), 17);
    EXPECT_EQ(id.len, 17);
    EXPECT_STR_EQ(id, id_derived(&op.arena, STR("vpc eu-west-1"), 17));
    EXPECT(!str_equal(id, id_derived(&op.arena, STR("vpc eu-west-2"), 17)));
    EXPECT(name_is(STR("web-1"), 1, 5, STR("-")));
    EXPECT(!name_is(STR("web-1"), 1, 4, STR("-")));
    EXPECT(!name_is(STR("web_1"), 1, 32, STR("-")));
    EXPECT(!name_is(STR(""), 1, 32, STR("-")));
}

TEST(tokens_come_back_as_they_went_and_others_are_refused)
{
    auto_op struct op op;
    begin(&op);
    char bytes[40];
    for (size_t len = 0; len < sizeof(bytes); len++) {
        memset(bytes, (int)(0xf0 + len), sizeof(bytes));
        struct str text = page_encode(&op.arena, str_make(bytes, len));
        struct str back = STR_NONE;
        REQUIRE(page_decode(&op.arena, text, &back));
        EXPECT_STR_EQ(back, str_make(bytes, len));
    }
    static const struct page_rules rules = {
        .list_name = "a", .default_count = 2, .max_count = 3, .bad_token = &invalid};
    static const struct page_rules others = {.list_name = "b"};
    struct page page = {0};
    struct str token = page_token(&op, &rules, STR("k1"));
    REQUIRE_OK(page_open(&op, &rules, (struct page_ask){.token = token}, &page), &op);
    EXPECT_STR(page.after, "k1");
    EXPECT_EQ(page.count, 2);
    const struct str bad[] = {STR("!"), STR("A"), page_token(&op, &others, STR("k1")), STR("YQ=="),
                              STR("YR")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        EXPECT_EQ(page_open(&op, &rules, (struct page_ask){.token = bad[i]}, &page), ERR_INPUT);
        EXPECT(op.note.public_error == &invalid);
    }
    REQUIRE_OK(page_open(&op, &rules, (struct page_ask){.max_results = OPT_I32(9)}, &page), &op);
    EXPECT_EQ(page.count, 3);
    EXPECT_EQ(page_open(&op, &rules, (struct page_ask){.max_results = OPT_I32(0)}, &page),
              ERR_INPUT);
}

TEST(lists_in_memory_are_cut_by_key)
{
    auto_op struct op op;
    begin(&op);
    static const struct page_rules rules = {.list_name = "a", .default_count = 2};
    const struct str keys[] = {STR("a"), STR("c"), STR("e"), STR("g"), STR("i")};
    size_t from = 0;
    size_t to = 0;
    struct page_ask ask = {0};
    REQUIRE_OK(page_cut(&op, &rules, ask, keys, 5, &from, &to, &ask.token), &op);
    EXPECT_EQ(from, 0);
    EXPECT_EQ(to, 2);
    /* "c" is gone meanwhile: the next page still starts behind it */
    const struct str fewer[] = {STR("a"), STR("e"), STR("g"), STR("i")};
    REQUIRE_OK(page_cut(&op, &rules, ask, fewer, 4, &from, &to, &ask.token), &op);
    EXPECT_EQ(from, 1);
    EXPECT_EQ(to, 3);
    REQUIRE_OK(page_cut(&op, &rules, ask, fewer, 4, &from, &to, &ask.token), &op);
    EXPECT_EQ(from, 3);
    EXPECT_EQ(to, 4);
    EXPECT(!str_is_set(ask.token));
}

TEST(rows_come_in_pages_that_survive_removals)
{
    auto_op struct op op;
    begin(&op);
    struct store *st = NULL;
    REQUIRE_OK(store_open(&op, ":memory:", &st), &op);
    static const struct store_kind clusters = {"ecs.cluster", &shape_ecs_cluster};
    const struct str keys[] = {STR("a"), STR("b"), STR("c"), STR("d"), STR("e")};
    for (size_t i = 0; i < 5; i++) {
        struct ecs_cluster row = {.cluster_name = keys[i]};
        REQUIRE_OK(store_put(&op, st, &clusters, keys[i], STR(""), &row), &op);
    }
    static const struct page_rules rules = {.list_name = "clusters", .max_count = 100};
    struct store_range range = {0};
    struct page_ask ask = {.max_results = OPT_I32(2)};
    struct store_items items = {0};
    REQUIRE_OK(page_list(&op, st, &clusters, &range, &rules, ask, &items, &ask.token), &op);
    REQUIRE_EQ(items.count, 2);
    EXPECT_STR(((struct ecs_cluster *)items.items[1].value)->cluster_name, "b");
    REQUIRE_OK(store_remove(&op, st, &clusters, STR("b")), &op);
    REQUIRE_OK(page_list(&op, st, &clusters, &range, &rules, ask, &items, &ask.token), &op);
    REQUIRE_EQ(items.count, 2);
    EXPECT_STR(items.items[0].key, "c");
    EXPECT(str_is_set(ask.token));
    REQUIRE_OK(page_list(&op, st, &clusters, &range, &rules, ask, &items, &ask.token), &op);
    REQUIRE_EQ(items.count, 1);
    EXPECT(!str_is_set(ask.token));
    store_close(st);
}

TEST(every_region_has_the_same_network_every_time)
{
    auto_op struct op op;
    begin(&op);
    struct network n = network_default(&op.arena, STR("ap-southeast-2"));
    struct network again = network_default(&op.arena, STR("ap-southeast-2"));
    struct network other = network_default(&op.arena, STR("eu-west-1"));
    EXPECT(str_match(STR("vpc-0????????????????"), n.vpc_id, false));
    EXPECT_STR_EQ(n.vpc_id, again.vpc_id);
    EXPECT(!str_equal(n.vpc_id, other.vpc_id));
    EXPECT_STR(n.subnets[1].zone, "ap-southeast-2b");
    EXPECT_STR(n.subnets[1].zone_id, "apse2-az2");
    EXPECT_STR(n.subnets[2].cidr, "172.31.32.0/20");
    EXPECT_STR(other.subnets[0].zone_id, "euw1-az1");
    EXPECT(network_find_subnet(&n, again.subnets[2].id) == &n.subnets[2]);
    EXPECT(network_find_subnet(&n, other.subnets[2].id) == NULL);
}
