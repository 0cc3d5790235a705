#!/usr/bin/env python3
"""Our AWS client against an emulator, the toy endpoint, and endpoints that misbehave. Prints TAP."""
import email.utils, http.server, json, os, pathlib, subprocess, sys, tempfile, threading, time, urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from rig import ROOT, Skip, free_port, run_tests

BIN = ROOT / os.environ.get("HITLESS_BUILD", "build") / "tests" / "unit"
CLIENT = BIN / "aws" / "client_toy"
TOY = BIN / "api" / "api_toy"
SECRET = "the-secret-that-must-not-show"


class Rig:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.moto_port = free_port()
        self.moto = self.started = None
        self.toy = subprocess.Popen([TOY], stdout=subprocess.PIPE, text=True)
        self.toy_url = f"http://127.0.0.1:{int(self.toy.stdout.readline())}"

    def emulator(self):
        if self.moto is None:
            try:
                import moto.server
            except ImportError:
                raise Skip("moto is not installed")
            self.moto = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(self.moto_port)],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for _ in range(200):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{self.moto_port}/moto-api/", timeout=1)
                    break
                except OSError:
                    time.sleep(0.1)
        return f"http://127.0.0.1:{self.moto_port}"

    def file(self, name, text):
        path = pathlib.Path(self.folder.name) / name
        path.write_text(text)
        return str(path)

    def run(self, *args, **env):
        base = {"PATH": os.environ["PATH"], "AWS_REGION": "eu-west-1", "HOME": self.folder.name,
                "AWS_EC2_METADATA_DISABLED": "true"}
        if not any(k.startswith(("AWS_PROFILE", "AWS_ROLE", "AWS_CONTAINER", "AWS_EC2_METADATA", "NO_KEYS")) for k in env):
            base |= {"AWS_ACCESS_KEY_ID": "AKIATOY", "AWS_SECRET_ACCESS_KEY": "toy secret"}
        base |= env
        out = subprocess.run([CLIENT, *args], env={k: v for k, v in base.items() if v is not None}, capture_output=True,
                             text=True, timeout=60)
        assert SECRET not in out.stdout + out.stderr, out.stdout + out.stderr
        assert "ERROR: AddressSanitizer" not in out.stderr, out.stderr
        return out.stdout.splitlines()

    def call(self, *args, **env):
        lines = self.run(*args, **env)
        assert lines and not lines[-1].startswith("error "), lines
        return json.loads(lines[-1])

    def fails(self, *args, **env):
        lines = self.run(*args, **env)
        assert lines and lines[-1].startswith("error "), lines
        return lines[-1].removeprefix("error ").split("|", 3)

    def close(self):
        for process in (self.toy, self.moto):
            if process is not None:
                process.terminate()
                process.wait()
        self.folder.cleanup()


def same(got, want):
    assert got == want, f"got {got!r}, wanted {want!r}"


class Scripted:
    """An endpoint that gives the scripted answers in turn and keeps what it was asked."""

    def __init__(self, *answers):
        outer, self.seen, self.answers = self, [], list(answers)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.seen.append((self.command, self.path, dict(self.headers), body.decode()))
                reply = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                reply = reply(outer.seen[-1]) if callable(reply) else reply
                if reply is None:
                    self.close_connection = True
                    return
                status, headers, text = reply
                self.send_response_only(status)
                for name, value in {"Content-Length": str(len(text)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


EMPTY = (200, {}, '{"clusterArns":[]}')
FAIL_500 = (500, {}, '{"__type":"ServerException","message":"oops"}')


def test_the_toy_endpoint_answers_signed_calls(rig):
    here = {"AWS_ENDPOINT_URL": rig.toy_url}
    same(rig.call("sts", "GetCallerIdentity", "{}", **here)["Arn"], "arn:aws:iam::123456789012:user/toy")
    arns = [a for line in rig.run("pages", "ecs", "ListClusters", "{}", **here) for a in json.loads(line)["clusterArns"]]
    same(arns, [f"arn:aws:ecs:eu-west-1:123456789012:cluster/c{i}" for i in range(6)])
    s = rig.call("ecs", "DescribeServices", '{"services":["ä€"]}', **here)["services"][0]
    same((s["serviceName"], s["createdAt"], s["events"]), ("ä€", 1700000000.123, []))
    rule = {"ListenerArn": "l", "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a&b", "<x>"]}}],
            "Priority": 5, "Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "t", "Weight": 7}]}}]}
    back = rig.call("elbv2", "CreateRule", json.dumps(rule), **here)["Rules"][0]
    same((back["Conditions"], back["Actions"]), (rule["Conditions"], rule["Actions"]))
    same(rig.call("ec2", "DescribeVpcs", '{"Filters":[{"Name":"vpc-id","Values":["vpc-7"]}]}', **here)["Vpcs"][0]["VpcId"], "vpc-7")
    alarm = rig.call("cloudwatch", "DescribeAlarms", "{}", **here)["MetricAlarms"][0]
    same((alarm["Threshold"], alarm["StateUpdatedTimestamp"]), (0.1, 1700000000.5))


