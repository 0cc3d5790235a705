/* Listeners, rules, conditions, actions, certificates. */

#include "fixture.h"

#define CERTIFICATE STR("arn:aws:acm:eu-west-1:123456789012:certificate/12345678-aaaa")

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

static struct elbv2_create_listener_in listener_in(const struct site *s, int32_t port,
                                                   struct elbv2_actions actions)
{
    return (struct elbv2_create_listener_in){.load_balancer_arn = s->lb.load_balancer_arn,
                                             .protocol = ELBV2_PROTOCOL_ENUM_HTTP,
                                             .port = OPT_I32(port),
                                             .default_actions = actions};
}

static enum err create_listener(struct fixture *f, const struct elbv2_create_listener_in *in,
                                struct elbv2_listener *ret)
{
    struct elbv2_create_listener_out out = {0};
    TRY(elbv2_handlers.create_listener(&f->op, f->e, in, &out));
    *ret = out.listeners.items[0];
    return ERR_OK;
}

static struct elbv2_rules rules_of(struct fixture *f, struct str listener_arn)
{
    struct elbv2_describe_rules_in in = {.listener_arn = listener_arn};
    struct elbv2_describe_rules_out out = {0};
    REQUIRE_OK(elbv2_handlers.describe_rules(&f->op, f->e, &in, &out), &f->op);
    return out.rules;
}

static enum err create_rule(struct fixture *f, const struct elbv2_create_rule_in *in,
                            struct elbv2_rule *ret)
{
    struct elbv2_create_rule_out out = {0};
    TRY(elbv2_handlers.create_rule(&f->op, f->e, in, &out));
    *ret = out.rules.items[0];
    return ERR_OK;
}

TEST(a_listener_has_a_default_rule_with_the_same_actions)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    EXPECT(str_match(STR("*:listener/app/web/*/*"), s.listener.listener_arn, false));
    struct elbv2_rules rules = rules_of(&f, s.listener.listener_arn);
    REQUIRE_EQ(rules.count, 1);
    EXPECT(str_match(STR("*:listener-rule/app/web/*/*/*"), rules.items[0].rule_arn, false));
    EXPECT_STR(rules.items[0].priority, "default");
    EXPECT(rules.items[0].is_default.value);
    EXPECT_STR_EQ(rules.items[0].actions.items[0].target_group_arn, s.blue);

    struct elbv2_modify_listener_in change = {.listener_arn = s.listener.listener_arn,
                                              .default_actions = forward_to(&f, s.green)};
    struct elbv2_modify_listener_out changed = {0};
    REQUIRE_OK(elbv2_handlers.modify_listener(&f.op, f.e, &change, &changed), &f.op);
    rules = rules_of(&f, s.listener.listener_arn);
    EXPECT_STR_EQ(rules.items[0].actions.items[0].target_group_arn, s.green);

    struct elbv2_delete_rule_in take = {.rule_arn = rules.items[0].rule_arn};
    struct elbv2_delete_rule_out taken = {0};
    EXPECT_CODE(f, elbv2_handlers.delete_rule(&f.op, f.e, &take, &taken), "OperationNotPermitted");
    struct elbv2_modify_rule_in mod = {.rule_arn = rules.items[0].rule_arn,
                                       .actions = forward_to(&f, s.blue)};
    struct elbv2_modify_rule_out modded = {0};
    EXPECT_CODE(f, elbv2_handlers.modify_rule(&f.op, f.e, &mod, &modded), "OperationNotPermitted");
}

TEST(forward_actions_are_echoed_as_aws_does)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    const struct elbv2_action *one = &s.listener.default_actions.items[0];
    EXPECT_STR_EQ(one->target_group_arn, s.blue);
    REQUIRE(one->forward_config != NULL);
    REQUIRE_EQ(one->forward_config->target_groups.count, 1);
    EXPECT_EQ(one->forward_config->target_groups.items[0].weight.value, 1);
    EXPECT_EQ(one->forward_config->target_group_stickiness_config->enabled.value, false);
    EXPECT(!one->order.is_set);

    struct elbv2_listener split = {0};
    struct elbv2_create_listener_in in =
        listener_in(&s, 81, split_between(&f, s.blue, 90, s.green, 10));
    in.default_actions.items[0].order = OPT_I32(1);
    REQUIRE_OK(create_listener(&f, &in, &split), &f.op);
    const struct elbv2_action *two = &split.default_actions.items[0];
    EXPECT(!str_is_set(two->target_group_arn));
    EXPECT_EQ(two->forward_config->target_groups.items[1].weight.value, 10);
    EXPECT_EQ(two->order.value, 1);
}

