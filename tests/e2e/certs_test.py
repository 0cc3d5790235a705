#!/usr/bin/env python3
"""Certificates with the stock clients: ACM's import and its checks, what HTTPS listeners make of them, trust
stores, and certificates that an authority issues and renews over ACME (RFC 8555)."""
import collections, pathlib, re, socket, tempfile, threading

from acme_server import AcmeServer
from pki import Authority, new_key, openssl
from rig import ACCOUNT, REGION, Engine, http_get, run_tests, wait_until


class Bench:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hitless-certs-"))
        self.root = Authority(self.folder, "Test Root")
        self.middle = Authority(self.folder, "Test Middle", self.root)
        self.files = self.folder / "files" / REGION
        self.files.mkdir(parents=True)
        self.engine = Engine("--certificate-dir", str(self.files.parent))
        self.acm = self.engine.client("acm")
        self.elb = self.engine.client("elbv2")

    def subnets(self):
        return [s["SubnetId"] for s in self.engine.client("ec2").describe_subnets()["Subnets"]][:2]

    def load_balancer(self, name):
        return self.elb.create_load_balancer(Name=name, Subnets=self.subnets())["LoadBalancers"][0]

    def put(self, *names, **options):
        pem, key = self.middle.issue(*names, **options)
        return self.acm.import_certificate(Certificate=pem.read_bytes(), PrivateKey=key.read_bytes(),
                                           CertificateChain=self.middle.path.read_bytes())["CertificateArn"]

    def show_log(self):
        self.engine.show_log()

    def close(self):
        import shutil
        self.engine.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def refused(call, code, words=""):
    from botocore.exceptions import ClientError
    try:
        call()
    except ClientError as problem:
        assert problem.response["Error"]["Code"] == code, problem
        assert words in problem.response["Error"]["Message"], problem
        return
    raise AssertionError(f"not refused with {code}")


FIXED = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "hello"}}]


def test_the_aws_cli_imports_and_describes_a_certificate(b):
    pem, key = b.middle.issue("shop.example.com", "www.shop.example.com")
    arn = b.engine.aws("acm", "import-certificate", "--certificate", f"fileb://{pem}", "--private-key", f"fileb://{key}",
                       "--certificate-chain", f"fileb://{b.middle.path}", "--tags", "Key=team,Value=shop")["CertificateArn"]
    assert re.fullmatch(rf"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/[0-9a-f-]{{36}}", arn), arn
    told = b.engine.aws("acm", "describe-certificate", "--certificate-arn", arn)["Certificate"]
    assert told["DomainName"] == "shop.example.com", told
    assert told["SubjectAlternativeNames"] == ["shop.example.com", "www.shop.example.com"], told
    assert told["Status"] == "ISSUED" and told["Type"] == "IMPORTED" and told["InUseBy"] == [], told
    assert told["RenewalEligibility"] == "INELIGIBLE" and told["KeyAlgorithm"] == "EC_prime256v1", told
    assert told["SignatureAlgorithm"] == "SHA256WITHECDSA" and told["Issuer"] == "Test", told
    assert told["Subject"] == "CN=shop.example.com", told
    serial = openssl("x509", "-in", pem, "-noout", "-serial").strip().split("=")[1].lower()
    assert told["Serial"].replace(":", "") == serial, (told["Serial"], serial)
    assert {"Name": "DIGITAL_SIGNATURE"} in told["KeyUsages"], told
    assert told["ExtendedKeyUsages"] == [{"Name": "TLS_WEB_SERVER_AUTHENTICATION", "OID": "1.3.6.1.5.5.7.3.1"}], told
    assert {"NotBefore", "NotAfter", "CreatedAt", "ImportedAt"} <= set(told), told
    tags = b.engine.aws("acm", "list-tags-for-certificate", "--certificate-arn", arn)["Tags"]
    assert tags == [{"Key": "team", "Value": "shop"}], tags
    got = b.engine.aws("acm", "get-certificate", "--certificate-arn", arn)
    assert got["Certificate"].strip() in pem.read_text() and got["CertificateChain"].strip() in b.middle.path.read_text()
    listed = b.engine.aws("acm", "list-certificates", "--includes", "keyTypes=EC_prime256v1")["CertificateSummaryList"]
    assert [c["CertificateArn"] for c in listed] == [arn], listed
    assert b.acm.list_certificates()["CertificateSummaryList"] == []  # as AWS: RSA of 1024 and 2048 bits only
    b.engine.aws("acm", "delete-certificate", "--certificate-arn", arn)
    refused(lambda: b.acm.describe_certificate(CertificateArn=arn), "ResourceNotFoundException", "Could not find certificate")


