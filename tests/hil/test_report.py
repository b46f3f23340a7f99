"""One scenario in real time over a paced serial line, and what the report says of it and of runs that went otherwise (CARD-6)."""

import csv
import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bessctl.hil.judge import FAILED, NOT_JUDGED, NOT_RUN, PASSED
from bessctl.hil.main import dry, exit_code, live, machine
from bessctl.hil.place import CannotPlay, Place
from bessctl.hil.report import write
from bessctl.hil.results import Result
from bessctl.hil.runner import read_scenario, run_one
from bessctl.hil.scenario import Scenario

FOLDER = Path(__file__).parent.parent / "scenarios"


def quiet(_: str) -> None:
    """Progress is for people."""


def no_place(_: Scenario, __: str) -> Place:
    raise CannotPlay("the bench is locked")


@pytest.fixture(scope="module")
def results() -> list[Result]:
    scenario = read_scenario(FOLDER / "line-serial.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bessctl.hil.runner.MOST_MS", math.inf)  # the machine of a test is busy with other tests
        return [
            run_one(scenario, live, "real time", quiet),
            run_one(scenario, dry, "simulated time", quiet, "cell_temp_high"),
            run_one(scenario, no_place, "real time", quiet),
        ]


def test_the_same_file_passes_in_real_time_and_what_is_not_played_never_passes(results: list[Result]) -> None:
    assert [result.verdict for result in results] == [PASSED, FAILED, NOT_RUN], [(r.why, r.findings) for r in results]
    assert exit_code(results[:2]) == 0, "a protection taken away was seen to fail"
    assert exit_code(results) == 1
    assert results[0].evidence is not None
    assert results[0].evidence.proved
    assert results[0].facts["loop"]["bus transactions"] > 50


def test_the_report_says_everything_in_files_of_its_own(results: list[Result], tmp_path: Path) -> None:
    write(tmp_path, results, {**machine(), "begun": "today"})
    suites = ET.fromstring((tmp_path / "junit.xml").read_bytes())
    cases = suites.findall(".//testcase")
    assert [(len(case.findall("failure")), len(case.findall("error"))) for case in cases] == [(0, 0), (0, 1), (0, 0)]
    told = json.loads((tmp_path / "results.json").read_text())
    assert told["verdicts"] == {PASSED: 1, FAILED: 1, NOT_RUN: 1, NOT_JUDGED: 0}
    assert {"detect", "act", "settle"} == set(told["times_s"])
    assert {"p50", "p99", "max", "n"} == set(told["times_s"]["act"])
    with (tmp_path / "line-serial.real-time.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["t_s", "plant.ess_w[0]"]
    assert len(rows) > 200
    page = (tmp_path / "report.html").read_text()
    for word in (
        "build",
        "config hash",
        "kernel",
        "SCHED_",
        "CLOCK_MONOTONIC",
        "Wake-up",
        "missed periods",
        "bus errors",
        "Safe state",
        "sha256",
        "p99",
    ):
        assert word in page, word
    assert "<svg" in page
    assert not re.search(r"<script|<link|<img|src=|https?://", page), "nothing is loaded from anywhere"