TEST(actions_that_aws_would_refuse_are_refused)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_listener made = {0};
    struct elbv2_create_listener_in in = listener_in(&s, 81, (struct elbv2_actions){0});
    EXPECT_CODE(f, create_listener(&f, &in, &made), "ValidationError");
    in.default_actions = split_between(&f, s.blue, 1000, s.green, 0);
    EXPECT_CODE(f, create_listener(&f, &in, &made), "InvalidLoadBalancerAction");
    in.default_actions = split_between(&f, s.blue, 1, s.blue, 1);
    EXPECT_CODE(f, create_listener(&f, &in, &made), "InvalidLoadBalancerAction");
    in.default_actions = forward_to(
        &f,
        STR("arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/x/0000000000000000"));
    EXPECT_CODE(f, create_listener(&f, &in, &made), "TargetGroupNotFound");
    in.default_actions = forward_to(&f, STR("blue"));
    EXPECT_CODE(f, create_listener(&f, &in, &made), "ValidationError");
    in.default_actions = forward_to(&f, s.blue);
    in.default_actions.items[0].type = ELBV2_ACTION_TYPE_ENUM_FIXED_RESPONSE;
    EXPECT_CODE(f, create_listener(&f, &in, &made), "ValidationError");
    in.default_actions.items[0].type = ELBV2_ACTION_TYPE_ENUM_JWT_VALIDATION;
    EXPECT_CODE(f, create_listener(&f, &in, &made), "ValidationError");

    struct elbv2_fixed_response_action_config fixed = {.status_code = STR("302")};
    in.default_actions.items[0] = (struct elbv2_action){
        .type = ELBV2_ACTION_TYPE_ENUM_FIXED_RESPONSE, .fixed_response_config = &fixed};
    EXPECT_CODE(f, create_listener(&f, &in, &made), "InvalidLoadBalancerAction");
    fixed.status_code = STR("503");
    fixed.content_type = STR("image/png");
    EXPECT_CODE(f, create_listener(&f, &in, &made), "InvalidLoadBalancerAction");
    char body[1025];
    memset(body, 'b', sizeof(body));
    fixed.content_type = STR("text/plain");
    fixed.message_body = str_make(body, sizeof(body));
    EXPECT_CODE(f, create_listener(&f, &in, &made), "InvalidLoadBalancerAction");
    fixed.message_body.len = 1024;
    EXPECT_CODE(f, create_listener(&f, &in, &made), "");

    struct elbv2_actions two = {0};
    *ARENA_PUSH(&f.op.arena, &two) = in.default_actions.items[0];
    *ARENA_PUSH(&f.op.arena, &two) = forward_to(&f, s.blue).items[0];
    two.items[0].order = OPT_I32(1);
    two.items[1].order = OPT_I32(2);
    in = listener_in(&s, 82, two);
    EXPECT_CODE(f, create_listener(&f, &in, &made), "InvalidLoadBalancerAction");
}

TEST(redirects_are_completed_and_loops_refused)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_redirect_action_config r = {.status_code =
                                                 ELBV2_REDIRECT_ACTION_STATUS_CODE_ENUM_HTTP_301};
    struct elbv2_actions actions = {0};
    *ARENA_PUSH(&f.op.arena, &actions) =
        (struct elbv2_action){.type = ELBV2_ACTION_TYPE_ENUM_REDIRECT, .redirect_config = &r};
    struct elbv2_create_listener_in in = listener_in(&s, 81, actions);
    struct elbv2_listener made = {0};
    EXPECT_CODE(f, create_listener(&f, &in, &made), "InvalidLoadBalancerAction");
    EXPECT_NOTE(f, "The redirect configuration is not valid because it creates a loop.");
    r.protocol = STR("FTP");
    EXPECT_CODE(f, create_listener(&f, &in, &made), "InvalidLoadBalancerAction");
    r.protocol = STR("HTTPS");
    r.path = STR("x");
    EXPECT_CODE(f, create_listener(&f, &in, &made), "InvalidLoadBalancerAction");
    r.path = STR("/#{path}/#{path}");
    EXPECT_CODE(f, create_listener(&f, &in, &made), "InvalidLoadBalancerAction");
    r.path = STR("/#{query}");
    EXPECT_CODE(f, create_listener(&f, &in, &made), "InvalidLoadBalancerAction");
    r.path = STR_NONE;
    r.port = STR("443");
    REQUIRE_OK(create_listener(&f, &in, &made), &f.op);
    const struct elbv2_redirect_action_config *told = made.default_actions.items[0].redirect_config;
    EXPECT_STR(told->host, "#{host}");
    EXPECT_STR(told->path, "/#{path}");
    EXPECT_STR(told->query, "#{query}");
    EXPECT_STR(told->port, "443");
}

