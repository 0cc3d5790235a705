/* What clients see: forms, defaults, lists, refusals. */
#include "bench.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "shape/walk.h"

static struct str json_of(const struct shape *shape, const void *value)
{
    auto_buf struct buf b;
    buf_init(&b, 1u << 20);
    shape_json_encode(&b, shape, value);
    return arena_str(&bench.op.arena, buf_str(&b));
}

static bool has(struct str text, const char *part)
{
    return str_find(text, str_of(part), 0) != STR_NOT_FOUND;
}

TEST(a_task_definition_comes_back_with_its_defaults)
{
    bench_begin();
    const struct ecs_register_task_definition_out *out = bench_call(
        &ecs_op_register_task_definition,
        "{\"family\":\"api\",\"networkMode\":\"awsvpc\",\"requiresCompatibilities\":[\"FARGATE\"],"
        "\"cpu\":\".25 vcpu\",\"memory\":\"0.5GB\",\"executionRoleArn\":\"exec\","
        "\"containerDefinitions\":[{\"name\":\"app\",\"image\":\"x.dkr.ecr.eu-west-1.amazonaws.com/"
        "app:1\",\"portMappings\":[{\"containerPort\":80}],\"healthCheck\":{\"command\":[\"CMD-"
        "SHELL\",\"true\"]},\"logConfiguration\":{\"logDriver\":\"awslogs\",\"options\":{\"awslogs-"
        "group\":\"g\",\"awslogs-region\":\"eu-west-1\",\"awslogs-stream-prefix\":\"p\"}}}],"
        "\"tags\":[{\"key\":\"team\",\"value\":\"a\"}]}");
    struct str text = json_of(&shape_ecs_task_definition, out->task_definition);
    EXPECT(has(text, "\"cpu\":\"256\""));
    EXPECT(has(text, "\"memory\":\"512\""));
    EXPECT(has(text, "\"portMappings\":[{\"containerPort\":80,\"hostPort\":80,\"protocol\":"
                     "\"tcp\"}]"));
    EXPECT(has(text, "\"essential\":true"));
    EXPECT(has(text, "\"environment\":[]"));
    EXPECT(has(text, "\"mountPoints\":[]"));
    EXPECT(has(text, "\"volumesFrom\":[]"));
    EXPECT(has(text, "\"systemControls\":[]"));
    EXPECT(has(text, "\"interval\":30,\"timeout\":5,\"retries\":3"));
    EXPECT(has(text, "\"compatibilities\":[\"EC2\",\"FARGATE\"]"));
    EXPECT(has(text, "{\"name\":\"ecs.capability.execution-role-ecr-pull\"}"));
    EXPECT(has(text, "{\"name\":\"ecs.capability.task-eni\"}"));
    EXPECT(has(text, "\"executionRoleArn\":\"arn:aws:iam::123456789012:role/exec\""));
    EXPECT(has(text, "\"registeredBy\":\"arn:aws:iam::123456789012:user/tester\""));
    EXPECT(has(text, "\"volumes\":[]"));
    EXPECT(has(text, "\"placementConstraints\":[]"));
    EXPECT(has(text, "\"status\":\"ACTIVE\""));
    EXPECT(out->task_definition->registered_at.is_set);
    const struct ecs_describe_task_definition_out *again = bench_call(
        &ecs_op_describe_task_definition, "{\"taskDefinition\":\"api\",\"include\":[\"TAGS\"]}");
    EXPECT_STR_EQ(json_of(&shape_ecs_task_definition, again->task_definition), text);
    EXPECT_EQ(again->tags.count, 1);
    bench_end();
}

