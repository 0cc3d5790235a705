"""HTTP/2 frames by hand (RFC 9113) for tests: what goes out is exactly what a test says; field lists that come in are
decoded with the HPACK of libnghttp2, which the data plane needs anyway."""
import ctypes, ctypes.util, socket, struct, threading, time

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
TYPES = ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE",
         "CONTINUATION"]
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM) = range(12)
CODES = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
         "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def integer(value, bits, top=0):
    """RFC 7541, 5.1."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([top | value])
    out = [top | most]
    value -= most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out + [value])


def literal(name, value):
    """Without indexing, new name, no Huffman code (RFC 7541, 6.2.2)."""
    name, value = (x if isinstance(x, bytes) else x.encode("latin-1") for x in (name, value))
    return b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value


def block(fields):
    return b"".join(literal(n, v) for n, v in fields)


def ask(path="/", method="GET", authority="example.com", more=(), scheme="http"):
    return [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority), *more]


def settings(*pairs):
    return b"".join(struct.pack(">HI", k, v) for k, v in pairs)


class Inflater:
    class Nv(ctypes.Structure):
        _fields_ = [("name", ctypes.POINTER(ctypes.c_uint8)), ("value", ctypes.POINTER(ctypes.c_uint8)),
                    ("namelen", ctypes.c_size_t), ("valuelen", ctypes.c_size_t), ("flags", ctypes.c_uint8)]

    lib = ctypes.CDLL(ctypes.util.find_library("nghttp2") or "libnghttp2.so.14")
    lib.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t

    def __init__(self):
        self.handle = ctypes.c_void_p()
        assert self.lib.nghttp2_hd_inflate_new(ctypes.byref(self.handle)) == 0

    def decode(self, data):
        fields, at = [], 0
        buffer = (ctypes.c_uint8 * max(len(data), 1)).from_buffer_copy(data or b"\0")
        while True:
            nv, flags = self.Nv(), ctypes.c_int(0)
            used = self.lib.nghttp2_hd_inflate_hd2(self.handle, ctypes.byref(nv), ctypes.byref(flags),
                                                   ctypes.byref(buffer, at) if at < len(data) else None,
                                                   ctypes.c_size_t(len(data) - at), 1)
            assert used >= 0, f"inflating failed: {used}"
            at += used
            if flags.value & 2:
                fields.append((bytes(nv.name[:nv.namelen]).decode("latin-1"),
                               bytes(nv.value[:nv.valuelen]).decode("latin-1")))
            if flags.value & 1:
                self.lib.nghttp2_hd_inflate_end_headers(self.handle)
                return fields

    def __del__(self):
        self.lib.nghttp2_hd_inflate_del(self.handle)


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload
        self.fields = []

    def __repr__(self):
        name = TYPES[self.kind] if self.kind < len(TYPES) else str(self.kind)
        return f"{name} stream {self.stream} flags {self.flags:#x} {self.fields or self.payload[:60]}"

    @property
    def code(self):
        return struct.unpack(">I", self.payload[4:8] if self.kind == GOAWAY else self.payload[:4])[0]

    @property
    def ends(self):
        return bool(self.flags & END_STREAM) and self.kind in (DATA, HEADERS)


class H2:
    """One side of a connection. Window updates, acknowledgements: only what is asked for."""

    def __init__(self, sock):
        self.socket = sock
        self.buffer = b""
        self.inflater = Inflater()
        self.seen = []
        self.lock = threading.Lock()

    @classmethod
    def dial(cls, port, *pairs, host="127.0.0.1", timeout_s=15, preface=True):
        sock = socket.create_connection((host, port), timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = cls(sock)
        if preface:
            wire.send(PREFACE + frame(SETTINGS, 0, 0, settings(*pairs)))
        return wire

    def send(self, data):
        with self.lock:
            self.socket.sendall(data)

    def put(self, kind, flags=0, stream=0, payload=b""):
        self.send(frame(kind, flags, stream, payload))

    def ask(self, stream, fields=None, body=None, end=True):
        """A request; body: bytes of one DATA frame."""
        last = END_STREAM if end and body is None else 0
        data = frame(HEADERS, END_HEADERS | last, stream, block(fields or ask()))
        if body is not None:
            data += frame(DATA, END_STREAM if end else 0, stream, body)
        self.send(data)

    def exactly(self, count):
        while len(self.buffer) < count:
            data = self.socket.recv(262144)
            if not data:
                raise EOFError
            self.buffer += data
        part, self.buffer = self.buffer[:count], self.buffer[count:]
        return part

    def read(self):
        head = self.exactly(9)
        length = int.from_bytes(head[:3], "big")
        f = Frame(head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, self.exactly(length))
        if f.kind in (HEADERS, CONTINUATION):
            at = 5 if f.flags & PRIORITY_FLAG and f.kind == HEADERS else 0
            pad = 0
            data = f.payload
            if f.kind == HEADERS and f.flags & PADDED:
                pad, at = data[0], at + 1
            self.part = (self.part if f.kind == CONTINUATION else b"") + data[at:len(data) - pad]
            if f.flags & END_HEADERS:
                f.fields = self.inflater.decode(self.part)
        if f.kind == SETTINGS and not f.flags & ACK:
            self.put(SETTINGS, ACK)
        self.seen.append(f)
        return f

    def until(self, match):
        while True:
            f = self.read()
            if match(f):
                return f

    def answer(self, stream, gives_back=True):
        """Head, body, trailers of a stream's answer; AssertionError when it is reset."""
        head, body, trailers = None, bytearray(), None
        while True:
            f = self.read()
            if f.kind == GOAWAY and f.code != NO_ERROR:
                raise AssertionError(f"connection ended: {CODES[f.code]}")
            if f.stream != stream:
                continue
            if f.kind == RST_STREAM:
                raise AssertionError(f"stream reset: {CODES[f.code]}")
            if f.kind == HEADERS:
                if head is None or dict(head)[":status"][0] == "1":
                    head = f.fields
                else:
                    trailers = f.fields
            if f.kind == DATA:
                pad = f.payload[0] + 1 if f.flags & PADDED else 0
                body += f.payload[1 if pad else 0:len(f.payload) - max(pad - 1, 0)]
                if gives_back and f.payload:
                    credit = struct.pack(">I", len(f.payload))
                    self.send(frame(WINDOW_UPDATE, 0, 0, credit) +
                              (b"" if f.ends else frame(WINDOW_UPDATE, 0, stream, credit)))
            if f.ends:
                return dict(head), bytes(body), dict(trailers or {})

    def reset(self, stream):
        """The code that the stream is reset with."""
        return self.until(lambda f: f.kind == RST_STREAM and f.stream == stream).code

    def goaway(self):
        return self.until(lambda f: f.kind == GOAWAY)

    def close(self):
        self.socket.close()


