#!/usr/bin/env python3
"""The data plane beside nginx, HAProxy and the floor (a relay that only moves bytes): CPU a request, latency, system
calls, heap allocations, memory.

Everything runs in a network namespace of its own: no packet filter, the same congestion control for all. A proxy alone
on core 0, one worker; load and origins on core 1. Runs alternate between the proxies, and only ratios within one round
are compared: the speed of a machine drifts, and others use it. A run during which others took more than a twelfth of a
core is repeated. One JSON line a figure, medians over the rounds, then the table against what we promise.

    bench/lb_bench.py [--seconds N] [--rounds N] [--build DIR] [--case NAME ...] [--noisy]
"""
import argparse, http.client, json, os, pathlib, re, resource, shutil, socket, ssl, statistics, subprocess, sys, tempfile, time

from lb_proxies import PROXIES, free_port, installed, make_certificate, pinned

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONNECTIONS = 64
OTHERS_MAX = 0.08  # of a core
REPEATS_MAX = 4
IDLE_CONNECTIONS = 8000
OPEN_LOOP_PER_S = 10000
FILES_MAX = 20000


def case(answer=1024, front="plain", post=0, connect=False, unix=False, rules=False, clients=CONNECTIONS, streams=1,
         rate=0, floor=True, goals=()):
    """goals: (peer, must, aim) as ratios of CPU time a request; None: no promise."""
    return {"answer": answer, "front": front, "post": post, "connect": connect, "unix": unix, "rules": rules,
            "clients": clients, "streams": streams, "rate": rate, "floor": floor, "goals": goals}


CASES = {
    "get_1k": case(goals=[("nginx", 0.88, 0.80), ("haproxy", 0.82, 0.75), ("floor", 1.17, 1.08)]),
    "rules_1k": case(rules=True, floor=False, goals=[("nginx", 0.80, 0.72), ("haproxy", 0.85, 0.78)]),
    "get_64k": case(65536, goals=[("nginx", 0.82, 0.75), ("haproxy", 0.62, 0.56), ("floor", 1.15, 1.06)]),
    "get_1m": case(1 << 20, goals=[("nginx", 0.75, 0.68), ("haproxy", 0.50, 0.44)]),
    "post_16k": case(post=16384, goals=[("nginx", 0.78, 0.70), ("haproxy", 0.45, 0.40), ("floor", 1.15, 1.10)]),
    "tls_1k": case(front="tls", goals=[("nginx", 0.88, 0.80), ("haproxy", 0.86, 0.78), ("floor", 1.18, 1.10)]),
    "h2_64x1": case(front="h2", floor=False, goals=[("haproxy", 0.88, 0.78), ("nginx", None, None)]),
    "h2_8x8": case(front="h2", clients=8, streams=8, floor=False,
                   goals=[("haproxy", 0.85, 0.70), ("nginx", 0.60, 0.50)]),
    "tls_connect_1k": case(front="tls", connect=True, floor=False, goals=[("haproxy", 0.88, 0.80), ("nginx", None, None)]),
    "connect_1k": case(connect=True, floor=False, goals=[("nginx", 0.95, 0.90), ("haproxy", None, None)]),
    "unix_1k": case(unix=True, goals=[("nginx", 0.80, 0.70), ("haproxy", None, None), ("floor", None, 1.10)]),
    "open_loop": case(rate=OPEN_LOOP_PER_S, goals=[("nginx", 0.90, 0.83), ("haproxy", None, None), ("floor", None, None)]),
}


def say(**figure):
    print(json.dumps(figure), flush=True)


def path_of(c):
    return "/shop/item" if c["rules"] else "/"


# ---- noise: CPU that nobody of ours used -----------------------------------------------------------------------------

def busy_s():
    fields = [int(f) for f in open("/proc/stat").readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def session_s():
    """CPU of our own processes: all that stand in this network namespace."""
    here, total = os.readlink("/proc/self/ns/net"), 0
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                if os.readlink(f"/proc/{pid}/ns/net") == here:
                    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
                    total += int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])
            except OSError:
                pass
    return total / os.sysconf("SC_CLK_TCK")


# ---- load ------------------------------------------------------------------------------------------------------------

def to_us(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def ask(proxy, connection=None):
    """One request; the cookies that came with its answer."""
    c = proxy.case
    if connection is None:
        if c["front"] == "plain":
            connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        else:
            loose = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=10, context=loose)
    connection.request("GET", path_of(c), headers={"Host": "localhost"})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        sys.exit(f"{proxy.name} answers {answer.status} to {path_of(c)}")
    return [v.split(";")[0] for k, v in answer.getheaders() if k.lower() == "set-cookie"]


