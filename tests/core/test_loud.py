"""Loud means four things at once: a word in the published state, an event, exit code 1 of `status` with the remedy, a log line with it.

One table: every flag, every trip of the machine itself, every mode in which the plant should run and does not. Each is caused, not stated:
by the step in invented time, by the drivers on real sockets, or by the start of a real loop, whichever has to find it. Its published state
and its events go through the real segments to the real `status` command and to the writer of the log.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bessctl.cli.program import run
from bessctl_core import layout as L
from bessctl_core import loud, process, rt, sealed, segment
from bessctl_core.journal import Journal
from bessctl_core.loop import LoopCore
from bessctl_core.ports import EventReader, StatePort
from bessctl_core.tell import Teller
from tests.core.loop_rig import Loop
from tests.core.pcc_cases import site
from tests.core.rig import PLANT, Q, Rig, Row, S, Slot, config
from tests.core.site_model import Pcs
from tests.devices.bench import Bench
from tests.devices.test_complaints import plain, worn

F, M, T, E = L.Flag, L.Mode, L.Internal, L.EventCode
STATE, RECORD = L.dtype("PlantState"), L.dtype("JournalRecord")
TRIP = Row(Q.Q_CELL_V_MAX, 3.6, 3.5, action=L.Action.ACT_STANDBY, reset=L.ResetRule.RESET_ANY)
INPUT = Row(Q.Q_INPUT_0, 1, 0, unit=PLANT, action=L.Action.ACT_WARN, blind=L.BlindRule.BLIND_TRIPS)
GRID = Slot(klass=0, may_force=L.Direction.DIR_BOTH)
NAMES = {
    "units": ["left", "right"],
    "slots": ["grid"],
    "devices": ["pcs1"],
    "rows": [{"name": "a_row", "tier": "trip", "unit": "left", "quantity": "cell_v_max"}],
}


@dataclass
class Found:
    """What a loop published and told."""

    config: Any
    state: bytes
    events: list[dict[str, Any]] = field(default_factory=list)


def of(r: Rig) -> Found:
    return Found(r.config, r.h.published(), r.seen)


def well(**facts: Any) -> Rig:
    """A plant that runs, with a meter, one input and a battery that states its SoC."""
    site_keys: dict[str, Any] = {"has_meter": 1, "soc_stuck_pct": 5.0, "unit_wh": 1e3, "load_max_w": 0.0, "pv_max_w": 0.0}
    r = Rig(config(rows=(INPUT,), slots=(GRID,), **site_keys), **facts)
    r.meter(0.0)
    r.set(Q.Q_BMS_STATE, 3)
    r.set(Q.Q_INPUT_0, 0, place=PLANT)
    return r


def running(then: Callable[[Rig], None]) -> Callable[[], Found]:
    """The plant of `well`, to which this happens; for at most 40 s."""

    def happens() -> Found:
        r = well().run()
        before = int(r.state["flags"])
        assert before == 0, "well before it"
        then(r)
        for _ in range(400):
            if r.tick(1, S // 10)["flags"]:
                break
        return of(r)

    return happens


def local_control(r: Rig) -> None:
    r.set(Q.Q_LOC_REM, 1)


def input_lost(r: Rig) -> None:
    r.freeze(Q.Q_INPUT_0, place=PLANT)


def soc_frozen(r: Rig) -> None:
    r.set(Q.Q_PACK_A, 200.0)


def contactor(r: Rig) -> None:
    """Opened by itself, and three orders to close did nothing."""
    r.set(Q.Q_BMS_STATE, 1)
    r.tick()
    for code in (L.CommandCode.CMD_STOP, L.CommandCode.CMD_START):
        r.local(code)
        r.tick(2)
        r.disk()
        r.tick(2)


def meter_stale(r: Rig) -> None:
    r.freeze(Q.Q_PCC_W, place=PLANT)


def shed(r: Rig) -> None:
    """The grid forces 100 kW out of a battery that gives none."""
    r.set(Q.Q_BMS_DIS_MAX_A, 0)
    r.offer(0, {"pcc_lo_w": 100e3})


def shed_unconfirmed(r: Rig) -> None:
    r.h.set_shed_unconfirmed(True)


# --- what drivers find --------------------------------------------------------------------------------------------------------------------


def unconfirmed() -> Found:
    """A PCS that acknowledges set points and keeps none; the loop hands the driver's verdict to the step."""
    what = plain(reversion="", dog="{kind: keep_alive, timeout_s: 6, writes: [{register: 12, fields: [{value: const, number: 0xA5}]}]}")
    r = well().run()
    with Bench(what) as bench:
        bench.up()
        what.device.deaf.add(10)
        bench.order(9000.0).run(6.0)
        r.h.set_unconfirmed(0, bool(bench.unit["unconfirmed"]))
        r.tick()
        return Found(r.config, r.h.published(), bench.seen + r.seen)


