"""`bessctl check` says how late a command may come after a threshold, and refuses what a row cannot keep: poll + tick + the longest
transaction in front + one lost answer with the quiet time behind it. Each part is found again by changing what it is made of."""

from __future__ import annotations

import re

import pytest

from bessctl.config.load import site_from_text
from bessctl.config.report import report
from bessctl.errors import ConfigError
from tests.sites import EXAMPLE

TEXT = EXAMPLE.read_text()
SERIAL = (
    ("    tcp: {host: 127.0.0.1, port: 5020}\n", "    rtu: {device: /dev/ttyS1, baud: 115200}\n"), ("data_age_s: 0.5", "data_age_s: 3"),
    ("confirm_s: 2", "confirm_s: 9"), ("pickup_s: 0.3", "pickup_s: 0.9"), ("act_within_ms: 500", "act_within_ms: 3000"),
    ("    timeout_s: 0.3 ", "    worst_s: 0.4\n    timeout_s: 0.3 "), ("    modbus_id: 2\n", "    modbus_id: 2\n    worst_s: 0.4\n"),
    ("    modbus_id: 3\n", "    modbus_id: 3\n    worst_s: 0.4\n"),
)  # fmt: skip


def changed(*changes: tuple[str, str]) -> str:
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def to_wire_ms(*changes: tuple[str, str], row: str = "charge_current_high") -> float:
    rows = report(site_from_text(changed(*changes)))["rows"]
    return next(float(entry["to_wire_ms"]) for entry in rows if (entry["row"], entry["tier"]) == (row, "trip"))


def test_the_parts_of_the_worst_case_over_tcp() -> None:
    """A second of time-out more is a second more; a slower tick and a slower poll likewise; nothing of it is forgotten."""
    first = to_wire_ms()
    assert first > 300 + 50 + 10
    assert to_wire_ms(("    timeout_s: 0.3 ", "    timeout_s: 0.39 ")) == pytest.approx(first + 90, abs=0.2)
    assert to_wire_ms(("  rate_hz: 100 ", "  rate_hz: 50 ")) == pytest.approx(first + 10, abs=0.2)
    slower = (("    response_s: 0.002\n    poll: {fast_s: 0.05}\n", "    response_s: 0.002\n    poll: {fast_s: 0.07}\n"),)
    assert to_wire_ms(*slower) == pytest.approx(first + 20, abs=0.2)


def test_the_parts_of_the_worst_case_on_a_serial_line() -> None:
    """There the quiet time after a lost answer counts, and every frame by its characters."""
    first = to_wire_ms(*SERIAL)
    quiet = [(old, new.replace("worst_s: 0.4", "worst_s: 0.6")) for old, new in SERIAL]
    assert to_wire_ms(*quiet) == pytest.approx(first + 200, abs=0.5)
    slow = [(old, new.replace("baud: 115200", "baud: 57600")) for old, new in SERIAL]
    assert to_wire_ms(*slow) > first + 20, "the same characters take twice as long"


@pytest.mark.parametrize(
    ("old", "new", "key", "allowed"),
    [
        # amps have 100 ms where nothing is stated
        (", act_within_ms: 500", "", "protection.charge_current_high.trip", "100"),
        ("act_within_ms: 500", "act_within_ms: 350", "protection.charge_current_high.trip.act_within_ms", "350"),
        ("trip:   {pickup_v: 3.65,", "trip:   {act_within_ms: 50, pickup_v: 3.65,", "protection.cell_v_high.trip.act_within_ms", "50"),
    ],
)
def test_a_row_that_cannot_keep_its_bound_is_refused_with_its_place(old: str, new: str, key: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        site_from_text(changed((old, new)))
    found = re.search(
        rf"site\.yaml:\d+:\d+: {re.escape(key)}: the command may come (\d+) ms after the threshold of unit1; allowed: {allowed};",
        str(caught.value),
    )
    assert found, caught.value
    assert int(found[1]) > int(allowed)


def test_a_bus_that_is_fast_enough_keeps_the_bound_of_amps() -> None:
    """100 ms, one lost answer included: short time-outs and a fast poll."""
    fast = (
        (", act_within_ms: 500", ""), ("    timeout_s: 0.3 ", "    timeout_s: 0.02 "), ("poll: {fast_s: 0.05", "poll: {fast_s: 0.02"),
        ("    modbus_id: 2\n", "    modbus_id: 2\n    timeout_s: 0.02\n"),
        ("    modbus_id: 3\n", "    modbus_id: 3\n    timeout_s: 0.02\n"),
    )  # fmt: skip
    assert to_wire_ms(*fast) <= 100


def test_who_does_not_act_has_no_bound() -> None:
    site_from_text(changed(("warn:   {pickup_a: 5, dropoff_a: 2,", "warn:   {act_within_ms: 1, pickup_a: 5, dropoff_a: 2,")))
