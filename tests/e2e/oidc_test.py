#!/usr/bin/env python3
"""authenticate-oidc (aws-semantics.md 2.3; codes 401, 500, 561 of 2.9): an identity provider of our own over HTTPS, a
browser's way there and back, sessions, signed headers, and what is refused."""
import base64, http.client, http.server, json, pathlib, re, shutil, ssl, subprocess, tempfile, threading, time, urllib.parse, urllib.request

from boto_test import refused
from pki import Authority, openssl
from rig import Engine, free_port, run_tests, wait_until

HOST = "shop.example.com"
SECRET = "the-clients-secret"
CALLBACK = "/oauth2/idpresponse"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(handler, context=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Idp:
    """Token endpoint and user info. The authorization endpoint is where a browser would log in: approve() plays it."""

    def __init__(self, root):
        pem, key = root.issue("localhost")
        self.codes, self.forms, self.mode, self.claims = {}, [], "well", {}
        idp = self

        class Handler(Quiet):
            def do_POST(self):
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                idp.forms.append(form)
                status, body = idp.tokens(form)
                self.answer(status, body)

            def do_GET(self):
                token = self.headers.get("Authorization", "")
                good = self.path == "/userinfo" and token == "Bearer access-1"
                self.answer(200 if good else 401, json.dumps({"sub": "user-1", "email": "a@example.com", "iss": "x",
                                                              "exp": 1, **idp.claims}).encode())

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        self.server = serve(Handler, context)
        self.base = f"https://localhost:{self.server.server_address[1]}"

    def tokens(self, form):
        if self.mode == "broken":
            return 503, b"{}"
        if self.mode == "slow":
            time.sleep(1)
        if self.mode == "nonsense":
            return 200, b"[1, 2"
        known = self.codes.pop(form.get("code"), None)
        if known is None or form["redirect_uri"] != known["redirect_uri"] or form["client_secret"] != SECRET:
            return 400, b'{"error":"invalid_grant"}'
        claims = {"iss": self.base, "sub": "user-1", "aud": ["other", "app"], "exp": int(time.time()) + 300}
        if self.mode == "other audience":
            claims["aud"] = "other"
        token = ".".join((b64(b'{"alg":"none"}'), b64(json.dumps(claims).encode()), ""))
        answer = {"access_token": "access-1", "token_type": "Bearer", "id_token": token}
        if self.mode == "no id token":
            del answer["id_token"]
        return 200, json.dumps(answer).encode()

    def approve(self, url):
        """The user logs in: the address that the browser is sent back to."""
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
        code = f"code-{len(self.forms)}-{time.monotonic_ns()}"
        self.codes[code] = asked
        return asked["redirect_uri"] + "?" + urllib.parse.urlencode({"code": code, "state": asked["state"]})


class Browser:
    """A cookie jar and nothing that follows redirects by itself."""

    def __init__(self, site):
        self.site, self.jar = site, {}

    def get(self, url, **headers):
        path = url[len(f"https://{self.site.host}"):] if url.startswith("https://") else url
        assert path.startswith("/"), url
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            connection = http.client.HTTPSConnection(self.site.address, self.site.port, context=context, timeout=60)
            cookies = "; ".join(f"{k}={v}" for k, v in self.jar.items())
            connection.request("GET", path, headers={"Host": self.site.host, **({"Cookie": cookies} if cookies else {}), **headers})
            answer = connection.getresponse()
            body = answer.read().decode()
        except ConnectionError:
            return 0, "", ""
        for line in answer.msg.get_all("Set-Cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            assert "Secure" in line and "HttpOnly" in line, line
            self.jar[name] = value
        connection.close()
        return answer.status, answer.getheader("Location") or "", body

    def sign_in(self, path):
        status, where, _ = self.get(path)
        assert status == 302, status
        return self.get(self.site.idp.approve(where))


class Site:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hitless-oidc-"))
        self.root = Authority(self.folder, "Test Root")
        self.idp = Idp(self.root)
        self.engine = Engine(env={"HITLESS_IDP_CA_FILE": str(self.root.path)})
        self.elb = self.engine.client("elbv2")

        class Target(Quiet):
            def do_GET(self):
                self.answer(200, json.dumps({k.lower(): v for k, v in self.headers.items()}).encode())

        self.target = serve(Target)
        subnets = [s["SubnetId"] for s in self.engine.client("ec2").describe_subnets()["Subnets"]][:2]
        self.lb = self.elb.create_load_balancer(Name="oidc", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        lb = self.elb.describe_load_balancers()["LoadBalancers"][0]
        self.address = lb["DNSName"]
        self.group = self.elb.create_target_group(Name="oidc", Protocol="HTTP", Port=80, VpcId=lb["VpcId"], TargetType="ip",
                                                  HealthCheckEnabled=True)["TargetGroups"][0]["TargetGroupArn"]
        self.elb.register_targets(TargetGroupArn=self.group,
                                  Targets=[{"Id": "127.0.0.1", "Port": self.target.server_address[1]}])
        pem, key = self.root.issue(HOST)
        certificate = self.engine.client("acm").import_certificate(
            Certificate=pem.read_bytes(), PrivateKey=key.read_bytes(), CertificateChain=self.root.path.read_bytes())
        self.port = free_port()
        self.host = f"{HOST}:{self.port}"
        self.listener = self.elb.create_listener(
            LoadBalancerArn=self.lb, Protocol="HTTPS", Port=self.port, DefaultActions=[fixed("open")],
            Certificates=[{"CertificateArn": certificate["CertificateArn"]}])["Listeners"][0]["ListenerArn"]
        wait_until("the listener answers", lambda: Browser(self).get("/")[2] == "open", 30)
        forward = {"Type": "forward", "Order": 2, "TargetGroupArn": self.group}
        self.made = rule(self, 1, "/shop*", oidc(self), forward)
        rule(self, 2, "/deny*", oidc(self, OnUnauthenticatedRequest="deny"), forward)
        rule(self, 3, "/allow*", oidc(self, OnUnauthenticatedRequest="allow"), forward)
        rule(self, 4, "/other*", oidc(self, Scope="openid admin", SessionCookieName="Other"), forward)
        wait_until("the rules are there", lambda: Browser(self).get("/other")[0] == 302, 30)
        wait_until("the target answers", lambda: Browser(self).get("/allow")[0] == 200, 60)

    def show_log(self):
        self.engine.show_log()

    def close(self):
        self.engine.close()
        self.idp.server.shutdown()
        self.target.shutdown()
        shutil.rmtree(self.folder, ignore_errors=True)


def fixed(text):
    return {"Type": "fixed-response", "Order": 2,
            "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain", "MessageBody": text}}


def oidc(s, **more):
    base = s.idp.base
    return {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": {
        "Issuer": base, "AuthorizationEndpoint": base + "/authorize", "TokenEndpoint": base + "/token",
        "UserInfoEndpoint": base + "/userinfo", "ClientId": "app", "ClientSecret": SECRET,
        "AuthenticationRequestExtraParams": {"prompt": "login now"}, **more}}


def rule(s, priority, path, *actions):
    return s.elb.create_rule(ListenerArn=s.listener, Priority=priority, Actions=list(actions),
                             Conditions=[{"Field": "path-pattern", "Values": [path]}])["Rules"][0]


def test_the_api_echoes_all_but_the_secret(s):
    config = dict(oidc(s)["AuthenticateOidcConfig"], SessionCookieName="AWSELBAuthSessionCookie", Scope="openid",
                  SessionTimeout=604800, OnUnauthenticatedRequest="authenticate")
    del config["ClientSecret"]
    shown = s.elb.describe_rules(RuleArns=[s.made["RuleArn"]])["Rules"][0]
    for seen in (s.made, shown):
        assert seen["Actions"][0] == {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": config}, seen
    folder = pathlib.Path(s.engine.state)
    assert not any(SECRET.encode() in f.read_bytes() for f in folder.rglob("*") if f.is_file())
    again = oidc(s, UseExistingClientSecret=True)
    del again["AuthenticateOidcConfig"]["ClientSecret"]
    s.elb.modify_rule(RuleArn=s.made["RuleArn"], Actions=[again, {"Type": "forward", "Order": 2, "TargetGroupArn": s.group}])


def test_a_user_signs_in(s):
    browser = Browser(s)
    status, where, _ = browser.get("/shop/cart?a=1&b=%20")
    asked = urllib.parse.urlsplit(where)
    query = dict(urllib.parse.parse_qsl(asked.query))
    assert status == 302 and where.startswith(s.idp.base + "/authorize?"), (status, where)
    state = query.pop("state")
    assert query == {"response_type": "code", "client_id": "app", "scope": "openid", "prompt": "login now",
                     "redirect_uri": f"https://{s.host}{CALLBACK}"}, query
    assert SECRET not in where and "shop" not in state
    status, where, _ = browser.get(s.idp.approve(where))
    assert (status, where) == (302, f"https://{s.host}/shop/cart?a=1&b=%20"), (status, where)
    assert s.idp.forms[-1]["grant_type"] == "authorization_code" and s.idp.forms[-1]["client_id"] == "app"
    assert "AWSELBAuthSessionCookie-0" in browser.jar
    status, _, body = browser.get(where, **{"x-amzn-oidc-identity": "forged", "X_Amzn_Oidc_Data": "forged"})
    seen = json.loads(body)
    assert status == 200 and seen["x-amzn-oidc-identity"] == "user-1" and seen["x-amzn-oidc-accesstoken"] == "access-1"
    assert "forged" not in body
    check_data(s, seen["x-amzn-oidc-data"])


def check_data(s, data):
    """The signature is checked by the openssl command with the key that the engine hands out."""
    head, claims, mark = data.split(".")
    facts = json.loads(base64.urlsafe_b64decode(head))
    assert facts["alg"] == "ES256" and facts["signer"] == s.lb and facts["client"] == "app" and facts["iss"] == s.idp.base
    told = json.loads(base64.urlsafe_b64decode(claims))
    assert told["sub"] == "user-1" and told["email"] == "a@example.com" and told["iss"] == s.idp.base
    assert time.time() < told["exp"] <= time.time() + 130 and told["exp"] == facts["exp"]
    with urllib.request.urlopen(f"{s.engine.endpoint}/_hitless/public-keys/{facts['kid']}", timeout=10) as answer:
        (s.folder / "public.pem").write_bytes(answer.read())
    raw = base64.urlsafe_b64decode(mark)
    numbers = b"".join(number(raw[i:i + 32]) for i in (0, 32))
    (s.folder / "mark").write_bytes(b"\x30" + bytes([len(numbers)]) + numbers)
    (s.folder / "text").write_text(f"{head}.{claims}")
    openssl("dgst", "-sha256", "-verify", s.folder / "public.pem", "-signature", s.folder / "mark", s.folder / "text")


def number(digits):
    digits = digits.lstrip(b"\0")
    digits = b"\0" + digits if digits[0] > 127 else digits
    return b"\x02" + bytes([len(digits)]) + digits


def test_deny_and_allow(s):
    browser = Browser(s)
    assert browser.get("/deny")[0] == 401
    status, _, body = browser.get("/allow", **{"x-amzn-oidc-identity": "forged"})
    assert status == 200 and "x-amzn-oidc" not in body, body
    assert browser.sign_in("/shop")[0] == 302
    assert json.loads(browser.get("/deny")[2])["x-amzn-oidc-identity"] == "user-1"
    assert json.loads(browser.get("/allow")[2])["x-amzn-oidc-identity"] == "user-1"
    assert browser.get("/")[2] == "open"


def test_a_session_is_of_its_login_alone(s):
    browser = Browser(s)
    assert browser.sign_in("/shop")[0] == 302 and browser.get("/shop")[0] == 200
    browser.jar["Other-0"] = browser.jar["AWSELBAuthSessionCookie-0"]
    assert browser.get("/other")[0] == 302


def test_changed_cookies_are_no_session(s):
    browser = Browser(s)
    assert browser.sign_in("/shop")[0] == 302
    good = browser.jar["AWSELBAuthSessionCookie-0"]
    for bad in ("", "1", "0" + good[1:], "9" + good[1:], "2" + good[1:], good[:-4], good[:30] + ("A" if good[30] != "A" else "B") + good[31:],
                "1" + "A" * 3000):
        browser.jar["AWSELBAuthSessionCookie-0"] = bad
        assert browser.get("/deny")[0] == 401, bad
    browser.jar["AWSELBAuthSessionCookie-0"] = good
    assert browser.get("/deny")[0] == 200


def test_a_state_works_in_its_own_browser_only(s):
    browser, stranger = Browser(s), Browser(s)
    back = s.idp.approve(browser.get("/shop")[1])
    before = len(s.idp.forms)
    assert stranger.get(back)[0] == 401
    stranger.get("/shop")
    assert stranger.get(back)[0] == 401
    assert browser.get(CALLBACK)[0] == 401 and browser.get(CALLBACK + "?code=a&state=b")[0] == 401
    assert browser.get(re.sub("state=.", "state=_", back))[0] == 401
    assert browser.get(back, Host="other.example.com")[0] == 401
    assert len(s.idp.forms) == before, "no code of a stranger was exchanged"
    assert browser.get(back)[0] == 302


def test_what_the_identity_provider_refuses(s):
    browser = Browser(s)
    where = browser.get("/shop")[1]
    state = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(where).query))["state"]
    assert browser.get(f"{CALLBACK}?error=access_denied&state={state}")[0] == 561
    assert browser.get(f"{CALLBACK}?code=wrong&state={state}")[0] == 561
    for mode, status in (("broken", 500), ("nonsense", 500), ("other audience", 500), ("no id token", 401)):
        s.idp.mode = mode
        assert browser.sign_in("/shop")[0] == status, mode
    s.idp.mode = "well"
    s.idp.claims = {"sub": "user-2"}
    assert browser.sign_in("/shop")[0] == 500
    s.idp.claims = {"much": "x" * 12000}
    assert browser.sign_in("/shop")[0] == 401
    s.idp.claims = {"much": "x" * 6000}
    assert browser.sign_in("/shop")[0] == 302
    assert "AWSELBAuthSessionCookie-2" in browser.jar and browser.get("/shop")[0] == 200
    s.idp.claims = {}
    assert browser.sign_in("/other")[0] == 302


