#!/usr/bin/env python3
"""Health checks, the states and reasons that they give, and where requests go then. Rows: aws-semantics 2.6."""
import resource
from rig import *

CHECK = {"isCheckEnabled": True, "checkIntervalSeconds": 1, "checkTimeoutSeconds": 1, "unhealthyThreshold": 2, "healthyThreshold": 2}


class Patient(Target):
    """Answers requests with its name, and health checks with .answer; notes when they came."""

    def __init__(self, name="t", answer=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", **more):
        self.probe_answer, self.probes, self.probe_heads = answer, [], []
        super().__init__(Patient.serve, name, **more)

    @staticmethod
    def serve(wire, self):
        while True:
            head, _ = wire.read_request()
            if head.get("user-agent", "").startswith("ELB-HealthChecker"):
                self.probes.append(time.monotonic())
                self.probe_heads.append(head)
                if self.probe_answer is None:
                    time.sleep(3)
                    return
                wire.send(self.probe_answer)
                return
            self.count()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(self.name), self.name.encode()))


def answer(code):
    return b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % code


def publish(box, port, *targets, attributes=None, is_used=True, **check):
    snapshot = simple(port, list(targets), **{**CHECK, **check})
    snapshot["targetGroups"][0]["attributes"] = attributes or {}
    if not is_used:
        snapshot["listeners"] = []
        snapshot["targetGroups"][0]["isInUse"] = False
    box.publish(snapshot)


def state_of(box, port, state, timeout_s=10):
    return box.wait("health", timeout_s, lambda row: row["port"] == port and row["state"] == state)


def reason(row):
    return row["reason"], row["description"]


def names(port, count):
    wire = connect(port)
    got = []
    for _ in range(count):
        wire.send(request())
        got.append(wire.read_response()[1].decode())
    return got


@test
def initial_Elb_InitialHealthChecking_then_healthy_after_one_success():
    """initial: `Initial health checks in progress`; a new target needs one success; the first probe comes at once."""
    port, t = free_port(), Patient()
    with Box(1) as box:
        began = time.monotonic()
        publish(box, port, target(t.port), healthyThreshold=10, checkIntervalSeconds=300)
        row = state_of(box, t.port, "initial")
        assert reason(row) == ("Elb.InitialHealthChecking", "Initial health checks in progress")
        row = state_of(box, t.port, "healthy")
        assert reason(row) == ("", "") and time.monotonic() - began < 5, "the interval is 300 s"
        head = t.probe_heads[0]
        assert head.start == "GET / HTTP/1.1" and head.get("host") == f"127.0.0.1:{t.port}"
        assert head.get("user-agent") == "ELB-HealthChecker/2.0" and len(t.connections) == len(t.probes)


@test
def unhealthy_Target_ResponseCodeMismatch():
    """`Health checks failed with these codes: [404]`, and the code that came last."""
    port, t = free_port(), Patient(answer=answer(404))
    with Box(1, "--time-scale", "5") as box:
        publish(box, port, target(t.port))
        row = state_of(box, t.port, "unhealthy")
        assert reason(row) == ("Target.ResponseCodeMismatch", "Health checks failed with these codes: [404]"), row
        t.probe_answer = answer(503)
        row = box.wait("health", 5, lambda row: "503" in row["description"])
        assert row["state"] == "unhealthy"


@test
def unhealthy_Target_Timeout():
    """`Request timed out`"""
    port, t = free_port(), Patient(answer=None)
    with Box(1, "--time-scale", "5") as box:
        publish(box, port, target(t.port), unhealthyThreshold=1)
        row = state_of(box, t.port, "unhealthy")
        assert reason(row) == ("Target.Timeout", "Request timed out"), row


@test
def unhealthy_Target_FailedHealthChecks():
    """`Health checks failed`: connection refused, and a malformed answer."""
    port, t = free_port(), Patient(answer=b"HELO there\r\n\r\n")
    gone = Patient()
    gone.close()
    with Box(1, "--time-scale", "5") as box:
        publish(box, port, target(t.port), target(gone.port))
        for one in (t, gone):
            row = state_of(box, one.port, "unhealthy")
            assert reason(row) == ("Target.FailedHealthChecks", "Health checks failed"), row


@test
def unhealthy_Elb_InternalError():
    """`Health checks failed due to an internal error`: here, no descriptor is left for the probe."""
    port, t = free_port(), Patient()
    with Box(1, "--time-scale", "5") as box:
        publish(box, port, target(t.port))
        state_of(box, t.port, "healthy")
        pid = box.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
        row = state_of(box, t.port, "unhealthy")
        assert reason(row) == ("Elb.InternalError", "Health checks failed due to an internal error"), row
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        state_of(box, t.port, "healthy")


