"""R16: what a unit's trial must show, and what was seen. Pure: states in, findings out.

Rules. A unit is asked for a few percent of its rating, both ways. Each time the change of its AC power, of its DC power (as the PCS
measures it, as the battery does, whichever is there) and of the power at the connection must have the sign that was asked for, and lie
within 20 % of it: a wrong sign in a profile, swapped units, a meter on the wrong cable or a wrong scale all show here, where they cost
little. Changes count against the mean of the rests before and after, so that a load that drifts is not taken for ours. Powers in W,
positive toward the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bessctl.corelink import view
from bessctl.corelink.words import PLANT, Site
from bessctl_core import layout

State = dict[str, Any]
Powers = dict[str, float | None]
Q = layout.Quantity

TOLERANCE = 0.2
WORDS = {"ac_w": "AC power", "dc_w": "DC power by the PCS", "battery_w": "DC power by the battery", "pcc_w": "power at the connection"}


@dataclass(frozen=True, slots=True)
class Trial:
    """One direction of one unit."""

    unit: str
    asked_w: float
    changes: dict[str, float | None]
    findings: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.findings


def powers(site: Site, state: State, unit: int) -> Powers:
    """What this state says about one unit and the connection; None for what nobody measures."""
    age_ns = site.unit_data_age_ns[unit]

    def value(quantity: int) -> float | None:
        return view.reading(state, unit, quantity, age_ns)

    volts, amps = value(Q.Q_PACK_V), value(Q.Q_PACK_A)
    return {
        "ac_w": value(Q.Q_AC_W),
        "dc_w": value(Q.Q_DC_W),
        "battery_w": None if volts is None or amps is None else volts * amps,
        "pcc_w": view.reading(state, PLANT, Q.Q_PCC_W) if site.has_meter else None,
    }


def mean(samples: Sequence[Powers]) -> Powers:
    """The mean of each power; None where a sample lacks it."""
    result: Powers = {}
    for name in WORDS:
        values = [sample[name] for sample in samples]
        known = [value for value in values if value is not None]
        result[name] = sum(known) / len(known) if known and len(known) == len(values) else None
    return result


def judge(unit: str, asked_w: float, before: Powers, during: Powers, after: Powers, *, has_meter: bool) -> Trial:
    """Whether what changed is what was asked for, at every place where somebody measures."""
    changes = {name: _change(before[name], during[name], after[name]) for name in WORDS}
    findings = [_finding(WORDS[name], asked_w, change) for name, change in changes.items() if change is not None]
    if changes["ac_w"] is None:
        findings.append("its AC power was not measured all the time")
    if changes["dc_w"] is None and changes["battery_w"] is None:
        findings.append("nobody measured its DC power all the time")
    if changes["pcc_w"] is None and has_meter:
        findings.append("the power at the connection was not measured all the time")
    return Trial(unit, asked_w, changes, tuple(finding for finding in findings if finding))


def _change(before: float | None, during: float | None, after: float | None) -> float | None:
    return None if before is None or during is None or after is None else during - (before + after) / 2


def _finding(what: str, asked_w: float, change_w: float) -> str:
    if change_w * asked_w <= 0:
        return f"{what} changed by {change_w:.0f} W where {asked_w:.0f} W were asked for: its sign is wrong, or it measures something else"
    if abs(change_w - asked_w) > TOLERANCE * abs(asked_w):
        return f"{what} changed by {change_w:.0f} W where {asked_w:.0f} W were asked for: more than {TOLERANCE:.0%} off"
    return ""


def share_w(site: Site, unit: int, percent: float, sign: int) -> float:
    """That part of the unit's rating in one direction."""
    rating = site.unit_w_dis_max[unit] if sign > 0 else site.unit_w_cha_max[unit]
    return sign * rating * percent / 100
