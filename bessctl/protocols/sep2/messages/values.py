"""2030.5's numbers: a power is an int16 times a power of ten, a percentage counts hundredths. Pure."""

from __future__ import annotations

from bessctl.protocols.sep2.messages.codec import BOOL, INT, el, record

INT16 = 32767
HUNDREDTHS = 100.0


@record()
class Scaled:
    """ActivePower, ApparentPower, ReactivePower, WattHour, ...: value x 10^multiplier. Multiplier first, as the schema has it."""

    multiplier: int = el("multiplier", INT)
    value: int = el("value", INT)

    @property
    def si(self) -> float:
        """In W, VA, var, Wh; whole numbers stay exact."""
        return float(self.value * 10**self.multiplier) if self.multiplier >= 0 else self.value / 10**-self.multiplier

    @property
    def sound(self) -> bool:
        """Within the ranges of the schema: int16 and -9..9."""
        return abs(self.value) <= INT16 + 1 and -9 <= self.multiplier <= 9


def scaled(si: float) -> Scaled:
    """The nearest number the wire can carry, with the smallest multiplier: 45 678 W = 4568 x 10^1."""
    multiplier = 0
    value = round(si)
    while abs(value) > INT16 and multiplier < 9:
        multiplier += 1
        value = round(si / 10**multiplier)
    if abs(value) > INT16:
        raise ValueError(f"{si!r} is beyond what an int16 with a multiplier carries")
    return Scaled(multiplier=multiplier, value=value)


@record()
class FixedVar:
    """A reactive power in hundredths of a percent. refType: 1 % of setMaxW, 2 % of setMaxVar, 3 % of what is available."""

    ref_type: int = el("refType", INT)
    value: int = el("value", INT)


@record()
class PowerFactor:
    """displacement x 10^multiplier; excitation true = absorbing reactive power."""

    displacement: int = el("displacement", INT)
    excitation: bool | None = el("excitation", BOOL, default=None)
    multiplier: int = el("multiplier", INT)
