"""setES* -> what every PCS is to keep for entering service. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from bessctl.model.curve import EnterService

HUNDREDTHS = 100.0
FIELDS = {
    "es_high_volt": "v_high_pct", "es_low_volt": "v_low_pct", "es_high_freq": "hz_high", "es_low_freq": "hz_low", "es_delay": "delay_s",
    "es_random_delay": "random_s", "es_ramp_tms": "ramp_s",
}  # fmt: skip


def service_of(values: Mapping[str, int]) -> EnterService | None:
    """In percent of VNom, Hz and seconds; None = nothing is stated."""
    found = {FIELDS[name]: value / HUNDREDTHS for name, value in values.items() if name in FIELDS}
    return EnterService(**found) if found else None
