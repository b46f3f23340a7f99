"""The operator's own way to the loop: a Unix socket for root, which works with the supervisor dead too (R15). Standard library only.

Rules.
- `control.sock` in the run directory has mode 0600; besides root only the configured owner is heard, as the kernel names the peer.
- A peer sends one JSON object on a line, `{"command": "stop" | "start" | "out-of-service" | "reset" | "status"}`,
  `{"command": "release", "source": NAME}` or `{"command": "try" | "commissioned", "unit": NAME}` (R16; a try of "" ends it), and gets one
  line back: `{"ok", "outcome": "done" | "refused" | "unknown", "reason"}`; a status also `"status"`.
- `done` is said when the loop says it, and the loop says it once the journal holds what must survive. No word from the loop within
  ANSWER_S is `unknown`: it may still happen.
- One thread serves all peers and never waits for one: who sends too much, or does not read its answer, is cut off.
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import layout
from .attach import Credentials, listen, socket_path
from .tell import row_name

CONTROL_SOCKET = "control.sock"
ANSWER_S = 5.0
MAX_PEERS = 16
MAX_LINE = 4096
MAX_WAITING = 64

COMMANDS = {
    "stop": layout.CommandCode.CMD_STOP,
    "start": layout.CommandCode.CMD_START,
    "out-of-service": layout.CommandCode.CMD_OUT_OF_SERVICE,
    "reset": layout.CommandCode.CMD_RESET,
    "release": layout.CommandCode.CMD_RELEASE,
    "try": layout.CommandCode.CMD_TRY,
    "commissioned": layout.CommandCode.CMD_COMMISSIONED,
}


# Requests that name something: the key, and the sealed list of names.
NAMED = {"release": ("source", "slots"), "try": ("unit", "units"), "commissioned": ("unit", "units")}


class Core(Protocol):
    """What is needed of the loop."""

    def request(self, code: int, arg: int = 0) -> int | None: ...
    def status(self) -> dict[str, Any]: ...


def answer(outcome: str, reason: str = "", **more: Any) -> dict[str, Any]:
    """One answer of the protocol."""
    return {"ok": outcome == "done", "outcome": outcome, "reason": reason, **more}


@dataclass
class Peer:
    """One connection; at most one request of it is under way."""

    link: socket.socket
    received: bytes = b""
    gone: bool = False


@dataclass
class Request:
    """A request the loop has not answered yet."""

    peer: Peer
    command: str
    until_s: float


@dataclass
class ControlServer:
    """Serves the control socket. One thread: watch `fileno()`, call `serve()` when it is ready, `told()` with each event of the loop.

    `names` are those of the sealed configuration. Raises OSError when the run directory cannot be written.
    """

    run_dir: str
    core: Core
    names: dict[str, Any]
    owner_uid: int = 0
    clock: Callable[[], float] = time.monotonic
    _peers: dict[int, Peer] = field(default_factory=dict)
    _waiting: dict[int, Request] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._listener = listen(self.run_dir, CONTROL_SOCKET, socket.SOCK_STREAM, 0o600)
        if self.owner_uid != os.geteuid():
            with socket_path(self.run_dir, CONTROL_SOCKET) as place:
                os.chown(place, self.owner_uid, -1)
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)

    def fileno(self) -> int:
        """Ready for reading when there is something to serve."""
        return self._epoll.fileno()

    @property
    def waiting(self) -> bool:
        """Does a request wait for the loop? Then `told` or `expire` will end it."""
        return bool(self._waiting)

    def serve(self) -> None:
        """Accept who waits and take in what they sent; never waits itself."""
        for fd, _ in self._epoll.poll(0, MAX_PEERS):
            if fd == self._listener.fileno():
                self._accept()
            elif fd in self._peers:
                self._receive(self._peers[fd])

    def told(self, event: dict[str, Any]) -> None:
        """An event of the loop: it may be the answer to a request."""
        done = event["code"] == layout.EventCode.EV_COMMAND_DONE
        if not done and event["code"] != layout.EventCode.EV_COMMAND_REFUSED:
            return
        request = self._waiting.pop(int(event["value"]), None)
        if request is not None:
            self._answer(request, answer("done") if done else answer("refused", self._reason(request, event["row"])))

    def expire(self) -> None:
        """End what the loop has not answered in time."""
        now = self.clock()
        for ident in [ident for ident, request in self._waiting.items() if now >= request.until_s]:
            reason = f"the loop did not confirm within {ANSWER_S:g} s, perhaps because its disk takes no record"
            self._answer(self._waiting.pop(ident), answer("unknown", reason))

    def close(self) -> None:
        """Take the socket away; whoever still waits learns that the outcome is unknown."""
        for request in self._waiting.values():
            self._answer(request, answer("unknown", "the loop is stopping"))
        with suppress(FileNotFoundError), socket_path(self.run_dir, CONTROL_SOCKET) as place:
            os.unlink(place)
        for peer in self._peers.values():
            peer.link.close()
        self._peers.clear()
        self._listener.close()
        self._epoll.close()

    # --- peers ----------------------------------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            link, _ = self._listener.accept()
        except OSError:
            return
        link.setblocking(False)
        peer = Peer(link)
        if Credentials.of(link).uid not in (0, self.owner_uid):
            self._send(peer, answer("refused", "only root and the owner of the loop may do this"))
            link.close()
        elif len(self._peers) >= MAX_PEERS:
            self._send(peer, answer("refused", f"{MAX_PEERS} connections are open already"))
            link.close()
        else:
            self._peers[link.fileno()] = peer
            self._epoll.register(link, select.EPOLLIN)

    def _drop(self, peer: Peer) -> None:
        self._peers.pop(peer.link.fileno(), None)
        peer.link.close()
        peer.gone = True

    def _receive(self, peer: Peer) -> None:
        try:
            data = peer.link.recv(MAX_LINE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        peer.received += data
        if not data or len(peer.received) > MAX_LINE:
            self._drop(peer)
            return
        while b"\n" in peer.received and not peer.gone:
            line, _, peer.received = peer.received.partition(b"\n")
            self._handle(peer, line)

    def _send(self, peer: Peer, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        try:
            sent = peer.link.send(data, socket.MSG_NOSIGNAL)
        except OSError:
            sent = 0
        if sent != len(data):
            self._drop(peer)

    def _answer(self, request: Request, message: dict[str, Any]) -> None:
        if not request.peer.gone:
            self._send(request.peer, message)

    # --- requests -------------------------------------------------------------------------------------------------------------------------

    def _handle(self, peer: Peer, line: bytes) -> None:
        try:
            asked = json.loads(line)
            command = asked["command"]
            if command == "status":
                self._send(peer, answer("done", status=self.core.status()))
                return
            code, arg = COMMANDS[command], self._argument(asked)
        except (ValueError, TypeError, KeyError, RecursionError):
            self._send(peer, answer("refused", f"not understood; known are {', '.join((*COMMANDS, 'status'))}"))
            return
        ident = self.core.request(code, arg) if arg is not None and len(self._waiting) < MAX_WAITING else None
        if arg is None:
            word, kind = NAMED[command]
            self._send(peer, answer("refused", f"no such {word}; there are {', '.join(map(str, self.names.get(kind, [])))}"))
        elif ident is None:
            self._send(peer, answer("refused", "too many requests wait for the loop already"))
        else:
            self._waiting[ident] = Request(peer, command, self.clock() + ANSWER_S)

    def _argument(self, asked: dict[str, Any]) -> int | None:
        """The slot or unit that a request names; None when there is none of that name."""
        if asked["command"] not in NAMED:
            return 0
        word, kind = NAMED[asked["command"]]
        names = self.names.get(kind, [])
        if asked["command"] == "try" and asked[word] == "":
            return -1
        return names.index(asked[word]) if asked[word] in names else None

    def _reason(self, request: Request, row: int) -> str:
        rows = self.names.get("rows", [])
        if request.command == "reset" and 0 <= row < len(rows):
            return f"protection row {row_name(rows[row])} still stands"
        return "another request took its place, or the loop does not allow it in this mode"
