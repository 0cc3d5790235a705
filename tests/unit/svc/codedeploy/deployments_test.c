#include "fakes.h"

#include "test.h"

#include "base/check.h"

#include <stdio.h>

static void begin(struct fake *f, void (*change)(struct codedeploy_create_deployment_group_in *in))
{
    fake_open(f, fake_state_new(), NULL);
    fake_make_group(f, change);
}

static const char *status_name(enum codedeploy_deployment_status status)
{
    return shape_enum_name(&shape_codedeploy_deployment_status, (int)status);
}

static void expect_status(struct fake *f, struct str id, const char *want)
{
    EXPECT_STR(str_of(status_name(fake_get(f, id)->status)), want);
}

static const char *const event_names[] = {"BeforeInstall",         "Install",
                                          "AfterInstall",          "AllowTestTraffic",
                                          "AfterAllowTestTraffic", "BeforeAllowTraffic",
                                          "AllowTraffic",          "AfterAllowTraffic"};

/* statuses: one letter an event: P I S F K(skipped) */
static void expect_events(struct fake *f, struct str id, const char *statuses)
{
    static const char letters[] = "?PISFKU";
    const struct codedeploy_ecs_target *t = fake_target(f, id);
    char got[16] = {0};
    REQUIRE_EQ(t->lifecycle_events.count, 8);
    for (size_t i = 0; i < 8; i++) {
        EXPECT_STR(t->lifecycle_events.items[i].lifecycle_event_name, event_names[i]);
        got[i] = letters[t->lifecycle_events.items[i].status];
    }
    EXPECT_STR(str_of(got), statuses);
}

TEST(a_canary_goes_its_way_and_shows_it)
{
    struct fake f;
    begin(&f, NULL);
    struct str id = fake_deploy(&f, NULL, FAKE_APPSPEC);
    EXPECT_EQ(id.len, 11);
    EXPECT(str_starts_with(id, STR("d-")));
    expect_status(&f, id, "Created");
    fake_settle(&f);
    expect_status(&f, id, "InProgress");
    expect_events(&f, id, "SIPPPPPP");
    EXPECT_EQ(f.told[CODEDEPLOY_STARTED], 1);
    EXPECT_EQ(f.state->production[0], 100);

    fake_tasks_live(&f);
    expect_events(&f, id, "SSSSSSIP");
    EXPECT_EQ(f.state->production[0], 90);
    EXPECT_EQ(f.state->production[1], 10);
    EXPECT_EQ(f.state->test[1], 100);
    EXPECT_EQ(f.state->primary, 0);
    const struct codedeploy_ecs_target *t = fake_target(&f, id);
    EXPECT_STR(t->target_id, "main:web");
    EXPECT_STR(t->target_arn, "arn:aws:ecs:eu-west-1:123456789012:service/main/web");
    REQUIRE_EQ(t->task_sets_info.count, 2);
    const struct codedeploy_ecs_task_set *blue = &t->task_sets_info.items[0];
    const struct codedeploy_ecs_task_set *green = &t->task_sets_info.items[1];
    EXPECT_EQ(blue->task_set_label, CODEDEPLOY_TARGET_LABEL_BLUE);
    EXPECT_STR(blue->identifer, "ecs-svc/0000000000000000001");
    EXPECT_STR(blue->status, "PRIMARY");
    EXPECT_EQ((int)OPT_OR(blue->traffic_weight, 0), 90);
    EXPECT_STR(green->target_group->name, "two");
    EXPECT_STR(green->status, "ACTIVE");
    EXPECT_EQ((int)OPT_OR(green->traffic_weight, 0), 10);
    EXPECT_EQ(OPT_OR(green->running_count, 0), 2);
    EXPECT(fake_get(&f, id)->deployment_overview == NULL);

    fake_advance(&f, DUR_MS(299000));
    EXPECT_EQ(f.state->production[1], 10);
    fake_advance(&f, DUR_MS(1000));
    EXPECT_EQ(f.state->production[0], 0);
    EXPECT_EQ(f.state->production[1], 100);
    EXPECT_EQ(f.state->primary, 1);
    expect_events(&f, id, "SSSSSSSS");
    expect_status(&f, id, "InProgress");
    EXPECT(OPT_OR(fake_get(&f, id)->instance_termination_wait_time_started, false));

    fake_advance(&f, DUR_MIN(5));
    EXPECT(f.state->sets[0].is_leaving);
    expect_status(&f, id, "InProgress");
    fake_tasks_live(&f);
    expect_status(&f, id, "Succeeded");
    const struct codedeploy_deployment_info *info = fake_get(&f, id);
    REQUIRE(info->deployment_overview != NULL);
    EXPECT_EQ(OPT_OR(info->deployment_overview->succeeded, 0), 1);
    EXPECT(info->complete_time.is_set);
    EXPECT(info->error_information == NULL);
    EXPECT_STR(info->description, "release 2");
    EXPECT_EQ(info->creator, CODEDEPLOY_DEPLOYMENT_CREATOR_USER);
    EXPECT_EQ(f.told[CODEDEPLOY_SUCCEEDED], 1);
    EXPECT_EQ(f.state->create_calls, 1);

    /* the group remembers, and the next deployment finds the sides changed */
    struct codedeploy_get_deployment_group_in in = {.application_name = STR("shop"),
                                                    .deployment_group_name = STR("web")};
    struct codedeploy_get_deployment_group_out out = {0};
    REQUIRE_OK(codedeploy_handlers.get_deployment_group(&f.op, f.cd, &in, &out), &f.op);
    EXPECT_STR_EQ(out.deployment_group_info->last_successful_deployment->deployment_id, id);
    EXPECT_STR_EQ(out.deployment_group_info->last_attempted_deployment->deployment_id, id);
    EXPECT(out.deployment_group_info->target_revision != NULL);
    (void)fake_deploy(&f, "CodeDeployDefault.ECSAllAtOnce", FAKE_APPSPEC);
    fake_settle(&f);
    fake_tasks_live(&f);
    EXPECT_EQ(f.state->production[0], 100);
    EXPECT_EQ(f.state->production[1], 0);
    fake_close(&f);
}

