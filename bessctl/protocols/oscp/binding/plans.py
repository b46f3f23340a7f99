"""What all peers say about the groups of one slot -> one Plan. The only place where a capacity gets the plant's sign. Pure.

- OSCP's consumption C and generation G are magnitudes: lo = -C, hi = +G at the group's scope. An OPTIMUM of + is consumption: target = -O.
- Limits of several peers and groups intersect; one OPTIMUM rules: that of the lowest priority number (row 14).
- The plan's lease is that of the peer believed longest. A peer whose lease ends earlier is counted online up to that instant and offline
  from it on, as blocks, so that each peer falls to its own fallback in its own tick, also with the supervisor dead.
- Where amperes are limited the plan asks for 0 var, live and in the fallback: reactive power yields before active power (row 13). A source
  with a better priority number keeps its own; active power is then limited by what is measured.
- The fallback series is what all of them say offline. A plan whose leases are all over is written as it is: the loop follows its
  fallback at once, and still intersects it with what was live (docs/adr/0005).
- Both series reach to the end of time: where peers say nothing, the rules of session/evaluate.py do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bessctl.model.plan import FOREVER_NS, Block, Lapse, Plan, QKind, Scope
from bessctl.protocols.oscp.binding.tracks import BEGIN_NS, NO_WISH, UNLIMITED, Column, Grid, Tracks
from bessctl.protocols.oscp.config import Scope as Where
from bessctl.protocols.oscp.session.evaluate import Limits, Rules, Series, evaluate

SLACK_NS = 20_000_000
"""Two clocks are read one after the other: starts that differ by less are the same."""
CHANGES_MAX = 480
"""Beyond so many changes each series counts with its tightest value: a slot holds 96 blocks, and is written again long before."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One peer about one group. `lease_ns`: monotonic, its live series rule before it. `tracks` are its series and rules, made ready."""

    peer: str
    scope: Where
    series: Series
    rules: Rules
    lease_ns: int
    priority: int = 100
    limits: bool = True
    optimum: bool = True
    tracks: Tracks = field(kw_only=True)

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
    return Plan(max(0, min(last_ns, now_ns + lease_max_ns)), live, fallback, Lapse.FALLBACK, dated=False)


def same_but_leases(voices: Sequence[Voice], calendar: Calendar) -> tuple[object, ...]:
    """What a plan's blocks are made from: where two of these are equal, only the lease may differ. Cheap: tracks are made once."""
    last_ns = max((voice.lease_ns for voice in voices), default=0)
    parts = ((v.peer, v.scope, v.priority, v.limits, v.optimum, v.tracks, v.lease_ns if v.lease_ns < last_ns else None) for v in voices)
    return (calendar.offset_ns, *parts)


def renewed(plan: Plan, voices: Sequence[Voice], now_ns: int, lease_max_ns: int) -> Plan:
    """The same blocks with the lease of now."""
    last_ns = max((voice.lease_ns for voice in voices), default=now_ns)
    return replace(plan, lease_until_ns=max(0, min(last_ns, now_ns + lease_max_ns)))


def _series(voices: Sequence[Voice], calendar: Calendar, now_ns: int, last_ns: int, *, live: bool) -> tuple[Block, ...]:
    """From now to the end of time, changing where a voice does."""
    here_ns = calendar.utc(now_ns)
    if here_ns is None:
        return _blocks([now_ns], _undated(voices))
    leases = [_offline_from(voice, calendar, last_ns) if live else BEGIN_NS for voice in voices]
    edges = _edges(voices, leases, here_ns)
    most = edges[:CHANGES_MAX]
    blocks = _blocks([now_ns, *map(calendar.mono, most[1:])], _merged(voices, leases, most))
    if len(edges) <= CHANGES_MAX:
        return blocks
    beyond_ns = calendar.mono(edges[CHANGES_MAX])
    return (*blocks[:-1], replace(blocks[-1], end_ns=beyond_ns), *_blocks([beyond_ns], _undated(voices)))


def _offline_from(voice: Voice, calendar: Calendar, last_ns: int) -> int:
    """UTC. Whoever is believed longest is live to the end: after its lease the loop itself intersects it with the fallback."""
    utc_ns = calendar.utc(voice.lease_ns)
    return FOREVER_NS if voice.lease_ns == last_ns or utc_ns is None else utc_ns


def _edges(voices: Sequence[Voice], leases: Sequence[int], here_ns: int) -> list[int]:
    """Now, and every later instant at which somebody changes; UTC."""
    found = {here_ns, *(lease for lease in leases if here_ns < lease < FOREVER_NS)}
    used = {voice.tracks.online.starts for voice, lease in zip(voices, leases, strict=True) if lease > here_ns}
    used |= {voice.tracks.offline.starts for voice, lease in zip(voices, leases, strict=True) if lease < FOREVER_NS}
    for starts in used:
        found.update(starts)
    return sorted(edge for edge in found if here_ns <= edge < FOREVER_NS)


