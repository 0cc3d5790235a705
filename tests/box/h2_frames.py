"""Cases of RFC 9113 (HTTP/2) and RFC 7541 (HPACK) as data: section, what it says, what is sent after the preface and the
first SETTINGS, what must follow. Where the RFC leaves a choice, all that it allows is listed."""
import struct

from h2_wire import *

# ---- what is expected ----
# ("connection", codes)         GOAWAY with one of the codes, then the end
# ("stream", id, codes)         RST_STREAM with one of the codes; the connection goes on
# ("either", id, codes)         one of the two
# ("answer", id, status)        a response
# ("alive",)                    the connection answers a PING and the next request
# ("ended",)                    the connection ends, with or without GOAWAY
# ("check", function)           called with the wire


def connection(*codes):
    return ("connection", codes)


def stream(*codes, id=1):
    return ("stream", id, codes)


def either(*codes, id=1):
    return ("either", id, codes)


def answer(status="200", id=1):
    return ("answer", id, status)


alive = ("alive",)
ended = ("ended",)


def check(function):
    return ("check", function)


def heads(fields, id=1, flags=END_HEADERS | END_STREAM):
    return frame(HEADERS, flags, id, block(fields))


def raw(data, id=1, flags=END_HEADERS | END_STREAM):
    return frame(HEADERS, flags, id, data)


def without(name, fields=None):
    return [f for f in fields or ask() if f[0] != name]


def u16(n):
    return struct.pack(">H", n)


def u32(n):
    return struct.pack(">I", n)


GET = heads(ask())
POST = ask(method="POST")
OPEN = heads(POST, flags=END_HEADERS)  # the body is still to come
HOLD = heads(ask("/hold"))  # the target does not answer
HOLD_OPEN = heads(ask("/hold", "POST"), flags=END_HEADERS)
DONE = frame(RST_STREAM, 0, 1, u32(CANCEL))
KNOWN = bytes([0x82, 0x86, 0x84]) + b"\x41\x0bexample.com"  # GET http / and an indexed literal
CALM = ENHANCE_YOUR_CALM


def window_of_zero(wire):
    wire.put(SETTINGS, 0, 0, settings((4, 0)))
    wire.ask(1)
    f = wire.until(lambda f: f.kind == HEADERS)
    assert not f.ends
    wire.put(PING, 0, 0, b"12345678")
    f = wire.read()
    while f.kind != PING:
        assert f.kind != DATA, "DATA beyond the window"
        f = wire.read()
    wire.put(WINDOW_UPDATE, 0, 1, u32(100))
    assert wire.until(lambda f: f.kind == DATA).payload == b"hello"


def window_of_one(wire):
    wire.put(SETTINGS, 0, 0, settings((4, 1)))
    wire.ask(1)
    assert wire.until(lambda f: f.kind == DATA).payload == b"h"
    wire.put(WINDOW_UPDATE, 0, 1, u32(1))
    assert wire.until(lambda f: f.kind == DATA).payload == b"e"
    wire.put(WINDOW_UPDATE, 0, 1, u32(50))
    assert wire.until(lambda f: f.kind == DATA).payload == b"llo"


def window_grows_for_open_streams(wire):
    wire.put(SETTINGS, 0, 0, settings((4, 1)))
    wire.ask(1)
    assert wire.until(lambda f: f.kind == DATA).payload == b"h"
    wire.put(SETTINGS, 0, 0, settings((4, 3)))
    assert wire.until(lambda f: f.kind == DATA).payload == b"el"


def window_below_zero(wire):
    wire.put(SETTINGS, 0, 0, settings((4, 3)))
    wire.ask(1)
    assert wire.until(lambda f: f.kind == DATA).payload == b"hel"
    wire.put(SETTINGS, 0, 0, settings((4, 1)))  # the stream's window is -2 now
    wire.put(WINDOW_UPDATE, 0, 1, u32(3))
    assert wire.until(lambda f: f.kind == DATA).payload == b"l"


def connection_window_is_shared(wire):
    """65535 bytes for all streams together until the client gives some back."""
    wire.send(heads(ask("/big"), 1) + heads(ask("/big"), 3))
    total = 0
    while total < 65535:
        f = wire.read()
        total += len(f.payload) if f.kind == DATA else 0
    assert total == 65535, total
    wire.put(PING, 0, 0, b"12345678")
    assert wire.until(lambda f: f.kind in (PING, DATA)).kind == PING
    wire.put(WINDOW_UPDATE, 0, 0, u32(10))
    assert len(wire.until(lambda f: f.kind == DATA).payload) == 10


def ping_is_echoed(wire):
    wire.put(PING, 0, 0, b"abcdefgh")
    f = wire.until(lambda f: f.kind == PING)
    assert f.payload == b"abcdefgh" and f.flags == ACK and f.stream == 0, f


def ping_while_a_stream_waits(wire):
    wire.send(HOLD + frame(PING, 0, 0, b"abcdefgh"))
    assert wire.until(lambda f: f.kind == PING).payload == b"abcdefgh"


def settings_are_acknowledged(wire):
    wire.until(lambda f: f.kind == SETTINGS and f.flags & ACK)
    wire.put(SETTINGS, 0, 0, settings((3, 10)))
    f = wire.until(lambda f: f.kind == SETTINGS and f.flags & ACK)
    assert f.payload == b"" and f.stream == 0


def our_settings(wire):
    f = wire.until(lambda f: f.kind == SETTINGS and not f.flags & ACK)
    pairs = dict(struct.unpack_from(">HI", f.payload, i) for i in range(0, len(f.payload), 6))
    assert pairs[3] == 128, "ALB: 128 streams"
    assert pairs[4] >= 65535 and pairs[6] == 65536, pairs
    assert 8 not in pairs, "RFC 8441 is not offered"
    assert pairs.get(2, 0) == 0, "no push"


