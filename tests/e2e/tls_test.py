#!/usr/bin/env python3
"""TLS on both sides with boto3: an HTTPS listener with mutual TLS in front of HTTPS targets that are checked by HTTPS."""
import pathlib, shutil, socket, ssl, tempfile, threading, urllib.parse

from pki import Authority, openssl
from rig import Engine, run_tests, wait_until


class HttpsTarget:
    """Answers every request with the lines of its head."""

    def __init__(self, certificate, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with self.context.wrap_socket(connection, server_side=True) as s:
                buffer = b""
                while part := s.recv(65536):
                    buffer += part
                    while b"\r\n\r\n" in buffer:
                        head, buffer = buffer.split(b"\r\n\r\n", 1)
                        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(head) + head)
        except OSError:
            pass

    def close(self):
        self.listener.close()


class Bench:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hitless-tls-"))
        self.root = Authority(self.folder, "Test Root")
        self.people = Authority(self.folder, "People")
        self.engine = Engine()
        self.acm, self.elb, self.ec2 = (self.engine.client(name) for name in ("acm", "elbv2", "ec2"))

    def show_log(self):
        self.engine.show_log()

    def close(self):
        self.engine.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def ask(where, root, client=None):
    """The head that the target saw, by name; None when the client is not let in."""
    address, port, name = where
    context = ssl.create_default_context(cafile=str(root.path))
    if client:
        context.load_cert_chain(*map(str, client))
    try:
        with socket.create_connection((address, port), timeout=20) as plain, \
                context.wrap_socket(plain, server_hostname=name) as s:
            s.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nX-Amzn-Mtls-Clientcert-Subject: forged\r\n"
                      "Connection: close\r\n\r\n".encode())
            answer = b""
            while part := s.recv(65536):
                answer += part
    except OSError:
        return None
    head, _, body = answer.decode().partition("\r\n\r\n")
    if not head.startswith("HTTP/1.1 200"):
        return None
    return dict(line.lower().split(": ", 1)[:1] + line.split(": ", 1)[1:] for line in body.split("\r\n")[1:])


def test_tls_on_both_sides(b):
    pem, key = b.root.issue("shop.example.com")
    certificate = b.acm.import_certificate(Certificate=pem.read_bytes(), PrivateKey=key.read_bytes(),
                                           CertificateChain=b.root.path.read_bytes())["CertificateArn"]
    target = HttpsTarget(*b.people.issue("nobody.verifies.this"))
    subnets = b.ec2.describe_subnets()["Subnets"]
    lb = b.elb.create_load_balancer(Name="tls", Subnets=[s["SubnetId"] for s in subnets[:2]])["LoadBalancers"][0]
    group = b.elb.create_target_group(Name="tls", Protocol="HTTPS", Port=target.port, VpcId=subnets[0]["VpcId"],
                                      TargetType="ip", HealthCheckProtocol="HTTPS",
                                      HealthCheckPath="/")["TargetGroups"][0]["TargetGroupArn"]
    b.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1", "Port": target.port}])
    bucket = b.engine.state / "s3" / "trust"
    bucket.mkdir(parents=True)
    (bucket / "people.pem").write_text(b.people.path.read_text())
    store = b.elb.create_trust_store(Name="people", CaCertificatesBundleS3Bucket="trust",
                                     CaCertificatesBundleS3Key="people.pem")["TrustStores"][0]["TrustStoreArn"]
    listener = b.elb.create_listener(
        LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTPS", Port=8443, SslPolicy="ELBSecurityPolicy-TLS13-1-3-2021-06",
        Certificates=[{"CertificateArn": certificate}], DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        MutualAuthentication={"Mode": "verify", "TrustStoreArn": store})["Listeners"][0]["ListenerArn"]
    b.elb.modify_load_balancer_attributes(LoadBalancerArn=lb["LoadBalancerArn"], Attributes=[
        {"Key": "routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "Value": "true"}])
    b.elb.modify_listener_attributes(ListenerArn=listener, Attributes=[
        {"Key": "routing.http.request.x_amzn_mtls_clientcert_issuer.header_name", "Value": "X-Who-Says-So"}])
    wait_until("the target is healthy", lambda: b.elb.describe_target_health(TargetGroupArn=group)[
        "TargetHealthDescriptions"][0]["TargetHealth"]["State"] == "healthy")
    where = (lb["DNSName"], 8443, "shop.example.com")
    anna = b.people.issue("anna", usage="clientAuth")
    stranger = b.root.issue("stranger", usage="clientAuth")
    seen = wait_until("anna is let in", lambda: ask(where, b.root, anna))
    assert seen["x-amzn-mtls-clientcert-subject"] == "CN=anna", seen
    assert seen["x-who-says-so"] == "CN=People,O=Test" and "x-amzn-mtls-clientcert-issuer" not in seen, seen
    assert urllib.parse.unquote(seen["x-amzn-mtls-clientcert-leaf"]) in anna[0].read_text(), seen
    assert seen["x-amzn-tls-version"] == "TLSv1.3" and seen["x-forwarded-proto"] == "https", seen
    assert ask(where, b.root, stranger) is None and ask(where, b.root) is None
    serial = openssl("x509", "-in", anna[0], "-noout", "-serial").strip().split("=")[1]
    (bucket / "list.pem").write_text(b.people.revoke(serial))
    b.elb.add_trust_store_revocations(TrustStoreArn=store, RevocationContents=[
        {"S3Bucket": "trust", "S3Key": "list.pem", "RevocationType": "CRL"}])
    wait_until("anna's certificate is revoked", lambda: ask(where, b.root, anna) is None)
    assert ask(where, b.root, b.people.issue("berta", usage="clientAuth")) is not None
    target.close()


if __name__ == "__main__":
    run_tests([test_tls_on_both_sides], Bench)
