"""What the poll plan can give: refresh times per device, worst-case detection per row, and how long a PCS runs on when the loop is dead.

Estimates from the configuration alone, on the careful side: every model a device of its kind may have is counted. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from bessctl.config.buses import Bus, Device
from bessctl.config.derived import AGES, makings
from bessctl.config.loop import Unit
from bessctl.config.site import Site
from bessctl.devices import compiler
from bessctl.devices.plan import REGISTERS, Pace
from bessctl.devices.profile import Profile

BITS_PER_CHARACTER = 11  # start, 8 data, parity or second stop, stop
TCP_ROUND_TRIP_S = 0.0005
WORST_S = 1.0
CHECK_RUN = 20  # registers: CHECK_RUN_MAX of verify.pyx
READ_BACK_S = 1.0
"""How often a set point is read back."""


PIPELINE = 4
"""Questions that may be out at once where a device takes them: PIPELINE_MAX of bus_state.pxd."""
IN_A_ROW = 2
"""Commands that pass a poll that waits: IN_A_ROW of bus.pyx."""


def transaction_s(bus: Bus, device: Device, sent: int, received: int) -> float:
    """How long one request with its reply takes: bytes of both frames on the wire, silence, the device's own time."""
    if bus.rtu is None:
        return TCP_ROUND_TRIP_S + device.response_s
    character_s = BITS_PER_CHARACTER / bus.rtu.baud
    silence_s = max(3.5 * character_s, 0.00175)
    return (sent + received) * character_s + 2 * silence_s + device.response_s


def read_s(bus: Bus, device: Device, count: int) -> float:
    """One FC03 of `count` registers."""
    return transaction_s(bus, device, 8, 5 + 2 * count)


def answers_for_battery(site: Site, device: Device) -> bool:
    """A PCS whose unit names no BMS."""
    return any(unit.pcs == device.name and unit.bms is None for unit in site.units)


def nominal_reads(site: Site, device: Device) -> list[tuple[int, Pace]]:
    """Registers and pace of the requests a device of this type is asked at most."""
    return [] if device.kind == "io" else compiler.nominal_reads(site.profile(device), site.battery_profile(device))


def period_s(device: Device, pace: Pace) -> float:
    """How often the plan asks."""
    return {"fast": device.poll.fast_s, "slow": device.poll.slow_s, "state": device.poll.state_s}[pace]


def bus_load(site: Site, bus: Bus) -> float:
    """Share of the bus's time that its plan needs; above 1 everything on it comes later in that proportion."""
    load = 0.0
    for device in site.devices:
        if device.bus == bus.name:
            load += sum(read_s(bus, device, count) / period_s(device, pace) for count, pace in nominal_reads(site, device))
            load += _orders_load(site, bus, device)
    return load


def set_point_registers(site: Site, device: Device) -> tuple[int, int]:
    """Registers written for a set point, and read back after it; none for a device that takes no set point."""
    if device.kind in {"meter", "io"}:
        return 0, 0
    setpoint = site.profile(device).commands.setpoint
    fields = [field for rule in setpoint.writes for field in rule.fields] if setpoint else []
    back = sum(REGISTERS[field.type] for field in fields)
    return back - sum(REGISTERS[field.type] for field in fields if field.value == "remains"), back


def _orders_load(site: Site, bus: Bus, device: Device) -> float:
    """A heartbeat each second; the set point three times per reversion time, read back then and once a second."""
    if device.kind in {"meter", "io"}:
        return 0.0
    written, back = set_point_registers(site, device)
    writes_per_s = sum(3.0 / unit.reversion_s for unit in site.units if unit.pcs == device.name)
    reads_per_s = writes_per_s + 1.0 / READ_BACK_S if writes_per_s else 0.0
    if writes_per_s and any("reactive" in source.scopes for source in site.sources):
        reads_per_s, writes_per_s = 2 * reads_per_s, 2 * writes_per_s
    return (1.0 + writes_per_s) * transaction_s(bus, device, 9 + 2 * written, 8) + reads_per_s * read_s(bus, device, back)


