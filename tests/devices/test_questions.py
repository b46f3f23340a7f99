"""Every question that may be put to a device tells its bus the same of it: id, time-out, worst time, pipelining (R4, CARD-1).

A question that leaves out the worst time lets a serial line speak again while a late answer may still come; an answer there has no id, and
one of the right length is then taken for that of another register. A question that leaves out pipelining stalls a device that has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bessctl_core.fleet_harness import FleetHarness
from bessctl_core.sealed import unpack
from tests.devices.bench import MS, Bench, Placed, placed
from tests.devices.simulated import RackBms
from tests.devices.test_vendors import PCS
from tests.sites import sealed_example

CORE = Path(__file__).resolve().parents[2] / "core/bessctl_core"
HOLDERS = {"driver": "", "setpoint": "", "curves": "curve.", "service": "service.", "fleet": ""}


def rack() -> Placed:
    return placed(RackBms(), "bms-rack")


def of_device(asked: dict[str, Any]) -> set[Any]:
    return set(asked.values())


@pytest.mark.parametrize("make", [*PCS, rack], ids=lambda make: make.__name__)
@pytest.mark.parametrize(("worst_s", "pipelined"), [(0.4, False), (30.0, True)])
def test_all_questions_to_a_device_tell_the_same_of_it(make: Callable[[], Placed], worst_s: float, pipelined: bool) -> None:
    """From start, and after the commands of either kind, curves and read-backs have been put."""
    what = make()
    what.options |= {"worst_s": worst_s, "pipelined": pipelined}
    with Bench(what) as bench:
        expected = {(1, 300 * MS, round(worst_s * 1000) * MS, pipelined)}
        assert of_device(bench.h.questions(0)) == expected
        bench.order(0.0).run(1.0)
        assert of_device(bench.h.questions(0)) == expected


def test_the_devices_of_a_whole_site_are_kept_apart() -> None:
    """The example: SunSpec 7xx, 802 and a meter, each with times of its own, as `bessctl check --seal` writes them."""
    told = {1: (0.21, 21.0, True), 2: (0.22, 2.2, False), 3: (0.23, 0.23, True)}
    changes = [("    timeout_s: 0.3 ", "    timeout_s: 0.21\n    worst_s: 21\n    pipelined: true ")]
    for i, (t, w, p) in told.items():
        if i > 1:
            times = f"    modbus_id: {i}\n    timeout_s: {t}\n    worst_s: {w}\n" + "    pipelined: true\n" * p
            changes.append((f"    modbus_id: {i}\n", times))
    harness = FleetHarness(unpack(sealed_example(("act_within_ms: 500", "act_within_ms: 60000"), *changes).content))
    for device, (ident, (timeout_s, worst_s, pipelined)) in enumerate(told.items()):
        asked = harness.questions(device)
        assert sum(name.startswith("read.") for name in asked) > 0
        assert of_device(asked) == {(ident, round(timeout_s * 1000) * MS, round(worst_s * 1000) * MS, pipelined)}, device


def test_no_question_is_kept_from_this_test() -> None:
    """Every Transaction that the devices of a fleet own, by the headers."""
    owned = {header.stem: re.findall(r"^    Transaction (\w+)", header.read_text(), re.MULTILINE) for header in CORE.glob("*.pxd")}
    held = {prefix + name for header, prefix in HOLDERS.items() for name in owned[header]}
    with Bench(rack()) as bench:
        asked = {re.sub(r"^(setpoint|reactive)\.|\.\d+$", "", name) for name in bench.h.questions(0)}
    assert asked == held
    assert {header for header, names in owned.items() if names} == set(HOLDERS)
