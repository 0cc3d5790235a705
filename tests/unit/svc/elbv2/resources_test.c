/* Load balancers, target groups, attributes, tags, certificates and what is the same for all. */

#include "base/check.h"
#include "fixture.h"

#include <stdio.h>

static struct elbv2_create_load_balancer_in lb_in(struct fixture *f, struct str name)
{
    struct elbv2_create_load_balancer_in in = {.name = name};
    for (size_t i = 0; i < 2; i++) {
        *ARENA_PUSH(&f->op.arena, &in.subnets) = f->network.subnets[i].id;
    }
    return in;
}

static enum err create_lb(struct fixture *f, const struct elbv2_create_load_balancer_in *in)
{
    struct elbv2_create_load_balancer_out out = {0};
    return elbv2_handlers.create_load_balancer(&f->op, f->e, in, &out);
}

TEST(a_new_load_balancer_has_everything_that_clients_read)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct elbv2_load_balancer lb = make_load_balancer(&f, STR("web"));
    EXPECT(str_match(STR("arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/"
                         "????????????????"),
                     lb.load_balancer_arn, false));
    EXPECT(str_match(STR("127.77.*"), lb.dns_name, false)); /* no hosts file: the address */
    EXPECT_STR(lb.canonical_hosted_zone_id, "Z32O12XQLNTSW2");
    EXPECT_EQ(lb.scheme, ELBV2_LOAD_BALANCER_SCHEME_ENUM_INTERNET_FACING);
    EXPECT_EQ(lb.type, ELBV2_LOAD_BALANCER_TYPE_ENUM_APPLICATION);
    EXPECT_EQ(lb.ip_address_type, ELBV2_IP_ADDRESS_TYPE_IPV4);
    EXPECT_EQ(lb.state->code, ELBV2_LOAD_BALANCER_STATE_ENUM_ACTIVE);
    EXPECT(!str_is_set(lb.state->reason));
    EXPECT_STR_EQ(lb.vpc_id, f.network.vpc_id);
    EXPECT(lb.created_time.is_set);
    REQUIRE_EQ(lb.availability_zones.count, 2);
    EXPECT_STR(lb.availability_zones.items[1].zone_name, "eu-west-1b");
    REQUIRE_EQ(lb.security_groups.count, 1);
    EXPECT_STR_EQ(lb.security_groups.items[0], f.network.security_group_id);

    struct elbv2_load_balancer again = make_load_balancer(&f, STR("web"));
    EXPECT_STR_EQ(again.load_balancer_arn, lb.load_balancer_arn);
    EXPECT(again.created_time.value.us == lb.created_time.value.us);
    struct elbv2_load_balancer other = make_load_balancer(&f, STR("web2"));
    EXPECT(!str_equal(other.dns_name, lb.dns_name));
}

TEST(load_balancers_that_aws_would_refuse_are_refused)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct elbv2_create_load_balancer_in in = lb_in(&f, STR("a-name-with-more-than-32-characters"));
    EXPECT_CODE(f, create_lb(&f, &in), "ValidationError");
    EXPECT_NOTE(f, "The load balancer name 'a-name-with-more-than-32-characters' cannot be longer "
                   "than '32' characters");
    in.name = STR("under_score");
    EXPECT_CODE(f, create_lb(&f, &in), "ValidationError");
    in.name = STR("-dash");
    EXPECT_CODE(f, create_lb(&f, &in), "ValidationError");
    in.name = STR("internal-x");
    EXPECT_CODE(f, create_lb(&f, &in), "ValidationError");

    in = lb_in(&f, STR("one"));
    in.subnets.count = 1;
    EXPECT_CODE(f, create_lb(&f, &in), "ValidationError");
    EXPECT_NOTE(f, "At least two subnets in two different Availability Zones must be specified");
    in.subnets.count = 2;
    in.subnets.items[1] = in.subnets.items[0];
    EXPECT_CODE(f, create_lb(&f, &in), "InvalidConfigurationRequest");
    in.subnets.items[1] = STR("subnet-12345");
    EXPECT_CODE(f, create_lb(&f, &in), "SubnetNotFound");
    in = lb_in(&f, STR("groups"));
    *ARENA_PUSH(&f.op.arena, &in.security_groups) = STR("sg-12345");
    EXPECT_CODE(f, create_lb(&f, &in), "InvalidSecurityGroup");
    in = lb_in(&f, STR("six"));
    in.ip_address_type = ELBV2_IP_ADDRESS_TYPE_DUALSTACK;
    EXPECT_CODE(f, create_lb(&f, &in), "ValidationError");

    (void)make_load_balancer(&f, STR("web"));
    in = lb_in(&f, STR("web"));
    in.scheme = ELBV2_LOAD_BALANCER_SCHEME_ENUM_INTERNAL;
    EXPECT_CODE(f, create_lb(&f, &in), "DuplicateLoadBalancerName");
    EXPECT_NOTE(f, "A load balancer with the same name 'web' exists, but with different settings");
}