def test_an_identity_provider_that_is_away(s):
    action = oidc(s, TokenEndpoint=f"https://localhost:{free_port()}/token", SessionCookieName="Away")
    rule(s, 5, "/away", action, fixed("away"))
    browser = Browser(s)
    wait_until("the rule is there", lambda: browser.get("/away")[0] == 302, 30)
    assert browser.sign_in("/away")[0] == 500
    assert browser.get("/shop")[0] == 302, "others go on"


def test_what_cannot_be_is_refused(s):
    def denied(code, *actions, listener=s.listener):
        refused(400, code, s.elb.create_rule, ListenerArn=listener, Priority=9, Actions=list(actions),
                Conditions=[{"Field": "path-pattern", "Values": ["/x"]}])

    without = oidc(s, UseExistingClientSecret=True, ClientId="nobody")
    del without["AuthenticateOidcConfig"]["ClientSecret"]
    for action in (oidc(s, TokenEndpoint="http://a.b/token"), oidc(s, Issuer="x"), oidc(s, SessionTimeout=604801),
                   oidc(s, SessionCookieName="a b"), oidc(s, AuthenticationRequestExtraParams={"state": "a"}), without):
        denied("InvalidLoadBalancerAction", action, fixed("x"))
    denied("InvalidLoadBalancerAction", oidc(s), {**oidc(s), "Order": 3}, {**fixed("x"), "Order": 4})
    denied("InvalidLoadBalancerAction", {**oidc(s), "Order": 3}, fixed("x"))
    denied("OperationNotPermitted", {"Type": "authenticate-cognito", "Order": 1, "AuthenticateCognitoConfig": {
        "UserPoolArn": "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_a", "UserPoolClientId": "a",
        "UserPoolDomain": "a"}}, fixed("x"))
    plain = s.elb.create_listener(LoadBalancerArn=s.lb, Protocol="HTTP", Port=free_port(), DefaultActions=[fixed("open")])
    denied("InvalidLoadBalancerAction", oidc(s), fixed("x"), listener=plain["Listeners"][0]["ListenerArn"])