def too_many_streams(wire):
    for i in range(129):
        wire.send(heads(ask("/hold"), 1 + 2 * i))
    assert wire.reset(257) in (REFUSED_STREAM, PROTOCOL_ERROR)
    wire.put(PING, 0, 0, b"abcdefgh")
    wire.until(lambda f: f.kind == PING)


def streams_answer_in_any_order(wire):
    wire.send(HOLD + heads(ask(), 3) + heads(ask(), 5))
    ends = [wire.until(lambda f: f.ends).stream for _ in range(2)]
    assert sorted(ends) == [3, 5], ends


def goaway_lets_streams_finish(wire):
    wire.send(heads(ask("/late")) + frame(GOAWAY, 0, 0, u32(0) + u32(NO_ERROR)))
    assert wire.answer(1)[0][":status"] == "200"


def our_goaway_names_the_last_stream(wire):
    wire.send(GET)
    wire.answer(1)
    wire.send(frame(DATA, 0, 0, b"x"))
    f = wire.goaway()
    assert struct.unpack(">I", f.payload[:4])[0] == 1 and f.code == PROTOCOL_ERROR, f.payload


def table_size_zero(wire):
    """Our encoder must not use entries that the peer has no room for."""
    wire.put(SETTINGS, 0, 0, settings((1, 0)))
    wire.until(lambda f: f.kind == SETTINGS and f.flags & ACK)
    for id in (1, 3, 5):
        wire.ask(id)
        head = wire.until(lambda f: f.kind == HEADERS)
        assert dict(head.fields)[":status"] == "200"
        assert not any(b & 0xC0 == 0x40 for b in head.payload[:1])


def index_is_kept(wire):
    """What a literal with indexing added is there for the next block."""
    wire.send(raw(KNOWN))
    assert wire.answer(1)[0][":status"] == "200"
    wire.send(raw(bytes([0x82, 0x86, 0x84, 0xBE]), 3))
    assert wire.answer(3)[0][":status"] == "200"


def cookie_crumbs(wire):
    wire.send(heads(ask("/echo", more=[("cookie", "a=1"), ("x-between", "1"), ("cookie", "b=2"), ("cookie", "c=3")])))
    head, body, _ = wire.answer(1)
    assert b"cookie: a=1; b=2; c=3\r\n" in body.lower() and body.lower().count(b"cookie:") == 1, body


def authority_is_the_host(wire):
    wire.send(heads(ask("/echo", authority="a.example.com")))
    body = wire.answer(1)[1]
    assert b"\r\nHost: a.example.com" in body, body


def host_without_authority(wire):
    wire.send(heads(without(":authority", ask("/echo")) + [("host", "b.example.com")]))
    body = wire.answer(1)[1]
    assert b"\r\nHost: b.example.com" in body, body


def te_is_passed(wire):
    wire.send(heads(ask("/echo", more=[("te", "trailers")])))
    assert b"TE: trailers\r\n" in wire.answer(1)[1]


def head_has_no_body(wire):
    wire.send(heads(ask(method="HEAD")))
    f = wire.until(lambda f: f.stream == 1)
    assert f.kind == HEADERS and f.ends and dict(f.fields)["content-length"] == "5", f


def no_connection_fields(wire):
    wire.send(heads(ask("/fields")))
    head = wire.answer(1)[0]
    assert not {"connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"} & set(head), head
    assert head["x-mixed-case"] == "Kept"


def interim_answers(wire):
    wire.send(heads(ask("/early")))
    first = wire.until(lambda f: f.kind == HEADERS)
    assert dict(first.fields)[":status"] == "103" and not first.ends, first
    assert dict(first.fields)["link"] == "</a.css>"
    assert wire.answer(1)[0][":status"] == "200"


def continue_is_answered(wire):
    wire.send(heads(POST + [("expect", "100-continue")], flags=END_HEADERS))
    assert dict(wire.until(lambda f: f.kind == HEADERS).fields)[":status"] == "100"
    wire.put(DATA, END_STREAM, 1, b"x")
    assert wire.answer(1)[0][":status"] == "200"


def rest_of_request_is_let_go(wire):
    """RFC 9113, 8.1: an answer may end before the request; then RST_STREAM with NO_ERROR."""
    wire.send(heads(ask("/", "TRACE"), flags=END_HEADERS))
    assert wire.answer(1)[0][":status"] == "405"
    assert wire.reset(1) == NO_ERROR


def too_much_for_the_stream(wire):
    wire.send(HOLD_OPEN)
    for _ in range(9):
        wire.send(frame(DATA, 0, 1, bytes(16384)))
    f = wire.until(lambda f: f.kind in (RST_STREAM, GOAWAY))
    assert f.code == FLOW_CONTROL_ERROR, f


def padding_counts(wire):
    """RFC 9113, 6.1: padding is part of flow control: what is ignored is given back."""
    for i in range(40):
        wire.send(heads(POST, 1 + 2 * i, END_HEADERS) +
                  frame(DATA, PADDED | END_STREAM, 1 + 2 * i, b"\xff" + b"x" * 16000 + bytes(255)))
        assert wire.answer(1 + 2 * i)[0][":status"] == "200"


def long_list(count, size):
    return ask(more=[(f"x-{i:04}", "v" * size) for i in range(count)])


def huge_decoded(wire):
    """A small block that unfolds to more than 64 KiB: an entry of 3.5 KB, used again and again."""
    entry = b"\x40" + integer(3, 7) + b"x-a" + integer(3500, 7) + b"v" * 3500
    wire.send(raw(KNOWN + entry + bytes([0xBE]) * 60))
    assert wire.answer(1)[0][":status"] == "400"
    wire.send(raw(bytes([0x82, 0x86, 0x84, 0xBF]), 3))  # the table is whole
    assert wire.answer(3)[0][":status"] == "200"


def idle_after_end(wire):
    wire.send(GET)
    wire.answer(1)


