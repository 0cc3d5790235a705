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


def tls_connect(port, name="www.example.com", context=None, session=None, timeout_s=30):
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


@test
def a_policy_decides_about_versions_and_ciphers():
    """ELB security policies: protocols and ciphers."""
    v = ssl.TLSVersion
    cases = [  # policy, version, cipher, is accepted
        ("TLS13-1-3-2021-06", v.TLSv1_3, None, True), ("TLS13-1-3-2021-06", v.TLSv1_2, None, False),
        ("TLS13-1-2-Res-2021-06", v.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("TLS13-1-2-Res-2021-06", v.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256", False),
        ("TLS13-1-2-2021-06", v.TLSv1_1, None, False),
        ("TLS-1-1-2017-01", v.TLSv1_1, None, True), ("TLS-1-1-2017-01", v.TLSv1, None, False),
        ("TLS-1-1-2017-01", v.TLSv1_3, None, False),
        ("2016-08", v.TLSv1, "ECDHE-ECDSA-AES128-SHA", True),
        ("FS-1-2-Res-2020-10", v.TLSv1_2, "ECDHE-ECDSA-AES256-SHA384", False),
        ("TLS13-1-0-2021-06", v.TLSv1, None, True), ("TLS13-1-0-2021-06", v.TLSv1_3, None, True),
    ]
    t = Target()
    c = Certificate(["a.example.com"])
    names = sorted({case[0] for case in cases})
    ports = {name: free_port() for name in names}
    with Box() as box:
        box.publish({"listeners": [https(ports[n], [rule(0, forward((0, 1)))], [c], "ELBSecurityPolicy-" + n)
                                   for n in names],
                     "targetGroups": [group("blue", [target(t.port)])]})
        for name, version, cipher, is_fine in cases:
            try:
                wire = tls_connect(ports[name], context=client_context(version, cipher))
                wire.send(request())
                assert wire.read_response()[0].status == 200
                assert cipher is None or wire.socket.cipher()[0] == cipher
                got = True
            except (ssl.SSLError, ConnectionError):
                got = False
            assert got == is_fine, (name, version, cipher)
        refused = sum(1 for case in cases if not case[3])
        assert box.lb_stats()["CLIENT_TLS_ERRORS"] == refused, box.lb_stats()["CLIENT_TLS_ERRORS"]


@test
def tickets_resume_with_any_worker_and_after_a_new_snapshot():
    """RFC 8446 2.2, RFC 5077: one ticket, opened by whichever worker takes the connection."""
    port = free_port()
    t = Target()
    snapshot = secure(port, [target(t.port)], [Certificate(["a.example.com"])])
    with Box(4) as box:
        box.publish(snapshot)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = client_context(version)
            wire = tls_connect(port, context=context)
            wire.send(request())
            wire.read_response()
            session = wire.socket.session
            assert session.has_ticket and not wire.socket.session_reused
            box.publish(snapshot)
            for _ in range(8):
                wire = tls_connect(port, context=context, session=session)
                wire.send(request())
                assert wire.read_response()[0].status == 200
                assert wire.socket.session_reused, version
        # another listener, other authorities: the ticket opens nothing
        other = free_port()
        box.publish({**snapshot, "listeners": snapshot["listeners"] + [
            {**snapshot["listeners"][0], "arn": "other", "port": other}]})
        wire = tls_connect(other, context=context, session=session)
        assert not wire.socket.session_reused


class TlsTarget(Target):
    """A target that speaks TLS; its handler sees plain bytes."""

    def __init__(self, certificate, handler=None, version=None, name="t"):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate.chain_path, certificate.key_path)
        if version:
            self.context.minimum_version = self.context.maximum_version = version
        self.reused, self.server_names = 0, []
        self.context.sni_callback = lambda s, server_name, context: self.server_names.append(server_name)
        self.inner = handler or Target.answer
        super().__init__(TlsTarget.shake, name)

    @staticmethod
    def shake(wire, self):
        connection = self.context.wrap_socket(wire.socket, server_side=True, suppress_ragged_eofs=False)
        self.reused += connection.session_reused
        try:
            self.inner(Wire(connection), self)
        finally:
            try:
                connection.unwrap()
            except (OSError, ValueError):
                pass
            connection.close()


@test
def targets_are_reached_by_tls():
    """ALB, protocol HTTPS: certificates of targets are not verified, no server name is sent; checks by HTTPS."""
    port = free_port()
    sizes = (0, 1, 70000, 400000)

    def handler(wire, self):
        while True:
            head, body = wire.read_request()
            self.count()
            size = int(head.start.split(" ")[1][1:] or 0)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size + len(body)) + b"r" * size + body)

    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        t = TlsTarget(Certificate(["whatever.example.org"], "rsa:2048"), handler, version)
        with Box(1) as box:
            box.publish(simple(port, [target(t.port)], protocol="HTTPS", checkProtocol="HTTPS", isCheckEnabled=True,
                               checkPath="/0", checkIntervalSeconds=60))
            box.healthy(t.port)
            checks = t.requests
            assert checks >= 1
            wire = connect(port)
            for size in sizes:
                for sent in sizes:
                    wire.send(request("POST", f"/{size}", body=b"s" * sent))
                    head, body = wire.read_response()
                    assert head.status == 200 and len(body) == size + sent, (version, size, sent, head.start)
            assert t.requests == checks + 16 and t.server_names[-1] is None
            # sessions: a second connection to the target resumes the first
            before = t.reused
            others = [connect(port) for _ in range(3)]
            for other in others:
                other.send(request("POST", "/5", headers="Expect: 100-continue\r\n", body=b"y" * 10)[:-10])
            time.sleep(0.2)
            for other in others:
                other.send(b"y" * 10)
                assert other.read_response()[0].status in (100, 200)
            assert t.reused > before, (version, t.reused)


