#!/usr/bin/env python3
"""Stock clients (boto3, the aws CLI, curl's kind of request) against the endpoint with toy services (api_toy.c):
signatures, four protocols, errors, pagination, packed bodies. Prints TAP."""
import datetime, json, os, pathlib, subprocess, sys, time, urllib.error, urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from rig import ROOT, Skip, run_tests

try:
    import boto3, botocore.auth, botocore.awsrequest, botocore.exceptions, botocore.session
    from botocore.config import Config
except ImportError:
    boto3 = None

TOY = ROOT / os.environ.get("HITLESS_BUILD", "build") / "tests" / "unit" / "api" / "api_toy"


class Toy:
    def __init__(self):
        self.process = subprocess.Popen([TOY], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def client(self, service, key="AKIATOY", secret="toy secret", **more):
        return boto3.client(service, endpoint_url=self.url, region_name="eu-west-1", aws_access_key_id=key,
                            aws_secret_access_key=secret, config=Config(retries={"max_attempts": 1}), **more)

    def close(self):
        self.process.terminate()
        self.process.wait()


def error_of(call, **arguments):
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as e:
        return e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"], e.response["Error"]["Message"]
    raise AssertionError("no error came")


def same(got, want):
    assert got == want, f"got {got!r}, wanted {want!r}"


def test_json_calls_and_their_pages(toy):
    ecs = toy.client("ecs")
    arns = [a for page in ecs.get_paginator("list_clusters").paginate() for a in page["clusterArns"]]
    same(arns, [f"arn:aws:ecs:eu-west-1:123456789012:cluster/c{i}" for i in range(6)])
    s = ecs.describe_services(services=["web", "ä"])["services"]
    same([x["serviceName"] for x in s], ["web", "ä"])
    same(s[0]["createdAt"].timestamp(), 1700000000.123)
    same(s[0]["events"], [])
    same(s[0]["deployments"][0]["rolloutState"], "COMPLETED")


def test_what_is_sent_comes_back(toy):
    containers = [{"name": "app", "image": "x", "environment": [{"name": "A", "value": 'q"\\\n\u20ac😀'}],
                   "dockerLabels": {"k": "v"}, "portMappings": [{"containerPort": 80}], "essential": True}]
    back = toy.client("ecs").register_task_definition(family="f", containerDefinitions=containers)
    same(back["taskDefinition"]["containerDefinitions"], containers)


def test_errors_have_their_codes(toy):
    same(error_of(toy.client("ecs").describe_services, cluster="gone", services=["a"]),
         ("ClusterNotFoundException", 400, "Cluster not found."))
    same(error_of(toy.client("elbv2").describe_load_balancers, Names=["x"]),
         ("LoadBalancerNotFound", 400, "Load balancers '[x]' not found"))
    same(error_of(toy.client("cloudwatch").get_dashboard, DashboardName="d"),
         ("ResourceNotFound", 404, "Dashboard d does not exist"))
    same(error_of(toy.client("ecs").delete_cluster, cluster="c")[0], "UnsupportedOperationException")
    same(error_of(toy.client("sts", key="AKIAOTHER").get_caller_identity)[:2], ("InvalidClientTokenId", 403))
    same(error_of(toy.client("sts", secret="wrong").get_caller_identity)[:2], ("SignatureDoesNotMatch", 403))
    same(error_of(toy.client("ecs", key="AKIAOTHER").list_clusters)[:2], ("UnrecognizedClientException", 400))
    same(error_of(toy.client("ecs", secret="wrong").list_clusters)[:2], ("InvalidSignatureException", 400))
    same(error_of(toy.client("cloudwatch", secret="wrong").describe_alarms)[:2], ("SignatureDoesNotMatch", 400))


def test_query_structures_come_back_as_xml(toy):
    conditions = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a&b", "<x>"]}}]
    actions = [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "t", "Weight": 7}]}}]
    rule = toy.client("elbv2").create_rule(ListenerArn="l", Priority=5, Conditions=conditions, Actions=actions)["Rules"][0]
    same((rule["Conditions"], rule["Actions"], rule["Priority"]), (conditions, actions, "5"))
    vpcs = toy.client("ec2").describe_vpcs(Filters=[{"Name": "vpc-id", "Values": ["vpc-7"]}])["Vpcs"]
    same(vpcs, [{"VpcId": "vpc-7", "IsDefault": True}])


def test_packed_bodies_keep_their_signature(toy):
    cloudwatch = toy.client("cloudwatch")
    before = int(cloudwatch.describe_alarms()["MetricAlarms"][0]["AlarmName"].split()[0])
    seen = {}
    cloudwatch.meta.events.register("before-send", lambda request, **_: seen.update(request.headers))
    data = [{"MetricName": f"metric-with-a-long-name-{i}", "Value": i, "Timestamp": datetime.datetime.now(),
             "Dimensions": [{"Name": "Host", "Value": "h"}]} for i in range(400)]
    cloudwatch.put_metric_data(Namespace="N", MetricData=data)
    same(seen["Content-Encoding"], b"gzip")
    alarm = cloudwatch.describe_alarms()["MetricAlarms"][0]
    same(int(alarm["AlarmName"].split()[0]), before + 400)
    same((alarm["Threshold"], alarm["StateValue"]), (0.1, "ALARM"))
    same(alarm["StateUpdatedTimestamp"].timestamp(), 1700000000.5)


