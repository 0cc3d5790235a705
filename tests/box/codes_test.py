#!/usr/bin/env python3
"""The codes that the load balancer gives itself: one test for each row of aws-semantics 2.9 that a plain HTTP listener
can reach, with the page, its headers and the counters (HTTPCode_ELB_*). 401, 403, 500 and 561 come from actions, 464 from
protocol versions of groups, 413 from Lambda targets: not here. 431 is none of ALB's."""
import re
from rig import *

PHRASES = {400: "Bad Request", 405: "Method Not Allowed", 408: "Request Timeout", 414: "Request-URI Too Long",
           463: "Bad Request", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Temporarily Unavailable",
           504: "Gateway Time-out", 505: "HTTP Version Not Supported"}
SECOND = {"idle_timeout.timeout_seconds": "1"}


def page(code):
    title = f"{code} {PHRASES[code]}"
    return (f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n"
            f"</html>\r\n").encode()


def expect(wire, code, closes, method="GET"):
    """The whole answer, to the byte but for the date. Source of the form: a 502 of ALB has 277 bytes in its access log,
    155 of them the head; the words are those of its pages."""
    wire.until(b"HTTP/1.1 ")
    start, rest = wire.until(b"\r\n"), wire.until(b"\r\n\r\n")
    body = b"" if method == "HEAD" else page(code)
    want = (rb"Server: awselb/2\.0\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\nContent-Type: text/html\r\n"
            rb"Content-Length: %d\r\nConnection: %s" % (len(page(code)), b"close" if closes else b"keep-alive"))
    assert start == f"{code} {PHRASES[code]}".encode(), start
    assert re.fullmatch(want, rest), rest
    assert wire.exactly(len(body)) == body
    if code == 502 and not closes:
        assert len(b"HTTP/1.1 " + start + rest) + 6 == 155 and len(page(code)) == 122
    if closes:
        assert wire.rest() == b""


class Counted:
    """What a step adds to HTTPCode_ELB_*."""

    def __init__(self, box, **added):
        self.box, self.added = box, added

    def read(self):
        row = self.box.lb_stats()
        return {key: row[key] for key in ("ELB_3XX", "ELB_4XX", "ELB_5XX", "ELB_500", "ELB_502", "ELB_503", "ELB_504")}

    def __enter__(self):
        self.before = self.read()

    def __exit__(self, kind, *_):
        if kind is None:
            want = {key: value + self.added.get(key, 0) for key, value in self.before.items()}
            limit = time.monotonic() + 5
            while self.read() != want and time.monotonic() < limit:
                time.sleep(0.02)
            assert self.read() == want, (self.before, self.read(), self.added)


def refused(cases, code, closes, attributes=None, **counted):
    port = free_port()
    t = Target()
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)], attributes))
        for data in cases:
            with Counted(box, **counted):
                wire = connect(port)
                wire.send(data)
                expect(wire, code, closes)
                wire.close()
        assert t.requests == 0