@test
def a_target_that_fails_its_handshake_is_502_and_counted():
    """aws-semantics: 502 when the TLS handshake with the target fails; another target is tried first."""
    port = free_port()
    plain = Target()  # answers the ClientHello with an HTTP error or closes

    def refuse(wire, self):
        wire.more()
        wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    plain.handler = refuse
    with Box(1) as box:
        box.publish(simple(port, [target(plain.port)], protocol="HTTPS"))
        head, _ = fetch(port)
        assert head.status == 502
        assert box.group_stats("blue")["TARGET_TLS_ERRORS"] >= 1
        good = TlsTarget(Certificate(["b.example.com"]))
        box.publish(simple(port, [target(plain.port), target(good.port)], protocol="HTTPS"))
        for _ in range(10):
            assert fetch(port)[0].status == 200


@test
def a_body_that_is_cut_by_a_close_without_alert_is_noticed():
    """Truncation: a body that ends with the connection ends with a close_notify (RFC 8446 6.1)."""
    port, secure_port = free_port(), free_port()
    is_proper = threading.Event()

    def handler(wire, self):
        wire.read_request()
        wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of it")
        if is_proper.is_set():
            wire.socket.unwrap()
        else:
            wire.socket._sslobj = None  # closed without an alert
            raise OSError

    t = TlsTarget(Certificate(["a.example.com"]), handler)
    with Box(1) as box:
        box.publish(simple(port, [target(t.port)], protocol="HTTPS"))
        is_proper.set()
        head, body = fetch(port)
        assert head.status == 200 and body == b"half of it"
        is_proper.clear()
        wire = connect(port)
        wire.send(request())
        try:
            wire.read_response()
            raise AssertionError("the cut was not noticed")
        except EOFError:
            pass


