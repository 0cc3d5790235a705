/* What the data plane is told, what it reports, drains, ports, restarts, names. */

#include "fixture.h"

#include "base/file.h"
#include "store/store.h"
#include "svc/elbv2/hosts.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOST STR("10.0.0.1")

struct site {
    struct elbv2_load_balancer lb;
    struct str blue;
    struct str green;
    struct elbv2_listener listener;
};

static struct site make_site(struct fixture *f)
{
    struct site s = {.lb = make_load_balancer(f, STR("web")),
                     .blue = make_group(f, STR("blue")),
                     .green = make_group(f, STR("green"))};
    s.listener = make_listener(f, s.lb.load_balancer_arn, 80, s.blue);
    return s;
}

static void stand_still(void)
{
    clock_use_manual((mono_t){.us = 1000000}, (wall_t){.us = 1795000000000000});
}

/* ---- snapshots ------------------------------------------------------------------------------ */

TEST(a_snapshot_holds_listeners_rules_weights_and_targets)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_create_rule_in rule =
        rule_in(&f, s.listener.listener_arn, 10, STR("/api/*"), s.green);
    rule.actions = split_between(&f, s.green, 10, s.blue, 90);
    struct elbv2_create_rule_out made = {0};
    REQUIRE_OK(elbv2_handlers.create_rule(&f.op, f.e, &rule, &made), &f.op);
    register_target(&f, s.blue, HOST, 8080);
    struct elbv2_modify_load_balancer_attributes_in idle = {.load_balancer_arn =
                                                                s.lb.load_balancer_arn};
    struct elbv2_modify_load_balancer_attributes_out set = {0};
    *ARENA_PUSH(&f.op.arena, &idle.attributes) = (struct elbv2_load_balancer_attribute){
        .key = STR("idle_timeout.timeout_seconds"), .value = STR("7")};
    REQUIRE_OK(elbv2_handlers.modify_load_balancer_attributes(&f.op, f.e, &idle, &set), &f.op);
    fixture_turn(&f);

    REQUIRE_EQ(f.snapshot.listeners.count, 1);
    const struct lbconf_listener *l = &f.snapshot.listeners.items[0];
    EXPECT_STR_EQ(l->arn, s.listener.listener_arn);
    EXPECT(str_match(STR("app/web/????????????????"), l->load_balancer, false));
    EXPECT_STR_EQ(l->address, s.lb.dns_name);
    EXPECT_EQ(l->port.value, 80);
    EXPECT_STR(l->protocol, "HTTP");
    REQUIRE_EQ(l->attributes.count, 1);
    EXPECT_STR(l->attributes.items[0].value, "7");
    REQUIRE_EQ(l->rules.count, 2);
    EXPECT_EQ(l->rules.items[0].priority.value, 10);
    EXPECT_STR(l->rules.items[0].conditions.items[0].field, "path-pattern");
    EXPECT_STR(l->rules.items[0].conditions.items[0].values.items[0], "/api/*");
    EXPECT_EQ(l->rules.items[1].priority.value, 0);
    EXPECT_EQ(l->rules.items[1].conditions.count, 0);
    const struct lbconf_action *split = &l->rules.items[0].actions.items[0];
    EXPECT_STR(split->type, "forward");
    REQUIRE_EQ(split->weights.count, 2);
    const struct lbconf_target_groups *groups = &f.snapshot.target_groups;
    EXPECT_STR_EQ(groups->items[split->weights.items[0].target_group.value].arn, s.green);
    EXPECT_STR_EQ(groups->items[split->weights.items[1].target_group.value].arn, s.blue);
    EXPECT_EQ(split->weights.items[1].weight.value, 90);

    const struct lbconf_target_group *blue = snapshot_group(&f, s.blue);
    REQUIRE(blue != NULL);
    EXPECT(blue->is_in_use.value);
    EXPECT_STR_EQ(blue->load_balancer, l->load_balancer);
    EXPECT_STR(blue->check_path, "/");
    EXPECT_STR(blue->matcher, "200");
    REQUIRE_EQ(blue->targets.count, 1);
    EXPECT_STR_EQ(blue->targets.items[0].host, HOST);
    EXPECT_EQ(blue->targets.items[0].port.value, 8080);
    EXPECT(!blue->targets.items[0].is_draining.value);
}

