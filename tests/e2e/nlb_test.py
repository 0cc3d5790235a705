#!/usr/bin/env python3
"""A network load balancer with the stock clients: TCP and UDP through it, a service behind it, a load balancer as
target, metrics."""
import datetime, socket, sys, threading, time

import rig
from rig import Engine, http_get, shop_container, wait_until


class Setup:
    def __init__(self):
        self.engine = Engine(time_scale=10)
        self.elb, self.ecs = self.engine.client("elbv2"), self.engine.client("ecs")
        self.subnets = [s["SubnetId"] for s in self.engine.client("ec2").describe_subnets()["Subnets"]][:2]
        self.count = 0

    def balancer(self, kind="network", **more):
        self.count += 1
        lb = self.elb.create_load_balancer(Name=f"{kind[:3]}-{self.count}", Type=kind, Scheme="internal",
                                           Subnets=self.subnets, **more)["LoadBalancers"][0]
        self.vpc = lb["VpcId"]
        return lb

    def address(self, lb):
        try:
            return socket.gethostbyname(lb["DNSName"])
        except OSError:
            return self.elb.describe_load_balancers(LoadBalancerArns=[lb["LoadBalancerArn"]])["LoadBalancers"][0]["DNSName"]

    def group(self, protocol, port, targets=(), **more):
        self.count += 1
        arn = self.elb.create_target_group(**{
            "Name": f"tg-{self.count}", "Protocol": protocol, "Port": port, "VpcId": self.vpc, "TargetType": "ip",
            "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2, **more})["TargetGroups"][0]["TargetGroupArn"]
        if targets:
            self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": h, "Port": p} for h, p in targets])
        return arn

    def listen(self, lb, protocol, port, *groups, waits=True, **more):
        """Until it accepts: the answer of CreateListener comes before."""
        made = self.elb.create_listener(LoadBalancerArn=lb["LoadBalancerArn"], Protocol=protocol, Port=port, DefaultActions=[
            {"Type": "forward", "ForwardConfig": {"TargetGroups": [
                {"TargetGroupArn": g, "Weight": w} for g, w in groups]}}], **more)["Listeners"][0]
        if waits and protocol != "UDP":
            where = (self.address(lb), port)
            wait_until("the listener accepts", lambda: socket.create_connection(where, 1).close() or True)
        return made

    def states(self, group):
        return [d["TargetHealth"]["State"] for d in
                self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]]

    def healthy(self, group, count=1):
        wait_until("healthy targets", lambda: self.states(group).count("healthy") == count, 20)

    def show_log(self):
        self.engine.show_log()

    def close(self):
        self.engine.close()


class Echo:
    """TCP and UDP on one port: the name, then what comes."""

    def __init__(self, name):
        self.name = name.encode()
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, daemon=True).start()
        threading.Thread(target=self.answer, daemon=True).start()

    def accept(self):
        while True:
            s, _ = self.tcp.accept()
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            s.sendall(self.name)
            while data := s.recv(65536):
                s.sendall(data)
        except OSError:
            pass
        s.close()

    def answer(self):
        while True:
            data, source = self.udp.recvfrom(65536)
            self.udp.sendto(self.name + data, source)


def hello(address, port):
    with socket.create_connection((address, port), 5) as s:
        return s.recv(100)