TEST(the_fifty_first_load_balancer_is_too_many)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    for (int i = 0; i < 50; i++) {
        (void)make_load_balancer(&f, arena_printf(&f.op.arena, "lb-%d", i));
    }
    struct elbv2_create_load_balancer_in in = lb_in(&f, STR("more"));
    EXPECT_CODE(f, create_lb(&f, &in), "TooManyLoadBalancers");

    struct elbv2_describe_load_balancers_in ask = {.page_size = OPT_I32(30)};
    struct elbv2_describe_load_balancers_out page = {0};
    REQUIRE_OK(elbv2_handlers.describe_load_balancers(&f.op, f.e, &ask, &page), &f.op);
    EXPECT_EQ(page.load_balancers.count, 30);
    ask.marker = page.next_marker;
    page = (struct elbv2_describe_load_balancers_out){0};
    REQUIRE_OK(elbv2_handlers.describe_load_balancers(&f.op, f.e, &ask, &page), &f.op);
    EXPECT_EQ(page.load_balancers.count, 20);
    EXPECT(!str_is_set(page.next_marker));
    ask.marker = STR("nonsense");
    EXPECT_CODE(f, elbv2_handlers.describe_load_balancers(&f.op, f.e, &ask, &page),
                "ValidationError");
}

static const char *describe_lb(struct fixture *f, struct str arn, struct str name)
{
    struct elbv2_describe_load_balancers_in in = {0};
    struct elbv2_describe_load_balancers_out out = {0};
    if (str_is_set(arn)) {
        *ARENA_PUSH(&f->op.arena, &in.load_balancer_arns) = arn;
    }
    if (str_is_set(name)) {
        *ARENA_PUSH(&f->op.arena, &in.names) = name;
    }
    return fixture_code(f, elbv2_handlers.describe_load_balancers(&f->op, f->e, &in, &out));
}

TEST(load_balancers_are_found_by_name_and_arn_and_missing_ones_have_their_code)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct elbv2_load_balancer lb = make_load_balancer(&f, STR("web"));
    EXPECT_STR(str_of(describe_lb(&f, lb.load_balancer_arn, STR_NONE)), "");
    EXPECT_STR(str_of(describe_lb(&f, STR_NONE, STR("web"))), "");
    EXPECT_STR(str_of(describe_lb(&f, STR_NONE, STR("ghost"))), "LoadBalancerNotFound");
    EXPECT_NOTE(f, "Load balancers '[ghost]' not found");
    EXPECT_STR(str_of(describe_lb(&f,
                                  STR("arn:aws:elasticloadbalancing:eu-west-1:123456789012:"
                                      "loadbalancer/app/web/0000000000000000"),
                                  STR_NONE)),
               "LoadBalancerNotFound");
    EXPECT_STR(str_of(describe_lb(&f, STR("web"), STR_NONE)), "ValidationError");
    EXPECT_NOTE(f, "'web' is not a valid load balancer ARN");
    EXPECT_STR(str_of(describe_lb(&f,
                                  STR("arn:aws:elasticloadbalancing:us-east-1:123456789012:"
                                      "loadbalancer/app/web/0000000000000000"),
                                  STR_NONE)),
               "ValidationError");
    f.op.region = STR("us-east-1"); /* another region does not know it */
    EXPECT_STR(str_of(describe_lb(&f, STR_NONE, STR("web"))), "LoadBalancerNotFound");
}

TEST(deleting_takes_everything_along_and_twice_is_fine)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct elbv2_load_balancer lb = make_load_balancer(&f, STR("web"));
    struct str group = make_group(&f, STR("blue"));
    struct elbv2_listener listener = make_listener(&f, lb.load_balancer_arn, 80, group);
    struct elbv2_create_rule_in rule = rule_in(&f, listener.listener_arn, 1, STR("/x"), group);
    struct elbv2_create_rule_out made = {0};
    REQUIRE_OK(elbv2_handlers.create_rule(&f.op, f.e, &rule, &made), &f.op);

    struct elbv2_delete_target_group_in group_in = {.target_group_arn = group};
    struct elbv2_delete_target_group_out group_out = {0};
    EXPECT_CODE(f, elbv2_handlers.delete_target_group(&f.op, f.e, &group_in, &group_out),
                "ResourceInUse");
    EXPECT(
        str_ends_with(str_of(f.op.note.text), STR("is currently in use by a listener or a rule")));

    struct elbv2_delete_load_balancer_in in = {.load_balancer_arn = lb.load_balancer_arn};
    struct elbv2_delete_load_balancer_out out = {0};
    REQUIRE_OK(elbv2_handlers.delete_load_balancer(&f.op, f.e, &in, &out), &f.op);
    EXPECT_OK(elbv2_handlers.delete_load_balancer(&f.op, f.e, &in, &out), &f.op);
    EXPECT_STR(str_of(describe_lb(&f, STR_NONE, STR("web"))), "LoadBalancerNotFound");
    struct elbv2_describe_rules_in rules = {0};
    *ARENA_PUSH(&f.op.arena, &rules.rule_arns) = made.rules.items[0].rule_arn;
    struct elbv2_describe_rules_out none = {0};
    EXPECT_CODE(f, elbv2_handlers.describe_rules(&f.op, f.e, &rules, &none), "RuleNotFound");
    fixture_turn(&f);
    EXPECT_EQ(f.snapshot.listeners.count, 0);
    EXPECT_OK(elbv2_handlers.delete_target_group(&f.op, f.e, &group_in, &group_out), &f.op);
    EXPECT_OK(elbv2_handlers.delete_target_group(&f.op, f.e, &group_in, &group_out), &f.op);
}

