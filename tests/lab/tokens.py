"""JSON Web Tokens (HS256) for the lab's brokers, with the standard library only."""
import base64
import hashlib
import hmac
import json
import os
import time

import settings


def key_file():
    """The secret, made on first use. Brokers read the raw bytes of a file:// key."""
    file = settings.RUN / "token.key"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(32))
    return file


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(role, seconds=None, key=None):
    """A token for a role; with a life time it expires."""
    claims = {"sub": role}
    if seconds is not None:
        claims["exp"] = int(time.time() + seconds)
    text = _b64(b'{"alg":"HS256"}') + b"." + _b64(json.dumps(claims).encode())
    mac = hmac.new(key or key_file().read_bytes(), text, hashlib.sha256)
    return (text + b"." + _b64(mac.digest())).decode()
