"""What the tests of the data plane share: the lb alone as a process, targets that do as they are told, a client that
counts bytes, and TAP."""
import json, os, pathlib, queue, random, socket, subprocess, sys, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from ports import free_port

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / os.environ.get("HITLESS_BUILD", "build")
LB = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/0123456789abcdef"
TG = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/{}/0123456789abcdef"


class Box:
    """lb_box: publish(snapshot) waits until all workers route by it."""

    def __init__(self, workers=2, *options):
        self.process = subprocess.Popen([str(BUILD / "tests/box/lb_box"), "--workers", str(workers), *options],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.events = queue.Queue()
        self.kept = []
        threading.Thread(target=self._read, daemon=True).start()
        self.wait("ready")
        self.version = 0

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put({"ended": True})

    def wait(self, key, timeout_s=5.0, match=lambda value: True):
        """The first event, new or kept, that has the key and matches."""
        for event in self.kept:
            if key in event and match(event[key]):
                self.kept.remove(event)
                self.last = event
                return event[key]
        limit = time.monotonic() + timeout_s
        while True:
            left = limit - time.monotonic()
            try:
                event = self.events.get(timeout=max(left, 0.001))
            except queue.Empty:
                raise AssertionError(f"no event \"{key}\" within {timeout_s} s; seen: {self.kept[-5:]}") from None
            if key in event and match(event[key]):
                self.last = event
                return event[key]
            self.kept.append(event)
            if "ended" in event:
                raise AssertionError(f"the data plane ended: {self.kept[-3:]}")

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def publish(self, snapshot, wait=True):
        self.version += 1
        self.say(json.dumps({**snapshot, "version": self.version}))
        version = self.version
        if wait:
            self.wait("published", match=lambda v: v == version)

    def healthy(self, *ports, timeout_s=8.0):
        for port in ports:
            self.wait("health", timeout_s, lambda row: row["port"] == port and row["state"] == "healthy")

    def stats(self):
        self.say("stats")
        rows = self.wait("stats")
        return {(r["loadBalancer"], r["targetGroup"]): r for r in rows}

    def group_stats(self, name):
        return self.stats()[("app/web/0123456789abcdef", f"targetgroup/{name}/0123456789abcdef")]

    def lb_stats(self):
        return self.stats()[("app/web/0123456789abcdef", "")]

    def cpu_s(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(10)
        assert code == 0, f"lb_box ended with {code}"

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.process.kill()
            self.process.wait()


def target(port, host="127.0.0.1", **more):
    return {"host": host, "port": port, **more}


def group(name, targets, **more):
    return {"arn": TG.format(name), "name": name, "loadBalancer": LB, "protocol": "HTTP", "isInUse": True,
            "isCheckEnabled": False, "targets": targets, **more}


def forward(*weights):
    return {"type": "forward", "weights": [{"targetGroup": g, "weight": w} for g, w in weights]}


def rule(priority, action, *conditions):
    return {"arn": f"rule/{priority}", "priority": priority, "actions": [action], "conditions": list(conditions)}


def listener(port, rules, attributes=None, address="127.0.0.1"):
    return {"arn": f"listener/{port}", "loadBalancer": LB, "address": address, "port": port, "protocol": "HTTP",
            "rules": rules, "attributes": attributes or {}}


def simple(port, targets, attributes=None, **more):
    """One listener, one group "blue"."""
    return {"listeners": [listener(port, [rule(0, forward((0, 1)))], attributes)],
            "targetGroups": [group("blue", targets, **more)]}


class Target:
    """A server whose every connection is served by handler(connection, self). The default answers requests with its
    name, keep-alive."""

    def __init__(self, handler=None, name="t", host="127.0.0.1", path=None):
        self.handler = handler or Target.answer
        self.name = name
        self.requests = 0
        self.connections = []
        self.lock = threading.Lock()
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((host, 0))
        self.listener.listen(512)
        self.port = 0 if path else self.listener.getsockname()[1]
        self.is_closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if connection.family == socket.AF_INET:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.handler(Wire(connection), self)
        except (OSError, EOFError, ValueError):
            pass
        finally:
            connection.close()

    def count(self):
        with self.lock:
            self.requests += 1

    @staticmethod
    def answer(wire, self):
        while True:
            head, body = wire.read_request()
            self.count()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Target: %s\r\n\r\n%s"
                      % (len(self.name), self.name.encode(), self.name.encode()))

    def close(self):
        """Stops listening and cuts every connection."""
        self.is_closed = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self.lock:
            for connection in self.connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


class Wire:
    """A connection with a buffer: heads, bodies, whole messages."""

    def __init__(self, connection):
        self.socket = connection
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(262144)
        if not data:
            raise EOFError
        self.buffer += data

    def until(self, mark):
        while mark not in self.buffer:
            self.more()
        part, self.buffer = self.buffer.split(mark, 1)
        return part

    def exactly(self, count):
        while len(self.buffer) < count:
            self.more()
        part, self.buffer = self.buffer[:count], self.buffer[count:]
        return part

    def rest(self):
        try:
            while True:
                self.more()
        except EOFError:
            part, self.buffer = self.buffer, b""
            return part

    def chunks(self):
        body = b""
        while True:
            size = int(self.until(b"\r\n"), 16)
            if size == 0:
                assert self.until(b"\r\n") == b"", "trailers"
                return body
            body += self.exactly(size)
            assert self.exactly(2) == b"\r\n"

    def head(self):
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = [line.split(": ", 1) for line in lines[1:]]
        return lines[0], [(name.lower(), value) for name, value in fields]

    def body(self, fields):
        known = dict(fields)
        if known.get("transfer-encoding") == "chunked":
            return self.chunks()
        return self.exactly(int(known.get("content-length", 0)))

    def read_request(self):
        start, fields = self.head()
        return Head(start, fields), self.body(fields)

    def read_response(self, method="GET"):
        start, fields = self.head()
        head = Head(start, fields)
        if method == "HEAD" or head.status in (204, 304) or head.status < 200:
            return head, b""
        if "content-length" not in dict(fields) and "transfer-encoding" not in dict(fields):
            return head, self.rest()
        return head, self.body(fields)

    def close(self):
        self.socket.close()


class Head:
    def __init__(self, start, fields):
        self.start, self.fields = start, fields

    @property
    def status(self):
        return int(self.start.split(" ")[1])

    def get(self, name, default=None):
        return dict(reversed(self.fields)).get(name, default)

    def all(self, name):
        return [value for key, value in self.fields if key == name]


def connect(port, host="127.0.0.1", timeout_s=10):
    s = socket.create_connection((host, port), timeout_s)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Wire(s)


def request(method="GET", path="/", host="example.com", headers="", body=b""):
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}{length}\r\n".encode() + body


