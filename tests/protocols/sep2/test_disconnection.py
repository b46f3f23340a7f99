"""opModConnect false from the utility's XML to the contactors of the simulated BMS and back, in invented time (SEP2-10, R13).

Server, client, plan, the real step, drivers and Modbus; what the contactors then are goes back to the server as DERStatus.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bessctl.config.seal import seal
from bessctl.corelink.dry import DryPlant
from bessctl.corelink.view import snapshot
from bessctl.protocols.sep2.binding.plans import same
from bessctl.protocols.sep2.binding.readings import reading_of
from tests.protocols.sep2.rig import S, World
from tests.scenarios.loop_rig import found_devices, plant_server
from tests.sites import changed_example

SLOT = """  - name: sep2
    class: grid
    priority: 5
    scopes: [ess]
    lease_max_s: 86400

# What protects"""
OPEN_S, CLOSED_S = 30, 40


class Chain:
    """A utility's server at one end, a battery at the other."""

    def __init__(self) -> None:
        self.server = plant_server(port=None)
        self.dry = DryPlant(seal(changed_example(("# What protects", SLOT)), found_devices()).content, self.server, [0])
        self.loop = self.dry.loop
        self.loop.start()
        self.loop.run(self.loop.now_ns + 4 * S)
        self.world = World(opens=self.dry.site.opens)
        self.world.tree.rates = dict.fromkeys(self.world.tree.rates, 2)
        self.zero_ns = self.world.now_ns = self.loop.now_ns
        self._written: Any = None

    def at(self, second: float) -> int:
        """Server second so far into the story."""
        return round(self.world.server_s() - (self.world.now_ns - self.zero_ns) / S + second)

    def second(self, *, write: bool = True) -> None:
        """Of both: the client looks at the plant and writes what is new, then the loop runs."""
        state = {**self.loop.state, "unit_curve": [0] * 3, "slot_q_kind": [0] * 16}  # what the loop in invented time does not show
        self.world.reading = reading_of(snapshot(self.dry.site, state), "sep2")
        self.world.run(1.0)
        plan = self.world.plan(lease_s=80_000) if self.world.client.schedule(self.world.now_ns) else None
        if write and plan is not None and (self._written is None or not same(plan, self._written, self.world.now_ns)):
            assert self.dry.write("sep2", plan) == ""
            self._written = plan
        self.loop.run(self.world.now_ns)

    def until(self, second: float, *, write: bool = True) -> None:
        while self.world.now_ns < self.zero_ns + second * S:
            self.second(write=write)

    def seconds_until(self, holds: Callable[[dict[str, Any]], bool]) -> int:
        """How many seconds until the simulated plant is so."""
        for count in range(30):
            if holds(self.plant):
                return count
            self.second()
        raise AssertionError(self.plant)

    @property
    def plant(self) -> dict[str, Any]:
        return self.server.plants[0].get()

    def told(self) -> list[str]:
        """The connect statuses in the last DERStatus."""
        return re.findall(r"<value>(\w+)</value></(?:gen|stor)ConnectStatus>", self.world.tree.put["/edev/1/der/1/ders"].decode())


def story() -> Chain:
    chain = Chain()
    assert chain.dry.site.opens, "the example's BMS takes orders and says how it is"
    chain.world.tree.program("work", 1)
    chain.world.tree.program("energy", 2)
    chain.world.tree.event("energy", "E1", chain.at(0), 3600, target_w=50_000)
    chain.world.tree.event("work", "C0", chain.at(OPEN_S), CLOSED_S - OPEN_S, connect=False)
    chain.until(OPEN_S - 3)
    assert (chain.plant["contactor"], chain.told()) == (True, ["07", "07"])
    assert abs(chain.plant["ess_w"] - 50_000) < 500
    return chain


def test_the_contactors_open_behind_the_pcs_are_told_and_close_before_it() -> None:
    chain = story()
    chain.until(OPEN_S + 1)
    assert chain.seconds_until(lambda plant: not plant["contactor"]) <= 5
    assert (abs(chain.plant["ess_w"]) < 500, chain.plant["order_w"]) == (True, 0.0)
    chain.until(CLOSED_S - 1)
    assert not chain.plant["contactor"], "open to the event's end"
    assert chain.told() == ["02", "02"], "available, not connected"
    chain.until(CLOSED_S + 1)
    assert chain.seconds_until(lambda plant: plant["contactor"]) <= 10
    chain.seconds_until(lambda plant: abs(plant["ess_w"] - 50_000) < 500)
    chain.second()
    chain.second()
    assert chain.told() == ["07", "07"]
    assert [code for mrid, code in chain.world.tree.responses() if mrid == "C0"] == [1, 2, 3]


def test_they_open_and_close_by_the_loops_clock_with_nobody_there() -> None:
    """The supervisor wrote its plan before and is gone."""
    chain = story()
    chain.until(OPEN_S + 8, write=False)
    assert not chain.plant["contactor"]
    chain.until(CLOSED_S + 15, write=False)
    assert chain.plant["contactor"]
    assert abs(chain.plant["ess_w"] - 50_000) < 500
