#!/usr/bin/env python3
"""Drain, pause and maintenance with real sockets. Rows of ALB that are checked: deregistration delay (2.5), 502 when it
is over with a request open (2.9). HITLESS_DRAIN_REPLACEMENTS sets how often the group is replaced (50)."""
import asyncio, struct

from rig import *

DOWNLOADS, KEEP_ALIVES, WEBSOCKETS = 500, 500, 100
REPLACEMENTS = int(os.environ.get("HITLESS_DRAIN_REPLACEMENTS", "50"))
PIECE, PIECES, PIECE_PAUSE_S = b"d" * 1024, 8, 0.25
ASK = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def frame(opcode, payload=b"", fin=True, mask=None):
    """A WebSocket frame; masked as a client must when mask is given."""
    length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack(">H", len(payload))
    first = bytes([(0x80 if fin else 0) | opcode, length[0] | (0x80 if mask else 0)]) + length[1:]
    if not mask:
        return first + payload
    return first + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def read_frame(wire):
    """(opcode, fin, payload, was masked)"""
    a, b = wire.exactly(2)
    length = b & 0x7f
    if length == 126:
        length = struct.unpack(">H", wire.exactly(2))[0]
    mask = wire.exactly(4) if b & 0x80 else None
    payload = wire.exactly(length)
    if mask:
        payload = bytes(x ^ mask[i % 4] for i, x in enumerate(payload))
    return a & 15, bool(a & 0x80), payload, mask is not None


# ---- the crowd: many targets in a process of their own, many clients in this one -------------------------------------

class CrowdTarget(asyncio.Protocol):
    """/slow: 8 pieces over 2 s; websocket: echo; else 2 bytes."""

    def connection_made(self, transport):
        self.transport, self.buffer, self.is_tunnel = transport, b"", False

    def data_received(self, data):
        if self.is_tunnel:
            self.transport.write(data)
            return
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            if b"/slow" in head:
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(PIECE) * PIECES))
                self.piece(PIECES)
            elif b"websocket" in head:
                self.is_tunnel = True
                self.transport.write(SWITCHED)
            else:
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def piece(self, left):
        self.transport.write(PIECE)
        if left > 1:
            asyncio.get_running_loop().call_later(PIECE_PAUSE_S, self.piece, left - 1)


async def serve_targets(count):
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(CrowdTarget, "127.0.0.1", 0, backlog=2048) for _ in range(count)]
    print(json.dumps([s.sockets[0].getsockname()[1] for s in servers]), flush=True)
    await asyncio.to_thread(sys.stdin.read)


class Crowd:
    def __init__(self):
        self.is_over = False
        self.done = {"slow": 0, "keep-alive": 0, "websocket": 0}
        self.cut = []
        self.open = 0


class CrowdClient(asyncio.Protocol):
    """One connection that asks again and again until the crowd is told to stop; never retries."""

    def __init__(self, crowd, kind, pause_s, ended):
        self.crowd, self.kind, self.pause_s, self.ended = crowd, kind, pause_s, ended
        self.buffer, self.want, self.is_idle = b"", None, True

    def connection_made(self, transport):
        self.transport = transport
        self.crowd.open += 1
        asyncio.get_running_loop().call_later(random.random() * self.pause_s, self.ask)

    def ask(self):
        if self.crowd.is_over or self.transport.is_closing():
            self.transport.close()
            return
        self.is_idle = False
        if self.kind == "websocket" and self.want is not None:
            self.transport.write(frame(1, b"x" * 120, mask=b"abcd"))
        elif self.kind == "websocket":
            self.transport.write(request(headers=ASK))
        else:
            self.transport.write(request(path="/slow" if self.kind == "slow" else "/"))

    def answered(self):
        self.crowd.done[self.kind] += 1
        self.buffer, self.is_idle = b"", True
        if self.kind != "websocket":
            self.want = None
        asyncio.get_running_loop().call_later(self.pause_s, self.ask)

    def data_received(self, data):
        self.buffer += data
        if self.kind == "websocket":
            if self.want is None and self.buffer.endswith(b"\r\n\r\n"):
                self.want = len(frame(1, b"x" * 120, mask=b"abcd"))
                if not self.buffer.startswith(b"HTTP/1.1 101"):
                    self.crowd.cut.append((self.kind, self.buffer[:40]))
                self.answered()
            elif self.want is not None and len(self.buffer) == self.want:
                self.answered()
            return
        if self.want is None and b"\r\n\r\n" in self.buffer:
            head, rest = self.buffer.split(b"\r\n\r\n", 1)
            if not head.startswith(b"HTTP/1.1 200"):
                self.crowd.cut.append((self.kind, head[:40]))
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            self.want = len(head) + 4 + length
        if self.want is not None and len(self.buffer) == self.want:
            self.answered()

    def connection_lost(self, error):
        is_cut = not self.is_idle or (self.kind == "websocket" and not self.crowd.is_over)
        if is_cut:
            self.crowd.cut.append((self.kind, f"closed by the other side: {error}"))
        if not self.ended.done():
            self.ended.set_result(None)


