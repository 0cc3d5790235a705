#!/usr/bin/env python3
"""Attacks on the boundaries of messages, as raw bytes against the running data plane (smuggling_vectors.py). A target
keeps what it got and reads it strictly (strict.py): nothing that two servers may read differently arrives (DIRTY), and no
more requests than a strict reading of the vector has (SMUGGLED). Rows: aws-semantics 2.8 (desync mitigation, header
limits), 2.9 (400, 405, 414, 501, 505); RFC 9112 2.2, 3.2, 5.1, 5.2, 6.1, 6.3, 7.1."""
from rig import *
from smuggling_vectors import GET, VECTORS
from strict import Reader


class Origin(Target):
    """Answers what is complete; keeps everything."""

    def __init__(self):
        self.requests_seen, self.dirt = [], []
        super().__init__(Origin.serve)

    @staticmethod
    def serve(wire, self):
        reader = Reader()
        while True:
            data = wire.socket.recv(262144)
            if not data:
                return
            for request in reader.feed(data):
                with self.lock:
                    self.requests_seen.append(request)
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            if reader.wrong:
                with self.lock:
                    self.dirt.append(reader.wrong)
                return

    def take(self):
        with self.lock:
            seen, dirt = self.requests_seen, self.dirt
            self.requests_seen, self.dirt = [], []
            return [r for r in seen if b"/probe" not in r[0]], dirt


def read_codes(wire, count, is_over):
    """Codes of `count` answers; when is_over the connection must end behind them with nothing more."""
    codes = []
    while len(codes) < count:
        head, body = wire.read_response()
        if head.status >= 200:
            codes.append(head.status)
    if is_over:
        rest = wire.rest()
        assert rest == b"", f"more came: {rest[:200]!r}"
    return codes


def is_in_step(wire):
    wire.send(b"GET /probe HTTP/1.1\r\nHost: a\r\n\r\n")
    return read_codes(wire, 1, False) == [200]


def quiet_read(wire, quiet_s):
    wire.socket.settimeout(quiet_s)
    try:
        return wire.socket.recv(65536)
    except TimeoutError:
        return None


def play(port, vector, codes, closes, pieces):
    """Sends the vector; the sentence that says what is wrong with the answers, or None."""
    wire = connect(port)
    try:
        for piece in pieces(vector.data):
            try:
                wire.send(piece)
            except OSError:
                break  # refused before its end
        if vector.kind == "wait":
            got = quiet_read(wire, 0.1)
            return None if got is None else f"was answered with {got[:60]!r}"
        got = read_codes(wire, len(codes), closes)
        if got != codes:
            return f"answered with {got}, not {codes}"
        if vector.kind == "answer" and pieces is bytewise:
            return None  # when the body was not here yet, the connection ends
        if not closes and not is_in_step(wire):
            return "the connection is out of step"
        return None
    except (OSError, EOFError, AssertionError) as e:
        if isinstance(e, ConnectionResetError) and vector.name in SAY_CLOSE:
            return None
        return f"{type(e).__name__} {e} in place of {codes}"
    finally:
        wire.close()


def whole(data):
    return [data]


def bytewise(data):
    """Each byte in a segment of its own, up to where that says nothing new."""
    return [bytes([b]) for b in data[:700]] + [data[700:]]


def refused(vector):
    return vector._replace(kind="reject", codes=[400], bodies=[], closes=True)


def in_strictest(vector):
    """What strictest mode makes of it: 400 for all that is not compliant; it stays open only where the body was read."""
    return refused(vector) if vector.verdict in ("acceptable", "ambiguous") and vector.codes[0] == 200 else vector


# these say themselves that nothing follows: what they send all the same may meet a closed connection
SAY_CLOSE = ("connection close and more", "http/1.0 ends")
RFC_CLOSES = ("cl.te", "te.cl", "identity", "te in http/1.0", "te and cl")


def in_monitor(vector):
    """Ambiguous requests pass and the connection stays, but where RFC 9112 6.1 wants it closed. What was pipelined
    behind is served then, and the look-alikes with a request behind them show it."""
    if vector.verdict != "ambiguous" or vector.name.startswith(RFC_CLOSES):
        return vector
    behind = vector.data.count(GET) if vector.data.endswith(GET) else 0
    return vector._replace(codes=vector.codes + [200] * behind, bodies=vector.bodies + [b""] * behind, closes=False)


def run_all(mode, change, pieces, expected_count):
    port = free_port()
    origin = Origin()
    wrong, dirty, smuggled = [], 0, 0
    with Box(1) as box:
        box.publish(simple(port, [target(origin.port)], {"routing.http.desync_mitigation_mode": mode}))
        for vector in VECTORS:
            vector = change(vector)
            complaint = play(port, vector, vector.codes, vector.closes, pieces)
            seen, dirt = origin.take()
            bodies = [body for _, _, body, _ in seen]
            if complaint:
                wrong.append(f"{vector.name}: {complaint}")
            if dirt:
                dirty += 1
                wrong.append(f"{vector.name}: DIRTY: {dirt[0]}")
            if len(bodies) > len(vector.bodies):
                smuggled += 1
            if bodies != vector.bodies:
                wrong.append(f"{vector.name}: the target got the bodies {bodies[:4]}, not {vector.bodies}")
        origin.close()
    print(f"# {mode}: {len(VECTORS)} vectors, {dirty} dirty, {smuggled} smuggled, {len(wrong)} not as expected")
    assert len(VECTORS) >= expected_count
    assert not wrong, "\n".join(wrong)


@test
def no_vector_reaches_a_target_dirty_or_smuggled():
    run_all("defensive", lambda v: v, whole, 300)


@test
def the_same_byte_by_byte():
    run_all("defensive", lambda v: v, bytewise, 300)


@test
def strictest_mode_refuses_all_that_is_not_compliant():
    run_all("strictest", in_strictest, whole, 300)


@test
def monitor_mode_forwards_what_has_one_meaning():
    run_all("monitor", in_monitor, whole, 300)


@test
def what_is_not_compliant_is_counted():
    """DesyncMitigationMode_NonCompliant_Request_Count: acceptable, ambiguous and severe requests, each once; a request
    that is too large or asks for what is not served is none."""
    port = free_port()
    origin = Origin()
    with Box(1) as box:
        box.publish(simple(port, [target(origin.port)]))
        before = 0
        for verdict in ("compliant", "acceptable", "ambiguous", "severe"):
            chosen = [v for v in VECTORS if v.verdict == verdict and v.kind in ("reject", "serve") and
                      not v.name.startswith("pipeline")][:12]
            for vector in chosen:
                assert play(port, vector, vector.codes, vector.closes, whole) is None, vector.name
            now = box.lb_stats()["NON_COMPLIANT"]
            assert now - before == (0 if verdict == "compliant" else len(chosen)), (verdict, before, now, len(chosen))
            before = now


if __name__ == "__main__":
    main()