TEST(rule_changes_go_out_at_once_and_the_rest_once_a_turn)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    fixture_turn(&f);
    size_t before = f.publish_count;
    int64_t version = f.snapshot.version.value;
    register_target(&f, s.blue, HOST, 8080);
    register_target(&f, s.blue, HOST, 8081);
    register_target(&f, s.green, HOST, 8082);
    EXPECT_EQ(f.publish_count, before);
    EXPECT(f.is_wake_asked);
    EXPECT_EQ(f.wake_within.us, 0);
    fixture_turn(&f);
    EXPECT_EQ(f.publish_count, before + 1);
    EXPECT(f.snapshot.version.value > version);
    fixture_turn(&f);
    EXPECT_EQ(f.publish_count, before + 1);

    struct elbv2_modify_listener_in in = {.listener_arn = s.listener.listener_arn,
                                          .default_actions =
                                              split_between(&f, s.blue, 1, s.green, 3)};
    struct elbv2_modify_listener_out out = {0};
    REQUIRE_OK(elbv2_handlers.modify_listener(&f.op, f.e, &in, &out), &f.op);
    EXPECT_EQ(f.publish_count, before + 2);
    EXPECT_EQ(f.snapshot.listeners.items[0].rules.items[0].actions.items[0].weights.count, 2);
    EXPECT(snapshot_group(&f, s.green)->is_in_use.value);
}

TEST(nothing_is_published_when_a_transaction_is_rolled_back)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    fixture_turn(&f);
    size_t before = f.publish_count;
    {
        AUTO(store_tx_fini) struct store_tx tx = {0};
        REQUIRE_OK(store_tx_begin(&f.op, f.store, &tx), &f.op);
        struct port_weights weights = {.items = {{s.green, 100}}, .count = 1};
        REQUIRE_OK(f.port.set_weights(f.port.self, &f.op, s.listener.listener_arn, &weights),
                   &f.op);
        REQUIRE_OK(f.port.register_target(f.port.self, &f.op, s.green, HOST, 1), &f.op);
        EXPECT_EQ(f.publish_count, before);
    }
    EXPECT_EQ(f.publish_count, before);
    fixture_turn(&f);
    EXPECT_EQ(f.publish_count, before);
    struct port_weights weights = {0};
    REQUIRE_OK(f.port.get_weights(f.port.self, &f.op, s.listener.listener_arn, &weights), &f.op);
    EXPECT_STR_EQ(weights.items[0].target_group_arn, s.blue);
    register_target(&f, s.blue, HOST, 8080);
    fixture_turn(&f);
    EXPECT(snapshot_group(&f, s.green) == NULL);
}

TEST(groups_of_https_are_served_as_groups_of_http)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_create_target_group_in in = {.name = STR("tls"),
                                              .protocol = ELBV2_PROTOCOL_ENUM_HTTPS,
                                              .port = OPT_I32(8443),
                                              .vpc_id = f.network.vpc_id,
                                              .target_type = ELBV2_TARGET_TYPE_ENUM_IP};
    struct elbv2_create_target_group_out out = {0};
    REQUIRE_OK(elbv2_handlers.create_target_group(&f.op, f.e, &in, &out), &f.op);
    struct str tls = out.target_groups.items[0].target_group_arn;
    (void)make_listener(&f, s.lb.load_balancer_arn, 81, tls);
    register_target(&f, tls, HOST, 8443);
    fixture_turn(&f);
    const struct lbconf_target_group *group = snapshot_group(&f, tls);
    REQUIRE(group != NULL);
    EXPECT(group->is_in_use.value);
    EXPECT_STR(group->protocol, "HTTPS");
    EXPECT_STR(group->check_protocol, "HTTP");
    EXPECT_EQ(group->targets.count, 1);
}

TEST(groups_that_cannot_be_served_are_said_to_be_and_spoil_nothing)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_create_target_group_in in = {.name = STR("function"),
                                              .target_type = ELBV2_TARGET_TYPE_ENUM_LAMBDA};
    struct elbv2_create_target_group_out out = {0};
    REQUIRE_OK(elbv2_handlers.create_target_group(&f.op, f.e, &in, &out), &f.op);
    struct str function = out.target_groups.items[0].target_group_arn;
    (void)make_listener(&f, s.lb.load_balancer_arn, 81, function);
    fixture_turn(&f);
    const struct lbconf_target_group *group = snapshot_group(&f, function);
    REQUIRE(group != NULL);
    EXPECT(!group->is_in_use.value);
    EXPECT_EQ(group->targets.count, 0);
    struct elbv2_load_balancer lb = make_load_balancer(&f, STR("web"));
    EXPECT_STR(lb.state->reason, "Target group 'function' gets no requests: this engine does not "
                                 "invoke Lambda functions.");
}

/* ---- health --------------------------------------------------------------------------------- */

static void expect_health(struct fixture *f, struct str group,
                          enum elbv2_target_health_state_enum state,
                          enum elbv2_target_health_reason_enum reason, const char *description)
{
    struct elbv2_target_health_description told = see_one(f, group, HOST, 8080);
    EXPECT_EQ(told.target_health->state, state);
    EXPECT_EQ(told.target_health->reason, reason);
    EXPECT_STR_EQ(told.target_health->description, str_of(description));
}

