"""What each alarm of a BMS or a PCS does: SunSpec 802 Evt1 and 701 Alrm, bit by bit, with defaults and no blanket stop.

A default answers the alarm in the direction that makes it worse. Warnings warn. What a PCS reports of itself it has answered itself: it
warns, but for an earth fault. Defaults and their reasons stand in docs/safety.md as well; a test holds the two together.

A device with bits of its own says in its profile which of these each stands for. A bit that nobody names warns, by its number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import create_model

from bessctl.config.base import DelaySeconds, Strict, Text

Deed = Literal["warn", "block_charge", "block_discharge", "zero", "standby", "open_contactor"]
Reset = Literal["auto", "any", "local"]


class Alarm(Strict):
    """One bit."""

    action: Deed
    reset: Reset = "auto"
    pickup_delay_s: DelaySeconds = 0.0
    dropoff_delay_s: DelaySeconds = 5.0


@dataclass(frozen=True, slots=True)
class Bit:
    """An alarm of the standard with its default and the reason of that."""

    name: str
    bit: int
    default: Alarm
    why: str


def _bits(*rows: tuple[str, int, Deed, str]) -> tuple[Bit, ...]:
    return tuple(Bit(name, bit, Alarm(action=action), why) for name, bit, action, why in rows)


WARNS = "a warning of the BMS; its limits follow by themselves"
OWN = "the PCS answers it itself"

BMS_BITS = (
    *_bits(
        ("communication_error", 0, "zero", "the BMS does not hear its own modules: it cannot judge the cells"),
        ("over_temp_alarm", 1, "zero", "any current heats"),
        ("over_temp_warning", 2, "warn", WARNS),
        ("under_temp_alarm", 3, "block_charge", "charging cold cells plates lithium; discharging warms them"),
        ("under_temp_warning", 4, "warn", WARNS),
        ("over_charge_current_alarm", 5, "block_charge", "too much current in this direction"),
        ("over_charge_current_warning", 6, "warn", WARNS),
        ("over_discharge_current_alarm", 7, "block_discharge", "too much current in this direction"),
        ("over_discharge_current_warning", 8, "warn", WARNS),
        ("over_volt_alarm", 9, "block_charge", "discharging brings it back"),
        ("over_volt_warning", 10, "warn", WARNS),
        ("under_volt_alarm", 11, "block_discharge", "charging brings it back"),
        ("under_volt_warning", 12, "warn", WARNS),
        ("under_soc_min_alarm", 13, "block_discharge", "charging brings it back"),
        ("under_soc_min_warning", 14, "warn", WARNS),
        ("over_soc_max_alarm", 15, "block_charge", "discharging brings it back"),
        ("over_soc_max_warning", 16, "warn", WARNS),
        ("voltage_imbalance_warning", 17, "warn", WARNS),
        ("temperature_imbalance_alarm", 18, "zero", "one place heats more than its neighbours"),
        ("temperature_imbalance_warning", 19, "warn", WARNS),
    ),
    Bit("contactor_error", 20, Alarm(action="standby", reset="any"), "nobody knows whether the battery is connected"),
    *_bits(("fan_error", 21, "warn", "its temperature limits follow by themselves")),
    Bit("ground_fault", 22, Alarm(action="standby", reset="local"), "somebody has to look before power flows again"),
    *_bits(
        ("open_door_error", 23, "warn", "the site's own door input decides"),
        ("current_imbalance_warning", 24, "warn", WARNS),
        ("other_alarm", 25, "zero", "an alarm of unknown meaning: the safe side"),
        ("other_warning", 26, "warn", WARNS),
        ("reserved_1", 27, "warn", "the standard gives it no meaning"),
        ("configuration_alarm", 28, "zero", "the BMS does not trust its own limits"),
        ("configuration_warning", 29, "warn", WARNS),
    ),
)

PCS_BITS = (
    Bit("ground_fault", 0, Alarm(action="standby", reset="local"), "somebody has to look before power flows again"),
    *_bits(
        ("dc_over_volt", 1, "warn", OWN),
        ("ac_disconnect", 2, "warn", OWN),
        ("dc_disconnect", 3, "warn", OWN),
        ("grid_disconnect", 4, "warn", OWN),
        ("cabinet_open", 5, "warn", "the site's own door input decides"),
        ("manual_shutdown", 6, "warn", OWN),
        ("over_temp", 7, "warn", OWN),
        ("over_frequency", 8, "warn", OWN),
        ("under_frequency", 9, "warn", OWN),
        ("ac_over_volt", 10, "warn", OWN),
        ("ac_under_volt", 11, "warn", OWN),
        ("blown_string_fuse", 12, "warn", OWN),
        ("under_temp", 13, "warn", OWN),
        ("memory_loss", 14, "warn", OWN),
        ("hw_test_failure", 15, "warn", OWN),
        ("manufacturer_alrm", 16, "warn", OWN),
    ),
)


BITS = 32


def bits_of(named: dict[int, str], standard: tuple[Bit, ...]) -> tuple[Bit, ...]:
    """All 32 bits of a device: its own as its profile names them, else the standard's; the rest by their number."""
    of = {bit.name: bit for bit in standard}
    known = tuple(replace(of[name], bit=at) for at, name in sorted(named.items())) or standard
    taken = {bit.bit for bit in known}
    unknown = (n for n in range(BITS) if n not in taken)
    return (*known, *(Bit(f"bit_{n}", n, Alarm(action="warn"), "nobody says what it means") for n in unknown))


class Alarms(Strict):
    """The action of each alarm; one that is not named keeps its default."""

    disabled: Text | None = None
    """The reason why this site runs without them."""

    def chosen(self, bits: tuple[Bit, ...]) -> Iterator[tuple[Bit, Alarm]]:
        """Every alarm with what it does here."""
        for bit in bits:
            yield bit, getattr(self, bit.name, None) or bit.default


def _fields(bits: tuple[Bit, ...]) -> dict[str, Any]:
    return dict.fromkeys((*(bit.name for bit in bits), *(f"bit_{n}" for n in range(BITS))), (Alarm | None, None))


if TYPE_CHECKING:
    BmsAlarms = Alarms
    PcsAlarms = Alarms
else:
    BmsAlarms = create_model("BmsAlarms", __base__=Alarms, __module__=__name__, **_fields(BMS_BITS))
    PcsAlarms = create_model("PcsAlarms", __base__=Alarms, __module__=__name__, **_fields(PCS_BITS))
