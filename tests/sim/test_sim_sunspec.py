"""SunSpec's own client (pysunspec2) against the simulated devices over TCP: layout, sentinels and engineering values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import sunspec2.modbus.client as sunspec

from bessctl_core.sim.plant import Plant
from bessctl_core.sim.server import PlantServer
from tests.sim.plants import config, order

SERIAL = {"device": {"unit": 1, "serial": "PCS-77"}}


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Plant, dict[str, Any]]]:
    """A plant at work in simulated time, and what pysunspec2 read of its three devices."""
    sections = config(pcs={**{"w_max": 200_000}, **SERIAL}, meter={"load": {"w": 61_000}, "pv": {"w": 17_000}})
    with PlantServer([Plant(sections)], real_time=False) as server:
        p = server.plants[0]
        order(p, 120_000, seconds=30)
        p.step(7.0)
        yield p, {name: scan(server.port, unit) for unit, name in ((1, "pcs"), (2, "battery"), (3, "meter"))}


def scan(port: int, unit: int) -> Any:
    device = sunspec.SunSpecModbusClientDeviceTCP(slave_id=unit, ipaddr="127.0.0.1", ipport=port, timeout=5)
    device.scan()
    device.close()
    return device


def test_chains_hold_the_models_of_each_device(served: Any) -> None:
    chains = {name: [k for k in device.models if isinstance(k, int)] for name, device in served[1].items()}
    assert chains == {"pcs": [1, 701, 702, 703, 704, 713, 714, 715], "battery": [1, 802, 803], "meter": [1, 203]}


@pytest.mark.parametrize("name", ["pcs", "battery", "meter"])
def test_lengths_are_those_of_the_definitions(served: Any, name: str) -> None:
    for number, models in served[1][name].models.items():
        if isinstance(number, int):
            assert models[0].len == models[0].points["L"].value == models[0].points_len + repeated(models[0]) - 2
            assert models[0].error_info == ""


def repeated(model: Any) -> int:
    groups = [g for entry in model.groups.values() for g in (entry if isinstance(entry, list) else [entry])]
    return sum(g.points_len for g in groups)


def test_serial_number_is_the_configured_one(served: Any) -> None:
    assert served[1]["pcs"].models[1][0].SN.value == "PCS-77"


# (device, model, point, value from Plant.get(), half a unit of the register)
VALUES = [
    ("pcs", 701, "W", lambda g: g["ess_w"], 5),
    ("pcs", 701, "Var", lambda g: g["ess_var"], 5),
    ("pcs", 701, "VA", lambda g: math.hypot(g["ess_w"], g["ess_var"]), 5),
    ("pcs", 701, "A", lambda g: g["ess_w"] / (math.sqrt(3) * g["grid_v"]), 0.05),
    ("pcs", 701, "LLV", lambda g: g["grid_v"], 0.05),
    ("pcs", 701, "LNV", lambda g: g["grid_v"] / math.sqrt(3), 0.05),
    ("pcs", 701, "Hz", lambda g: g["grid_hz"], 0.0005),
    ("pcs", 701, "InvSt", lambda g: g["inv_state"], 0),
    ("pcs", 701, "TotWhInj", lambda g: g["inj_wh"], 1),
    ("pcs", 701, "Alrm", lambda g: g["alarms"], 0),
    ("pcs", 701, "WL2", lambda g: g["ess_w"] / 3, 5),
    ("pcs", 702, "WMaxRtg", lambda g: 200_000, 0),
    ("pcs", 702, "VAMax", lambda g: 220_000, 0),
    ("pcs", 702, "VNomRtg", lambda g: 400, 0),
    ("pcs", 703, "ESHzHi", lambda g: 50.1, 1e-9),
    ("pcs", 704, "WSet", lambda g: g["wset_w"], 0),
    ("pcs", 704, "WSetRvrtRem", lambda g: 23, 0),
    ("pcs", 713, "WHRtg", lambda g: 400_000, 0),
    ("pcs", 713, "SoC", lambda g: g["soc_pct"], 0.05),
    ("pcs", 713, "WHAvail", lambda g: 4000 * g["soc_pct"], 10),
    ("pcs", 714, "DCA", lambda g: g["i_a"], 0.05),
    ("pcs", 714, "DCW", lambda g: g["i_a"] * g["v"], 5),
    ("pcs", 715, "DERHb", lambda g: 7, 0),
    ("battery", 802, "SoC", lambda g: g["soc_pct"], 0.005),
    ("battery", 802, "V", lambda g: g["v"], 0.05),
    ("battery", 802, "A", lambda g: g["i_a"], 0.05),
    ("battery", 802, "W", lambda g: g["i_a"] * g["v"], 5),
    ("battery", 802, "CellVMax", lambda g: g["cell_v_max"], 0.0005),
    ("battery", 802, "CellVMin", lambda g: g["cell_v_min"], 0.0005),
    ("battery", 802, "AChaMax", lambda g: g["a_charge_max"], 0.1),
    ("battery", 802, "ADisChaMax", lambda g: g["a_discharge_max"], 0.1),
    ("battery", 802, "State", lambda g: g["bank_state"], 0),
    ("battery", 802, "WHRtg", lambda g: 400_000, 0),
    ("battery", 803, "ModTmpMax", lambda g: g["cell_c_max"], 0.05),
    ("battery", 803, "ModTmpMin", lambda g: g["cell_c_min"], 0.05),
    ("battery", 803, "NStrCon", lambda g: 1, 0),
    ("meter", 203, "W", lambda g: -g["pcc_w"], 5),
    ("meter", 203, "Hz", lambda g: g["grid_hz"], 0.005),
    ("meter", 203, "PPV", lambda g: g["grid_v"], 0.05),
    ("meter", 203, "TotWhExp", lambda g: g["export_wh"], 1),
]


@pytest.mark.parametrize("row", VALUES, ids=lambda row: f"{row[1]}.{row[2]}")
def test_engineering_values_are_the_plants(served: Any, row: Any) -> None:
    plant, devices = served
    name, model, point, truth, half = row
    assert devices[name].models[model][0].points[point].cvalue == pytest.approx(truth(plant.get()), abs=half + 1e-9)


def test_meter_counts_import_as_positive(served: Any) -> None:
    """pcc = ess + pv - load - evse with export positive; the meter's register turns the sign."""
    plant, devices = served
    now = plant.get()
    assert now["pcc_w"] == pytest.approx(now["ess_w"] + 17_000 - 61_000)
    assert now["pcc_w"] > 70_000
    assert devices["meter"].models[203][0].W.cvalue < -70_000


ABSENT = [
    ("pcs", 701, ["TmpTrns", "TmpSw", "TmpOt", "TotWhInjL1", "TotVarhAbsL3"]),
    ("pcs", 702, ["WOvrExtRtg", "VMaxRtg", "S_SF", "ReactSusceptRtg", "WMaxUndExt"]),
    ("pcs", 704, ["WRmp"]),
    ("battery", 802, ["DisChaRte", "StateVnd", "WarrDt", "ReqW", "DisChaRte_SF"]),
    ("meter", 203, ["TotVAh_SF", "TotVArh_SF"]),
]


@pytest.mark.parametrize(("name", "model", "points"), ABSENT)
def test_points_a_device_lacks_read_as_absent(served: Any, name: str, model: int, points: list[str]) -> None:
    for point in points:
        assert served[1][name].models[model][0].points[point].value is None, point


def test_combined_chain_holds_the_battery_models_too() -> None:
    with PlantServer([Plant(config(combined=True))], real_time=False) as server:
        device = scan(server.port, 1)
        assert [k for k in device.models if isinstance(k, int)] == [1, 701, 702, 703, 704, 713, 714, 715, 802, 803]
        assert device.models[802][0].SoC.cvalue == 60.0
