#include "api/api.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "gen/cloudwatch.h"
#include "gen/codedeploy.h"
#include "gen/ec2.h"
#include "gen/ecs.h"
#include "gen/elbv2.h"
#include "gen/logs.h"
#include "gen/sts.h"
#include "test.h"

#define KEY_ID "AKIAHITLESSTEST"
#define SECRET "correct horse battery staple"
#define NOW    "20261120T154210Z"

/* ---- toy services --------------------------------------------------------------------------- */

static enum err list_clusters(struct op *op, struct ecs *ecs, const struct ecs_list_clusters_in *in,
                              struct ecs_list_clusters_out *ret)
{
    (void)ecs;
    (void)in;
    ret->cluster_arns.is_set = true;
    *ARENA_PUSH(&op->arena, &ret->cluster_arns) =
        arena_printf(&op->arena, "arn:aws:ecs:%.*s:%.*s:cluster/default", STR_ARG(op->region),
                     STR_ARG(op->account));
    return ERR_OK;
}

static enum err describe_services(struct op *op, struct ecs *ecs,
                                  const struct ecs_describe_services_in *in,
                                  struct ecs_describe_services_out *ret)
{
    (void)ecs;
    (void)ret;
    if (STR_IS(in->cluster, "broken")) {
        return op_fail(op, ERR_IO, "the secret disk /dev/x is on fire");
    }
    return op_fail_as(op, ERR_NOT_FOUND, &ecs_error_cluster_not_found_exception,
                      "Cluster not found.");
}

static const struct ecs_handlers ecs_handlers = {.list_clusters = list_clusters,
                                                 .describe_services = describe_services};

static enum err describe_load_balancers(struct op *op, struct elbv2 *elbv2,
                                        const struct elbv2_describe_load_balancers_in *in,
                                        struct elbv2_describe_load_balancers_out *ret)
{
    (void)elbv2;
    if (in->names.count > 0) {
        return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_load_balancer_not_found_exception,
                          "Load balancers '[%.*s]' not found", STR_ARG(in->names.items[0]));
    }
    ret->load_balancers.is_set = true;
    return ERR_OK;
}

static const struct elbv2_handlers elbv2_handlers = {.describe_load_balancers =
                                                         describe_load_balancers};

static enum err describe_alarms(struct op *op, struct cloudwatch *cloudwatch,
                                const struct cloudwatch_describe_alarms_in *in,
                                struct cloudwatch_describe_alarms_out *ret)
{
    (void)cloudwatch;
    if (str_is_set(in->next_token)) {
        return op_fail_as(op, ERR_INPUT, &cloudwatch_error_invalid_next_token, "bad token");
    }
    ret->metric_alarms.is_set = true;
    return ERR_OK;
}

static enum err get_dashboard(struct op *op, struct cloudwatch *cloudwatch,
                              const struct cloudwatch_get_dashboard_in *in,
                              struct cloudwatch_get_dashboard_out *ret)
{
    (void)cloudwatch;
    (void)ret;
    return op_fail_as(op, ERR_NOT_FOUND, &cloudwatch_error_dashboard_not_found_error,
                      "Dashboard %.*s does not exist", STR_ARG(in->dashboard_name));
}

static const struct cloudwatch_handlers cloudwatch_handlers = {.describe_alarms = describe_alarms,
                                                               .get_dashboard = get_dashboard};

static enum err get_caller_identity(struct op *op, struct sts *sts,
                                    const struct sts_get_caller_identity_in *in,
                                    struct sts_get_caller_identity_out *ret)
{
    (void)sts;
    (void)in;
    ret->arn = op->caller_arn;
    ret->user_id = op->caller_id;
    ret->account = op->account;
    return ERR_OK;
}

static enum err with_web_identity(struct op *op, struct sts *sts,
                                  const struct sts_assume_role_with_web_identity_in *in,
                                  struct sts_assume_role_with_web_identity_out *ret)
{
    (void)op;
    (void)sts;
    ret->subject_from_web_identity_token = in->web_identity_token;
    return ERR_OK;
}

static const struct sts_handlers sts_handlers = {
    .get_caller_identity = get_caller_identity, .assume_role_with_web_identity = with_web_identity};

