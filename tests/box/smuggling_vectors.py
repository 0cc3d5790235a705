"""Requests as raw bytes for smuggling_test.py: each class of attack that makes two servers see different requests.

  reject(code)              answered with the code and the connection closed; no whole request reaches a target
  serve(*bodies)            that many requests reach targets, each with that body, and are answered; the connection
                            stays in step
  serve(..., closes=True)   the same, and the connection is closed behind them: what follows is never read
  answer(code)              answered by the balancer; the connection stays in step
  wait()                    not complete: nothing is answered, nothing whole reaches a target

verdict is what desync mitigation calls the (first) request; strictest mode refuses all that is not compliant."""
import collections

Vector = collections.namedtuple("Vector", "name data kind codes bodies closes verdict")
VECTORS = []
END = b"\r\n\r\n"


def add(name, data, expected, verdict=None):
    kind, codes, bodies, closes = expected
    if verdict is None:
        verdict = "severe" if kind == "reject" else "compliant"
    assert all(v.name != name for v in VECTORS), name
    VECTORS.append(Vector(name, data, kind, codes, bodies, closes, verdict))


def reject(code=400):
    return "reject", [code], [], True


def serve(*bodies, closes=False):
    return "serve", [200] * len(bodies), list(bodies), closes


def answer(code):
    return "answer", [code], [], False


def wait():
    return "wait", [], [], False


def head(*lines, line=b"POST / HTTP/1.1", host=b"Host: a"):
    return b"\r\n".join([line] + ([host] if host else []) + list(lines)) + END


GET = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
TE_BODY = b"3\r\nabc\r\n0\r\n\r\n"
AMBIGUOUS = dict(verdict="ambiguous")
ACCEPTABLE = dict(verdict="acceptable")

# ---- both framings --------------------------------------------------------------------------------------------------
add("cl.te: length, then chunks", head(b"Content-Length: 6", CHUNKED) + b"0\r\n\r\nG", serve(b"", closes=True), **AMBIGUOUS)
add("te.cl: chunks, then length", head(CHUNKED, b"Content-Length: 4") + TE_BODY, serve(b"abc", closes=True), **AMBIGUOUS)
add("cl.te: what is pipelined behind is not read", head(CHUNKED, b"Content-Length: 5") + b"0\r\n\r\n" + GET,
    serve(b"", closes=True), **AMBIGUOUS)
add("te.cl: a hidden request in the chunk", head(CHUNKED, b"Content-Length: 4") + b"1f\r\n" + GET[:31] + b"\r\n0\r\n\r\n",
    serve(GET[:31], closes=True), **AMBIGUOUS)
add("cl.te: length 0", head(b"Content-Length: 0", CHUNKED) + TE_BODY, serve(b"abc", closes=True), **AMBIGUOUS)
add("cl.te: bad length", head(b"Content-Length: x", CHUNKED) + TE_BODY, reject())
add("identity with a length", head(b"Transfer-Encoding: identity", b"Content-Length: 3") + b"abc" + GET,
    serve(b"abc", closes=True), **AMBIGUOUS)
add("identity alone", head(b"Transfer-Encoding: identity") + GET, serve(b"", closes=True))
add("te in http/1.0", head(CHUNKED, b"Connection: keep-alive", line=b"POST / HTTP/1.0") + TE_BODY + GET,
    serve(b"abc", closes=True), **AMBIGUOUS)
add("te and cl in http/1.0", head(CHUNKED, b"Content-Length: 3", line=b"POST / HTTP/1.0") + TE_BODY + GET,
    serve(b"abc", closes=True), **AMBIGUOUS)

