#include "aws/client.h"
#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/profile.h"
#include "aws/retry.h"
#include "aws/wire.h"
#include "base/check.h"
#include "gen/cloudwatch.h"
#include "gen/codedeploy.h"
#include "gen/ec2.h"
#include "gen/ecs.h"
#include "gen/elbv2.h"
#include "gen/sts.h"
#include "test.h"

/* ---- profiles ------------------------------------------------------------------------------- */

TEST(profiles_are_read_from_both_files)
{
    auto_op struct op op;
    op_init(&op);
    struct aws_settings s = {0};
    REQUIRE_OK(aws_settings_parse(&op, &op.arena,
                                  STR("# keys\n[default]\naws_access_key_id = A # mine\n\n"
                                      "[dev]\r\naws_access_key_id=B\r\nregion = from-keys\r\n"),
                                  "credentials", true, &s),
               &op);
    REQUIRE_OK(aws_settings_parse(&op, &op.arena,
                                  STR("[default]\nregion=eu-west-1\n; x\n[profile dev]\nregion = "
                                      "us-east-2\ns3 =\n  max = 1\n[profile \"a b\"]\nregion=x#y\n"
                                      "services = local\n[services local]\necs =\n endpoint_url = "
                                      "http://e\nelastic_load_balancing_v2 =\n endpoint_url = "
                                      "http://l\n"),
                                  "config", false, &s),
               &op);
    EXPECT_STR(aws_settings_find(&s, STR("default"), "aws_access_key_id"), "A");
    EXPECT_STR(aws_settings_find(&s, STR("default"), "region"), "eu-west-1");
    EXPECT_STR(aws_settings_find(&s, STR("dev"), "aws_access_key_id"), "B");
    EXPECT_STR(aws_settings_find(&s, STR("dev"), "region"), "from-keys");
    EXPECT_STR(aws_settings_find(&s, STR("dev"), "s3.max"), "1");
    EXPECT_STR(aws_settings_find(&s, STR("a b"), "region"), "x#y");
    EXPECT_STR(aws_settings_endpoint(&op.arena, &s, STR("a b"), "ECS"), "http://e");
    EXPECT_STR(aws_settings_endpoint(&op.arena, &s, STR("a b"), "Elastic Load Balancing v2"),
               "http://l");
    EXPECT(!str_is_set(aws_settings_endpoint(&op.arena, &s, STR("dev"), "ECS")));
    EXPECT(aws_settings_has_profile(&s, STR("dev")));
    EXPECT(!aws_settings_has_profile(&s, STR("local")));
}

