"""What each key alone allows and the whole does not: each contradiction is refused with file, line and column of the key it stands at.

Every row of the protection table is turned round by a table made from the catalogue; the rest are cases of the example site.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bessctl.config import profiles
from bessctl.config.catalogue import BY_NAME, KINDS, Kind
from bessctl.config.load import LoadedSite, site_from_text
from bessctl.config.report import report
from bessctl.config.rules_protection import BANDS
from bessctl.errors import ConfigError
from tests.sites import EXAMPLE

TEXT = EXAMPLE.read_text()
EDGES = [kind for kind in KINDS if kind.suffix != "state"]


def changed(*changes: tuple[str, str]) -> str:
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def refused(text: str) -> dict[str, str]:
    """Key -> `line:column sentence` of everything that is wrong with a site; what is wrong at one key stands in one text."""
    with pytest.raises(ConfigError) as caught:
        site_from_text(text)
    told: dict[str, str] = {}
    for line in str(caught.value).splitlines():
        found = re.fullmatch(r"site\.yaml:(\d+):(\d+): ([\w.\[\]]+): (.+)", line)
        assert found, line
        told[found[3]] = told.get(found[3], "") + f"{found[1]}:{found[2]} {found[4]}; "
    return told


def place(text: str, key: str, after: str) -> str:
    """line:column of a key that stands somewhere behind another text."""
    start = text.index(after)
    at = text.index(f"{key}:", start)
    line = text.count("\n", 0, at) + 1
    return f"{line}:{at - text.rfind(chr(10), 0, at)}"


# --- safe values: what flows while nobody controls --------------------------------------------------------------------------------------

LOAD = "  load_max_w: 100000 "
PV = "  pv_max_w: 0\n"
SUNGROW = (
    ("  - name: lan\n", "  - name: sg\n    tcp: {host: 127.0.0.1, port: 5021}\n  - name: lan\n"),
    ("    kind: pcs                   # SunSpec models 1, 701 to 704, 713 to 715\n    bus: lan\n",
     "    kind: pcs\n    profile: sungrow-sh\n    heartbeat: none\n    bus: sg\n"),
    ("    data_age_s: 0.5 ", "    data_age_s: 1 "), ("    confirm_s: 2 ", "    confirm_s: 5 "),
    ("charge_max_w: 200000\n    apparent", "charge_max_w: 10000\n    apparent"), ("discharge_max_w: 200000 ", "discharge_max_w: 10000 "),
    ("remote_start_w: 150000", "remote_start_w: 10000"),
)  # fmt: skip
OWN = ("    confirm_s: 5 ", "    own_control: a house of its own behind the meter\n    confirm_s: 5 ")

# name -> changes, key, the text behind which the key stands, words
SAFE: dict[str, tuple[tuple[tuple[str, str], ...], str, str, str]] = {
    "the load alone": (
        ((LOAD, "  load_max_w: 260000 "),), "pcc.import_max_w", "pcc:",
        "250000 is below what may flow while nobody controls: load_max_w 260000; correct the values, or state unheld",
    ),
    "the PV alone": (
        ((PV, "  pv_max_w: 300000\n"),), "pcc.export_max_w", "pcc:",
        "250000 is below what may flow while nobody controls: pv_max_w 300000;",
    ),
    "a reason for nothing": (
        ((PV, "  pv_max_w: 0\n  unheld: the feeder's own relay\n"),), "pcc.unheld", "pcc:", "the connection carries all that may flow",
    ),
    "a source's default import": (
        (("pcc_lo_w: -250000", "pcc_lo_w: -250001"),), "sources[1].default_limits.pcc_lo_w", "sources:",
        "-250001 is beyond pcc.import_max_w 250000: the connection does not carry it; raise it",
    ),
    "a source's default export": (
        (("pcc_hi_w: 250000", "pcc_hi_w: 400000"),), "sources[1].default_limits.pcc_hi_w", "sources:",
        "400000 is beyond pcc.export_max_w 250000: the connection does not carry it; lower it",
    ),
    "an import that must be beyond it": (
        (("pcc_lo_w: -250000, pcc_hi_w: 250000", "pcc_hi_w: -260000"),), "sources[1].default_limits.pcc_hi_w", "sources:",
        "-260000 is beyond pcc.import_max_w 250000",
    ),
    "two defaults that exclude each other": (
        (
            ("pcc_lo_w: -250000, pcc_hi_w: 250000", "pcc_lo_w: 10000"),
            ("    lease_max_s: 300\n", "    lease_max_s: 300\n    required: true\n    default_limits: {pcc_hi_w: -5000}\n"),
            ("    priority: 30\n    scopes: [ess]", "    priority: 30\n    scopes: [pcc]"),
        ),
        "sources[2].default_limits", "name: ocpp",
        "pcc_lo_w 10000 of 'ems' and pcc_hi_w -5000 of 'ocpp' exclude each other",
    ),
    "a PCS that takes its own control": (
        SUNGROW, "units[0].pcs", "units:", "without us 'pcs1' goes back to its own control, by its profile, and not to 0 W (R11)",
    ),
    "its power on top of the load": (
        (*SUNGROW, OWN, (LOAD, "  load_max_w: 245000 ")), "pcc.import_max_w", "pcc:",
        "while nobody controls: load_max_w 245000 and 10000 W of unit1 under its own control;",
    ),
    "its power on top of a load nobody states": (
        (*SUNGROW, OWN, (LOAD, "  # load_max_w: 100000 ")), "pcc.import_max_w", "pcc:",
        "what flows beside unit1 under its own control is not known; state load_max_w (R11)",
    ),
    "its power on top of a PV nobody states": (
        (*SUNGROW, OWN, (PV, "")), "pcc.export_max_w", "pcc:",
        "what flows beside unit1 under its own control is not known; state pv_max_w (R11)",
    ),
    "a reason where the PCS goes to 0 W": (
        (("    confirm_s: 2 ", "    own_control: why not\n    confirm_s: 2 "),), "units[0].own_control", "units:",
        "'pcs1' goes to 0 W without us, by its profile; take the key out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAFE)
def test_safe_values_that_the_connection_does_not_carry_are_refused_with_their_place(name: str) -> None:
    """R7, R10, R11: the worst load and PV, the sources' defaults, and what the PCSs do when the loop is dead."""
    changes, key, after, words = SAFE[name]
    text = changed(*changes)
    told = refused(without_rows_of_the_pcs(text) if changes[: len(SUNGROW)] == SUNGROW else text)
    assert words in told[key], told
    assert told[key].startswith(place(text, key.rpartition(".")[2], after) + " ") or changes[: len(SUNGROW)] == SUNGROW, told


