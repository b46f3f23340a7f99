"""Enter service: setES* of the DefaultDERControls, within what and how the inverter comes back after a fault of the grid. Pure.

Per value the program with the lowest primacy number that states it rules, as for every default (rule 10). Percents and hertz in
hundredths, times in hundredths of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bessctl.protocols.sep2.messages.control import DefaultDerControl

ENTER_SERVICE = ("es_delay", "es_high_freq", "es_high_volt", "es_low_freq", "es_low_volt", "es_ramp_tms", "es_random_delay")
GRADIENTS = ("grad_w", "soft_grad_w")
SENSIBLE = {
    "es_high_volt": (5_000, 20_000), "es_low_volt": (0, 15_000), "es_high_freq": (4_000, 7_000), "es_low_freq": (4_000, 7_000),
    "es_delay": (0, 8_640_000), "es_ramp_tms": (0, 8_640_000), "es_random_delay": (0, 8_640_000),
}  # fmt: skip
"""What no inverter would come back with is no order; times up to a day."""


def stated(ranked: Iterable[DefaultDerControl]) -> dict[str, int]:
    """All values, by the names of a DefaultDERControl's fields; the best rank first."""
    found: dict[str, int] = {}
    for default in ranked:
        for name in (*ENTER_SERVICE, *GRADIENTS):
            value = getattr(default, name)
            if value is not None:
                found.setdefault(name, value)
    return found


def fault(values: Mapping[str, int]) -> str:
    """Why they cannot be carried out; empty = they can."""
    for name, (least, most) in SENSIBLE.items():
        if name in values and not least <= values[name] <= most:
            return f"{name} {values[name]} is not within {least} and {most}"
    for low, high in (("es_low_volt", "es_high_volt"), ("es_low_freq", "es_high_freq")):
        if low in values and high in values and values[low] >= values[high]:
            return f"{low} {values[low]} is not below {high} {values[high]}"
    return ""
