#!/usr/bin/env python3
"""The data plane beside nginx and HAProxy: CPU a request, requests a second, latency.

Each proxy runs alone on core 0 with one worker; the load (wrk) and the origin share core 1. Runs alternate between the
proxies, and only ratios within one round are compared: the machine's speed drifts, and others use it. One JSON line a
figure: medians over the rounds.

    bench/lb_bench.py [--seconds N] [--rounds N] [--build DIR] [--case NAME ...] [--proxy NAME ...]
"""
import argparse, json, os, pathlib, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONNECTIONS = 64
CASES = {  # body of the answer, body of the request, connection a request, unix-socket target
    "get_1k": (1024, 0, False, False),
    "get_64k": (65536, 0, False, False),
    "get_1m": (1 << 20, 0, False, False),
    "post_16k": (1024, 16384, False, False),
    "connect_1k": (1024, 0, True, False),
    "unix_1k": (1024, 0, False, True),
    "rules": (1024, 0, False, False),  # 100 rules, two weighted groups, clients stay by cookie
}
RULES = 100
CLIENTS = 16  # each with cookies of its own


def pinned(core, command, **more):
    return subprocess.Popen(["taskset", "-c", str(core), *command], **more)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"nothing listens on port {port}")


def cpu_us(pid):
    """CPU time of all threads, to the nanosecond where the kernel tells, else in ticks."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1000


class Proxy:
    def __init__(self, name, folder, build, origin, case):
        self.port = free_port()
        self.name = name
        self.has_rules = case == "rules"
        getattr(self, name)(folder, build, origin)
        wait_for(self.port)
        self.pids = [self.process.pid]
        if name == "nginx":
            self.pids = [int(p) for p in subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True,
                                                         text=True).stdout.split()]

    def lb(self, folder, build, origin):
        host, port = ("unix:" + origin, 0) if isinstance(origin, str) else ("127.0.0.1", origin)
        snapshot = {"version": 1,
                    "listeners": [{"arn": "listener/1", "loadBalancer": "loadbalancer/app/b/1", "protocol": "HTTP",
                                   "address": "127.0.0.1", "port": self.port,
                                   "rules": [{"arn": "rule/0", "priority": 0, "actions": [
                                       {"type": "forward", "weights": [{"targetGroup": 0, "weight": 1}]}]}]}],
                    "targetGroups": [{"arn": "targetgroup/b/1", "name": "b", "protocol": "HTTP", "isInUse": True,
                                      "loadBalancer": "loadbalancer/app/b/1", "isCheckEnabled": False,
                                      "targets": [{"host": host, "port": port}]}]}
        if self.has_rules:
            sticky = [{"type": "forward", "stickinessSeconds": 3600,
                       "weights": [{"targetGroup": 0, "weight": 90}, {"targetGroup": 1, "weight": 10}]}]
            (only,) = snapshot["listeners"]
            only["rules"] = [{"arn": f"rule/{i}", "priority": i, "actions": sticky, "conditions": [
                {"field": "path-pattern", "values": [f"/p{i}/*"]}] if i else []} for i in [*range(1, RULES), 0]]
            snapshot["targetGroups"].append({**snapshot["targetGroups"][0], "arn": "targetgroup/c/1", "name": "c"})
            for group in snapshot["targetGroups"]:
                group["attributes"] = {"stickiness.enabled": "true", "stickiness.type": "lb_cookie"}
        self.process = pinned(0, [str(build / "tests/box/lb_box"), "--workers", "1"], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, text=True)
        self.process.stdin.write(json.dumps(snapshot) + "\n")
        self.process.stdin.flush()

    def nginx(self, folder, build, origin):
        server = f"unix:{origin}" if isinstance(origin, str) else f"127.0.0.1:{origin}"
        conf = folder / "nginx.conf"
        forward = f"""proxy_pass http://{"$backend" if self.has_rules else "origin"}; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto http;
      proxy_max_temp_file_size 0; proxy_buffers 16 16k; proxy_buffer_size 16k;"""
        choice, locations = "", f"location / {{ {forward} }}"
        if self.has_rules:
            keep = f"server {server}; keepalive 1024; keepalive_requests 1000000000;"
            choice = f"""upstream a {{ {keep} }} upstream b {{ {keep} }}
  split_clients "$request_id" $drawn {{ 90% a; * b; }} map $cookie_route $backend {{ default $drawn; a a; b b; }}"""
            forward += ' add_header Set-Cookie "route=$backend; Max-Age=604800; Path=/";'
            locations = "\n".join(f"location {f'/p{i}/' if i else '/'} {{ {forward} }}" for i in range(RULES))
        conf.write_text(f"""
worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log crit; daemon off; worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_buffer_size 64k; client_max_body_size 0;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s;
  upstream origin {{ server {server}; keepalive 1024; keepalive_requests 1000000000; }}
  {choice}
  server {{ listen 127.0.0.1:{self.port} backlog=4096;
    {locations} }} }}
