#!/usr/bin/env python3
"""The data plane with real sockets."""
from rig import *


@test
def a_request_is_relayed_and_the_target_sees_who_asked():
    seen = []

    def handler(wire, self):
        while True:
            head, body = wire.read_request()
            seen.append((head, body))
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\nX-A: b\r\n\r\nhi")

    port = free_port()
    t = Target(handler)
    with Box() as box:
        box.publish(simple(port, [target(t.port)]))
        wire = connect(port)
        for _ in range(3):
            wire.send(request("POST", "/a?b=c", headers="Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\n", body=b"xyz"))
            head, body = wire.read_response()
            assert (head.start, body) == ("HTTP/1.1 200 OK", b"hi"), (head.start, body)
            assert head.get("x-a") == "b" and head.get("connection") is None, head.fields
    assert len(seen) == 3 and len(t.connections) == 1
    head, body = seen[0]
    assert head.start == "POST /a?b=c HTTP/1.1" and body == b"xyz"
    assert head.get("host") == f"example.com:{port}"
    assert head.get("x-forwarded-for") == "127.0.0.1"
    assert head.get("x-forwarded-proto") == "http"
    assert head.get("x-forwarded-port") == str(port)
    assert len(head.get("x-amzn-trace-id")) == len("Root=1-67891233-abcdef012345678912345678")
    assert head.get("x-hop") is None and head.get("connection") is None


if __name__ == "__main__":
    main()
