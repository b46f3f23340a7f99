"""The provider on real TLS sockets, with a plant and slots that exist in a test alone, and clocks that a test can turn."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bessctl.errors import NotReachable, PlanRefused
from bessctl.model.plan import Block, Plan
from bessctl.model.snapshot import Binding, Limit, PlantSnapshot, UnitSnapshot
from bessctl.protocols.oscp.binding.desk import Desk
from bessctl.protocols.oscp.binding.provider import Line, run_provider
from bessctl.protocols.oscp.config import GroupConfig, Listen, PeerConfig, ProviderConfig, Role, Scope
from bessctl.protocols.oscp.session.clock import Now
from bessctl.protocols.oscp.session.peer import Peer
from bessctl.sim.oscp_cp import Habits, Party, Tls
from bessctl.store import Store

S = 1_000_000_000
UNIT = UnitSnapshot("unit1", "running", 0.0, ac_w=0.0, ac_var=0.0, ac_v=231.0, soc_pct=50.0, capacity_wh=400_000.0)
PLANT = PlantSnapshot(
    tick=1, now_ns=0, mode="run", ess_w=0.0, pcc_w=0.0, command_w=0.0, lo=Limit(-2e5, Binding("rating", "unit1")),
    hi=Limit(2e5, Binding("rating", "unit1")), target_w=None, target_source="", units=(UNIT,),
)  # fmt: skip


class FakePlant:
    """A PlantView whose state a test sets."""

    def __init__(self) -> None:
        self.state: PlantSnapshot | None = PLANT

    def snapshot(self) -> PlantSnapshot | None:
        return self.state

    def set(self, **changes: Any) -> None:
        assert self.state is not None
        self.state = replace(self.state, **changes)

    def unit(self, **changes: Any) -> None:
        self.set(units=(replace(self.state.units[0] if self.state else UNIT, **changes),))


class FakeSlot:
    """A PlanWriter that holds plans to the rules of a slot and answers like the loop: what is allowed at an instant?"""

    def __init__(self, clock: TestClock | None = None) -> None:
        self.plans: list[Plan] = []
        self._clock = clock
        self.away = False

    def write(self, plan: Plan) -> int:
        if self.away:
            raise NotReachable("no loop in this test")
        for series in (plan.blocks, plan.fallback):
            _check(series)
        self.plans.append(plan)
        return len(self.plans)

    def now_ns(self) -> int:
        return self._clock.now().mono_ns if self._clock else time.monotonic_ns()

    @property
    def last(self) -> Plan:
        return self.plans[-1]

    def allowed(self, at_ns: int | None = None, scope: str = "pcc") -> tuple[float | None, float | None]:
        """(lo, hi) as a slot of class grid gives them (plans.pyx): after the lease the fallback, intersected with what is live."""
        return allowed(self.last, self.now_ns() if at_ns is None else at_ns, scope)

    def target(self, at_ns: int | None = None) -> float | None:
        at_ns = self.now_ns() if at_ns is None else at_ns
        block = _covering(self.last.blocks, at_ns) if at_ns < self.last.lease_until_ns else None
        return block.target_w if block else None


def allowed(plan: Plan, at_ns: int, scope: str = "pcc") -> tuple[float | None, float | None]:
    """What a plan allows at an instant, lapsed or not."""
    live = _covering(plan.blocks, at_ns)
    blocks = [live] if at_ns < plan.lease_until_ns else [_covering(plan.fallback, at_ns), live]
    lows = [getattr(b, f"{scope}_lo_w") for b in blocks if b is not None]
    highs = [getattr(b, f"{scope}_hi_w") for b in blocks if b is not None]
    return max((x for x in lows if x is not None), default=None), min((x for x in highs if x is not None), default=None)


def _covering(series: tuple[Block, ...], at_ns: int) -> Block | None:
    return next((b for b in series if b.start_ns <= at_ns < b.end_ns), None)


def _check(series: tuple[Block, ...]) -> None:
    end = 0
    for block in series:
        if block.start_ns >= block.end_ns or block.start_ns < end:
            raise PlanRefused("blocks overlap or are empty")
        if (block.ess_lo_w or 0) > 0 or (block.ess_hi_w or 0) < 0 or (block.pcc_lo_w or 0) > 0 or (block.pcc_hi_w or 0) < 0:
            raise PlanRefused("limits must contain 0")
        end = block.end_ns


class TestClock:
    """Real time, plus what the test adds: both clocks leap together, or the wall clock alone is corrected."""

    __test__ = False

    def __init__(self) -> None:
        self.leapt_ns = 0
        self.corrected_ns = 0
        self.trusted = True

    def now(self) -> Now:
        utc = time.time_ns() + self.leapt_ns + self.corrected_ns
        return Now(time.monotonic_ns() + self.leapt_ns, utc if self.trusted else None)

    def leap(self, seconds: float) -> None:
        self.leapt_ns += round(seconds * S)

    def correct(self, seconds: float) -> None:
        self.corrected_ns += round(seconds * S)


@dataclass
class Rig:
    """A running provider."""

    config: ProviderConfig
    desk: Desk
    lines: Mapping[str, Line]
    slots: dict[str, FakeSlot]
    plant: FakePlant
    clock: TestClock
    port: int
    tls: Tls
    store: Store
    task: asyncio.Task[None]
    logs: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.config.base_url

    @property
    def slot(self) -> FakeSlot:
        return self.slots["oscp"]

    def peer(self, name: str = "dso") -> Peer:
        return self.lines[name].peer

    def invite(self, name: str = "dso") -> str:
        """The operator makes a TOKEN_A."""
        token = self.peer(name).registration.invite()
        self.lines[name].settle()
        return token

    def poke(self) -> None:
        """Have every task look at the clock again, after a leap."""
        for line in self.lines.values():
            line.wake.set()

    async def until(self, what: str, holds: Callable[[], Any], within_s: float = 20.0) -> Any:
        """Wait for a state."""
        for _ in range(int(within_s / 0.005)):
            value = holds()
            if value:
                return value
            await asyncio.sleep(0.005)
        raise AssertionError(f"not within {within_s:g} s: {what}; log: {self.logs[-10:]}")


DSO = PeerConfig("dso", frozenset({Role.CP}), ("feeder-7",), request_timeout_s=3.0)
GROUP = GroupConfig("feeder-7", "oscp", Scope.PCC)


def config_of(tls: Tls, *peers: PeerConfig, groups: tuple[GroupConfig, ...] = (GROUP,), **changes: Any) -> ProviderConfig:
    """A provider on a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    peers = tuple(replace(peer, ca_file=tls.ca_file) for peer in peers or (DSO,))
    listen = Listen("127.0.0.1", port, tls.cert_file, tls.key_file)
    return ProviderConfig(f"https://127.0.0.1:{port}/oscp/fp/2.0", listen, groups, peers, **{"look_s": 0.02, **changes})


