#!/usr/bin/env python3
"""Generated requests through the balancer to Node's HTTP parser, and the same bytes to Node alone. DIFFERENTIAL_REQUESTS
says how many connections (10,000 without), DIFFERENTIAL_SEED with which seed. For each:

  what arrived    Node read no error, and the messages with the boundaries and bodies that a strict reading (strict.py) has
  answers         the client got as many as there were messages
  Node alone      what the balancer forwarded is the beginning of what Node makes of the original bytes; where Node refuses
                  and the balancer forwards, a class of docs/load-balancer.md ("Defence") says why"""
import base64, collections, re, select, shutil
from rig import *
from strict import Reader

COUNT = int(os.environ.get("DIFFERENTIAL_REQUESTS", "10000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "20261120"))
PARALLEL = 256
QUIET_S = 2
PROBES = 8
STARTS = 16  # in one turn
PROBE = [b"GET /probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]
HANGS_S = 30


class Node:
    def __init__(self):
        self.process = subprocess.Popen(["node", str(pathlib.Path(__file__).with_name("node_target.js"))],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = json.loads(self.process.stdout.readline())["listen"]
        self.seen, self.lock = [], threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.lock:
                self.seen.append(json.loads(line))

    def take(self, count=0):
        """What ended so far, once at least `count` connections have."""
        limit = time.monotonic() + HANGS_S
        while len(self.seen) < count:
            assert time.monotonic() < limit, f"Node tells of {len(self.seen)} connections, not of {count}"
            time.sleep(0.01)
        with self.lock:
            seen, self.seen = self.seen, []
        return seen

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


# ---- the generator --------------------------------------------------------------------------------------------------

METHODS = [b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"HEAD", b"PATCH"]
TE_VALUES = [b"chunked", b"Chunked", b"chunked ", b"xchunked", b"chunked, chunked", b"gzip, chunked", b"identity",
             b"chunked;a=b", b",chunked", b"chunked,", b"\x0bchunked", b"cow", b"", b"identity, chunked", b'"chunked"']
CL_VALUES = [b"0", b"3", b"03", b"+3", b"-3", b"3 ", b"3,3", b"3 3", b"0x3", b"", b"18446744073709551619", b"3\x01", b"4", b"1e1"]
LINES = [b"X: a\r\n b", b"X : a", b"X A: b", b"X\r", b"X", b": a", b"X: a\x01b", b"X: a\x00", b"X: a\rY: b", b"X: a\nY: b",
         b"Transfer_Encoding: chunked", b"Content-Length : 3", b"Transfer-Encoding : chunked", b"\x01X: y", b"X: \xff\xfe",
         b"Connection: close", b"Connection: keep-alive, X", b"Expect: 100-continue", b"Upgrade: h2c", b"TE: trailers",
         b"Keep-Alive: timeout=5", b"Host: b", b"Trailer: X-Sum", b" X: a", b"Connection: Content-Length"]
VERSIONS = [b"HTTP/1.0", b"HTTP/1.1 ", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1.1x", b"HTTP/0.9", b"", b"HTTP/11.1"]
SIZES = [b"0x%x", b"+%x", b" %x", b"%x ", b"%x;a", b"%x;a=b", b'%x;a="b;c"', b"%x;", b"%x\t", b"%X", b"000%x", b"%x\n", b"-%x",
         b'%x;a="b']
CHUNK_ENDS = [b"\n", b"", b"\r", b"\r\n\r\n", b"XX"]
TRAILERS = [b"X-Sum: 1\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"X : y\r\n", b"X\r\n", b"X: y\n"]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def some(self, chance):
        return self.random.random() < chance

    def body(self):
        return bytes(self.random.choice(b"abcdefgh0123456789\r\n ;:GETHP/.") for _ in range(self.random.choice((0, 1, 3, 10, 40, 200))))

    def chunks(self, body, is_odd):
        out, at = b"", 0
        while at < len(body):
            size = self.random.randint(1, max(1, len(body) // self.random.choice((1, 2, 5))))
            part = body[at:at + size]
            form = self.random.choice(SIZES) if is_odd and self.some(0.5) else b"%x"
            claimed = len(part) + (self.random.choice((-1, 1, 16)) if is_odd and self.some(0.15) else 0)
            end = self.random.choice(CHUNK_ENDS) if is_odd and self.some(0.15) else b"\r\n"
            out += form % max(claimed, 0) + b"\r\n" + part + end
            at += size
        trailers = self.random.choice(TRAILERS) if self.some(0.5 if is_odd else 0.1) else b""
        return out + b"0\r\n" + (trailers if is_odd or trailers == TRAILERS[0] else b"") + b"\r\n"

    def request(self, case, number, is_odd):
        """is_odd: None for a plain one, else what is odd about it."""
        method = self.random.choice(METHODS)
        target = b"/c%d/%d" % (case, number)
        version = b"HTTP/1.1"
        lines = [b"Host: a"]
        if self.some(0.3):
            lines += [b"User-Agent: generator/1", b"Accept: */*", b"X-Filler: " + b"f" * self.random.randint(0, 300)]
        body, framing = b"", self.random.choice(("none", "length", "chunks"))
        if method in (b"GET", b"HEAD") and not self.some(0.1):
            framing = "none"
        if framing == "length":
            body = self.body()
            lines.append(b"Content-Length: %d" % len(body))
        elif framing == "chunks":
            lines.append(b"Transfer-Encoding: chunked")
            body = self.chunks(self.body(), is_odd == "chunks")
        if is_odd == "te":
            lines.append(b"Transfer-Encoding: " + self.random.choice(TE_VALUES))
            body = body or self.chunks(self.body(), False)
        elif is_odd == "cl":
            lines.append(b"Content-Length: " + self.random.choice(CL_VALUES))
            body = body or b"abc"
        elif is_odd == "line":
            lines.insert(self.random.randint(0, len(lines)), self.random.choice(LINES))
        elif is_odd == "version":
            version = self.random.choice(VERSIONS)
        elif is_odd == "method":
            method = self.random.choice((b"REPORT", b"G@T", b"", b"TRACE", b"M-SEARCH", b"A" * 50, b" GET"))
        elif is_odd == "target":
            target += self.random.choice((b" x", b"\tx", b"#x", b"\x01", b"\xff", b"?a b", b"\x00", b"?q=\"<>"))
        elif is_odd == "host":
            lines[0] = self.random.choice((b"X: y", b"Host: a b", b"Host: a\r\nHost: a", b"Host:", b"Host: a,b", b"Host: u@a"))
        elif is_odd == "ends":
            return b"%s %s HTTP/1.1\n" % (method, target) + b"\n".join(lines) + b"\n\n" + body
        elif is_odd == "length" and framing == "length":
            lines[-1] = b"Content-Length: %d" % max(0, len(body) + self.random.choice((-3, -1, 1, 5)))
        line = b"%s %s%s" % (method, target, b" " + version if version else b"")
        return b"\r\n".join([line] + lines) + b"\r\n\r\n" + body

    def flip(self, data):
        """One byte changed, added or taken away; the numbers that say which case it is stay."""
        marks = [match.span() for match in re.finditer(rb"/c\d+/\d+", data)]
        free = [i for i in range(len(data)) if not any(a <= i <= b for a, b in marks)]
        at = self.random.choice(free)
        byte = bytes([self.random.choice(b"\x00\x01\t\n\r \x7f\xff:;,0aZ/\"")])
        return self.random.choice((data[:at] + byte + data[at + 1:], data[:at] + byte + data[at:], data[:at] + data[at + 1:]))

    def case(self, number):
        kinds = ("te", "cl", "line", "version", "method", "target", "host", "ends", "length", "chunks", "flip")
        odd = self.random.choice(kinds) if self.some(0.7) else None
        count = self.random.randint(1, 3)
        odd_at = self.random.randrange(count)
        data = b""
        for i in range(count):
            one = self.request(number, i, odd if i == odd_at else None)
            data += self.flip(one) if i == odd_at and odd == "flip" else one
        data += b"GET /c%d/9 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % number
        cuts = sorted(self.random.randrange(len(data)) for _ in range(self.random.choice((0, 0, 1, 2, 5))))
        return data, [data[a:b] for a, b in zip([0] + cuts, cuts + [len(data)]) if a < b]


# ---- many clients at once -------------------------------------------------------------------------------------------

class Talk:
    """One connection: sends its segments, one a turn, and reads until the other side ends it, or says nothing more while
    others that began later are answered."""

    def __init__(self, index, port, segments):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.index, self.segments, self.got = index, list(segments), b""
        self.began = self.since = time.monotonic()

    def send(self):
        try:
            self.socket.send(self.segments.pop(0))
            self.since = time.monotonic()
        except OSError:
            self.segments = []


class Talks:
    def __init__(self, port, cases):
        self.port, self.results, self.open = port, [None] * len(cases), {}
        self.waiting = list(enumerate(cases))[::-1]
        self.poll = select.epoll()
        self.answered = []  # when those began that ended well, in the order of their ends

    def start(self, index, segments):
        talk = Talk(index, self.port, segments)
        self.open[talk.socket.fileno()] = talk
        self.poll.register(talk.socket.fileno(), select.EPOLLIN)

    def end(self, talk):
        self.poll.unregister(talk.socket.fileno())
        del self.open[talk.socket.fileno()]
        talk.socket.close()
        if talk.index is not None:
            self.results[talk.index] = (talk.got, talk.port)

    def read(self, talk):
        try:
            data = talk.socket.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        talk.got, talk.since = talk.got + data, time.monotonic()
        if not data:
            if b" 200 OK" in talk.got:
                self.answered.append(talk.began)
            self.end(talk)

    def end_quiet_ones(self, read_at):
        """read_at: when everything that had come was read."""
        quiet = [t for t in self.open.values() if t.index is not None and not t.segments and read_at - t.since > QUIET_S]
        for talk in quiet:
            if sum(began > talk.since + QUIET_S / 2 for began in self.answered[-200:]) >= PROBES:
                self.end(talk)
        if quiet and not self.waiting and not any(t.index is None for t in self.open.values()):
            self.start(None, PROBE)

    def run(self):
        while self.waiting or any(t.index is not None for t in self.open.values()):
            for _ in range(min(STARTS, len(self.waiting), PARALLEL - len(self.open))):
                self.start(*self.waiting.pop())
            for talk in list(self.open.values()):
                if talk.segments:
                    talk.send()
            is_busy = any(t.segments for t in self.open.values())
            polled_at = time.monotonic()
            for fd, _ in self.poll.poll(0 if is_busy else 0.01):
                self.read(self.open[fd])
            self.end_quiet_ones(polled_at)
        for talk in list(self.open.values()):
            self.end(talk)
        return self.results


# ---- what may differ ------------------------------------------------------------------------------------------------

NODE_METHODS = None
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def why_node_refuses(data, error):
    """The class of docs/load-balancer.md by which the balancer forwards what Node refuses; None when there is none."""
    if error == "HPE_INVALID_METHOD":
        return "a method that Node does not know"
    if error == "HPE_INVALID_VERSION" and re.search(rb" HTTP/1\.(\d +\r|[2-9])", data):
        return "version"
    if re.search(rb"(?<!\r)\n", data):
        return "lone LF"
    for line in re.findall(rb"[^\r\n]+", data):
        match = re.match(rb"[^ ]* .* HTTP/1\.\d *$", line)
        if match and re.search(rb" HTTP/1\.([2-9]| *\d +$)", line):
            return "version"
        if match and line.count(b" ") > 2:
            return "space in the target"
        if match and re.search(rb"[\x80-\xff]", line):
            return "8 bits in the target"
        name, colon, value = line.partition(b":")
        if colon and not TOKEN.fullmatch(name) and not match:
            return "a name that is no token"
        if colon and re.search(rb"[\x01-\x08\x0b-\x1f\x7f]", value):
            return "a control in a value"
    lower = data.lower()
    if lower.count(b"content-length:") + lower.count(b"transfer-encoding:") > 1:
        return "both framings, or one twice"
    if b"identity" in lower:
        return "identity"
    if re.search(rb"(?i)transfer-encoding:", data) and b"HTTP/1.0" in data:
        return "chunks in HTTP/1.0"
    if re.search(rb"\r\n0+;|[0-9a-fA-F][ \t]+;", data):
        return "blanks before a chunk extension"
    return None


def bodies_of(requests):
    return [base64.b64decode(body) for _, _, body, _ in requests]


def judge(case, data, got, through, alone, found):
    """Adds sentences to found["wrong"], counts the rest."""
    answers = got.count(b"HTTP/1.1 200 OK\r\n")
    # TRACE is answered by the balancer, and the connection goes on
    ours, theirs = bodies_of(through), bodies_of([r for r in alone["requests"] if r[0] != "TRACE"])
    if answers != len(ours):
        found["wrong"].append(f"case {case}: {answers} answers for {len(ours)} messages: {data!r} got {got[:200]!r}")
    elif ours == theirs[:len(ours)]:
        kind = "agree" if len(ours) == len(theirs) else "we refuse or close, Node goes on"
        found[kind] += 1
    else:
        reason = why_node_refuses(data, alone["error"]) if alone["error"] and ours[:len(theirs)] == theirs else None
        if reason is None:
            found["wrong"].append(f"case {case}: {ours} but Node {theirs} {alone['error']}: {data!r}")
        else:
            found[f"Node refuses, we forward: {reason}"] += 1


def by_case(records):
    table = collections.defaultdict(list)
    for record in records:
        for request in record["requests"]:
            match = re.match(r"/c(\d+)/", request[1])
            if match:
                table[int(match[1])].append(request)
    for requests in table.values():
        requests.sort(key=lambda request: request[3])  # they came over several connections
    return table


def is_refused_by_node(line):
    """Any token is a method, Node has a list; ALB lets 8-bit bytes in a target pass, Node does not."""
    return line.split(b" ")[0].decode() not in NODE_METHODS or any(byte >= 0x80 for byte in line)


def check_arrived(records):
    """Every byte that came to Node through the balancer."""
    for record in records:
        reader = Reader()
        reader.feed(base64.b64decode(record["raw"]))
        assert reader.wrong is None, f"dirty: {reader.wrong}"
        strict = [(line, body) for line, _, body, _ in reader.requests]
        if record["error"] is not None:
            lines = [line for line, _ in strict] + [reader.data.split(b"\r\n")[0]]  # the last may not be complete
            refused = [i for i, line in enumerate(lines) if is_refused_by_node(line)]
            assert refused, f"Node: {record['error']} for {base64.b64decode(record['raw'])[-500:]!r}"
            strict = strict[:refused[0]]
        assert [body for _, body in strict] == bodies_of(record["requests"]), "other boundaries"


@test
def generated_requests_mean_the_same_to_node_and_to_us():
    global NODE_METHODS
    if shutil.which("node") is None:
        raise Skip("there is no node here, whose parser is the other opinion")
    NODE_METHODS = json.loads(subprocess.check_output(["node", "-p", "JSON.stringify(require('http').METHODS)"]))
    generator = Generator(SEED)
    cases = [generator.case(i) for i in range(COUNT)]
    segments = [parts for _, parts in cases]
    found = collections.defaultdict(int)
    found["wrong"] = []
    port = free_port()
    node = Node()
    with Box(1) as box:
        box.publish(simple(port, [target(node.port)]))
        through = Talks(port, segments).run()
    arrived = node.take(1)  # the balancer has ended, and with it its connections
    time.sleep(0.2)
    arrived += node.take()
    check_arrived(arrived)
    alone = collections.defaultdict(list)  # a port may come again: in the order of the cases
    answers = Talks(node.port, segments).run()
    for record in node.take(COUNT):
        alone[record["port"]].append(record)
    node.close()
    table = by_case(arrived)
    for i, (data, _) in enumerate(cases):
        judge(i, data, through[i][0], table[i], alone[answers[i][1]].pop(0), found)
    wrong = found.pop("wrong")
    print(f"# seed {SEED}: {COUNT} connections, {sum(len(r['requests']) for r in arrived)} messages through the balancer")
    for kind, count in sorted(found.items()):
        print(f"#   {count:6} {kind}")
    assert not wrong, f"{len(wrong)} disagreements\n" + "\n".join(wrong[:10])


if __name__ == "__main__":
    main()