static struct str attribute_of(const struct elbv2_load_balancer_attributes *all, const char *key)
{
    for (size_t i = 0; i < all->count; i++) {
        if (str_equal(all->items[i].key, str_of(key))) {
            return all->items[i].value;
        }
    }
    return STR_NONE;
}

static enum err set_lb_attribute(struct fixture *f, struct str arn, struct str key,
                                 struct str value)
{
    struct elbv2_modify_load_balancer_attributes_in in = {.load_balancer_arn = arn};
    struct elbv2_modify_load_balancer_attributes_out out = {0};
    *ARENA_PUSH(&f->op.arena, &in.attributes) =
        (struct elbv2_load_balancer_attribute){.key = key, .value = value};
    return elbv2_handlers.modify_load_balancer_attributes(&f->op, f->e, &in, &out);
}

TEST(attributes_of_load_balancers_have_aws_defaults_and_bounds)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct elbv2_load_balancer lb = make_load_balancer(&f, STR("web"));
    struct str arn = lb.load_balancer_arn;
    EXPECT_CODE(f, set_lb_attribute(&f, arn, STR("idle_timeout.timeout_seconds"), STR("4000")), "");
    EXPECT_CODE(f, set_lb_attribute(&f, arn, STR("idle_timeout.timeout_seconds"), STR("4001")),
                "ValidationError");
    EXPECT_CODE(f, set_lb_attribute(&f, arn, STR("nonsense"), STR("1")), "ValidationError");
    EXPECT_NOTE(f, "Load balancer attribute key 'nonsense' is not recognized");
    EXPECT_CODE(f, set_lb_attribute(&f, arn, STR("deletion_protection.enabled"), STR("yes")),
                "ValidationError");
    EXPECT_CODE(f,
                set_lb_attribute(&f, arn, STR("routing.http.desync_mitigation_mode"), STR("odd")),
                "ValidationError");
    EXPECT_CODE(f, set_lb_attribute(&f, arn, STR("hitless.retries"), STR("2")), "");
    EXPECT_CODE(f, set_lb_attribute(&f, arn, STR("deletion_protection.enabled"), STR("true")), "");

    struct elbv2_describe_load_balancer_attributes_in in = {.load_balancer_arn = arn};
    struct elbv2_describe_load_balancer_attributes_out out = {0};
    REQUIRE_OK(elbv2_handlers.describe_load_balancer_attributes(&f.op, f.e, &in, &out), &f.op);
    EXPECT_STR(attribute_of(&out.attributes, "idle_timeout.timeout_seconds"), "4000");
    EXPECT_STR(attribute_of(&out.attributes, "routing.http2.enabled"), "true");
    EXPECT_STR(attribute_of(&out.attributes, "load_balancing.cross_zone.enabled"), "true");
    EXPECT_STR(attribute_of(&out.attributes, "client_keep_alive.seconds"), "3600");
    EXPECT_STR(attribute_of(&out.attributes, "access_logs.s3.bucket"), "");
    EXPECT_STR(attribute_of(&out.attributes, "hitless.retries"), "2");

    struct elbv2_delete_load_balancer_in del = {.load_balancer_arn = arn};
    struct elbv2_delete_load_balancer_out gone = {0};
    EXPECT_CODE(f, elbv2_handlers.delete_load_balancer(&f.op, f.e, &del, &gone),
                "OperationNotPermitted");
}

