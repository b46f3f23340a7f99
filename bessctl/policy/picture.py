"""A plan as a picture: SoC with its targets above, power between its limits below. SVG, written by hand; the same figures as the table.

`png` draws it by matplotlib where that is installed; the controller itself never needs it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from bessctl.errors import UsageError

WIDTH, HEIGHT, LEFT, RIGHT, TOP = 960, 560, 70, 20, 40
SOC_H, POWER_H, GAP = 200, 220, 40
INK, GRID, SOC, CHARGE, DISCHARGE, LIMIT, BAD = "#222", "#ddd", "#1b6ca8", "#2a9d4a", "#d1682b", "#999", "#b3261e"


class _Scale:
    """Instants and values -> pixels."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.start = _at(plan["steps"][0]["start"])
        self.end = _at(plan["steps"][-1]["end"])
        powers = [abs(step[key]) for step in plan["steps"] for key in ("power_w", "lo_w", "hi_w")]
        self.most_w: float = max([1.0, *powers])
        self.power_top = TOP + SOC_H + GAP

    def x(self, when: str) -> float:
        share = (_at(when) - self.start) / (self.end - self.start)
        return LEFT + min(1.0, max(0.0, share)) * (WIDTH - LEFT - RIGHT)

    def soc(self, pct: float) -> float:
        return TOP + SOC_H * (1 - pct / 100)

    def power(self, watts: float) -> float:
        return self.power_top + POWER_H / 2 * (1 - watts / self.most_w)


def _at(when: str) -> float:
    return datetime.fromisoformat(when).timestamp()


def svg(plan: dict[str, Any]) -> str:
    """The picture of a report with at least one step."""
    s = _Scale(plan)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15">Plan of {escape(plan["planned_at"])} ({escape(plan["time_zone"])})</text>',
        *_axes(plan, s), *_soc(plan, s), *_power(plan, s), *_who(plan, s), "</svg>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _line(points: list[tuple[float, float]], colour: str, more: str = "") -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6" {more}/>'


def _axes(plan: dict[str, Any], s: _Scale) -> list[str]:
    found = []
    for pct in (0, 25, 50, 75, 100):
        y = s.soc(pct)
        found.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
        found.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{pct} %</text>')
    for share in (-1, -0.5, 0, 0.5, 1):
        y = s.power(share * s.most_w)
        found.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
        found.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share * s.most_w / 1000:.4g} kW</text>')
    for step in plan["steps"]:
        at = datetime.fromisoformat(step["start"])
        if at.minute == 0 and at.second == 0 and at.hour % 3 == 0:
            x = s.x(step["start"])
            found.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{s.power_top + POWER_H}" stroke="{GRID}"/>')
            found.append(f'<text x="{x:.1f}" y="{s.power_top + POWER_H + 16}" text-anchor="middle">{at:%H:%M}</text>')
    return found


def _soc(plan: dict[str, Any], s: _Scale) -> list[str]:
    points = [(s.x(plan["steps"][0]["start"]), s.soc(plan["soc_pct"])), *((s.x(t["end"]), s.soc(t["soc_pct"])) for t in plan["steps"])]
    found = [_line(points, SOC)]
    if plan["reserve_pct"]:
        y = s.soc(plan["reserve_pct"])
        found.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{BAD}" stroke-dasharray="4 3"/>')
        found.append(f'<text x="{WIDTH - RIGHT}" y="{y - 4:.1f}" text-anchor="end" fill="{BAD}">reserve</text>')
    for kind, colour in (("targets", INK), ("unreachable", BAD)):
        for target in plan[kind]:
            if s.start <= _at(target["at"]) <= s.end:
                x, low, high = s.x(target["at"]), s.soc(target["minimum_pct"]), s.soc(target["maximum_pct"])
                found.append(
                    f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{colour}" stroke-width="4" opacity="0.6"/>'
                )
                found.append(f'<text x="{x + 6:.1f}" y="{high + 12:.1f}" fill="{colour}">{escape(target["policy"])}</text>')
    return found


def _power(plan: dict[str, Any], s: _Scale) -> list[str]:
    found, zero = [], s.power(0)
    for step in plan["steps"]:
        x, width, y = s.x(step["start"]), s.x(step["end"]) - s.x(step["start"]), s.power(step["power_w"])
        if step["power_w"]:
            colour = DISCHARGE if step["power_w"] > 0 else CHARGE
            found.append(f'<rect x="{x:.1f}" y="{min(y, zero):.1f}" width="{width:.1f}" height="{abs(y - zero):.1f}" fill="{colour}"/>')
    for key in ("lo_w", "hi_w"):
        points = [(s.x(step[end]), s.power(step[key])) for step in plan["steps"] for end in ("start", "end")]
        found.append(_line(points, LIMIT, 'stroke-dasharray="5 3"'))
    return found


def _who(plan: dict[str, Any], s: _Scale) -> list[str]:
    """One name under each stretch that somebody sets."""
    found, y, last = [], s.power_top + POWER_H + 34, ""
    for step in plan["steps"]:
        name = step["who"]
        if name and name != last:
            found.append(f'<text x="{s.x(step["start"]):.1f}" y="{y}" font-size="10">{escape(name)}</text>')
            y = y + 11 if y < HEIGHT - 12 else s.power_top + POWER_H + 34
        last = name
    return found


def png(plan: dict[str, Any], path: Path) -> None:
    """The same by matplotlib. Raises UsageError where it is not installed."""
    try:
        import matplotlib  # noqa: PLC0415 - optional
    except ImportError:
        raise UsageError("a PNG needs matplotlib (pip install matplotlib); a name that ends with .svg needs nothing") from None
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    steps = plan["steps"]
    times = [datetime.fromisoformat(steps[0]["start"]), *(datetime.fromisoformat(step["end"]) for step in steps)]
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(9.6, 5.6))
    above.plot(times, [plan["soc_pct"], *(step["soc_pct"] for step in steps)], color=SOC)
    above.set(ylabel="SoC, %", ylim=(0, 100), title=f"Plan of {plan['planned_at']} ({plan['time_zone']})")
    for kind, colour in (("targets", INK), ("unreachable", BAD)):
        for target in plan[kind]:
            if times[0] <= datetime.fromisoformat(target["at"]) <= times[-1]:
                above.vlines(datetime.fromisoformat(target["at"]), target["minimum_pct"], target["maximum_pct"], color=colour, linewidth=4)
    if plan["reserve_pct"]:
        above.axhline(plan["reserve_pct"], color=BAD, linestyle="--")
    below.stairs([step["power_w"] / 1000 for step in steps], times, fill=True, color=CHARGE)
    for key in ("lo_w", "hi_w"):
        below.stairs([step[key] / 1000 for step in steps], times, color=LIMIT, baseline=None)
    below.set(ylabel="kW, + discharges")
    figure.autofmt_xdate()
    figure.savefig(path, dpi=120)
    plt.close(figure)
