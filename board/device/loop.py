"""The loop's own socket (core/bessctl_core/control.py), by the standard library alone: an update must not depend on what it replaces."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

SOCKET = "/run/bessctl/control.sock"
ANSWER_S = 20.0
STOPPED, OUT_OF_SERVICE = 3, 4
"""MODE_STOPPED and MODE_OUT_OF_SERVICE of layout.pxd."""

Ask = Callable[[str], dict[str, Any]]


def ask(command: str) -> dict[str, Any]:
    """The loop's answer; an outcome of `unreachable` when there is none."""
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(ANSWER_S)
            link.connect(SOCKET)
            link.sendall(json.dumps({"command": command}).encode() + b"\n")
            answer = json.loads(link.makefile().readline())
    except (OSError, ValueError) as e:
        return {"ok": False, "outcome": "unreachable", "reason": str(e)}
    return answer if isinstance(answer, dict) else {"ok": False, "outcome": "unreachable", "reason": "no answer"}


def status(asked: Ask) -> dict[str, Any]:
    """Tick, mode and the like; empty when the loop does not answer."""
    found = asked("status").get("status")
    return found if isinstance(found, dict) else {}
