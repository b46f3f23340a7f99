"""Composing profiles (OCPP-6): stacking, purposes, kinds, units, validity; against a second-by-second reading of the rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl.protocols.ocpp.messages.profile import Kind, Period, Profile, Purpose, Schedule
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.composite import Frame, Step, compose, limit_at, station_limit_at
from bessctl.protocols.ocpp.session.writes import Installed

T0 = 1_800_000_000 * NS
FRAME = Frame(1, 230.0, "tx", T0)


def made(limits: list[tuple[int, float]], connector: int = 1, **given: Any) -> Installed:
    """Times in seconds from T0."""
    purpose = given.get("purpose", Purpose.TX)
    schedule = Schedule(
        given.get("unit", "W"),
        tuple(Period(s, v, given.get("phases")) for s, v in limits),
        None if given.get("start", 0) is None else T0 + given.get("start", 0) * NS,
        given.get("duration"),
        given.get("least"),
    )
    profile = Profile(
        given.get("ident", 1),
        given.get("stack", 0),
        purpose,
        given.get("kind", Kind.ABSOLUTE),
        schedule,
        given.get("every"),
        *(None if given.get(k) is None else T0 + given[k] * NS for k in ("valid_from", "valid_to")),
    )
    return Installed(connector, profile, given.get("tx", "tx" if purpose is Purpose.TX else None))


def steps(installed: list[Installed], seconds: int = 100, frame: Frame = FRAME) -> list[tuple[int, float | None]]:
    return [((s.start_ns - T0) // NS, s.limit_w) for s in compose(installed, frame, T0, T0 + seconds * NS)]


DEFAULT, STATION = Purpose.TX_DEFAULT, Purpose.STATION_MAX

CASES: list[tuple[str, list[Installed], list[tuple[int, float | None]]]] = [
    ("nothing", [], [(0, None)]),
    ("one schedule", [made([(0, 60.0), (10, 30.0), (20, 50.0)])], [(0, 60.0), (10, 30.0), (20, 50.0)]),
    ("equal neighbours are joined", [made([(0, 60.0), (10, 60.0)])], [(0, 60.0)]),
    ("its duration ends it", [made([(0, 60.0)], duration=40)], [(0, 60.0), (40, None)]),
    ("not before its start", [made([(0, 60.0)], start=30)], [(0, None), (30, 60.0)]),
    ("begun before the window", [made([(0, 60.0), (10, 30.0), (40, 20.0)], start=-20)], [(0, 30.0), (20, 20.0)]),
    ("validity", [made([(0, 60.0)], valid_from=10, valid_to=20)], [(0, None), (10, 60.0), (20, None)]),
    # stacking
    ("the higher level rules", [made([(0, 60.0)]), made([(0, 90.0)], ident=2, stack=1)], [(0, 90.0)]),
    ("and gives way where it is silent", [made([(0, 60.0)]), made([(0, 9.0)], ident=2, stack=1, duration=5)], [(0, 9.0), (5, 60.0)]),
    # purposes
    ("Tx overrules TxDefault", [made([(0, 90.0)]), made([(0, 60.0)], purpose=DEFAULT)], [(0, 90.0)]),
    ("TxDefault where Tx is over", [made([(0, 90.0)], duration=5), made([(0, 60.0)], purpose=DEFAULT)], [(0, 90.0), (5, 60.0)]),
    ("another transaction's", [made([(0, 9.0)], tx="old"), made([(0, 60.0)], purpose=DEFAULT)], [(0, 60.0)]),
    ("TxDefault here, and of 0", [made([(0, 9.0)], 0, purpose=DEFAULT, stack=5), made([(0, 60.0)], purpose=DEFAULT)], [(0, 60.0)]),
    ("TxDefault of 0 for all", [made([(0, 9.0)], 0, purpose=DEFAULT)], [(0, 9.0)]),
    ("TxDefault of the other connector", [made([(0, 9.0)], 2, purpose=DEFAULT)], [(0, None)]),
    ("the station caps", [made([(0, 90.0)]), made([(0, 60.0), (50, 120.0)], 0, purpose=STATION)], [(0, 60.0), (50, 90.0)]),
    ("the station alone", [made([(0, 60.0)], 0, purpose=STATION)], [(0, 60.0)]),
    # kinds
    ("relative to the transaction", [made([(0, 60.0), (7, 30.0)], kind=Kind.RELATIVE, start=None)], [(0, 60.0), (7, 30.0)]),
    ("daily", [made([(0, 60.0)], kind=Kind.RECURRING, every=86_400, start=-86_350, duration=20)], [(0, None), (50, 60.0), (70, None)]),
    ("daily, for ever", [made([(0, 60.0), (50, 30.0)], kind=Kind.RECURRING, every=86_400, start=-86_400 * 9)], [(0, 60.0), (50, 30.0)]),
    # minChargingRate
    ("as much as it must be", [made([(0, 60.0), (10, 20.0)], least=20.0)], [(0, 60.0), (10, 20.0)]),
    ("less is not worth having", [made([(0, 60.0), (10, 19.0)], least=20.0)], [(0, 60.0), (10, 0.0)]),
    ("pushed below by the station", [made([(0, 60.0)], least=20.0), made([(0, 19.0)], 0, purpose=STATION)], [(0, 0.0)]),
    ("not by a lower level's", [made([(0, 60.0)]), made([(0, 19.0)], stack=1), made([(0, 9.0)], purpose=DEFAULT, least=99.0)], [(0, 19.0)]),
    ("amps", [made([(0, 10.0)], unit="A", least=11.0)], [(0, 0.0)]),
    # units
    ("amps on three phases", [made([(0, 10.0)], unit="A")], [(0, 6900.0)]),
    ("amps on one phase", [made([(0, 10.0)], unit="A", phases=1)], [(0, 2300.0)]),
    ("mixed units", [made([(0, 10.0)], unit="A"), made([(0, 5000.0)], 0, purpose=STATION)], [(0, 5000.0)]),
    # sign
    ("negative is discharge in the old notation", [made([(0, -60.0)])], [(0, 60.0)]),
    ("zero is an order", [made([(0, 0.0)])], [(0, 0.0)]),
]  # fmt: skip


@pytest.mark.parametrize(("installed", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_composition(installed: list[Installed], expected: list[tuple[int, float | None]]) -> None:
    assert steps(installed) == expected
    assert steps(installed[::-1]) == expected, "the order of arrival does not matter"


def test_without_a_date_the_most_restrictive_period_rules() -> None:
    """Design R8."""
    installed = [made([(0, 60.0), (10, 30.0)], start=500), made([(0, 50.0), (5, 20.0)], 0, purpose=STATION)]
    assert limit_at(installed, FRAME, None) == 20.0
    assert station_limit_at(installed, FRAME, None) == 20.0


def test_a_bounded_series_keeps_its_beginning() -> None:
    installed = [made([(s, float(s % 7)) for s in range(0, 90, 2)])]
    assert compose(installed, FRAME, T0, T0 + 100 * NS, most=5) == compose(installed, FRAME, T0, T0 + 100 * NS)[:5]


PROFILES = st.builds(
    lambda starts, stack, purpose, kind, start, duration, ident: made(
        [(0, float(ident)), *((s, float(ident + s)) for s in sorted(starts))],
        0 if purpose is STATION else 1,
        stack=stack,
        purpose=purpose,
        kind=Kind.ABSOLUTE if purpose is STATION else kind,
        every=60 if kind is Kind.RECURRING else None,
        start=start,
        duration=duration,
        ident=ident,
    ),
    st.sets(st.integers(1, 50), max_size=3),
    st.integers(0, 3),
    st.sampled_from(list(Purpose)),
    st.sampled_from(list(Kind)),
    st.integers(-100, 50),
    st.none() | st.integers(1, 80),
    st.integers(1, 99),
)


@settings(max_examples=60)
@given(st.lists(PROFILES, max_size=5))
def test_the_series_says_at_each_second_what_the_rules_say(installed: list[Installed]) -> None:
    series: list[Step] = compose(installed, FRAME, T0, T0 + 120 * NS)
    assert (series[0].start_ns, series[-1].end_ns) == (T0, T0 + 120 * NS)
    for second in range(120):
        at = T0 + second * NS
        step = next(s for s in series if s.start_ns <= at < s.end_ns)
        assert step.limit_w == limit_at(installed, FRAME, at)
