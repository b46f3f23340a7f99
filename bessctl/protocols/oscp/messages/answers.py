"""HTTP responses (OSCP 2.0 4.1.3): 204 without a body, or an error whose body may hold a sentence for people."""

from __future__ import annotations

import json
from dataclasses import dataclass

SAID_MAX = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of ours."""

    status: int = 204
    message: str = ""

    @property
    def body(self) -> bytes:
        """4.1.3.2. Empty for 204."""
        return json.dumps({"message": self.message}).encode() if self.message else b""


def said(body: bytes) -> str:
    """What a peer's error body says, for the log: its message, or the beginning of whatever it sent."""
    try:
        value = json.loads(body)
        text = value["message"] if isinstance(value, dict) else ""
    except (ValueError, KeyError, RecursionError):
        text = body.decode("utf-8", "replace")
    return " ".join(str(text).split())[:SAID_MAX]
