#!/usr/bin/env python3
"""Programs that people use, as clients (curl, wrk, Node, Chromium) and as targets (nginx, Node). What is not here is
skipped, with a word about it."""
import re, shutil, tempfile
from rig import *

CHROMIUM = next((name for name in ("chromium", "chromium-browser", "google-chrome") if shutil.which(name)), "chromium")


def need(program):
    if shutil.which(program) is None:
        raise Skip(f"there is no {program} here")


def run(*command, timeout_s=60, **more):
    return subprocess.run(command, capture_output=True, timeout=timeout_s, check=True, **more).stdout


def answers(wire, self):
    """Big and small, in every framing."""
    while True:
        head, body = wire.read_request()
        self.count()
        path = head.start.split(" ")[1]
        if path.startswith("/echo"):
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        elif path.startswith("/chunked"):
            wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nhello\r\n" * 3 + b"0\r\n\r\n")
        elif path.startswith("/page"):
            page = b"<html><body><script>document.body.append('made by ' + 'script')</script></body></html>"
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page))
        else:
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class Served:
    def __init__(self, *ports):
        self.port = free_port()
        self.target = None if ports else Target(answers)
        self.box = Box(2)
        self.box.publish(simple(self.port, [target(p) for p in ports or [self.target.port]]))
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.box.__exit__(*error)


@test
def curl_gets_posts_uploads_and_keeps_its_connection():
    need("curl")
    with Served() as s, tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(3 << 20))
        file.flush()
        assert run("curl", "-sS", s.url + "/a", s.url + "/b", s.url + "/chunked", "-w", "%{num_connects}\n") == \
            b"ok1\nok0\nhellohellohello0\n"
        data = open(file.name, "rb").read()
        assert run("curl", "-sS", "--data-binary", "@" + file.name, s.url + "/echo") == data  # Expect: 100-continue
        assert run("curl", "-sS", "-T", file.name, "-H", "Transfer-Encoding: chunked", s.url + "/echo") == data
        assert b"HTTP/1.1 200 OK" in run("curl", "-sSI", s.url + "/")
        assert run("curl", "-sS", "--http1.0", s.url + "/chunked") == b"hellohellohello"
        assert run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "TRACE", s.url) == b"405"
        assert run("curl", "-sS", "--compressed", "--parallel", *[f"{s.url}/{i}" for i in range(50)]) == b"ok" * 50
        assert run("curl", "-sS", "--http2", s.url) == b"ok"  # Upgrade: h2c is not taken


@test
def wrk_sees_no_error():
    need("wrk")
    with Served() as s:
        out = run("wrk", "-t", "1", "-c", "16", "-d", "1s", s.url).decode()
        assert "Non-2xx" not in out and "Socket errors" not in out, out
        done = int(re.search(r"(\d+) requests in", out)[1])
        assert done > 100, out
        assert s.target.requests >= done


@test
def node_is_a_client():
    need("node")
    script = """
      const http = require('http');
      const agent = new http.Agent({keepAlive: true, maxSockets: 4});
      const one = (i) => new Promise((resolve, reject) => {
        const body = 'x'.repeat(i * 997);
        const request = http.request(process.argv[1] + '/echo', {agent, method: 'POST'}, (response) => {
          let got = '';
          response.on('data', (part) => { got += part; });
          response.on('end', () => got === body ? resolve() : reject(new Error('other bytes')));
          response.on('aborted', reject);
        });
        request.on('error', reject);
        request.end(body);
      });
      Promise.all(Array.from({length: 100}, (_, i) => one(i))).then(() => { console.log('all'); process.exit(0); },
                                                                    (e) => { console.log(e); process.exit(1); });
    """
    with Served() as s:
        assert run("node", "-e", script, s.url) == b"all\n"


@test
def node_is_a_target():
    need("node")
    script = """
      const http = require('http');
      http.createServer((request, response) => {
        if (request.url === '/chunked') { response.write('hello'); response.end('hello'); return; }
        if (request.url === '/early') { response.writeEarlyHints({link: '</a>; rel=preload'}); }
        request.pipe(response);
      }).listen(0, '127.0.0.1', function () { console.log(this.address().port); });
    """
    process = subprocess.Popen(["node", "-e", script], stdout=subprocess.PIPE)
    try:
        with Served(int(process.stdout.readline())) as s:
            body = os.urandom(300000)
            assert fetch(s.port, "POST", body=body)[1] == body
            assert fetch(s.port, path="/chunked")[1] == b"hellohello"
            wire = connect(s.port)
            wire.send(request("POST", "/early", body=b"abc"))
            assert wire.head()[0] == "HTTP/1.1 103 Early Hints" and wire.read_response()[1] == b"abc"
            load = Load(s.port, 4, "POST", b"hello")
            time.sleep(1)
            load.stop()
            assert not load.failures and load.sent > 50, (load.failures[:3], load.sent)
    finally:
        process.kill()


@test
def nginx_is_a_target():
    need("nginx")
    port, folder = free_port(), tempfile.mkdtemp()
    open(f"{folder}/file", "wb").write(b"f" * 200000)
    conf = f"""daemon off; master_process off; error_log stderr; pid {folder}/pid; events {{ }}
      http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
              uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 50;
              server {{ listen 127.0.0.1:{port}; root {folder}; location /ok {{ return 200 "ok"; }} }} }}"""
    open(f"{folder}/conf", "w").write(conf)
    os.chmod(folder, 0o755)
    process = subprocess.Popen(["nginx", "-p", folder, "-c", f"{folder}/conf"], stderr=subprocess.DEVNULL)
    try:
        with Served(port) as s:
            limit = time.monotonic() + 10
            while fetch(s.port, path="/ok")[0].status != 200 and time.monotonic() < limit:
                time.sleep(0.05)
            assert fetch(s.port, path="/ok")[1] == b"ok" and fetch(s.port, path="/file")[1] == b"f" * 200000
            wire = connect(s.port)
            for number in range(120):  # nginx closes its connections after 50
                wire.send(request(path="/ok"))
                assert wire.read_response()[1] == b"ok", number
            wire.send(request(path="/file", headers="Range: bytes=0-9\r\n"))
            head, body = wire.read_response()
            assert (head.status, body) == (206, b"f" * 10)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


@test
def chromium_shows_a_page():
    need(CHROMIUM)
    with Served() as s, tempfile.TemporaryDirectory() as folder:
        out = run(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}", "--dump-dom", s.url + "/page")
        assert b"made by script" in out, out[-300:]


if __name__ == "__main__":
    main()
