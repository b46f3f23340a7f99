"""A rig file held to the sealed site, and everything that is refused before anything is commanded (CARD-6)."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from bessctl.errors import ConfigError, NotReachable, Refused
from bessctl.hil.judge import PASSED
from bessctl.hil.rig import load_rig
from bessctl.hil.rigrun import run_on_rig
from tests.hil.rig_bench import SCENARIO, Bench, until


def quiet(_: str) -> None:
    """Progress is for people."""


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    it = Bench()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bessctl.hil.runner.MOST_MS", math.inf)  # the machine of a test is busy with other tests
        patch.setattr("bessctl.hil.rigplace.READY_S", 2.0)
        yield it
    it.close()


RIG_ERRORS = [
    ("power: 200 kW", "power: 20 kW", "the sealed units may give 200000 W"),
    ("hottest cell: 58 C\n", "hottest cell: 45 C\n", "the sealed trip of cell_temp_high (58) does not keep 45 C"),
    ("hottest cell: 58 C\n", "hottest sell: 45 C\n", "no such abort limit"),
    ("hottest cell: 58 C\n", "hottest cell: 45 kW\n", "'kW' is no unit of it"),
    ("pcs1: {kind: real, bus: lan,", "pcs1: {kind: real, bus: can,", "the site has no 'pcs1' on bus 'can'"),
    ("kind: real, bus: lan, what", "kind: virtual, bus: lan, what", "Input should be 'real' or 'simulated'"),
    ("load: {relay:", "load: {operator: Switch it on, relay:", "is played by exactly one of operator and relay"),
    ("abort:\n  power: 200 kW\n  hottest cell: 58 C\n", "", "Field required"),
]


@pytest.mark.parametrize(("old", "new", "says"), RIG_ERRORS, ids=[row[2][:30] for row in RIG_ERRORS])
def test_the_rig_file_is_held_to_the_sealed_site(bench: Bench, tmp_path: Path, old: str, new: str, says: str) -> None:
    """An abort limit that the loop does not keep by itself is none."""
    text = bench.rig.read_text().replace("site: site.yaml", f"site: {bench.folder / 'site.yaml'}")
    assert old in text
    file = tmp_path / "rig.yaml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_rig(file)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{file}:")


# what is appended to the scenario, what it says, and the text that stands at the place it names
UNPLAYABLE = [
    ("  - at: 1 s\n    inject: {PV: 30 kW}\n", "nobody plays 'PV' at this rig", "PV"),
    ("  - at: 1 s\n    inject: {load: 30 kW, over: 1 s}\n", "moves over 1 s, and the relay that plays it only switches", "load"),
    ("  - at: 1 s\n    inject: {controller: killed}\n", "nobody plays 'controller' at this rig", "controller"),
    ("  - at: 1 s\n    inject: {journal: lost}\n", "nobody plays 'journal' at this rig", "journal"),
    ("  - at: 1 s\n    inject: {line: noisy}\n", "nobody plays 'line' at this rig", "line"),
    ("  - at: 1 s\n    inject: {set point by others: 1 kW}\n", "nobody plays 'set point by others' at this rig", "set point"),
    ("  - at: 1 s\n    set: {ocpp: {power: 1 kW, old boot: yes}}\n", "`old boot` is played in simulated time only", "ocpp"),
    ("begin: cold\n", "no scenario restarts the loop of a rig", "begin"),
    ("given: {meter: silent}\n", "nobody plays 'meter' at this rig", "meter"),
    ("  - at: 1 s\n    expect:\n      - {set point: at least 1 kW, within: 1 s}\n", "no signal 'set point'", "set point"),
]


@pytest.mark.parametrize(("more", "says", "at"), UNPLAYABLE, ids=[row[1][:40] for row in UNPLAYABLE])
def test_what_a_rig_cannot_play_is_refused_with_its_place(bench: Bench, more: str, says: str, at: str) -> None:
    """Before the loop is even asked: here it does not run."""
    text = SCENARIO + more if more.startswith(" ") else SCENARIO.replace("lasts:", f"{more}lasts:")
    file = bench.scenario(text)
    with pytest.raises(ConfigError) as caught:
        run_on_rig([file], bench.rig, None, quiet)
    path, line, column, message = str(caught.value).split(":", 3)
    assert path == str(file)
    assert text.splitlines()[int(line) - 1][int(column) - 1 :].startswith(at)
    assert says in message


def test_everything_unplayable_is_told_at_once(bench: Bench) -> None:
    text = SCENARIO + "  - at: 1 s\n    inject: {PV: 30 kW, EVSE: 2 kW}\n  - at: 2 s\n    inject: {controller: killed}\n"
    with pytest.raises(ConfigError) as caught:
        run_on_rig([bench.scenario(text)], bench.rig, None, quiet)
    assert len(str(caught.value).splitlines()) == 3


def test_nothing_is_commanded_without_an_answer_or_before_commissioning(bench: Bench) -> None:
    """R16. First no loop, then one that was never commissioned, then one whose BMS is silent."""
    with pytest.raises(NotReachable):
        run_on_rig([bench.scenario()], bench.rig, None, quiet)
    assert bench.orders() == []
    bench.forget_commissioning()
    bench.start()
    with pytest.raises(Refused, match="unit1: never tried under this configuration"):
        run_on_rig([bench.scenario()], bench.rig, None, quiet)
    bench.commission()
    bench.place.plant(0, {"bms_silent": 1})
    until(lambda: bench.bms_link() != "up", "the loop has given the BMS up")
    with pytest.raises(NotReachable, match="nothing was commanded: "):
        run_on_rig([bench.scenario()], bench.rig, None, quiet)
    bench.place.plant(0, {"bms_silent": 0})
    assert bench.watts_ordered() <= {0.0}


def test_a_scenario_runs_at_the_rig_and_a_relay_plays_its_fault(bench: Bench, tmp_path: Path) -> None:
    """The same file. A value that moves slowly is the relay's to move: it is told where to and in how long."""
    bench.again()
    text = SCENARIO + "  - at: 1 s\n    inject: {load: 30 kW}\n"
    (result,) = run_on_rig([bench.scenario(text)], bench.rig, tmp_path, quiet)
    assert (result.verdict, result.why) == (PASSED, "")
    assert result.evidence is not None
    assert result.evidence.proved
    assert not bench.relay.exists(), "the relay was told to end it"
    assert "bench 1" in (tmp_path / "report.html").read_text()
    moving = SCENARIO + "  - at: 1 s\n    inject: {coldest cell: 20 C, over: 1500 ms}\n"
    (result,) = run_on_rig([bench.scenario(moving)], bench.rig, None, quiet)
    assert result.verdict == PASSED, result.why
    assert bench.relay.read_text() == "20 C in 1.5 s\n"
    assert abs(bench.power_w()) < 1000