TEST(health_is_told_in_the_words_of_aws)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    expect_health(&f, s.blue, ELBV2_TARGET_HEALTH_STATE_ENUM_UNUSED,
                  ELBV2_TARGET_HEALTH_REASON_ENUM_TARGET_NOTREGISTERED,
                  "Target is not registered to the target group");
    register_target(&f, s.blue, HOST, 8080);
    register_target(&f, s.green, HOST, 8080);
    expect_health(&f, s.green, ELBV2_TARGET_HEALTH_STATE_ENUM_UNUSED,
                  ELBV2_TARGET_HEALTH_REASON_ENUM_TARGET_NOTINUSE,
                  "Target group is not configured to receive traffic from the load balancer");
    expect_health(&f, s.blue, ELBV2_TARGET_HEALTH_STATE_ENUM_INITIAL,
                  ELBV2_TARGET_HEALTH_REASON_ENUM_ELB_REGISTRATIONINPROGRESS,
                  "Target registration is in progress");
    fixture_turn(&f);
    fixture_acknowledge(&f);
    expect_health(&f, s.blue, ELBV2_TARGET_HEALTH_STATE_ENUM_INITIAL,
                  ELBV2_TARGET_HEALTH_REASON_ENUM_ELB_INITIALHEALTHCHECKING,
                  "Initial health checks in progress");
    fixture_report(&f, s.blue, HOST, 8080, "healthy", NULL, NULL);
    expect_health(&f, s.blue, ELBV2_TARGET_HEALTH_STATE_ENUM_HEALTHY,
                  ELBV2_TARGET_HEALTH_REASON_ENUM_UNSET, NULL);
    EXPECT_EQ(f.target_changed_count, 1);
    EXPECT_STR_EQ(str_of(f.changed_group), s.blue);
    fixture_report(&f, s.blue, HOST, 8080, "healthy", NULL, NULL);
    EXPECT_EQ(f.target_changed_count, 1);
    fixture_report(&f, s.blue, HOST, 8080, "unhealthy", "Target.ResponseCodeMismatch",
                   "Health checks failed with these codes: [404]");
    expect_health(&f, s.blue, ELBV2_TARGET_HEALTH_STATE_ENUM_UNHEALTHY,
                  ELBV2_TARGET_HEALTH_REASON_ENUM_TARGET_RESPONSECODEMISMATCH,
                  "Health checks failed with these codes: [404]");
    EXPECT_EQ(f.target_changed_count, 2);
    /* nobody we know */
    fixture_report(&f, s.blue, STR("10.9.9.9"), 8080, "healthy", NULL, NULL);
    fixture_report(&f, STR("arn:x"), HOST, 8080, "healthy", NULL, NULL);
    EXPECT_EQ(f.target_changed_count, 2);

    struct elbv2_describe_target_health_in in = {.target_group_arn = s.blue};
    struct elbv2_describe_target_health_out out = {0};
    *ARENA_PUSH(&f.op.arena, &in.include) = ELBV2_DESCRIBE_TARGET_HEALTH_INPUT_INCLUDE_ENUM_ALL;
    REQUIRE_OK(elbv2_handlers.describe_target_health(&f.op, f.e, &in, &out), &f.op);
    REQUIRE_EQ(out.target_health_descriptions.count, 1);
    EXPECT_STR(out.target_health_descriptions.items[0].health_check_port, "8080");
    EXPECT(out.target_health_descriptions.items[0].anomaly_detection != NULL);
}

TEST(targets_that_cannot_be_are_refused)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_register_targets_in in = {.target_group_arn = s.blue};
    struct elbv2_register_targets_out out = {0};
    EXPECT_CODE(f, elbv2_handlers.register_targets(&f.op, f.e, &in, &out), "ValidationError");
    struct elbv2_target_description *t = ARENA_PUSH(&f.op.arena, &in.targets);
    t->id = STR("i-0123456789");
    EXPECT_CODE(f, elbv2_handlers.register_targets(&f.op, f.e, &in, &out), "ValidationError");
    EXPECT_NOTE(f, "The IP address 'i-0123456789' is not a valid IPv4 address");
    t->id = STR("::1");
    EXPECT_CODE(f, elbv2_handlers.register_targets(&f.op, f.e, &in, &out), "ValidationError");
    t->id = STR("unix:/run/x");
    EXPECT_CODE(f, elbv2_handlers.register_targets(&f.op, f.e, &in, &out), "ValidationError");

    struct elbv2_create_target_group_in group = {.name = STR("vm"),
                                                 .protocol = ELBV2_PROTOCOL_ENUM_HTTP,
                                                 .port = OPT_I32(80),
                                                 .vpc_id = f.network.vpc_id};
    struct elbv2_create_target_group_out made = {0};
    REQUIRE_OK(elbv2_handlers.create_target_group(&f.op, f.e, &group, &made), &f.op);
    in.target_group_arn = made.target_groups.items[0].target_group_arn;
    t->id = STR("i-0123456789");
    EXPECT_CODE(f, elbv2_handlers.register_targets(&f.op, f.e, &in, &out), "InvalidTarget");
    struct elbv2_describe_target_health_in ask = {.target_group_arn = in.target_group_arn,
                                                  .targets = in.targets};
    struct elbv2_describe_target_health_out told = {0};
    EXPECT_CODE(f, elbv2_handlers.describe_target_health(&f.op, f.e, &ask, &told), "InvalidTarget");
    /* a target that was never there can be taken away */
    struct elbv2_deregister_targets_in gone = {.target_group_arn = s.blue};
    struct elbv2_deregister_targets_out done = {0};
    *ARENA_PUSH(&f.op.arena, &gone.targets) = (struct elbv2_target_description){.id = HOST};
    EXPECT_CODE(f, elbv2_handlers.deregister_targets(&f.op, f.e, &gone, &done), "");
}

