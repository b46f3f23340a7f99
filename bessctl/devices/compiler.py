"""Compiles a profile, what discovery found and the device's role into what the loop reads, decodes, verifies and writes. Pure.

Every address is frozen here: at each connect the loop verifies the checks and refuses a device that is not the one that was sealed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from bessctl.devices.curves import curve_checks, curves_of, maps_of
from bessctl.devices.discovery import FoundDevice, FoundModel
from bessctl.devices.plan import REGISTERS, STATES, DevicePlan, Factor, Field, Pace, Point, Read, Wear, Write, states
from bessctl.devices.profile import At, FactorRule, FieldRule, PointRule, Profile, ReadRule, Space, WriteRule
from bessctl.devices.service import service_checks, service_of

FUNCTIONS: dict[Space, int] = {"holding": 3, "input": 4}
SERIAL_OFFSET = 50
"""Of SN in SunSpec's common model 1."""


@dataclass(frozen=True, slots=True)
class Role:
    """What a device is in the plant, with the options of its configuration that change the plan."""

    kind: str
    battery: bool = False
    """A PCS that answers for its battery."""
    dc_positive: str = "discharge"
    meter_positive: str = "import"
    check_serial: bool = True
    word_order: str | None = None
    reactive: Literal["", "active", "reactive"] = ""
    """Sources may ask this PCS for reactive power, and which power goes first; empty = not a register of it is written."""


@dataclass(frozen=True, slots=True)
class Place:
    """What turns an At into an address: the models found, or nothing where registers are stated."""

    found: FoundDevice | None

    def model(self, at: At) -> FoundModel | None:
        """The model it stands in."""
        return None if self.found is None else self.found.find(*at.models())

    def address(self, at: At) -> int | None:
        """On the wire; None = this device has it not."""
        if at.register_ is not None:
            return at.register_
        model = self.model(at)
        return None if model is None else model.address + (at.offset or 0)

    def has(self, name: str) -> bool:
        """Is a SunSpec point implemented?"""
        return self.found is not None and any(name in model.present for model in self.found.models)


