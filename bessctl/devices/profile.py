"""A device profile: what a YAML file says about the registers of one kind of device. The schema; docs/howto/new-device.md explains it.

Two ways to say where a register is: `register`, its address on the wire, or for SunSpec devices `model` and `offset`, counted from the
model's ID register, which discovery finds. Every number that is written or read is stated with its type; nothing here is code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bessctl.devices.plan import Pace

Kind = Literal["pcs", "bms", "meter"]
Number = Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "enum16", "bits16", "bits32", "sunssf"]
Space = Literal["holding", "input"]
WordOrder = Literal["high_first", "low_first"]
State = Literal["off", "sleeping", "starting", "running", "throttled", "shutting_down", "fault", "standby", "unknown"]
ProfileName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Register = Annotated[int, Field(ge=0, le=65535)]
Models = int | list[int]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Part(BaseModel):
    """A section: unknown keys are errors, a string is no number, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Reference(Part):
    """A public document that a fact was taken from."""

    title: Word
    where: Word
    note: str = ""


class BusRules(Part):
    """How the device wants to be talked to."""

    read: Space = "holding"
    """FC03 or FC04, where a point says nothing else."""
    write: Literal["multiple", "single"] = "multiple"
    """FC16, or FC06 for devices that know nothing else."""
    max_read: Annotated[int, Field(ge=1, le=125)] = 125
    max_write: Annotated[int, Field(ge=1, le=123)] = 123
    gap: Annotated[int, Field(ge=0, le=124)] = 0
    """So many registers between two points may be read along; 0 = only what is stated may be read."""
    min_gap_ms: Annotated[float, Field(ge=0, le=10000)] = 0
    """The least time from an answer to the next question."""
    one_session: bool = False
    """The device takes one connection: nobody else may look while the loop runs."""
    reconnect_s: Annotated[float, Field(ge=0, le=600)] = 0
    """The least time between two tries to connect; 0 = the loop's own back-off."""


class At(Part):
    """Where something stands."""

    register_: Annotated[Register | None, Field(alias="register")] = None
    model: Models | None = None
    offset: Annotated[int | None, Field(ge=0, le=65535)] = None

    def models(self) -> tuple[int, ...]:
        """The models it may stand in."""
        return () if self.model is None else (self.model,) if isinstance(self.model, int) else tuple(self.model)


class StatusBit(At):
    """Bits of a register: any of them set turns the sign."""

    mask: Annotated[int, Field(ge=1, le=65535)]


class PointRule(At):
    """A measurement. raw -> bits of mask, or the meaning of a code -> x scale x sf x factor, sign by a status bit, + add."""

    quantity: Word
    name: str = ""
    """The point's own name; for SunSpec that of the standard: it is read only where the device implements it."""
    type: Number
    scale: float = 1.0
    add: float = 0.0
    sf: Annotated[int | None, Field(ge=0)] = None
    """SunSpec: offset of the scale factor in the same model."""
    factor: str | None = None
    """A factor read at connect."""
    space: Space | None = None
    pace: Pace = "fast"
    word_order: WordOrder | None = None
    absent: Literal["sunspec", "none"] | int = "sunspec"
    """Which raw value says `not there`: those of SunSpec's data types, none, or one that is stated."""
    mask: Annotated[int, Field(ge=0)] = 0
    sign: StatusBit | None = None
    codes: dict[int, State | float] = {}
    """What the device's codes mean: for pcs_state the states, else numbers. A code that is not listed is no value."""
    turn: Literal["never", "dc", "meter"] = "never"
    """dc, meter: turned where the site says dc_positive: charge, meter_positive: import."""
    battery: bool = False
    """Read only where the unit names no BMS."""


class ReadRule(At):
    """SunSpec: one request of a model; offset and count."""

    count: Annotated[int, Field(ge=1, le=125)]
    pace: Pace = "fast"


class FactorRule(At):
    """A register read at each connect, by whose value others are multiplied: a scale factor, a rating."""

    type: Number
    scale: float = 1.0
    least: float = 1e-12
    most: float = 1e12
    """Outside of least to most it is no value, and the device is refused."""
    space: Space | None = None
    word_order: WordOrder | None = None
    absent: Literal["sunspec", "none"] = "sunspec"


class IdentityRule(At):
    """A register by which the device is known again at each connect."""

    name: Word
    type: Number | Literal["string"]
    length: Annotated[int, Field(ge=1, le=32)] = 1
    """Registers of a string."""
    is_: Annotated[int | str | None, Field(alias="is")] = None
    """What must stand there; absent = what discovery finds is sealed."""
    means: Literal["manufacturer", "model", "version", "serial", "other"] = "other"


class FieldRule(Part):
    """A value in a request; fields follow each other unless `at` says where in the request they stand."""

    value: Literal[
        "const",
        "setpoint",
        "magnitude",
        "charge",
        "discharge",
        "direction",
        "reversion",
        "beat",
        "toggle",
        "measured",
        "remains",
        "any",
        "enable",
        "priority",
    ]
    type: Number = "uint16"
    name: str = ""
    number: int = 0
    """const and any: what is written. measured: what is written while the measurement is missing; it must be the safe value."""
    charging: int = 0
    idle: int = 0
    discharging: int = 0
    """direction: what each means. toggle: idle and discharging in turn."""
    quantity: str = "none"
    """measured: which."""
    scale: float = 1.0
    """Of one count: seconds of reversion and remains, the unit of a measured quantity; negative = setpoint counts the other way."""
    factor: str | None = None
    word_order: WordOrder | None = None
    at: Annotated[int | None, Field(ge=0, le=124)] = None


