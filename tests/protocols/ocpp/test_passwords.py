"""A new BasicAuth password over the wire never locks the station out (2.0.1 A01; settled 12)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from ocpp.v201 import call

from bessctl.protocols.ocpp.binding.passwords import before_of, put
from bessctl.protocols.ocpp.config import Role
from bessctl.sim.csms import Csms
from tests.protocols.ocpp.harness import station

OLD, NEW = b"\x00\xffold", "correct horse battery"
PLACE = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}, "attributeValue": NEW}


@pytest.mark.parametrize("adopts", [True, False])
def test_a_password_is_new_once_the_csms_let_us_in_with_it(adopts: bool, tmp_path: Path) -> None:
    """The file keeps its encoding; where the CSMS refuses what it asked for itself, the old one comes through, and stays."""
    file = tmp_path / "password"
    file.write_text(OLD.hex())
    file.chmod(0o600)
    passwords = {"BESS1": OLD}

    async def story() -> None:
        csms = Csms(versions=("2.0.1",), passwords=passwords)
        link: dict[str, Any] = {"version": ("2.0.1",), "role": Role.OWNER, "password_file": file, "password_encoding": "hex"}
        async with csms, station(csms, tmp_path, **link) as rig:
            peer = await csms.station201("BESS1")
            # The library's CSMS forgets what it has read behind a CALL of ours that it cannot answer any more.
            await csms.wait("SecurityEventNotification", where=lambda p: p["type"] == "StartupOfTheDevice")
            await rig.until(lambda: rig.store.read("SELECT count(*) FROM ocpp_queue") == [(0,)])
            if adopts:
                passwords["BESS1"] = NEW.encode()
            answer = await peer.ask(call.SetVariables([PLACE]))
            assert answer.set_variable_result[0]["attribute_status"] == "Accepted"
            await csms.until(lambda: csms.peers201.get("BESS1", peer) is not peer)
            await csms.peers201["BESS1"].ask(call.GetLocalListVersion())
            await rig.until(lambda: not before_of(file).exists())
            if not adopts:
                await csms.wait("SecurityEventNotification", where=lambda p: p["type"] == "FailedToAuthenticateAtCsms")

    asyncio.run(story())
    assert bytes.fromhex(file.read_text()) == (NEW.encode() if adopts else OLD)
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_password_that_worked_last_is_kept_whatever_follows(tmp_path: Path) -> None:
    """Two new ones before the next dialling: the one before them both is the one to fall back to."""
    file = tmp_path / "password"
    file.write_text("works")
    put(file, "first")
    put(file, "second")
    assert (file.read_text(), before_of(file).read_text()) == ("second", "works")
