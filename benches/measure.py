"""What every bench needs: the machine, the steal of its windows, percentiles, pinning."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

STEAL_MAX_S = 0.05
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, Any]:
    """What ran the bench: figures mean nothing without it."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            model = line.split(":", 1)[1].strip()
            break
    return {
        "cpu": model or platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "arch": platform.machine(),
        "python": platform.python_version(),
    }


def steal_s() -> float:
    """Seconds the hypervisor took from us so far, over all cores (/proc/stat, eighth figure)."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return int(fields[8]) / TICKS_PER_S if len(fields) > 8 else 0.0


class Calm:
    """`with Calm() as w: ...` then `w.calm`: was less than STEAL_MAX_S stolen meanwhile?"""

    def __enter__(self) -> Calm:
        self._before = steal_s()
        return self

    def __exit__(self, *_: object) -> None:
        self.stolen_s = steal_s() - self._before
        self.calm = self.stolen_s <= STEAL_MAX_S


class Others:
    """`with Others() as o: ...` then `o.share`: what part of the processors processes other than ours and our children used meanwhile.

    Children count once they were waited for.
    """

    @staticmethod
    def _now() -> tuple[float, float, float]:
        fields = [int(field) / TICKS_PER_S for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:8]]
        ours = os.times()
        return sum(fields) - fields[3] - fields[4], sum(ours[:4]), ours.elapsed

    def __enter__(self) -> Others:
        self._before = self._now()
        return self

    def __exit__(self, *_: object) -> None:
        busy_s, ours_s, wall_s = (after - before for after, before in zip(self._now(), self._before, strict=True))
        self.share = max(0.0, busy_s - ours_s) / max(wall_s * (os.cpu_count() or 1), 1e-9)


def percentiles(values: Sequence[float] | Any, scale: float = 1.0, which: Iterable[float] = (50, 99, 99.9)) -> dict[str, float]:
    """{"p50": ..., "p99": ..., "p999": ..., "max": ...} of values times scale, three digits."""
    array = np.asarray(values, dtype=float) * scale
    named = {f"p{q:g}".replace(".", ""): round(float(np.percentile(array, q)), 3) for q in which}
    return {**named, "max": round(float(array.max()), 3)}


def median_iqr(values: Sequence[float]) -> tuple[float, float]:
    """Median and interquartile range."""
    low, mid, high = np.percentile(np.asarray(values), [25, 50, 75])
    return float(mid), float(high - low)


def cores() -> list[int]:
    """The cores this process may use."""
    return sorted(os.sched_getaffinity(0))


def realtime(priority: int) -> bool:
    """SCHED_FIFO for this process, so that ordinary ones do not stand in a measurement's way; False where it is not permitted."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except PermissionError:
        return False
    return True


def pin(core: int) -> bool:
    """This thread on one core; False where the machine has it not."""
    here = cores()
    if core >= len(here):
        return False
    os.sched_setaffinity(0, {here[core]})
    return True