static enum err describe_vpcs(struct op *op, struct ec2 *ec2, const struct ec2_describe_vpcs_in *in,
                              struct ec2_describe_vpcs_out *ret)
{
    (void)ec2;
    (void)in;
    struct ec2_vpc *vpc = ARENA_PUSH(&op->arena, &ret->vpcs);
    vpc->vpc_id = STR("vpc-1");
    vpc->is_default = OPT_BOOL(true);
    return ERR_OK;
}

static const struct ec2_handlers ec2_handlers = {.describe_vpcs = describe_vpcs};
static const struct codedeploy_handlers codedeploy_handlers = {0};
static const struct logs_handlers logs_handlers = {0};

static enum err find_key(void *self, struct op *op, struct str access_key_id,
                         struct str session_token, struct api_identity *ret)
{
    (void)self;
    bool is_session = STR_IS(access_key_id, "ASIASESSION");
    if (!is_session && !STR_IS(access_key_id, KEY_ID)) {
        return op_fail(op, ERR_NOT_FOUND, "no such key");
    }
    bool is_right = is_session ? STR_IS(session_token, "token") : !str_is_set(session_token);
    if (!is_right) {
        return op_fail(op, ERR_NOT_FOUND, "no such session");
    }
    *ret = (struct api_identity){.secret_access_key = STR(SECRET),
                                 .caller_arn = STR("arn:aws:iam::123456789012:user/me"),
                                 .caller_id = STR("AIDAME"),
                                 .account = STR("123456789012"),
                                 .is_expired = is_session};
    return ERR_OK;
}

/* ---- one call ------------------------------------------------------------------------------- */

struct
try {
    const char *service; /* signing name */
    const char *target;  /* X-Amz-Target or NULL */
    const char *type;    /* Content-Type */
    const char *path;    /* NULL: "/" */
    const char *extra;   /* "Name: value" or NULL */
    const char *body;
    const char *key_id; /* NULL: KEY_ID; "": not signed */
    const char *token;  /* X-Amz-Security-Token */
    const char *date;   /* NULL: NOW */
    const char *region; /* NULL: eu-west-1 */
    bool is_test_mode;
    int status;
    const char *want; /* exact body, with RID for the request id */
};

static struct str with_rid(struct op *op, struct str body)
{
    size_t at = str_find(body, op->request_id, 0);
    if (at == STR_NOT_FOUND) {
        return body;
    }
    struct str head = str_slice(body, 0, at);
    struct str tail = str_from(body, at + op->request_id.len);
    return arena_printf(&op->arena, "%.*sRID%.*s", STR_ARG(head), STR_ARG(tail));
}

static void add(struct aws_header *headers, size_t *count, const char *name, const char *value)
{
    if (value != NULL) {
        headers[(*count)++] = (struct aws_header){str_of(name), str_of(value)};
    }
}

static void serve(const struct try *t, struct op *op, struct aws_answer *answer)
{
    struct aws_header headers[8];
    size_t count = 0;
    struct str date = str_of(t->date != NULL ? t->date : NOW);
    add(headers, &count, "Host", "localhost:4566");
    add(headers, &count, "X-Amz-Date", date.ptr);
    add(headers, &count, "X-Amz-Target", t->target);
    add(headers, &count, "Content-Type", t->type);
    add(headers, &count, "X-Amz-Security-Token", t->token);
    if (t->extra != NULL) {
        CHECK(str_cut(str_of(t->extra), ':', &headers[count].name, &headers[count].value));
        headers[count].value = str_trim(headers[count].value);
        count++;
    }
    struct aws_request r = {.method = STR("POST"),
                            .path = str_of(t->path != NULL ? t->path : "/"),
                            .query = STR(""),
                            .headers = headers,
                            .header_count = count,
                            .body = str_of(t->body)};
    struct sigv4_scope scope = {.date = str_slice(date, 0, 8),
                                .region = str_of(t->region != NULL ? t->region : "eu-west-1"),
                                .service = str_of(t->service)};
    const char *key_id = t->key_id != NULL ? t->key_id : KEY_ID;
    if (key_id[0] != '\0') {
        headers[count].name = STR("Authorization");
        headers[count].value =
            sigv4_authorization(&op->arena, NULL, &r, str_of(key_id), STR(SECRET), &scope, date);
        r.header_count++;
    }
    struct api_options options = {.account = STR("123456789012"),
                                  .default_region = STR("us-east-1"),
                                  .is_test_mode = t->is_test_mode,
                                  .hooks = {.find_key = find_key}};
    struct api api;
    api_init(&api, &options);
    api_add(&api, &ecs_service, &ecs_handlers, NULL);
    api_add(&api, &elbv2_service, &elbv2_handlers, NULL);
    api_add(&api, &cloudwatch_service, &cloudwatch_handlers, NULL);
    api_add(&api, &sts_service, &sts_handlers, NULL);
    api_add(&api, &ec2_service, &ec2_handlers, NULL);
    api_add(&api, &codedeploy_service, &codedeploy_handlers, NULL);
    api_add(&api, &logs_service, &logs_handlers, NULL);
    api_serve(&api, op, &r, answer);
}