/* ---- drains --------------------------------------------------------------------------------- */

static void deregister(struct fixture *f, struct str group)
{
    struct elbv2_deregister_targets_in in = {.target_group_arn = group};
    struct elbv2_deregister_targets_out out = {0};
    *ARENA_PUSH(&f->op.arena, &in.targets) =
        (struct elbv2_target_description){.id = HOST, .port = OPT_I32(8080)};
    REQUIRE_OK(elbv2_handlers.deregister_targets(&f->op, f->e, &in, &out), &f->op);
}

static struct port_target_sight see_port(struct fixture *f, struct str group)
{
    struct port_target_sight sight = {0};
    REQUIRE_OK(f->port.see_target(f->port.self, &f->op, group, HOST, 8080, &sight), &f->op);
    return sight;
}

TEST(a_deregistered_target_drains_until_the_delay_is_over)
{
    stand_still();
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    register_target(&f, s.blue, HOST, 8080);
    fixture_turn(&f);
    deregister(&f, s.blue);
    fixture_turn(&f);
    const struct lbconf_target_group *blue = snapshot_group(&f, s.blue);
    REQUIRE_EQ(blue->targets.count, 1);
    EXPECT(blue->targets.items[0].is_draining.value);
    EXPECT_EQ(blue->targets.items[0].draining_since_ms.value, 1795000000000);
    expect_health(&f, s.blue, ELBV2_TARGET_HEALTH_STATE_ENUM_DRAINING,
                  ELBV2_TARGET_HEALTH_REASON_ENUM_TARGET_DEREGISTRATIONINPROGRESS,
                  "Target deregistration is in progress");
    EXPECT_EQ(see_port(&f, s.blue).state, PORT_TARGET_DRAINING);
    EXPECT(f.is_wake_asked);
    EXPECT_EQ(f.wake_within.us, DUR_S(300).us);

    clock_manual_advance(DUR_S(299));
    fixture_turn(&f);
    EXPECT_EQ(snapshot_group(&f, s.blue)->targets.count, 1);
    EXPECT_EQ(f.wake_within.us, DUR_S(1).us);
    clock_manual_advance(DUR_S(1));
    size_t told = f.target_changed_count;
    fixture_turn(&f);
    EXPECT_EQ(snapshot_group(&f, s.blue)->targets.count, 0);
    EXPECT_EQ(f.target_changed_count, told + 1);
    fixture_turn(&f);
    EXPECT(!f.is_wake_asked);
    expect_health(&f, s.blue, ELBV2_TARGET_HEALTH_STATE_ENUM_UNUSED,
                  ELBV2_TARGET_HEALTH_REASON_ENUM_TARGET_NOTREGISTERED,
                  "Target is not registered to the target group");
}

TEST(a_target_without_work_leaves_at_once_but_is_told_as_draining)
{
    stand_still();
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    register_target(&f, s.blue, HOST, 8080);
    fixture_turn(&f);
    fixture_report(&f, s.blue, HOST, 8080, "healthy", NULL, NULL);
    deregister(&f, s.blue);
    fixture_turn(&f);
    struct lbconf_drained drained = {.target_group = s.blue, .host = HOST, .port = OPT_I32(8080)};
    size_t told = f.target_changed_count;
    elbv2_heard_drained(f.e, &drained);
    EXPECT_EQ(f.target_changed_count, told + 1);
    EXPECT_EQ(see_port(&f, s.blue).state, PORT_TARGET_UNUSED);
    expect_health(&f, s.blue, ELBV2_TARGET_HEALTH_STATE_ENUM_DRAINING,
                  ELBV2_TARGET_HEALTH_REASON_ENUM_TARGET_DEREGISTRATIONINPROGRESS,
                  "Target deregistration is in progress");
    fixture_turn(&f);
    EXPECT_EQ(snapshot_group(&f, s.blue)->targets.count, 0);
    elbv2_heard_drained(f.e, &drained); /* twice does no harm */

    /* registered again: as new, and an old report does not take it away */
    register_target(&f, s.blue, HOST, 8080);
    fixture_turn(&f);
    elbv2_heard_drained(f.e, &drained);
    EXPECT_EQ(see_port(&f, s.blue).state, PORT_TARGET_INITIAL);
    EXPECT_EQ(snapshot_group(&f, s.blue)->targets.count, 1);
    clock_manual_advance(DUR_S(1000));
    fixture_turn(&f);
    EXPECT_EQ(snapshot_group(&f, s.blue)->targets.count, 1);
}

