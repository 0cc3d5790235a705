#!/usr/bin/env python3
"""Rules and actions of the data plane. Rows: aws-semantics.md 2.2 (conditions), 2.3 (actions, transforms)."""
from rig import *


def one_listener(port, rules, groups, **more):
    return {"listeners": [listener(port, rules, **more)], "targetGroups": groups}


def fixed(text, status="200"):
    return {"type": "fixed-response", "statusCode": status, "contentType": "text/plain", "messageBody": text}


def named_rules(rows):
    """rows: (name, conditions...) in the order of priority; the default answers "default"."""
    rules = [rule(i + 1, fixed(name), *conditions) for i, (name, *conditions) in enumerate(rows)]
    return rules + [rule(0, fixed("default"))]


def ask(port, **more):
    head, body = fetch(port, **more)
    return body.decode() if head.status == 200 else head.status


def path(*values, **more):
    return {"field": "path-pattern", "values": list(values), **more}


def host(*values, **more):
    return {"field": "host-header", "values": list(values), **more}


@test
def regular_expressions_match_hosts_paths_and_headers():
    """2.2 RegexValues: host, header, path; case as in Values; looked for anywhere in the text."""
    port = free_port()
    rows = [("host", host(regexValues=[r"^(a|b)\d+\.example\.com$"])),
            ("path", path(regexValues=[r"^/v[0-9]+/users/[^/]+$"])),
            ("header", {"field": "http-header", "headerName": "User-Agent", "regexValues": [r"curl/(7|8)\."]}),
            ("either", path("/plain", regexValues=["^/regex$"]))]
    with Box(1) as box:
        box.publish(one_listener(port, named_rules(rows), []))
        cases = [("host", dict(host="A12.EXAMPLE.com:81")), ("default", dict(host="c1.example.com")),
                 ("path", dict(path="/v2/users/joe?x=/")), ("default", dict(path="/V2/users/joe")),
                 ("default", dict(path="/v2/users/joe/x")), ("header", dict(headers="User-Agent: x CURL/8.1\r\n")),
                 ("default", dict(headers="User-Agent: curl/9.1\r\n")), ("either", dict(path="/plain")),
                 ("either", dict(path="/regex")), ("default", dict(path="/regexx"))]
        for want, how in cases:
            assert ask(port, **how) == want, (want, how)


@test
def a_regular_expression_costs_no_more_than_its_limit():
    """No catastrophic backtracking: the request is answered at once, as one that does not match."""
    port = free_port()
    rows = [("evil", path(regexValues=["^(/a+)+(a|aa)+$"])), ("worse", path(regexValues=["(.*)*(.*)*=(.*)*x"]))]
    with Box(1) as box:
        box.publish(one_listener(port, named_rules(rows), []))
        began = time.monotonic()
        cpu = box.cpu_s()
        for _ in range(5):
            assert ask(port, path="/" + "a" * 8000 + "!") == "default"
        assert box.cpu_s() - cpu < 1.0, "5 requests took more than a second of the worker"
        assert time.monotonic() - began < 20


@test
def rules_by_the_hundred_choose_as_a_few_do():
    """2.2: lowest priority first, escaped wildcards, any of several values; the index and the walk agree."""
    port = free_port()
    rows = [(f"h{i}", host(f"h{i}.example.com", f"*.h{i}.example.com")) for i in range(100)]
    rows += [("star", path("/files/\\*")), ("escaped", {"field": "query-string",
                                                       "pairs": [{"key": "q", "value": "what\\?"}]})]
    rows += [(f"p{i}", path(f"/p{i}/*")) for i in range(100)]
    rows += [("late", path("/p7/*")), ("any", host("*.any.com"))]
    with Box(1) as box:
        box.publish(one_listener(port, named_rules(rows), []))
        for want, how in [("h0", dict(host="h0.example.com")), ("h99", dict(host="x.H99.example.com:8080")),
                          ("default", dict(host="h100.example.com")), ("p7", dict(path="/p7/x")),
                          ("p99", dict(path="/p99/")), ("default", dict(path="/p99")),
                          ("h5", dict(host="h5.example.com", path="/p3/a")), ("star", dict(path="/files/*")),
                          ("default", dict(path="/files/a")), ("escaped", dict(path="/?Q=What?")),
                          ("any", dict(host="x.any.com"))]:
            assert ask(port, **how) == want, (want, how)


