"""What the loop takes from the kernel, and how its histograms are read (CARD-5)."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessctl_core import rt

BINS = 96


@given(st.integers(0, 1 << 23))
def test_a_value_lies_in_its_bin(ns: int) -> None:
    index = rt.bin_index(ns)
    assert rt.bin_floor_ns(index) <= ns
    assert ns < rt.bin_floor_ns(index + 1) or index == BINS - 1


def test_bins_follow_each_other_and_are_narrow() -> None:
    """At most an eighth of the value wide, from 4 us up; below that half a microsecond."""
    floors = [rt.bin_floor_ns(index) for index in range(BINS + 1)]
    assert floors == sorted(set(floors))
    assert all(high - low <= max(512, low / 8) for low, high in pairwise(floors))
    assert floors[-1] > 8_000_000


@pytest.mark.parametrize("ns", [-1, 0, 10**12])
def test_what_is_out_of_range_is_counted_at_the_end_it_passes(ns: int) -> None:
    assert rt.bin_index(ns) == (0 if ns <= 0 else BINS - 1)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.999])
def test_percentiles_are_true_within_a_bin(share: float) -> None:
    drawn = random.Random(1)
    values = sorted(int(drawn.lognormvariate(math.log(15_000), 0.8)) for _ in range(20_000))
    bins = [0] * BINS
    for value in values:
        bins[rt.bin_index(value)] += 1
    assert rt.percentile_ns(bins, share) == pytest.approx(values[round(share * len(values)) - 1], rel=0.13)


def test_nothing_counted_has_no_percentile() -> None:
    assert math.isnan(rt.percentile_ns([0] * BINS, 0.5))


def test_a_signal_is_read_from_its_file_and_kills_nobody() -> None:
    """SIGTERM is a request to the loop, not the end of it (R15)."""
    program = """
import os, select, signal
from bessctl_core import rt
fd = rt.signal_file([signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
assert select.select([fd], [], [], 10)[0]
print(int.from_bytes(os.read(fd, 128)[:4], "little"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": "core"}
    )
    assert int(done.stdout) == signal.SIGTERM


def test_a_refused_privilege_is_an_errno_not_an_exception() -> None:
    assert rt.pin(5000) == 22
    assert rt.pin(-1) == 22


def test_the_clock_is_the_one_everything_counts_by() -> None:
    """CLOCK_MONOTONIC, which Python's time.monotonic and the kernel's timers count as well."""
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert before <= rt.monotonic() <= time.clock_gettime_ns(time.CLOCK_MONOTONIC)