# ---- transfer-encoding in disguise ----------------------------------------------------------------------------------
for label, value in {"x before": b"xchunked", "x behind": b"chunkedx", "quoted": b'"chunked"', "single quotes": b"'chunked'",
                     "vt before": b"\x0bchunked", "ff before": b"\x0cchunked", "vt behind": b"chunked\x0b",
                     "nbsp before": b"\xa0chunked", "nbsp behind": b"chunked\xa0", "comma before": b",chunked",
                     "comma behind": b"chunked,", "empty": b"", "cow": b"cow", "chunked cow": b"chunked cow",
                     "cow chunked": b"cow, chunked", "x-gzip": b"x-gzip, chunked", "semicolon": b"chunked;",
                     "plus": b"+chunked", "dot": b"chunked.", "brackets": b"[chunked]", "utf-8": b"ch\xc3\xbcnked",
                     "dotless": b"chunk\xc4\xb1d", "backspace": b"chunkedd\x08", "del": b"chunked\x7f",
                     "c1": b"chunked\x85", "zero width": b"\xe2\x80\x8bchunked"}.items():
    code = 501 if label == "semicolon" else 400
    add(f"te value: {label}", head(b"Transfer-Encoding: " + value) + TE_BODY, reject(code),
        verdict="compliant" if code == 501 else "severe")
for label, value in {"gzip": b"gzip", "gzip first": b"gzip, chunked", "chunked first": b"chunked, gzip",
                     "identity first": b"identity, chunked", "chunked then identity": b"chunked, identity",
                     "parameter": b"chunked;a=b", "identity twice": b"identity, identity"}.items():
    add(f"te value: {label}", head(b"Transfer-Encoding: " + value) + TE_BODY, reject(501), verdict="compliant")
add("te value: upper case", head(b"Transfer-Encoding: CHUNKED") + TE_BODY, serve(b"abc"))
add("te value: tab before", head(b"Transfer-Encoding:\tchunked") + TE_BODY, serve(b"abc"))
add("te value: blanks around", head(b"Transfer-Encoding: \t chunked \t ") + TE_BODY, serve(b"abc"))
add("te value: no space", head(b"Transfer-Encoding:chunked") + TE_BODY, serve(b"abc"))
add("te name: upper case", head(b"TRANSFER-ENCODING: chunked") + TE_BODY, serve(b"abc"))
add("te twice", head(CHUNKED, CHUNKED) + TE_BODY, reject())
add("te twice in one line", head(b"Transfer-Encoding: chunked, chunked") + TE_BODY, reject())
add("te chunked and identity in two lines", head(CHUNKED, b"Transfer-Encoding: identity") + TE_BODY, reject(501),
    verdict="compliant")
add("te chunked and a cow in two lines", head(CHUNKED, b"Transfer-Encoding: cow") + TE_BODY, reject())
add("te folded value", head(b"Transfer-Encoding:\r\n chunked") + TE_BODY, reject())
add("te behind a fold", head(b"X: y\r\n Transfer-Encoding: chunked") + TE_BODY, reject())
add("te line begins with a space", b"POST / HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: a\r\n\r\n" + TE_BODY, reject())
for label, name in {"space": b"Transfer-Encoding ", "tab": b"Transfer-Encoding\t", "underscore": b"Transfer_Encoding",
                    "control": b"\x01Transfer-Encoding", "space inside": b"Transfer- Encoding",
                    "two hyphens": b"Transfer--Encoding", "dotless i": b"Transfer-Encod\xc4\xb1ng",
                    "long s": b"Tran\xc5\xbffer-Encoding", "nbsp": b"\xa0Transfer-Encoding", "dot": b"Transfer.Encoding",
                    "no hyphen": b"TransferEncoding", "quote": b'"Transfer-Encoding"'}.items():
    add(f"te look-alike: {label}", head(name + b": chunked") + b"", serve(b"", closes=True), **AMBIGUOUS)
    add(f"te look-alike beside a length: {label}", head(name + b": chunked", b"Content-Length: 3") + b"abc" + GET,
        serve(b"abc", closes=True), **AMBIGUOUS)
add("te look-alike beside the real one", head(b"Transfer_Encoding: cow", CHUNKED) + TE_BODY, reject())

