"""The wall clock is corrected under a running transaction: schedules follow it, intervals do not."""

from __future__ import annotations

from typing import Any

import pytest

from bessctl.protocols.ocpp.session.clock import NS, Now
from tests.protocols.ocpp.sansio import Talk, profile, with_keys
from tests.protocols.ocpp.test_v201 import profile201, started, talk201, tx_of

LIMITS = [(0, 60_000.0), (600, 30_000.0)]


def stepped(talk: Talk, seconds: int) -> None:
    """The wall clock jumps; no time passes."""
    assert talk.now.utc_ns is not None
    talk.now = Now(talk.now.mono_ns, talk.now.utc_ns + seconds * NS)
    talk.take(talk.station.tick(talk.now))


def begun(version: str) -> Talk:
    if version == "1.6":
        talk = Talk(with_keys(MeterValueSampleInterval="10", ClockAlignedDataInterval="0")).booted()
        talk.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1})
        talk.call("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile(LIMITS)})
    else:
        talk = started(talk201(MeterValueSampleInterval="10"))
        own: dict[str, Any] = profile201(LIMITS, transactionId=tx_of(talk))
        talk.call("SetChargingProfile", {"evseId": 1, "chargingProfile": own})
    talk.sent.clear()
    return talk


def watts(talk: Talk) -> float | None:
    demand = talk.station.demand(talk.now)
    assert demand is not None
    return demand.wanted[0].watts


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize("seconds", [700, 7200, -7200, -1])
def test_a_step_of_the_clock(version: str, seconds: int) -> None:
    talk = begun(version)
    assert watts(talk) == 60_000.0
    stepped(talk, seconds)
    # An absolute schedule of the future does not rule yet; what the start was granted does.
    assert watts(talk) == (30_000.0 if seconds >= 600 else 150_000.0 if seconds < 0 else 60_000.0)
    talk.pass_time(35)
    values = (
        talk.of("MeterValues")
        if version == "1.6"
        else [e for e in talk.of("TransactionEvent") if e["triggerReason"] != "ChargingRateChanged"]
    )
    assert len(values) == 3, "every ten seconds of real time, whatever the wall clock says"


@pytest.mark.parametrize("seconds", [3600, -3600, 30])
def test_no_boundary_twice_and_none_made_up(seconds: int) -> None:
    """Clock-aligned values stand on a boundary of the clock as it is; a jump over boundaries makes up for none."""
    talk = Talk(with_keys(ClockAlignedDataInterval="60", MeterValueSampleInterval="0")).booted()
    talk.pass_time(61)
    talk.sent.clear()
    stepped(talk, seconds)
    talk.pass_time(125)
    stamps = [p["meterValue"][0]["timestamp"] for p in talk.of("MeterValues") if p["connectorId"] == 1]
    assert len(stamps) == len(set(stamps)) >= 2
    assert all(stamp.endswith(":00Z") for stamp in stamps)