def test_what_acm_refuses_to_import(b):
    pem, key = b.middle.issue("bad.example.com")
    other_pem, other_key = b.middle.issue("other.example.com")
    chain, root = b.middle.path.read_bytes(), b.root.path.read_bytes()

    def take(certificate=None, private_key=None, certificate_chain=chain, **more):
        more.update({"CertificateChain": certificate_chain} if certificate_chain else {})
        return lambda: b.acm.import_certificate(Certificate=certificate or pem.read_bytes(),
                                                PrivateKey=private_key or key.read_bytes(), **more)

    refused(take(private_key=other_key.read_bytes()), "ValidationException", "do not match")
    refused(take(certificate=pem.read_bytes() + chain), "ValidationException", "more than one certificate")
    refused(take(certificate=b"nonsense"), "ValidationException", "PEM")
    refused(take(private_key=b"nonsense"), "ValidationException", "private key")
    refused(take(certificate_chain=root), "ValidationException", "Could not validate the certificate with the certificate chain")
    refused(take(certificate_chain=root + chain), "ValidationException", "Could not validate the certificate")
    refused(take(certificate_chain=None), "ValidationException", "not a valid self signed")
    locked = b.folder / "locked.key"
    openssl("pkcs8", "-topk8", "-in", key, "-out", locked, "-passout", "pass:secret")
    refused(take(private_key=locked.read_bytes()), "ValidationException", "encrypted")
    odd, odd_key = b.folder / "odd.pem", new_key(b.folder / "odd.key", "ed25519")
    openssl("req", "-x509", "-key", odd_key, "-out", odd, "-subj", "/CN=odd.example.com", "-days", 3)
    refused(take(certificate=odd.read_bytes(), private_key=odd_key.read_bytes(), certificate_chain=None),
            "ValidationException", "The private key is not supported")
    late, late_key = b.middle.issue("late.example.com", days=-1)
    refused(take(certificate=late.read_bytes(), private_key=late_key.read_bytes()), "ValidationException", "expired")
    take(certificate_chain=chain + root)()  # the root may be there
    refused(lambda: b.acm.describe_certificate(CertificateArn="arn:aws:acm:eu-west-1:123456789012:nonsense/1"),
            "InvalidArnException")


def test_the_private_key_is_nowhere_in_clear(b):
    pem, key = b.middle.issue("secret.example.com")
    arn = b.acm.import_certificate(Certificate=pem.read_bytes(), PrivateKey=key.read_bytes(),
                                   CertificateChain=b.middle.path.read_bytes())["CertificateArn"]
    lines = [line for line in key.read_text().splitlines() if not line.startswith("-")]
    for path in [*b.engine.state.glob("state.db*"), b.engine.log_path]:
        assert lines[0].encode() not in path.read_bytes(), path
    mode = (b.engine.state / "secret.key").stat().st_mode & 0o777
    assert mode == 0o600, oct(mode)
    refused(lambda: b.acm.export_certificate(CertificateArn=arn, Passphrase=b"passphrase"), "ValidationException",
            "Certificate is not PRIVATE type and Export is not ENABLED")
    b.acm.delete_certificate(CertificateArn=arn)