@test
def unused_Target_NotInUse():
    """`Target group is not configured to receive traffic from the load balancer`; no probe comes then."""
    port, t = free_port(), Patient()
    with Box(1, "--time-scale", "5") as box:
        publish(box, port, target(t.port), is_used=False)
        row = state_of(box, t.port, "unused")
        assert reason(row) == ("Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
        time.sleep(0.5)
        assert t.probes == []
        publish(box, port, target(t.port))
        state_of(box, t.port, "healthy")
        publish(box, port, target(t.port), is_used=False)
        state_of(box, t.port, "unused")


@test
def unavailable_Target_HealthCheckDisabled():
    """`Health checks are disabled`; the target takes requests."""
    port, t = free_port(), Patient("a")
    with Box(1) as box:
        publish(box, port, target(t.port), isCheckEnabled=False)
        row = state_of(box, t.port, "unavailable")
        assert reason(row) == ("Target.HealthCheckDisabled", "Health checks are disabled")
        assert names(port, 2) == ["a", "a"] and t.probes == []


@test
def draining_Target_DeregistrationInProgress():
    """`Target deregistration is in progress`; nothing new comes to it, and it is told as drained at once."""
    port, a, b = free_port(), Patient("a"), Patient("b")
    with Box(2) as box:
        publish(box, port, target(a.port), target(b.port))
        box.healthy(a.port, b.port)
        publish(box, port, target(a.port), target(b.port, isDraining=True))
        row = state_of(box, b.port, "draining")
        assert reason(row) == ("Target.DeregistrationInProgress", "Target deregistration is in progress")
        assert box.wait("drained")["port"] == b.port
        assert names(port, 6) == ["a"] * 6


@test
def thresholds_count_successes_and_failures_in_a_row():
    """UnhealthyThreshold failures, then HealthyThreshold successes; in between it keeps its state."""
    port, t = free_port(), Patient()
    with Box(1, "--time-scale", "10") as box:
        publish(box, port, target(t.port), unhealthyThreshold=3, healthyThreshold=4)
        state_of(box, t.port, "healthy")
        t.probe_answer = answer(500)
        before = len(t.probes)
        state_of(box, t.port, "unhealthy")
        failures = len(t.probes) - before
        t.probe_answer = answer(200)
        before = len(t.probes)
        state_of(box, t.port, "healthy")
        successes = len(t.probes) - before
        # a probe may be under way while the answer is changed here
        assert 3 <= failures <= 5 and 4 <= successes <= 6, (failures, successes)


@test
def matcher_port_path_and_interval_are_those_of_the_group():
    port, t, side = free_port(), Patient("a", answer=answer(500)), Patient("side", answer=answer(302))
    with Box(1, "--time-scale", "10") as box:
        publish(box, port, target(t.port), checkPort=str(side.port), checkPath="/up?x=1", matcher="200,300-399", checkIntervalSeconds=2)
        state_of(box, t.port, "healthy")
        wait_limit = time.monotonic() + 10
        while len(side.probes) < 4 and time.monotonic() < wait_limit:
            time.sleep(0.05)
        assert t.probes == [] and side.probe_heads[0].start == "GET /up?x=1 HTTP/1.1"
        gaps = [b - a for a, b in zip(side.probes[:4], side.probes[1:4])]
        assert all(gap > 0.15 for gap in gaps), gaps  # 2 s, ten times as fast
        for matcher in ("200-301", "303-499"):
            publish(box, port, target(t.port), checkPort=str(side.port), matcher=matcher)
            state_of(box, t.port, "unhealthy")
            publish(box, port, target(t.port), checkPort=str(side.port), matcher="302")
            state_of(box, t.port, "healthy")


@test
def with_fewer_healthy_targets_than_the_threshold_all_get_requests():
    """Fail-open: target_group_health.unhealthy_state_routing.minimum_healthy_targets.count, .percentage: either breach."""
    port = free_port()
    targets = {n: Patient(n) for n in "abcd"}
    prefix = "target_group_health.unhealthy_state_routing.minimum_healthy_targets."

    def configure(box, **attributes):
        publish(box, port, *(target(t.port) for t in targets.values()), unhealthyThreshold=1,
                attributes={prefix + k: v for k, v in attributes.items()})

    with Box(2, "--time-scale", "5") as box:
        configure(box)
        box.healthy(*(t.port for t in targets.values()))
        for bad in "ab":
            targets[bad].probe_answer = answer(500)
            state_of(box, targets[bad].port, "unhealthy")
        assert set(names(port, 12)) == set("cd")
        configure(box, count="2")
        assert set(names(port, 12)) == set("cd")
        configure(box, count="3")
        got = names(port, 12)
        assert set(got) == set("abcd"), got
        configure(box, percentage="50")
        assert set(names(port, 12)) == set("cd")
        configure(box, percentage="51")
        assert set(names(port, 12)) == set("abcd")
        configure(box, count="1", percentage="off")
        targets["c"].probe_answer = answer(500)
        state_of(box, targets["c"].port, "unhealthy")
        assert set(names(port, 12)) == set("d")
        targets["d"].probe_answer = answer(500)
        state_of(box, targets["d"].port, "unhealthy")
        assert set(names(port, 12)) == set("abcd"), "none is healthy: all get requests"
        stats = box.group_stats("blue")
        assert (stats["healthy"], stats["unhealthy"]) == (0, 4)
        assert stats["UNHEALTHY_ROUTED"] == 36, stats  # three times twelve, while too few were healthy


@test
def a_target_that_was_never_healthy_gets_nothing_beside_healthy_ones():
    port, a, b = free_port(), Patient("a"), Patient("b", answer=answer(500))
    with Box(1) as box:
        publish(box, port, target(a.port))
        box.healthy(a.port)
        publish(box, port, target(a.port), target(b.port), checkIntervalSeconds=300)
        assert names(port, 10) == ["a"] * 10  # initial
        b.probe_answer = answer(200)
        box.healthy(b.port)
        assert sorted(names(port, 4)) == ["a", "a", "b", "b"]


main()
