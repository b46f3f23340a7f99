"""Sections `buses` and `devices`: how the plant is wired. A bus is one TCP connection or one serial line; devices share it by Modbus id."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bessctl.config.base import Name, Strict


class Tcp(Strict):
    """Modbus TCP to one address."""

    host: Annotated[str, Field(min_length=1, max_length=90)]
    port: Annotated[int, Field(ge=1, le=65535)] = 502


class Rtu(Strict):
    """Modbus RTU on one serial line."""

    device: Annotated[str, Field(pattern=r"^/dev/", max_length=90)]
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400]
    parity: Literal["none", "even", "odd"] = "even"
    stop_bits: Literal[1, 2] = 1
    rs485: bool = False
    """The kernel turns the driver's direction (TIOCSRS485)."""


class Bus(Strict):
    """One of `tcp` and `rtu`."""

    name: Name
    tcp: Tcp | None = None
    rtu: Rtu | None = None


class Poll(Strict):
    """How often measurements are asked for; a bus that cannot keep up does it as often as it can (`check` says how often that is)."""

    fast_s: Annotated[float, Field(ge=0.01, le=60)] = 0.1
    """AC, DC and battery measurements: 701, 714, 802, 803, meter."""
    slow_s: Annotated[float, Field(ge=0.1, le=600)] = 1.0
    """Ratings and storage state: 702, 713."""
    state_s: Annotated[float, Field(ge=0.05, le=60)] = 0.5
    """Local or remote, and the PCS's heartbeat: 715."""


class Device(Strict):
    """One device of the plant."""

    name: Name
    kind: Literal["pcs", "bms", "meter", "io"]
    """io: digital inputs, see the section `inputs`; it needs no SunSpec model and no heartbeat."""
    bus: str
    modbus_id: Annotated[int, Field(ge=1, le=247)]
    timeout_s: Annotated[float, Field(ge=0.01, le=10)] = 0.3
    response_s: Annotated[float, Field(ge=0, le=5)] = 0.01
    """How long the device usually takes to answer, beside the time on the wire; refresh times are estimated with it."""
    worst_s: Annotated[float, Field(ge=0.001, le=30)] | None = None
    """The longest it may ever take to answer; absent = 1 s, or timeout_s where that is more. After a time-out a serial line stays quiet
    for the rest of it, so that a late reply is never taken for the answer to something else."""
    pipelined: bool = False
    """TCP: it takes further questions before it has answered the first. Most devices do not."""
    poll: Poll = Poll()
    heartbeat: Literal["required", "none"] = "required"
    """R4: required = 715 DERHb or 802 Hb must be there and move."""
    dc_positive: Literal["discharge", "charge"] = "discharge"
    """Sign of 714 DCA, DCW and 802 A: the standard names no direction; injection, as in 701, is what we take unless told otherwise."""
    meter_positive: Literal["import", "export"] = "import"
    """Sign of W in 201-204: the models count imported energy first and name no sign; metering convention is import positive."""
    profile: Annotated[str, Field(pattern=r"^(?:[a-z][a-z0-9_-]{0,31}|.*[.]ya?ml)$", max_length=200)] | None = None
    """What its registers mean: a shipped profile by name, or a file of your own by its path (./NAME.yaml, from the site file's folder).
    Absent = SunSpec: sunspec-7xx, sunspec-802 or sunspec-meter."""
    word_order: Literal["high_first", "low_first"] | None = None
    """Of numbers of two registers, where the profile leaves it open."""
    serial: Literal["checked", "any"] = "checked"
    """checked: at each connect the serial number must be the one that was sealed."""
