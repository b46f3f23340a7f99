"""Each shipped vendor profile drives a device that was written from the maker's facts and never saw the profile (CARD-1)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bessctl.config import probe, profiles
from bessctl.devices.address import Address
from bessctl.devices.discovery import FoundDevice, FoundModel
from bessctl_core import layout as L
from tests.devices.bench import EV, Bench, Placed, placed
from tests.devices.simulated import (
    WRITE_MANY,
    WRITE_ONE,
    KacoGridsave,
    RackBms,
    Served,
    SinexcelPws,
    SmaSunnyIsland,
    SungrowSh,
    SunSpecStorage,
)

KACO = (
    FoundModel(1, 40002, 66),
    FoundModel(121, 40070, 30, ("WMax",)),
    FoundModel(64201, 40102, 52, known=False),
    FoundModel(64202, 40156, 14, known=False),
)


def sungrow() -> Placed:
    return placed(SungrowSh(), "sungrow-sh", battery=True)


def sma() -> Placed:
    return placed(SmaSunnyIsland(), "sma-sunny-island", battery=True)


def sinexcel() -> Placed:
    return placed(SinexcelPws(), "sinexcel-pws")


def kaco() -> Placed:
    return placed(KacoGridsave(), "kaco-gridsave", FoundDevice("", 1, 40000, "KACO", "gridsave", "", "", (), KACO))


def sunspec_103() -> Placed:
    """Found by the SunSpec scan itself, over its socket."""
    device, profile = SunSpecStorage(), profiles.load("sunspec-103").profile
    with Served(device):
        found = probe.discover(profile, Address("127.0.0.1", device.port), 1)
    device.hang_up()
    return placed(device, profile, found)


PCS = [sungrow, sma, sinexcel, kaco, sunspec_103]
OWN_CONTROL = [sungrow, sunspec_103]
"""Those that go back to their own control without us, not to 0 W."""
STEP_W = {"sungrow-sh": 1, "sma-sunny-island": 1, "sinexcel-pws": 100, "kaco-gridsave": 92, "sunspec-103": 1}


@pytest.mark.parametrize("make", PCS)
def test_a_pcs_is_verified_started_driven_both_ways_and_confirmed(make: Callable[[], Placed]) -> None:
    """R11: power goes where it is ordered, within one count toward 0, and is proved by read-back."""
    what = make()
    with Bench(what) as bench:
        bench.up()
        assert bench.unit["pcs_state"] == L.DeviceState.DEV_UP
        for wanted in (5000.0, -4000.0, 0.0):
            bench.order(wanted).run(2.0)
            step = STEP_W[what.profile.profile]
            assert abs(what.device.w) <= abs(wanted)
            assert abs(what.device.w - wanted) < step
            assert bench.value("ac_w") == pytest.approx(what.device.w, abs=10)
            assert bench.h.setpoint(0)["held"]
        assert not bench.unit["unconfirmed"]
        assert EV.EV_UNCONFIRMED not in bench.codes()


@pytest.mark.parametrize("make", [make for make in PCS if make not in OWN_CONTROL])
def test_a_pcs_goes_to_zero_by_itself_when_the_loop_is_gone_and_not_before(make: Callable[[], Placed]) -> None:
    """R11: its watchdog is fed by the loop's ticks alone: it stands for as long as we run, and acts when we do not."""
    what = make()
    with Bench(what) as bench:
        bench.up().order(5000.0).run(30.0)
        assert what.device.w > 4900
        for _ in range(200):
            what.device.advance(0.05)
        assert what.device.w == 0


@pytest.mark.parametrize("make", PCS)
def test_what_a_pcs_does_without_us_is_what_its_profile_says(make: Callable[[], Placed]) -> None:
    """R11: self-consumption is not 0 W; a site with such a PCS has to say why that is safe (tests/config/test_contradictions.py)."""
    what = make()
    with Bench(what) as bench:
        bench.up().order(5000.0).run(10.0)
        for _ in range(200):
            what.device.advance(0.05)
        assert what.device.w == getattr(what.device, "HOUSE_W", 0)
    dog = what.profile.commands.watchdog
    assert dog is not None
    assert (dog.falls_to == "own_control") == (make in OWN_CONTROL) == hasattr(what.device, "HOUSE_W")


