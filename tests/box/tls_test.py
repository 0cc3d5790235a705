#!/usr/bin/env python3
"""TLS of the data plane, both sides. Certificates are made by the openssl command for each run."""
import atexit, shutil, ssl, tempfile, warnings
from rig import *

warnings.simplefilter("ignore", DeprecationWarning)
FOLDER = tempfile.mkdtemp(prefix="hitless-tls-")
atexit.register(shutil.rmtree, FOLDER, True)


def openssl(*args):
    return subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=FOLDER).stdout


def file(name, text):
    path = os.path.join(FOLDER, name)
    pathlib.Path(path).write_text(text)
    return path


class Certificate:
    """Self-signed, or signed by another. kind: "rsa:2048", "P-256", ..."""
    count = 0

    def __init__(self, names, kind="P-256", days=30, issuer=None, is_authority=False, extra=""):
        Certificate.count += 1
        base = os.path.join(FOLDER, f"c{Certificate.count}")
        self.key_path, self.chain_path = base + ".key", base + ".pem"
        if kind.startswith("rsa:"):
            openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{kind[4:]}", "-out", self.key_path)
        else:
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{kind}", "-out", self.key_path)
        san = ",".join(f"DNS:{n}" for n in names)
        subject = "/O=hitless tests/CN=" + (names[0] if names else "authority")
        config = file(f"c{Certificate.count}.cnf", "[e]\nbasicConstraints=critical,CA:%s\n%s%s" % (
            "TRUE" if is_authority else "FALSE", f"subjectAltName={san}\n" if names and not is_authority else "", extra))
        openssl("req", "-new", "-key", self.key_path, "-subj", subject, "-out", base + ".csr")
        signer = ["-CA", issuer.chain_path, "-CAkey", issuer.key_path] if issuer else ["-signkey", self.key_path]
        openssl("x509", "-req", "-in", base + ".csr", "-days", str(days), "-out", self.chain_path, "-extfile", config,
                "-extensions", "e", *signer)
        self.arn = f"arn:aws:acm:eu-west-1:123456789012:certificate/{Certificate.count}"

    @property
    def chain(self):
        return pathlib.Path(self.chain_path).read_text()

    @property
    def key(self):
        return pathlib.Path(self.key_path).read_text()

    def entry(self):
        return {"arn": self.arn, "chainPem": self.chain, "keyPem": self.key}

    def der(self):
        return ssl.PEM_cert_to_DER_cert(self.chain)


def https(port, rules, certificates, policy="ELBSecurityPolicy-TLS13-1-2-2021-06", attributes=None, **more):
    return {**listener(port, rules, attributes), "protocol": "HTTPS", "sslPolicy": policy,
            "certificates": [c.entry() for c in certificates], **more}


def secure(port, targets, certificates, policy="ELBSecurityPolicy-TLS13-1-2-2021-06", attributes=None, groups=None,
           **more):
    return {"listeners": [https(port, [rule(0, forward((0, 1)))], certificates, policy, attributes, **more)],
            "targetGroups": [group("blue", targets, **(groups or {}))]}


def client_context(version=None, ciphers=None, alpn=None, certificate=None, level=0):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers((ciphers or "ALL") + f":@SECLEVEL={level}")
    if version:
        context.minimum_version = context.maximum_version = version
    else:
        context.minimum_version = ssl.TLSVersion.TLSv1
    if alpn:
        context.set_alpn_protocols(alpn)
    if certificate:
        context.load_cert_chain(certificate.chain_path, certificate.key_path)
    return context


def tls_connect(port, name="www.example.com", context=None, session=None, timeout_s=10):
    s = socket.create_connection(("127.0.0.1", port), timeout_s)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Wire((context or client_context()).wrap_socket(s, server_hostname=name, session=session))


@test
def https_is_served_and_the_target_is_told():
    port = free_port()
    t = Target(handler_keeping(seen := []))
    c = Certificate(["www.example.com"])
    with Box() as box:
        box.publish(secure(port, [target(t.port)], [c]))
        wire = tls_connect(port)
        assert wire.socket.getpeercert(True) == c.der()
        assert wire.socket.version() == "TLSv1.3"
        for size in (0, 1, 100, 20000, 300000):
            wire.send(request("POST", "/a", body=b"x" * size) if size else request())
            head, body = wire.read_response()
            assert head.status == 200 and body == b"x" * size, (size, head.start, len(body))
    assert seen[0].get("x-forwarded-proto") == "https" and seen[0].get("x-forwarded-port") == str(port)


@test
def the_name_chooses_the_certificate():
    """ALB, "Certificate selection": SNI exact and wildcard; of several the best that the client can verify; the
    default for everything else."""
    port = free_port()
    t = Target()
    default = Certificate(["default.example.org"])
    rsa = Certificate(["www.example.com"], "rsa:2048")
    ecdsa = Certificate(["*.example.com", "example.com"])
    other = Certificate(["OTHER.example.net", "*.deep.example.net"])
    with Box() as box:
        box.publish(secure(port, [target(t.port)], [default, rsa, ecdsa, other],
                           "ELBSecurityPolicy-TLS13-1-2-2021-06"))

        def chosen(name, **more):
            wire = tls_connect(port, name, client_context(**more))
            wire.send(request())
            assert wire.read_response()[0].status == 200
            return wire.socket.getpeercert(True)

        v12 = ssl.TLSVersion.TLSv1_2
        assert chosen(None) == default.der()
        assert chosen("nobody.example.edu") == default.der()
        assert chosen("www.example.com") == ecdsa.der(), "ECDSA is preferred"
        assert chosen("www.example.com", version=v12, ciphers="ECDHE-RSA-AES128-GCM-SHA256") == rsa.der()
        assert chosen("api.EXAMPLE.com") == ecdsa.der()
        assert chosen("example.com") == ecdsa.der()
        assert chosen("a.b.example.com") == default.der(), "a wildcard stands for one label"
        assert chosen("other.example.net") == other.der()
        assert chosen("x.deep.example.net", version=v12) == other.der()
        assert chosen("deep.example.net") == default.der()


@test
def alpn_offers_http_2_unless_it_is_off():
    port = free_port()
    t = Target()
    with Box() as box:
        box.publish(secure(port, [target(t.port)], [Certificate(["a.example.com"])],
                           attributes={"routing.http2.enabled": "false"}))
        assert tls_connect(port, context=client_context(alpn=["h2", "http/1.1"])).socket.selected_alpn_protocol() \
            == "http/1.1"
        assert tls_connect(port, context=client_context()).socket.selected_alpn_protocol() is None
        try:
            tls_connect(port, context=client_context(alpn=["acme-tls/1"]))
            raise AssertionError("RFC 7301 3.2: nothing in common ends the handshake")
        except ssl.SSLError as e:
            assert "application protocol" in str(e).lower().replace("_", " "), e


def handler_keeping(seen):
    def handler(wire, self):
        while True:
            head, body = wire.read_request()
            seen.append(head)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return handler


if __name__ == "__main__":
    main()
