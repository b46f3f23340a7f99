"""The loop's own figures out of its published state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bessctl.corelink.health import percentile_us


@dataclass(frozen=True, slots=True)
class Health:
    """Since the loop's start. Wake-up: how late a period began, microseconds."""

    periods: int
    missed: int
    missed_own: int
    wake_p50_us: float
    wake_p99_us: float
    wake_max_us: float


def health(state: dict[str, Any]) -> Health:
    """From CoreLink.state()."""
    return Health(
        periods=state["periods"],
        missed=state["missed"],
        missed_own=state["missed_own"],
        wake_p50_us=percentile_us(state["wake_bins"], 0.50),
        wake_p99_us=percentile_us(state["wake_bins"], 0.99),
        wake_max_us=state["wake_max_ns"] / 1e3,
    )
