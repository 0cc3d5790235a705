"""The proxies that bench/lb_bench.py compares, each with one worker on core 0: our data plane, nginx, HAProxy, and the
floor, a relay that only moves bytes."""
import json, pathlib, re, signal, socket, subprocess, sys, time

RULES = 100
COOKIE_KEY = "00" * 32


def pinned(core, command, **more):
    return subprocess.Popen(["taskset", "-c", str(core), *command], **more)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, name):
    for _ in range(400):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"{name} does not listen on port {port}")


def cpu_us(pid):
    """CPU time of all threads, to the nanosecond where the kernel tells."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1000


def make_certificate(folder):
    """P-256, for 127.0.0.1 and localhost: certificate, key, and both in one file."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", folder / "key.pem", "-out", folder / "certificate.pem", "-days", "30", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True,
                   capture_output=True)
    both = (folder / "certificate.pem").read_text() + (folder / "key.pem").read_text()
    (folder / "both.pem").write_text(both)


class Proxy:
    """origins: TCP ports, or paths of Unix sockets; the second is used with rules."""

    name = ""

    def __init__(self, folder, build, origins, case, wrapper=()):
        self.folder, self.build, self.origins, self.case = folder, build, origins, case
        self.port = free_port()
        self.wrapper = list(wrapper)
        self.start()
        wait_for(self.port, self.name)
        self.pids = self.find_pids()

    def run(self, command, **more):
        self.process = pinned(0, [*self.wrapper, *command], **more)

    def find_pids(self):
        return [self.process.pid]

    def cpu_us(self):
        return sum(cpu_us(p) for p in self.pids)

    def memory_kib(self):
        """PSS and RSS of all its processes."""
        total = {"Pss": 0, "Rss": 0}
        for pid in {self.process.pid, *self.pids}:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            for key in total:
                total[key] += int(re.search(rf"^{key}:\s+(\d+)", text, re.M).group(1))
        return total

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Lb(Proxy):
    name = "lb"

    def target(self, origin):
        return {"host": "unix:" + origin, "port": 0} if isinstance(origin, str) else \
               {"host": "127.0.0.1", "port": origin}

    def snapshot(self):
        case = self.case
        balancer = "loadbalancer/app/b/1"
        is_tls = case["front"] != "plain"
        groups = [{"arn": f"targetgroup/b{i}/1", "name": f"b{i}", "protocol": "HTTP", "isInUse": True,
                   "loadBalancer": balancer, "isCheckEnabled": False, "targets": [self.target(origin)],
                   "attributes": {}}
                  for i, origin in enumerate(self.origins[:2 if case["rules"] else 1])]
        forward = {"type": "forward", "weights": [{"targetGroup": i, "weight": 1} for i in range(len(groups))]}
        rules = [{"arn": "rule/0", "priority": 0, "actions": [forward]}]
        if case["rules"]:
            forward["stickinessSeconds"] = 3600
            fixed = {"type": "fixed-response", "statusCode": "404", "contentType": "text/plain", "messageBody": "no"}
            rules = [{"arn": f"rule/{i + 1}", "priority": i + 1, "actions": [fixed],
                      "conditions": [{"field": "path-pattern", "values": [f"/api/{i}/*"]}]} for i in range(RULES - 1)]
            rules.append({"arn": f"rule/{RULES}", "priority": RULES, "actions": [forward],
                          "conditions": [{"field": "path-pattern", "values": ["/shop/*"]}]})
            rules.append({"arn": "rule/0", "priority": 0, "actions": [fixed]})
        listener = {"arn": "listener/1", "loadBalancer": balancer, "protocol": "HTTPS" if is_tls else "HTTP",
                    "address": "127.0.0.1", "port": self.port, "rules": rules, "attributes": {}}
        if is_tls:
            listener["sslPolicy"] = "ELBSecurityPolicy-TLS13-1-2-2021-06"
            listener["certificates"] = [{"arn": "certificate/1",
                                         "chainPem": (self.folder / "certificate.pem").read_text(),
                                         "keyPem": (self.folder / "key.pem").read_text()}]
        return {"version": 1, "listeners": [listener], "targetGroups": groups, "cookieKey": COOKIE_KEY}

    def start(self):
        self.run([str(self.build / "tests/box/lb_box"), "--workers", "1"], stdin=subprocess.PIPE,
                 stdout=subprocess.DEVNULL, text=True)
        self.process.stdin.write(json.dumps(self.snapshot()) + "\n")
        self.process.stdin.flush()

    def stop(self):
        try:
            self.process.stdin.close()
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            super().stop()


