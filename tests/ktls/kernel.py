"""The kernel's modules, loaded as the suite needs them: what is not loaded yet is a case of its own."""
import ctypes
import os
import pathlib

_SYS_FINIT_MODULE = {"x86_64": 313, "aarch64": 273}[os.uname().machine]
RELEASE = os.uname().release
TLS = ["net/tls/tls"]
AES_GCM = ["crypto/gf128mul", "lib/crypto/gf128mul", "crypto/ghash-generic", "crypto/crypto_null", "crypto/seqiv", "crypto/ctr", "crypto/gcm"]
CHACHA20 = ["lib/crypto/libchacha", "lib/crypto/libpoly1305", "crypto/chacha_generic", "crypto/poly1305_generic", "crypto/chacha20poly1305"]

_libc = ctypes.CDLL(None, use_errno=True)
_loaded = set()


def load(*modules):
    """Those this kernel has as files: others are built in, or of another version's."""
    folder = pathlib.Path(os.environ["KTLS_MODULES"]) / RELEASE / "kernel"
    assert folder.is_dir(), f"no modules of {RELEASE} in {folder.parent.parent}"
    for module in modules:
        file = folder / f"{module}.ko"
        if module in _loaded or not file.exists():
            continue
        with open(file, "rb") as opened:
            if _libc.syscall(_SYS_FINIT_MODULE, opened.fileno(), b"", 0) < 0:
                raise OSError(ctypes.get_errno(), f"loading {file}")
        _loaded.add(module)


def statistics():
    """/proc/net/tls_stat"""
    return {name: int(value) for name, value in (line.split() for line in pathlib.Path("/proc/net/tls_stat").read_text().splitlines())}
