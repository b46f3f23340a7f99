"""What is sealed is what the site says: read back from the structure by name, and refused when the devices cannot do it."""

import dataclasses
import re
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessctl.config import derived, profiles
from bessctl.config.catalogue import Kind
from bessctl.config.fill import row_max_age_s
from bessctl.config.load import LoadedSite, site_from_text
from bessctl.config.protection import Warn
from bessctl.config.rows import SealedRow
from bessctl.config.seal import Sealing, seal
from bessctl.corelink import seal as core
from bessctl.devices.discovery import FoundDevice, from_json, to_json
from bessctl.errors import ConfigError
from bessctl_core import layout as L
from tests.config.test_contradictions import OWN, SUNGROW, changed, without_rows_of_the_pcs
from tests.core.rig import Rig
from tests.sites import EXAMPLE, changed_example, example_site, example_without_row, sealed_example, standard_devices

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
    sealing = sealed_example(*second, ("act_within_ms: 500", "act_within_ms: 600"))
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


TWICE = """
  - {quantity: soc_pct, model: 701, name: W, offset: 10, type: int16}
  - {quantity: bms_cha_max_a, model: 701, name: VA, offset: 11, type: int16}
"""
DEVICE = "    kind: pcs                   #"
ROOT = EXAMPLE.parent.parent


def with_profile(folder: Path, added: str) -> LoadedSite:
    """The example, whose PCS has points more."""
    text = profiles.find("sunspec-7xx").read_text().replace("\nratings:", f"{added}\nratings:", 1)
    (folder / "more.yaml").write_text(text)
    return changed_example((DEVICE, f"    profile: {folder}/more.yaml\n{DEVICE}"))


@pytest.mark.parametrize("mark", ["", ", battery: true"])
def test_two_devices_of_a_unit_that_bring_one_quantity_are_refused_with_their_place(mark: str, tmp_path: Path) -> None:
    """The scenario: a hybrid inverter told the battery's limits beside the BMS, and the one that answered later won: 30 A for 0 A."""
    loaded = with_profile(tmp_path, TWICE.replace("}", f"{mark}}}"))
    found = {name: dataclasses.replace(device, profile="") for name, device in standard_devices(loaded).items()}
    if mark:
        seal(loaded, found)
        return
    said = refused(loaded, found)
    assert "units[0].bms: 'pcs1' and 'bms1' both bring bms_cha_max_a, soc_pct; mark the points of the PCS with battery: true" in said
    line = EXAMPLE.read_text().splitlines().index("    bms: bms1                   # absent: the PCS answers for its battery") + 2
    assert f"{EXAMPLE}:{line}:" in said


@pytest.mark.parametrize("name", profiles.names())
def test_no_shipped_pcs_speaks_for_a_battery_that_has_a_voice_of_its_own(name: str) -> None:
    """What only a BMS knows is marked in the profile of every PCS."""
    profile = profiles.load(name).profile
    bms = {
        point.quantity
        for each in profiles.names()
        for point in profiles.load(each).profile.points
        if profiles.load(each).profile.kind == "bms"
    }
    assert profile.kind != "pcs" or not {point.quantity for point in profile.points if not point.battery} & bms


@pytest.mark.parametrize(
    ("quantity", "measured", "missing"),
    [
        ("cha_a_over", {"pack_a", "bms_cha_max_a"}, []),
        ("cha_a_over", {"dc_a", "bms_cha_max_a"}, []),
        ("cha_a_over", {"bms_cha_max_a"}, [("pack_a", "dc_a")]),
        ("cha_a_over", {"pack_a"}, [("bms_cha_max_a",)]),
        ("cha_a_over", set(), [("bms_cha_max_a",), ("pack_a", "dc_a")]),
        ("conflict_pct", {"ac_w", "dc_w"}, []),
        ("conflict_pct", {"ac_w", "pack_a", "pack_v"}, []),
        ("conflict_pct", {"ac_w", "pack_a"}, [("pack_v", "dc_w")]),
        ("conflict_pct", {"ac_w"}, [("pack_a and pack_v", "dc_w")]),
        ("conflict_pct", {"dc_w"}, [("ac_w",)]),
        ("bms_age_s", {"pack_v"}, []),
        ("bms_age_s", {"pack_a"}, [("pack_v",)]),
        ("soc_pct", set(), [("soc_pct",)]),
        ("soc_pct", {"soc_pct"}, []),
    ],
)
def test_what_a_quantity_is_made_from(quantity: str, measured: set[str], missing: list[tuple[str, ...]]) -> None:
    assert derived.lacking(quantity, measured) == missing