TEST(log_attributes_need_a_bucket_and_names_that_lead_nowhere_else)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct str arn = make_load_balancer(&f, STR("web")).load_balancer_arn;
    EXPECT_CODE(f, set_lb_attribute(&f, arn, STR("access_logs.s3.enabled"), STR("true")),
                "ValidationError");
    EXPECT_NOTE(f, "'access_logs.s3.bucket' must be set when 'access_logs.s3.enabled' is 'true'");
    static const char *const bad[][2] = {
        {"access_logs.s3.bucket", "../etc"},       {"access_logs.s3.bucket", "a/b"},
        {"connection_logs.s3.bucket", ".hidden"},  {"access_logs.s3.prefix", "a/../b"},
        {"access_logs.s3.prefix", "/a"},           {"access_logs.s3.prefix", "x/AWSLogs"},
        {"hitless.access_logs.file", "../passwd"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_CODE(f, set_lb_attribute(&f, arn, str_of(bad[i][0]), str_of(bad[i][1])),
                    "ValidationError");
    }
    EXPECT_CODE(f, set_lb_attribute(&f, arn, STR("access_logs.s3.bucket"), STR("my.logs-1")), "");
    EXPECT_CODE(f, set_lb_attribute(&f, arn, STR("access_logs.s3.prefix"), STR("team/web")), "");
    EXPECT_CODE(f, set_lb_attribute(&f, arn, STR("access_logs.s3.enabled"), STR("true")), "");
}

TEST(subnets_groups_and_address_types_can_be_set)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct elbv2_load_balancer lb = make_load_balancer(&f, STR("web"));
    struct elbv2_set_subnets_in subnets = {.load_balancer_arn = lb.load_balancer_arn};
    struct elbv2_set_subnets_out zones = {0};
    *ARENA_PUSH(&f.op.arena, &subnets.subnets) = f.network.subnets[1].id;
    *ARENA_PUSH(&f.op.arena, &subnets.subnets) = f.network.subnets[2].id;
    REQUIRE_OK(elbv2_handlers.set_subnets(&f.op, f.e, &subnets, &zones), &f.op);
    EXPECT_STR(zones.availability_zones.items[1].zone_name, "eu-west-1c");

    struct elbv2_set_security_groups_in groups = {.load_balancer_arn = lb.load_balancer_arn};
    struct elbv2_set_security_groups_out ids = {0};
    *ARENA_PUSH(&f.op.arena, &groups.security_groups) = f.network.security_group_id;
    REQUIRE_OK(elbv2_handlers.set_security_groups(&f.op, f.e, &groups, &ids), &f.op);
    EXPECT_EQ(ids.security_group_ids.count, 1);
    groups.security_groups.items[0] = STR("sg-0");
    EXPECT_CODE(f, elbv2_handlers.set_security_groups(&f.op, f.e, &groups, &ids),
                "InvalidSecurityGroup");

    struct elbv2_set_ip_address_type_in type = {.load_balancer_arn = lb.load_balancer_arn,
                                                .ip_address_type = ELBV2_IP_ADDRESS_TYPE_IPV4};
    struct elbv2_set_ip_address_type_out set = {0};
    REQUIRE_OK(elbv2_handlers.set_ip_address_type(&f.op, f.e, &type, &set), &f.op);
    EXPECT_EQ(set.ip_address_type, ELBV2_IP_ADDRESS_TYPE_IPV4);
    type.ip_address_type = ELBV2_IP_ADDRESS_TYPE_DUALSTACK;
    EXPECT_CODE(f, elbv2_handlers.set_ip_address_type(&f.op, f.e, &type, &set), "ValidationError");

    struct elbv2_describe_capacity_reservation_in capacity = {.load_balancer_arn =
                                                                  lb.load_balancer_arn};
    struct elbv2_describe_capacity_reservation_out reserved = {0};
    EXPECT_OK(elbv2_handlers.describe_capacity_reservation(&f.op, f.e, &capacity, &reserved),
              &f.op);
    EXPECT(reserved.capacity_reservation_state.is_set);
}

/* ---- target groups -------------------------------------------------------------------------- */

static struct elbv2_create_target_group_in group_in(struct fixture *f, struct str name)
{
    return (struct elbv2_create_target_group_in){.name = name,
                                                 .protocol = ELBV2_PROTOCOL_ENUM_HTTP,
                                                 .port = OPT_I32(80),
                                                 .vpc_id = f->network.vpc_id,
                                                 .target_type = ELBV2_TARGET_TYPE_ENUM_IP};
}

static enum err create_group(struct fixture *f, const struct elbv2_create_target_group_in *in,
                             struct elbv2_target_group *ret)
{
    struct elbv2_create_target_group_out out = {0};
    TRY(elbv2_handlers.create_target_group(&f->op, f->e, in, &out));
    *ret = out.target_groups.items[0];
    return ERR_OK;
}

