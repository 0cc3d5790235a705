#include "fakes.h"

#include "test.h"

#include "base/check.h"
#include "base/log.h"

#include <stdio.h>
#include <sys/mman.h>

static void promise(struct fake_state *s, bool is_kept, const char *what)
{
    if (!is_kept) {
        s->broken++;
        test_failed(__FILE__, __LINE__, "broken promise: %s", what);
    }
}

static const char *const group_arns[2] = {FAKE_BLUE, FAKE_GREEN};

struct fake_state *fake_state_new(void)
{
    struct fake_state *s =
        mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(s != MAP_FAILED);
    *s = (struct fake_state){.has_service = true,
                             .is_code_deploy = true,
                             .desired = 2,
                             .production = {100, 0},
                             .test = {100, 0},
                             .has_listener = true,
                             .is_published = true,
                             .publishes = true,
                             .has_alarm = true,
                             .now_us = 1700000000000000};
    s->sets[0] = (struct fake_set){.exists = true,
                                   .task_definition =
                                       "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1",
                                   .desired = 2,
                                   .healthy = 2};
    return s;
}

/* ---- task sets ------------------------------------------------------------------------------ */

static struct str set_id(struct op *op, int index)
{
    return arena_printf(&op->arena, "ecs-svc/%019d", index + 1);
}

static int set_index(struct str id)
{
    uint64_t number = 0;
    CHECK(str_parse_u64(str_from(id, 8), FAKE_SETS_MAX, &number) && number > 0);
    return (int)number - 1;
}

static enum err find_service(void *self, struct op *op, struct str cluster, struct str service,
                             struct port_service *ret)
{
    const struct fake_state *s = self;
    if (!s->has_service || !STR_IS(cluster, "main") || !STR_IS(service, "web")) {
        return op_fail(op, ERR_NOT_FOUND, "no such service");
    }
    *ret = (struct port_service){
        .service_arn = STR("arn:aws:ecs:eu-west-1:123456789012:service/main/web"),
        .cluster_name = STR("main"),
        .service_name = STR("web"),
        .deployment_controller = s->is_code_deploy ? STR("CODE_DEPLOY") : STR("ECS"),
        .desired_count = s->desired,
    };
    if (s->primary >= 0) {
        ret->primary_task_set_id = set_id(op, s->primary);
        ret->task_definition_arn = str_of(s->sets[s->primary].task_definition);
    }
    return ERR_OK;
}

static void describe_set(struct op *op, const struct fake_state *s, int index,
                         struct port_task_set *ret)
{
    const struct fake_set *t = &s->sets[index];
    *ret = (struct port_task_set){
        .id = set_id(op, index),
        .task_definition_arn = str_of(t->task_definition),
        .target_group_arn = str_of(group_arns[t->group]),
        .external_id = str_of(t->external_id),
        .status = t->is_leaving ? STR("DRAINING")
                                : (s->primary == index ? STR("PRIMARY") : STR("ACTIVE")),
        .desired_count = t->desired,
        .running_count = t->healthy,
        .healthy_count = t->healthy,
        .failed_count = t->failed,
        .is_steady = !t->is_leaving && t->healthy == t->desired,
        .last_failure = t->failed > 0 ? STR("exit code 1: panic") : STR_NONE,
    };
}

static enum err create_set(void *self, struct op *op, const struct port_task_set_in *in,
                           struct port_task_set *ret)
{
    struct fake_state *s = self;
    s->create_calls++;
    if (s->refuses_create) {
        return op_fail(op, ERR_INPUT, "TaskDefinition not found.");
    }
    int free_index = -1;
    for (int i = 0; i < FAKE_SETS_MAX; i++) {
        if (s->sets[i].exists && str_equal(in->external_id, str_of(s->sets[i].external_id))) {
            describe_set(op, s, i, ret);
            return ERR_OK;
        }
        if (!s->sets[i].exists && free_index == -1) {
            free_index = i;
        }
    }
    CHECK(free_index >= 0);
    struct fake_set *t = &s->sets[free_index];
    *t = (struct fake_set){.exists = true, .desired = s->desired};
    CHECK(str_to_c(in->external_id, t->external_id, sizeof(t->external_id)));
    CHECK(str_to_c(in->task_definition, t->task_definition, sizeof(t->task_definition)));
    t->group = str_equal(in->target_group_arn, str_of(FAKE_GREEN)) ? 1 : 0;
    EXPECT_STR(in->container_name, "app");
    EXPECT_EQ(in->container_port, 80);
    describe_set(op, s, free_index, ret);
    return ERR_OK;
}

