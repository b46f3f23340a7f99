"""Writes what a device's profile was compiled to into the flat tables: reads, points, checks, factors, writes and their fields.

Rows of one device and program stand side by side, in their order; the loop finds them by that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bessctl.config import estimate
from bessctl.config.buses import Device
from bessctl.corelink.seal import number
from bessctl.devices.plan import DevicePlan, Factor, Field, Point, Read, Write

Placed = tuple[int, int, Device, DevicePlan]
"""Index and place of a device, its entry in the site, its plan."""

PROGRAMS = ("prepare", "setpoint", "var", "beat", "run", "standby", "stop", "open", "close", "limits", "shed")


def ns(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * 1e9)


def counted(plans: Iterable[DevicePlan]) -> dict[str, int]:
    """How much of each table the plans need."""
    plans = list(plans)
    points = [point for plan in plans for read in plan.reads for point in read.points]
    writes = [write for plan in plans for write in plan.writes]
    return {
        "reads": sum(len(plan.reads) for plan in plans),
        "points": len(points),
        "maps": sum(len(point.codes) for point in points),
        "checks": sum(len(plan.checks) for plan in plans),
        "factors": sum(len(plan.factors) for plan in plans),
        "writes": len(writes),
        "fields": sum(len(write.fields) for write in writes),
    }


def pace(c: Any, i: int, plan: DevicePlan, reversion_s: float) -> None:
    """What a device's profile says about times, budgets and proof."""
    third = reversion_s / 3
    resend_s = {"never": 0.0, "reversion": third}[plan.resend] if isinstance(plan.resend, str) else plan.resend
    c["dev_count_w"][i], c["dev_count_var"][i] = plan.count_w, plan.count_var
    c["dev_resend_ns"][i] = ns(resend_s)
    c["dev_beat_ns"][i] = ns(third if isinstance(plan.beat_s, str) else plan.beat_s)
    c["dev_order_repeat_ns"][i] = ns(plan.order_repeat_s)
    c["dev_order_timeout_ns"][i] = ns(plan.order_timeout_s)
    c["dev_start_tries"][i] = plan.start_tries
    c["dev_confirm_ack"][i] = plan.confirm_ack
    c["dev_check_function"][i] = plan.check_function
    if plan.wear is not None:
        c["dev_nv_interval_ns"][i] = ns(plan.wear.interval_s)
        c["dev_nv_burst"][i] = plan.wear.burst
        c["dev_nv_step_w"][i] = plan.wear.step_w


def device_plans(c: Any, placed: list[Placed]) -> None:
    """All tables of all devices."""
    first_factor = 0
    for index, place, device, plan in placed:
        for factor in plan.factors:
            _factor(c, int(c["n_factors"]), index, factor)
            c["n_factors"] += 1
        for read in plan.reads:
            _read(c, int(c["n_reads"]), index, device, read)
            for point in read.points:
                _point(c, place, point, first_factor)
                c["n_points"] += 1
            c["n_reads"] += 1
        for address, value in plan.checks:
            at = int(c["n_checks"])
            c["check_device"][at], c["check_addr"][at], c["check_value"][at] = index, address, value
            c["n_checks"] += 1
        for write in sorted(plan.writes, key=lambda write: PROGRAMS.index(write.program)):
            _write(c, int(c["n_writes"]), index, write, first_factor)
            c["n_writes"] += 1
        first_factor += len(plan.factors)


def _read(c: Any, at: int, index: int, device: Device, read: Read) -> None:
    c["read_device"][at] = index
    c["read_addr"][at] = read.address
    c["read_count"][at] = read.count
    c["read_function"][at] = read.function
    c["read_period_ns"][at] = ns(estimate.period_s(device, read.pace))


def _point(c: Any, place: int, point: Point, first_factor: int) -> None:
    at = int(c["n_points"])
    c["point_read"][at] = c["n_reads"]
    c["point_offset"][at] = point.offset
    c["point_sf_offset"][at] = -1 if point.sf_offset is None else point.sf_offset
    c["point_scale"][at] = point.scale
    c["point_add"][at] = point.add
    c["point_place"][at] = place
    c["point_quantity"][at] = number("Q", point.quantity)
    c["point_type"][at] = number("PT", point.kind)
    c["point_low_first"][at] = point.low_first
    c["point_absent"][at] = number("ABSENT", point.absent if isinstance(point.absent, str) else "value")
    c["point_absent_bits"][at] = 0 if isinstance(point.absent, str) else point.absent
    c["point_mask"][at] = point.mask
    c["point_factor"][at] = 0 if point.factor is None else 1 + first_factor + point.factor
    if point.sign is not None:
        c["point_sign_offset"][at], c["point_sign_mask"][at] = point.sign
    first = int(c["n_maps"])
    c["point_map_first"][at], c["point_map_count"][at] = first, len(point.codes)
    for k, (code, value) in enumerate(point.codes):
        c["map_code"][first + k], c["map_value"][first + k] = code, value
    c["n_maps"] += len(point.codes)


def _factor(c: Any, at: int, index: int, factor: Factor) -> None:
    c["factor_device"][at] = index
    c["factor_addr"][at] = factor.address
    c["factor_type"][at] = number("PT", factor.kind)
    c["factor_function"][at] = factor.function
    c["factor_low_first"][at] = factor.low_first
    c["factor_absent"][at] = number("ABSENT", factor.absent)
    c["factor_scale"][at] = factor.scale
    c["factor_least"][at], c["factor_most"][at] = factor.least, factor.most
    c["factor_of_setpoint"][at] = 1 if factor.of_setpoint else 2 if factor.of_var else 0


def _write(c: Any, at: int, index: int, write: Write, first_factor: int) -> None:
    c["write_device"][at] = index
    c["write_program"][at] = number("PR", write.program)
    c["write_addr"][at] = write.address
    c["write_count"][at] = write.count
    c["write_back"][at] = write.back or write.count
    c["write_function"][at] = write.function
    c["write_read_function"][at] = write.read_function
    c["write_when"][at] = write.when
    c["write_flags"][at] = number("WF", "once") * write.once | number("WF", "verify") * write.verify
    c["write_field"][at], c["write_fields"][at] = c["n_fields"], len(write.fields)
    for field in write.fields:
        _field(c, int(c["n_fields"]), field, first_factor)
        c["n_fields"] += 1


def _field(c: Any, at: int, field: Field, first_factor: int) -> None:
    c["field_offset"][at] = field.offset
    c["field_source"][at] = number("SRC", field.source)
    c["field_type"][at] = number("PT", field.kind)
    c["field_low_first"][at] = field.low_first
    c["field_scale"][at] = field.scale
    c["field_charge"][at], c["field_idle"][at], c["field_discharge"][at] = field.charge, field.idle, field.discharge
    c["field_quantity"][at] = number("Q", field.quantity)
    c["field_factor"][at] = 0 if field.factor is None else 1 + first_factor + field.factor
