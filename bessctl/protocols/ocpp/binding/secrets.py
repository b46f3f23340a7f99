"""What the station must be able to compare or send, and nobody may read on its disk (settled question 11; OCPP-18).

One random key per device, a file of mode 0600 beside the store. From it: digests of tokens (HMAC-SHA256 over the lower-cased token: tokens
compare without regard to case), and the sealing (AES-256-GCM) of tokens in messages that the CSMS has not acknowledged yet.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bessctl.errors import OperationFailed

SEALED = "sealed:"
KEY_BYTES = 32
NONCE_BYTES = 12


class Secrets:
    """Supervisor thread; pure once made."""

    def __init__(self, key: bytes) -> None:
        self._mac = hmac.digest(key, b"token digest", hashlib.sha256)
        self._box = AESGCM(hmac.digest(key, b"token sealing", hashlib.sha256))

    def digest(self, token: str) -> str:
        """What is kept of a token."""
        return hmac.digest(self._mac, token.lower().encode(), hashlib.sha256).hex()

    def seal(self, text: str) -> str:
        """A token as it may lie on disk until its message is acknowledged."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return SEALED + b64encode(nonce + self._box.encrypt(nonce, text.encode(), None)).decode()

    def open(self, text: str) -> str | None:
        """The token again; None where the key is another than it was sealed with. What was never sealed is what it is."""
        if not text.startswith(SEALED):
            return text
        try:
            raw = b64decode(text.removeprefix(SEALED), validate=True)
            return self._box.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], None).decode()
        except (InvalidTag, NotBase64, ValueError):
            return None


def load(path: Path) -> Secrets:
    """The device's key; made at the first start. Raises OperationFailed."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_private(path, secrets.token_bytes(KEY_BYTES))
        key = path.read_bytes()
    except OSError as e:
        raise OperationFailed(f"ocpp: the device's key {path} cannot be read or made: {e}") from e
    if len(key) != KEY_BYTES:
        raise OperationFailed(f"ocpp: the device's key {path} is damaged: {len(key)} bytes instead of {KEY_BYTES}; restore it")
    return Secrets(key)


def write_private(path: Path, data: bytes) -> None:
    """Put a file of mode 0600 in place, whole or not at all, and on disk when this returns."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
