"""Compliance errors (FR.04.01 to FR.04.04, row 21) and requests for another capacity (3.2.3, row 16): OSCP-6."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bessctl.errors import Refused
from bessctl.model.snapshot import MeterSnapshot, PlantSnapshot
from bessctl.protocols.oscp.binding.observe import failure, meter_sample, samples
from bessctl.protocols.oscp.config import Adjust, PeerConfig, Scope
from bessctl.protocols.oscp.messages.records import CapacityForecastType
from bessctl.protocols.oscp.session.adjust import Wish
from bessctl.protocols.oscp.session.clock import NS
from bessctl.protocols.oscp.session.compliance import Failure
from bessctl.protocols.oscp.session.evaluate import Limits
from bessctl.protocols.oscp.session.metering import METER, UnitSample
from bessctl.protocols.oscp.session.outbox import Kind
from tests.protocols.oscp.rig import PLANT, UNIT
from tests.protocols.oscp.sansio import CP, GROUP, Talk, body, quirky

T = CapacityForecastType
PATIENCE_NS = 5 * NS
FAILS = Failure(T.CONSUMPTION, "60 kW are consumed")


def told(talk: Talk, found: Failure | None, seconds: float = 0.0) -> list[Any]:
    """Judge each second; the errors that were sent."""
    sent = []
    for _ in range(int(seconds) + 1):
        talk.peer.compliance.judge("feeder-7", found, talk.now, PATIENCE_NS)
        sent += [(m.correlation_id, body(m)) for m in talk.drain() if m.kind == Kind.COMPLIANCE]
        talk.later(1)
    return sent


def forecast(talk: Talk, ident: str, capacity: float = 50_000) -> None:
    said = talk.forecast_body("CONSUMPTION", (capacity, 0, 900), (1, 900, 1800))
    assert talk.post("update_group_capacity_forecast", said, ident=ident) == 204


def test_what_is_not_met_is_told_once_for_each_forecast_and_silence_means_that_we_comply() -> None:
    """FR.04.01, FR.04.03, FR.04.04; 4.4.3: it names the forecast and the block."""
    talk = Talk(replace(CP, heartbeat_s=None)).online()
    forecast(talk, "one")
    assert told(talk, FAILS, 4) == [], "it must stand for a while"
    [(correlation, message)] = told(talk, FAILS, 30)
    assert correlation == "one"
    assert message["message"] == "group feeder-7, CONSUMPTION: 60 kW are consumed"
    assert [b["capacity"] for b in message["forecasted_blocks"]] == [50_000], "the block that is not met, not the next"
    forecast(talk, "two")
    assert [c for c, _ in told(talk, FAILS, 5)] == ["two"], "still not met: at once"
    forecast(talk, "three", 70_000)
    assert told(talk, None, 60) == [], "met again: nothing is sent"
    assert [c for c, _ in told(talk, FAILS, 10)] == ["three"]


def test_a_limit_that_is_crossed_again_and_again_is_not_told_each_time() -> None:
    talk = Talk(replace(CP, heartbeat_s=None)).online()
    forecast(talk, "one")
    sent = []
    for _ in range(6):
        sent += told(talk, FAILS, 7) + told(talk, None, 1)
    assert len(sent) == 1
    assert len(told(talk, FAILS, 60)) == 1


def test_without_a_forecast_there_is_nothing_to_complain_about() -> None:
    assert told(Talk(replace(CP, heartbeat_s=None)).online(), FAILS, 10) == []


def limits(consumption: float | None, generation: float | None) -> Limits:
    return Limits(consumption, generation, None, 0)


# (measured W at ess and pcc, scope, consumption, generation, why the plan was refused, type that fails); margin 1000 W, + is export
JUDGED: list[tuple[float | None, float | None, Scope, float | None, float | None, str, T | None]] = [
    (-50_000, 0, Scope.ESS, 50_000, 0, "", None),
    (-51_000, 0, Scope.ESS, 50_000, 0, "", None),
    (-51_001, 0, Scope.ESS, 50_000, 0, "", T.CONSUMPTION),
    (0, -51_001, Scope.ESS, 50_000, 0, "", None),
    (0, -51_001, Scope.PCC, 50_000, 0, "", T.CONSUMPTION),
    (0, 41_001, Scope.PCC, 50_000, 40_000, "", T.GENERATION),
    (0, 41_001, Scope.PCC, 50_000, None, "", None),
    (None, 0, Scope.ESS, 50_000, 0, "", T.CONSUMPTION),
    (0, None, Scope.PCC, None, 40_000, "", T.GENERATION),
    (0, 0, Scope.PCC, 50_000, 0, "no loop", T.CONSUMPTION),
]


@pytest.mark.parametrize(("ess_w", "pcc_w", "scope", "consumption", "generation", "refused", "kind"), JUDGED)
def test_what_counts_as_not_complying(  # noqa: PLR0917 - a row of the table
    ess_w: float | None,
    pcc_w: float | None,
    scope: Scope,
    consumption: float | None,
    generation: float | None,
    refused: str,
    kind: T | None,
) -> None:
    """FR.04.02, from the loop's own measurements; missing = not complied with."""
    plant = replace(PLANT, ess_w=ess_w, pcc_w=pcc_w)
    found = failure(plant, replace(GROUP, scope=scope), limits(consumption, generation), 1000.0, refused)
    assert (found.type if found else None) == kind


