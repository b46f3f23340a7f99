"""All six kinds of watchdog: fed at a third of the time-out or oftener, by the loop's ticks alone, not while commands are unconfirmed."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bessctl.config.profiles import from_text
from tests.devices.bench import Bench, placed
from tests.devices.test_complaints import PLAIN, REVERTS, Plain

TIMEOUT_S = 6
BEAT_AT = 30


def dog(kind: str, field: str, more: str = "") -> str:
    return f"{{kind: {kind}, timeout_s: reversion{more}, writes: [{{register: {BEAT_AT}, fields: [{field}]}}]}}"


KINDS = {
    "timeout_rewritten": dog("timeout_rewritten", "{value: reversion}"),
    "countdown": dog("countdown", "{value: reversion, scale: 0.1}"),
    "counter": dog("counter", "{value: beat}", ", period_s: 1.0"),
    "keep_alive": dog("keep_alive", "{value: const, number: 0x5AA5}"),
    "keep_alive_toggled": dog("keep_alive", "{value: toggle, idle: 500, discharging: 600}"),
}


class Fed(Plain):
    """Notes when it was fed."""

    def build(self) -> None:
        super().build()
        self.holding[BEAT_AT] = 0
        self.fed: list[tuple[float, int]] = []

    def on_write(self, address: int, values: list[int]) -> None:
        super().on_write(address, values)
        if address == BEAT_AT:
            self.fed.append((self.now_s, values[0]))


def bench_of(kind: str, reversion: str = "") -> tuple[Bench, Fed]:
    text = PLAIN.replace("WEARS", "").replace(", REVERSION", f", {reversion}" if reversion else "").replace("DOG", kind)
    device = Fed()
    return Bench(placed(device, from_text(text).profile), reversion_s=TIMEOUT_S), device


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_fed_at_a_third_of_its_time_out(kind: str) -> None:
    bench, device = bench_of(KINDS[kind])
    with bench:
        bench.up().run(20.0)
        times = [at for at, _ in device.fed]
        assert len(times) > 9
        assert max(b - a for a, b in pairwise(times[1:])) <= TIMEOUT_S / 3 + 0.06
        values = [value for _, value in device.fed]
        if kind == "timeout_rewritten":
            assert set(values) == {6}
        elif kind == "countdown":
            assert set(values) == {60}
        elif kind == "counter":
            assert [b - a for a, b in pairwise(values)] == [1] * (len(values) - 1)
        elif kind == "keep_alive":
            assert set(values) == {0x5AA5}
        else:
            assert {500, 600} == set(values)
            assert all(a != b for a, b in pairwise(values))


def test_a_set_point_is_sent_again_at_a_third_of_its_reversion_time() -> None:
    bench, device = bench_of("{kind: resend, timeout_s: reversion}", REVERTS)
    with bench:
        bench.up().order(5000.0).run(1.0)
        before = device.changes
        bench.run(12.0)
        assert 5 <= device.changes - before <= 7
        assert device.left_s >= TIMEOUT_S * 2 / 3 - 0.1


def test_any_traffic_feeds_and_nothing_is_written_for_it() -> None:
    bench, device = bench_of("{kind: any_traffic, timeout_s: reversion}")
    with bench:
        bench.up()
        before = len(device.writes)
        for _ in range(100):
            bench.tick(1, ms=100)
            assert device.now_s - device.traffic_s <= TIMEOUT_S / 3
        assert len(device.writes) == before


@pytest.mark.parametrize("kind", ["counter", "timeout_rewritten"])
def test_a_pcs_whose_commands_are_unconfirmed_is_not_fed(kind: str) -> None:
    """R11: so that its own watchdog acts."""
    bench, device = bench_of(KINDS[kind])
    with bench:
        bench.up()
        device.deaf.add(10)
        bench.order(9000.0).run(4.0)
        assert bench.unit["unconfirmed"]
        fed = len(device.fed)
        bench.run(6.0)
        assert len(device.fed) == fed