@pytest.mark.parametrize(
    ("old", "new"), [(LOAD, "  unheld: the feeder's own relay\n  load_max_w: 260000 "), (LOAD, "  load_max_w: 250000 ")]
)
def test_a_load_that_is_held_by_somebody_else_or_by_nobody_needs_its_reason(old: str, new: str) -> None:
    site_from_text(changed((old, new)))


def without_rows_of_the_pcs(text: str) -> str:
    """What a Sungrow does not tell, taken out of the table."""
    for row in ("pcs_heartbeat_lost", "energy_conflict", "contactor_fault", "bms_heartbeat_lost"):
        text = re.sub(rf"^  {row}:.*\n(?:    .*\n)*", "", text, flags=re.MULTILINE)
    return text.replace("protection:\n", "protection:\n  pcs_alarms: {disabled: it tells none}\n", 1)


def own_control(*more: tuple[str, str]) -> LoadedSite:
    return site_from_text(without_rows_of_the_pcs(changed(*SUNGROW, OWN, *more)))


def test_a_pcs_under_its_own_control_is_taken_with_a_reason_and_check_says_so() -> None:
    (unit,) = report(own_control())["units"]
    assert unit["own_control"] == "a house of its own behind the meter"


def test_a_pcs_under_its_own_control_has_no_neighbours() -> None:
    """R9: what it gives while it is silent nobody could count for the others."""
    second = (
        "  - {name: unit2, pcs: pcs2, bms: bms2, discharge_max_w: 9000, charge_max_w: 9000, apparent_max_va: 9000, capacity_wh: 400000,\n"
        "     pack_min_v: 650, efficiency: 0.95, reversion_s: 5, ramp_to_zero_s: 0.5, data_age_s: 1}\n"
    )
    devices = "  - {name: pcs2, kind: pcs, bus: lan, modbus_id: 11}\n  - {name: bms2, kind: bms, bus: lan, modbus_id: 12}\n"
    head = next(line for line in TEXT.splitlines() if line.startswith("devices:")) + "\n"
    with pytest.raises(ConfigError, match=r"units\[0\]\.own_control: only for a site of one unit"):
        own_control((head, head + devices), ("\nsources: ", f"{second}\nsources: "))


