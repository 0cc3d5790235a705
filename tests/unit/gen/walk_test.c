#include "base/check.h"
#include "base/cleanup.h"
#include "gen/cloudwatch.h"
#include "gen/ecs.h"
#include "gen/logs.h"
#include "gen/sts.h"
#include "shape/walk.h"
#include "test.h"

static const char create_service_json[] =
    "{\"cluster\":\"c\",\"serviceName\":\"web\",\"loadBalancers\":[{\"targetGroupArn\":\"arn\","
    "\"containerName\":\"app\",\"containerPort\":8080}],\"desiredCount\":2,\"launchType\":"
    "\"FARGATE\",\"deploymentConfiguration\":{\"deploymentCircuitBreaker\":{\"enable\":true,"
    "\"rollback\":false},\"maximumPercent\":200},\"tags\":[]}";

TEST(json_decodes_into_structs_and_back)
{
    auto_op struct op op;
    op_init(&op);
    struct ecs_create_service_in in;
    REQUIRE_OK(shape_json_decode(&op, ecs_op_create_service.in, str_of(create_service_json),
                                 SHAPE_STRICT, &in),
               &op);
    EXPECT_STR(in.service_name, "web");
    REQUIRE_EQ(in.load_balancers.count, 1);
    EXPECT_EQ(in.load_balancers.items[0].container_port.value, 8080);
    EXPECT_EQ(in.launch_type, ECS_LAUNCH_TYPE_FARGATE);
    REQUIRE(in.deployment_configuration != NULL);
    EXPECT(in.deployment_configuration->deployment_circuit_breaker->enable.value);
    EXPECT(in.tags.is_set);
    EXPECT(!in.placement_constraints.is_set);
    auto_buf struct buf out;
    buf_init(&out, 10000);
    shape_json_encode(&out, ecs_op_create_service.in, &in);
    EXPECT_STR(buf_str(&out), create_service_json);
}

TEST(cbor_carries_the_same_structs)
{
    auto_op struct op op;
    op_init(&op);
    struct ecs_create_service_in in;
    struct ecs_create_service_in back;
    REQUIRE_OK(shape_json_decode(&op, ecs_op_create_service.in, str_of(create_service_json),
                                 SHAPE_STRICT, &in),
               &op);
    auto_buf struct buf out;
    buf_init(&out, 10000);
    shape_cbor_encode(&out, ecs_op_create_service.in, &in);
    REQUIRE_OK(shape_cbor_decode(&op, ecs_op_create_service.in, buf_str(&out), SHAPE_STRICT, &back),
               &op);
    auto_buf struct buf again;
    buf_init(&again, 10000);
    shape_json_encode(&again, ecs_op_create_service.in, &back);
    EXPECT_STR(buf_str(&again), create_service_json);
    for (size_t cut = 1; cut < out.len; cut++) {
        struct str part = arena_str(&op.arena, str_slice(buf_str(&out), 0, cut));
        EXPECT(shape_cbor_decode(&op, ecs_op_create_service.in, part, SHAPE_STRICT, &back) !=
               ERR_OK);
    }
    EXPECT_EQ(shape_cbor_decode(&op, ecs_op_list_clusters.in, STR(""), SHAPE_STRICT,
                                &(struct ecs_list_clusters_in){0}),
              ERR_OK);
}

TEST(truncated_json_is_refused_at_every_byte)
{
    auto_op struct op op;
    op_init(&op);
    struct ecs_create_service_in in;
    for (size_t cut = 0; cut < sizeof(create_service_json) - 1; cut++) {
        struct str part = arena_str(&op.arena, str_make(create_service_json, cut));
        EXPECT(shape_json_decode(&op, ecs_op_create_service.in, part, SHAPE_STRICT, &in) != ERR_OK);
        EXPECT(shape_json_decode(&op, ecs_op_create_service.in, part, SHAPE_LENIENT, &in) !=
               ERR_OK);
    }
}