@test
def row_400_malformed_request():
    refused([b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
             b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"], 400, True, ELB_4XX=1)


@test
def row_400_header_limits_exceeded():
    """2.8: single header 16 K, all headers 64 K."""
    big = [b"X: " + b"a" * 16384 + b"\r\n", b"".join(b"X%d: %s\r\n" % (i, b"a" * 15000) for i in range(5)), b"X: y\r\n" * 101]
    refused([b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n" for lines in big], 400, True, ELB_4XX=1)


@test
def row_400_desync_block():
    refused([b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"], 400, True, ELB_4XX=1)
    refused([b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"], 400, True,
            {"routing.http.desync_mitigation_mode": "strictest"}, ELB_4XX=1)


@test
def row_400_client_closed_before_its_body_was_whole():
    port = free_port()
    t = Target()
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        with Counted(box, ELB_4XX=1):
            wire = connect(port)
            wire.send(request("POST", headers="Content-Length: 10\r\n") + b"abc")
            time.sleep(0.05)
            wire.close()
        assert t.requests == 0


@test
def row_405_trace():
    refused([b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"], 405, False, ELB_4XX=1)


@test
def row_408_client_sent_no_data_before_the_idle_timeout():
    refused([b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"], 408, True, SECOND, ELB_4XX=1)


@test
def row_414_url_too_long():
    """2.8: request line 16 K."""
    refused([b"GET /" + b"a" * 16384 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
             b"GET /?" + b"a" * 16384 + b" HTTP/1.1\r\nHost: a\r\n\r\n"], 414, True, ELB_4XX=1)


@test
def row_460_client_closed_before_the_target_answered():
    port = free_port()
    asked = threading.Event()

    def slow(wire, self):
        wire.read_request()
        asked.set()
        wire.more()

    t = Target(slow)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        with Counted(box, ELB_4XX=1):
            wire = connect(port)
            wire.send(request())
            assert asked.wait(5)
            wire.close()


@test
def row_463_more_than_30_addresses():
    addresses = lambda count: b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %s\r\n\r\n" % b", ".join([b"1.2.3.4"] * count)
    refused([addresses(31)], 463, False, ELB_4XX=1)
    refused([b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-Forwarded-For: 1.2.3.4\r\n" * 31 + b"\r\n"], 463, False, ELB_4XX=1)
    port = free_port()
    t = Target()
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        wire = connect(port)
        wire.send(addresses(30))
        assert wire.read_response()[0].status == 200


@test
def row_501_transfer_encoding():
    """2.8: other than chunked and identity."""
    refused([b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"], 501, True, ELB_5XX=1)


@test
def row_505_version():
    refused([b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", b"GET / HTTP/3.0\r\nHost: a\r\n\r\n"], 505, True, ELB_5XX=1)


def answered(handler, code, counted, attributes=None, method="GET"):
    port = free_port()
    t = handler if isinstance(handler, int) else Target(handler).port
    with Box(1) as box:
        box.publish(simple(port, [target(t)] if t else [], attributes))
        with Counted(box, **counted):
            wire = connect(port)
            wire.send(request(method))
            expect(wire, code, False, method)


def closes_at_once(wire, self):
    wire.read_request()


def resets(wire, self):
    wire.read_request()
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def says(data):
    def handler(wire, self):
        wire.read_request()
        wire.send(data)
        wire.more()
    return handler


BAD_GATEWAY = dict(ELB_5XX=1, ELB_502=1)


@test
def row_502_no_connection_comes_about():
    answered(free_port(), 502, BAD_GATEWAY)
    answered(free_port(), 502, BAD_GATEWAY, method="HEAD")


@test
def row_502_the_target_closes_with_the_request_outstanding():
    answered(closes_at_once, 502, BAD_GATEWAY, method="POST")
    answered(resets, 502, BAD_GATEWAY, method="POST")


@test
def row_502_malformed_response():
    ok = b"HTTP/1.1 200 OK\r\n"
    for data in (b"hello\r\n\r\n", b"HTTP/0.9 200 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", ok + b"X\r\n\r\n",
                 ok + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na", ok + b"Content-Length: x\r\n\r\n",
                 ok + b"Transfer-Encoding: cow\r\n\r\n", ok + b"X: a\r\n b\r\n\r\n", ok + b"X: a\x00\r\n\r\n",
                 ok + b"X: a\rSet-Cookie: b\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
                 b"HTTP/1.1 100 Continue\r\n\r\n" * 17):
        port = free_port()
        t = Target(says(data))
        with Box(1) as box:
            box.publish(simple(port, [target(t.port)]))
            with Counted(box, **BAD_GATEWAY):
                wire = connect(port)
                wire.send(request())
                expect(wire, 502, False)


@test
def row_502_response_headers_past_32_k():
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X%d: %s\r\n" % (i, b"a" * 1000) for i in range(33))
    answered(says(head + b"\r\n"), 502, BAD_GATEWAY)


@test
def row_502_deregistration_delay_over_with_the_request_open():
    port = free_port()
    asked = threading.Event()

    def never(wire, self):
        wire.read_request()
        asked.set()
        wire.more()

    t = Target(never)
    delay = {"deregistration_delay.timeout_seconds": "1"}
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)], attributes=None))
        wire = connect(port)
        wire.send(request())
        assert asked.wait(5)
        with Counted(box, **BAD_GATEWAY):
            snapshot = simple(port, [])
            snapshot["targetGroups"][0]["attributes"] = delay
            snapshot["targetGroups"][0]["targets"] = [target(t.port, isDraining=True, drainingSinceMs=int(time.time() * 1000))]
            box.publish(snapshot)
            expect(wire, 502, False)


@test
def row_503_no_registered_target():
    answered(0, 503, dict(ELB_5XX=1, ELB_503=1))


@test
def row_504_no_answer_within_the_idle_timeout():
    answered(says(b""), 504, dict(ELB_5XX=1, ELB_504=1), SECOND)
    answered(says(b"HTTP/1.1 200 O"), 504, dict(ELB_5XX=1, ELB_504=1), SECOND)


@test
def row_504_a_length_that_is_longer_than_the_body():
    """ALB gives 504; here the head has gone to the client when that shows, so the client sees the body cut off."""
    port = free_port()
    t = Target(says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"))
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)], SECOND))
        wire = connect(port)
        wire.send(request())
        assert wire.rest().endswith(b"\r\n\r\nabc")


@test
def codes_of_redirects_and_fixed_responses_are_counted():
    """2.11: HTTPCode_ELB_3XX for redirects; fixed responses by their code."""
    port = free_port()
    rules = [rule(1, {"type": "redirect", "statusCode": "HTTP_301", "protocol": "#{protocol}", "host": "#{host}",
                      "port": "#{port}", "path": "/b", "query": "#{query}"},
                  {"field": "path-pattern", "values": ["/a"]}),
             rule(0, {"type": "fixed-response", "statusCode": "503", "contentType": "text/plain", "messageBody": "later"})]
    with Box(1) as box:
        box.publish({"listeners": [listener(port, rules)], "targetGroups": []})
        with Counted(box, ELB_3XX=1):
            assert fetch(port, path="/a")[0].status == 301
        with Counted(box, ELB_5XX=1, ELB_503=1):
            assert fetch(port)[1] == b"later"


if __name__ == "__main__":
    main()