TEST(a_group_belongs_to_one_load_balancer_and_protocols_must_fit)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_load_balancer other = make_load_balancer(&f, STR("other"));
    struct elbv2_create_listener_in in = listener_in(&s, 80, forward_to(&f, s.blue));
    in.load_balancer_arn = other.load_balancer_arn;
    struct elbv2_listener made = {0};
    EXPECT_CODE(f, create_listener(&f, &in, &made), "TargetGroupAssociationLimit");
    EXPECT(str_starts_with(str_of(f.op.note.text),
                           STR("The following target groups cannot be associated with more than "
                               "one load balancer")));

    struct elbv2_create_target_group_in group = {.name = STR("grpc"),
                                                 .protocol = ELBV2_PROTOCOL_ENUM_HTTP,
                                                 .protocol_version = STR("GRPC"),
                                                 .port = OPT_I32(80),
                                                 .vpc_id = f.network.vpc_id};
    struct elbv2_create_target_group_out out = {0};
    REQUIRE_OK(elbv2_handlers.create_target_group(&f.op, f.e, &group, &out), &f.op);
    in.default_actions = forward_to(&f, out.target_groups.items[0].target_group_arn);
    EXPECT_CODE(f, create_listener(&f, &in, &made), "InvalidLoadBalancerAction");
    EXPECT_NOTE(f, "Listener protocol 'HTTP' is not supported with a target group with the "
                   "protocol-version 'GRPC'");
    group = (struct elbv2_create_target_group_in){.name = STR("tcp"),
                                                  .protocol = ELBV2_PROTOCOL_ENUM_TCP,
                                                  .port = OPT_I32(80),
                                                  .vpc_id = f.network.vpc_id};
    out = (struct elbv2_create_target_group_out){0};
    REQUIRE_OK(elbv2_handlers.create_target_group(&f.op, f.e, &group, &out), &f.op);
    in.default_actions = forward_to(&f, out.target_groups.items[0].target_group_arn);
    EXPECT_CODE(f, create_listener(&f, &in, &made), "IncompatibleProtocols");
}

TEST(ports_are_used_once_and_the_same_again_is_the_same_listener)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_create_listener_in in = listener_in(&s, 80, forward_to(&f, s.blue));
    struct elbv2_listener made = {0};
    REQUIRE_OK(create_listener(&f, &in, &made), &f.op);
    EXPECT_STR_EQ(made.listener_arn, s.listener.listener_arn);
    in.default_actions = forward_to(&f, s.green);
    EXPECT_CODE(f, create_listener(&f, &in, &made), "DuplicateListener");
    EXPECT(str_starts_with(str_of(f.op.note.text), STR("A listener already exists on this port for "
                                                       "this load balancer 'arn:aws:")));
    in = listener_in(&s, 81, forward_to(&f, s.green));
    REQUIRE_OK(create_listener(&f, &in, &made), &f.op);
    struct elbv2_modify_listener_in change = {.listener_arn = made.listener_arn,
                                              .port = OPT_I32(80)};
    struct elbv2_modify_listener_out changed = {0};
    EXPECT_CODE(f, elbv2_handlers.modify_listener(&f.op, f.e, &change, &changed),
                "DuplicateListener");
    in.port.is_set = false;
    EXPECT_CODE(f, create_listener(&f, &in, &made), "ValidationError");
    in.port = OPT_I32(82);
    in.protocol = ELBV2_PROTOCOL_ENUM_TCP;
    EXPECT_CODE(f, create_listener(&f, &in, &made), "UnsupportedProtocol");
    in.load_balancer_arn =
        STR("arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/x/1");
    EXPECT_CODE(f, create_listener(&f, &in, &made), "LoadBalancerNotFound");

    struct elbv2_delete_listener_in take = {.listener_arn = change.listener_arn};
    struct elbv2_delete_listener_out taken = {0};
    EXPECT_CODE(f, elbv2_handlers.delete_listener(&f.op, f.e, &take, &taken), "");
    EXPECT_CODE(f, elbv2_handlers.delete_listener(&f.op, f.e, &take, &taken), "ListenerNotFound");
    EXPECT_NOTE(f, "One or more listeners not found");
    struct elbv2_describe_listeners_in ask = {.load_balancer_arn = s.lb.load_balancer_arn};
    struct elbv2_describe_listeners_out told = {0};
    REQUIRE_OK(elbv2_handlers.describe_listeners(&f.op, f.e, &ask, &told), &f.op);
    EXPECT_EQ(told.listeners.count, 1);
    ask.load_balancer_arn = STR_NONE;
    EXPECT_CODE(f, elbv2_handlers.describe_listeners(&f.op, f.e, &ask, &told), "ValidationError");
}

