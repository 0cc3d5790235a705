/* The machines: tasks, services, rollouts, and what a crash leaves. */
#include "bench.h"

static const char with_group[] = ",\"loadBalancers\":[{\"targetGroupArn\":\"" BENCH_GROUP_A
                                 "\",\"containerName\":\"app\",\"containerPort\":8080}]";

TEST(a_task_of_its_own_runs_and_ends)
{
    bench_begin();
    (void)bench_register("job", "once");
    const struct ecs_run_task_out *out = bench_call(
        &ecs_op_run_task,
        "{\"cluster\":\"web\",\"taskDefinition\":\"job\",\"launchType\":\"FARGATE\",\"startedBy\":"
        "\"me\",\"overrides\":{\"containerOverrides\":[{\"name\":\"app\",\"command\":[\"migrate\"]}"
        "]},\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":[\"subnet-"
        "05254f8afd73be4e3\"]}}}");
    REQUIRE_EQ(out->tasks.count, 1);
    struct str arn = out->tasks.items[0].task_arn;
    EXPECT_STR(out->tasks.items[0].last_status, "PROVISIONING");
    EXPECT_STR(out->tasks.items[0].group, "family:job");
    const struct ecs_task *t = bench_task(arn);
    EXPECT_STR(t->last_status, "PENDING");
    bench_pass(3);
    t = bench_task(arn);
    EXPECT_STR(t->last_status, "RUNNING");
    EXPECT_STR(t->containers.items[0].last_status, "RUNNING");
    EXPECT(t->started_at.is_set && t->pull_started_at.is_set && t->pull_stopped_at.is_set);
    EXPECT_EQ(t->attachments.items[0].details.count, 5);
    EXPECT_STR(t->attachments.items[0].status, "ATTACHED");
    EXPECT_EQ(t->containers.items[0].network_interfaces.count, 1);
    bench_pass(6);
    t = bench_task(arn);
    EXPECT_STR(t->last_status, "STOPPED");
    EXPECT_STR(t->desired_status, "STOPPED");
    EXPECT_EQ(t->stop_code, ECS_TASK_STOP_CODE_ESSENTIALCONTAINEREXITED);
    EXPECT_STR(t->stopped_reason, "Essential container in task exited");
    EXPECT_EQ(t->containers.items[0].exit_code.value, 0);
    EXPECT(t->stopping_at.is_set && t->execution_stopped_at.is_set && t->stopped_at.is_set);
    REQUIRE_EQ(bench.line_count, 1);
    EXPECT_STR(str_of(bench.lines[0]),
               arena_printf(&bench.op.arena, "/ecs/api ecs/app/%.*s hello from the app",
                            STR_ARG(ecs_last_part(arn)))
                   .ptr);
    bench_pass(3600 + 660);
    const struct ecs_describe_tasks_out *gone = bench_call(
        &ecs_op_describe_tasks, "{\"cluster\":\"web\",\"tasks\":[\"%.*s\"]}", STR_ARG(arn));
    EXPECT_EQ(gone->tasks.count, 0);
    EXPECT_STR(gone->failures.items[0].reason, "MISSING");
    bench_end();
}

TEST(a_service_reaches_its_count_and_scales)
{
    bench_begin();
    const struct ecs_service *s = bench_create(bench_register("api", "app"), 2, "");
    EXPECT_STR(s->status, "ACTIVE");
    EXPECT_EQ(s->deployments.count, 1);
    EXPECT_EQ(s->deployments.items[0].rollout_state, ECS_DEPLOYMENT_ROLLOUT_STATE_IN_PROGRESS);
    bench_pass(3);
    EXPECT_EQ(bench_service()->running_count.value, 2);
    EXPECT_EQ(bench_primary()->rollout_state, ECS_DEPLOYMENT_ROLLOUT_STATE_IN_PROGRESS);
    bench_pass(41);
    EXPECT_EQ(bench_primary()->rollout_state, ECS_DEPLOYMENT_ROLLOUT_STATE_COMPLETED);
    EXPECT(bench_has_event("(service api) has reached a steady state."));
    EXPECT(bench_has_event("(service api) has started 2 tasks: (task "));
    (void)bench_call(&ecs_op_update_service,
                     "{\"cluster\":\"web\",\"service\":\"api\",\"desiredCount\":4}");
    bench_pass(50);
    EXPECT_EQ(bench_service()->running_count.value, 4);
    EXPECT_EQ(bench_service()->deployments.count, 1);
    (void)bench_call(&ecs_op_update_service,
                     "{\"cluster\":\"web\",\"service\":\"api\",\"desiredCount\":1}");
    bench_pass(10);
    EXPECT_EQ(bench_service()->running_count.value, 1);
    EXPECT_EQ(bench_live_count(), 1);
    bench_end();
}

TEST(an_update_replaces_every_task_without_a_gap)
{
    bench_begin();
    struct str first = bench_register("api", "app");
    (void)bench_create(first, 2, with_group);
    bench_pass(5);
    EXPECT_EQ(bench_count_targets(BENCH_GROUP_A, PORT_TARGET_HEALTHY), 2);
    EXPECT_EQ(bench_primary()->rollout_state, ECS_DEPLOYMENT_ROLLOUT_STATE_COMPLETED);
    struct str old_id = bench_primary()->id;
    struct str second = bench_register("api", "app2");
    const struct ecs_update_service_out *out =
        bench_call(&ecs_op_update_service,
                   "{\"cluster\":\"web\",\"service\":\"api\",\"taskDefinition\":"
                   "\"%.*s\"}",
                   STR_ARG(second));
    EXPECT_EQ(out->service->deployments.count, 2);
    EXPECT(!str_equal(out->service->deployments.items[0].id, old_id));
    for (int i = 0; i < 30; i++) {
        bench_pass(1);
        EXPECT(bench_count_targets(BENCH_GROUP_A, PORT_TARGET_HEALTHY) >= 2);
    }
    const struct ecs_service *s = bench_service();
    EXPECT_EQ(s->deployments.count, 1);
    EXPECT_EQ(s->running_count.value, 2);
    EXPECT(str_ends_with(s->task_definition, STR("task-definition/api:2")));
    EXPECT(bench_has_event("deployment completed."));
    EXPECT(bench_has_event("(service api) deregistered 1 targets in (target-group " BENCH_GROUP_A
                           ")"));
    bench_end();
}

TEST(a_task_is_stopped_only_after_its_target_is_unused)
{
    bench_begin();
    bench.do_targets_linger = true;
    (void)bench_create(bench_register("api", "app"), 1, with_group);
    bench_pass(5);
    struct str id = bench_task_id(0);
    (void)bench_call(&ecs_op_update_service,
                     "{\"cluster\":\"web\",\"service\":\"api\",\"desiredCount\":0}");
    bench_pass(60);
    EXPECT_STR(bench_task(id)->last_status, "DEACTIVATING");
    EXPECT_STR(bench_task(id)->containers.items[0].last_status, "RUNNING");
    EXPECT_EQ(bench_count_targets(BENCH_GROUP_A, PORT_TARGET_DRAINING), 1);
    struct runtime_task_sight sight = {0};
    REQUIRE_OK(runtime_see_task(bench.rt, &bench.op, id, &sight), &bench.op);
    EXPECT_EQ(sight.containers[0].state, RUNTIME_CONTAINER_RUNNING);
    bench_end_drain();
    EXPECT_STR(bench_task(id)->last_status, "STOPPING");
    bench_pass(2);
    EXPECT_STR(bench_task(id)->last_status, "STOPPED");
    EXPECT_EQ(bench_task(id)->stop_code, ECS_TASK_STOP_CODE_SERVICESCHEDULERINITIATED);
    bench_end();
}

static const char with_breaker[] =
    ",\"deploymentConfiguration\":{\"deploymentCircuitBreaker\":{\"enable\":true,\"rollback\":true}"
    "}";

TEST(the_circuit_breaker_rolls_back_to_what_worked)
{
    bench_begin();
    (void)bench_create(bench_register("api", "app"), 1, with_breaker);
    bench_pass(45);
    EXPECT_EQ(bench_primary()->rollout_state, ECS_DEPLOYMENT_ROLLOUT_STATE_COMPLETED);
    (void)bench_register("api", "broken");
    (void)bench_call(&ecs_op_update_service,
                     "{\"cluster\":\"web\",\"service\":\"api\",\"taskDefinition\":\"api:2\"}");
    struct str deployment = bench_service()->current_service_deployment;
    bench_pass(120);
    const struct ecs_service *s = bench_service();
    EXPECT_EQ(s->deployments.count, 1);
    EXPECT_EQ(s->running_count.value, 1);
    EXPECT(str_ends_with(s->task_definition, STR("task-definition/api:1")));
    EXPECT_EQ(s->deployments.items[0].rollout_state, ECS_DEPLOYMENT_ROLLOUT_STATE_COMPLETED);
    EXPECT(bench_has_event("deployment failed: tasks failed to start."));
    EXPECT(bench_has_event("(service api) rolling back to deployment ecs-svc/"));
    const struct ecs_describe_service_deployments_out *out =
        bench_call(&ecs_op_describe_service_deployments, "{\"serviceDeploymentArns\":[\"%.*s\"]}",
                   STR_ARG(deployment));
    REQUIRE_EQ(out->service_deployments.count, 1);
    const struct ecs_service_deployment *d = &out->service_deployments.items[0];
    EXPECT_EQ(d->status, ECS_SERVICE_DEPLOYMENT_STATUS_ROLLBACK_SUCCESSFUL);
    EXPECT_STR(d->status_reason, "Service deployment rolled back because the circuit breaker "
                                 "threshold was exceeded.");
    EXPECT_EQ(d->deployment_circuit_breaker->failure_count.value, 3);
    EXPECT_EQ(d->deployment_circuit_breaker->status,
              ECS_SERVICE_DEPLOYMENT_ROLLBACK_MONITORS_STATUS_TRIGGERED);
    EXPECT(d->rollback != NULL && d->finished_at.is_set);
    bench_end();
}

TEST(a_task_that_cannot_be_pulled_says_why)
{
    bench_begin();
    (void)bench_create(bench_register("api", "broken"), 1, "");
    bench_pass(3);
    const struct ecs_list_tasks_out *out =
        bench_call(&ecs_op_list_tasks, "{\"cluster\":\"web\",\"desiredStatus\":\"STOPPED\"}");
    REQUIRE_EQ(out->task_arns.count, 1);
    const struct ecs_task *t = bench_task(out->task_arns.items[0]);
    EXPECT_STR(t->last_status, "STOPPED");
    EXPECT_EQ(t->stop_code, ECS_TASK_STOP_CODE_TASKFAILEDTOSTART);
    EXPECT_STR(t->stopped_reason, "CannotPullContainerError: there is no image broken");
    EXPECT_STR(t->containers.items[0].reason, "CannotPullContainerError: there is no image broken");
    EXPECT(!t->started_at.is_set);
    bench_end();
}

TEST(a_failing_check_of_the_load_balancer_stops_the_task)
{
    bench_begin();
    (void)bench_create(bench_register("api", "app"), 1, with_group);
    bench_pass(5);
    struct str id = bench_task_id(0);
    bench.are_targets_healthy = true;
    bench_set_targets(BENCH_GROUP_A, PORT_TARGET_UNHEALTHY);
    bench_pass(10);
    const struct ecs_task *t = bench_task(id);
    EXPECT_STR(t->last_status, "STOPPED");
    EXPECT_STR(t->stopped_reason,
               "Task failed ELB health checks in (target-group " BENCH_GROUP_A ")");
    EXPECT(bench_has_event("due to (reason Health checks failed with these codes: [404])"));
    EXPECT_EQ(bench_service()->running_count.value, 1);
    bench_end();
}

TEST(an_alarm_rolls_the_deployment_back)
{
    bench_begin();
    (void)bench_create(bench_register("api", "app"), 1,
                       ",\"deploymentConfiguration\":{\"alarms\":{\"alarmNames\":[\"errors\"],"
                       "\"enable\":true,\"rollback\":true}}");
    bench_pass(60);
    EXPECT_EQ(bench_primary()->rollout_state, ECS_DEPLOYMENT_ROLLOUT_STATE_IN_PROGRESS);
    bench_pass(120);
    EXPECT_EQ(bench_primary()->rollout_state, ECS_DEPLOYMENT_ROLLOUT_STATE_COMPLETED);
    (void)bench_register("api", "app2");
    (void)bench_call(&ecs_op_update_service,
                     "{\"cluster\":\"web\",\"service\":\"api\",\"taskDefinition\":\"api:2\"}");
    bench_pass(70);
    bench.is_alarm_raised = true;
    ecs_alarm_changed(bench.ecs, STR("eu-west-1"), STR("errors"));
    bench_settle();
    EXPECT(bench_has_event("deployment failed: alarm detected."));
    EXPECT(str_ends_with(bench_service()->task_definition, STR("task-definition/api:1")));
    bench_pass(60);
    EXPECT_EQ(bench_service()->running_count.value, 1);
    bench_end();
}

TEST(a_stopped_service_deployment_goes_back)
{
    bench_begin();
    (void)bench_create(bench_register("api", "app"), 1, "");
    bench_pass(45);
    (void)bench_register("api", "app2");
    (void)bench_call(&ecs_op_update_service,
                     "{\"cluster\":\"web\",\"service\":\"api\",\"taskDefinition\":\"api:2\"}");
    bench_pass(5);
    struct str arn = bench_service()->current_service_deployment;
    (void)bench_call(&ecs_op_stop_service_deployment, "{\"serviceDeploymentArn\":\"%.*s\"}",
                     STR_ARG(arn));
    bench_pass(60);
    EXPECT(str_ends_with(bench_service()->task_definition, STR("task-definition/api:1")));
    EXPECT_EQ(bench_service()->deployments.count, 1);
    const struct ecs_list_service_deployments_out *out =
        bench_call(&ecs_op_list_service_deployments, "{\"cluster\":\"web\",\"service\":\"api\"}");
    REQUIRE_EQ(out->service_deployments.count, 2);
    EXPECT_EQ(out->service_deployments.items[0].status,
              ECS_SERVICE_DEPLOYMENT_STATUS_ROLLBACK_SUCCESSFUL);
    EXPECT_EQ(out->service_deployments.items[1].status, ECS_SERVICE_DEPLOYMENT_STATUS_SUCCESSFUL);
    bench_refuse(&ecs_op_stop_service_deployment, "ConflictException", NULL,
                 "{\"serviceDeploymentArn\":\"%.*s\"}", STR_ARG(arn));
    bench_end();
}

TEST(stop_task_is_replaced_and_no_failure)
{
    bench_begin();
    (void)bench_create(bench_register("api", "app"), 1, with_breaker);
    bench_pass(45);
    struct str id = bench_task_id(0);
    const struct ecs_stop_task_out *out =
        bench_call(&ecs_op_stop_task,
                   "{\"cluster\":\"web\",\"task\":\"%.*s\",\"reason\":\"because\"}", STR_ARG(id));
    EXPECT_STR(out->task->desired_status, "STOPPED");
    bench_pass(50);
    EXPECT_STR(bench_task(id)->stopped_reason, "because");
    EXPECT_EQ(bench_task(id)->stop_code, ECS_TASK_STOP_CODE_USERINITIATED);
    EXPECT_EQ(bench_service()->running_count.value, 1);
    EXPECT_EQ(bench_primary()->failed_tasks.value, 0);
    bench_end();
}

TEST(a_secret_that_cannot_be_read_stops_the_task_and_is_never_shown)
{
    bench_begin();
    (void)bench_call(&ecs_op_register_task_definition,
                     "{\"family\":\"s\",\"containerDefinitions\":[{\"name\":\"app\",\"image\":"
                     "\"app\",\"memory\":64,\"secrets\":[{\"name\":\"TOKEN\",\"valueFrom\":"
                     "\"missing\"}]}]}");
    const struct ecs_run_task_out *out =
        bench_call(&ecs_op_run_task, "{\"cluster\":\"web\",\"taskDefinition\":\"s\"}");
    bench_pass(2);
    const struct ecs_task *t = bench_task(out->tasks.items[0].task_arn);
    EXPECT_STR(t->last_status, "STOPPED");
    EXPECT_EQ(t->stop_code, ECS_TASK_STOP_CODE_TASKFAILEDTOSTART);
    EXPECT(str_starts_with(t->stopped_reason,
                           STR("ResourceInitializationError: unable to pull secrets or registry "
                               "auth: ")));
    EXPECT(str_find(t->stopped_reason, STR("\"missing\""), 0) != STR_NOT_FOUND);
    bench_end();
}

TEST(a_missing_log_group_stops_the_task)
{
    bench_begin();
    bench.has_log_group = false;
    (void)bench_create(bench_register("api", "app"), 1, "");
    bench_pass(1);
    const struct ecs_list_tasks_out *out =
        bench_call(&ecs_op_list_tasks, "{\"cluster\":\"web\",\"desiredStatus\":\"STOPPED\"}");
    REQUIRE(out->task_arns.count > 0);
    EXPECT(str_find(bench_task(out->task_arns.items[0])->stopped_reason,
                    STR("The specified log group does not exist."), 0) != STR_NOT_FOUND);
    bench_end();
}

TEST(a_deleted_service_drains_and_becomes_inactive)
{
    bench_begin();
    (void)bench_create(bench_register("api", "app"), 2, with_group);
    bench_pass(5);
    bench_refuse(&ecs_op_delete_service, "InvalidParameterException",
                 "The service cannot be stopped while it is scaled above 0.",
                 "{\"cluster\":\"web\",\"service\":\"api\"}");
    bench_refuse(&ecs_op_delete_cluster, "ClusterContainsServicesException",
                 "The Cluster cannot be deleted while Services are active.",
                 "{\"cluster\":\"web\"}");
    (void)bench_call(&ecs_op_delete_service,
                     "{\"cluster\":\"web\",\"service\":\"api\",\"force\":true}");
    EXPECT_STR(bench_service()->status, "DRAINING");
    bench_pass(5);
    EXPECT_STR(bench_service()->status, "INACTIVE");
    EXPECT_EQ(bench_service()->deployments.count, 0);
    const struct ecs_delete_cluster_out *out =
        bench_call(&ecs_op_delete_cluster, "{\"cluster\":\"web\"}");
    EXPECT_STR(out->cluster->status, "INACTIVE");
    bench_end();
}

TEST(a_crash_at_any_second_of_an_update_changes_nothing)
{
    for (int crash_at = 0; crash_at < 12; crash_at++) {
        bench_begin();
        (void)bench_create(bench_register("api", "app"), 2, with_group);
        bench_pass(5);
        (void)bench_register("api", "app2");
        (void)bench_call(&ecs_op_update_service,
                         "{\"cluster\":\"web\",\"service\":\"api\",\"taskDefinition\":\"api:2\"}");
        for (int i = 0; i < 30; i++) {
            bench_pass(1);
            if (i == crash_at) {
                bench_crash();
            }
            EXPECT(bench_count_targets(BENCH_GROUP_A, PORT_TARGET_HEALTHY) >= 2);
        }
        EXPECT_EQ(bench_service()->deployments.count, 1);
        EXPECT_EQ(bench_service()->running_count.value, 2);
        EXPECT_EQ(runtime_fake_start_count(bench.rt), 4);
        EXPECT_EQ(bench_primary()->rollout_state, ECS_DEPLOYMENT_ROLLOUT_STATE_COMPLETED);
        bench_end();
    }
}

TEST(what_ended_while_we_were_away_is_seen_at_the_start)
{
    bench_begin();
    (void)bench_create(bench_register("api", "app"), 1, "");
    bench_pass(45);
    struct str id = bench_task_id(0);
    bench_crash_begin();
    REQUIRE(runtime_fake_exit(bench.rt, id, STR("app"), 137,
                              STR("OutOfMemoryError: Container killed due to memory usage")));
    bench_settle();
    bench_crash_end();
    bench_pass(60);
    const struct ecs_task *t = bench_task(id);
    EXPECT_STR(t->last_status, "STOPPED");
    EXPECT_EQ(t->containers.items[0].exit_code.value, 137);
    EXPECT_STR(t->containers.items[0].reason,
               "OutOfMemoryError: Container killed due to memory usage");
    EXPECT_EQ(bench_service()->running_count.value, 1);
    bench_end();
}

TEST(a_runtime_that_fails_for_a_while_delays_the_service_only)
{
    bench_begin();
    runtime_fake_fail_next(bench.rt, 3);
    (void)bench_create(bench_register("api", "app"), 1, "");
    bench_pass(20);
    EXPECT_EQ(bench_service()->running_count.value, 0);
    bench_pass(60);
    EXPECT_EQ(bench_service()->running_count.value, 1);
    EXPECT_EQ(bench_service()->deployments.count, 1);
    bench_end();
}