def read_back_s(site: Site, device: Device) -> float:
    """How old the last confirmation of a set point becomes in normal operation."""
    bus = bus_of(site, device)
    return max(READ_BACK_S, cycle_s(site, bus)) + read_s(bus, device, set_point_registers(site, device)[1])


def refresh_s(site: Site, device: Device, pace: Pace) -> float:
    """How old a value becomes in normal operation before its successor is there."""
    bus = bus_of(site, device)
    longest = max((read_s(bus, device, count) for count, at in nominal_reads(site, device) if at == pace), default=0.0)
    return max(period_s(device, pace), cycle_s(site, bus)) + longest


def cycle_s(site: Site, bus: Bus) -> float:
    """How long a bus with more to ask than time needs for all of it: what is due longest goes first, so each read comes once in that time,
    one that is asked less often in its proportion. 0 where the plan fits."""
    free = 1.0 - sum(_orders_load(site, bus, device) for device in on_bus(site, bus))
    if free <= 0:
        return inf
    reads = [
        (read_s(bus, device, count), period_s(device, at)) for device in on_bus(site, bus) for count, at in nominal_reads(site, device)
    ]
    if sum(took / period for took, period in reads) <= free:
        return 0.0
    cycle = sum(took for took, _ in reads) / free
    for _ in reads:
        cycle = sum(took * min(1.0, cycle / period) for took, period in reads) / free
    return cycle


def remedy(site: Site, device: Device) -> str:
    """What makes values of a device younger."""
    bus = bus_of(site, device)
    load = bus_load(site, bus)
    return (
        "raise it or poll faster"
        if load <= 1
        else f"raise it, or ask less of bus {bus.name!r}: its plan is {load:.2g} times what it carries"
    )


def too_young(site: Site, age_s: float, device: Device, refresh_s: float) -> str:
    """R4, as a sentence: an age limit that leaves no three chances."""
    return (
        f"{age_s:g} is below 3 refresh times of {device.name!r} ({refresh_s:.3g} s each with this poll plan, R4); "
        f"allowed: from {3 * refresh_s:.3g}; {remedy(site, device)}"
    )


def source_of(site: Site, unit: Unit | None, quantity: str) -> tuple[Device, Pace] | None:
    """Device and pace that bring a quantity of a unit, or of the plant (None), or what it is about where it is derived; None for what
    is derived from no single point."""
    return next(iter(sources_of(site, unit, quantity)), None)


def sources_of(site: Site, unit: Unit | None, quantity: str) -> list[tuple[Device, Pace]]:
    """The same for all that a quantity is made of: it is as old as the slowest of them."""
    if unit is None:
        meter = site.device(site.pcc.meter)
        return [(meter, "fast")] if meter is not None and quantity.startswith("pcc_") else []
    found: list[tuple[Device, Pace]] = []
    for way in () if quantity in AGES else makings(quantity):
        parts = [next(((device, pace) for device, _, pace in _profiles(site, unit, part)), None) for part in way]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            return known
        found = found or known
    return found


def slowest_s(site: Site, unit: Unit | None, quantity: str) -> tuple[Device, float] | None:
    """Whose refresh time says how old a quantity becomes, and that time; None as in source_of."""
    times = [(device, refresh_s(site, device, pace)) for device, pace in sources_of(site, unit, quantity)]
    return max(times, key=lambda found: found[1], default=None)


def alarm_bits(site: Site, unit: Unit, quantity: str) -> dict[int, str]:
    """Bits that the device behind a unit's alarms has of its own, by the alarm of the standard each stands for."""
    return next((profile.alarms for _, profile, _ in _profiles(site, unit, quantity)), {})