TEST(https_listeners_need_certificates_that_exist)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_create_listener_in in = listener_in(&s, 443, forward_to(&f, s.blue));
    struct elbv2_listener made = {0};
    in.protocol = ELBV2_PROTOCOL_ENUM_HTTPS;
    EXPECT_CODE(f, create_listener(&f, &in, &made), "ValidationError");
    EXPECT_NOTE(f, "A certificate must be specified for HTTPS listeners");
    *ARENA_PUSH(&f.op.arena, &in.certificates) =
        (struct elbv2_certificate){.certificate_arn = CERTIFICATE};
    in.ssl_policy = STR("nope");
    EXPECT_CODE(f, create_listener(&f, &in, &made), "SSLPolicyNotFound");
    in.ssl_policy = STR_NONE;
    REQUIRE_OK(create_listener(&f, &in, &made), &f.op);
    EXPECT_STR(made.ssl_policy, "ELBSecurityPolicy-2016-08");
    EXPECT_STR_EQ(made.certificates.items[0].certificate_arn, CERTIFICATE);
    EXPECT_STR(made.mutual_authentication->mode, "off");

    struct elbv2_add_listener_certificates_in add = {.listener_arn = made.listener_arn};
    struct elbv2_add_listener_certificates_out added = {0};
    struct elbv2_certificate *more = ARENA_PUSH(&f.op.arena, &add.certificates);
    more->certificate_arn = STR("arn:aws:acm:eu-west-1:123456789012:certificate/2");
    REQUIRE_OK(elbv2_handlers.add_listener_certificates(&f.op, f.e, &add, &added), &f.op);
    struct elbv2_describe_listener_certificates_in ask = {.listener_arn = made.listener_arn};
    struct elbv2_describe_listener_certificates_out told = {0};
    REQUIRE_OK(elbv2_handlers.describe_listener_certificates(&f.op, f.e, &ask, &told), &f.op);
    REQUIRE_EQ(told.certificates.count, 2);
    EXPECT(told.certificates.items[0].is_default.value);
    EXPECT(!told.certificates.items[1].is_default.value);
    struct elbv2_remove_listener_certificates_in take = {.listener_arn = made.listener_arn,
                                                         .certificates = add.certificates};
    struct elbv2_remove_listener_certificates_out taken = {0};
    REQUIRE_OK(elbv2_handlers.remove_listener_certificates(&f.op, f.e, &take, &taken), &f.op);
    take.certificates.items[0].certificate_arn = CERTIFICATE;
    EXPECT_CODE(f, elbv2_handlers.remove_listener_certificates(&f.op, f.e, &take, &taken),
                "OperationNotPermitted");
    add.listener_arn = s.listener.listener_arn;
    EXPECT_CODE(f, elbv2_handlers.add_listener_certificates(&f.op, f.e, &add, &added),
                "ValidationError");

    add.listener_arn = made.listener_arn;
    more->certificate_arn = STR("arn:aws:acm:eu-west-1:123456789012:certificate/1-gone");
    EXPECT_CODE(f, elbv2_handlers.add_listener_certificates(&f.op, f.e, &add, &added),
                "CertificateNotFound");
    more->certificate_arn = STR("arn:aws:acm:eu-west-1:123456789012:certificate/1-pending");
    EXPECT_CODE(f, elbv2_handlers.add_listener_certificates(&f.op, f.e, &add, &added),
                "UnsupportedCertificate");
    more->certificate_arn = STR("arn:aws:s3:::certificate");
    EXPECT_CODE(f, elbv2_handlers.add_listener_certificates(&f.op, f.e, &add, &added),
                "ValidationError");
}

static const struct lbconf_listener *snapshot_listener(const struct fixture *f, struct str arn)
{
    for (size_t i = 0; i < f->snapshot.listeners.count; i++) {
        if (str_equal(f->snapshot.listeners.items[i].arn, arn)) {
            return &f->snapshot.listeners.items[i];
        }
    }
    return NULL;
}

static struct elbv2_listener make_https(struct fixture *f, const struct site *s)
{
    struct elbv2_create_listener_in in = listener_in(s, 443, forward_to(f, s->blue));
    struct elbv2_listener made = {0};
    in.protocol = ELBV2_PROTOCOL_ENUM_HTTPS;
    *ARENA_PUSH(&f->op.arena, &in.certificates) =
        (struct elbv2_certificate){.certificate_arn = CERTIFICATE};
    REQUIRE_OK(create_listener(f, &in, &made), &f->op);
    return made;
}

TEST(the_snapshot_has_the_certificates_and_a_newer_edition_is_published_at_once)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_listener made = make_https(&f, &s);
    fixture_turn(&f);
    const struct lbconf_listener *told = snapshot_listener(&f, made.listener_arn);
    REQUIRE(told != NULL);
    EXPECT_STR(told->ssl_policy, "ELBSecurityPolicy-2016-08");
    REQUIRE_EQ(told->certificates.count, 1);
    EXPECT_STR_EQ(told->certificates.items[0].arn, CERTIFICATE);
    EXPECT(str_starts_with(told->certificates.items[0].chain_pem, STR("chain 0")));
    EXPECT(str_starts_with(told->certificates.items[0].key_pem, STR("key of")));

    size_t published = f.publish_count;
    f.certificate_edition = 1;
    elbv2_certificate_changed(f.e, STR("arn:aws:acm:eu-west-1:123456789012:certificate/other"));
    EXPECT_EQ(f.publish_count, published);
    elbv2_certificate_changed(f.e, CERTIFICATE);
    EXPECT_EQ(f.publish_count, published + 1);
    told = snapshot_listener(&f, made.listener_arn);
    EXPECT(str_starts_with(told->certificates.items[0].chain_pem, STR("chain 1")));

    struct port_certificate_users users = elbv2_certificate_users(f.e);
    struct port_arns who = {0};
    REQUIRE_OK(users.list_users(users.self, &f.op, CERTIFICATE, &who), &f.op);
    REQUIRE_EQ(who.count, 1);
    EXPECT_STR_EQ(who.items[0], s.lb.load_balancer_arn);
    REQUIRE_OK(users.list_used(users.self, &f.op, &who), &f.op);
    REQUIRE_EQ(who.count, 1);
    EXPECT_STR_EQ(who.items[0], CERTIFICATE);
    EXPECT(!users.is_published(users.self));
    fixture_acknowledge(&f);
    EXPECT(users.is_published(users.self));
}

