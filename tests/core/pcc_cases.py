"""The steps at the point of common coupling that R10 is held to: which limit, which load before and after. Tests and bench use them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from bessctl_core import layout as L
from tests.core.rig import Rig, S, Slot, config
from tests.core.site_model import Pcs, Site

CONNECTION_W = 250e3
GRID = list(itertools.product((0.1, 0.2, 1.0), (0.1, 0.2), (0.0, 0.1)))  # meter period, lag, dead time
AGE_S = 0.02
STEP_S = 2.5
BOTH = L.Direction.DIR_BOTH


@dataclass(frozen=True)
class Case:
    """A plan, a load (negative: PV) before and after, and the limit that is to hold: side and watts at the PCC."""

    block: dict[str, float]
    before_w: float
    after_w: float
    upper: bool
    limit_w: float


CASES = {
    "import, forced": Case({"pcc_lo_w": -50e3}, 20e3, 170e3, False, -50e3),
    "import of 0, forced": Case({"pcc_lo_w": 0.0}, 10e3, 130e3, False, 0.0),
    "export of 0, forced": Case({"pcc_hi_w": 0.0}, -10e3, -130e3, True, 0.0),
    "charging gives way to load": Case({"target_w": -150e3, "pcc_lo_w": -200e3}, 20e3, 140e3, False, -200e3),
    "discharging gives way to PV": Case({"target_w": 150e3, "pcc_hi_w": 180e3}, 0.0, -120e3, True, 180e3),
    "target of 0": Case({"target_w": 0.0, "target_scope": 1}, 20e3, 140e3, False, 0.0),
}


def site(block: dict[str, float], *, meter_s: float, lag_s: float, dead_s: float, load: Any, units: int = 1, pcs: Any = None,
         site_keys: dict[str, Any] | None = None, **words: Any) -> Site:  # fmt: skip
    keys = {"has_meter": 1, "meter_age_ns": 3 * S, "ramp_w_per_s": 1e9, "load_max_w": 200e3, "pv_max_w": 150e3} | (site_keys or {})
    r = Rig(config(units, slots=(Slot(may_force=BOTH),), **keys))
    s = Site(r, pcs or [Pcs(lag_s, dead_s) for _ in range(units)], meter_s=meter_s, meter_age_s=AGE_S, load=load, **words)
    s.run(0.5)
    r.offer(0, block, lease_until_ns=r.now_ns + 1000 * S)
    return s


def excess(case: Case, pcc_w: float) -> float:
    return pcc_w - case.limit_w if case.upper else case.limit_w - pcc_w


def stepped(case: Case, meter_s: float, lag_s: float, dead_s: float, at_s: float) -> Site:
    """The case, its load changed at `at_s`, run to 2.5 s after that."""
    s = site(case.block, meter_s=meter_s, lag_s=lag_s, dead_s=dead_s, load=lambda t: case.before_w if t < at_s else case.after_w)
    return s.run(at_s + STEP_S)


def bound_s(meter_s: float, lag_s: float, dead_s: float) -> float:
    """How soon an excess must be cleared: a meter period, the meter's age, dead time, 4 lags."""
    return meter_s + AGE_S + dead_s + 4 * lag_s


def cleared_s(case: Case, s: Site, at_s: float) -> float:
    """How long after the step the limit was last passed by more than 2 % of the connection."""
    return max((t - at_s for t, p, _, _ in s.since(at_s) if excess(case, p) > 0.02 * CONNECTION_W), default=0.0)


def overshoot(case: Case, s: Site, at_s: float) -> float:
    """How far the BESS went beyond where it settled, as a share of the step."""
    settled_w, way = s.trace[-1][2], 1 if s.trace[-1][2] > s.since(at_s)[0][2] else -1
    return max((e - settled_w) * way for _, _, e, _ in s.since(at_s)) / abs(case.after_w - case.before_w)
