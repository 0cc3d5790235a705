#include "base/buf.h"
#include "base/check.h"
#include "deployer/alarms.h"
#include "deployer/cdshift.h"
#include "deployer/history.h"
#include "deployer/plan.h"
#include "deployer/report.h"
#include "deployer/screen.h"
#include "deployer/slack.h"
#include "deployer/verify.h"
#include "gen/codedeploy.h"
#include "test.h"

#define NEW_ID STR("ecs-svc/2")
#define OLD_ID STR("ecs-svc/1")

/* ---- how a rolling update is judged ---- */

struct rolling_case {
    const char *own_status; /* NULL: not listed */
    enum ecs_deployment_rollout_state own;
    const char *other_status;
    enum ecs_deployment_rollout_state other;
    const char *other_reason;
    const char *other_definition;
    enum sight_state expected;
};

TEST(a_rolling_update_is_judged_by_its_own_id)
{
    enum ecs_deployment_rollout_state going = ECS_DEPLOYMENT_ROLLOUT_STATE_IN_PROGRESS;
    enum ecs_deployment_rollout_state done = ECS_DEPLOYMENT_ROLLOUT_STATE_COMPLETED;
    enum ecs_deployment_rollout_state failed = ECS_DEPLOYMENT_ROLLOUT_STATE_FAILED;
    const struct rolling_case cases[] = {
        {"PRIMARY", going, "ACTIVE", done, "", "td:1", SIGHT_GOING},
        {"PRIMARY", done, NULL, 0, "", "", SIGHT_DONE},
        {"PRIMARY", failed, "ACTIVE", done, "", "td:1", SIGHT_FAILED},
        {"ACTIVE", failed, "PRIMARY", going, "x: rolling back to deploymentId y.", "td:9",
         SIGHT_ROLLING_BACK},
        {"ACTIVE", failed, "PRIMARY", done, "ECS deployment z completed.", "td:1",
         SIGHT_ROLLED_BACK},
        {NULL, 0, "PRIMARY", done, "ECS deployment z completed.", "td:1", SIGHT_ROLLED_BACK},
        {NULL, 0, "PRIMARY", done, "ECS deployment z completed.", "td:3", SIGHT_SUPERSEDED},
        {"ACTIVE", going, "PRIMARY", going, "in progress.", "td:3", SIGHT_SUPERSEDED},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct rolling_case *c = &cases[i];
        struct ecs_deployment list[2] = {0};
        struct ecs_service service = {.deployments = {.items = list}};
        if (c->own_status != NULL) {
            list[service.deployments.count++] =
                (struct ecs_deployment){.id = NEW_ID,
                                        .status = str_of(c->own_status),
                                        .task_definition = STR("td:2"),
                                        .rollout_state = c->own};
        }
        if (c->other_status != NULL) {
            list[service.deployments.count++] =
                (struct ecs_deployment){.id = OLD_ID,
                                        .status = str_of(c->other_status),
                                        .task_definition = str_of(c->other_definition),
                                        .rollout_state = c->other,
                                        .rollout_state_reason = str_of(c->other_reason)};
        }
        struct handle handle = {
            .id = NEW_ID, .task_definition = STR("td:2"), .old_task_definition = STR("td:1")};
        struct sight s = {0};
        sight_of_rolling(&service, &handle, &s);
        EXPECT_EQ(s.state, c->expected);
    }
}

TEST(a_native_deployment_is_judged_by_its_status)
{
    struct ecs_service_revision_summary next = {.running_task_count = OPT_I32(2),
                                                .requested_production_traffic_weight = OPT_F64(10)};
    struct ecs_service_deployment d = {.status = ECS_SERVICE_DEPLOYMENT_STATUS_IN_PROGRESS,
                                       .lifecycle_stage =
                                           ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_BAKE_TIME,
                                       .target_service_revision = &next};
    struct sight s = {0};
    sight_of_native(&d, &s);
    EXPECT_EQ(s.state, SIGHT_BAKING);
    EXPECT_EQ(s.new_side.weight, 10);
    d.status = ECS_SERVICE_DEPLOYMENT_STATUS_ROLLBACK_SUCCESSFUL;
    d.status_reason = STR("rolled back because StopServiceDeployment was called.");
    sight_of_native(&d, &s);
    EXPECT_EQ(s.state, SIGHT_ROLLED_BACK);
    EXPECT(s.is_stopped_by_person);
}

