#!/usr/bin/env python3
"""What stock clients see of a load balancer after real traffic: every metric with its dimensions (aws-semantics.md 2.11),
the access log (2.10), Prometheus, hitless top."""
import datetime, gzip, http.client, http.server, json, re, socket, subprocess, threading, time

import rig
from rig import Engine, wait_until

SCALE = 60  # a configured minute is a second
WANT = {"ok": 20, "missing": 5, "broken": 3, "moved": 2, "fixed": 4, "redirect": 6, "none": 2, "die": 3, "odd": 1}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = self.path.split("/")[1]
        if name == "die":
            self.close_connection = True
            return
        time.sleep(0.01)
        status = {"missing": 404, "broken": 500, "moved": 302}.get(name, 200)
        self.send_response(status)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    do_POST = do_GET

    def log_message(self, *_):
        pass


class Setup:
    def __init__(self):
        self.engine = Engine(time_scale=SCALE)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.elb, self.cloudwatch = self.engine.client("elbv2"), self.engine.client("cloudwatch")
        subnets = self.engine.client("ec2").describe_subnets()["Subnets"]
        lb = self.elb.create_load_balancer(Name="seen", Subnets=[s["SubnetId"] for s in subnets[:2]])["LoadBalancers"][0]
        self.lb, self.zone = lb, subnets[0]["AvailabilityZone"]
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=lb["LoadBalancerArn"], Attributes=[
            {"Key": "access_logs.s3.enabled", "Value": "true"}, {"Key": "access_logs.s3.bucket", "Value": "seen-logs"},
            {"Key": "access_logs.s3.prefix", "Value": "web"}, {"Key": "connection_logs.s3.enabled", "Value": "true"},
            {"Key": "connection_logs.s3.bucket", "Value": "seen-logs"}])

        def group(name):
            return self.elb.create_target_group(
                Name=name, Protocol="HTTP", Port=80, VpcId=lb["VpcId"], TargetType="ip", HealthCheckIntervalSeconds=5,
                HealthCheckTimeoutSeconds=2)["TargetGroups"][0]["TargetGroupArn"]

        self.group, empty = group("seen"), group("empty")
        self.elb.register_targets(TargetGroupArn=self.group, Targets=[
            {"Id": "127.0.0.1", "Port": self.server.server_address[1]}])
        self.listener = self.elb.create_listener(LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=[
            {"Type": "forward", "TargetGroupArn": self.group}])["Listeners"][0]["ListenerArn"]
        actions = [("/fixed*", {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "418"}}),
                   ("/redirect*", {"Type": "redirect", "RedirectConfig": {"Host": "example.org", "StatusCode": "HTTP_301"}}),
                   ("/none*", {"Type": "forward", "TargetGroupArn": empty})]
        for priority, (path, action) in enumerate(actions, 1):
            self.elb.create_rule(ListenerArn=self.listener, Priority=priority, Actions=[action],
                                 Conditions=[{"Field": "path-pattern", "Values": [path]}])
        wait_until("the target is healthy", lambda: self.elb.describe_target_health(TargetGroupArn=self.group)[
            "TargetHealthDescriptions"][0]["TargetHealth"]["State"] == "healthy")
        try:
            host = socket.gethostbyname(lb["DNSName"])
        except OSError:
            host = lb["DNSName"]
        self.address = (host, 80)
        wait_until("it listens", lambda: socket.create_connection(self.address, 5).close() is None)
        self.since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=2)
        self.traffic()

    def traffic(self):
        self.opened = 1  # the look whether it listens
        for name, count in WANT.items():
            for _ in range(count):
                connection = http.client.HTTPConnection(*self.address, timeout=20)
                headers = {"Bad_Name": "1"} if name == "odd" else {}
                connection.request("POST" if name == "die" else "GET", f"/{name}/x", headers=headers)
                connection.getresponse().read()
                connection.close()
                self.opened += 1

    def show_log(self):
        self.engine.show_log()

    def close(self):
        self.server.shutdown()
        self.engine.close()

    @property
    def dimensions(self):
        return {"lb": {"Name": "LoadBalancer", "Value": self.lb["LoadBalancerArn"].split("loadbalancer/")[1]},
                "tg": {"Name": "TargetGroup", "Value": self.group.split(":")[-1]},
                "az": {"Name": "AvailabilityZone", "Value": self.zone}}

    def points(self, name, which="lb", namespace="AWS/ApplicationELB", **statistics):
        now = datetime.datetime.now(datetime.timezone.utc)
        return self.cloudwatch.get_metric_statistics(
            Namespace=namespace, MetricName=name, Dimensions=[self.dimensions[d] for d in which.split()],
            StartTime=self.since, EndTime=now + datetime.timedelta(seconds=2), Period=86400 * 30,
            **(statistics or {"Statistics": ["Sum", "SampleCount", "Minimum", "Maximum"]}))["Datapoints"]

    def sum(self, name, which="lb", **more):
        points = self.points(name, which, **more)
        return sum(p["Sum"] for p in points) if points else None


