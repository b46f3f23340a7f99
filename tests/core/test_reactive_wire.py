"""Reactive power on the wire: the real step, drivers and buses against the simulated PCS, in invented time (SEP2-10, R11)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bessctl.config.seal import seal
from bessctl.corelink.dry import DryPlant, S
from bessctl.model.plan import Block, Plan, QKind
from bessctl_core.layout import BindKind
from tests.scenarios.loop_rig import found_devices, plant_server
from tests.sites import changed_example

CHANGES = (("first\n    scopes: [ess]\n    lease_max_s: 3600", "first\n    scopes: [ess, reactive]\n    lease_max_s: 3600"),)


class Wired:
    """The example site with a manual source that may ask for reactive power, and its simulated plant."""

    def __init__(self, *changes: tuple[str, str], **sections: Any) -> None:
        loaded = changed_example(*CHANGES, *changes)
        self.server = plant_server(port=None, **sections)
        self.dry = DryPlant(seal(loaded, found_devices()).content, self.server, [0])
        self.loop = self.dry.loop
        self.loop.start()
        self.run(4.0)
        assert self.loop.state["mode"] == 1

    def run(self, seconds: float) -> dict[str, Any]:
        """The published state after so long."""
        self.loop.run(self.loop.now_ns + round(seconds * S))
        return self.loop.state

    def ask(self, seconds: float = 2.0, lease_s: float = 600.0, **words: Any) -> dict[str, Any]:
        now = self.loop.now_ns
        assert self.dry.write("manual", Plan(now + round(lease_s * S), (Block(now, now + 3600 * S, **words),))) == ""
        return self.run(seconds)

    @property
    def plant(self) -> dict[str, Any]:
        return self.server.plants[0].get()


@pytest.fixture
def wired() -> Wired:
    return Wired()


def test_fixed_var_reaches_the_pcs_is_read_back_and_kept_alive(wired: Wired) -> None:
    """SEP2-10 opModFixedVar. Twice the reversion time later it still stands."""
    for var in (60e3, -45e3, 0.0):
        state = wired.ask(q_kind=QKind.VAR, q_value=var, target_w=50e3)
        assert state["command_var"] == var
        assert wired.plant["ess_var"] == pytest.approx(var, abs=300)
        assert state["ess_var"] == pytest.approx(var, abs=300)
    wired.ask(12.0, q_kind=QKind.VAR, q_value=30e3)
    assert wired.plant["ess_var"] == pytest.approx(30e3, abs=300)
    assert wired.loop.state["flags"] & 64 == 0, "confirmed"


def test_a_power_factor_follows_active_power_either_way(wired: Wired) -> None:
    tan = math.tan(math.acos(0.9))
    for w in (120e3, -80e3):
        wired.ask(3.0, q_kind=QKind.PF, q_value=0.9, q_absorb=-0.9, target_w=w)
        assert wired.plant["ess_w"] == pytest.approx(w, rel=0.01)
        assert wired.plant["ess_var"] == pytest.approx(w * tan, rel=0.02)


def test_the_lease_ends_and_the_pcs_is_given_back_its_reactive_power(wired: Wired) -> None:
    wired.ask(2.0, lease_s=4.0, q_kind=QKind.VAR, q_value=60e3)
    assert wired.plant["var_ena"] == 1
    wired.run(3.0)
    assert (wired.plant["var_ena"], wired.loop.state["reactive_kind"]) == (0, 0)
    assert wired.plant["ess_var"] == pytest.approx(0, abs=300)


def test_a_dead_loop_leaves_the_pcs_with_its_own_functions(wired: Wired) -> None:
    """R11: the set point expires by the PCS's own timer, to "not enabled"."""
    wired.ask(q_kind=QKind.VAR, q_value=60e3)
    wired.loop.kill()
    wired.run(8.0)
    assert (wired.plant["var_ena"], wired.plant["ess_var"]) == (0, pytest.approx(0, abs=300))


def test_nobody_may_ask_and_not_a_register_is_written() -> None:
    """A PCS whose reactive power somebody else holds keeps it: without the scope it is none of ours."""
    loaded = changed_example()
    server = plant_server(port=None)
    dry = DryPlant(seal(loaded, found_devices()).content, server, [0])
    dry.loop.start()
    dry.loop.run(dry.loop.now_ns + 5 * S)
    assert not [entry for entry in server.plants[0].command_log() if entry[2] == "var"]
    assert dry.loop.state["reactive_max_var"] == 0


def test_active_power_is_not_disturbed_by_reactive_power_on_the_way(wired: Wired) -> None:
    """Where apparent power is short the PCS gives way as the loop decided: priority is written with the set point."""
    state = wired.ask(4.0, q_kind=QKind.VAR, q_value=200e3, target_w=180e3)
    assert wired.plant["ess_w"] == pytest.approx(180e3, rel=0.01)
    assert wired.plant["ess_var"] == pytest.approx(state["command_var"], rel=0.02)
    first = Wired(("  min_power_w: 500 ", "  priority: reactive\n  min_power_w: 500 "))
    state = first.ask(4.0, q_kind=QKind.VAR, q_value=120e3, target_w=200e3)
    assert state["hi_bind"] == BindKind.BIND_REACTIVE
    assert first.plant["ess_var"] == pytest.approx(120e3, rel=0.01)
    assert first.plant["ess_w"] == pytest.approx(math.sqrt(210e3**2 - 120e3**2), rel=0.01)
