"""What takes power away goes before all that waits on its bus (ADR 0062, PROT-3, CARD-1)."""

from __future__ import annotations

from bessctl.config.profiles import from_text
from tests.devices.bench import Bench, placed
from tests.devices.simulated import WRITE_MANY
from tests.devices.test_complaints import PLAIN, REVERTS, Plain

POWER, BEAT = 10, 40
DOG = "{kind: keep_alive, timeout_s: 6, period_s: 0.1, writes: [{register: 40, fields: [{value: const, number: 1}]}]}"


class Held:
    """A PCS that runs at 20 kW, and a bus on which one question waits for its answer and a heartbeat behind it."""

    def __init__(self, bench: Bench, device: Plain) -> None:
        self.bench, self.device = bench, device
        bench.up().order(20_000.0).run(2.0)
        assert device.w == 20_000
        self.hold()

    def hold(self) -> None:
        """A read is left without its answer; then a heartbeat is due."""
        self.device.quiet, self.device.still = True, frozenset({WRITE_MANY})
        self.bench.tick(5)
        self.device.writes.clear()

    def comes_first(self, w: float) -> list[int]:
        """The power is ordered, the answer is lost: the addresses written, in their order."""
        self.bench.order(w).tick(1)
        self.device.quiet = False
        self.bench.tick(3)
        return [address for _, address, _ in self.device.writes]


def bench_of(device: Plain, text: str = PLAIN) -> Bench:
    text = text.replace("WEARS", "").replace(", REVERSION", f", {REVERTS}").replace("DOG", DOG)
    return Bench(placed(device, from_text(text).profile))


def test_zero_goes_before_a_heartbeat_that_waits() -> None:
    device = Plain()
    with bench_of(device) as bench:
        assert Held(bench, device).comes_first(0.0)[:2] == [POWER, BEAT]
        assert device.w == 0


def test_so_does_less_and_the_other_way() -> None:
    for w in (10_000.0, -5_000.0):
        device = Plain()
        with bench_of(device) as bench:
            assert Held(bench, device).comes_first(w)[:2] == [POWER, BEAT], w


def test_more_waits_for_its_turn() -> None:
    device = Plain()
    with bench_of(device) as bench:
        assert Held(bench, device).comes_first(30_000.0)[:2] == [BEAT, POWER]


def test_a_ramp_down_hurries_once_a_second_and_zero_always() -> None:
    device = Plain()
    with bench_of(device) as bench:
        held = Held(bench, device)
        assert held.comes_first(18_000.0)[:2] == [POWER, BEAT]
        held.hold()
        assert held.comes_first(16_000.0)[:2] == [BEAT, POWER]
        held.hold()
        assert held.comes_first(0.0)[:2] == [POWER, BEAT]


def test_a_set_point_that_waited_as_more_goes_first_when_it_becomes_zero() -> None:
    device = Plain()
    with bench_of(device) as bench:
        held = Held(bench, device)
        bench.order(30_000.0).tick(1)
        assert held.comes_first(0.0)[:2] == [POWER, BEAT]
        assert next(values[0] for _, address, values in device.writes if address == POWER) == 0, "and never the old value before it"