def test_a_default_action_of_a_listener(s):
    port = free_port()
    certificates = s.elb.describe_listeners(ListenerArns=[s.listener])["Listeners"][0]["Certificates"]
    made = s.elb.create_listener(LoadBalancerArn=s.lb, Protocol="HTTPS", Port=port, Certificates=certificates,
                                 DefaultActions=[oidc(s), fixed("inside")])["Listeners"][0]
    assert "ClientSecret" not in made["DefaultActions"][0]["AuthenticateOidcConfig"], made
    browser = Browser(s)
    browser.port, browser.host = port, f"{HOST}:{port}"
    browser.site, browser.address, browser.idp = browser, s.address, s.idp
    wait_until("the listener answers", lambda: browser.get("/")[0] == 302, 30)
    assert browser.sign_in("/x")[0] == 302 and browser.get("/x")[2] == "inside"


def test_a_session_ends_with_its_time(s):
    rule(s, 6, "/short", oidc(s, SessionTimeout=2, SessionCookieName="Short"), fixed("short"))
    browser = Browser(s)
    wait_until("the rule is there", lambda: browser.get("/short")[0] == 302, 30)
    assert browser.sign_in("/short")[0] == 302
    wait_until("the session is over", lambda: browser.get("/short")[0] == 302, 30, 0.2)


