"""What owners of other systems complained about, each with the device that did it. The drivers are the loop's own, time is invented."""

from __future__ import annotations

from math import isnan

import pytest

from bessctl.config.profiles import from_text
from bessctl.devices.profile import Profile
from bessctl_core import layout as L
from tests.devices.bench import EV, Bench, Placed, placed
from tests.devices.simulated import DEVICE_FAILURE, SimulatedDevice, SmaSunnyIsland, signed

PLAIN = """
profile: plain
description: a PCS with one register for power, one for its reversion time and one that counts it down
kind: pcs
references: [{title: made up, where: this test}]
points:
  - {quantity: pcs_state, register: 0, type: uint16}
  - {quantity: ac_w, register: 1, type: int16, scale: 10}
commands:
  setpoint:
    count_w: 10
    WEARS
    writes:
      - register: 10
        fields: [{name: power, value: setpoint, type: int16}, REVERSION]
  watchdog: DOG
  start: {timeout_s: 5, tries: 3, repeat_s: 1}
  run: [{register: 20, when: ["off", standby], fields: [{value: const, number: 1}]}]
  stop: [{register: 20, when: [running, unknown], fields: [{value: const, number: 0}]}]
"""
REVERTS = "{name: reversion, value: reversion}, {name: left, value: remains}"


def profile(*, wears: str = "", reversion: str = REVERTS, dog: str = "{kind: resend, timeout_s: reversion}") -> Profile:
    text = PLAIN.replace("WEARS", wears).replace(", REVERSION", f", {reversion}" if reversion else "").replace("DOG", dog)
    return from_text(text).profile