static enum err see_set(void *self, struct op *op, struct str cluster, struct str service,
                        struct str id, struct port_task_set *ret)
{
    const struct fake_state *s = self;
    (void)cluster;
    (void)service;
    int index = set_index(id);
    if (!s->sets[index].exists) {
        return op_fail(op, ERR_NOT_FOUND, "no such task set");
    }
    describe_set(op, s, index, ret);
    return ERR_OK;
}

static enum err set_primary(void *self, struct op *op, struct str cluster, struct str service,
                            struct str id)
{
    struct fake_state *s = self;
    (void)op;
    (void)cluster;
    (void)service;
    s->primary = set_index(id);
    return ERR_OK;
}

static enum err remove_set(void *self, struct op *op, struct str cluster, struct str service,
                           struct str id)
{
    struct fake_state *s = self;
    (void)op;
    (void)cluster;
    (void)service;
    struct fake_set *t = &s->sets[set_index(id)];
    /* what may never happen: taking away what carries production */
    promise(s, s->production[t->group] == 0, "a task set with traffic is not removed");
    promise(s, s->is_published, "nothing is removed before the weights are acknowledged");
    promise(s, s->primary != set_index(id), "the primary task set is not removed");
    t->is_leaving = true;
    t->healthy = 0;
    t->desired = 0;
    return ERR_OK;
}

/* ---- the load balancer ---------------------------------------------------------------------- */

static enum err find_group(void *self, struct op *op, struct str arn_or_name,
                           struct port_target_group *ret)
{
    (void)self;
    int index = STR_IS(arn_or_name, "one") ? 0 : STR_IS(arn_or_name, "two") ? 1 : -1;
    if (index == -1) {
        return op_fail(op, ERR_NOT_FOUND, "no such target group");
    }
    *ret = (struct port_target_group){.arn = str_of(group_arns[index]), .name = arn_or_name};
    return ERR_OK;
}

static int32_t *route_of(struct fake_state *s, struct str arn)
{
    if (!s->has_listener) {
        return NULL;
    }
    return STR_IS(arn, FAKE_PROD) ? s->production : STR_IS(arn, FAKE_TEST) ? s->test : NULL;
}

static enum err get_weights(void *self, struct op *op, struct str arn, struct port_weights *ret)
{
    const int32_t *route = route_of(self, arn);
    if (route == NULL) {
        return op_fail(op, ERR_NOT_FOUND, "no such listener");
    }
    *ret = (struct port_weights){.count = 2};
    for (int i = 0; i < 2; i++) {
        ret->items[i] =
            (struct port_weight){.target_group_arn = str_of(group_arns[i]), .weight = route[i]};
    }
    return ERR_OK;
}

static int32_t healthy_of(const struct fake_state *s, int group)
{
    int32_t healthy = 0;
    for (int i = 0; i < FAKE_SETS_MAX; i++) {
        healthy += s->sets[i].exists && s->sets[i].group == group ? s->sets[i].healthy : 0;
    }
    return healthy;
}

static enum err set_weights(void *self, struct op *op, struct str arn, const struct port_weights *w)
{
    struct fake_state *s = self;
    int32_t *route = route_of(s, arn);
    if (route == NULL) {
        return op_fail(op, ERR_NOT_FOUND, "no such listener");
    }
    s->weight_calls++;
    int32_t sum = 0;
    for (size_t i = 0; i < w->count; i++) {
        int group = str_equal(w->items[i].target_group_arn, str_of(FAKE_GREEN)) ? 1 : 0;
        route[group] = w->items[i].weight;
        sum += w->items[i].weight;
    }
    promise(s, sum == 100, "weights are the whole");
    if (route == s->production) {
        bool is_one_dead = healthy_of(s, 0) == 0 && healthy_of(s, 1) > 0;
        bool is_two_dead = healthy_of(s, 1) == 0 && healthy_of(s, 0) > 0;
        promise(s, !(route[0] > 0 && is_one_dead) && !(route[1] > 0 && is_two_dead),
                "no traffic for a group without a healthy target while the other has one");
    }
    s->is_published = s->publishes;
    return ERR_OK;
}

static bool is_published(void *self)
{
    const struct fake_state *s = self;
    return s->is_published;
}

static enum err no_target(void *self, struct op *op, struct str group, struct str host,
                          int32_t port)
{
    (void)self;
    (void)group;
    (void)host;
    (void)port;
    return op_fail(op, ERR_UNSUPPORTED, "codedeploy registers no targets");
}

static enum err no_sight(void *self, struct op *op, struct str group, struct str host, int32_t port,
                         struct port_target_sight *ret)
{
    (void)ret;
    return no_target(self, op, group, host, port);
}

/* ---- alarms, hooks, news -------------------------------------------------------------------- */