TEST(a_new_target_group_has_the_defaults_of_its_type)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct elbv2_target_group g = {0};
    struct elbv2_create_target_group_in in = group_in(&f, STR("web"));
    in.protocol_version = STR(""); /* some clients send what they have not */
    in.health_check_port = STR("");
    REQUIRE_OK(create_group(&f, &in, &g), &f.op);
    EXPECT(str_match(STR("*:targetgroup/web/????????????????"), g.target_group_arn, false));
    EXPECT_STR(g.health_check_path, "/");
    EXPECT_STR(g.health_check_port, "traffic-port");
    EXPECT_EQ(g.health_check_protocol, ELBV2_PROTOCOL_ENUM_HTTP);
    EXPECT_EQ(g.health_check_interval_seconds.value, 30);
    EXPECT_EQ(g.health_check_timeout_seconds.value, 5);
    EXPECT_EQ(g.healthy_threshold_count.value, 5);
    EXPECT_EQ(g.unhealthy_threshold_count.value, 2);
    EXPECT_STR(g.matcher->http_code, "200");
    EXPECT_STR(g.protocol_version, "HTTP1");
    EXPECT_EQ(g.ip_address_type, ELBV2_TARGET_GROUP_IP_ADDRESS_TYPE_ENUM_IPV4);
    EXPECT(g.load_balancer_arns.is_set);
    EXPECT_EQ(g.load_balancer_arns.count, 0);
    struct elbv2_target_group again = {0};
    REQUIRE_OK(create_group(&f, &in, &again), &f.op);
    EXPECT_STR_EQ(again.target_group_arn, g.target_group_arn);
    in.port = OPT_I32(81);
    EXPECT_CODE(f, create_group(&f, &in, &g), "DuplicateTargetGroupName");
    EXPECT_NOTE(f, "A target group with the same name 'web' exists, but with different settings");

    in = group_in(&f, STR("grpc"));
    in.protocol_version = STR("GRPC");
    REQUIRE_OK(create_group(&f, &in, &g), &f.op);
    EXPECT_STR(g.health_check_path, "/AWS.ALB/healthcheck");
    EXPECT_STR(g.matcher->grpc_code, "12");

    in = (struct elbv2_create_target_group_in){.name = STR("fn"),
                                               .target_type = ELBV2_TARGET_TYPE_ENUM_LAMBDA};
    REQUIRE_OK(create_group(&f, &in, &g), &f.op);
    EXPECT_EQ(g.health_check_enabled.value, false);
    EXPECT_EQ(g.health_check_interval_seconds.value, 35);
    EXPECT_EQ(g.health_check_timeout_seconds.value, 30);

    in = group_in(&f, STR("tcp"));
    in.protocol = ELBV2_PROTOCOL_ENUM_TCP;
    REQUIRE_OK(create_group(&f, &in, &g), &f.op);
    EXPECT_EQ(g.health_check_protocol, ELBV2_PROTOCOL_ENUM_TCP);
    EXPECT_EQ(g.health_check_timeout_seconds.value, 10);
    EXPECT(g.matcher == NULL);
}

TEST(target_groups_that_aws_would_refuse_are_refused)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct elbv2_target_group g = {0};
    struct elbv2_create_target_group_in in =
        group_in(&f, STR("VeryLongGroupNameWhichCausesAnError"));
    EXPECT_CODE(f, create_group(&f, &in, &g), "ValidationError");
    EXPECT_NOTE(f, "Target group name 'VeryLongGroupNameWhichCausesAnError' cannot be longer than "
                   "'32' characters");
    in = group_in(&f, STR("a"));
    in.protocol = ELBV2_PROTOCOL_ENUM_UNSET;
    EXPECT_CODE(f, create_group(&f, &in, &g), "ValidationError");
    EXPECT_NOTE(f, "A protocol must be specified");
    in = group_in(&f, STR("a"));
    in.port.is_set = false;
    EXPECT_CODE(f, create_group(&f, &in, &g), "ValidationError");
    EXPECT_NOTE(f, "A port must be specified");
    in = group_in(&f, STR("a"));
    in.vpc_id = STR("vpc-1");
    EXPECT_CODE(f, create_group(&f, &in, &g), "ValidationError");
    EXPECT_NOTE(f, "The VPC ID 'vpc-1' is not found");
    in = group_in(&f, STR("a"));
    in.health_check_timeout_seconds = OPT_I32(30);
    EXPECT_CODE(f, create_group(&f, &in, &g), "ValidationError");
    EXPECT_NOTE(f, "Health check interval must be greater than the timeout.");
    in = group_in(&f, STR("a"));
    in.health_check_path = STR("health");
    EXPECT_CODE(f, create_group(&f, &in, &g), "ValidationError");
    in = group_in(&f, STR("a"));
    in.health_check_port = STR("70000");
    EXPECT_CODE(f, create_group(&f, &in, &g), "ValidationError");
    in = group_in(&f, STR("a"));
    in.protocol_version = STR("HTTP3");
    EXPECT_CODE(f, create_group(&f, &in, &g), "ValidationError");
    const char *bad_codes[] = {"199", "500", "200-", "299-200", "a", "200,,201", ""};
    for (size_t i = 0; i < sizeof(bad_codes) / sizeof(bad_codes[0]); i++) {
        in = group_in(&f, STR("a"));
        in.matcher = &(struct elbv2_matcher){.http_code = str_of(bad_codes[i])};
        EXPECT_CODE(f, create_group(&f, &in, &g), "ValidationError");
    }
    in = group_in(&f, STR("a"));
    in.target_type = ELBV2_TARGET_TYPE_ENUM_LAMBDA;
    EXPECT_CODE(f, create_group(&f, &in, &g), "ValidationError");
}

