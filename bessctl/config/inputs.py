"""Section `inputs`: digital inputs of the plant, on a Modbus module or on this controller's own GPIO chip (R13).

Contacts are normally closed: closed = all is well, open = active, and so is a broken wire and an input that cannot be read. What an input
does stands in the protection row of its function.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bessctl.config.base import Name, Strict, Text


class Gpio(Strict):
    """A line of the GPIO character device."""

    chip: Annotated[str, Field(pattern=r"^/dev/[\w./-]+$", max_length=90)]
    line: Annotated[int, Field(ge=0, le=4095)]
    bias: Literal["none", "pull_up", "pull_down"] = "none"
    """none: the circuit outside gives the level."""


class Register(Strict):
    """A bit of a Modbus device of kind io."""

    device: str
    table: Literal["discrete_input", "coil", "holding_register", "input_register"] = "discrete_input"
    address: Annotated[int, Field(ge=0, le=65535)]
    bit: Annotated[int, Field(ge=0, le=15)] = 0
    """Of a register."""


class Input(Strict):
    """One contact."""

    name: Name
    function: Literal["estop", "fire", "door", "insulation_alarm", "other_alarm"]
    gpio: Gpio | None = None
    modbus: Register | None = None
    closed_is: Literal[0, 1] = 1
    """What is read while the contact is closed."""
    inverted: Text | None = None
    """For a module with closed_is 0: why a broken wire still reads 1."""