/* RFC 8555, section 8.3: the answer must be there before the authority is told to ask. */
TEST(challenges_of_an_authority_are_published_with_the_next_turn)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    (void)make_site(&f);
    fixture_turn(&f);
    fixture_acknowledge(&f);
    EXPECT_EQ(f.snapshot.acme_challenges.count, 0);
    struct port_certificate_users users = elbv2_certificate_users(f.e);
    EXPECT(users.is_published(users.self));
    f.challenge = (struct port_challenge){.token = STR("token"), .answer = STR("token.thumb")};
    f.challenge_count = 1;
    elbv2_challenges_changed(f.e);
    EXPECT(!users.is_published(users.self));
    fixture_turn(&f);
    REQUIRE_EQ(f.snapshot.acme_challenges.count, 1);
    EXPECT_STR(f.snapshot.acme_challenges.items[0].answer, "token.thumb");
    EXPECT(!users.is_published(users.self));
    fixture_acknowledge(&f);
    EXPECT(users.is_published(users.self));
}

static enum err set_listener_attribute(struct fixture *f, struct str arn, const char *key,
                                       const char *value)
{
    struct elbv2_modify_listener_attributes_in in = {.listener_arn = arn};
    struct elbv2_modify_listener_attributes_out out = {0};
    *ARENA_PUSH(&f->op.arena, &in.attributes) =
        (struct elbv2_listener_attribute){.key = str_of(key), .value = str_of(value)};
    return elbv2_handlers.modify_listener_attributes(&f->op, f->e, &in, &out);
}

TEST(pause_and_maintenance_are_attributes_of_a_listener)
{
    static const struct {
        const char *key;
        const char *good;
        const char *bad; /* NULL: nothing is */
    } rows[] = {
        {"hitless.pause.enabled", "true", "yes"},
        {"hitless.pause.timeout_seconds", "3600", "0"},
        {"hitless.pause.requests_max", "0", "-1"},
        {"hitless.maintenance.enabled", "false", "1"},
        {"hitless.maintenance.status", "200", "600"},
        {"hitless.maintenance.retry_after", "120", "soon"},
        {"hitless.maintenance.allow", "10.0.0.0/8, 2001:db8::/32", "10.0.0.0/8,all"},
        {"hitless.maintenance.content_type", "text/html", "image/png"},
        {"hitless.maintenance.status", "", NULL}, /* takes it back */
        {"hitless.unknown", "anything", NULL},
    };
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str arn = s.listener.listener_arn;
        EXPECT_CODE(f, set_listener_attribute(&f, arn, rows[i].key, rows[i].good), "");
        if (rows[i].bad != NULL) {
            EXPECT_CODE(f, set_listener_attribute(&f, arn, rows[i].key, rows[i].bad),
                        "ValidationError");
        }
    }
}

TEST(listener_attributes_depend_on_the_protocol)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_modify_listener_attributes_in in = {.listener_arn = s.listener.listener_arn};
    struct elbv2_modify_listener_attributes_out out = {0};
    *ARENA_PUSH(&f.op.arena, &in.attributes) = (struct elbv2_listener_attribute){
        .key = STR("routing.http.response.server.enabled"), .value = STR("false")};
    REQUIRE_OK(elbv2_handlers.modify_listener_attributes(&f.op, f.e, &in, &out), &f.op);
    EXPECT_EQ(out.attributes.count, 11);
    EXPECT_STR(out.attributes.items[0].value, "false");
    in.attributes.items[0].key = STR("tcp.idle_timeout.seconds");
    EXPECT_CODE(f, elbv2_handlers.modify_listener_attributes(&f.op, f.e, &in, &out),
                "ValidationError");
    struct elbv2_describe_listener_attributes_in ask = {.listener_arn = s.listener.listener_arn};
    struct elbv2_describe_listener_attributes_out told = {0};
    EXPECT_OK(elbv2_handlers.describe_listener_attributes(&f.op, f.e, &ask, &told), &f.op);
    EXPECT_EQ(told.attributes.count, 11);
}

/* ---- rules ---------------------------------------------------------------------------------- */

