#!/usr/bin/env python3
"""HTTP/2 and gRPC through the data plane."""
from h2_frames import CASES
from h2_wire import *
from rig import *

PRIOR = {"hitless.http2.prior_knowledge": "true"}


def big():
    return b"0123456789abcdef" * 16384


def page(wire, self):
    """What the cases of h2_frames.py ask for."""
    while True:
        start, fields = wire.head()
        path = start.split(" ")[1]
        if path == "/hold":
            wire.rest()
            return
        body = b""
        if dict(fields).get("transfer-encoding") == "chunked":
            while size := int(wire.until(b"\r\n"), 16):
                body += wire.exactly(size + 2)[:-2]
            while wire.until(b"\r\n"):
                pass
        else:
            body = wire.exactly(int(dict(fields).get("content-length", 0)))
        more, status = "", "200 OK"
        answer = b"hello"
        if path == "/echo":
            answer = (start + "\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields)).encode()
            answer = answer.replace(b"\r\nhost:", b"\r\nHost:").replace(b"\r\nte:", b"\r\nTE:")
        elif path == "/big":
            answer = big()
        elif path == "/late":
            time.sleep(0.05)
        elif path == "/early":
            wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        elif path == "/fields":
            more = "X-Mixed-Case: Kept\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n"
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(answer)}\r\n{more}\r\n".encode()
        wire.send(head if start.startswith("HEAD") else head + answer)


def open_case(port, data):
    wire = H2.dial(port, preface=False)
    start = PREFACE + frame(SETTINGS)
    if isinstance(data, tuple) and data[0] == "no settings":
        start, data = PREFACE, data[1]
    elif isinstance(data, tuple) and data[0] == "bare":
        start, data = b"", data[1]
    elif isinstance(data, tuple) and data[0] == "pieces":
        for byte in data[1]:
            wire.send(bytes([byte]))
        return wire, b""
    wire.send(start)
    if isinstance(data, tuple):
        data[0](wire)
        data = data[1]
    return wire, data


def ends(wire):
    try:
        while True:
            wire.read()
    except (EOFError, ConnectionResetError):
        return True


def is_alive(wire, stream=901):
    wire.put(PING, 0, 0, b"aliveyes")
    wire.until(lambda f: f.kind == PING and f.payload == b"aliveyes")
    wire.ask(stream)
    assert wire.answer(stream)[0][":status"] == "200"


def run_case(port, data, expected):
    wire, data = open_case(port, data)
    kind, rest = expected[0], expected[1:]
    try:
        wire.send(data)
    except OSError:
        pass  # ended before all was sent; what it said tells why
    if kind == "check":
        rest[0](wire)
    elif kind == "connection":
        code = wire.goaway().code
        assert code in rest[0], f"GOAWAY says {CODES[code]}"
        assert ends(wire)
    elif kind == "stream":
        code = wire.until(lambda f: f.kind in (RST_STREAM, GOAWAY) and (f.kind == GOAWAY or f.stream == rest[0])).code
        assert code in rest[1], f"RST_STREAM says {CODES[code]}"
        assert wire.seen[-1].kind == RST_STREAM, "the connection ended as well"
        is_alive(wire)
    elif kind == "either":
        f = wire.until(lambda f: f.kind in (RST_STREAM, GOAWAY))
        assert f.code in rest[1], f"{f} says {CODES[f.code]}"
    elif kind == "answer":
        got = wire.answer(rest[0])[0][":status"]
        assert got == rest[1], f"status {got}"
    elif kind == "alive":
        is_alive(wire)
    elif kind == "ended":
        assert ends(wire)
    wire.close()


@test
def frames_mean_what_the_rfcs_say():
    port = free_port()
    t = Target(page)
    failures = []
    with Box() as box:
        box.publish(simple(port, [target(t.port)], PRIOR))
        for number, (section, sentence, data, expected) in enumerate(CASES, 1):
            try:
                run_case(port, data, expected)
            except Exception as e:
                failures.append(f"{number}: RFC {section}, {sentence}: {type(e).__name__} {e}")
        assert fetch(port)[1] == b"hello", "and it still serves HTTP/1.1"
    for failure in failures:
        print(f"# {failure}")
    print(f"# {len(CASES)} cases of RFC 9113 and 7541, {len(failures)} failed")
    assert not failures and len(CASES) >= 140