TEST(files_that_are_no_ini_are_refused_with_their_line)
{
    static const struct {
        const char *text;
        const char *note;
    } cases[] = {
        {"a = b\n", "f line 1: expected \"name = value\" in a section"},
        {"[a]\nb\n", "f line 2: expected \"name = value\" in a section"},
        {"[a\n", "f line 1: a section without its ']'"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        auto_op struct op op;
        op_init(&op);
        struct aws_settings s = {0};
        EXPECT_EQ(aws_settings_parse(&op, &op.arena, str_of(cases[i].text), "f", false, &s),
                  ERR_INPUT);
        EXPECT_STR(str_of(op.note.text), cases[i].note);
    }
}

/* ---- endpoints ------------------------------------------------------------------------------ */

static const char *env_text; /* "NAME=value;NAME=value" */

static const char *get_test_env(void *self, const char *name)
{
    static char value[256];
    struct str rest = str_of(env_text);
    struct str part;
    struct str key;
    struct str found;
    (void)self;
    while (str_next(&rest, ';', &part)) {
        if (str_cut(part, '=', &key, &found) && str_equal(key, str_of(name))) {
            CHECK(str_to_c(found, value, sizeof(value)));
            return value;
        }
    }
    return NULL;
}

static const struct aws_env test_env = {.get = get_test_env};

TEST(services_live_where_the_region_the_environment_or_the_caller_says)
{
    static const struct {
        const struct shape_service *service;
        const char *region;
        const char *given;
        const char *env;
        const char *url; /* NULL: refused */
        const char *host;
        const char *path;
    } cases[] = {
        {&ecs_service, "eu-west-1", NULL, "", "https://ecs.eu-west-1.amazonaws.com",
         "ecs.eu-west-1.amazonaws.com", "/"},
        {&sts_service, "eu-west-1", NULL, "", "https://sts.eu-west-1.amazonaws.com",
         "sts.eu-west-1.amazonaws.com", "/"},
        {&elbv2_service, "cn-north-1", NULL, "",
         "https://elasticloadbalancing.cn-north-1.amazonaws.com.cn",
         "elasticloadbalancing.cn-north-1.amazonaws.com.cn", "/"},
        {&cloudwatch_service, "us-gov-west-1", NULL, "",
         "https://monitoring.us-gov-west-1.amazonaws.com", "monitoring.us-gov-west-1.amazonaws.com",
         "/"},
        {&ecs_service, "eu-west-1", NULL, "AWS_ENDPOINT_URL=http://localhost:4566/",
         "http://localhost:4566", "localhost:4566", "/"},
        {&elbv2_service, "eu-west-1", NULL,
         "AWS_ENDPOINT_URL=http://a;AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2=http://b:80/x/y",
         "http://b:80/x/y", "b", "/x/y/"},
        {&ecs_service, "eu-west-1", "https://c:443", "AWS_ENDPOINT_URL=http://a", "https://c:443",
         "c", "/"},
        {&ecs_service, "eu-west-1", NULL,
         "AWS_ENDPOINT_URL=http://a;AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true",
         "https://ecs.eu-west-1.amazonaws.com", "ecs.eu-west-1.amazonaws.com", "/"},
        {&ecs_service, "eu-west-1", "localhost:4566", "", NULL, NULL, NULL},
        {&ecs_service, "eu-west-1", "http://", "", NULL, NULL, NULL},
        {&ecs_service, "eu-west-1", "http://user@host", "", NULL, NULL, NULL},
        {&ecs_service, "eu west", NULL, "", NULL, NULL, NULL},
        {&ecs_service, "", NULL, "", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        auto_op struct op op;
        op_init(&op);
        const struct aws_settings settings = {0};
        struct aws_endpoint e;
        env_text = cases[i].env;
        enum err err =
            aws_endpoint_find(&op, cases[i].service, str_of(cases[i].region),
                              str_of(cases[i].given), &test_env, &settings, STR("default"), &e);
        if (cases[i].url == NULL) {
            EXPECT_EQ(err, ERR_INPUT);
            continue;
        }
        REQUIRE_OK(err, &op);
        EXPECT_STR(e.url, cases[i].url);
        EXPECT_STR(e.host, cases[i].host);
        EXPECT_STR(e.path, cases[i].path);
        EXPECT_STR(e.signing_region, cases[i].region);
    }
}

/* ---- answers -------------------------------------------------------------------------------- */

TEST(errors_are_read_in_every_protocol)
{
    static const struct {
        const struct shape_service *service;
        const struct shape_operation *operation;
        int status;
        struct aws_header header;
        const char *body;
        enum err kind;
        const struct err_public *error;
        const char *note;
    } cases[] = {
        {&ecs_service,
         &ecs_op_describe_services,
         400,
         {STR_INIT("x-amzn-requestid"), STR_INIT("r")},
         "{\"__type\":\"com.amazonaws.ecs#ClusterNotFoundException:http://x\",\"message\":\"no\"}",
         ERR_NOT_FOUND,
         &ecs_error_cluster_not_found_exception,
         "ecs DescribeServices: ClusterNotFoundException: no"},
        {&ecs_service,
         &ecs_op_describe_services,
         403,
         {STR_INIT("x-amzn-errortype"), STR_INIT("AccessDeniedException:http://x")},
         "",
         ERR_DENIED,
         &ecs_error_access_denied_exception,
         "ecs DescribeServices: AccessDeniedException"},
        {&cloudwatch_service,
         &cloudwatch_op_get_dashboard,
         404,
         {STR_INIT("x-amzn-query-error"), STR_INIT("ResourceNotFound;Sender")},
         "{\"__type\":\"x#DashboardNotFoundError\",\"Message\":\"no\"}",
         ERR_NOT_FOUND,
         NULL,
         "cloudwatch GetDashboard: ResourceNotFound: no"},
        {&elbv2_service,
         &elbv2_op_describe_rules,
         400,
         {STR_INIT("a"), STR_INIT("b")},
         "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>RuleNotFound</Code><Message>a "
         "&amp; b</Message></Error><RequestId>r</RequestId></ErrorResponse>",
         ERR_NOT_FOUND,
         &elbv2_error_rule_not_found_exception,
         "elbv2 DescribeRules: RuleNotFound: a & b"},
        {&ec2_service,
         &ec2_op_describe_vpcs,
         400,
         {STR_INIT("a"), STR_INIT("b")},
         "<Response><Errors><Error><Code>InvalidVpcID.NotFound</Code><Message>m</Message></Error>"
         "</Errors><RequestID>r</RequestID></Response>",
         ERR_NOT_FOUND,
         NULL,
         "ec2 DescribeVpcs: InvalidVpcID.NotFound: m"},
        {&ecs_service,
         &ecs_op_describe_services,
         502,
         {STR_INIT("a"), STR_INIT("b")},
         "<html>bad gateway</html>",
         ERR_REMOTE,
         NULL,
         "ecs DescribeServices: the endpoint answered 502 and named no error of AWS"},
        {&elbv2_service,
         &elbv2_op_describe_rules,
         400,
         {STR_INIT("a"), STR_INIT("b")},
         "<ErrorResponse><Error><Code>RuleNot",
         ERR_REMOTE,
         NULL,
         "elbv2 DescribeRules: the endpoint answered 400 and named no error of AWS"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        auto_op struct op op;
        op_init(&op);
        struct aws_http_answer answer = {.status = cases[i].status,
                                         .headers = {cases[i].header},
                                         .header_count = 1,
                                         .body = str_of(cases[i].body)};
        struct aws_wire_error error;
        aws_wire_decode_error(&op, cases[i].service, &answer, &error);
        EXPECT_EQ(aws_wire_fail(&op, cases[i].service, cases[i].operation, cases[i].status, &error),
                  cases[i].kind);
        EXPECT_STR(str_of(op.note.text), cases[i].note);
        EXPECT(cases[i].error == NULL || op.note.public_error == cases[i].error);
    }
}

TEST(requests_name_their_operation_and_fill_in_tokens)
{
    auto_op struct op op;
    op_init(&op);
    const struct aws_endpoint here = {.host = STR("h:1"), .path = STR("/")};
    struct aws_wire_request r;
    struct ecs_run_task_in run = {.task_definition = STR("a")};
    REQUIRE_OK(aws_wire_encode(&op, &ecs_service, &ecs_op_run_task, &here, &run, &r), &op);
    EXPECT(str_starts_with(r.body, STR("{")));
    EXPECT(str_find(r.body, STR("\"clientToken\":\""), 0) != STR_NOT_FOUND);
    EXPECT(!str_is_set(run.client_token));
    run.client_token = STR("mine");
    REQUIRE_OK(aws_wire_encode(&op, &ecs_service, &ecs_op_run_task, &here, &run, &r), &op);
    EXPECT(str_find(r.body, STR("\"clientToken\":\"mine\""), 0) != STR_NOT_FOUND);
    struct elbv2_describe_rules_in rules = {.listener_arn = STR("a/b")};
    REQUIRE_OK(aws_wire_encode(&op, &elbv2_service, &elbv2_op_describe_rules, &here, &rules, &r),
               &op);
    EXPECT_STR(r.body, "Action=DescribeRules&Version=2015-12-01&ListenerArn=a%2Fb");
    struct cloudwatch_list_metrics_in metrics = {.namespace = STR("N")};
    REQUIRE_OK(
        aws_wire_encode(&op, &cloudwatch_service, &cloudwatch_op_list_metrics, &here, &metrics, &r),
        &op);
    EXPECT_STR(r.headers[1].value, "application/x-amz-json-1.0");
    EXPECT_STR(r.headers[2].value, "GraniteServiceVersion20100801.ListMetrics");
    EXPECT_STR(r.headers[3].name, "x-amzn-query-mode");
}

TEST(only_what_may_be_repeated_is_repeated)
{
    EXPECT(aws_retry_is_repeatable(&ecs_op_describe_services));
    EXPECT(aws_retry_is_repeatable(&ecs_op_update_service));
    EXPECT(aws_retry_is_repeatable(&ecs_op_delete_service));
    EXPECT(aws_retry_is_repeatable(&elbv2_op_register_targets));
    EXPECT(aws_retry_is_repeatable(&ecs_op_run_task)); /* bears a token */
    EXPECT(!aws_retry_is_repeatable(&ecs_op_create_cluster));
    EXPECT(!aws_retry_is_repeatable(&ecs_op_register_task_definition));
    EXPECT(!aws_retry_is_repeatable(&codedeploy_op_create_deployment));
    EXPECT_EQ(aws_retry_of_answer(400, STR("ThrottlingException"), STR("")), AWS_RETRY_THROTTLED);
    EXPECT_EQ(aws_retry_of_answer(503, STR(""), STR("")), AWS_RETRY_TRANSIENT);
    EXPECT_EQ(aws_retry_of_answer(400, STR("ClientException"), STR("")), AWS_RETRY_NO);
    EXPECT_EQ(aws_retry_of_answer(403, STR("SignatureDoesNotMatch"), STR("Signature expired: x")),
              AWS_RETRY_CLOCK);
    EXPECT_EQ(aws_retry_of_answer(403, STR("SignatureDoesNotMatch"), STR("The request signature")),
              AWS_RETRY_NO);
    EXPECT_EQ(dur_ms(aws_retry_pause(1, 0.5)), 1000);
    EXPECT_EQ(dur_ms(aws_retry_pause(3, 0.25)), 2000);
    EXPECT_EQ(dur_ms(aws_retry_pause(60, 0.999)), AWS_BACKOFF_MS_MAX);
}

TEST(credentials_in_json_are_read_strictly_and_never_shown)
{
    static const struct {
        const char *json;
        enum err err;
    } cases[] = {
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hush\",\"Token\":\"t\",\"Expiration\":"
         "\"2026-11-20T10:00:00Z\"}",
         ERR_OK},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hush\",\"Expiration\":null}", ERR_OK},
        {"{\"AccessKeyId\":\"A\"}", ERR_PROTOCOL},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hush\",\"Expiration\":\"soon\"}",
         ERR_PROTOCOL},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hush\"", ERR_PROTOCOL},
        {"{\"SecretAccessKey\":\"hush\" hush}", ERR_PROTOCOL},
        {"hush", ERR_PROTOCOL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        auto_op struct op op;
        op_init(&op);
        struct aws_credentials c;
        EXPECT_EQ(aws_credentials_parse(&op, str_of(cases[i].json), "a test", &c), cases[i].err);
        EXPECT(strstr(op.note.text, "hush") == NULL);
    }
}
