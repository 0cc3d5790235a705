#!/usr/bin/env python3
"""A network load balancer's data plane with real sockets: TCP and UDP flows."""
import resource, struct

import tls_test
from rig import *

TESTS.clear()  # those of tls_test run there

NLB = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/flow/0123456789abcdef"
SLOT = "net/flow/0123456789abcdef"


def flow_group(name, targets, protocol="TCP", **more):
    return {**group(name, targets, **more), "loadBalancer": NLB, "protocol": protocol}


def flow_listener(port, groups, protocol="TCP", attributes=None, **more):
    return {**listener(port, [rule(0, forward(*groups))], attributes), "loadBalancer": NLB, "protocol": protocol,
            **more}


def flows(port, targets, protocol="TCP", attributes=None, group_attributes=None, **more):
    return {"listeners": [flow_listener(port, [(0, 1)], protocol, attributes)],
            "targetGroups": [flow_group("blue", targets, protocol, attributes=group_attributes or {}, **more)]}


def stats_of(box, name=""):
    return box.stats()[(SLOT, f"targetgroup/{name}/0123456789abcdef" if name else "")]


def wait_for(what, seen, timeout_s=5):
    limit = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < limit, seen()
        time.sleep(0.01)


def name_target(name):
    """Says its name, then echoes."""
    def handler(wire, self):
        self.count()
        wire.send(name.encode())
        while True:
            wire.more()
            wire.send(wire.buffer)
            wire.buffer = b""
    return Target(handler, name)


class UdpTarget:
    """Answers each datagram with its name and the datagram, `times` times."""

    def __init__(self, name, times=1, host="127.0.0.1"):
        self.name, self.times, self.sources, self.count = name, times, {}, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.port = self.socket.getsockname()[1]
        self.is_closed = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            data, source = self.socket.recvfrom(65536)
            if self.is_closed:
                self.socket.close()
                return
            self.count += 1
            self.sources.setdefault(source, []).append(data)
            for _ in range(self.times):
                self.socket.sendto(self.name.encode() + b":" + data, source)

    def close(self):
        self.is_closed = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", self.socket.getsockname())
        self.thread.join(5)


def udp_client(port, host="127.0.0.1", source="127.0.0.1"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, 0))
    s.connect((host, port))
    s.settimeout(5)
    return s


def ask(client, data=b"hello"):
    client.send(data)
    return client.recv(65536)


def ask_or_none(client):
    try:
        return ask(client)
    except TimeoutError:
        return None


# ---- TCP -------------------------------------------------------------------------------------------------------------

@test
def bytes_go_both_ways_and_each_direction_ends_on_its_own():
    port = free_port()
    got = []

    def answer_at_the_end(wire, self):
        got.append(wire.rest())
        wire.send(b"you said %d bytes" % len(got[-1]))

    t = Target(answer_at_the_end)
    data = random.randbytes(3_000_000)
    with Box(2) as box:
        box.publish(flows(port, [target(t.port)]))
        wire = connect(port)
        wire.send(data)
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.rest() == b"you said 3000000 bytes" and got == [data]
        wait_for(lambda: stats_of(box)["ACTIVE_FLOWS_TCP"] == 0, lambda: stats_of(box))
        stats = stats_of(box)
        assert stats["NEW_FLOWS_TCP"] == 1
        assert stats["BYTES_TCP"] == stats["PROCESSED_BYTES"] == 3_000_022
        assert stats["CLIENT_RESETS"] == stats["TARGET_RESETS"] == stats["ELB_RESETS"] == 0, stats
        # the other way round: the target ends first
        talk = Target(lambda wire, self: (wire.send(b"bye"), wire.socket.shutdown(socket.SHUT_WR), got.append(wire.rest())))
        box.publish(flows(port, [target(talk.port)]))
        wire = connect(port)
        assert wire.rest() == b"bye"
        wire.send(b"still talking")
        wire.close()
        wait_for(lambda: got[-1] == b"still talking", lambda: got[-1])


