"""Every shipped scenario, in simulated time: it passes, and without the protection it names it fails (CARD-6)."""

from pathlib import Path

import pytest

from bessctl.hil.judge import FAILED, PASSED
from bessctl.hil.main import dry
from bessctl.hil.results import Result
from bessctl.hil.runner import read_scenario, run_one

FOLDER = Path(__file__).parent.parent / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))


def quiet(_: str) -> None:
    """Progress is for people."""


def told(result: Result) -> str:
    lines = [f"{f.expectation.place}: {f.expectation.text}: {f.verdict}: {f.why}" for f in result.findings if f.verdict != PASSED]
    return "\n".join([result.why, *lines])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_shipped_scenario_passes_and_fails_without_its_protection(file: Path) -> None:
    scenario = read_scenario(file)
    result = run_one(scenario, dry, "simulated time", quiet)
    assert result.verdict == PASSED, told(result)
    assert result.evidence is not None
    for row in scenario.rows:
        without = run_one(scenario, dry, "simulated time", quiet, row)
        assert without.verdict == FAILED, f"nothing failed without {row}"