TEST(strict_decoding_names_the_member_that_is_wrong)
{
    static const struct {
        const char *json;
        const char *note;
    } cases[] = {
        {"{\"serviceName\":\"a\",\"desierdCount\":1}", "unknown member \"desierdCount\""},
        {"{\"serviceName\":\"a\",\"loadBalancers\":[{},{\"port\":1}]}",
         "unknown member \"loadBalancers[1].port\""},
        {"{}", "\"serviceName\" is missing"},
        {"{\"serviceName\":null}", "\"serviceName\" is missing"},
        {"{\"serviceName\":7}", "\"serviceName\" must be a text, not a number"},
        {"{\"serviceName\":\"a\",\"desiredCount\":\"2\"}",
         "\"desiredCount\" must be a whole number, not a text"},
        {"{\"serviceName\":\"a\",\"desiredCount\":2.5}",
         "\"desiredCount\" must be a whole number, not a number with a fraction or past 64 bits"},
        {"{\"serviceName\":\"a\",\"desiredCount\":2147483648}",
         "\"desiredCount\" must be a whole number, not a number past 32 bits"},
        {"{\"serviceName\":\"a\",\"tags\":{}}", "\"tags\" must be a list, not an object"},
        {"{\"serviceName\":\"a\",\"networkConfiguration\":[]}",
         "\"networkConfiguration\" must be a structure, not a list"},
        {"{\"serviceName\":\"a\",\"enableECSManagedTags\":1}",
         "\"enableECSManagedTags\" must be true or false, not a number"},
        {"[]", "\"\" must be a structure, not a list"},
        {"{\"serviceName\":\"a\",\"launchType\":\"fargate\"}",
         "\"launchType\": Member must satisfy enum value set: [EC2, FARGATE, EXTERNAL, "
         "MANAGED_INSTANCES]"},
        {"{\"serviceName\":\"a\" \"b\":1}",
         "JSON line 1 column 20, at \"serviceName\": expected ',' or '}'"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        auto_op struct op op;
        op_init(&op);
        struct ecs_create_service_in in;
        EXPECT_EQ(shape_json_decode(&op, ecs_op_create_service.in, str_of(cases[i].json),
                                    SHAPE_STRICT, &in),
                  ERR_INPUT);
        EXPECT_STR(str_of(op.note.text), cases[i].note);
    }
}

TEST(findings_are_told_in_the_words_of_aws)
{
    auto_op struct op op;
    op_init(&op);
    struct ecs_create_service_in in;
    struct shape_findings findings;
    EXPECT_EQ(shape_json_decode_find(&op, ecs_op_create_service.in,
                                     STR("{\"tags\":[{\"key\":\"\"}],\"launchType\":\"x\"}"),
                                     SHAPE_STRICT, &findings, &in),
              ERR_INPUT);
    EXPECT_STR(shape_findings_coral_text(&op.arena, &findings),
               "3 validation errors detected: Value '' at 'tags.1.member.key' failed to satisfy "
               "constraint: Member must have length greater than or equal to 1; Value 'x' at "
               "'launchType' failed to satisfy constraint: Member must satisfy enum value set: "
               "[EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES]; Value null at 'serviceName' failed to "
               "satisfy constraint: Member must not be null");
}

TEST(lenient_decoding_passes_over_what_it_does_not_know)
{
    auto_op struct op op;
    op_init(&op);
    struct ecs_create_service_in in;
    REQUIRE_OK(
        shape_json_decode(&op, ecs_op_create_service.in,
                          STR("{\"new\":{\"x\":[1]},\"launchType\":\"MOON\",\"desiredCount\":"
                              "1,\"desiredCount\":3}"),
                          SHAPE_LENIENT, &in),
        &op);
    EXPECT_EQ(in.launch_type, ECS_LAUNCH_TYPE_UNSET);
    EXPECT_EQ(in.desired_count.value, 3);
    EXPECT_EQ(shape_json_decode(&op, ecs_op_create_service.in, STR("{\"desiredCount\":\"1\"}"),
                                SHAPE_LENIENT, &in),
              ERR_INPUT);
}

TEST(the_last_of_equal_names_wins_whole)
{
    auto_op struct op op;
    op_init(&op);
    struct ecs_create_service_in in;
    REQUIRE_OK(
        shape_json_decode(
            &op, ecs_op_create_service.in,
            STR("{\"serviceName\":\"a\",\"tags\":[{\"key\":\"x\"},{\"key\":\"y\"}],\"tags\":"
                "[{\"key\":\"z\"}],\"networkConfiguration\":{},\"networkConfiguration\":null}"),
            SHAPE_STRICT, &in),
        &op);
    REQUIRE_EQ(in.tags.count, 1);
    EXPECT_STR(in.tags.items[0].key, "z");
    EXPECT(in.network_configuration == NULL);
}

TEST(maps_keep_one_entry_a_key_and_times_their_milliseconds)
{
    auto_op struct op op;
    op_init(&op);
    struct ecs_container_definition c;
    REQUIRE_OK(shape_json_decode(&op, &shape_ecs_container_definition,
                                 STR("{\"dockerLabels\":{\"a\":\"1\",\"b\":\"2\",\"a\":\"3\"}}"),
                                 SHAPE_LENIENT, &c),
               &op);
    REQUIRE_EQ(c.docker_labels.count, 2);
    EXPECT_STR(c.docker_labels.items[0].value, "3");

    static const struct {
        int64_t us;
        const char *json;
    } times[] = {{0, "{\"startDate\":0}"},
                 {1700000000123456, "{\"startDate\":1700000000.123}"},
                 {1700000000500000, "{\"startDate\":1700000000.5}"},
                 {-1500000, "{\"startDate\":-1.5}"},
                 {-100, "{\"startDate\":-0.001}"}};
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        auto_buf struct buf out;
        buf_init(&out, 1000);
        struct cloudwatch_describe_alarm_history_in in = {
            .start_date = OPT_TIME(((wall_t){.us = times[i].us}))};
        shape_json_encode(&out, cloudwatch_op_describe_alarm_history.in, &in);
        EXPECT(str_ends_with(buf_str(&out), str_of(times[i].json + 10)));
    }
}

