"""`bessctl check` says how late a command may come after a threshold, and refuses what a row cannot keep: poll + tick + what is in front of
the set point + one lost answer with the quiet time behind it (ADR 0062). Each part is found again by changing what it is made of."""

from __future__ import annotations

import re
from itertools import pairwise
from math import inf
from typing import Literal

import pytest

from bessctl.config import estimate, profiles
from bessctl.config.buses import Rtu
from bessctl.config.load import site_from_text
from bessctl.config.report import report
from bessctl.config.site import Site
from bessctl.errors import ConfigError
from tests.sites import EXAMPLE, example_site

TEXT = EXAMPLE.read_text()
SERIAL = (
    ("    tcp: {host: 127.0.0.1, port: 5020}\n", "    rtu: {device: /dev/ttyS1, baud: 115200}\n"), ("data_age_s: 0.5", "data_age_s: 3"),
    ("confirm_s: 2", "confirm_s: 9"), ("pickup_s: 0.3", "pickup_s: 0.9"), ("act_within_ms: 500", "act_within_ms: 3000"),
    ("    timeout_s: 0.3 ", "    worst_s: 0.4\n    timeout_s: 0.3 "), ("    modbus_id: 2\n", "    modbus_id: 2\n    worst_s: 0.4\n"),
    ("    modbus_id: 3\n", "    modbus_id: 3\n    worst_s: 0.4\n"),
)  # fmt: skip


def changed(*changes: tuple[str, str]) -> str:
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def to_wire_ms(*changes: tuple[str, str], row: str = "charge_current_high") -> float:
    rows = report(site_from_text(changed(*changes)))["rows"]
    return next(float(entry["to_wire_ms"]) for entry in rows if (entry["row"], entry["tier"]) == (row, "trip"))


def test_the_parts_of_the_worst_case_over_tcp() -> None:
    """A second of time-out more is a second more; a slower tick and a slower poll likewise; nothing of it is forgotten."""
    first = to_wire_ms()
    assert first > 300 + 50 + 10
    assert to_wire_ms(("    timeout_s: 0.3 ", "    timeout_s: 0.35 ")) == pytest.approx(first + 50, abs=0.2)
    # once until the decision, once until what was under way from before it has ended
    assert to_wire_ms(("  rate_hz: 100 ", "  rate_hz: 50 ")) == pytest.approx(first + 2 * 10, abs=0.2)
    slower = (("    response_s: 0.002\n    poll: {fast_s: 0.05}\n", "    response_s: 0.002\n    poll: {fast_s: 0.07}\n"),)
    assert to_wire_ms(*slower) == pytest.approx(first + 20, abs=0.2)


def test_the_parts_of_the_worst_case_on_a_serial_line() -> None:
    """There the quiet time after a lost answer counts, and every frame by its characters."""
    first = to_wire_ms(*SERIAL)
    quiet = [(old, new.replace("worst_s: 0.4", "worst_s: 0.6")) for old, new in SERIAL]
    assert to_wire_ms(*quiet) == pytest.approx(first + 200, abs=0.5)
    slow = [(old, new.replace("baud: 115200", "baud: 57600")) for old, new in SERIAL]
    assert to_wire_ms(*slow) > first + 20, "the same characters take twice as long"


