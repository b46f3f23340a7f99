"""All the loop knows about one device's registers: what compiling a profile yields and sealing writes into flat tables. Plain data.

Addresses are as on the wire, from 0. Every word here (kinds, sources, programs, states) has its number in the layout of the core.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Pace = Literal["fast", "slow", "state"]

REGISTERS = {
    "int16": 1, "uint16": 1, "enum16": 1, "bits16": 1, "sunssf": 1, "int32": 2, "uint32": 2, "float32": 2, "bits32": 2,
    "int64": 4, "uint64": 4,
}  # fmt: skip
"""Registers that a kind of number takes."""

STATES = ("off", "sleeping", "starting", "running", "throttled", "shutting_down", "fault", "standby")
"""SunSpec 701 InvSt, in its order: what every profile's states are translated to."""

ANY_STATE = 0xFFFF
UNKNOWN_BIT = 15


def states(*names: str) -> int:
    """States as the bits of write_when; none named = any, `unknown` = the PCS does not say."""
    if not names:
        return ANY_STATE
    return sum(1 << (UNKNOWN_BIT if name == "unknown" else STATES.index(name)) for name in set(names))


@dataclass(frozen=True, slots=True)
class Point:
    """A value in a read. raw -> masked bits or code -> x scale x scale factor of the block x factor, sign by a status bit, + add."""

    quantity: str
    offset: int
    kind: str
    scale: float = 1.0
    add: float = 0.0
    sf_offset: int | None = None
    factor: int | None = None
    """Index into the plan's factors."""
    low_first: bool = False
    absent: int | Literal["sunspec", "none"] = "sunspec"
    mask: int = 0
    sign: tuple[int, int] | None = None
    """Register in the block, and the bits that turn the sign."""
    codes: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """One request and what is decoded from it."""

    address: int
    count: int
    pace: Pace
    points: tuple[Point, ...]
    function: int = 3


@dataclass(frozen=True, slots=True)
class Factor:
    """A register read at each connect, by whose value others are multiplied; outside of its range the device is refused."""

    address: int
    kind: str
    scale: float = 1.0
    least: float = 1e-12
    most: float = 1e12
    of_setpoint: bool = False
    of_var: bool = False
    function: int = 3
    low_first: bool = False
    absent: Literal["sunspec", "none"] = "sunspec"


@dataclass(frozen=True, slots=True)
class Field:
    """A value in a write; layout.pxd says what each source means."""

    offset: int
    source: str
    kind: str = "uint16"
    scale: float = 1.0
    charge: int = 0
    idle: int = 0
    discharge: int = 0
    quantity: str = "none"
    factor: int | None = None
    low_first: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """One request of a program. `back`: registers read back, 0 = as many as are written."""

    program: str
    address: int
    count: int
    fields: tuple[Field, ...]
    function: int = 16
    read_function: int = 3
    back: int = 0
    when: int = ANY_STATE
    once: bool = False
    verify: bool = False


@dataclass(frozen=True, slots=True)
class Wear:
    """A set point in memory that wears: one write per `interval_s` on average, `burst` saved up at most, in steps of `step_w`."""

    interval_s: float
    burst: int
    step_w: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve model we may write: its ID register, how many points a curve has, and what a count means (% and s; 0 = no RspTms)."""

    kind: str
    address: int
    points: int
    x_scale: float
    y_scale: float
    s_scale: float


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """Everything. `heartbeat`: the quantity that must move, or empty. `resend`: when an unchanged set point is written again."""

    reads: tuple[Read, ...]
    checks: tuple[tuple[int, int], ...] = ()
    check_function: int = 3
    writes: tuple[Write, ...] = ()
    factors: tuple[Factor, ...] = ()
    heartbeat: str = ""
    count_w: float = 1.0
    count_var: float = 1.0
    resend: float | Literal["never", "reversion"] = "never"
    curves: tuple[Curve, ...] = ()
    beat_s: float | Literal["reversion"] = 1.0
    """Period of our heartbeat; reversion = a third of the unit's reversion time."""
    order_repeat_s: float = 2.0
    order_timeout_s: float = 0.0
    start_tries: int = 0
    wear: Wear | None = None
    confirm_ack: bool = False
    min_gap_s: float = 0.0
    reconnect_s: float = 0.0

    def quantities(self) -> set[str]:
        """What is measured."""
        return {point.quantity for read in self.reads for point in read.points}

    def has(self, program: str) -> bool:
        """Is anything written for this?"""
        return any(write.program == program for write in self.writes)