TEST(targets_of_groups_without_traffic_do_not_drain)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    register_target(&f, s.green, HOST, 8080);
    deregister(&f, s.green);
    expect_health(&f, s.green, ELBV2_TARGET_HEALTH_STATE_ENUM_UNUSED,
                  ELBV2_TARGET_HEALTH_REASON_ENUM_TARGET_NOTREGISTERED,
                  "Target is not registered to the target group");
}

TEST(targets_of_a_group_that_lost_its_traffic_finish_their_work)
{
    stand_still();
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    register_target(&f, s.blue, HOST, 8080);
    fixture_turn(&f);
    struct port_weights weights = {.items = {{s.green, 100}}, .count = 1};
    REQUIRE_OK(f.port.set_weights(f.port.self, &f.op, s.listener.listener_arn, &weights), &f.op);
    EXPECT(!snapshot_group(&f, s.blue)->is_in_use.value);
    REQUIRE_OK(f.port.deregister_target(f.port.self, &f.op, s.blue, HOST, 8080), &f.op);
    EXPECT_EQ(see_port(&f, s.blue).state, PORT_TARGET_DRAINING);
    fixture_turn(&f);
    REQUIRE_EQ(snapshot_group(&f, s.blue)->targets.count, 1);
    EXPECT(snapshot_group(&f, s.blue)->targets.items[0].is_draining.value);
    elbv2_heard_drained(
        f.e, &(struct lbconf_drained){.target_group = s.blue, .host = HOST, .port = OPT_I32(8080)});
    EXPECT_EQ(see_port(&f, s.blue).state, PORT_TARGET_UNUSED);
    fixture_turn(&f);
    EXPECT(snapshot_group(&f, s.blue) == NULL);
}

TEST(drains_are_divided_by_the_time_scale)
{
    stand_still();
    clock_set_scale(100);
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    register_target(&f, s.blue, HOST, 8080);
    deregister(&f, s.blue);
    fixture_turn(&f);
    EXPECT_EQ(f.wake_within.us, DUR_S(3).us);
    clock_manual_advance(DUR_S(3));
    fixture_turn(&f);
    EXPECT_EQ(snapshot_group(&f, s.blue)->targets.count, 0);
}

/* ---- ports ---------------------------------------------------------------------------------- */

TEST(weights_are_set_through_the_port_on_listeners_rules_and_default_rules)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    fixture_turn(&f);
    fixture_acknowledge(&f);
    EXPECT(f.port.is_published(f.port.self));
    size_t before = f.publish_count;
    struct port_weights weights = {.items = {{s.blue, 90}, {s.green, 10}}, .count = 2};
    REQUIRE_OK(f.port.set_weights(f.port.self, &f.op, s.listener.listener_arn, &weights), &f.op);
    EXPECT_EQ(f.publish_count, before + 1);
    EXPECT(!f.port.is_published(f.port.self));
    size_t told = f.weights_published_count;
    fixture_acknowledge(&f);
    EXPECT(f.port.is_published(f.port.self));
    EXPECT_EQ(f.weights_published_count, told + 1);
    REQUIRE_OK(f.port.set_weights(f.port.self, &f.op, s.listener.listener_arn, &weights), &f.op);
    EXPECT_EQ(f.publish_count, before + 1); /* what stands already is not published */

    struct elbv2_describe_rules_in ask = {.listener_arn = s.listener.listener_arn};
    struct elbv2_describe_rules_out rules = {0};
    REQUIRE_OK(elbv2_handlers.describe_rules(&f.op, f.e, &ask, &rules), &f.op);
    struct str default_rule = rules.rules.items[0].rule_arn;
    struct port_weights got = {0};
    REQUIRE_OK(f.port.get_weights(f.port.self, &f.op, default_rule, &got), &f.op);
    REQUIRE_EQ(got.count, 2);
    EXPECT_EQ(got.items[1].weight, 10);
    weights.items[0].weight = 0;
    weights.items[1].weight = 100;
    REQUIRE_OK(f.port.set_weights(f.port.self, &f.op, default_rule, &weights), &f.op);
    EXPECT_EQ(
        f.snapshot.listeners.items[0].rules.items[0].actions.items[0].weights.items[0].weight.value,
        0);
    struct port_weights bad = {.items = {{STR("arn:x"), 1}}, .count = 1};
    EXPECT_EQ(f.port.set_weights(f.port.self, &f.op, s.listener.listener_arn, &bad), ERR_INPUT);
    EXPECT_EQ(f.port.get_weights(f.port.self, &f.op,
                                 STR("arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/"
                                     "app/web/1/2"),
                                 &got),
              ERR_NOT_FOUND);

    struct port_target_group group = {0};
    REQUIRE_OK(f.port.find_target_group(f.port.self, &f.op, STR("green"), &group), &f.op);
    EXPECT_STR_EQ(group.arn, s.green);
    EXPECT_STR_EQ(group.load_balancer_arn, s.lb.load_balancer_arn);
    EXPECT_STR(group.target_type, "ip");
    EXPECT_EQ(f.port.find_target_group(f.port.self, &f.op, STR("ghost"), &group), ERR_NOT_FOUND);
}

