#!/usr/bin/env python3
"""Choosing targets through the real API: attributes and their errors, stickiness with real requests, health of targets
that are plain servers on 127.x. Rows: aws-semantics 2.3 to 2.7."""
import collections, http.server, threading, time

import rig
from rig import REGION, Engine, Skip, free_port, http_get, wait_until

INVALID, CONFLICT, ACTION = "ValidationError", "InvalidConfigurationRequest", "InvalidLoadBalancerAction"


class Server:
    """Answers with its name; /health as it is told to."""

    def __init__(self, name, host):
        server = self
        self.name, self.host, self.health = name, host, 200
        self.requests = collections.Counter()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = server.name.encode()
                server.requests[self.path] += 1
                self.send_response(server.health if self.path == "/health" else 200)
                if self.path == "/login":
                    self.send_header("Set-Cookie", "SID=1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.httpd = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.port = self.httpd.server_address[1]
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()


class Site:
    def __init__(self):
        try:
            import botocore  # noqa: F401
        except ImportError:
            raise Skip("no boto3 here")
        self.engine = Engine(time_scale=20)
        self.elb, ec2 = self.engine.client("elbv2"), self.engine.client("ec2")
        self.vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]]
        self.lb = self.elb.create_load_balancer(Name="site", Subnets=subnets[:2])["LoadBalancers"][0]
        self.port = free_port()
        self.servers = {n: Server(n, f"127.0.0.{10 + i}") for i, n in enumerate(("a1", "a2", "b1", "b2"))}
        self.a, self.b = (self.group(n, self.servers[f"{n}1"], self.servers[f"{n}2"]) for n in "ab")
        self.listener = self.elb.create_listener(LoadBalancerArn=self.lb["LoadBalancerArn"], Protocol="HTTP", Port=self.port,
                                                 DefaultActions=self.forward())["Listeners"][0]["ListenerArn"]
        for group in (self.a, self.b):
            self.wait_healthy(group)

    def group(self, name, *servers):
        arn = self.elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=self.vpc, TargetType="ip",
                                           HealthCheckPath="/health", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
                                           HealthyThresholdCount=2, UnhealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
        self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": s.host, "Port": s.port} for s in servers])
        return arn

    def wait_healthy(self, group):
        self.elb.get_waiter("target_in_service").wait(TargetGroupArn=group, WaiterConfig={"Delay": 1, "MaxAttempts": 40})

    def forward(self, one=1, two=1, sticky=None):
        config = {"TargetGroups": [{"TargetGroupArn": self.a, "Weight": one}, {"TargetGroupArn": self.b, "Weight": two}]}
        if sticky is not None:
            config["TargetGroupStickinessConfig"] = sticky
        return [{"Type": "forward", "ForwardConfig": config}]

    def set_forward(self, **more):
        self.elb.modify_listener(ListenerArn=self.listener, DefaultActions=self.forward(**more))

    def set(self, group, **attributes):
        return self.elb.modify_target_group_attributes(
            TargetGroupArn=group, Attributes=[{"Key": k.replace("__", "."), "Value": v} for k, v in attributes.items()])

    def get(self, path="/", cookies=None):
        text = "; ".join(f"{k}={v}" for k, v in (cookies or {}).items())
        import http.client
        connection = http.client.HTTPConnection(self.address, self.port, timeout=20)
        try:
            connection.request("GET", path, headers={"Cookie": text} if text else {})
            answer = connection.getresponse()
            set_cookies = answer.headers.get_all("Set-Cookie") or []
            return answer.read().decode(), dict(line.split(";")[0].split("=", 1) for line in set_cookies)
        finally:
            connection.close()

    @property
    def address(self):
        import socket
        try:
            return socket.gethostbyname(self.lb["DNSName"])
        except OSError:
            return "127.0.0.1"

    def health(self, group, server, **more):
        found = self.elb.describe_target_health(TargetGroupArn=group, Targets=[{"Id": server.host, "Port": server.port}], **more)
        return found["TargetHealthDescriptions"][0]

    def show_log(self):
        self.engine.show_log()

    def close(self):
        self.engine.close()


def refused(code, text, call, *words, **arguments):
    from botocore.exceptions import ClientError
    try:
        call(*words, **arguments)
    except ClientError as problem:
        assert problem.response["Error"]["Code"] == code, problem
        assert text in problem.response["Error"]["Message"], problem
        return
    raise AssertionError(f"{arguments} was taken")


def test_attributes_are_checked_as_aws_does(s):
    refused(CONFLICT, "You cannot enable both slow start and least outstanding requests algorithm on a target group", s.set, s.a,
            slow_start__duration_seconds="30", load_balancing__algorithm__type="least_outstanding_requests")
    refused(CONFLICT, "You cannot enable both slow start and weighted random algorithm on a target group", s.set, s.a,
            slow_start__duration_seconds="30", load_balancing__algorithm__type="weighted_random")
    refused(CONFLICT, "You must set an application cookie name to enable stickiness of type 'app_cookie'", s.set, s.a,
            stickiness__enabled="true", stickiness__type="app_cookie")
    refused(CONFLICT, "This target group appears behind a rule with group stickiness disabled", s.set, s.a,
            stickiness__enabled="true")
    refused(CONFLICT, "Stickiness type 'source_ip' is not supported for target groups with the HTTP protocol", s.set, s.a,
            stickiness__type="source_ip")
    refused(INVALID, "reserved", s.set, s.a, stickiness__app_cookie__cookie_name="AWSALBAPP-9")
    refused(INVALID, "'1' and '604800'", s.set, s.a, stickiness__lb_cookie__duration_seconds="604801")
    refused(CONFLICT, "anomaly mitigation", s.set, s.a, load_balancing__algorithm__anomaly_mitigation="on")
    refused(CONFLICT, "greater than or equal", s.set, s.a,
            target_group_health__unhealthy_state_routing__minimum_healthy_targets__count="2")
    refused(INVALID, "cookie:NAME", s.set, s.a, hitless__cohort__source="nothing")
    refused(ACTION, "stickiness duration", s.set_forward, sticky={"Enabled": True, "DurationSeconds": 604801})
    all_of = {x["Key"]: x["Value"] for x in s.elb.describe_target_group_attributes(TargetGroupArn=s.a)["Attributes"]}
    assert all_of["load_balancing.algorithm.type"] == "round_robin" and all_of["stickiness.enabled"] == "false", all_of
    assert not any(key.startswith("hitless.") for key in all_of), "the engine's own are told when they are set"


