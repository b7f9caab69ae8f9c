"""OpenSSL by its own C interface, because Python's ssl module hides what these tests are about: cipher suites of TLS 1.3, key updates, tickets,
fragment lengths, and every byte of what goes over the wire. An Engine does no I/O: bytes in, bytes out.

    engine = Engine(Context("client", "1.3", "AES-128-GCM", trust=ca), name="gw.test")
    wire = engine.take()    engine.put(wire)    engine.shake() -> done?    engine.write(data)    engine.read() -> data
"""
import ctypes
import hashlib
import hmac
import struct

_ssl, _crypto = ctypes.CDLL("libssl.so.3"), ctypes.CDLL("libcrypto.so.3")

VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}
SUITES = {
    ("1.2", "AES-128-GCM"): b"ECDHE-ECDSA-AES128-GCM-SHA256",
    ("1.2", "AES-256-GCM"): b"ECDHE-ECDSA-AES256-GCM-SHA384",
    ("1.2", "ChaCha20-Poly1305"): b"ECDHE-ECDSA-CHACHA20-POLY1305",
    ("1.3", "AES-128-GCM"): b"TLS_AES_128_GCM_SHA256",
    ("1.3", "AES-256-GCM"): b"TLS_AES_256_GCM_SHA384",
    ("1.3", "ChaCha20-Poly1305"): b"TLS_CHACHA20_POLY1305_SHA256",
}
_WANT_READ, _ZERO_RETURN = 2, 6
_CTRL_MIN, _CTRL_MAX, _CTRL_NAME, _CTRL_CACHE, _CTRL_FRAGMENT = 123, 124, 55, 44, 52
_ALERTS = 1000  # reasons above it are alerts that came
KEYLOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)


def _declare(library, result, *names):
    for name, arguments in names:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments


_P, _I, _L, _S = ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p
_declare(
    _ssl, _P, ("TLS_method", []), ("SSL_CTX_new", [_P]), ("SSL_new", [_P]), ("SSL_get1_session", [_P]), ("SSL_get_current_cipher", [_P]),
)  # fmt: skip
_declare(_ssl, _S, ("SSL_CIPHER_get_name", [_P]), ("SSL_get_version", [_P]))
_declare(
    _ssl, _I, ("SSL_CTX_set_cipher_list", [_P, _S]), ("SSL_CTX_set_ciphersuites", [_P, _S]), ("SSL_CTX_use_certificate_chain_file", [_P, _S]),
    ("SSL_CTX_use_PrivateKey_file", [_P, _S, _I]), ("SSL_CTX_load_verify_locations", [_P, _S, _S]), ("SSL_CTX_set_num_tickets", [_P, ctypes.c_size_t]),
    ("SSL_CTX_set_tlsext_max_fragment_length", [_P, ctypes.c_uint8]), ("SSL_do_handshake", [_P]), ("SSL_get_error", [_P, _I]),
    ("SSL_read", [_P, _P, _I]), ("SSL_write", [_P, _S, _I]), ("SSL_shutdown", [_P]), ("SSL_key_update", [_P, _I]), ("SSL_set_session", [_P, _P]),
    ("SSL_session_reused", [_P]), ("SSL_is_init_finished", [_P]), ("SSL_CTX_set_session_id_context", [_P, _S, ctypes.c_uint]),
)  # fmt: skip
_declare(_ssl, _L, ("SSL_CTX_ctrl", [_P, _I, _L, _P]), ("SSL_ctrl", [_P, _I, _L, _S]))
_declare(
    _ssl, None, ("SSL_CTX_set_verify", [_P, _I, _P]), ("SSL_set_bio", [_P, _P, _P]), ("SSL_set_connect_state", [_P]),
    ("SSL_set_accept_state", [_P]), ("SSL_free", [_P]), ("SSL_CTX_free", [_P]), ("SSL_SESSION_free", [_P]), ("SSL_CTX_set_keylog_callback", [_P, KEYLOG]),
)  # fmt: skip
_declare(_crypto, _P, ("BIO_s_mem", []), ("BIO_new", [_P]), ("EVP_aes_128_gcm", []), ("EVP_CIPHER_CTX_new", []))
_declare(
    _crypto, _I, ("EVP_EncryptInit_ex", [_P, _P, _P, _S, _S]), ("EVP_EncryptUpdate", [_P, _P, _P, _S, _I]), ("EVP_EncryptFinal_ex", [_P, _P, _P]),
    ("EVP_CIPHER_CTX_ctrl", [_P, _I, _I, _P]),
)  # fmt: skip
_declare(_crypto, None, ("EVP_CIPHER_CTX_free", [_P]))
_declare(_crypto, _I, ("BIO_read", [_P, _P, _I]), ("BIO_write", [_P, _S, _I]))
_declare(_crypto, ctypes.c_ulong, ("ERR_get_error", []), ("ERR_peek_last_error", []))
_declare(_crypto, _S, ("ERR_reason_error_string", [ctypes.c_ulong]))
_declare(_crypto, None, ("ERR_clear_error", []))
_buffer = ctypes.create_string_buffer(1 << 16)