# ---- HTTP/2 clients, HTTP/1.1 targets ----

@test
def a_request_looks_to_the_target_as_one_of_http_1():
    """RFC 9113, 8.3.1; ALB: the X-Forwarded fields, the trace id, Host."""
    port = free_port()
    seen = []

    def handler(wire, self):
        while True:
            head, body = wire.read_request()
            seen.append((head, body))
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    t = Target(handler)
    with Box() as box:
        box.publish(simple(port, [target(t.port)], PRIOR))
        wire = H2.dial(port)
        wire.ask(1, ask("/a?b=c", "POST", more=[("x-a", "b"), ("content-length", "3")]), b"xyz")
        assert wire.answer(1)[1] == b"hi"
        wire.ask(3, ask("/d", "PUT"), b"abc", end=False)
        wire.put(DATA, END_STREAM, 3, b"def")
        assert wire.answer(3)[1] == b"hi"
        assert wire.answer is not None and box.lb_stats()["REQUESTS"] == 2
    head, body = seen[0]
    assert head.start == "POST /a?b=c HTTP/1.1" and body == b"xyz" and head.get("x-a") == "b"
    assert head.get("host") == f"example.com:{port}" and head.get("x-forwarded-for") == "127.0.0.1"
    assert head.get("x-forwarded-proto") == "http" and head.get("x-forwarded-port") == str(port)
    assert head.get("x-amzn-trace-id").startswith("Root=1-") and head.get("content-length") == "3"
    assert seen[1][1] == b"abcdef" and seen[1][0].get("transfer-encoding") == "chunked"


@test
def large_bodies_pass_both_ways_and_many_at_a_time():
    port = free_port()
    body = random.Random(1).randbytes(700_000)

    def handler(wire, self):
        while True:
            head, got = wire.read_request()
            wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for i in range(0, len(got), 30000):
                part = got[i:i + 30000]
                wire.send(b"%x\r\n%s\r\n" % (len(part), part))
            wire.send(b"0\r\n\r\n")

    t = Target(handler)
    with Box() as box:
        box.publish(simple(port, [target(t.port)], PRIOR))
        with open_file(body) as name:
            several_at_once(port, name, body)


def several_at_once(port, name, expected):
    """The file as a body: one request, then six at a time, whose bytes nghttp mixes."""
    for count in (1, 6):
        done = subprocess.run(["nghttp", "-m", str(count), "-d", name, f"http://127.0.0.1:{port}/"],
                              capture_output=True, timeout=60)
        assert len(done.stdout) == count * len(expected), (len(done.stdout), done.stderr[-300:])
        assert count > 1 or done.stdout == expected


class open_file:
    def __init__(self, content):
        import tempfile
        self.file = tempfile.NamedTemporaryFile()
        self.file.write(content)
        self.file.flush()

    def __enter__(self):
        return self.file.name

    def __exit__(self, *_):
        self.file.close()


