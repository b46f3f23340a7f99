"""Text messages as frames of a websocket client (RFC 6455 5.2, 5.3): one frame each, masked with a key that nobody can foresee."""

from __future__ import annotations

import os

from websockets.frames import apply_mask  # type: ignore[attr-defined] # in C where the library was built with it

TEXT, MASKED = 0x81, 0x80
KEY_BYTES = 4
DRAWN = 256
"""Keys drawn from the kernel at once: each call costs more than the frame."""


class Masks:
    """Keys for one connection, each used once."""

    def __init__(self) -> None:
        self._keys = b""
        self._at = 0

    def frame(self, payload: bytes) -> bytes:
        """The frame of a whole text message."""
        length = len(payload)
        if length < 126:
            head = bytes((TEXT, MASKED | length))
        elif length < 2**16:
            head = bytes((TEXT, MASKED | 126)) + length.to_bytes(2, "big")
        else:
            head = bytes((TEXT, MASKED | 127)) + length.to_bytes(8, "big")
        key = self._key()
        masked: bytes = apply_mask(payload, key)
        return head + key + masked

    def _key(self) -> bytes:
        if self._at == len(self._keys):
            self._keys, self._at = os.urandom(DRAWN * KEY_BYTES), 0
        self._at += KEY_BYTES
        return self._keys[self._at - KEY_BYTES : self._at]
