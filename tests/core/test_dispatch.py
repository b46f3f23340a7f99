"""From the plant's power to counts in each unit's register: split by what each may give, rounded toward 0, looked at once more (R1)."""

from __future__ import annotations

import math

import pytest

from bessctl_core import layout as L
from tests.core.rig import Q, Rig, Slot, config

UP = L.DeviceState.DEV_UP
MOST = 2**31 - 1


def rig(scales: list[float], *, rating_w: float = 200e3) -> Rig:
    array = config(len(scales), slots=(Slot(),), ramp_w_per_s=1e30, reversal_dead_ns=0)
    for name in ("unit_w_dis_max", "unit_w_cha_max", "unit_va_max"):
        array[0][name][: len(scales)] = rating_w
    array[0]["unit_vdc_min_v"][: len(scales)] = 1e30
    r = Rig(array)
    for unit, scale in enumerate(scales):
        r.h.set_devices(unit, UP, UP, scale)
    return r.run()


@pytest.mark.parametrize("scale", [5e-324, 1e-320])
def test_a_scale_that_leaves_no_number_of_counts_commands_nothing(scale: float) -> None:
    """A scale factor misread as next to nothing: more counts than there are numbers."""
    assert commanded(rig([scale]), 100e3) == ([0], [0.0])


def commanded(r: Rig, target_w: float) -> tuple[list[int], list[float]]:
    r.offer(0, {"target_w": target_w})
    r.tick(2)
    units = r.units
    return list(r.h.out["cmd_raw"][:units]), list(r.h.out["cmd_w"][:units])


AWKWARD = [1.0, 10.0, 100.0, 1e3, 0.1, 0.01, 0.001, 1 / 3, 7.0, 0.3, math.pi, 123.456, 2.0**-10, 1e-4]
TARGETS = [1.0, 0.05, 99.99, 100.0, 1e3 / 3, 59_999.999, 60e3, 150e3, 199_999.9, 200e3, 0.3, 33.3]


@pytest.mark.parametrize("scale", AWKWARD)
@pytest.mark.parametrize("sign", [1, -1])
def test_counts_round_toward_zero_for_any_scale(scale: float, sign: int) -> None:
    r = rig([scale])
    for target in TARGETS:
        (raw,), (w,) = commanded(r, sign * target)
        assert raw * sign >= 0
        assert w == raw * scale
        assert abs(w) <= target
        assert (abs(raw) + 1) * scale > target * (1 - 1e-12), "and not one count more than needed is lost"


@pytest.mark.parametrize("units", [1, 2, 3, 5, 16])
def test_whole_counts_of_whole_watts_are_not_lost_by_the_split(units: int) -> None:
    """60 kW on a register of kilowatts is 60, not 59 for the last bit of a quotient."""
    r = rig([1e3] * units)
    for kilowatts in range(1, 201, 7):
        raw, _ = commanded(r, kilowatts * 1e3 * units)
        assert raw == [kilowatts] * units


@pytest.mark.parametrize(
    ("target", "scale", "raw"),
    [
        (3e9, 1.0, MOST),
        (-3e9, 1.0, -MOST),
        (2.0**31, 1.0, MOST),
        (2.0**31 - 1, 1.0, MOST),
        (-(2.0**31), 1.0, -MOST),  # 0x80000000 is the value that says: not implemented
        (1e5, 1e-30, MOST),
        (-1e5, 5e-324, 0),  # more counts than a double can hold is no number of counts
    ],
)
def test_counts_stay_within_int32_and_off_its_sentinel(target: float, scale: float, raw: int) -> None:
    r = rig([scale], rating_w=1e12)
    assert commanded(r, target)[0] == [raw]


@pytest.mark.parametrize("units", range(1, 17))
@pytest.mark.parametrize("share", [1.0, 0.77, 1 / 3, 1e-3])
@pytest.mark.parametrize("sign", [1, -1])
def test_units_share_by_what_each_may_give(units: int, share: float, sign: int) -> None:
    """CARD-1: none beyond its own interval, the sum not beyond the target, all in one direction."""
    r = rig([1.0, 0.1, 7.0, 1e3, 0.01, 1 / 3][: min(units, 6)] + [1.0] * max(0, units - 6))
    for unit in range(units):
        r.set(Q.Q_W_MAX_DIS, 200e3 / (unit + 1), place=unit)
        r.set(Q.Q_W_MAX_CHA, 100e3 / (unit + 1), place=unit)
    r.tick()
    limits = [(200e3 if sign > 0 else 100e3) / (unit + 1) for unit in range(units)]
    target = sign * share * sum(limits)
    _, watts = commanded(r, target)
    assert all(w * sign >= 0 and abs(w) <= limit for w, limit in zip(watts, limits, strict=True))
    assert abs(sum(watts)) <= abs(target) + 1e-6
    lost = [abs(share * limit * sign - w) for w, limit in zip(watts, limits, strict=True)]
    assert all(loss <= scale * (1 + 1e-9) for loss, scale in zip(lost, [1.0, 0.1, 7.0, 1e3, 0.01, 1 / 3] + [1.0] * 16, strict=False))


def test_a_unit_that_may_give_nothing_gets_0_and_the_others_carry_on() -> None:
    r = rig([1.0] * 3)
    r.set(Q.Q_BMS_DIS_MAX_A, 0.0, place=1)
    assert commanded(r, 300e3)[0] == [150_000, 0, 150_000]
    assert commanded(r, 900e3)[0] == [200_000, 0, 200_000]
    assert commanded(r, -300e3)[0] == [-100_000] * 3
