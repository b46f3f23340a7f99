"""Policies and measurements in real processes: supervisor, loop, Modbus, simulated PCS, mosquitto, and the commands that ask them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bessctl.app.lines import request_line
from bessctl.config.load import load_site
from bessctl.config.seal import seal
from bessctl_core import layout as L
from tests.cli.test_commands import cli
from tests.protocols.mqtt.broker import Reader, mosquitto, reader
from tests.protocols.oscp.test_live import OCPP, supervisor
from tests.scenarios.loop_rig import found_devices, loop_process, plant_server, wait_for
from tests.sites import EXAMPLE

pytestmark = pytest.mark.timeout(120)

SLOT = "  - {name: policy, class: market, priority: 40, scopes: [ess, pcc], lease_max_s: 3600, may_force: discharge}\n"
SECTIONS = """storage: {{name: LR34_001, soc_min_pct: 10, soc_max_pct: 90}}
mqtt:
  brokers:
    - {{name: optimiser, host: 127.0.0.1, port: {port}, allow_plain: true, topic: "sites/{{asset}}/m", interval_s: 1}}
policy:
  time_zone: Europe/Brussels
  reserve_pct: 20
  forces:
    - {{name: capacity test, power_w: -30000, for_s: 3600, at: {{once: ["{begun}"]}}}}
  bands:
    - {{name: full soon, minimum_pct: 100, maximum_pct: 100, at: {{once: ["{soon}"]}}}}
"""


def site_file(folder: Path, port: int, broker_port: int) -> Path:
    """The example with policies of this hour and without OCPP."""
    now = datetime.now(UTC)
    begun, soon = ((now + timedelta(seconds=s)).isoformat(timespec="seconds") for s in (-60, 600))
    text = EXAMPLE.read_text()
    changes = (
        ("port: 5020", f"port: {port}"),
        ("/var/lib/bessctl", "state"),
        ("/run/bessctl ", "run "),
        (OCPP, SECTIONS.format(begun=begun, soon=soon, port=broker_port)),
        ("\n# What protects", f"{SLOT}\n# What protects"),
    )
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    file = folder / "site.yaml"
    file.write_text(text)
    loaded = load_site(file)
    loaded.sealed_file.write_bytes(seal(loaded, found_devices()).content)
    return file


def planned(run_dir: Path, folder: Path) -> None:
    """What `bessctl plan show` tells of it."""
    told = cli("plan", "show", "-o", "json", "--picture", folder / "plan.svg", "--run-dir", run_dir)
    plan = json.loads(told.stdout)
    assert told.returncode == 1, "a target cannot be reached"
    assert (plan["steps"][0]["power_w"], plan["steps"][0]["who"]) == (-30_000, "policy:capacity test")
    assert (folder / "plan.svg").read_text().startswith("<svg")
    [missed] = plan["unreachable"]
    assert (missed["policy"], missed["because"]) == ("full soon", "policy:capacity test")
    assert 62.5 < missed["reachable_pct"] < 66, "SoC 60 % is 62.5 % of the window; ten minutes at 30 kW"
    assert "cannot be reached" in cli("plan", "show", "--run-dir", run_dir).stdout
    refused = request_line(run_dir / "supervisor.sock", {"command": "set", "source": "policy", "power_w": 1, "ttl_s": 9})
    assert refused["outcome"] == "usage", "only the policies write their slot"


def measured(run_dir: Path, seen: Reader) -> None:
    """What reached the broker, and what `bessctl mqtt` says of it."""
    said = wait_for("a measurement", lambda: [m for m in seen.on("sites/LR34_001/m") if m["powerValue"] > 29_000])[-1]
    assert (said["assetId"], said["powerValue"] < 31_000) == ("LR34_001", True), "charging is positive on the wire"
    assert 62 < said["currentStateOfCharge"] < 66, "of the operational window"
    asked = cli("mqtt", "-o", "json", "--run-dir", run_dir)
    [broker] = json.loads(asked.stdout)["brokers"]
    assert (asked.returncode, broker["connected"], broker["dropped"], broker["disk"]) == (0, True, 0, "ok")


def play(folder: Path, broker_port: int, seen: Reader) -> None:
    with plant_server() as server:
        site = site_file(folder, server.port, broker_port)
        with loop_process(folder, site.with_suffix(".sealed")) as loop:
            loop.attach()
            loop.until_mode(L.Mode.MODE_RUN)
            with supervisor(site):
                wait_for("the forced power", lambda: loop.now()["command_w"] == -30_000)
                planned(loop.run_dir, folder)
                measured(loop.run_dir, seen)


def test_a_policy_moves_the_pcs_says_what_it_plans_and_the_broker_hears_of_it(tmp_path: Path) -> None:
    """PLV-1, PLV-3, PLV-5."""

    async def story() -> None:
        async with mosquitto(tmp_path / "broker") as server, reader(server.port) as seen:
            await asyncio.to_thread(play, tmp_path, server.port, seen)

    asyncio.run(story())