TEST(an_alarm_takes_the_traffic_back_in_the_same_turn_and_leaves_aws_records)
{
    struct fake f;
    begin(&f, NULL);
    struct str x = fake_deploy(&f, NULL, FAKE_APPSPEC);
    fake_settle(&f);
    fake_tasks_live(&f);
    EXPECT_EQ(f.state->production[1], 10);

    f.state->is_alarm = true;
    codedeploy_alarm_changed(f.cd, STR("eu-west-1"), STR("api-5xx"));
    (void)ev_loop_turn(&f.loop, DUR_MS(0));
    EXPECT_EQ(f.state->production[0], 100);
    EXPECT_EQ(f.state->production[1], 0);
    EXPECT_EQ(f.state->test[0], 100);
    fake_settle(&f);

    const struct codedeploy_deployment_info *info = fake_get(&f, x);
    EXPECT_STR(str_of(status_name(info->status)), "Stopped");
    REQUIRE(info->error_information != NULL);
    EXPECT_EQ(info->error_information->code, CODEDEPLOY_ERROR_CODE_ALARM_ACTIVE);
    EXPECT_STR(info->error_information->message,
               "One or more alarms have been activated according to the Amazon CloudWatch metrics "
               "you selected, and the affected deployments have been stopped. Activated alarms: "
               "<api-5xx>");
    expect_events(&f, x, "SSSSSSFK");
    struct str y = info->rollback_info->rollback_deployment_id;
    REQUIRE(str_is_set(y));
    EXPECT_STR_EQ(info->rollback_info->rollback_message,
                  arena_printf(&f.op.arena,
                               "Deployment %.*s terminated. Automatic rollback is triggered with a "
                               "DeploymentId %.*s.",
                               STR_ARG(x), STR_ARG(y)));
    const struct codedeploy_deployment_info *back = fake_get(&f, y);
    EXPECT_EQ(back->creator, CODEDEPLOY_DEPLOYMENT_CREATOR_CODEDEPLOYROLLBACK);
    EXPECT_STR(back->deployment_config_name, "CodeDeployDefault.ECSAllAtOnce");
    EXPECT_STR_EQ(back->rollback_info->rollback_triggering_deployment_id, x);
    EXPECT_STR_EQ(back->rollback_info->rollback_message,
                  arena_printf(&f.op.arena,
                               "Deployment %.*s is triggered to roll back deployment %.*s.",
                               STR_ARG(y), STR_ARG(x)));
    REQUIRE(back->revision != NULL);
    EXPECT(str_find(back->revision->app_spec_content->content, STR("task-definition/web:1"), 0) !=
           STR_NOT_FOUND);
    fake_tasks_live(&f); /* green is drained, although the alarm still stands */
    expect_status(&f, y, "Succeeded");
    EXPECT_EQ(f.state->create_calls, 1);
    EXPECT(!f.state->sets[1].exists);
    EXPECT_EQ(f.state->primary, 0);
    EXPECT_EQ(f.told[CODEDEPLOY_STOPPED], 1);
    EXPECT_EQ(f.told[CODEDEPLOY_ROLLED_BACK], 1);
    fake_close(&f);
}

