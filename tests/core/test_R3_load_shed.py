"""R3: a limit that the batteries cannot meet drives an output that sheds load.

Scenario it was written for: Sunday evening, the battery is empty and 160 kW of vehicles stand behind a 100 kW connection; the
charging row's contactor opens after 5 s, and closes a minute after the load fell.
"""

from __future__ import annotations

from typing import Any

import pytest

from bessctl_core import layout as L
from tests.core.rig import PLANT, Q, Rig, S, Slot, config

OFF, ON, UNKNOWN = 0, 1, 2
BOTH = L.Direction.DIR_BOTH
AFTER_S, RELEASE_S = 5, 60
SHED = {"shed_on_ns": AFTER_S * S, "shed_off_ns": RELEASE_S * S, "shed_margin_w": 2e3}


def rig(*slots: Slot, load_w: float = 50e3, settled: bool = True, **site: Any) -> Rig:
    """Behind a connection of 100 kW; by default the time after which "off" is known has passed."""
    r = Rig(config(slots=slots or (Slot(),), has_meter=1, **{"pcc_import_max_w": 100e3, "load_max_w": 0.0, **SHED, **site}))
    r.meter(load_w)
    r.run()
    if settled:
        r.tick(RELEASE_S * 2, S // 2)
        assert r.h.out["shed"] == OFF
    return r


def seconds(r: Rig, s: float) -> int:
    """What is ordered after so long, at 10 Hz."""
    r.tick(round(s * 10), S // 10)
    return int(r.h.out["shed"])


def overload(r: Rig) -> None:
    r.load_w = 160e3


def unmet(r: Rig) -> None:
    """A forced limit that the battery cannot give."""
    r.set(Q.Q_BMS_DIS_MAX_A, 50e3 / 600)
    r.offer(0, {"pcc_lo_w": 150e3})


def silent(r: Rig) -> None:
    r.freeze(Q.Q_PCC_W, place=PLANT)


def exports(r: Rig) -> None:
    r.load_w = -80e3
    r.offer(0, {"pcc_hi_w": 60e3})


def covered(r: Rig) -> None:
    r.load_w = 160e3
    r.offer(0, {"pcc_lo_w": -50e3})


def nearly(r: Rig) -> None:
    r.load_w = 101.9e3


CAUSES = [
    ("the connection's rating", (), overload),
    ("a limit of the grid that may not force", (Slot(klass=0),), lambda r: r.offer(0, {"pcc_lo_w": -40e3})),
    ("a limit of a contract to export", (Slot(klass=1),), exports),
    ("an unmet limit that forces", (Slot(klass=0, may_force=BOTH),), unmet),
    ("a silent meter", (), silent),
]


@pytest.mark.parametrize(("cause", "slots", "happens"), CAUSES, ids=[row[0] for row in CAUSES])
def test_R3_it_goes_on_after_its_delay_and_off_after_the_other(cause: str, slots: tuple[Slot, ...], happens: Any) -> None:
    r = rig(*slots)
    happens(r)
    age_s = 1.0 if cause == "a silent meter" else 0.0
    assert seconds(r, AFTER_S + age_s - 0.5) == OFF, "not before"
    assert seconds(r, 1.5) == ON
    assert r.state["flags"] & L.Flag.FLAG_SHED
    assert (r.state["shed"], r.events(L.EventCode.EV_SHED)[-1]["detail"]) == (ON, 1)
    r.load_w, r.frozen = 0.0, set()
    r.set(Q.Q_BMS_DIS_MAX_A, 400.0)
    r.offer(0, {}, serial=2)
    assert seconds(r, RELEASE_S - 1) == ON, "not before"
    assert seconds(r, 3) == OFF
    assert [event["detail"] for event in r.events(L.EventCode.EV_SHED)] == [0, 1, 0]


HARMLESS = [
    ("a load that the BESS covers", (Slot(klass=0, may_force=BOTH),), covered),
    ("within the margin", (), nearly),
    ("a wish of a market", (Slot(klass=2),), lambda r: r.offer(0, {"pcc_lo_w": -10e3})),
]


@pytest.mark.parametrize(("slots", "happens"), [row[1:] for row in HARMLESS], ids=[row[0] for row in HARMLESS])
def test_R3_what_sheds_nothing(slots: tuple[Slot, ...], happens: Any) -> None:
    r = rig(*slots)
    happens(r)
    assert seconds(r, 4 * AFTER_S) == OFF


def test_R3_the_delays_begin_anew_with_each_break() -> None:
    r = rig()
    for _ in range(4):
        r.load_w = 160e3
        assert seconds(r, AFTER_S - 1) == OFF
        r.load_w = 50e3
        seconds(r, 0.5)
    r.load_w = 160e3
    assert seconds(r, AFTER_S + 1) == ON
    for _ in range(3):
        r.load_w = 50e3
        assert seconds(r, RELEASE_S - 1) == ON
        r.load_w = 160e3
        seconds(r, 0.5)


def test_R3_a_start_orders_nothing_until_one_of_the_delays_has_passed() -> None:
    """A restart under overload connects no load for a moment; nor does it shed one that is well."""
    r = rig(settled=False)
    assert r.h.out["shed"] == UNKNOWN
    assert seconds(r, RELEASE_S - 2) == UNKNOWN
    assert seconds(r, 3) == OFF
    r = rig(settled=False, load_w=160e3)
    assert seconds(r, AFTER_S - 1) == UNKNOWN
    assert seconds(r, 2) == ON


def test_R3_each_phase_counts() -> None:
    """50 A of 3 x 40 A on one phase: 2.3 kW too much, with the whole well below its rating."""
    site: dict[str, Any] = {"has_meter": 1, "pcc_phase_max_a": 40.0, **SHED}
    r = Rig(config(**site))
    r.meter(9e3)
    for phase, w in enumerate((3e3, 3e3, 3e3)):
        r.set(Q.Q_PCC_L1_W + phase, -w, PLANT)
        r.set(Q.Q_PCC_L1_V + phase, 230.0, PLANT)
        r.set(Q.Q_PCC_L1_A + phase, w / 230, PLANT)
    r.run()
    assert seconds(r, RELEASE_S + 1) == OFF
    r.set(Q.Q_PCC_L1_W, -50 * 230.0, PLANT)
    r.set(Q.Q_PCC_L1_A, 50.0, PLANT)
    r.load_w = 6e3 + 50 * 230.0
    assert seconds(r, AFTER_S + 1) == ON


@pytest.mark.parametrize(("over_w", "order"), [(600.0, OFF), (700.0, ON)])
def test_R3_three_times_what_a_phase_has_too_much_is_more_than_the_margin(over_w: float, order: int) -> None:
    """The BESS, and a load that is shed, are symmetrical: 2 kW of them are 667 W of the phase."""
    site: dict[str, Any] = {"has_meter": 1, "pcc_phase_max_a": 40.0, **SHED}
    r = Rig(config(**site))
    w = 40 * 230.0 + over_w
    for phase, phase_w in enumerate((w, 0.0, 0.0)):
        r.set(Q.Q_PCC_L1_W + phase, -phase_w, PLANT)
        r.set(Q.Q_PCC_L1_V + phase, 230.0, PLANT)
        r.set(Q.Q_PCC_L1_A + phase, phase_w / 230, PLANT)
    r.meter(w)
    r.run()
    assert seconds(r, RELEASE_S + 1) == order


def test_R3_an_order_is_told_of_the_plant_with_what_is_too_much_and_how_long_it_was() -> None:
    r = rig()
    r.seen.clear()
    overload(r)
    seconds(r, AFTER_S + 1)
    r.load_w = 0.0
    seconds(r, RELEASE_S + 1)
    told = [(e["place"], e["row"], e["slot"], e["level"], e["detail"], round(e["limit"], 9)) for e in r.events(L.EventCode.EV_SHED)]
    assert told == [(-1, -1, -1, 2, ON, AFTER_S), (-1, -1, -1, 0, OFF, RELEASE_S)]
    values = [e["value"] for e in r.events(L.EventCode.EV_SHED)]
    assert (values[0], values[1] != values[1]) == (60e3, True)


def test_R3_a_site_without_the_output_orders_and_tells_nothing() -> None:
    r = rig(settled=False, load_w=160e3, shed_on_ns=0)
    assert (seconds(r, 100), r.events(L.EventCode.EV_SHED)) == (UNKNOWN, [])


def test_R3_an_output_that_does_not_acknowledge_is_loud() -> None:
    r = rig()
    r.h.set_shed_unconfirmed(True)
    r.tick()
    assert r.state["flags"] & L.Flag.FLAG_SHED_UNCONFIRMED
    assert r.events(L.EventCode.EV_FLAG)[-1]["detail"] == L.Flag.FLAG_SHED_UNCONFIRMED