@test
def the_slower_side_sets_the_pace():
    port = free_port()
    resume = threading.Event()
    got = []

    def slow(wire, self):
        resume.wait(20)
        got.append(wire.rest())

    t = Target(slow)
    with Box(1) as box:
        box.publish(flows(port, [target(t.port)]))
        wire = connect(port, timeout_s=20)
        data = random.randbytes(40_000_000)
        done = threading.Thread(target=lambda: (wire.send(data), wire.socket.shutdown(socket.SHUT_WR)))
        done.start()
        time.sleep(0.5)
        before = stats_of(box)["BYTES_TCP"]
        cpu = box.cpu_s()
        time.sleep(0.3)
        assert stats_of(box)["BYTES_TCP"] == before < len(data), "the relay keeps what it cannot pass on"
        assert box.cpu_s() - cpu < 0.1
        resume.set()
        done.join(20)
        wait_for(lambda: got, lambda: "nothing arrived", 20)
        assert got[0] == data


@test
def a_reset_of_one_side_reaches_the_other():
    port = free_port()
    seen = queue.Queue()

    def reset(s):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()

    def hold(wire, self):
        self.count()
        if wire.exactly(1) == b"r":
            reset(wire.socket)
            return
        try:
            wire.rest()
            seen.put("end")
        except OSError as e:
            seen.put(type(e).__name__)

    t = Target(hold)
    with Box(1) as box:
        box.publish(flows(port, [target(t.port)]))
        wire = connect(port)
        wire.send(b"h")
        wait_for(lambda: t.requests == 1, lambda: t.requests)
        reset(wire.socket)
        assert seen.get(timeout=5) == "ConnectionResetError"
        wire = connect(port)
        wire.send(b"r")
        try:
            wire.rest()
            raise Exception("no reset")
        except ConnectionResetError:
            pass
        stats = stats_of(box)
        assert stats["CLIENT_RESETS"] == 1 and stats["TARGET_RESETS"] == 1 and stats["ELB_RESETS"] == 0, stats


@test
def a_refused_connection_is_tried_at_another_target_and_none_at_all_is_a_reset():
    port, dead = free_port(), free_port()
    t = name_target("t")
    with Box(1) as box:
        box.publish(flows(port, [target(dead), target(t.port)]))
        for _ in range(20):
            assert connect(port).exactly(1) == b"t"
        assert stats_of(box, "blue")["TARGET_CONN_ERRORS"] > 0
        for targets in ([target(dead)], []):
            box.publish(flows(port, targets))
            try:
                assert connect(port).rest() == b"", "bytes from nowhere"
                raise Exception("a flow without a target ended well")
            except ConnectionResetError:
                pass


@test
def weights_are_exact_flow_by_flow():
    port = free_port()
    a, b = name_target("a"), name_target("b")
    with Box(1) as box:
        box.publish({"listeners": [flow_listener(port, [(0, 90), (1, 10)])],
                     "targetGroups": [flow_group("a", [target(a.port)]), flow_group("b", [target(b.port)])]})
        names = []
        for _ in range(200):
            wire = connect(port)
            names.append(wire.exactly(1))
            wire.close()
        assert 19 <= names.count(b"b") <= 21, names.count(b"b")


@test
def a_source_may_stick_to_its_target():
    port = free_port()
    targets = [name_target(str(i)) for i in range(5)]
    where = [target(t.port) for t in targets]
    sources = [f"127.0.3.{i}" for i in range(1, 31)]

    def target_of(source):
        s = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
        name = s.recv(1)
        s.close()
        return name

    with Box(2) as box:
        sticky = {"stickiness.enabled": "true", "stickiness.type": "source_ip"}
        box.publish(flows(port, where, group_attributes=sticky))
        first = {s: target_of(s) for s in sources}
        assert len(set(first.values())) >= 4, first
        for _ in range(3):
            assert {s: target_of(s) for s in sources} == first
        # one target less: only its sources move
        box.publish(flows(port, where[1:], group_attributes=sticky))
        second = {s: target_of(s) for s in sources}
        assert all(second[s] == first[s] for s in sources if first[s] != b"0"), (first, second)
        box.publish(flows(port, where))
        assert len({target_of(sources[0]) for _ in range(40)}) >= 4  # without: each flow by its own hash


