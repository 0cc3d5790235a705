#!/usr/bin/env python3
"""House rules that no compiler knows: banned functions (tools/banned.txt), sizes, header comments,
headers that stand alone, loose ends, names of other people's machines.

A waiver is a comment on the same line, /* lint: NAME */; a waiver that waives nothing is an error."""
import pathlib, re, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE_LINES_MAX = 800
LOOSE_ENDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns], cwd=ROOT,
                         capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in out.split("\n") if name and (ROOT / name).exists()]


def load_banned():
    rules = []
    for line in (ROOT / "tools/banned.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, allowed, reason = [part.strip() for part in line.split("|")]
            rules.append((name, re.compile(rf"(?<![\w.>]){name}\s*\("), allowed.split(), reason))
    return rules


def strip_comments_and_strings(text):
    pattern = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def check_banned(path, text, rules):
    bad = []
    name = str(path.relative_to(ROOT))
    for number, (raw, code) in enumerate(zip(text.splitlines(), strip_comments_and_strings(text).splitlines()), 1):
        waived = set(re.findall(r"/\* lint: (\w+)", raw))
        used = set()
        for function, pattern, allowed, reason in rules:
            if not pattern.search(code) or any(name.startswith(a) for a in allowed):
                continue
            if function in waived:
                used.add(function)
            else:
                bad.append(f"{name}:{number}: {function}() is not used here: {reason}")
        for function in waived - used:
            bad.append(f"{name}:{number}: the waiver for {function} waives nothing")
    return bad


def check_text(path, text):
    name = str(path.relative_to(ROOT))
    bad = []
    lines = text.splitlines()
    if len(lines) > FILE_LINES_MAX and path.suffix in (".c", ".h"):
        bad.append(f"{name}: {len(lines)} lines; a file has at most {FILE_LINES_MAX}")
    for number, line in enumerate(lines, 1):
        if LOOSE_ENDS.search(line) and "check_source" not in name:
            bad.append(f"{name}:{number}: a loose end: {line.strip()[:80]}")
    if path.suffix == ".h" and "#pragma once" not in text:
        bad.append(f"{name}: no #pragma once")
    if path.suffix == ".h" and "/*" not in text:
        bad.append(f"{name}: a header without a word about what it is for")
    return bad


def main():
    rules = load_banned()
    bad = []
    count = 0
    for path in tracked("src/*.c", "src/*.h", "tests/*.c", "tests/*.h", "bench/*.c"):
        text = path.read_text()
        count += 1
        bad += check_text(path, text)
        bad += check_banned(path, text, rules)
    print("\n".join(bad) if bad else f"source: {count} files keep the house rules")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
