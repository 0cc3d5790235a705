#include "base/check.h"
#include "base/cleanup.h"
#include "ev/loop.h"
#include "store/store.h"
#include "svc/logs/service.h"
#include "test.h"

#include <stdio.h>

#define REGION STR("eu-west-1")
#define GROUP  STR("/ecs/shop")
#define STREAM STR("ecs/api/0123456789")

struct bench {
    struct ev_loop loop;
    struct store *store;
    struct logs *logs;
    char path[256];
};

static void bench_op(struct op *op)
{
    op_init(op);
    op->region = REGION;
    op->account = STR("123456789012");
}

static void bench_open_service(struct bench *b)
{
    auto_op struct op op = {0};
    bench_op(&op);
    REQUIRE_OK(store_open(&op, b->path, &b->store), &op);
    struct logs_config config = {.store = b->store, .loop = &b->loop};
    REQUIRE_OK(logs_open(&op, &config, &b->logs), &op);
}

static void bench_close_service(struct bench *b)
{
    logs_close(b->logs);
    store_close(b->store);
}

static void bench_open(struct bench *b, const char *path)
{
    *b = (struct bench){0};
    wall_t start = {0};
    REQUIRE(wall_parse(STR("2026-11-20T10:00:00Z"), &start));
    clock_use_manual((mono_t){.us = 1000000}, start);
    auto_op struct op op = {0};
    bench_op(&op);
    REQUIRE_OK(ev_loop_open(&op, &b->loop), &op);
    (void)snprintf(b->path, sizeof(b->path), "%s", path);
    bench_open_service(b);
    struct logs_create_log_group_in group = {.log_group_name = GROUP};
    struct logs_create_log_group_out group_out = {0};
    REQUIRE_OK(logs_handlers.create_log_group(&op, b->logs, &group, &group_out), &op);
    struct logs_create_log_stream_in stream = {.log_group_name = GROUP, .log_stream_name = STREAM};
    struct logs_create_log_stream_out stream_out = {0};
    REQUIRE_OK(logs_handlers.create_log_stream(&op, b->logs, &stream, &stream_out), &op);
}

static void bench_close(struct bench *b)
{
    bench_close_service(b);
    ev_loop_close(&b->loop);
    clock_use_real();
}

static int64_t now_ms(void)
{
    return clock_wall().us / 1000;
}

/* count events "first", "first+1", ... one millisecond apart, the last one now. */
static struct logs_put_log_events_out put(struct op *op, struct bench *b, struct str stream,
                                          int first, int count)
{
    struct logs_input_log_event *events =
        ARENA_ARRAY(&op->arena, struct logs_input_log_event, (size_t)count);
    for (int i = 0; i < count; i++) {
        events[i].timestamp = OPT_I64(now_ms() - count + 1 + i);
        events[i].message = arena_printf(&op->arena, "event %d", first + i);
    }
    struct logs_put_log_events_in in = {
        .log_group_name = GROUP,
        .log_stream_name = stream,
        .log_events = {.items = events, .count = (size_t)count, .is_set = true}};
    struct logs_put_log_events_out out = {0};
    REQUIRE_OK(logs_handlers.put_log_events(op, b->logs, &in, &out), op);
    return out;
}

static struct logs_get_log_events_out get(struct op *op, struct bench *b, int32_t limit,
                                          bool from_head, struct str token)
{
    struct logs_get_log_events_in in = {.log_group_name = GROUP,
                                        .log_stream_name = STREAM,
                                        .limit = OPT_I32(limit),
                                        .start_from_head = OPT_BOOL(from_head),
                                        .next_token = token};
    struct logs_get_log_events_out out = {0};
    REQUIRE_OK(logs_handlers.get_log_events(op, b->logs, &in, &out), op);
    return out;
}

static void expect_events(const struct logs_get_log_events_out *out, const char *want)
{
    auto_op struct op op = {0};
    op_init(&op);
    struct str text = STR("");
    for (size_t i = 0; i < out->events.count; i++) {
        text = arena_printf(&op.arena, "%.*s%s%.*s", STR_ARG(text), i == 0 ? "" : " ",
                            STR_ARG(str_from(out->events.items[i].message, 6)));
    }
    EXPECT_STR(text, want);
}

