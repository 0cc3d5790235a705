#include "svc/codedeploy/appspec.h"

#include "test.h"

#include "base/check.h"
#include "svc/codedeploy/limits.h"

static const char yaml[] = "version: 0.0\n"
                           "Resources:\n"
                           "  - TargetService:\n"
                           "      Type: AWS::ECS::Service\n"
                           "      Properties:\n"
                           "        TaskDefinition: \"arn:aws:ecs:r:1:task-definition/web:2\"\n"
                           "        LoadBalancerInfo:\n"
                           "          ContainerName: \"app\"\n"
                           "          ContainerPort: 8080\n"
                           "        PlatformVersion: LATEST\n"
                           "        NetworkConfiguration:\n"
                           "          AwsvpcConfiguration:\n"
                           "            Subnets: [subnet-1, subnet-2]\n"
                           "            SecurityGroups: [sg-1]\n"
                           "            AssignPublicIp: ENABLED\n"
                           "        CapacityProviderStrategy:\n"
                           "          - Base: 1\n"
                           "            CapacityProvider: FARGATE_SPOT\n"
                           "            Weight: 2\n"
                           "Hooks:\n"
                           "  - BeforeInstall: one\n"
                           "  - AfterAllowTraffic: \"arn:aws:lambda:r:1:function:two\"\n";

static void expect_whole(struct op *op, const struct engine_codedeploy_spec *s)
{
    (void)op;
    EXPECT_STR(s->task_definition, "arn:aws:ecs:r:1:task-definition/web:2");
    EXPECT_STR(s->container_name, "app");
    EXPECT_EQ(OPT_OR(s->container_port, 0), 8080);
}

TEST(an_appspec_is_read_from_yaml)
{
    auto_op struct op op;
    op_init(&op);
    struct engine_codedeploy_spec s = {0};
    REQUIRE_OK(appspec_parse(&op, str_of(yaml), &s), &op);
    expect_whole(&op, &s);
    EXPECT_STR(s.platform_version, "LATEST");
    REQUIRE_EQ(s.subnets.count, 2);
    EXPECT_STR(s.subnets.items[1], "subnet-2");
    REQUIRE_EQ(s.security_groups.count, 1);
    EXPECT_STR(s.assign_public_ip, "ENABLED");
    REQUIRE_EQ(s.hooks.count, 2);
    EXPECT_STR(s.hooks.items[0].key, "BeforeInstall");
    EXPECT_STR(s.hooks.items[1].value, "arn:aws:lambda:r:1:function:two");
}

TEST(an_appspec_is_read_from_json_in_any_letter_case)
{
    static const struct str texts[] = {
        STR_INIT("{\n\t\"version\": 1,\n\t\"Resources\": [{\"TargetService\": {\"Type\": "
                 "\"AWS::ECS::Service\",\n\"Properties\": {\"TaskDefinition\": "
                 "\"arn:aws:ecs:r:1:task-definition\\/web:2\", \"LoadBalancerInfo\": "
                 "{\"ContainerName\": \"app\", \"ContainerPort\": 8080}}}}]}"),
        STR_INIT(
            "{\"version\":0.0,\"resources\":[{\"TargetService\":{\"type\":\"AWS::ECS::Service\","
            "\"properties\":{\"taskDefinition\":\"arn:aws:ecs:r:1:task-definition/web:2\","
            "\"loadBalancerInfo\":{\"containerName\":\"app\",\"containerPort\":8080}}}}],"
            "\"hooks\":[]}"),
        STR_INIT("VERSION: 1\nRESOURCES: [{x: {type: AWS::ECS::Service, properties: "
                 "{taskdefinition: 'arn:aws:ecs:r:1:task-definition/web:2', loadbalancerinfo: "
                 "{containername: app, containerport: '8080'}}}}]\nHooks:\n"),
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        auto_op struct op op;
        op_init(&op);
        struct engine_codedeploy_spec s = {0};
        REQUIRE_OK(appspec_parse(&op, texts[i], &s), &op);
        expect_whole(&op, &s);
    }
}