TEST(revisions_are_never_used_again)
{
    bench_begin();
    EXPECT_STR(bench_register("api", "app"), "api:1");
    EXPECT_STR(bench_register("api", "app"), "api:2");
    EXPECT_STR(bench_register("api-2", "app"), "api-2:1");
    (void)bench_call(&ecs_op_deregister_task_definition, "{\"taskDefinition\":\"api:2\"}");
    const struct ecs_describe_task_definition_out *latest =
        bench_call(&ecs_op_describe_task_definition, "{\"taskDefinition\":\"api\"}");
    EXPECT_EQ(latest->task_definition->revision.value, 1);
    (void)bench_call(&ecs_op_delete_task_definitions, "{\"taskDefinitions\":[\"api:2\"]}");
    bench_pass(700);
    bench_refuse(&ecs_op_describe_task_definition, "ClientException",
                 "Unable to describe task definition.", "{\"taskDefinition\":\"api:2\"}");
    EXPECT_STR(bench_register("api", "app"), "api:3");
    const struct ecs_delete_task_definitions_out *active =
        bench_call(&ecs_op_delete_task_definitions, "{\"taskDefinitions\":[\"api:3\"]}");
    EXPECT_EQ(active->failures.count, 1);
    bench_refuse(&ecs_op_deregister_task_definition, "ClientException",
                 "Task definition is missing revision.", "{\"taskDefinition\":\"api\"}");
    bench_end();
}

TEST(task_definitions_are_listed_in_pages_both_ways)
{
    bench_begin();
    for (int i = 0; i < 11; i++) {
        (void)bench_register("api", "app");
    }
    (void)bench_register("api-2", "app");
    const struct ecs_list_task_definitions_out *all =
        bench_call(&ecs_op_list_task_definitions, "{\"familyPrefix\":\"api\",\"sort\":\"DESC\"}");
    REQUIRE_EQ(all->task_definition_arns.count, 11);
    EXPECT(str_ends_with(all->task_definition_arns.items[0], STR("/api:11")));
    EXPECT(str_ends_with(all->task_definition_arns.items[10], STR("/api:1")));
    struct str token = STR("");
    size_t seen = 0;
    for (int page = 0; page < 4; page++) {
        const struct ecs_list_task_definitions_out *out = bench_call(
            &ecs_op_list_task_definitions,
            "{\"maxResults\":5,\"nextToken\":\"%.*s\",\"sort\":\"%s\"}", STR_ARG(token), "DESC");
        seen += out->task_definition_arns.count;
        token = out->next_token;
        if (!str_is_set(token)) {
            break;
        }
    }
    EXPECT_EQ(seen, 12);
    const struct ecs_list_task_definition_families_out *families =
        bench_call(&ecs_op_list_task_definition_families, "{\"familyPrefix\":\"api\"}");
    EXPECT_EQ(families->families.count, 2);
    bench_refuse(&ecs_op_list_task_definitions, "InvalidParameterException", "Invalid token",
                 "{\"nextToken\":\"bm9wZQ\"}");
    bench_end();
}

TEST(clusters_count_what_runs_in_them)
{
    bench_begin();
    (void)bench_create(bench_register("api", "app"), 1, "");
    bench_pass(3);
    const struct ecs_describe_clusters_out *out =
        bench_call(&ecs_op_describe_clusters,
                   "{\"clusters\":[\"web\",\"nope\"],\"include\":[\"STATISTICS\",\"SETTINGS\"]}");
    REQUIRE_EQ(out->clusters.count, 1);
    EXPECT_EQ(out->clusters.items[0].running_tasks_count.value, 1);
    EXPECT_EQ(out->clusters.items[0].active_services_count.value, 1);
    struct str text = json_of(&shape_ecs_cluster, &out->clusters.items[0]);
    EXPECT(has(text, "{\"name\":\"runningFargateTasksCount\",\"value\":\"1\"}"));
    EXPECT(has(text, "\"settings\":[{\"name\":\"containerInsights\",\"value\":\"disabled\"}]"));
    REQUIRE_EQ(out->failures.count, 1);
    EXPECT_STR(out->failures.items[0].arn, "arn:aws:ecs:eu-west-1:123456789012:cluster/nope");
    EXPECT_STR(out->failures.items[0].reason, "MISSING");
    bench_end();
}

