#!/usr/bin/env python3
"""What the data plane writes down. Rows: aws-semantics.md 2.10 (access log), "Connection log entries" of the ELB guide."""
import gzip, re, shutil, ssl, tempfile
from rig import *

FIELDS = ("type time elb client target request_time target_time response_time status target_status received sent request "
          "agent cipher protocol group trace domain cert priority created actions redirect error targets statuses "
          "classification reason connection host uri transform").split()
LINE = re.compile(r'"[^"]*"|[^ ]+')
TIME = re.compile(r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
BUCKET = {"access_logs.s3.enabled": "true", "access_logs.s3.bucket": "logs", "access_logs.s3.prefix": "team/web"}


def parse(line):
    fields = LINE.findall(line)
    assert len(fields) == len(FIELDS), (len(fields), line)
    assert " ".join(fields) == line, line
    row = dict(zip(FIELDS, fields))
    for name in ("request agent trace domain cert actions redirect error targets statuses classification reason host uri "
                 "transform").split():
        assert row[name][0] == row[name][-1] == '"', (name, line)
        row[name] = row[name][1:-1]
    assert TIME.match(row["time"]) and TIME.match(row["created"]), line
    assert row["created"] <= row["time"], line
    assert re.fullmatch(r"TID_[0-9a-f]{32}", row["connection"]), line
    return row


class Server(Target):
    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Folder:
    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="observe"))
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)

    def files(self, pattern):
        return sorted(self.path.glob(pattern))

    def lines(self, want, pattern="s3/**/*.log.gz", timeout_s=10):
        """At least so many lines; they are written within a second or so."""
        limit = time.monotonic() + timeout_s
        while True:
            found = []
            for path in self.files(pattern):
                data = path.read_bytes()
                found += (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()
            if len(found) >= want or time.monotonic() > limit:
                return found
            time.sleep(0.1)

    def rows(self, want, **more):
        rows = [parse(line) for line in self.lines(want, **more)]
        assert len(rows) == want, rows
        return rows


def logged(port, rules, groups, attributes=BUCKET):
    arn = f"arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/web/0123456789abcdef/{port:016x}"
    return {"listeners": [{**listener(port, rules, attributes), "arn": arn}], "targetGroups": groups}


@test
def a_forwarded_request_has_all_fields_of_the_list():
    """2.10, fields 1 to 30: order, quotes, times, bytes."""
    port = free_port()
    with Folder() as folder, Server() as t, Box(1, "--folder", str(folder.path)) as box:
        box.publish(logged(port, [rule(0, forward((0, 1)))], [group("blue", [target(t.port)])]))
        wire = connect(port)
        client = wire.socket.getsockname()[1]
        sent = request("POST", "/a/b?x=1&y=%20", headers="User-Agent: curl/8.1 (x)\r\n", body=b"hello")
        wire.send(sent)
        head, body = wire.read_response()
        row, = folder.rows(1)
        path, = folder.files("s3/**/*.log.gz")
        name = str(path.relative_to(folder.path))
        assert re.fullmatch(r"s3/logs/team/web/AWSLogs/123456789012/elasticloadbalancing/eu-west-1/20\d\d/\d\d/\d\d/"
                            r"123456789012_elasticloadbalancing_eu-west-1_app\.web\.0123456789abcdef_"
                            r"20\d{6}T\d\d[0-5][05]Z_127\.0\.0\.1_[0-9a-f]{8}\.log\.gz", name), name
        assert row["type"] == "http" and row["elb"] == "app/web/0123456789abcdef"
        assert row["client"] == f"127.0.0.1:{client}" and row["target"] == row["targets"] == f"127.0.0.1:{t.port}"
        for name in ("request_time", "target_time", "response_time"):
            assert re.fullmatch(r"\d+\.\d{3}", row[name]), row
        assert row["status"] == row["target_status"] == row["statuses"] == "200"
        assert int(row["received"]) == len(sent) and int(row["sent"]) > len(body)
        assert row["request"] == f"POST http://example.com:{port}/a/b?x=1&y=%20 HTTP/1.1", row
        assert row["agent"] == "curl/8.1 (x)" and row["cipher"] == row["protocol"] == "-"
        assert row["group"] == TG.format("blue") and re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", row["trace"])
        assert row["priority"] == "0" and row["actions"] == "forward" and row["redirect"] == "-"
        assert row["classification"] == row["reason"] == "-"


@test
def answers_of_the_balancer_itself_are_logged_with_what_they_are():
    """2.10: -1 where nothing was dispatched; actions, redirect_url, error codes, classification."""
    port, gone = free_port(), free_port()

    def closing(wire, self):
        wire.read_request()

    rules = [rule(1, {"type": "fixed-response", "statusCode": "418", "contentType": "text/plain", "messageBody": "tea"},
                  {"field": "path-pattern", "values": ["/fixed"]}),
             rule(2, {"type": "redirect", "statusCode": "HTTP_301", "protocol": "HTTPS", "host": "#{host}", "port": "443",
                      "path": "/#{path}", "query": "#{query}"}, {"field": "path-pattern", "values": ["/old*"]}),
             rule(3, forward((1, 1)), {"field": "path-pattern", "values": ["/gone"]}),
             rule(4, forward((2, 1)), {"field": "path-pattern", "values": ["/closing"]}),
             rule(0, forward((0, 1)))]
    with Folder() as folder, Server(closing) as c, Box(1, "--folder", str(folder.path)) as box:
        box.publish(logged(port, rules, [group("empty", []), group("gone", [target(gone)]), group("bad", [target(c.port)])]))
        def ask(path, method="GET"):
            return fetch(port, method, path=path)[0].status

        assert ask("/fixed") == 418 and ask("/old?a=b") == 301 and ask("/gone") == 502
        assert ask("/closing") == 502 and ask("/none") == 503 and ask("/", "TRACE") == 405
        wire = connect(port)
        wire.send(b"GET / HTTP/1.1\r\nbad header\r\n\r\n")
        assert wire.read_response()[0].status == 400
        fixed, moved, gone_row, closed, none, trace, bad = folder.rows(7)
        assert (fixed["status"], fixed["actions"], fixed["priority"]) == ("418", "fixed-response", "1")
        assert fixed["target"] == fixed["group"] == fixed["target_status"] == "-" and fixed["request_time"] == "-1"
        assert int(fixed["sent"]) > 50
        assert (moved["status"], moved["actions"]) == ("301", "redirect")
        assert moved["redirect"] == "https://example.com/old?a=b"
        assert (gone_row["status"], gone_row["target_status"], gone_row["group"]) == ("502", "-", TG.format("gone"))
        assert gone_row["request_time"] == gone_row["target_time"] == gone_row["response_time"] == "-1"
        assert closed["status"] == "502" and closed["request_time"] != "-1" and closed["target_time"] == "-1"
        assert closed["target"] == f"127.0.0.1:{c.port}" and int(closed["sent"]) > 100
        assert none["status"] == "503" and none["actions"] == "forward" and none["priority"] == "0"
        assert trace["status"] == "405" and trace["priority"] == "-" and trace["actions"] == "-"
        assert bad["status"] == "400" and bad["request"].endswith("- -") and bad["classification"] == "Severe"
        assert bad["reason"] not in ("", "-")


@test
def nothing_that_a_client_sends_forges_a_field_or_a_line():
    port = free_port()
    with Folder() as folder, Server() as t, Box(1, "--folder", str(folder.path)) as box:
        box.publish(logged(port, [rule(0, forward((0, 1)))], [group("blue", [target(t.port)])]))
        evil = 'x" "y\\" \tz\x80\xff'
        wire = connect(port)
        wire.send(b"GET /q?a=\"b\" HTTP/1.1\r\nHost: e\r\nUser-Agent: " + evil.encode("latin-1") +
                  b"\r\nX-Amzn-Trace-Id: Root=1-2;Evil=\"\r\n\r\n")
        status = wire.read_response()[0].status
        row, = folder.rows(1)
        assert row["status"] == str(status)
        if status == 200:
            assert row["agent"] == r"x\x22 \x22y\x5c\x22 \x09z\x80\xff", row
            assert r"\x22b\x22" in row["request"] and r"Evil=\x22" in row["trace"]


@test
def a_websocket_is_logged_when_it_ends_with_all_its_bytes():
    port = free_port()

    def upgrading(wire, self):
        wire.read_request()
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        wire.exactly(1000)
        wire.send(b"z" * 5000)

    with Folder() as folder, Server(upgrading) as t, Box(1, "--folder", str(folder.path)) as box:
        box.publish(logged(port, [rule(0, forward((0, 1)))], [group("blue", [target(t.port)])]))
        wire = connect(port)
        wire.send(request(headers="Connection: upgrade\r\nUpgrade: websocket\r\n"))
        assert Head(*wire.head()).status == 101
        wire.send(b"y" * 1000)
        assert len(wire.exactly(5000)) == 5000
        wire.close()
        row, = folder.rows(1)
        assert row["type"] == "ws" and row["status"] == row["target_status"] == "101"
        assert int(row["received"]) > 1000 and int(row["sent"]) > 5000


@test
def connections_are_logged_and_a_requests_line_names_its_connection():
    port = free_port()
    attributes = {**BUCKET, "connection_logs.s3.enabled": "true", "connection_logs.s3.bucket": "conns"}
    with Folder() as folder, Server() as t, Box(1, "--folder", str(folder.path)) as box:
        box.publish(logged(port, [rule(0, forward((0, 1)))], [group("blue", [target(t.port)])], attributes))
        wires = [connect(port) for _ in range(3)]
        for wire in wires:
            wire.send(request())
            wire.read_response()
        wires[0].send(request())
        wires[0].read_response()
        conns = folder.lines(3, "s3/conns/**/conn_log.*.gz")
        assert len(conns) == 3, conns
        ids = {}
        for line in conns:
            when, ip, client_port, listener_port, *rest = line.split(" ")
            assert TIME.match(when) and ip == "127.0.0.1" and listener_port == str(port), line
            assert rest[:-1] == ["-"] * 7, line
            ids[client_port] = rest[-1]
        assert len(set(ids.values())) == 3
        rows = folder.rows(4, pattern="s3/logs/**/*.gz")
        for row in rows:
            assert row["connection"] == ids[row["client"].rsplit(":", 1)[1]], row


@test
def over_tls_the_lines_have_cipher_version_name_and_certificate():
    """2.10, fields 1, 15, 16, 19, 20; connection log: handshake, verify status, and handshakes that failed."""
    port = free_port()
    attributes = {**BUCKET, "connection_logs.s3.enabled": "true", "connection_logs.s3.bucket": "conns"}
    arn = "arn:aws:acm:eu-west-1:123456789012:certificate/1"
    with Folder() as folder, Server() as t, Box(1, "--folder", str(folder.path)) as box:
        key, chain = folder.path / "key", folder.path / "chain"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        str(key), "-out", str(chain), "-subj", "/CN=www.example.com", "-addext",
                        "subjectAltName=DNS:www.example.com"], check=True, capture_output=True)
        snapshot = logged(port, [rule(0, forward((0, 1)))], [group("blue", [target(t.port)])], attributes)
        snapshot["listeners"][0].update(protocol="HTTPS", sslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06", certificates=[
            {"arn": arn, "chainPem": chain.read_text(), "keyPem": key.read_text()}])
        box.publish(snapshot)
        context = ssl.create_default_context(cafile=str(chain))
        raw = socket.create_connection(("127.0.0.1", port), 10)
        wire = Wire(context.wrap_socket(raw, server_hostname="www.example.com"))
        cipher, version, _ = wire.socket.cipher()
        for _ in range(2):
            wire.send(request(host="www.example.com"))
            assert wire.read_response()[0].status == 200
        wire.close()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("AES256-SHA@SECLEVEL=0")
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        try:
            old.wrap_socket(socket.create_connection(("127.0.0.1", port), 10))
            raise AssertionError("a cipher that the policy does not have was taken")
        except (ssl.SSLError, OSError):
            pass
        for row in folder.rows(2, pattern="s3/logs/**/*.gz"):
            assert row["type"] == "https" and (row["cipher"], row["protocol"]) == (cipher, version), row
            assert row["domain"] == "www.example.com" and row["cert"] == arn, row
            assert row["request"].startswith(f"GET https://www.example.com:{port}/"), row
        good, bad = [LINE.findall(line) for line in folder.lines(2, "s3/conns/**/conn_log.*.gz")]
        assert len(good) == len(bad) == 12, (good, bad)
        assert good[4:6] == [version, cipher] and 0 <= float(good[6]) < 10 and good[7:11] == ["-", "-", "-", "Success"], good
        assert good[11] == row["connection"], good
        assert bad[6] == "-1" and bad[10].startswith("Failed:") and bad[11] != good[11], bad