# ---- content-length -------------------------------------------------------------------------------------------------
for label, value in {"plus": b"+3", "minus": b"-3", "hex": b"0x3", "underscore": b"1_0", "space inside": b"3 3",
                     "list": b"3, 3", "list of others": b"3, 4", "empty": b"", "float": b"3.0", "exponent": b"3e0",
                     "quoted": b'"3"', "overflow": b"18446744073709551616", "wraps to 3": b"18446744073709551619",
                     "2^63": b"9223372036854775808", "huge": b"9" * 60, "nul": b"3\x00", "vt": b"\x0b3", "nbsp": b"3\xa0",
                     "semicolon": b"3;", "letter": b"3a", "arabic": b"\xd9\xa3", "comma": b"3,", "octal": b"0o3"}.items():
    add(f"cl value: {label}", head(b"Content-Length: " + value) + b"abc", reject())
add("cl value: leading zeros", head(b"Content-Length: 0003") + b"abc", serve(b"abc"))
add("cl value: blanks around", head(b"Content-Length: \t 3 \t") + b"abc", serve(b"abc"))
add("cl twice, equal", head(b"Content-Length: 3", b"Content-Length: 3") + b"abc" + GET, serve(b"abc", closes=True), **AMBIGUOUS)
add("cl twice, different", head(b"Content-Length: 3", b"Content-Length: 4") + b"abcd", reject())
add("cl twice, 0 and 3", head(b"Content-Length: 0", b"Content-Length: 3") + b"abc", reject())
add("cl three times", head(*[b"Content-Length: 3"] * 3) + b"abc", serve(b"abc", closes=True), **AMBIGUOUS)
add("cl twice in number, not in writing", head(b"Content-Length: 3", b"Content-Length: 03") + b"abc",
    serve(b"abc", closes=True), **AMBIGUOUS)
add("cl folded", head(b"Content-Length: 3\r\n 0") + b"abc", reject())
for label, name in {"space": b"Content-Length ", "underscore": b"Content_Length", "control": b"\x01Content-Length",
                    "two hyphens": b"Content--Length", "tab": b"Content-Length\t"}.items():
    add(f"cl look-alike: {label}", head(name + b": 35") + GET, serve(b"", closes=True), **AMBIGUOUS)
    add(f"cl look-alike beside the real one: {label}", head(name + b": 3", b"Content-Length: 3") + b"abc", reject())
add("cl missing in a post", head() + GET, serve(b"", b""))
add("cl longer than what came", head(b"Content-Length: 30") + b"abc", wait())
add("cl shorter than what came", head(b"Content-Length: 3") + b"abcGET / HTTP/9.9\r\n\r\n", ("serve", [200, 505], [b"abc"], True))

# ---- bodies where none is due ---------------------------------------------------------------------------------------
add("get with a length", head(b"Content-Length: 3", line=b"GET / HTTP/1.1") + b"abc" + GET, serve(b"abc", closes=True), **AMBIGUOUS)
add("get with length 0", head(b"Content-Length: 0", line=b"GET / HTTP/1.1") + GET, serve(b"", b""), **ACCEPTABLE)
add("get with chunks", head(CHUNKED, line=b"GET / HTTP/1.1") + TE_BODY + GET, serve(b"abc", closes=True), **AMBIGUOUS)
add("delete with a length", head(b"Content-Length: 3", line=b"DELETE / HTTP/1.1") + b"abc" + GET, serve(b"abc", b""))
add("options with chunks", head(CHUNKED, line=b"OPTIONS / HTTP/1.1") + TE_BODY + GET, serve(b"abc", b""))
add("a body that looks like a request", head(b"Content-Length: %d" % len(GET)) + GET + GET, serve(GET, b""))
add("an unknown method with chunks", head(CHUNKED, line=b"BREW /pot HTTP/1.1") + TE_BODY, serve(b"abc"))
add("trace", head(line=b"TRACE / HTTP/1.1"), answer(405))
add("trace with a body", head(b"Content-Length: 3", line=b"TRACE / HTTP/1.1") + b"abc", answer(405))
add("connect", head(line=b"CONNECT a:80 HTTP/1.1", host=b"Host: a:80"), answer(405))