@test
def a_slow_stream_does_not_block_another():
    """RFC 9113, 5.2: windows are given back when the other side has taken the bytes, and a stream whose target takes
    none holds its own window alone."""
    port = free_port()
    stopped = threading.Event()

    def handler(wire, self):
        while True:
            start, fields = wire.head()
            if " /stuck " in start:
                stopped.wait(20)
                return
            body = wire.body(fields)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n%05d" % (len(body) % 100000))

    t = Target(handler)
    with Box() as box:
        box.publish(simple(port, [target(t.port)], PRIOR))
        wire = H2.dial(port)
        wire.until(lambda f: f.kind == SETTINGS and not f.flags & ACK)  # until then windows have 65535 bytes
        window = 131072
        wire.ask(1, ask("/stuck", "POST", more=[("content-length", "9000000")]), b"", end=False)
        credit = sent = 0
        wire.socket.settimeout(1.0)
        while sent < 9000000:  # until nothing is given back any more: sockets are full, then the window
            while sent - credit + 16384 <= window:
                wire.put(DATA, 0, 1, bytes(16384))
                sent += 16384
            try:
                f = wire.read()
            except TimeoutError:
                break
            if f.kind == WINDOW_UPDATE and f.stream == 1:
                credit += struct.unpack(">I", f.payload)[0]
        assert sent < 9000000, "nobody reads, and still all was taken"
        wire.socket.settimeout(15)
        wire.ask(3, ask("/", "POST", more=[("content-length", "60000")]), bytes(16000), end=False)
        for i in range(2):
            wire.put(DATA, 0, 3, bytes(16000))
        wire.put(DATA, END_STREAM, 3, bytes(12000))
        assert wire.answer(3)[1] == b"60000"
        stopped.set()


@test
def a_client_that_does_not_read_makes_its_target_wait():
    """Back-pressure: the client's window of 65535 bytes, what we keep, and the sockets; no more."""
    port = free_port()
    sent = []

    def handler(wire, self):
        wire.read_request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
        wire.socket.settimeout(1.5)
        try:
            while True:
                sent.append(wire.socket.send(bytes(65536)))
        except OSError:
            wire.socket.settimeout(30)
            sent.append("stopped")
            wire.socket.sendall(bytes(50000000 - sum(sent[:-1])))

    t = Target(handler)
    with Box() as box:
        box.publish(simple(port, [target(t.port)], PRIOR))
        wire = H2.dial(port)
        wire.ask(1)
        wait_for(lambda: "stopped" in sent, 20)
        assert sum(sent[:-1]) < 40_000_000, sum(sent[:-1])
        wire.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 60_000_000)) +
                  frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 60_000_000)))
        assert len(wire.answer(1, gives_back=False)[1]) == 50_000_000


def wait_for(condition, timeout_s=10):
    limit = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.01)


@test
def a_client_that_leaves_frees_the_target():
    """CANCEL ends the work on the target; 460 is counted (ALB)."""
    port = free_port()
    ended = []

    def handler(wire, self):
        wire.read_request()
        self.count()
        ended.append(wire.rest())

    t = Target(handler)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)], PRIOR))
        wire = H2.dial(port)
        wire.ask(1)
        wait_for(lambda: t.requests == 1)
        wire.put(RST_STREAM, 0, 1, struct.pack(">I", CANCEL))
        wait_for(lambda: ended)
        assert box.lb_stats()["ELB_4XX"] == 1 and box.lb_stats()["INFLIGHT"] == 0
        wire.ask(3)
        wait_for(lambda: t.requests == 2)
        wire.close()
        wait_for(lambda: len(ended) == 2)


@test
def a_target_that_breaks_off_resets_the_stream_alone():
    port = free_port()

    def handler(wire, self):
        head, _ = wire.read_request()
        if "/bad" in head.start:
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            return
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    t = Target(handler)
    with Box() as box:
        box.publish(simple(port, [target(t.port)], PRIOR))
        wire = H2.dial(port)
        wire.ask(1, ask("/bad"))
        assert wire.reset(1) == INTERNAL_ERROR
        wire.ask(3)
        assert wire.answer(3)[1] == b"ok"


@test
def ten_thousand_requests_are_a_connections_life():
    """ALB: up to 10,000 requests, then GOAWAY; those that came before it are answered."""
    port = free_port()
    t = Target()
    with Box() as box:
        snapshot = simple(port, [target(t.port)], PRIOR)
        snapshot["listeners"][0]["rules"].insert(0, rule(1, {"type": "fixed-response", "statusCode": "204"},
                                                        {"field": "path-pattern", "values": ["/f"]}))
        box.publish(snapshot)
        wire = H2.dial(port)
        request = block(ask("/f"))
        answered = 0
        for start in range(0, 10000, 100):
            wire.send(b"".join(frame(HEADERS, END_HEADERS | END_STREAM, 1 + 2 * (start + i), request)
                               for i in range(100)))
            while answered < start + 100:
                f = wire.read()
                answered += f.kind == HEADERS
        assert ends(wire)
        f = next(f for f in wire.seen if f.kind == GOAWAY)
        assert f.code == NO_ERROR and struct.unpack(">I", f.payload[:4])[0] == 19999


