"""What can be protected: one line per row of the protection table. The site file names a line; the numbers are the site's alone (R14).

A line says which quantity is watched, on which side, in which unit its thresholds are written, which way power is taken away, and
whether a site may leave it out. Quantities are those of the loop's layout, in lower case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Suffix = Literal["v", "c", "a", "w", "ohm", "pct", "s", "hz", "per_s", "state"]
"""`state`: a row on what is or is not so; it has no thresholds to write."""
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
    states: tuple[int, ...] = ()
    """Codes of the quantity that are beyond; those above 30 count as 31."""
    input: str = ""
    """The row is for each digital input of this function."""
    import_side: bool = False
    """Its thresholds are written as magnitudes of imported power."""
    heals_by_charge: bool = False
    """Only charging brings it back: a stop in both directions would never end."""
    must_latch: bool = False
    """R13: a release never restarts."""
    lo: float = float("-inf")
    hi: float = float("inf")
    """Range in which a threshold can make sense."""


TRIP = ("trip",)
DERATE_OR_TRIP = ("derate", "trip")

KINDS = (
    # The battery. Chemistry and pack decide: no defaults.
    Kind("cell_v_high", "cell_v_max", True, "v", "charge", needs=TRIP, lo=0.5, hi=6),
    Kind("cell_v_low", "cell_v_min", False, "v", "discharge", needs=TRIP, heals_by_charge=True, lo=0.5, hi=6),
    Kind("pack_v_high", "pack_v", True, "v", "charge", needs=TRIP, lo=1, hi=3000),
    Kind("pack_v_low", "pack_v", False, "v", "discharge", needs=TRIP, heals_by_charge=True, lo=1, hi=3000),
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
    Kind("cell_v_spread", "cell_v_spread", True, "v", "both", lo=0, hi=5),
    Kind("cell_temp_spread", "cell_temp_spread_c", True, "c", "both", lo=0, hi=150),
    # Amps beyond what the BMS allows at this moment.
    Kind("charge_current_high", "cha_a_over", True, "a", "charge", needs=TRIP, lo=0, hi=1e5),
    Kind("discharge_current_high", "dis_a_over", True, "a", "discharge", needs=TRIP, lo=0, hi=1e5),
    Kind("soc_high", "soc_pct", True, "pct", "charge", needs=DERATE_OR_TRIP, lo=0, hi=100),
    Kind("soc_low", "soc_pct", False, "pct", "discharge", needs=DERATE_OR_TRIP, heals_by_charge=True, lo=0, hi=100),
    Kind("soh_low", "soh_pct", False, "pct", "both", lo=0, hi=100),
    Kind("insulation_low", "insulation_ohm", False, "ohm", "both", lo=0, hi=1e9),
    Kind("bms_fault", "bms_state", True, "state", "both", states=(99,)),
    Kind("contactor_fault", "contactor_fault", True, "state", "both"),
    # Data age, R4. Missing data is a violation by itself; these say how old is too old.
    Kind("pcs_data_age", "pcs_age_s", True, "s", "both", needs=TRIP, age_of="pcs", unseen_trips=True, lo=0, hi=60),
    Kind("bms_data_age", "bms_age_s", True, "s", "both", needs=TRIP, age_of="bms", unseen_trips=True, lo=0, hi=60),
    Kind("meter_data_age", "meter_age_s", True, "s", "both", per_unit=False, age_of="meter", unseen_trips=True, lo=0, hi=60),
    Kind("pcs_heartbeat_lost", "pcs_hb_age_s", True, "s", "both", unseen_trips=True, lo=1, hi=60),
    Kind("bms_heartbeat_lost", "bms_hb_age_s", True, "s", "both", unseen_trips=True, lo=1, hi=60),
    # The PCS and the grid.
    Kind("pcs_fault", "pcs_state", True, "state", "both", states=(6,)),
    Kind("pcs_temp_high", "pcs_temp_c", True, "c", "both", lo=-60, hi=200, parts=("pcs_temp_high_charge", "pcs_temp_high_discharge")),
    Kind("pcs_temp_low", "pcs_temp_c", False, "c", "both", lo=-60, hi=200, parts=("pcs_temp_low_charge", "pcs_temp_low_discharge")),
    Kind("pcs_temp_high_charge", "pcs_temp_c", True, "c", "charge", lo=-60, hi=200),
    Kind("pcs_temp_high_discharge", "pcs_temp_c", True, "c", "discharge", lo=-60, hi=200),
    Kind("pcs_temp_low_charge", "pcs_temp_c", False, "c", "charge", lo=-60, hi=200),
    Kind("pcs_temp_low_discharge", "pcs_temp_c", False, "c", "discharge", lo=-60, hi=200),
    Kind("not_following", "astray_pct", True, "pct", "both", lo=1, hi=100),
    Kind("following_error", "follow_error_pct", True, "pct", "both", warn_only=True, lo=1, hi=200),
    Kind("energy_conflict", "conflict_pct", True, "pct", "both", lo=1, hi=100),
    Kind("setpoint_implausible", "target_over_pct", True, "pct", "both", per_unit=False, lo=0, hi=1e6),
    Kind("pcc_import_high", "pcc_w", True, "w", "charge", per_unit=False, import_side=True, lo=0, hi=1e9),
    Kind("pcc_export_high", "pcc_w", True, "w", "discharge", per_unit=False, lo=0, hi=1e9),
    Kind("ac_v_high", "ac_v", True, "v", "both", warn_only=True, lo=1, hi=100000),
    Kind("ac_v_low", "ac_v", False, "v", "both", warn_only=True, lo=1, hi=100000),
    Kind("ac_hz_high", "ac_hz", True, "hz", "both", warn_only=True, lo=10, hi=100),
    Kind("ac_hz_low", "ac_hz", False, "hz", "both", warn_only=True, lo=10, hi=100),
    # Digital inputs, one row for each input of the function.
    Kind("estop", "", True, "state", "both", per_unit=False, input="estop", unseen_trips=True, must_latch=True),
    Kind("fire", "", True, "state", "both", per_unit=False, input="fire", unseen_trips=True, must_latch=True),
    Kind("door", "", True, "state", "both", per_unit=False, input="door", unseen_trips=True),
    Kind("insulation_alarm", "", True, "state", "both", per_unit=False, input="insulation_alarm", unseen_trips=True),
    Kind("other_alarm", "", True, "state", "both", per_unit=False, input="other_alarm", unseen_trips=True),
    # The loop itself.
    Kind("overruns", "overrun_per_s", True, "per_s", "both", per_unit=False, lo=0, hi=1000),
)

BY_NAME = {kind.name: kind for kind in KINDS}