def test_cbor_calls_are_read_by_botocores_own_parser(toy):
    import botocore.parsers, botocore.serialize
    session = botocore.session.get_session()
    operation = session.get_service_model("cloudwatch").operation_model("PutMetricData")
    parser = botocore.parsers.create_parser("smithy-rpc-v2-cbor")
    serializer = botocore.serialize.create_serializer("smithy-rpc-v2-cbor")

    def call(name, params):
        model = session.get_service_model("cloudwatch").operation_model(name)
        out = serializer.serialize_to_request(params, model)
        request = botocore.awsrequest.AWSRequest("POST", toy.url + out["url_path"], data=out["body"], headers=out["headers"])
        credentials = botocore.credentials.Credentials("AKIATOY", "toy secret")
        botocore.auth.SigV4Auth(credentials, "monitoring", "eu-west-1").add_auth(request)
        raw = urllib.request.Request(request.url, data=request.body, headers=dict(request.headers), method="POST")
        try:
            answer = urllib.request.urlopen(raw)
        except urllib.error.HTTPError as e:
            answer = e
        headers = {k.lower(): v for k, v in answer.headers.items()}
        same(headers["smithy-protocol"], "rpc-v2-cbor")
        return parser.parse({"status_code": answer.status, "headers": headers, "body": answer.read()}, model.output_shape)

    call("PutMetricData", {"Namespace": "N", "MetricData": [
        {"MetricName": "m", "Value": 1.5, "Timestamp": "2026-11-20T10:00:00Z", "Values": [1, 2.5, 1e300]}]})
    alarm = call("DescribeAlarms", {})["MetricAlarms"][0]
    same((alarm["Threshold"], alarm["StateValue"], alarm["StateUpdatedTimestamp"].timestamp()), (0.1, "ALARM", 1700000000.5))
    same(call("GetDashboard", {"DashboardName": "d"})["Error"]["Code"], "ResourceNotFound")  # query-compatible: by the header


def test_presigned_requests_are_taken(toy):
    sts = toy.client("sts")
    url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    body = urllib.request.urlopen(url).read().decode()
    assert "<Arn>arn:aws:iam::123456789012:user/toy</Arn>" in body, body


def test_the_aws_command_works(toy):
    env = dict(os.environ, AWS_ACCESS_KEY_ID="AKIATOY", AWS_SECRET_ACCESS_KEY="toy secret", AWS_ENDPOINT_URL=toy.url,
               AWS_DEFAULT_REGION="eu-central-1", AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null")
    try:
        out = subprocess.run(["aws", "sts", "get-caller-identity"], env=env, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise Skip("the aws command is not installed")
    same(json.loads(out.stdout)["Arn"], "arn:aws:iam::123456789012:user/toy")
    out = subprocess.run(["aws", "logs", "create-log-group", "--log-group-name", "/a/b"], env=env, capture_output=True, text=True)
    same((out.returncode, out.stderr), (0, ""))
    out = subprocess.run(["aws", "ecs", "list-clusters"], env=env, capture_output=True, text=True)
    same(json.loads(out.stdout)["clusterArns"][0], "arn:aws:ecs:eu-central-1:123456789012:cluster/c0")


def fetch(toy, path, method="GET", data=None, headers={}):
    try:
        answer = urllib.request.urlopen(urllib.request.Request(toy.url + path, method=method, data=data, headers=headers))
    except urllib.error.HTTPError as e:
        answer = e
    return answer.status, answer.read().decode()


def test_people_and_monitors_get_an_answer_too(toy):
    status, body = fetch(toy, "/")
    assert status == 200 and "AWS_ENDPOINT_URL" in body
    status, body = fetch(toy, "/_hitless/health")
    same((status, json.loads(body)["status"]), (200, "ok"))
    same(fetch(toy, "/favicon.ico")[0], 404)
    same(fetch(toy, "/bucket/key", "PUT", b"x")[0], 404)
    same(fetch(toy, "/moto-api/reset", "POST", b"")[0], 404)
    status, body = fetch(toy, "/", "POST", b"\xff\xfe")
    same(status, 403)
    status, body = fetch(toy, "/", "POST", b"{", {"X-Amz-Target": "x"})
    same((status, json.loads(body)["__type"]), (400, "MissingAuthenticationTokenException"))


if __name__ == "__main__":
    if boto3 is None:
        print("1..0 # SKIP boto3 is not installed")
        sys.exit(0)
    run_tests([v for k, v in list(globals().items()) if k.startswith("test_")], Toy)