def test_https_listeners_have_certificates_that_exist(b):
    lb = b.load_balancer("certs")
    first, second = b.put("one.example.com"), b.put("two.example.com")

    def make(**options):
        return b.elb.create_listener(LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTPS", Port=8443,
                                     DefaultActions=FIXED, **options)["Listeners"][0]

    gone = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/00000000-0000-0000-0000-000000000000"
    refused(lambda: make(), "ValidationError", "A certificate must be specified for HTTPS listeners")
    refused(lambda: make(Certificates=[{"CertificateArn": gone}]), "CertificateNotFound", f"Certificate '{gone}' not found")
    listener = make(Certificates=[{"CertificateArn": first}], SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")
    arn = listener["ListenerArn"]
    assert listener["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06", listener
    assert listener["Certificates"] == [{"CertificateArn": first}], listener
    assert listener["MutualAuthentication"]["Mode"] == "off", listener
    b.elb.add_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": second}])
    refused(lambda: b.elb.add_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": gone}]),
            "CertificateNotFound")
    told = b.elb.describe_listener_certificates(ListenerArn=arn)["Certificates"]
    assert told == [{"CertificateArn": first, "IsDefault": True}, {"CertificateArn": second, "IsDefault": False}], told
    for used in (first, second):
        detail = b.acm.describe_certificate(CertificateArn=used)["Certificate"]
        assert detail["InUseBy"] == [lb["LoadBalancerArn"]], detail
        refused(lambda: b.acm.delete_certificate(CertificateArn=used), "ResourceInUseException", "is in use")
    refused(lambda: b.elb.remove_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": first}]),
            "OperationNotPermitted")
    b.elb.remove_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": second}])
    b.acm.delete_certificate(CertificateArn=second)
    b.elb.delete_listener(ListenerArn=arn)
    assert b.acm.describe_certificate(CertificateArn=first)["Certificate"]["InUseBy"] == []
    b.acm.delete_certificate(CertificateArn=first)
    b.elb.delete_load_balancer(LoadBalancerArn=lb["LoadBalancerArn"])


def test_a_re_import_keeps_the_arn_and_what_aws_asks_to_stay(b):
    pem, key = b.middle.issue("again.example.com")
    chain = b.middle.path.read_bytes()
    arn = b.acm.import_certificate(Certificate=pem.read_bytes(), PrivateKey=key.read_bytes(), CertificateChain=chain,
                                   Tags=[{"Key": "a", "Value": "1"}])["CertificateArn"]
    before = b.acm.describe_certificate(CertificateArn=arn)["Certificate"]

    def again(certificate, private_key, **more):
        return b.acm.import_certificate(CertificateArn=arn, Certificate=certificate.read_bytes(),
                                        PrivateKey=private_key.read_bytes(), CertificateChain=chain, **more)

    newer = b.middle.issue("again.example.com", "more.example.com")
    assert again(*newer)["CertificateArn"] == arn
    after = b.acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert after["Serial"] != before["Serial"] and after["CreatedAt"] == before["CreatedAt"], (before, after)
    assert after["SubjectAlternativeNames"] == ["again.example.com", "more.example.com"], after
    refused(lambda: again(*newer, Tags=[{"Key": "a", "Value": "2"}]), "ValidationException", "Tagging is not permitted")
    refused(lambda: again(*b.middle.issue("again.example.com", kind="rsa2048")), "ValidationException", "key algorithm")
    refused(lambda: again(*b.middle.issue("again.example.com", usage="clientAuth")), "ValidationException", "removed")
    assert b.acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] == [{"Key": "a", "Value": "1"}]
    b.acm.delete_certificate(CertificateArn=arn)


NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME


def serial_on(address, port, name, authority):
    """Serial number (hex) of the certificate that a listener shows for a name, and its answer to GET /."""
    import ssl
    context = ssl.create_default_context(cafile=str(authority))
    context.verify_flags |= NO_CHECK_TIME  # of certificates that live for seconds on a machine that is busy
    with socket.create_connection((address, port), timeout=10) as plain, \
            context.wrap_socket(plain, server_hostname=name) as s:
        s.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := s.recv(4096):
            answer += chunk
        return s.getpeercert()["serialNumber"], answer


def hello(address, port, name, authority):
    try:
        serial, answer = serial_on(address, port, name, authority)
        return serial if answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"hello") else None
    except OSError:
        return None


class Visitors:
    """Threads that ask over a new TLS connection each time; whatever fails is kept."""

    def __init__(self, *where, count=4):
        self.where, self.serials, self.failures, self.is_over = where, collections.Counter(), [], False
        self.threads = [threading.Thread(target=self.run) for _ in range(count)]
        for t in self.threads:
            t.start()

    def run(self):
        while not self.is_over:
            try:
                serial, answer = serial_on(*self.where)
                assert answer.startswith(b"HTTP/1.1 200"), answer[:80]
                self.serials[serial] += 1
            except Exception as problem:
                self.failures.append(repr(problem))

    def stop(self):
        self.is_over = True
        for t in self.threads:
            t.join()