@test
def the_target_may_learn_who_asks_by_proxy_protocol():
    """PROXY protocol, version 2, §2.2: signature, version and command, family, length, addresses, ports."""
    port = free_port()
    headers = queue.Queue()

    def read_header(wire, self):
        headers.put(wire.exactly(16 + 12))
        wire.send(wire.exactly(5))

    t = Target(read_header)
    with Box(1) as box:
        box.publish(flows(port, [target(t.port)], group_attributes={"proxy_protocol_v2.enabled": "true"}))
        s = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.7", 0))
        s.sendall(b"hello")
        header = headers.get(timeout=5)
        assert header[:16] == b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c", header
        assert header[16:] == socket.inet_aton("127.0.0.7") + socket.inet_aton("127.0.0.1") + struct.pack(
            ">HH", s.getsockname()[1], port)
        assert Wire(s).exactly(5) == b"hello"


@test
def a_tls_listener_ends_tls_and_passes_plain_bytes_on():
    port = free_port()
    t = name_target("t")
    snapshot = tls_test.secure(port, [target(t.port)], [tls_test.Certificate(["www.example.com"])])
    snapshot["listeners"][0].update(loadBalancer=NLB, protocol="TLS")
    snapshot["targetGroups"][0].update(loadBalancer=NLB, protocol="TCP")
    with Box(1) as box:
        box.publish(snapshot)
        wire = tls_test.tls_connect(port)
        assert wire.exactly(1) == b"t"
        wire.send(b"x" * 200_000)
        assert wire.exactly(200_000) == b"x" * 200_000
        assert stats_of(box)["NEW_FLOWS_TLS"] == 1 and stats_of(box)["BYTES_TLS"] == 400_001


@test
def an_idle_flow_is_reset():
    port = free_port()
    t = name_target("t")
    with Box(1) as box:
        box.publish(flows(port, [target(t.port)], attributes={"tcp.idle_timeout.seconds": "1"}))
        wire = connect(port)
        assert wire.exactly(1) == b"t"
        for _ in range(4):
            time.sleep(0.4)
            wire.send(b"x")
            assert wire.exactly(1) == b"x"
        started = time.monotonic()
        try:
            wire.rest()
            raise Exception("no reset")
        except ConnectionResetError:
            assert 0.9 < time.monotonic() - started < 4
        assert stats_of(box)["ELB_RESETS"] == 1


@test
def flows_outlive_the_drain_of_their_target_unless_the_group_ends_them():
    port = free_port()
    a, b = name_target("a"), name_target("b")
    delay = {"deregistration_delay.timeout_seconds": "1"}
    ends = delay | {"deregistration_delay.connection_termination.enabled": "true"}
    with Box(2) as box:
        box.publish(flows(port, [target(a.port)], group_attributes=delay))
        old = connect(port)
        assert old.exactly(1) == b"a"
        box.publish(flows(port, [target(a.port, isDraining=True), target(b.port)], group_attributes=delay))
        assert connect(port).exactly(1) == b"b"
        time.sleep(1.3)
        # gone, its configuration as well, and still served; then it comes back
        for _ in range(5):
            box.publish(flows(port, [target(b.port)], group_attributes=delay))
            old.send(b"x")
            assert old.exactly(1) == b"x"
        box.publish(flows(port, [target(a.port)], group_attributes=ends))
        assert connect(port).exactly(1) == b"a"
        old.send(b"y")
        assert old.exactly(1) == b"y"
        box.publish(flows(port, [target(a.port, isDraining=True), target(b.port)], group_attributes=ends))
        started = time.monotonic()
        try:
            old.rest()
            raise Exception("no reset")
        except ConnectionResetError:
            assert 0.8 < time.monotonic() - started < 4
        box.wait("drained", 5)