def _profiles(site: Site, unit: Unit, quantity: str) -> Iterator[tuple[Device, Profile, Pace]]:
    """Who brings a quantity of a unit, the best first: its BMS, the PCS as its battery's voice, the PCS."""
    pcs = site.device(unit.pcs)
    battery = None if pcs is None else site.battery_profile(pcs)
    for device, known in ((site.device(unit.bms), None), (pcs, battery), (pcs, None)):
        if device is None:
            continue
        profile = known or site.profile(device)
        pace = compiler.pace_of(profile, quantity)
        if pace is not None:
            yield device, profile, pace


def meter_age_s(site: Site) -> float:
    """R10: how old a meter sample may be and still count as fresh: stated, or three refresh times, at least a second."""
    meter = site.device(site.pcc.meter)
    if site.pcc.meter_data_age_s is not None or meter is None:
        return site.pcc.meter_data_age_s or 1.0
    return max(1.0, 3 * refresh_s(site, meter, "fast"))


def uncontrolled_s(unit: Unit) -> float:
    """R11: after the loop died its PCS is at 0 W within this time. Device timers run late by half: 60 s set, 80 s seen."""
    return 1.5 * unit.reversion_s + unit.ramp_to_zero_s


def worst_s(device: Device) -> float:
    """The longest a device may ever take to answer; a second where nobody says."""
    return max(device.timeout_s, WORST_S if device.worst_s is None else device.worst_s)


def give_up_s(site: Site, bus: Bus) -> float:
    """R4: a half-open connection is found within the tightest data age of what is behind it."""
    ages = [meter_age_s(site) for device in site.devices if device.bus == bus.name and device.name == site.pcc.meter]
    for unit in site.units:
        if any(device.bus == bus.name and device.name in (unit.pcs, unit.bms) for device in site.devices):
            ages.append(unit.data_age_s)
    return min(ages, default=2.0)


def silence_s(bus: Bus) -> float:
    """What a serial line rests before each frame (Serial Line V1.02, 2.5.1.1)."""
    return 0.0 if bus.rtu is None else max(3.5 * BITS_PER_CHARACTER / bus.rtu.baud, 0.00175)


def requests(site: Site, device: Device) -> list[tuple[str, int, int]]:
    """Program, registers written and read back of the requests a device is written with at most."""
    if device.kind == "io":
        return []
    asked = any("reactive" in source.scopes for source in site.sources)
    return [request for request in compiler.nominal_writes(site.profile(device)) if request[0] != "var" or asked]


def writes_s(site: Site, bus: Bus, device: Device, program: str = "") -> list[float]:
    """How long each of those writes is under way; of one program or all."""
    return [transaction_s(bus, device, 9 + 2 * count, 8) for name, count, _ in requests(site, device) if program in ("", name)]


def on_bus(site: Site, bus: Bus) -> list[Device]:
    return [device for device in site.devices if device.bus == bus.name]


def longest_s(site: Site, bus: Bus) -> float:
    """The longest transaction that may be under way on a bus when a command comes: a read of the plan, a check, a read-back or a write."""
    longest = 0.0
    for device in on_bus(site, bus):
        counts = [CHECK_RUN, *(back for _, _, back in requests(site, device)), *(count for count, _ in nominal_reads(site, device))]
        longest = max(longest, *(read_s(bus, device, count) for count in counts), *writes_s(site, bus, device))
    return longest


def ahead_s(site: Site, bus: Bus) -> float:
    """What may be under way on a bus when a question comes that goes before all that waits: as many as a device takes at once."""
    at_once = PIPELINE if bus.rtu is None and any(device.pipelined for device in on_bus(site, bus)) else 1
    return at_once * longest_s(site, bus)


def lost_answer_s(site: Site, bus: Bus) -> float:
    """What one unanswered question costs a bus: its frames, the time-out, and the quiet time for a late reply."""
    devices = [device for device in site.devices if device.bus == bus.name]
    wait = max((max(device.timeout_s, worst_s(device) if bus.rtu else 0.0) for device in devices), default=0.0)
    return wait + (longest_s(site, bus) + silence_s(bus) if bus.rtu else 0.0)


