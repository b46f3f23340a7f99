"""All six kinds of watchdog: fed at a third of the time-out or oftener, by the loop's ticks alone, not while commands are unconfirmed."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bessctl.config.profiles import from_text
from tests.devices.bench import EV, Bench, placed
from tests.devices.simulated import DEVICE_FAILURE
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


# --- what the device does -----------------------------------------------------------------------------------------------------------------


class Watching(Fed):
    """A PCS that stops by itself when its watchdog of this kind is not fed for TIMEOUT_S; what feeds it, each maker says otherwise."""

    kind = ""

    def build(self) -> None:
        super().build()
        self.last: int | None = None
        self.count_s = 0.0
        self.stopped_s: list[float] = []

    def feeds(self, address: int, values: list[int]) -> float:
        """For how long this write keeps it going."""
        if self.kind == "resend":
            return TIMEOUT_S if address == 10 else 0
        if address != BEAT_AT:
            return 0
        value, last, self.last = values[0], self.last, values[0]
        moved = TIMEOUT_S if value != last else 0
        return {
            "timeout_rewritten": float(value), "countdown": value / 10, "counter": moved,
            "keep_alive": TIMEOUT_S if value == 0x5AA5 else 0, "keep_alive_toggled": moved if value in {500, 600} else 0,
        }.get(self.kind, 0)  # fmt: skip

    def on_write(self, address: int, values: list[int]) -> None:
        super().on_write(address, values)
        self.count_s = max(self.count_s, self.feeds(address, values))

    def behave(self, dt_s: float) -> None:
        if self.kind == "any_traffic" and self.traffic_s >= self.now_s - dt_s:
            self.count_s = TIMEOUT_S
        running, self.count_s = self.count_s > 0, self.count_s - dt_s
        if running and self.count_s <= 0:
            self.holding[10] = 0
            self.stopped_s.append(self.now_s)
        super().behave(dt_s)
        # What is written afterwards stands in its register; power it gives once it is fed.
        self.w = self.w if self.count_s > 0 else 0


DOGS = KINDS | {kind: f"{{kind: {kind}, timeout_s: reversion}}" for kind in ("resend", "any_traffic")}


def profile_of(kind: str) -> str:
    reversion = "{name: spare, value: const, number: 0}"
    return PLAIN.replace("WEARS", "").replace(", REVERSION", f", {reversion}").replace("DOG", DOGS[kind])


def watched(kind: str) -> tuple[Bench, Watching]:
    """It runs at 5 kW, and has for three time-outs."""
    device = Watching()
    device.kind = kind
    bench = Bench(placed(device, from_text(profile_of(kind)).profile), reversion_s=TIMEOUT_S)
    bench.up().order(5000.0).run(3 * TIMEOUT_S)
    assert device.w == 5000, "fed, it runs on"
    return bench, device


@pytest.mark.parametrize("kind", DOGS)
def test_a_pcs_of_each_kind_stops_by_itself_when_the_loop_is_gone(kind: str) -> None:
    """R11: within its time-out, and not before two thirds of it are over: a lost beat is no stop."""
    bench, device = watched(kind)
    with bench:
        gone_s = device.now_s
        for _ in range(round(1.5 * TIMEOUT_S / 0.05)):
            device.advance(0.05)
        assert device.w == 0
        assert TIMEOUT_S * 2 / 3 - 0.2 <= device.stopped_s[0] - gone_s <= TIMEOUT_S + 0.1


@pytest.mark.parametrize("kind", DOGS)
def test_a_pcs_of_each_kind_is_not_fed_while_its_commands_are_unconfirmed(kind: str) -> None:
    """R11: so that its own watchdog acts. What any traffic feeds proves nothing: our reads go on, and it is told that nothing holds it."""
    bench, device = watched(kind)
    with bench:
        device.refuse[10] = DEVICE_FAILURE
        bench.order(9000.0).run(4.0)
        assert bench.unit["unconfirmed"]
        assert len(bench.events(EV.EV_UNCONFIRMED)) == 1
        fed = len(device.fed)
        bench.run(TIMEOUT_S)
        assert device.w == (5000 if kind == "any_traffic" else 0)
        stopped_s = device.stopped_s[0] if device.stopped_s else device.now_s
        assert [at for at, _ in device.fed[fed:] if at < stopped_s] == [], "not before it rests (ADR 65)"
        del device.refuse[10]
        bench.run(4.0)
        assert (device.w, bench.unit["unconfirmed"]) == (9000, False), "and goes on where it can be commanded again"
        assert len(device.fed) > fed or kind in {"resend", "any_traffic"}


# --- a PCS that holds 0 W until it is fed -------------------------------------------------------------------------------------------------


class Resting(Watching):
    """Once its watchdog has acted it holds 0 W, whatever it is told, until it is fed again; some then refuse what they are told."""

    refuses = False
    most = 0x7FFF
    """Of its set point: more is cut to it."""

    def behave(self, dt_s: float) -> None:
        if self.count_s <= dt_s and self.kind != "resend":
            self.holding[10] = 0
            self.refuse = {10: DEVICE_FAILURE} if self.refuses else {}
        else:
            self.refuse = {}
        self.holding[10] = min(self.holding[10], self.most)
        super().behave(dt_s)


FEEDABLE = [kind for kind in DOGS if kind not in {"resend", "any_traffic"}]


def back_from_silence(kind: str, **how: object) -> tuple[Bench, Resting]:
    """It ran at 5 kW, was out of reach for longer than its watchdog waits, and answers again; 5 kW are still asked of it."""
    device = Resting()
    device.kind = kind
    for name, value in how.items():
        setattr(device, name, value)
    bench = Bench(placed(device, from_text(profile_of(kind)).profile), reversion_s=TIMEOUT_S)
    bench.up().order(5000.0).run(3.0)
    assert device.w == min(5000, device.most * 10)
    device.quiet = True
    bench.run(2.0 * TIMEOUT_S)
    assert (device.w, device.holding[10]) == (0, 0)
    device.quiet = False
    return bench, device


@pytest.mark.parametrize("refuses", [False, True], ids=["takes nothing", "refuses"])
@pytest.mark.parametrize("kind", FEEDABLE)
def test_R11_a_pcs_that_holds_0_w_until_it_is_fed_comes_back(kind: str, *, refuses: bool) -> None:
    """The scenario: its line was cut for longer than its watchdog waits.

    It confirms nothing but 0 W, and what is not confirmed is not fed.
    """
    bench, device = back_from_silence(kind, refuses=refuses)
    with bench:
        bench.run(8.0)
        assert (device.w, bench.unit["unconfirmed"]) == (5000, False)


def test_R11_one_that_then_does_as_it_likes_is_not_fed_again() -> None:
    """It holds 3 kW where 5 kW are asked of it: fed at rest once, then left to its watchdog for good, and never up and down again."""
    bench, device = back_from_silence("keep_alive", most=300)
    with bench:
        bench.run(4.0)
        fed = len(device.fed)
        bench.run(2 * TIMEOUT_S)
        assert (device.w, bench.unit["unconfirmed"], len(device.fed)) == (0, True, fed)
        bench.order(2000.0).run(1.0)
        assert len(device.fed) == fed
        bench.h.release()
        bench.run(4.0)
        assert (device.w, bench.unit["unconfirmed"]) == (2000, False), "the operator's word tries it once more"


def test_R11_one_that_gives_power_and_confirms_none_of_it_is_not_fed() -> None:
    """Deaf at 5 kW, and 0 W is asked of it: what it holds is more than that, so its own watchdog ends it."""
    bench, device = watched("keep_alive")
    with bench:
        device.deaf = {10}
        bench.order(0.0).run(3.0)
        assert bench.unit["unconfirmed"]
        fed = len(device.fed)
        bench.run(TIMEOUT_S)
        assert device.w == 0
        assert [at for at, _ in device.fed[fed:] if at < device.stopped_s[0]] == []
