"""The station on real sockets against a CSMS of the `ocpp` package: the main job from boot to stop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bessctl.model.snapshot import Binding
from bessctl.sim.csms import Csms, profile_of
from tests.protocols.ocpp.harness import station


def test_boot_start_profile_meter_stop(tmp_path: Path) -> None:
    """CARD-2, OCPP-4, OCPP-13, OCPP-16, OCPP-17, OCPP-6: RemoteStart is a plan of +150 kW, a profile shapes it, RemoteStop ends it."""

    async def story() -> None:
        async with Csms() as csms, station(csms, tmp_path, keys={"MeterValueSampleInterval": "1"}) as rig:
            rig.plant.energy(export_wh=1000.0)
            peer = await rig.peer()
            await csms.wait("StatusNotification", 3)
            statuses = {e.payload["connector_id"]: e.payload["status"] for e in csms.of("StatusNotification")}
            assert statuses == {0: "Available", 1: "Available", 2: "Available"}

            assert await peer.remote_start("TAG1", connector=1) == "Accepted"
            assert rig.plans.target_w() == 150_000.0
            started = await csms.wait("StartTransaction")
            assert (started.payload["connector_id"], started.payload["id_tag"], started.payload["meter_start"]) == (1, "TAG1", 1000)
            await csms.wait("StatusNotification", where=lambda p: p["connector_id"] == 1 and p["status"] == "Charging")
            await csms.wait("StatusNotification", where=lambda p: p["connector_id"] == 2 and p["status"] == "Unavailable")

            assert await peer.set_profile(profile_of([(0, 60_000.0), (600, 30_000.0)], transaction=1)) == "Accepted"
            assert [b.target_w for b in rig.plans.last.blocks] == [60_000.0, 30_000.0]

            values = await csms.wait("MeterValues", where=lambda p: p.get("transaction_id") == 1)
            sampled = {v["measurand"]: v for v in values.payload["meter_value"][0]["sampled_value"]}
            assert {"Energy.Active.Export.Register", "Power.Active.Export", "SoC", "Temperature", "Voltage"} <= sampled.keys()

            rig.plant.energy(export_wh=2500.0)
            await rig.seen()
            assert await peer.remote_stop(1) == "Accepted"
            stopped = await csms.wait("StopTransaction")
            assert rig.plans.target_w() is None
            assert (stopped.payload["reason"], stopped.payload["meter_stop"]) == ("Remote", 2500)
            await csms.wait("StatusNotification", where=lambda p: p["connector_id"] == 1 and p["status"] == "Finishing")

    asyncio.run(story())


def test_a_refused_start_names_the_binding(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """OCPP-9: nothing to grant = Rejected, and the log and the audit name who bound it."""

    async def story() -> None:
        async with Csms() as csms, station(csms, tmp_path) as rig:
            peer = await rig.peer()
            rig.plant.limits(-200_000.0, 0.0, Binding("row", "soc_low"))
            await rig.seen()
            assert await peer.remote_start("TAG1") == "Rejected"
            # A refusal keeps nothing that its answer depends on: the audit follows it to the disk.
            await rig.until(lambda: bool(rig.store.read("SELECT 1 FROM ocpp_audit WHERE kind = 'remote_start_refused'")))
            rows = rig.store.read("SELECT kind, detail FROM ocpp_audit WHERE kind = 'remote_start_refused'")
            assert rows == [("remote_start_refused", "nothing to grant, bound by row:soc_low")]

    asyncio.run(story())
    assert "row:soc_low" in caplog.text
