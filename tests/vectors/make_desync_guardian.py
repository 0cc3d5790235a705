#!/usr/bin/env python3
"""Writes tests/vectors/desync_guardian.jsonl from a checkout of aws/http-desync-guardian, the classifier behind ALB's
desync mitigation: `make_desync_guardian.py CHECKOUT`. Run by hand; the file is committed.

SOURCE: tests/*.yaml of https://github.com/aws/http-desync-guardian, Copyright Amazon.com, Inc. or its affiliates,
Apache License 2.0. There a case is a request that was parsed already; here it is one line of bytes:

  METHOD SP URI SP VERSION CRLF, Host (where the case has none: the guardian does not ask for it, HTTP/1.1 does),
  NAME ":" SP VALUE CRLF for each header, CRLF

Characters beyond ASCII are UTF-8, as in their own test run. "bytes": one character for each byte."""
import json, pathlib, sys

import yaml

OUT = pathlib.Path(__file__).resolve().parent / "desync_guardian.jsonl"
FILES = ["rfc-compliant", "more-compliant-tests", "acceptable", "ambiguous", "severe", "bad-header-characters",
         "uri-specific-test-cases", "edge-cases", "real-life-test-cases", "single-case"]
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def unescape(text):
    """Backslash escapes that YAML left alone, as their test run reads them."""
    out, at = "", 0
    text = "" if text is None else str(text)
    while at < len(text):
        if text[at] != "\\":
            out, at = out + text[at], at + 1
        elif text[at + 1] == "x":
            out, at = out + chr(int(text[at + 2:at + 4], 16)), at + 4
        else:
            out, at = out + ESCAPES.get(text[at + 1], text[at + 1]), at + 2
    return out


def raw(case):
    headers = [(unescape(h["name"]), unescape(h["value"])) for h in case["headers"] or []]
    version = unescape(case["version"])
    lines = [" ".join([unescape(case["method"]), unescape(case["uri"])] + ([version] if version else []))]
    if version.startswith("HTTP/1.") and not any(name.lower() == "host" for name, _ in headers):
        lines.append("Host: a")
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def main():
    checkout = pathlib.Path(sys.argv[1])
    rows = []
    for file in FILES:
        for case in yaml.safe_load((checkout / "tests" / f"{file}.yaml").read_text()):
            rows.append({"id": f"dg-{len(rows) + 1:03}", "file": file, "name": str(case["name"]),
                         "bytes": raw(case).decode("latin-1"), "verdict": case["expected"]["tier"],
                         "reason": case["expected"]["reason"]})
    about = {"made_by": "tests/vectors/make_desync_guardian.py", "source": "aws/http-desync-guardian tests/*.yaml",
             "licence": "Apache-2.0, Copyright Amazon.com, Inc. or its affiliates", "cases": len(rows)}
    OUT.write_text("".join(json.dumps(row) + "\n" for row in [about, *rows]))
    print(f"{OUT.name}: {len(rows)} cases")


if __name__ == "__main__":
    main()
