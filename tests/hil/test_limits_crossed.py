"""Every limit of the battery crossed at once and crossed slowly: power that the limit forbids is gone either way (CARD-6, fault matrix).

The shipped scenarios tell stories of single limits; this is the table. Each is played as written and without its row, and must fail then.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from bessctl.hil.faults import NUMBERS
from bessctl.hil.judge import FAILED, PASSED
from bessctl.hil.main import dry
from bessctl.hil.results import Result
from bessctl.hil.runner import read_scenario, run_one

SITES = Path(__file__).parent.parent / "scenarios" / "sites"


class Limit(NamedTuple):
    """What crosses it, from where when slowly, the row of sites/one.yaml that holds it, and the power it forbids."""

    crossing: str
    before: str
    row: str
    watts: str


LIMITS = {
    "cell voltage high": Limit("highest cell: 3.66 V", "highest cell: 3.40 V", "cell_v_high.trip", "-50 kW"),
    "cell voltage low": Limit("lowest cell: 2.69 V", "lowest cell: 3.20 V", "cell_v_low.trip", "50 kW"),
    "pack voltage high": Limit("reported pack voltage: 871 V", "reported pack voltage: 800 V", "pack_v_high.trip", "-50 kW"),
    "pack voltage low": Limit("reported pack voltage: 654 V", "reported pack voltage: 760 V", "pack_v_low.trip", "50 kW"),
    "cell temperature high, charging": Limit("hottest cell: 59 C", "hottest cell: 30 C", "cell_temp_high.trip", "-50 kW"),
    "cell temperature high, discharging": Limit("hottest cell: 59 C", "hottest cell: 30 C", "cell_temp_high.trip", "50 kW"),
    "cell temperature low": Limit("coldest cell: -21 C", "coldest cell: 10 C", "cell_temp_low.trip", "50 kW"),
    "charge current": Limit("reported current: -320 A", "reported current: 0 A", "charge_current_high.trip", "-50 kW"),
    "discharge current": Limit("reported current: 320 A", "reported current: 0 A", "discharge_current_high.trip", "50 kW"),
    "state of charge high": Limit("reported state of charge: 99.5 %", "reported state of charge: 90 %", "soc_high.trip", "-50 kW"),
    "state of charge low": Limit("reported state of charge: 0.5 %", "reported state of charge: 10 %", "soc_low.trip", "50 kW"),
}
WAYS = {"at once": "", "slowly": ", over: 2 s"}

SCENARIO = """\
scenario: {name}, {way}
why: Whichever way it comes, no power may be left that the limit forbids.
proves: [CARD-1, CARD-6]
site: sites/one.yaml
row: {row}
lasts: 9 s
steps:
  - at: 0 s
    set: {{manual: {{power: {watts}}}}}
    inject: {{{before}}}
  - at: 2 s
    inject: {{{crossing}{over}}}
    expect:
      - {{event: row_latched, of: {kind}, within: 4 s}}
      - {{command: -1 kW to 1 kW, within: 4 s, holding for: 2 s}}
      - {{power: -5 kW to 5 kW, within: 5 s, holding for: 1 s}}
"""

MOVING = """\
scenario: {name} moves
why: A value that moves evenly has to begin somewhere.
proves: [CARD-6]
site: sites/one.yaml
lasts: 4 s
steps:
  - at: 0 s
    expect:
      - {{command: -1 kW to 1 kW, within: 1 s}}
"""


def quiet(_: str) -> None:
    """Progress is for people."""


def told(result: Result) -> str:
    return "\n".join([result.why, *(f"{f.expectation.text}: {f.verdict}: {f.why}" for f in result.findings)])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_of_the_battery_is_held_whichever_way_it_is_crossed(name: str, way: str, tmp_path: Path) -> None:
    limit = LIMITS[name]
    shutil.copytree(SITES, tmp_path / "sites")
    file = tmp_path / "crossed.yaml"
    kind = limit.row.partition(".")[0]
    file.write_text(SCENARIO.format(name=name, way=way, over=WAYS[way], kind=kind, **limit._asdict()))
    scenario = read_scenario(file)
    result = run_one(scenario, dry, "simulated time", quiet)
    assert result.verdict == PASSED, told(result)
    assert run_one(scenario, dry, "simulated time", quiet, limit.row).verdict == FAILED, f"nothing failed without {limit.row}"


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_can_move_slowly(name: str, tmp_path: Path) -> None:
    """From wherever it stands, also one that is laid over what the plant would tell by itself, and from there on."""
    shutil.copytree(SITES, tmp_path / "sites")
    file = tmp_path / "moving.yaml"
    unit = NUMBERS[name][1]
    steps = "".join(f"  - at: {at} s\n    inject: {{{name}: {value} {unit}, over: 500 ms}}\n" for at, value in ((1, 10), (2, 20)))
    file.write_text(MOVING.format(name=name) + steps)
    result = run_one(read_scenario(file), dry, "simulated time", quiet)
    assert result.findings
    assert not result.why
