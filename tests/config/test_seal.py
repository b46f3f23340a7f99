"""What is sealed is what the site says: read back from the structure by name, and refused when the devices cannot do it."""

import dataclasses
from math import isnan
from typing import Any

import pytest

from bessctl.config.catalogue import Kind
from bessctl.config.fill import row_max_age_s
from bessctl.config.load import LoadedSite
from bessctl.config.protection import Warn
from bessctl.config.rows import SealedRow
from bessctl.config.seal import Sealing, seal
from bessctl.corelink import seal as core
from bessctl.devices.discovery import FoundDevice, from_json, to_json
from bessctl.errors import ConfigError
from tests.sites import changed_example, example_site, example_without_row, sealed_example, standard_devices

NO_BMS = (
    ("    bms: bms1                   # absent: the PCS answers for its battery\n", ""),
    (
        "  - name: bms1\n    kind: bms                   # SunSpec models 1, 802, 803\n    bus: lan\n    modbus_id: 2\n"
        "    response_s: 0.002\n    poll: {fast_s: 0.05}\n",
        "",
    ),
)


def config_of(sealing: Sealing) -> Any:
    return core.read_config(core.unpack(sealing.content).config_bytes)


def rows(sealing: Sealing) -> dict[tuple[str, str], int]:
    return {(row["name"], row["tier"]): index for index, row in enumerate(sealing.names["rows"])}


def test_the_file_reads_back_with_its_hash_and_names() -> None:
    """CARD-1: the loop's thresholds come from a sealed file; its name everywhere is its hash."""
    sealing = sealed_example()
    back = core.unpack(sealing.content)
    assert back.digest == sealing.digest
    assert back.names == sealing.names
    assert back.names["units"] == ["unit1"]
    assert back.names["slots"] == ["manual", "ems", "ocpp"]
    assert back.names["devices"] == ["pcs1", "bms1", "meter1"]


def test_the_same_site_has_the_same_hash_and_another_another() -> None:
    assert sealed_example().digest == sealed_example().digest
    assert sealed_example().digest != sealed_example(("pickup_v: 3.65", "pickup_v: 3.64")).digest


def test_every_threshold_arrives() -> None:
    sealing = sealed_example()
    c, at = config_of(sealing), rows(sealing)
    assert c["n_rows"] == len(sealing.names["rows"])
    trip = at["cell_v_high", "trip"]
    assert (c["row_pickup"][trip], c["row_dropoff"][trip], c["row_pickup_delay_ns"][trip]) == (3.65, 3.45, 200_000_000)
    assert (c["row_above"][trip], c["row_unit"][trip]) == (1, 0)
    assert c["row_quantity"][trip] == core.number("Q", "cell_v_max")
    assert c["row_action"][trip] == core.number("ACT", "standby")
    assert c["row_reset"][trip] == core.number("RESET", "any")
    assert c["row_direction"][trip] == core.number("DIR", "both")


@pytest.mark.parametrize(
    ("row", "pickup", "points"),
    [
        ("cell_v_high", 3.50, [(3.50, 1.0), (3.56, 0.1), (3.60, 0.0)]),  # above: the curve's low end
        ("cell_v_low", 3.00, [(2.80, 0.0), (2.90, 0.2), (3.00, 1.0)]),  # below: its high end
    ],
)
def test_a_curve_arrives_and_picks_up_at_its_healthy_end(row: str, pickup: float, points: list[tuple[float, float]]) -> None:
    sealing = sealed_example()
    c, i = config_of(sealing), rows(sealing)[row, "derate"]
    n, base = int(c["row_curve_count"][i]), i * core.LIMITS["curve_points"]
    assert c["row_pickup"][i] == pickup
    assert list(zip(c["row_curve_x"][base : base + n], c["row_curve_share"][base : base + n], strict=True)) == points