@pytest.mark.parametrize(
    ("old", "new", "key", "allowed"),
    [
        # amps have 100 ms where nothing is stated
        (", act_within_ms: 500", "", "protection.charge_current_high.trip", "100"),
        ("act_within_ms: 500", "act_within_ms: 350", "protection.charge_current_high.trip.act_within_ms", "350"),
        ("trip:   {pickup_v: 3.65,", "trip:   {act_within_ms: 50, pickup_v: 3.65,", "protection.cell_v_high.trip.act_within_ms", "50"),
    ],
)
def test_a_row_that_cannot_keep_its_bound_is_refused_with_its_place(old: str, new: str, key: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        site_from_text(changed((old, new)))
    found = re.search(
        rf"site\.yaml:\d+:\d+: {re.escape(key)}: the command may come (\d+) ms after the threshold of unit1; allowed: {allowed};",
        str(caught.value),
    )
    assert found, caught.value
    assert int(found[1]) > int(allowed)


def test_a_bus_that_is_fast_enough_keeps_the_bound_of_amps() -> None:
    """100 ms, one lost answer included: short time-outs and a fast poll."""
    fast = (
        (", act_within_ms: 500", ""), ("    timeout_s: 0.3 ", "    timeout_s: 0.01 "), ("poll: {fast_s: 0.05", "poll: {fast_s: 0.02"),
        ("response_s: 0.002", "response_s: 0.0005"),
        ("    modbus_id: 2\n", "    modbus_id: 2\n    timeout_s: 0.01\n"),
        ("    modbus_id: 3\n", "    modbus_id: 3\n    timeout_s: 0.01\n"),
    )  # fmt: skip
    assert to_wire_ms(*fast) <= 100


# --- several PCS on one line --------------------------------------------------------------------------------------------------------------


def line(count: int, profile: str | None = None, baud: Literal[9600, 115200] = 9600) -> Site:
    """So many PCS, each its own battery's voice, on one serial line."""
    site = example_site().site
    pcs, unit = next(device for device in site.devices if device.kind == "pcs"), site.units[0]
    bus = site.buses[0].model_copy(update={"name": "line", "tcp": None, "rtu": Rtu(device="/dev/ttyS1", baud=baud)})
    times = {"bus": "line", "profile": profile, "worst_s": 0.4, "timeout_s": 0.3}
    devices = [pcs.model_copy(update={**times, "name": f"pcs{i}", "modbus_id": i}) for i in range(count)]
    units = [unit.model_copy(update={"name": f"unit{i}", "pcs": f"pcs{i}", "bms": None}) for i in range(count)]
    made = site.model_copy(update={"buses": [bus], "devices": devices, "units": units})
    known = profiles.load(profile or profiles.DEFAULTS["pcs"]).profile
    made.learn({device.name: known for device in devices})
    if known.battery is not None:
        made.learn({f"{device.name}/battery": profiles.load(known.battery).profile for device in devices})
    return made


def slow_limits() -> Site:
    """Sungrow's, were its battery limits of pace slow."""
    site = line(1, "sungrow-sh", 115200)
    known = site.profile(site.devices[0])
    points = [point.model_copy(update={"pace": "slow"} if point.quantity.startswith("bms_") else {}) for point in known.points]
    site.learn({"pcs0": known.model_copy(update={"points": points})})
    return site


def command_ms(site: Site) -> float:
    return 1e3 * estimate.command_s(site, site.units[0])[1]


def bound_ms(site: Site, quantity: str = "cell_temp_max_c") -> float:
    found = estimate.crossing_to_wire_s(site, site.units[0], quantity)
    assert found is not None
    return 1e3 * found


def test_the_set_points_of_a_line_follow_each_other() -> None:
    """704 is one request of 31 characters with its answer's 8, the device thinks 2 ms: each PCS more costs that, and its polls."""
    commands = [command_ms(line(count)) for count in (1, 2, 3, 4)]
    request_ms = 1e3 * ((31 + 8) * 11 + 2 * 38.5) / 9600 + 2
    assert [b - a for a, b in pairwise(commands)] == pytest.approx([request_ms] * 3, abs=0.1)
    bounds = [bound_ms(line(count)) for count in (1, 2, 3, 4)]
    assert all(b - a > request_ms + 200 for a, b in pairwise(bounds)), "the others' reads are in front of ours as well"


def test_each_request_of_a_set_point_counts_and_those_of_the_one_before_it() -> None:
    """Sungrow takes mode, power and command one after the other; KACO and Sinexcel one register."""
    names = ("sungrow-sh", "kaco-gridsave")
    of = {name: len(estimate.writes_s(site, site.buses[0], site.devices[0], "setpoint")) for name in names for site in [line(1, name)]}
    assert of["sungrow-sh"] > 1
    for name, rows in of.items():
        site = line(1, name)
        bus, device = site.buses[0], site.devices[0]
        longest, each = estimate.longest_s(site, bus), max(estimate.writes_s(site, bus, device, "setpoint"))
        assert command_ms(site) == pytest.approx(1e3 * (longest + (2 * rows - 1) * (0.01 + longest + each))), name


def test_what_follows_from_two_values_is_as_late_as_the_slower() -> None:
    """A device whose limits come once a second, its current ten times: amps over the limit are as late as the limit."""
    site = slow_limits()
    paces = {of: {pace for _, pace in estimate.sources_of(site, site.units[0], of)} for of in ("pack_a", "bms_dis_max_a", "dis_a_over")}
    assert paces == {"pack_a": {"fast"}, "bms_dis_max_a": {"slow"}, "dis_a_over": {"fast", "slow"}}
    assert bound_ms(site, "dis_a_over") > bound_ms(site, "pack_a") + 800


def test_a_poll_that_is_lost_is_asked_again_in_its_period() -> None:
    """Where the period is longer than what a lost answer costs the line, it is the period that counts."""
    site = slow_limits()
    pace = site.devices[0].poll
    slower = site.devices[0].model_copy(update={"poll": pace.model_copy(update={"slow_s": pace.slow_s + 1})})
    more = site.model_copy(update={"devices": [slower]})
    assert 1999 < bound_ms(more, "bms_dis_max_a") - bound_ms(site, "bms_dis_max_a") < 2200


def test_questions_that_are_out_together_are_in_front_together() -> None:
    """A pipelined device has up to four questions to answer first."""
    assert to_wire_ms(("    modbus_id: 1\n", "    modbus_id: 1\n    pipelined: true\n")) > to_wire_ms() + 2 * 3 * 2


def test_who_does_not_act_has_no_bound() -> None:
    site_from_text(changed(("warn:   {pickup_a: 5, dropoff_a: 2,", "warn:   {act_within_ms: 1, pickup_a: 5, dropoff_a: 2,")))


def test_on_a_line_with_more_to_ask_than_time_nothing_waits_longer_than_a_round() -> None:
    """R4: what is due longest goes first, so what is asked every second is as old as what is asked every 50 ms, and not twenty times."""
    site = line(4)
    pcs, bus = site.devices[0], site.buses[0]
    load, cycle_s = estimate.bus_load(site, bus), estimate.cycle_s(site, bus)
    assert load > 50
    each = [estimate.refresh_s(site, pcs, pace) for pace in ("fast", "state", "slow")]
    assert all(cycle_s < seconds < cycle_s + 0.4 for seconds in [*each, estimate.read_back_s(site, pcs)])
    read_s = [estimate.read_s(bus, device, count) for device in site.devices for count, _ in estimate.nominal_reads(site, device)]
    assert sum(read_s) < cycle_s < 4 * sum(read_s), "all of it once, and what is written meanwhile"
    assert f"ask less of bus 'line': its plan is {load:.2g} times what it carries" in estimate.too_young(site, 1, pcs, cycle_s)
    assert "poll faster" in estimate.remedy(example_site().site, example_site().site.devices[0])


def test_a_plan_that_fits_its_line_is_as_old_as_its_periods() -> None:
    site = example_site().site
    pcs, bus = site.devices[0], site.buses[0]
    assert estimate.cycle_s(site, bus) == 0
    assert estimate.read_back_s(site, pcs) == pytest.approx(estimate.READ_BACK_S, abs=0.01)
    assert estimate.refresh_s(site, pcs, "fast") == pytest.approx(pcs.poll.fast_s, abs=0.01)


def test_a_line_that_its_own_set_points_fill_has_no_refresh_time() -> None:
    """Ten PCS at 9600 baud: heartbeats, set points and their read-backs alone are more than it carries."""
    site = line(10)
    assert estimate.cycle_s(site, site.buses[0]) == inf


def test_R12_a_pcs_must_have_been_asked_again_before_it_is_said_not_to_follow() -> None:
    """The scenario: four PCS on a line of 9600 baud, 0 W ordered at once; what each measured before is 6 s old and no disobedience."""
    delay = re.compile(r"(trip: +{pickup_pct: 10, dropoff_pct: 5, pickup_delay_s: )3\.0")
    assert delay.search(TEXT)
    assert "not_following" not in str(refused(delay.sub(r"\g<1>0.6", TEXT)))
    told = refused(delay.sub(r"\g<1>0.55", TEXT))
    assert "0.55 is shorter than the ramp of unit1 (ramp_to_zero_s 0.5), its command's way and the reading behind it (0.07 s)" in told
    assert "allowed: from 0.57" in told


def test_R12_pcs_and_battery_must_both_have_been_asked_again_before_they_are_said_to_disagree() -> None:
    """At a reversal the one that was asked last shows the new direction, the other still the old one."""
    trip = (
        "  energy_conflict:\n    trip: {pickup_pct: 5, dropoff_pct: 3, pickup_delay_s: 0.3, dropoff_delay_s: 5, action: zero, reset: any}\n"
    )
    text = re.sub(r"  energy_conflict:.*\n    warn:.*\n", trip, TEXT)
    assert "energy_conflict.trip.pickup_delay_s: 0.3 is shorter than the ramp of unit1" in refused(text)
    assert refused(text.replace("pickup_delay_s: 0.3, dropoff_delay_s: 5, ", "pickup_delay_s: 0.6, dropoff_delay_s: 5, ")) == ""


def refused(text: str) -> str:
    try:
        site_from_text(text)
    except ConfigError as e:
        return str(e)
    return ""