/* ---- what is sent ---- */

static struct config_rule rules[] = {
    {.measure = CONFIG_ERROR_RATE,
     .threshold = 1,
     .for_s = 300,
     .text = STR_INIT("error_rate > 1%")},
    {.measure = CONFIG_LATENCY, .percentile = 99, .threshold = 0.5, .for_s = 60},
    {.measure = CONFIG_ALARM, .alarm = STR_INIT("payments-down")},
};
static struct config_step steps[] = {{10, 300}, {100, 0}};
static struct config_environment environment = {.name = STR_INIT("production"),
                                                .strategy = CONFIG_CANARY,
                                                .steps = steps,
                                                .step_count = 2,
                                                .bake_s = 120,
                                                .rules = rules,
                                                .rule_count = 3,
                                                .min_healthy_percent = 100,
                                                .max_percent = 150};
static struct config_service service_row = {.name = STR_INIT("api"), .port = 8080};

static struct place a_place(struct arena *a)
{
    static struct config config = {.app = STR_INIT("shop")};
    struct place place = {0};
    place_name(a, &config, &environment, &service_row, &place);
    return place;
}

TEST(rules_become_alarms_over_the_load_balancer)
{
    auto_op struct op op;
    op_init(&op);
    struct place place = a_place(&op.arena);
    struct cloudwatch_put_metric_alarm_in in = {0};
    alarm_define(&op.arena, &place, 0, STR("app/shop/1"), &in);
    EXPECT_STR(in.alarm_name, "shop-production-api-error-rate");
    EXPECT_EQ(in.evaluation_periods.value, 5);
    EXPECT_STR(in.treat_missing_data, "notBreaching");
    REQUIRE_EQ(in.metrics.count, 3);
    EXPECT_STR(in.metrics.items[0].expression, "(errors / requests) * 100");
    EXPECT_STR(in.metrics.items[2].metric_stat->metric->dimensions.items[0].value, "app/shop/1");
    alarm_define(&op.arena, &place, 1, STR("app/shop/1"), &in);
    EXPECT_STR(in.alarm_name, "shop-production-api-p99");
    EXPECT_STR(in.extended_statistic, "p99");
    EXPECT_EQ(in.metrics.count, 0);
    EXPECT_STR(alarm_name(&op.arena, &place, 2), "payments-down");
}

TEST(a_canary_is_sent_in_the_words_of_ecs)
{
    auto_op struct op op;
    op_init(&op);
    struct place place = a_place(&op.arena);
    struct str names[] = {STR("a")};
    struct shift_order order = {.strategy = CONFIG_CANARY,
                                .task_definition = STR("td:2"),
                                .container = STR("api"),
                                .container_port = 8080,
                                .alarms = {.items = names, .count = 1}};
    struct ecs_load_balancer wired = {.target_group_arn = STR("group-b")};
    struct ecs_service service = {.load_balancers = {.items = &wired, .count = 1}};
    struct resources r = {.service = &service,
                          .has_balancer = true,
                          .groups = {STR("group-a"), STR("group-b")},
                          .live = 1,
                          .rule_arn = STR("rule")};
    struct ecs_update_service_in in = {0};
    shift_update_in(&op.arena, &place, &r, &order, STR("role"), &in);
    const struct ecs_deployment_configuration *c = in.deployment_configuration;
    EXPECT_EQ(c->strategy, ECS_DEPLOYMENT_STRATEGY_CANARY);
    EXPECT_EQ(c->canary_configuration->canary_percent.value, 10);
    EXPECT_EQ(c->canary_configuration->canary_bake_time_in_minutes.value, 5);
    EXPECT_EQ(c->bake_time_in_minutes.value, 2);
    EXPECT(c->alarms->enable.value && c->alarms->rollback.value);
    REQUIRE_EQ(in.load_balancers.count, 1);
    EXPECT_STR(in.load_balancers.items[0].target_group_arn, "group-b");
    EXPECT_STR(in.load_balancers.items[0].advanced_configuration->alternate_target_group_arn,
               "group-a");
    struct ecs_advanced_configuration advanced = {0};
    wired.advanced_configuration = &advanced;
    shift_update_in(&op.arena, &place, &r, &order, STR("role"), &in);
    EXPECT_EQ(in.load_balancers.count, 0); /* ECS swaps the groups itself */
    order.strategy = CONFIG_ROLLING;
    shift_update_in(&op.arena, &place, &r, &order, STR("role"), &in);
    EXPECT_EQ(in.deployment_configuration->maximum_percent.value, 150);
    REQUIRE_EQ(in.load_balancers.count, 1);
    EXPECT(in.load_balancers.items[0].advanced_configuration == NULL);
}

