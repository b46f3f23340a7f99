"""What all peers say about the groups of one slot -> one Plan. The only place where a capacity gets the plant's sign. Pure.

- OSCP's consumption C and generation G are magnitudes: lo = -C, hi = +G at the group's scope. An OPTIMUM of + is consumption: target = -O.
- Limits of several peers and groups intersect; one OPTIMUM rules: that of the lowest priority number (row 14).
- The plan's lease is that of the peer believed longest. A peer whose lease ends earlier is counted online up to that instant and offline
  from it on, as blocks, so that each peer falls to its own fallback in its own tick, also with the supervisor dead.
- The fallback series is what all of them say offline. A plan whose leases are all over is written as it is: the loop follows its
  fallback at once, and still intersects it with what was live (docs/adr/0005).
- Both series reach to the end of time: where peers say nothing, the rules of session/evaluate.py do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bessctl.model.plan import FOREVER_NS, Block, Lapse, Plan, Scope
from bessctl.protocols.oscp.config import Scope as Where
from bessctl.protocols.oscp.session.evaluate import Limits, Rules, Series, evaluate

SLACK_NS = 20_000_000
"""Two clocks are read one after the other: starts that differ by less are the same."""
BLOCKS_MAX = 480
"""Beyond so many changes each series counts with its tightest value: a slot holds 96 blocks, and is written again long before."""
NOTHING = Limits(None, None, None, FOREVER_NS)


@dataclass(frozen=True, slots=True)
class Voice:
    """One peer about one group. `lease_ns`: monotonic, its live series rule before it."""

    peer: str
    scope: Where
    series: Series
    rules: Rules
    lease_ns: int
    priority: int = 100
    limits: bool = True
    optimum: bool = True

    def says(self, utc_ns: int | None, *, online: bool) -> Limits:
        """At an instant."""
        return evaluate(self.series, self.rules, utc_ns, online=online)


@dataclass(frozen=True, slots=True)
class Calendar:
    """UTC of a monotonic instant: `offset_ns` = utc - mono; None while the date is not known."""

    offset_ns: int | None

    def utc(self, mono_ns: int) -> int | None:
        return None if self.offset_ns is None else mono_ns + self.offset_ns

    def mono(self, utc_ns: int) -> int:
        """Monotonic instant of a change; the end of time stays where it is."""
        if self.offset_ns is None or utc_ns >= FOREVER_NS:
            return FOREVER_NS
        return min(FOREVER_NS, utc_ns - self.offset_ns)


def plan_of(voices: Sequence[Voice], calendar: Calendar, now_ns: int, lease_max_ns: int) -> Plan:
    """The whole slot. Without voices an empty plan: the slot's sealed default speaks."""
    if not voices:
        return Plan(now_ns)
    last_ns = max(voice.lease_ns for voice in voices)
    live = _series(voices, calendar, now_ns, last_ns, live=True)
    fallback = _series(voices, calendar, now_ns, last_ns, live=False)
    return Plan(max(0, min(last_ns, now_ns + lease_max_ns)), live, fallback, Lapse.FALLBACK)


def same_but_leases(voices: Sequence[Voice], calendar: Calendar) -> tuple[object, ...]:
    """What a plan's blocks are made from: where two of these are equal, only the lease may differ. Cheap: profiles are made once."""
    last_ns = max((voice.lease_ns for voice in voices), default=0)
    parts = (
        (v.peer, v.scope, v.rules, v.priority, v.limits, v.optimum, *v.series.items(), v.lease_ns if v.lease_ns < last_ns else None)
        for v in voices
    )
    return (calendar.offset_ns, *parts)


def renewed(plan: Plan, voices: Sequence[Voice], now_ns: int, lease_max_ns: int) -> Plan:
    """The same blocks with the lease of now."""
    last_ns = max((voice.lease_ns for voice in voices), default=now_ns)
    return replace(plan, lease_until_ns=max(0, min(last_ns, now_ns + lease_max_ns)))


