"""The supervisor on the segments of a loop: attaches, tells events, takes the operator's plans, survives a new loop, ends on SIGTERM."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessctl.app.desk import Desk
from bessctl.app.lines import request_line
from bessctl.app.logs import Json, Lines
from bessctl.app.parts import Part
from bessctl.app.supervisor import Supervisor, settle, supervise
from bessctl.config.load import load_site
from bessctl.config.seal import seal
from bessctl.errors import NotReachable, PlanRefused
from bessctl.model.plan import Plan
from bessctl_core import layout as L
from tests.cli.test_commands import ROOT, cli, site_file
from tests.core.loop_rig import Loop
from tests.sites import EXAMPLE, standard_devices
from tests.test_corelink import EVENT, state

NO_OCPP = (EXAMPLE.read_text()[EXAMPLE.read_text().index("ocpp:     ") :], "")


class Program:
    """`bessctl supervise` as a process, its log line by line."""

    def __init__(self, site: Path) -> None:
        env = {**os.environ, "PYTHONPATH": f"{ROOT / 'core'}:{ROOT}"}
        command = [sys.executable, "-m", "bessctl", "supervise", str(site)]
        self.process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.lines.append(line)
                self._more.notify_all()

    def says(self, words: str) -> str:
        """Wait for a line."""
        with self._more:
            assert self._more.wait_for(lambda: any(words in line for line in self.lines), 60), (words, self.lines)
            return next(line for line in self.lines if words in line)

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self._reader.join(30)
        return code


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return site_file(tmp_path, NO_OCPP, ("sources:       ", "supervisor: {log: json}\nsources:       "))


def served(site: Path) -> Loop:
    loaded = load_site(site)
    sealing = seal(loaded, standard_devices(loaded))
    return Loop(loaded.run_dir, os.getuid(), sealing.content, sealing.digest)


@pytest.fixture
def loop(site: Path) -> Iterator[Loop]:
    running = served(site)
    yield running
    running.close()


@pytest.fixture
def program(site: Path, loop: Loop) -> Iterator[Program]:
    started = Program(site)
    yield started
    started.end()


def test_a_manual_plan_reaches_its_slot_and_ends_by_release(site: Path, loop: Loop, program: Program) -> None:
    """CARD-2."""
    program.says("attached to the loop of site demo")
    run_dir = load_site(site).run_dir
    _wait_for(run_dir / "supervisor.sock", program)
    answer = request_line(run_dir / "supervisor.sock", {"command": "set", "power_w": -20000, "ttl_s": 60})
    assert answer["outcome"] == "done"
    plan = _plan(loop, 0)
    assert (plan["live"]["count"], plan["live"]["target_w"][0], plan["live"]["stated"][0]) == (1, -20000.0, L.Stated.HAS_TARGET)
    assert plan["lease_until_ns"] == plan["live"]["end_ns"][0]
    assert request_line(run_dir / "supervisor.sock", {"command": "release"})["outcome"] == "done"
    assert _plan(loop, 0)["live"]["count"] == 0
    refused = request_line(run_dir / "supervisor.sock", {"command": "set", "power_w": 1, "ttl_s": 7200})
    assert (refused["outcome"], "lease is longer" in refused["reason"]) == ("refused", True)
    done = cli("set", "1kW", "--ttl", 7200, "--run-dir", run_dir)
    assert done.returncode == 4
    assert "set refused: manual: its lease is longer than the slot's maximum" in done.stderr
    assert program.end() == 0


def _wait_for(path: Path, program: Program) -> None:
    """The operator's socket comes up right after the attachment; the process must not end meanwhile."""
    while not path.exists():
        assert program.process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            program.process.wait(0.01)


def _plan(loop: Loop, slot: int) -> Any:
    data = None
    while data is None:
        data = loop.segments.take_plan(slot)
    return np.frombuffer(data, dtype=L.dtype("Plan"))[0]


def test_events_become_log_lines_with_their_remedy(loop: Loop, program: Program) -> None:
    program.says("attached to the loop of site demo")
    loop.segments.publish(state(), [EVENT | {"code": L.EventCode.EV_RT_REFUSED, "level": 1}])
    line = json.loads(program.says("rt_refused"))
    assert (line["level"], line["code"]) == ("warning", "rt_refused")
    assert "CAP_SYS_NICE" in line["message"]


def test_a_new_loop_is_found_and_given_the_plan_again(site: Path) -> None:
    first = served(site)
    program = Program(site)
    try:
        program.says("attached to the loop")
        operator = load_site(site).run_dir / "supervisor.sock"
        _wait_for(operator, program)
        assert request_line(operator, {"command": "set", "power_w": 5000, "ttl_s": 600})["ok"]
        first.segments.publish(state(slot_state=[L.SlotState.SLOT_LIVE] + [0] * 15))
    finally:
        first.close()
    program.says("the loop is gone; waiting for the next one")
    second = served(site)
    try:
        program.says("attached to the loop again")
        assert _plan(second, 0)["live"]["target_w"][0] == 5000.0
    finally:
        program.end()
        second.close()


def test_it_waits_for_a_loop_and_ends_on_sigterm_all_the_same(site: Path) -> None:
    program = Program(site)
    program.says("waiting for the loop")
    assert program.end() == 0