def fetch(port, *args, **more):
    wire = connect(port)
    wire.send(request(*args, **more))
    method = args[0] if args else more.get("method", "GET")
    answer = wire.read_response(method)
    wire.close()
    return answer


class Load:
    """Keep-alive clients that never retry. Every request must be answered; what fails is kept."""

    def __init__(self, port, clients=8, method="GET", body=b"", path="/", pause_s=0.0):
        self.port, self.method, self.body, self.path, self.pause_s = port, method, body, path, pause_s
        self.failures, self.by_name, self.sent = [], {}, 0
        self.lock = threading.Lock()
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        wire = None
        while not self.is_over.is_set():
            try:
                wire = wire or connect(self.port)
                wire.send(request(self.method, self.path, body=self.body))
                head, body = wire.read_response(self.method)
                name = head.get("x-target", str(head.status))
                failure = None if head.status == 200 else f"status {head.status}"
                if head.get("connection") == "close":
                    wire.close()
                    wire = None
            except (OSError, EOFError, ValueError) as e:
                name, failure, wire = None, repr(e), None
            with self.lock:
                self.sent += 1
                if failure:
                    self.failures.append(failure)
                else:
                    self.by_name[name] = self.by_name.get(name, 0) + 1
            if self.pause_s:
                time.sleep(self.pause_s)
        if wire:
            wire.close()

    def stop(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join(20)
        return self


TESTS = []


class Skip(Exception):
    """What the test needs is not on this machine."""


def test(fn):
    TESTS.append(fn)
    return fn


def main():
    names = sys.argv[1:]
    chosen = [t for t in TESTS if not names or t.__name__ in names]
    print(f"1..{len(chosen)}")
    failed = 0
    for number, fn in enumerate(chosen, 1):
        try:
            fn()
            print(f"ok {number} - {fn.__name__}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {fn.__name__} # SKIP {reason}", flush=True)
        except Exception as e:  # a test may fail in any way
            import traceback
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print(f"not ok {number} - {fn.__name__}", flush=True)
    sys.exit(1 if failed else 0)
