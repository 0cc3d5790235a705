"""Certificates for tests, made with the openssl command."""
import pathlib, subprocess


def openssl(*words, text=None):
    done = subprocess.run(["openssl", *map(str, words)], input=text, capture_output=True, text=True)
    assert done.returncode == 0, f"openssl {' '.join(map(str, words))}: {done.stderr}"
    return done.stdout


def new_key(path, kind="ec"):
    options = {"ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
               "rsa2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
               "rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
               "ed25519": ["-algorithm", "ED25519"]}[kind]
    openssl("genpkey", *options, "-out", path)
    return path


class Authority:
    """A root; issue() gives (certificate, key) as paths."""

    def __init__(self, folder, name="Test Root", parent=None):
        self.folder, self.name, self.parent, self.count = pathlib.Path(folder), name, parent, 0
        self.folder.mkdir(parents=True, exist_ok=True)
        stem = name.lower().replace(" ", "-")
        self.key = new_key(self.folder / f"{stem}.key")
        self.path = self.folder / f"{stem}.pem"
        extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
        if parent:
            parent.sign(self.key, self.path, f"/O=Test/CN={name}", extensions)
        else:
            openssl("req", "-x509", "-new", "-key", self.key, "-out", self.path, "-days", 30, "-subj", f"/O=Test/CN={name}",
                    "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def sign(self, key, path, subject, extensions, days=30):
        request, config = self.folder / "request.csr", self.folder / "extensions.cnf"
        openssl("req", "-new", "-key", key, "-out", request, "-subj", subject)
        config.write_text(extensions)
        openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", self.key, "-out", path, "-days", days,
                "-set_serial", str(4096 + next_serial()), "-extfile", config)

    def issue(self, *names, kind="ec", days=30, key=None, usage="serverAuth"):
        self.count += 1
        stem = self.folder / f"leaf-{names[0].replace('*', 'any')}-{next_serial()}"
        key = key or new_key(f"{stem}.key", kind)
        extensions = ("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n"
                      f"extendedKeyUsage={usage}\nsubjectAltName={','.join('DNS:' + n for n in names)}\n")
        path = pathlib.Path(f"{stem}.pem")
        self.sign(key, path, f"/CN={names[0]}", extensions, days)
        return path, pathlib.Path(key)


    def revoke(self, *serials):
        """A revocation list; a single number: so many entries that nobody has."""
        if len(serials) == 1 and isinstance(serials[0], int):
            serials = [f"{0xabc000 + i:X}" for i in range(serials[0])]
        index, config = self.folder / "index.txt", self.folder / "ca.cnf"
        index.write_text("".join(f"R\t330101000000Z\t260101000000Z\t{s}\tunknown\t/CN=gone-{s}\n" for s in serials))
        (self.folder / "index.txt.attr").write_text("unique_subject = no\n")
        config.write_text(f"[ca]\ndefault_ca=it\n[it]\ndatabase={index}\ndefault_md=sha256\ndefault_crl_days=30\n")
        return openssl("ca", "-gencrl", "-config", config, "-keyfile", self.key, "-cert", self.path)


serial = 0


def next_serial():
    global serial
    serial += 1
    return serial
