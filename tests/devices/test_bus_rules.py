"""What a profile says of the bus is what goes on it: functions, lengths, gaps, the least pause between two questions (CARD-1)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from bessctl.config import profiles
from bessctl.config.alarms import BMS_BITS, bits_of
from bessctl.config.profiles import from_text
from bessctl.errors import ConfigError
from bessctl_core.master import BusError, Master
from tests.devices.bench import Bench, Placed, placed
from tests.devices.simulated import READ, READ_INPUT, WRITE_MANY, WRITE_ONE, RackBms, SimulatedDevice
from tests.devices.test_complaints import PLAIN, REVERTS, Plain
from tests.devices.test_vendors import kaco, sinexcel, sma, sungrow, sunspec_103

BUS = "kind: pcs\nbus: {RULES}\n"


def plain(rules: str, device: Plain | None = None, text: str = PLAIN) -> Placed:
    text = text.replace("kind: pcs\n", BUS.replace("RULES", rules), 1).replace("WEARS", "").replace(", REVERSION", f", {REVERTS}")
    return placed(device or Plain(), from_text(text.replace("DOG", "{kind: resend, timeout_s: reversion}")).profile)


# --- the least pause --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap_ms", [0, 20, 55, 200])
def test_the_least_pause_between_an_answer_and_the_next_question_is_kept(gap_ms: int) -> None:
    """min_gap_ms, in ticks of 5 ms: commands too."""
    what = plain(f"min_gap_ms: {gap_ms}")
    with Bench(what) as bench:
        bench.order(0.0).tick(1000, ms=5)
        what.device.asked_s.clear()
        bench.order(5000.0).tick(1000, ms=5)
        times = what.device.asked_s
        assert len(times) > 5
        assert min(b - a for a, b in pairwise(times)) >= gap_ms / 1000 - 1e-9
        assert what.device.w == 5000


# --- functions and lengths --------------------------------------------------------------------------------------------------------------

VENDORS: list[tuple[Callable[[], Placed], set[int], set[int]]] = [
    (sungrow, {READ, READ_INPUT}, {WRITE_ONE, WRITE_MANY}),
    (sma, {READ, READ_INPUT}, {WRITE_MANY}),
    (sinexcel, {READ}, {WRITE_ONE}),
    (kaco, {READ}, {WRITE_MANY}),
    (sunspec_103, {READ}, {WRITE_MANY}),
]


@pytest.mark.parametrize(("make", "reads", "writes"), VENDORS, ids=lambda v: getattr(v, "__name__", None))
def test_a_device_is_asked_by_the_functions_it_knows_and_no_more_than_it_takes(
    make: Callable[[], Placed], reads: set[int], writes: set[int]
) -> None:
    """FC03 and FC04, FC06-only and FC16-only; not a register that it does not have, not more than it takes in one request."""
    what = make()
    with Bench(what) as bench:
        bench.up().order(3000.0).run(3.0)
        assert {function for function, _, _ in what.device.reads} == reads
        assert {function for function, _, _ in what.device.writes} == writes
        assert max(count for _, _, count in what.device.reads) <= what.profile.bus.max_read
        for function, address, count in what.device.reads:
            space = what.device.input if function == READ_INPUT else what.device.holding
            assert all(register in space for register in range(address, address + count)), (function, address, count)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("gap: 0", [(0, 2), (4, 1), (8, 2)]),
        ("gap: 1", [(0, 2), (4, 1), (8, 2)]),
        ("gap: 2", [(0, 5), (8, 2)]),
        ("gap: 3", [(0, 10)]),
        ("gap: 124, max_read: 5", [(0, 5), (8, 2)]),
        ("gap: 124, max_read: 4", [(0, 2), (4, 1), (8, 2)]),
    ],
)
def test_gaps_are_read_along_as_far_as_the_profile_allows(rules: str, expected: list[tuple[int, int]]) -> None:
    more = "  - {quantity: ac_v, register: 4, type: uint16}\n  - {quantity: ac_hz, register: 8, type: float32}\ncommands:\n"
    what = plain(rules, text=PLAIN.replace("commands:\n", more, 1))
    assert sorted((read.address, read.count) for read in what.plan().reads) == expected
    what.device.close()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("RULES", "max_read: 126", "bus.max_read: 126 is too large; allowed: a whole number from 1 to 125"),
        ("RULES", "max_write: 124", "bus.max_write: 124 is too large; allowed: a whole number from 1 to 123"),
        ("RULES", "gap: 125", "bus.gap: 125 is too large"),
        ("at: 0", "at: 123", "124 registers; at most 123 go into one request here"),
        ("at: 0", "at: 8", None),
    ],
)
def test_no_request_is_longer_than_modbus_takes(old: str, new: str, said: str | None) -> None:
    """125 registers read, 123 written (Application Protocol V1.1b3, 6.3 and 6.12)."""
    text = PLAIN.replace("kind: pcs\n", BUS, 1).replace("WEARS", "").replace("REVERSION", "{value: const, at: 0}")
    text = text.replace("DOG", "{kind: keep_alive, timeout_s: 6, writes: [{register: 12, fields: [{value: const, number: 1}]}]}")
    text = text.replace(old, new).replace("{RULES}", "{}").replace("at: 0}", "at: 1}")
    if said is None:
        from_text(text)
        return
    with pytest.raises(ConfigError) as caught:
        from_text(text, "p.yaml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("p.yaml:")


@pytest.mark.parametrize(("function", "count"), [(3, 126), (4, 126), (3, 0), (16, 124), (1, 2001), (15, 1969)])
def test_the_bus_sends_no_longer_one_either(function: int, count: int) -> None:
    with Master.tcp("127.0.0.1", 1) as master:
        if function in {15, 16}:
            with pytest.raises((BusError, ValueError)):
                master.write(1, 0, [0] * count, fc=function)
        else:
            with pytest.raises((BusError, ValueError)):
                master.read(1, function, 0, count)
        assert master.counters()["bytes_out"] == 0


# --- alarms of the maker's own ----------------------------------------------------------------------------------------------------------


def test_the_racks_alarms_are_those_of_its_own_bits() -> None:
    """OpenEMS BatterySoltaroSingleRackVersionAImpl.java (commit c8c8e2d): 0x2140 level 2, 0x2141 level 1; not SunSpec's bits."""
    rack = profiles.load("bms-rack").profile
    named = {bit.bit: bit.name for bit in bits_of(rack.alarms, BMS_BITS)}
    assert sorted(named) == list(range(32))
    what = placed(RackBms(), "bms-rack")
    with Bench(what) as bench:
        bench.run(3.0)
        alarm = int(bench.value("bms_alarm"))
    # 0x2140 = 0x0010: pack voltage low, level 2; 0x2141 = 0x0008: cell voltage low, level 1
    assert [named[bit] for bit in range(32) if alarm >> bit & 1] == ["under_volt_warning", "under_volt_alarm"]
    assert [named[bit] for bit in (10, 24, 29)] == ["bit_10", "bit_24", "bit_29"], "nobody says what they mean"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alarms: {3: over_tmp}\n", "'over_tmp' is no alarm of a pcs; did you mean 'over_temp'?"),
        ("alarms: {3: over_temp}\n", "no point brings them; add one of quantity pcs_alarm"),
        ("alarms: {32: over_temp}\n", "32 is too large"),
    ],
)
def test_an_alarm_that_nobody_knows_is_refused(text: str, said: str) -> None:
    body = PLAIN.replace("points:", f"{text}points:", 1).replace("WEARS", "").replace(", REVERSION", "")
    with pytest.raises(ConfigError) as caught:
        from_text(body.replace("DOG", "{kind: any_traffic, timeout_s: 6}"), "p.yaml")
    assert said in str(caught.value)


def test_the_simulated_device_is_what_the_table_says() -> None:
    """A device that answered everything would prove nothing of the above."""
    assert SimulatedDevice.max_read == 125
    assert RackBms.functions == {READ, WRITE_ONE}
