"""Wake-up of the loop against a bare clock_nanosleep loop: same core, same priority, half a period apart, the same windows.

The loop is the product: the process of `bessctl loop` on a sealed configuration, commanding a simulated plant whose set point changes 40
times a second. The reference is a few lines of C under the same priority with locked memory: nothing on this machine wakes earlier.
Every third window the loop starts anew, so that its phase against the kernel's own tick changes. Each window gives one ratio of the p99s;
the figure is the median.

`missed`: periods that the loop skipped. `missed_own`: those of them for which the machine is no excuse: within 2 ms of them the
reference never woke later than a quarter of a period.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benches import native, rig
from benches.measure import Calm, machine, median_iqr, pin
from bessctl_core import layout as L
from bessctl_core import rt
from tests.scenarios.loop_rig import SLOTS, Loop, block, loop_process

CASES = {"1000-load": (1000, True), "1000": (1000, False), "100-load": (100, True), "100": (100, False)}
WINDOWS = 12
WINDOW_S = 2.0
ENOUGH = 10
MORE = 4
PER_START = 3
PRIORITY = 80
NEAR_NS = 2_000_000
S = 1_000_000_000
BLOCKS = 96


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--case", choices=list(CASES), action="append", help="rate in Hz, with or without load; all where not given")
    parser.add_argument("--windows", type=int, default=WINDOWS, help=f"windows a case ({ENOUGH} calm ones at least to be judged)")
    parser.add_argument("--window", type=float, default=WINDOW_S, help="seconds a window")


@dataclass
class Window:
    """What one window saw: histograms of the loop, and how late the reference woke, period by period."""

    wake: Any
    done: Any
    wake_max_ns: int
    done_max_ns: int
    skips: list[tuple[int, int]]
    missed: int
    reference_first_ns: int
    reference_late_ns: Any


@dataclass
class Case:
    rate_hz: int
    load: bool
    windows: list[Window] = field(default_factory=list)
    discarded: int = 0
    refused: str = ""

    @property
    def period_ns(self) -> int:
        return S // self.rate_hz


class Reference:
    """The bare loop, in a process of its own."""

    def __init__(self, core: int) -> None:
        command = [str(native.compiled("wake_reference")), str(core), str(PRIORITY)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self.ready = self._out.readline() == b"ready\n"

    def begin(self, first_ns: int, period_ns: int, count: int) -> None:
        self._in.write(b"%d %d %d\n" % (first_ns, period_ns, count))
        self._in.flush()

    def end(self, count: int) -> Any:
        return np.frombuffer(self._out.read(8 * count), np.int64)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


# --- one window ---------------------------------------------------------------------------------------------------------------------------


def phase_ns(loop: Loop, period_ns: int) -> int:
    """Where in the period the loop's deadlines lie: the earliest of some wake-ups, seen on the circle."""
    seen = [int(loop.now()["now_ns"]) for _ in range(8)]
    first = seen[0] % period_ns
    return first + min((at - first + period_ns // 2) % period_ns - period_ns // 2 for at in seen)


def follow_plan(loop: Loop, plans: Any, seconds: float) -> None:
    """A plan that changes the set point BLOCKS times in the window."""
    step_ns, now_ns = int(seconds * S / BLOCKS), time.monotonic_ns()
    blocks = [block(40e3 + 20e3 * (i % 2), now_ns + i * step_ns, now_ns + (i + 1) * step_ns) for i in range(BLOCKS)]
    plans.write(SLOTS["manual"], now_ns + 60 * S, L.LapseRule.LAPSE_ZERO, blocks)


def sleep_until(at_ns: int) -> None:
    time.sleep(max(0.0, (at_ns - time.monotonic_ns()) / S))


def one_window(loop: Loop, plans: Any, reference: Reference, period_ns: int, seconds: float) -> Window:
    count = int(seconds * S) // period_ns
    follow_plan(loop, plans, seconds + 0.1)
    ahead_ns = time.monotonic_ns() + 30_000_000
    first_ns = ahead_ns - ahead_ns % period_ns + phase_ns(loop, period_ns) + period_ns // 2
    reference.begin(first_ns, period_ns, count)
    sleep_until(first_ns)
    before = loop.now()
    late_ns = reference.end(count)
    return difference(before, loop.now(), first_ns, late_ns)


def difference(before: dict[str, Any], after: dict[str, Any], first_ns: int, late_ns: Any) -> Window:
    def bins(name: str) -> Any:
        return np.asarray(after[name], np.int64) - np.asarray(before[name], np.int64)

    def largest(name: str, counts: Any) -> int:
        """The maximum since the start where it moved in this window, else no more than the end of the highest bin."""
        end_ns = rt.bin_floor_ns(int(np.flatnonzero(counts).max(initial=0)) + 1)
        return int(after[name]) if after[name] > before[name] else min(int(after[name]), end_ns)

    kept = L.LIMITS["skips"]
    numbers = range(max(before["skips"], after["skips"] - kept), after["skips"])
    skips = [(int(after["skip_ns"][n % kept]), int(after["skip_periods"][n % kept])) for n in numbers]
    wake, done = bins("wake_bins"), bins("done_bins")
    missed = int(after["missed"] - before["missed"])
    return Window(wake, done, largest("wake_max_ns", wake), largest("done_max_ns", done), skips, missed, first_ns, late_ns)


# --- what the windows say -----------------------------------------------------------------------------------------------------------------


def histogram(late_ns: Any) -> Any:
    """The reference's wake-ups in the loop's own bins, so that both are read with the same eyes."""
    counts = np.zeros(L.LIMITS["histogram_bins"], np.int64)
    for late in late_ns[late_ns >= 0].tolist():
        counts[rt.bin_index(late)] += 1
    return counts


def excused(window: Window, period_ns: int) -> int:
    """Skipped periods near which the reference, too, woke later than a quarter of a period, or not at all."""
    late = window.reference_late_ns
    number = np.flatnonzero((late > period_ns // 4) | (late < 0))
    due_ns = window.reference_first_ns + number * period_ns
    woke_ns = due_ns + np.where(late[number] < 0, period_ns, late[number])
    told = 0
    for at_ns, periods in window.skips:
        from_ns = at_ns - (periods + 1) * period_ns
        told += periods if np.any((due_ns <= at_ns + NEAR_NS) & (woke_ns >= from_ns - NEAR_NS)) else 0
    return told


def spread(counts: Any, max_ns: int) -> dict[str, float]:
    """p50, p99, p99.9 from a histogram, and the maximum; us."""
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
    told = {name: round(min(rt.percentile_ns(counts.tolist(), share), max_ns) / 1e3, 2) for name, share in shares.items()}
    return {**told, "max": round(max_ns / 1e3, 2)}


def ratio(window: Window) -> float:
    """The loop's wake p99 over the reference's."""
    return rt.percentile_ns(window.wake.tolist(), 0.99) / rt.percentile_ns(histogram(window.reference_late_ns).tolist(), 0.99)


def figures(case: Case) -> dict[str, Any]:
    calm = case.windows
    judged = len(calm) >= ENOUGH and not case.refused
    result: dict[str, Any] = {
        "rate_hz": case.rate_hz,
        "load": case.load,
        "windows": len(calm),
        "discarded": case.discarded,
        "judged": judged,
    }
    if not judged:
        result["reason"] = case.refused or f"{len(calm)} calm windows, {case.discarded} discarded; {ENOUGH} are needed"
    if not calm:
        return result
    late_ns = np.concatenate([window.reference_late_ns for window in calm])
    done = spread(sum(window.done for window in calm), max(window.done_max_ns for window in calm))
    ratios = [ratio(window) for window in calm]
    median, iqr = median_iqr(ratios)
    missed = sum(window.missed for window in calm)
    return {
        **result,
        "wake_us": spread(sum(window.wake for window in calm), max(window.wake_max_ns for window in calm)),
        "reference_wake_us": spread(histogram(late_ns), int(late_ns.max())),
        "ratio_p99": round(median, 3),
        "ratio_iqr": round(iqr, 3),
        "ratios": [round(each, 3) for each in ratios],
        "missed": missed,
        "missed_own": missed - sum(excused(window, case.period_ns) for window in calm),
        "reference_missed": int(np.count_nonzero(late_ns < 0)),
        "done_us": {"p50": done["p50"], "p99": done["p99"]},
    }


# --- running ------------------------------------------------------------------------------------------------------------------------------


@contextmanager
def started(sealed: Path) -> Iterator[tuple[Loop, Any]]:
    """A loop in RUN with a journal of its own (a third start within ten minutes would trip), and its plans."""
    with tempfile.TemporaryDirectory() as folder, loop_process(Path(folder), sealed) as loop:
        loop.attach()
        loop.until_mode(L.Mode.MODE_RUN)
        yield loop, loop.plans()


def run_case(case: Case, sealed: Path, reference: Reference, options: argparse.Namespace) -> None:
    """As many windows as asked for, and a few more where too many were disturbed."""
    tries = options.windows + MORE
    while tries > MORE or (tries > 0 and len(case.windows) < min(ENOUGH, options.windows)):
        with started(sealed) as (loop, plans):
            case.refused = (
                "" if reference.ready and not loop.now()["flags"] & L.Flag.FLAG_RT_REFUSED else "SCHED_FIFO is not permitted here"
            )
            for _ in range(PER_START):
                tries -= 1
                with Calm() as calm:
                    window = one_window(loop, plans, reference, case.period_ns, options.window)
                if calm.calm:
                    case.windows.append(window)
                else:
                    case.discarded += 1


def measure(names: Sequence[str], options: argparse.Namespace) -> list[Case]:
    cores = rig.two_cores()
    core, other = cores or (0, None)
    if other is not None:
        pin(1)
    cases = []
    with tempfile.TemporaryDirectory() as folder, rig.PlantProcess(Path(folder), other) as plant:
        reference = Reference(core)
        try:
            for name in names:
                rate_hz, loaded = CASES[name]
                cases.append(Case(rate_hz, loaded))
                changes = (("rate_hz: 100 ", f"rate_hz: {rate_hz} "), ("settle_s: 0.5", f"settle_s: 0.1\n  cpu: {core}"))
                sealed, _ = rig.site(Path(folder), plant.port, *changes)
                with ExitStack() as stack:
                    if loaded:
                        stack.enter_context(rig.load(core))
                    run_case(cases[-1], sealed, reference, options)
        finally:
            reference.close()
    return cases


def run(options: argparse.Namespace) -> dict[str, Any]:
    names = options.case or list(CASES)
    cases = [figures(case) for case in measure(names, options)]
    # At the top: the case that is the promise, where it ran.
    return {"bench": "loop", "machine": machine(), **cases[0], "cases": cases}


def _line(case: dict[str, Any]) -> str:
    head = f"{case['rate_hz']:5} Hz, {'loaded' if case['load'] else 'idle  '}, {case['windows']} windows, {case['discarded']} discarded"
    if "wake_us" not in case:
        return f"{head}: {case['reason']}"
    wake, bare = case["wake_us"], case["reference_wake_us"]
    lines = [
        head + ("" if case["judged"] else f"   not judged: {case['reason']}"),
        f"    wake-up    p50 {wake['p50']:8.1f}  p99 {wake['p99']:8.1f}  p99.9 {wake['p999']:8.1f}  max {wake['max']:9.1f} us",
        f"    bare loop  p50 {bare['p50']:8.1f}  p99 {bare['p99']:8.1f}  p99.9 {bare['p999']:8.1f}  max {bare['max']:9.1f} us",
        f"    p99 ratio {case['ratio_p99']:.2f} (IQR {case['ratio_iqr']:.2f}); missed {case['missed']}, own {case['missed_own']}, bare "
        f"{case['reference_missed']}; commands out after p50 {case['done_us']['p50']:.1f}, p99 {case['done_us']['p99']:.1f} us",
    ]
    return "\n".join(lines)


def text(result: dict[str, Any]) -> str:
    return "\n".join(["wake-up of the loop against a bare clock_nanosleep loop on the same core", *map(_line, result["cases"])])


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import bars

    def p99(case: dict[str, Any]) -> dict[str, float]:
        return {"loop p50": case["wake_us"]["p50"], "bare p50": case["reference_wake_us"]["p50"], "loop p99": case["wake_us"]["p99"],
                "bare p99": case["reference_wake_us"]["p99"]}  # fmt: skip

    shown = {f"{c['rate_hz']} Hz{', loaded' if c['load'] else ''}": p99(c) for c in result["cases"] if "wake_us" in c}
    if shown:
        bars(path, "wake-up", "us", shown)
