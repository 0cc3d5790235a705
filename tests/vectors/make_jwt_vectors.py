#!/usr/bin/env python3
"""Writes jwt.txt: a key set, then "VERDICT token" lines for the issuer https://idp.example, the time 1,800,000,000 and
the claims of tests/unit/jwt/jwt_test.c. Made with python3-cryptography, so that another implementation signs."""
import base64, json, pathlib, sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

NOW = 1800000000


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


rsa_key, other, weak = (rsa.generate_private_key(65537, bits) for bits in (2048, 2048, 1024))
ec_key = ec.generate_private_key(ec.SECP256R1())


def rsa_jwk(key, kid, **more):
    n = key.public_key().public_numbers()
    return {"kty": "RSA", "kid": kid, "n": number(n.n), "e": number(n.e), **more}


def ec_jwk(key, kid, **more):
    n = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "kid": kid, "x": number(n.x, 32), "y": number(n.y, 32), **more}


def sign(head, body, key):
    text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(body).encode() if not isinstance(body, bytes) else body)
    if isinstance(key, rsa.RSAPrivateKey):
        mark = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        mark = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return text + "." + b64(mark)


good = {"iss": "https://idp.example", "exp": NOW + 60, "nbf": NOW - 60, "iat": NOW - 60, "team": "web",
        "groups": ["b", "a", "c"], "scope": "openid orders:read orders:write"}


def without(*names, **more):
    return {**{k: v for k, v in good.items() if k not in names}, **more}


RS, ES = {"alg": "RS256", "kid": "rsa"}, {"alg": "ES256", "kid": "ec"}
jwks = {"keys": [rsa_jwk(rsa_key, "rsa", use="sig", alg="RS256"), ec_jwk(ec_key, "ec", x5c=["ignored"]),
                 rsa_jwk(weak, "weak"), rsa_jwk(other, "enc", use="enc"), {"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}]}
token = sign(RS, good, rsa_key)
head, body, mark = token.split(".")
es = sign(ES, good, ec_key)
rows = [("VALID", token), ("VALID", es), ("VALID", sign({"alg": "RS256"}, good, rsa_key)),
        ("VALID", sign({"alg": "RS256", "typ": "JWT", "kid": "rsa"}, without("nbf", "iat"), rsa_key)),
        ("VALID", sign(RS, without(exp=NOW + 0.5), rsa_key)), ("VALID", sign(RS, without(team="ops"), rsa_key)),
        ("EXPIRED", sign(RS, without(exp=NOW), rsa_key)), ("EXPIRED", sign(RS, without(nbf=NOW + 1), rsa_key)),
        ("EXPIRED", sign(RS, without(iat=NOW + 1), rsa_key)),
        ("WRONG_CLAIM", sign(RS, without("exp"), rsa_key)), ("WRONG_CLAIM", sign(RS, without("iss"), rsa_key)),
        ("WRONG_CLAIM", sign(RS, without(iss="https://idp.example/"), rsa_key)),
        ("WRONG_CLAIM", sign(RS, without(iss=["https://idp.example"]), rsa_key)),
        ("WRONG_CLAIM", sign(RS, without(exp="soon"), rsa_key)), ("WRONG_CLAIM", sign(RS, without(nbf="now"), rsa_key)),
        ("WRONG_CLAIM", sign(RS, without("team"), rsa_key)), ("WRONG_CLAIM", sign(RS, without(team=["web"]), rsa_key)),
        ("WRONG_CLAIM", sign(RS, without(team="webs"), rsa_key)), ("WRONG_CLAIM", sign(RS, without(groups=["a"]), rsa_key)),
        ("WRONG_CLAIM", sign(RS, without(groups="a b"), rsa_key)), ("WRONG_CLAIM", sign(RS, without(scope="orders:readable"), rsa_key)),
        ("WRONG_CLAIM", sign(ES, {}, ec_key)),
        ("BAD_SIGNATURE", sign(RS, good, other)), ("BAD_SIGNATURE", f"{head}.{b64(json.dumps(without(team='ops')).encode())}.{mark}"),
        ("BAD_SIGNATURE", f"{head}.{body}.{mark[:-8]}AAAAAAAA"), ("BAD_SIGNATURE", f"{head}.{body}."),
        ("BAD_SIGNATURE", es[:-4] + "AAAA"), ("BAD_SIGNATURE", es.rsplit(".", 1)[0] + "." + b64(bytes(64))),
        ("BAD_SIGNATURE", es.rsplit(".", 1)[0] + "." + b64(bytes(63))),
        ("NO_KEY", sign({"alg": "RS256", "kid": "nobody"}, good, rsa_key)), ("NO_KEY", sign({"alg": "RS256", "kid": "weak"}, good, weak)),
        ("NO_KEY", sign({"alg": "RS256", "kid": "enc"}, good, other)), ("NO_KEY", sign({"alg": "RS256", "kid": "ec"}, good, rsa_key)),
        ("NO_KEY", sign({"alg": "none", "kid": "rsa"}, good, rsa_key)), ("NO_KEY", sign({"alg": "HS256", "kid": "rsa"}, good, rsa_key)),
        ("NO_KEY", sign({"alg": "PS256", "kid": "rsa"}, good, rsa_key)), ("NO_KEY", sign({"kid": "rsa"}, good, rsa_key)),
        ("MALFORMED", sign({**RS, "crit": ["exp"]}, good, rsa_key)), ("MALFORMED", f"{head}.{body}"), ("MALFORMED", "a.b.c"),
        ("MALFORMED", "."), ("MALFORMED", f"{head}.{body}.{mark}="[:-2] + "+/"), ("MALFORMED", sign(RS, b"{", rsa_key)),
        ("MALFORMED", sign(RS, b"[]", rsa_key)), ("MALFORMED", f"{head}.{body}.{mark}.x")]
out = pathlib.Path(__file__).with_name("jwt.txt")
out.write_text(json.dumps(jwks) + "\n" + "".join(f"{want} {text}\n" for want, text in rows))
