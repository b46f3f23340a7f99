"""Small problems, drawn at random, and the slow way to their answer: every way through a grid of energies."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from bessctl.policy.problem import Band, Battery, Force, Outcome, PeakShaving, Piece, Problem, Span, Step
from bessctl.policy.schedule import Once

H = 3600 * 1_000_000_000
START = 490_000 * H
UNIT_WH = 1000.0
CELLS = 10
"""Energies are 0, 1 ... CELLS kWh; efficiency 1 and powers of whole kW for whole hours keep every way on them."""


def at(hours: float) -> int:
    """An instant of the story."""
    return START + round(hours * H)


def problem(**changes: object) -> Problem:
    """10 kWh, 5 kW each way, an hour a step, no losses, no margin."""
    options: dict[str, object] = {
        "now_ns": START, "energy_wh": 5000.0, "battery": Battery(CELLS * UNIT_WH, 5000.0, 5000.0, 1.0, 1.0), "horizon_ns": 6 * H,
        "step_ns": H, "margin": 0.0,
    }  # fmt: skip
    return Problem(**(options | changes))  # type: ignore[arg-type]


kilowatts = st.integers(0, 5)


@st.composite
def spans(draw: st.DrawFn, hours: int, targets: bool = True) -> tuple[Span, ...]:
    """Limits of others, and targets that rule before ours."""
    found = []
    for n in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, hours - 1))
        end = draw(st.integers(start + 1, hours))
        kind = draw(st.sampled_from(["ess", "pcc", "target"] if targets else ["ess", "pcc"]))
        low, high = -1000.0 * draw(kilowatts), 1000.0 * draw(kilowatts)
        who = f"source:s{n}"
        match kind:
            case "ess":
                found.append(Span(at(start), at(end), who, ess_lo_w=low, ess_hi_w=high))
            case "pcc":
                found.append(Span(at(start), at(end), who, pcc_lo_w=low, pcc_hi_w=high))
            case _:
                found.append(Span(at(start), at(end), who, target_w=draw(st.sampled_from([low, high]))))
    return tuple(found)


@st.composite
def bands(draw: st.DrawFn, hours: int) -> tuple[Band, ...]:
    found = []
    for n in range(draw(st.integers(1, 3))):
        lo = draw(st.integers(0, CELLS))
        hi = draw(st.integers(lo, CELLS))
        schedule = Once((at(draw(st.integers(1, hours))),))
        found.append(Band(f"b{n}", schedule, 10.0 * lo, 10.0 * hi, 0.0, draw(st.integers(1, 10))))
    return tuple(found)


@st.composite
def problems(draw: st.DrawFn, hours: int = 6, targets: bool = True) -> Problem:
    """Everything at once."""
    net = tuple(Piece(at(h), at(h + 1), (("load_w", 1000.0 * draw(st.integers(-3, 6))),)) for h in range(hours))
    prices = tuple(
        Piece(at(h), at(h + 1), (("buy", float(draw(st.integers(1, 9)))), ("sell", float(draw(st.integers(0, 3)))))) for h in range(hours)
    )
    return problem(
        energy_wh=UNIT_WH * draw(st.integers(0, CELLS)), spans=draw(spans(hours, targets)), bands=draw(bands(hours)), site=net,
        prices=prices, tariff=True, horizon_ns=hours * H, reserve_wh=UNIT_WH * draw(st.sampled_from([0, 0, 2])),
    )  # fmt: skip


def ways(p: Problem, steps: list[Step], moves: list[tuple[float, float]]) -> list[set[int]]:
    """Energies (in cells) that can be reached at each edge, by trying every whole move."""
    floor = min(p.energy_wh, p.reserve_wh) / UNIT_WH
    found = [{round(p.energy_wh / UNIT_WH)}]
    for down, up in moves:
        here = set()
        for energy in found[-1]:
            for move in range(round(down / UNIT_WH), round(up / UNIT_WH) + 1):
                here.add(round(min(CELLS, max(floor, energy + move))))
        found.append(here)
    return found


def best_cost(
    p: Problem, steps: list[Step], moves: list[tuple[float, float]], bands: dict[int, tuple[float, float]], value: float
) -> float:
    """The least cost of any way on the grid that meets the bands; energy left over is worth `value` a kWh. inf = none meets them."""
    floor = min(p.energy_wh, p.reserve_wh) / UNIT_WH
    costs = {round(p.energy_wh / UNIT_WH): 0.0}
    for k, (step, (down, up)) in enumerate(zip(steps, moves, strict=True), 1):
        after: dict[int, float] = {}
        for energy, cost in costs.items():
            for move in range(round(down / UNIT_WH), round(up / UNIT_WH) + 1):
                to = energy + move
                if not floor <= to <= CELLS:
                    continue
                if k in bands and not bands[k][0] - 1e-6 <= to * UNIT_WH <= bands[k][1] + 1e-6:
                    continue
                imported = (step.net_w + move * UNIT_WH) / 1000
                paid = cost + step.buy * max(0.0, imported) - step.sell * max(0.0, -imported)
                after[to] = min(after.get(to, float("inf")), paid)
        costs = after
    return min((cost - value * energy for energy, cost in costs.items()), default=float("inf"))


def energies(outcome: Outcome) -> list[float]:
    """At every edge."""
    return [outcome.energy_wh, *(d.energy_wh for d in outcome.steps)]


def edges(outcome: Outcome) -> list[int]:
    assert all(a.step.end_ns == b.step.start_ns for a, b in pairwise(outcome.steps))
    return [outcome.steps[0].step.start_ns, *(d.step.end_ns for d in outcome.steps)]


def forced(name: str, start: float, power_w: float, hours: float) -> Force:
    return Force(name, Once((at(start),)), power_w, hours * 3600)


def shaving(import_max_w: float) -> PeakShaving:
    return PeakShaving(import_max_w)