@test
def an_old_connection_is_asked_to_go():
    """client_keep_alive.seconds: GOAWAY with the request that comes after it; the request is answered."""
    port = free_port()
    t = Target()
    with Box() as box:
        box.publish(simple(port, [target(t.port)], {**PRIOR, "client_keep_alive.seconds": "1"}))
        wire = H2.dial(port)
        wire.ask(1)
        wire.answer(1)
        time.sleep(1.1)
        wire.ask(3)
        assert wire.answer(3)[0][":status"] == "200"
        wire.goaway() if not any(f.kind == GOAWAY for f in wire.seen) else None
        assert ends(wire)


@test
def idle_and_half_said():
    """The idle timeout ends with GOAWAY; a field block that stops is not waited for."""
    port = free_port()
    t = Target()
    with Box() as box:
        box.publish(simple(port, [target(t.port)], {**PRIOR, "idle_timeout.timeout_seconds": "1"}))
        wire = H2.dial(port)
        wire.ask(1)
        wire.answer(1)
        assert wire.goaway().code == NO_ERROR and ends(wire)


@test
def stopping_lets_streams_finish():
    """RFC 9113, 6.8: GOAWAY with 2^31-1, then with the last stream; what is under way is answered."""
    port = free_port()
    go = threading.Event()

    def handler(wire, self):
        while True:
            wire.read_request()
            self.count()
            go.wait(10)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    t = Target(handler)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)], PRIOR))
        wire, idle = H2.dial(port), H2.dial(port)
        wire.ask(1)
        wait_for(lambda: t.requests == 1)
        box.say("stop 20000")
        assert struct.unpack(">I", wire.goaway().payload[:4])[0] == 2**31 - 1
        assert struct.unpack(">I", wire.goaway().payload[:4])[0] == 1
        assert ends(idle)
        go.set()
        assert wire.answer(1)[1] == b"ok" and ends(wire)
        box.wait("stopped", 10)


@test
def a_pause_holds_streams_too():
    port = free_port()
    t = Target()
    with Box(1) as box:
        open_one = simple(port, [target(t.port)], PRIOR)
        box.publish(simple(port, [target(t.port)], {**PRIOR, "hitless.pause.enabled": "true"}))
        wire = H2.dial(port)
        wire.ask(1)
        wire.ask(3, ask(method="POST"), b"abc")
        wait_for(lambda: box.lb_stats()["HELD"] == 2)
        wire.ask(5)
        wire.put(RST_STREAM, 0, 5, struct.pack(">I", CANCEL))
        assert t.requests == 0
        box.publish(open_one)
        assert wire.answer(1)[0][":status"] == "200"
        wire.ask(7)
        assert wire.answer(7)[0][":status"] == "200"
        wait_for(lambda: box.lb_stats()["HELD"] == 0)


@test
def without_the_attribute_a_preface_is_a_bad_request():
    port = free_port()
    t = Target()
    with Box() as box:
        box.publish(simple(port, [target(t.port)]))
        wire = connect(port)
        wire.send(PREFACE + frame(SETTINGS))
        head, _ = wire.read_response()
        assert head.status in (400, 505), head.start


# ---- over TLS ----