CASES = [
    # ---- 3.4 preface ----
    ("3.4", "SETTINGS must be the first frame", ("no settings", GET), connection(PROTOCOL_ERROR)),
    ("3.4", "a PING is no first frame", ("no settings", frame(PING, 0, 0, bytes(8))), connection(PROTOCOL_ERROR)),
    ("3.4", "a broken preface ends the connection", ("bare", PREFACE[:16] + b"\r\nXM\r\n\r\n" + frame(SETTINGS)), ended),
    ("3.4", "the preface may come in pieces", ("pieces", PREFACE + frame(SETTINGS)), alive),
    ("3.4", "the preface and a request may come at once", ("bare", PREFACE + frame(SETTINGS) + GET), answer()),
    ("3.4", "our settings", b"", check(our_settings)),
    # ---- 4.1 frames ----
    ("4.1", "an unknown type is ignored", frame(0x16, 0, 0, b"abc"), alive),
    ("4.1", "an unknown type on a stream is ignored", OPEN + frame(0xFF, 0xFF, 1, b"abc") + frame(DATA, 1, 1), answer()),
    ("4.1", "unknown flags are ignored", frame(PING, 0xFE & ~ACK, 0, bytes(8)), alive),
    ("4.1", "unknown flags of DATA are ignored", OPEN + frame(DATA, 0xF6 & ~PADDED | 1, 1, b"x"), answer()),
    ("4.1", "the reserved bit is ignored", frame(PING, 0, 0x80000000, bytes(8)), alive),
    ("4.1", "the reserved bit of a request is ignored",
     frame(HEADERS, END_HEADERS | END_STREAM, 0x80000001, block(ask())), answer()),
    # ---- 4.2 sizes ----
    ("4.2", "DATA of 16384 bytes is fine", OPEN + frame(DATA, 1, 1, bytes(16384)), answer()),
    ("4.2", "DATA of 16385 bytes is too large", OPEN + frame(DATA, 1, 1, bytes(16385)), either(FRAME_SIZE_ERROR)),
    ("4.2", "HEADERS of 16385 bytes are too large", raw(bytes(16385)), connection(FRAME_SIZE_ERROR, CALM)),
    ("4.2", "SETTINGS of 16386 bytes are too large", frame(SETTINGS, 0, 0, bytes(16386)), connection(FRAME_SIZE_ERROR)),
    ("4.2", "PING of 16385 bytes is too large", frame(PING, 0, 0, bytes(16385)), connection(FRAME_SIZE_ERROR)),
    ("4.2", "an unknown frame that is too large", frame(0x20, 0, 0, bytes(16385)), connection(FRAME_SIZE_ERROR)),
    # ---- 4.3 field blocks ----
    ("4.3", "a block that cannot be decoded", raw(b"\xff\xff\xff\xff\xff\xff"), connection(COMPRESSION_ERROR)),
    ("4.3", "PRIORITY within a block", raw(block(ask()), flags=END_STREAM) + frame(PRIORITY, 0, 1, bytes(5)),
     connection(PROTOCOL_ERROR)),
    ("4.3", "HEADERS of another stream within a block", raw(block(ask()), flags=END_STREAM) + heads(ask(), 3),
     connection(PROTOCOL_ERROR)),
    ("4.3", "DATA within a block", raw(block(POST), flags=0) + frame(DATA, 1, 1, b"x"), connection(PROTOCOL_ERROR)),
    ("4.3", "PING within a block", raw(block(ask()), flags=1) + frame(PING, 0, 0, bytes(8)), connection(PROTOCOL_ERROR)),
    ("4.3", "SETTINGS within a block", raw(block(ask()), flags=1) + frame(SETTINGS), connection(PROTOCOL_ERROR)),
    ("4.3", "WINDOW_UPDATE within a block", raw(block(ask()), flags=1) + frame(WINDOW_UPDATE, 0, 0, u32(1)),
     connection(PROTOCOL_ERROR)),
    ("4.3", "RST_STREAM within a block", raw(block(ask()), flags=1) + frame(RST_STREAM, 0, 1, u32(8)),
     connection(PROTOCOL_ERROR)),
    # ---- 5.1 states ----
    ("5.1", "DATA on an idle stream", frame(DATA, 1, 1, b"x"), connection(PROTOCOL_ERROR)),
    ("5.1", "RST_STREAM on an idle stream", frame(RST_STREAM, 0, 1, u32(8)), connection(PROTOCOL_ERROR)),
    ("5.1", "WINDOW_UPDATE on an idle stream", frame(WINDOW_UPDATE, 0, 1, u32(9)), connection(PROTOCOL_ERROR)),
    ("5.1", "CONTINUATION on an idle stream", frame(CONTINUATION, END_HEADERS, 1, block(ask())),
     connection(PROTOCOL_ERROR)),
    ("5.1", "PRIORITY on an idle stream is fine", frame(PRIORITY, 0, 1, u32(0) + b"\x10"), alive),
    ("5.1", "half closed: DATA", HOLD + frame(DATA, 1, 1, b"x"), either(STREAM_CLOSED)),
    ("5.1", "half closed: HEADERS", HOLD + heads(ask()), either(STREAM_CLOSED)),
    ("5.1", "half closed: CONTINUATION", HOLD + frame(CONTINUATION, END_HEADERS, 1, block(ask())),
     either(STREAM_CLOSED, PROTOCOL_ERROR)),
    ("5.1", "half closed: WINDOW_UPDATE is fine", HOLD + frame(WINDOW_UPDATE, 0, 1, u32(9)) + heads(ask(), 3), answer(id=3)),
    ("5.1", "half closed: PRIORITY is fine", HOLD + frame(PRIORITY, 0, 1, u32(0) + b"\x10") + heads(ask(), 3), answer(id=3)),
    ("5.1", "half closed: RST_STREAM is fine", HOLD + DONE + heads(ask(), 3), answer(id=3)),
    ("5.1", "closed: WINDOW_UPDATE is ignored", (idle_after_end, frame(WINDOW_UPDATE, 0, 1, u32(9))), alive),
    ("5.1", "closed: RST_STREAM is ignored", (idle_after_end, DONE), alive),
    ("5.1", "closed: PRIORITY is fine", (idle_after_end, frame(PRIORITY, 0, 1, u32(0) + b"\x10")), alive),
    ("5.1", "closed: HEADERS", (idle_after_end, heads(ask())), either(STREAM_CLOSED, PROTOCOL_ERROR)),
    ("5.1", "closed: CONTINUATION", (idle_after_end, frame(CONTINUATION, END_HEADERS, 1, b"")),
     either(STREAM_CLOSED, PROTOCOL_ERROR)),
    ("5.1", "reset by the client: HEADERS", HOLD_OPEN + DONE + heads(ask()), either(STREAM_CLOSED, PROTOCOL_ERROR)),
    ("5.1", "reset by us: DATA under way is ignored",
     heads(ask() + [("Upper", "1")], flags=END_HEADERS) + frame(DATA, 0, 1, b"x"), stream(PROTOCOL_ERROR)),
    ("5.1.1", "clients have odd streams", heads(ask(), 2), connection(PROTOCOL_ERROR)),
    ("5.1.1", "numbers grow", heads(ask("/hold"), 5) + heads(ask(), 3), connection(PROTOCOL_ERROR, STREAM_CLOSED)),
    ("5.1.1", "numbers may leave gaps", heads(ask(), 7) + heads(ask(), 101), answer(id=101)),
    ("5.1.1", "the highest number can be used", heads(ask(), 0x7FFFFFFF), answer(id=0x7FFFFFFF)),
    ("5.1.2", "128 streams at a time", b"", check(too_many_streams)),
    ("5.1.2", "streams that ended make room", b"".join(heads(ask("/hold"), 1 + 2 * i) +
                                                      frame(RST_STREAM, 0, 1 + 2 * i, u32(8)) for i in range(130)) +
     heads(ask(), 301), answer(id=301)),
    ("5.2", "streams do not wait for one another", b"", check(streams_answer_in_any_order)),
    # ---- 5.3 priorities: deprecated, still to be parsed ----
    ("5.3", "HEADERS may carry a priority", frame(HEADERS, 0x25, 1, u32(0) + b"\x10" + block(ask())), answer()),
    ("5.3", "an exclusive dependency", frame(HEADERS, 0x25, 1, u32(0x80000000) + b"\xff" + block(ask())), answer()),
    ("5.3", "a dependency on a stream that is idle", frame(HEADERS, 0x25, 1, u32(99) + b"\x10" + block(ask())), answer()),
    # ---- 5.4, 5.5 ----
    ("5.4.1", "the connection ends after GOAWAY", frame(PING, 0, 3, bytes(8)), connection(PROTOCOL_ERROR)),
    ("5.4.2", "other streams outlive a stream's error", heads(ask() + [("Upper", "x")]) + heads(ask(), 3), answer(id=3)),
    ("5.5", "an unknown frame within a block", raw(block(ask()), flags=1) + frame(0x16, 0, 0, b"x"),
     connection(PROTOCOL_ERROR)),
    ("5.5", "an unknown setting is ignored", frame(SETTINGS, 0, 0, settings((0xFF, 1), (0x7777, 9))), alive),
    # ---- 6.1 DATA ----
    ("6.1", "DATA on stream 0", frame(DATA, 1, 0, b"x"), connection(PROTOCOL_ERROR)),
    ("6.1", "padding as long as the frame", OPEN + frame(DATA, PADDED | 1, 1, b"\x05abcd"), connection(PROTOCOL_ERROR)),
    ("6.1", "a padded frame without a pad length", OPEN + frame(DATA, PADDED | 1, 1, b""),
     connection(PROTOCOL_ERROR, FRAME_SIZE_ERROR)),
    ("6.1", "padding is taken away", OPEN + frame(DATA, PADDED | 1, 1, b"\x03abc\0\0\0"), answer()),
    ("6.1", "a frame of padding alone", OPEN + frame(DATA, PADDED | 1, 1, b"\x03\0\0\0"), answer()),
    ("6.1", "padding counts for the window and is given back", b"", check(padding_counts)),
    ("6.1", "an empty DATA frame ends a request", OPEN + frame(DATA, 1, 1), answer()),
    # ---- 6.2 HEADERS ----
    ("6.2", "HEADERS on stream 0", heads(ask(), 0), connection(PROTOCOL_ERROR)),
    ("6.2", "padding as long as the block", frame(HEADERS, PADDED | 5, 1, b"\xff" + block(ask())),
     connection(PROTOCOL_ERROR)),
    ("6.2", "padded HEADERS", frame(HEADERS, PADDED | 5, 1, b"\x04" + block(ask()) + bytes(4)), answer()),
    ("6.2", "padded HEADERS with a priority",
     frame(HEADERS, PADDED | 0x25, 1, b"\x04" + u32(0) + b"\x10" + block(ask()) + bytes(4)), answer()),
    ("6.2", "a priority flag without room for it", frame(HEADERS, 0x25, 1, b"\0\0\0"),
     connection(PROTOCOL_ERROR, FRAME_SIZE_ERROR)),
    ("6.2", "an empty block is no request", frame(HEADERS, 5, 1, b""), either(PROTOCOL_ERROR)),
    # ---- 6.3 PRIORITY ----
    ("6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, 0, bytes(5)), connection(PROTOCOL_ERROR)),
    ("6.3", "PRIORITY of 4 bytes", OPEN + frame(PRIORITY, 0, 1, bytes(4)), either(FRAME_SIZE_ERROR)),
    ("6.3", "PRIORITY of 6 bytes", OPEN + frame(PRIORITY, 0, 1, bytes(6)), either(FRAME_SIZE_ERROR)),
    # ---- 6.4 RST_STREAM ----
    ("6.4", "RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, u32(8)), connection(PROTOCOL_ERROR)),
    ("6.4", "RST_STREAM of 3 bytes", HOLD + frame(RST_STREAM, 0, 1, bytes(3)), connection(FRAME_SIZE_ERROR)),
    ("6.4", "RST_STREAM of 5 bytes", HOLD + frame(RST_STREAM, 0, 1, bytes(5)), connection(FRAME_SIZE_ERROR)),
    ("6.4", "an unknown code is fine", HOLD + frame(RST_STREAM, 0, 1, u32(0xDEADBEEF)) + heads(ask(), 3), answer(id=3)),
    # ---- 6.5 SETTINGS ----
    ("6.5", "they are acknowledged", b"", check(settings_are_acknowledged)),
    ("6.5", "an acknowledgement has no content", frame(SETTINGS, ACK, 0, settings((3, 1))), connection(FRAME_SIZE_ERROR)),
    ("6.5", "SETTINGS on a stream", frame(SETTINGS, 0, 1, b""), connection(PROTOCOL_ERROR)),
    ("6.5", "SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, bytes(5)), connection(FRAME_SIZE_ERROR)),
    ("6.5", "SETTINGS of 7 bytes", frame(SETTINGS, 0, 0, bytes(7)), connection(FRAME_SIZE_ERROR)),
    ("6.5.2", "ENABLE_PUSH of 2", frame(SETTINGS, 0, 0, settings((2, 2))), connection(PROTOCOL_ERROR)),
    ("6.5.2", "ENABLE_PUSH of 0 is fine", frame(SETTINGS, 0, 0, settings((2, 0))), alive),
    ("6.5.2", "INITIAL_WINDOW_SIZE of 2^31", frame(SETTINGS, 0, 0, settings((4, 2**31))), connection(FLOW_CONTROL_ERROR)),
    ("6.5.2", "INITIAL_WINDOW_SIZE of 2^31-1", frame(SETTINGS, 0, 0, settings((4, 2**31 - 1))), alive),
    ("6.5.2", "MAX_FRAME_SIZE of 16383", frame(SETTINGS, 0, 0, settings((5, 16383))), connection(PROTOCOL_ERROR)),
    ("6.5.2", "MAX_FRAME_SIZE of 2^24", frame(SETTINGS, 0, 0, settings((5, 2**24))), connection(PROTOCOL_ERROR)),
    ("6.5.2", "MAX_FRAME_SIZE of 2^24-1", frame(SETTINGS, 0, 0, settings((5, 2**24 - 1))), alive),
    ("6.5.2", "HEADER_TABLE_SIZE of 2^32-1", frame(SETTINGS, 0, 0, settings((1, 2**32 - 1))), alive),
    ("6.5.2", "MAX_CONCURRENT_STREAMS of 0 is about push", frame(SETTINGS, 0, 0, settings((3, 0))), alive),
    ("6.5.3", "the last of equal settings counts", frame(SETTINGS, 0, 0, settings((4, 0), (4, 65535))) + GET, answer()),
    # ---- 6.6 PUSH_PROMISE ----
    ("6.6", "clients do not push", OPEN + frame(PUSH_PROMISE, END_HEADERS, 1, u32(2) + block(ask())),
     connection(PROTOCOL_ERROR)),
    ("6.6", "nor on stream 0", frame(PUSH_PROMISE, END_HEADERS, 0, u32(2) + block(ask())), connection(PROTOCOL_ERROR)),
    # ---- 6.7 PING ----
    ("6.7", "it is echoed", b"", check(ping_is_echoed)),
    ("6.7", "it is echoed while a stream waits", b"", check(ping_while_a_stream_waits)),
    ("6.7", "PING on a stream", frame(PING, 0, 1, bytes(8)), connection(PROTOCOL_ERROR)),
    ("6.7", "PING of 7 bytes", frame(PING, 0, 0, bytes(7)), connection(FRAME_SIZE_ERROR)),
    ("6.7", "PING of 9 bytes", frame(PING, 0, 0, bytes(9)), connection(FRAME_SIZE_ERROR)),
    ("6.7", "an acknowledgement that nobody asked for", frame(PING, ACK, 0, b"nobodyas"), alive),
    # ---- 6.8 GOAWAY ----
    ("6.8", "GOAWAY on a stream", frame(GOAWAY, 0, 1, bytes(8)), connection(PROTOCOL_ERROR)),
    ("6.8", "GOAWAY of 7 bytes", frame(GOAWAY, 0, 0, bytes(7)), connection(FRAME_SIZE_ERROR)),
    ("6.8", "streams under way finish", b"", check(goaway_lets_streams_finish)),
    ("6.8", "ours names the last stream", b"", check(our_goaway_names_the_last_stream)),
    ("6.8", "with an unknown code and debug data", HOLD + frame(GOAWAY, 0, 0, u32(0) + u32(0xFF) + b"why") + DONE, ended),
    # ---- 6.9 WINDOW_UPDATE ----
    ("6.9", "0 for the connection", frame(WINDOW_UPDATE, 0, 0, u32(0)), connection(PROTOCOL_ERROR)),
    ("6.9", "0 for a stream", HOLD + frame(WINDOW_UPDATE, 0, 1, u32(0)), either(PROTOCOL_ERROR)),
    ("6.9", "of 3 bytes", frame(WINDOW_UPDATE, 0, 0, bytes(3)), connection(FRAME_SIZE_ERROR)),
    ("6.9", "of 5 bytes", frame(WINDOW_UPDATE, 0, 0, bytes(5)), connection(FRAME_SIZE_ERROR)),
    ("6.9.1", "past 2^31-1 for the connection", frame(WINDOW_UPDATE, 0, 0, u32(2**31 - 1)), connection(FLOW_CONTROL_ERROR)),
    ("6.9.1", "past 2^31-1 for a stream", HOLD + frame(WINDOW_UPDATE, 0, 1, u32(2**31 - 1)), either(FLOW_CONTROL_ERROR)),
    ("6.9.1", "in two steps", HOLD + frame(WINDOW_UPDATE, 0, 1, u32(2**30)) * 2, either(FLOW_CONTROL_ERROR)),
    ("6.9.1", "the reserved bit is ignored", HOLD + frame(WINDOW_UPDATE, 0, 1, u32(0x80000001)) + heads(ask(), 3),
     answer(id=3)),
    ("6.9.1", "a window of 0 holds the body back", b"", check(window_of_zero)),
    ("6.9.1", "a window of 1 byte", b"", check(window_of_one)),
    ("6.9.1", "the connection's window is shared", b"", check(connection_window_is_shared)),
    ("6.9.1", "more than the window that we gave", b"", check(too_much_for_the_stream)),
    ("6.9.2", "SETTINGS move the windows of open streams", b"", check(window_grows_for_open_streams)),
    ("6.9.2", "below zero too", b"", check(window_below_zero)),
    ("6.9.2", "SETTINGS that overflow a window",
     HOLD + frame(WINDOW_UPDATE, 0, 1, u32(2**30)) + frame(SETTINGS, 0, 0, settings((4, 2**31 - 1))),
     connection(FLOW_CONTROL_ERROR)),
    # ---- 6.10 CONTINUATION ----
    ("6.10", "a block in two frames", raw(block(ask())[:9], flags=1) + frame(CONTINUATION, END_HEADERS, 1, block(ask())[9:]),
     answer()),
    ("6.10", "a block in seven frames", raw(b"", flags=1) +
     b"".join(frame(CONTINUATION, 0, 1, block(ask())[i * 9:i * 9 + 9]) for i in range(5)) +
     frame(CONTINUATION, END_HEADERS, 1, block(ask())[45:]), answer()),
    ("6.10", "on stream 0", raw(block(ask())[:9], flags=1) + frame(CONTINUATION, END_HEADERS, 0, block(ask())[9:]),
     connection(PROTOCOL_ERROR)),
    ("6.10", "of another stream", raw(block(ask())[:9], flags=1) + frame(CONTINUATION, END_HEADERS, 3, block(ask())[9:]),
     connection(PROTOCOL_ERROR)),
    ("6.10", "behind END_HEADERS", HOLD + frame(CONTINUATION, END_HEADERS, 1, b""), connection(PROTOCOL_ERROR)),
    ("6.10", "behind DATA", OPEN + frame(DATA, 0, 1, b"x") + frame(CONTINUATION, END_HEADERS, 1, b""),
     connection(PROTOCOL_ERROR)),
    # ---- 8.1 messages ----
    ("8.1", "a second HEADERS that does not end the stream",
     OPEN + heads([("x-a", "b")], flags=END_HEADERS), either(PROTOCOL_ERROR)),
    ("8.1", "trailers", OPEN + frame(DATA, 0, 1, b"x") + heads([("x-a", "b")]), answer()),
    ("8.1", "trailers without a body", OPEN + heads([("x-a", "b")]), answer()),
    ("8.1", "trailers with a pseudo-field", OPEN + frame(DATA, 0, 1, b"x") + heads([(":path", "/x")]),
     either(PROTOCOL_ERROR)),
    ("8.1", "trailers with an upper-case name", OPEN + heads([("X-A", "b")]), either(PROTOCOL_ERROR)),
    ("8.1", "trailers with a field of the connection", OPEN + heads([("connection", "close")]), either(PROTOCOL_ERROR)),
    ("8.1", "HEAD has no body", b"", check(head_has_no_body)),
    ("8.1", "interim answers come before the final one", b"", check(interim_answers)),
    ("8.1", "Expect: 100-continue", b"", check(continue_is_answered)),
    ("8.1", "the rest of a request that is answered", b"", check(rest_of_request_is_let_go)),
    # ---- 8.1.1 malformed: content-length ----
    ("8.1.1", "content-length larger than the body", heads(POST + [("content-length", "5")], flags=4) +
     frame(DATA, 1, 1, b"abc"), either(PROTOCOL_ERROR)),
    ("8.1.1", "content-length smaller than the body", heads(POST + [("content-length", "2")], flags=4) +
     frame(DATA, 1, 1, b"abc"), either(PROTOCOL_ERROR)),
    ("8.1.1", "content-length smaller than the body in two frames", heads(POST + [("content-length", "4")], flags=4) +
     frame(DATA, 0, 1, b"abc") + frame(DATA, 1, 1, b"abc"), either(PROTOCOL_ERROR)),
    ("8.1.1", "content-length and no body", heads(POST + [("content-length", "1")]), either(PROTOCOL_ERROR)),
    ("8.1.1", "content-length that is right", heads(POST + [("content-length", "3")], flags=4) +
     frame(DATA, 0, 1, b"ab") + frame(DATA, 1, 1, b"c"), answer()),
    ("8.1.1", "content-length of 0 and no body", heads(POST + [("content-length", "0")]), answer()),
    ("8.1.1", "two content-lengths", heads(POST + [("content-length", "3"), ("content-length", "4")], flags=4) +
     frame(DATA, 1, 1, b"abc"), either(PROTOCOL_ERROR)),
    ("8.1.1", "a content-length that is no number", heads(POST + [("content-length", "+3")], flags=4) +
     frame(DATA, 1, 1, b"abc"), either(PROTOCOL_ERROR)),
    ("8.1.1", "a content-length list", heads(POST + [("content-length", "3, 3")], flags=4) +
     frame(DATA, 1, 1, b"abc"), either(PROTOCOL_ERROR)),
    # ---- 8.2.1 names and values ----
    ("8.2.1", "upper case in a name", heads(ask(more=[("X-Upper", "1")])), stream(PROTOCOL_ERROR)),
    ("8.2.1", "a space in a name", heads(ask(more=[("x a", "1")])), stream(PROTOCOL_ERROR)),
    ("8.2.1", "a colon in a name", heads(ask(more=[("x:a", "1")])), stream(PROTOCOL_ERROR)),
    ("8.2.1", "a line feed in a name", heads(ask(more=[("x\na", "1")])), stream(PROTOCOL_ERROR)),
    ("8.2.1", "NUL in a name", heads(ask(more=[("x\0a", "1")])), stream(PROTOCOL_ERROR)),
    ("8.2.1", "DEL in a name", heads(ask(more=[("x\x7fa", "1")])), stream(PROTOCOL_ERROR)),
    ("8.2.1", "a byte above 0x7f in a name", heads(ask(more=[("x\xe9", "1")])), stream(PROTOCOL_ERROR)),
    ("8.2.1", "an empty name", heads(ask(more=[("", "1")])), stream(PROTOCOL_ERROR)),
    ("8.2.1", "NUL in a value", heads(ask(more=[("x-a", "a\0b")])), stream(PROTOCOL_ERROR)),
    ("8.2.1", "a line feed in a value", heads(ask(more=[("x-a", "a\nx-b: c")])), stream(PROTOCOL_ERROR)),
    ("8.2.1", "CR in a value", heads(ask(more=[("x-a", "a\rb")])), stream(PROTOCOL_ERROR)),
    ("8.2.1", "CR LF and a field in a value", heads(ask(more=[("x-a", "a\r\nTransfer-Encoding: chunked")])),
     stream(PROTOCOL_ERROR)),
    ("8.2.1", "a space in front of a value", heads(ask(more=[("x-a", " b")])), stream(PROTOCOL_ERROR)),
    ("8.2.1", "a tab behind a value", heads(ask(more=[("x-a", "b\t")])), stream(PROTOCOL_ERROR)),
    ("8.2.1", "an empty value is fine", heads(ask(more=[("x-a", "")])), answer()),
    # ---- 8.2.2 fields of a connection ----
    *[("8.2.2", name, heads(ask(more=[(name, value)])), stream(PROTOCOL_ERROR)) for name, value in (
        ("connection", "close"), ("keep-alive", "5"), ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"), ("upgrade", "websocket"), ("te", "gzip"), ("te", "trailers, deflate"))],
    ("8.2.2", "te: trailers is fine", b"", check(te_is_passed)),
    ("8.2.2", "answers have none either", b"", check(no_connection_fields)),
    ("8.2.3", "cookie crumbs become one field", b"", check(cookie_crumbs)),
    # ---- 8.3 pseudo-fields ----
    ("8.3", "an unknown one", heads(ask(more=[])[:1] + [(":x", "y")] + ask()[1:]), stream(PROTOCOL_ERROR)),
    ("8.3", ":status in a request", heads([(":status", "200")] + ask()), stream(PROTOCOL_ERROR)),
    ("8.3", "behind a field", heads(ask()[:3] + [("x-a", "b"), (":authority", "example.com")]), stream(PROTOCOL_ERROR)),
    *[("8.3.1", f"two {name}", heads([f for f in ask() if f[0] == name] + ask()), stream(PROTOCOL_ERROR))
      for name in (":method", ":path", ":scheme", ":authority")],
    *[("8.3.1", f"no {name}", heads(without(name)), stream(PROTOCOL_ERROR)) for name in (":method", ":path", ":scheme")],
    ("8.3.1", "neither :authority nor host", heads(without(":authority")), either(PROTOCOL_ERROR)),
    ("8.3.1", "host alone", b"", check(host_without_authority)),
    ("8.3.1", ":authority becomes Host", b"", check(authority_is_the_host)),
    ("8.3.1", "host that says the same", heads(ask(more=[("host", "example.com")])), answer()),
    ("8.3.1", "host that says something else", heads(ask(more=[("host", "other.example")])), stream(PROTOCOL_ERROR)),
    ("8.3.1", "an empty :path", heads(ask("")), stream(PROTOCOL_ERROR)),
    ("8.3.1", "a :path without a slash", heads(ask("x")), stream(PROTOCOL_ERROR)),
    ("8.3.1", "a :path that is a URL", heads(ask("http://example.com/")), stream(PROTOCOL_ERROR)),
    ("8.3.1", "* for GET", heads(ask("*")), stream(PROTOCOL_ERROR)),
    ("8.3.1", "* for OPTIONS", heads(ask("*", "OPTIONS")), answer()),
    ("8.3.1", "a space in :path", heads(ask("/a b")), stream(PROTOCOL_ERROR)),
    ("8.3.1", "a request line in :path", heads(ask("/ HTTP/1.1\r\nHost: x\r\n\r\n")), stream(PROTOCOL_ERROR)),
    ("8.3.1", "a space in :method", heads(ask(method="GET /x")), stream(PROTOCOL_ERROR)),
    ("8.3.1", "an empty :method", heads(ask(method="")), stream(PROTOCOL_ERROR)),
    ("8.3.1", "a space in :authority", heads(ask(authority="a b")), stream(PROTOCOL_ERROR)),
    ("8.3.1", "a line feed in :authority", heads(ask(authority="a\r\nx: y")), stream(PROTOCOL_ERROR)),
    ("8.3.1", "a :scheme that is none", heads(ask(scheme="ht tp")), stream(PROTOCOL_ERROR)),
    ("8.5", "CONNECT with :path", heads([(":method", "CONNECT"), (":scheme", "http"), (":path", "/"),
                                        (":authority", "a:1")]), stream(PROTOCOL_ERROR)),
    ("8.5", "CONNECT without :authority", heads([(":method", "CONNECT")]), stream(PROTOCOL_ERROR)),
    ("8.5", "CONNECT is not for a balancer", heads([(":method", "CONNECT"), (":authority", "a:1")]), answer("405")),
    ("8441 4", "extended CONNECT is not offered", heads(ask(method="CONNECT")[:1] + [(":protocol", "websocket")] +
                                                        ask()[1:]), stream(PROTOCOL_ERROR)),
    ("9218 2.1", "NO_RFC7540_PRIORITIES of 2", frame(SETTINGS, 0, 0, settings((9, 2))), connection(PROTOCOL_ERROR)),
    ("9218 7.1", "PRIORITY_UPDATE may be ignored", frame(0x10, 0, 0, u32(1) + b"u=1") + GET, answer()),
    # ---- 10.5 what costs us more than the sender ----
    ("10.5.1", "64 KiB of fields at most", b"", check(huge_decoded)),
    ("10.5.1", "100 fields at most", raw(KNOWN + b"".join(literal(f"x{i}", "") for i in range(101))), answer("400")),
    ("10.5.1", "8 KiB of block at most (ALB)", heads(long_list(40, 300)), connection(CALM)),
    ("10.5.1", "8 continuations at most", raw(block(ask())[:3], flags=1) +
     b"".join(frame(CONTINUATION, 0, 1, b"") for _ in range(9)), connection(CALM)),
    ("10.5", "pings without end", frame(PING, 0, 0, bytes(8)) * 2000, connection(CALM)),
    ("10.5", "settings without end", frame(SETTINGS, 0, 0, settings((3, 1))) * 2000, connection(CALM)),
    ("10.5", "empty DATA without end", OPEN + frame(DATA, 0, 1) * 2000, connection(CALM)),
    ("10.5", "priorities without end", frame(PRIORITY, 0, 1, u32(0) + b"\1") * 2000, connection(CALM)),
    ("10.5", "unknown frames without end", frame(0x77, 0, 0, b"x") * 2000, connection(CALM)),
    ("10.5", "window updates of a byte without end", HOLD + frame(WINDOW_UPDATE, 0, 1, u32(1)) * 2000, connection(CALM)),
    ("10.5", "rapid reset", b"".join(heads(ask("/hold"), 1 + 2 * i) + frame(RST_STREAM, 0, 1 + 2 * i, u32(8))
                                     for i in range(400)), connection(CALM)),
    ("10.5", "errors that make us reset", b"".join(heads(ask(more=[("X", "1")]), 1 + 2 * i) for i in range(400)),
     connection(CALM)),
    ("10.5", "streams beyond the limit without end", b"".join(heads(ask("/hold"), 1 + 2 * i) for i in range(800)),
     connection(CALM, ENHANCE_YOUR_CALM)),
    ("10.5", "window updates that overflow, stream after stream",
     b"".join(heads(ask("/hold"), 1 + 2 * i) + frame(WINDOW_UPDATE, 0, 1 + 2 * i, u32(2**31 - 1)) for i in range(400)),
     connection(FLOW_CONTROL_ERROR)),
    ("10.5", "two hundred resets are life", b"".join(heads(ask("/hold"), 1 + 2 * i) +
                                                    frame(RST_STREAM, 0, 1 + 2 * i, u32(8)) for i in range(190)) +
     heads(ask(), 501), answer(id=501)),
    # ---- HPACK ----
    ("7541 2.3.3", "an index past both tables", raw(KNOWN + bytes([0x80 | 70])), connection(COMPRESSION_ERROR)),
    ("7541 6.1", "index 0", raw(KNOWN + b"\x80"), connection(COMPRESSION_ERROR)),
    ("7541 6.1", "the static table", raw(KNOWN), answer()),
    ("7541 6.2.1", "an entry is there for the next block", b"", check(index_is_kept)),
    ("7541 6.2.2", "a name by index, without indexing", raw(bytes([0x82, 0x86, 0x84]) + b"\x01\x0bexample.com"), answer()),
    ("7541 6.2.3", "never indexed", raw(KNOWN + b"\x10\x03x-a\x01b"), answer()),
    ("7541 6.2.1", "a name by an index that is not there", raw(KNOWN + b"\x7f\x20\x01b"), connection(COMPRESSION_ERROR)),
    ("7541 4.2", "a size update first", raw(b"\x3f\xe1\x1f" + KNOWN), answer()),
    ("7541 4.2", "a size update to 0 first", raw(b"\x20" + KNOWN), answer()),
    ("7541 4.2", "a size update behind a field", raw(KNOWN + b"\x20"), connection(COMPRESSION_ERROR)),
    ("7541 6.3", "a size update past the limit", raw(b"\x3f\xe2\x1f" + KNOWN), connection(COMPRESSION_ERROR)),
    ("7541 4.4", "an entry larger than the table empties it",
     raw(KNOWN + b"\x40\x03x-a" + integer(5000, 7) + b"v" * 5000) + raw(bytes([0x82, 0x86, 0x84, 0xBE]), 3),
     connection(COMPRESSION_ERROR)),
    ("7541 4.3", "a smaller table evicts", raw(KNOWN) + raw(b"\x20" + bytes([0x82, 0x86, 0x84, 0xBE]), 3),
     connection(COMPRESSION_ERROR)),
    ("7541 5.1", "an integer without end", raw(KNOWN + b"\xff" + b"\xff" * 20), connection(COMPRESSION_ERROR)),
    ("7541 5.2", "a string longer than the block", raw(KNOWN + b"\0\x7f\x81abc"), connection(COMPRESSION_ERROR)),
    ("7541 5.2", "a block that stops in a name", raw(KNOWN + b"\0\x05ab"), connection(COMPRESSION_ERROR)),
    ("7541 5.2", "Huffman code", raw(bytes([0x82, 0x86, 0x84]) +
                                     b"\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"), answer()),
    ("7541 5.2", "Huffman padding of zeros", raw(KNOWN + b"\0\x03x-a\x81\x1c\x00"[:-1] + b""), connection(COMPRESSION_ERROR)),
    ("7541 5.2", "Huffman padding of more than 7 bits", raw(KNOWN + b"\0\x03x-a\x82\x1f\xff"),
     connection(COMPRESSION_ERROR)),
    ("7541 5.2", "EOS in a Huffman string", raw(KNOWN + b"\0\x03x-a\x85\x1f\xff\xff\xff\xff"), connection(COMPRESSION_ERROR)),
    ("7541 4.1", "a table of 0 for what we send", b"", check(table_size_zero)),
]
