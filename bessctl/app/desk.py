"""The supervisor's own socket, `supervisor.sock` in the run directory: the operator's plans and a look at the parts.

One JSON object on a line, one back: `{"command": "set", "source", "power_w", "ttl_s"}`, `{"command": "release", "source"}`, and the
commands that parts answer (`also`). The answer is `{"ok", "outcome": "done" | "refused" | "unreachable" | "usage", "reason"}`. Done means
that the loop has the plan in its slot: whether it follows it, and who limits it, is what `bessctl limits` shows. Mode 0600: the
supervisor's user and root.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bessctl.app.lines import short
from bessctl.errors import BessctlError, NotReachable, Refused, UsageError
from bessctl.model.plan import Block, Plan, PlanWriter

SOCKET = "supervisor.sock"
MAX_LINE = 4096
IDLE_S = 10.0
RELEASE_LEASE_NS = 1_000_000_000
NOT_THERE = "what a section of the site file adds is there while its part runs: the supervisor's log says why one does not"


@dataclass(frozen=True)
class Desk:
    """Answers the operator. `owned`: slots that a protocol writes; nobody else does."""

    writer: Callable[[str], PlanWriter]
    owned: frozenset[str]
    guarding: frozenset[str] = frozenset()
    """Slots whose limits guard grid, contract or plant: a plan with a target alone would replace them (R7)."""
    also: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    """Commands that parts answer while they run, by name; they raise BessctlError for a refusal."""

    def answer(self, line: bytes) -> dict[str, Any]:
        """One request, judged. Raises nothing."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise UsageError("a request is one JSON object on a line")
            return {"ok": True, "outcome": "done", "reason": "", **self._do(request)}
        except NotReachable as e:
            return _refusal("unreachable", str(e))
        except UsageError as e:
            return _refusal("usage", str(e))
        except BessctlError as e:
            return _refusal("refused", str(e))
        except ValueError as e:
            return _refusal("usage", f"not understood: {e}")

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        command = request.get("command")
        if isinstance(command, str) and command in self.also:
            return self.also[command](request)
        source = request.get("source", "manual")
        if not isinstance(source, str) or source in self.owned:
            raise UsageError(f"source {source!r} belongs to its protocol; only that writes its plan")
        match request.get("command"):
            case "set" if source in self.guarding:
                raise Refused(
                    f"source {source!r} holds limits that a target would replace; set the power by a market source such as manual"
                )
            case "set":
                return {"serial": self._set(source, _number(request, "power_w"), _number(request, "ttl_s"))}
            case "release":
                writer = self.writer(source)
                return {"serial": writer.write(Plan(lease_until_ns=writer.now_ns() + RELEASE_LEASE_NS))}
            case other:
                there = ", ".join(sorted({"set", "release", *self.also}))
                raise UsageError(f"no command {other!r} here; there are {there}; {NOT_THERE}")

    def _set(self, source: str, power_w: float, ttl_s: float) -> int:
        if ttl_s <= 0:
            raise UsageError(f"ttl_s {ttl_s:g} must be above 0")
        writer = self.writer(source)
        start_ns = writer.now_ns()
        end_ns = start_ns + round(ttl_s * 1e9)
        return writer.write(Plan(lease_until_ns=end_ns, blocks=(Block(start_ns, end_ns, target_w=power_w),), dated=False))


def _number(request: dict[str, Any], key: str) -> float:
    value = request.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{key} must be a finite number, is {value!r}")
    return float(value)


def _refusal(outcome: str, reason: str) -> dict[str, Any]:
    return {"ok": False, "outcome": outcome, "reason": reason}


async def serve(desk: Desk, run_dir: Path) -> None:
    """Serve until cancelled. Raises OSError when the socket cannot be made there."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.LimitOverrunError, asyncio.IncompleteReadError):
            async with asyncio.timeout(IDLE_S):
                line = await reader.readuntil(b"\n")
            writer.write(json.dumps(desk.answer(line)).encode() + b"\n")
            async with asyncio.timeout(IDLE_S):
                await writer.drain()
        writer.close()

    place = run_dir / SOCKET
    server = await asyncio.start_unix_server(peer, sock=_listening(place), limit=MAX_LINE)
    try:
        async with server:
            await server.serve_forever()
    finally:
        with suppress(FileNotFoundError):
            os.unlink(place)


def _listening(place: Path) -> socket.socket:
    """A socket that appears under its name with its mode set, in place of what a supervisor that died left there."""
    beside = place.with_name(f"{place.name}.new")
    with suppress(FileNotFoundError):
        os.unlink(beside)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        with short(beside) as address:
            listener.bind(address)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    os.rename(beside, place)
    return listener