@test
def health_is_a_connection_and_flows_to_the_unhealthy_end():
    port = free_port()
    a, b = name_target("a"), name_target("b")
    check = {"isCheckEnabled": True, "checkProtocol": "TCP", "checkIntervalSeconds": 1, "checkTimeoutSeconds": 1,
             "unhealthyThreshold": 2, "healthyThreshold": 2}
    with Box(2) as box:
        box.publish(flows(port, [target(a.port), target(b.port)], **check))
        box.healthy(a.port, b.port)
        wires = [connect(port) for _ in range(20)]
        names = [w.exactly(1) for w in wires]
        assert len(set(names)) == 2
        a.listener.shutdown(socket.SHUT_RDWR)  # its connections live on
        row = box.wait("health", 10, lambda r: r["port"] == a.port and r["state"] == "unhealthy")
        assert row["reason"] == "Target.FailedHealthChecks"
        for wire, name in zip(wires, names):
            try:
                wire.send(b"x")
                data = wire.exactly(1)
            except (OSError, EOFError):
                data = b""
            assert data == (b"" if name == b"a" else b"x"), name
        assert all(connect(port).exactly(1) == b"b" for _ in range(10))


# ---- UDP -------------------------------------------------------------------------------------------------------------

@test
def datagrams_of_a_client_go_to_one_target_and_answers_find_back():
    port = free_port()
    targets = [UdpTarget(str(i), times=3) for i in range(3)]
    with Box(2) as box:
        box.publish(flows(port, [target(t.port) for t in targets], "UDP"))
        clients = [udp_client(port) for _ in range(60)]
        names = []
        for i, client in enumerate(clients):
            answers = [ask(client, b"%d" % i)] + [client.recv(100) for _ in range(2)]
            assert len(set(answers)) == 1 and answers[0].endswith(b":%d" % i), answers
            names.append(answers[0][:1])
        assert set(names) == {b"0", b"1", b"2"}, names
        for _ in range(5):
            for i, client in enumerate(clients):
                assert ask(client, b"again")[:1] == names[i]
                client.recv(100), client.recv(100)
        assert sum(len(t.sources) for t in targets) == 60  # a socket for each flow
        stats = stats_of(box)
        assert stats["NEW_FLOWS_UDP"] == stats["ACTIVE_FLOWS_UDP"] == 60, stats
        assert stats["BYTES_UDP"] == stats["PROCESSED_BYTES"] > 0
        big = random.randbytes(60_000)
        assert ask(clients[0], big)[2:] == big and ask(clients[1], b"") == names[1] + b":"


@test
def a_burst_of_datagrams_arrives_in_its_order():
    port = free_port()
    t = UdpTarget("t")
    with Box(2) as box:
        box.publish(flows(port, [target(t.port)], "UDP"))
        client = udp_client(port)
        for batch in range(20):
            for i in range(50):
                client.send(b"%d" % (batch * 50 + i))
            for i in range(50):
                assert client.recv(100) == b"t:%d" % (batch * 50 + i)
        [data] = t.sources.values()
        assert data == [b"%d" % i for i in range(1000)]


@test
def a_udp_flow_moves_when_its_target_goes_or_refuses():
    port = free_port()
    a, b = UdpTarget("a"), UdpTarget("b")
    with Box(1) as box:
        box.publish(flows(port, [target(a.port)], "UDP"))
        client = udp_client(port)
        assert ask(client) == b"a:hello"
        box.publish(flows(port, [target(a.port, isDraining=True), target(b.port)], "UDP"))
        assert ask(client) == b"a:hello"  # a flow goes on while its target drains
        box.publish(flows(port, [target(b.port)], "UDP"))
        assert ask(client) == b"b:hello"
        b.close()
        client.send(b"lost")
        wait_for(lambda: stats_of(box)["ACTIVE_FLOWS_UDP"] == 0, lambda: stats_of(box))
        box.publish(flows(port, [target(a.port)], "UDP"))
        assert ask(client) == b"a:hello"