class Compiler:
    """One profile on one device in one role."""

    def __init__(self, profile: Profile, role: Role, found: FoundDevice, battery: Profile | None) -> None:
        self.profile, self.role, self.found = profile, role, found
        self.battery = battery if role.battery else None
        self.place = Place(found)
        self.low_first = (role.word_order or profile.word_order) == "low_first"
        inverter = profile.map == "sunspec" and profile.kind == "pcs"
        self.curves = tuple(curves_of(found)) if inverter else ()
        self.service = service_of(found) if inverter else None
        idle = set() if role.reactive or profile.commands.var is None else set(profile.commands.var.factors)
        self.factors = {name: rule for name, rule in profile.factors.items() if self.place.address(rule) is not None and name not in idle}

    def plan(self) -> DevicePlan:
        """All of it."""
        third: float | Literal["reversion"]
        points = self.chosen()
        commands, setpoint, dog = self.profile.commands, self.profile.commands.setpoint, self.profile.commands.watchdog
        wears = None if setpoint is None or setpoint.wears is None else setpoint.wears
        measured = {point.quantity for point in points}
        third = "reversion" if dog is None or isinstance(dog.timeout_s, str) else dog.period_s or dog.timeout_s / 3
        return DevicePlan(
            reads=tuple(self.reads(points)),
            checks=tuple(self.checks(points)),
            check_function=FUNCTIONS[self.profile.bus.read] if self.profile.map == "registers" else 3,
            writes=tuple(self.writes()),
            factors=tuple(self.factor(name, rule) for name, rule in self.factors.items()),
            heartbeat=self.profile.heartbeat if self.profile.heartbeat in measured and self.profile.heartbeat else "",
            count_w=1.0 if setpoint is None else setpoint.count_w,
            resend=third if dog is not None and dog.kind == "resend" else "never",
            count_var=1.0 if commands.var is None else commands.var.count_var,
            curves=self.curves,
            beat_s=1.0 if dog is None else dog.period_s or third,
            order_repeat_s=commands.start.repeat_s,
            order_timeout_s=commands.start.timeout_s,
            start_tries=commands.start.tries,
            wear=None if wears is None else Wear(86400 / wears.writes_per_day, wears.burst, wears.step_w),
            confirm_ack=setpoint is not None and setpoint.confirm == "acknowledged",
            min_gap_s=self.profile.bus.min_gap_ms / 1000,
            reconnect_s=self.profile.bus.reconnect_s,
        )

    # --- points and reads

    def candidates(self) -> Iterable[PointRule]:
        """In order of preference. The battery speaks for itself where it can; the PCS's word about it comes after."""
        yield from (point for point in self.profile.points if not point.battery)
        if self.battery is not None:
            yield from self.battery.points
        if self.role.battery:
            yield from (point for point in self.profile.points if point.battery)

    def chosen(self) -> tuple[PointRule, ...]:
        """For each quantity the first candidate that the device implements."""
        taken: dict[str, PointRule] = {}
        for point in self.candidates():
            model = self.place.model(point)
            if point.register_ is not None or (model is not None and (point.name in model.present or not model.known)):
                taken.setdefault(point.quantity, point)
        missing = set(self.found.missing)
        return tuple(point for quantity, point in taken.items() if quantity not in missing)

    def reads(self, points: tuple[PointRule, ...]) -> Iterator[Read]:
        """SunSpec: the requests the profile states. Registers: neighbours together, as far as gaps and lengths allow."""
        if self.profile.map == "registers":
            yield from self.merged(points)
            return
        for rule in (*self.profile.reads, *(self.battery.reads if self.battery else ())):
            model = self.place.model(rule)
            mine = [point for point in points if model is not None and self.place.model(point) is model]
            if model is not None and mine:
                first = rule.offset or 0
                count = min(rule.count, model.length + 2 - first)
                address = model.address + first
                yield Read(address, count, rule.pace, tuple(self.point(point, address) for point in mine), 3)

    def merged(self, points: tuple[PointRule, ...]) -> Iterator[Read]:
        """Reads of as many points as fit."""
        bus = self.profile.bus
        groups: dict[tuple[str, int], list[PointRule]] = {}
        for point in points:
            groups.setdefault((point.pace, FUNCTIONS[point.space or bus.read]), []).append(point)
        for (_, function), group in sorted(groups.items()):
            for block in blocks(sorted(group, key=lambda point: span(point)[0]), bus.gap, bus.max_read):
                first, last = span(block[0])[0], max(span(point)[1] for point in block)
                decoded = tuple(self.point(point, first) for point in block)
                yield Read(first, last - first, block[0].pace, decoded, function)

    def point(self, rule: PointRule, first: int) -> Point:
        """One value in the read that begins at `first`."""
        address, model = self.place.address(rule), self.place.model(rule)
        assert address is not None
        turned = (rule.turn == "dc" and self.role.dc_positive == "charge") or (
            rule.turn == "meter" and self.role.meter_positive == "import"
        )
        sign = None
        if rule.sign is not None:
            sign_at = self.place.address(rule.sign)
            assert sign_at is not None
            sign = sign_at - first, rule.sign.mask
        return Point(
            rule.quantity,
            address - first,
            rule.type,
            -rule.scale if turned else rule.scale,
            rule.add,
            None if rule.sf is None or model is None else model.address + rule.sf - first,
            None if rule.factor is None else list(self.factors).index(rule.factor),
            self.order(rule.word_order),
            rule.absent,
            rule.mask,
            sign,
            tuple((code, float(STATES.index(value)) if isinstance(value, str) else value) for code, value in rule.codes.items()),
        )

    def order(self, stated: str | None) -> bool:
        """Low word first? What a point states for itself stands against the device's order and the site's option."""
        return self.low_first if stated is None else stated == "low_first"

    def factor(self, name: str, rule: FactorRule) -> Factor:
        """One factor."""
        address, setpoint = self.place.address(rule), self.profile.commands.setpoint
        assert address is not None
        var = self.profile.commands.var
        return Factor(
            address,
            rule.type,
            rule.scale,
            rule.least,
            rule.most,
            of_setpoint=setpoint is not None and name in setpoint.factors,
            of_var=var is not None and name in var.factors,
            function=FUNCTIONS[rule.space or self.profile.bus.read],
            low_first=self.order(rule.word_order),
            absent=rule.absent,
        )

    # --- checks

    def checks(self, points: tuple[PointRule, ...]) -> Iterator[tuple[int, int]]:
        """Model ids, lengths and the serial number; where registers are stated, what discovery read of the identity."""
        if self.profile.map == "registers":
            yield from self.found.checks if self.role.check_serial else ()
            return
        written = [rule for _, _, rules in self.profile.programs() for rule in rules]
        used = {1, *(model.id for rule in (*points, *written) if (model := self.place.model(rule)) is not None)}
        used |= {entry.model for entry in maps_of(self.curves)} | {model.id for model in (self.service,) if model is not None}
        for model in self.found.models:
            if model.id in used and self.found.find(model.id) is model:
                yield model.address, model.id
                yield model.address + 1, model.length
        common = self.found.find(1)
        if self.role.check_serial and common is not None:
            for index, register in enumerate(self.found.serial_registers):
                yield common.address + SERIAL_OFFSET + index, register
                if register == 0:  # the text ends here; what follows is padding
                    break

        yield from curve_checks(self.curves, self.found)
        yield from service_checks(self.found) if self.service is not None else ()

    # --- writes

    def writes(self) -> Iterator[Write]:
        """The rows of every program."""
        for program, _, rules in self.profile.programs():
            for rule in rules if program != "var" or self.role.reactive else ():
                yield from self.write(program, rule)
        if self.battery is not None:
            for program, _, rules in self.battery.programs():
                if program in {"open", "close"}:
                    for rule in rules:
                        yield from self.write(program, rule)

    def write(self, program: str, rule: WriteRule) -> Iterator[Write]:
        """One request, or one for each register where the device takes single registers only."""
        address = self.place.address(rule)
        if address is None or not all(map(self.place.has, rule.needs)) or any(map(self.place.has, rule.unless)):
            return
        bus = self.profile.bus
        fields = tuple(self.fields(rule))
        count = max((field.offset + REGISTERS[field.kind] for field in fields if field.source != "remains"), default=0)
        back = max(field.offset + REGISTERS[field.kind] for field in fields)
        function = rule.function or (6 if bus.write == "single" else 16)
        whole = Write(
            program,
            address,
            count,
            fields,
            function=function,
            read_function=FUNCTIONS[rule.space or "holding"],
            back=back,
            when=states(*rule.when),
            once=rule.once,
            verify=rule.read_back and program in {"setpoint", "var", "prepare"},
        )
        yield from (whole,) if function == 16 else singles(whole)

    def fields(self, rule: WriteRule) -> Iterator[Field]:
        """One after the other, unless `at` says where."""
        offset = 0
        for field in rule.fields:
            offset = offset if field.at is None else field.at
            yield self.field(field, offset)
            offset += REGISTERS[field.type]

    def field(self, rule: FieldRule, offset: int) -> Field:
        """One value."""
        if rule.value == "priority":
            return Field(offset, "const", rule.type, idle=int(self.role.reactive == "reactive"))
        return Field(
            offset,
            "input" if rule.value == "measured" else rule.value,
            rule.type,
            rule.scale,
            rule.charging,
            rule.idle if rule.value in {"direction", "toggle", "enable"} else rule.number,
            rule.discharging,
            rule.quantity,
            None if rule.factor is None else list(self.factors).index(rule.factor),
            self.order(rule.word_order),
        )


