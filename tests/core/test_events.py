"""An event names whom it is about, its unit, row or slot, and nobody else: -1. What happened and how grave it is stands in it once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from bessctl_core import layout as L
from tests.core.rig import PLANT, START_NS, Q, Rig, Row, S, Slot, config

A, B, C, E = L.Action, L.BindKind, L.CommandCode, L.EventCode
INFO, WARNING, ALARM = 0, 1, 2
NOBODY = (-1, -1, -1)
TRIP = Row(Q.Q_CELL_V_MAX, 3.6, 3.5, action=A.ACT_STANDBY, reset=L.ResetRule.RESET_ANY, unit=1)
WARN = Row(Q.Q_CELL_V_MAX, 3.55, 3.5, action=A.ACT_WARN, tier=L.Tier.TIER_WARN, unit=1)


def rig(**facts: Any) -> Rig:
    """Two units, two slots; whatever happens below happens to the second of each."""
    slots = (Slot(klass=1, priority=1), Slot(priority=2, may_force=L.Direction.DIR_BOTH))
    return Rig(config(2, rows=(WARN, TRIP), slots=slots, has_meter=1), **facts)


def running() -> Rig:
    r = rig()
    r.meter(0.0)
    return r.run()


def target(r: Rig, watts: float, serial: int = 1) -> None:
    r.offer(1, {"target_w": watts}, lease_until_ns=r.now_ns + 600 * S, serial=serial)


def accepted(r: Rig) -> None:
    target(r, 10e3, serial=7)


def refused(r: Rig) -> None:
    r.offer(1, {"ess_lo_w": 1e3})


def clamped_above(r: Rig) -> None:
    target(r, 900e3)


def clamped_below_by_a_slot(r: Rig) -> None:
    r.offer(0, {"ess_lo_w": -5e3})
    target(r, -900e3)


def disjoint(r: Rig) -> None:
    r.offer(1, {"pcc_lo_w": 500e3})


def meter_lost(r: Rig) -> None:
    r.freeze(Q.Q_PCC_W, place=PLANT)
    r.tick(150)


def meter_back(r: Rig) -> None:
    r.freeze(Q.Q_PCC_W, place=PLANT)
    r.tick(150)
    r.seen.clear()
    r.frozen.clear()


def tripped(r: Rig) -> None:
    r.set(Q.Q_CELL_V_MAX, 3.7, place=1)


def well_again(r: Rig) -> None:
    r.set(Q.Q_CELL_V_MAX, 3.56, place=1)
    r.tick()
    r.set(Q.Q_CELL_V_MAX, 3.3, place=1)


def reset(r: Rig) -> None:
    tripped(r)
    r.tick()
    well_again(r)
    r.tick()
    r.remote(C.CMD_RESET, 44)
    r.tick()
    r.disk()


def reset_too_early(r: Rig) -> None:
    tripped(r)
    r.tick()
    r.remote(C.CMD_RESET, 45)


def internal(r: Rig) -> None:
    r.remote(C.CMD_START, 46)


def tried(r: Rig) -> None:
    r.local(C.CMD_TRY, 47, arg=1)


def proved(r: Rig) -> None:
    r.local(C.CMD_COMMISSIONED, 48, arg=1)
    r.tick()
    r.disk()


def released(r: Rig) -> None:
    r.local(C.CMD_RELEASE, 50, arg=1)


def overtaken(r: Rig) -> None:
    r.local(C.CMD_STOP, 51)
    r.tick()
    r.local(C.CMD_STOP, 52)


def tripped_again(r: Rig) -> None:
    """Before the reset was on disk."""
    tripped(r)
    r.tick()
    well_again(r)
    r.tick()
    r.local(C.CMD_RESET, 53)
    r.tick()
    tripped(r)


def unknown(r: Rig) -> None:
    r.local(99, 54)


def stopped(r: Rig) -> None:
    r.local(C.CMD_STOP, 56)
    r.tick()
    r.disk()


def lapsed(r: Rig) -> None:
    r.offer(1, {"target_w": 5e3}, lease_until_ns=r.now_ns + S, lapse=L.LapseRule.LAPSE_HOLD)
    r.tick(100)


def beyond(code: int, arg: int) -> Callable[[Rig], None]:
    """A request about a slot or unit that is none: there are two of each."""
    return lambda r: r.local(code, 55, arg=arg)


# what is done; the event: its code, (place, row, slot), level, detail, value, limit
STORIES = [
    (accepted, E.EV_PLAN_ACCEPTED, (-1, -1, 1), INFO, 7, 0, 0),
    (refused, E.EV_PLAN_REFUSED, (-1, -1, 1), WARNING, L.PlanFault.PLAN_RANGE, 0, 0),
    (clamped_above, E.EV_TARGET_CLAMPED, (0, B.BIND_RATING, 1), INFO, B.BIND_RATING, 900e3, 400e3),
    (clamped_below_by_a_slot, E.EV_TARGET_CLAMPED, (0, B.BIND_SLOT, 1), INFO, B.BIND_SLOT, -900e3, -5e3),
    (disjoint, E.EV_LIMITS_DISJOINT, (-1, -1, 1), ALARM, 0, 100e3, 0),
    (meter_lost, E.EV_METER, (PLANT, -1, -1), ALARM, 1, 1.001, 1.0),
    (meter_back, E.EV_METER, (PLANT, -1, -1), INFO, 0, 0.001, 1.0),
    (tripped, E.EV_ROW_LATCHED, (1, 1, -1), ALARM, A.ACT_STANDBY, 3.7, 3.6),
    (well_again, E.EV_ROW_PICKUP, (1, 0, -1), WARNING, A.ACT_WARN, 3.56, 3.55),
    (well_again, E.EV_ROW_DROPOFF, (1, 0, -1), INFO, A.ACT_WARN, 3.3, 3.55),
    (reset, E.EV_RESET_DONE, NOBODY, INFO, 1, 0, 0),
    (reset, E.EV_COMMAND_DONE, NOBODY, INFO, 44, 44, 0),
    (reset_too_early, E.EV_RESET_REFUSED, (-1, 1, -1), WARNING, 1, 0, 0),
    (reset_too_early, E.EV_COMMAND_REFUSED, (-1, 1, -1), WARNING, 45, 45, 0),
    (internal, E.EV_COMMAND_REFUSED, NOBODY, WARNING, 46, 46, 0),
    (tried, E.EV_COMMISSION, (1, -1, -1), INFO, 1, math.nan, 0.05),
    (tried, E.EV_COMMAND_DONE, NOBODY, INFO, 47, 47, 0),
    (proved, E.EV_COMMISSION, (1, -1, -1), INFO, 3, math.nan, 0.05),
    (proved, E.EV_COMMAND_DONE, NOBODY, INFO, 48, 48, 0),
    (released, E.EV_COMMAND_DONE, NOBODY, INFO, 50, 50, 0),
    (beyond(C.CMD_RELEASE, 0), E.EV_COMMAND_DONE, NOBODY, INFO, 55, 55, 0),
    (beyond(C.CMD_RELEASE, -1), E.EV_COMMAND_REFUSED, NOBODY, WARNING, 55, 55, 0),
    (beyond(C.CMD_RELEASE, 2), E.EV_COMMAND_REFUSED, NOBODY, WARNING, 55, 55, 0),
    (beyond(C.CMD_TRY, -1), E.EV_COMMAND_DONE, NOBODY, INFO, 55, 55, 0),
    (beyond(C.CMD_TRY, -2), E.EV_COMMAND_REFUSED, NOBODY, WARNING, 55, 55, 0),
    (beyond(C.CMD_TRY, 2), E.EV_COMMAND_REFUSED, NOBODY, WARNING, 55, 55, 0),
    (beyond(C.CMD_COMMISSIONED, -1), E.EV_COMMAND_REFUSED, NOBODY, WARNING, 55, 55, 0),
    (beyond(C.CMD_COMMISSIONED, 2), E.EV_COMMAND_REFUSED, NOBODY, WARNING, 55, 55, 0),
    (overtaken, E.EV_COMMAND_REFUSED, NOBODY, WARNING, 51, 51, 0),
    (tripped_again, E.EV_RESET_REFUSED, (-1, 1, -1), WARNING, 1, 0, 0),
    (tripped_again, E.EV_COMMAND_REFUSED, (-1, 1, -1), WARNING, 53, 53, 0),
    (stopped, E.EV_COMMAND_DONE, NOBODY, INFO, 56, 56, 0),
    (lapsed, E.EV_PLAN_LAPSED, (-1, -1, 1), WARNING, L.LapseRule.LAPSE_HOLD, 0, 0),
    (unknown, E.EV_COMMAND_REFUSED, NOBODY, WARNING, 54, 54, 0),
]


@pytest.mark.parametrize(("story", "code", "said"), [(row[0], row[1], row[2:]) for row in STORIES])
def test_an_event_names_whom_it_is_about(story: Callable[[Rig], None], code: int, said: tuple[Any, ...]) -> None:
    r = running()
    r.seen.clear()
    story(r)
    r.tick(3)
    (event,) = r.events(code)
    who, level, detail, value, limit = said
    assert (event["place"], event["row"], event["slot"]) == who
    assert (event["level"], event["detail"]) == (level, detail)
    assert (event["value"], event["limit"]) == (pytest.approx(value, abs=0.01, nan_ok=True), pytest.approx(limit, abs=0.01))


def test_a_start_tells_of_the_machine_and_of_each_unit_that_was_never_tried() -> None:
    r = rig(commissioned=False, journal_broken=True)
    r.tick()
    told = [(e["code"], e["level"], e["detail"], e["place"], e["row"], e["slot"]) for e in r.seen]
    assert told[:3] == [
        (E.EV_INTERNAL, ALARM, L.Internal.TRIP_JOURNAL, *NOBODY),
        (E.EV_COMMISSION, WARNING, 0, 0, -1, -1),
        (E.EV_COMMISSION, WARNING, 0, 1, -1, -1),
    ]
    assert (E.EV_MODE, ALARM, L.Mode.MODE_TRIPPED, *NOBODY) in told


def test_a_machine_that_tripped_by_itself_is_not_reset_by_a_protocol_and_no_row_is_named() -> None:
    r = rig(journal_broken=True)
    r.tick()
    r.remote(C.CMD_RESET, 49)
    r.tick()
    told = [(e["code"], e["place"], e["row"], e["slot"], e["detail"]) for e in r.seen]
    assert (E.EV_RESET_REFUSED, *NOBODY, -1) in told
    assert (E.EV_COMMAND_REFUSED, *NOBODY, 49) in told


def test_what_is_settled_is_told_of_the_machine() -> None:
    r = running()
    assert [(e["place"], e["row"], e["slot"], e["level"], e["detail"]) for e in r.events(E.EV_ACQUIRED)] == [(*NOBODY, INFO, 0)]
    assert r.events(E.EV_ACQUIRED)[0]["value"] == pytest.approx(0.11), "so long it took: settle_s, and the first tick"
    assert [(e["place"], e["row"], e["slot"], e["level"], e["value"]) for e in r.events(E.EV_MODE)] == [
        (*NOBODY, INFO, L.Mode.MODE_ACQUIRE)
    ]


def test_a_plan_is_told_when_it_is_the_first_and_when_it_follows_one_that_was_refused() -> None:
    r = running()
    for serial, block in (
        (1, {"target_w": 1.0}),
        (2, {"target_w": 2.0}),
        (3, {"ess_lo_w": 1e3}),
        (4, {"ess_lo_w": 1e3}),
        (5, {"target_w": 3.0}),
    ):
        r.offer(1, block, serial=serial)
        r.tick()
    told = [(e["code"], e["detail"]) for e in r.seen if e["code"] in (E.EV_PLAN_ACCEPTED, E.EV_PLAN_REFUSED)]
    assert told == [(E.EV_PLAN_ACCEPTED, 1), (E.EV_PLAN_REFUSED, L.PlanFault.PLAN_RANGE), (E.EV_PLAN_ACCEPTED, 5)]


def test_a_plan_of_a_slot_that_is_none_or_without_a_number_is_no_plan() -> None:
    r = running()
    for slot, serial in ((-1, 1), (2, 1), (1, 0)):
        r.offer(slot, {"target_w": 9e3}, serial=serial)
    r.tick(5)
    assert (r.power_w, r.events(E.EV_PLAN_ACCEPTED), r.events(E.EV_PLAN_REFUSED)) == (0, [], [])


def test_a_clamped_target_is_told_once_for_each_who_clamps_it() -> None:
    r = running()
    target(r, 900e3)
    r.tick(5)
    r.offer(0, {"ess_hi_w": 7e3})
    r.tick(5)
    r.offer(1, {"ess_hi_w": 5e3, "target_w": 900e3}, serial=2)
    r.tick(5)
    told = [(e["place"], e["row"]) for e in r.events(E.EV_TARGET_CLAMPED)]
    assert told == [(0, B.BIND_RATING), (0, B.BIND_SLOT), (1, B.BIND_SLOT)]
    r.offer(0, {"ess_hi_w": 1e6}, serial=3)
    target(r, 10e3, serial=4)
    r.tick(5)
    target(r, 900e3, serial=5)
    r.tick(5)
    assert len(r.events(E.EV_TARGET_CLAMPED)) == 4, "again, after it was not"
    assert START_NS < r.events(E.EV_TARGET_CLAMPED)[0]["at_ns"] < r.now_ns