@test
def one_port_may_serve_tcp_and_udp():
    port = free_port()
    t = name_target("t")
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(("127.0.0.1", t.port))

    def echo():
        while True:
            data, source = u.recvfrom(100)
            u.sendto(b"udp:" + data, source)

    threading.Thread(target=echo, daemon=True).start()
    with Box(2) as box:
        box.publish(flows(port, [target(t.port)], "TCP_UDP"))
        assert connect(port).exactly(1) == b"t" and ask(udp_client(port)) == b"udp:hello"
        assert stats_of(box)["NEW_FLOWS_TCP"] == stats_of(box)["NEW_FLOWS_UDP"] == 1
        box.publish({"listeners": [], "targetGroups": []})
        seen = {box.wait("unlistened"), box.wait("unlistened")}
        assert seen == {f"127.0.0.1:{port}", f"udp:127.0.0.1:{port}"}, seen


@test
def a_flood_of_sources_does_not_displace_those_who_are_served():
    """A flow costs a descriptor: with few of them the limit is near."""
    port = free_port()
    t = UdpTarget("t")
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    with Box(1) as box:
        resource.prlimit(box.process.pid, resource.RLIMIT_NOFILE, (300, 300))
        box.publish(flows(port, [target(t.port)], "UDP"))
        served = [udp_client(port) for _ in range(20)]
        for client in served:
            assert ask(client) == b"t:hello"
        box.publish(flows(port, [target(t.port, isDraining=True), target(silent.getsockname()[1])], "UDP"))
        for n in range(2000):
            if n % 50 == 0:
                time.sleep(0.005)  # the kernel drops what finds its buffer full
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((f"127.0.5.{n % 250 + 1}", 0))
            s.sendto(b"flood", ("127.0.0.1", port))
            s.close()
        for client in served:  # behind the flood a datagram may be lost, but not the flow
            client.settimeout(0.5)
            answers = [ask_or_none(client) for _ in range(3)]
            assert b"t:hello" in answers, answers
        assert len(t.sources) == len(served)
        stats = stats_of(box)
        print(f"# 2000 sources, {stats['NEW_FLOWS_UDP']} flows made, {stats['ACTIVE_FLOWS_UDP']} open")
        assert stats["NEW_FLOWS_UDP"] > 400 and stats["ACTIVE_FLOWS_UDP"] < 300, stats


@test
def an_answer_comes_from_the_address_that_was_asked():
    port = free_port()
    t = UdpTarget("t")
    with Box(2) as box:
        snapshot = flows(port, [target(t.port)], "UDP")
        snapshot["listeners"][0]["address"] = "0.0.0.0"
        box.publish(snapshot)
        for host in ("127.0.0.1", "127.0.0.42"):
            assert ask(udp_client(port, host)) == b"t:hello"  # a connected socket takes no other


# ---- under load ------------------------------------------------------------------------------------------------------

@test
def targets_come_and_go_under_load_and_no_flow_is_lost():
    port = free_port()
    targets = [name_target(str(i)) for i in range(4)]
    failures, count, is_over = [], [0], threading.Event()

    def client():
        while not is_over.is_set():
            try:
                wire = connect(port)
                wire.exactly(1)
                for _ in range(5):
                    wire.send(b"0123456789")
                    assert wire.exactly(10) == b"0123456789"
                wire.close()
                count[0] += 1
            except (OSError, EOFError, AssertionError) as e:
                failures.append(repr(e))

    with Box(2) as box:
        box.publish(flows(port, [target(t.port) for t in targets]))
        threads = [threading.Thread(target=client) for _ in range(6)]
        for thread in threads:
            thread.start()
        for i in range(100):
            chosen = [target(t.port, isDraining=(i + n) % 4 == 0) for n, t in enumerate(targets) if (i * 7 + n) % 3]
            box.publish(flows(port, chosen or [target(targets[0].port)]))
            time.sleep(0.01)
        is_over.set()
        for thread in threads:
            thread.join(10)
        assert not failures, failures[:5]
        assert count[0] > 50, count
        wait_for(lambda: stats_of(box)["ACTIVE_FLOWS_TCP"] == 0, lambda: stats_of(box))


if __name__ == "__main__":
    main()
