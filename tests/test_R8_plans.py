"""R8: until the wall clock is trusted a persisted series rules as its most restrictive value, fallback included; targets do not return.

Scenario it was written for: a controller without a battery behind its clock comes back from a power cut at "1970"; the schedule in its
database lets 200 kW flow at night and 20 kW by day, and nobody knows which of the two it is. All bindings write through SourceWriter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from bessctl.corelink.words import Site
from bessctl.corelink.writer import Slot, SourceWriter
from bessctl.errors import PlanRefused
from bessctl.model.plan import FOREVER_NS, Block, Lapse, Plan, Scope
from bessctl.plan.undated import undated
from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, START_NS, Rig, S, config
from tests.core.rig import Slot as Sealed
from tests.properties.test_merge import interval, series, within

NONE = Block(0, 0)
NIGHT, DAY = Block(0, 10 * S, ess_lo_w=-200e3, ess_hi_w=200e3), Block(10 * S, 20 * S, ess_lo_w=-20e3, ess_hi_w=50e3)

# live, fallback, sealed default -> what rules: ess lo, hi, pcc lo, hi
TABLE: list[tuple[str, tuple[Block, ...], tuple[Block, ...], Block, tuple[float | None, ...]]] = [
    ("the tightest block", (NIGHT, DAY), (), NONE, (-20e3, 50e3, None, None)),
    ("fallback included", (NIGHT,), (Block(0, 1, ess_hi_w=5e3),), NONE, (-200e3, 5e3, None, None)),
    ("and the sealed default, which speaks in gaps", (NIGHT,), (), Block(0, 0, ess_lo_w=-1e3, pcc_hi_w=7e3), (-1e3, 200e3, None, 7e3)),
    ("both scopes", (Block(0, 1, pcc_lo_w=-9e3, pcc_hi_w=8e3), Block(1, 2, pcc_lo_w=-5e3)), (), NONE, (None, None, -5e3, 8e3)),
    ("limits that exclude each other", (Block(0, 1, pcc_lo_w=5e3), Block(1, 2, pcc_hi_w=3e3)), (), NONE, (None, None, 3e3, 3e3)),
    ("the same below 0", (Block(0, 1, pcc_lo_w=-3e3), Block(1, 2, pcc_hi_w=-5e3)), (), NONE, (None, None, -3e3, -3e3)),
    ("and around 0", (Block(0, 1, pcc_lo_w=3e3), Block(1, 2, pcc_hi_w=-5e3)), (), NONE, (None, None, 0.0, 0.0)),
]  # fmt: skip


@pytest.mark.parametrize(("live", "fallback", "default", "rules"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_R8_the_most_restrictive_value_of_a_series_rules(
    live: tuple[Block, ...], fallback: tuple[Block, ...], default: Block, rules: tuple[float | None, ...]
) -> None:
    plan = undated(Plan(99, live, fallback, Lapse.HOLD), default, 7)
    assert plan.blocks == plan.fallback
    (block,) = plan.blocks
    assert (block.ess_lo_w, block.ess_hi_w, block.pcc_lo_w, block.pcc_hi_w) == rules
    assert (block.start_ns, block.end_ns, plan.lease_until_ns, plan.lapse) == (7, FOREVER_NS, 99, Lapse.HOLD)


def test_R8_targets_do_not_return_and_what_stops_does() -> None:
    blocks = (Block(0, 1, target_w=50e3, target_scope=Scope.PCC), Block(1, 2, energize=False, rate_w_per_s=5.0), Block(2, 3, connect=False))
    (block,) = undated(Plan(9, blocks), NONE, 0).blocks
    assert (block.target_w, block.energize, block.connect, block.rate_w_per_s) == (None, False, False, 5.0)


@settings(deadline=None, max_examples=50)
@given(live=series(), fallback=series())
def test_R8_nothing_is_ever_wider_than_any_block(live: list[Block], fallback: list[Block]) -> None:
    found = undated(Plan(9, tuple(live), tuple(fallback)), NONE, 0).blocks
    assert bool(found) == bool(live or fallback)
    for block in found:
        assert block.target_w is None
        assert not block.q_kind
        for was in (*live, *fallback):
            assert within(interval(block.ess_lo_w, block.ess_hi_w), interval(was.ess_lo_w, was.ess_hi_w))
            assert block.energize is False or was.energize is not False
            assert block.connect is False or was.connect is not False


# --- the one place that all bindings pass -------------------------------------------------------------------------------------------------


class Port:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.live: list[Any] = []
        self.fallback: list[Any] = []

    def fault(self, *_: object) -> int:
        return 0

    def write(self, slot: int, lease: int, lapse: int, live: list[Any], fallback: list[Any]) -> int:
        self.live, self.fallback = live, fallback
        return 1


class Sites:
    defaults = ((None, None, None, None),)
    max_lease_ns = (10**12,)
    config = None


def writer(port: Port, trusted: bool) -> SourceWriter:
    site: Site = Sites()  # type: ignore[assignment]
    return SourceWriter("x", lambda: Slot("x", 0, site, port), lambda: trusted)  # type: ignore[arg-type]


@pytest.mark.parametrize(("trusted", "dated", "blocks", "target"), [
    (False, True, 1, None), (True, True, 2, 10e3), (False, False, 2, 10e3), (True, False, 2, 10e3),
])  # fmt: skip
def test_R8_the_writer_of_every_binding_applies_it(trusted: bool, dated: bool, blocks: int, target: float | None) -> None:
    port = Port()
    plan = Plan(10**11, (Block(0, 5, ess_hi_w=9e3, target_w=10e3), Block(5, 9, ess_hi_w=3e3)), dated=dated)
    writer(port, trusted).write(plan)
    assert (len(port.live), port.live[0][6]) == (blocks, target)
    assert port.live[0][3] == (3e3 if blocks == 1 else 9e3)


def test_R8_a_plan_is_dated_unless_its_source_says_otherwise() -> None:
    """A new binding that forgets R8 is held by it; those that do without say so, each in its one place."""
    assert Plan(0).dated
    root = Path(__file__).parent.parent / "bessctl"
    said = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if all(word in path.read_text() for word in ("dated=False", "bessctl.model.plan"))
    }
    assert said == {
        "app/desk.py", "hil/wishes.py", *(f"protocols/{name}/binding/plans.py" for name in ("ocpp", "oscp", "sep2")),
    }  # fmt: skip


def test_R8_what_the_writer_refuses_it_refuses_without_a_date_too() -> None:
    class Refusing(Port):
        def fault(self, *_: object) -> int:
            return int(L.PlanFault.PLAN_SCOPE)

    with pytest.raises(PlanRefused):
        writer(Refusing(), False).write(Plan(9, (Block(0, 1, target_w=1.0),)))


# --- the loop -----------------------------------------------------------------------------------------------------------------------------


def test_R8_a_warm_restart_of_the_loop_with_its_segment_gone_returns_no_target() -> None:
    """The step keeps no plan: the slot is empty, its sealed default rules, and power goes to 0 from what was measured."""
    slots = (Sealed(klass=0, required=True, default={"ess_hi_w": 30e3, "ess_lo_w": -30e3}),)
    r = Rig(config(slots=slots)).run()
    r.offer(0, {"target_w": 25e3, "ess_hi_w": 200e3})
    r.tick(50)
    assert r.power_w == 25e3
    again = Rig(config(slots=slots), now_ns=r.now_ns + S // 2, journal=r.h.journal(), warm=True, clock_trusted=False)
    again.values.update(r.values)
    again.tick(30)
    assert (again.state["target_slot"], again.state["slot_serial"][0], again.side("hi")) == (-1, 0, (30e3, L.BindKind.BIND_DEFAULT, 0))
    again.tick(50)
    assert again.power_w == 0


@pytest.mark.parametrize("trusted", [False, True])
def test_R8_a_plan_of_before_the_boot_is_none_whatever_the_clock(trusted: bool) -> None:
    r = Rig(config(slots=(Sealed(),)), boot_id=(1, 3), clock_trusted=trusted).run()
    r.offer(0, {"target_w": 50e3})
    r.tick(20)
    assert (r.power_w, r.state["slot_fault"][0]) == (0, L.PlanFault.PLAN_BOOT)
    assert START_NS > PERIOD_NS