TEST(the_default_cluster_is_made_when_it_is_needed)
{
    bench_begin();
    bench_refuse(&ecs_op_list_tasks, "ClusterNotFoundException", "Cluster not found.", "{}");
    (void)bench_call(&ecs_op_register_task_definition,
                     "{\"family\":\"j\",\"containerDefinitions\":[{\"name\":\"a\",\"image\":"
                     "\"app\",\"memory\":64}]}");
    const struct ecs_run_task_out *out = bench_call(&ecs_op_run_task, "{\"taskDefinition\":\"j\"}");
    EXPECT_STR(out->tasks.items[0].cluster_arn,
               "arn:aws:ecs:eu-west-1:123456789012:cluster/default");
    EXPECT_EQ(out->tasks.items[0].launch_type, ECS_LAUNCH_TYPE_EC2);
    bench_refuse(&ecs_op_create_service, "ClusterNotFoundException", "Cluster not found.",
                 "{\"cluster\":\"other\",\"serviceName\":\"x\",\"desiredCount\":1,"
                 "\"taskDefinition\":\"j\"}");
    bench_end();
}

TEST(a_service_comes_back_as_terraform_wants_it)
{
    bench_begin();
    const struct ecs_service *s = bench_create(
        bench_register("api", "app"), 1,
        ",\"capacityProviderStrategy\":[],\"vpcLatticeConfigurations\":[],"
        "\"healthCheckGracePeriodSeconds\":60,\"availabilityZoneRebalancing\":\"DISABLED\","
        "\"propagateTags\":\"SERVICE\",\"enableECSManagedTags\":true,\"tags\":[{\"key\":\"a\","
        "\"value\":\"b\"}],\"clientToken\":\"one\"");
    struct str text = json_of(&shape_ecs_service, s);
    EXPECT(has(text, "\"healthCheckGracePeriodSeconds\":60"));
    EXPECT(has(text, "\"availabilityZoneRebalancing\":\"DISABLED\""));
    EXPECT(has(text, "\"capacityProviderStrategy\":[]"));
    EXPECT(has(text, "\"launchType\":\"FARGATE\""));
    EXPECT(has(text, "\"platformVersion\":\"LATEST\",\"platformFamily\":\"Linux\""));
    EXPECT(has(text, "\"platformVersion\":\"1.4.0\""));
    EXPECT(has(text, "\"deploymentConfiguration\":{\"deploymentCircuitBreaker\":{\"enable\":false,"
                     "\"rollback\":false},\"maximumPercent\":200,\"minimumHealthyPercent\":100,"
                     "\"alarms\":{\"alarmNames\":[],\"rollback\":false,\"enable\":false},"
                     "\"strategy\":\"ROLLING\",\"bakeTimeInMinutes\":0}"));
    EXPECT(has(text, "\"assignPublicIp\":\"DISABLED\""));
    EXPECT(has(text, "\"securityGroups\":[]"));
    EXPECT(has(text, "\"placementConstraints\":[],\"placementStrategy\":[]"));
    EXPECT(has(text, "\"loadBalancers\":[],\"serviceRegistries\":[]"));
    EXPECT(has(text, "\"schedulingStrategy\":\"REPLICA\""));
    EXPECT(has(text, "\"deploymentController\":{\"type\":\"ECS\"}"));
    EXPECT(has(text, "\"enableExecuteCommand\":false"));
    EXPECT(has(text, "\"events\":[]"));
    EXPECT(has(text, "\"rolloutState\":\"IN_PROGRESS\",\"rolloutStateReason\":\"ECS deployment "
                     "ecs-svc/"));
    EXPECT(has(text, "\"tags\":[{\"key\":\"a\",\"value\":\"b\"}]"));
    EXPECT(!str_is_set(bench_service()->tags.items == NULL ? STR_NONE : STR("tags are there")));
    bench_pass(3);
    const struct ecs_describe_tasks_out *tasks =
        bench_call(&ecs_op_describe_tasks,
                   "{\"cluster\":\"web\",\"tasks\":[\"%.*s\"],"
                   "\"include\":[\"TAGS\"]}",
                   STR_ARG(bench_task_id(0)));
    EXPECT_EQ(tasks->tasks.items[0].tags.count, 3);
    EXPECT_STR(tasks->tasks.items[0].group, "service:api");
    EXPECT(str_starts_with(tasks->tasks.items[0].started_by, STR("ecs-svc/")));
    bench_end();
}