def test_a_row_template_is_expanded_for_each_unit_and_plant_rows_once() -> None:
    second = (
        (
            "  - name: meter1\n",
            "  - {name: pcs2, kind: pcs, bus: lan, modbus_id: 4, response_s: 0.001, poll: {fast_s: 0.05}}\n  - name: meter1\n",
        ),
        (
            "sources:  ",
            "  - {name: unit2, pcs: pcs2, discharge_max_w: 100000, charge_max_w: 100000, apparent_max_va: 100000, capacity_wh: 200000,\n"
            "     pack_min_v: 650, efficiency: 0.95, reversion_s: 5, ramp_to_zero_s: 0.5, data_age_s: 0.5}\n\nsources:  ",
        ),
    )
    sealing = sealed_example(*second)
    units = [row["unit"] for row in sealing.names["rows"] if (row["name"], row["tier"]) == ("soc_low", "derate")]
    assert units == ["unit1", "unit2"]
    assert [row["unit"] for row in sealing.names["rows"] if row["name"] in {"meter_data_age", "overruns"}] == ["", ""]
    assert list(config_of(sealing)["unit_bms_device"][:2]) == [1, -1]


def test_slots_keep_what_is_not_stated_apart_from_zero() -> None:
    """None is no statement, zero is an order."""
    c = config_of(sealed_example())
    assert list(c["slot_required"][:3]) == [0, 1, 0]
    assert c["slot_default"][1] == core.number("HAS", "pcc_lo") | core.number("HAS", "pcc_hi")
    assert c["slot_pcc_lo_w"][1] == -250000.0
    assert isnan(c["slot_ess_lo_w"][1])
    assert c["slot_scopes"][1] == 0b11
    assert c["slot_max_lease_ns"][2] == 300_000_000_000


def written(c: Any, device: int, program: str) -> list[tuple[int, int]]:
    """Address and count of each request of a device's program."""
    rows = [i for i in range(c["n_writes"]) if (c["write_device"][i], c["write_program"][i]) == (device, core.number("PR", program))]
    return [(int(c["write_addr"][i]), int(c["write_count"][i])) for i in rows]


def test_the_read_plan_asks_each_model_once_and_in_the_standards_registers() -> None:
    c = config_of(sealed_example())
    blocks = {(int(c["read_device"][i]), int(c["read_addr"][i]), int(c["read_count"][i])) for i in range(c["n_reads"])}
    assert (0, 40070, 123) in blocks  # 701 in one FC03
    assert (1, 40070, 64) in blocks  # 802
    assert (1, 40134, 28) in blocks  # 803 carries the temperatures
    assert written(c, 0, "setpoint") == [(40296 + 22, 11)]
    assert (c["factor_device"][0], c["factor_addr"][0], c["factor_of_setpoint"][0]) == (0, 40296 + 55, 1)
    assert written(c, 0, "beat") == [(40417 + 5, 2)]
    assert written(c, 1, "beat") == [(40070 + 19, 1)]
    assert not [i for i in range(c["n_writes"]) if c["write_device"][i] == 2]  # a meter is only read


def test_every_connect_verifies_ids_lengths_and_serial_number() -> None:
    c = config_of(sealed_example())
    checks = {(int(c["check_device"][i]), int(c["check_addr"][i])): int(c["check_value"][i]) for i in range(c["n_checks"])}
    assert checks[0, 40070] == 701
    assert checks[0, 40071] == 153
    assert [checks[0, 40052 + i] for i in range(3)] == [0x534E, 0x3031, 0]
    assert (0, 40055) not in checks  # padding


def point_scale(sealing: Sealing, quantity: str) -> float:
    c = config_of(sealing)
    (found,) = [i for i in range(c["n_points"]) if c["point_quantity"][i] == core.number("Q", quantity)]
    return float(c["point_scale"][found])


@pytest.mark.parametrize(
    ("quantity", "changes", "scale"),
    [
        ("ac_w", (), 1.0),  # 701: generation positive, as ours
        ("pcc_w", (), -1.0),  # a meter counts import positive
        ("pcc_w", (("meter_positive: import", "meter_positive: export"),), 1.0),
        ("pack_a", (), 1.0),
        ("pack_a", (("    modbus_id: 2\n", "    modbus_id: 2\n    dc_positive: charge\n"),), -1.0),
        ("dc_w", (("    modbus_id: 1\n", "    modbus_id: 1\n    dc_positive: charge\n"),), -1.0),
        ("bms_cha_max_a", (("    modbus_id: 2\n", "    modbus_id: 2\n    dc_positive: charge\n"),), 1.0),  # a magnitude
    ],
)
def test_signs_turn_once_at_the_device(quantity: str, changes: tuple[tuple[str, str], ...], scale: float) -> None:
    assert point_scale(sealed_example(*changes), quantity) == scale