TEST(cbor_times_carry_tag_1_and_nothing_else)
{
    auto_op struct op op;
    op_init(&op);
    struct cloudwatch_describe_alarm_history_in in = {
        .start_date = OPT_TIME(((wall_t){.us = 1363896240500000}))};
    auto_buf struct buf out;
    buf_init(&out, 1000);
    shape_cbor_encode(&out, cloudwatch_op_describe_alarm_history.in, &in);
    EXPECT_STR_EQ(buf_str(&out), STR("\xA1\x69StartDate\xC1\xFB\x41\xD4\x52\xD9\xEC\x20\x00\x00"));
    struct cloudwatch_describe_alarm_history_in back;
    REQUIRE_OK(shape_cbor_decode(&op, cloudwatch_op_describe_alarm_history.in, buf_str(&out),
                                 SHAPE_STRICT, &back),
               &op);
    EXPECT_EQ(back.start_date.value.us, 1363896240500000);
    EXPECT_EQ(shape_cbor_decode(&op, cloudwatch_op_describe_alarm_history.in,
                                STR("\xA1\x69StartDate\xC2\x01"), SHAPE_STRICT, &back),
              ERR_INPUT);
    EXPECT_EQ(shape_cbor_decode(&op, cloudwatch_op_describe_alarm_history.in,
                                STR("\xA1\x69StartDate\x01"), SHAPE_STRICT, &back),
              ERR_INPUT);
}

TEST(a_small_body_cannot_take_much_memory)
{
    auto_op struct op op;
    op_init(&op);
    auto_buf struct buf body;
    buf_init(&body, 10 << 20);
    buf_add(&body, STR("{\"family\":\"f\",\"containerDefinitions\":[{}"));
    for (int i = 0; i < 99000; i++) {
        buf_add(&body, STR(",{}"));
    }
    buf_add(&body, STR("]}"));
    struct ecs_register_task_definition_in in;
    EXPECT_EQ(shape_json_decode(&op, ecs_op_register_task_definition.in, buf_str(&body),
                                SHAPE_STRICT, &in),
              ERR_LIMIT);
    EXPECT(op.arena.total_bytes < 2 * SHAPE_DECODE_BYTES_MAX);
}

TEST(sensitive_values_are_not_shown)
{
    auto_op struct op op;
    op_init(&op);
    struct sts_assume_role_with_web_identity_in in;
    struct shape_findings findings;
    EXPECT_EQ(shape_json_decode_find(&op, sts_op_assume_role_with_web_identity.in,
                                     STR("{\"RoleArn\":\"short\",\"WebIdentityToken\":\"abc\","
                                         "\"RoleSessionName\":\"ok\"}"),
                                     SHAPE_STRICT, &findings, &in),
              ERR_INPUT);
    struct str text = shape_findings_coral_text(&op.arena, &findings);
    EXPECT(str_find(text, STR("Value 'short' at 'roleArn'"), 0) != STR_NOT_FOUND);
    EXPECT(str_find(text, STR("Value null at 'webIdentityToken'"), 0) != STR_NOT_FOUND);
    EXPECT(str_find(text, STR("abc"), 0) == STR_NOT_FOUND);
}
