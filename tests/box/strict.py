"""A reading of HTTP/1.1 messages that knows one way only (RFC 9112, what a sender may write): for the bytes that reach
a target. Whatever two servers could read differently is dirty."""
import re

REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ (/[^\x00-\x20\x7f#]*|\*) HTTP/1\.1")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?((?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?)")
LOOKALIKE = re.compile(rb"(?i)[^a-z0-9]*(transfer[^a-z0-9]*encoding|content[^a-z0-9]*length)[^a-z0-9]*")
HOST = re.compile(rb"[\w.~%!$&'()*+;=:\[\]-]+")  # reg-name of RFC 3986 without the comma
CHUNK = re.compile(rb"([1-9a-f][0-9a-f]{0,14})\r\n")
HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"http2-settings"}


class Dirty(Exception):
    pass


def need(is_true, why):
    if not is_true:
        raise Dirty(why)


def read_fields(lines):
    fields = []
    for line in lines:
        match = FIELD.fullmatch(line)
        need(match, f"a field line {line[:80]!r}")
        name, value = match[1].lower(), match[2]
        need(name in (b"content-length", b"transfer-encoding") or not LOOKALIKE.fullmatch(name), f"a look-alike {name!r}")
        fields.append((name, value))
    return fields


def read_chunks(data, at):
    """(body, where it ends), or None when it is not complete; a part must be the beginning of something clean."""
    body = b""
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            need(re.fullmatch(rb"[0-9a-f]{0,15}\r?", data[at:]), f"a chunk size {data[at:at + 40]!r}")
            return None
        if data[at:end] == b"0":
            if len(data) < end + 4:
                return None
            need(data[end:end + 4] == b"\r\n\r\n", f"trailers {data[end:end + 40]!r}")
            return body, end + 4
        match = CHUNK.fullmatch(data[at:end + 2])
        need(match, f"a chunk size {data[at:end + 2]!r}")
        size = int(match[1], 16)
        if len(data) < end + 2 + size + 2:
            return None
        body += data[end + 2:end + 2 + size]
        need(data[end + 2 + size:end + 4 + size] == b"\r\n", "a chunk without its end")
        at = end + 4 + size


def read_request(data, allows_websocket=True):
    """(request line, fields, body, bytes used) of the first request; None when it is not complete. Raises Dirty."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        need(b"\n" not in data.replace(b"\r\n", b""), "a bare LF")
        return None
    lines = data[:end].split(b"\r\n")
    need(REQUEST_LINE.fullmatch(lines[0]), f"a request line {lines[0][:80]!r}")
    fields = read_fields(lines[1:])
    names = [name for name, _ in fields]
    known = dict(fields)
    need(names.count(b"host") == 1 and HOST.fullmatch(known[b"host"]), f"Host {known.get(b'host')!r}")
    is_websocket = known.get(b"upgrade") == b"websocket" and known.get(b"connection") == b"upgrade" and allows_websocket
    need(is_websocket or not HOP & set(names), f"a field of the connection: {names}")
    need(names.count(b"content-length") + names.count(b"transfer-encoding") <= 1, "two framings")
    at = end + 4
    if b"transfer-encoding" in known:
        need(known[b"transfer-encoding"] == b"chunked", f"Transfer-Encoding {known[b'transfer-encoding']!r}")
        chunks = read_chunks(data, at)
        return None if chunks is None else (lines[0], fields, chunks[0], chunks[1])
    length = known.get(b"content-length", b"0")
    need(re.fullmatch(rb"0|[1-9][0-9]{0,18}", length), f"Content-Length {length!r}")
    if len(data) < at + int(length):
        return None
    return lines[0], fields, data[at:at + int(length)], at + int(length)


class Reader:
    """Requests out of a stream. wrong: the first sentence about what is dirty, None while all is clean."""

    def __init__(self):
        self.data, self.wrong, self.requests = b"", None, []

    def feed(self, data):
        """The requests that became complete."""
        self.data += data
        new = []
        while self.data and not self.wrong:
            try:
                request = read_request(self.data)
            except Dirty as e:
                self.wrong = f"{e}; in {self.data[:300]!r}"
                break
            if request is None:
                break
            new.append(request)
            self.data = self.data[request[3]:]
        self.requests += new
        return new