@dataclass(slots=True)
class _Columns:
    """What all voices say at some instants: limits by scope, each voice a row; wishes by who rules, the lowest first."""

    consumption: dict[Where, list[Column]] = field(default_factory=dict)
    generation: dict[Where, list[Column]] = field(default_factory=dict)
    wishes: dict[tuple[int, str, Where], list[Column]] = field(default_factory=dict)
    no_var: list[Column] = field(default_factory=list)

    def add(self, voice: Voice, said: tuple[Column, Column, Column, Column]) -> None:
        """One voice's rows."""
        consumption, generation, optimum, no_var = said
        if voice.limits and any(no_var):
            self.no_var.append(no_var)
        if voice.limits:
            self.consumption.setdefault(voice.scope, []).append(consumption)
            self.generation.setdefault(voice.scope, []).append(generation)
        if voice.optimum and max(optimum) > NO_WISH:
            self.wishes.setdefault((voice.priority, voice.peer, voice.scope), []).append(optimum)


def _merged(voices: Sequence[Voice], leases: Sequence[int], edges: Sequence[int]) -> _Columns:
    """Each lease parts the edges: before it a voice is online, from it on offline. Most voices share theirs."""
    found = _Columns()
    parts = {lease: bisect_left(edges, lease) for lease in leases}
    grids = {lease: (Grid(edges[:cut]), Grid(edges[cut:])) for lease, cut in parts.items()}
    for voice, lease in zip(voices, leases, strict=True):
        found.add(voice, voice.tracks.at(*grids[lease]))
    return found


def _undated(voices: Sequence[Voice]) -> _Columns:
    """The tightest of everybody, as one row of one instant each."""
    found = _Columns()
    for voice in voices:
        consumption, generation, optimum, no_var = voice.tracks.undated
        found.add(voice, ((consumption,), (generation,), (optimum,), (no_var,)))
    return found


_Said = tuple[float | None, float | None, float | None, float | None, float | None, Scope, QKind]
"""The words of a block, in their order."""


def _blocks(starts: Sequence[int], columns: _Columns) -> tuple[Block, ...]:
    """From each start to the next, the last to the end of time; neighbours that say the same are one."""
    count = len(starts)
    sides = [_side(rows.get(where), count, sign) for where in (Where.ESS, Where.PCC) for rows, sign in _sided(columns)]
    changes: list[tuple[int, _Said]] = []
    for start_ns, *said in zip(starts, *sides, *_targets(columns, count), _reactive(columns, count), strict=True):
        words: _Said = tuple(said)
        if not changes or changes[-1][1] != words:
            changes.append((start_ns, words))
    ends = [*(start_ns for start_ns, _ in changes[1:]), FOREVER_NS]
    return tuple(Block(start_ns, end_ns, *words) for (start_ns, words), end_ns in zip(changes, ends, strict=True))


def _sided(columns: _Columns) -> tuple[tuple[dict[Where, list[Column]], float], ...]:
    """Consumption is the lower limit, generation the upper one."""
    return (columns.consumption, -1.0), (columns.generation, 1.0)


def _side(rows: list[Column] | None, count: int, sign: float) -> Sequence[float | None]:
    """The tightest of all rows as a limit in the plant's sign; None where nobody limits. Adding 0.0 leaves no minus zero."""
    if rows is None:
        return [None] * count
    least = rows[0] if len(rows) == 1 else map(min, *rows)
    return [None if w == UNLIMITED else 0.0 + sign * w for w in least]


def _targets(columns: _Columns, count: int) -> tuple[Sequence[float | None], Sequence[Scope]]:
    """The OPTIMUM of the lowest priority number that has one; of one peer's several the one that consumes most."""
    targets: list[float | None] = [None] * count
    scopes = [Scope.ESS] * count
    for (_, _, where), rows in sorted(columns.wishes.items()):
        for at, wish in enumerate(rows[0] if len(rows) == 1 else map(max, *rows)):
            if targets[at] is None and wish > NO_WISH:
                targets[at], scopes[at] = 0.0 - wish, Scope.PCC if where is Where.PCC else Scope.ESS
    return targets, scopes


def _reactive(columns: _Columns, count: int) -> Sequence[QKind]:
    """0 var where anybody limits amperes; else nothing, and the PCS's own functions rule."""
    if not columns.no_var:
        return [QKind.NONE] * count
    return [QKind.VAR if any(said) else QKind.NONE for said in zip(*columns.no_var, strict=True)]


def _said(block: Block) -> tuple[object, ...]:
    return (block.ess_lo_w, block.ess_hi_w, block.pcc_lo_w, block.pcc_hi_w, block.target_w, block.target_scope, block.q_kind)


def same(a: Plan, b: Plan, now_ns: int) -> bool:
    """Both say the same from now on, leases apart."""
    return _same(a.blocks, b.blocks, now_ns) and _same(a.fallback, b.fallback, now_ns)


def _same(a: Sequence[Block], b: Sequence[Block], now_ns: int) -> bool:
    left_a, left_b = ([x for x in series if x.end_ns > now_ns + SLACK_NS] for series in (a, b))
    return len(left_a) == len(left_b) and all(
        _said(x) == _said(y) and abs(max(x.start_ns, now_ns) - max(y.start_ns, now_ns)) <= SLACK_NS and abs(x.end_ns - y.end_ns) <= SLACK_NS
        for x, y in zip(left_a, left_b, strict=True)
    )
