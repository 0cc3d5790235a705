/* Task sets, by the API and as codedeploy drives them. */
#include "bench.h"

static const char code_deploy[] =
    ",\"deploymentController\":{\"type\":\"CODE_DEPLOY\"},\"loadBalancers\":[{\"targetGroupArn\":"
    "\"" BENCH_GROUP_A "\",\"containerName\":\"app\",\"containerPort\":8080}]";

TEST(a_code_deploy_service_is_one_primary_task_set)
{
    bench_begin();
    struct str td = bench_register("api", "app");
    const struct ecs_service *s = bench_create(td, 2, code_deploy);
    EXPECT_EQ(s->deployments.count, 0);
    REQUIRE_EQ(s->task_sets.count, 1);
    EXPECT_STR(s->task_sets.items[0].status, "PRIMARY");
    EXPECT_EQ(s->task_sets.items[0].computed_desired_count.value, 2);
    bench_pass(5);
    s = bench_service();
    EXPECT_EQ(s->running_count.value, 2);
    EXPECT_EQ(s->task_sets.items[0].stability_status, ECS_STABILITY_STATUS_STEADY_STATE);
    EXPECT(bench_has_event("has reached a steady state."));
    bench_refuse(&ecs_op_update_service, "InvalidParameterException",
                 "Unable to update task definition on services with a CODE_DEPLOY deployment "
                 "controller. Use AWS CodeDeploy to trigger a new deployment.",
                 "{\"cluster\":\"web\",\"service\":\"api\",\"taskDefinition\":\"other\"}");
    bench_refuse(&ecs_op_update_service, "InvalidParameterException",
                 "Cannot force a new deployment on services with a CODE_DEPLOY deployment "
                 "controller. Use AWS CodeDeploy to trigger a new deployment.",
                 "{\"cluster\":\"web\",\"service\":\"api\",\"forceNewDeployment\":true}");
    (void)bench_call(&ecs_op_update_service,
                     "{\"cluster\":\"web\",\"service\":\"api\",\"desiredCount\":3}");
    bench_pass(5);
    EXPECT_EQ(bench_service()->running_count.value, 3);
    bench_end();
}

static struct port_task_set_in replacement(struct str task_definition)
{
    return (struct port_task_set_in){.cluster = STR("web"),
                                     .service = STR("api"),
                                     .external_id = STR("d-ABCDEFGHI"),
                                     .task_definition = task_definition,
                                     .target_group_arn = STR(BENCH_GROUP_B),
                                     .container_name = STR("app"),
                                     .container_port = 8080};
}

TEST(codedeploy_puts_a_second_task_set_in_place_of_the_first)
{
    bench_begin();
    (void)bench_create(bench_register("api", "app"), 2, code_deploy);
    bench_pass(5);
    struct port_task_sets port = ecs_port_task_sets(bench.ecs);
    struct port_service service = {0};
    REQUIRE_OK(port.find_service(port.self, &bench.op, STR("web"), STR("api"), &service),
               &bench.op);
    EXPECT_STR(service.deployment_controller, "CODE_DEPLOY");
    EXPECT_EQ(service.desired_count, 2);
    struct port_task_set_in in = replacement(bench_register("api", "app2"));
    struct port_task_set green = {0};
    REQUIRE_OK(port.create(port.self, &bench.op, &in, &green), &bench.op);
    struct port_task_set twice = {0};
    REQUIRE_OK(port.create(port.self, &bench.op, &in, &twice), &bench.op);
    EXPECT_STR_EQ(green.id, twice.id);
    EXPECT_STR(green.status, "ACTIVE");
    size_t wakes = bench.task_set_wakes;
    bench_pass(5);
    EXPECT(bench.task_set_wakes > wakes);
    REQUIRE_OK(port.see(port.self, &bench.op, STR("web"), STR("api"), green.id, &green), &bench.op);
    EXPECT_EQ(green.desired_count, 2);
    EXPECT_EQ(green.running_count, 2);
    EXPECT_EQ(green.healthy_count, 2);
    EXPECT(green.is_steady);
    EXPECT_EQ(bench_count_targets(BENCH_GROUP_B, PORT_TARGET_HEALTHY), 2);
    EXPECT_EQ(bench_service()->running_count.value, 4);

    REQUIRE_OK(port.set_primary(port.self, &bench.op, STR("web"), STR("api"), green.id), &bench.op);
    REQUIRE_OK(port.set_primary(port.self, &bench.op, STR("web"), STR("api"), green.id), &bench.op);
    EXPECT(str_ends_with(bench_service()->task_definition, STR("api:2")));
    EXPECT_STR(bench_service()->load_balancers.items[0].target_group_arn, BENCH_GROUP_B);
    REQUIRE_OK(
        port.remove(port.self, &bench.op, STR("web"), STR("api"), service.primary_task_set_id),
        &bench.op);
    bench_pass(10);
    EXPECT_EQ(bench_service()->task_sets.count, 1);
    EXPECT_EQ(bench_service()->running_count.value, 2);
    EXPECT_EQ(
        port.see(port.self, &bench.op, STR("web"), STR("api"), service.primary_task_set_id, &twice),
        ERR_NOT_FOUND);
    REQUIRE_OK(
        port.remove(port.self, &bench.op, STR("web"), STR("api"), service.primary_task_set_id),
        &bench.op);
    bench_end();
}

