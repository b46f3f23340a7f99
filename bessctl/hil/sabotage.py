"""Takes one protection away from a sealed site, so that a scenario can be seen to fail without it. Pure.

A row of the table becomes a mere warning that does nothing, and a warning one that never comes. Protections that are no rows have names
of their own, listed in FUNCTIONS; each is taken away where the sealed configuration states it. The result is sealed anew: another hash, so
nobody takes it for the site itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bessctl.corelink import seal
from bessctl.corelink.words import Site
from bessctl.errors import UsageError

NEVER_NS = 2**61


def _fill(field: str, value: float, count: str = "") -> Callable[[Any], None]:
    def change(c: Any) -> None:
        if count:
            c[field][: int(c[count])] = value
        else:
            c[field] = value

    return change


def _slots(c: Any) -> None:
    c["slot_required"][:] = 0
    c["slot_default"][:] = 0


FUNCTIONS: dict[str, Callable[[Any], None]] = {
    "connection import": _fill("pcc_import_max_w", math.nan),
    "connection export": _fill("pcc_export_max_w", math.nan),
    "phase current": _fill("pcc_phase_max_a", math.nan),
    "stale meter": _fill("meter_age_ns", NEVER_NS),
    "frozen device": _fill("frozen_ns", NEVER_NS),
    "reversal": _fill("reversal_dead_ns", 0),
    "ramp": _fill("ramp_w_per_s", 1e12),
    "settling": _fill("settle_ns", 1),
    "confirmation": _fill("unit_confirm_ns", NEVER_NS, "n_units"),
    "reversion": _fill("unit_reversion_ns", 3600 * 10**9, "n_units"),
    "default limits": _slots,
    "BMS limits": _fill("unit_vdc_min_v", 1e6, "n_units"),
    "lease": _fill("slot_max_lease_ns", NEVER_NS, "n_slots"),
}
"""Protections that stand in no row. `BMS limits`: amps are taken for so many watts that they never bind. `lease`: any lease is taken, and
who plays the scenario gives endless ones."""


def known(site: Site) -> list[str]:
    """Every name `--sabotage` takes at this site: rows with and without tier, then the functions."""
    rows = [name for row in site.rows for name in (row.name, f"{row.name}.{row.tier}")]
    return [*dict.fromkeys(rows), *FUNCTIONS]


def sabotaged(content: bytes, name: str) -> bytes:
    """A sealed file without that protection. Raises UsageError for a name the site has not."""
    sealed = seal.unpack(content)
    site = Site(sealed)
    if name not in known(site):
        raise UsageError(f"no protection {name!r} at this site; it has {', '.join(known(site))}")
    c = seal.read_config(sealed.config_bytes).copy()
    if name in FUNCTIONS:
        FUNCTIONS[name](c)
    else:
        for index, row in enumerate(site.rows):
            if name in (row.name, f"{row.name}.{row.tier}"):
                _disarm(c, index)
    return seal.pack(c.tobytes(), sealed.names)


def _disarm(c: Any, index: int) -> None:
    if c["row_tier"][index] == seal.number("TIER", "warn"):
        c["row_pickup_delay_ns"][index] = NEVER_NS
        c["row_blind"][index] = seal.number("BLIND", "trips")
    c["row_tier"][index] = seal.number("TIER", "warn")
    c["row_action"][index] = seal.number("ACT", "warn")
    c["row_reset"][index] = seal.number("RESET", "auto")
    c["row_direction"][index] = seal.number("DIR", "none")
    c["row_curve_count"][index] = 0
