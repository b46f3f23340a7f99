"""The demo's story in invented time, the step alone: a transaction, a limit, a warming cell, a trip, its reset, a silent supervisor.

Read it from top to bottom: it is one afternoon of one plant.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, Q, Rig, Row, S, Slot, config

B, E, M = L.BindKind, L.EventCode, L.Mode

WARM = Row(
    Q.Q_CELL_TEMP_MAX_C, 45, 44, action=L.Action.ACT_DERATE, tier=L.Tier.TIER_DERATE, curve=((45.0, 1.0), (55.0, 0.1)), max_age_s=2.0
)
HOT = Row(
    Q.Q_CELL_TEMP_MAX_C, 58, 50, action=L.Action.ACT_STANDBY, pickup_s=0.05, dropoff_s=1.0, reset=L.ResetRule.RESET_ANY, max_age_s=2.0
)  # fmt: skip
STATION = Slot(klass=L.SlotClass.CLASS_MARKET, priority=2, scopes=1)
SITE = Slot(klass=L.SlotClass.CLASS_CONTRACT, priority=9, required=True, default={"ess_lo_w": -190e3, "ess_hi_w": 190e3})


class Station:
    """What the OCPP binding does: writes its plan anew, with a lease of one second, while its server is alive."""

    def __init__(self, r: Rig) -> None:
        self.r = r
        self.serial = 0
        self.target_w = 0.0
        self.limit_w: float | None = None

    def write(self) -> None:
        self.serial += 1
        block = {"target_w": self.target_w} | ({} if self.limit_w is None else {"ess_hi_w": self.limit_w})
        self.r.offer(0, block, fallback=({"ess_hi_w": 20e3},), lease_until_ns=self.r.now_ns + S, serial=self.serial)

    def seconds(self, seconds: float) -> None:
        """Time passes, the plan is renewed ten times a second."""
        for _ in range(round(seconds * 10)):
            self.write()
            self.r.tick(10)


@pytest.fixture
def station() -> Iterator[Station]:
    r = Rig(config(rows=(WARM, HOT), slots=(STATION, SITE), ramp_w_per_s=500e3)).run()
    yield Station(r)
    assert not r.state["internal"], "R1 never fired"
    assert r.state["slot_fault"][0] == L.PlanFault.PLAN_OK


def begins(station: Station, watts: float = 150e3) -> None:
    """RemoteStart on connector 1."""
    station.target_w = watts
    station.seconds(1)
    assert station.r.power_w == watts


def warms(station: Station, *degrees: float) -> None:
    for celsius in degrees:
        station.r.set(Q.Q_CELL_TEMP_MAX_C, celsius)
        station.seconds(0.2)


def test_a_remote_start_moves_the_pcs_in_the_next_tick_and_ramps_to_150_kw(station: Station) -> None:
    station.target_w = 150e3
    station.write()
    station.r.tick()
    assert station.r.power_w == 5e3
    station.r.tick(29)
    assert station.r.power_w == 150e3
    assert station.r.state["target_slot"] == 0


def test_a_charging_profile_limits_to_60_kw_at_once_and_says_who(station: Station) -> None:
    """OCPP-9: the limit is the source's own, and the published state names it."""
    begins(station)
    station.limit_w = 60e3
    station.write()
    station.r.tick()
    assert station.r.power_w == 60e3
    assert station.r.side("hi") == (60e3, B.BIND_SLOT, 0)
    (clamped,) = station.r.events(E.EV_TARGET_CLAMPED)
    assert (clamped["value"], clamped["limit"], clamped["detail"], clamped["slot"]) == (150e3, 60e3, B.BIND_SLOT, 0)


