"""What the audience sees: a live table on a terminal, plain lines elsewhere. Everything goes to stderr when stdout carries JSON."""

from __future__ import annotations

import time
from collections import deque
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from bessctl.demo.health import Health
from bessctl.model.snapshot import PlantSnapshot

LINES = 16


def kw(w: float | None) -> str:
    """Kilowatts for people; a missing value is said, not made up."""
    return "missing" if w is None else f"{w / 1e3:+.1f} kW"


def left(until_ns: int, now_ns: int) -> str:
    """How long a lease still runs."""
    return f"{(until_ns - now_ns) / 1e9:+.1f} s" if until_ns else "-"


def plant_table(shot: PlantSnapshot, health: Health) -> Table:
    """Power, SoC, envelope with its bindings, sources, loop health."""
    table = Table.grid(padding=(0, 2))
    unit = shot.units[0]
    table.add_row("mode", shot.mode, "SoC", "missing" if unit.soc_pct is None else f"{unit.soc_pct:.1f} %")
    table.add_row("ESS", kw(shot.ess_w), "commanded", kw(shot.command_w))
    table.add_row("PCC", kw(shot.pcc_w), "cell max", "missing" if unit.cell_temp_max_c is None else f"{unit.cell_temp_max_c:.1f} C")
    table.add_row("may discharge", kw(shot.hi.value_w), "because of", str(shot.hi.binding))
    table.add_row("may charge", kw(shot.lo.value_w), "because of", str(shot.lo.binding))
    for slot in shot.slots:
        table.add_row(
            f"plan {slot.source}",
            slot.state,
            "target, lease",
            f"{kw(slot.target_w) if slot.target_w is not None else 'none'}, {left(slot.lease_until_ns, shot.now_ns)}",
        )
    table.add_row(
        "loop",
        f"{health.periods} periods, {health.missed} missed",
        "wake-up",
        f"p50 {health.wake_p50_us:.0f} us, p99 {health.wake_p99_us:.0f} us, max {health.wake_max_us:.0f} us",
    )
    return table


class Screen:
    """`with Screen(file) as s`: `s.look(snapshot, health)` and `s.say(line)`."""

    def __init__(self, file: TextIO) -> None:
        self._console = Console(file=file)
        self._lines: deque[str] = deque(maxlen=LINES)
        self._live: Live | None = None
        self._last_s = 0.0

    def __enter__(self) -> Screen:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=8, transient=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """A line of the play."""
        if self._live is None:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            self._lines.append(line)

    def look(self, shot: PlantSnapshot, health: Health) -> None:
        """The plant now; a line a second without a terminal."""
        if self._live is not None:
            self._live.update(Group(Panel(plant_table(shot, health), title="bessctl demo"), "\n".join(self._lines)))
            return
        now_s = time.monotonic()
        if now_s - self._last_s >= 1.0:
            self._last_s = now_s
            bounds = f"{kw(shot.lo.value_w)} ({shot.lo.binding}) .. {kw(shot.hi.value_w)} ({shot.hi.binding})"
            self.say(f"    {shot.mode:8} ess {kw(shot.ess_w):>10}  envelope {bounds}")