TEST(an_alarm_that_stands_at_the_start_stops_the_deployment_in_install)
{
    struct fake f;
    begin(&f, NULL);
    f.state->is_alarm = true;
    struct str id = fake_deploy(&f, NULL, FAKE_APPSPEC);
    fake_settle(&f);
    expect_status(&f, id, "Stopped");
    expect_events(&f, id, "SFKKKKKK");
    EXPECT_EQ(f.state->create_calls, 0);
    EXPECT_EQ(f.state->weight_calls, 0);
    fake_close(&f);
}

static void ignore_poll_failures(struct codedeploy_create_deployment_group_in *in)
{
    static struct codedeploy_alarm_configuration alarms;
    alarms = *in->alarm_configuration;
    alarms.ignore_poll_alarm_failure = OPT_BOOL(true);
    in->alarm_configuration = &alarms;
}

TEST(an_alarm_that_is_not_there_fails_the_deployment_unless_told_to_ignore_it)
{
    for (int ignores = 0; ignores < 2; ignores++) {
        struct fake f;
        begin(&f, ignores == 1 ? ignore_poll_failures : NULL);
        f.state->has_alarm = false;
        struct str id = fake_deploy(&f, NULL, FAKE_APPSPEC);
        fake_settle(&f);
        expect_status(&f, id, ignores == 1 ? "InProgress" : "Failed");
        fake_close(&f);
    }
}

TEST(a_second_deployment_of_a_group_is_refused_while_the_first_runs)
{
    struct fake f;
    begin(&f, NULL);
    struct str first = fake_deploy(&f, NULL, FAKE_APPSPEC);
    fake_settle(&f);
    struct str second = STR_NONE;
    EXPECT_EQ(fake_try_deploy(&f, NULL, FAKE_APPSPEC, &second), ERR_INPUT);
    REQUIRE(f.op.note.public_error != NULL);
    EXPECT_STR(str_of(f.op.note.public_error->code), "DeploymentLimitExceededException");
    EXPECT_STR_EQ(str_of(f.op.note.text),
                  arena_printf(&f.op.arena,
                               "The Deployment Group 'web' already has an active Deployment '%.*s'",
                               STR_ARG(first)));
    fake_close(&f);
}

TEST(tasks_that_keep_stopping_fail_the_deployment_at_once)
{
    struct fake f;
    begin(&f, NULL);
    struct str id = fake_deploy(&f, NULL, FAKE_APPSPEC);
    fake_settle(&f);
    f.state->sets[1].failed = 3;
    codedeploy_task_set_changed(f.cd, STR("eu-west-1"), STR("service"));
    fake_settle(&f);
    const struct codedeploy_deployment_info *info = fake_get(&f, id);
    EXPECT_STR(str_of(status_name(info->status)), "Failed");
    EXPECT_EQ(info->error_information->code, CODEDEPLOY_ERROR_CODE_CUSTOMER_APPLICATION_UNHEALTHY);
    EXPECT_STR(info->error_information->message,
               "3 tasks of the replacement task set stopped before they were healthy. The last "
               "one: exit code 1: panic");
    expect_events(&f, id, "SFKKKKKK");
    EXPECT_EQ(f.state->production[0], 100);
    fake_tasks_live(&f);
    expect_status(&f, info->rollback_info->rollback_deployment_id, "Succeeded");
    EXPECT(!f.state->sets[1].exists);
    fake_close(&f);
}