@test
def tls_clients_and_tls_targets_agree_on_h2():
    """RFC 9113, 3.3: ALPN h2, from the client and to a target; the target is told of https."""
    import tls_test
    certificate = tls_test.Certificate(["www.example.com"])
    port, inner, old = free_port(), free_port(), free_port()
    one = Target(page)
    with Box() as box:
        # the outer listener's target is the inner listener, which speaks TLS and HTTP/2 as well
        both = tls_test.secure(port, [target(inner)], [certificate])
        both["listeners"].append(tls_test.https(inner, [rule(0, forward((1, 1)))], [certificate]))
        both["targetGroups"][0].update(protocol="HTTPS", protocolVersion="HTTP2", isCheckEnabled=True,
                                       checkProtocol="HTTPS", checkPath="/", checkIntervalSeconds=5)
        both["listeners"].append(tls_test.https(old, [rule(0, forward((1, 1)))], [certificate],
                                                attributes={"routing.http2.enabled": "false"}))
        both["targetGroups"].append(group("one", [target(one.port)]))
        box.publish(both)
        box.healthy(inner)
        context = tls_test.client_context(alpn=["h2"])
        wire = H2(tls_test.tls_connect(port, context=context).socket)
        assert wire.socket.selected_alpn_protocol() == "h2"
        wire.send(PREFACE + frame(SETTINGS))
        for stream in (1, 3, 5):
            wire.ask(stream, ask("/echo", "POST", scheme="https"), b"x" * 16000 if stream == 3 else b"x")
        body = wire.answer(1)[1]
        assert b"x-forwarded-proto: https" in body and b"x-forwarded-for: 127.0.0.1, 127.0.0.1" in body, body
        # a target that speaks TLS but no HTTP/2 is no target
        both["targetGroups"][0].update(targets=[target(old)], isCheckEnabled=False)
        box.publish(both)
        wire.ask(7)
        assert wire.answer(7)[0][":status"] == "502"


# ---- HTTP/2 and gRPC targets ----

def versions(port, http1, http2, grpc_port):
    rules = [rule(i, forward((i - 1, 1)), {"field": "path-pattern", "values": [f"/{name}*"]})
             for i, name in enumerate(("http1", "http2", "grpc"), 1)]
    return {"listeners": [listener(port, rules + [rule(0, forward((0, 1)))], PRIOR)],
            "targetGroups": [group("http1", [target(http1)]),
                             group("http2", [target(http2)], protocolVersion="HTTP2"),
                             group("grpc", [target(grpc_port)], protocolVersion="GRPC")]}


GRPC = [("content-type", "application/grpc"), ("te", "trailers")]


@test
def protocol_versions_fit_or_are_464():
    """ALB, the table of client protocols and protocol versions."""
    port = free_port()
    one, two, three = Target(), H2Target(), H2Target()
    with Box() as box:
        box.publish(versions(port, one.port, two.port, three.port))
        for path, expected in (("/http1", 200), ("/http2", 464), ("/grpc", 464)):
            assert fetch(port, "GET", path)[0].status == expected, path
            assert fetch(port, "POST", path, body=b"x")[0].status == expected, path
        wire, stream = H2.dial(port), 1
        for method, path, more, expected in (
                ("GET", "/http1", [], "200"), ("GET", "/http2", [], "200"), ("GET", "/grpc", [], "464"),
                ("POST", "/grpc", [], "200"), ("POST", "/http1", GRPC, "464"), ("POST", "/http2", GRPC, "200"),
                ("POST", "/grpc", GRPC, "200"), ("POST", "/grpc", [("content-type", "application/grpc+proto")], "200"),
                ("POST", "/http1", [("content-type", "application/grpc-web")], "200")):
            wire.ask(stream, ask(path, method, more=more), b"x" if method == "POST" else None)
            assert wire.answer(stream)[0][":status"] == expected, (method, path, more)
            stream += 2
        assert box.lb_stats()["GRPC_REQUESTS"] == 3


