"""The utility's schedule -> one Plan for our slot: the whole future, so that the loop starts and ends events with us dead. Pure.

- Signs are the same on both sides (positive = discharge, export); percentages become watts of the ratings that DERSettings told.
- Power is a target (scope ess); where no event sets it a granted flow reservation does, before the default. opModMaxLimW, the generation
  and load limits bound the BESS (ess), as an EndDeviceControl bounds its charging; export and import limits bound the connection (pcc).
  Gross limits count the site's other sources and loads at their worst. opModEnergize false ceases to energise, opModConnect false opens
  the contactors.
- opModFixedVar and opModTargetVar are a reactive power; without them the power factors hold, that for injecting and that for absorbing
  active power.
- Where nobody states a limit, the slot's own sealed default holds (rule 10).
- rampTms, else setGradW, becomes the rate of a target. A limit ramps as a staircase whose every step is on the safe side; protection does
  not care about either.
- The last block is open-ended: what the defaults say. When the lease is over the targets go and the limits stay (fallback).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar

from bessctl.model.plan import FOREVER_NS, MAX_BLOCKS, Block, Lapse, Plan, QKind
from bessctl.plan.shorten import joined, shortened
from bessctl.protocols.sep2.config import Ratings
from bessctl.protocols.sep2.messages.modes import FULL, Channel, Setting, Unit
from bessctl.protocols.sep2.session.clock import NS
from bessctl.protocols.sep2.session.engine import Schedule

STEPS = 8
NEAR = 64
FAR_S = 2.0**33
"""A server time whose instant tells one reading of the server's clock from another."""
LIMITS = (Channel.MAX_LIMIT, Channel.GENERATION, Channel.LOAD, Channel.DEMAND, Channel.EXPORT, Channel.IMPORT)
WATTS = (Channel.POWER, Channel.FLOW, Channel.CONNECT, Channel.ENERGIZE, *LIMITS)
"""Channels that are a number over time; the reactive ones keep their settings, curves go another way."""
REACTIVE = (Channel.VAR, Channel.PF_INJECT, Channel.PF_ABSORB)


@dataclass(frozen=True, slots=True)
class Site:
    """What turns settings into watts."""

    ratings: Ratings
    local: Block
    pv_max_w: float = 0.0
    load_max_w: float = 0.0


class Step(NamedTuple):
    """A value from an instant on; None = nothing stated. `rate_w_per_s` leads to it."""

    start_ns: int
    watts: float | None
    rate_w_per_s: float | None = None
    scheduled: bool = True
    """By an event, not by a default."""


Piece = tuple[int, Setting | None]
At = TypeVar("At", bound=tuple[Any, ...])


def plan_of(schedule: Schedule, site: Site, mono_ns: Callable[[float], int], now_ns: int, lease_until_ns: int) -> Plan:
    """The whole slot. `mono_ns` turns server seconds into instants."""
    mono_ns = lived(schedule, mono_ns, now_ns)
    steps = {channel: _steps(schedule, channel, site, mono_ns) for channel in WATTS}
    for channel in LIMITS:
        steps[channel] = _ramped(steps[channel], _unlimited_w(channel, site))
    reactive = {channel: pieces(schedule, channel, mono_ns) for channel in REACTIVE}
    edges = sorted(
        {0, FOREVER_NS, *(at for each in steps.values() for at, *_ in each), *(at for each in reactive.values() for at, _ in each)}
    )
    watts = {channel: _Cursor(each) for channel, each in steps.items()}
    settings = {channel: _Cursor(each) for channel, each in reactive.items()}
    blocks = [_block(watts, settings, (a, b), site) for a, b in pairwise(edges) if b > now_ns]
    live = joined([block for block in blocks if block is not None])
    limits = [replace(b, target_w=None, rate_w_per_s=None, q_kind=QKind.NONE, q_value=0.0, q_absorb=None) for b in live]
    stated = joined([b for b in limits if _says_something(b)])
    return Plan(lease_until_ns, _fitting(live, site.local), _fitting(stated, site.local), Lapse.FALLBACK, dated=False)


