#include "fakes.h"

#include "test.h"

#include "base/check.h"

#include <stdio.h>

static const char *code_of(struct fake *f)
{
    const char *code = f->op.note.public_error == NULL ? "none" : f->op.note.public_error->code;
    op_note_clear(&f->op);
    return code;
}

static struct codedeploy_deployment_group_info *get_group(struct fake *f)
{
    struct codedeploy_get_deployment_group_in in = {.application_name = STR("shop"),
                                                    .deployment_group_name = STR("web")};
    struct codedeploy_get_deployment_group_out out = {0};
    REQUIRE_OK(codedeploy_handlers.get_deployment_group(&f->op, f->cd, &in, &out), &f->op);
    return out.deployment_group_info;
}

static void without_blue_green(struct codedeploy_create_deployment_group_in *in)
{
    in->blue_green_deployment_configuration = NULL;
    in->deployment_config_name = STR_NONE;
}

TEST(a_group_made_without_wait_times_reads_them_as_zero)
{
    struct fake f;
    fake_open(&f, fake_state_new(), NULL);
    fake_make_group(&f, without_blue_green);
    const struct codedeploy_deployment_group_info *g = get_group(&f);
    const struct codedeploy_blue_green_deployment_configuration *b =
        g->blue_green_deployment_configuration;
    REQUIRE(b != NULL && b->deployment_ready_option != NULL);
    EXPECT(b->deployment_ready_option->wait_time_in_minutes.is_set);
    EXPECT_EQ(b->deployment_ready_option->wait_time_in_minutes.value, 0);
    EXPECT_EQ(b->deployment_ready_option->action_on_timeout,
              CODEDEPLOY_DEPLOYMENT_READY_ACTION_CONTINUE_DEPLOYMENT);
    REQUIRE(b->terminate_blue_instances_on_deployment_success != NULL);
    EXPECT(
        b->terminate_blue_instances_on_deployment_success->termination_wait_time_in_minutes.is_set);
    EXPECT_STR(g->deployment_config_name, "CodeDeployDefault.ECSAllAtOnce");
    EXPECT_EQ(g->deployment_style->deployment_type, CODEDEPLOY_DEPLOYMENT_TYPE_BLUE_GREEN);
    EXPECT_EQ(g->compute_platform, CODEDEPLOY_COMPUTE_PLATFORM_ECS);
    EXPECT_STR(g->ecs_services.items[0].service_name, "web");
    EXPECT_STR(g->load_balancer_info->target_group_pair_info_list.items[0]
                   .prod_traffic_route->listener_arns.items[0],
               FAKE_PROD);
    fake_close(&f);
}

/* ---- wrong groups --------------------------------------------------------------------------- */

static struct codedeploy_alarm two_alarms[11];
static struct codedeploy_alarm_configuration many_alarms;
static struct codedeploy_auto_rollback_configuration no_events = {.enabled = {true, true}};
static struct codedeploy_deployment_style in_place = {CODEDEPLOY_DEPLOYMENT_TYPE_IN_PLACE,
                                                      CODEDEPLOY_DEPLOYMENT_OPTION_UNSET};

static void break_config(struct codedeploy_create_deployment_group_in *in)
{
    in->deployment_config_name = STR("nothing");
}
static void break_platform(struct codedeploy_create_deployment_group_in *in)
{
    in->deployment_config_name = STR("CodeDeployDefault.LambdaAllAtOnce");
}
static void break_role(struct codedeploy_create_deployment_group_in *in)
{
    in->service_role_arn = STR("me");
}
static void break_name(struct codedeploy_create_deployment_group_in *in)
{
    in->deployment_group_name = STR("a b");
}
static void break_alarms(struct codedeploy_create_deployment_group_in *in)
{
    many_alarms = (struct codedeploy_alarm_configuration){.alarms = {two_alarms, 11, true}};
    in->alarm_configuration = &many_alarms;
}
static void break_alarm_names(struct codedeploy_create_deployment_group_in *in)
{
    many_alarms = (struct codedeploy_alarm_configuration){.alarms = {two_alarms, 2, true}};
    in->alarm_configuration = &many_alarms;
}
static void break_rollback(struct codedeploy_create_deployment_group_in *in)
{
    in->auto_rollback_configuration = &no_events;
}
static void break_style(struct codedeploy_create_deployment_group_in *in)
{
    in->deployment_style = &in_place;
}
static void break_balancer(struct codedeploy_create_deployment_group_in *in)
{
    in->load_balancer_info = NULL;
}
static void break_pair(struct codedeploy_create_deployment_group_in *in)
{
    static struct codedeploy_load_balancer_info lb;
    static struct codedeploy_target_group_pair_info pair;
    pair = in->load_balancer_info->target_group_pair_info_list.items[0];
    pair.target_groups.count = 1;
    lb.target_group_pair_info_list =
        (struct codedeploy_target_group_pair_info_list){&pair, 1, true};
    in->load_balancer_info = &lb;
}
static void break_service(struct codedeploy_create_deployment_group_in *in)
{
    in->ecs_services.items[0].service_name = STR("nothing");
}
static void break_count(struct codedeploy_create_deployment_group_in *in)
{
    in->ecs_services.count = 0;
}
static void break_wait(struct codedeploy_create_deployment_group_in *in)
{
    in->blue_green_deployment_configuration->terminate_blue_instances_on_deployment_success
        ->termination_wait_time_in_minutes = OPT_I32(2881);
}

