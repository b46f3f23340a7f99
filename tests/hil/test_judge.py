"""The verdict is a pure function of what was expected and what was recorded: what was not seen is not run, never passed (CARD-6)."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import cast

import pytest

from bessctl.corelink.words import Site
from bessctl.hil.busy import GAP_S, Busy
from bessctl.hil.judge import FAILED, NOT_RUN, PASSED, judge, verdict
from bessctl.hil.place import CannotPlay, Evidence, Place
from bessctl.hil.quantity import condition
from bessctl.hil.record import Recording
from bessctl.hil.runner import read_scenario, run_one
from bessctl.hil.scenario import Expectation, Scenario
from bessctl.hil.signals import Signal, first
from bessctl.hil.stagefiles import StageFiles, site_words

COLUMN = ("loop", "command_w", 0)
POWER = Signal("command", "W", (COLUMN,), first)
MOST = condition("at most 1 kW", "W")
NAN = float("nan")


def scenario(*expectations: Expectation, lasts_s: float = 10.0) -> Scenario:
    return Scenario("it", Path("it.yaml"), ("CARD-6",), "", "site", (), (), False, lasts_s, (), expectations, ())


def record(values: list[float], every_s: float = 1.0, ended: str = "") -> Recording:
    it = Recording((COLUMN,), ended=ended)
    it.rows = array("d", [number for i, value in enumerate(values) for number in (i * every_s, value)])
    return it


def expects(within_s: float = 0.0, holding_s: float = 0.0, from_s: float = 0.0, never: bool = False) -> Expectation:
    return Expectation("it.yaml:1:1", "command: at most 1 kW", from_s, within_s, holding_s, never, 10.0, POWER, MOST)


W, X = 0.0, 5000.0  # within and over the limit
# expectation, what was recorded second by second, why it ended early, verdict
CASES = [
    (expects(), [W, X, X], "", PASSED),
    (expects(), [X, X, W], "", FAILED),
    (expects(within_s=2), [X, X, W, X], "", PASSED),
    (expects(within_s=2), [X, X, X, W], "", FAILED),
    (expects(within_s=2, holding_s=2), [X, X, W, W, W], "", PASSED),
    (expects(within_s=2, holding_s=2), [X, X, W, X, W, W, W], "", FAILED),
    (expects(within_s=3, holding_s=2), [W, X, W, W, W], "", PASSED),  # the second stretch
    # the record ends before anything can be said
    (expects(within_s=5), [X, X], "the loop ended", NOT_RUN),
    (expects(within_s=1, holding_s=5), [W, W, W], "the loop ended", NOT_RUN),
    (expects(from_s=5), [W, W], "the loop ended", NOT_RUN),
    (expects(never=True), [X, X, X], "the loop ended", NOT_RUN),
    (expects(), [], "nobody answered", NOT_RUN),
    # what was seen counts, however early it ended
    (expects(never=True), [X, W], "the loop ended", FAILED),
    (expects(never=True), [X] * 11, "", PASSED),
    # a missing value meets nothing and is no sighting
    (expects(within_s=2), [NAN] * 6, "", FAILED),
    (expects(never=True), [NAN] * 11, "", PASSED),
]


@pytest.mark.parametrize(("expectation", "values", "ended", "wanted"), CASES)
def test_the_verdict_on_one_expectation(expectation: Expectation, values: list[float], ended: str, wanted: str) -> None:
    (finding,) = judge(scenario(expectation), record(values, ended=ended))
    assert finding.verdict == wanted, finding.why
    assert finding.why or wanted == PASSED, "a verdict that is not the good one says why"


def test_one_thing_not_played_leaves_the_scenario_not_run_and_one_failure_fails_it() -> None:
    for values, ended, expectations, wanted in (
        ([W] * 11, "", (expects(), expects(within_s=1)), PASSED),
        ([W] * 4, "aborted", (expects(),), NOT_RUN),  # its only expectation passed, its last step was not reached
        ([W] * 4, "aborted", (expects(), expects(from_s=8)), NOT_RUN),
        ([X] * 4, "aborted", (expects(), expects(from_s=8)), FAILED),
        ([W] * 11, "", (), NOT_RUN),
    ):
        it = scenario(*expectations)
        found = record(values, ended=ended)
        assert verdict(judge(it, found), found) == wanted


def test_what_the_machine_takes_away_is_counted_and_what_the_scenario_does_is_not() -> None:
    busy = Busy(0.02)
    for now_s in (1.0, 1.02, 1.03 + GAP_S, 1.05 + GAP_S):
        busy.look(now_s)
    assert busy.stolen_ms == 0, "a look that is a little late still saw"
    busy.look(1.49 + GAP_S)
    assert busy.stolen_ms == pytest.approx(420)
    busy.pause()
    busy.look(9.0)
    assert busy.stolen_ms == pytest.approx(420), "a process was started meanwhile"
    for missed in (3, 5, 0, 2):  # the third is another loop's
        busy.loop(missed, 0.01)
    assert "40 ms of the loop's periods" in busy.told()
    busy.expect(True)
    busy.loop(90, 0.01)
    busy.expect(False)
    busy.loop(90, 0.01)
    assert "40 ms of the loop's periods" in busy.told(), "it was stopped by the scenario"


class Never:
    """A place where the loop does not start; its devices can be looked at all the same."""

    name, lease_most_s, stolen_ms = "real time", 3600.0, 0.0

    def __init__(self, site: Site) -> None:
        self.site, self.facts, self.now_ns = site, {"clock": "none"}, 5_000_000_000

    def begin(self, columns: object, cold: bool) -> int:
        raise CannotPlay("the loop did not start")

    def take(self, into: Recording, zero_ns: int) -> None:
        into.rows.extend([self.now_ns / 1e9, *(0.0 for _ in into.columns)])

    def finish(self) -> Evidence:
        return Evidence(False)

    def close(self) -> None:
        """Nothing is open."""


def test_what_never_began_is_not_run_whatever_was_seen_of_the_devices() -> None:
    it = read_scenario(Path(__file__).parent.parent / "scenarios" / "cell-too-hot.yaml")
    site = site_words(StageFiles.beside(it.file, it.site))
    result = run_one(it, lambda *_: cast("Place", Never(site)), "real time", lambda _: None)
    assert (result.verdict, result.why) == (NOT_RUN, "the loop did not start")
    assert {finding.verdict for finding in result.findings} == {NOT_RUN}