static void init_op(struct op *op)
{
    op_init(op);
    CHECK(wall_parse(STR(NOW), &op->now));
}

static void check_all(const struct try *tries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        auto_op struct op op;
        AUTO(aws_answer_fini) struct aws_answer answer;
        init_op(&op);
        aws_answer_init(&answer);
        serve(&tries[i], &op, &answer);
        EXPECT_EQ(answer.status, tries[i].status);
        EXPECT_STR(with_rid(&op, buf_str(&answer.body)), tries[i].want);
        EXPECT(str_equal(answer.headers[0].value, op.request_id));
    }
}

#define ECS_TARGET    "AmazonEC2ContainerServiceV20141113."
#define CW_TARGET     "GraniteServiceVersion20100801."
#define DEPLOY_TARGET "CodeDeploy_20141006."
#define JSON11        "application/x-amz-json-1.1"
#define FORM          "application/x-www-form-urlencoded"
#define ELB_NS        "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"
#define STS_NS        "https://sts.amazonaws.com/doc/2011-06-15/"

TEST(json_calls_are_answered_in_json)
{
    static const struct try tries[] = {
        {.service = "ecs",
         .target = ECS_TARGET "ListClusters",
         .type = JSON11,
         .body = "{}",
         .status = 200,
         .want = "{\"clusterArns\":[\"arn:aws:ecs:eu-west-1:123456789012:cluster/default\"]}"},
        {.service = "ecs",
         .target = ECS_TARGET "DescribeServices",
         .type = JSON11,
         .body = "{\"services\":[\"a\"]}",
         .status = 400,
         .want = "{\"__type\":\"ClusterNotFoundException\",\"message\":\"Cluster not found.\"}"},
        {.service = "ecs",
         .target = ECS_TARGET "DescribeServices",
         .type = JSON11,
         .body = "{\"services\":[\"a\"],\"cluster\":\"broken\"}",
         .status = 500,
         .want = "{\"__type\":\"ServerException\",\"message\":\"The request processing has failed "
                 "because of an unknown error, exception or failure.\"}"},
        {.service = "ecs",
         .target = ECS_TARGET "DescribeServices",
         .type = JSON11,
         .body = "{\"services\":[\"a\"],\"newerThanWeAre\":{\"a\":[1]}}",
         .status = 400,
         .want = "{\"__type\":\"InvalidParameterException\",\"message\":\"1 validation error "
                 "detected: Value null at "
                 "'newerThanWeAre' failed to satisfy constraint: Member is not known to this "
                 "operation\"}"},
        {.service = "ecs",
         .target = ECS_TARGET "DescribeServices",
         .type = JSON11,
         .body = "{\"cluster\":",
         .status = 400,
         .want = "{\"__type\":\"SerializationException\",\"message\":\"JSON line 1 column 12, at "
                 "\\\"cluster\\\": expected a value\"}"},
        {.service = "ecs",
         .target = ECS_TARGET "DescribeServices",
         .type = JSON11,
         .body = "{}",
         .status = 400,
         .want = "{\"__type\":\"InvalidParameterException\",\"message\":\"1 validation error "
                 "detected: Value null at 'services' failed to satisfy constraint: Member must not "
                 "be null\"}"},
        {.service = "ecs",
         .target = ECS_TARGET "DestroyEverything",
         .type = JSON11,
         .body = "{}",
         .status = 400,
         .want = "{\"__type\":\"UnknownOperationException\",\"message\":\"Amazon EC2 Container "
                 "Service has no operation \\\"DestroyEverything\\\"\"}"},
        {.service = "ecs",
         .target = ECS_TARGET "CreateCluster",
         .type = JSON11,
         .body = "{}",
         .status = 400,
         .want = "{\"__type\":\"UnsupportedOperationException\",\"message\":\"CreateCluster is not "
                 "offered here\"}"},
        {.service = "codedeploy",
         .target = DEPLOY_TARGET "GetDeployment",
         .type = JSON11,
         .body = "{}",
         .status = 400,
         .want = "{\"__type\":\"DeploymentIdRequiredException\",\"message\":\"1 validation error "
                 "detected: Value null at 'deploymentId' failed to satisfy constraint: Member must "
                 "not be null\"}"},
        {.service = "codedeploy",
         .target = DEPLOY_TARGET "CreateApplication",
         .type = JSON11,
         .body = "{\"applicationName\":\"a\",\"computePlatform\":\"Moon\"}",
         .status = 400,
         .want = "{\"__type\":\"InvalidComputePlatformException\",\"message\":\"1 validation error "
                 "detected: Value 'Moon' at 'computePlatform' failed to satisfy constraint: Member "
                 "must satisfy enum value set: [Server, Lambda, ECS]\"}"},
    };
    check_all(tries, ARRAY_COUNT(tries));
}