static void (*change_now)(struct codedeploy_create_deployment_group_in *in);
static struct fake *fake_now;
static char code_now[64];

/* Tries the broken group before the whole one is made. */
static void try_broken(struct codedeploy_create_deployment_group_in *in)
{
    struct codedeploy_create_deployment_group_in broken = *in;
    struct codedeploy_create_deployment_group_out out = {0};
    struct codedeploy_ecs_service service = in->ecs_services.items[0];
    broken.ecs_services.items = &service;
    change_now(&broken);
    EXPECT_EQ(
        codedeploy_handlers.create_deployment_group(&fake_now->op, fake_now->cd, &broken, &out),
        ERR_INPUT);
    (void)snprintf(code_now, sizeof(code_now), "%s", code_of(fake_now));
    in->blue_green_deployment_configuration->terminate_blue_instances_on_deployment_success
        ->termination_wait_time_in_minutes = OPT_I32(5);
}

TEST(a_wrong_group_is_refused_with_the_code_of_aws)
{
    static const struct {
        void (*change)(struct codedeploy_create_deployment_group_in *in);
        const char *code;
    } rows[] = {
        {break_config, "DeploymentConfigDoesNotExistException"},
        {break_platform, "InvalidDeploymentConfigNameException"},
        {break_role, "InvalidRoleException"},
        {break_name, "InvalidDeploymentGroupNameException"},
        {break_alarms, "AlarmsLimitExceededException"},
        {break_alarm_names, "InvalidAlarmConfigException"},
        {break_rollback, "InvalidAutoRollbackConfigException"},
        {break_style, "InvalidDeploymentStyleException"},
        {break_balancer, "InvalidLoadBalancerInfoException"},
        {break_pair, "InvalidTargetGroupPairException"},
        {break_service, "InvalidECSServiceException"},
        {break_count, "InvalidECSServiceException"},
        {break_wait, "InvalidBlueGreenDeploymentConfigurationException"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct fake f;
        fake_open(&f, fake_state_new(), NULL);
        fake_now = &f;
        change_now = rows[i].change;
        fake_make_group(&f, try_broken);
        EXPECT_STR(str_of(code_now), rows[i].code);
        fake_close(&f);
    }
}

static void second_group(struct codedeploy_create_deployment_group_in *in)
{
    struct codedeploy_create_deployment_group_in second = *in;
    struct codedeploy_create_deployment_group_out out = {0};
    REQUIRE_OK(
        codedeploy_handlers.create_deployment_group(&fake_now->op, fake_now->cd, &second, &out),
        &fake_now->op);
    second.deployment_group_name = STR("other");
    EXPECT_EQ(
        codedeploy_handlers.create_deployment_group(&fake_now->op, fake_now->cd, &second, &out),
        ERR_INPUT);
    EXPECT_STR(str_of(code_of(fake_now)), "ECSServiceMappingLimitExceededException");
    struct codedeploy_delete_deployment_group_in del = {.application_name = STR("shop"),
                                                        .deployment_group_name = STR("web")};
    struct codedeploy_delete_deployment_group_out del_out = {0};
    REQUIRE_OK(
        codedeploy_handlers.delete_deployment_group(&fake_now->op, fake_now->cd, &del, &del_out),
        &fake_now->op);
}

TEST(a_service_belongs_to_one_group)
{
    struct fake f;
    fake_open(&f, fake_state_new(), NULL);
    fake_now = &f;
    fake_make_group(&f, second_group);
    fake_close(&f);
}

TEST(a_service_of_another_controller_is_refused)
{
    struct fake f;
    struct fake_state *s = fake_state_new();
    s->is_code_deploy = false;
    fake_open(&f, s, NULL);
    struct codedeploy_create_application_in app = {.application_name = STR("shop")};
    struct codedeploy_create_application_out app_out = {0};
    REQUIRE_OK(codedeploy_handlers.create_application(&f.op, f.cd, &app, &app_out), &f.op);
    EXPECT_EQ(codedeploy_handlers.create_application(&f.op, f.cd, &app, &app_out), ERR_INPUT);
    EXPECT_STR(str_of(code_of(&f)), "ApplicationAlreadyExistsException");
    fake_close(&f);
}

TEST(an_update_keeps_what_it_does_not_name_and_renames)
{
    struct fake f;
    fake_open(&f, fake_state_new(), NULL);
    fake_make_group(&f, NULL);
    struct codedeploy_update_deployment_group_in in = {.application_name = STR("shop"),
                                                       .current_deployment_group_name = STR("web"),
                                                       .deployment_config_name =
                                                           STR("CodeDeployDefault.ECSAllAtOnce")};
    struct codedeploy_update_deployment_group_out out = {0};
    REQUIRE_OK(codedeploy_handlers.update_deployment_group(&f.op, f.cd, &in, &out), &f.op);
    const struct codedeploy_deployment_group_info *g = get_group(&f);
    EXPECT_STR(g->deployment_config_name, "CodeDeployDefault.ECSAllAtOnce");
    EXPECT_STR(g->alarm_configuration->alarms.items[0].name, "api-5xx");
    EXPECT_EQ(
        OPT_OR(
            g->blue_green_deployment_configuration->terminate_blue_instances_on_deployment_success
                ->termination_wait_time_in_minutes,
            0),
        5);
    struct codedeploy_update_application_in rename = {.application_name = STR("shop"),
                                                      .new_application_name = STR("store")};
    struct codedeploy_update_application_out rename_out = {0};
    REQUIRE_OK(codedeploy_handlers.update_application(&f.op, f.cd, &rename, &rename_out), &f.op);
    struct codedeploy_list_deployment_groups_in list = {.application_name = STR("store")};
    struct codedeploy_list_deployment_groups_out list_out = {0};
    REQUIRE_OK(codedeploy_handlers.list_deployment_groups(&f.op, f.cd, &list, &list_out), &f.op);
    REQUIRE_EQ(list_out.deployment_groups.count, 1);
    EXPECT_STR(list_out.deployment_groups.items[0], "web");
    struct codedeploy_delete_application_in del = {.application_name = STR("store")};
    struct codedeploy_delete_application_out del_out = {0};
    REQUIRE_OK(codedeploy_handlers.delete_application(&f.op, f.cd, &del, &del_out), &f.op);
    REQUIRE_OK(codedeploy_handlers.delete_application(&f.op, f.cd, &del, &del_out), &f.op);
    EXPECT_EQ(codedeploy_handlers.list_deployment_groups(&f.op, f.cd, &list, &list_out), ERR_INPUT);
    EXPECT_STR(str_of(code_of(&f)), "ApplicationDoesNotExistException");
    fake_close(&f);
}

TEST(configurations_are_predefined_or_ones_own)
{
    static const struct {
        int32_t percent;
        int32_t interval;
        bool is_good;
    } rows[] = {{20, 2, true}, {0, 2, false}, {100, 2, false}, {20, -1, false}, {20, 2881, false}};
    struct fake f;
    fake_open(&f, fake_state_new(), NULL);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct codedeploy_time_based_linear linear = {.linear_percentage = OPT_I32(rows[i].percent),
                                                      .linear_interval = OPT_I32(rows[i].interval)};
        struct codedeploy_traffic_routing_config r = {
            .type = CODEDEPLOY_TRAFFIC_ROUTING_TYPE_TIMEBASEDLINEAR, .time_based_linear = &linear};
        struct codedeploy_create_deployment_config_in in = {.deployment_config_name = STR("mine"),
                                                            .traffic_routing_config = &r,
                                                            .compute_platform =
                                                                CODEDEPLOY_COMPUTE_PLATFORM_ECS};
        struct codedeploy_create_deployment_config_out out = {0};
        enum err e = codedeploy_handlers.create_deployment_config(&f.op, f.cd, &in, &out);
        EXPECT_EQ(e == ERR_OK, rows[i].is_good);
        if (e != ERR_OK) {
            EXPECT_STR(str_of(code_of(&f)), "InvalidTrafficRoutingConfigurationException");
        }
    }
    struct codedeploy_get_deployment_config_in get = {
        .deployment_config_name = STR("CodeDeployDefault.ECSLinear10PercentEvery3Minutes")};
    struct codedeploy_get_deployment_config_out got = {0};
    REQUIRE_OK(codedeploy_handlers.get_deployment_config(&f.op, f.cd, &get, &got), &f.op);
    EXPECT_EQ(
        OPT_OR(
            got.deployment_config_info->traffic_routing_config->time_based_linear->linear_interval,
            0),
        3);
    struct codedeploy_list_deployment_configs_in list = {0};
    struct codedeploy_list_deployment_configs_out list_out = {0};
    REQUIRE_OK(codedeploy_handlers.list_deployment_configs(&f.op, f.cd, &list, &list_out), &f.op);
    EXPECT_EQ(list_out.deployment_configs_list.count, 18);
    fake_close(&f);
}