class H2Target:
    """A server: handler(wire, stream, fields, body, trailers) for each request that is complete, on a thread of its
    connection. The default answers 200 with its name."""

    def __init__(self, handler=None, name="t", streams=None, on_head=None):
        self.handler, self.name, self.streams, self.on_head = handler or H2Target.plain, name, streams, on_head
        self.requests, self.connections = [], []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            wire = H2(sock)
            wire.target = self
            assert wire.exactly(len(PREFACE)) == PREFACE
            wire.put(SETTINGS, 0, 0, settings((3, self.streams)) if self.streams is not None else b"")
            heads, bodies, trailers = {}, {}, {}
            while True:
                f = wire.read()
                if f.kind == HEADERS and f.stream not in heads:
                    heads[f.stream], bodies[f.stream], trailers[f.stream] = f.fields, b"", {}
                    if self.on_head:
                        self.on_head(wire, f.stream, dict(f.fields))
                elif f.kind == HEADERS:
                    trailers[f.stream] = dict(f.fields)
                elif f.kind == DATA:
                    bodies[f.stream] += f.payload
                    if f.payload:
                        credit = struct.pack(">I", len(f.payload))
                        wire.send(frame(WINDOW_UPDATE, 0, 0, credit) +
                                  (b"" if f.ends else frame(WINDOW_UPDATE, 0, f.stream, credit)))
                elif f.kind == RST_STREAM:
                    heads.pop(f.stream, None)
                    self.requests.append(("reset", f.code))
                if f.ends and f.stream in heads:
                    self.requests.append((dict(heads[f.stream]), bodies[f.stream], trailers[f.stream]))
                    self.handler(wire, f.stream, heads[f.stream], bodies[f.stream], trailers[f.stream])
        except (OSError, EOFError):
            pass
        finally:
            sock.close()

    @staticmethod
    def plain(wire, stream, fields, body, trailers):
        name = wire.target.name.encode()
        wire.send(frame(HEADERS, END_HEADERS, stream, block([(":status", "200"), ("x-target", wire.target.name)])) +
                  frame(DATA, END_STREAM, stream, name))

    def close(self):
        self.listener.close()
        for sock in self.connections:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def grpc(message=b""):
    """A length-prefixed message, not compressed."""
    return b"\0" + struct.pack(">I", len(message)) + message