TEST(what_ecs_refuses_for_good_fails_the_deployment_with_its_words)
{
    struct fake f;
    begin(&f, NULL);
    f.state->refuses_create = true;
    struct str id = fake_deploy(&f, NULL, FAKE_APPSPEC);
    fake_settle(&f);
    const struct codedeploy_deployment_info *info = fake_get(&f, id);
    EXPECT_STR(str_of(status_name(info->status)), "Failed");
    EXPECT_EQ(info->error_information->code, CODEDEPLOY_ERROR_CODE_ECS_UPDATE_ERROR);
    EXPECT_STR(info->error_information->message, "TaskDefinition not found.");
    EXPECT(!str_is_set(info->rollback_info->rollback_deployment_id)); /* nothing to take back */
    fake_close(&f);
}

TEST(a_service_that_disappears_fails_the_deployment)
{
    struct fake f;
    begin(&f, NULL);
    struct str id = fake_deploy(&f, NULL, FAKE_APPSPEC);
    fake_settle(&f);
    f.state->has_service = false;
    codedeploy_task_set_changed(f.cd, STR("eu-west-1"), STR("service"));
    fake_settle(&f);
    const struct codedeploy_deployment_info *info = fake_get(&f, id);
    EXPECT_STR(str_of(status_name(info->status)), "Failed");
    EXPECT_EQ(info->error_information->code, CODEDEPLOY_ERROR_CODE_INVALID_ECS_SERVICE);
    fake_close(&f);
}

static enum err stop(struct fake *f, struct str id, struct opt_bool rolls_back)
{
    struct codedeploy_stop_deployment_in in = {.deployment_id = id,
                                               .auto_rollback_enabled = rolls_back};
    struct codedeploy_stop_deployment_out out = {0};
    enum err e = codedeploy_handlers.stop_deployment(&f->op, f->cd, &in, &out);
    if (e == ERR_OK) {
        EXPECT_EQ(out.status, CODEDEPLOY_STOP_STATUS_PENDING);
    }
    return e;
}

TEST(a_stop_restores_and_rolls_back_only_when_told_to)
{
    for (int rolls_back = 0; rolls_back < 2; rolls_back++) {
        struct fake f;
        begin(&f, NULL);
        struct str id = fake_deploy(&f, NULL, FAKE_APPSPEC);
        fake_settle(&f);
        fake_tasks_live(&f);
        EXPECT_EQ(f.state->production[1], 10);
        REQUIRE_OK(stop(&f, id, OPT_BOOL(rolls_back == 1)), &f.op);
        fake_settle(&f);
        EXPECT_EQ(f.state->production[0], 100);
        EXPECT(f.state->sets[1].is_leaving);
        fake_tasks_live(&f);
        EXPECT(!f.state->sets[1].exists);
        const struct codedeploy_deployment_info *info = fake_get(&f, id);
        EXPECT_STR(str_of(status_name(info->status)), "Stopped");
        EXPECT_EQ(info->error_information->code, CODEDEPLOY_ERROR_CODE_MANUAL_STOP);
        EXPECT_EQ(str_is_set(info->rollback_info->rollback_deployment_id), rolls_back == 1);
        EXPECT_EQ(stop(&f, id, (struct opt_bool){0}), ERR_INPUT);
        EXPECT_STR(str_of(f.op.note.public_error->code), "DeploymentAlreadyCompletedException");
        fake_close(&f);
    }
}

TEST(an_unacknowledged_weight_holds_everything_that_follows)
{
    struct fake f;
    begin(&f, NULL);
    f.state->publishes = false;
    struct str id = fake_deploy(&f, "CodeDeployDefault.ECSAllAtOnce", FAKE_APPSPEC);
    fake_settle(&f);
    fake_tasks_live(&f); /* the test route waits for its acknowledgement */
    expect_events(&f, id, "SSSIPPPP");
    f.state->is_published = true;
    codedeploy_weights_published(f.cd);
    fake_settle(&f);
    expect_events(&f, id, "SSSSSSIP");
    EXPECT_EQ(f.state->production[1], 100);
    EXPECT_EQ(f.state->primary, 0);
    f.state->is_published = true;
    codedeploy_weights_published(f.cd);
    fake_settle(&f);
    expect_events(&f, id, "SSSSSSSS");
    EXPECT_EQ(f.state->primary, 1);
    fake_close(&f);
}