TEST(codedeploy_is_given_an_appspec_and_a_configuration_of_the_steps)
{
    auto_op struct op op;
    op_init(&op);
    struct shift_order order = {
        .task_definition = STR("arn:td:2"), .container = STR("api"), .container_port = 8080};
    EXPECT_STR(cdshift_appspec(&op.arena, &order),
               "{\"version\":0,\"Resources\":[{\"TargetService\":{\"Type\":\"AWS::ECS::Service\","
               "\"Properties\":{\"TaskDefinition\":\"arn:td:2\",\"LoadBalancerInfo\":"
               "{\"ContainerName\":\"api\",\"ContainerPort\":8080}}}}]}");
    struct codedeploy_traffic_routing_config routing = {0};
    EXPECT_STR(cdshift_config_of(&op.arena, &environment, CONFIG_CANARY, &routing),
               "hitless-canary-10-5");
    EXPECT_EQ(routing.time_based_canary->canary_interval.value, 5);
    EXPECT_STR(cdshift_config_of(&op.arena, &environment, CONFIG_BLUE_GREEN, &routing),
               "CodeDeployDefault.ECSAllAtOnce");
}

TEST(the_weights_of_a_rule_tell_the_live_side)
{
    const struct str groups[2] = {STR("a"), STR("b")};
    struct elbv2_target_group_tuple tuples[] = {
        {.target_group_arn = STR("a"), .weight = OPT_I32(0)},
        {.target_group_arn = STR("b"), .weight = OPT_I32(100)}};
    struct elbv2_forward_action_config forward = {.target_groups = {.items = tuples, .count = 2}};
    struct elbv2_action action = {.type = ELBV2_ACTION_TYPE_ENUM_FORWARD,
                                  .forward_config = &forward};
    struct elbv2_actions actions = {.items = &action, .count = 1};
    int64_t weights[2] = {-1, -1};
    EXPECT(resources_weights_of(&actions, groups, weights));
    EXPECT_EQ(weights[0], 0);
    EXPECT_EQ(weights[1], 100);
    const struct str others[2] = {STR("x"), STR_NONE};
    EXPECT(!resources_weights_of(&actions, others, weights));
}

/* ---- history, plan, verify ---- */

TEST(going_back_skips_what_failed_and_what_is_live)
{
    struct history_row rows[] = {
        {.task_definition = STR("f:4"), .status = "SUCCESSFUL", .version = STR("v4")},
        {.task_definition = STR("f:3"), .status = "ROLLBACK_SUCCESSFUL", .version = STR("v3")},
        {.task_definition = STR("f:2"), .status = "SUCCESSFUL", .version = STR("v2")},
    };
    struct history h = {.items = rows, .count = 3};
    EXPECT(history_previous(&h, STR("f:4")) == &rows[2]);
    EXPECT(history_find(&h, STR("3")) == &rows[1]);
    EXPECT(history_find(&h, STR("v2")) == &rows[2]);
    EXPECT(history_find(&h, STR("9")) == NULL);
    for (size_t i = 0; i < 3; i++) {
        rows[i].status = "REGISTERED"; /* by CodeDeploy: nobody says how f:4 went */
    }
    EXPECT(history_previous(&h, STR("f:3")) == &rows[2]);
    EXPECT(history_previous(&h, STR("f:2")) == NULL);
}