class TlsError(Exception):
    """.alert is the number of the fatal alert that came, or None for what OpenSSL found wrong itself."""

    def __init__(self, what):
        code = _crypto.ERR_peek_last_error()
        _crypto.ERR_clear_error()
        reason = code & 0x7FFFFF
        self.alert = reason - _ALERTS if _ALERTS < reason < _ALERTS + 256 else None
        super().__init__(f"{what}: {(_crypto.ERR_reason_error_string(code) or b'no reason').decode()}")


def _check(what, result):
    if result <= 0:
        raise TlsError(what)
    return result


class Context:
    """`fragment` asks for a maximum fragment length: 1 to 4 for 512 to 4096 bytes."""

    def __init__(self, role, version, cipher, trust=None, certificate=None, tickets=2, fragment=None, generation=0):
        self.role, self.version, self.secrets = role, version, {}
        self.raw = _ssl.SSL_CTX_new(_ssl.TLS_method())
        suite = SUITES[version, cipher]
        for bound in (_CTRL_MIN, _CTRL_MAX):
            _check("version", _ssl.SSL_CTX_ctrl(self.raw, bound, VERSIONS[version], None))
        if version == "1.2":
            _check("suite", _ssl.SSL_CTX_set_cipher_list(self.raw, suite))
        else:
            _check("suite", _ssl.SSL_CTX_set_ciphersuites(self.raw, suite))
        if certificate:
            _check("certificate", _ssl.SSL_CTX_use_certificate_chain_file(self.raw, str(certificate[0]).encode()))
            _check("key", _ssl.SSL_CTX_use_PrivateKey_file(self.raw, str(certificate[1]).encode(), 1))
        if trust:
            _check("trust", _ssl.SSL_CTX_load_verify_locations(self.raw, str(trust).encode(), None))
            _ssl.SSL_CTX_set_verify(self.raw, 1, None)
        if role == "server":
            _ssl.SSL_CTX_set_num_tickets(self.raw, tickets)
            _ssl.SSL_CTX_set_session_id_context(self.raw, b"ktls", 4)
        if fragment:
            _check("fragment", _ssl.SSL_CTX_set_tlsext_max_fragment_length(self.raw, fragment))
        self._keylog = KEYLOG(lambda _ssl_, line: self._note(line.decode().split()))
        _ssl.SSL_CTX_set_keylog_callback(self.raw, self._keylog)

    def _note(self, words):
        self.secrets[words[0]] = bytes.fromhex(words[2])

    def __del__(self):
        _ssl.SSL_CTX_free(self.raw)


class Session:
    def __init__(self, raw):
        self.raw = raw

    def __del__(self):
        _ssl.SSL_SESSION_free(self.raw)