TEST(targets_go_in_and_out_through_the_port)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct str socket = STR("unix:/run/app.sock");
    REQUIRE_OK(f.port.register_target(f.port.self, &f.op, s.blue, socket, 0), &f.op);
    REQUIRE_OK(f.port.register_target(f.port.self, &f.op, s.blue, socket, 0), &f.op);
    EXPECT_EQ(f.port.register_target(f.port.self, &f.op, s.blue, STR("not an address"), 0),
              ERR_INPUT);
    EXPECT_EQ(f.port.register_target(f.port.self, &f.op, s.blue, HOST, 0), ERR_INPUT);
    struct str longest =
        STR("unix:/0123456789012345678901234567890123456789012345678901234567890123456"
            "78901234567890123456789012345678901234567");
    EXPECT_EQ(f.port.register_target(f.port.self, &f.op, s.blue, longest, 0), ERR_INPUT);
    REQUIRE_OK(f.port.register_target(f.port.self, &f.op, s.blue, HOST, 8080), &f.op);
    fixture_turn(&f);
    EXPECT_EQ(snapshot_group(&f, s.blue)->targets.count, 2);
    EXPECT_EQ(see_port(&f, s.blue).state, PORT_TARGET_INITIAL);
    fixture_report(&f, s.blue, HOST, 8080, "unhealthy", "Target.Timeout", "Request timed out");
    struct port_target_sight sight = see_port(&f, s.blue);
    EXPECT_EQ(sight.state, PORT_TARGET_UNHEALTHY);
    EXPECT_STR(sight.reason, "Target.Timeout");
    EXPECT_STR(sight.description, "Request timed out");
    REQUIRE_OK(f.port.deregister_target(f.port.self, &f.op, s.blue, HOST, 8080), &f.op);
    REQUIRE_OK(f.port.deregister_target(f.port.self, &f.op, s.blue, HOST, 8080), &f.op);
    EXPECT_EQ(see_port(&f, s.blue).state, PORT_TARGET_DRAINING);
}

/* ---- restarts ------------------------------------------------------------------------------- */

TEST(a_restart_finds_everything_and_versions_go_on)
{
    stand_still();
    FIXTURE;
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/store", test_folder());
    fixture_open(&f, path, NULL, STR_NONE);
    struct site s = make_site(&f);
    register_target(&f, s.blue, HOST, 8080);
    register_target(&f, s.green, HOST, 8080);
    deregister(&f, s.blue);
    fixture_turn(&f);
    fixture_acknowledge(&f);
    int64_t version = f.snapshot.version.value;
    clock_manual_advance(DUR_S(100));
    fixture_restart(&f);
    EXPECT(f.is_wake_asked);
    EXPECT(!f.port.is_published(f.port.self));
    fixture_turn(&f);
    EXPECT(f.snapshot.version.value > version);
    EXPECT_EQ(f.snapshot.listeners.count, 1);
    EXPECT_EQ(f.snapshot.target_groups.count, 2);
    EXPECT(snapshot_group(&f, s.blue)->targets.items[0].is_draining.value);
    EXPECT_EQ(f.wake_within.us, DUR_S(200).us); /* the drain goes on where it was */
    size_t before = f.publish_count;
    elbv2_publish_again(f.e);
    EXPECT_EQ(f.publish_count, before + 1);
    EXPECT_EQ(elbv2_region_of(f.e, &f.op.arena, f.snapshot.listeners.items[0].load_balancer).len,
              9);
    EXPECT(!str_is_set(elbv2_region_of(f.e, &f.op.arena, STR("app/x/1"))));
}

TEST(a_listener_that_does_not_listen_is_told)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    fixture_turn(&f);
    struct lbconf_listen_failed failed = {.listener = s.listener.listener_arn,
                                          .sentence = STR("Address already in use")};
    elbv2_heard_listen_failed(f.e, &failed);
    elbv2_heard_listen_failed(f.e, &failed);
    struct elbv2_load_balancer lb = make_load_balancer(&f, STR("web"));
    EXPECT_EQ(lb.state->code, ELBV2_LOAD_BALANCER_STATE_ENUM_ACTIVE_IMPAIRED);
    EXPECT_STR(lb.state->reason, "The listener on port 80 does not listen: Address already in use");
    register_target(&f, s.blue, HOST, 1);
    fixture_turn(&f); /* tried again */
    lb = make_load_balancer(&f, STR("web"));
    EXPECT_EQ(lb.state->code, ELBV2_LOAD_BALANCER_STATE_ENUM_ACTIVE);
}