@test
def grpc_calls_pass_with_their_trailers():
    """Unary and streaming, both ways at a time; trailers-only answers; fields that must not be trailers go."""
    port = free_port()

    def on_head(wire, stream, fields):
        if fields[":path"] == "/s/Chat":
            wire.send(frame(HEADERS, END_HEADERS, stream, block([(":status", "200"), GRPC[0]])))

    def handler(wire, stream, fields, body, trailers):
        path = dict(fields)[":path"]
        if path == "/s/Fail":
            wire.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block(
                [(":status", "200"), GRPC[0], ("grpc-status", "5"), ("grpc-message", "no such thing")])))
            return
        head = b"" if path == "/s/Chat" else frame(HEADERS, END_HEADERS, stream, block([(":status", "200"), GRPC[0]]))
        wire.send(head + frame(DATA, 0, stream, grpc(b"pong")) + frame(HEADERS, END_HEADERS | END_STREAM, stream, block(
            [("grpc-status", "0"), ("x-sum", str(len(body))), ("set-cookie", "a=b"), ("x-forwarded-for", "1.1.1.1")])))

    t = H2Target(handler, on_head=on_head)
    with Box() as box:
        box.publish(simple(port, [target(t.port)], PRIOR, protocolVersion="GRPC"))
        wire = H2.dial(port)
        wire.ask(1, ask("/s/Unary", "POST", more=GRPC), grpc(b"ping"))
        head, body, trailers = wire.answer(1)
        assert head["content-type"] == "application/grpc" and body == grpc(b"pong")
        assert trailers == {"grpc-status": "0", "x-sum": "9"}, trailers
        fields, body, _ = t.requests[0]
        assert fields["te"] == "trailers" and body == grpc(b"ping") and fields[":scheme"] == "http"
        assert fields[":authority"] == f"example.com:{port}" and fields["x-forwarded-for"] == "127.0.0.1"
        # the answer's head comes while the request is still being said
        wire.ask(3, ask("/s/Chat", "POST", more=GRPC), grpc(b"a"), end=False)
        assert not wire.until(lambda f: f.stream == 3 and f.kind == HEADERS).ends
        wire.put(DATA, 0, 3, grpc(b"b"))
        wire.send(heads_of([("x-client-sum", "2"), ("authorization", "never")], 3))
        frames = [wire.until(lambda f: f.stream == 3)]
        while not frames[-1].ends:
            frames.append(wire.until(lambda f: f.stream == 3))
        assert dict(frames[-1].fields)["grpc-status"] == "0"
        assert t.requests[1][1] == grpc(b"a") + grpc(b"b") and t.requests[1][2] == {"x-client-sum": "2"}
        # an error is a head that ends the stream at once: an empty DATA frame behind it would be another thing
        wire.ask(5, ask("/s/Fail", "POST", more=GRPC), grpc(b"x"))
        f = wire.until(lambda f: f.stream == 5)
        assert f.kind == HEADERS and f.ends and dict(f.fields)["grpc-status"] == "5", f


def heads_of(fields, stream):
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, block(fields))


@test
def trailers_cross_versions():
    """HTTP/2 to HTTP/1.1 and back: chunk trailers; HTTP/1.1 clients get them when they say TE: trailers."""
    port = free_port()
    seen = []

    def handler(wire, self):
        while True:
            start, fields = wire.head()
            body = b""
            if dict(fields).get("transfer-encoding") == "chunked":
                while size := int(wire.until(b"\r\n"), 16):
                    body += wire.exactly(size + 2)[:-2]
                lines = []
                while line := wire.until(b"\r\n"):
                    lines.append(line)
                seen.append((fields, body, lines))
            wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                      b"3\r\nabc\r\n0\r\nX-Sum: 3\r\nContent-Length: 99\r\nHost: evil\r\n\r\n")

    t = Target(handler)
    with Box() as box:
        box.publish(simple(port, [target(t.port)], PRIOR))
        wire = H2.dial(port)
        wire.ask(1)
        assert wire.answer(1)[1:] == (b"abc", {"x-sum": "3"})
        wire.ask(3, ask(method="POST"), b"body", end=False)
        wire.send(heads_of([("x-sum", "4"), ("x-forwarded-for", "6.6.6.6")], 3))
        assert wire.answer(3)[1] == b"abc"
        assert seen[0][1:] == (b"body", [b"x-sum: 4"]), seen[0]
        plain = connect(port)
        plain.send(request(headers="TE: trailers\r\nConnection: TE\r\n"))
        plain.head()
        assert plain.until(b"0\r\n") == b"3\r\nabc\r\n" and plain.until(b"\r\n\r\n") == b"X-Sum: 3"
        plain.send(request())
        assert plain.read_response()[1] == b"abc"  # and no trailers, which rig's reader refuses