# ---- chunks ---------------------------------------------------------------------------------------------------------
for label, body in {"hex prefix": b"0x3\r\nabc\r\n0\r\n\r\n", "plus": b"+3\r\nabc\r\n0\r\n\r\n", "minus": b"-3\r\nabc\r\n0\r\n\r\n",
                    "space before": b" 3\r\nabc\r\n0\r\n\r\n", "space behind": b"3 \r\nabc\r\n0\r\n\r\n",
                    "tab behind": b"3\t\r\nabc\r\n0\r\n\r\n", "lf behind the size": b"3\nabc\r\n0\r\n\r\n",
                    "cr alone behind the size": b"3\rabc\r\n0\r\n\r\n", "lf behind the data": b"3\r\nabc\n0\r\n\r\n",
                    "nothing behind the data": b"3\r\nabc0\r\n\r\n", "two bytes behind the data": b"3\r\nabcXX0\r\n\r\n",
                    "cr cr behind the data": b"3\r\nabc\r\r0\r\n\r\n", "too much data": b"3\r\nabcd\r\n0\r\n\r\n",
                    "too little data": b"5\r\nabc\r\n0\r\n\r\n", "underscore": b"1_0\r\nabc\r\n0\r\n\r\n",
                    "empty size": b"\r\nabc\r\n0\r\n\r\n", "semicolon alone": b";\r\nabc\r\n0\r\n\r\n",
                    "overflow": b"10000000000000003\r\nabc\r\n0\r\n\r\n", "17 digits": b"00000000000000003\r\nabc\r\n0\r\n\r\n",
                    "2^60 + 1": b"1000000000000001\r\nabc", "quoted": b'"3"\r\nabc\r\n0\r\n\r\n', "letter": b"3g\r\nabc\r\n0\r\n\r\n",
                    "nul": b"3\x00\r\nabc\r\n0\r\n\r\n", "lf in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
                    "cr in an extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n", "lf in a quoted extension": b'3;a="\n"\r\nabc\r\n0\r\n\r\n',
                    "open quotes": b'3;a="b\r\nabc\r\n0\r\n\r\n', "no name": b"3;\r\nabc\r\n0\r\n\r\n",
                    "no value": b"3;a=\r\nabc\r\n0\r\n\r\n", "nul in an extension": b"3;a\x00\r\nabc\r\n0\r\n\r\n",
                    "comma": b"3,3\r\nabc\r\n0\r\n\r\n", "lf at the end": b"3\r\nabc\r\n0\n\n",
                    "lf behind the last": b"3\r\nabc\r\n0\r\n\n", "cr alone at the end": b"3\r\nabc\r\n0\r\n\rX",
                    "full width": b"\xef\xbc\x93\r\nabc\r\n0\r\n\r\n"}.items():
    add(f"chunk: {label}", head(CHUNKED) + body, reject(), verdict="compliant")
add("chunk: extension", head(CHUNKED) + b"3;a=b;c\r\nabc\r\n0;d\r\n\r\n" + GET, serve(b"abc", b""))
add("chunk: quoted extension", head(CHUNKED) + b'3;a="b;\\"c 0"\r\nabc\r\n0\r\n\r\n' + GET, serve(b"abc", b""))
add("chunk: blanks before an extension", head(CHUNKED) + b"3 \t;a\r\nabc\r\n0\r\n\r\n" + GET, serve(b"abc", b""))
add("chunk: leading zeros", head(CHUNKED) + b"0003\r\nabc\r\n000\r\n\r\n" + GET, serve(b"abc", b""))
add("chunk: upper case", head(CHUNKED) + b"A\r\n0123456789\r\n0\r\n\r\n" + GET, serve(b"0123456789", b""))
add("chunk: many small ones", head(CHUNKED) + b"".join(b"1\r\n%c\r\n" % c for c in b"abcdefgh") + b"0\r\n\r\n" + GET,
    serve(b"abcdefgh", b""))
add("chunk: data that looks like an end", head(CHUNKED) + b"7\r\n0\r\n\r\nGE\r\n0\r\n\r\n" + GET, serve(b"0\r\n\r\nGE", b""))
add("chunk: no end", head(CHUNKED) + b"3\r\nabc\r\n", wait())
add("chunk: end without the empty line", head(CHUNKED) + b"0\r\n", wait())

