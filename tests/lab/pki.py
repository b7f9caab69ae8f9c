"""A certification authority for tests, made by the openssl command.

    authority = Authority(folder); certificate, key = authority.issue("gw.example.com", "10.0.0.1")
"""
import base64
import pathlib
import ssl
import subprocess


class Authority:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.file = self.folder / "ca.pem"
        if self.file.exists():
            return
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                      "-subj", "/CN=test CA", "-keyout", self.folder / "ca.key", "-out", self.file)  # fmt: skip

    def _openssl(self, *words):
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def issue(self, *names, days=2, client=False, prefix="", subject=None):
        """A certificate for these DNS names and addresses: (certificate, key). days=0: it has expired. `subject`: other than /CN=first name."""
        base = self.folder / (prefix + names[0].replace("*", "any"))
        key, request, certificate, more = (base.with_suffix(s) for s in (".key", ".csr", ".pem", ".ext"))
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-utf8",
                      "-multivalue-rdn", "-subj", subject or f"/CN={names[0]}", "-keyout", key, "-out", request)  # fmt: skip
        kinds = ",".join(f"{'IP' if n[0].isdigit() else 'DNS'}:{n}" for n in names)
        more.write_text(f"subjectAltName={kinds}\nextendedKeyUsage={'client' if client else 'server'}Auth\n")
        self._openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.folder / "ca.key", "-CAcreateserial",
                      "-days", days, "-extfile", more, "-out", certificate)  # fmt: skip
        return certificate, key

    def _der(self, file, *words):
        self._openssl(*words, "-in", file, "-outform", "DER", "-out", file.with_suffix(".der"))
        return file.with_suffix(".der").read_bytes()

    def broken(self, *names, **how):
        """The last bit of the signature on the certificate is another one."""
        certificate, key = self.issue(*names, prefix="broken-", **how)
        data = bytearray(self._der(certificate, "x509"))
        data[-1] ^= 1
        certificate.write_text(ssl.DER_cert_to_PEM_cert(bytes(data)))
        return certificate, key

    def without_key(self, *names, **how):
        """What stands in the file of the key has the right public half, and the secret half of another key."""
        certificate, key = self.issue(*names, prefix="keyless-", **how)
        _, other = self.issue(*names, prefix="other-", **how)
        mine, others = self._der(key, "ec"), self._der(other, "ec")
        secret = slice(7, 39)  # of ECPrivateKey (RFC 5915): SEQUENCE, version, OCTET STRING of 32 bytes
        assert mine[5:7] == others[5:7] == b"\x04\x20"
        data = mine[:7] + others[secret] + mine[39:]
        key.write_text(f"-----BEGIN EC PRIVATE KEY-----\n{base64.encodebytes(data).decode()}-----END EC PRIVATE KEY-----\n")
        return certificate, key