TEST(internet_facing_load_balancers_share_the_configured_address)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR("192.0.2.1"));
    struct elbv2_load_balancer one = make_load_balancer(&f, STR("one"));
    struct elbv2_load_balancer two = make_load_balancer(&f, STR("two"));
    EXPECT_STR(one.dns_name, "192.0.2.1");
    struct str a = make_group(&f, STR("a"));
    struct str b = make_group(&f, STR("b"));
    (void)make_listener(&f, one.load_balancer_arn, 80, a);
    struct elbv2_create_listener_in in = {.load_balancer_arn = two.load_balancer_arn,
                                          .protocol = ELBV2_PROTOCOL_ENUM_HTTP,
                                          .port = OPT_I32(80),
                                          .default_actions = forward_to(&f, b)};
    struct elbv2_create_listener_out out = {0};
    EXPECT_CODE(f, elbv2_handlers.create_listener(&f.op, f.e, &in, &out),
                "InvalidConfigurationRequest");
    in.port = OPT_I32(81);
    EXPECT_CODE(f, elbv2_handlers.create_listener(&f.op, f.e, &in, &out), "");
    fixture_turn(&f);
    EXPECT_STR(f.snapshot.listeners.items[1].address, "192.0.2.1");
}

/* ---- names ---------------------------------------------------------------------------------- */

#define BEGIN "# hitless m begin: load balancer names, kept by the engine while it runs\n"
#define END   "# hitless m end\n"

