"""An ACME authority for tests, strict where RFC 8555 says MUST: nonces are good once, every POST is a signed JWS over
its own URL, account keys are proved, challenges are really asked. Signatures and certificates by the openssl command.
"""
import base64, datetime, hashlib, http.client, http.server, json, pathlib, re, ssl, subprocess, threading, time, uuid

from pki import Authority, openssl

P256_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise Refusal(400, "malformed", "not base64url without padding")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Refusal(Exception):
    def __init__(self, status, kind, detail, headers=None):
        super().__init__(detail)
        self.status, self.kind, self.detail, self.headers = status, kind, detail, headers or {}


def der_integer(data):
    data = data.lstrip(b"\0") or b"\0"
    data = b"\0" + data if data[0] & 0x80 else data
    return b"\x02" + bytes([len(data)]) + data


class AcmeServer:
    """where(domain) gives (address, port) of the server to ask over HTTP."""

    def __init__(self, folder, where, lifetime_s=90 * 86400, bad_nonce_every=0):
        self.folder, self.where, self.lifetime_s, self.bad_nonce_every = pathlib.Path(folder), where, lifetime_s, bad_nonce_every
        self.authority = Authority(self.folder / "acme", "ACME Root")
        self.middle = Authority(self.folder / "acme", "ACME Middle", self.authority)
        self.nonces, self.accounts, self.orders, self.authorizations = set(), {}, {}, {}
        self.lock, self.posts, self.refusals, self.issued, self.rejects = threading.RLock(), 0, [], [], set()
        self.rate_limits, self.is_down, self.calls = 0, False, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self):
                outer.serve(self, b"")

            def do_GET(self):
                outer.serve(self, b"")

            def do_POST(self):
                outer.serve(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def log_message(self, *_):
                pass

        web = Authority(self.folder / "web", "Web Root")
        pem, key = web.issue("localhost")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        self.ca_file = web.path
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # ---- the frame ---------------------------------------------------------------------------------------------

    def nonce(self):
        value = b64(uuid.uuid4().bytes)
        self.nonces.add(value)
        return value

    def serve(self, h, body):
        with self.lock:
            headers = {}
            try:
                if self.is_down:
                    raise Refusal(503, "serverInternal", "down for a while")
                self.calls.append((h.command, h.path))
                status, headers, answer = self.answer(h, body)
            except Refusal as refusal:
                self.refusals.append((refusal.kind, refusal.detail))
                status, headers = refusal.status, {**refusal.headers, "Content-Type": "application/problem+json"}
                answer = {"type": "urn:ietf:params:acme:error:" + refusal.kind, "detail": refusal.detail}
            data = answer if isinstance(answer, bytes) else b"" if answer is None else json.dumps(answer).encode()
            headers = {"Content-Type": "application/json", "Replay-Nonce": self.nonce(), "Cache-Control": "no-store",
                       "Link": f'<{self.url}/directory>;rel="index"', **headers}
        h.send_response(status)
        for name, value in headers.items():
            h.send_header(name, value)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        if h.command != "HEAD":
            h.wfile.write(data)

    def answer(self, h, body):
        path = h.path
        if path == "/directory" and h.command == "GET":
            return 200, {}, {"newNonce": self.url + "/nonce", "newAccount": self.url + "/account",
                             "newOrder": self.url + "/order", "meta": {"termsOfService": self.url + "/terms"}}
        if path == "/nonce":
            return (200 if h.command == "HEAD" else 204), {}, None
        if h.command != "POST":
            raise Refusal(405, "malformed", "only POST and POST-as-GET here")
        account, payload, jwk = self.open(h, body)
        if path == "/account":
            return self.new_account(payload, jwk)
        if account is None:
            raise Refusal(400, "malformed", "kid is wanted here")
        if path == "/order":
            return self.new_order(account, payload)
        kind, _, name = path[1:].partition("/")
        handler = {"orders": self.read_order, "finalize": self.finalize, "authz": self.read_authorization,
                   "challenge": self.challenge, "certificate": self.certificate}.get(kind)
        if handler is None:
            raise Refusal(404, "malformed", "no such resource")
        return handler(account, name, payload)

    def open(self, h, body):
        """Checks the JWS: section 6.2 to 6.5."""
        if h.headers.get("Content-Type") != "application/jose+json":
            raise Refusal(415, "malformed", "the content type must be application/jose+json")
        jws = json.loads(body)
        if set(jws) != {"protected", "payload", "signature"}:
            raise Refusal(400, "malformed", "a flattened JWS has protected, payload and signature")
        head = json.loads(unb64(jws["protected"]))
        if head.get("alg") != "ES256":
            raise Refusal(400, "badSignatureAlgorithm", "ES256 is wanted")
        if head.get("url") != self.url + h.path:
            raise Refusal(403, "unauthorized", f"signed for {head.get('url')}, sent to {h.path}")
        self.posts += 1
        nonce = head.get("nonce")
        is_spoiled = self.bad_nonce_every and self.posts % self.bad_nonce_every == 0
        if nonce not in self.nonces or is_spoiled:
            self.nonces.discard(nonce)
            raise Refusal(400, "badNonce", "unknown or used")
        self.nonces.discard(nonce)
        if ("kid" in head) == ("jwk" in head):
            raise Refusal(400, "malformed", "exactly one of kid and jwk")
        account = None
        if "kid" in head:
            account = self.accounts.get(head["kid"])
            if account is None:
                raise Refusal(400, "accountDoesNotExist", "no such account")
        elif h.path != "/account":
            raise Refusal(400, "malformed", "jwk is for newAccount only")
        jwk = account["jwk"] if account else head["jwk"]
        self.verify(jwk, f"{jws['protected']}.{jws['payload']}".encode(), unb64(jws["signature"]))
        payload = unb64(jws["payload"])
        return account, json.loads(payload) if payload else None, jwk

    def verify(self, jwk, data, signature):
        if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or len(signature) != 64:
            raise Refusal(400, "badPublicKey", "not a key of P-256, or not a signature of it")
        point = b"\x04" + unb64(jwk["x"]) + unb64(jwk["y"])
        pair = der_integer(signature[:32]) + der_integer(signature[32:])
        files = {"jws.der": P256_HEAD + point, "jws.sig": b"\x30" + bytes([len(pair)]) + pair, "jws.txt": data}
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
        done = subprocess.run(["openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", self.folder / "jws.der",
                               "-signature", self.folder / "jws.sig", self.folder / "jws.txt"], capture_output=True)
        if done.returncode != 0:
            raise Refusal(403, "unauthorized", "the signature is wrong")

    # ---- resources ---------------------------------------------------------------------------------------------

    def new_account(self, payload, jwk):
        if not payload.get("termsOfServiceAgreed"):
            raise Refusal(403, "userActionRequired", "the terms of service must be agreed to")
        text = json.dumps({k: jwk[k] for k in ("crv", "kty", "x", "y")}, separators=(",", ":"))
        url = self.url + "/accounts/" + hashlib.sha256(text.encode()).hexdigest()[:12]
        is_new = url not in self.accounts
        self.accounts.setdefault(url, {"jwk": jwk, "contact": payload.get("contact"),
                                       "thumbprint": b64(hashlib.sha256(text.encode()).digest())})
        return (201 if is_new else 200), {"Location": url}, {"status": "valid"}

    def new_order(self, account, payload):
        if self.rate_limits > 0:
            self.rate_limits -= 1
            raise Refusal(429, "rateLimited", "too many orders", {"Retry-After": "1"})
        names = [i["value"] for i in payload["identifiers"] if i["type"] == "dns"]
        for name in names:
            if name in self.rejects:
                raise Refusal(400, "rejectedIdentifier", f"no certificates for {name}")
        key = uuid.uuid4().hex
        ids = []
        for name in names:
            one = uuid.uuid4().hex
            self.authorizations[one] = {"status": "pending", "name": name, "token": b64(uuid.uuid4().bytes * 2), "error": None,
                                        "account": account, "is_asked": False}
            ids.append(one)
        self.orders[key] = {"status": "pending", "names": names, "authorizations": ids, "pem": None}
        return 201, {"Location": f"{self.url}/orders/{key}"}, self.show_order(key)

    def show_order(self, key):
        order = self.orders[key]
        states = [self.authorizations[a]["status"] for a in order["authorizations"]]
        if order["status"] == "pending" and all(s == "valid" for s in states):
            order["status"] = "ready"
        if order["status"] == "pending" and "invalid" in states:
            order["status"] = "invalid"
        shown = {"status": order["status"], "finalize": f"{self.url}/finalize/{key}",
                 "identifiers": [{"type": "dns", "value": n} for n in order["names"]],
                 "authorizations": [f"{self.url}/authz/{a}" for a in order["authorizations"]]}
        if order["status"] == "valid":
            shown["certificate"] = f"{self.url}/certificate/{key}"
        return shown

    def read_order(self, account, key, payload):
        if payload is not None:
            raise Refusal(400, "malformed", "POST-as-GET has an empty payload")
        return 200, {}, self.show_order(key)

    def read_authorization(self, account, key, payload):
        if payload is not None:
            raise Refusal(400, "malformed", "POST-as-GET has an empty payload")
        one = self.authorizations[key]
        challenge = {"type": "http-01", "url": f"{self.url}/challenge/{key}", "token": one["token"], "status": one["status"]}
        if one["error"]:
            challenge["error"] = one["error"]
        return 200, {}, {"status": one["status"], "identifier": {"type": "dns", "value": one["name"]},
                         "challenges": [{"type": "dns-01", "url": f"{self.url}/none", "token": one["token"], "status": "pending"},
                                        challenge]}

    def challenge(self, account, key, payload):
        if payload != {}:
            raise Refusal(400, "malformed", "a response to a challenge is {}")
        one = self.authorizations[key]
        if not one["is_asked"]:
            one["is_asked"] = True
            threading.Thread(target=self.ask, args=(one,), daemon=True).start()
        return 200, {}, {"type": "http-01", "url": f"{self.url}/challenge/{key}", "token": one["token"], "status": "processing"}

    def ask(self, one):
        wanted = f"{one['token']}.{one['account']['thumbprint']}"
        try:
            connection = http.client.HTTPConnection(*self.where(one["name"]), timeout=5)
            connection.request("GET", "/.well-known/acme-challenge/" + one["token"], headers={"Host": one["name"]})
            answer = connection.getresponse()
            got = answer.read().decode().rstrip()
            problem = None if answer.status == 200 and got == wanted else f"{answer.status} {got[:60]!r}"
        except OSError as failure:
            problem = str(failure)
        with self.lock:
            one["status"] = "invalid" if problem else "valid"
            if problem:
                one["error"] = {"type": "urn:ietf:params:acme:error:unauthorized", "detail": problem}

    def finalize(self, account, key, payload):
        order = self.orders[key]
        self.show_order(key)
        if order["status"] != "ready":
            raise Refusal(403, "orderNotReady", "the order is " + order["status"])
        csr = self.folder / f"{key}.csr"
        csr.write_bytes(unb64(payload["csr"]))
        text = openssl("req", "-inform", "DER", "-in", csr, "-noout", "-text", "-verify")
        names = re.findall(r"DNS:([^,\s]+)", text)
        if sorted(names) != sorted(order["names"]):
            raise Refusal(400, "badCSR", f"names {names}, ordered {order['names']}")
        order["status"] = "processing"
        threading.Thread(target=self.issue, args=(key, csr), daemon=True).start()
        return 200, {"Location": f"{self.url}/orders/{key}"}, self.show_order(key)

    def issue(self, key, csr):
        time.sleep(0.2)
        with self.lock:
            order, folder = self.orders[key], self.folder / "ca"
            folder.mkdir(exist_ok=True)
            (folder / "index.txt").write_text("")
            (folder / "index.txt.attr").write_text("unique_subject = no\n")
            (folder / "serial").write_text(f"{uuid.uuid4().int >> 16:032X}\n".rjust(33, "0"))
            config = folder / "ca.cnf"
            config.write_text(
                "[ca]\ndefault_ca=it\n[it]\n" f"database={folder}/index.txt\nserial={folder}/serial\nnew_certs_dir={folder}\n"
                "default_md=sha256\npolicy=any\nx509_extensions=leaf\n[any]\ncommonName=optional\n[leaf]\n"
                "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
                f"subjectAltName={','.join('DNS:' + n for n in order['names'])}\n")
            now = datetime.datetime.now(datetime.timezone.utc)
            form = "%Y%m%d%H%M%SZ"
            pem = folder / f"{key}.pem"
            openssl("ca", "-batch", "-config", config, "-inform", "DER", "-in", csr, "-out", pem, "-notext", "-keyfile",
                    self.middle.key, "-cert", self.middle.path, "-subj", f"/CN={order['names'][0]}", "-startdate",
                    (now - datetime.timedelta(seconds=1)).strftime(form), "-enddate",
                    (now + datetime.timedelta(seconds=self.lifetime_s)).strftime(form))
            order["pem"] = pem.read_text() + self.middle.path.read_text()
            order["status"] = "valid"
            self.issued.append(openssl("x509", "-in", pem, "-noout", "-serial").strip().split("=")[1])

    def certificate(self, account, key, payload):
        if payload is not None or self.orders[key]["pem"] is None:
            raise Refusal(400, "malformed", "no certificate yet, or no POST-as-GET")
        return 200, {"Content-Type": "application/pem-certificate-chain"}, self.orders[key]["pem"].encode()