TEST(a_plan_names_what_changes_and_no_secret)
{
    struct ecs_key_value_pair live_env[] = {{.name = STR("VERSION"), .value = STR("v1")},
                                            {.name = STR("GONE"), .value = STR("1")}};
    struct ecs_container_definition live_c = {
        .name = STR("api"), .image = STR("i:1"), .environment = {.items = live_env, .count = 2}};
    struct ecs_task_definition live = {.cpu = STR("256"),
                                       .memory = STR("512"),
                                       .container_definitions = {.items = &live_c, .count = 1}};
    struct ecs_key_value_pair next_env[] = {{.name = STR("VERSION"), .value = STR("v2")}};
    struct ecs_secret secret = {.name = STR("KEY"), .value_from = STR("/top/secret")};
    struct ecs_container_definition next_c = {.name = STR("api"),
                                              .image = STR("i:1"),
                                              .environment = {.items = next_env, .count = 1},
                                              .secrets = {.items = &secret, .count = 1}};
    struct ecs_register_task_definition_in next = {
        .cpu = STR("512"),
        .memory = STR("512"),
        .container_definitions = {.items = &next_c, .count = 1}};
    auto_buf struct buf text;
    buf_init(&text, 4096);
    EXPECT_EQ(plan_compare(&text, &live, &next), 4);
    EXPECT_STR(buf_str(&text), "  ~ cpu: 256 -> 512\n"
                               "  ~ env VERSION: v1 -> v2\n"
                               "  - env GONE\n"
                               "  ~ secret KEY\n");
}

TEST(an_answer_is_judged_by_status_text_and_json)
{
    auto_op struct op op;
    op_init(&op);
    struct config_json_check checks[] = {{STR("."), STR_NONE}};
    const struct {
        const char *path;
        const char *expected;
        bool is_good;
    } cases[] = {{".count", "> 0", true},        {".count", "> 3", false},
                 {".count", "3", true},          {".state", "open", true},
                 {".state", "!= open", false},   {".items[1].name", "b", true},
                 {".items[2].name", "b", false}, {".missing", "b", false}};
    struct config_verify v = {
        .get = STR("/"), .status = 200, .contains = STR("open"), .json = checks, .json_count = 1};
    struct web_answer answer = {
        .status = 200,
        .body =
            STR("{\"count\":3,\"state\":\"open\",\"items\":[{\"name\":\"a\"},{\"name\":\"b\"}]}")};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        checks[0] = (struct config_json_check){str_of(cases[i].path), str_of(cases[i].expected)};
        EXPECT_EQ(!str_is_set(verify_judge(&op.arena, &v, &answer)), cases[i].is_good);
    }
    answer.status = 503;
    EXPECT(str_starts_with(verify_judge(&op.arena, &v, &answer),
                           STR("/: expected status 200, got 503")));
    answer = (struct web_answer){.status = 200, .body = STR("open {")};
    EXPECT_STR(verify_judge(&op.arena, &v, &answer), "/: the answer has no .missing");
}

/* ---- what is shown and told ---- */

static struct sight a_sight(void)
{
    return (struct sight){
        .state = SIGHT_GOING,
        .stage = STR("PRODUCTION_TRAFFIC_SHIFT"),
        .new_side = {.is_there = true,
                     .version = STR("v2"),
                     .running = 2,
                     .desired = 2,
                     .healthy = 2,
                     .weight = 10,
                     .metrics = {.is_set = true, .requests_per_s = 100, .p99_ms = 7}},
        .old_side = {.is_there = true,
                     .version = STR("v1"),
                     .running = 2,
                     .desired = 2,
                     .healthy = -1,
                     .weight = 90},
    };
}

TEST(the_live_view_fits_any_width_and_needs_no_color)
{
    struct sight s = a_sight();
    for (size_t width = 10; width < 140; width += 13) {
        struct screen screen = {.width = width, .elapsed_s = 12};
        auto_buf struct buf out;
        buf_init(&out, 8192);
        screen_render(&out, &screen, &s);
        EXPECT_EQ(str_find(buf_str(&out), STR("\033"), 0), STR_NOT_FOUND);
        struct str rest = buf_str(&out);
        struct str line = STR_NONE;
        size_t widest = width < SCREEN_WIDTH_MIN ? SCREEN_WIDTH_MIN : width;
        while (str_next(&rest, '\n', &line)) {
            EXPECT(line.len <= widest);
        }
    }
    struct screen screen = {.width = 60, .elapsed_s = 12};
    auto_buf struct buf out;
    buf_init(&out, 8192);
    screen_render(&out, &screen, &s);
    EXPECT_STR(buf_str(&out), "  going on: PRODUCTION_TRAFFIC_SHIFT, 12 s\n"
                              "  ####....................................  10 % new\n"
                              "  new v2           2/2 tasks, 2 healthy, 10 %\n"
                              "  old v1           2/2 tasks, 90 %\n");
}

