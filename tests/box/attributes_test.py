#!/usr/bin/env python3
"""What the attributes of load balancers and listeners, and security groups, do to traffic. Rows: aws-semantics.md 2.7,
2.8; engine's own: docs/load-balancer.md."""
import struct
from rig import *


def echo(wire, self):
    """Answers with the request's head in the body."""
    while True:
        head, _ = wire.read_request()
        body = json.dumps([head.start, head.fields]).encode()
        wire.send(b"HTTP/1.1 200 OK\r\nServer: t\r\nX-Frame-Options: from-target\r\nContent-Length: %d\r\n\r\n%s"
                  % (len(body), body))


class Seen:
    """The target's answer, and the request that it saw."""

    def __init__(self, wire, method="GET"):
        self.head, body = wire.read_response(method)
        self.status = self.head.status
        if self.status == 200:
            self.start, self.fields = json.loads(body)

    def get(self, name):
        return dict(reversed(self.fields)).get(name)

    def all(self, name):
        return [value for key, value in self.fields if key == name]


def exchange(port, data, host="127.0.0.1", source=None):
    s = socket.create_connection((host, port), 10, source_address=source)
    wire = Wire(s)
    wire.send(data)
    try:
        return Seen(wire)
    finally:
        wire.close()


@test
def response_headers_are_set_on_every_answer_and_replace_the_targets():
    """2.7 routing.http.response.*.header_value and server.enabled: answers of targets, fixed, redirects, errors."""
    port = free_port()
    t = Target(echo)
    attributes = {"routing.http.response.x_frame_options.header_value": "DENY",
                  "routing.http.response.strict_transport_security.header_value": "max-age=60",
                  "routing.http.response.content_security_policy.header_value": ""}
    rules = [rule(1, {"type": "fixed-response", "statusCode": "200"}, {"field": "path-pattern", "values": ["/fixed"]}),
             rule(2, {"type": "redirect", "statusCode": "HTTP_302", "host": "a.b"}, {"field": "path-pattern", "values": ["/r"]}),
             rule(3, forward((1, 1)), {"field": "path-pattern", "values": ["/none"]}), rule(0, forward((0, 1)))]
    groups = [group("blue", [target(t.port)]), group("empty", [])]
    with Box(1) as box:
        for more, server in [({}, True), ({"routing.http.response.server.enabled": "false"}, False)]:
            box.publish({"listeners": [listener(port, rules, {**attributes, **more})], "targetGroups": groups})
            for where, status, theirs in [("/", 200, "t"), ("/fixed", 200, "awselb/2.0"), ("/r", 302, "awselb/2.0"),
                                          ("/none", 503, "awselb/2.0")]:
                head, _ = fetch(port, path=where)
                assert head.status == status, (where, head.start)
                assert head.all("x-frame-options") == ["DENY"] and head.get("strict-transport-security") == "max-age=60", \
                    (where, head.fields)
                assert head.get("content-security-policy") is None
                assert head.all("server") == ([theirs] if server else []), (where, head.fields)
        box.publish({"listeners": [listener(port, rules)], "targetGroups": groups})
        head, _ = fetch(port)
        assert head.all("x-frame-options") == ["from-target"] and head.get("server") == "t"


@test
def xff_modes_and_client_port():
    """2.7 routing.http.xff_header_processing.mode, xff_client_port.enabled; 2.8 X-Forwarded-For."""
    port = free_port()
    t = Target(echo)
    mode = "routing.http.xff_header_processing.mode"
    with Box(1) as box:
        for attributes, sent, want in [
                ({}, "", ["127.0.0.1"]), ({}, "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n",
                                          ["1.1.1.1, 2.2.2.2, 127.0.0.1"]),
                ({mode: "preserve"}, "X-Forwarded-For: 1.1.1.1\r\n", ["1.1.1.1"]), ({mode: "preserve"}, "", []),
                ({mode: "remove"}, "X-Forwarded-For: 1.1.1.1\r\n", [])]:
            box.publish(simple(port, [target(t.port)], attributes))
            got = exchange(port, request(headers=sent))
            assert got.all("x-forwarded-for") == want, (attributes, sent, got.fields)
        box.publish(simple(port, [target(t.port)], {"routing.http.xff_client_port.enabled": "true"}))
        s = socket.create_connection(("127.0.0.1", port), 10)
        wire = Wire(s)
        wire.send(request())
        assert Seen(wire).get("x-forwarded-for") == f"127.0.0.1:{s.getsockname()[1]}"
        wire.close()


