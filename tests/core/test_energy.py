"""Energy registers: the device's own counter is primary, the integral of power between its readings and the cross-check; never backwards.

36 kW are 10 Wh a second. Ticks are 0.2 s apart here: real time counts, whatever the period.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl_core import layout as L
from bessctl_core.journal import Journal
from tests.core.rig import PERIOD_NS, PLANT, Q, Rig, S, config

EV = L.EventCode.EV_ENERGY
ROLLED, REPLACED, STUCK, DIFFERS = 1, 2, 3, 4
OUT, IN = "unit_export_wh", "unit_import_wh"


class Metered:
    """A plant whose unit 0 gives 36 kW, and the counter that its PCS shows: `share` of what really flows, in whole steps."""

    def __init__(self, at_wh: float = 1000.0, *, share: float = 1.0, step_wh: float = 1.0, **words: Any) -> None:
        units = words.pop("units", 1)
        c = config(units)
        c[0]["unit_key"][:units] = words.pop("keys", range(101, 101 + units))
        self.r = Rig(c, follow=False, **words)
        self.share, self.step_wh, self.true_wh = share, step_wh, at_wh
        self.counts = True
        self.r.set(Q.Q_AC_W, 36e3)
        self.show()
        self.r.run()

    def show(self) -> None:
        if self.counts:
            self.r.set(Q.Q_EXPORT_WH, math.floor(self.true_wh / self.step_wh + 1e-9) * self.step_wh)

    def run(self, seconds: float) -> float:
        """So long at 36 kW; what the register gained."""
        before = float(self.r.state[OUT][0])
        for _ in range(round(seconds * 5)):
            self.true_wh += 2 * self.share
            self.show()
            self.r.tick(1, S // 5)
            assert self.r.state[OUT][0] >= before
        return float(self.r.state[OUT][0]) - before

    def faults(self) -> list[int]:
        return [event["detail"] for event in self.r.events(EV)]


@pytest.mark.parametrize(("share", "step_wh"), [(1.0, 1.0), (0.97, 1.0), (1.03, 1.0), (0.97, 10.0), (1.0, 100.0)])
def test_the_register_follows_the_counter_and_not_the_integral(share: float, step_wh: float) -> None:
    """Over 200 s within two of the counter's steps, though power measures otherwise."""
    m = Metered(share=share, step_wh=step_wh)
    m.run(100)
    at = m.true_wh
    gained = m.run(200)
    assert abs(gained - (m.true_wh - at)) <= 3 * step_wh
    assert not m.faults()


def test_between_two_readings_the_integral_goes_on() -> None:
    m = Metered(step_wh=100.0)
    m.run(45)
    assert m.run(0.2) == pytest.approx(2.0, abs=0.01)


def test_counter_and_integral_that_disagree_are_told_once() -> None:
    m = Metered(share=0.9)
    m.run(100)
    assert m.faults() == [DIFFERS]
    m.run(50)
    assert m.faults() == [DIFFERS]


@pytest.mark.parametrize("span", [2.0**32, 2.0**32 * 1e-3, 1e8])
def test_a_counter_that_rolls_over_is_counted_on(span: float) -> None:
    m = Metered(span - 50)
    m.run(4)
    m.true_wh -= span
    assert m.run(4) == pytest.approx(40, abs=3)
    m.counts = True
    m.true_wh += 20  # over the end
    m.run(1)
    assert not set(m.faults()) - {ROLLED, REPLACED}


