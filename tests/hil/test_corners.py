"""R10 at its corners, as scenarios: how often the meter measures, lag and dead time of the PCS, and a limit of 0 both ways.

All twelve cells and every case are in tests/core/test_R10_pcc_control.py, drawn by `python -m benches pcc`; here drivers, bus and
simulated plant take part, and the report of `bessctl hil run` draws each.
"""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path

import pytest

from bessctl.hil.judge import FAILED
from bessctl.hil.main import dry
from bessctl.hil.runner import read_scenario, run_one

FOLDER = Path(__file__).parent.parent / "scenarios"
CORNERS = list(itertools.product((0.1, 1.0), (0.1, 0.2), (0.0, 0.1)))
METER_AGE_S = 0.05
"""poll.fast_s of the meter in sites/one.yaml."""
CONNECTION_W, STEP_W = 250e3, 120e3


def stem(meter_s: float, lag_s: float, dead_s: float) -> str:
    return f"meter-{meter_s:g}-lag-{lag_s:g}-dead-{dead_s:g}"


def test_R10_there_is_a_scenario_for_each_corner_and_no_other() -> None:
    assert {file.stem for file in FOLDER.glob("corner-*.yaml")} == {f"corner-{stem(*corner)}" for corner in CORNERS}


@pytest.mark.parametrize("corner", CORNERS, ids=lambda corner: stem(*corner))
def test_R10_a_corner_asks_for_what_is_promised(corner: tuple[float, float, float]) -> None:
    """2 % of the connection, within a meter period, its age, dead time and four lags; 5 % of the step beyond; import and export of 0."""
    meter_s, lag_s, dead_s = corner
    plant = (FOLDER / "sites" / "corners" / f"{stem(*corner)}.plant.yaml").read_text()
    found = [float(re.findall(rf"{key}: ([\d.]+)", plant)[-1]) for key in ("refresh_ms", "lag_s", "dead_time_s")]
    assert found == [1000 * meter_s, lag_s, dead_s]
    scenario = read_scenario(FOLDER / f"corner-{stem(*corner)}.yaml")
    held = [e for e in scenario.expectations if not e.never]
    assert [e.within_s for e in held] == [pytest.approx(meter_s + METER_AGE_S + dead_s + 4 * lag_s)] * 2
    assert {e.text for e in held} == {f"connection power: {-0.02 * CONNECTION_W / 1e3:g} kW to {0.02 * CONNECTION_W / 1e3:g} kW"}
    over = 0.05 * STEP_W / 1e3
    assert {e.text for e in scenario.expectations if e.never} == {
        f"connection power: at least {over:g} kW",
        f"connection power: at most {-over:g} kW",
    }
    assert [i.told for step in scenario.steps for i in step.injections] == [f"load: {STEP_W / 1e3:g} kW", "load: 0 kW"]
    said = (FOLDER / f"corner-{stem(*corner)}.yaml").read_text()
    assert "import at most: 0 kW, export at most: 0 kW" in said


def test_R10_a_slower_pcs_than_the_corner_says_fails(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "sites", tmp_path / "sites")
    file = tmp_path / "corner.yaml"
    shutil.copy(FOLDER / f"corner-{stem(0.1, 0.1, 0.0)}.yaml", file)
    plant = tmp_path / "sites" / "corners" / f"{stem(0.1, 0.1, 0.0)}.plant.yaml"
    plant.write_text(plant.read_text().replace("lag_s: 0.1", "lag_s: 0.3"))
    assert run_one(read_scenario(file), dry, "simulated time", lambda _: None).verdict == FAILED