TEST(the_block_in_the_hosts_file_is_replaced_and_nothing_else)
{
    auto_op struct op op;
    op_init(&op);
    const struct elbv2_host_name names[] = {
        {STR("127.77.1.1"), STR("a.eu-west-1.elb.amazonaws.com")},
        {STR("127.77.1.2"), STR("b.eu-west-1.elb.amazonaws.com")}};
    const char *block = BEGIN "127.77.1.1 a.eu-west-1.elb.amazonaws.com\n"
                              "127.77.1.2 b.eu-west-1.elb.amazonaws.com\n" END;
    struct str with = arena_printf(&op.arena, "127.0.0.1 localhost\n%s", block);
    static const struct {
        const char *before;
        const char *without;
    } cases[] = {
        {"127.0.0.1 localhost\n", "127.0.0.1 localhost\n"},
        {"127.0.0.1 localhost", "127.0.0.1 localhost\n"},
        {BEGIN "127.77.9.9 old.eu-west-1.elb.amazonaws.com\n" END "127.0.0.1 localhost\n",
         "127.0.0.1 localhost\n"},
        /* somebody removed the end: only lines of ours go */
        {BEGIN "127.77.9.9 old.eu-west-1.elb.amazonaws.com\n127.0.0.1 localhost\n",
         "127.0.0.1 localhost\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str text = elbv2_hosts_text(&op.arena, str_of(cases[i].before), STR("m"), names, 2);
        EXPECT_STR_EQ(text, with);
        EXPECT_STR_EQ(elbv2_hosts_text(&op.arena, text, STR("m"), names, 2), with);
        EXPECT_STR(elbv2_hosts_text(&op.arena, text, STR("m"), NULL, 0), cases[i].without);
    }
    /* another engine's block stays */
    struct str two = elbv2_hosts_text(&op.arena, with, STR("other"), names, 1);
    EXPECT(str_starts_with(two, with));
    EXPECT_STR_EQ(elbv2_hosts_text(&op.arena, two, STR("other"), NULL, 0), with);
}

static struct str read_text(struct op *op, const char *path)
{
    struct str text = STR_NONE;
    REQUIRE_OK(file_read(op, path, 100000, &text), op);
    return text;
}

TEST(names_are_written_when_they_can_be_and_taken_back_at_the_end)
{
    FIXTURE;
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/hosts", test_folder());
    auto_op struct op op;
    op_init(&op);
    REQUIRE_OK(file_write(&op, path, STR("127.0.0.1 localhost\n"), 0644), &op);
    fixture_open(&f, ":memory:", path, STR_NONE);
    struct elbv2_load_balancer lb = make_load_balancer(&f, STR("web"));
    EXPECT(str_match(STR("web-??????????.eu-west-1.elb.amazonaws.com"), lb.dns_name, false));
    fixture_turn(&f);
    struct str text = read_text(&op, path);
    EXPECT(str_find(text, lb.dns_name, 0) != STR_NOT_FOUND);
    EXPECT(str_find(text, STR("\n127.77."), 0) != STR_NOT_FOUND);
    EXPECT(str_starts_with(text, STR("127.0.0.1 localhost\n")));
    struct stat st;
    REQUIRE(stat(path, &st) == 0);
    EXPECT_EQ(st.st_mode & 07777, 0644);

    struct elbv2_delete_load_balancer_in in = {.load_balancer_arn = lb.load_balancer_arn};
    struct elbv2_delete_load_balancer_out out = {0};
    REQUIRE_OK(elbv2_handlers.delete_load_balancer(&f.op, f.e, &in, &out), &f.op);
    fixture_turn(&f);
    EXPECT_STR(read_text(&op, path), "127.0.0.1 localhost\n");
    (void)make_load_balancer(&f, STR("again"));
    fixture_turn(&f);
    elbv2_stop(f.e);
    f.e = NULL;
    EXPECT_STR(read_text(&op, path), "127.0.0.1 localhost\n");
}

TEST(a_hosts_file_that_cannot_be_replaced_is_written_in_place)
{
    FIXTURE;
    char path[256];
    char link[256];
    (void)snprintf(path, sizeof(path), "%s/real", test_folder());
    (void)snprintf(link, sizeof(link), "%s/hosts", test_folder());
    auto_op struct op op;
    op_init(&op);
    REQUIRE_OK(file_write(&op, path, STR("127.0.0.1 localhost\n"), 0644), &op);
    REQUIRE(symlink(path, link) == 0);
    fixture_open(&f, ":memory:", link, STR_NONE);
    struct elbv2_load_balancer lb = make_load_balancer(&f, STR("web"));
    fixture_turn(&f);
    EXPECT(str_find(read_text(&op, path), lb.dns_name, 0) != STR_NOT_FOUND);
    elbv2_stop(f.e);
    f.e = NULL;
    EXPECT_STR(read_text(&op, path), "127.0.0.1 localhost\n");
    struct stat st;
    REQUIRE(lstat(link, &st) == 0);
    EXPECT(S_ISLNK(st.st_mode));
}

TEST(without_a_hosts_file_the_name_is_the_address)
{
    FIXTURE;
    fixture_open(&f, ":memory:", "/nowhere/hosts", STR_NONE);
    struct elbv2_load_balancer lb = make_load_balancer(&f, STR("web"));
    EXPECT(str_starts_with(lb.dns_name, STR("127.77.")));
    fixture_turn(&f);
    lb = make_load_balancer(&f, STR("web"));
    EXPECT(str_starts_with(lb.dns_name, STR("127.77.")));
}

/* ---- size ----------------------------------------------------------------------------------- */

/* With ten targets. */
static struct str make_full_group(struct fixture *f, int number)
{
    struct str arn = make_group(f, arena_printf(&f->op.arena, "g-%d", number));
    for (int t = 0; t < 10; t++) {
        EXPECT_OK(f->port.register_target(f->port.self, &f->op, arn, HOST, 1000 + t), &f->op);
    }
    return arn;
}

/* 20 load balancers with 25 listeners each, two groups a listener. Gives the ARN of the first. */
static struct str make_many_groups(struct fixture *f)
{
    struct str first = STR_NONE;
    struct elbv2_load_balancer lb = {0};
    for (int i = 0; i < 500; i++) {
        if (i % 25 == 0) {
            lb = make_load_balancer(f, arena_printf(&f->op.arena, "lb-%d", i));
        }
        struct str blue = make_full_group(f, 2 * i);
        struct str green = make_full_group(f, 2 * i + 1);
        first = i == 0 ? blue : first;
        struct elbv2_create_listener_in in = {.load_balancer_arn = lb.load_balancer_arn,
                                              .protocol = ELBV2_PROTOCOL_ENUM_HTTP,
                                              .port = OPT_I32(1000 + i),
                                              .default_actions =
                                                  split_between(f, blue, 90, green, 10)};
        struct elbv2_create_listener_out out = {0};
        REQUIRE_OK(elbv2_handlers.create_listener(&f->op, f->e, &in, &out), &f->op);
    }
    return first;
}

TEST(one_target_more_among_ten_thousand_is_quick)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    AUTO(store_tx_fini) struct store_tx tx = {0};
    REQUIRE_OK(store_tx_begin(&f.op, f.store, &tx), &f.op);
    struct str first = make_many_groups(&f);
    REQUIRE_OK(store_tx_commit(&f.op, &tx), &f.op);
    REQUIRE_EQ(f.snapshot.target_groups.count, 1000);
    fixture_restart(&f);
    mono_t start = clock_mono();
    fixture_turn(&f);
    int64_t whole_ms = dur_ms(mono_since(clock_mono(), start));
    EXPECT_EQ(f.snapshot.target_groups.count, 1000);
    register_target(&f, first, HOST, 1);
    start = clock_mono();
    fixture_turn(&f);
    int64_t again_ms = dur_ms(mono_since(clock_mono(), start));
    EXPECT_EQ(snapshot_group(&f, first)->targets.count, 11);
    start = clock_mono();
    for (int i = 0; i < 10; i++) {
        fixture_report(&f, first, HOST, 1000 + i, i % 2 == 0 ? "healthy" : "initial", NULL, NULL);
    }
    int64_t report_ms = dur_ms(mono_since(clock_mono(), start));
    printf("# 1000 groups x 10 targets: first snapshot %lld ms, after one change %lld ms (with the "
           "copy of this test), 10 reports %lld ms\n",
           (long long)whole_ms, (long long)again_ms, (long long)report_ms);
    EXPECT(whole_ms < 2000);
    EXPECT(again_ms < 200); /* a machine under load: the usual is below 10 */
}