TEST(what_we_write_we_read)
{
    auto_op struct op op;
    op_init(&op);
    struct engine_codedeploy_spec s = {0};
    REQUIRE_OK(appspec_parse(&op, str_of(yaml), &s), &op);
    struct str json = appspec_write(&op, &s);
    struct engine_codedeploy_spec again = {0};
    REQUIRE_OK(appspec_parse(&op, json, &again), &op);
    expect_whole(&op, &again);
}

TEST(a_wrong_appspec_is_refused_with_the_place)
{
    static const struct {
        const char *text;
        const char *note;
    } rows[] = {
        {"", "the file is empty"},
        {"[]", "must be a map"},
        {"version: 2\n", "version must be 0.0"},
        {"version: 0.0\n", "TaskDefinition is missing"},
        {"version: 0.0\nResources: []\n", "Resources must be a list with one resource"},
        {"version: 0.0\nResources: [{a: {Type: AWS::ECS::Service}, b: {}}]\n", "one resource"},
        {"version: 0.0\nResources: [{a: {Type: AWS::Lambda::Function}}]\n",
         "Type must be AWS::ECS::Service"},
        {"version: 0.0\nHoks: []\n", "line 2: unknown key \"Hoks\", did you mean \"Hooks\"?"},
        {"version: 0.0\nHooks: [{Install: f}]\n", "not a lifecycle event that takes a hook"},
        {"version: 0.0\nHooks: [{BeforeInstal: f}]\n", "not a lifecycle event"},
        {"Resources: [{a: {Type: AWS::ECS::Service, Properties: {TaskDefinition: x, "
         "LoadBalancerInfo: {ContainerName: c, ContainerPort: 99999}}}}]",
         "ContainerPort must be a port"},
        {"Resources: [{a: {Properties: {TaskDefinition: x, LoadBalancerInfo: {ContainerName: "
         "c}}}}]",
         "LoadBalancerInfo needs"},
        {"Resources: [{a: {Properties: {TaskDefinition: [x]}}}]", "TaskDefinition must be a text"},
        {"a: &x 1\nb: *x\n", "anchors and tags are not supported"},
        {"version: !!str 0.0\n", "anchors and tags are not supported"},
        {"version: 0.0\n---\nversion: 0.0\n", "a second document"},
        {"{\"version\": 0.0", "line "},
        {"? [a]\n: b\n", "a key must be a text"},
        {"[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]", "nested too deeply"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        auto_op struct op op;
        op_init(&op);
        struct engine_codedeploy_spec s = {0};
        EXPECT_EQ(appspec_parse(&op, str_of(rows[i].text), &s), ERR_INPUT);
        if (str_find(str_of(op.note.text), str_of(rows[i].note), 0) == STR_NOT_FOUND) {
            test_failed(__FILE__, __LINE__, "%s: says \"%s\"", rows[i].text, op.note.text);
        }
    }
}

TEST(an_appspec_past_its_limits_is_refused)
{
    auto_op struct op op;
    op_init(&op);
    struct engine_codedeploy_spec s = {0};
    char *text = arena_alloc(&op.arena, APPSPEC_BYTES_MAX + 1);
    memset(text, '#', APPSPEC_BYTES_MAX + 1);
    EXPECT_EQ(appspec_parse(&op, str_make(text, APPSPEC_BYTES_MAX + 1), &s), ERR_INPUT);
    op_note_clear(&op);
    for (size_t i = 0; i < APPSPEC_BYTES_MAX; i += 4) {
        memcpy(text + i, "- a\n", 4);
    }
    EXPECT_EQ(appspec_parse(&op, str_make(text, APPSPEC_BYTES_MAX), &s), ERR_INPUT);
    EXPECT(str_find(str_of(op.note.text), STR("too many entries"), 0) != STR_NOT_FOUND);
}

TEST(an_appspec_cut_anywhere_never_does_harm)
{
    for (size_t len = 0; len < sizeof(yaml) - 1; len++) {
        auto_op struct op op;
        op_init(&op);
        struct engine_codedeploy_spec s = {0};
        char *cut = arena_alloc(&op.arena, len + 1);
        memcpy(cut, yaml, len);
        err_ignore(appspec_parse(&op, str_make(cut, len), &s)); /* any answer, no crash */
    }
}
