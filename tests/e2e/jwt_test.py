#!/usr/bin/env python3
"""jwt-validation (aws-semantics.md 2.3): a key set over HTTPS, tokens signed by the openssl command, HTTPS listeners."""
import base64, http.client, http.server, json, pathlib, shutil, ssl, tempfile, threading, time

from boto_test import refused
from pki import Authority, new_key, openssl
from rig import Engine, free_port, run_tests, wait_until

ISSUER = "https://idp.example.com"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Idp:
    """An HTTPS server with a key set; sign() makes tokens."""

    def __init__(self, folder, root):
        self.folder, self.fetches = folder, 0
        pem, key = root.issue("localhost")
        self.keys = {name: new_key(folder / f"{name}.key", "rsa2048") for name in ("one", "two")}
        self.shown = ["one"]
        idp = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                idp.fetches += 1
                body = json.dumps({"keys": [idp.jwk(name) for name in idp.shown]}).encode()
                self.send_response(200 if self.path == "/jwks" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_address[1]}/jwks"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def jwk(self, name):
        modulus = openssl("rsa", "-in", self.keys[name], "-noout", "-modulus").strip().split("=")[1]
        return {"kty": "RSA", "kid": name, "use": "sig", "alg": "RS256", "n": b64(bytes.fromhex(modulus)), "e": "AQAB"}

    def sign(self, name="one", kid=None, **claims):
        body = {"iss": ISSUER, "exp": int(time.time()) + 300, "scope": "a orders:read", **claims}
        text = ".".join(b64(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": kid or name}, body))
        (self.folder / "text").write_text(text)
        openssl("dgst", "-sha256", "-sign", self.keys[name], "-out", self.folder / "mark", self.folder / "text")
        return f"{text}.{b64((self.folder / 'mark').read_bytes())}"


class Site:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hitless-jwt-"))
        self.root = Authority(self.folder, "Test Root")
        self.idp = Idp(self.folder, self.root)
        self.engine = Engine(env={"HITLESS_IDP_CA_FILE": str(self.root.path)})
        self.elb = self.engine.client("elbv2")
        subnets = [s["SubnetId"] for s in self.engine.client("ec2").describe_subnets()["Subnets"]][:2]
        self.lb = self.elb.create_load_balancer(Name="jwt", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        self.address = self.elb.describe_load_balancers()["LoadBalancers"][0]["DNSName"]
        pem, key = self.root.issue("shop.example.com")
        certificate = self.engine.client("acm").import_certificate(
            Certificate=pem.read_bytes(), PrivateKey=key.read_bytes(), CertificateChain=self.root.path.read_bytes())
        self.port = free_port()
        self.listener = self.elb.create_listener(
            LoadBalancerArn=self.lb, Protocol="HTTPS", Port=self.port, DefaultActions=[fixed("open")],
            Certificates=[{"CertificateArn": certificate["CertificateArn"]}])["Listeners"][0]["ListenerArn"]
        wait_until("the listener answers", lambda: self.ask("/") == (200, "open"))

    def ask(self, path, token=None):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            connection = http.client.HTTPSConnection(self.address, self.port, context=context, timeout=10)
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode() if answer.status == 200 else ""
        except ConnectionError:
            return 0, ""

    def show_log(self):
        self.engine.show_log()

    def close(self):
        self.engine.close()
        self.idp.server.shutdown()
        shutil.rmtree(self.folder, ignore_errors=True)


def fixed(text):
    return {"Type": "fixed-response", "Order": 2,
            "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain", "MessageBody": text}}


def guard(url, **more):
    return {"Type": "jwt-validation", "Order": 1, "JwtValidationConfig": {"JwksEndpoint": url, "Issuer": ISSUER, **more}}


def rule(s, priority, path, *actions):
    return s.elb.create_rule(ListenerArn=s.listener, Priority=priority, Actions=list(actions),
                             Conditions=[{"Field": "path-pattern", "Values": [path]}])["Rules"][0]


def test_only_valid_tokens_pass(s):
    scope = {"Name": "scope", "Format": "space-separated-values", "Values": ["orders:read"]}
    action = guard(s.idp.url, AdditionalClaims=[scope])
    made = rule(s, 1, "/orders*", action, fixed("orders"))
    assert made["Actions"][0] == action, made
    good = s.idp.sign()
    wait_until("the key set is there", lambda: s.ask("/orders", good) == (200, "orders"), 15)
    assert s.ask("/orders") == (401, "")
    for token in ("x", s.idp.sign(iss="https://other"), s.idp.sign(exp=int(time.time()) - 1), s.idp.sign(scope="orders"),
                  s.idp.sign("two"), s.idp.sign("two", kid="one"), good[:-6] + "AAAAAA"):
        assert s.ask("/orders", token) == (401, ""), token
    assert s.ask("/", None) == (200, "open")
    assert s.idp.fetches == 1, s.idp.fetches


def test_without_keys_nobody_passes(s):
    rule(s, 2, "/dark", guard(s.idp.url.replace("/jwks", "/nope")), fixed("dark"))
    wait_until("the rule is there", lambda: s.ask("/dark")[0] == 401, 10)
    assert s.ask("/dark", s.idp.sign()) == (500, "")


def test_what_cannot_be_is_refused(s):
    for action in (guard("http://a.b/jwks"), guard("https://" + "a" * 250),
                   guard(s.idp.url, AdditionalClaims=[{"Name": "exp", "Format": "single-string", "Values": ["1"]}]),
                   guard(s.idp.url, AdditionalClaims=[{"Name": "a", "Format": "space-separated-values", "Values": ["b c"]}])):
        refused(400, "InvalidLoadBalancerAction", s.elb.create_rule, ListenerArn=s.listener, Priority=9,
                Actions=[action, fixed("x")], Conditions=[{"Field": "path-pattern", "Values": ["/x"]}])
    plain = s.elb.create_listener(LoadBalancerArn=s.lb, Protocol="HTTP", Port=free_port(), DefaultActions=[fixed("open")])
    for listener, code, action in (
            (plain["Listeners"][0]["ListenerArn"], "InvalidLoadBalancerAction", guard(s.idp.url)),
            (s.listener, "OperationNotPermitted", {"Type": "authenticate-cognito", "Order": 1, "AuthenticateCognitoConfig": {
                "UserPoolArn": "a", "UserPoolClientId": "a", "UserPoolDomain": "a"}})):
        refused(400, code, s.elb.create_rule, ListenerArn=listener, Priority=9, Actions=[action, fixed("x")],
                Conditions=[{"Field": "path-pattern", "Values": ["/x"]}])


if __name__ == "__main__":
    run_tests([fn for name, fn in list(globals().items()) if name.startswith("test_")], Site)
