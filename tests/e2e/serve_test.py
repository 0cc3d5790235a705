#!/usr/bin/env python3
"""`hitless serve` where something is in its way, and where it is told to stop."""
import os, pathlib, shutil, socket, subprocess, sys, tempfile

import rig
from rig import HITLESS, Engine, Load, Shop, free_port, wait_until


class Folder:
    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="hitless-serve-"))

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)


def fails(folder, *options, says, state=None):
    """The engine must end by itself, soon, with this in what it says."""
    command = [str(HITLESS), "serve", "--state", str(state or folder.path / "state"), "--api", f"127.0.0.1:{free_port()}",
               *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert done.returncode != 0, f"{command} ended well"
    assert says in done.stderr, f"wanted {says!r} in {done.stderr[-800:]!r}"
    assert "ready:" not in done.stdout, done.stdout


def test_a_state_folder_has_one_engine(folder):
    engine = Engine()
    try:
        fails(folder, state=engine.state, says="another engine uses the state folder")
        fails(folder, "--api", f"127.0.0.1:{engine.port}", says="Address already in use")
        assert engine.client("ecs").list_clusters()["clusterArns"] == []
    finally:
        engine.close()


def test_what_is_wrong_is_said(folder):
    fails(folder, "--api", "nowhere", says="expected an address and a port")
    fails(folder, "--time-scale", "0", says="expected a whole number")
    fails(folder, "--sideways", says="unknown option")
    (folder.path / "file").write_text("")
    fails(folder, state=folder.path / "file", says="Not a directory")
    for number, text in enumerate(("garbage", "", "[default]\naws_access_key_id = x\n")):
        state = folder.path / f"key-{number}"
        state.mkdir(mode=0o700)
        (state / "credentials").write_text(text)
        os.chmod(state / "credentials", 0o644)
        fails(folder, state=state, says="others may read")
        os.chmod(state / "credentials", 0o600)
        fails(folder, state=state, says="holds no key")
        assert (state / "credentials").read_text() == text, "the file was changed"


def test_a_broken_store_is_not_replaced(folder):
    engine = Engine(state=folder.path / "broken")
    engine.client("ecs").create_cluster(clusterName="kept")
    engine.stop()
    store = next(p for p in engine.state.iterdir() if p.suffix == ".db")
    store.write_bytes(b"garbage!" * 600)
    fails(folder, state=engine.state, says="not a database")
    assert store.read_bytes() == b"garbage!" * 600


def test_garbage_on_the_api_port_harms_nobody(folder):
    engine = Engine()
    try:
        for bytes_sent in (b"\x16\x03\x01\x00\xa5", b"A" * 100_000, b"\0" * 1000, b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
                           b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", engine.port), timeout=10) as s:
                s.sendall(bytes_sent)
                try:
                    answer = s.recv(100)
                except ConnectionResetError:
                    continue
                assert answer == b"" or answer[9:10] in b"45", answer
        assert engine.client("sts").get_caller_identity()["Account"]
    finally:
        engine.close()


def test_stopping_answers_no_request_with_an_error(folder):
    engine = Engine(time_scale=20)
    try:
        shop = Shop(engine, name="stops", desired=2)
        load = Load(shop.address, rate=300)
        wait_until("some load", lambda: pathlib.Path(load.file.name).stat().st_size > 0, 10)
        assert engine.stop() == 0
        account = load.stop()
        assert account["by_status"]["5xx"] == 0, account
        assert account["by_status"]["2xx"] > 0, account
        engine.start()
        shop.ecs = engine.client("ecs")
        assert shop.wait_stable()["runningCount"] == 2
        assert shop.get().status == 200
    finally:
        engine.close()


def test_kept_tasks_are_the_same_after_a_restart(folder):
    engine = Engine("--keep-tasks", time_scale=20)
    try:
        shop = Shop(engine, name="kept", desired=2)
        tasks = set(shop.ecs.list_tasks(cluster=shop.cluster)["taskArns"])
        assert engine.stop() == 0
        engine.options.remove("--keep-tasks")  # the last stop ends them
        engine.start()
        shop.ecs = engine.client("ecs")
        shop.wait_stable()
        assert set(shop.ecs.list_tasks(cluster=shop.cluster)["taskArns"]) == tasks
        assert shop.get().status == 200
    finally:
        engine.close()


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    rig.run_tests([value for name, value in list(globals().items()) if name.startswith("test_")], Folder)