TEST(get_log_events_goes_forward_and_backward_and_stops_at_the_ends)
{
    struct bench b;
    bench_open(&b, ":memory:");
    auto_op struct op op = {0};
    bench_op(&op);
    (void)put(&op, &b, STREAM, 1, 7);
    struct logs_get_log_events_out page = get(&op, &b, 3, true, STR_NONE);
    expect_events(&page, "1 2 3");
    page = get(&op, &b, 3, true, page.next_forward_token);
    expect_events(&page, "4 5 6");
    page = get(&op, &b, 3, true, page.next_forward_token);
    expect_events(&page, "7");
    struct str end = page.next_forward_token;
    page = get(&op, &b, 3, true, end);
    expect_events(&page, "");
    EXPECT(str_equal(page.next_forward_token, end));
    /* back from the end, then on again when more has come */
    struct logs_get_log_events_out back = get(&op, &b, 3, true, page.next_backward_token);
    expect_events(&back, "5 6 7");
    clock_manual_advance(DUR_S(1));
    op.now = clock_wall();
    (void)put(&op, &b, STREAM, 8, 1);
    page = get(&op, &b, 3, true, end);
    expect_events(&page, "8");
    /* the newest first, then backwards to the head */
    page = get(&op, &b, 3, false, STR_NONE);
    expect_events(&page, "6 7 8");
    page = get(&op, &b, 3, false, page.next_backward_token);
    expect_events(&page, "3 4 5");
    page = get(&op, &b, 3, false, page.next_backward_token);
    expect_events(&page, "1 2");
    struct str head = page.next_backward_token;
    page = get(&op, &b, 3, false, head);
    expect_events(&page, "");
    EXPECT(str_equal(page.next_backward_token, head));
    page = get(&op, &b, 3, false, page.next_forward_token);
    expect_events(&page, "1 2 3");
    bench_close(&b);
}

TEST(an_empty_stream_has_tokens_that_find_later_events)
{
    struct bench b;
    bench_open(&b, ":memory:");
    auto_op struct op op = {0};
    bench_op(&op);
    struct logs_get_log_events_out page = get(&op, &b, 10, false, STR_NONE);
    EXPECT_EQ(page.events.count, 0);
    EXPECT_EQ(page.next_forward_token.len, 60);
    (void)put(&op, &b, STREAM, 1, 2);
    page = get(&op, &b, 10, false, page.next_forward_token);
    expect_events(&page, "1 2");
    static const char *const wrong[] = {"x", "f/123/s",
                                        "f/0000000000000000000000000000000000000000000000000000/s"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct logs_get_log_events_in in = {
            .log_group_name = GROUP, .log_stream_name = STREAM, .next_token = str_of(wrong[i])};
        struct logs_get_log_events_out out = {0};
        EXPECT_EQ(logs_handlers.get_log_events(&op, b.logs, &in, &out), ERR_INPUT);
        op_note_clear(&op);
    }
    bench_close(&b);
}

static enum err put_times(struct op *op, struct bench *b, const int64_t *times, size_t count,
                          struct logs_put_log_events_out *out)
{
    struct logs_input_log_event *events =
        ARENA_ARRAY(&op->arena, struct logs_input_log_event, count);
    for (size_t i = 0; i < count; i++) {
        events[i].timestamp = OPT_I64(times[i]);
        events[i].message = STR("event x");
    }
    struct logs_put_log_events_in in = {
        .log_group_name = GROUP,
        .log_stream_name = STREAM,
        .log_events = {.items = events, .count = count, .is_set = true}};
    return logs_handlers.put_log_events(op, b->logs, &in, out);
}