static void wait_ready(struct codedeploy_create_deployment_group_in *in)
{
    static struct codedeploy_deployment_ready_option ready;
    static struct codedeploy_blue_green_deployment_configuration b;
    ready = (struct codedeploy_deployment_ready_option){
        .action_on_timeout = CODEDEPLOY_DEPLOYMENT_READY_ACTION_STOP_DEPLOYMENT,
        .wait_time_in_minutes = OPT_I32(30)};
    b = *in->blue_green_deployment_configuration;
    b.deployment_ready_option = &ready;
    in->blue_green_deployment_configuration = &b;
}

static enum err go_on(struct fake *f, struct str id, enum codedeploy_deployment_wait_type type)
{
    struct codedeploy_continue_deployment_in in = {.deployment_id = id,
                                                   .deployment_wait_type = type};
    struct codedeploy_continue_deployment_out out = {0};
    return codedeploy_handlers.continue_deployment(&f->op, f->cd, &in, &out);
}

TEST(a_ready_deployment_waits_to_be_continued)
{
    struct fake f;
    begin(&f, wait_ready);
    struct str id = fake_deploy(&f, "CodeDeployDefault.ECSAllAtOnce", FAKE_APPSPEC);
    fake_settle(&f);
    EXPECT_EQ(go_on(&f, id, CODEDEPLOY_DEPLOYMENT_WAIT_TYPE_READY_WAIT), ERR_INPUT);
    EXPECT_STR(str_of(f.op.note.public_error->code), "DeploymentIsNotInReadyStateException");
    op_note_clear(&f.op);
    fake_tasks_live(&f);
    expect_status(&f, id, "Ready");
    EXPECT_EQ(f.told[CODEDEPLOY_READY], 1);
    EXPECT_EQ(f.state->production[0], 100);
    EXPECT_EQ(f.state->test[1], 100);
    REQUIRE_OK(go_on(&f, id, CODEDEPLOY_DEPLOYMENT_WAIT_TYPE_READY_WAIT), &f.op);
    fake_settle(&f);
    EXPECT_EQ(f.state->production[1], 100);
    REQUIRE_OK(go_on(&f, id, CODEDEPLOY_DEPLOYMENT_WAIT_TYPE_TERMINATION_WAIT), &f.op);
    fake_settle(&f);
    EXPECT(f.state->sets[0].is_leaving);
    fake_tasks_live(&f);
    expect_status(&f, id, "Succeeded");
    fake_close(&f);
}

TEST(a_ready_deployment_that_nobody_continues_is_stopped)
{
    struct fake f;
    begin(&f, wait_ready);
    struct str id = fake_deploy(&f, NULL, FAKE_APPSPEC);
    fake_settle(&f);
    fake_tasks_live(&f);
    fake_advance(&f, DUR_MIN(30));
    fake_tasks_live(&f);
    expect_status(&f, id, "Stopped");
    EXPECT_EQ(f.state->production[0], 100);
    EXPECT_EQ(f.state->test[0], 100);
    fake_close(&f);
}

#define HOOKED(function)                                                                \
    STR("version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n" \
        "      Properties:\n        TaskDefinition: web:2\n"                            \
        "        LoadBalancerInfo: {ContainerName: app, ContainerPort: 80}\n"           \
        "Hooks:\n  - AfterAllowTestTraffic: " function "\n")

/* The execution id out of what the function was given. */
static struct str execution_id(struct fake *f)
{
    struct str head;
    struct str tail;
    struct str payload = str_of(f->state->hook_payload);
    REQUIRE(str_cut(payload, ',', &head, &tail));
    return str_slice(tail, sizeof("\"LifecycleEventHookExecutionId\":\"") - 1, tail.len - 2);
}

static enum err answer(struct fake *f, struct str id, struct str execution,
                       enum codedeploy_lifecycle_event_status status)
{
    struct codedeploy_put_lifecycle_event_hook_execution_status_in in = {
        .deployment_id = id, .lifecycle_event_hook_execution_id = execution, .status = status};
    struct codedeploy_put_lifecycle_event_hook_execution_status_out out = {0};
    return codedeploy_handlers.put_lifecycle_event_hook_execution_status(&f->op, f->cd, &in, &out);
}