static enum err see_alarm(void *self, struct op *op, struct str name,
                          enum port_alarm_state *ret_state, struct str *ret_reason)
{
    const struct fake_state *s = self;
    (void)op;
    (void)name;
    *ret_state =
        !s->has_alarm ? PORT_ALARM_MISSING : (s->is_alarm ? PORT_ALARM_ALARM : PORT_ALARM_OK);
    *ret_reason = STR_NONE;
    return ERR_OK;
}

static enum err see_alarm_span(void *self, struct op *op, struct str name, dur_t *ret_span)
{
    (void)self;
    (void)op;
    (void)name;
    *ret_span = DUR_MIN(1);
    return ERR_OK;
}

static enum err invoke(void *self, struct op *op, struct str function, struct str payload)
{
    struct fake_state *s = self;
    s->hook_calls++;
    CHECK(str_to_c(payload, s->hook_payload, sizeof(s->hook_payload)));
    CHECK(str_to_c(function, s->hook_function, sizeof(s->hook_function)));
    return STR_IS(function, "missing") ? op_fail(op, ERR_NOT_FOUND, "no function \"missing\"")
                                       : ERR_OK;
}

static void tell(void *self, struct str region, struct str id, enum codedeploy_happening what)
{
    struct fake *f = self;
    (void)region;
    (void)id;
    f->told[what]++;
}

/* ---- the stage ------------------------------------------------------------------------------ */

void fake_open(struct fake *f, struct fake_state *state, const char *store_path)
{
    *f = (struct fake){.state = state};
    log_set_level(LOG_ERROR);
    clock_use_manual((mono_t){.us = state->now_us}, (wall_t){.us = state->now_us});
    op_init(&f->op);
    f->op.region = STR("eu-west-1");
    f->op.account = STR("123456789012");
    REQUIRE_OK(ev_loop_open(&f->op, &f->loop), &f->op);
    REQUIRE_OK(store_open(&f->op, store_path == NULL ? ":memory:" : store_path, &f->store), &f->op);
    struct codedeploy_config c = {
        .store = f->store,
        .loop = &f->loop,
        .account = STR("123456789012"),
        .elb = {.self = state,
                .find_target_group = find_group,
                .register_target = no_target,
                .deregister_target = no_target,
                .see_target = no_sight,
                .get_weights = get_weights,
                .set_weights = set_weights,
                .is_published = is_published},
        .task_sets = {.self = state,
                      .find_service = find_service,
                      .create = create_set,
                      .see = see_set,
                      .set_primary = set_primary,
                      .remove = remove_set},
        .alarms = {.self = state, .see_alarm = see_alarm, .see_alarm_span = see_alarm_span},
        .hooks = {.self = state, .invoke = state->has_no_hooks ? NULL : invoke},
        .news = {.self = f, .tell = tell},
    };
    REQUIRE_OK(codedeploy_open(&f->op, &c, &f->cd), &f->op);
    REQUIRE_OK(codedeploy_start(&f->op, f->cd), &f->op);
}

void fake_close(struct fake *f)
{
    codedeploy_close(f->cd);
    store_close(f->store);
    ev_loop_close(&f->loop);
    op_fini(&f->op);
}

/* The op of the test lives on; its time follows the clock. */
static void refresh(struct fake *f)
{
    f->op.now = clock_wall();
    f->op.now_mono = clock_mono();
}

void fake_settle(struct fake *f)
{
    REQUIRE(ev_loop_settle(&f->loop, 1000));
    refresh(f);
}

void fake_advance(struct fake *f, dur_t by)
{
    clock_manual_advance(by);
    f->state->now_us += by.us;
    fake_settle(f);
}

void fake_tasks_live(struct fake *f)
{
    for (int i = 0; i < FAKE_SETS_MAX; i++) {
        struct fake_set *t = &f->state->sets[i];
        if (t->exists && t->is_leaving) {
            t->exists = false;
        } else if (t->exists) {
            t->healthy = t->desired;
        }
    }
    codedeploy_task_set_changed(f->cd, f->op.region, STR("service"));
    fake_settle(f);
}

/* ---- calls ---------------------------------------------------------------------------------- */