@test
def one_connection_to_a_target_serves_many_and_a_second_one_more():
    port = free_port()

    def handler(wire, stream, fields, body, trailers):
        threading.Timer(0.3, H2Target.plain, (wire, stream, fields, body, trailers)).start()

    t = H2Target(handler, streams=20)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)], PRIOR, protocolVersion="HTTP2"))
        wire = H2.dial(port)
        wire.ask(1)
        wire.answer(1)
        for i in range(30):
            wire.ask(3 + 2 * i)
        statuses = []
        while len(statuses) < 30:
            f = wire.read()
            if f.kind == HEADERS:
                statuses.append(dict(f.fields)[":status"])
        assert statuses == ["200"] * 30 and len(t.connections) == 2, len(t.connections)


@test
def what_the_target_has_not_begun_is_sent_again():
    """RFC 9113, 8.7: REFUSED_STREAM and streams above a GOAWAY's last are safe, whatever the method."""
    port = free_port()
    state = {"refused": 0, "gone": 0, "cut": 0}

    def handler(wire, stream, fields, body, trailers):
        path = dict(fields)[":path"]
        if path == "/refuse" and state["refused"] < 1:
            state["refused"] += 1
            wire.put(RST_STREAM, 0, stream, struct.pack(">I", REFUSED_STREAM))
        elif path == "/goaway" and state["gone"] < 1:
            state["gone"] += 1
            wire.put(GOAWAY, 0, 0, struct.pack(">II", stream - 2, NO_ERROR))
        elif path == "/cut":
            state["cut"] += 1
            wire.socket.shutdown(socket.SHUT_RDWR)
        elif path == "/fail":
            wire.put(RST_STREAM, 0, stream, struct.pack(">I", INTERNAL_ERROR))
        else:
            H2Target.plain(wire, stream, fields, body, trailers)

    t = H2Target(handler)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)], PRIOR, protocolVersion="HTTP2"))
        wire = H2.dial(port)
        wire.ask(1)
        wire.answer(1)
        wire.ask(3, ask("/refuse", "POST"), b"abc")
        assert wire.answer(3)[0][":status"] == "200" and state["refused"] == 1
        wire.ask(5, ask("/goaway", "POST"), b"abc")
        assert wire.answer(5)[0][":status"] == "200" and state["gone"] == 1
        wire.ask(7, ask("/fail", "POST"), b"abc")
        assert wire.answer(7)[0][":status"] == "502", "it may have begun: no POST twice"
        wire.ask(9, ask("/cut", "POST"), b"abc")
        assert wire.answer(9)[0][":status"] == "502" and state["cut"] == 1
        wire.ask(11, ask("/cut"))
        assert wire.answer(11)[0][":status"] == "502" and state["cut"] == 3, "a GET is tried once more"
        wire.ask(13)
        assert wire.answer(13)[0][":status"] == "200"


@test
def a_dead_target_is_502_and_another_is_tried():
    port = free_port()
    alive_one = H2Target(name="up")
    with Box(1) as box:
        box.publish(simple(port, [target(free_port())], PRIOR, protocolVersion="HTTP2"))
        wire = H2.dial(port)
        wire.ask(1)
        assert wire.answer(1)[0][":status"] == "502"
        box.publish(simple(port, [target(free_port()), target(alive_one.port)], PRIOR, protocolVersion="HTTP2"))
        for stream in range(3, 15, 2):
            wire.ask(stream, ask(method="POST"), b"abc")
            assert wire.answer(stream)[1] == b"up"


