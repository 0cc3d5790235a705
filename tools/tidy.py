#!/usr/bin/env python3
"""clang-tidy over every source file: tools/tidy.py BUILD_DIR JOBS [--deep]. A file whose text, headers and
settings did not change since it was clean is not read again. The path analyzer (clang-analyzer-*) takes most
of the time and runs with --deep (`make lint-deep`)."""
import concurrent.futures, hashlib, json, pathlib, re, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def headers_hash():
    h = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    for path in sorted([*ROOT.glob("src/**/*.h"), *ROOT.glob("tests/**/*.h"), *ROOT.glob("model/*.api")]):
        h.update(path.read_bytes())
    return h.hexdigest()


DEEP = "--deep" in sys.argv


def tidy(build, path):
    checks = [] if DEEP else ["--checks=-clang-analyzer-*"]
    out = subprocess.run(["clang-tidy", "--quiet", *checks, "-p", str(build), str(path)], cwd=ROOT, capture_output=True,
                         text=True)
    lines = [line for line in out.stdout.splitlines() if re.search(r"(warning|error):", line)]
    return path, out.returncode == 0, lines or out.stderr.splitlines()[-5:]


def main():
    build, jobs = ROOT / sys.argv[1], int(sys.argv[2])
    known_path = build / ("tidy-deep.json" if DEEP else "tidy-clean.json")
    known = json.loads(known_path.read_text()) if known_path.exists() else {}
    common = headers_hash()
    listed = {str((build / row["directory"] / row["file"]).resolve()) if not row["file"].startswith("/") else row["file"]
              for row in json.loads((build / "compile_commands.json").read_text())}
    files = sorted(p for p in ROOT.glob("src/**/*.c") if str(p.resolve()) in {str(pathlib.Path(f).resolve()) for f in listed})
    key = {p: hashlib.sha256(common.encode() + p.read_bytes()).hexdigest() for p in files}
    todo = [p for p in files if known.get(str(p.relative_to(ROOT))) != key[p]]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for path, clean, lines in pool.map(lambda p: tidy(build, p), todo):
            if clean:
                known[str(path.relative_to(ROOT))] = key[path]
            else:
                bad += 1
                print("\n".join(lines))
    known_path.write_text(json.dumps(known))
    print(f"clang-tidy: {len(files)} files, {len(todo)} read, {bad} with findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