def test_a_re_import_under_load_swaps_the_certificate_and_fails_nobody(b):
    lb = b.load_balancer("swap")
    arn = b.put("swap.example.com")
    b.elb.create_listener(LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTPS", Port=8443, DefaultActions=FIXED,
                          Certificates=[{"CertificateArn": arn}])
    where = (lb["DNSName"], 8443, "swap.example.com", b.root.path)
    first = wait_until("the listener answers", lambda: hello(*where))
    visitors = Visitors(*where)
    expected = [first]
    for _ in range(3):
        wait_until("visitors saw it", lambda: visitors.serials[expected[-1]] > 5)
        pem, key = b.middle.issue("swap.example.com")
        b.acm.import_certificate(CertificateArn=arn, Certificate=pem.read_bytes(), PrivateKey=key.read_bytes(),
                                 CertificateChain=b.middle.path.read_bytes())
        expected.append(openssl("x509", "-in", pem, "-noout", "-serial").strip().split("=")[1])
        wait_until("the new one is shown", lambda: visitors.serials[expected[-1]] > 0)
    visitors.stop()
    assert not visitors.failures, visitors.failures[:3]
    assert sorted(visitors.serials) == sorted(expected), (visitors.serials, expected)
    # a restart of the control process and of the data plane brings it back out of the store
    for role in ("lb", "control"):
        b.engine.kill_role(role)
        wait_until(f"served again after {role}", lambda: hello(*where) == expected[-1], timeout_s=60)
    wait_until("the API answers", lambda: api_says(b.elb.describe_load_balancers))
    b.elb.delete_load_balancer(LoadBalancerArn=lb["LoadBalancerArn"])


def test_trust_stores_come_from_the_folder_that_stands_for_s3(b):
    bucket = b.engine.state / "s3" / "trust"
    (bucket / "ca").mkdir(parents=True)
    (bucket / "ca" / "bundle.pem").write_text(b.root.path.read_text() + b.middle.path.read_text())
    (bucket / "leaf.pem").write_bytes(b.middle.issue("leaf.example.com")[0].read_bytes())
    (bucket / "list.pem").write_text(b.root.revoke(3))

    def make(key, bucket="trust"):
        return b.elb.create_trust_store(Name="people", CaCertificatesBundleS3Bucket=bucket, CaCertificatesBundleS3Key=key,
                                        Tags=[{"Key": "team", "Value": "shop"}])["TrustStores"][0]

    refused(lambda: make("missing.pem"), "CaCertificatesBundleNotFound", "s3://trust/missing.pem")
    refused(lambda: make("../../credentials"), "ValidationError")
    refused(lambda: make("credentials", bucket=".."), "ValidationError")
    refused(lambda: make("list.pem"), "InvalidCaCertificatesBundle", "not valid")
    refused(lambda: make("leaf.pem"), "InvalidCaCertificatesBundle", "authority")
    store = make("ca/bundle.pem")
    arn = store["TrustStoreArn"]
    assert store["Status"] == "ACTIVE" and store["NumberOfCaCertificates"] == 2 and store["TotalRevokedEntries"] == 0, store
    assert re.fullmatch(rf"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:truststore/people/[0-9a-f]{{16}}", arn), arn
    refused(lambda: make("ca/bundle.pem"), "DuplicateTrustStoreName")
    assert b.elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"] == [{"Key": "team", "Value": "shop"}]
    assert b.elb.describe_trust_stores(Names=["people"])["TrustStores"] == [store]
    assert b.elb.describe_trust_stores(TrustStoreArns=[arn])["TrustStores"] == [store]
    location = b.elb.get_trust_store_ca_certificates_bundle(TrustStoreArn=arn)["Location"]
    assert pathlib.Path(location.removeprefix("file://")).read_text().count("BEGIN CERTIFICATE") == 2

    added = b.elb.add_trust_store_revocations(TrustStoreArn=arn, RevocationContents=[
        {"S3Bucket": "trust", "S3Key": "list.pem", "RevocationType": "CRL"}])["TrustStoreRevocations"][0]
    assert added["NumberOfRevokedEntries"] == 3 and added["RevocationType"] == "CRL", added
    assert b.elb.describe_trust_stores()["TrustStores"][0]["TotalRevokedEntries"] == 3
    told = b.elb.describe_trust_store_revocations(TrustStoreArn=arn)["TrustStoreRevocations"]
    assert [r["RevocationId"] for r in told] == [added["RevocationId"]], told
    location = b.elb.get_trust_store_revocation_content(TrustStoreArn=arn, RevocationId=added["RevocationId"])["Location"]
    assert "X509 CRL" in pathlib.Path(location.removeprefix("file://")).read_text()
    refused(lambda: b.elb.remove_trust_store_revocations(TrustStoreArn=arn, RevocationIds=[999]), "RevocationIdNotFound")

    lb, certificate = b.load_balancer("mutual"), b.put("mutual.example.com")

    def listen(**mutual):
        return b.elb.create_listener(LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTPS", Port=8444, DefaultActions=FIXED,
                                     Certificates=[{"CertificateArn": certificate}],
                                     MutualAuthentication=mutual)["Listeners"][0]

    refused(lambda: listen(Mode="verify"), "ValidationError", "trust store ARN")
    refused(lambda: listen(Mode="passthrough", TrustStoreArn=arn), "ValidationError")
    refused(lambda: listen(Mode="verify", TrustStoreArn=arn[:-4] + "0000"), "TrustStoreNotFound")
    listener = listen(Mode="verify", TrustStoreArn=arn)
    assert listener["MutualAuthentication"] == {
        "Mode": "verify", "TrustStoreArn": arn, "IgnoreClientCertificateExpiry": False,
        "TrustStoreAssociationStatus": "active", "AdvertiseTrustStoreCaNames": "off"}, listener
    assert listen(Mode="verify", TrustStoreArn=arn)["ListenerArn"] == listener["ListenerArn"]  # the same once more
    users = b.elb.describe_trust_store_associations(TrustStoreArn=arn)["TrustStoreAssociations"]
    assert users == [{"ResourceArn": lb["LoadBalancerArn"]}], users
    refused(lambda: b.elb.delete_trust_store(TrustStoreArn=arn), "TrustStoreInUse")
    refused(lambda: b.elb.delete_shared_trust_store_association(TrustStoreArn=arn, ResourceArn=lb["LoadBalancerArn"]),
            "DeleteAssociationSameAccount")
    b.elb.modify_trust_store(TrustStoreArn=arn, CaCertificatesBundleS3Bucket="trust", CaCertificatesBundleS3Key="ca/bundle.pem")
    b.elb.remove_trust_store_revocations(TrustStoreArn=arn, RevocationIds=[added["RevocationId"]])
    b.elb.modify_listener(ListenerArn=listener["ListenerArn"], MutualAuthentication={"Mode": "off"})
    b.elb.delete_trust_store(TrustStoreArn=arn)
    refused(lambda: b.elb.describe_trust_stores(TrustStoreArns=[arn]), "TrustStoreNotFound")
    b.elb.delete_load_balancer(LoadBalancerArn=lb["LoadBalancerArn"])