static const char *describe_group(struct fixture *f, struct str arn, struct str name)
{
    struct elbv2_describe_target_groups_in in = {0};
    struct elbv2_describe_target_groups_out out = {0};
    if (str_is_set(arn)) {
        *ARENA_PUSH(&f->op.arena, &in.target_group_arns) = arn;
    }
    if (str_is_set(name)) {
        *ARENA_PUSH(&f->op.arena, &in.names) = name;
    }
    return fixture_code(f, elbv2_handlers.describe_target_groups(&f->op, f->e, &in, &out));
}

TEST(target_groups_are_found_by_name_arn_and_load_balancer)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct elbv2_load_balancer lb = make_load_balancer(&f, STR("web"));
    struct str blue = make_group(&f, STR("blue"));
    struct str green = make_group(&f, STR("green"));
    (void)make_group(&f, STR("idle"));
    struct elbv2_listener listener = make_listener(&f, lb.load_balancer_arn, 80, blue);
    struct elbv2_create_rule_in rule = rule_in(&f, listener.listener_arn, 1, STR("/x"), green);
    struct elbv2_create_rule_out made = {0};
    REQUIRE_OK(elbv2_handlers.create_rule(&f.op, f.e, &rule, &made), &f.op);

    EXPECT_STR(str_of(describe_group(&f, blue, STR_NONE)), "");
    EXPECT_STR(str_of(describe_group(&f, STR_NONE, STR("green"))), "");
    EXPECT_STR(str_of(describe_group(&f, STR_NONE, STR("ghost"))), "TargetGroupNotFound");
    EXPECT_NOTE(f, "One or more target groups not found");
    EXPECT_STR(str_of(describe_group(&f, STR("nope"), STR_NONE)), "ValidationError");
    EXPECT_NOTE(f, "'nope' is not a valid target group ARN");

    struct elbv2_describe_target_groups_in in = {.load_balancer_arn = lb.load_balancer_arn};
    struct elbv2_describe_target_groups_out out = {0};
    REQUIRE_OK(elbv2_handlers.describe_target_groups(&f.op, f.e, &in, &out), &f.op);
    REQUIRE_EQ(out.target_groups.count, 2);
    REQUIRE_EQ(out.target_groups.items[0].load_balancer_arns.count, 1);
    EXPECT_STR_EQ(out.target_groups.items[0].load_balancer_arns.items[0], lb.load_balancer_arn);
    in = (struct elbv2_describe_target_groups_in){0};
    out = (struct elbv2_describe_target_groups_out){0};
    REQUIRE_OK(elbv2_handlers.describe_target_groups(&f.op, f.e, &in, &out), &f.op);
    EXPECT_EQ(out.target_groups.count, 3);
}

TEST(health_checks_of_groups_can_be_changed)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct elbv2_modify_target_group_in in = {.target_group_arn = make_group(&f, STR("blue")),
                                              .health_check_path = STR("/health"),
                                              .health_check_interval_seconds = OPT_I32(10),
                                              .healthy_threshold_count = OPT_I32(2)};
    struct elbv2_modify_target_group_out out = {0};
    REQUIRE_OK(elbv2_handlers.modify_target_group(&f.op, f.e, &in, &out), &f.op);
    EXPECT_STR(out.target_groups.items[0].health_check_path, "/health");
    EXPECT_EQ(out.target_groups.items[0].health_check_interval_seconds.value, 10);
    EXPECT_EQ(out.target_groups.items[0].health_check_timeout_seconds.value, 5);
    in.health_check_interval_seconds = OPT_I32(5);
    EXPECT_CODE(f, elbv2_handlers.modify_target_group(&f.op, f.e, &in, &out), "ValidationError");
    in.target_group_arn =
        STR("arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/x/1");
    EXPECT_CODE(f, elbv2_handlers.modify_target_group(&f.op, f.e, &in, &out),
                "TargetGroupNotFound");
}