@test
def our_own_end_is_proper_and_a_cut_one_is_not():
    port = free_port()

    def handler(wire, self):
        head, _ = wire.read_request()
        if "/cut" in head.start:
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        else:
            wire.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    t = Target(handler)
    with Box(1) as box:
        box.publish(secure(port, [target(t.port)], [Certificate(["a.example.com"])]))

        def ends(path):
            s = socket.create_connection(("127.0.0.1", port), 10)
            tls = client_context().wrap_socket(s, server_hostname="a", suppress_ragged_eofs=False)
            tls.sendall(f"GET {path} HTTP/1.0\r\nHost: a\r\n\r\n".encode())
            got = b""
            try:
                while part := tls.recv(65536):
                    got += part
                return "proper", got
            except (ssl.SSLError, ConnectionError):
                return "cut", got

        how, got = ends("/all")
        assert how == "proper" and got.endswith(b"all of it"), (how, got)
        how, got = ends("/cut")
        assert how == "cut" and got.endswith(b"half"), (how, got)


MTLS = ("x-amzn-mtls-clientcert", "x-amzn-mtls-clientcert-serial-number", "x-amzn-mtls-clientcert-issuer",
        "x-amzn-mtls-clientcert-subject", "x-amzn-mtls-clientcert-validity", "x-amzn-mtls-clientcert-leaf")
FORGED = "".join(f"{name}: forged\r\n" for name in MTLS) + "X_Amzn_Mtls_Clientcert_Subject: forged\r\n" \
    "X-Amzn-Tls-Version: forged\r\nX-Amzn-Tls-Cipher-Suite: forged\r\n"


def is_let_in(port, certificate, version=None):
    """TLS 1.3 tells the client only after its own handshake, so a request decides."""
    try:
        wire = tls_connect(port, context=client_context(version, certificate=certificate))
        wire.send(request(headers=FORGED))
        return wire.read_response()[0].status == 200
    except (ssl.SSLError, ConnectionError, EOFError):
        return False


@test
def mutual_tls_verifies_and_tells_the_target():
    """ALB, mutual TLS in verify mode: the leaf's facts in headers; forged ones are removed."""
    import urllib.parse
    port = free_port()
    seen = []
    t = Target(handler_keeping(seen))
    server = Certificate(["a.example.com"])
    authority = Certificate([], is_authority=True)
    stranger = Certificate([], is_authority=True)
    client = Certificate(["client.example.com"], issuer=authority)
    revoked = Certificate(["revoked.example.com"], issuer=authority)
    expired = Certificate(["old.example.com"], days=-1, issuer=authority)
    foreign = Certificate(["foreign.example.com"], issuer=stranger)
    file("index.txt", "")
    config = file("ca.cnf", f"[ca]\ndefault_ca=c\n[c]\ndatabase={FOLDER}/index.txt\ndefault_md=sha256\n"
                            "default_crl_days=30\n")
    for args in (("-revoke", revoked.chain_path), ("-gencrl", "-out", FOLDER + "/list.pem")):
        openssl("ca", "-config", config, "-keyfile", authority.key_path, "-cert", authority.chain_path, *args)
    revocations = pathlib.Path(FOLDER + "/list.pem").read_text()
    auth = {"mode": "verify", "authoritiesPem": authority.chain, "revocationsPem": revocations,
            "advertisesAuthorities": True}
    with Box() as box:
        box.publish(secure(port, [target(t.port)], [server], mutualAuth=auth))
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            assert is_let_in(port, client, version)
            for other in (None, revoked, expired, foreign):
                assert not is_let_in(port, other, version), (version, other and other.chain_path)
        assert len(seen) == 2
        head = seen[-1]
        text = openssl("x509", "-in", client.chain_path, "-noout", "-serial", "-issuer", "-subject", "-nameopt",
                       "rfc2253").decode()
        known = dict(line.split("=", 1) for line in text.splitlines())
        assert head.get("x-amzn-mtls-clientcert-serial-number") == known["serial"]
        assert head.get("x-amzn-mtls-clientcert-issuer") == known["issuer"] == "CN=authority,O=hitless tests"
        assert head.get("x-amzn-mtls-clientcert-subject") == known["subject"]
        validity = head.get("x-amzn-mtls-clientcert-validity")
        import re
        stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
        assert re.fullmatch(f"NotBefore={stamp};NotAfter={stamp}", validity), validity
        leaf = head.get("x-amzn-mtls-clientcert-leaf")
        assert urllib.parse.unquote(leaf) == client.chain and "\n" not in leaf and "%0A" in leaf and "%20" in leaf
        assert head.get("x-amzn-mtls-clientcert") is None
        assert "forged" not in str(head.fields)
        # expired certificates may be let in; a new trust store counts for new connections at once
        box.publish(secure(port, [target(t.port)], [server], mutualAuth={**auth, "ignoresExpiry": True}))
        assert is_let_in(port, expired) and not is_let_in(port, foreign) and not is_let_in(port, revoked)
        box.publish(secure(port, [target(t.port)], [server], mutualAuth={"mode": "verify",
                                                                        "authoritiesPem": stranger.chain}))
        assert is_let_in(port, foreign) and not is_let_in(port, client)


