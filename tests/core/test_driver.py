"""Registers become measurements, and a read-back becomes a verdict: the pure parts of the driver (R4, R5, R11)."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl.corelink.seal import read_config
from bessctl_core import layout as L
from bessctl_core.bounds import fault_of
from bessctl_core.probe import decode, fingerprint, read_back, released, written
from bessctl_core.sealed import SealedSite, pack, unpack
from tests.sites import sealed_example

T = L.PointType
PLACE, QUANTITY = 0, L.Quantity.Q_PACK_V
OTHER = L.Quantity.Q_PCS_HB
S = 1_000_000_000
REVERSION_S = 10


def a_site(**fields: Any) -> SealedSite:
    """One device, one read, one point; `fields` change single fields of the structure."""
    c = np.zeros(1, L.dtype("SiteConfig"))[0]
    c["rate_hz"], c["n_units"], c["n_devices"], c["n_buses"], c["n_reads"], c["n_points"] = 100, 1, 1, 1, 1, 1
    c["bus_kind"][0], c["dev_kind"][0], c["read_count"][0] = L.BusKind.BUS_TCP, L.DeviceKind.DEV_BMS, 10
    c["point_sf_offset"][0], c["point_scale"][0], c["point_quantity"][0] = -1, 1.0, QUANTITY
    for name, value in fields.items():
        if c.dtype[name].shape:
            c[name][0] = value
        else:
            c[name] = value
    return unpack(pack(c.tobytes(), {}))


def value_of(kind: int, *registers: int, sf: int | None = None, scale: float = 1.0) -> float:
    site = a_site(point_type=kind, point_scale=scale, point_sf_offset=-1 if sf is None else 5)
    block = [*registers, *[0] * (5 - len(registers)), 0 if sf is None else sf & 0xFFFF]
    return decode(site, 0, block)[PLACE, QUANTITY]


@pytest.mark.parametrize(
    ("kind", "registers", "value"),
    [
        # the two ends of each type
        (T.PT_INT16, (0x7FFF,), 32767.0),
        (T.PT_INT16, (0x8001,), -32767.0),
        (T.PT_UINT16, (0xFFFE,), 65534.0),
        (T.PT_INT32, (0x7FFF, 0xFFFF), 2147483647.0),
        (T.PT_INT32, (0xFFFF, 0xFFFF), -1.0),
        (T.PT_UINT32, (0xFFFF, 0xFFFE), 4294967294.0),
        (T.PT_INT64, (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE), -2.0),
        (T.PT_UINT64, (0, 0, 1, 0), 65536.0),
        (T.PT_FLOAT32, struct.unpack(">2H", struct.pack(">f", -12.5)), -12.5),
        (T.PT_ENUM16, (7,), 7.0),
        (T.PT_BITS32, (0x8000, 1), float(0x80000001)),
        # "not implemented" is no number, whatever it would be as one
        (T.PT_INT16, (0x8000,), math.nan),
        (T.PT_UINT16, (0xFFFF,), math.nan),
        (T.PT_ENUM16, (0xFFFF,), math.nan),
        (T.PT_INT32, (0x8000, 0), math.nan),
        (T.PT_UINT32, (0xFFFF, 0xFFFF), math.nan),
        (T.PT_BITS32, (0xFFFF, 0xFFFF), math.nan),
        (T.PT_INT64, (0x8000, 0, 0, 0), math.nan),
        (T.PT_UINT64, (0xFFFF,) * 4, math.nan),
        (T.PT_FLOAT32, (0x7FC0, 0), math.nan),
    ],
)
def test_each_type_and_its_way_to_say_not_implemented(kind: int, registers: tuple[int, ...], value: float) -> None:
    """R5: a point that turns to its not-implemented value is a violation: NaN, never a number."""
    assert value_of(kind, *registers) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    ("kind", "registers", "value"),
    [
        (T.PT_INT32, (0xFFFE, 0xFFFF), -2.0),
        (T.PT_UINT32, (1, 2), float(0x20001)),
        (T.PT_BITS32, (1, 0x8000), float(0x80000001)),
        (T.PT_FLOAT32, struct.unpack(">2H", struct.pack(">f", -12.5))[::-1], -12.5),
        (T.PT_UINT64, (5, 1, 0, 0), 65541.0),
        (T.PT_INT64, (0xFFFE, 0xFFFF, 0xFFFF, 0xFFFF), -2.0),
        (T.PT_INT16, (0x8001,), -32767.0),
        # and says "not implemented" in the same order
        (T.PT_INT32, (0, 0x8000), math.nan),
        (T.PT_INT64, (0, 0, 0, 0x8000), math.nan),
        (T.PT_FLOAT32, (0, 0x7FC0), math.nan),
    ],
)
def test_each_type_with_its_low_word_first(kind: int, registers: tuple[int, ...], value: float) -> None:
    site = a_site(point_type=kind, point_low_first=1)
    assert decode(site, 0, [*registers, *[0] * (10 - len(registers))])[PLACE, QUANTITY] == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(("sf", "value"), [(-2, 76.8), (0, 7680.0), (1, 76800.0), (10, 7.68e13), (-10, 7.68e-7)])
def test_a_scale_factor_of_the_block_counts(sf: int, value: float) -> None:
    assert value_of(T.PT_UINT16, 7680, sf=sf) == pytest.approx(value)


@pytest.mark.parametrize("sf", [-0x8000, 11, -11, 0x7FFF])
def test_a_scale_factor_that_is_none_makes_no_value(sf: int) -> None:
    assert math.isnan(value_of(T.PT_UINT16, 7680, sf=sf))


def test_the_sign_of_the_profile_turns_the_value_once() -> None:
    assert value_of(T.PT_INT16, 500, scale=-0.1) == pytest.approx(-50.0)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 0xFFFF), min_size=10, max_size=10), st.sampled_from(list(T)))
def test_any_registers_decode_to_a_number_or_to_none(registers: list[int], kind: int) -> None:
    decoded = decode(a_site(point_type=kind, point_sf_offset=9), 0, registers)
    assert set(decoded) == {(PLACE, QUANTITY)}


def test_the_fingerprint_sees_each_bit_of_an_analogue_and_no_heartbeat() -> None:
    """R4: without a heartbeat a device is frozen when no analogue changes in any bit."""
    analogue, beat = a_site(), a_site(point_quantity=OTHER)
    assert fingerprint(analogue, 0, [1000]) == fingerprint(analogue, 0, [1000])
    assert len({fingerprint(analogue, 0, [1000 ^ 1 << bit]) for bit in range(16)}) == 16
    assert fingerprint(beat, 0, [1]) == fingerprint(beat, 0, [2])


# --- the set point -----------------------------------------------------------------------------------------------------------------------


def setpoint_site() -> tuple[SealedSite, int]:
    """The example site and the row of its SunSpec set point."""
    site = unpack(
        sealed_example(
            ("    reversion_s: 5 ", f"    reversion_s: {REVERSION_S} "), ("  max_uncontrolled_s: 10 ", "  max_uncontrolled_s: 20 ")
        ).content
    )
    c = read_config(site.config_bytes)
    (row,) = [i for i in range(c["n_writes"]) if c["write_program"][i] == L.Program.PR_SETPOINT]
    return site, row


SITE, ROW = setpoint_site()


def found(raw: int, left_s: int, **changed: int) -> list[int]:
    registers = [*written(SITE, ROW, raw), left_s >> 16, left_s & 0xFFFF]
    for index, value in changed.items():
        registers[int(index.removeprefix("r"))] = value
    return registers


def test_set_point_and_reversion_go_in_one_block() -> None:
    """R11: enabled, watts, expiry value 0 W enabled, our time: one FC16 of eleven registers (704 WSetEna .. WSetRvrtTms)."""
    assert written(SITE, ROW, -150_000) == [1, 1, 0xFFFD, 0xB610, 0, 0, 0, 0, 1, 0, 10]


@pytest.mark.parametrize(
    ("registers", "age_s", "verdict"),
    [
        (found(50_000, 10), 0.0, "ours"),
        (found(50_000, 7), 3.0, "ours"),
        (found(50_000, 6), 3.0, "ours"),  # whole seconds, inexact timers
        (found(50_000, 10, r6=99, r7=12), 0.0, "ours"),  # the percent mode's registers are not ours
        (found(50_000, 4), 0.0, "reverted"),  # our write did not arm it again
        (found(50_000, 11), 0.0, "reverted"),  # more than we asked for
        (found(50_000, 0), 1.0, "reverted"),  # the timer is over
        (found(50_000, 0, r0=0), 1.0, "reverted"),
        (found(20_000, 10), 0.0, "other"),
        (found(50_000, 10, r0=0), 0.0, "other"),
        (found(50_000, 10, r1=0), 0.0, "other"),
        (found(50_000, 10, r5=500), 0.0, "other"),
        (found(50_000, 10, r8=0), 0.0, "other"),
        (found(50_000, 0, r10=60), 0.0, "other"),
    ],
)
def test_what_a_read_back_proves(registers: list[int], age_s: float, verdict: str) -> None:
    """R11: confirmed is only what is all ours, with the timer running and armed by our own write."""
    assert read_back(SITE, ROW, registers, 50_000, round(age_s * S)) == verdict


def var_site() -> tuple[SealedSite, int]:
    """The same with a source that may ask for reactive power, which goes first: the row of 704 VarSet."""
    first = ("  min_power_w: 500 ", "  priority: reactive\n  min_power_w: 500 ")
    scope = ("first\n    scopes: [ess]\n    lease_max_s: 3600", "first\n    scopes: [ess, reactive]\n    lease_max_s: 3600")
    times = ("    reversion_s: 5 ", f"    reversion_s: {REVERSION_S} "), ("  max_uncontrolled_s: 10 ", "  max_uncontrolled_s: 20 ")
    site = unpack(sealed_example(first, scope, *times).content)
    c = read_config(site.config_bytes)
    (row,) = [i for i in range(c["n_writes"]) if c["write_program"][i] == L.Program.PR_VAR]
    return site, row


VAR_SITE, VAR_ROW = var_site()


def found_var(raw: int, left_s: int, **changed: int) -> list[int]:
    registers = [*written(VAR_SITE, VAR_ROW, raw), left_s >> 16, left_s & 0xFFFF]
    for index, value in changed.items():
        registers[int(index.removeprefix("r"))] = value
    return registers


def test_a_reactive_set_point_expires_to_the_pcs_own_functions() -> None:
    """SEP2-10, R11: enabled, vars, priority, expiry "not enabled": twelve registers (704 VarSetEna .. VarSetRvrtTms)."""
    assert written(VAR_SITE, VAR_ROW, -150_000) == [1, 4, 1, 0xFFFD, 0xB610, 0, 0, 0, 0, 0, 0, 10]
    assert written(VAR_SITE, VAR_ROW, released) == [0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 10]


@pytest.mark.parametrize(
    ("raw", "registers", "age_s", "verdict"),
    [
        (50_000, found_var(50_000, 10), 0.0, "ours"),
        (50_000, found_var(50_000, 10, r7=99, r8=12), 0.0, "ours"),  # percentages
        (50_000, found_var(50_000, 4), 0.0, "reverted"),
        (50_000, found_var(50_000, 0, r0=0), 1.0, "reverted"),  # expired: given back to the PCS
        (50_000, found_var(50_000, 10, r2=0), 0.0, "other"),
        (50_000, found_var(50_000, 10, r0=0), 0.0, "other"),
        (50_000, found_var(50_000, 10, r1=3), 0.0, "other"),
        (50_000, found_var(50_000, 10, r9=1), 0.0, "other"),
        (50_000, found_var(-50_000, 10), 0.0, "other"),
        (released, found_var(released, 0), 99.0, "ours"),  # no timer runs
        (released, found_var(50_000, 0, r0=0), 99.0, "ours"),  # nothing is enabled, whatever stands there
        (released, found_var(50_000, 10), 0.0, "other"),
    ],
)
def test_what_a_read_back_of_reactive_power_proves(raw: int, registers: list[int], age_s: float, verdict: str) -> None:
    assert read_back(VAR_SITE, VAR_ROW, registers, raw, round(age_s * S)) == verdict


# --- bounds ------------------------------------------------------------------------------------------------------------------------------


def test_a_configuration_within_its_arrays_is_accepted() -> None:
    assert fault_of(a_site()) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"n_units": 17}, "17 units"),
        ({"n_reads": -1}, "-1 reads"),
        ({"rate_hz": math.nan}, "loop rate"),
        ({"rate_hz": 5}, "loop rate"),
        ({"unit_pcs_device": 1}, "unit 0"),
        ({"dev_bus": 1}, "device 0"),
        ({"dev_place": 1}, "device 0"),
        ({"n_writes": 1, "write_count": 124, "write_back": 1}, "write 0"),
        ({"n_writes": 1, "write_count": 2, "write_back": 2, "write_addr": 65535}, "write 0"),
        ({"n_writes": 1, "write_count": 1, "write_back": 1, "write_device": 1}, "write 0"),
        ({"n_writes": 1, "write_count": 33, "write_back": 33, "write_program": int(L.Program.PR_SETPOINT)}, "at most 32 fit"),
        ({"n_writes": 1, "write_count": 1, "write_back": 1, "write_fields": 1}, "fields that do not exist"),
        (
            {"n_writes": 1, "write_count": 1, "write_back": 2, "n_fields": 1, "write_fields": 1, "field_type": int(T.PT_INT32)},
            "lies outside of it",
        ),
        ({"n_factors": 1, "factor_addr": 65535, "factor_type": int(T.PT_INT32)}, "factor 0"),
        ({"point_factor": 1}, "factor or codes"),
        ({"point_map_count": 1}, "factor or codes"),
        ({"point_sign_offset": 10}, "outside"),
        ({"n_slots": 1, "slot_class": L.SlotClass.CLASS_MARKET + 1}, "source 0 is of class 3"),
        ({"dev_hb_quantity": L.LIMITS["quantities"]}, "heartbeat"),
        ({"bus_kind": 3}, "bus 0"),
        ({"read_count": 126}, "read 0"),
        ({"read_addr": 65530}, "read 0"),
        ({"read_device": 1}, "read 0"),
        ({"point_read": 1}, "point 0"),
        ({"point_offset": 10}, "outside"),
        ({"point_offset": 9, "point_type": int(T.PT_INT32)}, "outside"),
        ({"point_sf_offset": 10}, "outside"),
        ({"point_quantity": L.LIMITS["quantities"]}, "point 0"),
        ({"point_place": 3}, "point 0"),
        ({"n_points": 2, "point_quantity": 0}, "point 1 brings what another one brings already"),
        ({"n_chips": 1, "n_lines": 2}, "GPIO line 1 brings what another one brings already"),
    ],
)
def test_an_index_outside_its_array_is_refused(fields: dict[str, Any], said: str) -> None:
    """A sealed file of another program cannot lead the loop out of its memory."""
    assert said in str(fault_of(a_site(**fields)))