static enum err set_group_attributes(struct fixture *f, struct str arn, const char *const *pairs,
                                     size_t count)
{
    struct elbv2_modify_target_group_attributes_in in = {.target_group_arn = arn};
    struct elbv2_modify_target_group_attributes_out out = {0};
    for (size_t i = 0; i < count; i++) {
        *ARENA_PUSH(&f->op.arena, &in.attributes) = (struct elbv2_target_group_attribute){
            .key = str_of(pairs[2 * i]), .value = str_of(pairs[2 * i + 1])};
    }
    return elbv2_handlers.modify_target_group_attributes(&f->op, f->e, &in, &out);
}

#define HEALTH_DNS     "target_group_health.dns_failover.minimum_healthy_targets."
#define HEALTH_ROUTING "target_group_health.unhealthy_state_routing.minimum_healthy_targets."

/* aws-semantics 2.4 to 2.7. */
TEST(attributes_of_groups_that_do_not_go_together_are_refused)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct str arn = make_group(&f, STR("blue"));
    static const struct {
        const char *pairs[4];
        size_t count;
        const char *code;
    } cases[] = {
        {{"deregistration_delay.timeout_seconds", "3600"}, 1, ""},
        {{"deregistration_delay.timeout_seconds", "3601"}, 1, "ValidationError"},
        {{"slow_start.duration_seconds", "29"}, 1, "ValidationError"},
        {{"slow_start.duration_seconds", "30"}, 1, ""},
        {{"load_balancing.algorithm.type", "least_outstanding_requests"},
         1,
         "InvalidConfigurationRequest"},
        {{"slow_start.duration_seconds", "0", "load_balancing.algorithm.type", "weighted_random"},
         2,
         ""},
        {{"stickiness.enabled", "true"}, 1, "InvalidConfigurationRequest"},
        {{"load_balancing.algorithm.anomaly_mitigation", "on"}, 1, ""},
        {{"load_balancing.algorithm.type", "round_robin"}, 1, "InvalidConfigurationRequest"},
        {{"load_balancing.algorithm.anomaly_mitigation", "off", "load_balancing.algorithm.type",
          "round_robin"},
         2,
         ""},
        {{"stickiness.enabled", "true", "stickiness.type", "app_cookie"},
         2,
         "InvalidConfigurationRequest"},
        {{"stickiness.app_cookie.cookie_name", "a b"}, 1, "ValidationError"},
        {{"stickiness.app_cookie.cookie_name", "SID"}, 1, ""},
        {{"stickiness.lb_cookie.duration_seconds", "604801"}, 1, "ValidationError"},
        {{"stickiness.lb_cookie.duration_seconds", "0"}, 1, "ValidationError"},
        {{"stickiness.app_cookie.duration_seconds", "604801"}, 1, "ValidationError"},
        {{HEALTH_DNS "count", "3", HEALTH_ROUTING "count", "3"}, 2, ""},
        {{HEALTH_ROUTING "count", "4"}, 1, "InvalidConfigurationRequest"},
        {{HEALTH_DNS "count", "off"}, 1, ""},
        {{HEALTH_ROUTING "count", "4"}, 1, ""},
        {{HEALTH_DNS "percentage", "50", HEALTH_ROUTING "percentage", "60"},
         2,
         "InvalidConfigurationRequest"},
        {{HEALTH_DNS "percentage", "101"}, 1, "ValidationError"},
        {{HEALTH_ROUTING "count", "off"}, 1, "ValidationError"},
        {{"hitless.cohort.source", "cookie:uid"}, 1, ""},
        {{"hitless.cohort.source", "uid"}, 1, "ValidationError"},
        {{"hitless.cohort.source", "query:uid"}, 1, "ValidationError"},
        {{"hitless.outlier_detection.enabled", "yes"}, 1, "ValidationError"},
        {{"hitless.outlier_detection.max_ejection_percent", "101"}, 1, "ValidationError"},
        {{"hitless.outlier_detection.enabled", "true"}, 1, ""},
        {{"stickiness.app_cookie.cookie_name", "AWSALBX"}, 1, "ValidationError"},
        {{"stickiness.type", "source_ip"}, 1, "InvalidConfigurationRequest"},
        {{"stickiness.enabled", "true", "load_balancing.cross_zone.enabled", "false"},
         2,
         "InvalidConfigurationRequest"},
        {{"lambda.multi_value_headers.enabled", "true"}, 1, "ValidationError"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EXPECT_CODE(f, set_group_attributes(&f, arn, cases[i].pairs, cases[i].count),
                    cases[i].code);
    }
    struct elbv2_describe_target_group_attributes_in in = {.target_group_arn = arn};
    struct elbv2_describe_target_group_attributes_out out = {0};
    REQUIRE_OK(elbv2_handlers.describe_target_group_attributes(&f.op, f.e, &in, &out), &f.op);
    bool has_delay = false;
    for (size_t i = 0; i < out.attributes.count; i++) {
        has_delay = has_delay ||
                    (STR_IS(out.attributes.items[i].key, "deregistration_delay.timeout_seconds") &&
                     STR_IS(out.attributes.items[i].value, "3600"));
    }
    EXPECT(has_delay);
}