def setpoint_held() -> Found:
    """A set point that wears its memory, changed each second; the flag is published by the drivers' own account."""
    r = well().run()
    with Bench(worn()) as bench:
        bench.up()
        for second in range(60):
            bench.order(20_000.0 + 500.0 * second).tick(1, ms=1000)
            if bench.events(E.EV_SETPOINT_HELD):
                break
        state = np.frombuffer(r.h.published(), STATE).copy()
        state["flags"] |= bench.h.counters()["flags"]
        return Found(r.config, state.tobytes(), bench.seen)


# --- what a start finds -------------------------------------------------------------------------------------------------------------------


def loop_of(folder: Path, refused: dict[str, int], *, until: int | None = None) -> Found:
    """A real loop without a device: it starts, and ends at its first tick or after an event of this code."""
    c = config(stop_timeout_ns=S // 100)
    site_ = sealed.unpack(sealed.pack(c.tobytes(), NAMES))
    segments = segment.LoopSegments(site_.digest)
    journal = Journal(str(folder))
    reading, stop = os.pipe()
    news = os.eventfd(0)
    os.set_blocking(reading, False)
    core = LoopCore(site_, segments, journal, signal_fd=reading, event_fd=news)
    core.begin(boot_id=segment.boot_id(), warm=False, clock_trusted=True, **refused)
    thread = threading.Thread(target=core.run)
    thread.start()
    events: list[dict[str, Any]] = []
    while until is not None and until not in [event["code"] for event in events]:
        os.eventfd_read(news)  # the loop has something to tell
        events += iter(core.next_event, None)
    os.write(stop, struct.pack("=I124x", signal.SIGTERM))
    thread.join()
    events += iter(core.next_event, None)
    state = StatePort(segments.state_fd).read_bytes()
    journal.close()
    for fd in (reading, stop, news):
        os.close(fd)
    assert state is not None
    return Found(c, state, events)


def claimed(folder: Path, which: str) -> Found:
    """The kernel refuses one of the three; what the process claims is what its loop is told."""
    answers: dict[str, Any] = {"rt_errno": ("become_realtime", 0), "mlock_errno": ("lock_memory", 0), "affinity_errno": ("pin", 0)}
    with pytest.MonkeyPatch.context() as patch:
        for key, (name, granted) in answers.items():
            patch.setattr(rt, name, lambda *_, told=errno.EPERM if key == which else granted: told)
        claimant: Any = SimpleNamespace(teller=Teller(NAMES, lambda _: "", out=io.StringIO()))
        refused = process.LoopProcess.claim(claimant, 80, 1, False)
    assert [key for key, told in refused.items() if told] == [which]
    return loop_of(folder, refused)


GRANTED = {"rt_errno": 0, "mlock_errno": 0, "affinity_errno": 0}


def uncommissioned() -> Found:
    r = well(commissioned=False)
    r.tick(30)
    return of(r)


def recalled(**fields: Any) -> Found:
    """A start that finds such a record of the loop before."""
    before = Rig(config(rows=(TRIP,)))
    before.tick()
    record = np.frombuffer(before.h.journal(), RECORD).copy()
    for name, value in fields.items():
        record[name] = value
    r = Rig(config(rows=(TRIP,)), journal=record.tobytes())
    r.tick(3)
    return of(r)


def other_config() -> Found:
    latched = np.zeros(RECORD["latched"].shape, np.uint8)
    latched[0] = 1
    return recalled(latched=latched, config_hash=np.ones(32, np.uint8))


def no_journal() -> Found:
    r = Rig(config(), journal_broken=True)
    r.tick(3)
    return of(r)


def assertion() -> Found:
    """A dispatch that lies; in a process of its own (corrupted.py)."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "tests.core.corrupted", "beyond the unit"]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=True)
    size = STATE.itemsize
    raw = np.frombuffer(done.stdout[size:], L.dtype("Event"))
    assert raw.dtype.names is not None
    return Found(config(2), done.stdout[:size], [{name: event[name].item() for name in raw.dtype.names} for event in raw])


def meter_sign() -> Found:
    s = site({"target_w": 0.0, "target_scope": 1}, meter_s=0.2, lag_s=0.1, dead_s=0.0, load=lambda _: 60e3, pcs=[Pcs(0.1, 0.0)], sign=-1)
    s.run(20.0)
    return of(s.rig)


def tripped() -> Found:
    r = Rig(config(rows=(TRIP,))).run()
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick(3)
    return of(r)


def start_failed() -> Found:
    r = Rig(config())
    r.h.set_devices(0, L.DeviceState.DEV_UP, L.DeviceState.DEV_DOWN, 1.0)
    r.tick(600)
    return of(r)


def standby() -> Found:
    r = Rig(config(rt_required=1), rt_refused=True)
    r.tick(30)
    return of(r)


Cause = Callable[[], Found] | Callable[[Path], Found]
CAUSES: list[tuple[L.Flag | L.Internal | L.Mode, Cause]] = [
    (F.FLAG_RT_REFUSED, lambda folder: claimed(folder, "rt_errno")),
    (F.FLAG_MLOCK_REFUSED, lambda folder: claimed(folder, "mlock_errno")),
    (F.FLAG_AFFINITY_REFUSED, lambda folder: claimed(folder, "affinity_errno")),
    (F.FLAG_JOURNAL_LATE, lambda folder: loop_of(folder, GRANTED, until=E.EV_JOURNAL)),
    (F.FLAG_LOCAL_CONTROL, running(local_control)),
    (F.FLAG_UNCONFIRMED, unconfirmed),
    (F.FLAG_METER_STALE, running(meter_stale)),
    (F.FLAG_SETPOINT_HELD, setpoint_held),
    (F.FLAG_SHED, running(shed)),
    (F.FLAG_SOC_FROZEN, running(soc_frozen)),
    (F.FLAG_CONTACTOR, running(contactor)),
    (F.FLAG_INPUT_LOST, running(input_lost)),
    (F.FLAG_SHED_UNCONFIRMED, running(shed_unconfirmed)),
    (F.FLAG_UNCOMMISSIONED, uncommissioned),
    (T.TRIP_ASSERTION, assertion),
    (T.TRIP_JOURNAL, no_journal),
    (T.TRIP_STARTS, lambda: recalled(start_age_s=[5, 60, 120])),
    (T.TRIP_OTHER_CONFIG, other_config),
    (T.TRIP_METER_SIGN, meter_sign),
    (M.MODE_TRIPPED, tripped),
    (M.MODE_START_FAILED, start_failed),
    (M.MODE_STANDBY, standby),
]


def caused(cause: Any, folder: Path) -> Found:
    found = cause(folder) if cause.__code__.co_argcount else cause()
    assert isinstance(found, Found)
    return found


def is_up(what: L.Flag | L.Internal | L.Mode, state: Any) -> bool:
    """The word of the state."""
    if isinstance(what, L.Mode):
        return int(state["mode"]) == what
    return bool(int(state["flags" if isinstance(what, L.Flag) else "internal"]) & what)


def remedy_of(what: L.Flag | L.Internal | L.Mode) -> str:
    if isinstance(what, L.Flag):
        return loud.FLAGS[what][1]
    return loud.TRIPS[what] if isinstance(what, L.Internal) else loud.MODES[what]


def test_every_flag_trip_and_mode_that_is_loud_is_caused_here() -> None:
    loud_ones = [*F, *T, *(M(mode) for mode in loud.MODES)]
    assert sorted(str(what.name) for what, _ in CAUSES) == sorted(str(what.name) for what in loud_ones)
    assert set(loud.FLAGS) == set(F)
    assert set(loud.TRIPS) == set(T)


@pytest.mark.parametrize(("what", "cause"), CAUSES, ids=[what.name for what, _ in CAUSES])
def test_what_is_loud_is_in_state_events_exit_code_and_log_with_its_remedy(
    what: L.Flag | L.Internal | L.Mode, cause: Cause, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-loud: all four, from one cause."""
    for folder in ("journal", "run"):
        (tmp_path / folder).mkdir()
    found = caused(cause, tmp_path / "journal")
    assert is_up(what, np.frombuffer(found.state, STATE)[0]), "the state says so"
    content = sealed.pack(found.config.tobytes(), NAMES)
    loop = Loop(tmp_path / "run", os.getuid(), content, sealed.unpack(content).digest)
    try:
        loop.segments.publish(found.state, found.events)
        ring = EventReader(loop.segments.state_fd, 1).drain()
        code = run(["status", "--run-dir", str(tmp_path / "run")])
    finally:
        loop.close()
    shown = " ".join(capsys.readouterr().out.split())
    assert code == 1
    assert str(what.name).split("_", 1)[1].lower() in shown, "the state's word"
    assert remedy_of(what) in shown, "what to do"
    log = io.StringIO()
    teller = Teller(NAMES, lambda _: "10.0.0.7:502", out=log)
    for event in ring:
        teller.event(event)
    lines = [" ".join(line.split()) for line in log.getvalue().splitlines()]
    assert [line for line in lines if remedy_of(what) in line], "an event, and the log says what to do"
    assert any(" warning " in line or " alarm " in line for line in lines if remedy_of(what) in line), "not as a mere information"


def test_a_plant_that_is_well_is_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    r = well().run()
    content = sealed.pack(r.config.tobytes(), NAMES)
    loop = Loop(tmp_path, os.getuid(), content, sealed.unpack(content).digest)
    try:
        loop.segments.publish(r.h.published(), r.seen)
        assert run(["status", "--run-dir", str(tmp_path)]) == 0
    finally:
        loop.close()
    assert "remedy" not in capsys.readouterr().out