TEST(creating_a_service_twice_is_fine_only_when_it_is_the_same)
{
    bench_begin();
    struct str td = bench_register("api", "app");
    const struct ecs_service *first = bench_create(td, 1, ",\"clientToken\":\"one\"");
    const struct ecs_service *second = bench_create(td, 1, ",\"clientToken\":\"two\"");
    EXPECT_STR_EQ(first->deployments.items[0].id, second->deployments.items[0].id);
    bench_refuse(&ecs_op_create_service, "InvalidParameterException",
                 "Creation of service was not idempotent.",
                 "{\"cluster\":\"web\",\"serviceName\":\"api\",\"taskDefinition\":\"api\","
                 "\"desiredCount\":2,\"launchType\":\"FARGATE\",\"networkConfiguration\":{"
                 "\"awsvpcConfiguration\":{\"subnets\":[\"subnet-05254f8afd73be4e3\"]}}}");
    (void)bench_call(&ecs_op_delete_service,
                     "{\"cluster\":\"web\",\"service\":\"api\",\"force\":true}");
    bench_refuse(&ecs_op_update_service, "ServiceNotActiveException", "Service was not ACTIVE.",
                 "{\"cluster\":\"web\",\"service\":\"api\",\"desiredCount\":1}");
    bench_pass(10);
    EXPECT_STR(bench_create(td, 1, "")->status, "ACTIVE");
    EXPECT_EQ(bench_service()->events.count <= 1, 1);
    bench_end();
}

struct refusal {
    const char *code;
    const char *text;
    const char *members; /* after cluster and serviceName */
};