@pytest.mark.parametrize("make", PCS)
def test_everything_is_asserted_again_after_a_reconnect(make: Callable[[], Placed]) -> None:
    """A hold set once and lost after a Modbus outage: the device restarts with nothing, and stands again as ordered."""
    what = make()
    with Bench(what) as bench:
        bench.up().order(-6000.0).run(2.0)
        power = what.device.w
        assert power < -5000
        what.device.hang_up()
        what.device.holding.clear()
        what.device.build()
        bench.run(1.0)
        assert bench.order(-6000.0).run(8.0).unit["pcs_state"] == L.DeviceState.DEV_UP
        assert what.device.w == power
        assert bench.h.setpoint(0)["held"]


def test_sungrow_takes_power_before_command_low_word_first_and_one_session() -> None:
    """Magnitude and command in a fixed sequence, FC04 for measurements, a countdown fed at a third, gaps not read beyond 20."""
    what = sungrow()
    with Bench(what) as bench:
        bench.up()
        before = len(what.device.writes)
        bench.order(3000.0).run(1.0)
        mine = [(address, values) for _, address, values in what.device.writes[before:] if address in {13050, 13051}]
        assert mine == [(13051, [3000]), (13050, [0xBB])]
        assert [5000 <= address < 5600 for function, address, _ in what.device.reads if function == 4].count(True) > 0
        beats = what.device.written(SungrowSh.HEARTBEAT)
        assert set(map(tuple, beats)) == {(6,)}
        assert what.device.written(SungrowSh.MODE) == [[3]]
        assert what.device.sessions_refused == 0


def test_a_change_of_direction_passes_zero_where_direction_and_power_are_apart() -> None:
    """Never the old magnitude in the new direction."""
    what = sungrow()
    with Bench(what) as bench:
        bench.up().order(3000.0).run(1.0)
        before = len(what.device.writes)
        bench.order(-2000.0).run(1.0)
        mine = [(address, values[0]) for _, address, values in what.device.writes[before:] if address in {13050, 13051}]
        assert mine == [(13051, 0), (13050, 0xCC), (13051, 2000), (13050, 0xAA)]


def test_the_sign_of_a_battery_comes_from_a_status_bit() -> None:
    what = sungrow()
    with Bench(what) as bench:
        bench.up().order(-5000.0).run(2.0)
        assert bench.value("dc_w") == -5000
        assert bench.value("pack_a") < 0
        bench.order(5000.0).run(2.0)
        assert bench.value("dc_w") == 5000


def test_sma_takes_power_and_activation_in_one_request_and_again_at_a_third() -> None:
    what = sma()
    with Bench(what) as bench:
        bench.up().order(-3000.0).run(1.0)
        assert what.device.writes[-1] == (WRITE_MANY, 40149, [0xFFFF, 0xF448, 0, 802])
        before = len(what.device.writes)
        bench.run(6.0)
        assert 3 <= len(what.device.writes) - before <= 4  # every 2 s of 6


def test_sinexcel_is_written_by_single_registers_and_mirrors_the_battery() -> None:
    """FC06 only; what the BMS allows stands in the PCS as a second layer, and 0 A when the BMS falls silent."""
    what, bms = sinexcel(), placed(RackBms(), "bms-rack")
    with Bench(what, bms) as bench:
        bench.up()
        assert {function for function, _, _ in what.device.writes} == {WRITE_ONE}
        assert (what.device.holding[811], what.device.holding[812]) == (1200, 1500)
        bms.device.holding[0x2160] = 805
        bench.run(2.5)
        assert what.device.holding[811] == 805
        bms.device.quiet = True
        bench.run(4.0)
        assert (what.device.holding[811], what.device.holding[812]) == (0, 0)


