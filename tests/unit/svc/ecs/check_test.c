/* What RegisterTaskDefinition refuses, and Fargate's sizes. */
#include "bench.h"

struct refusal {
    const char *text;
    const char *members;
};

#define FARGATE                                                                              \
    "\"family\":\"a\",\"networkMode\":\"awsvpc\",\"requiresCompatibilities\":[\"FARGATE\"]," \
    "\"cpu\":\"256\",\"memory\":\"512\","
#define ONE(more) "\"containerDefinitions\":[{\"name\":\"a\",\"image\":\"i\"" more "}]"

static const struct refusal refusals[] = {
    {"Family should not be null or empty.", "\"family\":\"\"," ONE("")},
    {"Family contains invalid characters.", "\"family\":\"a b\"," ONE("")},
    {"Container list cannot be empty.", "\"family\":\"a\",\"containerDefinitions\":[]"},
    {"Container.name should not be null or empty.",
     "\"family\":\"a\",\"containerDefinitions\":[{\"image\":\"i\"}]"},
    {"Container.image should not be null or empty.",
     "\"family\":\"a\",\"containerDefinitions\":[{\"name\":\"a\"}]"},
    {"Invalid setting for container 'a'. At least one of 'memory' or 'memoryReservation' must be "
     "specified.",
     "\"family\":\"a\"," ONE("")},
    {"Task definition doesn't have any essential container.",
     "\"family\":\"a\"," ONE(",\"memory\":64,\"essential\":false")},
    {"Fargate only supports network mode ‘awsvpc’.",
     "\"family\":\"a\",\"requiresCompatibilities\":[\"FARGATE\"],\"cpu\":\"256\",\"memory\":"
     "\"512\"," ONE("")},
    {"Fargate requires that 'cpu' be defined at the task level.",
     "\"family\":\"a\",\"networkMode\":\"awsvpc\",\"requiresCompatibilities\":[\"FARGATE\"],"
     "\"memory\":\"512\"," ONE("")},
    {"No Fargate configuration exists for given values.",
     "\"family\":\"a\",\"networkMode\":\"awsvpc\",\"requiresCompatibilities\":[\"FARGATE\"],"
     "\"cpu\":\"256\",\"memory\":\"4096\"," ONE("")},
    {"Invalid 'cpu' setting for task.", "\"family\":\"a\",\"cpu\":\"lots\"," ONE(",\"memory\":64")},
    {"The 'memory' setting for container 'a' is greater than for the task.",
     FARGATE ONE(",\"memory\":1024")},
    {"When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
     FARGATE ONE(",\"portMappings\":[{\"containerPort\":80,\"hostPort\":81}]")},
    {"Invalid 'containerPort' setting for container 'a'.",
     FARGATE ONE(",\"portMappings\":[{\"containerPort\":0}]")},
    {"Links are not supported when networkMode=awsvpc.", FARGATE ONE(",\"links\":[\"b\"]")},
    {"Tasks using the Fargate launch type do not support ipcMode.",
     FARGATE "\"ipcMode\":\"task\"," ONE("")},
    {"Fargate requires task definition to have execution role ARN to support log driver awslogs.",
     FARGATE ONE(",\"logConfiguration\":{\"logDriver\":\"awslogs\",\"options\":{\"awslogs-group\":"
                 "\"g\",\"awslogs-region\":\"r\",\"awslogs-stream-prefix\":\"p\"}}")},
    {"A dependency container with SUCCESS or COMPLETE condition cannot be an essential container",
     FARGATE "\"containerDefinitions\":[{\"name\":\"a\",\"image\":\"i\",\"dependsOn\":[{"
             "\"containerName\":\"b\",\"condition\":\"SUCCESS\"}]},{\"name\":\"b\",\"image\":"
             "\"i\"}]"},
    {"The container dependencies contain a cycle.",
     FARGATE "\"containerDefinitions\":[{\"name\":\"a\",\"image\":\"i\",\"dependsOn\":[{"
             "\"containerName\":\"b\",\"condition\":\"START\"}]},{\"name\":\"b\",\"image\":\"i\","
             "\"dependsOn\":[{\"containerName\":\"a\",\"condition\":\"START\"}]}]"},
    {"Invalid 'healthCheck.interval' setting for container 'a': it is between 5 and 300.",
     FARGATE ONE(",\"healthCheck\":{\"command\":[\"CMD\",\"true\"],\"interval\":4}")},
    {"Invalid 'stopTimeout' setting for container 'a': it is between 2 and 120.",
     FARGATE ONE(",\"stopTimeout\":121")},
    {"restartPolicy is not offered here (container 'a')",
     FARGATE ONE(",\"restartPolicy\":{\"enabled\":true}")},
};

TEST(register_task_definition_refuses_with_the_words_of_aws)
{
    bench_begin();
    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++) {
        bool is_missing =
            str_find(str_of(refusals[i].text), STR("not offered"), 0) != STR_NOT_FOUND;
        bench_refuse(&ecs_op_register_task_definition,
                     is_missing ? "UnsupportedFeatureException" : "ClientException",
                     refusals[i].text, "{%s}", refusals[i].members);
    }
    bench_end();
}

TEST(sizes_are_read_in_every_spelling)
{
    static const struct {
        const char *text;
        int32_t units;
    } good[] = {{"256", 256},     {"0.25 vCPU", 256}, {".25 vcpu", 256},
                {"1 vCPU", 1024}, {"4vcpu", 4096},    {" 512 ", 512}};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        int32_t units = 0;
        EXPECT(ecs_parse_cpu(str_of(good[i].text), &units));
        EXPECT_EQ(units, good[i].units);
    }
    static const char *const bad[] = {"",          "0",           "-1",        "x",
                                      "vcpu",      "0.0001 vcpu", "1e99 vcpu", "99999999999",
                                      "1..2 vcpu", "nan vcpu"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        int32_t units = 0;
        EXPECT(!ecs_parse_cpu(str_of(bad[i]), &units));
    }
    int32_t mib = 0;
    EXPECT(ecs_parse_memory(STR("0.5GB"), &mib) && mib == 512);
    EXPECT(ecs_parse_memory(STR("1 GB"), &mib) && mib == 1024);
    EXPECT(ecs_parse_memory(STR("2048"), &mib) && mib == 2048);
}

TEST(fargate_has_these_sizes_and_no_other)
{
    static const struct {
        int32_t cpu;
        int32_t memory;
        bool is_there;
    } pairs[] = {
        {256, 512, true},      {256, 1024, true},    {256, 1536, false},    {256, 2048, true},
        {256, 4096, false},    {512, 512, false},    {512, 1024, true},     {512, 4096, true},
        {1024, 2048, true},    {1024, 9216, false},  {2048, 16384, true},   {4096, 30720, true},
        {4096, 31744, false},  {8192, 16384, true},  {8192, 17408, false},  {8192, 61440, true},
        {16384, 122880, true}, {32768, 61440, true}, {32768, 65536, false}, {300, 512, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        EXPECT_EQ(ecs_is_fargate_size(pairs[i].cpu, pairs[i].memory), pairs[i].is_there);
    }
}