def test_every_derived_quantity_is_in_the_table_and_no_other() -> None:
    """derive.pxd and layout.pxd say which are derived: those that no device may bring."""
    made = set(derived.MADE_FROM) | {"overrun_per_s", "target_over_pct"}
    text = (ROOT / "core/bessctl_core/layout.pxd").read_text()
    first, again, then = (text.index(word) for word in ("# Derived by the step", "# Measured again: the phases", "# Derived again"))
    told = re.findall(r"Q_(\w+) =", text[first:again]) + re.findall(r"Q_(\w+) =", text[then : text.index("# Digital inputs, place PLANT")])
    assert made == {name.lower() for name in told}


WELL = {
    "ac_v": 230.0, "ac_hz": 50.0, "pack_v": 768.0, "soc_pct": 50.0, "soh_pct": 99.0, "cell_temp_max_c": 25.0, "pcs_temp_c": 30.0,
    "bms_cha_max_a": 30.0, "bms_dis_max_a": 30.0, "pcs_state": 3.0, "pcc_l1_v": 230.0, "pcc_l2_v": 230.0, "pcc_l3_v": 230.0, "pcc_hz": 50.0,
}  # fmt: skip


def hybrid(folder: Path, pace: str = "") -> tuple[LoadedSite, dict[str, FoundDevice]]:
    """The example with a Sungrow that answers for its battery; `pace`: of the battery's limits."""
    text = profiles.find("sungrow-sh").read_text()
    for register in (5634, 5635):
        text = text.replace(f"register: {register}, ", f"register: {register}, {pace}")
    (folder / "hybrid.yaml").write_text(text)
    swaps = [(old, new.replace("profile: sungrow-sh", f"profile: {folder}/hybrid.yaml")) for old, new in (*SUNGROW, OWN, *NO_BMS)]
    site = without_rows_of_the_pcs(changed(*swaps)).replace("act_within_ms: 500", "act_within_ms: 3000")
    for row in ("cell_v_high", "cell_v_low", "cell_v_spread", "cell_temp_low", "cell_temp_spread", "bms_fault", "bms_alarms"):
        site = re.sub(rf"^  {row}:.*\n(?:    .*\n)*", "", site, flags=re.MULTILINE)
    lacks = "".join(f"  {row}: {{disabled: it tells none}}\n" for row in ("cell_v_high", "cell_v_low", "cell_temp_low", "bms_alarms"))
    loaded = site_from_text(site.replace("protection:\n", f"protection:\n{lacks}", 1))
    blank = dataclasses.replace(FoundDevice.blank(), profile="sungrow-sh", modbus_id=1)
    return loaded, {**standard_devices(loaded), "pcs1": blank}


def test_R5_a_hybrid_inverter_without_a_bms_seals_and_starts_and_its_limits_bind(tmp_path: Path) -> None:
    """The scenario: it measures the battery's amps and no DC side; its current rows were sealed, never saw anything, and the start failed
    for ever. What it says of its battery binds (R14)."""
    sealing = seal(*hybrid(tmp_path))
    array = np.frombuffer(core.unpack(sealing.content).config_bytes, L.dtype("SiteConfig")).copy()
    c, names = array[0], {int(q): str(q.name)[2:].lower() for q in L.Quantity}
    r = Rig(array)
    points = [(int(c["point_place"][i]), int(c["point_quantity"][i])) for i in range(c["n_points"])]
    r.values = {at: WELL.get(names[at[1]], 0.0) for at in points}
    r.set(L.Quantity.Q_OVERRUN_PER_S, 0, place=L.LIMITS["plant"])
    r.h.set_meter(L.DeviceState.DEV_UP)
    r.tick(100)
    assert (r.state["mode"], r.codes().count(L.EventCode.EV_ROW_LATCHED)) == (L.Mode.MODE_RUN, 0)
    r.set(L.Quantity.Q_BMS_CHA_MAX_A, 5.0)
    r.set(L.Quantity.Q_BMS_DIS_MAX_A, 0.0)
    r.tick()
    assert (r.state["device_lo_w"], r.state["device_hi_w"]) == pytest.approx((-5 * 650 / 0.95, 0))


def test_R4_a_comparison_with_something_slow_may_be_as_old_as_that(tmp_path: Path) -> None:
    """Else the row would be blind between two polls of the limit it compares with."""
    ages = []
    for pace in ("", "pace: slow, "):
        sealing = seal(*hybrid(tmp_path, pace))
        ages.append(config_of(sealing)["row_max_age_ns"][rows(sealing)["charge_current_high", "trip"]] / 1e9)
    assert ages[0] == 1.0, "the unit's data age"
    assert 3.0 < ages[1] < 4.0, "three times a second and what the bus takes"


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