def test_each_counter_is_the_truth_in_each_dimension_set(setup):
    w = WANT
    answered = w["ok"] + w["missing"] + w["broken"] + w["moved"] + w["odd"]
    chosen = answered + w["die"]
    targets = {"RequestCount": chosen, "HTTPCode_Target_2XX_Count": w["ok"] + w["odd"], "HTTPCode_Target_3XX_Count": w["moved"],
               "HTTPCode_Target_4XX_Count": w["missing"], "HTTPCode_Target_5XX_Count": w["broken"]}
    own = {"HTTPCode_ELB_3XX_Count": w["redirect"], "HTTPCode_ELB_4XX_Count": w["fixed"],
           "HTTPCode_ELB_5XX_Count": w["none"] + w["die"], "HTTPCode_ELB_502_Count": w["die"],
           "HTTPCode_ELB_503_Count": w["none"], "HTTP_Fixed_Response_Count": w["fixed"], "HTTP_Redirect_Count": w["redirect"],
           "ForwardedInvalidHeaderRequestCount": w["odd"],
           "RuleEvaluations": w["fixed"] + 2 * w["redirect"] + 3 * (w["none"] + chosen)}
    wait_until("the counters are told", lambda: setup.sum("RequestCount") == chosen)
    for name, want in targets.items():
        for which in ("lb", "az lb", "lb tg", "az lb tg"):
            assert setup.sum(name, which) == want, (name, which, setup.sum(name, which), want)
    for name, want in own.items():
        for which in ("lb", "az lb"):
            assert setup.sum(name, which) == want, (name, which, setup.sum(name, which), want)
        assert setup.points(name, "lb tg") == [], name  # HTTPCode_ELB_* and the like have no target group
    for which in ("tg", "lb tg", "az lb tg"):
        assert setup.sum("RequestCountPerTarget", which) == chosen, which
    for which in ("lb tg", "az lb tg"):
        assert setup.points("HealthyHostCount", which)[0]["Maximum"] == 1
        assert setup.points("UnHealthyHostCount", which)[0]["Minimum"] == 0
    # what did not happen has no datapoint: missing data matter to alarms
    for name in ("HTTPCode_ELB_500_Count", "HTTPCode_ELB_504_Count", "RejectedConnectionCount", "IPv6RequestCount", "GrpcRequestCount",
                 "ClientTLSNegotiationErrorCount", "DroppedInvalidHeaderRequestCount", "ELBAuthSuccess", "ELBAuthLatency",
                 "HTTP_Redirect_Url_Limit_Exceeded_Count", "TargetTLSNegotiationErrorCount"):
        assert setup.points(name) == [], name
    assert setup.sum("NewConnectionCount") >= setup.opened and setup.sum("ProcessedBytes") > 100 * chosen


def test_levels_are_told_once_a_minute(setup):
    wait_until("a minute has ended", lambda: setup.sum("ConsumedLCUs"))
    assert setup.points("ConsumedLCUs")[0]["Minimum"] > 0 and setup.points("PeakLCUs")[0]["Maximum"] > 0
    assert setup.points("ActiveConnectionCount")[0]["Maximum"] >= 1
    for name, value in (("HealthyStateDNS", 1), ("UnhealthyStateDNS", 0), ("HealthyStateRouting", 1), ("AnomalousHostCount", 0),
                        ("UnhealthyStateRouting", 0), ("MitigatedHostCount", 0)):
        wait_until(name, lambda: setup.points(name, "lb tg"))
        for which in ("lb tg", "az lb tg"):
            assert setup.points(name, which)[0]["Maximum"] == value, (name, which)


def test_response_times_have_every_percentile(setup):
    """Each target answers after 10 ms; the histogram is within 1 %."""
    for which in ("lb", "az lb", "lb tg", "az lb tg"):
        point, = setup.points("TargetResponseTime", which, Statistics=["SampleCount", "Minimum", "Maximum", "Average"])
        tails, = setup.points("TargetResponseTime", which, ExtendedStatistics=["p0", "p50", "p99", "p99.9", "p100", "tm90"])
        tails = tails["ExtendedStatistics"]
        assert point["SampleCount"] == sum(WANT[n] for n in ("ok", "missing", "broken", "moved", "odd"))
        assert 0.0099 <= point["Minimum"] <= tails["p50"] <= tails["p99"] <= tails["p99.9"] <= point["Maximum"] < 20
        assert point["Minimum"] <= point["Average"] * 1.01 and tails["tm90"] <= tails["p99"] and tails["p100"] == point["Maximum"]


