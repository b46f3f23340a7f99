"""What can be protected: one line per row of the protection table. The site file names a line; the numbers are the site's alone (R14).

A line says which quantity is watched, on which side, in which unit its thresholds are written, which way power is taken away, and
whether a site may leave it out. Quantities are those of the loop's layout, in lower case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Suffix = Literal["v", "c", "a", "pct", "s", "hz", "per_s"]
Way = Literal["charge", "discharge", "both"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One protectable thing. `needs`: the tiers of which one must be configured; empty = the whole row may be left out."""

    name: str
    quantity: str
    above: bool
    suffix: Suffix
    way: Way
    per_unit: bool = True
    needs: tuple[str, ...] = ()
    warn_only: bool = False
    """R12: AC voltage and frequency rows only warn."""
    parts: tuple[str, ...] = ()
    """Rows that together stand for this one."""
    age_of: str = ""
    """For data-age rows: the kind of device whose refresh time bounds the threshold (R4)."""
    unseen_trips: bool = False
    """What cannot be seen is beyond: inputs (R13), and ages, which are infinite when nothing ever came."""
    lo: float = float("-inf")
    hi: float = float("inf")
    """Range in which a threshold can make sense."""


TRIP = ("trip",)
DERATE_OR_TRIP = ("derate", "trip")

KINDS = (
    # The battery. Chemistry and pack decide: no defaults.
    Kind("cell_v_high", "cell_v_max", True, "v", "charge", needs=TRIP, lo=0.5, hi=6),
    Kind("cell_v_low", "cell_v_min", False, "v", "discharge", needs=TRIP, lo=0.5, hi=6),
    Kind("pack_v_high", "pack_v", True, "v", "charge", needs=TRIP, lo=1, hi=3000),
    Kind("pack_v_low", "pack_v", False, "v", "discharge", needs=TRIP, lo=1, hi=3000),
    Kind(
        "cell_temp_high",
        "cell_temp_max_c",
        True,
        "c",
        "both",
        needs=TRIP,
        lo=-60,
        hi=150,
        parts=("cell_temp_high_charge", "cell_temp_high_discharge"),
    ),
    Kind(
        "cell_temp_low",
        "cell_temp_min_c",
        False,
        "c",
        "both",
        needs=TRIP,
        lo=-60,
        hi=150,
        parts=("cell_temp_low_charge", "cell_temp_low_discharge"),
    ),
    Kind("cell_temp_high_charge", "cell_temp_max_c", True, "c", "charge", lo=-60, hi=150),
    Kind("cell_temp_high_discharge", "cell_temp_max_c", True, "c", "discharge", lo=-60, hi=150),
    Kind("cell_temp_low_charge", "cell_temp_min_c", False, "c", "charge", lo=-60, hi=150),
    Kind("cell_temp_low_discharge", "cell_temp_min_c", False, "c", "discharge", lo=-60, hi=150),
    # Amps beyond what the BMS allows at this moment.
    Kind("charge_current_high", "cha_a_over", True, "a", "charge", needs=TRIP, lo=0, hi=1e5),
    Kind("discharge_current_high", "dis_a_over", True, "a", "discharge", needs=TRIP, lo=0, hi=1e5),
    Kind("soc_high", "soc_pct", True, "pct", "charge", needs=DERATE_OR_TRIP, lo=0, hi=100),
    Kind("soc_low", "soc_pct", False, "pct", "discharge", needs=DERATE_OR_TRIP, lo=0, hi=100),
    Kind("soh_low", "soh_pct", False, "pct", "both", lo=0, hi=100),
    # Data age, R4. Missing data is a violation by itself; these say how old is too old.
    Kind("pcs_data_age", "pcs_age_s", True, "s", "both", needs=TRIP, age_of="pcs", unseen_trips=True, lo=0, hi=60),
    Kind("bms_data_age", "bms_age_s", True, "s", "both", needs=TRIP, age_of="bms", unseen_trips=True, lo=0, hi=60),
    Kind("meter_data_age", "meter_age_s", True, "s", "both", per_unit=False, age_of="meter", unseen_trips=True, lo=0, hi=60),
    # The PCS and the grid.
    Kind("pcs_temp_high", "pcs_temp_c", True, "c", "both", lo=-60, hi=200),
    Kind("ac_v_high", "ac_v", True, "v", "both", warn_only=True, lo=1, hi=100000),
    Kind("ac_v_low", "ac_v", False, "v", "both", warn_only=True, lo=1, hi=100000),
    Kind("ac_hz_high", "ac_hz", True, "hz", "both", warn_only=True, lo=10, hi=100),
    Kind("ac_hz_low", "ac_hz", False, "hz", "both", warn_only=True, lo=10, hi=100),
    # The loop itself.
    Kind("overruns", "overrun_per_s", True, "per_s", "both", per_unit=False, lo=0, hi=1000),
)

BY_NAME = {kind.name: kind for kind in KINDS}
