"""Signs, energies, SoC and orders, without a socket (PLV-1, PLV-5)."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessctl.errors import UsageError
from bessctl.model.snapshot import PlantSnapshot
from bessctl.plan.window import bms_pct, operational_pct, plant_soc_pct
from bessctl.protocols.mqtt.binding.clock import Clock
from bessctl.protocols.mqtt.binding.desk import Desk
from bessctl.protocols.mqtt.binding.measure import Instant, Missing, measured
from bessctl.protocols.mqtt.config import Asset, Commands, EnergyValue, Window
from bessctl.protocols.mqtt.messages.command import decode
from bessctl.protocols.mqtt.messages.measurement import Measurement, encode, timestamp
from bessctl.protocols.mqtt.session.cadence import Cadence
from bessctl.protocols.mqtt.session.orders import Ignored, Order, Orders
from tests.protocols.mqtt.harness import broker, config
from tests.protocols.ocpp.fakes import SNAPSHOT, UNIT, FakePlans, FakePlant

S = 1_000_000_000
NOON = 1_722_268_288_071_000_000  # 2024-07-29T15:51:28.071Z, the seed's
SECOND_UNIT = replace(UNIT, name="u2", soc_pct=75.0, capacity_wh=250_000.0, ac_w=-3000.0, import_wh=100.0, export_wh=300.0)
TWO = replace(SNAPSHOT, ess_w=4000.0, units=(replace(UNIT, soc_pct=60.0, import_wh=5000.0, export_wh=2000.0, ac_w=7000.0), SECOND_UNIT))


def take(
    snapshot: PlantSnapshot | None, energy: EnergyValue = EnergyValue.NET, unit: str | None = None, **now: Any
) -> Measurement | Missing:
    instant = Instant(**{"mono_ns": 0, "utc_ns": NOON, **now})
    return measured(snapshot, Asset("A", unit), Window(10, 90), energy, instant)


def test_the_seeds_example_comes_out_as_it_stands() -> None:
    """PLV-1: seed 004, to the letter."""
    m = Measurement("charger-A1", NOON, 1030404, 7000, 85.49)
    assert json.loads(encode(m)) == {
        "assetId": "charger-A1", "timestamp": "2024-07-29T15:51:28.071Z", "energyValue": 1030404, "powerValue": 7000,
        "currentStateOfCharge": 85.49,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("energy", "unit", "expected"),
    [
        # whole plant: charge 5100, discharge 2300; weighted SoC of (62.5 x 500 + 81.25 x 250) / 750
        (EnergyValue.NET, None, (2800.0, -4000.0, 68.75)),
        (EnergyValue.IMPORT, None, (5100.0, -4000.0, 68.75)),
        (EnergyValue.EXPORT, None, (2300.0, -4000.0, 68.75)),
        # one unit: its own flow and SoC
        (EnergyValue.NET, "u2", (-200.0, 3000.0, 81.25)),
    ],
)
def test_charging_is_positive_on_the_wire_and_energy_has_its_slope(energy: EnergyValue, unit: str | None, expected: Any) -> None:
    m = take(TWO, energy, unit)
    assert isinstance(m, Measurement)
    assert (m.energy_wh, m.charging_w, m.soc_pct) == pytest.approx(expected)


def test_the_timestamp_is_that_of_the_state_not_of_the_message() -> None:
    m = take(replace(TWO, now_ns=7 * S), mono_ns=9 * S)
    assert isinstance(m, Measurement)
    assert timestamp(m.utc_ns) == "2024-07-29T15:51:26.071Z"


@pytest.mark.parametrize(
    ("snapshot", "now", "why"),
    [
        (None, {}, "no loop is attached"),
        (TWO, {"mono_ns": 11 * S}, "11 s old"),
        (TWO, {"utc_ns": None}, "wall clock is not trusted"),
        (replace(TWO, ess_w=None), {}, "power is not measured"),
        (replace(TWO, units=()), {}, "has no unit"),
    ],
)
def test_what_cannot_be_measured_is_not_made_up(snapshot: PlantSnapshot | None, now: Any, why: str) -> None:
    m = take(snapshot, **now)
    assert isinstance(m, Missing)
    assert why in m.why


def test_soc_is_null_only_while_it_is_stale_and_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """PLV-1: one warning when it begins, a word when it is over; never a made-up value."""
    caplog.set_level(logging.INFO, "test.mqtt")
    plant, one = FakePlant(), broker(1)
    desk = Desk(config(one), plant, lambda _: FakePlans(), _Fixed(), logging.getLogger("test.mqtt"))

    def soc() -> Any:
        return json.loads(desk.measure(one)[0][1])["currentStateOfCharge"]

    assert soc() == 56.25
    plant.set(units=(replace(UNIT, soc_pct=None),))
    assert [soc(), soc()] == [None, None]
    assert caplog.text.count("its SoC is stale and sent as null") == 1
    plant.set(units=(UNIT,))
    assert soc() == 56.25
    assert caplog.text.count("measured again") == 1


class _Fixed(Clock):
    def mono_ns(self) -> int:
        return 0

    def utc_ns(self) -> int | None:
        return NOON


@given(st.floats(0, 40), st.floats(60, 100), st.floats(0, 100))
def test_the_window_turns_both_ways(lo: float, hi: float, operational: float) -> None:
    """PLV-5: one place, exact both ways, clamped beyond the edges."""
    assert operational_pct(bms_pct(operational, lo, hi), lo, hi) == pytest.approx(operational, abs=1e-9)
    assert operational_pct(lo - 1, lo, hi) == 0.0
    assert operational_pct(hi + 1, lo, hi) == 100.0


def test_a_missing_soc_of_one_unit_is_a_missing_soc_of_the_plant() -> None:
    assert plant_soc_pct((UNIT, replace(SECOND_UNIT, soc_pct=None)), 0, 100) is None
    assert plant_soc_pct((), 0, 100) is None


def test_measurements_are_taken_once_on_each_point_of_the_grid() -> None:
    cadence = Cadence(60.0)
    assert [cadence.due(s * S) for s in (100, 101, 119, 120, 121, 180, 179)] == [True, False, False, True, False, True, True]
    assert cadence.wait_ns(100 * S) == 20 * S


def order(**changes: Any) -> bytes:
    return json.dumps({"timestamp": timestamp(NOON), "powerValue": 5000, "ttl": 60} | changes).encode()


@pytest.mark.parametrize(
    ("payload", "retained", "utc_ns", "why"),
    [
        (order(), True, NOON, "retained"),
        (order(), False, None, "wall clock is not trusted"),
        (order(), False, NOON + 31 * S, "expired: 31 s old"),
        (order(ttl=10), False, NOON + 10 * S, "expired: 10 s old"),
        (order(), False, NOON - 6 * S, "ahead of our clock"),
        (order(ttl=901), False, NOON, "ttl 901 s"),
        (order(ttl=0), False, NOON, "ttl 0 s"),
        (order(powerValue="5"), False, NOON, "powerValue must be a finite number"),
        (order(powerValue=True), False, NOON, "powerValue must be a finite number"),
        (order(timestamp="2024-07-29T15:51:28"), False, NOON, "timestamp must be ISO 8601 with a zone"),
        (order(timestamp=7), False, NOON, "timestamp must be"),
        (order(more=1), False, NOON, "exactly powerValue, timestamp, ttl"),
        (b"[]", False, NOON, "exactly"),
        (b"{", False, NOON, "no JSON"),
        (b" " * 2000, False, NOON, "at most 1024 bytes"),
    ],
)
def test_what_is_no_order_is_ignored_with_its_reason(payload: bytes, retained: bool, utc_ns: int | None, why: str) -> None:
    outcome = Orders(Commands("t")).judge(payload, retained, utc_ns)
    assert isinstance(outcome, Ignored)
    assert why in outcome.why


def test_an_orders_time_counts_from_its_sender_so_that_a_duplicate_changes_nothing() -> None:
    orders = Orders(Commands("t"))
    assert orders.judge(order(), False, NOON) == Order(5000.0, 60.0)
    assert orders.judge(order(), False, NOON + 20 * S) == Order(5000.0, 40.0)
    older = orders.judge(order(timestamp=timestamp(NOON - S)), False, NOON)
    assert older == Ignored("a newer command came before it")


@given(st.binary(max_size=200))
def test_whatever_comes_in_is_an_order_or_a_reason(payload: bytes) -> None:
    with suppress(UsageError):
        assert decode(payload)
