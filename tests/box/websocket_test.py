#!/usr/bin/env python3
"""What passes through a WebSocket tunnel, to the byte, and server-sent events. RFC 6455 5 (frames of every size of length
field, fragments, control frames between them, close), 5.5.1; aws-semantics 2.8 (WebSocket)."""
import base64, hashlib, struct
from rig import *

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG, MORE = 1, 2, 8, 9, 10, 0
SIZES = (0, 1, 125, 126, 127, 65535, 65536, 65537, 1 << 20)


def frame(opcode, data, is_last=True, mask=None):
    length = len(data)
    head = bytes([opcode | (0x80 if is_last else 0)])
    bit = 0x80 if mask else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", length)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", length)
    if mask is None:
        return head + data
    key = (mask * (length // 4 + 1))[:length]
    masked = (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")
    return head + mask + masked


def read_frame(wire):
    """(opcode, is_last, data), unmasked."""
    first, second = wire.exactly(2)
    length = second & 0x7f
    if length >= 126:
        length = int.from_bytes(wire.exactly(2 if length == 126 else 8), "big")
    mask = wire.exactly(4) if second & 0x80 else None
    data = wire.exactly(length)
    if mask:
        key = (mask * (length // 4 + 1))[:length]
        data = (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")
    return first & 0x0f, bool(first & 0x80), data


def accept(wire):
    head, _ = wire.read_request()
    assert head.get("upgrade") == "websocket" and head.get("connection") == "upgrade", head.fields
    assert head.get("sec-websocket-version") == "13" and head.get("sec-websocket-protocol") == "chat"
    key = base64.b64encode(hashlib.sha1(head.get("sec-websocket-key").encode() + GUID).digest())
    wire.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + key
              + b"\r\nSec-WebSocket-Protocol: chat\r\n\r\n")


def echo(wire, self):
    """Sends back every frame as it came, without the mask; answers pings and closes as RFC 6455 says."""
    accept(wire)
    while True:
        opcode, is_last, data = read_frame(wire)
        if opcode == PING:
            wire.send(frame(PONG, data))
        elif opcode == CLOSE:
            wire.send(frame(CLOSE, data))
            return
        else:
            wire.send(frame(opcode, data, is_last))


def open_websocket(port):
    key = base64.b64encode(os.urandom(16))
    wire = connect(port, timeout_s=30)
    wire.send(b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
              b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n")
    head = Head(*wire.head())
    assert head.status == 101 and head.get("upgrade") == "websocket" and head.get("connection") == "upgrade"
    assert head.get("sec-websocket-accept").encode() == base64.b64encode(hashlib.sha1(key + GUID).digest())
    assert head.get("sec-websocket-protocol") == "chat"
    return wire


class Tunnel:
    def __init__(self, handler=echo, attributes=None):
        self.port = free_port()
        self.target = Target(handler)
        self.box = Box(1)
        self.box.publish(simple(self.port, [target(self.target.port)], attributes))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.box.__exit__(*error)
        self.target.close()


@test
def frames_of_every_size_come_back_as_they_were():
    with Tunnel() as tunnel:
        wire = open_websocket(tunnel.port)
        for size in SIZES:
            for opcode in (TEXT, BINARY):
                data = os.urandom(size) if opcode == BINARY else b"t" * size
                sender = threading.Thread(target=wire.send, args=(frame(opcode, data, mask=os.urandom(4)),))
                sender.start()
                assert read_frame(wire) == (opcode, True, data), size
                sender.join()
        wire.close()


@test
def fragments_and_control_frames_between_them_keep_their_order():
    with Tunnel() as tunnel:
        wire = open_websocket(tunnel.port)
        mask = b"\x01\x02\x03\x04"
        parts = [frame(TEXT, b"one", False, mask), frame(PING, b"p" * 125, mask=mask), frame(MORE, b"two", False, mask),
                 frame(MORE, b"", False, mask), frame(MORE, b"three", True, mask)]
        expected = [(TEXT, False, b"one"), (PONG, True, b"p" * 125), (MORE, False, b"two"), (MORE, False, b""),
                    (MORE, True, b"three")]
        wire.send(b"".join(parts))  # at once
        assert [read_frame(wire) for _ in expected] == expected
        for byte in b"".join(parts):  # each byte alone
            wire.send(bytes([byte]))
        assert [read_frame(wire) for _ in expected] == expected
        wire.send(frame(PING, b"", mask=mask))
        assert read_frame(wire) == (PONG, True, b"")
        wire.close()


@test
def close_handshakes_go_both_ways():
    def closes_first(wire, self):
        accept(wire)
        wire.send(frame(CLOSE, struct.pack(">H", 1001) + b"bye"))
        assert read_frame(wire)[0] == CLOSE

    for handler, is_first in ((echo, True), (closes_first, False)):
        with Tunnel(handler) as tunnel:
            wire = open_websocket(tunnel.port)
            if is_first:
                wire.send(frame(CLOSE, struct.pack(">H", 1000) + b"done", mask=b"abcd"))
                assert read_frame(wire) == (CLOSE, True, struct.pack(">H", 1000) + b"done")
            else:
                assert read_frame(wire) == (CLOSE, True, struct.pack(">H", 1001) + b"bye")
                wire.send(frame(CLOSE, struct.pack(">H", 1001), mask=b"abcd"))
            assert wire.rest() == b""


@test
def what_was_sent_before_the_end_still_arrives():
    """One side sends a lot and closes at once: all of it comes out of the other end."""
    data = os.urandom(1 << 20)
    got = []

    def sends_and_closes(wire, self):
        accept(wire)
        wire.send(frame(BINARY, data))

    def keeps(wire, self):
        accept(wire)
        got.append(read_frame(wire))

    with Tunnel(sends_and_closes) as tunnel:
        wire = open_websocket(tunnel.port)
        assert read_frame(wire) == (BINARY, True, data) and wire.rest() == b""
    with Tunnel(keeps) as tunnel:
        wire = open_websocket(tunnel.port)
        wire.send(frame(BINARY, data, mask=b"abcd"))
        wire.close()
        limit = time.monotonic() + 10
        while not got and time.monotonic() < limit:
            time.sleep(0.01)
        assert got == [(BINARY, True, data)]


@test
def a_slow_side_slows_the_other_and_loses_nothing():
    total = 32 << 20
    with Tunnel(lambda wire, self: (accept(wire), wire.send(bytes(total)), wire.more())) as tunnel:
        wire = open_websocket(tunnel.port)
        time.sleep(0.5)
        memory = int(open(f"/proc/{tunnel.box.process.pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        assert memory < 32 << 20, memory  # the target waits, the balancer does not hoard
        count = len(wire.buffer)
        while count < total:
            data = wire.socket.recv(262144)
            assert data and not data.strip(b"\0"), (count, data[:20])
            count += len(data)
        wire.close()


@test
def bytes_sent_with_the_handshake_are_not_lost():
    """A client that does not wait for the 101; a target whose first frame comes with it."""
    def eager(wire, self):
        head, _ = wire.read_request()
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + frame(TEXT, b"hi"))
        wire.send(frame(*read_frame(wire)[::2]))

    with Tunnel(eager) as tunnel:
        wire = connect(tunnel.port)
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
                  + frame(TEXT, b"early", mask=b"abcd"))
        assert wire.head()[0].startswith("HTTP/1.1 101")
        assert [read_frame(wire), read_frame(wire)] == [(TEXT, True, b"hi"), (TEXT, True, b"early")]


@test
def an_idle_tunnel_ends_and_pings_keep_it():
    """2.8: ends at the idle timeout."""
    with Tunnel(attributes={"idle_timeout.timeout_seconds": "1"}) as tunnel:
        idle, alive = open_websocket(tunnel.port), open_websocket(tunnel.port)
        started = time.monotonic()
        for _ in range(8):
            time.sleep(0.25)
            alive.send(frame(PING, b"x", mask=b"abcd"))
            assert read_frame(alive) == (PONG, True, b"x")
        assert idle.rest() == b"" and time.monotonic() - started < 10
        alive.close()


@test
def events_stream_as_they_are_sent():
    """Server-sent events: each comes out before the next goes in, chunked or until the connection ends."""
    def events(wire, self):
        head, _ = wire.read_request()
        is_chunked = "/chunked" in head.start
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" +
                  (b"Transfer-Encoding: chunked\r\n\r\n" if is_chunked else b"\r\n"))
        for i in range(20):
            data = b"data: %d\n\n" % i
            wire.send(b"%x\r\n%s\r\n" % (len(data), data) if is_chunked else data)
            self.acknowledged.acquire()
        wire.send(b"0\r\n\r\n" if is_chunked else b"")

    with Tunnel(events) as tunnel:
        tunnel.target.acknowledged = threading.Semaphore(0)
        for path in ("/chunked", "/close"):
            wire = connect(tunnel.port)
            wire.send(request(path=path, headers="Accept: text/event-stream\r\n"))
            head = Head(*wire.head())
            assert head.get("content-type") == "text/event-stream" and head.get("transfer-encoding") == "chunked"
            for i in range(20):
                assert wire.exactly(int(wire.until(b"\r\n"), 16) + 2) == b"data: %d\n\n\r\n" % i
                tunnel.target.acknowledged.release()
            assert wire.exactly(5) == b"0\r\n\r\n"


if __name__ == "__main__":
    main()