TEST(a_hook_is_called_once_and_its_answer_decides)
{
    for (int is_good = 0; is_good < 2; is_good++) {
        struct fake f;
        begin(&f, NULL);
        struct str id = fake_deploy(&f, NULL, HOOKED("validate"));
        fake_settle(&f);
        fake_tasks_live(&f);
        expect_events(&f, id, "SSSSIPPP");
        EXPECT_EQ(f.state->hook_calls, 1);
        EXPECT_STR(str_of(f.state->hook_function), "validate");
        EXPECT_EQ(answer(&f, id, STR("wrong"), CODEDEPLOY_LIFECYCLE_EVENT_STATUS_SUCCEEDED),
                  ERR_INPUT);
        EXPECT_STR(str_of(f.op.note.public_error->code),
                   "InvalidLifecycleEventHookExecutionIdException");
        op_note_clear(&f.op);
        EXPECT_EQ(answer(&f, id, execution_id(&f), CODEDEPLOY_LIFECYCLE_EVENT_STATUS_PENDING),
                  ERR_INPUT);
        EXPECT_STR(str_of(f.op.note.public_error->code),
                   "InvalidLifecycleEventHookExecutionStatusException");
        op_note_clear(&f.op);
        REQUIRE_OK(answer(&f, id, execution_id(&f),
                          is_good == 1 ? CODEDEPLOY_LIFECYCLE_EVENT_STATUS_SUCCEEDED
                                       : CODEDEPLOY_LIFECYCLE_EVENT_STATUS_FAILED),
                   &f.op);
        EXPECT_EQ(answer(&f, id, execution_id(&f), CODEDEPLOY_LIFECYCLE_EVENT_STATUS_SUCCEEDED),
                  ERR_INPUT);
        EXPECT_STR(str_of(f.op.note.public_error->code), "LifecycleEventAlreadyCompletedException");
        op_note_clear(&f.op);
        fake_settle(&f);
        EXPECT_EQ(f.state->hook_calls, 1);
        expect_events(&f, id, is_good == 1 ? "SSSSSSIP" : "SSSSFKKK");
        if (is_good == 0) {
            const struct codedeploy_deployment_info *info = fake_get(&f, id);
            EXPECT_STR(str_of(status_name(info->status)), "Failed");
            EXPECT_EQ(info->error_information->code, CODEDEPLOY_ERROR_CODE_HOOK_EXECUTION_FAILURE);
            EXPECT_EQ(f.state->test[0], 100);
        }
        fake_close(&f);
    }
}

TEST(a_hook_without_a_function_or_an_answer_fails_the_deployment)
{
    struct fake f;
    begin(&f, NULL);
    struct str id = fake_deploy(&f, NULL, HOOKED("missing"));
    fake_settle(&f);
    fake_tasks_live(&f);
    expect_status(&f, id, "Failed");
    fake_tasks_live(&f);
    id = fake_deploy(&f, NULL, HOOKED("silent"));
    fake_settle(&f);
    fake_tasks_live(&f);
    fake_advance(&f, DUR_MIN(59));
    expect_status(&f, id, "InProgress");
    fake_advance(&f, DUR_MIN(1));
    expect_status(&f, id, "Failed");
    EXPECT_EQ(fake_get(&f, id)->error_information->code,
              CODEDEPLOY_ERROR_CODE_HOOK_EXECUTION_FAILURE);
    fake_close(&f);
}

TEST(without_a_runner_of_functions_the_event_shows_the_execution_id)
{
    struct fake f;
    struct fake_state *state = fake_state_new();
    state->has_no_hooks = true;
    fake_open(&f, state, NULL);
    fake_make_group(&f, NULL);
    struct str id = fake_deploy(&f, NULL, HOOKED("validate"));
    fake_settle(&f);
    fake_tasks_live(&f);
    const struct codedeploy_diagnostics *g =
        fake_target(&f, id)->lifecycle_events.items[4].diagnostics;
    REQUIRE(g != NULL);
    EXPECT_STR(g->script_name, "validate");
    size_t at = str_find_last_char(g->message, ' ');
    REQUIRE(at != STR_NOT_FOUND);
    REQUIRE_OK(
        answer(&f, id, str_from(g->message, at + 1), CODEDEPLOY_LIFECYCLE_EVENT_STATUS_SUCCEEDED),
        &f.op);
    fake_settle(&f);
    expect_events(&f, id, "SSSSSSIP");
    fake_close(&f);
}

