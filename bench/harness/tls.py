# SPDX-License-Identifier: GPL-3.0-or-later
"""The server name of the ClientHello and TLS cells, with a key and a certificate for it, and the
cipher suite that the TLS cells ask for."""

import subprocess

from . import BenchError

SNI = "bench.penstock.test"
CIPHER = "TLS_AES_128_GCM_SHA256"


class Keys:
    """ECDSA P-256, self-signed, one for each folder; `both` has certificate and key together."""

    def __init__(self, folder):
        self.cert, self.key, self.both = (folder / f"tls-{part}.pem"
                                          for part in ("cert", "key", "both"))
        if not self.both.exists():
            self.make()

    def make(self):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                   "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={SNI}",
                   "-addext", f"subjectAltName=DNS:{SNI}", "-keyout", self.key, "-out", self.cert]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise BenchError(f"no certificate could be made: {error}") from error
        if done.returncode != 0:
            raise BenchError("no certificate could be made: " + done.stderr.strip()[-300:])
        self.both.write_text(self.cert.read_text() + self.key.read_text(), encoding="ascii")