def test_certificates_come_from_files(b):
    pem, key = b.middle.issue("files.example.com")
    whole, its_key = b.folder / "shop.pem", b.folder / "shop.key"
    whole.write_bytes(pem.read_bytes() + b.middle.path.read_bytes())
    its_key.write_bytes(key.read_bytes())
    arn = b.engine.hitless("certificate", "import", str(whole), check=True).stdout.strip()
    assert b.acm.describe_certificate(CertificateArn=arn)["Certificate"]["DomainName"] == "files.example.com"
    again = b.engine.hitless("certificate", "import", str(whole), "--arn", arn, check=True).stdout.strip()
    assert again == arn, again
    listed = b.engine.hitless("certificate", "list", check=True).stdout
    assert "files.example.com" in listed and arn in listed and "unused" in listed, listed
    wrong = b.engine.hitless("certificate", "import", str(whole), "--key", str(b.middle.key))
    assert wrong.returncode == 3 and "do not match" in wrong.stderr and "PRIVATE" not in wrong.stderr, wrong
    b.acm.delete_certificate(CertificateArn=arn)

    def put(name, *names):  # the key first, as the pair must fit
        pem, key = b.middle.issue(*names)
        (b.files / f"{name}.key").write_bytes(key.read_bytes())
        (b.files / f"{name}.pem").write_bytes(pem.read_bytes() + b.middle.path.read_bytes())
        return openssl("x509", "-in", pem, "-noout", "-serial").strip().split("=")[1]

    def of_file(name):
        for c in b.acm.list_certificates(Includes={"keyTypes": ["EC_prime256v1"]})["CertificateSummaryList"]:
            tags = b.acm.list_tags_for_certificate(CertificateArn=c["CertificateArn"])["Tags"]
            if {"Key": "hitless.file", "Value": name} in tags:
                return c["CertificateArn"]

    serial = put("watched", "watched.example.com")
    arn = wait_until("imported", lambda: of_file("watched"))
    assert serial_of(b, arn) == serial
    serial = put("watched", "watched.example.com", "more.example.com")
    wait_until("imported again", lambda: serial_of(b, arn) == serial)
    b.engine.kill_role("control")
    wait_until("back", lambda: api_says(lambda: of_file("watched")) == arn, timeout_s=60)
    assert serial_of(b, arn) == serial
    for path in b.files.iterdir():
        path.unlink()
    b.acm.delete_certificate(CertificateArn=arn)