def command_s(site: Site, unit: Unit) -> tuple[Bus, float]:
    """The bus of a unit's PCS, and how long after the step a set point that falls has arrived there at worst, every question answered.

    It goes before all that is not as urgent, but not before what is under way, nor before the set points of the bus's other PCS that fell
    with it. The set point before it may be under way as well: that ends first, request by request. After each of them the next waits for a
    tick, during which the bus takes up something else."""
    device = site.device(unit.pcs)
    assert device is not None
    bus = bus_of(site, device)
    each_s = sum(max(writes_s(site, bus, other, "setpoint"), default=0.0) for other in on_bus(site, bus))
    turns = 2 * max(1, len(writes_s(site, bus, device, "setpoint"))) - 1
    return bus, ahead_s(site, bus) + turns * (1.0 / site.loop.rate_hz + ahead_s(site, bus) + each_s)


def turn_s(site: Site, bus: Bus) -> float:
    """The commands that may pass a poll that waits."""
    return IN_A_ROW * max((took for other in on_bus(site, bus) for took in writes_s(site, bus, other)), default=0.0)


def round_s(site: Site, bus: Bus) -> float:
    """What is under way, then all that is read on a bus once, set points read back too, each behind the commands that may pass it."""
    turn, total = turn_s(site, bus), longest_s(site, bus)
    for other in on_bus(site, bus):
        total += sum(read_s(bus, other, count) + turn for count, _ in nominal_reads(site, other))
        total += sum(read_s(bus, other, back) + turn for program, _, back in requests(site, other) if program in {"setpoint", "var"})
    return total


def poll_s(site: Site, device: Device, pace: Pace) -> float:
    """How long after a change at a device its value is here, at worst and with every question answered: the plan's period, everything else
    on the bus once in front, the read itself. A bus with more to ask than time takes all of it in turn."""
    bus, turn = bus_of(site, device), turn_s(site, bus_of(site, device))
    load = bus_load(site, bus)
    for other in on_bus(site, bus):
        load += sum(turn / period_s(other, at) for _, at in nominal_reads(site, other))
    own_s = max((read_s(bus, device, count) for count, at in nominal_reads(site, device) if at == pace), default=0.0) + turn
    period = period_s(device, pace)
    return max(period + round_s(site, bus), period * load + longest_s(site, bus) + own_s)


def bus_of(site: Site, device: Device) -> Bus:
    return next(bus for bus in site.buses if bus.name == device.bus)


def crossing_to_wire_s(site: Site, unit: Unit | None, quantity: str) -> float | None:
    """From a threshold crossed at the device until 0 W has arrived at every PCS it concerns, at worst and without the row's own delay: the
    poll plan, a tick, what is in front of the command, one answer lost on the way (a poll's is asked again in its period). None for
    quantities of no point, which are judged in each tick; what is made of several is as late as the latest."""
    sources = sources_of(site, unit, quantity)
    if not sources:
        return None
    buses = {device.bus for device, _ in sources}
    slowest = 0.0
    for each in site.units if unit is None else [unit]:
        bus, seconds = command_s(site, each)
        buses.add(bus.name)
        slowest = max(slowest, seconds)
    lost = max(*(period_s(*source) for source in sources), *(lost_answer_s(site, bus) for bus in site.buses if bus.name in buses))
    return max(poll_s(site, *source) for source in sources) + 1.0 / site.loop.rate_hz + slowest + lost


def detection_s(site: Site, refreshed_s: float, delay_s: float) -> float:
    """From a threshold crossed at the device to the command handed to the bus, at worst: a refresh, the row's delay, two ticks."""
    return refreshed_s + delay_s + 2.0 / site.loop.rate_hz