def test_errors_keep_their_code_and_become_kinds(rig):
    here = {"AWS_ENDPOINT_URL": rig.toy_url}
    same(rig.fails("ecs", "DescribeServices", '{"services":["a"],"cluster":"gone"}', **here),
         ["not found", "ClusterNotFoundException", "ClusterNotFoundException",
          "ecs DescribeServices: ClusterNotFoundException: Cluster not found."])
    same(rig.fails("elbv2", "DescribeLoadBalancers", '{"Names":["x"]}', **here)[:3],
         ["not found", "LoadBalancerNotFound", "LoadBalancerNotFound"])
    same(rig.fails("cloudwatch", "GetDashboard", '{"DashboardName":"d"}', **here)[:3],
         ["not found", "ResourceNotFound", "ResourceNotFound"])
    same(rig.fails("ecs", "ListClusters", "{}", AWS_SECRET_ACCESS_KEY=SECRET, **here)[:2],
         ["not allowed", "InvalidSignatureException"])
    same(rig.fails("sts", "GetCallerIdentity", "{}", AWS_ACCESS_KEY_ID="AKIAOTHER", **here)[:2],
         ["not allowed", "InvalidClientTokenId"])


def test_an_emulator_is_driven_in_three_protocols(rig):
    here = {"AWS_ENDPOINT_URL": rig.emulator()}
    same(rig.call("ecs", "CreateCluster", '{"clusterName":"shop"}', **here)["cluster"]["clusterName"], "shop")
    same(rig.call("ecs", "ListClusters", "{}", **here)["clusterArns"], ["arn:aws:ecs:eu-west-1:123456789012:cluster/shop"])
    vpc = rig.call("ec2", "DescribeVpcs", "{}", **here)["Vpcs"][0]["VpcId"]
    group = {"Name": "blue", "Protocol": "HTTP", "Port": 80, "VpcId": vpc, "TargetType": "ip", "HealthCheckPath": "/health"}
    made = rig.call("elbv2", "CreateTargetGroup", json.dumps(group), **here)["TargetGroups"][0]
    same((made["TargetGroupName"], made["Port"], made["HealthCheckPath"]), ("blue", 80, "/health"))
    same(rig.fails("elbv2", "DescribeTargetGroups", '{"Names":["none"]}', **here)[1], "TargetGroupNotFound")
    same(rig.fails("ecs", "DescribeServices", '{"cluster":"none","services":["a"]}', **here)[1], "ClusterNotFoundException")
    same(rig.call("sts", "GetCallerIdentity", "{}", **here)["Account"], "123456789012")


