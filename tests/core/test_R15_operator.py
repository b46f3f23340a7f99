"""R15: stop and out of service are the operator's, outlive everything, and end by a local start alone, which gives nothing that was
asked before.

Scenario it was written for: somebody works at the battery; a colleague in the office sets 100 kW. When the first one types `start` an
hour later, nothing may flow that he did not ask for.
"""

from __future__ import annotations

import pytest

from bessctl_core import layout as L
from tests.core.rig import Q, Rig, Row, Slot, config

C, E, M = L.CommandCode, L.EventCode, L.Mode
TRIP = Row(Q.Q_CELL_V_MAX, 3.6, 3.5, action=L.Action.ACT_STANDBY, reset=L.ResetRule.RESET_ANY)
MANUAL, OCPP = 0, 1


def rig() -> Rig:
    r = Rig(config(rows=(TRIP,), slots=(Slot(operator=True), Slot(priority=6)))).run()
    r.offer(MANUAL, {"target_w": 100e3})
    r.tick(5)
    assert r.power_w == 100e3
    return r


def ask(r: Rig, code: int, *, local: bool = True) -> None:
    r.h.command(7, code, local=local)
    r.tick()
    r.disk()
    r.tick(2)


def leave(r: Rig, how: str) -> None:
    if how == "trip":
        r.set(Q.Q_CELL_V_MAX, 3.7)
        r.tick()
        r.set(Q.Q_CELL_V_MAX, 3.3)
        r.tick()
    else:
        ask(r, C.CMD_STOP if how == "stop" else C.CMD_OUT_OF_SERVICE)


def come_back(r: Rig, how: str) -> None:
    ask(r, C.CMD_RESET if how == "trip" else C.CMD_START)
    r.tick(40)
    assert r.state["mode"] == M.MODE_RUN


@pytest.mark.parametrize("how", ["stop", "out of service", "trip"])
@pytest.mark.parametrize("asked_again", [False, True])
def test_R15_the_operators_own_wish_does_not_outlive_it(how: str, asked_again: bool) -> None:
    """The scenario: somebody works at the battery."""
    r = rig()
    leave(r, how)
    if asked_again:
        r.offer(MANUAL, {"target_w": 100e3}, serial=2)
        r.tick()
        refused = r.events(E.EV_PLAN_REFUSED)
        assert [(event["slot"], event["detail"]) for event in refused] == [(MANUAL, L.PlanFault.PLAN_STOPPED)]
    come_back(r, how)
    assert r.power_w == 0
    r.offer(MANUAL, {"target_w": 50e3}, serial=3)
    r.tick(5)
    assert r.power_w == 50e3


@pytest.mark.parametrize("how", ["stop", "out of service", "trip"])
def test_R15_the_plans_of_the_other_sources_stand(how: str) -> None:
    """They are schedules with a lease of their own: theirs to renew, not the operator's to forget."""
    r = rig()
    r.offer(OCPP, {"target_w": 30e3, "ess_hi_w": 40e3})
    r.tick(2)
    leave(r, how)
    come_back(r, how)
    assert r.power_w == 30e3


@pytest.mark.parametrize("code", [C.CMD_STOP, C.CMD_OUT_OF_SERVICE, C.CMD_START])
def test_R15_the_network_may_not_stop_or_start(code: int) -> None:
    r = rig()
    ask(r, code, local=False)
    assert (r.state["mode"], len(r.events(E.EV_COMMAND_REFUSED))) == (M.MODE_RUN, 1)


@pytest.mark.parametrize("code", [C.CMD_STOP, C.CMD_OUT_OF_SERVICE])
def test_R15_they_outlive_a_restart_and_end_by_a_local_start(code: int) -> None:
    r = rig()
    ask(r, code)
    after = Rig(config(rows=(TRIP,), slots=(Slot(operator=True), Slot())), journal=r.h.journal())
    after.tick(60)
    assert (after.state["mode"], after.power_w) == (M.MODE_STOPPED if code == C.CMD_STOP else M.MODE_OUT_OF_SERVICE, 0)
    ask(after, C.CMD_RESET)
    after.tick(60)
    assert after.state["mode"] != M.MODE_RUN
    ask(after, C.CMD_START)
    after.tick(60)
    assert after.state["mode"] == M.MODE_RUN


@pytest.mark.parametrize("code", [C.CMD_START, C.CMD_RESET])
@pytest.mark.parametrize("local", [True, False])
def test_R15_set_points_left_to_others_are_ours_again_when_the_journal_holds_it(code: int, local: bool) -> None:
    """R11: released before the disk had it, a set point we had yielded was written again by a start that a power cut then forgot."""
    r = rig()
    r.h.command(7, code, local=local)
    r.tick()
    released = [r.h.out["release"]]
    r.tick(20)
    released.append(r.h.out["release"])
    r.disk()
    r.tick()
    released.append(r.h.out["release"])
    r.tick()
    assert released == [0, 0, int(local)]
    assert r.h.out["release"] == 0, "for one tick"