def test_clients_stay_with_their_group_and_their_target(s):
    s.set_forward(sticky={"Enabled": True, "DurationSeconds": 3600})
    for group in (s.a, s.b):
        s.set(group, stickiness__enabled="true", stickiness__type="lb_cookie")
    wait_until("the stickiness is in force", lambda: set(s.get()[1]) == {"AWSALBTG", "AWSALBTGCORS", "AWSALB", "AWSALBCORS"})
    kept = []
    for _ in range(8):
        name, jar = s.get()
        for _ in range(3):
            again, fresh = s.get(cookies=jar)
            assert again == name
            jar.update(fresh)
        kept.append((name, jar))
    assert len({name for name, _ in kept}) == 4, kept
    # the key is kept: cookies are good for the engine's next process, and for a new data plane
    s.engine.kill_role("lb")
    wait_until("the data plane is back", lambda: tries(s) is not None)
    for group in (s.a, s.b):
        s.wait_healthy(group)
    assert all(s.get(cookies=jar)[0] == name for name, jar in kept), "cookies of before are not known"


def tries(s):
    try:
        return s.get()
    except OSError:
        return None


def test_a_deregistered_target_loses_its_clients(s):
    name, jar = s.get()
    group = s.a if name.startswith("a") else s.b
    server = s.servers[name]
    s.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": server.host, "Port": server.port}])
    other, fresh = wait_until("another target", lambda: next(iter([x for x in [s.get(cookies=jar)] if x[0] != name]), None))
    assert other[0] == name[0], "the group stays"
    assert s.get(cookies={**jar, **fresh})[0] == other
    assert s.health(group, server)["TargetHealth"]["Reason"] in ("Target.DeregistrationInProgress", "Target.NotRegistered")
    s.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": server.host, "Port": server.port}])
    s.wait_healthy(group)


def test_the_applications_cookie_and_a_shift_of_weights(s):
    for group in (s.a, s.b):
        s.set(group, stickiness__type="app_cookie", stickiness__app_cookie__cookie_name="SID")
    wait_until("cookies of the application", lambda: "AWSALBAPP-0" in s.get()[1])
    assert s.get()[1]["AWSALBAPP-0"] == "_remove_"
    name, jar = s.get("/login")
    assert jar["SID"] == "1" and jar["AWSALBAPP-0"] != "_remove_" and jar["AWSALBAPP-1"] == "_remove_", jar
    assert all(s.get(cookies=jar)[0] == name for _ in range(4))
    s.set_forward(one=int(name[0] == "b"), two=int(name[0] == "a"), sticky={"Enabled": True, "DurationSeconds": 3600})
    wait_until("weight 0 ends the stay", lambda: s.get(cookies=jar)[0][0] != name[0])
    for group in (s.a, s.b):
        s.set(group, stickiness__enabled="false")
    s.set_forward(sticky={"Enabled": False})
    wait_until("no cookies any more", lambda: s.get()[1] == {})


def test_health_is_told_with_reason_and_anomaly(s):
    server = s.servers["a1"]
    found = s.health(s.a, server, Include=["All"])
    assert found["TargetHealth"] == {"State": "healthy"}, found
    assert found["AnomalyDetection"] == {"Result": "normal", "MitigationInEffect": "no"}, found
    server.health = 500
    told = wait_until("unhealthy", lambda: s.health(s.a, server)["TargetHealth"] if s.health(s.a, server)["TargetHealth"]["State"]
                      == "unhealthy" else None)
    assert (told["Reason"], told["Description"]) == ("Target.ResponseCodeMismatch", "Health checks failed with these codes: [500]")
    server.health = 200
    wait_until("healthy", lambda: s.health(s.a, server)["TargetHealth"]["State"] == "healthy")
    unknown = s.elb.describe_target_health(TargetGroupArn=s.a, Targets=[{"Id": "127.9.9.9", "Port": 1}])["TargetHealthDescriptions"][0]
    assert unknown["TargetHealth"]["Reason"] == "Target.NotRegistered", unknown
    lone = s.group("lone", server)
    assert s.health(lone, server)["TargetHealth"]["Reason"] == "Target.NotInUse"
    s.elb.delete_target_group(TargetGroupArn=lone)


def test_cohorts_by_a_listener_attribute(s):
    s.elb.modify_listener_attributes(ListenerArn=s.listener, Attributes=[{"Key": "hitless.cohort.source", "Value": "cookie:uid"}])
    wait_until("cohorts", lambda: len({s.get(cookies={"uid": "7"})[0][0] for _ in range(8)}) == 1)
    moved = set()
    for percent in (0, 10, 50, 100):
        s.set_forward(one=100 - percent, two=percent)
        now = {uid for uid in range(30) if s.get(cookies={"uid": uid})[0][0] == "b"}
        assert moved <= now, "somebody was moved back"
        moved = now
    assert len(moved) == 30


rig.run_tests([value for name, value in list(globals().items()) if name.startswith("test_")], Site)
