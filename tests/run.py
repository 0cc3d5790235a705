#!/usr/bin/env python3
"""Runs every test and counts them: `tests/run.py [STAGE ...]`. The last line is "N passed, N failed".

Every test program prints TAP; a check without TAP counts as one test. A stage that cannot run here
says why and what it skipped."""
import concurrent.futures, os, pathlib, re, shutil, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOBS = str(os.cpu_count() or 2)
LOG = pathlib.Path(tempfile.gettempdir()) / f"hitless-tests-{os.getpid()}.log"


class Count:
    passed = failed = skipped = 0
    failures = []


def say(text):
    print(text, flush=True)


def add(name, ok, detail=""):
    if ok:
        Count.passed += 1
    else:
        Count.failed += 1
        Count.failures.append(name)
        say(f"not ok - {name}\n{detail}")


def read_tap(name, out, code):
    """Counts the tests of one program; a program that died before its plan was done has failed."""
    planned = seen = 0
    notes = []
    for line in out.splitlines():
        if re.match(r"1\.\.\d+", line):
            planned = int(line.split()[0][3:])
        elif re.match(r"(not )?ok\b", line):
            seen += 1
            title = f"{name}: {re.sub(r'^(not )?ok [0-9]* *-? *', '', line)}"
            if "# SKIP" in line:
                Count.skipped += 1
                say(f"skipped - {title}")
            else:
                add(title, line.startswith("ok"), "\n".join(notes[-40:]))
            notes = []
        else:
            notes.append(line)
    if seen == 0 or seen < planned or (code != 0 and not Count.failures):
        add(f"{name}: ran to its end ({seen} of {planned} tests, exit {code})", False, "\n".join(notes[-60:]))


def run(command, timeout_s=600, env=None):
    """(exit code, output). A command past its time is killed with its children."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", env={**os.environ, **(env or {})}, start_new_session=True)
    try:
        out, _ = process.communicate(timeout=timeout_s)
        return process.returncode, out
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        out, _ = process.communicate()
        return 124, out + f"\n# took longer than {timeout_s} s"


def check(name, command, timeout_s=600):
    code, out = run(command, timeout_s)
    add(name, code == 0, "\n".join(out.splitlines()[-60:]))
    return code == 0


def build(folder, compiler, *options):
    if shutil.which(compiler) is None:
        say(f"skipped - {folder}: no {compiler} here")
        return False
    launcher = "ccache " if shutil.which("ccache") else ""
    if not (ROOT / folder / "build.ninja").exists():
        env = {"CC": launcher + compiler}
        code, out = run(["meson", "setup", folder, *options], env=env)
        if code != 0:
            add(f"{folder}: meson setup", False, out[-4000:])
            return False
    return check(f"{folder}: compiles without a warning", ["ninja", "-C", folder, "--quiet"], 1500)


def programs(folder, pattern="tests/test_*"):
    return sorted(p for p in (ROOT / folder).glob(pattern) if p.is_file() and os.access(p, os.X_OK))


def run_programs(folder, env=None, only=None, pattern="tests/test_*"):
    for program in programs(folder, pattern):
        if only and program.name not in only:
            continue
        corpus = [str(ROOT / "tests/fuzz" / program.name.replace("fuzz_", "corpus_", 1))] if "fuzz" in pattern else []
        code, out = run([str(program), *corpus], 300, env)
        read_tap(f"{folder}/{program.name}", out, code)


def own_network():
    """What starts a program in a network of its own, where that is allowed: two scripts then never meet at a port."""
    enter = ["unshare", "--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]
    return enter if shutil.which("unshare") and run([*enter, "true"])[0] == 0 else None


def run_script(script, enter, timeout_s):
    started = time.monotonic()
    code, out = run([*enter, sys.executable, str(script)], timeout_s)
    return script, code, out, time.monotonic() - started


def run_scripts(folder, timeout_s=600):
    """Most scripts wait more than they compute, so two run at a time, each in a network of its own. Those that need the
    machine's (Docker) run alone."""
    scripts = sorted((ROOT / "tests" / folder).glob("*_test.py"), key=lambda p: -p.stat().st_size)
    enter = own_network()
    alone = [s for s in scripts if enter is None or re.search(r"\bdocker\b", s.read_text())]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        together = [pool.submit(run_script, s, enter, timeout_s) for s in scripts if s not in alone]
        ended = [*concurrent.futures.as_completed(together), *alone]
        for one in ended:
            script, code, out, took_s = one.result() if one in together else run_script(one, [], timeout_s)
            read_tap(f"{folder}/{script.stem}", out, code)
            say(f"  {folder}/{script.stem}: {took_s:.0f} s")


