"""R16: `bessctl commission` refuses a unit whose signs or scales are wrong, names both values, and leaves the 5 % cap where it is.

The commissioning is the command's own; the loop, its drivers and the simulated plant run in invented time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bessctl.cli import commission
from bessctl.config import profiles
from bessctl.config.seal import seal
from bessctl.corelink import trial, words
from bessctl.corelink.dry import DryPlant
from bessctl.corelink.words import Site
from bessctl_core import layout as L
from tests.scenarios.loop_rig import found_devices, plant_server
from tests.sites import changed_example

S = 1_000_000_000
CAP_W = 10_000
SLOT = 0  # manual


class DryDesk(commission.Desk):
    """The command's desk in front of a plant in invented time."""

    def __init__(self, dry: DryPlant) -> None:
        self.dry, self.source, self.window_s = dry, "manual", 0.4
        self.offers = self.asked = 0

    @property
    def site(self) -> Site:
        return self.dry.site

    def now_s(self) -> float:
        return self.dry.loop.now_ns / S

    def sleep(self, seconds: float) -> None:
        self.dry.loop.run(self.dry.loop.now_ns + round(seconds * S))

    def state(self) -> dict[str, Any]:
        return self.dry.loop.state

    def loop(self, command: str, unit: str) -> None:
        self.asked += 1
        self.dry.loop.command(self.asked, words.COMMANDS[command], arg=self.site.units.index(unit) if unit else -1)
        self.sleep(0.1)

    def target(self, watts: float) -> int:
        block = (0, 2**62, None, None, None, None, watts, 0, 0, 0.0, None, None, None)
        assert self.dry.loop.offer(SLOT, self.dry.loop.now_ns + 60 * S, 0, [block]) == 0
        self.offers += 1
        return self.offers

    def rest(self) -> None:
        self.target(0.0)
        self.loop("try", "")


def desk(folder: Path, *changes: tuple[str, str], **plant: Any) -> DryDesk:
    """A plant that nobody tried yet, running."""
    server = plant_server(None)
    server.plants[0].set(**plant)
    dry = DryPlant(seal(changed_example(*changes, ("port: 5020", "port: 502")), found_devices()).content, server, [0])
    made = DryDesk(dry)
    dry.loop.start(commissioned=False)
    made.sleep(5.0)
    assert made.state()["mode"] == L.Mode.MODE_RUN
    return made


def profile(folder: Path, shipped: str, old: str, new: str) -> tuple[tuple[str, str], ...]:
    """The example with a device whose profile is wrong in one place."""
    text = profiles.find(shipped).read_text()
    assert old in text
    (folder / "wrong.yaml").write_text(text.replace(old, new, 1).replace("battery: sunspec-802 ", "# "))
    kind = {"sunspec-7xx": "pcs", "sunspec-802": "bms", "sunspec-meter": "meter"}[shipped]
    return ((f"    kind: {kind} ", f"    profile: {folder}/wrong.yaml\n    kind: {kind} "),)


SETPOINT = ("sunspec-7xx", "    factors: [WSet_SF]\n")
AC = ("sunspec-7xx", "name: W, offset: 10, type: int16, sf: 116")
PACK = ("sunspec-802", "quantity: pack_a, ")
METER = ("sunspec-meter", "quantity: pcc_w, ")
DC = "    kind: pcs                   #"


def scaled(where: tuple[str, str], factor: float) -> tuple[str, str, str]:
    return where[0], where[1], where[1].rstrip(", ") + f", scale: {factor:g}" + (", " if where[1].endswith(", ") else "")


ASKED = "where 6000 W were asked for"
SIGN, OFF = f"{ASKED}: its sign is wrong", f"{ASKED}: more than 20% off"