def test_overload_is_waited_out_and_a_doubtful_creation_is_not_repeated(rig):
    throttled = (400, {}, '{"__type":"ThrottlingException","message":"slow"}')
    for answers, args, calls, outcome in [
            ((throttled, (503, {}, ""), EMPTY), ("ListClusters", "{}"), 3, None),
            ((None, EMPTY), ("ListClusters", "{}"), 2, None),
            ((FAIL_500,), ("ListClusters", "{}"), 3, "the other side reported an error"),
            ((FAIL_500,), ("CreateCluster", "{}"), 1, "the other side reported an error"),
            ((None,), ("CreateCluster", "{}"), 1, "the network failed"),
            ((throttled, (200, {}, "{}")), ("CreateCluster", "{}"), 2, None),
            (((400, {}, '{"__type":"ClusterNotFoundException"}'),), ("ListClusters", "{}"), 1, "not found")]:
        server = Scripted(*answers)
        if outcome is None:
            rig.call("ecs", *args, AWS_ENDPOINT_URL=server.url)
        else:
            failure = rig.fails("ecs", *args, AWS_ENDPOINT_URL=server.url)
            same(failure[0], outcome)
            if answers == (None,):
                assert "may have been carried out" in failure[3], failure
        same(len(server.seen), calls)
        server.close()
    same(rig.fails("ecs", "ListClusters", "{}", AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")[0], "the network failed")


def test_a_wrong_clock_is_learned_from_the_server(rig):
    ahead = email.utils.formatdate(time.time() + 3600, usegmt=True)
    body = '{"__type":"InvalidSignatureException","message":"Signature expired: a is now earlier than b"}'
    server = Scripted((400, {"Date": ahead}, body), EMPTY)
    rig.call("ecs", "ListClusters", "{}", AWS_ENDPOINT_URL=server.url)
    first, second = (int(s[2]["X-Amz-Date"][9:11]) for s in server.seen)
    same((second - first) % 24, 1)
    server.close()


def test_tokens_are_filled_in_and_answers_that_make_no_sense_are_refused(rig):
    server = Scripted((200, {}, "<html>"))
    same(rig.fails("ecs", "ListClusters", "{}", AWS_ENDPOINT_URL=server.url)[0], "the other side broke the protocol")
    server.close()
    server = Scripted((404, {}, "<html>not here</html>"))
    same(rig.fails("ecs", "ListClusters", "{}", AWS_ENDPOINT_URL=server.url)[3],
         "ecs ListClusters: the endpoint answered 404 and named no error of AWS")
    server.close()
    server = Scripted((200, {}, '{"tasks":[]}'))
    rig.call("ecs", "RunTask", '{"taskDefinition":"a"}', AWS_ENDPOINT_URL=server.url)
    assert len(json.loads(server.seen[0][3]).get("clientToken", "")) == 36, server.seen
    server.close()


def test_endpoints_are_found_by_service_and_profile(rig):
    server = Scripted(EMPTY)
    rig.call("ecs", "ListClusters", "{}", AWS_ENDPOINT_URL="http://127.0.0.1:1", AWS_ENDPOINT_URL_ECS=server.url)
    config = rig.file("config", f"[profile p]\nregion = eu-central-1\nservices = local\n[services local]\n"
                                f"ecs =\n  endpoint_url = {server.url}/base/\n")
    keys = rig.file("keys", f"[p]\naws_access_key_id = AKIA\naws_secret_access_key = {SECRET}\n")
    rig.call("ecs", "ListClusters", "{}", AWS_PROFILE="p", AWS_CONFIG_FILE=config, AWS_SHARED_CREDENTIALS_FILE=keys, AWS_REGION=None)
    same(server.seen[-1][1], "/base/")
    assert "/eu-central-1/ecs/aws4_request" in server.seen[-1][2]["Authorization"]
    same(rig.fails("ecs", "ListClusters", "{}", AWS_ENDPOINT_URL="file:///etc/passwd")[0], "invalid input")
    failure = rig.fails("ecs", "ListClusters", "{}", AWS_REGION=None)
    assert "no AWS region" in failure[3], failure
    server.close()


def role_answer(expires, name="AssumeRole"):
    return (200, {}, f"<{name}Response xmlns='x'><{name}Result><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>"
                     f"{SECRET}</SecretAccessKey><SessionToken>tok/en=</SessionToken><Expiration>{expires}</Expiration></Credentials>"
                     f"</{name}Result></{name}Response>")


def in_an_hour(offset=3600):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + offset))


def test_roles_are_assumed_along_the_profiles(rig):
    sts, ecs = Scripted(role_answer(in_an_hour())), Scripted(EMPTY)
    ends = {"AWS_ENDPOINT_URL_STS": sts.url, "AWS_ENDPOINT_URL_ECS": ecs.url}
    config = rig.file("config", "[profile base]\n[profile mid]\nrole_arn = arn:mid\nsource_profile = base\nexternal_id = ex\n"
                                "[profile top]\nrole_arn = arn:top\nsource_profile = mid\nrole_session_name = ci\n"
                                "[profile loop]\nrole_arn = a\nsource_profile = loop2\n[profile loop2]\nrole_arn = a\nsource_profile = loop\n"
                                "[profile sso]\nsso_session = x\n[profile mfa]\nrole_arn = a\nmfa_serial = b\nsource_profile = base\n")
    keys = rig.file("keys", f"[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = {SECRET}\n")
    files = {"AWS_CONFIG_FILE": config, "AWS_SHARED_CREDENTIALS_FILE": keys}
    rig.call("ecs", "ListClusters", "{}", AWS_PROFILE="top", **files, **ends)
    same(len(sts.seen), 2)
    assert "RoleArn=arn%3Amid" in sts.seen[0][3] and "ExternalId=ex" in sts.seen[0][3] and "AKIABASE/" in sts.seen[0][2]["Authorization"]
    assert "RoleArn=arn%3Atop" in sts.seen[1][3] and "RoleSessionName=ci" in sts.seen[1][3] and "ASIAROLE/" in sts.seen[1][2]["Authorization"]
    same(ecs.seen[0][2]["X-Amz-Security-Token"], "tok/en=")
    for profile, word in [("loop", "more than 5 times"), ("sso", "SSO"), ("mfa", "MFA"), ("none", "no profile \"none\"")]:
        failure = rig.fails("ecs", "ListClusters", "{}", AWS_PROFILE=profile, **files, **ends)
        assert word in failure[3], failure
    sts.close(), ecs.close()