class Planner:
    """Makes plans for one site, and makes none anew for a schedule it has just planned."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._schedule: Schedule | None = None
        self._far_ns = 0
        self._plan = Plan(0)

    def plan(self, schedule: Schedule, mono_ns: Callable[[float], int], now_ns: int, lease_until_ns: int) -> Plan:
        """As plan_of. What is over stands in it until the schedule changes, which it does at each start and end."""
        far_ns = mono_ns(FAR_S)
        if schedule is self._schedule and far_ns == self._far_ns:
            return replace(self._plan, lease_until_ns=lease_until_ns)
        self._schedule, self._far_ns = schedule, far_ns
        self._plan = plan_of(schedule, self._site, mono_ns, now_ns, lease_until_ns)
        return self._plan


def _fitting(blocks: list[Block], local: Block) -> tuple[Block, ...]:
    """As many as a slot holds: the next ones as they are, what is far away merged. It is written again long before that is near."""
    if len(blocks) <= MAX_BLOCKS:
        return tuple(blocks)
    return (*blocks[:NEAR], *shortened(blocks[NEAR:], MAX_BLOCKS - NEAR, local))


def same(a: Plan, b: Plan, now_ns: int) -> bool:
    """Do both say the same from now on, leases apart?"""
    return all(
        [x for x in one if x.end_ns > now_ns] == [y for y in other if y.end_ns > now_ns]
        for one, other in ((a.blocks, b.blocks), (a.fallback, b.fallback))
    )


# --- one channel as a function of time -------------------------------------------------------------------------------------------------


def lived(schedule: Schedule, mono_ns: Callable[[float], int], now_ns: int) -> Callable[[float], int]:
    """As mono_ns, but what has begun or ended is not put off by a correction of the server's clock: no event starts twice."""
    lived_s = schedule.lived_s
    return lambda at_s: min(mono_ns(at_s), now_ns) if at_s <= lived_s else mono_ns(at_s)


def pieces(schedule: Schedule, channel: Channel, mono_ns: Callable[[float], int]) -> list[Piece]:
    """Events and, between them, the default; ordered, the first from 0 on."""
    default = schedule.defaults.get(channel)
    found: list[Piece] = [(0, default)]
    for segment in schedule.segments.get(channel, ()):
        start_ns, end_ns = mono_ns(segment.start_s), mono_ns(segment.end_s)
        if end_ns <= start_ns:
            continue
        if found[-1][0] == start_ns:
            found.pop()
        found += [(start_ns, segment.setting), (end_ns, default)]
    return found


def _steps(schedule: Schedule, channel: Channel, site: Site, mono_ns: Callable[[float], int]) -> list[Step]:
    """The same as numbers, with the rates that lead from one to the next."""
    out: list[Step] = []
    before = 0.0
    grad_w_per_s = None if schedule.grad_share_per_s is None else schedule.grad_share_per_s * site.ratings.max_w
    for start_ns, setting in pieces(schedule, channel, mono_ns):
        watts = None if setting is None else _watts(channel, setting, site)
        idle = 0.0 if channel in {Channel.POWER, Channel.FLOW} else _unlimited_w(channel, site)
        after = idle if watts is None else watts
        rate = _rate(setting, abs(after - before), grad_w_per_s) if start_ns > 0 else None
        out.append(Step(start_ns, watts, rate, scheduled=setting is not schedule.defaults.get(channel)))
        before = after
    return out


def _rate(setting: Setting | None, change_w: float, grad_w_per_s: float | None) -> float | None:
    """W/s of a change; None = at once. rampTms 0 is a statement too."""
    if setting is not None and setting.ramp_s is not None:
        return change_w / setting.ramp_s if setting.ramp_s > 0 and change_w > 0 else None
    return grad_w_per_s


def _watts(channel: Channel, setting: Setting, site: Site) -> float:
    ratings = site.ratings
    if setting.unit is Unit.SHARE:
        rated = ratings.max_w if channel is Channel.MAX_LIMIT else ratings.discharge_w if setting.value >= 0 else ratings.charge_w
        return setting.value / FULL * rated
    if setting.unit is Unit.LOAD_SHARE:
        return setting.value / FULL * ratings.charge_w
    if setting.unit is Unit.LOAD_CUT:
        return max(0.0, ratings.charge_w - setting.value)
    if channel is Channel.GENERATION:
        return max(0.0, setting.value - site.pv_max_w)
    if channel is Channel.LOAD:
        return max(0.0, setting.value - site.load_max_w)
    return setting.value


def _unlimited_w(channel: Channel, site: Site) -> float:
    """Where a limit's ramp begins when nothing was stated before."""
    ratings = site.ratings
    if channel in {Channel.EXPORT, Channel.IMPORT}:
        rated = ratings.discharge_w + site.pv_max_w if channel is Channel.EXPORT else ratings.charge_w + site.load_max_w
        return rated
    return ratings.charge_w if channel in {Channel.LOAD, Channel.DEMAND} else ratings.discharge_w