def test_an_owners_hard_reset_starts_the_supervisor_anew(site: Path, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """OCPP-7: Reset really restarts, in the same process id, so that whoever supervises the supervisor sees no death."""
    calls: list[list[str]] = []

    def parts(self: Supervisor, link: object, store: object) -> list[Part]:
        async def ordered() -> None:
            self.restart("csms1")

        return [Part("ocpp", ordered)]

    monkeypatch.setattr(Supervisor, "parts", parts)
    monkeypatch.setattr(os, "execv", lambda path, arguments: calls.append([path, *arguments]))
    supervise(site)
    assert calls == [[sys.executable, sys.executable, "-m", "bessctl", "supervise", str(site)]]


def test_a_store_that_cannot_be_written_is_told_with_its_place(site: Path, loop: Loop) -> None:
    (site.parent / "state").write_text("no folder")
    done = cli("supervise", site)
    assert done.returncode == 1
    assert f"{site.parent / 'state'}" in done.stderr
    assert "the supervisor must be able to write there" in done.stderr


def test_a_second_supervisor_is_refused(site: Path, loop: Loop, program: Program) -> None:
    program.says("attached to the loop")
    done = cli("supervise", site)
    assert done.returncode == 4
    assert "writes the plans of this loop; stop it first (a second supervisor?)" in done.stderr


HEAVY = ("numpy", "sunspec2", "pymodbus", "serial", "matplotlib")


@pytest.mark.parametrize("with_ocpp", [False, True])
def test_the_supervisor_imports_nothing_heavy(with_ocpp: bool) -> None:
    """Neither numpy nor pysunspec2 nor pymodbus, whatever is configured; OCPP's packages only with OCPP."""
    code = "import sys, bessctl.app.supervisor, bessctl.config.load\n"
    code += "import bessctl.app.stations, bessctl.protocols.ocpp.binding.station\n" if with_ocpp else ""
    code += "from pathlib import Path; bessctl.config.load.load_site(Path(sys.argv[1])); print(' '.join(sys.modules))"
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'core'}:{ROOT}"}
    done = subprocess.run([sys.executable, "-c", code, str(EXAMPLE)], env=env, capture_output=True, text=True, check=True)
    modules = {name.split(".")[0] for name in done.stdout.split()}
    assert not modules & {*HEAVY, *(() if with_ocpp else ("ocpp", "websockets", "jsonschema_rs"))}


# --- the operator's socket, without a process ---------------------------------------------------------------------------------------------


class Slot:
    """A writer that keeps what it was given, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.plans: list[Plan] = []
        self.error = error

    def write(self, plan: Plan) -> int:
        if self.error is not None:
            raise self.error
        self.plans.append(plan)
        return len(self.plans)

    def now_ns(self) -> int:
        return 1_000


@pytest.mark.parametrize(
    ("request_line", "outcome", "words"),
    [
        (b'{"command": "set", "power_w": 1e5, "ttl_s": 60}', "done", ""),
        (b'{"command": "release"}', "done", ""),
        (b'{"command": "set", "power_w": NaN, "ttl_s": 60}', "usage", "power_w must be a finite number"),
        (b'{"command": "set", "power_w": true, "ttl_s": 60}', "usage", "power_w must be a finite number"),
        (b'{"command": "set", "power_w": 1, "ttl_s": 0}', "usage", "ttl_s 0 must be above 0"),
        (b'{"command": "set", "power_w": 1}', "usage", "ttl_s must be a finite number"),
        (b'{"command": "set", "source": "ocpp", "power_w": 1, "ttl_s": 1}', "usage", "belongs to its protocol"),
        (b'{"command": "set", "source": "ems", "power_w": 1, "ttl_s": 1}', "refused", "holds limits that a target would replace"),
        (b'{"command": "release", "source": "ems"}', "done", ""),
        (b'{"command": "set", "source": 7, "power_w": 1, "ttl_s": 1}', "usage", "source 7"),
        (b'{"command": "start"}', "usage", "no command 'start'"),
        (b"[1]", "usage", "one JSON object"),
        (b"\xff\x00", "usage", "not understood"),
        (b"{", "usage", "not understood"),
    ],
)
def test_the_operators_requests_are_judged(request_line: bytes, outcome: str, words: str) -> None:
    slot = Slot()
    answer = Desk(lambda _: slot, frozenset({"ocpp"}), frozenset({"ems"})).answer(request_line)
    assert answer["outcome"] == outcome
    assert words in answer["reason"]
    assert bool(slot.plans) == (outcome == "done")


@pytest.mark.parametrize(("error", "outcome"), [(PlanRefused("x"), "refused"), (NotReachable("x"), "unreachable")])
def test_what_the_slot_says_is_passed_on(error: Exception, outcome: str) -> None:
    answer = Desk(lambda _: Slot(error), frozenset()).answer(b'{"command": "set", "power_w": 1, "ttl_s": 1}')
    assert answer == {"ok": False, "outcome": outcome, "reason": "x"}


def test_logs_are_lines_or_objects() -> None:
    import logging  # noqa: PLC0415

    record = logging.LogRecord("bessctl.ocpp", logging.WARNING, "f", 1, "link %s", ("a",), None)
    record.created = 1_700_000_000.25
    assert Lines().format(record) == "2023-11-14T22:13:20.250Z warning bessctl.ocpp: link a"
    assert json.loads(Json().format(record)) == {
        "time": "2023-11-14T22:13:20.250Z", "level": "warning", "part": "bessctl.ocpp", "message": "link a",
    }  # fmt: skip


def test_what_stands_after_the_start_is_left_to_itself() -> None:
    """OCPP-12: with 200 links a full look of the garbage collector held every answer up for a tenth of a second."""
    before = gc.get_threshold()

    async def story() -> None:
        task = asyncio.create_task(settle(0.0))
        while not gc.get_freeze_count():  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)
        task.cancel()

    try:
        asyncio.run(story())
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