def status_of(b, arn):
    return b.acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"]


def test_a_requested_certificate_of_the_local_authority_is_issued_at_once(b):
    arn = b.acm.request_certificate(DomainName="*.local.example.com", SubjectAlternativeNames=["local.example.com"],
                                    ValidationMethod="DNS", KeyAlgorithm="EC_prime256v1", IdempotencyToken="once",
                                    Options={"Export": "ENABLED"},
                                    Tags=[{"Key": "hitless.issuer", "Value": "local"}])["CertificateArn"]
    wait_until("issued", lambda: status_of(b, arn) == "ISSUED")
    told = b.acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert told["Type"] == "AMAZON_ISSUED" and told["DomainName"] == "*.local.example.com", told
    assert [v["ValidationStatus"] for v in told["DomainValidationOptions"]] == ["SUCCESS", "SUCCESS"], told
    assert told["DomainValidationOptions"][0]["ResourceRecord"]["Type"] == "CNAME", told
    again = b.acm.request_certificate(DomainName="*.local.example.com", SubjectAlternativeNames=["local.example.com"],
                                      IdempotencyToken="once", Tags=[{"Key": "hitless.issuer", "Value": "local"}])
    assert again["CertificateArn"] == arn, again
    got = b.acm.get_certificate(CertificateArn=arn)
    leaf, key = b.folder / "local.pem", b.folder / "local.key"
    leaf.write_text(got["Certificate"])
    openssl("verify", "-CAfile", b.engine.state / "local-ca.pem", leaf)
    out = b.acm.export_certificate(CertificateArn=arn, Passphrase=b"open sesame")
    key.write_text(out["PrivateKey"])
    assert openssl("pkey", "-in", key, "-passin", "pass:open sesame", "-pubout") == \
        openssl("x509", "-in", leaf, "-noout", "-pubkey")
    serial = told["Serial"]
    b.acm.renew_certificate(CertificateArn=arn)
    wait_until("renewed", lambda: b.acm.describe_certificate(CertificateArn=arn)["Certificate"]["Serial"] != serial)
    told = b.acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert told["RenewalSummary"]["RenewalStatus"] == "SUCCESS", told
    refused(lambda: b.acm.request_certificate(DomainName="not a domain"), "ValidationException")
    refused(lambda: b.acm.request_certificate(DomainName="a.example.com", ValidationMethod="EMAIL"), "ValidationException")
    refused(lambda: b.acm.request_certificate(DomainName="*.example.com", ValidationMethod="DNS"),
            "InvalidDomainValidationOptionsException", "wildcard")
    refused(lambda: b.acm.resend_validation_email(CertificateArn=arn, Domain="local.example.com",
                                                  ValidationDomain="example.com"), "InvalidStateException")
    b.acm.delete_certificate(CertificateArn=arn)


