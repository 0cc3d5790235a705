#!/usr/bin/env python3
"""Writes tests/vectors/sigv4.jsonl: requests signed by botocore.

SOURCE: the cases get-*, post-* carry the names, key (AKIDEXAMPLE), date and service of AWS's published Signature
Version 4 test suite; the signatures are computed by botocore's SigV4Auth and SigV4QueryAuth (Apache-2.0), so they are
those of the suite wherever the request is the same (get-vanilla: 5fa00fa3...). Run by hand; the file is committed.
"""
import datetime, json, pathlib
import botocore, botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
WHEN = datetime.datetime(2015, 8, 30, 12, 36, 0)
HOST = "example.amazonaws.com"
TOKEN = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQW=="
CASES = [
    ("get-vanilla", "GET", "/", "", {}, "", None),
    ("get-vanilla-query-order-key-case", "GET", "/", "Param2=value2&Param1=value1", {}, "", None),
    ("get-vanilla-query-order-value", "GET", "/", "Param1=value2&Param1=value1", {}, "", None),
    ("get-vanilla-query-unreserved", "GET", "/", "-._~0123456789ABC=-._~0123456789abc", {}, "", None),
    ("get-vanilla-empty-query-key", "GET", "/", "Param1=value1", {}, "", None),
    ("get-vanilla-utf8-query", "GET", "/", "%E1%88%B4=bar", {}, "", None),
    ("get-header-value-trim", "GET", "/", "", {"My-Header1": "  a   b  c ", "My-Header2": '"a   b   c"'}, "", None),
    ("get-unreserved", "GET", "/-._~0123456789abcdefghijklmnopqrstuvwxyz", "", {}, "", None),
    ("get-space", "GET", "/example%20space/", "", {}, "", None),
    ("get-slashes", "GET", "//example//", "", {}, "", None),
    ("get-relative", "GET", "/example/..", "", {}, "", None),
    ("get-slash-dot-slash", "GET", "/./", "", {}, "", None),
    ("post-vanilla", "POST", "/", "", {}, "", None),
    ("post-header-key-sort", "POST", "/", "", {"My-Header1": "value1"}, "", None),
    ("post-x-www-form-urlencoded", "POST", "/", "", {"Content-Type": "application/x-www-form-urlencoded"},
     "Param1=value1", None),
    ("post-sts-header", "POST", "/", "", {}, "", TOKEN),
    ("json-target", "POST", "/", "", {"X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters",
                                      "Content-Type": "application/x-amz-json-1.1"}, "{}", TOKEN),
    ("cbor-path", "POST", "/service/GraniteServiceVersion20100801/operation/DescribeAlarms", "",
     {"Smithy-Protocol": "rpc-v2-cbor"}, "\u00bf\u00ff", None),
    ("presigned", "GET", "/", "Action=GetCallerIdentity&Version=2011-06-15", {}, "", None),
    ("presigned-token", "GET", "/", "Action=GetCallerIdentity&Version=2011-06-15", {}, "", TOKEN),
]


class Frozen(datetime.datetime):
    @classmethod
    def utcnow(cls):
        return WHEN

    @classmethod
    def now(cls, tz=None):
        return WHEN.replace(tzinfo=tz)


def main():
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: WHEN
    out = [json.dumps({"made_by": "make_sigv4_vectors.py", "botocore": botocore.__version__})]
    for name, method, path, query, headers, body, token in CASES:
        url = f"https://{HOST}{path}" + (f"?{query}" if query else "")
        request = AWSRequest(method=method, url=url, data=body.encode(), headers={"Host": HOST, **headers})
        credentials = Credentials(KEY, SECRET, token)
        if name.startswith("presigned"):
            auth = botocore.auth.SigV4QueryAuth(credentials, "service", "us-east-1", expires=60)
        else:
            auth = botocore.auth.SigV4Auth(credentials, "service", "us-east-1")
        made = {}
        canonical, to_sign = auth.canonical_request, auth.string_to_sign
        auth.canonical_request = lambda r: made.setdefault("canonical", canonical(r))
        auth.string_to_sign = lambda r, c: made.setdefault("string_to_sign", to_sign(r, c))
        auth.add_auth(request)
        wire_query = request.url.partition("?")[2]
        wire_path = request.url.partition("?")[0].removeprefix(f"https://{HOST}")
        out.append(json.dumps({"name": name, "method": method, "path": wire_path, "query": wire_query,
                               "headers": [list(h) for h in request.headers.items()], "body": body, **made}))
    pathlib.Path(__file__).with_name("sigv4.jsonl").write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