TEST(rules_come_in_the_order_of_evaluation_and_in_pages)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_rule made = {0};
    const int32_t priorities[] = {200, 3, 50000, 10};
    for (size_t i = 0; i < 4; i++) {
        struct elbv2_create_rule_in in =
            rule_in(&f, s.listener.listener_arn, priorities[i], STR("/a*"), s.green);
        REQUIRE_OK(create_rule(&f, &in, &made), &f.op);
    }
    struct elbv2_describe_rules_in ask = {.listener_arn = s.listener.listener_arn,
                                          .page_size = OPT_I32(3)};
    struct elbv2_describe_rules_out page = {0};
    REQUIRE_OK(elbv2_handlers.describe_rules(&f.op, f.e, &ask, &page), &f.op);
    REQUIRE_EQ(page.rules.count, 3);
    EXPECT_STR(page.rules.items[0].priority, "3");
    EXPECT_STR(page.rules.items[1].priority, "10");
    EXPECT_STR(page.rules.items[2].priority, "200");
    ask.marker = page.next_marker;
    page = (struct elbv2_describe_rules_out){0};
    REQUIRE_OK(elbv2_handlers.describe_rules(&f.op, f.e, &ask, &page), &f.op);
    REQUIRE_EQ(page.rules.count, 2);
    EXPECT_STR(page.rules.items[0].priority, "50000");
    EXPECT_STR(page.rules.items[1].priority, "default");

    struct elbv2_create_rule_in in = rule_in(&f, s.listener.listener_arn, 3, STR("/b"), s.green);
    EXPECT_CODE(f, create_rule(&f, &in, &made), "PriorityInUse");
    EXPECT_NOTE(f, "Priority '3' is currently in use");
    ask = (struct elbv2_describe_rules_in){0};
    EXPECT_CODE(f, elbv2_handlers.describe_rules(&f.op, f.e, &ask, &page), "ValidationError");
    EXPECT_NOTE(f, "You must specify either listener rule ARNs or a listener ARN");
}

TEST(priorities_change_all_or_not_at_all)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_rule first = {0};
    struct elbv2_rule second = {0};
    struct elbv2_create_rule_in in = rule_in(&f, s.listener.listener_arn, 1, STR("/1"), s.green);
    REQUIRE_OK(create_rule(&f, &in, &first), &f.op);
    in = rule_in(&f, s.listener.listener_arn, 2, STR("/2"), s.green);
    REQUIRE_OK(create_rule(&f, &in, &second), &f.op);

    struct elbv2_set_rule_priorities_in swap = {0};
    struct elbv2_set_rule_priorities_out out = {0};
    *ARENA_PUSH(&f.op.arena, &swap.rule_priorities) =
        (struct elbv2_rule_priority_pair){.rule_arn = first.rule_arn, .priority = OPT_I32(2)};
    EXPECT_CODE(f, elbv2_handlers.set_rule_priorities(&f.op, f.e, &swap, &out), "PriorityInUse");
    EXPECT_STR_EQ(rules_of(&f, s.listener.listener_arn).items[0].rule_arn, first.rule_arn);
    *ARENA_PUSH(&f.op.arena, &swap.rule_priorities) =
        (struct elbv2_rule_priority_pair){.rule_arn = second.rule_arn, .priority = OPT_I32(1)};
    out = (struct elbv2_set_rule_priorities_out){0};
    REQUIRE_OK(elbv2_handlers.set_rule_priorities(&f.op, f.e, &swap, &out), &f.op);
    EXPECT_STR_EQ(rules_of(&f, s.listener.listener_arn).items[0].rule_arn, second.rule_arn);
    swap.rule_priorities.items[0].rule_arn =
        rules_of(&f, s.listener.listener_arn).items[2].rule_arn;
    EXPECT_CODE(f, elbv2_handlers.set_rule_priorities(&f.op, f.e, &swap, &out),
                "OperationNotPermitted");
}