@test
def lines_go_to_a_file_and_a_socket_as_well():
    port = free_port()
    with Folder() as folder, Server() as t, Box(2, "--folder", str(folder.path)) as box:
        sink = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sink.bind(str(folder.path / "sock"))
        sink.settimeout(10)
        attributes = {"hitless.access_logs.file": "access", "hitless.access_logs.socket": f"unix:{folder.path}/sock"}
        box.publish(logged(port, [rule(0, forward((0, 1)))], [group("blue", [target(t.port)])], attributes))
        for _ in range(5):
            assert fetch(port)[0].status == 200
        assert len(folder.rows(5, pattern="logs/access")) == 5
        for _ in range(5):
            datagram = sink.recv(65536).decode()
            assert datagram.startswith("<134>1 20"), datagram
            parse(datagram.split(" - access - ", 1)[1])
        os.rename(folder.path / "logs/access", folder.path / "logs/moved")
        assert fetch(port)[0].status == 200
        assert len(folder.rows(1, pattern="logs/access")) == 1  # reopened
        # names that lead elsewhere are left aside
        box.publish(logged(port, [rule(0, forward((0, 1)))], [group("blue", [target(t.port)])],
                           {"hitless.access_logs.file": "../evil"}))
        assert fetch(port)[0].status == 200
        time.sleep(1.5)
        assert not list(folder.path.parent.glob("evil*"))


@test
def every_request_of_a_load_is_logged_once_or_counted_as_dropped():
    port = free_port()
    with Folder() as folder, Server() as t, Box(2, "--folder", str(folder.path)) as box:
        box.publish(logged(port, [rule(0, forward((0, 1)))], [group("blue", [target(t.port)])]))
        load = Load(port, 8)
        time.sleep(1.5)
        load.stop()
        assert load.failures == [], load.failures[:5]
        stats = box.lb_stats()
        want = stats["REQUESTS"] - stats["LOG_LINES_DROPPED"]
        rows = folder.rows(want)
        assert stats["LOG_LINES_DROPPED"] == 0 and stats["REQUESTS"] == load.sent
        assert sum(int(row["sent"]) + int(row["received"]) for row in rows) == stats["PROCESSED_BYTES"]
        box.say("stop 0")  # what waits is written before the process ends


main()