TEST(query_calls_are_answered_in_xml)
{
    static const struct try tries[] = {
        {.service = "sts",
         .type = FORM,
         .body = "Action=GetCallerIdentity&Version=2011-06-15",
         .status = 200,
         .want = "<GetCallerIdentityResponse xmlns=\"" STS_NS "\"><GetCallerIdentityResult>"
                 "<UserId>AIDAME</UserId><Account>123456789012</Account>"
                 "<Arn>arn:aws:iam::123456789012:user/me</Arn></GetCallerIdentityResult>"
                 "<ResponseMetadata><RequestId>RID</RequestId></ResponseMetadata>"
                 "</GetCallerIdentityResponse>"},
        {.service = "elasticloadbalancing",
         .type = FORM,
         .body = "Action=DescribeLoadBalancers&Version=2015-12-01&Names.member.1=x",
         .status = 400,
         .want = "<ErrorResponse xmlns=\"" ELB_NS "\"><Error><Type>Sender</Type>"
                 "<Code>LoadBalancerNotFound</Code><Message>Load balancers '[x]' not found"
                 "</Message></Error><RequestId>RID</RequestId></ErrorResponse>"},
        {.service = "elasticloadbalancing",
         .type = FORM,
         .body = "Action=DescribeLoadBalancers&Version=2015-12-01&PageSize=1000",
         .status = 400,
         .want = "<ErrorResponse xmlns=\"" ELB_NS "\"><Error><Type>Sender</Type>"
                 "<Code>ValidationError</Code><Message>1 validation error detected: Value '1000' "
                 "at 'pageSize' failed to satisfy constraint: Member must have value less than or "
                 "equal to 400</Message></Error><RequestId>RID</RequestId></ErrorResponse>"},
        {.service = "elasticloadbalancing",
         .type = FORM,
         .body = "Action=Fly&Version=2015-12-01",
         .status = 400,
         .want = "<ErrorResponse xmlns=\"" ELB_NS "\"><Error><Type>Sender</Type>"
                 "<Code>InvalidAction</Code><Message>Could not find operation Fly for version "
                 "2015-12-01</Message></Error><RequestId>RID</RequestId></ErrorResponse>"},
        {.service = "elasticloadbalancing",
         .type = FORM,
         .body = "Action=DescribeLoadBalancers&Version=2012-06-01",
         .status = 400,
         .want = "<ErrorResponse xmlns=\"" ELB_NS "\"><Error><Type>Sender</Type>"
                 "<Code>NoSuchVersion</Code><Message>The requested version (2012-06-01) of service "
                 "Elastic Load Balancing does not exist</Message></Error><RequestId>RID"
                 "</RequestId></ErrorResponse>"},
        {.service = "monitoring",
         .type = FORM,
         .body = "Action=GetDashboard&Version=2010-08-01&DashboardName=d",
         .status = 404,
         .want = "<ErrorResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\"><Error>"
                 "<Type>Sender</Type><Code>ResourceNotFound</Code><Message>Dashboard d does not "
                 "exist</Message></Error><RequestId>RID</RequestId></ErrorResponse>"},
        {.service = "ec2",
         .type = FORM,
         .body = "Action=DescribeVpcs&Version=2016-11-15",
         .status = 200,
         .want = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DescribeVpcsResponse "
                 "xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>RID</requestId>"
                 "<vpcSet><item><isDefault>true</isDefault><vpcId>vpc-1</vpcId></item></vpcSet>"
                 "</DescribeVpcsResponse>"},
        {.service = "ec2",
         .type = FORM,
         .body = "Action=DescribeVpcs&Version=2016-11-15&VpcIdd.1=x",
         .status = 400,
         .want = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>"
                 "<Code>UnknownParameter</Code><Message>The parameter VpcIdd is not recognized"
                 "</Message></Error></Errors><RequestID>RID</RequestID></Response>"},
        {.service = "sts",
         .type = FORM,
         .key_id = "",
         .body = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=ci"
                 "&RoleArn=arn:aws:iam::123456789012:role/deploy&WebIdentityToken=abcd",
         .status = 200,
         .want = "<AssumeRoleWithWebIdentityResponse xmlns=\"" STS_NS "\">"
                 "<AssumeRoleWithWebIdentityResult><SubjectFromWebIdentityToken>abcd"
                 "</SubjectFromWebIdentityToken></AssumeRoleWithWebIdentityResult>"
                 "<ResponseMetadata><RequestId>RID</RequestId></ResponseMetadata>"
                 "</AssumeRoleWithWebIdentityResponse>"},
    };
    check_all(tries, ARRAY_COUNT(tries));
}