@test
def host_and_invalid_headers():
    """2.7 preserve_host_header.enabled, drop_invalid_header_fields.enabled; 2.8 Host sent to the target."""
    port = free_port()
    t = Target(echo)
    with Box(1) as box:
        for attributes, host, want in [({}, "a.com", f"a.com:{port}"), ({}, "a.com:81", "a.com:81"),
                                       ({"routing.http.preserve_host_header.enabled": "true"}, "a.com", "a.com")]:
            box.publish(simple(port, [target(t.port)], attributes))
            assert exchange(port, request(host=host)).get("host") == want, (attributes, host)
        for drops in (False, True):
            box.publish(simple(port, [target(t.port)],
                               {"routing.http.drop_invalid_header_fields.enabled": str(drops).lower()}))
            got = exchange(port, request(headers="X_Under: 1\r\nX-Good: 2\r\nX.Dot: 3\r\n"))
            assert got.get("x-good") == "2" and (got.get("x_under"), got.get("x.dot")) == \
                ((None, None) if drops else ("1", "3")), got.fields


@test
def hop_by_hop_headers_stay_and_trace_contexts_pass():
    """RFC 9110 7.6.1; W3C traceparent and tracestate untouched; 2.8 X-Amzn-Trace-Id."""
    port = free_port()
    t = Target(echo)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        got = exchange(port, request(headers=f"Traceparent: {parent}\r\ntracestate: a=b,c=d\r\nConnection: close, X-Mine\r\n"
                                             "X-Mine: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nTE: trailers\r\n"
                                             "Proxy-Authorization: secret\r\nUpgrade: h2c\r\nTrailer: X\r\n"))
        names = [name for name, _ in got.fields]
        assert ("traceparent", parent) in [tuple(f) for f in got.fields] and got.get("tracestate") == "a=b,c=d", got.fields
        for name in ("connection", "x-mine", "keep-alive", "proxy-connection", "te", "upgrade", "trailer"):
            assert name not in names, (name, got.fields)
        made = got.get("x-amzn-trace-id")
        assert made.startswith("Root=1-") and len(made) == 40, made
        for sent, want in [("Root=1-67891233-abcdef012345678912345678;Sampled=1", ";Root=1-67891233-abcdef012345678912345678;Sampled=1"),
                           ("Self=1-old;Root=1-a-b;X=y", ";Root=1-a-b;X=y")]:
            value = exchange(port, request(headers=f"X-Amzn-Trace-Id: {sent}\r\n")).get("x-amzn-trace-id")
            assert value.startswith("Self=1-") and value[len("Self=") + 35:] == want, value
        long = exchange(port, request(headers="X-Amzn-Trace-Id: Root=1-a-b;X=" + "y" * 7200 + "\r\n")).get("x-amzn-trace-id")
        assert long.startswith("Root=1-") and len(long) == 40, long