TEST(put_log_events_refuses_what_aws_refuses)
{
    struct bench b;
    bench_open(&b, ":memory:");
    auto_op struct op op = {0};
    bench_op(&op);
    struct logs_put_log_events_out out = {0};
    int64_t backwards[] = {now_ms(), now_ms() - 1};
    EXPECT_EQ(put_times(&op, &b, backwards, 2, &out), ERR_INPUT);
    EXPECT_STR(str_of(op.note.text),
               "Log events in a single PutLogEvents request must be in chronological order.");
    op_note_clear(&op);
    int64_t wide[] = {now_ms() - 25 * 3600000LL, now_ms()};
    EXPECT_EQ(put_times(&op, &b, wide, 2, &out), ERR_INPUT);
    op_note_clear(&op);
    int64_t ahead[] = {now_ms(), now_ms() + 3 * 3600000LL};
    EXPECT_OK(put_times(&op, &b, ahead, 2, &out), &op);
    REQUIRE(out.rejected_log_events_info != NULL);
    EXPECT_EQ(out.rejected_log_events_info->too_new_log_event_start_index.value, 1);
    EXPECT(!out.rejected_log_events_info->too_old_log_event_end_index.is_set);
    out = (struct logs_put_log_events_out){0};
    int64_t old[] = {now_ms() - 15 * 86400000LL};
    EXPECT_OK(put_times(&op, &b, old, 1, &out), &op);
    REQUIRE(out.rejected_log_events_info != NULL);
    EXPECT_EQ(out.rejected_log_events_info->too_old_log_event_end_index.value, 1);
    struct logs_get_log_events_out page = get(&op, &b, 10, true, STR_NONE);
    EXPECT_EQ(page.events.count, 1);
    char *big = arena_alloc(&op.arena, 1048576);
    memset(big, 'x', 1048576);
    struct logs_input_log_event event = {.timestamp = OPT_I64(now_ms()),
                                         .message = str_make(big, 1048576 - 25)};
    struct logs_put_log_events_in in = {.log_group_name = GROUP,
                                        .log_stream_name = STREAM,
                                        .log_events = {.items = &event, .count = 1}};
    EXPECT_EQ(logs_handlers.put_log_events(&op, b.logs, &in, &out), ERR_INPUT);
    EXPECT_STR(str_of(op.note.text), "Upload too large: 1048577 bytes exceeds limit of 1048576");
    op_note_clear(&op);
    in.log_stream_name = STR("nope");
    event.message = STR("x");
    EXPECT_EQ(logs_handlers.put_log_events(&op, b.logs, &in, &out), ERR_NOT_FOUND);
    EXPECT_STR(str_of(op.note.text), "The specified log stream does not exist.");
    op_note_clear(&op);
    in.log_group_name = STR("nope");
    EXPECT_EQ(logs_handlers.put_log_events(&op, b.logs, &in, &out), ERR_NOT_FOUND);
    EXPECT_STR(str_of(op.note.text), "The specified log group does not exist.");
    bench_close(&b);
}