@test
def large_bodies_pass_between_two_http_2_sides():
    port = free_port()
    body = random.Random(2).randbytes(400_000)

    def handler(wire, stream, fields, got, trailers):
        head = frame(HEADERS, END_HEADERS, stream, block([(":status", "200"), ("x-len", str(len(got)))]))
        wire.send(head + frame(DATA, END_STREAM, stream, got[:10000]))

    t = H2Target(handler)
    echo_port = free_port()
    one = Target(lambda wire, self: echo(wire))
    with Box() as box:
        both = simple(port, [target(t.port)], PRIOR, protocolVersion="HTTP2")
        # a second listener as an HTTP/2 target that echoes whole bodies
        both["listeners"].append(listener(echo_port, [rule(0, forward((1, 1)))], PRIOR))
        both["targetGroups"] += [group("one", [target(one.port)]),
                                 group("chain", [target(echo_port)], protocolVersion="HTTP2")]
        chain_port = free_port()
        both["listeners"].append(listener(chain_port, [rule(0, forward((2, 1)))], PRIOR))
        box.publish(both)
        with open_file(body) as name:
            for to, expected in ((port, body[:10000]), (chain_port, body)):
                several_at_once(to, name, expected)


def echo(wire):
    while True:
        _, got = wire.read_request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(got) + got)


@test
def health_checks_speak_the_groups_version():
    """ALB: GET over HTTP/2 for HTTP2; POST and grpc-status for GRPC, 12 is what counts by default."""
    port = free_port()
    seen = []

    def handler(wire, stream, fields, body, trailers):
        seen.append((dict(fields), body))
        f = dict(fields)
        if f[":path"] == "/AWS.ALB/healthcheck":
            wire.send(heads_of([(":status", "200"), GRPC[0], ("grpc-status", "12")], stream))
        elif f[":path"] == "/late":
            wire.send(frame(HEADERS, END_HEADERS, stream, block([(":status", "200"), GRPC[0]])) +
                      heads_of([("grpc-status", "0")], stream))
        elif f[":path"] == "/none":
            wire.send(heads_of([(":status", "200"), GRPC[0]], stream))
        else:
            wire.send(heads_of([(":status", "200" if f[":path"] == "/ok" else "503")], stream))

    t = H2Target(handler)
    row = target(t.port)
    wanted = [("a", "GRPC", None, None, "healthy"), ("b", "GRPC", "/late", "0-5", "healthy"),
              ("c", "GRPC", "/late", "12", "unhealthy"), ("d", "GRPC", "/none", "0-99", "unhealthy"),
              ("e", "HTTP2", "/ok", None, "healthy"), ("f", "HTTP2", "/bad", "200", "unhealthy"),
              ("g", "GRPC", "/bad", "0-99", "unhealthy")]
    with Box(1, "--time-scale", "50") as box:
        groups = []
        for name, version, path, matcher, _ in wanted:
            more = {k: v for k, v in (("checkPath", path), ("matcher", matcher)) if v}
            groups.append(group(name, [row], protocolVersion=version, isCheckEnabled=True, checkIntervalSeconds=5,
                                checkTimeoutSeconds=2, **more))
        box.publish({"listeners": [listener(port, [rule(0, forward((0, 1)))])], "targetGroups": groups})
        rows = {}
        for name, _, _, _, state in wanted:
            arn = TG.format(name)
            rows[name] = box.wait("health", 10, lambda r: r["targetGroup"] == arn and r["state"] == state)
    assert rows["c"]["description"] == "Health checks failed with these codes: [0]"
    assert rows["f"]["description"] == "Health checks failed with these codes: [503]"
    assert rows["d"]["reason"] == "Target.FailedHealthChecks"
    checks = [f for f, _ in seen if f[":path"] == "/AWS.ALB/healthcheck"]
    assert checks[0][":method"] == "POST" and checks[0]["content-type"] == "application/grpc"
    assert all(body == grpc() for f, body in seen if f[":method"] == "POST")
    assert {f["user-agent"] for f, _ in seen} == {"ELB-HealthChecker/2.0"}
    assert {f[":method"] for f, _ in seen if f[":path"] == "/ok"} == {"GET"}



if __name__ == "__main__":
    main()
