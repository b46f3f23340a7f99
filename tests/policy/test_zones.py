"""Daylight saving in three zones, both traps: the gap means the first valid instant after it, a time that comes twice fires once."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessctl.errors import UsageError
from bessctl.policy.schedule import Once, Weekly, clock, day_number, instants, moment
from bessctl.policy.zones import instant, local, zone

NS = 1_000_000_000
ZONES = ("Europe/Brussels", "America/New_York", "Australia/Lord_Howe")


def utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("name", "day", "at", "expected"),
    [
        # Brussels, spring 2026: 02:00 -> 03:00 on 29 March. The gap begins and ends at 01:00 UTC.
        ("Europe/Brussels", date(2026, 3, 29), time(1, 59), "2026-03-29 00:59:00"),
        ("Europe/Brussels", date(2026, 3, 29), time(2, 0), "2026-03-29 01:00:00"),
        ("Europe/Brussels", date(2026, 3, 29), time(2, 30), "2026-03-29 01:00:00"),
        ("Europe/Brussels", date(2026, 3, 29), time(2, 59), "2026-03-29 01:00:00"),
        ("Europe/Brussels", date(2026, 3, 29), time(3, 0), "2026-03-29 01:00:00"),
        ("Europe/Brussels", date(2026, 3, 29), time(6, 0), "2026-03-29 04:00:00"),
        # autumn: 03:00 -> 02:00 on 25 October; 02:30 comes at 00:30 and at 01:30 UTC
        ("Europe/Brussels", date(2026, 10, 25), time(2, 30), "2026-10-25 00:30:00"),
        ("Europe/Brussels", date(2026, 10, 25), time(2, 0), "2026-10-25 00:00:00"),
        ("Europe/Brussels", date(2026, 10, 25), time(3, 0), "2026-10-25 02:00:00"),
        # New York: 8 March and 1 November 2026
        ("America/New_York", date(2026, 3, 8), time(2, 30), "2026-03-08 07:00:00"),
        ("America/New_York", date(2026, 11, 1), time(1, 30), "2026-11-01 05:30:00"),
        ("America/New_York", date(2026, 11, 1), time(2, 0), "2026-11-01 07:00:00"),
        # Lord Howe changes by half an hour: 4 October 02:00 -> 02:30, 5 April 02:00 -> 01:30
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), "2026-10-03 15:30:00"),
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 30), "2026-10-03 15:30:00"),
        ("Australia/Lord_Howe", date(2026, 4, 5), time(1, 45), "2026-04-04 14:45:00"),
        ("Australia/Lord_Howe", date(2026, 4, 5), time(2, 0), "2026-04-04 15:30:00"),
        # a whole day that did not exist
        ("Pacific/Apia", date(2011, 12, 30), time(6, 0), "2011-12-30 10:00:00"),
    ],
)
def test_wall_times_on_the_days_of_change(name: str, day: date, at: time, expected: str) -> None:
    assert utc(instant(day, at, zone(name))) == expected


@pytest.mark.parametrize("name", ZONES)
def test_a_weekly_schedule_fires_once_on_each_day_over_a_year_of_changes(name: str) -> None:
    """2:15 each day of two years: exactly one instant a day, in order, and each at 2:15 or at the end of that day's gap."""
    schedule = Weekly(frozenset(range(7)), time(2, 15), name)
    start = int(datetime(2025, 12, 31, 12, tzinfo=UTC).timestamp())
    found = instants(schedule, start * NS, (start + 730 * 86400) * NS)
    walls = [local(at / NS, zone(name)) for at in found]
    assert len({wall.date() for wall in walls}) == len(found)
    assert abs(len(found) - 730) <= 1
    odd = [wall for wall in walls if (wall.hour, wall.minute) != (2, 15)]
    assert len(odd) == {"Europe/Brussels": 2, "America/New_York": 2, "Australia/Lord_Howe": 2}[name]
    assert {(w.hour, w.minute) for w in odd} == {(2, 30) if name == "Australia/Lord_Howe" else (3, 0)}


@given(st.sampled_from(ZONES), st.dates(date(2020, 1, 1), date(2035, 1, 1)), st.times())
def test_an_instant_is_never_before_its_wall_time_and_the_first_of_its_kind(name: str, day: date, at: time) -> None:
    tz, at = zone(name), at.replace(second=0, microsecond=0)
    seconds = instant(day, at, tz)
    wall = local(seconds, tz).replace(tzinfo=None)
    assert wall >= datetime.combine(day, at)
    assert wall - datetime.combine(day, at) <= timedelta(hours=1)
    before = local(seconds - 1, tz).replace(tzinfo=None)
    assert before < datetime.combine(day, at), "one second earlier the wall clock had not yet reached it"


def test_once_is_a_list_of_instants_with_a_zone() -> None:
    once = Once((moment("2026-01-31T06:00:00+01:00"), moment("2026-01-30T06:00:00Z")))
    assert instants(once, 0, 2**62) == sorted(once.at_ns)
    assert instants(once, min(once.at_ns), max(once.at_ns)) == [min(once.at_ns)]


@pytest.mark.parametrize(
    ("call", "argument", "words"),
    [
        (moment, "2026-01-31T06:00:00", "is no date-time with a zone"),
        (moment, "tomorrow", "is no date-time with a zone"),
        (clock, "24:00", "is no time of day"),
        (clock, "6", "is no time of day"),
        (day_number, "Fryday", "is no day of the week"),
        (zone, "Europe/Brussel", "there is no IANA time zone"),
        (zone, "../../etc/passwd", "is no IANA time zone"),
        (zone, "", "is no IANA time zone"),
    ],
)
def test_what_is_no_time_is_told(call: object, argument: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        call(argument)  # type: ignore[operator]


def test_days_in_any_case() -> None:
    assert [day_number(d) for d in ("Monday", "TUESDAY", "wed", "sunday")] == [0, 1, 2, 6]