TEST(every_condition_comes_back_with_its_typed_configuration)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct str host[] = {STR("*.example.com")};
    struct str ip[] = {STR("10.0.0.0/8")};
    struct str method[] = {STR("GET")};
    struct str agent[] = {STR("*phone*")};
    struct elbv2_query_string_key_value_pair pair[] = {{.key = STR("v"), .value = STR("2")}};
    struct elbv2_host_header_condition_config host_config = {.values = {host, 1, true}};
    struct elbv2_source_ip_condition_config ip_config = {.values = {ip, 1, true}};
    struct elbv2_http_request_method_condition_config method_config = {.values = {method, 1, true}};
    struct elbv2_http_header_condition_config header_config = {
        .http_header_name = STR("User-Agent"), .values = {agent, 1, true}};
    struct elbv2_query_string_condition_config query_config = {.values = {pair, 1, true}};
    struct elbv2_rule_condition conditions[] = {
        {.field = STR("host-header"), .host_header_config = &host_config},
        {.field = STR("source-ip"), .source_ip_config = &ip_config},
        {.field = STR("http-request-method"), .http_request_method_config = &method_config},
        {.field = STR("http-header"), .http_header_config = &header_config},
        {.field = STR("query-string"), .query_string_config = &query_config},
    };
    struct elbv2_create_rule_in in = {.listener_arn = s.listener.listener_arn,
                                      .priority = OPT_I32(1),
                                      .conditions = {conditions, 5, true},
                                      .actions = forward_to(&f, s.green)};
    struct elbv2_rule made = {0};
    REQUIRE_OK(create_rule(&f, &in, &made), &f.op);
    struct elbv2_rules rules = rules_of(&f, s.listener.listener_arn);
    const struct elbv2_rule_condition *told = rules.items[0].conditions.items;
    REQUIRE_EQ(rules.items[0].conditions.count, 5);
    EXPECT_STR(told[0].values.items[0], "*.example.com");
    EXPECT_STR(told[0].host_header_config->values.items[0], "*.example.com");
    EXPECT_STR(told[1].source_ip_config->values.items[0], "10.0.0.0/8");
    EXPECT_EQ(told[1].values.count, 0);
    EXPECT_STR(told[2].http_request_method_config->values.items[0], "GET");
    EXPECT_STR(told[3].http_header_config->http_header_name, "User-Agent");
    EXPECT_STR(told[4].query_string_config->values.items[0].value, "2");

    /* the way of the scripts: read, change the address, write back */
    struct str new_ip[] = {STR("203.0.113.7/32")};
    ip_config.values.items = new_ip;
    struct elbv2_modify_rule_in change = {.rule_arn = made.rule_arn,
                                          .conditions = {&conditions[1], 1, true}};
    struct elbv2_modify_rule_out changed = {0};
    REQUIRE_OK(elbv2_handlers.modify_rule(&f.op, f.e, &change, &changed), &f.op);
    EXPECT_EQ(changed.rules.items[0].conditions.count, 1);
    EXPECT_STR_EQ(changed.rules.items[0].actions.items[0].target_group_arn, s.green);

    in = rule_in(&f, s.listener.listener_arn, 7, STR("/api/*"), s.green);
    REQUIRE_OK(create_rule(&f, &in, &made), &f.op);
    EXPECT_STR(made.conditions.items[0].path_pattern_config->values.items[0], "/api/*");
    EXPECT_STR(made.conditions.items[0].values.items[0], "/api/*");
}

static const char *refuse_condition(struct fixture *f, const struct site *s,
                                    const struct elbv2_rule_condition *conditions, size_t count)
{
    struct elbv2_create_rule_in in = {.listener_arn = s->listener.listener_arn,
                                      .priority = OPT_I32(1),
                                      .actions = forward_to(f, s->green)};
    for (size_t i = 0; i < count; i++) {
        *ARENA_PUSH(&f->op.arena, &in.conditions) = conditions[i];
    }
    struct elbv2_rule made = {0};
    return fixture_code(f, create_rule(f, &in, &made));
}

TEST(conditions_that_aws_would_refuse_are_refused)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    static const struct {
        const char *field;
        const char *value;
    } cases[] = {
        {"cookie", "x"},
        {"host-header", "nodots"},
        {"host-header", "a b.com"},
        {"path-pattern", "/\x01"},
        {"path-pattern", ""},
        {"source-ip", "10.0.0.1"},
        {"source-ip", "10.0.0.0/33"},
        {"source-ip", "255.255.255.255/32"},
        {"source-ip", "x/8"},
        {"http-request-method", "get"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str value = str_of(cases[i].value);
        struct elbv2_rule_condition c = {.field = str_of(cases[i].field),
                                         .values = {&value, 1, true}};
        EXPECT_STR(str_of(refuse_condition(&f, &s, &c, 1)), "ValidationError");
    }
    struct str six[] = {STR("/1"), STR("/2"), STR("/3"), STR("/4"), STR("/5"), STR("/6")};
    struct elbv2_rule_condition many = {.field = STR("path-pattern"), .values = {six, 6, true}};
    EXPECT_STR(str_of(refuse_condition(&f, &s, &many, 1)), "ValidationError");
    EXPECT_NOTE(f, "A rule can only have '5' condition values");
    struct str stars[] = {STR("/*/*/*"), STR("/*/*/*")};
    many.values = (struct elbv2_list_of_string){stars, 2, true};
    EXPECT_STR(str_of(refuse_condition(&f, &s, &many, 1)), "ValidationError");
    EXPECT_NOTE(f, "A rule can only have '5' condition wildcards");
    struct elbv2_rule_condition twice[] = {
        {.field = STR("path-pattern"), .values = {six, 1, true}},
        {.field = STR("path-pattern"), .values = {six, 1, true}}};
    EXPECT_STR(str_of(refuse_condition(&f, &s, twice, 2)), "ValidationError");
    EXPECT_STR(str_of(refuse_condition(&f, &s, NULL, 0)), "ValidationError");
    EXPECT_NOTE(f, "A rule must have at least one condition");
    struct str ahead = STR("^/a(?=b)");
    struct elbv2_path_pattern_condition_config regex = {.regex_values = {&ahead, 1, true}};
    struct elbv2_rule_condition r = {.field = STR("path-pattern"), .path_pattern_config = &regex};
    EXPECT_STR(str_of(refuse_condition(&f, &s, &r, 1)), "ValidationError");
    EXPECT_NOTE(f, "Condition regex value is not valid: the regular expression '^/a(?=b)' uses a "
                   "lookahead, which rules do not support");
    regex.regex_values = (struct elbv2_list_of_string){six, 6, true};
    EXPECT_STR(str_of(refuse_condition(&f, &s, &r, 1)), "ValidationError");
    EXPECT_NOTE(f, "A rule can only have '5' condition values");
    struct elbv2_rule_condition method = {.field = STR("http-request-method"),
                                          .regex_values = {six, 1, true}};
    EXPECT_STR(str_of(refuse_condition(&f, &s, &method, 1)), "ValidationError");
    struct elbv2_rule_condition header = {.field = STR("http-header"), .values = {six, 1, true}};
    EXPECT_STR(str_of(refuse_condition(&f, &s, &header, 1)), "ValidationError");
}