TEST(alarms_of_the_request_stand_in_for_those_of_the_group)
{
    static const struct codedeploy_alarm_configuration none = {.enabled = {false, true}};
    struct fake f;
    begin(&f, NULL);
    f.state->is_alarm = true;
    fake_override_alarms = &none;
    struct str id = fake_deploy(&f, NULL, FAKE_APPSPEC);
    fake_settle(&f);
    fake_tasks_live(&f);
    EXPECT_EQ(f.state->production[1], 10);
    EXPECT(!OPT_OR(fake_get(&f, id)->override_alarm_configuration->enabled, true));
    fake_close(&f);
}

TEST(a_time_scale_shortens_every_wait)
{
    struct fake f;
    clock_set_scale(60);
    begin(&f, NULL);
    struct str id = fake_deploy(&f, NULL, FAKE_APPSPEC);
    fake_settle(&f);
    fake_tasks_live(&f);
    fake_advance(&f, DUR_MS(4999));
    EXPECT_EQ(f.state->production[1], 10);
    fake_advance(&f, DUR_MS(1));
    EXPECT_EQ(f.state->production[1], 100);
    fake_advance(&f, DUR_S(5));
    fake_tasks_live(&f);
    expect_status(&f, id, "Succeeded");
    fake_close(&f);
}

static void linear_of_my_own(struct fake *f)
{
    struct codedeploy_time_based_linear linear = {.linear_percentage = OPT_I32(40),
                                                  .linear_interval = OPT_I32(2)};
    struct codedeploy_traffic_routing_config r = {
        .type = CODEDEPLOY_TRAFFIC_ROUTING_TYPE_TIMEBASEDLINEAR, .time_based_linear = &linear};
    struct codedeploy_create_deployment_config_in in = {.deployment_config_name = STR("mine"),
                                                        .traffic_routing_config = &r,
                                                        .compute_platform =
                                                            CODEDEPLOY_COMPUTE_PLATFORM_ECS};
    struct codedeploy_create_deployment_config_out out = {0};
    REQUIRE_OK(codedeploy_handlers.create_deployment_config(&f->op, f->cd, &in, &out), &f->op);
}

TEST(a_linear_configuration_of_ones_own_takes_its_steps)
{
    static const int32_t shares[] = {40, 80, 100};
    struct fake f;
    begin(&f, NULL);
    linear_of_my_own(&f);
    (void)fake_deploy(&f, "mine", FAKE_APPSPEC);
    fake_settle(&f);
    fake_tasks_live(&f);
    for (size_t i = 0; i < ARRAY_COUNT(shares); i++) {
        EXPECT_EQ(f.state->production[1], shares[i]);
        fake_advance(&f, DUR_MIN(2));
    }
    fake_close(&f);
}

TEST(a_deployment_goes_on_in_the_middle_after_a_restart)
{
    struct fake f;
    struct fake_state *state = fake_state_new();
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/state.db", test_folder());
    fake_open(&f, state, path);
    fake_make_group(&f, NULL);
    struct str id = fake_deploy(&f, NULL, FAKE_APPSPEC);
    char id_text[16];
    REQUIRE(str_to_c(id, id_text, sizeof(id_text)));
    fake_settle(&f);
    fake_tasks_live(&f);
    EXPECT_EQ(state->production[1], 10);
    fake_advance(&f, DUR_MIN(4));
    fake_close(&f);

    fake_open(&f, state, path);
    fake_settle(&f);
    EXPECT_EQ(state->production[1], 10);
    fake_advance(&f, DUR_S(59));
    EXPECT_EQ(state->production[1], 10);
    fake_advance(&f, DUR_S(1)); /* the wait began before the restart */
    EXPECT_EQ(state->production[1], 100);
    fake_advance(&f, DUR_MIN(5));
    fake_tasks_live(&f);
    expect_status(&f, str_of(id_text), "Succeeded");
    fake_close(&f);
}

