#!/usr/bin/env python3
"""Counters equal the truth to the unit. Rows: aws-semantics.md 2.11; HITLESS_COUNTERS_REQUESTS sets how many requests
(100,000; the full proof takes 10,000,000).

What is counted, and when: a request counts in one step with its outcome, before the first byte of the answer goes to the
client: when the head of the target's answer is there, or when the balancer decides on an answer of its own. So with a
data plane killed at any moment: whatever a client saw is counted; what is counted and was not seen is in flight then, at
most one request a connection. Bytes of a request count when it ends: those in flight at a kill do not."""
import concurrent.futures, multiprocessing, re, signal
from rig import *

REQUESTS = int(os.environ.get("HITLESS_COUNTERS_REQUESTS", "100000"))
MARK = b"#END#"
CODES = {b"/ok": 200, b"/missing": 404, b"/broken": 500, b"/moved": 302}
STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d)")
BATCH = 32


def serve(listening, seen):
    """One process: answers by path, counts what it got. Threads, each connection one."""
    lock = threading.Lock()

    def work(s):
        count = 0
        try:
            while True:
                data = s.recv(65536)
                if not data:
                    break
                count += 1
                path = data.split(b" ", 2)[1]
                if path == b"/hang":
                    s.recv(1)  # until the balancer lets go
                    break
                if path == b"/die":
                    break
                s.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 105\r\n\r\n" % CODES[path] + b"x" * 100 + MARK)
        except OSError:
            pass
        s.close()
        with lock:
            seen.value += count

    while True:
        s, _ = listening.accept()
        threading.Thread(target=work, args=(s,), daemon=True).start()


class Server:
    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.port = self.listening.getsockname()[1]
        self.seen = multiprocessing.Value("q", 0)
        self.process = multiprocessing.Process(target=serve, args=(self.listening, self.seen), daemon=True)
        self.process.start()

    def close(self):
        self.process.kill()


def bulk(port, count, connections, start, queue):
    """Pipelined batches over some connections; what was sent and seen, by status. A connection that breaks is opened
    again, and what it owed is lost."""
    seen, sent_bytes, got_bytes, lost, broken = {}, 0, 0, 0, 0
    paths = [list(CODES)[i % len(CODES)] for i in range(BATCH)]
    batch = b"".join(b"GET %s HTTP/1.1\r\nHost: e\r\n\r\n" % path for path in paths)
    wires = [None] * connections
    start.wait()
    left = count
    while left > 0:
        for i in range(connections):
            if left <= 0:
                break
            answered = 0
            try:
                if wires[i] is None:
                    wires[i] = socket.create_connection(("127.0.0.1", port), 60)
                wires[i].sendall(batch)
                left -= BATCH
                data = b""
                while answered < BATCH:
                    more = wires[i].recv(1 << 18)
                    if not more:
                        raise OSError("cut")
                    data += more
                    answered = data.count(MARK)
            except OSError:
                if wires[i] is None:
                    time.sleep(0.02)  # nobody listens just now
                    continue
                wires[i].close()
                wires[i] = None
                broken += 1
                lost += BATCH - answered
            for status in STATUS.findall(data)[:answered]:
                seen[int(status)] = seen.get(int(status), 0) + 1
            sent_bytes += len(batch)
            got_bytes += len(data)
    for wire in wires:
        if wire is not None:
            wire.close()
    queue.put((seen, sent_bytes, got_bytes, lost, broken))


class Bulk:
    def __init__(self, port, count, processes=2, connections=8):
        self.queue, self.start = multiprocessing.Queue(), multiprocessing.Event()
        self.processes = [multiprocessing.Process(target=bulk, args=(port, count // processes, connections, self.start,
                                                                     self.queue), daemon=True) for _ in range(processes)]
        for process in self.processes:
            process.start()
        self.start.set()

    def wait(self):
        self.seen, self.sent_bytes, self.got_bytes, self.lost, self.broken = {}, 0, 0, 0, 0
        for _ in self.processes:
            seen, sent, got, lost, broken = self.queue.get(timeout=3600)
            for status, count in seen.items():
                self.seen[status] = self.seen.get(status, 0) + count
            self.sent_bytes += sent
            self.got_bytes += got
            self.lost += lost
            self.broken += broken
        return self


def odd(port, path, method="GET", leaves=False):
    """One request by itself: its status, or None where we leave first; and the bytes."""
    wire = connect(port, timeout_s=60)
    sent = request(method, path)
    wire.send(sent)
    if leaves:
        time.sleep(0.02)
        wire.close()
        return None, len(sent), 0
    start, fields = wire.head()
    head = Head(start, fields)
    body = wire.exactly(int(head.get("content-length", 0)))
    wire.close()
    size = len("\r\n".join([start] + [f"{n}: {v}" for n, v in fields])) + 4 + len(body)
    return head.status, len(sent), size


def settled(read, timeout_s=20):
    """Until nothing is in flight and no client is connected."""
    limit = time.monotonic() + timeout_s
    while True:
        stats = read()
        if stats["INFLIGHT"] == 0 or time.monotonic() > limit:
            return stats
        time.sleep(0.05)