class AcmeBench(Bench):
    """An engine whose requested certificates come from an ACME server, which asks port 8080 of the load balancer."""

    def __init__(self, **options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hitless-acme-"))
        self.address = "127.0.0.1"
        self.server = AcmeServer(self.folder, lambda name: (self.address, 8080), **options)
        self.root = self.server.authority
        self.engine = Engine(time_scale=60, env={
            "HITLESS_ACME_DIRECTORY": self.server.url + "/directory", "HITLESS_ACME_CONTACT": "ops@example.com",
            "HITLESS_ACME_CA_FILE": str(self.server.ca_file)})
        self.acm, self.elb = self.engine.client("acm"), self.engine.client("elbv2")
        self.lb = self.load_balancer("acme")
        self.address = self.lb["DNSName"]
        self.elb.create_listener(LoadBalancerArn=self.lb["LoadBalancerArn"], Protocol="HTTP", Port=8080, DefaultActions=FIXED)

    def request(self, *names):
        return self.acm.request_certificate(DomainName=names[0], SubjectAlternativeNames=list(names), ValidationMethod="DNS",
                                            KeyAlgorithm="EC_prime256v1")["CertificateArn"]

    def close(self):
        super().close()
        self.server.close()


def serial_of(b, arn):
    return b.acm.describe_certificate(CertificateArn=arn)["Certificate"].get("Serial", "").replace(":", "").upper()


def test_acme_issues_over_the_listener_and_renews_under_load(_):
    b = AcmeBench(lifetime_s=8, bad_nonce_every=4)
    try:
        arn = b.request("shop.example.com", "www.shop.example.com")
        wait_until("issued", lambda: status_of(b, arn) == "ISSUED")
        assert serial_of(b, arn) in b.server.issued, (serial_of(b, arn), b.server.issued)
        contacts = [a["contact"] for a in b.server.accounts.values()]
        assert contacts == [["mailto:ops@example.com"]], contacts
        b.elb.create_listener(LoadBalancerArn=b.lb["LoadBalancerArn"], Protocol="HTTPS", Port=8443, DefaultActions=FIXED,
                              Certificates=[{"CertificateArn": arn}])
        where = (b.lb["DNSName"], 8443, "www.shop.example.com", b.root.path)
        wait_until("the listener answers", lambda: hello(*where))
        visitors = Visitors(*where, count=2)
        b.engine.kill_role("control")  # the renewal is found again in the store
        wait_until("renewed", lambda: any(visitors.serials[s] for s in b.server.issued[1:]), timeout_s=60)
        visitors.stop()
        assert not visitors.failures, visitors.failures[:3]
        assert len(b.server.accounts) == 1, b.server.accounts
        assert {kind for kind, _ in b.server.refusals} == {"badNonce"}, b.server.refusals[:9]
        path = "/.well-known/acme-challenge/" + next(iter(b.server.authorizations.values()))["token"]
        wait_until("challenges are gone", lambda: http_get((b.lb["DNSName"], 8080), path).body == "hello")
        refused(lambda: b.acm.delete_certificate(CertificateArn=arn), "ResourceInUseException")
    finally:
        b.close()


def test_acme_goes_on_after_refusals_an_outage_and_a_kill(_):
    b = AcmeBench()
    try:
        b.server.rejects.add("evil.example.com")
        evil = b.request("evil.example.com")
        wait_until("refused for good", lambda: status_of(b, evil) == "FAILED")
        assert b.acm.describe_certificate(CertificateArn=evil)["Certificate"]["FailureReason"] == "DOMAIN_NOT_ALLOWED"

        b.server.rate_limits = 1
        arn = b.request("patient.example.com")
        wait_until("asked to wait", lambda: ("rateLimited", "too many orders") in b.server.refusals)
        assert status_of(b, arn) == "PENDING_VALIDATION"
        b.server.is_down = True
        b.engine.kill_role("control")
        wait_until("tried in vain", lambda: any(kind == "serverInternal" for kind, _ in b.server.refusals), timeout_s=60)
        b.server.is_down = False
        wait_until("issued", lambda: api_says(lambda: status_of(b, arn)) == "ISSUED", timeout_s=60)

        address, b.address = b.address, "127.77.255.254"  # nobody answers there: the challenge fails
        lost = b.request("lost.example.com")
        wait_until("not proved", lambda: any(a["status"] == "invalid" for a in b.server.authorizations.values()))
        b.address = address
        wait_until("proved with the next order", lambda: status_of(b, lost) == "ISSUED", timeout_s=60)
        text = b.engine.log_path.read_text()
        assert "is not issued: the authority says that the answer to its challenge is not valid" in text, text[-2000:]
        assert "PRIVATE KEY" not in text
    finally:
        b.close()


def api_says(call):
    """None while the control process is away."""
    try:
        return call()
    except Exception:
        return None


if __name__ == "__main__":
    run_tests([test_the_aws_cli_imports_and_describes_a_certificate, test_what_acm_refuses_to_import,
               test_the_private_key_is_nowhere_in_clear, test_https_listeners_have_certificates_that_exist,
               test_a_re_import_keeps_the_arn_and_what_aws_asks_to_stay,
               test_trust_stores_come_from_the_folder_that_stands_for_s3,
               test_a_re_import_under_load_swaps_the_certificate_and_fails_nobody,
               test_certificates_come_from_files,
               test_a_requested_certificate_of_the_local_authority_is_issued_at_once,
               test_acme_issues_over_the_listener_and_renews_under_load,
               test_acme_goes_on_after_refusals_an_outage_and_a_kill], Bench)