def refused(loaded: LoadedSite, found: dict[str, FoundDevice]) -> str:
    with pytest.raises(ConfigError) as caught:
        seal(loaded, found)
    return str(caught.value)


def without(found: dict[str, FoundDevice], device: str, *points: str) -> dict[str, FoundDevice]:
    record = found[device]
    models = tuple(dataclasses.replace(m, present=tuple(p for p in m.present if p not in points)) for m in record.models)
    return {**found, device: dataclasses.replace(record, models=models)}


def without_model(found: dict[str, FoundDevice], device: str, model: int) -> dict[str, FoundDevice]:
    record = found[device]
    return {**found, device: dataclasses.replace(record, models=tuple(m for m in record.models if m.id != model))}


def test_a_row_whose_point_the_device_lacks_is_refused_with_the_rows_name() -> None:
    """R5: unless disabled with a reason."""
    loaded = example_site()
    found = without(standard_devices(loaded), "bms1", "ModTmpMax")
    message = refused(loaded, found)
    assert "protection.cell_temp_high: no device of unit1 measures cell_temp_max_c (803 ModTmpMax)" in message
    loaded = example_without_row("cell_temp_high", "the rack has a thermostat of its own")
    assert "cell_temp_high" not in [row["name"] for row in seal(loaded, found).names["rows"]]


@pytest.mark.parametrize(
    ("device", "points", "said"),
    [
        ("pcs1", ("W",), "does not measure AC power"),
        ("pcs1", ("WSet",), "takes no set point"),
        ("pcs1", ("DERHb",), "has no 715 DERHb"),
        ("bms1", ("Hb",), "has no 802 Hb"),
        ("bms1", ("AChaMax",), "protection.charge_current_high: no device of unit1 measures bms_cha_max_a"),
    ],
)
def test_a_device_that_lacks_what_the_site_needs_is_refused(device: str, points: tuple[str, ...], said: str) -> None:
    loaded = example_site()
    assert said in refused(loaded, without(standard_devices(loaded), device, *points))


@pytest.mark.parametrize(("device", "model"), [("pcs1", 701), ("pcs1", 704), ("bms1", 802), ("bms1", 803), ("meter1", 203)])
def test_a_device_without_its_models_is_refused(device: str, model: int) -> None:
    loaded = example_site()
    message = refused(loaded, without_model(standard_devices(loaded), device, model))
    assert f"{device!r} has no SunSpec model" in message
    assert str(model) in message


def test_what_was_never_discovered_is_refused_with_the_way_to_do_it() -> None:
    loaded = example_site()
    message = refused(loaded, {})
    assert message.count("was not discovered yet") == 3
    assert "bessctl discover --into SITE" in message


def test_a_rating_beyond_the_pcs_own_is_refused() -> None:
    loaded = changed_example(("apparent_max_va: 210000", "apparent_max_va: 260000"))
    assert "apparent_max_va: 260000 is beyond what 'pcs1' states as its rating, 210000" in refused(loaded, standard_devices(loaded))


def test_a_stored_discovery_seals_to_the_same_file() -> None:
    loaded = example_site()
    found = standard_devices(loaded)
    assert seal(loaded, from_json(to_json(found), "x")).digest == seal(loaded, found).digest


def test_a_pcs_may_answer_for_its_battery() -> None:
    c = config_of(sealed_example(*NO_BMS))
    assert c["unit_bms_device"][0] == -1
    assert written(c, 0, "open")
    assert c["row_quantity"][0] in [int(q) for q in c["point_quantity"][: c["n_points"]]]