# --- limits beyond ratings --------------------------------------------------------------------------------------------------------------

RATINGS = [
    ("    charge_max_w: 200000\n", "    charge_max_w: 220000\n", "units[0].charge_max_w", "is beyond apparent_max_va 210000"),
    ("    discharge_max_w: 200000 ", "    discharge_max_w: 220000 ", "units[0].discharge_max_w", "is beyond apparent_max_va 210000"),
    ("    capacity_wh", "    reactive_max_var: 300000\n    capacity_wh", "units[0].reactive_max_var", "is beyond apparent_max_va 210000"),
    ("pcc_lo_w: -250000, pcc_hi_w: 250000", "ess_hi_w: 300000", "sources[1].default_limits.ess_hi_w", "beyond the units' 200000 W"),
    ("pcc_lo_w: -250000, pcc_hi_w: 250000", "ess_lo_w: -300000", "sources[1].default_limits.ess_lo_w", "beyond the units' -200000 W"),
    ("      remote_start_w: 150000 ", "      remote_start_w: 900000 ", "ocpp.links[0].remote_start_w", "is beyond the units' 200000 W"),
    ("  min_power_w: 500 ", "  min_power_w: 200000 ", "loop.min_power_w", "leaves unit1 of 200000 W nothing to give"),
    ("    response_s: 0.002           #", "    pipelined: true\n    response_s: 0.002 #", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key", "words"), RATINGS, ids=[row[2] or "none" for row in RATINGS])
def test_a_limit_beyond_a_rating_is_refused(old: str, new: str, key: str | None, words: str | None) -> None:
    text = changed((old, new))
    if key is None or words is None:
        site_from_text(text)
        return
    told = refused(text)
    assert words in told[key], told
    assert told[key].startswith(place(text, key.rpartition(".")[2], new) + " "), told


def test_a_serial_line_carries_one_question_at_a_time() -> None:
    text = changed(
        ("    tcp: {host: 127.0.0.1, port: 5020}\n", "    rtu: {device: /dev/ttyS1, baud: 115200}\n"),
        ("    modbus_id: 1\n", "    modbus_id: 1\n    pipelined: true\n"),
    )
    assert "one question at a time" in refused(text)["devices[0].pipelined"]


def test_a_set_point_in_steps_larger_than_the_unit_moves_never(tmp_path: Path) -> None:
    shipped = profiles.find("kaco-gridsave").read_text()
    worn = shipped.replace("    count_w: 0.01\n", "    count_w: 0.01\n    wears: {writes_per_day: 100, burst: 2, step_w: 250000}\n")
    (tmp_path / "worn.yaml").write_text(worn)
    text = changed(
        ("    kind: pcs                   #", f"    profile: {tmp_path}/worn.yaml\n    heartbeat: none\n    kind: pcs #"),
    )
    assert "moves in steps of 250000 W, by its profile, the unit gives 200000 W" in refused(text)["units[0].pcs"]


# --- every row of the protection table: all of them wrong in one file, which tells all of it --------------------------------------------

PARTS = [kind for kind in EDGES if any(kind.name in whole.parts for whole in KINDS)]
GROUPS = {"rows": [kind for kind in EDGES if kind not in PARTS], "rows of one direction": PARTS}


def numbers(kind: Kind) -> tuple[float, float]:
    """A pickup that can make sense for a row, and a step that is small for it."""
    lo, hi = max(kind.lo, -20.0), min(kind.hi, 1000.0)
    middle = 50.0 if lo < 50.0 < hi else (lo + hi) / 2
    return middle, min(hi - middle, middle - lo) / 20


def with_table(bodies: dict[str, str]) -> str:
    """The example with another protection table."""
    head, rest = TEXT.split("\nprotection:\n", 1)
    tail = rest[rest.index("\nocpp:") :]
    return head + "\nprotection:\n" + "".join(f"  {name}:\n{body}" for name, body in bodies.items()) + tail


def tier(name: str, suffix: str, pickup: float, dropoff: float, more: str = "") -> str:
    return f"    {name}: {{pickup_{suffix}: {pickup:g}, dropoff_{suffix}: {dropoff:g}{more}}}\n"


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("steps", [0, 1], ids=["where it picks up", "beyond it"])
def test_every_row_whose_drop_off_is_on_the_wrong_side_is_refused(group: str, steps: int) -> None:
    """It would chatter, or never let go."""
    bodies = {}
    for kind in GROUPS[group]:
        pickup, step = numbers(kind)
        bodies[kind.name] = tier("warn", kind.suffix, pickup, pickup + steps * step * (1 if kind.above else -1))
    text = with_table(bodies)
    told = refused(text)
    for kind in GROUPS[group]:
        key = f"protection.{kind.name}.warn.dropoff_{kind.suffix}"
        assert f"is not {'below' if kind.above else 'above'} pickup" in told[key], key
        assert told[key].startswith(place(text, f"dropoff_{kind.suffix}", f"\n  {kind.name}:") + " "), key


BAD_CURVES = {
    "more power where it is more dangerous": "give more power where it is more dangerous",
    "thresholds that fall": "do not rise",
    "a threshold twice": "do not rise",
    "a share above one": "leave 0 to 1",
    "an end beyond the trip": "beyond the trip",
}


def bad_curve(kind: Kind, how: str) -> str:
    pickup, step = numbers(kind)
    xs = [pickup, pickup + step, pickup + 2 * step]
    shares = [1.0, 0.5, 0.0] if kind.above else [0.0, 0.5, 1.0]
    trip = ""
    if how.startswith("more power"):
        shares.reverse()
    elif how == "thresholds that fall":
        xs[1], xs[2] = xs[2], xs[1]
    elif how == "a threshold twice":
        xs[2] = xs[1]
    elif how == "a share above one":
        shares[1] = 1.5
    else:
        trip = tier("trip", kind.suffix, xs[1], xs[1] + (-step / 2 if kind.above else step / 2), ", action: block, reset: any")
    curve = ", ".join(f"[{x:g}, {share:g}]" for x, share in zip(xs, shares, strict=True))
    healthy = min(xs) - step if kind.above else max(xs) + step
    return f"    derate: {{curve: [{curve}], dropoff_{kind.suffix}: {healthy:g}}}\n{trip}"


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("how", BAD_CURVES)
def test_every_curve_that_is_not_monotonic_is_refused(group: str, how: str) -> None:
    kinds = [kind for kind in GROUPS[group] if not kind.warn_only]
    text = with_table({kind.name: bad_curve(kind, how) for kind in kinds})
    told = refused(text)
    for kind in kinds:
        key = f"protection.{kind.name}.derate.curve"
        assert BAD_CURVES[how] in told[key], key
        assert told[key].startswith(place(text, "curve", f"\n  {kind.name}:") + " "), key


@pytest.mark.parametrize("group", GROUPS)
def test_the_tiers_of_every_row_come_one_after_the_other(group: str) -> None:
    """warn, derate, trip, each further on the dangerous side."""
    bodies = {}
    for kind in (kind for kind in GROUPS[group] if not kind.warn_only):
        pickup, step = numbers(kind)
        off = pickup + 4 * step * (-1 if kind.above else 1)
        further = pickup + step * (-1 if kind.above else 1)
        bodies[kind.name] = tier("warn", kind.suffix, pickup, off) + tier("trip", kind.suffix, further, off, ", action: block, reset: any")
    told = refused(with_table(bodies))
    assert {name for name in bodies if "warn, derate, trip in this order" in told[f"protection.{name}.trip"]} == set(bodies)


@pytest.mark.parametrize("group", GROUPS)
def test_every_band_with_nothing_left_between_its_ends_is_refused(group: str) -> None:
    names = {kind.name for kind in GROUPS[group]}
    bodies = {}
    for low, high in (pair for pair in BANDS if pair[0] in names):
        suffix, (pickup, step) = BY_NAME[low].suffix, numbers(BY_NAME[low])
        bodies[low] = tier("warn", suffix, pickup, pickup + 2 * step)
        bodies[high] = tier("warn", suffix, pickup + 3 * step, pickup + step)
    told = refused(with_table(bodies))
    assert bodies
    for _, high in (pair for pair in BANDS if pair[0] in names):
        assert "nothing is left between; move them apart" in told[f"protection.{high}"]


# --- alarms a device cannot tell --------------------------------------------------------------------------------------------------------


def test_an_alarm_that_no_device_of_the_site_tells_is_refused() -> None:
    text = changed(("\nprotection:\n", "\nprotection:\n  bms_alarms: {bit_9: {action: zero}}\n"))
    assert "no device of this site tells it, by its profile" in refused(text)["protection.bms_alarms.bit_9"]
    site_from_text(changed(("\nprotection:\n", "\nprotection:\n  bms_alarms: {bit_30: {action: zero}}\n")))
