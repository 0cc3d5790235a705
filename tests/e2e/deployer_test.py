#!/usr/bin/env python3
"""hitless deploy and its sisters against an engine of their own."""
import http.server, json, os, pathlib, signal, subprocess, tempfile, threading, time

from rig import Engine, HITLESS, SHOP_DIR, http_get, run_tests, wait_until

YAML = """app: e2e
services:
  shop:
    image: dir://%(shop)s
    command: [./shop]
    port: 8080
    health: { path: /health, interval: 5s, timeout: 2s }
    count: 2
    stop_timeout: 5s
%(migrations)s
verify:
  - get: /
    json: { .shop: %(word)s }
environments:
  local:
    strategy: rolling
    stop_if: [error_rate > 1%%]
    port: %(port)d
  careful:
    confirm: always
  worded:
    confirm: ship-it
  second:
    after: local
notify: { slack: "%(slack)s" }
"""


class Slack:
    """Takes messages; the first answer may be an error."""

    def __init__(self):
        self.messages, self.failures_left = [], 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                bad = outer.failures_left > 0
                outer.failures_left -= bad
                if not bad:
                    outer.messages.append(json.loads(body)["text"])
                self.send_response(500 if bad else 200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/services/T0/B0/secret"


class Rig:
    def __init__(self):
        self.engine = Engine(time_scale=60)
        self.slack = Slack()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hitless-deployer-"))
        self.write()

    def write(self, **over):
        values = {"shop": SHOP_DIR, "migrations": "", "word": "open", "port": 80, "slack": self.slack.url, **over}
        (self.folder / "hitless.yaml").write_text(YAML % values)

    def run(self, *words, want=0, **options):
        done = self.engine.hitless(*words, cwd=self.folder, **options)
        assert done.returncode == want, f"{words}: exit {done.returncode}, wanted {want}\n{done.stdout}\n{done.stderr}"
        return done

    def deploy(self, version, *words, want=0):
        done = self.run("deploy", "local", *words, "--version", version, "--json", want=want)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def status(self):
        return json.loads(self.run("status", "local", "--json").stdout)

    def load(self, seconds):
        return subprocess.Popen([str(HITLESS), "load", self.status()["url"], "--rate", "300", "--seconds", str(seconds),
                                 "--json"], stdout=subprocess.PIPE, text=True)

    def show_log(self):
        self.engine.show_log()

    def close(self):
        self.engine.close()


def test_a_first_deployment_makes_everything(rig):
    done = rig.run("deploy", "local", "--version", "v1")
    assert "[1/6] preflight" in done.stdout and "released after" in done.stdout, done.stdout
    status = rig.status()
    assert (status["version"], status["running"], status["stable"]) == ("v1", 2, True), status
    assert any("*v1*" in m and "is live in *local*" in m for m in rig.slack.messages), rig.slack.messages


def test_the_same_version_again_is_nothing_to_do(rig):
    lines = rig.deploy("v1")
    assert lines[-1]["type"] == "result" and lines[-1]["outcome"] == "nothing_to_do", lines[-1]
    rig.run("plan", "local", "--version", "v1")
    assert "VERSION: v1 -> v2" in rig.run("plan", "local", "--version", "v2", want=2).stdout


def test_a_second_deployment_loses_nothing(rig):
    load = rig.load(5)
    lines = rig.deploy("v2")
    result = lines[-1]
    assert result["outcome"] == "released" and result["deployment"].startswith("ecs-svc/"), result
    assert [l["step"] for l in lines if l["type"] == "step"] == [1, 2, 3, 4, 5, 6]
    assert json.loads(load.communicate()[0])["failed"] == 0
    assert rig.status()["version"] == "v2"


def test_rollback_brings_the_version_before(rig):
    rig.run("rollback", "local")
    assert rig.status()["version"] == "v1"
    rig.run("rollback", "local", "--to", "v2")
    assert rig.status()["version"] == "v2"
    rows = [json.loads(l) for l in rig.run("history", "local", "--json").stdout.splitlines()]
    assert [r["version"] for r in rows] == ["v2", "v1", "v2", "v1"], rows


def test_a_good_canary_goes_out(rig):
    load = rig.load(10)
    lines = rig.deploy("v3", "--strategy", "canary")
    weights = {l["new"]["weight"] for l in lines if l["type"] == "progress" and "new" in l}
    assert 10 in weights and 100 in weights, weights
    assert lines[-1]["outcome"] == "released" and ":service-deployment/" in lines[-1]["deployment"]
    assert json.loads(load.communicate()[0])["failed"] == 0


def test_a_bad_canary_is_taken_back_by_its_alarm(rig):
    load = rig.load(8)
    time.sleep(0.5)
    rig.slack.messages.clear()
    rig.slack.failures_left = 1
    result = rig.deploy("v4", "FAIL_EVERY=3", "--strategy", "canary", want=4)[-1]
    assert result["outcome"] == "rolled_back" and result["oldVersion"] == "v3", result
    assert result["alarms"][0]["name"] == "e2e-local-shop-error-rate", result
    assert "Threshold Crossed" in result["alarms"][0]["reason"]
    assert result["serving"].endswith("answers 200"), result
    account = json.loads(load.communicate()[0])
    assert set(account["by_version"]) == {"v3", "v4"} and account["by_version"]["v3"]["server_errors"] == 0, account
    told = [m.split()[0] for m in rig.slack.messages]
    assert told == [":rotating_light:", ":rewind:"], rig.slack.messages


def test_a_version_that_crashes_is_taken_back_with_its_last_words(rig):
    done = rig.run("deploy", "local", "CRASH_AT_START=1", "--version", "v5", want=4)
    for text in ("failed and rolled back", "ended with 1", "BACKEND_URL is not set", "version v3 serves"):
        assert text in done.stdout, (text, done.stdout)
    assert rig.status()["version"] == "v3"


def test_a_failed_verification_takes_the_release_back(rig):
    rig.write(word="closed")
    done = rig.run("deploy", "local", "--version", "v6", want=4)
    assert "expected .shop to be closed, got open" in done.stdout, done.stdout
    rig.write()
    assert rig.status()["version"] == "v3"


def test_a_failed_migration_moves_no_traffic(rig):
    rig.write(migrations="migrations: { command: [/bin/sh, -c, 'echo column missing; exit 7'] }")
    done = rig.run("deploy", "local", "--version", "v7", want=11)
    assert "ended with 7" in done.stdout and "column missing" in done.stdout, done.stdout
    assert rig.status()["version"] == "v3"
    rig.write(migrations="migrations: { command: [/bin/sh, -c, 'echo migrated'] }")
    done = rig.run("deploy", "local", "--version", "v8")
    assert "[4/7] migrate" in done.stdout and "| migrated" in done.stdout, done.stdout
    rig.write()


def test_stop_takes_a_deployment_back_and_a_second_one_is_locked_out(rig):
    first = subprocess.Popen([str(HITLESS), "deploy", "local", "--version", "v9", "--strategy", "canary", "--json"],
                             cwd=rig.folder, env=rig.engine.env, stdout=subprocess.PIPE, text=True)
    wait_until("the canary has its share", lambda: not rig.status()["stable"], 20)
    rig.run("deploy", "local", "--version", "v10", want=9)
    rig.run("stop", "local")
    result = json.loads(first.communicate(timeout=60)[0].splitlines()[-1])
    assert first.returncode == 6 and result["outcome"] == "stopped", result
    assert rig.status()["version"] == "v8"


def test_ctrl_c_stops_following_only(rig):
    first = subprocess.Popen([str(HITLESS), "deploy", "local", "--version", "v11", "--strategy", "canary"],
                             cwd=rig.folder, env=rig.engine.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
    wait_until("it is under way", lambda: not rig.status()["stable"], 20)
    first.send_signal(signal.SIGINT)
    out, hint = first.communicate(timeout=30)
    assert first.returncode == 6 and "hitless stop local" in hint, (out, hint)
    wait_until("it ends by itself", lambda: rig.status()["stable"], 60)
    assert rig.status()["version"] == "v11"


def test_an_order_of_environments_is_kept(rig):
    done = rig.run("deploy", "second", "--version", "v12", want=3)
    assert "comes after local, where version v11 is live" in done.stdout, done.stdout


def test_words_that_must_be_typed(rig):
    rig.run("deploy", "worded", "--version", "v1", want=3)
    assert "--yes is refused" in rig.run("deploy", "careful", "--yes", want=1).stderr
    rig.run("deploy", "careful", "--confirm", "wrong", want=3)


def test_what_cannot_run_is_refused_before_anything_changes(rig):
    rig.write(shop=str(rig.folder))
    done = rig.run("deploy", "local", "--version", "v12", want=3)
    assert "cannot be run" in done.stdout, done.stdout
    rig.write()
    assert rig.status()["version"] == "v11"


def test_a_broken_file_tells_every_mistake_with_its_place(rig):
    (rig.folder / "hitless.yaml").write_text("app: e2e\nservices:\n  a: { image: x, prot: 80 }\nenvironments:\n"
                                             "  l: { strategy: cannary }\n")
    done = rig.run("deploy", want=1)
    assert 'hitless.yaml:3:' in done.stderr and 'did you mean "port"' in done.stderr, done.stderr
    assert 'hitless.yaml:5:' in done.stderr and 'did you mean "canary"' in done.stderr, done.stderr
    rig.write()


def test_logs_show_what_tasks_wrote(rig):
    assert "shop v11 listens" in rig.run("logs", "local", "--since", "1h").stdout


def test_init_writes_a_file_that_is_read_and_never_overwrites(rig):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hitless-init-"))
    (folder / "server").write_text("#!/bin/sh\n")
    (folder / "server").chmod(0o755)
    assert rig.engine.hitless("init", cwd=folder).returncode == 0
    assert "command: [./server]" in (folder / "hitless.yaml").read_text()
    assert rig.engine.hitless("init", cwd=folder).returncode == 1
    here = rig.engine.hitless(cwd=folder)
    assert here.returncode == 0 and "hitless deploy local" in here.stdout, here.stdout + here.stderr


def test_every_command_helps_with_an_example(rig):
    for name in ("init", "plan", "deploy", "status", "history", "rollback", "stop", "logs", "schema", "version", "demo"):
        done = rig.engine.hitless(name, "--help")
        assert done.returncode == 0 and "Example:" in done.stdout, name
    json.loads(rig.engine.hitless("schema").stdout)


def test_the_page_of_every_key_is_the_generated_one(rig):
    page = pathlib.Path(__file__).resolve().parent.parent.parent / "docs/configuration.md"
    assert page.read_text() == rig.engine.hitless("schema", "--reference").stdout


if __name__ == "__main__":
    run_tests([f for name, f in list(globals().items()) if name.startswith("test_")], Rig)