#define NET                                                                     \
    "\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":[\"subnet-" \
    "05254f8afd73be4e3\"]}},"                                                   \
    "\"launchType\":\"FARGATE\",\"desiredCount\":1,\"taskDefinition\":\"api\""

static const struct refusal service_refusals[] = {
    {"ClientException", "TaskDefinition not found.",
     "\"taskDefinition\":\"nope\",\"desiredCount\":1"},
    {"ClientException", "TaskDefinition is inactive",
     "\"taskDefinition\":\"api:2\","
     "\"desiredCount\":1"},
    {"InvalidParameterException",
     "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
     "\"taskDefinition\":\"api\",\"desiredCount\":1,\"launchType\":\"FARGATE\""},
    {"InvalidParameterException",
     "Specifying both a launch type and capacity provider strategy is not supported. Remove one "
     "and try again.",
     NET ",\"capacityProviderStrategy\":[{\"capacityProvider\":\"FARGATE\",\"weight\":1}]"},
    {"InvalidParameterException", "The target group arn:x does not exist.",
     NET ",\"loadBalancers\":[{\"targetGroupArn\":\"arn:x\",\"containerName\":\"app\","
         "\"containerPort\":8080}]"},
    {"InvalidParameterException",
     "The target group with targetGroupArn " BENCH_GROUP_B
     " does not have an associated load balancer.",
     NET ",\"loadBalancers\":[{\"targetGroupArn\":\"" BENCH_GROUP_B
         "\",\"containerName\":\"app\",\"containerPort\":8080}]"},
    {"InvalidParameterException", "The container web does not exist in the task definition.",
     NET ",\"loadBalancers\":[{\"targetGroupArn\":\"" BENCH_GROUP_A
         "\",\"containerName\":\"web\",\"containerPort\":8080}]"},
    {"InvalidParameterException", "The container app did not have a container port 81 defined.",
     NET ",\"loadBalancers\":[{\"targetGroupArn\":\"" BENCH_GROUP_A
         "\",\"containerName\":\"app\",\"containerPort\":81}]"},
    {"InvalidParameterException",
     "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.",
     NET ",\"deploymentConfiguration\":{\"maximumPercent\":100,\"minimumHealthyPercent\":100}"},
    {"InvalidParameterException",
     "Placement strategies are not supported with FARGATE launch type.",
     NET ",\"placementStrategy\":[{\"type\":\"random\"}]"},
    {"UnsupportedFeatureException", NULL,
     NET ",\"deploymentConfiguration\":{\"strategy\":\"BLUE_GREEN\"}"},
    {"UnsupportedFeatureException", "serviceRegistries are not offered here",
     NET ",\"serviceRegistries\":[{\"registryArn\":\"arn:x\"}]"},
    {"PlatformUnknownException", "The specified platform does not exist.",
     NET ",\"platformVersion\":\"9.9\""},
    {"InvalidParameterException", "desiredCount must be between 0 and 5000.",
     "\"taskDefinition\":\"api\",\"desiredCount\":5001"},
};

TEST(create_service_refuses_with_the_words_of_aws)
{
    bench_begin();
    (void)bench_register("api", "app");
    (void)bench_register("api", "app");
    (void)bench_call(&ecs_op_deregister_task_definition, "{\"taskDefinition\":\"api:2\"}");
    for (size_t i = 0; i < ARRAY_COUNT(service_refusals); i++) {
        const struct refusal *r = &service_refusals[i];
        bench_refuse(&ecs_op_create_service, r->code, r->text,
                     "{\"cluster\":\"web\",\"serviceName\":\"x\",%s}", r->members);
    }
    const struct ecs_list_services_out *out =
        bench_call(&ecs_op_list_services, "{\"cluster\":\"web\"}");
    EXPECT_EQ(out->service_arns.count, 0);
    bench_end();
}

TEST(an_update_that_changes_nothing_begins_no_deployment)
{
    bench_begin();
    struct str td = bench_register("api", "app");
    (void)bench_create(td, 1, "");
    bench_pass(45);
    struct str id = bench_primary()->id;
    (void)bench_call(&ecs_op_update_service,
                     "{\"cluster\":\"web\",\"service\":\"api\",\"taskDefinition\":\"api\","
                     "\"desiredCount\":1,\"capacityProviderStrategy\":[],"
                     "\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":["
                     "\"subnet-05254f8afd73be4e3\"]}}}");
    EXPECT_STR_EQ(bench_primary()->id, id);
    (void)bench_call(&ecs_op_update_service,
                     "{\"cluster\":\"web\",\"service\":\"api\","
                     "\"deploymentConfiguration\":{\"maximumPercent\":150}}");
    EXPECT_STR_EQ(bench_primary()->id, id);
    EXPECT_EQ(bench_service()->deployment_configuration->maximum_percent.value, 150);
    EXPECT_EQ(bench_service()->deployment_configuration->minimum_healthy_percent.value, 100);
    (void)bench_call(&ecs_op_update_service,
                     "{\"cluster\":\"web\",\"service\":\"api\",\"forceNewDeployment\":true}");
    EXPECT(!str_equal(bench_primary()->id, id));
    bench_end();
}

TEST(run_task_with_a_token_runs_once)
{
    bench_begin();
    (void)bench_call(&ecs_op_register_task_definition,
                     "{\"family\":\"j\",\"containerDefinitions\":[{\"name\":\"a\",\"image\":"
                     "\"app\",\"memory\":64}]}");
    const struct ecs_run_task_out *first = bench_call(
        &ecs_op_run_task,
        "{\"cluster\":\"web\",\"taskDefinition\":\"j\",\"count\":2,\"clientToken\":\"t\"}");
    const struct ecs_run_task_out *second = bench_call(
        &ecs_op_run_task,
        "{\"cluster\":\"web\",\"taskDefinition\":\"j\",\"count\":2,\"clientToken\":\"t\"}");
    REQUIRE_EQ(second->tasks.count, 2);
    EXPECT_STR_EQ(first->tasks.items[0].task_arn, second->tasks.items[0].task_arn);
    bench_refuse(&ecs_op_run_task, "ConflictException", NULL,
                 "{\"cluster\":\"web\",\"taskDefinition\":\"j\",\"clientToken\":\"t\"}");
    bench_refuse(&ecs_op_run_task, "InvalidParameterException", "count must be between 1 and 10.",
                 "{\"cluster\":\"web\",\"taskDefinition\":\"j\",\"count\":11}");
    bench_refuse(&ecs_op_run_task, "InvalidParameterException",
                 "Override for container named b is not a container in the TaskDefinition.",
                 "{\"cluster\":\"web\",\"taskDefinition\":\"j\",\"overrides\":{"
                 "\"containerOverrides\":[{\"name\":\"b\"}]}}");
    bench_end();
}

TEST(overrides_reach_the_container)
{
    bench_begin();
    (void)bench_call(&ecs_op_register_task_definition,
                     "{\"family\":\"j\",\"containerDefinitions\":[{\"name\":\"a\",\"image\":"
                     "\"app\",\"memory\":64,\"command\":[\"serve\"],\"environment\":[{\"name\":"
                     "\"MODE\",\"value\":\"x\"}],\"secrets\":[{\"name\":\"KEY\",\"valueFrom\":"
                     "\"p\"}]}]}");
    const struct ecs_run_task_out *out = bench_call(
        &ecs_op_run_task,
        "{\"cluster\":\"web\",\"taskDefinition\":\"j\",\"overrides\":{\"cpu\":\"512\","
        "\"containerOverrides\":[{\"name\":\"a\",\"command\":[\"migrate\",\"up\"],\"memory\":128,"
        "\"environment\":[{\"name\":\"MODE\",\"value\":\"y\"}]}]}}");
    struct engine_ecs_task row = {0};
    REQUIRE_OK(ecs_task_get(&bench.op, bench.ecs, STR("web"),
                            ecs_last_part(out->tasks.items[0].task_arn), &row),
               &bench.op);
    struct ecs_task_definition td = {0};
    REQUIRE_OK(ecs_task_definition_of(&bench.op, bench.ecs, row.task->task_definition_arn, &td),
               &bench.op);
    struct runtime_task_spec spec = {0};
    REQUIRE_OK(ecs_task_spec(&bench.op, bench.ecs, &row, &td, &spec), &bench.op);
    EXPECT_EQ(spec.cpu_units, 512);
    EXPECT(spec.publishes_ports);
    const struct runtime_container_spec *c = &spec.containers[0];
    REQUIRE_EQ(c->command.count, 2);
    EXPECT_STR(c->command.items[1], "up");
    EXPECT_EQ(c->memory_mib, 128);
    REQUIRE_EQ(c->environment.count, 4);
    EXPECT_STR(c->environment.items[2].value, "y");
    EXPECT_STR(c->environment.items[3].value, "s3cret");
    EXPECT(!has(json_of(&shape_ecs_task, row.task), "s3cret"));
    bench_end();
}

TEST(tasks_are_listed_by_what_is_asked)
{
    bench_begin();
    (void)bench_create(bench_register("api", "app"), 2, "");
    bench_pass(2);
    static const struct {
        const char *members;
        size_t count;
    } asks[] = {
        {"", 2},
        {",\"family\":\"api\"", 2},
        {",\"family\":\"ap\"", 0},
        {",\"launchType\":\"EC2\"", 0},
        {",\"serviceName\":\"api\"", 2},
        {",\"desiredStatus\":\"PENDING\"", 0},
        {",\"desiredStatus\":\"STOPPED\"", 0},
        {",\"startedBy\":\"nobody\"", 0},
        {",\"maxResults\":1", 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(asks); i++) {
        const struct ecs_list_tasks_out *out =
            bench_call(&ecs_op_list_tasks, "{\"cluster\":\"web\"%s}", asks[i].members);
        EXPECT_EQ(out->task_arns.count, asks[i].count);
    }
    bench_refuse(&ecs_op_list_tasks, "ServiceNotFoundException", "Service not found.",
                 "{\"cluster\":\"web\",\"serviceName\":\"x\"}");
    bench_refuse(&ecs_op_list_tasks, "InvalidParameterException", NULL,
                 "{\"cluster\":\"web\",\"startedBy\":\"a\",\"family\":\"b\"}");
    bench_refuse(&ecs_op_stop_task, "InvalidParameterException",
                 "The referenced task was not found.", "{\"cluster\":\"web\",\"task\":\"x\"}");
    bench_end();
}

TEST(tags_of_every_kind_are_read_and_changed)
{
    bench_begin();
    struct str td = bench_register("api", "app");
    (void)bench_create(td, 1, "");
    bench_pass(2);
    const char *arns[] = {
        "cluster/web", "service/web/api", "task-definition/api:1",
        arena_printf(&bench.op.arena, "task/web/%.*s", STR_ARG(bench_task_id(0))).ptr};
    for (size_t i = 0; i < ARRAY_COUNT(arns); i++) {
        (void)bench_call(&ecs_op_tag_resource,
                         "{\"resourceArn\":\"arn:aws:ecs:eu-west-1:123456789012:%s\"%s}", arns[i],
                         ",\"tags\":[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"b\",\"value\":"
                         "\"2\"}]");
        (void)bench_call(&ecs_op_untag_resource,
                         "{\"resourceArn\":\"arn:aws:ecs:eu-west-1:123456789012:%s\"%s}", arns[i],
                         ",\"tagKeys\":[\"a\"]");
        const struct ecs_list_tags_for_resource_out *out = bench_call(
            &ecs_op_list_tags_for_resource,
            "{\"resourceArn\":\"arn:aws:ecs:eu-west-1:123456789012:%s\"%s}", arns[i], "");
        REQUIRE_EQ(out->tags.count, 1);
        EXPECT_STR(out->tags.items[0].key, "b");
    }
    bench_refuse(&ecs_op_list_tags_for_resource, "ResourceNotFoundException", NULL,
                 "{\"resourceArn\":\"arn:aws:ecs:eu-west-1:123456789012:service/web/nope\"}");
    bench_refuse(&ecs_op_list_tags_for_resource, "InvalidParameterException", NULL,
                 "{\"resourceArn\":\"arn:aws:ecs:us-east-1:123456789012:cluster/web\"}");
    bench_end();
}

TEST(account_settings_fall_back_from_the_user_to_the_account_to_aws)
{
    bench_begin();
    const char *ask = "{\"name\":\"containerInsights\",\"effectiveSettings\":true}";
    const struct ecs_list_account_settings_out *out =
        bench_call(&ecs_op_list_account_settings, "%s", ask);
    EXPECT_STR(out->settings.items[0].value, "disabled");
    (void)bench_call(&ecs_op_put_account_setting_default,
                     "{\"name\":\"containerInsights\",\"value\":\"enhanced\"}");
    out = bench_call(&ecs_op_list_account_settings, "%s", ask);
    EXPECT_STR(out->settings.items[0].value, "enhanced");
    (void)bench_call(&ecs_op_put_account_setting,
                     "{\"name\":\"containerInsights\",\"value\":\"enabled\"}");
    out = bench_call(&ecs_op_list_account_settings, "%s", ask);
    EXPECT_STR(out->settings.items[0].value, "enabled");
    (void)bench_call(&ecs_op_delete_account_setting, "{\"name\":\"containerInsights\"}");
    out = bench_call(&ecs_op_list_account_settings, "{}");
    EXPECT_EQ(out->settings.count, 0);
    bench_refuse(&ecs_op_put_account_setting, "InvalidParameterException", NULL,
                 "{\"name\":\"containerInsights\",\"value\":\"maybe\"}");
    bench_end();
}

TEST(there_are_two_capacity_providers_and_no_container_instance)
{
    bench_begin();
    const struct ecs_describe_capacity_providers_out *out =
        bench_call(&ecs_op_describe_capacity_providers, "{}");
    EXPECT_EQ(out->capacity_providers.count, 2);
    out = bench_call(&ecs_op_describe_capacity_providers,
                     "{\"capacityProviders\":[\"FARGATE\",\"mine\"]}");
    EXPECT_EQ(out->capacity_providers.count, 1);
    EXPECT_EQ(out->failures.count, 1);
    const struct ecs_list_container_instances_out *none =
        bench_call(&ecs_op_list_container_instances, "{\"cluster\":\"web\"}");
    EXPECT_EQ(none->container_instance_arns.count, 0);
    (void)bench_register("api", "app");
    const struct ecs_start_task_out *started =
        bench_call(&ecs_op_start_task, "{\"cluster\":\"web\",\"taskDefinition\":\"api\","
                                       "\"containerInstances\":[\"i-1\"]}");
    EXPECT_EQ(started->tasks.count, 0);
    EXPECT_STR(started->failures.items[0].reason, "MISSING");
    (void)bench_call(&ecs_op_put_cluster_capacity_providers,
                     "{\"cluster\":\"web\",\"capacityProviders\":[\"FARGATE_SPOT\"],"
                     "\"defaultCapacityProviderStrategy\":[{\"capacityProvider\":\"FARGATE_SPOT\","
                     "\"weight\":1}]}");
    const struct ecs_run_task_out *run = bench_call(
        &ecs_op_run_task, "{\"cluster\":\"web\",\"taskDefinition\":\"api\","
                          "\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":["
                          "\"subnet-05254f8afd73be4e3\"]}}}");
    EXPECT_STR(run->tasks.items[0].capacity_provider_name, "FARGATE_SPOT");
    EXPECT_EQ(run->tasks.items[0].launch_type, ECS_LAUNCH_TYPE_FARGATE);
    bench_end();
}

TEST(a_protected_task_is_not_stopped_when_the_service_shrinks)
{
    bench_begin();
    (void)bench_create(bench_register("api", "app"), 2, "");
    bench_pass(45);
    struct str ids[] = {bench_task_id(0), bench_task_id(1)};
    const struct ecs_update_task_protection_out *out =
        bench_call(&ecs_op_update_task_protection,
                   "{\"cluster\":\"web\",\"tasks\":[\"%.*s\",\"%.*s\",\"nope\"],"
                   "\"protectionEnabled\":true,\"expiresInMinutes\":10}",
                   STR_ARG(ids[0]), STR_ARG(ids[1]));
    EXPECT_EQ(out->protected_tasks.count, 2);
    EXPECT_EQ(out->failures.count, 1);
    (void)bench_call(&ecs_op_update_service,
                     "{\"cluster\":\"web\",\"service\":\"api\",\"desiredCount\":1}");
    bench_pass(300);
    EXPECT_EQ(bench_service()->running_count.value, 2);
    bench_pass(310);
    EXPECT_EQ(bench_service()->running_count.value, 1);
    bench_end();
}

TEST(usage_is_a_share_of_what_is_reserved)
{
    bench_begin();
    (void)bench_create(bench_register("api", "app"), 1, "");
    bench_pass(3);
    struct str id = bench_task_id(0);
    struct runtime_usage usage = {.at = clock_wall(), .cpu = DUR_MS(0), .memory_bytes = 0};
    runtime_fake_set_usage(bench.rt, id, &usage);
    struct ecs_usages all = {0};
    REQUIRE_OK(ecs_usage(&bench.op, bench.ecs, &all), &bench.op);
    EXPECT_EQ(all.count, 0);
    usage = (struct runtime_usage){
        .at = wall_add(clock_wall(), DUR_S(60)), .cpu = DUR_S(6), .memory_bytes = 128u << 20};
    runtime_fake_set_usage(bench.rt, id, &usage);
    REQUIRE_OK(ecs_usage(&bench.op, bench.ecs, &all), &bench.op);
    REQUIRE_EQ(all.count, 1);
    EXPECT_STR(all.items[0].service, "api");
    EXPECT_EQ((int)(all.items[0].cpu_percent + 0.5), 40);
    EXPECT_EQ((int)(all.items[0].memory_percent + 0.5), 25);
    bench_end();
}