/* ---- tags, certificates, tables ------------------------------------------------------------- */

TEST(every_resource_has_tags)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct elbv2_load_balancer lb = make_load_balancer(&f, STR("web"));
    struct str group = make_group(&f, STR("blue"));
    struct elbv2_listener listener = make_listener(&f, lb.load_balancer_arn, 80, group);
    struct elbv2_add_tags_in add = {0};
    struct elbv2_add_tags_out added = {0};
    *ARENA_PUSH(&f.op.arena, &add.resource_arns) = lb.load_balancer_arn;
    *ARENA_PUSH(&f.op.arena, &add.resource_arns) = group;
    *ARENA_PUSH(&f.op.arena, &add.resource_arns) = listener.listener_arn;
    *ARENA_PUSH(&f.op.arena, &add.tags) =
        (struct elbv2_tag){.key = STR("team"), .value = STR("shop")};
    *ARENA_PUSH(&f.op.arena, &add.tags) = (struct elbv2_tag){.key = STR("env")};
    REQUIRE_OK(elbv2_handlers.add_tags(&f.op, f.e, &add, &added), &f.op);

    struct elbv2_remove_tags_in take = {.resource_arns = add.resource_arns};
    struct elbv2_remove_tags_out taken = {0};
    *ARENA_PUSH(&f.op.arena, &take.tag_keys) = STR("env");
    REQUIRE_OK(elbv2_handlers.remove_tags(&f.op, f.e, &take, &taken), &f.op);

    struct elbv2_describe_tags_in ask = {.resource_arns = add.resource_arns};
    struct elbv2_describe_tags_out told = {0};
    REQUIRE_OK(elbv2_handlers.describe_tags(&f.op, f.e, &ask, &told), &f.op);
    REQUIRE_EQ(told.tag_descriptions.count, 3);
    for (size_t i = 0; i < 3; i++) {
        REQUIRE_EQ(told.tag_descriptions.items[i].tags.count, 1);
        EXPECT_STR(told.tag_descriptions.items[i].tags.items[0].value, "shop");
    }
    add.tags.items[1].key = STR("team");
    EXPECT_CODE(f, elbv2_handlers.add_tags(&f.op, f.e, &add, &added), "DuplicateTagKeys");
    ask.resource_arns.items[0] =
        STR("arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/gone/1");
    EXPECT_CODE(f, elbv2_handlers.describe_tags(&f.op, f.e, &ask, &told), "TargetGroupNotFound");
    ask.resource_arns.items[0] = STR("arn:aws:ecs:eu-west-1:123456789012:service/x");
    EXPECT_CODE(f, elbv2_handlers.describe_tags(&f.op, f.e, &ask, &told), "ValidationError");
}

TEST(policies_and_limits_are_told_in_pages)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct elbv2_describe_ssl_policies_in in = {0};
    struct elbv2_describe_ssl_policies_out out = {0};
    *ARENA_PUSH(&f.op.arena, &in.names) = STR("ELBSecurityPolicy-TLS13-1-2-2021-06");
    REQUIRE_OK(elbv2_handlers.describe_ssl_policies(&f.op, f.e, &in, &out), &f.op);
    REQUIRE_EQ(out.ssl_policies.count, 1);
    EXPECT_EQ(out.ssl_policies.items[0].ssl_protocols.count, 2);
    EXPECT_EQ(out.ssl_policies.items[0].ciphers.count, 11);
    EXPECT_EQ(out.ssl_policies.items[0].ciphers.items[10].priority.value, 11);
    in.names.items[0] = STR("ELBSecurityPolicy-1999");
    EXPECT_CODE(f, elbv2_handlers.describe_ssl_policies(&f.op, f.e, &in, &out),
                "SSLPolicyNotFound");

    size_t seen = 0;
    struct elbv2_describe_account_limits_in ask = {.page_size = OPT_I32(7)};
    struct elbv2_describe_account_limits_out page = {0};
    for (int i = 0; i < 5; i++) {
        page = (struct elbv2_describe_account_limits_out){0};
        REQUIRE_OK(elbv2_handlers.describe_account_limits(&f.op, f.e, &ask, &page), &f.op);
        seen += page.limits.count;
        ask.marker = page.next_marker;
        if (!str_is_set(page.next_marker)) {
            break;
        }
    }
    EXPECT_EQ(seen, 19);
}
