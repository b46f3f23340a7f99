"""Tokens: 256 random bits, kept as SHA-256 where they let a peer in, compared in constant time.

A token of ours has one of four kinds. `a` was handed to the peer by people and opens `register` alone (OSCP 2.0 3.1.1). `next` was sent
in a registration that is not confirmed yet. `c` is the one in use. `gone` was in use before the peer's DELETE: it is answered the same
again when that 204 was lost, and opens nothing. What the peer gave us to show to it must be kept as it is.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from enum import StrEnum

TOKEN_BYTES = 32


class Kind(StrEnum):
    """What a token is good for."""

    A = "a"
    NEXT = "next"
    C = "c"
    GONE = "gone"


def new(random_bytes: Callable[[int], bytes]) -> str:
    """A token of 43 characters."""
    return urlsafe_b64encode(random_bytes(TOKEN_BYTES)).decode().rstrip("=")


def digest(token: str) -> str:
    """What is kept of it. A random token of 256 bits needs no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def find(token: str, known: Iterable[tuple[str, Kind, str]]) -> tuple[str, Kind] | None:
    """Whose token it is, out of (peer, kind, digest). Looks at all of them, so that the time tells nothing."""
    shown, found = digest(token), None
    for peer, kind, kept in known:
        if hmac.compare_digest(shown, kept):
            found = (peer, kind)
    return found
