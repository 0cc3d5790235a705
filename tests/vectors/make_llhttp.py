#!/usr/bin/env python3
"""Writes tests/vectors/llhttp.jsonl from a checkout of nodejs/llhttp, Node's HTTP parser: `make_llhttp.py CHECKOUT`.
Run by hand; the file is committed.

SOURCE: test/request/*.md and test/response/*.md of https://github.com/nodejs/llhttp, Copyright Fedor Indutny, MIT
licence. Taken are the cases of the strict parser (types request, request-finish, response, response-finish). Left out
are those of its lenient switches, which we do not have, and those that only pause the parser at an event.

A case becomes the bytes and what llhttp makes of them: "bodies", one for each message that was complete, and how it
ended: "ok", "error" with llhttp's sentence, or "upgrade" where it hands the connection over. A request line
without a Host behind it gets one: llhttp does not ask for it, HTTP/1.1 does. "bytes": one character for each byte."""
import json, pathlib, re, sys

OUT = pathlib.Path(__file__).resolve().parent / "llhttp.jsonl"
KINDS = {"request", "request-finish", "response", "response-finish"}
CASE = re.compile(r"<!-- meta=(\{.*?\}) -->\s*^```http\n(.*?)^```$.*?^```log\n(.*?)^```$", re.S | re.M)
UPGRADES = ("22", "23")


def unescape(text):
    """The conventions of their test runner (test/md-test.ts)."""
    text = text.removesuffix("\n")
    text = re.sub(r"\\(\r\n|\r|\n)", "", text)
    text = re.sub(r"\r\n|\r|\n", "\r\n", text)
    for escape, byte in (("r", "\r"), ("n", "\n"), ("t", "\t"), ("f", "\f")):
        text = text.replace("\\" + escape, byte)
    text = re.sub(r"\\x([0-9a-fA-F]+)", lambda m: chr(int(m[1], 16)), text)
    return re.sub(r"\\([0-7]{1,3})", lambda m: chr(int(m[1], 8)), text)


def with_host(text):
    """Host behind every request line of HTTP/1.1 whose head has none."""
    def add(match):
        head = text[match.end():].split("\r\n\r\n", 1)[0]
        return match[0] + ("" if re.search(r"(?im)^host[ \t]*:", head) else "Host: a\r\n")
    return re.sub(r"(?m)^[A-Z-]+ [^\r\n]* HTTP/1\.1\r\n", add, text)


def outcome(log):
    """(bodies of the complete messages, how it ended)"""
    bodies, body, end = [], b"", "ok"
    for line in log.splitlines():
        if match := re.search(r"span\[body\]=(lf|cr)$", line):
            body += b"\n" if match[1] == "lf" else b"\r"
        elif match := re.search(r'span\[body\]="(.*)"$', line):
            part = match[1].replace("\\r", "\r").replace("\\n", "\n").replace("\\t", "\t").replace("\\f", "\f")
            body += part.encode("latin-1", "replace")
        elif "message begin" in line:
            body = b""
        elif "message complete" in line:
            bodies.append(body.decode("latin-1"))
        elif "finish=1" in line:  # the end of the connection completes it
            bodies.append(body.decode("latin-1"))
        elif match := re.search(r'error code=(\d+) reason="(.*)"', line):
            end = "upgrade" if match[1] in UPGRADES else "error: " + match[2]
    return bodies, end


def cases(path):
    text = path.read_text()
    title = ""
    marks = [(m.start(), m[1].strip()) for m in re.finditer(r"(?m)^#+ (.*)$", text)]
    for match in CASE.finditer(text):
        meta = json.loads(match[1])
        title = [name for at, name in marks if at < match.start()][-1]
        if meta.get("type") in KINDS and not {"pause", "skipBody", "skip"} & meta.keys():
            yield meta["type"], title, match[2], match[3]


def main():
    checkout = pathlib.Path(sys.argv[1])
    rows = []
    for path in sorted(checkout.glob("test/request/*.md")) + sorted(checkout.glob("test/response/*.md")):
        for kind, title, source, log in cases(path):
            data = unescape(source)
            if kind.startswith("request"):
                data = with_host(data)
            bodies, end = outcome(log)
            rows.append({"id": f"ll-{len(rows) + 1:03}", "file": f"{path.parent.name}/{path.stem}", "name": title,
                         "kind": kind, "bytes": data.encode().decode("latin-1"), "bodies": bodies, "end": end})
    about = {"made_by": "tests/vectors/make_llhttp.py", "source": "nodejs/llhttp test/request/*.md, test/response/*.md",
             "licence": "MIT, Copyright Fedor Indutny, 2018", "cases": len(rows)}
    OUT.write_text("".join(json.dumps(row) + "\n" for row in [about, *rows]))
    print(f"{OUT.name}: {len(rows)} cases")


if __name__ == "__main__":
    main()
