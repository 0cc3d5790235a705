#!/usr/bin/env python3
"""The data plane with real sockets."""
from rig import *


@test
def a_request_is_relayed_and_the_target_sees_who_asked():
    seen = []

    def handler(wire, self):
        while True:
            head, body = wire.read_request()
            seen.append((head, body))
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\nX-A: b\r\n\r\nhi")

    port = free_port()
    t = Target(handler)
    with Box() as box:
        box.publish(simple(port, [target(t.port)]))
        wire = connect(port)
        for _ in range(3):
            wire.send(request("POST", "/a?b=c", headers="Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\n", body=b"xyz"))
            head, body = wire.read_response()
            assert (head.start, body) == ("HTTP/1.1 200 OK", b"hi"), (head.start, body)
            assert head.get("x-a") == "b" and head.get("connection") is None, head.fields
    assert len(seen) == 3 and len(t.connections) == 1
    head, body = seen[0]
    assert head.start == "POST /a?b=c HTTP/1.1" and body == b"xyz"
    assert head.get("host") == f"example.com:{port}"
    assert head.get("x-forwarded-for") == "127.0.0.1"
    assert head.get("x-forwarded-proto") == "http"
    assert head.get("x-forwarded-port") == str(port)
    assert len(head.get("x-amzn-trace-id")) == len("Root=1-67891233-abcdef012345678912345678")
    assert head.get("x-hop") is None and head.get("connection") is None



