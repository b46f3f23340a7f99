"""A plan that disconnects the plant (2030.5 opModConnect false): R13's order, whoever asks, and back by the normal start.

Scenario it was written for: a utility disconnects a site for an hour of line work while a contract's plan forces power, and falls silent.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl_core import layout as L
from tests.core.rig import FOREVER, PLANT, Q, Rig, Row, S, Slot, config

A, B, E, F = L.Action, L.BindKind, L.EventCode, L.PlanFault
OFF, RUNNING, STANDBY = 0, 3, 7
DISCONNECTED, INITIALIZING, CONNECTED = 1, 2, 3
STOP, RUN, REST = 0, 1, 2
CLOSED, OPENING, OPEN, CLOSING, GAVE_UP = range(1, 6)
GRID, CONTRACT, MARKET = range(3)
BOTH = L.Direction.DIR_BOTH
UTILITY, WORKER = 0, 1

FIRE = Row(Q.Q_INPUT_0, 1, 0, unit=PLANT, action=A.ACT_OPEN, reset=L.ResetRule.RESET_LOCAL, blind=L.BlindRule.BLIND_TRIPS, max_age_s=0.3)


def plant(*, klass: int = GRID, opens: bool | tuple[bool, ...] = True, units: int = 1, rows: tuple[Row, ...] = ()) -> Rig:
    """At 100 kW by a market target, with a utility beside it."""
    c = config(units, rows, (Slot(klass=klass, priority=1), Slot(klass=MARKET, priority=9, may_force=BOTH)), has_meter=1)
    c["unit_opens"][0, :units] = opens
    r = Rig(c)
    r.meter(0.0)
    for unit in range(units):
        r.set(Q.Q_BMS_STATE, CONNECTED, unit)
        r.set(Q.Q_DC_V, 768.0, unit)
    r.set(Q.Q_INPUT_0, 0, place=PLANT)
    r.offer(WORKER, {"target_w": 100e3})
    r.run()
    r.tick(20)
    assert r.power_w == pytest.approx(100e3)
    return r


def order(r: Rig, unit: int = 0) -> tuple[int, int, int]:
    return r.h.out["cmd_run"][unit], r.h.out["cmd_open"][unit], r.h.out["cmd_close"][unit]


def comes_to_rest(r: Rig, unit: int = 0) -> None:
    """PCS off, current gone."""
    for quantity, value in ((Q.Q_PCS_STATE, OFF), (Q.Q_PACK_A, 0.5), (Q.Q_DC_A, 0.5)):
        r.set(quantity, value, unit)
    r.tick(2)


def opened(r: Rig) -> None:
    comes_to_rest(r)
    r.set(Q.Q_BMS_STATE, DISCONNECTED)
    r.set(Q.Q_DC_V, 0.0)
    r.tick(2)


# slot class, who asks beside: whoever asks, power is gone in the same tick
WHO: list[tuple[int, dict[str, Any]]] = [
    (GRID, {}),
    (CONTRACT, {}),
    (MARKET, {}),
    (MARKET, {"target_w": 50e3}),
    (GRID, {"energize": 1}),
    (GRID, {"energize": 0}),
]


@pytest.mark.parametrize(("klass", "beside"), WHO)
def test_power_is_gone_in_the_tick_of_the_plan_whoever_asks(klass: int, beside: dict[str, Any]) -> None:
    r = plant(klass=klass)
    r.offer(UTILITY, {"connect": 0, **beside})
    r.tick()
    assert (r.power_w, order(r)) == (0, (STOP, 0, 0)), "power and PCS first, the contactors are still closed"
    assert r.side("hi") == r.side("lo") == (0, B.BIND_OPEN, UTILITY)
    assert (r.state["connect_slot"], r.state["connect_bind"], r.state["unit_disconnect"][0]) == (UTILITY, B.BIND_SLOT, B.BIND_OPEN)


@pytest.mark.parametrize("beside", [{}, {"connect": 1}])
def test_connect_1_and_no_statement_take_nothing_away(beside: dict[str, Any]) -> None:
    r = plant()
    r.offer(UTILITY, {"ess_hi_w": 150e3, **beside})
    r.tick(5)
    assert r.power_w == pytest.approx(100e3)
    assert (order(r), r.state["connect_slot"]) == ((RUN, 0, 0), -1)


def test_the_order_of_r13_and_the_way_back() -> None:
    r = plant()
    end = r.now_ns + 60 * S
    r.offer(UTILITY, {"connect": 0, "end_ns": end})
    r.set(Q.Q_PACK_A, 130.0)
    r.set(Q.Q_DC_A, 130.0)
    r.tick(50)
    assert order(r) == (STOP, 0, 0), "the PCS runs and the current flows"
    assert r.state["connect_until_ns"] == r.state["hi_until_ns"] == end
    comes_to_rest(r)
    assert order(r) == (STOP, 1, 0)
    opened(r)
    assert r.state["unit_contactor"][0] == OPEN
    r.tick(1, end - r.now_ns + 1)
    assert (order(r), r.power_w) == ((REST, 0, 1), 0), "the statement is over: the battery first"
    r.set(Q.Q_PCS_STATE, STANDBY)
    r.set(Q.Q_BMS_STATE, CONNECTED)
    r.set(Q.Q_DC_V, 600.0)
    r.tick(30)
    assert (order(r)[0], r.power_w) == (REST, 0), "connected, and not yet precharged"
    r.set(Q.Q_DC_V, 760.0)
    r.tick(2)
    assert order(r) == (RUN, 0, 0)
    r.set(Q.Q_PCS_STATE, RUNNING)
    r.tick(50)
    assert r.power_w == pytest.approx(100e3)
    assert r.state["connect_slot"] == -1
    assert [(event["detail"], event["slot"], event["value"], event["limit"]) for event in r.events(E.EV_CONNECT)] == [
        (1, UTILITY, 1, 1), (0, UTILITY, 1, 1),
    ]  # fmt: skip


def test_after_its_time_it_opens_whatever_flows() -> None:
    r = plant()
    r.offer(UTILITY, {"connect": 0})
    r.set(Q.Q_PACK_A, 130.0)
    r.set(Q.Q_DC_A, 130.0)
    r.tick(200)
    assert order(r) == (STOP, 0, 0)
    r.tick(1)
    assert order(r) == (STOP, 1, 0)


def test_tries_to_connect_again_are_bounded() -> None:
    r = plant()
    r.offer(UTILITY, {"connect": 0, "end_ns": r.now_ns + S})
    opened(r)
    r.tick(3300)
    assert (order(r), r.state["unit_contactor"][0], bool(r.state["flags"] & L.Flag.FLAG_CONTACTOR)) == ((REST, 0, 0), GAVE_UP, True)
    assert len([event for event in r.events(E.EV_CONTACTOR) if event["detail"] == CLOSING]) == 3
    r.offer(UTILITY, {"connect": 0, "end_ns": r.now_ns + S}, serial=2)
    r.tick(500)
    assert (order(r)[2], r.state["unit_contactor"][0]) == (0, GAVE_UP), "the end of a plan is no operator"


def test_what_opened_by_itself_is_not_closed_by_the_end_of_a_plan() -> None:
    r = plant()
    r.set(Q.Q_BMS_STATE, DISCONNECTED)
    r.tick(5)
    r.offer(UTILITY, {"connect": 0, "end_ns": r.now_ns + 4 * S})
    r.tick(210)
    assert order(r)[1] == 1
    r.tick(300)
    assert (order(r), r.power_w) == ((REST, 0, 0), 0)


def test_begin_and_end_are_told_with_whose_plan_it_is_and_how_many_contactors_are_ours() -> None:
    r = plant(units=2, opens=(True, False))
    r.seen.clear()
    r.offer(UTILITY, {"connect": 0})
    r.tick()
    began_ns = r.now_ns
    r.tick(5)
    assert (r.state["connect_since_ns"], r.state["connect_slot"]) == (began_ns, UTILITY)
    r.offer(UTILITY, {}, serial=2)
    r.tick(2)
    assert r.state["connect_since_ns"] == 0
    told = [(e["place"], e["row"], e["slot"], e["level"], e["detail"], e["value"], e["limit"]) for e in r.events(E.EV_CONNECT)]
    assert told == [(-1, -1, UTILITY, 1, 1, 1, 2), (-1, -1, UTILITY, 0, 0, 1, 2)]


def test_what_a_plan_opened_is_closed_by_the_end_of_the_next_one() -> None:
    """A stop of the operator lies between them, in which nothing closes; the plant is started while the second one stands."""
    r = plant()
    r.offer(UTILITY, {"connect": 0})
    opened(r)
    r.local(L.CommandCode.CMD_STOP)
    r.tick(5)
    r.offer(UTILITY, {}, serial=2)
    r.tick(5)
    assert order(r)[1:] == (0, 0)
    r.offer(UTILITY, {"connect": 0}, serial=3)
    r.local(L.CommandCode.CMD_START)
    r.tick(2)
    r.disk()
    r.tick(50)
    assert (r.state["mode"], r.state["unit_contactor"][0]) == (L.Mode.MODE_RUN, OPEN)
    r.offer(UTILITY, {}, serial=4)
    r.tick(5)
    assert order(r)[1:] == (0, 1)


def test_what_a_row_opened_stays_open_when_the_plan_ends() -> None:
    r = plant(rows=(FIRE,))
    r.offer(UTILITY, {"connect": 0, "end_ns": r.now_ns + S})
    r.tick(5)
    r.set(Q.Q_INPUT_0, 1, place=PLANT)
    opened(r)
    r.set(Q.Q_INPUT_0, 0, place=PLANT)
    r.tick(300)
    assert (order(r), r.power_w) == ((STOP, 1, 0), 0), "the fire asks until it is reset"


def test_a_row_that_opened_hands_over_to_a_plan_and_the_reset_closes_only_after_it() -> None:
    r = plant(rows=(FIRE,))
    r.set(Q.Q_INPUT_0, 1, place=PLANT)
    r.tick(2)
    r.offer(UTILITY, {"connect": 0, "end_ns": r.now_ns + 20 * S})
    opened(r)
    r.set(Q.Q_INPUT_0, 0, place=PLANT)
    r.tick(2)
    r.local(L.CommandCode.CMD_RESET)
    r.tick()
    r.disk()
    r.tick(100)
    assert order(r)[1:] == (1, 0)
    r.tick(1, 20 * S)
    r.tick(50)
    assert order(r)[1:] == (0, 1)


def test_where_no_contactor_is_ours_the_unit_ceases_to_energise() -> None:
    r = plant(opens=False)
    r.offer(UTILITY, {"connect": 0})
    r.tick()
    assert (r.power_w, order(r), r.side("hi")) == (0, (REST, 0, 0), (0, B.BIND_CEASE, UTILITY))
    assert (r.state["unit_disconnect"][0], r.events(E.EV_CONNECT)[0]["value"]) == (B.BIND_CEASE, 0)
    r.offer(UTILITY, {"connect": 1}, serial=2)
    r.tick(30)
    assert r.power_w == pytest.approx(100e3)
    assert order(r) == (RUN, 0, 0)


def test_units_with_and_without_contactors_of_ours() -> None:
    r = plant(units=2, opens=(True, False))
    r.offer(UTILITY, {"connect": 0})
    r.tick()
    assert (order(r, 0)[0], order(r, 1)[0], r.power_w) == (STOP, REST, 0)
    assert list(r.state["unit_disconnect"][:2]) == [B.BIND_OPEN, B.BIND_CEASE]


def test_no_other_source_forces_power_through_it() -> None:
    """A better class that forces power goes without: what is disconnected gives nothing, and the rest is told (R3)."""
    r = Rig(config(1, (), (Slot(klass=GRID, priority=1, may_force=BOTH), Slot(klass=MARKET, priority=9)), has_meter=1))
    r.meter(0.0)
    r.offer(0, {"pcc_lo_w": 80e3})
    r.run()
    r.tick(20)
    assert r.power_w == pytest.approx(80e3, abs=2)
    r.offer(1, {"connect": 0})
    r.tick()
    assert (r.power_w, r.state["unmet_slot"], order(r)[0]) == (0, 0, REST)


def test_the_best_class_then_the_first_priority_names_the_binding() -> None:
    slots = (Slot(klass=MARKET, priority=1), Slot(klass=GRID, priority=8), Slot(klass=GRID, priority=7))
    r = Rig(config(slots=slots)).run()
    seen = []
    for slot in range(3):
        r.offer(slot, {"connect": 0})
        r.tick()
        seen.append(r.state["connect_slot"])
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("rule", [L.LapseRule.LAPSE_FALLBACK, L.LapseRule.LAPSE_HOLD, L.LapseRule.LAPSE_ZERO])
@pytest.mark.parametrize("klass", [GRID, CONTRACT])
def test_a_lapse_does_not_connect_what_a_binding_source_disconnected(klass: int, rule: int) -> None:
    r = plant(klass=klass)
    end = r.now_ns + 2 * S
    r.offer(UTILITY, {"connect": 0}, lapse=rule, lease_until_ns=end, fallback=({"ess_hi_w": 100e3},))
    opened(r)
    r.tick(1, end - r.now_ns + S)
    r.tick(30)
    assert (r.power_w, order(r)[1:], r.state["connect_bind"]) == (0, (1, 0), B.BIND_FALLBACK)


@pytest.mark.parametrize(("block", "fault"), [({"connect": 2}, F.PLAN_KIND), ({"connect": 77}, F.PLAN_KIND), ({"connect": 0}, F.PLAN_OK)])
def test_an_unknown_code_is_refused(block: dict[str, Any], fault: int) -> None:
    r = plant()
    r.offer(UTILITY, block)
    r.tick()
    assert (r.state["slot_fault"][UTILITY], r.power_w == 0) == (fault, fault == F.PLAN_OK)


WORDS = st.fixed_dictionaries(
    {},
    optional={
        "connect": st.integers(0, 1), "energize": st.integers(0, 1), "target_w": st.floats(-3e5, 3e5), "ess_hi_w": st.floats(0, 3e5),
        "ess_lo_w": st.floats(-3e5, 0), "pcc_lo_w": st.floats(-3e5, 3e5), "rate_w_per_s": st.sampled_from((1e3, 1e9)),
    },
)  # fmt: skip
EACH = st.tuples(st.integers(0, 2), WORDS, st.integers(1, 40))


@settings(deadline=None, max_examples=60)
@given(st.lists(EACH, min_size=1, max_size=12), st.booleans())
def test_never_power_while_a_plan_disconnects_and_toward_0_at_once(plans: list[tuple[int, dict[str, Any], int]], opens: bool) -> None:
    """Whatever three sources of three classes say, forcing and ramping included."""
    slots = tuple(Slot(klass=klass, priority=klass, may_force=BOTH) for klass in range(3))
    c = config(2, (), slots, has_meter=1)
    c["unit_opens"][0, :2] = opens
    r = Rig(c)
    r.meter(20e3)
    for unit in range(2):
        r.set(Q.Q_BMS_STATE, CONNECTED, unit)
        r.set(Q.Q_DC_V, 768.0, unit)
    r.run()
    says: dict[int, int] = {}
    for serial, (slot, block, ticks) in enumerate(plans, 1):
        r.offer(slot, {**block, "start_ns": 0, "end_ns": FOREVER}, serial=serial)
        says[slot] = block.get("connect", 1)
        for _ in range(ticks):
            r.tick()
            if 0 in says.values():
                assert not any(r.h.out["cmd_raw"][:2]), (says, r.h.out["cmd_w"])
                assert set(r.h.out["cmd_run"][:2]) == {STOP if opens else REST}
                assert says[r.state["connect_slot"]] == 0
            else:
                assert r.state["connect_slot"] == -1