TEST(filter_log_events_merges_streams_by_time_and_pages)
{
    struct bench b;
    bench_open(&b, ":memory:");
    auto_op struct op op = {0};
    bench_op(&op);
    struct logs_create_log_stream_in other = {.log_group_name = GROUP,
                                              .log_stream_name = STR("web/1")};
    struct logs_create_log_stream_out other_out = {0};
    REQUIRE_OK(logs_handlers.create_log_stream(&op, b.logs, &other, &other_out), &op);
    for (int i = 0; i < 6; i++) {
        (void)put(&op, &b, i % 2 == 0 ? STREAM : STR("web/1"), i, 1);
        clock_manual_advance(DUR_MS(5));
        op.now = clock_wall();
    }
    struct logs_filter_log_events_in in = {.log_group_name = GROUP, .limit = OPT_I32(4)};
    struct logs_filter_log_events_out out = {0};
    REQUIRE_OK(logs_handlers.filter_log_events(&op, b.logs, &in, &out), &op);
    REQUIRE_EQ(out.events.count, 4);
    EXPECT_STR(out.events.items[1].message, "event 1");
    EXPECT_STR(out.events.items[1].log_stream_name, "web/1");
    EXPECT_EQ(out.events.items[0].event_id.len, 56);
    in.next_token = out.next_token;
    out = (struct logs_filter_log_events_out){0};
    REQUIRE_OK(logs_handlers.filter_log_events(&op, b.logs, &in, &out), &op);
    REQUIRE_EQ(out.events.count, 2);
    EXPECT(!str_is_set(out.next_token));
    in = (struct logs_filter_log_events_in){.log_group_name = GROUP,
                                            .log_stream_name_prefix = STR("web"),
                                            .filter_pattern = STR("?3 ?5 ?2")};
    out = (struct logs_filter_log_events_out){0};
    REQUIRE_OK(logs_handlers.filter_log_events(&op, b.logs, &in, &out), &op);
    EXPECT_EQ(out.events.count, 2);
    struct str names[1] = {STR("nope")};
    in = (struct logs_filter_log_events_in){.log_group_name = GROUP,
                                            .log_stream_names = {.items = names, .count = 1}};
    EXPECT_EQ(logs_handlers.filter_log_events(&op, b.logs, &in, &out), ERR_NOT_FOUND);
    bench_close(&b);
}

TEST(lines_of_the_runtimes_become_events_and_survive_the_process)
{
    struct bench b;
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/store.db", test_folder());
    bench_open(&b, path);
    auto_op struct op op = {0};
    bench_op(&op);
    struct port_logs port = {0};
    logs_port(b.logs, &port);
    struct str group = STR("/ecs/new");
    EXPECT_EQ(port.ensure_stream(port.self, &op, group, STR("s"), false), ERR_NOT_FOUND);
    op_note_clear(&op);
    REQUIRE_OK(port.ensure_stream(port.self, &op, group, STR("s"), true), &op);
    REQUIRE_OK(port.ensure_stream(port.self, &op, group, STR("s"), true), &op);
    for (int i = 0; i < 1000; i++) {
        REQUIRE_OK(port.put_line(port.self, &op, group, STR("s"), clock_wall(), STR("a line")),
                   &op);
    }
    clock_manual_advance(DUR_MS(250));
    (void)ev_loop_settle(&b.loop, 10);
    EXPECT_EQ(b.logs->batch.count, 0);
    REQUIRE_OK(port.put_line(port.self, &op, group, STR("s"), clock_wall(), STR("the last")), &op);
    bench_close_service(&b);
    bench_open_service(&b);
    struct logs_get_log_events_in in = {.log_group_name = group, .log_stream_name = STR("s")};
    struct logs_get_log_events_out out = {0};
    REQUIRE_OK(logs_handlers.get_log_events(&op, b.logs, &in, &out), &op);
    REQUIRE_EQ(out.events.count, 1001);
    EXPECT_STR(out.events.items[1000].message, "the last");
    bench_close(&b);
}

TEST(retention_hides_at_once_and_deletes_soon)
{
    struct bench b;
    bench_open(&b, ":memory:");
    auto_op struct op op = {0};
    bench_op(&op);
    (void)put(&op, &b, STREAM, 1, 10);
    struct logs_put_retention_policy_in in = {.log_group_name = GROUP,
                                              .retention_in_days = OPT_I32(2)};
    struct logs_put_retention_policy_out out = {0};
    EXPECT_EQ(logs_handlers.put_retention_policy(&op, b.logs, &in, &out), ERR_INPUT);
    op_note_clear(&op);
    in.retention_in_days = OPT_I32(1);
    REQUIRE_OK(logs_handlers.put_retention_policy(&op, b.logs, &in, &out), &op);
    struct logs_get_log_events_out page = get(&op, &b, 100, true, STR_NONE);
    EXPECT_EQ(page.events.count, 10);
    clock_manual_advance(DUR_S(86401));
    op.now = clock_wall();
    page = get(&op, &b, 100, true, STR_NONE);
    EXPECT_EQ(page.events.count, 0);
    clock_manual_advance(DUR_S(31));
    (void)ev_loop_settle(&b.loop, 10);
    struct logs_delete_retention_policy_in del = {.log_group_name = GROUP};
    struct logs_delete_retention_policy_out deleted = {0};
    REQUIRE_OK(logs_handlers.delete_retention_policy(&op, b.logs, &del, &deleted), &op);
    page = get(&op, &b, 100, true, STR_NONE);
    EXPECT_EQ(page.events.count, 0);
    bench_close(&b);
}