TEST(bad_signatures_are_answered_in_each_protocols_way)
{
    static const struct try tries[] = {
        {.service = "ecs",
         .target = ECS_TARGET "ListClusters",
         .type = JSON11,
         .key_id = "",
         .body = "{}",
         .status = 400,
         .want = "{\"__type\":\"MissingAuthenticationTokenException\",\"message\":\"Missing "
                 "Authentication Token\"}"},
        {.service = "ecs",
         .target = ECS_TARGET "ListClusters",
         .type = JSON11,
         .key_id = "AKIAOTHER",
         .body = "{}",
         .status = 400,
         .want = "{\"__type\":\"UnrecognizedClientException\",\"message\":\"The security token "
                 "included in the request is invalid.\"}"},
        {.service = "ecs",
         .target = ECS_TARGET "ListClusters",
         .type = JSON11,
         .token = "stray",
         .body = "{}",
         .status = 400,
         .want = "{\"__type\":\"UnrecognizedClientException\",\"message\":\"The security token "
                 "included in the request is invalid.\"}"},
        {.service = "ecs",
         .target = ECS_TARGET "ListClusters",
         .type = JSON11,
         .key_id = "ASIASESSION",
         .token = "token",
         .body = "{}",
         .status = 400,
         .want = "{\"__type\":\"ExpiredTokenException\",\"message\":\"The security token included "
                 "in the request is expired\"}"},
        {.service = "sts",
         .target = ECS_TARGET "ListClusters",
         .type = JSON11,
         .body = "{}",
         .status = 400,
         .want = "{\"__type\":\"InvalidSignatureException\",\"message\":\"Credential should be "
                 "scoped to correct service: 'ecs'. \"}"},
        {.service = "ecs",
         .target = ECS_TARGET "ListClusters",
         .type = JSON11,
         .region = "EU West",
         .body = "{}",
         .status = 400,
         .want = "{\"__type\":\"InvalidSignatureException\",\"message\":\"Credential should be "
                 "scoped to a valid region. \"}"},
        {.service = "sts",
         .type = FORM,
         .key_id = "AKIAOTHER",
         .body = "Action=GetCallerIdentity&Version=2011-06-15",
         .status = 403,
         .want = "<ErrorResponse xmlns=\"" STS_NS "\"><Error><Type>Sender</Type>"
                 "<Code>InvalidClientTokenId</Code><Message>The security token included in the "
                 "request is invalid.</Message></Error><RequestId>RID</RequestId></ErrorResponse>"},
        {.service = "sts",
         .type = FORM,
         .date = "20261120T150000Z",
         .body = "Action=GetCallerIdentity&Version=2011-06-15",
         .status = 403,
         .want = "<ErrorResponse xmlns=\"" STS_NS "\"><Error><Type>Sender</Type>"
                 "<Code>SignatureDoesNotMatch</Code><Message>Signature expired: 20261120T150000Z "
                 "is now earlier than 20261120T153710Z (20261120T154210Z - 5 min.)</Message>"
                 "</Error><RequestId>RID</RequestId></ErrorResponse>"},
        {.service = "sts",
         .type = FORM,
         .key_id = "",
         .body = "Action=GetCallerIdentity&Version=2011-06-15",
         .status = 403,
         .want = "<ErrorResponse xmlns=\"" STS_NS "\"><Error><Type>Sender</Type>"
                 "<Code>MissingAuthenticationToken</Code><Message>Missing Authentication Token"
                 "</Message></Error><RequestId>RID</RequestId></ErrorResponse>"},
        {.service = "ecs",
         .target = ECS_TARGET "ListClusters",
         .type = JSON11,
         .key_id = "",
         .is_test_mode = true,
         .body = "{}",
         .status = 200,
         .want = "{\"clusterArns\":[\"arn:aws:ecs:us-east-1:123456789012:cluster/default\"]}"},
        {.service = "ecs",
         .target = ECS_TARGET "ListClusters",
         .type = JSON11,
         .key_id = "anybody",
         .is_test_mode = true,
         .body = "{}",
         .status = 200,
         .want = "{\"clusterArns\":[\"arn:aws:ecs:eu-west-1:123456789012:cluster/default\"]}"},
    };
    check_all(tries, ARRAY_COUNT(tries));
}