def test_a_warming_cell_derates_then_trips_and_a_reset_waits_for_the_cold_and_for_the_disk(station: Station) -> None:
    """CARD-1, OCPP-9: the whole of the demo's third act."""
    r = station.r
    begins(station)
    powers = []
    for celsius in (44, 47, 50, 53, 55, 57.9):
        warms(station, celsius)
        powers.append(round(r.power_w))
    assert powers == pytest.approx([150e3, 150e3, 110e3, 56e3, 20e3, 20e3], abs=1)
    assert r.side("hi")[1:] == (B.BIND_ROW, 0)
    assert not r.events(E.EV_ROW_LATCHED)

    r.set(Q.Q_CELL_TEMP_MAX_C, 58.5)
    station.write()
    hot_since = r.now_ns
    while r.state["mode"] == M.MODE_RUN:
        r.tick()
    assert r.now_ns - hot_since == 6 * PERIOD_NS, "seen in one tick, active after its 50 ms, commanded in that tick"
    assert (r.power_w, r.h.out["cmd_run"][0], r.state["mode"]) == (0, 2, M.MODE_TRIPPED)
    assert (r.side("hi"), r.state["row_latched"][1]) == ((0, B.BIND_ROW, 1), 1)

    # Reset while hot: refused, whoever asks.
    for local in (False, True):
        r.h.command(1, L.CommandCode.CMD_RESET, local=local)
        station.seconds(0.1)
    assert [event["row"] for event in r.events(E.EV_COMMAND_REFUSED)] == [1, 1]

    # It cools down. The transaction goes on asking for 150 kW, and gets nothing.
    warms(station, 55, 50, 40)
    station.seconds(2)
    assert (r.state["row_active"][1], r.state["row_latched"][1], r.power_w) == (0, 1, 0)

    # Reset: acknowledged when the disk holds it, not before.
    r.remote(L.CommandCode.CMD_RESET, 2)
    station.seconds(0.5)
    assert (r.state["mode"], r.events(E.EV_COMMAND_DONE)) == (M.MODE_TRIPPED, [])
    r.disk()
    r.tick()
    assert [event["value"] for event in r.events(E.EV_COMMAND_DONE)] == [2]
    assert r.state["mode"] == M.MODE_ACQUIRE
    station.seconds(1)
    assert (r.state["mode"], r.power_w) == (M.MODE_RUN, 150e3)


def test_the_supervisor_stops_and_the_plant_falls_to_its_fallback_within_a_tick_of_the_lease(station: Station) -> None:
    """CARD-1: SIGSTOP or SIGKILL of everything that writes plans; the loop needs nobody."""
    r = station.r
    begins(station)
    station.write()
    lease_until_ns = r.now_ns + S
    r.tick(1, 7_000_000)  # the lease need not end on a tick
    while r.power_w == 150e3:
        r.tick()
    assert 0 <= r.now_ns - lease_until_ns < PERIOD_NS
    assert (r.power_w, r.state["hi_w"], r.state["target_slot"]) == (0, 20e3, -1)
    assert r.side("hi")[1:] == (B.BIND_FALLBACK, 0)
    r.tick(1000)
    assert r.power_w == 0
    assert len(r.events(E.EV_PLAN_LAPSED)) == 1

    # It comes back and resumes the transaction.
    station.seconds(1)
    assert r.power_w == 150e3


def test_a_limit_that_fell_with_the_lease_does_not_rise_by_a_restart_of_its_writer(station: Station) -> None:
    """R7: a starting binding replaces its slot; what it says first is what counts."""
    r = station.r
    station.limit_w = 60e3
    begins(station, 60e3)
    r.tick(150)
    assert (r.power_w, r.state["hi_w"]) == (0, 20e3)
    station.serial = 0
    station.target_w, station.limit_w = 30e3, 30e3
    station.seconds(0.5)
    assert (r.power_w, r.state["hi_w"]) == (30e3, 30e3)


def test_a_remote_stop_ends_the_power_at_once(station: Station) -> None:
    begins(station)
    station.target_w = 0.0
    station.write()
    station.r.tick()
    assert station.r.power_w == 0