class _Log(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@asynccontextmanager
async def provider(config: ProviderConfig, folder: Path, tls: Tls, clock: TestClock | None = None) -> AsyncIterator[Rig]:
    """The provider as the composition root runs it, until the block ends; what it raises meanwhile is raised here."""
    clock = clock or TestClock()
    slots = {name: FakeSlot(clock) for g in config.groups for name in (g.source, g.optimum_source) if name}
    plant, store, ready = FakePlant(), Store(folder / "oscp.db"), asyncio.get_running_loop().create_future()
    lines: list[str] = []
    log = logging.Logger("oscp")
    log.addHandler(_Log(lines))

    def started(desk: Desk, found: Mapping[str, Line], port: int) -> None:
        ready.set_result(Rig(config, desk, found, slots, plant, clock, port, tls, store, task, lines))

    task = asyncio.create_task(run_provider(config, store, slots, plant, clock, log, started=started))
    try:
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield ready.result()
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
        store.close()
        # TLS connections that were aborted are told so by the next turns of the loop.
        await asyncio.sleep(0)


@asynccontextmanager
async def party(rig: Rig, role: str = "cp", habits: Habits | None = None) -> AsyncIterator[Party]:
    """The other side."""
    async with Party(rig.tls, role=role, habits=habits) as it:
        yield it


@asynccontextmanager
async def online(rig: Rig, name: str = "dso", *, role: str = "cp", habits: Habits | None = None, **wish: Any) -> AsyncIterator[Party]:
    """A capacity provider that is registered and has shaken hands."""
    async with party(rig, role, habits) as it:
        await it.register(rig.url, rig.invite(name))
        await it.shake(**wish)
        await rig.until("online", lambda: rig.peer(name).connection.online)
        yield it