@test
def transforms_rewrite_url_and_host_before_the_target():
    """2.3 Transforms: host-header-rewrite, url-rewrite; no match leaves the request; a bad result is a 500."""
    seen = []

    def handler(wire, self):
        while True:
            head, _ = wire.read_request()
            seen.append((head.start.split(" ")[1], head.get("host")))
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    port = free_port()
    t = Target(handler)
    url = {"type": "url-rewrite", "regex": "^/dp/([A-Za-z0-9]+)/?(\\?(.*))?$", "replace": "/product.php?id=$1&$3"}
    bad = {"type": "url-rewrite", "regex": "^/bad/(.*)$", "replace": "$1"}
    names = {"type": "host-header-rewrite", "regex": "^mywebsite-(.+)\\.com$", "replace": "internal.dev.$1.myweb.com"}
    odd = {"type": "host-header-rewrite", "regex": ".*", "replace": "a/b"}
    grow = {"type": "url-rewrite", "regex": "^/grow/(.*)$", "replace": "/" + "$1" * 8}
    rules = [{**rule(1, forward((0, 1)), path("/dp/*")), "transforms": [url, names]},
             {**rule(2, forward((0, 1)), path("/bad/*")), "transforms": [bad]},
             {**rule(3, forward((0, 1)), path("/odd")), "transforms": [odd]},
             {**rule(4, forward((0, 1)), path("/grow/*")), "transforms": [grow]},
             rule(0, forward((0, 1)))]
    with Box(1) as box:
        box.publish(one_listener(port, rules, [group("blue", [target(t.port)])]))
        for how, want in [
                (dict(path="/dp/B09G", host="mywebsite-example.com"),
                 ("/product.php?id=B09G&", f"internal.dev.example.myweb.com:{port}")),
                (dict(path="/dp/B09G/?a=b&c", host="MyWebsite-x.com:99"),
                 ("/product.php?id=B09G&a=b&c", "internal.dev.x.myweb.com:99")),
                (dict(path="/dp/B-1", host="other.com"), ("/dp/B-1", f"other.com:{port}")),
                (dict(path="/bad//x", host="a.com"), ("/x", f"a.com:{port}")),
                (dict(path="/other?x", host="mywebsite-x.com"), ("/other?x", f"mywebsite-x.com:{port}"))]:
            assert fetch(port, **how)[0].status == 200, how
            assert seen[-1] == want, (how, seen[-1])
        count = len(seen)
        for how in [dict(path="/bad/x"), dict(path="/odd"), dict(path="/grow/" + "a" * 4000)]:
            assert fetch(port, **how)[0].status == 500, how
        assert len(seen) == count


@test
def a_transform_of_one_rule_touches_no_other():
    """WebSocket upgrades and HEAD are transformed as well; the rule is chosen by the URL that came."""
    seen = []

    def handler(wire, self):
        while True:
            head, _ = wire.read_request()
            seen.append(head.start)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    port = free_port()
    t = Target(handler)
    move = {"type": "url-rewrite", "regex": "/old", "replace": "/new"}
    rules = [{**rule(1, forward((0, 1)), path("/old*")), "transforms": [move]},
             rule(2, fixed("new is taken"), path("/new*")), rule(0, forward((0, 1)))]
    with Box(1) as box:
        box.publish(one_listener(port, rules, [group("blue", [target(t.port)])]))
        wire = connect(port)
        wire.send(request("HEAD", "/old/old?x=/old") + request("GET", "/older"))
        assert wire.read_response("HEAD")[0].status == 200
        assert wire.read_response()[0].status == 200
        assert seen == ["HEAD /new/old?x=/old HTTP/1.1", "GET /newer HTTP/1.1"], seen


@test
def redirects_fill_in_every_placeholder():
    """2.3 redirect: #{protocol} #{host} #{port} #{path} #{query}; default ports are not written; Location <= 8K."""
    port = free_port()

    def redirect(**parts):
        return {"type": "redirect", "statusCode": "HTTP_302", **parts}

    rules = [rule(1, redirect(protocol="HTTPS", port="443"), path("/secure/*")),
             rule(2, redirect(host="www.#{host}", path="/x/#{path}", query="from=#{host}:#{port}&#{query}"), path("/all/*")),
             rule(3, redirect(port="80"), path("/eighty")),
             rule(4, redirect(protocol="HTTPS", port="8443", path="/#{host}/#{port}", query="#{protocol}"), path("/odd")),
             rule(5, {**redirect(host="other.com"), "statusCode": "HTTP_301"}, path("/moved*")),
             rule(0, fixed("default"))]
    with Box(1) as box:
        box.publish(one_listener(port, rules, []))
        for asked, status, want in [
                ("/secure/a/b?c=d", 302, "https://example.com/secure/a/b?c=d"),
                ("/all/a?c=d", 302, f"http://www.example.com:{port}/x/all/a?from=example.com:{port}&c=d"),
                ("/eighty", 302, "http://example.com/eighty"),
                ("/odd?x=y", 302, f"https://example.com:8443/example.com/{port}?HTTP"),
                ("/moved", 301, f"http://other.com:{port}/moved")]:
            head, _ = fetch(port, path=asked)
            assert (head.status, head.get("location")) == (status, want), (asked, head.get("location"))
            assert head.get("server") == "awselb/2.0" and head.get("content-type") == "text/html"
        assert fetch(port, path="/moved/" + "a" * 8100)[0].status == 301
        head, _ = fetch(port, path="/moved/" + "a" * 8300)
        assert head.status == 414 and head.get("location") is None, head.start


if __name__ == "__main__":
    main()
