"""Composing charging profiles (1.6 3.13, 2.0.1 K01): what may flow on a connector, over time. Pure functions.

Rules
- At an instant, of each purpose the valid profile with the highest stack level rules that has a period for the instant; a profile
  whose schedule has ended or not begun leaves the word to the next lower one.
- A TxProfile overrules the TxDefaultProfile while it has a period; a TxDefaultProfile of the connector overrules that of connector 0.
- STATION_MAX is a cap on top: the lower of the two counts.
- minChargingRate of the ruling Tx or TxDefault profile: below it the power is not worth having (1.6 7.13, ChargingSchedule), so that a
  limit below it is 0, and so is a grant (`ledger`): the power goes to others.
- A, on `phases` phases (3 unless given), becomes W by the nominal phase voltage. A negative limit is the old notation for
  discharge; where it was let in (connector 1) its magnitude counts.
- With no date known, an absolute schedule rules as its most restrictive period (a limit is never forgotten, design R8).

Times are UTC ns, edges exact to the second of the schedule. None = no limit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bessctl.protocols.ocpp.messages.profile import Kind, Period, Profile, Purpose
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.writes import Installed


@dataclass(frozen=True, slots=True)
class Frame:
    """Whose composite: connector, its running transaction and when that began, and the nominal voltage."""

    connector: int
    phase_voltage_v: float
    tx: str | None = None
    tx_start_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """From `start_ns` to `end_ns` at most `limit_w`, None = no limit; what is below `least_w` is not worth having."""

    start_ns: int
    end_ns: int
    limit_w: float | None
    least_w: float = 0.0


Rule = tuple[float | None, float]
"""A limit, W, and the power below which none is worth having."""
NO_RULE: Rule = (None, 0.0)


def watts(limit: float, unit: str, phases: int | None, phase_voltage_v: float) -> float:
    """A limit as power, W, a magnitude."""
    return abs(limit) if unit == "W" else abs(limit) * (phases or 3) * phase_voltage_v


def limit_at(installed: Sequence[Installed], frame: Frame, utc_ns: int | None) -> float | None:
    """The limit at one instant; `utc_ns` None = no date known."""
    return rule_at(installed, frame, utc_ns)[0]


def rule_at(installed: Sequence[Installed], frame: Frame, utc_ns: int | None) -> Rule:
    """What rules at one instant."""
    (own_w, least_w), (station_w, _) = (_ruling(group, frame, utc_ns) for group in (_own(installed, frame), _station(installed)))
    limit = min((limit for limit in (own_w, station_w) if limit is not None), default=None)
    return (0.0 if limit is not None and limit < least_w else limit, least_w)


def station_limit_at(installed: Sequence[Installed], frame: Frame, utc_ns: int | None) -> float | None:
    """The STATION_MAX limit alone."""
    return station_rule_at(installed, frame, utc_ns)[0]


def station_rule_at(installed: Sequence[Installed], frame: Frame, utc_ns: int | None) -> Rule:
    """The STATION_MAX limit alone, of which any part is worth having."""
    return (_ruling(_station(installed), frame, utc_ns)[0], 0.0)


def compose(
    installed: Sequence[Installed], frame: Frame, start_ns: int, end_ns: int, *, station_only: bool = False, most: int | None = None
) -> list[Step]:
    """The limit over [start, end), equal neighbours joined; no more than `most` steps, and what follows them is left open."""
    at = station_rule_at if station_only else rule_at
    edges = sorted({start_ns, *(e for i in installed for e in edges_of(i.profile, frame, start_ns, end_ns) if start_ns < e < end_ns)})
    steps: list[Step] = []
    for begin, end in zip(edges, [*edges[1:], end_ns], strict=True):
        rule = at(installed, frame, begin)
        if steps and (steps[-1].limit_w, steps[-1].least_w) == rule:
            steps[-1] = Step(steps[-1].start_ns, end, *rule)
        elif most is not None and len(steps) >= most:
            break
        else:
            steps.append(Step(begin, end, *rule))
    return steps


def _own(installed: Sequence[Installed], frame: Frame) -> list[list[Profile]]:
    tx = [i.profile for i in installed if i.profile.purpose is Purpose.TX and i.tx == frame.tx and frame.tx is not None]
    default = [i for i in installed if i.profile.purpose is Purpose.TX_DEFAULT]
    here = [i.profile for i in default if i.connector == frame.connector != 0]
    everywhere = [i.profile for i in default if i.connector == 0]
    return [tx, here, everywhere]


def _station(installed: Sequence[Installed]) -> list[list[Profile]]:
    return [[i.profile for i in installed if i.profile.purpose is Purpose.STATION_MAX]]


def _ruling(groups: Iterable[list[Profile]], frame: Frame, utc_ns: int | None) -> Rule:
    if utc_ns is None:  # R8: any of them may be the one whose hour has come
        every = (_period_limit(profile, frame, None) for group in groups for profile in group)
        return (min((limit for limit in every if limit is not None), default=None), 0.0)
    for group in groups:
        for profile in sorted(group, key=lambda p: -p.stack):
            limit = _period_limit(profile, frame, utc_ns)
            if limit is not None:
                return (limit, _least_w(profile, frame))
    return NO_RULE


def _least_w(profile: Profile, frame: Frame) -> float:
    schedule = profile.schedule
    return 0.0 if schedule.min_rate is None else watts(schedule.min_rate, schedule.unit, None, frame.phase_voltage_v)


def _period_limit(profile: Profile, frame: Frame, utc_ns: int | None) -> float | None:
    unit = profile.schedule.unit
    if utc_ns is None:
        return min(watts(p.limit, unit, p.phases, frame.phase_voltage_v) for p in profile.schedule.periods)
    if not _valid(profile, utc_ns):
        return None
    period = _period_at(profile, frame, utc_ns)
    return None if period is None else watts(period.limit, unit, period.phases, frame.phase_voltage_v)


def _valid(profile: Profile, utc_ns: int) -> bool:
    begun = profile.valid_from_ns is None or profile.valid_from_ns <= utc_ns
    return begun and (profile.valid_to_ns is None or utc_ns < profile.valid_to_ns)


def _period_at(profile: Profile, frame: Frame, utc_ns: int) -> Period | None:
    origin = _origin(profile, frame, utc_ns)
    if origin is None or utc_ns < origin:
        return None
    offset = utc_ns - origin
    duration = _duration_s(profile)
    if duration is not None and offset >= duration * NS:
        return None
    periods = profile.schedule.periods
    index = bisect_right(periods, offset // NS, key=lambda p: p.start_s) - 1
    return periods[index] if index >= 0 else None


def _duration_s(profile: Profile) -> int | None:
    lengths = [s for s in (profile.schedule.duration_s, profile.every_s if profile.kind is Kind.RECURRING else None) if s is not None]
    return min(lengths, default=None)


def _origin(profile: Profile, frame: Frame, utc_ns: int) -> int | None:
    """The instant the periods count from, as seen at `utc_ns`."""
    start = profile.schedule.start_ns
    if profile.kind is Kind.RELATIVE:
        return frame.tx_start_ns if frame.tx_start_ns is not None else profile.valid_from_ns
    if profile.kind is Kind.RECURRING and start is not None and profile.every_s:
        every = profile.every_s * NS
        return start + (utc_ns - start) // every * every
    # An absolute schedule without start begins with the transaction (1.6 7.13), without one when it became valid.
    return start if start is not None else (frame.tx_start_ns if frame.tx_start_ns is not None else profile.valid_from_ns)


def edges_of(profile: Profile, frame: Frame, start_ns: int, end_ns: int) -> Iterator[int]:
    """Every instant at which the profile may change its mind within (start, end)."""
    yield from (t for t in (profile.valid_from_ns, profile.valid_to_ns) if t is not None)
    for origin in _origins(profile, frame, start_ns, end_ns):
        yield origin
        yield from (origin + p.start_s * NS for p in profile.schedule.periods)
        duration = _duration_s(profile)
        if duration is not None:
            yield origin + duration * NS


def _origins(profile: Profile, frame: Frame, start_ns: int, end_ns: int) -> list[int]:
    first = _origin(profile, frame, start_ns)
    if first is None:
        return []
    if profile.kind is not Kind.RECURRING or not profile.every_s:
        return [first]
    return list(range(first, end_ns, profile.every_s * NS))