TEST(cloudwatch_speaks_three_protocols)
{
    static const struct try tries[] = {
        {.service = "monitoring",
         .target = CW_TARGET "DescribeAlarms",
         .type = "application/x-amz-json-1.0",
         .body = "{}",
         .status = 200,
         .want = "{\"MetricAlarms\":[]}"},
        {.service = "monitoring",
         .type = FORM,
         .body = "Action=DescribeAlarms&Version=2010-08-01",
         .status = 200,
         .want = "<DescribeAlarmsResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/"
                 "\"><DescribeAlarmsResult><MetricAlarms></MetricAlarms></DescribeAlarmsResult>"
                 "<ResponseMetadata><RequestId>RID</RequestId></ResponseMetadata>"
                 "</DescribeAlarmsResponse>"},
        {.service = "monitoring",
         .path = "/service/GraniteServiceVersion20100801/operation/DescribeAlarms",
         .extra = "Smithy-Protocol: rpc-v2-cbor",
         .type = "application/cbor",
         .body = "\xBF\xFF",
         .status = 200,
         .want = "\xA1\x6CMetricAlarms\x80"},
        {.service = "monitoring",
         .path = "/x/service/GraniteServiceVersion20100801/operation/Fly",
         .extra = "Smithy-Protocol: rpc-v2-cbor",
         .type = "application/cbor",
         .body = "\xBF\xFF",
         .status = 404,
         .want = "\xA2\x66__type\x78\x19UnknownOperationException\x67message\x78\x28"
                 "Amazon CloudWatch has no operation \"Fly\""},
        {.service = "monitoring",
         .path = "/service/GraniteServiceVersion20100801/operation/DescribeAlarms",
         .target = CW_TARGET "DescribeAlarms",
         .extra = "Smithy-Protocol: rpc-v2-cbor",
         .type = "application/cbor",
         .body = "\xBF\xFF",
         .status = 404,
         .want = "\xA2\x66__type\x78\x19UnknownOperationException\x67message\x78\x32"
                 "an rpc-v2-cbor request must not carry X-Amz-Target"},
    };
    check_all(tries, ARRAY_COUNT(tries));
}

TEST(query_compatible_errors_say_their_query_code_in_a_header)
{
    static const struct try t = {.service = "monitoring",
                                 .target = CW_TARGET "GetDashboard",
                                 .type = "application/x-amz-json-1.0",
                                 .extra = "x-amzn-query-mode: true",
                                 .body = "{\"DashboardName\":\"d\"}"};
    auto_op struct op op;
    AUTO(aws_answer_fini) struct aws_answer answer;
    init_op(&op);
    aws_answer_init(&answer);
    serve(&t, &op, &answer);
    EXPECT_EQ(answer.status, 404);
    EXPECT_STR(answer.content_type, "application/x-amz-json-1.0");
    EXPECT_STR(buf_str(&answer.body), "{\"__type\":\"DashboardNotFoundError\",\"message\":"
                                      "\"Dashboard d does not exist\"}");
    REQUIRE_EQ(answer.header_count, 2);
    EXPECT_STR(answer.headers[1].name, "x-amzn-query-error");
    EXPECT_STR(answer.headers[1].value, "ResourceNotFound;Sender");
}