def ask_udp(address, port, data=b"?"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((address, port))
        s.send(data)
        return s.recv(100)


def test_tcp_and_udp_go_through_it_with_the_cli(setup):
    aws = setup.engine.aws
    echo = Echo("a")
    lb = aws("elbv2", "create-load-balancer", "--name", "cli", "--type", "network", "--scheme", "internal", "--subnets",
             *setup.subnets)["LoadBalancers"][0]
    assert lb["Type"] == "network" and ":loadbalancer/net/cli/" in lb["LoadBalancerArn"], lb
    group = aws("elbv2", "create-target-group", "--name", "cli", "--protocol", "TCP_UDP", "--port", str(echo.port),
                "--vpc-id", lb["VpcId"], "--target-type", "ip")["TargetGroups"][0]
    assert (group["HealthCheckProtocol"], group["HealthCheckTimeoutSeconds"], group["HealthCheckEnabled"]) == ("TCP", 10, True)
    arn = group["TargetGroupArn"]
    aws("elbv2", "register-targets", "--target-group-arn", arn, "--targets", f"Id=127.0.0.1,Port={echo.port}")
    listener = aws("elbv2", "create-listener", "--load-balancer-arn", lb["LoadBalancerArn"], "--protocol", "TCP_UDP",
                   "--port", "5353", "--default-actions", f"Type=forward,TargetGroupArn={arn}")["Listeners"][0]
    setup.healthy(arn)
    address = setup.address(lb)
    wait_until("the listener", lambda: hello(address, 5353) == b"a", 5)
    assert ask_udp(address, 5353, b"xyz") == b"axyz"
    state = setup.elb.describe_load_balancers(Names=["cli"])["LoadBalancers"][0]["State"]
    assert state["Code"] == "active" and not state.get("Reason"), state
    attributes = {a["Key"]: a["Value"] for a in aws("elbv2", "describe-target-group-attributes", "--target-group-arn",
                                                    arn)["Attributes"]}
    assert attributes["stickiness.type"] == "source_ip" and attributes["proxy_protocol_v2.enabled"] == "false"
    assert attributes["deregistration_delay.connection_termination.enabled"] == "false"
    timeout = aws("elbv2", "describe-listener-attributes", "--listener-arn", listener["ListenerArn"])["Attributes"]
    assert timeout == [{"Key": "tcp.idle_timeout.seconds", "Value": "350"}], timeout


def test_weights_and_attributes_change_what_is_served(setup):
    a, b = Echo("a"), Echo("b")
    lb = setup.balancer()
    groups = [setup.group("TCP", e.port, [("127.0.0.1", e.port)]) for e in (a, b)]
    listener = setup.listen(lb, "TCP", 7000, (groups[0], 1), (groups[1], 3))
    for group in groups:
        setup.healthy(group)
    address = setup.address(lb)
    names = [hello(address, 7000) for _ in range(80)]
    assert 18 <= names.count(b"a") <= 22, names.count(b"a")
    setup.elb.modify_listener(ListenerArn=listener["ListenerArn"], DefaultActions=[
        {"Type": "forward", "TargetGroupArn": groups[1]}])
    wait_until("the new weights", lambda: {hello(address, 7000) for _ in range(10)} == {b"b"}, 5)
    setup.elb.modify_target_group_attributes(TargetGroupArn=groups[1], Attributes=[
        {"Key": "proxy_protocol_v2.enabled", "Value": "true"}, {"Key": "stickiness.enabled", "Value": "true"},
        {"Key": "deregistration_delay.connection_termination.enabled", "Value": "true"},
        {"Key": "deregistration_delay.timeout_seconds", "Value": "10"}])

    def echoed():
        with socket.create_connection((address, 7000), 5) as s:
            s.settimeout(1)
            data = b""
            try:
                while len(data) < 29:
                    data += s.recv(100)
            except TimeoutError:
                pass
            return data.startswith(b"b\r\n\r\n\0\r\nQUIT\n\x21\x11")

    wait_until("the header", echoed, 10)
    # deregistered: the flow runs on for the delay (10 s are 1 s here), then it is reset
    with socket.create_connection((address, 7000), 5) as s:
        assert s.recv(1) == b"b"
        setup.elb.deregister_targets(TargetGroupArn=groups[1], Targets=[{"Id": "127.0.0.1", "Port": b.port}])
        assert setup.states(groups[1]) == ["draining"]
        started = time.monotonic()
        try:
            while s.recv(100):
                pass
            raise AssertionError("no reset")
        except ConnectionResetError:
            assert 0.7 < time.monotonic() - started < 5
    try:
        assert hello(address, 7000) == b""
        raise AssertionError("a group without targets answered")
    except ConnectionResetError:
        pass
    refused = setup.engine.aws("elbv2", "modify-listener-attributes", "--listener-arn", listener["ListenerArn"],
                               "--attributes", "Key=tcp.idle_timeout.seconds,Value=59", check=False)
    assert "must be between '60' and '6000'" in refused.stderr, refused.stderr


def test_what_does_not_fit_is_refused(setup):
    lb = setup.balancer()
    web = setup.balancer("application")
    tcp = setup.group("TCP", 1)
    for make, code in (
            (lambda: setup.listen(lb, "HTTP", 80, (tcp, 1)), "UnsupportedProtocol"),
            (lambda: setup.listen(web, "TCP", 80, (tcp, 1)), "UnsupportedProtocol"),
            (lambda: setup.listen(lb, "UDP", 80, (tcp, 1)), "IncompatibleProtocols"),
            (lambda: setup.elb.modify_target_group_attributes(TargetGroupArn=tcp, Attributes=[
                {"Key": "stickiness.type", "Value": "lb_cookie"}]), "InvalidConfigurationRequest"),
            (lambda: setup.elb.create_listener(LoadBalancerArn=lb["LoadBalancerArn"], Protocol="TCP", Port=81, DefaultActions=[
                {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}]), None)):
        try:
            make()
        except setup.elb.exceptions.ClientError as e:
            assert code is None or e.response["Error"]["Code"] == code, (code, e.response["Error"])
        else:
            raise AssertionError(f"{code} was expected")


def test_a_service_behind_it_registers_drains_and_is_replaced(setup):
    lb = setup.balancer()
    group = setup.group("TCP", 8080)
    setup.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[
        {"Key": "deregistration_delay.timeout_seconds", "Value": "20"}])
    setup.listen(lb, "TCP", 80, (group, 1))
    cluster = setup.ecs.create_cluster(clusterName="flows")["cluster"]["clusterName"]

    def register(version):
        return setup.ecs.register_task_definition(
            family="flows", executionRoleArn=f"arn:aws:iam::{rig.ACCOUNT}:role/ecsTaskExecutionRole",
            networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
            containerDefinitions=[shop_container(VERSION=version)])["taskDefinition"]["taskDefinitionArn"]

    setup.ecs.create_service(cluster=cluster, serviceName="flows", taskDefinition=register("v1"), desiredCount=2,
                             launchType="FARGATE", loadBalancers=[
                                 {"targetGroupArn": group, "containerName": "shop", "containerPort": 8080}],
                             networkConfiguration={"awsvpcConfiguration": {"subnets": setup.subnets}})

    def is_stable():
        service = setup.ecs.describe_services(cluster=cluster, services=["flows"])["services"][0]
        return len(service["deployments"]) == 1 and service["runningCount"] == 2 and \
            service["deployments"][0]["rolloutState"] == "COMPLETED"

    wait_until("the service", is_stable, 60)
    assert setup.states(group).count("healthy") == 2
    address = setup.address(lb)
    assert http_get((address, 80)).status == 200
    failures, is_over, count = [], threading.Event(), [0]

    def client():
        while not is_over.is_set():
            try:
                assert http_get((address, 80)).status == 200
                count[0] += 1
            except Exception as e:
                failures.append(repr(e))

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    setup.ecs.update_service(cluster=cluster, service="flows", taskDefinition=register("v2"))
    time.sleep(0.5)
    wait_until("the release", is_stable, 60)
    is_over.set()
    for thread in threads:
        thread.join()
    assert not failures, failures[:5]
    assert "v2" in http_get((address, 80), "/version").body + http_get((address, 80)).body
    print(f"# {count[0]} connections through the release, none failed")
    setup.ecs.update_service(cluster=cluster, service="flows", desiredCount=0)
    setup.ecs.delete_service(cluster=cluster, service="flows", force=True)


