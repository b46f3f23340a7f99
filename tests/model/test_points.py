"""IEC 61850-7-420 names (OCPP-20): every data point has one, in one table, and docs and protocols take theirs from it."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from bessctl.model import points, snapshot
from bessctl.model.snapshot import Alarm, Binding, Limit, PlantSnapshot, UnitSnapshot
from bessctl.protocols.ocpp.session.device_table import PLANT

DOCS = Path(__file__).resolve().parents[2] / "docs/points.md"
COMPOUND = {"reactive": snapshot.Reactive, "meter": snapshot.MeterSnapshot, "lo": snapshot.Limit, "hi": snapshot.Limit}
# The logical nodes of 7-420 and 7-4 that the table may use.
NODES = {"DSTO", "DBAT", "DPMC", "GGIO", "DVVR", "SBAT", "MMXU", "MMDC", "MMTR", "CALH"}


def members(cls: Any, prefix: str = "") -> set[str]:
    """Every leaf of a snapshot, and its properties."""
    found = set()
    for field in fields(cls):
        inner = COMPOUND.get(field.name) if not prefix else None
        found |= members(inner, f"{field.name}.") if inner is not None else {prefix + field.name}
    return found | {prefix + name for name, value in vars(cls).items() if isinstance(value, property)}


@pytest.mark.parametrize(("cls", "scopes"), [(PlantSnapshot, {points.Scope.PLANT, points.Scope.PCC}), (UnitSnapshot, {points.Scope.UNIT})])
def test_every_published_data_point_has_its_name(cls: Any, scopes: set[points.Scope]) -> None:
    named = {p.field for p in points.TABLE if p.scope in scopes}
    assert members(cls) - points.NO_POINTS.keys() == named, "name it in bessctl/model/points.py, or say there why it is no data point"


def test_what_is_no_point_exists_and_says_why() -> None:
    every = {f.name for cls in (PlantSnapshot, UnitSnapshot) for f in fields(cls)}
    assert points.NO_POINTS.keys() <= every
    assert all(len(why) > 10 for why in points.NO_POINTS.values())


def test_names_are_of_the_standard_and_each_is_given_once() -> None:
    for p in points.TABLE:
        assert p.component in NODES
        assert re.fullmatch(r"[A-Z]\w{1,11}(\.origin)?", p.variable), p.variable
    references = [p.reference("u1") for p in points.TABLE]
    assert len(set(references)) == len(references)


def test_the_unit_of_a_name_is_that_of_its_field() -> None:
    suffixes = {"_w": "W", "_var": "var", "_wh": "Wh", "_pct": "Percent", "_v": "V", "_a": "A", "_hz": "Hz", "_c": "Celsius"}
    for p in points.TABLE:
        suffix = next((s for s in sorted(suffixes, key=len, reverse=True) if p.field.endswith(s)), None)
        assert p.unit == (suffixes[suffix] if suffix else ""), p.field


def test_the_page_of_the_docs_is_the_table() -> None:
    text = DOCS.read_text()
    for p in points.TABLE:
        assert f"| `{p.reference('<unit>')}` | {p.unit} | {p.scope}: `{p.field}` | {p.about} |" in text
    for needed, trip, warn in points.ALARMS:
        assert f"| `{'_'.join(needed)}` | `{trip}` | `{warn}` |" in text
    assert sum(line.startswith("| `") for line in text.splitlines()) == len(points.TABLE) + len(points.ALARMS)


@pytest.mark.parametrize(
    ("code", "tier", "name"),
    [
        ("cell_v_high", "trip", "SBAT.CelVolHiAlm"),
        ("cell_temp_low", "warn", "SBAT.IntnTmpLoWrn"),
        ("discharge_current_high", "trip", "SBAT.DschAmpHiAlm"),
        ("charge_current_high", "derate", "SBAT.ChaAmpHiWrn"),
        ("soc_low", "derate", "DSTO.SocLoWrn"),
        ("internal_assert", "trip", "CALH.GrAlm"),
        ("overruns", "warn", "CALH.GrWrn"),
    ],
)
def test_alarms_have_their_objects(code: str, tier: str, name: str) -> None:
    assert points.alarm_name(code, tier) == name


def test_values_stand_under_their_references() -> None:
    device = Binding("device", "u1")
    plant = PlantSnapshot(
        tick=1,
        now_ns=5,
        mode="run",
        ess_w=-5000.0,
        pcc_w=None,
        command_w=-5000.0,
        lo=Limit(-9000.0, device),
        hi=Limit(8000.0, device),
        target_w=None,
        target_source="",
        units=(
            UnitSnapshot("u1", "run", 0.0, soc_pct=40.0, capacity_wh=1000.0),
            UnitSnapshot("u2", "run", 0.0, soc_pct=80.0, capacity_wh=3000.0),
        ),
        alarms=(Alarm("cell_v_high", "trip", "u2", True, True),),
    )
    found = {reference: value for _, reference, value in points.values(plant)}
    assert found["BESS/MMXU1.TotW"] == -5000.0
    assert found["PCC/MMXU1.TotW"] is None
    assert found["BESS/DSTO1.AvlDschW"] == 8000.0
    assert found["BESS_u2/DSTO1.SocEffWhPct"] == 80.0
    assert found["BESS/DSTO1.SocEffWhPct"] == 70.0
    assert found["BESS/DSTO1.SocWh"] == 2800.0
    assert found["BESS_u2/SBAT1.CelVolHiAlm"] == "cell_v_high"


def test_the_device_model_of_ocpp_takes_its_names_from_the_table() -> None:
    """OCPP-20: what an EVSE has no word for, under the name the table gives it."""
    named = {(p.component, p.variable) for p in points.TABLE}
    assert {(s.place.component.name, s.place.variable) for s in PLANT} <= named


def test_a_snapshot_is_a_dataclass_all_the_way_down() -> None:
    """The test of completeness walks dataclasses: a compound member it does not know must not hide points."""
    for cls in (PlantSnapshot, UnitSnapshot, *COMPOUND.values()):
        for name, hint in get_type_hints(cls).items():
            assert not is_dataclass(hint) or name in COMPOUND or name == "binding", name