@test
def bodies_go_through_in_every_framing():
    def handler(wire, self):
        while True:
            head, body = wire.read_request()
            kind = head.start.split(" ")[1]
            if kind == "/chunked":
                wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Len: %d\r\n\r\n" % len(body))
                for i in range(0, len(body), 7):
                    part = body[i:i + 7]
                    wire.send(b"%x;ext=1\r\n%s\r\n" % (len(part), part))
                wire.send(b"0\r\nX-Trailer: dropped\r\n\r\n")
            elif kind == "/close":
                wire.send(b"HTTP/1.1 200 OK\r\nX-Len: %d\r\n\r\n" % len(body) + body)
                return
            elif kind == "/empty":
                wire.send(b"HTTP/1.1 204 No Content\r\n\r\n")
            else:
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    port = free_port()
    t = Target(handler)
    body = bytes(random.randrange(256) for _ in range(3000))
    with Box() as box:
        box.publish(simple(port, [target(t.port)]))
        wire = connect(port)
        for path in ("/length", "/chunked", "/close", "/chunked", "/length"):
            wire.send(request("POST", path, body=body))
            head, got = wire.read_response()
            assert head.status == 200 and got == body, (path, head.fields, len(got))
            if path == "/close":
                assert head.get("transfer-encoding") == "chunked"
            # chunked request, chunk by chunk with odd cuts
            wire.send(request("POST", path, headers="Transfer-Encoding: chunked\r\n"))
            for i in range(0, len(body), 100):
                part = body[i:i + 100]
                data = b"%x\r\n%s\r\n" % (len(part), part)
                wire.send(data[:3])
                wire.send(data[3:])
            wire.send(b"0\r\n\r\n")
            head, got = wire.read_response()
            assert head.status == 200 and got == body, (path, "chunked", head.fields, len(got))
        wire.send(request("GET", "/empty") + request("HEAD", "/length"))
        assert wire.read_response()[0].status == 204
        assert wire.read_response("HEAD")[0].status == 200
        # HTTP/1.0 has no chunks: the body ends with the connection
        old = connect(port)
        old.send(b"POST /chunked HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3000\r\n\r\n" + body)
        head, got = old.read_response()
        assert got == body and head.get("connection") == "close" and head.get("transfer-encoding") is None
        old = connect(port)
        old.send(b"GET /length HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head, got = old.read_response()
        assert head.get("connection") == "keep-alive"
        old.send(b"GET /length HTTP/1.0\r\n\r\n")
        head, got = old.read_response()
        assert head.get("connection") == "close" and old.rest() == b""


@test
def requests_may_come_byte_by_byte_or_many_at_once():
    port = free_port()
    t = Target(name="abc")
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        wire = connect(port)
        for byte in request("GET", "/slow", headers="X: y\r\n"):
            wire.send(bytes([byte]))
        assert wire.read_response()[1] == b"abc"
        wire.send(b"".join(request("POST", f"/{i}", body=b"z" * i) for i in range(100)))
        for _ in range(100):
            head, body = wire.read_response()
            assert head.status == 200 and body == b"abc"
        assert t.requests == 101
        wire.send(request("GET", "/a") + request("GET", "/b")[:20])
        assert wire.read_response()[1] == b"abc"
        wire.send(request("GET", "/b")[20:])
        assert wire.read_response()[1] == b"abc"


@test
def rules_choose_by_every_condition():
    port = free_port()
    names = ["host", "path", "header", "method", "query", "source", "both", "default"]
    targets = [Target(name=n) for n in names]
    conditions = [
        [{"field": "host-header", "values": ["*.EXAMPLE.com", "shop.test"]}],
        [{"field": "path-pattern", "values": ["/img/*", "/a?c"]}],
        [{"field": "http-header", "headerName": "X-Kind", "values": ["Be*a"]}],
        [{"field": "http-request-method", "values": ["DELETE"]}],
        [{"field": "query-string", "pairs": [{"key": "v", "value": "2*"}, {"value": "any\\*"}]}],
        [{"field": "source-ip", "values": ["127.0.0.2/31"]}],
        [{"field": "path-pattern", "values": ["/both"]}, {"field": "http-header", "headerName": "Cookie",
                                                          "values": ["*canary=1*"]}],
        [],
    ]
    order = [1, 2, 3, 4, 5, 6, 7, 0]
    snapshot = {"listeners": [listener(port, [rule(order[i], forward((i, 1)), *conditions[i])
                                              for i in (7, 3, 1, 2, 0, 6, 5, 4)])],
                "targetGroups": [group(n, [target(t.port)]) for n, t in zip(names, targets)]}
    cases = [
        ("host", dict(host="a.example.COM:81")), ("host", dict(host="SHOP.test")), ("default", dict(host="example.com")),
        ("path", dict(path="/img/x/y?z=/")), ("path", dict(path="/abc")), ("default", dict(path="/IMG/x")),
        ("default", dict(path="/abbc")), ("header", dict(headers="x-kind: a\r\nX-KIND: BETA\r\n")),
        ("default", dict(headers="X-Kind: eta\r\n")), ("method", dict(method="DELETE")),
        ("query", dict(path="/?a=b&V=2.0")), ("query", dict(path="/?k=any*")), ("default", dict(path="/?k=anyx")),
        ("both", dict(path="/both", headers="Cookie: a=b; canary=1\r\n")), ("default", dict(path="/both")),
    ]
    with Box(1) as box:
        box.publish(snapshot)
        for name, how in cases:
            head, body = fetch(port, **how)
            assert body.decode() == name, (name, how, body)
        wire = Wire(socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.3", 0)))
        wire.send(request())
        assert wire.read_response()[1] == b"source"


@test
def fixed_responses_and_redirects_are_written_as_told():
    port = free_port()
    fixed = {"type": "fixed-response", "statusCode": "503", "contentType": "text/plain", "messageBody": "later"}
    moved = {"type": "redirect", "statusCode": "HTTP_301", "protocol": "HTTPS", "port": "443"}
    own = {"type": "redirect", "statusCode": "HTTP_302", "host": "x.#{host}", "path": "/new/#{path}", "query": "q=#{query}"}
    snapshot = {"listeners": [listener(port, [
        rule(1, fixed, {"field": "path-pattern", "values": ["/fixed"]}),
        rule(2, moved, {"field": "path-pattern", "values": ["/moved*"]}),
        rule(0, own)])], "targetGroups": []}
    with Box(1) as box:
        box.publish(snapshot)
        wire = connect(port)
        wire.send(request("POST", "/fixed", body=b"abc"))
        head, body = wire.read_response()
        assert head.start == "HTTP/1.1 503 Service Temporarily Unavailable" and body == b"later"
        assert head.get("server") == "awselb/2.0" and head.get("content-type") == "text/plain"
        assert head.get("connection") == "keep-alive" and " GMT" in head.get("date")
        wire.send(request("HEAD", "/fixed"))
        assert wire.read_response("HEAD")[0].get("content-length") == "5"
        wire.send(request(path="/moved/a?b=c", host="h.test:9"))
        head, _ = wire.read_response()
        assert (head.status, head.get("location")) == (301, "https://h.test/moved/a?b=c"), head.fields
        wire.send(request(path="/p?a", host="h.test"))
        head, _ = wire.read_response()
        assert (head.status, head.get("location")) == (302, f"http://x.h.test:{port}/new/p?q=a"), head.fields
        stats = box.lb_stats()
        assert stats["FIXED_RESPONSES"] == 2 and stats["REDIRECTS"] == 2
        assert stats["ELB_3XX"] == 2 and stats["ELB_5XX"] == 2 and stats["ELB_503"] == 2 and stats["REQUESTS"] == 0


@test
def what_is_wrong_with_a_request_gets_its_code():
    port = free_port()
    t = Target()
    cases = [
        (400, b"GET / HTTP/1.1\r\n\r\n"), (400, b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        (505, b"GET / HTTP/3.0\r\nHost: a\r\n\r\n"), (405, b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (405, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (417, b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\n\r\n"),
        (414, b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20000 + b"\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100 + b"\r\n"),
        (463, b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " + b", ".join([b"1.2.3.4"] * 31) + b"\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ]
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        for status, data in cases:
            wire = connect(port)
            wire.send(data)
            head, body = wire.read_response()
            assert head.status == status, (status, head.start, data[:60])
            assert head.get("server") == "awselb/2.0" and b"<title>%d" % status in body
            if status not in (405, 417, 463):
                assert head.get("connection") == "close" and wire.rest() == b"", (status, head.fields)
        # ambiguous: answered, then both connections are closed
        wire = connect(port)
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET")
        head, _ = wire.read_response()
        assert head.status == 200 and head.get("connection") == "close"
        assert box.lb_stats()["ELB_4XX"] == len([1 for status, _ in cases if status < 500])


@test
def weights_are_exact_to_one_request():
    port = free_port()
    targets = [Target(name=n) for n in ("blue", "green", "red")]
    groups = [group(t.name, [target(t.port)]) for t in targets]

    def snapshot(*weights):
        return {"listeners": [listener(port, [rule(0, forward(*enumerate(weights)))])], "targetGroups": groups}

    with Box(1) as box:
        wire = None
        for weights in ((90, 10, 0), (1, 999, 0), (50, 30, 20), (0, 1, 0), (333, 333, 333)):
            box.publish(snapshot(*weights))
            wire = wire or connect(port)
            counts = {t.name: 0 for t in targets}
            for _ in range(500):
                wire.send(request())
                counts[wire.read_response()[1].decode()] += 1
            for t, weight in zip(targets, weights):
                share = 500 * weight / sum(weights)
                assert abs(counts[t.name] - share) <= 1, (weights, counts)
        box.publish(snapshot(0, 0, 0))
        wire.send(request())
        assert wire.read_response()[0].status == 503


@test
def targets_are_used_in_turn_and_connections_again():
    port = free_port()
    targets = [Target(name=f"t{i}") for i in range(4)]
    with Box(1) as box:
        box.publish(simple(port, [target(t.port) for t in targets]))
        wire = connect(port)
        for _ in range(100):
            wire.send(request())
            assert wire.read_response()[0].status == 200
        assert [t.requests for t in targets] == [25] * 4
        assert [len(t.connections) for t in targets] == [1] * 4


@test
def least_outstanding_requests_prefers_the_idle_target():
    port = free_port()
    release = threading.Event()

    def slow(wire, self):
        while True:
            wire.read_request()
            self.count()
            release.wait(10)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    stuck, free = Target(slow, "slow"), Target(name="free")
    with Box(2) as box:
        box.publish(simple(port, [target(stuck.port), target(free.port)],
                           attributes={}) | {"targetGroups": [group("blue", [target(stuck.port), target(free.port)], attributes={
                               "load_balancing.algorithm.type": "least_outstanding_requests"})]})
        held = [connect(port) for _ in range(2)]
        for wire in held:
            wire.send(request())
        limit = time.monotonic() + 5
        while stuck.requests == 0 and time.monotonic() < limit:
            time.sleep(0.01)
        assert stuck.requests >= 1
        wire = connect(port)
        for _ in range(20):
            wire.send(request())
            assert wire.read_response()[0].get("x-target") == "free"
        release.set()
        assert stuck.requests <= 2


@test
def a_connection_that_the_target_closed_costs_no_request():
    """The target closes after each answer without saying so, at once or a moment later."""
    port = free_port()

    def rude(wire, self):
        wire.read_request()
        self.count()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        time.sleep(random.choice((0, 0.0005, 0.001, 0.002)))

    t = Target(rude)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        for method, body in (("GET", b""), ("POST", b"hello")):
            load = Load(port, 4, method, body)
            time.sleep(1.5)
            load.stop()
            assert load.failures == [], load.failures[:5]
            assert load.sent > 200


@test
def an_idempotent_request_survives_a_dying_target_and_a_post_is_not_repeated():
    port = free_port()

    def dying(wire, self):
        wire.read_request()
        self.count()  # and closes without an answer

    dead, good = Target(dying, "dead"), Target(name="good")
    with Box(1) as box:
        box.publish(simple(port, [target(dead.port), target(good.port)]))
        wire = connect(port)
        for _ in range(20):
            wire.send(request())
            assert wire.read_response()[0].get("x-target") == "good"
        assert dead.requests == 10
        statuses = []
        for _ in range(10):
            wire.send(request("POST", body=b"abc"))
            statuses.append(wire.read_response()[0].status)
        assert sorted(statuses) == [200] * 5 + [502] * 5, statuses
        stats = box.group_stats("blue")
        assert stats["RETRIES"] == 10 and stats["ELB_502"] == 5 and stats["REQUESTS"] == 30
        assert stats["TARGET_2XX"] == 25


@test
def a_refused_connection_is_tried_elsewhere_even_for_a_post():
    port = free_port()
    gone = free_port()
    good = Target(name="good")
    with Box(1) as box:
        box.publish(simple(port, [target(gone), target(good.port)]))
        wire = connect(port)
        for _ in range(10):
            wire.send(request("POST", body=b"abc"))
            assert wire.read_response()[0].status == 200
        assert box.group_stats("blue")["TARGET_CONN_ERRORS"] >= 1
        box.publish(simple(port, [target(gone)]))
        wire.send(request())
        assert wire.read_response()[0].status == 502
        box.publish(simple(port, []))
        wire.send(request())
        assert wire.read_response()[0].status == 503
        stats = box.lb_stats()
        assert stats["ELB_502"] == 1 and stats["ELB_503"] == 1 and stats["ELB_5XX"] == 2


@test
def targets_come_go_and_die_under_load_without_a_lost_request():
    port = free_port()
    targets = [Target(name=f"t{i}") for i in range(3)]
    with Box(2) as box:
        box.publish(simple(port, [target(t.port) for t in targets]))
        load = Load(port, 8)
        for i in range(30):
            victim = targets.pop(random.randrange(len(targets)))
            if i % 3 == 0:
                victim.close()  # dies first
                box.publish(simple(port, [target(t.port) for t in targets]))
            elif i % 3 == 1:
                rest = [target(t.port) for t in targets]
                box.publish(simple(port, rest + [target(victim.port, isDraining=True)]))
                box.wait("drained", match=lambda d: d["port"] == victim.port)
                victim.close()
                box.publish(simple(port, rest))
            else:
                box.publish(simple(port, [target(t.port) for t in targets]))
                time.sleep(0.02)
                victim.close()
            targets.append(Target(name=f"t{i + 3}"))
            box.publish(simple(port, [target(t.port) for t in targets]))
            time.sleep(0.02)
        load.stop()
        assert load.failures == [], (len(load.failures), load.failures[:5])
        assert load.sent > 1000
        assert box.lb_stats()["REQUESTS"] == load.sent


@test
def snapshots_swap_under_load_without_a_lost_request():
    port = free_port()
    a, b = Target(name="a"), Target(name="b")
    groups = [group("a", [target(a.port)]), group("b", [target(b.port)])]
    with Box(2) as box:
        times = []
        load = None
        for i in range(300):
            weight = i % 101
            started = time.monotonic()
            box.publish({"listeners": [listener(port, [rule(0, forward((0, 100 - weight), (1, weight)))])],
                         "targetGroups": groups})
            times.append(time.monotonic() - started)
            load = load or Load(port, 6)
            time.sleep(0.003)
        load.stop()
        assert load.failures == [], load.failures[:5]
        assert load.sent > 300 and load.by_name["a"] > 0 and load.by_name["b"] > 0
        print(f"# publishing took {sorted(times)[len(times) // 2] * 1000:.2f} ms at the median")
        # after the answer to a publish nothing goes the old way
        box.publish({"listeners": [listener(port, [rule(0, forward((0, 0), (1, 1)))])], "targetGroups": groups})
        before = a.requests
        wire = connect(port)
        for _ in range(50):
            wire.send(request())
            assert wire.read_response()[0].get("x-target") == "b"
        assert a.requests == before


@test
def targets_that_leave_and_come_back_under_load_lose_nothing():
    port = free_port()
    a, b, c = Target(name="a"), Target(name="b"), Target(name="c")

    def snapshot(i):
        first = [target(a.port), target(b.port, isDraining=i % 2 == 0)]
        if i % 5 == 0:
            first.pop()
        return {"listeners": [listener(port, [rule(0, forward((0, 100 - i % 101), (1, i % 101)))])],
                "targetGroups": [group("a", first), group("b", [target(c.port)])]}

    with Box(2) as box:
        box.publish(snapshot(1))
        load = Load(port, 8)
        for i in range(200):
            box.publish(snapshot(i))
            time.sleep(0.004)
        load.stop()
        assert load.failures == [], load.failures[:5]
        assert load.sent > 200


@test
def a_retry_holds_the_target_that_only_a_later_snapshot_had():
    """The request began under one snapshot, was tried again on a target of the next, which the third no longer has."""
    port = free_port()
    has_asked, may_die, may_answer = threading.Event(), threading.Event(), threading.Event()

    def dies(wire, self):
        wire.read_request()
        has_asked.set()
        may_die.wait(30)

    def answers_late(wire, self):
        wire.read_request()
        may_answer.wait(30)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    first, second, third = Target(dies), Target(answers_late), Target()
    with Box(1) as box:
        box.publish(simple(port, [target(first.port)]))
        wire = connect(port)
        wire.send(request())
        assert has_asked.wait(5)
        box.publish(simple(port, [target(second.port)]))
        may_die.set()
        limit = time.monotonic() + 20
        while not second.connections and time.monotonic() < limit:
            time.sleep(0.02)
        assert second.connections
        for _ in range(3):
            box.publish(simple(port, [target(third.port)]))
            time.sleep(0.15)  # unused snapshots are freed meanwhile
        may_answer.set()
        head, body = wire.read_response()
        assert (head.status, body) == (200, b"ok"), (head.status, body)
        assert fetch(port)[0].status == 200


@test
def a_drain_ends_at_once_when_nothing_is_in_flight_and_else_with_the_last_request():
    port = free_port()
    release = threading.Event()

    def slow(wire, self):
        while True:
            head, _ = wire.read_request()
            self.count()
            if "slow" in head.start:
                release.wait(10)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")

    a, b = Target(slow, "a"), Target(name="b")
    with Box(2) as box:
        box.publish(simple(port, [target(a.port)]))
        wire = connect(port)
        wire.send(request(path="/slow"))
        time.sleep(0.1)
        box.publish(simple(port, [target(a.port, isDraining=True), target(b.port)]))
        row = box.wait("health", match=lambda r: r["port"] == a.port and r["state"] == "draining")
        assert row["reason"] == "Target.DeregistrationInProgress"
        assert row["description"] == "Target deregistration is in progress"
        other = connect(port)
        for _ in range(10):
            other.send(request())
            assert other.read_response()[1] == b"b"
        try:
            box.wait("drained", 0.3)
            raise Exception("drained while a request was in flight")
        except AssertionError:
            pass
        started = time.monotonic()
        release.set()
        assert wire.read_response()[1] == b"slow"
        box.wait("drained", 1)
        assert time.monotonic() - started < 0.3
        # nothing in flight: at once
        box.publish(simple(port, [target(b.port, isDraining=True)]), wait=False)
        started = time.monotonic()
        box.wait("drained", 1)
        assert time.monotonic() - started < 0.3
        other.send(request())
        assert other.read_response()[0].status == 503


@test
def a_drain_that_takes_too_long_is_cut_with_502():
    port = free_port()

    def stuck(wire, self):
        wire.read_request()
        self.count()
        time.sleep(20)

    a, b = Target(stuck, "a"), Target(name="b")

    def snapshot(*targets):
        groups = [group("blue", targets, attributes={"deregistration_delay.timeout_seconds": "1"})]
        return simple(port, []) | {"targetGroups": groups}

    with Box(1) as box:
        box.publish(snapshot(target(a.port)))
        wire = connect(port)
        wire.send(request())
        time.sleep(0.1)
        started = time.monotonic()
        box.publish(snapshot(target(a.port, isDraining=True), target(b.port)))
        assert wire.read_response()[0].status == 502
        assert 0.8 < time.monotonic() - started < 2
        box.wait("drained", 1)
        wire.send(request())
        assert wire.read_response()[1] == b"b"


@test
def big_bodies_stream_both_ways_at_the_pace_of_the_slower_side():
    port = free_port()
    size = 40 * 1024 * 1024

    def echo(wire, self):
        head, fields = wire.head()
        left = int(dict(fields)["content-length"])
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        got = 0
        while got < left:
            data = wire.buffer or wire.socket.recv(100000)
            wire.buffer = b""
            got += len(data)
            wire.send(b"%x\r\n" % len(data) + data + b"\r\n")
        wire.send(b"0\r\n\r\n")

    t = Target(echo)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        wire = connect(port, timeout_s=30)
        block = random.randbytes(65536)

        def send():
            wire.send(request("POST", headers=f"Content-Length: {size}\r\n"))
            for _ in range(size // len(block)):
                wire.send(block)

        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(0.5)  # nobody reads: it must stop taking, not grow
        status = open(f"/proc/{box.process.pid}/status").read()
        peak_kb = int(status.split("VmHWM:")[1].split()[0])
        head, body = wire.read_response()
        sender.join()
        assert head.status == 200 and len(body) == size and body == block * (size // len(block))
        assert peak_kb < 60000, peak_kb


@test
def a_client_that_dawdles_is_told_so():
    port = free_port()
    t = Target()
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)], {"idle_timeout.timeout_seconds": "1"}))
        idle = connect(port)
        body = connect(port)
        body.send(request("POST", headers="Content-Length: 10\r\n") + b"abc")
        assert idle.rest() == b""
        head, _ = body.read_response()
        assert head.status == 408 and head.get("connection") == "close", head.start
        part = connect(port, timeout_s=15)
        part.send(b"GET / HT")
        started = time.monotonic()
        head, _ = part.read_response()
        assert head.status == 408 and 8 < time.monotonic() - started < 13


@test
def a_target_that_dawdles_gets_504_and_one_that_talks_nonsense_502():
    port = free_port()

    def silent(wire, self):
        wire.read_request()
        time.sleep(5)

    def nonsense(wire, self):
        wire.read_request()
        wire.send(b"SSH-2.0-hello\r\n\r\n")
        time.sleep(5)

    def cut(wire, self):
        wire.read_request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")

    def huge(wire, self):
        wire.read_request()
        wire.send(b"HTTP/1.1 200 OK\r\n" + b"A: " + b"x" * 1000 + b"\r\n" + (b"B: " + b"y" * 1000 + b"\r\n") * 40 + b"\r\n")

    with Box(1) as box:
        for handler, status in ((silent, 504), (nonsense, 502), (huge, 502)):
            t = Target(handler)
            box.publish(simple(port, [target(t.port)], {"idle_timeout.timeout_seconds": "1"}))
            head, _ = fetch(port)
            assert head.status == status, (handler.__name__, head.start)
        t = Target(cut)
        box.publish(simple(port, [target(t.port)]))
        wire = connect(port)
        wire.send(request())
        assert b"abc" in wire.rest()  # cut off as well, not completed with something else


@test
def an_early_answer_is_relayed_though_the_target_takes_no_more_of_the_body():
    port = free_port()
    answer = b"n" * 3_000_000

    def refuse(wire, self):
        wire.head()
        wire.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        # and closes with the body unread: the target's kernel resets the connection

    t = Target(refuse)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        for _ in range(5):
            wire = connect(port)
            wire.send(request("POST", headers="Content-Length: 50000000\r\n"))
            stop = threading.Event()

            def send():
                try:
                    while not stop.is_set():
                        wire.send(b"z" * 65536)
                except OSError:
                    pass

            sender = threading.Thread(target=send)
            sender.start()
            time.sleep(0.1)
            head, fields = wire.head()
            assert " 413 " in head, head
            got = len(wire.buffer)
            try:
                while got < len(answer):
                    data = wire.socket.recv(262144)
                    if not data:
                        break
                    got += len(data)
                    time.sleep(0.001)
            except OSError:
                pass
            stop.set()
            sender.join()
            wire.close()
            # how much survives a reset is the target's kernel's business; the head always does
            assert got > 0
        time.sleep(0.3)
        before = box.cpu_s()
        time.sleep(0.5)
        assert box.cpu_s() - before < 0.2  # nothing spins
        assert box.group_stats("blue")["INFLIGHT"] == 0


@test
def a_client_that_leaves_is_counted_and_its_target_let_go():
    port = free_port()
    seen_end = threading.Event()

    def waiting(wire, self):
        wire.read_request()
        try:
            wire.more()
        except (EOFError, OSError):
            seen_end.set()

    t = Target(waiting)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        wire = connect(port)
        wire.send(request())
        time.sleep(0.1)
        wire.close()
        assert seen_end.wait(2)
        stats = box.group_stats("blue")
        assert stats["ELB_4XX"] == 1 and stats["REQUESTS"] == 1 and stats["INFLIGHT"] == 0


@test
def expect_100_continue_is_answered_when_a_target_has_the_head():
    port = free_port()
    t = Target(name="abc")
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        wire = connect(port)
        wire.send(request("POST", headers="Content-Length: 5\r\nExpect: 100-continue\r\n"))
        head, _ = wire.read_response()
        assert head.start == "HTTP/1.1 100 Continue"
        wire.send(b"hello")
        assert wire.read_response()[1] == b"abc"
        wire.send(request("POST", headers="Expect: 100-continue\r\n", body=b"at once"))
        head, body = wire.read_response()
        assert head.status == 200 and body == b"abc"


@test
def a_websocket_is_a_tunnel_after_101():
    port = free_port()

    def upgrade(wire, self):
        head, _ = wire.read_request()
        self.count()
        if head.get("upgrade") != "websocket":
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")
            return
        assert head.get("connection") == "upgrade" and head.get("sec-websocket-key") == "k"
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
        while True:
            wire.more()
            wire.send(wire.buffer)
            wire.buffer = b""

    t = Target(upgrade)
    ask = "Connection: keep-alive, Upgrade\r\nUpgrade: {}\r\nSec-WebSocket-Key: k\r\n"
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        wire = connect(port)
        wire.send(request(headers=ask.format("websocket")))
        head, _ = wire.read_response()
        assert head.status == 101 and head.get("upgrade") == "websocket" and head.get("connection") == "upgrade"
        assert wire.exactly(5) == b"first"
        data = random.randbytes(3_000_000)
        threading.Thread(target=lambda: wire.send(data)).start()
        assert wire.exactly(len(data)) == data
        assert box.group_stats("blue")["INFLIGHT"] == 1
        wire.close()
        time.sleep(0.2)
        assert box.group_stats("blue")["INFLIGHT"] == 0
        wire = connect(port)
        wire.send(request(headers=ask.format("h2c") + "HTTP2-Settings: AAA\r\n"))
        assert wire.read_response()[1] == b"plain"


@test
def health_checks_follow_thresholds_and_say_why():
    port = free_port()
    state = {"status": 500, "delay": 0.0}
    probes = []

    def checked(wire, self):
        while True:
            head, _ = wire.read_request()
            if "ELB-HealthChecker/2.0" == head.get("user-agent"):
                probes.append(head)
                time.sleep(state["delay"])
                wire.send(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % state["status"])
            else:
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-Target: %s\r\n\r\nx" % self.name.encode())

    sick, good = Target(checked, "sick"), Target(name="good")
    check = dict(isCheckEnabled=True, checkPath="/health?x=1", checkIntervalSeconds=5, checkTimeoutSeconds=2,
                 healthyThreshold=2, unhealthyThreshold=2, matcher="200-204,301")
    with Box(2, "--time-scale", "25") as box:  # an interval of 200 ms
        box.publish(simple(port, [target(sick.port), target(good.port)], **check))
        row = box.wait("health", match=lambda r: r["port"] == sick.port and r["state"] == "initial")
        assert row["reason"] == "Elb.InitialHealthChecking" and row["description"] == "Initial health checks in progress"
        box.healthy(good.port)
        row = box.wait("health", match=lambda r: r["port"] == sick.port and r["state"] == "unhealthy")
        assert row["reason"] == "Target.ResponseCodeMismatch"
        assert row["description"] == "Health checks failed with these codes: [500]"
        assert probes[0].start == "GET /health?x=1 HTTP/1.1" and probes[0].get("host") == f"127.0.0.1:{sick.port}"
        wire = connect(port)
        for _ in range(10):
            wire.send(request())
            assert wire.read_response()[0].get("x-target") == "good"
        stats = box.group_stats("blue")
        assert (stats["healthy"], stats["unhealthy"]) == (1, 1)
        state["status"] = 301
        box.healthy(sick.port)
        state["delay"] = 2.5
        row = box.wait("health", 12, lambda r: r["port"] == sick.port and r["state"] == "unhealthy")
        assert (row["reason"], row["description"]) == ("Target.Timeout", "Request timed out")
        good.close()
        row = box.wait("health", 12, lambda r: r["port"] == good.port and r["state"] == "unhealthy")
        assert (row["reason"], row["description"]) == ("Target.FailedHealthChecks", "Health checks failed")
        # none is healthy: all are used
        wire = connect(port)
        wire.send(request())
        assert wire.read_response()[0].get("x-target") == "sick"
        stats = box.group_stats("blue")
        assert (stats["healthy"], stats["unhealthy"]) == (0, 2)


@test
def a_new_target_is_healthy_after_one_success_and_gets_nothing_before():
    port = free_port()
    is_up = threading.Event()

    def starting(wire, self):
        head, _ = wire.read_request()
        if head.get("user-agent"):
            wire.send(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % (200 if is_up.is_set() else 503))
        else:
            self.count()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Target: new\r\n\r\n")

    old, new = Target(name="old"), Target(starting, "new")
    check = dict(isCheckEnabled=True, checkIntervalSeconds=30, healthyThreshold=5, unhealthyThreshold=10)
    with Box(1) as box:
        box.publish(simple(port, [target(old.port)], **check))
        box.healthy(old.port)
        box.publish(simple(port, [target(old.port), target(new.port)], **check))
        time.sleep(0.3)
        for _ in range(6):
            assert fetch(port)[0].get("x-target") == "old"
        is_up.set()
        started = time.monotonic()
        box.healthy(new.port)
        assert time.monotonic() - started < 3  # not a whole interval
        assert {fetch(port)[0].get("x-target") for _ in range(4)} == {"old", "new"}


@test
def counters_agree_with_the_client_to_the_unit():
    port = free_port()
    statuses = [200, 201, 302, 404, 500, 503]

    def varied(wire, self):
        while True:
            head, _ = wire.read_request()
            status = int(head.start.split(" ")[1][1:])
            wire.send(b"HTTP/1.1 %d X\r\nContent-Length: 3\r\n\r\nabc" % status)

    t = Target(varied)
    with Box(2) as box:
        box.publish(simple(port, [target(t.port)]))
        wires = [connect(port) for _ in range(4)]
        sent = {status: 0 for status in statuses}
        for i in range(600):
            status = random.choice(statuses)
            wires[i % 4].send(request(path=f"/{status}"))
            assert wires[i % 4].read_response()[0].status == status
            sent[status] += 1
        time.sleep(0.3)  # a request is in flight until the worker has looked back at its answer
        for stats in (box.group_stats("blue"), box.lb_stats()):
            assert stats["REQUESTS"] == 600 and stats["timeCount"] == 600
            assert stats["TARGET_2XX"] == sent[200] + sent[201]
            assert stats["TARGET_3XX"] == sent[302] and stats["TARGET_4XX"] == sent[404]
            assert stats["TARGET_5XX"] == sent[500] + sent[503] and stats["INFLIGHT"] == 0
        assert box.lb_stats()["ACTIVE_CONNECTIONS"] >= 5
        for wire in wires:
            wire.close()
        time.sleep(0.1)
        assert box.lb_stats()["NEW_CONNECTIONS"] - box.lb_stats()["ACTIVE_CONNECTIONS"] == 4


@test
def stopping_finishes_what_is_in_flight_and_tells_the_others():
    port = free_port()

    def slow(wire, self):
        while True:
            head, _ = wire.read_request()
            if "slow" in head.start:
                time.sleep(0.6)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    t = Target(slow)
    box = Box(2)
    box.publish(simple(port, [target(t.port)]))
    busy, idle, silent = connect(port), connect(port), connect(port)
    for wire in (idle, silent):
        wire.send(request())
        wire.read_response()
    busy.send(request(path="/slow"))
    time.sleep(0.1)
    box.say("stop 5000")
    time.sleep(0.1)
    idle.send(request())
    head, _ = idle.read_response()
    assert head.status == 200 and head.get("connection") == "close"
    head, body = busy.read_response()
    assert body == b"ok" and head.get("connection") == "close"
    started = time.monotonic()
    assert silent.rest() == b""
    box.wait("stopped", 3)
    assert time.monotonic() - started < 2
    assert box.process.wait(5) == 0


@test
def listeners_come_and_go():
    a, b = free_port(), free_port()
    t = Target(name="t")
    with Box(2) as box:
        box.publish(simple(a, [target(t.port)]))
        wire = connect(a)
        wire.send(request())
        assert wire.read_response()[0].status == 200
        both = simple(a, [target(t.port)])
        both["listeners"] += simple(b, [target(t.port)])["listeners"]
        box.publish(both)
        assert fetch(b)[0].status == 200
        box.publish(simple(b, [target(t.port)]))
        assert box.wait("unlistened") == f"127.0.0.1:{a}"
        try:
            connect(a)
            raise Exception("the listener is still there")
        except ConnectionRefusedError:
            pass
        assert fetch(b)[0].status == 200
        taken = socket.socket()
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        more = simple(b, [target(t.port)])
        more["listeners"] += simple(taken.getsockname()[1], [])["listeners"]
        box.publish(more)
        assert "in use" in box.wait("listenFailed")["sentence"]


@test
def a_target_may_be_a_unix_socket():
    import tempfile
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        t = Target(name="unix", path=f"{folder}/s")
        with Box(1) as box:
            box.publish(simple(port, [target(0, host=f"unix:{folder}/s")]))
            wire = connect(port)
            for _ in range(10):
                wire.send(request())
                assert wire.read_response()[1] == b"unix"
            assert len(t.connections) == 1


@test
def headers_follow_the_attributes():
    seen = []

    def handler(wire, self):
        while True:
            seen.append(wire.read_request()[0])
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    port = free_port()
    t = Target(handler)

    def ask(attributes, headers="", host="example.com"):
        box.publish(simple(port, [target(t.port)], attributes))
        assert fetch(port, headers=headers, host=host)[0].status == 200
        return seen[-1]

    with Box(1) as box:
        xff = "routing.http.xff_header_processing.mode"
        came = "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\nx-forwarded-for: 8.8.8.8\r\n"
        assert ask({}, came).all("x-forwarded-for") == ["9.9.9.9, 8.8.8.8, 127.0.0.1"]
        assert seen[-1].all("x-forwarded-proto") == ["http"] and seen[-1].all("x-forwarded-port") == [str(port)]
        assert ask({xff: "preserve"}, came).all("x-forwarded-for") == ["9.9.9.9, 8.8.8.8"]
        assert ask({xff: "remove"}, came).all("x-forwarded-for") == []
        value = ask({"routing.http.xff_client_port.enabled": "true"}).get("x-forwarded-for")
        assert value.startswith("127.0.0.1:") and value.count(":") == 1
        assert ask({"routing.http.preserve_host_header.enabled": "true"}, host="h.test").get("host") == "h.test"
        assert ask({}, host="h.test:1").get("host") == "h.test:1"
        assert ask({}, "X-Amzn-Trace-Id: Self=1-a-b;Root=1-67891233-abcdef012345678912345678;X=y\r\n").get(
            "x-amzn-trace-id").split(";")[1:] == ["Root=1-67891233-abcdef012345678912345678", "X=y"]
        assert seen[-1].get("x-amzn-trace-id").startswith("Self=1-")
        drop = {"routing.http.drop_invalid_header_fields.enabled": "true"}
        assert ask({}, "a_b: 1\r\n").get("a_b") == "1" and ask(drop, "a_b: 1\r\n").get("a_b") is None
        strict = {"routing.http.desync_mitigation_mode": "strictest"}
        box.publish(simple(port, [target(t.port)], strict))
        assert fetch(port, headers="Content-Length: 0\r\n")[0].status == 400
        assert fetch(port)[0].status == 200


@test
def a_target_that_closes_idle_connections_is_learned():
    port = free_port()

    def closes(wire, self):
        wire.socket.settimeout(0.7)
        while True:
            wire.read_request()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    t = Target(closes)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        for pause in (1.0, 1.0, 0.6, 0.3):
            before = len(t.connections)
            assert fetch(port)[0].status == 200
            time.sleep(pause)
        # idle for 0.6 s, which is past 0.8 of 0.7: a new one; idle for 0.3 s: the same
        assert len(t.connections) == 4, len(t.connections)
        assert fetch(port)[0].status == 200
        assert len(t.connections) == 4, len(t.connections)
        assert before == 3


if __name__ == "__main__":
    main()
