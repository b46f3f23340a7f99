"""Scenario files: what is wrong is told with file:line:column, and nothing is played (CARD-6)."""

from pathlib import Path

import pytest

from bessctl.errors import ConfigError
from bessctl.hil.quantity import BadValue, condition, quantity
from bessctl.hil.runner import read_scenario

GOOD = Path(__file__).parent.parent / "scenarios" / "cell-too-hot.yaml"
TEXT = GOOD.read_text().replace("site: sites/one.yaml", f"site: {GOOD.parent / 'sites' / 'one.yaml'}")


# what is replaced, by what, where the error is told (a text of that line), what it says
BAD = [
    # signals, words, units
    ("{power: 148 kW to 152 kW,", "{pwoer: 148 kW to 152 kW,", "pwoer", "no signal 'pwoer' at this site; near: power"),
    ("148 kW to 152 kW", "148 kV to 152 kV", "148 kV", "'kV' is no unit of it; allowed: W, kW, MW"),
    ("148 kW to 152 kW", "148 to 152", "148 to 152", "the unit is missing"),
    ("148 kW to 152 kW", "152 kW to 148 kW", "152 kW to", "nothing lies between"),
    ("148 kW to 152 kW", "150 kW", "power: 150 kW, within", "a measured value never is exactly that"),
    ("{mode: tripped,", "{mode: triped,", "triped", "'triped' is none of its words; allowed: acquire, run"),
    ("{contactor: open}", "{contactor: shut}", "shut", "allowed: closed, open"),
    ("of: cell_temp_high,", "about: cell_temp_high,", "about", "no such key 'about'"),
    ("event: row_latched", "event: row_jammed", "row_jammed", "no event 'row_jammed'"),
    # what is done
    ("{hottest cell: 59 C}", "{hotest cell: 59 C}", "hotest", "nothing called 'hotest cell' can be injected; near: hottest cell"),
    ("{hottest cell: 59 C}", "{hottest cell: 59 kW}", "59 kW", "'kW' is no unit of it; allowed: C"),
    ("{hottest cell: 59 C}", "{PCS: asleep}", "asleep", "'asleep' is nothing that happens to 'PCS'; allowed: well, silent"),
    ("{hottest cell: 59 C}", "{hottest cell of unit9: 59 C}", "unit9", "no unit 'unit9' at this site; it has unit1"),
    ("{ocpp: {power: 150 kW}}", "{ocpq: {power: 150 kW}}", "ocpq", "no source 'ocpq' at this site; it has manual"),
    ("{ocpp: {power: 150 kW}}", "{ocpp: {powr: 150 kW}}", "powr", "'powr' is nothing a source can want"),
    # times
    ("at: 3 s", "at: 3 kg", "3 kg", "'kg' is no unit of it; allowed: ms, s, min, h"),
    ("at: 0 s", "at: 5 s", "at: 3 s", "no possible time here: the step before is at 5 s"),
    ("at: 3 s", "at: 13 s", "at: 13 s", "the scenario lasts 12 s"),
    ("at: 3 s", "at: -1 s", "at: -1 s", "no possible time here"),
    ("holding for: 8 s", "holding for: 80 s", "holding for: 80 s", "cannot be judged: it needs 83.5 s and the scenario lasts 12 s"),
    ("lasts: 12 s", "lasts: soon", "lasts: soon", "'soon' is no value; write a number and one of the units ms, s, min, h"),
    # the head
    ("proves: [CARD-1, OCPP-9]", "proves: [safety]", "safety", "'safety' names no requirement"),
    ("row: cell_temp_high.trip", "row: cell_temp_hi.trip", "cell_temp_hi.trip", "no row of this site; near: cell_temp_high.trip"),
    ("lasts: 12 s", "lasts: 12 s\nunits: 3", "units", "no such key 'units'"),
    ("lasts: 12 s\n", "", "scenario:", "the key 'lasts' is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "at", "says"), BAD, ids=[row[1][:30] for row in BAD])
def test_an_error_is_told_with_its_line_and_column(tmp_path: Path, old: str, new: str, at: str, says: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new, 1)
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_scenario(file)
    told = str(caught.value).splitlines()
    assert len(told) == 1 or at.startswith("at"), told
    path, line, column, message = told[0].split(":", 3)
    assert path == str(file)
    assert at.split(maxsplit=1)[0].rstrip(":") in text.splitlines()[int(line) - 1][int(column) - 1 :], told[0]
    assert says in message


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(TEXT.replace("148 kW", "148 kV").replace("mode: tripped", "mode: jammed"))
    with pytest.raises(ConfigError) as caught:
        read_scenario(file)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("150 kW", "W", 150e3),
        ("-20kW", "W", -20e3),
        ("1.5 MW", "W", 1.5e6),
        ("600 ms", "s", 0.6),
        ("3651 mV", "V", 3.651),
        ("59 °C", "C", 59.0),
    ],
)
def test_a_value_is_a_number_with_its_unit(text: str, dimension: str, value: float) -> None:
    assert quantity(text, dimension) == pytest.approx(value)


def test_conditions_hold_at_their_ends_and_never_for_what_is_missing() -> None:
    for text, inside, outside in (
        ("at most 1 kW", (1000.0, -5e5), (1001.0, float("nan"))),
        ("at least 5 kW", (5000.0,), (4999.0, float("nan"))),
        ("-1 kW to 1 kW", (-1000.0, 0.0, 1000.0), (1001.0, float("nan"))),
        ("150 kW +- 2 kW", (148e3, 152e3), (147.9e3,)),
    ):
        rule = condition(text, "W")
        assert all(rule.holds(value) for value in inside), text
        assert not any(rule.holds(value) for value in outside), text
    with pytest.raises(BadValue):
        condition("about lunchtime", "W")