TEST(the_hundred_and_first_rule_is_too_many)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_rule made = {0};
    for (int32_t i = 1; i <= 100; i++) {
        struct elbv2_create_rule_in in =
            rule_in(&f, s.listener.listener_arn, i, STR("/x"), s.green);
        REQUIRE_OK(create_rule(&f, &in, &made), &f.op);
    }
    struct elbv2_create_rule_in in = rule_in(&f, s.listener.listener_arn, 500, STR("/x"), s.green);
    EXPECT_CODE(f, create_rule(&f, &in, &made), "TooManyRules");
    struct elbv2_delete_rule_in take = {.rule_arn = made.rule_arn};
    struct elbv2_delete_rule_out taken = {0};
    REQUIRE_OK(elbv2_handlers.delete_rule(&f.op, f.e, &take, &taken), &f.op);
    EXPECT_CODE(f, elbv2_handlers.delete_rule(&f.op, f.e, &take, &taken), "RuleNotFound");
    EXPECT_CODE(f, create_rule(&f, &in, &made), "");
}

TEST(groups_with_own_stickiness_ask_for_a_sticky_rule)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_modify_target_group_attributes_in sticky = {.target_group_arn = s.green};
    struct elbv2_modify_target_group_attributes_out set = {0};
    *ARENA_PUSH(&f.op.arena, &sticky.attributes) = (struct elbv2_target_group_attribute){
        .key = STR("stickiness.enabled"), .value = STR("true")};
    REQUIRE_OK(elbv2_handlers.modify_target_group_attributes(&f.op, f.e, &sticky, &set), &f.op);
    struct elbv2_create_listener_in in =
        listener_in(&s, 81, split_between(&f, s.blue, 1, s.green, 1));
    struct elbv2_listener made = {0};
    EXPECT_CODE(f, create_listener(&f, &in, &made), "InvalidLoadBalancerAction");
    struct elbv2_target_group_stickiness_config config = {.enabled = OPT_BOOL(true)};
    in.default_actions.items[0].forward_config->target_group_stickiness_config = &config;
    EXPECT_CODE(f, create_listener(&f, &in, &made), "InvalidLoadBalancerAction");
    config.duration_seconds = OPT_I32(3600);
    REQUIRE_OK(create_listener(&f, &in, &made), &f.op);
    fixture_turn(&f);
    bool has_sticky = false;
    for (size_t i = 0; i < f.snapshot.listeners.count; i++) {
        const struct lbconf_listener *l = &f.snapshot.listeners.items[i];
        has_sticky =
            has_sticky || OPT_OR(l->rules.items[0].actions.items[0].stickiness_seconds, 0) == 3600;
    }
    EXPECT(has_sticky);
    sticky.target_group_arn = s.blue; /* behind the sticky rule alone: fine */
    sticky.attributes.items[0].value = STR("false");
    REQUIRE_OK(elbv2_handlers.modify_target_group_attributes(&f.op, f.e, &sticky, &set), &f.op);
    sticky.attributes.items[0].value = STR("true");
    REQUIRE_OK(elbv2_handlers.modify_target_group_attributes(&f.op, f.e, &sticky, &set), &f.op);
}

TEST(a_group_behind_a_rule_that_keeps_nobody_in_a_group_cannot_be_made_sticky)
{
    FIXTURE;
    fixture_open(&f, ":memory:", NULL, STR_NONE);
    struct site s = make_site(&f);
    struct elbv2_create_listener_in in =
        listener_in(&s, 81, split_between(&f, s.blue, 1, s.green, 1));
    struct elbv2_listener made = {0};
    REQUIRE_OK(create_listener(&f, &in, &made), &f.op);
    struct elbv2_modify_target_group_attributes_in sticky = {.target_group_arn = s.green};
    struct elbv2_modify_target_group_attributes_out set = {0};
    *ARENA_PUSH(&f.op.arena, &sticky.attributes) = (struct elbv2_target_group_attribute){
        .key = STR("stickiness.enabled"), .value = STR("true")};
    EXPECT_CODE(f, elbv2_handlers.modify_target_group_attributes(&f.op, f.e, &sticky, &set),
                "InvalidConfigurationRequest");
}
