"""The loop's own figures out of its published histograms."""

from __future__ import annotations

from collections.abc import Sequence

from bessctl_core import rt


def percentile_us(bins: Sequence[int], share: float) -> float:
    """The value below which `share` (0..1) of what was counted lies, microseconds; 0 when nothing was counted."""
    return rt.percentile_ns(bins, share) / 1e3