# ---- trailers -------------------------------------------------------------------------------------------------------
for label, line in {"content-length": b"Content-Length: 3", "transfer-encoding": CHUNKED, "host": b"Host: evil",
                    "authorization": b"Authorization: Basic eDp5", "x-forwarded-for": b"X-Forwarded-For: 1.2.3.4",
                    "connection": b"Connection: close", "any": b"X-Sum: 1", "look-alike": b"Content_Length: 3"}.items():
    add(f"trailer: {label}", head(CHUNKED, b"Trailer: x") + b"3\r\nabc\r\n0\r\n" + line + END + GET, serve(b"abc", b""))
add("trailer: lf", head(CHUNKED) + b"0\r\nX: y\n\r\n", reject(), verdict="compliant")
add("trailer: no colon", head(CHUNKED) + b"0\r\nGET / HTTP/1.1\r\n\r\n", reject(), verdict="compliant")
add("trailer: space before the colon", head(CHUNKED) + b"0\r\nX : y\r\n\r\n", reject(), verdict="compliant")
add("trailer: folded", head(CHUNKED) + b"0\r\nX: y\r\n z\r\n\r\n", reject(), verdict="compliant")
add("trailer: nul", head(CHUNKED) + b"0\r\nX: \x00\r\n\r\n", reject(), verdict="compliant")

# ---- lines ----------------------------------------------------------------------------------------------------------
add("header: folded", head(b"X: a\r\n b"), reject())
add("header: folded with a tab", head(b"X: a\r\n\tb"), reject())
add("header: first line folded", b"GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n", reject())
add("header: cr alone in a value", head(b"X: a\rb"), reject())
add("header: cr alone hides a framing", head(b"X: a\rTransfer-Encoding: chunked") + TE_BODY, reject())
add("header: cr cr lf", head(b"X: a\r"), reject())
add("header: nul in a value", head(b"X: a\x00b"), reject())
add("header: nul in a name", head(b"X\x00: a"), reject())
add("header: no colon", head(b"X"), reject())
add("header: a name of nothing", head(b": a"), serve(b"", closes=True), **AMBIGUOUS)
add("header: a colon first", head(b":X: a"), serve(b"", closes=True), **AMBIGUOUS)
add("header: space before the colon", head(b"X-A : b"), serve(b""), **ACCEPTABLE)
add("header: space inside the name", head(b"X A: b"), serve(b""), **ACCEPTABLE)
add("header: control in a name", head(b"X\x01A: b"), serve(b""), **ACCEPTABLE)
add("header: control in a value", head(b"X: a\x01b"), serve(b""), **ACCEPTABLE)
add("header: del in a value", head(b"X: a\x7f"), serve(b""), **ACCEPTABLE)
add("header: 8 bits in a value", head(b"X: \xff\x80"), serve(b""))
add("header: 8 bits in a name", head(b"X-\xfc: a"), serve(b""), **ACCEPTABLE)
add("header: lf ends a line", head(b"X: a\nY: b"), serve(b""), **ACCEPTABLE)
add("header: lf before a framing", head(b"X: a\n" + CHUNKED) + TE_BODY + GET, serve(b"abc", closes=True), **AMBIGUOUS)
add("header: all lines end in lf", b"POST / HTTP/1.1\nHost: a\n\n" + GET, serve(b"", closes=True), **AMBIGUOUS)
add("header: lf ends the head", head().replace(b"\r\n\r\n", b"\r\n\n") + GET, serve(b"", closes=True), **AMBIGUOUS)
add("header: cr alone ends the head", head()[:-2] + b"\rX\n", reject())
add("header: 101 fields", head(*[b"X%d: y" % i for i in range(100)]), reject(), verdict="compliant")
add("header: 100 fields", head(*[b"X%d: y" % i for i in range(99)]), serve(b""))
add("header: one of 16 k and more", head(b"X: " + b"a" * 16384), reject(), verdict="compliant")
add("header: one of nearly 16 k", head(b"X: " + b"a" * 16300), serve(b""))
add("header: 64 k and more", head(*[b"X%d: " % i + b"a" * 13000 for i in range(6)]), reject(), verdict="compliant")