def test_many_users_wait_and_some_leave(s):
    s.idp.mode = "slow"
    browsers = [Browser(s) for _ in range(20)]
    backs = [s.idp.approve(b.get("/shop")[1]) for b in browsers]
    leaver = Browser(s)
    back = s.idp.approve(leaver.get("/shop")[1])
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(s.address, s.port, context=context, timeout=30)
    cookies = "; ".join(f"{k}={v}" for k, v in leaver.jar.items())
    connection.request("GET", back[len(f"https://{s.host}"):], headers={"Host": s.host, "Cookie": cookies})
    connection.close()
    statuses = [None] * len(browsers)

    def work(i):
        statuses[i] = browsers[i].get(backs[i])[0]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(browsers))]
    for thread in threads:
        thread.start()
    assert Browser(s).get("/")[2] == "open", "nobody else waits"
    for thread in threads:
        thread.join()
    s.idp.mode = "well"
    assert statuses == [302] * len(browsers), statuses
    assert all(b.get("/deny")[0] == 200 for b in browsers)


def test_a_browser_with_http2(s):
    jar, body = s.folder / "jar", s.folder / "body"

    def curl(url):
        words = ["curl", "-sk", "--http2", "--connect-to", f"{s.host}:{s.address}:{s.port}", "-b", jar, "-c", jar, "-o", body,
                 "-w", "%{http_version} %{http_code} %{redirect_url}", url]
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout.split(" ", 2)

    version, status, where = curl(f"https://{s.host}/shop?h2")
    assert (version, status) == ("2", "302"), (version, status)
    version, status, where = curl(s.idp.approve(where))
    assert (version, status, where) == ("2", "302", f"https://{s.host}/shop?h2")
    assert curl(where)[1] == "200" and json.loads(body.read_text())["x-amzn-oidc-identity"] == "user-1"


def test_sign_ins_are_counted(s):
    with urllib.request.urlopen(f"{s.engine.endpoint}/metrics", timeout=10) as answer:
        lines = [line for line in answer.read().decode().splitlines() if "auth" in line.lower() and line[0] != "#"]
    for word in ("success", "failure", "error"):
        assert any(word in line.lower() and float(line.split()[-1]) > 0 for line in lines), (word, lines)


def test_sessions_outlive_the_engine(s):
    browser = Browser(s)
    assert browser.sign_in("/shop")[0] == 302
    s.engine.stop()
    s.engine.start()
    wait_until("the session is known again", lambda: browser.get("/deny")[0] == 200, 60)


if __name__ == "__main__":
    run_tests([fn for name, fn in list(globals().items()) if name.startswith("test_")], Site)