void fake_make_group(struct fake *f,
                     void (*change)(struct codedeploy_create_deployment_group_in *in))
{
    struct codedeploy_create_application_in app = {
        .application_name = STR("shop"), .compute_platform = CODEDEPLOY_COMPUTE_PLATFORM_ECS};
    struct codedeploy_create_application_out app_out = {0};
    REQUIRE_OK(codedeploy_handlers.create_application(&f->op, f->cd, &app, &app_out), &f->op);

    struct codedeploy_ecs_service service = {.cluster_name = STR("main"),
                                             .service_name = STR("web")};
    struct codedeploy_target_group_info names[2] = {{.name = STR("one")}, {.name = STR("two")}};
    struct str prod_arn = STR(FAKE_PROD);
    struct str test_arn = STR(FAKE_TEST);
    struct codedeploy_traffic_route prod = {.listener_arns = {&prod_arn, 1, true}};
    struct codedeploy_traffic_route test = {.listener_arns = {&test_arn, 1, true}};
    struct codedeploy_target_group_pair_info pair = {.target_groups = {names, 2, true},
                                                     .prod_traffic_route = &prod,
                                                     .test_traffic_route = &test};
    struct codedeploy_load_balancer_info lb = {.target_group_pair_info_list = {&pair, 1, true}};
    struct codedeploy_alarm alarm = {.name = STR("api-5xx")};
    struct codedeploy_alarm_configuration alarms = {.enabled = OPT_BOOL(true),
                                                    .alarms = {&alarm, 1, true}};
    enum codedeploy_auto_rollback_event events[] = {
        CODEDEPLOY_AUTO_ROLLBACK_EVENT_DEPLOYMENT_FAILURE,
        CODEDEPLOY_AUTO_ROLLBACK_EVENT_DEPLOYMENT_STOP_ON_ALARM};
    struct codedeploy_auto_rollback_configuration rollback = {.enabled = OPT_BOOL(true),
                                                              .events = {events, 2, true}};
    struct codedeploy_blue_instance_termination_option end = {
        .action = CODEDEPLOY_INSTANCE_ACTION_TERMINATE,
        .termination_wait_time_in_minutes = OPT_I32(5)};
    struct codedeploy_blue_green_deployment_configuration blue_green = {
        .terminate_blue_instances_on_deployment_success = &end};
    struct codedeploy_create_deployment_group_in in = {
        .application_name = STR("shop"),
        .deployment_group_name = STR("web"),
        .deployment_config_name = STR("CodeDeployDefault.ECSCanary10Percent5Minutes"),
        .service_role_arn = STR("arn:aws:iam::123456789012:role/codedeploy"),
        .alarm_configuration = &alarms,
        .auto_rollback_configuration = &rollback,
        .blue_green_deployment_configuration = &blue_green,
        .load_balancer_info = &lb,
        .ecs_services = {&service, 1, true},
    };
    if (change != NULL) {
        change(&in);
    }
    struct codedeploy_create_deployment_group_out out = {0};
    REQUIRE_OK(codedeploy_handlers.create_deployment_group(&f->op, f->cd, &in, &out), &f->op);
    EXPECT_EQ(out.deployment_group_id.len, 36);
}

const struct codedeploy_alarm_configuration *fake_override_alarms;

enum err fake_try_deploy(struct fake *f, const char *config, struct str appspec, struct str *ret_id)
{
    struct codedeploy_app_spec_content content = {.content = appspec};
    struct codedeploy_revision_location revision = {
        .revision_type = CODEDEPLOY_REVISION_LOCATION_TYPE_APPSPECCONTENT,
        .app_spec_content = &content};
    struct codedeploy_create_deployment_in in = {.application_name = STR("shop"),
                                                 .deployment_group_name = STR("web"),
                                                 .deployment_config_name = str_of(config),
                                                 .revision = &revision,
                                                 .description = STR("release 2")};
    struct codedeploy_alarm_configuration override = {0};
    if (fake_override_alarms != NULL) {
        override = *fake_override_alarms;
        in.override_alarm_configuration = &override;
    }
    struct codedeploy_create_deployment_out out = {0};
    enum err e = codedeploy_handlers.create_deployment(&f->op, f->cd, &in, &out);
    *ret_id = out.deployment_id;
    return e;
}

struct str fake_deploy(struct fake *f, const char *config, struct str appspec)
{
    struct str id = STR_NONE;
    REQUIRE_OK(fake_try_deploy(f, config, appspec, &id), &f->op);
    return id;
}

struct codedeploy_deployment_info *fake_get(struct fake *f, struct str id)
{
    struct codedeploy_get_deployment_in in = {.deployment_id = id};
    struct codedeploy_get_deployment_out out = {0};
    REQUIRE_OK(codedeploy_handlers.get_deployment(&f->op, f->cd, &in, &out), &f->op);
    return out.deployment_info;
}

struct codedeploy_ecs_target *fake_target(struct fake *f, struct str id)
{
    struct codedeploy_get_deployment_target_in in = {.deployment_id = id,
                                                     .target_id = STR("main:web")};
    struct codedeploy_get_deployment_target_out out = {0};
    REQUIRE_OK(codedeploy_handlers.get_deployment_target(&f->op, f->cd, &in, &out), &f->op);
    return out.deployment_target->ecs_target;
}