# ---- the request line -----------------------------------------------------------------------------------------------
for label, line in {"two spaces behind the method": b"GET  / HTTP/1.1", "tab behind the method": b"GET\t/ HTTP/1.1",
                    "two spaces before the version": b"GET /  HTTP/1.1", "tab before the version": b"GET /\tHTTP/1.1",
                    "tab in the target": b"GET /a\tb HTTP/1.1", "control in the target": b"GET /\x01 HTTP/1.1",
                    "nul in the target": b"GET /\x00 HTTP/1.1", "cr in the target": b"GET /\rX HTTP/1.1",
                    "del in the target": b"GET /\x7f HTTP/1.1", "fragment": b"GET /#x HTTP/1.1",
                    "no target": b"GET HTTP/1.1", "relative": b"GET a HTTP/1.1", "asterisk": b"GET * HTTP/1.1",
                    "no version": b"GET /", "http/0.9": b"GET / HTTP/0.9", "lower case": b"GET / http/1.1",
                    "http/1": b"GET / HTTP/1", "http/1.10": b"GET / HTTP/1.10", "http/01.1": b"GET / HTTP/01.1",
                    "version twice": b"GET / HTTP/1.1 HTTP/1.1", "words behind": b"GET / HTTP/1.1 x",
                    "comma": b"GET / HTTP/1,1", "method with a slash": b"GET/ / HTTP/1.1", "space first": b" GET / HTTP/1.1",
                    "no method": b" / HTTP/1.1", "method with 8 bits": b"GE\xd4 / HTTP/1.1", "long method": b"A" * 41 + b" / HTTP/1.1",
                    "user information": b"GET http://a@b/ HTTP/1.1", "absolute without a host": b"GET http:///x HTTP/1.1",
                    "other scheme": b"GET ftp://a/ HTTP/1.1", "authority form": b"GET a:80 HTTP/1.1"}.items():
    add(f"line: {label}", head(line=line), reject())
