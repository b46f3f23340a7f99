"""The operator's socket: who is heard, what is answered, and when (R15)."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bessctl_core import layout as L
from bessctl_core.control import ANSWER_S, CONTROL_SOCKET, MAX_LINE, ControlServer

E = L.EventCode
NAMES = {"slots": ["manual", "ocpp"], "rows": [{"name": "cell_v_high", "tier": "trip", "unit": "unit1"}]}


class FakeCore:
    """Takes requests and numbers them."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.full = False

    def request(self, code: int, arg: int = 0) -> int | None:
        if self.full:
            return None
        self.asked.append((code, arg))
        return 100 + len(self.asked)

    def status(self) -> dict[str, Any]:
        return {"mode": 1}


class Desk:
    """A control server, its core, and an operator in front of it."""

    def __init__(self, folder: Path) -> None:
        self.core, self.now = FakeCore(), 0.0
        self.folder = folder
        self.server = ControlServer(str(folder), self.core, NAMES, os.getuid(), lambda: self.now)
        self.link = self.connect()

    def connect(self) -> socket.socket:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(10)
        link.connect(str(self.folder / CONTROL_SOCKET))
        self.server.serve()
        return link

    def say(self, data: bytes) -> None:
        self.link.sendall(data)
        self.server.serve()

    def ask(self, **request: Any) -> None:
        self.say(json.dumps(request).encode() + b"\n")

    def hear(self) -> Any:
        return json.loads(self.link.recv(65536))

    def silent(self) -> bool:
        self.link.setblocking(False)
        try:
            self.link.recv(1)
        except BlockingIOError:
            return True
        finally:
            self.link.settimeout(10)
        return False

    def tell(self, code: int, ident: int, row: int = -1) -> None:
        self.server.told({"code": code, "value": float(ident), "row": row})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.link.close()
    desk.server.close()


def test_the_socket_is_for_its_owner_alone(desk: Desk) -> None:
    assert stat.S_IMODE((desk.folder / CONTROL_SOCKET).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("stop", L.CommandCode.CMD_STOP),
        ("start", L.CommandCode.CMD_START),
        ("out-of-service", L.CommandCode.CMD_OUT_OF_SERVICE),
        ("reset", L.CommandCode.CMD_RESET),
    ],
)
def test_done_is_said_when_the_loop_says_it_and_not_before(desk: Desk, command: str, code: int) -> None:
    """Acknowledged only once journalled."""
    desk.ask(command=command)
    assert desk.core.asked == [(code, 0)]
    assert desk.silent()
    desk.tell(E.EV_MODE, 101)
    desk.tell(E.EV_COMMAND_DONE, 999)
    assert desk.silent()
    desk.tell(E.EV_COMMAND_DONE, 101)
    assert desk.hear() == {"ok": True, "outcome": "done", "reason": ""}


def test_a_refused_reset_names_the_row(desk: Desk) -> None:
    desk.ask(command="reset")
    desk.tell(E.EV_COMMAND_REFUSED, 101, row=0)
    answer = desk.hear()
    assert (answer["ok"], answer["outcome"]) == (False, "refused")
    assert "cell_v_high trip of unit1" in answer["reason"]


def test_no_word_from_the_loop_is_an_unknown_outcome(desk: Desk) -> None:
    """It may still happen: that is not "refused"."""
    desk.ask(command="stop")
    desk.now = ANSWER_S - 0.1
    desk.server.expire()
    assert desk.silent()
    desk.now = ANSWER_S
    desk.server.expire()
    assert desk.hear()["outcome"] == "unknown"
    desk.tell(E.EV_COMMAND_DONE, 101)
    assert desk.silent(), "one answer to one request"


def test_release_takes_the_slot_of_a_source_by_its_name(desk: Desk) -> None:
    desk.ask(command="release", source="ocpp")
    assert desk.core.asked == [(L.CommandCode.CMD_RELEASE, 1)]
    desk.ask(command="release", source="nobody")
    assert "manual, ocpp" in desk.hear()["reason"]


@pytest.mark.parametrize(
    "line", [b"stop", b"{}", b"[]", b'{"command": 1}', b'{"command": ["stop"]}', b'{"command": "release"}', b"\xff\xfe"]
)
def test_what_is_not_understood_is_refused_and_the_line_stays_open(desk: Desk, line: bytes) -> None:
    desk.say(line + b"\n")
    assert desk.hear()["outcome"] == "refused"
    desk.ask(command="status")
    assert desk.hear()["status"] == {"mode": 1}


def test_a_line_may_come_in_pieces_and_two_in_one(desk: Desk) -> None:
    for byte in b'{"command": "stop"}':
        desk.say(bytes([byte]))
    assert desk.core.asked == []
    desk.say(b'\n{"command": "start"}\n')
    assert [code for code, _ in desk.core.asked] == [L.CommandCode.CMD_STOP, L.CommandCode.CMD_START]


def test_who_sends_without_end_is_cut_off(desk: Desk) -> None:
    desk.link.setblocking(False)
    desk.link.send(b"x" * (2 * MAX_LINE))
    for _ in range(4):
        desk.server.serve()
    desk.link.settimeout(10)
    with suppress(ConnectionResetError):  # closed with our bytes unread
        assert desk.link.recv(1) == b""
    assert desk.core.asked == []


def test_a_peer_that_left_harms_nobody(desk: Desk) -> None:
    desk.ask(command="stop")
    desk.link.close()
    desk.server.serve()
    desk.link = desk.connect()
    desk.tell(E.EV_COMMAND_DONE, 101)
    assert desk.silent(), "the next one on the same descriptor does not get its answer"
    desk.ask(command="status")
    assert desk.hear()["ok"]


def test_a_loop_that_takes_no_more_says_so(desk: Desk) -> None:
    desk.core.full = True
    desk.ask(command="stop")
    assert "too many" in desk.hear()["reason"]


def test_the_end_answers_who_still_waits_and_takes_the_socket_away(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.ask(command="stop")
    desk.server.close()
    assert desk.hear()["outcome"] == "unknown"
    assert not (tmp_path / CONTROL_SOCKET).exists()
    desk.link.close()
