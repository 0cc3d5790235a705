#!/usr/bin/env python3
"""What targets may send and what clients get: responses that would split, smuggle or never end; fields that belong to
one connection, in both directions; Expect, HEAD, HTTP/1.0, trailers. RFC 9110 7.6.1, 10.1.1, 15.2; RFC 9112 6, 7.1.2, 9;
aws-semantics 2.8 (header limits, invalid header names), 2.9 (502)."""
import re
from rig import *
from strict import FIELD, read_chunks

OK = b"HTTP/1.1 200 OK\r\n"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Evil: 1\r\n\r\nevil"

# name, bytes of the target, the code that the client gets (502 all)
BROKEN = [
    ("no http", b"SSH-2.0-x\r\n\r\n", 502), ("http/0.9", b"hello", 502), ("http/2.0", b"HTTP/2.0 200 OK\r\n\r\n", 502),
    ("lower case", b"http/1.1 200 OK\r\n\r\n", 502), ("a status of two digits", b"HTTP/1.1 20 OK\r\n\r\n", 502),
    ("a status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n", 502), ("status 099", b"HTTP/1.1 099 x\r\n\r\n", 502),
    ("a status with a sign", b"HTTP/1.1 +20 OK\r\n\r\n", 502), ("two spaces", b"HTTP/1.1  200 OK\r\n\r\n", 502),
    ("cr in the phrase", b"HTTP/1.1 200 O\rK\r\n\r\n", 502), ("nul in the phrase", b"HTTP/1.1 200 \x00\r\n\r\n", 502),
    ("an empty line first", b"\r\n" + OK + b"Content-Length: 0\r\n\r\n", 502),
    ("two lengths", OK + b"Content-Length: 4\r\nContent-Length: 0\r\n\r\nabcd", 502),
    ("a list of lengths", OK + b"Content-Length: 4, 4\r\n\r\nabcd", 502),
    ("a length with a sign", OK + b"Content-Length: +4\r\n\r\nabcd", 502), ("a negative length", OK + b"Content-Length: -1\r\n\r\n", 502),
    ("an empty length", OK + b"Content-Length:\r\n\r\n", 502), ("a hexadecimal length", OK + b"Content-Length: 0x4\r\n\r\nabcd", 502),
    ("a length that overflows", OK + b"Content-Length: 18446744073709551620\r\n\r\nabcd", 502),
    ("an unknown coding", OK + b"Transfer-Encoding: cow\r\n\r\n", 502), ("chunked twice", OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n", 502),
    ("gzip, chunked", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 502), ("chunked in disguise", OK + b"Transfer-Encoding: \x0bchunked\r\n\r\n", 502),
    ("look-alike beside the length", OK + b"Content_Length: 0\r\nContent-Length: 4\r\n\r\nabcd", 502),
    ("a folded line", OK + b"X: a\r\n Set-Cookie: b\r\n\r\n", 502), ("cr alone splits a line", OK + b"X: a\rSet-Cookie: b\r\n\r\n", 502),
    ("nul in a value", OK + b"X: a\x00b\r\n\r\n", 502), ("nul in a name", OK + b"X\x00: a\r\n\r\n", 502), ("no colon", OK + b"X\r\n\r\n", 502),
    ("a space first", OK + b" X: a\r\n\r\n", 502), ("101 fields", OK + b"X: y\r\n" * 101 + b"\r\n", 502),
    ("one line of 16 k and more", OK + b"X: " + b"y" * 16500 + b"\r\n\r\n", 502),
    ("33 k of head", OK + (b"X: " + b"y" * 1000 + b"\r\n") * 33 + b"\r\n", 502),
    ("101 to what did not ask", b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 502),
    ("101 to h2c", b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 502),
    ("17 interim responses", b"HTTP/1.1 100 Continue\r\n\r\n" * 17 + OK + b"Content-Length: 0\r\n\r\n", 502),
    ("a bad chunk at once", OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 502),
    ("a bad chunk later", OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n", 502),
    ("chunk data without its end", OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 502),
    ("lf in chunk framing", OK + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", 502),
    ("a chunk that overflows", OK + b"Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n", 502),
    ("a bad trailer", OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX\r\n\r\n", 502),
]
# name, bytes of the target, method, code, body, does the connection to the target stay
CLEAN = [
    ("length", OK + b"Content-Length: 4\r\n\r\nabcd", "GET", 200, b"abcd", True),
    ("chunks with extensions and trailers", OK + b"Transfer-Encoding: chunked\r\n\r\n4;a=\"b\"\r\nabcd\r\n0\r\nSet-Cookie: a=b\r\nContent-Length: 9\r\n\r\n",
     "GET", 200, b"abcd", True),
    ("two equal lengths", OK + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", "GET", 200, b"abcd", False),
    ("chunks and a length", OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", "GET", 200, b"abcd", False),
    ("identity", OK + b"Transfer-Encoding: identity\r\nContent-Length: 4\r\n\r\nabcd", "GET", 200, b"abcd", False),
    ("a second response behind the first", OK + b"Content-Length: 4\r\n\r\nabcd" + EVIL, "GET", 200, b"abcd", False),
    ("a second response behind chunks", OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n" + EVIL, "GET", 200, b"abcd", False),
    ("more than the length", OK + b"Content-Length: 2\r\n\r\nabcd", "GET", 200, b"ab", False),
    ("a body in 204", b"HTTP/1.1 204 No Content\r\n\r\n" + EVIL, "GET", 204, b"", False),
    ("a length in 204", b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n", "GET", 204, b"", True),
    ("a body in 304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nabcd", "GET", 304, b"", False),
    ("a body for HEAD", OK + b"Content-Length: 4\r\n\r\nabcd", "HEAD", 200, b"", False),
    ("chunks for HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", "HEAD", 200, b"", False),
    ("100 before", b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + OK + b"Content-Length: 2\r\n\r\nok", "GET", 200, b"ok", True),
    ("100 with a body that is none", b"HTTP/1.1 100 Continue\r\nContent-Length: 99\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok", "GET", 200, b"ok", True),
    ("lf line ends", b"HTTP/1.1 200 OK\nContent-Length: 2\nX-A: b\n\nok", "GET", 200, b"ok", False),
    ("no phrase", b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "GET", 200, b"ok", True),
    ("a phrase with 8 bits", b"HTTP/1.1 200 \xd0\x9e\xd0\x9a\r\nContent-Length: 2\r\n\r\nok", "GET", 200, b"ok", True),
    ("status 599", b"HTTP/1.1 599 x\r\nContent-Length: 2\r\n\r\nok", "GET", 599, b"ok", True),
    ("an odd name", OK + b"X A: b\r\nContent-Length: 2\r\n\r\nok", "GET", 200, b"ok", True),
    ("a control in a value", OK + b"X: a\x01\r\nContent-Length: 2\r\n\r\nok", "GET", 200, b"ok", True),
    ("until the end", OK + b"\r\nabcd", "GET", 200, b"abcd", False),
    ("http/1.0 with a length", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", 200, b"ok", False),
]
HOPS = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"}


def target_of(data, ends):
    def handler(wire, self):
        while True:
            wire.read_request()
            self.count()
            wire.send(data)
            if ends:
                return
    return Target(handler)


def strict_response(data, method):
    """(code, fields, body, rest) as one way of reading has it."""
    at = data.index(b"\r\n\r\n")
    lines = data[:at].split(b"\r\n")
    code = int(re.fullmatch(rb"HTTP/1\.1 (\d{3}) [^\x00-\x08\x0a-\x1f\x7f]*", lines[0])[1])
    fields = [FIELD.fullmatch(line) for line in lines[1:]]
    assert all(fields), lines
    fields = [(match[1].lower(), match[2]) for match in fields]
    names, known, at = [name for name, _ in fields], dict(fields), at + 4
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1, names
    assert not (HOPS - {b"connection"}) & set(names), names
    if method == "HEAD" or code in (204, 304) or code < 200:
        return code, known, b"", data[at:]
    if b"transfer-encoding" in known:
        body, end = read_chunks(data, at)
        return code, known, body, data[end:]
    length = int(known[b"content-length"])
    return code, known, data[at:at + length], data[at + length:]


@test
def broken_responses_are_502_or_cut_and_never_completed():
    wrong = []
    for name, data, _ in BROKEN:
        port = free_port()
        t = target_of(data, b"\r\n" not in data)
        with Box(1) as box:
            box.publish(simple(port, [target(t.port)]))
            wire = connect(port)
            wire.send(request(headers="Connection: close\r\n"))
            got = wire.rest()
            if not got.startswith(b"HTTP/1.1 502 Bad Gateway\r\nServer: awselb/2.0\r\n"):
                wrong.append(f"{name}: {got[:300]!r}")
        t.close()
    assert not wrong, "\n".join(wrong)


@test
def a_body_that_breaks_after_its_head_has_gone_is_cut_and_never_completed():
    for rest in (b"zz\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"3\nabc\n0\n\n", b"0\r\nX\r\n\r\n", b"3\r\nabc\r\n"):
        def handler(wire, self):
            wire.read_request()
            wire.send(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
            time.sleep(0.05)
            wire.send(rest)

        port = free_port()
        t = Target(handler)
        with Box(1) as box:
            box.publish(simple(port, [target(t.port)]))
            wire = connect(port)
            wire.send(request())
            got = b""
            try:
                got = wire.rest()
            except OSError:
                pass
            assert not got.endswith(b"0\r\n\r\n"), (rest, got)
        t.close()


@test
def odd_responses_are_written_in_one_way_and_nothing_behind_them_is_relayed():
    wrong = []
    for name, data, method, code, body, stays in CLEAN:
        port = free_port()
        t = target_of(data, b"until" in name.encode() or "1.0" in name)
        with Box(1) as box:
            box.publish(simple(port, [target(t.port)]))
            wire = connect(port)
            for _ in range(2):
                wire.send(request(method, headers="Connection: close\r\n"))
                got = wire.rest()
                wire = connect(port)
                try:
                    result = strict_response(got, method)
                except (AssertionError, ValueError, TypeError, KeyError) as e:
                    wrong.append(f"{name}: {e!r}: {got[:300]!r}")
                    break
                if (result[0], result[2], result[3]) != (code, body, b""):
                    wrong.append(f"{name}: {result}")
            if (len(t.connections) == 1) != stays:
                wrong.append(f"{name}: {len(t.connections)} connections to the target")
        t.close()
    assert not wrong, "\n".join(wrong)


@test
def what_an_idle_target_says_is_nobodys_answer():
    """Response queue poisoning: bytes on a connection that waits in the pool."""
    port = free_port()
    poison = threading.Event()

    def handler(wire, self):
        wire.read_request()
        wire.send(OK + b"Content-Length: 2\r\n\r\nok")
        if len(self.connections) == 1:
            poison.wait(5)
            wire.send(EVIL)
        wire.more()

    t = Target(handler)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        assert fetch(port)[1] == b"ok"
        poison.set()
        limit = time.monotonic() + 5
        while box.lb_stats()["ACTIVE_CONNECTIONS"] and time.monotonic() < limit:
            time.sleep(0.02)
        assert fetch(port)[1] == b"ok" and len(t.connections) == 2


@test
def fields_of_one_connection_stay_on_it():
    seen = []

    def handler(wire, self):
        while True:
            head, _ = wire.read_request()
            seen.append(head)
            wire.send(OK + b"Connection: keep-alive, X-Mine, Content-Length\r\nKeep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\n"
                      b"TE: trailers\r\nTrailer: X-Sum\r\nUpgrade: h2c\r\nX-Mine: 1\r\nX-Yours: 2\r\nContent-Length: 2\r\n\r\nok")

    port = free_port()
    t = Target(handler)
    hops = ("Connection: keep-alive, X-Mine\r\nConnection: X-Other\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n"
            "TE: trailers, gzip\r\nTrailer: X-Sum\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\nX-Mine: 1\r\nX-Other: 1\r\nX-Yours: 2\r\n")
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        head, body = fetch(port, headers=hops)
    for fields in (dict(seen[0].fields), dict(head.fields)):
        assert not {h.decode() for h in HOPS} & fields.keys() and "http2-settings" not in fields, fields
        assert "x-mine" not in fields and "x-other" not in fields and fields["x-yours"] == "2", fields
    assert head.get("content-length") == "2" and body == b"ok"


@test
def names_that_are_no_token_never_arrive_and_odd_ones_by_the_attribute():
    """2.8: names that do not match [-A-Za-z0-9]+ are forwarded by default, removed with drop_invalid_header_fields."""
    for drops in (False, True):
        seen = []

        def handler(wire, self):
            head, _ = wire.read_request()
            seen.append({name for name, _ in head.fields})
            wire.send(OK + b"Content-Length: 0\r\n\r\n")

        port = free_port()
        t = Target(handler)
        attributes = {"routing.http.drop_invalid_header_fields.enabled": str(drops).lower()}
        with Box(1) as box:
            box.publish(simple(port, [target(t.port)], attributes))
            fetch(port, headers="X_Under: 1\r\nX.Dot: 1\r\nX-Plain: 1\r\nX Space: 1\r\nX\x01: 1\r\nX-Ctl: \x01\r\n")
        names = seen[0] - {"host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-amzn-trace-id"}
        assert names == ({"x-plain"} if drops else {"x-plain", "x_under", "x.dot"}), names


@test
def expect_is_answered_by_the_balancer():
    got_body = threading.Event()

    def handler(wire, self):
        while True:
            head, body = wire.read_request()
            assert head.get("expect") is None
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    port = free_port()
    t = Target(handler)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        for value in ("100-continue", "100-Continue"):
            for framing, body in (("Content-Length: 3\r\n", b"abc"), ("Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n")):
                wire = connect(port)
                wire.send(f"POST / HTTP/1.1\r\nHost: a\r\nExpect: {value}\r\n{framing}\r\n".encode())
                assert wire.head()[0] == "HTTP/1.1 100 Continue"
                wire.send(body)
                head, answer = wire.read_response()
                assert (head.status, answer) == (200, b"abc")
                # and once more on the same connection, with the body at once: no 100 is needed
                wire.send(f"POST / HTTP/1.1\r\nHost: a\r\nExpect: {value}\r\n{framing}\r\n".encode() + body)
                head, answer = wire.read_response()
                assert (head.status, answer) == (200, b"abc")
        wire = connect(port)
        wire.send(request(headers="Expect: something\r\n"))
        assert wire.read_response()[0].status == 417
        wire.send(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        wire.socket.settimeout(0.3)
        try:
            assert wire.socket.recv(100) == b"", "HTTP/1.0 knows no 100"
        except TimeoutError:
            pass


@test
def http_1_0_and_other_forms_of_targets_arrive_as_http_1_1():
    seen = []

    def handler(wire, self):
        while True:
            head, _ = wire.read_request()
            seen.append((head.start, head.get("host")))
            wire.send(OK + b"Content-Length: 2\r\n\r\nok")

    port = free_port()
    t = Target(handler)
    cases = [(b"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1", f"127.0.0.1:{port}"),
             (b"GET http://b.example/p?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET /p?q HTTP/1.1", f"b.example:{port}"),
             (b"GET http://b.example HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1", f"b.example:{port}"),
             (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1", f"a:{port}"),
             (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a%20b HTTP/1.1", f"a:{port}"),
             (b"GET / HTTP/1.9\r\nHost: a\r\n\r\n", "GET / HTTP/1.1", f"a:{port}")]
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        for data, start, host in cases:
            wire = connect(port)
            wire.send(data)
            assert wire.read_response()[0].start == "HTTP/1.1 200 OK"
            assert seen[-1] == (start, host), (data, seen[-1])


if __name__ == "__main__":
    main()
