"""`bessctl hil commission`: a few percent both ways, before anything else is asked of real devices (R16).

Every PCS's AC power must follow its command, its DC power must agree with it, and the connection's must change by the sum, each in sign and
within 20 %. What was seen is stored with the hash of the sealed configuration; another configuration must be commissioned again.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bessctl.config.load import load_site
from bessctl.corelink import attach, names
from bessctl.corelink.link import CoreLink
from bessctl.errors import OperationFailed, Refused
from bessctl.model.plan import FOREVER_NS, Block, Plan

SHARE = 0.04
WITHIN = 0.2
SETTLE_S = 4.0
LEASE_NS = 2_000_000_000
LOOK_S = 0.05
LEAST_W = 600.0
"""Below it converters are not exact enough to be judged."""

Reading = dict[str, float]


def commission(site_file: Path, source: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Raises Refused when something does not agree (nothing is stored), OperationFailed when the plant does not follow, NotReachable."""
    loaded = load_site(site_file)
    with attach(str(loaded.run_dir)) as link:
        rated = sum(min(unit.discharge_max_w, unit.charge_max_w) for unit in loaded.site.units)
        watts = max(SHARE * rated, LEAST_W * len(loaded.site.units))
        before = _at(link, source, 0.0, say)
        steps = {target: _at(link, source, target, say) for target in (watts, -watts)}
        _at(link, source, 0.0, say)
        findings = [line for target, now in steps.items() for line in disagreements(target, before, now, link.site.units)]
        if findings:
            raise Refused("not commissioned: " + "; ".join(findings))
        found = {"hash": link.site.config.digest.hex(), "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "target_w": watts}
        found["seen"] = {f"{target:.0f}": now for target, now in steps.items()}
    path = loaded.state_dir / "commissioned.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    return {"stored": str(path), **found}


def disagreements(target_w: float, before: Reading, now: Reading, units: list[str]) -> list[str]:
    """Everything that does not fit, in words. Pure."""
    found = []
    for unit in units:
        told, ac, dc = now[f"{unit} command"], now[f"{unit} ac"], now[f"{unit} dc"]
        if not _agree(told, ac):
            found.append(f"{unit}: commanded {told:.0f} W, its AC power is {ac:.0f} W")
        elif not math.isnan(dc) and not _agree(ac, dc):
            found.append(f"{unit}: AC power {ac:.0f} W, DC power {dc:.0f} W")
    moved = sum(now[f"{unit} ac"] - before[f"{unit} ac"] for unit in units)
    connection = now["connection"] - before["connection"]
    if not math.isnan(connection) and not _agree(moved, connection):
        found.append(f"at {target_w:.0f} W the PCS moved by {moved:.0f} W, the connection by {connection:.0f} W")
    return found


def _agree(a: float, b: float) -> bool:
    return a * b > 0 and abs(a - b) <= WITHIN * max(abs(a), abs(b))


def _at(link: CoreLink, source: str, target_w: float, say: Callable[[str], None]) -> Reading:
    """Hold a power for SETTLE_S, with a lease that ends with us; the mean of the last second."""
    say(f"{target_w:.0f} W for {SETTLE_S:g} s")
    until_s, readings = time.monotonic() + SETTLE_S, []
    while time.monotonic() < until_s:
        link.writer(source).write(Plan(time.monotonic_ns() + LEASE_NS, (Block(0, FOREVER_NS, target_w=target_w),)))
        state = link.state()
        if state is None or names.MODES.get(state["mode"]) != "run":
            raise OperationFailed("the loop does not run the plant; see `bessctl status`")
        if until_s - time.monotonic() < 1.0:
            readings.append(_read(link, state))
        time.sleep(LOOK_S)
    return {name: sum(reading[name] for reading in readings) / len(readings) for name in readings[0]}


def _read(link: CoreLink, state: dict[str, Any]) -> Reading:
    reading = {"connection": float(state["pcc_w"])}
    for i, unit in enumerate(link.site.units):
        reading[f"{unit} command"] = float(state["unit_command_w"][i])
        reading[f"{unit} ac"] = float(state["value"][names.value_at(i, "AC_W")])
        reading[f"{unit} dc"] = float(state["value"][names.value_at(i, "DC_W")])
    return reading
