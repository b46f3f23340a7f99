"""The loop bench gives the fields it documents, and excuses a skipped period only where the machine is an excuse."""

import numpy as np
import pytest

from benches import rig
from benches.loop import S, Window, difference, excused, histogram, spread
from bessctl_core import layout as L
from bessctl_core import rt
from tests.benches.bench import assert_numbers, bench

PERIOD_NS = S // 1000
FIRST_NS = 5 * S
BINS = L.LIMITS["histogram_bins"]

pytestmark = pytest.mark.skipif(rig.two_cores() is None, reason="loop and everything else need a core each")


def window(skips: list[tuple[int, int]], late_ns: dict[int, int]) -> Window:
    """A second at 1 kHz in which the reference was 20 us late but where told."""
    late = np.full(1000, 20_000, np.int64)
    for period, ns in late_ns.items():
        late[period] = ns
    none = np.zeros(BINS, np.int64)
    return Window(none, none, 0, 0, skips, sum(n for _, n in skips), FIRST_NS, late)


# (instant the loop saw it, periods skipped, reference's late wake-ups by period, periods excused)
EXCUSES = [
    # nobody else was late
    (FIRST_NS + 500 * PERIOD_NS, 3, {}, 0),
    # a quarter of a period is not late yet
    (FIRST_NS + 500 * PERIOD_NS, 3, {499: PERIOD_NS // 4}, 0),
    (FIRST_NS + 500 * PERIOD_NS, 3, {499: PERIOD_NS // 4 + 1}, 3),
    # it woke not at all
    (FIRST_NS + 500 * PERIOD_NS, 3, {499: -1}, 3),
    # late within 2 ms before the first skipped period, and too long before
    (FIRST_NS + 500 * PERIOD_NS, 3, {495: PERIOD_NS // 2}, 3),
    (FIRST_NS + 500 * PERIOD_NS, 3, {490: PERIOD_NS // 2}, 0),
    # late within 2 ms after, and too long after
    (FIRST_NS + 500 * PERIOD_NS, 3, {502: PERIOD_NS // 2}, 3),
    (FIRST_NS + 500 * PERIOD_NS, 3, {503: PERIOD_NS // 2}, 0),
    # one long hold that covers it
    (FIRST_NS + 500 * PERIOD_NS, 3, {400: 99 * PERIOD_NS}, 3),
]


@pytest.mark.parametrize(("at_ns", "periods", "late", "told"), EXCUSES)
def test_only_a_late_reference_nearby_excuses(at_ns: int, periods: int, late: dict[int, int], told: int) -> None:
    assert excused(window([(at_ns, periods)], late), PERIOD_NS) == told


def test_skips_beyond_what_the_state_keeps_are_nobodys_excuse() -> None:
    kept = L.LIMITS["skips"]
    zeros = [0] * BINS
    before = {"wake_bins": zeros, "done_bins": zeros, "wake_max_ns": 0, "done_max_ns": 0, "skips": 5, "missed": 5}
    after = {**before, "skips": 105, "missed": 105, "skip_ns": [FIRST_NS] * kept, "skip_periods": [1] * kept}
    seen = difference(before, after, FIRST_NS, np.full(1000, -1, np.int64))
    assert seen.missed == 100
    assert excused(seen, PERIOD_NS) == kept


def test_reference_and_loop_are_read_in_the_same_bins() -> None:
    counts = histogram(np.asarray([-1, 0, 100, 20_000, 20_001], np.int64))
    assert counts.sum() == 4
    assert counts[rt.bin_index(20_000)] == 2
    told = spread(counts, 20_001)
    assert told["p50"] <= told["p99"] <= told["p999"] <= told["max"] == pytest.approx(20.0)


def test_the_bench_tells_what_it_documents() -> None:
    result = bench("loop", "--case", "1000-load", "--windows", "1", "--window", "0.2")
    assert not result["judged"], "one window is too few to say anything"
    for case in (result, *result["cases"]):
        assert case["rate_hz"] == 1000
        assert case["load"] is True
        assert_numbers(case, "windows", "discarded")
        if case["windows"]:
            assert_numbers(case, "ratio_p99", "missed", "missed_own", "reference_missed")
            assert_numbers(case["wake_us"], "p50", "p99", "p999", "max")
            assert_numbers(case["reference_wake_us"], "p50", "p99", "p999", "max")
            assert_numbers(case["done_us"], "p50", "p99")