async def run_crowd(port, crowd, replace):
    loop = asyncio.get_running_loop()
    kinds = [("slow", 0.05)] * DOWNLOADS + [("keep-alive", 0.5)] * KEEP_ALIVES + [("websocket", 0.5)] * WEBSOCKETS
    ends = []
    for kind, pause_s in kinds:
        ended = loop.create_future()
        await loop.create_connection(lambda: CrowdClient(crowd, kind, pause_s, ended), "127.0.0.1", port)
        ends.append(ended)
    while crowd.done["websocket"] < WEBSOCKETS or crowd.done["keep-alive"] < KEEP_ALIVES:
        await asyncio.sleep(0.05)
    await asyncio.to_thread(replace)
    crowd.is_over = True
    await asyncio.wait_for(asyncio.gather(*ends), 60)


@test
def a_group_is_replaced_again_and_again_and_nothing_is_cut_before_its_time():
    port = free_port()
    targets = subprocess.Popen([sys.executable, __file__, "--targets", str(REPLACEMENTS + 1)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    ports = json.loads(targets.stdout.readline())
    crowd = Crowd()
    with Box(2) as box:
        gone = set()

        def snapshot(newest):
            """The target number `newest` serves, those before drain until they are reported."""
            while True:
                try:
                    gone.add(box.wait("drained", 0.001)["port"])
                except AssertionError:
                    break
            old = [target(p, isDraining=True) for p in ports[:newest] if p not in gone]
            return simple(port, [target(ports[newest])] + old)

        def replace():
            for newest in range(1, REPLACEMENTS + 1):
                box.publish(snapshot(newest))
                time.sleep(0.1)

        box.publish(snapshot(0))
        started = time.monotonic()
        asyncio.run(run_crowd(port, crowd, replace))
        took_s = time.monotonic() - started
        limit = time.monotonic() + 10
        while len(gone) < REPLACEMENTS and time.monotonic() < limit:
            gone.add(box.wait("drained", 10)["port"])
        stats = box.group_stats("blue")
    targets.stdin.close()
    targets.wait(10)
    print(f"# {REPLACEMENTS} replacements in {took_s:.1f} s: {crowd.done['slow']} slow downloads, "
          f"{crowd.done['keep-alive']} requests over {KEEP_ALIVES} kept connections, {WEBSOCKETS} WebSockets with "
          f"{crowd.done['websocket']} messages; {len(crowd.cut)} cut; {len(gone)} targets drained")
    assert crowd.open == DOWNLOADS + KEEP_ALIVES + WEBSOCKETS
    assert not crowd.cut, crowd.cut[:5]
    assert len(gone) == REPLACEMENTS
    assert stats["DRAIN_CUTS"] == 0 and stats["INFLIGHT"] == 0 and stats["WEBSOCKETS"] == 0, stats


# ---- the delay -------------------------------------------------------------------------------------------------------

def draining(port, targets, **attributes):
    return simple(port, []) | {"targetGroups": [group("blue", targets, attributes=attributes)]}


@test
def with_full_wait_a_drain_lasts_its_whole_delay():
    """2.5: the state stays "draining" until the delay is over, though the work is finished at once."""
    port = free_port()
    t = Target(name="t")
    how = {"deregistration_delay.timeout_seconds": "1", "hitless.deregistration_delay.full_wait": "true"}
    with Box(1) as box:
        box.publish(draining(port, [target(t.port)], **how))
        assert fetch(port)[1] == b"t"
        started = time.monotonic()
        box.publish(draining(port, [target(t.port, isDraining=True)], **how))
        box.wait("drained", 5)
        assert time.monotonic() - started >= 0.95


@test
def what_is_open_at_the_end_of_the_delay_is_cut_and_counted():
    """2.5, 2.9: a request without an answer gets 502, a response that has begun ends early."""
    port = free_port()

    def stuck(wire, self):
        head, _ = wire.read_request()
        self.count()
        if "/begun" in head.start:
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        time.sleep(20)

    t = Target(stuck)
    how = {"deregistration_delay.timeout_seconds": "1"}
    with Box(2) as box:
        box.publish(draining(port, [target(t.port)], **how))
        waits, begun = connect(port), connect(port)
        waits.send(request())
        begun.send(request(path="/begun"))
        head, fields = begun.head()
        assert begun.exactly(4) == b"some"
        while t.requests < 2:
            time.sleep(0.01)
        box.publish(draining(port, [target(t.port, isDraining=True)], **how))
        assert waits.read_response()[0].status == 502
        assert begun.rest() == b""
        stats = box.group_stats("blue")
        assert stats["DRAIN_CUTS"] == 2 and stats["ELB_502"] == 1, stats
        # and when control says first that the delay is over
        box.publish(draining(port, [target(t.port)], **how))
        waits.send(request())
        while t.requests < 3:
            time.sleep(0.01)
        since_ms = int(time.time() * 1000) - 900
        box.publish(draining(port, [target(t.port, isDraining=True, drainingSinceMs=since_ms)], **how))
        box.publish(draining(port, [], **how))
        assert waits.read_response()[0].status == 502
        assert box.group_stats("blue")["DRAIN_CUTS"] == 3


# ---- WebSockets ------------------------------------------------------------------------------------------------------

class Socketeer(Target):
    """Answers 101, then keeps the connections for the test to play with."""

    def __init__(self):
        self.wires = queue.Queue()
        super().__init__(Socketeer.upgrade)

    def upgrade(wire, self):
        wire.read_request()
        self.count()
        wire.send(SWITCHED)
        self.wires.put(wire)
        time.sleep(60)


def upgrade(port, t):
    wire = connect(port)
    wire.send(request(headers=ASK))
    assert wire.read_response()[0].status == 101
    return wire, t.wires.get(timeout=5)


@test
def a_drain_may_close_websockets_with_1001_between_messages():
    port = free_port()
    t = Socketeer()
    how = {"hitless.websocket.drain": "close"}
    away = struct.pack(">H", 1001)
    with Box(2) as box:
        box.publish(draining(port, [target(t.port)], **how))
        idle, idle_far = upgrade(port, t)
        busy, busy_far = upgrade(port, t)
        assert box.group_stats("blue")["WEBSOCKETS"] == 2
        # in the middle of a message of two fragments to the client, and of a frame to the target
        busy_far.send(frame(1, b"first", fin=False))
        assert read_frame(busy) == (1, False, b"first", False)
        big = frame(2, b"b" * 1000, mask=b"1234")
        busy.send(big[:500])
        assert busy_far.exactly(500) == big[:500]
        box.publish(draining(port, [target(t.port, isDraining=True)], **how))
        # the idle one: both are told at once
        assert read_frame(idle) == (8, True, away, False)
        assert read_frame(idle_far) == (8, True, away, True)
        idle.send(frame(8, away, mask=b"abcd"))
        idle_far.send(frame(8, away))
        assert idle.rest() == b"" and idle_far.rest() == b""
        # the busy one: messages are completed first, a frame of control may come between; later ones are dropped
        busy_far.send(frame(9, b"ping") + frame(0, b"last") + frame(1, b"too late"))
        assert read_frame(busy) == (9, True, b"ping", False)
        assert read_frame(busy) == (0, True, b"last", False)
        assert read_frame(busy) == (8, True, away, False)
        busy.send(big[500:] + frame(1, b"too late", mask=b"abcd"))
        assert busy_far.exactly(len(big) - 500) == big[500:]
        assert read_frame(busy_far) == (8, True, away, True)
        busy_far.send(frame(8, away))
        busy.send(frame(8, away, mask=b"abcd"))
        assert busy.rest() == b"" and busy_far.rest() == b""
        box.wait("drained", 5)
        stats = box.group_stats("blue")
        assert stats["WEBSOCKETS"] == 0 and stats["DRAIN_CUTS"] == 0, stats


@test
def a_websocket_that_does_not_answer_is_closed_and_one_may_run_to_the_limit():
    port = free_port()
    t = Socketeer()
    with Box(1) as box:
        box.publish(draining(port, [target(t.port)]))
        wire, far = upgrade(port, t)
        box.publish(draining(port, [target(t.port, isDraining=True)]))
        wire.send(frame(1, b"still here", mask=b"abcd"))  # the default: run on
        assert read_frame(far) == (1, True, b"still here", True)
        # the policy may change meanwhile; who does not answer has 5 s
        started = time.monotonic()
        box.publish(draining(port, [target(t.port, isDraining=True)], **{"hitless.websocket.drain": "close"}))
        assert read_frame(wire)[0] == 8 and read_frame(far)[0] == 8
        assert wire.rest() == b""
        assert 4.5 < time.monotonic() - started < 9
        box.wait("drained", 2)
    with Box(1) as box:
        how = {"deregistration_delay.timeout_seconds": "1"}
        box.publish(draining(port, [target(t.port)], **how))
        wire, far = upgrade(port, t)
        started = time.monotonic()
        box.publish(draining(port, [target(t.port, isDraining=True)], **how))
        assert wire.rest() == b"" and time.monotonic() - started > 0.9
        assert box.group_stats("blue")["DRAIN_CUTS"] == 1


# ---- pause -----------------------------------------------------------------------------------------------------------

def paused(port, targets, is_paused=True, **more):
    attributes = {"hitless.pause.enabled": "true" if is_paused else "false"} | more
    return simple(port, targets, attributes)


def held_count(box, count):
    limit = time.monotonic() + 5
    while box.lb_stats()["HELD"] != count:
        assert time.monotonic() < limit, box.lb_stats()["HELD"]
        time.sleep(0.01)


@test
def a_paused_listener_holds_requests_and_lets_them_go_on_in_their_order():
    port = free_port()
    order = []

    def note(wire, self):
        while True:
            head, body = wire.read_request()
            with self.lock:  # they come over new connections, one each: the kernel queues those in their order
                order.append((self.connections.index(wire.socket), head.start.split(" ")[1]))
            wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    t = Target(note)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        kept = connect(port)
        before = connect(port)
        before.send(request(path="/before", headers="Connection: close\r\n"))
        assert before.read_response()[0].status == 200
        box.publish(paused(port, [target(t.port)]))
        wires = [kept] + [connect(port) for _ in range(199)]
        for i, wire in enumerate(wires):
            body = b"b" * 200_000 if i == 7 else b"%d" % i  # of the big one only a part is read
            threading.Thread(target=wire.send, args=(request("POST", f"/{i}", body=body),)).start()
            if i % 20 == 19 or i == 7:
                held_count(box, i + 1)
            else:
                time.sleep(0.001)
        leaver = connect(port)
        leaver.send(request(path="/leaver"))
        held_count(box, 201)
        cpu = box.cpu_s()
        time.sleep(0.3)
        assert box.cpu_s() - cpu < 0.1 and len(order) == 1
        leaver.close()  # nobody waits for its answer
        held_count(box, 200)
        bad = connect(port)
        bad.send(b"GET / HTTP/9\r\n\r\n")
        assert bad.read_response()[0].status in (400, 505)
        box.publish(simple(port, [target(t.port)]))
        for i, wire in enumerate(wires):
            head, body = wire.read_response()
            assert head.status == 200 and len(body) == (200_000 if i == 7 else len(str(i))), (i, head.start)
        held_count(box, 0)
        asked = [int(path[1:]) for _, path in sorted(order[1:])]
        assert asked == list(range(200)), asked


@test
def a_pause_has_limits_of_time_and_number():
    port = free_port()
    t = Target(name="t")
    how = {"hitless.pause.timeout_seconds": "1", "hitless.pause.requests_max": "3"}
    with Box(2) as box:
        box.publish(paused(port, [target(t.port)], **how))
        wires = [connect(port) for _ in range(3)]
        started = time.monotonic()
        for wire in wires:
            wire.send(request("POST", body=b"abc"))
        held_count(box, 3)
        over = connect(port)
        over.send(request())
        assert over.read_response()[0].status == 503  # number
        assert time.monotonic() - started < 0.9
        for wire in wires:
            head, _ = wire.read_response()
            assert head.status == 503 and head.get("connection") == "keep-alive"
        assert 0.9 < time.monotonic() - started < 4 and t.requests == 0
        held_count(box, 0)
        wires[0].send(request())
        held_count(box, 1)
        box.publish(paused(port, [target(t.port)], False, **how))
        assert wires[0].read_response()[1] == b"t"


@test
def a_listener_that_goes_while_it_is_paused_closes_what_it_held():
    a, b = free_port(), free_port()
    t = Target(name="t")
    with Box(2) as box:
        both = paused(a, [target(t.port)])
        both["listeners"] += simple(b, [])["listeners"]
        box.publish(both)
        held = connect(a)
        held.send(request())
        held_count(box, 1)
        assert fetch(b)[1] == b"t"  # the other listener goes on
        box.publish(simple(b, [target(t.port)]))
        assert held.rest() == b""
        held_count(box, 0)


# ---- maintenance -----------------------------------------------------------------------------------------------------

@test
def maintenance_answers_everybody_but_those_who_are_allowed():
    port = free_port()
    t = Target(name="t")
    how = {"hitless.maintenance.enabled": "true", "hitless.maintenance.allow": "127.0.0.9/32, 10.0.0.0/8"}
    page = how | {"hitless.maintenance.status": "530", "hitless.maintenance.body": "<p>back at nine</p>",
                  "hitless.maintenance.content_type": "text/html", "hitless.maintenance.retry_after": "120"}
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)], how))
        wire = connect(port)
        wire.send(request("POST", body=b"abc"))
        head, body = wire.read_response()
        assert head.status == 503 and b"maintained" in body and head.get("retry-after") is None
        box.publish(simple(port, [target(t.port)], page))
        wire.send(request())
        head, body = wire.read_response()
        assert (head.status, body, head.get("retry-after")) == (530, b"<p>back at nine</p>", "120"), head.fields
        assert head.get("content-type") == "text/html"
        friend = Wire(socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.9", 0)))
        friend.send(request())
        assert friend.read_response()[1] == b"t"
        # paused as well: only those who are allowed are held
        box.publish(simple(port, [target(t.port)], page | {"hitless.pause.enabled": "true"}))
        wire.send(request())
        friend.send(request())
        assert wire.read_response()[0].status == 530
        held_count(box, 1)
        box.publish(simple(port, [target(t.port)]))
        assert friend.read_response()[1] == b"t"
        wire.send(request())
        assert wire.read_response()[1] == b"t"


# ---- listeners -------------------------------------------------------------------------------------------------------

@test
def a_listener_that_goes_lets_its_requests_finish():
    a, b = free_port(), free_port()
    release = threading.Event()

    def slow(wire, self):
        wire.read_request()
        self.count()
        release.wait(10)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")

    t = Target(slow)
    with Box(2) as box:
        box.publish(simple(a, [target(t.port)]))
        wire = connect(a)
        wire.send(request())
        while t.requests == 0:
            time.sleep(0.01)
        box.publish(simple(b, [target(t.port)]))
        release.set()
        head, body = wire.read_response()
        assert head.status == 200 and body == b"slow"
        assert wire.rest() == b""  # kept no longer: its listener is gone


@test
def connections_that_wait_in_the_kernel_survive_every_change_of_the_listener():
    """The same address under another ARN, and back, under load: whoever has connected is answered."""
    port = free_port()
    t = Target(name="t")
    with Box(2) as box:
        def snapshot(i):
            s = simple(port, [target(t.port)])
            s["listeners"][0]["arn"] = f"listener/{i}"
            return s

        box.publish(snapshot(0))
        failures, count, is_over = [], [0], threading.Event()

        def connect_again():
            while not is_over.is_set():
                try:
                    s = connect(port)
                    s.send(request(headers="Connection: close\r\n"))
                    assert s.read_response()[1] == b"t"
                    s.close()
                    count[0] += 1
                except (OSError, EOFError, AssertionError) as e:
                    failures.append(repr(e))

        threads = [threading.Thread(target=connect_again) for _ in range(4)]
        for thread in threads:
            thread.start()
        for i in range(1, 60):
            box.publish(snapshot(i % 3))
            time.sleep(0.01)
        is_over.set()
        for thread in threads:
            thread.join()
        assert not failures, failures[:5]
        assert count[0] > 100


@test
def a_listener_moves_to_another_port():
    a, b = free_port(), free_port()
    t = Target(name="t")
    with Box(2) as box:
        def snapshot(port):
            s = simple(port, [target(t.port)])
            s["listeners"][0]["arn"] = "listener/moving"
            return s

        box.publish(snapshot(a))
        assert fetch(a)[1] == b"t"
        box.publish(snapshot(b))
        assert fetch(b)[1] == b"t"
        assert box.wait("unlistened") == f"127.0.0.1:{a}"
        try:
            connect(a)
            raise Exception("the old port still listens")
        except ConnectionRefusedError:
            pass


if __name__ == "__main__":
    if sys.argv[1:2] == ["--targets"]:
        asyncio.run(serve_targets(int(sys.argv[2])))
    else:
        main()