# name -> what is wrong (a profile; the site; the plant), and what is found at +6000 W
CASES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "the PCS turns the other way": ((), {"wrong_sign": 1}, "AC power changed by -{6000} W " + SIGN),
    "the meter sits the other way round": (
        (), {"meter_wrong_sign": 1}, "power at the connection changed by -{6000} W " + SIGN,
    ),
    "dc_positive is wrong": (
        ((DC, "    dc_positive: charge\n" + DC),), {}, "DC power by the PCS changed by -{6000} W " + SIGN,
    ),
    "the set point is off by 10": (
        (*SETPOINT, "    count_w: 10\n" + SETPOINT[1]), {}, "AC power changed by {600} W " + OFF,
    ),
    "the set point is off by 0.7": (
        (*SETPOINT, "    count_w: 0.7\n" + SETPOINT[1]), {}, "AC power changed by {8571} W " + OFF,
    ),
    "AC power is read by 10 too large": (scaled(AC, 10), {}, "AC power changed by {60000} W " + OFF),
    "AC power is read by 0.7": (scaled(AC, 0.7), {}, "AC power changed by {4200} W " + OFF),
    "the battery's amps are read by 10": (
        scaled(PACK, 10), {}, "DC power by the battery changed by {60000} W " + OFF,
    ),
    "the meter is read by 0.7": (
        scaled(METER, 0.7), {}, "power at the connection changed by {4200} W " + OFF,
    ),
}  # fmt: skip


def close(expected: str, found: str) -> bool:
    """The same sentence; what stands in braces within 10 %."""
    before, rest = expected.split("{")
    number, after = rest.split("}")
    if not (found.startswith(before) and after in found):
        return False
    value = found[len(before) :].split(" ", maxsplit=1)[0]
    return abs(float(value) - float(number)) <= 0.1 * float(number)


@pytest.mark.parametrize("name", CASES)
def test_R16_a_wrong_sign_or_scale_is_refused_with_both_values_and_the_cap_stays(name: str, tmp_path: Path) -> None:
    """The scenario: two current transformers swapped."""
    wrong, plant, expected = CASES[name]
    changes = profile(tmp_path, *wrong) if wrong and isinstance(wrong[0], str) else wrong
    d = desk(tmp_path, *changes, **plant)
    trials, good = commission.tried_all(d, ["unit1"], 3.0)
    said = str(commission.refusal(trials, ["unit1"])).splitlines()
    assert good == []
    assert said[0] == "not commissioned, the 5 % cap stays: unit1"
    assert any(close(f"unit1 at 6000 W: {expected}", line) for line in said), said
    assert any(line.startswith("unit1 at -6000 W: ") for line in said)
    d.target(1e6)
    d.sleep(1.0)
    state = d.state()
    assert not state["unit_commissioned"][0]
    assert abs(state["command_w"]) <= CAP_W


REST = dict.fromkeys(trial.WORDS, 0.0)
MOVED = dict.fromkeys(trial.WORDS, 6000.0)


@pytest.mark.parametrize(
    ("lacks", "has_meter", "said"),
    [
        ((), True, ()),
        (("pcc_w",), True, ("the power at the connection was not measured all the time",)),
        (("pcc_w",), False, ()),
        (("ac_w",), True, ("its AC power was not measured all the time",)),
        (("dc_w",), True, ()),
        (("battery_w",), True, ()),
        (("dc_w", "battery_w"), False, ("nobody measured its DC power all the time",)),
    ],
)
@pytest.mark.parametrize("when", range(3))
def test_R16_what_ought_to_agree_and_is_not_measured_is_a_finding(
    when: int, lacks: tuple[str, ...], has_meter: bool, said: tuple[str, ...]
) -> None:
    """The scenario: a meter that answers and states no number for its power, on the wrong cable as well, passed unseen."""
    powers: list[trial.Powers] = [dict(REST), dict(MOVED), dict(REST)]
    powers[when] |= dict.fromkeys(lacks)
    assert trial.judge("unit1", 6000.0, *powers, has_meter=has_meter).findings == said


def test_R16_a_unit_that_is_wired_right_passes_and_the_cap_goes(tmp_path: Path) -> None:
    d = desk(tmp_path)
    trials, good = commission.tried_all(d, ["unit1"], 3.0)
    assert good == ["unit1"], [trial.findings for trial in trials]
    d.sleep(0.1)
    d.target(1e6)
    d.sleep(1.0)
    assert d.state()["unit_commissioned"][0]
    assert d.state()["command_w"] > 5 * CAP_W