def test_the_access_log_has_a_line_for_each_request(setup):
    fields = re.compile(r'"[^"]*"|[^ ]+')

    def rows():
        found = []
        for path in (setup.engine.state / "s3/seen-logs/web/AWSLogs").glob("**/*.log.gz"):
            found += [fields.findall(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
        return found

    wait_until("the lines are written", lambda: len(rows()) == sum(WANT.values()))
    by_name = {}
    for row in rows():
        assert len(row) == 33 and row[0] == "http", row
        by_name.setdefault(row[12].split("/")[3], []).append(row)
    want = {"ok": ("200", "200", "0", '"forward"'), "missing": ("404", "404", "0", '"forward"'),
            "broken": ("500", "500", "0", '"forward"'), "moved": ("302", "302", "0", '"forward"'),
            "fixed": ("418", "-", "1", '"fixed-response"'), "redirect": ("301", "-", "2", '"redirect"'),
            "none": ("503", "-", "3", '"forward"'), "die": ("502", "-", "0", '"forward"'), "odd": ("200", "200", "0", '"forward"')}
    for name, (status, target_status, priority, actions) in want.items():
        assert len(by_name[name]) == WANT[name], name
        for row in by_name[name]:
            assert (row[8], row[9], row[20], row[22]) == (status, target_status, priority, actions), (name, row)
    conns = sum(len(gzip.decompress(p.read_bytes()).splitlines())
                for p in (setup.engine.state / "s3/seen-logs/AWSLogs").glob("**/conn_log.*.gz"))
    assert conns == setup.opened, (conns, setup.opened)


NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'({NAME})\{{((?:{NAME}="[^"\\\n]*",?)*)\}} (-?[0-9.]+(?:e[+-]?[0-9]+)?|\+Inf|NaN)$')


def parse_exposition(text):
    """Strict: text format 0.0.4, each metric in one piece, with its type before its samples, no sample twice."""
    assert text.endswith("\n")
    samples, types, current = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split(" ")[2]
            assert current not in types, line
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and kind in ("counter", "gauge", "histogram"), line
            types[name] = kind
            continue
        match = SAMPLE.match(line)
        assert match, line
        base = re.sub(r"_(bucket|sum|count)$", "", match[1]) if types.get(current) == "histogram" else match[1]
        assert base == current and (types[current] != "counter" or base.endswith("_total")), line
        assert line.rsplit(" ", 1)[0] not in samples, line
        samples[line.rsplit(" ", 1)[0]] = float(match[3])
    return samples, types


def test_prometheus_reads_the_same_numbers(setup):
    answer = rig.http_get(("127.0.0.1", setup.engine.port), "/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), answer.headers
    samples, types = parse_exposition(answer.body)
    lb, tg = setup.dimensions["lb"]["Value"], setup.dimensions["tg"]["Value"]
    both = f'{{load_balancer="{lb}",target_group="{tg}"}}'
    assert samples[f"alb_HTTPCode_Target_2XX_Count_total{both}"] == WANT["ok"] + WANT["odd"]
    assert samples[f'alb_HTTP_Redirect_Count_total{{load_balancer="{lb}"}}'] == WANT["redirect"]
    assert samples[f"alb_HealthyHostCount{both}"] == 1 and types["alb_ActiveConnectionCount"] == "gauge"
    name = "alb_TargetResponseTime_seconds"
    assert types[name] == "histogram"
    buckets = [(line, value) for line, value in samples.items() if line.startswith(f"{name}_bucket") and tg in line]
    values = [value for _, value in buckets]
    assert values == sorted(values) and 'le="+Inf"' in buckets[-1][0] and values[-1] == samples[f"{name}_count{both}"]
    assert sum(v for k, v in samples.items() if k.startswith("alb_RequestCount_total")) == values[-1] + WANT["die"]
    # from elsewhere: only with the token
    other = [a for a in subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split() if ":" not in a]
    print(f"# {len(samples)} samples of {len(types)} metrics, addresses beside loopback: {len(other)}")


def test_top_shows_what_goes_on(setup):
    api = f"127.0.0.1:{setup.engine.port}"
    load = rig.Load(setup.address, rate=200, path="/ok/top", connections=4)
    try:
        wait_until("the load runs", lambda: json.loads(setup.engine.hitless(
            "top", "--api", api, "--once", "--json", "--interval", "0.3", check=True).stdout)[0]["requests"] > 0)
        rows = json.loads(setup.engine.hitless("top", "--api", api, "--once", "--json", check=True).stdout)
        text = setup.engine.hitless("top", "--api", api, "--once", "--interval", "0.5", check=True).stdout
    finally:
        load.stop()
    balancer = next(r for r in rows if "targetGroup" not in r)
    group = next(r for r in rows if r.get("targetGroup") == setup.dimensions["tg"]["Value"])
    assert group["target2xx"] == group["requests"] > 20 and group["target5xx"] == 0 and group["sharePercent"] == 100, group
    assert group["p50Ms"] >= 9.9 and group["p99Ms"] >= group["p50Ms"] and balancer["connections"] >= 4, rows
    assert "req/s" in text and "\033" not in text and len(text.splitlines()) >= 3, text
    failed = setup.engine.hitless("top", "--api", "127.0.0.1:1", "--once")
    assert failed.returncode == 10 and "hitless serve" in failed.stderr, failed


if __name__ == "__main__":
    rig.run_tests([test_each_counter_is_the_truth_in_each_dimension_set, test_levels_are_told_once_a_minute,
                   test_response_times_have_every_percentile, test_the_access_log_has_a_line_for_each_request,
                   test_prometheus_reads_the_same_numbers, test_top_shows_what_goes_on], Setup)