def test_a_load_balancer_may_be_the_target(setup):
    front, web = setup.balancer(), setup.balancer("application")
    setup.elb.create_listener(LoadBalancerArn=web["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=[
        {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "from behind",
                                                           "ContentType": "text/plain"}}])
    group = setup.group("TCP", 80, TargetType="alb", HealthCheckProtocol="HTTP")
    for target, code in (({"Id": web["LoadBalancerArn"], "Port": 81}, "InvalidTarget"),
                         ({"Id": front["LoadBalancerArn"]}, "InvalidTarget"), ({"Id": "10.0.0.1"}, "ValidationError")):
        try:
            setup.elb.register_targets(TargetGroupArn=group, Targets=[target])
            raise AssertionError(f"{target} was taken")
        except setup.elb.exceptions.ClientError as e:
            assert e.response["Error"]["Code"] == code, e.response["Error"]
    setup.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": web["LoadBalancerArn"], "Port": 80}])
    setup.listen(front, "TCP", 8000, (group, 1))
    setup.healthy(group)
    [row] = setup.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    assert row["Target"]["Id"] == web["LoadBalancerArn"], row
    answer = http_get((setup.address(front), 8000))
    assert (answer.status, answer.body) == (200, "from behind")
    setup.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": web["LoadBalancerArn"], "Port": 80}])
    wait_until("no target", lambda: setup.states(group) in ([], ["draining"]), 5)


SOCKET_SERVER = """
import http.server, os, socketserver

class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("unix", 0)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = ("version %s over " % os.environ["VERSION"] + os.environ["SOCKET"]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass

Server(os.environ["SOCKET"], Handler).serve_forever()
"""


