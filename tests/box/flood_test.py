#!/usr/bin/env python3
"""Slow clients and floods: what they cost, and that others are served meanwhile. Rules: docs/load-balancer.md ("Limits and
floods"), src/lb/limits.h."""
import resource
from rig import *

BIG = 2 * 1024 * 1024
HUGE = 24 * 1024 * 1024  # more than the buffers of two kernel sockets hold


def raise_descriptors():
    """For the balancer too, which is started by us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    return min(hard, 16384)


def resident_bytes(box):
    return int(open(f"/proc/{box.process.pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def big_or_small(wire, self):
    while True:
        head, _ = wire.read_request()
        body = b"b" * HUGE if "/huge" in head.start else b"b" * BIG if "/big" in head.start else b"ok"
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        wire.send(body)


def is_served(port):
    head, body = fetch(port, path="/quick")
    return head.status == 200 and body == b"ok"


@test
def two_thousand_slow_clients_cost_bounded_memory_and_others_are_served():
    """1,200 heads and 500 bodies that do not end, 300 answers that nobody reads (300 x 2 MB)."""
    heads, bodies, readers = (1200, 500, 300) if raise_descriptors() >= 8192 else (300, 100, 50)
    port = free_port()
    t, other = Target(big_or_small), Target(name="ok")
    rules = [rule(1, forward((1, 1)), {"field": "path-pattern", "values": ["/quick"]}), rule(0, forward((0, 1)))]
    with Box(1) as box:
        box.publish({"listeners": [listener(port, rules)],
                     "targetGroups": [group("slow", [target(t.port)]), group("quick", [target(other.port)])]})
        assert is_served(port)
        before = resident_bytes(box)
        slow = []
        for number in range(heads + bodies + readers):
            wire = connect(port, timeout_s=30)
            if number < heads:
                wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
            elif number < heads + bodies:
                wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
            else:
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                wire.send(request(path="/big"))
            slow.append(wire)
        times = []
        for _ in range(50):
            started = time.monotonic()
            assert is_served(port)
            times.append(time.monotonic() - started)
        for wire in slow[:200]:
            try:
                wire.send(b"y")
            except OSError:
                pass  # its time is over already
        time.sleep(0.3)
        grown = resident_bytes(box) - before
        most = 64 * 2**20 + len(slow) * 20 * 1024 + 8 * 2**20
        print(f"# {len(slow)} slow clients: {grown / 2**20:.1f} MB, {grown / len(slow) / 1024:.1f} KB each; others are "
              f"answered in {sorted(times)[25] * 1000:.1f} ms at the median, {max(times) * 1000:.0f} ms at most")
        assert grown < most, (grown, most)
        assert sorted(times)[25] < 2
        for wire in slow:
            wire.close()
    t.close()


@test
def a_slow_head_costs_its_bytes_and_its_client():
    count = 1000 if raise_descriptors() >= 4096 else 200
    port = free_port()
    t = Target()
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        fetch(port)
        before = resident_bytes(box)
        slow = [connect(port) for _ in range(count)]
        for wire in slow:
            wire.send(b"GET / HTTP/1.1\r\n")
        fetch(port)
        grown = resident_bytes(box) - before
        print(f"# a slow head costs {grown / count / 1024:.1f} KB")
        assert grown < count * 8192
        for wire in slow:
            wire.close()


@test
def a_source_has_its_cap_of_connections():
    """hitless.connections_per_source_max: over all workers, for each source alone; what ends makes room."""
    port = free_port()
    t = Target(name="ok")
    with Box(2) as box:
        box.publish(simple(port, [target(t.port)], {"hitless.connections_per_source_max": "10"}, ))

        def opened(source="127.0.0.1"):
            s = socket.socket()
            s.settimeout(10)
            s.bind((source, 0))
            s.connect(("127.0.0.1", port))
            wire = Wire(s)
            try:
                wire.send(request())
                return wire if wire.read_response()[0].status == 200 else None
            except (OSError, EOFError):
                return None

        kept = [opened() for _ in range(10)]
        assert all(kept)
        assert [opened() for _ in range(3)] == [None] * 3
        assert box.lb_stats()["REJECTED"] == 3
        other = opened("127.0.0.2")
        assert other
        kept.pop().close()
        limit = time.monotonic() + 5
        while (again := opened()) is None and time.monotonic() < limit:
            time.sleep(0.02)
        assert again
        box.publish(simple(port, [target(t.port)]))  # without a cap
        assert all(opened() for _ in range(5))


@test
def a_pipeline_of_thousands_does_not_keep_others_waiting():
    """The balancer answers it itself, which it does quickest; 32 in a turn."""
    port = free_port()
    fixed = {"type": "fixed-response", "statusCode": "200", "contentType": "text/plain", "messageBody": "ok"}
    with Box(1) as box:
        box.publish({"listeners": [listener(port, [rule(0, fixed)])], "targetGroups": []})
        before = resident_bytes(box)
        flooders = [connect(port, timeout_s=30) for _ in range(4)]
        data = request() * 20000

        def flood(wire):
            try:
                wire.send(data)
            except OSError:
                pass

        threads = [threading.Thread(target=flood, args=(wire,), daemon=True) for wire in flooders]
        for thread in threads:
            thread.start()
        times = []
        for _ in range(50):
            started = time.monotonic()
            assert fetch(port)[1] == b"ok"
            times.append(time.monotonic() - started)
        grown = resident_bytes(box) - before
        print(f"# beside 4 pipelines of 20,000 requests: {sorted(times)[25] * 1000:.1f} ms at the median; {grown / 2**20:.1f} MB")
        assert sorted(times)[25] < 1 and grown < 16 * 2**20
        # whoever reads gets every answer
        count = 0
        reader = flooders[0]
        while count < 20000:
            assert reader.read_response()[1] == b"ok"
            count += 1
        for wire in flooders:
            wire.close()


@test
def tiny_chunks_pass_and_floods_of_extensions_do_not():
    port = free_port()
    seen = []

    def handler(wire, self):
        while True:
            _, body = wire.read_request()
            seen.append(len(body))
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    t = Target(handler)
    start = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)]))
        wire = connect(port)
        wire.send(start + b"1\r\nx\r\n" * 100000 + b"0\r\n\r\n")
        assert wire.read_response()[0].status == 200 and seen == [100000]
        wire.send(start + b"1;a=bc\r\nx\r\n" * 10000 + b"0\r\n\r\n")
        assert wire.read_response()[0].status == 200 and seen == [100000, 10000]
        for extension in (b";" + b"e" * 3000, b";" + b"e" * 5000, b";a=" + b"b" * 100):
            flood = connect(port)
            try:
                flood.send(start + (b"1" + extension + b"\r\nx\r\n") * 300)
            except OSError:
                pass
            try:
                assert flood.read_response()[0].status == 400
            except (OSError, EOFError):
                pass  # cut while we were still sending
            assert len(seen) == 2
            assert fetch(port)[0].status == 200
            seen.pop()


@test
def a_client_must_take_its_answer_at_some_pace():
    """Idle timeout of a second: who takes nothing for it is cut off, who takes a little all the time gets all."""
    port = free_port()
    t = Target(big_or_small)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)], {"idle_timeout.timeout_seconds": "1"}))
        deaf, slow = connect(port, timeout_s=20), connect(port, timeout_s=20)
        for wire in (deaf, slow):
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        deaf.send(request(path="/huge"))
        slow.send(request(path="/big"))
        got, started = 0, time.monotonic()
        while got < BIG:  # some five seconds, in which the kernel's buffers are most of what goes
            data = slow.socket.recv(65536)
            assert data, f"cut off after {got} bytes and {time.monotonic() - started:.1f} s"
            got += len(data)
            time.sleep(0.06)
        limit = time.monotonic() + 10
        while box.lb_stats()["ACTIVE_CONNECTIONS"] > 2 and time.monotonic() < limit:
            time.sleep(0.1)  # the slow client, and at most one connection to the target
        try:
            rest = deaf.rest()
        except OSError:
            rest = b""
        assert len(rest) < HUGE


if __name__ == "__main__":
    main()