TEST(a_failure_is_told_with_its_reason_its_last_words_and_who_serves)
{
    struct deploy_result r = {
        .outcome = DEPLOY_ROLLED_BACK,
        .text = STR("the circuit breaker threshold was exceeded."),
        .service = STR("api"),
        .version = STR("v2"),
        .old_version = STR("v1"),
        .serving = STR("http://x/health answers 200"),
        .seconds = 4.5,
        .why = {.task = STR("arn:task/abc"),
                .stopped_reason = STR("Essential container in task exited"),
                .container = STR("api"),
                .has_exit_code = true,
                .exit_code = 1,
                .lines = {STR("fatal: no <URL>")},
                .line_count = 1},
    };
    auto_buf struct buf out;
    buf_init(&out, 8192);
    report_result(&out, &r, false);
    EXPECT_STR(buf_str(&out),
               "api: v1 -> v2 failed and rolled back after 4.5 s\n"
               "  the circuit breaker threshold was exceeded.\n"
               "  task abc: Essential container in task exited; container api ended with 1\n"
               "    | fatal: no <URL>\n"
               "  version v1 serves: http://x/health answers 200\n");
    buf_reset(&out);
    EXPECT(slack_message(&out, STR("shop"), STR("production"), &r));
    EXPECT_STR(buf_str(&out),
               "{\"text\":\":rewind: *shop/api* version *v2* failed and was rolled back in "
               "*production*\\nthe circuit breaker threshold was exceeded.\\nexit code "
               "1\\n```fatal: no &lt;URL&gt;```\\nVersion v1 serves.\"}");
}

TEST(slack_hears_nothing_of_what_lies_between)
{
    const enum deploy_outcome silent[] = {DEPLOY_NOTHING, DEPLOY_REFUSED, DEPLOY_STOPPED,
                                          DEPLOY_WAITING, DEPLOY_LOCKED,  DEPLOY_SUPERSEDED};
    for (size_t i = 0; i < ARRAY_COUNT(silent); i++) {
        struct deploy_result r = {.outcome = silent[i]};
        auto_buf struct buf out;
        buf_init(&out, 8192);
        EXPECT(!slack_message(&out, STR("shop"), STR("production"), &r));
    }
}

TEST(the_task_to_show_is_the_one_that_ended_badly)
{
    struct ecs_container good = {.exit_code = OPT_I32(143)};
    struct ecs_container bad = {.exit_code = OPT_I32(1)};
    struct ecs_task items[] = {
        {.task_definition_arn = STR("td:2"), .containers = {.items = &good, .count = 1}},
        {.task_definition_arn = STR("td:2"), .containers = {.items = &bad, .count = 1}},
        {.task_definition_arn = STR("td:1"), .containers = {.items = &bad, .count = 1}},
    };
    struct ecs_tasks tasks = {.items = items, .count = 3};
    EXPECT(why_pick(&tasks, STR("td:2")) == &items[1]);
    EXPECT(why_pick(&tasks, STR("td:3")) == NULL);
}

TEST(the_reference_and_the_schema_name_every_key)
{
    auto_buf struct buf page;
    auto_buf struct buf schema;
    buf_init(&page, 1u << 20);
    buf_init(&schema, 1u << 20);
    config_write_reference(&page);
    config_write_schema(&schema);
    const char *const keys[] = {"stop_if", "infrastructure_role", "healthy_threshold", "slack"};
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        EXPECT(str_find(buf_str(&page), str_of(keys[i]), 0) != STR_NOT_FOUND);
        EXPECT(str_find(buf_str(&schema), str_of(keys[i]), 0) != STR_NOT_FOUND);
    }
}