""")
        self.process = pinned(0, ["/usr/sbin/nginx", "-p", str(folder), "-c", str(conf)])

    def haproxy(self, folder, build, origin):
        server = f"unix@{origin}" if isinstance(origin, str) else f"127.0.0.1:{origin}"
        conf = folder / "haproxy.cfg"
        rules, servers = "", f"server o {server}"
        if self.has_rules:
            rules = "\n".join(f"  acl r{i} path_beg /p{i}/\n  use_backend origin if r{i}" for i in range(1, RULES))
            servers = f"cookie SRV insert\n  server a {server} weight 90 cookie a\n  server b {server} weight 10 cookie b"
        conf.write_text(f"""
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  http-reuse always
  option forwardfor
frontend in
  bind 127.0.0.1:{self.port}
  http-request set-header X-Forwarded-Proto http
{rules}
  default_backend origin
backend origin
  {servers}
""")
        self.process = pinned(0, ["/usr/sbin/haproxy", "-db", "-q", "-f", str(conf)])

    def stop(self):
        self.process.send_signal(signal.SIGTERM if self.name != "lb" else signal.SIGINT)
        self.process.wait(10)


def to_us(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def one_run(proxy, folder, case, seconds):
    _, body, is_connect, _ = CASES[case]
    script = folder / "wrk.lua"
    if proxy.has_rules:
        cookies = ", ".join(f'"{cookies_of(proxy.port)}"' for _ in range(CLIENTS))
        script.write_text(f"""local cookies = {{ {cookies} }}
local all, at = {{}}, 0
init = function(args)
  for i = 1, {RULES * CLIENTS} do
    all[i] = wrk.format("GET", "/p" .. (i * 37 % {RULES}) .. "/x", {{ Cookie = "theme=dark; " .. cookies[i % {CLIENTS} + 1] }})
  end
end
request = function() at = at % #all + 1; return all[at] end
""")
        return load(proxy, script, seconds)
    text = 'wrk.headers["Connection"] = "close"\n' if is_connect else ""
    if body:
        text += f'wrk.method = "POST"\nwrk.body = string.rep("x", {body})\n'
    script.write_text(text)
    return load(proxy, script, seconds)


def cookies_of(port):
    """What a browser sends back."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/p1/x") as answer:
        return "; ".join(line.split(";")[0] for line in answer.headers.get_all("Set-Cookie"))


def load(proxy, script, seconds):
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", "--latency", "-s", str(script)]
    url = f"http://127.0.0.1:{proxy.port}/"
    subprocess.run([*command, "-d1", url], capture_output=True)
    before = sum(cpu_us(p) for p in proxy.pids)
    out = subprocess.run([*command, f"-d{seconds}", url], capture_output=True, text=True).stdout
    used = sum(cpu_us(p) for p in proxy.pids) - before
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    errors = re.search(r"Socket errors: (.*)", out)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return {"cpu_us": used / requests, "requests_per_s": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
            "p50_us": to_us(re.search(r"^ +50% +(\S+)", out, re.M).group(1)),
            "p99_us": to_us(re.search(r"^ +99% +(\S+)", out, re.M).group(1)),
            "errors": (errors.group(1) if errors else "") + (f" {bad.group(1)} bad" if bad else "")}


def say(**figure):
    print(json.dumps(figure), flush=True)


def measure(case, names, build, rounds, seconds):
    size, _, _, is_unix = CASES[case]
    with tempfile.TemporaryDirectory(prefix="lb-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # nginx serves as another user
        where = str(folder / "origin.sock") if is_unix else free_port()
        argument = f"unix:{where}" if is_unix else str(where)
        origin = pinned(1, [str(build / "bench/lb_origin"), argument, str(size)])
        time.sleep(0.2)
        os.chmod(where, 0o666) if is_unix else None
        proxies = [Proxy(n, folder, build, where, case) for n in names]
        runs = {n: [] for n in names}
        try:
            for _ in range(rounds):
                for proxy in proxies:
                    runs[proxy.name].append(one_run(proxy, folder, case, seconds))
        finally:
            for proxy in proxies:
                proxy.stop()
            origin.kill()
            origin.wait()
    for n in names:
        for key, unit in (("cpu_us", "us/request"), ("requests_per_s", "1/s"), ("p50_us", "us"), ("p99_us", "us")):
            say(bench="lb", case=case, proxy=n, figure=key, unit=unit, rounds=rounds,
                value=round(statistics.median(r[key] for r in runs[n]), 2))
        failed = [r["errors"] for r in runs[n] if r["errors"]]
        if failed:
            say(bench="lb", case=case, proxy=n, figure="errors", value=failed)
    for other in names[1:]:
        ratios = [ours["cpu_us"] / theirs["cpu_us"] for ours, theirs in zip(runs[names[0]], runs[other])]
        say(bench="lb", case=case, figure=f"cpu_ratio_to_{other}", value=round(statistics.median(ratios), 3),
            all=[round(r, 3) for r in ratios])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build", default="build")
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--proxy", action="append", default=None)
    options = parser.parse_args()
    names = ["lb"] + [n for n in ("nginx", "haproxy") if options.proxy is None or n in options.proxy]
    for n in list(names[1:]):
        if not pathlib.Path(f"/usr/sbin/{n}").exists():
            print(f"# {n} is not installed", file=sys.stderr)
            names.remove(n)
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed (Debian package wrk)")
    for case in options.case or CASES:
        measure(case, names, ROOT / options.build, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