@pytest.mark.parametrize(
    ("unmet_w", "source", "kind"),
    [(30_000, "oscp", T.CONSUMPTION), (-30_000, "oscp", T.GENERATION), (30_000, "ems", None), (30_000, "", None), (900, "oscp", None)],
)
def test_a_plant_that_cannot_follow_is_told_before_its_meter_shows_it(unmet_w: float, source: str, kind: T | None) -> None:
    """FR.04.01: the loop says whose limit at the connection it cannot keep (R3)."""
    found = failure(replace(PLANT, unmet_w=unmet_w, unmet_source=source), GROUP, limits(50_000, 50_000), 1000.0, "")
    assert (found.type if found else None) == kind


def test_without_a_loop_nothing_is_known() -> None:
    assert failure(None, GROUP, limits(1, 1), 1000.0, "") is not None
    assert samples(None) == []


def test_samples_turn_the_sign_once() -> None:
    """Ours: + is discharge. OSCP's: + is consumption."""
    plant: PlantSnapshot = replace(PLANT, units=(replace(UNIT, ac_w=-5000.0, import_wh=7.0, export_wh=3.0),))
    [sample] = samples(plant)
    assert meter_sample(plant) is None
    assert meter_sample(replace(plant, meter=MeterSnapshot((), 9.0, 2.0))) == UnitSample(METER, 9.0, 2.0), "import is into the site"
    assert (sample.consumption_w, sample.import_wh, sample.export_wh, sample.stored_wh) == (5000.0, 7.0, 3.0, 200_000.0)


# --- AdjustGroupCapacityForecast ---

# (adjust, kind of peer, may it be asked?) row 16
MAY = [
    (Adjust.OFF, "other", False),
    (Adjust.ON, "other", True),
    (Adjust.ON, "ems", True),
    (Adjust.ON, "dso", False),
    (Adjust.ON, "tso", False),
    (Adjust.EXPLICIT, "dso", True),
    (Adjust.OFF, "dso", False),
]


def ask(talk: Talk, group: str = "feeder-7", kind: T = T.GENERATION, capacity_w: float = 5e4, online: bool = True) -> list[Any]:
    assert talk.now.utc_ns is not None
    wish = Wish(group, kind, capacity_w, talk.now.utc_ns, talk.now.utc_ns + 900 * NS)
    talk.peer.adjustments.ask(wish, talk.now, online=online, allowed_w=lambda _: 7.0)
    return [body(m) for m in talk.drain() if m.kind == Kind.ADJUST]


@pytest.mark.parametrize(("adjust", "kind", "may"), MAY)
def test_who_may_be_asked_for_capacity(adjust: Adjust, kind: str, may: bool) -> None:
    """2.3.1: a DSO or TSO does not distinguish between its customers."""
    talk = Talk(replace(CP, adjust=adjust, kind=kind)).online()
    if not may:
        with pytest.raises(Refused, match="not to be asked"):
            ask(talk)
        return
    [message] = ask(talk)
    assert (message["group_id"], message["type"]) == ("feeder-7", "GENERATION")
    assert [(b["capacity"], b["unit"], b["start_time"]) for b in message["forecasted_blocks"]] == [(-50_000, "W", talk.at(0))]


ASKED: PeerConfig = replace(CP, adjust=Adjust.ON)
# (how it is asked, words)
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"group": "nowhere"}, "gives no GENERATION for group"),
    ({"kind": T.OPTIMUM}, "gives no OPTIMUM"),
    ({"online": False}, "not online"),
    ({"capacity_w": -1.0}, "0 or above"),
]


@pytest.mark.parametrize(("how", "words"), REFUSED)
def test_a_wish_that_makes_no_sense_is_not_sent(how: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        ask(Talk(ASKED).online(), **how)


def test_asking_is_for_the_incidental_need() -> None:
    """4.4.2, note: sent often, the mechanism loses its power."""
    talk = Talk(replace(ASKED, heartbeat_s=None)).online()
    assert len(ask(talk)) == 1
    with pytest.raises(Refused, match="once in 15 minutes"):
        ask(talk.later(60))
    assert len(ask(talk.later(900))) == 1


def test_a_peer_that_knows_hours_alone_gets_twenty_four() -> None:
    """Row 28: the hours that the wish touches, the others as they are."""
    talk = Talk(replace(quirky(adjust_hours=True), adjust=Adjust.ON, heartbeat_s=None)).online()
    [message] = ask(talk.later(3000))
    values = [b["capacity"] for b in message["forecasted_blocks"]]
    assert values == [-50_000, -50_000] + [-7] * 22
    assert all(b["start_time"].endswith(":00:00.000Z") for b in message["forecasted_blocks"])