def test_short_lived_keys_are_renewed_and_long_lived_ones_kept(rig):
    for offset, renewals in [(100, 3), (3600, 1)]:
        sts, ecs = Scripted(role_answer(in_an_hour(offset), "AssumeRoleWithWebIdentity")), Scripted(EMPTY)
        rig.call("ecs", "ListClusters", "{}", "{}", "{}", AWS_ROLE_ARN="arn:web", AWS_WEB_IDENTITY_TOKEN_FILE=rig.file("token", "jwt\n"),
                 AWS_ENDPOINT_URL_STS=sts.url, AWS_ENDPOINT_URL_ECS=ecs.url)
        same((len(sts.seen), len(ecs.seen)), (renewals, 3))
        assert "Authorization" not in sts.seen[0][2] and "WebIdentityToken=jwt&" in sts.seen[0][3] + "&", sts.seen
        sts.close(), ecs.close()


def test_processes_containers_and_instances_give_keys(rig):
    given = json.dumps({"Version": 1, "AccessKeyId": "ASIAGIVEN", "SecretAccessKey": SECRET, "SessionToken": "t", "Expiration": in_an_hour()})
    ecs = Scripted(EMPTY)
    keys_file = rig.file("given.json", given)
    config = rig.file("config", f"[profile run]\ncredential_process = /bin/cat '{keys_file}'\n"
                                f"[profile bad]\ncredential_process = /bin/false {SECRET}\n"
                                f"[profile odd]\ncredential_process = /bin/echo '{{\"AccessKeyId\":\"{SECRET}\"'\n")
    files = {"AWS_CONFIG_FILE": config, "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_ENDPOINT_URL_ECS": ecs.url}
    rig.call("ecs", "ListClusters", "{}", AWS_PROFILE="run", **files)
    for profile, word in [("bad", "failed with status 1"), ("odd", "credential_process")]:
        failure = rig.fails("ecs", "ListClusters", "{}", AWS_PROFILE=profile, **files)
        assert word in failure[3], failure
    box = Scripted((200, {}, given.replace("SessionToken", "Token")))
    rig.call("ecs", "ListClusters", "{}", AWS_CONTAINER_CREDENTIALS_FULL_URI=box.url + "/creds", AWS_CONTAINER_AUTHORIZATION_TOKEN="auth",
             AWS_ENDPOINT_URL_ECS=ecs.url)
    same((box.seen[0][1], box.seen[0][2]["Authorization"]), ("/creds", "auth"))
    failure = rig.fails("ecs", "ListClusters", "{}", AWS_CONTAINER_CREDENTIALS_FULL_URI="http://evil.example/x", AWS_ENDPOINT_URL_ECS=ecs.url)
    assert "must be https" in failure[3], failure
    imds = Scripted((200, {}, "session"), (200, {}, "my-role"), (200, {}, given.replace("SessionToken", "Token")))
    rig.call("ecs", "ListClusters", "{}", AWS_EC2_METADATA_DISABLED="false", AWS_EC2_METADATA_SERVICE_ENDPOINT=imds.url, AWS_ENDPOINT_URL_ECS=ecs.url)
    same([(s[0], s[1]) for s in imds.seen], [("PUT", "/latest/api/token"), ("GET", "/latest/meta-data/iam/security-credentials/"),
                                             ("GET", "/latest/meta-data/iam/security-credentials/my-role")])
    same(imds.seen[1][2]["X-Aws-Ec2-Metadata-Token".lower()] if "X-Aws-Ec2-Metadata-Token".lower() in imds.seen[1][2]
         else imds.seen[1][2].get("X-aws-ec2-metadata-token"), "session")
    for seen in ecs.seen:
        assert "ASIAGIVEN/" in seen[2]["Authorization"]
    failure = rig.fails("ecs", "ListClusters", "{}", NO_KEYS="1", AWS_ENDPOINT_URL_ECS=ecs.url)
    assert "no AWS credentials" in failure[3], failure
    box.close(), imds.close(), ecs.close()


if __name__ == "__main__":
    run_tests([v for k, v in list(globals().items()) if k.startswith("test_")], Rig)