class Engine:
    def __init__(self, context, name=None, session=None):
        self.context = context
        self.raw = _ssl.SSL_new(context.raw)
        self._in, self._out = _crypto.BIO_new(_crypto.BIO_s_mem()), _crypto.BIO_new(_crypto.BIO_s_mem())
        _ssl.SSL_set_bio(self.raw, self._in, self._out)
        if context.role == "server":
            _ssl.SSL_set_accept_state(self.raw)
        else:
            _ssl.SSL_set_connect_state(self.raw)
        if name:
            _check("name", _ssl.SSL_ctrl(self.raw, _CTRL_NAME, 0, name.encode()))
        if session:
            _check("session", _ssl.SSL_set_session(self.raw, session.raw))
        self.has_closed = False  # the peer's close_notify is in

    def __del__(self):
        _ssl.SSL_free(self.raw)

    def put(self, data):
        """Bytes that came over the wire."""
        if data:
            _check("BIO_write", _crypto.BIO_write(self._in, data, len(data)))

    def take(self):
        """Bytes to send over the wire."""
        parts = []
        while (count := _crypto.BIO_read(self._out, _buffer, len(_buffer))) > 0:
            parts.append(_buffer.raw[:count])
        return b"".join(parts)

    def _wants(self, what, result):
        """True: done; False: more bytes are wanted first."""
        if result > 0:
            return True
        error = _ssl.SSL_get_error(self.raw, result)
        if error == _WANT_READ:
            return False
        if error == _ZERO_RETURN:
            self.has_closed = True
            return False
        raise TlsError(what)

    def shake(self):
        return self._wants("handshake", _ssl.SSL_do_handshake(self.raw))

    def is_shaken(self):
        return bool(_ssl.SSL_is_init_finished(self.raw))

    def write(self, data):
        if data:
            assert self._wants("SSL_write", _ssl.SSL_write(self.raw, bytes(data), len(data)))

    def read(self):
        """What there is, b"" for nothing more; what came before an error is not lost by it."""
        count = _ssl.SSL_read(self.raw, _buffer, len(_buffer))
        return _buffer.raw[:count] if self._wants("SSL_read", count) else b""

    def close_notify(self):
        _ssl.SSL_shutdown(self.raw)
        _crypto.ERR_clear_error()

    def update_key(self, requested):
        """A KeyUpdate; `requested`: the peer is to change its key too."""
        _check("SSL_key_update", _ssl.SSL_key_update(self.raw, int(requested)))
        assert self.shake()

    def session(self):
        return Session(_ssl.SSL_get1_session(self.raw))

    def is_resumed(self):
        return bool(_ssl.SSL_session_reused(self.raw))

    def what(self):
        """("1.3", "TLS_AES_128_GCM_SHA256")"""
        cipher = _ssl.SSL_CIPHER_get_name(_ssl.SSL_get_current_cipher(self.raw)).decode()
        return _ssl.SSL_get_version(self.raw).decode().removeprefix("TLSv"), cipher


class Sealer:
    """Records that OpenSSL would not send, of TLS 1.3 with AES-128-GCM: of any type, empty, padded. For an end that has sent no data yet."""

    def __init__(self, context):
        secret = context.secrets[f"{context.role.upper()}_TRAFFIC_SECRET_0"]
        self.key, self.iv = (self._expand(secret, label, size) for label, size in ((b"key", 16), (b"iv", 12)))
        self.seq = 0

    @staticmethod
    def _expand(secret, label, size):
        label = b"tls13 " + label
        info = struct.pack(">HB", size, len(label)) + label + b"\0\1"
        return hmac.new(secret, info, hashlib.sha256).digest()[:size]

    def __call__(self, kind, content, padding=0):
        inner = content + bytes([kind]) + bytes(padding)
        header = struct.pack(">BHH", 23, 0x0303, len(inner) + 16)
        nonce = bytes(a ^ b for a, b in zip(self.iv, self.seq.to_bytes(12, "big")))
        self.seq += 1
        context, count = _crypto.EVP_CIPHER_CTX_new(), ctypes.c_int()
        out, tag = ctypes.create_string_buffer(len(inner) + 16), ctypes.create_string_buffer(16)
        for done in (
            _crypto.EVP_EncryptInit_ex(context, _crypto.EVP_aes_128_gcm(), None, self.key, nonce),
            _crypto.EVP_EncryptUpdate(context, None, ctypes.byref(count), header, len(header)),
            _crypto.EVP_EncryptUpdate(context, out, ctypes.byref(count), inner, len(inner)),
            _crypto.EVP_EncryptFinal_ex(context, ctypes.byref(out, count.value), ctypes.byref(count)),
            _crypto.EVP_CIPHER_CTX_ctrl(context, 0x10, 16, tag),
        ):
            _check("sealing", done)
        _crypto.EVP_CIPHER_CTX_free(context)
        return header + out.raw[: len(inner)] + tag.raw
