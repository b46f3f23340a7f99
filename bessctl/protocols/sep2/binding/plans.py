"""The utility's schedule -> one Plan for our slot: the whole future, so that the loop starts and ends events with us dead. Pure.

- Signs are the same on both sides (positive = discharge, export); percentages become watts of the ratings that DERSettings told.
- Power is a target (scope ess). opModMaxLimW, the generation and load limits bound the BESS (ess), export and import limits the connection
  (pcc). Gross limits count the site's other sources and loads at their worst. opModConnect or opModEnergize false cease to energise.
- Where nobody states a limit, the slot's own sealed default holds (rule 10).
- rampTms, else setGradW, becomes the rate of a target. A limit ramps as a staircase whose every step is on the safe side; protection does
  not care about either.
- The last block is open-ended: what the defaults say. When the lease is over the targets go and the limits stay (fallback).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from bessctl.model.plan import FOREVER_NS, Block, Lapse, Plan
from bessctl.plan.shorten import joined, shortened
from bessctl.protocols.sep2.config import Ratings
from bessctl.protocols.sep2.messages.modes import FULL, Channel, Setting, Unit
from bessctl.protocols.sep2.session.clock import NS
from bessctl.protocols.sep2.session.engine import Schedule

STEPS = 8
LIMITS = (Channel.MAX_LIMIT, Channel.GENERATION, Channel.LOAD, Channel.EXPORT, Channel.IMPORT)


@dataclass(frozen=True, slots=True)
class Site:
    """What turns settings into watts."""

    ratings: Ratings
    local: Block
    pv_max_w: float = 0.0
    load_max_w: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """A value from an instant on; None = nothing stated. `rate_w_per_s` leads to it."""

    start_ns: int
    watts: float | None
    rate_w_per_s: float | None = None


def plan_of(schedule: Schedule, site: Site, mono_ns: Callable[[float], int], now_ns: int, lease_until_ns: int) -> Plan:
    """The whole slot. `mono_ns` turns server seconds into instants."""
    steps = {channel: _steps(schedule, channel, site, mono_ns) for channel in Channel}
    for channel in LIMITS:
        steps[channel] = _ramped(steps[channel], _unlimited_w(channel, site))
    edges = sorted({0, FOREVER_NS, *(step.start_ns for each in steps.values() for step in each)})
    blocks = [_block(steps, a, b, site) for a, b in pairwise(edges) if b > now_ns]
    live = joined([block for block in blocks if block is not None])
    limits = [replace(b, target_w=None, rate_w_per_s=None) for b in live]
    stated = joined([b for b in limits if _says_something(b)])
    return Plan(lease_until_ns, shortened(live, default=site.local), shortened(stated, default=site.local), Lapse.FALLBACK)


def same(a: Plan, b: Plan, now_ns: int) -> bool:
    """Do both say the same from now on, leases apart?"""
    return all(
        [x for x in one if x.end_ns > now_ns] == [y for y in other if y.end_ns > now_ns]
        for one, other in ((a.blocks, b.blocks), (a.fallback, b.fallback))
    )


# --- one channel as a function of time -------------------------------------------------------------------------------------------------


def _steps(schedule: Schedule, channel: Channel, site: Site, mono_ns: Callable[[float], int]) -> list[Step]:
    """Events and, between them, the default; ordered, the first from 0 on."""
    default = schedule.defaults.get(channel)
    pieces: list[tuple[int, Setting | None]] = [(0, default)]
    for segment in schedule.segments.get(channel, ()):
        start_ns, end_ns = mono_ns(segment.start_s), mono_ns(segment.end_s)
        if end_ns <= start_ns:
            continue
        if pieces[-1][0] == start_ns:
            pieces.pop()
        pieces += [(start_ns, segment.setting), (end_ns, default)]
    out: list[Step] = []
    before = 0.0
    grad_w_per_s = None if schedule.grad_share_per_s is None else schedule.grad_share_per_s * site.ratings.max_w
    for start_ns, setting in pieces:
        watts = None if setting is None else _watts(channel, setting, site)
        idle = 0.0 if channel is Channel.POWER else _unlimited_w(channel, site)
        after = idle if watts is None else watts
        rate = _rate(setting, abs(after - before), grad_w_per_s) if start_ns > 0 else None
        out.append(Step(start_ns, watts, rate))
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
    return ratings.charge_w if channel is Channel.LOAD else ratings.discharge_w


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
        return [replace(step, rate_w_per_s=None)]
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


def _at(steps: Sequence[Step], at_ns: int) -> Step:
    found = steps[0]
    for step in steps:
        if step.start_ns > at_ns:
            break
        found = step
    return found


def _block(steps: Mapping[Channel, Sequence[Step]], start_ns: int, end_ns: int, site: Site) -> Block | None:
    """None where nobody says anything: there the slot's sealed default speaks by itself."""
    at = {channel: _at(each, start_ns) for channel, each in steps.items()}
    power = at[Channel.POWER]
    his = [w for c in (Channel.MAX_LIMIT, Channel.GENERATION) if (w := at[c].watts) is not None]
    load, export, imported = at[Channel.LOAD].watts, at[Channel.EXPORT].watts, at[Channel.IMPORT].watts
    switches = [w for c in (Channel.CONNECT, Channel.ENERGIZE) if (w := at[c].watts) is not None]
    if power.watts is None and not his and load is None and export is None and imported is None and not switches:
        return None
    local = site.local
    return Block(
        start_ns,
        end_ns,
        ess_lo_w=local.ess_lo_w if load is None else 0.0 - load,
        ess_hi_w=local.ess_hi_w if not his else min(his),
        pcc_lo_w=local.pcc_lo_w if imported is None else 0.0 - imported,
        pcc_hi_w=local.pcc_hi_w if export is None else export,
        target_w=power.watts,
        energize=None if not switches else min(switches) > 0,
        rate_w_per_s=power.rate_w_per_s if power.watts is not None else None,
    )


def _says_something(block: Block) -> bool:
    stated = (block.ess_lo_w, block.ess_hi_w, block.pcc_lo_w, block.pcc_hi_w)
    return block.energize is not None or any(limit is not None for limit in stated)