TEST(lists_and_batches_give_what_is_there)
{
    struct fake f;
    begin(&f, NULL);
    struct str ids[3];
    for (size_t i = 0; i < 3; i++) {
        fake_advance(&f, DUR_S(1));
        ids[i] = fake_deploy(&f, "CodeDeployDefault.ECSAllAtOnce", FAKE_APPSPEC);
        fake_settle(&f);
        REQUIRE_OK(stop(&f, ids[i], (struct opt_bool){0}), &f.op);
        fake_settle(&f);
        fake_tasks_live(&f);
    }
    struct codedeploy_list_deployments_in in = {.application_name = STR("shop"),
                                                .deployment_group_name = STR("web")};
    struct codedeploy_list_deployments_out out = {0};
    REQUIRE_OK(codedeploy_handlers.list_deployments(&f.op, f.cd, &in, &out), &f.op);
    REQUIRE_EQ(out.deployments.count, 3);
    EXPECT_STR_EQ(out.deployments.items[0], ids[2]);
    EXPECT_STR_EQ(out.deployments.items[2], ids[0]);
    enum codedeploy_deployment_status succeeded = CODEDEPLOY_DEPLOYMENT_STATUS_SUCCEEDED;
    in.include_only_statuses = (struct codedeploy_deployment_status_list){&succeeded, 1, true};
    out = (struct codedeploy_list_deployments_out){0};
    REQUIRE_OK(codedeploy_handlers.list_deployments(&f.op, f.cd, &in, &out), &f.op);
    EXPECT_EQ(out.deployments.count, 0);

    struct codedeploy_batch_get_deployments_in batch = {.deployment_ids = {ids, 3, true}};
    struct codedeploy_batch_get_deployments_out batch_out = {0};
    REQUIRE_OK(codedeploy_handlers.batch_get_deployments(&f.op, f.cd, &batch, &batch_out), &f.op);
    REQUIRE_EQ(batch_out.deployments_info.count, 3);
    EXPECT_STR(str_of(status_name(batch_out.deployments_info.items[0].status)), "Stopped");

    struct codedeploy_list_deployment_targets_in targets = {.deployment_id = ids[0]};
    struct codedeploy_list_deployment_targets_out targets_out = {0};
    REQUIRE_OK(codedeploy_handlers.list_deployment_targets(&f.op, f.cd, &targets, &targets_out),
               &f.op);
    REQUIRE_EQ(targets_out.target_ids.count, 1);
    EXPECT_STR(targets_out.target_ids.items[0], "main:web");

    struct codedeploy_list_application_revisions_in revisions = {.application_name = STR("shop")};
    struct codedeploy_list_application_revisions_out revisions_out = {0};
    REQUIRE_OK(
        codedeploy_handlers.list_application_revisions(&f.op, f.cd, &revisions, &revisions_out),
        &f.op);
    EXPECT_EQ(revisions_out.revisions.count, 1);
    fake_close(&f);
}

TEST(a_deployment_that_is_not_there_is_told_by_name)
{
    static const struct {
        const char *id;
        const char *code;
    } rows[] = {{"", "DeploymentIdRequiredException"},
                {"d-123", "InvalidDeploymentIdException"},
                {"x-ABCDEFGHI", "InvalidDeploymentIdException"},
                {"d-ABCDEFGHI", "DeploymentDoesNotExistException"}};
    struct fake f;
    begin(&f, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct codedeploy_get_deployment_in in = {.deployment_id = str_of(rows[i].id)};
        struct codedeploy_get_deployment_out out = {0};
        EXPECT_EQ(codedeploy_handlers.get_deployment(&f.op, f.cd, &in, &out), ERR_INPUT);
        EXPECT_STR(str_of(f.op.note.public_error->code), rows[i].code);
        op_note_clear(&f.op);
    }
    struct str id = STR_NONE;
    EXPECT_EQ(fake_try_deploy(&f, NULL, STR("version: 0.0\n"), &id), ERR_INPUT);
    EXPECT_STR(str_of(f.op.note.public_error->code), "InvalidRevisionException");
    op_note_clear(&f.op);
    EXPECT_EQ(fake_try_deploy(&f, "nothing", FAKE_APPSPEC, &id), ERR_INPUT);
    EXPECT_STR(str_of(f.op.note.public_error->code), "DeploymentConfigDoesNotExistException");
    fake_close(&f);
}
