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


if __name__ == "__main__":
    main()
