"""The bins of the loop's histograms."""

from __future__ import annotations

from collections.abc import Sequence

from bessctl_core import rt


def bins(counts: Sequence[int]) -> list[tuple[float, float, int]]:
    """(from, to, count) in microseconds, as published."""
    return [(rt.bin_floor_ns(i) / 1e3, rt.bin_floor_ns(i + 1) / 1e3, count) for i, count in enumerate(counts)]