static int64_t count_events(struct bench *b)
{
    auto_op struct op op = {0};
    bench_op(&op);
    auto_query struct store_query q = {0};
    bool has_row = false;
    REQUIRE_OK(store_query_begin(&op, b->store, "SELECT count(*) FROM log_event", &q), &op);
    REQUIRE_OK(store_step(&op, &q, &has_row), &op);
    return store_column_i64(&q, 0);
}

TEST(what_is_deleted_is_gone_at_once_and_purged_bit_by_bit)
{
    struct bench b;
    bench_open(&b, ":memory:");
    auto_op struct op op = {0};
    bench_op(&op);
    (void)put(&op, &b, STREAM, 1, 5000);
    struct port_logs port = {0};
    logs_port(b.logs, &port);
    REQUIRE_OK(port.put_line(port.self, &op, GROUP, STREAM, clock_wall(), STR("waiting")), &op);
    struct logs_delete_log_stream_in stream = {.log_group_name = GROUP, .log_stream_name = STREAM};
    struct logs_delete_log_stream_out stream_out = {0};
    REQUIRE_OK(logs_handlers.delete_log_stream(&op, b.logs, &stream, &stream_out), &op);
    EXPECT_EQ(port.put_line(port.self, &op, GROUP, STREAM, clock_wall(), STR("x")), ERR_NOT_FOUND);
    op_note_clear(&op);
    struct logs_filter_log_events_in filter = {.log_group_name = GROUP};
    struct logs_filter_log_events_out filtered = {0};
    REQUIRE_OK(logs_handlers.filter_log_events(&op, b.logs, &filter, &filtered), &op);
    EXPECT_EQ(filtered.events.count, 0);
    struct logs_delete_log_group_in group = {.log_group_name = GROUP};
    struct logs_delete_log_group_out group_out = {0};
    REQUIRE_OK(logs_handlers.delete_log_group(&op, b.logs, &group, &group_out), &op);
    EXPECT_EQ(count_events(&b), 5000);
    for (int i = 0; i < 10; i++) {
        clock_manual_advance(DUR_S(31));
        (void)ev_loop_settle(&b.loop, 10);
    }
    EXPECT_EQ(count_events(&b), 0);
    struct logs_create_log_group_in again = {.log_group_name = GROUP};
    struct logs_create_log_group_out again_out = {0};
    REQUIRE_OK(logs_handlers.create_log_group(&op, b.logs, &again, &again_out), &op);
    EXPECT_EQ(logs_handlers.create_log_group(&op, b.logs, &again, &again_out), ERR_EXISTS);
    EXPECT_STR(str_of(op.note.public_error->code), "ResourceAlreadyExistsException");
    bench_close(&b);
}

