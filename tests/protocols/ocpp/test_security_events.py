"""Security events that are told and kept (whitepaper 3; 2.0.1 A04): starts, resets, a clock that was set."""

from __future__ import annotations

from typing import Any

import pytest

from bessctl.protocols.ocpp.session.clock import NS, Now
from tests.protocols.ocpp.sansio import Talk

VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])


def told(talk: Talk) -> list[str]:
    return [p["type"] for p in talk.of("SecurityEventNotification")]


@VERSIONS
@pytest.mark.parametrize(("kind", "before"), [("soft", True), ("hard", False)])
def test_a_reset_is_told_and_so_is_the_start_after_it(version: str, kind: str, before: bool) -> None:
    """A soft one delivers what waits first; a hard one sends nothing new, and tells it after the start."""
    words: dict[str, Any] = {"1.6": {"soft": "Soft", "hard": "Hard"}, "2.0.1": {"soft": "OnIdle", "hard": "Immediate"}}
    talk = Talk(version=version).booted()
    assert told(talk) == ["StartupOfTheDevice"]
    assert talk.call("Reset", {"type": words[version][kind]})["status"] == "Accepted"
    assert told(talk) == ["StartupOfTheDevice", *(["ResetOrReboot"] if before else [])]
    assert talk.restarts == [kind]
    assert told(talk.restarted().booted()) == [*([] if before else ["ResetOrReboot"]), "StartupOfTheDevice"]


@VERSIONS
def test_the_time_that_a_csms_gives_is_told(version: str) -> None:
    """Where our own clock is not trusted, its BootNotification.conf set the station's time."""
    talk = Talk(trusted=False, version=version).booted()
    talk.pass_time(1)
    assert told(talk) == ["StartupOfTheDevice", "SettingSystemTime"]


@VERSIONS
def test_a_clock_that_jumps_is_told_once_an_hour(version: str) -> None:
    """Traps of others: storms of security events while the clock is wrong."""
    talk = Talk(version=version).booted()
    for seconds in (5, -5, 60, -60, 3600, 7200):
        assert talk.now.utc_ns is not None
        talk.now = Now(talk.now.mono_ns + NS, talk.now.utc_ns + (1 + seconds) * NS)
        talk.take(talk.station.tick(talk.now))
    assert told(talk) == ["StartupOfTheDevice", "SettingSystemTime"]
    talk.pass_time(3600)
    assert told(talk)[2:] == []


def test_a_csms_of_1_6_that_knows_no_security_events_is_not_held_up() -> None:
    """It may say nothing to what it does not know: asked once, and what it must have follows."""
    talk = Talk().booted()
    talk.auto = False
    assert talk.now.utc_ns is not None
    talk.now = Now(talk.now.mono_ns + NS, talk.now.utc_ns + 60 * NS)
    talk.take(talk.station.tick(talk.now))
    talk.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1})
    assert talk.actions()[-1] == "SecurityEventNotification"
    talk.auto = True
    talk.pass_time(31)
    assert told(talk) == ["StartupOfTheDevice", "SettingSystemTime"]
    assert talk.of("StartTransaction")