def _series(voices: Sequence[Voice], calendar: Calendar, now_ns: int, last_ns: int, *, live: bool) -> tuple[Block, ...]:
    """From now to the end of time, changing where a voice does; each voice is asked only where it changes."""
    blocks: list[Block] = []
    said: list[Limits] = [NOTHING] * len(voices)
    next_ns = [now_ns] * len(voices)
    at_ns = now_ns
    while at_ns < FOREVER_NS and len(blocks) < BLOCKS_MAX:
        for index, voice in enumerate(voices):
            if next_ns[index] <= at_ns:
                said[index] = voice.says(calendar.utc(at_ns), online=live and _believed(voice, at_ns, last_ns))
                next_ns[index] = max(at_ns + 1, calendar.mono(said[index].next_change_ns))
                if live and at_ns < voice.lease_ns < last_ns:
                    next_ns[index] = min(next_ns[index], voice.lease_ns)
        end_ns = min(next_ns)
        _append(blocks, _block(voices, said, at_ns, end_ns))
        at_ns = end_ns
    if at_ns < FOREVER_NS:
        _append(blocks, _block(voices, [voice.says(None, online=False) for voice in voices], at_ns, FOREVER_NS))
    return tuple(blocks)


def _believed(voice: Voice, at_ns: int, last_ns: int) -> bool:
    """Whoever is believed longest is live to the end: after its lease the loop itself intersects it with the fallback."""
    return at_ns < voice.lease_ns or voice.lease_ns == last_ns


def _block(voices: Sequence[Voice], said: Sequence[Limits], start_ns: int, end_ns: int) -> Block:
    lo: dict[Where, float] = {}
    hi: dict[Where, float] = {}
    wishes: list[tuple[int, str, Where, float]] = []
    for voice, limits in zip(voices, said, strict=True):
        if voice.limits and limits.consumption_w is not None:
            limit = 0.0 - limits.consumption_w
            lo[voice.scope] = max(lo.get(voice.scope, limit), limit)
        if voice.limits and limits.generation_w is not None:
            hi[voice.scope] = min(hi.get(voice.scope, limits.generation_w), limits.generation_w)
        if voice.optimum and limits.optimum_w is not None:
            wishes.append((voice.priority, voice.peer, voice.scope, 0.0 - limits.optimum_w))
    target = min(wishes, default=None)
    return Block(
        start_ns, end_ns, lo.get(Where.ESS), hi.get(Where.ESS), lo.get(Where.PCC), hi.get(Where.PCC),
        target_w=target[3] if target else None,
        target_scope=Scope.PCC if target and target[2] is Where.PCC else Scope.ESS,
    )  # fmt: skip


def _said(block: Block) -> tuple[object, ...]:
    return (block.ess_lo_w, block.ess_hi_w, block.pcc_lo_w, block.pcc_hi_w, block.target_w, block.target_scope)


def _append(blocks: list[Block], block: Block) -> None:
    if blocks and _said(blocks[-1]) == _said(block):
        last = blocks.pop()
        block = Block(last.start_ns, block.end_ns, *_said(last))  # type: ignore[arg-type]
    blocks.append(block)


def same(a: Plan, b: Plan, now_ns: int) -> bool:
    """Both say the same from now on, leases apart."""
    return _same(a.blocks, b.blocks, now_ns) and _same(a.fallback, b.fallback, now_ns)


def _same(a: Sequence[Block], b: Sequence[Block], now_ns: int) -> bool:
    left_a, left_b = ([x for x in series if x.end_ns > now_ns + SLACK_NS] for series in (a, b))
    return len(left_a) == len(left_b) and all(
        _said(x) == _said(y) and abs(max(x.start_ns, now_ns) - max(y.start_ns, now_ns)) <= SLACK_NS and abs(x.end_ns - y.end_ns) <= SLACK_NS
        for x, y in zip(left_a, left_b, strict=True)
    )
