#!/usr/bin/env python3
"""HTTP-01 challenges (RFC 8555, section 8.3) answered by the data plane itself."""
from rig import *

CHALLENGE = {"token": "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA", "answer": "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.thumb_-9"}
PATH = "/.well-known/acme-challenge/" + CHALLENGE["token"]


def snapshot(port, target_port, *challenges):
    return {**simple(port, [target(target_port)]), "acmeChallenges": list(challenges)}


@test
def challenges_are_answered_before_any_rule_and_only_while_they_stand():
    port = free_port()
    t = Target()
    with Box() as box:
        box.publish(snapshot(port, t.port))
        assert fetch(port, path=PATH)[1] != CHALLENGE["answer"].encode()
        box.publish(snapshot(port, t.port, {"token": "other", "answer": "other.thumb"}, CHALLENGE))
        seen = t.count
        for _ in range(4):
            head, body = fetch(port, path=PATH)
            assert head.status == 200 and body == CHALLENGE["answer"].encode(), (head.start, body)
        assert head.get("content-type") == "application/octet-stream", head.fields
        assert t.count == seen
        for path in (PATH + "x", PATH[:-1], PATH + "?a", "/.well-known/acme-challenge/", "/"):
            assert fetch(port, path=path)[1] != CHALLENGE["answer"].encode() or path == PATH + "?a", path
        box.publish(snapshot(port, t.port))
        assert fetch(port, path=PATH)[1] != CHALLENGE["answer"].encode()


@test
def a_load_balancer_without_a_healthy_target_answers_them_too():
    port = free_port()
    with Box() as box:
        box.publish({**simple(port, []), "acmeChallenges": [CHALLENGE]})
        assert fetch(port)[0].status == 503
        assert fetch(port, path=PATH)[1] == CHALLENGE["answer"].encode()


if __name__ == "__main__":
    main()