class Nginx(Proxy):
    name = "nginx"
    program = "/usr/sbin/nginx"

    def start(self):
        folder, case = self.folder, self.case
        servers = [f"unix:{o}" if isinstance(o, str) else f"127.0.0.1:{o}" for o in self.origins]
        listen = f"127.0.0.1:{self.port}" + (" ssl http2" if case["front"] == "h2" else
                                             " ssl" if case["front"] == "tls" else "") + " backlog=4096"
        tls = "" if case["front"] == "plain" else f"""
    ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.3;"""
        keep = "keepalive 1024; keepalive_requests 1000000000;"
        upstreams = "".join(f"  upstream origin{i} {{ server {s}; {keep} }}\n" for i, s in enumerate(servers))
        proxy = """proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_max_temp_file_size 0; proxy_buffers 16 16k; proxy_buffer_size 16k;"""
        if case["rules"]:
            extra = """  split_clients $request_id $split { 50% origin0; * origin1; }
  map $cookie_group $pool { origin0 origin0; origin1 origin1; default $split; }\n"""
            locations = "".join(f"    location /api/{i}/ {{ return 404; }}\n" for i in range(RULES - 1))
            locations += f"    location /shop/ {{ proxy_pass http://$pool; {proxy}\n" \
                         '      add_header Set-Cookie "group=$pool; Max-Age=3600"; }\n    location / { return 404; }\n'
        else:
            extra, locations = "", f"    location / {{ proxy_pass http://origin0; {proxy} }}\n"
        conf = folder / "nginx.conf"
        conf.write_text(f"""
worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log crit; daemon off; worker_rlimit_nofile 20000;
events {{ worker_connections 18000; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_buffer_size 64k; client_max_body_size 0;
  keepalive_timeout 600s; http2_max_concurrent_streams 128;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s;
{upstreams}{extra}  server {{ listen {listen};{tls}
{locations}  }} }}
""")
        self.run([self.program, "-p", str(folder), "-c", str(conf)])

    def find_pids(self):
        for _ in range(100):
            out = subprocess.run(["pgrep", "-f", "nginx: worker"], capture_output=True, text=True).stdout.split()
            master = {p for p in out if f"\nPPid:\t{self.master()}\n" in pathlib.Path(f"/proc/{p}/status").read_text()}
            if master:
                return [int(p) for p in master]
            time.sleep(0.02)
        sys.exit("nginx has no worker")

    def master(self):
        return int((self.folder / "nginx.pid").read_text())


class Haproxy(Proxy):
    name = "haproxy"
    program = "/usr/sbin/haproxy"

    def start(self):
        folder, case = self.folder, self.case
        servers = [f"unix@{o}" if isinstance(o, str) else f"127.0.0.1:{o}" for o in self.origins]
        bind = f"127.0.0.1:{self.port}"
        if case["front"] != "plain":
            bind += f" ssl crt {folder}/both.pem alpn {'h2,' if case['front'] == 'h2' else ''}http/1.1 ssl-min-ver TLSv1.3"
        if case["rules"]:
            backends = "".join(f"  http-request return status 404 if {{ path_beg /api/{i}/ }}\n" for i in range(RULES - 1))
            backends += "  http-request return status 404 if !{ path_beg /shop/ }\n  default_backend shop\nbackend shop\n" \
                        "  balance roundrobin\n  cookie group insert indirect nocache\n"
            backends += "".join(f"  server o{i} {s} weight 1 cookie o{i}\n" for i, s in enumerate(servers))
        else:
            backends = f"  default_backend origin\nbackend origin\n  server o {servers[0]}\n"
        conf = folder / "haproxy.cfg"
        conf.write_text(f"""
global
  nbthread 1
  maxconn 9000
  tune.ssl.default-dh-param 2048
defaults
  mode http
  timeout connect 10s
  timeout client 600s
  timeout server 60s
  http-reuse always
  option forwardfor
frontend in
  bind {bind}
  http-request set-header X-Forwarded-Proto {'http' if case['front'] == 'plain' else 'https'}
{backends}""")
        self.run([self.program, "-db", "-q", "-f", str(conf)])


class Floor(Proxy):
    name = "floor"

    def start(self):
        origin = self.origins[0]
        command = [str(self.build / "bench/lb_floor"), str(self.port),
                   f"unix:{origin}" if isinstance(origin, str) else str(origin)]
        if self.case["front"] == "tls":
            command.append(str(self.folder / "both.pem"))
        self.run(command)


PROXIES = {kind.name: kind for kind in (Lb, Floor, Nginx, Haproxy)}


def installed(name):
    program = getattr(PROXIES[name], "program", None)
    return program is None or pathlib.Path(program).exists()