add("line: http/2.0", head(line=b"GET / HTTP/2.0"), reject(505), verdict="compliant")
add("line: http/3.1", head(line=b"GET / HTTP/3.1"), reject(505), verdict="compliant")
add("line: the preface of http/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", reject(505), verdict="compliant")
add("line: http/1.2", head(line=b"GET / HTTP/1.2"), serve(b""), **ACCEPTABLE)
add("line: spaces behind the version", head(line=b"GET / HTTP/1.1  "), serve(b""), **ACCEPTABLE)
add("line: space in the target", head(line=b"GET /a b HTTP/1.1"), serve(b""), **ACCEPTABLE)
add("line: a whole request line in the target", head(line=b"GET /a HTTP/1.1x HTTP/1.1"), reject())
add("line: 16 k target", head(line=b"GET /" + b"a" * 16384 + b" HTTP/1.1"), reject(414), verdict="compliant")
add("line: nearly 16 k target", head(line=b"GET /" + b"a" * 16300 + b" HTTP/1.1"), serve(b""))
add("line: empty line before", b"\r\n" + GET, serve(b""))
add("line: two empty lines before", b"\r\n\r\n" + GET, reject())
add("line: lf before", b"\n" + GET, reject())
add("line: asterisk for options", head(line=b"OPTIONS * HTTP/1.1"), serve(b""))
add("line: tls on a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 32, reject())

# ---- host -----------------------------------------------------------------------------------------------------------
for label, lines in {"missing": [], "twice": [b"Host: a", b"Host: a"], "twice, different": [b"Host: a", b"Host: b"],
                     "space": [b"Host: a b"], "comma": [b"Host: a,b"], "user": [b"Host: u@a"], "slash": [b"Host: a/b"],
                     "query": [b"Host: a?b"], "port with letters": [b"Host: a:8x"], "port too high": [b"Host: a:65536"],
                     "two ports": [b"Host: a:1:2"], "open bracket": [b"Host: [::1"], "bracket text": [b"Host: [::1]a"],
                     "control": [b"Host: a\x01"], "8 bits": [b"Host: \xe9"], "backslash": [b"Host: a\\b"],
                     "folded": [b"Host:\r\n a"], "space before the colon": [b"Host : a"]}.items():
    add(f"host: {label}", head(*lines, line=b"GET / HTTP/1.1", host=b""), reject())
add("host: absolute target wins", head(line=b"GET http://real.example/ HTTP/1.1"), serve(b""))
add("host: absolute target without host field", head(line=b"GET http://b/ HTTP/1.1", host=b""), reject())
add("host: absolute target with a query alone", head(line=b"GET http://b?x HTTP/1.1"), serve(b""))
add("host: listed in connection", head(b"Connection: host"), serve(b""))

# ---- hop by hop -----------------------------------------------------------------------------------------------------
add("connection lists content-length", head(b"Connection: Content-Length", b"Content-Length: 3") + b"abc" + GET, serve(b"abc", b""))
add("connection lists transfer-encoding", head(b"Connection: Transfer-Encoding", CHUNKED) + TE_BODY + GET, serve(b"abc", b""))
add("connection lists x-forwarded-for", head(b"Connection: X-Forwarded-For, X-Forwarded-Proto"), serve(b""))
add("connection close and more", head(b"Connection: close") + GET, serve(b"", closes=True))
add("proxy-connection keep-alive", head(b"Proxy-Connection: close") + GET, serve(b"", b""))
add("keep-alive in http/1.0", head(b"Connection: keep-alive", line=b"GET / HTTP/1.0") + GET, serve(b"", b""))
add("http/1.0 ends", head(line=b"GET / HTTP/1.0") + GET, serve(b"", closes=True))
add("http/1.0 without host", head(line=b"GET / HTTP/1.0", host=b""), serve(b"", closes=True))

# ---- upgrades -------------------------------------------------------------------------------------------------------
add("upgrade: h2c", head(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
                         line=b"GET / HTTP/1.1") + GET, serve(b"", b""))
add("upgrade: not listed", head(b"Upgrade: websocket", line=b"GET / HTTP/1.1") + GET, serve(b"", b""))
add("upgrade: websocket that is declined", head(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 777",
                                                line=b"GET / HTTP/1.1") + GET, serve(b"", b""))
add("upgrade: websocket in a post", head(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 3") + b"abc" + GET,
    serve(b"abc", b""))
add("upgrade: tls", head(b"Connection: Upgrade", b"Upgrade: TLS/1.0", line=b"GET / HTTP/1.1") + GET, serve(b"", b""))
add("upgrade: several", head(b"Connection: Upgrade", b"Upgrade: websocket, h2c", line=b"GET / HTTP/1.1") + GET, serve(b"", b""))

# ---- expect ---------------------------------------------------------------------------------------------------------
add("expect: another", head(b"Expect: 200-ok"), answer(417))
add("expect: with the body at once", head(b"Expect: 100-continue", b"Content-Length: 3") + b"abc" + GET, serve(b"abc", b""))
add("expect: chunks at once", head(b"Expect: 100-continue", CHUNKED) + TE_BODY + GET, serve(b"abc", b""))
add("expect: without a body", head(b"Expect: 100-continue", line=b"GET / HTTP/1.1") + GET, serve(b"", b""))
add("expect: obfuscated", head(b"Expect: y 100-continue", b"Content-Length: 3") + b"abc",
    answer(417))
add("expect: in http/1.0", head(b"Expect: 100-continue", b"Content-Length: 3", line=b"POST / HTTP/1.0") + b"abc", serve(b"abc", closes=True))

# ---- pipelines ------------------------------------------------------------------------------------------------------
add("pipeline: three", GET * 3, serve(b"", b"", b""))
add("pipeline: bodies between", head(b"Content-Length: 3") + b"abc" + head(CHUNKED) + TE_BODY + GET, serve(b"abc", b"abc", b""))
add("pipeline: one empty line between", head(b"Content-Length: 3") + b"abc\r\n" + GET, serve(b"abc", b""))
add("pipeline: the second is bad", GET + b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n" + GET, ("serve", [200, 400], [b""], True))
add("pipeline: nothing behind a bad one", head(b"Transfer-Encoding: cow") + GET, reject())