def wrk(proxy, folder, seconds):
    c = proxy.case
    script = folder / "wrk.lua"
    text = 'wrk.headers["Connection"] = "close"\n' if c["connect"] else ""
    if c["post"]:
        text += f'wrk.method = "POST"\nwrk.body = string.rep("x", {c["post"]})\n'
    if c["rules"]:
        text += f'wrk.headers["Cookie"] = "{"; ".join(ask(proxy))}"\n'
    script.write_text(text)
    scheme = "http" if c["front"] == "plain" else "https"
    out = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", f"-c{c['clients']}", "--latency", f"-d{seconds}", "-s",
                          str(script), f"{scheme}://127.0.0.1:{proxy.port}{path_of(c)}"], capture_output=True,
                         text=True).stdout
    errors = re.search(r"Socket errors: (.*)", out)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return {"requests": int(re.search(r"(\d+) requests in", out).group(1)),
            "p50_us": to_us(re.search(r"^ +50% +(\S+)", out, re.M).group(1)),
            "p99_us": to_us(re.search(r"^ +99% +(\S+)", out, re.M).group(1)),
            "errors": (errors.group(1) if errors else "") + (f" {bad.group(1)} bad" if bad else "")}


def h2load(proxy, folder, seconds):
    """Over HTTP/2, and at a fixed rate."""
    c = proxy.case
    log = folder / "h2load.log"
    log.unlink(missing_ok=True)
    command = ["taskset", "-c", "1", "h2load", f"-c{c['clients']}", f"-m{c['streams']}", "-t1", f"-D{seconds}",
               f"--log-file={log}"]
    if c["rate"]:
        command += ["--h1", f"--rps={c['rate'] / c['clients']:.4f}"]
    scheme = "http" if c["front"] == "plain" else "https"
    out = subprocess.run([*command, f"{scheme}://127.0.0.1:{proxy.port}{path_of(c)}"], capture_output=True,
                         text=True).stdout
    took, bad = [], 0
    with open(log) as lines:
        for line in lines:
            _, status, us = line.split("\t")
            took.append(int(us))
            bad += status != "200"
    took.sort()
    if not took:
        sys.exit(f"h2load got no answer of {proxy.name}:\n{out}")
    return {"requests": len(took), "p50_us": took[len(took) // 2], "p99_us": took[int(len(took) * 0.99)],
            "errors": f"{bad} bad" if bad else ""}


def one_run(proxy, folder, seconds, is_noise_fine):
    load = h2load if proxy.case["front"] == "h2" or proxy.case["rate"] else wrk
    for attempt in range(REPEATS_MAX):
        busy, ours, cpu, began = busy_s(), session_s(), proxy.cpu_us(), time.monotonic()
        run = load(proxy, folder, seconds)
        # what has ended meanwhile (the load generator) counts for us through its parent
        others = (busy_s() - busy) - (session_s() - ours)
        run["cpu_us"] = (proxy.cpu_us() - cpu) / max(run["requests"], 1)
        run["others"] = max(others, 0) / (time.monotonic() - began)
        if is_noise_fine or run["others"] <= OTHERS_MAX:
            break
    return run


# ---- one case --------------------------------------------------------------------------------------------------------

class Stage:
    """Origins and a folder, for as long as a case runs."""

    def __init__(self, c, build):
        self.c, self.build = c, build

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lb-bench-"))
        self.folder.chmod(0o755)  # nginx serves as another user
        make_certificate(self.folder)
        for name in ("key.pem", "both.pem"):
            (self.folder / name).chmod(0o644)
        self.origins, self.processes = [], []
        for i in range(2 if self.c["rules"] else 1):
            where = str(self.folder / f"origin{i}.sock") if self.c["unix"] else free_port()
            argument = f"unix:{where}" if self.c["unix"] else str(where)
            self.processes.append(pinned(1, [str(self.build / "bench/lb_origin"), argument, str(self.c["answer"])]))
            self.origins.append(where)
            time.sleep(0.2)
            if self.c["unix"]:
                os.chmod(where, 0o666)
        return self

    def proxy(self, name, wrapper=()):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        for f in ("certificate.pem", "key.pem", "both.pem"):
            shutil.copy(self.folder / f, folder / f)
        return PROXIES[name](folder, self.build, self.origins, self.c, wrapper)

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def verdict(value, must, aim):
    if must is None and aim is None:
        return "for comparison"
    if aim is not None and value <= aim:
        return "aim met"
    return "must met" if must is not None and value <= must else "MISSED" if must is not None else "aim missed"


def measure(name, c, names, options, table):
    names = [n for n in names if n != "floor" or c["floor"]]
    with Stage(c, ROOT / options.build) as stage:
        proxies = [stage.proxy(n) for n in names]
        runs = {n: [] for n in names}
        try:
            for proxy in proxies:
                one_run(proxy, stage.folder, 1, True)  # warm
            for _ in range(options.rounds):
                for proxy in proxies:
                    runs[proxy.name].append(one_run(proxy, stage.folder, options.seconds, options.noisy))
        finally:
            for proxy in proxies:
                proxy.stop()
    for n in names:
        figures = {key: round(statistics.median(r[key] for r in runs[n]), 2) for key in ("cpu_us", "p50_us", "p99_us")}
        figures["requests_per_s"] = round(statistics.median(r["requests"] for r in runs[n]) / options.seconds)
        failed = [r["errors"] for r in runs[n] if r["errors"]]
        say(bench="lb", case=name, proxy=n, **figures, rounds=options.rounds,
            others_max=round(max(r["others"] for r in runs[n]), 2), **({"errors": failed} if failed else {}))
    for peer, must, aim in c["goals"]:
        if peer in names:
            ratios = sorted(a["cpu_us"] / b["cpu_us"] for a, b in zip(runs["lb"], runs[peer]))
            row = {"case": name, "against": peer, "ratio": round(statistics.median(ratios), 3),
                   "least": round(ratios[0], 3), "most": round(ratios[-1], 3), "must": must, "aim": aim}
            say(bench="lb", figure="cpu_ratio", **row)
            table.append({**row, "verdict": verdict(row["ratio"], must, aim)})


# ---- exact figures: system calls, allocations, memory ------------------------------------------------------------------

def count_calls(name, c, options, table):
    """System calls a request, by strace's count over a run of known length."""
    limits = {"get_1k": 4.1, "rules_1k": 4.1, "tls_1k": 4.2, "h2_8x8": 2.5}
    with Stage(c, ROOT / options.build) as stage:
        out = stage.folder / "strace"
        proxy = stage.proxy("lb")
        load = h2load if c["front"] == "h2" else wrk
        load(proxy, stage.folder, 1)
        tracer = subprocess.Popen(["strace", "-f", "-c", "-o", str(out), "-p", str(proxy.process.pid)],
                                  stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        requests = load(proxy, stage.folder, 3)["requests"]
        tracer.send_signal(2)
        tracer.wait(10)
        proxy.stop()
        calls = int(re.search(r"^100\.00\s+\S+\s+\S+\s+(\d+)", out.read_text(), re.M).group(1))
    value = calls / max(requests, 1)
    say(bench="lb", case=name, figure="system_calls", unit="1/request", value=round(value, 2))
    table.append({"case": name, "against": "system calls a request", "ratio": round(value, 2), "least": "", "most": "",
                  "must": limits.get(name), "aim": None, "verdict": verdict(value, limits.get(name), None)})


def count_allocations(name, c, options, table):
    with Stage(c, ROOT / options.build) as stage:
        counts = stage.folder / "allocations"
        library = ROOT / options.build / "bench/libcount_alloc.so"
        proxy = stage.proxy("lb", ["env", f"LD_PRELOAD={library}", f"ALLOC_COUNT_FILE={counts}"])
        load = h2load if c["front"] == "h2" else wrk
        load(proxy, stage.folder, 2)
        requests = 0
        values = []
        for _ in range(2):
            proxy.process.send_signal(12)
            time.sleep(0.3)
            values.append(int(counts.read_text().split()[-1]))
            if len(values) == 1:
                requests = load(proxy, stage.folder, 3)["requests"]
        proxy.stop()
    value = (values[1] - values[0]) / max(requests, 1)
    must = 0.01 if c["front"] == "plain" else None  # OpenSSL and nghttp2 have allocations of their own
    say(bench="lb", case=name, figure="allocations", unit="1/request", value=round(value, 4), total=values[1] - values[0],
        requests=requests)
    table.append({"case": name, "against": "allocations a request", "ratio": round(value, 4), "least": "", "most": "",
                  "must": must, "aim": None, "verdict": verdict(value, must, None)})


def hold_idle(proxy, count):
    """Opens connections, each with one request behind it."""
    loose = ssl._create_unverified_context()
    held = []
    for i in range(count):
        s = socket.create_connection(("127.0.0.1", proxy.port), 10, source_address=(f"127.0.1.{i % 4 + 1}", 0))
        if proxy.case["front"] == "tls":
            s = loose.wrap_socket(s, server_hostname="localhost")
        s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got = 0
        while got < proxy.case["answer"]:
            got += len(s.recv(65536))
        held.append(s)
    return held


def measure_memory(kind, c, names, options, table):
    count = IDLE_CONNECTIONS if kind == "plain" else IDLE_CONNECTIONS // 5
    limits = {"plain": (0.39, 0.25), "tls": (15, 2)}[kind]
    for n in names:
        with Stage(c, ROOT / options.build) as stage:
            proxy = stage.proxy(n)
            ask(proxy)
            start = proxy.memory_kib()
            warm = hold_idle(proxy, 256)  # what does not grow with the connections
            for s in warm:
                s.close()
            time.sleep(0.5)
            before = proxy.memory_kib()
            held = hold_idle(proxy, count)
            time.sleep(1)
            per = (proxy.memory_kib()["Pss"] - before["Pss"]) / count
            for s in held:
                s.close()
            proxy.stop()
        say(bench="lb", case=f"idle_{kind}", proxy=n, figure="memory", per_connection_kib=round(per, 3),
            start_rss_kib=start["Rss"], start_pss_kib=start["Pss"], connections=count)
        if n == "lb":
            table.append({"case": f"idle_{kind}", "against": "KiB a connection", "ratio": round(per, 3), "least": "",
                          "most": "", "must": limits[0], "aim": limits[1], "verdict": verdict(per, *limits)})
            if kind == "plain":
                mib = start["Rss"] / 1024
                table.append({"case": "start", "against": "RSS MiB", "ratio": round(mib, 2), "least": "", "most": "",
                              "must": 8, "aim": 5, "verdict": verdict(mib, 8, 5)})


# ---- all -------------------------------------------------------------------------------------------------------------

def print_table(table):
    print("\n| work | against | value | least..most | must | aim | |\n|---|---|---|---|---|---|---|")
    for r in table:
        spread = f"{r['least']}..{r['most']}" if r["least"] != "" else ""
        print(f"| {r['case']} | {r['against']} | {r['ratio']} | {spread} | {r['must'] or ''} | {r['aim'] or ''} | "
              f"{r['verdict']} |")


def enter_namespace():
    """Runs this program again in a network namespace of its own, where that is allowed."""
    if os.environ.get("LB_BENCH_INSIDE") or os.geteuid() != 0 or shutil.which("unshare") is None:
        if not os.environ.get("LB_BENCH_INSIDE"):
            print("# without a network namespace: filters and congestion control of this machine apply", file=sys.stderr)
        return
    os.environ["LB_BENCH_INSIDE"] = "1"
    setup = "ip link set lo up; sysctl -qw net.ipv4.tcp_congestion_control=reno 2>/dev/null; " \
            "sysctl -qw net.ipv4.ip_local_port_range='10240 65000' 2>/dev/null; exec \"$@\""
    os.execvp("unshare", ["unshare", "-n", "sh", "-c", setup, "sh", sys.executable, *sys.argv])


EXACT = ("calls", "allocations", "memory")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", default="build")
    parser.add_argument("--case", action="append", choices=[*CASES, *EXACT])
    parser.add_argument("--noisy", action="store_true", help="take every run, whoever else computes")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed (Debian package wrk)")
    enter_namespace()
    raise_limit()
    names = [n for n in PROXIES if installed(n)]
    for n in set(PROXIES) - set(names):
        print(f"# {n} is not installed", file=sys.stderr)
    table = []
    wanted = options.case or [*CASES, *EXACT]
    for name, c in CASES.items():
        if name in wanted:
            if (c["front"] == "h2" or c["rate"]) and shutil.which("h2load") is None:
                print(f"# {name}: h2load is not installed (Debian package nghttp2-client)", file=sys.stderr)
                continue
            measure(name, c, names, options, table)
    for name in ("get_1k", "rules_1k", "tls_1k", "h2_8x8"):
        if "calls" in wanted and shutil.which("strace"):
            count_calls(name, CASES[name], options, table)
        if "allocations" in wanted:
            count_allocations(name, CASES[name], options, table)
    if "memory" in wanted:
        measure_memory("plain", CASES["get_1k"], [n for n in names if n != "floor"], options, table)
        measure_memory("tls", CASES["tls_1k"], [n for n in names if n != "floor"], options, table)
    print_table(table)


def raise_limit():
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))
    except (ValueError, OSError):
        sys.exit(f"this machine does not allow {FILES_MAX} open files; ulimit -n tells what it allows")


if __name__ == "__main__":
    main()