TEST(tags_hang_on_applications_and_groups)
{
    struct fake f;
    fake_open(&f, fake_state_new(), NULL);
    fake_make_group(&f, NULL);
    static const char *const arns[] = {
        "arn:aws:codedeploy:eu-west-1:123456789012:application:shop",
        "arn:aws:codedeploy:eu-west-1:123456789012:deploymentgroup:shop/web"};
    for (size_t i = 0; i < 2; i++) {
        struct codedeploy_tag tag = {.key = STR("team"), .value = STR("a")};
        struct codedeploy_tag_resource_in in = {.resource_arn = str_of(arns[i]),
                                                .tags = {&tag, 1, true}};
        struct codedeploy_tag_resource_out out = {0};
        REQUIRE_OK(codedeploy_handlers.tag_resource(&f.op, f.cd, &in, &out), &f.op);
        struct codedeploy_list_tags_for_resource_in list = {.resource_arn = str_of(arns[i])};
        struct codedeploy_list_tags_for_resource_out listed = {0};
        REQUIRE_OK(codedeploy_handlers.list_tags_for_resource(&f.op, f.cd, &list, &listed), &f.op);
        REQUIRE_EQ(listed.tags.count, 1);
        EXPECT_STR(listed.tags.items[0].value, "a");
        struct str key = STR("team");
        struct codedeploy_untag_resource_in off = {.resource_arn = str_of(arns[i]),
                                                   .tag_keys = {&key, 1, true}};
        struct codedeploy_untag_resource_out off_out = {0};
        REQUIRE_OK(codedeploy_handlers.untag_resource(&f.op, f.cd, &off, &off_out), &f.op);
        REQUIRE_OK(codedeploy_handlers.list_tags_for_resource(&f.op, f.cd, &list, &listed), &f.op);
        EXPECT_EQ(listed.tags.count, 0);
    }
    struct codedeploy_list_tags_for_resource_in bad = {.resource_arn = STR("arn:aws:s3:::x")};
    struct codedeploy_list_tags_for_resource_out out = {0};
    EXPECT_EQ(codedeploy_handlers.list_tags_for_resource(&f.op, f.cd, &bad, &out), ERR_INPUT);
    EXPECT_STR(str_of(code_of(&f)), "InvalidArnException");
    fake_close(&f);
}