def c_sources():
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.c", "*.h"], cwd=ROOT,
                         capture_output=True, text=True, check=True).stdout
    return [name for name in out.split() if (ROOT / name).exists()]


def stage_lint():
    check("lint: layers", [sys.executable, "tools/check_layers.py"])
    check("lint: house rules", [sys.executable, "tools/check_source.py"])
    check("lint: the models are as published", [sys.executable, "tools/api_import.py", "--check"])
    if shutil.which("clang-format"):
        check("lint: clang-format", ["clang-format", "--dry-run", "-Werror", *c_sources()])
    if shutil.which("clang-tidy") and build("build", "gcc"):
        check("lint: clang-tidy", [sys.executable, "tools/tidy.py", "build", JOBS], 1500)


def stage_unit():
    if build("build", "gcc"):
        run_programs("build")
        run_programs("build", pattern="tests/fuzz/fuzz_*")
        code, out = run(["build/hitless", "operations"])
        add("docs/operations.md is what the program says", out == (ROOT / "docs/operations.md").read_text(),
            "build/hitless operations > docs/operations.md")


def stage_clang():
    build("build-clang", "clang")


SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}


def stage_asan():
    if build("build-asan", "gcc", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dbuildtype=debug",
             "-Doptimization=1"):
        run_programs("build-asan", SANITIZERS)
        run_programs("build-asan", SANITIZERS, pattern="tests/fuzz/fuzz_*")


def stage_tsan():
    if build("build-tsan", "gcc", "-Db_sanitize=thread", "-Db_lundef=false", "-Dbuildtype=debug", "-Doptimization=1"):
        run_programs("build-tsan", {"TSAN_OPTIONS": "halt_on_error=1"}, only={"test_lb", "test_ev", "test_stats"})


def stage_box():
    if build("build", "gcc"):
        run_scripts("box")


def stage_e2e():
    if build("build", "gcc"):
        run_scripts("e2e", 900)


def stage_crash():
    """Every CRASH_STEP-th fault point, which ones moves with the day; CRASH_STEP=1 takes all (half an hour)."""
    os.environ.setdefault("CRASH_STEP", "12")
    if build("build", "gcc"):
        run_scripts("crash", 1800 if os.environ["CRASH_STEP"] == "1" else 600)


def stage_demo():
    if build("build", "gcc"):
        code, out = run([str(ROOT / "build/hitless"), "demo"], 180)
        say("\n".join(out.splitlines()[-16:]))
        add("demo: the main job ends with no request lost", code == 0, out[-6000:])


STAGES = {"lint": stage_lint, "unit": stage_unit, "clang": stage_clang, "asan": stage_asan, "tsan": stage_tsan,
          "box": stage_box, "e2e": stage_e2e, "crash": stage_crash, "demo": stage_demo}


def stage_fuzz():
    """Not part of `make test`: the corpora are replayed there by the unit tests."""
    env_options = ["-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false"]
    if build("build-fuzz", "clang", *env_options):
        for program in programs("build-fuzz", "tests/fuzz/fuzz_*"):
            corpus = ROOT / "tests/fuzz" / program.name.replace("fuzz_", "corpus_", 1)
            with tempfile.TemporaryDirectory() as found:
                check(f"fuzz: {program.name}", [str(program), "-max_total_time=30", found, str(corpus)], 120)


def main():
    wanted = sys.argv[1:] or list(STAGES)
    table = {**STAGES, "fuzz": stage_fuzz}
    for name in wanted:
        if name not in table:
            sys.exit(f"no stage \"{name}\"; there are: {' '.join(table)}")
    for name in wanted:
        started, before = time.monotonic(), Count.passed
        say(f"== {name}")
        table[name]()
        say(f"== {name}: {Count.passed - before} passed, {time.monotonic() - started:.0f} s")
    for name in Count.failures:
        say(f"FAILED {name}")
    if Count.skipped:
        say(f"{Count.skipped} skipped, each with its reason above")
    say(f"{Count.passed} passed, {Count.failed} failed")
    return 1 if Count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
