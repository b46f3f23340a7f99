"""R9: whatever sequence of outages 1 to 16 units go through, no limit is exceeded by what a silent one may still be giving.

`make ticks` runs these stories, and those of plant.py, for a million ticks (tools/ticks.py).
"""

from __future__ import annotations

import pytest

from tests.properties.outages import told
from tools import ticks


@pytest.mark.parametrize("units", range(1, 17))
def test_R9_outages_of_1_to_16_units_keep_every_limit(units: int) -> None:
    story = told(7 + units, 700, units)
    assert story.ticks >= 700
    assert story.outages >= 3
    assert story.powered > 20, "a story in which nothing runs proves nothing"


def test_a_million_ticks_are_counted_as_they_are_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`make ticks` stops when so many ticks were looked at, and says how many of which story; a broken promise is its exit code."""
    monkeypatch.setattr(ticks, "OUTAGE_TICKS", 50)
    monkeypatch.setattr(ticks, "EVENTS", 2)
    assert ticks.MILLION == 10**6
    name, seed, count, what = ticks.told((0, 3))
    assert (name, seed, what) == ("outages", 3, "")
    assert 50 <= count < 400
    assert ticks.told((1, 3))[2] >= 500
    monkeypatch.setattr(ticks, "STORIES", (_broken, _broken))
    assert "AssertionError: a promise" in ticks.told((0, 3))[3]


def _broken(seed: int) -> int:
    raise AssertionError("a promise")
