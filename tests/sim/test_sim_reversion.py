"""704 reversion and the 715/802 watchdogs, in simulated time."""

from __future__ import annotations

import pytest

from tests.sim.plants import M704, M715, order, plant, read, remaining, words, write, wset_block

# ---- reversion -------------------------------------------------------------------------------------------------------------------


def test_one_write_arms_set_point_and_reversion() -> None:
    p = plant()
    order(p, 150_000, seconds=5)
    assert remaining(p) == 5
    p.step(4.9)
    assert p.get()["ess_w"] == pytest.approx(150_000, rel=1e-6)
    p.step(0.9)
    assert abs(p.get()["ess_w"]) < 1000
    assert remaining(p) == 0


def test_remaining_time_counts_down_in_whole_seconds() -> None:
    p = plant()
    order(p, 50_000, seconds=4)
    seen = []
    for _ in range(10):
        seen.append(remaining(p))
        p.step(0.5)
    assert seen == [4, 4, 3, 3, 2, 2, 1, 1, 0, 0]


# (what expires, WSetEna afterwards, WSet afterwards, power afterwards)
EXPIRY = [
    ({"rvrt_w": 0, "ena_rvrt": 1}, 1, 0, 0),
    ({"rvrt_w": 30_000, "ena_rvrt": 1}, 1, 30_000, 30_000),
    ({"rvrt_w": -20_000 & 0xFFFFFFFF, "ena_rvrt": 1}, 1, -20_000 & 0xFFFFFFFF, -20_000),
    ({"rvrt_w": 30_000, "ena_rvrt": 0}, 0, 30_000, 0),
    ({"rvrt_w": 0x80000000, "ena_rvrt": 1}, 1, 90_000, 90_000),  # reversion value not implemented: the set point stays
]


@pytest.mark.parametrize(("rvrt", "ena", "wset", "power"), EXPIRY)
def test_expiry_puts_the_reversion_values_in_force(rvrt: dict[str, int], ena: int, wset: int, power: float) -> None:
    p = plant()
    order(p, 90_000, seconds=2, **rvrt)
    p.step(5.0)
    block = read(p, 1, M704 + 22, 4)
    assert (block[0], block[2] << 16 | block[3]) == (ena, wset)
    assert p.get()["ess_w"] == pytest.approx(power, abs=1.0)


def test_a_set_point_sent_again_in_time_never_reverts() -> None:
    p = plant()
    for _ in range(30):
        order(p, 80_000, seconds=2)
        p.step(0.7)
    assert p.get()["ess_w"] == pytest.approx(80_000, rel=1e-6)
    assert [e for e in p.command_log() if e[2] == "reversion"] == []


@pytest.mark.parametrize(("rearm", "at_2_5_s"), [("enable", 0.0), ("any", 70_000.0)])
def test_writing_wset_alone_rearms_only_a_device_that_says_so(rearm: str, at_2_5_s: float) -> None:
    p = plant(pcs={"reversion_rearm": rearm})
    order(p, 60_000, seconds=2)
    p.step(1.0)
    write(p, 1, M704 + 24, *words(70_000))
    p.step(2.0 - 1e-3)
    assert p.get()["ess_w"] == pytest.approx(at_2_5_s, abs=10)


@pytest.mark.parametrize("stop", [{"seconds": 0}, {"ena": 0, "seconds": 5}])
def test_time_zero_or_disabling_stops_the_timer(stop: dict[str, int]) -> None:
    p = plant()
    order(p, 60_000, seconds=2)
    write(p, 1, M704 + 22, *wset_block(60_000, **stop))
    assert remaining(p) == 0
    p.step(6.0)
    assert [e for e in p.command_log() if e[2] == "reversion"] == []


def test_an_inexact_timer_expires_late() -> None:
    p = plant(pcs={"reversion_scale": 4 / 3})
    order(p, 60_000, seconds=6)
    p.step(7.9)
    assert p.get()["ess_w"] == pytest.approx(60_000, rel=1e-6)
    p.step(1.5)
    assert abs(p.get()["ess_w"]) < 100


def test_wmaxlimpct_limits_and_reverts() -> None:
    p = plant()
    order(p, 150_000)
    write(p, 1, M704 + 14, 1, 250, 1000, 0, *words(3))
    p.step(2.0)
    assert p.get()["ess_w"] == pytest.approx(50_000, rel=1e-6)
    assert p.get()["inv_state"] == 4  # THROTTLED
    p.step(3.0)
    assert p.get()["ess_w"] == pytest.approx(150_000, rel=1e-6)


# ---- 715 ControllerHb ------------------------------------------------------------------------------------------------------------


def beat(p: object, value: int) -> None:
    write(p, 1, M715 + 5, *words(value))  # type: ignore[arg-type]


def test_controller_heartbeat_standing_still_means_zero_watts() -> None:
    p = plant(pcs={"controller_timeout_s": 3})
    order(p, 100_000)
    for n in range(5):
        beat(p, n + 1)
        p.step(1.0)
    assert p.get()["ess_w"] == pytest.approx(100_000, rel=1e-3)
    for _ in range(5):
        beat(p, 5)  # the same value proves nothing
        p.step(1.0)
    assert abs(p.get()["ess_w"]) < 100
    assert p.get()["heartbeat_lost"]
    assert p.get()["alarms"] & 1 << 16
    beat(p, 6)
    p.step(1.5)
    assert p.get()["ess_w"] == pytest.approx(100_000, rel=1e-3)
    assert [e[2] for e in p.command_log() if "heartbeat" in e[2]] == ["heartbeat_lost", "heartbeat_back"]


def test_controller_heartbeat_can_mean_standby_that_only_an_order_leaves() -> None:
    p = plant(pcs={"controller_timeout_s": 2, "controller_timeout_action": "standby"})
    order(p, 100_000)
    beat(p, 1)
    p.step(4.0)
    assert p.get()["inv_state"] == 7
    beat(p, 2)
    p.step(2.0)
    assert p.get()["inv_state"] == 7
    write(p, 1, M715 + 8, 3)
    p.step(2.0)
    assert p.get()["ess_w"] == pytest.approx(100_000, rel=1e-3)


def test_a_heartbeat_never_written_is_not_supervised() -> None:
    p = plant(pcs={"controller_timeout_s": 2})
    order(p, 100_000)
    p.step(10.0)
    assert p.get()["ess_w"] == pytest.approx(100_000, rel=1e-3)


def test_device_heartbeats_count_at_1_hz() -> None:
    p = plant()
    seen = []
    for _ in range(6):
        seen.append((read(p, 1, M715 + 3, 2)[1], read(p, 2, 40070 + 18)[0]))
        p.step(0.5)
    assert seen == [(0, 0), (0, 0), (1, 1), (1, 1), (2, 2), (2, 2)]