class Plain(SimulatedDevice):
    """Power in 10 W, its reversion timer in seconds; 0 of it = it never reverts."""

    def build(self) -> None:
        self.holding |= {0: 7, 1: 0, 10: 0, 11: 0, 12: 0, 20: 0, 40: 5}
        self.left_s = 0.0
        self.changes = 0

    def behave(self, dt_s: float) -> None:
        if self.holding[11]:
            self.left_s = max(0.0, self.left_s - dt_s)
            self.holding[12] = -int(-self.left_s // 1)
            if self.left_s == 0:
                self.holding[10] = 0
        self.holding[0] = 3 if self.holding[20] and self.starts else 7
        self.w = signed(self.holding[10]) * 10 if self.holding[0] == 3 else 0
        self.holding[1] = int(self.w / 10) & 0xFFFF

    def on_write(self, address: int, values: list[int]) -> None:
        self.changes += address == 10
        if address == 10 and len(values) > 1:
            self.left_s = float(self.holding[11])
        self.behave(0)


def plain(**how: str) -> Placed:
    return placed(Plain(), profile(**how))


def test_an_inverter_stuck_at_its_last_value_when_tcp_broke() -> None:
    """The reversion timer goes with the set point in one request: the device is at 0 by itself, and as ordered again when it is back."""
    what = plain()
    with Bench(what) as bench:
        bench.up().order(20_000.0).run(2.0)
        assert what.device.w == 20_000
        what.device.quiet = True
        bench.run(8.0)
        assert what.device.w == 0
        assert bench.unit["pcs_state"] == L.DeviceState.DEV_DOWN
        what.device.quiet = False
        bench.run(8.0)
        assert what.device.w == 20_000


def test_a_command_that_failed_once_and_was_never_repeated() -> None:
    """A set point refused by exception 4 for a while, and a start that the device ignored: both are given again until they stand."""
    what = plain()
    what.device.refuse[20] = DEVICE_FAILURE
    with Bench(what) as bench:
        bench.order(0.0).run(3.0)
        assert bench.order(5000.0).run(1.0).value("ac_w") == 0
        what.device.refuse = {10: DEVICE_FAILURE}
        bench.order(8000.0).run(1.0)
        assert not bench.h.setpoint(0)["held"]
        what.device.refuse.clear()
        bench.run(2.0)
        assert what.device.w == 8000


def test_a_set_point_that_is_acknowledged_and_not_kept_is_written_again_and_told() -> None:
    """R11: the acknowledgement proves nothing; without a read-back that matches the unit is unconfirmed."""
    what = plain(reversion="", dog="{kind: keep_alive, timeout_s: 6, writes: [{register: 12, fields: [{value: const, number: 0xA5}]}]}")
    with Bench(what) as bench:
        bench.up()
        what.device.deaf.add(10)
        before = what.device.changes
        bench.order(9000.0).run(6.0)
        assert what.device.changes - before >= 4
        assert bench.unit["unconfirmed"]
        assert EV.EV_UNCONFIRMED in bench.codes()
        what.device.deaf.clear()
        bench.run(3.0)
        assert what.device.w == 9000
        assert not bench.unit["unconfirmed"]


def test_a_reversion_timer_left_by_another_tool_is_found_told_and_owned() -> None:
    what = plain()
    what.device.holding |= {10: 300, 11: 3600, 12: 3500}
    what.device.left_s = 3500.0
    with Bench(what) as bench:
        bench.up()
        (event,) = bench.events(EV.EV_REVERSION_FOREIGN)
        assert (event["value"], event["limit"], event["slot"]) == (3600.0, 6.0, -1)
        assert what.device.holding[11] == 6
        assert what.device.holding[10] == 0


def test_our_own_timer_found_at_a_reconnect_is_nobody_elses() -> None:
    what = plain()
    with Bench(what) as bench:
        bench.up().order(4000.0).run(1.0)
        what.device.hang_up()
        bench.run(3.0)
        assert bench.events(EV.EV_REVERSION_FOREIGN) == []
        assert what.device.w == 4000


def test_somebody_elses_set_point_is_asserted_again_at_most_three_times_then_we_stand_by() -> None:
    """R11: 0 W and standby until the operator starts or resets at the machine."""
    what = plain()
    with Bench(what) as bench:
        bench.up().order(4000.0).run(2.0)
        for _ in range(5):
            what.device.holding[10] = 700
            bench.run(2.5)
        assert len(bench.events(EV.EV_SETPOINT_FOREIGN)) >= 4
        assert bench.h.setpoint(0)["yielded"]
        assert bench.run(2.0).value("ac_w") == 0
        bench.h.release()
        bench.run(3.0)
        assert what.device.w == 4000


WEARS = "wears: {writes_per_day: 1440, burst: 3, step_w: 500}"
BEAT = "{kind: counter, timeout_s: 6, period_s: 1, writes: [{register: 12, fields: [{value: beat}]}]}"


def worn() -> Placed:
    return plain(wears=WEARS, reversion="", dog=BEAT)


def test_flash_is_not_worn_out_by_set_point_writes() -> None:
    """1440 writes a day = one a minute: ten minutes of a set point that moves each second cost eleven writes upward at most, here each with
    one fall behind it, instead of 600; what stands there is never more than what was commanded."""
    what = worn()
    with Bench(what) as bench:
        bench.up()
        before = what.device.changes
        for second in range(600):
            wanted = 20_000.0 + 10_000.0 * (second % 7) / 7
            bench.order(wanted).tick(1, ms=1000)
            assert what.device.w <= wanted
        assert what.device.changes - before <= 22
        assert bench.h.counters()["flags"] & L.Flag.FLAG_SETPOINT_HELD
        held = bench.events(EV.EV_SETPOINT_HELD)
        assert held
        assert (held[0]["detail"], held[0]["slot"]) == (1, -1)


def test_a_worn_set_point_still_falls_at_once() -> None:
    """Protection does not wait for a budget: with no grant left power falls in tenths of the rating, and to 0 at any time."""
    what = worn()
    with Bench(what, va=20_000.0) as bench:
        bench.up().run(65.0)  # one grant
        bench.order(18_000.0).run(1.0)
        assert what.device.w == 18_000
        bench.order(11_500.0).run(1.0)
        assert what.device.w == 10_000
        bench.order(0.0).run(1.0)
        assert what.device.w == 0
        bench.order(15_000.0).run(1.0)
        assert what.device.w == 0
        assert bench.run(65.0).value("ac_w") == 15_000


def test_what_wears_and_stands_already_is_not_written_again_after_a_reconnect() -> None:
    what = worn()
    with Bench(what) as bench:
        bench.up().run(65.0).order(6000.0).run(2.0)
        before = what.device.changes
        what.device.hang_up()
        bench.run(5.0)
        assert bench.h.setpoint(0)["held"]
        assert what.device.changes == before


def test_an_order_that_is_not_obeyed_in_time_is_told_and_late_starts_are_bounded() -> None:
    """Start and stop with a time-out: three late starts, then standby until the operator starts at the machine."""
    what = plain()
    what.device.starts = False
    with Bench(what) as bench:
        bench.order(0.0).run(25.0)
        late = bench.events(EV.EV_ORDER_LATE)
        assert [event["detail"] for event in late[:3]] == [1, 1, 1]
        assert len(bench.events(EV.EV_START_GIVEN_UP)) == 1
        what.device.starts = True
        what.device.holding[20] = 0
        assert bench.run(5.0).value("pcs_state") == 7
        bench.h.release()
        assert bench.run(3.0).value("pcs_state") == 3


def test_a_setting_of_another_tool_is_told_and_owned_and_a_device_that_keeps_its_own_is_refused() -> None:
    text = PLAIN.replace("WEARS", "").replace(", REVERSION", f", {REVERTS}").replace("DOG", "{kind: resend, timeout_s: reversion}")
    owned = from_text(
        text.replace("commands:\n", "commands:\n  prepare: [{register: 40, fields: [{value: const, number: 5}]}]\n", 1)
    ).profile
    device = Plain()
    device.holding[40] = 9
    with Bench(placed(device, owned)) as bench:
        bench.run(1.0)
        (event,) = bench.events(EV.EV_SETTING_FOREIGN)
        assert (event["detail"], event["value"], event["limit"]) == (40, 9.0, 5.0)
    stubborn = Plain()
    stubborn.holding[40] = 9
    stubborn.deaf.add(40)
    with Bench(placed(stubborn, owned)) as bench:
        bench.run(3.0)
        assert bench.unit["pcs_state"] == L.DeviceState.DEV_REFUSED
        (refused,) = bench.events(EV.EV_DEVICE_REFUSED)
        assert (refused["detail"], refused["value"], refused["limit"]) == (40, 9.0, 5.0)
        assert stubborn.written(10) == []


def test_a_temperature_check_on_a_key_that_was_never_read() -> None:
    """A value that no device brings is no value: it is NaN with an infinite age, never 0; and so is one the device stops giving (R5)."""
    what = placed(SmaSunnyIsland(), "sma-sunny-island", battery=True)
    with Bench(what) as bench:
        bench.up()
        value, age = bench.h.value(0, L.Quantity.Q_CELL_TEMP_MIN_C)
        assert isnan(value)
        assert age == float("inf")
        assert bench.value("cell_temp_max_c") == -2.5
        what.device.put(what.device.input, 30849, 0x80000000, 2)
        assert isnan(bench.run(0.5).value("cell_temp_max_c"))


def test_a_warm_start_says_nothing_until_the_first_data() -> None:
    what = plain()
    with Bench(what) as bench:
        bench.h.be_silent(True)
        bench.order(0.0).run(3.0)
        assert what.device.writes == []
        assert bench.value("pcs_state") == 7


@pytest.mark.parametrize("register", [0, 1])
def test_registers_that_are_refused_age_and_never_lie(register: int) -> None:
    """An exception reply is an answer; what it refused stays old (R4)."""
    what = plain()
    with Bench(what) as bench:
        bench.up()
        del what.device.holding[register]
        what.device.behave = lambda dt_s: None  # type: ignore[method-assign]
        bench.run(3.0)
        assert bench.h.value(0, L.Quantity.Q_AC_W)[1] > 2.5
