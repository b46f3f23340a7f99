"""Plots as inline SVG: lines over time with axes and a legend. Pure; no script, nothing from outside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 860, 230
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 26, 30
COLOURS = ("#1b5e9c", "#c0392b", "#2e7d32", "#8e5ea2", "#e08e0b", "#555555")
MOST_POINTS = 900


@dataclass(frozen=True)
class Line:
    """One curve. `dashed`: a limit rather than a measurement."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


def nice_step(span: float, ticks: int) -> float:
    """1, 2 or 5 times a power of ten, so that about `ticks` fit."""
    raw = max(span, 1e-12) / ticks
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw - 1e-15)


def ticks(lo: float, hi: float, count: int) -> list[float]:
    step = nice_step(hi - lo, count)
    first = math.ceil(lo / step - 1e-9)
    return [k * step for k in range(first, math.floor(hi / step + 1e-9) + 1)]


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Few enough to draw, keeping the least and the most of each stretch."""
    good = [(t, v) for t, v in points if math.isfinite(v)]
    if len(good) <= MOST_POINTS:
        return good
    stretch = 2 * len(good) // MOST_POINTS + 1
    kept = []
    for i in range(0, len(good), stretch):
        part = good[i : i + stretch]
        kept += sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])})
    return kept


def plot(title: str, unit: str, lines: Sequence[Line], marks: Sequence[tuple[float, str]] = ()) -> str:
    """One picture. `marks`: instants with what was done then."""
    drawn = [(line, thinned(line.points)) for line in lines]
    values = [v for _, points in drawn for _, v in points]
    instants = [t for _, points in drawn for t, _ in points]
    if not values:
        return ""
    lo, hi = min(values), max(values)
    pad = max(0.06 * (hi - lo), 0.02 * max(abs(lo), abs(hi)), 1e-9)
    frame = _Frame(min(instants), max(instants), lo - pad, hi + pad)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">', frame.axes(unit)]
    parts += [frame.mark(t, text) for t, text in marks if frame.t0 <= t <= frame.t1]
    parts += [frame.path(line, points, COLOURS[i % len(COLOURS)]) for i, (line, points) in enumerate(drawn)]
    parts.append(f'<text x="{LEFT}" y="15" class="t">{escape(title)}</text>{_legend(lines)}</svg>')
    return "".join(parts)


def _legend(lines: Sequence[Line]) -> str:
    x, parts = WIDTH - RIGHT, []
    for i, line in reversed(list(enumerate(lines))):
        parts.append(f'<text x="{x}" y="15" text-anchor="end" style="fill:{COLOURS[i % len(COLOURS)]}">{escape(line.name)}</text>')
        x -= 7 * len(line.name) + 16
    return "".join(parts)


@dataclass(frozen=True)
class _Frame:
    t0: float
    t1: float
    lo: float
    hi: float

    def x(self, t: float) -> float:
        return LEFT + (t - self.t0) / max(self.t1 - self.t0, 1e-9) * (WIDTH - LEFT - RIGHT)

    def y(self, v: float) -> float:
        return TOP + (self.hi - v) / (self.hi - self.lo) * (HEIGHT - TOP - BOTTOM)

    def axes(self, unit: str) -> str:
        parts = [f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}" class="f"/>']
        for v in ticks(self.lo, self.hi, 5):
            y = self.y(v)
            parts.append(
                f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" class="g"/><text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{v:g}</text>'
            )
        for t in ticks(self.t0, self.t1, 9):
            parts.append(f'<text x="{self.x(t):.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{t:g}</text>')
        parts.append(
            f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end">s</text><text x="6" y="{TOP + 4}">{escape(unit)}</text>'
        )
        return "".join(parts)

    def mark(self, t: float, text: str) -> str:
        return f'<path d="M{self.x(t):.1f} {TOP}V{HEIGHT - BOTTOM}" class="m"><title>{escape(text)}</title></path>'

    def path(self, line: Line, points: Sequence[tuple[float, float]], colour: str) -> str:
        steps = "L".join(f"{self.x(t):.1f} {self.y(v):.1f}" for t, v in points)
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        return f'<path d="M{steps}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'


def bars(title: str, unit: str, counts: Sequence[tuple[float, float, int]]) -> str:
    """A histogram: (from, to, count), both axes logarithmic, empty ends left out."""
    filled = [bar for bar in counts if bar[2]]
    if not filled:
        return ""
    lo, hi = math.log10(max(filled[0][0], 0.5)), math.log10(max(filled[-1][1], 1.0))
    most = math.log10(max(bar[2] for bar in filled)) + 0.3
    frame = _Frame(lo, hi, 0.0, most)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    parts.append(f'<text x="{LEFT}" y="15" class="t">{escape(title)}</text>')
    parts.append(f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}" class="f"/>')
    for start, end, count in filled:
        left, right = frame.x(max(lo, math.log10(max(start, 0.5)))), frame.x(math.log10(max(end, 1.0)))
        top = frame.y(math.log10(count) + 0.3)
        size = f'width="{max(right - left - 1, 1):.1f}" height="{HEIGHT - BOTTOM - top:.1f}"'
        parts.append(f'<rect x="{left:.1f}" y="{top:.1f}" {size} fill="{COLOURS[0]}"/>')
    for power in range(math.ceil(lo), math.floor(hi) + 1):
        parts.append(f'<text x="{frame.x(power):.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{10**power:g}</text>')
    for power in range(math.floor(most) + 1):
        parts.append(f'<text x="{LEFT - 6}" y="{frame.y(min(power + 0.3, most)) + 4:.1f}" text-anchor="end">{10**power:g}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end">{escape(unit)}</text></svg>')
    return "".join(parts)