def test_tasks_may_listen_on_a_unix_socket(setup):
    folder = setup.engine.folder / "socket-image"
    folder.mkdir()
    (folder / "server.py").write_text(SOCKET_SERVER)
    web = setup.balancer("application")
    group = setup.group("HTTP", 8080, HealthCheckPath="/")
    setup.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[
        {"Key": "hitless.target.unix_socket", "Value": "true"},
        {"Key": "deregistration_delay.timeout_seconds", "Value": "20"}])
    setup.listen(web, "HTTP", 80, (group, 1))
    cluster = setup.ecs.create_cluster(clusterName="sockets")["cluster"]["clusterName"]

    def register(version):
        return setup.ecs.register_task_definition(
            family="sockets", executionRoleArn=f"arn:aws:iam::{rig.ACCOUNT}:role/ecsTaskExecutionRole",
            networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512", containerDefinitions=[
                {**shop_container(image=f"dir://{folder}", VERSION=version), "command": [sys.executable, "server.py"]}
            ])["taskDefinition"]["taskDefinitionArn"]

    setup.ecs.create_service(cluster=cluster, serviceName="sockets", taskDefinition=register("1"), desiredCount=2,
                             launchType="FARGATE", loadBalancers=[
                                 {"targetGroupArn": group, "containerName": "shop", "containerPort": 8080}],
                             networkConfiguration={"awsvpcConfiguration": {"subnets": setup.subnets}})

    def is_stable():
        service = setup.ecs.describe_services(cluster=cluster, services=["sockets"])["services"][0]
        return len(service["deployments"]) == 1 and service["runningCount"] == 2 and \
            service["deployments"][0]["rolloutState"] == "COMPLETED"

    wait_until("the service", is_stable, 60)
    ids = [d["Target"]["Id"] for d in setup.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]]
    assert len(ids) >= 2 and all(i.startswith("unix:/") and i.endswith("/app.sock") for i in ids), ids
    address = setup.address(web)
    assert http_get((address, 80)).body.startswith("version 1 over /")
    failures, is_over = [], threading.Event()

    def client():
        while not is_over.is_set():
            try:
                assert http_get((address, 80)).status == 200
            except Exception as e:
                failures.append(repr(e))

    thread = threading.Thread(target=client)
    thread.start()
    setup.ecs.update_service(cluster=cluster, service="sockets", taskDefinition=register("2"))
    time.sleep(0.5)
    wait_until("the release", is_stable, 60)
    is_over.set()
    thread.join()
    assert not failures, failures[:5]
    assert {http_get((address, 80)).body[:9] for _ in range(6)} == {"version 2"}
    setup.ecs.update_service(cluster=cluster, service="sockets", desiredCount=0)
    wait_until("no target", lambda: "healthy" not in setup.states(group), 20)
    setup.ecs.delete_service(cluster=cluster, service="sockets", force=True)


def test_flows_are_in_the_metrics(setup):
    echo = Echo("m")
    lb = setup.balancer()
    group = setup.group("TCP_UDP", echo.port, [("127.0.0.1", echo.port)])
    setup.listen(lb, "TCP_UDP", 9000, (group, 1), waits=False)
    setup.healthy(group)
    address = setup.address(lb)
    wait_until("the first flow", lambda: hello(address, 9000) == b"m")
    for _ in range(29):
        assert hello(address, 9000) == b"m"
    assert ask_udp(address, 9000) == b"m?"
    cloudwatch = setup.engine.client("cloudwatch")
    name = lb["LoadBalancerArn"].split("loadbalancer/")[1]

    def total(metric, stat="Sum", dimensions=()):
        now = datetime.datetime.now(datetime.timezone.utc)
        answer = cloudwatch.get_metric_data(
            StartTime=now - datetime.timedelta(minutes=10), EndTime=now + datetime.timedelta(seconds=10), MetricDataQueries=[
                {"Id": "m", "MetricStat": {"Period": 60, "Stat": stat, "Metric": {
                    "Namespace": "AWS/NetworkELB", "MetricName": metric,
                    "Dimensions": [{"Name": "LoadBalancer", "Value": name}, *dimensions]}}}])
        return sum(answer["MetricDataResults"][0]["Values"])

    wait_until("the flows in the metrics", lambda: total("NewFlowCount") == 31, 20)
    assert total("NewFlowCount_TCP") == 30 and total("NewFlowCount_UDP") == 1
    assert total("ProcessedBytes") == 33 == total("ProcessedBytes_TCP") + total("ProcessedBytes_UDP")
    by_group = [{"Name": "TargetGroup", "Value": group.split(":")[-1]}]
    assert total("HealthyHostCount", "Maximum", by_group) >= 1


if __name__ == "__main__":
    rig.run_tests([fn for name, fn in list(globals().items()) if name.startswith("test_")], Setup)