def classes_agree(stats):
    """In every reading RequestCount is the sum of the outcomes."""
    outcomes = ("TARGET_2XX", "TARGET_3XX", "TARGET_4XX", "TARGET_5XX", "TARGET_UPGRADES", "TARGET_UNANSWERED")
    assert stats["REQUESTS"] == sum(stats[name] for name in outcomes), stats
    assert stats["timeCount"] == stats["REQUESTS"] - stats["TARGET_UNANSWERED"], stats


@test
def counters_equal_what_clients_and_targets_saw():
    port, hasty, gone = free_port(), free_port(), free_port()
    servers = [Server(), Server()]
    rules = [rule(1, forward((1, 1)), {"field": "path-pattern", "values": ["/gone"]}), rule(0, forward((0, 1)))]
    groups = [group("blue", [target(s.port) for s in servers]), group("gone", [target(gone)])]
    with Box(2) as box:
        # the same balancer on two ports: the short timeout is for requests that hang, not for a load that waits its turn
        box.publish({"listeners": [listener(port, rules), listener(hasty, rules, {"idle_timeout.timeout_seconds": "4"})],
                     "targetGroups": groups})
        load = Bulk(port, REQUESTS)
        seen, sent, got = {}, 0, 0
        odds = [("/gone", "GET", False)] * 20 + [("/die", "POST", False)] * 20 + [("/hang", "GET", True)] * 20
        random.shuffle(odds)
        hanging = [concurrent.futures.ThreadPoolExecutor(3).submit(odd, hasty, "/hang") for _ in range(3)]
        for path, method, leaves in odds + [(None, None, None)] * 3:
            status, out, back = hanging.pop().result() if path is None else odd(port, path, method, leaves)
            seen[status] = seen.get(status, 0) + 1
            sent, got = sent + out, got + back
            classes_agree(box.group_stats("blue"))
        load.wait()
        assert load.lost == 0 and sum(load.seen.values()) >= REQUESTS, (load.lost, load.seen)
        assert seen == {502: 40, None: 20, 504: 3}, seen
        settled(lambda: box.group_stats("blue"))
        stats, blue, red = box.lb_stats(), box.group_stats("blue"), box.group_stats("gone")
        bulk_count = sum(load.seen.values())
        for reading in (stats, blue, red):
            classes_agree(reading)
        assert (stats["TARGET_2XX"], stats["TARGET_3XX"]) == (load.seen[200], load.seen[302])
        assert (stats["TARGET_4XX"], stats["TARGET_5XX"]) == (load.seen[404], load.seen[500])
        assert (stats["ELB_502"], stats["ELB_504"], stats["ELB_5XX"], stats["ELB_4XX"]) == (40, 3, 43, 20), stats
        assert stats["REQUESTS"] == bulk_count + 63 == blue["REQUESTS"] + red["REQUESTS"] and red["REQUESTS"] == 20
        assert stats["TARGET_CONN_ERRORS"] == red["TARGET_CONN_ERRORS"] == 20 + red["RETRIES"]
        # 20 of 460 were answered by nobody, the others are whole on both sides
        assert stats["PROCESSED_BYTES"] == load.sent_bytes + load.got_bytes + sent + got
        for s in servers:
            s.listening.close()
    time.sleep(0.3)  # the targets see the ends of their connections
    at_targets = sum(s.seen.value for s in servers)
    assert at_targets == bulk_count + 43 + blue["RETRIES"], (at_targets, bulk_count, blue["RETRIES"])
    for s in servers:
        s.close()
    print(f"# {stats['REQUESTS']} requests, every counter to the unit")


@test
def a_killed_data_plane_loses_nothing_that_a_client_saw():
    port = free_port()
    servers = [Server(), Server()]
    holder = Box(1, "--hold")
    path = holder.wait("hold")
    load = Bulk(port, REQUESTS)
    kills = 5
    for generation in range(1, kills + 2):
        box = Box(2, "--counters", path, "--generation", str(generation))
        box.publish({"listeners": [listener(port, [rule(0, forward((0, 1)))])],
                     "targetGroups": [group("blue", [target(s.port) for s in servers])]})
        if generation <= kills:
            before = holder.group_stats("blue")["REQUESTS"]
            limit = time.monotonic() + 60
            while holder.group_stats("blue")["REQUESTS"] < before + min(500, REQUESTS // 100) and time.monotonic() < limit:
                time.sleep(0.01)
            box.process.send_signal(signal.SIGKILL)
            box.process.wait()
            after = holder.group_stats("blue")
            classes_agree(after)  # before its rows are given up, too
            holder.say(f"gone {generation}")
            holder.wait("gone")
            again = holder.group_stats("blue")
            assert again["REQUESTS"] == after["REQUESTS"] and again["INFLIGHT"] == 0
    load.wait()
    stats = settled(lambda: holder.group_stats("blue"))
    classes_agree(stats)
    classes_agree(holder.lb_stats())
    names = {200: "TARGET_2XX", 302: "TARGET_3XX", 404: "TARGET_4XX", 500: "TARGET_5XX"}
    unseen = 0
    for status, name in names.items():
        assert stats[name] >= load.seen[status], (status, stats[name], load.seen[status])
        unseen += stats[name] - load.seen[status]
    assert load.broken > 0
    assert unseen <= load.broken, (unseen, load.broken)  # at most the one in flight on each connection that was cut
    box.close()
    holder.close()
    for s in servers:
        s.close()
    print(f"# {stats['REQUESTS']} requests, {kills} kills, {load.broken} connections cut: {unseen} counted and not seen")


main()