def _ramped(steps: Sequence[Step], unlimited_w: float) -> list[Step]:
    """Each change of a limit as a staircase that is never looser than the ramp."""
    out: list[Step] = []
    for at, step in enumerate(steps):
        until_ns = steps[at + 1].start_ns if at + 1 < len(steps) else FOREVER_NS
        before = out[-1].watts if out else None
        old = unlimited_w if before is None else before
        new = unlimited_w if step.watts is None else step.watts
        out += _staircase(step, old, new, until_ns)
    return out


def _staircase(step: Step, old: float, new: float, until_ns: int) -> list[Step]:
    if step.rate_w_per_s is None or old == new or step.start_ns == 0:
        return [step._replace(rate_w_per_s=None)]
    stair_ns = round(abs(new - old) / step.rate_w_per_s * NS / STEPS)
    tightens = new < old
    out: list[Step] = []
    for k in range(STEPS):
        start_ns = step.start_ns + k * stair_ns
        if start_ns >= until_ns:
            return out
        out.append(Step(start_ns, old + (new - old) * (k + tightens) / STEPS))
    end_ns = step.start_ns + STEPS * stair_ns
    if end_ns < until_ns:
        out.append(Step(end_ns, step.watts))
    return out


# --- all channels at once --------------------------------------------------------------------------------------------------------------


class _Cursor(Generic[At]):
    """What holds at instants that only rise. Each piece begins with its start."""

    def __init__(self, pieces: Sequence[At]) -> None:
        self._pieces: Sequence[At] = pieces
        self._place = 0

    def at(self, at_ns: int) -> At:
        while self._place + 1 < len(self._pieces) and self._pieces[self._place + 1][0] <= at_ns:
            self._place += 1
        return self._pieces[self._place]


def _block(
    watts: Mapping[Channel, _Cursor[Step]], settings: Mapping[Channel, _Cursor[Piece]], span: tuple[int, int], site: Site
) -> Block | None:
    """None where nobody says anything: there the slot's sealed default speaks by itself."""
    start_ns, end_ns = span
    at = {channel: cursor.at(start_ns) for channel, cursor in watts.items()}
    power = at[Channel.POWER]
    if at[Channel.FLOW].watts is not None and not (power.scheduled and power.watts is not None):
        power = at[Channel.FLOW]
    his = [w for c in (Channel.MAX_LIMIT, Channel.GENERATION) if (w := at[c].watts) is not None]
    loads = [w for c in (Channel.LOAD, Channel.DEMAND) if (w := at[c].watts) is not None]
    export, imported = at[Channel.EXPORT].watts, at[Channel.IMPORT].watts
    connect, energize = (None if (w := at[c].watts) is None else w > 0 for c in (Channel.CONNECT, Channel.ENERGIZE))
    kind, value, absorb = _reactive({channel: cursor.at(start_ns)[1] for channel, cursor in settings.items()}, site.ratings)
    said = (power.watts, export, imported, connect, energize, *his, *loads)
    if all(w is None for w in said) and kind is QKind.NONE:
        return None
    local = site.local
    return Block(
        start_ns,
        end_ns,
        ess_lo_w=local.ess_lo_w if not loads else 0.0 - min(loads),
        ess_hi_w=local.ess_hi_w if not his else min(his),
        pcc_lo_w=local.pcc_lo_w if imported is None else 0.0 - imported,
        pcc_hi_w=local.pcc_hi_w if export is None else export,
        target_w=power.watts,
        q_kind=kind,
        q_value=value,
        q_absorb=absorb,
        energize=energize,
        rate_w_per_s=power.rate_w_per_s if power.watts is not None else None,
        connect=connect,
    )


def _reactive(settings: Mapping[Channel, Setting | None], ratings: Ratings) -> tuple[QKind, float | None, float | None]:
    """Kind, value and the factor that holds while the PCS takes active power in; None = unity."""
    var = settings[Channel.VAR]
    if var is None:
        inject, absorb = (None if factor is None else factor.value for factor in (settings[Channel.PF_INJECT], settings[Channel.PF_ABSORB]))
        return (QKind.NONE, 0.0, None) if inject is None and absorb is None else (QKind.PF, inject, absorb)
    if var.unit is Unit.OF_AVAILABLE_VAR:
        return QKind.AVAILABLE, var.value / FULL, None
    whole = {Unit.VARS: FULL, Unit.OF_MAX_W: ratings.max_w, Unit.OF_MAX_VAR: ratings.max_var}[var.unit]
    return QKind.VAR, var.value / FULL * whole, None


def _says_something(block: Block) -> bool:
    stated = (block.ess_lo_w, block.ess_hi_w, block.pcc_lo_w, block.pcc_hi_w)
    return block.energize is not None or block.connect is not None or any(limit is not None for limit in stated)
