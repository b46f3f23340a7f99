"""What a source is made to want: the words under `set`, and the plan they become. Pure.

A source goes on speaking: its lease is renewed until a step says it is silent. Signs are in the words (import and charge are magnitudes);
`power` is at the PCS, positive = discharge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from bessctl.hil.quantity import BadValue, quantity
from bessctl.hil.signals import UnknownSignal
from bessctl.model.plan import FOREVER_NS, Block, Lapse, Plan, Scope

LIMITS = {
    "discharge at most": ("ess_hi_w", 1.0),
    "charge at most": ("ess_lo_w", -1.0),
    "export at most": ("pcc_hi_w", 1.0),
    "import at most": ("pcc_lo_w", -1.0),
    "export at least": ("pcc_lo_w", 1.0),
    "import at least": ("pcc_hi_w", -1.0),
}
ORDERS = {"energize", "connect"}
PLAIN = {"power", "connection power", "rate", *ORDERS}
PLAN = {"lease", "lapse", "fallback", "series", "old boot"}
SERIES = {"from", "to"}


@dataclass(frozen=True)
class Wish:
    """What one source wants. `blocks`: (from_s, to_s, fields of Block), seconds from the step. `released`: it wants nothing any more.
    `place`: where it is written."""

    source: str
    told: str
    lease_s: float = 3.0
    lapse: Lapse = Lapse.FALLBACK
    blocks: tuple[tuple[float, float, dict[str, Any]], ...] = ()
    fallback: tuple[tuple[float, float, dict[str, Any]], ...] = field(default=())
    released: bool = False
    old_boot: bool = False
    place: str = ""

    def plan(self, step_ns: int, now_ns: int) -> Plan:
        """The plan written at `now_ns` for a wish that began at `step_ns`."""
        return Plan(
            now_ns + round(self.lease_s * 1e9), _blocks(self.blocks, step_ns), _blocks(self.fallback, step_ns), self.lapse, dated=False
        )


def _blocks(blocks: tuple[tuple[float, float, dict[str, Any]], ...], step_ns: int) -> tuple[Block, ...]:
    return tuple(
        Block(0 if start == 0 else step_ns + round(start * 1e9), FOREVER_NS if end == math.inf else step_ns + round(end * 1e9), **fields)
        for start, end, fields in blocks
    )


def wish(source: str, stated: object, sources: list[str]) -> Wish:
    """One entry of `set`. Raises UnknownSignal for the source, BadValue for what it says."""
    if source not in sources:
        raise UnknownSignal(f"no source {source!r} at this site; it has {', '.join(sources)}")
    if stated == "released":
        return Wish(source, f"{source}: released", released=True)
    if not isinstance(stated, dict) or not stated:
        raise BadValue("needs `released` or entries like {power: 50 kW} or {import at most: 40 kW}")
    keys = dict(stated)
    plan = {key: keys.pop(key) for key in PLAN & keys.keys()}
    series = plan.get("series")
    if series is not None and keys:
        raise BadValue("`series` stands alone: each of its entries says what holds from when to when")
    return Wish(
        source,
        f"{source}: " + ", ".join(f"{key} {_told(value)}" for key, value in stated.items()),
        quantity(plan["lease"], "s") if "lease" in plan else 3.0,
        _lapse(plan.get("lapse", "fallback")),
        _series(series) if series is not None else ((0.0, math.inf, _fields(keys)),),
        _series(plan["fallback"]) if "fallback" in plan else (),
        old_boot=bool(plan.get("old boot")),
    )


def _told(value: object) -> str:
    return "as listed" if isinstance(value, list | dict) else str(value)


def _lapse(word: object) -> Lapse:
    try:
        return Lapse[str(word).upper()]
    except KeyError:
        raise BadValue(f"{word!r} is no rule for a lapse; allowed: fallback, hold, zero, drop") from None


def _series(entries: object) -> tuple[tuple[float, float, dict[str, Any]], ...]:
    if isinstance(entries, dict):
        entries = [entries]
    if not isinstance(entries, list):
        raise BadValue("needs a list of entries, each with its from and to")
    found = []
    for entry in entries:
        keys = dict(entry)
        start = quantity(keys.pop("from"), "s") if "from" in keys else 0.0
        end = quantity(keys.pop("to"), "s") if "to" in keys else math.inf
        found.append((start, end, _fields(keys)))
    return tuple(found)


def _fields(keys: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in keys.items():
        if key in LIMITS:
            name, sign = LIMITS[key]
            fields[name] = sign * _watts(value)
        elif key == "power":
            fields["target_w"] = _watts(value)
        elif key == "connection power":
            fields.update(target_w=_watts(value), target_scope=Scope.PCC)
        elif key == "rate":
            fields["rate_w_per_s"] = quantity(value, "W/s")
        elif key in ORDERS:
            if value not in ("yes", "no", True, False):
                raise BadValue(f"{key}: {value!r} is neither yes nor no")
            fields[key] = value in ("yes", True)
        else:
            raise BadValue(f"{key!r} is nothing a source can want; allowed: {', '.join([*sorted(PLAIN), *LIMITS, *sorted(PLAN)])}")
    return fields


def _watts(value: object) -> float:
    """Also `no number`, for what the loop must refuse."""
    return math.nan if value == "no number" else quantity(value, "W")
