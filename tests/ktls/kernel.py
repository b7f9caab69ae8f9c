"""The kernel's modules, loaded as the suite needs them: what is not loaded yet is a case of its own."""
import ctypes
import os
import pathlib

_SYS_FINIT_MODULE = {"x86_64": 313, "aarch64": 273}[os.uname().machine]
RELEASE = os.uname().release
CAN_REKEY = [int(part) for part in RELEASE.split(".")[:2]] >= [6, 14]
TLS = ["net/tls/tls"]
AES_GCM = ["crypto/ghash-generic", "crypto/crypto_null", "crypto/seqiv", "crypto/ctr", "crypto/gcm"]
CHACHA20 = ["crypto/chacha_generic", "crypto/chacha", "crypto/poly1305_generic", "crypto/chacha20poly1305"]

_libc = ctypes.CDLL(None, use_errno=True)
_loaded = set()
_folder = pathlib.Path(os.environ["KTLS_MODULES"]) / RELEASE


def _needs():
    """{"kernel/net/tls/tls.ko": those to be loaded before}"""
    lines = (line.split(":") for line in (_folder / "modules.dep").read_text().splitlines())
    return {name: before.split()[::-1] for name, before in lines}


def load(*modules):
    """Those this kernel has as files, and what they need: others are built in, or of another version's."""
    needs = _needs()
    for module in modules:
        name = f"kernel/{module}.ko"
        for one in [*needs.get(name, []), *([name] if name in needs else [])]:
            _insert(one)


def _insert(name):
    if name in _loaded:
        return
    with open(_folder / name, "rb") as opened:
        if _libc.syscall(_SYS_FINIT_MODULE, opened.fileno(), b"", 0) < 0:
            raise OSError(ctypes.get_errno(), f"loading {name}")
    _loaded.add(name)


def statistics():
    """/proc/net/tls_stat"""
    return {name: int(value) for name, value in (line.split() for line in pathlib.Path("/proc/net/tls_stat").read_text().splitlines())}