def test_times_are_sealed_in_nanoseconds() -> None:
    sealing = sealed_example(("    data_age_s: 0.5 ", "    data_age_s: 0.6 "))
    c, at = config_of(sealing), rows(sealing)
    expected = {
        "settle_ns": 500_000_000,
        "stop_timeout_ns": 5_000_000_000,
        "reversal_dead_ns": 100_000_000,
        "frozen_ns": 5_000_000_000,
        "max_uncontrolled_ns": 10_000_000_000,
        "meter_hold_ns": 5_000_000_000,
        "meter_age_ns": 1_000_000_000,
        "meter_delay_ns": 0,
    }
    assert {name: int(c[name]) for name in expected} == expected
    units = ("unit_reversion_ns", "unit_ramp_to_zero_ns", "unit_confirm_ns", "unit_data_age_ns")
    assert [int(c[name][0]) for name in units] == [5_000_000_000, 500_000_000, 2_000_000_000, 600_000_000]
    assert c["row_max_age_ns"][at["cell_v_high", "trip"]] == 600_000_000  # the unit's, where the row states none
    assert c["dev_timeout_ns"][0] == 300_000_000


def test_a_row_may_state_its_own_age() -> None:
    stated = ("warn:   {pickup_pct: 93, ", "warn:   {pickup_pct: 93, max_age_s: 2.5, ")
    sealing = sealed_example(stated)
    assert config_of(sealing)["row_max_age_ns"][rows(sealing)["soc_high", "warn"]] == 2_500_000_000


def test_a_slow_point_is_not_old_before_three_refresh_times() -> None:
    """R4: a meter asked each 2 s."""
    loaded = changed_example(("we turn it\n    poll: {fast_s: 0.05}", "we turn it\n    poll: {fast_s: 0.3}"))
    meter_row = SealedRow(Kind("pcc", "pcc_hz", True, "hz", "both", per_unit=False), "warn", Warn(pickup=1, dropoff=0), None, "pcc")
    assert row_max_age_s(meter_row, loaded.site) == 1.0
    loaded = changed_example(
        ("we turn it\n    poll: {fast_s: 0.05}", "we turn it\n    poll: {fast_s: 2}"),
        ("{pickup_s: 1.0, dropoff_s: 0.5, dropoff_delay_s: 5.0}", "{pickup_s: 7.0, dropoff_s: 6.0}"),
    )
    assert row_max_age_s(meter_row, loaded.site) > 6.0


def test_what_the_connection_may_carry_is_sealed_as_stated_or_as_not_stated() -> None:
    c = config_of(sealed_example())
    assert (isnan(c["pcc_phase_max_a"]), c["balance_soc_pct"]) == (True, 10)
    c = config_of(
        sealed_example(
            ("  meter_hold_s: 5 ", "  phase_max_a: 363\n  meter_delay_s: 0.2\n  meter_data_age_s: 0.9\n  meter_hold_s: 5 "),
            ("  min_power_w: 500 ", "  balance_soc_pct: 0\n  min_power_w: 500 "),
        )
    )
    assert (c["pcc_phase_max_a"], c["meter_delay_ns"], c["meter_age_ns"], c["balance_soc_pct"]) == (363, 200_000_000, 900_000_000, 0)
    assert {int(core.number("Q", f"pcc_l{phase}_{what}")) for phase in (1, 2, 3) for what in "wva"} <= set(map(int, c["point_quantity"]))


def test_R10_a_slow_meter_is_not_stale_before_three_refresh_times() -> None:
    slow = ("we turn it\n    poll: {fast_s: 0.05}", "we turn it\n    poll: {fast_s: 1}")
    row = ("{pickup_s: 1.0, dropoff_s: 0.5, dropoff_delay_s: 5.0}", "{pickup_s: 4.0, dropoff_s: 3.0}")
    assert config_of(sealed_example(slow, row))["meter_age_ns"] > 3_000_000_000


@pytest.mark.parametrize("missing", ["WphB", "PhVphC", "AphA"])
def test_a_limit_per_phase_is_refused_where_the_meter_measures_no_phases(missing: str) -> None:
    loaded = changed_example(("  meter_hold_s: 5 ", "  phase_max_a: 363\n  meter_hold_s: 5 "))
    found = standard_devices(loaded)
    meter = found["meter1"]
    lacking = tuple(dataclasses.replace(model, present=tuple(name for name in model.present if name != missing)) for model in meter.models)
    message = refused(loaded, {**found, "meter1": dataclasses.replace(meter, models=lacking)})
    assert "pcc.phase_max_a: 'meter1' does not measure" in message
    assert missing in message