TEST(a_task_set_that_fails_tells_why)
{
    bench_begin();
    (void)bench_create(bench_register("api", "app"), 1, code_deploy);
    bench_pass(5);
    struct port_task_sets port = ecs_port_task_sets(bench.ecs);
    struct port_task_set_in in = replacement(bench_register("api", "crash"));
    struct port_task_set green = {0};
    REQUIRE_OK(port.create(port.self, &bench.op, &in, &green), &bench.op);
    bench_set_targets(BENCH_GROUP_B, PORT_TARGET_INITIAL);
    bench.are_targets_healthy = false;
    bench_pass(30);
    REQUIRE_OK(port.see(port.self, &bench.op, STR("web"), STR("api"), green.id, &green), &bench.op);
    EXPECT(green.failed_count >= 1);
    EXPECT(!green.is_steady);
    EXPECT(str_find(green.last_failure, STR("Essential container in task exited"), 0) !=
           STR_NOT_FOUND);
    EXPECT(str_find(green.last_failure,
                    STR("container app ended with exit code 1; its last lines:\nhello from the "
                        "app"),
                    0) != STR_NOT_FOUND);
    bench_end();
}

TEST(an_external_service_runs_what_its_task_sets_say)
{
    bench_begin();
    (void)bench_register("api", "app");
    (void)bench_call(&ecs_op_create_service,
                     "{\"cluster\":\"web\",\"serviceName\":\"api\",\"desiredCount\":4,"
                     "\"deploymentController\":{\"type\":\"EXTERNAL\"}}");
    const struct ecs_create_task_set_out *out =
        bench_call(&ecs_op_create_task_set, "{\"cluster\":\"web\",\"service\":\"api\",%s}",
                   "\"taskDefinition\":\"api\",\"launchType\":\"FARGATE\",\"externalId\":\"x\","
                   "\"clientToken\":\"t\",\"scale\":{\"value\":30,\"unit\":\"PERCENT\"},"
                   "\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":[\"subnet-"
                   "05254f8afd73be4e3\"]}}");
    EXPECT_EQ(out->task_set->computed_desired_count.value, 2);
    EXPECT_STR(out->task_set->status, "ACTIVE");
    EXPECT_EQ(out->task_set->stability_status, ECS_STABILITY_STATUS_STABILIZING);
    struct str id = out->task_set->id;
    bench_pass(45);
    EXPECT_EQ(bench_service()->running_count.value, 2);
    (void)bench_call(&ecs_op_update_task_set,
                     "{\"cluster\":\"web\",\"service\":\"api\",\"taskSet\":\"%.*s\",\"scale\":{"
                     "\"value\":100,\"unit\":\"PERCENT\"}}",
                     STR_ARG(id));
    bench_pass(45);
    EXPECT_EQ(bench_service()->running_count.value, 4);
    const struct ecs_update_service_primary_task_set_out *primary = bench_call(
        &ecs_op_update_service_primary_task_set,
        "{\"cluster\":\"web\",\"service\":\"api\",\"primaryTaskSet\":\"%.*s\"}", STR_ARG(id));
    EXPECT_STR(primary->task_set->status, "PRIMARY");
    bench_refuse(&ecs_op_delete_task_set, "InvalidParameterException", NULL,
                 "{\"cluster\":\"web\",\"service\":\"api\",\"taskSet\":\"%.*s\"}", STR_ARG(id));
    bench_refuse(&ecs_op_delete_task_set, "TaskSetNotFoundException", "Task set not found.",
                 "{\"cluster\":\"web\",\"service\":\"api\",%s}", "\"taskSet\":\"ecs-svc/1\"");
    (void)bench_call(&ecs_op_delete_task_set,
                     "{\"cluster\":\"web\",\"service\":\"api\",\"taskSet\":\"%.*s\",\"force\":"
                     "true}",
                     STR_ARG(id));
    bench_pass(5);
    const struct ecs_describe_task_sets_out *none =
        bench_call(&ecs_op_describe_task_sets, "{\"cluster\":\"web\",\"service\":\"api\"}");
    EXPECT_EQ(none->task_sets.count, 0);
    bench_end();
}