@test
def mutual_tls_passes_chains_through():
    """ALB, mutual TLS in passthrough mode: the whole chain, unverified; attributes rename headers."""
    import urllib.parse
    port = free_port()
    seen = []
    t = Target(handler_keeping(seen))
    authority = Certificate([], is_authority=True)
    client = Certificate(["client.example.com"], issuer=authority)
    pathlib.Path(client.chain_path).write_text(client.chain + authority.chain)
    rename = "routing.http.request.x_amzn_mtls_clientcert.header_name"
    attributes = {"routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "true"}
    with Box() as box:
        for own in (None, "X-Our-Client"):
            box.publish(secure(port, [target(t.port)], [Certificate(["a.example.com"])],
                               attributes={**attributes, **({rename: own} if own else {})},
                               mutualAuth={"mode": "passthrough"}))
            wire = tls_connect(port, context=client_context(certificate=client))
            for _ in range(2):
                wire.send(request(headers=FORGED + "x-our-client: " + ("forged" if own else "kept") + "\r\n"))
                assert wire.read_response()[0].status == 200
                head = seen[-1]
                chain = head.get((own or "X-Amzn-Mtls-Clientcert").lower())
                assert urllib.parse.unquote(chain) == client.chain, head.fields
                assert "forged" not in str(head.fields), head.fields
                assert head.get("x-amzn-tls-version") == "TLSv1.3"
                assert head.get("x-amzn-tls-cipher-suite") == wire.socket.cipher()[0]
                assert head.get("x-our-client") == (chain if own else "kept")
                assert head.get("x-amzn-mtls-clientcert-subject") is None
            assert is_let_in(port, None)
            assert all(seen[-1].get(name) is None for name in MTLS)


@test
def certificates_change_under_load_and_no_request_fails():
    port = free_port()
    t = Target()
    certificates = [Certificate(["a.example.com"], kind) for kind in ("P-256", "P-256", "rsa:2048")]

    class TlsLoad(Load):
        def _run(self):
            while not self.is_over.is_set():
                try:
                    wire = tls_connect(port)
                    for _ in range(20):
                        wire.send(request())
                        head, body = wire.read_response()
                        assert head.status == 200
                        with self.lock:
                            self.sent += 1
                    wire.close()
                except (OSError, EOFError, ValueError, AssertionError) as e:
                    with self.lock:
                        self.failures.append(repr(e))

    with Box() as box:
        box.publish(secure(port, [target(t.port)], certificates[:1]))
        old = tls_connect(port)
        load = TlsLoad(port, 4)
        for i in range(30):
            box.publish(secure(port, [target(t.port)], [certificates[i % 3]]))
            time.sleep(0.03)
        box.publish(secure(port, [target(t.port)], [certificates[1]]))
        load.stop()
        assert load.failures == [] and load.sent > 100, (load.sent, load.failures[:3])
        assert tls_connect(port).socket.getpeercert(True) == certificates[1].der()
        old.send(request())
        assert old.read_response()[0].status == 200, "old connections keep theirs"


@test
def a_broken_certificate_changes_nothing_and_is_named():
    port = free_port()
    t = Target()
    c, other = Certificate(["a.example.com"]), Certificate(["b.example.com"])
    good = secure(port, [target(t.port)], [c])

    def broken(**change):
        snapshot = json.loads(json.dumps(good))
        snapshot["listeners"][0].update({k: v for k, v in change.items() if k == "sslPolicy"})
        snapshot["listeners"][0]["certificates"][0].update({k: v for k, v in change.items() if k != "sslPolicy"})
        return snapshot

    with Box() as box:
        box.publish(good)
        for change, words in ((dict(keyPem="no key"), "unencrypted PEM"), (dict(keyPem=other.key), "does not belong"),
                              (dict(chainPem="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "PEM"),
                              (dict(chainPem=c.chain + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
                               "chain"),
                              (dict(sslPolicy="ELBSecurityPolicy-None"), "security policy")):
            box.publish(broken(**change), wait=False)
            sentence = box.wait("refused")
            assert words in sentence and f"listener/{port}" in sentence, sentence
            assert "PRIVATE" not in sentence and len(sentence) < 400
            box.version -= 1
            wire = tls_connect(port)
            assert wire.socket.getpeercert(True) == c.der()
        box.publish(broken(), wait=True)


@test
def slow_and_silent_clients_lose_only_their_own_connection():
    """A handshake has ten seconds (ALB); half a ClientHello holds nobody up."""
    port = free_port()
    t = Target()
    with Box(1) as box:
        box.publish(secure(port, [target(t.port)], [Certificate(["a.example.com"])]))
        began = time.monotonic()
        silent, slow = connect(port, timeout_s=30), connect(port, timeout_s=30)
        slow.send(b"\x16\x03\x01\x01\x00\x01")
        connect(port).send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")  # not TLS at all
        wire = tls_connect(port)
        wire.send(request())
        assert wire.read_response()[0].status == 200
        for other in (silent, slow):
            assert other.rest() == b""
        assert 8 < time.monotonic() - began < 25
        # those that spoke are counted; whoever only opened the port is not
        assert box.lb_stats()["CLIENT_TLS_ERRORS"] == 2


@test
def a_slow_reader_and_a_slow_writer_get_everything():
    """What the socket does not take is kept as ciphertext; nothing is lost or doubled."""
    port = free_port()
    size = 6_000_000
    pattern = bytes(random.randrange(256) for _ in range(65536)) * (size // 65536 + 1)

    def handler(wire, self):
        while True:
            head, body = wire.read_request()
            assert body == pattern[:len(body)]
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + pattern[:size])

    for kind in ("client", "both"):
        t = Target(handler) if kind == "client" else TlsTarget(Certificate(["x.example.com"]), handler)
        with Box(1) as box:
            box.publish(secure(port, [target(t.port)], [Certificate(["a.example.com"])],
                               groups={} if kind == "client" else {"protocol": "HTTPS"}))
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            s.settimeout(30)
            s.connect(("127.0.0.1", port))
            wire = Wire(client_context().wrap_socket(s, server_hostname="a"))
            for _ in range(2):
                wire.send(request("POST", "/", body=pattern[:1_000_000]))
                start, fields = wire.head()
                got = b""
                while len(wire.buffer) < 300_000:
                    wire.more()
                    time.sleep(0.002)
                assert wire.exactly(size) == pattern[:size], kind


@test
def an_idle_connection_costs_little_memory():
    """load-balancer.md: at most 15 KB for an idle TLS connection, all of it OpenSSL's."""
    port = free_port()
    t = Target()
    count = 2000

    def resident_kb(box):
        text = open(f"/proc/{box.process.pid}/smaps_rollup").read()
        return int(text.split("Rss:")[1].split()[0])

    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Box(1) as box:
        box.publish(secure(port, [target(t.port)], [Certificate(["a.example.com"])]))
        context = client_context()
        wires = []

        def open_some(n):
            for _ in range(n):
                wire = tls_connect(port, context=context)
                wire.send(request())
                assert wire.read_response()[0].status == 200
                wires.append(wire)

        open_some(200)  # what does not grow with the connections is there
        before = resident_kb(box)
        open_some(count)
        each = (resident_kb(box) - before) * 1024 / count
        print(f"# an idle TLS connection: {each:.0f} bytes of the worker's memory")
        if not os.environ.get("HITLESS_BUILD"):  # a sanitizer's memory says nothing
            assert each <= 15 * 1024, each
        for wire in wires:
            wire.close()


@test
def an_ocsp_response_is_stapled():
    """RFC 6066 8: a good response goes out with the certificate; what is none is refused by name."""
    import base64
    port = free_port()
    t = Target()
    authority = Certificate([], is_authority=True)
    c = Certificate(["a.example.com"], issuer=authority)
    serial = openssl("x509", "-in", c.chain_path, "-noout", "-serial").decode().strip().split("=")[1]
    file("ocsp-index.txt", f"V\t491231235959Z\t\t{serial}\tunknown\t/CN=a.example.com\n")
    openssl("ocsp", "-index", FOLDER + "/ocsp-index.txt", "-rsigner", authority.chain_path, "-rkey", authority.key_path,
            "-CA", authority.chain_path, "-issuer", authority.chain_path, "-cert", c.chain_path, "-ndays", "7",
            "-respout", FOLDER + "/ocsp.der")
    der = pathlib.Path(FOLDER + "/ocsp.der").read_bytes()
    snapshot = secure(port, [target(t.port)], [Certificate(["other.example.com"]), c])
    with Box() as box:
        snapshot["listeners"][0]["certificates"][1]["ocspBase64"] = base64.b64encode(der).decode()
        box.publish(snapshot)

        def status_of(name):
            return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, "-status"],
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=20).stdout.decode()

        told = status_of("a.example.com")
        assert "OCSP Response Status: successful" in told and "Cert Status: good" in told, told[:500]
        assert "OCSP response: no response sent" in status_of("other.example.com")
        for broken in (base64.b64encode(der[:-40]).decode(), "no base64"):
            snapshot["listeners"][0]["certificates"][1]["ocspBase64"] = broken
            box.publish(snapshot, wait=False)
            assert "OCSP" in box.wait("refused")
            box.version -= 1


@test
def redirects_and_new_keys_and_half_closed_clients():
    """#{protocol} of an HTTPS listener; KeyUpdate in both directions (RFC 8446 4.6.3); a close_notify behind a request,
    which is a client that left, as a half-closed plain one is."""
    port = free_port()
    t = Target()
    redirect = {"type": "redirect", "statusCode": "HTTP_302", "path": "/new", "query": "p=#{protocol}"}
    rules = [rule(1, redirect, {"field": "path-pattern", "values": ["/old"]}), rule(0, forward((0, 1)))]
    with Box(1) as box:
        box.publish({"listeners": [https(port, rules, [Certificate(["a.example.com"])])],
                     "targetGroups": [group("blue", [target(t.port)])]})
        wire = tls_connect(port)
        wire.send(request("GET", "/old"))
        head, _ = wire.read_response()
        assert head.get("location") == f"https://example.com:{port}/new?p=HTTPS", head.fields
        for command in (b"k\n", b"K\n"):  # our keys; ours and theirs
            client = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3"],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            guard = threading.Timer(30, client.kill)
            guard.start()
            told = b""

            def hear(words):
                nonlocal told
                while words not in told:
                    part = os.read(client.stdout.fileno(), 65536)
                    assert part, told[-300:]
                    told += part

            client.stdin.write(command)
            client.stdin.flush()
            hear(b"KEYUPDATE")  # what is written next is no part of the command
            client.stdin.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            client.stdin.flush()
            told += client.stdout.read()  # the server closes, then s_client shows what it has
            assert b"HTTP/1.1 200 OK" in told, (command, told[-300:])
            guard.cancel()
            client.kill()
            client.communicate()
        for _ in range(3):
            wire = tls_connect(port)
            wire.send(request())
            wire.socket.settimeout(5)
            try:
                wire.socket.unwrap()
            except OSError:
                pass
        wire = tls_connect(port)
        wire.send(request())
        assert wire.read_response()[0].status == 200


def handler_keeping(seen):
    def handler(wire, self):
        while True:
            head, body = wire.read_request()
            seen.append(head)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return handler


if __name__ == "__main__":
    main()