def span(point: PointRule) -> tuple[int, int]:
    """First register and the one behind the last that a point needs, its status bit included."""
    assert point.register_ is not None
    first, last = point.register_, point.register_ + REGISTERS[point.type]
    if point.sign is not None and point.sign.register_ is not None:
        first, last = min(first, point.sign.register_), max(last, point.sign.register_ + 1)
    return first, last


def blocks(points: list[PointRule], gap: int, most: int) -> Iterator[list[PointRule]]:
    """Neighbours together: at most `gap` registers between them that nobody asked for, at most `most` in all."""
    block: list[PointRule] = []
    end = 0
    for point in points:
        first, last = span(point)
        if block and (first > end + gap or max(end, last) - span(block[0])[0] > most):
            yield block
            block = []
        block.append(point)
        end = last if len(block) == 1 else max(end, last)
    if block:
        yield block


def singles(write: Write) -> Iterator[Write]:
    """FC06 knows one register: one request for each field."""
    for field in write.fields:
        address = write.address + field.offset
        yield replace(write, address=address, count=1, back=1, fields=(replace(field, offset=0),))


def compile_device(profile: Profile, role: Role, found: FoundDevice, battery: Profile | None = None) -> DevicePlan:
    """The plan of one device. `battery`: the profile named by profile.battery."""
    return Compiler(profile, role, found, battery).plan()


def nominal_reads(profile: Profile, battery: Profile | None = None) -> list[tuple[int, Pace]]:
    """Count and pace of the requests a device of this type is asked at most; for estimates before discovery."""
    if profile.map == "registers":
        plan = compile_device(profile, Role(profile.kind, battery=True), FoundDevice.blank())
        return [(read.count, read.pace) for read in plan.reads]
    rules = [*profile.reads, *(battery.reads if battery else ())]
    return [(rule.count, rule.pace) for rule in one_of_each(rules)]


def nominal_writes(profile: Profile) -> list[tuple[str, int, int]]:
    """Program, registers written and registers read back of the requests a device of this type is written with at most."""
    found = []
    for program, _, rules in profile.programs():
        for rule in rules:
            count = back = end = 0
            for field in rule.fields:
                end = (end if field.at is None else field.at) + REGISTERS[field.type]
                back = max(back, end)
                count = count if field.value == "remains" else max(count, end)
            single = rule.function == 6 or (rule.function is None and profile.bus.write == "single")
            found += [(program, 1, 1)] * len(rule.fields) if single else [(program, count, back)]
    return found


def one_of_each(rules: Iterable[ReadRule]) -> Iterator[ReadRule]:
    """Models that stand for each other count once."""
    seen: set[tuple[int, ...]] = set()
    for rule in rules:
        if rule.models() not in seen:
            yield rule
        seen.add(rule.models())


def pace_of(profile: Profile, quantity: str) -> Pace | None:
    """How often a profile asks for a quantity; None = it does not measure it."""
    point = next((point for point in profile.points if point.quantity == quantity), None)
    if point is None:
        return None
    if profile.map == "registers":
        return point.pace
    return next((rule.pace for rule in profile.reads if set(rule.models()) & set(point.models())), None)