def test_over_the_end_itself() -> None:
    m = Metered(2.0**32 - 5.5)
    before = m.r.state[OUT][0]
    for _ in range(10):
        m.true_wh += 2
        m.r.set(Q.Q_EXPORT_WH, math.floor(m.true_wh) % 2**32)
        m.r.tick(1, S // 5)
    assert m.r.state[OUT][0] - before == pytest.approx(20, abs=2)
    assert m.faults() == [ROLLED]


@pytest.mark.parametrize("now_wh", [3.0, 5e6, 1e12], ids=["reset", "another device", "nonsense"])
def test_a_counter_that_was_replaced_or_lies_adds_nothing_of_its_own(now_wh: float) -> None:
    m = Metered(700_000.0)
    m.run(20)
    m.true_wh = now_wh
    assert m.run(10) == pytest.approx(100, abs=3)
    assert m.faults() == [REPLACED]
    assert m.run(10) == pytest.approx(100, abs=3)
    assert m.faults() == [REPLACED]


def test_a_counter_that_stands_still_while_power_flows_is_left_behind() -> None:
    m = Metered()
    m.run(10)
    m.counts = False
    assert m.run(90) == pytest.approx(900, abs=5)
    assert m.faults() == [STUCK]
    m.counts = True
    m.run(1)
    assert m.run(10) == pytest.approx(100, abs=3), "and followed again once it moves, nothing twice"


def test_a_counter_without_a_value_is_none() -> None:
    m = Metered()
    m.run(5)
    m.counts = False
    m.r.set(Q.Q_EXPORT_WH, math.nan)
    assert m.run(20) == pytest.approx(200, abs=3)


def test_import_has_its_own_register() -> None:
    m = Metered()
    m.r.set(Q.Q_AC_W, -36e3)
    m.counts = False
    exported = m.r.state[OUT][0]
    m.r.tick(50, S // 5)
    assert m.r.state[IN][0] == pytest.approx(100, abs=0.2)
    assert m.r.state[OUT][0] == exported


def test_the_connection_has_registers_of_the_meters_counters() -> None:
    """The meter's own counter, whose sf says 1 Wh; import and export apart."""
    r = Rig(config(1, has_meter=1), follow=False)
    r.meter(72e3)
    r.set(Q.Q_AC_W, 36e3)
    r.run()
    for wh in range(30):
        r.set(Q.Q_IMPORT_WH, 500.0 + 10 * wh, place=PLANT)
        r.set(Q.Q_EXPORT_WH, 77.0, place=PLANT)
        r.tick(2, S // 2)
    assert r.state["pcc_import_wh"] == pytest.approx(300, abs=25)
    assert r.state["pcc_export_wh"] == 0


# --- power cuts ---


boots = 0


def after(m: Metered, **words: Any) -> Metered:
    """Power is cut, and comes again: what the last record held is all that is known."""
    global boots  # noqa: PLW0603
    boots += 1
    facts: dict[str, Any] = {"realtime_s": 1_700_000_000 + 1000 * boots, "boot_id": (1, 9 + boots)} | words
    return Metered(facts.pop("at_wh", m.true_wh), journal=m.r.h.journal(), **facts)


def test_what_flowed_while_no_loop_ran_counts_by_the_counter() -> None:
    m = Metered()
    m.run(15)
    before = m.r.state[OUT][0]
    again = after(m, at_wh=m.true_wh + 400)
    assert again.r.state[OUT][0] - before == pytest.approx(403, abs=4)


@pytest.mark.parametrize("disk_s", [0.0, 0.2, 1.0])
def test_without_a_counter_at_most_ten_seconds_are_lost(tmp_path: Path, disk_s: float) -> None:
    """R6: the journal's own files, on a disk that takes its time; power is cut at every instant, with the supervisor dead: nothing of it is
    in between. A disk that takes longer than a second is told (`test_loop_process.py`)."""
    m = Metered()
    m.counts = False
    m.r.values.pop((0, Q.Q_EXPORT_WH))
    disk = Journal(str(tmp_path))
    posted_at, lost, registers = -1.0, [], []
    for tick in range(150):
        m.r.tick(1, S // 5)
        if m.r.h.out["journal_due"]:
            disk.post(m.r.h.journal())
            posted_at = tick / 5
        if posted_at >= 0 and tick / 5 - posted_at >= disk_s:
            disk.write_due()
            posted_at = -1.0
        after_cut = Journal(str(tmp_path))
        if after_cut.newest_bytes is not None:
            again = Rig(config(1, unit_key=[101] + [0] * 15), journal=after_cut.newest_bytes, boot_id=(1, 9))
            registers.append(float(again.tick()[OUT][0]))
            lost.append(float(m.r.state[OUT][0]) - registers[-1])
        after_cut.close()
    disk.close()
    assert len(lost) > 100
    assert 85 < max(lost) <= 100, "36 kW are 10 Wh a second"
    assert min(lost) >= 0
    assert registers == sorted(registers), "never backwards"


OFF = [
    # boot of the second start, is the clock a time of day then, and now -> is it known that only 100 s have passed?
    ((1, 2), False, False, True),
    ((1, 2), True, False, True),
    ((7, 2), False, False, False),
    ((1, 7), False, False, False),
    ((1, 7), True, True, True),
    ((7, 2), True, True, True),
    ((1, 7), True, False, False),
    ((1, 7), False, True, False),
]


@pytest.mark.parametrize(("boot_id", "then", "now", "known"), OFF)
def test_how_far_a_counter_may_have_come_is_known_by_the_time_that_no_loop_ran(
    boot_id: tuple[int, int], then: bool, now: bool, known: bool
) -> None:
    """R8: 300 kWh are nothing for a day of 200 kW, and too much for 100 s of it, or for the twenty minutes since the boot."""
    m = Metered(boot_id=(1, 2), realtime_s=1_700_000_000, clock_trusted=then)
    m.run(15)
    facts = {"now_ns": m.r.now_ns + 100 * S, "realtime_s": 1_700_000_115}
    again = Metered(m.true_wh + 300e3, journal=m.r.h.journal(), boot_id=boot_id, clock_trusted=now, **facts)
    assert again.faults() == ([REPLACED] if known else [])


def test_a_counter_that_was_exchanged_during_the_cut_adds_nothing() -> None:
    m = Metered(80_000.0)
    m.run(15)
    before = m.r.state[OUT][0]
    again = after(m, at_wh=12.0)
    assert again.r.state[OUT][0] - before == pytest.approx(3, abs=1)
    assert again.faults() == [REPLACED]


def test_registers_follow_a_unit_through_a_changed_configuration() -> None:
    """By its key: moved to another place, gone, and there again."""
    m = Metered(units=2, keys=[7, 8])
    m.run(20)
    wh = m.r.state[OUT][0]
    moved = after(m, units=3, keys=[8, 9, 7], at_wh=0.0)
    moved.r.values.pop((0, Q.Q_EXPORT_WH), None)
    assert moved.r.state[OUT][2] == wh
    assert moved.r.state[OUT][1] == 0
    gone = after(moved, units=1, keys=[9], at_wh=0.0)
    back = after(gone, units=2, keys=[9, 7], at_wh=0.0)
    assert back.r.state[OUT][1] == wh


# --- whatever a counter says ---

SAYS = st.one_of(st.floats(0, 1e6), st.sampled_from((0.0, 2.0**32 - 1, 1e12, -5.0, math.nan, math.inf)), st.none())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SAYS, st.sampled_from((0.0, 36e3, -36e3, 200e3)), st.integers(1, 60)), max_size=12))
def test_no_register_ever_goes_backwards_or_beyond_what_can_have_flowed(says: list[Any]) -> None:
    """A gain is at most 1.2 x rated power x time and a counter's step or two, whatever the counter says."""
    r = Rig(config(1), follow=False).run()
    start_ns = r.now_ns
    for value, w, ticks in says:
        r.set(Q.Q_AC_W, w)
        if value is not None:
            r.set(Q.Q_EXPORT_WH, value)
            r.set(Q.Q_IMPORT_WH, value)
        before = (r.state[OUT][0], r.state[IN][0])
        r.tick(ticks)
        assert (r.state[OUT][0], r.state[IN][0]) >= before
        assert r.state[OUT][0] >= before[0]
        assert r.state[IN][0] >= before[1]
        assert math.isfinite(r.state[OUT][0])
    possible = 200e3 * ((r.now_ns - start_ns) / S + 2.0 * len(says)) / 3600
    assert r.state[OUT][0] <= 4 * possible + 100
    assert PERIOD_NS > 0