@test
def only_sources_of_the_security_groups_connect():
    """IP allowlist: others are reset before a byte is read; counted; a change takes effect for new connections."""
    port = free_port()
    t = Target()

    def reaches(source):
        try:
            s = socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0))
            wire = Wire(s)
            wire.send(request())
            return wire.read_response()[0].status == 200
        except (ConnectionError, EOFError):
            return False

    def snapshot(*cidrs):
        s = simple(port, [target(t.port)])
        s["listeners"][0]["sources"] = list(cidrs)
        return s

    with Box(2) as box:
        box.publish(simple(port, [target(t.port)]))
        assert reaches("127.0.0.1")
        kept = connect(port)
        kept.send(request())
        assert kept.read_response()[0].status == 200
        box.publish(snapshot("127.0.0.4/30", "10.0.0.0/8", "::/0"))
        for source, may in [("127.0.0.1", False), ("127.0.0.3", False), ("127.0.0.4", True), ("127.0.0.7", True),
                            ("127.0.0.8", False)]:
            assert reaches(source) == may, source
        kept.send(request())
        assert kept.read_response()[0].status == 200, "an open connection goes on, as with AWS's tracked ones"
        before = box.lb_stats()
        box.publish(snapshot())
        assert not reaches("127.0.0.4")
        box.publish(snapshot("0.0.0.0/0"))
        assert reaches("127.0.0.1")
        after = box.lb_stats()
        assert after["NEW_CONNECTIONS"] == before["NEW_CONNECTIONS"] + 1
        assert after["BLOCKED_FLOWS_TCP"] == before["BLOCKED_FLOWS_TCP"] + 1


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@test
def proxy_headers_name_the_client():
    """hitless.proxy_protocol.enabled: v1, v2, LOCAL; in pieces; strict; rules and X-Forwarded-For see the real client."""
    port = free_port()
    t = Target(echo)
    rules = [rule(1, {"type": "fixed-response", "statusCode": "403"}, {"field": "source-ip", "values": ["203.0.113.0/24"]}),
             rule(0, forward((0, 1)))]
    snapshot = {"listeners": [listener(port, rules, {"hitless.proxy_protocol.enabled": "true",
                                                      "routing.http.xff_client_port.enabled": "true"})],
                "targetGroups": [group("blue", [target(t.port)])]}
    v4 = SIGNATURE + b"\x21\x11" + struct.pack(">H", 12) + bytes([198, 51, 100, 7, 127, 0, 0, 1]) + struct.pack(">HH", 4567, 80)
    v6 = SIGNATURE + b"\x21\x21" + struct.pack(">H", 36 + 5) + socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) \
        + struct.pack(">HH", 99, 80) + b"\x04\0\x02ab"
    with Box(1) as box:
        box.publish(snapshot)
        for header, want in [(b"PROXY TCP4 198.51.100.7 127.0.0.1 4567 80\r\n", "198.51.100.7:4567"),
                             (b"PROXY TCP6 2001:db8::7 ::1 99 80\r\n", "[2001:db8::7]:99"),
                             (v4, "198.51.100.7:4567"), (v6, "[2001:db8::7]:99")]:
            got = exchange(port, header + request())
            assert got.status == 200 and got.get("x-forwarded-for") == want, (header, got.head.start)
            wire = connect(port)
            for byte in header:
                wire.send(bytes([byte]))
                time.sleep(0.0005)
            wire.send(request() + request())
            assert Seen(wire).get("x-forwarded-for") == want
            assert Seen(wire).get("x-forwarded-for") == want
            wire.close()
        for header in (SIGNATURE + b"\x20\0\0\0", b"PROXY UNKNOWN\r\n"):
            assert exchange(port, header + request()).get("x-forwarded-for").startswith("127.0.0.1:")
        assert exchange(port, b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n" + request()).status == 403
        for bad in (request(), b"PROXY TCP4 1.2.3.4 5.6.7.8 9 80\n", SIGNATURE + b"\x21\x11\xff\xff", b"PROXY " + b"x" * 200):
            wire = connect(port)
            wire.send(bad)
            try:
                assert wire.rest() == b"", bad
            except ConnectionError:
                pass
        box.publish(simple(port, [target(t.port)]))
        assert exchange(port, b"PROXY TCP4 1.2.3.4 5.6.7.8 9 80\r\n" + request()).status == 400


@test
def ipv6_listeners_see_ipv6_clients():
    """2.8: IPv6 in X-Forwarded-For, in brackets with the port; source-ip conditions of both families."""
    if not socket.has_ipv6:
        return
    try:
        port = free_port("::1", socket.AF_INET6)
    except OSError:
        print("# no IPv6 on this machine")
        return
    t = Target(echo)
    rules = [rule(1, {"type": "fixed-response", "statusCode": "403"}, {"field": "source-ip", "values": ["0.0.0.0/0"]}),
             rule(0, forward((0, 1)))]
    with Box(1) as box:
        for attributes, want in [({}, lambda p: "::1"), ({"routing.http.xff_client_port.enabled": "true"}, lambda p: f"[::1]:{p}")]:
            box.publish({"listeners": [listener(port, rules, attributes, address="::1")],
                         "targetGroups": [group("blue", [target(t.port)])]})
            s = socket.create_connection(("::1", port), 10)
            wire = Wire(s)
            wire.send(request(host="[::1]"))
            got = Seen(wire)
            assert got.get("x-forwarded-for") == want(s.getsockname()[1]), got.fields
            assert got.get("host") == f"[::1]:{port}"
            wire.close()


@test
def idle_timeout_and_client_keep_alive():
    """2.7 idle_timeout.timeout_seconds, client_keep_alive.seconds."""
    port = free_port()
    t = Target()
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)], {"idle_timeout.timeout_seconds": "1", "client_keep_alive.seconds": "60"}))
        wire = connect(port)
        began = time.monotonic()
        wire.send(request())
        head, _ = wire.read_response()
        assert head.get("connection") is None
        assert wire.rest() == b"" and 0.9 < time.monotonic() - began < 9
        box.publish(simple(port, [target(t.port)], {"client_keep_alive.seconds": "0"}))
        wire = connect(port)
        wire.send(request())
        assert wire.read_response()[0].get("connection") == "close"
        assert wire.rest() == b""


if __name__ == "__main__":
    main()