TEST(a_revision_elsewhere_or_with_a_wrong_hash_is_refused)
{
    struct fake f;
    fake_open(&f, fake_state_new(), NULL);
    fake_make_group(&f, NULL);
    struct codedeploy_s3_location s3 = {.bucket = STR("b"), .key = STR("k")};
    struct codedeploy_app_spec_content content = {.content = FAKE_APPSPEC, .sha256 = STR("00")};
    struct codedeploy_raw_string raw = {.content = FAKE_APPSPEC};
    struct codedeploy_revision_location rows[] = {
        {.revision_type = CODEDEPLOY_REVISION_LOCATION_TYPE_S3, .s3_location = &s3},
        {.revision_type = CODEDEPLOY_REVISION_LOCATION_TYPE_APPSPECCONTENT,
         .app_spec_content = &content},
        {.revision_type = CODEDEPLOY_REVISION_LOCATION_TYPE_APPSPECCONTENT},
        {.revision_type = CODEDEPLOY_REVISION_LOCATION_TYPE_STRING, .string = &raw},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct codedeploy_create_deployment_in in = {.application_name = STR("shop"),
                                                     .deployment_group_name = STR("web"),
                                                     .revision = &rows[i]};
        struct codedeploy_create_deployment_out out = {0};
        bool is_good = i == 3;
        EXPECT_EQ(codedeploy_handlers.create_deployment(&f.op, f.cd, &in, &out) == ERR_OK, is_good);
        if (!is_good) {
            EXPECT_STR(str_of(code_of(&f)), "InvalidRevisionException");
        }
    }
    fake_close(&f);
}
