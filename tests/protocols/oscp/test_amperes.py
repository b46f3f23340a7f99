"""Row 13 through the real step: where amperes are limited, reactive power yields before active power (OSCP-4).

A unit of 200 kVA; 400 A at 230 V are 276 kVA and bind nobody, 100 A are 69 kVA.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

import pytest

from bessctl.model.plan import Block, Plan
from bessctl.protocols.oscp.config import GroupConfig, Scope
from bessctl.protocols.oscp.session.clock import NS
from bessctl_core import layout as L
from tests.core.rig import START_NS, Rig, Slot, config
from tests.protocols.oscp.rig import PLANT, UNIT
from tests.protocols.oscp.sansio import CP, Talk
from tests.protocols.oscp.test_fallback_tick import words

OSCP, UTILITY, MANUAL = 0, 1, 2
ESS, REACTIVE = (1 << scope for scope in (L.ScopeKind.SCOPE_ESS, L.ScopeKind.SCOPE_REACTIVE))
VAR = {"q_kind": int(L.QControl.QC_VAR)}
RATED_VA = 200_000.0
S_100_A = 3 * 100 * 230.0


def q_words(block: Block) -> dict[str, Any]:
    return words(block) | {"q_kind": int(block.q_kind), "q_value": block.q_value}


class Stage:
    """The provider before the real step: it sees what the step gives, and a second source asks for reactive power."""

    def __init__(self, *, utility: int = 5, permitted: bool = True) -> None:
        scopes = ESS | REACTIVE if permitted else ESS
        slots = (
            Slot(L.SlotClass.CLASS_GRID, 1, scopes, 7200, default={"ess_lo_w": -1000.0, "ess_hi_w": 1000.0}, required=True),
            Slot(L.SlotClass.CLASS_GRID, utility, ESS | REACTIVE, 7200),
            Slot(priority=9, max_lease_s=7200),
        )
        self.rig = Rig(config(slots=slots)).run()
        reactive_va = {"oscp": RATED_VA} if permitted else {}
        self.talk = Talk(CP, groups=(GroupConfig("feeder-7", "oscp", Scope.ESS),), reactive_va=reactive_va)
        self.talk.later((self.rig.now_ns - self.talk.now.mono_ns) / NS)
        self.rig.offer(UTILITY, VAR | {"q_value": 60e3}, lease_until_ns=START_NS + 7000 * NS)
        self.rig.offer(MANUAL, {"target_w": -150_000.0}, lease_until_ns=START_NS + 7000 * NS)
        self.rig.tick(5)
        self._serial = 0

    def forecast(self, amperes: float, fallback: float | None = None) -> None:
        self.talk.online(60)
        kinds = {"CONSUMPTION": amperes, "FALLBACK_CONSUMPTION": amperes if fallback is None else fallback}
        for kind, value in kinds.items():
            assert self.talk.forecast(kind, (value, 0, 3600), unit="A") == 204
        assert self.talk.forecast("GENERATION", (-150_000, 0, 3600)) == 204
        assert self.talk.beat(60) == 204

    def look(self, ticks: int = 5) -> Plan:
        """The provider looks at the plant and writes its plan; then the step ticks."""
        var = self.given_var
        unit = replace(UNIT, ac_v=230.0, ac_var=var)
        self.talk.voices._measured.look(replace(PLANT, units=(unit,)))
        self._serial += 1
        plan: Plan = self.talk.plan()
        live, fallback = ([q_words(b) for b in series] for series in (plan.blocks, plan.fallback))
        self.rig.offer(OSCP, *live, fallback=tuple(fallback), lease_until_ns=plan.lease_until_ns, serial=self._serial)
        self.rig.tick(ticks)
        assert self.rig.state["slot_fault"][OSCP] == 0
        return plan

    @property
    def given_var(self) -> float:
        return float(self.rig.h.out["cmd_var"][0])


def test_reactive_power_yields_and_active_power_gets_all_of_the_current() -> None:
    """60 kvar leave 34 kW of 69 kVA; they are told to go, and the next look gives active power the whole current."""
    stage = Stage()
    assert stage.given_var == 60_000
    stage.forecast(100)
    stage.look()
    assert stage.given_var == 0
    assert stage.rig.power_w == pytest.approx(-sqrt(S_100_A**2 - 60_500**2), abs=1), "while it flows it counts"
    stage.look()
    assert stage.given_var == 0
    assert stage.rig.power_w == pytest.approx(-S_100_A, abs=1)
    assert stage.rig.state["reactive_slot"] == OSCP


def test_a_current_beyond_the_plant_leaves_reactive_power_where_it_is() -> None:
    """The narrowest that suffices: 400 A are more than the plant has, nobody's reactive power is in the way."""
    stage = Stage()
    stage.forecast(400)
    stage.look()
    assert (stage.given_var, stage.rig.state["reactive_slot"]) == (60_000, UTILITY)


@pytest.mark.parametrize(("utility", "permitted"), [(0, True), (5, False)])
def test_a_better_source_or_a_missing_permission_keeps_reactive_power_and_active_power_gives_way(utility: int, permitted: bool) -> None:
    """The design's priorities: the lowest number rules on reactive power. What flows then is counted, as before."""
    stage = Stage(utility=utility, permitted=permitted)
    stage.forecast(100)
    for _ in range(3):
        stage.look()
    assert (stage.given_var, stage.rig.state["reactive_slot"]) == (60_000, UTILITY)
    assert stage.rig.power_w == pytest.approx(-sqrt(S_100_A**2 - 60_500**2), abs=1)


@pytest.mark.parametrize("fallback", [50, 400])
def test_it_stays_away_after_the_lease_too(fallback: float) -> None:
    """The loop alone: the fallback's watts were counted without reactive power, so the fallback series says so itself."""
    stage = Stage()
    stage.forecast(100, fallback)
    stage.look()
    plan = stage.look()
    while stage.rig.now_ns < plan.lease_until_ns:
        stage.rig.tick(100, period_ns=10_000_000)
    stage.rig.tick(5)
    assert stage.rig.side("lo")[1:] == (L.BindKind.BIND_FALLBACK, OSCP)
    assert stage.given_var == 0
    assert stage.rig.power_w == pytest.approx(-min(fallback, 100) * 690, abs=1)