class WriteRule(At):
    """One request."""

    fields: Annotated[list[FieldRule], Field(min_length=1)]
    function: Literal[6, 16] | None = None
    read_back: bool = True
    """Read again and compared; false where the device cannot be read there."""
    space: Space | None = None
    """Where it is read back, if not with FC03."""
    when: list[State] = []
    """Orders: the states in which it makes sense; none = always."""
    once: bool = False
    """Orders: once per connection and order, like a permission."""
    needs: list[str] = []
    """SunSpec: points that must be implemented, else this request is left out."""
    unless: list[str] = []
    """SunSpec: left out where one of these is implemented."""


class Wears(Part):
    """Set points in memory that wears."""

    writes_per_day: Annotated[float, Field(gt=0, le=86400)]
    burst: Annotated[int, Field(ge=1, le=1000)]
    step_w: Annotated[float, Field(gt=0)]


class SetpointRule(Part):
    """The active power set point. Its requests are one command, sent in their order."""

    count_w: Annotated[float, Field(gt=0)] = 1.0
    """Watts of one count, before the factors."""
    factors: list[str] = []
    writes: Annotated[list[WriteRule], Field(min_length=1, max_length=8)]
    confirm: Literal["read_back", "acknowledged"] = "read_back"
    wears: Wears | None = None


class VarRule(Part):
    """The reactive power set point, written only where a source of the site may ask for it.

    Its fields know `enable` (discharging while something is asked for, else idle) and `priority` (1 where the site gives reactive power
    priority, else 0)."""

    count_var: Annotated[float, Field(gt=0)] = 1.0
    factors: list[str] = []
    writes: Annotated[list[WriteRule], Field(min_length=1, max_length=8)]


class Watchdog(Part):
    """How the device notices that nobody commands it any more."""

    kind: Literal["timeout_rewritten", "any_traffic", "counter", "countdown", "resend", "keep_alive", "none"]
    timeout_s: Annotated[float, Field(gt=0, le=3600)] | Literal["reversion"] = "reversion"
    """After so long without us it acts; reversion = the unit's reversion_s, which we write there."""
    falls_to: Literal["zero", "own_control"] = "zero"
    """What it does then: 0 W, or its own control (self-consumption and the like), which may use all of its power."""
    period_s: Annotated[float, Field(gt=0, le=1200)] | None = None
    """Absent: a third of the time-out."""
    writes: Annotated[list[WriteRule], Field(max_length=8)] = []


class StartRule(Part):
    """Start and stop: how long they may take."""

    timeout_s: Annotated[float, Field(ge=0, le=3600)] = 0
    """An order not obeyed for so long is told; 0 = never."""
    tries: Annotated[int, Field(ge=0, le=100)] = 0
    """Late starts until we give up; 0 = never."""
    repeat_s: Annotated[float, Field(gt=0, le=600)] = 2.0


Rows = Annotated[list[WriteRule], Field(max_length=8)]


class Commands(Part):
    """What is written."""

    prepare: Rows = []
    """Settings that must stand before the first set point: read, told and written when they differ."""
    setpoint: SetpointRule | None = None
    var: VarRule | None = None
    watchdog: Watchdog | None = None
    start: StartRule = StartRule()
    run: Rows = []
    standby: Rows = []
    stop: Rows = []
    open: Rows = []
    close: Rows = []
    limits: Rows = []
    """The battery's limits, mirrored into the PCS."""


class Rating(At):
    """Nameplate points that a key of the unit must not exceed; the first that the device states counts."""

    key: Literal["discharge_max_w", "charge_max_w", "apparent_max_va", "reactive_max_var"]
    names: list[str]


class Profile(Part):
    """One device type."""

    profile: ProfileName
    description: Word
    kind: Kind
    map: Literal["registers", "sunspec"] = "registers"
    references: Annotated[list[Reference], Field(min_length=1)]
    limits_of_use: str = ""
    """What this profile does not cover, in words."""
    bus: BusRules = BusRules()
    word_order: WordOrder = "high_first"
    word_order_is_option: bool = False
    """The site may say otherwise."""
    needs_models: list[Models] = []
    """SunSpec: models without which a device is none of this kind; a list = one of them."""
    identity: list[IdentityRule] = []
    heartbeat: str | None = None
    """The quantity that must move (R4)."""
    factors: dict[str, FactorRule] = {}
    reads: list[ReadRule] = []
    points: Annotated[list[PointRule], Field(min_length=1)]
    battery: ProfileName | None = None
    """Another profile whose points and contactor are added where the unit names no BMS."""
    ratings: list[Rating] = []
    alarms: dict[Annotated[int, Field(ge=0, le=31)], Word] = {}
    """Bits of pcs_alarm or bms_alarm that are the maker's own, by the alarm of the standard (docs/safety.md) each stands for. Absent = the
    bits are those of the standard. A bit that is not listed warns by its number."""
    commands: Commands = Commands()

    def programs(self) -> Iterator[tuple[str, tuple[str | int, ...], list[WriteRule]]]:
        """Program, path of its requests in the file, requests."""
        commands = self.commands
        for name in ("prepare", "run", "standby", "stop", "open", "close", "limits"):
            yield name, ("commands", name), getattr(commands, name)
        if commands.setpoint is not None:
            yield "setpoint", ("commands", "setpoint", "writes"), commands.setpoint.writes
        if commands.var is not None:
            yield "var", ("commands", "var", "writes"), commands.var.writes
        if commands.watchdog is not None:
            yield "beat", ("commands", "watchdog", "writes"), commands.watchdog.writes