def test_kaco_scales_by_a_rating_read_at_connect_and_activates_limits_behind_them() -> None:
    """% of a rating that must be read first: 92 kW x 0.1 %; EnLimit follows each change of a limit."""
    what, bms = kaco(), placed(RackBms(), "bms-rack")
    with Bench(what, bms) as bench:
        bench.up()
        assert bench.unit["count_w"] == pytest.approx(92.0)
        assert what.device.holding[KacoGridsave.M64202 + 9] == 1500
        enabled = len(what.device.written(KacoGridsave.M64202 + 15))
        bms.device.holding[0x2160] = 700
        bench.run(2.5)
        assert what.device.holding[KacoGridsave.M64202 + 12] == 700
        assert len(what.device.written(KacoGridsave.M64202 + 15)) == enabled + 1
        beats = what.device.written(KacoGridsave.M64201 + 8)
        assert beats
        assert set(map(tuple, beats)) == {(6,)}


def test_an_inverter_of_the_100_series_is_found_rated_and_driven_by_124() -> None:
    """103 measures, 120 rates, 123 connects, 124 holds power between two limits of opposite sign, with its reversion time in one FC16."""
    what = sunspec_103()
    rated = what.found.find(120)
    assert rated is not None
    assert {name: rated.ratings[name] for name in ("WRtg", "VARtg", "MaxChaRte", "MaxDisChaRte")} == {
        "WRtg": 10000, "VARtg": 10000, "MaxChaRte": 10000, "MaxDisChaRte": 10000,
    }  # fmt: skip
    m124, m123 = SunSpecStorage.M124, SunSpecStorage.M123
    with Bench(what) as bench:
        bench.up()
        assert bench.unit["count_w"] == pytest.approx(1.0)
        assert what.device.written(m123 + 4) == [[1]]
        before = len(what.device.writes)
        bench.order(-3000.0).run(1.0)
        assert (WRITE_MANY, m124 + 12, [0xF448, 3000, 0, 6]) in what.device.writes[before:]
        assert what.device.holding[m124 + 5] == 3
        assert (bench.value("ac_w"), bench.value("dc_w"), bench.value("pcs_temp_c")) == (-3000, -3000, 41.2)
        assert (bench.value("ac_v"), bench.value("ac_hz"), bench.value("dc_v")) == (231.0, 50.01, 750.0)
        bench.order(0.0, run=0).run(6.0)
        assert what.device.holding[m123 + 4] == 0
        assert bench.value("pcs_state") == 0


def test_a_rating_out_of_its_range_refuses_the_device() -> None:
    what = kaco()
    what.device.holding[KacoGridsave.M121 + 22] = 0x8000  # its scale factor is not there
    with Bench(what) as bench:
        bench.run(2.0)
        assert bench.unit["pcs_state"] == L.DeviceState.DEV_REFUSED
        assert what.device.writes == []


def test_the_battery_is_read_and_its_contactor_obeys() -> None:
    what, bms = sinexcel(), placed(RackBms(), "bms-rack")
    with Bench(what, bms) as bench:
        bench.up()
        assert bench.value("cell_v_max") == pytest.approx(3.321)
        assert bench.value("pack_a") == pytest.approx(-20.0)
        assert bench.value("bms_state") == 3
        bench.h.order(0, run=0, open=True)
        bench.run(3.0)
        assert bms.device.holding[0x2010] == 0
        assert bench.value("bms_state") == 1


@pytest.mark.parametrize(("stated", "order"), [("low_first", None), ("high_first", "high_first")])
def test_word_order_is_an_option_of_the_user_where_the_profile_leaves_it_open(stated: str, order: str | None) -> None:
    """Some SH speak high word first behind a gateway: the site says so."""
    what = placed(SungrowSh(), "sungrow-sh", word_order=order)
    plan = what.plan()
    (ac,) = [p for r in plan.reads for p in r.points if p.quantity == "ac_w"]
    assert ac.low_first == (stated == "low_first")
    what.device.close()


def test_reads_keep_to_the_profiles_limits() -> None:
    """At most max_read registers, no gap longer than allowed, each point whole in one request."""
    for what in (*(make() for make in PCS), placed(RackBms(), "bms-rack")):
        bus = what.profile.bus
        for request in what.plan().reads:
            assert 1 <= request.count <= bus.max_read
            if what.profile.map == "registers":
                assert min(point.offset for point in request.points) == 0 or any(point.sign for point in request.points)
        what.device.close()
