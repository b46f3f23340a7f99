"""Loud means four things at once: a word in the published state, an event, exit code 1 of `status` with the remedy, a log line with it.

One table for all conditions: every flag, every trip of the machine itself, every mode in which the plant should run and does not.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bessctl.cli.program import run
from bessctl_core import layout as L
from bessctl_core import loud
from bessctl_core.tell import Teller
from tests.core.loop_rig import Loop
from tests.core.rig import PLANT, Q, Rig, Row, S, Slot, config
from tests.sites import sealed_example
from tests.test_corelink import EVENT, state

E, F, M, T = L.EventCode, L.Flag, L.Mode, L.Internal

# The event that tells of a flag where it is not EV_FLAG.
OWN: dict[int, dict[str, Any]] = {
    F.FLAG_RT_REFUSED: {"code": E.EV_RT_REFUSED, "detail": 1},
    F.FLAG_JOURNAL_LATE: {"code": E.EV_JOURNAL, "detail": 2},
    F.FLAG_UNCONFIRMED: {"code": E.EV_UNCONFIRMED, "row": 0},
    F.FLAG_METER_STALE: {"code": E.EV_METER, "detail": 1, "value": 2.0},
    F.FLAG_SHED: {"code": E.EV_LIMITS_DISJOINT, "slot": 0, "value": 1e3},
    F.FLAG_SETPOINT_HELD: {"code": E.EV_SETPOINT_HELD, "row": 0, "detail": 1, "value": 1.0, "limit": 2.0},
    F.FLAG_CONTACTOR: {"code": E.EV_CONTACTOR, "place": 0, "detail": 5, "value": 3.0},
}
Condition = tuple[str, dict[str, Any], dict[str, Any], str]


def conditions() -> Iterator[Condition]:
    """Name, fields of the published state, fields of the event, remedy."""
    for flag in F:
        told = OWN.get(flag, {"code": E.EV_FLAG, "detail": int(flag), "value": 1.0})
        yield flag.name or "", {"flags": int(flag)}, told, loud.FLAGS[flag][1]
    for trip in T:
        yield (
            trip.name or "",
            {"internal": int(trip), "mode": M.MODE_TRIPPED},
            {"code": E.EV_INTERNAL, "detail": int(trip)},
            loud.TRIPS[trip],
        )
    for mode, remedy in loud.MODES.items():
        yield M(mode).name or "", {"mode": mode}, {"code": E.EV_MODE, "detail": mode}, remedy


ALL = list(conditions())
SEALING = sealed_example()


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Loop, Path]]:
    folder = tmp_path_factory.mktemp("loud")
    running = Loop(folder, os.getuid(), SEALING.content, SEALING.digest)
    yield running, folder
    running.close()


def status(loop: tuple[Loop, Path], capsys: pytest.CaptureFixture[str], **fields: Any) -> tuple[int, str]:
    loop[0].segments.publish(state(**{"mode": M.MODE_RUN, **fields}))
    code = run(["status", "--run-dir", str(loop[1])])
    return code, capsys.readouterr().out


def logged(**event: Any) -> str:
    out = io.StringIO()
    names = {key: SEALING.names[key] for key in ("units", "slots", "devices", "rows")}
    Teller(names, lambda _: "10.0.0.7:502", out=out).event({**EVENT, "value": math.nan, "limit": math.nan, **event})
    return " ".join(out.getvalue().split())


@pytest.mark.parametrize("condition", ALL, ids=[row[0] for row in ALL])
def test_a_loud_condition_is_in_the_state_the_log_and_the_exit_code_with_its_remedy(
    condition: Condition, loop: tuple[Loop, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    name, published, event, remedy = condition
    code, out = status(loop, capsys, **published)
    assert code == 1
    assert name.split("_", 1)[1].lower() in out, "the state's word"
    assert remedy in " ".join(out.split()), "what to do"
    assert remedy in logged(**event), "and in the log"


def test_a_plant_that_is_well_is_quiet(loop: tuple[Loop, Path], capsys: pytest.CaptureFixture[str]) -> None:
    code, out = status(loop, capsys)
    assert code == 0
    assert "remedy" not in out


# --- and the step raises them -------------------------------------------------------------------------------------------------------------


def local_control(r: Rig) -> None:
    r.set(Q.Q_LOC_REM, 1)


def input_lost(r: Rig) -> None:
    r.freeze(Q.Q_INPUT_0, place=PLANT)


def soc_frozen(r: Rig) -> None:
    r.set(Q.Q_PACK_A, 200.0)


def contactor(r: Rig) -> None:
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
    r.set(Q.Q_BMS_DIS_MAX_A, 0)
    r.offer(0, {"pcc_lo_w": 100e3})


def shed_unconfirmed(r: Rig) -> None:
    r.h.set_shed_unconfirmed(True)


def unconfirmed(r: Rig) -> None:
    r.h.set_unconfirmed(0, True)


RAISED: list[tuple[int, Callable[[Rig], None], int]] = [
    (F.FLAG_LOCAL_CONTROL, local_control, E.EV_FLAG),
    (F.FLAG_INPUT_LOST, input_lost, E.EV_FLAG),
    (F.FLAG_SOC_FROZEN, soc_frozen, E.EV_FLAG),
    (F.FLAG_CONTACTOR, contactor, E.EV_CONTACTOR),
    (F.FLAG_METER_STALE, meter_stale, E.EV_METER),
    (F.FLAG_SHED, shed, E.EV_LIMITS_DISJOINT),
    (F.FLAG_SHED_UNCONFIRMED, shed_unconfirmed, E.EV_FLAG),
    (F.FLAG_UNCONFIRMED, unconfirmed, 0),  # its event is the driver's
]


@pytest.mark.parametrize(("flag", "cause", "code"), RAISED, ids=[str(F(row[0]).name) for row in RAISED])
def test_the_step_raises_it_with_its_event(flag: int, cause: Callable[[Rig], None], code: int) -> None:
    row = Row(Q.Q_INPUT_0, 1, 0, unit=PLANT, action=L.Action.ACT_WARN, blind=L.BlindRule.BLIND_TRIPS)
    slot = Slot(klass=0, may_force=L.Direction.DIR_BOTH)
    r = Rig(config(rows=(row,), slots=(slot,), has_meter=1, soc_stuck_pct=5.0, unit_wh=1e3, load_max_w=0.0, pv_max_w=0.0))
    r.meter(0.0)
    r.set(Q.Q_BMS_STATE, 3)
    r.set(Q.Q_INPUT_0, 0, place=PLANT)
    r.run()
    assert not r.state["flags"] & flag
    cause(r)
    for _ in range(400):
        r.tick(1, S // 10)
        if r.state["flags"] & flag:
            break
    assert r.state["flags"] & flag
    assert code == 0 or code in r.codes()