TEST(streams_are_listed_by_name_and_by_last_event)
{
    struct bench b;
    bench_open(&b, ":memory:");
    auto_op struct op op = {0};
    bench_op(&op);
    static const char *const names[] = {"b", "a", "c"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct logs_create_log_stream_in in = {.log_group_name = GROUP,
                                               .log_stream_name = str_of(names[i])};
        struct logs_create_log_stream_out out = {0};
        REQUIRE_OK(logs_handlers.create_log_stream(&op, b.logs, &in, &out), &op);
        (void)put(&op, &b, str_of(names[i]), 1, 1);
        clock_manual_advance(DUR_S(1));
        op.now = clock_wall();
    }
    struct {
        enum logs_order_by order;
        bool is_descending;
        const char *prefix;
        const char *want;
    } rows[] = {
        {LOGS_ORDER_BY_UNSET, false, NULL, "a b c ecs/api/0123456789"},
        {LOGS_ORDER_BY_LOGSTREAMNAME, true, NULL, "ecs/api/0123456789 c b a"},
        {LOGS_ORDER_BY_LASTEVENTTIME, true, NULL, "c a b ecs/api/0123456789"},
        {LOGS_ORDER_BY_LASTEVENTTIME, false, NULL, "ecs/api/0123456789 b a c"},
        {LOGS_ORDER_BY_UNSET, false, "ecs/", "ecs/api/0123456789"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct str text = STR("");
        struct str token = STR_NONE;
        do {
            struct logs_describe_log_streams_in in = {.log_group_name = GROUP,
                                                      .order_by = rows[i].order,
                                                      .descending = OPT_BOOL(rows[i].is_descending),
                                                      .log_stream_name_prefix =
                                                          str_of(rows[i].prefix),
                                                      .limit = OPT_I32(1),
                                                      .next_token = token};
            struct logs_describe_log_streams_out out = {0};
            REQUIRE_OK(logs_handlers.describe_log_streams(&op, b.logs, &in, &out), &op);
            REQUIRE(out.log_streams.count <= 1);
            for (size_t s = 0; s < out.log_streams.count; s++) {
                text =
                    arena_printf(&op.arena, "%.*s%s%.*s", STR_ARG(text), text.len == 0 ? "" : " ",
                                 STR_ARG(out.log_streams.items[s].log_stream_name));
            }
            token = out.next_token;
        } while (str_is_set(token));
        EXPECT_STR(text, rows[i].want);
    }
    bench_close(&b);
}

TEST(groups_are_described_with_retention_tags_and_arn)
{
    struct bench b;
    bench_open(&b, ":memory:");
    auto_op struct op op = {0};
    bench_op(&op);
    struct logs_tags_entry tag = {STR("team"), STR("shop")};
    struct logs_tag_resource_in tag_in = {
        .resource_arn = STR("arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/shop"),
        .tags = {.items = &tag, .count = 1, .is_set = true}};
    struct logs_tag_resource_out tag_out = {0};
    REQUIRE_OK(logs_handlers.tag_resource(&op, b.logs, &tag_in, &tag_out), &op);
    struct logs_list_tags_for_resource_in list = {
        .resource_arn = STR("arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/shop:*")};
    struct logs_list_tags_for_resource_out listed = {0};
    REQUIRE_OK(logs_handlers.list_tags_for_resource(&op, b.logs, &list, &listed), &op);
    EXPECT_EQ(listed.tags.count, 1);
    (void)put(&op, &b, STREAM, 1, 3);
    struct logs_describe_log_groups_in in = {.log_group_name_prefix = STR("/ecs")};
    struct logs_describe_log_groups_out out = {0};
    REQUIRE_OK(logs_handlers.describe_log_groups(&op, b.logs, &in, &out), &op);
    REQUIRE_EQ(out.log_groups.count, 1);
    const struct logs_log_group *g = out.log_groups.items;
    EXPECT_STR(g->arn, "arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/shop:*");
    EXPECT_STR(g->log_group_arn, "arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/shop");
    EXPECT_EQ(g->stored_bytes.value, 21);
    EXPECT_EQ(g->log_group_class, LOGS_LOG_GROUP_CLASS_STANDARD);
    EXPECT(!g->retention_in_days.is_set);
    op.region = STR("us-east-1");
    out = (struct logs_describe_log_groups_out){0};
    REQUIRE_OK(logs_handlers.describe_log_groups(&op, b.logs, &in, &out), &op);
    EXPECT_EQ(out.log_groups.count, 0);
    struct logs_create_log_group_in bad = {.log_group_name = STR("no spaces")};
    struct logs_create_log_group_out bad_out = {0};
    EXPECT_EQ(logs_handlers.create_log_group(&op, b.logs, &bad, &bad_out), ERR_INPUT);
    EXPECT(op.note.public_error == &logs_error_invalid_parameter_exception);
    bench_close(&b);
}
